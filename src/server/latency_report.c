/*
 * Latency events for people: a picture of the samples, and a report that says what can be done.
 */
#include <stdio.h>
#include <string.h>

#include "engine/blame.h"
#include "engine/latency.h"
#include "server_priv.h"

enum { GRAPH_COLUMNS = 80, GRAPH_ROWS = 4, GRAPH_LEVELS = 3 };

/* How long ago, in at most four characters: 7s, 12m, 3h, 5d. */
static void format_age(int64_t age_s, char out[8])
{
    static const struct {
        int64_t s;
        char unit;
    } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
    size_t i = 0;
    while (i < 3 && age_s < units[i].s)
        i++;
    int64_t count = age_s < 0 ? 0 : age_s / units[i].s;
    snprintf(out, 8, "%d%c", (int)(count > 999 ? 999 : count), units[i].unit);
}

void latency_report_graph(const struct latency_event *event, int64_t now_s, struct buf *out)
{
    static const char levels[GRAPH_LEVELS + 1] = "_o#";
    uint32_t columns = event->count < GRAPH_COLUMNS ? event->count : GRAPH_COLUMNS, low = UINT32_MAX, high = 0;
    for (uint32_t age = 0; age < columns; age++) {
        uint32_t ms = latency_sample(event, age)->ms;
        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
    }
    buf_printf(out, "%s - high %u ms, low %u ms (all time high %u ms)\n", event->name, high, low, event->longest_ms);
    for (int i = 0; i < GRAPH_COLUMNS; i++)
        buf_append_char(out, '-');
    buf_append_char(out, '\n');
    for (int row = GRAPH_ROWS - 1; row >= 0; row--) {
        for (uint32_t age = columns; age-- > 0;) {
            uint32_t span = high > low ? high - low : 1;
            int height =
                (int)((uint64_t)(latency_sample(event, age)->ms - low) * (GRAPH_ROWS * GRAPH_LEVELS - 1) / span);
            int level = height - row * GRAPH_LEVELS;
            buf_append_char(out, level < 0 ? ' ' : levels[level < GRAPH_LEVELS ? level : GRAPH_LEVELS - 1]);
        }
        buf_append_char(out, '\n');
    }
    buf_append_char(out, '\n');
    for (size_t line = 0; line < 4; line++) {
        for (uint32_t age = columns; age-- > 0;) {
            char text[8];
            format_age(now_s - latency_sample(event, age)->time_s, text);
            buf_append_char(out, line < strlen(text) ? text[line] : ' ');
        }
        buf_append_char(out, '\n');
    }
}

struct summary {
    uint32_t average_ms, deviation_ms, worst_ms;
    double every_s;
};

static struct summary summarise(const struct latency_event *event)
{
    uint64_t sum = 0, off = 0;
    for (uint32_t age = 0; age < event->count; age++)
        sum += latency_sample(event, age)->ms;
    uint32_t average = (uint32_t)(sum / event->count);
    for (uint32_t age = 0; age < event->count; age++) {
        uint32_t ms = latency_sample(event, age)->ms;
        off += ms > average ? ms - average : average - ms;
    }
    int64_t span_s = latency_sample(event, 0)->time_s - latency_sample(event, event->count - 1)->time_s;
    return (struct summary){ average, (uint32_t)(off / event->count), event->longest_ms,
        event->count > 1 ? (double)span_s / (event->count - 1) : 0 };
}

static const struct {
    const char *event, *text;
} advices[] = {
    { "command", "Look at SLOWLOG GET and LATENCY BLAME for the commands that took long, and ask for less at once." },
    { "fast-command", "Commands that are short by nature took long: look for a machine that swaps, is short of "
                      "processor time, or has transparent huge pages switched on." },
    { "fork",
        "Forking copies the page tables of all memory: save less often, or use a smaller machine for each server." },
    { "expire-cycle", "Many keys expire at the same moment: spread their times a little." },
    { "eviction-cycle",
        "Memory is at its limit and large values are removed: raise maxmemory, or store smaller values." },
    { "active-defrag-cycle", "Defragmentation takes long slices: very large values are being moved." },
    { "aof-write", "The disk is slow, or busy: see whether something else writes to it." },
    { "aof-fsync-always", "The disk is asked to be sure at every write: 'appendfsync everysec' asks once a second." },
};

static void append_advice(const struct latency_event *event, struct buf *out)
{
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (strcmp(event->name, advices[i].event) == 0)
            buf_printf(out, "   %s\n", advices[i].text);
}

static void append_blame(struct server *server, struct buf *out)
{
    struct blame worst[3];
    size_t count = blame_list(server->engine, worst, 3);
    if (count)
        buf_append_cstr(out, "\nWho made others wait most (LATENCY BLAME):\n");
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "   %s: %llu times, %.1f ms in all, %.1f ms at worst; %llu requests of others waited\n",
            worst[i].name, (unsigned long long)worst[i].holds, (double)worst[i].ns / 1e6,
            (double)worst[i].longest_ns / 1e6, (unsigned long long)worst[i].waited);
}

void latency_report_doctor(struct server *server, struct buf *out)
{
    const struct latency_event *event = latency_first(server->engine);
    if (server->config.engine.latency_threshold_ms == 0)
        buf_append_cstr(out, "Events are not being recorded: CONFIG SET latency-monitor-threshold <milliseconds> "
                             "says from which duration on they are.\n");
    else if (!event)
        buf_printf(
            out, "Nothing has taken %lld ms or longer.\n", (long long)server->config.engine.latency_threshold_ms);
    for (int number = 1; event; event = event->next, number++) {
        struct summary summary = summarise(event);
        buf_printf(out, "%d. %s: %u samples (one every %.0f s), on average %u ms, mean deviation %u ms, worst %u ms.\n",
            number, event->name, event->count, summary.every_s, summary.average_ms, summary.deviation_ms,
            summary.worst_ms);
        append_advice(event, out);
    }
    append_blame(server, out);
}
