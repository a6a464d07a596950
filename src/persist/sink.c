/*
 * Sinks: the buffer in front, and the three kinds behind it.
 *
 * A buffer of 128 KB is written in one call, and its checksum is taken while it is in the cache. What is larger than
 * the buffer goes past it, in pieces of that size, between which it breathes.
 */
#include "persist/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/fiber.h"
#include "base/mem.h"

enum { FILE_BUFFER = 128 * 1024, MEMORY_BUFFER = 512, CRC_PIECE = 64 * 1024, CRC_COST = 400, PIECE_COST = 4000 };

uint64_t sink_crc(uint64_t crc, struct bytes bytes)
{
    while (bytes.len > CRC_PIECE) {
        crc = crc64(crc, bytes.ptr, CRC_PIECE);
        bytes.ptr += CRC_PIECE;
        bytes.len -= CRC_PIECE;
        fiber_breathe(CRC_COST);
    }
    return crc64(crc, bytes.ptr, bytes.len);
}

static void pass_on(struct sink *sink, const void *ptr, size_t len)
{
    if (sink->checksum)
        sink->crc = sink_crc(sink->crc, bytes_make(ptr, len));
    sink->written += len;
    if (sink->error)
        return;
    errno = 0;
    if (!sink->write(sink, ptr, len))
        sink->error = errno ? errno : EIO;
}

bool sink_flush(struct sink *sink)
{
    if (sink->len)
        pass_on(sink, sink->buf, sink->len);
    sink->len = 0;
    return sink->error == 0;
}

void sink_put_slow(struct sink *sink, const void *ptr, size_t len)
{
    sink_flush(sink);
    for (; len > FILE_BUFFER; len -= FILE_BUFFER) {
        pass_on(sink, ptr, FILE_BUFFER);
        ptr = (const char *)ptr + FILE_BUFFER;
        fiber_breathe(PIECE_COST);
    }
    if (len >= sink->cap)
        pass_on(sink, ptr, len);
    else
        sink_put(sink, ptr, len);
}

uint64_t sink_checksum(struct sink *sink)
{
    sink_flush(sink);
    return sink->crc;
}

void sink_init(struct sink *sink, size_t cap, bool (*write)(struct sink *sink, const void *ptr, size_t len))
{
    *sink = (struct sink){ .write = write, .buf = mem_alloc(cap), .cap = cap, .fd = -1, .checksum = true };
}

void sink_fini(struct sink *sink)
{
    mem_free(sink->buf);
    sink->buf = NULL;
    sink->len = sink->cap = 0;
}

/* --- Files --- */

/* Has the kernel begin with what just came, and wait for what came before. */
static bool sync_part(struct sink *sink)
{
    off_t from = (off_t)sink->synced, len = (off_t)(sink->written - sink->synced);
    sink->synced = sink->written;
    return sync_file_range(sink->fd, from, len,
               SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0 ||
           errno == ESPIPE || errno == EINVAL;
}

static bool write_fd(struct sink *sink, const void *ptr, size_t len)
{
    const char *at = ptr;
    while (len) {
        ssize_t n = write(sink->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return !sink->sync_every || sink->written - sink->synced < sink->sync_every || sync_part(sink);
}

void sink_init_fd(struct sink *sink, int fd, uint64_t sync_every)
{
    sink_init(sink, FILE_BUFFER, write_fd);
    sink->fd = fd;
    sink->sync_every = sync_every;
}

/* --- Memory --- */

static bool write_memory(struct sink *sink, const void *ptr, size_t len)
{
    struct buf *memory = sink->memory;
    if (memory->cap - memory->len <= len) {
        size_t cap = memory->len + len + 1;
        cap += memory->len ? cap / 4 : 0;
        char *grown = mem_try_realloc(memory->ptr, cap);
        if (!grown) {
            errno = ENOMEM;
            return false;
        }
        memory->ptr = grown;
        memory->cap = cap;
    }
    memcpy(memory->ptr + memory->len, ptr, len);
    memory->len += len;
    memory->ptr[memory->len] = '\0';
    return true;
}

void sink_init_memory(struct sink *sink, struct buf *memory)
{
    sink_init(sink, MEMORY_BUFFER, write_memory);
    sink->memory = memory;
}
