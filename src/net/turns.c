/*
 * The histogram of turns. A turn costs it one conversion and one increment.
 */
#include "net/turns.h"

#include "base/clock.h"

static unsigned bucket_of(uint64_t us)
{
    uint64_t units = us / TURN_BUCKET_LOW_US;
    unsigned bucket = units ? 64 - (unsigned)__builtin_clzll(units) : 0;
    return bucket < TURN_BUCKETS ? bucket : TURN_BUCKETS - 1;
}

void turns_add(struct turns *turns, const uint64_t moments[TURN_PHASES + 1])
{
    uint64_t ticks = moments[TURN_PHASES] - moments[0];
    turns->ticks += ticks;
    turns->executing_ticks += moments[TURN_EXECUTING + 1] - moments[TURN_EXECUTING];
    turns->buckets[bucket_of(clock_ticks_to_ns(ticks) / 1000)]++;
    if (__builtin_expect(ticks <= turns->longest, 1))
        return;
    turns->longest = ticks;
    for (int phase = 0; phase < TURN_PHASES; phase++)
        turns->longest_ticks[phase] = moments[phase + 1] - moments[phase];
}
