/*
 * Making room. What a command may spend on it grows with maxmemory-eviction-tenacity as in Redis: 50 us a point up to
 * 10, from there by 15 % a point, without limit at 100. All commands of one batch together get BATCH_NS; when that is
 * spent they go on, and the background follows, as long as memory is not far above the limit.
 */
#include "engine/memory.h"

#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/insight.h"
#include "engine/latency.h"
#include "store/keyspace.h"
#include "store/reclaim.h"

enum {
    BATCH_NS = 2 * 1000 * 1000,
    FAR_SHARE = 256,    /* a command that finds less than 1/256 above the limit need not wait for room */
    RECLAIM_ITEMS = 64, /* between two looks at the memory */
};

enum progress { ENOUGH, OUT_OF_TIME, NOTHING_LEFT };

static uint64_t tenacity_ns(int64_t tenacity)
{
    if (tenacity <= 10)
        return (uint64_t)tenacity * 50 * 1000;
    return tenacity < 100 ? (uint64_t)(500e3 * pow(1.15, (double)tenacity - 10)) : UINT64_MAX / 2;
}

void engine_refresh_memory(struct engine *engine)
{
    const struct memory_settings *settings = &engine->settings->memory;
    struct memory_state *state = &engine->memory;
    struct keyspace *keyspace = engine->keyspace;
    evict_configure(keyspace, &settings->evict, settings->limit);
    insight_set_limit(engine->insight, settings->limit);
    if (settings->limit && !state->limit)
        curve_set_limited(&keyspace->curve, keyspace->stats.hits + keyspace->stats.misses, settings->limit);
    if (settings->limit &&
        (settings->limit < state->limit || !state->limit || settings->evict.policy != state->policy)) {
        size_t used = mem_used();
        state->ceiling = used > settings->limit ? used : 0;
    } else if (settings->limit > state->ceiling) {
        state->ceiling = 0;
    }
    state->limit = settings->limit;
    state->policy = settings->evict.policy;
    if (!settings->limit && state->over_since_ns) {
        state->over_ns += clock_mono_ns() - state->over_since_ns;
        state->over_since_ns = 0;
    }
}

static void note_over(struct memory_state *state, bool over)
{
    if (over == (state->over_since_ns != 0))
        return;
    uint64_t now_ns = clock_mono_ns();
    if (!over)
        state->over_ns += now_ns - state->over_since_ns;
    state->over_since_ns = over ? now_ns : 0;
}

/* Until no more than `goal` is in use. */
static enum progress make_room(struct engine *engine, size_t goal, uint64_t end_ns)
{
    struct keyspace *keyspace = engine->keyspace;
    goal += engine->memory.leaving;
    while (mem_used() > goal) {
        if (reclaim_pending(keyspace->reclaim))
            reclaim_step(keyspace->reclaim, RECLAIM_ITEMS);
        else if (evict_one(keyspace, engine->now_ms) == EVICT_IMPOSSIBLE)
            return NOTHING_LEFT;
        if (clock_mono_ns() >= end_ns) /* each time: a large string takes as long to free as a thousand small ones */
            return OUT_OF_TIME;
    }
    return ENOUGH;
}

static bool anything_may_go(const struct engine *engine)
{
    const struct keyspace *keyspace = engine->keyspace;
    int policy = engine->settings->memory.evict.policy;
    if (policy == EVICT_NOTHING_EVER)
        return false;
    for (int i = 0; i < keyspace->db_count; i++)
        if (policy & EVICT_VOLATILE ? keyspace->dbs[i]->expires : keyspace_size(keyspace->dbs[i]))
            return true;
    return false;
}

static bool is_short(struct engine *engine, size_t used)
{
    const struct memory_settings *settings = &engine->settings->memory;
    struct memory_state *state = &engine->memory;
    note_over(state, true);
    if (!anything_may_go(engine) && !reclaim_pending(engine->keyspace->reclaim))
        return true;
    size_t goal = state->ceiling > settings->limit ? state->ceiling : settings->limit;
    bool spent = state->spent_ns > BATCH_NS && used <= goal + goal / FAR_SHARE;
    if (used <= goal + state->leaving || spent)
        return false;
    uint64_t start_ns = clock_mono_ns();
    enum progress progress = make_room(engine, goal, start_ns + tenacity_ns(settings->tenacity));
    uint64_t spent_ns = clock_mono_ns() - start_ns;
    state->spent_ns += spent_ns;
    latency_note(engine, "eviction-cycle", spent_ns / 1000);
    if (progress == ENOUGH && goal == settings->limit)
        note_over(state, false);
    return progress == NOTHING_LEFT;
}

bool engine_make_room(struct engine *engine)
{
    size_t used = mem_used();
    if (__builtin_expect(used > engine->settings->memory.limit, 0))
        return !is_short(engine, used);
    note_over(&engine->memory, false);
    return true;
}

void engine_begin_batch(struct engine *engine)
{
    uint64_t limit = engine->settings->memory.limit;
    engine->memory.spent_ns = 0;
    engine->memory.was_over = limit && mem_used() > limit;
}

bool engine_is_short_of_memory(const struct engine *engine)
{
    uint64_t limit = engine->settings->memory.limit;
    const struct memory_state *state = &engine->memory;
    return limit && (state->ceiling || state->was_over || state->spent_ns > BATCH_NS) &&
           mem_used() > limit + state->leaving &&
           (anything_may_go(engine) || reclaim_pending(engine->keyspace->reclaim));
}

bool engine_evict_slice(struct engine *engine, uint64_t end_ns)
{
    uint64_t limit = engine->settings->memory.limit;
    struct memory_state *state = &engine->memory;
    enum progress progress = make_room(engine, limit, end_ns);
    size_t used = mem_used();
    if (used < state->ceiling)
        state->ceiling = used > limit ? used : 0;
    if (progress == ENOUGH)
        note_over(state, false);
    return progress == OUT_OF_TIME;
}

uint64_t engine_exceeding_ms(const struct engine *engine)
{
    uint64_t since_ns = engine->memory.over_since_ns;
    return since_ns ? (clock_mono_ns() - since_ns) / 1000000 : 0;
}

uint64_t engine_exceeded_ms(const struct engine *engine)
{
    return engine->memory.over_ns / 1000000 + engine_exceeding_ms(engine);
}
