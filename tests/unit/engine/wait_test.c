/*
 * Tests of waiting: who is served, when and with what; how waits end; what happens to keys meanwhile; what is counted.
 */
#include "engine/wait.h"

#include "../base/seed.h"
#include "base/random.h"
#include "engine/slowlog.h"
#include "fixture.h"
#include "letters.h"
#include "store/reclaim.h"

enum { CLIENTS = 6 };

static struct fixture f;
static struct client c[CLIENTS]; /* c[0] never waits */
static struct batch batch;

static void begin(void)
{
    fixture_begin(&f, letters_commands);
    for (int i = 0; i < CLIENTS; i++)
        client_open(&f, &c[i]);
}

static struct wait_stats stats(void)
{
    struct wait_stats now;
    engine_wait_stats(f.engine, &now);
    return now;
}

static void end(void)
{
    for (int i = 0; i < CLIENTS; i++)
        client_gone(&c[i]);
    struct wait_stats now = stats();
    cr_assert_eq(now.sessions + now.timed + now.keys + now.gone_keys, 0);
    cr_assert_eq(f.keyspace->watched, 0);
    while (reclaim_step(f.keyspace->reclaim, 1000))
        ;
    fixture_end(&f);
}

TestSuite(wait, .init = begin, .fini = end);

/* The first client's answers are not looked at. */
static void send(int client, const char *text)
{
    client_send(&f, &c[client], text);
    if (client == 0)
        client_take(&c[0]);
}

#define SAYS(client, expected) TAKES(&c[client], expected)

/* --- Basics --- */

Test(wait, is_over_when_the_key_comes)
{
    send(1, "POP k 0");
    SAYS(1, "");
    cr_assert(c[1].paused && c[1].patient && c[1].session->wait);
    cr_assert_eq(f.keyspace->watched, 1);
    ANSWERS(&f, &c[0], "PUSH other x", "+OK.");
    cr_assert(c[1].paused);
    ANSWERS(&f, &c[0], "PUSH k ab", "+OK.");
    SAYS(1, "*2.$1.k.$1.a.");
    cr_assert_not(c[1].paused || c[1].patient || c[1].session->wait);
    cr_assert_eq(c[1].wakes, 1);
    cr_assert_eq(f.keyspace->watched, 0);
    ANSWERS(&f, &c[0], "GET k", "$1.b.");
    ANSWERS(&f, &c[1], "POP k 0", "*2.$1.k.$1.b."); /* no need to wait */
}

Test(wait, holds_up_its_own_session_only)
{
    batch_add(&batch, &c[1], "POP k 0");
    batch_add(&batch, &c[1], "GET k");
    batch_add(&batch, &c[2], "NOP");
    batch_add(&batch, &c[2], "PUSH k ab");
    cr_assert_eq(batch_run(&f, &batch), 3);
    SAYS(1, "*2.$1.k.$1.a.");
    SAYS(2, "+OK.+OK.");
    cr_assert_eq(batch_run(&f, &batch), 1);
    SAYS(1, "$1.b.");
}

Test(wait, is_over_in_the_same_batch)
{
    batch_add(&batch, &c[1], "POP k 0");
    batch_add(&batch, &c[2], "PUSH k a");
    batch_add(&batch, &c[1], "NOP"); /* by then the session goes on */
    cr_assert_eq(batch_run(&f, &batch), 3);
    SAYS(1, "*2.$1.k.$1.a.+OK.");
}

Test(wait, first_come_first_served)
{
    for (int i = 1; i <= 5; i++)
        send(i, "POP k 0");
    send(0, "PUSH k abc");
    SAYS(1, "*2.$1.k.$1.a.");
    SAYS(2, "*2.$1.k.$1.b.");
    SAYS(3, "*2.$1.k.$1.c.");
    SAYS(4, "");
    send(1, "POP k 0"); /* behind those who still wait */
    send(0, "PUSH k de");
    SAYS(4, "*2.$1.k.$1.d.");
    SAYS(5, "*2.$1.k.$1.e.");
    send(0, "PUSH k f");
    SAYS(1, "*2.$1.k.$1.f.");
    cr_assert_eq(stats().keys, 0);
}

Test(wait, for_several_keys)
{
    send(1, "POP a b c 0");
    cr_assert_eq(stats().keys, 3);
    cr_assert_eq(stats().sessions, 1);
    send(0, "PUSH b x");
    SAYS(1, "*2.$1.b.$1.x.");
    cr_assert_eq(stats().keys, 0);
    send(1, "POP a a b a 0"); /* the same key twice is one place */
    send(0, "PUSH a yz");
    SAYS(1, "*2.$1.a.$1.y.");
    ANSWERS(&f, &c[0], "GET a", "$1.z.");
}

