/*
 * The clockwork: what happens some times a second whether or not anybody asks for anything.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/error_stats.h"
#include "engine/registry.h"
#include "engine/task.h"
#include "engine/wait.h"
#include "server/crash.h"
#include "server_priv.h"
#include "store/evict.h"
#include "store/keyspace.h"
#include "store/reclaim.h"

enum { TIMER_CRON, TIMER_EXPIRY, TIMER_DEADLINE };

enum { EXPIRY_TIMER_MS = 20, RATE_INTERVAL_MS = 100, LOG_STATS_MS = 5000, DEADLINE_NAP_MS = 1000 };

static void rate_sample(struct server_rate *rate, uint64_t value, int64_t now_ms)
{
    int64_t passed_ms = now_ms - rate->last_ms;
    if (passed_ms <= 0)
        return;
    rate->samples[rate->next] = (value - rate->last) * 1000 / (uint64_t)passed_ms;
    rate->next = (rate->next + 1) % SERVER_RATE_SAMPLES;
    rate->last = value;
    rate->last_ms = now_ms;
}

uint64_t server_rate_value(const struct server_rate *rate)
{
    uint64_t sum = 0;
    for (int i = 0; i < SERVER_RATE_SAMPLES; i++)
        sum += rate->samples[i];
    return sum / SERVER_RATE_SAMPLES;
}

void cron_sample_memory(struct server *server)
{
    size_t used = mem_used();
    if (used <= server->memory_peak)
        return;
    server->memory_peak = used;
    server->memory_peak_ms = clock_wall_ms();
}

static void log_databases(const struct server *server)
{
    for (int i = 0; i < server->keyspace->db_count; i++) {
        const struct db *db = server->keyspace->dbs[i];
        if (keyspace_size(db))
            log_write(LOG_DEBUG_LEVEL, "DB %d: %zu keys (%zu volatile)", i, keyspace_size(db), db->expires);
    }
    struct net_stats stats;
    net_stats_read(server->net, &stats);
    log_write(LOG_DEBUG_LEVEL, "%zu clients connected, %zu bytes in use", stats.connections, mem_used());
}

/* The walk over what expires naps between its slices; this wakes it. */
static void fire_expiry(void *context)
{
    struct server *server = context;
    if (server->expiry.active && clock_mono_ns() >= server->expiry.resume_ns)
        net_wake_background(server->net);
}

/* Where nothing can expire the walk is not woken in between: an idle process should sleep. */
static void set_expiry_timer(struct server *server)
{
    bool wanted = false;
    for (int i = 0; i < server->keyspace->db_count && !wanted; i++)
        wanted = server->keyspace->dbs[i]->expires || server->keyspace->dbs[i]->parts_expire;
    if (wanted == server->expiry.is_timed)
        return;
    server->expiry.is_timed = wanted;
    net_set_timer(server->net, TIMER_EXPIRY, wanted ? EXPIRY_TIMER_MS : 0, fire_expiry, server);
}

/* The watchdog barks when this is not called for its period, or for two ticks if that is longer. */
static void keep_watchdog_quiet(struct server *server)
{
    uint32_t period_ms = (uint32_t)server->config.watchdog_period_ms, shortest_ms = 2000 / (uint32_t)server->config.hz;
    if (!period_ms && !server->watched)
        return;
    server->watched = period_ms;
    crash_watch(period_ms && period_ms < shortest_ms ? shortest_ms : period_ms);
}

