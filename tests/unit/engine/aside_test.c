/*
 * Tests of handlers that run aside with very many arguments: those that lie in memory of the connection's own are taken
 * over, others copied, and without memory for that the command runs at once; in transactions, too. In each case it
 * answers the same, sees its arguments whole, holds nothing afterwards, and no memory is lost.
 */
#include "engine/aside.h"

#include "base/fiber.h"
#include "engine/transaction.h"
#include "fixture.h"

enum { WORDS = 3000 };

/* Answers the sum of the lengths of all words. */
static void run_total(struct call *call)
{
    if (call_aside(call, call->argc))
        return;
    size_t sum = 0;
    for (uint32_t i = 0; i < call->argc; i++) {
        fiber_breathe(10);
        for (size_t at = 0; at < call->argv[i].len; at++)
            sum += call->argv[i].ptr[at] == 'w';
    }
    reply_int(call->reply, (int64_t)sum);
}

static void run_change(struct call *call)
{
    reply_ok(call->reply);
}

static void run_multi(struct call *call)
{
    transaction_begin(call->session);
    reply_ok(call->reply);
}

static void run_exec(struct call *call)
{
    transaction_run(call);
}

static const struct command rows[] = {
    { ROW("ONE"), .run = run_total, .argc = AT_LEAST(2), .group = GROUP_STRING, .flags = CMD_WRITE,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) } },
    { ROW("ALL"), .run = run_total, .argc = AT_LEAST(2), .group = GROUP_STRING, .flags = CMD_WRITE,
        .keys = { KEY_RANGE(1, -1, 1, KEY_RW | KEY_UPDATE) } },
    { ROW("CHANGE"), .run = run_change, .argc = EXACTLY(2), .group = GROUP_STRING, .flags = CMD_WRITE,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) } },
    { ROW("MULTI"), .run = run_multi, .argc = EXACTLY(1), .group = GROUP_TRANSACTIONS, .flags = CMD_UNQUEUED },
    { ROW("EXEC"), .run = run_exec, .argc = EXACTLY(1), .group = GROUP_TRANSACTIONS,
        .flags = CMD_UNQUEUED | CMD_RUNS_QUEUE },
    { 0 },
};

/* A request of WORDS words, of which all but the first are a "w" and a number, in memory of the client's own. */
static struct request make_request(struct client *client, const char *command)
{
    enum { WORD_ROOM = 8 };
    struct bytes *argv = mem_alloc(WORDS * sizeof *argv);
    char *bytes = mem_alloc(WORDS * WORD_ROOM);
    for (uint32_t i = 0; i < WORDS; i++) {
        char *at = bytes + i * WORD_ROOM;
        argv[i] = bytes_make(at, (size_t)snprintf(at, WORD_ROOM, "w%u", i));
    }
    argv[0] = bytes_from_cstr(command);
    client->own_argv = argv;
    client->own_bytes = bytes;
    return (struct request){ .owner = client->session, .argv = argv, .argc = WORDS };
}

static void execute(struct fixture *fixture, struct request *request)
{
    engine_execute(fixture->engine, request, 1);
    cr_assert(request->done);
}

static void finish_tasks(struct fixture *fixture)
{
    while (engine_task_count(fixture->engine))
        engine_run_tasks(fixture->engine, UINT64_C(1000000));
}

enum manner { TAKEN, COPIED };

/* Executes the command, whose Nth attempt to get memory fails: then it runs at once. True if it went aside. */
static bool try_command(const char *command, enum manner manner, uint64_t nth)
{
    struct fixture fixture;
    struct client client, other;
    fixture_begin(&fixture, rows);
    client_open(&fixture, &client);
    client_open(&fixture, &other);
    struct request request = make_request(&client, command);
    struct bytes *lent = client.own_argv;
    char *lent_bytes = client.own_bytes;
    if (manner == COPIED)
        client.own_argv = NULL;
    mem_fail_nth(nth);
    execute(&fixture, &request);
    mem_fail_nth(0);
    bool is_aside = engine_task_count(fixture.engine) > 0;
    if (manner == COPIED) { /* the connection's memory is used for something else then */
        memset(lent_bytes, 'x', 100);
        mem_free(lent);
        mem_free(lent_bytes);
        client.own_bytes = NULL;
    }
    cr_assert(manner == COPIED || (client.own_argv == NULL) == is_aside);
    finish_tasks(&fixture);
    TAKES(&client, ":2999.");
    ANSWERS(&fixture, &other, "CHANGE w1", "+OK.");
    client_gone(&client);
    client_gone(&other);
    fixture_end(&fixture);
    return is_aside;
}

