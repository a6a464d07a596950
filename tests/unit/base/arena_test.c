/*
 * The arena: alignment, growth, what reset keeps, and memory that runs out.
 */
#include "base/arena.h"

#include <stdint.h>

#include <criterion/criterion.h>

#include "base/mem.h"

#include "seed.h"

Test(arena, allocations_are_aligned_and_apart)
{
    struct random random = seed_random("allocations_are_aligned_and_apart");
    struct arena arena;
    unsigned char *blocks[500];
    size_t sizes[500];

    arena_init(&arena);
    for (size_t i = 0; i < 500; i++) {
        sizes[i] = random_below(&random, i % 50 == 0 ? 60000 : 300);
        blocks[i] = arena_alloc(&arena, sizes[i]);
        cr_assert((uintptr_t)blocks[i] % 16 == 0);
        memset(blocks[i], (int)(i & 255), sizes[i]);
    }
    for (size_t i = 0; i < 500; i++) {
        for (size_t at = 0; at < sizes[i]; at++)
            cr_assert_eq(blocks[i][at], i & 255);
    }
    arena_fini(&arena);
}

Test(arena, nothing_is_taken_before_it_is_needed)
{
    struct arena arena;

    arena_init(&arena);
    cr_assert_null(arena.first);
    arena_reset(&arena);
    arena_fini(&arena);
}

Test(arena, reset_gives_the_same_memory_again)
{
    struct arena arena;

    arena_init(&arena);
    void *first = arena_alloc(&arena, 100);
    for (int i = 0; i < 100; i++)
        cr_assert((uintptr_t)arena_alloc(&arena, 5000) % 16 == 0);
    arena_reset(&arena);
    mem_fail_nth(1); /* the kept block suffices: nothing is asked for */
    cr_assert_eq(arena_alloc(&arena, 100), first);
    mem_fail_nth(0);
    arena_fini(&arena);
}

Test(arena, reset_does_not_keep_a_large_first_block)
{
    struct arena arena;

    mem_thread_register();
    arena_init(&arena);
    size_t before = mem_used();
    memset(arena_alloc(&arena, 10 << 20), 1, 10 << 20);
    cr_assert(mem_used() - before >= 10 << 20);
    arena_reset(&arena);
    cr_assert_eq(mem_used(), before);
    memset(arena_alloc(&arena, 10), 1, 10);
    arena_fini(&arena);
}

Test(arena, try_answers_null_and_stays_usable)
{
    struct arena arena;

    arena_init(&arena);
    mem_fail_nth(1);
    cr_assert_null(arena_try_alloc(&arena, 10));
    void *small = arena_try_alloc(&arena, 10);
    cr_assert_not_null(small);
    mem_fail_nth(1);
    cr_assert_null(arena_try_alloc(&arena, 1 << 20));
    cr_assert_null(arena_try_alloc(&arena, SIZE_MAX));
    cr_assert_null(arena_try_alloc(&arena, PTRDIFF_MAX));
    cr_assert_eq((char *)arena_try_alloc(&arena, 10), (char *)small + 16);
    arena_fini(&arena);
}

Test(arena, copies_are_terminated)
{
    struct arena arena;

    arena_init(&arena);
    struct bytes copy = arena_copy(&arena, BYTES("a\0b"));
    cr_assert(bytes_equal(copy, BYTES("a\0b")) && copy.ptr[3] == '\0');
    cr_assert(arena_copy(&arena, bytes_make(NULL, 0)).ptr[0] == '\0');
    arena_fini(&arena);
}
