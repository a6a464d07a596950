/*
 * Integers against strtoll and snprintf, doubles against strtod and an exhaustive search for the shortest text.
 */
#include "base/num.h"

#include <errno.h>
#include <float.h>
#include <math.h>

#include <criterion/criterion.h>

#include "base/mem.h"

#include "guard.h"
#include "seed.h"

static struct bytes text(const char *cstr)
{
    return bytes_from_cstr(cstr);
}

Test(num, i64_accepts_canonical_decimals)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = { { "0", 0 }, { "7", 7 }, { "-1", -1 }, { "10", 10 }, { "12345678", 12345678 },
        { "123456789", 123456789 }, { "-1234567890123456", -1234567890123456 }, { "9223372036854775807", INT64_MAX },
        { "-9223372036854775808", INT64_MIN } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 42;
        cr_assert(num_parse_i64(text(cases[i].text), &value), "%s", cases[i].text);
        cr_assert_eq(value, cases[i].value, "%s", cases[i].text);
    }
}

Test(num, i64_refuses_the_rest_and_leaves_the_value)
{
    static const char *const cases[] = { "", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1.0", "1e3", "0x10",
        "--1", "1-", "12345678:", "1234567/", "/2345678", "123456789012345x", "9223372036854775808",
        "-9223372036854775809", "9999999999999999999", "18446744073709551616", "99999999999999999999",
        "100000000000000000000" };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 42;
        cr_assert_not(num_parse_i64(text(cases[i]), &value), "%s", cases[i]);
        cr_assert_eq(value, 42);
    }
    int64_t value = 42;
    cr_assert_not(num_parse_i64(bytes_make("1\0", 2), &value));
    cr_assert_not(num_parse_i64(bytes_make(NULL, 0), &value));
}

Test(num, u64_limits)
{
    uint64_t value = 42;

    cr_assert(num_parse_u64(text("18446744073709551615"), &value) && value == UINT64_MAX);
    cr_assert(num_parse_u64(text("0"), &value) && value == 0);
    value = 42;
    static const char *const cases[] = { "", "-1", "-0", "+1", "00", "18446744073709551616", "99999999999999999999",
        "184467440737095516150", "1844674407370955161x" };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_not(num_parse_u64(text(cases[i]), &value), "%s", cases[i]);
    cr_assert_eq(value, 42);
}

/* Bits, not values, evenly spread, so that all lengths come up. */
static uint64_t any_length(struct random *random)
{
    return random_next(random) >> random_below(random, 64);
}

Test(num, integers_go_there_and_back)
{
    struct random random = seed_random("integers_go_there_and_back");
    struct guard guard = guard_create();
    char mine[NUM_I64_MAX_LEN], theirs[32];

    for (int i = 0; i < 300000; i++) {
        uint64_t value = any_length(&random);
        int64_t signed_value = (int64_t)(i % 2 == 0 ? value : -value), back_signed = 0;
        uint64_t back = 0;
        int len = snprintf(theirs, sizeof(theirs), "%" PRIu64, value);
        cr_assert_eq(num_format_u64(mine, value), (size_t)len);
        cr_assert_eq(num_u64_len(value), (size_t)len);
        cr_assert_arr_eq(mine, theirs, (size_t)len);
        cr_assert(num_parse_u64(guard_place(&guard, bytes_make(mine, (size_t)len)), &back) && back == value);
        len = snprintf(theirs, sizeof(theirs), "%" PRId64, signed_value);
        cr_assert_eq(num_format_i64(mine, signed_value), (size_t)len);
        cr_assert_arr_eq(mine, theirs, (size_t)len);
        cr_assert(num_parse_i64(guard_place(&guard, bytes_make(mine, (size_t)len)), &back_signed));
        cr_assert_eq(back_signed, signed_value);
    }
    guard_destroy(&guard);
}

Test(num, lengths_at_powers_of_ten)
{
    uint64_t power = 1;

    cr_assert_eq(num_u64_len(0), 1);
    for (size_t len = 1; len <= 20; len++) {
        cr_assert_eq(num_u64_len(power), len);
        if (len > 1)
            cr_assert_eq(num_u64_len(power - 1), len - 1);
        power *= len < 20 ? 10 : 1;
    }
    cr_assert_eq(num_u64_len(UINT64_MAX), 20);
}

