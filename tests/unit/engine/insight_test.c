/*
 * Tests of what is always watched, through commands that are executed: who is hot, by chance and by rhythm, and a
 * session beside it.
 */
#include "engine/insight.h"

#include "engine/hotkeys.h"
#include "fixture.h"
#include "store/topk.h"

static void run_use(struct call *call)
{
    (void)call_read(call, 1);
    reply_ok(call->reply);
}

static const struct command rows[] = {
    { ROW("USE"), .run = run_use, .argc = AT_LEAST(2), .flags = CMD_READ, .group = GROUP_STRING,
        .keys = { KEY_RANGE(1, -1, 1, KEY_READ_ACCESS) } },
    { 0 },
};

/* Executes so many requests, every `period`th for the key "hot" and the others for keys of their own. */
static void load(struct fixture *f, struct client *client, int requests, int period)
{
    static struct batch batch;
    for (int i = 0; i < requests; i++) {
        char text[32];
        snprintf(text, sizeof text, i % period == 0 ? "USE hot" : "USE cold:%d", i % 10007);
        batch_add(&batch, client, text);
        if (batch.count == 128 || i + 1 == requests) {
            batch_run(f, &batch);
            client_take(client);
        }
    }
}

Test(insight, no_rhythm_hides_a_key)
{
    enum { TICKS = 150, EXPECTED = TICKS * 64 * 100 }; /* so that the hot key is looked at some sixty times */
    struct fixture f;
    struct client client;
    fixture_begin(&f, rows);
    client_open(&f, &client);
    for (int i = 0; i < TICKS; i++) {
        insight_tick(f.engine, 1000 + 100 * i, 100); /* 64,000 a second */
        load(&f, &client, 64 * 100, INSIGHT_EVERY);
    }
    struct topk_item items[4];
    cr_assert(topk_best(insight_top(f.engine->insight, INSIGHT_ACCESS), items, 4) == 4);
    cr_assert(bytes_equal(items[0].key, BYTES("hot")));
    double total = (double)topk_total(insight_top(f.engine->insight, INSIGHT_ACCESS));
    cr_assert(total > EXPECTED * 0.7 && total < EXPECTED * 1.3, "%f", total);
    cr_assert(items[0].count - items[0].error < total / 64 * 2.5, "counted: %zu", (size_t)items[0].count);
    insight_reset(f.engine, 0);
    cr_assert(topk_best(insight_top(f.engine->insight, INSIGHT_ACCESS), items, 4) == 0);
    client_gone(&client);
    fixture_end(&f);
}

Test(insight, looks_become_rarer_as_load_grows)
{
    struct fixture f;
    struct client client;
    fixture_begin(&f, rows);
    client_open(&f, &client);
    insight_tick(f.engine, 1000, 100);
    load(&f, &client, 200, 10);
    insight_tick(f.engine, 1100, 100); /* 2,000 a second */
    load(&f, &client, 100, 10);
    cr_assert(f.engine->insight_in <= 128, "%u", f.engine->insight_in);
    load(&f, &client, 20000, 10);
    insight_tick(f.engine, 1200, 100); /* 200,000 a second */
    load(&f, &client, 2000, 10);
    uint32_t most = 0;
    for (int i = 0; i < 20; i++) {
        load(&f, &client, 400, 10);
        most = f.engine->insight_in > most ? f.engine->insight_in : most;
    }
    cr_assert(most > 128 && most < 1600, "%u", most);
    client_gone(&client);
    fixture_end(&f);
}

Test(insight, a_session_looks_at_every_command_and_shares_among_keys)
{
    struct fixture f;
    struct client client;
    fixture_begin(&f, rows);
    client_open(&f, &client);
    hotkeys_start(f.engine, HOTKEYS_NET, 3, 1, 1000, f.engine->now_ms);
    for (int i = 0; i < 6; i++)
        client_send(&f, &client, "USE a b c");
    client_send(&f, &client, "USE a");
    const struct hotkeys *session = hotkeys_session(f.engine, f.engine->now_ms);
    struct topk_item items[4];
    cr_assert(session->active && !session->by_ticks && session->bytes > 0);
    cr_assert(topk_best(session->by_bytes, items, 4) == 3 && bytes_equal(items[0].key, BYTES("a")));
    cr_assert(items[1].count == items[2].count && items[0].count > items[1].count);
    session = hotkeys_session(f.engine, session->started_ms + 1000);
    cr_assert(!session->active && session->ends_ms == session->started_ms + 1000);
    hotkeys_reset(f.engine);
    cr_assert(!hotkeys_session(f.engine, f.engine->now_ms));
    client_gone(&client);
    fixture_end(&f);
}
