/*
 * Leaves made of what a parser has on its stacks. Most are small, and what would be a call elsewhere is a few
 * instructions here.
 */
#pragma once

#include "node_priv.h"

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
    size_t size = class_of(sizeof(struct json_node) + count * (is_object ? 12 : 8));
    struct json_node *leaf = mem_try_alloc(size);

    if (leaf == NULL)
        return false;
    /* A division by a variable would take longer than the rest, and so would reading the room from the node again: it
     * is written in two parts, for which the processor waits. */
    size_t room = size - sizeof(*leaf), cap = is_object ? room / 12 : room / 8;
    json_key *behind = (json_key *)(leaf->slots + cap);
    node_begin(leaf, count, cap);
    if (count <= FEW)
        copy_few(leaf->slots, values, count, sizeof(*values));
    else
        memcpy(leaf->slots, values, count * sizeof(*values));
    if (is_object && count <= FEW)
        copy_few(behind, keys, count, sizeof(*keys));
    else if (is_object)
        memcpy(behind, keys, count * sizeof(*keys));
    *value = value_of(leaf, is_object ? JSON_TAG_OBJECT : JSON_TAG_ARRAY);
    return true;
}
