/*
 * What happens when an assertion does not hold: one line in the log, then the abort that leaves a core.
 *
 * The state is not to be trusted any more, so nothing is cleaned up, and nothing is allocated on the way.
 */
#include "base/assert.h"

#include <stdlib.h>

#include "base/log.h"

__attribute__((cold)) void assert_fail(const char *file, int line, const char *function, const char *expression)
{
    log_write(
        LOG_WARNING, "=== ASSERTION FAILED === %s:%d in %s: '%s' does not hold", file, line, function, expression);
    abort();
}
