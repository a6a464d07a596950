/*
 * A seed for randomised tests: another one at each run, printed, and taken from LARDER_TEST_SEED where that is set.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

static inline struct random seed_random(const char *test)
{
    const char *given = getenv("LARDER_TEST_SEED");
    struct random random;
    uint64_t seed;

    random_secret(&seed, sizeof(seed));
    if (given != NULL)
        seed = strtoull(given, NULL, 0);
    fprintf(stderr, "%s: LARDER_TEST_SEED=%" PRIu64 "\n", test, seed);
    random_init(&random, seed);
    return random;
}
