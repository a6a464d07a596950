/*
 * Listpack: a sequence of strings and integers in one run of bytes, for everything that is small or comes in blocks:
 * hashes, lists, sets, sorted sets, the nodes of a quicklist, the blocks of a stream.
 *
 * The layout: ds/listpack_entry.h. What a place is, and how to go through: ds/listpack_read.h. RDB files and DUMP carry
 * these bytes as they are.
 *
 * A listpack is an `unsigned char *` that its owner gets from listpack_create and gives to listpack_destroy. It has no
 * field for a capacity: the allocator knows how large the allocation is, and its size classes, a fifth apart, make
 * repeated appends O(1) amortised. What edits takes a pointer to the owner's pointer, for the listpack may move.
 *
 * A string that is a canonical 64-bit integer is kept as one, and reads back as one. The total stays below
 * LISTPACK_MAX_BYTES. Whatever adds bytes can fail, on that limit or for want of memory: it then returns 0, false or
 * NULL, and nothing has changed. Bytes given to an edit must not lie in the listpack that is edited.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ds/listpack_read.h"

struct random;

enum { LISTPACK_MAX_BYTES = 1 << 30 };

/* An empty listpack, owned by the caller, with room for `capacity` bytes in all (0: as little as possible). */
unsigned char *listpack_create(size_t capacity);

/* Frees; NULL is nothing. */
void listpack_destroy(unsigned char *pack);

/* A copy without reserve, owned by the caller; NULL when memory is out. */
unsigned char *listpack_copy(const unsigned char *pack);

/* Bytes of the allocation, as the allocator rounds them. O(1). */
size_t listpack_memory(const unsigned char *pack);

/* True if `more` bytes of entries can be added before the limit. An entry takes at most ten more than its text. */
static inline bool listpack_has_room(const unsigned char *pack, size_t more)
{
    return more < LISTPACK_MAX_BYTES - listpack_bytes(pack);
}

/* Gives room in reserve back to the allocator, where that saves anything. */
void listpack_trim(unsigned char **pack);

/*
 * Adds an entry in front of the one at `at`, or behind all with listpack_end. Returns the new entry's place, which is
 * `at`. O(bytes behind it).
 */
uint32_t listpack_insert(unsigned char **pack, uint32_t at, struct bytes text);

/* The same behind the last entry: O(1) amortised. */
uint32_t listpack_append(unsigned char **pack, struct bytes text);
uint32_t listpack_append_i64(unsigned char **pack, int64_t number);

/* The same in front of the first. */
static inline uint32_t listpack_prepend(unsigned char **pack, struct bytes text)
{
    return listpack_insert(pack, LISTPACK_HEADER, text);
}

/* Adds `count` entries at `at`, as listpack_insert does, at once: all or none. The first one's place, 0 on failure. */
uint32_t listpack_insert_batch(unsigned char **pack, uint32_t at, const struct bytes *texts, size_t count);

/* Puts another value into the entry at `at`, in place where its size stays. */
bool listpack_replace(unsigned char **pack, uint32_t at, struct bytes text);
bool listpack_replace_i64(unsigned char **pack, uint32_t at, int64_t number);

/* Appends all entries of `other`, which stays as it is and must be another listpack. */
bool listpack_concat(unsigned char **pack, const unsigned char *other);

/* Moves the entries from `index` on (at most the count) to a new listpack, owned by the caller; NULL on failure. */
unsigned char *listpack_split(unsigned char **pack, size_t index);

/* Takes the entry at `at` out. Returns the place of what came behind it, which is `at`, or 0 when it was the last. */
uint32_t listpack_delete(unsigned char **pack, uint32_t at);

/* Takes out up to `count` entries from the one at `at` on; returns how many. */
size_t listpack_delete_range(unsigned char **pack, uint32_t at, size_t count);

/* Takes out the entries at `places`, which ascend; in one pass. */
void listpack_delete_batch(unsigned char **pack, const uint32_t *places, size_t count);

/* The place of entry `index`, counted from 0, or from -1 at the end; 0 when there is none. O(distance to an end). */
uint32_t listpack_seek(const unsigned char *pack, int64_t index);

/*
 * The first entry that reads as `text`, looking at the one at `at` (which may be 0 or listpack_end) and then, each
 * time, at the one after the next `skip` (1 to look at the fields of a hash only). 0 when there is none.
 */
uint32_t listpack_find(const unsigned char *pack, uint32_t at, struct bytes text, unsigned skip);

/*
 * Random picks among groups of `stride` entries (2 for a hash), by the place of their first. The listpack holds whole
 * groups, at least one.
 */
uint32_t listpack_random(const unsigned char *pack, unsigned stride, struct random *random);

/* Up to `count` picks without repetition, in the order of the listpack; returns how many. One pass. */
size_t listpack_sample(
    const unsigned char *pack, unsigned stride, struct random *random, uint32_t *places, size_t count);

/* Called for each entry in order; false refuses the listpack. */
typedef bool (*listpack_visit_fn)(void *context, struct listpack_value value);

/*
 * True if the `len` bytes at `data`, whatever they are, are one whole listpack: every entry in bounds, every backlen
 * right, the total and the count true. Reads nothing outside. `visit` may be NULL; the entries behind the one it gets
 * have not been looked at.
 */
bool listpack_validate(const void *data, size_t len, listpack_visit_fn visit, void *context);
