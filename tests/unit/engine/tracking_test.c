/*
 * Tests of telling very many clients that a key they have read has changed: they are told in slices, and whatever else
 * a client is sent, it looks as if all had been told at once.
 */
#include "base/random.h"
#include "engine/pubsub.h"
#include "engine/tracking.h"
#include "fixture.h"

enum { CROWD = 300, STEP = 32 };

static struct fixture f;
static struct client crowd[CROWD], other;
static struct client *const last = &crowd[CROWD - 1];

static void run_look(struct call *call)
{
    const struct entry *entry = call_read(call, 1);
    struct string_scratch scratch;
    if (entry)
        reply_bulk(call->reply, string_view(entry, &scratch));
    else
        reply_null(call->reply);
}

static void run_write(struct call *call)
{
    keyspace_set_string(call->keyspace, call->db, call_key(call, 1), call->argv[2], EXPIRY_NONE, call->now_ms);
    reply_ok(call->reply);
}

static const struct command rows[] = {
    { ROW("LOOK"), .run = run_look, .argc = EXACTLY(2), .group = GROUP_STRING, .flags = CMD_READ,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) } },
    { ROW("WRITE"), .run = run_write, .argc = EXACTLY(3), .group = GROUP_STRING, .flags = CMD_WRITE,
        .keys = { KEY_AT(1, KEY_RW) } },
    SHOUT_ROW,
    HUSH_ROW,
    { 0 },
};

static const char told_k[] = ">2.$10.invalidate.*1.$1.k.", told_j[] = ">2.$10.invalidate.*1.$1.j.";

/* All read k, which is v1. */
static void begin(void)
{
    fixture_begin(&f, rows);
    client_open(&f, &other);
    ANSWERS(&f, &other, "WRITE k v1", "+OK.");
    for (int i = 0; i < CROWD; i++) {
        client_open(&f, &crowd[i]);
        crowd[i].session->reply.proto = 3;
        tracking_begin(crowd[i].session, 0, 0, NULL, 0);
        ANSWERS(&f, &crowd[i], "LOOK k", "$2.v1.");
    }
}

static void end(void)
{
    for (int i = 0; i < CROWD; i++)
        if (crowd[i].session)
            client_gone(&crowd[i]);
    client_gone(&other);
    fixture_end(&f);
}

TestSuite(tracking, .init = begin, .fini = end);

static void hand_out_all(void)
{
    while (tracking_hand_out(f.engine, 0)) {
    }
}

Test(tracking, many_are_told_in_slices_and_once)
{
    ANSWERS(&f, &other, "WRITE k v2", "+OK.");
    for (int i = 0; i < CROWD; i++)
        TAKES(&crowd[i], "");
    cr_assert(tracking_hand_out(f.engine, 0));
    for (int i = 0; i < CROWD; i++)
        TAKES(&crowd[i], i < STEP ? told_k : "");
    hand_out_all();
    for (int i = STEP; i < CROWD; i++)
        TAKES(&crowd[i], told_k);
    ANSWERS(&f, &other, "WRITE k v3", "+OK.");
    hand_out_all();
    for (int i = 0; i < CROWD; i++)
        TAKES(&crowd[i], "");
}

Test(tracking, few_are_told_at_once_and_so_are_many_times_a_few_only_up_to_a_bound)
{
    size_t told = 0;
    for (int i = 0; i < 1000; i++) {
        client_send(&f, last, "LOOK j");
        client_take(last);
        client_send(&f, &other, "WRITE j x");
        client_take(&other);
        told += strcmp(client_take(last), told_j) == 0;
    }
    cr_assert(told > 200 && told < 1000, "%zu", told);
    hand_out_all();
    TAKES(last, told_j);
}

Test(tracking, who_asks_meanwhile_is_told_first)
{
    ANSWERS(&f, &other, "WRITE k v2", "+OK.");
    ANSWERS(&f, last, "HUSH", ">2.$10.invalidate.*1.$1.k.+OK.");
    ANSWERS(&f, last, "HUSH", "+OK.");
    hand_out_all();
    TAKES(last, "");
    TAKES(&crowd[0], told_k);
}

