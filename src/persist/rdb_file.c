/*
 * Saving into a file so that a crash at any moment leaves the old file or the new one, never a part.
 *
 * Written aside, synchronised, renamed over the old one, and the directory synchronised, without which the rename
 * itself may be lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "persist/disk.h"
#include "persist/rdb.h"
#include "rdb_priv.h"

/* The part of a path up to its last slash, that included. */
static size_t directory_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

void rdb_temporary_name(struct buf *out, const char *path, int pid)
{
    buf_append(out, bytes_make(path, directory_len(path)));
    buf_printf(out, "temp-%d.rdb", pid);
}

static bool sync_directory(const char *path)
{
    struct buf name = BUF_EMPTY;
    buf_append(&name, bytes_make(path, directory_len(path)));
    bool good = disk_sync_directory(buf_cstr(&name));
    int reason = errno;
    buf_fini(&name);
    errno = reason;
    return good;
}

static bool fail(struct buf *error, const char *what, int reason)
{
    buf_printf(error, "%s: %s", what, strerror(reason));
    return false;
}

static bool write_file(int fd, const struct keyspace *keyspace, const struct rdb_save *save, uint64_t sync_every,
    uint64_t *size, struct buf *error)
{
    struct sink sink;
    sink_init_fd(&sink, fd, sync_every);
    bool good = rdb_save(&sink, keyspace, save);
    if (!good)
        fail(error, "Write error while saving DB to the disk", sink.error);
    else if (size)
        *size = sink.written;
    sink_fini(&sink);
    if (good && fsync(fd) != 0)
        good = fail(error, "Can't synchronise the file of the DB", errno);
    return good;
}

bool rdb_save_file(const char *path, const struct keyspace *keyspace, const struct rdb_save *save, uint64_t sync_every,
    uint64_t *size, struct buf *error)
{
    struct buf temporary = BUF_EMPTY;
    rdb_temporary_name(&temporary, path, (int)getpid());
    const char *aside = buf_cstr(&temporary);
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool good = fd >= 0 || fail(error, "Failed opening the temp RDB file for saving", errno);
    if (good) {
        good = write_file(fd, keyspace, save, sync_every, size, error);
        if (close(fd) != 0 && good)
            good = fail(error, "Can't close the file of the DB", errno);
        if (good && rename(aside, path) != 0)
            good = fail(error, "Error moving temp DB file on the final destination", errno);
        if (!good)
            unlink(aside);
    }
    if (good && !sync_directory(path))
        good = fail(error, "Can't synchronise the directory of the DB", errno);
    buf_fini(&temporary);
    return good;
}
