/*
 * The evaluator's loop, and static paths, which need none of it.
 */
#include "json/query.h"

#include "base/assert.h"
#include "base/mem.h"
#include "query_priv.h"
#include "json/doc.h"

static const struct json_value *locate(
    const struct json_path *path, const struct json_value *root, size_t segments, uint32_t *steps, size_t *depth)
{
    ASSERT(path->queries[0].singular);
    const struct json_value *at = root;
    for (uint32_t i = 0; i < segments && at != NULL; i++) {
        const struct path_segment *segment = &path->segments[path->queries[0].first + i];
        ASSERT(i <= JSON_MAX_DEPTH);
        at = query_select_one(path, &path->selectors[segment->first], at, &steps[i]);
    }
    if (at != NULL)
        *depth = segments;
    return at;
}

const struct json_value *json_path_get(const struct json_path *path, const struct json_value *root)
{
    ASSERT(path->queries[0].singular);
    return query_resolve(path, &path->queries[0], root, root);
}

const struct json_value *json_path_locate(
    const struct json_path *path, const struct json_value *root, uint32_t *steps, size_t *depth)
{
    return locate(path, root, path->queries[0].count, steps, depth);
}

const struct json_value *json_path_locate_parent(
    const struct json_path *path, const struct json_value *root, uint32_t *steps, size_t *depth)
{
    ASSERT(path->queries[0].count > 0);
    return locate(path, root, path->queries[0].count - 1, steps, depth);
}

struct json_query *json_query_create(const struct json_path *path, const struct json_value *root)
{
    struct json_query *query = mem_alloc(sizeof(*query));
    query->path = path;
    query->root = root;
    query->left = 0;
    query->frames = NULL;
    query->top = query->cap = query->sub = 0;
    query->begun = false;
    query->error = NULL;
    query->match = NULL;
    query->match_depth = 0;
    query->run = NULL;
    query->dynamic = NULL;
    query->dynamic_text = BUF_EMPTY;
    return query;
}

void json_query_destroy(struct json_query *query)
{
    if (query == NULL)
        return;
    json_regex_run_destroy(query->run);
    json_regex_destroy(query->dynamic);
    buf_fini(&query->dynamic_text);
    mem_free(query->frames);
    mem_free(query);
}

struct frame *query_push(struct json_query *query, enum frame_kind kind)
{
    if (query->top == query->cap) {
        query->cap = query->cap == 0 ? QUERY_FIRST_FRAMES : 2 * query->cap;
        query->frames = mem_realloc(query->frames, query->cap * sizeof(*query->frames));
    }
    struct frame *frame = &query->frames[query->top++];
    frame->kind = kind;
    return frame;
}

void query_begin_sub(struct json_query *query, const struct path_query *sub, const struct json_value *node)
{
    struct frame_sub *frame = &query_push(query, FRAME_SUB)->sub;
    *frame = (struct frame_sub){ .outer = query->sub };
    query->sub = query->top;
    query_enter(query, sub->absolute ? query->root : node, sub->first, sub->first + sub->count, 0);
}

/* The query in a filter is over: tells the filter, which is the frame below. */
static enum outcome end_sub(struct json_query *query)
{
    struct frame_sub sub = query->frames[--query->top].sub;
    query->sub = sub.outer;
    filter_answer_sub(query, sub.count, sub.first);
    return OUTCOME_ON;
}

static enum outcome step_top(struct json_query *query)
{
    switch (query->frames[query->top - 1].kind) {
    case FRAME_WALK:
        return query_step_walk(query);
    case FRAME_FILTER:
        return query_step_filter(query);
    case FRAME_SUB:
        return end_sub(query);
    case FRAME_EQUAL:
        return compare_step_equal(query);
    case FRAME_TEXT:
        return compare_step_text(query);
    default:
        return compare_step_in(query);
    }
}

/* Goes on until there is a match, or the end; true unless the budget is spent before. */
static bool run(struct json_query *query, enum outcome *outcome)
{
    const struct path_query *whole = &query->path->queries[0];
    *outcome = OUTCOME_ON;
    if (!query->begun) {
        query->begun = true;
        *outcome = query_enter(query, query->root, whole->first, whole->first + whole->count, 0);
    }
    while (*outcome != OUTCOME_MATCH && *outcome != OUTCOME_FAILED && query->top > 0) {
        if (query->left <= 0)
            return false;
        *outcome = step_top(query);
    }
    return true;
}

enum json_query_state json_query_next(struct json_query *query, uint64_t *budget, struct json_match *match)
{
    enum outcome outcome;
    if (query->error != NULL)
        return JSON_QUERY_FAILED;
    query->left = *budget > INT64_MAX ? INT64_MAX : (int64_t)*budget;
    bool come_to_something = run(query, &outcome);
    if (*budget != UINT64_MAX)
        *budget = query->left > 0 ? (uint64_t)query->left : 0;
    if (!come_to_something)
        return JSON_QUERY_PAUSED;
    if (outcome == OUTCOME_FAILED)
        return JSON_QUERY_FAILED;
    if (outcome != OUTCOME_MATCH)
        return JSON_QUERY_DONE;
    *match = (struct json_match){ query->match, query->steps, query->match_depth };
    return JSON_QUERY_MATCH;
}

const char *json_query_error(const struct json_query *query)
{
    return query->error;
}
