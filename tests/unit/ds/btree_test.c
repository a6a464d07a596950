/*
 * Tests of the btree: the contract case by case, then a sorted array that random operations must agree with, then the
 * promises of memory. Random tests print their seed; LARDER_TEST_SEED repeats one.
 */
#include "ds/btree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/scale.h"
#include "base/mem.h"
#include "base/random.h"
#include "btree_fixture.h"

enum { LEAF_ROOM = 124, INNER_ROOM = 31 };

/* Where every comparison has to read items. */
static const struct btree_type plain_type = { NULL, item_compare };

static struct btree_key key_of(const struct btree *tree, const struct item *item)
{
    return (struct btree_key){ tree->type->prefix ? item_prefix(item) : 0, item, item_compare };
}

static int score_compare(const void *key, const void *item)
{
    double score = *(const double *)key, other = ((const struct item *)item)->score;
    return (score > other) - (score < other);
}

static int score_compare_beyond(const void *key, const void *item)
{
    return *(const double *)key < ((const struct item *)item)->score ? -1 : 1;
}

/* From a score on, or from what is beyond it. */
static struct btree_key bound_of(const struct btree *tree, const double *score, bool beyond)
{
    uint64_t prefix = tree->type->prefix ? btree_prefix_double(*score) : 0;
    return (struct btree_key){ prefix, score, beyond ? score_compare_beyond : score_compare };
}

static double ascending(struct random *random, size_t i)
{
    (void)random;
    return (double)i;
}

static double descending(struct random *random, size_t i)
{
    (void)random;
    return -(double)i * 0.37;
}

static double uniform(struct random *random, size_t i)
{
    (void)i;
    return random_double(random);
}

static double whole(struct random *random, size_t i)
{
    (void)i;
    return (double)random_below(random, 1000) - 500;
}

/* Most near 0, some over all magnitudes. */
static double zipf(struct random *random, size_t i)
{
    (void)i;
    return (double)(int64_t)(1000000 / (1 + random_below(random, 1000000)));
}

static double equal(struct random *random, size_t i)
{
    (void)random;
    (void)i;
    return 1.5;
}

/* Ever farther apart: no scale fits for long. */
static double exploding(struct random *random, size_t i)
{
    double score = random_double(random) - 0.5;
    for (size_t n = random_below(random, 300) + i % 2; n > 0; n--)
        score *= n % 3 ? 3.5 : 0.3;
    return score;
}

static const order_fn orders[] = { ascending, descending, uniform, whole, zipf, equal, exploding };
enum { ORDERS = sizeof(orders) / sizeof(*orders) };

/* The tree holds exactly these, forwards and backwards, by rank and by item. */
static void require_order(const struct btree *tree, struct item *const *sorted, size_t n)
{
    check(tree);
    REQUIRE(btree_count(tree) == n);
    struct btree_iter iter = btree_seek_rank(tree, 0);
    struct item *item = btree_iter_item(&iter);
    for (size_t i = 0; i < n; i++, item = btree_iter_next(&iter)) {
        size_t rank = n;
        REQUIRE(item == sorted[i]);
        REQUIRE(btree_at(tree, i) == item);
        REQUIRE(btree_rank(tree, item, &rank) && rank == i);
    }
    REQUIRE(!item && !btree_iter_next(&iter) && !btree_iter_item(&iter));
    for (size_t i = n; i-- > 0;)
        REQUIRE(btree_iter_prev(&iter) == sorted[i]);
    REQUIRE(!btree_iter_prev(&iter) && !btree_iter_prev(&iter) && !btree_iter_item(&iter));
    REQUIRE(btree_iter_next(&iter) == (n ? sorted[0] : NULL));
    REQUIRE(!btree_at(tree, n) && !btree_at(tree, SIZE_MAX));
}

/* Contract cases. */

