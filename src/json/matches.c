/*
 * Collecting what a query finds, and putting places in order.
 *
 * A place is its length and its steps, in chunks of memory that are never moved; pages of pointers say where each one
 * is, or hold the values themselves. Sorting works on pointers aside: bottom-up merge sort, which can stop after any
 * comparison and is stable.
 */
#include "json/matches.h"

#include <string.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"

enum {
    CHUNK_NUMBERS = 16384 - 4,
    COST_OF_FREE = 150, /* of a page or chunk, in tens of ns */
};

struct json_matches_chunk {
    struct json_matches_chunk *next; /* owned */
    uint32_t numbers[CHUNK_NUMBERS];
};

void json_matches_init(struct json_matches *matches, enum json_matches_want want, size_t skip, size_t limit)
{
    *matches = (struct json_matches){ .want = want, .skip = skip, .limit = limit };
}

static void end_sort(struct json_matches *matches)
{
    mem_free(matches->sort.from);
    mem_free(matches->sort.to);
    matches->sort = (struct json_matches_sort){ 0 };
}

void json_matches_fini(struct json_matches *matches)
{
    while (matches->chunks != NULL) {
        struct json_matches_chunk *chunk = matches->chunks;
        matches->chunks = chunk->next;
        mem_free(chunk);
        fiber_breathe(COST_OF_FREE);
    }
    for (size_t i = 0; i < matches->page_count; i++) {
        mem_free(matches->pages[i]);
        fiber_breathe(COST_OF_FREE);
    }
    mem_free(matches->pages);
    end_sort(matches);
    *matches = (struct json_matches){ .want = matches->want };
}

/* Room for one more page in the list of pages, which is so small that it may move. */
static bool reserve_page(struct json_matches *matches)
{
    enum { FIRST = 8 };
    if (matches->page_count < matches->page_cap)
        return true;
    size_t cap = matches->page_cap == 0 ? FIRST : 2 * matches->page_cap;
    void ***moved = mem_try_realloc(matches->pages, cap * sizeof(*moved));
    if (moved == NULL)
        return false;
    matches->pages = moved;
    matches->page_cap = cap;
    return true;
}

/* The first page is small, because most lists are. */
static bool add_pointer(struct json_matches *matches, const void *pointer)
{
    enum { FEW = 16 };
    size_t count = matches->count, in_page = count % JSON_MATCHES_PAGE;
    void **page = NULL;
    if (count == FEW) {
        page = mem_try_realloc(matches->pages[0], JSON_MATCHES_PAGE * sizeof(*page));
        if (page == NULL)
            return false;
        matches->pages[0] = page;
    } else if (in_page == 0) {
        size_t room = count == 0 ? FEW : JSON_MATCHES_PAGE;
        page = reserve_page(matches) ? mem_try_alloc(room * sizeof(*page)) : NULL;
        if (page == NULL)
            return false;
        matches->pages[matches->page_count++] = page;
    }
    matches->pages[count / JSON_MATCHES_PAGE][in_page] = (void *)pointer;
    matches->count++;
    return true;
}

static bool add(struct json_matches *matches, const struct json_match *match)
{
    if (matches->want == JSON_MATCHES_VALUES)
        return add_pointer(matches, match->value);
    if ((size_t)(matches->end - matches->at) < match->depth + 1) {
        struct json_matches_chunk *chunk = mem_try_alloc(sizeof(*chunk));
        if (chunk == NULL)
            return false;
        chunk->next = matches->chunks;
        matches->chunks = chunk;
        matches->at = chunk->numbers;
        matches->end = chunk->numbers + CHUNK_NUMBERS;
    }
    if (!add_pointer(matches, matches->at))
        return false;
    matches->at[0] = (uint32_t)match->depth;
    memcpy(matches->at + 1, match->steps, match->depth * sizeof(*matches->at));
    matches->at += match->depth + 1;
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
static int compare_places(const uint32_t *left, const uint32_t *right)
{
    uint32_t common = left[0] < right[0] ? left[0] : right[0];
    for (uint32_t i = 1; i <= common; i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return (left[0] > right[0]) - (left[0] < right[0]);
}

/* True if `inner` is `outer` or in it. */
static bool is_within(const uint32_t *outer, const uint32_t *inner)
{
    return inner[0] >= outer[0] && memcmp(outer + 1, inner + 1, outer[0] * sizeof(*outer)) == 0;
}

enum { PHASE_NONE, PHASE_COPY, PHASE_SORT, PHASE_PRUNE, PHASE_ORDER };

/* In a place's length, while repeated ones are taken out. */
static const uint32_t REPEATED = UINT32_C(1) << 31;

/* Begins to sort, in arrays aside. */
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
    sort->phase = PHASE_COPY;
    sort->width = 1;
    sort->run = sort->left = sort->at = sort->kept = 0;
    sort->right = 1;
    return true;
}

/* One step of the budget; false if there is none. */
static bool spend(uint64_t *budget)
{
    if (*budget == 0)
        return false;
    --*budget;
    return true;
}

/* The pointer `at`, to be set. */
static void **slot_of(struct json_matches *matches, size_t at)
{
    return &matches->pages[at / JSON_MATCHES_PAGE][at % JSON_MATCHES_PAGE];
}

static bool step_copy(struct json_matches *matches, uint64_t *budget)
{
    struct json_matches_sort *sort = &matches->sort;
    for (; sort->at < matches->count; sort->at++) {
        if (!spend(budget))
            return false;
        sort->from[sort->at] = *slot_of(matches, sort->at);
    }
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
            if (!spend(budget))
                return false;
            bool take_left = sort->right >= end || (sort->left < middle && compare_places(sort->from[sort->left],
                                                                               sort->from[sort->right]) <= 0);
            sort->to[sort->at] = sort->from[take_left ? sort->left++ : sort->right++];
        }
        sort->run = end;
        if (end == count) {
            uint32_t **merged = sort->to;
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
        if (!spend(budget))
            return false;
        uint32_t *place = sort->from[sort->at];
        bool again = sort->kept > 0 && (nested_too ? is_within(sort->from[sort->kept - 1], place)
                                                   : compare_places(sort->from[sort->kept - 1], place) == 0);
        if (!again)
            sort->from[sort->kept++] = place;
        else if (!nested_too)
            place[0] |= REPEATED;
    }
    return true;
}

/* Takes the places that were marked out, or brings those that were kept in, the last first. */
static bool step_order(struct json_matches *matches, bool nested_too, uint64_t *budget)
{
    struct json_matches_sort *sort = &matches->sort;
    size_t count = nested_too ? sort->kept : matches->count;
    for (; sort->at < count; sort->at++) {
        if (!spend(budget))
            return false;
        if (nested_too)
            *slot_of(matches, sort->at) = sort->from[count - 1 - sort->at];
        else if (!(*(const uint32_t *)*slot_of(matches, sort->at) & REPEATED))
            *slot_of(matches, sort->run++) = *slot_of(matches, sort->at);
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
    if (sort->phase == PHASE_COPY && step_copy(matches, budget)) {
        sort->phase = PHASE_SORT;
        sort->at = 0;
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
