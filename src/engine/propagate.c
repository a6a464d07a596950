/*
 * Units of commands on their way to a sink: encoded one behind the other into a buffer, with their places noted, and
 * handed over when the unit ends.
 *
 * A unit ends when the outermost thing that executes does: a command (EXEC with all that it ran), a retry of one that
 * waited, a step of a task. What happens outside of all these is a unit by itself.
 */
#include "engine/propagate.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/num.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/task.h"
#include "engine_priv.h"
#include "propagate_priv.h"
#include "store/keyspace.h"

enum {
    KEEP_BYTES = 1 << 20, /* a buffer larger than that is given back after the unit */
    MANY_WORDS = 1000,    /* from here on they are encoded little by little, where that can be */
    COST_OF_WORD = 5,     /* for fiber_breathe */
};

struct propagate_place {
    int db;
    size_t start, len;
};

struct propagation {
    const struct propagation_sink *sink; /* borrowed */
    struct propagate_unit unit;          /* under way */
    struct propagated *commands;         /* owned: what the sink gets */
    size_t commands_room;
};

void propagate_unit_fini(struct propagate_unit *unit)
{
    buf_fini(&unit->text);
    mem_free(unit->places);
}

void propagate_exchange(struct engine *engine, struct propagate_unit *unit)
{
    if (!engine->propagation)
        return;
    struct propagate_unit other = engine->propagation->unit;
    engine->propagation->unit = *unit;
    *unit = other;
}

void engine_set_propagation(struct engine *engine, const struct propagation_sink *sink)
{
    ASSERT(!engine->executing);
    if (engine->asides && !engine->propagation != !sink)
        engine_finish_changes(engine); /* what is half done would be told of in part */
    struct propagation *propagation = engine->propagation;
    if (propagation && sink) {
        propagation->sink = sink;
    } else if (propagation) {
        propagate_unit_fini(&propagation->unit);
        mem_free(propagation->commands);
        mem_free(propagation);
        engine->propagation = NULL;
    } else if (sink) {
        engine->propagation = mem_zalloc(sizeof *engine->propagation);
        engine->propagation->sink = sink;
    }
}

static void append_head(struct buf *text, char type, size_t number)
{
    char digits[NUM_I64_MAX_LEN];
    buf_append_char(text, type);
    buf_append(text, bytes_make(digits, num_format_u64(digits, number)));
    buf_append_cstr(text, "\r\n");
}

static void encode_word(struct buf *text, struct bytes word)
{
    append_head(text, '$', word.len);
    buf_append(text, word);
    buf_append_cstr(text, "\r\n");
}

static void encode(struct buf *text, const char *name, const struct bytes *argv, uint32_t argc)
{
    append_head(text, '*', argc);
    for (uint32_t i = 0; i < argc; i++)
        encode_word(text, i == 0 && name ? bytes_from_cstr(name) : argv[i]);
}

/* Makes room for so many more places. */
static void expect_places(struct propagate_unit *unit, size_t count)
{
    if (unit->room - unit->count >= count)
        return;
    size_t room = unit->room ? unit->room * 2 : 16;
    unit->room = room < unit->count + count ? unit->count + count : room;
    unit->places = mem_realloc(unit->places, unit->room * sizeof *unit->places);
}

static void append(struct engine *engine, int db, const char *name, const struct bytes *argv, uint32_t argc)
{
    struct propagate_unit *unit = &engine->propagation->unit;
    expect_places(unit, 1);
    size_t start = unit->text.len;
    encode(&unit->text, name, argv, argc);
    unit->places[unit->count++] = (struct propagate_place){ db, start, unit->text.len - start };
}

static void later_add(struct propagate_later *later, const char *name, const struct bytes *argv, uint32_t argc)
{
    if (later->count == later->room) {
        later->room = later->room ? later->room * 2 : 16;
        later->ends = mem_realloc(later->ends, later->room * sizeof *later->ends);
    }
    append_head(&later->text, '*', argc);
    for (uint32_t i = 0; i < argc; i++) {
        encode_word(&later->text, i == 0 && name ? bytes_from_cstr(name) : argv[i]);
        if (argc >= MANY_WORDS)
            fiber_breathe(COST_OF_WORD);
    }
    later->ends[later->count++] = later->text.len;
}

