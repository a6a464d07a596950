/*
 * Floating-point numbers to text and back.
 *
 * Reading has an exact fast path that covers what people and servers write (up to 19 digits, no exponent) and
 * falls back to the C library, which rounds correctly and is slow, called in a C locale of our own. Writing finds the
 * shortest digits (num_shortest.c) and lays them out as Redis from 7.2 on does, because clients compare such texts.
 */
#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#include "num_priv.h"

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void c_locale_create(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    ASSERT(c_locale != (locale_t)0);
}

locale_t num_c_locale(void)
{
    pthread_once(&c_locale_once, c_locale_create);
    return c_locale;
}

/* True if strtod might accept what begins like this; what it would skip, white space, we refuse. */
static bool number_may_begin(struct bytes text)
{
    return text.len != 0 && text.ptr[0] > ' ';
}

enum { DOUBLE_FAST_DIGITS = 19, DOUBLE_FAST_LEN = 24, DOUBLE_EXACT_POWER = 22 };

static const double exact_powers_of_10[DOUBLE_EXACT_POWER + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/*
 * The digits behind a point, to the end, behind those that are there. It is known how many there are, so that only the
 * last few, which make no word, are fewer than eight at once.
 */
static inline bool parse_fraction(struct bytes text, const char *at, uint64_t *digits)
{
    static const uint32_t powers_of_10[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000 };
    const char *end = text.ptr + text.len;
    uint64_t some;

    for (; end - at >= 8; at += 8) {
        if (!num_parse_eight(at, &some))
            return false;
        *digits = *digits * 100000000 + some;
    }
    size_t left = (size_t)(end - at);
    if (left && text.len >= 8) {
        if (!num_parse_last(end, (unsigned)left, &some))
            return false;
        *digits = *digits * powers_of_10[left] + some;
        return true;
    }
    for (; at != end; at++) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';
        if (digit > 9)
            return false;
        *digits = *digits * 10 + digit;
    }
    return true;
}

/*
 * Plain decimals of up to 19 digits. If these fit in 53 bits, they are divided by a power of ten that a double holds
 * exactly: one rounding, so the result is right (Clinger, "How to read floating point numbers accurately", 1990). Those
 * of 17 digits, as Redis writes what has no short text, take 128 bits of the power. False: not of that kind, or no
 * number at all.
 */
static bool parse_double_fast(struct bytes text, double *value)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    bool negative = at != end && *at == '-';
    uint64_t digits = 0;
    size_t digit_count, fraction_count = 0;
    double magnitude;

    at += negative;
    if (end - at > DOUBLE_FAST_LEN)
        return false;
    const char *begin = at;
    if (end - at >= 8 && num_parse_eight(at, &digits)) /* as times begin */
        at += 8;
    for (unsigned digit; at != end && (digit = (unsigned)(unsigned char)*at - '0') <= 9; at++)
        digits = digits * 10 + digit;
    digit_count = (size_t)(at - begin);
    if (at != end) {
        if (*at++ != '.' || !parse_fraction(text, at, &digits))
            return false;
        fraction_count = (size_t)(end - at);
        digit_count += fraction_count;
    }
    if (!digit_count)
        return false;
    if (digit_count > DOUBLE_FAST_DIGITS) /* zeros that lead do not count */
        for (; digit_count && (*begin == '0' || *begin == '.'); begin++)
            digit_count -= *begin == '0';
    if (digit_count > DOUBLE_FAST_DIGITS)
        return false;
    if (digits <= (uint64_t)1 << 53 && fraction_count <= DOUBLE_EXACT_POWER)
        magnitude = (double)digits / exact_powers_of_10[fraction_count];
    else if (!digits || !num_scale_decimal(digits, -(int)fraction_count, &magnitude))
        return false;
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
    double result = strtod_l(copy, &end, num_c_locale());
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
    long double result = strtold_l(copy, &end, num_c_locale());
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
    if (value <= 0x1p62 && value == (double)(uint64_t)value)
        return sign + num_format_u64(out, (uint64_t)value);
    return sign + format_decimal(out, decimal_shortest(value));
}

size_t num_format_ldouble(char *out, long double value)
{
    if (isnan(value))
        return format_word(out, "nan");
    if (isinf(value))
        return format_word(out, value > 0 ? "inf" : "-inf");
    locale_t before = uselocale(num_c_locale());
    int printed = snprintf(out, NUM_LDOUBLE_MAX_LEN, "%.17Lf", value);
    uselocale(before);
    ASSERT(printed > 0 && printed < NUM_LDOUBLE_MAX_LEN);
    size_t len = (size_t)printed;
    while (out[len - 1] == '0')
        len--;
    if (out[len - 1] == '.')
        len--;
    if (len == 2 && out[0] == '-' && out[1] == '0')
        return format_word(out, "0");
    return len;
}
