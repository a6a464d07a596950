/*
 * From bytes to requests: however a stream is split, whatever pauses in between, every request is executed once and in
 * order, with its arguments intact.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/seed.h"
#include "base/mem.h"
#include "base/random.h"
#include "fixture.h"

static struct world world;
static struct client client;

static void setup(void)
{
    world_init(&world);
    client_init(&client, &world);
}

static void teardown(void)
{
    client_fini(&client);
    world_fini(&world);
}

TestSuite(batch, .init = setup, .fini = teardown, .timeout = 60);

Test(batch, one_request)
{
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
    client_expect(&client, &world, "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n", "$5\r\nhello\r\n");
}

Test(batch, pipeline_is_one_batch)
{
    world.batches = 0;
    client_expect(&client, &world, "PING\r\n*1\r\n$4\r\nPING\r\n\r\n\r\nECHO \"a b\"\r\n*0\r\nPING\r\n",
        "+PONG\r\n+PONG\r\n$3\r\na b\r\n+PONG\r\n");
    cr_assert_eq(world.batches, 1);
    cr_assert_eq(world.executed, 4);
}

Test(batch, idle_connection_holds_nothing)
{
    struct net_stats stats;
    client_expect(&client, &world, "PING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhe", "+PONG\r\n");
    net_stats_read(world.net, &stats);
    cr_assert_gt(stats.input_memory, 0);
    client_expect(&client, &world, "llo\r\n", "$5\r\nhello\r\n");
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.input_memory, 0);
    cr_assert_eq(stats.output_memory, 0);
}

Test(batch, byte_by_byte)
{
    const char *text =
        "*3\r\n$3\r\nSUM\r\n$0\r\n\r\n$11\r\nhello\r\nmore\r\nECHO 'it\\'s'\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n";
    for (const char *p = text; *p != '\0'; p++) {
        client_queue(&client, bytes_make(p, 1));
        client_step(&client, 1);
        net_turn(world.net);
    }
    const struct bytes args[] = { BYTES("SUM"), BYTES(""), BYTES("hello\r\nmore") };
    struct buf expected = BUF_EMPTY;
    buf_printf(&expected, ":%lu\r\n$4\r\nit's\r\n$1\r\nx\r\n", sum_of(args, 3));
    client_await(&client, &world, expected.len);
    cr_assert_str_eq(buf_cstr(&client.got), buf_cstr(&expected));
    buf_fini(&expected);
}

Test(batch, more_requests_than_a_batch_holds)
{
    struct buf expected = BUF_EMPTY;
    for (int i = 0; i < 20000; i++) {
        buf_printf(&client.to_send, "ECHO %d\r\n", i);
        char text[16];
        int len = snprintf(text, sizeof(text), "%d", i);
        buf_printf(&expected, "$%d\r\n%s\r\n", len, text);
    }
    client_await(&client, &world, expected.len);
    cr_assert(bytes_equal(buf_bytes(&client.got), buf_bytes(&expected)));
    cr_assert_eq(world.executed, 20000);
    cr_assert_leq(world.batch_max, 1024);
    cr_assert_gt(world.batch_max, 500);
    buf_fini(&expected);
}

/* The vector of all arguments has to grow while requests refer to it. */
Test(batch, many_arguments_in_one_batch)
{
    struct bytes args[20] = { BYTES("SUM") };
    for (int i = 1; i < 20; i++)
        args[i] = bytes_make(&"abcdefghijklmnopqrst"[i], 1);
    struct buf expected = BUF_EMPTY;
    for (int i = 0; i < 900; i++) {
        size_t count = (size_t)i % 19 + 1;
        for (size_t j = 0; j < count; j++) {
            buf_append(&client.to_send, args[j]);
            buf_append_char(&client.to_send, j + 1 < count ? ' ' : '\n');
        }
        buf_printf(&expected, ":%lu\r\n", sum_of(args, count));
    }
    client_await(&client, &world, expected.len);
    cr_assert(bytes_equal(buf_bytes(&client.got), buf_bytes(&expected)));
    cr_assert_gt(world.batch_max, 500);
    buf_fini(&expected);
}

