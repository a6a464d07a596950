/*
 * Active defragmentation: when the allocator's pages are much larger than what lives in them, the databases are walked
 * in slices (store/defrag.h), and the pages that became empty go back to the system. When that is done and how much of
 * the time it may take is decided in server/defrag_pace.h; nothing is moved while a child shares the pages.
 */
#include "store/defrag.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/child.h"
#include "server_priv.h"
#include "store/keyspace.h"

enum {
    BUCKETS = 16,
    CHILD_NAP_NS = 50 * 1000 * 1000,
};

static struct defrag_limits limits_of(const struct config *config)
{
    struct defrag_limits limits = {
        .ignored_bytes = (uint64_t)config->defrag_ignore_bytes,
        .percent_lower = config->defrag_threshold_lower,
        .percent_upper = config->defrag_threshold_upper,
        .effort_min = config->defrag_cycle_min,
        .effort_max = config->defrag_cycle_max,
    };
    return limits;
}

static void end_run(struct server_defrag *defrag)
{
    if (!defrag->running)
        return;
    defrag->running = false;
    defrag->pace.effort = 0;
    defrag->run_ns += clock_mono_ns() - defrag->begun_ns;
}

void defrag_stop(struct server *server)
{
    end_run(&server->defrag);
    defrag_walk_fini(&server->defrag.walk);
}

static void begin(struct server *server)
{
    struct server_defrag *defrag = &server->defrag;
    mem_compact_begin();
    defrag->running = true;
    defrag->db = 0;
    defrag->before = defrag->stats;
    defrag->begun_ns = clock_mono_ns();
    net_wake_background(server->net);
}

void defrag_judge(struct server *server, int64_t now_ms)
{
    struct server_defrag *defrag = &server->defrag;
    struct defrag_limits limits = limits_of(&server->config);
    size_t used = mem_used();
    if (used > defrag->most_used)
        defrag->most_used = used;
    if (!server->config.activedefrag) {
        defrag_stop(server);
        defrag_pace_forget(&defrag->pace);
        return;
    }
    bool may_begin = server->child.kind == CHILD_NONE && defrag->most_used >= limits.ignored_bytes;
    if (!defrag_pace_is_due(&defrag->pace, now_ms) || !(defrag->running || may_begin))
        return;
    struct mem_stats stats;
    mem_stats_read(&stats);
    if (defrag->running)
        defrag_pace_follow(&defrag->pace, &limits, &stats, now_ms);
    else if (defrag_pace_begins(&defrag->pace, &limits, &stats, now_ms))
        begin(server);
}

static void finish(struct server *server)
{
    struct server_defrag *defrag = &server->defrag;
    struct mem_moves moves = {
        .moved = defrag->stats.moves.moved - defrag->before.moves.moved,
        .stayed = defrag->stats.moves.stayed - defrag->before.moves.stayed,
    };
    struct mem_stats stats;
    end_run(defrag);
    mem_compact_begin();
    mem_stats_read(&stats);
    defrag_pace_end(&defrag->pace, &moves, &stats, clock_wall_ms());
}

uint64_t defrag_this_run_ms(const struct server *server)
{
    const struct server_defrag *defrag = &server->defrag;
    return defrag->running ? (clock_mono_ns() - defrag->begun_ns) / 1000000 : 0;
}

uint64_t defrag_run_ms(const struct server *server)
{
    return (server->defrag.run_ns + 999999) / 1000000 + defrag_this_run_ms(server);
}

void defrag_reset_stats(struct server *server)
{
    struct server_defrag *defrag = &server->defrag;
    defrag->stats = defrag->before = (struct defrag_stats){ 0 };
    defrag->run_ns = 0;
    defrag->begun_ns = clock_mono_ns();
}

bool defrag_run(struct server *server, uint64_t end_ns)
{
    struct server_defrag *defrag = &server->defrag;
    uint64_t start_ns = clock_mono_ns(), at_ns = start_ns;
    if (start_ns < defrag->resume_ns)
        return true;
    if (server->child.kind != CHILD_NONE) {
        defrag->resume_ns = start_ns + CHILD_NAP_NS;
        return true;
    }
    while (defrag->running && at_ns < end_ns) {
        struct db *db = server->keyspace->dbs[defrag->db];
        defrag->walk.has_tasks = engine_task_count(server->engine) != 0;
        if (!defrag_step(server->keyspace, db, &defrag->walk, BUCKETS, &defrag->stats) &&
            ++defrag->db == server->keyspace->db_count)
            finish(server);
        at_ns = clock_mono_ns();
    }
    if (defrag->running)
        defrag->resume_ns = at_ns + defrag_pace_rest_ns(&defrag->pace, at_ns - start_ns);
    return defrag->running;
}

uint64_t defrag_whole(struct server *server)
{
    struct server_defrag *defrag = &server->defrag;
    uint64_t before = defrag->stats.moves.moved;
    defrag_stop(server);
    mem_compact_begin();
    defrag->walk.has_tasks = engine_task_count(server->engine) != 0;
    for (int db = 0; db < server->keyspace->db_count; db++)
        while (defrag_step(server->keyspace, server->keyspace->dbs[db], &defrag->walk, BUCKETS, &defrag->stats))
            ;
    mem_compact_begin();
    return defrag->stats.moves.moved - before;
}
