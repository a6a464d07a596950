/*
 * Memory: the limit, and what is done to stay under it.
 *
 * Before a command executes while memory in use is above maxmemory, room is made: first what was removed already is
 * given back, then keys are evicted by the policy, until there is room, nothing more may go, or the time that
 * maxmemory-eviction-tenacity grants is over. So nothing is evicted while memory is still being given back.
 *
 * When the limit itself is lowered, what is above it is nobody's fault: it becomes a ceiling that falls with what is
 * evicted in slices in the background, and commands only make room for what they add.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/evict.h"

struct engine;

struct memory_settings {
    uint64_t limit; /* maxmemory in bytes; 0: none */
    struct evict_settings evict;
    int64_t tenacity; /* 0 to 100 */
};

/* What is kept between commands. */
struct memory_state {
    uint64_t limit;         /* as of the last refresh */
    int policy;             /* likewise */
    size_t ceiling;         /* bytes up to which a command need not make room; 0: the limit */
    uint64_t spent_ns;      /* on making room in this batch */
    size_t leaving;         /* bytes of clients that are being disconnected: to be had back without evicting keys */
    bool was_over;          /* memory was above the limit when this batch began */
    uint64_t over_since_ns; /* since when memory is above the limit; 0: it is not */
    uint64_t over_ns;       /* how long it was, before that */
};

/* To be called after a change of the settings. */
void engine_refresh_memory(struct engine *engine);

/* Makes room; false if memory is above the limit and no key may go. To be called if there is a limit. */
bool engine_make_room(struct engine *engine);

/* To be called before a batch of commands. */
void engine_begin_batch(struct engine *engine);

/*
 * True if memory is above the limit, there may be something to do about it, and the next command should not have to:
 * the limit was lowered, or commands have spent their time on it, or it was so before the batch began. What a batch
 * adds, replies above all, may be gone before the next.
 */
bool engine_is_short_of_memory(const struct engine *engine);

/* Makes room in the background until `end_ns` (clock_mono_ns); true while there is more to do. */
bool engine_evict_slice(struct engine *engine, uint64_t end_ns);

/* Milliseconds for which memory has been above the limit: in all, and this time. */
uint64_t engine_exceeded_ms(const struct engine *engine);
uint64_t engine_exceeding_ms(const struct engine *engine);
