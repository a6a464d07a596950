/*
 * Dates of ghosts: the low bits of a time in units that are a small part of the longest rest in the main region, the
 * reach, so that eight bits tell whether somebody rested for less time. A date goes round in four to ten times the
 * reach; who was forgotten later than that is nearly always gone by then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct evict_reach {
    uint64_t ticks;
    unsigned shift;
};

static inline void evict_reach_set(struct evict_reach *reach, uint64_t ticks)
{
    enum { UNITS_MIN = 24, UNITS_MAX = 64 };
    reach->ticks = ticks;
    while (ticks >> reach->shift > UNITS_MAX)
        reach->shift++;
    while (reach->shift && ticks >> reach->shift < UNITS_MIN)
        reach->shift--;
}

static inline uint8_t evict_reach_date(const struct evict_reach *reach, uint64_t at)
{
    return (uint8_t)(at >> reach->shift);
}

/* True if it is less than the reach since then; in doubt false. */
static inline bool evict_reach_is_within(const struct evict_reach *reach, uint8_t date, uint64_t now)
{
    return (uint8_t)(evict_reach_date(reach, now) - date) < reach->ticks >> reach->shift;
}
