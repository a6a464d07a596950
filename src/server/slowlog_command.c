/*
 * SLOWLOG: what the slow log holds.
 */
#include "engine/command.h"
#include "engine/slowlog.h"
#include "server_priv.h"

static void reply_item(struct call *call, const struct slowlog_item *item)
{
    reply_array(call->reply, 6);
    reply_int(call->reply, (int64_t)item->id);
    reply_int(call->reply, item->time_s);
    reply_int(call->reply, item->duration_us);
    reply_array(call->reply, item->argc);
    for (uint32_t i = 0; i < item->argc; i++)
        reply_bulk(call->reply, item->argv[i]);
    reply_bulk_cstr(call->reply, item->peer);
    reply_bulk_cstr(call->reply, item->name);
}

static void run_get(struct call *call)
{
    int64_t wanted = 10;
    if (call->argc > 3) {
        call_fail_subcommand(call);
        return;
    }
    if (call->argc == 3 &&
        !call_arg_i64(call, 2, -1, INT32_MAX, "ERR count should be greater than or equal to -1", &wanted))
        return;
    const struct slowlog *slowlog = call->engine->slowlog;
    size_t len = slowlog_len(slowlog);
    size_t count = wanted < 0 || (size_t)wanted > len ? len : (size_t)wanted;
    reply_array(call->reply, count);
    const struct slowlog_item *item = slowlog_newest(slowlog);
    for (; count > 0; count--, item = item->older)
        reply_item(call, item);
}

static void run_len(struct call *call)
{
    reply_int(call->reply, (int64_t)slowlog_len(call->engine->slowlog));
}

static void run_reset(struct call *call)
{
    slowlog_clear(call->engine->slowlog);
    reply_ok(call->reply);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    Show the newest <count> commands of the log (default 10, -1 is all), each as",
        "    ID, time, duration in microseconds, arguments, client address, client name.",
        "LEN",
        "    Show how many commands the log holds.",
        "RESET",
        "    Empty the log.",
        NULL,
    };
    call_reply_help(call, lines);
}

static const char *const get_tips[] = { "request_policy:all_nodes", "nondeterministic_output", NULL };
static const char *const len_tips[] = { "request_policy:all_nodes", "response_policy:agg_sum",
    "nondeterministic_output", NULL };
static const char *const reset_tips[] = { "request_policy:all_nodes", "response_policy:all_succeeded", NULL };

static const struct command subcommands[] = {
    { .name = "GET",
        .run = run_get,
        .argc = AT_LEAST(2),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "2.2.12",
        .complexity = "O(N) where N is the number of entries returned",
        .usage = "[count]",
        .tips = get_tips,
        .brief = "Replies with the newest commands of the slow log." },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "6.2.0",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { .name = "LEN",
        .run = run_len,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "2.2.12",
        .complexity = "O(1)",
        .tips = len_tips,
        .brief = "Replies with the length of the slow log." },
    { .name = "RESET",
        .run = run_reset,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "2.2.12",
        .complexity = "O(N) where N is the number of entries in the slow log",
        .tips = reset_tips,
        .brief = "Empties the slow log." },
    { 0 },
};

const struct command slowlog_commands[] = {
    { .name = "SLOWLOG",
        .argc = AT_LEAST(2),
        .group = GROUP_SERVER,
        .subcommands = subcommands,
        .since = "2.2.12",
        .complexity = "Depends on the subcommand.",
        .brief = "The log of slow commands." },
    { 0 },
};
