/*
 * The process and its surroundings.
 *
 * The title is, with the log's sink, the one mutable global of the program: the kernel knows no context.
 */
#include "server/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef LARDER_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/log.h"
#include "base/mem.h"

enum {
    RESERVED_FILES = 32,           /* descriptors that are not clients: listeners, log, files being saved */
    LATENCY_SLICE_NS = 100 * 1000, /* the shortest that Linux grants */
};

extern char **environ;

static struct {
    char *start;
    size_t room; /* bytes that the arguments and the environment took, now the title's */
    char *name;  /* owned: the first argument as it was */
} title;

bool process_daemonize(void)
{
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child > 0)
        _exit(0);
    setsid();
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return false;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    return true;
}

bool process_write_pidfile(const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return false;
    bool ok = fprintf(file, "%d\n", (int)getpid()) > 0;
    return fclose(file) == 0 && ok;
}

void process_remove_pidfile(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    int pid = 0;
    bool ours = fscanf(file, "%d", &pid) == 1 && pid == (int)getpid();
    fclose(file);
    if (ours)
        unlink(path);
}

uint32_t process_raise_file_limit(uint32_t clients)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return clients;
    rlim_t wanted = (rlim_t)clients + RESERVED_FILES;
    if (limit.rlim_cur >= wanted)
        return clients;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > before)
        log_write(LOG_NOTICE, "Increased maximum number of open files to %llu (it was originally set to %llu).",
            (unsigned long long)limit.rlim_cur, (unsigned long long)before);
    if (limit.rlim_cur >= wanted)
        return clients;
    return limit.rlim_cur > RESERVED_FILES ? (uint32_t)(limit.rlim_cur - RESERVED_FILES) : 1;
}

static const char oom_score_path[] = "/proc/self/oom_score_adj";

bool process_read_oom_score(int *score)
{
    FILE *file = fopen(oom_score_path, "re");
    bool good = file && fscanf(file, "%d", score) == 1;
    if (file)
        fclose(file);
    return good;
}

bool process_write_oom_score(int score)
{
    int fd = open(oom_score_path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && dprintf(fd, "%d\n", score) > 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    errno = reason;
    return good;
}

/* As the system call has it; the C library knows it only in later versions. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* Where the system refuses or does not know of it, nothing changes. */
static bool set_scheduling(struct scheduling *wanted)
{
    return syscall(SYS_sched_setattr, 0, wanted, 0) == 0;
}

void process_ask_for_latency(int nice_value)
{
    const uint64_t reset_on_fork = 1;
    struct scheduling wanted = { 0 };
    if (syscall(SYS_sched_getattr, 0, &wanted, sizeof wanted, 0) != 0 ||
        (wanted.policy != SCHED_OTHER && wanted.policy != SCHED_BATCH))
        return;
    wanted.size = sizeof wanted;
    wanted.flags = reset_on_fork;
    wanted.runtime = LATENCY_SLICE_NS;
    if (wanted.nice == 0 && nice_value < 0) {
        wanted.nice = nice_value;
        if (set_scheduling(&wanted))
            return;
        log_write(LOG_WARNING, "loop-nice %d is not permitted: %s", nice_value, strerror(errno));
        wanted.nice = 0;
    }
    if (!set_scheduling(&wanted))
        log_write(LOG_VERBOSE, "Short scheduling slices are refused: %s", strerror(errno));
}

bool process_notify(const char *state)
{
#ifdef LARDER_SYSTEMD
    return sd_notify(0, state) > 0;
#else
    (void)state;
    return false;
#endif
}

/* The title is written over the arguments and the environment, which therefore moves to the heap first. */
void process_init_title(int argc, char **argv)
{
    if (argc < 1)
        return;
    char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
    for (int i = 0; environ[i]; i++)
        if (environ[i] == end)
            end += strlen(environ[i]) + 1;
    size_t count = 0;
    while (environ[count])
        count++;
    char **copy = malloc((count + 1) * sizeof *copy);
    if (!copy)
        return;
    for (size_t i = 0; i < count; i++)
        if (!(copy[i] = strdup(environ[i])))
            return;
    copy[count] = NULL;
    environ = copy;
    title.name = mem_strdup(argv[0]);
    title.start = argv[0];
    title.room = (size_t)(end - argv[0]);
}

const char *process_name(void)
{
    return title.name ? title.name : "larder-server";
}

void process_set_title(const char *text)
{
    if (!title.start || title.room < 2)
        return;
    size_t len = strlen(text);
    if (len > title.room - 1)
        len = title.room - 1;
    memcpy(title.start, text, len);
    memset(title.start + len, 0, title.room - len);
}
