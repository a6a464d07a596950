/*
 * The evaluator's state: a stack of frames, so that it can stop anywhere.
 *
 *     WALK    a node to which a segment's selectors are applied, and from which it descends
 *     FILTER  a filter that had to stop half-way; the frame below it is the WALK that tests with it
 *     SUB     a query within a filter; the WALKs above it are its, the FILTER below it waits for it
 *     EQUAL   two containers that are compared; IN: a list in which something is looked for
 *     TEXT    two long strings that are compared, or one whose characters are counted
 *
 * Most filters never see a frame: they are run at once, and only what turns out to need a query with many results, a
 * comparison of containers or a long regular expression is begun again in a frame.
 *
 * Every WALK is one level deeper in the document than that below it, so their number is limited by the document's depth
 * and the path's nesting.
 */
#pragma once

#include "path_priv.h"
#include "regex_priv.h"
#include "json/query.h"

enum frame_kind { FRAME_WALK, FRAME_FILTER, FRAME_SUB, FRAME_EQUAL, FRAME_IN, FRAME_TEXT };

struct frame_walk {
    const struct json_value *node; /* borrowed */
    uint32_t segment, end;         /* of the path's segments; end is that of the query */
    uint32_t selector;             /* of the segment's; their number: descending */
    uint32_t depth;                /* of the node, in steps */
    bool started;                  /* the selector's iterator or cursor is set */
    int64_t at, stop, step;        /* of a slice */
    struct json_iter iter;
};

struct frame_filter {
    const struct path_filter *filter; /* borrowed */
    const struct json_value *node;    /* borrowed: `@` */
    uint32_t pc;
    bool truth;
    bool matching; /* a regular expression is under way */
    struct json_value registers[PATH_MAX_REGISTERS];
};

struct frame_sub {
    size_t outer; /* the sub below this, as query->sub has it */
    uint64_t count;
    const struct json_value *first; /* borrowed */
};

struct frame_equal {
    struct json_value other; /* borrowed: what the iterated container is compared with */
    struct json_iter iter;
};

struct frame_in {
    struct json_value what; /* borrowed */
    struct json_iter iter;
};

/* Strings so long are behind a pointer, so that their bytes stay where they are. */
struct frame_text {
    struct bytes a, b; /* borrowed; b.ptr is NULL: the characters of `a` are counted */
    size_t at;
    int64_t count;
};

struct frame {
    enum frame_kind kind;
    union {
        struct frame_walk walk;
        struct frame_filter filter;
        struct frame_sub sub;
        struct frame_equal equal;
        struct frame_in in;
        struct frame_text text;
    };
};

enum { QUERY_MAX_STEPS = JSON_MAX_DEPTH + 1, QUERY_FIRST_FRAMES = 8 };

struct json_query {
    const struct json_path *path;  /* borrowed */
    const struct json_value *root; /* borrowed */
    int64_t left;                  /* of the budget */
    struct frame *frames;          /* owned */
    size_t top, cap;
    size_t sub; /* the innermost SUB frame's place, from 1; 0: none */
    bool begun;
    const char *error;              /* borrowed: static */
    const struct json_value *match; /* borrowed: what was found last */
    size_t match_depth;
    struct json_regex_run *run; /* owned; NULL until needed */
    struct json_regex *dynamic; /* owned: the last expression that came from the document */
    struct buf dynamic_text;    /* its text and mode */
    uint32_t steps[QUERY_MAX_STEPS];
};

/* What a piece of work came to. */
enum outcome {
    OUTCOME_FALSE, /* of a filter; otherwise: go on */
    OUTCOME_TRUE,  /* of a filter */
    OUTCOME_FRAME, /* of a filter: it needs a frame; or it has put something on the stack, or paused: go on */
    OUTCOME_MATCH,
    OUTCOME_FAILED,
    OUTCOME_ON = OUTCOME_FALSE,
};

/* Where an iterator is. */
static inline uint32_t query_iter_position(const struct json_iter *iter)
{
    return iter->at;
}

/* A new frame on top. Frames move: pointers to others are void. */
struct frame *query_push(struct json_query *query, enum frame_kind kind);

/* query.c: begins a query within a filter. */
void query_begin_sub(struct json_query *query, const struct path_query *sub, const struct json_value *node);

/*
 * query_walk.c: goes from a node along the segments from `segment` to `end`, as far as each selects one value at most,
 * and leaves a WALK for the rest.
 */
enum outcome query_enter(
    struct json_query *query, const struct json_value *node, uint32_t segment, uint32_t end, uint32_t depth);

/* Goes on in the top frame. */
enum outcome query_step_walk(struct json_query *query);
enum outcome query_step_filter(struct json_query *query);

/* What one name or index selects of a container, and the step there; or NULL. */
const struct json_value *query_select_one(
    const struct json_path *path, const struct path_selector *selector, const struct json_value *node, uint32_t *step);

/* filter.c: the node of a singular query; `node` is what `@` means. */
const struct json_value *query_resolve(const struct json_path *path, const struct path_query *query,
    const struct json_value *root, const struct json_value *node);

/* filter.c: characters of a UTF-8 text, or a part of one: bytes that do not continue one. */
int64_t json_count_characters(struct bytes text);

/* Runs a filter from where it stands. In a frame it may put others on top of it. */
enum outcome filter_run(struct json_query *query, struct frame_filter *state, bool in_frame);

/* Tells the filter in the top frame what its present step was waiting for. */
void filter_answer(struct json_query *query, bool truth);
void filter_answer_sub(struct json_query *query, uint64_t count, const struct json_value *first);
void filter_answer_order(struct json_query *query, int order); /* of the two values of a comparison */
void filter_answer_length(struct json_query *query, int64_t length);

/* compare.c: the steps COMPARE and IN; NULL is nothing. Containers and long lists need a frame. */
enum outcome compare_run(struct json_query *query, const struct path_step *step, const struct json_value *a,
    const struct json_value *b, bool in_frame);
enum outcome compare_in(
    struct json_query *query, const struct json_value *what, const struct json_value *list, bool in_frame);

/* True for a string whose bytes are looked at in a frame; and that frame, for its characters to be counted. */
bool compare_is_long(const struct json_value *value);
void compare_begin_count(struct json_query *query, const struct json_value *string);

/* Goes on comparing, counting or looking, in the top frame. */
enum outcome compare_step_equal(struct json_query *query);
enum outcome compare_step_in(struct json_query *query);
enum outcome compare_step_text(struct json_query *query);
