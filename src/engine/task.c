/*
 * Tasks run round robin, a step each, until the slice's time is up. Each answers into an output of its own, which moves
 * behind the session's when the task is finished: a push message that arrives meanwhile never lands in the middle of a
 * reply.
 */
#include "engine/task.h"

#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "engine/blame.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/insight.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine_priv.h"
#include "exec_priv.h"

enum { NAP_NS = 50 * 1000 };

struct task_link {
    struct task *task;       /* owned */
    struct session *session; /* NULL if it has left */
    struct command_info *command;
    struct task_link *prev, *next; /* the engine's ring */
    struct output out;
    struct reply reply;
    uint64_t ticks;     /* spent so far */
    size_t sent;        /* bytes of the answer that have left ahead of the end */
    bool silent;        /* the client wants no answer */
    bool flows;         /* a part of the answer has left: */
    struct output late; /* what is pushed to the session waits for the rest */
};

static void ring_insert(struct engine *engine, struct task_link *link)
{
    if (engine->tasks) {
        link->next = engine->tasks;
        link->prev = engine->tasks->prev;
        link->prev->next = link->next->prev = link;
    } else {
        link->prev = link->next = link;
        engine->tasks = link;
    }
    engine->task_count++;
}

static void ring_remove(struct engine *engine, struct task_link *link)
{
    if (link->next == link) {
        engine->tasks = NULL;
    } else {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        if (engine->tasks == link)
            engine->tasks = link->next;
    }
    engine->task_count--;
}

static void link_destroy(struct task_link *link)
{
    link->task->type->destroy(link->task);
    output_fini(&link->out);
    output_fini(&link->late);
    mem_free(link);
}

/* One step with a call of its own; true when the task has finished. */
static bool step(struct engine *engine, struct task *task, struct task_link *link, struct call *call)
{
    uint64_t start = clock_ticks();
    call->now_ms = engine->now_ms;
    if (link->session) {
        call->db = link->session->db;
        call->keyspace->touch = !(link->session->flags & SESSION_NO_TOUCH);
    }
    uint64_t dirty = propagate_begin(call);
    call->propagated = true; /* it has no words of its own */
    struct session *before = engine->stepping;
    engine->stepping = link->session;
    bool finished = task->type->step(task, call);
    propagate_end(call, dirty);
    engine->stepping = before;
    arena_reset(call->arena);
    uint64_t ticks = clock_ticks() - start;
    link->ticks += ticks;
    if (ticks >= engine->blame_ticks)
        blame_hold(engine, link->command->full_name, clock_ticks_to_ns(ticks), 0);
    return finished;
}

static void make_call(struct engine *engine, struct task_link *link, struct call *call)
{
    *call = (struct call){
        .keyspace = engine->keyspace,
        .session = link->session,
        .engine = engine,
        .reply = &link->reply,
        .arena = &engine->arena,
        .command = link->command,
    };
}

void call_defer(struct call *call, struct task *task)
{
    ASSERT(!task->link);
    if (call->exec && exec_take_task(call, task))
        return;
    bool goes_on = call->request || (call->retry && task->holds);
    if (!goes_on) { /* nobody can wait here: run it to its end */
        while (!task->type->step(task, call))
            ;
        task->type->destroy(task);
        return;
    }
    struct engine *engine = call->engine;
    struct session *session = call->session;
    struct task_link *link = mem_zalloc(sizeof *link);
    link->task = task;
    link->session = session;
    link->command = call->command;
    link->silent = session->flags & SESSION_REPLY_SKIP;
    output_init(&link->out);
    output_init(&link->late);
    reply_init(&link->reply, &link->out, call->reply->proto);
    task->link = link;
    session->task = link;
    session->flags |= SESSION_SUSPENDED;
    ring_insert(engine, link);
    session->transport->pause(session->connection);
}

static void end_in_wait(struct session *session, struct task_link *link)
{
    session->task = NULL;
    wait_charge(session, link->ticks);
    output_append_output(session->reply.out, &link->late);
    session->transport->wake(session->connection);
}

/* The task has answered: its reply goes out, and the session goes on; or it waits now (call_wait). */
static void finish(struct engine *engine, struct task_link *link)
{
    struct session *session = link->session;
    ring_remove(engine, link);
    if (!session || session->wait) {
        if (session)
            end_in_wait(session, link);
        else
            engine->orphan_count--;
        link_destroy(link);
        return;
    }
    session->task = NULL;
    execute_account(engine, session, link->command, link->ticks, link->reply.failed, link->reply.code);
    execute_log_if_slow(engine, session, link->command, link->ticks, link->task->argv, link->task->argc);
    if (link->task->argv)
        insight_note_task(engine, session->db->index, link->command, link->task->argv, link->task->argc, link->ticks,
            link->sent + output_len(&link->out));
    if (!link->silent)
        output_append_output(session->reply.out, &link->out);
    output_append_output(session->reply.out, &link->late);
    link_destroy(link);
    session_resume(session, SESSION_SUSPENDED);
    session->transport->wake(session->connection);
}

