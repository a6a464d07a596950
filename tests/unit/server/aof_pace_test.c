/*
 * When waiting for more clients pays: the moment until which is waited, and which of the ways trials end up with on
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
    struct aof_pace pace = { .commit_ns = 1000 * US, .apart_ns = 10 * US };
    struct aof_gathering gathering = { .count = 20, .crowd = 50, .began_ns = 10000 * US, .joined_ns = 10100 * US };
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 10300 * US, "nobody has joined for 200 us by then");
    gathering.joined_ns = 10490 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 10500 * US, "half of what synchronising takes");
    pace.commit_ns = 100 * 1000 * US;
    gathering.joined_ns = 13950 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 14000 * US, "4 ms at most");
    pace.commit_ns = 49 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "the disk is so fast that waiting takes longer");
    pace.commit_ns = 300 * US;
    pace.apart_ns = 480 * US;
    cr_assert_neq(aof_pace_wait_until(&pace, &gathering), 0, "five more may come in time");
    pace.apart_ns = 481 * US;
    cr_assert_eq(aof_pace_wait_until(&pace, &gathering), 0, "they come too seldom");
}

Test(aof_pace, it_is_waited_for_half_of_the_crowd_or_for_more_or_for_all)
{
    struct aof_pace pace = { .commit_ns = 300 * US, .apart_ns = 10 * US };
    static const size_t wanted[AOF_PACE_WAYS][2] = { { 25, 3 }, { 38, 4 }, { 50, 5 } };
    for (pace.way = 0; pace.way < AOF_PACE_WAYS; pace.way++) {
        struct aof_gathering large = { .crowd = 50, .count = wanted[pace.way][0] };
        struct aof_gathering small = { .crowd = 5, .count = wanted[pace.way][1] };
        cr_assert_eq(aof_pace_wait_until(&pace, &large), 0);
        cr_assert_eq(aof_pace_wait_until(&pace, &small), 0);
        large.count--;
        small.count--;
        cr_assert_neq(aof_pace_wait_until(&pace, &large), 0);
        cr_assert_neq(aof_pace_wait_until(&pace, &small), 0);
        struct aof_gathering lonely = { .crowd = 1, .count = 1 };
        cr_assert_eq(aof_pace_wait_until(&pace, &lonely), 0, "nobody else ever comes");
    }
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

/* What a group has and takes by each way. */
struct disk {
    uint64_t took_ns[AOF_PACE_WAYS];
};

static const size_t served[AOF_PACE_WAYS] = { CLIENTS / 2, CLIENTS * 3 / 4, CLIENTS };

/* How many of the groups went each way. */
static void try(struct aof_pace *pace, uint64_t *now_ns, const struct disk *disk, int groups, int went[AOF_PACE_WAYS])
{
    for (uint32_t way = 0; way < AOF_PACE_WAYS; way++)
        went[way] = 0;
    for (int i = 0; i < groups; i++) {
        went[pace->way]++;
        run(pace, now_ns, 1, served[pace->way], disk->took_ns[pace->way]);
    }
}

/* Each is best by one way. */
static const struct disk disks[AOF_PACE_WAYS] = {
    { { 250 * US, 450 * US, 600 * US } },
    { { 400 * US, 500 * US, 800 * US } },
    { { 1000 * US, 1100 * US, 1200 * US } },
};

Test(aof_pace, the_way_that_serves_more_clients_is_kept_to_and_the_others_tried_now_and_then)
{
    enum { GROUPS = 24 * 80 };
    for (uint32_t best = 0; best < AOF_PACE_WAYS; best++) {
        struct aof_pace pace = { 0 };
        uint64_t now_ns = 1000;
        int went[AOF_PACE_WAYS];
        try(&pace, &now_ns, &disks[best], GROUPS, went);
        for (uint32_t way = 0; way < AOF_PACE_WAYS; way++)
            if (way == best)
                cr_assert(went[way] > GROUPS * 3 / 4, "%d of %d groups", went[way], GROUPS);
            else
                cr_assert(went[way] >= 24 * 4, "%d of %d groups", went[way], GROUPS);
    }
}

Test(aof_pace, it_changes_its_mind_when_the_disk_changes)
{
    enum { GROUPS = 24 * 80 };
    for (uint32_t first = 0; first < AOF_PACE_WAYS; first++)
        for (uint32_t then = 0; then < AOF_PACE_WAYS; then++) {
            struct aof_pace pace = { 0 };
            uint64_t now_ns = 1000;
            int went[AOF_PACE_WAYS];
            try(&pace, &now_ns, &disks[first], GROUPS, went);
            try(&pace, &now_ns, &disks[then], GROUPS, went);
            try(&pace, &now_ns, &disks[then], GROUPS, went);
            cr_assert(went[then] > GROUPS * 3 / 4, "from %u to %u: %d of %d", first, then, went[then], GROUPS);
        }
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
