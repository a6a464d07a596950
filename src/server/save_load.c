/*
 * Loading at start: the file into the keyspace, while whoever connects meanwhile is answered LOADING.
 *
 * Between pieces of 256 KB the loop takes a turn; progress goes to the log every few seconds and, on a terminal, to a
 * bar. The clockwork does not run yet: nothing expires and nothing is saved before everything is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "engine/engine.h"
#include "persist/source.h"
#include "server_priv.h"
#include "store/evict.h"
#include "store/keyspace.h"

enum {
    BAR_NS = 100 * 1000 * 1000,
    LOG_NS = 2 * 1000 * 1000 * 1000LL,
    BAR_WIDTH = 40,
    DELAY_NAP_NS = 1000 * 1000,
    PERCENT = 100,
    BULK_BYTES = 4 * 1024 * 1024,
};

static bool has_terminal(const struct server *server)
{
    const struct config *config = &server->config;
    return isatty(STDOUT_FILENO) && !config->syslog_enabled && !(config->logfile && config->logfile[0]);
}

static void draw_bar(const struct saves *saves, double share, double seconds)
{
    char bar[BAR_WIDTH + 1], done[16];
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(share * BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    num_format_human(done, saves->load_bytes);
    printf("\rLoading [%s] %3d%%  %s  %.0f MB/s ", bar, (int)(share * PERCENT), done,
        seconds > 0 ? (double)saves->load_bytes / seconds / 1e6 : 0.0);
    fflush(stdout);
}

/* What the bar left is wiped out, so that the next line of the log stands alone. */
static void wipe_bar(void)
{
    printf("\r%*s\r", BAR_WIDTH + 40, "");
    fflush(stdout);
}

static void tell_progress(struct server *server)
{
    struct saves *saves = server->saves;
    uint64_t now_ns = clock_mono_ns();
    bool terminal = has_terminal(server);
    if (now_ns - saves->load_progress_ns < (terminal ? (uint64_t)BAR_NS : (uint64_t)LOG_NS))
        return;
    saves->load_progress_ns = now_ns;
    double share = saves->load_size ? (double)saves->load_bytes / (double)saves->load_size : 1;
    double seconds = (double)(clock_wall_ms() - saves->load_started_ms) / 1000;
    if (terminal)
        draw_bar(saves, share < 1 ? share : 1, seconds);
    else
        log_write(LOG_NOTICE, "Loading: %.1f%% of %llu MB, %.1f seconds so far", share * PERCENT,
            (unsigned long long)(saves->load_size / 1000000), seconds);
}

void saves_load_begin(struct server *server, uint64_t size)
{
    struct saves *saves = server->saves;
    saves->loading = true;
    saves->load_started_ms = clock_wall_ms();
    evict_tick(server->keyspace, saves->load_started_ms); /* keys are used, or were long ago, by some clock */
    saves->load_bytes = 0;
    saves->load_size = size;
    saves->load_memory = 0;
    saves->load_delayed = 0;
    saves->load_progress_ns = clock_mono_ns();
    server->engine->loading = true;
    if (size >= BULK_BYTES)
        mem_bulk_begin();
}

/* Serves clients for as long as key-load-delay says for the keys that came since; tests want to see that time. */
static void delay(struct server *server)
{
    struct saves *saves = server->saves;
    uint64_t keys = 0;
    for (int i = 0; i < server->keyspace->db_count; i++)
        keys += keyspace_size(server->keyspace->dbs[i]);
    int64_t delay_us = server->config.key_load_delay_us;
    uint64_t came = keys > saves->load_delayed ? keys - saves->load_delayed : 0;
    uint64_t owed_ns = delay_us < 0 ? came * 1000 / (uint64_t)-delay_us : came * 1000 * (uint64_t)delay_us;
    uint64_t began_ns = clock_mono_ns();
    saves->load_delayed = keys;
    while (server->config.key_load_delay_us && !server->shutting_down && clock_mono_ns() - began_ns < owed_ns) {
        net_turn(server->net);
        nanosleep(&(struct timespec){ .tv_nsec = DELAY_NAP_NS }, NULL);
    }
}

bool saves_load_progress(struct server *server, uint64_t bytes)
{
    server->saves->load_bytes = bytes;
    evict_tick(server->keyspace, clock_wall_ms());
    tell_progress(server);
    net_turn(server->net);
    delay(server);
    return !server->shutting_down;
}

void saves_load_end(struct server *server)
{
    mem_bulk_end();
    delay(server);
    if (has_terminal(server))
        wipe_bar();
    server->saves->loading = false;
    server->engine->loading = false;
    server->engine->flushed_all = false; /* one that was played back has nothing to do with the files of today */
}

