/*
 * Writing: units into the buffer, the buffer into the file, the file onto the disk; and what follows when one fails.
 *
 * A unit of many bytes is not copied and not written in a turn: from the first such unit on, what has collected goes to
 * the log's writer, and who changed any of that waits in a group until it is in the file. Meanwhile more collects, and
 * if that becomes very much, too, commands that write wait before they are executed.
 *
 * Under `always` the buffer is written when the worker has synchronised what was written before, and the worker begins
 * anew; who waits for which of that, aof_group.c knows. Nobody else waits for the disk: a reply to a command that only
 * reads leaves at once, and may tell of a change that is in the file, but not yet known to be on the disk.
 *
 * When the disk refuses, the buffer keeps what it has, commands that write are refused, and the write is tried again
 * ten times a second. Under `always` those whose changes were in it must not hear that they succeeded: their
 * connections are closed without an answer. When synchronising fails nobody knows what of the file is on the disk, and
 * asking again may be answered with a lie; so writes are refused until a rewrite has put a new base in its place.
 */
#include "server/aof.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aof_priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "engine/latency.h"
#include "engine/propagate.h"
#include "engine/session.h"
#include "persist/disk.h"
#include "persist/worker.h"
#include "server/process.h"

enum {
    SECOND_NS = 1000 * 1000 * 1000,
    RETRY_NS = 90 * 1000 * 1000,
    POSTPONE_S = 2, /* a write waits no longer than that for the disk */
    LOG_EVERY_S = 30,
    SELECT_MAX = 64,
    LONG_UNIT = 256 * 1024,       /* bytes that nobody should have to wait for while they are copied and written */
    LONG_TEXT = 1024 * 1024,      /* the same of many units, where all who wrote them wait anyway */
    REFERRED_MIN = 16 * 1024,     /* a shorter piece is copied */
    JAM_BYTES = 64 * 1024 * 1024, /* that may collect while the disk is busy */
};

#define LITERAL(text) text, sizeof(text) - 1

void aof_path(const struct server *server, const char *name, struct buf *out)
{
    disk_append_path(out, server->config.appenddirname, name);
}

uint64_t aof_file_size(const struct server *server, const char *name)
{
    struct buf path = BUF_EMPTY;
    struct stat facts;
    aof_path(server, name, &path);
    uint64_t size = stat(buf_cstr(&path), &facts) == 0 ? (uint64_t)facts.st_size : 0;
    buf_fini(&path);
    return size;
}

/* On the worker. */
static void tell_loop(void *context)
{
    struct server *server = context;
    net_notify(server->net);
}

/* On the worker: it mostly waits for the disk, and is to go on as soon as that is through, however busy others are. */
static void ask_for_latency(void *context)
{
    process_ask_for_latency((int)(intptr_t)context);
}

bool aof_begin(struct server *server)
{
    struct aof *aof = mem_zalloc(sizeof *aof);
    server->aof = aof;
    aof_log_init(&aof->log);
    aof->selected_db = -1;
    aof->last_took_s = -1;
    aof_group_init(&aof->group);
    aof->worker = worker_create();
    aof->filer = worker_create();
    worker_submit(aof->worker, ask_for_latency, (void *)(intptr_t)server->config.loop_nice);
    aof->log.synced_later = tell_loop;
    aof->log.context = server;
    struct buf error = BUF_EMPTY;
    bool found;
    bool good =
        aof_manifest_load(&aof->manifest, server->config.appenddirname, server->config.appendfilename, &found, &error);
    if (!good)
        log_write(LOG_WARNING, "Fatal error: %s", buf_cstr(&error));
    buf_fini(&error);
    return good;
}

void aof_settle(struct server *server)
{
    struct aof *aof = server->aof;
    if (!aof)
        return;
    worker_drain(aof->worker);
    worker_drain(aof->filer);
    aof_log_wait(&aof->log);
    aof->log.synced_later = NULL;
}

