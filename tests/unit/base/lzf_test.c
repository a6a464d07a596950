/*
 * LZF: what is packed comes back, within the bytes that it was given; broken input is refused; known bytes.
 */
#include "base/lzf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "seed.h"

/* Packed bytes in hexadecimal, and what they are unpacked. */
static void check_unpacked(const char *hex, const char *expected)
{
    unsigned char packed[16];
    char out[64];
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++)
        sscanf(hex + 2 * i, "%2hhx", &packed[i]);
    size_t unpacked = lzf_unpack(packed, len, out, sizeof out);
    cr_assert_eq(unpacked, strlen(expected), "%s: %zu bytes", hex, unpacked);
    cr_assert_eq(memcmp(out, expected, unpacked), 0, "%s", hex);
}

Test(lzf, known_bytes)
{
    check_unpacked("016162e00100", "abbbbbbbbbbb"); /* two literals, then ten bytes that repeat the second */
    check_unpacked("00612000", "aaaa");
}

Test(lzf, broken_input)
{
    check_unpacked("056162", "");     /* literals that are not there */
    check_unpacked("00612001", "");   /* before the beginning */
    check_unpacked("006120", "");     /* half a match */
    check_unpacked("0061e020", "");   /* half a long match */
    check_unpacked("0061e0ff00", ""); /* more than there is room for */
}

/* Text of which parts repeat, near and far. */
static void make_text(struct random *random, unsigned char *text, size_t len)
{
    unsigned letters = 1 + (unsigned)random_below(random, 255);
    for (size_t at = 0; at < len;) {
        size_t count = 1 + random_below(random, 300);
        count = count < len - at ? count : len - at;
        if (at && random_below(random, 2)) {
            size_t back = 1 + random_below(random, at < 20000 ? at : 20000);
            for (size_t i = 0; i < count; i++)
                text[at + i] = text[at + i - back];
        } else {
            for (size_t i = 0; i < count; i++)
                text[at + i] = (unsigned char)random_below(random, letters);
        }
        at += count;
    }
}

Test(lzf, random_text_comes_back)
{
    static const size_t lengths[] = { 8, 30, 300, 5000, 200000 };
    struct random random = seed_random(__func__);
    size_t packed_count = 0;
    for (int i = 0; i < 1000; i++) {
        size_t len = 1 + random_below(&random, lengths[i < 980 ? i % 4 : 4]);
        unsigned char *text = mem_alloc(len), *packed = mem_alloc(len), *unpacked = mem_alloc(len);
        make_text(&random, text, len);
        size_t room = i % 3 ? len : random_below(&random, len + 1), packed_len = lzf_pack(text, len, packed, room);
        cr_assert(packed_len <= room);
        if (packed_len) {
            packed_count++;
            cr_assert_eq(lzf_unpack(packed, packed_len, unpacked, len), len);
            cr_assert_eq(memcmp(text, unpacked, len), 0);
            cr_assert_eq(lzf_unpack(packed, packed_len, unpacked, len - 1), 0);
        }
        mem_free(text);
        mem_free(packed);
        mem_free(unpacked);
    }
    cr_assert(packed_count > 100);
}

Test(lzf, any_bytes_stay_within_bounds)
{
    struct random random = seed_random(__func__);
    for (int i = 0; i < 5000; i++) {
        unsigned char input[100] = { 0 };
        size_t len = random_below(&random, sizeof input), room = random_below(&random, 1000);
        for (size_t at = 0; at < len; at++)
            input[at] = (unsigned char)(random_next(&random) & (i & 1 ? 255 : 0xe3));
        unsigned char *placed = mem_dup(input, len + 1), *out = mem_alloc(room + 1);
        out[room] = 0x5a;
        cr_assert(lzf_unpack(placed, len, out, room) <= room);
        cr_assert_eq(out[room], 0x5a);
        mem_free(placed);
        mem_free(out);
    }
}
