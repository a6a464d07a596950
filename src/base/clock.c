/*
 * Clocks: the system's for wall and monotonic time, and the processor's counter for short differences.
 *
 * On x86-64 the counter is used if the processor says that it runs at one rate whatever the power state ("invariant
 * TSC"); its rate is measured once against the monotonic clock, over 5 ms, which is good to about one part in 100,000.
 * Everywhere else ticks are the nanoseconds of the monotonic clock.
 */
#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

#if defined(__x86_64__) && !defined(LARDER_PORTABLE)
#define CLOCK_HAS_COUNTER 1
#include <cpuid.h>
#include <x86intrin.h>

#include "wide_priv.h"
#endif

enum {
    CLOCK_RATE_BITS = 32,
    CLOCK_MEASURE_NS = 5 * 1000 * 1000,
    DAY_SECONDS = 24 * 60 * 60,
    ERA_YEARS = 400, /* after which the calendar repeats itself */
    ERA_DAYS = 146097,
    DAYS_TO_1970 = 719468, /* from the first of March of the year 0 */
};

static inline struct timespec clock_read(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return now;
}

int64_t clock_wall_ms(void)
{
    struct timespec now = clock_read(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_us(void)
{
    struct timespec now = clock_read(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Of years that begin with March, so that the day that comes and goes is the last of the year. */
static int days_before_month(int month)
{
    return (153 * month + 2) / 5; /* 31, 30, 31, 30, 31, and again */
}

/* Days before a year of an era. */
static int days_before_year(int year)
{
    return 365 * year + year / 4 - year / 100;
}

struct clock_civil clock_civil(int64_t seconds)
{
    int64_t days = seconds / DAY_SECONDS;
    int of_day = (int)(seconds % DAY_SECONDS);
    if (of_day < 0) {
        of_day += DAY_SECONDS;
        days--;
    }
    days += DAYS_TO_1970;
    int64_t era = days / ERA_DAYS - (days % ERA_DAYS < 0);
    int day = (int)(days - era * ERA_DAYS), year = day / 366, month = 0;
    while (year + 1 < ERA_YEARS && days_before_year(year + 1) <= day)
        year++;
    day -= days_before_year(year);
    while (month < 11 && days_before_month(month + 1) <= day)
        month++;
    bool next_year = month >= 10; /* January and February */
    return (struct clock_civil){
        .year = era * ERA_YEARS + year + next_year,
        .month = next_year ? month - 9 : month + 3,
        .day = day - days_before_month(month) + 1,
        .hour = of_day / 3600,
        .minute = of_day / 60 % 60,
        .second = of_day % 60,
    };
}

uint64_t clock_mono_ns(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#ifdef CLOCK_HAS_COUNTER

static bool counter_is_used;
static uint64_t ns_per_tick = (uint64_t)1 << CLOCK_RATE_BITS; /* fixed point, CLOCK_RATE_BITS after the point */

static bool counter_is_invariant(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
}

void clock_init(void)
{
    if (counter_is_used || !counter_is_invariant())
        return;
    uint64_t ns_before = clock_mono_ns(), ticks_before = __rdtsc();
    struct timespec pause = { .tv_nsec = CLOCK_MEASURE_NS };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    uint64_t ns = clock_mono_ns() - ns_before, ticks = __rdtsc() - ticks_before;
    if (ns == 0 || ticks == 0)
        return;
    ns_per_tick = (uint64_t)(((uint128_t)ns << CLOCK_RATE_BITS) / ticks);
    counter_is_used = true;
}

uint64_t clock_ticks(void)
{
    return __builtin_expect(counter_is_used, 1) ? __rdtsc() : clock_mono_ns();
}

uint64_t clock_ticks_to_ns(uint64_t ticks)
{
    return (uint64_t)(((uint128_t)ticks * ns_per_tick) >> CLOCK_RATE_BITS);
}

const char *clock_ticks_source(void)
{
    return counter_is_used ? "X86 TSC" : "POSIX clock_gettime";
}

#else

void clock_init(void)
{
}

uint64_t clock_ticks(void)
{
    return clock_mono_ns();
}

uint64_t clock_ticks_to_ns(uint64_t ticks)
{
    return ticks;
}

const char *clock_ticks_source(void)
{
    return "POSIX clock_gettime";
}

#endif
