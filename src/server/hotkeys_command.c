/*
 * HOTKEYS: which keys stand out. START, STOP, GET and RESET are Redis 8.6's tracking session; TOP and REPORT show what
 * is always on (engine/insight.h, store/census.h), to programs and to people.
 */

#include "base/clock.h"
#include "engine/command.h"
#include "engine/hotkeys.h"
#include "engine/insight.h"
#include "resp/reply.h"
#include "server_priv.h"
#include "store/census.h"
#include "store/keyspace.h"
#include "store/topk.h"

enum { SLOTS_OF_CLUSTER = 16384, TOP_MAX = 128, SHOWN_KEY_MAX = 48 };

/* --- START --- */

struct request_words {
    unsigned metrics;
    int64_t count, duration_s, sample;
};

static bool fail(struct call *call, const char *text)
{
    reply_error(call->reply, bytes_from_cstr(text));
    return false;
}

/* "METRICS count name...": names that we do not know are for servers to come. `*at` is behind them then. */
static bool read_metrics(struct call *call, uint32_t *at, unsigned *metrics)
{
    int64_t count;
    if (!call_arg_i64(call, *at, 1, UINT32_MAX, "ERR METRICS count must be a positive integer", &count))
        return false;
    if (count > (int64_t)call->argc - *at - 1)
        return fail(call, "ERR METRICS count does not match number of metric types provided");
    for ((*at)++; count > 0; count--, (*at)++) {
        unsigned metric = call_arg_is(call, *at, "CPU") ? HOTKEYS_CPU : call_arg_is(call, *at, "NET") ? HOTKEYS_NET : 0;
        if (metric & *metrics)
            return fail(call, metric == HOTKEYS_CPU ? "ERR METRICS CPU defined more than once"
                                                    : "ERR METRICS NET defined more than once");
        *metrics |= metric;
    }
    return *metrics || fail(call, "ERR METRICS no valid metrics passed");
}

/* An option and its number; `*at` is behind them then. */
static bool read_option(struct call *call, uint32_t *at, struct request_words *words)
{
    static const struct {
        const char *name, *text;
        int64_t max;
    } options[] = {
        { "COUNT", "ERR COUNT must be between 1 and 64", HOTKEYS_COUNT_MAX },
        { "DURATION", "ERR DURATION must be between 1 and 1000000", 1000000 },
        { "SAMPLE", "ERR SAMPLE ratio must be positive", INT32_MAX },
    };
    int64_t *const values[] = { &words->count, &words->duration_s, &words->sample };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (!call_arg_is(call, *at, options[i].name) || *at + 1 == call->argc)
            continue;
        if (!call_arg_i64(call, *at + 1, 1, options[i].max, options[i].text, values[i]))
            return false;
        *at += 2;
        return true;
    }
    if (call_arg_is(call, *at, "SLOTS"))
        return fail(call, "ERR SLOTS parameter cannot be used in non-cluster mode");
    reply_fail(call->reply, ERROR_SYNTAX);
    return false;
}

static void run_start(struct call *call)
{
    struct request_words words = { .count = HOTKEYS_COUNT_DEFAULT, .sample = 1 };
    for (uint32_t at = 2; at < call->argc;) {
        bool is_metrics = call_arg_is(call, at, "METRICS") && at + 1 < call->argc;
        if (is_metrics && words.metrics) {
            fail(call, "ERR METRICS defined more than once");
            return;
        }
        at += is_metrics;
        if (is_metrics ? !read_metrics(call, &at, &words.metrics) : !read_option(call, &at, &words))
            return;
    }
    const struct hotkeys *session = hotkeys_session(call->engine, call->now_ms);
    if (!words.metrics)
        fail(call, "ERR METRICS parameter is required");
    else if (session && session->active)
        fail(call, "ERR hotkey tracking session already in progress");
    else {
        hotkeys_start(call->engine, words.metrics, words.count, words.sample, words.duration_s * 1000, call->now_ms);
        reply_ok(call->reply);
    }
}

/* --- STOP, RESET --- */

static void run_stop(struct call *call)
{
    const struct hotkeys *session = hotkeys_session(call->engine, call->now_ms);
    if (!session || !session->active) {
        reply_null(call->reply);
        return;
    }
    hotkeys_stop(call->engine, call->now_ms);
    reply_ok(call->reply);
}

