/*
 * Tests of trees that are cut out of a btree: that nodes are counted right between them, and what a cut looks at. That
 * a cut takes the right items is tested by the model in btree_test.c. LARDER_TEST_SEED repeats a run.
 */
#include "ds/btree.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "btree_fixture.h"

/* Most near 0, some over all magnitudes. */
static double zipf(struct random *random, size_t i)
{
    (void)i;
    return (double)(int64_t)(1000000 / (1 + random_below(random, 1000000)));
}

/*
 * Several trees that were cut out of one, which is edited meanwhile: what all of them take is what the one says, as
 * soon as they have told it what they gave back.
 */
Test(btree_cut, cut_trees_beside_the_one_they_came_from)
{
    enum { CUTS = 4 };
    struct btree tree, cuts[CUTS];
    struct random random;
    random = seed_random(__func__);
    mem_thread_register();
    bool is_counted = strncmp(mem_allocator_name(), "jemalloc", 8) == 0;
    size_t n = 40000;
    struct item *items = items_create(&random, n, zipf), **sorted = sorted_create(items, n);
    size_t before = mem_used();
    btree_init(&tree, &item_type);
    for (size_t i = 0; i < n; i++)
        btree_append(&tree, sorted[i]);
    for (size_t i = 0; i < CUTS; i++) {
        size_t part = btree_count(&tree) / 3, rank = random_below(&random, btree_count(&tree) - part);
        btree_cut(&tree, rank, part, &cuts[i]);
        REQUIRE(btree_count(&cuts[i]) == part);
    }
    for (bool more = true; more;) {
        void *taken[50];
        more = false;
        for (size_t i = 0; i < CUTS; i++) {
            if (btree_count(&cuts[i]) == 0)
                continue;
            size_t got = btree_drain(&cuts[i], taken, 1 + random_below(&random, 50));
            btree_cut_settle(&tree, &cuts[i]);
            for (size_t j = 0; j < got && j < 10; j++) /* some come back, some others go */
                REQUIRE(!btree_insert(&tree, taken[j]));
            REQUIRE(btree_remove(&tree, btree_at(&tree, random_below(&random, btree_count(&tree)))));
            more = true;
        }
        size_t said = btree_overhead_bytes(&tree), took = mem_used() - before; /* what is lone may be a small leaf */
        REQUIRE(!is_counted || (said >= took && said - took < CUTS * 1024));
    }
    check(&tree);
    REQUIRE(tree.cuts == 0 && (!is_counted || btree_overhead_bytes(&tree) == mem_used() - before));
    btree_fini(&tree);
    REQUIRE(!is_counted || mem_used() == before);
    mem_free(items);
    mem_free(sorted);
}

static size_t cut_reads(size_t n)
{
    struct btree tree, cut;
    struct item *items = mem_alloc(n * sizeof *items);
    btree_init(&tree, &counted_item_type);
    for (size_t i = 0; i < n; i++) {
        items[i] = (struct item){ (double)i, (uint32_t)i, false };
        btree_append(&tree, &items[i]);
    }
    item_reads = 0;
    btree_cut(&tree, n / 10, n / 2, &cut);
    size_t done = item_reads;
    btree_fini(&cut);
    btree_fini(&tree);
    mem_free(items);
    return done;
}

/* Half of a million items are cut out without looking at more than what lies around the two ends. */
Test(btree_cut, cutting_reads_few_items)
{
    size_t many = cut_reads(1000 * 1000);
    cr_assert(many < 2000, "%zu reads", many);
}
