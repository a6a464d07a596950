/*
 * MEMORY, and the figures that it shares with INFO.
 */
#include "server/memory.h"

#include <stdio.h>
#include <unistd.h>

#include "cmd/object.h"
#include "engine/aside.h"
#include "engine/command.h"
#include "engine/insight.h"
#include "engine/session.h"
#include "server/errand.h"
#include "server_priv.h"
#include "store/census.h"
#include "store/evict.h"
#include "store/keyspace.h"

/* The second number of /proc/self/statm, in bytes. */
static size_t read_resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    unsigned long pages = 0;
    int fields = fscanf(file, "%*u %lu", &pages);
    fclose(file);
    return fields == 1 ? pages * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

size_t memory_of_watching(const struct server *server)
{
    return evict_memory(server->keyspace) + curve_memory(&server->keyspace->curve) +
           insight_memory(server->engine->insight) + census_memory(server->census);
}

void memory_facts_read(struct server *server, struct memory_facts *facts)
{
    cron_sample_memory(server);
    *facts = (struct memory_facts){
        .used = mem_used(),
        .peak = server->memory_peak,
        .startup = server->memory_at_start,
        .resident = read_resident(),
        .system = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE),
        .clients = clients_memory(server),
    };
    for (int i = 0; i < server->keyspace->db_count; i++) {
        facts->tables += table_overhead_bytes(&server->keyspace->dbs[i]->table);
        facts->keys += keyspace_size(server->keyspace->dbs[i]);
    }
    facts->overhead =
        facts->startup - server->watching_at_start + memory_of_watching(server) + facts->tables + facts->clients;
    if (facts->overhead > facts->used)
        facts->overhead = facts->used;
    facts->dataset = facts->used - facts->overhead;
    size_t grown = facts->used > facts->startup ? facts->used - facts->startup : 0;
    facts->dataset_percent = grown ? 100.0 * (double)facts->dataset / (double)grown : 0;
    mem_stats_read(&facts->allocator);
}

static void reply_pair_int(struct call *call, const char *name, size_t value)
{
    reply_bulk_cstr(call->reply, name);
    reply_int(call->reply, (int64_t)value);
}

static void reply_pair_double(struct call *call, const char *name, double value)
{
    reply_bulk_cstr(call->reply, name);
    reply_double(call->reply, value);
}

static double ratio(size_t a, size_t b)
{
    return b ? (double)a / (double)b : 0;
}

static void reply_databases(struct call *call)
{
    for (int i = 0; i < call->keyspace->db_count; i++) {
        size_t overhead = table_overhead_bytes(&call->keyspace->dbs[i]->table);
        if (!overhead)
            continue;
        reply_bulk_printf(call->reply, "db.%d", i);
        reply_map(call->reply, 3);
        reply_pair_int(call, "overhead.hashtable.main", overhead);
        reply_pair_int(call, "overhead.hashtable.expires", 0);
        reply_pair_int(call, "overhead.hashtable.slot-to-keys", 0);
    }
}

/* Databases whose table takes memory: one that has keys, or had some since it was last flushed. */
static size_t used_databases(const struct keyspace *keyspace)
{
    size_t count = 0;
    for (int i = 0; i < keyspace->db_count; i++)
        count += table_overhead_bytes(&keyspace->dbs[i]->table) != 0;
    return count;
}

