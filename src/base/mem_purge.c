/*
 * Giving free pages back to the system, without holding anybody up.
 *
 * The allocator has a thread of its own for that, which gives back what has not been reused for some seconds, a
 * part every time it wakes. After much was freed such a part takes many milliseconds, nearly all of it inside the
 * kernel. Priority alone does not help: Linux lets a thread go on to the end of its slice, which is noticed at the next
 * tick only, so that whoever wakes on the same processor, the main thread or a client, waits for 4 ms or more. So this
 * thread works in small pieces and rests between them: the allocator gets its memory from the system, and returns it,
 * through a table of functions, and in that of the main thread's arena the two that give pages back are ours.
 *
 * The allocator holds a lock of this thread while it works, which a fork waits for: then nobody rests.
 */
#include <stddef.h>

#include "base/log.h"
#include "base/mem.h"
#include "mem_priv.h"

#ifdef LARDER_JEMALLOC

#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    NICENESS = 10,
    PIECE = 256 << 10,        /* bytes: 64 pages, some 15 us */
    WORK_NS = 150 * 1000,     /* at a time; as much rest: still gigabytes each second */
    ASLEEP_NS = 20 * WORK_NS, /* since the last rest: the thread has slept meanwhile */
    TRIES_MAX = 500,
    TRY_NS = 5 * 1000 * 1000,
    FEW_PAGES = 256, /* others free some all the time */
    NAME_MAX_LEN = 40,
};

static extent_hooks_t *system_hooks; /* borrowed: the allocator's own; NULL until ours are in place */
static extent_hooks_t gentle_hooks;
static pthread_t main_thread;
static atomic_bool in_haste; /* somebody forks */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What has been worked since the last rest counts across calls: most runs of free pages are short. */
static void rest_if_due(void)
{
    static _Thread_local int64_t began_ns;
    if (pthread_equal(pthread_self(), main_thread) || atomic_load_explicit(&in_haste, memory_order_relaxed))
        return;
    int64_t worked_ns = now_ns() - began_ns;
    if (worked_ns < WORK_NS)
        return;
    if (worked_ns < ASLEEP_NS)
        (void)nanosleep(&(struct timespec){ .tv_nsec = WORK_NS }, NULL);
    began_ns = now_ns();
}

static bool give_back(extent_purge_t *purge, void *at, size_t size, size_t offset, size_t len, unsigned arena)
{
    for (size_t done = 0, piece; done < len; done += piece) {
        piece = len - done < PIECE ? len - done : PIECE;
        rest_if_due();
        if (purge(system_hooks, at, size, offset + done, piece, arena))
            return true;
    }
    return false;
}

static bool purge_lazy(extent_hooks_t *hooks, void *at, size_t size, size_t offset, size_t len, unsigned arena)
{
    (void)hooks;
    return give_back(system_hooks->purge_lazy, at, size, offset, len, arena);
}

static bool purge_forced(extent_hooks_t *hooks, void *at, size_t size, size_t offset, size_t len, unsigned arena)
{
    (void)hooks;
    return give_back(system_hooks->purge_forced, at, size, offset, len, arena);
}

static void begin_haste(void)
{
    atomic_store_explicit(&in_haste, true, memory_order_relaxed);
}

static void end_haste(void)
{
    atomic_store_explicit(&in_haste, false, memory_order_relaxed);
}

/* For the arena of the calling thread, once. */
static void become_gentle(void)
{
    char name[NAME_MAX_LEN];
    unsigned arena;
    extent_hooks_t *hooks = NULL, *ours = &gentle_hooks;
    size_t size = sizeof arena;
    if (system_hooks || mallctl("thread.arena", &arena, &size, NULL, 0) != 0)
        return;
    snprintf(name, sizeof name, "arena.%u.extent_hooks", arena);
    size = sizeof hooks;
    if (mallctl(name, &hooks, &size, NULL, 0) != 0 || !hooks || !hooks->purge_lazy || !hooks->purge_forced)
        return;
    /* Ours are run before those of the allocator, which came first and takes the lock. */
    if (pthread_atfork(begin_haste, end_haste, end_haste) != 0)
        return;
    main_thread = pthread_self();
    gentle_hooks = *hooks;
    gentle_hooks.purge_lazy = purge_lazy;
    gentle_hooks.purge_forced = purge_forced;
    system_hooks = hooks;
    if (mallctl(name, NULL, NULL, &ours, sizeof ours) != 0)
        log_write(LOG_VERBOSE, "Pages go back to the system in pieces of any size");
}

static size_t free_pages(void)
{
    uint64_t epoch = 1;
    size_t pages = 0, size = sizeof epoch;
    (void)mallctl("epoch", &epoch, &size, &epoch, sizeof epoch);
    size = sizeof pages;
    (void)mallctl("stats.arenas." MEM_TEXT(MALLCTL_ARENAS_ALL) ".pdirty", &pages, &size, NULL, 0);
    return pages;
}

/*
 * While the allocator's own thread is at it, the allocator does nothing for others: who is not the main thread, and
 * has the time, asks again.
 */
void mem_purge(void)
{
    (void)mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        (void)mallctl("arena." MEM_TEXT(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
        if (!system_hooks || pthread_equal(pthread_self(), main_thread) || free_pages() <= FEW_PAGES)
            return;
        (void)nanosleep(&(struct timespec){ .tv_nsec = TRY_NS }, NULL);
    }
}

struct purge_switch {
    bool on, done;
};

/* A priority is a thread's own here, and inherited by the threads that it makes. */
static void *switch_purge(void *context)
{
    struct purge_switch *purge = context;
    if (nice(NICENESS) == -1)
        log_write(LOG_VERBOSE, "Pages go back to the system with the server's own priority");
    purge->done = mallctl("background_thread", NULL, NULL, &purge->on, sizeof(purge->on)) == 0;
    return NULL;
}

bool mem_set_background_purge(bool on)
{
    struct purge_switch purge = { .on = on };
    bool is_on;
    size_t size = sizeof(is_on);
    pthread_t thread;
    if (mallctl("background_thread", &is_on, &size, NULL, 0) == 0 && is_on == on)
        return true;
    become_gentle();
    if (pthread_create(&thread, NULL, switch_purge, &purge) != 0)
        return false;
    pthread_join(thread, NULL);
    return purge.done;
}

#else

#include <malloc.h>

void mem_purge(void)
{
    malloc_trim(0);
}

bool mem_set_background_purge(bool on)
{
    return !on;
}

#endif
