/*
 * Tests of the table: the contract case by case, then a model of flags in an array that random operations must agree
 * with, then the promises of scanning, draining, drawing and memory. Random tests print their seed; LARDER_TEST_SEED
 * repeats one.
 */
#include "ds/table.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/scale.h"
#include "base/mem.h"
#include "base/random.h"
#include "table_fixture.h"

struct item {
    uint64_t hash;
    uint32_t id;
    bool present, marked;
    uint32_t seen;
};

static uint64_t item_hash(const void *item)
{
    return ((const struct item *)item)->hash;
}

static bool item_is(const void *item, const void *id)
{
    return ((const struct item *)item)->id == *(const uint32_t *)id;
}

static const struct table_type item_type = { item_hash };

/* `n` items that are not in any table yet, with random hashes. */
static struct item *items_create(struct random *random, size_t n)
{
    struct item *items = mem_zalloc(n * sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        items[i].hash = random_next(random);
        items[i].id = (uint32_t)i;
    }
    return items;
}

static uint64_t *find(const struct table *table, const struct item *item)
{
    return table_find(table, item->hash, item_is, &item->id);
}

static void insert(struct table *table, struct item *item)
{
    uint64_t *slot = table_insert(table, item->hash, item);
    REQUIRE(table_slot_item(slot) == item && !table_slot_marked(slot));
    item->present = true;
    item->marked = false;
}

static void take_out(struct table *table, struct item *item)
{
    uint64_t *slot = find(table, item);
    REQUIRE(slot && table_slot_item(slot) == item);
    table_remove(table, item->hash, slot);
    item->present = false;
}

static void see(void *context, uint64_t *slot)
{
    struct item *item = table_slot_item(slot);
    item->seen++;
    if (context)
        ++*(size_t *)context;
}

typedef uint64_t (*scan_fn)(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context);

static size_t scan_all(const struct table *table, scan_fn scan)
{
    size_t visits = 0;
    uint64_t cursor = 0;
    do
        cursor = scan(table, cursor, see, &visits);
    while (cursor);
    return visits;
}

/* Contract cases. */

Test(table, empty_table_answers_nothing)
{
    struct table table;
    struct random random;
    random_init(&random, 1);
    table_init(&table, &item_type);
    struct item item = { .hash = 5 };
    REQUIRE(table_count(&table) == 0);
    REQUIRE(table_overhead_bytes(&table) == 0);
    REQUIRE(!find(&table, &item));
    REQUIRE(!table_random(&table, &random));
    REQUIRE(!table_drain(&table));
    REQUIRE(table_scan(&table, 0, see, NULL) == 0);
    REQUIRE(table_scan(&table, 77, see, NULL) == 0);
    table_prefetch_bucket(&table, 5);
    table_prefetch_items(&table, 5);
    check(&table);
    table_fini(&table);
    table_fini(&table);
}

Test(table, one_item_goes_in_and_out)
{
    struct table table;
    struct random random;
    random_init(&random, 1);
    table_init(&table, &item_type);
    struct item item = { .hash = 0x123456789abcdef0, .id = 3 }, other = { .hash = item.hash, .id = 4 };
    insert(&table, &item);
    check(&table);
    REQUIRE(table_count(&table) == 1);
    REQUIRE(table_slot_item(find(&table, &item)) == &item);
    REQUIRE(!find(&table, &other));
    REQUIRE(table_slot_item(table_random(&table, &random)) == &item);
    REQUIRE(scan_all(&table, table_scan) == 1 && item.seen == 1);
    table_prefetch_items(&table, item.hash);
    take_out(&table, &item);
    check(&table);
    REQUIRE(table_count(&table) == 0);
    REQUIRE(!find(&table, &item));
    REQUIRE(!table_random(&table, &random));
    table_fini(&table);
    REQUIRE(table_overhead_bytes(&table) == 0);
}

