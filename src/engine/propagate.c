/*
 * Units of commands on their way to a sink: encoded one behind the other into pieces (base/pieces.h), with their places
 * noted, and handed over when the unit ends.
 *
 * A unit ends when the outermost thing that executes does: a command (EXEC with all that it ran), a retry of one that
 * waited, a step of a task. What happens outside of all these is a unit by itself.
 */
#include "engine/propagate.h"

#include <string.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/num.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/task.h"
#include "engine_priv.h"
#include "propagate_priv.h"
#include "resp/request.h"
#include "store/keyspace.h"

enum {
    REFERRED_MIN = 64 * 1024, /* a shorter word is copied, wherever it lies */
    MANY_WORDS = 1000,        /* from here on they are encoded little by little, where that can be */
    COST_OF_WORD = 5,         /* for fiber_breathe */
    HEAD_MAX = 1 + NUM_I64_MAX_LEN + 2,
};

struct propagate_place {
    int db;
    size_t start, len;
};

struct propagation {
    const struct propagation_sink *sink; /* borrowed */
    struct propagate_unit unit;          /* under way */
    struct propagated *commands;         /* owned: what the sink gets */
    struct piece *pieces;                /* owned: these commands */
    size_t commands_room, pieces_room;
};

void propagate_unit_fini(struct propagate_unit *unit)
{
    pieces_fini(&unit->text);
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
        mem_free(propagation->pieces);
        mem_free(propagation);
        engine->propagation = NULL;
    } else if (sink) {
        engine->propagation = mem_zalloc(sizeof *engine->propagation);
        engine->propagation->sink = sink;
    }
}

/* --- Encoding --- */

/* The blob that a word of the call lies in, whichever words are made of those that came; NULL: in none. */
static struct blob *blob_of(const struct call *call, struct bytes word)
{
    for (uint32_t i = 0; i < call->kept_count; i++)
        if (word.ptr >= call->kept[i]->data && word.ptr + word.len <= call->kept[i]->data + call->kept[i]->len)
            return call->kept[i];
    for (uint32_t i = 0; call->request && i < call->request->blob_count; i++) {
        struct blob *blob = call->request->blobs[i].blob;
        if (blob && word.ptr >= blob->data && word.ptr + word.len <= blob->data + blob->len)
            return blob;
    }
    return NULL;
}

