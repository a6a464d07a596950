/*
 * Walks over a table: scanning with a cursor, drawing at random, checking.
 *
 * Reverse the bits of a hash and read them as a fraction from 0 to 1. A bucket of depth d, that is one chosen by the
 * low d bits, covers an interval of 2^-d; a split cuts the interval in two halves, a merge joins two neighbours. A scan
 * goes through the fractions upward: the cursor is where the next interval begins, whatever buckets cover it by then.
 * What lies below the cursor has been visited; nothing above it is skipped. Cursors are handed out with their bits
 * reversed once more, which makes them small numbers, and hashes themselves: the bucket to visit is the one that the
 * cursor belongs to. So any 64 bits are a valid cursor.
 */
#include "base/random.h"
#include "ds/table.h"
#include "table_priv.h"

static uint64_t reverse_bits(uint64_t x)
{
    x = (x >> 1 & 0x5555555555555555) | (x & 0x5555555555555555) << 1;
    x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0f) | (x & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(x);
}

/* The low bits that decide whether a hash belongs to the same bucket as `cursor`. */
static uint64_t depth_mask(const struct table *table, uint64_t cursor)
{
    size_t coarse = table->mask >> 1;
    return (cursor & coarse) + coarse + 1 < table->buckets ? table->mask : coarse;
}

enum visit_which { VISIT_ALL, VISIT_MARKED, VISIT_ONCE };

static inline __attribute__((always_inline)) uint64_t scan(
    const struct table *table, uint64_t cursor, table_visit_fn visit, void *context, enum visit_which which)
{
    if (table->count == 0)
        return 0;
    uint64_t mask = depth_mask(table, cursor);
    uint64_t from = reverse_bits(cursor);
    /* A cursor inside the interval: after a merge, the first part of this bucket has been visited already. */
    bool partly = which == VISIT_ONCE && (cursor & ~mask) != 0;
    for (struct table_bucket *bucket = table_bucket_of(table, cursor); bucket; bucket = bucket->next)
        for (int i = 0; i < TABLE_SLOTS && bucket->slot[i]; i++) {
            uint64_t *slot = &bucket->slot[i];
            if (which == VISIT_MARKED && !table_slot_marked(slot))
                continue;
            if (partly && reverse_bits(table->type->hash(table_slot_item(slot))) < from)
                continue;
            visit(context, slot);
        }
    return reverse_bits((from | reverse_bits(~mask)) + 1);
}

uint64_t table_scan(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context)
{
    return scan(table, cursor, visit, context, VISIT_ALL);
}

uint64_t table_scan_marked(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context)
{
    return scan(table, cursor, visit, context, VISIT_MARKED);
}

uint64_t table_scan_once(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context)
{
    return scan(table, cursor, visit, context, VISIT_ONCE);
}

/*
 * A draw is one random number: the low bits choose a bucket as those of a hash do, the high ones a position, counted
 * over the longest chain. So a draw means the same while the table grows or shrinks, and can be looked at long before
 * its turn comes: in time for the bucket to be fetched, and then the item.
 */
enum {
    POSITION_BITS = 24,
    FORESEE_MIN = 1024,                /* buckets of a table that no near cache holds */
    FORESEE_BUCKET = RANDOM_AHEAD - 1, /* draws beforehand; some five make one that finds an item */
    FORESEE_ITEM = RANDOM_AHEAD / 2,
};

/*
 * The bucket that begins the chain; NULL if the draw means none. Every position has the same number of draws (Lemire,
 * "Fast random integer generation in an interval", 2019), as the bias of the rest is passed over.
 */
static inline struct table_bucket *drawn_bucket(
    const struct table *table, uint64_t positions, uint64_t draw, uint64_t *position)
{
    const uint64_t range = UINT64_C(1) << POSITION_BITS;
    uint64_t product = (draw >> (64 - POSITION_BITS)) * positions, rest = product % range;
    size_t bucket = draw & table->mask;
    *position = product / range;
    if (bucket >= table->buckets || __builtin_expect(rest < positions && rest < range % positions, 0))
        return NULL;
    return table_bucket_at(table, bucket);
}