/* The plain twin: strtoll, and a text that is canonical prints as itself. */
static bool naive_i64(const char *cstr, size_t len, int64_t *value)
{
    char copy[64], again[64], *end;

    memcpy(copy, cstr, len);
    copy[len] = '\0';
    errno = 0;
    long long parsed = strtoll(copy, &end, 10);
    snprintf(again, sizeof(again), "%lld", parsed);
    *value = parsed;
    return errno == 0 && len != 0 && end == copy + len && strcmp(copy, again) == 0;
}

Test(num, damaged_integers_against_strtoll)
{
    static const char alphabet[] = "00123456789-+ .:/e";
    struct random random = seed_random("damaged_integers_against_strtoll");
    struct guard guard = guard_create();

    for (int i = 0; i < 300000; i++) {
        char cstr[32];
        size_t len = num_format_i64(cstr, (int64_t)any_length(&random));
        for (uint64_t change = random_below(&random, 3); change > 0; change--)
            cstr[random_below(&random, len)] = alphabet[random_below(&random, sizeof(alphabet) - 1)];
        if (random_below(&random, 4) == 0)
            cstr[len++] = alphabet[random_below(&random, sizeof(alphabet) - 1)];
        int64_t mine = 0, naive = 0;
        bool expected = naive_i64(cstr, len, &naive);
        cr_assert_eq(
            num_parse_i64(guard_place(&guard, bytes_make(cstr, len)), &mine), expected, "%.*s", (int)len, cstr);
        cr_assert(!expected || mine == naive, "%.*s", (int)len, cstr);
    }
    guard_destroy(&guard);
}

Test(num, double_accepts_what_strtod_does)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = { { "0", 0 }, { "1", 1 }, { "+1", 1 }, { "1.", 1 }, { ".5", 0.5 }, { "-.5", -0.5 }, { "3.14", 3.14 },
        { "1e5", 1e5 }, { "1E-5", 1e-5 }, { "0x10", 16 }, { "0x1p3", 8 }, { "inf", INFINITY }, { "+Inf", INFINITY },
        { "-infinity", -INFINITY }, { "4.9e-324", 0x1p-1074 }, { "1e-310", 1e-310 },
        { "1.7976931348623157e308", DBL_MAX }, { "9007199254740993", 9007199254740992.0 },
        { "0.1000000000000000055511151231257827", 0.1 },
        { "123456789012345678901234567890", 123456789012345678901234567890.0 }, { "00012.50", 12.5 } };
    struct guard guard = guard_create();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double value = 42;
        cr_assert(num_parse_double(guard_place(&guard, text(cases[i].text)), &value), "%s", cases[i].text);
        cr_assert_eq(value, cases[i].value, "%s", cases[i].text);
        long double wide = 42;
        cr_assert(num_parse_ldouble(guard_place(&guard, text(cases[i].text)), &wide), "%s", cases[i].text);
        cr_assert_eq((double)wide, cases[i].value, "%s", cases[i].text);
    }
    double value;
    cr_assert(num_parse_double(text("-0"), &value) && value == 0 && signbit(value));
    guard_destroy(&guard);
}

Test(num, double_refuses_the_rest)
{
    static const char *const cases[] = { "", ".", "-", "+", "-.", " 1", "\t1", "\v1", "1 ", "1_0", "1..2", "1.2.3",
        "nan", "-nan", "nan(1)", "0x", "1e", "1e+", "--1", "e5", "in", "infinit", "1,5" };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double value = 42;
        long double wide = 42;
        cr_assert_not(num_parse_double(text(cases[i]), &value), "'%s'", cases[i]);
        cr_assert_not(num_parse_ldouble(text(cases[i]), &wide), "'%s'", cases[i]);
        cr_assert(value == 42 && wide == 42);
    }
    double value = 42;
    long double wide = 42;
    cr_assert_not(num_parse_double(bytes_make("1\0", 2), &value));
    cr_assert_not(num_parse_double(text("1e400"), &value));
    cr_assert_not(num_parse_double(text("-1e400"), &value));
    cr_assert_not(num_parse_double(text("1e-400"), &value));
    cr_assert_eq(value, 42);
    cr_assert_not(num_parse_ldouble(text("1e-5000"), &wide));
    cr_assert_not(num_parse_ldouble(text("1e5000"), &wide));
    cr_assert(num_parse_ldouble(text("1e400"), &wide));
}

Test(num, double_of_great_length)
{
    char *digits = mem_alloc(100000);
    double value = 42;

    memset(digits, '1', 100000);
    digits[1] = '.';
    cr_assert(num_parse_double(bytes_make(digits, 100000), &value));
    cr_assert_eq(value, 10.0 / 9);
    mem_fail_nth(1);
    cr_assert_not(num_parse_double(bytes_make(digits, 100000), &value));
    mem_free(digits);
}

