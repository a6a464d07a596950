/*
 * Commands with very many arguments, each of which is a member, a field or an element: they run aside (engine/aside.h).
 *
 * What they change is closed to others meanwhile. They open it anew for each WORDS_AT_ONCE of their arguments, since
 * other keys come and go between two slices.
 */
#pragma once

#include <stdint.h>

#include "base/fiber.h"
#include "engine/aside.h"
#include "engine/call.h"

enum {
    WORDS_AT_ONCE = 256,
    WORD_COST = 10, /* of one, in tens of nanoseconds */
    WORDS_COST = WORDS_AT_ONCE * WORD_COST,
};

/* As call_aside; where there are few arguments it costs a comparison. */
static inline bool words_aside(struct call *call)
{
    return __builtin_expect(call->argc >= CALL_AT_ONCE, 0) && call_aside(call, call->argc);
}

/* The end of the arguments that are dealt with at once, from `from` on. */
static inline uint32_t words_end(const struct call *call, uint32_t from)
{
    return fiber_running && call->argc - from > WORDS_AT_ONCE ? from + WORDS_AT_ONCE : call->argc;
}

/*
 * Has `some` deal with the arguments from the second on, as many at a time as are dealt with at once, and count. False:
 * nothing is to be answered, since `some` has answered an error or the command runs aside.
 */
static inline bool words_each(
    struct call *call, bool (*some)(struct call *call, uint32_t from, uint32_t end, int64_t *count), int64_t *count)
{
    if (words_aside(call))
        return false;
    *count = 0;
    for (uint32_t at = 2; at < call->argc;) {
        uint32_t end = words_end(call, at);
        if (!some(call, at, end, count))
            return false;
        at = end;
        fiber_breathe(WORDS_COST);
    }
    return true;
}