Test(btree, empty_tree_answers_nothing)
{
    struct btree tree;
    btree_init(&tree, &item_type);
    struct item item = { .score = 1 };
    struct btree_key key = key_of(&tree, &item);
    void *taken;
    size_t rank = 77;
    REQUIRE(btree_count(&tree) == 0 && btree_overhead_bytes(&tree) == 0);
    REQUIRE(!btree_find(&tree, &key) && !btree_at(&tree, 0));
    REQUIRE(!btree_rank(&tree, &item, &rank) && rank == 77);
    REQUIRE(btree_rank_key(&tree, &key) == 0);
    REQUIRE(!btree_remove(&tree, &item) && !btree_replace(&tree, &item, &item));
    REQUIRE(btree_remove_range(&tree, 0, 5, NULL) == 0 && btree_drain(&tree, &taken, 1) == 0);
    struct btree_iter iter = btree_seek(&tree, &key);
    REQUIRE(!btree_iter_item(&iter) && !btree_iter_next(&iter) && !btree_iter_prev(&iter));
    require_order(&tree, NULL, 0);
    btree_fini(&tree);
    btree_fini(&tree);
}

Test(btree, one_item_goes_in_and_out)
{
    struct btree tree;
    btree_init(&tree, &item_type);
    struct item item = { .score = -3, .id = 1 }, *sorted[] = { &item };
    REQUIRE(!btree_insert(&tree, &item));
    require_order(&tree, sorted, 1);
    REQUIRE(btree_overhead_bytes(&tree) == mem_good_size(48));
    REQUIRE(btree_remove(&tree, &item) && !btree_remove(&tree, &item));
    REQUIRE(btree_count(&tree) == 0 && btree_overhead_bytes(&tree) == 0);
    check(&tree);
    REQUIRE(!btree_insert(&tree, &item));
    btree_fini(&tree);
    REQUIRE(btree_overhead_bytes(&tree) == 0);
}

Test(btree, what_compares_equal_is_refused)
{
    struct btree tree;
    struct random random;
    random = seed_random(__func__);
    btree_init(&tree, &item_type);
    size_t n = 5000;
    struct item *items = items_create(&random, n, whole);
    for (size_t i = 0; i < n; i++)
        REQUIRE(!btree_insert(&tree, &items[i]));
    for (size_t i = 0; i < n; i++) {
        struct item twin = items[i];
        struct btree_key key = key_of(&tree, &twin);
        size_t rank;
        REQUIRE(btree_insert(&tree, &twin) == &items[i] && btree_insert(&tree, &items[i]) == &items[i]);
        REQUIRE(btree_find(&tree, &key) == &items[i]);
        REQUIRE(!btree_remove(&tree, &twin) && !btree_rank(&tree, &twin, &rank));
    }
    struct item **sorted = sorted_create(items, n);
    require_order(&tree, sorted, n);
    btree_fini(&tree);
    mem_free(items);
    mem_free(sorted);
}

Test(btree, bounds_leave_out_or_take_in_what_equals_them)
{
    static const struct btree_type *const types[] = { &item_type, &plain_type };
    for (size_t type = 0; type < 2; type++) {
        struct btree tree;
        btree_init(&tree, types[type]);
        enum { SCORES = 100, EACH = 37 };
        struct item *items = mem_zalloc(SCORES * EACH * sizeof(*items));
        for (uint32_t i = 0; i < SCORES * EACH; i++) {
            items[i] = (struct item){ .score = i / EACH * 2.0, .id = i };
            btree_append(&tree, &items[i]);
        }
        check(&tree);
        for (size_t i = 0; i < SCORES; i++) {
            double score = (double)i * 2, between = score + 1;
            struct btree_key from = bound_of(&tree, &score, false), beyond = bound_of(&tree, &score, true);
            struct btree_key gap = bound_of(&tree, &between, false);
            REQUIRE(btree_find(&tree, &from) == &items[i * EACH] && !btree_find(&tree, &gap));
            REQUIRE(btree_rank_key(&tree, &from) == i * EACH);
            REQUIRE(btree_rank_key(&tree, &beyond) == (i + 1) * EACH && btree_rank_key(&tree, &gap) == (i + 1) * EACH);
            struct btree_iter iter = btree_seek(&tree, &beyond);
            REQUIRE(btree_iter_item(&iter) == (i + 1 < SCORES ? &items[(i + 1) * EACH] : NULL));
            REQUIRE(btree_iter_prev(&iter) == &items[(i + 1) * EACH - 1]);
            iter = btree_seek(&tree, &from);
            REQUIRE(btree_iter_item(&iter) == &items[i * EACH]);
            REQUIRE(btree_iter_prev(&iter) == (i ? &items[i * EACH - 1] : NULL));
        }
        btree_fini(&tree);
        mem_free(items);
    }
}

