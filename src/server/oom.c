/*
 * oom-score-adj: what the server and its children tell the kernel of how readily to end them when memory is out.
 *
 * The score that the process was started with is read when the directive is switched on, and written back when it is
 * switched off; while it is off nothing is touched.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "server/process.h"
#include "server_priv.h"

bool oom_apply(struct server *server, enum oom_role role)
{
    const struct config *config = &server->config;
    if (config->oom_score_adj == OOM_LEFT_ALONE && !server->oom_is_set)
        return true;
    bool good = server->oom_is_set || process_read_oom_score(&server->oom_base);
    int score = config->oom_score_adj == OOM_LEFT_ALONE ? 0 : config->oom_values[role];
    if (config->oom_score_adj != OOM_ABSOLUTE)
        score += server->oom_base;
    good = good && process_write_oom_score(score);
    if (!good)
        log_write(LOG_WARNING, "Unable to write oom_score_adj: %s", strerror(errno));
    else
        server->oom_is_set = config->oom_score_adj != OOM_LEFT_ALONE;
    return good;
}
