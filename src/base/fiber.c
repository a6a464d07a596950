/*
 * Fibers on the C library's contexts. A switch costs two system calls there (signal masks), which is little beside a
 * slice of some ten microseconds.
 *
 * A stack is mapped with a page below it that cannot be touched, so that an overflow ends the process instead of
 * damaging data; pages are only taken as they are used. One stack is kept for the next fiber.
 *
 * The sanitizers have to be told of every switch: that of addresses keeps what it knows of a stack in `fake_stack`,
 * that of threads takes a fiber for a thread, which is `trace`.
 */
#include "base/fiber.h"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define FIBER_SANITIZED 1
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define FIBER_TRACED 1
#endif

#ifdef FIBER_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TRACED
#include <sanitizer/tsan_interface.h>
#endif

enum {
    STACK_BYTES = 512 * 1024,
    COST_OF_LOOK = 500, /* tens of ns spent between two looks at the clock */
};

struct fiber {
    ucontext_t own, caller;
    void (*run)(void *context);
    void *context;
    char *stack; /* owned: a guard page and STACK_BYTES */
    uint64_t end_ns;
    unsigned spent;
    bool finished, begun, over;
    void *fake_stack, *caller_fake_stack;
    const void *caller_stack;
    size_t caller_stack_bytes;
    void *trace, *caller_trace;
};

_Thread_local struct fiber *fiber_running;
_Thread_local bool fiber_running_over;
static _Thread_local char *spare_stack;

static size_t guard_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static char *stack_take(void)
{
    char *stack = spare_stack;
    spare_stack = NULL;
    if (stack)
        return stack;
    size_t guard = guard_bytes();
    stack = mmap(NULL, guard + STACK_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return NULL;
    if (mprotect(stack, guard, PROT_NONE) == 0)
        return stack;
    munmap(stack, guard + STACK_BYTES);
    return NULL;
}

static void stack_give(char *stack)
{
    if (!spare_stack)
        spare_stack = stack;
    else
        munmap(stack, guard_bytes() + STACK_BYTES);
}

/* Goes from the fiber to who resumed it, for good if it has finished. */
static void leave(struct fiber *fiber)
{
#ifdef FIBER_SANITIZED
    __sanitizer_start_switch_fiber(
        fiber->finished ? NULL : &fiber->fake_stack, fiber->caller_stack, fiber->caller_stack_bytes);
#endif
#ifdef FIBER_TRACED
    __tsan_switch_to_fiber(fiber->caller_trace, 0);
#endif
    swapcontext(&fiber->own, &fiber->caller);
#ifdef FIBER_SANITIZED
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &fiber->caller_stack, &fiber->caller_stack_bytes);
#endif
}

static void enter(void)
{
    struct fiber *fiber = fiber_running;
#ifdef FIBER_SANITIZED
    __sanitizer_finish_switch_fiber(NULL, &fiber->caller_stack, &fiber->caller_stack_bytes);
#endif
    fiber->run(fiber->context);
    fiber->finished = true;
    leave(fiber);
}

struct fiber *fiber_create(void (*run)(void *context), void *context)
{
    char *stack = stack_take();
    if (!stack)
        return NULL;
    struct fiber *fiber = mem_zalloc(sizeof *fiber);
    fiber->run = run;
    fiber->context = context;
    fiber->stack = stack;
    getcontext(&fiber->own);
    fiber->own.uc_stack.ss_sp = stack + guard_bytes();
    fiber->own.uc_stack.ss_size = STACK_BYTES;
    fiber->own.uc_link = NULL;
    makecontext(&fiber->own, enter, 0);
#ifdef FIBER_TRACED
    fiber->trace = __tsan_create_fiber(0);
#endif
    return fiber;
}

bool fiber_resume(struct fiber *fiber, uint64_t slice_ns)
{
    ASSERT(!fiber_running && !fiber->finished);
    uint64_t now_ns = clock_mono_ns();
    fiber->end_ns = slice_ns < UINT64_MAX - now_ns ? now_ns + slice_ns : UINT64_MAX;
    fiber->begun = true;
    fiber_running = fiber;
    fiber_running_over = fiber->over;
#ifdef FIBER_SANITIZED
    __sanitizer_start_switch_fiber(&fiber->caller_fake_stack, fiber->own.uc_stack.ss_sp, STACK_BYTES);
#endif
#ifdef FIBER_TRACED
    fiber->caller_trace = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->trace, 0);
#endif
    swapcontext(&fiber->caller, &fiber->own);
#ifdef FIBER_SANITIZED
    __sanitizer_finish_switch_fiber(fiber->caller_fake_stack, NULL, NULL);
#endif
    fiber_running = NULL;
    fiber_running_over = false;
    return fiber->finished;
}

void fiber_set_over(struct fiber *fiber)
{
    fiber->over = true;
}

void fiber_yield(void)
{
    ASSERT(fiber_running);
    leave(fiber_running);
}

void fiber_destroy(struct fiber *fiber)
{
    if (!fiber)
        return;
    ASSERT(fiber->finished || !fiber->begun);
#ifdef FIBER_TRACED
    __tsan_destroy_fiber(fiber->trace);
#endif
    stack_give(fiber->stack);
    mem_free(fiber);
}

void fiber_spend(unsigned cost)
{
    struct fiber *fiber = fiber_running;
    fiber->spent += cost;
    if (fiber->spent < COST_OF_LOOK)
        return;
    fiber->spent = 0;
    if (clock_mono_ns() >= fiber->end_ns)
        leave(fiber);
}