Test(btree, prefixes_of_doubles_are_in_their_order)
{
    static const double doubles[] = { -__builtin_inf(), -1.7976931348623157e308, -2, -1.5, -1e-300, -4.9e-324, 0,
        4.9e-324, 1e-300, 1, 1.0000000000000002, 1e17, 1.7976931348623157e308, __builtin_inf() };
    for (size_t i = 1; i < sizeof(doubles) / sizeof(*doubles); i++)
        REQUIRE(btree_prefix_double(doubles[i - 1]) < btree_prefix_double(doubles[i]));
    REQUIRE(btree_prefix_double(-0.0) == btree_prefix_double(0.0));
}

Test(btree, scores_at_the_ends_of_the_range)
{
    static const double extremes[] = { -__builtin_inf(), -1e308, -1, -4.9e-324, 0, 4.9e-324, 1, 1e308,
        __builtin_inf() };
    enum { N = 9 * 50 };
    struct btree tree;
    struct random random;
    random = seed_random(__func__);
    btree_init(&tree, &item_type);
    struct item *items = items_create(&random, N, uniform);
    for (size_t i = 0; i < N; i++) {
        items[i].score = extremes[random_below(&random, 9)];
        REQUIRE(!btree_insert(&tree, &items[i]));
        check(&tree);
    }
    struct item **sorted = sorted_create(items, N);
    require_order(&tree, sorted, N);
    btree_fini(&tree);
    mem_free(items);
    mem_free(sorted);
}

/* Sizes and orders. */

static void go_through_sizes(const struct btree_type *type, struct random *random, size_t n, order_fn order)
{
    struct btree tree;
    btree_init(&tree, type);
    struct item *items = items_create(random, n, order), **sorted = sorted_create(items, n);
    for (size_t i = 0; i < n; i++)
        REQUIRE(!btree_insert(&tree, &items[i]));
    require_order(&tree, sorted, n);
    /* Out again: from the front, from the end, or in the order of arrival. */
    size_t way = random_below(random, 3);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(btree_remove(&tree, way == 0 ? sorted[i] : way == 1 ? sorted[n - 1 - i] : &items[i]));
        if (n < 300 || i % 997 == 0)
            check(&tree);
    }
    REQUIRE(btree_count(&tree) == 0 && btree_overhead_bytes(&tree) == 0);
    for (size_t i = 0; i < n; i++)
        btree_append(&tree, sorted[i]);
    require_order(&tree, sorted, n);
    btree_fini(&tree);
    mem_free(items);
    mem_free(sorted);
}

Test(btree, every_order_at_the_borders_of_fan_outs)
{
    static const size_t sizes[] = { 0, 1, 2, 3, 4, 5, LEAF_ROOM - 1, LEAF_ROOM, LEAF_ROOM + 1, 2 * LEAF_ROOM,
        2 * LEAF_ROOM + 1, 3 * LEAF_ROOM, INNER_ROOM * LEAF_ROOM - 1, INNER_ROOM * LEAF_ROOM,
        INNER_ROOM * LEAF_ROOM + 1, (INNER_ROOM - 1) * (LEAF_ROOM - 1), (INNER_ROOM - 1) * (LEAF_ROOM - 1) + 2, 9000 };
    struct random random;
    random = seed_random(__func__);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (size_t order = 0; order < ORDERS; order++)
            go_through_sizes(order % 3 == 1 ? &plain_type : &item_type, &random, sizes[i], orders[order]);
}

Test(btree, two_full_levels_and_a_third)
{
    struct random random;
    random = seed_random(__func__);
    for (size_t order = 0; order < ORDERS; order += SCALE_DOWN)
        go_through_sizes(&item_type, &random, 130000, orders[order]);
}