Test(table, hash_zero_is_a_hash_like_any_other)
{
    struct table table;
    table_init(&table, &item_type);
    struct item items[20] = { 0 };
    for (uint32_t i = 0; i < 20; i++) {
        items[i].id = i;
        REQUIRE(!find(&table, &items[i]));
        insert(&table, &items[i]);
        check(&table);
    }
    for (uint32_t i = 0; i < 20; i++)
        REQUIRE(find(&table, &items[i]));
    REQUIRE(scan_all(&table, table_scan) == 20);
    for (uint32_t i = 0; i < 20; i++) {
        take_out(&table, &items[i]);
        check(&table);
    }
    table_fini(&table);
}

Test(table, mark_and_item_of_a_slot_are_independent)
{
    struct table table;
    table_init(&table, &item_type);
    struct item a = { .hash = 0xffff000000000001 }, b = a;
    uint64_t *slot = table_insert(&table, a.hash, &a);
    table_slot_set_mark(slot, true);
    table_slot_set_item(slot, &b);
    REQUIRE(table_slot_marked(slot) && table_slot_item(slot) == &b);
    check(&table);
    table_slot_set_mark(slot, false);
    REQUIRE(!table_slot_marked(slot) && table_slot_item(slot) == &b);
    table_slot_set_item(slot, &a);
    REQUIRE(!table_slot_marked(slot) && table_slot_item(slot) == &a);
    check(&table);
    table_fini(&table);
}

Test(table, items_with_one_tag_are_told_apart)
{
    struct table table;
    struct random random;
    random = seed_random(__func__);
    table_init(&table, &item_type);
    size_t n = 5000;
    struct item *items = items_create(&random, n);
    for (size_t i = 0; i < n; i++) {
        items[i].hash = items[i].hash >> 16 | 0xbeefull << 48;
        REQUIRE(!find(&table, &items[i]));
        insert(&table, &items[i]);
    }
    check(&table);
    for (size_t i = 0; i < n; i++)
        REQUIRE(table_slot_item(find(&table, &items[i])) == &items[i]);
    for (size_t i = 0; i < n; i += 2)
        take_out(&table, &items[i]);
    check(&table);
    for (size_t i = 0; i < n; i++)
        REQUIRE((find(&table, &items[i]) != NULL) == i % 2);
    table_fini(&table);
    mem_free(items);
}

/* No split can part them: one chain holds all. It is slow, and right. */
Test(table, items_with_the_same_low_bits_share_a_chain)
{
    struct table table;
    struct random random;
    random = seed_random(__func__);
    table_init(&table, &item_type);
    size_t n = 1500;
    struct item *items = items_create(&random, n);
    for (size_t i = 0; i < n; i++) {
        items[i].hash = items[i].hash << 40 | 0x5555555555;
        insert(&table, &items[i]);
        if (i % 100 == 0)
            check(&table);
    }
    check(&table);
    REQUIRE(table.longest_chain >= n / TABLE_SLOTS);
    REQUIRE(scan_all(&table, table_scan) == n);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(items[i].seen == 1);
        REQUIRE(find(&table, &items[i]));
    }
    for (size_t i = 0; i < n; i++) {
        take_out(&table, &items[(i * 7) % n]);
        if (i % 100 == 0)
            check(&table);
    }
    check(&table);
    REQUIRE(table_count(&table) == 0 && table.longest_chain == 1);
    table_fini(&table);
    mem_free(items);
}

/* The model. */

struct model {
    struct table table;
    struct random random;
    struct item *items; /* owned; every second one is the twin that replaces the first */
    uint32_t *current;  /* owned; which twin of a key is in the table */
    size_t keys, present;
};

static struct item *model_item(struct model *model, size_t key)
{
    return &model->items[key * 2 + model->current[key]];
}

static void model_init(struct model *model, size_t keys)
{
    model->random = seed_random(__func__);
    table_init(&model->table, &item_type);
    model->keys = keys;
    model->present = 0;
    model->items = items_create(&model->random, keys * 2);
    model->current = mem_zalloc(keys * sizeof(*model->current));
    for (size_t i = 0; i < keys; i++) {
        model->items[i * 2 + 1].hash = model->items[i * 2].hash;
        model->items[i * 2 + 1].id = model->items[i * 2].id;
    }
}

