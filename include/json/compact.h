/*
 * Compact: moves what a document consists of out of sparse slabs of the allocator (mem_move), a piece at a time.
 *
 * Only what nobody else refers to moves: a version that is pinned, and what documents share, stays where it is with
 * everything below it. Between two calls the document may change; then parts may be passed over or visited twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/value.h"

struct mem_moves;

/* Levels of nodes: those of a tree count, of which there are at most five for each level of the document. */
enum { JSON_COMPACT_LEVELS = JSON_MAX_DEPTH * 5 };

/* Where a walk is: in each node on the way down, the slot that it is in. All zero before it begins. */
struct json_compact {
    uint32_t depth;
    uint16_t at[JSON_COMPACT_LEVELS];
};

/*
 * Looks at about `items` slots, and changes those of what it moves, the root's too. True while there is more; the place
 * is where it began otherwise. Nobody may keep a pointer into the document meanwhile. O(items and bytes moved, and the
 * depth).
 */
bool json_compact(struct json_value *root, struct json_compact *place, size_t items, struct mem_moves *moves);
