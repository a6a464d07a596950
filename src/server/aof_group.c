/*
 * Group commit under appendfsync always: which clients wait for which synchronisation.
 *
 * Whose command changed something joins the group that gathers, and nothing is sent to him from then on
 * (connection_hold) while everybody else is served. When the disk is free the group takes off: its commands are in the
 * file, a worker synchronises, and a new group gathers meanwhile. When it has landed its clients get what they had been
 * answered by the time of the take-off; whoever is in the next group already gets no more than that.
 *
 * Groups are numbered, and a session keeps the number of the last one it joined. So nobody is in a group twice, and how
 * many different clients the last CENSUS groups had is known without comparing them: that is the crowd of those who
 * will come again.
 */
#include <stdlib.h>
#include <string.h>

#include "aof_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "net/connection.h"

enum { CENSUS = 16 }; /* groups */

static void crew_add(struct aof_crew *crew, uint64_t id)
{
    if (crew->count == crew->room) {
        crew->room = crew->room ? crew->room * 2 : 64;
        crew->members = mem_realloc(crew->members, crew->room * sizeof *crew->members);
    }
    crew->members[crew->count++] = (struct aof_member){ .id = id };
}

static void crew_empty(struct aof_crew *crew)
{
    crew->count = 0;
    crew->began_ns = 0;
    crew->others = false;
}

void aof_group_init(struct aof_group *group)
{
    *group = (struct aof_group){ .number = 1, .census = 1 };
}

void aof_group_fini(struct aof_group *group)
{
    mem_free(group->gathers.members);
    mem_free(group->flies.members);
    aof_group_init(group);
}

/*
 * Nobody is answered that something expired, or what a task does whose client has left. Where a command had tasks of
 * others carried out, what these changed is part of its unit, and nobody can say who they are.
 */
void aof_group_add(struct aof_group *group, struct engine *engine)
{
    struct session *session = engine->current ? engine->current : engine->stepping;
    struct aof_crew *crew = &group->gathers;
    crew->others |= engine->finished_others;
    engine->finished_others = false;
    if (!engine->executing || !session || !(session->last_command->flags & (CMD_WRITE | CMD_RUNS_QUEUE)))
        return;
    uint64_t before = session->group;
    struct connection *connection = glue_connection(session);
    if (before == group->number || !connection)
        return;
    group->joined_ns = clock_mono_ns();
    if (!crew->began_ns)
        crew->began_ns = group->joined_ns;
    session->group = group->number;
    group->counted += before < group->census;
    crew_add(crew, session->id);
    connection_hold(connection);
}

void aof_group_take_off(struct aof_group *group, const struct engine *engine)
{
    struct aof_crew crew = group->flies;
    group->flies = group->gathers;
    group->gathers = crew;
    crew_empty(&group->gathers);
    group->number++;
    if (group->number - group->census >= CENSUS) {
        group->census = group->number;
        group->crowd = group->counted;
        group->counted = 0;
    }
    group->left_ns = clock_mono_ns();
    for (size_t i = 0; i < group->flies.count; i++) {
        struct aof_member *member = &group->flies.members[i];
        struct session *session = session_find(engine, member->id);
        if (session)
            member->written = connection_written(glue_connection(session));
    }
}

/* Lets go of those who are not in the group of that number. */
static void release(const struct aof_crew *crew, const struct engine *engine, uint64_t number)
{
    for (size_t i = 0; i < crew->count; i++) {
        const struct aof_member *member = &crew->members[i];
        struct session *session = session_find(engine, member->id);
        if (session)
            connection_release(glue_connection(session), session->group == number ? member->written : UINT64_MAX);
    }
}

void aof_group_land(struct aof_group *group, const struct engine *engine)
{
    struct aof_crew *crew = &group->flies;
    uint64_t now_ns = clock_mono_ns();
    if (!group->left_ns)
        return;
    release(crew, engine, group->number);
    if (crew->count && group->syncs)
        aof_pace_note(&group->pace, crew->count, now_ns - group->left_ns, now_ns);
    group->landed_ns = now_ns;
    group->left_ns = 0;
    group->syncs = false;
    crew_empty(crew);
}

void aof_group_release(struct aof_group *group, const struct engine *engine)
{
    group->number++;
    release(&group->gathers, engine, 0);
    crew_empty(&group->gathers);
}

uint64_t aof_group_wait_until(const struct aof_group *group)
{
    const struct aof_crew *crew = &group->gathers;
    if (!crew->count || crew->others)
        return 0;
    uint64_t landed_ns = group->landed_ns;
    struct aof_gathering gathering = {
        .count = crew->count,
        .crowd = group->crowd > group->counted ? group->crowd : group->counted,
        .began_ns = crew->began_ns > landed_ns ? crew->began_ns : landed_ns,
        .joined_ns = group->joined_ns > landed_ns ? group->joined_ns : landed_ns,
    };
    return aof_pace_wait_until(&group->pace, &gathering);
}

static void drop(struct aof_crew *crew, struct engine *engine)
{
    for (size_t i = 0; i < crew->count; i++) {
        struct session *session = session_find(engine, crew->members[i].id);
        if (session)
            session_close(session, false);
    }
    if (crew->others)
        for (struct session *session = engine->sessions; session; session = session->next)
            session_close(session, false);
    crew_empty(crew);
}

void aof_group_drop(struct aof_group *group, struct engine *engine)
{
    drop(&group->gathers, engine);
}

void aof_group_crash(struct aof_group *group, struct engine *engine)
{
    drop(&group->flies, engine);
    group->left_ns = 0;
    group->syncs = false;
    drop(&group->gathers, engine);
}
