/*
 * Commands about the server as a whole: TIME, LOLWUT, and the answers of a server that has no replicas.
 */
#include "base/clock.h"
#include "engine/command.h"
#include "engine/version.h"
#include "server_priv.h"

static void run_time(struct call *call)
{
    int64_t now_us = clock_wall_us();
    reply_array(call->reply, 2);
    reply_bulk_int(call->reply, now_us / 1000000);
    reply_bulk_int(call->reply, now_us % 1000000);
}

/* A larder's shelves, filled at random: a small drawing for those who ask. */
static void run_lolwut(struct call *call)
{
    enum { SHELVES = 4, JARS = 16 };
    static const char *const jars[] = { "[_]", "(_)", "|#|", "{o}", " . " };
    struct buf out = BUF_EMPTY;
    for (int shelf = 0; shelf < SHELVES; shelf++) {
        buf_append_cstr(&out, "| ");
        for (int i = 0; i < JARS; i++)
            buf_printf(&out, "%s ", jars[random_below(call_random(call), sizeof jars / sizeof *jars)]);
        buf_append_cstr(&out, "|\n+");
        for (int i = 0; i < JARS * 4 + 1; i++)
            buf_append_char(&out, '-');
        buf_append_cstr(&out, "+\n");
    }
    buf_printf(&out, "\nA larder, well stocked. Redis ver. %s, Larder ver. %s\n", LARDER_REDIS_VERSION, LARDER_VERSION);
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

static void run_role(struct call *call)
{
    reply_array(call->reply, 3);
    reply_bulk(call->reply, BYTES("master"));
    reply_int(call->reply, 0);
    reply_array(call->reply, 0);
}

static const char *const time_tips[] = { "nondeterministic_output", NULL };

const struct command admin_commands[] = {
    { .name = "TIME",
        .run = run_time,
        .argc = EXACTLY(1),
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .group = GROUP_SERVER,
        .since = "2.6.0",
        .complexity = "O(1)",
        .tips = time_tips,
        .brief = "Replies with the server's time: seconds since 1970, and microseconds of the second." },
    { .name = "LOLWUT",
        .run = run_lolwut,
        .argc = AT_LEAST(1),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SERVER,
        .since = "5.0.0",
        .complexity = "O(1)",
        .usage = "[VERSION version]",
        .brief = "Draws something, and tells the version." },
    { .name = "ROLE",
        .run = run_role,
        .argc = EXACTLY(1),
        .flags = CMD_LOADING | CMD_STALE | CMD_NO_SCRIPT | CMD_FAST,
        .group = GROUP_SERVER,
        .categories = CATEGORY_ADMIN | CATEGORY_DANGEROUS,
        .since = "2.8.12",
        .complexity = "O(1)",
        .brief = "Replies with the server's role in replication: always that of a master without replicas." },
    { 0 },
};