void aof_fini(struct server *server)
{
    struct aof *aof = server->aof;
    if (!aof)
        return;
    aof_rewrite_abandon(server);
    aof_log_fini(&aof->log, aof->worker);
    worker_destroy(aof->worker);
    worker_destroy(aof->filer);
    aof_manifest_fini(&aof->manifest);
    aof_group_fini(&aof->group);
    mem_free(aof);
    server->aof = NULL;
}

/* --- Units --- */

static void append(struct aof *aof, const char *text, size_t len)
{
    memcpy(aof_log_extend(&aof->log, len), text, len);
}

static void append_select(struct aof *aof, int db)
{
    char text[SELECT_MAX], digits[NUM_I64_MAX_LEN];
    int digit_count = (int)num_format_i64(digits, db);
    int len = snprintf(text, sizeof text, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%.*s\r\n", digit_count, digit_count, digits);
    append(aof, text, (size_t)len);
    aof->selected_db = db;
}

static void append_stamp(struct aof *aof, int64_t now_s)
{
    char text[48];
    append(aof, text, (size_t)snprintf(text, sizeof text, "#TS:%lld\r\n", (long long)now_s));
    aof->stamp_s = now_s;
}

static void append_piece(struct aof *aof, const struct piece *piece)
{
    if (piece->blob && piece->text.len >= REFERRED_MIN)
        pieces_append_blob(&aof->log.text, piece->blob, piece->text);
    else
        append(aof, piece->text.ptr, piece->text.len);
}

/* Pieces that lie one behind the other, of several commands, too, are appended together. */
static void append_commands(struct aof *aof, const struct propagated *commands, size_t count)
{
    struct piece run = commands[0].pieces[0];
    for (size_t i = 0; i < count; i++) {
        bool selects = commands[i].db != aof->selected_db;
        for (size_t j = i == 0; j < commands[i].count; j++) {
            const struct piece *piece = &commands[i].pieces[j];
            if (!selects && piece->blob == run.blob && piece->text.ptr == run.text.ptr + run.text.len) {
                run.text.len += piece->text.len;
                continue;
            }
            append_piece(aof, &run);
            if (selects)
                append_select(aof, commands[i].db);
            selects = false;
            run = *piece;
        }
    }
    append_piece(aof, &run);
}

static size_t count_bytes(const struct propagated *commands, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < commands[i].count; j++)
            sum += commands[i].pieces[j].text.len;
    return sum;
}

static void take_unit(void *context, const struct propagated *commands, size_t count)
{
    struct server *server = context;
    struct aof *aof = server->aof;
    if (__builtin_expect(aof->log.fd < 0, 0)) /* off, or on again before the first base is begun, which will have it */
        return;
    if (__builtin_expect(count_bytes(commands, count) >= LONG_UNIT, 0))
        aof_log_begin_long(&aof->log);
    if (server->config.aof_timestamp_enabled && server->engine->now_ms / 1000 > aof->stamp_s)
        append_stamp(aof, server->engine->now_ms / 1000);
    if (__builtin_expect(commands[0].db != aof->selected_db, 0))
        append_select(aof, commands[0].db);
    if (count > 1)
        append(aof, LITERAL("*1\r\n$5\r\nMULTI\r\n"));
    append_commands(aof, commands, count);
    if (count > 1)
        append(aof, LITERAL("*1\r\n$4\r\nEXEC\r\n"));
    if (server->config.appendfsync == APPENDFSYNC_ALWAYS || aof->log.has_long || aof_log_is_writing(&aof->log))
        aof_group_add(&aof->group, server->engine);
}

void aof_listen(struct server *server, bool on)
{
    server->aof_sink = (struct propagation_sink){ .unit = take_unit, .context = server };
    engine_set_propagation(server->engine, on ? &server->aof_sink : NULL);
}

/* --- Failures --- */

void aof_judge(struct server *server)
{
    struct aof *aof = server->aof;
    struct engine *engine = server->engine;
    bool refuse = aof->state != AOF_OFF && (aof->failure || aof->distrusted);
    if (refuse) {
        snprintf(aof->refusal, sizeof aof->refusal, "MISCONF Errors writing to the AOF file: %s",
            strerror(aof->failure ? aof->failure : EIO));
        engine->refusal = aof->refusal;
        engine->is_well = false;
    } else if (engine->refusal == aof->refusal) {
        engine->refusal = NULL;
        saves_judge(server);
    }
}