Test(wait, keys_in_the_order_in_which_they_changed)
{
    send(1, "POP a b 0");
    send(2, "POP b a 0");
    send(0, "PUSH b x a y");
    SAYS(1, "*2.$1.b.$1.x.");
    SAYS(2, "*2.$1.a.$1.y.");
}

Test(wait, sees_nothing_of_what_did_not_last)
{
    send(1, "POP k 0");
    send(0, "PUSHDEL k");
    SAYS(1, "");
    cr_assert_eq(letters_retries, 0); /* there was nothing to try */
    send(0, "PUSH k a");
    SAYS(1, "*2.$1.k.$1.a.");
}

Test(wait, keys_of_databases_are_apart)
{
    send(1, "POP k 0");
    send(2, "SELECT 1");
    send(2, "POP k 0");
    cr_assert_eq(stats().keys, 2);
    send(0, "SELECT 1");
    send(0, "PUSH k a");
    SAYS(1, "");
    SAYS(2, "+OK.*2.$1.k.$1.a.");
    send(0, "SELECT 0");
    send(0, "PUSH k b");
    SAYS(1, "*2.$1.k.$1.b.");
}

Test(wait, empty_and_long_names)
{
    send(1, "POP  0"); /* one key, the empty name */
    char text[1200];
    memset(text, 'n', sizeof text);
    memcpy(text, "POP ", 4);
    memcpy(text + 1100, " 0", 3);
    send(2, text);
    send(0, "PUSH  x");
    SAYS(1, "*2.$0..$1.x.");
    memcpy(text, "DEL ", 4);
    SAYS(2, "");
}

Test(wait, arguments_may_be_put_in_place)
{
    send(0, "PUSH k abc");
    send(1, "READ k $ 0");
    send(0, "NOP"); /* whose arena is another one's rubbish */
    send(0, "PUSH k d");
    SAYS(1, "$4.abcd.");
}

Test(wait, in_a_transaction_is_over_at_once)
{
    ANSWERS(&f, &c[1], "ATOMICPOP k 0", "*-1.");
    cr_assert_not(c[1].paused);
}

/* --- Kinds and lines --- */

Test(wait, readers_are_all_served)
{
    send(1, "READ k 3 0");
    send(2, "READ k 1 0");
    send(3, "READ k 2 0");
    send(4, "READ k 1 0");
    send(0, "PUSH k ab");
    SAYS(1, "");
    SAYS(2, "$2.ab.");
    SAYS(3, "");
    SAYS(4, "$2.ab.");
    send(0, "PUSH k cd");
    SAYS(1, "$4.abcd.");
    SAYS(3, "$4.abcd.");
}

Test(wait, those_in_vain_stop_their_line_only)
{
    send(1, "GROUP k a 0");
    send(2, "GROUP k a 0");
    send(3, "GROUP k b 0");
    send(4, "GROUP k c 0");
    send(0, "PUSH k bx");
    SAYS(3, "$1.b.");
    SAYS(1, "");
    cr_assert_eq(letters_retries, 3); /* the second of line a was not asked */
    cr_assert_eq(stats().gone_keys, 1);
    send(0, "DEL k");
    SAYS(1, "-UNBLOCKED gone.");
    SAYS(2, "-UNBLOCKED gone.");
    SAYS(4, "-UNBLOCKED gone.");
}

Test(wait, kinds_share_a_key)
{
    send(1, "POP k 0");
    send(2, "READ k 0 0");
    send(3, "POP k 0");
    send(0, "PUSH k ab");
    SAYS(1, "*2.$1.k.$1.a.");
    SAYS(3, "*2.$1.k.$1.b.");
    SAYS(2, ""); /* nothing was left for it */
    send(0, "PUSH k c");
    SAYS(2, "$1.c.");
}

static void change_type(enum entry_type type)
{
    struct key key = key_make(BYTES("k"));
    struct entry *entry = keyspace_peek(f.keyspace, keyspace_db(f.keyspace, 0), key, 0);
    entry->type = type & 15;
}

