/*
 * Running a transaction's queue: one command after the other, each as if it came alone, except that it cannot wait.
 *
 * Costs: what the commands cost. That it could go on in slices costs a comparison for each.
 */
#include "exec_priv.h"

#include "base/clock.h"
#include "engine/acl.h"
#include "engine/blame.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/insight.h"
#include "engine/monitor.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/transaction.h"
#include "engine_priv.h"
#include "transaction_priv.h"

static struct call make_call(struct exec *exec, const struct queued *queued)
{
    struct call call = session_call(exec->session);
    call.reply = exec->reply;
    call.argv = queued->argv;
    call.argc = queued->argc;
    call.now_ms = exec->now_ms;
    call.command = queued->command;
    call.exec = exec;
    return call;
}

/* Shows it to those who want to know what was executed. */
static void show(struct call *call, const struct queued *queued)
{
    if (call->engine->monitors)
        monitor_show(call, queued->argv);
    if (call->session->tracking)
        tracking_executed(call);
}

static void account(struct call *call, const struct queued *queued, uint64_t ticks)
{
    struct engine *engine = call->engine;
    struct session *session = call->session;
    execute_account(engine, session, call->command, ticks, call->reply->failed, call->reply->code);
    execute_log_if_slow(engine, session, call->command, ticks, queued->argv, queued->argc);
}

void exec_note_command(struct exec *exec, const struct queued *queued, uint64_t ticks, size_t sent)
{
    struct call call = make_call(exec, queued);
    show(&call, queued);
    account(&call, queued, ticks);
    insight_note_task(exec->engine, call.db->index, queued->command, queued->argv, queued->argc, ticks, sent);
}

uint64_t exec_run_command(struct exec *exec, const struct queued *queued)
{
    struct engine *engine = exec->engine;
    struct call call = make_call(exec, queued);
    exec->current = queued;
    reply_begin(call.reply);
    uint64_t start = clock_ticks();
    if (__builtin_expect(engine->keyspace->holds != 0, 0) && !exec->slices)
        asides_settle(&call);
    if (!(call.session->flags & SESSION_LIMITED) || acl_admit_queued(&call)) {
        uint64_t dirty = propagate_begin(&call);
        if (insight_is_due(engine))
            insight_begin(&call);
        queued->command->row->run(&call);
        propagate_end(&call, dirty);
        if (exec->slices && exec_slices_busy(exec->slices)) {
            arena_reset(call.arena);
            return clock_ticks();
        }
        show(&call, queued);
    }
    uint64_t end = clock_ticks();
    arena_reset(call.arena);
    account(&call, queued, end - start);
    if (--engine->insight_in == 0)
        insight_note(&call, queued->argv, end - start);
    return end;
}

void exec_run(struct call *call, struct transaction *transaction)
{
    struct engine *engine = call->engine;
    struct exec exec = {
        .engine = engine,
        .session = call->session,
        .transaction = transaction,
        .reply = call->reply,
        .now_ms = call->now_ms,
        .outer = call,
        .begin = output_mark(call->reply->out),
        .dirty_before = call->keyspace->stats.dirty,
        .at_once = !call->request || transaction->needs_client,
    };
    reply_array(call->reply, (size_t)transaction->len);
    const struct queued *next = transaction->first;
    if (__builtin_expect(transaction->words > TRANSACTION_LARGE, 0))
        exec_slices_begin(&exec, true);
    uint64_t long_since = clock_ticks() + EXEC_AT_ONCE * engine->blame_ticks;
    while (next && !exec.slices) {
        const struct queued *queued = next;
        next = queued->next;
        uint64_t now = exec_run_command(&exec, queued);
        if (__builtin_expect(now > long_since, 0) && next && !exec.slices && engine->task_steps == UINT64_MAX)
            exec_slices_begin(&exec, false);
    }
    if (exec.slices) {
        exec_slices_leave(exec.slices, next);
        return;
    }
    reply_begin(call->reply); /* the errors inside are those commands', not EXEC's */
    transaction_destroy(engine, transaction);
}
