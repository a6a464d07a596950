/*
 * Table: a hash table of pointers that grows one bucket at a time.
 *
 * Linear hashing (Litwin, VLDB 1980): when the average load passes 5.5 items, one bucket is split in two; when it
 * falls well below, two are merged. There is never a second table or a pause, and the cost per item is flat: 64 bytes a
 * bucket at 5.5 items a bucket is, with the overflow buckets that Poisson loads need, 13.9 to 14.6 bytes an item
 * at every size; what the last segment has in reserve adds a quarter at most, and 0.7 bytes from 100,000 items on.
 *
 *   bucket (64 bytes, aligned)   slot 0 | slot 1 | ... | slot 6 | next bucket of the chain
 *   slot (64 bits)               hash tag : 16 | item pointer : 45, 8-aligned | unused : 2 | mark : 1      0 = empty
 *
 * A chain is dense: items first, then empty slots, and no empty overflow bucket. Buckets lie in segments of 64 KB, so
 * that the directory of segments stays tiny; the last segment of a small table is smaller and grows.
 *
 * The caller brings hashes (uniform in all 64 bits) and the test for equality; the table asks only the hash of an item
 * back, when it splits. The items of the bucket that splits next are prefetched over the inserts before. The mark is
 * the caller's: one bit per item that table_scan_marked can look for without touching the items (the keyspace marks
 * what can expire).
 *
 * Pointers must be 8-aligned and below 2^48.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ds/table_tags.h"

struct random;

enum {
    TABLE_SLOTS = 7,
    TABLE_SEGMENT_BUCKETS = 1024,
};

struct table_bucket {
    uint64_t slot[TABLE_SLOTS];
    struct table_bucket *next; /* owned */
};

struct table_type {
    uint64_t (*hash)(const void *item); /* the hash the item was inserted with */
};

struct table {
    const struct table_type *type;  /* borrowed: static */
    struct table_bucket **segments; /* owned; segment i holds the buckets from i * TABLE_SEGMENT_BUCKETS */
    size_t count;                   /* items */
    size_t buckets;          /* in use, overflow not counted; a power of two plus the buckets split in this round */
    size_t mask;             /* smallest 2^n - 1 that is at least buckets - 1 */
    size_t grow_at;          /* count from which on an insert splits a bucket first */
    size_t shrink_at;        /* count below which a removal merges two */
    size_t overflow_buckets; /* allocated behind the chains */
    uint32_t longest_chain;  /* no chain is longer (in buckets); an upper bound, reset when no chain is */
    uint32_t prefetched;     /* steps of prefetching the bucket that splits next that were taken already */
    uint32_t item_size;      /* the owner's estimate of an item's bytes, for prefetching; 0: one cache line */
};

/* An empty table; allocates nothing until the first insert. */
void table_init(struct table *table, const struct table_type *type);

/* Frees buckets, not items. O(buckets): large tables are taken down by table_drain. */
void table_fini(struct table *table);

static inline size_t table_count(const struct table *table)
{
    return table->count;
}

/*
 * Makes buckets for `items` in a table that has no items, so that none will be split while so many come, and none
 * merged before table_unreserve. May be called again with more. O(items), and 12 bytes an item.
 */
void table_reserve(struct table *table, size_t items);

/* The items have come, or will not: from now on the table shrinks as it always does. */
void table_unreserve(struct table *table);

/* Bytes of buckets, segments and directory, as the allocator rounds them; neither the struct nor the items. O(1). */
size_t table_overhead_bytes(const struct table *table);

#define TABLE_MARK 1ull
#define TABLE_POINTER_BITS 0x0000fffffffffff8ull

static inline void *table_slot_item(const uint64_t *slot)
{
    return (void *)(uintptr_t)(*slot & TABLE_POINTER_BITS);
}

static inline bool table_slot_marked(const uint64_t *slot)
{
    return *slot & TABLE_MARK;
}

static inline void table_slot_set_mark(uint64_t *slot, bool on)
{
    *slot = (*slot & ~TABLE_MARK) | (on ? TABLE_MARK : 0);
}

/* Puts another item of the same hash into the slot; the mark stays. */
static inline void table_slot_set_item(uint64_t *slot, void *item)
{
    *slot = (*slot & ~TABLE_POINTER_BITS) | (uint64_t)(uintptr_t)item;
}