static void model_fini(struct model *model)
{
    table_fini(&model->table);
    mem_free(model->items);
    mem_free(model->current);
}

/* One random operation on one random key; `insert_percent` says which way the number of items goes. */
static void model_step(struct model *model, unsigned insert_percent)
{
    size_t key = random_below(&model->random, model->keys);
    struct item *item = model_item(model, key);
    uint64_t *slot = find(&model->table, item);
    REQUIRE((slot != NULL) == item->present);
    if (slot)
        REQUIRE(table_slot_item(slot) == item && table_slot_marked(slot) == item->marked);
    bool inserting = random_below(&model->random, 100) < insert_percent;
    if (!slot && inserting) {
        insert(&model->table, item);
        model->present++;
    } else if (slot && !inserting) {
        table_remove(&model->table, item->hash, slot);
        item->present = false;
        model->present--;
    } else if (slot && random_below(&model->random, 2)) {
        item->marked = !item->marked;
        table_slot_set_mark(slot, item->marked);
    } else if (slot) {
        model->current[key] ^= 1;
        struct item *twin = model_item(model, key);
        twin->present = true;
        twin->marked = item->marked;
        item->present = false;
        table_slot_set_item(slot, twin);
    }
    REQUIRE(table_count(&model->table) == model->present);
}

/* Every item of the table is one that the model has, as often and with the mark it should have. */
static void model_compare(struct model *model)
{
    check(&model->table);
    REQUIRE(model->table.count <= model->table.grow_at && model->table.count >= model->table.shrink_at);
    REQUIRE(scan_all(&model->table, table_scan) == model->present);
    size_t marked = 0;
    for (size_t i = 0; i < model->keys * 2; i++) {
        REQUIRE(model->items[i].seen == model->items[i].present);
        model->items[i].seen = 0;
        marked += model->items[i].present && model->items[i].marked;
    }
    REQUIRE(scan_all(&model->table, table_scan_marked) == marked);
    for (size_t i = 0; i < model->keys * 2; i++) {
        REQUIRE(model->items[i].seen == (model->items[i].present && model->items[i].marked));
        model->items[i].seen = 0;
    }
}

static void model_run(size_t keys, size_t rounds, size_t steps)
{
    static const unsigned insert_percent[] = { 95, 50, 20, 80, 3 };
    struct model model;
    model_init(&model, keys);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t phase = 0; phase < sizeof(insert_percent) / sizeof(*insert_percent); phase++) {
            for (size_t i = 0; i < steps; i++)
                model_step(&model, insert_percent[phase]);
            model_compare(&model);
        }
        for (size_t key = 0; key < keys; key++)
            if (model_item(&model, key)->present) {
                take_out(&model.table, model_item(&model, key));
                model.present--;
            }
        model_compare(&model);
        REQUIRE(model.table.buckets == 1);
    }
    model_fini(&model);
}

Test(table, model_of_few_keys)
{
    model_run(10, 50, 200);
    model_run(100, 20, 1000);
    model_run(8000, 3, 30000);
}

Test(table, model_of_many_keys)
{
    model_run(300000 / SCALE_DOWN, 2, 700000 / SCALE_DOWN);
}

/* Scans. */

Test(table, cursor_of_any_value_is_safe)
{
    struct table table;
    struct random random;
    random = seed_random(__func__);
    table_init(&table, &item_type);
    size_t n = 3000;
    struct item *items = items_create(&random, n);
    for (size_t i = 0; i < n; i++) {
        insert(&table, &items[i]);
        uint64_t cursor = random_next(&random) >> random_below(&random, 64);
        table_scan(&table, cursor, see, NULL);
        table_scan_marked(&table, cursor, see, NULL);
        table_scan_once(&table, cursor, see, NULL);
        table_scan(&table, UINT64_MAX, see, NULL);
        table_scan(&table, (uint64_t)1 << random_below(&random, 64), see, NULL);
    }
    /* From wherever it begins, a walk ends, after no more calls than there are buckets. */
    for (int i = 0; i < 200; i++) {
        uint64_t cursor = random_next(&random);
        size_t calls = 0;
        do {
            cursor = table_scan(&table, cursor, see, NULL);
            REQUIRE(++calls <= table.buckets);
        } while (cursor);
    }
    table_fini(&table);
    mem_free(items);
}