static void run_stats(struct call *call)
{
    struct memory_facts f;
    memory_facts_read(server_of(call), &f);
    reply_map(call->reply, 30 + used_databases(call->keyspace));
    reply_pair_int(call, "peak.allocated", f.peak);
    reply_pair_int(call, "total.allocated", f.used);
    reply_pair_int(call, "startup.allocated", f.startup);
    reply_pair_int(call, "replication.backlog", 0);
    reply_pair_int(call, "clients.slaves", 0);
    reply_pair_int(call, "clients.normal", f.clients);
    reply_pair_int(call, "cluster.links", 0);
    reply_pair_int(call, "aof.buffer", aof_log_waiting(&server_of(call)->aof->log));
    reply_pair_int(call, "lua.caches", 0);
    reply_pair_int(call, "functions.caches", 0);
    reply_databases(call);
    reply_pair_int(call, "overhead.db.hashtable.lut", f.tables);
    reply_pair_int(call, "overhead.db.hashtable.rehashing", 0);
    reply_pair_int(call, "overhead.total", f.overhead);
    reply_pair_int(call, "db.dict.rehashing.count", 0);
    reply_pair_int(call, "keys.count", f.keys);
    reply_pair_int(call, "keys.bytes-per-key", f.keys ? (f.used - f.startup) / f.keys : 0);
    reply_pair_int(call, "dataset.bytes", f.dataset);
    reply_pair_double(call, "dataset.percentage", f.dataset_percent);
    reply_pair_double(call, "peak.percentage", 100 * ratio(f.used, f.peak));
    reply_pair_int(call, "allocator.allocated", f.allocator.allocated);
    reply_pair_int(call, "allocator.active", f.allocator.active);
    reply_pair_int(call, "allocator.resident", f.allocator.resident);
    reply_pair_double(call, "allocator-fragmentation.ratio", ratio(f.allocator.active, f.allocator.allocated));
    reply_pair_int(call, "allocator-fragmentation.bytes", f.allocator.active - f.allocator.allocated);
    reply_pair_double(call, "allocator-rss.ratio", ratio(f.allocator.resident, f.allocator.active));
    reply_pair_int(call, "allocator-rss.bytes", f.allocator.resident - f.allocator.active);
    reply_pair_double(call, "rss-overhead.ratio", ratio(f.resident, f.allocator.resident));
    reply_pair_int(call, "rss-overhead.bytes", f.resident - f.allocator.resident);
    reply_pair_double(call, "fragmentation", ratio(f.resident, f.used));
    reply_pair_int(call, "fragmentation.bytes", f.resident - f.used);
}

/* Appends one finding of the doctor. */
static void diagnose(struct buf *out, bool ill, const char *finding)
{
    if (ill)
        buf_printf(out, " * %s\n\n", finding);
}

