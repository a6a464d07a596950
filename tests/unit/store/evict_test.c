/*
 * Eviction: what each policy removes, how near LRU is to the exact order, and what is known of a key.
 */
#include "fixture.h"

#include <time.h>

#include "store/evict.h"
#include "store/evict_clock.h"
#include "store/evict_ghost.h"
#include "store/evict_tinylfu.h"

static struct fixture make(int policy)
{
    hash_init_seeded(0x5eed);
    struct fixture f = { .keyspace = keyspace_create(3) };
    f.db = f.keyspace->dbs[0];
    f.other = f.keyspace->dbs[1];
    struct evict_settings settings = { .policy = policy, .samples = 5, .lfu_log_factor = 10, .lfu_decay_time = 1 };
    evict_tick(f.keyspace, NOW);
    evict_configure(f.keyspace, &settings, 1 << 30);
    return f;
}

static struct key numbered(const char *kind, size_t number, char text[32])
{
    int len = snprintf(text, 32, "%s:%zu", kind, number);
    return key_make(bytes_make(text, (size_t)len));
}

static void store(struct fixture *f, struct db *db, const char *kind, size_t number, int64_t at_ms)
{
    char text[32];
    keyspace_set_string(f->keyspace, db, numbered(kind, number, text), bytes_from_cstr("value"), at_ms, NOW);
}

static bool use(struct fixture *f, const char *kind, size_t number)
{
    char text[32];
    return keyspace_read(f->keyspace, f->db, numbered(kind, number, text), NOW) != NULL;
}

static size_t count_present(struct fixture *f, const char *kind, size_t count)
{
    size_t present = 0;
    char text[32];
    for (size_t i = 0; i < count; i++)
        present += keyspace_peek(f->keyspace, f->db, numbered(kind, i, text), NOW) != NULL;
    return present;
}

static void evict_many(struct fixture *f, size_t count)
{
    while (count) {
        enum evict_result result = evict_one(f->keyspace, NOW);
        REQUIRE(result != EVICT_IMPOSSIBLE);
        count -= result == EVICT_REMOVED;
    }
}

Test(evict, nothing_goes_without_a_policy_or_without_keys)
{
    struct fixture f = make(EVICT_NOTHING_EVER);
    store(&f, f.db, "key", 1, EXPIRY_NONE);
    REQUIRE(evict_one(f.keyspace, NOW) == EVICT_IMPOSSIBLE);
    keyspace_destroy(f.keyspace);
    for (int kind = EVICT_LRU; kind <= EVICT_WTINYLFU; kind++) {
        f = make(kind);
        REQUIRE(evict_one(f.keyspace, NOW) == EVICT_IMPOSSIBLE);
        store(&f, f.other, "key", 1, NOW + 1000);
        REQUIRE(evict_one(f.keyspace, NOW) == EVICT_REMOVED && keyspace_size(f.other) == 0);
        REQUIRE(f.keyspace->stats.evicted == 1);
        keyspace_destroy(f.keyspace);
    }
}

Test(evict, volatile_policies_find_the_few_keys_that_expire)
{
    for (int kind = EVICT_LRU; kind < EVICT_WTINYLFU; kind++) {
        struct fixture f = make(kind | EVICT_VOLATILE);
        for (size_t i = 0; i < 20000; i++)
            store(&f, f.db, "lasting", i, EXPIRY_NONE);
        for (size_t i = 0; i < 3; i++)
            store(&f, f.db, "volatile", i, NOW + 1000);
        evict_many(&f, 3);
        REQUIRE(count_present(&f, "lasting", 20000) == 20000 && f.db->expires == 0);
        REQUIRE(evict_one(f.keyspace, NOW) == EVICT_IMPOSSIBLE);
        keyspace_destroy(f.keyspace);
    }
}

