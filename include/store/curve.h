/*
 * Curve: what the hit ratio would be with less or more memory, watched while the server works.
 *
 * SHARDS of fixed size (Waldspurger, Park, Garthwaite, Ahmad, FAST 2015): keys whose hash is below a threshold are
 * followed, and for each read of one the number of different keys used since its last use is found, its stack distance.
 * A cache of least recent use that holds more keys than that has a hit. Distances are counted in keys and scaled by the
 * share that is followed; what luck brought too many or too few reads of popular keys is corrected by the number of all
 * reads (SHARDS-adj). It is LRU's curve, by number of keys, whatever the policy in force: under a better one the
 * estimate is a lower bound.
 *
 * A key that was deleted or has expired would be missing in a cache of any size, and its next read is a miss
 * everywhere; so is the read of a key that is never stored. What lies deeper than anybody asks for is forgotten.
 *
 * The followed share begins with all keys and falls when there are too many of them, 8192 or what takes 1/32 of the
 * limit of memory, or when following them takes more than about half a percent of the time. About 50 ns for a key that
 * is followed, one comparison for others. 19 bytes a followed key, and 5 KB.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct curve_samples;

struct curve {
    uint64_t threshold;            /* keys whose hash is below are followed now */
    uint64_t share;                /* the same while following is not paused; */
    double rate;                   /* and as a share of all */
    struct curve_samples *samples; /* owned */
    size_t keys;                   /* that are in memory, as of the last curve_tick */
    uint64_t reads;                /* of all keys, as of the last look */
    uint64_t processed, budget;    /* since the last curve_tick; when there are more, less is followed at once */
    double expected;               /* reads that should have been sampled, faded as the counts are */
    double cold;                   /* reads that miss whatever the size */
    bool is_limited;               /* as of the last curve_tick */
    bool is_paused;                /* the budget is used up, and fewer keys would be too few: until curve_tick */
};

void curve_init(struct curve *curve);
void curve_fini(struct curve *curve);

static inline bool curve_follows(const struct curve *curve, uint64_t hash)
{
    return __builtin_expect(hash < curve->threshold, 0);
}

/*
 * --- Of keys that are followed --- `reads` is the number of reads so far, of all keys, this one included.
 */
void curve_read(struct curve *curve, uint64_t hash, bool hit, uint64_t reads);

/* It was stored, or changed. */
void curve_write(struct curve *curve, uint64_t hash, uint64_t reads);

/* It was deleted, or has expired; not: was evicted. */
void curve_remove(struct curve *curve, uint64_t hash);

/*
 * To be called some ten times a second, with the keys in memory, all reads so far and the time at work since the last
 * call: adapts the followed share. Without a limit of memory (0) nobody is evicted, and less is followed: then the
 * share falls as soon as the budget of the time is used up, or following pauses until the next call. O(1); O(samples)
 * when it falls.
 */
void curve_tick(struct curve *curve, size_t keys, uint64_t reads, uint64_t spare_ms, size_t limit);

/* Memory has a limit from now on: the curve begins anew, as exact as it can be. Nothing if it had one. */
void curve_set_limited(struct curve *curve, uint64_t reads, size_t limit);

/* Halves what was counted, so that the recent past weighs more. */
void curve_fade(struct curve *curve, uint64_t reads);

/* Forgets what was counted; the order of keys stays known. `reads` is what the next calls count from. */
void curve_reset(struct curve *curve, uint64_t reads);

/* Forgets the keys, too: the databases were emptied. */
void curve_forget(struct curve *curve, uint64_t reads);

/* The share of reads (0 to 1) that would hit if `keys` keys fit into memory; 0 without any reads. O(1). */
double curve_hit_ratio(struct curve *curve, double keys, uint64_t reads);

/* The followed share of keys, 0 to 1; how many are followed now; and reads that the estimate rests on. */
double curve_rate(const struct curve *curve);
size_t curve_followed(const struct curve *curve);
double curve_weight(struct curve *curve, uint64_t reads);

size_t curve_memory(const struct curve *curve);
