/*
 * Listeners: addresses of all kinds, errors, refusals, and running out of descriptors.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fixture.h"

static struct world world;

static void setup(void)
{
    world_init(&world);
}

static void teardown(void)
{
    world_fini(&world);
}

TestSuite(listen, .init = setup, .fini = teardown, .timeout = 60);

static void expect_ping(int fd)
{
    char answer[8] = "";
    cr_assert_eq(send(fd, "PING\r\n", 6, 0), 6);
    for (int i = 0; i < 100 && recv(fd, answer, 7, MSG_DONTWAIT) <= 0; i++)
        net_turn(world.net);
    cr_assert_str_eq(answer, "+PONG\r\n");
}

Test(listen, tcp4)
{
    struct client client;
    client_init(&client, &world);
    client_expect(&client, &world, "PING\r\n", "+PONG\r\n");
    client_fini(&client);
}

Test(listen, tcp6)
{
    char error[128] = "";
    net_unlisten(world.net);
    cr_assert_eq(net_port(world.net), 0);
    if (!net_listen_tcp(world.net, "::1", 0, error, sizeof(error)))
        cr_skip_test("no IPv6 here: %s", error);
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(net_port(world.net)),
        .sin6_addr = in6addr_loopback,
    };
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_ping(fd);
    struct connection_facts facts;
    connection_describe(world.owners[0]->connection, &facts);
    cr_assert_eq(strncmp(facts.peer, "[::1]:", 6), 0, "%s", facts.peer);
    cr_assert(facts.is_loopback);
    close(fd);
}

Test(listen, both_families_on_one_port)
{
    char error[128] = "";
    net_unlisten(world.net);
    cr_assert(net_listen_tcp(world.net, "*", 0, error, sizeof(error)), "%s", error);
    if (!net_listen_tcp(world.net, "::*", net_port(world.net), error, sizeof(error)))
        cr_assert_neq(errno, EADDRINUSE, "%s", error);
}

/* Who restarts a server need not wait until the last connections of the old one are forgotten. */
Test(listen, again_where_connections_were_closed)
{
    char error[128] = "";
    int port = net_port(world.net);
    struct client client;
    client_init(&client, &world);
    client_expect(&client, &world, "QUIT\r\n", "+OK\r\n");
    client_await_eof(&client, &world); /* who closes first is the one to remember */
    client_fini(&client);
    world_settle(&world);
    net_unlisten(world.net);
    cr_assert(net_listen_tcp(world.net, "127.0.0.1", (uint16_t)port, error, sizeof(error)), "%s", error);
}

Test(listen, unix_socket)
{
    char dir[] = P_tmpdir "/larder-net-XXXXXX", path[64], error[128] = "";
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    cr_assert(net_listen_unix(world.net, path, 0600, error, sizeof(error)), "%s", error);
    cr_assert(net_listen_unix(world.net, path, 0700, error, sizeof(error)), "replaces what is there: %s", error);
    struct stat stat_of;
    cr_assert_eq(stat(path, &stat_of), 0);
    cr_assert_eq(stat_of.st_mode & 0777, 0700);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_ping(fd);
    net_unlisten(world.net);
    struct connection_facts facts;
    connection_describe(world.owners[0]->connection, &facts);
    cr_assert_eq(strncmp(facts.peer, path, strlen(path)), 0);
    cr_assert_str_eq(facts.peer + strlen(path), ":0");
    cr_assert(facts.is_unix && facts.is_loopback);
    expect_ping(fd);
    close(fd);
    cr_assert_neq(access(path, F_OK), 0);
    rmdir(dir);
}

Test(listen, errors)
{
    char error[128] = "", path[200];
    cr_assert(!net_listen_tcp(world.net, "127.0.0.1", net_port(world.net), error, sizeof(error)));
    cr_assert_str_eq(error, "bind: Address already in use");
    cr_assert_eq(errno, EADDRINUSE);
    cr_assert(!net_listen_tcp(world.net, "127.0.0.1.2.3", 0, error, sizeof(error)));
    cr_assert(!net_listen_unix(world.net, "/nonexistent/dir/s", 0, error, sizeof(error)));
    cr_assert_str_eq(error, "bind: No such file or directory");
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    cr_assert(!net_listen_unix(world.net, path, 0, error, sizeof(error)));
    cr_assert_eq(errno, ENAMETOOLONG);
}

