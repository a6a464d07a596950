/*
 * A table of fingerprints, two bytes for each key that is remembered. A hash chooses a line of 64 bytes, in which the
 * newest stands first and the oldest falls out at the end; so adding and asking cost one cache line each, and nothing
 * points anywhere. Lines fill unevenly, so what is remembered is the last of about so many, which is all that matters.
 *
 * A large table would be a part of the limit of memory that nobody has made room for yet. So its lines come in parts,
 * one after another, as keys go.
 */
#include "store/evict_ghost.h"

#include <string.h>

#include "base/mem.h"

enum {
    LINE_GHOSTS = 32,
    GROW_PERCENT = 125,
    PARTS = EVICT_GHOST_PARTS,
    SMALL = 1024, /* lines: so few are one part */
};

struct ghost_line {
    uint16_t prints[LINE_GHOSTS]; /* 0: nobody */
};

struct ghost_dates {
    uint8_t dates[LINE_GHOSTS]; /* of the line's */
};

void evict_ghosts_fini(struct evict_ghosts *ghosts)
{
    for (int i = 0; i < PARTS; i++) {
        mem_free(ghosts->lines[i]);
        mem_free(ghosts->dates[i]);
    }
    *ghosts = (struct evict_ghosts){ 0 };
}

static void resize(struct evict_ghosts *ghosts, size_t keys)
{
    size_t count = keys / LINE_GHOSTS + 1;
    if (ghosts->count && count * 2 >= ghosts->count && count * 100 <= ghosts->count * GROW_PERCENT + 100)
        return;
    evict_ghosts_fini(ghosts);
    ghosts->count = count;
    ghosts->adds = SIZE_MAX / 2;
}

static bool is_small(const struct evict_ghosts *ghosts)
{
    return ghosts->count <= SMALL;
}

static size_t lines_of_part(const struct evict_ghosts *ghosts)
{
    return is_small(ghosts) ? ghosts->count : ghosts->count / PARTS + 1;
}

/* The models choose their sample by other bits of the hash than these. */
static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 16);
    return print ? print : 1;
}

/* The line, and its part. */
struct place {
    size_t part, line;
};

static struct place place_of(const struct evict_ghosts *ghosts, uint64_t hash)
{
    uint64_t mixed = hash * 0x9e3779b97f4a7c15ull >> 32;
    size_t at = mixed * ghosts->count >> 32;
    return is_small(ghosts) ? (struct place){ 0, at } : (struct place){ at % PARTS, at / PARTS };
}

/*
 * The place of a ghost that is to be remembered; false if there is no room for it yet. As many go between two parts as
 * there are lines: what went is more than what a part takes.
 */
static bool find_room(struct evict_ghosts *ghosts, uint64_t hash, size_t keys, struct place *place)
{
    resize(ghosts, keys);
    ghosts->adds++;
    *place = place_of(ghosts, hash);
    if (ghosts->lines[place->part])
        return true;
    if (ghosts->adds < ghosts->count)
        return false;
    ghosts->adds = 0;
    ghosts->lines[place->part] = mem_zalloc(lines_of_part(ghosts) * sizeof *ghosts->lines[0]);
    return true;
}

static void put(struct evict_ghosts *ghosts, struct place place, uint64_t hash)
{
    struct ghost_line *line = &ghosts->lines[place.part][place.line];
    memmove(line->prints + 1, line->prints, sizeof *line - sizeof line->prints[0]);
    line->prints[0] = print_of(hash);
}

void evict_ghosts_add(struct evict_ghosts *ghosts, uint64_t hash, size_t keys)
{
    struct place place;
    if (find_room(ghosts, hash, keys, &place))
        put(ghosts, place, hash);
}

void evict_ghosts_add_dated(struct evict_ghosts *ghosts, uint64_t hash, size_t keys, uint8_t date)
{
    struct place place;
    if (!find_room(ghosts, hash, keys, &place))
        return;
    put(ghosts, place, hash);
    if (!ghosts->dates[place.part])
        ghosts->dates[place.part] = mem_zalloc(lines_of_part(ghosts) * sizeof *ghosts->dates[0]);
    uint8_t *dates = ghosts->dates[place.part][place.line].dates;
    memmove(dates + 1, dates, LINE_GHOSTS - 1);
    dates[0] = date;
}

bool evict_ghosts_take_dated(struct evict_ghosts *ghosts, uint64_t hash, uint8_t *date)
{
    struct place place = place_of(ghosts, hash);
    if (!ghosts->lines[place.part])
        return false;
    struct ghost_line *line = &ghosts->lines[place.part][place.line];
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
    if (ghosts->dates[place.part]) {
        uint8_t *dates = ghosts->dates[place.part][place.line].dates;
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
    size_t memory = 0;
    for (int i = 0; i < PARTS; i++) {
        memory += ghosts->lines[i] ? mem_good_size(lines_of_part(ghosts) * sizeof *ghosts->lines[i]) : 0;
        memory += ghosts->dates[i] ? mem_good_size(lines_of_part(ghosts) * sizeof *ghosts->dates[i]) : 0;
    }
    return memory;
}
