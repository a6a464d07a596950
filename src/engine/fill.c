/*
 * The records of leases and graces: a table by key, and a heap by the moment at which something ends.
 *
 * A record lives while it is good for something: a lease, a grace of a value that is still there, or a value in its
 * grace. Any change of the key ends all of these, except that expiring turns a grace into a value that is kept. While
 * there are records the keyspace tells of changes (keyspace->watched).
 */
#include "engine/fill.h"

#include <string.h>

#include "base/blob.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ds/table.h"
#include "engine/engine.h"
#include "engine_priv.h"
#include "store/string.h"

struct fill {
    uint64_t token;         /* of the lease; 0: none is out */
    int64_t lease_until_ms; /* since 1970 */
    int64_t grace_ms;       /* of the value that the key holds; 0: none */
    struct blob *stale;     /* owned: the value that expired; NULL: none */
    int64_t stale_until_ms;
    int64_t due_ms; /* the first of what ends, INT64_MAX: nothing; what the heap goes by */
    size_t heap_index;
    bool expiring; /* the change that is told next is the key's expiry */
    struct db *db;
    uint64_t hash;
    size_t len;
    char name[];
};

struct fills {
    struct table table;
    struct fill **heap; /* owned, all records, the earliest due first */
    size_t count, room;
    uint64_t next_token;
    size_t leases;
    struct fill_stats stats;
};

struct sought {
    const struct db *db;
    struct key key;
};