Test(num, random_decimals_against_strtod)
{
    struct random random = seed_random("random_decimals_against_strtod");
    struct guard guard = guard_create();

    for (int i = 0; i < 200000; i++) {
        char cstr[64];
        double mine = 0;
        int digits = (int)random_below(&random, 20);
        int len = snprintf(cstr, sizeof(cstr), "%s%" PRIu64 ".%0*" PRIu64, i % 2 == 0 ? "" : "-", any_length(&random),
            digits, digits == 0 ? 0 : any_length(&random) % 1000000000);
        cr_assert(num_parse_double(guard_place(&guard, bytes_make(cstr, (size_t)len)), &mine), "%s", cstr);
        cr_assert_eq(mine, strtod(cstr, NULL), "%s", cstr);
    }
    guard_destroy(&guard);
}

/* Every number of digits on both sides of the point, with zeros in front or not, and with any one byte spoilt. */
Test(num, decimals_of_every_shape_against_strtod)
{
    struct random random = seed_random("decimals_of_every_shape_against_strtod");
    struct guard guard = guard_create();
    for (int whole = 0; whole <= 21; whole++)
        for (int places = whole == 0; places <= 22; places++)
            for (int zeros = 0; zeros <= whole + places; zeros++) {
                char cstr[64], *at = cstr;
                double mine = 0;
                if (random_below(&random, 2))
                    *at++ = '-';
                for (int i = 0; i < whole + places; i++) {
                    if (i == whole)
                        *at++ = '.';
                    *at++ = (char)(i < zeros ? '0' : '0' + random_below(&random, 10));
                }
                *at = '\0';
                struct bytes placed = guard_place(&guard, bytes_make(cstr, (size_t)(at - cstr)));
                cr_assert(num_parse_double(placed, &mine), "%s", cstr);
                cr_assert_eq(mine, strtod(cstr, NULL), "%s", cstr);
                char *spoilt = cstr + random_below(&random, (size_t)(at - cstr));
                *spoilt = "/:-,"[random_below(&random, 4)];
                bool sign = spoilt == cstr && *spoilt == '-' && cstr[1];
                cr_assert_eq(num_parse_double(guard_place(&guard, bytes_make(cstr, placed.len)), &mine),
                    sign && (cstr[1] != '.' || cstr[2]) && cstr[1] != '-', "%s", cstr);
            }
    guard_destroy(&guard);
}

/* As Redis writes scores up to 7.0, and numbers around a power of two, where digits fit in a double no longer. */
Test(num, seventeen_digits_against_strtod)
{
    struct random random = seed_random("seventeen_digits_against_strtod");
    struct guard guard = guard_create();
    for (int i = 0; i < 200000; i++) {
        char cstr[64];
        double mine = 0, value = (double)any_length(&random) / (double)(1 + random_below(&random, 100000));
        int len = i % 2
                      ? snprintf(cstr, sizeof cstr, "%.17g", i % 4 == 1 ? value : -value / 1e9)
                      : snprintf(cstr, sizeof cstr, "%" PRIu64 ".%0*d", (UINT64_C(1) << 53) - 8 + i % 16, i / 2 % 6, 5);
        cr_assert(num_parse_double(guard_place(&guard, bytes_make(cstr, (size_t)len)), &mine), "%s", cstr);
        cr_assert_eq(mine, strtod(cstr, NULL), "%s", cstr);
    }
    guard_destroy(&guard);
}

static const char *shown(double value)
{
    static char out[NUM_DOUBLE_MAX_LEN + 1];
    size_t len = num_format_double(out, value);

    cr_assert(len <= NUM_DOUBLE_MAX_LEN);
    out[len] = '\0';
    return out;
}

