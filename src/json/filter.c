/*
 * Running filters: one step after the other, over a truth value and a few registers.
 *
 * First every filter is run at once, on the stack of the program. When a step turns out to need time that only the
 * document limits, the run is given up and begun again in a frame (query_priv.h), where it can wait; what the steps
 * before it cost is little, because all of that kind ends the run.
 */
#include <string.h>

#include "base/mem.h"
#include "query_priv.h"
#include "json/doc.h"

/* What one evaluation of these costs of the budget, apart from the length of what they look at. */
enum { COST_REGEX_COMPILE = 2000, BYTES_A_STEP = 64 };

const struct json_value *query_resolve(const struct json_path *path, const struct path_query *query,
    const struct json_value *root, const struct json_value *node)
{
    const struct json_value *at = query->absolute ? root : node;
    for (uint32_t i = 0; i < query->count && at != NULL; i++) {
        uint32_t step;
        at = query_select_one(path, &path->selectors[path->segments[query->first + i].first], at, &step);
    }
    return at;
}

static const struct json_value *operand_value(
    struct json_query *query, struct frame_filter *state, struct path_operand operand)
{
    const struct json_path *path = query->path;
    switch (operand.kind) {
    case OPERAND_LITERAL:
        return &path->literals[operand.which];
    case OPERAND_QUERY:
        return query_resolve(path, &path->queries[operand.which], query->root, state->node);
    default:
        return state->registers[operand.which].bits == 0 ? NULL : &state->registers[operand.which];
    }
}