Test(wait, another_type_is_as_good_as_nothing)
{
    send(0, "PUSH k a");
    change_type(ENTRY_HASH); /* what lies behind is not looked at */
    static const struct wait_kind kind = { .type = ENTRY_STRING };
    struct bytes argv[] = { BYTES("POP"), BYTES("k"), BYTES("0") };
    struct request request = { 0 };
    struct call call = { .keyspace = f.keyspace,
        .engine = f.engine,
        .session = c[1].session,
        .reply = &c[1].session->reply,
        .db = c[1].session->db,
        .command = command_of(&f, "pop"),
        .argv = argv,
        .argc = 3,
        .request = &request };
    call_wait(&call, &kind, 0, 1, 1, 0);
    cr_assert(c[1].paused);
    struct key key = key_make(BYTES("k"));
    keyspace_edit(f.keyspace, c[1].session->db, key, keyspace_peek(f.keyspace, c[1].session->db, key, 0));
    send(0, "NOP");
    cr_assert_eq(letters_retries, 0);
    cr_assert(c[1].paused);
    change_type(ENTRY_STRING);
    keyspace_edit(f.keyspace, c[1].session->db, key, keyspace_peek(f.keyspace, c[1].session->db, key, 0));
    send(0, "NOP");
    SAYS(1, "*2.$1.k.$1.a.");
}

/* --- Chains --- */

Test(wait, chains)
{
    send(1, "MOVE a b 0");
    send(2, "MOVE b c 0");
    send(3, "MOVE c d 0");
    send(4, "POP d 0");
    send(0, "PUSH a x");
    SAYS(1, "$1.x.");
    SAYS(2, "$1.x.");
    SAYS(3, "$1.x.");
    SAYS(4, "*2.$1.d.$1.x.");
    cr_assert_eq(keyspace_size(keyspace_db(f.keyspace, 0)), 0);
}

Test(wait, circles_end)
{
    send(1, "MOVE a b 0");
    send(2, "MOVE b a 0");
    send(3, "MOVE a b 0");
    send(4, "MOVE a a 0");
    send(0, "PUSH a x");
    SAYS(1, "$1.x.");
    SAYS(2, "$1.x.");
    SAYS(3, "$1.x.");
    SAYS(4, "");
    ANSWERS(&f, &c[0], "GET b", "$1.x.");
    send(0, "PUSH a y");
    SAYS(4, "$1.y.");
    ANSWERS(&f, &c[0], "GET a", "$1.y.");
}

Test(wait, errors_end_it_too)
{
    send(0, "PUSH full abcdef");
    send(1, "MOVE a full 0");
    send(2, "POP a 0");
    send(0, "PUSH a x");
    SAYS(1, "-WRONGTYPE full.");
    SAYS(2, "*2.$1.a.$1.x.");
    cr_assert_eq(command_of(&f, "move")->stats.failed, 1);
}

/* --- Ends --- */

Test(wait, time_is_up)
{
    cr_assert_eq(engine_next_deadline_ms(f.engine), INT64_MAX);
    send(1, "POP k 0");
    send(2, "POP k 300000");
    int64_t later_ms = engine_next_deadline_ms(f.engine);
    send(3, "MOVE k d 200000");
    send(4, "POP k 400000");
    int64_t next_ms = engine_next_deadline_ms(f.engine);
    cr_assert_lt(next_ms, later_ms);
    cr_assert_eq(stats().timed, 3);
    engine_run_deadlines(f.engine, next_ms - 1);
    cr_assert(c[3].paused);
    engine_run_deadlines(f.engine, next_ms);
    SAYS(3, "$-1.");
    cr_assert_not(c[3].paused || c[3].patient);
    cr_assert_eq(c[3].wakes, 1);
    cr_assert_eq(engine_next_deadline_ms(f.engine), later_ms);
    engine_run_deadlines(f.engine, INT64_MAX - 1);
    SAYS(2, "*-1.");
    SAYS(4, "*-1.");
    cr_assert_eq(stats().timed, 0);
    f.engine->now_ms = clock_wall_ms();
    send(0, "PUSH k a");
    SAYS(1, "*2.$1.k.$1.a.");
    cr_assert_eq(command_of(&f, "pop")->stats.calls, 3);
    cr_assert_eq(command_of(&f, "pop")->stats.failed, 0);
}

Test(wait, time_is_up_in_resp3)
{
    c[1].session->reply.proto = 3;
    send(1, "POP k 10");
    engine_run_deadlines(f.engine, engine_next_deadline_ms(f.engine));
    SAYS(1, "_.");
}

