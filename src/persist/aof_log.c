/*
 * What has collected, the file behind it, and its synchronising.
 *
 * The writer has a job, and the log's bytes in it, until that is done: so a failure finds the bytes where they were, in
 * front of what came later. They are given back on the writer's thread, as that may take long, too.
 */
#include "persist/aof_log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "persist/worker.h"

enum {
    WRITE_MAX = 1024 * 1024, /* at once: who synchronises the same file gets in between */
    RESERVED_AHEAD = 4 * 1024 * 1024,
};

enum sync_state {
    SYNC_UNDER_WAY,
    SYNC_AWAITED, /* and the loop sleeps until it is done, so that it need not be told otherwise */
    SYNC_DONE,
};

/* A synchronisation on the worker, whose all of this is but `state`, until that says it is done. */
struct aof_sync {
    int fd;
    uint64_t size; /* of the file when it began */
    int error;
    uint64_t took_ns;
    void (*tell)(void *context);
    void *context;
    atomic_uint state; /* enum sync_state, also a futex */
};

/* A write on the writer's thread, which owns all of this but `done` until that is set. */
struct aof_write {
    int fd;
    uint64_t size; /* of the file when it began */
    struct pieces text;
    size_t len, written;
    int error;
    void (*tell)(void *context);
    void *context;
    atomic_bool done;
};

void aof_log_init(struct aof_log *log)
{
    *log = (struct aof_log){ .fd = -1 };
}

/* The sync under way no longer matters. */
static void abandon_sync(struct aof_log *log, struct worker *worker)
{
    if (log->is_syncing)
        worker_drain(worker);
    log->is_syncing = false;
}

/* Gives back what was reserved and not used. */
static void end_reservation(struct aof_log *log)
{
    if (log->reserved > log->size)
        (void)!ftruncate(log->fd, (off_t)log->size);
    log->reserved = 0;
}

/* The write under way no longer matters. */
static void abandon_write(struct aof_log *log)
{
    if (!log->writing)
        return;
    worker_drain(log->writer);
    pieces_fini(&log->writing->text);
    mem_free(log->writing);
    log->writing = NULL;
}

void aof_log_fini(struct aof_log *log, struct worker *worker)
{
    if (worker)
        worker_drain(worker);
    abandon_sync(log, worker);
    abandon_write(log);
    worker_destroy(log->writer);
    mem_free(log->sync);
    end_reservation(log);
    if (log->fd >= 0)
        close(log->fd);
    pieces_fini(&log->text);
    *log =
        (struct aof_log){ .fd = -1, .files = log->files, .synced_later = log->synced_later, .context = log->context };
}

int aof_log_switch(struct aof_log *log, int fd, uint64_t size, struct worker *worker)
{
    int old = log->fd;
    ASSERT(!log->writing);
    bool was_syncing = log->is_syncing;
    abandon_sync(log, worker);
    if (was_syncing && log->sync->error)
        atomic_store(&log->parting_error, log->sync->error);
    end_reservation(log);
    log->fd = fd;
    log->size = log->synced = size;
    log->files++;
    log->sync_failed = false;
    return old;
}

struct parting {
    struct aof_log *log; /* borrowed */
    int fd;              /* owned */
    bool sync;
};

static void run_part(void *argument)
{
    struct parting *parting = argument;
    if (parting->sync && fdatasync(parting->fd) != 0)
        atomic_store(&parting->log->parting_error, errno);
    close(parting->fd);
    mem_free(parting);
}

void aof_log_part(struct aof_log *log, int fd, bool sync, struct worker *worker)
{
    struct parting *parting = mem_alloc(sizeof *parting);
    *parting = (struct parting){ .log = log, .fd = fd, .sync = sync };
    worker_submit(worker, run_part, parting);
}

/* Why the file before was not synchronised, told once: then nothing of the log counts as synchronised any more. Or 0.
 */
static int take_parting_error(struct aof_log *log)
{
    int error = atomic_exchange(&log->parting_error, 0);
    log->sync_failed |= error != 0;
    return error;
}

void aof_log_begin_long(struct aof_log *log)
{
    if (!log->has_long)
        log->before_long = pieces_len(&log->text);
    log->has_long = true;
}

size_t aof_log_waiting(const struct aof_log *log)
{
    return (log->writing ? log->writing->len : 0) + pieces_len(&log->text);
}