static void log_failure(struct aof *aof, const char *what, int reason)
{
    uint64_t now_ns = clock_mono_ns();
    if (aof->logged_ns && now_ns - aof->logged_ns < (uint64_t)LOG_EVERY_S * SECOND_NS)
        return;
    aof->logged_ns = now_ns;
    log_write(LOG_WARNING,
        "%s the append-only file failed: %s. Commands that write are refused until that works again.", what,
        strerror(reason));
}

/* Nobody flies. Under `always` who gathers must not hear that his change succeeded. */
static void let_down(struct server *server)
{
    struct aof_group *group = &server->aof->group;
    if (server->config.appendfsync == APPENDFSYNC_ALWAYS)
        aof_group_drop(group, server->engine);
    else
        aof_group_release(group, server->engine);
}

static void fail_write(struct server *server, int reason)
{
    struct aof *aof = server->aof;
    log_failure(aof, "Writing to", reason);
    aof->failure = reason;
    let_down(server);
    aof_judge(server);
}

static void fail_sync(struct server *server, int reason)
{
    struct aof *aof = server->aof;
    log_failure(aof, "Synchronising", reason);
    aof->failure = reason;
    aof->distrusted = true;
    aof->healing = false;
    if (server->config.appendfsync == APPENDFSYNC_ALWAYS || aof->group.syncs)
        aof_group_crash(&aof->group, server->engine);
    aof_judge(server);
}

/* --- Writing --- */

static void forget_failure(struct server *server)
{
    struct aof *aof = server->aof;
    if (!aof->failure || aof->distrusted)
        return;
    aof->failure = 0;
    aof->logged_ns = 0;
    log_write(LOG_NOTICE, "AOF write error looks solved, the server can write again.");
    aof_judge(server);
}

static bool sync_is_off(const struct server *server)
{
    return server->config.no_appendfsync_on_rewrite && server->child.kind != CHILD_NONE;
}

/* What the writer has written meanwhile; under `always` those who wait for it go on waiting, for the disk. */
static void poll_write(struct server *server)
{
    struct aof *aof = server->aof;
    int error;
    if (!aof_log_poll_write(&aof->log, &error))
        return;
    bool always = server->config.appendfsync == APPENDFSYNC_ALWAYS;
    if (error) {
        if (always)
            aof_group_crash(&aof->group, server->engine);
        aof_group_land(&aof->group, server->engine);
        fail_write(server, error);
        return;
    }
    forget_failure(server);
    if (!always || sync_is_off(server))
        aof_group_land(&aof->group, server->engine);
}

/* What the worker has synchronised meanwhile. */
static void poll_sync(struct server *server)
{
    struct aof *aof = server->aof;
    int error;
    uint64_t took_ns;
    if (!aof_log_poll(&aof->log, &error, &took_ns))
        return;
    if (aof->group.syncs)
        latency_note(server->engine, "aof-fsync-always", took_ns / 1000);
    if (error)
        fail_sync(server, error);
    else if (aof->group.syncs)
        aof_group_land(&aof->group, server->engine);
}

/* Waits for the writer. */
static void finish_write(struct server *server)
{
    aof_log_wait(&server->aof->log);
    poll_write(server);
}

/* Waits for the worker. */
static void finish_sync(struct server *server)
{
    if (aof_log_is_syncing(&server->aof->log))
        worker_drain(server->aof->worker);
    poll_sync(server);
}

/* True if the write may wait: the disk is busy, and it has not waited too long. */
static bool postpone(struct server *server)
{
    struct aof *aof = server->aof;
    if (server->config.appendfsync != APPENDFSYNC_EVERYSEC || !aof_log_is_syncing(&aof->log))
        return false;
    uint64_t now_ns = clock_mono_ns();
    if (!aof->postponed_ns)
        aof->postponed_ns = now_ns;
    if (now_ns - aof->postponed_ns < (uint64_t)POSTPONE_S * SECOND_NS)
        return true;
    aof->delayed++;
    log_write(LOG_NOTICE, "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without "
                          "waiting for fsync to complete, this may slow down the server.");
    return false;
}

