/* Sinks and sources: what goes in comes out, in whatever pieces; failures stick; checksums cover everything. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/random.h"
#include "persist/sink.h"
#include "persist/source.h"

enum { MUCH = 3 * 1024 * 1024 };

static char *noise(size_t len)
{
    struct random random;
    random_init(&random, 7);
    char *bytes = mem_alloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)random_next(&random);
    return bytes;
}

/* Puts the bytes in pieces of all sizes. */
static void put_pieces(struct sink *sink, const char *bytes, size_t len)
{
    for (size_t at = 0, piece = 0; at < len; at += piece) {
        piece = (piece * 7 + 1) % 200000;
        if (piece > len - at)
            piece = len - at;
        if (piece == 1)
            sink_put_byte(sink, (unsigned char)bytes[at]);
        else
            sink_put(sink, bytes + at, piece);
        cr_assert_eq(sink_bytes(sink), at + piece);
    }
}

Test(sink, memory_takes_everything)
{
    char *bytes = noise(MUCH);
    struct buf memory = BUF_EMPTY;
    struct sink sink;
    sink_init_memory(&sink, &memory);
    put_pieces(&sink, bytes, MUCH);
    cr_assert_eq(sink_checksum(&sink), crc64(0, bytes, MUCH));
    cr_assert(sink_flush(&sink));
    cr_assert(bytes_equal(buf_bytes(&memory), bytes_make(bytes, MUCH)));
    sink_fini(&sink);
    buf_fini(&memory);
    mem_free(bytes);
}

Test(sink, memory_that_is_out_is_an_error)
{
    struct buf memory = BUF_EMPTY;
    struct sink sink;
    sink_init_memory(&sink, &memory);
    mem_fail_nth(1);
    sink_put(&sink, (const char[2000]){ 1 }, 2000);
    mem_fail_nth(0);
    cr_assert_eq(sink.error, ENOMEM);
    sink_put(&sink, "more", 4);
    cr_assert(!sink_flush(&sink) && memory.len == 0, "the first failure sticks");
    sink_fini(&sink);
    buf_fini(&memory);
}

static bool refuse(struct sink *sink, const void *ptr, size_t len)
{
    (void)ptr;
    (void)len;
    errno = sink->written > 300000 ? ENOSPC : 0;
    return errno == 0;
}

Test(sink, a_refusal_sticks_and_says_why)
{
    char *bytes = noise(MUCH);
    struct sink sink;
    sink_init(&sink, 1000, refuse);
    put_pieces(&sink, bytes, MUCH);
    cr_assert(!sink_flush(&sink));
    cr_assert_eq(sink.error, ENOSPC);
    sink_fini(&sink);
    mem_free(bytes);
}

static int calls;

static bool count_call(void *context)
{
    calls++;
    return context == NULL;
}

Test(sink, file_and_back)
{
    char *bytes = noise(MUCH), *again = mem_alloc(MUCH);
    FILE *file = tmpfile();
    struct sink sink;
    struct source source;
    sink_init_fd(&sink, fileno(file), 512 * 1024);
    put_pieces(&sink, bytes, MUCH);
    cr_assert(sink_flush(&sink));
    sink_fini(&sink);
    lseek(fileno(file), 0, SEEK_SET);
    source_init_fd(&source, fileno(file));
    source.progress = count_call;
    cr_assert_eq(source.size, MUCH);
    for (size_t at = 0, piece = 1; at < MUCH; at += piece) {
        piece = (piece * 11 + 1) % (at % 2 ? SOURCE_TAKE_MAX : 300);
        if (piece > MUCH - at)
            piece = MUCH - at;
        const unsigned char *taken = source_take(&source, piece);
        cr_assert(taken);
        memcpy(again + at, taken, piece);
        cr_assert_eq(source_offset(&source), at + piece);
        cr_assert_eq(source_left(&source), MUCH - at - piece);
    }
    cr_assert_eq(memcmp(bytes, again, MUCH), 0);
    cr_assert_eq(source_checksum(&source), crc64(0, bytes, MUCH));
    cr_assert(!source_take(&source, 1) && !source_read(&source, again, 1) && !source_skip(&source, 1));
    cr_assert_geq(calls, MUCH / (256 * 1024));
    source_fini(&source);
    fclose(file);
    mem_free(bytes);
    mem_free(again);
}

Test(sink, progress_that_says_no_ends_the_reading)
{
    FILE *file = tmpfile();
    struct source source;
    char byte;
    fputs("some bytes", file);
    rewind(file);
    source_init_fd(&source, fileno(file));
    source.progress = count_call;
    source.context = &byte;
    source_read(&source, &byte, 1);
    cr_assert(!source_refill(&source));
    cr_assert_eq(source.error, ECANCELED);
    source_fini(&source);
    fclose(file);
}
