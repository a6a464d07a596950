/*
 * Waits from beginning to end: a session is suspended, its command executed again when a key is worth it, and let go
 * when it has answered, when its time is up, when somebody unblocks it or when its client leaves.
 *
 * Serving happens between commands, never inside one. Those who take something are all served before anybody else
 * gets a turn, so that nobody else takes it from them; for those who only read, or hear that the key is gone, there may
 * be very many answers to one change, and so they are served in slices. It ends: a waiter that answers is gone, and one
 * that waits again has changed nothing, so whatever its retry seemed to change is not served again.
 *
 * The time spent waiting is nobody's: the statistics get what the executions took, and count one call, when it is
 * over.
 *
 * Who waits for very many keys comes here aside (engine/aside.h): he stands in their lines one by one, while they are
 * held and so none of them gets anything, and waits when he stands in all of them. When that is over a chore takes him
 * out again (store/reclaim.h).
 */
#include "engine/wait.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine_priv.h"
#include "holds_priv.h"
#include "store/keyspace.h"
#include "wait_priv.h"

/* Some 100 us each. */
enum { DEADLINES_AT_ONCE = 256, READERS_AT_ONCE = 64 };

enum {
    MANY_PLACES = 1000, /* from here on a wait is ended by the chore */
    COPY_COST = 3,
    PLACE_COST = 30, /* for fiber_breathe */
};

/* Takes waits that are over out of about so many lines. */
static void leave_some(struct waits *waits, size_t most)
{
    for (struct waiter *waiter; (waiter = waits->ended) && most;) {
        most -= wait_queue_leave(waits, waiter, most);
        if (waiter->place_count)
            return;
        waits->ended = waiter->next_ended;
        mem_free(waiter);
    }
}

static void chore_step(struct reclaim_chore *chore, size_t items)
{
    struct waits *waits = (struct waits *)((char *)chore - offsetof(struct waits, chore));
    leave_some(waits, items);
    if (!waits->ended)
        reclaim_chore_end(chore);
}

struct waits *waits_create(struct keyspace *keyspace)
{
    struct waits *waits = mem_zalloc(sizeof *waits);
    waits->keyspace = keyspace;
    waits->dbs = mem_zalloc((size_t)keyspace->db_count * sizeof *waits->dbs);
    table_init(&waits->keys, &wait_key_table_type);
    waits->chore.step = chore_step;
    return waits;
}

void waits_destroy(struct waits *waits)
{
    if (!waits)
        return;
    leave_some(waits, SIZE_MAX);
    reclaim_chore_end(&waits->chore);
    ASSERT(waits->sessions == 0 && table_count(&waits->keys) == 0);
    table_fini(&waits->keys);
    mem_free(waits->dbs);
    mem_free(waits->heap);
    mem_free(waits);
}

void waits_touched(struct engine *engine, struct db *db, struct bytes name)
{
    wait_queue_touched(engine->waits, db, name);
    engine->keys_ready = engine->waits->ready.first != NULL;
}

void waits_park(struct engine *engine, struct wait_ready *parked)
{
    wait_queue_move_ready(&engine->waits->ready, parked);
    engine->keys_ready = false;
}

void waits_unpark(struct engine *engine, struct wait_ready *parked)
{
    wait_queue_move_ready(parked, &engine->waits->ready);
    engine->keys_ready = engine->waits->ready.first != NULL;
}

void waits_replaced(struct engine *engine, struct db *db)
{
    wait_queue_replaced(engine->waits, db);
    engine->keys_ready = engine->waits->ready.first != NULL;
}

/* --- Beginning --- */

/* Bytes that a copy of the call's arguments takes. */
static size_t words_bytes(const struct call *call)
{
    size_t size = call->argc * sizeof(struct bytes);
    for (uint32_t i = 0; i < call->argc; i++) {
        size += call->argv[i].len;
        fiber_breathe(1);
    }
    return size;
}

