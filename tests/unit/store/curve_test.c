/*
 * Tests of the miss-ratio curve against exact LRU, on streams of skewed, looping and scanning reads; every miss is
 * followed by a store, as with a cache.
 */
#include "store/curve.h"

#include <math.h>

#include "fixture.h"

enum { KEYS_MAX = 200000, LIMIT = 1 << 30 };

/* Exact LRU by the stack: distances from a Fenwick tree over all positions. */
struct oracle {
    uint32_t *last, *tree;
    size_t size, now, reads;
    uint32_t *counts; /* by distance; 0: never seen before */
};

static struct oracle oracle_make(size_t reads)
{
    return (struct oracle){ calloc(KEYS_MAX, 4), calloc(reads + 2, 4), reads + 1, 0, 0, calloc(KEYS_MAX + 1, 4) };
}

static void oracle_add(struct oracle *oracle, size_t at, uint32_t value)
{
    for (; at <= oracle->size; at += at & -at)
        oracle->tree[at] += value;
}

static uint32_t oracle_sum(const struct oracle *oracle, size_t at)
{
    uint32_t sum = 0;
    for (; at; at -= at & -at)
        sum += oracle->tree[at];
    return sum;
}

static void oracle_read(struct oracle *oracle, size_t key)
{
    uint32_t before = oracle->last[key], distance = 0;
    if (before) {
        distance = oracle_sum(oracle, oracle->now) - oracle_sum(oracle, before) + 1;
        oracle_add(oracle, before, (uint32_t)-1);
    }
    oracle->counts[distance]++;
    oracle->reads++;
    oracle->last[key] = (uint32_t)++oracle->now;
    oracle_add(oracle, oracle->now, 1);
}

static double oracle_ratio(const struct oracle *oracle, size_t keys)
{
    uint64_t hits = 0;
    for (size_t i = 1; i <= keys && i <= KEYS_MAX; i++)
        hits += oracle->counts[i];
    return (double)hits / (double)oracle->reads;
}

static void oracle_free(struct oracle *oracle)
{
    free(oracle->last);
    free(oracle->tree);
    free(oracle->counts);
}

static uint64_t hash_of(uint64_t seed, size_t key)
{
    return hash_bytes_seeded(&key, sizeof key, seed);
}

static void use(struct curve *curve, struct oracle *oracle, uint64_t seed, size_t key)
{
    uint64_t hash = hash_of(seed, key);
    bool hit = oracle->last[key];
    oracle_read(oracle, key);
    if (curve_follows(curve, hash))
        curve_read(curve, hash, hit, oracle->reads);
    if (!hit && curve_follows(curve, hash))
        curve_write(curve, hash, oracle->reads);
}

static uint64_t seeded(struct random *random)
{
    *random = seed_random(__func__);
    return random_next(random);
}

static void compare(struct curve *curve, const struct oracle *oracle, size_t keys, double most)
{
    double guess = curve_hit_ratio(curve, (double)keys, oracle->reads), truth = oracle_ratio(oracle, keys);
    fprintf(stderr, "%zu keys: %.4f, true %.4f, %zu followed\n", keys, guess, truth, curve_followed(curve));
    REQUIRE(fabs(guess - truth) <= most);
}

Test(curve, is_exact_while_all_keys_are_followed)
{
    struct random random;
    uint64_t seed = seeded(&random);
    struct curve curve;
    curve_init(&curve);
    struct oracle oracle = oracle_make(100000);
    for (int i = 0; i < 100000; i++) {
        size_t key = random_below(&random, 1 + random_below(&random, 3000));
        use(&curve, &oracle, seed, key);
    }
    REQUIRE(curve_rate(&curve) > 0.999);
    for (size_t keys = 1; keys <= 32; keys++)
        compare(&curve, &oracle, keys, 1e-9);
    for (size_t keys = 50; keys < 4000; keys += 173)
        compare(&curve, &oracle, keys, 0.005);
    curve_fini(&curve);
    oracle_free(&oracle);
}

