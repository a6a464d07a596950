/*
 * LZF: greedy matching by a table of where three bytes were last seen.
 *
 * The table is chosen by the input's length, since for a short string clearing it, and missing the cache in it, would
 * be most of the work. It holds positions modulo 64 K; an entry is only a hint, and any is tested for its distance and
 * its bytes, so that what is stale does no harm.
 */
#include "base/lzf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/fiber.h"

enum {
    LITERALS_MAX = 32,
    MATCH_MIN = 3,
    MATCH_MAX = 264,
    MATCH_SHORT = 8, /* longest match in two bytes */
    DISTANCE_MAX = 8192,
    HASH_BITS_MAX = 13,
    WORD = 16, /* bytes that are copied at once; or half of them */
    HALF = 8,
    QUARTER = 4,
    JUST_NOW = 64, /* bytes back: what a processor may still be writing */
    BREATHE_BYTES = 4096,
    BREATHE_COST = 1000,
};

struct packer {
    const unsigned char *from, *end;
    unsigned char *to, *to_end;
    unsigned shift; /* of the hash, that leaves the bits of an index */
    uint16_t seen[1 << HASH_BITS_MAX];
};

/* The hash of three bytes, of which four are there. */
static inline unsigned hash_at(const struct packer *packer, const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word <<= 8;
#else
    word &= ~UINT32_C(255);
#endif
    return (word * UINT32_C(0x9e3779b1)) >> packer->shift;
}

/* Writes what has no match; false if there is no room. */
static inline bool put_literals(struct packer *packer, const unsigned char *from, const unsigned char *end)
{
    while (from < end) {
        size_t count = (size_t)(end - from) < LITERALS_MAX ? (size_t)(end - from) : LITERALS_MAX;
        if ((size_t)(packer->to_end - packer->to) <= count)
            return false;
        *packer->to++ = (unsigned char)(count - 1);
        memcpy(packer->to, from, count);
        packer->to += count;
        from += count;
    }
    return true;
}

static inline bool put_match(struct packer *packer, size_t distance, size_t len)
{
    size_t back = distance - 1;
    if (packer->to_end - packer->to < 3)
        return false;
    if (len <= MATCH_SHORT) {
        *packer->to++ = (unsigned char)((len - 2) << 5 | back >> 8);
    } else {
        *packer->to++ = (unsigned char)(7 << 5 | back >> 8);
        *packer->to++ = (unsigned char)(len - 2 - 7);
    }
    *packer->to++ = (unsigned char)back;
    return true;
}

/* How many bytes before `at` the same three were seen last, 0 if nowhere; notes that they are here. */
static inline size_t find(struct packer *packer, const unsigned char *at)
{
    size_t position = (size_t)(at - packer->from);
    uint16_t *seen = &packer->seen[hash_at(packer, at)];
    size_t distance = (uint16_t)(position - *seen);
    *seen = (uint16_t)position;
    if (distance - 1 >= DISTANCE_MAX || distance > position)
        return 0;
    const unsigned char *before = at - distance;
    return before[0] == at[0] && before[1] == at[1] && before[2] == at[2] ? distance : 0;
}

static inline size_t match_len(const unsigned char *at, const unsigned char *end, size_t distance)
{
    const unsigned char *before = at - distance;
    size_t max = (size_t)(end - at) < MATCH_MAX ? (size_t)(end - at) : MATCH_MAX, len = MATCH_MIN;
    for (uint64_t one, other; len + 8 <= max; len += 8) {
        memcpy(&one, at + len, 8);
        memcpy(&other, before + len, 8);
        if (one != other)
            break;
    }
    while (len < max && at[len] == before[len])
        len++;
    return len;
}

static void packer_init(struct packer *packer, const void *from, size_t len, void *to, size_t room)
{
    unsigned bits = 8;
    while (bits < HASH_BITS_MAX && (size_t)1 << bits < len)
        bits++;
    packer->from = from;
    packer->end = packer->from + len;
    packer->to = to;
    packer->to_end = packer->to + room;
    packer->shift = 32 - bits;
    memset(packer->seen, 0, sizeof *packer->seen << bits);
}

static inline size_t pack(const void *from, size_t len, void *to, size_t room, bool breathes)
{
    struct packer packer;
    packer_init(&packer, from, len, to, room);
    const unsigned char *at = packer.from, *literals = at, *breathe_at = at + BREATHE_BYTES;
    const unsigned char *hashed = len > MATCH_MIN ? packer.end - MATCH_MIN : at; /* four bytes are there before it */
    while (at < hashed) {
        if (breathes && at >= breathe_at) {
            fiber_breathe(BREATHE_COST);
            breathe_at = at + BREATHE_BYTES;
        }
        size_t distance = find(&packer, at);
        if (!distance) {
            at++;
            continue;
        }
        size_t matched = match_len(at, packer.end, distance);
        if (!put_literals(&packer, literals, at) || !put_match(&packer, distance, matched))
            return 0;
        literals = at += matched;
        /* The end of what matched may begin the next match. */
        for (const unsigned char *before = at - 2; before < at && at < hashed; before++)
            find(&packer, before);
    }
    return put_literals(&packer, literals, packer.end) ? (size_t)(packer.to - (unsigned char *)to) : 0;
}

