/*
 * Rewriting: a new base in the place of what the files say by now.
 *
 *   prepare   worker: opens the next increment, replaces the manifest by one that names it
 *   fork      loop: writes the buffer's rest to the old increment, goes on in the new one, forks
 *   write     child: everything into temp-rewriteaof-bg-<pid>.aof, synchronised
 *   finish    worker: renames that into the directory, replaces the manifest by one in which what it stands for is
 *             history, deletes the history, replaces the manifest by one without it
 *
 * A machine that stops after any of these finds a manifest whose files are all there: the old base with all
 * increments, or the new base with those since the fork. Numbers are never given twice, whatever has failed. While the
 * first base is made after CONFIG SET appendonly yes, changes collect in a file aside, which finishing renames as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aof_priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/aside.h"
#include "engine/command.h"
#include "engine/task.h"
#include "persist/aof_rewrite.h"
#include "persist/disk.h"
#include "persist/worker.h"
#include "store/keyspace.h"

enum {
    LIMIT_AFTER = 3, /* failures in a row, before automatic rewrites wait, ... */
    LIMIT_FIRST_S = 60,
    LIMIT_MAX_S = 3600, /* ... twice as long each time */
    HEAL_EVERY_S = 5,
    MB = 1024 * 1024,
};

const char aof_temporary_increment[] = "temp-appendonly.aof.incr";

/* What the worker does, with copies of all it needs. It writes the outcome and then `done`. */
struct aof_step {
    char *directory, *file;       /* owned */
    char *temporary;              /* owned: what the child has written */
    struct aof_manifest manifest; /* owned: as it is to be */
    bool aside;                   /* the increment has its temporary name (before finishing) */
    bool increments;              /* one is opened */
    bool keeps_history;
    int fd; /* out: of the increment; -1: none */
    const char *what;
    int error;     /* out: errno; 0: it is done */
    bool in_place; /* out: though it failed, the manifest was replaced */
    atomic_bool done;
    struct net *net; /* borrowed: told when it is done */
};

static struct aof_step *step_create(struct server *server)
{
    struct aof_step *step = mem_zalloc(sizeof *step);
    step->directory = mem_strdup(server->config.appenddirname);
    step->file = mem_strdup(server->config.appendfilename);
    step->fd = -1;
    step->net = server->net;
    aof_manifest_copy(&step->manifest, &server->aof->manifest);
    step->aside = server->aof->state == AOF_WAITS;
    step->keeps_history = server->config.aof_disable_auto_gc;
    return step;
}

static void step_destroy(struct aof_step *step)
{
    aof_manifest_fini(&step->manifest);
    mem_free(step->directory);
    mem_free(step->file);
    mem_free(step->temporary);
    mem_free(step);
}

static void step_submit(struct aof *aof, struct aof_step *step, void (*run)(void *step))
{
    aof->step = step;
    worker_submit(aof->filer, run, step);
}

/* --- The steps, on the worker --- */

static bool fail(struct aof_step *step, const char *what)
{
    step->what = what;
    step->error = errno ? errno : EIO;
    return false;
}

static const char *last_increment(const struct aof_step *step)
{
    const struct aof_files *files = &step->manifest.increments;
    return step->aside ? aof_temporary_increment : files->items[files->count - 1].name;
}

static void delete_file(const struct aof_step *step, const char *name)
{
    struct buf path = BUF_EMPTY;
    disk_append_path(&path, step->directory, name);
    unlink(buf_cstr(&path));
    buf_fini(&path);
}

/* True if the manifest on the disk names the file, or cannot be asked: what it names must stay. */
static bool is_named(const struct aof_step *step, const char *name)
{
    struct aof_manifest there;
    struct buf error = BUF_EMPTY;
    bool found, named = !aof_manifest_load(&there, step->directory, step->file, &found, &error);
    named |= there.base.name && strcmp(there.base.name, name) == 0;
    for (size_t i = 0; i < there.increments.count; i++)
        named |= strcmp(there.increments.items[i].name, name) == 0;
    aof_manifest_fini(&there);
    buf_fini(&error);
    return named;
}

static bool prepare(struct aof_step *step)
{
    if (mkdir(step->directory, 0755) != 0 && errno != EEXIST)
        return fail(step, "creating the directory");
    if (!step->increments)
        return true;
    struct buf path = BUF_EMPTY;
    disk_append_path(&path, step->directory, last_increment(step));
    step->fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    buf_fini(&path);
    if (step->fd < 0)
        return fail(step, "opening the new increment");
    if (!step->aside && !aof_manifest_store(&step->manifest, step->directory, step->file))
        return fail(step, "writing the manifest");
    return true;
}

