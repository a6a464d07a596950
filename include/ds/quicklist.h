/*
 * Quicklist: a long sequence of strings, in nodes that are listpacks of bounded size.
 *
 * An element is kept in a listpack, with its neighbours, or, when it is larger than a whole node may be, in a blob of
 * its own (a plain node), which replies and other lists can share without a copy. Pushing and popping at both ends cost
 * O(1) amortised (and at most one node's bytes to move); reaching the element at an index O(nodes / 62 + 62), from the
 * nearer end. Edits name elements by index and leave neither empty nodes nor, where elements went from the middle, long
 * runs of sparse ones. Reading: ds/quicklist_read.h.
 *
 * A list has a depth, chosen when it is made. If that is not 0, all nodes but the first and the last `depth` are kept
 * compressed (base/lzf.h), where that saves memory: those of 48 bytes up to QUICKLIST_COMPRESS_MAX, plain ones too.
 * Where elements are pushed to the head the first node is small, and one more stays as it is behind it. Readers unpack
 * into memory of their own; an edit unpacks the nodes that it touches, and packs them again before it returns.
 *
 * Nodes are small and ours, so nothing here fails for want of memory: blobs are made by the caller, who can.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/bytes.h"

struct quicklist;
struct quicklist_block;

/* How large a node may become. */
struct quicklist_limits {
    size_t bytes;  /* of the listpack; longer elements are kept as blobs */
    size_t count;  /* elements; SIZE_MAX: any number */
    bool by_count; /* the setting is a number of elements; `bytes` is only what safety wants */
};

/* The limits that a `list-max-listpack-size` stands for: a number of elements, or -1 to -5 for 4, 8, 16, 32, 64 KB. */
struct quicklist_limits quicklist_limits(int64_t setting);

/* True if a listpack of that size is within the limits. */
static inline bool quicklist_limits_allow(const struct quicklist_limits *limits, size_t bytes, size_t count)
{
    return bytes <= limits->bytes && count <= limits->count;
}

/* True if an element of that length is to be kept as a blob. */
static inline bool quicklist_is_large(const struct quicklist_limits *limits, size_t len)
{
    return len > limits->bytes;
}

/* An element on its way in: its text, borrowed, or a reference to a blob, which is taken over. */
struct quicklist_item {
    struct bytes text;
    struct blob *blob; /* given for large elements, and only for these */
};

enum quicklist_end { QUICKLIST_HEAD, QUICKLIST_TAIL };

enum {
    QUICKLIST_COMPRESS_MAX = 256 * 1024, /* bytes of a node: more would hold up its thread for too long */
    QUICKLIST_DEPTH_MAX = UINT16_MAX,
};

/* An empty list, of which `depth` nodes at each end are not compressed (QUICKLIST_DEPTH_MAX at most); 0: none is. */
struct quicklist *quicklist_create(size_t depth);

/* Frees everything at once; NULL is nothing. O(nodes). */
void quicklist_destroy(struct quicklist *list);

/* Frees about `nodes` nodes; true while more are left. The list is good for nothing but more of this, and destroy. */
bool quicklist_drain(struct quicklist *list, size_t nodes);

/* A copy of the same depth; blobs are shared. O(bytes). */
struct quicklist *quicklist_copy(const struct quicklist *list);

/* Elements, nodes, depth. O(1). */
size_t quicklist_count(const struct quicklist *list);
size_t quicklist_node_count(const struct quicklist *list);
size_t quicklist_depth(const struct quicklist *list);

/* Bytes of all nodes as they are when they are not compressed. O(nodes). */
size_t quicklist_bytes(const struct quicklist *list);

/* Bytes of all allocations, as the allocator rounds them; estimated from some of the nodes where there are many. */
size_t quicklist_memory(const struct quicklist *list);

/* A list of one node, the listpack, which is taken over and not empty. */
struct quicklist *quicklist_from_listpack(unsigned char *pack, size_t depth);

/*
 * If the list is one listpack of at most half the limits: that listpack, owned by the caller, and the list is
 * destroyed. Otherwise NULL, and nothing has changed.
 */
unsigned char *quicklist_into_listpack(struct quicklist *list, const struct quicklist_limits *limits);

/* Adds an element at an end. */
void quicklist_push(
    struct quicklist *list, enum quicklist_end end, struct quicklist_item item, const struct quicklist_limits *limits);

/* Adds a node behind the last: the listpack, which is taken over, not empty, and within the limits. */
void quicklist_push_listpack(struct quicklist *list, unsigned char *pack);

/* Adds an element before the one at `index`, which is at most the count. */
void quicklist_insert(
    struct quicklist *list, size_t index, struct quicklist_item item, const struct quicklist_limits *limits);

/* Puts another value into the element at `index`. */
void quicklist_replace(
    struct quicklist *list, size_t index, struct quicklist_item item, const struct quicklist_limits *limits);

/*
 * Takes out `count` elements from `index` on; so many there are. If that is very many, part of what went is in the list
 * returned, for the caller to drain and destroy at leisure; NULL otherwise.
 */
struct quicklist *quicklist_delete(
    struct quicklist *list, size_t index, size_t count, const struct quicklist_limits *limits);

/*
 * Takes out up to `max` elements that read as `text`, looking from one end, in two steps. The first breathes and
 * changes nothing; nor must anybody else before the second, which is a short one. It may return a list for the caller
 * to drain and destroy at leisure, otherwise NULL. Without a second step there is something to destroy: `made`.
 */
enum { QUICKLIST_REMOVAL_NODES = 16 };

struct quicklist_removal {
    size_t count, nodes; /* elements to be removed, and nodes that they are in */
    enum quicklist_end from;
    struct quicklist_removal_place {
        struct quicklist_block *block; /* borrowed */
        unsigned node;
        size_t count;
    } places[QUICKLIST_REMOVAL_NODES]; /* if there are not more */
    struct quicklist *made;            /* owned: otherwise, what stays */
};

void quicklist_removal_find(const struct quicklist *list, enum quicklist_end from, struct bytes text, size_t max,
    const struct quicklist_limits *limits, struct quicklist_removal *removal);
struct quicklist *quicklist_removal_carry_out(struct quicklist *list, struct quicklist_removal *removal,
    struct bytes text, const struct quicklist_limits *limits);

/* True if `count` elements that read as `text` are among the `most`, about, nearest to an end, or no more are there. */
bool quicklist_finds_soon(
    const struct quicklist *list, enum quicklist_end from, struct bytes text, size_t count, size_t most);

/* Takes them out of one listpack, where it is a short step; how many there were. */
size_t quicklist_remove_in_listpack(unsigned char **pack, enum quicklist_end from, struct bytes text, size_t max);

/* The index of the first element that reads as `text`; SIZE_MAX if there is none. Breathes. O(elements). */
size_t quicklist_find(const struct quicklist *list, struct bytes text);

/* The same in one listpack. */
size_t quicklist_find_in_listpack(const unsigned char *pack, struct bytes text);

/* What is broken, or NULL. O(elements). */
const char *quicklist_check(const struct quicklist *list);
