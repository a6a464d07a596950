/*
 * Waiting: commands that block until a key has what they want (BLPOP, BZPOPMIN, XREAD BLOCK).
 *
 * A handler that finds nothing calls call_wait and returns without an answer. Its session executes nothing more; when
 * one of the keys has changed, and whatever changed it has finished, the command is executed once more with
 * call->retry set. If it answers, the wait is over; if it calls call_wait again, it keeps its place. If it goes aside
 * (engine/aside.h) the wait is over, too, and who waits behind it is served when that has ended.
 *
 * Keys are served in the order in which they changed, and each key's waiters in the order in which they came. Waits of
 * a kind that reads only (`every`, `gone`) go on in slices when they are very many; others are all served before the
 * next command. Beginning and ending a wait costs O(1) for each key, and O(log n) for the deadline. Where there are
 * very many keys both are done in slices: the handler has gone aside before it calls call_wait.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/entry.h"

struct call;
struct engine;
struct session;

/* What all waits of a command have in common. */
struct wait_kind {
    enum entry_type type; /* a key that holds something else is no better than a missing one */
    bool every;           /* when one waits again that says nothing of those behind it: all are tried (XREAD) */
    bool gone;            /* tried also when the key is missing or of another type (XREADGROUP) */
    void (*expire)(struct call *call); /* answers when time is up; NULL: a null array */
};

/*
 * Makes the session wait for `key_count` keys (none: for time only), the arguments from `first_key` on, until
 * `deadline_ms` (since 1970; 0 is for ever). The handler has changed and answered nothing, and returns right after
 * this. What is executed again are the arguments as call->argv has them now: a handler may have put others in their
 * place, which live until it returns.
 *
 * `line` divides the waiters of a kind for the same key: one that waits again stops only those behind it in the same
 * line (consumer groups). Where nobody can wait (inside a transaction) time is up at once.
 *
 * In a retry only call->ready_arg is known to have changed: the first of the keys that names the one being served.
 */
void call_wait(struct call *call, const struct wait_kind *kind, uint64_t line, uint32_t first_key, uint32_t key_count,
    int64_t deadline_ms);

/*
 * Ends a session's wait as if its time was up, or with "UNBLOCKED client unblocked via CLIENT UNBLOCK". False if it
 * does not wait.
 */
bool session_unblock(struct session *session, bool error);

/* True if the session waits for something of that kind. */
bool session_waits_for(const struct session *session, const struct wait_kind *kind);

/* When the next wait, or the next lease (engine/fill.h), is over, ms since 1970; INT64_MAX if none has an end. O(1). */
int64_t engine_next_deadline_ms(const struct engine *engine);

/* Ends waits that are over, so many at most that nobody notices; the next deadline then tells whether more are. */
void engine_run_deadlines(struct engine *engine, int64_t now_ms);

struct wait_stats {
    size_t sessions;  /* that wait */
    size_t timed;     /* of those, with a deadline */
    size_t keys;      /* that somebody waits for, or did until a moment ago */
    size_t gone_keys; /* of those, by somebody who wants to know when they are gone */
};
void engine_wait_stats(const struct engine *engine, struct wait_stats *stats);
