/*
 * Error statistics: how often each code word (ERR, WRONGTYPE, ...) was answered, for INFO errorstats.
 *
 * Bounded: a client that can choose code words cannot make it grow without end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { ERROR_STATS_MAX = 128 };

struct error_stats;

struct error_stats *error_stats_create(void);
void error_stats_destroy(struct error_stats *stats);

void error_stats_add(struct error_stats *stats, const char *code);
void error_stats_reset(struct error_stats *stats);

/* The code and count at `index`, in alphabetical order; NULL after the last. */
const char *error_stats_at(const struct error_stats *stats, size_t index, uint64_t *count);