static void copy_words(const struct call *call, struct bytes *argv)
{
    char *at = (char *)&argv[call->argc];
    for (uint32_t i = 0; i < call->argc; i++) {
        struct bytes arg = call->argv[i];
        if (arg.len)
            memcpy(at, arg.ptr, arg.len);
        argv[i] = bytes_make(at, arg.len);
        at += arg.len;
        fiber_breathe(COPY_COST);
    }
}

/* With room for so many places. NULL when memory is out. */
static struct waiter *waiter_create(const struct call *call, uint32_t key_count)
{
    size_t head = sizeof(struct waiter) + key_count * sizeof(struct wait_place), size = words_bytes(call);
    bool apart = key_count >= MANY_PLACES;
    struct waiter *waiter = mem_try_alloc(apart ? head : head + size);
    struct bytes *words = waiter && apart ? mem_try_alloc(size) : NULL;
    if (!waiter || (apart && !words)) {
        mem_free(waiter);
        return NULL;
    }
    *waiter = (struct waiter){
        .command = call->command,
        .words = words,
        .places = (struct wait_place *)(waiter + 1),
        .argv = apart ? words : (struct bytes *)((char *)waiter + head),
        .argc = call->argc,
        .silent = call->session->flags & SESSION_REPLY_SKIP,
    };
    copy_words(call, waiter->argv);
    return waiter;
}

/* Frees it, now or when the chore has taken it out of its lines. */
static void waiter_destroy(struct waits *waits, struct waiter *waiter)
{
    mem_free(waiter->words);
    waiter->words = NULL;
    if (waiter->place_count < MANY_PLACES) {
        wait_queue_leave(waits, waiter, SIZE_MAX);
        mem_free(waiter);
        return;
    }
    waiter->next_ended = waits->ended;
    waits->ended = waiter;
    reclaim_chore_add(waits->keyspace->reclaim, &waits->chore, waiter->place_count);
}

bool wait_take_arguments(struct call *call, struct bytes **argv)
{
    struct waiter *waiter = call->session->wait;
    if (!waiter || !waiter->words)
        return false;
    *argv = waiter->words;
    waiter->words = NULL;
    return true;
}

static void expire(struct call *call, const struct wait_kind *kind)
{
    if (kind->expire)
        kind->expire(call);
    else
        reply_null_array(call->reply);
}

/* It stands in all its lines, and begins to wait. */
static void begin(struct waits *waits, struct waiter *waiter, struct session *session, int64_t deadline_ms)
{
    waiter->session = session;
    waiter->deadline_ms = deadline_ms;
    if (deadline_ms)
        wait_heap_add(waits, waiter);
    waits->sessions++;
    session->wait = waiter;
    session->flags |= SESSION_SUSPENDED;
    session->transport->pause(session->connection);
    session->transport->patient(session->connection, true);
}

void call_wait(struct call *call, const struct wait_kind *kind, uint64_t line, uint32_t first_key, uint32_t key_count,
    int64_t deadline_ms)
{
    if (call->retry && call->session->wait) {
        call->session->wait->again = true;
        return;
    }
    bool is_aside = aside_is(call);
    if (!call->request && !is_aside) {
        expire(call, kind);
        return;
    }
    ASSERT(first_key + key_count <= call->argc);
    struct waits *waits = call->engine->waits;
    struct waiter *waiter = waiter_create(call, key_count);
    bool good = waiter;
    if (waiter)
        waiter->kind = kind;
    for (uint32_t i = 0; good && i < key_count; i++) {
        good = wait_queue_enter(waits, waiter, call->db, first_key + i, line);
        fiber_breathe(PLACE_COST);
    }
    struct session *session = is_aside ? aside_client(call) : call->session;
    if (good && session) {
        begin(waits, waiter, session, deadline_ms);
        return;
    }
    if (waiter)
        waiter_destroy(waits, waiter);
    if (!good)
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
}

void wait_charge(struct session *session, uint64_t ticks)
{
    session->wait->ticks += ticks;
}

/* --- Ending --- */

/* It does not wait any more; the waiter is the caller's. */
static struct waiter *detach(struct session *session)
{
    struct waits *waits = session->engine->waits;
    struct waiter *waiter = session->wait;
    if (waiter->place_count < MANY_PLACES)
        wait_queue_leave(waits, waiter, SIZE_MAX);
    if (waiter->deadline_ms)
        wait_heap_remove(waits, waiter);
    waits->sessions--;
    session->wait = NULL;
    waiter->session = NULL;
    return waiter;
}