Test(wait, deadlines_in_any_order)
{
    struct random random;
    random_init(&random, 7);
    static struct client crowd[600];
    for (int i = 0; i < 600; i++) {
        client_open(&f, &crowd[i]);
        char text[64];
        snprintf(text, sizeof text, "POP k%d %d", i % 7, (int)random_below(&random, 100000) + 1000);
        client_send(&f, &crowd[i], text);
    }
    for (int i = 0; i < 600; i += 3) /* out of the middle of the heap */
        cr_assert(session_unblock(crowd[i].session, false));
    int64_t last_ms = 0;
    size_t over = 0;
    for (int64_t next_ms; (next_ms = engine_next_deadline_ms(f.engine)) != INT64_MAX; over++) {
        cr_assert_geq(next_ms, last_ms);
        last_ms = next_ms;
        size_t timed = stats().timed;
        engine_run_deadlines(f.engine, next_ms);
        cr_assert_lt(stats().timed, timed);
    }
    cr_assert_leq(over, 400);
    for (int i = 0; i < 600; i++) {
        TAKES(&crowd[i], "*-1.");
        client_gone(&crowd[i]);
    }
}

Test(wait, unblocked)
{
    char text[64];
    send(1, "POP k 0");
    send(2, "MOVE k d 0");
    snprintf(text, sizeof text, "UNBLOCK %d TIMEOUT", (int)c[1].session->id);
    ANSWERS(&f, &c[0], text, ":1.");
    SAYS(1, "*-1.");
    ANSWERS(&f, &c[0], text, ":0.");
    snprintf(text, sizeof text, "UNBLOCK %d ERROR", (int)c[2].session->id);
    ANSWERS(&f, &c[0], text, ":1.");
    SAYS(2, "-UNBLOCKED client unblocked via CLIENT UNBLOCK.");
    ANSWERS(&f, &c[0], "UNBLOCK 999999 ERROR", ":0.");
    cr_assert_eq(command_of(&f, "move")->stats.failed, 1);
    cr_assert_eq(command_of(&f, "unblock")->stats.failed, 0);
    ANSWERS(&f, &c[1], "NOP", "+OK.");
}

Test(wait, clients_leave)
{
    for (int i = 1; i <= 4; i++)
        send(i, "POP k j 50000");
    client_gone(&c[1]);
    client_gone(&c[3]);
    cr_assert_eq(stats().sessions, 2);
    cr_assert_eq(stats().timed, 2);
    session_close(c[2].session, false); /* gone soon: gets nothing any more */
    send(0, "PUSH k ab");
    SAYS(2, "");
    SAYS(4, "*2.$1.k.$1.a.");
    ANSWERS(&f, &c[0], "GET k", "$1.b.");
    client_open(&f, &c[1]);
    client_open(&f, &c[3]);
    send(1, "POP z 0"); /* and the engine may end first */
}

Test(wait, silence)
{
    batch_add(&batch, &c[1], "SKIP");
    batch_add(&batch, &c[1], "POP k 0");
    batch_add(&batch, &c[1], "NOP");
    cr_assert_eq(batch_run(&f, &batch), 2);
    send(0, "PUSH k ab");
    SAYS(1, "");
    cr_assert_eq(batch_run(&f, &batch), 1);
    SAYS(1, "+OK.");
    ANSWERS(&f, &c[0], "GET k", "$1.b.");
}

/* --- What happens to keys --- */

Test(wait, renamed_keys)
{
    send(1, "POP new 0");
    send(0, "PUSH old a");
    send(0, "RENAME old new");
    SAYS(1, "*2.$3.new.$1.a.");
}

Test(wait, swapped_databases)
{
    send(2, "SELECT 1");
    send(2, "PUSH k ab");
    send(2, "PUSH j cd");
    client_take(&c[2]);
    send(1, "POP k 0");
    send(3, "POP none 0");
    send(4, "READ j 1 0");
    send(0, "SWAP");
    SAYS(1, "*2.$1.k.$1.a.");
    SAYS(3, "");
    SAYS(4, "$2.cd.");
}

Test(wait, flushed_databases)
{
    send(0, "PUSH k xyz");
    send(1, "GROUP k a 0");
    send(2, "POP j 0");
    letters_retries = 0;
    ANSWERS(&f, &c[0], "FLUSH", "+OK.");
    SAYS(1, "-UNBLOCKED gone.");
    SAYS(2, "");
    cr_assert_eq(letters_retries, 1);
}

Test(wait, expired_keys)
{
    send(0, "PUSH k xyz");
    send(1, "GROUP k a 0");
    send(2, "POP k j 0"); /* takes a letter and does not wait */
    SAYS(2, "*2.$1.k.$1.x.");
    send(0, "EXPIRE k 10");
    SAYS(1, "");
    int64_t then_ms = f.engine->now_ms + 1000;
    size_t rounds = 0;
    keyspace_expire_step(f.keyspace, keyspace_db(f.keyspace, 0), 1000, then_ms, &rounds); /* in no command's time */
    SAYS(1, "");
    engine_tick(f.engine, then_ms);
    SAYS(1, "-UNBLOCKED gone.");
}

