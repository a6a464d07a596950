/*
 * Lists as values: one listpack while they are small, a quicklist beyond; which one it is stays in here.
 *
 * The border is Redis's (7.2): a list that would exceed list-max-listpack-size becomes a quicklist, and a listpack
 * again once it is a single node of at most half that size. Elements longer than a node are blobs, shared with replies,
 * copies and other lists. How many nodes at the ends of a quicklist are not compressed is list-compress-depth as it was
 * when the quicklist was made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/blob.h"
#include "base/bytes.h"
#include "base/num.h"
#include "ds/quicklist.h"
#include "ds/quicklist_read.h"
#include "store/keyspace.h"

enum list_encoding {
    LIST_LISTPACK,  /* ds/listpack.h */
    LIST_QUICKLIST, /* ds/quicklist.h */
};

enum list_end { LIST_HEAD = QUICKLIST_HEAD, LIST_TAIL = QUICKLIST_TAIL };

/* An element as it is kept, borrowed from the list until it changes, or from the walk. */
struct list_element {
    struct listpack_value value;
    struct blob *blob; /* that holds it, if it is large; otherwise NULL */
};

/* Room to spell an integer. */
struct list_scratch {
    char digits[NUM_I64_MAX_LEN + 4];
};

/* The element's bytes, borrowed from the list or from `scratch`. */
static inline struct bytes list_element_bytes(const struct list_element *element, struct list_scratch *scratch)
{
    return listpack_value_bytes(element->value, scratch->digits);
}

/* --- Reading --- */

/* Elements; 0 if `entry` is NULL. O(1). */
size_t list_len(const struct entry *entry);

/* What DEBUG OBJECT tells of a quicklist; no nodes of another list. O(nodes). */
struct list_nodes {
    size_t count, bytes; /* bytes: as they are when nothing is compressed */
    size_t depth;        /* 0: nothing is compressed */
};

struct list_nodes list_nodes(const struct entry *entry);

/*
 * What it costs to read `count` elements from `index` on, in elements that are not compressed, up to about `most`. So
 * many there are; no entry: 0.
 */
size_t list_effort(const struct entry *entry, size_t index, size_t count, size_t most);

/* Where a walk along a list is. The list must not change meanwhile. */
struct list_walk {
    struct quicklist_place place; /* of the next element, while some are left */
    size_t left;
};

/*
 * Begins a walk over `count` elements from `index` on, towards the tail or, for list_next_back, the head; so many there
 * are. Then each call of list_next (or list_next_back) gives one, until it answers false. O(nodes / 62) to begin. An
 * element is good until the next call, or until list_walk_end if the walk keeps all.
 */
void list_walk_begin(struct list_walk *walk, const struct entry *entry, size_t index, size_t count);

static inline void list_walk_keep(struct list_walk *walk)
{
    walk->place.keeps = true;
}

/* Frees what was unpacked for the walk, which may be through or not. */
static inline void list_walk_end(struct list_walk *walk)
{
    quicklist_place_end(&walk->place);
}

static inline bool list_next(struct list_walk *walk, struct list_element *element)
{
    if (walk->left == 0)
        return false;
    element->value = quicklist_get(&walk->place);
    element->blob = walk->place.blob;
    if (--walk->left)
        quicklist_next(&walk->place);
    return true;
}

static inline bool list_next_back(struct list_walk *walk, struct list_element *element)
{
    if (walk->left == 0)
        return false;
    element->value = quicklist_get(&walk->place);
    element->blob = walk->place.blob;
    if (--walk->left)
        quicklist_prev(&walk->place);
    return true;
}

/* The element at an end of a list that is there: it is never compressed. */
void list_get(const struct entry *entry, enum list_end end, struct list_element *element);

/* Text that elements are compared with, made ready once. */
struct list_needle {
    struct bytes text;
    int64_t number;
    bool is_number;
};

static inline struct list_needle list_needle_make(struct bytes text)
{
    struct list_needle needle = { .text = text };
    needle.is_number = text.len <= NUM_I64_MAX_LEN && num_parse_i64(text, &needle.number);
    return needle;
}

static inline bool list_needle_matches(const struct list_needle *needle, struct listpack_value value)
{
    if (!value.text)
        return needle->is_number && value.number == needle->number;
    return value.len == needle->text.len && (value.len == 0 || memcmp(value.text, needle->text.ptr, value.len) == 0);
}

/*
 * --- Changing ---
 * Each call counts as one change. A list that has become empty is removed, and `entry` is then NULL. What needs memory
 * for elements larger than a node answers false, with nothing changed, when it is refused. Blobs are references that
 * are taken over whatever happens; one that is given holds exactly the text beside it.
 */

/* Where a list is, or will be. All is borrowed. */
struct list_edit {
    struct keyspace *keyspace;
    struct db *db;
    struct key key;
    struct entry *entry; /* as keyspace_write found it; NULL: missing */
};

/* Pushes one after the other at an end; creates the list. `blobs` may be NULL, and so may each of them. */
bool list_push(
    struct list_edit *list, enum list_end end, const struct bytes *texts, struct blob *const *blobs, size_t count);

/* Puts another value into the element at `index`, which there is. */
bool list_set(struct list_edit *list, size_t index, struct bytes text, struct blob *blob);

/*
 * Adds an element before or after the first one that reads as `pivot`; false and *found false if there is none. It
 * breathes while it looks.
 */
bool list_insert(
    struct list_edit *list, struct bytes pivot, bool after, struct bytes text, struct blob *blob, bool *found);

/* Takes out `count` elements from `index` on; so many there are, at least one. */
void list_delete(struct list_edit *list, size_t index, size_t count);

/*
 * Takes out up to `max` elements that read as `text`, looking from an end; returns how many. No change if 0. Breathes
 * until all is prepared for a change that is O(1).
 */
size_t list_remove(struct list_edit *list, enum list_end from, struct bytes text, size_t max);

/* True if `count` elements that read as `text` are among the `most`, about, nearest to an end, or no more are there. */
bool list_finds_soon(const struct entry *entry, enum list_end from, struct bytes text, size_t count, size_t most);

/*
 * Moves the element at an end of one list, which is there and reads as `text` (borrowed from elsewhere) to an end of
 * another, which may be the same one.
 */
bool list_move(struct list_edit *from, enum list_end from_end, struct list_edit *to, enum list_end to_end,
    struct bytes text, struct blob *blob);
