/*
 * Evict clock: from the ticks that entries keep to seconds, and back.
 *
 * Ticks advance with use, seconds by themselves; what joins them is a history of pairs, one a second at most. When it
 * is full, every second pair of its older half is dropped, so that it reaches back far, the coarser the older: some
 * percent of the age at worst, exact to the second for the last minutes. Before its beginning a tick was a second.
 */
#pragma once

#include <stdint.h>

enum { EVICT_CLOCK_PAIRS = 512 };

struct evict_clock {
    struct {
        uint64_t tick;          /* as counted, not cut to an entry's bits */
        int64_t at_ms;          /* since 1970 */
    } pairs[EVICT_CLOCK_PAIRS]; /* oldest first */
    int count;
};

/* Notes that it is `tick` now; passes over moments less than a second apart. Neither argument goes back, except when
 * the machine's clock is set: then the history begins anew. O(1), amortised. */
void evict_clock_note(struct evict_clock *clock, uint64_t tick, int64_t now_ms);

/* When it was `tick`, ms since 1970. O(log pairs). */
int64_t evict_clock_time_of(const struct evict_clock *clock, uint64_t tick, int64_t now_ms);

/* The last tick that was not later than a moment; may be negative. */
int64_t evict_clock_tick_at(const struct evict_clock *clock, int64_t at_ms);
