/*
 * Keyspace: databases, look-ups, and every change of an entry.
 *
 * A look-up is one table_find: a cache line of the table and the entry itself. Invariants, which keyspace_check tests:
 * a slot's mark says ENTRY_EXPIRES or ENTRY_PARTS of its entry, db counts both, an entry's size is the one that it was
 * allocated with or one of the same allocator class.
 *
 * Whatever removes an entry takes it out of the table first, tells the observer next and frees it last, so that an
 * observer finds the keyspace as it will be and a key that lies in the entry is good until the end.
 */
#include "store/keyspace.h"

#include "base/assert.h"
#include "base/mem.h"
#include "entry_priv.h"
#include "keyspace_priv.h"
#include "store/reclaim.h"
#include "store/settings.h"
#include "value_priv.h"

static uint64_t item_hash(const void *item)
{
    struct bytes key = entry_key(item);
    return hash_bytes(key.ptr, key.len);
}

static const struct table_type keyspace_table_type = { .hash = item_hash };

/* --- Databases --- */

static void db_reset(struct db *db)
{
    db->expires = 0;
    db->parts_expire = 0;
    db->expire_cursor = 0;
    db->expire_round = 1;
    db->ttl_sum_ms = 0;
    db->ttl_samples = 0;
    db->avg_ttl_ms = 0;
}

struct keyspace *keyspace_create(int db_count)
{
    ASSERT(db_count > 0);
    struct keyspace *keyspace = mem_zalloc(sizeof *keyspace);
    keyspace->dbs = mem_alloc((size_t)db_count * sizeof *keyspace->dbs);
    keyspace->db_count = db_count;
    keyspace->settings = &store_settings_default;
    keyspace->touch = true;
    keyspace->reclaim = reclaim_create();
    keyspace->evict = evict_create();
    curve_init(&keyspace->curve);
    keyspace->uses_per_tick = UINT32_MAX;
    for (int i = 0; i < db_count; i++) {
        struct db *db = mem_zalloc(sizeof *db);
        table_init(&db->table, &keyspace_table_type);
        db->index = i;
        db->curve_salt = (uint64_t)i * 0x9e3779b97f4a7c15u;
        db_reset(db);
        keyspace->dbs[i] = db;
    }
    return keyspace;
}

void keyspace_destroy(struct keyspace *keyspace)
{
    if (!keyspace)
        return;
    for (int i = 0; i < keyspace->db_count; i++) {
        reclaim_table_take(keyspace->reclaim, &keyspace->dbs[i]->table);
        mem_free(keyspace->dbs[i]);
    }
    reclaim_destroy(keyspace->reclaim);
    evict_destroy(keyspace->evict);
    curve_fini(&keyspace->curve);
    mem_free(keyspace->dbs);
    mem_free(keyspace);
}

struct db *keyspace_db(const struct keyspace *keyspace, int64_t index)
{
    return index >= 0 && index < keyspace->db_count ? keyspace->dbs[index] : NULL;
}

size_t keyspace_flush(struct keyspace *keyspace, struct db *db)
{
    size_t count = table_count(&db->table);
    reclaim_table_take(keyspace->reclaim, &db->table);
    db_reset(db);
    if (count)
        curve_forget(&keyspace->curve, keyspace->stats.hits + keyspace->stats.misses);
    keyspace->stats.dirty += count;
    if (keyspace->observer.replaced)
        keyspace->observer.replaced(keyspace->observer.context, db);
    return count;
}

void keyspace_swap(struct keyspace *keyspace, struct db *a, struct db *b)
{
    struct db old_a = *a;
    int index_b = b->index;
    uint64_t salt_b = b->curve_salt;
    *a = *b;
    a->index = old_a.index;
    a->curve_salt = old_a.curve_salt;
    *b = old_a;
    b->index = index_b;
    b->curve_salt = salt_b;
    keyspace->stats.dirty++;
    if (keyspace->observer.replaced) {
        keyspace->observer.replaced(keyspace->observer.context, a);
        keyspace->observer.replaced(keyspace->observer.context, b);
    }
}

/* --- The curve's view: a key of two databases is two keys --- */

static inline uint64_t curve_hash(const struct db *db, uint64_t hash)
{
    return hash ^ db->curve_salt;
}

static __attribute__((noinline)) void follow_read(struct keyspace *keyspace, struct db *db, uint64_t hash, bool hit)
{
    struct curve *curve = &keyspace->curve;
    if (curve->keys < keyspace_size(db))
        curve->keys = keyspace_size(db);
    curve_read(curve, curve_hash(db, hash), hit, keyspace->stats.hits + keyspace->stats.misses);
}

