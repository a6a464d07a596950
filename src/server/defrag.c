/*
 * Active defragmentation: when the allocator's pages are much larger than what lives in them, the databases are walked
 * in slices (store/defrag.h), and the pages that became empty go back to the system.
 *
 * Whether to begin is judged once a second, by the figures that INFO shows. A walk that moved little will not help, and
 * the next one has to wait the longer.
 */
#include "store/defrag.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server_priv.h"
#include "store/keyspace.h"

enum {
    JUDGE_MS = 1000,
    BUCKETS = 16,
    POOR_SHARE = 50, /* a walk that moved less than one of so many keys was in vain ... */
    REST_MS = 60 * 1000,
    GOING_ON_SHARE = 8, /* of active-defrag-ignore-bytes is worth another walk when the last one was not in vain */
};

static bool is_fragmented(const struct server *server, const struct mem_stats *stats)
{
    const struct config *config = &server->config;
    if (stats->active <= stats->allocated || !stats->allocated)
        return false;
    size_t waste = stats->active - stats->allocated;
    uint64_t ignored = (uint64_t)config->defrag_ignore_bytes / (server->defrag.fruitful ? GOING_ON_SHARE : 1);
    return waste > ignored && (double)waste * 100 > (double)stats->allocated * (double)config->defrag_threshold_lower;
}

void defrag_stop(struct server *server)
{
    server->defrag.running = false;
    defrag_walk_fini(&server->defrag.walk);
}

void defrag_judge(struct server *server, int64_t now_ms)
{
    struct server_defrag *defrag = &server->defrag;
    if (!server->config.activedefrag) {
        defrag_stop(server);
        return;
    }
    if (defrag->running || now_ms < defrag->judge_ms)
        return;
    defrag->judge_ms = now_ms + JUDGE_MS;
    if (mem_used() < (uint64_t)server->config.defrag_ignore_bytes / 2)
        return;
    struct mem_stats stats;
    mem_stats_read(&stats);
    if (!is_fragmented(server, &stats)) {
        defrag->fruitful = false;
        return;
    }
    mem_compact_begin();
    defrag->running = true;
    defrag->db = 0;
    defrag->before = defrag->stats;
    net_wake_background(server->net);
}

static void finish(struct server *server)
{
    struct server_defrag *defrag = &server->defrag;
    uint64_t keys = defrag->stats.keys - defrag->before.keys;
    uint64_t moved = defrag->stats.moved_keys - defrag->before.moved_keys;
    defrag->running = false;
    defrag->fruitful = keys && moved * POOR_SHARE >= keys;
    if (!defrag->fruitful)
        defrag->judge_ms = clock_wall_ms() + REST_MS;
    mem_compact_begin();
}

bool defrag_run(struct server *server, uint64_t end_ns)
{
    struct server_defrag *defrag = &server->defrag;
    uint64_t start_ns = clock_mono_ns(), at_ns = start_ns;
    while (defrag->running && at_ns < end_ns) {
        struct db *db = server->keyspace->dbs[defrag->db];
        if (!defrag_step(server->keyspace, db, &defrag->walk, BUCKETS, &defrag->stats) &&
            ++defrag->db == server->keyspace->db_count)
            finish(server);
        at_ns = clock_mono_ns();
    }
    defrag->spent_ns += at_ns - start_ns;
    return defrag->running;
}

uint64_t defrag_whole(struct server *server)
{
    struct server_defrag *defrag = &server->defrag;
    uint64_t before = defrag->stats.moves.moved;
    defrag_stop(server);
    mem_compact_begin();
    for (int db = 0; db < server->keyspace->db_count; db++)
        while (defrag_step(server->keyspace, server->keyspace->dbs[db], &defrag->walk, BUCKETS, &defrag->stats))
            ;
    mem_compact_begin();
    return defrag->stats.moves.moved - before;
}
