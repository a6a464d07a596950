/*
 * Sink: where a codec puts bytes, whatever becomes of them: a file, memory (DUMP), a pipe or a socket.
 *
 * Bytes collect in a buffer and leave in large pieces; the checksum is taken over those. The first failure sticks:
 * what follows is dropped, and `error` says why, so that a writer need not ask after every byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"

struct sink {
    /* Takes all of it, or answers false with errno set. */
    bool (*write)(struct sink *sink, const void *ptr, size_t len);
    unsigned char *buf; /* owned */
    size_t len, cap;    /* of buf */
    uint64_t written;   /* bytes that left the buffer */
    uint64_t crc;       /* CRC-64 of these, if `checksum` */
    bool checksum;
    int error;           /* errno of the first failure; 0: none */
    int fd;              /* of a file */
    uint64_t sync_every; /* bytes after which a file is synchronised; 0: never before its end */
    uint64_t synced;     /* bytes of it that were */
    struct buf *memory;  /* borrowed */
};

/*
 * To a file, or anything with a descriptor, which stays the caller's. Every `sync_every` bytes (0: never) the system is
 * made to write out what it has, so that the last fsync finds little to do.
 */
void sink_init_fd(struct sink *sink, int fd, uint64_t sync_every);

/* To the end of `memory`, which is borrowed. Fails with ENOMEM when memory is out. */
void sink_init_memory(struct sink *sink, struct buf *memory);

/* To a function of the caller's, for structs that begin with a sink; with a buffer of `cap` bytes. */
void sink_init(struct sink *sink, size_t cap, bool (*write)(struct sink *sink, const void *ptr, size_t len));

/* Passes on what is in the buffer; true if nothing has failed so far. */
bool sink_flush(struct sink *sink);

/* Frees the buffer, whatever is in it. */
void sink_fini(struct sink *sink);

/* Where the buffer has no room. */
void sink_put_slow(struct sink *sink, const void *ptr, size_t len);

static inline void sink_put(struct sink *sink, const void *ptr, size_t len)
{
    if (__builtin_expect(len > sink->cap - sink->len, 0)) {
        sink_put_slow(sink, ptr, len);
        return;
    }
    if (len)
        memcpy(sink->buf + sink->len, ptr, len);
    sink->len += len;
}

static inline void sink_put_byte(struct sink *sink, unsigned char byte)
{
    if (__builtin_expect(sink->len == sink->cap, 0))
        sink_flush(sink);
    sink->buf[sink->len++] = byte;
}

/* Bytes put in so far. */
static inline uint64_t sink_bytes(const struct sink *sink)
{
    return sink->written + sink->len;
}

/* CRC-64, continued, of bytes that may be many: breathes between pieces (base/fiber.h). */
uint64_t sink_crc(uint64_t crc, struct bytes bytes);

/* CRC-64 of everything so far; flushes. */
uint64_t sink_checksum(struct sink *sink);
