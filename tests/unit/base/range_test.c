/*
 * Clipping: each way of naming the same range, ranges that reach beyond, and those that are empty.
 */
#include "base/range.h"

#include <criterion/criterion.h>

static void expect(int64_t first, int64_t last, size_t len, size_t count, size_t at)
{
    size_t found_at;
    cr_expect_eq(range_clip(first, last, len, &found_at), count, "%ld to %ld of %zu", (long)first, (long)last, len);
    cr_expect(count == 0 || found_at == at, "%ld to %ld of %zu", (long)first, (long)last, len);
}

Test(range, by_either_end)
{
    expect(0, 4, 5, 5, 0);
    expect(0, -1, 5, 5, 0);
    expect(-5, -1, 5, 5, 0);
    expect(1, 3, 5, 3, 1);
    expect(-4, -2, 5, 3, 1);
    expect(4, 4, 5, 1, 4);
    expect(-1, -1, 5, 1, 4);
}

Test(range, what_reaches_beyond_is_cut_off)
{
    expect(-6, 0, 5, 1, 0);
    expect(3, 5, 5, 2, 3);
    expect(INT64_MIN, INT64_MAX, 5, 5, 0);
    expect(INT64_MIN, INT64_MAX, INT64_MAX, INT64_MAX, 0);
}

Test(range, none)
{
    expect(2, 1, 5, 0, 0);
    expect(5, 9, 5, 0, 0);
    expect(5, -1, 5, 0, 0);
    expect(0, -6, 5, 0, 0);
    expect(0, INT64_MIN, 5, 0, 0);
    expect(INT64_MAX, INT64_MAX, 5, 0, 0);
    expect(0, -1, 0, 0, 0);
    expect(INT64_MIN, INT64_MAX, 0, 0, 0);
}
