/*
 * Free pages go back to the system, all of them, from a thread that rests in between; and at once where that is asked
 * for or somebody forks.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/mem.h"
#include "base/mem_tune.h"

enum { BLOCKS = 128, BLOCK = 1 << 20 };

static bool on_jemalloc(void)
{
    return strncmp(mem_allocator_name(), "jemalloc-", 9) == 0;
}

static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert(file && fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void fill(char **blocks, int count, int with)
{
    for (int i = 0; i < count; i++) {
        blocks[i] = mem_alloc(BLOCK);
        memset(blocks[i], with, BLOCK);
    }
}

static void release(char **blocks, int count)
{
    for (int i = 0; i < count; i++)
        mem_free(blocks[i]);
}

/* How often the allocator's thread went to sleep; -1 if there is none. */
static long rests(void)
{
    long count = -1;
    DIR *tasks = opendir("/proc/self/task");
    cr_assert(tasks);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300], line[200];
        bool is_it = false;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "re");
        while (status && fgets(line, sizeof line, status)) {
            is_it |= strcmp(line, "Name:\tjemalloc_bg_thd\n") == 0;
            if (is_it && strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
                count = (count < 0 ? 0 : count) + atol(line + 24);
        }
        if (status)
            fclose(status);
    }
    closedir(tasks);
    return count;
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static void set_decay_ms(int64_t ms)
{
    char name[64];
    int64_t arena, old;
    cr_assert_eq(mem_tune("thread.arena", NULL, &arena), 0);
    snprintf(name, sizeof name, "arena.%d.dirty_decay_ms", (int)arena);
    cr_assert_eq(mem_tune(name, &ms, &old), 0);
}

Test(mem_purge, pages_go_back_in_rests_from_a_thread)
{
    static char *blocks[BLOCKS];
    if (!on_jemalloc())
        cr_skip_test("another allocator");
    mem_thread_register();
    set_decay_ms(-1); /* never */
    fill(blocks, BLOCKS, 1);
    size_t full = resident();
    release(blocks, BLOCKS);
    set_decay_ms(500);
    cr_assert(mem_set_background_purge(true));
    for (int tries = 0; tries < 12000 && resident() > full - (size_t)BLOCKS * BLOCK / 8 * 7; tries++) {
        mem_free(mem_alloc(BLOCK)); /* the thread is woken by those who free */
        wait_a_little();
    }
    cr_assert_leq(resident(), full - (size_t)BLOCKS * BLOCK / 8 * 7);
    /* At its fastest, the kernel gives back these pages in some milliseconds. */
    cr_assert_geq(rests(), 16, "%ld", rests());
    fill(blocks, BLOCKS, 2);
    for (int i = 0; i < BLOCKS; i++)
        cr_assert(blocks[i][0] == 2 && blocks[i][BLOCK - 1] == 2);
    release(blocks, BLOCKS);
    cr_assert(mem_set_background_purge(false));
}

Test(mem_purge, pages_go_back_at_once_on_request)
{
    static char *blocks[BLOCKS];
    mem_thread_register();
    if (on_jemalloc())
        cr_assert(mem_set_background_purge(true));
    fill(blocks, BLOCKS, 1);
    size_t full = resident();
    release(blocks, BLOCKS);
    mem_purge();
    if (on_jemalloc())
        cr_assert_leq(resident(), full - (size_t)BLOCKS * BLOCK / 8 * 7);
    char *zero = calloc(1, (size_t)BLOCKS * BLOCK); /* what was given back is known to be zero, and is */
    for (size_t i = 0; i < (size_t)BLOCKS * BLOCK; i += 512)
        cr_assert_eq(zero[i], 0);
    free(zero);
}

Test(mem_purge, forks_go_on_while_pages_go_back)
{
    enum { FEW = 24 };
    static char *blocks[FEW];
    mem_thread_register();
    if (on_jemalloc()) {
        cr_assert(mem_set_background_purge(true));
        set_decay_ms(50);
    }
    for (int round = 0; round < 10; round++) {
        fill(blocks, FEW, round);
        release(blocks, FEW);
        wait_a_little();
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            fill(blocks, FEW, round);
            release(blocks, FEW);
            mem_purge();
            _exit(0);
        }
        int status = -1;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0);
    }
}
