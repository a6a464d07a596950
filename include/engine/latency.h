/*
 * Latency events: what took at least latency-monitor-threshold, by name, with its last samples.
 *
 * Names are those that tools know from Redis: "command", "fast-command", "fork", "expire-cycle", "eviction-cycle", ...
 * Several samples of one second are one, the longest. An event costs some 3 KB once it has happened, and nothing
 * before.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct engine;
struct latency;

enum { LATENCY_SAMPLES = 160 };

struct latency_event {
    struct latency_event *next; /* owned */
    const char *name;           /* borrowed: static */
    uint32_t longest_ms;        /* ever, since the last reset */
    uint32_t count;             /* samples there are, at most LATENCY_SAMPLES */
    uint32_t newest;            /* index of the last one; those before it, around the end, are older */
    struct latency_sample {
        int64_t time_s; /* since 1970 */
        uint32_t ms;
    } samples[LATENCY_SAMPLES];
};

struct latency *latency_create(void);
void latency_destroy(struct latency *latency);

/* Something took that long just now. Kept if it reaches the threshold. `event` must be static. */
void latency_note(struct engine *engine, const char *event, uint64_t us);

/* The events that have happened; go on with ->next. And one by its name, or NULL. */
const struct latency_event *latency_first(const struct engine *engine);
const struct latency_event *latency_find(const struct engine *engine, struct bytes name);

/* The sample that is `age` older than the newest, which is 0; age < count. */
const struct latency_sample *latency_sample(const struct latency_event *event, uint32_t age);

/* Forgets one event, or all; returns how many there were. */
size_t latency_reset(struct engine *engine, struct bytes name);
size_t latency_reset_all(struct engine *engine);