static void run_reset(struct call *call)
{
    const struct hotkeys *session = hotkeys_session(call->engine, call->now_ms);
    if (session && session->active) {
        fail(call, "ERR hotkey tracking session in progress, stop tracking first");
        return;
    }
    hotkeys_reset(call->engine);
    reply_ok(call->reply);
}

/* --- GET --- */

static void reply_pair(struct call *call, const char *name, int64_t value)
{
    reply_bulk_cstr(call->reply, name);
    reply_int(call->reply, value);
}

static int64_t us_of(uint64_t ticks)
{
    return (int64_t)(clock_ticks_to_ns(ticks) / 1000);
}

/* Keys and values in turn, in RESP3 too. */
static void reply_counts(struct call *call, const char *name, const struct topk *topk, int64_t count, bool are_ticks)
{
    struct topk_item items[HOTKEYS_COUNT_MAX];
    size_t found = topk_best(topk, items, (size_t)count);
    reply_bulk_cstr(call->reply, name);
    reply_array(call->reply, 2 * found);
    for (size_t i = 0; i < found; i++) {
        int64_t us = are_ticks ? us_of(items[i].count) : 0;
        reply_bulk(call->reply, items[i].key);
        reply_int(call->reply, !are_ticks ? (int64_t)items[i].count : us > 0 ? us : 1);
    }
}

static void run_get(struct call *call)
{
    enum { FIELDS = 7, FIELDS_OF_CPU = 3, FIELDS_OF_NET = 2 };
    const struct hotkeys *session = hotkeys_session(call->engine, call->now_ms);
    if (!session) {
        reply_null_array(call->reply);
        return;
    }
    int64_t user_us, system_us;
    hotkeys_read_times(session, &user_us, &system_us);
    reply_array(call->reply, 1);
    reply_map(call->reply, FIELDS + (session->by_ticks ? FIELDS_OF_CPU : 0) + (session->by_bytes ? FIELDS_OF_NET : 0));
    reply_pair(call, "tracking-active", session->active);
    reply_pair(call, "sample-ratio", session->sample);
    reply_bulk_cstr(call->reply, "selected-slots");
    reply_array(call->reply, 1);
    reply_array(call->reply, 2);
    reply_int(call->reply, 0);
    reply_int(call->reply, SLOTS_OF_CLUSTER - 1);
    reply_pair(call, "all-commands-all-slots-us", us_of(session->ticks));
    reply_pair(call, "net-bytes-all-commands-all-slots", (int64_t)session->bytes);
    reply_pair(call, "collection-start-time-unix-ms", session->started_ms);
    reply_pair(
        call, "collection-duration-ms", (session->active ? call->now_ms : session->ends_ms) - session->started_ms);
    if (session->by_ticks) {
        reply_pair(call, "total-cpu-time-user-ms", user_us / 1000);
        reply_pair(call, "total-cpu-time-sys-ms", system_us / 1000);
    }
    if (session->by_bytes)
        reply_pair(call, "total-net-bytes", (int64_t)session->bytes);
    if (session->by_ticks)
        reply_counts(call, "by-cpu-time-us", session->by_ticks, session->count, true);
    if (session->by_bytes)
        reply_counts(call, "by-net-bytes", session->by_bytes, session->count, false);
}

/* --- What is always on --- */

enum by { BY_ACCESS, BY_CPU, BY_NET, BY_SIZE, BYS };

static const char *const by_names[BYS] = { "ACCESS", "CPU", "NET", "SIZE" };

/* One line of a list, in figures that mean something. */
struct line {
    struct bytes key; /* borrowed */
    int db;
    double value;              /* a second: commands, microseconds, bytes; or bytes of memory */
    double share;              /* of all commands, time or bytes, in percent */
    const struct entry *entry; /* borrowed; NULL if there is no such key now */
};

static size_t list_sizes(struct call *call, struct line *lines, size_t max)
{
    struct topk_item items[TOP_MAX];
    size_t count = topk_best(census_largest(server_of(call)->census, call->keyspace), items, TOP_MAX), kept = 0;
    for (size_t i = 0; i < count && kept < max; i++) {
        struct key key = { items[i].key.ptr, items[i].key.len, items[i].hash };
        struct db *db = call->keyspace->dbs[items[i].db];
        const struct entry *entry = items[i].cut ? NULL : keyspace_glance(db, key);
        if (entry && !entry_is_expired(entry, call->now_ms))
            lines[kept++] = (struct line){ items[i].key, items[i].db, (double)entry_memory(entry), 0, entry };
    }
    return kept;
}

