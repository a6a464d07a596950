/*
 * LATENCY: what took long, how durations are distributed, and who made others wait.
 */

#include "base/clock.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "engine/aside.h"
#include "engine/blame.h"
#include "engine/command.h"
#include "engine/latency.h"
#include "server_priv.h"

static void run_latest(struct call *call)
{
    size_t count = 0;
    struct output_gap *head = reply_deferred(call->reply);
    for (const struct latency_event *event = latency_first(call->engine); event; event = event->next, count++) {
        const struct latency_sample *newest = latency_sample(event, 0);
        reply_array(call->reply, 4);
        reply_bulk_cstr(call->reply, event->name);
        reply_int(call->reply, newest->time_s);
        reply_int(call->reply, newest->ms);
        reply_int(call->reply, event->longest_ms);
    }
    reply_deferred_end(call->reply, head, REPLY_ARRAY, count);
}

static void run_history(struct call *call)
{
    const struct latency_event *event = latency_find(call->engine, call->argv[2]);
    uint32_t count = event ? event->count : 0;
    reply_array(call->reply, count);
    for (uint32_t age = count; age-- > 0;) {
        const struct latency_sample *sample = latency_sample(event, age);
        reply_array(call->reply, 2);
        reply_int(call->reply, sample->time_s);
        reply_int(call->reply, sample->ms);
    }
}

static void run_graph(struct call *call)
{
    const struct latency_event *event = latency_find(call->engine, call->argv[2]);
    if (!event) {
        reply_error_printf(call->reply, "ERR No samples available for event '%.*s'", (int)call->argv[2].len,
            call->argv[2].ptr ? call->argv[2].ptr : "");
        return;
    }
    struct buf picture = BUF_EMPTY;
    latency_report_graph(event, clock_wall_ms() / 1000, &picture);
    reply_verbatim(call->reply, "txt", buf_bytes(&picture));
    buf_fini(&picture);
}

static void run_doctor(struct call *call)
{
    struct buf report = BUF_EMPTY;
    latency_report_doctor(server_of(call), &report);
    reply_verbatim(call->reply, "txt", buf_bytes(&report));
    buf_fini(&report);
}

static void run_reset(struct call *call)
{
    size_t count = 0;
    for (uint32_t i = 2; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "blame"))
            blame_reset(call->engine);
        else
            count += latency_reset(call->engine, call->argv[i]);
    }
    if (call->argc == 2) {
        count = latency_reset_all(call->engine);
        blame_reset(call->engine);
    }
    reply_int(call->reply, (int64_t)count);
}

/* --- HISTOGRAM --- */

enum { HISTOGRAM_STEPS = 38 };

/* Powers of two from 1024 ns on, as tools know them: the top of the class that a histogram of two digits puts it in. */
static uint64_t step_end_ns(int step)
{
    return (UINT64_C(1024) << step) + (UINT64_C(8) << step) - 1;
}

/* Writes the cumulative counts that differ from the one before. */
static void reply_histogram(struct reply *reply, const struct command_stats *stats)
{
    struct output_gap *head = reply_deferred(reply);
    uint64_t sum = 0, told = 0;
    size_t pairs = 0;
    unsigned bucket = 0;
    for (int step = 0; step < HISTOGRAM_STEPS; step++) {
        bool is_last = step == HISTOGRAM_STEPS - 1;
        while (bucket < COMMAND_LATENCY_BUCKETS && (is_last || command_stats_bucket_ns(bucket) <= step_end_ns(step)))
            sum += stats->latency[bucket++];
        if (sum == told)
            continue;
        reply_int(reply, (int64_t)(step_end_ns(step) / 1000));
        reply_int(reply, (int64_t)sum);
        told = sum;
        pairs++;
    }
    reply_deferred_end(reply, head, REPLY_MAP, pairs);
}

static size_t reply_command(struct reply *reply, const struct command_info *info)
{
    if (!info->stats.latency)
        return 0;
    reply_bulk_cstr(reply, info->full_name);
    reply_map(reply, 2);
    reply_bulk_cstr(reply, "calls");
    reply_int(reply, (int64_t)info->stats.calls);
    reply_bulk_cstr(reply, "histogram_usec");
    reply_histogram(reply, &info->stats);
    return 1;
}

/* A command with its subcommands, or one of these; returns how many were written. */
static size_t reply_commands(struct reply *reply, const struct command_info *info)
{
    size_t count = reply_command(reply, info);
    for (uint32_t i = 0; i < info->sub_count; i++)
        count += reply_command(reply, &info->subs[i]);
    return count;
}

/* "config", or "config|get". */
static const struct command_info *find_named(struct call *call, struct bytes name)
{
    const char *bar = name.len ? memchr(name.ptr, '|', name.len) : NULL;
    size_t head = bar ? (size_t)(bar - name.ptr) : name.len;
    const struct command_info *info = command_find(call->engine->registry, bytes_make(name.ptr, head));
    if (!info || !bar)
        return info;
    return command_find_sub(info, bytes_make(bar + 1, name.len - head - 1));
}

