/*
 * A table of the keys that are held, by name, and a line of the sessions that wait. What holds them is in aside.c and
 * exec.c.
 */
#include "holds_priv.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/task.h"
#include "engine/transaction.h"
#include "engine_priv.h"

struct held {
    uint64_t hash;
    uint32_t readers; /* works that walk over its value */
    uint32_t storers; /* works that will store under it */
    bool wanted;      /* somebody waits to change it */
    bool closed;      /* nobody else sees it */
    uint32_t name_len;
    char name[];
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
    ASSERT(asides->count == 0 && table_count(&asides->held) == 0 && !asides->many);
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
    if (asides->everywhere > asides->inside_all)
        return true;
    const struct held *held = find_held(asides, name);
    if (held)
        return !(asides->inside && held->storers);
    return asides->many && holds_many_hold(asides, name, asides->inside);
}

void holds_add(struct asides *asides, struct bytes name, bool stores)
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

void holds_release(struct asides *asides, struct bytes name, bool stores)
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

void holds_close(struct asides *asides, struct bytes name)
{
    struct held *held = find_held(asides, name);
    ASSERT(held);
    held->closed = true;
}

/* --- Who has to wait --- */

int holds_find_keys(struct arena *arena, const struct command_info *command, const struct bytes *argv, uint32_t argc,
    struct key_position *few, struct key_position **keys)
{
    *keys = few;
    int count = command_keys(command, argv, argc, few, HOLDS_FEW_KEYS);
    if (count <= HOLDS_FEW_KEYS)
        return count;
    *keys = arena_alloc(arena, (size_t)count * sizeof **keys);
    return command_keys(command, argv, argc, *keys, count);
}

bool holds_sees_any(const struct command_info *command)
{
    for (int i = 0; i < COMMAND_KEY_SPECS; i++)
        if (command->row->keys[i].begin == KEY_SPEC_UNKNOWN)
            return true;
    return command->flags & CMD_WHOLE_KEYSPACE;
}

bool holds_out_of_turn(
    const struct asides *asides, const struct bytes *argv, const struct key_position *keys, int count, bool everywhere)
{
    if (asides->all_wanted || asides->anything || (everywhere && asides->storing))
        return true;
    if (!asides->count)
        return false;
    for (int i = 0; i < count; i++) {
        struct bytes name = argv[keys[i].index];
        const struct held *held = find_held(asides, name);
        if (keys[i].flags & KEY_CHANGES)
            continue;
        if ((held && (held->storers || held->wanted)) || (asides->many && holds_many_out_of_turn(asides, name)))
            return true;
    }
    return false;
}

struct intruder {
    struct asides *asides;
    struct arena *arena;
};

/* True if the command changes or sees what it may not now without naming a key. */
static bool conflicts_as_whole(struct asides *asides, const struct command_info *command)
{
    uint32_t flags = command->flags;
    bool reads = flags & CMD_READ, writes = !reads && flags & (CMD_WRITE | CMD_WHOLE_KEYSPACE);
    if (asides->closed_all && (reads || writes))
        return true;
    if (asides->changed && (flags & CMD_SAVES || holds_sees_any(command)))
        return true;
    return writes && (flags & CMD_WHOLE_KEYSPACE || asides->everywhere);
}

/* True if the command would change what is held, or see what is closed, and notes that somebody wants to. */
static bool conflicts(void *context, const struct command_info *command, const struct bytes *argv, uint32_t argc)
{
    const struct intruder *intruder = context;
    struct asides *asides = intruder->asides;
    if (conflicts_as_whole(asides, command)) {
        asides->all_wanted = true;
        return true;
    }
    if (command->flags & CMD_READ && !asides->changed)
        return false;
    struct key_position few[HOLDS_FEW_KEYS], *keys;
    int count = holds_find_keys(intruder->arena, command, argv, argc, few, &keys);
    for (int i = 0; i < count; i++) {
        struct bytes name = argv[keys[i].index];
        struct held *held = find_held(asides, name);
        bool changes = !(command->flags & CMD_READ) && keys[i].flags & KEY_CHANGES;
        if (held && (changes || held->closed)) {
            held->wanted = true;
            return true;
        }
        if (asides->many && holds_many_conflict(asides, name, changes))
            return true;
    }
    return false;
}

/* A transaction of very many keys is not compared with all that is held: it waits until nothing is. */
static bool queue_conflicts(struct call *call, struct intruder *intruder)
{
    if (!transaction_is_large(call->session))
        return transaction_any(call->session, conflicts, intruder);
    bool must_wait = intruder->asides->count;
    intruder->asides->all_wanted |= must_wait;
    return must_wait;
}

bool asides_hold_back(struct call *call)
{
    if (call->engine->task_steps != UINT64_MAX && call->command->flags & CMD_ADMIN)
        return false; /* whoever holds all tasks must be able to let them go on */
    struct intruder intruder = { call->engine->asides, call->arena };
    bool must_wait = call->command->flags & CMD_RUNS_QUEUE
                         ? queue_conflicts(call, &intruder)
                         : conflicts(&intruder, call->command, call->argv, call->argc);
    arena_reset(call->arena);
    return must_wait;
}

void asides_settle(struct call *call)
{
    struct intruder intruder = { call->engine->asides, call->arena };
    if (conflicts(&intruder, call->command, call->argv, call->argc))
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

void holds_resume_waiting(struct engine *engine)
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

void holds_enter(struct engine *engine)
{
    engine->asides->count++;
    engine->keyspace->holds++;
}

void holds_leave(struct engine *engine)
{
    struct asides *asides = engine->asides;
    asides->count--;
    engine->keyspace->holds--;
    asides->all_wanted &= asides->count != 0;
    holds_resume_waiting(engine);
}

bool engine_is_changing(struct engine *engine)
{
    engine->asides->all_wanted |= engine->asides->changed != 0;
    return engine->asides->changed;
}

void engine_finish_changes(struct engine *engine)
{
    if (engine->asides->changed)
        tasks_finish(engine);
}
