/*
 * Tests of the top-K sketch against exact counts: what a Zipf stream's head is, what bounds the counts keep, and that
 * putting keeps the largest values.
 */
#include "store/topk.h"

#include "fixture.h"

enum { KEYS = 20000, SLOTS = 256 };

static struct bytes name_of(uint64_t number, char text[24])
{
    return bytes_make(text, (size_t)snprintf(text, 24, "key:%" PRIu64, number));
}

static uint64_t hash_of(struct bytes name)
{
    return hash_bytes(name.ptr, name.len);
}

static uint64_t number_of(struct bytes key)
{
    char text[24] = { 0 };
    memcpy(text, key.ptr + 4, key.len - 4);
    return strtoull(text, NULL, 10);
}

static uint64_t seeded(struct random *random)
{
    *random = seed_random(__func__);
    uint64_t seed = random_next(random);
    hash_init_seeded(seed);
    return seed;
}

Test(topk, counts_exactly_while_there_is_room)
{
    struct topk *topk = topk_create(4);
    char text[24];
    for (uint64_t i = 1; i <= 4; i++)
        for (uint64_t times = 0; times < i; times++)
            topk_add(topk, i, 0, name_of(i, text), 10);
    topk_add(topk, 4, 1, name_of(4, text), 5); /* the same key of another database takes the place of the least */
    struct topk_item items[8];
    REQUIRE(topk_best(topk, items, 8) == 4);
    REQUIRE(items[0].count == 40 && items[0].db == 0 && items[0].error == 0 && number_of(items[0].key) == 4);
    REQUIRE(items[1].count == 30 && items[2].count == 20);
    REQUIRE(items[3].count == 15 && items[3].error == 10 && items[3].db == 1);
    REQUIRE(topk_total(topk) == 105 && topk_least(topk) == 15);
    topk_fade(topk);
    REQUIRE(topk_best(topk, items, 1) == 1 && items[0].count == 20 && topk_total(topk) == 52);
    topk_clear(topk);
    REQUIRE(topk_best(topk, items, 8) == 0 && topk_total(topk) == 0);
    topk_destroy(topk);
}

Test(topk, can_do_with_less)
{
    struct topk *topk = topk_create(SLOTS);
    char text[24];
    struct topk_item items[SLOTS];
    for (uint64_t i = 1; i <= SLOTS; i++) {
        topk_add(topk, i << 24, 0, name_of(i, text), i);
        REQUIRE(topk_best(topk, items, SLOTS) == i && items[0].count == i && items[i - 1].count == 1);
    }
    size_t full = topk_memory(topk);
    topk_set_slots(topk, SLOTS / 4);
    REQUIRE(topk_memory(topk) < full / 3 && topk_least(topk) == SLOTS - SLOTS / 4 + 1);
    REQUIRE(topk_best(topk, items, SLOTS) == SLOTS / 4);
    for (uint64_t i = 0; i < SLOTS / 4; i++)
        REQUIRE(items[i].count == SLOTS - i && number_of(items[i].key) == SLOTS - i);
    topk_add(topk, 1, 1, name_of(7, text), 1);
    REQUIRE(topk_best(topk, items, SLOTS) == SLOTS / 4);
    topk_set_slots(topk, SLOTS);
    topk_add(topk, 1, 2, name_of(8, text), 1000);
    REQUIRE(topk_best(topk, items, SLOTS) == SLOTS / 4 + 1 && items[0].count == 1000 && items[0].error == 0);
    topk_clear(topk);
    REQUIRE(topk_best(topk, items, SLOTS) == 0);
    topk_destroy(topk);
}

Test(topk, finds_the_head_of_a_zipf_stream)
{
    struct random random;
    seeded(&random);
    size_t used = mem_used();
    struct topk *topk = topk_create(SLOTS);
    static uint64_t exact[KEYS], total;
    static double cumulated[KEYS];
    for (int i = 0; i < KEYS; i++)
        cumulated[i] = (i ? cumulated[i - 1] : 0) + 1.0 / (i + 1);
    for (int n = 0; n < 300000; n++) {
        double at = random_double(&random) * cumulated[KEYS - 1];
        size_t low = 0, high = KEYS - 1;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (cumulated[middle] < at)
                low = middle + 1;
            else
                high = middle;
        }
        char text[24];
        struct bytes name = name_of(low, text);
        uint64_t weight = 1 + random_below(&random, 3);
        exact[low] += weight;
        total += weight;
        topk_add(topk, hash_of(name), 0, name, weight);
    }
    REQUIRE(topk_total(topk) == total);
    struct topk_item items[SLOTS];
    size_t count = topk_best(topk, items, SLOTS);
    REQUIRE(count == SLOTS);
    bool found[KEYS] = { 0 };
    for (size_t i = 0; i < count; i++) {
        uint64_t true_count = exact[number_of(items[i].key)];
        found[number_of(items[i].key)] = true;
        REQUIRE(true_count <= items[i].count && true_count >= items[i].count - items[i].error);
        REQUIRE(i == 0 || items[i].count <= items[i - 1].count);
    }
    for (int i = 0; i < KEYS; i++)
        REQUIRE(found[i] || exact[i] <= total / SLOTS);
    for (uint64_t i = 0; i < 20; i++)
        REQUIRE(found[i]);
    topk_destroy(topk);
    REQUIRE(mem_used() == used);
}

Test(topk, keeps_the_largest_values)
{
    struct random random;
    seeded(&random);
    struct topk *topk = topk_create(50);
    static uint64_t value[2000];
    for (int n = 0; n < 2000; n++) {
        char text[24];
        struct bytes name = name_of((uint64_t)n, text);
        value[n] = 1 + random_below(&random, 1000000);
        topk_put(topk, hash_of(name), 0, name, value[n]);
    }
    for (int n = 0; n < 2000; n += 3) { /* gone */
        char text[24];
        struct bytes name = name_of((uint64_t)n, text);
        value[n] = 0;
        topk_put(topk, hash_of(name), 0, name, 0);
    }
    struct topk_item items[50];
    size_t count = topk_best(topk, items, 50);
    REQUIRE(count > 10 && count < 50);
    for (size_t i = 0; i < count; i++)
        REQUIRE(items[i].count == value[number_of(items[i].key)]);
    uint64_t least = items[count - 1].count;
    size_t larger = 0;
    for (int n = 0; n < 2000; n++)
        larger += value[n] >= least;
    REQUIRE(larger == count);
    topk_destroy(topk);
}

Test(topk, cuts_long_keys_but_tells_them_apart)
{
    struct topk *topk = topk_create(4);
    static char long_key[TOPK_KEY_MAX + 10];
    memset(long_key, 'k', sizeof long_key);
    topk_add(topk, 1, 0, bytes_make(long_key, sizeof long_key), 2);
    topk_add(topk, 2, 0, bytes_make(long_key, sizeof long_key - 1), 1);
    topk_add(topk, 3, 0, bytes_make(NULL, 0), 1);
    struct topk_item items[4];
    REQUIRE(topk_best(topk, items, 4) == 3);
    REQUIRE(items[0].cut && items[0].key.len == TOPK_KEY_MAX);
    topk_destroy(topk);
}
