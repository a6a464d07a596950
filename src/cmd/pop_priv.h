/*
 * What commands begin with that take members out of one collection, `key [count]`: SPOP, ZPOPMIN, ZPOPMAX.
 */
#pragma once

#include "engine/call.h"

/*
 * Looks the key up, NULL if it is missing. False: there is no more to do, for the arguments are too many, or nothing is
 * there and one member was asked for. Whoever waits for work asks so again and again, and is answered at once.
 */
static inline bool pop_look(struct call *call, void (*reply_nothing)(struct reply *reply), struct entry **entry)
{
    if (call->argc > 3) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    *entry = call_write(call, 1);
    if (*entry || call->argc == 3)
        return true;
    reply_nothing(call->reply);
    return false;
}
