/*
 * Keyspace: the numbered databases, and the one door to every change of an entry.
 *
 * A database is a table of entries (ds/table.h); the table's mark is set on entries that can expire, as a whole or in
 * parts (fields of a hash), so that the background walk touches only those. Time is an argument everywhere. An expired
 * entry is never seen: whoever meets one removes it and finds nothing.
 *
 * Every change passes keyspace_edit, an insertion or a removal; dirty counts and the observer hang there, and nothing
 * else changes entries. Memory of removed values that are large, and of whole databases, is given back in slices by
 * reclaim_step (store/reclaim.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "ds/table.h"
#include "store/curve.h"
#include "store/entry.h"
#include "store/observer.h"

struct evict;
struct random;
struct reclaim;
struct store_settings;

/* A key with its hash, so that it is computed once. Borrowed, like bytes. */
struct key {
    const char *ptr;
    size_t len;
    uint64_t hash;
};

static inline struct key key_make(struct bytes name)
{
    return (struct key){ name.ptr, name.len, hash_bytes(name.ptr, name.len) };
}

static inline struct bytes key_bytes(struct key key)
{
    return (struct bytes){ key.ptr, key.len };
}

struct db {
    struct table table;     /* of struct entry, owned */
    size_t expires;         /* entries that can expire */
    size_t parts_expire;    /* entries that parts of can expire by themselves: hashes with such fields */
    uint64_t expire_cursor; /* of the background walk */
    uint32_t expire_round;  /* of the background walk, counted from 1 */
    int64_t ttl_sum_ms;     /* of the walk's current round: sum and number of TTLs met */
    size_t ttl_samples;
    int64_t avg_ttl_ms;  /* of the last round */
    uint64_t curve_salt; /* by which its keys differ from those of other databases */
    int index;
};

struct keyspace_stats {
    uint64_t hits, misses;      /* of keyspace_read */
    uint64_t expired;           /* keys removed because their time had come */
    uint64_t evicted;           /* keys removed because memory was short */
    uint64_t expired_by_walk;   /* of those, by the background walk */
    uint64_t expired_parts;     /* fields of hashes removed because their time had come */
    uint64_t dirty;             /* changes since the last save */
    double expired_stale_ratio; /* running estimate: share of the volatile keys met by the walk that had expired */
};

struct keyspace {
    const struct store_settings *settings; /* borrowed; the defaults until its owner sets others */
    struct db **dbs;                       /* owned */
    int db_count;
    uint32_t clock;                    /* what a touched entry's clock is set to, in ticks; see store/evict.h */
    uint32_t uses, uses_per_tick;      /* uses since the last tick, and how many make one */
    uint8_t access;                    /* enum evict_access: how uses are noted */
    struct evict *evict;               /* owned */
    struct curve curve;                /* what the hit ratio would be with another limit */
    bool touch;                        /* false while the client asked for NO-TOUCH */
    uint32_t watched;                  /* above 0 while the observer wants `touched` */
    uint32_t holds;                    /* above 0 while the observer may hold keys */
    bool keeps_expired;                /* who meets an expired entry leaves it; never while anything is inserted */
    bool keeps_parts;                  /* expired parts stay until they are asked for by name; for tests */
    bool tells_misses, tells_arrivals; /* while the observer wants `missed`, `arrived` */
    struct reclaim *reclaim;           /* owned */
    struct keyspace_observer observer;
    struct keyspace_stats stats;
};

/* `db_count` empty databases. */
struct keyspace *keyspace_create(int db_count);

/* Frees everything, at once. NULL is nothing. */
void keyspace_destroy(struct keyspace *keyspace);

/* Database `index`, or NULL if there is none. */
struct db *keyspace_db(const struct keyspace *keyspace, int64_t index);

/* Keys in a database, expired ones that were not met yet included. */
static inline size_t keyspace_size(const struct db *db)
{
    return table_count(&db->table);
}

/*
 * --- Looking up ---
 * O(1). The entry is borrowed until the next change of the database. NULL if the key is missing, or was expired and is
 * now removed. The busiest are given a pointer: three words would go through the stack and be waited for there.
 */
