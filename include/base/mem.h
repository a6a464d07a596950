/*
 * Memory: the one door to the allocator.
 *
 * Three grades. mem_alloc aborts with a message when memory is out: for what is small and ours. mem_try_alloc answers
 * NULL: for what is as large as a client chose. Freeing with the size known is cheaper than without.
 *
 * mem_used reads jemalloc's per-thread counters, so accounting costs nothing per allocation. Every thread that
 * allocates calls mem_thread_register once. Built with -Dallocator=libc (for the sanitizers) the same interface counts
 * by itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `size` bytes, 16-aligned from 16 bytes on (8 below), uninitialised; never NULL. A size of 0 counts as 1. */
void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull, warn_unused_result));

/* The same, zeroed. */
void *mem_zalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull, warn_unused_result));

/* The same at an alignment, a power of two. Freed like any other. */
void *mem_alloc_aligned(size_t alignment, size_t size) __attribute__((malloc, alloc_size(2), returns_nonnull));

/* Resizes; `ptr` may be NULL. Aborts when memory is out. */
void *mem_realloc(void *ptr, size_t size) __attribute__((alloc_size(2), returns_nonnull, warn_unused_result));

/* NULL when memory is out, or a test makes it so; mem_try_realloc then leaves `ptr` as it was. */
void *mem_try_alloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *mem_try_realloc(void *ptr, size_t size) __attribute__((alloc_size(2), warn_unused_result));

/* True if the allocation has room for `size` bytes now, without moving. */
bool mem_try_expand(void *ptr, size_t size);

/* Frees; NULL is nothing. */
void mem_free(void *ptr);

/* Frees what was asked for with exactly `size` bytes (alignment none); saves the allocator a look-up. */
void mem_free_sized(void *ptr, size_t size);

/* Copies on the heap, owned by the caller. */
void *mem_dup(const void *ptr, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *mem_strdup(const char *text) __attribute__((returns_nonnull, warn_unused_result));

/* Bytes that the allocator really reserves: for a live allocation, and for a request of `size`. O(1). */
size_t mem_usable_size(const void *ptr);
size_t mem_good_size(size_t size);

/*
 * True if the allocator surely reserves the same for both sizes, `small` being the lesser: so what has room for the one
 * has it for the other. For hot paths: a computation, where mem_usable_size is a call. jemalloc's classes are 16 bytes
 * apart up to 128, and then four to each power of two.
 */
static inline bool mem_same_class(size_t small, size_t large)
{
#ifdef LARDER_JEMALLOC
    if (small <= 16)
        return false;
    unsigned top = 63u - (unsigned)__builtin_clzll((unsigned long long)(small - 1) | 64);
    return (small - 1) >> (top - 2) == (large - 1) >> (top - 2);
#else
    return small == large;
#endif
}

/* Bytes in use by all registered threads, as the allocator rounds them. O(threads). */
size_t mem_used(void);

/* Makes the calling thread's allocations count. Called once by each thread, the main one included; 64 at a time. */
void mem_thread_register(void);

/*
 * Moves an allocation out of a sparsely used slab into a fuller one, so that the slab's pages become free sooner, if
 * that is possible: returns where it is now, and `ptr` is gone. NULL: it stays. O(size).
 */
void *mem_compact(void *ptr);

/*
 * The same in two steps, for what others point at: the copy, while the old one is still there, or NULL; and giving the
 * old one back.
 */
void *mem_compact_copy(const void *ptr);
void mem_compact_release(void *ptr);

/* As mem_compact, but returns where it is in either case, and counts. */
struct mem_moves {
    uint64_t moved, stayed;
};
void *mem_move(void *ptr, struct mem_moves *moves);

/* To be called before a run of mem_compact: what the thread keeps for reuse goes back to its slabs. */
void mem_compact_begin(void);

/* Figures of the allocator; all zero where it keeps none. */
struct mem_stats {
    size_t allocated, active, resident, retained, mapped, metadata; /* bytes */
};
void mem_stats_read(struct mem_stats *stats);

/* "jemalloc-5.3.0", "libc". */
const char *mem_allocator_name(void);

/* Returns unused pages to the system now: .1 s and more for each GB, so that it is better called on another thread. */
void mem_purge(void);

/*
 * Lets the allocator return pages from a thread of its own instead of in the middle of a request, with rests, so that
 * it holds nobody up who shares its processor. By the main thread only, after it has registered. False if it cannot.
 */
bool mem_set_background_purge(bool on);

/* Passes the allocator's own report, a piece at a time, to `write`. */
void mem_report(void (*write)(void *context, const char *text), void *context);

/*
 * In between, the calling thread is going to ask for much memory and keep it: the system is then asked for much at
 * once, a little before it is used, and for huge pages as long as they come quickly. One thread at a time. Whatever is
 * allocated and freed meanwhile is the same as otherwise.
 */
void mem_bulk_begin(void);
void mem_bulk_end(void);

/* For tests: the Nth (1 is the next) mem_try_ call of this thread answers NULL; 0 switches that off. */
void mem_fail_nth(uint64_t nth);
