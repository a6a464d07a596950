/*
 * Whether to synchronise now, or to wait for more clients whom the same synchronisation could serve.
 *
 * A client that waits for its answer is in a group; one that was answered is about to ask again. While one group is
 * synchronised the next gathers. Without waiting that goes wrong on a fast disk: the synchronisation begins with
 * whoever is there, ends before many have come, and so the next one serves few, too. Each of them takes the processor
 * from the clients and from the loop, so that even fewer come meanwhile.
 *
 * So it is waited until a good part of the crowd has come, of those who were seen in the last groups. With half of it,
 * two halves take turns: the requests of one arrive while the other's are synchronised, and disk and processor are both
 * always busy. With more there are fewer synchronisations, but the disk rests while the last of a group come. With all,
 * the processor rests while the disk works, which is best where the disk takes most of the time.
 *
 * Which of these it is depends on the disk, on the clients and on what else queues for the processors. So the ways are
 * tried in turn, and the one that serves more clients in a time is kept to; one trial in eight goes another way, to see
 * whether that has changed.
 *
 * Nobody is waited for who will not come: not where clients come so seldom that it would take long, no longer than a
 * moment after the last who came, and in all at most for half of what synchronising took lately.
 */
#include "server/aof_pace.h"

enum {
    WORTH_NS = 50 * 1000, /* synchronising that takes less is not waited for */
    WAIT_MAX_NS = 4 * 1000 * 1000,
    STALL_NS = 200 * 1000,     /* nobody joined for so long: nobody will */
    HOPE_COMMITS = 8,          /* enough must be likely to come in the time of so many synchronisations */
    COMMIT_WEIGHT = 8,         /* of the past, in averages */
    TRIAL = 24,                /* groups */
    SETTLE = 4,                /* of these, that show what was before */
    OTHER_WAY = 8,             /* trials, of which one goes another way */
    IDLE_NS = 5 * 1000 * 1000, /* nobody came for so long: that says nothing about the way */
};

/* Of the crowd, in quarters: what each way waits for. */
static const uint8_t quarters[AOF_PACE_WAYS] = { 2, 3, 4 };

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t aof_pace_wait_until(const struct aof_pace *pace, const struct aof_gathering *gathering)
{
    size_t wanted = (gathering->crowd * quarters[pace->way] + 3) / 4;
    if (gathering->count >= wanted || pace->commit_ns < WORTH_NS ||
        (wanted - gathering->count) * pace->apart_ns > pace->commit_ns * HOPE_COMMITS)
        return 0;
    uint64_t end_ns = gathering->began_ns + least(pace->commit_ns / 2, WAIT_MAX_NS);
    return least(end_ns, gathering->joined_ns + STALL_NS);
}

/* The way that is known to be best, the first that is not known yet, or now and then another. */
static uint32_t choose(struct aof_pace *pace)
{
    uint32_t best = 0;
    for (uint32_t way = 0; way < AOF_PACE_WAYS; way++) {
        if (!(pace->rate[way] > 0))
            return way;
        if (pace->rate[way] > pace->rate[best])
            best = way;
    }
    uint32_t trial = ++pace->trials;
    if (trial % OTHER_WAY)
        return best;
    return (best + 1 + trial / OTHER_WAY % (AOF_PACE_WAYS - 1)) % AOF_PACE_WAYS;
}

/* The trial is over: which way the next one goes. */
static void judge(struct aof_pace *pace)
{
    double *rate = &pace->rate[pace->way];
    double found = pace->served_ns ? (double)pace->served / (double)pace->served_ns : 0;
    *rate = *rate > 0 ? (*rate + found) / 2 : found;
    pace->way = choose(pace);
    pace->turns = 0;
    pace->served = pace->served_ns = 0;
}

static void average(uint64_t *average_ns, uint64_t found_ns)
{
    *average_ns += found_ns / COMMIT_WEIGHT - *average_ns / COMMIT_WEIGHT;
}

void aof_pace_note(struct aof_pace *pace, size_t count, uint64_t began_ns, uint64_t commit_ns, uint64_t now_ns)
{
    uint64_t before_ns = pace->ended_ns;
    pace->ended_ns = now_ns;
    average(&pace->commit_ns, commit_ns);
    if (!before_ns)
        return;
    average(&pace->apart_ns, least(now_ns - before_ns, IDLE_NS) / count);
    if (began_ns > before_ns && began_ns - before_ns > IDLE_NS)
        return;
    if (++pace->turns > SETTLE) {
        pace->served += count;
        pace->served_ns += now_ns - before_ns;
    }
    if (pace->turns == TRIAL)
        judge(pace);
}
