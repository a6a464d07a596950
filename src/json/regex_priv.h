/*
 * Regular expressions that cannot hang: matched by following all alternatives at once, in slices.
 *
 * The work goes with the length of the text times the length of the expression, whatever the expression: it is
 * PCRE2's breadth-first matcher, and what that cannot do in one pass (back references, lookaround, recursion, atomic
 * groups) is not allowed. Nothing of that is in RFC 9485 (I-Regexp), which match and search of RFC 9535 take, nor in
 * the dialect that RedisJSON's `=~` takes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct json_regex;

enum json_regex_mode {
    JSON_REGEX_MATCH,  /* the whole text; I-Regexp */
    JSON_REGEX_SEARCH, /* anywhere in it; I-Regexp */
    JSON_REGEX_FIND,   /* anywhere in it; `.` is all but a line feed, classes are Unicode's */
};

/* Compiles `pattern`, valid UTF-8; NULL if it is none, or too large. It may be used by many threads at once. */
struct json_regex *json_regex_compile(struct bytes pattern, enum json_regex_mode mode);

/* NULL is nothing. */
void json_regex_destroy(struct json_regex *regex);

enum json_regex_result {
    JSON_REGEX_NO,
    JSON_REGEX_YES,
    JSON_REGEX_MORE,   /* call json_regex_step */
    JSON_REGEX_FAILED, /* the expression needs too many alternatives at once, or too much time */
};

/* A match under way; of one thread at a time, used for one match after the other. */
struct json_regex_run;

struct json_regex_run *json_regex_run_create(void);
void json_regex_run_destroy(struct json_regex_run *run); /* NULL is nothing */

/* Begins to match `text`, valid UTF-8, which must stay as long as there is more to do, as must the expression. */
enum json_regex_result json_regex_begin(struct json_regex_run *run, const struct json_regex *regex, struct bytes text);

/* Goes on, for a bounded stretch of the text: less than a millisecond. */
enum json_regex_result json_regex_step(struct json_regex_run *run);

/* What matching has cost since this was last asked, in the small steps of query.h's budgets. */
uint64_t json_regex_take_cost(struct json_regex_run *run);
