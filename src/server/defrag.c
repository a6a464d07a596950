/*
 * Active defragmentation: when the allocator's pages are much larger than what lives in them, the databases are walked
 * in slices (store/defrag.h), and the pages that became empty go back to the system.
 *
 * Whether to begin is judged once a second, by the figures that INFO shows, and not while a child shares the pages. A
 * walk that moved little was in vain: what is lost cannot be won back. The next one begins when a quarter more is lost
 * than that one left, when something was won back without one, or after a minute. So a walk that came too early, in the
 * middle of a deletion say, or over a database that was just emptied, does not put off the one that is needed.
 *
 * Walks take active-defrag-cycle-min to active-defrag-cycle-max percent of the time, the more the more is lost, up to
 * active-defrag-threshold-upper: after each slice they rest for as long as that asks for.
 */
#include "store/defrag.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/child.h"
#include "server_priv.h"
#include "store/keyspace.h"

enum {
    JUDGE_MS = 1000,
    BUCKETS = 16,
    POOR_SHARE = 50, /* a walk that moved less than one of so many allocations was in vain */
    REST_MS = 60 * 1000,
    CHILD_NAP_NS = 50 * 1000 * 1000,
    GOING_ON_SHARE = 8, /* of active-defrag-ignore-bytes is worth another walk when the last one was not in vain */
};

static size_t waste_of(const struct mem_stats *stats)
{
    return stats->active > stats->allocated ? stats->active - stats->allocated : 0;
}

static double waste_percent(const struct mem_stats *stats)
{
    return stats->allocated ? 100 * (double)waste_of(stats) / (double)stats->allocated : 0;
}

static bool is_fragmented(const struct server *server, const struct mem_stats *stats)
{
    const struct config *config = &server->config;
    uint64_t ignored = (uint64_t)config->defrag_ignore_bytes / (server->defrag.fruitful ? GOING_ON_SHARE : 1);
    return waste_of(stats) > ignored && waste_percent(stats) > (double)config->defrag_threshold_lower;
}

static int effort_for(const struct config *config, double percent)
{
    double low = (double)config->defrag_threshold_lower, high = (double)config->defrag_threshold_upper;
    double share = percent >= high || high <= low ? 1 : percent <= low ? 0 : (percent - low) / (high - low);
    double least = (double)config->defrag_cycle_min, most = (double)config->defrag_cycle_max;
    return (int)(most <= least ? most : least + share * (most - least));
}

/* Whoever switches it off and on again wants it to be considered at once. */
static void forget(struct server_defrag *defrag)
{
    defrag->fruitful = false;
    defrag->judge_ms = 0;
    defrag->vain_waste = 0;
}

static void end_run(struct server_defrag *defrag)
{
    if (!defrag->running)
        return;
    defrag->running = false;
    defrag->effort = 0;
    defrag->run_ns += clock_mono_ns() - defrag->begun_ns;
}

void defrag_stop(struct server *server)
{
    end_run(&server->defrag);
    defrag_walk_fini(&server->defrag.walk);
}

static void begin(struct server *server, const struct mem_stats *stats)
{
    struct server_defrag *defrag = &server->defrag;
    mem_compact_begin();
    defrag->running = true;
    defrag->db = 0;
    defrag->before = defrag->stats;
    defrag->waste_percent = waste_percent(stats);
    defrag->effort = effort_for(&server->config, defrag->waste_percent);
    defrag->begun_ns = clock_mono_ns();
    net_wake_background(server->net);
}

/* A walk that began early in a large deletion has more to do than it knew. */
static void follow_waste(struct server *server, int64_t now_ms)
{
    struct server_defrag *defrag = &server->defrag;
    if (now_ms >= defrag->judge_ms) {
        struct mem_stats stats;
        mem_stats_read(&stats);
        double percent = waste_percent(&stats);
        defrag->waste_percent = percent > defrag->waste_percent ? percent : defrag->waste_percent;
        defrag->judge_ms = now_ms + JUDGE_MS;
    }
    defrag->effort = effort_for(&server->config, defrag->waste_percent);
}

void defrag_judge(struct server *server, int64_t now_ms)
{
    struct server_defrag *defrag = &server->defrag;
    size_t used = mem_used();
    if (used > defrag->most_used)
        defrag->most_used = used;
    if (!server->config.activedefrag) {
        defrag_stop(server);
        forget(defrag);
        return;
    }
    if (defrag->running)
        follow_waste(server, now_ms);
    if (defrag->running || now_ms < defrag->judge_ms || server->child.kind != CHILD_NONE ||
        defrag->most_used < (uint64_t)server->config.defrag_ignore_bytes)
        return;
    defrag->judge_ms = now_ms + JUDGE_MS;
    struct mem_stats stats;
    mem_stats_read(&stats);
    if (!is_fragmented(server, &stats)) {
        forget(defrag);
        defrag->judge_ms = now_ms + JUDGE_MS;
        return;
    }
    size_t waste = waste_of(&stats);
    if (waste < defrag->vain_waste)
        defrag->vain_waste = waste;
    if (defrag->vain_waste && now_ms < defrag->vain_end_ms && waste <= defrag->vain_waste + defrag->vain_waste / 4)
        return;
    begin(server, &stats);
}

static void finish(struct server *server)
{
    struct server_defrag *defrag = &server->defrag;
    uint64_t moved = defrag->stats.moves.moved - defrag->before.moves.moved;
    uint64_t stayed = defrag->stats.moves.stayed - defrag->before.moves.stayed;
    end_run(defrag);
    mem_compact_begin();
    defrag->fruitful = moved && moved * POOR_SHARE >= stayed;
    defrag->vain_waste = 0;
    if (defrag->fruitful)
        return;
    struct mem_stats stats;
    mem_stats_read(&stats);
    defrag->vain_waste = waste_of(&stats);
    defrag->vain_end_ms = clock_wall_ms() + REST_MS;
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
        defrag->resume_ns = at_ns + (at_ns - start_ns) * (uint64_t)(100 - defrag->effort) / (uint64_t)defrag->effort;
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
