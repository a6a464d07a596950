/*
 * Census: how large the keys are, by a walk over the databases that never ends.
 *
 * Each round visits every key once and counts it by type and size, in powers of two; the largest keys, by bytes of
 * memory, are kept by name. What is shown is the last complete round, and before there is one, what was counted so far,
 * scaled. A few thousand keys are counted anew whenever somebody asks, so that the answer is exact.
 *
 * Sizes are bytes for strings and items for collections; memory is as the allocator rounds it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/entry.h"

struct keyspace;
struct topk;

enum {
    CENSUS_BINS = 64, /* bin 0: empty; bin i: sizes from 2^(i - 1) on */
    CENSUS_LARGEST = 128,
    CENSUS_EXACT_KEYS = 2000, /* up to so many keys are counted on demand */
};

/* Of one database. */
struct census_bins {
    uint64_t count[ENTRY_TYPES][CENSUS_BINS];
};

struct census;

struct census *census_create(int db_count);
void census_destroy(struct census *census);

/*
 * Visits `buckets` buckets; false, and nothing is visited, if a round is complete and nothing has changed since. O(keys
 * in the buckets).
 */
bool census_step(struct census *census, const struct keyspace *keyspace, size_t buckets);

/* Sizes of a database's keys as far as they are known. O(bins), or O(keys) if there are few. */
void census_read(const struct census *census, const struct keyspace *keyspace, int db, struct census_bins *out);

/* The largest keys, by topk_best; some may be gone or have changed. Fresh if there are few keys. */
const struct topk *census_largest(struct census *census, const struct keyspace *keyspace);

/* Complete rounds so far, and the share of the running one that is done, 0 to 1. */
uint64_t census_rounds(const struct census *census);
double census_progress(const struct census *census, const struct keyspace *keyspace);

/* STRLEN, LLEN, HLEN, ... of the entry; fields that have expired and are still there count. O(1). */
size_t census_size(const struct entry *entry);

size_t census_memory(const struct census *census);
