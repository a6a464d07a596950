/*
 * HyperLogLog: the representation. The estimate is in hll_count.c.
 *
 * In a sparse one a raise replaces one run by up to three, and then joins neighbouring runs of the same value, looking
 * at five runs from the one before: where runs are joined decides the bytes, and the bytes are to be Redis's.
 */
#include "ds/hll.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"

enum {
    ENCODING_DENSE = 0,
    ENCODING_SPARSE = 1,
    ENCODING_AT = 4,
    CACHED_AT = 8,
    INDEX_BITS = 14,
    RUN_ZEROS_MAX = 64, /* of the short form */
    RUN_VALUE_MAX = 32,
    RUN_VALUE_LEN_MAX = 4,
    RUN_LONG = 0x40,
    RUN_VALUE = 0x80,
    JOIN_RUNS = 5,
};

static const uint64_t hash_seed = 0xadc83b19;

/* MurmurHash64A (A. Appleby, 2008), little-endian on every machine. */
static uint64_t murmur_hash(struct bytes data, uint64_t seed)
{
    const uint64_t multiplier = 0xc6a4a7935bd1e995;
    const char *at = data.ptr;
    uint64_t hash = seed ^ (data.len * multiplier);
    for (size_t words = data.len / 8; words--; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        word = le64toh(word) * multiplier;
        word = (word ^ word >> 47) * multiplier;
        hash = (hash ^ word) * multiplier;
    }
    if (data.len & 7) {
        uint64_t rest = 0;
        memcpy(&rest, at, data.len & 7);
        hash = (hash ^ le64toh(rest)) * multiplier;
    }
    hash = (hash ^ hash >> 47) * multiplier;
    return hash ^ hash >> 47;
}

struct hll_place hll_place(struct bytes element)
{
    uint64_t hash = murmur_hash(element, hash_seed);
    /* The bit behind the last one ends the search where the hash is all zeros. */
    uint64_t rest = hash >> INDEX_BITS | UINT64_C(1) << (64 - INDEX_BITS);
    return (struct hll_place){ hash & (HLL_REGISTERS - 1), (uint8_t)(__builtin_ctzll(rest) + 1) };
}

bool hll_is_valid(struct bytes hll)
{
    if (hll.len < HLL_HEADER || memcmp(hll.ptr, "HYLL", 4) != 0)
        return false;
    unsigned char encoding = (unsigned char)hll.ptr[ENCODING_AT];
    return encoding == ENCODING_SPARSE || (encoding == ENCODING_DENSE && hll.len == HLL_DENSE_BYTES);
}

void hll_init(struct hll_buffer *buffer)
{
    DASSERT(buffer->room >= HLL_EMPTY_BYTES);
    memset(buffer->ptr, 0, HLL_HEADER);
    memcpy(buffer->ptr, "HYLL", 4);
    buffer->ptr[ENCODING_AT] = ENCODING_SPARSE;
    memcpy(buffer->ptr + HLL_HEADER, "\x7f\xff", 2);
    buffer->len = HLL_EMPTY_BYTES;
}

/* --- The cached count --- */

bool hll_cached(struct bytes hll, uint64_t *count)
{
    uint64_t word;
    memcpy(&word, hll.ptr + CACHED_AT, sizeof word);
    word = le64toh(word);
    if (word >> 63)
        return false;
    *count = word;
    return true;
}

void hll_set_cached(char *hll, uint64_t count)
{
    count = htole64(count);
    memcpy(hll + CACHED_AT, &count, sizeof count);
}

void hll_set_stale(char *hll)
{
    hll[CACHED_AT + 7] = (char)(hll[CACHED_AT + 7] | 0x80);
}

/* --- Dense --- */

/* Three bytes hold four registers. */
static inline uint32_t read_three(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;
    return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16;
}

static inline void write_three(char *at, uint32_t word)
{
    at[0] = (char)word;
    at[1] = (char)(word >> 8);
    at[2] = (char)(word >> 16);
}

