/*
 * Collecting what a query finds, and putting places in order.
 *
 * A place is its length and its steps in one array of numbers, and an offset into it in another. Sorting works on the
 * offsets: bottom-up merge sort, which can stop after any comparison and is stable.
 */
#include "json/matches.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

void json_matches_init(struct json_matches *matches, enum json_matches_want want, size_t skip, size_t limit)
{
    *matches = (struct json_matches){ .want = want, .skip = skip, .limit = limit };
}

void json_matches_fini(struct json_matches *matches)
{
    mem_free(matches->values);
    mem_free(matches->places);
    mem_free(matches->steps);
    mem_free(matches->sort.from);
    mem_free(matches->sort.to);
    *matches = (struct json_matches){ .want = matches->want };
}

/* Room for `more` in an array that may move; false when memory is out. */
static bool reserve(void *array, size_t size, size_t len, size_t more, size_t *cap)
{
    enum { FIRST = 16 };
    void **at = array;
    if (len + more <= *cap)
        return true;
    size_t room = *cap == 0 ? FIRST : 2 * *cap;
    while (room < len + more)
        room *= 2;
    void *moved = mem_try_realloc(*at, room * size);
    if (moved == NULL)
        return false;
    *at = moved;
    *cap = room;
    return true;
}

static bool add(struct json_matches *matches, const struct json_match *match)
{
    size_t count = matches->count;
    if (matches->want == JSON_MATCHES_VALUES) {
        if (!reserve(&matches->values, sizeof(*matches->values), count, 1, &matches->cap))
            return false;
        matches->values[matches->count++] = match->value;
        return true;
    }
    if (!reserve(&matches->places, sizeof(*matches->places), count, 1, &matches->cap) ||
        !reserve(&matches->steps, sizeof(*matches->steps), matches->steps_len, match->depth + 1, &matches->steps_cap))
        return false;
    uint32_t *place = matches->steps + matches->steps_len;
    place[0] = (uint32_t)match->depth;
    memcpy(place + 1, match->steps, match->depth * sizeof(*place));
    matches->places[matches->count++] = matches->steps_len;
    matches->steps_len += match->depth + 1;
    return true;
}

enum json_query_state json_matches_collect(struct json_matches *matches, struct json_query *query, uint64_t *budget)
{
    while (matches->count < matches->limit) {
        struct json_match match;
        enum json_query_state state = json_query_next(query, budget, &match);
        if (state != JSON_QUERY_MATCH)
            return state;
        if (matches->skip > 0) {
            matches->skip--;
        } else if (!add(matches, &match)) {
            matches->out_of_memory = true;
            return JSON_QUERY_FAILED;
        }
    }
    return JSON_QUERY_DONE;
}

