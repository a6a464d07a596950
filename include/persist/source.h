/*
 * Source: where a codec takes bytes from: a file, or memory (RESTORE).
 *
 * What a file holds passes through a window of a megabyte; a reader looks at bytes in it, which are borrowed until it
 * asks for more. How many bytes are left is known from the beginning, so that no length in the data is believed that
 * cannot be true. The checksum covers what was taken, and is taken over large pieces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

enum { SOURCE_TAKE_MAX = 256 * 1024 }; /* bytes that source_take gives at once from a file */

struct source {
    const unsigned char *at, *end; /* of the window: what was not taken yet */
    const unsigned char *summed;   /* up to where `crc` goes */
    unsigned char *window;         /* owned; NULL: memory, which is all in the window */
    uint64_t end_offset;           /* of `end`, in the whole */
    uint64_t size;                 /* of the whole */
    uint64_t crc;                  /* CRC-64 of what was taken up to `summed` */
    bool checksum;
    int fd;
    int error; /* errno of a read that failed; 0: none */
    /* Called when bytes are fetched, some times for each megabyte; false gives up (ECANCELED). May be NULL. */
    bool (*progress)(void *context);
    void *context;
};

/* A file from where its descriptor stands to its end. The descriptor stays the caller's. */
void source_init_fd(struct source *source, int fd);

/* Bytes in memory, borrowed while the source is used. */
void source_init_memory(struct source *source, struct bytes bytes);

void source_fini(struct source *source);

/* Where the next byte is, counted from the source's beginning. */
static inline uint64_t source_offset(const struct source *source)
{
    return source->end_offset - (uint64_t)(source->end - source->at);
}

/* Bytes that were not taken yet. */
static inline uint64_t source_left(const struct source *source)
{
    return source->size - source_offset(source);
}

/* Bytes of them that are in the window. */
static inline size_t source_ready(const struct source *source)
{
    return (size_t)(source->end - source->at);
}

/* Fetches more, if there is more; the bytes in the window move. False if a read failed. */
bool source_refill(struct source *source);

/* Where source_take finds too little in the window. */
const unsigned char *source_take_slow(struct source *source, size_t len);

/* The next `len` bytes (at most SOURCE_TAKE_MAX), borrowed until the next call; NULL if there are not so many. */
static inline const unsigned char *source_take(struct source *source, size_t len)
{
    if (__builtin_expect(len > source_ready(source), 0))
        return source_take_slow(source, len);
    const unsigned char *at = source->at;
    source->at += len;
    return at;
}

/* Copies the next `len` bytes; false if there are not so many. */
bool source_read(struct source *source, void *out, size_t len);

/* Passes over the next `len` bytes; false if there are not so many. */
bool source_skip(struct source *source, uint64_t len);

/* CRC-64 of everything that was taken. */
uint64_t source_checksum(struct source *source);