/* At least so many attempts are needed, and no more than ATTEMPTS_MAX. */
static void fail_each(const char *command, enum manner manner, unsigned least)
{
    enum { ATTEMPTS_MAX = 10 };
    unsigned failed = 0;
    for (uint64_t nth = 1; nth <= ATTEMPTS_MAX; nth++)
        failed += !try_command(command, manner, nth);
    cr_assert_geq(failed, least, "only %u attempts", failed);
    cr_assert(try_command(command, manner, 0) && try_command(command, manner, ATTEMPTS_MAX + 1));
}

Test(aside, arguments_that_are_taken)
{
    fail_each("ONE", TAKEN, 1);
}

Test(aside, arguments_that_are_copied)
{
    fail_each("ONE", COPIED, 2);
}

Test(aside, very_many_keys)
{
    fail_each("ALL", TAKEN, 1);
    fail_each("ALL", COPIED, 2);
}

/* They are held by what their hashes have in common, which few others may share: those would wait without need. */
Test(aside, others_than_very_many_keys)
{
    enum { OTHERS = 200 * 1000, FEW = OTHERS / 500 };
    struct fixture fixture;
    struct client client;
    fixture_begin(&fixture, rows);
    client_open(&fixture, &client);
    struct request request = make_request(&client, "ALL");
    execute(&fixture, &request);
    const struct keyspace_observer *observer = &fixture.keyspace->observer;
    cr_assert(observer->held(observer->context, BYTES("w1")) && observer->held(observer->context, BYTES("w2999")));
    unsigned taken_for_held = 0;
    for (uint32_t i = 0; i < OTHERS; i++)
        taken_for_held += observer->held(observer->context, bytes_make((const char *)&i, sizeof i));
    cr_expect_lt(taken_for_held, FEW, "%u", taken_for_held);
    finish_tasks(&fixture);
    client_gone(&client);
    fixture_end(&fixture);
}

/* In a transaction: queued, or refused with its arguments untouched, as whoever logs it may still read them. */
static bool try_queueing(enum manner manner, uint64_t nth)
{
    struct fixture fixture;
    struct client client;
    fixture_begin(&fixture, rows);
    client_open(&fixture, &client);
    ANSWERS(&fixture, &client, "MULTI", "+OK.");
    struct request request = make_request(&client, "ONE");
    struct bytes *lent = client.own_argv;
    char *lent_bytes = client.own_bytes;
    if (manner == COPIED)
        client.own_argv = NULL;
    mem_fail_nth(nth);
    execute(&fixture, &request);
    mem_fail_nth(0);
    const char *answer = client_take(&client);
    bool queued = strcmp(answer, "+QUEUED.") == 0;
    cr_assert(queued || answer[0] == '-', "%s", answer);
    if (manner == COPIED || !queued)
        cr_assert(bytes_equal(lent[WORDS - 1], BYTES("w2999")));
    if (manner == COPIED) {
        mem_free(lent);
        mem_free(lent_bytes);
        client.own_bytes = NULL;
    } else {
        cr_assert_eq(client.own_argv == NULL, queued);
    }
    if (queued) {
        client_send(&fixture, &client, "EXEC");
        finish_tasks(&fixture);
        TAKES(&client, "*1.:2999.");
    } else {
        ANSWERS(&fixture, &client, "EXEC", "-EXECABORT Transaction discarded because of previous errors..");
    }
    client_gone(&client);
    fixture_end(&fixture);
    return queued;
}

Test(aside, arguments_that_are_queued)
{
    for (int manner = TAKEN; manner <= COPIED; manner++) {
        uint64_t nth = 1;
        while (!try_queueing((enum manner)manner, nth))
            nth++;
        cr_assert_gt(nth, manner == TAKEN ? 1u : 2u);
    }
}

/* Its client leaves: what changes something goes on, and the answer is dropped. */
Test(aside, an_answer_that_nobody_waits_for)
{
    struct fixture fixture;
    struct client client, other;
    fixture_begin(&fixture, rows);
    client_open(&fixture, &client);
    client_open(&fixture, &other);
    struct request request = make_request(&client, "ONE");
    execute(&fixture, &request);
    cr_assert_eq(engine_task_count(fixture.engine), 1);
    client_gone(&client);
    finish_tasks(&fixture);
    ANSWERS(&fixture, &other, "CHANGE w1", "+OK.");
    client_gone(&other);
    fixture_end(&fixture);
}
