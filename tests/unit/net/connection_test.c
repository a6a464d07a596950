/*
 * One connection's life: closing in all ways, limits on output, time and size, and what CLIENT LIST tells.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
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

TestSuite(connection, .init = setup, .fini = teardown, .timeout = 60);

Test(connection, close_after_output)
{
    client_queue(&client, BYTES("FILL 3000000\r\nQUIT\r\nPING\r\n"));
    client_await_eof(&client, &world);
    size_t head = strlen("$3000000\r\n");
    cr_assert_eq(client.got.len, head + 3000000 + 2 + 5);
    cr_assert_eq(memcmp(client.got.ptr + client.got.len - 5, "+OK\r\n", 5), 0);
    cr_assert_eq(world.executed, 2);
    cr_assert_eq(world.closed_count, 1);
}

Test(connection, close_at_once_drops_the_rest)
{
    client_queue(&client, BYTES("PING\r\nCLOSE\r\nPING\r\n"));
    client_await_eof(&client, &world);
    cr_assert_eq(client.got.len, 0);
    cr_assert_eq(world.executed, 2);
    cr_assert_eq(world.closed_count, 1);
}

Test(connection, closed_by_another_in_the_same_batch)
{
    struct client others[3];
    for (int i = 0; i < 3; i++)
        client_init(&others[i], &world);
    world_settle(&world);
    client_queue(&client, BYTES("CLOSEALL\r\n"));
    client_step(&client, SIZE_MAX);
    for (int i = 0; i < 3; i++) {
        client_queue(&others[i], BYTES("PING\r\nECHO 1\r\nPI"));
        client_step(&others[i], SIZE_MAX);
    }
    world_settle(&world);
    client_expect(&client, &world, "PING\r\n", "+OK\r\n+PONG\r\n");
    for (int i = 0; i < 3; i++) {
        client_await_eof(&others[i], &world);
        client_fini(&others[i]);
    }
    cr_assert_eq(world.closed_count, 3);
}

static bool is_closed_within(uint32_t ms)
{
    uint64_t began_ns = clock_mono_ns();
    while (world.closed_count == 0 && clock_mono_ns() - began_ns < ms * 1000000ull) {
        usleep(10000);
        net_turn(world.net);
    }
    return world.closed_count > 0;
}

Test(connection, closed_by_its_client)
{
    client_queue(&client, BYTES("PING\r\nBLOCK\r\nPI"));
    client_step(&client, SIZE_MAX);
    world_settle(&world);
    shutdown(client.fd, SHUT_RDWR);
    close(client.fd);
    client.fd = socket(AF_INET, SOCK_STREAM, 0);
    connection_set_patient(world.owners[0]->connection, true);
    world_settle(&world);
    cr_assert_eq(world.closed_count, 1);
}

/* The same when the request that waits was executed after the end had come. */
Test(connection, closed_by_its_client_before_it_waits)
{
    client_queue(&client, BYTES("FILL 2000000\r\nBLOCK\r\n"));
    client_step(&client, SIZE_MAX);
    shutdown(client.fd, SHUT_WR);
    connection_set_patient(world.owners[0]->connection, true);
    world_settle(&world);
    cr_assert(is_closed_within(60000));
}

/* The same when it has sent more than is read from one who waits. */
Test(connection, closed_by_its_client_behind_much_input)
{
    client_queue(&client, BYTES("PING\r\nBLOCK\r\n"));
    for (int i = 0; i < 30000; i++)
        client_queue(&client, BYTES("PING\r\n"));
    client_step(&client, SIZE_MAX);
    world_settle(&world);
    client_step(&client, SIZE_MAX);
    world_settle(&world);
    shutdown(client.fd, SHUT_WR);
    world_settle(&world);
    cr_assert_eq(world.closed_count, 0);
    connection_set_patient(world.owners[0]->connection, true);
    cr_assert(is_closed_within(60000));
}

