/*
 * What the sources of num.h share.
 */
#pragma once

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* digits * 10^exponent, with no zero at the end of digits. */
struct decimal {
    uint64_t digits;
    int exponent;
};

/* The decimal with the fewest digits that reads back as `value`, which is positive and finite; of several, the nearest.
 */
struct decimal decimal_shortest(double value);

/* The C locale, whatever the process has set. */
locale_t num_c_locale(void);

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* Eight digits at once in the lanes of a word (Lemire, "Quickly parsing eight digits", 2018). */
static inline bool num_parse_lanes(uint64_t word, uint64_t *value)
{
    if ((((word & 0xf0f0f0f0f0f0f0f0) | (((word + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) >> 4)) !=
            0x3333333333333333))
        return false;
    word -= 0x3030303030303030;
    word = word * 10 + (word >> 8);
    *value = (((word & 0x000000ff000000ff) * 0x000f424000000064) +
                 (((word >> 16) & 0x000000ff000000ff) * 0x0000271000000001)) >>
             32;
    return true;
}

static inline bool num_parse_eight(const char *at, uint64_t *value)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return num_parse_lanes(word, value);
}

/* The last one to seven of the eight bytes before `end`; the lanes of the others are made zeros. */
static inline bool num_parse_last(const char *end, unsigned count, uint64_t *value)
{
    uint64_t word;
    unsigned others = 64 - 8 * count;

    memcpy(&word, end - sizeof(word), sizeof(word));
    return num_parse_lanes(word >> others << others | UINT64_C(0x3030303030303030) >> 8 * count, value);
}

#else

static inline bool num_parse_last(const char *end, unsigned count, uint64_t *value)
{
    uint64_t sum = 0;

    for (const char *at = end - count; at != end; at++) {
        unsigned digit = (unsigned char)*at - '0';
        if (digit > 9)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

static inline bool num_parse_eight(const char *at, uint64_t *value)
{
    return num_parse_last(at + 8, 8, value);
}

#endif
