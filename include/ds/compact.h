/*
 * Compact: moves the memory of structures out of sparse slabs of the allocator (mem_move), a piece at a time.
 *
 * What a structure consists of is moved here; the items of tables and trees are their owners'. Nobody may keep a
 * pointer into a structure across a call, iterators included. Where one changes between two calls, parts of it may be
 * passed over or visited twice, which does no harm.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ds/table.h"

struct btree;
struct mem_moves;
struct quicklist;

/* Moves the table's directory and its last segment, where they are small. O(1). */
void table_compact_frame(struct table *table, struct mem_moves *moves);

/*
 * As table_scan, and moves the overflow buckets of the bucket that is visited before its slots are. The visitor may put
 * other items of the same hash into slots.
 */
uint64_t table_compact(
    struct table *table, uint64_t cursor, table_visit_fn visit, void *context, struct mem_moves *moves);

/*
 * Moves up to `leaves` leaves, from that of the item at `rank` on, and inner nodes with the first leaf below them.
 * Returns the rank to go on from; the count or more at the end. O(leaves log n).
 */
size_t btree_compact(struct btree *tree, size_t rank, size_t leaves, struct mem_moves *moves);

/*
 * Moves up to `nodes` nodes from number `at` on, and blocks with the first of their nodes that is visited. Returns the
 * number to go on from; the number of nodes at the end. O(nodes of the list / 62 + nodes moved).
 */
size_t quicklist_compact(struct quicklist *list, size_t at, size_t nodes, struct mem_moves *moves);
