/*
 * The bytes of a listpack, and what one entry holds.
 *
 *   listpack   total bytes : u32 | entries : u16, 65535 = not known | entry | ... | entry | 0xff
 *   entry      head | text, if it is a string | backlen
 *   backlen    length of head and text, seven bits a byte in 1 to 5 bytes, the most significant first; all bytes but
 *              the first have bit 7 set, so that it is read from its end, and the way back is as short as forward
 *
 *   head       0xxxxxxx            integer 0 to 127
 *              10xxxxxx            string of up to 63 bytes
 *              110xxxxx +1         integer of 13 bits, the high five first
 *              1110xxxx +1         string of up to 4095 bytes, the high four bits first
 *              11110000 +4         string of any length
 *              11110001 +2, 11110010 +3, 11110011 +4, 11110100 +8     integers
 *
 * Multi-byte fields are little-endian, integers in two's complement. This is Redis's format, byte for byte.
 *
 * What is read here was either made by ds/listpack.h or passed listpack_validate: nothing checks bounds.
 */
#pragma once

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/num.h"

enum {
    LISTPACK_HEADER = 6,            /* bytes before the first entry */
    LISTPACK_END = 0xff,            /* the last byte */
    LISTPACK_COUNT_UNKNOWN = 65535, /* as the number of entries */
    LISTPACK_STRING_32 = 0xf0,      /* head of the longest strings */
    LISTPACK_INT_16 = 0xf1,         /* first of the wide integers */
};

/* What an entry holds. */
struct listpack_value {
    const char *text; /* borrowed from the listpack, until it changes; NULL: an integer */
    union {
        size_t len;     /* of text */
        int64_t number; /* if text is NULL */
    };
};

/* Bytes of the wide integers, by head. */
extern const uint8_t listpack_int_sizes[4];

/* Bytes that the backlen of `size` bytes takes. 16383 and its like take one more than seven bits a byte would need. */
static inline uint32_t listpack_backlen_size(uint32_t size)
{
    if (__builtin_expect(size <= 127, 1))
        return 1;
    return 2u + (size >= 16383) + (size >= 2097151) + (size >= 268435455);
}

/* Bytes of the entry at `at`, backlen included. */
static inline uint32_t listpack_entry_size(const unsigned char *pack, uint32_t at)
{
    const unsigned char *entry = pack + at;
    unsigned head = entry[0];
    uint32_t size;
    if (__builtin_expect(head < 0xc0, 1))
        return head < 0x80 ? 2 : head - 0x80 + 2;
    if (head < 0xe0)
        return 3;
    if (head > LISTPACK_STRING_32)
        return listpack_int_sizes[(head - LISTPACK_INT_16) & 3] + 2u;
    if (head == LISTPACK_STRING_32) {
        memcpy(&size, entry + 1, sizeof size);
        size = 5 + le32toh(size);
    } else {
        size = 2 + ((head & 15) << 8 | entry[1]);
    }
    return size + listpack_backlen_size(size);
}

/* What the entry at `at` holds. */
static inline struct listpack_value listpack_get(const unsigned char *pack, uint32_t at)
{
    const unsigned char *entry = pack + at;
    unsigned head = entry[0];
    struct listpack_value value;
    if ((head & 0xc0) == 0x80) {
        value.text = (const char *)entry + 1;
        value.len = head & 63;
    } else if (head < 0x80) {
        value.text = NULL;
        value.number = head;
    } else if (head < 0xe0) {
        value.text = NULL;
        value.number = (int16_t)(uint16_t)(head << 11 | (unsigned)entry[1] << 3) >> 3;
    } else if (head < LISTPACK_STRING_32) {
        value.text = (const char *)entry + 2;
        value.len = (head & 15) << 8 | entry[1];
    } else if (head == LISTPACK_STRING_32) {
        uint32_t len;
        memcpy(&len, entry + 1, sizeof len);
        value.text = (const char *)entry + 5;
        value.len = le32toh(len);
    } else {
        /* Eight bytes that end with the integer: the header before the first entry is long enough for that. */
        unsigned size = listpack_int_sizes[(head - LISTPACK_INT_16) & 3];
        uint64_t word;
        memcpy(&word, entry + size - 7, sizeof word);
        value.text = NULL;
        value.number = (int64_t)le64toh(word) >> (64 - 8 * size);
    }
    return value;
}

/* The value as bytes; integers are spelled into `scratch` (room for NUM_I64_MAX_LEN). Valid as long as both. */
static inline struct bytes listpack_value_bytes(struct listpack_value value, char *scratch)
{
    if (value.text)
        return (struct bytes){ value.text, value.len };
    return (struct bytes){ scratch, num_format_i64(scratch, value.number) };
}

static inline struct bytes listpack_get_bytes(const unsigned char *pack, uint32_t at, char *scratch)
{
    return listpack_value_bytes(listpack_get(pack, at), scratch);
}
