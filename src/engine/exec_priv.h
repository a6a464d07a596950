/*
 * Exec: a transaction's queue while it runs.
 *
 * It begins at once, like any command: a handful of quick commands never leaves exec.c. When one of them has much to do
 * (call_aside, call_defer), when they have taken long together, or if there are very many, the rest goes on in slices
 * (exec_slices.c), and nobody sees a difference but in what may happen meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resp/output.h"

struct call;
struct engine;
struct exec_slices;
struct queued;
struct reply;
struct session;
struct task;
struct transaction;

enum { EXEC_AT_ONCE = 2 }; /* times BLAME_US: commands that take longer together go on in slices */

struct exec {
    struct engine *engine;
    struct session *session;
    struct transaction *transaction; /* owned */
    struct reply *reply;
    int64_t now_ms;               /* the same for all commands */
    const struct queued *current; /* the command that runs */
    struct call *outer;           /* borrowed: EXEC itself, until that returns */
    struct output_mark begin;     /* where its answer does */
    uint64_t dirty_before;
    bool at_once;               /* it cannot go on in slices */
    struct exec_slices *slices; /* borrowed; NULL as long as it has not begun to */
};

/* Runs the queue, which is taken over, and answers; or has begun to. */
void exec_run(struct call *call, struct transaction *transaction);

/* Runs one command of the queue, or begins to. Returns the ticks at the end. */
uint64_t exec_run_command(struct exec *exec, const struct queued *queued);

/* Counts and shows what a command did that went on in slices. `sent` is how many bytes it answered. */
void exec_note_command(struct exec *exec, const struct queued *queued, uint64_t ticks, size_t sent);

/*
 * From here on in slices; exec->slices tells. False if that cannot be: then all is to be done at once. `large`: the
 * queue has not begun, and its keys are to be found in slices, too.
 */
bool exec_slices_begin(struct exec *exec, bool large);

/* A command is under way in slices. */
bool exec_slices_busy(const struct exec_slices *slices);

/* EXEC returns: `next` and those behind it are run later. */
void exec_slices_leave(struct exec_slices *slices, const struct queued *next);

/* For call_aside, call_defer and call_sleep in a command of a queue; the first two are false if it must end at once. */
bool exec_put_aside(struct call *call, bool everywhere);
bool exec_take_task(struct call *call, struct task *task);
bool exec_sleep(struct call *call);
