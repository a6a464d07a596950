/*
 * Fuzz target: the request reader.
 *
 * The first byte chooses limits and how large the pieces are, the next two seed the cuts, the rest is what a client
 * sends. Parsed whole and in pieces it must give the same requests or the same error, and what is unfinished must get
 * on when the missing bytes come (stream_record sees to that). A sanitizer sees to the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "stream.h"

enum {
    HEAD_LEN = 3,
    LONG_RUNS_MAX = 3,
    FLAG_STRANGER = 1,
    FLAG_SMALL_BULKS = 2,
    FLAG_BLOBS = 4,
    FLAG_LONG = 8,   /* bytes 0xfe stand for a long run */
    PIECE_SHIFT = 4, /* the upper half of the flags: pieces of up to 1, 2, 4, ... bytes */
};

/* What the client sends. Arguments that are long enough to be announced would make inputs too long to mutate well. */
static void expand(const uint8_t *data, size_t len, bool has_runs, struct buf *stream)
{
    int runs = 0;
    for (size_t i = 0; i < len; i++) {
        if (has_runs && data[i] == 0xfe && runs++ < LONG_RUNS_MAX)
            memset(buf_extend(stream, READER_BLOB_MIN), 'x', READER_BLOB_MIN);
        else
            buf_append_char(stream, (char)data[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < HEAD_LEN)
        return 0;
    uint8_t flags = data[0];
    const struct reader_limits limits = {
        .bulk_max = (flags & FLAG_SMALL_BULKS) != 0 ? 1000 : 512 * 1024 * 1024,
        .authenticated = (flags & FLAG_STRANGER) == 0,
    };
    struct random random;
    random_init(&random, data[1] | (uint64_t)data[2] << 8);
    struct buf bytes = BUF_EMPTY;
    expand(data + HEAD_LEN, len - HEAD_LEN, (flags & FLAG_LONG) != 0, &bytes);
    struct bytes stream = buf_bytes(&bytes);
    size_t piece_max = (size_t)1 << (flags >> PIECE_SHIFT);
    if (piece_max < stream.len / 256)
        piece_max = stream.len / 256;
    struct stream_split split = { .random = &random, .piece_max = piece_max, .blobs = (flags & FLAG_BLOBS) != 0 };

    struct buf whole = BUF_EMPTY, cut = BUF_EMPTY;
    stream_record(stream, &limits, NULL, &whole);
    stream_record(stream, &limits, &split, &cut);
    if (!bytes_equal(buf_bytes(&whole), buf_bytes(&cut))) {
        fprintf(stderr, "whole:\n%s\nin pieces:\n%s\n", buf_cstr(&whole), buf_cstr(&cut));
        abort();
    }
    buf_fini(&whole);
    buf_fini(&cut);
    buf_fini(&bytes);
    return 0;
}
