/*
 * Tests of the census: exact for few keys, complete after a round for many, and the largest keys by name.
 */
#include "store/census.h"

#include "fixture.h"
#include "store/topk.h"

static void put(struct fixture *f, struct db *db, int number, size_t len)
{
    char name[24];
    char *value = calloc(1, len + 1);
    struct key key = key_make(bytes_make(name, (size_t)snprintf(name, sizeof name, "key:%d", number)));
    keyspace_set_string(f->keyspace, db, key, bytes_make(value, len), EXPIRY_NONE, NOW);
    free(value);
}

static uint64_t count_in(const struct census_bins *bins, unsigned bin)
{
    return bins->count[ENTRY_STRING][bin];
}

Test(census, few_keys_are_counted_when_asked_for)
{
    struct fixture f;
    fixture_begin(&f);
    struct census *census = census_create(f.keyspace->db_count);
    struct census_bins bins;
    census_read(census, f.keyspace, 0, &bins);
    REQUIRE(count_in(&bins, 0) == 0);
    for (int len = 0; len <= 8; len++)
        put(&f, f.db, len, (size_t)len);
    put(&f, f.other, 1, 5000);
    census_read(census, f.keyspace, 0, &bins);
    REQUIRE(count_in(&bins, 0) == 1 && count_in(&bins, 1) == 1 && count_in(&bins, 2) == 2);
    REQUIRE(count_in(&bins, 3) == 4 && count_in(&bins, 4) == 1 && count_in(&bins, 5) == 0);
    struct topk_item items[3];
    REQUIRE(topk_best(census_largest(census, f.keyspace), items, 3) == 3);
    REQUIRE(items[0].db == 1 && items[0].count >= 5000 && items[1].count < 100);
    census_destroy(census);
    keyspace_destroy(f.keyspace);
    REQUIRE(mem_used() == f.used_before);
}

Test(census, a_round_counts_every_key)
{
    struct fixture f;
    fixture_begin(&f);
    struct census *census = census_create(f.keyspace->db_count);
    enum { KEYS = 20000 };
    for (int i = 0; i < KEYS; i++)
        put(&f, f.db, i, (size_t)(i % 4 ? 10 : 100));
    put(&f, f.db, KEYS, 1 << 20);
    struct census_bins bins;
    for (int i = 0; i < 50; i++)
        REQUIRE(census_step(census, f.keyspace, 8));
    REQUIRE(census_rounds(census) == 0 && census_progress(census, f.keyspace) > 0.05);
    census_read(census, f.keyspace, 0, &bins); /* a part, scaled */
    REQUIRE(count_in(&bins, 4) > KEYS / 2 && count_in(&bins, 7) > KEYS / 8);
    while (census_step(census, f.keyspace, 64))
        ;
    REQUIRE(census_rounds(census) == 1);
    census_read(census, f.keyspace, 0, &bins);
    REQUIRE(count_in(&bins, 4) == KEYS / 4 * 3 && count_in(&bins, 7) == KEYS / 4 && count_in(&bins, 21) == 1);
    struct topk_item item;
    REQUIRE(topk_best(census_largest(census, f.keyspace), &item, 1) == 1);
    REQUIRE(bytes_equal(item.key, BYTES("key:20000")) && item.count > 1 << 20);
    put(&f, f.db, 0, 2 << 20); /* a change: there is a reason for another round */
    REQUIRE(census_step(census, f.keyspace, 64));
    put(&f, f.db, KEYS, 10);
    while (census_step(census, f.keyspace, 64))
        ;
    REQUIRE(topk_best(census_largest(census, f.keyspace), &item, 1) == 1);
    census_destroy(census);
    keyspace_destroy(f.keyspace);
}
