/* What the tests of the table share. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>

#include "ds/table.h"

/* As cr_assert, but a check that holds costs nothing: these run by the million. */
#define REQUIRE(e)                    \
    do {                              \
        if (!(e))                     \
            cr_assert_fail("%s", #e); \
    } while (0)

static inline void print_complaint(void *context, const char *what)
{
    (void)context;
    fprintf(stderr, "table_check: %s\n", what);
}

static inline void check(const struct table *table)
{
    REQUIRE(table_check(table, print_complaint, NULL) == 0);
}
