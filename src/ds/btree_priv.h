/*
 * What the files of the btree share: nodes, paths through them, and the steps that each file lends to the others.
 *
 * Levels count from the leaves (0) to the root (tree->height). A tag is what 16 bits can hold of a prefix: how far it
 * lies above the leaf's `base`, in units of 2^shift, clamped at either end. So tags ascend with the items, whatever the
 * scale, and items of different tags need no comparison; the scale only decides how often tags tie.
 */
#pragma once

#include "ds/btree.h"

#include "base/assert.h"

enum {
    BTREE_LEAF_BYTES = 1024,
    BTREE_LEAF_ROOM = 124, /* (BTREE_LEAF_BYTES - header) / (tag + pointer) */
    BTREE_INNER_ROOM = 31, /* for 1000 bytes, in a size class of 1024 */
    BTREE_LEVELS_MAX = 24,
    BTREE_POINTER_BYTES = 6,
};

struct btree_leaf {
    struct btree_leaf *prev, *next; /* borrowed: from the parents */
    uint64_t base;
    uint16_t shift;
    uint16_t count, room; /* items, and for how many there is space; less than BTREE_LEAF_ROOM in a lone leaf only */
    uint16_t unused;
    uint16_t tag[]; /* room of them; then as many pointers of 6 bytes */
};

struct btree_entry {
    void *first;    /* borrowed: the first item below the child */
    void *child;    /* owned; a leaf or inner node */
    uint64_t items; /* below the child */
};

struct btree_inner {
    uint64_t count;
    uint64_t prefix[BTREE_INNER_ROOM]; /* of entry[].first */
    struct btree_entry entry[BTREE_INNER_ROOM];
};

_Static_assert(sizeof(struct btree_leaf) + BTREE_LEAF_ROOM * (2 + BTREE_POINTER_BYTES) == BTREE_LEAF_BYTES, "a class");
_Static_assert(sizeof(struct btree_inner) <= 1024, "a class");

/* A way down: on each level the node, and the index of its child, or in the leaf of the item (or where it would be). */
struct btree_path {
    struct {
        void *node;
        size_t index;
    } step[BTREE_LEVELS_MAX];
};

static inline uint64_t btree_prefix_of(const struct btree *tree, const void *item)
{
    return tree->type->prefix ? tree->type->prefix(item) : 0;
}

static inline struct btree_key btree_key_of(const struct btree *tree, const void *item)
{
    return (struct btree_key){ btree_prefix_of(tree, item), item, tree->type->compare };
}

/* Bytes of a leaf with room for so many items. */
static inline size_t btree_leaf_size(size_t room)
{
    return sizeof(struct btree_leaf) + room * (sizeof(uint16_t) + BTREE_POINTER_BYTES);
}

static inline unsigned char *btree_leaf_pointers(const struct btree_leaf *leaf, size_t index)
{
    return (unsigned char *)(uintptr_t)(leaf->tag + leaf->room) + index * BTREE_POINTER_BYTES;
}

static inline void *btree_leaf_item(const struct btree_leaf *leaf, size_t index)
{
    const unsigned char *from = btree_leaf_pointers(leaf, index);
    uint32_t low;
    uint16_t high;
    memcpy(&low, from, sizeof(low));
    memcpy(&high, from + sizeof(low), sizeof(high));
    return (void *)((uintptr_t)high << 32 | low);
}

static inline uint16_t btree_leaf_tag(const struct btree_leaf *leaf, uint64_t prefix)
{
    if (prefix < leaf->base)
        return 0;
    uint64_t tag = (prefix - leaf->base) >> leaf->shift;
    return tag > UINT16_MAX ? UINT16_MAX : (uint16_t)tag;
}

static inline size_t btree_node_count(const void *node, size_t level)
{
    return level ? ((const struct btree_inner *)node)->count : ((const struct btree_leaf *)node)->count;
}

/* Leaves. */

struct btree_leaf *btree_leaf_create(struct btree *tree, size_t room);

/* Takes the leaf out of the list of leaves, and frees it. */
void btree_leaf_destroy(struct btree *tree, struct btree_leaf *leaf);

/* A copy with other room in place of a lone leaf, which is freed. */
struct btree_leaf *btree_leaf_resize(struct btree *tree, struct btree_leaf *leaf, size_t room);

/* The room that a lone leaf of more than `room` items has. */
size_t btree_leaf_next_room(size_t room);

/* Overwrites the item at `index` with one of that prefix. */
void btree_leaf_set(struct btree_leaf *leaf, size_t index, void *item, uint64_t prefix);

/* Makes a hole of `n` before `index`; takes `n` from `index` on out. */
void btree_leaf_open(struct btree_leaf *leaf, size_t index, size_t n);
void btree_leaf_close(struct btree_leaf *leaf, size_t index, size_t n);

/* Moves items from the end of `left` to the front of `right`, its neighbour, or back. */
void btree_leaf_move_right(struct btree *tree, struct btree_leaf *left, struct btree_leaf *right, size_t n);
void btree_leaf_move_left(struct btree *tree, struct btree_leaf *left, struct btree_leaf *right, size_t n);

/* Chooses the scale anew if it leaves items outside or uses few of the tags. True if it did. */
bool btree_leaf_fit_scale(struct btree *tree, struct btree_leaf *leaf);

/* The first item whose tag is not less. */
size_t btree_leaf_search(const struct btree_leaf *leaf, uint16_t tag);

/* Shape. */

/* Takes one step towards room for another entry in the node of that level; the path is void after it. */
void btree_make_room(struct btree *tree, struct btree_path *path, size_t level);

/* After items were taken out of the leaf of the path, and the counts above it corrected: repairs first items above,
 * drops empty nodes and, where `share` says so, merges or evens out sparse ones. The path is void after it. */
void btree_relieve(struct btree *tree, struct btree_path *path, bool share);

/* Writes the first item of the path's node of that level to the entries above that name it. */
void btree_refresh_first(struct btree *tree, const struct btree_path *path, size_t level);

/* Adds to, or takes from (modulo 2^64), the counts above the path's leaf, and the tree's. */
void btree_add_count(struct btree *tree, const struct btree_path *path, uint64_t n);

/* Steps of these, for btree_cut.c: a node without entries; taking `n` out; writing an entry's first item anew. */
struct btree_inner *btree_inner_create(struct btree *tree);
void btree_inner_close(struct btree_inner *inner, size_t index, size_t n);
void btree_entry_name(const struct btree *tree, struct btree_inner *parent, size_t index, size_t child_level);

/* Merges the path's node of that level, which is below the root's, with a neighbour, or evens both out, if it is
 * sparse. The path is void after it. */
void btree_node_relieve(struct btree *tree, struct btree_path *path, size_t level);

/* Takes a root of one child away, and makes a lone leaf as small as it may be. */
void btree_root_relieve(struct btree *tree);

/* Ways down. */

/* To the place of the first item that is not below the key; where that is the first of a leaf, to the end of the leaf
 * before it, unless `inclusive` and it matches. The tree must not be empty. */
void btree_descend(const struct btree *tree, const struct btree_key *key, bool inclusive, struct btree_path *path);

/* To the item at a rank, less than the count. */
void btree_descend_rank(const struct btree *tree, size_t rank, struct btree_path *path);

/* To this very item; false if it is not there. */
bool btree_descend_to(const struct btree *tree, const void *item, struct btree_path *path);