void wait_abandon(struct session *session)
{
    if (session->wait)
        waiter_destroy(session->engine->waits, detach(session));
    session->engine->keys_ready = session->engine->waits->ready.first != NULL;
}

static void make_call(struct waiter *waiter, struct call *call)
{
    *call = session_call(waiter->session);
    call->argv = waiter->argv;
    call->argc = waiter->argc;
    call->now_ms = call->engine->now_ms;
    call->command = waiter->command;
    reply_begin(call->reply);
}

/* The wait is over and answered: lets the session go on. */
static void let_go(struct session *session, struct waiter *waiter)
{
    waiter_destroy(session->engine->waits, waiter);
    session->transport->patient(session->connection, session->subscriber != NULL);
    session_resume(session, SESSION_SUSPENDED);
    session->transport->wake(session->connection);
}

/* Counts the wait, which is over and answered. */
static void finish(struct session *session)
{
    struct engine *engine = session->engine;
    struct waiter *waiter = detach(session);
    const struct reply *reply = &session->reply;
    execute_account(engine, session, waiter->command, waiter->ticks, reply->failed, reply->code);
    execute_log_if_slow(engine, session, waiter->command, waiter->ticks, waiter->argv, waiter->argc);
    let_go(session, waiter);
}

/* Its user may have lost what it takes since it began to wait: true if it was refused then, as it would be now. */
static bool refuse(struct session *session, struct call *call, struct output_mark mark)
{
    if (acl_admit(call))
        return false;
    struct waiter *waiter = detach(session);
    execute_account_rejected(call);
    if (waiter->silent)
        output_rewind(session->reply.out, mark);
    let_go(session, waiter);
    return true;
}