Test(evict, expired_keys_go_first_and_count_as_expired)
{
    struct fixture f = make(EVICT_LRU);
    store(&f, f.db, "live", 0, EXPIRY_NONE);
    store(&f, f.db, "dead", 0, NOW + 5);
    REQUIRE(evict_one(f.keyspace, NOW + 10) == EVICT_REMOVED);
    REQUIRE(count_present(&f, "live", 1) == 1 && f.keyspace->stats.expired == 1 && f.keyspace->stats.evicted == 0);
    keyspace_destroy(f.keyspace);
}

Test(evict, lru_removes_nearly_the_oldest)
{
    enum { KEYS = 20000, REMOVED = 10000 };
    struct fixture f = make(EVICT_LRU);
    for (size_t i = 0; i < KEYS; i++)
        store(&f, f.db, "key", i, EXPIRY_NONE);
    for (size_t i = 0; i < REMOVED; i++)
        REQUIRE(use(&f, "key", i)); /* the first half is the newer one now */
    evict_many(&f, REMOVED);
    size_t used = count_present(&f, "key", REMOVED);
    cr_assert(used > REMOVED * 97 / 100, "%zu of %d used keys were kept", used, REMOVED);
    keyspace_destroy(f.keyspace);
}

Test(evict, lrm_looks_at_changes_only)
{
    enum { KEYS = 4000 };
    struct fixture f = make(EVICT_LRM);
    for (size_t i = 0; i < KEYS; i++)
        store(&f, f.db, "read", i, EXPIRY_NONE);
    for (size_t i = 0; i < KEYS; i++)
        store(&f, f.db, "written", i, EXPIRY_NONE);
    for (size_t i = 0; i < KEYS; i++)
        REQUIRE(use(&f, "read", i));
    evict_many(&f, KEYS);
    size_t kept = count_present(&f, "written", KEYS);
    cr_assert(kept > KEYS * 97 / 100, "%zu of the keys written last were kept", kept);
    keyspace_destroy(f.keyspace);
}

Test(evict, lfu_keeps_what_is_used_often)
{
    enum { KEYS = 2000 };
    struct fixture f = make(EVICT_LFU);
    for (size_t i = 0; i < 2 * KEYS; i++)
        store(&f, f.db, i % 2 ? "often" : "seldom", i / 2, EXPIRY_NONE);
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < KEYS; i++)
            REQUIRE(use(&f, "often", i));
    char text[32];
    struct entry *entry = keyspace_peek(f.keyspace, f.db, numbered("often", 1, text), NOW);
    unsigned before = evict_frequency(f.keyspace, entry);
    REQUIRE(before > 5 && evict_frequency(f.keyspace, keyspace_glance(f.db, numbered("seldom", 1, text))) == 5);
    evict_many(&f, KEYS / 2);
    size_t kept = count_present(&f, "often", KEYS);
    cr_assert(kept > KEYS * 97 / 100, "%zu often used keys were kept", kept);
    entry = keyspace_peek(f.keyspace, f.db, numbered("often", 1, text), NOW);
    evict_tick(f.keyspace, NOW + 3 * 60000);
    REQUIRE(!entry || evict_frequency(f.keyspace, entry) == before - 3);
    keyspace_destroy(f.keyspace);
}

Test(evict, lfu_knows_who_returns_soon)
{
    enum { KEYS = 1000 };
    struct fixture f = make(EVICT_LFU);
    for (size_t i = 0; i < 2 * KEYS; i++)
        store(&f, f.db, "key", i, EXPIRY_NONE);
    evict_many(&f, KEYS / 4);
    size_t returned = 0, known = 0;
    for (size_t i = 0; i < 2 * KEYS; i++) {
        char text[32];
        struct key key = numbered("key", i, text);
        if (keyspace_peek(f.keyspace, f.db, key, NOW))
            continue;
        store(&f, f.db, "key", i, EXPIRY_NONE);
        returned++;
        known += evict_frequency(f.keyspace, keyspace_glance(f.db, key)) == 6;
    }
    cr_assert(returned == KEYS / 4 && known > returned * 9 / 10, "%zu of %zu", known, returned);
    keyspace_destroy(f.keyspace);
}