Test(listen, receiver_refuses)
{
    struct client client;
    world.drop_new = true;
    client_init(&client, &world);
    client_queue(&client, BYTES("PING\r\n"));
    client_await_eof(&client, &world);
    cr_assert_str_eq(buf_cstr(&client.got), "-DENIED go away\r\n");
    cr_assert_eq(world.executed, 0);
    client_fini(&client);
}

Test(listen, clients_max)
{
    struct client clients[3], refused;
    world.settings.clients_max = 3;
    for (int i = 0; i < 3; i++)
        client_init(&clients[i], &world);
    world.drop_new = true; /* client_init is not to wait */
    client_init(&refused, &world);
    world.drop_new = false;
    client_await_eof(&refused, &world);
    cr_assert_str_eq(buf_cstr(&refused.got), "-ERR max number of clients reached\r\n");
    struct net_stats stats;
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.connections_rejected, 1);
    cr_assert_eq(stats.connections_received, 3);
    client_fini(&refused);
    client_fini(&clients[0]);
    world_settle(&world);
    client_init(&clients[0], &world);
    for (int i = 0; i < 3; i++) {
        client_expect(&clients[i], &world, "PING\r\n", "+PONG\r\n");
        client_fini(&clients[i]);
    }
}

Test(listen, out_of_descriptors_rests)
{
    struct client first;
    client_init(&first, &world);
    int used = dup(first.fd);
    close(used);
    struct rlimit limit, low;
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = (rlim_t)used + 1;
    setrlimit(RLIMIT_NOFILE, &low);
    struct client second;
    world.drop_new = true;
    client_init(&second, &world);
    world.drop_new = false;
    struct net_stats before, after;
    world_settle(&world);
    net_stats_read(world.net, &before);
    client_expect(&first, &world, "PING\r\n", "+PONG\r\n");
    cr_assert_eq(world.owner_count, 1);
    setrlimit(RLIMIT_NOFILE, &limit);
    usleep(150000);
    client_expect(&second, &world, "PING\r\n", "+PONG\r\n");
    net_stats_read(world.net, &after);
    cr_assert_eq(after.connections_received, 2);
    client_fini(&first);
    client_fini(&second);
}

Test(listen, two_thousand_connections)
{
    enum { COUNT = 2000 };
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * COUNT + 100)
        cr_skip_test("too few descriptors here");
    static struct client clients[COUNT];
    for (int i = 0; i < COUNT; i++)
        client_init(&clients[i], &world);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            client_queue(&clients[i], BYTES("PING\r\nECHO 1\r\nPI"));
            client_step(&clients[i], SIZE_MAX);
        }
        world_settle(&world);
        for (int i = 0; i < COUNT; i++) {
            buf_clear(&clients[i].got);
            client_queue(&clients[i], BYTES("NG\r\n"));
            client_step(&clients[i], SIZE_MAX);
            cr_assert_str_eq(buf_cstr(&clients[i].got), "+PONG\r\n$1\r\n1\r\n");
        }
        world_settle(&world);
        for (int i = 0; i < COUNT; i++) {
            buf_clear(&clients[i].got);
            client_step(&clients[i], SIZE_MAX);
            cr_assert_str_eq(buf_cstr(&clients[i].got), "+PONG\r\n");
            buf_clear(&clients[i].got);
        }
    }
    for (int i = 0; i < COUNT; i += 2)
        client_fini(&clients[i]);
    for (int i = 0; i < 100 && world.open_count > COUNT / 2; i++)
        net_turn(world.net);
    cr_assert_eq(world.open_count, COUNT / 2);
    for (int i = 1; i < COUNT; i += 2)
        client_fini(&clients[i]);
}
