/*
 * Monitors: sessions that see every command that is executed, as text (MONITOR).
 *
 * A command is seen once its handler has run, those of a transaction one by one; what was refused before is not, nor
 * what administers the server. Passwords are not shown, and of very long arguments only the beginning. While nobody
 * monitors, all of this costs one test a command.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "engine/engine.h"

struct call;
struct session;

/*
 * The session sees commands from now on, its own too; false if it does already. Its output gets the limits of pub/sub.
 */
bool monitor_begin(struct session *session);

/* It does no longer; nothing if it did not. */
void monitor_end(struct session *session);

/* Shows the call's command, with the arguments as they came, to all who monitor. O(monitors + bytes). */
void monitor_show(const struct call *call, const struct bytes *argv);
