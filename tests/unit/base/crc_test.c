/*
 * The published check values, and the tables against a checksum taken bit by bit.
 */
#include "base/crc.h"

#include <criterion/criterion.h>

#include "guard.h"
#include "seed.h"

Test(crc, check_values)
{
    cr_assert_eq(crc64(0, "123456789", 9), UINT64_C(0xe9c6d914c4b8d9ca));
    cr_assert(crc64(0, "", 0) == 0);
}

static uint64_t naive_crc64(uint64_t crc, const unsigned char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ UINT64_C(0x95ac9329ac4bc9b5) : crc >> 1;
    }
    return crc;
}

Test(crc, random_input_in_random_pieces)
{
    struct random random = seed_random("random_input_in_random_pieces");
    struct guard guard = guard_create();

    for (int i = 0; i < 3000; i++) {
        unsigned char input[700];
        size_t len = random_below(&random, sizeof(input) + 1);
        for (size_t at = 0; at < len; at++)
            input[at] = (unsigned char)random_next(&random);
        struct bytes placed = guard_place(&guard, bytes_make(input, len));
        size_t cut = random_below(&random, len + 1);
        uint64_t start = random_next(&random);
        uint64_t crc = crc64(crc64(start, placed.ptr, cut), placed.ptr + cut, len - cut);
        cr_assert_eq(crc, naive_crc64(start, input, len));
    }
    guard_destroy(&guard);
}
