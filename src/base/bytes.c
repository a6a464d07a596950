/*
 * What is too long to be inline in bytes.h: comparisons that fold ASCII letters, order, copies, and escapes.
 *
 * All are linear in the shorter argument. The C library's case functions are not used because they follow the locale.
 */
#include "base/bytes.h"

#include "base/mem.h"

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool bytes_is(struct bytes a, const char *word)
{
    size_t i = 0;

    while (i < a.len && word[i] != '\0' && ascii_lower(a.ptr[i]) == ascii_lower(word[i]))
        i++;
    return i == a.len && word[i] == '\0';
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

char *bytes_dup_cstr(struct bytes a)
{
    char *copy = mem_alloc(a.len + 1);

    if (a.len != 0)
        memcpy(copy, a.ptr, a.len);
    copy[a.len] = '\0';
    return copy;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char bytes_unescape(struct bytes text, size_t *used)
{
    static const char letters[] = "nrtba", bytes[] = "\n\r\t\b\a";
    char c = text.ptr[0];
    int high = c == 'x' && text.len >= 3 ? hex_digit(text.ptr[1]) : -1;
    int low = high >= 0 ? hex_digit(text.ptr[2]) : -1;
    const char *letter = c ? strchr(letters, c) : NULL;
    *used = low >= 0 ? 3 : 1;
    return low >= 0 ? (char)(high * 16 + low) : letter ? bytes[letter - letters] : c;
}