/* What writing is called that took long: Redis's names tell what else was going on. */
static void note_write(struct server *server, uint64_t us)
{
    const char *beside = aof_log_is_syncing(&server->aof->log) ? "aof-write-pending-fsync"
                         : server->child.kind != CHILD_NONE    ? "aof-write-active-child"
                                                               : "aof-write-alone";
    latency_note(server->engine, beside, us);
    blame_background(server, "aof-write", us);
}

static bool write_buffer(struct server *server, size_t len)
{
    struct aof *aof = server->aof;
    aof->postponed_ns = 0;
    aof->tried_ns = clock_mono_ns();
    if (server->config.appendfsync == APPENDFSYNC_ALWAYS)
        aof_log_reserve(&aof->log);
    if (aof->dawdle_us)
        usleep(aof->dawdle_us);
    bool written = aof_log_write(&aof->log, len);
    int reason = errno;
    note_write(server, (clock_mono_ns() - aof->tried_ns) / 1000);
    if (!written) {
        fail_write(server, reason);
        return false;
    }
    forget_failure(server);
    return true;
}

/* True if what has collected is for the writer. */
static bool is_long(const struct server *server)
{
    const struct aof_log *log = &server->aof->log;
    return log->has_long || (server->config.appendfsync == APPENDFSYNC_ALWAYS && pieces_len(&log->text) >= LONG_TEXT);
}

/*
 * Hands to the writer what has collected. What is before that, of which nobody waits for the end, is written here,
 * unless that can wait, too.
 */
static bool write_long(struct server *server)
{
    struct aof *aof = server->aof;
    if (server->config.appendfsync != APPENDFSYNC_ALWAYS && aof->log.before_long && !aof_log_is_syncing(&aof->log) &&
        !write_buffer(server, aof->log.before_long))
        return false;
    aof->postponed_ns = 0;
    aof->tried_ns = clock_mono_ns();
    aof_group_take_off(&aof->group, server->engine);
    aof_log_write_later(&aof->log);
    return true;
}

static bool sync_now(struct server *server)
{
    uint64_t began_ns = clock_mono_ns();
    bool synced = aof_log_sync(&server->aof->log);
    int reason = errno;
    if (server->config.appendfsync == APPENDFSYNC_ALWAYS)
        blame_background(server, "aof-fsync-always", (clock_mono_ns() - began_ns) / 1000);
    if (!synced)
        fail_sync(server, reason);
    return synced;
}

static bool sync_if_due(struct server *server, bool force)
{
    struct aof *aof = server->aof;
    int policy = server->config.appendfsync;
    if (!force && (policy == APPENDFSYNC_NO || sync_is_off(server)))
        return true;
    if (force || policy == APPENDFSYNC_ALWAYS)
        return sync_now(server);
    uint64_t now_ns;
    if (aof->log.synced == aof->log.size || aof_log_is_syncing(&aof->log) ||
        (now_ns = clock_mono_ns()) - aof->synced_ns < SECOND_NS)
        return true;
    aof->synced_ns = now_ns;
    aof_log_sync_later(&aof->log, aof->worker);
    return true;
}

/* For the group that flies. */
static void sync_later(struct server *server)
{
    struct aof *aof = server->aof;
    aof->group.syncs = true;
    aof_log_sync_later(&aof->log, aof->worker);
}

/* Whose group gathers, and how what it changed becomes durable: at once if nobody knows all who wait for it. */
static bool sync_group(struct server *server)
{
    struct aof *aof = server->aof;
    if (aof->group.gathers.others || aof->log.synced == aof->log.size) {
        if (!sync_now(server))
            return false;
        aof_group_land(&aof->group, server->engine);
        aof_group_release(&aof->group, server->engine);
        return true;
    }
    aof_group_take_off(&aof->group, server->engine);
    sync_later(server);
    if (aof_pace_awaits(&aof->group.pace)) {
        aof_pace_awaited(&aof->group.pace, aof_log_await_sync(&aof->log, AOF_PACE_AWAIT_NS));
        poll_sync(server);
    }
    return true;
}

