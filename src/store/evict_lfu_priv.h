/*
 * allkeys-lfu and volatile-lfu: counters in the entries' clocks, how they grow and decay, and who is looked at when
 * somebody has to go. Nobody but evict.c uses this.
 *
 * The clock is the step of decay when it was counted : 16 | logarithmic counter : 8.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "store/evict_ghost.h"

enum { EVICT_LFU_MAX = 255 };

struct random;

struct evict_lfu {
    int64_t log_factor;    /* the counter grows the slower, the larger this is */
    int64_t decay_minutes; /* until the counter loses one; 0: never */
    size_t full_keys;      /* when a key had to go last; 0: none had to */
    size_t uses;           /* towards the next turnover */
    uint32_t turnovers;    /* steps of decay that uses made */
    size_t news, used;     /* of late: who came for the first time, and who of them was used again */
    struct evict_ghosts ghosts;
};

void evict_lfu_fini(struct evict_lfu *lfu);

/* The counter of a clock, decayed: 0 to EVICT_LFU_MAX; and the clock of a counter. `now_ms` is since 1970. */
unsigned evict_lfu_counter(const struct evict_lfu *lfu, uint32_t clock, int64_t now_ms);
uint32_t evict_lfu_clock(const struct evict_lfu *lfu, unsigned counter, int64_t now_ms);

/* A key was used, or came: its clock from now on. O(1). */
uint32_t evict_lfu_use(struct evict_lfu *lfu, struct random *random, uint32_t clock, int64_t now_ms);
uint32_t evict_lfu_arrive(struct evict_lfu *lfu, uint64_t hash, int64_t now_ms);

/* A key has to go; `keys` is how many the cache holds. O(1). */
void evict_lfu_forgo(struct evict_lfu *lfu, uint64_t hash, size_t keys);

/*
 * Which of `count` keys is looked at in look number `look` < count of a step; one may come twice. Those gathered later
 * are likely to have come later: in a bucket newer ones stand behind older ones.
 */
size_t evict_lfu_choose(const struct evict_lfu *lfu, struct random *random, size_t look, size_t count);
