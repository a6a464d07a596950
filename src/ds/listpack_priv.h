/*
 * What the files of the listpack share: its header fields, and values as they will stand in it.
 */
#pragma once

#include "ds/listpack.h"
#include "ds/listpack_code.h"

/* The count as it stands in the header, perhaps LISTPACK_COUNT_UNKNOWN. */
static inline unsigned listpack_stated_count(const unsigned char *pack)
{
    return pack[4] | (unsigned)pack[5] << 8;
}
