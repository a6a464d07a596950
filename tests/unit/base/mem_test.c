/*
 * The allocator's door: sizes, accounting over threads that come and go, and failure on demand.
 */
#include "base/mem.h"

#include <dirent.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <criterion/criterion.h>

#include "seed.h"

Test(mem, allocates_and_frees)
{
    for (size_t size = 0; size < 5000; size += 1 + size / 7) {
        char *ptr = mem_alloc(size);
        memset(ptr, 1, size);
        cr_assert(size < 16 || (uintptr_t)ptr % 16 == 0);
        cr_assert(mem_usable_size(ptr) >= size && mem_good_size(size) >= size);
        mem_free_sized(ptr, size);
        ptr = mem_zalloc(size);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(ptr[i], 0);
        mem_free(ptr);
    }
    mem_free(NULL);
    mem_free_sized(NULL, 10);
}

Test(mem, alignment)
{
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        void *ptr = mem_alloc_aligned(alignment, 100);
        cr_assert_eq((uintptr_t)ptr % alignment, 0);
        mem_free(ptr);
    }
}

Test(mem, realloc_keeps_content)
{
    char *ptr = mem_realloc(NULL, 4);

    memcpy(ptr, "abc", 4);
    ptr = mem_realloc(ptr, 100000);
    cr_assert_str_eq(ptr, "abc");
    char *moved = mem_try_realloc(ptr, 10);
    cr_assert_not_null(moved);
    cr_assert_str_eq(moved, "abc");
    mem_free(moved);
}

Test(mem, copies)
{
    char *copy = mem_strdup("hello"), *part = mem_dup("hello", 2), *none = mem_dup(NULL, 0);

    cr_assert_str_eq(copy, "hello");
    cr_assert_arr_eq(part, "he", 2);
    mem_free(copy);
    mem_free(part);
    mem_free(none);
}

Test(mem, used_follows_what_is_live)
{
    mem_thread_register();
    mem_thread_register(); /* again does no harm */
    size_t before = mem_used();
    void *ptr = mem_alloc(1 << 20);
    size_t with = mem_used();
    cr_assert_eq(with - before, mem_usable_size(ptr));
    ptr = mem_realloc(ptr, 3 << 20);
    cr_assert_eq(mem_used() - before, mem_usable_size(ptr));
    mem_free(ptr);
    cr_assert_eq(mem_used(), before);
}

Test(mem, used_is_exact_for_random_work)
{
    struct random random = seed_random("used_is_exact_for_random_work");
    void *live[200] = { 0 };
    size_t sum = 0;

    mem_thread_register();
    size_t before = mem_used();
    for (int i = 0; i < 20000; i++) {
        void **slot = &live[random_below(&random, 200)];
        sum -= *slot == NULL ? 0 : mem_usable_size(*slot);
        mem_free(*slot);
        *slot = random_below(&random, 3) == 0 ? NULL : mem_alloc(random_below(&random, 20000));
        sum += *slot == NULL ? 0 : mem_usable_size(*slot);
        if (i % 100 == 0)
            cr_assert_eq(mem_used() - before, sum);
    }
    for (size_t i = 0; i < 200; i++)
        mem_free(live[i]);
}

static void *allocate_one(void *context)
{
    mem_thread_register();
    *(void **)context = mem_alloc(1 << 20);
    return NULL;
}

Test(mem, threads_that_ended_still_count)
{
    mem_thread_register();
    /* More threads than there are slots: each leaves its slot to the next. */
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        void *ptr = NULL;
        size_t before = mem_used();
        cr_assert(pthread_create(&thread, NULL, allocate_one, &ptr) == 0);
        pthread_join(thread, NULL);
        cr_assert(mem_used() >= before + (1 << 20));
        mem_free(ptr);
        cr_assert(mem_used() < before + (1 << 16));
    }
}

Test(mem, the_nth_try_fails_once)
{
    void *ptr;

    mem_fail_nth(2);
    cr_assert_not_null(ptr = mem_try_alloc(10));
    cr_assert_null(mem_try_realloc(ptr, 20));
    cr_assert_not_null(ptr = mem_try_realloc(ptr, 20));
    mem_fail_nth(1);
    mem_fail_nth(0);
    void *other = mem_try_alloc(10);
    cr_assert_not_null(other);
    mem_free(ptr);
    mem_free(other);
}

Test(mem, a_size_that_no_machine_has_is_refused)
{
    /* volatile: or the compiler knows that it cannot succeed. */
    volatile size_t size = SIZE_MAX / 2 + 1;
#ifndef __SANITIZE_ADDRESS__
    cr_assert_null(mem_try_alloc(size));
    void *ptr = mem_alloc(10);
    cr_assert_null(mem_try_realloc(ptr, size));
    mem_free(ptr);
#endif
    (void)size;
}

static void count_text(void *context, const char *text)
{
    *(size_t *)context += strlen(text);
}

/* The highest of any thread of this process. */
static int highest_niceness(void)
{
    int highest = -20;
    DIR *threads = opendir("/proc/self/task");
    cr_assert(threads);
    for (struct dirent *thread; (thread = readdir(threads)) != NULL;) {
        int niceness = atoi(thread->d_name) ? getpriority(PRIO_PROCESS, (id_t)atoi(thread->d_name)) : -20;
        highest = niceness > highest ? niceness : highest;
    }
    closedir(threads);
    return highest;
}

Test(mem, figures_and_report)
{
    struct mem_stats stats;
    size_t len = 0;
    void *ptr = mem_alloc(1 << 20);

    mem_stats_read(&stats);
    if (strncmp(mem_allocator_name(), "jemalloc-", 9) == 0) {
        cr_assert(stats.allocated >= 1 << 20 && stats.active >= stats.allocated && stats.resident >= stats.active);
        cr_assert(stats.mapped >= stats.active && stats.metadata > 0);
        cr_assert_eq(mem_good_size(100), 112);
        cr_assert(mem_set_background_purge(true) && mem_set_background_purge(true));
        cr_assert(highest_niceness() > getpriority(PRIO_PROCESS, 0) || highest_niceness() == 19);
        cr_assert(mem_set_background_purge(false));
    } else {
        cr_assert_str_eq(mem_allocator_name(), "libc");
        cr_assert_not(mem_set_background_purge(true));
    }
    mem_purge();
    mem_report(count_text, &len);
    cr_assert(len > 100);
    mem_free(ptr);
}
