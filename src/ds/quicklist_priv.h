/*
 * What the files of the quicklist share: nodes, the blocks that hold them, and spots, which name a node.
 *
 *   list -> block <-> block <-> block
 *             nodes[cap]:  room | first ... first + used | room
 *
 * A block is up to BLOCK_NODES nodes in an array and the number of their elements, so that a search passes over 62
 * nodes at a step, and a node costs 16 bytes and no links. Blocks that are neither first nor last of a long list are
 * mostly full; sparse neighbours are merged when nodes go. A new block is as large as its content needs, up to 1 KB.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "ds/quicklist.h"

enum { BLOCK_NODES = 62, BLOCK_NODES_MIN = 6 }; /* 1024 and 128 bytes */

struct quicklist_node {
    union {
        unsigned char *pack; /* owned; never empty */
        struct blob *blob;   /* owned reference; if plain */
    };
    uint32_t count; /* elements */
    bool plain;
};

struct quicklist_block {
    struct quicklist_block *prev, *next;
    size_t count; /* elements of all nodes */
    uint16_t first, used, cap;
    struct quicklist_node nodes[];
};

struct quicklist {
    struct quicklist_block *head, *tail; /* owned chain; no block is empty */
    size_t count, nodes;
};

/* A node, or the place in front of it; block NULL: none. */
struct quicklist_spot {
    struct quicklist_block *block;
    unsigned node; /* from 0, counted from the block's first */
};

static inline struct quicklist_node *spot_node(struct quicklist_spot spot)
{
    return &spot.block->nodes[spot.block->first + spot.node];
}

static inline struct quicklist_spot spot_first(const struct quicklist *list)
{
    return (struct quicklist_spot){ list->head, 0 };
}

static inline struct quicklist_spot spot_last(const struct quicklist *list)
{
    return (struct quicklist_spot){ list->tail, list->tail ? list->tail->used - 1u : 0 };
}

static inline struct quicklist_spot spot_next(struct quicklist_spot spot)
{
    if (spot.node + 1 < spot.block->used)
        return (struct quicklist_spot){ spot.block, spot.node + 1 };
    return (struct quicklist_spot){ spot.block->next, 0 };
}

static inline struct quicklist_spot spot_prev(struct quicklist_spot spot)
{
    if (spot.node > 0)
        return (struct quicklist_spot){ spot.block, spot.node - 1 };
    struct quicklist_block *prev = spot.block->prev;
    return (struct quicklist_spot){ prev, prev ? prev->used - 1u : 0 };
}

/* The node that holds the element *index, which becomes its index within the node. *index is below the count. */
struct quicklist_spot spot_seek(const struct quicklist *list, size_t *index);

/*
 * Puts a node in front of the one at `spot` (which may be one behind a block's last; no block if the list is empty).
 * Returns where it is. Other spots are void.
 */
struct quicklist_spot spot_insert(struct quicklist *list, struct quicklist_spot spot, struct quicklist_node node);

/* Takes the node out, without freeing what it holds. Returns the spot of the next one. Those before stay good. */
struct quicklist_spot spot_remove(struct quicklist *list, struct quicklist_spot spot);

/* The number of the node's elements changed by `more`. */
static inline void spot_count(struct quicklist *list, struct quicklist_spot spot, ptrdiff_t more)
{
    spot_node(spot)->count += (uint32_t)more;
    spot.block->count += (size_t)more;
    list->count += (size_t)more;
}

/* Frees a node's content. */
void quicklist_node_free(struct quicklist_node *node);

/* A node of that one element; its listpack has room for `capacity` bytes. */
struct quicklist_node node_make(struct quicklist_item item, size_t capacity);

/* True if an element of `len` bytes may be added to the node's listpack. */
bool node_has_room(const struct quicklist_node *node, size_t len, const struct quicklist_limits *limits);

/* Appends the node at `right` to the one at `left`, its neighbour, if the result is within 1/`share` of the limits. */
bool quicklist_merge(struct quicklist *list, struct quicklist_spot left, struct quicklist_spot right,
    const struct quicklist_limits *limits, size_t share);

/* Makes sure that the first node is small, so that popping from it is cheap. */
void quicklist_split_stage(struct quicklist *list);

/* Takes a whole block out of the list, which the caller then owns. */
void block_unlink(struct quicklist *list, struct quicklist_block *block);

/* Puts a block that is in no list behind the last one. */
void block_link_last(struct quicklist *list, struct quicklist_block *block);

/* Merges the block with a neighbour, or all blocks with theirs, where both are sparse. Spots are void. */
void block_merge_sparse(struct quicklist *list, struct quicklist_block *block);
void blocks_merge_sparse(struct quicklist *list);
