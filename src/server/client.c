/*
 * CLIENT: what is known of the clients, and what can be done to them.
 *
 * Listing asks the system for each connection's addresses, so a list of very many clients is made by a task in slices.
 */

#include "base/mem.h"
#include "base/num.h"
#include "engine/acl.h"
#include "engine/pubsub.h"
#include "engine/session.h"
#include "engine/task.h"
#include "engine/tracking.h"
#include "engine/transaction.h"
#include "engine/wait.h"
#include "net/connection.h"
#include "server/client_filter.h"
#include "server_priv.h"

enum { LIST_AT_ONCE = 64 }; /* clients described in one go, some 50 us */

/* --- One client as text --- */

static void append_tracking(struct buf *out, uint32_t flags)
{
    buf_append_char(out, 't');
    if (flags & TRACKING_BROKEN)
        buf_append_char(out, 'R');
    if (flags & TRACKING_BROADCAST)
        buf_append_char(out, 'B');
}

static void append_flags(struct buf *out, const struct session *session)
{
    size_t before = out->len;
    if (session->flags & SESSION_MONITOR)
        buf_append_char(out, 'O');
    if (session->subscriber)
        buf_append_char(out, 'P');
    if (session->wait || session->flags & SESSION_POSTPONED)
        buf_append_char(out, 'b');
    if (session->transaction)
        buf_append_char(out, 'x');
    if (session->flags & SESSION_TOUCHED)
        buf_append_char(out, 'd');
    if (session->tracking)
        append_tracking(out, tracking_flags(session));
    if (session->flags & SESSION_CLOSING)
        buf_append_char(out, 'A');
    if (session->flags & SESSION_UNIX)
        buf_append_char(out, 'U');
    if (session->flags & SESSION_NO_EVICT)
        buf_append_char(out, 'e');
    if (session->flags & SESSION_NO_TOUCH)
        buf_append_char(out, 'T');
    if (out->len == before)
        buf_append_char(out, 'N');
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Bytes of the request as clients send it. */
static size_t request_len(const struct call *call)
{
    char text[NUM_I64_MAX_LEN];
    size_t len = 3 + num_format_u64(text, call->argc);
    for (uint32_t i = 0; i < call->argc; i++)
        len += 5 + num_format_u64(text, call->argv[i].len) + call->argv[i].len;
    return len;
}

/* Of the one who asks, the request itself is in the buffer (`own_len` bytes), and of nobody else. */
static void append_client(struct buf *out, const struct session *session, int64_t now_ms, size_t own_len)
{
    struct connection_facts facts;
    connection_describe(session->connection, &facts);
    facts.input_len += own_len;
    size_t memory = client_memory(session);
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=", (unsigned long long)session->id,
        facts.peer, facts.local, facts.fd, or_empty(session->name), (long long)((now_ms - session->created_ms) / 1000),
        (long long)((now_ms - session->last_ms) / 1000));
    append_flags(out, session);
    buf_printf(out, " db=%d sub=%zu psub=%zu ssub=%zu", session->db->index, pubsub_count(session, PUBSUB_CHANNEL),
        pubsub_count(session, PUBSUB_PATTERN), pubsub_count(session, PUBSUB_SHARD));
    buf_printf(out, " multi=%lld watch=%zu qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=%zu",
        (long long)transaction_len(session), transaction_watched(session), facts.input_len, facts.input_free,
        facts.input_memory, transaction_memory(session));
    buf_printf(out, " rbs=%d rbp=%zu", OUTPUT_CHUNK, facts.output_len);
    buf_printf(out, " obl=0 oll=%zu omem=%zu tot-mem=%zu events=%s cmd=%s user=%s redir=%lld resp=%d",
        facts.output_len / OUTPUT_CHUNK, facts.output_memory, memory, facts.output_len ? "rw" : "r",
        session->last_command ? session->last_command->full_name : "NULL", acl_user_name(session->user).ptr,
        session->tracking ? (long long)tracking_redirect(session) : -1LL, session->reply.proto);
    buf_printf(out, " lib-name=%s lib-ver=%s io-thread=0 tot-net-in=%llu tot-net-out=%llu tot-cmds=%llu",
        or_empty(session->lib_name), or_empty(session->lib_version), (unsigned long long)facts.input_bytes,
        (unsigned long long)facts.output_bytes, (unsigned long long)session->commands);
}

/* --- LIST, INFO, ID --- */

struct list_task {
    struct task task;
    uint64_t *ids; /* owned: of the clients to list, taken when the command came */
    size_t count, at;
    size_t own_len; /* of the request */
    struct buf out;
};

