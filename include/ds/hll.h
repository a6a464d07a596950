/*
 * HyperLogLog: how many different elements there were, to within 0.81 %, in at most 12304 bytes.
 *
 * Of an element's hash the low 14 bits choose one of 16384 registers, and the rest says what it is raised to: the
 * position of the lowest bit set. Many registers at high values speak of many elements. The bytes are Redis's, so that
 * they can be moved as strings:
 *
 *   "HYLL" | encoding : 1 | unused : 3 | cached count : 8, little-endian, bit 63 = stale | registers
 *
 *   dense  (encoding 0)   16384 registers of 6 bits, the low bits of a byte first
 *   sparse (encoding 1)   runs:   00llllll             l + 1 registers are 0
 *                                 01llllll llllllll    the same, up to 16384; high bits first
 *                                 1vvvvvll             l + 1 registers are v + 1
 *
 * Pure: the bytes are the caller's, and may come from a client. What is wrong with them is found when it is met.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    HLL_REGISTERS = 16384,
    HLL_HEADER = 16,
    HLL_REGISTER_MAX = 51,
    HLL_EMPTY_BYTES = HLL_HEADER + 2, /* sparse */
    HLL_DENSE_BYTES = HLL_HEADER + HLL_REGISTERS * 6 / 8,
};

/* True if the bytes begin as they should, and have a dense one's length if they say that they are one. */
bool hll_is_valid(struct bytes hll);

/* Of a valid one. */
static inline bool hll_is_dense(struct bytes hll)
{
    return hll.ptr[4] == 0;
}

/* What an element raises. */
struct hll_place {
    uint32_t index;
    uint8_t value; /* 1 to HLL_REGISTER_MAX */
};

struct hll_place hll_place(struct bytes element);

/* --- Counting --- */

/* The estimate: O. Ertl, New cardinality estimation algorithms for HyperLogLog sketches, 2017. False if corrupt. */
bool hll_count(struct bytes hll, uint64_t *count);
uint64_t hll_count_registers(const uint8_t *registers);

/* The count as it was last computed; false if something was raised since. */
bool hll_cached(struct bytes hll, uint64_t *count);
void hll_set_cached(char *hll, uint64_t count);
void hll_set_stale(char *hll);

/* Raises each of HLL_REGISTERS registers to what it is in `hll`. False if corrupt; some may have been raised then. */
bool hll_merge_into(uint8_t *registers, struct bytes hll);

/* --- Changing --- */

/* One that is being changed, in memory with room for HLL_DENSE_BYTES at least; one that fills it up becomes dense. */
struct hll_buffer {
    char *ptr; /* borrowed */
    size_t len, room;
};

enum hll_raised {
    HLL_SAME, /* it was as high already */
    HLL_RAISED,
    HLL_CORRUPT,
};

/* Makes it an empty sparse one. */
void hll_init(struct hll_buffer *buffer);

/*
 * Raises a register. A sparse one becomes dense if it would be longer than `sparse_max` bytes or the value is above 32.
 * The cached count stays as it is. O(1) if dense, else O(len).
 */
enum hll_raised hll_raise(struct hll_buffer *buffer, struct hll_place place, size_t sparse_max);

/*
 * The same for registers in ascending order, which are not looked for from the beginning each time; the cursor is
 * HLL_CURSOR_FIRST at first, and nothing else changes the buffer meanwhile. What it costs to find all of them together
 * is O(len).
 */
struct hll_cursor {
    size_t at;      /* a run */
    uint32_t first; /* its first register */
};
#define HLL_CURSOR_FIRST ((struct hll_cursor){ HLL_HEADER, 0 })
enum hll_raised hll_raise_next(
    struct hll_buffer *buffer, struct hll_cursor *cursor, struct hll_place place, size_t sparse_max);

/* The same in a dense one, wherever it lies. True if it was lower. */
bool hll_raise_dense(char *hll, struct hll_place place);

/* The value of a register of a dense one. */
unsigned hll_dense_register(struct bytes hll, uint32_t index);

/* What hll_raise would answer, but for memory; changes nothing. */
enum hll_raised hll_would_raise(struct bytes hll, struct hll_place place);

/* Makes a sparse one dense; false, with nothing changed, if it is corrupt. */
bool hll_make_dense(struct hll_buffer *buffer);

/* Writes all registers of a dense one. */
void hll_write_dense(char *hll, const uint8_t *registers);

/* A run of a sparse one. */
struct hll_run {
    uint32_t len;  /* registers */
    uint8_t value; /* of each */
    uint8_t size;  /* bytes: 1, or 2 for a long run of zeros */
};

/* Reads the run at `at`, which begins as HLL_HEADER; false at the end and where the bytes are cut off. */
bool hll_read_run(struct bytes hll, size_t at, struct hll_run *run);