/* The bucket that a hash belongs to. The table must not be empty of buckets. */
static inline struct table_bucket *table_bucket_of(const struct table *table, uint64_t hash)
{
    size_t i = hash & table->mask;
    if (i >= table->buckets)
        i &= table->mask >> 1;
    return &table->segments[i / TABLE_SEGMENT_BUCKETS][i % TABLE_SEGMENT_BUCKETS];
}

/* Tests an item against what is sought. */
typedef bool (*table_match_fn)(const void *item, const void *sought);

/*
 * The slot of the item that matches, or NULL. Inlined, so that a `match` known when compiling costs no call. The slot
 * is valid until the next insert or removal. O(1).
 */
static inline __attribute__((always_inline)) uint64_t *table_find(
    const struct table *table, uint64_t hash, table_match_fn match, const void *sought)
{
    if (table->buckets == 0)
        return NULL;
    for (struct table_bucket *bucket = table_bucket_of(table, hash); bucket; bucket = bucket->next)
        for (unsigned match_bits = table_tags_match(bucket->slot, hash); match_bits; match_bits &= match_bits - 1) {
            uint64_t *slot = &bucket->slot[__builtin_ctz(match_bits)];
            /* A hash may begin with the 16 zero bits that an empty slot has too. */
            if (*slot != 0 && match(table_slot_item(slot), sought))
                return slot;
        }
    return NULL;
}

/* Asks for one cache line. The empty asm keeps GCC 12 from dropping calls of a function that does nothing else. */
static inline void table_prefetch_line(const void *ptr)
{
    __builtin_prefetch(ptr);
    __asm__ volatile("");
}

/* First half of a batched look-up: asks for the bucket's cache line. Returns the bucket; NULL if there is none. */
static inline const struct table_bucket *table_prefetch_bucket(const struct table *table, uint64_t hash)
{
    const struct table_bucket *bucket = table->buckets ? table_bucket_of(table, hash) : NULL;
    if (bucket)
        table_prefetch_line(bucket);
    return bucket;
}

/* Second half: asks for the first and last line (see item_size) of items whose tag fits; the bucket may be known. */
void table_prefetch_items(const struct table *table, uint64_t hash);
void table_prefetch_in(const struct table *table, const struct table_bucket *bucket, uint64_t hash);

/*
 * Adds an item that the caller knows to be absent; may split one bucket first. Returns its slot, valid until the next
 * insert or removal. O(1), worst case included (one bucket split, one segment allocated).
 */
uint64_t *table_insert(struct table *table, uint64_t hash, void *item);

/*
 * Takes the item of `slot` out (not freed; the caller has it) where `hash` is the item's; may merge two buckets, or
 * several if merges had to wait because chains would have become long. O(1).
 */
void table_remove(struct table *table, uint64_t hash, uint64_t *slot);

/* Called for each item; must neither insert nor remove, but may change the slot's mark. */
typedef void (*table_visit_fn)(void *context, uint64_t *slot);

/*
 * Visits one bucket and returns the cursor of the next; 0 begins and 0 ends. Cursors advance in reversed-bit order over
 * the space of hashes: an item that is present from the first call to the last is visited at least once, whatever
 * splits and merges happen between, and exactly once if there were no merges. O(chain).
 */
uint64_t table_scan(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context);

/* The same for marked items only; touches no item that is not. */
uint64_t table_scan_marked(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context);

/*
 * Exact variant for a walk in slices: as table_scan, but an item is visited at most once over the whole walk, merges or
 * not. Reads the items' hashes where a merge has happened.
 */
uint64_t table_scan_once(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context);

/* A slot chosen uniformly among all items; NULL when empty. Expected O(1): rejection over bucket and position. */
uint64_t *table_random(const struct table *table, struct random *random);

/*
 * Takes and returns any item, NULL when empty; reads no hash and moves no item. For taking a table down in slices: as
 * buckets become empty they are given back, so that little is left to table_fini. Amortised O(1). It stays valid.
 */
void *table_drain(struct table *table);
void *table_drain_marked(struct table *table, bool *marked); /* telling whether it was marked */

/* Checks every invariant and calls `complain` with a text for each one that is broken; returns how many. O(n). */
size_t table_check(const struct table *table, void (*complain)(void *context, const char *what), void *context);
