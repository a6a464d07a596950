/*
 * Saving: at once, by a child, at save points, and what follows from a failure.
 *
 * The count of changes since the last save goes back by what that save took along only when it has succeeded. After a
 * failure in the background writes are refused (stop-writes-on-bgsave-error) until a save succeeds, and the next try is
 * five seconds later at the earliest.
 */
#include "server/save.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/task.h"
#include "engine/version.h"
#include "server_priv.h"
#include "store/evict.h"
#include "store/keyspace.h"

enum { RETRY_S = 5, SYNC_EVERY = 4 * 1024 * 1024, MB = 1024 * 1024 };

void saves_init(struct server *server)
{
    server->saves = mem_zalloc(sizeof *server->saves);
    server->saves->last_s = clock_wall_ms() / 1000;
    server->saves->last_took_s = -1;
}

void saves_fini(struct server *server)
{
    if (!server->saves)
        return;
    rdb_extras_fini(&server->saves->extras);
    mem_free(server->saves);
    server->saves = NULL;
}

struct rdb_save saves_options(struct server *server)
{
    const struct config *config = &server->config;
    int policy = config->engine.memory.evict.policy & ~EVICT_VOLATILE;
    return (struct rdb_save){
        .version = LARDER_REDIS_VERSION,
        .extras = &server->saves->extras,
        .now_ms = clock_wall_ms(),
        .used_memory = mem_used(),
        .uses = policy == EVICT_LRU   ? RDB_USES_IDLE
                : policy == EVICT_LFU ? RDB_USES_FREQUENCY
                                      : RDB_USES_NONE,
        .compress = config->rdbcompression,
        .checksum = config->rdbchecksum,
    };
}

/* After how many bytes a file that is being written is synchronised; 0: at its end. */
static uint64_t sync_every(const struct server *server)
{
    return server->config.rdb_save_incremental_fsync ? SYNC_EVERY : 0;
}

void saves_judge(struct server *server)
{
    static const char refusal[] =
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands "
        "that may modify the data set are disabled, because this instance is configured to report errors during "
        "writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for "
        "details about the RDB error.";
    static const char no_replicas[] = "NOREPLICAS Not enough good replicas to write.";
    const struct config *config = &server->config;
    struct engine *engine = server->engine;
    bool fails = server->saves->failed && config->stop_writes_on_bgsave_error && config->save_points.count;
    if (engine->refusal && engine->refusal != refusal && engine->refusal != no_replicas)
        return;
    engine->refusal = fails ? refusal : config_needs_replicas(config) ? no_replicas : NULL;
    engine->is_well = !fails;
}

static bool write_file(struct server *server, const struct rdb_save *save)
{
    struct buf error = BUF_EMPTY;
    bool good = rdb_save_file(server->config.dbfilename, server->keyspace, save, sync_every(server), NULL, &error);
    if (good)
        log_write(LOG_NOTICE, "DB saved on disk");
    else
        log_write(LOG_WARNING, "%s", buf_cstr(&error));
    buf_fini(&error);
    return good;
}

static void remove_temporary(struct server *server, pid_t pid)
{
    struct buf name = BUF_EMPTY;
    rdb_temporary_name(&name, server->config.dbfilename, (int)pid);
    uint64_t began_ns = clock_mono_ns();
    unlink(buf_cstr(&name)); /* of a large file that takes long */
    blame_background(server, "rdb-unlink-temp-file", (clock_mono_ns() - began_ns) / 1000);
    buf_fini(&name);
}

/* While everybody waits. */
struct waiting {
    struct server *server;
    struct child_reporter reporter; /* to nobody: it knows how to dawdle */
};

/* Who asks a second time for the end does not want to wait for the file. */
static void look_for_signal(void *context, uint64_t keys)
{
    struct waiting *waiting = context;
    if (waiting->reporter.delay_us)
        child_report(&waiting->reporter, keys, false);
    sigset_t pending;
    if (!waiting->server->shutdown_signal || sigpending(&pending) != 0 || !sigismember(&pending, SIGINT))
        return;
    log_write(LOG_WARNING, "You insist... exiting now.");
    remove_temporary(waiting->server, getpid());
    _exit(1);
}

