/*
 * SAVE, BGSAVE, LASTSAVE, SHUTDOWN: when to save, on command.
 */
#include "base/log.h"
#include "engine/command.h"
#include "engine/session.h"
#include "server_priv.h"

static void run_save(struct call *call)
{
    struct server *server = server_of(call);
    if (server->child.kind == CHILD_RDB)
        reply_error(call->reply, BYTES("ERR Background save already in progress"));
    else if (saves_now(server))
        reply_ok(call->reply);
    else
        reply_error(call->reply, BYTES("ERR"));
}

static void run_bgsave(struct call *call)
{
    struct server *server = server_of(call);
    bool schedule = call->argc == 2 && call_arg_is(call, 1, "SCHEDULE");
    if (call->argc > 1 && !schedule) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if (server->child.kind == CHILD_RDB) {
        reply_error(call->reply, BYTES("ERR Background save already in progress"));
    } else if (call->exec || (server->child.kind != CHILD_NONE && schedule)) { /* in a transaction, once all is done */
        server->saves->scheduled = true;
        reply_status(call->reply, BYTES("Background saving scheduled"));
    } else if (server->child.kind != CHILD_NONE) {
        reply_error(call->reply,
            BYTES("ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order "
                  "to schedule a BGSAVE whenever possible."));
    } else if (saves_in_background(server)) {
        reply_status(call->reply, BYTES("Background saving started"));
    } else {
        reply_error(call->reply, BYTES("ERR"));
    }
}

static void run_lastsave(struct call *call)
{
    reply_int(call->reply, server_of(call)->saves->last_s);
}

struct shutdown {
    bool save, nosave, now, force, abort;
};

static bool parse_shutdown(const struct call *call, struct shutdown *how)
{
    for (uint32_t i = 1; i < call->argc; i++) {
        if (call_arg_is(call, i, "NOSAVE"))
            how->nosave = true;
        else if (call_arg_is(call, i, "SAVE"))
            how->save = true;
        else if (call_arg_is(call, i, "NOW"))
            how->now = true;
        else if (call_arg_is(call, i, "FORCE"))
            how->force = true;
        else if (call_arg_is(call, i, "ABORT"))
            how->abort = true;
        else
            return false;
    }
    return !(how->save && how->nosave) && !(how->abort && (how->save || how->nosave || how->now || how->force));
}

static void run_shutdown(struct call *call)
{
    struct server *server = server_of(call);
    struct shutdown how = { 0 };
    if (!parse_shutdown(call, &how)) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if (how.abort && server->shutdown_waits) {
        server->shutdown_waits = false;
        server->shutdown_signal = 0;
        log_write(LOG_NOTICE, "Shutdown manually aborted.");
        reply_ok(call->reply);
        return;
    }
    if (how.abort) { /* nothing else here takes so long that it could be given up */
        reply_error(call->reply, BYTES("ERR No shutdown in progress."));
        return;
    }
    enum shutdown_save save = how.save ? SHUTDOWN_SAVE : how.nosave ? SHUTDOWN_NOSAVE : SHUTDOWN_AS_CONFIGURED;
    if (!server_shutdown(server, save, how.force)) {
        reply_error(call->reply, BYTES("ERR Errors trying to SHUTDOWN. Check logs."));
        return;
    }
    session_close(call->session, false);
}

static const char *const tips_lastsave[] = { "nondeterministic_output", NULL };

const struct command save_commands[] = {
    { .name = "SAVE",
        .run = run_save,
        .argc = EXACTLY(1),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI | CMD_SAVES,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(N), during which nobody is served",
        .brief = "Saves everything now, while all wait." },
    { .name = "BGSAVE",
        .run = run_bgsave,
        .argc = AT_LEAST(1),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_NO_ASYNC_LOADING | CMD_SAVES,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(1), and the fork",
        .usage = "[SCHEDULE]",
        .brief = "Saves everything in the background." },
    { .name = "LASTSAVE",
        .run = run_lastsave,
        .argc = EXACTLY(1),
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .group = GROUP_SERVER,
        .categories = CATEGORY_ADMIN | CATEGORY_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(1)",
        .brief = "Replies with the time of the last save that succeeded.",
        .tips = tips_lastsave },
    { .name = "SHUTDOWN",
        .run = run_shutdown,
        .argc = AT_LEAST(1),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE | CMD_NO_SCRIPT | CMD_NO_MULTI | CMD_ALLOW_BUSY,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(N) when saving, where N is the total number of keys in all databases",
        .usage = "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
        .brief = "Ends the server, saving first if there are save points or it is asked to." },
    { 0 },
};
