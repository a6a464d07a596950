/*
 * The life of a tracking session. Looking at commands is insight.c's.
 */
#include "engine/hotkeys.h"

#include <sys/resource.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "store/topk.h"

/* Slots beyond those to show, so that what is shown is counted well. */
enum { SLOTS_MIN = 256, SLOTS_PER_KEY = 8 };

static void read_usage(int64_t *user_us, int64_t *system_us)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    *user_us = (int64_t)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec;
    *system_us = (int64_t)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec;
}

void hotkeys_start(
    struct engine *engine, unsigned metrics, int64_t count, int64_t sample, int64_t duration_ms, int64_t now_ms)
{
    hotkeys_reset(engine);
    struct hotkeys *hotkeys = mem_zalloc(sizeof *hotkeys);
    *hotkeys = (struct hotkeys){
        .active = true,
        .metrics = metrics,
        .count = count,
        .sample = sample,
        .started_ms = now_ms,
        .ends_ms = duration_ms ? now_ms + duration_ms : INT64_MAX,
    };
    size_t slots = (size_t)count * SLOTS_PER_KEY > SLOTS_MIN ? (size_t)count * SLOTS_PER_KEY : SLOTS_MIN;
    if (metrics & HOTKEYS_CPU)
        hotkeys->by_ticks = topk_create(slots);
    if (metrics & HOTKEYS_NET)
        hotkeys->by_bytes = topk_create(slots);
    read_usage(&hotkeys->user_us, &hotkeys->system_us);
    engine->hotkeys = hotkeys;
    engine->insight_in = 2; /* from the next command on */
}

static void end_at(struct hotkeys *hotkeys, int64_t ends_ms)
{
    int64_t user_us, system_us;
    hotkeys_read_times(hotkeys, &user_us, &system_us);
    hotkeys->user_us = user_us;
    hotkeys->system_us = system_us;
    hotkeys->ends_ms = ends_ms;
    hotkeys->active = false;
}

struct hotkeys *hotkeys_session(struct engine *engine, int64_t now_ms)
{
    struct hotkeys *hotkeys = engine->hotkeys;
    if (hotkeys && hotkeys->active && now_ms >= hotkeys->ends_ms)
        end_at(hotkeys, hotkeys->ends_ms);
    return hotkeys;
}

void hotkeys_stop(struct engine *engine, int64_t now_ms)
{
    end_at(engine->hotkeys, now_ms);
}

void hotkeys_reset(struct engine *engine)
{
    struct hotkeys *hotkeys = engine->hotkeys;
    if (!hotkeys)
        return;
    topk_destroy(hotkeys->by_ticks);
    topk_destroy(hotkeys->by_bytes);
    mem_free(hotkeys);
    engine->hotkeys = NULL;
}

void hotkeys_read_times(const struct hotkeys *hotkeys, int64_t *user_us, int64_t *system_us)
{
    *user_us = hotkeys->user_us;
    *system_us = hotkeys->system_us;
    if (!hotkeys->active)
        return;
    int64_t user_now_us, system_now_us;
    read_usage(&user_now_us, &system_now_us);
    *user_us = user_now_us - *user_us;
    *system_us = system_now_us - *system_us;
}
