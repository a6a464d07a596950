/*
 * Executing requests.
 *
 * Requests come in batches, of which a window is planned (plan.c) before it is executed. Plain requests that are alike
 * make a series; for all others every check is made one by one.
 *
 * Time is taken once per command: the end of one is the beginning of the next. What is counted of a command and of a
 * client is added up over a series of calls that are alike in both, and then added there (struct tally).
 */
#include <stdio.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/acl.h"
#include "engine/blame.h"
#include "engine/call.h"
#include "engine/early.h"
#include "engine/engine.h"
#include "engine/error_stats.h"
#include "engine/insight.h"
#include "engine/latency.h"
#include "engine/memory.h"
#include "engine/monitor.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/slowlog.h"
#include "engine/transaction.h"
#include "engine_priv.h"
#include "plan_priv.h"
#include "resp/request.h"
#include "store/keyspace.h"

enum {
    ARGS_ECHO_MAX = 128,    /* bytes of arguments repeated in an error text */
    CLOCK_REFRESH_US = 500, /* after a command this slow the wall clock is read again */
};

/* What of a client's word is repeated in an error text: at most `room` bytes, and none behind a zero byte. */
static struct bytes echo(struct bytes word, size_t room)
{
    return bytes_make(word.ptr, word.len ? strnlen(word.ptr, word.len < room ? word.len : room) : 0);
}

/*
 * A browser was made to send HTTP to this port, which would otherwise be read as inline commands, line by line (cross
 * protocol scripting). No command has these names, so the connection ends at the first one, without an answer.
 */
static bool is_http(struct bytes name)
{
    return bytes_is(name, "post") || bytes_is(name, "host:");
}

static void end_http(struct call *call)
{
    char peer[128];
    call->session->transport->peer(call->session->connection, peer, sizeof peer);
    log_write(LOG_WARNING,
        "Possible SECURITY ATTACK: %s sent an HTTP request to this port, as a web page may do that wants to run "
        "commands here. The connection was closed.",
        peer);
    session_close(call->session, false);
}

/* "ERR unknown command 'x', with args beginning with: 'a' 'b' " */
static void fail_unknown(struct call *call)
{
    if (is_http(call->argv[0])) {
        end_http(call);
        return;
    }
    struct buf args = BUF_EMPTY;
    for (uint32_t i = 1; i < call->argc && args.len < ARGS_ECHO_MAX; i++) {
        size_t room = ARGS_ECHO_MAX - args.len;
        buf_append_char(&args, '\'');
        buf_append(&args, echo(call->argv[i], room));
        buf_append_cstr(&args, "' ");
    }
    struct buf text = BUF_EMPTY;
    buf_append_cstr(&text, "ERR unknown command '");
    buf_append(&text, echo(call->argv[0], ARGS_ECHO_MAX));
    buf_append_cstr(&text, "', with args beginning with: ");
    buf_append(&text, buf_bytes(&args));
    reply_error(call->reply, buf_bytes(&text));
    buf_fini(&text);
    buf_fini(&args);
}

