/*
 * What INFO and MEMORY CURVE tell of the census and of the hit ratio with another limit; and the clockwork of both.
 *
 * Another limit is another number of keys: what a key costs now is what it would cost then, and what is not data does
 * not grow with the limit. Without a limit the memory in use is what is multiplied.
 */
#include "engine/insight.h"

#include <time.h>

#include "base/clock.h"
#include "engine/hotkeys.h"
#include "server/memory.h"
#include "server_priv.h"
#include "store/census.h"
#include "store/keyspace.h"

enum {
    IDLE_PART = 10,               /* of the time that nobody asked for anything one part in so many may be used, too */
    CENSUS_SLICE_NS = 200 * 1000, /* at most; one part in so many of that time, ... */
    CENSUS_BUSY_SHARE = 2000,
    CENSUS_IDLE_SHARE = 500, /* ... or of the time that has passed, if the loop needs less than one part in ... */
    CENSUS_IDLE = 50,        /* ... so many of it */
    CENSUS_BUCKETS = 2,      /* between two looks at the clock */
    CURVE_FADE_MS = 10 * 60 * 1000,
};

/* Multiples of memory, in percent. */
static const int multiples[] = { 50, 100, 200, 400 };
enum { MULTIPLES = sizeof multiples / sizeof *multiples };

static uint64_t reads_of(const struct keyspace *keyspace)
{
    return keyspace->stats.hits + keyspace->stats.misses;
}

/*
 * The processor's time that the loop got since it was last asked. That, not the clock's, is what watching has its share
 * of: a server that gets a tenth of a processor has a tenth of the time to spare.
 */
static uint64_t used_ns(struct server_insight *insight)
{
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    uint64_t cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec, used = cpu_ns - insight->cpu_ns;
    insight->cpu_ns = cpu_ns;
    return used;
}

/* How long the census may go on now. It hurries when nobody asks for anything. */
static uint64_t census_slice_ns(uint64_t used, uint64_t passed)
{
    uint64_t slice = used < passed / CENSUS_IDLE ? passed / CENSUS_IDLE_SHARE : used / CENSUS_BUSY_SHARE;
    return slice < CENSUS_SLICE_NS ? slice : CENSUS_SLICE_NS;
}

static void run_census(struct server *server, size_t keys, uint64_t slice_ns)
{
    uint64_t end_ns = clock_mono_ns() + slice_ns;
    while (keys > CENSUS_EXACT_KEYS && clock_mono_ns() < end_ns)
        if (!census_step(server->census, server->keyspace, CENSUS_BUCKETS))
            break;
}

void insight_cron(struct server *server, int64_t now_ms)
{
    struct keyspace *keyspace = server->keyspace;
    struct server_insight *insight = &server->insight;
    size_t keys = 0;
    for (int i = 0; i < keyspace->db_count; i++)
        keys += keyspace_size(keyspace->dbs[i]);
    int64_t elapsed_ms = now_ms - insight->ticked_ms;
    uint64_t passed = elapsed_ms > 0 ? (uint64_t)elapsed_ms * 1000000 : 0, used = used_ns(insight);
    uint64_t spare_ms = (used + passed / IDLE_PART) / 1000000;
    curve_tick(&keyspace->curve, keys, reads_of(keyspace), spare_ms, server->config.engine.memory.limit);
    insight->ticked_ms = now_ms;
    if (!insight->faded_ms)
        insight->faded_ms = now_ms;
    if (now_ms - insight->faded_ms >= CURVE_FADE_MS) {
        curve_fade(&keyspace->curve, reads_of(keyspace));
        insight->faded_ms = now_ms;
    }
    insight_tick(server->engine, now_ms, spare_ms);
    run_census(server, keys, census_slice_ns(used, passed));
}

void insight_reset_stats(struct server *server)
{
    insight_reset(server->engine, clock_wall_ms());
    curve_reset(&server->keyspace->curve, 0); /* hits and misses begin anew, too */
}

/* --- The curve --- */

struct point {
    double keys, hits; /* hits: share of reads */
};

static void read_curve(struct server *server, struct point points[MULTIPLES])
{
    struct memory_facts facts;
    memory_facts_read(server, &facts);
    double overhead = (double)(facts.overhead - facts.tables);
    double data = (double)facts.used - overhead, key_bytes = facts.keys ? data / (double)facts.keys : 0;
    uint64_t limit = server->config.engine.memory.limit;
    for (int i = 0; i < MULTIPLES; i++) {
        double room = limit ? (double)limit * multiples[i] / 100 - overhead : data * multiples[i] / 100;
        points[i].keys = key_bytes > 0 && room > 0 ? room / key_bytes : 0;
        points[i].hits = curve_hit_ratio(&server->keyspace->curve, points[i].keys, reads_of(server->keyspace));
    }
}

