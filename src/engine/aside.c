/*
 * Handlers that run aside, and the keys that they hold.
 *
 * A held key is known by its name, whatever the database: that is a little too careful for who moves keys between
 * databases, and simple. Each counts the handlers that read it and those that will store under it. Neither can be
 * changed by others; a key that will be stored cannot begin to be read in slices, since it would change in between.
 *
 * Sessions that have to wait are offered their request again whenever a handler has finished. Somebody who waits to
 * change a key keeps new handlers from holding it, so that readers cannot keep him out for ever.
 *
 * Costs: nothing while nothing is aside; then one look-up for each key of a command that changes something.
 */
#include "engine/aside.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/blob.h"
#include "base/fiber.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ds/table.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/key_spec.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/task.h"
#include "engine/transaction.h"
#include "engine_priv.h"
#include "resp/request.h"

enum {
    SLICE_NS = 80 * 1000,
    FEW_KEYS = 32, /* found without memory of their own */
    KEY_CHANGES = KEY_RW | KEY_OW | KEY_RM,
};

struct held {
    uint64_t hash;
    uint32_t readers; /* handlers that walk over its value */
    uint32_t storers; /* handlers that will store under it */
    bool wanted;      /* somebody waits to change it */
    uint32_t name_len;
    char name[];
};

struct asides {
    struct table held;
    size_t count;      /* handlers that are aside, ... */
    size_t everywhere; /* ... those of them that may read any key, ... */
    size_t storing;    /* ... and those that will store something */
    bool all_wanted;   /* somebody waits to change any key at all */
    uint64_t *waiting; /* owned: IDs of the sessions that wait, in order of arrival */
    size_t waiting_count, waiting_room;
};

struct aside {
    struct task task;
    struct fiber *fiber; /* owned */
    struct call call;
    struct session ghost; /* what the handler sees of its session, which may be gone before the end */
    struct arena arena;
    struct key_position *keys; /* owned */
    int key_count;
    bool everywhere, stores;
    struct blob **blobs; /* owned array of references, for arguments that were not copied; NULL if there are none */
    uint32_t blob_count;
    struct bytes argv[];
};

static uint64_t held_hash(const void *item)
{
    return ((const struct held *)item)->hash;
}

static const struct table_type held_table_type = { .hash = held_hash };

static bool held_has_name(const void *item, const void *sought)
{
    const struct held *held = item;
    return bytes_equal(bytes_make(held->name, held->name_len), *(const struct bytes *)sought);
}

struct asides *asides_create(void)
{
    struct asides *asides = mem_zalloc(sizeof *asides);
    table_init(&asides->held, &held_table_type);
    return asides;
}

void asides_destroy(struct asides *asides)
{
    ASSERT(asides->count == 0 && table_count(&asides->held) == 0);
    table_fini(&asides->held);
    mem_free(asides->waiting);
    mem_free(asides);
}

/* --- Held keys --- */

static uint64_t *find_slot(const struct asides *asides, struct bytes name)
{
    return table_find(&asides->held, hash_bytes(name.ptr, name.len), held_has_name, &name);
}

static struct held *find_held(const struct asides *asides, struct bytes name)
{
    uint64_t *slot = find_slot(asides, name);
    return slot ? table_slot_item(slot) : NULL;
}

bool asides_hold(const struct asides *asides, struct bytes name)
{
    if (asides->everywhere)
        return true;
    const struct held *held = find_held(asides, name);
    return held != NULL;
}

static void hold(struct asides *asides, struct bytes name, bool stores)
{
    struct held *held = find_held(asides, name);
    if (!held) {
        held = mem_zalloc(sizeof *held + name.len);
        held->hash = hash_bytes(name.ptr, name.len);
        held->name_len = (uint32_t)name.len;
        if (name.len)
            memcpy(held->name, name.ptr, name.len);
        table_insert(&asides->held, held->hash, held);
    }
    if (stores)
        held->storers++;
    else
        held->readers++;
}

static void release(struct asides *asides, struct bytes name, bool stores)
{
    uint64_t *slot = find_slot(asides, name);
    ASSERT(slot);
    struct held *held = table_slot_item(slot);
    if (stores)
        held->storers--;
    else
        held->readers--;
    if (held->readers + held->storers)
        return;
    table_remove(&asides->held, held->hash, slot);
    mem_free(held);
}

/* --- Who has to wait --- */

