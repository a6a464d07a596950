/*
 * What is wrong with data that were read, and where.
 */
#pragma once

#include <stdint.h>

enum { RDB_ERROR_TEXT = 192 };

struct rdb_error {
    uint64_t offset;           /* of the byte behind what was being read, from the source's beginning */
    char text[RDB_ERROR_TEXT]; /* terminated; "" while nothing is wrong */
};
