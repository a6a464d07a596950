/*
 * Group commit: how many clients one synchronisation should serve, and whether the loop waits for its end. It knows no
 * clock: the time is an argument, in nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AOF_PACE_AWAIT_NS = 300 * 1000 }; /* so long the loop waits for the disk, at most */

/* What was found so far; zeroed at first. */
struct aof_pace {
    uint64_t commit_ns; /* what synchronising takes, on average */
    uint64_t apart_ns;  /* clients come so long after each other, on average */
    uint64_t ended_ns;  /* when the last group was through */
    uint32_t pause;     /* so many groups the loop does not wait for, as it waited in vain, ... */
    uint32_t paused;    /* ... and so many there have been since */
};

/* Those who wait for the next synchronisation. */
struct aof_gathering {
    size_t count;       /* clients */
    size_t crowd;       /* different clients that came lately */
    uint64_t began_ns;  /* since when the disk could have served them */
    uint64_t joined_ns; /* when the last of them came, or the disk became free */
};

/* Until when it is worth waiting for more clients, if nobody comes; in the past, or 0, if it is not. */
uint64_t aof_pace_wait_until(const struct aof_pace *pace, const struct aof_gathering *gathering);

/* A group of so many clients is through now: synchronising took commit_ns. */
void aof_pace_note(struct aof_pace *pace, size_t count, uint64_t commit_ns, uint64_t now_ns);

/* A group takes off: true if the loop is to wait for its landing. */
bool aof_pace_awaits(struct aof_pace *pace);

/* It has waited: was that long enough? */
void aof_pace_awaited(struct aof_pace *pace, bool in_time);
