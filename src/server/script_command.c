/*
 * SCRIPT and FUNCTION, of a server that runs no scripts: none is cached, none runs. Setups and tools forget scripts and
 * ask for them all the same, and get the answers of a server that was never given any.
 *
 * Libraries of functions that came with a file of Redis are kept as they are, so that they go back with the next file:
 * they are listed here, and can be given up, one or all, but neither called nor loaded.
 */
#include <string.h>

#include "base/glob.h"
#include "server_priv.h"

static void run_exists(struct call *call)
{
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++)
        reply_int(call->reply, 0);
}

/* Reads [ASYNC | SYNC]; otherwise answers the error. */
static bool parse_mode(struct call *call, struct bytes error)
{
    bool good = call->argc == 2 || (call->argc == 3 && (call_arg_is(call, 2, "SYNC") || call_arg_is(call, 2, "ASYNC")));
    if (!good)
        reply_error(call->reply, error);
    return good;
}

static void run_script_flush(struct call *call)
{
    if (parse_mode(call, BYTES("ERR SCRIPT FLUSH only support SYNC|ASYNC option")))
        reply_ok(call->reply);
}

static void run_kill(struct call *call)
{
    reply_error(call->reply, BYTES("NOTBUSY No scripts in execution right now."));
}

static void run_script_help(struct call *call)
{
    static const char *const lines[] = {
        "EXISTS <sha1> [<sha1> ...]",
        "    Tell of each script whether it is cached. None is.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget all cached scripts.",
        "KILL",
        "    End the script that runs. None does.",
        NULL,
    };
    call_reply_help(call, lines);
}

/* --- Libraries --- */

/* A word of the first line of a library, "#!<engine> name=<name>", that follows `before`; empty if there is none. */
static struct bytes header_word(struct bytes code, struct bytes before)
{
    const char *end = code.len ? memchr(code.ptr, '\n', code.len) : NULL;
    struct bytes line = { code.ptr, end ? (size_t)(end - code.ptr) : code.len };
    const char *at = line.len ? memmem(line.ptr, line.len, before.ptr, before.len) : NULL;
    if (!at)
        return BYTES("");
    at += before.len;
    size_t len = 0, left = (size_t)(line.ptr + line.len - at);
    while (len < left && at[len] != ' ' && at[len] != '\t' && at[len] != '\r')
        len++;
    return bytes_make(at, len);
}

static struct bytes library_name(const struct buf *library)
{
    return header_word(buf_bytes(library), BYTES("name="));
}

static void run_list(struct call *call)
{
    const struct rdb_extras *extras = &server_of(call)->saves->extras;
    struct bytes pattern = BYTES("*");
    bool with_code = false, with_pattern = false;
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!with_code && call_arg_is(call, i, "WITHCODE")) {
            with_code = true;
        } else if (!with_pattern && call_arg_is(call, i, "LIBRARYNAME")) {
            if (++i >= call->argc) {
                reply_error(call->reply, BYTES("ERR library name argument was not given"));
                return;
            }
            with_pattern = true;
            pattern = call->argv[i];
        } else {
            reply_error_printf(call->reply, "ERR Unknown argument %.*s", (int)call->argv[i].len, call->argv[i].ptr);
            return;
        }
    }
    size_t shown = 0;
    for (size_t i = 0; i < extras->library_count; i++)
        shown += glob_match(pattern, library_name(&extras->libraries[i]));
    reply_array(call->reply, shown);
    for (size_t i = 0; i < extras->library_count; i++) {
        const struct buf *library = &extras->libraries[i];
        if (!glob_match(pattern, library_name(library)))
            continue;
        reply_map(call->reply, with_code ? 4 : 3);
        reply_bulk_cstr(call->reply, "library_name");
        reply_bulk(call->reply, library_name(library));
        reply_bulk_cstr(call->reply, "engine");
        reply_bulk(call->reply, header_word(buf_bytes(library), BYTES("#!")));
        reply_bulk_cstr(call->reply, "functions"); /* they are known to who runs the code */
        reply_array(call->reply, 0);
        if (with_code) {
            reply_bulk_cstr(call->reply, "library_code");
            reply_bulk(call->reply, buf_bytes(library));
        }
    }
}

static void run_stats(struct call *call)
{
    reply_map(call->reply, 2);
    reply_bulk_cstr(call->reply, "running_script");
    reply_null(call->reply);
    reply_bulk_cstr(call->reply, "engines");
    reply_map(call->reply, 0);
}

static void run_delete(struct call *call)
{
    struct rdb_extras *extras = &server_of(call)->saves->extras;
    size_t i = 0;
    while (i < extras->library_count && !bytes_equal(library_name(&extras->libraries[i]), call->argv[2]))
        i++;
    if (i == extras->library_count) {
        reply_error(call->reply, BYTES("ERR Library not found"));
        return;
    }
    buf_fini(&extras->libraries[i]);
    extras->library_count--;
    memmove(extras->libraries + i, extras->libraries + i + 1, (extras->library_count - i) * sizeof *extras->libraries);
    call->keyspace->stats.dirty++;
    reply_ok(call->reply);
}

