/*
 * CONFIG: shows, changes and saves the configuration.
 */
#include "base/log.h"
#include "engine/aside.h"
#include "engine/command.h"
#include "engine/session.h"
#include "server/config.h"
#include "server/server.h"
#include "server_priv.h"

enum { PATTERNS_AT_ONCE = 16 }; /* each is compared with every directive's name: some 3 to 30 us */

struct listing {
    struct reply *reply;
    size_t count;
};

static void reply_setting(void *context, struct bytes name, struct bytes value)
{
    struct listing *listing = context;
    reply_bulk(listing->reply, name);
    reply_bulk(listing->reply, value);
    listing->count++;
}

static void run_get(struct call *call)
{
    if (call->argc > PATTERNS_AT_ONCE && call_aside_unheld(call))
        return;
    struct listing listing = { .reply = call->reply };
    struct output_gap *head = reply_deferred(call->reply);
    config_each(&server_of(call)->config, call->argv + 2, call->argc - 2, reply_setting, &listing);
    reply_deferred_end(call->reply, head, REPLY_MAP, listing.count);
}

static void run_set(struct call *call)
{
    if (call->argc % 2 != 0) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    struct buf error = BUF_EMPTY;
    bool local = call->session->flags & SESSION_PRIVILEGED;
    server_of(call)->aof->within = !call->request;
    if (config_set(server_of(call), call->argv + 2, call->argc - 2, local, &error))
        reply_ok(call->reply);
    else
        reply_error(call->reply, buf_bytes(&error));
    buf_fini(&error);
}

static void run_rewrite(struct call *call)
{
    const struct config *config = &server_of(call)->config;
    struct buf error = BUF_EMPTY;
    acl_file_update_config(server_of(call));
    if (!config->file)
        reply_error(call->reply, BYTES("ERR The server is running without a config file"));
    else if (config_rewrite(config, false, &error)) {
        log_write(LOG_NOTICE, "CONFIG REWRITE executed with success.");
        reply_ok(call->reply);
    } else {
        log_write(LOG_WARNING, "CONFIG REWRITE failed: %s", buf_cstr(&error));
        reply_error_printf(call->reply, "ERR Rewriting config file: %s", buf_cstr(&error));
    }
    buf_fini(&error);
}

static void run_resetstat(struct call *call)
{
    server_reset_stats(server_of(call));
    reply_ok(call->reply);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    Show the directives whose names fit one of the glob-like patterns.",
        "SET <directive> <value> [<directive> <value> ...]",
        "    Change directives, all of them or none.",
        "RESETSTAT",
        "    Start the statistics that INFO shows anew.",
        "REWRITE",
        "    Write the configuration back to its file.",
        NULL,
    };
    call_reply_help(call, lines);
}

/* The value of a directive that is a secret. */
static bool set_hides(const struct bytes *argv, uint32_t argc, uint32_t at)
{
    static const char *const secrets[] = { "requirepass", "masterauth", "masteruser", "tls-key-file-pass",
        "tls-client-key-file-pass" };
    (void)argc;
    for (size_t i = 0; at > 2 && at % 2 == 1 && i < sizeof secrets / sizeof *secrets; i++)
        if (bytes_is(argv[at - 1], secrets[i]))
            return true;
    return false;
}

static const char *const get_history[] = { "7.0.0", "Added the ability to pass multiple pattern parameters in one call",
    NULL };
static const char *const set_history[] = { "7.0.0", "Added the ability to set multiple parameters in one call.", NULL };
static const char *const set_tips[] = { "request_policy:all_nodes", "response_policy:all_succeeded", NULL };

static const struct command subcommands[] = {
    { .name = "GET",
        .run = run_get,
        .argc = AT_LEAST(3),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "2.0.0",
        .complexity = "O(N) when N is the number of configuration parameters provided",
        .usage = "parameter [parameter ...]",
        .history = get_history,
        .brief = "Replies with the directives that fit the patterns, and their values." },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "5.0.0",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { .name = "RESETSTAT",
        .run = run_resetstat,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "2.0.0",
        .complexity = "O(1)",
        .tips = set_tips,
        .brief = "Starts the statistics anew." },
    { .name = "REWRITE",
        .run = run_rewrite,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "2.8.0",
        .complexity = "O(1)",
        .tips = set_tips,
        .brief = "Writes the configuration back to its file." },
    { .name = "SET",
        .run = run_set,
        .argc = AT_LEAST(4),
        .flags = CMD_SECRET | CMD_ADMIN | CMD_LOADING | CMD_STALE | CMD_NO_SCRIPT,
        .hides = set_hides,
        .group = GROUP_SERVER,
        .since = "2.0.0",
        .complexity = "O(N) when N is the number of configuration parameters provided",
        .usage = "parameter value [parameter value ...]",
        .history = set_history,
        .tips = set_tips,
        .brief = "Changes directives, all of them or none." },
    { 0 },
};

const struct command config_commands[] = {
    { .name = "CONFIG",
        .argc = AT_LEAST(2),
        .group = GROUP_SERVER,
        .subcommands = subcommands,
        .since = "2.0.0",
        .complexity = "Depends on the subcommand.",
        .brief = "Shows, changes and saves the configuration." },
    { 0 },
};
