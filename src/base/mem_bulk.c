/*
 * Getting memory from the system in large steps while much is asked for and kept, as when a file is loaded.
 *
 * Half of what loading plain values takes is the kernel's handing out of pages one by one. The allocator gets its
 * memory from the system through a table of functions; for the time of a bulk two of them are ours. One notes what is
 * mapped. The other hears whenever a part is cut off, from the front to the back, and has the kernel fill the next
 * stretch of the mapping before it is used: with a huge page, which takes a quarter of the time of as many small ones,
 * or with many small pages at once.
 *
 * In a virtual machine whose host has not backed that memory yet, a huge page takes five times as long as the small
 * ones that were used before and are at hand. Nobody can tell before. So the time of each is set against that of small
 * pages in this very bulk, and as soon as more is lost than was gained, the next stretches get small ones; twice as
 * many each time.
 *
 * In the end the rest of the mappings is as usual again: a server that answers clients is not to wait until 2 MB are
 * cleared, and memory that is in use here and there only is not to be held in pieces of 2 MB. What is huge stays so
 * until the allocator gives a part back, or a part is written to that a child of a fork still sees: the kernel then
 * splits it, and copies no more than it otherwise would. Before Linux 5.8 it copied all of it; there, and where
 * somebody has configured the allocator's pages, nothing is done.
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
    STRETCH = 256 << 10, /* of small pages, filled at once while they stay in the processor's cache */
    AT_ONCE = 4,         /* huge pages, or stretches, for one allocation; what is larger gets the rest as it is used */
    PAUSE_MIN = 256 << 20,       /* bytes in small pages before a huge one is tried again */
    SMALL_USUAL_NS = 800 * 1000, /* what small pages for 2 MB take, where that cannot be found out */
    CREDIT_MAX = 4,              /* stretches of 2 MB in small pages: time that may be lost again after it was gained */
};

struct mapping {
    char *at;
    size_t size;
    size_t filled; /* up to where pages are there, or were asked for */
    bool asked;    /* for huge pages, somewhere in it */
};

/* The allocator's functions as they were, its main thread's while a bulk is on; what was mapped since it began. */
static struct {
    extent_hooks_t hooks;
    extent_hooks_t *before; /* borrowed: the allocator's; NULL when no bulk is on */
    char name[NAME_MAX_LEN];
    struct mapping mappings[MAPPINGS_MAX];
    size_t count;
    int64_t small_ns;         /* that small pages for 2 MB take here; 0: not known yet */
    int64_t credit_ns;        /* that huge pages have saved */
    size_t pause, pause_left; /* bytes in small pages when huge ones turn out slow, and that are left of them */
} bulk;

static int64_t own_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Adds up what huge pages gain and lose; there will be none for a while once that is a loss. */
static void judge_huge(int64_t ns)
{
    bulk.credit_ns += bulk.small_ns - ns;
    if (bulk.credit_ns > CREDIT_MAX * bulk.small_ns)
        bulk.credit_ns = CREDIT_MAX * bulk.small_ns;
    if (bulk.credit_ns >= 0)
        return;
    bulk.credit_ns = 0;
    bulk.pause = bulk.pause ? 2 * bulk.pause : PAUSE_MIN;
    bulk.pause_left = bulk.pause;
}

/* True if so far huge pages are worth it. */
static bool wants_huge(void)
{
    return bulk.small_ns && !bulk.pause_left;
}

static bool ask_for_huge(struct mapping *mapping, size_t offset, size_t size)
{
    mapping->asked = true;
    if (madvise(mapping->at + offset, size, MADV_HUGEPAGE) == 0)
        return true;
    bulk.pause_left = SIZE_MAX;
    return false;
}

/* Others may have bytes there already, which stay as they are. */
static void fill_huge(char *at)
{
    int64_t began_ns = own_time_ns();
    __atomic_fetch_or(at, 0, __ATOMIC_RELAXED);
    judge_huge(own_time_ns() - began_ns);
}

static void fill_small(char *at, size_t size)
{
    int64_t began_ns = own_time_ns();
    bool can_fill = madvise(at, size, MADV_POPULATE_WRITE) == 0; /* since Linux 5.14 */
    int64_t ns = can_fill ? (own_time_ns() - began_ns) * (HUGE_PAGE / STRETCH) : SMALL_USUAL_NS;
    if (size == STRETCH && (!bulk.small_ns || ns < bulk.small_ns))
        bulk.small_ns = ns;
    if (bulk.pause_left != SIZE_MAX)
        bulk.pause_left -= size < bulk.pause_left ? size : bulk.pause_left;
}

/* Fills the mapping up to `to` and somewhat more. */
static void fill(struct mapping *mapping, size_t to)
{
    for (int i = 0; i < AT_ONCE && mapping->filled < to; i++) {
        char *at = mapping->at + mapping->filled;
        size_t left = mapping->size - mapping->filled;
        size_t misfit = (uintptr_t)at % HUGE_PAGE, size = STRETCH - misfit % STRETCH;
        if (!misfit && left >= HUGE_PAGE && wants_huge() && ask_for_huge(mapping, mapping->filled, HUGE_PAGE)) {
            size = HUGE_PAGE;
            fill_huge(at);
        } else {
            size = size < left ? size : left;
            fill_small(at, size);
        }
        mapping->filled += size;
    }
    if (mapping->filled >= to)
        return;
    if (wants_huge())
        ask_for_huge(mapping, mapping->filled, to - mapping->filled);
    mapping->filled = to;
}

/* The allocator maps more each time, so that there are some dozens; what is beyond them stays as usual. */
static void *map(
    extent_hooks_t *hooks, void *wanted, size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    (void)hooks;
    void *at = bulk.before->alloc(bulk.before, wanted, size, alignment, zero, commit, arena);
    if (at && bulk.count < MAPPINGS_MAX)
        bulk.mappings[bulk.count++] = (struct mapping){ .at = at, .size = size };
    return at;
}

/* The first part is what will be used. */
static bool split(
    extent_hooks_t *hooks, void *at, size_t size, size_t first, size_t second, bool committed, unsigned arena)
{
    (void)hooks;
    bool failed = bulk.before->split(bulk.before, at, size, first, second, committed, arena);
    for (size_t i = bulk.count; !failed && i-- > 0;) {
        struct mapping *mapping = &bulk.mappings[i];
        size_t offset = (size_t)((uintptr_t)at - (uintptr_t)mapping->at);
        if (offset < mapping->size) {
            fill(mapping, offset + first);
            break;
        }
    }
    return failed;
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
    bulk.hooks.split = split;
    bulk.before = hooks;
    bulk.count = 0;
    bulk.small_ns = bulk.credit_ns = 0;
    bulk.pause = bulk.pause_left = 0;
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
        if (bulk.mappings[i].asked)
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
