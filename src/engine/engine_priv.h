/* What the files of the engine share among themselves. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "store/keyspace.h"

struct command_info;
struct entry;
struct fills;
struct db;
struct table_type;
struct task;
struct task_link;
struct wait_ready;
struct waits;
struct watches;

extern const struct table_type session_table_type;

/* Gives a subscriber at once what is being handed out and it has not got yet. */
void publications_catch_up(struct session *session);

/* While engine->is_telling: tells a session now what it, and those whose messages go to it, are to be told. */
void trackers_catch_up(struct session *session);

/* The session is going: nobody's messages go to it any more. */
void tracking_leave_sources(struct session *session);

/* So many messages are being handed out that publishers have to wait; the session does. */
bool pubsub_is_behind(const struct engine *engine);
void pubsub_postpone(struct session *session);

/* The end of what engine->current executed: pushes that waited for its reply follow. */
void session_send_late(struct engine *engine);

static inline void session_push_late(struct engine *engine)
{
    if (__builtin_expect(engine->has_late, 0))
        session_send_late(engine);
    engine->current = NULL;
}

/* A call of the session's that has nothing to execute yet, and takes no time. */
static inline struct call session_call(struct session *session)
{
    struct engine *engine = session->engine;
    return (struct call){
        .keyspace = engine->keyspace,
        .db = session->db,
        .session = session,
        .engine = engine,
        .reply = &session->reply,
        .arena = &engine->arena,
    };
}

/* Counts what is kept for a session until it says otherwise, for limits to clients' memory. */
static inline void session_keeps(struct session *session, size_t bytes)
{
    session->kept_bytes += bytes;
    session->engine->kept_memory += bytes;
}

static inline void session_drops(struct session *session, size_t bytes)
{
    session->kept_bytes -= bytes;
    session->engine->kept_memory -= bytes;
}

/* Frees what session_destroy left to a task (task_abandon). */
void session_free(struct session *session);

/* Clears a reason for waiting (a session flag); when none is left the session's requests go on. */
void session_resume(struct session *session, uint32_t flag);

/* The name that clients have for the call's command, or for that of which it is a subcommand; in upper case. */
void call_container_name(const struct call *call, char out[48]);

/* The session leaves its task, if it has one: that ends unfinished, or goes on without anybody. True if it goes on with
 * the session, which is its own then. */
bool task_abandon(struct session *session);

/* What it has answered goes to its client now, as a whole reply; his next request waits for the task's end. */
void task_answer(struct task *task);
struct session *task_client(const struct task *task); /* NULL: has left */

/* The task goes on with what has taken so long already, and whose client wants no answer if it is silent. */
void task_inherit(struct task_link *link, uint64_t ticks, bool silent);

/* Carries out all tasks that others wait for to their ends, at once. */
void tasks_finish(struct engine *engine);

/* Where a deferred task answers, for what was answered before it was deferred. */
struct reply *task_reply(struct task *task);

/*
 * holds.c: the keys that are held by what runs in slices. asides_hold_back is true if the call would change such a key,
 * or see what is not finished; asides_postpone makes its session wait for that, and asides_settle is for who cannot
 * wait. asides_hold: must the key stay as it is?
 */
struct asides *asides_create(void);
void asides_destroy(struct asides *asides);
bool asides_hold_back(struct call *call);
void asides_postpone(struct call *call);
void asides_settle(struct call *call);
bool asides_hold(const struct asides *asides, struct bytes name);

/* wait.c: the queues of an engine; the observer's news for them; serving the keys that are ready, between commands. */
struct waits *waits_create(struct keyspace *keyspace);
void waits_destroy(struct waits *waits);
void waits_touched(struct engine *engine, struct db *db, struct bytes name);
void waits_replaced(struct engine *engine, struct db *db);
void waits_serve(struct engine *engine);

/* What became ready waits in a list apart until it is put back: it was changed by something that is not over. */
void waits_park(struct engine *engine, struct wait_ready *parked);
void waits_unpark(struct engine *engine, struct wait_ready *parked);

/* Goes on serving those whose turn did not come at once; true if there are more of them still. And: are there any? */
bool waits_go_on(struct engine *engine);
bool waits_are_slow(const struct engine *engine);

/* Ends the session's wait, if it waits, without an answer. */
void wait_abandon(struct session *session);

/* Adds to what the command of a waiting session has cost. */
void wait_charge(struct session *session, uint64_t ticks);

/* Counts and logs what a command cost, once it has answered. `peer` text is made only for what is slow. */
void execute_account(struct engine *engine, struct session *session, struct command_info *command, uint64_t ticks,
    bool failed, const char *code);

/* Counts a command that was refused before its handler ran. */
void execute_account_rejected(struct call *call);

/* Adds to the slow log what took at least the configured time. */
void execute_log_if_slow(struct engine *engine, const struct session *session, const struct command_info *command,
    uint64_t ticks, const struct bytes *argv, uint32_t argc);

/*
 * propagate.c: around whatever executes. propagate_begin returns what propagate_end wants back; the call's command is
 * propagated as it came if it wrote and did not say otherwise, and the unit ends with the outermost.
 */
void propagate_call(struct call *call, uint64_t dirty_before);
void propagate_flush(struct engine *engine);

static inline uint64_t propagate_begin(struct call *call)
{
    call->engine->executing++;
    return call->keyspace->stats.dirty;
}

static inline void propagate_end(struct call *call, uint64_t dirty_before)
{
    struct engine *engine = call->engine;
    if (__builtin_expect(engine->propagation != NULL, 0))
        propagate_call(call, dirty_before);
    if (engine->executing == 1 && __builtin_expect(engine->propagation != NULL, 0))
        propagate_flush(engine); /* as part of what executes: the sink sees that somebody may wait for an answer */
    engine->executing--;
}

/*
 * tracking.c: the observer's news for clients that cache; and what a session that tracks has executed: its keys are
 * remembered, and what CLIENT CACHING said holds no longer, unless it was CLIENT (NULL: unknown) or is within MULTI.
 */
struct trackers *trackers_create(void);
void trackers_destroy(struct engine *engine);
void trackers_touched(struct engine *engine, struct bytes name);
void trackers_replaced(struct engine *engine);
void tracking_executed(struct call *call);
void tracking_finished(struct session *session, const struct command_info *command);
bool tracking_is_caching(const struct session *session);

/* fill.c: records of leases and graces, and the observer's news for them. */
struct fills *fills_create(uint64_t first_token);
void fills_destroy(struct engine *engine);
void fills_expired(struct engine *engine, struct db *db, const struct entry *entry);
void fills_touched(struct engine *engine, struct db *db, struct bytes name);
void fills_replaced(struct engine *engine, struct db *db);

/* When the next lease or grace ends, ms since 1970; and ends at most so many of those that are over. */
int64_t fills_next_due_ms(const struct engine *engine);
void fills_run(struct engine *engine, int64_t now_ms, int most);

/* watch.c: the observer's news for those who watch keys. */
struct watches *watches_create(struct engine *engine);
void watches_destroy(struct watches *watches);
void watches_touched(struct engine *engine, const struct db *db, struct bytes name);
void watches_replaced(struct engine *engine, struct db *db);

/* A watched key was touched, or has expired. */
bool watch_was_touched(const struct session *session, int64_t now_ms);
