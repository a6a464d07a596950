/*
 * Integers to text and back, and amounts of memory.
 *
 * This is the hot path of INCR and of every length in a reply: digits are read eight at a time where there are that
 * many, and written two at a time. Nothing reads a byte outside the text it was given. Floating point is in
 * num_double.c.
 */
#include "base/num.h"

#include <stdio.h>
#include <string.h>

#include "num_priv.h"

static const uint64_t powers_of_10[20] = { 1ULL, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL, 10000000ULL,
    100000000ULL, 1000000000ULL, 10000000000ULL, 100000000000ULL, 1000000000000ULL, 10000000000000ULL,
    100000000000000ULL, 1000000000000000ULL, 10000000000000000ULL, 100000000000000000ULL, 1000000000000000000ULL,
    10000000000000000000ULL };

/* At most 19 digits and nothing else, at least one; cannot overflow. */
static inline bool parse_digits(const char *at, size_t len, uint64_t *value)
{
    uint64_t sum = 0, eight;

    for (; len >= 8; at += 8, len -= 8) {
        if (!num_parse_eight(at, &eight))
            return false;
        sum = sum * 100000000 + eight;
    }
    for (; len > 0; at++, len--) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';
        if (digit > 9)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

bool num_parse_i64(struct bytes text, int64_t *value)
{
    uint64_t magnitude;

    if (text.len - 1 >= NUM_I64_MAX_LEN)
        return false;
    bool negative = text.ptr[0] == '-';
    const char *at = text.ptr + negative;
    size_t len = text.len - negative;
    if (len - 1 >= 19)
        return false;
    if (at[0] == '0') {
        if (text.len != 1)
            return false;
        *value = 0;
        return true;
    }
    if (!parse_digits(at, len, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *value = (int64_t)(negative ? -magnitude : magnitude);
    return true;
}

bool num_parse_u64(struct bytes text, uint64_t *value)
{
    uint64_t magnitude;

    if (text.len - 1 >= 20 || (text.ptr[0] == '0' && text.len != 1))
        return false;
    size_t len = text.len < 20 ? text.len : 19;
    if (!parse_digits(text.ptr, len, &magnitude))
        return false;
    if (len != text.len) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[len] - '0';
        if (digit > 9 || __builtin_mul_overflow(magnitude, (uint64_t)10, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)digit, &magnitude))
            return false;
    }
    *value = magnitude;
    return true;
}

size_t num_u64_len(uint64_t value)
{
    /* log10(2) is a bit more than 1233 / 4096. */
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned guess = bits * 1233 >> 12;
    return guess + (value >= powers_of_10[guess]) + (value == 0);
}

static const char digit_pairs[] = "0001020304050607080910111213141516171819"
                                  "2021222324252627282930313233343536373839"
                                  "4041424344454647484950515253545556575859"
                                  "6061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

/*
 * The eight digits of a number below 10^8 as they stand in memory: halves, quarters and eighths of the word are split
 * at once, each by multiplying with a reciprocal that is exact for so small a number.
 */
static inline uint64_t eight_digits(uint32_t value)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digits need another order here");
    uint64_t parts = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = parts * 10486 >> 20 & UINT64_C(0x0000007f0000007f);

    parts = hundreds | (parts - hundreds * 100) << 16;
    uint64_t tens = parts * 103 >> 10 & UINT64_C(0x000f000f000f000f);
    return (tens | (parts - tens * 10) << 8) + UINT64_C(0x3030303030303030);
}

size_t num_format_u64(char *out, uint64_t value)
{
    size_t len = num_u64_len(value);
    char *at = out + len;

    for (; value >= 100000000; value /= 100000000) {
        uint64_t digits = eight_digits((uint32_t)(value % 100000000));
        at -= 8;
        memcpy(at, &digits, sizeof(digits));
    }
    while (value >= 100) {
        at -= 2;
        memcpy(at, digit_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(at - 2, digit_pairs + value * 2, 2);
    else
        at[-1] = (char)('0' + value);
    return len;
}

size_t num_format_i64(char *out, int64_t value)
{
    if (value >= 0)
        return num_format_u64(out, (uint64_t)value);
    out[0] = '-';
    return 1 + num_format_u64(out + 1, -(uint64_t)value);
}

bool num_parse_memory(struct bytes text, uint64_t *value_bytes)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = { { "", 1 }, { "b", 1 }, { "k", 1000 }, { "kb", 1024 }, { "m", 1000 * 1000 }, { "mb", 1024 * 1024 },
        { "g", 1000 * 1000 * 1000 }, { "gb", 1024 * 1024 * 1024 } };
    size_t digits = 0;
    uint64_t count;

    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    struct bytes unit = { text.ptr + digits, text.len - digits };
    /* Leading zeros are harmless here, unlike in a value. */
    while (digits > 1 && text.ptr[0] == '0')
        text.ptr++, digits--;
    if (text.len == 0) {
        *value_bytes = 0;
        return true;
    }
    if (digits == 0 || !num_parse_u64(bytes_make(text.ptr, digits), &count))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!bytes_is(unit, units[i].name))
            continue;
        if (__builtin_mul_overflow(count, units[i].factor, &count))
            return false;
        *value_bytes = count;
        return true;
    }
    return false;
}

void num_format_human(char *out, uint64_t value_bytes)
{
    static const char units[] = "BKMGTPE";
    size_t unit = 0;
    double scaled = (double)value_bytes;

    if (value_bytes < 1024) {
        out[num_format_u64(out, value_bytes)] = 'B';
        out[num_u64_len(value_bytes) + 1] = '\0';
        return;
    }
    for (; scaled >= 1024; scaled /= 1024)
        unit++;
    locale_t before = uselocale(num_c_locale());
    snprintf(out, 16, "%.2f%c", scaled, units[unit]);
    uselocale(before);
}
