/*
 * A transaction that goes on in slices, as a task.
 *
 * All keys that its commands name are held from its beginning to its end (holds.c). What it has changed is closed to
 * others whenever it pauses; what waits for those keys is set aside, what is to be propagated collects in a unit of its
 * own, and so do pushes to its own client, which follow its reply. Whatever the engine has of these three under way
 * when a slice begins is put aside meanwhile, since a slice may run in the midst of something else that cannot wait.
 *
 * The command that has much to do is a handler in a fiber or a task of its own, as if it had come alone. Its arguments
 * are the queue's, which lives as long.
 *
 * A large queue is gone through once before it begins, to hold the keys, and once after it has answered, to let go of
 * them. Until all are held nobody changes anything, and nothing else that holds keys begins.
 */
#include "exec_priv.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/task.h"
#include "engine_priv.h"
#include "holds_priv.h"
#include "propagate_priv.h"
#include "transaction_priv.h"
#include "wait_priv.h"

enum { SLICE_NS = 80 * 1000 };

struct exec_slices {
    struct task task;
    struct exec exec;
    enum { GATHERING, RUNNING, RELEASING } phase;
    const struct queued *next; /* to be run */
    struct queued *unheld;     /* the first whose keys are not held yet */
    const struct queued *open; /* the first whose keys are not closed yet */
    bool everywhere, stores, changes_any, changed, closed_all;
    bool silent, owns_session;
    uint64_t dirty; /* changes so far */

    /* The command that goes on in slices: one of these two, or neither. */
    struct fiber *fiber; /* owned */
    struct fiber *spare; /* owned: the first one, made while failing is easy; NULL once used */
    struct task *inner;  /* owned */
    struct call call;
    struct arena arena;
    uint64_t ticks, own_dirty, slice_dirty;
    size_t answered_before;

    struct propagate_unit unit;
    struct wait_ready parked;
    struct output late;
    struct output nowhere; /* where what is for a client goes who has left */
};

/* What is put aside while a slice runs. */
struct outside {
    struct session *current;
    struct output late;
    bool has_late, told_of_flush;
    struct wait_ready ready;
    uint64_t dirty, ticks;
};

bool exec_slices_busy(const struct exec_slices *self)
{
    return self->fiber || self->inner;
}

/* --- Keys --- */

/* Calls `visit` for each key of one command. */
static void visit_keys(struct exec_slices *self, const struct queued *queued,
    void (*visit)(struct asides *asides, struct bytes name, bool stores))
{
    struct engine *engine = self->exec.engine;
    struct key_position few[HOLDS_FEW_KEYS], *keys;
    int count = holds_find_keys(&engine->arena, queued->command, queued->argv, queued->argc, few, &keys);
    for (int i = 0; i < count; i++)
        visit(engine->asides, queued->argv[keys[i].index], keys[i].flags & KEY_CHANGES);
    arena_reset(&engine->arena);
}

/* Holds the keys of one command: very many of them together. */
static void hold_keys(struct exec_slices *self, struct queued *queued)
{
    struct engine *engine = self->exec.engine;
    struct key_position few[HOLDS_FEW_KEYS], *keys;
    int count = holds_find_keys(&engine->arena, queued->command, queued->argv, queued->argc, few, &keys);
    if (count >= HOLDS_MANY_KEYS)
        queued->many = holds_add_many(engine->asides, queued->argv, keys, (size_t)count);
    for (int i = 0; i < count && !queued->many; i++)
        holds_add(engine->asides, queued->argv[keys[i].index], keys[i].flags & KEY_CHANGES);
    arena_reset(&engine->arena);
}

static void release_keys(struct exec_slices *self, const struct queued *queued)
{
    if (queued->many)
        holds_release_many(self->exec.engine->asides, queued->many);
    else
        visit_keys(self, queued, holds_release);
}

static void close_if_stored(struct asides *asides, struct bytes name, bool stores)
{
    if (stores)
        holds_close(asides, name);
}

static void close_keys(struct exec_slices *self, const struct queued *queued)
{
    if (queued->many)
        holds_close_many(queued->many);
    else
        visit_keys(self, queued, close_if_stored);
}