/* --- When memory is out --- */

Test(wait, begins_wholly_or_not_at_all)
{
    send(2, "POP b 0");
    for (uint64_t nth = 1; nth <= 4; nth++) { /* the waiter, and the keys that nobody waits for yet */
        mem_fail_nth(nth);
        send(1, "POP a b c d 50000");
        mem_fail_nth(0);
        TAKES(&c[1], "-ERR out of memory for this request.");
        cr_assert_not(c[1].paused);
        cr_assert_eq(stats().keys, 1);
        cr_assert_eq(stats().timed, 0);
    }
    mem_fail_nth(5);
    send(1, "POP a b c d 50000");
    mem_fail_nth(0);
    cr_assert(c[1].paused);
    cr_assert_eq(stats().keys, 4);
}

/* --- Against a model --- */

enum { KEYS = 5, STEPS = 4000 };

/* Which client waits since when for which keys; 0 if it does not wait. */
static struct model {
    int since;
    bool wants[KEYS];
} model[CLIENTS];

/* The client that has waited longest for the key; 0 if none. */
static int model_first(int key)
{
    int first = 0;
    for (int i = 1; i < CLIENTS; i++)
        if (model[i].since && model[i].wants[key] && (!first || model[i].since < model[first].since))
            first = i;
    return first;
}

static void model_wait(struct random *random, int client, int step)
{
    char text[64] = "POP";
    model[client] = (struct model){ .since = step };
    for (int i = 0; i < 3; i++) {
        int key = (int)random_below(random, KEYS);
        model[client].wants[key] = true;
        snprintf(text + strlen(text), sizeof text - strlen(text), " k%d", key);
    }
    strcat(text, random_below(random, 2) ? " 0" : " 100000");
    send(client, text);
    SAYS(client, "");
}

static void model_push(struct random *random)
{
    int key = (int)random_below(random, KEYS), count = 1 + (int)random_below(random, 3);
    char text[64], expected[64];
    snprintf(text, sizeof text, "PUSH k%d %.*s", key, count, "aaa");
    send(0, text);
    snprintf(expected, sizeof expected, "*2.$2.k%d.$1.a.", key);
    for (int first; count && (first = model_first(key)); count--) {
        SAYS(first, expected);
        model[first].since = 0;
    }
    snprintf(text, sizeof text, "DEL k%d", key); /* what nobody wanted */
    send(0, text);
}

static void model_end(struct random *random, int client)
{
    bool error = random_below(random, 2);
    cr_assert(session_unblock(c[client].session, error));
    SAYS(client, error ? "-UNBLOCKED client unblocked via CLIENT UNBLOCK." : "*-1.");
    model[client].since = 0;
}

Test(wait, behaves_as_the_model)
{
    struct random random = seed_random("behaves as the model");
    for (int step = 1; step <= STEPS; step++) {
        int client = 1 + (int)random_below(&random, CLIENTS - 1);
        if (random_below(&random, 3) == 0)
            model_push(&random);
        else if (!model[client].since)
            model_wait(&random, client, step);
        else if (random_below(&random, 4) == 0)
            model_end(&random, client);
        size_t waiting = 0;
        for (int i = 1; i < CLIENTS; i++) {
            SAYS(i, "");
            cr_assert_eq(c[i].paused, model[i].since != 0);
            waiting += model[i].since != 0;
        }
        cr_assert_eq(stats().sessions, waiting);
    }
}

/* --- Accounting --- */

Test(wait, is_counted_once)
{
    f.settings.slowlog_log_slower_than_us = 0;
    send(1, "POP k 0");
    const struct command_stats *pop = &command_of(&f, "pop")->stats;
    cr_assert_eq(pop->calls, 0);
    uint64_t end_ns = clock_mono_ns() + 20000000;
    while (clock_mono_ns() < end_ns)
        ;
    send(0, "PUSH k a");
    cr_assert_eq(pop->calls, 1);
    cr_assert_gt(pop->ticks, 0);
    cr_assert_lt(clock_ticks_to_ns(pop->ticks), 10000000);
    cr_assert_eq(c[1].session->commands, 1);
    cr_assert_eq(f.engine->stats.commands, 2);
    const struct slowlog_item *item = slowlog_newest(f.engine->slowlog);
    cr_assert(bytes_equal(item->argv[0], BYTES("POP")));
    cr_assert_eq(item->argc, 3);
}
