/*
 * Trees and indexes: what large containers are made of (tree.c, index.c), for the sources that edit them.
 */
#pragma once

#include "node_priv.h"

/* tree.c: a tree below *slot, whose tag is a leaf's or TAG_INNER, or the root of an array. `key` and `sequence` are for
 * objects, which grow at their end only. */
void tree_insert(struct json_value *root, uint32_t at, struct json_value value, json_key key, uint32_t sequence,
    struct json_trash *trash);
void tree_append_leaf(struct json_value *root, struct json_value leaf, struct json_trash *trash);
void tree_remove(struct json_value *root, uint32_t at, uint32_t count, struct json_trash *trash);

/* index.c: a node that holds pairs, not children, has not this capacity. */
enum { INDEX_INNER = UINT16_MAX };

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
