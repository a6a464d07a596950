/*
 * The loop: timers, signals, other threads, background work, the order within a turn, and nested turns.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "fixture.h"

static struct world world;
static int fired, stop_at;

static void setup(void)
{
    fired = 0;
    stop_at = 1;
    world_init(&world);
}

static void teardown(void)
{
    world_fini(&world);
}

TestSuite(loop, .init = setup, .fini = teardown, .timeout = 60);

static void fire(void *context)
{
    cr_assert_eq(context, &world);
    if (++fired == stop_at)
        net_stop(world.net);
}

static void fire_never(void *context)
{
    (void)context;
    cr_assert_fail("fired after it was ended");
}

Test(loop, timers)
{
    stop_at = 10;
    uint64_t began = clock_mono_ns();
    net_set_timer(world.net, 0, 20, fire, &world);
    net_set_timer(world.net, 1, 1, fire_never, &world);
    net_set_timer(world.net, 1, 0, NULL, NULL);
    net_run(world.net);
    uint64_t took_ms = (clock_mono_ns() - began) / 1000000;
    cr_assert_eq(fired, 10);
    cr_assert_geq(took_ms, 190);
    net_set_timer(world.net, 0, 5, fire, &world);
    stop_at = 12;
    net_run(world.net);
    cr_assert_eq(fired, 12);
}

static void fire_signal(void *context, int signal)
{
    cr_assert_eq(signal, SIGUSR1);
    fire(context);
}

Test(loop, signals)
{
    net_set_signal(world.net, SIGUSR1, fire_signal, &world);
    kill(getpid(), SIGUSR1);
    net_run(world.net);
    cr_assert_eq(fired, 1);
}

enum { NOTIFIES = 1000 };
static int handed_over; /* under lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *notify_often(void *context)
{
    for (int i = 0; i < NOTIFIES; i++) {
        pthread_mutex_lock(&lock);
        handed_over++;
        pthread_mutex_unlock(&lock);
        net_notify(context);
    }
    return NULL;
}

static void take_over(void *context)
{
    (void)context;
    pthread_mutex_lock(&lock);
    fired = handed_over;
    pthread_mutex_unlock(&lock);
    if (fired == 2 * NOTIFIES)
        net_stop(world.net);
}

Test(loop, notify_from_other_threads)
{
    pthread_t threads[2];
    net_set_notify(world.net, take_over, &world);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, notify_often, world.net);
    net_run(world.net);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(fired, 2 * NOTIFIES);
}

static bool work(void *context)
{
    fire(context);
    return fired < stop_at;
}

Test(loop, background_goes_on_without_sleeping)
{
    stop_at = 100000;
    uint64_t began = clock_mono_ns();
    net_set_background(world.net, work, &world);
    net_run(world.net);
    cr_assert_eq(fired, 100000);
    cr_assert_lt((clock_mono_ns() - began) / 1000000, 60000);
    for (int i = 0; i < 10; i++)
        net_turn(world.net);
    cr_assert_eq(fired, 100000, "ran without being woken");
    net_wake_background(world.net);
    net_turn(world.net);
    cr_assert_eq(fired, 100001);
}

Test(loop, clients_are_served_during_background_work)
{
    struct client client;
    client_init(&client, &world);
    stop_at = INT32_MAX;
    net_set_background(world.net, work, &world);
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
    cr_assert_gt(fired, 0);
    client_fini(&client);
}

enum { NAP_MS = 10 };
static uint64_t nap_ms;

static bool work_and_nap(void *context)
{
    net_nap_background(world.net, clock_mono_ns() + nap_ms * 1000000);
    fire(context);
    return fired < stop_at;
}

static uint64_t turns_so_far(void)
{
    struct net_stats stats;
    net_stats_read(world.net, &stats);
    return stats.turns;
}

/* Nothing but the naps' ends and the sweep, every 100 ms, makes a turn. */
Test(loop, background_sleeps_between_its_slices)
{
    stop_at = 6;
    nap_ms = NAP_MS;
    uint64_t began = clock_mono_ns(), turns = turns_so_far();
    net_set_background(world.net, work_and_nap, &world);
    net_run(world.net);
    uint64_t took_ms = (clock_mono_ns() - began) / 1000000;
    cr_assert_eq(fired, 6);
    cr_assert_geq(took_ms, 5 * NAP_MS);
    cr_assert_leq(turns_so_far() - turns, 6 + 3 + took_ms / 100);
}