static void run_histogram(struct call *call)
{
    enum { NAMES_AT_ONCE = 500, NAME_COST = 2, COMMAND_COST = 20 };
    if (call->argc > NAMES_AT_ONCE && call_aside_unheld(call))
        return;
    struct output_gap *head = reply_deferred(call->reply);
    size_t count = 0;
    const struct command_info *info;
    for (uint32_t i = 2; i < call->argc && !fiber_is_over(); i++) {
        info = find_named(call, call->argv[i]);
        fiber_breathe(info ? COMMAND_COST * (1 + info->sub_count) : NAME_COST);
        if (info)
            count += reply_commands(call->reply, info);
    }
    for (size_t i = 0; call->argc == 2 && (info = command_at(call->engine->registry, i)); i++)
        count += reply_commands(call->reply, info);
    reply_deferred_end(call->reply, head, REPLY_MAP, count);
}

/* --- BLAME --- */

static void reply_pair(struct reply *reply, const char *name, uint64_t value)
{
    reply_bulk_cstr(reply, name);
    reply_int(reply, (int64_t)value);
}

static void reply_blame(struct reply *reply, const struct blame *blame)
{
    reply_map(reply, 8);
    reply_bulk_cstr(reply, "who");
    reply_bulk_cstr(reply, blame->name);
    reply_pair(reply, "times", blame->holds);
    reply_pair(reply, "held-usec", blame->ns / 1000);
    reply_pair(reply, "longest-usec", blame->longest_ns / 1000);
    reply_pair(reply, "longest-at", (uint64_t)(blame->longest_at_ms / 1000));
    reply_pair(reply, "last-at", (uint64_t)(blame->last_at_ms / 1000));
    reply_pair(reply, "requests-waited", blame->waited);
    reply_pair(reply, "waited-usec", blame->waited_ns / 1000);
}

static void run_blame(struct call *call)
{
    int64_t wanted = 10;
    if (call->argc > 3) {
        call_fail_arity(call);
        return;
    }
    if (call->argc == 3 &&
        !call_arg_i64(call, 2, -1, INT32_MAX, "ERR count should be greater than or equal to -1", &wanted))
        return;
    size_t max = wanted < 0 || wanted > BLAME_NAMES_MAX ? BLAME_NAMES_MAX : (size_t)wanted;
    struct blame *list = mem_alloc((max + 1) * sizeof *list);
    size_t count = blame_list(call->engine, list, max);
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++)
        reply_blame(call->reply, &list[i]);
    mem_free(list);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "BLAME [<count>]",
        "    Show who held the server up so that others waited, the worst first (default 10, -1 is all):",
        "    how often, how long, when it was worst, and how many requests of others waited meanwhile.",
        "DOCTOR",
        "    Show what the events say, in words.",
        "GRAPH <event>",
        "    Draw the samples of an event.",
        "HISTOGRAM [<command> ...]",
        "    Show how the durations of commands are distributed: cumulative counts by microseconds.",
        "HISTORY <event>",
        "    Show the samples of an event: time and milliseconds.",
        "LATEST",
        "    Show the last sample of every event, and the longest.",
        "RESET [<event> ...]",
        "    Forget these events, or all of them and the blame. BLAME stands for the blame alone.",
        NULL,
    };
    call_reply_help(call, lines);
}

enum { LATENCY_FLAGS = CMD_ADMIN | CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE };

static const char *const node_tips[] = { "nondeterministic_output", "request_policy:all_nodes",
    "response_policy:special", NULL };
static const char *const reset_tips[] = { "request_policy:all_nodes", "response_policy:all_succeeded", NULL };

#define SUB(word, function, count, when, cost)                                                                        \
    .name = (word), .run = (function), .argc = count, .flags = LATENCY_FLAGS, .group = GROUP_SERVER, .since = (when), \
    .complexity = (cost)

static const struct command subcommands[] = {
    { SUB("BLAME", run_blame, AT_LEAST(2), "7.0.0", "O(N) where N is the number of names"), .usage = "[count]",
        .brief = "Replies with who made others wait." },
    { SUB("DOCTOR", run_doctor, EXACTLY(2), "2.8.13", "O(1)"), .tips = node_tips,
        .brief = "Replies with a report in words." },
    { SUB("GRAPH", run_graph, EXACTLY(3), "2.8.13", "O(1)"), .usage = "event", .tips = node_tips,
        .brief = "Draws the samples of an event." },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "2.8.13",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { SUB("HISTOGRAM", run_histogram, AT_LEAST(2), "7.0.0", "O(N) where N is the number of commands with information"),
        .usage = "[command [command ...]]", .tips = node_tips,
        .brief = "Replies with the distribution of commands' durations." },
    { SUB("HISTORY", run_history, EXACTLY(3), "2.8.13", "O(1)"), .usage = "event", .tips = node_tips,
        .brief = "Replies with the samples of an event." },
    { SUB("LATEST", run_latest, EXACTLY(2), "2.8.13", "O(1)"), .tips = node_tips,
        .brief = "Replies with the last sample of every event." },
    { SUB("RESET", run_reset, AT_LEAST(2), "2.8.13", "O(1)"), .usage = "[event [event ...]]", .tips = reset_tips,
        .brief = "Forgets events." },
    { 0 },
};

const struct command latency_commands[] = {
    { .name = "LATENCY",
        .argc = AT_LEAST(2),
        .group = GROUP_SERVER,
        .subcommands = subcommands,
        .since = "2.8.13",
        .complexity = "Depends on the subcommand.",
        .brief = "What took long, and why." },
    { 0 },
};