Test(btree, memory_of_small_trees)
{
    struct btree tree;
    struct random random;
    random_init(&random, 5);
    btree_init(&tree, &item_type);
    struct item *items = items_create(&random, LEAF_ROOM, uniform);
    for (size_t n = 1; n <= LEAF_ROOM; n++) {
        REQUIRE(!btree_insert(&tree, &items[n - 1]));
        REQUIRE(btree_overhead_bytes(&tree) <= mem_good_size(48 + n * 10));
    }
    for (size_t n = LEAF_ROOM; n-- > 1;) {
        REQUIRE(btree_remove(&tree, &items[n]));
        REQUIRE(btree_overhead_bytes(&tree) <= mem_good_size(48 + n * 20));
    }
    btree_fini(&tree);
    mem_free(items);
}

/* Only jemalloc says beforehand what it will give. */
Test(btree, overhead_is_what_the_allocator_gave)
{
    if (strncmp(mem_allocator_name(), "jemalloc", 8) != 0)
        return;
    mem_thread_register();
    struct btree tree;
    struct random random;
    random_init(&random, 6);
    btree_init(&tree, &item_type);
    size_t n = 20000;
    struct item *items = items_create(&random, n, zipf);
    size_t before = mem_used();
    for (size_t i = 0; i < n; i++) {
        btree_insert(&tree, &items[i]);
        REQUIRE(i % 37 || btree_overhead_bytes(&tree) == mem_used() - before);
    }
    for (size_t i = 0; i < n; i++) {
        btree_remove(&tree, &items[i]);
        REQUIRE(i % 37 || btree_overhead_bytes(&tree) == mem_used() - before);
    }
    REQUIRE(mem_used() == before);
    mem_free(items);
}

/* The model: a sorted array. */

struct model {
    struct btree tree;
    struct random random;
    struct item *items;   /* owned; all that may ever be in */
    struct item **sorted; /* owned; those that are */
    size_t n, present;
    order_fn order;
};

