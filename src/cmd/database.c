/*
 * Commands on whole databases.
 *
 * A flushed database is empty at once; its memory is given back in slices (store/reclaim.h). SYNC, which is what
 * clients get who ask for nothing, only delays the answer until that is done, so that used_memory has fallen when the
 * client reads it: the wait is a task, and everyone else is served meanwhile.
 */
#include "database_priv.h"

#include <limits.h>

#include "base/mem.h"
#include "cmd/families.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/task.h"
#include "store/reclaim.h"

enum { RECLAIM_ITEMS = 256 }; /* given back in a step of a waiting FLUSHALL */

struct db *database_arg(struct call *call, uint32_t index)
{
    int64_t number;
    if (!call_arg_i64(call, index, INT64_MIN, INT64_MAX, NULL, &number))
        return NULL;
    if (number < INT_MIN || number > INT_MAX) {
        reply_error(call->reply, BYTES("ERR value is out of range, value must between -2147483648 and 2147483647"));
        return NULL;
    }
    struct db *db = keyspace_db(call->keyspace, number);
    if (!db)
        reply_fail(call->reply, ERROR_DB_INDEX);
    return db;
}

static void run_dbsize(struct call *call)
{
    reply_int(call->reply, (int64_t)keyspace_size(call->db));
}

struct flush_task {
    struct task task;
    uint64_t ticket; /* of what the flush queued */
};

static bool flush_step(struct task *task, struct call *call)
{
    const struct flush_task *self = (struct flush_task *)task;
    struct reclaim *reclaim = call->keyspace->reclaim;
    if (!reclaim_is_done(reclaim, self->ticket))
        reclaim_step(reclaim, RECLAIM_ITEMS);
    if (!reclaim_is_done(reclaim, self->ticket))
        return false;
    reply_ok(call->reply);
    return true;
}

static void flush_destroy(struct task *task)
{
    mem_free(task);
}

/* Reads SYNC or ASYNC; false if that answered an error. */
static bool parse_flush_mode(struct call *call, bool *async)
{
    *async = call->engine->settings->lazyfree_lazy_user_flush;
    if (call->argc == 1)
        return true;
    if (call->argc == 2 && call_arg_is(call, 1, "SYNC"))
        *async = false;
    else if (call->argc == 2 && call_arg_is(call, 1, "ASYNC"))
        *async = true;
    else
        reply_fail(call->reply, ERROR_SYNTAX);
    return !call->reply->failed;
}

/* In a transaction nobody waits for memory: others would wait for the transaction. */
static void answer_flush(struct call *call, bool async)
{
    static const struct task_type type = { .step = flush_step, .destroy = flush_destroy };
    uint64_t ticket = reclaim_ticket(call->keyspace->reclaim);
    if (async || call->exec || reclaim_is_done(call->keyspace->reclaim, ticket)) {
        reply_ok(call->reply);
        return;
    }
    struct flush_task *self = mem_alloc(sizeof *self);
    *self = (struct flush_task){ .task = { .type = &type, .alone = true }, .ticket = ticket };
    call_defer(call, &self->task);
}

static void run_flushdb(struct call *call)
{
    bool async;
    if (!parse_flush_mode(call, &async))
        return;
    keyspace_flush(call->keyspace, call->db);
    answer_flush(call, async);
}

static void run_flushall(struct call *call)
{
    bool async;
    if (!parse_flush_mode(call, &async))
        return;
    for (int i = 0; i < call->keyspace->db_count; i++)
        keyspace_flush(call->keyspace, call->keyspace->dbs[i]);
    call->engine->flushed_all = true;
    answer_flush(call, async);
}

static void run_swapdb(struct call *call)
{
    int64_t first, second;
    if (!call_arg_i64(call, 1, INT_MIN, INT_MAX, "ERR invalid first DB index", &first) ||
        !call_arg_i64(call, 2, INT_MIN, INT_MAX, "ERR invalid second DB index", &second))
        return;
    struct db *a = keyspace_db(call->keyspace, first), *b = keyspace_db(call->keyspace, second);
    if (!a || !b) {
        reply_fail(call->reply, ERROR_DB_INDEX);
        return;
    }
    if (a != b)
        keyspace_swap(call->keyspace, a, b);
    reply_ok(call->reply);
}

static const char *const tips_dbsize[] = { "request_policy:all_shards", "response_policy:agg_sum", NULL };
static const char *const tips_flush[] = { "request_policy:all_shards", "response_policy:all_succeeded", NULL };
static const char *const history_flush[] = { "4.0.0", "Takes the mode `ASYNC`.", "6.2.0", "Takes the mode `SYNC`.",
    NULL };

const struct command database_commands[] = {
    {
        .name = "DBSIZE",
        .run = run_dbsize,
        .argc = EXACTLY(1),
        .flags = CMD_READ | CMD_FAST | CMD_WHOLE_KEYSPACE,
        .categories = CATEGORY_KEYSPACE,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(1)",
        .brief = "Reply with the number of keys in the database.",
        .tips = tips_dbsize,
    },
    {
        .name = "FLUSHDB",
        .run = run_flushdb,
        .argc = AT_LEAST(1),
        .flags = CMD_WRITE | CMD_WHOLE_KEYSPACE,
        .categories = CATEGORY_KEYSPACE | CATEGORY_DANGEROUS,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(1); SYNC answers when the memory of the N keys was given back, in slices.",
        .usage = "[ASYNC | SYNC]",
        .brief = "Empty the database.",
        .tips = tips_flush,
        .history = history_flush,
    },
    {
        .name = "FLUSHALL",
        .run = run_flushall,
        .argc = AT_LEAST(1),
        .flags = CMD_WRITE | CMD_WHOLE_KEYSPACE,
        .categories = CATEGORY_KEYSPACE | CATEGORY_DANGEROUS,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(1); SYNC answers when the memory of the N keys was given back, in slices.",
        .usage = "[ASYNC | SYNC]",
        .brief = "Empty all databases.",
        .tips = tips_flush,
        .history = history_flush,
    },
    {
        .name = "SWAPDB",
        .run = run_swapdb,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_FAST | CMD_WHOLE_KEYSPACE,
        .categories = CATEGORY_KEYSPACE | CATEGORY_DANGEROUS,
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(1); O(N) where N clients watch keys in these databases.",
        .usage = "index1 index2",
        .brief = "Exchange the contents of two databases.",
    },
    { 0 },
};
