/*
 * The table's structure: inserting, removing, splitting and merging.
 *
 * Buckets are numbered from 0. A round begins with 2^n buckets; bucket 2^n + i is made by splitting bucket i, by bit n
 * of the hashes, until there are 2^(n+1). Merging takes the same steps backwards. What is allocated follows from
 * `buckets` alone:
 *
 *   segments     all but the last hold 1024 buckets; the last has table_last_room, and moves when that changes
 *   directory    has room for the next power of two of segments
 *
 * A bucket is written first when it comes into use, never a whole segment at once: page faults of new memory are spread
 * over the inserts. Splits begin at 5.5 items a bucket and merges at 2.2, so no sequence of inserts and removals can
 * make a split, a segment or the directory come and go often.
 *
 * Costs: an insert splits one bucket in 5.5 inserts, reading the hash of 5.5 to 11 items, which prefetch_split has
 * asked for during the inserts before. The longest single steps are a new segment, the move of a segment (48 KB at
 * most, in tables of up to 4096 buckets) and of the directory (8 bytes per segment, that is per 5,600 items).
 *
 * Removing items in the order of a scan (clients do, expiry does) empties the space of hashes from one end, while
 * merging lets each bucket cover more of it: what remains would gather in ever fewer, longer chains. So a merge that
 * would make a chain of more than MERGE_CHAIN_MAX buckets waits until the chain is shorter; later calls then catch up,
 * several at a time (MERGE_BUDGET).
 */
#include "ds/table.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "table_priv.h"

enum {
    CACHE_LINE = 64,
    MERGE_CHAIN_MAX = 32,
    MERGE_BUDGET = 128, /* buckets that merging may read in one call */
    PREFETCH_SLOTS_PER_INSERT = 3,
    PREFETCH_INSERTS = 6, /* at most so many inserts lie between two splits of a growing table */
};

/* Where the next item of a chain goes. */
struct chain_end {
    struct table_bucket *bucket;
    int used;        /* slots of that bucket */
    uint32_t length; /* buckets of the chain up to that one */
};

static struct chain_end chain_find_end(struct table_bucket *first)
{
    struct chain_end end = { first, 0, 1 };
    for (; end.bucket->next; end.length++)
        end.bucket = end.bucket->next;
    for (int i = 0; i < TABLE_SLOTS; i++)
        end.used += end.bucket->slot[i] != 0;
    return end;
}

static struct table_bucket *overflow_create(struct table *table)
{
    struct table_bucket *bucket = mem_alloc_aligned(CACHE_LINE, sizeof(*bucket));
    memset(bucket, 0, sizeof(*bucket));
    table->overflow_buckets++;
    return bucket;
}

static uint64_t *chain_push(struct table *table, struct chain_end *end, uint64_t slot)
{
    if (end->used == TABLE_SLOTS) {
        if (!end->bucket->next)
            end->bucket->next = overflow_create(table);
        end->bucket = end->bucket->next;
        end->used = 0;
        if (++end->length > table->longest_chain)
            table->longest_chain = end->length;
    }
    uint64_t *place = &end->bucket->slot[end->used++];
    *place = slot;
    return place;
}

/* Frees what is chained behind `last`. */
static void chain_cut(struct table *table, struct table_bucket *last)
{
    struct table_bucket *bucket = last->next;
    last->next = NULL;
    while (bucket) {
        struct table_bucket *next = bucket->next;
        mem_free(bucket);
        table->overflow_buckets--;
        bucket = next;
    }
    if (table->overflow_buckets == 0)
        table->longest_chain = 1;
}

/* Moves the last segment if it must have other room for `to_buckets` than it has now, for one more or one less. */
static void last_segment_fit(struct table *table, size_t from_buckets, size_t to_buckets)
{
    size_t from_room = table_last_room(from_buckets), room = table_last_room(to_buckets);
    if (from_room == room)
        return;
    struct table_bucket **segment = &table->segments[(to_buckets - 1) / TABLE_SEGMENT_BUCKETS];
    struct table_bucket *moved = mem_alloc_aligned(CACHE_LINE, room * sizeof(*moved));
    memcpy(moved, *segment, (from_room < room ? from_room : room) * sizeof(*moved));
    mem_free(*segment);
    *segment = moved;
}

static bool is_power_of_two(size_t n)
{
    return (n & (n - 1)) == 0;
}

static void set_buckets(struct table *table, size_t buckets, size_t mask)
{
    table->buckets = buckets;
    table->mask = mask;
    table->grow_at = table_grow_limit(buckets);
    table->shrink_at = table_shrink_limit(buckets);
    table->prefetched = 0;
}

