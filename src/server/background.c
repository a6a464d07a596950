/*
 * Background work: tasks of clients, memory to give back, keys that expired; in slices, between the requests.
 *
 * A slice lasts SLICE_NS at most, so nobody waits longer than that for it. While clients are being served, the work
 * gets a third of the time: after a slice the requests go first for twice as long as it took. When nobody asks for
 * anything, tasks and what makes room under a memory limit go on without a pause, and tasks get ALONE_NS: who comes
 * then waits once, and the next slice is short. What nobody waits for (memory to give back, keys that expired) gets
 * half of the time.
 *
 * In its rests the loop sleeps. Schedulers run a thread at once that has slept and is woken, but let one that was
 * always busy queue for a processor, for milliseconds, behind whoever else is: it is that which clients would feel.
 * And a client that was answered is often woken on the loop's own processor, where it cannot run before the loop
 * sleeps: so there is a rest after a slice too if somebody was served just before it.
 *
 * What a task has answered is sent after the slice, so that the rest of it is short too.
 *
 * The walk over what can expire has two gaits. As long as it finds much it is work like any other. When it finds little
 * it only takes a slice every EXPIRY_NAP_NS, about 1 % of the time, and no new round over the databases begins within
 * EXPIRY_ROUND_NS of the last.
 */
#include "base/clock.h"
#include "engine/blame.h"
#include "engine/latency.h"
#include "engine/tracking.h"
#include "server_priv.h"
#include "store/evict.h"
#include "store/keyspace.h"
#include "store/reclaim.h"

enum {
    SLICE_NS = 200 * 1000,
    ALONE_NS = 400 * 1000,
    ANSWERED_NS = 25 * 1000,
    EXPIRY_NAP_NS = 20 * 1000 * 1000,
    EXPIRY_ROUND_NS = 100 * 1000 * 1000,
    EXPIRY_BUCKETS = 64, /* visited between two looks at the clock */
    RECLAIM_ITEMS = 128,
    TRACKING_KEYS = 128,
    SETTLE_BUCKETS = 256,
    /* The walk hurries while it removes at least one key per this many buckets (of about five keys each). */
    EXPIRY_POOR_BUCKETS = 4,
};

/* Frees what is queued; true while more is left. */
static bool run_reclaim(struct server *server, uint64_t end_ns)
{
    bool more = true;
    while (more && clock_mono_ns() < end_ns)
        more = reclaim_step(server->keyspace->reclaim, RECLAIM_ITEMS);
    return more;
}

/* Takes down what tracking remembers no more; true while more is left. */
static bool run_tracking(struct server *server, uint64_t end_ns)
{
    bool more;
    do
        more = tracking_step(server->engine, TRACKING_KEYS);
    while (more && clock_mono_ns() < end_ns);
    return more;
}

/* Goes to the next database that holds something that can expire; false when the round over all databases is over. */
static bool expiry_next_db(struct server *server)
{
    struct server_expiry *expiry = &server->expiry;
    for (expiry->db++; expiry->db < server->keyspace->db_count; expiry->db++)
        if (server->keyspace->dbs[expiry->db]->expires || server->keyspace->dbs[expiry->db]->parts_expire)
            return true;
    expiry->db = -1;
    return false;
}

/* Begins a round; false if nothing can expire. */
static bool expiry_begin(struct server *server, uint64_t now_ns)
{
    server->expiry.db = -1;
    server->expiry.round_start_ns = now_ns;
    return expiry_next_db(server);
}

static uint64_t nap_ns(const struct server *server)
{
    return EXPIRY_NAP_NS / (uint64_t)server->config.active_expire_effort;
}