/* There will be another slice: what was changed so far is nobody else's to see. */
static void close_changed(struct exec_slices *self)
{
    struct asides *asides = self->exec.engine->asides;
    if (!self->dirty)
        return;
    asides->changed += !self->changed;
    self->changed = true;
    const struct queued *end = self->fiber && !self->own_dirty ? self->exec.current : self->next;
    for (; self->open != end; self->open = self->open->next) {
        close_keys(self, self->open);
        uint32_t flags = self->open->command->flags;
        if (flags & CMD_WHOLE_KEYSPACE && !(flags & CMD_READ) && !self->closed_all) {
            self->closed_all = true;
            asides->closed_all++;
        }
    }
}

/* True if nothing that others hold, or wait for, is in the way. */
static bool may_hold(struct exec *exec)
{
    struct engine *engine = exec->engine;
    const struct asides *asides = engine->asides;
    const struct transaction *transaction = exec->transaction;
    if (holds_out_of_turn(asides, NULL, NULL, 0, transaction->sees_any))
        return false;
    if (asides->count == 0)
        return true;
    if (transaction->changes_any || transaction->words > TRANSACTION_LARGE)
        return false;
    bool may = true;
    for (const struct queued *queued = transaction->first; queued && may; queued = queued->next) {
        struct key_position few[HOLDS_FEW_KEYS], *keys;
        int count = holds_find_keys(exec->outer->arena, queued->command, queued->argv, queued->argc, few, &keys);
        may = !holds_out_of_turn(asides, queued->argv, keys, count, false);
    }
    return may;
}

/* Changes by `by` (1 or -1) how many works there are of what kinds. */
static void count_in(struct exec_slices *self, size_t by)
{
    struct asides *asides = self->exec.engine->asides;
    asides->everywhere += self->everywhere ? by : 0;
    asides->storing += self->stores ? by : 0;
    asides->anything += self->changes_any ? by : 0;
}

/* --- Slices --- */

static void enter(struct exec_slices *self, struct outside *outside)
{
    struct engine *engine = self->exec.engine;
    struct session *session = self->exec.session;
    *outside = (struct outside){ .current = engine->current,
        .late = engine->late,
        .has_late = engine->has_late,
        .told_of_flush = engine->told_of_flush,
        .dirty = engine->keyspace->stats.dirty };
    output_init(&engine->late);
    engine->has_late = false;
    engine->current = session;
    waits_park(engine, &outside->ready);
    propagate_exchange(engine, &self->unit);
    engine->keyspace->touch = !(session->flags & SESSION_NO_TOUCH);
    ASSERT(!engine->asides->inside);
    engine->asides->inside = true;
    engine->asides->inside_all = self->everywhere;
}

static void leave(struct exec_slices *self, struct outside *outside, bool over)
{
    struct engine *engine = self->exec.engine;
    engine->asides->inside = engine->asides->inside_all = false;
    self->dirty += engine->keyspace->stats.dirty - outside->dirty;
    if (over)
        propagate_flush(engine);
    propagate_exchange(engine, &self->unit);
    waits_park(engine, &self->parked);
    waits_unpark(engine, &outside->ready);
    output_append_output(&self->late, &engine->late);
    engine->late = outside->late;
    engine->has_late = outside->has_late;
    engine->told_of_flush = outside->told_of_flush;
    engine->current = outside->current;
}

static void run_handler(void *context)
{
    struct exec_slices *self = context;
    self->call.command->row->run(&self->call);
    if (self->own_dirty || self->call.keyspace->stats.dirty != self->slice_dirty)
        propagate_call_in_slices(&self->call);
}

/* One slice of the handler that is aside; true if it has finished. */
static bool go_on_in_fiber(struct exec_slices *self)
{
    struct engine *engine = self->exec.engine;
    uint64_t before = self->slice_dirty = engine->keyspace->stats.dirty;
    self->call.reply = self->exec.reply;
    if (!fiber_resume(self->fiber, SLICE_NS)) {
        self->own_dirty += engine->keyspace->stats.dirty - before;
        return false;
    }
    if (engine->propagation)
        propagate_call(&self->call, before - self->own_dirty);
    fiber_destroy(self->fiber);
    self->fiber = NULL;
    arena_fini(&self->arena);
    return true;
}

/* One step of the task that a command has made; true if it has finished. */
static bool go_on_with_task(struct exec_slices *self)
{
    struct engine *engine = self->exec.engine;
    struct session *session = self->exec.session;
    struct call call = {
        .keyspace = engine->keyspace,
        .db = session->db,
        .session = session,
        .engine = engine,
        .reply = self->exec.reply,
        .arena = &engine->arena,
        .now_ms = self->exec.now_ms,
        .command = self->exec.current->command,
        .propagated = true,
    };
    bool finished = self->inner->type->step(self->inner, &call);
    arena_reset(call.arena);
    self->task.asleep = self->inner->asleep;
    if (!finished)
        return false;
    self->task.asleep = false;
    self->inner->type->destroy(self->inner);
    self->inner = NULL;
    return true;
}

