/*
 * Walks over a database: the background expiry, and drawing a key at random.
 *
 * The expiry walk goes in batches of a few buckets. First the marked entries of all of them are noted and prefetched,
 * touching none; then each is looked at, when it is in the cache. Parts of values (fields of hashes) that have expired
 * go first; where a value has too many for one step, the walk comes back to the same batch until it is through, so
 * large hashes are walked like the database itself. Removals of keys come last, since a removal moves slots. One
 * round of the walk meets every entry that can expire once; the average TTL is that of the last full round.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "base/random.h"
#include "keyspace_priv.h"
#include "store/keyspace.h"
#include "value_priv.h"

enum { RANDOM_TRIES = 1000 }; /* expired keys that a draw meets before it finds that there are none but such */

struct entry *keyspace_random(struct keyspace *keyspace, struct db *db, struct random *random, int64_t now_ms)
{
    uint64_t *slot;
    for (int tries = 0; (slot = table_random(&db->table, random)); tries++) {
        struct entry *entry = table_slot_item(slot);
        if (!entry_is_expired(entry, now_ms))
            return entry;
        if (tries == RANDOM_TRIES)
            return keyspace->keeps_expired ? entry : NULL;
        if (keyspace->keeps_expired || keyspace_holds(keyspace, entry))
            continue;
        struct key key = key_make(entry_key(entry));
        keyspace_expire(keyspace, db, key.hash, slot);
    }
    return NULL;
}

enum {
    WALK_BUCKETS = 16,
    WALK_ENTRIES = 256, /* about three times what so many buckets hold */
    WALK_ITEMS = 5,     /* of a value, that cost as much as a bucket */
};

struct walk_batch {
    struct entry *entries[WALK_ENTRIES]; /* borrowed */
    size_t count;
};

/* What finds no room is met in the next round: a batch this full has buckets out of all proportion. */
static void note_volatile(void *context, uint64_t *slot)
{
    struct walk_batch *batch = context;
    if (batch->count == WALK_ENTRIES)
        return;
    batch->entries[batch->count] = table_slot_item(slot);
    __builtin_prefetch(batch->entries[batch->count++]);
}

static bool is_same_item(const void *item, const void *sought)
{
    return item == sought;
}

static uint64_t *find_entry(const struct db *db, const struct entry *entry, uint64_t *hash)
{
    struct bytes key = entry_key(entry);
    *hash = hash_bytes(key.ptr, key.len);
    uint64_t *slot = table_find(&db->table, *hash, is_same_item, entry);
    ASSERT(slot);
    return slot;
}

/*
 * Removes the expired parts of the batch's values, looking at about WALK_ITEMS for each of *buckets, which are taken
 * off. True if it must go on with the same batch.
 */
static bool expire_parts(struct keyspace *keyspace, struct db *db, struct walk_batch *batch, int64_t now_ms,
    size_t *buckets, size_t *removed)
{
    size_t budget = (*buckets > WALK_BUCKETS ? *buckets : WALK_BUCKETS) * WALK_ITEMS, items = budget;
    bool unfinished = false;
    for (size_t i = 0; i < batch->count && !unfinished; i++) {
        struct entry *entry = batch->entries[i];
        if (!(entry->flags & ENTRY_PARTS) || entry_is_expired(entry, now_ms))
            continue;
        uint64_t hash, *slot = find_entry(db, entry, &hash);
        unsigned left = keyspace_expire_parts(keyspace, db, hash, slot, now_ms, db->expire_round, &items, removed);
        if (left & VALUE_EMPTY)
            batch->entries[i] = NULL;
        unfinished = left & VALUE_UNFINISHED;
    }
    size_t spent = (budget - items) / WALK_ITEMS;
    *buckets -= spent < *buckets ? spent : *buckets;
    return unfinished;
}

static void expire_entry(struct keyspace *keyspace, struct db *db, struct entry *entry)
{
    if (keyspace_holds(keyspace, entry))
        return;
    uint64_t hash, *slot = find_entry(db, entry, &hash);
    keyspace_expire(keyspace, db, hash, slot);
}

/* Expiries may be as far away as an integer reaches: where the sum would overflow, the samples so far count half. */
static void sample_ttl(struct db *db, int64_t ttl_ms)
{
    if (__builtin_add_overflow(db->ttl_sum_ms, ttl_ms, &db->ttl_sum_ms)) {
        db->ttl_sum_ms = (int64_t)(((uint64_t)db->ttl_sum_ms) / 2);
        db->ttl_samples /= 2;
    }
    db->ttl_samples++;
}

/* Removes the expired of a batch and samples the rest; returns how many it removed. */
static size_t expire_batch(struct keyspace *keyspace, struct db *db, const struct walk_batch *batch, int64_t now_ms)
{
    struct entry *expired[WALK_ENTRIES];
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->entries[i] || !(batch->entries[i]->flags & ENTRY_EXPIRES))
            continue;
        int64_t at_ms = entry_expiry(batch->entries[i]);
        if (now_ms > at_ms)
            expired[count++] = batch->entries[i];
        else
            sample_ttl(db, at_ms - now_ms);
    }
    for (size_t i = 0; i < count; i++)
        expire_entry(keyspace, db, expired[i]);
    return count;
}

static void end_round(struct db *db)
{
    db->avg_ttl_ms = db->ttl_samples ? db->ttl_sum_ms / (int64_t)db->ttl_samples : 0;
    db->ttl_sum_ms = 0;
    db->ttl_samples = 0;
    if (++db->expire_round == 0)
        db->expire_round = 1;
}

/* Walks over at most WALK_BUCKETS buckets; true if the round ended. */
static bool note_some(struct db *db, struct walk_batch *batch, size_t *buckets)
{
    batch->count = 0;
    for (size_t i = 0; i < WALK_BUCKETS && *buckets; i++) {
        db->expire_cursor = table_scan_marked(&db->table, db->expire_cursor, note_volatile, batch);
        --*buckets;
        if (db->expire_cursor == 0)
            return true;
    }
    return false;
}

size_t keyspace_expire_step(struct keyspace *keyspace, struct db *db, size_t buckets, int64_t now_ms, size_t *rounds)
{
    size_t met = 0, removed = 0, parts = 0;
    bool ended = db->expires + db->parts_expire == 0;
    if (ended)
        db->expire_cursor = 0;
    while (buckets && !ended) {
        struct walk_batch batch;
        uint64_t from = db->expire_cursor;
        ended = note_some(db, &batch, &buckets);
        if (expire_parts(keyspace, db, &batch, now_ms, &buckets, &parts)) {
            db->expire_cursor = from;
            ended = false;
            break;
        }
        met += batch.count;
        removed += expire_batch(keyspace, db, &batch, now_ms);
    }
    if (ended) {
        end_round(db);
        ++*rounds;
    }
    struct keyspace_stats *stats = &keyspace->stats;
    stats->expired_by_walk += removed;
    if (met)
        stats->expired_stale_ratio += 0.05 * ((double)removed / (double)met - stats->expired_stale_ratio);
    return removed + parts;
}