/* Walks; true if there is reason to go on without a nap. */
static bool run_expiry(struct server *server, uint64_t now_ns, uint64_t end_ns)
{
    struct server_expiry *expiry = &server->expiry;
    if (!expiry->active || server->engine->pause_until_ms || now_ns < expiry->resume_ns)
        return false;
    if (expiry->db < 0 && !expiry_begin(server, now_ns)) {
        expiry->resume_ns = now_ns + EXPIRY_ROUND_NS;
        return false;
    }
    int64_t now_ms = clock_wall_ms();
    size_t removed = 0, visited = 0;
    uint64_t at_ns = now_ns;
    while (at_ns < end_ns) {
        size_t rounds = 0;
        struct db *db = server->keyspace->dbs[expiry->db];
        removed += keyspace_expire_step(server->keyspace, db, EXPIRY_BUCKETS, now_ms, &rounds);
        visited += EXPIRY_BUCKETS;
        at_ns = clock_mono_ns();
        if (rounds && !expiry_next_db(server)) {
            expiry->spent_ns += at_ns - now_ns;
            expiry->resume_ns = expiry->round_start_ns + EXPIRY_ROUND_NS;
            return false;
        }
    }
    expiry->spent_ns += at_ns - now_ns;
    expiry->cap_reached++;
    if (removed * EXPIRY_POOR_BUCKETS >= visited)
        return true;
    expiry->resume_ns = at_ns + nap_ns(server);
    return false;
}

void blame_background(struct server *server, const char *name, uint64_t us)
{
    latency_note(server->engine, name, us);
    blame_hold(server->engine, name, us * 1000, 0);
}

/* The work since *from_ns took that long. */
static void account(struct server *server, const char *name, uint64_t *from_ns)
{
    uint64_t now_ns = clock_mono_ns();
    if (now_ns - *from_ns >= BLAME_US * 1000)
        blame_background(server, name, (now_ns - *from_ns) / 1000);
    *from_ns = now_ns;
}

/* Runs tasks; what is left of the slice begins when they stop. */
static bool run_tasks(struct server *server, uint64_t *end_ns)
{
    struct engine *engine = server->engine;
    size_t count = engine_task_count(engine);
    if (!count)
        return false;
    bool more = engine_run_tasks(engine, server->busy_since_slice ? SLICE_NS / 2 : ALONE_NS);
    cron_set_deadline(server); /* some may have begun to wait */
    bool answered = engine_task_count(engine) < count;
    *end_ns = clock_mono_ns() + (answered ? ANSWERED_NS : SLICE_NS / 2);
    return more;
}

/* Is there more to do, but not yet? Then the loop may sleep until it is. */
static bool rests(struct server *server, uint64_t now_ns)
{
    bool is_urgent = engine_task_count(server->engine) || engine_is_short_of_memory(server->engine);
    bool is_busy = server->busy_since_slice || server->busy_before_slice;
    uint64_t end_ns = server->slice_end_ns + server->slice_spent_ns * (is_busy ? 2 : !is_urgent);
    if (server->only_defrag_pending && !is_urgent && !reclaim_pending(server->keyspace->reclaim) &&
        server->defrag.resume_ns > end_ns)
        end_ns = server->defrag.resume_ns;
    if (!server->background_pending || now_ns >= end_ns)
        return false;
    net_nap_background(server->net, end_ns);
    return true;
}

bool background_run(void *context)
{
    struct server *server = context;
    uint64_t now_ns = clock_mono_ns();
    if (rests(server, now_ns))
        return true;
    uint64_t end_ns = now_ns + SLICE_NS, at_ns = now_ns;
    bool short_of_memory =
        engine_is_short_of_memory(server->engine) && engine_evict_slice(server->engine, now_ns + SLICE_NS / 2);
    account(server, "eviction-cycle", &at_ns);
    server->background_pending = run_tasks(server, &end_ns);
    at_ns = clock_mono_ns(); /* a task's steps are its command's */
    server->background_pending |= reclaim_pending(server->keyspace->reclaim) && run_reclaim(server, end_ns);
    server->background_pending |= run_tracking(server, end_ns);
    account(server, "lazyfree", &at_ns);
    bool defrag_pending = server->defrag.running && defrag_run(server, end_ns);
    account(server, "active-defrag-cycle", &at_ns);
    server->background_pending |= short_of_memory || evict_settle(server->keyspace, SETTLE_BUCKETS);
    at_ns = clock_mono_ns();
    server->background_pending |= run_expiry(server, at_ns, end_ns);
    account(server, "expire-cycle", &at_ns);
    server->only_defrag_pending = defrag_pending && !server->background_pending;
    server->background_pending |= defrag_pending;
    server->slice_end_ns = clock_mono_ns();
    server->slice_spent_ns = server->slice_end_ns - now_ns;
    server->busy_before_slice = server->busy_since_slice;
    server->busy_since_slice = false;
    rests(server, server->slice_end_ns);
    return server->background_pending;
}
