/*
 * The history of ticks. Between two pairs it interpolates: uses come evenly enough for the answer in seconds.
 */
#include "store/evict_clock.h"

#include "base/assert.h"

enum { PAIR_MS = 1000 };

static void thin_out(struct evict_clock *clock)
{
    int kept = 0;
    for (int i = 0; i < clock->count; i++)
        if (i >= EVICT_CLOCK_PAIRS / 2 || i % 2 == 0)
            clock->pairs[kept++] = clock->pairs[i];
    clock->count = kept;
}

void evict_clock_note(struct evict_clock *clock, uint64_t tick, int64_t now_ms)
{
    if (clock->count) {
        int last = clock->count - 1;
        if (now_ms < clock->pairs[last].at_ms || tick < clock->pairs[last].tick)
            clock->count = 0;
        else if (now_ms - clock->pairs[last].at_ms < PAIR_MS)
            return;
    }
    if (clock->count == EVICT_CLOCK_PAIRS)
        thin_out(clock);
    clock->pairs[clock->count].tick = tick;
    clock->pairs[clock->count].at_ms = now_ms;
    clock->count++;
}

/* The last pair for which `tick` (or the moment, if `by_time`) is not before it; -1 if it is before all of them. */
static int find(const struct evict_clock *clock, int64_t value, int by_time)
{
    int low = -1, high = clock->count;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        int64_t at = by_time ? clock->pairs[middle].at_ms : (int64_t)clock->pairs[middle].tick;
        if (at <= value)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int64_t evict_clock_time_of(const struct evict_clock *clock, uint64_t tick, int64_t now_ms)
{
    if (!clock->count)
        return now_ms;
    int i = find(clock, (int64_t)tick, 0);
    if (i < 0)
        return clock->pairs[0].at_ms - ((int64_t)clock->pairs[0].tick - (int64_t)tick) * 1000;
    if (i + 1 == clock->count) /* since the last pair: some time within this second */
        return now_ms - clock->pairs[i].at_ms < PAIR_MS ? now_ms : clock->pairs[i].at_ms;
    uint64_t ticks = clock->pairs[i + 1].tick - clock->pairs[i].tick;
    int64_t span_ms = clock->pairs[i + 1].at_ms - clock->pairs[i].at_ms;
    double share = ticks ? (double)(tick - clock->pairs[i].tick) / (double)ticks : 0;
    return clock->pairs[i].at_ms + (int64_t)(share * (double)span_ms);
}

int64_t evict_clock_tick_at(const struct evict_clock *clock, int64_t at_ms)
{
    if (!clock->count)
        return 0;
    int i = find(clock, at_ms, 1);
    if (i < 0) /* the last that was not later, as below: who asks back for the time is told of that second */
        return (int64_t)clock->pairs[0].tick - (clock->pairs[0].at_ms - at_ms + 999) / 1000;
    if (i + 1 == clock->count)
        return (int64_t)clock->pairs[i].tick;
    int64_t span_ms = clock->pairs[i + 1].at_ms - clock->pairs[i].at_ms;
    double share = span_ms ? (double)(at_ms - clock->pairs[i].at_ms) / (double)span_ms : 0;
    uint64_t ticks = clock->pairs[i + 1].tick - clock->pairs[i].tick;
    return (int64_t)clock->pairs[i].tick + (int64_t)(share * (double)ticks);
}
