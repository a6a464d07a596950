/*
 * Handlers that run aside, each as a task, on a copy of its call. The keys that they hold are in holds.c.
 *
 * What a handler changed before its last slice nobody else sees: its keys are closed until its end. What it changed is
 * propagated at its end, too.
 */
#include "engine/aside.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/blob.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "engine/call.h"
#include "engine/early.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/task.h"
#include "engine_priv.h"
#include "exec_priv.h"
#include "holds_priv.h"
#include "propagate_priv.h"
#include "resp/request.h"
#include "wait_priv.h"

enum { SLICE_NS = 80 * 1000 };

struct aside {
    struct task task;
    struct fiber *fiber; /* owned */
    struct call call;
    struct session ghost; /* what the handler sees of its session, which may be gone before the end */
    struct arena arena;
    struct key_position *keys; /* owned */
    int key_count;
    struct held_many *many; /* owned: very many keys, instead of the former two; or NULL */
    bool everywhere, stores;
    bool answered, told, changed;
    uint64_t dirty;           /* changes so far */
    uint64_t dirty_before;    /* this slice */
    struct wait_ready parked; /* who waits for what it has changed is served in the end */
    struct blob **blobs; /* owned array of references, for arguments that were not copied; NULL if there are none */
    uint32_t blob_count;
    struct bytes *argv; /* owned: the arguments, copied with their bytes, or as they came ... */
    char *bytes;        /* owned: ... with these; else NULL */
};

/* --- Running aside --- */

static void run_handler(void *context)
{
    struct aside *self = context;
    self->call.command->row->run(&self->call);
    if (self->dirty || self->call.keyspace->stats.dirty != self->dirty_before)
        propagate_call_in_slices(&self->call);
}

/* There will be another slice, and something has changed: nobody else sees that before the end. */
static void close_keys(struct aside *self)
{
    struct asides *asides = self->call.engine->asides;
    if (self->changed)
        return;
    self->changed = true;
    asides->changed++;
    if (self->many)
        holds_close_many(self->many);
    for (int i = 0; i < self->key_count; i++)
        if (self->keys[i].flags & KEY_CHANGES)
            holds_close(asides, self->call.argv[self->keys[i].index]);
}

static bool aside_step(struct task *task, struct call *call)
{
    struct aside *self = (struct aside *)task;
    self->call.reply = call->reply;
    uint64_t before = self->dirty_before = call->keyspace->stats.dirty;
    struct wait_ready ready = { NULL, NULL };
    task->asleep = false;
    if (!task_client(task) && self->call.command->flags & CMD_READ)
        fiber_set_over(self->fiber); /* its client has left, and what only reads makes nothing but an answer */
    waits_park(call->engine, &ready);
    bool finished = fiber_resume(self->fiber, SLICE_NS);
    waits_park(call->engine, &self->parked);
    waits_unpark(call->engine, &ready);
    uint64_t dirty = call->keyspace->stats.dirty;
    self->dirty += dirty - before;
    bool done = finished || self->answered;
    if (done && !self->told && call->engine->propagation)
        propagate_call(&self->call, dirty - self->dirty);
    else if (!done && self->dirty)
        close_keys(self);
    self->told = done;
    if (done)
        waits_unpark(call->engine, &self->parked);
    return finished;
}

bool aside_is(const struct call *call)
{
    return fiber_running && !call->exec;
}

struct session *aside_client(const struct call *call)
{
    const struct aside *self = (const struct aside *)((const char *)call - offsetof(struct aside, call));
    struct session *session = task_client(&self->task);
    return session && !(session->flags & SESSION_CLOSING) ? session : NULL;
}

bool call_sleep(struct call *call)
{
    if (!fiber_running)
        return false;
    if (call->exec)
        return exec_sleep(call);
    struct aside *self = (struct aside *)((char *)call - offsetof(struct aside, call));
    self->task.asleep = true;
    fiber_yield();
    return true;
}

void call_answered(struct call *call)
{
    if (!aside_is(call)) /* a transaction is answered as a whole */
        return;
    struct aside *self = (struct aside *)((char *)call - offsetof(struct aside, call));
    self->answered = true;
    task_answer(&self->task);
    fiber_yield();
}

