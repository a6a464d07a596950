/*
 * Buf: bytes that grow, for building text and other things off the hot path.
 *
 * Always followed by a zero byte once something was appended, so that buf_cstr costs nothing. Appending is amortised
 * O(1).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct buf {
    char *ptr; /* owned; NULL while empty */
    size_t len, cap;
};

#define BUF_EMPTY ((struct buf){ 0 })

void buf_append(struct buf *buf, struct bytes content);
void buf_append_cstr(struct buf *buf, const char *text);
void buf_append_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends `content` in double quotes with C escapes for what is not printable, as redis-cli and the logs show it. */
void buf_append_quoted(struct buf *buf, struct bytes content);

/* Room for `len` more bytes, uninitialised and already counted; the pointer holds until the next append. */
char *buf_extend(struct buf *buf, size_t len);

/* Empties it and keeps the memory. */
void buf_clear(struct buf *buf);

/* Frees what it holds; may be used again afterwards. */
void buf_fini(struct buf *buf);

/* The content, terminated; "" while empty. Valid until the next append. */
const char *buf_cstr(const struct buf *buf);

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){ buf->ptr, buf->len };
}
