/*
 * xoshiro256** for sampling, getrandom for secrets.
 *
 * xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018) has 256 bits of state,
 * which must not be all zero; splitmix64 spreads a 64-bit seed over it. It is fast and even, and no secret: who has
 * seen some numbers knows the next.
 */
#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"

#include "wide_priv.h"

static uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static inline uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t generate(uint64_t s[4])
{
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

void random_init_state(struct random *random, const uint64_t s[4])
{
    memcpy(random->s, s, sizeof(random->s));
    for (size_t i = 0; i < RANDOM_AHEAD; i++)
        random->next[i] = generate(random->s);
    random->at = 0;
}

void random_init(struct random *random, uint64_t seed)
{
    uint64_t s[4];

    for (size_t i = 0; i < 4; i++)
        s[i] = splitmix_next(&seed);
    random_init_state(random, s);
}

void random_init_secret(struct random *random)
{
    uint64_t s[4];

    do
        random_secret(s, sizeof(s));
    while ((s[0] | s[1] | s[2] | s[3]) == 0);
    random_init_state(random, s);
}

uint64_t random_next(struct random *random)
{
    uint64_t *next = &random->next[random->at];
    uint64_t result = *next;
    *next = generate(random->s);
    random->at = (random->at + 1) % RANDOM_AHEAD;
    return result;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    DASSERT(bound != 0);
    uint128_t product = (uint128_t)random_next(random) * bound;

    /* Only a low half below 2^64 mod bound is biased, and that is below `bound`: the division is hardly ever needed. */
    if ((uint64_t)product < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)product < threshold)
            product = (uint128_t)random_next(random) * bound;
    }
    return (uint64_t)(product >> 64);
}

double random_double(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

void random_secret(void *out, size_t len)
{
    char *at = out;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

void random_hex(char *out, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    random_secret(out, len);
    for (size_t i = 0; i < len; i++)
        out[i] = digits[out[i] & 15];
    out[len] = '\0';
}
