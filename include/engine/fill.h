/*
 * Fills: one client computes what many miss.
 *
 * When a hot key is missing, the first who asks gets a lease, with a token; whoever asks meanwhile waits for the value
 * that the lease's holder will bring, or takes the last one if that may still be used. A lease that runs out, is given
 * back or is outdated by another change of the key is over: its token stores nothing any more.
 *
 * A key that was stored with a grace time leaves its value here when it expires, until the grace is over. What is kept
 * of a key is one record while there is a lease or a grace; every step costs O(1), and O(log n) for the deadlines.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/keyspace.h"

struct blob;
struct engine;

/*
 * Gives out the key's lease until `until_ms` (since 1970); false if somebody has it. Tokens are never 0 nor repeated.
 */
bool fill_lease(struct engine *engine, struct db *db, struct key key, int64_t until_ms, uint64_t *token);

/* Ends the lease if the token is the one that was given out for it; false otherwise. Tells nobody. */
bool fill_redeem(struct engine *engine, struct db *db, struct key key, uint64_t token);

/* Gives a lease back: the next who waits for the key gets it. False if the token is not that of the lease. */
bool fill_drop(struct engine *engine, struct db *db, struct key key, uint64_t token);

/* What the key holds now is kept for `grace_ms` after it expired. To be called right after it was stored. */
void fill_keep(struct engine *engine, struct db *db, struct key key, int64_t grace_ms);

/* The value that expired and is within its grace, borrowed until the next change; NULL if there is none. */
struct blob *fill_stale(const struct engine *engine, const struct db *db, struct key key, int64_t now_ms);

struct fill_stats {
    size_t records;             /* keys that have one */
    size_t leases;              /* given out now */
    uint64_t granted;           /* leases ever given out */
    uint64_t filled, dropped;   /* of those, redeemed and given back */
    uint64_t expired, outdated; /* of those, run out, and ended by another change of the key */
    uint64_t served_stale;      /* answers with a value in its grace; counted by the command */
};
void fill_stats_read(const struct engine *engine, struct fill_stats *stats);
void fill_count_stale(struct engine *engine);
