/*
 * MEMORY USAGE, which looks at a key like OBJECT does, while the rest of MEMORY speaks of the server: for the row that
 * the server layer registers.
 */
#pragma once

struct call;

/* MEMORY USAGE key [SAMPLES count]: argv as it came, subcommand included. O(1) but for what entry_memory costs. */
void object_run_memory_usage(struct call *call);
