/*
 * Reader: cuts a stream of bytes into requests, without copying.
 *
 * reader_parse looks at the bytes of one request that have arrived, from the request's first byte, and appends the
 * arguments it finds, as slices of those bytes, to a vector of the caller's. It keeps its place: called again with more
 * bytes it goes on where it stopped, so every byte is looked at once however finely the input was split. If the bytes
 * moved meanwhile, reader_move_slices moves the arguments found so far.
 *
 * A large argument that has not arrived whole is announced (READER_BLOB): the caller reads it straight into the memory
 * it will live in, and hands that over by reader_add_blob.
 *
 *   *2\r\n $3\r\n GET\r\n $5\r\n hello\r\n      multibulk
 *   GET "hello" \r\n                            inline: words, "..." with escapes, '...'; decoded in place
 *
 * Pure: no allocation but the vector's growth, no file descriptors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/bytes.h"

enum {
    READER_BLOB_MIN = 32 * 1024,   /* an argument this long is announced if it is not whole yet */
    READER_INLINE_MAX = 64 * 1024, /* bytes of a line (inline request, or head of an aggregate) */
    READER_ARGC_MAX = INT32_MAX,   /* arguments of a request */
    READER_UNAUTHENTICATED_ARGC_MAX = 10,
    READER_UNAUTHENTICATED_BULK_MAX = 16 * 1024,
    READER_ERROR_MAX = 64, /* room that reader_error needs */
};

enum reader_status {
    READER_DONE, /* one whole request: see argc, first, at. argc 0 is an empty request, to be passed over in silence */
    READER_PARTIAL, /* more bytes are needed */
    READER_BLOB, /* an argument of bulk_len bytes begins at offset `at`; what of it has arrived ends with the input */
    READER_BAD,  /* malformed: reader_error says why; the connection is to be closed */
};

/* A growing vector of arguments; several requests may lie in one. To use it again, set len to 0. */
struct argv {
    struct bytes *ptr; /* owned */
    size_t len, cap;
};

void argv_init(struct argv *argv);
void argv_fini(struct argv *argv);

struct reader_limits {
    size_t bulk_max;    /* proto-max-bulk-len, bytes */
    bool authenticated; /* if not, much lower limits hold */
};

/* An argument that is a blob: `index` counts within the request. */
struct reader_blob {
    uint32_t index;
    struct blob *blob; /* owned by the reader; who takes it leaves NULL here */
};

/* What stands at the reader's place. */
enum reader_stage {
    READER_AT_REQUEST,  /* a request's first byte */
    READER_AT_HEAD,     /* the head of an argument */
    READER_AT_BULK,     /* the bulk_len bytes of an argument */
    READER_AT_BULK_END, /* the line end of an argument that was handed over as a blob */
};

/* The state of one request. All zero but `first` (reader_init) before its first byte. */
struct reader {
    size_t at;                 /* bytes of the request consumed; the request's length once it is done */
    size_t first;              /* index in the vector of the request's first argument */
    size_t bulk_len;           /* of the argument whose head was read */
    uint32_t argc;             /* arguments found so far */
    uint32_t expected;         /* arguments announced; 0 before the head was read */
    uint32_t scanned;          /* bytes from `at` on that are known to hold no line end */
    uint8_t stage;             /* enum reader_stage */
    uint8_t error;             /* for reader_error */
    char unexpected;           /* the byte that was no '$' */
    uint32_t blob_count;       /* blobs in the vector; 0 in nearly every request */
    struct reader_blob *blobs; /* owned; in the order of their indices */
};

/* `first` is the length of the vector that the arguments will be appended to. */
static inline void reader_init(struct reader *reader, size_t first)
{
    *reader = (struct reader){ .first = first };
}

/* Frees what it holds; blobs that were not taken are given back. Need not be called while blobs is NULL. */
void reader_fini(struct reader *reader);

/*
 * `input` holds the request from its first byte; inline requests are decoded in place. argv->len grows by the arguments
 * found. A request that is not whole may be parsed again as soon as more of it is there, after READER_BLOB too (it is
 * announced again).
 */
enum reader_status reader_parse(
    struct reader *reader, const struct reader_limits *limits, char *input, size_t len, struct argv *argv);

/*
 * The quick way for what nearly all input is: if it begins with a whole and plain request, and there is room for them,
 * writes its arguments from `out` on and returns its length. Otherwise 0, and reader_parse decides.
 */
size_t reader_take(const struct reader_limits *limits, const char *input, size_t len, struct bytes *out,
    const struct bytes *out_end, uint32_t *argc);

/* The `len` bytes of input at `from` lie at `to` now: adjusts the slices that begin in them; others, as those in blobs,
 * stay. O(count). */
void reader_move_slices(struct bytes *slices, size_t count, const char *from, size_t len, const char *to);

/*
 * After READER_BLOB: hands over the argument, whole and without its line end, as a blob, which the reader then owns.
 * The argument's bytes are thereby cut out of the input: at offset `at` the input of the next reader_parse goes on with
 * the argument's line end.
 */
void reader_add_blob(struct reader *reader, struct argv *argv, struct blob *blob);

/* Why the input was bad, e.g. "Protocol error: invalid bulk length". Writes to `out` (room for READER_ERROR_MAX),
 * terminated. */
void reader_error(const struct reader *reader, char *out);
