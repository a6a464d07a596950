/*
 * Memory on jemalloc, or on libc where that is asked for (sanitizers, machines without jemalloc).
 *
 * jemalloc keeps, per thread, the bytes that the thread allocated and freed since it began. Their addresses are
 * constant for the thread, so registering a thread means noting them, and memory in use is the sum of a few
 * differences. A thread may free what another allocated: a single difference can then be negative (it wraps), the sum
 * is still right. What a thread leaves behind when it ends is folded into `departed`.
 *
 * malloc, free and sdallocx are called rather than mallocx and dallocx, because only those have jemalloc's fast paths.
 *
 * On libc one atomic counter is kept, of what malloc_usable_size says; slower, but exact.
 */
#include "base/mem.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "mem_priv.h"

#ifdef LARDER_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

#define MEM_UNLIKELY(e) __builtin_expect(!!(e), 0)

static _Thread_local uint64_t fail_countdown;

void mem_fail_nth(uint64_t nth)
{
    fail_countdown = nth;
}

static inline bool mem_must_fail(void)
{
    return MEM_UNLIKELY(fail_countdown != 0) && --fail_countdown == 0;
}

static _Noreturn __attribute__((cold, noinline)) void mem_out_of(size_t size)
{
    log_write(LOG_WARNING, "Out of memory allocating %zu bytes", size);
    abort();
}

#ifdef LARDER_JEMALLOC

/*
 * Read by jemalloc when it starts. A loop turn has the output of many clients in flight, one chunk each: the thread's
 * cache must hold more of a size than the default of 20 for the larger small classes, or each turn goes to the arena
 * and its locks.
 *
 * By default what is freed in one piece of 8 MB or more goes back to the system on the spot, which takes 40 ms for 500
 * MB. Without that rule (a threshold of 0) it waits with all other free pages until the allocator's own thread gives
 * them back. The arenas that jemalloc makes by itself may be older than this rule: the main thread gets one of its own.
 */
__attribute__((visibility("default"), used)) const char *malloc_conf =
    "tcache_nslots_small_min:128,tcache_nslots_small_max:256,lg_tcache_nslots_mul:2,oversize_threshold:0";

enum { MEM_MAX_THREADS = 64 };

struct mem_thread {
    const uint64_t *allocated, *freed; /* borrowed: from jemalloc, as long as the thread lives; NULL in a free slot */
};

static struct mem_thread threads[MEM_MAX_THREADS];
static size_t thread_count; /* slots in use are all below this */
static uint64_t departed;   /* allocated minus freed of the threads that ended */
static atomic_flag threads_lock = ATOMIC_FLAG_INIT;
static pthread_once_t threads_once = PTHREAD_ONCE_INIT;
static pthread_key_t threads_key;

/* A spin lock, as it is held for some loads only and reading mem_used must not cost more than one locked instruction.
 */
static inline void threads_lock_take(void)
{
    while (MEM_UNLIKELY(atomic_flag_test_and_set_explicit(&threads_lock, memory_order_acquire)))
        sched_yield();
}

static inline void threads_lock_give(void)
{
    atomic_flag_clear_explicit(&threads_lock, memory_order_release);
}

static inline uint64_t thread_balance(const struct mem_thread *thread)
{
    return __atomic_load_n(thread->allocated, __ATOMIC_RELAXED) - __atomic_load_n(thread->freed, __ATOMIC_RELAXED);
}

static void thread_depart(void *slot)
{
    struct mem_thread *thread = slot;

    threads_lock_take();
    departed += thread_balance(thread);
    thread->allocated = thread->freed = NULL;
    threads_lock_give();
}

static void threads_prepare(void)
{
    int error = pthread_key_create(&threads_key, thread_depart);
    ASSERT(error == 0);
    /* A child forked while another thread held the lock would wait for it for ever. */
    error = pthread_atfork(threads_lock_take, threads_lock_give, threads_lock_give);
    ASSERT(error == 0);
    /* The first thread to come here is the main one. */
    unsigned arena;
    size_t size = sizeof(arena);
    if (mallctl("arenas.create", &arena, &size, NULL, 0) == 0)
        (void)mallctl("thread.arena", NULL, NULL, &arena, size);
}

void mem_thread_register(void)
{
    struct mem_thread self, *slot = NULL;
    size_t size = sizeof(void *);

    pthread_once(&threads_once, threads_prepare);
    if (pthread_getspecific(threads_key) != NULL)
        return;
    if (mallctl("thread.allocatedp", &self.allocated, &size, NULL, 0) != 0 ||
        mallctl("thread.deallocatedp", &self.freed, &size, NULL, 0) != 0)
        UNREACHABLE();
    threads_lock_take();
    for (size_t i = 0; i < MEM_MAX_THREADS && slot == NULL; i++) {
        if (threads[i].allocated == NULL)
            slot = &threads[i];
    }
    if (slot != NULL) {
        *slot = self;
        if ((size_t)(slot - threads) >= thread_count)
            thread_count = (size_t)(slot - threads) + 1;
    }
    threads_lock_give();
    ASSERT(slot != NULL);
    pthread_setspecific(threads_key, slot);
}

