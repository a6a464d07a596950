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
#include "ds/listpack_read.h"
#include "ds/quicklist.h"

enum { BLOCK_NODES = 62, BLOCK_NODES_MIN = 6 }; /* 1024 and 128 bytes */

/* What a node holds, packed by lzf_pack. */
struct quicklist_lzf {
    uint32_t unpacked_len, len;
    unsigned char data[];
};

struct quicklist_node {
    union {
        unsigned char *pack;       /* owned; never empty */
        struct blob *blob;         /* owned reference; if plain */
        struct quicklist_lzf *lzf; /* owned: one or the other; if compressed */
    };
    uint32_t count; /* elements */
    bool plain : 1;
    bool compressed : 1;
    bool tried : 1; /* not compressed, as that would not save anything */
    bool stage : 1; /* what is pushed to the head goes through it, if it is the first (quicklist.c) */
};

struct quicklist_block {
    struct quicklist_block *prev, *next;
    size_t count; /* elements of all nodes */
    uint16_t first, used, cap;
    struct quicklist_node nodes[];
};

struct quicklist {
    struct quicklist_block *head, *tail; /* owned chain; no block is empty */
    size_t count;
    size_t nodes : 48;
    size_t depth : 16;
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

/* The node that is `distance` nodes from an end; no block if there are not so many. O(distance / 62). */
struct quicklist_spot spot_from(const struct quicklist *list, enum quicklist_end end, size_t distance);

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

/*
 * --- Compressed nodes: quicklist_compress.c ---
 * The nodes at the ends, as many as are to stay as they are, are neither compressed nor marked as tried. All others are
 * one or the other, except within an edit, which opens what it will touch and settles in the end.
 */

enum {
    UNPACK_BREATH = 16, /* bytes unpacked in ten nanoseconds */
    EFFORT_BYTES = 32,  /* unpacked, that cost about what reading an element does */
};

/* Bytes of the node's listpack, or of its text. */
static inline size_t node_bytes(const struct quicklist_node *node)
{
    if (__builtin_expect(!(node->compressed | node->plain), 1))
        return listpack_bytes(node->pack);
    return node->compressed ? node->lzf->unpacked_len : node->blob->len;
}

void node_unpack(struct quicklist_node *node);

/* Makes the node one that can be edited, and that nothing is known of. */
static inline void node_open(struct quicklist_node *node)
{
    if (__builtin_expect(node->compressed | node->tried, 0))
        node_unpack(node);
}

/* What a compressed node holds, in `scratch`, which is taken over, or another blob. NULL: there is none to use. */
struct blob *node_unpack_into(const struct quicklist_node *node, struct blob *scratch);

/* The node's listpack, if it has one, or the text that it is, unpacked to *scratch where it has to be. */
const unsigned char *node_pack(const struct quicklist_node *node, struct blob **scratch);
struct bytes node_text(const struct quicklist_node *node, struct blob **scratch);

/* Compresses the node if it should be. O(depth / 62) to find out. */
void quicklist_settle_node(struct quicklist *list, struct quicklist_spot spot);

/*
 * After nodes came or went: opens those that are now near an end, and compresses those that no longer are, of which
 * there may be three at each side. O(depth) at least.
 */
void quicklist_settle_ends(struct quicklist *list);

/* After an edit around `index` of a list that had `nodes` nodes before: settles all that it may have touched. */
void quicklist_settle_around(struct quicklist *list, size_t index, size_t nodes);

/* What is broken, or NULL. */
const char *quicklist_check_compression(const struct quicklist *list);
