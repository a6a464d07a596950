/*
 * Quicklist, reading: places in it, and its nodes as they are kept.
 *
 * A place is an element and the way to its neighbours; it is good until the list changes, and has to be ended. One in a
 * lone listpack works the same way. A compressed node is unpacked into memory of the place, never in the list, so that
 * any number of readers may look at it at once. What a place reads stays until it has come two nodes further.
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
struct quicklist_unpacked;

struct quicklist_place {
    const unsigned char *pack;           /* borrowed: the node's listpack; NULL in a plain node ... */
    struct blob *blob;                   /* ... which is this, borrowed */
    uint32_t at;                         /* within pack */
    uint32_t node;                       /* within block */
    struct quicklist_block *block;       /* borrowed; NULL in a lone listpack */
    struct quicklist_unpacked *unpacked; /* owned; NULL while no node was compressed */
    bool keeps;                          /* all that was unpacked stays until the end, for who keeps what he read */
};

/* The place of the element at `index`. False if there is none, and then nothing has to be ended. */
bool quicklist_seek(const struct quicklist *list, size_t index, struct quicklist_place *place);

void quicklist_place_free(struct quicklist_place *place);

/* Ends a place. What it has read in compressed nodes is gone; references to blobs that were taken stay. */
static inline void quicklist_place_end(struct quicklist_place *place)
{
    if (__builtin_expect(place->unpacked != NULL, 0))
        quicklist_place_free(place);
}

/*
 * The first element of the next node, the last one of the node before; breathes. False, and nothing changed, if there
 * is none.
 */
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

/* The element, borrowed from the list, or from the place. */
static inline struct listpack_value quicklist_get(const struct quicklist_place *place)
{
    if (__builtin_expect(place->pack != NULL, 1))
        return listpack_get(place->pack, place->at);
    return (struct listpack_value){ .text = place->blob->data, .len = place->blob->len };
}

/*
 * How much there is to do for who reads `count` elements from `index` on (so many there are): the elements, and for
 * each 32 bytes that have to be unpacked as much as for another one. Counts up to about `most`. O(1) where nothing is
 * compressed, otherwise O(nodes / 62 + nodes read).
 */
size_t quicklist_effort(const struct quicklist *list, size_t index, size_t count, size_t most);

/* --- Nodes as they are kept, for files --- */

struct quicklist_node_view {
    struct quicklist_block *block; /* borrowed */
    uint32_t node;                 /* within block */
    bool plain;                    /* the content is a text, otherwise a listpack */
    size_t unpacked_len;           /* if the content is compressed; otherwise 0 */
    struct bytes content;          /* borrowed from the list */
};

/* The first node, the next one; false if there is none. */
bool quicklist_view_first(const struct quicklist *list, struct quicklist_node_view *view);
bool quicklist_view_next(struct quicklist_node_view *view);