size_t mem_used(void)
{
    threads_lock_take();
    uint64_t used = departed;
    for (size_t i = 0; i < thread_count; i++) {
        if (threads[i].allocated != NULL)
            used += thread_balance(&threads[i]);
    }
    threads_lock_give();
    /* Blocks that came from threads not registered may be freed by registered ones. */
    return (int64_t)used < 0 ? 0 : (size_t)used;
}

#define MEM_COUNT_NEW(ptr) ((void)0)
#define MEM_COUNT_OLD(ptr) ((void)0)

#else

static atomic_size_t libc_used;

#define MEM_COUNT_NEW(ptr) atomic_fetch_add_explicit(&libc_used, malloc_usable_size(ptr), memory_order_relaxed)
#define MEM_COUNT_OLD(ptr) atomic_fetch_sub_explicit(&libc_used, malloc_usable_size(ptr), memory_order_relaxed)

void mem_thread_register(void)
{
}

size_t mem_used(void)
{
    return atomic_load_explicit(&libc_used, memory_order_relaxed);
}

#endif

void *mem_alloc(size_t size)
{
    void *ptr = malloc(size + (size == 0));
    if (MEM_UNLIKELY(ptr == NULL))
        mem_out_of(size);
    MEM_COUNT_NEW(ptr);
    return ptr;
}

void *mem_zalloc(size_t size)
{
    void *ptr = calloc(1, size + (size == 0));
    if (MEM_UNLIKELY(ptr == NULL))
        mem_out_of(size);
    MEM_COUNT_NEW(ptr);
    return ptr;
}

void *mem_alloc_aligned(size_t alignment, size_t size)
{
    void *ptr;

    ASSERT(alignment != 0 && (alignment & (alignment - 1)) == 0);
    if (posix_memalign(&ptr, alignment < sizeof(void *) ? sizeof(void *) : alignment, size + (size == 0)) != 0)
        mem_out_of(size);
    MEM_COUNT_NEW(ptr);
    return ptr;
}

/* Keeps the count right: the old size is known only before the call, the new one after it. NULL if memory is out. */
static void *mem_resize(void *ptr, size_t size)
{
#ifndef LARDER_JEMALLOC
    size_t old_size = ptr == NULL ? 0 : malloc_usable_size(ptr);
#endif
    void *moved = realloc(ptr, size + (size == 0));
#ifndef LARDER_JEMALLOC
    if (moved != NULL) {
        atomic_fetch_sub_explicit(&libc_used, old_size, memory_order_relaxed);
        MEM_COUNT_NEW(moved);
    }
#endif
    return moved;
}

void *mem_realloc(void *ptr, size_t size)
{
    void *moved = mem_resize(ptr, size);
    if (MEM_UNLIKELY(moved == NULL))
        mem_out_of(size);
    return moved;
}

void *mem_try_alloc(size_t size)
{
    if (mem_must_fail())
        return NULL;
    void *ptr = malloc(size + (size == 0));
    if (ptr != NULL)
        MEM_COUNT_NEW(ptr);
    return ptr;
}

void *mem_try_realloc(void *ptr, size_t size)
{
    return mem_must_fail() ? NULL : mem_resize(ptr, size);
}

bool mem_try_expand(void *ptr, size_t size)
{
#ifdef LARDER_JEMALLOC
    return xallocx(ptr, size, 0, 0) >= size;
#else
    return malloc_usable_size(ptr) >= size;
#endif
}

void mem_free(void *ptr)
{
    MEM_COUNT_OLD(ptr);
    free(ptr);
}

void mem_free_sized(void *ptr, size_t size)
{
    if (ptr == NULL)
        return;
#ifdef LARDER_JEMALLOC
    sdallocx(ptr, size + (size == 0), 0);
#else
    DASSERT(malloc_usable_size(ptr) >= size);
    (void)size;
    mem_free(ptr);
#endif
}

void *mem_dup(const void *ptr, size_t size)
{
    void *copy = mem_alloc(size);
    if (size != 0)
        memcpy(copy, ptr, size);
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_dup(text, strlen(text) + 1);
}

size_t mem_usable_size(const void *ptr)
{
    return malloc_usable_size((void *)(uintptr_t)ptr);
}

#ifdef LARDER_JEMALLOC

size_t mem_good_size(size_t size)
{
    return nallocx(size + (size == 0), 0);
}

/*
 * jemalloc says of a small allocation how many regions its slab has and how many of them are free, the same of all
 * slabs of that size, and from which slab the next allocation will come: always the oldest one that has room. So what
 * is moved out of another slab goes to an older one, whichever is fuller: the old ones fill up, and the young ones
 * become empty. (To move only to fuller slabs would end where the oldest is the emptiest.)
 */
struct slab_use {
    const char *current; /* the slab that allocations come from; NULL if there is none yet */
    size_t free, regions, bytes;
    size_t free_in_all, regions_in_all;
};