/* What is read anew meanwhile is not what the older news are about: it is told of again when it changes again. */
Test(tracking, what_is_read_anew_is_told_of_anew)
{
    ANSWERS(&f, &other, "WRITE k v2", "+OK.");
    ANSWERS(&f, last, "LOOK k", ">2.$10.invalidate.*1.$1.k.$2.v2.");
    ANSWERS(&f, &other, "WRITE k v3", "+OK.");
    TAKES(last, told_k);
    hand_out_all();
    TAKES(last, "");
    for (int i = 0; i < CROWD - 1; i++)
        TAKES(&crowd[i], told_k);
}

/* The same in one batch, and with all that a pipeline may put in between. */
Test(tracking, within_a_batch_too)
{
    static struct batch batch;
    batch.count = 0;
    batch_add(&batch, last, "LOOK k");
    batch_add(&batch, &other, "WRITE k v2");
    batch_add(&batch, last, "LOOK k");
    batch_add(&batch, last, "NOSUCH");
    cr_assert_eq(batch_run(&f, &batch), 4);
    const char *got = client_take(last), *expected = "$2.v1.>2.$10.invalidate.*1.$1.k.$2.v2.-ERR unknown command";
    cr_assert_eq(strncmp(got, expected, strlen(expected)), 0, "%s", got);
}

Test(tracking, who_changes_it_is_told_behind_the_reply_or_not_at_all)
{
    ANSWERS(&f, last, "WRITE k v2", "+OK.>2.$10.invalidate.*1.$1.k.");
    hand_out_all();
    TAKES(last, "");
    for (int i = 0; i < CROWD; i++) {
        client_send(&f, &crowd[i], "LOOK k");
        client_take(&crowd[i]);
    }
    tracking_begin(crowd[0].session, TRACKING_NO_LOOP, 0, NULL, 0);
    ANSWERS(&f, &crowd[0], "WRITE k v3", "+OK.");
    hand_out_all();
    TAKES(&crowd[0], "");
    TAKES(last, told_k);
}

Test(tracking, a_message_does_not_overtake)
{
    cr_assert(pubsub_subscribe(last->session, PUBSUB_CHANNEL, BYTES("a")));
    ANSWERS(&f, &other, "WRITE k v2", "+OK.");
    ANSWERS(&f, &other, "SHOUT a m", ":1.");
    TAKES(last, ">2.$10.invalidate.*1.$1.k.>3.$7.message.$1.a.$1.m.");
}

/* Messages that go to another client: that one, too, is told before it is answered; and it may leave. */
Test(tracking, messages_to_another_client_come_before_its_replies)
{
    struct client target;
    client_open(&f, &target);
    target.session->reply.proto = 3;
    for (int i = CROWD - 3; i < CROWD; i++)
        tracking_begin(crowd[i].session, 0, target.session->id, NULL, 0);
    ANSWERS(&f, &other, "WRITE k v2", "+OK.");
    tracking_begin(crowd[CROWD - 3].session, 0, 0, NULL, 0); /* is told itself from now on */
    client_gone(&crowd[CROWD - 2]);
    ANSWERS(&f, &target, "HUSH", ">2.$10.invalidate.*1.$1.k.+OK.");
    ANSWERS(&f, last, "LOOK k", "$2.v2.");
    client_gone(&target);
    hand_out_all();
    TAKES(&crowd[CROWD - 3], told_k);
    TAKES(last, "");
    ANSWERS(&f, &other, "WRITE k v3", "+OK.");
    hand_out_all();
    TAKES(last, ">2.$21.tracking-redir-broken.:302.");
}

Test(tracking, who_leaves_or_stops_hears_no_more)
{
    ANSWERS(&f, &other, "WRITE k v2", "+OK.");
    client_gone(&crowd[0]); /* the next to be told */
    tracking_end(crowd[1].session);
    session_close(last->session, true);
    hand_out_all();
    TAKES(&crowd[1], "");
    TAKES(&crowd[2], told_k);
    TAKES(last, "");
}

