/*
 * Commands for the tests of waiting, which treat strings as if they were lists of letters.
 *
 * PUSH appends; POP and MOVE wait for a first letter and take it; READ waits for a change as a reader does, GROUP as a
 * consumer of a group does; the others are what happens to keys and sessions.
 */
#pragma once

#include "engine/command.h"

extern const struct command letters_commands[];

/* How often commands were executed again, since the test began. */
extern int letters_retries;
