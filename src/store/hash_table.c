/*
 * Large hashes: a table whose items are the fields, one allocation each.
 *
 * A value that is written over stays where it is as long as the allocator's class stays the same. The bytes of all
 * fields are summed up as they come and go, so that the memory of a hash is known without a walk.
 */
#include "base/fiber.h"
#include "hash_priv.h"

enum { DRAIN_BATCH = 16 };

/* --- A field --- */

static inline bool is_wide(size_t name_len, size_t value_len)
{
    return name_len > UINT8_MAX || value_len > UINT8_MAX;
}

static void write_head(unsigned char *at, unsigned flags, size_t name_len, size_t value_len)
{
    at[0] = (unsigned char)flags;
    if (flags & FIELD_WIDE) {
        uint32_t narrow = (uint32_t)name_len;
        uint64_t wide = value_len;
        memcpy(at + 4, &narrow, sizeof narrow);
        memcpy(at + 8, &wide, sizeof wide);
    } else {
        at[1] = (unsigned char)name_len;
        at[2] = (unsigned char)value_len;
    }
}

/* A value may be written over itself. */
static inline void copy_bytes(char *to, struct bytes from)
{
    if (from.len && from.ptr != to)
        memcpy(to, from.ptr, from.len);
}

void *field_try_create(struct bytes name, struct bytes value, int64_t at_ms)
{
    if (name.len > UINT32_MAX)
        return NULL;
    unsigned flags = (is_wide(name.len, value.len) ? FIELD_WIDE : 0u) | (at_ms != EXPIRY_NONE ? FIELD_EXPIRES : 0u);
    size_t head = field_head(flags);
    unsigned char *field = mem_try_alloc(head + name.len + value.len);
    if (!field)
        return NULL;
    write_head(field, flags, name.len, value.len);
    if (flags & FIELD_EXPIRES)
        field_set_expiry(field, at_ms);
    copy_bytes((char *)field + head, name);
    copy_bytes((char *)field + head + name.len, value);
    return field;
}

/* --- The table --- */

static uint64_t item_hash(const void *item)
{
    struct bytes name = field_name(item);
    return hash_bytes(name.ptr, name.len);
}

static const struct table_type hash_table_type = { .hash = item_hash };

struct hash_table *hash_table_create(void)
{
    struct hash_table *hash = mem_zalloc(sizeof *hash);
    table_init(&hash->table, &hash_table_type);
    hash->next_ms = hash->walk_next_ms = HASH_NEVER;
    return hash;
}

bool hash_table_drain(struct hash_table *hash, size_t count)
{
    void *batch[DRAIN_BATCH];
    while (count && table_count(&hash->table)) {
        size_t got = 0;
        while (got < DRAIN_BATCH && got < count && (batch[got] = table_drain(&hash->table)))
            __builtin_prefetch(batch[got++]);
        for (size_t i = 0; i < got; i++)
            field_destroy(batch[i]);
        count -= got;
    }
    if (table_count(&hash->table))
        return true;
    table_fini(&hash->table);
    mem_free(hash);
    return false;
}

void hash_table_destroy(struct hash_table *hash)
{
    while (hash_table_drain(hash, SIZE_MAX))
        ;
}

static void count_in(struct hash_table *hash, const void *field)
{
    hash->bytes += field_class(field_size(field));
    hash->volatile_count += *(const unsigned char *)field & FIELD_EXPIRES;
}

static void count_out(struct hash_table *hash, const void *field)
{
    hash->bytes -= field_class(field_size(field));
    hash->volatile_count -= *(const unsigned char *)field & FIELD_EXPIRES;
    if (hash->volatile_count == 0)
        hash->next_ms = hash->walk_next_ms = HASH_NEVER;
}

static void note_expiry(struct hash_table *hash, uint64_t *slot, int64_t at_ms)
{
    table_slot_set_mark(slot, at_ms != EXPIRY_NONE);
    if (at_ms != EXPIRY_NONE)
        hash_table_expect(hash, at_ms);
}

bool hash_table_add(struct hash_table *hash, uint64_t name_hash, struct bytes name, struct bytes value, int64_t at_ms)
{
    void *field = field_try_create(name, value, at_ms);
    if (!field)
        return false;
    count_in(hash, field);
    note_expiry(hash, table_insert(&hash->table, name_hash, field), at_ms);
    return true;
}