static bool write_now(struct server *server)
{
    int64_t delay_us = server->config.rdb_key_save_delay_us;
    struct waiting waiting = { server, { .fd = -1, .delay_us = delay_us } };
    struct rdb_save save = saves_options(server);
    save.progress = look_for_signal;
    save.often = delay_us;
    save.context = &waiting;
    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &before);
    bool good = write_file(server, &save);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return good;
}

bool saves_now(struct server *server)
{
    engine_finish_changes(server->engine);
    server->saves->last_try_s = clock_wall_ms() / 1000;
    if (!write_now(server))
        return false;
    server->keyspace->stats.dirty = 0;
    server->saves->flushed = false;
    server->saves->saves++;
    server->saves->last_s = clock_wall_ms() / 1000;
    server->saves->failed = false;
    saves_judge(server);
    return true;
}

/* --- By a child --- */

static void report(void *context, uint64_t keys)
{
    child_report(context, keys, false);
}

static bool child_save(struct server *server, struct child_reporter *reporter)
{
    struct rdb_save save = saves_options(server);
    save.progress = report;
    save.often = reporter->delay_us;
    save.context = reporter;
    bool good = write_file(server, &save);
    child_report(reporter, server->child.keys_total, true);
    return good;
}

static void child_done(struct server *server, bool good, int signal_number)
{
    struct saves *saves = server->saves;
    int64_t now_ms = clock_wall_ms();
    saves->last_took_s = (now_ms - server->child.started_ms) / 1000;
    saves->last_cow_bytes = server->child.cow_peak;
    saves->flushed = saves->flushed && !good;
    if (saves->flushed && server->config.save_points.count)
        saves->scheduled = true; /* no change is left to count that would bring another */
    if (good) {
        log_write(LOG_NOTICE, "Background saving terminated with success; %llu MB of memory were used by copy-on-write",
            (unsigned long long)(saves->last_cow_bytes / MB));
        uint64_t *dirty = &server->keyspace->stats.dirty;
        *dirty -= saves->dirty_before < *dirty ? saves->dirty_before : *dirty;
        saves->last_s = now_ms / 1000;
        saves->saves++;
        saves->failed = false;
    } else if (saves->given_up) {
        log_write(LOG_NOTICE, "Background saving given up, as all that it saved was removed");
        remove_temporary(server, server->child.pid);
    } else if (signal_number) {
        log_write(LOG_WARNING, "Background saving terminated by signal %d", signal_number);
        remove_temporary(server, server->child.pid);
        saves->failed = true;
    } else {
        log_write(LOG_WARNING, "Background saving error");
        saves->failed = true;
    }
    saves_judge(server);
}

bool saves_in_background(struct server *server)
{
    struct saves *saves = server->saves;
    saves->scheduled = false;
    saves->given_up = false;
    saves->dirty_before = server->keyspace->stats.dirty;
    saves->last_try_s = clock_wall_ms() / 1000;
    if (!child_start(server, CHILD_RDB, child_save, child_done)) {
        log_write(LOG_WARNING, "Can't save in background: fork: %s", strerror(errno));
        saves->failed = true;
        saves_judge(server);
        return false;
    }
    log_write(LOG_NOTICE, "Background saving started by pid %d", (int)server->child.pid);
    return true;
}

/* What a large child leaves behind takes the system a while: nobody waits for that. */
static void give_up(struct server *server)
{
    if (server->child.kind != CHILD_RDB)
        return;
    server->saves->given_up = true;
    kill(server->child.pid, SIGKILL);
}

void saves_flushed(struct server *server)
{
    struct saves *saves = server->saves;
    give_up(server);
    if (saves->loading || !server->config.save_points.count)
        return;
    saves->flushed = saves->scheduled = true;
    server->keyspace->stats.dirty = 0;
}

void saves_abandon(struct server *server)
{
    if (server->child.kind != CHILD_RDB)
        return;
    pid_t pid = server->child.pid;
    child_kill(server);
    remove_temporary(server, pid);
}

/* --- Save points --- */

