/*
 * The compiled form of a path, which the parser builds and the evaluator runs: arrays, and indices into them.
 *
 * A query is a run of segments, a segment a run of selectors. Query 0 is the path itself, the others stand in filters.
 * A filter is a run of steps over one truth value and a few registers:
 *
 *     @.a == 1 && !(@.b || length(@.c) > 2)
 *
 *     0  COMPARE == query 1, literal 0
 *     1  JUMP_FALSE -> 7
 *     2  EXISTS_ONE query 2
 *     3  JUMP_TRUE -> 6
 *     4  LENGTH register 0 := query 3
 *     5  COMPARE > register 0, literal 1
 *     6  NOT
 *
 * Names are interned when a path is compiled and held as long as it lives, so that evaluating compares numbers.
 * Literals are values like those of documents.
 */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "json/path.h"
#include "json/value.h"

struct json_regex;

enum { PATH_MAX_REGISTERS = 8 };

static const uint32_t PATH_NONE = UINT32_MAX;

enum path_selector_kind { SELECT_NAME, SELECT_INDEX, SELECT_SLICE, SELECT_ALL, SELECT_FILTER };

struct path_selector {
    uint8_t kind;
    bool has_start, has_end;  /* of a slice */
    uint32_t which;           /* the key, of which the path holds a reference; or the filter */
    int64_t start, end, step; /* an index is in start */
};

struct path_segment {
    bool descendant;
    bool simple; /* a child segment of one name or one index */
    uint32_t first, count;
};

struct path_query {
    bool absolute; /* from the root; otherwise from the filter's current node */
    bool singular; /* every segment is simple */
    uint32_t first, count;
};

enum path_compare { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };

enum path_operand_kind { OPERAND_LITERAL, OPERAND_QUERY, OPERAND_REGISTER };

struct path_operand {
    uint8_t kind;
    uint32_t which;
};

enum path_step_kind {
    STEP_COMPARE,    /* truth := a compare b */
    STEP_IN,         /* truth := a is an element of b */
    STEP_EXISTS_ONE, /* truth := the singular query a finds something */
    STEP_EXISTS,     /* truth := the query a finds something */
    STEP_COUNT,      /* register := number of nodes of query a */
    STEP_VALUE,      /* register := the only node of query a, or nothing */
    STEP_LENGTH,     /* register := length of a, or nothing */
    STEP_MATCH,      /* truth := all of text a fits the expression b */
    STEP_SEARCH,     /* truth := some of text a fits the expression b */
    STEP_FIND,       /* the same in the dialect of `=~` */
    STEP_NOT,
    STEP_JUMP_FALSE,
    STEP_JUMP_TRUE,
};

struct path_step {
    uint8_t kind;
    uint8_t compare; /* enum path_compare */
    uint8_t to;      /* register */
    uint32_t target; /* of a jump, from the filter's first step; of an expression: the compiled one or PATH_NONE */
    struct path_operand a, b;
};

struct path_filter {
    uint32_t first, count;
    uint32_t registers;
    bool containers_only; /* false for every scalar: nothing need be tried there */
};

/* The steps of a filter while it is parsed: filters within its queries have theirs. */
struct path_code {
    struct path_step *steps; /* owned */
    uint32_t count;
    uint32_t registers, most_registers;
};

struct json_path {
    _Atomic uint32_t refs;
    bool legacy;
    struct bytes text;             /* owned */
    struct path_segment *segments; /* owned, as all that follow */
    struct path_selector *selectors;
    struct path_query *queries;
    struct json_value *literals;
    struct path_filter *filters;
    struct path_step *steps;
    struct json_regex **regexes;
    uint32_t segment_count, selector_count, query_count, literal_count, filter_count, step_count, regex_count;
};

/* The parser: reads `in` from `at` on, adds to `path`. A function that fails sets the error and returns false. */
struct path_parser {
    struct json_path *path;
    const char *in;
    size_t len, at;
    unsigned nesting;
    struct path_code *code; /* borrowed: of the filter that is being parsed */
    struct buf scratch;     /* the last name or string, escapes resolved */
    struct json_path_error *error;
};

/* path_text.c: tokens. */
bool path_fail_at(struct path_parser *p, size_t position, const char *what); /* false, always */
bool path_fail(struct path_parser *p, const char *what);
void path_skip_blank(struct path_parser *p);
bool path_peek(const struct path_parser *p, char c);
bool path_take(struct path_parser *p, char c);
bool path_take_text(struct path_parser *p, const char *text);
bool path_is_utf8(struct bytes text, size_t *bad);
bool path_read_name(struct path_parser *p, bool legacy); /* to scratch, as the next two */
bool path_read_string(struct path_parser *p);
bool path_read_expression(struct path_parser *p); /* a string whose escapes are left to the regular expression */
bool path_read_integer(struct path_parser *p, int64_t *value);
bool path_read_number(struct path_parser *p, struct json_value *value);
bool path_enter(struct path_parser *p); /* one level deeper; left by path_leave */
void path_leave(struct path_parser *p);

/*
 * path_parse.c: room for one more of an array, zeroed, at its end; NULL and the error set when there are too many. A
 * query behind its `$` or `@`.
 */
void *path_add(struct path_parser *p, void *array, uint32_t *count, size_t size);
bool path_parse_query(struct path_parser *p, bool absolute, bool in_filter, uint32_t *query);

/* Bytes of memory that a path takes, its expressions excepted. */
size_t path_memory(const struct json_path *path);

/* filter_parse.c: what stands behind a question mark. literal_parse.c: a literal, which the path then owns. */
bool path_parse_filter(struct path_parser *p, uint32_t *filter);
bool path_parse_literal(struct path_parser *p, uint32_t *literal);
bool path_add_literal(struct path_parser *p, struct json_value value, uint32_t *literal); /* takes the value */
