/*
 * Query: evaluates a compiled path over a value, one match after the other, and pauses whenever it is told to.
 *
 * Matches come in the order of RFC 9535, section 2.1.2 and following: a node before its descendants, elements and
 * members in theirs, the selectors of a bracket one after the other, so that a node may come more than once. What is
 * selected is never copied: a match is the address of a slot in the value.
 *
 * Nothing here is shared or changed, neither the path nor the value: a query may run on any thread, and move to another
 * between two calls, as long as somebody holds a reference to the value's root and to the path. Memory is a few
 * kilobytes at most, whatever the document (its depth is limited); filters that query again and again within each other
 * add as much for each level.
 *
 *     struct json_query *query = json_query_create(path, &root);
 *     while ((state = json_query_next(query, &budget, &match)) == JSON_QUERY_MATCH)
 *         use(match.value);
 *     json_query_destroy(query);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/path.h"
#include "json/value.h"

struct json_query;

enum json_query_state {
    JSON_QUERY_DONE,
    JSON_QUERY_MATCH,
    JSON_QUERY_PAUSED, /* the budget is spent: call again */
    JSON_QUERY_FAILED, /* see json_query_error; the query is over */
};

struct json_match {
    const struct json_value *value; /* borrowed from the document */
    const uint32_t
        *steps;   /* borrowed until the next call: positions and keys from the root, as json_doc_open has them */
    size_t depth; /* steps */
};

/* The one value that a static path names, or NULL: O(segments), no memory. */
const struct json_value *json_path_get(const struct json_path *path, const struct json_value *root);

/* The same with the way there, for which `steps` has room for JSON_MAX_DEPTH + 1. NULL: nothing is there. */
const struct json_value *json_path_locate(
    const struct json_path *path, const struct json_value *root, uint32_t *steps, size_t *depth);

/* Where the parent of what a static path names is, the root itself excepted: what a new member goes into. As above. */
const struct json_value *json_path_locate_parent(
    const struct json_path *path, const struct json_value *root, uint32_t *steps, size_t *depth);

/* A query of any path from `root` on. Both arguments must stay. */
struct json_query *json_query_create(const struct json_path *path, const struct json_value *root);

/* NULL is nothing. */
void json_query_destroy(struct json_query *query);

/*
 * Goes on to the next match. *budget is how many small steps (a node looked at, a test of a filter, 64 bytes compared)
 * it may take, and is left with what remains; UINT64_MAX never pauses. 10,000 steps take about 0.2 ms.
 */
enum json_query_state json_query_next(struct json_query *query, uint64_t *budget, struct json_match *match);

/* Why a query failed. */
const char *json_query_error(const struct json_query *query);
