/*
 * Whether to begin is judged once a second, by the figures that INFO shows. A walk that moved little was in vain: what
 * is lost cannot be won back. The next one begins when a quarter more is lost than that one left, when something was
 * won back without one, or after a minute. So a walk that came too early, in the middle of a deletion say, or over a
 * database that was just emptied, does not put off the one that is needed.
 *
 * Walks take the least to the most effort, the more the more is lost: after each slice they rest for as long as that
 * asks for. A walk that began early in a large deletion has more to do than it knew, so its effort follows what is
 * lost; but not down again, or the more it had won back the slower it would go on.
 */
#include "server/defrag_pace.h"

enum {
    JUDGE_MS = 1000,
    POOR_SHARE = 50, /* a walk that moved less than one of so many allocations was in vain */
    VAIN_MS = 60 * 1000,
    GOING_ON_SHARE = 8, /* of the ignored bytes is worth another walk when the last one was not in vain */
};

static size_t waste_of(const struct mem_stats *stats)
{
    return stats->active > stats->allocated ? stats->active - stats->allocated : 0;
}

static double waste_percent(const struct mem_stats *stats)
{
    return stats->allocated ? 100 * (double)waste_of(stats) / (double)stats->allocated : 0;
}

static int effort_for(const struct defrag_limits *limits, double percent)
{
    double low = (double)limits->percent_lower, high = (double)limits->percent_upper;
    double share = percent >= high || high <= low ? 1 : percent <= low ? 0 : (percent - low) / (high - low);
    double least = (double)limits->effort_min, most = (double)limits->effort_max;
    return (int)(most <= least ? most : least + share * (most - least));
}

void defrag_pace_forget(struct defrag_pace *pace)
{
    *pace = (struct defrag_pace){ 0 };
}

bool defrag_pace_is_due(const struct defrag_pace *pace, int64_t now_ms)
{
    return now_ms >= pace->due_ms;
}

bool defrag_pace_begins(
    struct defrag_pace *pace, const struct defrag_limits *limits, const struct mem_stats *stats, int64_t now_ms)
{
    size_t waste = waste_of(stats);
    uint64_t ignored = limits->ignored_bytes / (pace->fruitful ? GOING_ON_SHARE : 1);
    bool is_fragmented = waste > ignored && waste_percent(stats) > (double)limits->percent_lower;
    if (!is_fragmented)
        defrag_pace_forget(pace);
    pace->due_ms = now_ms + JUDGE_MS;
    if (waste < pace->vain_waste)
        pace->vain_waste = waste;
    bool is_vain = pace->vain_waste && now_ms < pace->vain_end_ms && waste <= pace->vain_waste + pace->vain_waste / 4;
    if (!is_fragmented || is_vain)
        return false;
    pace->waste_percent = waste_percent(stats);
    pace->effort = effort_for(limits, pace->waste_percent);
    return true;
}

void defrag_pace_follow(
    struct defrag_pace *pace, const struct defrag_limits *limits, const struct mem_stats *stats, int64_t now_ms)
{
    double percent = waste_percent(stats);
    pace->due_ms = now_ms + JUDGE_MS;
    pace->waste_percent = percent > pace->waste_percent ? percent : pace->waste_percent;
    pace->effort = effort_for(limits, pace->waste_percent);
}

void defrag_pace_end(
    struct defrag_pace *pace, const struct mem_moves *moves, const struct mem_stats *stats, int64_t now_ms)
{
    pace->effort = 0;
    pace->fruitful = moves->moved && moves->moved * POOR_SHARE >= moves->stayed;
    pace->vain_waste = pace->fruitful ? 0 : waste_of(stats);
    pace->vain_end_ms = now_ms + VAIN_MS;
}

uint64_t defrag_pace_rest_ns(const struct defrag_pace *pace, uint64_t taken_ns)
{
    return pace->effort ? taken_ns * (uint64_t)(100 - pace->effort) / (uint64_t)pace->effort : 0;
}