static bool list_step(struct task *task, struct call *call)
{
    struct list_task *list = (struct list_task *)task;
    for (size_t end = list->at + LIST_AT_ONCE; list->at < list->count && list->at < end; list->at++) {
        const struct session *session = session_find(call->engine, list->ids[list->at]);
        if (!session)
            continue;
        append_client(&list->out, session, call->now_ms, session == call->session ? list->own_len : 0);
        buf_append_char(&list->out, '\n');
    }
    if (list->at < list->count)
        return false;
    reply_verbatim(call->reply, "txt", buf_bytes(&list->out));
    return true;
}

static void list_destroy(struct task *task)
{
    struct list_task *list = (struct list_task *)task;
    buf_fini(&list->out);
    mem_free(list->ids);
    mem_free(list);
}

static void run_list(struct call *call)
{
    static const struct task_type type = { .step = list_step, .destroy = list_destroy };
    struct client_filter filter = { 0 };
    if (!client_filter_parse_list(call, &filter))
        return;
    struct list_task *list = mem_zalloc(sizeof *list);
    list->task.type = &type;
    list->own_len = request_len(call);
    list->ids = mem_alloc((call->engine->session_count + 1) * sizeof(uint64_t));
    for (const struct session *session = call->engine->sessions; session; session = session->next)
        if (!(session->flags & SESSION_CLOSING) && client_filter_fits(&filter, session, call->now_ms))
            list->ids[list->count++] = session->id;
    if (list->count > LIST_AT_ONCE) {
        call_defer(call, &list->task);
        return;
    }
    list_step(&list->task, call);
    list_destroy(&list->task);
}

void client_describe(const struct session *session, struct buf *out)
{
    append_client(out, session, session->engine->now_ms, 0);
}

static void run_info(struct call *call)
{
    struct buf out = BUF_EMPTY;
    append_client(&out, call->session, call->now_ms, request_len(call));
    buf_append_char(&out, '\n');
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

static void run_id(struct call *call)
{
    reply_int(call->reply, (int64_t)call->session->id);
}

/* --- KILL --- */

/* Ends a client; true if it was somebody to end. The caller itself is ended after its reply. */
static void kill_session(struct call *call, struct session *session)
{
    session_close(session, session == call->session);
}

static void run_kill(struct call *call)
{
    struct client_filter filter = { 0 };
    if (!client_filter_parse_kill(call, &filter))
        return;
    size_t killed = 0;
    for (struct session *session = call->engine->sessions, *next; session; session = next) {
        next = session->next;
        if ((filter.skip_me && session == call->session) || session->flags & SESSION_CLOSING ||
            !client_filter_fits(&filter, session, call->now_ms))
            continue;
        kill_session(call, session);
        killed++;
    }
    if (!filter.old_form)
        reply_int(call->reply, (int64_t)killed);
    else if (killed)
        reply_ok(call->reply);
    else
        reply_error(call->reply, BYTES("ERR No such client"));
}

/* --- Names --- */

/* What may stand in a space-separated line of CLIENT LIST. */
static bool is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '!' || text.ptr[i] > '~')
            return false;
    return true;
}

static void set_text(char **place, struct bytes text)
{
    mem_free(*place);
    *place = text.len ? bytes_dup_cstr(text) : NULL;
}

static void run_setname(struct call *call)
{
    if (!is_plain(call->argv[2])) {
        reply_error(call->reply, BYTES("ERR Client names cannot contain spaces, newlines or special characters."));
        return;
    }
    set_text(&call->session->name, call->argv[2]);
    reply_ok(call->reply);
}

static void run_getname(struct call *call)
{
    if (call->session->name)
        reply_bulk_cstr(call->reply, call->session->name);
    else
        reply_null(call->reply);
}

static void run_setinfo(struct call *call)
{
    struct session *session = call->session;
    char **place = call_arg_is(call, 2, "lib-name")  ? &session->lib_name
                   : call_arg_is(call, 2, "lib-ver") ? &session->lib_version
                                                     : NULL;
    struct bytes option = call->argv[2];
    int shown = option.len < 128 ? (int)option.len : 128;
    if (!place) {
        reply_error_printf(call->reply, "ERR Unrecognized option '%.*s'", shown, option.ptr);
        return;
    }
    if (!is_plain(call->argv[3])) {
        reply_error_printf(
            call->reply, "ERR %.*s cannot contain spaces, newlines or special characters.", shown, option.ptr);
        return;
    }
    set_text(place, call->argv[3]);
    reply_ok(call->reply);
}

/* --- PAUSE, REPLY, UNBLOCK, switches --- */

