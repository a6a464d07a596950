/*
 * Worker: a thread that does, one after the other, what may have to wait for the disk: synchronising, closing,
 * deleting.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct worker;

/* Starts the thread; all signals are blocked in it. Aborts if there can be none. */
struct worker *worker_create(void);

/* Does what is left to do, and ends the thread. NULL is nothing. */
void worker_destroy(struct worker *worker);

/* Has `run` called with `argument` on the worker's thread, after all that was submitted before. */
void worker_submit(struct worker *worker, void (*run)(void *argument), void *argument);

/* Waits until everything that was submitted is done. */
void worker_drain(struct worker *worker);
