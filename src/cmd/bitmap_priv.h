/*
 * What the two bitmap families share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "string_priv.h"

/*
 * Reads an argument as the offset of a bit, or, if `field_bits` is not 0 and a '#' stands before it, of a field of that
 * many bits. Answers an error, and returns false, if it is none or lies behind the longest string.
 */
bool bitmap_arg_offset(struct call *call, uint32_t index, uint32_t field_bits, uint64_t *offset);

/* True if writing a byte that is there already would change nothing about the entry, OBJECT ENCODING included. */
static inline bool bitmap_is_raw(const struct entry *entry)
{
    return entry->encoding == STRING_BLOB || (entry->encoding == STRING_EMBEDDED && entry->flags & ENTRY_RAW);
}
