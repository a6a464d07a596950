/*
 * The log: each line is formatted on the stack and handed to the system in one write, so that lines of several threads
 * and of forked children never mix, nothing is lost in a buffer when the process dies, and no memory is needed to say
 * that it is out.
 *
 * Log files are rotated by renaming them, without telling anybody: at most once a second, when a line is written, the
 * path is compared with the file that is open, and opened again if it is another one. The descriptor of the file keeps
 * its number when that happens (dup2), so other threads may be writing meanwhile.
 *
 * Lines are written in forked children and in handlers of signals, too, so nothing here waits for a lock that may be
 * held for good. The offset of local time is kept for the quarter of an hour in which it was asked for (it only ever
 * changes between two), and in a child for good (it is none if nobody had asked before), as the C library's look-up
 * takes a lock. So does syslog(3): a lock of our own around it, which no thread holds while the process forks, is not
 * waited for long.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "log_priv.h"

enum { LOG_LINE_MAX = 4096, LOG_QUARTER_SECONDS = 15 * 60, LOG_FILE_MODE = 0644 };

static atomic_int log_level = LOG_NOTICE;
static atomic_int sink_fd = STDOUT_FILENO;
static atomic_bool syslog_is_on;
static atomic_char log_role = 'M';
static _Atomic int64_t checked_at; /* the second in which the path was last compared */

static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER; /* for what follows */
static int file_fd = -1;                                      /* kept once opened, so that its number stays ours */
static char file_path[PATH_MAX];
static char syslog_ident[64];

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

void log_set_role(char role)
{
    atomic_store_explicit(&log_role, role, memory_order_relaxed);
}

/* Makes file_fd refer to the end of the file at `path`. The lock is held. */
static bool file_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, LOG_FILE_MODE);
    if (fd < 0)
        return false;
    if (file_fd < 0) {
        file_fd = fd;
        return true;
    }
    bool moved = dup3(fd, file_fd, O_CLOEXEC) >= 0;
    close(fd);
    return moved;
}

bool log_open(const char *path)
{
    bool opened = true;

    if (strlen(path) >= sizeof(file_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    pthread_mutex_lock(&sink_lock);
    if (path[0] == '\0') {
        atomic_store(&sink_fd, STDOUT_FILENO);
        file_path[0] = '\0';
        /* Not closed: another thread may have read the number just now. */
        if (file_fd >= 0)
            (void)dup3(STDOUT_FILENO, file_fd, O_CLOEXEC);
    } else if (file_open(path)) {
        if (path != file_path)
            strcpy(file_path, path);
        atomic_store(&sink_fd, file_fd);
    } else {
        opened = false;
    }
    pthread_mutex_unlock(&sink_lock);
    return opened;
}

bool log_reopen(void)
{
    return log_open(file_path);
}

int log_descriptor(void)
{
    return file_fd;
}

/* Opens the file again if its path leads to another one by now. At most once a second; never waits for another thread.
 */
static void file_follow(int64_t second)
{
    struct stat open_file, named_file;

    if (atomic_exchange_explicit(&checked_at, second, memory_order_relaxed) == second)
        return;
    if (pthread_mutex_trylock(&sink_lock) != 0)
        return;
    if (file_path[0] != '\0' && fstat(file_fd, &open_file) == 0 && S_ISREG(open_file.st_mode) &&
        (stat(file_path, &named_file) != 0
                ? errno == ENOENT
                : named_file.st_ino != open_file.st_ino || named_file.st_dev != open_file.st_dev))
        (void)file_open(file_path);
    pthread_mutex_unlock(&sink_lock);
}

bool log_set_syslog(const char *ident, const char *facility)
{
    char previous_ident[sizeof(syslog_ident)];

    if (facility == NULL) {
        atomic_store(&syslog_is_on, false);
        syslog_end();
        return true;
    }
    memcpy(previous_ident, syslog_ident, sizeof(syslog_ident));
    snprintf(syslog_ident, sizeof(syslog_ident), "%s", ident);
    if (!syslog_begin(syslog_ident, facility)) {
        memcpy(syslog_ident, previous_ident, sizeof(syslog_ident));
        return false;
    }
    atomic_store(&syslog_is_on, true);
    return true;
}

/* Seconds to add to UTC for local time. */
static int64_t local_offset(int64_t second)
{
    static _Atomic int64_t known_quarter = INT64_MIN, known_offset;
    int64_t quarter = second / LOG_QUARTER_SECONDS;
    bool is_child = atomic_load_explicit(&log_role, memory_order_relaxed) == 'C';

    if (!is_child && atomic_load_explicit(&known_quarter, memory_order_acquire) != quarter) {
        time_t when = (time_t)second;
        struct tm local;
        if (localtime_r(&when, &local) == NULL)
            return 0;
        atomic_store_explicit(&known_offset, local.tm_gmtoff, memory_order_relaxed);
        atomic_store_explicit(&known_quarter, quarter, memory_order_release);
    }
    return atomic_load_explicit(&known_offset, memory_order_relaxed);
}

/* What stands before the text. */
static int prefix_print(char *out, size_t size, const struct timespec *now, enum log_level level)
{
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
        "Dec" };
    struct clock_civil local = clock_civil(now->tv_sec + local_offset(now->tv_sec));

    return snprintf(out, size, "%d:%c %02d %s %d %02d:%02d:%02d.%03d %c ", (int)getpid(),
        atomic_load_explicit(&log_role, memory_order_relaxed), local.day, months[local.month - 1], (int)local.year,
        local.hour, local.minute, local.second, (int)(now->tv_nsec / 1000000), ".-*#"[level]);
}

static void write_whole(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, at, len);
        if (written < 0 && errno != EINTR)
            return;
        if (written > 0) {
            at += written;
            len -= (size_t)written;
        }
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    struct timespec now;
    int saved_errno = errno;
    va_list args;

    if (level < log_get_level() || level >= LOG_NOTHING)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    int prefix = prefix_print(line, sizeof(line), &now, level);
    va_start(args, format);
    errno = saved_errno;
    int len = vsnprintf(line + prefix, sizeof(line) - (size_t)prefix, format, args);
    va_end(args);
    size_t end = len < 0 ? (size_t)prefix : (size_t)prefix + (size_t)len;
    if (end > sizeof(line) - 1)
        end = sizeof(line) - 1;
    if (atomic_load_explicit(&syslog_is_on, memory_order_relaxed))
        syslog_send((int)level, line + prefix, (int)end - prefix);
    line[end] = '\n';
    file_follow(now.tv_sec);
    write_whole(atomic_load(&sink_fd), line, end + 1);
    errno = saved_errno;
}