Test(tracking, a_flush_is_told_in_slices)
{
    tracking_begin(crowd[1].session, TRACKING_NO_LOOP, 0, NULL, 0);
    tracking_end(crowd[2].session);
    tracking_begin(crowd[2].session, TRACKING_BROADCAST, 0, NULL, 0);
    keyspace_flush(f.keyspace, keyspace_db(f.keyspace, 0));
    for (int i = 0; i < CROWD; i++)
        TAKES(&crowd[i], "");
    ANSWERS(&f, last, "LOOK k", ">2.$10.invalidate._._.");
    hand_out_all();
    for (int i = 0; i < CROWD - 1; i++)
        TAKES(&crowd[i], ">2.$10.invalidate._.");
    TAKES(last, "");
}

/* Whoever changed some of the keys and wants no echo gets the others. */
Test(tracking, a_broadcast_to_many_is_told_in_slices)
{
    struct bytes prefix = BYTES("j");
    for (int i = 0; i < CROWD; i++) {
        tracking_end(crowd[i].session);
        tracking_begin(crowd[i].session, TRACKING_BROADCAST | (i < 3 ? TRACKING_NO_LOOP : 0), 0, &prefix, 1);
    }
    ANSWERS(&f, &crowd[0], "WRITE j x", "+OK.");
    ANSWERS(&f, &crowd[1], "WRITE jj x", "+OK.");
    ANSWERS(&f, &other, "WRITE k x", "+OK.");
    tracking_broadcast(f.engine);
    TAKES(last, "");
    ANSWERS(&f, last, "HUSH", ">2.$10.invalidate.*2.$1.j.$2.jj.+OK.");
    tracking_end(crowd[4].session);
    hand_out_all();
    TAKES(&crowd[0], ">2.$10.invalidate.*1.$2.jj.");
    TAKES(&crowd[1], told_j);
    for (int i = 2; i < CROWD - 1; i++)
        TAKES(&crowd[i], i == 4 ? "" : ">2.$10.invalidate.*2.$1.j.$2.jj.");
    TAKES(last, "");
    ANSWERS(&f, &crowd[0], "WRITE j x", "+OK.");
    tracking_broadcast(f.engine);
    hand_out_all();
    TAKES(&crowd[0], "");
    TAKES(last, told_j);
}

/* The queue is bounded, and what is left of it goes with the engine. */
Test(tracking, many_changes_wait_within_a_bound)
{
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < CROWD; j++) {
            client_send(&f, &crowd[j], "LOOK k");
            client_take(&crowd[j]);
        }
        client_send(&f, &other, "WRITE k v");
    }
    for (int i = 0; i < 1100; i++) {
        tracking_begin(crowd[0].session, 0, 0, NULL, 0);
        client_send(&f, last, "LOOK j");
        client_send(&f, &crowd[0], "LOOK j");
        client_send(&f, &other, "WRITE j x");
    }
}

/* Each reader looks at keys, others change them, slices come and go; whoever asks has the newest value in its cache or
 * none. */
Test(tracking, nobody_who_asks_has_anything_stale)
{
    enum { KEYS = 4, STEPS = 20000 };
    struct random random;
    uint64_t seed = clock_mono_ns();
    random_init(&random, seed);
    int value[KEYS] = { 0 };
    static int cached[CROWD][KEYS]; /* -1: nothing */
    memset(cached, 0xff, sizeof cached);
    char text[32], told[64];
    for (int step = 0; step < STEPS; step++) {
        int key = (int)random_below(&random, KEYS);
        struct client *client = &crowd[random_below(&random, CROWD)];
        int *cache = cached[client - crowd];
        uint64_t what = random_below(&random, 100);
        if (what == 0) {
            snprintf(text, sizeof text, "WRITE %c %d", 'a' + key, ++value[key]);
            ANSWERS(&f, &other, text, "+OK.");
        } else if (what < 3) {
            tracking_hand_out(f.engine, 0);
        } else {
            snprintf(text, sizeof text, "LOOK %c", 'a' + key);
            client_send(&f, client, text);
            const char *got = client_take(client);
            for (int i = 0; i < KEYS; i++) {
                snprintf(told, sizeof told, ">2.$10.invalidate.*1.$1.%c.", 'a' + i);
                if (strstr(got, told))
                    cache[i] = -1;
                cr_assert(cache[i] == -1 || cache[i] == value[i], "seed %llu", (unsigned long long)seed);
            }
            cache[key] = value[key];
        }
    }
}
