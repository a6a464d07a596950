/*
 * The engine's life and its pauses, and what it makes of the keyspace's news.
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/mem.h"
#include "ds/table.h"
#include "engine/acl.h"
#include "engine/blame.h"
#include "engine/error_stats.h"
#include "engine/hotkeys.h"
#include "engine/insight.h"
#include "engine/latency.h"
#include "engine/notify.h"
#include "engine/propagate.h"
#include "engine/pubsub.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/slowlog.h"
#include "engine/task.h"
#include "engine_priv.h"
#include "store/keyspace.h"
#include "json/lengths.h"
#include "json/path.h"

static void on_touched(void *context, struct db *db, struct bytes key)
{
    waits_touched(context, db, key);
    watches_touched(context, db, key);
    fills_touched(context, db, key);
    trackers_touched(context, key);
}

/* Whoever executes the log again has a clock of his own: to him the key is deleted. */
static void on_expired(void *context, struct db *db, const struct entry *entry)
{
    struct bytes key = entry_key(entry);
    fills_expired(context, db, entry);
    const struct bytes words[] = { BYTES("DEL"), key };
    engine_propagate(context, db, words, 2);
    engine_notify(context, NOTIFY_EXPIRED, "expired", db, key);
}

static void on_evicted(void *context, struct db *db, struct bytes key)
{
    const struct bytes words[] = { BYTES("DEL"), key };
    engine_propagate(context, db, words, 2);
    engine_notify(context, NOTIFY_EVICTED, "evicted", db, key);
}

/* Whoever executes the log again removes no part by itself, either. */
static void on_part_expired(void *context, struct db *db, struct bytes key, struct bytes part)
{
    const struct bytes words[] = { BYTES("HDEL"), key, part };
    engine_propagate(context, db, words, 3);
}

static void on_parts_expired(void *context, struct db *db, struct bytes key, bool all)
{
    engine_notify(context, NOTIFY_HASH, "hexpired", db, key);
    if (all)
        engine_notify(context, NOTIFY_GENERIC, "del", db, key);
}

static void on_missed(void *context, struct db *db, struct bytes key)
{
    engine_notify(context, NOTIFY_KEY_MISS, "keymiss", db, key);
}

static void on_arrived(void *context, struct db *db, struct bytes key)
{
    engine_notify(context, NOTIFY_NEW, "new", db, key);
}

static bool is_held(void *context, struct bytes key)
{
    const struct engine *engine = context;
    return asides_hold(engine->asides, key);
}

static void on_replaced(void *context, struct db *db)
{
    waits_replaced(context, db);
    watches_replaced(context, db);
    fills_replaced(context, db);
    trackers_replaced(context);
}

enum { JSON_PATHS_KEPT = 256 };

struct engine *engine_create(struct keyspace *keyspace, const struct engine_settings *settings, void *host)
{
    struct engine *engine = mem_zalloc(sizeof *engine);
    engine->keyspace = keyspace;
    engine->settings = settings;
    engine->host = host;
    engine->task_steps = UINT64_MAX;
    engine->registry = command_registry_create();
    engine->acl = acl_create(engine->registry);
    engine->sessions_by_id = mem_alloc(sizeof *engine->sessions_by_id);
    table_init(engine->sessions_by_id, &session_table_type);
    engine->waits = waits_create(keyspace);
    engine->watches = watches_create(engine);
    engine->pubsub = pubsub_create();
    keyspace->observer = (struct keyspace_observer){
        .touched = on_touched,
        .replaced = on_replaced,
        .expired = on_expired,
        .evicted = on_evicted,
        .held = is_held,
        .part_expired = on_part_expired,
        .parts_expired = on_parts_expired,
        .missed = on_missed,
        .arrived = on_arrived,
        .context = engine,
    };
    engine_refresh_notifications(engine);
    output_init(&engine->late);
    engine->asides = asides_create();
    engine->errors = error_stats_create();
    engine->slowlog = slowlog_create();
    engine->insight = insight_create();
    engine->insight_in = INSIGHT_EVERY;
    engine->latency = latency_create();
    engine->blames = blames_create();
    engine->slow_us = INT64_MIN; /* computed before the first batch */
    engine->now_ms = clock_wall_ms();
    arena_init(&engine->arena);
    engine->paths = json_path_cache_create(JSON_PATHS_KEPT);
    engine->lengths = json_lengths_create();
    random_init_secret(&engine->random);
    engine->trackers = trackers_create();
    engine->fills = fills_create(random_next(&engine->random) >> 1);
    return engine;
}

