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
};

static bool is_fragmented(const struct config *config, const struct mem_stats *stats)
{
    if (stats->active <= stats->allocated || !stats->allocated)
        return false;
    size_t waste = stats->active - stats->allocated;
    return waste > (uint64_t)config->defrag_ignore_bytes &&
           (double)waste * 100 > (double)stats->allocated * (double)config->defrag_threshold_lower;
}

void defrag_judge(struct server *server, int64_t now_ms)
{
    struct server_defrag *defrag = &server->defrag;
    if (!server->config.activedefrag) {
        defrag->running = false;
        return;
    }
    if (defrag->running || now_ms < defrag->judge_ms)
        return;
    defrag->judge_ms = now_ms + JUDGE_MS;
    if (mem_used() < (uint64_t)server->config.defrag_ignore_bytes / 2)
        return;
    struct mem_stats stats;
    mem_stats_read(&stats);
    if (!is_fragmented(&server->config, &stats))
        return;
    mem_compact_begin();
    defrag->running = true;
    defrag->db = 0;
    defrag->cursor = 0;
    defrag->before = defrag->stats;
    net_wake_background(server->net);
}

static void finish(struct server *server)
{
    struct server_defrag *defrag = &server->defrag;
    uint64_t keys = defrag->stats.keys - defrag->before.keys;
    uint64_t moved = defrag->stats.moved_keys - defrag->before.moved_keys;
    defrag->running = false;
    if (moved * POOR_SHARE < keys || !keys)
        defrag->judge_ms = clock_wall_ms() + REST_MS;
    mem_compact_begin();
}

bool defrag_run(struct server *server, uint64_t end_ns)
{
    struct server_defrag *defrag = &server->defrag;
    uint64_t start_ns = clock_mono_ns(), at_ns = start_ns;
    while (defrag->running && at_ns < end_ns) {
        struct db *db = server->keyspace->dbs[defrag->db];
        if (!defrag_step(server->keyspace, db, &defrag->cursor, BUCKETS, &defrag->stats) &&
            ++defrag->db == server->keyspace->db_count)
            finish(server);
        at_ns = clock_mono_ns();
    }
    defrag->spent_ns += at_ns - start_ns;
    return defrag->running;
}
