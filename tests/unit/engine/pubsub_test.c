/*
 * Tests of publish and subscribe: who gets what and in which order, what the connection is told, how subscriptions end,
 * and what a client that has subscribed may do. A randomised run is compared with a plain table of who listens to what.
 */
#include "engine/pubsub.h"

#include "base/random.h"
#include "fixture.h"
#include "store/reclaim.h"

enum { CLIENTS = 6, CLASS_PUBSUB = 2 };

static struct fixture f;
static struct client c[CLIENTS];

static void run_say(struct call *call)
{
    reply_bulk(call->reply, call->argv[1]);
}

/* Publishes; to itself, too, if it listens. */
static void run_shout(struct call *call)
{
    size_t receivers;
    pubsub_publish(call->engine, PUBSUB_CHANNEL, call->argv[1], call->argv[2], &receivers);
    reply_int(call->reply, (int64_t)receivers);
}

static void run_silence(struct call *call)
{
    call->session->flags |= SESSION_REPLY_OFF;
    reply_ok(call->reply);
}

static void run_voice(struct call *call)
{
    call->session->flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
    reply_ok(call->reply);
}

static const struct command rows[] = {
    { ROW("SAY"), .run = run_say, .argc = EXACTLY(2), .group = GROUP_GENERIC },
    { ROW("SHOUT"), .run = run_shout, .argc = EXACTLY(3), .group = GROUP_GENERIC, .flags = CMD_SUBSCRIBER },
    { ROW("SILENCE"), .run = run_silence, .argc = EXACTLY(1), .group = GROUP_GENERIC, .flags = CMD_SUBSCRIBER },
    { ROW("VOICE"), .run = run_voice, .argc = EXACTLY(1), .group = GROUP_GENERIC, .flags = CMD_SUBSCRIBER },
    { 0 },
};

static void begin(void)
{
    fixture_begin(&f, rows);
    for (int i = 0; i < CLIENTS; i++)
        client_open(&f, &c[i]);
}

static void end(void)
{
    for (int i = 0; i < CLIENTS; i++)
        if (c[i].session)
            client_gone(&c[i]);
    cr_assert_eq(pubsub_sessions(f.engine), 0);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        cr_assert_eq(pubsub_names(f.engine, (enum pubsub_kind)kind), 0);
    fixture_end(&f);
}

TestSuite(pubsub, .init = begin, .fini = end);

static void subscribe(int client, enum pubsub_kind kind, const char *name)
{
    cr_assert(pubsub_subscribe(c[client].session, kind, bytes_from_cstr(name)));
}

static void unsubscribe(int client, enum pubsub_kind kind, const char *name)
{
    pubsub_unsubscribe(c[client].session, kind, bytes_from_cstr(name));
}

static size_t publish(enum pubsub_kind kind, const char *channel, const char *message)
{
    size_t receivers;
    cr_assert(pubsub_publish(f.engine, kind, bytes_from_cstr(channel), bytes_from_cstr(message), &receivers));
    return receivers;
}

#define GETS(client, expected) TAKES(&c[client], expected)

/* --- Messages --- */

Test(pubsub, a_message_reaches_its_channel_only)
{
    subscribe(0, PUBSUB_CHANNEL, "a");
    subscribe(1, PUBSUB_CHANNEL, "b");
    cr_assert_eq(publish(PUBSUB_CHANNEL, "a", "hello"), 1);
    GETS(0, "*3.$7.message.$1.a.$5.hello.");
    GETS(1, "");
    cr_assert_eq(c[0].wakes, 1);
    cr_assert_eq(c[1].wakes, 0);
    cr_assert_eq(publish(PUBSUB_CHANNEL, "nobody", "hello"), 0);
}

Test(pubsub, each_speaks_its_own_protocol)
{
    subscribe(0, PUBSUB_CHANNEL, "a");
    subscribe(1, PUBSUB_CHANNEL, "a");
    c[1].session->reply.proto = 3;
    cr_assert_eq(publish(PUBSUB_CHANNEL, "a", ""), 2);
    GETS(0, "*3.$7.message.$1.a.$0..");
    GETS(1, ">3.$7.message.$1.a.$0..");
}

