/*
 * Numbers of JSON text.
 *
 * Up to 19 digits are one 64-bit integer. With a fraction or an exponent, digits below 2^53 and a power of ten that a
 * double holds exactly need one rounding (Clinger, "How to read floating point numbers accurately", 1990); nearly all
 * others are decided by num_scale_decimal, and what remains by the C library.
 */
#include <math.h>

#include "base/num.h"
#include "digits_priv.h"
#include "parse_priv.h"

enum { EXPONENT_LIMIT = 1000000 };

const double parse_exact_powers[PARSE_EXACT_POWER + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/* A number as it was written. */
struct literal {
    const char *begin, *end; /* borrowed */
    bool negative;
    bool is_integer;
    bool is_cut;     /* more digits than `digits` has */
    uint64_t digits; /* the first 19 from the first that is not 0 */
    int64_t exponent;
};

/* Reads a run of digits into the literal. */
static const char *read_digits(const char *at, const char *end, struct literal *literal, bool is_fraction)
{
    const char *begin = at;
    uint64_t digits = literal->digits, eight;

    for (; end - at >= 8 && digits < UINT64_C(10000000000) && parse_digits(at, &eight) == 8; at += 8)
        digits = digits * 100000000 + eight;
    for (; at < end && parse_is_digit(*at); at++) {
        if (digits >= UINT64_C(1000000000000000000)) {
            literal->is_cut = true;
            literal->exponent += !is_fraction;
            begin += is_fraction;
            continue;
        }
        digits = digits * 10 + (unsigned)(*at - '0');
    }
    literal->digits = digits;
    if (is_fraction)
        literal->exponent -= at - begin;
    return at;
}

static const char *read_exponent(const char *at, const char *end, struct literal *literal)
{
    bool negative = at < end && *at == '-';
    int64_t exponent = 0;

    at += at < end && (*at == '-' || *at == '+');
    if (at == end || !parse_is_digit(*at))
        return NULL;
    for (; at < end && parse_is_digit(*at); at++) {
        if (exponent < EXPONENT_LIMIT)
            exponent = exponent * 10 + (*at - '0');
    }
    literal->exponent += negative ? -exponent : exponent;
    return at;
}

/* Reads what the grammar of RFC 8259 calls a number; NULL if it is none. */
static const char *read_literal(const char *at, const char *end, struct literal *literal)
{
    literal->negative = *at == '-';
    at += literal->negative;
    if (at == end || !parse_is_digit(*at))
        return NULL;
    literal->is_integer = true;
    if (*at == '0')
        at++;
    else
        at = read_digits(at, end, literal, false);
    if (at < end && parse_is_digit(*at))
        return NULL;
    if (at < end && *at == '.') {
        literal->is_integer = false;
        if (++at == end || !parse_is_digit(*at))
            return NULL;
        at = read_digits(at, end, literal, true);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        literal->is_integer = false;
        at = read_exponent(at + 1, end, literal);
    }
    return at;
}

/* The nearest double; false if there is none. */
static bool literal_double(const struct literal *literal, double *value)
{
    double magnitude;
    int64_t exponent = literal->exponent;

    if (literal->digits == 0) {
        magnitude = 0;
    } else if (!literal->is_cut && literal->digits <= UINT64_C(1) << 53 && exponent >= -PARSE_EXACT_POWER &&
               exponent <= PARSE_EXACT_POWER) {
        magnitude = exponent < 0 ? (double)literal->digits / parse_exact_powers[-exponent]
                                 : (double)literal->digits * parse_exact_powers[exponent];
    } else if (literal->is_cut || exponent < -400 || exponent > 400 ||
               !num_scale_decimal(literal->digits, (int)exponent, &magnitude)) {
        struct bytes text = { literal->begin + literal->negative,
            (size_t)(literal->end - literal->begin) - literal->negative };
        if (!num_parse_double(text, &magnitude)) {
            /* Too large for a double, or so small that it is zero. */
            if (exponent > 0)
                return false;
            magnitude = 0;
        }
    }
    *value = literal->negative ? -magnitude : magnitude;
    return true;
}

bool parse_number(struct json_parser *parser, struct json_value *value)
{
    struct literal literal = { .begin = parser->at };
    double number;

    literal.end = read_literal(parser->at, parser->end, &literal);
    if (literal.end == NULL)
        return parse_fail(parser, JSON_ERROR_SYNTAX, "invalid number", parser->at);
    if (literal.is_integer && !literal.is_cut) {
        uint64_t most = literal.negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX;
        if (literal.digits <= most && !(literal.negative && literal.digits == 0)) {
            *value = literal.negative ? json_make_int((int64_t)-literal.digits) : json_make_uint(literal.digits);
            parser->at = literal.end;
            return true;
        }
    } else if (literal.is_integer && !literal.negative) {
        uint64_t whole;
        if (num_parse_u64(bytes_make(literal.begin, (size_t)(literal.end - literal.begin)), &whole)) {
            *value = json_make_uint(whole);
            parser->at = literal.end;
            return true;
        }
    }
    if (!literal_double(&literal, &number))
        return parse_fail(parser, JSON_ERROR_RANGE, "number out of range", parser->at);
    *value = json_make_double(number);
    parser->at = literal.end;
    return true;
}