void task_inherit(struct task_link *link, uint64_t ticks, bool silent)
{
    link->ticks += ticks;
    link->silent = silent;
}

struct reply *task_reply(struct task *task)
{
    return &task->link->reply;
}

struct session *task_client(const struct task *task)
{
    return task->link->session;
}

void task_answer(struct task *task)
{
    struct task_link *link = task->link;
    if (!link->session || link->silent || !output_len(&link->out))
        return;
    link->sent += output_len(&link->out);
    output_append_output(link->session->reply.out, &link->out);
    link->session->transport->wake(link->session->connection);
}

void call_send(struct call *call)
{
    if (!fiber_running || call->exec)
        return;
    struct task_link *link = (struct task_link *)((char *)call->reply - offsetof(struct task_link, reply));
    link->flows = true;
    task_answer(link->task);
}

struct output *task_late(struct task_link *link)
{
    return link->flows || link->task->alone ? &link->late : NULL;
}

/* Turns the ring to a task that has something to do, and may; false if there is none. */
static bool find_awake(struct engine *engine)
{
    if (engine->task_steps == 0)
        return false;
    for (size_t i = 0; i < engine->task_count; i++) {
        if (!engine->tasks->task->asleep)
            return true;
        engine->tasks = engine->tasks->next;
    }
    return false;
}

void engine_wake_tasks(struct engine *engine)
{
    struct task_link *link = engine->tasks;
    for (size_t i = 0; i < engine->task_count; i++, link = link->next)
        link->task->asleep = false;
}

/*
 * What collects apart counts against its client's limit, too. True if that was closed, and its task with it, unless it
 * lasts: then it goes on without an answer.
 */
static bool is_flooded(struct task_link *link)
{
    struct session *session = link->session;
    if (!session || link->silent || !session->transport->flooded || output_len(&link->out) <= OUTPUT_CHUNK ||
        !session->transport->flooded(session->connection, output_memory(&link->out)))
        return false;
    if (!link->task->lasts)
        task_abandon(session);
    return true;
}

/* One step of the task whose turn it is; true if it has answered and is not done yet. */
static bool run_next(struct engine *engine)
{
    struct task_link *link = engine->tasks;
    size_t sent = link->sent;
    engine->tasks = link->next;
    if (engine->task_steps != UINT64_MAX)
        engine->task_steps--;
    struct call call;
    make_call(engine, link, &call);
    if (!step(engine, link->task, link, &call)) {
        bool answered = link->sent != sent;
        return !is_flooded(link) && answered;
    }
    finish(engine, link);
    return false;
}

bool engine_run_tasks(struct engine *engine, uint64_t budget_ns)
{
    uint64_t end_ns = clock_mono_ns() + budget_ns;
    engine->now_ms = clock_wall_ms();
    bool more = engine_task_count(engine);
    while (more) {
        bool answered = find_awake(engine) && run_next(engine);
        if (engine->keys_ready)
            waits_serve(engine);
        more = waits_go_on(engine) || find_awake(engine);
        if (answered || clock_mono_ns() >= end_ns)
            break;
    }
    return more;
}

size_t engine_task_count(const struct engine *engine)
{
    return engine->task_count + waits_are_slow(engine);
}

/* Runs one task to its end at once, whatever it waits for. */
static void finish_now(struct engine *engine, struct task_link *link)
{
    struct call call;
    make_call(engine, link, &call);
    engine->finished_others |= engine->executing && link->session;
    while (!step(engine, link->task, link, &call))
        if (link->task->asleep)
            nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
    finish(engine, link);
}

bool task_abandon(struct session *session)
{
    enum { ORPHANS_MAX = 64 }; /* more are not left to the future: their clients might come again and again */
    struct engine *engine = session->engine;
    struct task_link *link = session->task;
    if (!link)
        return false;
    session->task = NULL;
    if (!link->task->lasts) {
        ring_remove(engine, link);
        link_destroy(link);
        return false;
    }
    bool adopted = link->task->adopt != NULL, limited = session->flags & SESSION_LIMITED;
    link->session = NULL;
    output_discard(&link->out);
    if (adopted)
        link->task->adopt(link->task);
    /* The user's rights are asked for before each command, and the user may be gone soon. */
    if (++engine->orphan_count > ORPHANS_MAX || (adopted && limited))
        finish_now(engine, link);
    return adopted;
}

static void finish_all(struct engine *engine, bool only_holders)
{
    for (bool found = true; found;) {
        found = false;
        struct task_link *link = engine->tasks;
        for (size_t i = 0; i < engine->task_count && !found; i++, link = link->next)
            found = only_holders ? link->task->holds : link->task->lasts;
        if (found)
            finish_now(engine, link->prev);
    }
}

void engine_finish_tasks(struct engine *engine)
{
    finish_all(engine, false);
}

void tasks_finish(struct engine *engine)
{
    finish_all(engine, true);
}