Test(evict, ttl_removes_what_expires_first)
{
    enum { KEYS = 2000 };
    struct fixture f = make(EVICT_TTL | EVICT_VOLATILE);
    for (size_t i = 0; i < KEYS; i++) {
        store(&f, f.db, "late", i, NOW + 1000000);
        store(&f, f.db, "soon", i, NOW + 1000);
    }
    evict_many(&f, KEYS);
    cr_assert(count_present(&f, "late", KEYS) > KEYS * 97 / 100);
    keyspace_destroy(f.keyspace);
}

/* GETs, and a SET on a miss, in a cache of `capacity` keys; the hits among the second half of the requests. */
static size_t replay(struct fixture *f, size_t capacity, size_t requests, size_t (*next)(struct random *, size_t at))
{
    struct random random;
    size_t hits = 0;
    random_init(&random, 7);
    for (size_t at = 0; at < requests; at++) {
        size_t number = next(&random, at);
        if (use(f, "key", number)) {
            hits += at >= requests / 2;
            continue;
        }
        while (keyspace_size(f->db) >= capacity)
            evict_many(f, 1);
        store(f, f->db, "key", number, EXPIRY_NONE);
    }
    return hits;
}

static size_t next_of_loop(struct random *random, size_t at)
{
    (void)random;
    return at % 1000;
}

/* Popular keys that change now and then, and as many requests that never come back. */
static size_t next_of_mixture(struct random *random, size_t at)
{
    if (at % 2)
        return 1000000 + at;
    return at / 50000 * 1000 + (size_t)(random_double(random) * random_double(random) * 800);
}

/* What is asked for is mostly new, and old soon. */
static size_t next_of_drift(struct random *random, size_t at)
{
    return at / 10 + (size_t)(random_double(random) * random_double(random) * 1000);
}

/* Few keys are asked for much more often than the many others, and every now and then they are other ones. */
static size_t next_of_favourites(struct random *random, size_t at)
{
    double u = random_double(random);
    return at / 10000 * 10000 + (size_t)(u * u * u * u * 10000);
}

/* Some keys are asked for rather often, in no order; most are never asked for again. */
static size_t next_of_passers_by(struct random *random, size_t at)
{
    return at % 4 ? 1000000 + at : (size_t)(random_double(random) * random_double(random) * 3000);
}

/* Every second request is for one of a hundred keys, the others for one of ten thousand. */
static size_t next_of_two_pools(struct random *random, size_t at)
{
    return at % 2 ? random_below(random, 100) : 100 + random_below(random, 10000);
}

/* A loop in which neighbours change places: some come again soon, all come again late. */
static size_t next_of_rough_loop(struct random *random, size_t at)
{
    return (at + random_below(random, 100)) % 3000;
}

/* A loop that does not fit, and after each round of it a part of another that is much longer. */
static size_t next_of_nested_loops(struct random *random, size_t at)
{
    enum { INNER = 300, PART = 150, OUTER = 1800 };
    (void)random;
    size_t round = at / (INNER + PART), place = at % (INNER + PART);
    return place < INNER ? place : INNER + (round * PART + place - INNER) % OUTER;
}

/* What is popular changes all the time, and never comes back. */
static size_t next_of_fashions(struct random *random, size_t at)
{
    double u = random_double(random);
    return at / 30 + (size_t)(u * u * u * u * u * u * 10000);
}

static size_t hits_of(int policy, size_t capacity, size_t requests, size_t (*next)(struct random *, size_t at))
{
    struct fixture f = make(policy);
    size_t hits = replay(&f, capacity, requests, next);
    keyspace_destroy(f.keyspace);
    return hits;
}

Test(evict, lru_misses_a_loop_that_does_not_fit_and_wtinylfu_keeps_part_of_it)
{
    enum { REQUESTS = 60000 };
    size_t lru = hits_of(EVICT_LRU, 600, REQUESTS, next_of_loop);
    size_t tiny = hits_of(EVICT_WTINYLFU, 600, REQUESTS, next_of_loop);
    cr_assert(lru < REQUESTS / 2 / 100, "LRU had %zu hits", lru);
    cr_assert(tiny > REQUESTS / 2 * 57 / 100, "W-TinyLFU had %zu hits", tiny);
}

