/*
 * Growing text. The buffer doubles, so appending n bytes costs O(n) in all; one byte is always kept for the terminator.
 *
 * Memory is asked for with mem_realloc, which aborts: this is for text of ours, not for what a client can make large.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

enum { BUF_MIN_CAP = 64 };

char *buf_extend(struct buf *buf, size_t len)
{
    ASSERT(len < SIZE_MAX / 4 && buf->len < SIZE_MAX / 4);
    size_t needed = buf->len + len + 1;
    if (needed > buf->cap) {
        size_t cap = buf->cap * 2 < BUF_MIN_CAP ? BUF_MIN_CAP : buf->cap * 2;
        cap = mem_good_size(cap < needed ? needed : cap);
        buf->ptr = mem_realloc(buf->ptr, cap);
        buf->cap = cap;
    }
    char *room = buf->ptr + buf->len;
    buf->len += len;
    buf->ptr[buf->len] = '\0';
    return room;
}

void buf_append(struct buf *buf, struct bytes content)
{
    char *room = buf_extend(buf, content.len);

    if (content.len != 0)
        memcpy(room, content.ptr, content.len);
}

void buf_append_cstr(struct buf *buf, const char *text)
{
    buf_append(buf, bytes_from_cstr(text));
}

void buf_append_char(struct buf *buf, char c)
{
    *buf_extend(buf, 1) = c;
}

static void append_formatted(struct buf *buf, const char *format, va_list args)
{
    char text[256];
    va_list again;

    va_copy(again, args);
    int len = vsnprintf(text, sizeof(text), format, args);
    ASSERT(len >= 0);
    if ((size_t)len < sizeof(text)) {
        buf_append(buf, bytes_make(text, (size_t)len));
    } else {
        char *room = buf_extend(buf, (size_t)len);
        vsnprintf(room, (size_t)len + 1, format, again);
    }
    va_end(again);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    append_formatted(buf, format, args);
    va_end(args);
}

/* The letter that follows the backslash, or 0 for a byte that has none. */
static char escape_letter(char c)
{
    switch (c) {
    case '\\':
    case '"':
        return c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\a':
        return 'a';
    case '\b':
        return 'b';
    default:
        return 0;
    }
}

void buf_append_quoted(struct buf *buf, struct bytes content)
{
    static const char hex[] = "0123456789abcdef";

    buf_append_char(buf, '"');
    for (size_t i = 0; i < content.len; i++) {
        char c = content.ptr[i], letter = escape_letter(c);
        if (letter != 0)
            buf_append(buf, bytes_make((char[]){ '\\', letter }, 2));
        else if (c >= ' ' && c <= '~')
            buf_append_char(buf, c);
        else
            buf_append(buf, bytes_make((char[]){ '\\', 'x', hex[(unsigned char)c >> 4], hex[c & 15] }, 4));
    }
    buf_append_char(buf, '"');
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    if (buf->ptr != NULL)
        buf->ptr[0] = '\0';
}

void buf_fini(struct buf *buf)
{
    mem_free(buf->ptr);
    *buf = BUF_EMPTY;
}

const char *buf_cstr(const struct buf *buf)
{
    return buf->ptr == NULL ? "" : buf->ptr;
}