/* Writes the value over the old one if that leaves the field where it is; the expiry's presence stays. */
static bool set_in_place(struct hash_table *hash, void *field, struct bytes value, int64_t at_ms)
{
    unsigned flags = *(unsigned char *)field;
    struct bytes name = field_name(field);
    if (!(flags & FIELD_WIDE) != !is_wide(name.len, value.len) || !(flags & FIELD_EXPIRES) != (at_ms == EXPIRY_NONE))
        return false;
    size_t old = field_size(field), size = field_head(flags) + name.len + value.len;
    if (!field_fits_in_place(old, size))
        return false;
    hash->bytes += field_class(size) - field_class(old);
    write_head(field, flags, name.len, value.len);
    if (flags & FIELD_EXPIRES)
        field_set_expiry(field, at_ms);
    copy_bytes((char *)(uintptr_t)name.ptr + name.len, value);
    return true;
}

bool hash_table_set(struct hash_table *hash, uint64_t *slot, struct bytes value, int64_t at_ms)
{
    void *old = table_slot_item(slot);
    if (!set_in_place(hash, old, value, at_ms)) {
        void *field = field_try_create(field_name(old), value, at_ms);
        if (!field)
            return false;
        count_in(hash, field);
        count_out(hash, old);
        table_slot_set_item(slot, field);
        field_destroy(old);
    }
    note_expiry(hash, slot, at_ms);
    return true;
}

void hash_table_remove(struct hash_table *hash, uint64_t name_hash, uint64_t *slot)
{
    void *field = table_slot_item(slot);
    table_remove(&hash->table, name_hash, slot);
    count_out(hash, field);
    field_destroy(field);
}

enum { COPY_COST = 20 };

static void copy_slot(void *context, uint64_t *slot)
{
    struct hash_table *copy = context;
    const void *field = table_slot_item(slot);
    fiber_breathe(COPY_COST);
    size_t size = field_size(field);
    void *own = mem_alloc(size);
    memcpy(own, field, size);
    count_in(copy, own);
    note_expiry(copy, table_insert(&copy->table, item_hash(own), own), field_expiry(own));
}

struct hash_table *hash_table_copy(const struct hash_table *hash)
{
    struct hash_table *copy = hash_table_create();
    uint64_t cursor = 0;
    do
        cursor = table_scan(&hash->table, cursor, copy_slot, copy);
    while (cursor);
    return copy;
}

/* --- Checking --- */

struct check {
    const struct hash_table *hash;
    const char *fault;
    size_t bytes, volatile_count;
};

static void complain(void *context, const char *what)
{
    *(const char **)context = what;
}

static void check_slot(void *context, uint64_t *slot)
{
    struct check *check = context;
    const void *field = table_slot_item(slot);
    bool expires = *(const unsigned char *)field & FIELD_EXPIRES;
    check->bytes += field_class(field_size(field));
    check->volatile_count += expires;
    if (mem_usable_size(field) < field_size(field))
        check->fault = "a field is larger than its allocation";
    if (expires != table_slot_marked(slot))
        check->fault = "a field's mark differs from its flag";
    if (expires && field_expiry(field) < check->hash->next_ms)
        check->fault = "a field expires before the hash knows";
    if (!(*(const unsigned char *)field & FIELD_WIDE) == is_wide(field_name(field).len, field_value(field).len))
        check->fault = "a field has the wrong width";
    struct bytes name = field_name(field);
    if (table_find(&check->hash->table, item_hash(field), field_has_name, &name) != slot)
        check->fault = "a field is not found where it is";
}

const char *hash_table_check(const struct hash_table *hash)
{
    struct check check = { .hash = hash };
    table_check(&hash->table, complain, &check.fault);
    uint64_t cursor = 0;
    do
        cursor = table_scan(&hash->table, cursor, check_slot, &check);
    while (cursor);
    if (check.fault)
        return check.fault;
    if (check.bytes != hash->bytes)
        return "the bytes of a hash's fields are wrong";
    return check.volatile_count == hash->volatile_count ? NULL : "the number of fields that can expire is wrong";
}
