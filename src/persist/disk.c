/*
 * Files replaced as a whole, and directories synchronised: without the latter a rename may be lost.
 */
#include "persist/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void disk_append_path(struct buf *out, const char *directory, const char *name)
{
    if (directory[0])
        buf_printf(out, "%s/", directory);
    buf_append_cstr(out, name);
}

bool disk_sync_directory(const char *directory)
{
    int fd = open(directory[0] ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    /* Some file systems cannot do this and say so. */
    bool good = fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
    int reason = errno;
    close(fd);
    errno = reason;
    return good;
}

bool disk_write(int fd, const char *ptr, size_t len)
{
    while (len) {
        ssize_t n = write(fd, ptr, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        ptr += n;
        len -= (size_t)n;
    }
    return true;
}

static bool write_aside(const char *path, struct bytes content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool good = disk_write(fd, content.ptr, content.len) && fsync(fd) == 0;
    int reason = errno;
    if (close(fd) != 0 && good) {
        good = false;
        reason = errno;
    }
    errno = reason;
    return good;
}

bool disk_replace(const char *directory, const char *name, struct bytes content)
{
    struct buf aside = BUF_EMPTY, path = BUF_EMPTY, temporary = BUF_EMPTY;
    buf_printf(&temporary, "temp-%s", name);
    disk_append_path(&aside, directory, buf_cstr(&temporary));
    disk_append_path(&path, directory, name);
    bool good = write_aside(buf_cstr(&aside), content) && rename(buf_cstr(&aside), buf_cstr(&path)) == 0;
    int reason = errno;
    if (!good)
        unlink(buf_cstr(&aside));
    buf_fini(&aside);
    buf_fini(&path);
    buf_fini(&temporary);
    errno = reason;
    return good && disk_sync_directory(directory);
}
