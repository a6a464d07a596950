/*
 * TinyLFU: what W-TinyLFU keeps beside the keys: a sketch of frequencies, the window's order, ghosts, and small models
 * of the cache that find out what serves the load best.
 *
 * By the rule of frequency newcomers enter the window, a queue in order of arrival; who was used while there goes round
 * once more. Who leaves it stays only if it was used more often than a victim among the rest (the main region), which
 * is sought by sampling: the least frequent, and of these the one used last, which is what loops and scans want. Where
 * what is popular changes fast, counts are always late: by the rule of reuse who was used in the window stays without a
 * contest, who was not is remembered as a ghost and passes the window by when it comes again soon (2Q, Johnson, Shasha,
 * VLDB 1994), and the main region loses who rests longest, or longest for its uses. Soon is after less time than that
 * one has rested (LIRS, Jiang, Zhang, SIGMETRICS 2002): so who is used in a loop that does not fit never drives out
 * another of them, and part of the loop stays; and who rests there for no good reason gives way to ghosts, if these are
 * remembered for long enough.
 *
 * No single answer is good for all loads, so a few models of at most a thousand keys run beside the cache, on the uses
 * of a sample of keys (Einziger, Eytan, Friedman, Manes, "Adaptive software cache management", Middleware 2018). The
 * cache does as the model did that had the most hits of late.
 *
 * Memory: 1 to 2 bytes a key for the sketch (counters of four bits, never less than 64 KB), 4 bytes for each key in
 * the window, 3 bytes for each ghost, of which there are twice as many as keys, but no more than fit in 1/32 of the
 * limit of memory, and 22 to 28 bytes for each key in a model, so at most 200 KB, and 1/32 of the limit. Nobody but
 * store/evict.c uses this.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random;
struct tinylfu;

struct tinylfu *tinylfu_create(void);
void tinylfu_destroy(struct tinylfu *tinylfu);

/* The limit of memory, 0 for none: how much of it the models and the ghosts may take. */
void tinylfu_set_limit(struct tinylfu *tinylfu, size_t limit);

/* A key was used, or came: counts it. `keys` is how many the cache holds. O(1). */
void tinylfu_use(struct tinylfu *tinylfu, struct random *random, uint64_t hash, size_t keys);

/* How often a key was used of late, 0 to 15; never too low but for aging. */
unsigned tinylfu_frequency(const struct tinylfu *tinylfu, uint64_t hash);

/* The cache is full: the models decide from now on what is done. */
void tinylfu_set_full(struct tinylfu *tinylfu);

/* What decides who stays. */
enum tinylfu_rule {
    TINYLFU_FREQUENCY, /* who leaves the window competes with the least frequent of the main region */
    TINYLFU_REUSE,     /* who was used in the window stays, and the main region loses who rests longest */
    TINYLFU_RECENCY,   /* there is no window: LRU */
};

struct tinylfu_way {
    enum tinylfu_rule rule;
    unsigned permille; /* of all keys, in the window */
    bool by_uses;      /* by the rule of reuse: who was used often may rest longer */
};

/* How it is done at present. */
const struct tinylfu_way *tinylfu_way(const struct tinylfu *tinylfu);

/* Keys that the window should hold, of so many, where there is one: at least one. */
size_t tinylfu_window_target(const struct tinylfu *tinylfu, size_t keys);

/*
 * A key left the window for good, without a use there; `keys` is how many the cache holds, `used_at` the tick of its
 * last use. O(1).
 */
void tinylfu_forgo(struct tinylfu *tinylfu, uint64_t hash, size_t keys, uint64_t used_at);

/* How long, in ticks, the one rests in the main region that rests longest. */
void tinylfu_set_reach(struct tinylfu *tinylfu, uint64_t ticks);

/* True if a key that comes left the window lately and is to pass it by now. Once for each. O(1). */
bool tinylfu_returns(struct tinylfu *tinylfu, uint64_t hash, uint64_t now);

/*
 * The order in which the main region loses its keys under TINYLFU_REUSE: the longest rest first; by uses, the rest of
 * who was used three times counts a quarter.
 */
static inline uint64_t tinylfu_rest(const struct tinylfu_way *way, uint64_t age, unsigned uses)
{
    return way->by_uses ? (age << 4) / (uses + 1) : age << 4;
}

/* --- The window's order: hashes, cut to 32 bits, of keys that may have gone since --- */
size_t tinylfu_window_len(const struct tinylfu *tinylfu);
void tinylfu_window_push(struct tinylfu *tinylfu, uint64_t hash);
uint32_t tinylfu_window_pop(struct tinylfu *tinylfu); /* not from an empty window */

/* Bytes, the models included. */
size_t tinylfu_memory(const struct tinylfu *tinylfu);