/* It is called whenever there is a turn, and its last word on when to wake it counts. */
Test(loop, a_nap_of_background_work_is_cut_short)
{
    struct client client;
    client_init(&client, &world);
    stop_at = INT32_MAX;
    nap_ms = 3600 * 1000;
    net_set_background(world.net, work_and_nap, &world);
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
    int before = fired;
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
    cr_assert_gt(fired, before);
    nap_ms = 1;
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
    stop_at = fired + 3;
    net_run(world.net);
    cr_assert_eq(fired, stop_at);
    nap_ms = 3600 * 1000;
    net_wake_background(world.net);
    stop_at = fired + 1;
    net_run(world.net);
    cr_assert_eq(fired, stop_at);
    client_fini(&client);
}

static struct client *other;

static bool work_nested(void *context)
{
    (void)context;
    cr_assert_eq(fired++, 0, "nested background work");
    client_expect(other, &world, "BLOCK\r\n", "");
    for (int i = 0; i < 10; i++)
        net_turn(world.net);
    world_wake(world.owners[0]);
    client_expect(other, &world, "PING\r\nQUIT\r\n", "+WOKEN\r\n+PONG\r\n+OK\r\n");
    client_await_eof(other, &world);
    cr_assert_eq(world.closed_count, 1);
    return false;
}

Test(loop, nested_turns_in_background_work)
{
    struct client client, second;
    client_init(&client, &world);
    client_init(&second, &world);
    other = &client;
    client_queue(&second, BYTES("PING\r\n"));
    client_step(&second, SIZE_MAX);
    net_set_background(world.net, work_nested, &world);
    client_expect(&second, &world, "PING\r\n", "+PONG\r\n+PONG\r\n");
    cr_assert_eq(fired, 1);
    client_fini(&client);
    client_fini(&second);
}

static void turn_nested(void *context)
{
    net_turn(world.net);
    client_step(other, SIZE_MAX);
    cr_assert_geq(other->got.len, 7, "executed by the nested turn");
    net_set_timer(world.net, 0, 0, NULL, NULL);
    fire(context);
}

Test(loop, nested_turn_in_a_timer)
{
    struct client client;
    client_init(&client, &world);
    other = &client;
    net_set_timer(world.net, 0, 1, turn_nested, &world);
    usleep(5000);
    client_queue(&client, BYTES("PING\r\nLATER\r\nPING\r\n"));
    client_step(&client, SIZE_MAX);
    net_run(world.net);
    cr_assert_eq(fired, 1);
    world_wake(world.owners[0]);
    client_expect(&client, &world, "", "+LATER\r\n+PONG\r\n");
    client_fini(&client);
}

static void before_send(void *context)
{
    (void)context;
    struct connection_facts facts;
    if (world.owners[0] == NULL)
        return;
    connection_describe(world.owners[0]->connection, &facts);
    if (facts.output_len == 7)
        fired++;
}

Test(loop, before_send_sees_what_will_be_sent)
{
    struct client client;
    client_init(&client, &world);
    net_set_before_send(world.net, before_send, NULL);
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
    cr_assert_eq(fired, 1);
    client_fini(&client);
}

Test(loop, wake_outside_of_a_turn)
{
    struct client client;
    client_init(&client, &world);
    output_append(world.owners[0]->reply.out, BYTES("+hello\r\n"));
    connection_wake(world.owners[0]->connection);
    client_expect(&client, &world, "", "+hello\r\n");
    connection_close(world.owners[0]->connection);
    client_await_eof(&client, &world);
    client_fini(&client);
}

