/*
 * Metrics: what the server knows of itself, for Prometheus (text format 0.0.4), and whether it is well.
 *
 * Durations are in seconds, amounts in bytes, counters end in _total, as Prometheus wants it. Per-command figures are
 * told for commands that were called. A page of a busy server has some 20 KB and costs a fraction of a millisecond.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/blame.h"
#include "engine/error_stats.h"
#include "engine/pubsub.h"
#include "engine/registry.h"
#include "engine/tracking.h"
#include "engine/version.h"
#include "engine/wait.h"
#include "net/http.h"
#include "server/memory.h"
#include "server_priv.h"
#include "store/keyspace.h"

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP larder_%s %s\n# TYPE larder_%s %s\n", name, help, name, type);
}

static void gauge(struct buf *out, const char *name, double value, const char *help)
{
    head(out, name, "gauge", help);
    buf_printf(out, "larder_%s %.17g\n", name, value);
}

static void counter(struct buf *out, const char *name, double value, const char *help)
{
    head(out, name, "counter", help);
    buf_printf(out, "larder_%s %.17g\n", name, value);
}

/* name{label="value"} number */
static void labelled(struct buf *out, const char *name, const char *label, const char *value, double number)
{
    buf_printf(out, "larder_%s{%s=\"", name, label);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, *value == '\n' ? ' ' : *value);
    }
    buf_printf(out, "\"} %.17g\n", number);
}

static double ticks_to_s(uint64_t ticks)
{
    return (double)clock_ticks_to_ns(ticks) / 1e9;
}