/* Ends a wait that got nothing. */
static void give_up(struct session *session, bool error)
{
    struct call call;
    struct output_mark mark = output_mark(session->reply.out);
    make_call(session->wait, &call);
    if (error)
        reply_error(call.reply, BYTES("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
    else
        expire(&call, session->wait->kind);
    if (session->wait->silent)
        output_rewind(session->reply.out, mark);
    finish(session);
}

bool session_unblock(struct session *session, bool error)
{
    if (!session->wait)
        return false;
    give_up(session, error);
    return true;
}

bool session_waits_for(const struct session *session, const struct wait_kind *kind)
{
    return session->wait && session->wait->kind == kind;
}

int64_t engine_next_deadline_ms(const struct engine *engine)
{
    const struct waits *waits = engine->waits;
    int64_t wait_ms = waits->timed ? waits->heap[0]->deadline_ms : INT64_MAX, fill_ms = fills_next_due_ms(engine);
    return wait_ms < fill_ms ? wait_ms : fill_ms;
}

void engine_run_deadlines(struct engine *engine, int64_t now_ms)
{
    engine->now_ms = now_ms;
    fills_run(engine, now_ms, DEADLINES_AT_ONCE);
    if (engine->keys_ready)
        waits_serve(engine);
    struct waits *waits = engine->waits;
    for (int i = 0; i < DEADLINES_AT_ONCE && waits->timed && waits->heap[0]->deadline_ms <= now_ms; i++) {
        give_up(waits->heap[0]->session, false);
        arena_reset(&engine->arena);
    }
}

void engine_wait_stats(const struct engine *engine, struct wait_stats *stats)
{
    const struct waits *waits = engine->waits;
    *stats = (struct wait_stats){
        .sessions = waits->sessions,
        .timed = waits->timed,
        .keys = table_count(&waits->keys),
        .gone_keys = waits->gone_keys,
    };
}

/* --- Serving --- */

/* The command has found much to do, and goes on as a task: it waits for nothing any more. */
static void become_task(struct session *session)
{
    struct waiter *waiter = detach(session);
    task_inherit(session->task, waiter->ticks, waiter->silent);
    waiter_destroy(session->engine->waits, waiter);
    session->transport->patient(session->connection, session->subscriber != NULL);
}

enum outcome { WAITS_AGAIN, HAS_ENDED, GOES_ON };

/* Executes the waiter's command again. */
static enum outcome retry(struct engine *engine, struct wait_place *place)
{
    struct waiter *waiter = place->waiter;
    struct session *session = waiter->session;
    if (__builtin_expect(engine->is_telling, 0))
        trackers_catch_up(session);
    struct output_mark mark = output_mark(session->reply.out);
    struct call call;
    make_call(waiter, &call);
    if (__builtin_expect(session->flags & SESSION_LIMITED, 0) && refuse(session, &call, mark))
        return HAS_ENDED;
    call.retry = true;
    call.ready_arg = place->arg;
    engine->keyspace->touch = !(session->flags & SESSION_NO_TOUCH);
    waiter->again = false;
    if (__builtin_expect(engine->keyspace->holds != 0, 0))
        asides_settle(&call);
    struct wait_key *last_ready = engine->waits->ready.last;
    uint64_t start = clock_ticks();
    uint64_t dirty = propagate_begin(&call);
    engine->current = session;
    waiter->command->row->run(&call);
    propagate_end(&call, dirty);
    waiter->ticks += clock_ticks() - start;
    arena_reset(call.arena);
    bool again = waiter->again;
    if (!again && waiter->silent)
        output_rewind(session->reply.out, mark);
    session_push_late(engine);
    if (again) {
        wait_queue_forget_after(engine->waits, last_ready);
        return WAITS_AGAIN;
    }
    if (session->task) {
        become_task(session);
        return GOES_ON;
    }
    finish(session);
    return HAS_ENDED;
}

/* True if the key has something for waiters of that kind, or is gone and that is news to them. */
static bool concerns(const struct engine *engine, const struct wait_key *key, const struct wait_kind *kind)
{
    struct key name = { key->name, key->len, key->hash };
    const struct entry *entry = keyspace_peek(engine->keyspace, key->db, name, engine->now_ms);
    return entry && entry->type == kind->type ? true : kind->gone;
}

/* Serves some of a line from its cursor on; true if there are more to be served. */
static bool serve_some(struct engine *engine, struct wait_line *line, size_t most)
{
    for (struct wait_place *place; (place = line->cursor); most--) {
        if (most == 0)
            return true;
        if (!place->waiter->session) {
            line->cursor = place->next;
            continue;
        }
        if (!concerns(engine, line->key, line->kind))
            break;
        line->cursor = place->next;
        enum outcome outcome = retry(engine, place);
        if (outcome == GOES_ON || (outcome == WAITS_AGAIN && !line->kind->every))
            break; /* when the task is over the key is ready once more */
    }
    line->cursor = NULL;
    return false;
}

static void serve_line(struct engine *engine, struct wait_line *line)
{
    if (line->slow) {
        line->changed = true;
        return;
    }
    line->cursor = line->first;
    bool may_be_many = line->kind->every || line->kind->gone;
    if (serve_some(engine, line, may_be_many ? READERS_AT_ONCE : SIZE_MAX))
        wait_queue_slow(engine->waits, line);
}

bool waits_go_on(struct engine *engine)
{
    struct waits *waits = engine->waits;
    struct wait_line *line = waits->slow;
    if (!line)
        return false;
    struct wait_key *key = line->key;
    wait_queue_not_slow(waits, line);
    key->served = true;
    bool more = serve_some(engine, line, READERS_AT_ONCE);
    if (!more && line->changed) {
        line->changed = false;
        line->cursor = line->first;
        more = line->first;
    }
    if (more)
        wait_queue_slow(waits, line);
    wait_queue_served(waits, key);
    return waits->slow;
}

bool waits_are_slow(const struct engine *engine)
{
    return engine->waits->slow;
}

void waits_serve(struct engine *engine)
{
    struct wait_key *key;
    while ((key = wait_queue_serve(engine->waits))) {
        for (struct wait_line *line = key->lines; line; line = line->next)
            serve_line(engine, line);
        wait_queue_served(engine->waits, key);
    }
    engine->keys_ready = false;
}
