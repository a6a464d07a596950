/*
 * Reply: how each protocol spells what a handler answers.
 *
 * The writers of short things reserve once, write, and commit once. Lengths and counts mostly have one or two digits,
 * which are written without a call. Long content goes through output_append, so that the room a reply reserves stays
 * small against a chunk.
 *
 *   RESP2   +status  -error  :integer  $len bulk  *count array  $-1, *-1 null
 *   RESP3   adds  _ null  ,double  #t #f  (big number  =len txt:verbatim  %count map  ~count set  >count push  |count
 * attribute
 */
#include "resp/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/num.h"

enum {
    HEAD_MAX = 1 + NUM_I64_MAX_LEN + 2, /* a type byte, a number, a line end */
    CONTIGUOUS_MAX = 512,               /* content up to this is written with its head in one piece */
    FORMAT_MAX = 512,                   /* formatted text up to this needs no allocation */
    VERBATIM_FORMAT_LEN = 3,
};

void reply_init(struct reply *reply, struct output *out, uint8_t proto)
{
    *reply = (struct reply){ .out = out, .proto = proto };
}

static inline char *write_line_end(char *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

static inline char *write_bytes(char *at, struct bytes content)
{
    if (content.len > 0)
        memcpy(at, content.ptr, content.len);
    return at + content.len;
}

/* `type`, a number, a line end: at most HEAD_MAX bytes. */
static inline char *write_head(char *at, char type, uint64_t number)
{
    *at++ = type;
    if (number < 10)
        *at++ = (char)('0' + number);
    else if (number < 100) {
        *at++ = (char)('0' + number / 10);
        *at++ = (char)('0' + number % 10);
    } else {
        at += num_format_u64(at, number);
    }
    return write_line_end(at);
}

static inline void reply_literal(struct reply *reply, struct bytes text)
{
    struct output *out = reply->out;
    if (__builtin_expect(output_has_room(out, text.len), 1))
        output_commit(out, write_bytes(out->at, text));
    else
        output_append(out, text);
}

static void reply_head(struct reply *reply, char type, uint64_t number)
{
    char *at = output_reserve(reply->out, HEAD_MAX);
    output_commit(reply->out, write_head(at, type, number));
}

void reply_ok(struct reply *reply)
{
    reply_literal(reply, BYTES("+OK\r\n"));
}

/* A line of text of any length behind its type byte. */
static void reply_line(struct reply *reply, char type, struct bytes text)
{
    if (text.len <= CONTIGUOUS_MAX) {
        char *at = output_reserve(reply->out, CONTIGUOUS_MAX + HEAD_MAX);
        *at = type;
        output_commit(reply->out, write_line_end(write_bytes(at + 1, text)));
        return;
    }
    output_append(reply->out, bytes_make(&type, 1));
    output_append(reply->out, text);
    output_append(reply->out, BYTES("\r\n"));
}

void reply_status(struct reply *reply, struct bytes text)
{
    reply_line(reply, '+', text);
}

void reply_int(struct reply *reply, int64_t value)
{
    char *at = output_reserve(reply->out, HEAD_MAX);
    if (value >= 0) {
        at = write_head(at, ':', (uint64_t)value);
    } else {
        *at++ = ':';
        at += num_format_i64(at, value);
        at = write_line_end(at);
    }
    output_commit(reply->out, at);
}

void reply_bulk(struct reply *reply, struct bytes content)
{
    if (__builtin_expect(content.len <= CONTIGUOUS_MAX, 1)) {
        char *at = write_head(output_reserve(reply->out, content.len + HEAD_MAX + 2), '$', content.len);
        output_commit(reply->out, write_line_end(write_bytes(at, content)));
        return;
    }
    reply_head(reply, '$', content.len);
    output_append(reply->out, content);
    output_append(reply->out, BYTES("\r\n"));
}

void reply_bulk_cstr(struct reply *reply, const char *text)
{
    reply_bulk(reply, bytes_from_cstr(text));
}

void reply_bulk_int(struct reply *reply, int64_t value)
{
    char digits[NUM_I64_MAX_LEN];
    reply_bulk(reply, bytes_make(digits, num_format_i64(digits, value)));
}

/*
 * Formats into `buffer`, or where that is too small into memory that is returned in *heap, for the caller to free. When
 * that memory is refused, the text is cut.
 */
static struct bytes format_text(char *buffer, size_t size, char **heap, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int needed = vsnprintf(buffer, size, format, args);
    ASSERT(needed >= 0);
    size_t len = (size_t)needed;
    *heap = NULL;
    if (len >= size) {
        *heap = mem_try_alloc(len + 1);
        if (*heap != NULL)
            vsnprintf(*heap, len + 1, format, again);
        else
            len = size - 1;
    }
    va_end(again);
    return bytes_make(*heap != NULL ? *heap : buffer, len);
}

void reply_bulk_printf(struct reply *reply, const char *format, ...)
{
    char buffer[FORMAT_MAX], *heap;
    va_list args;
    va_start(args, format);
    reply_bulk(reply, format_text(buffer, sizeof(buffer), &heap, format, args));
    va_end(args);
    mem_free(heap);
}

void reply_bulk_blob(struct reply *reply, struct blob *blob, struct bytes content)
{
    if (content.len < OUTPUT_REFERENCE_MIN) {
        reply_bulk(reply, content);
        return;
    }
    reply_head(reply, '$', content.len);
    output_append_blob(reply->out, blob, content);
    output_append(reply->out, BYTES("\r\n"));
}

void reply_null(struct reply *reply)
{
    if (reply->proto >= 3)
        reply_literal(reply, BYTES("_\r\n"));
    else
        reply_literal(reply, BYTES("$-1\r\n"));
}

void reply_null_array(struct reply *reply)
{
    if (reply->proto >= 3)
        reply_literal(reply, BYTES("_\r\n"));
    else
        reply_literal(reply, BYTES("*-1\r\n"));
}

void reply_array(struct reply *reply, size_t count)
{
    reply_head(reply, '*', count);
}

void reply_empty_array(struct reply *reply)
{
    reply_literal(reply, BYTES("*0\r\n"));
}

void reply_map(struct reply *reply, size_t count)
{
    if (reply->proto >= 3)
        reply_head(reply, '%', count);
    else
        reply_head(reply, '*', count * 2);
}

void reply_set(struct reply *reply, size_t count)
{
    reply_head(reply, reply->proto >= 3 ? '~' : '*', count);
}

void reply_push(struct reply *reply, size_t count)
{
    reply_head(reply, reply->proto >= 3 ? '>' : '*', count);
}

void reply_attribute(struct reply *reply, size_t count)
{
    ASSERT(reply->proto >= 3);
    reply_head(reply, '|', count);
}

struct output_gap *reply_deferred(struct reply *reply)
{
    return output_gap(reply->out);
}

void reply_deferred_end(struct reply *reply, struct output_gap *head, enum reply_aggregate kind, size_t count)
{
    static const char types[] = { [REPLY_ARRAY] = '*', [REPLY_MAP] = '%', [REPLY_SET] = '~' };
    char type = types[kind];
    if (reply->proto < 3) {
        type = '*';
        count *= kind == REPLY_MAP ? 2 : 1;
    }
    char text[HEAD_MAX];
    output_fill(reply->out, head, bytes_make(text, (size_t)(write_head(text, type, count) - text)));
}

void reply_double(struct reply *reply, double value)
{
    char text[NUM_DOUBLE_MAX_LEN];
    struct bytes digits = bytes_make(text, num_format_double(text, value));
    if (reply->proto >= 3)
        reply_line(reply, ',', digits);
    else
        reply_bulk(reply, digits);
}

void reply_bool(struct reply *reply, bool value)
{
    if (reply->proto >= 3)
        reply_literal(reply, value ? BYTES("#t\r\n") : BYTES("#f\r\n"));
    else
        reply_literal(reply, value ? BYTES(":1\r\n") : BYTES(":0\r\n"));
}

void reply_bignum(struct reply *reply, struct bytes digits)
{
    if (reply->proto >= 3)
        reply_line(reply, '(', digits);
    else
        reply_bulk(reply, digits);
}

void reply_verbatim(struct reply *reply, const char *format, struct bytes text)
{
    ASSERT(strlen(format) == VERBATIM_FORMAT_LEN);
    if (reply->proto < 3) {
        reply_bulk(reply, text);
        return;
    }
    reply_head(reply, '=', text.len + VERBATIM_FORMAT_LEN + 1);
    output_append(reply->out, bytes_make(format, VERBATIM_FORMAT_LEN));
    output_append(reply->out, BYTES(":"));
    output_append(reply->out, text);
    output_append(reply->out, BYTES("\r\n"));
}

/* Remembers the code word for the statistics of errors; a text without one counts as ERR. */
static void reply_set_code(struct reply *reply, struct bytes text)
{
    size_t max = text.len < sizeof(reply->code) ? text.len : sizeof(reply->code);
    const char *space = max > 0 ? memchr(text.ptr, ' ', max) : NULL;
    struct bytes code = space != NULL ? bytes_make(text.ptr, (size_t)(space - text.ptr)) : BYTES("ERR");
    *write_bytes(reply->code, code) = '\0';
    reply->failed = true;
}

static bool is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

void reply_error(struct reply *reply, struct bytes text)
{
    while (text.len > 0 && is_line_end(text.ptr[text.len - 1]))
        text.len--;
    reply_set_code(reply, text);
    output_append(reply->out, BYTES("-"));
    while (text.len > 0) {
        size_t len = 0;
        while (len < text.len && !is_line_end(text.ptr[len]))
            len++;
        output_append(reply->out, bytes_make(text.ptr, len));
        if (len == text.len)
            break;
        output_append(reply->out, BYTES(" "));
        text = bytes_make(text.ptr + len + 1, text.len - len - 1);
    }
    output_append(reply->out, BYTES("\r\n"));
}

void reply_error_printf(struct reply *reply, const char *format, ...)
{
    char buffer[FORMAT_MAX], *heap;
    va_list args;
    va_start(args, format);
    reply_error(reply, format_text(buffer, sizeof(buffer), &heap, format, args));
    va_end(args);
    mem_free(heap);
}

void reply_fail(struct reply *reply, enum error error)
{
    struct bytes text = error_text(error);
    reply_set_code(reply, text);
    reply_line(reply, '-', text);
}
