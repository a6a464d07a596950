/*
 * Tests of the listpack: golden bytes (those that DUMP of redis-server 7.0.15 shows), the contract case by case, a
 * model of byte strings in an array that random edits must agree with, and hostile bytes against listpack_validate.
 * Random tests print their seed; LARDER_TEST_SEED repeats one.
 */
#include "ds/listpack.h"

#include "base/mem.h"
#include "base/random.h"
#include "packed_fixture.h"

static bool is_valid(const unsigned char *pack)
{
    return listpack_validate(pack, listpack_bytes(pack), NULL, NULL);
}

static bool holds(const unsigned char *pack, const void *bytes, size_t len)
{
    return listpack_bytes(pack) == len && memcmp(pack, bytes, len) == 0;
}

/* A listpack of words, ended by NULL. */
static unsigned char *make(const char *const *words)
{
    unsigned char *pack = listpack_create(0);
    for (; *words; words++)
        REQUIRE(listpack_append(&pack, bytes_from_cstr(*words)));
    return pack;
}

#define MAKE(...) make((const char *const[]){ __VA_ARGS__, NULL })

/* True if `pack` is whole and its entries, joined by spaces, are `text`. */
static bool reads(const unsigned char *pack, const char *text)
{
    char joined[1000] = "", scratch[NUM_I64_MAX_LEN];
    size_t len = 0;
    for (uint32_t at = listpack_first(pack); at; at = listpack_next(pack, at)) {
        struct bytes entry = listpack_get_bytes(pack, at, scratch);
        len += (size_t)sprintf(joined + len, "%s%.*s", len ? " " : "", (int)entry.len, entry.ptr);
    }
    if (strcmp(joined, text) != 0)
        fprintf(stderr, "'%s' instead of '%s'\n", joined, text);
    return is_valid(pack) && strcmp(joined, text) == 0;
}

/* Golden bytes. */

static const struct {
    const char *text;
    const char *entry;
    size_t len;
} short_entries[] = {
    { "0", "\x00\x01", 2 },
    { "127", "\x7f\x01", 2 },
    { "128", "\xc0\x80\x02", 3 },
    { "-1", "\xdf\xff\x02", 3 },
    { "4095", "\xcf\xff\x02", 3 },
    { "-4096", "\xd0\x00\x02", 3 },
    { "4096", "\xf1\x00\x10\x03", 4 },
    { "-4097", "\xf1\xff\xef\x03", 4 },
    { "32767", "\xf1\xff\x7f\x03", 4 },
    { "-32768", "\xf1\x00\x80\x03", 4 },
    { "32768", "\xf2\x00\x80\x00\x04", 5 },
    { "-32769", "\xf2\xff\x7f\xff\x04", 5 },
    { "8388607", "\xf2\xff\xff\x7f\x04", 5 },
    { "-8388608", "\xf2\x00\x00\x80\x04", 5 },
    { "8388608", "\xf3\x00\x00\x80\x00\x05", 6 },
    { "-8388609", "\xf3\xff\xff\x7f\xff\x05", 6 },
    { "2147483647", "\xf3\xff\xff\xff\x7f\x05", 6 },
    { "-2147483648", "\xf3\x00\x00\x00\x80\x05", 6 },
    { "2147483648", "\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09", 10 },
    { "-2147483649", "\xf4\xff\xff\xff\x7f\xff\xff\xff\xff\x09", 10 },
    { "9223372036854775807", "\xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09", 10 },
    { "-9223372036854775808", "\xf4\x00\x00\x00\x00\x00\x00\x00\x80\x09", 10 },
    { "9223372036854775808",
        "\x93"
        "9223372036854775808\x14",
        21 },
    { "-9223372036854775809",
        "\x94"
        "-9223372036854775809\x15",
        22 },
    { "", "\x80\x01", 2 },
    { "-", "\x81-\x02", 3 },
    { "-0", "\x82-0\x03", 4 },
    { "00",
        "\x82"
        "00\x03",
        4 },
    { "+1", "\x82+1\x03", 4 },
    { "1 ",
        "\x82"
        "1 \x03",
        4 },
    { "1.0",
        "\x83"
        "1.0\x04",
        5 },
    { "hello", "\x85hello\x06", 7 },
};