static __attribute__((noinline)) void follow_write(struct keyspace *keyspace, struct db *db, uint64_t hash)
{
    struct curve *curve = &keyspace->curve;
    if (curve->keys < keyspace_size(db))
        curve->keys = keyspace_size(db);
    curve_write(curve, curve_hash(db, hash), keyspace->stats.hits + keyspace->stats.misses);
}

static inline void follow_removal(struct keyspace *keyspace, const struct db *db, uint64_t hash)
{
    if (curve_follows(&keyspace->curve, curve_hash(db, hash)))
        curve_remove(&keyspace->curve, curve_hash(db, hash));
}

/* --- Taking entries out --- */

/* Out of the table only; the entry is the caller's. */
static struct entry *take_out(struct db *db, uint64_t hash, uint64_t *slot)
{
    struct entry *entry = table_slot_item(slot);
    keyspace_mark(db, slot, entry->flags, 0);
    table_remove(&db->table, hash, slot);
    return entry;
}

void keyspace_expire(struct keyspace *keyspace, struct db *db, uint64_t hash, uint64_t *slot)
{
    struct entry *entry = take_out(db, hash, slot);
    const struct keyspace_observer *observer = &keyspace->observer;
    keyspace->stats.expired++;
    follow_removal(keyspace, db, hash);
    if (observer->expired)
        observer->expired(observer->context, db, entry);
    if (keyspace->watched && observer->touched)
        observer->touched(observer->context, db, entry_key(entry));
    reclaim_entry_take(keyspace->reclaim, entry);
}

void keyspace_evict(struct keyspace *keyspace, struct db *db, uint64_t hash, uint64_t *slot)
{
    struct entry *entry = take_out(db, hash, slot);
    const struct keyspace_observer *observer = &keyspace->observer;
    keyspace->stats.evicted++;
    keyspace->stats.dirty++;
    if (observer->evicted)
        observer->evicted(observer->context, db, entry_key(entry));
    if (keyspace->watched && observer->touched)
        observer->touched(observer->context, db, entry_key(entry));
    reclaim_entry_take(keyspace->reclaim, entry);
}

bool keyspace_remove(struct keyspace *keyspace, struct db *db, struct key key)
{
    uint64_t *slot = keyspace_find(db, &key);
    if (!slot)
        return false;
    struct entry *entry = take_out(db, key.hash, slot);
    follow_removal(keyspace, db, key.hash);
    keyspace_changed(keyspace, db, entry_key(entry));
    reclaim_entry_take(keyspace->reclaim, entry);
    return true;
}

void keyspace_set_parts(struct db *db, const struct key *key, struct entry *entry, bool expire)
{
    unsigned flags = (entry->flags & ~(unsigned)ENTRY_PARTS) | (expire ? ENTRY_PARTS : 0u);
    uint64_t *slot = keyspace_find(db, key);
    ASSERT(slot && table_slot_item(slot) == entry);
    keyspace_mark(db, slot, entry->flags, flags);
    entry->flags = (uint8_t)flags;
}

/* Around a value's expiry: whose parts expire, for the observer. */
struct parts_expiry {
    struct value_expiry value; /* first */
    struct keyspace *keyspace;
    struct db *db;
    const struct entry *entry;
};

static void tell_part(struct value_expiry *expiry, struct bytes part)
{
    struct parts_expiry *self = (struct parts_expiry *)expiry;
    const struct keyspace_observer *observer = &self->keyspace->observer;
    observer->part_expired(observer->context, self->db, entry_key(self->entry), part);
}

unsigned keyspace_expire_parts(struct keyspace *keyspace, struct db *db, uint64_t hash, uint64_t *slot, int64_t now_ms,
    uint32_t round, size_t *items, size_t *removed)
{
    struct entry *entry = table_slot_item(slot);
    if (keyspace_holds(keyspace, entry))
        return VALUE_EXPIRES;
    const struct keyspace_observer *observer = &keyspace->observer;
    struct parts_expiry expiry = {
        .value = { now_ms, round, *items, 0, observer->part_expired ? tell_part : NULL },
        .keyspace = keyspace,
        .db = db,
        .entry = entry,
    };
    unsigned left = value_type_of(entry)->expire(entry, &expiry.value);
    size_t count = expiry.value.removed;
    *items = expiry.value.items;
    *removed += count;
    keyspace->stats.expired_parts += count;
    if (!(left & VALUE_EXPIRES)) {
        keyspace_mark(db, slot, entry->flags, entry->flags & ~(unsigned)ENTRY_PARTS);
        entry->flags &= (uint8_t)~ENTRY_PARTS;
    }
    if (left & VALUE_EMPTY)
        take_out(db, hash, slot);
    if (count && observer->parts_expired)
        observer->parts_expired(observer->context, db, entry_key(entry), left & VALUE_EMPTY);
    if (count && keyspace->watched && observer->touched)
        observer->touched(observer->context, db, entry_key(entry));
    if (left & VALUE_EMPTY)
        reclaim_entry_take(keyspace->reclaim, entry);
    return left;
}

