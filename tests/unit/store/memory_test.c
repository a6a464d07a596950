/*
 * Tests of what an item costs, tables included: the promise holds at every size, not only where the table happens to be
 * full. Only jemalloc's figures count.
 */
#include "fixture.h"

#ifdef LARDER_JEMALLOC
static void fill(struct fixture *f, size_t from, size_t to, bool integers, int64_t at_ms)
{
    char value[64];
    memset(value, 'v', sizeof value);
    for (size_t i = from; i < to; i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "key:%012zu", i);
        struct key name = key_make(bytes_make(key, (size_t)len));
        if (integers)
            keyspace_set_integer(f->keyspace, f->db, name, (int64_t)i, at_ms, NOW);
        else
            keyspace_set_string(f->keyspace, f->db, name, bytes_make(value, sizeof value), at_ms, NOW);
    }
}

static void check_cost(bool integers, int64_t at_ms, double most_bytes)
{
    struct fixture f;
    fixture_begin(&f);
    f.keyspace->watched = 0;
    size_t done = 0, before = mem_used();
    for (size_t count = 1000000; count <= 2000000; count += 500000) {
        fill(&f, done, count, integers, at_ms);
        done = count;
        double cost = (double)(mem_used() - before) / (double)count;
        fprintf(stderr, "%zu items: %.2f bytes each\n", count, cost);
        REQUIRE(cost <= most_bytes);
    }
    keyspace_destroy(f.keyspace);
    REQUIRE(mem_used() == f.used_before);
}

Test(memory, key_of_16_and_value_of_64)
{
    check_cost(false, EXPIRY_NONE, 111.5);
}

Test(memory, the_same_with_an_expiry)
{
    check_cost(false, NOW + 1000, 111.5);
}

Test(memory, key_of_16_and_integer)
{
    check_cost(true, EXPIRY_NONE, 47);
}
#else
Test(memory, needs_jemalloc)
{
    cr_skip_test("the allocator keeps no figures");
}
#endif
