/*
 * Commands about the server as a whole: TIME, SHUTDOWN, LOLWUT, and the answers of a server that has no replicas.
 */
#include "base/clock.h"
#include "base/log.h"
#include "engine/command.h"
#include "engine/session.h"
#include "engine/version.h"
#include "server_priv.h"

static void run_time(struct call *call)
{
    int64_t now_us = clock_wall_us();
    reply_array(call->reply, 2);
    reply_bulk_int(call->reply, now_us / 1000000);
    reply_bulk_int(call->reply, now_us % 1000000);
}

/* Nothing is saved by this version, so SAVE, NOSAVE and the rest differ only in which of them go together. */
static void run_shutdown(struct call *call)
{
    bool save = false, nosave = false, abort = false, other = false;
    for (uint32_t i = 1; i < call->argc; i++) {
        if (call_arg_is(call, i, "NOSAVE"))
            nosave = true;
        else if (call_arg_is(call, i, "SAVE"))
            save = true;
        else if (call_arg_is(call, i, "NOW") || call_arg_is(call, i, "FORCE"))
            other = true;
        else if (call_arg_is(call, i, "ABORT"))
            abort = true;
        else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return;
        }
    }
    if ((save && nosave) || (abort && (save || nosave || other))) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if (abort) {
        reply_error(call->reply, BYTES("ERR No shutdown in progress."));
        return;
    }
    if (save) {
        reply_error(call->reply, BYTES("ERR Errors trying to SHUTDOWN. Check logs."));
        log_write(LOG_WARNING, "SHUTDOWN SAVE was refused: this version keeps everything in memory and cannot save");
        return;
    }
    server_stop(server_of(call), 0);
    session_close(call->session, false);
}

/* A larder's shelves, filled at random: a small drawing for those who ask. */
static void run_lolwut(struct call *call)
{
    enum { SHELVES = 4, JARS = 16 };
    static const char *const jars[] = { "[_]", "(_)", "|#|", "{o}", " . " };
    struct buf out = BUF_EMPTY;
    for (int shelf = 0; shelf < SHELVES; shelf++) {
        buf_append_cstr(&out, "| ");
        for (int i = 0; i < JARS; i++)
            buf_printf(&out, "%s ", jars[random_below(call_random(call), sizeof jars / sizeof *jars)]);
        buf_append_cstr(&out, "|\n+");
        for (int i = 0; i < JARS * 4 + 1; i++)
            buf_append_char(&out, '-');
        buf_append_cstr(&out, "+\n");
    }
    buf_printf(&out, "\nA larder, well stocked. Redis ver. %s, Larder ver. %s\n", LARDER_REDIS_VERSION, LARDER_VERSION);
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

static void run_role(struct call *call)
{
    reply_array(call->reply, 3);
    reply_bulk(call->reply, BYTES("master"));
    reply_int(call->reply, 0);
    reply_array(call->reply, 0);
}

static const char *const time_tips[] = { "nondeterministic_output", NULL };

const struct command admin_commands[] = {
    { .name = "TIME",
        .run = run_time,
        .argc = EXACTLY(1),
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .group = GROUP_SERVER,
        .since = "2.6.0",
        .complexity = "O(1)",
        .tips = time_tips,
        .brief = "Replies with the server's time: seconds since 1970, and microseconds of the second." },
    { .name = "SHUTDOWN",
        .run = run_shutdown,
        .argc = AT_LEAST(1),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE | CMD_NO_SCRIPT | CMD_NO_MULTI | CMD_ALLOW_BUSY,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(N) when saving, where N is the total number of keys in all databases",
        .usage = "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
        .brief = "Ends the server." },
    { .name = "LOLWUT",
        .run = run_lolwut,
        .argc = AT_LEAST(1),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SERVER,
        .since = "5.0.0",
        .complexity = "O(1)",
        .usage = "[VERSION version]",
        .brief = "Draws something, and tells the version." },
    { .name = "ROLE",
        .run = run_role,
        .argc = EXACTLY(1),
        .flags = CMD_LOADING | CMD_STALE | CMD_NO_SCRIPT | CMD_FAST,
        .group = GROUP_SERVER,
        .categories = CATEGORY_ADMIN | CATEGORY_DANGEROUS,
        .since = "2.8.12",
        .complexity = "O(1)",
        .brief = "Replies with the server's role in replication: always that of a master without replicas." },
    { 0 },
};
