/*
 * The increment of an append-only file under way: bytes collect and are written once a turn.
 *
 * What is short is written at once. What is long is handed to a thread of the log's own, the writer, which takes all
 * that has collected, and is only referred to (base/pieces.h); meanwhile more collects, and nothing else is written.
 *
 * The file is always whole up to `size`: what a failed write left behind is cut off again, and what has not been
 * written is kept. Synchronising happens at once, or on a worker's thread (persist/worker.h) while the file is written
 * on.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pieces.h"

struct worker;

struct aof_log {
    int fd;                              /* owned; -1: closed */
    struct pieces text;                  /* owned: not written yet, nor handed to the writer */
    size_t before_long;                  /* bytes of that before the first long unit, ... */
    bool has_long;                       /* ... if it has one, or for another reason is for the writer */
    uint64_t size;                       /* of the file: all that was written, but for what the writer has */
    uint64_t synced;                     /* of that, what is known to be on the disk */
    uint64_t files;                      /* that were gone on in, this one included */
    uint64_t reserved;                   /* blocks are allocated up to here; 0: none are ahead of what is written */
    bool sync_failed;                    /* what is between the two may be lost, and nobody can say what of it */
    bool is_syncing;                     /* the worker does */
    struct aof_sync *sync;               /* owned: what it does; NULL: there was no need so far */
    atomic_int parting_error;            /* why the file before this one was not synchronised, to be told; or 0 */
    struct aof_write *writing;           /* owned: under way on the writer; NULL if nothing is */
    struct worker *writer;               /* owned; NULL: there was no need so far */
    void (*synced_later)(void *context); /* called by either when it is through; NULL: nobody need know */
    void *context;
};

void aof_log_init(struct aof_log *log);

/* Frees what was not written and closes the file, whatever is in them; waits for the worker and the writer. */
void aof_log_fini(struct aof_log *log, struct worker *worker);

/*
 * Goes on in another file from now on: `fd` is taken over, of which `size` bytes count, and which was opened for
 * appending. What was not written yet is for the new one; the writer has nothing. The old descriptor is answered, which
 * is the caller's now; -1 if there was none.
 */
int aof_log_switch(struct aof_log *log, int fd, uint64_t size, struct worker *worker);

/*
 * Has the worker synchronise (if `sync`) and close the file that the log was in before. If that fails then so has a
 * synchronisation of the log: the next aof_log_poll or aof_log_sync says so.
 */
void aof_log_part(struct aof_log *log, int fd, bool sync, struct worker *worker);

/* Room for `len` more bytes, which count as appended; valid until the next call. */
static inline char *aof_log_extend(struct aof_log *log, size_t len)
{
    return pieces_extend(&log->text, len);
}

/* What is appended from now on is long: it will be for the writer. */
void aof_log_begin_long(struct aof_log *log);

/* Bytes that are not in the file yet; and where the file will end with them. */
size_t aof_log_waiting(const struct aof_log *log);

static inline uint64_t aof_log_end(const struct aof_log *log)
{
    return log->size + aof_log_waiting(log);
}

/*
 * Writes the first `len` bytes of what has collected; the writer has nothing. False, errno set, and the file is as it
 * was, or has some more, which has collected no longer.
 */
bool aof_log_write(struct aof_log *log, size_t len);

/* Hands all that has collected to the writer, which has nothing. O(1), but for its thread the first time. */
void aof_log_write_later(struct aof_log *log);

/*
 * Takes in what the writer has done, true if it is through; then `error` is 0, or the errno of what failed, and the
 * file and what has collected are as after aof_log_write.
 */
bool aof_log_poll_write(struct aof_log *log, int *error);

/* Waits until the writer is through, and has told whoever it tells. */
void aof_log_wait(struct aof_log *log);

static inline bool aof_log_is_writing(const struct aof_log *log)
{
    return log->writing != NULL;
}

/*
 * Has the file's next megabytes allocated before they are written, so that synchronising need not record each time
 * where they are: on ext4 that halves what it costs. The file's size does not change. Cheap while enough is allocated.
 */
void aof_log_reserve(struct aof_log *log);

/* Has everything that was written on the disk; false, errno set. */
bool aof_log_sync(struct aof_log *log);

/* The same by the worker. There is none under way. */
void aof_log_sync_later(struct aof_log *log, struct worker *worker);

/* Waits for that, but no longer than so; true if the worker is through. Where the loop would only sleep, too, it then
 * goes on at once, and the worker has its processor meanwhile. */
bool aof_log_await_sync(struct aof_log *log, uint64_t at_most_ns);

/*
 * Takes in what the worker has done, true if it is through; then `error` is 0, or the errno of what failed, and
 * `took_ns` how long the disk took.
 */
bool aof_log_poll(struct aof_log *log, int *error, uint64_t *took_ns);

static inline bool aof_log_is_syncing(const struct aof_log *log)
{
    return log->is_syncing;
}
