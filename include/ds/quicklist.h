/*
 * Quicklist: a long sequence of strings, in nodes that are listpacks of bounded size.
 *
 * An element is kept in a listpack, with its neighbours, or, when it is larger than a whole node may be, in a blob of
 * its own (a plain node), which replies and other lists can share without a copy. Pushing and popping at both ends cost
 * O(1) amortised (and at most one node's bytes to move); reaching the element at an index O(nodes / 62 + 62), from the
 * nearer end. Edits name elements by index and leave neither empty nodes nor, where elements went from the middle, long
 * runs of sparse ones. Nothing here is ever compressed.
 *
 * Nodes are small and ours, so nothing here fails for want of memory: blobs are made by the caller, who can.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/bytes.h"
#include "ds/listpack_read.h"

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

struct quicklist *quicklist_create(void);

/* Frees everything at once; NULL is nothing. O(nodes). */
void quicklist_destroy(struct quicklist *list);

/* Frees about `nodes` nodes; true while more are left. The list is good for nothing but more of this, and destroy. */
bool quicklist_drain(struct quicklist *list, size_t nodes);

/* A copy; blobs are shared. O(bytes). */
struct quicklist *quicklist_copy(const struct quicklist *list);

/* Elements, and nodes. O(1). */
size_t quicklist_count(const struct quicklist *list);
size_t quicklist_node_count(const struct quicklist *list);

/* Bytes of all elements as they are packed, and of blobs. O(nodes). */
size_t quicklist_bytes(const struct quicklist *list);

/* Bytes of all allocations, as the allocator rounds them; estimated from some of the nodes where there are many. */
size_t quicklist_memory(const struct quicklist *list);

/* A list of one node, the listpack, which is taken over and not empty. */
struct quicklist *quicklist_from_listpack(unsigned char *pack);

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

/* The same within one listpack. */
size_t quicklist_remove_in_listpack(unsigned char **pack, enum quicklist_end from, struct bytes text, size_t max);

/* The index of the first element that reads as `text`; SIZE_MAX if there is none. Breathes. O(elements). */
size_t quicklist_find(const struct quicklist *list, struct bytes text);

/* The same within one listpack. */
size_t quicklist_find_in_listpack(const unsigned char *pack, struct bytes text);

/*
 * --- Reading ---
 * A place is an element and the way to its neighbours; it is good until the list changes. One in a lone listpack works
 * the same way.
 */
struct quicklist_place {
    const unsigned char *pack;     /* borrowed: the node's listpack; NULL in a plain node ... */
    struct blob *blob;             /* ... which is this, borrowed */
    uint32_t at;                   /* within pack */
    uint32_t node;                 /* within block */
    struct quicklist_block *block; /* borrowed; NULL in a lone listpack */
};

/* The place of the element at `index`. False if there is none. */
bool quicklist_seek(const struct quicklist *list, size_t index, struct quicklist_place *place);

/* The first element of the next node, the last one of the node before. False, and nothing changed, if there is none. */
bool quicklist_next_node(struct quicklist_place *place);
bool quicklist_prev_node(struct quicklist_place *place);

/* The next element; false at the end, and then the place is good for nothing. */
static inline bool quicklist_next(struct quicklist_place *place)
{
    if (place->pack) {
        place->at = listpack_after(place->pack, place->at);
        if (place->pack[place->at] != LISTPACK_END)
            return true;
    }
    return quicklist_next_node(place);
}

/* The element before; false at the beginning, and then the place is good for nothing. */
static inline bool quicklist_prev(struct quicklist_place *place)
{
    if (place->pack) {
        place->at = listpack_prev(place->pack, place->at);
        if (place->at)
            return true;
    }
    return quicklist_prev_node(place);
}

/* The element, borrowed from the list. */
static inline struct listpack_value quicklist_get(const struct quicklist_place *place)
{
    if (__builtin_expect(place->pack != NULL, 1))
        return listpack_get(place->pack, place->at);
    return (struct listpack_value){ .text = place->blob->data, .len = place->blob->len };
}

/* What is broken, or NULL. O(elements). */
const char *quicklist_check(const struct quicklist *list);