/* Where the command's keys stand, in `few` or in the arena; -1 if the arguments make no sense. */
static int find_keys(struct arena *arena, const struct command_info *command, const struct bytes *argv, uint32_t argc,
    struct key_position *few, struct key_position **keys)
{
    *keys = few;
    int count = command_keys(command, argv, argc, few, FEW_KEYS);
    if (count <= FEW_KEYS)
        return count;
    *keys = arena_alloc(arena, (size_t)count * sizeof **keys);
    return command_keys(command, argv, argc, *keys, count);
}

struct writer {
    struct asides *asides;
    struct arena *arena;
};

/* True if the command would change what is held, and notes that somebody wants to. */
static bool would_change(void *context, const struct command_info *command, const struct bytes *argv, uint32_t argc)
{
    const struct writer *writer = context;
    struct asides *asides = writer->asides;
    if (command->flags & CMD_READ)
        return false;
    if (command->flags & CMD_WHOLE_KEYSPACE || (asides->everywhere && command->flags & CMD_WRITE)) {
        asides->all_wanted = true;
        return true;
    }
    struct key_position few[FEW_KEYS], *keys;
    int count = find_keys(writer->arena, command, argv, argc, few, &keys);
    for (int i = 0; i < count; i++) {
        struct held *held = keys[i].flags & KEY_CHANGES ? find_held(asides, argv[keys[i].index]) : NULL;
        if (held) {
            held->wanted = true;
            return true;
        }
    }
    return false;
}

bool asides_hold_back(struct call *call)
{
    if (call->engine->task_steps != UINT64_MAX && call->command->flags & CMD_ADMIN)
        return false; /* whoever holds all tasks must be able to let them go on */
    struct writer writer = { call->engine->asides, call->arena };
    bool must_wait = call->command->flags & CMD_RUNS_QUEUE
                         ? transaction_any(call->session, would_change, &writer)
                         : would_change(&writer, call->command, call->argv, call->argc);
    arena_reset(call->arena);
    return must_wait;
}

void asides_settle(struct call *call)
{
    struct writer writer = { call->engine->asides, call->arena };
    if (would_change(&writer, call->command, call->argv, call->argc))
        tasks_finish(call->engine);
}

void asides_postpone(struct call *call)
{
    struct asides *asides = call->engine->asides;
    struct session *session = call->session;
    if (asides->waiting_count == asides->waiting_room) {
        asides->waiting_room = asides->waiting_room ? asides->waiting_room * 2 : 16;
        asides->waiting = mem_realloc(asides->waiting, asides->waiting_room * sizeof *asides->waiting);
    }
    asides->waiting[asides->waiting_count++] = session->id;
    session->flags |= SESSION_HELD_BACK;
    session->transport->pause(session->connection);
}

static void resume_waiting(struct engine *engine)
{
    struct asides *asides = engine->asides;
    size_t count = asides->waiting_count;
    asides->waiting_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct session *session = session_find(engine, asides->waiting[i]);
        if (session && session->flags & SESSION_HELD_BACK)
            session_resume(session, SESSION_HELD_BACK);
    }
}

/* --- Running aside --- */

static void run_handler(void *context)
{
    struct aside *self = context;
    self->call.command->row->run(&self->call);
}

static bool aside_step(struct task *task, struct call *call)
{
    struct aside *self = (struct aside *)task;
    self->call.reply = call->reply;
    uint64_t dirty = call->keyspace->stats.dirty;
    task->asleep = false;
    bool finished = fiber_resume(self->fiber, SLICE_NS);
    if (call->engine->propagation && call->keyspace->stats.dirty != dirty)
        propagate_call(&self->call, dirty);
    return finished;
}

bool call_sleep(struct call *call)
{
    if (!fiber_running)
        return false;
    struct aside *self = (struct aside *)((char *)call - offsetof(struct aside, call));
    self->task.asleep = true;
    fiber_yield();
    return true;
}

void call_answered(struct call *call)
{
    if (!fiber_running)
        return;
    struct aside *self = (struct aside *)((char *)call - offsetof(struct aside, call));
    task_answer(&self->task);
    fiber_yield();
}

static void aside_destroy(struct task *task)
{
    struct aside *self = (struct aside *)task;
    struct engine *engine = self->call.engine;
    struct asides *asides = engine->asides;
    for (int i = 0; i < self->key_count; i++)
        release(asides, self->argv[self->keys[i].index], self->keys[i].flags & KEY_CHANGES);
    asides->everywhere -= self->everywhere;
    asides->storing -= self->stores;
    asides->count--;
    engine->keyspace->holds--;
    asides->all_wanted &= asides->count != 0;
    arena_fini(&self->arena);
    fiber_destroy(self->fiber);
    for (uint32_t i = 0; i < self->blob_count; i++)
        blob_unref(self->blobs[i]);
    mem_free(self->blobs);
    mem_free(self->keys);
    mem_free(self);
    resume_waiting(engine);
}

