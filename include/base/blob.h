/*
 * Blob: a reference-counted run of bytes, for values too large to copy.
 *
 * A large argument is read straight into one, a value of the keyspace is one, and a reply refers to it until it is
 * sent, all without a copy. While more than one reference exists the bytes must not change (blob_is_shared).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct buf;

struct blob {
    _Atomic uint32_t refs;
    uint32_t unused;
    size_t len; /* bytes that count */
    size_t cap; /* bytes that fit in data */
    char data[];
};

/* A blob of length 0 with room for at least `cap` bytes, and one reference. The `try` form answers NULL when memory is
 * out. */
struct blob *blob_create(size_t cap);
struct blob *blob_try_create(size_t cap);

/* A blob that holds a copy of `content`. */
struct blob *blob_from_bytes(struct bytes content);

/* A blob of what a buf holds, taken over with its memory: the buf's first sizeof(struct blob) bytes were left free for
 * it, and it is empty afterwards. */
struct blob *blob_from_buf(struct buf *buf);

/* Takes one more reference; returns its argument. Any thread. */
struct blob *blob_ref(struct blob *blob);

/* Gives a reference back; the last one frees. NULL is nothing. Any thread. */
void blob_unref(struct blob *blob);

/* Moves to a capacity of at least `cap`, keeping length and content; only while not shared. NULL (nothing changed) when
 * memory is out. */
struct blob *blob_try_resize(struct blob *blob, size_t cap);

/* Makes room for at least `cap` where the blob lies; false if there is none. */
bool blob_try_expand(struct blob *blob, size_t cap);

static inline bool blob_is_shared(const struct blob *blob)
{
    return atomic_load_explicit(&blob->refs, memory_order_acquire) > 1;
}

static inline struct bytes blob_bytes(const struct blob *blob)
{
    return (struct bytes){ blob->data, blob->len };
}
