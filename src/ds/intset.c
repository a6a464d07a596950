/*
 * Sets of integers as sorted arrays of 2, 4 or 8 bytes each.
 *
 * Reads and writes go through one function per direction with the width as an argument; inlined where the width is a
 * constant, each is one instruction. The search has no branch that depends on data: at these sizes a misprediction
 * costs more than a probe. As in a listpack, the allocator knows the room in reserve.
 */
#include "ds/intset.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/random.h"

enum { KEEP_BYTES = 64 /* allocations up to this size are not made smaller */ };

static inline __attribute__((always_inline)) int64_t load(const unsigned char *at, unsigned width)
{
    uint16_t half;
    uint32_t word;
    uint64_t wide;
    switch (width) {
    case 2:
        memcpy(&half, at, sizeof half);
        return (int16_t)le16toh(half);
    case 4:
        memcpy(&word, at, sizeof word);
        return (int32_t)le32toh(word);
    default:
        memcpy(&wide, at, sizeof wide);
        return (int64_t)le64toh(wide);
    }
}

static inline void store(unsigned char *at, unsigned width, int64_t number)
{
    uint64_t wide = htole64((uint64_t)number);
    switch (width) {
    case 2:
        memcpy(at, &wide, 2);
        break;
    case 4:
        memcpy(at, &wide, 4);
        break;
    default:
        memcpy(at, &wide, 8);
    }
}

static unsigned width_for(int64_t number)
{
    return number == (int16_t)number ? 2 : number == (int32_t)number ? 4 : 8;
}

static void set_header(unsigned char *set, unsigned width, uint32_t count)
{
    store(set, 4, width);
    store(set + 4, 4, count);
}

unsigned char *intset_create(void)
{
    unsigned char *set = mem_alloc(INTSET_HEADER);
    set_header(set, 2, 0);
    return set;
}

unsigned char *intset_create_like(const unsigned char *set, uint32_t count)
{
    unsigned width = intset_width(set);
    unsigned char *made = mem_try_alloc(INTSET_HEADER + (size_t)count * width);
    if (made)
        set_header(made, width, count);
    return made;
}

void intset_write(unsigned char *set, uint32_t index, int64_t number)
{
    unsigned width = intset_width(set);
    DASSERT(index < intset_count(set) && width_for(number) <= width);
    store(set + INTSET_HEADER + (size_t)index * width, width, number);
}

void intset_destroy(unsigned char *set)
{
    mem_free(set);
}

unsigned char *intset_copy(const unsigned char *set)
{
    unsigned char *copy = mem_try_alloc(intset_bytes(set));
    if (copy)
        memcpy(copy, set, intset_bytes(set));
    return copy;
}

size_t intset_memory(const unsigned char *set)
{
    return mem_usable_size(set);
}

/* How many of `count` ascending integers are below `number`; count above 0. */
static inline __attribute__((always_inline)) uint32_t count_below(
    const unsigned char *first, uint32_t count, int64_t number, unsigned width)
{
    const unsigned char *base = first;
    while (count > 1) {
        uint32_t half = count / 2;
        base += load(base + (size_t)(half - 1) * width, width) < number ? (size_t)half * width : 0;
        count -= half;
    }
    return (uint32_t)((size_t)(base - first) / width) + (load(base, width) < number);
}

bool intset_find(const unsigned char *set, int64_t number, uint32_t *index)
{
    uint32_t count = intset_count(set), below;
    unsigned width = intset_width(set);
    const unsigned char *first = set + INTSET_HEADER;
    if (count == 0 || number > intset_max(set))
        below = count;
    else if (width == 2)
        below = count_below(first, count, number, 2);
    else if (width == 4)
        below = count_below(first, count, number, 4);
    else
        below = count_below(first, count, number, 8);
    if (index)
        *index = below;
    return below < count && intset_get(set, below) == number;
}

int64_t intset_random(const unsigned char *set, struct random *random)
{
    return intset_get(set, (uint32_t)random_below(random, intset_count(set)));
}

/* Makes the allocation hold `count` integers of `width` bytes, content kept. */
static bool make_room(unsigned char **set, size_t count, unsigned width)
{
    size_t total = INTSET_HEADER + count * width;
    if (total >= INTSET_MAX_BYTES)
        return false;
    if (total <= mem_usable_size(*set))
        return true;
    unsigned char *moved = mem_try_realloc(*set, total);
    if (!moved)
        return false;
    *set = moved;
    return true;
}

/* Adds a number that is too wide for the set, and so goes before or behind all. From the end, as the rest moves up. */
static enum intset_added widen_and_add(unsigned char **set, int64_t number)
{
    uint32_t count = intset_count(*set);
    unsigned old_width = intset_width(*set), width = width_for(number);
    if (!make_room(set, (size_t)count + 1, width))
        return INTSET_NO_MEMORY;
    unsigned char *first = *set + INTSET_HEADER;
    size_t shift = number < 0;
    for (size_t i = count; i-- > 0;)
        store(first + (i + shift) * width, width, load(first + i * old_width, old_width));
    store(first + (number < 0 ? 0 : (size_t)count * width), width, number);
    set_header(*set, width, count + 1);
    return INTSET_ADDED;
}

enum intset_added intset_add(unsigned char **set, int64_t number)
{
    uint32_t count = intset_count(*set), index;
    unsigned width = intset_width(*set);
    if (width_for(number) > width)
        return widen_and_add(set, number);
    if (intset_find(*set, number, &index))
        return INTSET_PRESENT;
    if (!make_room(set, (size_t)count + 1, width))
        return INTSET_NO_MEMORY;
    unsigned char *at = *set + INTSET_HEADER + (size_t)index * width;
    memmove(at + width, at, (size_t)(count - index) * width);
    store(at, width, number);
    set_header(*set, width, count + 1);
    return INTSET_ADDED;
}

static void shrink_if_loose(unsigned char **set)
{
    size_t usable = mem_usable_size(*set), total = intset_bytes(*set);
    if (usable <= KEEP_BYTES || total >= usable / 2)
        return;
    unsigned char *moved = mem_try_realloc(*set, total);
    if (moved)
        *set = moved;
}

bool intset_remove(unsigned char **set, int64_t number)
{
    uint32_t count = intset_count(*set), index;
    unsigned width = intset_width(*set);
    if (!intset_find(*set, number, &index))
        return false;
    unsigned char *at = *set + INTSET_HEADER + (size_t)index * width;
    memmove(at, at + width, (size_t)(count - index - 1) * width);
    set_header(*set, width, count - 1);
    shrink_if_loose(set);
    return true;
}

bool intset_validate(const void *data, size_t len)
{
    const unsigned char *set = data;
    if (len < INTSET_HEADER || len >= INTSET_MAX_BYTES)
        return false;
    int64_t width = load(set, 4);
    if ((width != 2 && width != 4 && width != 8) || intset_count(set) == 0 || intset_bytes(set) != len)
        return false;
    for (uint32_t i = 1; i < intset_count(set); i++)
        if (intset_get(set, i - 1) >= intset_get(set, i))
            return false;
    return true;
}
