/*
 * The timeout argument of commands that block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct call;

/*
 * Reads an argument as a number of seconds, rounded up to whole milliseconds: *deadline_ms is when they are over, since
 * 1970, or 0, which is never, for none. Otherwise answers an error and returns false.
 */
bool deadline_read(struct call *call, uint32_t index, int64_t *deadline_ms);

/*
 * The same of a number of milliseconds that is not negative. That of a command which waits already is never too large,
 * though the clock has gone on.
 */
bool deadline_make(struct call *call, int64_t ms, int64_t *deadline_ms);
