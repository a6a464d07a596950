/*
 * Numbers to text and back, exactly as the protocol wants them: no locale, no white space, no surprises.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    NUM_I64_MAX_LEN = 20,           /* "-9223372036854775808" */
    NUM_DOUBLE_MAX_LEN = 32,        /* room that num_format_double needs at most */
    NUM_LDOUBLE_MAX_LEN = 5 * 1024, /* room that num_format_ldouble needs at most */
};

/*
 * Canonical decimal only: optional '-', no '+', no leading zero but "0" itself, no "-0", nothing before or after, in
 * range. True and *value set, or false and *value untouched.
 */
bool num_parse_i64(struct bytes text, int64_t *value);
bool num_parse_u64(struct bytes text, uint64_t *value);

/*
 * What strtod reads in the C locale, whole text, no white space in front; "inf", "+inf", "-infinity" in any case are
 * numbers, "nan" is not. An overflow to infinity and an underflow to zero are refused. Correctly rounded.
 */
bool num_parse_double(struct bytes text, double *value);
bool num_parse_ldouble(struct bytes text, long double *value);

/* Writes decimal digits to `out` (room for NUM_I64_MAX_LEN), not terminated; returns the length. */
size_t num_format_i64(char *out, int64_t value);
size_t num_format_u64(char *out, uint64_t value);

/* Digits that num_format_u64 would write. */
size_t num_u64_len(uint64_t value);

/*
 * The shortest text that reads back as `value`, laid out as Redis from 7.2 on does: whole numbers up to 2^62 with all
 * their digits
 * ("3", "-0", "100000000000000000"), otherwise "0.1", "123456.789", and "1e+100", "1.5e-7" where there would be many
 * zeros or places; "inf", "-inf", "nan". Writes at most NUM_DOUBLE_MAX_LEN bytes, not terminated; returns the length.
 */
size_t num_format_double(char *out, double value);

/*
 * The fewest digits that read back as `value`, which is positive and finite; of several, the nearest: digits *
 * 10^*exponent, with no zero at the end.
 */
uint64_t num_shortest_digits(double value, int *exponent);

/*
 * digits * 10^exponent as the nearest double, fast: true and *value set when 128 bits of the power of ten decide it,
 * which they nearly always do; false (go to num_parse_double) also for what is not a normal number. digits is not 0.
 */
bool num_scale_decimal(uint64_t digits, int exponent, double *value);

/*
 * Fixed notation with 17 digits after the point and trailing zeros removed, as INCRBYFLOAT stores its results. Writes
 * at most NUM_LDOUBLE_MAX_LEN bytes, not terminated; returns the length.
 */
size_t num_format_ldouble(char *out, long double value);

/*
 * An amount of memory as configuration files write it: digits and a unit of b, k, kb, m, mb, g, gb in any case, where k
 * is 1000 and kb is 1024; nothing at all is 0. False on anything else and on overflow.
 */
bool num_parse_memory(struct bytes text, uint64_t *value_bytes);

/* Appends a human form to `out` (room for 16): "1.50M", "12.34K", "987B" as INFO shows it. Terminated. */
void num_format_human(char *out, uint64_t value_bytes);