/* The last thing that the worker does with it. */
static void tell_done(struct aof_step *step)
{
    struct net *net = step->net;
    atomic_store_explicit(&step->done, true, memory_order_release);
    net_notify(net);
}

static void run_prepare(void *argument)
{
    struct aof_step *step = argument;
    if (!prepare(step) && step->fd >= 0) {
        close(step->fd);
        step->fd = -1;
        if (step->aside || !is_named(step, last_increment(step)))
            delete_file(step, last_increment(step));
    }
    tell_done(step);
}

static bool move_into_place(const struct aof_step *step, const char *from, const char *name)
{
    struct buf to = BUF_EMPTY;
    disk_append_path(&to, step->directory, name);
    bool good = rename(from, buf_cstr(&to)) == 0;
    int reason = errno;
    buf_fini(&to);
    errno = reason;
    return good;
}

static bool move_increment(const struct aof_step *step)
{
    struct buf from = BUF_EMPTY;
    const struct aof_files *files = &step->manifest.increments;
    disk_append_path(&from, step->directory, aof_temporary_increment);
    bool good = move_into_place(step, buf_cstr(&from), files->items[files->count - 1].name);
    int reason = errno;
    buf_fini(&from);
    errno = reason;
    return good;
}

static bool finish(struct aof_step *step)
{
    if (!move_into_place(step, step->temporary, step->manifest.base.name)) {
        fail(step, "renaming the new base");
        unlink(step->temporary);
        return false;
    }
    if (step->aside && step->increments && !move_increment(step)) {
        fail(step, "renaming the new increment");
        delete_file(step, step->manifest.base.name);
        return false;
    }
    if (!aof_manifest_store(&step->manifest, step->directory, step->file) || !disk_sync_directory("")) {
        fail(step, "writing the manifest");
        step->in_place = is_named(step, step->manifest.base.name);
        if (!step->in_place)
            delete_file(step, step->manifest.base.name);
        return step->in_place;
    }
    return true;
}

/* What is left of history after a failure is deleted the next time. */
static void delete_history(struct aof_step *step)
{
    if (step->keeps_history || !step->manifest.history.count)
        return;
    for (size_t i = 0; i < step->manifest.history.count; i++)
        delete_file(step, step->manifest.history.items[i].name);
    struct aof_manifest without;
    aof_manifest_copy(&without, &step->manifest);
    aof_manifest_forget_history(&without);
    if (aof_manifest_store(&without, step->directory, step->file))
        aof_manifest_forget_history(&step->manifest);
    aof_manifest_fini(&without);
}

static void run_finish(void *argument)
{
    struct aof_step *step = argument;
    if (finish(step) && !step->in_place)
        delete_history(step);
    tell_done(step);
}

/* --- The child --- */

void aof_temporary_name(int pid, struct buf *out)
{
    buf_printf(out, "temp-rewriteaof-bg-%d.aof", pid);
}

bool aof_write_base(
    struct server *server, const char *path, void (*progress)(void *, uint64_t), void *context, struct buf *error)
{
    const struct config *config = &server->config;
    uint64_t sync_every = config->aof_rewrite_incremental_fsync ? (uint64_t)4 * MB : 0;
    if (config->aof_use_rdb_preamble) {
        struct rdb_save save = saves_options(server);
        save.aof_base = true;
        save.progress = progress;
        save.often = config->rdb_key_save_delay_us;
        save.context = context;
        return rdb_save_file(path, server->keyspace, &save, sync_every, NULL, error);
    }
    struct aof_rewrite rewrite = { .progress = progress, .often = config->rdb_key_save_delay_us, .context = context };
    if (config->aof_timestamp_enabled)
        rewrite.timestamp_s = clock_wall_ms() / 1000;
    return aof_rewrite_file(path, server->keyspace, &rewrite, sync_every, error);
}

static void report(void *context, uint64_t keys)
{
    child_report(context, keys, false);
}

static bool child_write(struct server *server, struct child_reporter *reporter)
{
    struct buf path = BUF_EMPTY, error = BUF_EMPTY;
    aof_temporary_name((int)getpid(), &path);
    bool good = aof_write_base(server, buf_cstr(&path), report, reporter, &error);
    if (!good)
        log_write(LOG_WARNING, "%s", buf_cstr(&error));
    child_report(reporter, server->child.keys_total, true);
    buf_fini(&path);
    buf_fini(&error);
    return good;
}

