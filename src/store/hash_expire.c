/*
 * Fields that expire.
 *
 * A packed hash is ordered by expiry, so its expired fields are those in front. In a table a field knows its expiry and
 * its slot is marked; the hash knows a moment before which no field expires (next_ms). Once that has passed, the
 * keyspace's background walk goes through the marked slots, in as many steps as it takes, removes what has expired and
 * learns the next moment (walk_next_ms). A hash is gone through at most once in a round of the keyspace's walk, so that
 * one whose fields expire all the time does not hold it up.
 */
#include "store/hash_expiry.h"

#include "base/assert.h"
#include "hash_priv.h"
#include "store/value.h"
#include "value_priv.h"

/* --- Packed --- */

/* Adds an expiry of none to each field; NULL when memory is out. */
static unsigned char *pack_with_expiries(const unsigned char *pack)
{
    unsigned char *wide = listpack_create(listpack_bytes(pack) + listpack_count(pack));
    struct hash_scratch scratch;
    struct hash_pair pair;
    for (uint32_t at = LISTPACK_HEADER; hash_pack_read(pack, HASH_LISTPACK, &at, &scratch, &pair);) {
        struct bytes texts[] = { pair.field, pair.value, BYTES("0") };
        if (!listpack_insert_batch(&wide, listpack_end(wide), texts, 3)) {
            listpack_destroy(wide);
            return NULL;
        }
    }
    return wide;
}

/* The place in the order of expiry for `at_ms`, behind those of the same moment. */
static uint32_t place_for(const unsigned char *pack, int64_t at_ms)
{
    uint32_t end = listpack_end(pack);
    if (at_ms == EXPIRY_NONE)
        return end;
    struct hash_scratch scratch;
    struct hash_pair pair;
    for (uint32_t at = LISTPACK_HEADER, next = at; hash_pack_read(pack, HASH_LISTPACK_EX, &next, &scratch, &pair);
         at = next)
        if (pair.at_ms == EXPIRY_NONE || pair.at_ms > at_ms)
            return at;
    return end;
}

bool hash_pack_set_expiry(unsigned char **pack, uint32_t at, int64_t at_ms)
{
    struct hash_scratch scratch;
    struct hash_pair pair;
    uint32_t next = at, target = place_for(*pack, at_ms);
    hash_pack_read(*pack, HASH_LISTPACK_EX, &next, &scratch, &pair);
    uint32_t expiry_at = listpack_after(*pack, listpack_after(*pack, at));
    if (target == at || target == next)
        return listpack_replace_i64(pack, expiry_at, at_ms == EXPIRY_NONE ? 0 : at_ms);

    /* It is written once more at its new place before it goes from the old one, so that nothing is lost. */
    char digits[NUM_I64_MAX_LEN];
    size_t text_len = pair.field.len + pair.value.len;
    char *text = mem_try_alloc(text_len);
    if (!text)
        return false;
    memcpy(text, pair.field.ptr, pair.field.len);
    memcpy(text + pair.field.len, pair.value.ptr, pair.value.len);
    struct bytes texts[] = { bytes_make(text, pair.field.len), bytes_make(text + pair.field.len, pair.value.len),
        bytes_make(digits, num_format_i64(digits, at_ms == EXPIRY_NONE ? 0 : at_ms)) };
    uint32_t bytes_before = listpack_bytes(*pack);
    bool done = listpack_insert_batch(pack, target, texts, 3) != 0;
    mem_free(text);
    if (done)
        listpack_delete_range(pack, target < at ? at + listpack_bytes(*pack) - bytes_before : at, 3);
    return done;
}

/* --- Reading and setting --- */

static int64_t pack_expiry_at(const unsigned char *pack, uint32_t at)
{
    int64_t at_ms = listpack_get(pack, listpack_after(pack, listpack_after(pack, at))).number;
    return at_ms ? at_ms : EXPIRY_NONE;
}

bool hash_get_expiry(const struct entry *entry, struct bytes field, int64_t now_ms, int64_t *at_ms)
{
    int64_t found_ms = EXPIRY_NONE;
    if (entry->encoding == HASH_TABLE) {
        const struct hash_table *hash = entry_pointer(entry);
        uint64_t *slot = table_find(&hash->table, hash_bytes(field.ptr, field.len), field_has_name, &field);
        if (!slot)
            return false;
        found_ms = field_expiry(table_slot_item(slot));
    } else {
        const unsigned char *pack = entry_pointer(entry);
        uint32_t at = listpack_find(pack, listpack_first(pack), field, hash_stride(entry->encoding) - 1);
        if (!at)
            return false;
        if (entry->encoding == HASH_LISTPACK_EX)
            found_ms = pack_expiry_at(pack, at);
    }
    if (found_ms != EXPIRY_NONE && now_ms > found_ms)
        return false;
    *at_ms = found_ms;
    return true;
}

int64_t hash_expiry_at(const struct hash_writer *writer, const struct hash_place *place)
{
    if (writer->encoding == HASH_TABLE)
        return field_expiry(table_slot_item(place->slot));
    return writer->encoding == HASH_LISTPACK_EX ? pack_expiry_at(writer->value, place->at) : EXPIRY_NONE;
}

