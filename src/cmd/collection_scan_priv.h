/*
 * What SSCAN, HSCAN and ZSCAN have in common: cursor and options, the page they answer, and when a page is full.
 *
 *   collection_scan_cursor, then the key and its type, then collection_scan_options: the order in which Redis refuses
 *   collection_scan_begin, then a step and collection_scan_goes_on until that says no, then collection_scan_end
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/glob.h"

struct call;
struct output_gap;

struct collection_scan {
    uint64_t cursor;      /* of the next step */
    struct bytes pattern; /* borrowed from the request */
    bool any;             /* no pattern to match */
    bool no_values;       /* NOVALUES was given */
    size_t count;         /* items after which the page is full */
    size_t visited, steps;
    size_t answered; /* elements of the reply: the caller counts them */
    struct output_gap *cursor_gap, *items_gap;
};

/* A cursor, as leniently as Redis: a sign and leading zeros are fine, nothing is 0, and a zero byte ends it. */
bool collection_scan_parse_cursor(struct bytes text, uint64_t *cursor);

/* Reads the cursor at argument 2; otherwise answers an error. */
bool collection_scan_cursor(struct call *call, struct collection_scan *scan);

/* Reads what follows; otherwise answers an error. Whether NOVALUES exists depends on the command. */
bool collection_scan_options(struct call *call, struct collection_scan *scan, bool has_no_values);

/*
 * After the options: true if the page goes on aside (engine/aside.h), or has to wait. The collection has so many items;
 * the caller breathes.
 */
bool collection_scan_aside(struct call *call, const struct collection_scan *scan, size_t items);

enum { COLLECTION_SCAN_COST = 10 }; /* of an item, for fiber_breathe */

/* Answers that there is nothing. */
void collection_scan_reply_empty(struct call *call);

void collection_scan_begin(struct call *call, struct collection_scan *scan);

/* To be asked after each step, which has set `cursor` and counted in `visited`. */
bool collection_scan_goes_on(struct collection_scan *scan);

void collection_scan_end(struct call *call, struct collection_scan *scan);

static inline bool collection_scan_matches(const struct collection_scan *scan, struct bytes name)
{
    return scan->any || glob_match(scan->pattern, name);
}
