/*
 * Scanning strings: finding the first byte that is not plain text, 16 at a time where the processor can.
 *
 * Plain are the bytes that a string holds as they are and that are one character: 0x20 to 0x7f but quote and backslash.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(LARDER_PORTABLE)
#include <emmintrin.h>
#define SCAN_SSE2 1
#endif

/* 1 for bytes that end a run of plain text, in the parser and (without those from 0x80 on) in the printer. */
static inline int scan_is_special(unsigned char byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x80;
}

#ifdef SCAN_SSE2
/* A bit for each of 16 bytes that is not plain. */
static inline unsigned scan_block(__m128i block)
{
    /* Signed: bytes from 0x80 on are below a blank too. */
    __m128i low = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
    __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"')), slash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
}

/* The same where bytes from 0x80 on are plain. */
static inline unsigned scan_block_escapes(__m128i block)
{
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"')), slash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
}
#endif

/* The first byte from `at` on that is not plain, or `end`. */
static inline const char *scan_plain(const char *at, const char *end)
{
#ifdef SCAN_SSE2
    for (; end - at >= 16; at += 16) {
        unsigned special = scan_block(_mm_loadu_si128((const __m128i *)(const void *)at));
        if (special != 0)
            return at + __builtin_ctz(special);
    }
#endif
    while (at < end && !scan_is_special((unsigned char)*at))
        at++;
    return at;
}

/* Length of the UTF-8 sequence that begins at `at` with a byte from 0x80 on, or 0 if it is none (RFC 3629: no
 * surrogates, nothing too long, nothing above U+10FFFF). */
static inline size_t scan_utf8(const unsigned char *at, size_t room)
{
    unsigned first = at[0];

    if (first >= 0xe0 && first < 0xf0 && room >= 3) {
        unsigned code = (first & 15) << 12 | (at[1] & 63u) << 6 | (at[2] & 63u);
        bool goes_on = (at[1] & 0xc0) == 0x80 && (at[2] & 0xc0) == 0x80;
        return goes_on && code >= 0x800 && (code & 0xf800) != 0xd800 ? 3 : 0;
    }
    if (first < 0xe0)
        return first >= 0xc2 && room >= 2 && (at[1] & 0xc0) == 0x80 ? 2 : 0;
    if (first < 0xf0 || first > 0xf4 || room < 4 || (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f))
        return 0;
    return (at[1] & 0xc0) == 0x80 && (at[2] & 0xc0) == 0x80 && (at[3] & 0xc0) == 0x80 ? 4 : 0;
}

/* Goes on behind sequences that follow one another; false at one that is none, where *at stays. */
static inline bool scan_pass_utf8(const char **at, const char *limit, const char *end)
{
    const char *from = *at;

    do {
        size_t len = scan_utf8((const unsigned char *)from, (size_t)(end - from));
        if (len == 0) {
            *at = from;
            return false;
        }
        from += len;
    } while (from < limit && (unsigned char)*from >= 0x80);
    *at = from;
    return true;
}