static void fail_unknown_subcommand(struct call *call)
{
    struct bytes word = echo(call->argv[1], ARGS_ECHO_MAX);
    char name[48];
    call_container_name(call, name);
    reply_error_printf(
        call->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", (int)word.len, word.len ? word.ptr : "", name);
}

static bool debug_is_allowed(const struct engine *engine, const struct session *session)
{
    int setting = engine->settings->enable_debug_command;
    return setting == 1 || (setting == 2 && session->flags & SESSION_PRIVILEGED);
}

/* Resolves a subcommand; if there is no such thing that is answered, and there is no command to blame either. */
static void find_subcommand(struct call *call)
{
    if (call->argc < 2)
        return;
    struct command_info *sub = command_find_sub(call->command, call->argv[1]);
    if (!sub)
        fail_unknown_subcommand(call);
    call->command = sub;
}

/* Finds what is called; it is the session's last command even if it is refused. False if it was answered: there is no
 * such thing. */
static bool find_called(struct call *call)
{
    if (!call->command)
        fail_unknown(call);
    else if (call->command->subs)
        find_subcommand(call);
    call->session->last_command = call->command;
    return call->command;
}

/* In RESP2 a message cannot be told from a reply, so a client that gets messages may ask for nothing else. */
static void fail_subscriber(struct call *call)
{
    reply_error_printf(call->reply,
        "%s Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
        "context",
        call->command->flags & CMD_RUNS_QUEUE ? "EXECABORT Transaction discarded because of:" : "ERR",
        call->command->full_name);
}

/* Whether what the command would do, EXEC with what was queued, is refused for now. */
static bool is_refused(const struct engine *engine, const struct session *session, uint32_t flags)
{
    if (!engine->refusal)
        return false;
    if (flags & CMD_RUNS_QUEUE)
        flags |= transaction_flags(session);
    return flags & CMD_WRITE || (flags & CMD_TELLS_HEALTH && !engine->is_well);
}

/* True if the command may run at this time; otherwise answers an error. */
static bool admit_now(struct call *call)
{
    const struct engine *engine = call->engine;
    uint32_t flags = call->command->flags;
    if (is_refused(engine, call->session, flags)) {
        reply_error_printf(call->reply, "%s%s",
            flags & CMD_RUNS_QUEUE ? "EXECABORT Transaction discarded because of: " : "", engine->refusal);
        return false;
    }
    if (engine->loading && !(flags & CMD_LOADING)) {
        reply_error(call->reply, BYTES("LOADING Redis is loading the dataset in memory"));
        return false;
    }
    return true;
}

/* True if the command would take memory, or queue words that do; EXEC if something of what it runs does. */
static bool takes_memory(const struct session *session, const struct command_info *command)
{
    if (command->flags & CMD_RUNS_QUEUE)
        return transaction_flags(session) & CMD_DENY_OOM;
    return command->flags & CMD_DENY_OOM || (session->transaction && !(command->flags & CMD_UNQUEUED));
}

/* Room is made before every command; which are refused when there is none is another question. */
static bool admit_to_memory(struct call *call)
{
    if (engine_make_room(call->engine) || !takes_memory(call->session, call->command))
        return true;
    if (call->command->flags & CMD_RUNS_QUEUE)
        reply_error(call->reply, BYTES("EXECABORT Transaction discarded because of: OOM command not allowed when used "
                                       "memory > 'maxmemory'."));
    else
        reply_fail(call->reply, ERROR_OUT_OF_MEMORY);
    return false;
}

/* Notes whether commands are watched or restrained just now, so that asking costs one test. */
static void note_strictness(struct engine *engine)
{
    engine->is_strict = engine->settings->memory.limit || engine->refusal || engine->loading ||
                        engine->pause_until_ms || engine->is_jammed || engine->monitors || engine->propagation ||
                        engine->is_telling || pubsub_is_behind(engine);
}

/* What every command must pass before its handler runs; false if it was answered with an error. */
static __attribute__((noinline)) bool admit(struct call *call)
{
    const struct command_info *command = call->command;
    if (!command_argc_fits(command, call->argc) || !command->row->run) {
        reply_error_printf(call->reply, "%s wrong number of arguments for '%s' command",
            command->flags & CMD_RUNS_QUEUE ? "EXECABORT Transaction discarded because of:" : "ERR",
            command->full_name);
        return false;
    }
    if (command->flags & CMD_PROTECTED && !debug_is_allowed(call->engine, call->session)) {
        reply_error_printf(call->reply,
            "ERR %s command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a "
            "local connection, otherwise you need to set this option in the configuration file, and then restart the "
            "server.",
            command->parent ? command->parent->row->name : command->row->name);
        return false;
    }
    if (__builtin_expect(call->session->flags & SESSION_MONITOR, 0) && command->flags & (CMD_WRITE | CMD_READ)) {
        reply_error(call->reply, BYTES("ERR Replica can't interact with the keyspace"));
        return false;
    }
    if (!(call->session->flags & SESSION_AUTHENTICATED) && !(command->flags & CMD_NO_AUTH)) {
        struct bytes text = error_text(ERROR_NO_AUTH);
        reply_error_printf(call->reply, "%s%.*s",
            command->flags & CMD_RUNS_QUEUE ? "EXECABORT Transaction discarded because of: " : "", (int)text.len,
            text.ptr);
        return false;
    }
    if (__builtin_expect(call->session->flags & SESSION_LIMITED, 0) && !acl_admit(call))
        return false;
    if (call->session->transaction && command->flags & CMD_NO_MULTI) {
        reply_error(call->reply, BYTES("ERR Command not allowed inside a transaction"));
        return false;
    }
    if (call->engine->settings->memory.limit && !admit_to_memory(call))
        return false;
    if (__builtin_expect(call->session->subscriber != NULL, 0) && call->session->reply.proto == 2 &&
        !(command->flags & CMD_SUBSCRIBER)) {
        fail_subscriber(call);
        return false;
    }
    return __builtin_expect(!call->engine->loading && !call->engine->refusal, 1) || admit_now(call);
}

/* True if a transaction takes the command in instead of running it. */
static bool is_queued(const struct session *session, const struct command_info *command)
{
    return session->transaction && !(command->flags & CMD_UNQUEUED);
}

/* True if the command has to wait for the end of CLIENT PAUSE, or of a jam. What is only queued writes nothing yet. */
static bool is_paused(const struct engine *engine, const struct session *session, const struct command_info *command)
{
    bool is_free = !engine->pause_until_ms && !engine->is_jammed;
    if (is_free || (command->flags & CMD_ADMIN && command->row->group == GROUP_CONNECTION))
        return false;
    uint32_t flags = command->flags & CMD_RUNS_QUEUE ? transaction_flags(session) : command->flags;
    bool writes = flags & (CMD_WRITE | CMD_MAY_REPLICATE) && !is_queued(session, command);
    return engine->pause_all || writes;
}

/* True if the command publishes while too much is being handed out already. */
static bool must_wait_to_publish(
    const struct engine *engine, const struct session *session, const struct command_info *command)
{
    const uint32_t publishing = CMD_PUBSUB | CMD_MAY_REPLICATE;
    return (command->flags & publishing) == publishing && !is_queued(session, command) && pubsub_is_behind(engine);
}

/* True if the command cannot run now: its session is told to wait. */
static bool must_wait(struct engine *engine, struct session *session, const struct command_info *command)
{
    if (is_paused(engine, session, command)) {
        session->flags |= SESSION_POSTPONED;
        session->transport->pause(session->connection);
        return true;
    }
    if (must_wait_to_publish(engine, session, command)) {
        pubsub_postpone(session);
        return true;
    }
    engine->keyspace->keeps_expired = engine->pause_until_ms && command->flags & CMD_READ;
    return false;
}

static void account_failed(struct engine *engine, struct command_info *command, const char *code)
{
    command->stats.failed++;
    engine->stats.errors++;
    error_stats_add(engine->errors, code);
}

void execute_account(struct engine *engine, struct session *session, struct command_info *command, uint64_t ticks,
    bool failed, const char *code)
{
    command_stats_add(&command->stats, ticks, engine->settings->latency_tracking);
    engine->stats.commands++;
    session->commands++;
    if (failed)
        account_failed(engine, command, code);
}

/* Adds the tally to what is counted, and begins another. */
static __attribute__((noinline)) void settle_tally(
    struct engine *engine, struct session *session, struct command_info *command)
{
    struct tally tally = engine->tally;
    engine->tally = (struct tally){ .command = command, .session = session };
    if (tally.calls == 0)
        return;
    tally.command->stats.calls += tally.calls;
    tally.command->stats.ticks += tally.ticks;
    tally.session->commands += tally.calls;
    engine->stats.commands += tally.calls;
    split_add(engine, tally.command, tally.calls, tally.starts, tally.ticks);
}

static inline void tally_add(struct engine *engine, struct session *session, struct command_info *command,
    uint64_t calls, uint64_t ticks, uint64_t starts)
{
    if (__builtin_expect(engine->tally.command != command || engine->tally.session != session, 0))
        settle_tally(engine, session, command);
    engine->tally.calls += calls;
    engine->tally.ticks += ticks;
    engine->tally.starts += starts;
}

static inline void account(struct engine *engine, const struct call *call, uint64_t start, uint64_t ticks)
{
    struct command_info *command = call->command;
    if (engine->settings->latency_tracking)
        command_stats_need_latency(&command->stats)[command_latency_bucket(ticks)]++;
    tally_add(engine, call->session, command, 1, ticks, start);
    if (__builtin_expect(call->reply->failed, 0))
        account_failed(engine, command, call->reply->code);
}

/* True if all that a command does is to read or change data. Any other may tell of, or change, anything. */
static inline bool is_about_data(const struct command_info *command)
{
    return command->flags & (CMD_READ | CMD_WRITE);
}

void execute_log_if_slow(struct engine *engine, const struct session *session, const struct command_info *command,
    uint64_t ticks, const struct bytes *argv, uint32_t argc)
{
    if (ticks < engine->slow_ticks || command->flags & CMD_SKIP_SLOWLOG)
        return;
    struct bytes shown[SLOWLOG_ARGS_MAX] = { bytes_from_cstr(command->full_name) };
    if (!argv) {
        argv = shown;
        argc = 1;
    } else if (command->flags & CMD_SECRET) {
        for (uint32_t i = 0; i < argc && i < SLOWLOG_ARGS_MAX; i++)
            shown[i] = command_hides(command, argv, argc, i) ? BYTES("(redacted)") : argv[i];
        argv = shown;
    }
    char peer[128];
    session->transport->peer(session->connection, peer, sizeof peer);
    int64_t us = (int64_t)(clock_ticks_to_ns(ticks) / 1000);
    slowlog_add(engine->slowlog, engine->settings->slowlog_max_len, engine->now_ms / 1000, us, argv, argc, peer,
        session->name ? session->name : "");
    engine->stats.slow_commands++;
}

void execute_account_rejected(struct call *call)
{
    if (!call->reply->failed)
        return;
    if (call->command)
        call->command->stats.rejected++;
    call->engine->stats.errors++;
    error_stats_add(call->engine->errors, call->reply->code);
}

/* A refused command spoils the transaction; a refused EXEC ends it, and its answer says so. */
static void reject_in_transaction(struct call *call)
{
    transaction_taint(call->session);
    if (call->command && call->command->flags & CMD_RUNS_QUEUE)
        transaction_discard(call->session);
}

/* Takes the threshold over from the settings when it changed, so that testing it costs one comparison. */
static void refresh_slow_ticks(struct engine *engine)
{
    int64_t us = engine->settings->slowlog_log_slower_than_us, notable_ms = engine->settings->latency_threshold_ms;
    if (us == engine->slow_us && notable_ms == engine->notable_ms)
        return;
    const uint64_t probe = UINT64_C(1) << 32;
    double ticks_per_us = 1000.0 * (double)probe / (double)clock_ticks_to_ns(probe);
    engine->slow_us = us;
    engine->refresh_ticks = (uint64_t)(ticks_per_us * CLOCK_REFRESH_US);
    double slow_ticks = (double)us * ticks_per_us;
    engine->slow_ticks = us < 0 || slow_ticks >= 0x1p64 ? UINT64_MAX : (uint64_t)slow_ticks;
    double notable_ticks = (double)notable_ms * 1000 * ticks_per_us;
    engine->notable_ms = notable_ms;
    engine->blame_ticks = (uint64_t)(ticks_per_us * BLAME_US);
    engine->notable_ticks = engine->slow_ticks < engine->blame_ticks ? engine->slow_ticks : engine->blame_ticks;
    if (notable_ms > 0 && notable_ticks < (double)engine->notable_ticks)
        engine->notable_ticks = (uint64_t)notable_ticks;
}

/* Slow enough that one of the slow log, the latency events and the blame may be concerned. */
static __attribute__((noinline)) void note_slow(struct call *call, uint64_t ticks)
{
    struct engine *engine = call->engine;
    execute_log_if_slow(engine, call->session, call->command, ticks, call->argv, call->argc);
    const char *event = call->command->flags & CMD_FAST ? "fast-command" : "command";
    uint64_t ns = clock_ticks_to_ns(ticks);
    latency_note(engine, event, ns / 1000);
    blame_hold(engine, call->command->full_name, ns, blame_waiting_behind(engine, call->request));
    engine->held_ticks += ticks;
}

/* Behind a handler that was given `argv`: accounts for what it took. Returns the ticks at its end. */
static inline __attribute__((always_inline)) uint64_t run_end(
    struct engine *engine, struct call *call, const struct bytes *argv, uint64_t start)
{
    struct session *session = call->session;
    arena_reset(call->arena);
    uint64_t end = clock_ticks(), ticks = end - start;
    if (__builtin_expect(session->flags & SESSION_WAITS, 0)) { /* accounted for when it has answered */
        if (session->wait)
            wait_charge(session, ticks);
        return end;
    }
    account(engine, call, start, ticks);
    if (__builtin_expect(--engine->insight_in == 0, 0))
        insight_note(call, argv, ticks);
    if (__builtin_expect(ticks >= engine->notable_ticks, 0))
        note_slow(call, ticks);
    return end;
}

/* Runs an admitted command's handler. Returns the ticks at its end. */
static uint64_t run(struct call *call, uint64_t start)
{
    struct engine *engine = call->engine;
    struct session *session = call->session;
    session->last_command = call->command;
    call->keyspace->touch = !(session->flags & SESSION_NO_TOUCH);
    uint64_t dirty = propagate_begin(call);
    engine->current = session;
    const struct bytes *argv = call->argv;
    if (insight_is_due(engine))
        insight_begin(call);
    if (!is_about_data(call->command))
        settle_tally(engine, NULL, NULL);
    call->command->row->run(call);
    if (!is_about_data(call->command)) {
        note_strictness(engine);
        refresh_slow_ticks(engine);
    }
    propagate_end(call, dirty);
    engine->told_of_flush = false;
    if (__builtin_expect(session->tracking != NULL, 0)) {
        tracking_executed(call);
        tracking_finished(session, call->command);
    }
    session_push_late(engine);
    if (__builtin_expect(engine->is_strict, 0) && engine->monitors)
        monitor_show(call, argv);
    return run_end(engine, call, argv, start);
}

/* Whoever wanted the large arguments has taken references. The next command is to find them unshared. */
static __attribute__((noinline)) void release_blobs(struct session *session, struct request *request)
{
    early_drop(session->early, session->engine);
    for (uint32_t i = 0; i < request->blob_count; i++)
        if (request->blobs[i].blob) {
            blob_unref(request->blobs[i].blob);
            request->blobs[i].blob = NULL;
        }
}

/* Executes one request of a session that may execute; returns the ticks at its end. */
static uint64_t execute(struct engine *engine, struct session *session, struct request *request, uint64_t start)
{
    struct call call = session_call(session);
    call.argv = request->argv;
    call.argc = request->argc;
    call.key_hash = request->hash;
    call.now_ms = engine->now_ms;
    call.command = request->plan;
    call.request = request;
    session->last_ms = engine->now_ms;
    if (__builtin_expect(session->subscriber != NULL, 0))
        publications_catch_up(session);
    reply_begin(call.reply);
    if (find_called(&call) && admit(&call)) {
        if (__builtin_expect(engine->is_strict, 0)) {
            if (must_wait(engine, session, call.command))
                return start;
            if (engine->is_telling)
                trackers_catch_up(session);
        }
        if (__builtin_expect(engine->keyspace->holds != 0, 0) && !is_queued(session, call.command) &&
            asides_hold_back(&call)) {
            asides_postpone(&call);
            return start;
        }
        const struct command_info *planned = request->plan;
        if (planned->first_key < request->argc)
            call.key_arg = planned->first_key;
        request->done = true;
        if (__builtin_expect(is_queued(session, call.command), 0)) {
            transaction_queue(&call);
            early_drop(session->early, engine);
            return start;
        }
        uint64_t end = run(&call, start);
        if (__builtin_expect(request->blob_count != 0, 0) && request->done)
            release_blobs(session, request);
        return end;
    }
    request->done = true;
    early_drop(session->early, engine);
    if (session->transaction)
        reject_in_transaction(&call);
    if (session->tracking)
        tracking_finished(session, call.command);
    execute_account_rejected(&call);
    return start;
}

/* The same for a client that asked for no replies (CLIENT REPLY): they collect apart from what is pushed to it. */
static uint64_t execute_silently(
    struct engine *engine, struct session *session, struct request *request, uint64_t start)
{
    struct output apart;
    output_init(&apart);
    session->reply.out = &apart;
    bool skip_now = session->flags & SESSION_REPLY_SKIP_NEXT;
    session->flags &= ~(uint32_t)SESSION_REPLY_SKIP_NEXT;
    session->flags |= SESSION_REPLY_SKIP;
    uint64_t end = execute(engine, session, request, start);
    bool silent = session->flags & SESSION_REPLY_SKIP; /* CLIENT REPLY ON clears it to be heard */
    session->flags &= ~(uint32_t)SESSION_REPLY_SKIP;
    if (!request->done && skip_now)
        session->flags |= SESSION_REPLY_SKIP_NEXT;
    session->reply.out = session->out;
    if (silent)
        output_fini(&apart);
    else
        output_append_output(session->out, &apart);
    return end;
}

/*
 * Nearly every request is plain: it reads or changes data, for a client in no special state, and nothing restrains or
 * watches commands. All that could be said against it is asked at once; execute finds out what there is.
 */
static inline bool is_plain(const struct engine *engine, const struct session *session, const struct request *request)
{
    const uint32_t special = SESSION_CLOSING | SESSION_WAITS | SESSION_REPLY_OFF | SESSION_REPLY_SKIP |
                             SESSION_REPLY_SKIP_NEXT | SESSION_NO_TOUCH | SESSION_MONITOR | SESSION_LIMITED;
    const struct command_info *command = request->plan;
    bool is_free = !engine->is_strict & !engine->keyspace->holds & !request->blob_count;
    return is_free && (session->flags & (special | SESSION_AUTHENTICATED)) == SESSION_AUTHENTICATED &&
           !session->transaction && !session->subscriber && !session->tracking && command && command->is_plain &&
           command_argc_fits(command, request->argc) && !insight_is_due(engine);
}

/* What all plain requests of a session have in common, as long as none of another kind comes between them. */
static struct call begin_calls(struct engine *engine, struct session *session)
{
    struct call call = session_call(session);
    call.now_ms = session->last_ms = engine->now_ms;
    return call;
}

/*
 * The last call of a series was out of the ordinary: it failed, took long, or waits now; or whatever it did concerns
 * who comes next. False if it is to be accounted for when it has answered.
 */
static __attribute__((noinline)) bool end_disturbed(struct engine *engine, struct call *call, uint64_t ticks)
{
    if (__builtin_expect(engine->has_late, 0))
        session_send_late(engine);
    if (call->session->flags & SESSION_WAITS) {
        if (call->session->wait)
            wait_charge(call->session, ticks);
        return false;
    }
    if (engine->settings->latency_tracking)
        command_stats_need_latency(&call->command->stats)[command_latency_bucket(ticks)]++;
    if (call->reply->failed)
        account_failed(engine, call->command, call->reply->code);
    if (ticks >= engine->notable_ticks)
        note_slow(call, ticks);
    return true;
}

/* What a series has executed. */
struct series {
    struct request *next;   /* behind the last */
    uint32_t calls;         /* that are accounted for, ... */
    uint64_t ticks, starts; /* ... what they took in all, and the sum of the moments at which they began */
    uint64_t end;           /* in ticks */
};

/*
 * A series: plain requests of one session for one command, one behind the other, up to `stop`; the first is known to be
 * one. It ends, too, behind what disturbs it: what was true in the beginning may be so no longer. Nothing is propagated
 * meanwhile (a request is plain only while nobody wants to know of changes), and between two calls nothing else
 * happens; so all that is usually done around a call is done around the series.
 */
static __attribute__((noinline)) struct series run_series(
    struct engine *engine, struct call *call, struct request *request, const struct request *stop, uint64_t at)
{
    struct session *const session = call->session;
    struct command_info *const command = call->command;
    const command_run_fn handler = command->row->run;
    const struct request *const first = request;
    const uint32_t flags = session->flags;
    uint64_t *latency = engine->settings->latency_tracking ? command_stats_need_latency(&command->stats) : NULL;
    uint64_t began = at, start, starts = 0;
    bool has_ended = true;
    do {
        call->argv = request->argv;
        call->argc = request->argc;
        call->key_hash = request->hash;
        call->request = request;
        call->propagated = false;
        request->done = true;
        handler(call);
        engine->told_of_flush = false;
        arena_reset(call->arena);
        starts += start = at;
        at = clock_ticks();
        request++;
        bool disturbed = engine->is_strict | engine->keys_ready | engine->has_late | call->reply->failed |
                         (engine->keyspace->holds != 0) | (session->flags != flags);
        if (__builtin_expect(disturbed, 0) || __builtin_expect(at - start >= engine->notable_ticks, 0)) {
            has_ended = end_disturbed(engine, call, at - start);
            break;
        }
        if (latency)
            latency[command_latency_bucket(at - start)]++;
    } while (request < stop && request->owner == session && request->plan == command && !request->blob_count &&
             command_argc_fits(command, request->argc));
    return (struct series){
        .next = request,
        .calls = (uint32_t)(request - first) - !has_ended,
        .ticks = (has_ended ? at : start) - began,
        .starts = has_ended ? starts : starts - start,
        .end = at,
    };
}

/* Executes a series of plain requests. Moves *next behind it, and returns the ticks at its end. */
static uint64_t execute_series(
    struct engine *engine, struct call *call, struct request **next, const struct request *stop, uint64_t start)
{
    struct session *session = call->session;
    struct command_info *command = (*next)->plan;
    if ((size_t)(stop - *next) >= engine->insight_in)
        stop = *next + engine->insight_in - 1; /* which will be looked at */
    call->command = command;
    call->key_arg = command->first_key < command->argc_min ? command->first_key : 0;
    session->last_command = command;
    engine->keyspace->touch = true;
    engine->current = session;
    engine->executing++;
    reply_begin(call->reply);
    struct series series = run_series(engine, call, *next, stop, start);
    engine->executing--;
    engine->current = NULL;
    engine->insight_in -= series.calls;
    tally_add(engine, session, command, series.calls, series.ticks, series.starts);
    *next = series.next;
    return series.end;
}

/* Executes a request of any kind, unless its session is closing or waits; returns the ticks at its end. */
static __attribute__((noinline)) uint64_t execute_special(
    struct engine *engine, struct request *request, uint64_t start)
{
    struct session *session = request->owner;
    if (__builtin_expect(session->flags & SESSION_CLOSING, 0)) {
        request->done = true;
        return start;
    }
    if (__builtin_expect(session->flags & SESSION_WAITS, 0))
        return start;
    if (__builtin_expect(session->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT), 0))
        return execute_silently(engine, session, request, start);
    return execute(engine, session, request, start);
}

