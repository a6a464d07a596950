/*
 * Defrag: moves what lies in sparse slabs of the allocator together, so that pages become free.
 *
 * After many removals of keys of all sizes what is left is spread over slabs that are nearly empty, and no page can go
 * back to the system. A walk over a database asks the allocator how full each entry's slab is, and moves entries,
 * strings and the insides of collections out of sparse ones. What takes long in one value is done in slices: the walk
 * notes the key, and goes on behind that bucket when it is through with the value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct db;
struct defrag_large;
struct keyspace;

struct defrag_stats {
    struct mem_moves moves; /* allocations that were moved, and that were looked at and stayed */
    uint64_t keys;          /* entries looked at */
    uint64_t moved_keys;    /* of those, the ones of which anything moved */
};

/* Where a walk is. All zero before it begins. */
struct defrag_walk {
    uint64_t cursor;             /* of the database's table */
    struct defrag_large *larges; /* owned: values of the last bucket that are still to be gone through */
    size_t large_count;
    bool at_end;    /* of the table, but not of those */
    bool has_tasks; /* set by the caller before each step: tasks that are under way know streams by where they are */
};

/* Forgets what is still to be gone through. */
void defrag_walk_fini(struct defrag_walk *walk);

/*
 * Looks at the entries of `buckets` buckets, or at about as many parts of large values; false when it has come to the
 * end of the database, and the walk is where it began. Everything moves: nobody may keep a pointer to an entry or into
 * a value, but of keys that are held. O(buckets and bytes moved).
 */
bool defrag_step(
    struct keyspace *keyspace, struct db *db, struct defrag_walk *walk, size_t buckets, struct defrag_stats *stats);
