/*
 * Lines for syslog: names of facilities, and our levels in its priorities.
 *
 * The C library has a lock inside: all calls are made with ours held, which is free when the process forks, and which a
 * line waits for only a little: a signal's handler may have interrupted the very thread that holds it. Such a line goes
 * to the file alone.
 *
 * The names are those that configuration files may hold: "user" and "local0" to "local7", in any case. This file may
 * not include base/log.h, whose levels <syslog.h> also has as macros; debug is 0 and each level one more, up to
 * warning.
 */
#include "log_priv.h"

#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <syslog.h>

#include "base/bytes.h"

enum { PATIENCE = 1000 }; /* times that a line looks whether the lock is free */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_take(void)
{
    pthread_mutex_lock(&lock);
}

static void lock_give(void)
{
    pthread_mutex_unlock(&lock);
}

static void keep_from_forks(void)
{
    (void)pthread_atfork(lock_take, lock_give, lock_give);
}

bool syslog_begin(const char *ident, const char *facility)
{
    static const struct {
        const char *name;
        int value;
    } facilities[] = { { "user", LOG_USER }, { "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 },
        { "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },
        { "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 } };

    for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++) {
        if (bytes_is(bytes_from_cstr(facility), facilities[i].name)) {
            static pthread_once_t once = PTHREAD_ONCE_INIT;
            pthread_once(&once, keep_from_forks);
            lock_take();
            openlog(ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facilities[i].value);
            lock_give();
            return true;
        }
    }
    return false;
}

void syslog_end(void)
{
    lock_take();
    closelog();
    lock_give();
}

void syslog_send(int level, const char *text, int len)
{
    static const int priorities[] = { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING };

    for (int i = 0; pthread_mutex_trylock(&lock) != 0; i++) {
        if (i == PATIENCE)
            return;
        sched_yield();
    }
    syslog(priorities[level], "%.*s", len, text);
    lock_give();
}
