/*
 * The hash: repeatable with a seed, different with another, and spread evenly over the bits that tables use.
 */
#include "base/hash.h"

#include <stdio.h>

#include <criterion/criterion.h>

#include "guard.h"

Test(hash, a_seed_fixes_it)
{
    uint64_t first[300], other = 0;
    char input[300];

    memset(input, 'x', sizeof(input));
    hash_init_seeded(1);
    for (size_t len = 0; len < 300; len++)
        first[len] = hash_bytes(input, len);
    hash_init_seeded(2);
    for (size_t len = 0; len < 300; len++)
        other += hash_bytes(input, len) == first[len];
    cr_assert_eq(other, 0);
    hash_init_seeded(1);
    for (size_t len = 0; len < 300; len++)
        cr_assert_eq(hash_bytes(input, len), first[len]);
}

Test(hash, the_secret_is_another_in_each_process)
{
    hash_init();
    uint64_t first = hash_bytes("key", 3);
    hash_init();
    cr_assert_neq(hash_bytes("key", 3), first);
}

Test(hash, reads_nothing_behind_the_end)
{
    struct guard guard = guard_create();
    char input[1000];

    hash_init();
    memset(input, 'x', sizeof(input));
    for (size_t len = 0; len < sizeof(input); len++) {
        struct bytes placed = guard_place(&guard, bytes_make(input, len));
        cr_assert_eq(hash_bytes(placed.ptr, len), hash_bytes(input, len));
    }
    guard_destroy(&guard);
}

Test(hash, high_and_low_bits_are_even)
{
    int low[256] = { 0 }, high[256] = { 0 };
    char key[32];

    hash_init_seeded(42);
    for (int i = 0; i < 256 * 1000; i++) {
        uint64_t hash = hash_bytes(key, (size_t)snprintf(key, sizeof(key), "key:%012d", i));
        low[hash & 255]++;
        high[hash >> 56]++;
    }
    /* Six standard deviations of a Poisson distribution of mean 1000. */
    for (int i = 0; i < 256; i++)
        cr_assert(abs(low[i] - 1000) < 190 && abs(high[i] - 1000) < 190, "%d: %d, %d", i, low[i], high[i]);
}
