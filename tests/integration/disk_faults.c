/*
 * A library to be loaded before the C library: the disk fails as a file says, whose name is in LARDER_FAULTS, or the
 * network.
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
 *   trace=1                                  each write, synchronisation and change of names is added to a file of that
 *                                            name with ".trace" behind it
 *   accept=24 fork=11                        the call fails with that errno
 *   stranger=1                               who connects has the address 192.0.2.1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
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
#include <sys/socket.h>
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

static void trace(const char *what, const char *path, const char *more)
{
    char to[4096], text[9000];
    if (!fault("trace"))
        return;
    snprintf(to, sizeof to, "%s.trace", getenv("LARDER_FAULTS"));
    int fd = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND, 0644);
    int len = snprintf(text, sizeof text, "%s\t%s\t%s\n", what, path, more);
    if (fd >= 0 && syscall(SYS_write, fd, text, (size_t)len) == len)
        syscall(SYS_close, fd);
}

static void trace_file(const char *what, int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    if (path[0] == '/')
        trace(what, path, "");
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
    trace_file("write", fd);
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
    int status = fails("fdatasync") ? -1 : NEXT(fdatasync)(fd);
    trace_file("sync", fd);
    return status;
}

int fsync(int fd)
{
    step();
    int status = fails("fsync") ? -1 : NEXT(fsync)(fd);
    trace_file("sync", fd);
    return status;
}

pid_t fork(void)
{
    return fails("fork") ? -1 : NEXT(fork)();
}

int rename(const char *from, const char *to)
{
    step();
    while (fault("stall"))
        pause_ms(1);
    trace("rename", from, to);
    return fails("rename") ? -1 : NEXT(rename)(from, to);
}

int unlink(const char *path)
{
    step();
    trace("unlink", path, "");
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

int accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
    int connection = fails("accept") ? -1 : NEXT(accept4)(fd, peer, len, flags);
    if (connection >= 0 && fault("stranger") && peer->sa_family == AF_INET)
        inet_pton(AF_INET, "192.0.2.1", &((struct sockaddr_in *)peer)->sin_addr);
    return connection;
}