/* Goes on with the command under way; true if it is done. */
static bool go_on(struct exec_slices *self)
{
    uint64_t start = clock_ticks();
    bool finished = self->fiber ? go_on_in_fiber(self) : go_on_with_task(self);
    self->ticks += clock_ticks() - start;
    if (finished)
        exec_note_command(
            &self->exec, self->exec.current, self->ticks, output_len(self->exec.reply->out) - self->answered_before);
    return finished;
}

/* Runs what is left of the queue, or some of it; true if all is done. */
static bool run_some(struct exec_slices *self)
{
    uint64_t end_ns = clock_mono_ns() + SLICE_NS;
    while (self->next || exec_slices_busy(self)) {
        if (exec_slices_busy(self)) {
            if (!go_on(self))
                return false;
        } else {
            const struct queued *queued = self->next;
            self->next = queued->next;
            exec_run_command(&self->exec, queued);
        }
        if (clock_mono_ns() >= end_ns)
            return !self->next && !exec_slices_busy(self);
    }
    return true;
}

/* Holds the keys of some more commands. When it has all of them others may go on. */
static void gather_some(struct exec_slices *self)
{
    struct engine *engine = self->exec.engine;
    uint64_t end_ns = clock_mono_ns() + SLICE_NS;
    while (self->unheld && clock_mono_ns() < end_ns) {
        hold_keys(self, self->unheld);
        self->unheld = self->unheld->next;
    }
    if (self->unheld)
        return;
    engine->asides->everywhere--;
    engine->asides->anything--;
    self->phase = RUNNING;
    holds_resume_waiting(engine);
}

/* Lets go of the keys of the queue's first command, and of the command. */
static void release_first(struct exec_slices *self)
{
    release_keys(self, self->exec.transaction->first);
    transaction_drop_first(self->exec.engine, self->exec.transaction);
}

static bool release_some(struct exec_slices *self)
{
    uint64_t end_ns = clock_mono_ns() + SLICE_NS;
    while (self->exec.transaction->first && clock_mono_ns() < end_ns)
        release_first(self);
    return !self->exec.transaction->first;
}

/* All has been done, and may be seen. */
static void complete(struct exec_slices *self)
{
    struct engine *engine = self->exec.engine;
    waits_unpark(engine, &self->parked);
    count_in(self, (size_t)-1);
    engine->asides->changed -= self->changed;
    engine->asides->closed_all -= self->closed_all;
    reply_begin(self->exec.reply); /* the errors inside are those commands', not EXEC's */
    struct output *out = self->silent || self->owns_session ? self->exec.session->out : self->exec.reply->out;
    output_append_output(out, &self->late);
    self->phase = RELEASING;
}

static bool slices_step(struct task *task, struct call *call)
{
    struct exec_slices *self = (struct exec_slices *)task;
    struct outside outside;
    task->asleep = false;
    if (self->phase == RELEASING)
        return release_some(self);
    if (self->phase == GATHERING) {
        gather_some(self);
        return false;
    }
    self->exec.reply = call->reply;
    enter(self, &outside);
    bool over = run_some(self);
    leave(self, &outside, over);
    if (!over) {
        close_changed(self);
        return false;
    }
    complete(self);
    if (self->exec.transaction->words <= TRANSACTION_LARGE)
        return true;
    task_answer(task);
    return false;
}

static void slices_destroy(struct task *task)
{
    struct exec_slices *self = (struct exec_slices *)task;
    struct engine *engine = self->exec.engine;
    ASSERT(self->phase == RELEASING);
    while (self->exec.transaction->first)
        release_first(self);
    transaction_destroy(engine, self->exec.transaction);
    propagate_unit_fini(&self->unit);
    fiber_destroy(self->spare);
    output_fini(&self->late);
    if (self->owns_session)
        session_free(self->exec.session);
    output_fini(&self->nowhere);
    mem_free(self);
    holds_leave(engine);
}

/* --- A client that has left --- */