static void run_pause(struct call *call)
{
    bool all = true;
    if (call->argc > 4) {
        call_fail_subcommand(call);
        return;
    }
    if (call->argc == 4) {
        if (call_arg_is(call, 3, "WRITE"))
            all = false;
        else if (!call_arg_is(call, 3, "ALL")) {
            reply_error(call->reply, BYTES("ERR CLIENT PAUSE mode must be WRITE or ALL"));
            return;
        }
    }
    int64_t timeout_ms, until_ms;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, "ERR timeout is not an integer or out of range", &timeout_ms))
        return;
    if (timeout_ms < 0) {
        reply_error(call->reply, BYTES("ERR timeout is negative"));
        return;
    }
    if (__builtin_add_overflow(call->now_ms, timeout_ms, &until_ms)) {
        reply_error(call->reply, BYTES("ERR timeout is out of range"));
        return;
    }
    engine_pause(call->engine, until_ms, all);
    reply_ok(call->reply);
}

static void run_unpause(struct call *call)
{
    engine_unpause(call->engine);
    reply_ok(call->reply);
}

static void run_reply(struct call *call)
{
    struct session *session = call->session;
    if (call_arg_is(call, 2, "ON")) {
        session->flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
        reply_ok(call->reply);
    } else if (call_arg_is(call, 2, "OFF")) {
        session->flags |= SESSION_REPLY_OFF;
    } else if (call_arg_is(call, 2, "SKIP")) {
        if (!(session->flags & SESSION_REPLY_OFF))
            session->flags |= SESSION_REPLY_SKIP_NEXT;
    } else {
        reply_fail(call->reply, ERROR_SYNTAX);
    }
}

static void run_unblock(struct call *call)
{
    if (call->argc > 4) {
        call_fail_subcommand(call);
        return;
    }
    if (call->argc == 4 && !call_arg_is(call, 3, "TIMEOUT") && !call_arg_is(call, 3, "ERROR")) {
        reply_error(call->reply, BYTES("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        return;
    }
    int64_t id;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &id))
        return;
    struct session *session = session_find(call->engine, (uint64_t)id);
    reply_int(call->reply, session && session_unblock(session, call->argc == 4 && call_arg_is(call, 3, "ERROR")));
}

/* ON or OFF for one flag of the session. */
static void run_switch(struct call *call, uint32_t flag)
{
    if (call_arg_is(call, 2, "ON"))
        call->session->flags |= flag;
    else if (call_arg_is(call, 2, "OFF"))
        call->session->flags &= ~flag;
    else {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    reply_ok(call->reply);
}

static void run_no_evict(struct call *call)
{
    run_switch(call, SESSION_NO_EVICT);
}

static void run_no_touch(struct call *call)
{
    run_switch(call, SESSION_NO_TOUCH);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Say whether what the next command reads is tracked.",
        "GETNAME",
        "    Show the name of this connection.",
        "GETREDIR",
        "    Show the ID of the client that invalidations go to; -1 if there is none.",
        "ID",
        "    Show the ID of this connection.",
        "INFO",
        "    Show what is known of this connection.",
        "KILL <ip:port>",
        "    End the connection from that address.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    End all connections that fit. Options:",
        "    * ADDR, LADDR (<ip:port>|<unixsocket>:0): the client's, the server's address",
        "    * ID <client-id>; USER <username>; MAXAGE <seconds>: at least that old",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "    * SKIPME (YES|NO): leave this connection alone (default yes)",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <client-id> [...]]",
        "    Show what is known of all connections, or of those.",
        "NO-EVICT (ON|OFF)",
        "    Keep this connection when clients use too much memory.",
        "NO-TOUCH (ON|OFF)",
        "    Leave the access times of keys alone.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Hold up all commands, or those that write, for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Switch the replies to this connection off and on, or skip the next one.",
        "SETINFO (LIB-NAME|LIB-VER) <text>",
        "    Tell which client library this is.",
        "SETNAME <name>",
        "    Name this connection.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Tell this connection when keys change that it has read.",
        "TRACKINGINFO",
        "    Show how this connection tracks what it has read.",
        "UNBLOCK <client-id> [TIMEOUT|ERROR]",
        "    Let a blocked client go on as if its time was up, or with an error.",
        "UNPAUSE",
        "    End a pause.",
        NULL,
    };
    call_reply_help(call, lines);
}

enum {
    ANY_TIME = CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE,
    ADMIN_ANY_TIME = CMD_ADMIN | ANY_TIME,
    HELP_FLAGS = CMD_LOADING | CMD_STALE,
};

static const char *const list_tips[] = { "nondeterministic_output", NULL };

