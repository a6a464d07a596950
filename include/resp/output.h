/*
 * Output: the bytes that wait to be sent to one client, as a chain of chunks.
 *
 * Small replies are written into chunks of their own memory; large values are referenced (blob) and sent from where
 * they are. Nothing is held while nothing waits, so an idle client costs only the struct. Pure: gathering for writev is
 * done here, sending is not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/bytes.h"

struct iovec;

enum {
    OUTPUT_CHUNK_FIRST = 1792,        /* allocation of the first chunk of a chain, and of one behind a reference */
    OUTPUT_CHUNK = 16 * 1024,         /* of those that follow */
    OUTPUT_CHUNK_MAX = 256 * 1024,    /* and of those that a single large append asks for */
    OUTPUT_REFERENCE_MIN = 16 * 1024, /* a blob's content of at least this many bytes is referenced, not copied */
};

struct output_chunk;
struct output_gap;
struct output_pool;

struct output {
    char *at, *end;             /* room in the last chunk; equal when there is none */
    char *from;                 /* what waits in the last chunk begins here */
    struct output_chunk *first; /* owned chain */
    struct output_chunk *last;  /* borrowed from the chain */
    size_t sealed_bytes;        /* bytes in chunks other than the last, less what was consumed */
    size_t memory_bytes;        /* allocated for chunks, and referenced */
    struct output_pool *pool;   /* borrowed; NULL: none */
    bool discards;              /* output_discard */
};

/*
 * First chunks for the outputs of one thread that are filled and sent again and again: taken from the pool and given
 * back, they cost no call of the allocator. It keeps no more than OUTPUT_POOL_MAX.
 */
struct output_pool {
    struct output_chunk *first; /* owned chain */
    uint32_t count;
};
enum { OUTPUT_POOL_MAX = 64 };

void output_pool_fini(struct output_pool *pool);

void output_init(struct output *output);

/* An output whose first chunk comes from the pool, which lives longer. What is moved elsewhere takes no pool along. */
void output_init_pooled(struct output *output, struct output_pool *pool);

/* Drops everything that waits; the output is as after output_init. */
void output_fini(struct output *output);

/*
 * Drops everything that waits, and from now on whatever is appended: for an answer that nobody waits for any more, but
 * that is still being made. Gaps and marks that there are may be used as before. Until output_fini.
 */
void output_discard(struct output *output);

/* Slow path of output_reserve. */
char *output_reserve_slow(struct output *output, size_t len);

static inline bool output_has_room(const struct output *output, size_t len)
{
    return (size_t)(output->end - output->at) >= len;
}

/*
 * A place for `len` contiguous bytes, to be followed by output_commit of at most that. len up to a few hundred bytes,
 * or any size that is ours.
 */
static inline char *output_reserve(struct output *output, size_t len)
{
    return output_has_room(output, len) ? output->at : output_reserve_slow(output, len);
}

static inline void output_commit(struct output *output, char *end)
{
    output->at = end;
}

/* Copies bytes of any length, over several chunks if need be. */
void output_append(struct output *output, struct bytes content);

/* Refers to `content`, which lies within `blob`, until it is sent; takes a reference of its own. Small content is
 * copied instead. */
void output_append_blob(struct output *output, struct blob *blob, struct bytes content);

/* Moves everything of `from` behind what waits in `output`; `from` is empty then. O(1). */
void output_append_output(struct output *output, struct output *from);

/* Bytes that wait; an open gap counts with its whole room. O(1). */
static inline size_t output_len(const struct output *output)
{
    return output->sealed_bytes + (size_t)(output->at - output->from);
}

/* Bytes of memory that what waits keeps alive: chunks as allocated, references with the bytes referred to. O(1). */
static inline size_t output_memory(const struct output *output)
{
    return output->memory_bytes;
}

/* Fills at most `max` vectors with what waits, from the front; returns how many, and the sum of their lengths in *len.
 */
int output_gather(const struct output *output, struct iovec *vectors, int max, size_t *len);

/* Drops `len` bytes from the front, no more than wait: they were sent. */
void output_consume(struct output *output, size_t len);

/*
 * A moment to come back to: what was appended after output_mark is dropped by output_rewind. Between the two nothing
 * may be consumed, and no gap filled that was opened before.
 */
struct output_mark {
    struct output_chunk *chunk; /* borrowed from the chain; NULL if it was empty */
    size_t used;
};
struct output_mark output_mark(const struct output *output);
void output_rewind(struct output *output, struct output_mark mark);

/* Moves what was appended after the mark behind what waits in `to`. What shares a chunk with what stays is copied. */
void output_move_after(struct output *output, struct output_mark mark, struct output *to);

/*
 * A gap to be filled later with at most OUTPUT_GAP_MAX bytes; what follows is appended as usual. Several may be open:
 * the last opened is filled first. Nothing may be consumed before all are filled. Filling moves what follows in the
 * same chunk, at most OUTPUT_CHUNK_MAX bytes.
 */
enum { OUTPUT_GAP_MAX = 32 };
struct output_gap *output_gap(struct output *output);
void output_fill(struct output *output, struct output_gap *gap, struct bytes content);
