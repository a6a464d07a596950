/*
 * Tests of executing: what is refused and how, silence, pauses, tasks, statistics, the slow log's entries.
 */
#include "engine/engine.h"

#include "engine/acl.h"
#include "engine/error_stats.h"
#include "engine/slowlog.h"
#include "engine/task.h"
#include "fixture.h"

/* --- Commands of the test's own --- */

static void run_get(struct call *call)
{
    struct string_scratch scratch;
    const struct entry *entry = call_read(call, 1);
    if (entry)
        reply_bulk(call->reply, string_view(entry, &scratch));
    else
        reply_null(call->reply);
}

static void run_set(struct call *call)
{
    keyspace_set_string(call->keyspace, call->db, call_key(call, 1), call->argv[2], EXPIRY_NONE, call->now_ms);
    reply_ok(call->reply);
}

static void run_nop(struct call *call)
{
    reply_ok(call->reply);
}

static void run_fail(struct call *call)
{
    struct bytes code = call->argc > 1 ? call->argv[1] : BYTES("WRONGTYPE");
    reply_error_printf(call->reply, "%.*s no", (int)code.len, code.ptr);
}

static void run_select(struct call *call)
{
    call->session->db = keyspace_db(call->keyspace, call->argv[1].ptr[0] - '0');
    reply_ok(call->reply);
}

static void run_nap(struct call *call)
{
    uint64_t end_ns = clock_mono_ns() + 3000000;
    while (clock_mono_ns() < end_ns)
        ;
    reply_ok(call->reply);
}

static void run_mute(struct call *call)
{
    uint32_t *flags = &call->session->flags;
    if (call_arg_is(call, 1, "ON")) {
        *flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
        reply_ok(call->reply);
    } else if (call_arg_is(call, 1, "OFF")) {
        *flags |= SESSION_REPLY_OFF;
    } else {
        *flags |= SESSION_REPLY_SKIP_NEXT;
    }
}

static void run_reset(struct call *call)
{
    session_reset(call->session);
    reply_status(call->reply, BYTES("RESET"));
}

static void run_close(struct call *call)
{
    reply_ok(call->reply);
    session_close(call->session, true);
}

struct counter {
    struct task task;
    int left;
    bool fails;
};
static int counters_alive;

static bool counter_step(struct task *task, struct call *call)
{
    struct counter *counter = (struct counter *)task;
    if (counter->left-- > 0)
        return false;
    if (counter->fails)
        reply_error(call->reply, BYTES("WRONGTYPE late"));
    else
        reply_status(call->reply, BYTES("late"));
    return true;
}

static void counter_destroy(struct task *task)
{
    counters_alive--;
    mem_free(task);
}

static void run_defer(struct call *call)
{
    static const struct task_type type = { .step = counter_step, .destroy = counter_destroy };
    struct counter *counter = mem_zalloc(sizeof *counter);
    counter->task.type = &type;
    counter->left = call->argv[1].ptr[0] - '0';
    counter->fails = call->argc > 2;
    counters_alive++;
    call_defer(call, &counter->task);
}

static const struct command box[] = {
    { ROW("OPEN"), .run = run_nop, .argc = EXACTLY(2), .flags = CMD_NO_AUTH },
    { ROW("SHUT"), .run = run_nop, .argc = EXACTLY(3) },
    { 0 },
};

static const struct command rows[] = {
    { ROW("GET"), .run = run_get, .argc = EXACTLY(2), .flags = CMD_READ, .keys = { KEY_AT(1, KEY_RO) } },
    { ROW("SET"), .run = run_set, .argc = EXACTLY(3), .flags = CMD_WRITE, .keys = { KEY_AT(1, KEY_OW) } },
    { ROW("NOP"), .run = run_nop, .argc = AT_LEAST(1) },
    { ROW("FAIL"), .run = run_fail, .argc = AT_LEAST(1) },
    { ROW("SELECT"), .run = run_select, .argc = EXACTLY(2) },
    { ROW("NAP"), .run = run_nap, .argc = AT_LEAST(1) },
    { ROW("QUIETNAP"), .run = run_nap, .argc = AT_LEAST(1), .flags = CMD_SKIP_SLOWLOG },
    { ROW("MUTE"), .run = run_mute, .argc = EXACTLY(2) },
    { ROW("RESET"), .run = run_reset, .argc = EXACTLY(1), .flags = CMD_NO_AUTH },
    { ROW("CLOSE"), .run = run_close, .argc = EXACTLY(1) },
    { ROW("GUARD"), .run = run_nop, .argc = EXACTLY(1), .flags = CMD_PROTECTED },
    { ROW("AUTH"), .run = run_nop, .argc = EXACTLY(2), .flags = CMD_NO_AUTH },
    { ROW("DEFER"), .run = run_defer, .argc = AT_LEAST(2) },
    { ROW("ADMIN"), .run = run_nop, .argc = EXACTLY(1), .flags = CMD_ADMIN, .group = GROUP_CONNECTION },
    { ROW("BOX"), .argc = AT_LEAST(2), .subcommands = box },
    { 0 },
};

