/*
 * Comparing the tags of a bucket's slots, all at once.
 *
 * A loop over the slots costs a mispredicted branch per look-up, and speculation then loads items that nobody sought;
 * without branches a look-up in cache takes a third of the time. SSE2 is part of every x86-64; elsewhere, and with
 * LARDER_PORTABLE, plain C does.
 */
#pragma once

#include <stdint.h>

#if defined(__SSE2__) && !defined(LARDER_PORTABLE)
#include <emmintrin.h>
#define TABLE_TAGS_SSE2 1
#endif

/* Of seven slots, and an eighth word that is ignored, 64-aligned: bit i is set where the top 16 bits of slot i are
 * those of `hash`. */
static inline __attribute__((always_inline)) unsigned table_tags_match(const uint64_t *slots, uint64_t hash)
{
#ifdef TABLE_TAGS_SSE2
    const __m128i *pairs = (const __m128i *)slots;
    __m128i tag = _mm_set1_epi16((short)(hash >> 48));
    __m128i equal[4];
    /* The tag is the top half of a slot's odd 32-bit lane; the shift spreads its comparison over the lane. */
    for (int i = 0; i < 4; i++)
        equal[i] = _mm_srai_epi32(_mm_cmpeq_epi16(_mm_load_si128(pairs + i), tag), 16);
    __m128 low = _mm_shuffle_ps(_mm_castsi128_ps(equal[0]), _mm_castsi128_ps(equal[1]), _MM_SHUFFLE(3, 1, 3, 1));
    __m128 high = _mm_shuffle_ps(_mm_castsi128_ps(equal[2]), _mm_castsi128_ps(equal[3]), _MM_SHUFFLE(3, 1, 3, 1));
    return (unsigned)(_mm_movemask_ps(low) | _mm_movemask_ps(high) << 4) & 0x7f;
#else
    unsigned match = 0;
    for (int i = 0; i < 7; i++)
        match |= (unsigned)((slots[i] ^ hash) >> 48 == 0) << i;
    return match;
#endif
}
