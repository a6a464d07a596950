/*
 * Numbers to text and back.
 *
 * Integers are the hot path (INCR, lengths in replies): read eight digits at a time where there are that many, written
 * two at a time. Doubles go through exact fast paths that cover what people store (integers, a few decimals) and fall
 * back to the C library's conversions, called in a C locale of our own, which are correctly rounded and slow.
 *
 * Nothing reads a byte outside the text it was given, and nothing depends on the locale of the process.
 */
#include "base/num.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

static const uint64_t powers_of_10[20] = {
    1ULL,
    10ULL,
    100ULL,
    1000ULL,
    10000ULL,
    100000ULL,
    1000000ULL,
    10000000ULL,
    100000000ULL,
    1000000000ULL,
    10000000000ULL,
    100000000000ULL,
    1000000000000ULL,
    10000000000000ULL,
    100000000000000ULL,
    1000000000000000ULL,
    10000000000000000ULL,
    100000000000000000ULL,
    1000000000000000000ULL,
    10000000000000000000ULL,
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* Eight digits at once in the lanes of a word (Lemire, "Quickly parsing eight digits", 2018). */
static inline bool parse_eight(const char *at, uint64_t *value)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
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

#else

static inline bool parse_eight(const char *at, uint64_t *value)
{
    uint64_t sum = 0;

    for (int i = 0; i < 8; i++) {
        unsigned digit = (unsigned char)at[i] - '0';
        if (digit > 9)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

#endif

/* At most 19 digits and nothing else, at least one; cannot overflow. */
static inline bool parse_digits(const char *at, size_t len, uint64_t *value)
{
    uint64_t sum = 0, eight;

    for (; len >= 8; at += 8, len -= 8) {
        if (!parse_eight(at, &eight))
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

size_t num_format_u64(char *out, uint64_t value)
{
    size_t len = num_u64_len(value);
    char *at = out + len;

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

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void c_locale_create(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    ASSERT(c_locale != (locale_t)0);
}

static locale_t c_locale_get(void)
{
    pthread_once(&c_locale_once, c_locale_create);
    return c_locale;
}

/* True if strtod might accept what begins like this; what it would skip, white space, we refuse. */
static bool number_may_begin(struct bytes text)
{
    return text.len != 0 && text.ptr[0] > ' ';
}

enum { DOUBLE_FAST_DIGITS = 19, DOUBLE_EXACT_POWER = 22 };

static const double exact_powers_of_10[DOUBLE_EXACT_POWER + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/*
 * Plain decimals whose digits fit in 53 bits, scaled by a power of ten that a double holds exactly: one rounding, so
 * the result is right (Clinger, "How to read floating point numbers accurately", 1990). False: not of that kind, or no
 * number at all.
 */
static bool parse_double_fast(struct bytes text, double *value)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    bool negative = at != end && *at == '-';
    uint64_t digits = 0;
    size_t digit_count = 0, fraction_count = 0;

    at += negative;
    if (end - at > DOUBLE_FAST_DIGITS + 1)
        return false;
    for (bool fraction = false; at != end; at++) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';
        if (digit <= 9) {
            digits = digits * 10 + digit;
            digit_count++;
            fraction_count += fraction;
        } else if (*at == '.' && !fraction) {
            fraction = true;
        } else {
            return false;
        }
    }
    if (digit_count == 0 || digit_count > DOUBLE_FAST_DIGITS || digits > (uint64_t)1 << 53)
        return false;
    double magnitude = (double)digits / exact_powers_of_10[fraction_count];
    *value = negative ? -magnitude : magnitude;
    return true;
}

bool num_parse_double(struct bytes text, double *value)
{
    char room[256], *copy = room, *end;

    if (parse_double_fast(text, value))
        return true;
    if (!number_may_begin(text))
        return false;
    if (text.len >= sizeof(room) && (copy = mem_try_alloc(text.len + 1)) == NULL)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    double result = strtod_l(copy, &end, c_locale_get());
    bool whole = end == copy + text.len;
    if (copy != room)
        mem_free(copy);
    if (!whole || isnan(result) || (errno == ERANGE && (isinf(result) || result == 0)))
        return false;
    *value = result;
    return true;
}

bool num_parse_ldouble(struct bytes text, long double *value)
{
    char copy[NUM_LDOUBLE_MAX_LEN], *end;

    if (!number_may_begin(text) || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    long double result = strtold_l(copy, &end, c_locale_get());
    if (end != copy + text.len || isnan(result) || (errno == ERANGE && (isinf(result) || result == 0)))
        return false;
    *value = result;
    return true;
}

static size_t format_word(char *out, const char *word)
{
    size_t len = strlen(word);

    memcpy(out, word, len);
    return len;
}

/* digits * 10^exponent, with no zero at the end of digits. */
struct decimal {
    uint64_t digits;
    int exponent;
};

/* The decimal with the fewest digits that reads back as `value`, positive and finite. */
static struct decimal double_shortest(double value)
{
    struct decimal decimal = { 0 };
    char text[40];

    for (int precision = 14; precision <= 16; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, value);
        char *at = text;
        decimal.digits = 0;
        for (; *at != 'e'; at++) {
            if (*at >= '0' && *at <= '9')
                decimal.digits = decimal.digits * 10 + (uint64_t)(*at - '0');
        }
        decimal.exponent = atoi(at + 1) - precision;
        snprintf(text, sizeof(text), "%llue%d", (unsigned long long)decimal.digits, decimal.exponent);
        if (strtod_l(text, NULL, c_locale_get()) == value)
            break;
    }
    while (decimal.digits % 10 == 0) {
        decimal.digits /= 10;
        decimal.exponent++;
    }
    return decimal;
}

static size_t format_zeros(char *out, size_t count)
{
    memset(out, '0', count);
    return count;
}

/* Lays out as Redis from 7.2 on does: see num_format_double. */
static size_t format_decimal(char *out, struct decimal decimal)
{
    char digits[NUM_I64_MAX_LEN + 1];
    int count = (int)num_format_u64(digits, decimal.digits);
    int magnitude = decimal.exponent + count - 1;
    char *at = out;

    if (decimal.exponent >= 0 && magnitude < count + 7) {
        memcpy(at, digits, (size_t)count);
        return (size_t)count + format_zeros(at + count, (size_t)decimal.exponent);
    }
    if (decimal.exponent < 0 && (decimal.exponent > -7 || (magnitude > -4 && magnitude < 4))) {
        int before = count + decimal.exponent;
        if (before <= 0) {
            at += format_word(at, "0.");
            at += format_zeros(at, (size_t)-before);
            before = 0;
        } else {
            memcpy(at, digits, (size_t)before);
            at += before;
            *at++ = '.';
        }
        memcpy(at, digits + before, (size_t)(count - before));
        return (size_t)(at + (count - before) - out);
    }
    *at++ = digits[0];
    if (count > 1) {
        *at++ = '.';
        memcpy(at, digits + 1, (size_t)count - 1);
        at += count - 1;
    }
    *at++ = 'e';
    *at++ = magnitude < 0 ? '-' : '+';
    return (size_t)(at - out) + num_format_u64(at, (uint64_t)abs(magnitude));
}

size_t num_format_double(char *out, double value)
{
    if (isnan(value))
        return format_word(out, "nan");
    size_t sign = signbit(value) != 0;
    if (sign)
        *out++ = '-';
    value = fabs(value);
    if (isinf(value))
        return sign + format_word(out, "inf");
    if (value < 0x1p53 && value == (double)(uint64_t)value)
        return sign + num_format_u64(out, (uint64_t)value);
    return sign + format_decimal(out, double_shortest(value));
}

size_t num_format_ldouble(char *out, long double value)
{
    if (isnan(value))
        return format_word(out, "nan");
    if (isinf(value))
        return format_word(out, value > 0 ? "inf" : "-inf");
    locale_t before = uselocale(c_locale_get());
    int printed = snprintf(out, NUM_LDOUBLE_MAX_LEN, "%.17Lf", value);
    uselocale(before);
    ASSERT(printed > 0 && printed < NUM_LDOUBLE_MAX_LEN);
    size_t len = (size_t)printed;
    while (out[len - 1] == '0')
        len--;
    if (out[len - 1] == '.')
        len--;
    if (len == 2 && out[0] == '-' && out[1] == '0')
        out[0] = '0', len = 1;
    return len;
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
    if (digits == 0 || !num_parse_u64(bytes_make(text.ptr, digits), &count))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes_is(unit, units[i].name))
            return !__builtin_mul_overflow(count, units[i].factor, value_bytes);
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
    locale_t before = uselocale(c_locale_get());
    snprintf(out, 16, "%.2f%c", scaled, units[unit]);
    uselocale(before);
}
