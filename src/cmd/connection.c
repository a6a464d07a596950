/*
 * Commands on the connection itself: who speaks, which protocol, which database.
 *
 * HELLO takes effect as a whole or not at all, as since Redis 7.2: its options are read before any is carried out, and
 * of one that comes twice the last counts.
 */
#include "base/blob.h"
#include "base/mem.h"
#include "cmd/families.h"
#include "cmd/module.h"
#include "database_priv.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "engine/version.h"

/* True if the password is the user's: then the session speaks for him. Otherwise answers WRONGPASS. */
static bool authenticate(struct call *call, struct bytes name, struct bytes password)
{
    struct acl_user *user = acl_authenticate(call->engine->acl, name, password);
    if (!user) {
        acl_log_add(
            call->engine, call->session, ACL_DENIED_AUTH, call->argv[0], name, call->session->transaction != NULL);
        reply_fail(call->reply, ERROR_WRONG_PASS);
        return false;
    }
    acl_bind(call->session, user);
    session_set_authenticated(call->session, true);
    return true;
}

static void run_auth(struct call *call)
{
    if (call->argc > 3) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if (call->argc == 2 && acl_needs_no_password(acl_default_user(call->engine->acl))) {
        reply_error(
            call->reply, BYTES("ERR AUTH <password> called without any password configured for the default user. "
                               "Are you sure your configuration is correct?"));
        return;
    }
    if (authenticate(call, call->argc == 3 ? call->argv[1] : BYTES("default"), call->argv[call->argc - 1]))
        reply_ok(call->reply);
}

static bool name_is_printable(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < '!' || name.ptr[i] > '~')
            return false;
    return true;
}

/* An empty name takes the old one away. */
static void set_name(struct session *session, struct bytes name)
{
    mem_free(session->name);
    session->name = name.len ? bytes_dup_cstr(name) : NULL;
}

/* Reads the protocol version; false if that answered an error. */
static bool hello_version(struct call *call, uint8_t *proto)
{
    int64_t version;
    if (!call_arg_i64(
            call, 1, INT64_MIN, INT64_MAX, "ERR Protocol version is not an integer or out of range", &version))
        return false;
    if (version < 2 || version > 3) {
        reply_fail(call->reply, ERROR_NO_PROTO);
        return false;
    }
    *proto = (uint8_t)version;
    return true;
}

/* What HELLO is to do: the arguments where it says so, or 0. */
struct hello {
    uint32_t user, name;
};

/* Reads HELLO's options; false if that answered an error. */
static bool hello_options(struct call *call, struct hello *hello)
{
    for (uint32_t i = 2; i < call->argc; i++) {
        uint32_t left = call->argc - i - 1;
        if (left >= 2 && call_arg_is(call, i, "AUTH")) {
            hello->user = i + 1;
            i += 2;
        } else if (left >= 1 && call_arg_is(call, i, "SETNAME")) {
            hello->name = ++i;
            if (!name_is_printable(call->argv[i])) {
                reply_error(
                    call->reply, BYTES("ERR Client names cannot contain spaces, newlines or special characters."));
                return false;
            }
        } else {
            struct bytes word = call->argv[i];
            int len = word.len < 128 ? (int)word.len : 128;
            reply_error_printf(call->reply, "ERR Syntax error in HELLO option '%.*s'", len, word.ptr);
            return false;
        }
    }
    return true;
}

static void reply_hello(struct call *call)
{
    struct reply *reply = call->reply;
    reply_map(reply, 7);
    reply_bulk_cstr(reply, "server");
    reply_bulk_cstr(reply, "redis");
    reply_bulk_cstr(reply, "version");
    reply_bulk_cstr(reply, LARDER_REDIS_VERSION);
    reply_bulk_cstr(reply, "proto");
    reply_int(reply, reply->proto);
    reply_bulk_cstr(reply, "id");
    reply_int(reply, (int64_t)call->session->id);
    reply_bulk_cstr(reply, "mode");
    reply_bulk_cstr(reply, "standalone");
    reply_bulk_cstr(reply, "role");
    reply_bulk_cstr(reply, "master");
    reply_bulk_cstr(reply, "modules");
    module_reply_list(reply);
}

