/*
 * Strings of JSON text: checked in a first pass, which also counts what they will need, and decoded in a second.
 *
 * Most strings have no escapes; then the second pass is a copy. Both can stop between any two characters.
 */
#include "parse_priv.h"
#include "scan_priv.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u, or -1. */
static int hex_read(const char *at, const char *end)
{
    int code = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

static bool is_high_surrogate(int code)
{
    return (code & 0xfc00) == 0xd800;
}

static bool is_low_surrogate(int code)
{
    return (code & 0xfc00) == 0xdc00;
}

/* The character of the escape at `at` (a whole one), and *len, the bytes of it. -1: none. */
static int escape_read(const char *at, const char *end, size_t *len)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *letter;

    if (end - at < 2)
        return -1;
    *len = 2;
    if (at[1] != 'u') {
        letter = at[1] == '\0' ? NULL : strchr(letters, at[1]);
        return letter == NULL ? -1 : (unsigned char)meant[letter - letters];
    }
    int code = hex_read(at + 2, end);
    *len = 6;
    if (!is_high_surrogate(code))
        return is_low_surrogate(code) ? -1 : code;
    int low = end - at >= 8 && at[6] == '\\' && at[7] == 'u' ? hex_read(at + 8, end) : -1;
    *len = 12;
    return low >= 0 && is_low_surrogate(low) ? 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff)) : -1;
}

static size_t utf8_len(int code)
{
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

static size_t utf8_write(char *out, int code)
{
    size_t len = utf8_len(code);
    static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(marks[len] | code);
    return len;
}

/* Why the escape at `at` is none. */
static bool escape_fail(struct json_parser *parser, const char *at)
{
    if (parser->end - at < 6 && memchr(at, '"', (size_t)(parser->end - at)) == NULL)
        return parse_fail(parser, JSON_ERROR_SYNTAX, "EOF while parsing a string", parser->end);
    if (at[1] != 'u')
        return parse_fail(parser, JSON_ERROR_SYNTAX, "invalid escape", at);
    if (hex_read(at + 2, parser->end) < 0)
        return parse_fail(parser, JSON_ERROR_SYNTAX, "invalid unicode escape", at);
    return parse_fail(parser, JSON_ERROR_SYNTAX, "lone surrogate in hex escape", at);
}

bool string_scan(struct json_parser *parser, struct string_scan *scan, const char *limit)
{
    const char *at = scan->at, *end = parser->end;

    for (;;) {
        const char *stop = scan_plain(at, limit);
        scan->decoded += (size_t)(stop - at);
        scan->at = at = stop;
        if (at >= limit)
            return limit == end ? parse_fail(parser, JSON_ERROR_SYNTAX, "EOF while parsing a string", at) : false;
        unsigned char byte = (unsigned char)*at;
        size_t len;
        if (byte == '"') {
            scan->at = at + 1;
            return true;
        }
        if (byte == '\\') {
            int code = escape_read(at, end, &len);
            if (code < 0)
                return escape_fail(parser, at);
            scan->decoded += utf8_len(code);
        } else if (byte < 0x20) {
            return parse_fail(parser, JSON_ERROR_SYNTAX, "control character in a string", at);
        } else {
            const char *behind = at;
            if (!scan_pass_utf8(&behind, limit, end))
                return parse_fail(parser, JSON_ERROR_UTF8, "invalid UTF-8", behind);
            len = (size_t)(behind - at);
            scan->decoded += len;
        }
        at += len;
    }
}

size_t string_decode(char *out, const char **from, const char *end, size_t limit)
{
    const char *at = *from;
    size_t written = 0, len;

    while (at < end && written < limit) {
        size_t room = limit - written, rest = (size_t)(end - at);
        const char *slash = memchr(at, '\\', rest < room ? rest : room);
        size_t plain = slash != NULL ? (size_t)(slash - at) : rest < room ? rest : room;
        memcpy(out + written, at, plain);
        written += plain;
        at += plain;
        if (slash != NULL) {
            written += utf8_write(out + written, escape_read(at, end, &len));
            at += len;
        }
    }
    *from = at;
    return written;
}
