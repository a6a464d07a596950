/*
 * When waiting for more clients pays: the moment until which is waited; and when the loop waits for the disk.
 */
#include <criterion/criterion.h>

#include "server/aof_pace.h"

enum { US = 1000 };

/* A disk that keeps the loop waiting in vain. */
static void be_slow(struct aof_pace *pace)
{
    aof_pace_awaited(pace, false);
}

Test(aof_pace, nobody_waits_where_it_cannot_pay)
{
    struct aof_pace pace = { .commit_ns = 1000 * US, .apart_ns = 10 * US };
    struct aof_gathering gathering = { .count = 20, .crowd = 50, .began_ns = 10000 * US, .joined_ns = 10100 * US };
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "the loop waits for the disk, where all come to");
    be_slow(&pace);
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 10300 * US, "nobody has joined for 200 us by then");
    gathering.joined_ns = 10490 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 10500 * US, "half of what synchronising takes");
    pace.commit_ns = 100 * 1000 * US;
    gathering.joined_ns = 13950 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 14000 * US, "4 ms at most");
    pace.commit_ns = 49 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "the disk is so fast that waiting takes longer");
    pace.commit_ns = 300 * US;
    pace.apart_ns = 80 * US;
    cr_assert_neq(aof_pace_wait_until(&pace, &gathering), 0, "thirty more may come in time");
    pace.apart_ns = 81 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "they come too seldom");
    gathering.count = 50;
    pace.apart_ns = 10 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "all are there");
}

Test(aof_pace, what_synchronising_takes_is_an_average_that_forgets)
{
    struct aof_pace pace = { 0 };
    uint64_t now_ns = 1000;
    for (int i = 0; i < 100; i++)
        aof_pace_note(&pace, 4, 800 * US, now_ns += 1000 * US);
    cr_assert(pace.commit_ns > 750 * US && pace.commit_ns <= 800 * US);
    cr_assert(pace.apart_ns > 230 * US && pace.apart_ns <= 250 * US);
    for (int i = 0; i < 100; i++)
        aof_pace_note(&pace, 1, 80 * US, now_ns += 60 * 1000 * US);
    cr_assert(pace.commit_ns < 100 * US);
    cr_assert(pace.apart_ns <= 5000 * US, "a pause between requests says nothing");
}

/* How many groups take off before the loop waits for one. */
static int groups_between(struct aof_pace *pace)
{
    int count = 0;
    while (!aof_pace_awaits(pace))
        count++;
    return count;
}

Test(aof_pace, a_disk_that_is_not_in_time_is_tried_more_and_more_seldom)
{
    struct aof_pace pace = { 0 };
    static const int expected[] = { 0, 1, 3, 7, 15, 31, 63, 63, 63 };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        cr_assert_eq(groups_between(&pace), expected[i]);
        be_slow(&pace);
    }
    groups_between(&pace);
    aof_pace_awaited(&pace, true);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(groups_between(&pace), 0, "it is fast again");
        aof_pace_awaited(&pace, true);
    }
}
