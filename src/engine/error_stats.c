/*
 * Counts of error replies by code word, in a small sorted array: there are few codes, and errors are rare next to
 * commands.
 */
#include "engine/error_stats.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { CODE_SIZE = 32 };

struct error_stats {
    size_t count;
    struct error_stats_row {
        char code[CODE_SIZE];
        uint64_t replies;
    } rows[ERROR_STATS_MAX];
};

struct error_stats *error_stats_create(void)
{
    return mem_zalloc(sizeof(struct error_stats));
}

void error_stats_destroy(struct error_stats *stats)
{
    mem_free(stats);
}

void error_stats_add(struct error_stats *stats, const char *code)
{
    size_t low = 0, high = stats->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(code, stats->rows[middle].code);
        if (order == 0) {
            stats->rows[middle].replies++;
            return;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    if (stats->count == ERROR_STATS_MAX)
        return;
    memmove(&stats->rows[low + 1], &stats->rows[low], (stats->count - low) * sizeof stats->rows[0]);
    snprintf(stats->rows[low].code, CODE_SIZE, "%s", code);
    stats->rows[low].replies = 1;
    stats->count++;
}

void error_stats_reset(struct error_stats *stats)
{
    stats->count = 0;
}

const char *error_stats_at(const struct error_stats *stats, size_t index, uint64_t *count)
{
    if (index >= stats->count)
        return NULL;
    *count = stats->rows[index].replies;
    return stats->rows[index].code;
}
