/*
 * Bits in runs of bytes: counting, finding, combining. Bit 0 is the highest bit of the first byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Ones among the bits `first` to before `end`. */
uint64_t bits_count(const char *text, uint64_t first, uint64_t end);

/* The position of the first bit that is `bit` among the bits `first` to before `end`, or -1. */
int64_t bits_find(const char *text, bool bit, uint64_t first, uint64_t end);

enum bits_op {
    BITS_AND,
    BITS_OR,
    BITS_XOR,
    BITS_NOT,   /* of the one source */
    BITS_DIFF,  /* in the first source and in no other */
    BITS_DIFF1, /* in any other source and not in the first */
    BITS_ANDOR, /* in the first source and in any other */
    BITS_ONE,   /* in exactly one source */
};

/*
 * Writes the bytes `from` to before `to` of what `op` makes of the sources to out[from] and on. Sources count as zeros
 * behind their ends; there is at least one, and two for DIFF, DIFF1 and ANDOR. Breathes (base/fiber.h).
 */
void bits_combine(enum bits_op op, const struct bytes *sources, size_t count, char *out, size_t from, size_t to);
