/*
 * Sorting in slices: what qsort does, but it breathes (base/fiber.h), keeps equal items as they come, and copies no
 * large part at once in the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SORT_ITEM_MAX = 64 }; /* bytes of an item, at most */

/*
 * Sorts `count` items of `size` bytes, in ascending order; those that compare as equal stay in their order. False, with
 * nothing changed, when there is no memory for as many items once more. O(n log n) comparisons, by merging; n if they
 * are in order already.
 */
bool sort_stable(void *items, size_t count, size_t size, int (*compare)(const void *a, const void *b));
