/*
 * Intset: a set of integers as one sorted array, as wide as its widest member needs.
 *
 *   bytes per integer : u32, 2, 4 or 8 | integers : u32 | integer | integer | ...      all little-endian, ascending
 *
 * This is Redis's format, byte for byte; RDB files and DUMP carry it as it is. An integer too wide for the set makes it
 * wider; nothing makes it narrower again.
 *
 * An intset is an `unsigned char *` that its owner gets from intset_create and gives to intset_destroy; what edits
 * takes a pointer to the owner's pointer, for it may move. Looking up is O(log n), adding and removing O(n) with a
 * small factor (one memmove), at the upper end O(1) amortised.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct random;

enum { INTSET_HEADER = 8, INTSET_MAX_BYTES = 1 << 30 };

enum intset_added {
    INTSET_ADDED,
    INTSET_PRESENT,   /* it was a member already */
    INTSET_NO_MEMORY, /* or the limit of INTSET_MAX_BYTES; nothing changed */
};

/* An empty set, owned by the caller. */
unsigned char *intset_create(void);

/*
 * One of `count` integers, as wide as those of `set` at least, to be written from the first to the last, in ascending
 * order, by intset_write. NULL when memory is out.
 */
unsigned char *intset_create_like(const unsigned char *set, uint32_t count);
void intset_write(unsigned char *set, uint32_t index, int64_t number);

/* Frees; NULL is nothing. */
void intset_destroy(unsigned char *set);

/* A copy, owned by the caller; NULL when memory is out. */
unsigned char *intset_copy(const unsigned char *set);

/* Bytes of the allocation, as the allocator rounds them. O(1). */
size_t intset_memory(const unsigned char *set);

/* Bytes per integer. */
static inline unsigned intset_width(const unsigned char *set)
{
    return set[0];
}

static inline uint32_t intset_count(const unsigned char *set)
{
    uint32_t count;
    memcpy(&count, set + 4, sizeof count);
    return le32toh(count);
}

/* Bytes in all. */
static inline size_t intset_bytes(const unsigned char *set)
{
    return INTSET_HEADER + (size_t)intset_count(set) * intset_width(set);
}

/* The integer at `index`, in ascending order, below the count. */
static inline int64_t intset_get(const unsigned char *set, uint32_t index)
{
    /* Eight bytes that end with the integer: the header is long enough for that. */
    unsigned width = intset_width(set);
    uint64_t word;
    memcpy(&word, set + ((size_t)index + 1) * width, sizeof word);
    return (int64_t)le64toh(word) >> (64 - 8 * width);
}

/* The smallest and the largest; the set must not be empty. */
static inline int64_t intset_min(const unsigned char *set)
{
    return intset_get(set, 0);
}

static inline int64_t intset_max(const unsigned char *set)
{
    return intset_get(set, intset_count(set) - 1);
}

/* True and *index set if `number` is a member; false and *index is where it would go. `index` may be NULL. */
bool intset_find(const unsigned char *set, int64_t number, uint32_t *index);

/* A member chosen uniformly; the set must not be empty. */
int64_t intset_random(const unsigned char *set, struct random *random);

enum intset_added intset_add(unsigned char **set, int64_t number);

/* False if it was no member. */
bool intset_remove(unsigned char **set, int64_t number);

/* True if the `len` bytes at `data`, whatever they are, are one whole intset: sorted, no member twice, not empty. */
bool intset_validate(const void *data, size_t len);
