/*
 * MODULE: there are none. What other servers have as a module and this one has built in is listed nevertheless, under
 * the name by which applications ask whether it is there. Nothing can be loaded, and what is built in stays: those who
 * may ask (enable-module-command) hear so in the words by which clients know that it failed.
 */
#include "cmd/module.h"

#include "base/buf.h"
#include "base/log.h"
#include "cmd/families.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/session.h"

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

/* True if the client may load and unload; otherwise answers the error. */
static bool may_change(struct call *call)
{
    int setting = call->engine->settings->enable_module_command;
    if (setting == 1 || (setting == 2 && call->session->flags & SESSION_PRIVILEGED))
        return true;
    reply_error(call->reply,
        BYTES("ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it "
              "from a local connection, otherwise you need to set this option in the configuration file, and then "
              "restart the server."));
    return false;
}

static void run_load(struct call *call)
{
    if (!may_change(call))
        return;
    log_write(LOG_WARNING, "A client asked to load a module, which this server cannot do.");
    reply_error(call->reply, BYTES("ERR Error loading the extension. Please check the server logs."));
}

static void run_unload(struct call *call)
{
    if (!may_change(call))
        return;
    if (bytes_equal(call->argv[2], BYTES(MODULE_JSON)))
        reply_error(call->reply,
            BYTES("ERR Error unloading module: the module exports one or more module-side data types, can't unload"));
    else
        reply_error(call->reply, BYTES("ERR Error unloading module: no such module with that name"));
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "LIST",
        "    Show what is built in that elsewhere is a module.",
        "LOAD <path> [<arg> ...]",
        "    Fails: there is nothing that could be loaded.",
        "LOADEX <path> [[CONFIG <name> <value>] ...] [ARGS ...]",
        "    Fails in the same way.",
        "UNLOAD <name>",
        "    Fails: what is built in stays.",
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
    { .name = "LOAD",
        .run = run_load,
        .argc = AT_LEAST(3),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_NO_ASYNC_LOADING,
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(1)",
        .usage = "path [arg [arg ...]]",
        .brief = "Fails, as no module can be loaded." },
    { .name = "LOADEX",
        .run = run_load,
        .argc = AT_LEAST(3),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_NO_ASYNC_LOADING,
        .group = GROUP_SERVER,
        .since = "7.0.0",
        .complexity = "O(1)",
        .usage = "path [CONFIG name value [CONFIG name value ...]] [ARGS arg [arg ...]]",
        .brief = "Fails, as no module can be loaded." },
    { .name = "UNLOAD",
        .run = run_unload,
        .argc = EXACTLY(3),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_NO_ASYNC_LOADING,
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(1)",
        .usage = "name",
        .brief = "Fails, as what is built in cannot be unloaded." },
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