/* A server makes room for more than one key at a time. */
Test(evict, wtinylfu_keeps_part_of_a_loop_when_keys_go_in_bursts)
{
    enum { CAPACITY = 400, BURST = 16, LOOP = 1000, ROUNDS = 60 };
    struct fixture f = make(EVICT_WTINYLFU);
    size_t hits = 0;
    for (size_t at = 0; at < ROUNDS * LOOP; at++) {
        if (use(&f, "key", at % LOOP)) {
            hits += at >= ROUNDS / 2 * LOOP;
            continue;
        }
        if (keyspace_size(f.db) >= CAPACITY)
            evict_many(&f, BURST);
        store(&f, f.db, "key", at % LOOP, EXPIRY_NONE);
    }
    cr_assert(hits > ROUNDS / 2 * LOOP * 35 / 100, "%zu hits", hits);
    keyspace_destroy(f.keyspace);
}

Test(evict, lfu_keeps_part_of_a_loop_that_is_five_times_as_large)
{
    enum { REQUESTS = 100000 };
    size_t hits = hits_of(EVICT_LFU, 200, REQUESTS, next_of_loop);
    cr_assert(hits > REQUESTS / 2 * 21 / 200, "LFU had %zu hits", hits);
}

Test(evict, wtinylfu_gives_a_loop_the_places_of_those_who_come_again_late)
{
    enum { REQUESTS = 200000 };
    size_t hits = hits_of(EVICT_WTINYLFU, 210, REQUESTS, next_of_nested_loops);
    cr_assert(hits > REQUESTS / 2 * 43 / 100, "%zu hits, of 46 in a hundred that there may be", hits);
}

Test(evict, wtinylfu_follows_a_change_of_what_is_popular)
{
    enum { REQUESTS = 300000 };
    size_t lru = hits_of(EVICT_LRU, 400, REQUESTS, next_of_mixture);
    size_t lfu = hits_of(EVICT_LFU, 400, REQUESTS, next_of_mixture);
    size_t tiny = hits_of(EVICT_WTINYLFU, 400, REQUESTS, next_of_mixture);
    cr_assert(tiny >= lru && tiny + REQUESTS / 2 / 200 >= lfu, "lru %zu, lfu %zu, W-TinyLFU %zu", lru, lfu, tiny);
}

Test(evict, wtinylfu_is_as_good_as_lru_where_what_is_recent_counts)
{
    enum { REQUESTS = 100000 };
    size_t lru = hits_of(EVICT_LRU, 800, REQUESTS, next_of_drift);
    size_t tiny = hits_of(EVICT_WTINYLFU, 800, REQUESTS, next_of_drift);
    cr_assert(tiny + REQUESTS / 2 / 200 >= lru, "lru %zu, W-TinyLFU %zu", lru, tiny);
}

Test(evict, wtinylfu_is_ahead_of_both_in_a_small_cache_where_favourites_change)
{
    enum { REQUESTS = 200000 };
    size_t lru = hits_of(EVICT_LRU, 100, REQUESTS, next_of_favourites);
    size_t lfu = hits_of(EVICT_LFU, 100, REQUESTS, next_of_favourites);
    size_t tiny = hits_of(EVICT_WTINYLFU, 100, REQUESTS, next_of_favourites);
    size_t best = lru > lfu ? lru : lfu;
    cr_assert(tiny > best + REQUESTS / 2 / 50, "lru %zu, lfu %zu, W-TinyLFU %zu", lru, lfu, tiny);
}

Test(evict, wtinylfu_keeps_who_comes_again_sooner_than_others)
{
    enum { REQUESTS = 120000 };
    size_t lru = hits_of(EVICT_LRU, 160, REQUESTS, next_of_fashions);
    size_t tiny = hits_of(EVICT_WTINYLFU, 160, REQUESTS, next_of_fashions);
    cr_assert(tiny > lru + REQUESTS / 2 * 3 / 100, "lru %zu, W-TinyLFU %zu", lru, tiny);
}

