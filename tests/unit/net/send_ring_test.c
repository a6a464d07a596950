/*
 * Answers for many in one system call: each gets its own, whole, whatever becomes of the others; and so too where there
 * is no ring, or where it breaks.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

enum { CLIENTS = 150 }; /* more than a system call answers */

static struct world world;
static struct client clients[CLIENTS];

static void begin(void)
{
    world_init(&world);
    for (int i = 0; i < CLIENTS; i++)
        client_init(&clients[i], &world);
}

static void end(void)
{
    for (int i = 0; i < CLIENTS; i++)
        client_fini(&clients[i]);
    world_fini(&world);
}

TestSuite(send_ring, .init = begin, .fini = end, .timeout = 60);

/* Number of the descriptor of a ring of this process, or -1. */
static int find_ring(void)
{
    DIR *dir = opendir("/proc/self/fd");
    cr_assert_not_null(dir);
    int found = -1;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char target[64] = "";
        if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) > 0 && strstr(target, "[io_uring]"))
            found = atoi(entry->d_name);
    }
    closedir(dir);
    return found;
}

/* All ask in one turn; a client that is still there gets what it asked for. */
static void ask_all(int round)
{
    char request[64], expected[96];
    for (int i = 0; i < CLIENTS; i++) {
        buf_clear(&clients[i].got);
        snprintf(request, sizeof(request), "ECHO client-%d-%d\r\n", i, round);
        client_queue(&clients[i], bytes_from_cstr(request));
        client_step(&clients[i], SIZE_MAX);
    }
    for (int i = 0; i < CLIENTS; i++) {
        int len = snprintf(request, sizeof(request), "client-%d-%d", i, round);
        snprintf(expected, sizeof(expected), "$%d\r\n%s\r\n", len, request);
        client_await(&clients[i], &world, strlen(expected));
        if (!clients[i].eof)
            cr_assert_str_eq(buf_cstr(&clients[i].got), expected);
    }
}

static void require_all_there(void)
{
    for (int i = 0; i < CLIENTS; i++)
        cr_assert(!clients[i].eof);
}

Test(send_ring, each_gets_its_own)
{
    for (int round = 0; round < 5; round++)
        ask_all(round);
    require_all_there();
    struct net_stats stats;
    net_stats_read(world.net, &stats);
    cr_assert_eq(stats.writes, 5 * CLIENTS);
    cr_assert_eq(stats.output_memory, 0);
}

Test(send_ring, who_leaves_takes_nobody_along)
{
    static const char *const last_words[] = { "QUIT\r\n", "CLOSE\r\n", "FILL 3\r\n" };
    static const char *const answers[] = { "+OK\r\n", "", "$3\r\nxxx\r\n" };
    for (int i = 0; i < CLIENTS; i++) {
        client_queue(&clients[i], bytes_from_cstr(last_words[i % 3]));
        client_step(&clients[i], SIZE_MAX);
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (i % 3 == 2)
            client_await(&clients[i], &world, strlen(answers[2]));
        else
            client_await_eof(&clients[i], &world);
        cr_assert_str_eq(buf_cstr(&clients[i].got), answers[i % 3]);
    }
    cr_assert_eq(world.closed_count, CLIENTS / 3 * 2);
}

Test(send_ring, who_does_not_read_gets_the_rest_later)
{
    enum { SLOW = 4, ROUNDS = 1000, LEN = 12000 };
    static const char request[] = "FILL 12000\r\n";
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SLOW; i++)
            cr_assert_eq(write(clients[i].fd, request, strlen(request)), (ssize_t)strlen(request));
        net_turn(world.net);
    }
    struct net_stats stats;
    net_stats_read(world.net, &stats);
    cr_assert_gt(stats.output_memory, 0, "the sockets took everything");
    size_t len = ROUNDS * (strlen("$12000\r\n") + LEN + 2);
    for (int i = 0; i < SLOW; i++) {
        client_await(&clients[i], &world, len);
        cr_assert_eq(clients[i].got.len, len);
    }
    ask_all(0);
    require_all_there();
}

Test(send_ring, can_be_switched_off_and_on)
{
    ask_all(0);
    bool is_there = find_ring() >= 0, was_wanted = world.settings.io_uring;
    for (int round = 0; round < 4; round++) {
        world.settings.io_uring = was_wanted && round % 2 == 1;
        ask_all(round);
        cr_assert_eq(find_ring() >= 0, world.settings.io_uring && is_there);
    }
    require_all_there();
}

Test(send_ring, goes_on_when_the_ring_breaks)
{
    ask_all(0);
    int ring = find_ring();
    if (ring >= 0)
        close(ring);
    for (int round = 1; round < 3; round++)
        ask_all(round);
    require_all_there();
}
