/*
 * Btree: an ordered, counted set of pointers to items that the caller owns.
 *
 * A B+tree whose inner nodes count the items below each child, so that ranks cost what look-ups cost: O(log n). Behind
 * sorted sets (by score, then text), streams and pending entries (by ID), and field expiry (by time).
 *
 * What an ordered structure of a million scattered items costs is cache misses, so a descent avoids touching items. The
 * caller gives each item an order-preserving 64-bit prefix of its key (btree_prefix_double for scores). Inner nodes
 * keep the prefix of each child's first item, and leaves 16 bits of it beside every pointer, scaled to the range that
 * the leaf covers. Items are read only where those tie, and where leaves share items out.
 *
 *   leaf (1 KB)     previous, next | scale | n x 16-bit tag | n x 48-bit item pointer       n up to 124
 *   inner (1 KB)    n x prefix of first item | n x first item | n x child | n x items below  n up to 31
 *
 * A full leaf shares with its neighbours before two of them become three, so leaves stay over 80 % full under random
 * inserts; at either end of the order a full leaf is left full. That is 10 to 10.5 bytes an item in random order, 8.6
 * in ascending or descending order. The first leaf grows from 48 bytes on. A node that falls below half merges with a
 * neighbour or shares with it; random removals leave 13 to 14 bytes an item.
 *
 * The longest single step shares out two or three leaves (a few microseconds), at any size.
 *
 * Items must lie below 2^48 and must not change their order while they are in a tree. Edits invalidate iterators.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct btree_leaf;

/* What a tree knows of its items. */
struct btree_type {
    /* Never decreases along the order; NULL if there is none to give: then every step of a descent reads an item. */
    uint64_t (*prefix)(const void *item);
    /* Less than, equal to or greater than 0, as strcmp: a total order. */
    int (*compare)(const void *item, const void *other);
};

struct btree {
    const struct btree_type *type; /* borrowed: static */
    void *root;                    /* owned; a leaf if height is 0; NULL when empty */
    size_t count;                  /* items */
    uint32_t leaves, inners;       /* nodes */
    uint32_t height;               /* levels of inner nodes */
    uint32_t cuts;                 /* trees that share the counts of nodes with this one; see btree_cut */
};

/*
 * A key that is not an item, or a bound. `compare` orders it against an item, consistently with the tree's order: items
 * below (result > 0), then items that match (0; none, one or several), then items above (< 0). A bound that leaves out
 * what equals it never answers 0. `prefix` is at least the prefix of every item below and at most that of every item
 * above; where the type has none, it is 0.
 */
struct btree_key {
    uint64_t prefix;
    const void *key; /* borrowed */
    int (*compare)(const void *key, const void *item);
};

/* A place in the order: at an item, before the first (-1), or behind the last. All zero in an empty tree. */
struct btree_iter {
    struct btree_leaf *leaf; /* borrowed: from the tree, until its next edit */
    int32_t index;
};

/* An empty tree; allocates nothing until the first insert. */
void btree_init(struct btree *tree, const struct btree_type *type);

/* Frees nodes, not items. O(nodes): large trees are taken down by btree_drain. */
void btree_fini(struct btree *tree);

static inline size_t btree_count(const struct btree *tree)
{
    return tree->count;
}

/* Bytes of all nodes, as the allocator rounds them; neither the struct nor the items. O(1). */
size_t btree_overhead_bytes(const struct btree *tree);

/* Adds an item and returns NULL; if one compares equal, changes nothing and returns that one. O(log n). */
void *btree_insert(struct btree *tree, void *item);

/* Adds an item that the caller knows to be greater than all others. For building from a sorted sequence: compares
 * nothing and fills leaves completely. O(height). */
void btree_append(struct btree *tree, void *item);

/* Takes this very item out (not freed); its order must still be that of its insertion. False if it was not there. */
bool btree_remove(struct btree *tree, const void *item);

/*
 * Takes out up to `n` items from `rank` on, in order, writes them to `removed` if that is not NULL, and returns how
 * many there were. O(n + log count): for removing a range in slices.
 */
size_t btree_remove_range(struct btree *tree, size_t rank, size_t n, void **removed);

/*
 * Takes `n` items out from `rank` on, so many there are, as a tree of their own, `cut`, which is written. O(log count),
 * whatever n is. `tree` counts the nodes of both; btree_cut_settle tells it which of them the other has given back, and
 * is to be called last when `cut` is empty.
 */
void btree_cut(struct btree *tree, size_t rank, size_t n, struct btree *cut);
void btree_cut_settle(struct btree *tree, struct btree *cut);

/*
 * Puts another item in the place of this very one, where both have the same neighbours in the order: one that moved, or
 * whose key changes too little to pass another. Both are read, so the old one is freed after. False if it was not
 * there.
 */
bool btree_replace(struct btree *tree, const void *item, void *replacement);

/*
 * Takes out up to `max` items, from the end backwards, and returns how many; 0 when empty. Shares nothing out, and
 * reads only items that stay, when the last leaf is made smaller: for taking a tree down in slices, with btree_fini
 * after. O(max + height). The tree stays valid for every other use.
 */
size_t btree_drain(struct btree *tree, void **items, size_t max);

/* The first item that matches, or NULL. O(log n). */
void *btree_find(const struct btree *tree, const struct btree_key *key);

/* The item at a rank, from 0; NULL if there are not so many. O(log n), reads no item. */
void *btree_at(const struct btree *tree, size_t rank);

/* The rank of this very item; false (and `rank` untouched) if it is not there. O(log n). */
bool btree_rank(const struct btree *tree, const void *item, size_t *rank);

/* How many items lie below the key. O(log n). */
size_t btree_rank_key(const struct btree *tree, const struct btree_key *key);

/*
 * Places. btree_seek gives the first item that does not lie below the key, or the place behind the last;
 * btree_iter_prev from there gives the last item that lies below. btree_seek_rank gives the item at a rank, or the
 * place behind the last.
 */
struct btree_iter btree_seek(const struct btree *tree, const struct btree_key *key);
struct btree_iter btree_seek_rank(const struct btree *tree, size_t rank);

/* The item at the place; NULL at either end. */
void *btree_iter_item(const struct btree_iter *iter);

/* Moves on, or back, and returns the item there; NULL at the end, where it stays. Prefetches items ahead. O(1). */
void *btree_iter_next(struct btree_iter *iter);
void *btree_iter_prev(struct btree_iter *iter);

/* A prefix for doubles in their order; not for NaN. 0.0 and -0.0 are equal. */
static inline uint64_t btree_prefix_double(double value)
{
    value += 0.0; /* -0.0 becomes 0.0 */
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits ^ ((0 - (bits >> 63)) | 1ull << 63);
}

/* Checks every invariant and calls `complain` with a text for each one that is broken; returns how many. O(n). */
size_t btree_check(const struct btree *tree, void (*complain)(void *context, const char *what), void *context);
