/*
 * A database is walked by the table's cursor, so keys that stay are met in every round. Those that come to the largest
 * are put there at once; at the end of a round those that the round did not meet as large are replaced, by keeping two
 * sets and dropping the older.
 */
#include "store/census.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/keyspace.h"
#include "store/string.h"
#include "store/topk.h"
#include "store/value.h"

struct tally {
    struct census_bins **bins; /* owned: one for each database, NULL for one in which nothing was counted */
    uint64_t *keys;            /* owned: counted in each */
    struct topk *largest;      /* owned */
};

struct census {
    struct tally done, running;
    int db_count;
    int db; /* that is being walked */
    uint64_t cursor, rounds;
    uint64_t counted_in_round;
    uint64_t changes;       /* as of the beginning of the last complete round, ... */
    uint64_t begun_changes; /* ... and of the running one */
};

static void tally_init(struct tally *tally, int db_count)
{
    tally->bins = mem_zalloc((size_t)db_count * sizeof(struct census_bins *));
    tally->keys = mem_zalloc((size_t)db_count * sizeof *tally->keys);
    tally->largest = topk_create(CENSUS_LARGEST);
}

static void free_bins(struct tally *tally, int db_count)
{
    for (int i = 0; i < db_count; i++) {
        mem_free(tally->bins[i]);
        tally->bins[i] = NULL;
    }
}

static void tally_fini(struct tally *tally, int db_count)
{
    free_bins(tally, db_count);
    mem_free(tally->bins);
    mem_free(tally->keys);
    topk_destroy(tally->largest);
}

static void tally_clear(struct tally *tally, int db_count)
{
    free_bins(tally, db_count);
    memset(tally->keys, 0, (size_t)db_count * sizeof *tally->keys);
    topk_clear(tally->largest);
}

struct census *census_create(int db_count)
{
    struct census *census = mem_zalloc(sizeof *census);
    census->db_count = db_count;
    census->begun_changes = UINT64_MAX;
    tally_init(&census->done, db_count);
    tally_init(&census->running, db_count);
    return census;
}

void census_destroy(struct census *census)
{
    if (!census)
        return;
    tally_fini(&census->done, census->db_count);
    tally_fini(&census->running, census->db_count);
    mem_free(census);
}

size_t census_size(const struct entry *entry)
{
    if (entry->type == ENTRY_STRING)
        return string_len(entry);
    return entry->type == ENTRY_JSON ? 1 : value_items(entry, INT64_MIN);
}

static unsigned bin_of(size_t size)
{
    return size ? 64u - (unsigned)__builtin_clzll(size) : 0;
}

/* What the entry cannot be smaller than is known without looking at what it points to. */
static bool may_be_large(struct topk *largest, const struct entry *entry)
{
    bool is_flat = entry->type == ENTRY_STRING && entry->encoding != STRING_BLOB;
    return !is_flat || entry_size(entry) + 64 > topk_least(largest);
}

static void put_large(struct topk *largest, uint64_t hash, int db, const struct entry *entry)
{
    if (may_be_large(largest, entry))
        topk_put(largest, hash, db, entry_key(entry), entry_memory(entry));
}

struct walk {
    struct tally *tally;
    int db;
    uint64_t counted;
};

static void visit(void *context, uint64_t *slot)
{
    struct walk *walk = context;
    const struct entry *entry = table_slot_item(slot);
    unsigned bin = bin_of(census_size(entry));
    struct census_bins **bins = &walk->tally->bins[walk->db];
    if (__builtin_expect(!*bins, 0))
        *bins = mem_zalloc(sizeof **bins);
    (*bins)->count[entry->type][bin < CENSUS_BINS ? bin : CENSUS_BINS - 1]++;
    walk->tally->keys[walk->db]++;
    walk->counted++;
    struct topk *largest = walk->tally->largest;
    if (!may_be_large(largest, entry))
        return;
    struct bytes key = entry_key(entry);
    put_large(largest, hash_bytes(key.ptr, key.len), walk->db, entry);
}

static uint64_t changes_of(const struct keyspace *keyspace)
{
    return keyspace->stats.dirty + keyspace->stats.expired;
}

