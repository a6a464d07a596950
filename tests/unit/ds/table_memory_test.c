/*
 * What a table costs: bytes an item at every size, small tables, and the edges between two sizes.
 */
#include "ds/table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "table_fixture.h"

/* Memory. Items here are numbers dressed as pointers; nothing looks behind them. */

static uint64_t number_hash(const void *item)
{
    uint64_t x = (uint64_t)(uintptr_t)item * 0x9e3779b97f4a7c15;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
    return x ^ x >> 32;
}

static bool number_is(const void *item, const void *sought)
{
    return item == sought;
}

static const struct table_type number_type = { number_hash };

static void *number(size_t i)
{
    return (void *)(uintptr_t)((i + 1) * 8);
}

static void skip_without_jemalloc(void)
{
    if (strncmp(mem_allocator_name(), "jemalloc", 8) != 0)
        cr_skip_test("what memory costs is known of jemalloc only");
}

Test(table, overhead_is_14_bytes_an_item_at_every_size)
{
    skip_without_jemalloc();
    static const size_t sizes[] = { 100000, 180000, 300000, 700000, 1000000, 1200000, 1500000, 2000000 };
    struct table table;
    table_init(&table, &number_type);
    size_t n = 0;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        for (; n < sizes[s]; n++)
            table_insert(&table, number_hash(number(n)), number(n));
        double each = (double)table_overhead_bytes(&table) / (double)n;
        fprintf(stderr, "%zu items: %.2f bytes an item, longest chain %u\n", n, each, (unsigned)table.longest_chain);
        REQUIRE(each > 13.5 && each < 14.8);
    }
    check(&table);
    table_fini(&table);
}

Test(table, overhead_is_what_the_allocator_counts)
{
    skip_without_jemalloc();
    mem_thread_register();
    size_t before = mem_used();
    struct table table;
    table_init(&table, &number_type);
    size_t n = 60000;
    for (size_t i = 0; i < n; i++) {
        table_insert(&table, number_hash(number(i)), number(i));
        if (i < 100 || i % 97 == 0)
            REQUIRE(mem_used() - before == table_overhead_bytes(&table));
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = number_hash(number(i));
        table_remove(&table, hash, table_find(&table, hash, number_is, number(i)));
        if (i > n - 100 || i % 97 == 0)
            REQUIRE(mem_used() - before == table_overhead_bytes(&table));
    }
    REQUIRE(table_overhead_bytes(&table) == mem_good_size(64) + mem_good_size(sizeof(void *)));
    table_fini(&table);
    REQUIRE(mem_used() == before);
}

/* Small tables pay for room in reserve, but not for twice what they need. */
Test(table, overhead_of_small_tables_is_bounded)
{
    skip_without_jemalloc();
    struct table table;
    table_init(&table, &number_type);
    double most = 0;
    for (size_t n = 0; n < 20000; n++) {
        table_insert(&table, number_hash(number(n)), number(n));
        double each = (double)table_overhead_bytes(&table) / (double)(n + 1);
        if (n >= 500 && each > most)
            most = each;
    }
    fprintf(stderr, "at most %.2f bytes an item\n", most);
    REQUIRE(most < 20);
    table_fini(&table);
}

/* At the edge between two sizes, inserting and removing in turn must not move buckets to and fro. */
Test(table, alternating_at_an_edge_settles)
{
    struct table table;
    table_init(&table, &number_type);
    for (size_t n = 0; n < 12000; n++) {
        table_insert(&table, number_hash(number(n)), number(n));
        size_t changes = 0, buckets = table.buckets;
        for (int i = 0; i < 6; i++) {
            uint64_t hash = number_hash(number(n));
            table_remove(&table, hash, table_find(&table, hash, number_is, number(n)));
            changes += table.buckets != buckets;
            buckets = table.buckets;
            table_insert(&table, hash, number(n));
            changes += table.buckets != buckets;
            buckets = table.buckets;
        }
        REQUIRE(changes <= 1);
    }
    check(&table);
    table_fini(&table);
}
