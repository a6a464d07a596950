/*
 * Reports of crashes and of hangs.
 *
 * The handlers know no context, and little may be done in one: they write lines, which takes neither memory nor locks
 * (base/log.h), and a backtrace, whose names the C library writes to the log's descriptor itself. What the library
 * needs for that it loads when it is first asked, which is therefore done beforehand. The handlers run on a stack of
 * their own, as an overflown stack is a way to crash.
 */
#include "server/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"

enum { BACKTRACE_MAX = 64, HANDLER_STACK = 128 * 1024 };

/* What the handler is told, as it has no context: whether there are reports, and what comes after abort(). */
static volatile sig_atomic_t reports_crashes, exits_after_abort;

static void write_stack(void)
{
    void *frames[BACKTRACE_MAX];
    int fd = log_descriptor(), count = backtrace(frames, BACKTRACE_MAX);
    log_write(LOG_WARNING, "------ STACK TRACE ------ %d frames; addr2line -e larder-server tells the places", count);
    backtrace_symbols_fd(frames, count, fd >= 0 ? fd : STDOUT_FILENO);
    log_write(LOG_WARNING, "------ STACK TRACE DONE ------");
}

static void report_crash(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (reports_crashes) {
        log_write(LOG_WARNING, "Larder " LARDER_VERSION " crashed by signal: %d, accessing address: %p", signal_number,
            info ? info->si_addr : NULL);
        write_stack();
    }
    if (exits_after_abort && signal_number == SIGABRT && info && info->si_code == SI_TKILL) /* not kill -ABRT */
        _exit(1);
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigaction(signal_number, &action, NULL);
    raise(signal_number);
}

/* A signal of the timer has no sender. */
static void report_alarm(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    (void)signal_number;
    if (info->si_code > 0)
        log_write(LOG_WARNING, "--- WATCHDOG TIMER EXPIRED --- the event loop hangs, or was interrupted");
    else
        log_write(LOG_WARNING, "Received SIGALRM");
    write_stack();
}

void crash_install(bool reports)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    void *frames[1];
    backtrace(frames, 1);
    void *area = mmap(NULL, HANDLER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = { .ss_sp = area, .ss_size = HANDLER_STACK };
    if (area != MAP_FAILED)
        sigaltstack(&stack, NULL);
    struct sigaction action = { .sa_sigaction = report_crash,
        .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESETHAND | SA_ONSTACK };
    sigemptyset(&action.sa_mask);
    reports_crashes = reports;
    sigaction(SIGABRT, &action, NULL);
    for (size_t i = 0; reports && i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    action.sa_sigaction = report_alarm;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigaction(SIGALRM, &action, NULL);
}

void crash_set_exit(bool exits)
{
    exits_after_abort = exits;
}

void crash_watch(uint32_t period_ms)
{
    struct itimerval timer = { .it_value = { period_ms / 1000, (suseconds_t)(period_ms % 1000) * 1000 } };
    setitimer(ITIMER_REAL, &timer, NULL);
}
