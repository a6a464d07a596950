/* What the tests of the table share. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>

#include "../base/check.h"
#include "../base/seed.h"
#include "ds/table.h"

static inline void print_complaint(void *context, const char *what)
{
    (void)context;
    fprintf(stderr, "table_check: %s\n", what);
}

static inline void check(const struct table *table)
{
    REQUIRE(table_check(table, print_complaint, NULL) == 0);
}