unsigned hll_dense_register(struct bytes hll, uint32_t index)
{
    return read_three(hll.ptr + HLL_HEADER + index / 4 * 3) >> index % 4 * 6 & 63;
}

bool hll_raise_dense(char *hll, struct hll_place place)
{
    char *at = hll + HLL_HEADER + place.index / 4 * 3;
    unsigned shift = place.index % 4 * 6;
    uint32_t word = read_three(at);
    if ((word >> shift & 63) >= place.value)
        return false;
    write_three(at, (word & ~(UINT32_C(63) << shift)) | (uint32_t)place.value << shift);
    return true;
}

void hll_write_dense(char *hll, const uint8_t *registers)
{
    char *at = hll + HLL_HEADER;
    for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, at += 3)
        write_three(at, registers[i] | (uint32_t)registers[i + 1] << 6 | (uint32_t)registers[i + 2] << 12 |
                            (uint32_t)registers[i + 3] << 18);
}

/* --- Sparse --- */

static inline __attribute__((always_inline)) bool read_run(struct bytes hll, size_t at, struct hll_run *run)
{
    if (at >= hll.len)
        return false;
    unsigned head = (unsigned char)hll.ptr[at];
    if (head & RUN_VALUE) {
        *run = (struct hll_run){ (head & 3) + 1, (uint8_t)((head >> 2 & 31) + 1), 1 };
    } else if (!(head & RUN_LONG)) {
        *run = (struct hll_run){ head + 1, 0, 1 };
    } else {
        if (at + 1 == hll.len)
            return false;
        *run = (struct hll_run){ ((head & 63) << 8 | (unsigned char)hll.ptr[at + 1]) + 1, 0, 2 };
    }
    return true;
}

bool hll_read_run(struct bytes hll, size_t at, struct hll_run *run)
{
    return read_run(hll, at, run);
}

/* Appends a run, if it is not empty. */
static unsigned char *write_run(unsigned char *at, uint32_t len, unsigned value)
{
    if (len == 0)
        return at;
    if (value) {
        *at++ = (unsigned char)(RUN_VALUE | (value - 1) << 2 | (len - 1));
    } else if (len <= RUN_ZEROS_MAX) {
        *at++ = (unsigned char)(len - 1);
    } else {
        *at++ = (unsigned char)(RUN_LONG | (len - 1) >> 8);
        *at++ = (unsigned char)(len - 1);
    }
    return at;
}

/* Joins runs of the same value among the few from `at` on. */
static void join_runs(struct hll_buffer *buffer, size_t at)
{
    struct hll_run run, next;
    for (int i = 0; i < JOIN_RUNS && hll_read_run((struct bytes){ buffer->ptr, buffer->len }, at, &run); i++) {
        bool joins = run.value && hll_read_run((struct bytes){ buffer->ptr, buffer->len }, at + 1, &next) &&
                     next.value == run.value && run.len + next.len <= RUN_VALUE_LEN_MAX;
        if (!joins) {
            at += run.size;
            continue;
        }
        memmove(buffer->ptr + at, buffer->ptr + at + 1, buffer->len - at - 1);
        write_run((unsigned char *)buffer->ptr + at, run.len + next.len, run.value);
        buffer->len--;
    }
}

bool hll_merge_into(uint8_t *registers, struct bytes hll)
{
    if (hll_is_dense(hll)) {
        const char *at = hll.ptr + HLL_HEADER;
        for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, at += 3) {
            uint32_t word = read_three(at);
            for (uint32_t j = 0; j < 4; j++, word >>= 6) {
                uint8_t value = word & 63;
                registers[i + j] = registers[i + j] > value ? registers[i + j] : value;
            }
        }
        return true;
    }
    size_t at = HLL_HEADER;
    uint32_t index = 0;
    for (struct hll_run run; read_run(hll, at, &run); at += run.size) {
        if (run.len > HLL_REGISTERS - index)
            return false;
        for (uint32_t i = 0; i < run.len && run.value; i++)
            if (registers[index + i] < run.value)
                registers[index + i] = run.value;
        index += run.len;
    }
    return index == HLL_REGISTERS && at == hll.len;
}

