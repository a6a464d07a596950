/*
 * Whether to synchronise now, or to wait for more clients whom the same synchronisation could serve; and what the loop
 * does meanwhile.
 *
 * Where synchronising takes hardly longer than putting a thread to sleep and waking it, the loop waits for it. The
 * worker then has the loop's processor at once, instead of queueing for one beside the loop and the clients, and who is
 * answered asks again while the next group is executed. Nobody can be kept waiting long by that: the loop waits for a
 * moment only. If that was not enough it waits no more, but for one group now and then, after twice as many each time.
 *
 * Otherwise one group is synchronised while the next gathers. Where the disk takes long, beginning with whoever is
 * there first would serve few, and make all the others wait for a second one. So it is waited until all have come who
 * were seen in the last groups; but not where clients come so seldom that it would take long, no longer than a moment
 * after the last who came, and in all at most for half of what synchronising took lately.
 */
#include "server/aof_pace.h"

enum {
    WORTH_NS = 50 * 1000, /* synchronising that takes less is not waited for */
    WAIT_MAX_NS = 4 * 1000 * 1000,
    STALL_NS = 200 * 1000,     /* nobody joined for so long: nobody will */
    HOPE_COMMITS = 8,          /* enough must be likely to come in the time of so many synchronisations */
    COMMIT_WEIGHT = 8,         /* of the past, in averages */
    IDLE_NS = 5 * 1000 * 1000, /* nobody came for so long: how long says nothing */
    PAUSE_MAX = 63,
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t aof_pace_wait_until(const struct aof_pace *pace, const struct aof_gathering *gathering)
{
    size_t wanted = gathering->crowd;
    if (!pace->pause || gathering->count >= wanted || pace->commit_ns < WORTH_NS ||
        (wanted - gathering->count) * pace->apart_ns > pace->commit_ns * HOPE_COMMITS)
        return 0;
    uint64_t end_ns = gathering->began_ns + least(pace->commit_ns / 2, WAIT_MAX_NS);
    return least(end_ns, gathering->joined_ns + STALL_NS);
}

static void average(uint64_t *average_ns, uint64_t found_ns)
{
    *average_ns += found_ns / COMMIT_WEIGHT - *average_ns / COMMIT_WEIGHT;
}

void aof_pace_note(struct aof_pace *pace, size_t count, uint64_t commit_ns, uint64_t now_ns)
{
    average(&pace->commit_ns, commit_ns);
    if (pace->ended_ns)
        average(&pace->apart_ns, least(now_ns - pace->ended_ns, IDLE_NS) / count);
    pace->ended_ns = now_ns;
}

bool aof_pace_awaits(struct aof_pace *pace)
{
    if (pace->paused >= pace->pause)
        return true;
    pace->paused++;
    return false;
}

void aof_pace_awaited(struct aof_pace *pace, bool in_time)
{
    pace->pause = in_time ? 0 : pace->pause < PAUSE_MAX ? 2 * pace->pause + 1 : PAUSE_MAX;
    pace->paused = 0;
}
