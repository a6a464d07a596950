/*
 * Random numbers: a fast generator for sampling (xoshiro256**, Blackman and Vigna 2018), and the system's for secrets.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t s[4];
};

/* The same seed gives the same numbers. */
void random_init(struct random *random, uint64_t seed);

/* Seeded by the system. */
void random_init_secret(struct random *random);

/* 64 uniform bits. */
uint64_t random_next(struct random *random);

/* Uniform in 0 to bound - 1, without bias (Lemire 2019); bound above 0. */
uint64_t random_below(struct random *random, uint64_t bound);

/* Uniform in [0, 1), 53 bits. */
double random_double(struct random *random);

/* Fills with bytes fit for keys and tokens; aborts if the system has none. */
void random_secret(void *out, size_t len);

/* `len` lower-case hexadecimal digits fit for a run ID, terminated: room for len + 1. */
void random_hex(char *out, size_t len);