struct entry *keyspace_read_key(struct keyspace *keyspace, struct db *db, const struct key *key, int64_t now_ms);
struct entry *keyspace_write_key(struct keyspace *keyspace, struct db *db, const struct key *key, int64_t now_ms);

/* Neither statistics nor access time. */
struct entry *keyspace_peek(struct keyspace *keyspace, struct db *db, struct key key, int64_t now_ms);

/* The entry as it lies there, expired or not; changes nothing. For looking ahead. */
struct entry *keyspace_glance(const struct db *db, struct key key);

/* For a command that reads: counts a hit or a miss and sets the access time. */
static inline struct entry *keyspace_read(struct keyspace *keyspace, struct db *db, struct key key, int64_t now_ms)
{
    return keyspace_read_key(keyspace, db, &key, now_ms);
}

/* For a command that will change the value: sets the access time. Whoever empties a queue asks an empty database. */
static inline struct entry *keyspace_write(struct keyspace *keyspace, struct db *db, struct key key, int64_t now_ms)
{
    return keyspace_size(db) ? keyspace_write_key(keyspace, db, &key, now_ms) : NULL;
}

/* Batched look-ups: first the buckets of all keys, then the entries of all keys. */
static inline const struct table_bucket *keyspace_prefetch_bucket(const struct db *db, uint64_t hash)
{
    return table_prefetch_bucket(&db->table, hash);
}

static inline void keyspace_prefetch_entry(const struct db *db, uint64_t hash)
{
    table_prefetch_items(&db->table, hash);
}

/* The same where the bucket is known and nothing has changed since. */
static inline void keyspace_prefetch_in(const struct db *db, const struct table_bucket *bucket, uint64_t hash)
{
    table_prefetch_in(&db->table, bucket, hash);
}

/* --- Changing --- */

/* To be called before the value of an entry is changed in place. */
void keyspace_edit(struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry);

/*
 * Removes the key; true if it was there (expired or not: ask keyspace_peek first where that matters). O(1), whatever
 * its size.
 */
bool keyspace_remove(struct keyspace *keyspace, struct db *db, struct key key);

/*
 * Sets the moment at which the entry expires (ms since 1970), or EXPIRY_NONE. Counts as a change. Returns the entry,
 * which may have moved. O(1), but O(key and value in the entry) when the expiry comes or goes.
 */
struct entry *keyspace_set_expiry(
    struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry, int64_t at_ms);

/*
 * Moves the value and its expiry to another key and database, replacing what is there, expired or not. `from` exists,
 * and the places differ. Counts as one change; both keys are touched. O(1).
 */
void keyspace_move(struct keyspace *keyspace, struct db *from_db, struct key from, struct db *to_db, struct key to);

/* The same with a copy; large strings are shared until one changes. */
void keyspace_copy(struct keyspace *keyspace, struct db *from_db, struct key from, struct db *to_db, struct key to);

/* Empties a database at once; the memory follows in slices. Returns how many keys it had. */
size_t keyspace_flush(struct keyspace *keyspace, struct db *db);

/* Exchanges the contents of two databases. Counts as one change. O(1). */
void keyspace_swap(struct keyspace *keyspace, struct db *a, struct db *b);

/* --- Walking --- */

/*
 * A key chosen uniformly among those that are not expired, or NULL. Expected O(1) while most keys are alive; expired
 * ones met are removed.
 */
struct entry *keyspace_random(struct keyspace *keyspace, struct db *db, struct random *random, int64_t now_ms);

/*
 * One step of the background walk over what can expire: visits `buckets` buckets of `db`, or of the large hashes in it,
 * and removes what has expired. Returns how many keys and fields it removed. At the end of the database the step ends
 * early, the average TTL is taken, and *rounds grows by one; the next step begins anew. O(buckets).
 */
size_t keyspace_expire_step(struct keyspace *keyspace, struct db *db, size_t buckets, int64_t now_ms, size_t *rounds);

/* Checks every invariant of all databases; calls `complain` for each that is broken, returns how many. O(n). */
size_t keyspace_check(
    const struct keyspace *keyspace, void (*complain)(void *context, const char *what), void *context);
