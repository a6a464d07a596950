/*
 * MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 */
#include "engine/transaction.h"

#include "cmd/families.h"
#include "engine/call.h"
#include "engine/session.h"

static void run_multi(struct call *call)
{
    if (transaction_begin(call->session))
        reply_ok(call->reply);
    else
        reply_error(call->reply, BYTES("ERR MULTI calls can not be nested"));
}

static void run_exec(struct call *call)
{
    if (call->session->transaction)
        transaction_run(call);
    else
        reply_error(call->reply, BYTES("ERR EXEC without MULTI"));
}

static void run_discard(struct call *call)
{
    if (!call->session->transaction) {
        reply_error(call->reply, BYTES("ERR DISCARD without MULTI"));
        return;
    }
    transaction_discard(call->session);
    reply_ok(call->reply);
}

static void run_watch(struct call *call)
{
    if (call->session->transaction) {
        reply_error(call->reply, BYTES("ERR WATCH inside MULTI is not allowed"));
        return;
    }
    watch_keys(call);
}

static void run_unwatch(struct call *call)
{
    watch_none(call->session);
    reply_ok(call->reply);
}

enum { ANY_TIME = CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE };

const struct command transaction_commands[] = {
    { .name = "MULTI",
        .run = run_multi,
        .argc = EXACTLY(1),
        .flags = ANY_TIME | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
        .group = GROUP_TRANSACTIONS,
        .since = "1.2.0",
        .complexity = "O(1)",
        .brief = "Begins a transaction: the commands that follow are queued." },
    { .name = "EXEC",
        .run = run_exec,
        .argc = EXACTLY(1),
        .flags = ANY_TIME | CMD_SKIP_SLOWLOG | CMD_UNQUEUED | CMD_RUNS_QUEUE,
        .group = GROUP_TRANSACTIONS,
        .since = "1.2.0",
        .complexity = "Depends on commands in the transaction",
        .brief = "Runs the queued commands as one unit, unless a watched key was changed." },
    { .name = "DISCARD",
        .run = run_discard,
        .argc = EXACTLY(1),
        .flags = ANY_TIME | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
        .group = GROUP_TRANSACTIONS,
        .since = "2.0.0",
        .complexity = "O(N), when N is the number of queued commands",
        .brief = "Ends the transaction without running anything." },
    { .name = "WATCH",
        .run = run_watch,
        .argc = AT_LEAST(2),
        .flags = ANY_TIME | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
        .group = GROUP_TRANSACTIONS,
        .keys = { KEY_RANGE(1, -1, 1, KEY_RO) },
        .since = "2.2.0",
        .complexity = "O(1) for every key.",
        .usage = "key [key ...]",
        .brief = "Makes the next transaction depend on keys that nobody changes before it runs." },
    { .name = "UNWATCH",
        .run = run_unwatch,
        .argc = EXACTLY(1),
        .flags = ANY_TIME | CMD_FAST | CMD_ALLOW_BUSY,
        .group = GROUP_TRANSACTIONS,
        .since = "2.2.0",
        .complexity = "O(1)",
        .brief = "Forgets all watched keys." },
    { 0 },
};
