/*
 * When waiting for more clients pays: the moment until which is waited, and which of the two ways trials end up with on
 * simulated disks, where the test is the clock.
 */
#include <criterion/criterion.h>

#include "server/aof_pace.h"

enum { US = 1000, CLIENTS = 50 };

/* Groups of `count` that follow each other without a pause, each of which takes so long. */
static void run(struct aof_pace *pace, uint64_t *now_ns, int groups, size_t count, uint64_t took_ns)
{
    for (int i = 0; i < groups; i++) {
        uint64_t began_ns = *now_ns;
        *now_ns += took_ns;
        aof_pace_note(pace, count, began_ns, took_ns, *now_ns);
    }
}

Test(aof_pace, nobody_waits_where_it_cannot_pay)
{
    struct aof_pace pace = { .commit_ns = 1000 * US };
    struct aof_gathering gathering = { .count = 20, .expected = 50, .began_ns = 10000 * US, .joined_ns = 10100 * US };
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 10300 * US, "nobody has joined for 200 us by then");
    gathering.joined_ns = 10490 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 10500 * US, "half of what synchronising takes");
    pace.commit_ns = 100 * 1000 * US;
    gathering.joined_ns = 13950 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 14000 * US, "4 ms at most");
    gathering.count = 50;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "all are there");
    gathering.count = 20;
    pace.commit_ns = 99 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "the disk is so fast that waiting takes longer");
    pace.commit_ns = 1000 * US;
    pace.alone = true;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "the other way is on trial");
}

Test(aof_pace, what_synchronising_takes_is_an_average_that_forgets)
{
    struct aof_pace pace = { 0 };
    uint64_t now_ns = 1000;
    run(&pace, &now_ns, 100, 1, 800 * US);
    cr_assert(pace.commit_ns > 750 * US && pace.commit_ns <= 800 * US);
    run(&pace, &now_ns, 100, 1, 80 * US);
    cr_assert(pace.commit_ns < 100 * US);
}

/* Where waiting serves all in 1.2 of the time that serves half of them, and the other way round. */
static int trials_that_wait(uint64_t together_ns, uint64_t half_ns, int groups)
{
    struct aof_pace pace = { 0 };
    uint64_t now_ns = 1000;
    int waited = 0;
    for (int i = 0; i < groups; i++) {
        waited += !pace.alone;
        run(&pace, &now_ns, 1, pace.alone ? CLIENTS / 2 : CLIENTS, pace.alone ? half_ns : together_ns);
    }
    return waited;
}

Test(aof_pace, the_way_that_serves_more_clients_is_kept_to_and_the_other_tried_now_and_then)
{
    enum { GROUPS = 24 * 80 };
    int waited = trials_that_wait(1200 * US, 1000 * US, GROUPS);
    cr_assert(waited > GROUPS * 3 / 4 && waited < GROUPS, "%d of %d groups waited", waited, GROUPS);
    waited = trials_that_wait(600 * US, 250 * US, GROUPS);
    cr_assert(waited > 0 && waited < GROUPS / 4, "%d of %d groups waited", waited, GROUPS);
}

Test(aof_pace, it_changes_its_mind_when_the_disk_changes)
{
    struct aof_pace pace = { 0 };
    uint64_t now_ns = 1000;
    for (int i = 0; i < 24 * 40; i++)
        run(&pace, &now_ns, 1, pace.alone ? CLIENTS / 2 : CLIENTS, pace.alone ? 250 * US : 600 * US);
    int waited = 0;
    for (int i = 0; i < 24 * 80; i++) {
        waited += i >= 24 * 40 && !pace.alone;
        run(&pace, &now_ns, 1, pace.alone ? CLIENTS / 2 : CLIENTS, pace.alone ? 4000 * US : 4500 * US);
    }
    cr_assert(waited > 24 * 40 * 3 / 4, "%d of %d", waited, 24 * 40);
}

Test(aof_pace, a_pause_between_requests_says_nothing)
{
    struct aof_pace pace = { 0 };
    uint64_t now_ns = 1000;
    for (int i = 0; i < 1000; i++) {
        aof_pace_note(&pace, 1, now_ns, 100 * US, now_ns + 100 * US);
        now_ns += 6000 * US; /* the clients think */
    }
    cr_assert(pace.turns == 0 && pace.trials == 0 && pace.commit_ns > 0);
}