Test(listpack, an_empty_one_is_seven_bytes)
{
    unsigned char *pack = listpack_create(0);
    REQUIRE(holds(pack, "\x07\x00\x00\x00\x00\x00\xff", 7));
    REQUIRE(is_valid(pack) && listpack_is_empty(pack) && listpack_count(pack) == 0);
    REQUIRE(listpack_first(pack) == 0 && listpack_last(pack) == 0);
    REQUIRE(listpack_seek(pack, 0) == 0 && listpack_seek(pack, -1) == 0);
    REQUIRE(listpack_find(pack, listpack_first(pack), BYTES("a"), 0) == 0);
    REQUIRE(listpack_find(pack, listpack_end(pack), BYTES("a"), 0) == 0);
    listpack_destroy(pack);
    listpack_destroy(NULL);
}

Test(listpack, short_entries_have_the_bytes_of_the_format)
{
    for (size_t i = 0; i < LEN(short_entries); i++) {
        struct bytes text = bytes_from_cstr(short_entries[i].text);
        unsigned char *pack = listpack_create(0);
        REQUIRE(listpack_append(&pack, text) == LISTPACK_HEADER);
        cr_assert(listpack_bytes(pack) == 7 + short_entries[i].len &&
                      memcmp(pack + 6, short_entries[i].entry, short_entries[i].len) == 0,
            "bytes of '%s'", short_entries[i].text);
        char scratch[NUM_I64_MAX_LEN];
        cr_assert(bytes_equal(listpack_get_bytes(pack, 6, scratch), text), "'%s' reads back", short_entries[i].text);
        int64_t number;
        REQUIRE((listpack_get(pack, 6).text == NULL) == num_parse_i64(text, &number));
        REQUIRE(listpack_find(pack, 6, text, 0) == 6 && is_valid(pack));
        listpack_destroy(pack);
    }
}

static const struct {
    size_t len;
    const char *head, *backlen;
    size_t head_len, backlen_size;
} long_entries[] = {
    { 63, "\xbf", "\x40", 1, 1 },
    { 64, "\xe0\x40", "\x42", 2, 1 },
    { 125, "\xe0\x7d", "\x7f", 2, 1 },
    { 126, "\xe0\x7e", "\x01\x80", 2, 2 },
    { 4095, "\xef\xff", "\x20\x81", 2, 2 },
    { 4096, "\xf0\x00\x10\x00\x00", "\x20\x85", 5, 2 },
    { 16377, "\xf0\xf9\x3f\x00\x00", "\x7f\xfe", 5, 2 },
    { 16378, "\xf0\xfa\x3f\x00\x00", "\x00\xff\xff", 5, 3 },
    { 16379, "\xf0\xfb\x3f\x00\x00", "\x01\x80\x80", 5, 3 },
    { 65535, "\xf0\xff\xff\x00\x00", "\x04\x80\x84", 5, 3 },
    { 2097145, "\xf0\xf9\xff\x1f\x00", "\x7f\xff\xfe", 5, 3 },
    { 2097146, "\xf0\xfa\xff\x1f\x00", "\x00\xff\xff\xff", 5, 4 },
    { 2097147, "\xf0\xfb\xff\x1f\x00", "\x01\x80\x80\x80", 5, 4 },
};

Test(listpack, long_entries_have_the_bytes_of_the_format)
{
    for (size_t i = 0; i < LEN(long_entries); i++) {
        size_t len = long_entries[i].len, head_len = long_entries[i].head_len, back = long_entries[i].backlen_size;
        char *text = mem_alloc(len);
        memset(text, 'x', len);
        unsigned char *pack = MAKE("a");
        uint32_t at = listpack_append(&pack, bytes_make(text, len));
        REQUIRE(at == 9 && listpack_append(&pack, BYTES("b")));
        cr_assert(memcmp(pack + 9, long_entries[i].head, head_len) == 0, "head of %zu", len);
        REQUIRE(memcmp(pack + 9 + head_len, text, len) == 0);
        cr_assert(memcmp(pack + 9 + head_len + len, long_entries[i].backlen, back) == 0, "backlen of %zu", len);
        REQUIRE(listpack_next(pack, at) == 9 + head_len + len + back);
        REQUIRE(listpack_prev(pack, listpack_last(pack)) == at && listpack_prev(pack, at) == 6);
        REQUIRE(listpack_find(pack, at, bytes_make(text, len), 0) == at && is_valid(pack));
        listpack_destroy(pack);
        mem_free(text);
    }
}