static void print_server(struct server *server, struct buf *out)
{
    gauge(out, "up", 1, "The server answers.");
    head(out, "build_info", "gauge", "Versions.");
    buf_printf(out, "larder_build_info{version=\"%s\",redis_version=\"%s\"} 1\n", LARDER_VERSION, LARDER_REDIS_VERSION);
    gauge(out, "start_time_seconds", (double)server->started_ms / 1000, "When the server was started, since 1970.");
    gauge(out, "uptime_seconds", (double)(clock_mono_ns() - server->started_ns) / 1e9, "For how long it has run.");
    gauge(out, "loading", server->engine->loading, "1 while data are loaded.");
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    head(out, "cpu_seconds_total", "counter", "Processor time used.");
    labelled(
        out, "cpu_seconds_total", "mode", "user", (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6);
    labelled(out, "cpu_seconds_total", "mode", "system",
        (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6);
}

static void print_clients(struct server *server, const struct net_stats *net, struct buf *out)
{
    struct wait_stats waits;
    struct tracking_stats tracking;
    engine_wait_stats(server->engine, &waits);
    tracking_stats_read(server->engine, &tracking);
    gauge(out, "connected_clients", (double)server->engine->session_count, "Clients.");
    gauge(out, "max_clients", server->config.net.clients_max, "Clients that may be connected at most.");
    gauge(out, "blocked_clients", (double)waits.sessions, "Clients that wait for a key.");
    gauge(out, "tracking_clients", (double)tracking.clients, "Clients that cache.");
    gauge(out, "pubsub_clients", (double)pubsub_sessions(server->engine), "Clients that are subscribed to something.");
    gauge(out, "pubsub_channels", (double)pubsub_names(server->engine, PUBSUB_CHANNEL), "Channels with subscribers.");
    counter(out, "connections_received_total", (double)net->connections_received, "Connections accepted.");
    counter(
        out, "connections_rejected_total", (double)net->connections_rejected, "Connections refused, being too many.");
    counter(out, "net_input_bytes_total", (double)net->input_bytes, "Bytes received from clients.");
    counter(out, "net_output_bytes_total", (double)net->output_bytes, "Bytes sent to clients.");
    counter(
        out, "clients_evicted_total", (double)server->evicted_clients, "Clients closed for holding too much memory.");
    counter(out, "output_limit_closed_total", (double)net->output_limit_closed, "Clients closed that did not read.");
    counter(out, "tls_handshakes_total", (double)net->tls_handshakes, "TLS handshakes completed.");
    counter(out, "tls_sessions_resumed_total", (double)net->tls_resumed, "Of these, sessions resumed.");
    counter(out, "tls_handshakes_failed_total", (double)net->tls_failed, "TLS handshakes given up.");
}

static void print_memory(struct server *server, struct buf *out)
{
    struct memory_facts facts;
    memory_facts_read(server, &facts);
    gauge(out, "memory_used_bytes", (double)facts.used, "Memory allocated.");
    gauge(out, "memory_peak_bytes", (double)facts.peak, "The most that ever was.");
    gauge(out, "memory_resident_bytes", (double)facts.resident, "Memory of the process.");
    gauge(out, "memory_max_bytes", (double)server->config.engine.memory.limit, "maxmemory; 0 is no limit.");
    gauge(out, "memory_dataset_bytes", (double)facts.dataset, "Memory of the data.");
    gauge(out, "memory_clients_bytes", (double)facts.clients, "Memory of clients.");
    gauge(out, "memory_fragmentation_ratio", facts.used ? (double)facts.resident / (double)facts.used : 0,
        "Memory of the process by memory allocated.");
}

static void print_keys(struct server *server, struct buf *out)
{
    const struct keyspace *keyspace = server->keyspace;
    const struct keyspace_stats *stats = &keyspace->stats;
    char number[16];
    head(out, "db_keys", "gauge", "Keys of a database.");
    for (int i = 0; i < keyspace->db_count; i++) {
        snprintf(number, sizeof number, "%d", i);
        if (i == 0 || keyspace_size(keyspace->dbs[i]))
            labelled(out, "db_keys", "db", number, (double)keyspace_size(keyspace->dbs[i]));
    }
    head(out, "db_keys_expiring", "gauge", "Keys of a database that will expire.");
    for (int i = 0; i < keyspace->db_count; i++) {
        snprintf(number, sizeof number, "%d", i);
        if (i == 0 || keyspace_size(keyspace->dbs[i]))
            labelled(out, "db_keys_expiring", "db", number, (double)keyspace->dbs[i]->expires);
    }
    counter(out, "keyspace_hits_total", (double)stats->hits, "Keys that were looked for and there.");
    counter(out, "keyspace_misses_total", (double)stats->misses, "Keys that were looked for and not there.");
    counter(out, "expired_keys_total", (double)stats->expired, "Keys that expired.");
    counter(out, "evicted_keys_total", (double)stats->evicted, "Keys removed to stay below maxmemory.");
}

static void print_saving(struct server *server, struct buf *out)
{
    const struct saves *saves = server->saves;
    gauge(out, "rdb_changes_since_last_save", (double)server->keyspace->stats.dirty, "Changes not saved yet.");
    gauge(out, "rdb_last_save_timestamp_seconds", (double)saves->last_s, "When a save succeeded last, since 1970.");
    gauge(out, "rdb_last_bgsave_ok", !saves->failed, "0 if the last save in the background failed.");
    gauge(out, "rdb_last_bgsave_duration_seconds", (double)saves->last_took_s, "How long it took; -1 without any.");
    gauge(out, "rdb_bgsave_in_progress", server->child.kind == CHILD_RDB, "1 while one is under way.");
    counter(out, "rdb_saves_total", (double)saves->saves, "Saves that succeeded.");
    gauge(out, "last_fork_seconds", (double)server->child.fork_us / 1e6, "How long the last fork held the server.");
}

/* --- Commands --- */

struct command_metric {
    const char *name, *help;
    double (*value)(const struct command_info *info);
};

static double calls_of(const struct command_info *info)
{
    return (double)info->stats.calls;
}

static double failed_of(const struct command_info *info)
{
    return (double)info->stats.failed;
}

static double rejected_of(const struct command_info *info)
{
    return (double)info->stats.rejected;
}

static double running_of(const struct command_info *info)
{
    return ticks_to_s(info->stats.ticks);
}

static double queued_of(const struct command_info *info)
{
    return ticks_to_s(info->stats.split.queued_ticks);
}

static double sending_of(const struct command_info *info)
{
    return ticks_to_s(info->stats.split.sending_ticks);
}

static const struct command_metric command_metrics[] = {
    { "command_calls_total", "Calls of a command.", calls_of },
    { "command_failed_total", "Calls that answered an error.", failed_of },
    { "command_rejected_total", "Calls that were refused.", rejected_of },
    { "command_running_seconds_total", "Time that calls took to run.", running_of },
    { "command_queued_seconds_total", "Time that requests waited before they ran.", queued_of },
    { "command_sending_seconds_total", "Time that replies waited to be sent.", sending_of },
};

static void each_called(struct server *server, struct buf *out,
    void (*print)(struct buf *out, const struct command_info *info, const void *context), const void *context)
{
    struct command_info *info;
    for (size_t i = 0; (info = command_at(server->engine->registry, i)); i++) {
        if (info->stats.calls || info->stats.rejected)
            print(out, info, context);
        for (uint32_t j = 0; j < info->sub_count; j++)
            if (info->subs[j].stats.calls || info->subs[j].stats.rejected)
                print(out, &info->subs[j], context);
    }
}

static void print_metric_of(struct buf *out, const struct command_info *info, const void *context)
{
    const struct command_metric *metric = context;
    labelled(out, metric->name, "cmd", info->full_name, metric->value(info));
}

static void print_quantiles_of(struct buf *out, const struct command_info *info, const void *context)
{
    static const double quantiles[] = { 0.5, 0.99, 0.999 };
    (void)context;
    if (!info->stats.latency)
        return;
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        buf_printf(out, "larder_command_duration_seconds{cmd=\"%s\",quantile=\"%g\"} %.9g\n", info->full_name,
            quantiles[i], (double)command_stats_quantile(&info->stats, quantiles[i]) / 1e9);
    buf_printf(out, "larder_command_duration_seconds_sum{cmd=\"%s\"} %.17g\n", info->full_name, running_of(info));
    buf_printf(out, "larder_command_duration_seconds_count{cmd=\"%s\"} %llu\n", info->full_name,
        (unsigned long long)info->stats.calls);
}

static void print_commands(struct server *server, struct buf *out)
{
    const struct engine_stats *stats = &server->engine->stats;
    counter(out, "commands_processed_total", (double)stats->commands, "Commands executed.");
    counter(out, "slowlog_commands_total", (double)stats->slow_commands, "Commands that the slow log took in.");
    for (size_t i = 0; i < sizeof command_metrics / sizeof *command_metrics; i++) {
        head(out, command_metrics[i].name, "counter", command_metrics[i].help);
        each_called(server, out, print_metric_of, &command_metrics[i]);
    }
    head(out, "command_duration_seconds", "summary", "How long a command's calls took to run.");
    each_called(server, out, print_quantiles_of, NULL);
    uint64_t count;
    const char *code;
    head(out, "error_replies_total", "counter", "Errors answered, by their first word.");
    for (size_t i = 0; (code = error_stats_at(server->engine->errors, i, &count)); i++)
        labelled(out, "error_replies_total", "code", code, (double)count);
}

/* --- The loop --- */

static void print_turns(const struct net_stats *net, struct buf *out)
{
    uint64_t sum = 0;
    head(out, "turn_duration_seconds", "histogram", "How long turns of the event loop took.");
    for (int i = 0; i < TURN_BUCKETS - 1; i++) {
        sum += net->spans.buckets[i];
        buf_printf(out, "larder_turn_duration_seconds_bucket{le=\"%.6f\"} %llu\n",
            (double)((uint64_t)TURN_BUCKET_LOW_US << i) / 1e6, (unsigned long long)sum);
    }
    sum += net->spans.buckets[TURN_BUCKETS - 1];
    buf_printf(out, "larder_turn_duration_seconds_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)sum);
    buf_printf(out, "larder_turn_duration_seconds_sum %.17g\n", ticks_to_s(net->spans.ticks));
    buf_printf(out, "larder_turn_duration_seconds_count %llu\n", (unsigned long long)sum);
    gauge(out, "turn_longest_seconds", ticks_to_s(net->spans.longest), "The longest turn.");
}

static void print_blame(struct server *server, struct buf *out)
{
    enum { SHOWN = 20 };
    struct blame list[SHOWN];
    size_t count = blame_list(server->engine, list, SHOWN);
    head(out, "holds_total", "counter", "How often somebody held the loop for a quarter of a millisecond or longer.");
    for (size_t i = 0; i < count; i++)
        labelled(out, "holds_total", "who", list[i].name, (double)list[i].holds);
    head(out, "hold_seconds_total", "counter", "For how long.");
    for (size_t i = 0; i < count; i++)
        labelled(out, "hold_seconds_total", "who", list[i].name, (double)list[i].ns / 1e9);
    head(out, "hold_waiting_requests_total", "counter", "How many requests of others waited meanwhile.");
    for (size_t i = 0; i < count; i++)
        labelled(out, "hold_waiting_requests_total", "who", list[i].name, (double)list[i].waited);
}

static void answer_metrics(struct server *server, struct http_answer *answer)
{
    struct net_stats net;
    net_stats_read(server->net, &net);
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    print_server(server, &answer->body);
    print_clients(server, &net, &answer->body);
    print_memory(server, &answer->body);
    print_keys(server, &answer->body);
    print_saving(server, &answer->body);
    print_commands(server, &answer->body);
    print_turns(&net, &answer->body);
    print_blame(server, &answer->body);
}

static void answer_health(const struct server *server, struct http_answer *answer)
{
    answer->status = server->engine->loading ? 503 : 200;
    buf_append_cstr(&answer->body, server->engine->loading ? "loading\n" : "ok\n");
}

static void answer(void *context, struct bytes path, struct http_answer *answer)
{
    struct server *server = context;
    if (bytes_equal(path, BYTES("/metrics"))) {
        answer_metrics(server, answer);
    } else if (bytes_equal(path, BYTES("/healthz"))) {
        answer_health(server, answer);
    } else {
        answer->status = bytes_equal(path, BYTES("/")) ? 200 : 404;
        buf_append_cstr(&answer->body, "/metrics\n/healthz\n");
    }
}

/* As with `bind`: an address that begins with '-' may be missing. */
static bool listen_at(struct server *server, const char *address, struct buf *error)
{
    bool optional = address[0] == '-';
    char reason[256];
    if (http_listen(server->http, address + optional, (uint16_t)server->config.metrics_port, reason, sizeof reason) ||
        optional)
        return true;
    buf_printf(error, "Unable to listen on metrics-port %lld at %s: %s", (long long)server->config.metrics_port,
        address, reason);
    return false;
}

bool server_serve_metrics(struct server *server, struct buf *error)
{
    if (server->http)
        http_unlisten(server->http);
    if (server->config.metrics_port == 0)
        return true;
    if (!server->http)
        server->http = http_create(server->net, answer, server);
    char *list = mem_strdup(server->config.metrics_bind), *rest = list;
    bool good = true;
    for (char *address; good && (address = strsep(&rest, " "));)
        good = !*address || listen_at(server, address, error);
    mem_free(list);
    return good;
}