Test(evict, wtinylfu_forgets_the_scores_of_another_way)
{
    enum { REQUESTS = 100000 };
    size_t lru = hits_of(EVICT_LRU, 30, REQUESTS, next_of_rough_loop);
    size_t tiny = hits_of(EVICT_WTINYLFU, 30, REQUESTS, next_of_rough_loop);
    cr_assert(tiny + REQUESTS / 2 / 200 >= lru, "lru %zu, W-TinyLFU %zu", lru, tiny);
}

Test(evict, wtinylfu_tells_guests_from_passers_by)
{
    enum { REQUESTS = 200000 };
    size_t lfu = hits_of(EVICT_LFU, 1000, REQUESTS, next_of_passers_by);
    size_t tiny = hits_of(EVICT_WTINYLFU, 1000, REQUESTS, next_of_passers_by);
    cr_assert(tiny + REQUESTS / 2 / 200 >= lfu, "lfu %zu, W-TinyLFU %zu", lfu, tiny);
}

Test(evict, wtinylfu_gives_a_small_cache_to_those_who_deserve_it)
{
    enum { REQUESTS = 60000 };
    size_t tiny = hits_of(EVICT_WTINYLFU, 99, REQUESTS, next_of_two_pools);
    cr_assert(tiny > REQUESTS / 2 * 93 / 200, "W-TinyLFU had %zu hits", tiny);
}

Test(evict, wtinylfu_is_as_good_as_any_where_some_return_soon_and_all_return_late)
{
    enum { REQUESTS = 100000 };
    size_t lru = hits_of(EVICT_LRU, 1200, REQUESTS, next_of_rough_loop);
    size_t lfu = hits_of(EVICT_LFU, 1200, REQUESTS, next_of_rough_loop);
    size_t tiny = hits_of(EVICT_WTINYLFU, 1200, REQUESTS, next_of_rough_loop);
    size_t best = lru > lfu ? lru : lfu;
    cr_assert(tiny + REQUESTS / 2 / 100 >= best, "lru %zu, lfu %zu, W-TinyLFU %zu", lru, lfu, tiny);
}

Test(evict, every_policy_stands_deletions_renames_flushes_and_other_policies)
{
    struct random random;
    uint64_t seed = (uint64_t)time(NULL);
    printf("seed %" PRIu64 "\n", seed);
    random_init(&random, seed);
    struct fixture f = make(EVICT_LRU);
    char a[32], b[32];
    for (size_t at = 0; at < 200000; at++) {
        size_t number = random_below(&random, 3000);
        struct key key = numbered("key", number, a), to = numbered("key", number + 1, b);
        struct db *db = random_below(&random, 4) ? f.db : f.other;
        unsigned act = (unsigned)random_below(&random, 1000);
        if (act < 500)
            keyspace_set_string(f.keyspace, db, key, bytes_from_cstr("v"), act < 200 ? NOW + 9 : EXPIRY_NONE, NOW);
        else if (act < 800)
            keyspace_read(f.keyspace, db, key, NOW);
        else if (act < 900)
            keyspace_remove(f.keyspace, db, key);
        else if (act < 950 && keyspace_peek(f.keyspace, db, key, NOW))
            keyspace_move(f.keyspace, db, key, db, to);
        else if (act == 998)
            keyspace_flush(f.keyspace, db);
        else if (act == 999) {
            int kind = (int)random_below(&random, EVICT_WTINYLFU + 1);
            struct evict_settings settings = { kind, 1 + (int64_t)random_below(&random, 20), 10, 1 };
            if (kind != EVICT_WTINYLFU && random_below(&random, 2))
                settings.policy |= EVICT_VOLATILE;
            evict_configure(f.keyspace, &settings, random_below(&random, 2) << 20);
        }
        evict_settle(f.keyspace, random_below(&random, 3));
        if (keyspace_size(f.db) > 1500)
            evict_one(f.keyspace, NOW);
    }
    REQUIRE(keyspace_check(f.keyspace, NULL, NULL) == 0);
    keyspace_destroy(f.keyspace);
}

