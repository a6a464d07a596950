/*
 * What the sources of num.h share.
 */
#pragma once

#include <locale.h>
#include <stdint.h>

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