/* --- Looking up --- */

/* The rare way, kept out of the look-ups: the entry, or parts of it, can expire. */
static __attribute__((noinline)) struct entry *find_mortal(
    struct keyspace *keyspace, struct db *db, uint64_t hash, uint64_t *slot, int64_t now_ms)
{
    enum { PARTS_AT_ONCE = 256 };
    struct entry *entry = table_slot_item(slot);
    if (entry_is_expired(entry, now_ms)) {
        if (!keyspace->keeps_expired && !keyspace_holds(keyspace, entry))
            keyspace_expire(keyspace, db, hash, slot);
        return NULL;
    }
    size_t items = PARTS_AT_ONCE, removed = 0;
    if (!(entry->flags & ENTRY_PARTS) || keyspace->keeps_parts)
        return entry;
    return keyspace_expire_parts(keyspace, db, hash, slot, now_ms, 0, &items, &removed) & VALUE_EMPTY ? NULL : entry;
}

static inline __attribute__((always_inline)) struct entry *find_alive(
    struct keyspace *keyspace, struct db *db, const struct key *key, int64_t now_ms)
{
    uint64_t *slot = table_find(&db->table, key->hash, entry_has_key, key); /* inlined for certain */
    if (!slot)
        return NULL;
    struct entry *entry = table_slot_item(slot);
    if (__builtin_expect(entry->flags & ENTRY_PARTS || entry_is_expired(entry, now_ms), 0))
        return find_mortal(keyspace, db, key->hash, slot, now_ms);
    return entry;
}

struct entry *keyspace_peek(struct keyspace *keyspace, struct db *db, struct key key, int64_t now_ms)
{
    return find_alive(keyspace, db, &key, now_ms);
}

struct entry *keyspace_glance(const struct db *db, struct key key)
{
    uint64_t *slot = keyspace_find(db, &key);
    return slot ? table_slot_item(slot) : NULL;
}

struct entry *keyspace_read_key(struct keyspace *keyspace, struct db *db, const struct key *key, int64_t now_ms)
{
    struct entry *entry = find_alive(keyspace, db, key, now_ms);
    if (!entry) {
        keyspace->stats.misses++;
        if (curve_follows(&keyspace->curve, curve_hash(db, key->hash)))
            follow_read(keyspace, db, key->hash, false);
        if (__builtin_expect(keyspace->tells_misses, 0))
            keyspace->observer.missed(keyspace->observer.context, db, key_bytes(*key));
        return NULL;
    }
    keyspace->stats.hits++;
    if (curve_follows(&keyspace->curve, curve_hash(db, key->hash)))
        follow_read(keyspace, db, key->hash, true);
    keyspace_touch(keyspace, entry);
    return entry;
}

struct entry *keyspace_write_key(struct keyspace *keyspace, struct db *db, const struct key *key, int64_t now_ms)
{
    struct entry *entry = find_alive(keyspace, db, key, now_ms);
    if (entry)
        keyspace_touch(keyspace, entry);
    return entry;
}

/* --- Changing --- */

void keyspace_edit(struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry)
{
    if (__builtin_expect(keyspace->access == ACCESS_CHANGE, 0))
        entry->clock = keyspace->clock & ENTRY_CLOCK_MASK;
    keyspace_changed(keyspace, db, key_bytes(key));
}

/* Follows the sizes of the entries that come in: a running mean, of which look-ups ask for the lines beforehand. */
static inline void estimate_size(struct db *db, const struct entry *entry)
{
    enum { WEIGHT = 16 };
    uint32_t size = (uint32_t)entry_size(entry), mean = db->table.item_size;
    db->table.item_size = size > mean ? mean + (size - mean + WEIGHT - 1) / WEIGHT : mean - (mean - size) / WEIGHT;
}

static inline void tell_arrival(struct keyspace *keyspace, struct db *db, const struct key *key)
{
    if (__builtin_expect(keyspace->tells_arrivals, 0))
        keyspace->observer.arrived(keyspace->observer.context, db, key_bytes(*key));
}

static inline uint64_t *put_in(struct db *db, const struct key *key, struct entry *entry)
{
    estimate_size(db, entry);
    uint64_t *slot = table_insert(&db->table, key->hash, entry);
    keyspace_mark(db, slot, 0, entry->flags);
    return slot;
}