static void run_hello(struct call *call)
{
    uint8_t proto = call->session->reply.proto;
    struct hello hello = { 0 };
    if (call->argc > 1 && (!hello_version(call, &proto) || !hello_options(call, &hello)))
        return;
    if (hello.user && !authenticate(call, call->argv[hello.user], call->argv[hello.user + 1]))
        return;
    if (!(call->session->flags & SESSION_AUTHENTICATED)) {
        reply_error(call->reply,
            BYTES("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
                  "<pass> option can be used to authenticate the client and select the RESP protocol version at the "
                  "same time"));
        return;
    }
    if (hello.name)
        set_name(call->session, call->argv[hello.name]);
    call->session->reply.proto = proto;
    call->reply->proto = proto; /* the same, unless the replies are collected apart */
    reply_hello(call);
}

/* Answers the argument; one that was read into a blob is not copied. */
static void reply_argument(struct call *call, uint32_t index)
{
    struct blob *blob = call_take_blob(call, index);
    if (blob)
        reply_bulk_blob(call->reply, blob, call->argv[index]);
    else
        reply_bulk(call->reply, call->argv[index]);
    blob_unref(blob);
}

static void run_ping(struct call *call)
{
    if (call->argc > 2)
        call_fail_arity(call);
    else if (call->session->subscriber && call->session->reply.proto == 2) { /* looks like a message */
        reply_array(call->reply, 2);
        reply_bulk_cstr(call->reply, "pong");
        if (call->argc == 2)
            reply_argument(call, 1);
        else
            reply_bulk(call->reply, BYTES(""));
    } else if (call->argc == 2)
        reply_argument(call, 1);
    else
        reply_status(call->reply, BYTES("PONG"));
}

static void run_echo(struct call *call)
{
    reply_argument(call, 1);
}

static void run_select(struct call *call)
{
    struct db *db = database_arg(call, 1);
    if (!db)
        return;
    call->session->db = db;
    reply_ok(call->reply);
}

static void run_quit(struct call *call)
{
    reply_ok(call->reply);
    session_close(call->session, true);
}

static void run_reset(struct call *call)
{
    session_reset(call->session);
    reply_status(call->reply, BYTES("RESET"));
}

/* A user and his password stand behind the word AUTH. */
static bool hello_hides(const struct bytes *argv, uint32_t argc, uint32_t at)
{
    (void)argc;
    return (at > 2 && bytes_is(argv[at - 1], "AUTH")) || (at > 3 && bytes_is(argv[at - 2], "AUTH"));
}

static const char *const tips_ping[] = { "request_policy:all_shards", "response_policy:all_succeeded", NULL };
static const char *const history_auth[] = { "6.0.0", "Takes a user's name.", NULL };
static const char *const history_hello[] = { "6.2.0", "Without arguments it only describes the connection.", NULL };

/* What a client may do before it has said who it is, and while the server can do little else. */
enum { ANY_TIME = CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY };

const struct command connection_commands[] = {
    {
        .name = "AUTH",
        .run = run_auth,
        .argc = AT_LEAST(2),
        .flags = CMD_SECRET | ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "[username] password",
        .brief = "Say who the client is.",
        .history = history_auth,
    },
    {
        .name = "HELLO",
        .run = run_hello,
        .argc = AT_LEAST(1),
        .flags = CMD_SECRET | ANY_TIME,
        .hides = hello_hides,
        .group = GROUP_CONNECTION,
        .since = "6.0.0",
        .complexity = "O(1)",
        .usage = "[protover [AUTH username password] [SETNAME clientname]]",
        .brief = "Choose the protocol, say who the client is, and learn what the server is.",
        .history = history_hello,
    },
    {
        .name = "PING",
        .run = run_ping,
        .argc = AT_LEAST(1),
        .flags = CMD_FAST | CMD_SUBSCRIBER | CMD_TELLS_HEALTH,
        .group = GROUP_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "[message]",
        .brief = "Reply with PONG, or with the message.",
        .tips = tips_ping,
    },
    {
        .name = "ECHO",
        .run = run_echo,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .group = GROUP_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "message",
        .brief = "Reply with the message.",
    },
    {
        .name = "SELECT",
        .run = run_select,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .group = GROUP_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "index",
        .brief = "Choose the database that the connection works on.",
    },
    {
        .name = "QUIT",
        .run = run_quit,
        .argc = AT_LEAST(1),
        .flags = CMD_UNQUEUED | CMD_SUBSCRIBER | ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .brief = "Close the connection, once everything was answered.",
    },
    {
        .name = "RESET",
        .run = run_reset,
        .argc = EXACTLY(1),
        .flags = CMD_UNQUEUED | CMD_SUBSCRIBER | ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "6.2.0",
        .complexity = "O(1)",
        .brief = "Put the connection back to how a new one is.",
    },
    { 0 },
};
