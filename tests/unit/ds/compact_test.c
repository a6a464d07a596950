/*
 * Tests of moving structures: trees, tables and lists that were thinned out are the same after every piece of a walk,
 * and with jemalloc what is left lies in fewer pages.
 */
#include "ds/compact.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/random.h"
#include "ds/btree.h"
#include "ds/quicklist.h"

enum { ITEMS = 20000, KEPT_OF = 5 };

struct number {
    uint64_t value, hash;
};

static int number_compare(const void *item, const void *other)
{
    uint64_t a = ((const struct number *)item)->value, b = ((const struct number *)other)->value;
    return (a > b) - (a < b);
}

static uint64_t number_prefix(const void *item)
{
    return ((const struct number *)item)->value;
}

static uint64_t number_hash(const void *item)
{
    return ((const struct number *)item)->hash;
}

static bool is_same(const void *item, const void *sought)
{
    return item == sought;
}

static const struct btree_type tree_type = { number_prefix, number_compare };
static const struct table_type numbers_type = { number_hash };

static struct number *make(struct random *random, uint64_t value)
{
    struct number *number = mem_alloc(sizeof *number);
    *number = (struct number){ value, random_next(random) };
    return number;
}

static void complain(void *context, const char *what)
{
    (void)context;
    fprintf(stderr, "%s\n", what);
}

Test(compact, a_tree_keeps_its_order)
{
    static struct number *numbers[ITEMS];
    struct random random;
    struct mem_moves moves = { 0 };
    struct btree tree;
    random_init(&random, 3);
    btree_init(&tree, &tree_type);
    for (size_t i = 0; i < ITEMS; i++)
        btree_insert(&tree, numbers[i] = make(&random, i * 7919 % ITEMS));
    for (size_t i = 0; i < ITEMS; i++)
        if (random_below(&random, KEPT_OF)) {
            btree_remove(&tree, numbers[i]);
            mem_free(numbers[i]);
        }
    size_t count = btree_count(&tree);
    mem_compact_begin();
    for (size_t rank = 0; rank < count;) {
        size_t next = btree_compact(&tree, rank, 3, &moves);
        cr_assert(next > rank);
        rank = next;
        cr_assert(btree_check(&tree, complain, NULL) == 0);
    }
    cr_assert(moves.moved + moves.stayed >= tree.leaves + tree.inners);
    struct btree_iter iter = btree_seek_rank(&tree, 0);
    const struct number *last = NULL;
    for (const struct number *at = btree_iter_item(&iter); at; at = btree_iter_next(&iter)) {
        cr_assert(!last || last->value < at->value);
        last = at;
    }
    for (void *item; btree_drain(&tree, &item, 1);)
        mem_free(item);
    btree_fini(&tree);
}

struct visits {
    size_t count;
    struct mem_moves moves;
};

static void move_item(void *context, uint64_t *slot)
{
    struct visits *visits = context;
    visits->count++;
    table_slot_set_item(slot, mem_move(table_slot_item(slot), &visits->moves));
}

Test(compact, a_table_keeps_its_items)
{
    static struct number *numbers[ITEMS];
    struct random random;
    struct visits visits = { 0 };
    struct table table;
    uint64_t cursor = 0, sum = 0;
    size_t left = 0;
    random_init(&random, 4);
    table_init(&table, &numbers_type);
    for (size_t i = 0; i < ITEMS; i++) {
        numbers[i] = make(&random, i);
        table_insert(&table, numbers[i]->hash, numbers[i]);
    }
    for (size_t i = 0; i < ITEMS; i++) {
        if (random_below(&random, KEPT_OF) == 0) {
            sum += i;
            left++;
            continue;
        }
        table_remove(&table, numbers[i]->hash, table_find(&table, numbers[i]->hash, is_same, numbers[i]));
        mem_free(numbers[i]);
    }
    size_t used = mem_used();
    mem_compact_begin();
    table_compact_frame(&table, &visits.moves);
    do
        cursor = table_compact(&table, cursor, move_item, &visits, &visits.moves);
    while (cursor);
    mem_compact_begin();
    cr_assert(visits.count == left && mem_used() == used);
    cr_assert(table_check(&table, complain, NULL) == 0);
#ifdef LARDER_JEMALLOC
    cr_assert(visits.moves.moved > left / 2, "%zu of %zu moved", (size_t)visits.moves.moved, left);
#endif
    for (struct number *number; (number = table_drain(&table)); mem_free(number))
        sum -= number->value;
    cr_assert(sum == 0);
    table_fini(&table);
}

Test(compact, a_list_keeps_its_elements)
{
    static char large[20000];
    struct quicklist_limits limits = quicklist_limits(-2);
    struct quicklist *list = quicklist_create(0);
    struct mem_moves moves = { 0 };
    char text[64];
    for (size_t i = 0; i < ITEMS; i++) {
        int len = snprintf(text, sizeof text, "element %zu of a list", i);
        quicklist_push(list, QUICKLIST_TAIL, (struct quicklist_item){ { text, (size_t)len }, NULL }, &limits);
        if (i % 1000 == 0) {
            struct blob *blob = blob_from_bytes(bytes_make(large, sizeof large));
            quicklist_push(list, QUICKLIST_TAIL, (struct quicklist_item){ { NULL, 0 }, blob }, &limits);
        }
    }
    size_t count = quicklist_count(list), nodes = quicklist_node_count(list);
    for (size_t at = 0; at < nodes;) {
        size_t next = quicklist_compact(list, at, 7, &moves);
        cr_assert(next > at && next <= nodes);
        at = next;
        cr_assert(quicklist_check(list) == NULL);
    }
    cr_assert(quicklist_compact(list, nodes, 7, &moves) == nodes && moves.moved + moves.stayed >= nodes);
    cr_assert(quicklist_count(list) == count && quicklist_find(list, BYTES("element 19999 of a list")) == count - 1);
    quicklist_destroy(list);
}