/* Frees all but the holds. */
static void aside_free(struct aside *self)
{
    arena_fini(&self->arena);
    early_drop(self->ghost.early, self->call.engine);
    fiber_destroy(self->fiber);
    for (uint32_t i = 0; i < self->blob_count; i++)
        blob_unref(self->blobs[i]);
    mem_free(self->blobs);
    mem_free(self->keys);
    mem_free(self->argv);
    mem_free(self->bytes);
    mem_free(self);
}

static void release_keys(struct aside *self)
{
    struct asides *asides = self->call.engine->asides;
    if (self->many)
        holds_release_many(asides, self->many);
    for (int i = 0; i < self->key_count; i++)
        holds_release(asides, self->call.argv[self->keys[i].index], self->keys[i].flags & KEY_CHANGES);
}

void call_let_go(struct call *call)
{
    if (!aside_is(call))
        return;
    struct aside *self = (struct aside *)((char *)call - offsetof(struct aside, call));
    ASSERT(!self->stores && !self->everywhere);
    release_keys(self);
    self->many = NULL;
    self->key_count = 0;
    self->task.holds = false;
    holds_resume_waiting(call->engine);
}

static void aside_destroy(struct task *task)
{
    struct aside *self = (struct aside *)task;
    struct engine *engine = self->call.engine;
    struct asides *asides = engine->asides;
    release_keys(self);
    asides->everywhere -= self->everywhere;
    asides->storing -= self->stores;
    asides->changed -= self->changed;
    if (self->call.ready_arg) /* those behind it in the line had to wait, whatever became of it */
        waits_touched(engine, self->call.db, self->argv[self->call.ready_arg]);
    aside_free(self);
    holds_leave(engine);
}

/* The blob that an argument was read into, or NULL: it is taken over instead of copied. */
static struct blob *blob_of(const struct call *call, uint32_t index)
{
    const struct request *request = call->request;
    for (uint32_t i = 0; request && i < request->blob_count; i++)
        if (request->blobs[i].index == index)
            return request->blobs[i].blob;
    return NULL;
}

/* Copies the arguments behind an array of them, but for those that are blobs. False when memory is out. */
static bool copy_arguments(struct aside *self, const struct call *call)
{
    size_t size = call->argc * sizeof *self->argv;
    for (uint32_t i = 0; i < call->argc; i++)
        size += blob_of(call, i) ? 0 : call->argv[i].len;
    struct bytes *argv = self->argv = mem_try_alloc(size);
    if (!argv)
        return false;
    char *at = (char *)&argv[call->argc];
    for (uint32_t i = 0; i < call->argc; i++) {
        argv[i] = call->argv[i];
        if (blob_of(call, i))
            continue;
        argv[i].ptr = at;
        if (call->argv[i].len)
            memcpy(at, call->argv[i].ptr, call->argv[i].len);
        at += call->argv[i].len;
    }
    return true;
}

/* Takes the arguments over: very many as they lie, if that can be. False when memory is out. */
static bool take_arguments(struct aside *self, struct call *call)
{
    if (!call_take_arguments(call, &self->argv, &self->bytes) && !copy_arguments(self, call))
        return false;
    self->call.argv = self->argv;
    if (call_blob_count(call) == 0)
        return true;
    self->blobs = mem_alloc(call_blob_count(call) * sizeof *self->blobs);
    self->blob_count = call_take_blobs(call, self->blobs);
    self->call.kept = self->blobs;
    self->call.kept_count = self->blob_count;
    return true;
}

/* A copy of the call, without its arguments as yet. NULL when memory is out. */
static struct aside *aside_create(struct call *call)
{
    struct aside *self = mem_try_alloc(sizeof *self);
    if (!self)
        return NULL;
    *self = (struct aside){ .call = *call };
    self->fiber = fiber_create(run_handler, self);
    if (!self->fiber) {
        mem_free(self);
        return NULL;
    }
    arena_init(&self->arena);
    self->ghost = (struct session){ .engine = call->engine,
        .id = call->session->id,
        .flags = call->session->flags & ~(uint32_t)SESSION_LIMITED, /* it was admitted */
        .reply.proto = call->session->reply.proto,
        .db = call->db };
    self->call.session = &self->ghost;
    self->call.arena = &self->arena;
    self->call.key_arg = 0;
    self->call.request = NULL;
    return self;
}