static size_t list_counts(struct call *call, enum by by, struct line *lines, size_t max)
{
    struct topk_item items[TOP_MAX];
    const struct topk *topk = insight_top(call->engine->insight, (enum insight_metric)by);
    size_t count = topk_best(topk, items, max);
    double span_s = insight_span_s(call->engine->insight, call->now_ms), total = (double)topk_total(topk);
    for (size_t i = 0; i < count; i++) {
        struct key key = { items[i].key.ptr, items[i].key.len, items[i].hash };
        double sum = (double)items[i].count - (double)items[i].error / 2; /* the middle of what it may be */
        double value = by == BY_CPU ? (double)clock_ticks_to_ns((uint64_t)sum) / 1000 : sum;
        lines[i] = (struct line){ items[i].key, items[i].db, span_s > 0.1 ? value / span_s : value,
            total > 0 ? 100 * sum / total : 0,
            items[i].cut ? NULL : keyspace_glance(call->keyspace->dbs[items[i].db], key) };
    }
    return count;
}

static size_t list(struct call *call, enum by by, struct line *lines, size_t max)
{
    return by == BY_SIZE ? list_sizes(call, lines, max) : list_counts(call, by, lines, max);
}

/* [BY metric] [COUNT n]; *by stays what it was if it is not said. */
static bool read_choice(struct call *call, enum by *by, int64_t *count)
{
    for (uint32_t i = 2; i < call->argc; i += 2) {
        bool has_value = i + 1 < call->argc;
        if (has_value && call_arg_is(call, i, "COUNT")) {
            if (!call_arg_i64(call, i + 1, 1, TOP_MAX, "ERR COUNT must be between 1 and 128", count))
                return false;
            continue;
        }
        enum by found = BY_ACCESS;
        while (found < BYS && has_value && !call_arg_is(call, i + 1, by_names[found]))
            found++;
        if (!has_value || !call_arg_is(call, i, "BY") || found == BYS) {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
        *by = found;
    }
    return true;
}

static void reply_size(struct call *call, const struct line *line)
{
    reply_map(call->reply, 5);
    reply_bulk_cstr(call->reply, "key");
    reply_bulk(call->reply, line->key);
    reply_pair(call, "db", line->db);
    reply_bulk_cstr(call->reply, "type");
    reply_bulk_cstr(call->reply, entry_type_name((enum entry_type)line->entry->type));
    reply_pair(call, "bytes", (int64_t)line->value);
    reply_pair(call, "size", (int64_t)census_size(line->entry));
}

static void reply_count(struct call *call, enum by by, const struct line *line)
{
    static const char *const names[] = { "per-second", "usec-per-second", "bytes-per-second" };
    reply_map(call->reply, 4);
    reply_bulk_cstr(call->reply, "key");
    reply_bulk(call->reply, line->key);
    reply_pair(call, "db", line->db);
    reply_bulk_cstr(call->reply, names[by]);
    reply_double(call->reply, line->value);
    reply_bulk_cstr(call->reply, "percent");
    reply_double(call->reply, line->share);
}

static void run_top(struct call *call)
{
    struct line lines[TOP_MAX];
    enum by by = BY_ACCESS;
    int64_t max = HOTKEYS_COUNT_DEFAULT;
    if (!read_choice(call, &by, &max))
        return;
    size_t count = list(call, by, lines, (size_t)max);
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        if (by == BY_SIZE)
            reply_size(call, &lines[i]);
        else
            reply_count(call, by, &lines[i]);
    }
}

/* A key as people can read it: cut, and what is not text as dots. */
static void append_key(struct buf *out, const struct line *line)
{
    size_t len = line->key.len < SHOWN_KEY_MAX ? line->key.len : SHOWN_KEY_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = line->key.ptr[i];
        buf_append_char(out, c >= ' ' && c <= '~' ? c : '.');
    }
    buf_append_cstr(out, len < line->key.len ? "...\n" : "\n");
}

