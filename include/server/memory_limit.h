/*
 * How much memory there is to share: percentages in maxmemory and maxmemory-clients become bytes here.
 */
#pragma once

#include <stdint.h>

/*
 * Bytes that the process may use: the machine's memory, or what its control group (v2, v1) allows if that is less.
 * Reads files below /proc and /sys.
 */
uint64_t memory_available(void);

/* What a canonical text, "5%" or a number of bytes, means of so many bytes. */
uint64_t memory_share(const char *text, uint64_t whole);