static void slices_adopt(struct task *task)
{
    struct exec_slices *self = (struct exec_slices *)task;
    struct session *session = self->exec.session;
    self->owns_session = true;
    session->transport = &session_no_transport;
    session->connection = NULL;
    session->out = session->reply.out = &self->nowhere;
    if (!(session->flags & SESSION_LIMITED)) /* whose rights are asked for goes on at once, before his user may go */
        session->user = acl_default_user(session->engine->acl);
}

/* --- Beginning --- */

static const struct task_type slices_type = { .step = slices_step, .destroy = slices_destroy };

/* CLIENT CACHING spoke of this transaction, and is forgotten when EXEC returns. */
static void track_ahead(struct exec *exec)
{
    for (const struct queued *queued = exec->transaction->first; queued; queued = queued->next) {
        struct call call = *exec->outer;
        call.command = queued->command;
        call.argv = queued->argv;
        call.argc = queued->argc;
        tracking_executed(&call);
    }
}

static void hold_all(struct exec_slices *self, bool large)
{
    struct engine *engine = self->exec.engine;
    const struct transaction *transaction = self->exec.transaction;
    self->everywhere = transaction->sees_any;
    self->stores = transaction->flags & CMD_WRITE;
    self->changes_any = transaction->changes_any;
    self->phase = large ? GATHERING : RUNNING;
    self->open = self->unheld = transaction->first;
    holds_enter(engine);
    count_in(self, 1);
    engine->asides->everywhere += large;
    engine->asides->anything += large;
    for (; self->unheld && !large; self->unheld = self->unheld->next)
        hold_keys(self, self->unheld);
}

bool exec_slices_begin(struct exec *exec, bool large)
{
    ASSERT(!exec->slices);
    exec->at_once = exec->at_once || !may_hold(exec);
    struct exec_slices *self = exec->at_once ? NULL : mem_try_alloc(sizeof *self);
    if (!self)
        return false;
    struct fiber *fiber = fiber_create(run_handler, self);
    if (!fiber) {
        mem_free(self);
        return false;
    }
    struct engine *engine = exec->engine;
    *self = (struct exec_slices){ .spare = fiber,
        .task = { .type = &slices_type, .lasts = true, .holds = true, .adopt = slices_adopt } };
    output_init(&self->late);
    output_init(&self->nowhere);
    self->silent = exec->session->flags & SESSION_REPLY_SKIP;
    self->dirty = engine->keyspace->stats.dirty - exec->dirty_before;
    call_defer(exec->outer, &self->task);
    struct reply *reply = task_reply(&self->task);
    output_move_after(exec->reply->out, exec->begin, reply->out);
    exec->reply = reply;
    exec->slices = self;
    self->exec = *exec;
    hold_all(self, large);
    if (tracking_is_caching(exec->session))
        track_ahead(exec);
    return true;
}

void exec_slices_leave(struct exec_slices *self, const struct queued *next)
{
    struct engine *engine = self->exec.engine;
    self->dirty = engine->keyspace->stats.dirty - self->exec.dirty_before;
    self->next = next;
    self->exec.outer = NULL;
    propagate_exchange(engine, &self->unit);
    waits_park(engine, &self->parked);
    output_append_output(&self->late, &engine->late);
    engine->has_late = false;
    close_changed(self);
}

/* The command of the queue that asks is the one to go on; false if the queue cannot. */
static struct exec_slices *slices_of(struct call *call)
{
    struct exec *exec = call->exec;
    if (!exec->slices && !exec_slices_begin(exec, false))
        return NULL;
    struct exec_slices *self = exec->slices;
    self->exec.current = exec->current;
    self->ticks = self->own_dirty = 0;
    self->answered_before = output_len(self->exec.reply->out);
    return self;
}

bool exec_put_aside(struct call *call, bool everywhere)
{
    if (everywhere && !call->exec->transaction->sees_any)
        return false;
    struct exec_slices *self = slices_of(call);
    if (!self)
        return false;
    self->fiber = self->spare ? self->spare : fiber_create(run_handler, self);
    self->spare = NULL;
    if (!self->fiber)
        return false;
    arena_init(&self->arena);
    self->call = *call;
    self->call.exec = &self->exec;
    self->call.arena = &self->arena;
    return true;
}

bool exec_take_task(struct call *call, struct task *task)
{
    struct exec_slices *self = slices_of(call);
    if (!self)
        return false;
    self->inner = task;
    return true;
}

bool exec_sleep(struct call *call)
{
    call->exec->slices->task.asleep = true;
    fiber_yield();
    return true;
}