static void fire_cron(void *context)
{
    struct server *server = context;
    keep_watchdog_quiet(server);
    if (server->cron_paused)
        return;
    uint64_t began = clock_ticks();
    int64_t now_ms = clock_wall_ms();
    server->cron_ticks++;
    evict_tick(server->keyspace, now_ms);
    engine_tick(server->engine, now_ms);
    net_wake_background(server->net);
    cron_sample_memory(server);
    set_expiry_timer(server);
    clients_evict(server);
    insight_cron(server, now_ms);
    defrag_judge(server, now_ms);
    child_tick(server);
    saves_tick(server);
    aof_tick(server);
    waitaof_tick(server);
    if (now_ms - server->commands_rate.last_ms >= RATE_INTERVAL_MS) {
        struct net_stats stats;
        net_stats_read(server->net, &stats);
        rate_sample(&server->commands_rate, server->engine->stats.commands, now_ms);
        rate_sample(&server->input_rate, stats.input_bytes, now_ms);
        rate_sample(&server->output_rate, stats.output_bytes, now_ms);
        rate_sample(&server->turns_rate, stats.turns, now_ms);
        rate_sample(&server->turn_ns_rate, clock_ticks_to_ns(stats.spans.ticks), now_ms);
    }
    if (log_get_level() == LOG_DEBUG_LEVEL && now_ms - server->logged_ms >= LOG_STATS_MS) {
        server->logged_ms = now_ms;
        log_databases(server);
    }
    server->work.cron_ticks += clock_ticks() - began;
}

/* Sets the timer for the next wait that ends, or ends it. It never naps for long: the wall clock may have been set. */
static void set_deadline_timer(struct server *server);

static void fire_deadline(void *context)
{
    struct server *server = context;
    engine_run_deadlines(server->engine, clock_wall_ms());
    set_deadline_timer(server);
}

static void set_deadline_timer(struct server *server)
{
    int64_t next_ms = engine_next_deadline_ms(server->engine), nap_ms = 0;
    if (next_ms != INT64_MAX) {
        nap_ms = next_ms - clock_wall_ms();
        nap_ms = nap_ms < 1 ? 1 : nap_ms > DEADLINE_NAP_MS ? DEADLINE_NAP_MS : nap_ms;
    }
    server->deadline_ms = nap_ms ? next_ms : 0;
    net_set_timer(server->net, TIMER_DEADLINE, (uint32_t)nap_ms, fire_deadline, server);
}

/* A timer that is set too early does no harm. */
void cron_set_deadline(struct server *server)
{
    int64_t next_ms = engine_next_deadline_ms(server->engine);
    if (next_ms != INT64_MAX && (server->deadline_ms == 0 || next_ms < server->deadline_ms))
        set_deadline_timer(server);
}

void cron_set_hz(struct server *server)
{
    keep_watchdog_quiet(server);
    net_set_timer(server->net, TIMER_CRON, (uint32_t)(1000 / server->config.hz), fire_cron, server);
}

/* Some thread has finished what a task waits for. */
static void on_notify(void *context)
{
    struct server *server = context;
    engine_wake_tasks(server->engine);
    net_wake_background(server->net);
}

void cron_start(struct server *server)
{
    server->expiry.active = true;
    server->expiry.db = -1;
    evict_tick(server->keyspace, clock_wall_ms());
    insight_cron(server, clock_wall_ms());
    net_set_background(server->net, background_run, server);
    net_set_notify(server->net, on_notify, server);
    cron_set_hz(server);
}

static void reset_command(struct command_info *info)
{
    command_stats_reset(&info->stats);
    for (uint32_t i = 0; i < info->sub_count; i++)
        command_stats_reset(&info->subs[i].stats);
}

void server_reset_stats(struct server *server)
{
    struct command_info *info;
    for (size_t i = 0; (info = command_at(server->engine->registry, i)); i++)
        reset_command(info);
    error_stats_reset(server->engine->errors);
    server->engine->stats = (struct engine_stats){ 0 };
    server->keyspace->stats.hits = server->keyspace->stats.misses = 0;
    server->keyspace->stats.evicted = server->evicted_clients = 0;
    server->engine->memory.over_ns = 0;
    server->keyspace->stats.expired = server->keyspace->stats.expired_by_walk = 0;
    server->keyspace->stats.expired_parts = 0;
    reclaim_reset_freed(server->keyspace->reclaim);
    server->keyspace->stats.expired_stale_ratio = 0;
    server->expiry.spent_ns = server->expiry.cap_reached = 0;
    insight_reset_stats(server);
    defrag_reset_stats(server);
    server->memory_peak = mem_used();
    net_stats_reset(server->net);
    server->work = (struct server_work){ 0 };
    server->commands_rate = server->input_rate = server->output_rate = server->turns_rate = server->turn_ns_rate =
        (struct server_rate){ .last_ms = clock_wall_ms() };
}