Test(evict, idle_time_is_in_seconds_whatever_a_tick_is)
{
    struct fixture f = make(EVICT_LRU);
    int64_t now_ms = NOW;
    char text[32];
    store(&f, f.db, "idle", 0, EXPIRY_NONE);
    for (int second = 0; second < 100; second++) {
        for (size_t i = 0; i < 500; i++)
            store(&f, f.db, "busy", i, EXPIRY_NONE);
        now_ms += 1000;
        evict_tick(f.keyspace, now_ms);
    }
    struct entry *entry = keyspace_glance(f.db, numbered("idle", 0, text));
    int64_t idle_s = evict_idle_s(f.keyspace, entry, now_ms);
    cr_assert(idle_s >= 99 && idle_s <= 101, "%" PRId64, idle_s);
    evict_set_idle(f.keyspace, entry, 1000, now_ms);
    idle_s = evict_idle_s(f.keyspace, entry, now_ms);
    cr_assert(idle_s >= 999 && idle_s <= 1001, "%" PRId64, idle_s);
    keyspace_destroy(f.keyspace);
}

Test(evict, idle_time_that_is_set_is_told_to_the_second)
{
    static const int64_t idle_s[] = { 0, 1, 2, 59, 60, 1000, 86400, 5000000 };
    for (int64_t past_ms = 0; past_ms < 3000; past_ms += 100) {
        struct fixture f = make(EVICT_LRU);
        int64_t now_ms = NOW + past_ms;
        char text[32];
        evict_tick(f.keyspace, now_ms);
        store(&f, f.db, "key", 0, EXPIRY_NONE);
        struct entry *entry = keyspace_glance(f.db, numbered("key", 0, text));
        for (size_t i = 0; i < sizeof idle_s / sizeof *idle_s; i++) {
            evict_set_idle(f.keyspace, entry, idle_s[i], now_ms);
            int64_t told_s = evict_idle_s(f.keyspace, entry, now_ms);
            cr_assert(
                told_s == idle_s[i], "%" PRId64 " for %" PRId64 ", after %" PRId64 " ms", told_s, idle_s[i], past_ms);
        }
        keyspace_destroy(f.keyspace);
    }
}

Test(evict_clock, goes_back_far_and_coarser)
{
    static struct evict_clock clock;
    for (uint64_t second = 0; second < 100000; second++)
        evict_clock_note(&clock, second * 7, (int64_t)second * 1000);
    int64_t now_ms = 99999000;
    for (uint64_t age = 1; age < 90000; age = age * 3 + 1) {
        int64_t told = (now_ms - evict_clock_time_of(&clock, (99999 - age) * 7, now_ms)) / 1000;
        cr_assert(llabs(told - (int64_t)age) <= 1 + (int64_t)age / 50, "%" PRId64 " for %" PRIu64, told, age);
        int64_t tick = evict_clock_tick_at(&clock, now_ms - (int64_t)age * 1000);
        cr_assert(llabs(tick - (int64_t)(99999 - age) * 7) <= 7 + (int64_t)age * 7 / 50);
    }
}

Test(evict_tinylfu, counts_and_forgets)
{
    struct tinylfu *tinylfu = tinylfu_create();
    struct random random;
    random_init(&random, 1);
    for (int i = 0; i < 10; i++)
        tinylfu_use(tinylfu, &random, 42, 1000);
    REQUIRE(tinylfu_way(tinylfu)->rule == TINYLFU_FREQUENCY && !tinylfu_returns(tinylfu, 42, 0));
    REQUIRE(tinylfu_frequency(tinylfu, 42) == 10 && tinylfu_frequency(tinylfu, 43) == 0);
    for (uint64_t i = 0; i < 400000; i++)
        tinylfu_use(tinylfu, &random, random_next(&random), 1000);
    REQUIRE(tinylfu_frequency(tinylfu, 42) < 10);
    tinylfu_use(tinylfu, &random, 42, 1000000); /* outgrown: the old counts still answer */
    REQUIRE(tinylfu_memory(tinylfu) < 1000000 * 4);
    tinylfu_destroy(tinylfu);
}

