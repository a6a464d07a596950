/*
 * Fibers: results over many slices, breathing outside of one, several at once, stacks used again.
 */
#include "base/fiber.h"

#include <criterion/criterion.h>

struct sum {
    unsigned rounds;
    uint64_t total;
};

static void add_up(void *context)
{
    struct sum *sum = context;
    uint64_t on_stack[64] = { 0 };
    for (unsigned i = 1; i <= sum->rounds; i++) {
        on_stack[i % 64] += i;
        fiber_breathe(100);
    }
    for (unsigned i = 0; i < 64; i++)
        sum->total += on_stack[i];
}

static uint64_t expected(unsigned rounds)
{
    return (uint64_t)rounds * (rounds + 1) / 2;
}

Test(fiber, runs_to_its_end_at_once)
{
    struct sum sum = { .rounds = 1000 };
    struct fiber *fiber = fiber_create(add_up, &sum);

    cr_assert(fiber_resume(fiber, UINT64_MAX));
    cr_assert_eq(sum.total, expected(1000));
    fiber_destroy(fiber);
}

Test(fiber, stops_when_its_slice_is_over)
{
    struct sum sum = { .rounds = 100000 };
    struct fiber *fiber = fiber_create(add_up, &sum);
    unsigned slices = 1;

    while (!fiber_resume(fiber, 0))
        slices++;
    cr_assert_eq(sum.total, expected(100000));
    cr_assert_geq(slices, 1000, "%u slices", slices);
    fiber_destroy(fiber);
}

static void count_until_over(void *context)
{
    unsigned *rounds = context;
    for (; !fiber_is_over() && *rounds < 1000000; ++*rounds)
        fiber_breathe(1000);
}

Test(fiber, is_told_that_it_is_over)
{
    unsigned rounds = 0;
    struct fiber *fiber = fiber_create(count_until_over, &rounds);
    cr_assert_not(fiber_is_over());
    cr_assert_not(fiber_resume(fiber, 0));
    fiber_set_over(fiber);
    cr_assert_not(fiber_is_over());
    unsigned before = rounds;
    cr_assert(fiber_resume(fiber, 0));
    cr_assert_leq(rounds, before + 1);
    fiber_destroy(fiber);
    cr_assert_not(fiber_is_over());
}

Test(fiber, several_take_turns)
{
    enum { COUNT = 20 };
    struct sum sums[COUNT];
    struct fiber *fibers[COUNT];
    unsigned finished = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        sums[i] = (struct sum){ .rounds = 1000 * (i + 1) };
        fibers[i] = fiber_create(add_up, &sums[i]);
    }
    while (finished < COUNT)
        for (unsigned i = 0; i < COUNT; i++)
            if (fibers[i] && fiber_resume(fibers[i], 0)) {
                cr_assert_eq(sums[i].total, expected(sums[i].rounds));
                fiber_destroy(fibers[i]);
                fibers[i] = NULL;
                finished++;
            }
}

Test(fiber, breathing_outside_of_one_does_nothing)
{
    struct sum sum = { .rounds = 10000 };

    add_up(&sum);
    cr_assert_eq(sum.total, expected(10000));
}

Test(fiber, one_that_never_began_is_freed)
{
    struct sum sum = { .rounds = 1 };

    for (int i = 0; i < 100; i++)
        fiber_destroy(fiber_create(add_up, &sum));
    fiber_destroy(NULL);
    cr_assert_eq(sum.total, 0);
}