/* Returns the ticks at the end. */
static uint64_t execute_window(struct engine *engine, struct request *requests, size_t count)
{
    plan_requests(engine, requests, count);
    struct call call;
    call.session = NULL;
    uint64_t at = clock_ticks();
    const struct request *stop = requests + count;
    for (struct request *request = requests; request < stop;) {
        struct session *session = request->owner;
        uint64_t end;
        bool plain = is_plain(engine, session, request);
        if (__builtin_expect(plain, 1)) {
            if (__builtin_expect(call.session != session, 0))
                call = begin_calls(engine, session);
            end = execute_series(engine, &call, &request, stop, at);
        } else {
            call.session = NULL;
            end = execute_special(engine, request++, at);
        }
        if (__builtin_expect(end - at > engine->refresh_ticks, 0)) {
            engine->now_ms = clock_wall_ms();
            call.session = NULL;
        }
        at = end;
        if (__builtin_expect(engine->keys_ready, 0)) {
            engine->keyspace->keeps_expired = false;
            waits_serve(engine);
            call.session = NULL;
            at = clock_ticks();
        }
    }
    settle_tally(engine, NULL, NULL);
    return at;
}

void engine_execute(struct engine *engine, struct request *requests, size_t count)
{
    engine->now_ms = clock_wall_ms();
    engine_begin_batch(engine);
    refresh_slow_ticks(engine);
    note_strictness(engine);
    bool is_from_net = engine->read_ticks != 0;
    uint64_t now = clock_ticks();
    if (!is_from_net)
        engine->read_ticks = now;
    blame_begin_batch(engine, count, now);
    engine->batch = requests;
    engine->batch_end = requests + count;
    struct blame_pipeline pipeline = { .at = now, .held_before = engine->held_ticks };
    for (size_t i = 0; i < count; i += PLAN_WINDOW) {
        size_t window = count - i < PLAN_WINDOW ? count - i : PLAN_WINDOW;
        uint64_t end = execute_window(engine, &requests[i], window);
        blame_window(engine, &pipeline, &requests[i], window, end);
    }
    blame_end_pipeline(engine, &pipeline);
    engine->keyspace->keeps_expired = false; /* what comes now may change anything */
    engine->batch = engine->batch_end = NULL;
    engine->read_ticks = 0;
    if (!is_from_net)
        split_sent(engine);
}
