/*
 * Clocks agree with each other and never go back.
 */
#include "base/clock.h"

#include <time.h>

#include <criterion/criterion.h>

#include "base/random.h"
#include "seed.h"

Test(clock, wall_is_the_time_of_day)
{
    int64_t ms = clock_wall_ms(), us = clock_wall_us(), seconds = (int64_t)time(NULL);

    cr_assert(us / 1000 - ms >= 0 && us / 1000 - ms < 1000);
    cr_assert(seconds - ms / 1000 >= -1 && seconds - ms / 1000 <= 1);
}

/* The C library knows the calendar, too. */
static void check_civil(int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm expected;
    cr_assert_not_null(gmtime_r(&when, &expected));
    struct clock_civil civil = clock_civil(seconds);
    cr_assert(civil.year == expected.tm_year + 1900LL && civil.month == expected.tm_mon + 1 &&
                  civil.day == expected.tm_mday && civil.hour == expected.tm_hour && civil.minute == expected.tm_min &&
                  civil.second == expected.tm_sec,
        "%lld: %lld-%d-%d %d:%d:%d", (long long)seconds, (long long)civil.year, civil.month, civil.day, civil.hour,
        civil.minute, civil.second);
}

Test(clock, civil_is_the_calendar)
{
    const int64_t day = 24 * 60 * 60;
    for (int64_t at = -800 * 366; at < 800 * 366; at++) {
        check_civil(at * day);
        check_civil(at * day - 1);
    }
    struct random random = seed_random(__func__);
    for (int i = 0; i < 100000; i++)
        check_civil((int64_t)(random_next(&random) >> 12) - ((int64_t)1 << 51));
}

Test(clock, mono_never_goes_back)
{
    uint64_t before = clock_mono_ns();

    for (int i = 0; i < 100000; i++) {
        uint64_t now = clock_mono_ns();
        cr_assert(now >= before);
        before = now;
    }
}

Test(clock, ticks_measure_what_the_monotonic_clock_does)
{
    struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

    clock_init();
    uint64_t ns_outside = clock_mono_ns(), ticks = clock_ticks(), ns_inside = clock_mono_ns();
    nanosleep(&pause, NULL);
    ns_inside = clock_mono_ns() - ns_inside;
    ticks = clock_ticks() - ticks;
    ns_outside = clock_mono_ns() - ns_outside;
    double measured = (double)clock_ticks_to_ns(ticks);
    cr_assert(measured > (double)ns_inside * 0.999 && measured < (double)ns_outside * 1.001, "%f ns between %f and %f",
        measured, (double)ns_inside, (double)ns_outside);
}
