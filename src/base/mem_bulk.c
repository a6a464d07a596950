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
 */
#include "base/mem.h"

#ifdef LARDER_JEMALLOC

#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

enum { MAPPINGS_MAX = 256, NAME_MAX_LEN = 40, LINUX_MAJOR = 5, LINUX_MINOR = 8 };

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
} bulk;

/* The allocator maps more each time, so that there are some dozens; what is beyond them stays as usual. */
static void *map(
    extent_hooks_t *hooks, void *wanted, size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    (void)hooks;
    void *at = bulk.before->alloc(bulk.before, wanted, size, alignment, zero, commit, arena);
    if (at && bulk.count < MAPPINGS_MAX && madvise(at, size, MADV_HUGEPAGE) == 0) {
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
