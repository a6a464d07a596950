/*
 * Hashing with XXH3, keyed by 192 secret bytes instead of the usual 64-bit seed: up to 240 bytes of input are mixed
 * with the secret directly, and longer ones do not have to derive a secret from a seed at each call.
 *
 * The header of xxHash is compiled in here (XXH_INLINE_ALL), so that short keys cost no call into the library. About 2
 * ns for a key of 16 bytes.
 */
#include "base/hash.h"

#include <stdbool.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/random.h"

enum { HASH_SECRET_LEN = 192 };

static _Alignas(64) uint8_t secret[HASH_SECRET_LEN];

#ifdef LARDER_DEBUG_CHECKS
static bool secret_is_set;
#endif

void hash_init(void)
{
    random_secret(secret, sizeof(secret));
#ifdef LARDER_DEBUG_CHECKS
    secret_is_set = true;
#endif
}

void hash_init_seeded(uint64_t seed)
{
    struct random random;

    random_init(&random, seed);
    for (size_t i = 0; i < sizeof(secret); i += sizeof(uint64_t)) {
        uint64_t word = random_next(&random);
        memcpy(secret + i, &word, sizeof(word));
    }
#ifdef LARDER_DEBUG_CHECKS
    secret_is_set = true;
#endif
}

uint64_t hash_bytes(const void *ptr, size_t len)
{
#ifdef LARDER_DEBUG_CHECKS
    ASSERT(secret_is_set);
#endif
    return XXH3_64bits_withSecret(ptr, len, secret, sizeof(secret));
}

uint64_t hash_bytes_seeded(const void *ptr, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(ptr, len, seed);
}
