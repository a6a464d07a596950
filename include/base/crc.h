/*
 * The checksum of the file formats.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-64 "Jones" (reflected, polynomial ad93d23594c935a9), continued from `crc`; begin with 0. 10 GB/s and
 * more on long inputs where the processor helps, 1.5 otherwise.
 */
uint64_t crc64(uint64_t crc, const void *ptr, size_t len);