/* The place in a listpack of the same fields in the same order, but with expiries. */
static uint32_t place_with_expiries(const unsigned char *pack, uint32_t at, const unsigned char *wide)
{
    uint32_t wide_at = LISTPACK_HEADER;
    for (uint32_t i = LISTPACK_HEADER; i != at; i = listpack_after(pack, listpack_after(pack, i)))
        for (int j = 0; j < 3; j++)
            wide_at = listpack_after(wide, wide_at);
    return wide_at;
}

bool hash_set_expiry(struct hash_writer *writer, const struct hash_place *place, int64_t at_ms)
{
    hash_writer_edit(writer);
    if (writer->encoding == HASH_TABLE)
        return hash_table_set(writer->value, place->slot, field_value(table_slot_item(place->slot)), at_ms);
    if (writer->encoding == HASH_LISTPACK && at_ms == EXPIRY_NONE)
        return true;
    unsigned char *pack = writer->value;
    uint32_t at = place->at;
    if (writer->encoding == HASH_LISTPACK) {
        unsigned char *wide = pack_with_expiries(pack);
        if (!wide)
            return false;
        at = place_with_expiries(pack, at, wide);
        listpack_destroy(pack);
        writer->encoding = HASH_LISTPACK_EX;
        pack = wide;
    }
    bool done = hash_pack_set_expiry(&pack, at, at_ms);
    writer->value = pack;
    return done;
}

/* --- Removing what has expired --- */

static unsigned pack_expire(struct entry *entry, struct value_expiry *expiry)
{
    unsigned char *pack = entry_pointer(entry);
    struct hash_scratch scratch;
    struct hash_pair pair;
    size_t count = 0;
    for (uint32_t at = LISTPACK_HEADER; hash_pack_read(pack, HASH_LISTPACK_EX, &at, &scratch, &pair); count++) {
        if (!hash_pair_is_expired(&pair, expiry->now_ms))
            break;
        if (expiry->tell)
            expiry->tell(expiry, pair.field);
    }
    if (count) {
        listpack_delete_range(&pack, LISTPACK_HEADER, count * 3);
        entry_set_pointer(entry, HASH_LISTPACK_EX, pack);
    }
    expiry->removed += count;
    if (listpack_is_empty(pack))
        return VALUE_EMPTY;
    return hash_pack_next_ms(pack) == HASH_NEVER ? 0 : VALUE_EXPIRES;
}

enum { STEP_FIELDS = 256 }; /* a chain of the table's buckets is hardly ever as long */

struct step {
    struct hash_table *hash;
    int64_t now_ms;
    size_t met, count;
    void *expired[STEP_FIELDS];
};

static void visit(void *context, uint64_t *slot)
{
    struct step *step = context;
    void *field = table_slot_item(slot);
    int64_t at_ms = field_expiry(field);
    step->met++;
    if (step->now_ms > at_ms && step->count < STEP_FIELDS)
        step->expired[step->count++] = field;
    else if (at_ms < step->hash->walk_next_ms)
        step->hash->walk_next_ms = at_ms;
}

static bool is_same_field(const void *field, const void *sought)
{
    return field == sought;
}

/* Goes through the buckets behind the cursor until about *items fields were met. */
static void table_expire(struct hash_table *hash, struct value_expiry *expiry, size_t *items)
{
    if (hash->walk_cursor == 0)
        hash->walk_next_ms = HASH_NEVER;
    do {
        struct step step = { .hash = hash, .now_ms = expiry->now_ms };
        hash->walk_cursor = table_scan_marked(&hash->table, hash->walk_cursor, visit, &step);
        for (size_t i = 0; i < step.count; i++) {
            struct bytes name = field_name(step.expired[i]);
            uint64_t name_hash = hash_bytes(name.ptr, name.len);
            uint64_t *slot = table_find(&hash->table, name_hash, is_same_field, step.expired[i]);
            ASSERT(slot);
            if (expiry->tell)
                expiry->tell(expiry, name);
            hash_table_remove(hash, name_hash, slot);
        }
        expiry->removed += step.count;
        *items -= step.met + 1 < *items ? step.met + 1 : *items;
    } while (hash->walk_cursor && *items);
    if (hash->walk_cursor == 0)
        hash->next_ms = hash->walk_next_ms;
}

unsigned hash_expire(struct entry *entry, struct value_expiry *expiry)
{
    if (expiry->now_ms <= hash_next_ms(entry->encoding, entry_pointer(entry)))
        return VALUE_EXPIRES;
    if (entry->encoding != HASH_TABLE)
        return pack_expire(entry, expiry);
    struct hash_table *hash = entry_pointer(entry);
    bool hurried = expiry->round == 0;
    if (hurried ? hash->walk_cursor != 0 || table_count(&hash->table) > expiry->items
                : hash->walk_round == expiry->round)
        return VALUE_EXPIRES;
    size_t all = SIZE_MAX;
    table_expire(hash, expiry, hurried ? &all : &expiry->items);
    if (table_count(&hash->table) == 0)
        return VALUE_EMPTY;
    if (hash->volatile_count == 0)
        return 0;
    if (hash->walk_cursor)
        return VALUE_EXPIRES | VALUE_UNFINISHED;
    if (!hurried)
        hash->walk_round = expiry->round;
    return VALUE_EXPIRES;
}