/* True if a write that failed is not tried again as yet: one that is long costs more. */
static bool is_too_soon(const struct aof *aof)
{
    uint64_t pause_ns = aof->log.has_long ? SECOND_NS : RETRY_NS;
    return aof->failure && clock_mono_ns() - aof->tried_ns < pause_ns;
}

bool aof_flush(struct server *server, bool force)
{
    struct aof *aof = server->aof;
    if (aof->state == AOF_OFF)
        return true;
    bool always = server->config.appendfsync == APPENDFSYNC_ALWAYS && !force && !sync_is_off(server);
    bool now = force || aof->group.gathers.others;
    if (now)
        finish_write(server);
    poll_write(server);
    if (now || (aof->group.syncs && !always))
        finish_sync(server);
    else
        poll_sync(server);
    if (aof_log_is_writing(&aof->log))
        return always || sync_if_due(server, false);
    if (always && !now && aof->group.left_ns && !aof->group.syncs && !aof_log_is_syncing(&aof->log))
        sync_later(server); /* the writer is through */
    if (always && aof_log_is_syncing(&aof->log))
        return true;
    if (pieces_len(&aof->log.text)) {
        if (!force && (is_too_soon(aof) || (!is_long(server) && postpone(server))))
            return true;
        if (!now && is_long(server))
            return write_long(server);
        if (!write_buffer(server, pieces_len(&aof->log.text)))
            return false;
    }
    if (always)
        return sync_group(server);
    if (!sync_if_due(server, force))
        return false;
    aof_group_land(&aof->group, server->engine);
    aof_group_release(&aof->group, server->engine);
    return true;
}

bool aof_write_all(struct server *server)
{
    struct aof *aof = server->aof;
    if (server->config.appendfsync == APPENDFSYNC_ALWAYS)
        return aof_flush(server, true);
    finish_write(server);
    size_t len = pieces_len(&aof->log.text);
    if (len && !write_buffer(server, len))
        return false;
    aof_group_release(&aof->group, server->engine);
    return true;
}

/* True if it is worth waiting for more clients; the loop then takes another turn in time. */
static bool waits_for_more(struct server *server)
{
    struct aof *aof = server->aof;
    if (server->config.appendfsync != APPENDFSYNC_ALWAYS || aof->group.left_ns)
        return false;
    uint64_t until_ns = aof_group_wait_until(&aof->group);
    if (!until_ns || until_ns <= clock_mono_ns())
        return false;
    net_turn_at(server->net, until_ns);
    return true;
}

/* While the disk is busy, and so much has collected, nothing more is to. */
static void jam_if_full(struct server *server)
{
    const struct aof *aof = server->aof;
    bool full = aof->group.left_ns && pieces_len(&aof->log.text) > JAM_BYTES;
    if (full || aof->drains || server->engine->is_jammed)
        engine_jam(server->engine, full || aof->drains);
}

void aof_before_send(struct server *server)
{
    struct aof *aof = server->aof;
    if (__builtin_expect(aof->step != NULL, 0)) {
        poll_write(server);
        aof_rewrite_poll(server);
    }
    bool idle = !pieces_len(&aof->log.text) && !aof->group.gathers.began_ns && !aof->group.left_ns;
    if (aof->state == AOF_OFF || (idle && !server->engine->is_jammed))
        return;
    uint64_t began = clock_ticks();
    if (aof->failure && aof->group.gathers.began_ns) /* what came since must not be acknowledged either */
        let_down(server);
    poll_write(server);
    poll_sync(server);
    if (!waits_for_more(server))
        aof_flush(server, false);
    jam_if_full(server);
    server->work.log_ticks += clock_ticks() - began;
}