Test(loop, idle_loop_sleeps)
{
    struct net_stats before, after;
    struct client client;
    client_init(&client, &world);
    client_expect(&client, &world, "BLOCK\r\nPING\r\nPI", "");
    world_settle(&world);
    stop_at = 3;
    net_set_timer(world.net, 0, 100, fire, &world);
    net_stats_read(world.net, &before);
    net_run(world.net);
    net_stats_read(world.net, &after);
    cr_assert_leq(after.turns - before.turns, 20);
    client_fini(&client);
}

enum { HEAVY_CLIENTS = 5, HEAVY_REQUESTS = 400 };
static size_t executed_at_first_send;

static void note_first_send(void *context)
{
    (void)context;
    if (executed_at_first_send == 0)
        executed_at_first_send = world.executed;
}

/* Each of the heavy clients sends its requests, and the light one a single one; then the loop turns once. */
static void flood(struct client *heavy, struct client *light)
{
    for (int i = 0; i < HEAVY_CLIENTS; i++) {
        for (int j = 0; j < HEAVY_REQUESTS; j++)
            client_queue(&heavy[i], BYTES("PING\r\n"));
        client_step(&heavy[i], SIZE_MAX);
    }
    client_queue(light, BYTES("PING\r\n"));
    client_step(light, SIZE_MAX);
    world.executed = executed_at_first_send = 0;
    net_turn(world.net);
}

/* The first time nobody is known to send much; the second time all five are. */
Test(loop, who_sends_little_is_answered_before_who_sends_much)
{
    struct client heavy[HEAVY_CLIENTS], light;
    for (int i = 0; i < HEAVY_CLIENTS; i++)
        client_init(&heavy[i], &world);
    client_init(&light, &world);
    net_set_before_send(world.net, note_first_send, &world);
    for (size_t round = 1; round <= 3; round++) {
        flood(heavy, &light);
        if (round == 1)
            cr_assert_leq(executed_at_first_send, HEAVY_REQUESTS + 1, "a flood was read in one go");
        else
            cr_assert_eq(executed_at_first_send, 1, "%zu were executed first", executed_at_first_send);
        client_await(&light, &world, round * strlen("+PONG\r\n"));
        for (int i = 0; i < HEAVY_CLIENTS; i++)
            client_await(&heavy[i], &world, round * HEAVY_REQUESTS * strlen("+PONG\r\n"));
        cr_assert_eq(world.executed, HEAVY_CLIENTS * HEAVY_REQUESTS + 1);
    }
    for (int i = 0; i < HEAVY_CLIENTS; i++)
        client_fini(&heavy[i]);
    client_fini(&light);
}

/* One that leaves or is closed while it waits for its part of a turn is not touched again. */
Test(loop, a_flood_is_closed_while_it_waits)
{
    struct client heavy[HEAVY_CLIENTS], light;
    for (int i = 0; i < HEAVY_CLIENTS; i++)
        client_init(&heavy[i], &world);
    client_init(&light, &world);
    flood(heavy, &light);
    world_settle(&world);
    for (int i = 0; i < HEAVY_CLIENTS; i++) {
        client_queue(&heavy[i], BYTES("PING\r\n"));
        client_step(&heavy[i], SIZE_MAX);
    }
    client_queue(&light, BYTES("CLOSEALL\r\n"));
    client_step(&light, SIZE_MAX);
    world.executed = 0;
    for (int i = 0; i < HEAVY_CLIENTS; i++)
        client_await_eof(&heavy[i], &world);
    cr_assert_eq(world.closed_count, HEAVY_CLIENTS);
    cr_assert_eq(world.executed, 1, "executed after they were closed");
    for (int i = 0; i < HEAVY_CLIENTS; i++)
        client_fini(&heavy[i]);
    client_fini(&light);
}
