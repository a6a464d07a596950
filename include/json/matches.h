/*
 * Matches: what a query found, collected: values to read, or places to change.
 *
 * Places are kept as steps from the root, so that they survive the document's being copied on write: the value may be
 * edited (json_doc_open with each place) while the list is worked through. Memory is 8 bytes a value, or 12 a place and
 * 4 a step of its depth. It is the client's size: running out of it is an error, not the end.
 */
#pragma once

#include "json/query.h"

enum json_matches_want {
    JSON_MATCHES_VALUES, /* addresses of slots: valid while the document is pinned or unchanged */
    JSON_MATCHES_PLACES, /* steps */
};

/* Where sorting is; all zero when nothing is under way. */
struct json_matches_sort {
    int phase;
    uint32_t **from, **to; /* owned; the places in them are borrowed from the list */
    size_t width, run, left, right, at, kept;
};

enum { JSON_MATCHES_PAGE = 4096 };

struct json_matches_chunk;

/* Nothing in it is ever moved, so that adding one more never takes long. */
struct json_matches {
    enum json_matches_want want;
    size_t count;
    size_t skip, limit; /* how many to leave out first, and to keep at most */
    void ***pages;      /* owned, as each page: JSON_MATCHES_PAGE values or places */
    size_t page_count, page_cap;
    struct json_matches_chunk *chunks; /* owned: the memory of places, the newest first */
    uint32_t *at, *end;                /* the room left in it */
    bool out_of_memory;
    struct json_matches_sort sort;
};

/* Empty; keeps what comes after the first `skip`, `limit` of them (SIZE_MAX: all). */
void json_matches_init(struct json_matches *matches, enum json_matches_want want, size_t skip, size_t limit);

/* Breathes, in a fiber. */
void json_matches_fini(struct json_matches *matches);

/*
 * Collects from a query until it is done, paused or failed, or the limit is reached, which is JSON_QUERY_DONE too. Out
 * of memory is JSON_QUERY_FAILED with `out_of_memory` set.
 */
enum json_query_state json_matches_collect(struct json_matches *matches, struct json_query *query, uint64_t *budget);

/* Value `at`. */
static inline const struct json_value *json_matches_value(const struct json_matches *matches, size_t at)
{
    return matches->pages[at / JSON_MATCHES_PAGE][at % JSON_MATCHES_PAGE];
}

/* The steps of place `at`, and how many. */
static inline const uint32_t *json_matches_place(const struct json_matches *matches, size_t at, size_t *depth)
{
    const uint32_t *place = matches->pages[at / JSON_MATCHES_PAGE][at % JSON_MATCHES_PAGE];
    *depth = place[0];
    return place + 1;
}

/*
 * Leaves each place once, at its first occurrence; the order stays. O(n log n) comparisons, in steps as a query is:
 * JSON_QUERY_DONE, JSON_QUERY_PAUSED, or JSON_QUERY_FAILED when memory is out, and nothing changed then.
 */
enum json_query_state json_matches_unique(struct json_matches *matches, uint64_t *budget);

/*
 * For deleting: leaves the outermost places alone, each once, in such an order that deleting one after the other from
 * the first on never moves one that is still to come (of an array's elements the last first). As above.
 */
enum json_query_state json_matches_outermost(struct json_matches *matches, uint64_t *budget);