static void remove_temporaries(int pid)
{
    struct buf name = BUF_EMPTY, aside = BUF_EMPTY;
    aof_temporary_name(pid, &name);
    rdb_temporary_name(&aside, buf_cstr(&name), pid);
    unlink(buf_cstr(&name));
    unlink(buf_cstr(&aside));
    buf_fini(&name);
    buf_fini(&aside);
}

/* --- In the server --- */

static void end_rewrite(struct server *server, bool good)
{
    struct aof *aof = server->aof;
    int64_t now_s = clock_wall_ms() / 1000;
    aof->stage = REWRITE_NONE;
    aof->rewrite_failed = !good;
    aof->last_took_s = now_s - aof->started_s;
    if (good) {
        aof->failures_in_a_row = 0;
        aof->next_try_s = 0;
        return;
    }
    aof->healing = false;
    if (++aof->failures_in_a_row < LIMIT_AFTER)
        return;
    uint64_t doublings = aof->failures_in_a_row - LIMIT_AFTER;
    int64_t pause_s = doublings > 6 ? LIMIT_MAX_S : (int64_t)LIMIT_FIRST_S << doublings;
    if (pause_s > LIMIT_MAX_S)
        pause_s = LIMIT_MAX_S;
    aof->next_try_s = now_s + pause_s;
    log_write(LOG_WARNING,
        "Background AOF rewrite has repeatedly failed and triggered the limit: none begins by itself for %lld seconds",
        (long long)pause_s);
}

static void child_done(struct server *server, bool good, int signal_number)
{
    struct aof *aof = server->aof;
    int pid = (int)server->child.pid;
    aof->last_cow_bytes = server->child.cow_peak;
    if (!good) {
        if (signal_number)
            log_write(LOG_WARNING, "Background AOF rewrite terminated by signal %d", signal_number);
        else
            log_write(LOG_WARNING, "Background AOF rewrite terminated with error");
        remove_temporaries(pid);
        end_rewrite(server, false);
        return;
    }
    log_write(LOG_NOTICE,
        "Background AOF rewrite terminated with success; %llu MB of memory were used by copy-on-write",
        (unsigned long long)(aof->last_cow_bytes / MB));
    struct aof_step *step = step_create(server);
    struct buf name = BUF_EMPTY;
    aof_temporary_name(pid, &name);
    step->temporary = mem_strdup(buf_cstr(&name));
    buf_fini(&name);
    aof_manifest_set_base(&step->manifest, step->file, server->config.aof_use_rdb_preamble);
    aof->manifest.last_base_seq = step->manifest.last_base_seq; /* given, whatever becomes of it */
    step->increments = aof->state != AOF_OFF;
    aof_manifest_retire(&step->manifest, step->increments && !step->aside ? aof->rewrite_seq : UINT64_MAX);
    if (step->aside && step->increments) {
        aof_manifest_add_increment(&step->manifest, step->file);
        aof->manifest.last_increment_seq = step->manifest.last_increment_seq;
    }
    aof->stage = REWRITE_FINISHING;
    step_submit(aof, step, run_finish);
}

/* Puts the old increment away; the new one counts from here on. */
static bool go_on_in(struct server *server, int fd)
{
    struct aof *aof = server->aof;
    if (aof->log.fd >= 0 && !aof_write_all(server)) {
        log_write(LOG_WARNING, "The AOF can't be rewritten: what came before can't be written");
        return false;
    }
    if (aof->state == AOF_ON)
        aof->other_size += aof->log.size;
    uint64_t unsynced = aof->log.size - aof->log.synced;
    int old = aof_log_switch(&aof->log, fd, 0, aof->worker);
    aof->selected_db = -1;
    aof->stamp_s = 0;
    if (old >= 0)
        aof_log_part(&aof->log, old, unsynced && server->config.appendfsync != APPENDFSYNC_NO, aof->worker);
    aof_listen(server, true);
    return true;
}

static void fork_child(struct server *server)
{
    struct aof *aof = server->aof;
    if (child_start(server, CHILD_AOF, child_write, child_done)) {
        aof->stage = REWRITE_FORKED;
        log_write(LOG_NOTICE, "Background append only file rewriting started by pid %d", (int)server->child.pid);
        return;
    }
    log_write(LOG_WARNING, "Can't rewrite append only file in background: fork: %s", strerror(errno));
    end_rewrite(server, false);
}