static bool is_due(const struct server *server, int64_t now_s)
{
    const struct saves *saves = server->saves;
    const struct save_points *points = &server->config.save_points;
    if (saves->failed && now_s - saves->last_try_s <= RETRY_S)
        return false;
    for (size_t i = 0; i < points->count; i++) {
        const struct save_point *point = &points->points[i];
        if (server->keyspace->stats.dirty >= (uint64_t)point->changes && now_s - saves->last_s > point->seconds) {
            log_write(LOG_NOTICE, "%lld changes in %lld seconds. Saving...", (long long)point->changes,
                (long long)point->seconds);
            return true;
        }
    }
    return false;
}

void saves_tick(struct server *server)
{
    saves_judge(server);
    if (server->child.kind != CHILD_NONE || server->saves->loading)
        return;
    int64_t now_s = clock_wall_ms() / 1000;
    bool wanted = server->saves->scheduled && (!server->saves->failed || now_s - server->saves->last_try_s > RETRY_S);
    if ((wanted || is_due(server, now_s)) && !engine_is_changing(server->engine))
        saves_in_background(server);
}

/* --- INFO --- */

static void print_loading(const struct saves *saves, struct buf *out)
{
    if (!saves->loading)
        return;
    double share = saves->load_size ? (double)saves->load_bytes / (double)saves->load_size : 0;
    int64_t passed_s = (clock_wall_ms() - saves->load_started_ms) / 1000;
    long long eta_s = share > 0 ? (long long)((double)passed_s / share - (double)passed_s) : 1;
    buf_printf(out,
        "loading_start_time:%lld\r\nloading_total_bytes:%llu\r\nloading_rdb_used_mem:%llu\r\n"
        "loading_loaded_bytes:%llu\r\nloading_loaded_perc:%.2f\r\nloading_eta_seconds:%lld\r\n",
        (long long)(saves->load_started_ms / 1000), (unsigned long long)saves->load_size,
        (unsigned long long)saves->load_memory, (unsigned long long)saves->load_bytes, 100 * share, eta_s);
}

void saves_print_info(struct server *server, struct buf *out)
{
    const struct saves *saves = server->saves;
    const struct child *child = &server->child;
    int64_t now_ms = clock_wall_ms();
    bool forked = child->kind != CHILD_NONE, saving = child->kind == CHILD_RDB;
    buf_printf(out, "loading:%d\r\nasync_loading:0\r\n", saves->loading);
    buf_printf(out, "current_cow_peak:%llu\r\ncurrent_cow_size:%llu\r\ncurrent_cow_size_age:%lld\r\n",
        forked ? (unsigned long long)child->cow_peak : 0, forked ? (unsigned long long)child->cow_bytes : 0,
        forked && child->cow_at_ms ? (long long)((now_ms - child->cow_at_ms) / 1000) : 0);
    buf_printf(out, "current_fork_perc:%.2f\r\ncurrent_save_keys_processed:%llu\r\ncurrent_save_keys_total:%llu\r\n",
        forked && child->keys_total ? 100.0 * (double)child->keys / (double)child->keys_total : 0.0,
        forked ? (unsigned long long)child->keys : 0, forked ? (unsigned long long)child->keys_total : 0);
    buf_printf(out, "rdb_changes_since_last_save:%llu\r\n", (unsigned long long)server->keyspace->stats.dirty);
    buf_printf(out, "rdb_bgsave_in_progress:%d\r\nrdb_last_save_time:%lld\r\nrdb_last_bgsave_status:%s\r\n", saving,
        (long long)saves->last_s, saves->failed ? "err" : "ok");
    buf_printf(out, "rdb_last_bgsave_time_sec:%lld\r\nrdb_current_bgsave_time_sec:%lld\r\n",
        (long long)saves->last_took_s, saving ? (long long)((now_ms - child->started_ms) / 1000) : -1);
    buf_printf(out,
        "rdb_saves:%llu\r\nrdb_last_cow_size:%llu\r\nrdb_last_load_keys_expired:%llu\r\n"
        "rdb_last_load_keys_loaded:%llu\r\n",
        (unsigned long long)saves->saves, (unsigned long long)saves->last_cow_bytes,
        (unsigned long long)saves->loaded_expired, (unsigned long long)saves->loaded_keys);
    print_loading(saves, out);
}
