/*
 * The walk. An entry is moved byte by byte: nothing points to it but its slot (the pool of eviction checks its pointers
 * against the table). A string's blob is moved while nobody but the entry refers to it. What a task holds stays.
 */
#include "store/defrag.h"

#include "base/blob.h"
#include "base/mem.h"
#include "keyspace_priv.h"
#include "store/value.h"

struct walk {
    struct keyspace *keyspace;
    struct defrag_stats *stats;
};

static bool move_blob(struct entry *entry, struct defrag_stats *stats)
{
    struct blob *blob = entry_pointer(entry);
    if (blob_is_shared(blob))
        return false;
    struct blob *moved = mem_compact(blob);
    if (moved)
        entry_set_pointer(entry, entry->encoding, moved);
    stats->hits += moved != NULL;
    stats->misses += moved == NULL;
    return moved != NULL;
}

static void visit(void *context, uint64_t *slot)
{
    struct walk *walk = context;
    struct entry *entry = table_slot_item(slot);
    if (keyspace_holds(walk->keyspace, entry))
        return;
    bool any = entry->type == ENTRY_STRING && entry->encoding == STRING_BLOB && move_blob(entry, walk->stats);
    struct entry *moved = mem_compact(entry);
    if (moved)
        table_slot_set_item(slot, moved);
    walk->stats->hits += moved != NULL;
    walk->stats->misses += moved == NULL;
    walk->stats->keys++;
    walk->stats->moved_keys += any || moved;
}

bool defrag_step(struct keyspace *keyspace, struct db *db, uint64_t *cursor, size_t buckets, struct defrag_stats *stats)
{
    struct walk walk = { keyspace, stats };
    while (buckets--) {
        *cursor = table_scan(&db->table, *cursor, visit, &walk);
        if (!*cursor)
            return false;
    }
    return true;
}
