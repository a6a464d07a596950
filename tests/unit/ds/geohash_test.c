/*
 * Tests of geohashes: known numbers and texts, the edges of the map, and covers, which must hold whatever lies in the
 * shape.
 */
#include "ds/geohash.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/seed.h"
#include "base/random.h"

static const struct geo_place palermo = { 13.361389, 38.115556 }, catania = { 15.087269, 37.502669 };

static double between(struct random *random, double low, double high)
{
    return low + random_double(random) * (high - low);
}

static struct geo_place some_place(struct random *random)
{
    if (random_below(random, 20) == 0)
        return (struct geo_place){ random_below(random, 2) ? 180 : -180, between(random, -85, 85) };
    if (random_below(random, 20) == 0)
        return (struct geo_place){ between(random, -180, 180),
            random_below(random, 2) ? GEO_LATITUDE_MAX : -GEO_LATITUDE_MAX };
    return (struct geo_place){ between(random, -180, 180), between(random, -GEO_LATITUDE_MAX, GEO_LATITUDE_MAX) };
}

Test(geohash, known_places)
{
    cr_assert(geohash_encode(palermo) == 3479099956230698);
    cr_assert(geohash_encode(catania) == 3479447370796909);
    char text[GEOHASH_TEXT_LEN];
    geohash_text(geohash_decode(3479099956230698), text);
    cr_assert(memcmp(text, "sqc8b49rny0", sizeof text) == 0);
    geohash_text(geohash_decode(3479447370796909), text);
    cr_assert(memcmp(text, "sqdtr74hyu0", sizeof text) == 0);
    double distance = geo_distance(geohash_decode(3479099956230698), geohash_decode(3479447370796909));
    cr_assert(fabs(distance - 166274.1516) < 0.0001);
}

Test(geohash, a_place_is_near_the_middle_of_its_cell)
{
    struct random random;
    random = seed_random(__func__);
    for (int i = 0; i < 100000; i++) {
        struct geo_place place = some_place(&random), middle = geohash_decode(geohash_encode(place));
        cr_assert(fabs(place.longitude - middle.longitude) <= 360.0 / (1 << 26));
        cr_assert(fabs(place.latitude - middle.latitude) <= 180.0 / (1 << 26));
        cr_assert(geo_place_is_valid(middle));
    }
}

Test(geohash, any_number_is_a_place)
{
    const uint64_t numbers[] = { 0, 1, UINT64_MAX, (uint64_t)1 << 52, (uint64_t)1 << 63, 0x5555555555555555 };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cr_assert(geo_place_is_valid(geohash_decode(numbers[i])));
}

Test(geohash, what_is_valid)
{
    cr_assert(geo_place_is_valid((struct geo_place){ 180, 85.05112878 }));
    cr_assert(geo_place_is_valid((struct geo_place){ -180, -85.05112878 }));
    cr_assert(!geo_place_is_valid((struct geo_place){ 180.0001, 0 }));
    cr_assert(!geo_place_is_valid((struct geo_place){ 0, 85.0512 }));
    cr_assert(!geo_place_is_valid((struct geo_place){ NAN, 0 }) && !geo_place_is_valid((struct geo_place){ 0, NAN }));
}

Test(geohash, distances)
{
    double quarter = geo_distance((struct geo_place){ 0, 0 }, (struct geo_place){ 90, 0 });
    cr_assert(fabs(quarter - 6372797.560856 * M_PI / 2) < 1);
    cr_assert(geo_distance(palermo, palermo) == 0);
    cr_assert(geo_distance(palermo, catania) == geo_distance(catania, palermo));
    cr_assert(geo_distance((struct geo_place){ 179.9, 0 }, (struct geo_place){ -179.9, 0 }) < 23000);
}

static bool is_covered(const struct geohash_range *ranges, size_t count, uint64_t hash)
{
    for (size_t i = 0; i < count; i++)
        if (hash >= ranges[i].first && hash <= ranges[i].last)
            return true;
    return false;
}

