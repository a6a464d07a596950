/*
 * Process: what a server does with the process it runs in: becoming a daemon, PID file, limits, readiness, title.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Goes to the background: a new session without a terminal, standard streams on /dev/null. False if the system refuses.
 */
bool process_daemonize(void);

/* Writes the process ID to a file; false, errno set, if that fails. process_remove_pidfile removes it, if it still
 * holds our ID. */
bool process_write_pidfile(const char *path);
void process_remove_pidfile(const char *path);

/* Raises the limit of open files so that `clients` fit; returns how many clients do fit. */
uint32_t process_raise_file_limit(uint32_t clients);

/* How readily the kernel ends this process when memory is out (proc(5), oom_score_adj). False, errno set, on failure;
 * reading then leaves *score alone. */
bool process_read_oom_score(int *score);
bool process_write_oom_score(int score);

/*
 * Asks the scheduler to prefer the calling thread when it wakes: for a priority (`nice_value`, below 0; 0 leaves it
 * alone, and so does a thread that has a nice value already), and for short slices (Linux 6.12 and later,
 * sched_setattr(2): EEVDF's request size), which give it no more of the processor. What is not permitted is left out.
 * Threads and processes that it starts later do not inherit any of it.
 */
void process_ask_for_latency(int nice_value);

/* Tells the supervisor (systemd's notification socket, if NOTIFY_SOCKET names one) a state such as
 * "READY=1\nSTATUS=...". True if it was told. */
bool process_notify(const char *state);

/* What ps shows. Long titles are cut. process_init_title is called once with main's arguments, before anything else
 * uses them. */
void process_init_title(int argc, char **argv);
void process_set_title(const char *title);

/* What the program was called as, where process_init_title heard of it. Borrowed. */
const char *process_name(void);
