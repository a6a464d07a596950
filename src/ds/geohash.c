/*
 * Geohash: encoding, measuring, and covering a shape with ranges of numbers.
 *
 * A cover is made of cells: at level s the map has 2^s columns and rows, and a cell is one range of numbers, for it
 * shares its first 2 s bits. The shape's bounding box (in degrees; longitudes may run over the date line) decides the
 * level, the finest at which it touches no more than four columns and four rows. Cells that follow each other become
 * one range. The order of a search that nothing sorts comes from other cells, the nine around the centre, which cut
 * the ranges to pieces.
 */
#include "ds/geohash.h"

#include <math.h>
#include <stdlib.h>

enum { LEVELS = GEOHASH_BITS / 2, CELLS_ACROSS = 4, TEXT_BITS = 5 };

#define EARTH_RADIUS 6372797.560856
/* Half of what is around the equator on maps of the web (EPSG:3857), in their metres. */
#define MERCATOR_HALF 20037726.37

static double radians(double degrees)
{
    return degrees * (M_PI / 180);
}

static double degrees(double angle)
{
    return angle * (180 / M_PI);
}

/* --- Numbers --- */

/* Spreads 32 bits over the even places of 64. */
static uint64_t spread(uint32_t bits)
{
    uint64_t wide = bits;
    for (int shift = 16; shift; shift /= 2) {
        static const uint64_t masks[] = { [1] = 0x5555555555555555,
            [2] = 0x3333333333333333,
            [4] = 0x0f0f0f0f0f0f0f0f,
            [8] = 0x00ff00ff00ff00ff,
            [16] = 0x0000ffff0000ffff };
        wide = (wide | wide << shift) & masks[shift];
    }
    return wide;
}

/* The even places of 64 bits, moved together. */
static uint32_t gather(uint64_t wide)
{
    wide &= 0x5555555555555555;
    for (int shift = 1; shift <= 16; shift *= 2) {
        static const uint64_t masks[] = { [1] = 0x3333333333333333,
            [2] = 0x0f0f0f0f0f0f0f0f,
            [4] = 0x00ff00ff00ff00ff,
            [8] = 0x0000ffff0000ffff,
            [16] = 0x00000000ffffffff };
        wide = (wide | wide >> shift) & masks[shift];
    }
    return (uint32_t)wide;
}

static uint64_t interleave(uint32_t column, uint32_t row)
{
    return spread(column) << 1 | spread(row);
}

/* The step that `value` falls into, of 2^26 from -max to max. */
static uint32_t step_of(double value, double max)
{
    return (uint32_t)((value + max) / (2 * max) * (1 << LEVELS));
}

static double middle_of(uint32_t step, double max)
{
    double low = -max + step * 1.0 / (1 << LEVELS) * (2 * max);
    double high = -max + (step + 1.0) / (1 << LEVELS) * (2 * max);
    double middle = (low + high) / 2;
    return middle > max ? max : middle < -max ? -max : middle;
}

uint64_t geohash_encode(struct geo_place place)
{
    return interleave(step_of(place.longitude, GEO_LONGITUDE_MAX), step_of(place.latitude, GEO_LATITUDE_MAX));
}

struct geo_place geohash_decode(uint64_t hash)
{
    return (
        struct geo_place){ middle_of(gather(hash >> 1), GEO_LONGITUDE_MAX), middle_of(gather(hash), GEO_LATITUDE_MAX) };
}

void geohash_text(struct geo_place place, char out[GEOHASH_TEXT_LEN])
{
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t hash = interleave(step_of(place.longitude, GEO_LONGITUDE_MAX), step_of(place.latitude, 90));
    for (int i = 0; i < GEOHASH_TEXT_LEN; i++) {
        int shift = GEOHASH_BITS - (i + 1) * TEXT_BITS;
        out[i] = alphabet[shift < 0 ? 0 : hash >> shift & 31];
    }
}

/* --- Measuring --- */

static double meridian_distance(double latitude, double other)
{
    return EARTH_RADIUS * fabs(radians(other) - radians(latitude));
}

double geo_distance(struct geo_place a, struct geo_place b)
{
    double across = sin((radians(b.longitude) - radians(a.longitude)) / 2);
    if (across == 0)
        return meridian_distance(a.latitude, b.latitude);
    double from = radians(a.latitude), to = radians(b.latitude), along = sin((to - from) / 2);
    return 2 * EARTH_RADIUS * asin(sqrt(along * along + cos(from) * cos(to) * across * across));
}

bool geo_shape_has(const struct geo_shape *shape, struct geo_place place, double *distance)
{
    struct geo_place beside = { shape->centre.longitude, place.latitude };
    if (shape->is_box && (meridian_distance(place.latitude, shape->centre.latitude) > shape->height / 2 ||
                             geo_distance(place, beside) > shape->width / 2))
        return false;
    double measured = geo_distance(shape->centre, place);
    if (!shape->is_box && measured > shape->radius)
        return false;
    *distance = measured;
    return true;
}