Test(evict_ghosts, the_latest_are_remembered_once_and_about_as_many_as_there_are_keys)
{
    enum { KEYS = 10000 };
    struct evict_ghosts ghosts = { 0 };
    struct random random;
    random_init(&random, 1);
    static uint64_t hashes[3 * KEYS];
    REQUIRE(!evict_ghosts_take(&ghosts, 1));
    for (size_t i = 0; i < 3 * KEYS; i++)
        evict_ghosts_add(&ghosts, hashes[i] = random_next(&random), KEYS);
    REQUIRE(evict_ghosts_memory(&ghosts) <= KEYS * 5 / 2);
    REQUIRE(evict_ghosts_take(&ghosts, hashes[3 * KEYS - 1]) && !evict_ghosts_take(&ghosts, hashes[3 * KEYS - 1]));
    size_t latest = 0, older = 0, others = 0;
    for (size_t i = 0; i < KEYS; i++) {
        others += evict_ghosts_take(&ghosts, random_next(&random));
        older += evict_ghosts_take(&ghosts, hashes[i]);
        latest += i < KEYS / 2 && evict_ghosts_take(&ghosts, hashes[3 * KEYS - 2 - i]);
    }
    cr_assert(latest > KEYS / 2 * 98 / 100 && older < KEYS / 100 && others < KEYS / 200, "%zu %zu %zu", latest, older,
        others);
    evict_ghosts_add(&ghosts, 1, 5 * KEYS / 2); /* outgrown: begins anew */
    REQUIRE(evict_ghosts_take(&ghosts, 1) && evict_ghosts_memory(&ghosts) >= 5 * KEYS);
    evict_ghosts_fini(&ghosts);
}

Test(evict_ghosts, a_large_table_takes_its_memory_in_parts)
{
    enum { KEYS = 1000000, STEPS = 10, ADDS = KEYS / STEPS };
    struct evict_ghosts ghosts = { 0 };
    struct random random;
    random_init(&random, 1);
    uint64_t hash = 0;
    for (size_t step = 0, before = 0; step < STEPS; step++) {
        for (size_t i = 0; i < ADDS; i++, before = evict_ghosts_memory(&ghosts)) {
            evict_ghosts_add_dated(&ghosts, hash = random_next(&random), KEYS, 7);
            size_t grown = evict_ghosts_memory(&ghosts) - before;
            cr_assert(grown < KEYS * 3 / 7, "by %zu at once", grown);
        }
        uint8_t date = 0;
        cr_assert(step < STEPS / 2 || (evict_ghosts_take_dated(&ghosts, hash, &date) && date == 7));
    }
    REQUIRE(evict_ghosts_memory(&ghosts) >= KEYS * 3 && evict_ghosts_memory(&ghosts) < KEYS * 4);
    evict_ghosts_fini(&ghosts);
}