/* By steps, a prefix before what it begins: children follow their container. */
static int compare_places(const struct json_matches *matches, size_t a, size_t b)
{
    const uint32_t *left = matches->steps + a, *right = matches->steps + b;
    uint32_t common = left[0] < right[0] ? left[0] : right[0];
    for (uint32_t i = 1; i <= common; i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return (left[0] > right[0]) - (left[0] < right[0]);
}

/* True if place `b` is `a` or in it. */
static bool is_within(const struct json_matches *matches, size_t a, size_t b)
{
    const uint32_t *outer = matches->steps + a, *inner = matches->steps + b;
    return inner[0] >= outer[0] && memcmp(outer + 1, inner + 1, outer[0] * sizeof(*outer)) == 0;
}

enum { PHASE_NONE, PHASE_SORT, PHASE_PRUNE, PHASE_ORDER };

/* In a place's length, while repeated ones are taken out. */
static const uint32_t REPEATED = UINT32_C(1) << 31;

/* Begins to sort the offsets, in an array aside. */
static bool begin_sort(struct json_matches *matches)
{
    struct json_matches_sort *sort = &matches->sort;
    size_t size = matches->count * sizeof(*sort->from);
    sort->from = mem_try_alloc(size);
    sort->to = mem_try_alloc(size);
    if (sort->from == NULL || sort->to == NULL) {
        matches->out_of_memory = true;
        return false;
    }
    memcpy(sort->from, matches->places, matches->count * sizeof(*sort->from));
    sort->phase = PHASE_SORT;
    sort->width = 1;
    sort->run = sort->left = sort->at = sort->kept = 0;
    sort->right = 1;
    return true;
}

static size_t at_most(size_t value, size_t limit)
{
    return value < limit ? value : limit;
}

/* Merges runs of `width`, then of twice that, and so on; true when all is one run, in `from`. */
static bool step_sort(struct json_matches *matches, uint64_t *budget)
{
    struct json_matches_sort *sort = &matches->sort;
    size_t count = matches->count;
    while (sort->width < count) {
        size_t middle = at_most(sort->run + sort->width, count), end = at_most(sort->run + 2 * sort->width, count);
        for (; sort->left < middle || sort->right < end; sort->at++) {
            if ((*budget)-- <= 1) {
                *budget = 0;
                return false;
            }
            bool take_left =
                sort->right >= end ||
                (sort->left < middle && compare_places(matches, sort->from[sort->left], sort->from[sort->right]) <= 0);
            sort->to[sort->at] = sort->from[take_left ? sort->left++ : sort->right++];
        }
        sort->run = end;
        if (end == count) {
            size_t *merged = sort->to;
            sort->to = sort->from;
            sort->from = merged;
            sort->run = sort->at = 0;
            sort->width *= 2;
        }
        sort->left = sort->run;
        sort->right = at_most(sort->run + sort->width, count);
    }
    return true;
}

/* Keeps of the sorted places those that are not, or not in, the one kept before. */
static bool step_prune(struct json_matches *matches, bool nested_too, uint64_t *budget)
{
    struct json_matches_sort *sort = &matches->sort;
    for (; sort->at < matches->count; sort->at++) {
        if ((*budget)-- <= 1) {
            *budget = 0;
            return false;
        }
        size_t place = sort->from[sort->at];
        bool again = sort->kept > 0 && (nested_too ? is_within(matches, sort->from[sort->kept - 1], place)
                                                   : compare_places(matches, sort->from[sort->kept - 1], place) == 0);
        if (!again)
            sort->from[sort->kept++] = place;
        else if (!nested_too)
            matches->steps[place] |= REPEATED;
    }
    return true;
}

static void end_sort(struct json_matches *matches)
{
    mem_free(matches->sort.from);
    mem_free(matches->sort.to);
    matches->sort = (struct json_matches_sort){ 0 };
}

/* Takes the places that were marked out, or brings those that were kept in, the last first. */
static bool step_order(struct json_matches *matches, bool nested_too, uint64_t *budget)
{
    struct json_matches_sort *sort = &matches->sort;
    size_t count = nested_too ? sort->kept : matches->count;
    for (; sort->at < count; sort->at++) {
        if ((*budget)-- <= 1) {
            *budget = 0;
            return false;
        }
        if (nested_too)
            matches->places[sort->at] = sort->from[count - 1 - sort->at];
        else if (!(matches->steps[matches->places[sort->at]] & REPEATED))
            matches->places[sort->run++] = matches->places[sort->at];
    }
    return true;
}

static enum json_query_state sort_and_prune(struct json_matches *matches, bool nested_too, uint64_t *budget)
{
    struct json_matches_sort *sort = &matches->sort;
    ASSERT(matches->want == JSON_MATCHES_PLACES);
    if (matches->count < 2)
        return JSON_QUERY_DONE;
    if (sort->phase == PHASE_NONE && !begin_sort(matches)) {
        end_sort(matches);
        return JSON_QUERY_FAILED;
    }
    if (sort->phase == PHASE_SORT && step_sort(matches, budget)) {
        sort->phase = PHASE_PRUNE;
        sort->at = 0;
    }
    if (sort->phase == PHASE_PRUNE && step_prune(matches, nested_too, budget)) {
        sort->phase = PHASE_ORDER;
        sort->at = sort->run = 0;
    }
    if (sort->phase != PHASE_ORDER || !step_order(matches, nested_too, budget))
        return JSON_QUERY_PAUSED;
    matches->count = sort->kept;
    end_sort(matches);
    return JSON_QUERY_DONE;
}

enum json_query_state json_matches_unique(struct json_matches *matches, uint64_t *budget)
{
    return sort_and_prune(matches, false, budget);
}

enum json_query_state json_matches_outermost(struct json_matches *matches, uint64_t *budget)
{
    return sort_and_prune(matches, true, budget);
}