Test(connection, half_closed_client_gets_its_replies)
{
    client_queue(&client, BYTES("PING\r\nFILL 2000000\r\nECHO x\r\nPI"));
    client_step(&client, SIZE_MAX);
    shutdown(client.fd, SHUT_WR);
    client_await_eof(&client, &world);
    cr_assert_eq(client.got.len, 7 + 10 + 2000000 + 2 + 7);
    cr_assert_eq(world.closed_count, 1);
}

Test(connection, half_closed_while_paused)
{
    client_queue(&client, BYTES("PING\r\nBLOCK\r\nECHO x\r\n"));
    client_step(&client, SIZE_MAX);
    shutdown(client.fd, SHUT_WR);
    world_settle(&world);
    cr_assert_eq(world.closed_count, 0);
    world_wake(world.owners[0]);
    client_await_eof(&client, &world);
    cr_assert_str_eq(buf_cstr(&client.got), "+PONG\r\n+WOKEN\r\n$1\r\nx\r\n");
}

Test(connection, slow_reader_gets_everything)
{
    enum { COUNT = 20, LEN = 1000000 };
    for (int i = 0; i < COUNT; i++)
        client_queue(&client, BYTES("GIVE 1000000\r\nPING\r\n"));
    client_queue(&client, BYTES("FILL 1000000\r\n"));
    send(client.fd, client.to_send.ptr, client.to_send.len, 0);
    client.sent = client.to_send.len;
    struct net_stats stats;
    for (int i = 0; i < 100; i++)
        world_settle(&world);
    net_stats_read(world.net, &stats);
    uint64_t writes = stats.writes;
    cr_assert_gt(stats.output_memory, 1000000);
    for (int i = 0; i < 100; i++)
        world_settle(&world);
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.writes, writes, "sends to a client that does not read");
    size_t expected = COUNT * (10 + LEN + 2 + 7) + 10 + LEN + 2;
    char chunk[10000];
    ssize_t got;
    while (client.got.len < expected) {
        if ((got = recv(client.fd, chunk, sizeof(chunk), 0)) > 0)
            buf_append(&client.got, bytes_make(chunk, (size_t)got));
        net_turn(world.net);
    }
    cr_assert_eq(client.got.len, expected);
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.output_memory, 0);
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
}

/* Whichever of the long answers comes first in the turn: the short one, whose client then leaves, is sent before. */
Test(connection, a_short_answer_goes_before_the_long_ones_of_its_turn)
{
    enum { LONG = 100000, HEAD = sizeof "$100000\r\n" - 1 };
    struct client others[2];
    for (int i = 0; i < 2; i++)
        client_init(&others[i], &world);
    world_settle(&world);
    client_queue(&others[0], BYTES("GIVE 100000\r\n"));
    client_step(&others[0], SIZE_MAX);
    client_queue(&client, BYTES("QUIT\r\n"));
    client_step(&client, SIZE_MAX);
    client_queue(&others[1], BYTES("FILL 100000\r\n"));
    client_step(&others[1], SIZE_MAX);
    world.batches = 0;
    net_turn(world.net);
    cr_assert_eq(world.batches, 1);
    cr_assert_eq(world.executed, 3);
    cr_assert_eq(world.sent_when_one_left, strlen("+OK\r\n"));
    for (int i = 0; i < 2; i++)
        client_await(&others[i], &world, HEAD + LONG + 2);
    client_await_eof(&client, &world);
    cr_assert_eq(client.got.len, strlen("+OK\r\n"));
    for (int i = 0; i < 2; i++)
        client_fini(&others[i]);
}

/* The last thing that sending does is to find out that somebody has left; whom that concerns is sent to as well. */
Test(connection, whom_a_failed_send_concerns_is_sent_to)
{
    struct client others[3];
    for (int i = 0; i < 3; i++)
        client_init(&others[i], &world);
    world_settle(&world);
    world.goes_with = world.owners[0];
    struct connection_facts facts;
    connection_describe(world.owners[1]->connection, &facts);
    shutdown(facts.fd, SHUT_WR);
    for (int i = 0; i < 3; i++) {
        client_queue(&others[i], BYTES("PING\r\n"));
        client_step(&others[i], SIZE_MAX);
    }
    client_await_eof(&client, &world);
    client_await_eof(&others[0], &world);
    cr_assert_eq(world.closed_count, 2);
    world.goes_with = NULL;
    for (int i = 0; i < 3; i++)
        client_fini(&others[i]);
}

