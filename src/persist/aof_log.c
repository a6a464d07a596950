/*
 * The buffer, the file behind it, and its synchronising.
 */
#include "persist/aof_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "persist/worker.h"

enum { BUFFER_MIN = 64 * 1024, BUFFER_KEPT = 1024 * 1024, RESERVED_AHEAD = 4 * 1024 * 1024 };

/* A synchronisation on the worker. The worker writes `error` and then `done`; nobody touches it before. */
struct aof_sync {
    int fd;
    uint64_t size; /* of the file when it began */
    int error;
    uint64_t took_ns;
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
    if (!log->syncing)
        return;
    worker_drain(worker);
    mem_free(log->syncing);
    log->syncing = NULL;
}

/* Gives back what was reserved and not used. */
static void end_reservation(struct aof_log *log)
{
    if (log->reserved > log->size)
        (void)!ftruncate(log->fd, (off_t)log->size);
    log->reserved = 0;
}

void aof_log_fini(struct aof_log *log, struct worker *worker)
{
    abandon_sync(log, worker);
    end_reservation(log);
    if (log->fd >= 0)
        close(log->fd);
    mem_free(log->buf);
    *log =
        (struct aof_log){ .fd = -1, .files = log->files, .synced_later = log->synced_later, .context = log->context };
}

int aof_log_switch(struct aof_log *log, int fd, uint64_t size, struct worker *worker)
{
    int old = log->fd;
    abandon_sync(log, worker);
    end_reservation(log);
    log->fd = fd;
    log->size = log->synced = size;
    log->files++;
    log->sync_failed = false;
    return old;
}

char *aof_log_extend_slow(struct aof_log *log, size_t len)
{
    size_t cap = log->cap * 2 < BUFFER_MIN ? BUFFER_MIN : log->cap * 2;
    cap = mem_good_size(cap < log->len + len ? log->len + len : cap);
    log->buf = mem_realloc(log->buf, cap);
    log->cap = cap;
    char *at = log->buf + log->len;
    log->len += len;
    return at;
}

/* The first `len` bytes of the buffer are in the file. */
static void take_out(struct aof_log *log, size_t len)
{
    log->size += len;
    log->len -= len;
    if (log->len) {
        memmove(log->buf, log->buf + len, log->len);
    } else if (log->cap > BUFFER_KEPT) {
        mem_free(log->buf);
        log->buf = NULL;
        log->cap = 0;
    }
}

bool aof_log_write(struct aof_log *log)
{
    size_t written = 0;
    while (written < log->len) {
        ssize_t n = write(log->fd, log->buf + written, log->len - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int reason = n == 0 ? ENOSPC : errno;
            /* If the part cannot be cut off the rest must follow where it ends. */
            if (written && ftruncate(log->fd, (off_t)log->size) != 0)
                take_out(log, written);
            errno = reason;
            return false;
        }
        written += (size_t)n;
    }
    if (written)
        take_out(log, written);
    return true;
}

/* Where that is impossible it is not tried again before the file has grown by as much. */
void aof_log_reserve(struct aof_log *log)
{
    uint64_t end = log->size + log->len;
    if (end <= log->reserved)
        return;
    (void)!fallocate(log->fd, FALLOC_FL_KEEP_SIZE, (off_t)log->size, (off_t)(log->len + RESERVED_AHEAD));
    log->reserved = end + RESERVED_AHEAD;
}

bool aof_log_sync(struct aof_log *log)
{
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
    void (*tell)(void *context) = sync->tell; /* it is gone as soon as it is done */
    void *context = sync->context;
    uint64_t began_ns = clock_mono_ns();
    sync->error = fdatasync(sync->fd) == 0 ? 0 : errno;
    sync->took_ns = clock_mono_ns() - began_ns;
    atomic_store_explicit(&sync->done, true, memory_order_release);
    if (tell)
        tell(context);
}

void aof_log_sync_later(struct aof_log *log, struct worker *worker)
{
    ASSERT(!log->syncing && log->fd >= 0);
    log->syncing = mem_zalloc(sizeof *log->syncing);
    log->syncing->fd = log->fd;
    log->syncing->size = log->size;
    log->syncing->tell = log->synced_later;
    log->syncing->context = log->context;
    worker_submit(worker, run_sync, log->syncing);
}

bool aof_log_poll(struct aof_log *log, int *error, uint64_t *took_ns)
{
    struct aof_sync *sync = log->syncing;
    if (!sync || !atomic_load_explicit(&sync->done, memory_order_acquire))
        return false;
    *error = sync->error;
    *took_ns = sync->took_ns;
    if (sync->error)
        log->sync_failed = true;
    else if (!log->sync_failed)
        log->synced = sync->size;
    mem_free(sync);
    log->syncing = NULL;
    return true;
}