static struct fixture f;
static struct client a, b;
static struct batch batch;

static void begin(void)
{
    fixture_begin(&f, rows);
    client_open(&f, &a);
    client_open(&f, &b);
}

static void end(void)
{
    client_gone(&a);
    client_gone(&b);
    cr_assert_eq(counters_alive, 0);
    fixture_end(&f);
}

TestSuite(execute, .init = begin, .fini = end);

/* --- Answers and refusals --- */

Test(execute, answers_in_order)
{
    batch_add(&batch, &a, "SET k 1");
    batch_add(&batch, &a, "GET k");
    batch_add(&batch, &b, "get k");
    batch_add(&batch, &b, "GET none");
    batch_add(&batch, &a, "NOP");
    cr_assert_eq(batch_run(&f, &batch), 5);
    TAKES(&a, "+OK.$1.1.+OK.");
    TAKES(&b, "$1.1.$-1.");
    cr_assert_eq(f.engine->stats.commands, 5);
    cr_assert_eq(a.session->commands, 3);
    cr_assert_eq(a.session->last_command, command_of(&f, "nop"));
}

Test(execute, plans_more_than_a_window)
{
    char text[32];
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, i % 2 ? "GET k%d" : "SET k%d v", i / 2);
        batch_add(&batch, &a, text);
    }
    cr_assert_eq(batch_run(&f, &batch), 200);
    const char *seen = client_take(&a);
    for (int i = 0; i < 100; i++, seen += 9)
        cr_assert_eq(strncmp(seen, "+OK.$1.v.", 9), 0);
}

Test(execute, follows_the_database_within_a_batch)
{
    batch_add(&batch, &a, "SET k 0");
    batch_add(&batch, &a, "SELECT 1");
    batch_add(&batch, &a, "GET k");
    batch_add(&batch, &a, "SET k 1");
    batch_add(&batch, &b, "GET k");
    batch_run(&f, &batch);
    TAKES(&a, "+OK.+OK.$-1.+OK.");
    TAKES(&b, "$1.0.");
}

Test(execute, unknown_command)
{
    ANSWERS(&f, &a, "FOO", "-ERR unknown command 'FOO', with args beginning with: .");
    ANSWERS(&f, &a, "FOO a b", "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' .");
    char text[600], expected[600], ys[129];
    memset(ys, 'y', 128);
    ys[128] = '\0';
    snprintf(text, sizeof text, "%sX %sX more", ys, ys);
    snprintf(expected, sizeof expected, "-ERR unknown command '%s', with args beginning with: '%s' .", ys, ys);
    ANSWERS(&f, &a, text, expected);
    snprintf(text, sizeof text, "FOO %.120s bcdef", ys); /* the second is cut to what is left of 128 */
    snprintf(expected, sizeof expected, "-ERR unknown command 'FOO', with args beginning with: '%.120s' 'bcdef' .", ys);
    ANSWERS(&f, &a, text, expected);
    snprintf(text, sizeof text, "FOO %.122s bcdef", ys);
    snprintf(expected, sizeof expected, "-ERR unknown command 'FOO', with args beginning with: '%.122s' 'bcd' .", ys);
    ANSWERS(&f, &a, text, expected);
    snprintf(text, sizeof text, "FOO %.125s bcdef", ys);
    snprintf(expected, sizeof expected, "-ERR unknown command 'FOO', with args beginning with: '%.125s' .", ys);
    ANSWERS(&f, &a, text, expected);
    cr_assert_eq(f.engine->stats.errors, 6);
    cr_assert_eq(f.engine->stats.commands, 0);
}