Test(connection, hard_output_limit)
{
    world.settings.output_limits[2] = (struct net_output_limit){ .hard_bytes = 8 * 1024 * 1024 };
    client_queue(&client, BYTES("FILL 9000000\r\n"));
    client_await(&client, &world, 9000000);
    cr_assert_eq(world.closed_count, 0);
    connection_set_class(world.owners[0]->connection, 2);
    client_queue(&client, BYTES("FILL 9000000\r\n"));
    client_await_eof(&client, &world);
    struct net_stats stats;
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.output_limit_closed, 1);
    cr_assert_eq(stats.output_memory, 0);
}

Test(connection, much_output_of_a_closed_client_is_freed_in_slices)
{
    size_t before = mem_used();
    client_queue(&client, BYTES("FILL 60000000\r\n"));
    client_step(&client, SIZE_MAX);
    net_turn(world.net);
    cr_assert_gt(mem_used() - before, 50000000);
    connection_close(world.owners[0]->connection);
    net_turn(world.net);
    cr_assert_eq(world.closed_count, 1);
    cr_assert_gt(mem_used() - before, 20000000, "all was freed at once");
    world_settle(&world);
    cr_assert_lt(mem_used() - before, 1000000);
}

static void send_without_reading(const char *text)
{
    cr_assert_eq(send(client.fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* Closed in the end, and not before `ms` after a moment. */
static void require_closed_after(uint64_t began_ns, uint32_t ms)
{
    cr_assert(is_closed_within(60000));
    cr_assert_geq(clock_mono_ns() - began_ns, ms * 1000000ull);
}

Test(connection, soft_output_limit)
{
    world.settings.output_limits[0] = (struct net_output_limit){ .soft_bytes = 1024 * 1024, .soft_s = 1 };
    uint64_t began_ns = clock_mono_ns();
    send_without_reading("FILL 20000000\r\n");
    require_closed_after(began_ns, 900);
}

Test(connection, soft_output_limit_is_forgotten_when_read)
{
    world.settings.output_limits[0] = (struct net_output_limit){ .soft_bytes = 1024 * 1024, .soft_s = 2 };
    send_without_reading("FILL 20000000\r\n");
    cr_assert(!is_closed_within(50));
    client_await(&client, &world, 20000000);
    cr_assert(!is_closed_within(3000));
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
}

Test(connection, idle_timeout)
{
    struct client patient;
    client_init(&patient, &world);
    connection_set_patient(world.owners[1]->connection, true);
    world.settings.idle_timeout_s = 1;
    uint64_t began_ns = clock_mono_ns();
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
    require_closed_after(began_ns, 900);
    cr_assert_null(world.owners[0]);
    client_expect(&patient, &world, "PING\r\n", "+PONG\r\n");
    client_fini(&patient);
}

Test(connection, facts)
{
    client_expect(&client, &world, "PING\r\n*2\r\n$4\r\nECHO\r\n$10\r\nabc", "+PONG\r\n");
    struct connection_facts facts;
    connection_describe(world.owners[0]->connection, &facts);
    struct sockaddr_storage storage;
    char local[64];
    snprintf(local, sizeof(local), "127.0.0.1:%u", net_port(world.net));
    cr_assert_str_eq(facts.local, local);
    cr_assert_eq(strncmp(facts.peer, "127.0.0.1:", 10), 0);
    cr_assert(facts.is_loopback);
    cr_assert(!facts.is_unix);
    cr_assert_eq(facts.input_len, 22);
    cr_assert_geq(facts.input_memory, 22);
    cr_assert_eq(facts.input_bytes, 28);
    cr_assert_eq(facts.output_bytes, 7);
    cr_assert_eq(facts.output_len, 0);
    socklen_t len = sizeof(storage);
    cr_assert_eq(getsockname(facts.fd, (struct sockaddr *)&storage, &len), 0);
}
