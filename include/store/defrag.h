/*
 * Defrag: moves what lies in sparse slabs of the allocator together, so that pages become free.
 *
 * After many removals of keys of all sizes what is left is spread over slabs that are nearly empty, and no page can go
 * back to the system. A walk over a database asks the allocator how full each entry's slab is, and moves entries and
 * strings out of sparse ones. Larger collections stay where they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct keyspace;

struct defrag_stats {
    uint64_t hits, misses; /* allocations that were moved, and that were looked at and stayed */
    uint64_t keys;         /* entries looked at */
    uint64_t moved_keys;   /* of those, the ones of which anything moved */
};

/*
 * Looks at the entries of `buckets` buckets from `*cursor` on (0 begins); false when it has come to the end of the
 * database, and *cursor is 0 again. Entries move: nobody may keep a pointer to one. O(buckets and bytes moved).
 */
bool defrag_step(
    struct keyspace *keyspace, struct db *db, uint64_t *cursor, size_t buckets, struct defrag_stats *stats);