static uint64_t hash_of(const struct db *db, uint64_t key_hash)
{
    return key_hash + (uint64_t)db->index * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t item_hash(const void *item)
{
    const struct fill *fill = item;
    return hash_of(fill->db, fill->hash);
}

static bool item_matches(const void *item, const void *other)
{
    const struct fill *fill = item;
    const struct sought *sought = other;
    return fill->db == sought->db && fill->len == sought->key.len &&
           memcmp(fill->name, sought->key.ptr, fill->len) == 0;
}

static const struct table_type table_type = { .hash = item_hash };

struct fills *fills_create(uint64_t first_token)
{
    struct fills *fills = mem_zalloc(sizeof *fills);
    table_init(&fills->table, &table_type);
    fills->next_token = first_token;
    return fills;
}

static struct fill *find(const struct engine *engine, const struct db *db, struct key key)
{
    struct sought sought = { db, key };
    uint64_t *slot = table_find(&engine->fills->table, hash_of(db, key.hash), item_matches, &sought);
    return slot ? table_slot_item(slot) : NULL;
}

/* --- The heap --- */

static void heap_put(struct fills *fills, size_t at, struct fill *fill)
{
    fills->heap[at] = fill;
    fill->heap_index = at;
}

/* Moves a record to where it belongs after its moment changed. */
static void heap_sift(struct fills *fills, struct fill *fill)
{
    size_t at = fill->heap_index;
    while (at > 0 && fills->heap[(at - 1) / 2]->due_ms > fill->due_ms) {
        heap_put(fills, at, fills->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (size_t child; (child = 2 * at + 1) < fills->count; at = child) {
        if (child + 1 < fills->count && fills->heap[child + 1]->due_ms < fills->heap[child]->due_ms)
            child++;
        if (fills->heap[child]->due_ms >= fill->due_ms)
            break;
        heap_put(fills, at, fills->heap[child]);
    }
    heap_put(fills, at, fill);
}

static void heap_add(struct fills *fills, struct fill *fill)
{
    if (fills->count == fills->room) {
        fills->room = fills->room ? 2 * fills->room : 16;
        fills->heap = mem_realloc(fills->heap, fills->room * sizeof *fills->heap);
    }
    heap_put(fills, fills->count++, fill);
    heap_sift(fills, fill);
}

static void heap_remove(struct fills *fills, struct fill *fill)
{
    struct fill *last = fills->heap[--fills->count];
    if (last == fill)
        return;
    heap_put(fills, fill->heap_index, last);
    heap_sift(fills, last);
}

/* --- Records --- */

static struct fill *create(struct engine *engine, struct db *db, struct key key)
{
    struct fill *fill = mem_alloc(sizeof *fill + key.len);
    *fill = (struct fill){ .due_ms = INT64_MAX, .db = db, .hash = key.hash, .len = key.len };
    memcpy(fill->name, key.ptr, key.len);
    table_insert(&engine->fills->table, item_hash(fill), fill);
    heap_add(engine->fills, fill);
    engine->keyspace->watched++;
    return fill;
}

static void discard(struct engine *engine, struct fill *fill)
{
    struct fills *fills = engine->fills;
    struct sought sought = { fill->db, { fill->name, fill->len, fill->hash } };
    uint64_t hash = item_hash(fill);
    table_remove(&fills->table, hash, table_find(&fills->table, hash, item_matches, &sought));
    heap_remove(fills, fill);
    fills->leases -= fill->token != 0;
    if (fill->stale)
        blob_unref(fill->stale);
    mem_free(fill);
    engine->keyspace->watched--;
}

/* Puts the record where it belongs, or away if it is good for nothing. */
static void settle(struct engine *engine, struct fill *fill)
{
    int64_t due_ms = fill->token ? fill->lease_until_ms : INT64_MAX;
    if (fill->stale && fill->stale_until_ms < due_ms)
        due_ms = fill->stale_until_ms;
    fill->due_ms = due_ms;
    if (!fill->token && !fill->stale && !fill->grace_ms)
        discard(engine, fill);
    else
        heap_sift(engine->fills, fill);
}

static void end_lease(struct engine *engine, struct fill *fill)
{
    engine->fills->leases -= fill->token != 0;
    fill->token = 0;
}

static void drop_stale(struct fill *fill)
{
    if (fill->stale)
        blob_unref(fill->stale);
    fill->stale = NULL;
}

void fills_destroy(struct engine *engine)
{
    struct fills *fills = engine->fills;
    while (fills->count)
        discard(engine, fills->heap[0]);
    table_fini(&fills->table);
    mem_free(fills->heap);
    mem_free(fills);
}

bool fill_lease(struct engine *engine, struct db *db, struct key key, int64_t until_ms, uint64_t *token)
{
    struct fill *fill = find(engine, db, key);
    if (fill && fill->token)
        return false;
    if (!fill)
        fill = create(engine, db, key);
    *token = fill->token = ++engine->fills->next_token;
    fill->lease_until_ms = until_ms;
    engine->fills->leases++;
    engine->fills->stats.granted++;
    settle(engine, fill);
    return true;
}

/* The record whose lease has that token, or NULL. */
static struct fill *find_lease(const struct engine *engine, const struct db *db, struct key key, uint64_t token)
{
    struct fill *fill = find(engine, db, key);
    return fill && fill->token && fill->token == token ? fill : NULL;
}

bool fill_redeem(struct engine *engine, struct db *db, struct key key, uint64_t token)
{
    struct fill *fill = find_lease(engine, db, key, token);
    if (!fill)
        return false;
    engine->fills->stats.filled++;
    end_lease(engine, fill);
    settle(engine, fill);
    return true;
}

/* Whoever waits for the key is to look again. */
static void call_next(struct engine *engine, struct db *db, const struct fill *fill)
{
    waits_touched(engine, db, bytes_make(fill->name, fill->len));
}

bool fill_drop(struct engine *engine, struct db *db, struct key key, uint64_t token)
{
    struct fill *fill = find_lease(engine, db, key, token);
    if (!fill)
        return false;
    engine->fills->stats.dropped++;
    end_lease(engine, fill);
    call_next(engine, db, fill);
    settle(engine, fill);
    return true;
}

void fill_keep(struct engine *engine, struct db *db, struct key key, int64_t grace_ms)
{
    struct fill *fill = find(engine, db, key);
    if (!fill && grace_ms)
        fill = create(engine, db, key);
    if (!fill)
        return;
    fill->grace_ms = grace_ms;
    settle(engine, fill);
}

struct blob *fill_stale(const struct engine *engine, const struct db *db, struct key key, int64_t now_ms)
{
    const struct fill *fill = find(engine, db, key);
    return fill && fill->stale && now_ms < fill->stale_until_ms ? fill->stale : NULL;
}

/* --- The keyspace's news, and time --- */

void fills_expired(struct engine *engine, struct db *db, const struct entry *entry)
{
    if (!engine->fills->count)
        return;
    struct fill *fill = find(engine, db, key_make(entry_key(entry)));
    if (!fill || !fill->grace_ms || entry->type != ENTRY_STRING)
        return;
    struct string_scratch scratch;
    struct blob *blob = string_blob(entry);
    drop_stale(fill);
    fill->stale = blob ? blob_ref(blob) : blob_from_bytes(string_view(entry, &scratch));
    fill->stale_until_ms = entry_expiry(entry) + fill->grace_ms;
    fill->grace_ms = 0;
    fill->expiring = true;
    settle(engine, fill);
}

void fills_touched(struct engine *engine, struct db *db, struct bytes name)
{
    if (!engine->fills->count)
        return;
    struct fill *fill = find(engine, db, key_make(name));
    if (!fill)
        return;
    if (fill->expiring) {
        fill->expiring = false;
        return;
    }
    engine->fills->stats.outdated += fill->token != 0;
    discard(engine, fill);
}

void fills_replaced(struct engine *engine, struct db *db)
{
    size_t found = 0, count = engine->fills->count;
    if (!count)
        return;
    struct fill **gone = mem_alloc(count * sizeof *gone); /* the heap moves while records are taken out */
    for (size_t i = 0; i < count; i++)
        if (engine->fills->heap[i]->db == db)
            gone[found++] = engine->fills->heap[i];
    for (size_t i = 0; i < found; i++)
        discard(engine, gone[i]);
    mem_free(gone);
}

int64_t fills_next_due_ms(const struct engine *engine)
{
    return engine->fills->count ? engine->fills->heap[0]->due_ms : INT64_MAX;
}

void fills_run(struct engine *engine, int64_t now_ms, int most)
{
    for (; most > 0 && fills_next_due_ms(engine) <= now_ms; most--) {
        struct fill *fill = engine->fills->heap[0];
        if (fill->token && fill->lease_until_ms <= now_ms) {
            engine->fills->stats.expired++;
            end_lease(engine, fill);
            call_next(engine, fill->db, fill);
        }
        if (fill->stale && fill->stale_until_ms <= now_ms)
            drop_stale(fill);
        settle(engine, fill);
    }
}

void fill_stats_read(const struct engine *engine, struct fill_stats *stats)
{
    *stats = engine->fills->stats;
    stats->records = engine->fills->count;
    stats->leases = engine->fills->leases;
}

void fill_count_stale(struct engine *engine)
{
    engine->fills->stats.served_stale++;
}