Test(execute, errors_end_at_a_zero_byte)
{
    struct bytes argv[] = { BYTES("F\0O"), BYTES("a\0b"), BYTES("c\r\nd"), { NULL, 0 } };
    struct request request = { .owner = a.session, .argv = argv, .argc = 4 };
    engine_execute(f.engine, &request, 1);
    TAKES(&a, "-ERR unknown command 'F', with args beginning with: 'a' 'c  d' '' .");
}

Test(execute, arity)
{
    ANSWERS(&f, &a, "GET", "-ERR wrong number of arguments for 'get' command.");
    ANSWERS(&f, &a, "GET a b", "-ERR wrong number of arguments for 'get' command.");
    ANSWERS(&f, &a, "BOX", "-ERR wrong number of arguments for 'box' command.");
    ANSWERS(&f, &a, "BOX OPEN x", "-ERR wrong number of arguments for 'box|open' command.");
    ANSWERS(&f, &a, "box shut x", "+OK.");
    cr_assert_eq(command_of(&f, "get")->stats.rejected, 2);
    cr_assert_eq(command_of(&f, "get")->stats.calls, 0);
    cr_assert_eq(command_of(&f, "box")->stats.rejected, 1);
    cr_assert_eq(command_of(&f, "box")->subs[0].stats.rejected, 1);
    cr_assert_eq(command_of(&f, "box")->subs[1].stats.calls, 1);
}

Test(execute, unknown_subcommand)
{
    ANSWERS(&f, &a, "box ajar x", "-ERR unknown subcommand 'ajar'. Try BOX HELP..");
    cr_assert_eq(command_of(&f, "box")->stats.rejected, 0);
    cr_assert_eq(f.engine->stats.errors, 1);
    command_rename(f.engine->registry, BYTES("box"), BYTES("crate"));
    ANSWERS(&f, &a, "crate ajar", "-ERR unknown subcommand 'ajar'. Try CRATE HELP..");
    ANSWERS(&f, &a, "crate open x", "-ERR wrong number of arguments for 'box|open' command.");
}

Test(execute, authentication_comes_after_form)
{
    session_set_authenticated(a.session, false);
    ANSWERS(&f, &a, "NOP", "-NOAUTH Authentication required..");
    ANSWERS(&f, &a, "GET", "-ERR wrong number of arguments for 'get' command.");
    ANSWERS(&f, &a, "FOO", "-ERR unknown command 'FOO', with args beginning with: .");
    ANSWERS(&f, &a, "BOX AJAR", "-ERR unknown subcommand 'AJAR'. Try BOX HELP..");
    ANSWERS(&f, &a, "BOX SHUT x", "-NOAUTH Authentication required..");
    ANSWERS(&f, &a, "BOX OPEN", "+OK.");
    ANSWERS(&f, &a, "AUTH x", "+OK.");
    ANSWERS(&f, &b, "NOP", "+OK.");
    cr_assert_eq(command_of(&f, "nop")->stats.rejected, 1);
    session_set_authenticated(a.session, true);
    ANSWERS(&f, &a, "NOP", "+OK.");
}

Test(execute, new_sessions_are_authenticated_without_a_password)
{
    cr_assert(a.session->flags & SESSION_AUTHENTICATED);
    cr_assert(a.authenticated);
    acl_set_default_password(f.engine, BYTES("secret"));
    client_gone(&b);
    client_open(&f, &b);
    cr_assert_not(b.authenticated);
    ANSWERS(&f, &b, "NOP", "-NOAUTH Authentication required..");
    ANSWERS(&f, &a, "NOP", "+OK.");
    ANSWERS(&f, &a, "RESET", "+RESET.");
    ANSWERS(&f, &a, "NOP", "-NOAUTH Authentication required..");
}

Test(execute, protected_commands)
{
    client_send(&f, &a, "GUARD");
    cr_assert_eq(strncmp(client_take(&a), "-ERR GUARD command not allowed. ", 32), 0);
    f.settings.enable_debug_command = 2;
    client_send(&f, &a, "GUARD");
    cr_assert_eq(client_take(&a)[0], '-');
    a.session->flags |= SESSION_PRIVILEGED;
    ANSWERS(&f, &a, "GUARD", "+OK.");
    f.settings.enable_debug_command = 1;
    ANSWERS(&f, &b, "GUARD", "+OK.");
    cr_assert_eq(command_of(&f, "guard")->stats.rejected, 2);
}

