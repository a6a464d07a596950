/*
 * Sessions: a list in order of age for CLIENT LIST, and a table by ID.
 */
#include "engine/session.h"

#include "base/hash.h"
#include "base/mem.h"
#include "ds/table.h"
#include "engine/acl.h"
#include "engine/early.h"
#include "engine/engine.h"
#include "engine/monitor.h"
#include "engine/pubsub.h"
#include "engine/task.h"
#include "engine/tracking.h"
#include "engine/transaction.h"
#include "engine_priv.h"
#include "store/keyspace.h"

/* --- No client --- */

static void ignore(void *connection)
{
    (void)connection;
}

static void ignore_flag(void *connection, bool yes)
{
    (void)connection, (void)yes;
}

static void ignore_class(void *connection, int limit_class)
{
    (void)connection, (void)limit_class;
}

static void name_nobody(void *connection, char *out, size_t size)
{
    (void)connection;
    if (size)
        out[0] = '\0';
}

const struct transport session_no_transport = {
    .wake = ignore,
    .pause = ignore,
    .resume = ignore,
    .close = ignore_flag,
    .authenticated = ignore_flag,
    .set_class = ignore_class,
    .patient = ignore_flag,
    .peer = name_nobody,
};

/* --- The list, and the table --- */

static uint64_t id_hash(uint64_t id)
{
    return hash_bytes(&id, sizeof id);
}

static uint64_t session_hash(const void *item)
{
    const struct session *session = item;
    return id_hash(session->id);
}

static bool session_has_id(const void *item, const void *id)
{
    const struct session *session = item;
    return session->id == *(const uint64_t *)id;
}

const struct table_type session_table_type = { .hash = session_hash };

/* As whoever just connected: the user `default`, if he needs no password. */
static void begin_as_default(struct session *session)
{
    struct acl_user *user = acl_default_user(session->engine->acl);
    acl_bind(session, user);
    session_set_authenticated(session, acl_needs_no_password(user));
}

struct session *session_create(
    struct engine *engine, struct output *out, const struct transport *transport, void *connection)
{
    struct session *session = mem_zalloc(sizeof *session);
    session->engine = engine;
    session->id = ++engine->next_session_id;
    session->transport = transport;
    session->connection = connection;
    session->created_ms = session->last_ms = engine->now_ms;
    session->db = keyspace_db(engine->keyspace, 0);
    reply_init(&session->reply, out, 2);
    session->out = out;
    session->prev = engine->last_session;
    *(session->prev ? &session->prev->next : &engine->sessions) = session;
    engine->last_session = session;
    table_insert(engine->sessions_by_id, id_hash(session->id), session);
    engine->session_count++;
    engine->stats.sessions_opened++;
    begin_as_default(session);
    return session;
}

void session_set_authenticated(struct session *session, bool yes)
{
    session->flags = (session->flags & ~(uint32_t)SESSION_AUTHENTICATED) | (yes ? SESSION_AUTHENTICATED : 0);
    session->transport->authenticated(session->connection, yes);
}

static void leave_list(struct session *session)
{
    struct engine *engine = session->engine;
    *(session->prev ? &session->prev->next : &engine->sessions) = session->next;
    *(session->next ? &session->next->prev : &engine->last_session) = session->prev;
    engine->session_count--;
}

void session_hide(struct session *session)
{
    leave_list(session);
    session->flags |= SESSION_HIDDEN;
    session->engine->stats.sessions_opened--;
}

void session_destroy(struct session *session)
{
    if (!session)
        return;
    struct engine *engine = session->engine;
    transaction_discard(session);
    early_drop(session->early, engine);
    wait_abandon(session);
    pubsub_leave(session);
    monitor_end(session);
    tracking_end(session);
    tracking_leave_sources(session);
    if (!(session->flags & SESSION_HIDDEN))
        leave_list(session);
    uint64_t hash = id_hash(session->id);
    uint64_t *slot = table_find(engine->sessions_by_id, hash, session_has_id, &session->id);
    table_remove(engine->sessions_by_id, hash, slot);
    if (!task_abandon(session))
        session_free(session);
}

void session_free(struct session *session)
{
    mem_free(session->name);
    mem_free(session->lib_name);
    mem_free(session->lib_version);
    mem_free(session);
}

struct output *session_outlet(struct session *session)
{
    struct output *late = session->task ? task_late(session->task) : NULL;
    return late ? late : session->out;
}

struct output *session_push(struct session *session)
{
    struct engine *engine = session->engine;
    if (session != engine->current)
        return session_outlet(session);
    engine->has_late = true;
    return &engine->late;
}

void session_send_late(struct engine *engine)
{
    engine->has_late = false;
    output_append_output(session_outlet(engine->current), &engine->late);
}

void session_stop_waiting(struct session *session)
{
    session->flags |= SESSION_CLOSING; /* what is on its way to wait does not begin to */
    wait_abandon(session);
}

void session_close(struct session *session, bool after_output)
{
    session->flags |= SESSION_CLOSING;
    wait_abandon(session); /* so that nothing is given to it any more */
    pubsub_leave(session);
    monitor_end(session);
    session->transport->close(session->connection, after_output);
}

void session_reset(struct session *session)
{
    transaction_discard(session);
    pubsub_leave(session);
    monitor_end(session);
    tracking_end(session);
    mem_free(session->name);
    session->name = NULL;
    session->db = keyspace_db(session->engine->keyspace, 0);
    session->reply.proto = 2;
    if (session->flags & SESSION_REPLY_OFF) /* what ends the silence is heard; what was skipped stays so */
        session->flags &= ~(uint32_t)SESSION_REPLY_SKIP;
    session->flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT | SESSION_NO_EVICT | SESSION_NO_TOUCH);
    begin_as_default(session);
}

void session_resume(struct session *session, uint32_t flag)
{
    session->flags &= ~flag;
    if (!(session->flags & SESSION_WAITS))
        session->transport->resume(session->connection);
}

struct session *session_find(const struct engine *engine, uint64_t id)
{
    uint64_t *slot = table_find(engine->sessions_by_id, id_hash(id), session_has_id, &id);
    return slot ? table_slot_item(slot) : NULL;
}