/* 0, or an errno; `written` counts up in either case. */
static int write_bytes(int fd, const char *at, size_t len, size_t *written)
{
    while (len) {
        ssize_t n = write(fd, at, len < WRITE_MAX ? len : WRITE_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? ENOSPC : errno;
        at += n;
        len -= (size_t)n;
        *written += (size_t)n;
    }
    return 0;
}

static int write_pieces(int fd, const struct pieces *text, size_t len, size_t *written)
{
    int error = 0;
    *written = 0;
    for (size_t i = 0; i < text->count && *written < len && !error; i++) {
        struct bytes piece = text->items[i].text;
        error = write_bytes(fd, piece.ptr, piece.len < len - *written ? piece.len : len - *written, written);
    }
    if (*written < len && !error)
        error = write_bytes(fd, text->tail->data, len - *written, written);
    return error;
}

/* The same, but what fails leaves the file as long as it was, or, where that cannot be, what was written counts. */
static int write_or_cut(int fd, uint64_t size, const struct pieces *text, size_t len, size_t *written)
{
    int error = write_pieces(fd, text, len, written);
    if (error && *written && ftruncate(fd, (off_t)size) == 0)
        *written = 0;
    return error;
}

/* The first `len` bytes of what has collected are in the file. */
static void take_out(struct aof_log *log, size_t len)
{
    log->size += len;
    log->before_long -= len < log->before_long ? len : log->before_long;
    if (len < pieces_len(&log->text)) {
        pieces_cut(&log->text, len);
        return;
    }
    pieces_clear(&log->text);
    log->has_long = false;
}

bool aof_log_write(struct aof_log *log, size_t len)
{
    size_t written;
    ASSERT(!log->writing);
    int error = write_or_cut(log->fd, log->size, &log->text, len, &written);
    if (written)
        take_out(log, written);
    errno = error;
    return !error;
}

static void run_write(void *argument)
{
    struct aof_write *write = argument;
    void (*tell)(void *context) = write->tell; /* it is gone as soon as it is done */
    void *context = write->context;
    write->error = write_or_cut(write->fd, write->size, &write->text, write->len, &write->written);
    if (!write->error)
        pieces_fini(&write->text);
    atomic_store_explicit(&write->done, true, memory_order_release);
    if (tell)
        tell(context);
}

void aof_log_write_later(struct aof_log *log)
{
    ASSERT(!log->writing && log->fd >= 0);
    if (!log->writer)
        log->writer = worker_create();
    struct aof_write *write = log->writing = mem_zalloc(sizeof *write);
    write->fd = log->fd;
    write->size = log->size;
    write->len = pieces_len(&log->text);
    write->text = log->text;
    write->tell = log->synced_later;
    write->context = log->context;
    log->text = (struct pieces){ 0 };
    log->has_long = false;
    log->before_long = 0;
    worker_submit(log->writer, run_write, write);
}

bool aof_log_poll_write(struct aof_log *log, int *error)
{
    struct aof_write *write = log->writing;
    if (!write || !atomic_load_explicit(&write->done, memory_order_acquire))
        return false;
    *error = write->error;
    log->size += write->written;
    if (write->error) {
        pieces_cut(&write->text, write->written);
        pieces_append_pieces(&write->text, &log->text);
        pieces_fini(&log->text);
        log->text = write->text;
        log->has_long = true;
        log->before_long = 0;
    }
    mem_free(write);
    log->writing = NULL;
    return true;
}

void aof_log_wait(struct aof_log *log)
{
    if (log->writer)
        worker_drain(log->writer);
}

/* Where that is impossible it is not tried again before the file has grown by as much. */
void aof_log_reserve(struct aof_log *log)
{
    uint64_t end = aof_log_end(log);
    if (end <= log->reserved)
        return;
    (void)!fallocate(log->fd, FALLOC_FL_KEEP_SIZE, (off_t)log->size, (off_t)(end - log->size + RESERVED_AHEAD));
    log->reserved = end + RESERVED_AHEAD;
}

bool aof_log_sync(struct aof_log *log)
{
    int parting_error = take_parting_error(log);
    if (parting_error) {
        errno = parting_error;
        return false;
    }
    if (log->fd < 0 || (log->synced == log->size && !log->sync_failed))
        return true;
    if (fdatasync(log->fd) != 0) {
        log->sync_failed = true;
        return false;
    }
    if (!log->sync_failed)
        log->synced = log->size;
    return true;
}

static void run_sync(void *argument)
{
    struct aof_sync *sync = argument;
    void (*tell)(void *context) = sync->tell; /* it is another one as soon as it is done */
    void *context = sync->context;
    uint64_t began_ns = clock_mono_ns();
    sync->error = fdatasync(sync->fd) == 0 ? 0 : errno;
    sync->took_ns = clock_mono_ns() - began_ns;
    if (atomic_exchange_explicit(&sync->state, SYNC_DONE, memory_order_acq_rel) == SYNC_AWAITED)
        syscall(SYS_futex, &sync->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    else if (tell)
        tell(context);
}

void aof_log_sync_later(struct aof_log *log, struct worker *worker)
{
    ASSERT(!log->is_syncing && log->fd >= 0);
    if (!log->sync)
        log->sync = mem_alloc(sizeof *log->sync);
    *log->sync =
        (struct aof_sync){ .fd = log->fd, .size = log->size, .tell = log->synced_later, .context = log->context };
    log->is_syncing = true;
    worker_submit(worker, run_sync, log->sync);
}

bool aof_log_await_sync(struct aof_log *log, uint64_t at_most_ns)
{
    struct aof_sync *sync = log->sync;
    unsigned state = SYNC_UNDER_WAY;
    uint64_t now_ns = clock_mono_ns(), until_ns = now_ns + at_most_ns;
    ASSERT(log->is_syncing);
    if (!atomic_compare_exchange_strong(&sync->state, &state, SYNC_AWAITED))
        return true;
    while (now_ns < until_ns && atomic_load_explicit(&sync->state, memory_order_acquire) == SYNC_AWAITED) {
        struct timespec pause = { 0, (long)(until_ns - now_ns) };
        syscall(SYS_futex, &sync->state, FUTEX_WAIT_PRIVATE, SYNC_AWAITED, &pause, NULL, 0);
        now_ns = clock_mono_ns();
    }
    state = SYNC_AWAITED;
    return !atomic_compare_exchange_strong(&sync->state, &state, SYNC_UNDER_WAY);
}

bool aof_log_poll(struct aof_log *log, int *error, uint64_t *took_ns)
{
    struct aof_sync *sync = log->sync;
    bool is_done = log->is_syncing && atomic_load_explicit(&sync->state, memory_order_acquire) == SYNC_DONE;
    int parting_error = take_parting_error(log); /* after that: the worker does one after the other */
    *took_ns = 0;
    *error = parting_error;
    if (!is_done)
        return parting_error != 0;
    *error = sync->error ? sync->error : parting_error;
    *took_ns = sync->took_ns;
    log->sync_failed |= sync->error != 0;
    if (!log->sync_failed)
        log->synced = sync->size;
    log->is_syncing = false;
    return true;
}
