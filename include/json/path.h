/*
 * Path: a JSONPath or a legacy path, compiled.
 *
 * Two languages. A text that is `$`, or begins with `$.` or `$[` (white space may stand between), is JSONPath as RFC
 * 9535 has it: names, wildcards, indices, slices, unions, descendants, filters with all comparisons and the functions
 * length, count, match, search and value. Accepted beyond the RFC, as users of RedisJSON write it: `=~` (an unanchored
 * search), `in` and `nin`, array and object literals, `.[...]`, and in names after a dot the characters -:#%+/^`~$.
 * Any other text is a legacy path (`.`, `.a.b[0]`, `a.b`, `["x y"]`): the same grammar with the `$` left out, names
 * that may begin with a digit, indices below the array's beginning that mean its first element, and no negative steps.
 *
 * A compiled path never changes, so any number of threads may evaluate it at once; references to it are counted
 * atomically. Compiling costs O(length), and everything about a path is bounded: see the limits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct json_path;

enum {
    JSON_PATH_MAX_LEN = 16384,      /* bytes of text */
    JSON_PATH_MAX_PARTS = 4096,     /* of each: segments, selectors, names, literals, steps of filters */
    JSON_PATH_MAX_NESTING = 32,     /* parentheses, filters, calls and container literals within each other */
    JSON_PATH_MAX_EXPRESSIONS = 32, /* regular expressions written in it */
    JSON_PATH_ERROR_LEN = 128,
};

/* What is wrong with a text, and where: a byte's offset. `text` names the position too. */
struct json_path_error {
    size_t position;
    char text[JSON_PATH_ERROR_LEN]; /* "expected ']' at position 4 of the path"; terminated */
};

/* The compiled path, one reference of it the caller's; or NULL and *error set. Aborts when memory is out. */
struct json_path *json_path_compile(struct bytes text, struct json_path_error *error);

/* One more reference, for another holder or thread; returns `path`. */
struct json_path *json_path_ref(struct json_path *path);

/* Gives a reference back; with the last one the path goes. NULL is nothing. Any thread. */
void json_path_unref(struct json_path *path);

/* The text it was compiled from. Valid as long as the path. */
struct bytes json_path_text(const struct json_path *path);

/* True for a legacy path: the first match alone is answered, and what misses is an error. */
bool json_path_is_legacy(const struct json_path *path);

/* True for the root alone: `$`, `.`. */
bool json_path_is_root(const struct json_path *path);

/* True if it can match one value at most: every segment is one name or one index. Evaluating it costs O(segments). */
bool json_path_is_static(const struct json_path *path);

/* What the last segment of a static path selects: where JSON.SET makes a new member. */
enum json_path_last {
    JSON_PATH_LAST_NONE, /* the root, or not static */
    JSON_PATH_LAST_NAME,
    JSON_PATH_LAST_INDEX,
};

/* Sets *name or *index, by what it returns. *name is valid as long as the path. */
enum json_path_last json_path_last(const struct json_path *path, struct bytes *name, int64_t *index);

/*
 * A cache of compiled paths by their text: least recently used first out. For one thread; what it hands out may go to
 * others. A hit costs one hash and one comparison.
 */
struct json_path_cache;

struct json_path_cache *json_path_cache_create(size_t capacity);

/* NULL is nothing. Paths still referenced elsewhere live on. */
void json_path_cache_destroy(struct json_path_cache *cache);

/*
 * The compiled path, borrowed from the cache until the next call with it (json_path_ref for longer); or NULL and *error
 * set. Errors are not cached, nor are texts longer than 1024 bytes kept among many: they are compiled each time.
 */
struct json_path *json_path_cache_get(struct json_path_cache *cache, struct bytes text, struct json_path_error *error);

/* Paths held, and bytes of memory that they take. */
size_t json_path_cache_count(const struct json_path_cache *cache);
size_t json_path_cache_memory(const struct json_path_cache *cache);
