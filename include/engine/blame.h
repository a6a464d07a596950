/*
 * Blame: who made others wait, and what a command's latency is made of. Always on.
 *
 * Whoever holds the loop for BLAME_US or longer, a command or background work, is noted: how often, how long, when it
 * was worst, and how many requests waited meanwhile. Those are the ones behind it in the batch that are not its own
 * client's, and those that the loop finds as soon as it looks again.
 *
 * What a request waits before it runs is counted from the turn in which the loop learned of it; what its reply waits,
 * to the end of that turn's sending. Costs one addition a command, and some for each series of equal commands that a
 * client sent (struct tally).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "engine/registry.h"

struct engine;
struct request;

enum { BLAME_US = 250, BLAME_NAMES_MAX = 512 };

struct blame {
    const char *name; /* a command's full name, or what background work is called; borrowed */
    uint64_t holds;
    uint64_t ns, longest_ns;
    int64_t longest_at_ms, last_at_ms; /* since 1970 */
    uint64_t waited;                   /* requests of others */
    uint64_t waited_ns;                /* of all these, for whole holds: no more than that */
};

struct blames;

struct blames *blames_create(void);
void blames_destroy(struct blames *blames);

/* Something held the loop for so many ns; less than BLAME_US is passed over. `name` must live as long as the engine. */
void blame_hold(struct engine *engine, const char *name, uint64_t ns, uint64_t waited);

/* Requests of other clients behind this one in the batch that is executed; 0 if it is none of it. */
uint64_t blame_waiting_behind(const struct engine *engine, const struct request *request);

/*
 * A client whose pipeline held the loop, without any command that did: windows of a batch that are all one client's
 * are added up, and come under the name "pipelines" if they took four times BLAME_US.
 */
struct blame_pipeline {
    const struct request *last; /* of it so far; borrowed: the batch */
    uint64_t at, held_before;   /* in ticks: the end of the last window, and engine->held_ticks then */
    uint64_t ticks;
};
void blame_window(
    struct engine *engine, struct blame_pipeline *pipeline, const struct request *requests, size_t count, uint64_t now);
void blame_end_pipeline(struct engine *engine, struct blame_pipeline *pipeline);

/* A batch of so many requests begins. Those who were found at once waited for whatever held the loop just before. */
void blame_begin_batch(struct engine *engine, size_t count, uint64_t now);

/* Who is to blame, worst (in waited_ns, then ns) first; returns how many of `max` were written. */
size_t blame_list(struct engine *engine, struct blame *out, size_t max);
void blame_reset(struct engine *engine);

/* --- The parts of a command's latency --- */

/* That many calls ran, for so many ticks in all; `starts` is the sum of the moments at which they began. They were read
 * at engine->read_ticks, and their replies are to be sent. */
void split_add(struct engine *engine, struct command_info *command, uint64_t calls, uint64_t starts, uint64_t ticks);

/* What was answered so far has been offered to the sockets. */
void split_sent(struct engine *engine);