static void prepared(struct server *server, struct aof_step *step)
{
    engine_finish_changes(server->engine); /* what is half done belongs to the old increment as a whole */
    struct aof *aof = server->aof;
    if (step->error) {
        log_write(LOG_WARNING, "Can't rewrite the append-only file: %s: %s", step->what, strerror(step->error));
        aof->manifest.last_increment_seq = step->manifest.last_increment_seq;
        end_rewrite(server, false);
        return;
    }
    if (step->increments && !step->aside) {
        aof_manifest_fini(&aof->manifest);
        aof_manifest_copy(&aof->manifest, &step->manifest);
        aof->rewrite_seq = aof->manifest.last_increment_seq;
    }
    if (server->child.kind != CHILD_NONE) { /* another one was faster */
        aof->stage = REWRITE_NONE;
        aof->scheduled = true;
    } else if (step->fd < 0 || go_on_in(server, step->fd)) {
        step->fd = -1;
        fork_child(server);
    } else {
        end_rewrite(server, false);
    }
    if (step->fd >= 0)
        close(step->fd);
}

static uint64_t sum_sizes(struct server *server)
{
    struct aof *aof = server->aof;
    uint64_t sum = aof->manifest.base.name ? aof_file_size(server, aof->manifest.base.name) : 0;
    for (size_t i = 0; i + 1 < aof->manifest.increments.count; i++)
        sum += aof_file_size(server, aof->manifest.increments.items[i].name);
    return sum;
}

static void finished(struct server *server, struct aof_step *step)
{
    struct aof *aof = server->aof;
    if (step->error)
        log_write(LOG_WARNING, "Rewriting the append-only file: %s: %s", step->what, strerror(step->error));
    if (step->error && !step->in_place) {
        end_rewrite(server, false);
        return;
    }
    aof_manifest_fini(&aof->manifest);
    aof_manifest_copy(&aof->manifest, &step->manifest);
    if (aof->state == AOF_WAITS)
        aof->state = AOF_ON;
    aof->other_size = sum_sizes(server);
    aof->base_size = aof->other_size + aof->log.size;
    if (aof->healing && aof->distrusted) {
        aof->distrusted = aof->healing = false;
        aof->failure = 0;
        aof->logged_ns = 0;
        log_write(LOG_NOTICE, "The append-only file has a new base: what it may have lost is in there.");
        aof_judge(server);
    }
    aof->rewrites++;
    end_rewrite(server, true);
    log_write(LOG_NOTICE, "Background AOF rewrite finished successfully");
}

/* True if there is something for the writer, or with it, that belongs before the fork: no more is to come then. */
static bool has_to_drain(struct aof *aof)
{
    const struct aof_log *log = &aof->log;
    aof->drains = aof->stage == REWRITE_PREPARING && !aof->failure && (log->has_long || aof_log_is_writing(log));
    return aof->drains;
}

void aof_rewrite_poll(struct server *server)
{
    struct aof *aof = server->aof;
    struct aof_step *step = aof->step;
    if (!step || !atomic_load_explicit(&step->done, memory_order_acquire) || has_to_drain(aof))
        return;
    aof->step = NULL;
    if (aof->stage == REWRITE_PREPARING)
        prepared(server, step);
    else
        finished(server, step);
    step_destroy(step);
    engine_wake_tasks(server->engine); /* whoever waits for the child */
    net_wake_background(server->net);
}

bool aof_rewrite_in_background(struct server *server)
{
    struct aof *aof = server->aof;
    aof->scheduled = false;
    if (aof->stage != REWRITE_NONE || server->child.kind != CHILD_NONE)
        return false;
    aof->stage = REWRITE_PREPARING;
    aof->started_s = clock_wall_ms() / 1000;
    aof->healing = true;
    struct aof_step *step = step_create(server);
    step->increments = aof->state != AOF_OFF;
    if (step->increments && !step->aside)
        aof_manifest_add_increment(&step->manifest, step->file);
    step_submit(aof, step, run_prepare);
    return true;
}

/* On the worker; nobody waits for it. */
static void run_delete(void *argument)
{
    struct aof_step *step = argument;
    for (size_t i = 0; i < step->manifest.history.count; i++)
        delete_file(step, step->manifest.history.items[i].name);
    step_destroy(step);
}

