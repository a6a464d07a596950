/*
 * Commands about other servers, from one that stands alone: no replica ever acknowledges anything, there is nobody to
 * fail over to, and there is no cluster. Clients and tools ask all the same, and get the answers of a Redis server that
 * was not told of any other. To become a replica is refused: a server that said yes would be believed to have the data.
 */
#include "cmd/families.h"

#include "engine/call.h"
#include "engine/wait.h"

static void reply_none(struct call *call)
{
    reply_int(call->reply, 0);
}

/* Nobody acknowledges: who wants that waits until his time is up. */
static void run_wait(struct call *call)
{
    static const struct wait_kind acknowledgement = { .expire = reply_none };
    int64_t replicas, timeout_ms;
    if (!call_arg_i64(call, 1, INT64_MIN, INT64_MAX, NULL, &replicas) ||
        !call_arg_i64(call, 2, INT64_MIN, INT64_MAX, "ERR timeout is not an integer or out of range", &timeout_ms))
        return;
    if (timeout_ms < 0) {
        reply_error(call->reply, BYTES("ERR timeout is negative"));
        return;
    }
    int64_t deadline_ms = 0;
    if (timeout_ms && __builtin_add_overflow(call->now_ms, timeout_ms, &deadline_ms)) {
        reply_error(call->reply, BYTES("ERR timeout is out of range"));
        return;
    }
    if (replicas <= 0)
        reply_none(call);
    else
        call_wait(call, &acknowledgement, 0, 1, 0, deadline_ms);
}

static void fail_without_cluster(struct call *call)
{
    reply_error(call->reply, BYTES("ERR This instance has cluster support disabled"));
}

static void run_failover(struct call *call)
{
    bool aborts = call->argc == 2 && call_arg_is(call, 1, "ABORT");
    uint32_t i = 1;
    bool has_timeout = false, has_target = false, has_force = false;
    while (i < call->argc && !aborts) {
        uint32_t left = call->argc - i - 1;
        int64_t number;
        if (call_arg_is(call, i, "TIMEOUT") && left >= 1 && !has_timeout) {
            if (!call_arg_i64(call, i + 1, INT64_MIN, INT64_MAX, NULL, &number))
                return;
            if (number <= 0) {
                reply_error(call->reply, BYTES("ERR FAILOVER timeout must be greater than 0"));
                return;
            }
            has_timeout = true;
            i += 2;
        } else if (call_arg_is(call, i, "TO") && left >= 2 && !has_target) {
            if (!call_arg_i64(call, i + 2, INT64_MIN, INT64_MAX, NULL, &number))
                return;
            has_target = true;
            i += 3;
        } else if (call_arg_is(call, i, "FORCE") && !has_force) {
            has_force = true;
            i++;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return;
        }
    }
    reply_error(call->reply,
        aborts ? BYTES("ERR No failover in progress.") : BYTES("ERR FAILOVER requires connected replicas."));
}

static void run_replicaof(struct call *call)
{
    int64_t port;
    if (call_arg_is(call, 1, "NO") && call_arg_is(call, 2, "ONE"))
        reply_ok(call->reply);
    else if (call_arg_i64(call, 2, 0, 65535, "ERR Invalid master port", &port))
        reply_error(call->reply, BYTES("ERR this server stands alone and cannot be a replica"));
}

static const char *const tips_wait[] = { "request_policy:all_shards", "response_policy:agg_min", NULL };

const struct command alone_commands[] = {
    { .name = "WAIT",
        .run = run_wait,
        .argc = EXACTLY(3),
        .flags = CMD_NO_SCRIPT,
        .group = GROUP_GENERIC,
        .categories = CATEGORY_CONNECTION,
        .since = "3.0.0",
        .complexity = "O(1)",
        .usage = "numreplicas timeout",
        .brief = "Waits until replicas have what was written. There are none: replies 0, if need be when time is up.",
        .tips = tips_wait },
    { .name = "ASKING",
        .run = fail_without_cluster,
        .argc = EXACTLY(1),
        .flags = CMD_FAST,
        .group = GROUP_CLUSTER,
        .categories = CATEGORY_CONNECTION,
        .since = "3.0.0",
        .complexity = "O(1)",
        .brief = "Follows a redirection within a cluster, which this server is not in." },
    { .name = "READONLY",
        .run = fail_without_cluster,
        .argc = EXACTLY(1),
        .flags = CMD_FAST | CMD_LOADING | CMD_STALE,
        .group = GROUP_CLUSTER,
        .categories = CATEGORY_CONNECTION,
        .since = "3.0.0",
        .complexity = "O(1)",
        .brief = "Allows reading from a replica in a cluster, which this server is not in." },
    { .name = "READWRITE",
        .run = fail_without_cluster,
        .argc = EXACTLY(1),
        .flags = CMD_FAST | CMD_LOADING | CMD_STALE,
        .group = GROUP_CLUSTER,
        .categories = CATEGORY_CONNECTION,
        .since = "3.0.0",
        .complexity = "O(1)",
        .brief = "Ends what READONLY began." },
    { .name = "CLUSTER",
        .run = fail_without_cluster,
        .argc = AT_LEAST(2),
        .group = GROUP_CLUSTER,
        .since = "3.0.0",
        .complexity = "O(1)",
        .brief = "Asks about a cluster, which this server is not in." },
    { .name = "FAILOVER",
        .run = run_failover,
        .argc = AT_LEAST(1),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "6.2.0",
        .complexity = "O(1)",
        .usage = "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
        .brief = "Hands over to a replica. There is none." },
    { .name = "REPLICAOF",
        .run = run_replicaof,
        .argc = EXACTLY(3),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
        .group = GROUP_SERVER,
        .since = "5.0.0",
        .complexity = "O(1)",
        .usage = "<host port | NO ONE>",
        .brief = "Makes the server a master, which it is; to be a replica is refused." },
    { .name = "SLAVEOF",
        .run = run_replicaof,
        .argc = EXACTLY(3),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "<host port | NO ONE>",
        .brief = "The old name of REPLICAOF." },
    { 0 },
};
