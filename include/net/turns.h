/*
 * Turns: how long the loop's turns last, always on, so that a client's wait can be told from the machine's.
 *
 * Whoever sends a request while a turn is under way waits for its end: the longest turn is the worst that the server
 * itself has added to anybody's wait. What a client saw beyond that was the system's scheduler or the network.
 */
#pragma once

#include <stdint.h>

/* What a turn is made of, in order. Reading includes timers, and executing in midst of reading if very much came. */
enum turn_phase { TURN_READING, TURN_EXECUTING, TURN_BACKGROUND, TURN_SENDING, TURN_PHASES };

/* Bucket i counts turns below 64 us * 2^i that no bucket before counts; the last one all others, from 65 ms. */
enum { TURN_BUCKETS = 12, TURN_BUCKET_LOW_US = 64 };

struct turns {
    uint64_t buckets[TURN_BUCKETS];
    uint64_t longest_ticks[TURN_PHASES]; /* phases of the longest turn, in ticks of base/clock.h */
    uint64_t longest;                    /* their sum */
    uint64_t ticks;                      /* of all turns */
    uint64_t executing_ticks;            /* of these, TURN_EXECUTING */
};

/* Adds a turn, by the moments (in ticks) at which its phases began and the last one ended. O(1). */
void turns_add(struct turns *turns, const uint64_t moments[TURN_PHASES + 1]);