Test(execute, errors_are_counted)
{
    uint64_t count;
    ANSWERS(&f, &a, "FAIL", "-WRONGTYPE no.");
    ANSWERS(&f, &a, "FAIL ODD", "-ODD no.");
    ANSWERS(&f, &a, "FAIL ODD", "-ODD no.");
    ANSWERS(&f, &a, "GET", "-ERR wrong number of arguments for 'get' command.");
    ANSWERS(&f, &a, "NOP", "+OK.");
    const struct command_stats *stats = &command_of(&f, "fail")->stats;
    cr_assert_eq(stats->calls, 3);
    cr_assert_eq(stats->failed, 3);
    cr_assert_eq(stats->rejected, 0);
    cr_assert_eq(command_of(&f, "nop")->stats.failed, 0);
    cr_assert_eq(f.engine->stats.errors, 4);
    cr_assert_str_eq(error_stats_at(f.engine->errors, 0, &count), "ERR");
    cr_assert_eq(count, 1);
    cr_assert_str_eq(error_stats_at(f.engine->errors, 1, &count), "ODD");
    cr_assert_eq(count, 2);
    cr_assert_str_eq(error_stats_at(f.engine->errors, 2, &count), "WRONGTYPE");
    cr_assert_null(error_stats_at(f.engine->errors, 3, &count));
    for (int i = 0; i < 2 * ERROR_STATS_MAX; i++) {
        char text[32];
        snprintf(text, sizeof text, "FAIL E%d", i);
        client_send(&f, &a, text);
    }
    cr_assert_not_null(error_stats_at(f.engine->errors, ERROR_STATS_MAX - 1, &count));
    cr_assert_null(error_stats_at(f.engine->errors, ERROR_STATS_MAX, &count));
}

Test(execute, closing_sessions_execute_nothing_more)
{
    batch_add(&batch, &a, "CLOSE");
    batch_add(&batch, &a, "SET k v");
    batch_add(&batch, &b, "GET k");
    cr_assert_eq(batch_run(&f, &batch), 3);
    cr_assert(a.closed);
    TAKES(&a, "+OK.");
    TAKES(&b, "$-1.");
}

Test(execute, sessions_are_found_by_id)
{
    cr_assert_eq(session_find(f.engine, a.session->id), a.session);
    cr_assert_eq(session_find(f.engine, b.session->id), b.session);
    cr_assert_lt(a.session->id, b.session->id);
    cr_assert_null(session_find(f.engine, 0));
    uint64_t id = a.session->id;
    client_gone(&a);
    cr_assert_null(session_find(f.engine, id));
    cr_assert_eq(f.engine->session_count, 1);
    cr_assert_eq(f.engine->sessions, b.session);
    client_open(&f, &a);
    cr_assert_gt(a.session->id, id);
    cr_assert_eq(b.session->next, a.session);
}

/* --- Silence --- */

Test(execute, silence)
{
    batch_add(&batch, &a, "MUTE OFF");
    batch_add(&batch, &a, "NOP");
    batch_add(&batch, &a, "FOO");
    batch_add(&batch, &b, "NOP");
    batch_add(&batch, &a, "MUTE ON");
    batch_add(&batch, &a, "NOP");
    cr_assert_eq(batch_run(&f, &batch), 6);
    TAKES(&a, "+OK.+OK.");
    TAKES(&b, "+OK.");
}