Test(batch, many_arguments_in_pieces)
{
    enum { COUNT = 300000 };
    struct bytes *args = malloc(COUNT * sizeof(*args));
    char(*texts)[8] = malloc(COUNT * sizeof(*texts));
    args[0] = BYTES("SUM");
    for (int i = 1; i < COUNT; i++)
        args[i] = bytes_make(texts[i], (size_t)snprintf(texts[i], sizeof(texts[i]), "%d", i));
    request_append(&client.to_send, args, COUNT);
    struct buf expected = BUF_EMPTY;
    buf_printf(&expected, ":%lu\r\n", sum_of(args, COUNT));
    while (client.sent < client.to_send.len) {
        client_step(&client, 16 * 1024);
        net_turn(world.net);
    }
    client_await(&client, &world, expected.len);
    cr_assert_str_eq(buf_cstr(&client.got), buf_cstr(&expected));
    struct net_stats stats;
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.input_memory, 0);
    buf_fini(&expected);
    free(args);
    free(texts);
}

Test(batch, large_argument_arrives_in_a_blob)
{
    enum { LEN = 3 * 1000 * 1000 };
    char *value = malloc(LEN);
    memset(value, 'v', LEN);
    const struct bytes args[] = { BYTES("TAKE"), bytes_make(value, LEN) };
    request_append(&client.to_send, args, 2);
    client_queue(&client, BYTES("PING\r\n"));
    client_await(&client, &world, 9 + 1 + 7);
    cr_assert_str_eq(buf_cstr(&client.got), ":3000000\r\n+PONG\r\n");
    cr_assert_eq(world.blobs_seen, 1);
    free(value);
}

Test(batch, blobs_not_taken_are_freed)
{
    char value[40000];
    memset(value, 'v', sizeof(value));
    const struct bytes args[] = { BYTES("SUM"), bytes_make(value, sizeof(value)), BYTES("x"),
        bytes_make(value, sizeof(value) - 1), BYTES("") };
    struct buf expected = BUF_EMPTY;
    for (int i = 0; i < 3; i++) {
        request_append(&client.to_send, args, 5);
        buf_printf(&expected, ":%lu\r\n", sum_of(args, 5));
    }
    while (client.sent < client.to_send.len) {
        client_step(&client, 7000);
        net_turn(world.net);
    }
    client_await(&client, &world, expected.len);
    cr_assert_str_eq(buf_cstr(&client.got), buf_cstr(&expected));
    buf_fini(&expected);
}

Test(batch, pause_in_the_midst_of_a_pipeline)
{
    client_expect(&client, &world, "PING\r\nBLOCK\r\nECHO 'a b'\r\nLATER\r\nECHO 2\r\nPI", "+PONG\r\n");
    world_settle(&world);
    client_expect(&client, &world, "NG\r\n", "");
    struct owner *owner = world.owners[0];
    world_settle(&world);
    cr_assert_eq(world.executed, 2);
    world_wake(owner);
    client_expect(&client, &world, "", "+WOKEN\r\n$3\r\na b\r\n");
    world_settle(&world);
    cr_assert(owner->blocked);
    world_wake(owner);
    client_expect(&client, &world, "", "+LATER\r\n$1\r\n2\r\n+PONG\r\n");
}

Test(batch, refused_without_pause_is_offered_again)
{
    client_expect(&client, &world, "REFUSE\r\nPING\r\nREFUSE\r\n", "+REFUSE\r\n+PONG\r\n+REFUSE\r\n");
}

Test(batch, paused_client_is_read_within_bounds)
{
    client_queue(&client, BYTES("BLOCK\r\n"));
    enum { COUNT = 100000 };
    for (int i = 0; i < COUNT; i++)
        client_queue(&client, BYTES("PING\r\n"));
    for (int i = 0; i < 2000; i++) {
        client_step(&client, 64 * 1024);
        net_turn(world.net);
    }
    struct connection_facts facts;
    connection_describe(world.owners[0]->connection, &facts);
    cr_assert_geq(facts.input_len, 64 * 1024);
    cr_assert_leq(facts.input_len, 192 * 1024);
    world_wake(world.owners[0]);
    client_await(&client, &world, 8 + COUNT * 7);
    cr_assert_eq(client.got.len, 8 + COUNT * 7);
}

Test(batch, bad_input_is_told_after_what_came_before)
{
    client_queue(&client, BYTES("BLOCK\r\nPING\r\n*1\r\n!oops\r\nPING\r\n"));
    client_step(&client, SIZE_MAX);
    world_settle(&world);
    world_wake(world.owners[0]);
    client_await_eof(&client, &world);
    cr_assert_str_eq(buf_cstr(&client.got), "+WOKEN\r\n+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n");
}

Test(batch, bad_input_closes)
{
    client_queue(&client, BYTES("PING\r\nECHO \"a\r\nPING\r\n"));
    client_await_eof(&client, &world);
    cr_assert_str_eq(buf_cstr(&client.got), "+PONG\r\n-ERR Protocol error: unbalanced quotes in request\r\n");
}

