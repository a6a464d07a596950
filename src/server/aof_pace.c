/*
 * Whether to synchronise now, or to wait for more clients whom the same synchronisation could serve.
 *
 * Clients that wait for their answers fall into two halves: while one half's commands are synchronised the other half's
 * requests arrive, so that each synchronisation serves half of them. On a fast disk that is best: both the disk and the
 * processor are always busy. Where the disk takes most of the time one synchronisation should serve them all, and it is
 * worth waiting a little for those who were just answered and will ask again at once. Waited is for the clients of the
 * last two groups, as long as some of them keep coming, and at most for half of what synchronising took lately.
 *
 * Which of the two it is depends on the disk, on the clients and on what else queues for the processors. So both ways
 * are tried in turn, and the one that serves more clients in a time is kept to; one trial in eight goes the other way,
 * to see whether that has changed.
 */
#include "server/aof_pace.h"

enum {
    WORTH_NS = 100 * 1000, /* synchronising that takes less is not waited for */
    WAIT_MAX_NS = 4 * 1000 * 1000,
    STALL_NS = 200 * 1000,     /* nobody joined for so long: nobody will */
    COMMIT_WEIGHT = 8,         /* of the past, in the average of what synchronising takes */
    TRIAL = 24,                /* groups */
    SETTLE = 4,                /* of these, that show what was before */
    OTHER_WAY = 8,             /* trials, of which one goes the other way */
    IDLE_NS = 5 * 1000 * 1000, /* nobody came for so long: that says nothing about the way */
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t aof_pace_wait_until(const struct aof_pace *pace, const struct aof_gathering *gathering)
{
    if (pace->alone || pace->commit_ns < WORTH_NS || gathering->count >= gathering->expected)
        return 0;
    uint64_t end_ns = gathering->began_ns + least(pace->commit_ns / 2, WAIT_MAX_NS);
    return least(end_ns, gathering->joined_ns + STALL_NS);
}

/* The trial is over: which way the next one goes. */
static void judge(struct aof_pace *pace)
{
    double *rate = &pace->rate[!pace->alone];
    double found = pace->served_ns ? (double)pace->served / (double)pace->served_ns : 0;
    *rate = *rate > 0 ? (*rate + found) / 2 : found;
    bool other_is_new = !(pace->rate[pace->alone] > 0);
    bool better_alone = pace->rate[0] > pace->rate[1];
    pace->alone = other_is_new ? !pace->alone : better_alone != (++pace->trials % OTHER_WAY == 0);
    pace->turns = 0;
    pace->served = pace->served_ns = 0;
}

void aof_pace_note(struct aof_pace *pace, size_t count, uint64_t began_ns, uint64_t commit_ns, uint64_t now_ns)
{
    uint64_t before_ns = pace->ended_ns;
    pace->ended_ns = now_ns;
    pace->commit_ns += commit_ns / COMMIT_WEIGHT - pace->commit_ns / COMMIT_WEIGHT;
    if (!before_ns || (began_ns > before_ns && began_ns - before_ns > IDLE_NS))
        return;
    if (++pace->turns > SETTLE) {
        pace->served += count;
        pace->served_ns += now_ns - before_ns;
    }
    if (pace->turns == TRIAL)
        judge(pace);
}
