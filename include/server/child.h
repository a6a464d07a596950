/*
 * Child: a forked copy of the process that writes what it sees in memory while the server goes on.
 *
 * There is one at a time. It reports how far it is through a pipe, and its end is noticed by SIGCHLD or the clockwork,
 * never waited for. It has none of the server's sockets, so that a connection that the server closes is closed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server;

enum child_kind { CHILD_NONE, CHILD_RDB, CHILD_AOF };

struct child {
    enum child_kind kind; /* CHILD_NONE: there is none */
    pid_t pid;
    int fd;                       /* the pipe's reading end */
    int64_t started_ms;           /* since 1970 */
    uint64_t keys, keys_total;    /* written so far, and to be written */
    uint64_t cow_bytes, cow_peak; /* memory that it has for itself alone, as far as reported */
    int64_t cow_at_ms;            /* when that was reported; 0 if never */
    void (*done)(struct server *server, bool good, int signal_number);
    uint64_t fork_us; /* of the last fork */
    uint64_t forks;   /* ever */
};

/* What the child's work is handed: to report through. */
struct child_reporter {
    int fd;
    uint64_t next_ns; /* before which no further report is worth it */
    int64_t delay_us; /* for each key (rdb-key-save-delay): tests want to see a child at work */
    uint64_t delayed; /* keys so far */
};

/*
 * Forks. The child runs `work` and ends with what that returns; afterwards `done` is called in the server, with the
 * signal that ended the child, or 0. False, errno set, if there is a child already or the system refuses.
 */
bool child_start(struct server *server, enum child_kind kind,
    bool (*work)(struct server *server, struct child_reporter *reporter),
    void (*done)(struct server *server, bool good, int signal_number));

/* In the child: says how many keys were written. Cheap: most calls only look at the clock. */
void child_report(struct child_reporter *reporter, uint64_t keys, bool last);

/* Reads reports and notices the end. Called some times a second, and on SIGCHLD. */
void child_tick(struct server *server);

/* Ends the child, if there is one, and waits for that; `done` is not called. */
void child_kill(struct server *server);
