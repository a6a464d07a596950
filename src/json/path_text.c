/*
 * The tokens of paths: names, strings, numbers, and what is said when they are not there.
 *
 * A path is checked to be UTF-8 before anything else, so that what follows may look at bytes alone: everything from
 * 0x80 on is part of a name or a string. Strings follow RFC 9535, section 2.3.1.1: the escapes of JSON, and that of the
 * quote around it but not of the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "path_priv.h"
#include "json/doc.h"

static const int64_t MAX_INTEGER = 9007199254740991; /* 2^53 - 1: RFC 9535, section 2.1 */

bool path_fail_at(struct path_parser *p, size_t position, const char *what)
{
    p->error->position = position;
    snprintf(p->error->text, sizeof(p->error->text), "%s at position %zu of the path", what, position);
    return false;
}

bool path_fail(struct path_parser *p, const char *what)
{
    return path_fail_at(p, p->at, what);
}

void path_skip_blank(struct path_parser *p)
{
    while (p->at < p->len && memchr(" \t\n\r", p->in[p->at], 4) != NULL)
        p->at++;
}

bool path_peek(const struct path_parser *p, char c)
{
    return p->at < p->len && p->in[p->at] == c;
}

bool path_take(struct path_parser *p, char c)
{
    if (!path_peek(p, c))
        return false;
    p->at++;
    return true;
}

bool path_take_text(struct path_parser *p, const char *text)
{
    size_t len = strlen(text);
    if (p->len - p->at < len || memcmp(p->in + p->at, text, len) != 0)
        return false;
    p->at += len;
    return true;
}

bool path_enter(struct path_parser *p)
{
    if (p->nesting >= JSON_PATH_MAX_NESTING)
        return path_fail(p, "too deeply nested");
    p->nesting++;
    return true;
}

void path_leave(struct path_parser *p)
{
    p->nesting--;
}

/* Bytes of the UTF-8 character that begins at `at`, 0 if there is none: no overlong forms, no surrogates. */
static size_t character_len(const unsigned char *at, size_t room)
{
    unsigned char lead = at[0];
    if (lead < 0x80)
        return 1;
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || room < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool wrong = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) || (lead == 0xf0 && at[1] < 0x90) ||
                 (lead == 0xf4 && at[1] > 0x8f);
    return wrong ? 0 : len;
}

bool path_is_utf8(struct bytes text, size_t *bad)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = character_len((const unsigned char *)text.ptr + at, text.len - at);
        if (len == 0) {
            *bad = at;
            return false;
        }
        at += len;
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_first(char c)
{
    return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' || (unsigned char)c >= 0x80 ||
           (c != 0 && strchr("-:#%+/^`~$", c) != NULL);
}

bool path_read_name(struct path_parser *p, bool legacy)
{
    size_t from = p->at;
    if (p->at < p->len && (is_name_first(p->in[p->at]) || (legacy && is_digit(p->in[p->at]))))
        p->at++;
    else
        return path_fail(p, "expected a name");
    while (p->at < p->len && (is_name_first(p->in[p->at]) || is_digit(p->in[p->at])))
        p->at++;
    buf_clear(&p->scratch);
    buf_append(&p->scratch, bytes_make(p->in + from, p->at - from));
    return true;
}

static int hex_value(char c)
{
    return is_digit(c) ? c - '0' : ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f' ? ascii_lower(c) - 'a' + 10 : -1;
}

