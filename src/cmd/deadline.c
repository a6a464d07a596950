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
    if (ms > (long double)(INT64_MAX - call->now_ms)) {
        reply_error(call->reply, BYTES("ERR timeout is out of range"));
        return false;
    }
    *deadline_ms = ms > 0 ? call->now_ms + (int64_t)ms : 0;
    return true;
}