Test(table, cursors_are_small_numbers)
{
    struct table table;
    struct random random;
    random = seed_random(__func__);
    table_init(&table, &item_type);
    size_t n = 3000;
    struct item *items = items_create(&random, n);
    for (size_t i = 0; i < n; i++)
        insert(&table, &items[i]);
    size_t calls = 0;
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&table, cursor, see, NULL);
        calls++;
        REQUIRE(cursor <= table.mask);
    } while (cursor);
    REQUIRE(calls == table.buckets);
    table_fini(&table);
    mem_free(items);
}

/*
 * A walk over `stay` items that are present throughout, while `others` come and go between its calls: at first a random
 * part of them
 * (`begin_percent`) is present, then each call is followed by `changes` random changes, `insert_percent` of them
 * inserts.
 */
struct walk {
    size_t stay, others;
    unsigned begin_percent, changes, insert_percent;
    scan_fn scan;
};

static void walk_change(struct table *table, struct item *item, bool inserting)
{
    if (inserting && !item->present)
        insert(table, item);
    else if (!inserting && item->present)
        take_out(table, item);
}

static void walk_run(const struct walk *walk, struct random *random)
{
    struct table table;
    table_init(&table, &item_type);
    struct item *items = items_create(random, walk->stay + walk->others), *others = items + walk->stay;
    for (size_t i = 0; i < walk->stay + walk->others; i++)
        if (i < walk->stay || random_below(random, 100) < walk->begin_percent)
            insert(&table, &items[i]);
    bool merged = false;
    uint64_t cursor = 0;
    do {
        size_t buckets = table.buckets;
        cursor = walk->scan(&table, cursor, see, NULL);
        for (unsigned i = 0; i < walk->changes && cursor; i++) {
            bool inserting = random_below(random, 100) < walk->insert_percent;
            walk_change(&table, &others[random_below(random, walk->others)], inserting);
            merged |= table.buckets < buckets;
            buckets = table.buckets;
        }
    } while (cursor);
    check(&table);
    bool once = walk->scan == table_scan_once || !merged;
    for (size_t i = 0; i < walk->stay + walk->others; i++) {
        REQUIRE(i >= walk->stay || items[i].seen >= 1);
        REQUIRE(!once || items[i].seen <= 1);
    }
    table_fini(&table);
    mem_free(items);
}

static void walk_run_all(scan_fn scan)
{
    struct random random;
    random = seed_random(__func__);
    static const struct walk walks[] = {
        { 1000, 20000, 0, 20, 95, NULL },
        { 1000, 20000, 100, 50, 5, NULL },
        { 1000, 20000, 50, 100, 50, NULL },
        { 20, 20000, 0, 300, 100, NULL },
        { 20, 20000, 100, 300, 0, NULL },
        { 3, 300, 50, 200, 30, NULL },
        { 10000, 50000, 100, 200, 10, NULL },
        { 10000, 1000, 50, 10, 50, NULL },
        { 100, 10000, 100, 10, 0, NULL },
        { 500, 30000, 100, 12, 2, NULL },
        { 5000, 60000, 0, 100, 100, NULL },
        { 1, 50, 50, 20, 50, NULL },
    };
    for (int repeat = 0; repeat < 8; repeat += SCALE_DOWN)
        for (size_t i = 0; i < sizeof(walks) / sizeof(*walks); i++) {
            struct walk walk = walks[i];
            walk.scan = scan;
            walk_run(&walk, &random);
        }
}

Test(table, scan_sees_all_that_stays)
{
    walk_run_all(table_scan);
}

Test(table, scan_once_sees_all_that_stays_exactly_once)
{
    walk_run_all(table_scan_once);
}