static const struct command subcommands[] = {
    { .name = "CACHING",
        .run = client_run_caching,
        .argc = EXACTLY(3),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "6.0.0",
        .complexity = "O(1)",
        .usage = "<YES | NO>",
        .brief = "Says whether what the next command reads is cached by the client." },
    { .name = "GETNAME",
        .run = run_getname,
        .argc = EXACTLY(2),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "2.6.9",
        .complexity = "O(1)",
        .brief = "Replies with the name of the connection." },
    { .name = "GETREDIR",
        .run = client_run_getredir,
        .argc = EXACTLY(2),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "6.0.0",
        .complexity = "O(1)",
        .brief = "Replies with the ID of the client that invalidations go to." },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = HELP_FLAGS,
        .group = GROUP_CONNECTION,
        .since = "5.0.0",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { .name = "ID",
        .run = run_id,
        .argc = EXACTLY(2),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "5.0.0",
        .complexity = "O(1)",
        .brief = "Replies with the ID of the connection." },
    { .name = "INFO",
        .run = run_info,
        .argc = EXACTLY(2),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "6.2.0",
        .complexity = "O(1)",
        .tips = list_tips,
        .brief = "Tells about the connection." },
    { .name = "KILL",
        .run = run_kill,
        .argc = AT_LEAST(3),
        .flags = ADMIN_ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "2.4.0",
        .complexity = "O(N) where N is the number of client connections",
        .usage = "<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | "
                 "[ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>] | [MAXAGE maxage]>>",
        .brief = "Ends connections." },
    { .name = "LIST",
        .run = run_list,
        .argc = AT_LEAST(2),
        .flags = ADMIN_ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "2.4.0",
        .complexity = "O(N) where N is the number of client connections",
        .usage = "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
        .tips = list_tips,
        .brief = "Tells about all connections." },
    { .name = "NO-EVICT",
        .run = run_no_evict,
        .argc = EXACTLY(3),
        .flags = ADMIN_ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "7.0.0",
        .complexity = "O(1)",
        .usage = "<ON | OFF>",
        .brief = "Keeps the connection when clients use too much memory." },
    { .name = "NO-TOUCH",
        .run = run_no_touch,
        .argc = EXACTLY(3),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "7.2.0",
        .complexity = "O(1)",
        .usage = "<ON | OFF>",
        .brief = "Lets the connection's commands leave access times alone." },
    { .name = "PAUSE",
        .run = run_pause,
        .argc = AT_LEAST(3),
        .flags = ADMIN_ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "3.0.0",
        .complexity = "O(1)",
        .usage = "timeout [WRITE | ALL]",
        .brief = "Holds up commands for some time." },
    { .name = "REPLY",
        .run = run_reply,
        .argc = EXACTLY(3),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "3.2.0",
        .complexity = "O(1)",
        .usage = "<ON | OFF | SKIP>",
        .brief = "Switches the replies to the connection off and on." },
    { .name = "SETINFO",
        .run = run_setinfo,
        .argc = EXACTLY(4),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "7.2.0",
        .complexity = "O(1)",
        .usage = "<LIB-NAME libname | LIB-VER libver>",
        .brief = "Tells which client library the connection uses." },
    { .name = "SETNAME",
        .run = run_setname,
        .argc = EXACTLY(3),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "2.6.9",
        .complexity = "O(1)",
        .usage = "connection-name",
        .brief = "Names the connection." },
    { .name = "TRACKING",
        .run = client_run_tracking,
        .argc = AT_LEAST(3),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "6.0.0",
        .complexity = "O(1). Some options may introduce additional complexity.",
        .usage = "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] "
                 "[NOLOOP]",
        .brief = "Tells the client when what it has read is no longer true." },
    { .name = "TRACKINGINFO",
        .run = client_run_trackinginfo,
        .argc = EXACTLY(2),
        .flags = ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "6.2.0",
        .complexity = "O(1)",
        .brief = "Shows how the connection tracks what it has read." },
    { .name = "UNBLOCK",
        .run = run_unblock,
        .argc = AT_LEAST(3),
        .flags = ADMIN_ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "5.0.0",
        .complexity = "O(log N) where N is the number of client connections",
        .usage = "client-id [TIMEOUT | ERROR]",
        .brief = "Lets a blocked client go on." },
    { .name = "UNPAUSE",
        .run = run_unpause,
        .argc = EXACTLY(2),
        .flags = ADMIN_ANY_TIME,
        .group = GROUP_CONNECTION,
        .since = "6.2.0",
        .complexity = "O(N) where N is the number of paused clients",
        .brief = "Ends a pause." },
    { 0 },
};

const struct command client_commands[] = {
    { .name = "CLIENT",
        .argc = AT_LEAST(2),
        .group = GROUP_CONNECTION,
        .subcommands = subcommands,
        .since = "2.4.0",
        .complexity = "Depends on the subcommand.",
        .brief = "Tells about connections and controls them." },
    { 0 },
};
