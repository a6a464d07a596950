/*
 * Errand: work on a thread of its own that a command has to wait for, while all others are served.
 */
#pragma once

#include <stdbool.h>

struct call;

/*
 * Has `run` called with `context` on a new thread, in which all signals are blocked, and returns when it has. A handler
 * that runs aside (engine/aside.h) sleeps meanwhile, and before that as long as there are very many such threads;
 * otherwise everybody waits. The thread must not touch what belongs to the main one. False if there can be no thread:
 * nothing was run.
 */
bool errand_run(struct call *call, void (*run)(void *context), void *context);
