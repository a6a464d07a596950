/*
 * Merge sort from the top down, between the items and as much room beside them: halves are sorted to where the other
 * one is read from, so that nothing is copied back. A few items are sorted by insertion.
 *
 * Most items are a pointer, or a number and a pointer: moves of these sizes are single instructions.
 */
#include "base/sort.h"

#include <string.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"

enum {
    FEW = 12,
    COMPARE_COST = 1,       /* with the move after it, for fiber_breathe */
    COPY_BYTES = 32 * 1024, /* between two breaths */
    COPY_COST = 300,
};

struct sort {
    size_t size;
    int (*compare)(const void *a, const void *b);
};

static inline void move(char *to, const char *from, size_t size)
{
    if (size == 16)
        memcpy(to, from, 16);
    else if (size == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, size);
}

static void copy(char *to, const char *from, size_t len)
{
    while (len) {
        size_t part = len < COPY_BYTES ? len : COPY_BYTES;
        memcpy(to, from, part);
        to += part;
        from += part;
        len -= part;
        if (len)
            fiber_breathe(COPY_COST);
    }
}

static void sort_few(const struct sort *sort, char *items, size_t count)
{
    char kept[SORT_ITEM_MAX];
    size_t size = sort->size;
    for (size_t i = 1; i < count; i++) {
        char *at = items + i * size;
        move(kept, at, size);
        for (; at > items && sort->compare(at - size, kept) > 0; at -= size) {
            move(at, at - size, size);
            fiber_breathe(COMPARE_COST);
        }
        move(at, kept, size);
        fiber_breathe(COMPARE_COST);
    }
}

/* From two sorted parts, one behind the other. */
static void merge(const struct sort *sort, char *to, const char *from, size_t left_count, size_t count)
{
    size_t size = sort->size;
    const char *left = from, *right = from + left_count * size, *left_end = right, *right_end = from + count * size;
    if (sort->compare(right - size, right) <= 0) {
        copy(to, from, count * size);
        return;
    }
    for (; left < left_end && right < right_end; to += size) {
        fiber_breathe(COMPARE_COST);
        const char **next = sort->compare(left, right) <= 0 ? &left : &right;
        move(to, *next, size);
        *next += size;
    }
    copy(to, left, (size_t)(left_end - left));
    copy(to + (left_end - left), right, (size_t)(right_end - right));
}

/* Sorts the items, in place or into the room; what is in the other then is of no use. */
static void sort_range(const struct sort *sort, char *items, char *room, size_t count, bool into_room)
{
    if (count <= FEW) {
        if (into_room)
            memcpy(room, items, count * sort->size);
        sort_few(sort, into_room ? room : items, count);
        return;
    }
    size_t half = count / 2, half_bytes = half * sort->size;
    sort_range(sort, items, room, half, !into_room);
    sort_range(sort, items + half_bytes, room + half_bytes, count - half, !into_room);
    merge(sort, into_room ? room : items, into_room ? items : room, half, count);
}

bool sort_stable(void *items, size_t count, size_t size, int (*compare)(const void *a, const void *b))
{
    const struct sort sort = { size, compare };
    char *room = NULL;
    ASSERT(size > 0 && size <= SORT_ITEM_MAX);
    if (count > FEW) {
        room = mem_try_alloc(count * size);
        if (!room)
            return false;
    }
    if (count)
        sort_range(&sort, items, room, count, false);
    mem_free(room);
    return true;
}