Test(pubsub, patterns_and_channels_both_count)
{
    subscribe(0, PUBSUB_PATTERN, "news.*");
    subscribe(0, PUBSUB_CHANNEL, "news.art");
    subscribe(0, PUBSUB_PATTERN, "*.[ab]rt");
    subscribe(1, PUBSUB_PATTERN, "news.m*");
    cr_assert_eq(publish(PUBSUB_CHANNEL, "news.art", "m"), 3);
    GETS(0, "*3.$7.message.$8.news.art.$1.m."
            "*4.$8.pmessage.$6.news.*.$8.news.art.$1.m."
            "*4.$8.pmessage.$8.*.[ab]rt.$8.news.art.$1.m.");
    GETS(1, "");
}

Test(pubsub, shard_channels_are_names_of_their_own)
{
    subscribe(0, PUBSUB_SHARD, "a");
    subscribe(1, PUBSUB_CHANNEL, "a");
    subscribe(1, PUBSUB_PATTERN, "*");
    cr_assert_eq(publish(PUBSUB_SHARD, "a", "m"), 1);
    GETS(0, "*3.$8.smessage.$1.a.$1.m.");
    GETS(1, "");
}

static void subscribe_to_many(int client, int count)
{
    char name[16];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "m%d", i);
        subscribe(client, i % 3 ? PUBSUB_CHANNEL : PUBSUB_PATTERN, name);
    }
}

static void count_name(void *context, struct bytes name)
{
    (void)name;
    ++*(size_t *)context;
}

static size_t channels(void)
{
    size_t count = 0;
    uint64_t cursor = 0;
    do
        cursor = pubsub_scan(f.engine, PUBSUB_CHANNEL, cursor, count_name, &count);
    while (cursor);
    return count;
}

/* Before anything of it is taken down, in the midst of that, and behind it. */
Test(pubsub, who_leaves_very_many_has_left_them_at_once)
{
    subscribe_to_many(0, 3000);
    subscribe(1, PUBSUB_CHANNEL, "m1");
    subscribe_to_many(2, 3000);
    cr_assert_eq(publish(PUBSUB_CHANNEL, "m1", "x"), 3);
    GETS(0, "*3.$7.message.$2.m1.$1.x.");
    pubsub_leave(c[0].session);
    client_gone(&c[2]);
    cr_assert_eq(pubsub_sessions(f.engine), 1);
    cr_assert_eq(c[0].session->kept_bytes, 0);
    cr_assert_not(c[0].session->subscriber || c[0].patient);
    for (bool more = true; more; more = reclaim_step(f.keyspace->reclaim, 100)) {
        cr_assert_eq(publish(PUBSUB_CHANNEL, "m1", "x"), 1 + (c[0].session->subscriber != NULL));
        cr_assert_eq(pubsub_subscribers(f.engine, PUBSUB_CHANNEL, BYTES("m4")), 0);
        cr_assert_eq(publish(PUBSUB_CHANNEL, "m3", "to a pattern"), 0);
        cr_assert_eq(channels(), 1);
        subscribe(0, PUBSUB_CHANNEL, "m1"); /* anew, and from now on */
    }
    cr_assert_eq(pubsub_names(f.engine, PUBSUB_CHANNEL), 1);
    cr_assert_eq(pubsub_names(f.engine, PUBSUB_PATTERN), 0);
}

Test(pubsub, the_engine_ends_with_what_was_not_taken_down)
{
    subscribe_to_many(0, 3000);
    subscribe_to_many(1, 3000);
    pubsub_leave(c[1].session);
    pubsub_leave(c[0].session);
    reclaim_step(f.keyspace->reclaim, 100);
    pubsub_destroy(f.engine->pubsub);
    f.engine->pubsub = pubsub_create();
}

Test(pubsub, a_large_message_is_one_for_all)
{
    size_t len = 1 << 20, before = mem_used(), receivers;
    char *text = mem_alloc(len);
    memset(text, 'x', len);
    for (int i = 0; i < CLIENTS; i++)
        subscribe(i, PUBSUB_CHANNEL, "a");
    cr_assert(pubsub_publish(f.engine, PUBSUB_CHANNEL, BYTES("a"), bytes_make(text, len), &receivers));
    cr_assert_eq(receivers, CLIENTS);
    cr_assert_lt(mem_used() - before, 3 * len);
    for (int i = 0; i < CLIENTS; i++) {
        const char *got = client_take(&c[i]);
        cr_assert_eq(strlen(got), strlen("*3.$7.message.$1.a.$1048576..") + len);
        cr_assert_eq(strspn(strchr(got, 'x'), "x"), len);
    }
    mem_free(text);
}