/* HSET h f1 v1 n 1000 b -5: the bytes behind the length in what DUMP answers. */
Test(listpack, a_hash_of_three_fields_has_the_bytes_of_redis)
{
    unsigned char *pack = MAKE("f1", "v1", "n", "1000", "b", "-5");
    static const char golden[] =
        "\x1b\x00\x00\x00\x06\x00\x82\x66\x31\x03\x82\x76\x31\x03\x81\x6e\x02\xc3\xe8\x02\x81\x62"
        "\x02\xdf\xfb\x02\xff";
    REQUIRE(holds(pack, golden, sizeof golden - 1));
    listpack_destroy(pack);
}

/* Contract cases. */

Test(listpack, entries_go_in_at_any_place)
{
    unsigned char *pack = MAKE("b", "d");
    REQUIRE(listpack_prepend(&pack, BYTES("a")) == 6);
    uint32_t at = listpack_insert(&pack, listpack_last(pack), BYTES("c"));
    REQUIRE(at == listpack_seek(pack, 2));
    REQUIRE(reads(pack, "a b c d"));
    REQUIRE(listpack_insert(&pack, listpack_after(pack, at), BYTES("c2")));
    REQUIRE(listpack_insert(&pack, listpack_end(pack), BYTES("e")));
    REQUIRE(listpack_insert(&pack, at, BYTES("-70000")) == at);
    REQUIRE(listpack_insert(&pack, LISTPACK_HEADER, BYTES("5")) && listpack_append_i64(&pack, INT64_MIN));
    REQUIRE(reads(pack, "5 a b -70000 c c2 d e -9223372036854775808"));
    REQUIRE(listpack_count(pack) == 9);
    listpack_destroy(pack);
}

Test(listpack, a_batch_goes_in_at_once)
{
    const struct bytes texts[] = { BYTES("x"), BYTES("12"), BYTES("") };
    unsigned char *pack = MAKE("a", "b");
    REQUIRE(listpack_insert_batch(&pack, listpack_last(pack), texts, 3) == 9);
    REQUIRE(reads(pack, "a x 12  b"));
    REQUIRE(listpack_insert_batch(&pack, listpack_end(pack), texts, 2));
    REQUIRE(listpack_insert_batch(&pack, listpack_end(pack), texts, 0) == listpack_end(pack));
    REQUIRE(reads(pack, "a x 12  b x 12"));
    listpack_destroy(pack);
}

Test(listpack, replacing_changes_one_entry)
{
    unsigned char *pack = MAKE("aa", "bb", "cc");
    uint32_t at = listpack_seek(pack, 1);
    REQUIRE(listpack_replace(&pack, at, BYTES("XY")) && reads(pack, "aa XY cc"));
    REQUIRE(listpack_replace(&pack, at, BYTES("longer")) && reads(pack, "aa longer cc"));
    REQUIRE(listpack_replace(&pack, at, BYTES("7")) && reads(pack, "aa 7 cc"));
    REQUIRE(listpack_replace_i64(&pack, at, 1 << 30) && reads(pack, "aa 1073741824 cc"));
    REQUIRE(listpack_replace(&pack, listpack_last(pack), BYTES("z")) && reads(pack, "aa 1073741824 z"));
    listpack_destroy(pack);
}