Test(evict_ghosts, dates_are_the_keys_own)
{
    enum { KEYS = 1000 };
    struct evict_ghosts ghosts = { 0 };
    struct random random;
    random_init(&random, 1);
    static uint64_t hashes[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        evict_ghosts_add_dated(&ghosts, hashes[i] = random_next(&random), 2 * KEYS, (uint8_t)(i / 5));
    size_t known = 0;
    for (size_t i = 0; i < KEYS; i++) {
        size_t at = i * 7 % KEYS;
        uint8_t date = 255;
        bool taken = evict_ghosts_take_dated(&ghosts, hashes[at], &date);
        known += taken && date == at / 5;
    }
    cr_assert(known > KEYS * 98 / 100, "%zu of %d", known, KEYS);
    evict_ghosts_fini(&ghosts);
}

Test(evict_tinylfu, models_take_little_of_little_memory)
{
    enum { KEYS = 20000, LIMIT = 1 << 20 };
    size_t memory[3];
    for (int i = 0; i < 3; i++) {
        struct tinylfu *tinylfu = tinylfu_create();
        struct random random;
        random_init(&random, 1);
        size_t before = tinylfu_memory(tinylfu);
        tinylfu_set_limit(tinylfu, i == 1 ? LIMIT : 0);
        for (size_t at = 0; at < 2 * KEYS; at++)
            tinylfu_use(tinylfu, &random, random_next(&random), KEYS);
        tinylfu_set_full(tinylfu);
        for (size_t at = 0; i == 2 && at < KEYS; at++) /* the cache shrank */
            tinylfu_use(tinylfu, &random, random_next(&random), 100);
        memory[i] = tinylfu_memory(tinylfu) - before;
        tinylfu_destroy(tinylfu);
    }
    REQUIRE(memory[0] < 200 << 10 && memory[1] < memory[0] / 3 && memory[2] < memory[0] / 3);
}

Test(evict_tinylfu, ghosts_take_little_of_little_memory)
{
    enum { KEYS = 100000, LIMIT = 3 << 20 };
    size_t memory[2];
    for (int i = 0; i < 2; i++) {
        struct tinylfu *tinylfu = tinylfu_create();
        tinylfu_set_limit(tinylfu, i ? LIMIT : 0);
        size_t before = tinylfu_memory(tinylfu);
        for (size_t at = 0; at < KEYS; at++)
            tinylfu_forgo(tinylfu, at * 0x9e3779b97f4a7c15ull, KEYS, 0);
        memory[i] = tinylfu_memory(tinylfu) - before;
        tinylfu_destroy(tinylfu);
    }
    REQUIRE(memory[0] >= KEYS * 6 && memory[0] < KEYS * 8);
    REQUIRE(memory[1] > LIMIT / 40 && memory[1] < LIMIT / 24);
}

/* Key counts just above those at which the sketch doubles: there it is largest for its keys. */
Test(evict_tinylfu, sketch_and_window_take_as_much_as_they_may)
{
    enum { WINDOW_BYTES = 4, LEAST = 64 << 10, MODELS = 48 << 10, CHUNKS = 16 << 10, PERIOD = 20 };
    static const size_t counts[] = { 1000, 65537, 131073, 262145 };
    mem_thread_register();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        size_t keys = counts[i], before = mem_used();
        struct tinylfu *tinylfu = tinylfu_create();
        struct random random;
        random_init(&random, 1);
        tinylfu_set_limit(tinylfu, 1); /* small models, no ghosts */
        for (size_t at = 1; at <= keys; at++)
            tinylfu_use(tinylfu, &random, random_next(&random), at);
        size_t used = mem_used() - before, most = 3 * keys > LEAST ? 3 * keys : LEAST;
        cr_assert(used <= most + MODELS, "%zu for %zu keys", used, keys);
        if (keys < 100000) {
            for (size_t at = 0; at < PERIOD * keys; at++) /* the old sketch goes */
                tinylfu_use(tinylfu, &random, random_next(&random), keys);
            used = mem_used() - before;
            most = 2 * keys > LEAST ? 2 * keys : LEAST;
            cr_assert(used <= most + MODELS, "%zu for %zu keys", used, keys);
        }
        for (size_t at = 0; at < keys / 5 * 2; at++)
            tinylfu_window_push(tinylfu, random_next(&random));
        size_t window = mem_used() - before - used;
        cr_assert(window <= keys / 5 * 2 * WINDOW_BYTES + CHUNKS, "%zu for %zu keys", window, keys);
        tinylfu_destroy(tinylfu);
        REQUIRE(mem_used() == before);
    }
}

Test(evict_tinylfu, the_window_is_a_queue)
{
    struct tinylfu *tinylfu = tinylfu_create();
    for (uint64_t i = 0; i < 5000; i++)
        tinylfu_window_push(tinylfu, i | i << 40);
    for (uint32_t i = 0; i < 5000; i++) {
        REQUIRE(tinylfu_window_len(tinylfu) == 5000 - i);
        REQUIRE(tinylfu_window_pop(tinylfu) == i);
    }
    tinylfu_destroy(tinylfu);
}