Test(batch, authentication_within_a_pipeline)
{
    connection_set_authenticated(world.owners[0]->connection, false);
    const struct bytes args[12] = { BYTES("SUM") };
    struct buf expected = BUF_EMPTY;
    buf_printf(&expected, "+PONG\r\n+OK\r\n:%lu\r\n", sum_of(args, 12));
    client_queue(&client, BYTES("PING\r\nAUTH\r\n"));
    request_append(&client.to_send, args, 12);
    client_await(&client, &world, expected.len);
    cr_assert_str_eq(buf_cstr(&client.got), buf_cstr(&expected));
    buf_fini(&expected);
}

Test(batch, limits_before_authentication)
{
    connection_set_authenticated(world.owners[0]->connection, false);
    client_queue(&client, BYTES("PING\r\n*2\r\n$4\r\nECHO\r\n$16385\r\n"));
    client_await_eof(&client, &world);
    cr_assert_str_eq(buf_cstr(&client.got), "+PONG\r\n-ERR Protocol error: unauthenticated bulk length\r\n");
}

Test(batch, query_buffer_limit)
{
    world.settings.query_buffer_max = 1024 * 1024;
    client_queue(&client, BYTES("*1000000\r\n"));
    for (int i = 0; i < 200000; i++)
        client_queue(&client, BYTES("$4\r\nabcd\r\n"));
    client_await_eof(&client, &world);
    struct net_stats stats;
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.query_limit_closed, 1);
    cr_assert_eq(stats.input_memory, 0);
}

/* A client of the property test: what it sends, and what must come back. */
struct model {
    struct client client;
    struct buf expected;
};

static void model_add(struct model *model, struct random *random)
{
    static char noise[100000];
    char text[64];
    struct buf *out = &model->client.to_send, *expected = &model->expected;
    switch (random_below(random, 9)) {
    case 0:
        buf_append(out, BYTES("PING\r\n\r\n"));
        buf_append(expected, BYTES("+PONG\r\n"));
        return;
    case 1:
        buf_append(out, BYTES("ECHO \"it\\x27s \\\"here\\\"\"\n"));
        buf_append(expected, BYTES("$11\r\nit's \"here\"\r\n"));
        return;
    case 2:
        buf_append(out, BYTES("*1\r\n$5\r\nBLOCK\r\n"));
        buf_append(expected, BYTES("+WOKEN\r\n"));
        return;
    case 3:
        buf_append(out, BYTES("LATER 'x'\r\n"));
        buf_append(expected, BYTES("+LATER\r\n"));
        return;
    case 4:
        buf_append(out, BYTES("*1\r\n$6\r\nREFUSE\r\n"));
        buf_append(expected, BYTES("+REFUSE\r\n"));
        return;
    }
    struct bytes args[64] = { BYTES("SUM") };
    size_t count = 1 + random_below(random, 60);
    size_t max = random_below(random, 8) == 0 ? sizeof(noise) : 200;
    if (max == sizeof(noise))
        count = 1 + random_below(random, 4);
    for (size_t i = 1; i < count; i++) {
        args[i] = bytes_make(noise + random_below(random, 50), random_below(random, max - 50));
        noise[random_below(random, sizeof(noise))] = (char)random_next(random);
    }
    request_append(out, args, count);
    snprintf(text, sizeof(text), ":%lu\r\n", sum_of(args, count));
    buf_append(expected, bytes_from_cstr(text));
}

static bool model_is_done(const struct model *model)
{
    return model->client.sent == model->client.to_send.len && model->client.got.len >= model->expected.len;
}