static bool on_progress(void *context, const struct rdb_progress *progress)
{
    return saves_load_progress(context, progress->bytes);
}

static void on_aux(void *context, struct bytes name, struct bytes value)
{
    struct server *server = context;
    uint64_t number;
    bool is_number = num_parse_u64(value, &number);
    if (bytes_equal(name, BYTES("used-mem")) && is_number)
        server->saves->load_memory = number;
    else if (bytes_equal(name, BYTES("redis-ver")))
        log_write(LOG_NOTICE, "Loading RDB produced by version %.*s", (int)value.len, value.ptr);
    else if (bytes_equal(name, BYTES("ctime")) && is_number)
        log_write(LOG_NOTICE, "RDB age %lld seconds", (long long)(clock_wall_ms() / 1000 - (int64_t)number));
}

static bool load_file(struct server *server, int fd)
{
    struct saves *saves = server->saves;
    struct rdb_loaded loaded;
    struct rdb_error error;
    struct source source;
    struct rdb_load load = {
        .now_ms = clock_wall_ms(),
        .checksum = server->config.rdbchecksum && !server->engine->trusts_payloads,
        .extras = &saves->extras,
        .progress = on_progress,
        .aux = on_aux,
        .context = server,
    };
    source_init_fd(&source, fd);
    saves_load_begin(server, source.size);
    bool good = rdb_load(&source, server->keyspace, &load, &loaded, &error);
    saves_load_end(server);
    source_fini(&source);
    saves->loaded_keys = loaded.keys;
    saves->loaded_expired = loaded.expired;
    server->keyspace->stats.dirty = 0;
    double seconds = (double)(clock_wall_ms() - saves->load_started_ms) / 1000;
    if (good)
        log_write(LOG_NOTICE, "Done loading RDB, keys loaded: %llu, keys expired: %llu, empty keys skipped: %llu.",
            (unsigned long long)loaded.keys, (unsigned long long)loaded.expired, (unsigned long long)loaded.empty);
    else if (server->shutting_down)
        log_write(LOG_WARNING, "Received shutdown signal during loading, exiting now.");
    else
        log_write(LOG_WARNING,
            "Fatal error loading the DB, at byte %llu of '%s'%s%.*s%s: %s. "
            "Terminating server after rdb file reading failure.",
            (unsigned long long)error.offset, server->config.dbfilename, loaded.last_key.len ? ", at the key '" : "",
            (int)loaded.last_key.len, loaded.last_key.ptr ? loaded.last_key.ptr : "", loaded.last_key.len ? "'" : "",
            error.text);
    if (good)
        log_write(LOG_NOTICE, "DB loaded from disk: %.3f seconds", seconds);
    return good;
}

static bool reload_file(struct server *server, int fd)
{
    struct rdb_loaded loaded;
    struct rdb_error error;
    struct source source;
    struct rdb_load load = {
        .now_ms = clock_wall_ms(),
        .checksum = server->config.rdbchecksum && !server->engine->trusts_payloads,
        .replace = true,
        .extras = &server->saves->extras,
    };
    source_init_fd(&source, fd);
    bool good = rdb_load(&source, server->keyspace, &load, &loaded, &error);
    source_fini(&source);
    if (good)
        log_write(LOG_WARNING, "DB reloaded by DEBUG RELOAD");
    else
        log_write(LOG_WARNING, "Error reloading the DB, at byte %llu of '%s': %s", (unsigned long long)error.offset,
            server->config.dbfilename, error.text);
    return good;
}

bool saves_reload(struct server *server, bool flush)
{
    struct engine *engine = server->engine;
    int fd = open(server->config.dbfilename, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        log_write(LOG_WARNING, "Can't open '%s' to reload it: %s", server->config.dbfilename, strerror(errno));
        return false;
    }
    struct propagation *propagation = engine->propagation;
    engine->propagation = NULL; /* the append-only file has it all */
    for (int i = 0; i < server->keyspace->db_count && flush; i++)
        keyspace_flush(server->keyspace, server->keyspace->dbs[i]);
    rdb_extras_fini(&server->saves->extras);
    bool good = reload_file(server, fd);
    engine->propagation = propagation;
    server->keyspace->stats.dirty = 0;
    close(fd);
    return good;
}

bool saves_load(struct server *server)
{
    const char *path = server->config.dbfilename;
    if (!path[0])
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return true;
    if (fd < 0) {
        log_write(LOG_WARNING, "Fatal error loading the DB, check server logs: can't open '%s': %s. Exiting.", path,
            strerror(errno));
        return false;
    }
    bool good = load_file(server, fd);
    close(fd);
    return good;
}