/* Writes "$<number>\r\n", or so; returns its end. */
static char *put_head(char *at, char type, size_t number)
{
    *at++ = type;
    at += num_format_u64(at, number);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static void encode_head(struct pieces *text, char type, size_t number)
{
    char head[HEAD_MAX];
    size_t len = (size_t)(put_head(head, type, number) - head);
    memcpy(pieces_extend(text, len), head, len);
}

/* `call` is whose word it may be, or NULL. */
static void encode_word(struct pieces *text, const struct call *call, struct bytes word)
{
    char head[HEAD_MAX];
    size_t len = (size_t)(put_head(head, '$', word.len) - head);
    struct blob *blob = word.len >= REFERRED_MIN && call ? blob_of(call, word) : NULL;
    char *at = pieces_extend(text, blob ? len : len + word.len + 2);
    memcpy(at, head, len);
    at += len;
    if (blob) {
        pieces_append_blob(text, blob, word);
        at = pieces_extend(text, 2);
    } else if (word.len) {
        memcpy(at, word.ptr, word.len);
        at += word.len;
    }
    memcpy(at, "\r\n", 2);
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

/* Encodes a command; `call` is whose words these are, or some of them, or NULL; the name may be another one. */
static void append(
    struct engine *engine, const struct call *call, int db, const char *name, const struct bytes *argv, uint32_t argc)
{
    struct propagate_unit *unit = &engine->propagation->unit;
    expect_places(unit, 1);
    size_t start = pieces_len(&unit->text);
    encode_head(&unit->text, '*', argc);
    for (uint32_t i = 0; i < argc; i++)
        encode_word(&unit->text, call, i == 0 && name ? bytes_from_cstr(name) : argv[i]);
    unit->places[unit->count++] = (struct propagate_place){ db, start, pieces_len(&unit->text) - start };
}

static void later_add(
    struct propagate_later *later, const struct call *call, const char *name, const struct bytes *argv, uint32_t argc)
{
    if (later->count == later->room) {
        later->room = later->room ? later->room * 2 : 16;
        later->ends = mem_realloc(later->ends, later->room * sizeof *later->ends);
    }
    encode_head(&later->text, '*', argc);
    for (uint32_t i = 0; i < argc; i++) {
        encode_word(&later->text, call, i == 0 && name ? bytes_from_cstr(name) : argv[i]);
        if (argc >= MANY_WORDS)
            fiber_breathe(COST_OF_WORD);
    }
    later->ends[later->count++] = pieces_len(&later->text);
}

void propagate_later_add(struct propagate_later *later, const struct bytes *argv, uint32_t argc)
{
    later_add(later, NULL, NULL, argv, argc);
}

void call_propagate_later(struct call *call, struct propagate_later *later)
{
    struct engine *engine = call->engine;
    call->propagated = true;
    if (engine->propagation && later->count) {
        struct propagate_unit *unit = &engine->propagation->unit;
        size_t start = pieces_len(&unit->text);
        pieces_append_pieces(&unit->text, &later->text);
        expect_places(unit, later->count);
        for (size_t i = 0, from = 0; i < later->count; from = later->ends[i++])
            unit->places[unit->count++] =
                (struct propagate_place){ call->db->index, start + from, later->ends[i] - from };
        if (!engine->executing)
            propagate_flush(engine);
    }
    pieces_fini(&later->text);
    mem_free(later->ends);
    *later = (struct propagate_later){ 0 };
}

/* --- Handing over --- */

/* The commands of a unit whose text is one piece that nobody else refers to, as mostly. */
static void cut_short(struct propagation *propagation)
{
    const struct propagate_unit *unit = &propagation->unit;
    for (size_t i = 0; i < unit->count; i++) {
        const struct propagate_place *place = &unit->places[i];
        struct bytes text = bytes_make(unit->text.tail->data + place->start, place->len);
        propagation->pieces[i] = (struct piece){ .text = text };
        propagation->commands[i] =
            (struct propagated){ .db = place->db, .pieces = &propagation->pieces[i], .count = 1 };
    }
}

/* Of any other: each piece of the text belongs to one command or to several. */
static void cut_long(struct propagation *propagation)
{
    const struct propagate_unit *unit = &propagation->unit;
    const struct piece *from = unit->text.items;
    size_t skip = 0; /* of that piece */
    struct piece *to = propagation->pieces;
    for (size_t i = 0; i < unit->count; i++) {
        struct propagated *command = &propagation->commands[i];
        *command = (struct propagated){ .db = unit->places[i].db, .pieces = to };
        for (size_t left = unit->places[i].len; left;) {
            size_t len = from->text.len - skip < left ? from->text.len - skip : left;
            *to++ = (struct piece){ .text = bytes_make(from->text.ptr + skip, len), .blob = from->blob };
            left -= len;
            skip += len;
            if (skip == from->text.len) {
                from++;
                skip = 0;
            }
        }
        command->count = (size_t)(to - command->pieces);
    }
}

void propagate_flush(struct engine *engine)
{
    struct propagation *propagation = engine->propagation;
    struct propagate_unit *unit = propagation ? &propagation->unit : NULL;
    if (!unit || !unit->count)
        return;
    if (unit->text.count)
        pieces_close(&unit->text);
    if (propagation->commands_room < unit->count) {
        propagation->commands_room = unit->room;
        propagation->commands = mem_realloc(propagation->commands, unit->room * sizeof *propagation->commands);
    }
    size_t most = unit->count + unit->text.count;
    if (propagation->pieces_room < most) {
        propagation->pieces_room = unit->room + unit->text.count;
        propagation->pieces = mem_realloc(propagation->pieces, propagation->pieces_room * sizeof *propagation->pieces);
    }
    if (unit->text.count)
        cut_long(propagation);
    else
        cut_short(propagation);
    propagation->sink->unit(propagation->sink->context, propagation->commands, unit->count);
    unit->count = 0;
    pieces_clear(&unit->text);
}

void engine_propagate(struct engine *engine, const struct db *db, const struct bytes *argv, uint32_t argc)
{
    if (!engine->propagation)
        return;
    append(engine, NULL, db->index, NULL, argv, argc);
    if (!engine->executing)
        propagate_flush(engine);
}

void call_propagate(struct call *call, const struct bytes *argv, uint32_t argc)
{
    struct engine *engine = call->engine;
    call->propagated = true;
    if (!engine->propagation)
        return;
    append(engine, call, call->db->index, NULL, argv, argc);
    if (!engine->executing)
        propagate_flush(engine);
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
    append(call->engine, call, call->db->index, lasting_name(command), call->argv, call->argc);
}

void propagate_call_in_slices(struct call *call)
{
    if (call->propagated || !call_is_propagated(call) || !(call->command->flags & CMD_WRITE) || call->argc < MANY_WORDS)
        return;
    struct propagate_later later = { 0 };
    later_add(&later, call, lasting_name(call->command), call->argv, call->argc);
    call_propagate_later(call, &later);
}
