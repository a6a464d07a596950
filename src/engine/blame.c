/*
 * Blame: a small array by name, and the chain of commands that ran since replies were sent last.
 *
 * Times of replies are kept as a number and a sum of moments, so that sending settles a command's share by one
 * multiplication whatever the number of its calls. Moments wrap around in sums; differences do not mind.
 */
#include "engine/blame.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "resp/request.h"

/* Between a hold's end and a batch whose requests came during it; and an eighth of the hold, for a busy machine. */
enum { FOUND_AT_ONCE_US = 300 };

enum { PIPELINE_SHARE = 4 };

struct blames {
    struct blame *items; /* owned */
    size_t count, cap;
    size_t last;                 /* index of who held the loop last, ... */
    uint64_t last_ns, last_end;  /* ... for how long and until when; 0: that is settled */
    struct command_info *unsent; /* borrowed: chain of those that ran since split_sent */
};

struct blames *blames_create(void)
{
    return mem_zalloc(sizeof(struct blames));
}

void blames_destroy(struct blames *blames)
{
    mem_free(blames->items);
    mem_free(blames);
}

static struct blame *need_item(struct blames *blames, const char *name)
{
    for (size_t i = 0; i < blames->count; i++)
        if (strcmp(blames->items[i].name, name) == 0)
            return &blames->items[i];
    if (blames->count == BLAME_NAMES_MAX)
        return NULL;
    if (blames->count == blames->cap) {
        blames->cap = blames->cap ? 2 * blames->cap : 16;
        blames->items = mem_realloc(blames->items, blames->cap * sizeof *blames->items);
    }
    blames->items[blames->count] = (struct blame){ .name = name };
    return &blames->items[blames->count++];
}

void blame_hold(struct engine *engine, const char *name, uint64_t ns, uint64_t waited)
{
    struct blames *blames = engine->blames;
    if (ns < BLAME_US * 1000)
        return;
    struct blame *item = need_item(blames, name);
    if (!item)
        return;
    item->holds++;
    item->ns += ns;
    item->last_at_ms = clock_wall_ms();
    if (ns > item->longest_ns) {
        item->longest_ns = ns;
        item->longest_at_ms = item->last_at_ms;
    }
    item->waited += waited;
    item->waited_ns += waited * ns;
    blames->last = (size_t)(item - blames->items);
    blames->last_ns = ns;
    blames->last_end = clock_ticks();
}

void blame_begin_batch(struct engine *engine, size_t count, uint64_t now)
{
    struct blames *blames = engine->blames;
    if (__builtin_expect(blames->last_end == 0, 1))
        return;
    if (clock_ticks_to_ns(now - blames->last_end) < FOUND_AT_ONCE_US * 1000 + blames->last_ns / 8) {
        struct blame *item = &blames->items[blames->last];
        item->waited += count;
        item->waited_ns += count * blames->last_ns;
    }
    blames->last_end = 0;
}

uint64_t blame_waiting_behind(const struct engine *engine, const struct request *request)
{
    uint64_t count = 0;
    if (request < engine->batch || request >= engine->batch_end)
        return 0;
    for (const struct request *other = request + 1; other < engine->batch_end; other++)
        count += other->owner != request->owner;
    return count;
}

void blame_end_pipeline(struct engine *engine, struct blame_pipeline *pipeline)
{
    if (pipeline->last && pipeline->ticks >= PIPELINE_SHARE * engine->blame_ticks)
        blame_hold(
            engine, "pipelines", clock_ticks_to_ns(pipeline->ticks), blame_waiting_behind(engine, pipeline->last));
    pipeline->ticks = 0;
    pipeline->last = NULL;
}

void blame_window(
    struct engine *engine, struct blame_pipeline *pipeline, const struct request *requests, size_t count, uint64_t now)
{
    const struct request *last = &requests[count - 1];
    uint64_t held = engine->held_ticks;
    if (pipeline->last && pipeline->last->owner != requests->owner)
        blame_end_pipeline(engine, pipeline);
    if (requests->owner == last->owner) {
        uint64_t ticks = now - pipeline->at, blamed = held - pipeline->held_before;
        pipeline->ticks += ticks > blamed ? ticks - blamed : 0;
        pipeline->last = last;
    } else
        blame_end_pipeline(engine, pipeline);
    pipeline->at = now;
    pipeline->held_before = held;
}

static int compare(const void *a, const void *b)
{
    const struct blame *x = a, *y = b;
    if (x->waited_ns != y->waited_ns)
        return x->waited_ns < y->waited_ns ? 1 : -1;
    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

size_t blame_list(struct engine *engine, struct blame *out, size_t max)
{
    struct blames *blames = engine->blames;
    struct blame *sorted = mem_alloc((blames->count + 1) * sizeof *sorted);
    if (blames->count)
        memcpy(sorted, blames->items, blames->count * sizeof *sorted);
    qsort(sorted, blames->count, sizeof *sorted, compare);
    size_t count = blames->count < max ? blames->count : max;
    memcpy(out, sorted, count * sizeof *sorted);
    mem_free(sorted);
    return count;
}

void blame_reset(struct engine *engine)
{
    engine->blames->count = 0;
    engine->blames->last_end = 0;
}

void split_add(struct engine *engine, struct command_info *command, uint64_t calls, uint64_t starts, uint64_t ticks)
{
    struct command_split *split = &command->stats.split;
    if (split->unsent == 0) {
        split->next = engine->blames->unsent;
        engine->blames->unsent = command;
    }
    split->unsent += calls;
    split->queued_ticks += starts - calls * engine->read_ticks;
    split->unsent_ends += starts + ticks;
}

void split_sent(struct engine *engine)
{
    struct blames *blames = engine->blames;
    if (!blames->unsent)
        return;
    uint64_t now = clock_ticks();
    struct command_info *next;
    for (struct command_info *command = blames->unsent; command; command = next) {
        struct command_split *split = &command->stats.split;
        next = split->next;
        split->next = NULL;
        split->calls += split->unsent;
        split->sending_ticks += split->unsent * now - split->unsent_ends;
        split->unsent = split->unsent_ends = 0;
    }
    blames->unsent = NULL;
}
