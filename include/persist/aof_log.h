/*
 * The increment of an append-only file under way: bytes collect in a buffer and are written in one piece, once a turn.
 *
 * The file is always whole up to `size`: what a failed write left behind is cut off again, and the buffer keeps what
 * has not been written. Synchronising happens at once, or on a worker's thread (persist/worker.h) while the file is
 * written on.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

struct aof_log {
    int fd;    /* owned; -1: closed */
    char *buf; /* owned: not written yet */
    size_t len, cap;
    uint64_t size;                       /* of the file: all that was written */
    uint64_t synced;                     /* of that, what is known to be on the disk */
    uint64_t files;                      /* that were gone on in, this one included */
    uint64_t reserved;                   /* blocks are allocated up to here; 0: none are ahead of what is written */
    bool sync_failed;                    /* what is between the two may be lost, and nobody can say what of it */
    struct aof_sync *syncing;            /* owned: under way on the worker; NULL if none is */
    void (*synced_later)(void *context); /* called by the worker when it is through; NULL: nobody need know */
    void *context;
};

void aof_log_init(struct aof_log *log);

/* Frees the buffer and closes the file, whatever is in them; waits for the worker. */
void aof_log_fini(struct aof_log *log, struct worker *worker);

/*
 * Goes on in another file from now on: `fd` is taken over, of which `size` bytes count, and which was opened for
 * appending. What the buffer holds is not touched. The old descriptor is answered, which is the caller's now; -1 if
 * there was none.
 */
int aof_log_switch(struct aof_log *log, int fd, uint64_t size, struct worker *worker);

/* Room for `len` more bytes, which count as appended; valid until the next call. */
char *aof_log_extend_slow(struct aof_log *log, size_t len);

static inline char *aof_log_extend(struct aof_log *log, size_t len)
{
    if (__builtin_expect(len > log->cap - log->len, 0))
        return aof_log_extend_slow(log, len);
    char *at = log->buf + log->len;
    log->len += len;
    return at;
}

/* Writes what is in the buffer. False, errno set, and the file is as it was, or has a whole part of the buffer more,
 * which the buffer then has less. */
bool aof_log_write(struct aof_log *log);

/*
 * Has the file's next megabytes allocated before they are written, so that synchronising need not record each time
 * where they are: on ext4 that halves what it costs. The file's size does not change. Cheap while enough is allocated.
 */
void aof_log_reserve(struct aof_log *log);

/* Has everything that was written on the disk; false, errno set. */
bool aof_log_sync(struct aof_log *log);

/* The same by the worker. There is none under way. */
void aof_log_sync_later(struct aof_log *log, struct worker *worker);

/*
 * Takes in what the worker has done, true if it is through; then `error` is 0, or the errno of what failed, and
 * `took_ns` how long the disk took.
 */
bool aof_log_poll(struct aof_log *log, int *error, uint64_t *took_ns);

static inline bool aof_log_is_syncing(const struct aof_log *log)
{
    return log->syncing != NULL;
}