bool hll_make_dense(struct hll_buffer *buffer)
{
    uint8_t registers[HLL_REGISTERS] = { 0 };
    DASSERT(buffer->room >= HLL_DENSE_BYTES);
    if (!hll_merge_into(registers, (struct bytes){ buffer->ptr, buffer->len }))
        return false;
    buffer->ptr[ENCODING_AT] = ENCODING_DENSE;
    buffer->len = HLL_DENSE_BYTES;
    hll_write_dense(buffer->ptr, registers);
    return true;
}

static enum hll_raised promote(struct hll_buffer *buffer, struct hll_place place)
{
    if (!hll_make_dense(buffer))
        return HLL_CORRUPT;
    return hll_raise_dense(buffer->ptr, place) ? HLL_RAISED : HLL_SAME;
}

/* The run that a register belongs to. */
struct position {
    size_t at, before; /* where it is, and the one before it */
    uint32_t first;    /* its first register */
    struct hll_run run;
    struct hll_cursor back; /* two runs before it, or as far as there are any */
};

/* Looks for it from a run on that is before it, or the first one. */
static inline bool find_run(struct bytes hll, uint32_t index, struct hll_cursor from, struct position *position)
{
    struct hll_cursor at = from, before = from, back = from;
    for (struct hll_run run; read_run(hll, at.at, &run);) {
        if (index < at.first + run.len) {
            *position = (struct position){ at.at, before.at, at.first, run, back };
            return true;
        }
        back = before;
        before = at;
        at = (struct hll_cursor){ at.at + run.size, at.first + run.len };
    }
    return false;
}

enum hll_raised hll_would_raise(struct bytes hll, struct hll_place place)
{
    struct position found;
    if (hll_is_dense(hll))
        return hll_dense_register(hll, place.index) < place.value ? HLL_RAISED : HLL_SAME;
    if (!find_run(hll, place.index, HLL_CURSOR_FIRST, &found))
        return HLL_CORRUPT;
    return found.run.value < place.value ? HLL_RAISED : HLL_SAME;
}

/*
 * A raise changes nothing before the run before the raised one, and joins what follows to that at most. So the next
 * register is in that run or behind it, and the run before is where the cursor is left.
 */
enum hll_raised hll_raise_next(
    struct hll_buffer *buffer, struct hll_cursor *cursor, struct hll_place place, size_t sparse_max)
{
    struct bytes hll = { buffer->ptr, buffer->len };
    if (hll_is_dense(hll))
        return hll_raise_dense(buffer->ptr, place) ? HLL_RAISED : HLL_SAME;
    if (place.value > RUN_VALUE_MAX)
        return promote(buffer, place);

    struct position found;
    if (!find_run(hll, place.index, *cursor, &found))
        return HLL_CORRUPT;
    *cursor = found.back;
    struct hll_run run = found.run;
    if (run.value >= place.value)
        return HLL_SAME;

    unsigned char runs[5], *end = write_run(runs, place.index - found.first, run.value);
    end = write_run(end, 1, place.value);
    end = write_run(end, found.first + run.len - 1 - place.index, run.value);
    size_t size = (size_t)(end - runs), len = buffer->len - run.size + size;
    if (size > run.size && (len > sparse_max || len > buffer->room))
        return promote(buffer, place);
    char *at = buffer->ptr + found.at;
    memmove(at + size, at + run.size, buffer->len - found.at - run.size);
    memcpy(at, runs, size);
    buffer->len = len;
    join_runs(buffer, found.before);
    return HLL_RAISED;
}

enum hll_raised hll_raise(struct hll_buffer *buffer, struct hll_place place, size_t sparse_max)
{
    struct hll_cursor cursor = HLL_CURSOR_FIRST;
    return hll_raise_next(buffer, &cursor, place, sparse_max);
}