void propagate_later_add(struct propagate_later *later, const struct bytes *argv, uint32_t argc)
{
    later_add(later, NULL, argv, argc);
}

void call_propagate_later(struct call *call, struct propagate_later *later)
{
    struct engine *engine = call->engine;
    call->propagated = true;
    if (engine->propagation && later->count) {
        struct propagate_unit *unit = &engine->propagation->unit;
        size_t start = unit->text.len;
        if (start == 0) {
            struct buf empty = unit->text;
            unit->text = later->text;
            later->text = empty;
        } else {
            buf_append(&unit->text, buf_bytes(&later->text));
        }
        expect_places(unit, later->count);
        for (size_t i = 0, from = 0; i < later->count; from = later->ends[i++])
            unit->places[unit->count++] =
                (struct propagate_place){ call->db->index, start + from, later->ends[i] - from };
        if (!engine->executing)
            propagate_flush(engine);
    }
    buf_fini(&later->text);
    mem_free(later->ends);
    *later = (struct propagate_later){ .text = BUF_EMPTY };
}

void propagate_flush(struct engine *engine)
{
    struct propagation *propagation = engine->propagation;
    struct propagate_unit *unit = propagation ? &propagation->unit : NULL;
    if (!unit || !unit->count)
        return;
    if (propagation->commands_room < unit->count) {
        propagation->commands_room = unit->room;
        propagation->commands = mem_realloc(propagation->commands, unit->room * sizeof *propagation->commands);
    }
    for (size_t i = 0; i < unit->count; i++) {
        const struct propagate_place *place = &unit->places[i];
        struct bytes request = bytes_make(unit->text.ptr + place->start, place->len);
        propagation->commands[i] = (struct propagated){ .db = place->db, .request = request };
    }
    propagation->sink->unit(propagation->sink->context, propagation->commands, unit->count);
    unit->count = 0;
    if (unit->text.cap > KEEP_BYTES)
        buf_fini(&unit->text);
    else
        buf_clear(&unit->text);
}

void engine_propagate(struct engine *engine, const struct db *db, const struct bytes *argv, uint32_t argc)
{
    if (!engine->propagation)
        return;
    append(engine, db->index, NULL, argv, argc);
    if (!engine->executing)
        propagate_flush(engine);
}

void call_propagate(struct call *call, const struct bytes *argv, uint32_t argc)
{
    call->propagated = true;
    engine_propagate(call->engine, call->db, argv, argc);
}

bool engine_replay(struct session *session, const struct bytes *argv, uint32_t argc)
{
    struct engine *engine = session->engine;
    struct command_info *command = argc ? command_resolve(engine->registry, argv, argc) : NULL;
    if (!command || !command->row->run || !command_argc_fits(command, argc))
        return false;
    struct call call = session_call(session);
    call.argv = argv;
    call.argc = argc;
    call.command = command;
    reply_begin(call.reply);
    uint64_t dirty = propagate_begin(&call);
    command->row->run(&call);
    propagate_end(&call, dirty);
    arena_reset(call.arena);
    return !call.reply->failed;
}

/* What the command is called there, whatever it is called here. */
static const char *lasting_name(const struct command_info *command)
{
    return command->parent ? command->parent->row->name : command->row->name;
}

void propagate_call(struct call *call, uint64_t dirty_before)
{
    const struct command_info *command = call->command;
    if (call->propagated || !(command->flags & CMD_WRITE) || call->keyspace->stats.dirty == dirty_before)
        return;
    append(call->engine, call->db->index, lasting_name(command), call->argv, call->argc);
}

void propagate_call_in_slices(struct call *call)
{
    if (call->propagated || !call_is_propagated(call) || !(call->command->flags & CMD_WRITE) || call->argc < MANY_WORDS)
        return;
    struct propagate_later later = { .text = BUF_EMPTY };
    later_add(&later, lasting_name(call->command), call->argv, call->argc);
    call_propagate_later(call, &later);
}