static void first_bucket_create(struct table *table)
{
    table->segments = mem_alloc(sizeof(*table->segments));
    table->segments[0] = mem_alloc_aligned(CACHE_LINE, sizeof(struct table_bucket));
    memset(table->segments[0], 0, sizeof(struct table_bucket));
    table->longest_chain = 1;
    set_buckets(table, 1, 0);
}

/* Adds an empty bucket behind the last one. */
static struct table_bucket *last_bucket_add(struct table *table)
{
    size_t index = table->buckets;
    size_t segment = index / TABLE_SEGMENT_BUCKETS;
    if (index % TABLE_SEGMENT_BUCKETS == 0) {
        if (is_power_of_two(segment))
            table->segments = mem_realloc(table->segments, segment * 2 * sizeof(*table->segments));
        table->segments[segment] =
            mem_alloc_aligned(CACHE_LINE, table_last_room(index + 1) * sizeof(struct table_bucket));
    } else {
        last_segment_fit(table, index, index + 1);
    }
    set_buckets(table, index + 1, index > table->mask ? table->mask * 2 + 1 : table->mask);
    struct table_bucket *bucket = table_bucket_at(table, index);
    memset(bucket, 0, sizeof(*bucket));
    return bucket;
}

/* Gives the last bucket up, which must be empty, and not the only one. */
static void last_bucket_drop(struct table *table)
{
    size_t index = table->buckets - 1;
    set_buckets(table, index, is_power_of_two(index) ? table->mask / 2 : table->mask);
    size_t segment = index / TABLE_SEGMENT_BUCKETS;
    if (index % TABLE_SEGMENT_BUCKETS == 0) {
        mem_free(table->segments[segment]);
        if (is_power_of_two(segment))
            table->segments = mem_realloc(table->segments, segment * sizeof(*table->segments));
    } else {
        last_segment_fit(table, index + 1, index);
    }
}

static void split(struct table *table)
{
    struct table_bucket *added = last_bucket_add(table);
    size_t bit = (table->mask >> 1) + 1;
    struct table_bucket *source = table_bucket_at(table, (table->buckets - 1) ^ bit);
    struct chain_end moved = { added, 0, 1 }, kept = { source, 0, 1 };
    for (struct table_bucket *bucket = source; bucket; bucket = bucket->next)
        for (int i = 0; i < TABLE_SLOTS && bucket->slot[i]; i++) {
            uint64_t slot = bucket->slot[i];
            bucket->slot[i] = 0;
            bool moves = table->type->hash(table_slot_item(&slot)) & bit;
            chain_push(table, moves ? &moved : &kept, slot);
        }
    chain_cut(table, kept.bucket);
}

/* Merges the last bucket into the one it was split from. Returns how many buckets it read; 0 if the chain would be too
 * long. */
static uint32_t merge(struct table *table)
{
    size_t last = table->buckets - 1;
    struct table_bucket *source = table_bucket_at(table, last);
    struct chain_end end = chain_find_end(table_bucket_at(table, last & (table->mask >> 1)));
    uint32_t length = end.length + chain_find_end(source).length;
    if (length > MERGE_CHAIN_MAX)
        return 0;
    for (struct table_bucket *bucket = source; bucket; bucket = bucket->next)
        for (int i = 0; i < TABLE_SLOTS && bucket->slot[i]; i++)
            chain_push(table, &end, bucket->slot[i]);
    chain_cut(table, source);
    last_bucket_drop(table);
    return length;
}

static void shrink(struct table *table)
{
    for (uint32_t spent = 0; spent < MERGE_BUDGET && table->count < table->shrink_at;) {
        uint32_t cost = merge(table);
        if (cost == 0)
            return;
        spent += cost;
    }
}

/* Asks for an item's first line, and for that of its end, if an item of the usual size has another there. */
static void prefetch_item(const struct table *table, uint64_t slot)
{
    const char *item = table_slot_item(&slot);
    if (!item)
        return;
    table_prefetch_line(item);
    const char *end = item + (table->item_size ? table->item_size - 1 : 0);
    if (((uintptr_t)end ^ (uintptr_t)item) >= CACHE_LINE)
        table_prefetch_line(end);
}

/* Asks for a part of what the next split will read: first for the bucket, then, call by call, for the items in its
 * chain. */
static void prefetch_split(struct table *table)
{
    size_t index = table->buckets & (table->buckets > table->mask ? table->mask : table->mask >> 1);
    const struct table_bucket *bucket = table_bucket_at(table, index);
    uint32_t step = table->prefetched++;
    if (step == 0) {
        table_prefetch_line(bucket);
        return;
    }
    uint32_t at = (step - 1) * PREFETCH_SLOTS_PER_INSERT;
    for (; at >= TABLE_SLOTS && bucket; at -= TABLE_SLOTS)
        bucket = bucket->next;
    for (int i = 0; i < PREFETCH_SLOTS_PER_INSERT && bucket; i++) {
        if (!bucket->slot[at])
            return;
        prefetch_item(table, bucket->slot[at]);
        if (++at == TABLE_SLOTS) {
            at = 0;
            bucket = bucket->next;
        }
    }
    if (bucket && bucket->next)
        table_prefetch_line(bucket->next);
}