/* --- Covering --- */

/* Bounds in degrees; `east` may lie beyond the date line, or `west` before it. */
struct bounds {
    double west, east, south, north;
};

/* Half of the longitudes that a shape reaches over; 180 if it has all of them. */
static double reach_across(const struct geo_shape *shape, double south, double north)
{
    double steepest = fmax(fabs(south), fabs(north));
    if (steepest >= 90)
        return 180;
    double sine;
    if (shape->is_box) {
        if (shape->width >= EARTH_RADIUS * 2 * M_PI)
            return 180;
        sine = sin(shape->width / 4 / EARTH_RADIUS) / cos(radians(steepest));
        return sine >= 1 ? 180 : degrees(2 * asin(sine));
    }
    sine = sin(shape->radius / EARTH_RADIUS) / cos(radians(shape->centre.latitude));
    return sine >= 1 ? 180 : degrees(asin(sine));
}

static struct bounds bounds_of(const struct geo_shape *shape)
{
    /* Somewhat more, for what rounding takes away. */
    const double more = 1e-6;
    double tall = degrees((shape->is_box ? shape->height / 2 : shape->radius) / EARTH_RADIUS) + more;
    double south = shape->centre.latitude - tall, north = shape->centre.latitude + tall;
    double wide = reach_across(shape, south, north) + more;
    struct bounds bounds = { shape->centre.longitude - wide, shape->centre.longitude + wide, south, north };
    if (wide >= 180)
        bounds = (struct bounds){ -180, 180, south, north };
    bounds.south = fmax(south, -GEO_LATITUDE_MAX);
    bounds.north = fmin(north, GEO_LATITUDE_MAX);
    return bounds;
}

/* Which of 2^level cells from -max to max; beyond them it goes on counting. */
static int64_t cell_of(double value, double max, int level)
{
    return (int64_t)floor((value + max) / (2 * max) * (double)(1 << level));
}

static int compare_ranges(const void *a, const void *b)
{
    const struct geohash_range *one = a, *other = b;
    return (one->first > other->first) - (one->first < other->first);
}

/* Sorts, and joins what touches; how many are left. */
static size_t join(struct geohash_range *ranges, size_t count)
{
    size_t last = 0;
    qsort(ranges, count, sizeof *ranges, compare_ranges);
    for (size_t i = 1; i < count; i++) {
        if (ranges[i].first > ranges[last].last + 1)
            ranges[++last] = ranges[i];
        else if (ranges[i].last > ranges[last].last)
            ranges[last].last = ranges[i].last;
    }
    return last + 1;
}

size_t geohash_cover(const struct geo_shape *shape, struct geohash_range ranges[GEOHASH_COVER_MAX])
{
    struct bounds bounds = bounds_of(shape);
    int level = LEVELS + 1;
    int64_t west, east, south, north, end;
    do {
        level--;
        end = (int64_t)1 << level;
        west = cell_of(bounds.west, GEO_LONGITUDE_MAX, level);
        east = cell_of(bounds.east, GEO_LONGITUDE_MAX, level);
        south = cell_of(bounds.south, GEO_LATITUDE_MAX, level);
        north = cell_of(bounds.north, GEO_LATITUDE_MAX, level);
        north = north < end ? north : end - 1;
    } while (level > 0 && (east - west >= CELLS_ACROSS || north - south >= CELLS_ACROSS));
    size_t count = 0;
    int shift = GEOHASH_BITS - 2 * level;
    for (int64_t column = west; column <= east && column < west + end; column++)
        for (int64_t row = south; row <= north; row++) {
            uint64_t cell = interleave((uint32_t)(column & (end - 1)), (uint32_t)row);
            ranges[count++] = (struct geohash_range){ cell << shift, ((cell + 1) << shift) - 1 };
        }
    /* Where the uttermost places are, which have a bit more. */
    if (bounds.west <= -GEO_LONGITUDE_MAX || bounds.east >= GEO_LONGITUDE_MAX || bounds.north >= GEO_LATITUDE_MAX)
        ranges[count++] = (struct geohash_range){ (uint64_t)1 << GEOHASH_BITS, ((uint64_t)4 << GEOHASH_BITS) - 1 };
    return join(ranges, count);
}

/* --- Arranging --- */

/* The radius of the smallest circle around all of a shape. */
static double outer_radius(const struct geo_shape *shape)
{
    return shape->is_box ? hypot(shape->width / 2, shape->height / 2) : shape->radius;
}

/* Where the `index`th of 2^level cells begins. */
static double end_of(int64_t index, double max, int level)
{
    return -max + (double)index / (double)(1 << level) * (2 * max);
}

/*
 * True if a shape reaches beyond the cells around the centre's, as far as Redis sees it: which cells those are decides
 * the order of what is not sorted. Its box is as wide as at the side nearer to a pole, and the map's last cell has the
 * first one behind it.
 */
