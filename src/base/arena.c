/*
 * The arena: a chain of blocks, filled from the front by bumping a pointer.
 *
 * A block is 16 KB, or as large as the one allocation that needs more; reset keeps the first if it is of the common
 * size. Blocks are 16-aligned and their header is 16 bytes, so rounding sizes up to 16 aligns everything.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

enum { ARENA_BLOCK_SIZE = 16 * 1024, ARENA_ALIGNMENT = 16 };

struct arena_block {
    alignas(ARENA_ALIGNMENT) struct arena_block *next; /* owned */
    size_t size;                                       /* header included */
};

_Static_assert(sizeof(struct arena_block) == ARENA_ALIGNMENT, "what follows the header must be aligned");

void arena_init(struct arena *arena)
{
    *arena = (struct arena){ 0 };
}

static void arena_use(struct arena *arena, struct arena_block *block)
{
    arena->last = block;
    arena->at = (char *)(block + 1);
    arena->end = (char *)block + block->size;
}

static void blocks_free(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;
        mem_free_sized(block, block->size);
        block = next;
    }
}

void arena_fini(struct arena *arena)
{
    blocks_free(arena->first);
    arena_init(arena);
}

/* Adds a block in which `size` bytes, already rounded, fit. */
static bool arena_grow(struct arena *arena, size_t size)
{
    size_t block_size = sizeof(struct arena_block) + size;
    if (block_size < ARENA_BLOCK_SIZE)
        block_size = ARENA_BLOCK_SIZE;
    struct arena_block *block = mem_try_alloc(block_size);
    if (block == NULL)
        return false;
    block->next = NULL;
    block->size = block_size;
    if (arena->last == NULL) {
        arena->first = block;
        arena->begin = (char *)(block + 1);
    } else {
        arena->last->next = block;
    }
    arena_use(arena, block);
    return true;
}

void *arena_try_alloc(struct arena *arena, size_t size)
{
    if (__builtin_expect(size > PTRDIFF_MAX - ARENA_BLOCK_SIZE, 0))
        return NULL;
    size = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (__builtin_expect(arena->at == NULL || size > (size_t)(arena->end - arena->at), 0) && !arena_grow(arena, size))
        return NULL;
    void *ptr = arena->at;
    arena->at += size;
    return ptr;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *ptr = arena_try_alloc(arena, size);
    if (__builtin_expect(ptr == NULL, 0)) {
        /* Asks the asserting allocator for the block that could not be had: it says why it aborts. */
        ASSERT(size <= PTRDIFF_MAX - ARENA_BLOCK_SIZE);
        mem_free(mem_alloc(size + ARENA_BLOCK_SIZE));
        ptr = arena_try_alloc(arena, size);
        ASSERT(ptr != NULL);
    }
    return ptr;
}

struct bytes arena_copy(struct arena *arena, struct bytes content)
{
    char *copy = arena_alloc(arena, content.len + 1);

    if (content.len != 0)
        memcpy(copy, content.ptr, content.len);
    copy[content.len] = '\0';
    return (struct bytes){ copy, content.len };
}

void arena_reset_used(struct arena *arena)
{
    struct arena_block *first = arena->first;
    if (first->next != NULL || first->size > ARENA_BLOCK_SIZE) {
        blocks_free(first->next);
        first->next = NULL;
        if (first->size > ARENA_BLOCK_SIZE) {
            mem_free_sized(first, first->size);
            arena_init(arena);
            return;
        }
    }
    arena_use(arena, first);
}
