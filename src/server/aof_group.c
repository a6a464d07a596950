/*
 * Group commit under appendfsync always: who is in a group, how long it is worth waiting for more, and what becomes of
 * the group when the disk refuses.
 *
 * Clients that wait for their answers fall into two halves: while one half's commands are synchronised, the other
 * half's requests arrive, so that each synchronisation serves half of them. Waiting a little, for those who were
 * answered last and will ask again at once, lets one serve them all. Waited is for the clients of the last two groups,
 * as long as some of them keep coming, and at most for half of what synchronising took lately.
 *
 * That pays if they do come at once, and the loop wakes at once when they came; not on a machine where many processes
 * queue for the processors. So both ways are tried in turn, and the one that serves more clients in a time is kept to;
 * one trial in eight goes the other way, to see whether that has changed.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aof_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/registry.h"
#include "engine/session.h"

enum {
    WORTH_NS = 100 * 1000, /* synchronising that takes less is not waited for */
    WAIT_MAX_NS = 4 * 1000 * 1000,
    STALL_NS = 200 * 1000, /* nobody joined for so long: nobody will */
    SLICE_NS = 40 * 1000,
    COMMIT_WEIGHT = 8,         /* of the past, in the average of what synchronising takes */
    TRIAL = 24,                /* groups */
    SETTLE = 4,                /* of these, that show what was before */
    OTHER_WAY = 8,             /* trials, of which one goes the other way */
    IDLE_NS = 5 * 1000 * 1000, /* nobody came for so long: that says nothing about the way */
};

void aof_group_fini(struct aof_group *group)
{
    mem_free(group->ids);
    mem_free(group->before);
    *group = (struct aof_group){ 0 };
}

/* Nobody is answered that something expired. */
void aof_group_add(struct aof_group *group, const struct engine *engine)
{
    const struct session *session = engine->current;
    if (!engine->executing || (session && !(session->last_command->flags & (CMD_WRITE | CMD_RUNS_QUEUE))))
        return;
    if (!group->began_ns)
        group->began_ns = group->joined_ns = clock_mono_ns();
    if (!session) {
        group->others = true;
        return;
    }
    if (group->count && group->ids[group->count - 1] == session->id)
        return;
    if (group->count == group->room) {
        group->room = group->room ? group->room * 2 : 64;
        group->ids = mem_realloc(group->ids, group->room * sizeof *group->ids);
    }
    group->ids[group->count++] = session->id;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the group, each client once. */
static void tidy(struct aof_group *group)
{
    size_t kept = 0;
    if (group->count > 1)
        qsort(group->ids, group->count, sizeof *group->ids, compare_ids);
    for (size_t i = 0; i < group->count; i++)
        if (kept == 0 || group->ids[kept - 1] != group->ids[i])
            group->ids[kept++] = group->ids[i];
    group->count = kept;
}

/* Clients that are in one of the two groups, both in order. */
static size_t count_union(const struct aof_group *group)
{
    size_t i = 0, k = 0, both = 0;
    while (i < group->count && k < group->before_count) {
        uint64_t a = group->ids[i], b = group->before[k];
        both += a == b;
        i += a <= b;
        k += b <= a;
    }
    return group->count + group->before_count - both;
}

/* The trial is over: which way the next one goes. */
static void judge(struct aof_group *group)
{
    double *rate = &group->rate[!group->alone];
    double found = group->served_ns ? (double)group->served / (double)group->served_ns : 0;
    *rate = *rate > 0 ? (*rate + found) / 2 : found;
    bool other_is_new = !(group->rate[group->alone] > 0);
    bool better_alone = group->rate[0] > group->rate[1];
    group->alone = other_is_new ? !group->alone : better_alone != (++group->trials % OTHER_WAY == 0);
    group->turns = 0;
    group->served = group->served_ns = 0;
}

/* A group was synchronised: counts whom it served, and how long that took since the one before. */
static void count_served(struct aof_group *group)
{
    uint64_t now_ns = clock_mono_ns(), before_ns = group->ended_ns;
    group->ended_ns = now_ns;
    if (!before_ns || group->began_ns - before_ns > IDLE_NS)
        return;
    if (++group->turns > SETTLE) {
        group->served += group->count;
        group->served_ns += now_ns - before_ns;
    }
    if (group->turns == TRIAL)
        judge(group);
}

void aof_group_end(struct aof_group *group, uint64_t commit_ns)
{
    if (group->began_ns) {
        tidy(group);
        group->expected = count_union(group);
        if (commit_ns)
            count_served(group);
        uint64_t *ids = group->before;
        size_t room = group->before_room;
        group->before = group->ids;
        group->before_count = group->count;
        group->before_room = group->room;
        group->ids = ids;
        group->room = room;
        if (commit_ns)
            group->commit_ns += commit_ns / COMMIT_WEIGHT - group->commit_ns / COMMIT_WEIGHT;
    }
    group->count = group->seen = 0;
    group->others = false;
    group->began_ns = 0;
}

bool aof_group_waits(struct aof_group *group)
{
    if (!group->began_ns || group->alone || group->others || group->commit_ns < WORTH_NS ||
        group->count >= group->expected)
        return false;
    uint64_t now_ns = clock_mono_ns(), most_ns = group->commit_ns / 2;
    if (group->count != group->seen) {
        group->seen = group->count;
        group->joined_ns = now_ns;
    }
    if (now_ns - group->began_ns >= (most_ns < WAIT_MAX_NS ? most_ns : WAIT_MAX_NS) ||
        now_ns - group->joined_ns >= STALL_NS)
        return false;
    nanosleep(&(struct timespec){ .tv_nsec = SLICE_NS }, NULL);
    return true;
}

void aof_group_drop(struct aof_group *group, struct engine *engine)
{
    for (size_t i = 0; i < group->count; i++) {
        struct session *session = session_find(engine, group->ids[i]);
        if (session)
            session_close(session, false);
    }
    if (group->others)
        for (struct session *session = engine->sessions; session; session = session->next)
            session_close(session, false);
    aof_group_end(group, 0);
}
