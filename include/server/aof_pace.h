/*
 * Group commit: when waiting for more clients pays. It knows no clock: the time is an argument, in nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was found so far; zeroed at first. */
struct aof_pace {
    uint64_t commit_ns;         /* what synchronising takes, on average */
    bool alone;                 /* the trial under way is without waiting */
    uint32_t turns;             /* groups in it so far */
    uint32_t trials;            /* that there have been */
    uint64_t served, served_ns; /* clients in these groups, and how long they took, from end to end */
    double rate[2];             /* clients in a nanosecond, without [0] and with [1] waiting; 0: not known yet */
    uint64_t ended_ns;          /* when the last group was through */
};

/* Those who wait for the next synchronisation. */
struct aof_gathering {
    size_t count, expected; /* clients, and how many there will hardly be more of */
    uint64_t began_ns;      /* since when the disk could have served them */
    uint64_t joined_ns;     /* when the last of them came, or the disk became free */
};

/* Until when it is worth waiting for more, if nobody comes; in the past, or 0, if it is not. */
uint64_t aof_pace_wait_until(const struct aof_pace *pace, const struct aof_gathering *gathering);

/* A group of so many clients, whose first came at began_ns, is through now: synchronising it took commit_ns. */
void aof_pace_note(struct aof_pace *pace, size_t count, uint64_t began_ns, uint64_t commit_ns, uint64_t now_ns);
