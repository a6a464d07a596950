/*
 * Random numbers: a fast generator for sampling (xoshiro256**, Blackman and Vigna 2018), and the system's for secrets.
 *
 * The next RANDOM_AHEAD numbers are there before they are asked for, so that who draws from much memory can have
 * fetched what the next draws will look at.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { RANDOM_AHEAD = 32 };

struct random {
    uint64_t s[4];
    uint64_t next[RANDOM_AHEAD]; /* a ring: numbers that come next, from `at` on */
    uint32_t at;
};

/* The same seed gives the same numbers. */
void random_init(struct random *random, uint64_t seed);

/* Begins in that state of the generator, which is not all zero. */
void random_init_state(struct random *random, const uint64_t s[4]);

/* Seeded by the system. */
void random_init_secret(struct random *random);

/* 64 uniform bits. */
uint64_t random_next(struct random *random);

/* What random_next will answer after `ahead` more calls; ahead below RANDOM_AHEAD. */
static inline uint64_t random_ahead(const struct random *random, unsigned ahead)
{
    return random->next[(random->at + ahead) % RANDOM_AHEAD];
}

/* Uniform in 0 to bound - 1, without bias (Lemire 2019); bound above 0. */
uint64_t random_below(struct random *random, uint64_t bound);

/* Uniform in [0, 1), 53 bits. */
double random_double(struct random *random);

/* Fills with bytes fit for keys and tokens; aborts if the system has none. */
void random_secret(void *out, size_t len);

/* `len` lower-case hexadecimal digits fit for a run ID, terminated: room for len + 1. */
void random_hex(char *out, size_t len);
