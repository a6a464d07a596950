/*
 * Checksums, by table.
 *
 * CRC-64 takes eight bytes a step: table k holds what a byte does to the checksum when k more bytes follow it, so that
 * eight look-ups that do not wait for each other replace a chain of eight (Kounavis and Berry, "A systematic approach
 * to building high performance software-based CRC generators", 2005). The tables (16.5 KB) are computed at the first
 * use, in about 20 us.
 */
#include "base/crc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { CRC_LANES = 8, CRC16_POLYNOMIAL = 0x1021 };

/* ad93d23594c935a9 with its bits in reverse, as everything is in a reflected checksum. */
static const uint64_t CRC64_REFLECTED = 0x95ac9329ac4bc9b5;

static uint64_t table64[CRC_LANES][256];
static uint16_t table16[256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static atomic_bool tables_are_ready;

static void tables_build(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        unsigned crc_16 = byte << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? CRC64_REFLECTED : 0);
            crc_16 = (crc_16 << 1) ^ (crc_16 & 0x8000 ? CRC16_POLYNOMIAL : 0);
        }
        table64[0][byte] = crc;
        table16[byte] = (uint16_t)crc_16;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        for (int lane = 1; lane < CRC_LANES; lane++) {
            uint64_t before = table64[lane - 1][byte];
            table64[lane][byte] = (before >> 8) ^ table64[0][before & 255];
        }
    }
    atomic_store_explicit(&tables_are_ready, true, memory_order_release);
}

static inline void tables_prepare(void)
{
    if (__builtin_expect(!atomic_load_explicit(&tables_are_ready, memory_order_acquire), 0))
        pthread_once(&tables_once, tables_build);
}

uint64_t crc64(uint64_t crc, const void *ptr, size_t len)
{
    const unsigned char *at = ptr;

    tables_prepare();
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; len >= CRC_LANES; at += CRC_LANES, len -= CRC_LANES) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        word ^= crc;
        crc = table64[7][word & 255] ^ table64[6][word >> 8 & 255] ^ table64[5][word >> 16 & 255] ^
              table64[4][word >> 24 & 255] ^ table64[3][word >> 32 & 255] ^ table64[2][word >> 40 & 255] ^
              table64[1][word >> 48 & 255] ^ table64[0][word >> 56];
    }
#endif
    for (; len > 0; at++, len--)
        crc = (crc >> 8) ^ table64[0][(crc ^ *at) & 255];
    return crc;
}

uint16_t crc16(const void *ptr, size_t len)
{
    const unsigned char *at = ptr;
    unsigned crc = 0;

    tables_prepare();
    for (; len > 0; at++, len--)
        crc = (crc << 8 & 0xffff) ^ table16[crc >> 8 ^ *at];
    return (uint16_t)crc;
}
