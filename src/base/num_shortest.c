/*
 * The shortest decimal of a double: Schubfach (Giulietti, "The Schubfach way to render doubles", 2020).
 *
 * A double v = c * 2^q is what all reals between two neighbouring midpoints are rounded to. Scaled by a power of ten so
 * that this interval is between 1 and 10 wide, it holds either a multiple of 10 or else one to three integers, of which
 * the nearest to v is taken. 128 bits of the power of ten are enough to decide every case exactly, if what is cut off a
 * product is remembered in its lowest bit ("rounded to odd"). About 20 ns.
 *
 * The powers (617 of 16 bytes) are computed at the first use, in well under a millisecond, rather than kept as a page
 * of constants.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/num.h"

#include "num_priv.h"
#include "wide_priv.h"

enum { POWER_MIN = -292, POWER_MAX = 324, WIDE_WORDS = 32, SIGNIFICAND_BITS = 52, EXPONENT_BIAS = 1075 };

/* Of 10^k the leading 128 bits, rounded up where there are more. */
struct power {
    uint64_t high, low;
};

static struct power powers[POWER_MAX - POWER_MIN + 1];
static pthread_once_t powers_once = PTHREAD_ONCE_INIT;
static atomic_bool powers_are_ready;

/* The leading 128 bits of a number of 32-bit words, the lowest word first; one more if bits that are not zero are cut
 * off. */
static struct power power_round_up(const uint32_t words[WIDE_WORDS])
{
    uint128_t leading = 0;
    int top = WIDE_WORDS - 1, taken = 0;
    bool rest = false;

    while (words[top] == 0)
        top--;
    for (int i = top; i >= 0; i--) {
        for (int bit = i == top ? 31 - __builtin_clz(words[i]) : 31; bit >= 0; bit--) {
            bool one = (words[i] >> bit & 1) != 0;
            if (taken < 128)
                leading = leading << 1 | one, taken++;
            else
                rest |= one;
        }
    }
    leading = taken < 128 ? leading << (128 - taken) : leading + rest;
    return (struct power){ (uint64_t)(leading >> 64), (uint64_t)leading };
}

