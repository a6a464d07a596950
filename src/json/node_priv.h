/*
 * Nodes: what containers are made of, and the counted things beside them.
 *
 *   leaf of an array    refs count cap | slots[cap]
 *   leaf of an object   refs count cap | slots[cap] | keys[cap]
 *   inner node          refs count cap | children[cap] | ends[cap] | lows[cap]
 *   large object        refs count cap | order, index | sequence, unused | bytes of the index
 *   string              refs len       | bytes
 *   box                 refs kind      | 64 bits
 *
 * A small array or object is one leaf. A large one is a tree of them: `ends` says how many elements there are up to and
 * including each child, so a position is found by a search in every level. An object only grows at its right edge;
 * every member gets the next sequence number, `lows` holds a lower bound of those in each child, and the index
 * (index.c) maps a key to its number. So a member is found without the index knowing where nodes are, and copying a
 * node changes nothing in it.
 *
 * Nodes have the size of an allocator's class, and grow and shrink from class to class.
 */
#pragma once

#include <stddef.h>

#include "base/assert.h"
#include "base/mem.h"
#include "json/doc.h"

enum {
    TAG_INNER = 14,
    TAG_INDEX = 15,
    ARRAY_LEAF_MAX = (JSON_NODE_BYTES - sizeof(struct json_node)) / 8,
    OBJECT_LEAF_MAX = (JSON_NODE_BYTES - sizeof(struct json_node)) / 12,
    INNER_MAX = (JSON_NODE_BYTES - sizeof(struct json_node)) / 16,
};

struct json_text {
    _Atomic uint32_t refs;
    uint32_t len;
    char data[];
};

struct json_box {
    _Atomic uint32_t refs;
    uint32_t kind;
    union {
        int64_t i;
        uint64_t u;
        double d;
    };
};

/* The root of a large object: a node of two slots with more behind them. */
struct json_large {
    _Atomic uint32_t refs;
    uint16_t count;
    uint16_t cap : 15, is_measured : 1; /* as in a node */
    struct json_value order;            /* owned: a leaf or inner node */
    struct json_value index;            /* owned: see index.c */
    uint32_t sequence;                  /* of the next member */
    uint32_t unused;
    size_t index_bytes;
};

static inline struct json_value value_of(void *pointer, unsigned tag)
{
    return (struct json_value){ (uint64_t)(uintptr_t)pointer | tag };
}

static inline struct json_node *node_of(struct json_value value)
{
    return json_pointer(value);
}

/* True for what has a count of references behind a pointer. */
static inline bool value_is_counted(struct json_value value)
{
    return 0xe7c0u >> json_tag(value) & 1;
}

static inline bool tag_is_leaf(unsigned tag)
{
    return tag == JSON_TAG_ARRAY || tag == JSON_TAG_OBJECT;
}

/* The allocator's class for a size: multiples of 16 up to 128, then four to a doubling. */
static inline size_t class_of(size_t size)
{
    size_t step = size <= 128 ? 16 : (size_t)1 << (61 - __builtin_clzll(size - 1));

    return (size + step - 1) & ~(step - 1);
}

/* Bytes of a slot with what belongs to it, in a node of this tag. */
static inline size_t slot_bytes(unsigned tag)
{
    return tag == JSON_TAG_ARRAY ? 8 : tag == JSON_TAG_OBJECT ? 12 : 16;
}

static inline size_t node_size(unsigned tag, size_t count)
{
    size_t size = class_of(sizeof(struct json_node) + count * slot_bytes(tag));

    return size < 16 ? 16 : size;
}

/* What a node begins with when it is made. */
static inline void node_begin(struct json_node *node, size_t count, size_t cap)
{
    enum { CAP_BITS = 0x7fff };

    atomic_init(&node->refs, 1);
    node->count = (uint16_t)count;
    node->cap = cap & CAP_BITS;
    node->is_measured = 0;
}

static inline uint32_t *leaf_keys(const struct json_node *leaf)
{
    return (uint32_t *)(leaf->slots + leaf->cap);
}

static inline uint32_t *inner_ends(const struct json_node *inner)
{
    return (uint32_t *)(inner->slots + inner->cap);
}

static inline uint32_t *inner_lows(const struct json_node *inner)
{
    return inner_ends(inner) + inner->cap;
}

static inline struct json_large *large_of(struct json_value value)
{
    return json_pointer(value);
}

/* Elements in a leaf, an inner node, or the root of an array's tree. */
static inline uint32_t subtree_len(struct json_value value)
{
    const struct json_node *node = node_of(value);

    return tag_is_leaf(json_tag(value)) ? node->count : inner_ends(node)[node->count - 1];
}

/* value.c: a string of this length, to be filled; NULL when memory is out or it would be too long. */
#define JSON_TEXT_MAX ((size_t)UINT32_MAX - 64)
struct json_text *text_try_create(size_t len);

/* node.c: a node of this tag with room for `count` slots, empty. */
struct json_node *node_create(unsigned tag, size_t count);
void node_free(struct json_node *node, unsigned tag);

/* Makes the node in the slot this holder's own, by a copy if others refer to it too: whatever is changed in a node or
 * below it, the node comes through here first. */
struct json_node *node_own(struct json_value *slot, struct json_trash *trash);

/* Makes room for one more slot; the node is own and may move. */
struct json_node *node_reserve(struct json_value *slot, size_t count);

/* Gives room back when the node has become half empty. */
void node_shrink(struct json_value *slot);
