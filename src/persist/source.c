/*
 * Sources: a window that slides over a file, or memory as it is.
 */
#include "persist/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/fiber.h"
#include "base/mem.h"

enum {
    PIECE = 64 * 1024, /* copied between two breaths */
    PIECE_COST = 2000,
    WINDOW = 1024 * 1024,
    READ_MAX = 256 * 1024, /* fetched at once, so that what is read is still in the cache when it is taken */
};

static void sum_up(struct source *source)
{
    if (source->checksum && source->at > source->summed)
        source->crc = crc64(source->crc, source->summed, (size_t)(source->at - source->summed));
    source->summed = source->at;
}

/* Reads up to `len` bytes behind `end`; how many, 0 at the end of the file or on failure. */
static size_t fetch(struct source *source, unsigned char *to, size_t len)
{
    ssize_t n;
    do
        n = read(source->fd, to, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        source->error = errno;
    if (n <= 0)
        return 0;
    source->end_offset += (uint64_t)n;
    if (source->progress && !source->progress(source->context))
        source->error = ECANCELED;
    return (size_t)n;
}

bool source_refill(struct source *source)
{
    if (!source->window)
        return true;
    sum_up(source);
    size_t ready = source_ready(source);
    if (source->end + READ_MAX > source->window + WINDOW) {
        if (ready)
            memmove(source->window, source->at, ready);
        source->at = source->summed = source->window;
        source->end = source->window + ready;
    }
    size_t room = (size_t)(source->window + WINDOW - source->end);
    source->end += fetch(source, source->window + (source->end - source->window), room < READ_MAX ? room : READ_MAX);
    return source->error == 0;
}

const unsigned char *source_take_slow(struct source *source, size_t len)
{
    while (source_ready(source) < len) {
        size_t before = source_ready(source);
        if (!source->window || len > SOURCE_TAKE_MAX || !source_refill(source) || source_ready(source) == before)
            return NULL;
    }
    const unsigned char *at = source->at;
    source->at += len;
    return at;
}

bool source_read(struct source *source, void *out, size_t len)
{
    unsigned char *to = out;
    if (len > source_left(source))
        return false;
    while (len) {
        size_t n = source_ready(source);
        if (n == 0) {
            if (!source->window || !source_refill(source) || source_ready(source) == 0)
                return false;
            continue;
        }
        if (n > len)
            n = len;
        if (n > PIECE) {
            n = PIECE;
            fiber_breathe(PIECE_COST);
        }
        memcpy(to, source->at, n);
        source->at += n;
        to += n;
        len -= n;
    }
    return true;
}

bool source_skip(struct source *source, uint64_t len)
{
    if (len > source_left(source))
        return false;
    while (len) {
        size_t n = len < SOURCE_TAKE_MAX ? (size_t)len : SOURCE_TAKE_MAX;
        if (!source->window)
            n = (size_t)len;
        if (!source_take(source, n))
            return false;
        len -= n;
    }
    return true;
}

uint64_t source_checksum(struct source *source)
{
    sum_up(source);
    return source->crc;
}

void source_init_fd(struct source *source, int fd)
{
    *source = (struct source){ .fd = fd, .checksum = true };
    struct stat status;
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (fstat(fd, &status) != 0)
        source->error = errno;
    else if (at >= 0 && status.st_size > at)
        source->size = (uint64_t)(status.st_size - at);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    source->window = mem_alloc(WINDOW);
    source->at = source->end = source->summed = source->window;
}

void source_init_memory(struct source *source, struct bytes bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    *source = (struct source){
        .at = at, .end = at + bytes.len, .summed = at, .end_offset = bytes.len, .size = bytes.len, .fd = -1
    };
}

void source_fini(struct source *source)
{
    mem_free(source->window);
    source->window = NULL;
}