/*
 * A key that will be changed and has expired goes now: once it is held nobody takes it away, and the handler does not
 * see time pass. Where very many will be changed the handler copes with that.
 */
static void drop_expired(struct call *call, const struct key_position *keys, int count)
{
    int budget = HOLDS_MANY_KEYS;
    for (int i = 0; i < count && budget; i++)
        if (keys[i].flags & KEY_CHANGES) {
            keyspace_peek(call->keyspace, call->db, key_make(call->argv[keys[i].index]), call->now_ms);
            budget--;
        }
}

/* False, with nothing held, when memory is out. The arguments are not taken over yet. */
static bool hold_keys(struct aside *self, const struct key_position *keys, int count)
{
    struct asides *asides = self->call.engine->asides;
    drop_expired(&self->call, keys, count);
    if (count >= HOLDS_MANY_KEYS) {
        self->many = holds_add_many(asides, self->call.argv, keys, (size_t)count);
        return self->many;
    }
    self->key_count = count;
    self->keys = mem_dup(keys, (size_t)count * sizeof *keys);
    for (int i = 0; i < count; i++)
        holds_add(asides, self->call.argv[keys[i].index], keys[i].flags & KEY_CHANGES);
    return true;
}

/* What was begun while the arguments arrived goes on aside, too. */
static void take_early(struct aside *self, struct session *session)
{
    early_move(session, &self->ghost);
    if (self->ghost.early)
        task_inherit(self->task.link, self->ghost.early->ticks, session->flags & SESSION_REPLY_SKIP);
}

enum scope { HOLDS_NOTHING, HOLDS_KEYS, HOLDS_EVERYTHING };

static bool go_aside(struct call *call, enum scope scope)
{
    static const struct task_type type = { .step = aside_step, .destroy = aside_destroy };
    bool everywhere = scope == HOLDS_EVERYTHING;
    if (fiber_running)
        return false;
    if (call->exec)
        return exec_put_aside(call, everywhere);
    if (!call->request && !(call->retry && scope == HOLDS_KEYS))
        return false;
    struct asides *asides = call->engine->asides;
    struct key_position few[HOLDS_FEW_KEYS], *keys = few;
    int count =
        scope == HOLDS_NOTHING ? 0 : holds_find_keys(call->arena, call->command, call->argv, call->argc, few, &keys);
    if (count < 0)
        return false;
    if (scope != HOLDS_NOTHING && holds_out_of_turn(asides, call->argv, keys, count, everywhere)) {
        if (call->retry)
            return false;
        asides_postpone(call);
        call->request->done = false;
        return true;
    }
    struct aside *self = aside_create(call);
    bool held = self && hold_keys(self, keys, count);
    if (!held || !take_arguments(self, call)) {
        if (held)
            release_keys(self);
        if (self)
            aside_free(self);
        return false;
    }
    self->task = (struct task){
        .type = &type, .argv = self->argv, .argc = call->argc, .lasts = true, .holds = scope != HOLDS_NOTHING
    };
    self->everywhere = everywhere;
    self->stores = scope != HOLDS_NOTHING && call->command->flags & CMD_WRITE;
    asides->everywhere += everywhere;
    asides->storing += self->stores;
    holds_enter(call->engine);
    call_defer(call, &self->task);
    take_early(self, call->session);
    return true;
}

bool call_aside(struct call *call, size_t items)
{
    return items >= CALL_AT_ONCE && go_aside(call, HOLDS_KEYS);
}

bool call_aside_everywhere(struct call *call, size_t items)
{
    return items >= CALL_AT_ONCE && go_aside(call, HOLDS_EVERYTHING);
}

bool call_aside_unheld(struct call *call)
{
    return go_aside(call, HOLDS_NOTHING);
}