void engine_refresh_notifications(struct engine *engine)
{
    uint32_t events = engine->settings->notify_events;
    engine->keyspace->tells_misses = events & NOTIFY_KEY_MISS;
    engine->keyspace->tells_arrivals = events & NOTIFY_NEW;
}

void engine_destroy(struct engine *engine)
{
    if (!engine)
        return;
    while (engine->sessions)
        session_destroy(engine->sessions);
    engine_finish_tasks(engine);
    asides_destroy(engine->asides);
    engine->asides = NULL;
    engine->keyspace->observer = (struct keyspace_observer){ 0 };
    engine->keyspace->tells_misses = engine->keyspace->tells_arrivals = false;
    output_fini(&engine->late);
    engine_set_propagation(engine, NULL);
    fills_destroy(engine);
    trackers_destroy(engine);
    waits_destroy(engine->waits);
    pubsub_destroy(engine->pubsub);
    shared_reply_fini(&engine->shared_reply);
    watches_destroy(engine->watches);
    table_fini(engine->sessions_by_id);
    mem_free(engine->sessions_by_id);
    acl_destroy(engine->acl);
    command_registry_destroy(engine->registry);
    error_stats_destroy(engine->errors);
    slowlog_destroy(engine->slowlog);
    insight_destroy(engine->insight);
    hotkeys_reset(engine);
    latency_destroy(engine->latency);
    blames_destroy(engine->blames);
    arena_fini(&engine->arena);
    json_path_cache_destroy(engine->paths);
    json_lengths_destroy(engine->lengths);
    buf_fini(&engine->text);
    mem_free(engine);
}

void engine_tick(struct engine *engine, int64_t now_ms)
{
    engine->now_ms = now_ms;
    if (engine->pause_until_ms && now_ms >= engine->pause_until_ms)
        engine_unpause(engine);
    if (engine->keys_ready) /* by something that was no command */
        waits_serve(engine);
}

void engine_pause(struct engine *engine, int64_t until_ms, bool all)
{
    /* A second pause never weakens the one that holds. */
    bool holds = engine->pause_until_ms != 0;
    engine->pause_all = all || (holds && engine->pause_all);
    if (!holds || until_ms > engine->pause_until_ms)
        engine->pause_until_ms = until_ms;
}

size_t engine_paused(const struct engine *engine)
{
    size_t count = 0;
    const struct session *session = engine->pause_until_ms ? engine->sessions : NULL;
    for (; session; session = session->next)
        count += session->flags & SESSION_POSTPONED ? 1 : 0;
    return count;
}

/* Whoever must go on waiting will be told so again. */
static void resume_postponed(struct engine *engine)
{
    for (struct session *session = engine->sessions; session; session = session->next)
        if (session->flags & SESSION_POSTPONED)
            session_resume(session, SESSION_POSTPONED);
}

void engine_unpause(struct engine *engine)
{
    engine->pause_until_ms = 0;
    engine->pause_all = false;
    engine->keyspace->keeps_expired = false;
    resume_postponed(engine);
}

void engine_jam(struct engine *engine, bool jammed)
{
    bool over = engine->is_jammed && !jammed;
    engine->is_jammed = jammed;
    if (over)
        resume_postponed(engine);
}