static void run_function_flush(struct call *call)
{
    struct rdb_extras *extras = &server_of(call)->saves->extras;
    if (call->argc > 3) {
        call_fail_subcommand(call);
        return;
    }
    if (!parse_mode(call, BYTES("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")))
        return;
    call->keyspace->stats.dirty += extras->library_count > 0;
    rdb_extras_fini(extras);
    reply_ok(call->reply);
}

static void run_function_help(struct call *call)
{
    static const char *const lines[] = {
        "DELETE <library-name>",
        "    Give up a library that came with a file.",
        "FLUSH [ASYNC|SYNC]",
        "    Give up all of them.",
        "KILL",
        "    End the function that runs. None does.",
        "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
        "    Show the libraries that came with a file and are kept for the next one.",
        "STATS",
        "    Show what runs (nothing), and in which engines (there are none).",
        NULL,
    };
    call_reply_help(call, lines);
}

static const char *const tips_exists[] = { "request_policy:all_shards", "response_policy:agg_logical_and", NULL };
static const char *const tips_nodes[] = { "request_policy:all_nodes", "response_policy:all_succeeded", NULL };
static const char *const tips_shards[] = { "request_policy:all_shards", "response_policy:all_succeeded", NULL };
static const char *const tips_kill[] = { "request_policy:all_shards", "response_policy:one_succeeded", NULL };
static const char *const tips_stats[] = { "nondeterministic_output", "request_policy:all_shards",
    "response_policy:special", NULL };
static const char *const tips_list[] = { "nondeterministic_output_order", NULL };

static const struct command script_subcommands[] = {
    { .name = "EXISTS",
        .run = run_exists,
        .argc = AT_LEAST(3),
        .flags = CMD_NO_SCRIPT,
        .group = GROUP_SCRIPTING,
        .since = "2.6.0",
        .complexity = "O(N) where N is the number of scripts.",
        .usage = "sha1 [sha1 ...]",
        .brief = "Tells of each script whether it is cached. None is.",
        .tips = tips_exists },
    { .name = "FLUSH",
        .run = run_script_flush,
        .argc = AT_LEAST(2),
        .flags = CMD_NO_SCRIPT,
        .group = GROUP_SCRIPTING,
        .since = "2.6.0",
        .complexity = "O(1)",
        .usage = "[ASYNC | SYNC]",
        .brief = "Forgets all cached scripts.",
        .tips = tips_nodes },
    { .name = "HELP",
        .run = run_script_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_SCRIPTING,
        .since = "5.0.0",
        .complexity = "O(1)",
        .brief = "Shows what the subcommands do." },
    { .name = "KILL",
        .run = run_kill,
        .argc = EXACTLY(2),
        .flags = CMD_NO_SCRIPT | CMD_ALLOW_BUSY,
        .group = GROUP_SCRIPTING,
        .since = "2.6.0",
        .complexity = "O(1)",
        .brief = "Ends the script that runs. None does.",
        .tips = tips_kill },
    { 0 },
};

static const struct command function_subcommands[] = {
    { .name = "DELETE",
        .run = run_delete,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_NO_SCRIPT,
        .group = GROUP_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of libraries.",
        .usage = "library-name",
        .brief = "Gives up a library that came with a file.",
        .tips = tips_shards },
    { .name = "FLUSH",
        .run = run_function_flush,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_NO_SCRIPT,
        .group = GROUP_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of libraries.",
        .usage = "[ASYNC | SYNC]",
        .brief = "Gives up all libraries that came with a file.",
        .tips = tips_shards },
    { .name = "HELP",
        .run = run_function_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(1)",
        .brief = "Shows what the subcommands do." },
    { .name = "KILL",
        .run = run_kill,
        .argc = EXACTLY(2),
        .flags = CMD_NO_SCRIPT | CMD_ALLOW_BUSY,
        .group = GROUP_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(1)",
        .brief = "Ends the function that runs. None does.",
        .tips = tips_kill },
    { .name = "LIST",
        .run = run_list,
        .argc = AT_LEAST(2),
        .flags = CMD_NO_SCRIPT,
        .group = GROUP_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of libraries.",
        .usage = "[LIBRARYNAME library-name-pattern] [WITHCODE]",
        .brief = "Lists the libraries that came with a file and are kept for the next one.",
        .tips = tips_list },
    { .name = "STATS",
        .run = run_stats,
        .argc = EXACTLY(2),
        .flags = CMD_NO_SCRIPT | CMD_ALLOW_BUSY,
        .group = GROUP_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(1)",
        .brief = "Shows which function runs. None does.",
        .tips = tips_stats },
    { 0 },
};

const struct command script_commands[] = {
    { .name = "FUNCTION",
        .argc = AT_LEAST(2),
        .group = GROUP_SCRIPTING,
        .subcommands = function_subcommands,
        .since = "7.0.0",
        .complexity = "Depends on subcommand.",
        .brief = "Asks for functions, of which none can be called." },
    { .name = "SCRIPT",
        .argc = AT_LEAST(2),
        .group = GROUP_SCRIPTING,
        .subcommands = script_subcommands,
        .since = "2.6.0",
        .complexity = "Depends on subcommand.",
        .brief = "Asks for cached scripts, of which there are none." },
    { 0 },
};
