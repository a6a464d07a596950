/*
 * What the files of the listpack share: its header fields, and the test for text that is kept as an integer.
 */
#pragma once

#include "base/num.h"
#include "ds/listpack.h"

/* The count as it stands in the header, perhaps LISTPACK_COUNT_UNKNOWN. */
static inline unsigned listpack_stated_count(const unsigned char *pack)
{
    return pack[4] | (unsigned)pack[5] << 8;
}

/* True and *number set if `text` is kept as an integer. The first character decides most cases without a call. */
static inline bool listpack_text_is_number(struct bytes text, int64_t *number)
{
    if (text.len - 1 >= NUM_I64_MAX_LEN)
        return false;
    unsigned first = (unsigned char)text.ptr[0];
    return (first == '-' || first - '0' <= 9) && num_parse_i64(text, number);
}
