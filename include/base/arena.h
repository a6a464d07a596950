/*
 * Arena: memory that lives until the arena is reset, for what a command needs while it runs.
 *
 * Allocation is a pointer bump. Blocks are chained; reset keeps the first block, so that a command in the steady state
 * allocates nothing from the system, and frees the rest.
 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *first; /* owned */
    struct arena_block *last;  /* borrowed: the block in use, of the chain that begins with first */
    char *at, *end;            /* the room left in last */
    char *begin;               /* where the room of first begins */
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);

/* `size` bytes, 16-aligned, uninitialised; never NULL. O(1) but for a block that must be added. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull, warn_unused_result));

/* The same for a size that a client chose: NULL when memory is out. */
void *arena_try_alloc(struct arena *arena, size_t size) __attribute__((warn_unused_result));

/* A copy of `content`, with a zero byte behind it that does not count. */
struct bytes arena_copy(struct arena *arena, struct bytes content);

/* Slow path of arena_reset. */
void arena_reset_used(struct arena *arena);

/* Everything handed out becomes invalid. */
static inline void arena_reset(struct arena *arena)
{
    if (arena->at != arena->begin)
        arena_reset_used(arena);
}