void keyspace_insert(struct keyspace *keyspace, struct db *db, const struct key *key, struct entry *entry)
{
    keyspace_count_use(keyspace);
    if (__builtin_expect(keyspace->access == ACCESS_TIME, 1))
        entry->clock = keyspace->clock & ENTRY_CLOCK_MASK;
    else
        evict_arrive(keyspace, key, entry);
    put_in(db, key, entry);
    if (curve_follows(&keyspace->curve, curve_hash(db, key->hash)))
        follow_write(keyspace, db, key->hash);
    tell_arrival(keyspace, db, key);
    keyspace_changed(keyspace, db, key_bytes(*key));
}

void keyspace_replace(struct keyspace *keyspace, struct db *db, uint64_t *slot, struct entry *entry)
{
    struct entry *old = table_slot_item(slot);
    table_slot_set_item(slot, entry);
    keyspace_mark(db, slot, old->flags, entry->flags);
    reclaim_entry_take(keyspace->reclaim, old);
}

struct entry *keyspace_reshape(struct db *db, uint64_t *slot, int64_t at_ms, size_t value_len, size_t keep)
{
    struct entry *entry = table_slot_item(slot);
    unsigned old_flags = entry->flags;
    bool expires = at_ms != EXPIRY_NONE;
    size_t size = entry_size_for(entry_key(entry).len, expires, value_len);
    if (entry_fits_in_place(entry, size)) {
        entry_reshape_into(entry, entry, at_ms, value_len, keep);
    } else {
        struct entry *moved = mem_alloc(size);
        entry_reshape_into(moved, entry, at_ms, value_len, keep);
        table_slot_set_item(slot, moved);
        entry_free(entry);
        entry = moved;
    }
    keyspace_mark(db, slot, old_flags, entry->flags);
    return entry;
}

struct entry *keyspace_set_expiry(
    struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry, int64_t at_ms)
{
    ASSERT(at_ms != EXPIRY_KEEP);
    keyspace_edit(keyspace, db, key, entry);
    bool expires = at_ms != EXPIRY_NONE;
    if (expires && entry->flags & ENTRY_EXPIRES) {
        entry_set_expiry_field(entry, at_ms);
        return entry;
    }
    if (expires == !!(entry->flags & ENTRY_EXPIRES))
        return entry;
    uint64_t *slot = keyspace_find(db, &key);
    ASSERT(slot && table_slot_item(slot) == entry);
    return keyspace_reshape(db, slot, at_ms, entry->value_len, entry->value_len);
}

/* A new entry of another key with the same content, byte by byte: value and all that it owns are in both. */
static struct entry *entry_clone(const struct entry *entry, struct bytes key)
{
    struct entry *clone = entry_create(key, (struct entry_shape){
                                                .type = entry->type,
                                                .encoding = entry->encoding,
                                                .value_len = entry->value_len,
                                                .at_ms = entry_expiry(entry),
                                            });
    clone->clock = entry->clock;
    clone->flags |= entry->flags & (ENTRY_RAW | ENTRY_PARTS);
    if (entry->value_len)
        memcpy(entry_value(clone), entry_value(entry), entry->value_len);
    return clone;
}

/* Where something may be already. Not a change by itself. */
static void put_over(struct keyspace *keyspace, struct db *db, const struct key *key, struct entry *entry)
{
    evict_adopt(keyspace, entry);
    uint64_t *slot = keyspace_find(db, key);
    if (slot)
        keyspace_replace(keyspace, db, slot, entry);
    else
        put_in(db, key, entry);
    tell_arrival(keyspace, db, key);
}

void keyspace_move(struct keyspace *keyspace, struct db *from_db, struct key from, struct db *to_db, struct key to)
{
    uint64_t *slot = keyspace_find(from_db, &from);
    ASSERT(slot);
    struct entry *old = take_out(from_db, from.hash, slot);
    struct entry *entry = bytes_equal(key_bytes(from), key_bytes(to)) ? old : entry_clone(old, key_bytes(to));
    put_over(keyspace, to_db, &to, entry);
    if (keyspace->watched && keyspace->observer.touched)
        keyspace->observer.touched(keyspace->observer.context, from_db, key_bytes(from));
    keyspace_changed(keyspace, to_db, entry_key(entry));
    if (entry != old)
        entry_free(old);
}

void keyspace_copy(struct keyspace *keyspace, struct db *from_db, struct key from, struct db *to_db, struct key to)
{
    uint64_t *slot = keyspace_find(from_db, &from);
    ASSERT(slot);
    struct entry *entry = entry_clone(table_slot_item(slot), key_bytes(to));
    value_copy(entry);
    entry->clock = keyspace->clock & ENTRY_CLOCK_MASK;
    put_over(keyspace, to_db, &to, entry);
    keyspace_changed(keyspace, to_db, entry_key(entry));
}
