/*
 * The queue of a transaction, and running it.
 *
 * A queued command is one allocation: header, argument vector, bytes. While the queue runs nothing else does, so that
 * it is one unit to everyone; what waits for keys that it changed is served after it.
 */
#include "engine/transaction.h"

#include "base/assert.h"
#include "base/blob.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/insight.h"
#include "engine/monitor.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine_priv.h"
#include "resp/request.h"

struct queued {
    struct queued *next; /* owned */
    struct command_info *command;
    size_t size; /* bytes of this allocation and of the blobs */
    uint32_t argc, blob_count;
    struct reader_blob *blobs; /* owned, behind argv; large arguments as they came */
    struct bytes argv[];
};

struct transaction {
    struct queued *first, **last; /* owned list */
    int64_t len;
    size_t memory;
    uint32_t flags; /* enum command_flag of all commands */
    bool tainted;   /* a command was refused: nothing may run */
};

static void queued_destroy(struct queued *queued)
{
    for (uint32_t i = 0; i < queued->blob_count; i++)
        blob_unref(queued->blobs[i].blob);
    mem_free(queued);
}

static void transaction_destroy(struct engine *engine, struct transaction *transaction)
{
    engine->queued_memory -= transaction->memory;
    for (struct queued *queued = transaction->first, *next; queued; queued = next) {
        next = queued->next;
        queued_destroy(queued);
    }
    mem_free(transaction);
}

bool transaction_begin(struct session *session)
{
    if (session->transaction)
        return false;
    struct transaction *transaction = mem_zalloc(sizeof *transaction);
    transaction->last = &transaction->first;
    session->transaction = transaction;
    return true;
}

void transaction_discard(struct session *session)
{
    watch_none(session);
    if (!session->transaction)
        return;
    transaction_destroy(session->engine, session->transaction);
    session->transaction = NULL;
}

void transaction_taint(struct session *session)
{
    if (session->transaction)
        session->transaction->tainted = true;
}

int64_t transaction_len(const struct session *session)
{
    return session->transaction ? session->transaction->len : -1;
}

size_t transaction_memory(const struct session *session)
{
    return session->transaction ? session->transaction->memory : 0;
}

uint32_t transaction_flags(const struct session *session)
{
    return session->transaction ? session->transaction->flags : 0;
}

bool transaction_any(const struct session *session,
    bool (*test)(void *context, const struct command_info *command, const struct bytes *argv, uint32_t argc),
    void *context)
{
    const struct queued *queued = session->transaction ? session->transaction->first : NULL;
    while (queued && !test(context, queued->command, queued->argv, queued->argc))
        queued = queued->next;
    return queued != NULL;
}

/* The blob that the request's argument is, taken from the request; NULL if it is none. */
static struct blob *take_blob(struct call *call, uint32_t index)
{
    return call->request && call->request->blob_count ? call_take_blob(call, index) : NULL;
}

/* Bytes to copy: all arguments but those that are blobs. */
static size_t copied_bytes(const struct call *call)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < call->argc; i++)
        sum += call->argv[i].len;
    for (uint32_t i = 0; i < call->request->blob_count; i++)
        sum -= call->argv[call->request->blobs[i].index].len;
    return sum;
}

void transaction_queue(struct call *call)
{
    struct transaction *transaction = call->session->transaction;
    uint32_t blobs = call->request->blob_count;
    size_t size = sizeof(struct queued) + call->argc * sizeof(struct bytes) + blobs * sizeof(struct reader_blob);
    size += copied_bytes(call);
    struct queued *queued = mem_try_alloc(size);
    if (!queued) {
        transaction->tainted = true;
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    *queued = (struct queued){ .command = call->command, .argc = call->argc, .size = size };
    queued->blobs = (struct reader_blob *)&queued->argv[call->argc];
    char *at = (char *)&queued->blobs[blobs];
    for (uint32_t i = 0; i < call->argc; i++) {
        struct bytes arg = call->argv[i];
        struct blob *blob = take_blob(call, i);
        queued->argv[i] = blob ? blob_bytes(blob) : bytes_make(at, arg.len);
        if (blob) {
            queued->blobs[queued->blob_count++] = (struct reader_blob){ .index = i, .blob = blob };
            queued->size += blob->cap;
        } else if (arg.len) {
            memcpy(at, arg.ptr, arg.len);
            at += arg.len;
        }
    }
    *transaction->last = queued;
    transaction->last = &queued->next;
    transaction->len++;
    transaction->memory += queued->size;
    call->engine->queued_memory += queued->size;
    transaction->flags |= call->command->flags;
    reply_status(call->reply, BYTES("QUEUED"));
}

/* Runs one queued command as if it came alone, except that it cannot wait. */
static void run_queued(struct call *outer, const struct queued *queued)
{
    struct engine *engine = outer->engine;
    struct session *session = outer->session;
    struct call call = {
        .keyspace = outer->keyspace,
        .db = session->db,
        .session = session,
        .engine = engine,
        .reply = outer->reply,
        .arena = outer->arena,
        .argv = queued->argv,
        .argc = queued->argc,
        .now_ms = outer->now_ms,
        .command = queued->command,
    };
    reply_begin(call.reply);
    uint64_t start = clock_ticks();
    if (__builtin_expect(engine->keyspace->holds != 0, 0))
        asides_settle(&call);
    if (!(session->flags & SESSION_LIMITED) || acl_admit_queued(&call)) {
        uint64_t dirty = propagate_begin(&call);
        if (insight_is_due(engine))
            insight_begin(&call);
        queued->command->row->run(&call);
        propagate_end(&call, dirty);
        if (engine->monitors)
            monitor_show(&call, queued->argv);
        if (session->tracking)
            tracking_executed(&call);
    }
    uint64_t ticks = clock_ticks() - start;
    arena_reset(call.arena);
    execute_account(engine, session, call.command, ticks, call.reply->failed, call.reply->code);
    if (--engine->insight_in == 0)
        insight_note(&call, queued->argv, ticks);
    execute_log_if_slow(engine, session, call.command, ticks, queued->argv, queued->argc);
}

void transaction_run(struct call *call)
{
    struct session *session = call->session;
    struct transaction *transaction = session->transaction;
    bool touched = watch_was_touched(session, call->now_ms);
    watch_none(session);
    session->transaction = NULL;
    if (transaction->tainted) {
        reply_error(call->reply, BYTES("EXECABORT Transaction discarded because of previous errors."));
    } else if (touched) {
        reply_null_array(call->reply);
    } else {
        reply_array(call->reply, (size_t)transaction->len);
        for (const struct queued *queued = transaction->first; queued; queued = queued->next)
            run_queued(call, queued);
        reply_begin(call->reply); /* the errors inside are those commands', not EXEC's */
    }
    transaction_destroy(session->engine, transaction);
}
