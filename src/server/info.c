/*
 * INFO: sections in the order and with the fields that tools know from Redis.
 *
 * Each section is a function that prints into a buffer; a table names them and says which are shown by default. Fields
 * that stand for something that Larder does not do (replicas, scripts, a cluster) are printed with the value that says
 * so, because monitoring tools look for them.
 */
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/num.h"
#include "cmd/module.h"
#include "engine/acl.h"
#include "engine/aside.h"
#include "engine/error_stats.h"
#include "engine/fill.h"
#include "engine/hotkeys.h"
#include "engine/pubsub.h"
#include "engine/registry.h"
#include "engine/tracking.h"
#include "engine/transaction.h"
#include "engine/version.h"
#include "engine/wait.h"
#include "server/memory.h"
#include "server_priv.h"
#include "store/evict.h"
#include "store/keyspace.h"
#include "store/reclaim.h"
#include "store/topk.h"

struct section {
    const char *name; /* lower case, as the client asks for it */
    const char *title;
    void (*print)(struct server *server, struct buf *out);
    enum { SHOWN_BY_DEFAULT, SHOWN_BY_ALL, SHOWN_BY_NAME } shown;
    bool (*is_there)(struct server *server); /* NULL: always */
};

static void print_listener(struct buf *out, int *number, const char *name, const char *addresses, int64_t port)
{
    if (!port || !*addresses)
        return;
    buf_printf(out, "listener%d:name=%s", (*number)++, name);
    for (const char *at = addresses; *at; at += *at == ' ') {
        size_t len = strcspn(at, " ");
        if (len)
            buf_printf(out, ",bind=%.*s", (int)len, at);
        at += len;
    }
    buf_printf(out, ",port=%lld\r\n", (long long)port);
}

static void print_listeners(const struct config *config, struct buf *out)
{
    int number = 0;
    print_listener(out, &number, "tcp", config->bind, config->port);
    if (*config->unixsocket)
        buf_printf(out, "listener%d:name=unix,bind=%s\r\n", number++, config->unixsocket);
    print_listener(out, &number, "tls", config->bind, config->tls_port);
}