static struct geo_shape some_shape(struct random *random)
{
    struct geo_shape shape = { .centre = some_place(random), .is_box = random_below(random, 2) };
    shape.radius = pow(10, between(random, 0, 7.5));
    shape.width = pow(10, between(random, 0, 7.8));
    shape.height = pow(10, between(random, 0, 7.5));
    return shape;
}

/* Places near the centre and far from it: those in the shape must be in the cover. */
Test(geohash, a_cover_holds_the_shape)
{
    struct random random;
    random = seed_random(__func__);
    size_t inside = 0;
    for (int i = 0; i < 3000; i++) {
        struct geo_shape shape = some_shape(&random);
        struct geohash_range ranges[GEOHASH_COVER_MAX];
        size_t count = geohash_cover(&shape, ranges);
        cr_assert(count > 0 && count <= GEOHASH_COVER_MAX);
        for (size_t r = 0; r < count; r++)
            cr_assert(ranges[r].first <= ranges[r].last && (r == 0 || ranges[r].first > ranges[r - 1].last + 1));
        double scale = (shape.is_box ? fmax(shape.width, shape.height) : shape.radius) / 100000;
        for (int n = 0; n < 100; n++) {
            struct geo_place place = some_place(&random);
            double distance;
            if (n % 4) {
                place.longitude = remainder(shape.centre.longitude + between(&random, -scale, scale) * (n % 4), 360);
                place.latitude = shape.centre.latitude + between(&random, -scale, scale);
                if (!geo_place_is_valid(place))
                    continue;
            }
            uint64_t hash = geohash_encode(place);
            if (!geo_shape_has(&shape, geohash_decode(hash), &distance))
                continue;
            inside++;
            cr_assert(is_covered(ranges, count, hash), "%f %f is not covered", place.longitude, place.latitude);
        }
    }
    cr_assert(inside > 10000);
}

/* The finest level that fits: a small circle is covered by little of the map. */
Test(geohash, a_cover_is_tight)
{
    struct geo_shape shape = { .centre = palermo, .radius = 1000 };
    struct geohash_range ranges[GEOHASH_COVER_MAX];
    size_t count = geohash_cover(&shape, ranges);
    uint64_t covered = 0;
    for (size_t i = 0; i < count; i++)
        covered += ranges[i].last - ranges[i].first + 1;
    cr_assert((double)covered / pow(2, GEOHASH_BITS) < 1e-6);
}

/* What is arranged is what was covered, no more and no less, and begins around the centre. */
Test(geohash, arranging_loses_nothing)
{
    struct random random = seed_random(__func__);
    for (int i = 0; i < 3000; i++) {
        struct geo_shape shape = some_shape(&random);
        struct geohash_range ranges[GEOHASH_COVER_MAX], pieces[GEOHASH_PIECES_MAX];
        size_t count = geohash_cover(&shape, ranges), pieces_count = geohash_arrange(&shape, ranges, count, pieces);
        uint64_t covered = 0, arranged = 0, centre = geohash_encode(shape.centre);
        cr_assert(pieces_count >= 1 && pieces_count <= GEOHASH_PIECES_MAX);
        for (size_t r = 0; r < count; r++)
            covered += ranges[r].last - ranges[r].first + 1;
        for (size_t p = 0; p < pieces_count; p++) {
            arranged += pieces[p].last - pieces[p].first + 1;
            cr_assert(is_covered(ranges, count, pieces[p].first) && is_covered(ranges, count, pieces[p].last));
            for (size_t other = 0; other < p; other++)
                cr_assert(pieces[p].first > pieces[other].last || pieces[p].last < pieces[other].first);
        }
        cr_assert(arranged == covered);
        if (shape.radius < 100000 && !shape.is_box && centre >> GEOHASH_BITS == 0) {
            size_t at = 0;
            while (!is_covered(&pieces[at], 1, centre))
                at++;
            /* In the first cell, which the ranges may cut to pieces. */
            cr_assert(at < count);
        }
    }
}
