/*
 * Clocks. What needs a time is handed one; only the engine and the server layer read these.
 */
#pragma once

#include <stdint.h>

/* Milliseconds and microseconds since 1970, UTC. May step when the machine's clock is set. */
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);

/* A date and a time of day of the Gregorian calendar. */
struct clock_civil {
    int64_t year;
    int month, day; /* from 1 */
    int hour, minute, second;
};

/* What a count of seconds since 1970 is. Takes no lock (the C library's gmtime_r does), so that it may be called in a
 * forked child and in a signal handler. */
struct clock_civil clock_civil(int64_t seconds);

/* Nanoseconds since some fixed moment; never goes back. About 20 ns a call. */
uint64_t clock_mono_ns(void);

/* Processor ticks: cheaper than clock_mono_ns, meant for differences of a few ms at most. Goes over to nanoseconds by
 * clock_ticks_to_ns. */
uint64_t clock_ticks(void);
uint64_t clock_ticks_to_ns(uint64_t ticks);

/* Measures how long a tick is; called once, before the first clock_ticks. Takes about 10 ms at most. */
void clock_init(void);

/* What ticks are, for INFO: "X86 TSC" or "POSIX clock_gettime". After clock_init. */
const char *clock_ticks_source(void);