static bool reaches_beyond(const struct geo_shape *shape, int level, int64_t column, int64_t row)
{
    double latitude = shape->centre.latitude, longitude = shape->centre.longitude;
    double tall = degrees((shape->is_box ? shape->height / 2 : shape->radius) / EARTH_RADIUS);
    double narrowest = cos(radians(latitude < 0 ? latitude - tall : latitude + tall));
    double wide = degrees((shape->is_box ? shape->width / 2 : shape->radius) / EARTH_RADIUS / narrowest);
    int64_t mask = ((int64_t)1 << level) - 1;
    return end_of(((row + 1) & mask) + 1, GEO_LATITUDE_MAX, level) < latitude + tall ||
           end_of((row - 1) & mask, GEO_LATITUDE_MAX, level) > latitude - tall ||
           end_of(((column + 1) & mask) + 1, GEO_LONGITUDE_MAX, level) < longitude + wide ||
           end_of((column - 1) & mask, GEO_LONGITUDE_MAX, level) > longitude - wide;
}

/* How often the map is halved, along both axes, to cells that are about as wide as the radius. */
static int level_for(const struct geo_shape *shape)
{
    double radius = outer_radius(shape), latitude = fabs(shape->centre.latitude);
    int level = LEVELS;
    if (radius >= MERCATOR_HALF)
        level = 1;
    else if (radius > 1e-3)
        level = (int)ceil(log2(MERCATOR_HALF / radius)) - 1;
    /* Towards the poles cells are narrower than the map shows them. */
    level -= (latitude > 66) + (latitude > 80);
    return level < 1 ? 1 : level > LEVELS ? LEVELS : level;
}

/* The centre's cell and those around it, each once, in the order in which they are searched; how many. */
static size_t neighbourhood(const struct geo_shape *shape, struct geohash_range cells[GEOHASH_CELLS])
{
    static const struct {
        int east, north;
    } ways[GEOHASH_CELLS] = { { 0, 0 }, { 0, 1 }, { 0, -1 }, { 1, 0 }, { -1, 0 }, { 1, 1 }, { -1, 1 }, { 1, -1 },
        { -1, -1 } };
    int level = level_for(shape);
    int64_t column = cell_of(shape->centre.longitude, GEO_LONGITUDE_MAX, level);
    int64_t row = cell_of(shape->centre.latitude, GEO_LATITUDE_MAX, level);
    if (level > 1 && reaches_beyond(shape, level, column, row)) {
        level--;
        column /= 2;
        row /= 2;
    }
    int shift = GEOHASH_BITS - 2 * level;
    uint32_t mask = ((uint32_t)1 << level) - 1;
    size_t count = 0;
    for (size_t i = 0; i < GEOHASH_CELLS; i++) {
        uint64_t cell = interleave((uint32_t)(column + ways[i].east) & mask, (uint32_t)(row + ways[i].north) & mask);
        bool is_new = true;
        for (size_t j = 0; j < count; j++)
            is_new = is_new && cells[j].first != cell << shift;
        if (is_new)
            cells[count++] = (struct geohash_range){ cell << shift, ((cell + 1) << shift) - 1 };
    }
    return count;
}

/* The end of what begins at `at` in a range and lies all in one cell, or in none. */
static uint64_t piece_end(
    struct geohash_range range, uint64_t at, const struct geohash_range *cells, size_t count, bool *in_cell)
{
    uint64_t end = range.last;
    *in_cell = false;
    for (size_t i = 0; i < count; i++) {
        if (at >= cells[i].first && at <= cells[i].last) {
            *in_cell = true;
            return cells[i].last < range.last ? cells[i].last : range.last;
        }
        if (cells[i].first > at && cells[i].first - 1 < end)
            end = cells[i].first - 1;
    }
    return end;
}

size_t geohash_arrange(const struct geo_shape *shape, const struct geohash_range *ranges, size_t count,
    struct geohash_range pieces[GEOHASH_PIECES_MAX])
{
    struct geohash_range cells[GEOHASH_CELLS];
    size_t cell_count = neighbourhood(shape, cells), piece_count = 0;
    for (size_t i = 0; i < cell_count; i++)
        for (size_t j = 0; j < count; j++) {
            struct geohash_range piece = { ranges[j].first > cells[i].first ? ranges[j].first : cells[i].first,
                ranges[j].last < cells[i].last ? ranges[j].last : cells[i].last };
            if (piece.first <= piece.last)
                pieces[piece_count++] = piece;
        }
    for (size_t j = 0; j < count; j++) {
        uint64_t end;
        for (uint64_t at = ranges[j].first; at <= ranges[j].last; at = end + 1) {
            bool in_cell;
            end = piece_end(ranges[j], at, cells, cell_count, &in_cell);
            if (!in_cell)
                pieces[piece_count++] = (struct geohash_range){ at, end };
        }
    }
    return piece_count;
}