void table_init(struct table *table, const struct table_type *type)
{
    *table = (struct table){ .type = type };
}

void table_fini(struct table *table)
{
    if (table->buckets == 0)
        return;
    for (size_t i = 0; i < table->buckets && table->overflow_buckets; i++)
        chain_cut(table, table_bucket_at(table, i));
    for (size_t i = 0; i < table->buckets; i += TABLE_SEGMENT_BUCKETS)
        mem_free(table->segments[i / TABLE_SEGMENT_BUCKETS]);
    mem_free(table->segments);
    table_init(table, table->type);
}

size_t table_overhead_bytes(const struct table *table)
{
    if (table->buckets == 0)
        return 0;
    size_t whole = (table->buckets - 1) / TABLE_SEGMENT_BUCKETS, room = 1;
    while (room <= whole)
        room *= 2;
    size_t size = sizeof(struct table_bucket);
    return whole * mem_good_size(TABLE_SEGMENT_BUCKETS * size) + mem_good_size(table_last_room(table->buckets) * size) +
           table->overflow_buckets * mem_good_size(size) + mem_good_size(room * sizeof(*table->segments));
}

void table_prefetch_in(const struct table *table, const struct table_bucket *bucket, uint64_t hash)
{
    unsigned match_bits = table_tags_match(bucket->slot, hash);
    for (unsigned rest = match_bits; rest; rest &= rest - 1)
        prefetch_item(table, bucket->slot[__builtin_ctz(rest)]);
    if (!match_bits && bucket->next)
        table_prefetch_line(bucket->next);
}

void table_prefetch_items(const struct table *table, uint64_t hash)
{
    if (table->buckets)
        table_prefetch_in(table, table_bucket_of(table, hash), hash);
}

void table_reserve(struct table *table, size_t items)
{
    ASSERT(table->count == 0);
    if (table->buckets == 0 && items)
        first_bucket_create(table);
    while (table->grow_at < items)
        last_bucket_add(table);
    table->shrink_at = 0;
}

void table_unreserve(struct table *table)
{
    if (table->buckets)
        table->shrink_at = table_shrink_limit(table->buckets);
}

uint64_t *table_insert(struct table *table, uint64_t hash, void *item)
{
    DASSERT(((uintptr_t)item & ~(uintptr_t)TABLE_POINTER_BITS) == 0 && item != NULL);
    if (table->count >= table->grow_at) {
        if (table->buckets == 0)
            first_bucket_create(table);
        else
            split(table);
    } else if (table->count < table->shrink_at) {
        shrink(table);
    }
    if (table->count + PREFETCH_INSERTS >= table->grow_at)
        prefetch_split(table);
    struct chain_end end = chain_find_end(table_bucket_of(table, hash));
    table->count++;
    return chain_push(table, &end, hash >> 48 << 48 | (uint64_t)(uintptr_t)item);
}

/* Takes the last item of the chain that begins with `first` out; returns its slot's content. */
static uint64_t chain_pop(struct table *table, struct table_bucket *first)
{
    struct table_bucket *last = first, *before = NULL;
    for (; last->next; last = last->next)
        before = last;
    int used = TABLE_SLOTS;
    while (last->slot[used - 1] == 0)
        used--;
    uint64_t slot = last->slot[used - 1];
    last->slot[used - 1] = 0;
    if (used == 1 && before)
        chain_cut(table, before);
    table->count--;
    return slot;
}

void table_remove(struct table *table, uint64_t hash, uint64_t *slot)
{
    DASSERT(*slot >> 48 == hash >> 48);
    uint64_t removed = *slot;
    uint64_t last = chain_pop(table, table_bucket_of(table, hash));
    /* Where the hole is the last item itself, its bucket may be gone already. */
    if (last != removed)
        *slot = last;
    if (table->count < table->shrink_at)
        shrink(table);
}

/* The content of the last slot, taken out; 0 if the table is empty. */
static uint64_t drain(struct table *table)
{
    if (table->count == 0)
        return 0;
    struct table_bucket *last;
    while (!(last = table_bucket_at(table, table->buckets - 1))->slot[0])
        last_bucket_drop(table);
    return chain_pop(table, last);
}

void *table_drain(struct table *table)
{
    uint64_t slot = drain(table);
    return table_slot_item(&slot);
}

void *table_drain_marked(struct table *table, bool *marked)
{
    uint64_t slot = drain(table);
    *marked = table_slot_marked(&slot);
    return table_slot_item(&slot);
}
