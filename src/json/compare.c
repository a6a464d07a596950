/*
 * Comparing in filters: RFC 9535, section 2.3.5.2.2. Numbers by their exact values, strings by code points (which is
 * the order of their bytes), containers for equality alone, and those in steps, because they may be as large as a
 * document.
 */
#include <string.h>

#include "query_priv.h"
#include "json/doc.h"

/* Bytes compared for one step of the budget. */
enum { BYTES_A_STEP = 64 };

static bool equal_scalars(const struct json_value *a, const struct json_value *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->bits == b->bits)
        return true;
    enum json_kind kind = json_kind(*a);
    if (kind == JSON_STRING)
        return json_kind(*b) == JSON_STRING && bytes_equal(json_string(a), json_string(b));
    return json_is_number(*a) && json_is_number(*b) && json_number_compare(*a, *b) == 0;
}

static bool is_less(const struct json_value *a, const struct json_value *b)
{
    if (a == NULL || b == NULL)
        return false;
    if (json_kind(*a) == JSON_STRING && json_kind(*b) == JSON_STRING)
        return bytes_compare(json_string(a), json_string(b)) < 0;
    return json_is_number(*a) && json_is_number(*b) && json_number_compare(*a, *b) < 0;
}

static void push_equal(struct json_query *query, struct json_value a, struct json_value b)
{
    struct frame_equal *equal = &query_push(query, FRAME_EQUAL)->equal;
    equal->other = b;
    json_iter_init(&equal->iter, a);
}

/* What two values of a comparison come to: 1 equal, 0 not, -1 both are containers that must be gone through. */
static int equal_at_once(const struct json_value *a, const struct json_value *b)
{
    if (a == NULL || b == NULL || !json_is_container(*a) || !json_is_container(*b))
        return equal_scalars(a, b);
    if (a->bits == b->bits)
        return 1;
    return json_kind(*a) == json_kind(*b) && json_len(*a) == json_len(*b) ? -1 : 0;
}

/* The comparison on top is over: gives its answer to what is below it. */
static enum outcome answer(struct json_query *query, bool equal)
{
    if (!equal)
        while (query->frames[query->top - 1].kind == FRAME_EQUAL)
            query->top--;
    else
        query->top--;
    struct frame *below = &query->frames[query->top - 1];
    if (below->kind == FRAME_FILTER) {
        filter_answer(query, equal);
    } else if (below->kind == FRAME_IN && equal) {
        query->top--;
        filter_answer(query, true);
    }
    return OUTCOME_ON;
}

enum outcome compare_step_equal(struct json_query *query)
{
    struct frame_equal *equal = &query->frames[query->top - 1].equal;
    while (query->left-- > 0) {
        if (!json_iter_next(&equal->iter))
            return answer(query, true);
        const struct json_value *mine = equal->iter.value;
        const struct json_value *other = json_kind(equal->other) == JSON_ARRAY
                                             ? json_array_at(equal->other, query_iter_position(&equal->iter))
                                             : json_object_get(equal->other, equal->iter.key);
        int result = equal_at_once(mine, other);
        if (json_kind(*mine) == JSON_STRING)
            query->left -= (int64_t)(json_string(mine).len / BYTES_A_STEP);
        if (result == 0)
            return answer(query, false);
        if (result < 0) {
            push_equal(query, *mine, *other);
            return OUTCOME_ON;
        }
    }
    return OUTCOME_ON;
}

enum outcome compare_step_in(struct json_query *query)
{
    struct frame_in *in = &query->frames[query->top - 1].in;
    while (query->left-- > 0) {
        if (!json_iter_next(&in->iter)) {
            query->top--;
            filter_answer(query, false);
            return OUTCOME_ON;
        }
        int result = equal_at_once(&in->what, in->iter.value);
        if (result > 0) {
            query->top--;
            filter_answer(query, true);
            return OUTCOME_ON;
        }
        if (result < 0) {
            push_equal(query, in->what, *in->iter.value);
            return OUTCOME_ON;
        }
    }
    return OUTCOME_ON;
}

/* Equality and what contains it; containers of the same length are gone through in a frame. */
static enum outcome compare_equality(struct json_query *query, const struct path_step *step, const struct json_value *a,
    const struct json_value *b, bool in_frame)
{
    int equal = equal_at_once(a, b);
    if (a != NULL && json_kind(*a) == JSON_STRING)
        query->left -= (int64_t)(json_string(a).len / BYTES_A_STEP);
    if (equal < 0) {
        if (in_frame)
            push_equal(query, *a, *b);
        return OUTCOME_FRAME;
    }
    return (equal != 0) == (step->compare != COMPARE_NE) ? OUTCOME_TRUE : OUTCOME_FALSE;
}

enum outcome compare_run(struct json_query *query, const struct path_step *step, const struct json_value *a,
    const struct json_value *b, bool in_frame)
{
    bool less = false;
    if (step->compare == COMPARE_LT || step->compare == COMPARE_LE)
        less = is_less(a, b);
    else if (step->compare == COMPARE_GT || step->compare == COMPARE_GE)
        less = is_less(b, a);
    if (less || step->compare == COMPARE_LT || step->compare == COMPARE_GT)
        return less ? OUTCOME_TRUE : OUTCOME_FALSE;
    return compare_equality(query, step, a, b, in_frame);
}

enum outcome compare_in(
    struct json_query *query, const struct json_value *what, const struct json_value *list, bool in_frame)
{
    enum { AT_ONCE = 32 };
    if (what == NULL || list == NULL || json_kind(*list) != JSON_ARRAY)
        return OUTCOME_FALSE;
    if (!in_frame && (json_is_container(*what) || json_array_len(*list) > AT_ONCE))
        return OUTCOME_FRAME;
    if (in_frame) {
        struct json_value own = *what, in = *list;
        struct frame_in *frame = &query_push(query, FRAME_IN)->in;
        frame->what = own;
        json_iter_init(&frame->iter, in);
        return OUTCOME_FRAME;
    }
    struct json_iter iter;
    for (json_iter_init(&iter, *list); json_iter_next(&iter);)
        if (equal_scalars(what, iter.value))
            return OUTCOME_TRUE;
    return OUTCOME_FALSE;
}