static void append_list(struct call *call, enum by by, size_t max, struct buf *out)
{
    static const char *const heads[BYS] = {
        "Used most\n  commands/s  percent  db  key\n",
        "Costing most time\n      usec/s  percent  db  key\n",
        "Moving most bytes\n     bytes/s  percent  db  key\n",
        "Largest\n       bytes     size  db  type    key\n",
    };
    struct line lines[TOP_MAX];
    size_t count = list(call, by, lines, max);
    buf_printf(out, "%s%s", out->len ? "\n" : "", heads[by]);
    for (size_t i = 0; i < count; i++) {
        const struct line *line = &lines[i];
        if (by == BY_SIZE)
            buf_printf(out, "%12.0f %8zu  %2d  %-6s  ", line->value, census_size(line->entry), line->db,
                entry_type_name((enum entry_type)line->entry->type));
        else
            buf_printf(out, "%12.1f %8.2f  %2d  ", line->value, line->share, line->db);
        append_key(out, line);
    }
}

static void run_report(struct call *call)
{
    enum by by = BYS;
    int64_t max = HOTKEYS_COUNT_DEFAULT;
    if (!read_choice(call, &by, &max))
        return;
    struct buf out = BUF_EMPTY;
    for (enum by each = BY_ACCESS; each < BYS; each++)
        if (by == BYS || by == each)
            append_list(call, each, (size_t)max, &out);
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "START METRICS <count> [CPU] [NET] [COUNT <k>] [DURATION <seconds>] [SAMPLE <ratio>]",
        "    Start a tracking session: the keys that cost most time or move most bytes.",
        "STOP",
        "    End it; what it found stays.",
        "GET",
        "    Show what the session found.",
        "RESET",
        "    Forget a session that was stopped.",
        "TOP [BY <ACCESS|CPU|NET|SIZE>] [COUNT <n>]",
        "    Show the keys that stand out of late, without a session. Always on.",
        "REPORT [BY <ACCESS|CPU|NET|SIZE>] [COUNT <n>]",
        "    The same as tables for people.",
        NULL,
    };
    call_reply_help(call, lines);
}

static const char *const tips[] = { "request_policy:special", "response_policy:special", "nondeterministic_output",
    NULL };

static const struct command subcommands[] = {
    { .name = "GET",
        .run = run_get,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "8.6.0",
        .complexity = "O(K) where K is the number of hotkeys returned.",
        .tips = tips,
        .brief = "Replies with what the tracking session found." },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "8.6.1",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { .name = "REPORT",
        .run = run_report,
        .argc = AT_LEAST(2),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "8.6.0",
        .complexity = "O(1)",
        .usage = "[BY <ACCESS | CPU | NET | SIZE>] [COUNT count]",
        .tips = tips,
        .brief = "Shows the keys that stand out, as tables." },
    { .name = "RESET",
        .run = run_reset,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "8.6.0",
        .complexity = "O(1)",
        .tips = tips,
        .brief = "Forgets the tracking session." },
    { .name = "START",
        .run = run_start,
        .argc = AT_LEAST(2),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "8.6.0",
        .complexity = "O(1)",
        .usage = "METRICS count [CPU] [NET] [COUNT k] [DURATION duration] [SAMPLE ratio]",
        .tips = tips,
        .brief = "Starts a tracking session." },
    { .name = "STOP",
        .run = run_stop,
        .argc = EXACTLY(2),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "8.6.0",
        .complexity = "O(1)",
        .tips = tips,
        .brief = "Ends the tracking session." },
    { .name = "TOP",
        .run = run_top,
        .argc = AT_LEAST(2),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT,
        .group = GROUP_SERVER,
        .since = "8.6.0",
        .complexity = "O(1)",
        .usage = "[BY <ACCESS | CPU | NET | SIZE>] [COUNT count]",
        .tips = tips,
        .brief = "Replies with the keys that stand out." },
    { 0 },
};

const struct command hotkeys_commands[] = {
    { .name = "HOTKEYS",
        .argc = AT_LEAST(2),
        .group = GROUP_SERVER,
        .subcommands = subcommands,
        .since = "8.6.0",
        .complexity = "Depends on the subcommand.",
        .brief = "Tells which keys stand out." },
    { 0 },
};