Test(listpack, entries_go_out_at_any_place)
{
    unsigned char *pack = MAKE("a", "b", "c", "d", "e", "f", "g");
    REQUIRE(listpack_delete(&pack, listpack_seek(pack, 1)) == listpack_seek(pack, 1));
    REQUIRE(reads(pack, "a c d e f g"));
    REQUIRE(listpack_delete(&pack, listpack_last(pack)) == 0 && reads(pack, "a c d e f"));
    REQUIRE(listpack_delete_range(&pack, listpack_seek(pack, 1), 2) == 2 && reads(pack, "a e f"));
    REQUIRE(listpack_delete_range(&pack, listpack_seek(pack, 1), 0) == 0 && reads(pack, "a e f"));
    REQUIRE(listpack_delete_range(&pack, listpack_seek(pack, 1), SIZE_MAX) == 2 && reads(pack, "a"));
    REQUIRE(listpack_delete(&pack, 6) == 0 && holds(pack, "\x07\x00\x00\x00\x00\x00\xff", 7));
    listpack_destroy(pack);
}

Test(listpack, a_batch_goes_out_in_one_pass)
{
    unsigned char *pack = MAKE("a", "b", "c", "d", "e", "f");
    uint32_t places[] = { listpack_seek(pack, 0), listpack_seek(pack, 1), listpack_seek(pack, 3),
        listpack_seek(pack, 5) };
    listpack_delete_batch(&pack, places, 4);
    REQUIRE(reads(pack, "c e"));
    listpack_delete_batch(&pack, places, 0);
    REQUIRE(reads(pack, "c e"));
    listpack_destroy(pack);
}

Test(listpack, splitting_and_joining)
{
    unsigned char *pack = MAKE("a", "b", "c");
    unsigned char *rest = listpack_split(&pack, 1);
    REQUIRE(reads(pack, "a") && reads(rest, "b c"));
    REQUIRE(listpack_concat(&rest, pack) && reads(rest, "b c a") && reads(pack, "a"));
    unsigned char *none = listpack_split(&pack, 1), *all = listpack_split(&rest, 0);
    REQUIRE(reads(none, "") && reads(pack, "a") && reads(rest, "") && reads(all, "b c a"));
    REQUIRE(listpack_concat(&rest, all) && listpack_concat(&rest, none) && reads(rest, "b c a"));
    REQUIRE(listpack_delete_range(&rest, 6, 3) == 3);
    REQUIRE(holds(rest, "\x07\x00\x00\x00\x00\x00\xff", 7));
    unsigned char *copy = listpack_copy(all);
    REQUIRE(holds(copy, all, listpack_bytes(all)));
    listpack_destroy(copy);
    listpack_destroy(none);
    listpack_destroy(all);
    listpack_destroy(rest);
    listpack_destroy(pack);
}

Test(listpack, finding_looks_at_values_and_skips)
{
    unsigned char *pack = MAKE("k1", "v", "v", "2", "3", "k1", "007", "9");
    REQUIRE(listpack_find(pack, 6, BYTES("v"), 0) == listpack_seek(pack, 1));
    REQUIRE(listpack_find(pack, 6, BYTES("v"), 1) == listpack_seek(pack, 2));
    REQUIRE(listpack_find(pack, 6, BYTES("2"), 1) == 0);
    REQUIRE(listpack_find(pack, listpack_seek(pack, 1), BYTES("2"), 1) == listpack_seek(pack, 3));
    REQUIRE(listpack_find(pack, 6, BYTES("2"), 2) == listpack_seek(pack, 3));
    REQUIRE(listpack_find(pack, listpack_seek(pack, 1), BYTES("k1"), 0) == listpack_seek(pack, 5));
    REQUIRE(listpack_find(pack, 6, BYTES("7"), 0) == 0 && listpack_find(pack, 6, BYTES("007"), 0));
    REQUIRE(listpack_find(pack, 6, BYTES(""), 0) == 0 && listpack_find(pack, 6, BYTES("9"), 8) == 0);
    REQUIRE(listpack_find(pack, 0, BYTES("k1"), 0) == 0);
    listpack_destroy(pack);
}

/*
 * Redis accepts entries that are longer than need be, and so must we: an integer as text, a short text as a long one.
 */
