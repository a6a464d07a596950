/*
 * The keyspace's doors for the types: what puts an entry into a database or changes its shape there.
 *
 * The types' files find a slot once (keyspace_find), and hand it on with the entry, so that no change needs a second
 * look-up. All bookkeeping (marks, the number of entries that expire, dirty, the observer) is done in here.
 */
#pragma once

#include "entry_priv.h"
#include "evict_priv.h"
#include "store/keyspace.h"

static inline uint64_t *keyspace_find(const struct db *db, const struct key *key)
{
    return table_find(&db->table, key->hash, entry_has_key, key);
}

/* A use of a key, or the arrival of one: what the clock ticks by. */
static inline void keyspace_count_use(struct keyspace *keyspace)
{
    if (__builtin_expect(++keyspace->uses >= keyspace->uses_per_tick, 0)) {
        keyspace->uses = 0;
        keyspace->clock++;
    }
}

/* Dirties the entry's cache line only when there is something new to say. */
static inline void keyspace_touch(struct keyspace *keyspace, struct entry *entry)
{
    keyspace_count_use(keyspace);
    if (__builtin_expect(keyspace->access != ACCESS_TIME, 0)) {
        if (keyspace->touch)
            evict_touch(keyspace, entry);
        return;
    }
    uint32_t clock = keyspace->clock & ENTRY_CLOCK_MASK;
    if (keyspace->touch && entry->clock != clock)
        entry->clock = clock;
}

/* Tells that something changed under the key. */
static inline void keyspace_changed(struct keyspace *keyspace, struct db *db, struct bytes key)
{
    keyspace->stats.dirty++;
    if (__builtin_expect(keyspace->watched && keyspace->observer.touched, 0))
        keyspace->observer.touched(keyspace->observer.context, db, key);
}

/* True if the value must stay as it is, however late it is. */
static inline bool keyspace_holds(const struct keyspace *keyspace, const struct entry *entry)
{
    return __builtin_expect(keyspace->holds && keyspace->observer.held, 0) &&
           keyspace->observer.held(keyspace->observer.context, entry_key(entry));
}

/* Sets the slot's mark, and counts, as the flags of what was in the slot and of what is now demand. */
static inline void keyspace_mark(struct db *db, uint64_t *slot, unsigned old_flags, unsigned flags)
{
    unsigned changed = old_flags ^ flags;
    if (!(changed & (ENTRY_EXPIRES | ENTRY_PARTS)))
        return;
    if (changed & ENTRY_EXPIRES)
        db->expires += flags & ENTRY_EXPIRES ? 1 : (size_t)-1;
    if (changed & ENTRY_PARTS)
        db->parts_expire += flags & ENTRY_PARTS ? 1 : (size_t)-1;
    table_slot_set_mark(slot, flags & (ENTRY_EXPIRES | ENTRY_PARTS));
}

/*
 * Adds an entry, owned by the keyspace from then on, under a key that is not there. One change; sets the access time.
 */
void keyspace_insert(struct keyspace *keyspace, struct db *db, const struct key *key, struct entry *entry);

/*
 * Puts another entry of the same key into the slot and frees what was there, in slices if it is large. The caller has
 * said so with keyspace_edit before.
 */
void keyspace_replace(struct keyspace *keyspace, struct db *db, uint64_t *slot, struct entry *entry);

/*
 * Gives the entry in `slot` room for `value_len` bytes of value, of which the first `keep` stay, and the expiry `at_ms`
 * or none. Returns the entry, which may have moved.
 */
struct entry *keyspace_reshape(struct db *db, uint64_t *slot, int64_t at_ms, size_t value_len, size_t keep);

/* Parts of the entry's value can expire from now on, or no longer. */
void keyspace_set_parts(struct db *db, const struct key *key, struct entry *entry, bool expire);

/*
 * Removes expired parts of the entry in `slot`, and the entry if nothing is left; see value_type.expire. Returns enum
 * value_left. The slot is no longer valid if the entry is gone.
 */
unsigned keyspace_expire_parts(struct keyspace *keyspace, struct db *db, uint64_t hash, uint64_t *slot, int64_t now_ms,
    uint32_t round, size_t *items, size_t *removed);

/* Removes the entry in `slot` because memory is short. */
void keyspace_evict(struct keyspace *keyspace, struct db *db, uint64_t hash, uint64_t *slot);

/* Removes the expired entry in `slot`. */
void keyspace_expire(struct keyspace *keyspace, struct db *db, uint64_t hash, uint64_t *slot);