static void print_server(struct server *server, struct buf *out)
{
    struct utsname os;
    uname(&os);
    int64_t uptime_s = (int64_t)((clock_mono_ns() - server->started_ns) / 1000000000u);
    buf_printf(out, "redis_version:%s\r\n", LARDER_REDIS_VERSION);
    buf_printf(out, "redis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:0\r\nredis_mode:standalone\r\n");
    buf_printf(out, "larder_version:%s\r\n", LARDER_VERSION);
    buf_printf(out, "os:%s %s %s\r\n", os.sysname, os.release, os.machine);
    buf_printf(out, "arch_bits:%d\r\n", (int)(sizeof(void *) * 8));
    buf_printf(out, "monotonic_clock:%s\r\n", clock_ticks_source());
    buf_printf(out, "multiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\n");
    buf_printf(out, "gcc_version:%d.%d.%d\r\n", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    buf_printf(out, "process_id:%d\r\n", (int)getpid());
    buf_printf(out, "process_supervised:%s\r\n", server->config.supervised == SUPERVISED_SYSTEMD ? "systemd" : "no");
    buf_printf(out, "run_id:%s\r\n", server->run_id);
    long long port = server->config.port ? server->config.port : server->config.tls_port;
    buf_printf(out, "tcp_port:%lld\r\n", port);
    buf_printf(out, "server_time_usec:%lld\r\n", (long long)clock_wall_us());
    buf_printf(out, "uptime_in_seconds:%lld\r\n", (long long)uptime_s);
    buf_printf(out, "uptime_in_days:%lld\r\n", (long long)(uptime_s / 86400));
    buf_printf(out, "hz:%lld\r\nconfigured_hz:%lld\r\n", (long long)server->config.hz, (long long)server->config.hz);
    buf_printf(out, "lru_clock:%u\r\n", (uint32_t)(clock_wall_ms() / 1000) & ENTRY_CLOCK_MASK);
    buf_printf(out, "executable:%s\r\n", server->executable ? server->executable : "");
    buf_printf(out, "config_file:%s\r\n", server->config.file ? server->config.file : "");
    buf_printf(out, "io_threads_active:0\r\n");
    print_listeners(&server->config, out);
}

static void print_clients(struct server *server, struct buf *out)
{
    struct net_stats stats;
    net_stats_read(server->net, &stats);
    buf_printf(out, "connected_clients:%zu\r\n", server->engine->session_count);
    buf_printf(out, "cluster_connections:0\r\n");
    buf_printf(out, "maxclients:%u\r\n", server->config.net.clients_max);
    buf_printf(out, "client_recent_max_input_buffer:%zu\r\n", stats.input_memory);
    buf_printf(out, "client_recent_max_output_buffer:%zu\r\n", stats.output_memory);
    struct wait_stats waits;
    engine_wait_stats(server->engine, &waits);
    buf_printf(out, "blocked_clients:%zu\r\n", waits.sessions + engine_paused(server->engine));
    struct tracking_stats tracking;
    tracking_stats_read(server->engine, &tracking);
    buf_printf(out, "tracking_clients:%zu\r\n", tracking.clients);
    struct watch_stats watches;
    transaction_watch_stats(server->engine, &watches);
    buf_printf(out, "pubsub_clients:%zu\r\nwatching_clients:%zu\r\nclients_in_timeout_table:%zu\r\n",
        pubsub_sessions(server->engine), watches.sessions, waits.timed);
    buf_printf(out, "total_watched_keys:%zu\r\n", watches.keys);
    buf_printf(out, "total_blocking_keys:%zu\r\ntotal_blocking_keys_on_nokey:%zu\r\n", waits.keys, waits.gone_keys);
}

static void print_bytes(struct buf *out, const char *name, uint64_t bytes)
{
    char human[16];
    num_format_human(human, bytes);
    buf_printf(out, "%s:%llu\r\n%s_human:%s\r\n", name, (unsigned long long)bytes, name, human);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void print_memory(struct server *server, struct buf *out)
{
    struct memory_facts facts;
    memory_facts_read(server, &facts);
    print_bytes(out, "used_memory", facts.used);
    print_bytes(out, "used_memory_rss", facts.resident);
    print_bytes(out, "used_memory_peak", facts.peak);
    buf_printf(out, "used_memory_peak_perc:%.2f%%\r\n", 100 * ratio((double)facts.used, (double)facts.peak));
    buf_printf(out, "used_memory_overhead:%zu\r\n", facts.overhead);
    buf_printf(out, "used_memory_startup:%zu\r\n", facts.startup);
    buf_printf(out, "used_memory_dataset:%zu\r\n", facts.dataset);
    buf_printf(out, "used_memory_dataset_perc:%.2f%%\r\n", facts.dataset_percent);
    buf_printf(out, "allocator_allocated:%zu\r\n", facts.allocator.allocated);
    buf_printf(out, "allocator_active:%zu\r\n", facts.allocator.active);
    buf_printf(out, "allocator_resident:%zu\r\nallocator_muzzy:0\r\n", facts.allocator.resident);
    print_bytes(out, "total_system_memory", facts.system);
    print_bytes(out, "used_memory_lua", 0);
    buf_printf(out, "used_memory_vm_eval:0\r\nused_memory_scripts_eval:0\r\nnumber_of_cached_scripts:0\r\n"
                    "number_of_functions:0\r\nnumber_of_libraries:0\r\nused_memory_vm_functions:0\r\n");
    print_bytes(out, "used_memory_vm_total", 0);
    buf_printf(out, "used_memory_functions:0\r\n");
    print_bytes(out, "used_memory_scripts", 0);
    const struct memory_settings *limits = &server->config.engine.memory;
    print_bytes(out, "maxmemory", limits->limit);
    buf_printf(out, "maxmemory_policy:%s\r\n", evict_policy_name(limits->evict.policy));
    buf_printf(out, "eviction_tables_bytes:%zu\r\neviction_window_permille:%u\r\n", evict_memory(server->keyspace),
        evict_window_permille(server->keyspace));
    buf_printf(
        out, "allocator_frag_ratio:%.2f\r\n", ratio((double)facts.allocator.active, (double)facts.allocator.allocated));
    buf_printf(out, "allocator_frag_bytes:%zd\r\n", (ssize_t)(facts.allocator.active - facts.allocator.allocated));
    buf_printf(
        out, "allocator_rss_ratio:%.2f\r\n", ratio((double)facts.allocator.resident, (double)facts.allocator.active));
    buf_printf(out, "allocator_rss_bytes:%zd\r\n", (ssize_t)(facts.allocator.resident - facts.allocator.active));
    buf_printf(out, "rss_overhead_ratio:%.2f\r\n", ratio((double)facts.resident, (double)facts.allocator.resident));
    buf_printf(out, "rss_overhead_bytes:%zd\r\n", (ssize_t)(facts.resident - facts.allocator.resident));
    buf_printf(out, "mem_fragmentation_ratio:%.2f\r\n", ratio((double)facts.resident, (double)facts.used));
    buf_printf(out, "mem_fragmentation_bytes:%zd\r\n", (ssize_t)(facts.resident - facts.used));
    buf_printf(out, "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\nmem_total_replication_buffers:0\r\n"
                    "mem_clients_slaves:0\r\n");
    buf_printf(out, "mem_clients_normal:%zu\r\n", facts.clients);
    buf_printf(out, "mem_cluster_links:0\r\nmem_aof_buffer:%zu\r\n", aof_log_waiting(&server->aof->log));
    buf_printf(out, "mem_allocator:%s\r\nmem_overhead_db_hashtable_rehashing:0\r\n", mem_allocator_name());
    buf_printf(out, "active_defrag_running:%d\r\n", server->defrag.pace.effort);
    buf_printf(out, "lazyfree_pending_objects:%zu\r\n", reclaim_pending(server->keyspace->reclaim));
    buf_printf(out, "lazyfreed_objects:%llu\r\n", (unsigned long long)reclaim_freed(server->keyspace->reclaim));
}

static void print_persistence(struct server *server, struct buf *out)
{
    saves_print_info(server, out);
    aof_print_info(server, out);
}

static void print_denied(const struct server *server, struct buf *out)
{
    static const char *const names[] = { [ACL_DENIED_COMMAND] = "cmd",
        [ACL_DENIED_KEY] = "key",
        [ACL_DENIED_AUTH] = "auth",
        [ACL_DENIED_CHANNEL] = "channel" };
    static const enum acl_verdict order[] = { ACL_DENIED_AUTH, ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_DENIED_CHANNEL };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        buf_printf(out, "acl_access_denied_%s:%llu\r\n", names[order[i]],
            (unsigned long long)acl_denied(server->engine->acl, order[i]));
}

static void print_fills(const struct server *server, struct buf *out)
{
    struct fill_stats fills;
    fill_stats_read(server->engine, &fills);
    buf_printf(out, "fill_records:%zu\r\nfill_leases:%zu\r\n", fills.records, fills.leases);
    buf_printf(out, "fill_leases_granted:%llu\r\nfill_leases_filled:%llu\r\n", (unsigned long long)fills.granted,
        (unsigned long long)fills.filled);
    buf_printf(out, "fill_leases_dropped:%llu\r\nfill_leases_expired:%llu\r\n", (unsigned long long)fills.dropped,
        (unsigned long long)fills.expired);
    buf_printf(out, "fill_leases_outdated:%llu\r\nfill_served_stale:%llu\r\n", (unsigned long long)fills.outdated,
        (unsigned long long)fills.served_stale);
}

static void print_event_loop(const struct server *server, const struct net_stats *net, struct buf *out)
{
    uint64_t turns_rate = server_rate_value(&server->turns_rate);
    buf_printf(out, "eventloop_cycles:%llu\r\n", (unsigned long long)net->turns);
    buf_printf(out, "eventloop_duration_sum:%llu\r\neventloop_duration_cmd_sum:%llu\r\n",
        (unsigned long long)clock_ticks_to_ns(net->spans.ticks) / 1000,
        (unsigned long long)clock_ticks_to_ns(net->spans.executing_ticks) / 1000);
    buf_printf(out, "instantaneous_eventloop_cycles_per_sec:%llu\r\ninstantaneous_eventloop_duration_usec:%llu\r\n",
        (unsigned long long)turns_rate,
        turns_rate ? (unsigned long long)(server_rate_value(&server->turn_ns_rate) / turns_rate / 1000) : 0ull);
}

static void print_stats(struct server *server, struct buf *out)
{
    struct net_stats net;
    net_stats_read(server->net, &net);
    const struct keyspace_stats *keys = &server->keyspace->stats;
    const struct engine_stats *engine = &server->engine->stats;
    buf_printf(out, "total_connections_received:%llu\r\n", (unsigned long long)net.connections_received);
    buf_printf(out, "total_commands_processed:%llu\r\n", (unsigned long long)engine->commands);
    buf_printf(
        out, "instantaneous_ops_per_sec:%llu\r\n", (unsigned long long)server_rate_value(&server->commands_rate));
    buf_printf(out, "total_net_input_bytes:%llu\r\n", (unsigned long long)net.input_bytes);
    buf_printf(out, "total_net_output_bytes:%llu\r\n", (unsigned long long)net.output_bytes);
    buf_printf(out, "total_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:0\r\n");
    buf_printf(out, "instantaneous_input_kbps:%.2f\r\n", (double)server_rate_value(&server->input_rate) / 1024);
    buf_printf(out, "instantaneous_output_kbps:%.2f\r\n", (double)server_rate_value(&server->output_rate) / 1024);
    buf_printf(out, "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n");
    buf_printf(out, "rejected_connections:%llu\r\n", (unsigned long long)net.connections_rejected);
    buf_printf(out, "sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\n");
    buf_printf(out, "expired_keys:%llu\r\n", (unsigned long long)keys->expired);
    buf_printf(out, "expired_subkeys:%llu\r\n", (unsigned long long)keys->expired_parts);
    buf_printf(out, "expired_stale_perc:%.2f\r\n", keys->expired_stale_ratio * 100);
    buf_printf(out, "expired_time_cap_reached_count:%llu\r\n", (unsigned long long)server->expiry.cap_reached);
    buf_printf(out, "expire_cycle_cpu_milliseconds:%llu\r\n", (unsigned long long)(server->expiry.spent_ns / 1000000));
    buf_printf(out, "evicted_keys:%llu\r\nevicted_clients:%llu\r\nevicted_scripts:0\r\n",
        (unsigned long long)keys->evicted, (unsigned long long)server->evicted_clients);
    buf_printf(out, "total_eviction_exceeded_time:%llu\r\ncurrent_eviction_exceeded_time:%llu\r\n",
        (unsigned long long)engine_exceeded_ms(server->engine),
        (unsigned long long)engine_exceeding_ms(server->engine));
    buf_printf(out, "keyspace_hits:%llu\r\n", (unsigned long long)keys->hits);
    buf_printf(out, "keyspace_misses:%llu\r\n", (unsigned long long)keys->misses);
    buf_printf(out, "pubsub_channels:%zu\r\n", pubsub_names(server->engine, PUBSUB_CHANNEL));
    buf_printf(out, "pubsub_patterns:%zu\r\n", pubsub_names(server->engine, PUBSUB_PATTERN));
    buf_printf(out, "pubsubshard_channels:%zu\r\n", pubsub_names(server->engine, PUBSUB_SHARD));
    buf_printf(out, "latest_fork_usec:%llu\r\ntotal_forks:%llu\r\n", (unsigned long long)server->child.fork_us,
        (unsigned long long)server->child.forks);
    const struct defrag_stats *defrag = &server->defrag.stats;
    buf_printf(out, "migrate_cached_sockets:0\r\nslave_expires_tracked_keys:0\r\n");
    buf_printf(out, "active_defrag_hits:%llu\r\nactive_defrag_misses:%llu\r\n", (unsigned long long)defrag->moves.moved,
        (unsigned long long)defrag->moves.stayed);
    buf_printf(out, "active_defrag_key_hits:%llu\r\nactive_defrag_key_misses:%llu\r\n",
        (unsigned long long)defrag->moved_keys, (unsigned long long)(defrag->keys - defrag->moved_keys));
    buf_printf(out, "total_active_defrag_time:%llu\r\ncurrent_active_defrag_time:%llu\r\n",
        (unsigned long long)defrag_run_ms(server), (unsigned long long)defrag_this_run_ms(server));
    struct tracking_stats tracking;
    tracking_stats_read(server->engine, &tracking);
    buf_printf(out, "tracking_total_keys:%zu\r\ntracking_total_items:%zu\r\ntracking_total_prefixes:%zu\r\n",
        tracking.keys, tracking.items, tracking.prefixes);
    buf_printf(out, "unexpected_error_replies:0\r\n");
    buf_printf(out, "total_error_replies:%llu\r\n", (unsigned long long)engine->errors);
    buf_printf(out, "dump_payload_sanitizations:0\r\n");
    buf_printf(out, "total_reads_processed:%llu\r\n", (unsigned long long)net.reads);
    buf_printf(out, "total_writes_processed:%llu\r\n", (unsigned long long)net.writes);
    buf_printf(out, "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\nreply_buffer_shrinks:0\r\n"
                    "reply_buffer_expands:0\r\n");
    print_event_loop(server, &net, out);
    buf_printf(out, "client_query_buffer_limit_disconnections:%llu\r\n", (unsigned long long)net.query_limit_closed);
    buf_printf(out, "client_output_buffer_limit_disconnections:%llu\r\n", (unsigned long long)net.output_limit_closed);
    buf_printf(out, "tls_handshakes:%llu\r\ntls_sessions_resumed:%llu\r\n", (unsigned long long)net.tls_handshakes,
        (unsigned long long)net.tls_resumed);
    buf_printf(out, "tls_handshakes_failed:%llu\r\ntls_connections_broken:%llu\r\n", (unsigned long long)net.tls_failed,
        (unsigned long long)net.tls_broken);
    print_denied(server, out);
    print_fills(server, out);
    buf_printf(out, "slowlog_commands_count:%llu\r\n", (unsigned long long)engine->slow_commands);
}

static void print_replication(struct server *server, struct buf *out)
{
    buf_printf(out, "role:master\r\nconnected_slaves:0\r\n");
    if (config_needs_replicas(&server->config))
        buf_append_cstr(out, "min_slaves_good_slaves:0\r\n");
    buf_append_cstr(out, "master_failover_state:no-failover\r\n");
    buf_printf(out, "master_replid:%s\r\n", server->run_id);
    buf_printf(out, "master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:0\r\n"
                    "second_repl_offset:-1\r\nrepl_backlog_active:0\r\nrepl_backlog_size:1048576\r\n"
                    "repl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n");
}

static void print_usage(struct buf *out, const char *suffix, int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    buf_printf(out, "used_cpu_sys%s:%ld.%06ld\r\n", suffix, (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec);
    buf_printf(out, "used_cpu_user%s:%ld.%06ld\r\n", suffix, (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec);
}

static void print_cpu(struct server *server, struct buf *out)
{
    (void)server;
    print_usage(out, "", RUSAGE_SELF);
    print_usage(out, "_children", RUSAGE_CHILDREN);
    print_usage(out, "_main_thread", RUSAGE_THREAD);
}

static void print_modules(struct server *server, struct buf *out)
{
    (void)server;
    module_print_info(out);
}

/* Visits every command and subcommand that has statistics to show. */
static void each_stats(struct server *server, struct buf *out,
    void (*print)(struct buf *out, const struct command_info *info, const struct server *server))
{
    struct command_info *info;
    for (size_t i = 0; (info = command_at(server->engine->registry, i)); i++) {
        print(out, info, server);
        for (uint32_t j = 0; j < info->sub_count; j++)
            print(out, &info->subs[j], server);
    }
}

static void print_command_row(struct buf *out, const struct command_info *info, const struct server *server)
{
    (void)server;
    const struct command_stats *stats = &info->stats;
    if (!stats->calls && !stats->rejected && !stats->failed)
        return;
    double us = (double)clock_ticks_to_ns(stats->ticks) / 1000;
    buf_printf(out, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu\r\n",
        info->full_name, (unsigned long long)stats->calls, (unsigned long long)us, ratio(us, (double)stats->calls),
        (unsigned long long)stats->rejected, (unsigned long long)stats->failed);
}

static void print_commandstats(struct server *server, struct buf *out)
{
    each_stats(server, out, print_command_row);
}

static void print_errorstats(struct server *server, struct buf *out)
{
    uint64_t count;
    const char *code;
    for (size_t i = 0; (code = error_stats_at(server->engine->errors, i, &count)); i++)
        buf_printf(out, "errorstat_%s:count=%llu\r\n", code, (unsigned long long)count);
}

static void print_latency_row(struct buf *out, const struct command_info *info, const struct server *server)
{
    if (!info->stats.latency)
        return;
    buf_printf(out, "latency_percentiles_usec_%s:", info->full_name);
    for (size_t i = 0; i < server->config.latency_percentile_count; i++) {
        double percentile = server->config.latency_percentiles[i];
        double us = (double)command_stats_quantile(&info->stats, percentile / 100) / 1000;
        buf_printf(out, "%sp%g=%.3f", i ? "," : "", percentile, us);
    }
    buf_append_cstr(out, "\r\n");
}

static void print_latencystats(struct server *server, struct buf *out)
{
    each_stats(server, out, print_latency_row);
}

static void print_split_row(struct buf *out, const struct command_info *info, const struct server *server)
{
    (void)server;
    const struct command_stats *stats = &info->stats;
    const struct command_split *split = &stats->split;
    if (!split->calls || !stats->calls)
        return;
    double sent = (double)split->calls, all = (double)(split->calls + split->unsent);
    buf_printf(out, "latency_split_usec_%s:calls=%llu,queued=%.3f,running=%.3f,sending=%.3f\r\n", info->full_name,
        (unsigned long long)split->calls, (double)clock_ticks_to_ns(split->queued_ticks) / 1000 / all,
        (double)clock_ticks_to_ns(stats->ticks) / 1000 / (double)stats->calls,
        (double)clock_ticks_to_ns(split->sending_ticks) / 1000 / sent);
}

/* Larder's own: the parts of each command's latency on average, see engine/blame.h. */
static void print_latencysplit(struct server *server, struct buf *out)
{
    each_stats(server, out, print_split_row);
}

static void print_cluster(struct server *server, struct buf *out)
{
    (void)server;
    buf_printf(out, "cluster_enabled:0\r\n");
}

static void print_keyspace(struct server *server, struct buf *out)
{
    for (int i = 0; i < server->keyspace->db_count; i++) {
        const struct db *db = server->keyspace->dbs[i];
        if (keyspace_size(db))
            buf_printf(out, "db%d:keys=%zu,expires=%zu,avg_ttl=%lld,subexpiry=%zu\r\n", i, keyspace_size(db),
                db->expires, (long long)db->avg_ttl_ms, db->parts_expire);
    }
}

static bool has_hotkeys(struct server *server)
{
    return hotkeys_session(server->engine, clock_wall_ms()) != NULL;
}

static void print_hotkeys(struct server *server, struct buf *out)
{
    const struct hotkeys *session = hotkeys_session(server->engine, clock_wall_ms());
    size_t used = (session->by_ticks ? topk_memory(session->by_ticks) : 0) +
                  (session->by_bytes ? topk_memory(session->by_bytes) : 0);
    buf_printf(out, "hotkeys-tracking-active:%d\r\nhotkeys-used-memory:%zu\r\n", session->active, used);
}

/* Larder's own: what the loop's turns took, see net/turns.h. */
static void print_turns(struct server *server, struct buf *out)
{
    static const char *const names[TURN_PHASES] = { "reading", "executing", "background", "sending" };
    struct net_stats net;
    net_stats_read(server->net, &net);
    buf_printf(out, "turns:%llu\r\n", (unsigned long long)net.turns);
    buf_printf(out, "turn_longest_usec:%llu\r\n", (unsigned long long)clock_ticks_to_ns(net.spans.longest) / 1000);
    for (int phase = 0; phase < TURN_PHASES; phase++)
        buf_printf(out, "turn_longest_%s_usec:%llu\r\n", names[phase],
            (unsigned long long)clock_ticks_to_ns(net.spans.longest_ticks[phase]) / 1000);
    for (int i = 0; i < TURN_BUCKETS; i++)
        buf_printf(out, "turns_%s_%d_usec:%llu\r\n", i < TURN_BUCKETS - 1 ? "below" : "from",
            TURN_BUCKET_LOW_US << (i < TURN_BUCKETS - 1 ? i : i - 1), (unsigned long long)net.spans.buckets[i]);
}

/* What Redis shows only to those who know of it. */
static void print_debug(struct server *server, struct buf *out)
{
    struct net_stats net;
    net_stats_read(server->net, &net);
    buf_printf(out, "eventloop_duration_aof_sum:%llu\r\neventloop_duration_cron_sum:%llu\r\n",
        (unsigned long long)clock_ticks_to_ns(server->work.log_ticks) / 1000,
        (unsigned long long)clock_ticks_to_ns(server->work.cron_ticks) / 1000);
    buf_printf(out, "eventloop_duration_max:%llu\r\neventloop_cmd_per_cycle_max:%llu\r\n",
        (unsigned long long)clock_ticks_to_ns(net.spans.longest) / 1000, (unsigned long long)server->work.commands_max);
}

static const struct section sections[] = {
    { "server", "Server", print_server, SHOWN_BY_DEFAULT, NULL },
    { "clients", "Clients", print_clients, SHOWN_BY_DEFAULT, NULL },
    { "memory", "Memory", print_memory, SHOWN_BY_DEFAULT, NULL },
    { "persistence", "Persistence", print_persistence, SHOWN_BY_DEFAULT, NULL },
    { "stats", "Stats", print_stats, SHOWN_BY_DEFAULT, NULL },
    { "replication", "Replication", print_replication, SHOWN_BY_DEFAULT, NULL },
    { "cpu", "CPU", print_cpu, SHOWN_BY_DEFAULT, NULL },
    { "modules", "Modules", print_modules, SHOWN_BY_DEFAULT, NULL },
    { "commandstats", "Commandstats", print_commandstats, SHOWN_BY_ALL, NULL },
    { "errorstats", "Errorstats", print_errorstats, SHOWN_BY_DEFAULT, NULL },
    { "latencystats", "Latencystats", print_latencystats, SHOWN_BY_ALL, NULL },
    { "cluster", "Cluster", print_cluster, SHOWN_BY_DEFAULT, NULL },
    { "keyspace", "Keyspace", print_keyspace, SHOWN_BY_DEFAULT, NULL },
    { "keysizes", "Keysizes", insight_print_keysizes, SHOWN_BY_ALL, NULL },
    { "hotkeys", "Hotkeys", print_hotkeys, SHOWN_BY_DEFAULT, has_hotkeys },
    { "insight", "Insight", insight_print_info, SHOWN_BY_ALL, NULL },
    { "turns", "Turns", print_turns, SHOWN_BY_ALL, NULL },
    { "latencysplit", "Latencysplit", print_latencysplit, SHOWN_BY_ALL, NULL },
    { "debug", "Debug", print_debug, SHOWN_BY_NAME, NULL },
};

enum { SECTION_COUNT = sizeof sections / sizeof *sections };

/* The sections that one word of the request asks for, as a set of bits. */
static uint32_t sections_of(struct bytes word)
{
    uint32_t set = 0;
    bool all = bytes_is(word, "all") || bytes_is(word, "everything");
    bool by_default = bytes_is(word, "default");
    for (uint32_t i = 0; i < SECTION_COUNT; i++)
        if ((all && sections[i].shown != SHOWN_BY_NAME) || (by_default && sections[i].shown == SHOWN_BY_DEFAULT) ||
            bytes_is(word, sections[i].name))
            set |= 1u << i;
    return set;
}

static void run_info(struct call *call)
{
    enum { WORDS_AT_ONCE = 500, WORD_COST = 6 };
    struct server *server = server_of(call);
    if (call->argc > WORDS_AT_ONCE && call_aside_unheld(call))
        return;
    uint32_t wanted = call->argc == 1 ? sections_of(BYTES("default")) : 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        wanted |= sections_of(call->argv[i]);
        fiber_breathe(WORD_COST);
    }
    struct buf out = BUF_EMPTY;
    for (uint32_t i = 0; i < SECTION_COUNT; i++)
        if (wanted & 1u << i && (!sections[i].is_there || sections[i].is_there(server))) {
            buf_printf(&out, "%s# %s\r\n", out.len ? "\r\n" : "", sections[i].title);
            sections[i].print(server, &out);
        }
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

static const char *const info_tips[] = { "nondeterministic_output", "request_policy:all_shards",
    "response_policy:special", NULL };

const struct command info_commands[] = {
    { .name = "INFO",
        .run = run_info,
        .argc = AT_LEAST(1),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .categories = CATEGORY_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "[section [section ...]]",
        .tips = info_tips,
        .brief = "Replies with facts and figures about the server." },
    { 0 },
};