/* Fetches what draws that are still to come will look at. */
static inline void foresee(const struct table *table, uint64_t positions, const struct random *random)
{
    uint64_t position;
    const struct table_bucket *far = drawn_bucket(table, positions, random_ahead(random, FORESEE_BUCKET), &position);
    if (far)
        table_prefetch_line(far);
    const struct table_bucket *near = drawn_bucket(table, positions, random_ahead(random, FORESEE_ITEM), &position);
    if (!near)
        return;
    const void *next = position < TABLE_SLOTS ? table_slot_item(&near->slot[position]) : near->next;
    table_prefetch_line(next ? next : near);
}

uint64_t *table_random(const struct table *table, struct random *random)
{
    if (table->count == 0)
        return NULL;
    uint64_t positions = (uint64_t)table->longest_chain * TABLE_SLOTS, position;
    bool is_large = table->buckets >= FORESEE_MIN;
    for (;;) {
        struct table_bucket *bucket = drawn_bucket(table, positions, random_next(random), &position);
        if (is_large)
            foresee(table, positions, random);
        for (; bucket && position >= TABLE_SLOTS; position -= TABLE_SLOTS)
            bucket = bucket->next;
        if (bucket && bucket->slot[position])
            return &bucket->slot[position];
    }
}

struct check {
    void (*complain)(void *context, const char *what);
    void *context;
    size_t broken;
};

static void expect(struct check *check, bool holds, const char *what)
{
    if (holds)
        return;
    check->broken++;
    check->complain(check->context, what);
}

static void check_frame(const struct table *table, struct check *check)
{
    size_t buckets = table->buckets, mask = table->mask;
    expect(check, (mask & (mask + 1)) == 0 && mask >= buckets - 1,
        "mask is one less than a power of two and covers all buckets");
    expect(check, buckets == 1 ? mask == 0 : mask >> 1 < buckets - 1, "mask is no larger than needed");
    expect(check, table->grow_at == table_grow_limit(buckets), "grow_at follows from buckets");
    expect(check, table->shrink_at == table_shrink_limit(buckets) || table->shrink_at == 0,
        "shrink_at follows from buckets, or is 0 while they are reserved");
}

/* Returns the buckets of the chain; adds its items to *items. */
static size_t check_chain(const struct table *table, size_t index, size_t *items, struct check *check)
{
    size_t length = 0;
    bool ended = false;
    const struct table_bucket *first = table_bucket_at(table, index);
    for (const struct table_bucket *bucket = first; bucket; bucket = bucket->next) {
        length++;
        expect(check, bucket == first || bucket->slot[0], "no overflow bucket is empty");
        for (int i = 0; i < TABLE_SLOTS; i++) {
            uint64_t slot = bucket->slot[i];
            if (slot == 0) {
                ended = true;
                continue;
            }
            expect(check, !ended, "chain is dense");
            uint64_t hash = table->type->hash(table_slot_item(&slot));
            expect(check, hash >> 48 == slot >> 48, "tag is the top of the hash");
            expect(check, table_bucket_of(table, hash) == first, "item is in the bucket of its hash");
            ++*items;
        }
    }
    return length;
}

size_t table_check(const struct table *table, void (*complain)(void *context, const char *what), void *context)
{
    struct check check = { complain, context, 0 };
    if (table->buckets == 0) {
        expect(&check, table->count == 0 && table->overflow_buckets == 0 && !table->segments, "no buckets, no items");
        return check.broken;
    }
    check_frame(table, &check);
    size_t items = 0, overflow = 0;
    for (size_t i = 0; i < table->buckets; i++) {
        size_t length = check_chain(table, i, &items, &check);
        expect(&check, length <= table->longest_chain, "no chain is longer than longest_chain");
        overflow += length - 1;
    }
    expect(&check, items == table->count, "count is right");
    expect(&check, overflow == table->overflow_buckets, "overflow_buckets is right");
    return check.broken;
}