Test(curve, follows_a_share_of_many_keys)
{
    struct random random;
    uint64_t seed = seeded(&random);
    struct curve curve;
    curve_init(&curve);
    curve.keys = KEYS_MAX;
    enum { READS = 1500000 };
    struct oracle oracle = oracle_make(READS);
    for (int i = 0; i < READS; i++) {
        double skew = random_double(&random);
        use(&curve, &oracle, seed, (size_t)(pow(skew, 4) * (KEYS_MAX - 1)));
    }
    REQUIRE(curve_rate(&curve) < 0.2 && curve_followed(&curve) <= 8192);
    /* Seven standard deviations, as found with a hundred seeds. */
    for (size_t keys = KEYS_MAX / 8; keys < KEYS_MAX; keys += KEYS_MAX / 16)
        compare(&curve, &oracle, keys, keys < KEYS_MAX / 4 ? 0.049 : keys < KEYS_MAX / 2 ? 0.039 : 0.030);
    curve_fade(&curve, oracle.reads);
    compare(&curve, &oracle, 20000, 0.056);
    curve_fini(&curve);
    oracle_free(&oracle);
}

Test(curve, sees_the_cliff_of_a_loop)
{
    struct curve curve;
    curve_init(&curve);
    struct oracle oracle = oracle_make(200000);
    for (size_t i = 0; i < 200000; i++)
        use(&curve, &oracle, 7, i % 1000);
    compare(&curve, &oracle, 900, 1e-9);
    compare(&curve, &oracle, 1100, 1e-9);
    REQUIRE(curve_hit_ratio(&curve, 1100, oracle.reads) > 0.99);
    curve_fini(&curve);
    oracle_free(&oracle);
}

Test(curve, what_is_deleted_or_never_stored_is_a_miss_in_any_size)
{
    struct curve curve;
    curve_init(&curve);
    uint64_t reads = 0;
    for (int i = 0; i < 100; i++) {
        curve_read(&curve, hash_of(1, 1), false, ++reads); /* never stored */
        curve_read(&curve, hash_of(1, 2), i % 2, ++reads); /* stored, read once, deleted */
        if (i % 2)
            curve_remove(&curve, hash_of(1, 2));
        else
            curve_write(&curve, hash_of(1, 2), reads);
    }
    REQUIRE(fabs(curve_hit_ratio(&curve, 1000, reads) - 0.25) < 1e-9);
    REQUIRE(curve_hit_ratio(&curve, 0, reads) == 0);
    curve_reset(&curve, reads);
    REQUIRE(curve_hit_ratio(&curve, 1000, reads) == 0);
    curve_fini(&curve);
}

Test(curve, forgets_what_lies_too_deep_and_slows_down_under_load)
{
    struct curve curve;
    curve_init(&curve);
    uint64_t reads = 0;
    curve.keys = 100; /* in memory; a scan of very many keys goes by */
    for (uint64_t i = 0; i < 500000; i++) {
        uint64_t hash = hash_of(3, i);
        if (curve_follows(&curve, hash))
            curve_read(&curve, hash, false, ++reads);
        if (curve_follows(&curve, hash))
            curve_write(&curve, hash, reads);
    }
    REQUIRE(curve_rate(&curve) > 0.999);
    for (uint64_t i = 0; i < 4000; i++)
        curve_write(&curve, hash_of(4, i), reads);
    curve_tick(&curve, 1000000, reads, 100, LIMIT);
    REQUIRE(curve_rate(&curve) == 0.5);
    for (int i = 0; i < 10; i++) {
        for (uint64_t j = 0; j < 100000; j++)
            if (curve_follows(&curve, hash_of(4, j % 4000)))
                curve_write(&curve, hash_of(4, j % 4000), reads);
        curve_tick(&curve, 1000000, reads, 100, LIMIT);
    }
    REQUIRE(curve_rate(&curve) >= 0.1 && curve_followed(&curve) >= 800);
    curve_forget(&curve, reads);
    REQUIRE(curve_followed(&curve) == 0 && curve_rate(&curve) > 0.999);
    curve_fini(&curve);
}

Test(curve, spends_no_more_than_its_budget_without_a_limit)
{
    struct random random;
    uint64_t seed = seeded(&random);
    struct curve curve;
    curve_init(&curve);
    enum { READS = 400000, READS_PER_TICK = 2000, KEYS = 3000 };
    struct oracle oracle = oracle_make(READS);
    size_t followed = 0;
    for (int i = 0; i < READS; i++) {
        if (i % READS_PER_TICK == 0)
            curve_tick(&curve, KEYS, oracle.reads, 100, 0);
        size_t key = random_below(&random, 1 + random_below(&random, KEYS));
        followed += curve_follows(&curve, hash_of(seed, key));
        use(&curve, &oracle, seed, key);
    }
    fprintf(stderr, "%zu reads followed\n", followed);
    REQUIRE(followed < READS / READS_PER_TICK * 201 + 2000 && followed > READS / READS_PER_TICK * 160);
    for (size_t keys = KEYS / 4; keys <= KEYS; keys += KEYS / 4)
        compare(&curve, &oracle, keys, 0.2);
    curve_fini(&curve);
    oracle_free(&oracle);
}

