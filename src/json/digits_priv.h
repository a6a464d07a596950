/*
 * Digits of numbers in JSON text, eight at a time: a word of text is tested for digits with three operations, and made
 * a number with three multiplications; the other way round it takes four.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The powers of ten that are doubles. */
enum { PARSE_EXACT_POWER = 22 };
extern const double parse_exact_powers[PARSE_EXACT_POWER + 1];

static inline bool parse_is_digit(char c)
{
    return (unsigned)(unsigned char)c - '0' <= 9;
}

/* Eight digits as a number; each byte is a digit's value, the lowest that of the first. */
static inline uint64_t parse_fold_digits(uint64_t word)
{
    word = word * 2561 >> 8;
    word = (word & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
    return (word & UINT64_C(0x0000ffff0000ffff)) * UINT64_C(42949672960001) >> 32;
}

/* The digits that the text begins with, eight at most, as a number: how many. There are eight bytes. */
static inline unsigned parse_digits(const char *at, uint64_t *value)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    word ^= UINT64_C(0x3030303030303030);
    uint64_t others = ((word + UINT64_C(0x7676767676767676)) | word) & UINT64_C(0x8080808080808080);
    unsigned count = 8;
    if (others != 0) {
        count = (unsigned)__builtin_ctzll(others) / 8;
        word = count == 0 ? 0 : word << (64 - 8 * count);
    }
    *value = parse_fold_digits(word);
    return count;
}

/* The eight digits of a number below 10^8, each the value of a byte, that of the first the lowest: halves, quarters and
 * eighths of the word are split at once, each by multiplying with a reciprocal that is exact for so small a number. */
static inline uint64_t print_split_digits(uint32_t value)
{
    uint32_t high = value / 10000;
    uint64_t parts = high | (uint64_t)(value - high * 10000) << 32;
    uint64_t hundreds = parts * 5243 >> 19 & UINT64_C(0x0000007f0000007f);

    parts = hundreds | (parts - hundreds * 100) << 16;
    uint64_t tens = parts * 103 >> 10 & UINT64_C(0x000f000f000f000f);
    return tens | (parts - tens * 10) << 8;
}
