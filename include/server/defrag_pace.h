/*
 * When active defragmentation walks over the keyspace, and how much of the time it takes for that. It knows neither the
 * clock nor the allocator: the time and the allocator's figures are arguments.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* The directives. */
struct defrag_limits {
    uint64_t ignored_bytes;         /* so little may be lost */
    int64_t percent_lower;          /* of what is in use: so little, too */
    int64_t percent_upper;          /* with so much lost a walk takes the most time */
    int64_t effort_min, effort_max; /* percent of the time */
};

/* What was found so far; zeroed at first. */
struct defrag_pace {
    int64_t due_ms;       /* not to be considered again before */
    int effort;           /* percent of the time that the walk may take; 0: there is none */
    double waste_percent; /* the most that was lost since the walk began, in percent of what was in use */
    bool fruitful;        /* the last walk */
    size_t vain_waste;    /* bytes that a walk in vain left; 0: it was not */
    int64_t vain_end_ms;  /* until when nothing is done about as much */
};

/* Whether the figures are to be read: for defrag_pace_begins, or during a walk for defrag_pace_follow. */
bool defrag_pace_is_due(const struct defrag_pace *pace, int64_t now_ms);

/* True if a walk is to begin now: it has its effort. */
bool defrag_pace_begins(
    struct defrag_pace *pace, const struct defrag_limits *limits, const struct mem_stats *stats, int64_t now_ms);

/* The walk goes on, with the effort that the most that was lost asks for. */
void defrag_pace_follow(
    struct defrag_pace *pace, const struct defrag_limits *limits, const struct mem_stats *stats, int64_t now_ms);

/* The walk has come to its end: these were the moves of it, and the figures are as they are now. */
void defrag_pace_end(
    struct defrag_pace *pace, const struct mem_moves *moves, const struct mem_stats *stats, int64_t now_ms);

/* The walk was given up, and all that was found counts no longer: it is to be considered at once. */
void defrag_pace_forget(struct defrag_pace *pace);

/* How long a walk rests after it has taken so long. */
uint64_t defrag_pace_rest_ns(const struct defrag_pace *pace, uint64_t taken_ns);
