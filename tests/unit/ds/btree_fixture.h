/* What the tests of the btree share: items with a score, in any order. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/check.h"
#include "../base/seed.h"
#include "base/mem.h"
#include "base/random.h"
#include "ds/btree.h"

struct item {
    double score;
    uint32_t id;
    bool present;
};

static inline uint64_t item_prefix(const void *item)
{
    return btree_prefix_double(((const struct item *)item)->score);
}

static inline int item_compare(const void *item, const void *other)
{
    const struct item *a = item, *b = other;
    if (a->score != b->score)
        return a->score < b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static const struct btree_type item_type = { item_prefix, item_compare };

/* The same, each look at an item counted: what would be a cache miss. */
__attribute__((unused)) static size_t item_reads;

static inline uint64_t item_prefix_counted(const void *item)
{
    item_reads++;
    return item_prefix(item);
}

static inline int item_compare_counted(const void *item, const void *other)
{
    item_reads++;
    return item_compare(item, other);
}

__attribute__((unused)) static const struct btree_type counted_item_type = { item_prefix_counted,
    item_compare_counted };

static inline void print_complaint(void *context, const char *what)
{
    (void)context;
    fprintf(stderr, "btree_check: %s\n", what);
}

static inline void check(const struct btree *tree)
{
    REQUIRE(btree_check(tree, print_complaint, NULL) == 0);
}

/* Scores of an order in which items come. */
typedef double (*order_fn)(struct random *random, size_t i);

static inline struct item *items_create(struct random *random, size_t n, order_fn order)
{
    struct item *items = mem_zalloc((n ? n : 1) * sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        items[i].score = order(random, i);
        items[i].id = (uint32_t)(random_next(random) >> 52 << 20 | i);
    }
    return items;
}

static inline int sort_compare(const void *a, const void *b)
{
    return item_compare(*(struct item *const *)a, *(struct item *const *)b);
}

static inline struct item **sorted_create(struct item *items, size_t n)
{
    struct item **sorted = mem_alloc((n ? n : 1) * sizeof(*sorted));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &items[i];
    qsort(sorted, n, sizeof(*sorted), sort_compare);
    return sorted;
}