Test(pubsub, names_and_messages_are_any_bytes)
{
    static const char name[] = "a\0b", message[] = "\0\0";
    size_t receivers;
    cr_assert(pubsub_subscribe(c[0].session, PUBSUB_CHANNEL, bytes_make(name, 3)));
    subscribe(1, PUBSUB_CHANNEL, "a");
    subscribe(2, PUBSUB_CHANNEL, "");
    cr_assert(pubsub_publish(f.engine, PUBSUB_CHANNEL, bytes_make(name, 3), bytes_make(message, 2), &receivers));
    cr_assert_eq(receivers, 1);
    cr_assert_gt(output_len(&c[0].out), 0);
    client_take(&c[0]);
    cr_assert_eq(publish(PUBSUB_CHANNEL, "", "x"), 1);
    GETS(2, "*3.$7.message.$0..$1.x.");
}

/* --- Subscriptions --- */

Test(pubsub, the_connection_is_told)
{
    subscribe(0, PUBSUB_CHANNEL, "a");
    cr_assert(c[0].patient && c[0].limit_class == CLASS_PUBSUB);
    subscribe(0, PUBSUB_SHARD, "a");
    unsubscribe(0, PUBSUB_CHANNEL, "a");
    cr_assert(c[0].patient && c[0].limit_class == CLASS_PUBSUB);
    unsubscribe(0, PUBSUB_SHARD, "a");
    cr_assert(!c[0].patient && c[0].limit_class == 0);
    cr_assert_null(c[0].session->subscriber);
}

Test(pubsub, twice_is_once)
{
    subscribe(0, PUBSUB_CHANNEL, "a");
    subscribe(0, PUBSUB_CHANNEL, "a");
    cr_assert_eq(pubsub_count(c[0].session, PUBSUB_CHANNEL), 1);
    cr_assert_eq(publish(PUBSUB_CHANNEL, "a", "m"), 1);
    unsubscribe(0, PUBSUB_CHANNEL, "a");
    unsubscribe(0, PUBSUB_CHANNEL, "a");
    unsubscribe(0, PUBSUB_PATTERN, "a");
    cr_assert_eq(publish(PUBSUB_CHANNEL, "a", "m"), 0);
}

Test(pubsub, the_first_is_the_oldest)
{
    subscribe(0, PUBSUB_CHANNEL, "c");
    subscribe(0, PUBSUB_CHANNEL, "a");
    subscribe(0, PUBSUB_CHANNEL, "b");
    unsubscribe(0, PUBSUB_CHANNEL, "c");
    cr_assert(bytes_equal(pubsub_first(c[0].session, PUBSUB_CHANNEL), BYTES("a")));
}

Test(pubsub, who_leaves_or_ends_gets_nothing_more)
{
    for (int i = 0; i < 4; i++) {
        subscribe(i, PUBSUB_CHANNEL, "a");
        subscribe(i, PUBSUB_PATTERN, "*");
        subscribe(i, PUBSUB_SHARD, "s");
    }
    pubsub_leave(c[0].session);
    session_reset(c[1].session);
    session_close(c[2].session, true);
    cr_assert_eq(pubsub_sessions(f.engine), 1);
    cr_assert_eq(publish(PUBSUB_CHANNEL, "a", "m"), 2);
    for (int i = 0; i < 3; i++)
        GETS(i, "");
    client_gone(&c[3]);
    cr_assert_eq(publish(PUBSUB_CHANNEL, "a", "m"), 0);
    cr_assert_eq(pubsub_names(f.engine, PUBSUB_SHARD), 0);
}

Test(pubsub, memory_that_is_out_changes_nothing)
{
    size_t receivers = 77;
    mem_fail_nth(1);
    cr_assert(!pubsub_subscribe(c[0].session, PUBSUB_CHANNEL, BYTES("a")));
    cr_assert_null(c[0].session->subscriber);
    cr_assert_eq(pubsub_names(f.engine, PUBSUB_CHANNEL), 0);
    subscribe(0, PUBSUB_CHANNEL, "a");
    mem_fail_nth(1);
    cr_assert(!pubsub_publish(f.engine, PUBSUB_CHANNEL, BYTES("a"), BYTES("m"), &receivers));
    cr_assert_eq(receivers, 77);
    GETS(0, "");
    mem_fail_nth(0);
}

