/*
 * Geohash: encoding, measuring, and covering a shape with ranges of numbers.
 *
 * A cover is made of cells: at level s the map has 2^s columns and rows, and a cell is one range of numbers, for it
 * shares its first 2 s bits. The shape's bounding box (in degrees; longitudes may run over the date line) decides the
 * level, the finest at which it touches no more than four columns and four rows. Cells that follow each other become
 * one range.
 */
#include "ds/geohash.h"

#include <math.h>
#include <stdlib.h>

enum { LEVELS = GEOHASH_BITS / 2, CELLS_ACROSS = 4, TEXT_BITS = 5 };

#define EARTH_RADIUS 6372797.560856

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
