/*
 * Asking for huge pages while much memory is asked for and kept, as when a file is loaded.
 *
 * Half of what loading plain values takes is the kernel's handing out of pages one by one. The allocator gets its
 * memory from the system through a table of functions; for the time of a bulk one of them is ours, which tells the
 * kernel that huge pages are welcome in what it maps. In the end the rest of these mappings gets small pages again: a
 * server that answers clients is not to wait until 2 MB are cleared, and memory that is in use here and there only is
 * not to be held in pieces of 2 MB. What is huge stays so until the allocator gives a part back, or a part is written
 * to that a child of a fork still sees: the kernel then splits it, and copies no more than it otherwise would. Before
 * Linux 5.8 it copied all of it; there, and where somebody has configured the allocator's pages, nothing is done.
 *
 * In a virtual machine whose host has not backed that memory yet, a huge page can take ten times as long as the small
 * ones that were used before and are at hand. So the first page of each mapping is asked for at once, and when it takes
 * long huge pages are no longer asked for in this bulk.
 */
#include "base/mem.h"

#ifdef LARDER_JEMALLOC

#include <jemalloc/jemalloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
    MAPPINGS_MAX = 256,
    NAME_MAX_LEN = 40,
    LINUX_MAJOR = 5,
    LINUX_MINOR = 8,
    HUGE_PAGE = 2 << 20,
    SLOW_NS = 500 * 1000, /* for a huge page: about 200 us is usual, small pages for as many bytes take 800 */
};

/* The allocator's functions as they were, its main thread's while a bulk is on; what was mapped since it began. */
static struct {
    extent_hooks_t hooks;
    extent_hooks_t *before; /* borrowed: the allocator's; NULL when no bulk is on */
    char name[NAME_MAX_LEN];
    struct {
        void *at;
        size_t size;
    } mappings[MAPPINGS_MAX];
    size_t count;
    bool slow; /* huge pages are not worth it */
} bulk;

static int64_t own_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Asks for huge pages; false if that cannot be, or the first one took so long that it is not worth it. */
static bool ask_for_huge(void *at, size_t size)
{
    uintptr_t first = ((uintptr_t)at + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    if (first + HUGE_PAGE > (uintptr_t)at + size || madvise(at, size, MADV_HUGEPAGE) != 0)
        return false;
    int64_t began_ns = own_time_ns();
    (void)madvise((char *)at + (first - (uintptr_t)at), HUGE_PAGE, MADV_POPULATE_WRITE);
    if (own_time_ns() - began_ns < SLOW_NS)
        return true;
    bulk.slow = true;
    (void)madvise(at, size, MADV_NOHUGEPAGE);
    return false;
}

/* The allocator maps more each time, so that there are some dozens; what is beyond them stays as usual. */
static void *map(
    extent_hooks_t *hooks, void *wanted, size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    (void)hooks;
    void *at = bulk.before->alloc(bulk.before, wanted, size, alignment, zero, commit, arena);
    if (at && !bulk.slow && bulk.count < MAPPINGS_MAX && ask_for_huge(at, size)) {
        bulk.mappings[bulk.count].at = at;
        bulk.mappings[bulk.count++].size = size;
    }
    return at;
}

static bool is_sensible(void)
{
    struct utsname facts;
    int major = 0, minor = 0;
    const char *thp = NULL;
    size_t size = sizeof thp;
    return uname(&facts) == 0 && sscanf(facts.release, "%d.%d", &major, &minor) == 2 &&
           (major > LINUX_MAJOR || (major == LINUX_MAJOR && minor >= LINUX_MINOR)) &&
           mallctl("opt.thp", &thp, &size, NULL, 0) == 0 && strcmp(thp, "default") == 0;
}

void mem_bulk_begin(void)
{
    unsigned arena;
    extent_hooks_t *hooks = NULL, *ours = &bulk.hooks;
    size_t size = sizeof arena;
    if (bulk.before || !is_sensible() || mallctl("thread.arena", &arena, &size, NULL, 0) != 0)
        return;
    snprintf(bulk.name, sizeof bulk.name, "arena.%u.extent_hooks", arena);
    size = sizeof hooks;
    if (mallctl(bulk.name, &hooks, &size, NULL, 0) != 0 || !hooks)
        return;
    bulk.hooks = *hooks;
    bulk.hooks.alloc = map;
    bulk.before = hooks;
    bulk.count = 0;
    bulk.slow = false;
    if (mallctl(bulk.name, NULL, NULL, &ours, sizeof ours) != 0)
        bulk.before = NULL;
}

void mem_bulk_end(void)
{
    if (!bulk.before)
        return;
    if (mallctl(bulk.name, NULL, NULL, &bulk.before, sizeof bulk.before) != 0)
        return;
    for (size_t i = 0; i < bulk.count; i++)
        (void)madvise(bulk.mappings[i].at, bulk.mappings[i].size, MADV_NOHUGEPAGE);
    bulk.before = NULL;
}

#else

void mem_bulk_begin(void)
{
}

void mem_bulk_end(void)
{
}

#endif
