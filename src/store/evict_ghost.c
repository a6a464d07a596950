/*
 * A table of fingerprints, two bytes for each key that is remembered. A hash chooses a line of 64 bytes, in which the
 * newest stands first and the oldest falls out at the end; so adding and asking cost one cache line each, and nothing
 * points anywhere. Lines fill unevenly, so what is remembered is the last of about so many, which is all that matters.
 */
#include "store/evict_ghost.h"

#include <string.h>

#include "base/mem.h"

enum { LINE_GHOSTS = 32, GROW_PERCENT = 125 };

struct ghost_line {
    uint16_t prints[LINE_GHOSTS]; /* 0: nobody */
};

void evict_ghosts_fini(struct evict_ghosts *ghosts)
{
    mem_free(ghosts->lines);
    *ghosts = (struct evict_ghosts){ 0 };
}

static void resize(struct evict_ghosts *ghosts, size_t keys)
{
    size_t count = keys / LINE_GHOSTS + 1;
    if (ghosts->lines && count * 2 >= ghosts->count && count * 100 <= ghosts->count * GROW_PERCENT + 100)
        return;
    evict_ghosts_fini(ghosts);
    ghosts->lines = mem_zalloc(count * sizeof *ghosts->lines);
    ghosts->count = count;
}

/* The models choose their sample by other bits of the hash than these. */
static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 16);
    return print ? print : 1;
}

static struct ghost_line *line_of(const struct evict_ghosts *ghosts, uint64_t hash)
{
    uint64_t mixed = hash * 0x9e3779b97f4a7c15ull >> 32;
    return &ghosts->lines[mixed * ghosts->count >> 32];
}

void evict_ghosts_add(struct evict_ghosts *ghosts, uint64_t hash, size_t keys)
{
    resize(ghosts, keys);
    struct ghost_line *line = line_of(ghosts, hash);
    memmove(line->prints + 1, line->prints, sizeof *line - sizeof line->prints[0]);
    line->prints[0] = print_of(hash);
}

bool evict_ghosts_take(struct evict_ghosts *ghosts, uint64_t hash)
{
    if (!ghosts->lines)
        return false;
    struct ghost_line *line = line_of(ghosts, hash);
    uint16_t print = print_of(hash);
    int at = 0;
    while (at < LINE_GHOSTS && line->prints[at] != print)
        at++;
    if (at == LINE_GHOSTS)
        return false;
    memmove(line->prints + at, line->prints + at + 1, (size_t)(LINE_GHOSTS - at - 1) * sizeof print);
    line->prints[LINE_GHOSTS - 1] = 0;
    return true;
}

size_t evict_ghosts_memory(const struct evict_ghosts *ghosts)
{
    return ghosts->lines ? mem_good_size(ghosts->count * sizeof *ghosts->lines) : 0;
}