/* Four hexadecimal digits. */
static bool read_hex4(struct path_parser *p, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        int digit = p->at < p->len ? hex_value(p->in[p->at]) : -1;
        if (digit < 0)
            return path_fail(p, "expected a hexadecimal digit");
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

static void append_code_point(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_append_char(out, (char)c);
        return;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t LEADS[] = { 0, 0xc0, 0xe0, 0xf0 };
    buf_append_char(out, (char)(LEADS[more] | c >> (6 * more)));
    while (more-- > 0)
        buf_append_char(out, (char)(0x80 | (c >> (6 * more) & 0x3f)));
}

/* What stands behind `\u`: one character, a pair of surrogates if need be. */
static bool read_unicode_escape(struct path_parser *p)
{
    size_t from = p->at;
    uint32_t high, low;
    if (!read_hex4(p, &high))
        return false;
    if (high >= 0xd800 && high <= 0xdfff) {
        if (high >= 0xdc00 || !path_take_text(p, "\\u"))
            return path_fail_at(p, from, "a surrogate without its pair");
        if (!read_hex4(p, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return path_fail_at(p, from, "a surrogate without its pair");
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    append_code_point(&p->scratch, high);
    return true;
}

/* What stands behind a backslash. */
static bool read_escape(struct path_parser *p, char quote, bool expression)
{
    static const char NAMES[] = "bfnrt/\\", VALUES[] = "\b\f\n\r\t/\\";
    char c = p->at < p->len ? p->in[p->at] : 0;
    const char *name = c != 0 ? strchr(NAMES, c) : NULL;
    if (c == 'u') {
        p->at++;
        return read_unicode_escape(p);
    }
    if (c == quote)
        buf_append_char(&p->scratch, c);
    else if (expression && c != '\\' && (unsigned char)c >= ' ')
        buf_append(&p->scratch, bytes_make((char[]){ '\\', c }, 2));
    else if (name != NULL)
        buf_append_char(&p->scratch, VALUES[name - NAMES]);
    else
        return path_fail(p, "no such escape");
    p->at++;
    return true;
}

static bool read_quoted(struct path_parser *p, bool expression)
{
    size_t from = p->at;
    char quote = p->in[p->at++];
    buf_clear(&p->scratch);
    while (p->at < p->len) {
        char c = p->in[p->at];
        if ((unsigned char)c < ' ')
            return path_fail(p, "a control character in a string");
        p->at++;
        if (c == quote)
            return true;
        if (c != '\\')
            buf_append_char(&p->scratch, c);
        else if (!read_escape(p, quote, expression))
            return false;
    }
    return path_fail_at(p, from, "a string without its end, which begins");
}

bool path_read_string(struct path_parser *p)
{
    if (!path_peek(p, '"') && !path_peek(p, '\''))
        return path_fail(p, "expected a string");
    return read_quoted(p, false);
}

bool path_read_expression(struct path_parser *p)
{
    return read_quoted(p, true);
}

bool path_read_integer(struct path_parser *p, int64_t *value)
{
    size_t from = p->at;
    path_take(p, '-');
    while (p->at < p->len && is_digit(p->in[p->at]))
        p->at++;
    if (!num_parse_i64(bytes_make(p->in + from, p->at - from), value) || *value < -MAX_INTEGER || *value > MAX_INTEGER)
        return path_fail_at(p, from, "expected an integer of up to 53 bits");
    return true;
}

/* The digits at the parser's place; true if there is one at least. */
static bool skip_digits(struct path_parser *p)
{
    size_t from = p->at;
    while (p->at < p->len && is_digit(p->in[p->at]))
        p->at++;
    return p->at > from;
}

bool path_read_number(struct path_parser *p, struct json_value *value)
{
    size_t from = p->at;
    bool negative = path_take(p, '-'), real = false;
    size_t digits = p->at;
    bool good = skip_digits(p) && (p->in[digits] != '0' || p->at == digits + 1);
    if (good && path_take(p, '.')) {
        real = true;
        good = skip_digits(p);
    }
    if (good && (path_take(p, 'e') || path_take(p, 'E'))) {
        real = true;
        if (!path_take(p, '+'))
            path_take(p, '-');
        good = skip_digits(p);
    }
    if (!good)
        return path_fail(p, "expected a digit");
    struct bytes text = bytes_make(p->in + from, p->at - from);
    int64_t integer;
    uint64_t large;
    double number = 0;
    if (!real && num_parse_i64(text, &integer)) {
        *value = json_make_int(integer);
    } else if (!real && !negative && num_parse_u64(text, &large)) {
        *value = json_make_uint(large);
    } else if (num_parse_double(text, &number)) {
        *value = json_make_double(number);
    } else {
        /* Too large for a double, or too small: that is then 0. */
        char *copy = bytes_dup_cstr(text);
        number = strtod(copy, NULL);
        mem_free(copy);
        if (number > 1 || number < -1)
            return path_fail_at(p, from, "a number out of range");
        *value = json_make_double(number);
    }
    return true;
}
