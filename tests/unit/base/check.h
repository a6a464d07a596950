/*
 * What the unit tests of every layer share: a check for tight loops, and the length of a table.
 */
#pragma once

#include <criterion/criterion.h>

/* As cr_assert, but a check that holds costs nothing: these run by the million. */
#define REQUIRE(e)                    \
    do {                              \
        if (!(e))                     \
            cr_assert_fail("%s", #e); \
    } while (0)

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
