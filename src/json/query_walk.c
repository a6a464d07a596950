/*
 * Walking: a segment's selectors on one node, one after the other, and then, if it is a descendant segment, the same on
 * every container below. RFC 9535, sections 2.3 and 2.5.
 */
#include "base/assert.h"
#include "query_priv.h"
#include "json/doc.h"

/* Where an index points in an array of `len` elements; false if outside. */
static bool normalise_index(const struct json_path *path, int64_t index, uint32_t len, uint32_t *at)
{
    if (index < 0)
        index += len;
    if (index < 0 && path->legacy && len > 0)
        index = 0;
    if (index < 0 || index >= len)
        return false;
    *at = (uint32_t)index;
    return true;
}

const struct json_value *query_select_one(
    const struct json_path *path, const struct path_selector *selector, const struct json_value *node, uint32_t *step)
{
    enum json_kind kind = json_kind(*node);
    if (selector->kind == SELECT_NAME) {
        *step = selector->which;
        return kind == JSON_OBJECT ? json_object_get(*node, selector->which) : NULL;
    }
    if (kind != JSON_ARRAY || !normalise_index(path, selector->start, json_array_len(*node), step))
        return NULL;
    return json_array_at(*node, *step);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Bounds of a slice: RFC 9535, section 2.3.4.2.2. */
static void begin_slice(struct frame_walk *walk, const struct path_selector *slice)
{
    int64_t len = json_array_len(*walk->node), step = slice->step;
    int64_t start = slice->has_start ? slice->start : step >= 0 ? 0 : len - 1;
    int64_t end = slice->has_end ? slice->end : step >= 0 ? len : -len - 1;
    start = start >= 0 ? start : len + start;
    end = end >= 0 ? end : len + end;
    walk->step = step;
    walk->at = step >= 0 ? clamp(start, 0, len) : clamp(start, -1, len - 1);
    walk->stop = step >= 0 ? clamp(end, 0, len) : clamp(end, -1, len - 1);
}

/* A value that was found: counted for the query in a filter that looks for it, or a match. */
static enum outcome found(struct json_query *query, const struct json_value *value, size_t depth)
{
    if (query->sub == 0) {
        query->match = value;
        query->match_depth = depth;
        return OUTCOME_MATCH;
    }
    struct frame_sub *sub = &query->frames[query->sub - 1].sub;
    if (sub->count++ == 0)
        sub->first = value;
    const struct frame_filter *filter = &query->frames[query->sub - 2].filter;
    uint8_t kind = query->path->steps[filter->filter->first + filter->pc].kind;
    if (kind == STEP_COUNT || (kind == STEP_VALUE && sub->count == 1))
        return OUTCOME_ON;
    query->top = query->sub; /* enough: the SUB frame is on top, and thereby over */
    return OUTCOME_FRAME;
}

/* Notes the step from a node of the path's own at `depth`; what a filter looks at has no place to report. */
static void note_step(struct json_query *query, size_t depth, uint32_t step)
{
    if (query->sub != 0)
        return;
    ASSERT(depth < QUERY_MAX_STEPS);
    query->steps[depth] = step;
}

enum outcome query_enter(
    struct json_query *query, const struct json_value *node, uint32_t segment, uint32_t end, uint32_t depth)
{
    const struct json_path *path = query->path;
    for (; segment < end; segment++) {
        if (!json_is_container(*node))
            return OUTCOME_ON;
        if (!path->segments[segment].simple) {
            struct frame_walk *walk = &query_push(query, FRAME_WALK)->walk;
            walk->node = node;
            walk->segment = segment;
            walk->end = end;
            walk->selector = 0;
            walk->depth = depth;
            walk->started = false;
            return OUTCOME_FRAME;
        }
        uint32_t step;
        node = query_select_one(path, &path->selectors[path->segments[segment].first], node, &step);
        if (node == NULL)
            return OUTCOME_ON;
        note_step(query, depth++, step);
    }
    return found(query, node, depth);
}

/* A child that a selector of `walk` selects. `walk` may be void afterwards. */
static enum outcome select_child(
    struct json_query *query, const struct frame_walk *walk, const struct json_value *child, uint32_t step)
{
    note_step(query, walk->depth, step);
    return query_enter(query, child, walk->segment + 1, walk->end, walk->depth + 1);
}

static uint32_t iter_step(const struct json_iter *iter)
{
    return iter->keys != NULL ? iter->key : query_iter_position(iter);
}

static void next_selector(struct frame_walk *walk)
{
    walk->selector++;
    walk->started = false;
}

static void start_iter(struct frame_walk *walk)
{
    if (!walk->started)
        json_iter_init(&walk->iter, *walk->node);
    walk->started = true;
}

static enum outcome step_one(struct json_query *query, struct frame_walk *walk, const struct path_selector *selector)
{
    uint32_t step;
    const struct json_value *child = query_select_one(query->path, selector, walk->node, &step);
    next_selector(walk);
    query->left--;
    return child != NULL ? select_child(query, walk, child, step) : OUTCOME_ON;
}

static enum outcome step_slice(struct json_query *query, struct frame_walk *walk, const struct path_selector *slice)
{
    if (json_kind(*walk->node) != JSON_ARRAY || slice->step == 0) {
        next_selector(walk);
        return OUTCOME_ON;
    }
    if (!walk->started)
        begin_slice(walk, slice);
    walk->started = true;
    while (walk->step > 0 ? walk->at < walk->stop : walk->at > walk->stop) {
        if (query->left-- <= 0)
            return OUTCOME_ON;
        uint32_t at = (uint32_t)walk->at;
        walk->at += walk->step;
        enum outcome outcome = select_child(query, walk, json_array_at(*walk->node, at), at);
        if (outcome != OUTCOME_ON)
            return outcome;
    }
    next_selector(walk);
    return OUTCOME_ON;
}

static enum outcome step_all(struct json_query *query, struct frame_walk *walk)
{
    start_iter(walk);
    while (query->left-- > 0) {
        if (!json_iter_next(&walk->iter)) {
            next_selector(walk);
            return OUTCOME_ON;
        }
        enum outcome outcome = select_child(query, walk, walk->iter.value, iter_step(&walk->iter));
        if (outcome != OUTCOME_ON)
            return outcome;
    }
    return OUTCOME_ON;
}

static enum outcome step_filter(struct json_query *query, struct frame_walk *walk, const struct path_selector *selector)
{
    const struct path_filter *filter = &query->path->filters[selector->which];
    start_iter(walk);
    while (query->left-- > 0) {
        if (!json_iter_next(&walk->iter)) {
            next_selector(walk);
            return OUTCOME_ON;
        }
        if (filter->containers_only && !json_is_container(*walk->iter.value))
            continue;
        struct frame_filter state;
        state.filter = filter;
        state.node = walk->iter.value;
        state.pc = 0;
        state.truth = state.matching = false;
        enum outcome outcome = filter_run(query, &state, false);
        if (outcome == OUTCOME_FRAME) {
            state.pc = 0;
            state.truth = state.matching = false;
            query_push(query, FRAME_FILTER)->filter = state;
            return OUTCOME_FRAME;
        }
        if (outcome == OUTCOME_TRUE)
            outcome = select_child(query, walk, walk->iter.value, iter_step(&walk->iter));
        if (outcome != OUTCOME_ON)
            return outcome;
    }
    return OUTCOME_ON;
}

/* Applies the segment to the next container below, after all selectors have been. */
static enum outcome step_descend(struct json_query *query, struct frame_walk *walk)
{
    start_iter(walk);
    while (query->left-- > 0) {
        if (!json_iter_next(&walk->iter)) {
            query->top--;
            return OUTCOME_ON;
        }
        if (!json_is_container(*walk->iter.value))
            continue;
        note_step(query, walk->depth, iter_step(&walk->iter));
        return query_enter(query, walk->iter.value, walk->segment, walk->end, walk->depth + 1);
    }
    return OUTCOME_ON;
}

enum outcome query_step_walk(struct json_query *query)
{
    struct frame_walk *walk = &query->frames[query->top - 1].walk;
    const struct path_segment *segment = &query->path->segments[walk->segment];
    if (walk->selector == segment->count) {
        if (segment->descendant)
            return step_descend(query, walk);
        query->top--;
        return OUTCOME_ON;
    }
    const struct path_selector *selector = &query->path->selectors[segment->first + walk->selector];
    switch (selector->kind) {
    case SELECT_SLICE:
        return step_slice(query, walk, selector);
    case SELECT_ALL:
        return step_all(query, walk);
    case SELECT_FILTER:
        return step_filter(query, walk, selector);
    default:
        return step_one(query, walk, selector);
    }
}

enum outcome query_step_filter(struct json_query *query)
{
    enum outcome outcome = filter_run(query, &query->frames[query->top - 1].filter, true);
    if (outcome != OUTCOME_TRUE && outcome != OUTCOME_FALSE)
        return outcome;
    query->top--;
    struct frame_walk *walk = &query->frames[query->top - 1].walk;
    if (outcome == OUTCOME_FALSE)
        return OUTCOME_ON;
    return select_child(query, walk, walk->iter.value, iter_step(&walk->iter));
}