static size_t model_rank(const struct model *model, const struct item *item)
{
    size_t low = 0, high = model->present;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (item_compare(model->sorted[middle], item) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void model_cut(struct model *model, size_t rank, size_t n)
{
    for (size_t i = rank; i < rank + n; i++)
        model->sorted[i]->present = false;
    memmove(model->sorted + rank, model->sorted + rank + n, (model->present - rank - n) * sizeof(*model->sorted));
    model->present -= n;
}

static void model_put(struct model *model, struct item *item)
{
    size_t rank = model_rank(model, item);
    memmove(model->sorted + rank + 1, model->sorted + rank, (model->present - rank) * sizeof(*model->sorted));
    model->sorted[rank] = item;
    model->present++;
    item->present = true;
}

static void model_ask(struct model *model, const struct item *item)
{
    struct btree *tree = &model->tree;
    size_t rank = model_rank(model, item), got = SIZE_MAX;
    struct btree_key key = key_of(tree, item);
    REQUIRE(btree_rank(tree, item, &got) == item->present && (!item->present || got == rank));
    REQUIRE(btree_rank_key(tree, &key) == rank);
    REQUIRE(btree_find(tree, &key) == (item->present ? item : NULL));
    REQUIRE(btree_at(tree, rank) == (rank < model->present ? model->sorted[rank] : NULL));
    struct btree_iter iter = btree_seek(tree, &key);
    size_t steps = random_below(&model->random, 200);
    if (random_below(&model->random, 2)) {
        void *there = btree_iter_item(&iter);
        for (size_t i = rank; i < rank + steps; i++, there = btree_iter_next(&iter))
            REQUIRE(there == (i < model->present ? model->sorted[i] : NULL));
    } else {
        for (size_t i = 0; i < steps; i++)
            REQUIRE(btree_iter_prev(&iter) == (i < rank ? model->sorted[rank - 1 - i] : NULL));
    }
    const struct item *other = &model->items[random_below(&model->random, model->n)];
    struct btree_key from = bound_of(tree, &item->score, false), below = bound_of(tree, &other->score, true);
    struct item first = { item->score, 0, false }, end = { other->score, UINT32_MAX, false };
    size_t low = model_rank(model, &first), high = model_rank(model, &end);
    REQUIRE(btree_rank_key(tree, &from) == low && btree_rank_key(tree, &below) == high);
}

/* Any range is cut out, is a tree like another, and is given back while the rest goes on. */
static void model_cut_out(struct model *model)
{
    struct btree cut;
    size_t rank = random_below(&model->random, model->present + 1);
    size_t n = random_below(&model->random, model->present - rank + 1);
    btree_cut(&model->tree, rank, n, &cut);
    require_order(&cut, model->sorted + rank, n);
    check(&model->tree);
    for (size_t left = n; left > 0;) {
        void *taken[100];
        size_t got = btree_drain(&cut, taken, 1 + random_below(&model->random, 100));
        REQUIRE(got > 0 && got <= left);
        for (size_t i = 0; i < got; i++)
            REQUIRE(taken[i] == model->sorted[rank + --left]);
        if (random_below(&model->random, 2))
            btree_cut_settle(&model->tree, &cut);
    }
    if (cut.cuts)
        btree_cut_settle(&model->tree, &cut);
    model_cut(model, rank, n);
}

static void model_remove_some(struct model *model)
{
    if (random_below(&model->random, 4) == 0) {
        model_cut_out(model);
        return;
    }
    void *removed[64];
    size_t rank = random_below(&model->random, model->present + 1), n = random_below(&model->random, 65);
    size_t expected = n < model->present - rank ? n : model->present - rank;
    if (random_below(&model->random, 4) == 0) {
        n = n % 16;
        expected = n < model->present ? n : model->present;
        rank = model->present - expected;
        REQUIRE(btree_drain(&model->tree, removed, n) == expected);
        for (size_t i = 0; i < expected; i++)
            REQUIRE(removed[i] == model->sorted[model->present - 1 - i]);
    } else {
        bool wanted = random_below(&model->random, 8);
        REQUIRE(btree_remove_range(&model->tree, rank, n, wanted ? removed : NULL) == expected);
        for (size_t i = 0; wanted && i < expected; i++)
            REQUIRE(removed[i] == model->sorted[rank + i]);
    }
    model_cut(model, rank, expected);
}

/* A copy elsewhere takes the item's place, and the item that of the copy. */
static void model_replace(struct model *model, struct item *item)
{
    struct item copy = *item;
    REQUIRE(btree_replace(&model->tree, item, &copy) && !btree_replace(&model->tree, item, &copy));
    size_t rank = model_rank(model, item);
    REQUIRE(btree_at(&model->tree, rank) == &copy);
    /* A score halfway to the neighbours' passes none of them. */
    double from = rank > 0 ? model->sorted[rank - 1]->score : item->score - 1;
    double to = rank + 1 < model->present ? model->sorted[rank + 1]->score : item->score + 1;
    if (from < item->score && item->score < to)
        item->score = random_below(&model->random, 2) ? (from + item->score) / 2 : (item->score + to) / 2;
    if (item->score <= from || item->score >= to)
        item->score = copy.score;
    REQUIRE(btree_replace(&model->tree, &copy, item) && btree_at(&model->tree, rank) == item);
}

static void model_step(struct model *model, unsigned insert_percent)
{
    struct item *item = &model->items[random_below(&model->random, model->n)];
    unsigned dice = (unsigned)random_below(&model->random, 1000);
    if (dice < 60) {
        model_ask(model, item);
    } else if (dice < 65) {
        if (insert_percent < 60)
            model_remove_some(model);
    } else if (dice < 90) {
        if (item->present)
            model_replace(model, item);
    } else if (random_below(&model->random, 100) < insert_percent) {
        REQUIRE(btree_insert(&model->tree, item) == (item->present ? item : NULL));
        if (!item->present)
            model_put(model, item);
    } else {
        REQUIRE(btree_remove(&model->tree, item) == item->present);
        if (item->present)
            model_cut(model, model_rank(model, item), 1);
        /* An item that is out may come again elsewhere. */
        item->score = model->order(&model->random, random_below(&model->random, model->n));
    }
    REQUIRE(btree_count(&model->tree) == model->present);
}

static void model_run(const struct btree_type *type, order_fn order, size_t n, size_t rounds, size_t steps)
{
    static const unsigned insert_percent[] = { 95, 50, 25, 80, 5 };
    struct model model = { .n = n, .order = order };
    model.random = seed_random(__func__);
    btree_init(&model.tree, type);
    model.items = items_create(&model.random, n, order);
    model.sorted = mem_alloc(n * sizeof(*model.sorted));
    for (size_t round = 0; round < rounds; round++)
        for (size_t phase = 0; phase < sizeof(insert_percent) / sizeof(*insert_percent); phase++) {
            for (size_t i = 0; i < steps; i++)
                model_step(&model, insert_percent[phase]);
            require_order(&model.tree, model.sorted, model.present);
        }
    btree_fini(&model.tree);
    mem_free(model.items);
    mem_free(model.sorted);
}

Test(btree, model_of_few_items)
{
    for (size_t order = 0; order < ORDERS; order++)
        model_run(&item_type, orders[order], 8, 20, 100);
}

Test(btree, model_of_a_leaf_or_two)
{
    for (size_t order = 0; order < ORDERS; order++)
        model_run(&item_type, orders[order], 300, 3, 2000);
}

Test(btree, model_of_two_levels)
{
    for (size_t order = 0; order < ORDERS; order++)
        model_run(&item_type, orders[order], 4000, 2, 10000);
}

Test(btree, model_of_three_levels)
{
    model_run(&item_type, uniform, 20000, 1, 60000);
    model_run(&item_type, zipf, 20000, 1, 60000);
}

Test(btree, model_without_prefixes)
{
    for (size_t order = 0; order < ORDERS; order++)
        model_run(&plain_type, orders[order], 2000, 1, 8000);
}

/* Draining and removing in slices. */

Test(btree, drain_takes_all_and_leaves_a_valid_tree)
{
    struct btree tree;
    struct random random;
    random = seed_random(__func__);
    btree_init(&tree, &item_type);
    size_t n = 60000, left = n;
    struct item *items = items_create(&random, n, zipf), **sorted = sorted_create(items, n);
    for (size_t i = 0; i < n; i++)
        REQUIRE(!btree_insert(&tree, &items[i]));
    for (size_t slice = 0; left > 0; slice++) {
        void *taken[100];
        size_t max = 1 + random_below(&random, 100), got = btree_drain(&tree, taken, max);
        REQUIRE(got == (max < left ? max : left));
        for (size_t i = 0; i < got; i++)
            REQUIRE(taken[i] == sorted[--left]);
        if (slice % 50 == 0)
            check(&tree);
        if (slice == 300)
            require_order(&tree, sorted, left);
    }
    REQUIRE(btree_overhead_bytes(&tree) == 0);
    REQUIRE(!btree_insert(&tree, &items[0]));
    btree_fini(&tree);
    mem_free(items);
    mem_free(sorted);
}

Test(btree, ranges_are_removed_in_slices)
{
    struct btree tree;
    struct random random;
    random = seed_random(__func__);
    btree_init(&tree, &item_type);
    size_t n = 60000, from = 12345, range = 40000;
    struct item *items = items_create(&random, n, uniform), **sorted = sorted_create(items, n);
    for (size_t i = 0; i < n; i++)
        btree_append(&tree, sorted[i]);
    for (size_t done = 0; done < range;) {
        void *taken[777];
        size_t n_slice = range - done < 777 ? range - done : 777;
        REQUIRE(btree_remove_range(&tree, from, n_slice, taken) == n_slice);
        for (size_t i = 0; i < n_slice; i++)
            REQUIRE(taken[i] == sorted[from + done + i]);
        done += n_slice;
        check(&tree);
    }
    memmove(sorted + from, sorted + from + range, (n - from - range) * sizeof(*sorted));
    require_order(&tree, sorted, n - range);
    btree_fini(&tree);
    mem_free(items);
    mem_free(sorted);
}

/* Reads per look-up of every item: one tells that the item is it, one that nothing before it in its tag is. */
static double reads_per_find(const struct btree *tree, const struct item *items, size_t n)
{
    item_reads = 0;
    for (size_t i = 0; i < n; i++) {
        struct btree_key key = { item_prefix(&items[i]), &items[i], item_compare_counted };
        REQUIRE(btree_find(tree, &key) == &items[i]);
    }
    return (double)item_reads / (double)n;
}

Test(btree, items_are_seldom_read)
{
    static const order_fn distinct[] = { uniform, ascending, descending, exploding };
    struct random random;
    random = seed_random(__func__);
    size_t n = 50000;
    for (size_t order = 0; order < sizeof(distinct) / sizeof(*distinct); order++) {
        struct btree tree;
        btree_init(&tree, &counted_item_type);
        struct item *items = items_create(&random, n, distinct[order]);
        item_reads = 0;
        for (size_t i = 0; i < n; i++)
            REQUIRE(!btree_insert(&tree, &items[i]));
        double per_insert = (double)item_reads / (double)n, per_find = reads_per_find(&tree, items, n);
        /* Scores that come and go elsewhere leave scales behind that no longer fit. */
        for (size_t i = 0; i < n; i++) {
            REQUIRE(btree_remove(&tree, &items[i]));
            items[i].score = items[i].score * 1e-6 + 7;
            REQUIRE(!btree_insert(&tree, &items[i]));
        }
        double after = reads_per_find(&tree, items, n);
        fprintf(stderr, "reads: %.2f per insert, %.2f per find, %.2f after\n", per_insert, per_find, after);
        REQUIRE(per_insert < 8 && per_find < 2.2 && after < 2.2);
        check(&tree);
        btree_fini(&tree);
        mem_free(items);
    }
}

/* Memory. */

static double bytes_per_item(const struct btree *tree)
{
    return (double)btree_overhead_bytes(tree) / (double)btree_count(tree);
}

static double fill_and_weigh(order_fn order, size_t n)
{
    struct btree tree;
    struct random random;
    random = seed_random(__func__);
    btree_init(&tree, &item_type);
    struct item *items = items_create(&random, n, order);
    for (size_t i = 0; i < n; i++)
        REQUIRE(!btree_insert(&tree, &items[i]));
    double bytes = bytes_per_item(&tree);
    check(&tree);
    btree_fini(&tree);
    mem_free(items);
    fprintf(stderr, "%.2f bytes an item\n", bytes);
    return bytes;
}

Test(btree, memory_in_random_order)
{
    REQUIRE(fill_and_weigh(uniform, 1000000 / SCALE_DOWN) <= 11.5);
    REQUIRE(fill_and_weigh(zipf, 200000) <= 11.5);
}

Test(btree, memory_in_sequence)
{
    REQUIRE(fill_and_weigh(ascending, 1000000 / SCALE_DOWN) <= 9);
    REQUIRE(fill_and_weigh(descending, 1000000 / SCALE_DOWN) <= 9);
}

Test(btree, memory_while_items_come_and_go)
{
    struct btree tree;
    struct random random;
    random = seed_random(__func__);
    btree_init(&tree, &item_type);
    size_t n = 100000;
    struct item *items = items_create(&random, n, uniform);
    for (size_t i = 0; i < n; i++)
        REQUIRE(!btree_insert(&tree, &items[i]));
    for (size_t i = 0; i < 5 * n; i++) {
        struct item *item = &items[random_below(&random, n)];
        REQUIRE(btree_remove(&tree, item));
        item->score = random_double(&random);
        REQUIRE(!btree_insert(&tree, item));
    }
    check(&tree);
    REQUIRE(bytes_per_item(&tree) <= 12.5);
    for (size_t i = 0; i < n * 9 / 10; i++)
        REQUIRE(btree_remove(&tree, &items[i]));
    check(&tree);
    REQUIRE(bytes_per_item(&tree) <= 15);
    btree_fini(&tree);
    mem_free(items);
}