void insight_print_info(struct server *server, struct buf *out)
{
    struct curve *curve = &server->keyspace->curve;
    struct point points[MULTIPLES];
    read_curve(server, points);
    for (int i = 0; i < MULTIPLES; i++)
        buf_printf(
            out, "curve_%d_percent_memory:keys=%.0f,hit_ratio=%.4f\r\n", multiples[i], points[i].keys, points[i].hits);
    buf_printf(out, "curve_sampled_reads:%.0f\r\n", curve_weight(curve, reads_of(server->keyspace)));
    buf_printf(out, "curve_sample_rate:%.6f\r\n", curve_rate(curve));
    buf_printf(out, "curve_followed_keys:%zu\r\n", curve_followed(curve));
    buf_printf(out, "census_rounds:%llu\r\n", (unsigned long long)census_rounds(server->census));
    buf_printf(out, "census_progress_perc:%.2f\r\n", 100 * census_progress(server->census, server->keyspace));
    buf_printf(out, "insight_memory:%zu\r\n",
        insight_memory(server->engine->insight) + curve_memory(&server->keyspace->curve));
}

void insight_run_curve(struct call *call)
{
    struct server *server = server_of(call);
    struct curve *curve = &call->keyspace->curve;
    struct point points[MULTIPLES];
    read_curve(server, points);
    reply_map(call->reply, 4);
    reply_bulk_cstr(call->reply, "sampled-reads");
    reply_int(call->reply, (int64_t)curve_weight(curve, reads_of(call->keyspace)));
    reply_bulk_cstr(call->reply, "sample-rate");
    reply_double(call->reply, curve_rate(curve));
    reply_bulk_cstr(call->reply, "followed-keys");
    reply_int(call->reply, (int64_t)curve_followed(curve));
    reply_bulk_cstr(call->reply, "points");
    reply_array(call->reply, MULTIPLES);
    for (int i = 0; i < MULTIPLES; i++) {
        reply_map(call->reply, 3);
        reply_bulk_cstr(call->reply, "memory");
        reply_double(call->reply, (double)multiples[i] / 100);
        reply_bulk_cstr(call->reply, "keys");
        reply_int(call->reply, (int64_t)points[i].keys);
        reply_bulk_cstr(call->reply, "hit-ratio");
        reply_double(call->reply, points[i].hits);
    }
}

/* --- Sizes of keys --- */

/* The lower end of a bin as Redis writes it: 0, 1, ... 512, 1K, ... */
static void print_bin(struct buf *out, int bin)
{
    static const char units[] = { 0, 'K', 'M', 'G', 'T', 'P', 'E' };
    int power = bin ? bin - 1 : 0;
    buf_printf(out, "%d", bin ? 1 << power % 10 : 0);
    if (power >= 10)
        buf_append_char(out, units[power / 10]);
}

static void print_bins(struct buf *out, int db, const char *name, const uint64_t counts[CENSUS_BINS])
{
    bool any = false;
    for (int bin = 0; bin < CENSUS_BINS; bin++) {
        if (!counts[bin])
            continue;
        if (any)
            buf_append_char(out, ',');
        else
            buf_printf(out, "db%d_distrib_%s:", db, name);
        any = true;
        print_bin(out, bin);
        buf_printf(out, "=%llu", (unsigned long long)counts[bin]);
    }
    if (any)
        buf_append_cstr(out, "\r\n");
}

void insight_print_keysizes(struct server *server, struct buf *out)
{
    static const struct {
        enum entry_type type;
        const char *name;
    } shown[] = {
        { ENTRY_STRING, "strings_sizes" },
        { ENTRY_LIST, "lists_items" },
        { ENTRY_SET, "sets_items" },
        { ENTRY_ZSET, "zsets_items" },
        { ENTRY_HASH, "hashes_items" },
    };
    for (int db = 0; db < server->keyspace->db_count; db++) {
        struct census_bins bins;
        if (!keyspace_size(server->keyspace->dbs[db]))
            continue;
        census_read(server->census, server->keyspace, db, &bins);
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
            print_bins(out, db, shown[i].name, bins.count[shown[i].type]);
    }
}
