/*
 * Known numbers of the generator, evenness in the coarse, and the shape of secrets.
 */
#include "base/random.h"

#include <string.h>

#include <criterion/criterion.h>

#include "seed.h"

Test(random, first_numbers_of_the_reference)
{
    /* xoshiro256** from the state 1, 2, 3, 4, as published implementations test it. */
    static const uint64_t expected[] = { 11520, 0, 1509978240, 1215971899390074240 };
    struct random random;

    random_init_state(&random, (const uint64_t[]){ 1, 2, 3, 4 });
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(random_next(&random), expected[i]);
}

Test(random, the_same_seed_gives_the_same_numbers)
{
    struct random a, b, c;

    random_init(&a, 7);
    random_init(&b, 7);
    random_init(&c, 8);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t value = random_next(&a);
        cr_assert_eq(value, random_next(&b));
        differs |= value != random_next(&c);
    }
    cr_assert(differs);
}

Test(random, what_comes_is_told_ahead)
{
    struct random random = seed_random("what_comes_is_told_ahead");

    for (int round = 0; round < 10; round++) {
        unsigned ahead = (unsigned)random_below(&random, RANDOM_AHEAD);
        uint64_t expected = random_ahead(&random, ahead);
        for (unsigned i = 0; i < ahead; i++)
            random_next(&random);
        cr_assert_eq(random_next(&random), expected, "%u ahead", ahead);
    }
}

Test(random, below_is_even)
{
    struct random random = seed_random("below_is_even");

    for (uint64_t bound = 1; bound <= 10; bound++) {
        int counts[10] = { 0 };
        for (int i = 0; i < 100000; i++) {
            uint64_t value = random_below(&random, bound);
            cr_assert(value < bound);
            counts[value]++;
        }
        /* Seven standard deviations of the binomial distribution, at most 0.5 * sqrt(n) each. */
        for (uint64_t value = 0; value < bound; value++)
            cr_assert(abs(counts[value] - (int)(100000 / bound)) < 1110, "%d for %" PRIu64, counts[value], bound);
    }
    /* A bound that 2^64 is far from a multiple of: a third of the draws must be refused for the halves to be even. */
    int high = 0;
    for (int i = 0; i < 100000; i++)
        high += random_below(&random, UINT64_C(3) << 62) >= UINT64_C(3) << 61;
    cr_assert(abs(high - 50000) < 1110, "%d", high);
}

Test(random, doubles_are_in_the_unit_interval)
{
    struct random random = seed_random("doubles_are_in_the_unit_interval");
    double sum = 0;

    for (int i = 0; i < 100000; i++) {
        double value = random_double(&random);
        cr_assert(value >= 0 && value < 1);
        sum += value;
    }
    cr_assert(sum > 49300 && sum < 50700);
}

Test(random, secrets_differ)
{
    unsigned char a[300] = { 0 }, b[300] = { 0 };
    struct random x, y;

    random_secret(a, sizeof(a));
    random_secret(b, sizeof(b));
    cr_assert(memcmp(a, b, sizeof(a)) != 0 && memcmp(a + 290, b + 290, 10) != 0);
    random_secret(a, 0);
    random_init_secret(&x);
    random_init_secret(&y);
    cr_assert(memcmp(&x, &y, sizeof(x)) != 0);
}

Test(random, hex_is_terminated)
{
    char text[42], again[42];

    text[41] = 'x';
    random_hex(text, 40);
    random_hex(again, 40);
    cr_assert(strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40 && text[41] == 'x');
    cr_assert_str_neq(text, again);
}