Test(execute, one_reply_is_skipped)
{
    const char *const texts[] = { "MUTE SKIP", "SET k 1", "GET k", "MUTE SKIP", "FOO", "NOP", "MUTE SKIP", "MUTE SKIP",
        "GET k", "NOP", "MUTE SKIP", "MUTE ON", "GET k" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        batch_add(&batch, &a, texts[i]);
    batch_run(&f, &batch);
    TAKES(&a, "$1.1.+OK.+OK.+OK.$1.1.");
}

Test(execute, reset_ends_silence)
{
    batch_add(&batch, &a, "MUTE OFF");
    batch_add(&batch, &a, "RESET");
    batch_add(&batch, &a, "NOP");
    batch_add(&batch, &a, "MUTE SKIP");
    batch_add(&batch, &a, "RESET");
    batch_add(&batch, &a, "NOP");
    batch_run(&f, &batch);
    TAKES(&a, "+RESET.+OK.+OK.");
}

/* --- Pauses --- */

Test(execute, pause_of_writes)
{
    engine_pause(f.engine, f.engine->now_ms + 100000, false);
    batch_add(&batch, &a, "GET k");
    batch_add(&batch, &a, "SET k 1");
    batch_add(&batch, &a, "GET k");
    batch_add(&batch, &b, "GET k");
    cr_assert_eq(batch_run(&f, &batch), 2);
    TAKES(&a, "$-1.");
    TAKES(&b, "$-1.");
    cr_assert(a.paused);
    cr_assert_not(b.paused);
    cr_assert_eq(batch.count, 2);
    cr_assert_eq(batch_run(&f, &batch), 0);
    engine_tick(f.engine, f.engine->now_ms);
    cr_assert(a.paused);
    engine_tick(f.engine, f.engine->now_ms + 100000);
    cr_assert_not(a.paused);
    cr_assert_eq(batch_run(&f, &batch), 2);
    TAKES(&a, "+OK.$1.1.");
    cr_assert_eq(command_of(&f, "set")->stats.calls, 1);
}

Test(execute, pause_of_all)
{
    engine_pause(f.engine, f.engine->now_ms + 100000, true);
    engine_pause(f.engine, f.engine->now_ms + 1, false); /* weakens nothing */
    cr_assert(f.engine->pause_all);
    batch_add(&batch, &a, "GET k");
    batch_add(&batch, &b, "ADMIN");
    cr_assert_eq(batch_run(&f, &batch), 1);
    TAKES(&b, "+OK.");
    TAKES(&a, "");
    ANSWERS(&f, &b, "GET", "-ERR wrong number of arguments for 'get' command."); /* refusals do not wait */
    engine_tick(f.engine, f.engine->now_ms + 50000);
    cr_assert(a.paused);
    engine_unpause(f.engine);
    cr_assert_not(a.paused);
    cr_assert_eq(batch_run(&f, &batch), 1);
    TAKES(&a, "$-1.");
}

Test(execute, pause_keeps_the_skip)
{
    client_send(&f, &a, "MUTE SKIP");
    engine_pause(f.engine, f.engine->now_ms + 100000, false);
    batch_add(&batch, &a, "SET k 1");
    batch_add(&batch, &a, "GET k");
    cr_assert_eq(batch_run(&f, &batch), 0);
    engine_unpause(f.engine);
    cr_assert_eq(batch_run(&f, &batch), 2);
    TAKES(&a, "$1.1.");
}

/* --- Tasks --- */

Test(execute, deferral_suspends_its_session_only)
{
    batch_add(&batch, &a, "DEFER 3");
    batch_add(&batch, &a, "NOP");
    batch_add(&batch, &b, "NOP");
    batch_add(&batch, &a, "GET k");
    cr_assert_eq(batch_run(&f, &batch), 2);
    TAKES(&a, "");
    TAKES(&b, "+OK.");
    cr_assert(a.paused);
    cr_assert_eq(engine_task_count(f.engine), 1);
    cr_assert_eq(batch_run(&f, &batch), 0);
    cr_assert_eq(command_of(&f, "defer")->stats.calls, 0);
    while (engine_run_tasks(f.engine, 0))
        ;
    TAKES(&a, "+late.");
    cr_assert_eq(a.wakes, 1);
    cr_assert_not(a.paused);
    cr_assert_eq(command_of(&f, "defer")->stats.calls, 1);
    cr_assert_eq(batch_run(&f, &batch), 2);
    TAKES(&a, "+OK.$-1.");
}

Test(execute, tasks_take_turns)
{
    client_send(&f, &a, "DEFER 4");
    client_send(&f, &b, "DEFER 1 fail");
    cr_assert_eq(engine_task_count(f.engine), 2);
    int turns = 0;
    while (b.paused && turns++ < 100)
        engine_run_tasks(f.engine, 0);
    TAKES(&b, "-WRONGTYPE late.");
    cr_assert(a.paused);
    engine_run_tasks(f.engine, 1000000000);
    cr_assert_not(a.paused);
    TAKES(&a, "+late.");
    const struct command_stats *stats = &command_of(&f, "defer")->stats;
    cr_assert_eq(stats->calls, 2);
    cr_assert_eq(stats->failed, 1);
}

Test(execute, clients_leave_during_their_tasks)
{
    client_send(&f, &a, "DEFER 9");
    client_send(&f, &b, "DEFER 2");
    engine_run_tasks(f.engine, 0);
    client_gone(&a);
    cr_assert_eq(counters_alive, 1);
    engine_run_tasks(f.engine, 1000000000);
    TAKES(&b, "+late.");
    client_open(&f, &a);
    client_send(&f, &a, "DEFER 9"); /* and the engine may end before it */
}

Test(execute, silence_covers_tasks)
{
    batch_add(&batch, &a, "MUTE SKIP");
    batch_add(&batch, &a, "DEFER 1");
    batch_add(&batch, &a, "NOP");
    cr_assert_eq(batch_run(&f, &batch), 2);
    engine_run_tasks(f.engine, 1000000000);
    TAKES(&a, "");
    cr_assert_eq(batch_run(&f, &batch), 1);
    TAKES(&a, "+OK.");
}

Test(execute, suspension_outlives_a_pause)
{
    client_send(&f, &a, "DEFER 3");
    engine_pause(f.engine, f.engine->now_ms + 100000, true);
    engine_unpause(f.engine);
    cr_assert(a.paused);
    engine_run_tasks(f.engine, 1000000000);
    cr_assert_not(a.paused);
}

/* --- The slow log --- */

Test(execute, slow_commands_are_logged)
{
    ANSWERS(&f, &a, "NAP", "+OK.");
    cr_assert_eq(slowlog_len(f.engine->slowlog), 0); /* switched off */
    f.settings.slowlog_log_slower_than_us = 2000;
    ANSWERS(&f, &a, "NAP x y", "+OK.");
    ANSWERS(&f, &a, "QUIETNAP", "+OK.");
    ANSWERS(&f, &a, "NOP", "+OK.");
    cr_assert_eq(slowlog_len(f.engine->slowlog), 1);
    const struct slowlog_item *item = slowlog_newest(f.engine->slowlog);
    cr_assert_eq(item->argc, 3);
    cr_assert(bytes_equal(item->argv[2], BYTES("y")));
    cr_assert_geq(item->duration_us, 2000);
    cr_assert_str_eq(item->peer, "test:1");
    cr_assert_str_eq(item->name, "");
    cr_assert_eq(f.engine->stats.slow_commands, 1);
}

Test(execute, slow_log_may_take_everything)
{
    f.settings.slowlog_log_slower_than_us = 0;
    a.session->name = mem_strdup("me");
    for (int i = 0; i < 20; i++)
        client_send(&f, &a, "NOP");
    client_send(&f, &a, "GET"); /* was not executed */
    cr_assert_eq(slowlog_len(f.engine->slowlog), 8);
    cr_assert_str_eq(slowlog_newest(f.engine->slowlog)->name, "me");
    client_send(&f, &a, "DEFER 1");
    engine_run_tasks(f.engine, 1000000000);
    cr_assert_eq(f.engine->stats.slow_commands, 21);
    cr_assert(bytes_equal(slowlog_newest(f.engine->slowlog)->argv[0], BYTES("defer")));
    f.settings.slowlog_log_slower_than_us = INT64_MAX;
    client_send(&f, &a, "NOP");
    cr_assert_eq(f.engine->stats.slow_commands, 21);
}

Test(execute, times_are_tracked)
{
    client_send(&f, &a, "NAP");
    const struct command_stats *stats = &command_of(&f, "nap")->stats;
    cr_assert_geq(clock_ticks_to_ns(stats->ticks), 2900000);
    cr_assert_geq(command_stats_quantile(stats, 0.5), 2900000);
    f.settings.latency_tracking = false;
    client_send(&f, &a, "NOP");
    cr_assert_null(command_of(&f, "nop")->stats.latency);
    cr_assert_eq(command_of(&f, "nop")->stats.calls, 1);
}
