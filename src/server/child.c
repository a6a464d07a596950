/*
 * The forked child: its birth, its reports, its end.
 *
 * A fork copies page tables, 8 bytes for each 4 KB, while everybody waits; how long that took is shown in INFO. What
 * the child costs in memory are the pages that the server writes to meanwhile: the kernel counts those as the child's
 * own in smaps_rollup, whose reading takes time, so it is read seldom.
 */
#include "server/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/task.h"
#include "server/process.h"
#include "server_priv.h"
#include "store/keyspace.h"

enum {
    REPORT_NS = 200 * 1000 * 1000,
    COW_COST = 50, /* reading the memory's state may take one part in so many of the time */
};

/* As it goes through the pipe. */
struct report {
    uint64_t keys, cow_bytes;
};

/* --- In the child --- */

/* Bytes that no other process has: what was copied on write. */
static uint64_t private_dirty(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (!file)
        return 0;
    char line[160];
    unsigned long long kb = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %llu kB", &kb) == 1)
            break;
    fclose(file);
    return (uint64_t)kb * 1024;
}

static void delay(struct child_reporter *reporter, uint64_t keys)
{
    uint64_t came = keys > reporter->delayed ? keys - reporter->delayed : 0;
    int64_t us = reporter->delay_us;
    uint64_t ns = us < 0 ? came * 1000 / (uint64_t)-us : came * 1000 * (uint64_t)us;
    reporter->delayed = keys;
    nanosleep(&(struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) }, NULL);
}

void child_report(struct child_reporter *reporter, uint64_t keys, bool last)
{
    if (reporter->delay_us)
        delay(reporter, keys);
    uint64_t now_ns = clock_mono_ns();
    if (!last && now_ns < reporter->next_ns)
        return;
    struct report report = { keys, private_dirty() };
    uint64_t cost_ns = clock_mono_ns() - now_ns;
    reporter->next_ns = now_ns + (cost_ns * COW_COST > REPORT_NS ? cost_ns * COW_COST : REPORT_NS);
    ssize_t written = write(reporter->fd, &report, sizeof report);
    (void)written; /* a report that nobody reads is not missed */
}

/* Closes all descriptors but the standard ones and two more, of which one may be none. */
static void close_all_but(int one, int other)
{
    int low = one < other ? one : other, high = one < other ? other : one;
    unsigned from = STDERR_FILENO + 1;
    for (int i = 0; i < 2; i++) {
        int keep = i == 0 ? low : high;
        if (keep >= (int)from) {
            if (keep > (int)from)
                close_range(from, (unsigned)keep - 1, 0);
            from = (unsigned)keep + 1;
        }
    }
    close_range(from, ~0U, 0);
}

/*
 * Lets go of all descriptors but those of the log and the pipe, and of the server's ways with signals. It ends with
 * its server: what an orphan would put in place later might be older than what the next server has saved by then.
 */
static void become_child(struct server *server, enum child_kind kind, pid_t parent, int fd)
{
    const struct config *config = &server->config;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    signal(SIGINT, SIG_IGN); /* a terminal sends it to all; the server says what becomes of the child */
    if (config->syslog_enabled)
        log_set_syslog(config->syslog_ident, NULL);
    close_all_but(fd, log_descriptor());
    if (config->syslog_enabled)
        log_set_syslog(config->syslog_ident, config->syslog_facility);
    log_set_role('C');
    process_set_title(kind == CHILD_RDB ? "larder-rdb-bgsave" : "larder-aof-rewrite");
    oom_apply(server, OOM_CHILD);
}

/* --- In the server --- */

static size_t count_keys(const struct keyspace *keyspace)
{
    size_t keys = 0;
    for (int i = 0; i < keyspace->db_count; i++)
        keys += keyspace_size(keyspace->dbs[i]);
    return keys;
}

bool child_start(struct server *server, enum child_kind kind,
    bool (*work)(struct server *server, struct child_reporter *reporter),
    void (*done)(struct server *server, bool good, int signal_number))
{
    struct child *child = &server->child;
    int ends[2];
    if (child->kind != CHILD_NONE) {
        errno = EEXIST;
        return false;
    }
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    engine_finish_changes(server->engine);
    uint64_t before_ns = clock_mono_ns();
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        struct child_reporter reporter = { .delay_us = server->config.rdb_key_save_delay_us };
        become_child(server, kind, parent, ends[1]);
        reporter.fd = ends[1];
        _exit(work(server, &reporter) ? 0 : 1);
    }
    int reason = errno;
    child->fork_us = (clock_mono_ns() - before_ns) / 1000;
    blame_background(server, "fork", child->fork_us);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        errno = reason;
        return false;
    }
    child->forks++;
    child->kind = kind;
    child->pid = pid;
    child->fd = ends[0];
    child->started_ms = clock_wall_ms();
    child->keys = 0;
    child->keys_total = count_keys(server->keyspace);
    child->cow_bytes = child->cow_peak = 0;
    child->cow_at_ms = 0;
    child->done = done;
    return true;
}

static void read_reports(struct child *child)
{
    struct report report;
    while (read(child->fd, &report, sizeof report) == (ssize_t)sizeof report) {
        child->keys = report.keys;
        child->cow_bytes = report.cow_bytes;
        if (report.cow_bytes > child->cow_peak)
            child->cow_peak = report.cow_bytes;
        child->cow_at_ms = clock_wall_ms();
    }
}

static void forget(struct child *child)
{
    close(child->fd);
    child->kind = CHILD_NONE;
    child->pid = 0;
}

void child_tick(struct server *server)
{
    struct child *child = &server->child;
    if (child->kind == CHILD_NONE)
        return;
    int status;
    pid_t ended = waitpid(child->pid, &status, WNOHANG);
    read_reports(child);
    if (ended == 0)
        return;
    bool known = ended == child->pid;
    int signal_number = known && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool good = known && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    void (*done)(struct server * server, bool good, int signal_number) = child->done;
    /* What was reported stays readable for `done`; the place is free, so that it may start another. */
    pid_t pid = child->pid;
    forget(child);
    child->pid = pid;
    done(server, good, signal_number);
}

void child_kill(struct server *server)
{
    struct child *child = &server->child;
    if (child->kind == CHILD_NONE)
        return;
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    forget(child);
}