Test(listpack, finding_sees_through_longer_forms)
{
    static const unsigned char odd[] =
        "\x1c\x00\x00\x00\x04\x00\x82\x31\x32\x03\xe0\x01\x61\x03\xf1\x05\x00\x03\xf0\x02\x00"
        "\x00\x00\x62\x63\x07\xff";
    unsigned char bytes[sizeof odd - 1];
    memcpy(bytes, odd, sizeof bytes);
    bytes[0] = sizeof bytes;
    REQUIRE(reads(bytes, "12 a 5 bc"));
    REQUIRE(listpack_find(bytes, 6, BYTES("12"), 0) == 6);
    REQUIRE(listpack_find(bytes, 6, BYTES("a"), 0) == 10);
    REQUIRE(listpack_find(bytes, 6, BYTES("5"), 0) == 14);
    REQUIRE(listpack_find(bytes, 6, BYTES("bc"), 0) == 18);
}

Test(listpack, seeking_counts_from_both_ends)
{
    unsigned char *pack = MAKE("0", "1", "2", "3", "4");
    for (int64_t i = -7; i <= 7; i++) {
        uint32_t at = listpack_seek(pack, i);
        REQUIRE((at != 0) == (i >= -5 && i < 5));
        if (at)
            REQUIRE(listpack_get(pack, at).number == (i < 0 ? i + 5 : i));
    }
    REQUIRE(listpack_seek(pack, INT64_MIN) == 0 && listpack_seek(pack, INT64_MAX) == 0);
    listpack_destroy(pack);
}

Test(listpack, the_count_gets_lost_at_65535_and_is_found_by_walking)
{
    unsigned char *pack = listpack_create(140000);
    for (int i = 0; i < 65534; i++)
        REQUIRE(listpack_append_i64(&pack, i & 127));
    REQUIRE(pack[4] == 0xfe && pack[5] == 0xff && listpack_count(pack) == 65534);
    REQUIRE(listpack_append_i64(&pack, 1) && pack[4] == 0xff && pack[5] == 0xff && listpack_count(pack) == 65535);
    REQUIRE(listpack_append_i64(&pack, 2) && listpack_count(pack) == 65536 && is_valid(pack));
    REQUIRE(listpack_get(pack, listpack_seek(pack, 65534)).number == 1);
    REQUIRE(listpack_seek(pack, 65536) == 0 && listpack_seek(pack, -65537) == 0 && listpack_seek(pack, -65536) == 6);
    REQUIRE(listpack_delete_range(&pack, 6, 10) == 10 && listpack_count(pack) == 65526 && is_valid(pack));
    unsigned char *rest = listpack_split(&pack, 5);
    REQUIRE(pack[4] == 5 && pack[5] == 0 && is_valid(pack) && is_valid(rest));
    REQUIRE(listpack_count(rest) == 65521 && rest[4] == 0xf1);
    REQUIRE(listpack_concat(&rest, pack) && listpack_count(rest) == 65526 && rest[5] == 0xff);
    unsigned char *all = listpack_copy(rest);
    REQUIRE(listpack_concat(&all, rest) && all[4] == 0xff && listpack_count(all) == 131052 && is_valid(all));
    REQUIRE(listpack_delete_range(&all, 6, SIZE_MAX) == 131052 && holds(all, "\x07\x00\x00\x00\x00\x00\xff", 7));
    listpack_destroy(all);
    listpack_destroy(pack);
    listpack_destroy(rest);
}

/* Memory and limits. */

Test(listpack, memory_follows_what_is_held)
{
    unsigned char *pack = listpack_create(1000);
    REQUIRE(listpack_memory(pack) >= 1000);
    listpack_trim(&pack);
    REQUIRE(listpack_memory(pack) <= 64);
    listpack_destroy(pack);
    pack = listpack_create(10007);
    unsigned char *before = pack;
    for (int i = 0; i < 1000; i++)
        REQUIRE(listpack_append(&pack, BYTES("12345678")));
    REQUIRE(pack == before);
    REQUIRE(listpack_delete_range(&pack, 6, 900) == 900);
    REQUIRE(listpack_memory(pack) < 2 * listpack_bytes(pack) + 64 && is_valid(pack));
    REQUIRE(listpack_delete_range(&pack, 6, 100) == 100);
    REQUIRE(listpack_memory(pack) <= 64 && is_valid(pack));
    listpack_destroy(pack);
}