/* Powers of 5 will do, as a factor of 2 only moves the bits. */
static void powers_build(void)
{
    uint32_t words[WIDE_WORDS] = { 1 };

    for (int k = 0; k <= POWER_MAX; k++) {
        powers[k - POWER_MIN] = power_round_up(words);
        uint64_t carry = 0;
        for (int i = 0; i < WIDE_WORDS; i++) {
            carry += (uint64_t)words[i] * 5;
            words[i] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    /* Dividing 2^1023 again and again leaves exactly floor(2^1023 / 5^k), which has more than 128 bits up to the last.
     */
    memset(words, 0, sizeof(words));
    words[WIDE_WORDS - 1] = UINT32_C(1) << 31;
    for (int k = -1; k >= POWER_MIN; k--) {
        uint64_t remainder = 0;
        for (int i = WIDE_WORDS - 1; i >= 0; i--) {
            remainder = remainder << 32 | words[i];
            words[i] = (uint32_t)(remainder / 5);
            remainder %= 5;
        }
        /* The quotient is never exact, so what is cut off never is zero. */
        words[0] |= 1;
        powers[k - POWER_MIN] = power_round_up(words);
        words[0] &= ~UINT32_C(1);
    }
    atomic_store_explicit(&powers_are_ready, true, memory_order_release);
}

static inline int floor_log10_of_power2(int e, bool three_quarters)
{
    return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

static inline int floor_log2_of_power10(int e)
{
    return (e * 1741647) >> 19;
}

/* The high 64 bits of power * factor, the lowest set if anything was cut off but what rounding the power up may have
 * added. */
static inline uint64_t multiply_to_odd(struct power power, uint64_t factor)
{
    uint128_t low = (uint128_t)power.low * factor;
    uint128_t product = (uint128_t)power.high * factor + (uint64_t)(low >> 64);

    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

static struct decimal decimal_trim(uint64_t digits, int exponent)
{
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (struct decimal){ digits, exponent };
}

struct decimal decimal_shortest(double value)
{
    uint64_t bits;

    if (!atomic_load_explicit(&powers_are_ready, memory_order_acquire))
        pthread_once(&powers_once, powers_build);
    memcpy(&bits, &value, sizeof(bits));
    uint64_t fraction = bits & ((UINT64_C(1) << SIGNIFICAND_BITS) - 1);
    int biased = (int)(bits >> SIGNIFICAND_BITS);
    uint64_t c = biased == 0 ? fraction : fraction | UINT64_C(1) << SIGNIFICAND_BITS;
    int q = (biased == 0 ? 1 : biased) - EXPONENT_BIAS;
    /* Below a power of two the neighbours are twice as near. The midpoints themselves round to an even c. */
    bool nearer_below = fraction == 0 && biased > 1;
    uint64_t odd = c & 1;

    int k = floor_log10_of_power2(q, nearer_below);
    int shift = q + floor_log2_of_power10(-k) + 1;
    struct power power = powers[-k - POWER_MIN];
    /* All in quarters, so that the midpoints are integers. */
    uint64_t lower = multiply_to_odd(power, (4 * c - 2 + nearer_below) << shift) + odd;
    uint64_t exact = multiply_to_odd(power, (4 * c) << shift);
    uint64_t upper = multiply_to_odd(power, (4 * c + 2) << shift) - odd;
    uint64_t s = exact / 4;

    if (s >= 10) {
        uint64_t tens = s / 10;
        bool below_fits = lower <= 40 * tens, above_fits = 40 * tens + 40 <= upper;
        if (below_fits != above_fits)
            return decimal_trim(tens + above_fits, k + 1);
    }
    bool below_fits = lower <= 4 * s, above_fits = 4 * s + 4 <= upper;
    if (below_fits != above_fits)
        return decimal_trim(s + above_fits, k);
    bool up = exact > 4 * s + 2 || (exact == 4 * s + 2 && (s & 1) != 0);
    return decimal_trim(s + up, k);
}

uint64_t num_shortest_digits(double value, int *exponent)
{
    struct decimal decimal = decimal_shortest(value);

    *exponent = decimal.exponent;
    return decimal.digits;
}

/*
 * The product of the digits and the power of ten, cut to 128 bits, is known to within one: the power is rounded up by
 * less than one. If both bounds round to the same significand, that is the result (the idea is Eisel's and Lemire's,
 * "Number parsing at a gigabyte per second", 2021).
 */
bool num_scale_decimal(uint64_t digits, int exponent, double *value)
{
    if (exponent < POWER_MIN || exponent > POWER_MAX)
        return false;
    if (!atomic_load_explicit(&powers_are_ready, memory_order_acquire))
        pthread_once(&powers_once, powers_build);
    struct power power = powers[exponent - POWER_MIN];
    int zeros = __builtin_clzll(digits);
    uint64_t factor = digits << zeros;
    uint128_t low = (uint128_t)power.low * factor;
    uint128_t upper = (uint128_t)power.high * factor + (uint64_t)(low >> 64);
    /* Less the factor itself, where the power is one too large; more by what was cut off. */
    uint128_t lower = upper - ((uint64_t)low < factor);
    upper++;

    int top = lower >> 127 != 0 ? 127 : 126;
    int shift = top - SIGNIFICAND_BITS;
    uint128_t half = (uint128_t)1 << (shift - 1), mask = (half << 1) - 1;
    uint64_t significand = (uint64_t)(lower >> shift);
    uint128_t below = lower & mask, above = upper & mask;
    if (upper >> shift != significand || (below < half) != (above < half) || below == half || above == half)
        return false;
    significand += below > half;
    int biased = floor_log2_of_power10(exponent) - 127 + 64 - zeros + shift + EXPONENT_BIAS;
    if (significand >> (SIGNIFICAND_BITS + 1) != 0) {
        significand >>= 1;
        biased++;
    }
    if (biased < 1 || biased > 2046)
        return false;
    uint64_t bits = (significand & ((UINT64_C(1) << SIGNIFICAND_BITS) - 1)) | (uint64_t)biased << SIGNIFICAND_BITS;
    memcpy(value, &bits, sizeof(bits));
    return true;
}
