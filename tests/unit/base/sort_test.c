/*
 * Sorting: against a naive one, for items of all sizes; equal items stay in their order; in slices; without memory.
 */
#include "base/sort.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/fiber.h"
#include "base/mem.h"

#include "seed.h"

enum { COUNT_MAX = 3000, SIZE_MIN = 8 };

static struct random rnd;

static void seed(void)
{
    rnd = seed_random("sort");
}

/* An item begins with what it is sorted by and where it was. */
struct head {
    uint32_t key, place;
};

static struct head head_of(const void *item)
{
    struct head head;
    memcpy(&head, item, sizeof head);
    return head;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = head_of(a).key, y = head_of(b).key;
    return (x > y) - (x < y);
}

/* Items whose bytes behind the head follow from it. */
static char *make_items(size_t count, size_t size, uint32_t keys)
{
    char *items = mem_alloc(count * size + 1);
    for (size_t i = 0; i < count; i++) {
        struct head head = { (uint32_t)random_below(&rnd, keys), (uint32_t)i };
        memset(items + i * size, (int)(head.key + head.place), size);
        memcpy(items + i * size, &head, sizeof head);
    }
    return items;
}

static void check_order(const char *items, size_t count, size_t size)
{
    uint64_t places = 0;
    for (size_t i = 0; i < count; i++) {
        struct head head = head_of(items + i * size);
        places += head.place;
        for (size_t at = SIZE_MIN; at < size; at++)
            cr_assert_eq(items[i * size + at], (char)(head.key + head.place));
        if (i == 0)
            continue;
        struct head before = head_of(items + (i - 1) * size);
        cr_assert(before.key < head.key || (before.key == head.key && before.place < head.place), "item %zu", i);
    }
    cr_assert_eq(places, count ? (uint64_t)count * (count - 1) / 2 : 0);
}

Test(sort, any_count_size_and_number_of_keys, .init = seed)
{
    static const size_t sizes[] = { SIZE_MIN, 12, 16, 24, 40, SORT_ITEM_MAX };
    static const uint32_t keys[] = { 1, 2, 10, 1000, UINT32_MAX };
    for (int round = 0; round < 300; round++) {
        size_t size = sizes[round % 6], count = random_below(&rnd, round < 150 ? 50 : COUNT_MAX);
        char *items = make_items(count, size, keys[round % 5]);
        cr_assert(sort_stable(items, count, size, compare));
        check_order(items, count, size);
        mem_free(items);
    }
}

static unsigned comparisons;

static int count_comparisons(const void *a, const void *b)
{
    comparisons++;
    return compare(a, b);
}

Test(sort, what_is_in_order_takes_no_more_than_a_look_at_each, .init = seed)
{
    char *items = make_items(COUNT_MAX, SIZE_MIN, UINT32_MAX);
    cr_assert(sort_stable(items, COUNT_MAX, SIZE_MIN, compare));
    comparisons = 0;
    for (uint32_t i = 0; i < COUNT_MAX; i++) { /* they are where they should be, now */
        struct head head = { head_of(items + i * SIZE_MIN).key, i };
        memcpy(items + i * SIZE_MIN, &head, sizeof head);
    }
    cr_assert(sort_stable(items, COUNT_MAX, SIZE_MIN, count_comparisons));
    cr_assert_leq(comparisons, COUNT_MAX);
    mem_free(items);
}

struct job {
    char *items;
    size_t count;
};

static void run_job(void *context)
{
    struct job *job = context;
    cr_assert(sort_stable(job->items, job->count, 16, compare));
}

Test(sort, stops_between_its_steps, .init = seed)
{
    enum { MANY = 200000 };
    struct job job = { make_items(MANY, 16, 1000), MANY };
    struct fiber *fiber = fiber_create(run_job, &job);
    unsigned slices = 1;

    while (!fiber_resume(fiber, 0))
        slices++;
    check_order(job.items, MANY, 16);
    cr_assert_geq(slices, 1000, "%u slices", slices);
    fiber_destroy(fiber);
    mem_free(job.items);
}

Test(sort, without_memory_nothing_changes, .init = seed)
{
    char *items = make_items(COUNT_MAX, 16, 100), *before = mem_dup(items, COUNT_MAX * 16);
    mem_fail_nth(1);
    cr_assert_not(sort_stable(items, COUNT_MAX, 16, compare));
    mem_fail_nth(0);
    cr_assert_eq(memcmp(items, before, COUNT_MAX * 16), 0);
    mem_free(items);
    mem_free(before);
}
