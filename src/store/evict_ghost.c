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

struct ghost_dates {
    uint8_t dates[LINE_GHOSTS]; /* of the line's */
};

void evict_ghosts_fini(struct evict_ghosts *ghosts)
{
    mem_free(ghosts->lines);
    mem_free(ghosts->dates);
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

static size_t place_of(const struct evict_ghosts *ghosts, uint64_t hash)
{
    uint64_t mixed = hash * 0x9e3779b97f4a7c15ull >> 32;
    return mixed * ghosts->count >> 32;
}

void evict_ghosts_add(struct evict_ghosts *ghosts, uint64_t hash, size_t keys)
{
    resize(ghosts, keys);
    struct ghost_line *line = &ghosts->lines[place_of(ghosts, hash)];
    memmove(line->prints + 1, line->prints, sizeof *line - sizeof line->prints[0]);
    line->prints[0] = print_of(hash);
}

void evict_ghosts_add_dated(struct evict_ghosts *ghosts, uint64_t hash, size_t keys, uint8_t date)
{
    evict_ghosts_add(ghosts, hash, keys);
    if (!ghosts->dates)
        ghosts->dates = mem_zalloc(ghosts->count * sizeof *ghosts->dates);
    uint8_t *dates = ghosts->dates[place_of(ghosts, hash)].dates;
    memmove(dates + 1, dates, LINE_GHOSTS - 1);
    dates[0] = date;
}

bool evict_ghosts_take_dated(struct evict_ghosts *ghosts, uint64_t hash, uint8_t *date)
{
    if (!ghosts->lines)
        return false;
    size_t place = place_of(ghosts, hash);
    struct ghost_line *line = &ghosts->lines[place];
    uint16_t print = print_of(hash);
    int at = 0;
    while (at < LINE_GHOSTS && line->prints[at] != print)
        at++;
    if (at == LINE_GHOSTS)
        return false;
    size_t older = (size_t)(LINE_GHOSTS - at - 1);
    memmove(line->prints + at, line->prints + at + 1, older * sizeof print);
    line->prints[LINE_GHOSTS - 1] = 0;
    *date = 0;
    if (ghosts->dates) {
        uint8_t *dates = ghosts->dates[place].dates;
        *date = dates[at];
        memmove(dates + at, dates + at + 1, older);
    }
    return true;
}

bool evict_ghosts_take(struct evict_ghosts *ghosts, uint64_t hash)
{
    uint8_t date;
    return evict_ghosts_take_dated(ghosts, hash, &date);
}

size_t evict_ghosts_memory(const struct evict_ghosts *ghosts)
{
    size_t dates = ghosts->dates ? mem_good_size(ghosts->count * sizeof *ghosts->dates) : 0;
    return dates + (ghosts->lines ? mem_good_size(ghosts->count * sizeof *ghosts->lines) : 0);
}
