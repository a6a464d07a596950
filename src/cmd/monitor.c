/*
 * MONITOR. What a client that monitors may still do is what concerns no key; RESET makes it an ordinary one.
 */
#include "engine/monitor.h"

#include "cmd/families.h"
#include "engine/call.h"

static void run_monitor(struct call *call)
{
    if (!call->request)
        reply_error(call->reply, BYTES("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    else if (monitor_begin(call->session)) /* asked once more, it has no answer, as in Redis */
        reply_ok(call->reply);
}

const struct command monitor_commands[] = {
    {
        .name = "MONITOR",
        .run = run_monitor,
        .argc = EXACTLY(1),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(1); each command then costs O(N) where N is the number of clients that monitor.",
        .brief = "Show every command that the server executes, as it does.",
    },
    { 0 },
};
