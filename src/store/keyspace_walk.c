/*
 * Walks over a database: the background expiry, and drawing a key at random.
 *
 * The expiry walk goes in batches of a few buckets. First the marked entries of all of them are noted and prefetched,
 * touching none; then each is looked at, when it is in the cache. Removals come last, since a removal moves slots. One
 * round of the walk meets every entry that can expire once; the average TTL is that of the last full round.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "base/random.h"
#include "keyspace_priv.h"
#include "store/keyspace.h"

struct entry *keyspace_random(struct keyspace *keyspace, struct db *db, struct random *random, int64_t now_ms)
{
    uint64_t *slot;
    while ((slot = table_random(&db->table, random))) {
        struct entry *entry = table_slot_item(slot);
        if (!entry_is_expired(entry, now_ms))
            return entry;
        struct key key = key_make(entry_key(entry));
        keyspace_expire(keyspace, db, key.hash, slot);
    }
    return NULL;
}

enum {
    WALK_BUCKETS = 16,
    WALK_ENTRIES = 256, /* about three times what so many buckets hold */
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

static void expire_entry(struct keyspace *keyspace, struct db *db, struct entry *entry)
{
    struct bytes key = entry_key(entry);
    uint64_t hash = hash_bytes(key.ptr, key.len);
    uint64_t *slot = table_find(&db->table, hash, is_same_item, entry);
    ASSERT(slot);
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
    size_t met = 0, removed = 0;
    bool ended = db->expires == 0;
    if (ended)
        db->expire_cursor = 0;
    while (buckets && !ended) {
        struct walk_batch batch;
        ended = note_some(db, &batch, &buckets);
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
    return removed;
}
