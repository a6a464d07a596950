/*
 * Propagation: what changed, as commands that give the same result wherever they are executed again.
 *
 * A sink (the append-only file) is told of everything that changes the keyspace, in units: what one command, one EXEC
 * or one expiry did belongs together and is never seen in part. A command that writes and changed something is told of
 * as it came, unless its handler says otherwise; a handler must do so when the same words could give another result
 * later: relative times, random choices, generated IDs, floating-point sums, blocking.
 *
 * Without a sink all of this costs one test per command. With one, each command is encoded once, into a buffer that
 * the unit's commands share; words that were read into blobs are not copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/pieces.h"
#include "engine/call.h"
#include "engine/engine.h"

/*
 * A command of a unit, encoded as a request (RESP2 array of bulk strings), in pieces one behind the other: one without
 * a blob, if it is short; what is long lies in blobs, which the sink may take references to. Borrowed until the sink
 * returns.
 */
struct propagated {
    int db; /* index of the database in which it is to be executed */
    const struct piece *pieces;
    size_t count;
};

struct propagation_sink {
    /* Takes a unit of `count` commands, at least one; several are to be executed as one transaction. */
    void (*unit)(void *context, const struct propagated *commands, size_t count);
    void *context;
};

/* Tells the sink from now on of every change; NULL ends that. The sink stays borrowed. Not while a command runs. */
void engine_set_propagation(struct engine *engine, const struct propagation_sink *sink);

/*
 * Tells of `argv` instead of the command as it came; any number of times per call. The database is the session's. In
 * the step of a task, which has no words of its own to be told of, this is the only way.
 */
void call_propagate(struct call *call, const struct bytes *argv, uint32_t argc);

/* The same for words that are written down in the handler, which are made only if somebody listens:
 * call_propagate_words(call, "SREM", key, member). */
#define call_propagate_words(call, word, ...)                                         \
    do {                                                                              \
        if (!call_is_propagated(call))                                                \
            break;                                                                    \
        const struct bytes words_[] = { BYTES(word), __VA_ARGS__ };                   \
        call_propagate((call), words_, (uint32_t)(sizeof words_ / sizeof words_[0])); \
    } while (0)

/*
 * Words of a long command that are made little by little, while the handler breathes, and told of at once when the
 * change is made. All zero at first.
 */
struct propagate_later {
    struct pieces text; /* owned: commands, encoded one behind the other */
    size_t *ends;       /* owned: where each ends */
    size_t count, room;
};

/* Breathes, if the words are very many. */
void propagate_later_add(struct propagate_later *later, const struct bytes *argv, uint32_t argc);

/* Tells of them instead of the command as it came, and frees them. O(commands): long text is not copied. */
void call_propagate_later(struct call *call, struct propagate_later *later);

/* Tells of nothing, although something may have changed. */
static inline void call_propagate_nothing(struct call *call)
{
    call->propagated = true;
}

/* True if anybody listens: for handlers to whom making the words is work. */
static inline bool call_is_propagated(const struct call *call)
{
    return call->engine->propagation != NULL;
}

/*
 * Executes a command that was told of, at once and to its end: it waits for nothing and defers nothing. Nothing expires
 * meanwhile: what did has its own deletion. The session's reply is its caller's to look at and to throw away; its
 * database is the one in which the command is executed. False if there is no such command, or it answered an error.
 * Neither statistics nor the slow log hear of it. MULTI and EXEC are not for this: the commands of a unit are executed
 * one after the other.
 */
bool engine_replay(struct session *session, const struct bytes *argv, uint32_t argc);

/* A change outside of any command (expiry, eviction), or one that a command causes besides its own. */
void engine_propagate(struct engine *engine, const struct db *db, const struct bytes *argv, uint32_t argc);
