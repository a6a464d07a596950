/*
 * Ranges as commands name them: by the positions of the first and the last, where -1 is the last there is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * How many of `len` things lie from position `first` to `last`, both included, and the position of the first of them;
 * 0 if there are none, and then `*at` means nothing. `len` is at most INT64_MAX.
 */
static inline size_t range_clip(int64_t first, int64_t last, size_t len, size_t *at)
{
    int64_t count = (int64_t)len;
    if (first < 0)
        first = first < -count ? 0 : first + count;
    if (last < 0)
        last += count;
    if (last >= count)
        last = count - 1;
    *at = (size_t)first;
    return first > last ? 0 : (size_t)(last - first + 1);
}
