/*
 * Geohash: places on the earth as numbers, such that places near each other mostly have numbers near each other.
 *
 * Longitude and latitude are each cut into 2^26 steps, and their bits interleaved, longitude first, to 52 bits, which a
 * double holds exactly. Latitudes end at 85.05112878 degrees, as in maps on the web. A search covers its area with few
 * ranges of numbers and measures what it finds there. The earth is a sphere here, which is wrong by 0.5 % at most.
 *
 * Pure arithmetic. Angles are degrees, distances metres.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX 85.05112878

enum { GEOHASH_BITS = 52, GEOHASH_TEXT_LEN = 11 };

struct geo_place {
    double longitude, latitude;
};

static inline bool geo_place_is_valid(struct geo_place place)
{
    return place.longitude >= -GEO_LONGITUDE_MAX && place.longitude <= GEO_LONGITUDE_MAX &&
           place.latitude >= -GEO_LATITUDE_MAX && place.latitude <= GEO_LATITUDE_MAX;
}

/* The number of a valid place. The uttermost places, on the date line or the last latitude, take a bit more. */
uint64_t geohash_encode(struct geo_place place);

/* The middle of the cell that a number stands for. */
struct geo_place geohash_decode(uint64_t hash);

/* The usual text of a geohash (over all latitudes), in 11 characters of which the last is always 0; not terminated. */
void geohash_text(struct geo_place place, char out[GEOHASH_TEXT_LEN]);

/* The length of the great circle's arc between two places (haversine formula). */
double geo_distance(struct geo_place a, struct geo_place b);

/* What is searched: around a centre, a circle, or a box that is measured along its parallel and meridian. */
struct geo_shape {
    struct geo_place centre;
    bool is_box;
    double radius;        /* of a circle */
    double width, height; /* of a box */
};

/* True and *distance set, from the centre, if the place lies in the shape. */
bool geo_shape_has(const struct geo_shape *shape, struct geo_place place, double *distance);

/* Numbers from `first` to `last`, both included. */
struct geohash_range {
    uint64_t first, last;
};

enum { GEOHASH_COVER_MAX = 20 };

/* Ranges, ascending and apart, in which all places of the shape are; how many. */
size_t geohash_cover(const struct geo_shape *shape, struct geohash_range ranges[GEOHASH_COVER_MAX]);

enum { GEOHASH_CELLS = 9, GEOHASH_PIECES_MAX = GEOHASH_COVER_MAX + 2 * GEOHASH_CELLS };

/*
 * The same ranges, cut and arranged as Redis comes upon places that nothing sorts: first what lies in the cell of the
 * centre, then in those to its north, south, east, west, north-east, north-west, south-east and south-west, where a
 * cell is about as wide as the radius; then the rest. How many pieces.
 */
size_t geohash_arrange(const struct geo_shape *shape, const struct geohash_range *ranges, size_t count,
    struct geohash_range pieces[GEOHASH_PIECES_MAX]);
