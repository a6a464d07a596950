/*
 * The walk. An entry is moved byte by byte: nothing points to it but its slot (the pool of eviction checks its pointers
 * against the table). What is in it is moved by compact.c. What a task holds stays.
 */
#include "store/defrag.h"

#include "base/mem.h"
#include "compact_priv.h"
#include "ds/compact.h"
#include "keyspace_priv.h"
#include "value_priv.h"

enum {
    AT_ONCE_WEIGHT = 64, /* parts of a value that are looked at with its entry */
    BUCKET_ITEMS = 8,    /* parts of a large value that count as a bucket */
};

/* A value that is gone through in slices, by name: it may change meanwhile, or go. */
struct defrag_large {
    char *key; /* owned */
    size_t len;
    uint64_t hash;
    struct compact_place place;
};

struct visitor {
    struct keyspace *keyspace;
    struct defrag_walk *walk;
    struct defrag_stats *stats;
};

static void pop_large(struct defrag_walk *walk)
{
    struct defrag_large *large = &walk->larges[--walk->large_count];
    compact_place_fini(&large->place);
    mem_free(large->key);
    if (walk->large_count)
        return;
    mem_free(walk->larges);
    walk->larges = NULL;
}

void defrag_walk_fini(struct defrag_walk *walk)
{
    while (walk->large_count)
        pop_large(walk);
    walk->cursor = 0;
    walk->at_end = false;
}

static void push_large(struct defrag_walk *walk, struct bytes key)
{
    struct defrag_large large = { mem_dup(key.ptr, key.len), key.len, key_make(key).hash, { 0 } };
    walk->larges = mem_realloc(walk->larges, (walk->large_count + 1) * sizeof *walk->larges);
    walk->larges[walk->large_count++] = large;
}

static void visit(void *context, uint64_t *slot)
{
    struct visitor *visitor = context;
    struct defrag_stats *stats = visitor->stats;
    struct entry *entry = table_slot_item(slot);
    if (keyspace_holds(visitor->keyspace, entry))
        return;
    uint64_t moved_before = stats->moves.moved;
    struct compact_place place = { .has_tasks = visitor->walk->has_tasks };
    if (!value_is_small_string(entry) && value_weight(entry) > AT_ONCE_WEIGHT)
        push_large(visitor->walk, entry_key(entry));
    else
        while (compact_value(entry, &place, AT_ONCE_WEIGHT, &stats->moves))
            ;
    struct entry *moved = mem_move(entry, &stats->moves);
    if (moved != entry)
        table_slot_set_item(slot, moved);
    stats->keys++;
    stats->moved_keys += stats->moves.moved > moved_before;
}

/* Goes on with a large value. */
static void step_large(
    struct keyspace *keyspace, struct db *db, struct defrag_walk *walk, size_t items, struct defrag_stats *stats)
{
    struct defrag_large *large = &walk->larges[walk->large_count - 1];
    struct entry *entry = keyspace_glance(db, (struct key){ large->key, large->len, large->hash });
    bool is_there = entry && !keyspace_holds(keyspace, entry) && !value_is_small_string(entry);
    large->place.has_tasks = walk->has_tasks;
    if (!is_there || !compact_value(entry, &large->place, items, &stats->moves))
        pop_large(walk);
}

bool defrag_step(
    struct keyspace *keyspace, struct db *db, struct defrag_walk *walk, size_t buckets, struct defrag_stats *stats)
{
    struct visitor visitor = { keyspace, walk, stats };
    if (walk->large_count) {
        step_large(keyspace, db, walk, buckets * BUCKET_ITEMS, stats);
        return true;
    }
    for (; buckets && !walk->large_count && !walk->at_end; buckets--) {
        walk->cursor = table_compact(&db->table, walk->cursor, visit, &visitor, &stats->moves);
        walk->at_end = !walk->cursor;
    }
    if (!walk->at_end || walk->large_count)
        return true;
    table_compact_frame(&db->table, &stats->moves);
    walk->at_end = false;
    return false;
}
