/*
 * Lines for syslog: names of facilities, and our levels in its priorities.
 *
 * The names are those that configuration files may hold: "user" and "local0" to "local7", in any case. This file may
 * not include base/log.h, whose levels <syslog.h> also has as macros; debug is 0 and each level one more, up to
 * warning.
 */
#include "log_priv.h"

#include <stddef.h>
#include <syslog.h>

#include "base/bytes.h"

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
            openlog(ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facilities[i].value);
            return true;
        }
    }
    return false;
}

void syslog_end(void)
{
    closelog();
}

void syslog_send(int level, const char *text, int len)
{
    static const int priorities[] = { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING };

    syslog(priorities[level], "%.*s", len, text);
}
