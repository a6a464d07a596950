/*
 * A borrowed run of bytes: pointer and length, passed by value, owning nothing.
 *
 * It may hold any byte, zero included, and is not terminated. It is valid only as long as its owner says, which for an
 * argument means until the call returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *ptr; /* borrowed */
    size_t len;
};

/* A string literal as bytes; the length is known when compiling. */
#define BYTES(literal) ((struct bytes){ "" literal, sizeof(literal) - 1 })

static inline struct bytes bytes_make(const void *ptr, size_t len)
{
    return (struct bytes){ ptr, len };
}

static inline struct bytes bytes_from_cstr(const char *text)
{
    return (struct bytes){ text, strlen(text) };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/*
 * True if the `len` bytes at `a` and `b` are the same. Inlined for every length, because most keys are short and a
 * look-up that calls nothing needs to save no registers.
 * Words overlap at the end, so that no length but those below 8 has a tail.
 */
static inline bool bytes_same(const char *a, const char *b, size_t len)
{
    uint64_t x, y;
    if (len < 4) {
        for (size_t i = 0; i < len; i++)
            if (a[i] != b[i])
                return false;
        return true;
    }
    if (len < 8) {
        uint32_t v[2], w[2];
        memcpy(&v[0], a, 4);
        memcpy(&v[1], a + len - 4, 4);
        memcpy(&w[0], b, 4);
        memcpy(&w[1], b + len - 4, 4);
        return v[0] == w[0] && v[1] == w[1];
    }
    for (size_t i = 0; i < len - 8; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            return false;
    }
    memcpy(&x, a + len - 8, 8);
    memcpy(&y, b + len - 8, 8);
    return x == y;
}

/* Equality that folds ASCII letters; independent of the locale. */
bool bytes_equal_nocase(struct bytes a, struct bytes b);

/* True if `a` equals the C string `word`, ASCII letters folded: the test for an option's name. */
bool bytes_is(struct bytes a, const char *word);

/* Order as memcmp gives it, a prefix before what it begins: negative, zero or positive. */
int bytes_compare(struct bytes a, struct bytes b);

/* A terminated copy on the heap, owned by the caller (mem_free). A zero byte inside stays where it is. */
char *bytes_dup_cstr(struct bytes a);

/* Copies `text` to `*at`, which must have room, and moves `*at` behind it; returns the copy. */
static inline struct bytes bytes_append(char **at, struct bytes text)
{
    struct bytes copy = { *at, text.len };
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

/*
 * The byte that an escape stands for, as it is written within double quotes (buf_append_quoted); what is no escape
 * stands for itself. `text` begins behind the backslash and is not empty; *used is how many bytes of it were the
 * escape.
 */
char bytes_unescape(struct bytes text, size_t *used);

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}
