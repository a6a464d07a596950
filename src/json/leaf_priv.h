/*
 * Leaves made of what a parser has on its stacks. Most are small, and what would be a call elsewhere is a few
 * instructions here.
 */
#pragma once

#include "node_priv.h"

/* A leaf with room for `count` elements or members: the same as node_try_create makes, where the tag is known. */
static inline struct json_node *leaf_try_create(bool is_object, size_t count)
{
    size_t size = class_of(sizeof(struct json_node) + count * (is_object ? 12 : 8));
    struct json_node *leaf = mem_try_alloc(size);

    if (leaf == NULL)
        return NULL;
    node_begin(leaf, count, (size - sizeof(*leaf)) / (is_object ? 12u : 8u));
    return leaf;
}

/* Copies a few elements of `size` bytes, in pairs: for that a call takes longer. */
static inline void copy_few(void *to, const void *from, size_t count, size_t size)
{
    char *out = to;
    const char *in = from;

    if ((count & 1) != 0) {
        memcpy(out, in, size);
        out += size;
        in += size;
    }
    for (size_t i = 0; i < count / 2; i++)
        memcpy(out + 2 * size * i, in + 2 * size * i, 2 * size);
}

/* The node of an array or object of these elements, whose references it takes over. False: memory is out. */
static inline bool leaf_try_make(
    bool is_object, const struct json_value *values, const json_key *keys, size_t count, struct json_value *value)
{
    enum { FEW = 16 };
    struct json_node *leaf = leaf_try_create(is_object, count);

    if (leaf == NULL)
        return false;
    if (count <= FEW)
        copy_few(leaf->slots, values, count, sizeof(*values));
    else
        memcpy(leaf->slots, values, count * sizeof(*values));
    if (is_object && count <= FEW)
        copy_few(leaf_keys(leaf), keys, count, sizeof(*keys));
    else if (is_object)
        memcpy(leaf_keys(leaf), keys, count * sizeof(*keys));
    *value = value_of(leaf, is_object ? JSON_TAG_OBJECT : JSON_TAG_ARRAY);
    return true;
}
