/*
 * Crash: what the log says when the process dies of a bug, and where it is when it hangs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * From now on the log gets a backtrace on SIGALRM, after which all goes on, and with `reports` a report with a
 * backtrace when the process dies of SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT; it dies of the signal nevertheless,
 * unless crash_set_exit says otherwise.
 * Called once, by the thread whose backtraces are wanted.
 */
void crash_install(bool reports);

/* Whether a bug that the process finds itself (abort) ends it with exit code 1 instead of SIGABRT, after its report. */
void crash_set_exit(bool exits);

/*
 * The watchdog: unless this is called again within `period_ms`, the process gets a SIGALRM. 0 ends it. One system call.
 */
void crash_watch(uint32_t period_ms);
