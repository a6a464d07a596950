/*
 * The way through a listpack: forward, backward, and straight through, inlined for the loops that are hot.
 *
 * A place in a listpack is an offset in bytes, so that it survives a move of the whole. 0 is no place. Places of
 * entries stay valid until something in front of them, or they themselves, change. The layout: ds/listpack_entry.h.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ds/listpack_entry.h"

/* Bytes in all. */
static inline uint32_t listpack_bytes(const unsigned char *pack)
{
    uint32_t total;
    memcpy(&total, pack, sizeof total);
    return le32toh(total);
}

size_t listpack_count_walking(const unsigned char *pack);

/* Entries. O(1) below 65535; at or above, and if it once was, O(n). */
static inline size_t listpack_count(const unsigned char *pack)
{
    unsigned count = pack[4] | (unsigned)pack[5] << 8;
    return count != LISTPACK_COUNT_UNKNOWN ? count : listpack_count_walking(pack);
}

static inline bool listpack_is_empty(const unsigned char *pack)
{
    return pack[LISTPACK_HEADER] == LISTPACK_END;
}

/* The place behind the last entry: what is inserted there is appended. */
static inline uint32_t listpack_end(const unsigned char *pack)
{
    return listpack_bytes(pack) - 1;
}

/* The place behind the entry at `at`: of the next one, or listpack_end. */
static inline uint32_t listpack_after(const unsigned char *pack, uint32_t at)
{
    return at + listpack_entry_size(pack, at);
}

/* The first entry; 0 when there is none. */
static inline uint32_t listpack_first(const unsigned char *pack)
{
    return listpack_is_empty(pack) ? 0 : LISTPACK_HEADER;
}

/* The entry behind the one at `at`; 0 when it is the last. */
static inline uint32_t listpack_next(const unsigned char *pack, uint32_t at)
{
    uint32_t next = listpack_after(pack, at);
    return pack[next] == LISTPACK_END ? 0 : next;
}

/* The entry before the one at `at`, which may be listpack_end; 0 when it is the first. */
static inline uint32_t listpack_prev(const unsigned char *pack, uint32_t at)
{
    if (at == LISTPACK_HEADER)
        return 0;
    uint32_t size = 0;
    unsigned shift = 0, byte;
    do {
        byte = pack[--at];
        size |= (byte & 127) << shift;
        shift += 7;
    } while (byte & 128);
    return at - size;
}

/* The last entry; 0 when there is none. */
static inline uint32_t listpack_last(const unsigned char *pack)
{
    return listpack_prev(pack, listpack_end(pack));
}

/*
 * Reads the entry at *at and steps behind it; false, and nothing changed, at the end. The quickest way through:
 *
 *   for (uint32_t at = LISTPACK_HEADER; listpack_read(pack, &at, &value);)
 */
static inline bool listpack_read(const unsigned char *pack, uint32_t *at, struct listpack_value *value)
{
    if (pack[*at] == LISTPACK_END)
        return false;
    *value = listpack_get(pack, *at);
    *at = listpack_after(pack, *at);
    return true;
}

/* As listpack_check, of any entry. */
uint32_t listpack_check_wide(const unsigned char *pack, uint32_t at, uint32_t end);

/*
 * Bytes of the entry at `at`, whatever stands there, if the entry and its backlen are right and end at `end` or before;
 * else 0. Reads nothing from `end` on. `at` is below `end`. For those who look at entries while they validate them.
 */
static inline uint32_t listpack_check(const unsigned char *pack, uint32_t at, uint32_t end)
{
    /* Most are short strings and small integers, whose backlen is one byte. */
    uint32_t narrow = pack[at] < 0x80 ? 1 : (pack[at] & 63) + 1u;
    if (__builtin_expect(pack[at] < 0xc0, 1))
        return narrow < end - at && pack[at + narrow] == narrow ? narrow + 1 : 0;
    return listpack_check_wide(pack, at, end);
}