static void model_run(uint64_t seed)
{
    enum { CLIENTS = 4 };
    struct random random;
    random_init(&random, seed);
    struct model models[CLIENTS] = { 0 };
    size_t first = world.owner_count;
    for (int i = 0; i < CLIENTS; i++) {
        client_init(&models[i].client, &world);
        for (size_t left = random_below(&random, 120); left > 0; left--)
            model_add(&models[i], &random);
    }
    size_t burst = (size_t)1 << random_below(&random, 18);
    for (int i = 0; i < CLIENTS; i++) {
        if (burst < models[i].client.to_send.len / 1000) /* a stream takes about 2000 turns at most */
            burst = models[i].client.to_send.len / 1000;
    }
    for (int turn = 0, done = 0; done < CLIENTS; turn++) {
        cr_assert_lt(turn, 200000, "seed %lu hangs", seed);
        done = 0;
        for (int i = 0; i < CLIENTS; i++) {
            struct client *c = &models[i].client;
            client_step(c, 1 + random_below(&random, burst + 10));
            struct owner *owner = world.owners[first + (size_t)i];
            if (owner != NULL && owner->blocked && random_below(&random, 3) == 0)
                world_wake(owner);
            done += model_is_done(&models[i]);
        }
        if (random_below(&random, 3) != 0)
            net_turn(world.net);
    }
    for (int i = 0; i < CLIENTS; i++) {
        cr_assert(bytes_equal(buf_bytes(&models[i].client.got), buf_bytes(&models[i].expected)), "seed %lu client %d",
            seed, i);
        client_fini(&models[i].client);
        buf_fini(&models[i].expected);
    }
    world_settle(&world);
    struct net_stats stats;
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.input_memory, 0, "seed %lu", seed);
    cr_assert_eq(stats.output_memory, 0, "seed %lu", seed);
}

Test(batch, random_streams_split_at_random)
{
    struct random random = seed_random("streams split at random");
    for (int i = 0; i < 40; i++)
        model_run(random_next(&random));
    cr_assert_gt(world.taken, 0);
}

/* A request that is taken over leaves what was cut behind it, or begun, where it can still be read. */
Test(batch, requests_behind_one_that_is_taken)
{
    struct buf text = BUF_EMPTY, expected = BUF_EMPTY;
    for (int round = 0; round < 40; round++) {
        struct bytes args[400] = { BYTES("SUM") };
        char line[64];
        for (size_t i = 1; i < 400; i++)
            args[i] = BYTES("an argument of the one that is taken");
        request_append(&text, args, 400);
        snprintf(line, sizeof(line), ":%lu\r\n", sum_of(args, 400));
        buf_append_cstr(&expected, line);
        buf_append_cstr(&text, "ECHO behind\r\n*2\r\n$4\r\nECHO\r\n$4\r\nit, ");
        buf_append_cstr(&text, round % 2 ? "\r\n*1\r\n$5\r\nLATER\r\n" : "\r\n");
        buf_append_cstr(&expected, "$6\r\nbehind\r\n$4\r\nit, \r\n");
        buf_append_cstr(&expected, round % 2 ? "+LATER\r\n" : "");
    }
    client_queue(&client, buf_bytes(&text));
    for (int turn = 0; client.got.len < expected.len; turn++) {
        cr_assert_lt(turn, 100000);
        client_step(&client, 5000);
        net_turn(world.net);
        if (world.owners[0]->blocked)
            world_wake(world.owners[0]);
    }
    cr_assert(bytes_equal(buf_bytes(&client.got), buf_bytes(&expected)));
    cr_assert_gt(world.taken, 10);
    buf_fini(&text);
    buf_fini(&expected);
}

Test(batch, no_memory_for_a_large_argument)
{
    client_queue(&client, BYTES("PING\r\n*2\r\n$4\r\nTAKE\r\n$400000000\r\nabc"));
    client_step(&client, SIZE_MAX);
    mem_fail_nth(1);
    client_await_eof(&client, &world);
    mem_fail_nth(0);
    cr_assert_str_eq(buf_cstr(&client.got), "+PONG\r\n-ERR out of memory for this request\r\n");
}

/* Each allocation of client-sized memory fails once: the client gets an error or its replies, and nothing leaks. */
Test(batch, failing_allocations)
{
    for (uint64_t nth = 1; nth < 40; nth++) {
        struct client c;
        client_init(&c, &world);
        size_t index = world.owner_count - 1;
        mem_fail_nth(nth);
        char value[60000];
        memset(value, 'v', sizeof(value));
        const struct bytes args[] = { BYTES("SUM"), bytes_make(value, 100), bytes_make(value, sizeof(value)) };
        for (int i = 0; i < 3; i++) {
            client_queue(&c, BYTES("BLOCK\r\nPING\r\n"));
            request_append(&c.to_send, args, 3);
        }
        for (int i = 0; i < 100; i++) {
            client_step(&c, 10000);
            if (world.owners[index] != NULL && world.owners[index]->blocked)
                world_wake(world.owners[index]);
            net_turn(world.net);
        }
        mem_fail_nth(0);
        cr_assert(c.eof || c.sent == c.to_send.len);
        client_fini(&c);
        world_settle(&world);
        struct net_stats stats;
        net_stats_read(world.net, &stats);
        cr_assert_eq(stats.input_memory, 0, "allocation %lu", nth);
    }
}
