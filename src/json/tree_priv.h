/*
 * Trees and indexes: what large containers are made of (tree.c, index.c), for the sources that edit them.
 */
#pragma once

#include "node_priv.h"

/* The child that holds position `at`, or the last one. */
static inline unsigned inner_find(const struct json_node *inner, uint32_t at)
{
    const uint32_t *ends = inner_ends(inner);
    unsigned low = 0, high = inner->count - 1u;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (ends[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The last child whose lower bound is at most `sequence`. */
static inline unsigned inner_find_low(const struct json_node *inner, uint32_t sequence)
{
    const uint32_t *lows = inner_lows(inner);
    unsigned low = 0, high = inner->count;

    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (lows[middle] <= sequence)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The position of a key in a leaf, or `count`. */
static inline unsigned leaf_find(const struct json_node *leaf, json_key key)
{
    const uint32_t *keys = leaf_keys(leaf);
    unsigned count = leaf->count, at = 0;

    for (; at + 8 <= count; at += 8) {
        unsigned hit = 0;
        for (unsigned i = 0; i < 8; i++)
            hit |= (unsigned)(keys[at + i] == key) << i;
        if (hit != 0)
            return at + (unsigned)__builtin_ctz(hit);
    }
    while (at < count && keys[at] != key)
        at++;
    return at;
}

/* A container's tree, whatever is above it. */
static inline struct json_value tree_of(struct json_value container)
{
    return json_tag(container) == JSON_TAG_OBJECT_TREE ? large_of(container)->order : container;
}

/* read.c: the leaf of a tree that holds position *at, which becomes the position in it. */
const struct json_node *tree_leaf(struct json_value root, uint32_t *at);

/* tree.c: a tree below *slot, whose tag is a leaf's or TAG_INNER, or the root of an array. `key` and `sequence` are for
 * objects, which grow at their end only. */
void tree_insert(struct json_value *root, uint32_t at, struct json_value value, json_key key, uint32_t sequence,
    struct json_trash *trash);
void tree_append_leaf(struct json_value *root, struct json_value leaf, struct json_trash *trash);
void tree_remove(struct json_value *root, uint32_t at, uint32_t count, struct json_trash *trash);

/* index.c: a node that holds pairs, not children, has not this capacity. */
enum { INDEX_INNER = INT16_MAX };

static inline bool index_is_bucket(const struct json_node *node)
{
    return node->cap != INDEX_INNER;
}

bool index_get(struct json_value index, json_key key, uint32_t *sequence);
void index_put(struct json_large *large, json_key key, uint32_t sequence, struct json_trash *trash);
void index_remove(struct json_large *large, json_key key, struct json_trash *trash);
struct json_node *index_clone(const struct json_node *node);
size_t index_node_size(const struct json_node *node);

/* object.c: one leaf becomes a large object. */
void object_enlarge(struct json_value *object, struct json_trash *trash);
