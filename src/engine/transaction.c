/*
 * The queue of a transaction.
 *
 * A queued command is one allocation: header, argument vector, bytes; or very many arguments lie where they were read.
 * To everyone the queue is one unit (exec.c); what waits for keys that it changed is served after it.
 */
#include "engine/transaction.h"

#include "base/assert.h"
#include "base/blob.h"
#include "base/mem.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine_priv.h"
#include "exec_priv.h"
#include "holds_priv.h"
#include "resp/request.h"
#include "transaction_priv.h"

static void queued_destroy(struct queued *queued)
{
    for (uint32_t i = 0; i < queued->blob_count; i++)
        blob_unref(queued->blobs[i].blob);
    mem_free(queued->taken);
    mem_free(queued->taken_bytes);
    mem_free(queued);
}

void transaction_drop_first(struct engine *engine, struct transaction *transaction)
{
    struct queued *queued = transaction->first;
    transaction->first = queued->next;
    transaction->memory -= queued->size;
    engine->queued_memory -= queued->size;
    queued_destroy(queued);
}

void transaction_destroy(struct engine *engine, struct transaction *transaction)
{
    while (transaction->first)
        transaction_drop_first(engine, transaction);
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

bool transaction_is_large(const struct session *session)
{
    return session->transaction && session->transaction->words > TRANSACTION_LARGE;
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

/* What running it in slices will depend on (exec_slices.c). */
static void note_kind(struct transaction *transaction, const struct command_info *command)
{
    uint32_t flags = command->flags;
    bool has_keys = flags & (CMD_READ | CMD_WRITE), whole = flags & CMD_WHOLE_KEYSPACE;
    transaction->flags |= flags;
    transaction->needs_client |= flags & CMD_ADMIN || (!has_keys && flags & CMD_NO_SCRIPT);
    transaction->sees_any |= holds_sees_any(command);
    transaction->changes_any |= whole && !(flags & CMD_READ);
}

/* Copies the arguments, but for those that are blobs, to where `argv` is, and their bytes to `at`. */
static void copy_arguments(struct queued *queued, const struct call *call, char *at)
{
    const struct reader_blob *blob = queued->blobs, *end = blob + queued->blob_count;
    for (uint32_t i = 0; i < call->argc; i++) {
        struct bytes arg = call->argv[i];
        if (blob < end && blob->index == i) {
            queued->argv[i] = blob_bytes(blob++->blob);
            continue;
        }
        queued->argv[i] = bytes_make(at, arg.len);
        if (arg.len)
            memcpy(at, arg.ptr, arg.len);
        at += arg.len;
    }
}

static void take_blobs(struct queued *queued, struct call *call, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = call->request->blobs[i].index;
        struct blob *blob = call_take_blob(call, index);
        if (!blob)
            continue;
        queued->blobs[queued->blob_count++] = (struct reader_blob){ .index = index, .blob = blob };
        queued->size += blob->cap;
    }
}

/* The call, to be run later. NULL when memory is out: all is asked for before anything is taken. */
static struct queued *queued_create(struct call *call)
{
    enum { COPIED_MAX = 64 }; /* arguments of which it is clear that they will not be taken */
    uint32_t blobs = call->request->blob_count;
    struct queued made = { .command = call->command, .argc = call->argc };
    size_t copied = call->argc * sizeof(struct bytes) + copied_bytes(call);
    size_t head = sizeof made + blobs * sizeof(struct reader_blob);
    bool few = call->argc <= COPIED_MAX;
    struct queued *queued = mem_try_alloc(few ? head + copied : head);
    bool taken = queued && !few && call_take_arguments(call, &made.taken, &made.taken_bytes);
    if (queued && !few && !taken) {
        struct queued *whole = mem_try_realloc(queued, head + copied);
        if (!whole)
            mem_free(queued);
        queued = whole;
    }
    if (!queued)
        return NULL;
    made.size = head + copied;
    made.blobs = (struct reader_blob *)(queued + 1);
    made.argv = taken ? made.taken : (struct bytes *)&made.blobs[blobs];
    *queued = made;
    take_blobs(queued, call, blobs);
    if (!taken)
        copy_arguments(queued, call, (char *)&queued->argv[call->argc]);
    return queued;
}

void transaction_queue(struct call *call)
{
    struct transaction *transaction = call->session->transaction;
    struct queued *queued = queued_create(call);
    if (!queued) {
        transaction->tainted = true;
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    *transaction->last = queued;
    transaction->last = &queued->next;
    transaction->len++;
    transaction->words += call->argc;
    transaction->memory += queued->size;
    call->engine->queued_memory += queued->size;
    note_kind(transaction, call->command);
    reply_status(call->reply, BYTES("QUEUED"));
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
        exec_run(call, transaction);
        return;
    }
    transaction_destroy(session->engine, transaction);
}