/* The texts are never read: their length alone is refused. */
Test(listpack, a_gigabyte_is_refused)
{
    unsigned char *pack = MAKE("a"), *copy = listpack_copy(pack);
    const struct bytes huge = { "", LISTPACK_MAX_BYTES }, third = { "", LISTPACK_MAX_BYTES / 3 },
                       absurd = { "", SIZE_MAX / 2 };
    const struct bytes batch[] = { third, third, third };
    REQUIRE(!listpack_append(&pack, huge) && !listpack_append(&pack, absurd) && !listpack_prepend(&pack, huge));
    REQUIRE(!listpack_replace(&pack, 6, huge) && !listpack_insert_batch(&pack, 6, batch, 3));
    REQUIRE(listpack_has_room(pack, 100) && !listpack_has_room(pack, LISTPACK_MAX_BYTES - 10));
    REQUIRE(listpack_has_room(pack, LISTPACK_MAX_BYTES - 11));
    REQUIRE(holds(pack, copy, listpack_bytes(copy)));
    listpack_destroy(pack);
    listpack_destroy(copy);
}

Test(listpack, nothing_changes_when_memory_is_out)
{
    char text[5000];
    memset(text, 't', sizeof text);
    const struct bytes large = { text, sizeof text }, batch[] = { large, BYTES("x"), large };
    unsigned char *pack = MAKE("a", "b", "c"), *copy = listpack_copy(pack), *other = listpack_create(0);
    REQUIRE(listpack_append(&other, large));
    for (int i = 0; i < 7; i++) {
        bool done = true;
        mem_fail_nth(1);
        switch (i) {
        case 0:
            done = listpack_append(&pack, large);
            break;
        case 1:
            done = listpack_prepend(&pack, large);
            break;
        case 2:
            done = listpack_insert_batch(&pack, 9, batch, 3);
            break;
        case 3:
            done = listpack_replace(&pack, 9, large);
            break;
        case 4:
            done = listpack_concat(&pack, other);
            break;
        case 5:
            done = listpack_split(&pack, 1);
            break;
        case 6:
            done = listpack_copy(pack);
            break;
        }
        mem_fail_nth(0);
        cr_assert(!done && holds(pack, copy, listpack_bytes(copy)), "case %d", i);
    }
    /* What deletes needs no memory, even where it would give some back. */
    mem_fail_nth(1);
    REQUIRE(listpack_delete(&other, 6) == 0 && reads(other, ""));
    mem_fail_nth(0);
    listpack_destroy(pack);
    listpack_destroy(copy);
    listpack_destroy(other);
}

/* Random picks. */

Test(listpack, picks_are_uniform)
{
    enum { PAIRS = 10, PICKS = 20000 };
    struct random random = seed_random(__func__);
    unsigned char *pack = listpack_create(0);
    for (int i = 0; i < PAIRS; i++)
        REQUIRE(listpack_append_i64(&pack, i) && listpack_append(&pack, BYTES("value")));
    static uint32_t places[PICKS];
    unsigned ones[PAIRS] = { 0 }, sampled[PAIRS] = { 0 };
    for (int i = 0; i < PICKS; i++) {
        uint32_t few[4];
        ones[listpack_get(pack, listpack_random(pack, 2, &random)).number]++;
        REQUIRE(listpack_sample(pack, 2, &random, few, 4) == 4);
        for (int j = 0; j < 4; j++) {
            REQUIRE(j == 0 || few[j - 1] < few[j]);
            sampled[listpack_get(pack, few[j]).number]++;
        }
    }
    /* Seven standard deviations of a binomial distribution are 297 and, for the samples, 485. */
    for (int i = 0; i < PAIRS; i++) {
        REQUIRE(abs((int)ones[i] - PICKS / PAIRS) < 300);
        REQUIRE(abs((int)sampled[i] - 4 * PICKS / PAIRS) < 490);
    }
    REQUIRE(listpack_sample(pack, 2, &random, places, PICKS) == PAIRS);
    REQUIRE(listpack_sample(pack, 1, &random, places, PICKS) == 2 * PAIRS && places[1] == listpack_seek(pack, 1));
    listpack_destroy(pack);
}
