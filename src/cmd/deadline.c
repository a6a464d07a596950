/*
 * Timeouts as Redis reads them: any floating-point number; a fraction of a millisecond above zero counts as one, below
 * zero as none; what is beyond 64 bits of milliseconds is refused in the same words as what is negative.
 */
#include "deadline_priv.h"

#include <math.h>

#include "base/num.h"
#include "engine/call.h"

bool deadline_read(struct call *call, uint32_t index, int64_t *deadline_ms)
{
    long double seconds;
    if (!num_parse_ldouble(call->argv[index], &seconds)) {
        reply_error(call->reply, BYTES("ERR timeout is not a float or out of range"));
        return false;
    }
    long double ms = ceill(seconds * 1000);
    if (ms < 0 || ms > (long double)INT64_MAX) {
        reply_error(call->reply, BYTES("ERR timeout is negative"));
        return false;
    }
    return deadline_make(call, (int64_t)ms, deadline_ms);
}

bool deadline_make(struct call *call, int64_t ms, int64_t *deadline_ms)
{
    *deadline_ms = 0;
    if (ms == 0 || !__builtin_add_overflow(call->now_ms, ms, deadline_ms))
        return true;
    *deadline_ms = INT64_MAX;
    if (!call->retry)
        reply_error(call->reply, BYTES("ERR timeout is out of range"));
    return call->retry;
}
