/*
 * Fiber: a function with a stack of its own, so that it can stop in the midst of its loops and go on later.
 *
 * For work that is written as one piece, because that is how it is clear, but must not hold up its thread: whoever runs
 * the fiber gives it a slice of time, and in its loops it asks, by fiber_breathe, whether the slice is over. Outside of
 * any fiber the same call does nothing, so that a loop need not know where it runs.
 *
 * What the function looks at may change between two slices, unless its owner sees to that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;

/* A fiber that will run the function. NULL when there is no memory for a stack. */
struct fiber *fiber_create(void (*run)(void *context), void *context);

/* Runs it for about `slice_ns`, as finely as it breathes; true once the function has returned. Not from in a fiber. */
bool fiber_resume(struct fiber *fiber, uint64_t slice_ns);

/* From within a fiber: stops at once, until it is resumed. */
void fiber_yield(void);

/* Frees one that has not begun or has finished. NULL is nothing. */
void fiber_destroy(struct fiber *fiber);

/*
 * Nobody wants any more what the fiber makes. It goes on when it is resumed, but loops that only make an answer ask
 * fiber_is_over, and end.
 */
void fiber_set_over(struct fiber *fiber);

/* The fiber that runs is over. Read it through fiber_is_over. */
extern _Thread_local bool fiber_running_over;

static inline bool fiber_is_over(void)
{
    return __builtin_expect(fiber_running_over, 0);
}

/* The thread runs a fiber just now. Read it through fiber_breathe. */
extern _Thread_local struct fiber *fiber_running;

void fiber_spend(unsigned cost);

/*
 * To be called in every round of a long loop, with about how many tens of nanoseconds the round costs. May return much
 * later.
 */
static inline void fiber_breathe(unsigned cost)
{
    if (__builtin_expect(fiber_running != NULL, 0))
        fiber_spend(cost);
}