/* True if somebody waits for a key that this would hold, or will store under it: then it is not this one's turn. */
static bool is_out_of_turn(
    const struct asides *asides, const struct bytes *argv, const struct key_position *keys, int count, bool everywhere)
{
    if (asides->all_wanted || (everywhere && asides->storing))
        return true;
    for (int i = 0; i < count; i++) {
        const struct held *held = find_held(asides, argv[keys[i].index]);
        if (held && !(keys[i].flags & KEY_CHANGES) && (held->storers || held->wanted))
            return true;
    }
    return false;
}

/* The blob that an argument was read into, or NULL: it is taken over instead of copied. */
static struct blob *blob_of(const struct call *call, uint32_t index)
{
    for (uint32_t i = 0; i < call->request->blob_count; i++)
        if (call->request->blobs[i].index == index)
            return call->request->blobs[i].blob;
    return NULL;
}

/* Copies the arguments behind the array of them, or takes them over. */
static void take_arguments(struct aside *self, struct call *call)
{
    char *at = (char *)&self->argv[call->argc];
    if (call->request->blob_count)
        self->blobs = mem_alloc(call->request->blob_count * sizeof *self->blobs);
    for (uint32_t i = 0; i < call->argc; i++) {
        self->argv[i] = call->argv[i];
        struct blob *blob = call_take_blob(call, i);
        if (blob) {
            self->blobs[self->blob_count++] = blob;
            continue;
        }
        self->argv[i].ptr = at;
        if (call->argv[i].len)
            memcpy(at, call->argv[i].ptr, call->argv[i].len);
        at += call->argv[i].len;
    }
}

/* A copy of the call that outlives it. NULL when memory is out. */
static struct aside *aside_create(struct call *call, const struct key_position *keys, int count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < call->argc; i++)
        bytes += blob_of(call, i) ? 0 : call->argv[i].len;
    struct aside *self = mem_try_alloc(sizeof *self + call->argc * sizeof *self->argv + bytes);
    if (!self)
        return NULL;
    *self = (struct aside){ .call = *call, .key_count = count };
    self->fiber = fiber_create(run_handler, self);
    if (!self->fiber) {
        mem_free(self);
        return NULL;
    }
    take_arguments(self, call);
    self->keys = mem_alloc((size_t)(count ? count : 1) * sizeof *keys);
    memcpy(self->keys, keys, (size_t)count * sizeof *keys);
    arena_init(&self->arena);
    self->ghost = (struct session){ .engine = call->engine,
        .id = call->session->id,
        .flags = call->session->flags & ~(uint32_t)SESSION_LIMITED, /* it was admitted */
        .reply.proto = call->session->reply.proto,
        .db = call->db };
    self->call.session = &self->ghost;
    self->call.arena = &self->arena;
    self->call.argv = self->argv;
    self->call.key_arg = 0;
    self->call.request = NULL;
    return self;
}

enum scope { HOLDS_NOTHING, HOLDS_KEYS, HOLDS_EVERYTHING };

static bool go_aside(struct call *call, enum scope scope)
{
    static const struct task_type type = { .step = aside_step, .destroy = aside_destroy };
    if (!call->request || call->retry || fiber_running)
        return false;
    struct asides *asides = call->engine->asides;
    bool everywhere = scope == HOLDS_EVERYTHING;
    struct key_position few[FEW_KEYS], *keys = few;
    int count = scope == HOLDS_NOTHING ? 0 : find_keys(call->arena, call->command, call->argv, call->argc, few, &keys);
    if (count < 0)
        return false;
    if (scope != HOLDS_NOTHING && is_out_of_turn(asides, call->argv, keys, count, everywhere)) {
        asides_postpone(call);
        call->request->done = false;
        return true;
    }
    struct aside *self = aside_create(call, keys, count);
    if (!self)
        return false;
    self->task = (struct task){ .type = &type, .argv = self->argv, .argc = call->argc, .lasts = true };
    self->everywhere = everywhere;
    self->stores = scope != HOLDS_NOTHING && call->command->flags & CMD_WRITE;
    for (int i = 0; i < count; i++)
        hold(asides, self->argv[keys[i].index], keys[i].flags & KEY_CHANGES);
    asides->everywhere += everywhere;
    asides->storing += self->stores;
    asides->count++;
    call->keyspace->holds++;
    call_defer(call, &self->task);
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