void aof_tick(struct server *server)
{
    struct aof *aof = server->aof;
    if (aof->state == AOF_OFF)
        aof_listen(server, false);
    aof_rewrite_poll(server);
    aof_flush(server, false);
    jam_if_full(server);
    if (aof->failure && !aof_log_waiting(&aof->log) && !aof->distrusted) {
        aof->failure = 0;
        aof_judge(server);
    }
    aof_judge(server);
    aof_rewrite_tick(server);
}

bool aof_finish(struct server *server)
{
    struct aof *aof = server->aof;
    aof_rewrite_abandon(server);
    if (aof->state == AOF_OFF)
        return true;
    log_write(LOG_NOTICE, "Calling fsync() on the AOF file.");
    worker_drain(aof->worker); /* an old increment may be synchronised yet */
    return aof_flush(server, true) && !aof->distrusted;
}

/* --- On and off --- */

/* Opens a file of the directory to append to; -1 with errno set. */
static int open_increment(const struct server *server, const char *name, uint64_t *size)
{
    struct buf path = BUF_EMPTY;
    aof_path(server, name, &path);
    int fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    buf_fini(&path);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    *size = end > 0 ? (uint64_t)end : 0;
    return fd;
}

static bool fail_open(const char *what, const char *reason)
{
    log_write(LOG_WARNING, "Fatal error: %s: %s", what, reason);
    return false;
}

/* A base of what was loaded, which is mostly nothing. */
static bool make_base(struct server *server)
{
    struct aof *aof = server->aof;
    const struct aof_file *base =
        aof_manifest_set_base(&aof->manifest, server->config.appendfilename, server->config.aof_use_rdb_preamble);
    struct buf path = BUF_EMPTY, error = BUF_EMPTY;
    aof_path(server, base->name, &path);
    log_write(LOG_NOTICE, "Creating AOF base file %s on server start", base->name);
    bool good = aof_write_base(server, buf_cstr(&path), NULL, NULL, &error);
    if (!good)
        fail_open("can't create the AOF's base", buf_cstr(&error));
    buf_fini(&path);
    buf_fini(&error);
    return good;
}

/* What a rewrite had replaced when the machine stopped. */
static void delete_history(struct server *server)
{
    struct aof_manifest *manifest = &server->aof->manifest;
    for (size_t i = 0; i < manifest->history.count; i++) {
        struct buf path = BUF_EMPTY;
        aof_path(server, manifest->history.items[i].name, &path);
        unlink(buf_cstr(&path));
        buf_fini(&path);
    }
    aof_manifest_forget_history(manifest);
}

bool aof_open(struct server *server)
{
    struct aof *aof = server->aof;
    struct aof_manifest *manifest = &aof->manifest;
    const struct config *config = &server->config;
    if (mkdir(config->appenddirname, 0755) != 0 && errno != EEXIST)
        return fail_open("can't create the directory of the AOF", strerror(errno));
    bool changed = manifest->history.count && !config->aof_disable_auto_gc;
    if (changed)
        delete_history(server);
    if (!manifest->base.name && !manifest->increments.count) {
        if (!make_base(server))
            return false;
        changed = true;
    }
    if (!manifest->increments.count) {
        const struct aof_file *fresh = aof_manifest_add_increment(manifest, config->appendfilename);
        log_write(LOG_NOTICE, "Creating AOF incr file %s on server start", fresh->name);
        changed = true;
    }
    uint64_t size;
    int fd = open_increment(server, manifest->increments.items[manifest->increments.count - 1].name, &size);
    if (fd < 0)
        return fail_open("can't open the append-only file", strerror(errno));
    aof_log_switch(&aof->log, fd, size, aof->worker);
    if (changed &&
        !(aof_manifest_store(manifest, config->appenddirname, config->appendfilename) && disk_sync_directory("")))
        return fail_open("can't write the AOF's manifest", strerror(errno));
    aof->other_size = manifest->base.name ? aof_file_size(server, manifest->base.name) : 0;
    for (size_t i = 0; i + 1 < manifest->increments.count; i++)
        aof->other_size += aof_file_size(server, manifest->increments.items[i].name);
    aof->base_size = aof->other_size + size;
    aof->state = AOF_ON;
    aof->synced_ns = clock_mono_ns();
    aof_listen(server, true);
    return true;
}

