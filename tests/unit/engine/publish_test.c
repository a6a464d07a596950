/*
 * Tests of messages to very many: they are handed out in slices, and each subscriber hears the same as if they were
 * not. A random run keeps a transcript of what each must have heard.
 */
#include "base/random.h"
#include "engine/pubsub.h"
#include "fixture.h"

enum { CROWD = 300, STEP = 32 };

static struct fixture f;
static struct client crowd[CROWD], other;

static const struct command rows[] = {
    SHOUT_ROW,
    HUSH_ROW,
    { 0 },
};

static void begin(void)
{
    fixture_begin(&f, rows);
    client_open(&f, &other);
    for (int i = 0; i < CROWD; i++) {
        client_open(&f, &crowd[i]);
        cr_assert(pubsub_subscribe(crowd[i].session, PUBSUB_CHANNEL, BYTES("a")));
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

TestSuite(publish, .init = begin, .fini = end);

static const char m1[] = "*3.$7.message.$1.a.$2.m1.", m1_m2[] = "*3.$7.message.$1.a.$2.m1.*3.$7.message.$1.a.$2.m2.";

static void hand_out_all(void)
{
    while (pubsub_hand_out(f.engine, 0)) {
    }
}

Test(publish, many_hear_in_slices_and_in_order)
{
    ANSWERS(&f, &other, "SHOUT a m1", ":300.");
    ANSWERS(&f, &other, "SHOUT a m2", ":300.");
    for (int i = 0; i < CROWD; i++)
        TAKES(&crowd[i], "");
    cr_assert(pubsub_hand_out(f.engine, 0));
    for (int i = 0; i < CROWD; i++)
        TAKES(&crowd[i], i < STEP ? m1 : "");
    hand_out_all();
    for (int i = 0; i < STEP; i++)
        TAKES(&crowd[i], "*3.$7.message.$1.a.$2.m2.");
    for (int i = STEP; i < CROWD; i++)
        TAKES(&crowd[i], m1_m2);
    cr_assert(!pubsub_hand_out(f.engine, 0));
}

Test(publish, a_message_to_few_does_not_overtake)
{
    cr_assert(pubsub_subscribe(crowd[CROWD - 1].session, PUBSUB_PATTERN, BYTES("b*")));
    ANSWERS(&f, &other, "SHOUT a m1", ":300.");
    ANSWERS(&f, &other, "SHOUT b m2", ":1.");
    hand_out_all();
    TAKES(&crowd[CROWD - 1], "*3.$7.message.$1.a.$2.m1.*4.$8.pmessage.$2.b*.$1.b.$2.m2.");
}

Test(publish, a_few_hear_at_once_and_so_do_many_times_a_few_only_up_to_a_bound)
{
    cr_assert(pubsub_subscribe(crowd[0].session, PUBSUB_CHANNEL, BYTES("b")));
    ANSWERS(&f, &other, "SHOUT b m", ":1.");
    TAKES(&crowd[0], "*3.$7.message.$1.b.$1.m.");
    int heard = 0;
    for (int i = 0; i < 1000; i++) {
        ANSWERS(&f, &other, "SHOUT b m", ":1.");
        heard += *client_take(&crowd[0]) != '\0';
        if (i % 10 == 0 && heard <= i)
            hand_out_all();
    }
    cr_assert(heard > 200 && heard < 1000, "%d", heard);
}

Test(publish, who_asks_meanwhile_is_given_what_it_has_not_heard)
{
    struct client *last = &crowd[CROWD - 1];
    last->session->reply.proto = 3;
    ANSWERS(&f, &other, "SHOUT a m1", ":300.");
    ANSWERS(&f, last, "HUSH", ">3.$7.message.$1.a.$2.m1.+OK.");
    ANSWERS(&f, last, "HUSH", "+OK.");
    ANSWERS(&f, last, "SHOUT a m2", ":300.");
    hand_out_all();
    TAKES(last, ">3.$7.message.$1.a.$2.m2.");
    TAKES(&crowd[0], m1_m2);
}

Test(publish, who_leaves_hears_no_more_and_who_comes_hears_nothing_old)
{
    ANSWERS(&f, &other, "SHOUT a m1", ":300.");
    cr_assert(pubsub_subscribe(other.session, PUBSUB_CHANNEL, BYTES("a")));
    pubsub_unsubscribe(crowd[0].session, PUBSUB_CHANNEL, BYTES("a")); /* the next to hear */
    pubsub_hand_out(f.engine, 0);
    client_gone(&crowd[STEP + 1]); /* the next again */
    session_close(crowd[CROWD - 1].session, true);
    hand_out_all();
    TAKES(&crowd[0], "");
    TAKES(&crowd[1], m1);
    TAKES(&crowd[STEP + 2], m1);
    TAKES(&crowd[CROWD - 1], "");
    TAKES(&other, "");
}

Test(publish, a_channel_that_all_have_left_is_forgotten)
{
    ANSWERS(&f, &other, "SHOUT a m1", ":300.");
    for (int i = 0; i < CROWD; i++)
        pubsub_leave(crowd[i].session);
    cr_assert(pubsub_subscribe(crowd[0].session, PUBSUB_CHANNEL, BYTES("a")));
    hand_out_all();
    TAKES(&crowd[0], "");
}

Test(publish, publishers_wait_while_the_queue_is_long)
{
    static struct batch batch;
    for (int i = 0; i < 200; i++)
        batch_add(&batch, &other, "SHOUT a m");
    size_t done = batch_run(&f, &batch);
    cr_assert(done > 10 && done < 200, "%zu", done);
    cr_assert(other.paused);
    while (done < 200) {
        hand_out_all();
        cr_assert(!other.paused);
        done += batch_run(&f, &batch);
    }
    hand_out_all();
    for (int i = 0; i < CROWD; i++)
        cr_assert_eq(strlen(client_take(&crowd[i])), 200 * strlen("*3.$7.message.$1.a.$1.m."));
}

Test(publish, everybody_hears_what_he_must_in_random_runs)
{
    static struct buf due[CROWD];
    static bool listens[CROWD][3];
    struct random random;
    uint64_t seed = clock_mono_ns();
    random_init(&random, seed);
    for (int i = 0; i < CROWD; i++)
        listens[i][0] = true;
    for (int step = 0; step < 3000; step++) {
        int i = (int)random_below(&random, CROWD), name = (int)random_below(&random, 3);
        uint64_t what = random_below(&random, 100);
        char channel[2] = { (char)('a' + name), '\0' };
        if (what < 30) { /* as SUBSCRIBE and UNSUBSCRIBE do it: the command first, then the confirmation */
            client_send(&f, &crowd[i], "HUSH");
            buf_append_cstr(&due[i], "+OK.");
            if ((listens[i][name] = !listens[i][name]))
                cr_assert(pubsub_subscribe(crowd[i].session, PUBSUB_CHANNEL, bytes_from_cstr(channel)));
            else
                pubsub_unsubscribe(crowd[i].session, PUBSUB_CHANNEL, bytes_from_cstr(channel));
        } else if (what < 60) {
            char message[64], text[64];
            snprintf(text, sizeof text, "SHOUT %s %d", channel, 10000 + step);
            snprintf(message, sizeof message, "*3.$7.message.$1.%s.$5.%d.", channel, 10000 + step);
            static struct batch batch;
            batch_add(&batch, &other, text);
            while (!batch_run(&f, &batch))
                pubsub_hand_out(f.engine, 0);
            for (int j = 0; j < CROWD; j++)
                if (listens[j][name])
                    buf_append_cstr(&due[j], message);
        } else {
            pubsub_hand_out(f.engine, 0);
        }
    }
    hand_out_all();
    for (int i = 0; i < CROWD; i++) {
        buf_append_char(&due[i], '\0');
        cr_assert_str_eq(client_take(&crowd[i]), due[i].ptr, "seed %llu, client %d", (unsigned long long)seed, i);
        buf_fini(&due[i]);
    }
    client_take(&other);
}
