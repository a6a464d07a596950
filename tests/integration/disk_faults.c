/*
 * A library to be loaded before the C library: the disk fails as a file says, whose name is in LARDER_FAULTS.
 *
 *   write=28 fdatasync=5 fsync=5 rename=5    the call fails with that errno (write: only of files that are appended to)
 *   slow=3000                                fdatasync takes so many ms more
 *   late=30                                  write does (only of files that are appended to)
 *   stuck=1                                  write waits as long as the file says so (of files that are appended to)
 *   held=9                                   the 9th fdatasync and those behind it wait as long as the file says so;
 *                                            the last of them stands in a file of that name with ".held" behind it
 *   stall=1                                  rename waits as long as the file says so
 *   exit=7                                   the machine stops before the 7th step that changes what is on the disk,
 *                                            counted from when the file says so
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct shared {
    int steps;
    int server;
} * shared;

__attribute__((constructor)) static void begin(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared->server = getpid();
}

/* The number that the file gives for a name, 0 if it has none. */
static int fault(const char *name)
{
    char text[256];
    const char *path = getenv("LARDER_FAULTS");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY) : -1;
    if (fd < 0)
        return 0;
    ssize_t len = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    text[len > 0 ? len : 0] = '\0';
    const char *at = strstr(text, name);
    return at && at[strlen(name)] == '=' ? atoi(at + strlen(name) + 1) : 0;
}

static int fails(const char *name)
{
    int reason = fault(name);
    if (reason)
        errno = reason;
    return reason;
}

static void step(void)
{
    int stop = fault("exit");
    if (!stop || ++shared->steps < stop)
        return;
    kill(shared->server, SIGKILL);
    kill(getpid(), SIGKILL);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void pause_ms(int ms)
{
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };
    if (ms)
        nanosleep(&pause, NULL);
}

ssize_t write(int fd, const void *ptr, size_t len)
{
    bool appends = fcntl(fd, F_GETFL) & O_APPEND;
    if (appends)
        pause_ms(fault("late"));
    while (appends && fault("stuck"))
        pause_ms(1);
    if (appends && fails("write"))
        return -1;
    return NEXT(write)(fd, ptr, len);
}

static void wait_while_held(void)
{
    static atomic_int calls;
    int number = ++calls;
    if (!fault("held") || number < fault("held"))
        return;
    char path[4096], text[16];
    snprintf(path, sizeof path, "%s.held", getenv("LARDER_FAULTS"));
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int len = snprintf(text, sizeof text, "%d", number);
    if (fd >= 0 && syscall(SYS_write, fd, text, (size_t)len) == len)
        syscall(SYS_close, fd);
    while (fault("held") && number >= fault("held"))
        pause_ms(1);
}

int fdatasync(int fd)
{
    wait_while_held();
    pause_ms(fault("slow"));
    return fails("fdatasync") ? -1 : NEXT(fdatasync)(fd);
}

int fsync(int fd)
{
    step();
    return fails("fsync") ? -1 : NEXT(fsync)(fd);
}

int rename(const char *from, const char *to)
{
    step();
    while (fault("stall"))
        pause_ms(1);
    return fails("rename") ? -1 : NEXT(rename)(from, to);
}

int unlink(const char *path)
{
    step();
    return NEXT(unlink)(path);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (flags & O_CREAT)
        step();
    return NEXT(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (flags & O_CREAT)
        step();
    return NEXT(open64)(path, flags, mode);
}
