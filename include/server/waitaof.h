/*
 * WAITAOF: who waits until what he has written is on this server's disk.
 *
 * Such a session waits for time only (engine/wait.h). What it waits for is a place in the append-only file; some times
 * a second all who wait are looked at, and those whose place is on the disk are let go.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct waitaof_place;

struct waitaof {
    struct waitaof_place *places; /* owned: one for each session that waits */
    size_t count, room;
    uint64_t asked;         /* questions to the worker whether it has done all that was submitted before, ... */
    atomic_ullong answered; /* ... and its answers */
};

/* Some times a second. O(1) if nobody waits, otherwise O(n). */
void waitaof_tick(struct server *server);

void waitaof_fini(struct server *server);
