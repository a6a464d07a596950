/*
 * Watched keys: a table of keys, each with the list of its watchers.
 *
 * A key's node outlives neither its last watcher nor the session: UNWATCH, EXEC, DISCARD and the session's end take the
 * watchers out, O(1) each.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "ds/table.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "engine/transaction.h"
#include "engine_priv.h"

struct watched_key {
    struct watch *watchers; /* list by next_of_key */
    int db;
    uint32_t len;
    char name[];
};

struct watch {
    struct session *session;
    struct watched_key *key;
    struct watch *next_of_key, **at_key; /* the link that points here */
    struct watch *next_of_session;
    bool existed; /* when it began */
};

struct sought {
    int db;
    struct bytes name;
};

static uint64_t key_hash(int db, struct bytes name)
{
    return hash_bytes(name.ptr, name.len) + (uint64_t)db * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t item_hash(const void *item)
{
    const struct watched_key *key = item;
    return key_hash(key->db, bytes_make(key->name, key->len));
}

static bool item_matches(const void *item, const void *other)
{
    const struct watched_key *key = item;
    const struct sought *sought = other;
    return key->db == sought->db && bytes_equal(bytes_make(key->name, key->len), sought->name);
}

const struct table_type watch_table_type = { .hash = item_hash };

static struct watched_key *find(const struct engine *engine, int db, struct bytes name)
{
    struct sought sought = { db, name };
    uint64_t *slot = table_find(engine->watches, key_hash(db, name), item_matches, &sought);
    return slot ? table_slot_item(slot) : NULL;
}

static struct watched_key *find_or_add(struct engine *engine, int db, struct bytes name)
{
    struct watched_key *key = find(engine, db, name);
    if (key)
        return key;
    key = mem_alloc(sizeof *key + name.len);
    *key = (struct watched_key){ .db = db, .len = (uint32_t)name.len };
    memcpy(key->name, name.ptr, name.len);
    table_insert(engine->watches, key_hash(db, name), key);
    return key;
}

static void remove_key(struct engine *engine, struct watched_key *key)
{
    struct sought sought = { key->db, bytes_make(key->name, key->len) };
    uint64_t hash = key_hash(key->db, sought.name);
    table_remove(engine->watches, hash, table_find(engine->watches, hash, item_matches, &sought));
    mem_free(key);
}

static size_t kept_bytes(const struct watch *watch)
{
    return sizeof *watch + sizeof *watch->key + watch->key->len;
}

/* Looks through the shorter of the two lists on which such a watch would be. */
static bool watches_already(const struct session *session, const struct watched_key *key)
{
    const struct watch *mine = session->watches, *others = key->watchers;
    for (; mine && others; mine = mine->next_of_session, others = others->next_of_key)
        if (mine->key == key || others->session == session)
            return true;
    return false;
}

void watch_key(struct session *session, struct db *db, struct key name, int64_t now_ms)
{
    struct engine *engine = session->engine;
    struct watched_key *key = find_or_add(engine, db->index, key_bytes(name));
    if (watches_already(session, key))
        return;
    struct watch *watch = mem_alloc(sizeof *watch);
    *watch = (struct watch){
        .session = session,
        .key = key,
        .next_of_key = key->watchers,
        .at_key = &key->watchers,
        .next_of_session = session->watches,
        .existed = keyspace_peek(engine->keyspace, db, name, now_ms) != NULL,
    };
    if (key->watchers)
        key->watchers->at_key = &watch->next_of_key;
    key->watchers = watch;
    session->watches = watch;
    engine->watchers += session->watch_count++ == 0;
    session_keeps(session, kept_bytes(watch));
    engine->keyspace->watched++;
}

void watch_none(struct session *session)
{
    struct engine *engine = session->engine;
    session->flags &= ~(uint32_t)SESSION_TOUCHED;
    for (struct watch *watch = session->watches, *next; watch; watch = next) {
        next = watch->next_of_session;
        session_drops(session, kept_bytes(watch));
        *watch->at_key = watch->next_of_key;
        if (watch->next_of_key)
            watch->next_of_key->at_key = watch->at_key;
        if (!watch->key->watchers)
            remove_key(engine, watch->key);
        engine->keyspace->watched--;
        mem_free(watch);
    }
    session->watches = NULL;
    engine->watchers -= session->watch_count > 0;
    session->watch_count = 0;
}

size_t transaction_watched(const struct session *session)
{
    return session->watch_count;
}

void transaction_watch_stats(const struct engine *engine, struct watch_stats *stats)
{
    *stats = (struct watch_stats){ .sessions = engine->watchers, .keys = table_count(engine->watches) };
}

static bool exists_now(const struct watch *watch, int64_t now_ms)
{
    struct keyspace *keyspace = watch->session->engine->keyspace;
    struct key key = key_make(bytes_make(watch->key->name, watch->key->len));
    return keyspace_peek(keyspace, keyspace_db(keyspace, watch->key->db), key, now_ms) != NULL;
}

bool watch_was_touched(const struct session *session, int64_t now_ms)
{
    for (const struct watch *watch = session->watches; watch && !(session->flags & SESSION_TOUCHED);
         watch = watch->next_of_session)
        if (watch->existed && !exists_now(watch, now_ms)) /* it has expired, and nobody met it since */
            return true;
    return session->flags & SESSION_TOUCHED;
}

void watches_touched(struct engine *engine, const struct db *db, struct bytes name)
{
    const struct watched_key *key = table_count(engine->watches) ? find(engine, db->index, name) : NULL;
    for (struct watch *watch = key ? key->watchers : NULL; watch; watch = watch->next_of_key)
        watch->session->flags |= SESSION_TOUCHED;
}

static bool entry_has_name(const void *item, const void *name)
{
    return bytes_equal(entry_key(item), *(const struct bytes *)name);
}

/* Marks the watchers of keys that were there before, or are there now, and not expired. */
static void visit_replaced(void *context, uint64_t *slot)
{
    const struct db *db = context;
    const struct watched_key *key = table_slot_item(slot);
    if (key->db != db->index)
        return;
    struct bytes name = bytes_make(key->name, key->len);
    uint64_t *found = table_find(&db->table, hash_bytes(name.ptr, name.len), entry_has_name, &name);
    int64_t now_ms = key->watchers->session->engine->now_ms;
    bool is_there = found && !entry_is_expired(table_slot_item(found), now_ms);
    for (struct watch *watch = key->watchers; watch; watch = watch->next_of_key)
        if (watch->existed || is_there)
            watch->session->flags |= SESSION_TOUCHED;
}

void watches_replaced(struct engine *engine, struct db *db)
{
    uint64_t cursor = 0;
    do
        cursor = table_scan(engine->watches, cursor, visit_replaced, db);
    while (cursor);
}
