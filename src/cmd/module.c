/*
 * MODULE: there are none. What other servers have as a module and this one has built in is listed nevertheless, under
 * the name by which applications ask whether it is there.
 */
#include "cmd/module.h"

#include "base/buf.h"
#include "cmd/families.h"
#include "engine/call.h"

enum { JSON_LEVEL = 20803 }; /* the version of the JSON module whose commands and replies these are */

void module_reply_list(struct reply *reply)
{
    reply_array(reply, 1);
    reply_map(reply, 4);
    reply_bulk_cstr(reply, "name");
    reply_bulk_cstr(reply, MODULE_JSON);
    reply_bulk_cstr(reply, "ver");
    reply_int(reply, JSON_LEVEL);
    reply_bulk_cstr(reply, "path");
    reply_bulk_cstr(reply, "");
    reply_bulk_cstr(reply, "args");
    reply_array(reply, 0);
}

void module_print_info(struct buf *out)
{
    buf_printf(out, "module:name=" MODULE_JSON ",ver=%d,api=1,filters=0,usedby=[],using=[],options=[]\r\n", JSON_LEVEL);
}

static void run_list(struct call *call)
{
    module_reply_list(call->reply);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "LIST",
        "    Show what is built in that elsewhere is a module.",
        NULL,
    };
    call_reply_help(call, lines);
}

static const char *const tips_list[] = { "nondeterministic_output_order", NULL };

static const struct command subcommands[] = {
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "5.0.0",
        .complexity = "O(1)",
        .brief = "Shows what the subcommands do." },
    { .name = "LIST",
        .run = run_list,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(N) where N is the number of loaded modules.",
        .brief = "Lists what is built in that elsewhere is a module.",
        .tips = tips_list },
    { 0 },
};

const struct command module_commands[] = {
    { .name = "MODULE",
        .argc = AT_LEAST(2),
        .group = GROUP_SERVER,
        .subcommands = subcommands,
        .since = "4.0.0",
        .complexity = "Depends on subcommand.",
        .brief = "Asks for modules." },
    { 0 },
};
