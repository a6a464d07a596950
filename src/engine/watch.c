/*
 * Watched keys: a table of keys, each with the list of its watchers.
 *
 * UNWATCH, EXEC, DISCARD and the session's end take a session's watches out, O(1) each. Where there are very many that
 * is left to a chore (store/reclaim.h): a watch names its session and which series of watches it belongs to, and means
 * nothing once the session has begun another. A key's node lives as long as its last watch.
 *
 * Who watches very many keys does so in slices, as a task: each from a moment of its own before the answer.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ds/table.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "engine/task.h"
#include "engine/transaction.h"
#include "engine_priv.h"
#include "store/reclaim.h"

enum { REMOVED_AT_ONCE = 1000, WATCHED_AT_ONCE = 2000 };

struct watches {
    struct table keys;
    struct engine *engine;       /* borrowed */
    struct unwatched *unwatched; /* owned list */
    struct reclaim_chore chore;  /* takes out what is unwatched */
};

/* The watches of a session that watches them no longer. */
struct unwatched {
    struct watch *first; /* owned, by next_of_session */
    struct unwatched *next;
};

struct watched_key {
    struct watch *watchers; /* list by next_of_key */
    int db;
    uint32_t len;
    char name[];
};

struct watch {
    uint64_t session; /* its ID */
    uint32_t series;  /* as session->watch_series said */
    bool existed;     /* when it began */
    struct watched_key *key;
    struct watch *next_of_key, **at_key; /* the link that points here */
    struct watch *next_of_session;
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

static const struct table_type watch_table_type = { .hash = item_hash };

static struct watched_key *find(const struct engine *engine, int db, struct bytes name)
{
    struct sought sought = { db, name };
    uint64_t *slot = table_find(&engine->watches->keys, key_hash(db, name), item_matches, &sought);
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
    table_insert(&engine->watches->keys, key_hash(db, name), key);
    return key;
}

static void remove_key(struct watches *watches, struct watched_key *key)
{
    struct sought sought = { key->db, bytes_make(key->name, key->len) };
    uint64_t hash = key_hash(key->db, sought.name);
    table_remove(&watches->keys, hash, table_find(&watches->keys, hash, item_matches, &sought));
    mem_free(key);
}

static void remove_watch(struct engine *engine, struct watch *watch)
{
    *watch->at_key = watch->next_of_key;
    if (watch->next_of_key)
        watch->next_of_key->at_key = watch->at_key;
    if (!watch->key->watchers)
        remove_key(engine->watches, watch->key);
    engine->keyspace->watched--;
    mem_free(watch);
}

static size_t kept_bytes(const struct watch *watch)
{
    return sizeof *watch + sizeof *watch->key + watch->key->len;
}

static bool is_of(const struct watch *watch, const struct session *session)
{
    return watch->session == session->id && watch->series == session->watch_series;
}

/* --- Watches of sessions that watch no longer --- */

/* Takes about so many watches out. */
static void remove_some(struct engine *engine, size_t items)
{
    struct watches *watches = engine->watches;
    for (struct unwatched *list = watches->unwatched; list && items; list = watches->unwatched) {
        for (struct watch *watch = list->first; watch && items; watch = list->first, items--) {
            list->first = watch->next_of_session;
            remove_watch(engine, watch);
        }
        if (list->first)
            return;
        watches->unwatched = list->next;
        mem_free(list);
    }
}

static void chore_step(struct reclaim_chore *chore, size_t items)
{
    struct watches *watches = (struct watches *)((char *)chore - offsetof(struct watches, chore));
    remove_some(watches->engine, items);
    if (!watches->unwatched)
        reclaim_chore_end(chore);
}

struct watches *watches_create(struct engine *engine)
{
    struct watches *watches = mem_zalloc(sizeof *watches);
    watches->engine = engine;
    watches->chore.step = chore_step;
    table_init(&watches->keys, &watch_table_type);
    return watches;
}

void watches_destroy(struct watches *watches)
{
    remove_some(watches->engine, SIZE_MAX);
    reclaim_chore_end(&watches->chore);
    ASSERT(table_count(&watches->keys) == 0);
    table_fini(&watches->keys);
    mem_free(watches);
}

/* --- WATCH and UNWATCH --- */

/* Looks through the shorter of the two lists on which such a watch would be. */
static bool watches_already(const struct session *session, const struct watched_key *key)
{
    const struct watch *mine = session->watches, *others = key->watchers;
    for (; mine && others; mine = mine->next_of_session, others = others->next_of_key)
        if (mine->key == key || is_of(others, session))
            return true;
    return false;
}

/* When what is watched could be gone without anybody having noticed. */
static void note_expiry(struct session *session, const struct entry *entry)
{
    int64_t at_ms = entry_expiry(entry);
    if (at_ms != EXPIRY_NONE && (!session->watch_expiry_ms || at_ms < session->watch_expiry_ms))
        session->watch_expiry_ms = at_ms;
    session->watches_parts |= (entry->flags & ENTRY_PARTS) != 0;
}

void watch_key(struct session *session, struct db *db, struct key name, int64_t now_ms)
{
    struct engine *engine = session->engine;
    struct watched_key *key = find_or_add(engine, db->index, key_bytes(name));
    if (watches_already(session, key))
        return;
    const struct entry *entry = keyspace_peek(engine->keyspace, db, name, now_ms);
    struct watch *watch = mem_alloc(sizeof *watch);
    *watch = (struct watch){
        .session = session->id,
        .series = session->watch_series,
        .key = key,
        .next_of_key = key->watchers,
        .at_key = &key->watchers,
        .next_of_session = session->watches,
        .existed = entry != NULL,
    };
    if (entry)
        note_expiry(session, entry);
    if (key->watchers)
        key->watchers->at_key = &watch->next_of_key;
    key->watchers = watch;
    session->watches = watch;
    engine->watchers += session->watch_count++ == 0;
    session->watch_bytes += kept_bytes(watch);
    session_keeps(session, kept_bytes(watch));
    engine->keyspace->watched++;
}

/* Leaves the session's watches to the chore. */
static void remove_later(struct session *session)
{
    struct engine *engine = session->engine;
    struct watches *watches = engine->watches;
    struct unwatched *list = mem_alloc(sizeof *list);
    *list = (struct unwatched){ .first = session->watches, .next = watches->unwatched };
    watches->unwatched = list;
    reclaim_chore_add(engine->keyspace->reclaim, &watches->chore, session->watch_count);
}

void watch_none(struct session *session)
{
    struct engine *engine = session->engine;
    session->flags &= ~(uint32_t)SESSION_TOUCHED;
    if (!session->watches)
        return;
    session_drops(session, session->watch_bytes);
    if (session->watch_count > REMOVED_AT_ONCE)
        remove_later(session);
    else
        for (struct watch *watch = session->watches, *next; watch; watch = next) {
            next = watch->next_of_session;
            remove_watch(engine, watch);
        }
    session->watches = NULL;
    session->watch_series++;
    session->watch_count = 0;
    session->watch_bytes = 0;
    session->watch_expiry_ms = 0;
    session->watches_parts = false;
    engine->watchers--;
}

/* Very many keys on their way to be watched. */
struct watching {
    struct task task;
    uint32_t count, at;
    struct bytes names[]; /* with their bytes behind them */
};

static bool watching_step(struct task *task, struct call *call)
{
    enum { STEP = 128 };
    struct watching *self = (struct watching *)task;
    uint32_t end = self->count - self->at < STEP ? self->count : self->at + STEP;
    for (; self->at < end; self->at++)
        watch_key(call->session, call->session->db, key_make(self->names[self->at]), call->now_ms);
    if (self->at < self->count)
        return false;
    reply_ok(call->reply);
    return true;
}

static void watching_destroy(struct task *task)
{
    mem_free(task);
}

/* False when memory is out. */
static bool watch_in_slices(struct call *call)
{
    static const struct task_type type = { .step = watching_step, .destroy = watching_destroy };
    uint32_t count = call->argc - 1;
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += call->argv[1 + i].len;
    struct watching *self = mem_try_alloc(sizeof *self + count * sizeof *self->names + bytes);
    if (!self)
        return false;
    *self = (struct watching){ .task = { .type = &type }, .count = count };
    char *at = (char *)&self->names[count];
    for (uint32_t i = 0; i < count; i++) {
        struct bytes name = call->argv[1 + i];
        if (name.len)
            memcpy(at, name.ptr, name.len);
        self->names[i] = bytes_make(at, name.len);
        at += name.len;
    }
    call_defer(call, &self->task);
    return true;
}

void watch_keys(struct call *call)
{
    if (call->argc > WATCHED_AT_ONCE && watch_in_slices(call))
        return;
    for (uint32_t i = 1; i < call->argc; i++)
        watch_key(call->session, call->db, call_key(call, i), call->now_ms);
    reply_ok(call->reply);
}

size_t transaction_watched(const struct session *session)
{
    return session->watch_count;
}

void transaction_watch_stats(const struct engine *engine, struct watch_stats *stats)
{
    *stats = (struct watch_stats){ .sessions = engine->watchers, .keys = table_count(&engine->watches->keys) };
}

static bool exists_now(struct keyspace *keyspace, const struct watch *watch, int64_t now_ms)
{
    struct key key = key_make(bytes_make(watch->key->name, watch->key->len));
    return keyspace_peek(keyspace, keyspace_db(keyspace, watch->key->db), key, now_ms) != NULL;
}

/* Some of what is watched has expired, and nobody met it since: for any change of an expiry the session is touched. */
static bool has_expired(const struct session *session, int64_t now_ms)
{
    if (session->watch_expiry_ms && now_ms > session->watch_expiry_ms)
        return true;
    bool all = true;
    for (const struct watch *watch = session->watches_parts ? session->watches : NULL; watch && all;
         watch = watch->next_of_session)
        all = !watch->existed || exists_now(session->engine->keyspace, watch, now_ms);
    return !all;
}

bool watch_was_touched(const struct session *session, int64_t now_ms)
{
    return session->flags & SESSION_TOUCHED || has_expired(session, now_ms);
}

static void touch(const struct engine *engine, const struct watch *watch)
{
    struct session *session = session_find(engine, watch->session);
    if (session && is_of(watch, session))
        session->flags |= SESSION_TOUCHED;
}

void watches_touched(struct engine *engine, const struct db *db, struct bytes name)
{
    const struct watched_key *key = table_count(&engine->watches->keys) ? find(engine, db->index, name) : NULL;
    for (struct watch *watch = key ? key->watchers : NULL; watch; watch = watch->next_of_key)
        touch(engine, watch);
}

static bool entry_has_name(const void *item, const void *name)
{
    return bytes_equal(entry_key(item), *(const struct bytes *)name);
}

struct replaced {
    const struct engine *engine;
    const struct db *db;
};

/* Marks the watchers of keys that were there before, or are there now, and not expired. */
static void visit_replaced(void *context, uint64_t *slot)
{
    const struct replaced *replaced = context;
    const struct db *db = replaced->db;
    const struct watched_key *key = table_slot_item(slot);
    if (key->db != db->index)
        return;
    struct bytes name = bytes_make(key->name, key->len);
    uint64_t *found = table_find(&db->table, hash_bytes(name.ptr, name.len), entry_has_name, &name);
    bool is_there = found && !entry_is_expired(table_slot_item(found), replaced->engine->now_ms);
    for (struct watch *watch = key->watchers; watch; watch = watch->next_of_key)
        if (watch->existed || is_there)
            touch(replaced->engine, watch);
}

void watches_replaced(struct engine *engine, struct db *db)
{
    struct replaced replaced = { engine, db };
    uint64_t cursor = 0;
    do
        cursor = table_scan(&engine->watches->keys, cursor, visit_replaced, &replaced);
    while (cursor);
}