static void run_doctor(struct call *call)
{
    enum { SMALL = 5 << 20 };
    struct memory_facts f;
    memory_facts_read(server_of(call), &f);
    struct buf out = BUF_EMPTY;
    if (f.used < SMALL) {
        buf_append_cstr(&out, "This server holds less than 5 MB, too little to say anything useful about its memory.");
    } else {
        struct buf findings = BUF_EMPTY;
        diagnose(&findings, ratio(f.peak, f.used) > 1.5,
            "Peak memory: at its peak the server used more than 1.5 times what it uses now. Resident memory may stay "
            "near the peak for a while; MEMORY PURGE gives back what can be given back.");
        diagnose(&findings, ratio(f.resident, f.used) > 1.4 && f.resident - f.used > 10 << 20,
            "Fragmentation: the process occupies more than 1.4 times what it uses. If this stays so after MEMORY "
            "PURGE, keys of very different sizes come and go; a restart packs them.");
        diagnose(&findings,
            ratio(f.allocator.active, f.allocator.allocated) > 1.1 &&
                f.allocator.active - f.allocator.allocated > 10 << 20,
            "Allocator fragmentation: more than 10 % of the allocator's pages lie fallow between live allocations.");
        const struct memory_settings *limits = &server_of(call)->config.engine.memory;
        bool full = limits->limit && f.used > limits->limit - limits->limit / 50;
        diagnose(&findings, full && limits->evict.policy == EVICT_NOTHING_EVER,
            "Limit: memory in use is at maxmemory, and maxmemory-policy is noeviction, so commands that take memory "
            "are refused or soon will be. Raise maxmemory, or choose a policy that evicts.");
        diagnose(&findings, limits->limit > f.system,
            "Limit: maxmemory is more than this machine has; the system will swap, or end the server, before it is "
            "reached.");
        diagnose(&findings, !limits->limit && f.resident > f.system / 4 * 3,
            "Limit: the server occupies more than three quarters of the machine's memory, and maxmemory is not set.");
        size_t sessions = server_of(call)->engine->session_count;
        diagnose(&findings, sessions && f.clients / sessions > 200 * 1024,
            "Client buffers: clients hold more than 200 kB each on average. Some send large pipelines or do not read "
            "their replies; CLIENT LIST shows which (omem, qbuf).");
        buf_printf(&out,
            findings.len ? "What stands out in this server's memory:\n\n%s"
                         : "Nothing stands out in this server's memory.%s",
            buf_cstr(&findings));
        buf_fini(&findings);
    }
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

static void purge(void *context)
{
    (void)context;
    mem_purge();
}

/* Giving gigabytes back takes tenths of a second. */
static void run_purge(struct call *call)
{
    if (call_aside_unheld(call))
        return;
    mem_compact_begin();
    if (!errand_run(call, purge, NULL))
        mem_purge();
    reply_ok(call->reply);
}

static void append_report(void *context, const char *text)
{
    buf_append_cstr(context, text);
}

static void run_malloc_stats(struct call *call)
{
    struct buf out = BUF_EMPTY;
    mem_report(append_report, &out);
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "CURVE",
        "    Show what the hit ratio would be with 0.5, 1, 2 and 4 times the memory.",
        "DOCTOR",
        "    Report what stands out in the server's use of memory.",
        "MALLOC-STATS",
        "    Show the allocator's own report.",
        "PURGE",
        "    Give unused pages back to the system.",
        "STATS",
        "    Show where the server's memory is.",
        "USAGE <key> [SAMPLES <count>]",
        "    Show how many bytes a key and its value take. Larder counts all of it, whatever the number of samples.",
        NULL,
    };
    call_reply_help(call, lines);
}

static const char *const stats_tips[] = { "nondeterministic_output", "request_policy:all_shards",
    "response_policy:special", NULL };
static const char *const purge_tips[] = { "request_policy:all_shards", "response_policy:all_succeeded", NULL };

static const struct command subcommands[] = {
    { .name = "CURVE",
        .run = insight_run_curve,
        .argc = EXACTLY(2),
        .group = GROUP_SERVER,
        .since = "7.4.0",
        .complexity = "O(1)",
        .tips = stats_tips,
        .brief = "Estimates the hit ratio with less and with more memory." },
    { .name = "DOCTOR",
        .run = run_doctor,
        .argc = EXACTLY(2),
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(1)",
        .tips = stats_tips,
        .brief = "Reports what stands out in the server's use of memory." },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { .name = "MALLOC-STATS",
        .run = run_malloc_stats,
        .argc = EXACTLY(2),
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(1)",
        .tips = stats_tips,
        .brief = "Shows the allocator's own report." },
    { .name = "PURGE",
        .run = run_purge,
        .argc = EXACTLY(2),
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(1)",
        .tips = purge_tips,
        .brief = "Gives unused pages back to the system." },
    { .name = "STATS",
        .run = run_stats,
        .argc = EXACTLY(2),
        .group = GROUP_SERVER,
        .since = "4.0.0",
        .complexity = "O(1)",
        .tips = stats_tips,
        .brief = "Shows where the server's memory is." },
    { .name = "USAGE",
        .run = object_run_memory_usage,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_SERVER,
        .keys = { KEY_AT(2, KEY_RO) },
        .since = "4.0.0",
        .complexity = "O(1)",
        .usage = "key [SAMPLES count]",
        .brief = "Replies with the bytes that a key and its value take." },
    { 0 },
};

const struct command memory_commands[] = {
    { .name = "MEMORY",
        .argc = AT_LEAST(2),
        .group = GROUP_SERVER,
        .subcommands = subcommands,
        .since = "4.0.0",
        .complexity = "Depends on the subcommand.",
        .brief = "Tells about memory." },
    { 0 },
};
