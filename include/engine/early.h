/*
 * Early: work on a large argument that begins while the argument is still arriving.
 *
 * A client needs about as long to send 4 MB as it takes to parse them, and the server has little else to do with them
 * meanwhile. A command whose row says so (`early`) gets to see its large argument as it comes; when the request is
 * whole and executed, the handler asks for what was done (early_take) and goes on from there. It does not depend on
 * that: there may be nothing, and what was done is only ever a head start. So nothing is checked, answered or changed
 * before the request is executed, and nobody can tell but by the clock.
 *
 * There is one such work for each session, on the first large argument of its next request. It goes aside with its
 * command (engine/aside.h), and ends with its session. What it holds counts among what is kept for the session.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct blob;
struct call;
struct engine;
struct session;

enum { EARLY_MIN = 64 * 1024 }; /* bytes: for shorter arguments nothing is done */

struct early_type {
    uint32_t from; /* the first argument that is looked at */
    /* Begins, with nothing there yet: the argument will lie at `text`. NULL: memory is out. */
    struct early *(*create)(struct bytes text);
    /* The first `len` bytes are there. Works until `end_ns` (of clock_mono_ns) at most, or until there is nothing left
     * to do. Returns about how many bytes it holds by now. */
    size_t (*work)(struct early *early, size_t len, uint64_t end_ns);
    void (*destroy)(struct early *early, struct engine *engine);
};

/* To be embedded at the start of a type's own struct. */
struct early {
    const struct early_type *type; /* borrowed: static */
    struct blob *blob;             /* owned reference: where the argument lies */
    struct session *session;       /* borrowed: which it is kept for */
    size_t kept;                   /* bytes that count for the session */
    size_t seen;                   /* bytes that were there when it worked last */
    uint64_t ticks;                /* spent on it */
};

/*
 * A session's next request has come as far as `argc` arguments and a part of one more, which is being read into `blob`
 * and will have `len` bytes. Does what can be done about it in about `budget_ns`.
 */
void engine_arriving(struct session *session, const struct bytes *argv, uint32_t argc, struct blob *blob, size_t len,
    uint64_t budget_ns);

/* What was done early with an argument of the call, which the caller then owns and destroys by early_drop; or NULL. */
struct early *early_take(struct call *call, uint32_t index, const struct early_type *type);

/* What was done early for one session's request is another's, for which it does not count. */
void early_move(struct session *from, struct session *to);

/* NULL is nothing. */
void early_drop(struct early *early, struct engine *engine);