void aof_collect_history(struct server *server)
{
    struct aof *aof = server->aof;
    const struct config *config = &server->config;
    if (aof->state == AOF_OFF || aof->stage != REWRITE_NONE || config->aof_disable_auto_gc ||
        !aof->manifest.history.count)
        return;
    struct aof_step *step = step_create(server);
    aof_manifest_forget_history(&aof->manifest);
    if (aof_manifest_store(&aof->manifest, config->appenddirname, config->appendfilename)) {
        worker_submit(aof->filer, run_delete, step);
        return;
    }
    log_write(LOG_WARNING, "Deleting the AOF's history: writing the manifest: %s", strerror(errno));
    aof_manifest_fini(&aof->manifest);
    aof_manifest_copy(&aof->manifest, &step->manifest);
    step_destroy(step);
}

void aof_rewrite_abandon(struct server *server)
{
    struct aof *aof = server->aof;
    if (!aof)
        return;
    aof->scheduled = false;
    if (server->child.kind == CHILD_AOF) {
        int pid = (int)server->child.pid;
        log_write(LOG_NOTICE, "Killing AOF child");
        child_kill(server);
        remove_temporaries(pid);
        end_rewrite(server, false);
    }
    if (!aof->step)
        return;
    worker_drain(aof->filer);
    if (aof->stage == REWRITE_FINISHING) {
        aof_rewrite_poll(server);
        return;
    }
    /* Prepared, but nobody will go on: the increment stays empty, and is the last. */
    struct aof_step *step = aof->step;
    aof->step = NULL;
    if (step->fd >= 0)
        close(step->fd);
    if (!step->error && step->increments && !step->aside) {
        aof_manifest_fini(&aof->manifest);
        aof_manifest_copy(&aof->manifest, &step->manifest);
    }
    step_destroy(step);
    aof->stage = REWRITE_NONE;
    engine_wake_tasks(server->engine);
}

/* --- When --- */

static bool has_grown(struct server *server)
{
    const struct aof *aof = server->aof;
    const struct config *config = &server->config;
    uint64_t size = aof->other_size + aof->log.size, base = aof->base_size ? aof->base_size : 1;
    if (aof->state != AOF_ON || !config->auto_aof_rewrite_percentage ||
        size <= (uint64_t)config->auto_aof_rewrite_min_size || clock_wall_ms() / 1000 < aof->next_try_s)
        return false;
    double growth = (double)size * 100 / (double)base - 100;
    if (growth < (double)config->auto_aof_rewrite_percentage)
        return false;
    log_write(LOG_NOTICE, "Starting automatic rewriting of AOF on %.0f%% growth", growth);
    return true;
}

static bool must_heal(const struct aof *aof)
{
    return aof->state == AOF_ON && aof->distrusted && clock_wall_ms() / 1000 - aof->started_s >= HEAL_EVERY_S;
}

void aof_rewrite_tick(struct server *server)
{
    struct aof *aof = server->aof;
    if (aof->stage != REWRITE_NONE || server->child.kind != CHILD_NONE || server->saves->loading)
        return;
    bool waits = aof->state == AOF_WAITS && clock_wall_ms() / 1000 >= aof->next_try_s;
    if ((aof->scheduled || waits || must_heal(aof) || has_grown(server)) && !engine_is_changing(server->engine))
        aof_rewrite_in_background(server);
}

/* --- BGREWRITEAOF --- */

static void run_bgrewriteaof(struct call *call)
{
    struct server *server = server_of(call);
    struct aof *aof = server->aof;
    if (aof->stage == REWRITE_NONE && server->child.kind == CHILD_NONE && call_aside_unheld(call))
        return;
    if (aof->stage != REWRITE_NONE) {
        reply_error(call->reply, BYTES("ERR Background append only file rewriting already in progress"));
    } else if (server->child.kind != CHILD_NONE || call->exec) { /* in a transaction, once all of it is done */
        aof->scheduled = true;
        aof->next_try_s = 0;
        reply_status(call->reply, BYTES("Background append only file rewriting scheduled"));
    } else if (aof_rewrite_in_background(server)) {
        while (aof->stage == REWRITE_PREPARING && call_sleep(call))
            ; /* whoever was answered finds the child at work */
        reply_status(call->reply, BYTES("Background append only file rewriting started"));
    } else {
        reply_error(
            call->reply, BYTES("ERR Can't execute an AOF background rewriting. Please check the server logs for more "
                               "information."));
    }
}

const struct command aof_commands[] = {
    { .name = "BGREWRITEAOF",
        .run = run_bgrewriteaof,
        .argc = EXACTLY(1),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_NO_ASYNC_LOADING | CMD_SAVES,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "O(1), and the fork",
        .brief = "Rewrites the append-only file in the background, as short as can be." },
    { 0 },
};
