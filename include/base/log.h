/*
 * The log: levels, and one sink for the process (a file, standard output, syslog).
 *
 * A line is `pid:role day month year hour:minute:second.ms level message`, with `.`, `-`, `*`, `#` for the levels, as
 * tools that read such logs expect. The sink is one of the few mutable globals.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_DEBUG_LEVEL, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

/* Lines below `level` are dropped. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/*
 * The letter behind the process ID: 'M' for the server (the default), 'C' for a forked child, 'S' for a replica. A
 * child says so before it writes a line: from then on it waits for no lock that another thread held at its fork.
 */
void log_set_role(char role);

/* To the end of the file `path` ("" is standard output), opened now. False, errno set and the old sink kept, if it
 * cannot be opened. */
bool log_open(const char *path);

/* Opens the same file again now. A file that was renamed or removed is noticed anyway, within a second of logging. */
bool log_reopen(void);

/* The descriptor of the file, -1 if there is none: a forked child that closes others keeps it. */
int log_descriptor(void);

/* Sends lines to syslog too. `facility` is "user" or "local0" to "local7"; NULL ends it. False on another name. */
bool log_set_syslog(const char *ident, const char *facility);

/* One line, with no line end in the format. Any thread. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
