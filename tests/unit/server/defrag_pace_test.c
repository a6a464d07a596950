/*
 * When walks begin, and how much of the time they take: figures and a clock that the test sets.
 */
#include <criterion/criterion.h>

#include "server/defrag_pace.h"

enum { MB = 1024 * 1024, MS = 1000 * 1000 };

static const struct defrag_limits limits = {
    .ignored_bytes = 100 * MB, .percent_lower = 10, .percent_upper = 100, .effort_min = 1, .effort_max = 25
};

/* So many MB in use, and so many in the pages of it. */
static struct mem_stats figures(size_t used, size_t pages)
{
    struct mem_stats stats = { .allocated = used * MB, .active = pages * MB };
    return stats;
}

static bool begins(struct defrag_pace *pace, size_t used, size_t pages, int64_t now_ms)
{
    struct mem_stats stats = figures(used, pages);
    return defrag_pace_is_due(pace, now_ms) && defrag_pace_begins(pace, &limits, &stats, now_ms);
}

static void end(struct defrag_pace *pace, uint64_t moved, uint64_t stayed, size_t used, size_t pages, int64_t now_ms)
{
    struct mem_moves moves = { .moved = moved, .stayed = stayed };
    struct mem_stats stats = figures(used, pages);
    defrag_pace_end(pace, &moves, &stats, now_ms);
}

Test(defrag_pace, what_is_lost_decides)
{
    struct defrag_pace pace = { 0 };
    cr_assert(!begins(&pace, 500, 599, 1000), "99 MB are not worth it");
    cr_assert(!begins(&pace, 500, 700, 1500), "it is judged once a second");
    cr_assert(begins(&pace, 500, 700, 2000));
    cr_assert_eq(pace.effort, 1 + 24 * (40 - 10) / 90);
    pace = (struct defrag_pace){ 0 };
    cr_assert(!begins(&pace, 2000, 2190, 1000), "nor are 9.5 percent");
    cr_assert(begins(&pace, 100, 900, 2000));
    cr_assert_eq(pace.effort, 25);
}

Test(defrag_pace, a_walk_rests_for_as_long_as_its_effort_asks_for)
{
    struct defrag_pace pace = { .effort = 25 };
    cr_assert_eq(defrag_pace_rest_ns(&pace, 2 * MS), 6 * MS);
    pace.effort = 1;
    cr_assert_eq(defrag_pace_rest_ns(&pace, 2 * MS), 198 * MS);
}

Test(defrag_pace, a_walk_in_vain_puts_off_what_is_as_much)
{
    struct defrag_pace pace = { 0 };
    cr_assert(begins(&pace, 500, 700, 1000));
    end(&pace, 10, 1000, 500, 700, 5000);
    cr_assert_eq(pace.effort, 0);
    cr_assert(!begins(&pace, 500, 740, 6000));
    cr_assert(begins(&pace, 400, 660, 7000), "a quarter more is lost");
    end(&pace, 10, 1000, 400, 660, 8000);
    cr_assert(!begins(&pace, 400, 560, 9000), "it won itself back");
    cr_assert(begins(&pace, 400, 620, 10000), "which is the least now");
    end(&pace, 10, 1000, 400, 620, 11000);
    cr_assert(!begins(&pace, 400, 620, 11000 + 59 * 1000));
    cr_assert(begins(&pace, 400, 620, 11000 + 60 * 1000));
}

Test(defrag_pace, a_fruitful_walk_goes_on_for_less)
{
    struct defrag_pace pace = { 0 };
    cr_assert(!begins(&pace, 200, 240, 1000));
    cr_assert(begins(&pace, 200, 600, 2000));
    end(&pace, 1000, 5000, 200, 240, 3000);
    cr_assert(begins(&pace, 200, 240, 4000));
    end(&pace, 1000, 5000, 200, 212, 5000);
    cr_assert(!begins(&pace, 200, 212, 6000));
    cr_assert(!begins(&pace, 200, 240, 7000), "after that it counts as the first again");
}

Test(defrag_pace, a_walk_that_begins_early_in_a_deletion_takes_what_the_end_of_it_asks_for)
{
    enum { FULL = 1000, LEFT = 200, DELETION_MS = 10 * 1000, WORK_MS = 10 * 1000, SLICE_MS = 1, CRON_MS = 100 };
    struct defrag_pace pace = { 0 };
    bool walks = false;
    uint64_t worked_ns = 0, resume_ns = 0, end_ms = 0;
    for (uint64_t now_ms = 1; !end_ms && now_ms < 3600 * 1000; now_ms++) {
        uint64_t gone = now_ms < DELETION_MS ? (FULL - LEFT) * now_ms / DELETION_MS : FULL - LEFT;
        size_t pages = FULL - (size_t)(worked_ns / MS * (FULL - LEFT) / WORK_MS);
        struct mem_stats stats = figures(FULL - gone, pages);
        if (now_ms % CRON_MS == 0 && defrag_pace_is_due(&pace, (int64_t)now_ms)) {
            if (walks)
                defrag_pace_follow(&pace, &limits, &stats, (int64_t)now_ms);
            else
                walks = defrag_pace_begins(&pace, &limits, &stats, (int64_t)now_ms);
        }
        if (walks && now_ms * MS >= resume_ns) {
            worked_ns += SLICE_MS * MS;
            resume_ns = (now_ms + SLICE_MS) * MS + defrag_pace_rest_ns(&pace, SLICE_MS * MS);
        }
        if (worked_ns >= (uint64_t)WORK_MS * MS)
            end_ms = now_ms;
    }
    cr_assert(end_ms);
    cr_assert_leq(end_ms, (uint64_t)(DELETION_MS + WORK_MS * 100 / limits.effort_max + 2000),
        "at the first effort it takes a quarter of an hour");
}