static void remove_temporary_increment(const struct server *server)
{
    struct buf path = BUF_EMPTY;
    aof_path(server, aof_temporary_increment, &path);
    unlink(buf_cstr(&path));
    buf_fini(&path);
}

static bool switch_off(struct server *server)
{
    struct aof *aof = server->aof;
    if (aof->state == AOF_OFF)
        return true;
    bool good = aof_finish(server);
    if (!good)
        log_write(LOG_WARNING, "The append-only file is closed although its end could not be written");
    if (aof->state == AOF_WAITS)
        remove_temporary_increment(server);
    aof_log_fini(&aof->log, aof->worker);
    aof->state = AOF_OFF; /* the sink goes when no command is executed */
    aof->failure = 0;
    aof->distrusted = aof->scheduled = aof->drains = false;
    aof->base_size = aof->other_size = 0;
    aof_judge(server);
    return true;
}

/* Changes collect aside from the moment of the fork on; the file counts from when the base is in place. */
static bool switch_on(struct server *server)
{
    struct aof *aof = server->aof;
    if (aof->state != AOF_OFF || server->saves->loading)
        return true;
    if (aof->stage != REWRITE_NONE)
        aof_rewrite_abandon(server);
    aof->state = AOF_WAITS;
    aof->selected_db = -1;
    if (server->child.kind != CHILD_NONE || aof->within) { /* of a transaction the base must not show a part */
        log_write(LOG_NOTICE, "AOF was enabled but %s. An AOF background was scheduled to start when possible.",
            aof->within ? "a transaction is not over yet" : "there is already another background operation");
        aof->scheduled = true;
        return true;
    }
    if (aof_rewrite_in_background(server))
        return true;
    aof->state = AOF_OFF;
    return false;
}

bool aof_switch(struct server *server, bool on)
{
    return on ? switch_on(server) : switch_off(server);
}

/* --- INFO --- */

void aof_print_info(struct server *server, struct buf *out)
{
    const struct aof *aof = server->aof;
    int64_t now_s = clock_wall_ms() / 1000;
    bool rewriting = aof->stage != REWRITE_NONE;
    buf_printf(out, "aof_enabled:%d\r\naof_rewrite_in_progress:%d\r\naof_rewrite_scheduled:%d\r\n",
        aof->state != AOF_OFF, rewriting, aof->scheduled);
    buf_printf(out, "aof_last_rewrite_time_sec:%lld\r\naof_current_rewrite_time_sec:%lld\r\n",
        (long long)aof->last_took_s, rewriting ? (long long)(now_s - aof->started_s) : -1);
    buf_printf(out, "aof_last_bgrewrite_status:%s\r\naof_rewrites:%llu\r\naof_rewrites_consecutive_failures:%llu\r\n",
        aof->rewrite_failed ? "err" : "ok", (unsigned long long)aof->rewrites,
        (unsigned long long)aof->failures_in_a_row);
    buf_printf(out, "aof_last_write_status:%s\r\naof_last_cow_size:%llu\r\n",
        aof->failure || aof->distrusted ? "err" : "ok", (unsigned long long)aof->last_cow_bytes);
    buf_append_cstr(out, "module_fork_in_progress:0\r\nmodule_fork_last_cow_size:0\r\n");
    if (aof->state == AOF_OFF)
        return;
    buf_printf(out, "aof_current_size:%llu\r\naof_base_size:%llu\r\naof_pending_rewrite:0\r\n",
        (unsigned long long)(aof->other_size + aof->log.size), (unsigned long long)aof->base_size);
    buf_printf(out, "aof_buffer_length:%zu\r\naof_pending_bio_fsync:%d\r\naof_delayed_fsync:%llu\r\n",
        aof_log_waiting(&aof->log), aof_log_is_syncing(&aof->log), (unsigned long long)aof->delayed);
}