int64_t json_count_characters(struct bytes text)
{
    int64_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

static struct json_value length_of(struct json_query *query, const struct json_value *value)
{
    if (value != NULL && json_is_container(*value))
        return json_make_int(json_len(*value));
    if (value == NULL || json_kind(*value) != JSON_STRING)
        return JSON_VALUE_NONE;
    struct bytes text = json_string(value);
    query->left -= (int64_t)(text.len / BYTES_A_STEP);
    return json_make_int(json_count_characters(text));
}

/* The expression that a step matches with, or NULL: an invalid one. What comes from the document is compiled once. */
static const struct json_regex *expression_of(
    struct json_query *query, const struct path_step *step, const struct json_value *pattern)
{
    if (step->target != PATH_NONE)
        return query->path->regexes[step->target];
    struct bytes text = json_string(pattern);
    struct buf *known = &query->dynamic_text;
    if (known->len == text.len + 1 && known->ptr[0] == (char)step->kind &&
        memcmp(known->ptr + 1, text.ptr, text.len) == 0)
        return query->dynamic;
    enum { LONGEST = 4096 };
    if (text.len > LONGEST)
        return NULL;
    json_regex_destroy(query->dynamic);
    query->dynamic = json_regex_compile(text, step->kind == STEP_MATCH    ? JSON_REGEX_MATCH
                                              : step->kind == STEP_SEARCH ? JSON_REGEX_SEARCH
                                                                          : JSON_REGEX_FIND);
    buf_clear(known);
    buf_append_char(known, (char)step->kind);
    buf_append(known, text);
    query->left -= COST_REGEX_COMPILE;
    return query->dynamic;
}

static enum outcome regex_outcome(struct json_query *query, enum json_regex_result result)
{
    query->left -= (int64_t)json_regex_take_cost(query->run);
    switch (result) {
    case JSON_REGEX_NO:
        return OUTCOME_FALSE;
    case JSON_REGEX_YES:
        return OUTCOME_TRUE;
    case JSON_REGEX_MORE:
        return OUTCOME_FRAME;
    default:
        query->error = "a regular expression is too complex";
        return OUTCOME_FAILED;
    }
}

static enum outcome run_regex(struct json_query *query, struct frame_filter *state, const struct path_step *step)
{
    const struct json_value *text = operand_value(query, state, step->a);
    if (text == NULL || json_kind(*text) != JSON_STRING)
        return OUTCOME_FALSE;
    const struct json_value *pattern = operand_value(query, state, step->b);
    if (pattern == NULL || json_kind(*pattern) != JSON_STRING)
        return OUTCOME_FALSE;
    if (query->run == NULL)
        query->run = json_regex_run_create();
    struct bytes subject = json_string(text);
    const struct json_regex *regex = expression_of(query, step, pattern);
    if (regex == NULL)
        return OUTCOME_FALSE;
    return regex_outcome(query, json_regex_begin(query->run, regex, subject));
}

/* Goes on with an expression in a frame. */
static enum outcome continue_regex(struct json_query *query, struct frame_filter *state)
{
    enum outcome outcome = regex_outcome(query, json_regex_step(query->run));
    if (outcome == OUTCOME_FALSE || outcome == OUTCOME_TRUE) {
        state->truth = outcome == OUTCOME_TRUE;
        state->matching = false;
        state->pc++;
    }
    return outcome;
}

/* A step that yields truth, or has to wait, or fails. */
static enum outcome run_test(
    struct json_query *query, struct frame_filter *state, const struct path_step *step, bool in_frame)
{
    enum outcome outcome;
    switch (step->kind) {
    case STEP_COMPARE:
        return compare_run(
            query, step, operand_value(query, state, step->a), operand_value(query, state, step->b), in_frame);
    case STEP_IN:
        return compare_in(query, operand_value(query, state, step->a), operand_value(query, state, step->b), in_frame);
    case STEP_EXISTS_ONE:
        return operand_value(query, state, step->a) != NULL ? OUTCOME_TRUE : OUTCOME_FALSE;
    case STEP_MATCH:
    case STEP_SEARCH:
    case STEP_FIND:
        outcome = run_regex(query, state, step);
        state->matching = outcome == OUTCOME_FRAME;
        return outcome;
    default: /* EXISTS, COUNT, VALUE */
        if (in_frame)
            query_begin_sub(query, &query->path->queries[step->a.which], state->node);
        return OUTCOME_FRAME;
    }
}

enum outcome filter_run(struct json_query *query, struct frame_filter *state, bool in_frame)
{
    const struct path_step *steps = query->path->steps + state->filter->first;
    if (in_frame && state->matching) {
        enum outcome outcome = continue_regex(query, state);
        if (outcome == OUTCOME_FRAME || outcome == OUTCOME_FAILED)
            return outcome;
    }
    while (state->pc < state->filter->count) {
        const struct path_step *step = &steps[state->pc];
        query->left--;
        if (step->kind == STEP_NOT) {
            state->truth = !state->truth;
        } else if (step->kind == STEP_JUMP_FALSE || step->kind == STEP_JUMP_TRUE) {
            if (state->truth == (step->kind == STEP_JUMP_TRUE)) {
                state->pc = step->target;
                continue;
            }
        } else if (step->kind == STEP_LENGTH) {
            const struct json_value *value = operand_value(query, state, step->a);
            if (compare_is_long(value)) {
                if (in_frame)
                    compare_begin_count(query, value);
                return OUTCOME_FRAME;
            }
            state->registers[step->to] = length_of(query, value);
        } else {
            enum outcome outcome = run_test(query, state, step, in_frame);
            if (outcome == OUTCOME_FRAME || outcome == OUTCOME_FAILED)
                return outcome;
            state->truth = outcome == OUTCOME_TRUE;
        }
        state->pc++;
    }
    return state->truth ? OUTCOME_TRUE : OUTCOME_FALSE;
}

static struct frame_filter *waiting_filter(struct json_query *query, const struct path_step **step)
{
    struct frame_filter *state = &query->frames[query->top - 1].filter;
    *step = &query->path->steps[state->filter->first + state->pc++];
    return state;
}

void filter_answer(struct json_query *query, bool truth)
{
    const struct path_step *step;
    struct frame_filter *state = waiting_filter(query, &step);
    state->truth = step->kind == STEP_COMPARE && step->compare == COMPARE_NE ? !truth : truth;
}

void filter_answer_order(struct json_query *query, int order)
{
    const struct path_step *step;
    struct frame_filter *state = waiting_filter(query, &step);
    switch (step->compare) {
    case COMPARE_EQ:
        state->truth = order == 0;
        return;
    case COMPARE_NE:
        state->truth = order != 0;
        return;
    case COMPARE_LT:
        state->truth = order < 0;
        return;
    case COMPARE_LE:
        state->truth = order <= 0;
        return;
    case COMPARE_GT:
        state->truth = order > 0;
        return;
    case COMPARE_GE:
        state->truth = order >= 0;
        return;
    }
}

void filter_answer_length(struct json_query *query, int64_t length)
{
    const struct path_step *step;
    struct frame_filter *state = waiting_filter(query, &step);
    state->registers[step->to] = json_make_int(length);
}

void filter_answer_sub(struct json_query *query, uint64_t count, const struct json_value *first)
{
    const struct path_step *step;
    struct frame_filter *state = waiting_filter(query, &step);
    if (step->kind == STEP_EXISTS)
        state->truth = count > 0;
    else if (step->kind == STEP_COUNT)
        state->registers[step->to] = json_make_int((int64_t)count);
    else
        state->registers[step->to] = count == 1 ? *first : JSON_VALUE_NONE;
}