Test(curve, writes_keep_to_the_budget_too)
{
    struct curve curve;
    curve_init(&curve);
    enum { TICKS = 100, WRITES_PER_TICK = 2000, KEYS = 3000 };
    size_t followed = 0;
    for (int i = 0; i < TICKS * WRITES_PER_TICK; i++) {
        if (i % WRITES_PER_TICK == 0)
            curve_tick(&curve, KEYS, 0, 100, 0);
        uint64_t hash = hash_of(5, (size_t)i % KEYS);
        if (!curve_follows(&curve, hash))
            continue;
        followed++;
        curve_write(&curve, hash, 0);
    }
    REQUIRE(followed < TICKS * 201 + 2000 && followed > TICKS * 160);
    curve_fini(&curve);
}

Test(curve, begins_anew_at_the_moment_that_memory_gets_a_limit)
{
    struct curve curve;
    curve_init(&curve);
    uint64_t reads = 0;
    curve_tick(&curve, 1, reads, 1000, 0);
    for (int i = 0; i < 100; i++)
        curve_read(&curve, hash_of(1, 2), true, ++reads);
    curve_set_limited(&curve, reads, LIMIT);
    for (int i = 0; i < 50; i++) /* before the next tick: all this counts */
        curve_read(&curve, hash_of(1, (size_t)i), false, ++reads);
    curve_tick(&curve, 1, reads, 100, LIMIT);
    curve_set_limited(&curve, reads, LIMIT);
    REQUIRE(curve_weight(&curve, reads) > 49.9 && curve_weight(&curve, reads) < 50.1);
    REQUIRE(curve_hit_ratio(&curve, 1000, reads) == 0);
    curve_fini(&curve);
}

Test(curve, without_a_limit_a_miss_is_a_miss_in_any_size)
{
    struct curve curve;
    curve_init(&curve);
    uint64_t reads = 0;
    curve_tick(&curve, 1, reads, 1000, 0);
    for (int i = 0; i < 100; i++) {
        curve_write(&curve, hash_of(1, 2), reads);
        curve_read(&curve, hash_of(1, 2), true, ++reads);
        curve_read(&curve, hash_of(1, 2), false, ++reads); /* deleted, which nobody told us */
    }
    REQUIRE(fabs(curve_hit_ratio(&curve, 1000, reads) - 0.5) < 1e-9);
    curve_fini(&curve);
}

Test(curve, takes_little_of_little_memory)
{
    struct curve curve;
    curve_init(&curve);
    enum { SMALL = 2 << 20, KEYS = 20000 };
    struct oracle oracle = oracle_make(400000);
    struct random random = seed_random(__func__);
    for (int i = 0; i < 400000; i++) {
        if (i % 1000 == 0)
            curve_tick(&curve, KEYS / 4, oracle.reads, 1000, i < 100000 ? LIMIT : SMALL);
        if (i == 99999)
            REQUIRE(curve_followed(&curve) > 4096 && curve_memory(&curve) < 200 << 10);
        if (i == 100001) /* it shrank, and knows what it knew */
            REQUIRE(curve_followed(&curve) > 1024 && curve_weight(&curve, oracle.reads) > 100);
        if (i > 100000)
            REQUIRE(curve_followed(&curve) <= 2048 && curve_memory(&curve) < SMALL / 32);
        use(&curve, &oracle, 9, (size_t)(pow(random_double(&random), 2) * KEYS));
    }
    for (size_t keys = KEYS / 4; keys <= KEYS; keys += KEYS / 4)
        compare(&curve, &oracle, keys, 0.06);
    curve_tick(&curve, KEYS / 4, oracle.reads, 1000, LIMIT);
    REQUIRE(curve_followed(&curve) > 1000 && curve_memory(&curve) > SMALL / 32);
    curve_fini(&curve);
    oracle_free(&oracle);
}