static bool slab_query(const void *ptr, struct slab_use *use)
{
    static size_t mib[3], mib_len;
    size_t size = sizeof(*use);
    if (mib_len == 0) {
        size_t len = sizeof(mib) / sizeof(*mib);
        if (mallctlnametomib("experimental.utilization.query", mib, &len) != 0)
            return false;
        mib_len = len;
    }
    return mallctlbymib(mib, mib_len, use, &size, (void *)&ptr, sizeof(ptr)) == 0;
}

static bool is_in_current(const struct slab_use *use, const void *ptr)
{
    return use->current != NULL && (uintptr_t)ptr - (uintptr_t)use->current < use->bytes;
}

void *mem_compact_copy(const void *ptr)
{
    enum { SPARSE_SHARE = 16, SPARSE_SIZE_SHARE = 32 }; /* of a slab are free, and of all of a size, at least */
    struct slab_use use;
    if (!slab_query(ptr, &use) || use.regions <= 1 || use.free * SPARSE_SHARE < use.regions ||
        use.free_in_all * SPARSE_SIZE_SHARE < use.regions_in_all || is_in_current(&use, ptr))
        return NULL;
    size_t size = sallocx(ptr, 0);
    void *copy = mallocx(size, MALLOCX_TCACHE_NONE);
    if (copy == NULL)
        return NULL;
    if (!slab_query(copy, &use) || is_in_current(&use, ptr)) {
        dallocx(copy, MALLOCX_TCACHE_NONE);
        return NULL;
    }
    return memcpy(copy, ptr, size);
}

void mem_compact_release(void *ptr)
{
    dallocx(ptr, MALLOCX_TCACHE_NONE);
}

void mem_compact_begin(void)
{
    (void)mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

static size_t stat_read(const char *name)
{
    size_t value = 0, size = sizeof(value);

    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

void mem_stats_read(struct mem_stats *stats)
{
    uint64_t epoch = 1;

    /* The figures are a snapshot that is taken when the epoch is written. */
    (void)mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    /* The allocator counts as allocated what threads keep for reuse, and what it takes for itself to keep that. */
    size_t not_ours = stat_read("stats.arenas." MEM_TEXT(MALLCTL_ARENAS_ALL) ".tcache_bytes") +
                      stat_read("stats.arenas." MEM_TEXT(MALLCTL_ARENAS_ALL) ".internal");
    stats->allocated = stat_read("stats.allocated");
    stats->allocated -= not_ours < stats->allocated ? not_ours : 0;
    stats->active = stat_read("stats.active");
    stats->resident = stat_read("stats.resident");
    stats->retained = stat_read("stats.retained");
    stats->mapped = stat_read("stats.mapped");
    stats->metadata = stat_read("stats.metadata");
}

const char *mem_allocator_name(void)
{
    return "jemalloc-" MEM_TEXT(JEMALLOC_VERSION_MAJOR) "." MEM_TEXT(JEMALLOC_VERSION_MINOR) "." MEM_TEXT(
        JEMALLOC_VERSION_BUGFIX);
}

void mem_report(void (*write)(void *context, const char *text), void *context)
{
    malloc_stats_print(write, context, "");
}

#else

/* What glibc makes of a request: eight bytes of its own, then rounded to 16, at least 32 in all. */
size_t mem_good_size(size_t size)
{
    size_t chunk = (size + 8 + 15) & ~(size_t)15;
    return (chunk < 32 ? 32 : chunk) - 8;
}

/*
 * Nothing is known of slabs here, and nothing would be gained: but under the sanitizers everything moves, so that they
 * see who still points to where it was.
 */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define MEM_MOVES_ALL 1
#else
#define MEM_MOVES_ALL 0
#endif

void *mem_compact_copy(const void *ptr)
{
    enum { ALIGNMENT = 64 }; /* what any caller may have asked for */
    size_t size = malloc_usable_size((void *)(uintptr_t)ptr);
    return MEM_MOVES_ALL ? memcpy(mem_alloc_aligned(ALIGNMENT, size), ptr, size) : NULL;
}

void mem_compact_release(void *ptr)
{
    mem_free(ptr);
}

void mem_compact_begin(void)
{
}

void mem_stats_read(struct mem_stats *stats)
{
    *stats = (struct mem_stats){ 0 };
}

const char *mem_allocator_name(void)
{
    return "libc";
}

void mem_report(void (*write)(void *context, const char *text), void *context)
{
    char *text = NULL;
    size_t len;
    FILE *stream = open_memstream(&text, &len);

    if (stream == NULL)
        return;
    malloc_info(0, stream);
    fclose(stream);
    if (text != NULL)
        write(context, text);
    free(text);
}

#endif

void *mem_compact(void *ptr)
{
    void *copy = mem_compact_copy(ptr);
    if (copy != NULL)
        mem_compact_release(ptr);
    return copy;
}

void *mem_move(void *ptr, struct mem_moves *moves)
{
    void *moved = mem_compact(ptr);
    moves->moved += moved != NULL;
    moves->stayed += moved == NULL;
    return moved != NULL ? moved : ptr;
}