/* --- What a subscriber may do, and hears --- */

Test(pubsub, in_resp2_a_subscriber_asks_for_nothing_else)
{
    ANSWERS(&f, &c[0], "SAY x", "$1.x.");
    subscribe(0, PUBSUB_SHARD, "a");
    ANSWERS(&f, &c[0], "SAY x",
        "-ERR Can't execute 'say': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
        "context.");
    ANSWERS(&f, &c[0], "SAY", "-ERR wrong number of arguments for 'say' command.");
    ANSWERS(&f, &c[0], "SHOUT b m", ":0.");
    cr_assert_eq(command_of(&f, "say")->stats.rejected, 2);
    c[0].session->reply.proto = 3;
    ANSWERS(&f, &c[0], "SAY x", "$1.x.");
    c[0].session->reply.proto = 2;
    unsubscribe(0, PUBSUB_SHARD, "a");
    ANSWERS(&f, &c[0], "SAY x", "$1.x.");
}

Test(pubsub, pushes_are_heard_in_silence)
{
    subscribe(0, PUBSUB_CHANNEL, "a");
    ANSWERS(&f, &c[0], "SHOUT a m", ":1.*3.$7.message.$1.a.$1.m.");
    ANSWERS(&f, &c[0], "SILENCE", "+OK.");
    ANSWERS(&f, &c[0], "SHOUT a m", "*3.$7.message.$1.a.$1.m.");
    ANSWERS(&f, &c[0], "SAY x", "");
    ANSWERS(&f, &c[0], "VOICE", "+OK.");
    ANSWERS(&f, &c[0], "SHOUT a m", ":1.*3.$7.message.$1.a.$1.m.");
}

/* --- Many --- */

enum { NAMES = 12 };

static void visit(void *context, struct bytes name)
{
    unsigned *seen = context;
    cr_assert_eq(name.len, 1);
    seen[name.ptr[0] - 'a']++;
}

/* Every name that has subscribers, and no other, is visited once. */
static void check_scan(enum pubsub_kind kind, bool listens[CLIENTS][PUBSUB_KINDS][NAMES])
{
    unsigned seen[NAMES] = { 0 };
    uint64_t cursor = 0;
    do
        cursor = pubsub_scan(f.engine, kind, cursor, visit, seen);
    while (cursor);
    for (int name = 0; name < NAMES; name++) {
        size_t count = 0;
        for (int i = 0; i < CLIENTS; i++)
            count += listens[i][kind][name];
        char text = (char)('a' + name);
        cr_assert_eq(seen[name], count > 0);
        cr_assert_eq(pubsub_subscribers(f.engine, kind, bytes_make(&text, 1)), count);
    }
}

Test(pubsub, random_steps_agree_with_a_table)
{
    static bool listens[CLIENTS][PUBSUB_KINDS][NAMES];
    struct random random;
    uint64_t seed = clock_mono_ns();
    random_init(&random, seed);
    for (int step = 0; step < 20000; step++) {
        int client = (int)random_below(&random, CLIENTS), name = (int)random_below(&random, NAMES);
        enum pubsub_kind kind = (enum pubsub_kind)random_below(&random, PUBSUB_KINDS);
        char text[2] = { (char)('a' + name), '\0' };
        uint64_t what = random_below(&random, 100);
        if (what < 45) {
            subscribe(client, kind, text);
            listens[client][kind][name] = true;
        } else if (what < 85) {
            unsubscribe(client, kind, text);
            listens[client][kind][name] = false;
        } else if (what < 87) {
            pubsub_leave(c[client].session);
            memset(listens[client], 0, sizeof listens[client]);
        } else if (what < 98) {
            size_t expected = 0;
            for (int i = 0; i < CLIENTS; i++)
                expected += kind == PUBSUB_SHARD ? listens[i][PUBSUB_SHARD][name]
                                                 : listens[i][PUBSUB_CHANNEL][name] + listens[i][PUBSUB_PATTERN][name];
            size_t got = publish(kind == PUBSUB_SHARD ? kind : PUBSUB_CHANNEL, text, "m");
            cr_assert_eq(got, expected, "seed %llu, step %d", (unsigned long long)seed, step);
        } else {
            for (int i = 0; i < CLIENTS; i++)
                client_take(&c[i]);
            check_scan(kind, listens);
        }
    }
}