static void finish_round(struct census *census)
{
    struct tally finished = census->running;
    census->running = census->done;
    census->done = finished;
    tally_clear(&census->running, census->db_count);
    census->changes = census->begun_changes;
    census->begun_changes = UINT64_MAX;
    census->counted_in_round = 0;
    census->db = 0;
    census->cursor = 0;
    census->rounds++;
}

bool census_step(struct census *census, const struct keyspace *keyspace, size_t buckets)
{
    if (census->begun_changes == UINT64_MAX) {
        if (census->rounds && changes_of(keyspace) == census->changes)
            return false;
        census->begun_changes = changes_of(keyspace);
    }
    struct walk walk = { .tally = &census->running, .db = census->db };
    while (buckets-- && census->db < census->db_count) {
        census->cursor = table_scan(&keyspace->dbs[census->db]->table, census->cursor, visit, &walk);
        if (!census->cursor)
            walk.db = ++census->db;
    }
    census->counted_in_round += walk.counted;
    if (census->db == census->db_count)
        finish_round(census);
    return true;
}

static size_t keys_in_all(const struct keyspace *keyspace)
{
    size_t keys = 0;
    for (int i = 0; i < keyspace->db_count; i++)
        keys += keyspace_size(keyspace->dbs[i]);
    return keys;
}

static void count_all(const struct keyspace *keyspace, int db, struct tally *tally)
{
    struct walk walk = { .tally = tally, .db = db };
    uint64_t cursor = 0;
    do
        cursor = table_scan(&keyspace->dbs[db]->table, cursor, visit, &walk);
    while (cursor);
}

/* What was counted is scaled to the keys that there are. */
static void scale(const struct tally *tally, int db, size_t keys, struct census_bins *out)
{
    *out = (struct census_bins){ 0 };
    if (!tally->keys[db])
        return;
    double factor = (double)keys / (double)tally->keys[db];
    for (int type = 0; type < ENTRY_TYPES; type++)
        for (int bin = 0; bin < CENSUS_BINS; bin++)
            out->count[type][bin] = (uint64_t)((double)tally->bins[db]->count[type][bin] * factor + 0.5);
}

void census_read(const struct census *census, const struct keyspace *keyspace, int db, struct census_bins *out)
{
    size_t keys = keyspace_size(keyspace->dbs[db]);
    if (keys > CENSUS_EXACT_KEYS) {
        bool complete = census->rounds && census->done.keys[db];
        scale(complete ? &census->done : &census->running, db, keys, out);
        return;
    }
    struct tally fresh;
    tally_init(&fresh, db + 1);
    count_all(keyspace, db, &fresh);
    if (fresh.bins[db])
        *out = *fresh.bins[db];
    else
        *out = (struct census_bins){ 0 };
    tally_fini(&fresh, db + 1);
}

const struct topk *census_largest(struct census *census, const struct keyspace *keyspace)
{
    if (keys_in_all(keyspace) > CENSUS_EXACT_KEYS)
        return census->rounds ? census->done.largest : census->running.largest;
    tally_clear(&census->done, census->db_count);
    for (int i = 0; i < census->db_count; i++)
        count_all(keyspace, i, &census->done);
    return census->done.largest;
}

static size_t tally_memory(const struct tally *tally, int db_count)
{
    size_t bins = 0;
    for (int i = 0; i < db_count; i++)
        bins += tally->bins[i] ? sizeof **tally->bins : 0;
    return bins + (size_t)db_count * (sizeof *tally->bins + sizeof *tally->keys) + topk_memory(tally->largest);
}

size_t census_memory(const struct census *census)
{
    return sizeof *census + tally_memory(&census->done, census->db_count) +
           tally_memory(&census->running, census->db_count);
}

uint64_t census_rounds(const struct census *census)
{
    return census->rounds;
}

double census_progress(const struct census *census, const struct keyspace *keyspace)
{
    size_t keys = keys_in_all(keyspace);
    double share = keys ? (double)census->counted_in_round / (double)keys : 0;
    return share > 1 ? 1 : share;
}