/* Growth and shrinking alternate within one walk, so that the cursor meets buckets of every depth. */
Test(table, scan_holds_while_the_table_breathes)
{
    struct random random;
    random = seed_random(__func__);
    for (int repeat = 0; repeat < 20; repeat += SCALE_DOWN) {
        struct table table;
        table_init(&table, &item_type);
        size_t stay = 500, n = 8000;
        struct item *items = items_create(&random, n);
        for (size_t i = 0; i < stay; i++)
            insert(&table, &items[i]);
        scan_fn scan = repeat % 2 ? table_scan_once : table_scan;
        uint64_t cursor = 0;
        do {
            cursor = scan(&table, cursor, see, NULL);
            size_t fill = random_below(&random, n - stay), from = stay + random_below(&random, n - stay - fill);
            bool inserting = random_below(&random, 2);
            for (size_t i = 0; i < fill && cursor; i++)
                walk_change(&table, &items[from + i], inserting);
        } while (cursor);
        for (size_t i = 0; i < n; i++) {
            REQUIRE(i >= stay || items[i].seen >= 1);
            REQUIRE(scan == table_scan || items[i].seen <= 1);
        }
        table_fini(&table);
        mem_free(items);
    }
}

struct sweep {
    struct item *found[4096];
    size_t n;
};

static void sweep_collect(void *context, uint64_t *slot)
{
    struct sweep *sweep = context;
    REQUIRE(sweep->n < 4096);
    sweep->found[sweep->n++] = table_slot_item(slot);
}

/* What is left while the space of hashes is emptied from one end must not gather in endless chains. */
Test(table, removing_in_scan_order_keeps_chains_short)
{
    struct table table;
    struct random random;
    random = seed_random(__func__);
    table_init(&table, &item_type);
    size_t n = 400000, most = 0;
    struct item *items = items_create(&random, n);
    for (size_t i = 0; i < n; i++)
        insert(&table, &items[i]);
    uint64_t cursor = 0;
    do {
        struct sweep sweep = { .n = 0 };
        cursor = table_scan(&table, cursor, sweep_collect, &sweep);
        for (size_t i = 0; i < sweep.n; i++)
            take_out(&table, sweep.found[i]);
        most = sweep.n > most ? sweep.n : most;
        if (random_below(&random, 5000) == 0)
            check(&table);
    } while (cursor);
    check(&table);
    REQUIRE(table_count(&table) == 0);
    fprintf(stderr, "at most %zu items in a bucket\n", most);
    fprintf(stderr, "%zu buckets left\n", table.buckets);
    REQUIRE(most <= 250);
    REQUIRE(table.buckets < n / 100);
    /* A little traffic later the rest of the buckets is gone too. */
    for (size_t i = 0; i < 200; i++) {
        insert(&table, &items[i]);
        take_out(&table, &items[i]);
    }
    REQUIRE(table.buckets == 1);
    check(&table);
    table_fini(&table);
    mem_free(items);
}

/* Drain. */

Test(table, drain_takes_each_item_once_and_gives_memory_back)
{
    struct random random;
    random = seed_random(__func__);
    for (size_t n = 1; n < 200000; n = n * 3 + 1) {
        struct table table;
        table_init(&table, &item_type);
        struct item *items = items_create(&random, n);
        for (size_t i = 0; i < n; i++)
            insert(&table, &items[i]);
        for (size_t i = 0; i < n; i++) {
            size_t buckets = table.buckets;
            struct item *item = table_drain(&table);
            REQUIRE(item && ++item->seen == 1);
            REQUIRE(buckets - table.buckets <= 32);
            if (i % (n / 5 + 1) == 0)
                check(&table);
        }
        REQUIRE(!table_drain(&table) && table_count(&table) == 0);
        REQUIRE(table_overhead_bytes(&table) <= 2048);
        check(&table);
        insert(&table, &items[0]);
        REQUIRE(find(&table, &items[0]));
        table_fini(&table);
        mem_free(items);
    }
}