size_t lzf_pack(const void *from, size_t len, void *to, size_t room)
{
    return pack(from, len, to, room, true);
}

size_t lzf_pack_at_once(const void *from, size_t len, void *to, size_t room)
{
    return pack(from, len, to, room, false);
}

/*
 * A match's bytes. Mostly they are few, and what they repeat was written just now, in other words than it is read in,
 * which processors are slow at. So as little as possible is read, and all of it before anything is written; where there
 * is room behind them bytes that come next are written over what is too much.
 */
static inline void copy_match(unsigned char *to, const unsigned char *from, size_t len)
{
    if (len <= HALF) {
        memcpy(to, from, HALF);
    } else if (len <= WORD) {
        uint64_t first, last;
        memcpy(&first, from, HALF);
        memcpy(&last, from + len - HALF, HALF);
        memcpy(to, &first, HALF);
        memcpy(to + len - HALF, &last, HALF);
    } else if (len <= 2 * WORD) {
        unsigned char first[WORD], last[WORD];
        memcpy(first, from, WORD);
        memcpy(last, from + len - WORD, WORD);
        memcpy(to, first, WORD);
        memcpy(to + len - WORD, last, WORD);
    } else {
        memcpy(to, from, len);
    }
}

/*
 * The same of any, which may overlap what it repeats. A few bytes of what was written just now are copied one by one:
 * each then is read from one word that was written, for which the processor need not wait.
 */
static inline void repeat(unsigned char *to, size_t distance, size_t len, size_t room)
{
    const unsigned char *from = to - distance;
    if (len <= QUARTER && distance < JUST_NOW && room >= QUARTER) {
        to[0] = from[0];
        to[1] = from[1];
        to[2] = from[2];
        to[3] = from[3];
        return;
    }
    if (distance >= len && room >= HALF) {
        copy_match(to, from, len);
        return;
    }
    if (distance >= HALF && room >= len + HALF) {
        for (size_t i = 0; i < len; i += HALF)
            memcpy(to + i, from + i, HALF);
        return;
    }
    if (distance == 1) {
        memset(to, *from, len);
        return;
    }
    for (size_t i = 0; i < len; i++)
        to[i] = from[i];
}

/* Literals, of which so many bytes are there, and for which there is so much room. */
static inline void copy_literals(unsigned char *to, const unsigned char *from, size_t count, size_t there, size_t room)
{
    if (there < LITERALS_MAX || room < LITERALS_MAX)
        memcpy(to, from, count);
    else if (count <= HALF)
        memcpy(to, from, HALF);
    else
        memcpy(to, from, LITERALS_MAX);
}

static inline size_t unpack(const void *from, size_t len, void *to, size_t room, bool breathes)
{
    const unsigned char *at = from, *end = at + len, *breathe_at = at + BREATHE_BYTES;
    unsigned char *start = to, *out = start, *out_end = start + room;
    while (at < end) {
        if (breathes && at >= breathe_at) {
            fiber_breathe(BREATHE_COST);
            breathe_at = at + BREATHE_BYTES;
        }
        size_t head = *at++;
        if (head < LITERALS_MAX) {
            size_t count = head + 1;
            if ((size_t)(end - at) < count || (size_t)(out_end - out) < count)
                return 0;
            copy_literals(out, at, count, (size_t)(end - at), (size_t)(out_end - out));
            at += count;
            out += count;
            if (at == end || *at < LITERALS_MAX)
                continue;
            head = *at++; /* a match nearly always follows */
        }
        size_t count = (head >> 5) + 2;
        if (end - at < (count == 9 ? 2 : 1))
            return 0;
        if (count == 9)
            count += *at++;
        size_t distance = ((head & 31) << 8 | *at++) + 1;
        if (distance > (size_t)(out - start) || count > (size_t)(out_end - out))
            return 0;
        repeat(out, distance, count, (size_t)(out_end - out));
        out += count;
    }
    return (size_t)(out - start);
}

size_t lzf_unpack(const void *from, size_t len, void *to, size_t room)
{
    return unpack(from, len, to, room, true);
}

size_t lzf_unpack_at_once(const void *from, size_t len, void *to, size_t room)
{
    return unpack(from, len, to, room, false);
}