Test(num, format_double_layout)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = { { 0, "0" }, { -0.0, "-0" }, { 3, "3" }, { -17, "-17" }, { 0.1, "0.1" }, { -1.5, "-1.5" },
        { 1e17, "100000000000000000" }, { 0x1p62, "4611686018427387904" }, { 1e19, "1e+19" }, { 1e20, "1e+20" },
        { 1.5e20, "1.5e+20" }, { 1e100, "1e+100" }, { 1234567890123456789e4, "12345678901234568000000" },
        { 1e-5, "0.00001" }, { 1e-6, "0.000001" }, { 1e-7, "1e-7" }, { 1.5e-7, "1.5e-7" },
        { 0.0012345678, "0.0012345678" }, { 0.00012345678, "1.2345678e-4" }, { 123456.789012, "123456.789012" },
        { 123456.7890123, "1.234567890123e+5" }, { 1234.56789012345, "1234.56789012345" },
        { 1.0 / 3, "0.3333333333333333" }, { 0.1 + 0.2, "0.30000000000000004" }, { 0x1p-1074, "5e-324" },
        { DBL_MIN, "2.2250738585072014e-308" }, { DBL_MAX, "1.7976931348623157e+308" },
        { 0x1p-44, "5.684341886080802e-14" }, { INFINITY, "inf" }, { -INFINITY, "-inf" }, { NAN, "nan" } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_str_eq(shown(cases[i].value), cases[i].text);
}

/* The fewest significant digits with which printf's text reads back. */
static int naive_digits(double value)
{
    char cstr[40];

    for (int precision = 0; precision < 17; precision++) {
        snprintf(cstr, sizeof(cstr), "%.*e", precision, value);
        if (strtod(cstr, NULL) == value)
            return precision + 1;
    }
    return 17;
}

static int count_digits(const char *cstr)
{
    int count = 0, zeros = 0;

    for (; *cstr != '\0' && *cstr != 'e'; cstr++) {
        if (*cstr >= '1' && *cstr <= '9') {
            count += zeros + 1;
            zeros = 0;
        } else if (*cstr == '0' && count > 0) {
            zeros++;
        }
    }
    return count;
}

Test(num, random_doubles_are_shortest_and_read_back)
{
    struct random random = seed_random("random_doubles_are_shortest_and_read_back");

    for (int i = 0; i < 100000; i++) {
        uint64_t bits = random_next(&random);
        double value, back = 0;
        memcpy(&value, &bits, sizeof(value));
        if (i % 4 == 1)
            value = (double)(int64_t)any_length(&random) / 1000;
        else if (i % 4 == 2)
            value = ldexp(1, (int)random_below(&random, 2098) - 1074);
        if (!isfinite(value) || (fabs(value) <= 0x1p62 && value == trunc(value)))
            continue;
        const char *cstr = shown(value);
        cr_assert(num_parse_double(text(cstr), &back) && back == value, "%s for %a", cstr, value);
        cr_assert(count_digits(cstr) <= naive_digits(value), "%s for %a", cstr, value);
    }
}

Test(num, format_ldouble_is_fixed_and_trimmed)
{
    static const struct {
        const char *in, *out;
    } cases[] = { { "0", "0" }, { "-0", "0" }, { "0.1", "0.1" }, { "3.0e3", "3000" }, { "10.5", "10.5" },
        { "-1.25", "-1.25" }, { "1e-20", "0" }, { "-1e-20", "0" }, { "100", "100" }, { "inf", "inf" },
        { "-inf", "-inf" }, { "1e20", "100000000000000000000" } };
    static char out[NUM_LDOUBLE_MAX_LEN];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        long double value;
        cr_assert(num_parse_ldouble(text(cases[i].in), &value));
        size_t len = num_format_ldouble(out, value);
        cr_assert(bytes_equal(bytes_make(out, len), text(cases[i].out)), "%.*s", (int)len, out);
    }
    cr_assert(num_format_ldouble(out, LDBL_MAX) > 4900);
}

Test(num, memory_amounts)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = { { "", 0 }, { "0", 0 }, { "00012", 12 }, { "100", 100 }, { "1b", 1 }, { "1k", 1000 }, { "1KB", 1024 },
        { "10mb", 10485760 }, { "3M", 3000000 }, { "1g", 1000000000 }, { "2Gb", 2147483648 },
        { "18446744073709551615", UINT64_MAX } };
    static const char *const refused[] = { "kb", "-1", "1t", "1 mb", "1.5gb", "99999999999gb", "18446744073709551616",
        "1kbb", "x" };
    uint64_t value;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert(num_parse_memory(text(cases[i].text), &value) && value == cases[i].value, "%s", cases[i].text);
    value = 42;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        cr_assert_not(num_parse_memory(text(refused[i]), &value), "%s", refused[i]);
    cr_assert_eq(value, 42);
}

Test(num, human_amounts)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = { { 0, "0B" }, { 1023, "1023B" }, { 1024, "1.00K" }, { 1572864, "1.50M" }, { 862000, "841.80K" },
        { 5368709120, "5.00G" } };
    char out[16];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        num_format_human(out, cases[i].value);
        cr_assert_str_eq(out, cases[i].text);
    }
}
