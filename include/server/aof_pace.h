/*
 * Group commit: how many clients one synchronisation should serve. It knows no clock: the time is an argument, in
 * nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AOF_PACE_WAYS = 3 };

/* What was found so far; zeroed at first. */
struct aof_pace {
    uint64_t commit_ns;         /* what synchronising takes, on average */
    uint64_t apart_ns;          /* clients come so long after each other, on average */
    uint32_t way;               /* of waiting, that is on trial: for half of those who come, for more, for all */
    uint32_t turns;             /* groups in it so far */
    uint32_t trials;            /* that there have been */
    uint64_t served, served_ns; /* clients in these groups, and how long they took, from end to end */
    double rate[AOF_PACE_WAYS]; /* clients in a nanosecond by each way; 0: not known yet */
    uint64_t ended_ns;          /* when the last group was through */
};

/* Those who wait for the next synchronisation. */
struct aof_gathering {
    size_t count;       /* clients */
    size_t crowd;       /* different clients that came lately */
    uint64_t began_ns;  /* since when the disk could have served them */
    uint64_t joined_ns; /* when the last of them came, or the disk became free */
};

/* Until when it is worth waiting for more, if nobody comes; in the past, or 0, if it is not. */
uint64_t aof_pace_wait_until(const struct aof_pace *pace, const struct aof_gathering *gathering);

/* A group of so many clients, whose first came at began_ns, is through now: synchronising it took commit_ns. */
void aof_pace_note(struct aof_pace *pace, size_t count, uint64_t began_ns, uint64_t commit_ns, uint64_t now_ns);
