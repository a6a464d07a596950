/*
 * Insight: which keys are used most, cost most time and move most bytes; always on.
 *
 * About five hundred commands a second are looked at, one in 64 at most, at random distances so that no rhythm of the
 * load can hide from it: their keys get the weight of all the commands that they stand for. What a command cost is
 * shared by its keys. Counts fade with a half-life of a minute, so that they tell what is hot now (store/topk.h).
 *
 * What executes commands counts engine->insight_in down and calls insight_note when it comes to 0; the rest costs
 * nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "resp/output.h"

struct bytes;
struct call;
struct command_info;
struct insight;
struct topk;

enum {
    INSIGHT_EVERY = 64,       /* commands between two looks, until the load is known */
    INSIGHT_SLOTS = 512,      /* counted keys, of each metric, */
    INSIGHT_LIMIT_SHARE = 64, /* or what takes so small a part of the limit of memory, but not fewer than ... */
    INSIGHT_SLOTS_MIN = 64,
};

enum insight_metric { INSIGHT_ACCESS, INSIGHT_CPU, INSIGHT_NET, INSIGHT_METRICS };

struct insight *insight_create(void);
void insight_destroy(struct insight *insight);

/* Notes what there is already in the output, before a command that will be looked at. */
void insight_begin(const struct call *call);

/* A command was executed, with those arguments, and took so many ticks. Sets engine->insight_in. O(keys). */
void insight_note(const struct call *call, const struct bytes *argv, uint64_t ticks);

/*
 * A command that was carried out in slices (engine/task.h) has answered with so many bytes. All of them count, as they
 * are few and cost much.
 */
void insight_note_task(struct engine *engine, int db, const struct command_info *command, const struct bytes *argv,
    uint32_t argc, uint64_t ticks, uint64_t bytes);

static inline bool insight_is_due(const struct engine *engine)
{
    return __builtin_expect(engine->insight_in <= 1, 0);
}

/*
 * To be called some times a second, with the time that watching has its share of: what the loop was at work since the
 * last call, and a part of what it was idle. How often is looked follows it, so that looking is the same share of the
 * work on a processor that others need, too. Fades what is old.
 */
void insight_tick(struct engine *engine, int64_t now_ms, uint64_t spare_ms);

/* The counts of one metric: commands, ticks (base/clock.h) or bytes. */
const struct topk *insight_top(const struct insight *insight, enum insight_metric metric);

/* Seconds that the counts stand for, faded as they are: count / seconds is a rate. */
double insight_span_s(const struct insight *insight, int64_t now_ms);

/* What memory may take, 0 for no limit: where that is little, fewer keys are counted. */
void insight_set_limit(struct insight *insight, size_t limit);

/* Forgets all counts. */
void insight_reset(struct engine *engine, int64_t now_ms);

size_t insight_memory(const struct insight *insight);
