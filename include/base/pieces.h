/*
 * Pieces: bytes that collect at the end of a sequence which may become long, and which nobody wants to copy.
 *
 * What is small is copied behind what is there; what is in a blob already is referred to. The place where small things
 * collect is closed when it is PIECES_SEAL long and another one begun, so that nothing is ever moved because there is
 * more of it. Sequences are put behind each other by their pieces, not by their bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/blob.h"
#include "base/bytes.h"

enum { PIECES_SEAL = 128 * 1024 - (int)sizeof(struct blob) };

struct piece {
    struct bytes text; /* in the blob */
    struct blob *blob; /* owned reference */
};

/* All zero: empty. */
struct pieces {
    struct piece *items; /* owned, closed ones */
    size_t count, room;
    size_t closed;     /* bytes in these */
    struct blob *tail; /* owned: what comes behind them; NULL: nothing */
};

static inline size_t pieces_len(const struct pieces *pieces)
{
    return pieces->closed + (pieces->tail ? pieces->tail->len : 0);
}

char *pieces_extend_slow(struct pieces *pieces, size_t len);

/* Room for `len` more bytes, which lie side by side and count already; valid until the next call. */
static inline char *pieces_extend(struct pieces *pieces, size_t len)
{
    struct blob *tail = pieces->tail;
    if (__builtin_expect(!tail || len > tail->cap - tail->len, 0))
        return pieces_extend_slow(pieces, len);
    char *at = tail->data + tail->len;
    tail->len += len;
    return at;
}

/* Appends some of a blob's bytes, to which a reference is taken. They must not change from now on. O(1). */
void pieces_append_blob(struct pieces *pieces, struct blob *blob, struct bytes text);

/* Closes the tail, so that all is in items. O(1). */
void pieces_close(struct pieces *pieces);

/* Appends all of another sequence, which is empty then. O(its pieces). */
void pieces_append_pieces(struct pieces *pieces, struct pieces *more);

/* Takes the first `len` bytes away. O(pieces). */
void pieces_cut(struct pieces *pieces, size_t len);

/* Empties it; memory for a short sequence is kept. */
void pieces_clear(struct pieces *pieces);
void pieces_fini(struct pieces *pieces);