Test(table, drain_and_other_use_may_alternate)
{
    struct table table;
    struct random random;
    random = seed_random(__func__);
    table_init(&table, &item_type);
    size_t n = 20000;
    struct item *items = items_create(&random, n);
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < n; i++)
            if (!items[i].present)
                insert(&table, &items[i]);
        size_t drained = random_below(&random, n);
        for (size_t i = 0; i < drained; i++)
            ((struct item *)table_drain(&table))->present = false;
        check(&table);
        for (size_t i = 0; i < n; i++)
            REQUIRE((find(&table, &items[i]) != NULL) == items[i].present);
        for (size_t i = 0; i < n / 4; i++)
            if (items[i].present)
                take_out(&table, &items[i]);
        check(&table);
    }
    table_fini(&table);
    mem_free(items);
}

/*
 * Random draws: chi-square over the items. With k degrees of freedom it is above k + 2 sqrt(kx) + 2x, or below
 * k - 2 sqrt(kx), with a probability of at most exp(-x) each (Laurent and Massart 2000); x is 25.
 */
static void check_uniform(const struct table *table, struct item *items, size_t n, struct random *random)
{
    size_t present = table_count(table), per_item = 60;
    for (size_t i = 0; i < n; i++)
        items[i].seen = 0;
    for (size_t i = 0; i < present * per_item; i++)
        see(NULL, table_random(table, random));
    double chi_square = 0;
    for (size_t i = 0; i < n; i++) {
        REQUIRE(items[i].present || items[i].seen == 0);
        if (items[i].present)
            chi_square += pow((double)items[i].seen - (double)per_item, 2) / (double)per_item;
    }
    double freedom = (double)present - 1, wide = 10 * sqrt(freedom);
    fprintf(stderr, "%zu items: %.1f, %.1f expected\n", present, chi_square, freedom);
    REQUIRE(chi_square >= freedom - wide && chi_square <= freedom + wide + (freedom > 0 ? 50 : 0));
}

Test(table, random_draws_are_uniform)
{
    struct random random;
    random = seed_random(__func__);
    /* Just after, midway through and just before a doubling of the buckets, and small. */
    static const size_t sizes[] = { 1, 20, 100, 5700, 8500, 11200, 16890 };
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        struct table table;
        table_init(&table, &item_type);
        size_t n = sizes[s];
        struct item *items = items_create(&random, n);
        for (size_t i = 0; i < n; i++)
            insert(&table, &items[i]);
        check_uniform(&table, items, n, &random);
        for (size_t i = 0; i < n - (n + 3) / 4; i++)
            take_out(&table, &items[i]);
        check_uniform(&table, items, n, &random);
        table_fini(&table);
        mem_free(items);
    }
}

Test(table, random_draws_are_uniform_over_uneven_chains)
{
    struct table table;
    struct random random;
    random = seed_random(__func__);
    table_init(&table, &item_type);
    size_t n = 1000;
    struct item *items = items_create(&random, n);
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0)
            items[i].hash &= ~(uint64_t)0xffff;
        insert(&table, &items[i]);
    }
    check_uniform(&table, items, n, &random);
    table_fini(&table);
    mem_free(items);
}

Test(table, room_made_beforehand)
{
    enum { ITEMS = 20000 };
    struct table table;
    struct random random;
    random = seed_random(__func__);
    struct item *items = items_create(&random, ITEMS);
    table_init(&table, &item_type);
    table_unreserve(&table);
    table_reserve(&table, 0);
    check(&table);
    for (size_t room = 1; room < ITEMS; room *= 7)
        table_reserve(&table, room);
    table_reserve(&table, ITEMS);
    size_t buckets = table.buckets;
    for (size_t i = 0; i < ITEMS; i++)
        insert(&table, &items[i]);
    REQUIRE(table.buckets == buckets);
    check(&table);
    for (size_t i = 100; i < ITEMS; i++)
        take_out(&table, &items[i]);
    REQUIRE(table.buckets == buckets);
    table_unreserve(&table);
    for (size_t i = 50; i < 100; i++)
        take_out(&table, &items[i]);
    REQUIRE(table.buckets < buckets);
    check(&table);
    for (size_t i = 0; i < 50; i++)
        REQUIRE(find(&table, &items[i]));
    table_fini(&table);
    mem_free(items);
}
