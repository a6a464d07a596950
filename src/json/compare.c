/*
 * Comparing in filters: RFC 9535, section 2.3.5.2.2. Numbers by their exact values, strings by code points (which is
 * the order of their bytes), containers for equality alone. Containers and long strings in steps, because they may be
 * as large as a document.
 */
#include <string.h>

#include "query_priv.h"
#include "json/doc.h"

enum {
    BYTES_A_STEP = 64, /* compared for one step of the budget */
    LONG = 64 * 1024,  /* bytes of a string that is gone through in a frame, ... */
    PIECE = 2048,      /* ... so many at a time */
};

bool compare_is_long(const struct json_value *value)
{
    return value != NULL && json_tag(*value) == JSON_TAG_STRING && json_string(value).len > LONG;
}

static inline bool are_long(const struct json_value *a, const struct json_value *b)
{
    return a != NULL && __builtin_expect(json_tag(*a) == JSON_TAG_STRING, 0) && compare_is_long(a) &&
           compare_is_long(b);
}

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

static void push_text(struct json_query *query, struct bytes a, struct bytes b)
{
    query_push(query, FRAME_TEXT)->text = (struct frame_text){ .a = a, .b = b };
}

void compare_begin_count(struct json_query *query, const struct json_value *string)
{
    push_text(query, json_string(string), bytes_make(NULL, 0));
}

static void push_equal(struct json_query *query, struct json_value a, struct json_value b)
{
    if (json_kind(a) == JSON_STRING) {
        push_text(query, json_string(&a), json_string(&b));
        return;
    }
    struct frame_equal *equal = &query_push(query, FRAME_EQUAL)->equal;
    equal->other = b;
    json_iter_init(&equal->iter, a);
}

/* What two values of a comparison come to: 1 equal, 0 not, -1 both are containers or long and must be gone through. */
static int equal_at_once(const struct json_value *a, const struct json_value *b)
{
    if (a == NULL || b == NULL || a->bits == b->bits)
        return equal_scalars(a, b);
    if (json_is_container(*a) && json_is_container(*b))
        return json_kind(*a) == json_kind(*b) && json_len(*a) == json_len(*b) ? -1 : 0;
    if (json_tag(*a) != JSON_TAG_STRING || json_tag(*b) != JSON_TAG_STRING)
        return equal_scalars(a, b);
    struct bytes text = json_string(a), other = json_string(b);
    return text.len == other.len && text.len > LONG ? -1 : bytes_equal(text, other);
}

/* The comparison on top is over: gives its answer to what is below it. */
static enum outcome answer(struct json_query *query, bool equal)
{
    query->top--;
    while (!equal && query->frames[query->top - 1].kind == FRAME_EQUAL)
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
        if (json_kind(*mine) == JSON_STRING && result >= 0)
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

/* Looks at a piece more of a comparison; true if it is decided. */
static bool compare_piece(struct frame_text *text, size_t len, int *order)
{
    size_t shorter = text->a.len < text->b.len ? text->a.len : text->b.len;
    size_t count = shorter - text->at < len ? shorter - text->at : len;
    *order = memcmp(text->a.ptr + text->at, text->b.ptr + text->at, count);
    text->at += count;
    if (*order != 0 || text->at < shorter)
        return *order != 0;
    *order = (text->a.len > text->b.len) - (text->a.len < text->b.len);
    return true;
}

static bool count_piece(struct frame_text *text, size_t len)
{
    size_t count = text->a.len - text->at < len ? text->a.len - text->at : len;
    text->count += json_count_characters(bytes_make(text->a.ptr + text->at, count));
    text->at += count;
    return text->at == text->a.len;
}

enum outcome compare_step_text(struct json_query *query)
{
    struct frame_text *text = &query->frames[query->top - 1].text;
    bool counts = text->b.ptr == NULL, done = false;
    int order = 0;
    while (!done && query->left > 0) {
        query->left -= PIECE / BYTES_A_STEP;
        done = counts ? count_piece(text, PIECE) : compare_piece(text, PIECE, &order);
    }
    if (!done)
        return OUTCOME_ON;
    if (query->frames[query->top - 2].kind != FRAME_FILTER)
        return answer(query, order == 0);
    int64_t count = text->count;
    query->top--;
    if (counts)
        filter_answer_length(query, count);
    else
        filter_answer_order(query, order);
    return OUTCOME_ON;
}

/* Equality and what contains it; containers of the same length are gone through in a frame. */
static enum outcome compare_equality(struct json_query *query, const struct path_step *step, const struct json_value *a,
    const struct json_value *b, bool in_frame)
{
    int equal = equal_at_once(a, b);
    if (a != NULL && json_kind(*a) == JSON_STRING && equal >= 0)
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
    if (step->compare >= COMPARE_LT && are_long(a, b)) {
        if (in_frame)
            push_text(query, json_string(a), json_string(b));
        return OUTCOME_FRAME;
    }
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
    if (!in_frame && (json_is_container(*what) || compare_is_long(what) || json_array_len(*list) > AT_ONCE))
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
