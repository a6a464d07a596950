/*
 * Geo: places as the scores of a sorted set. Searching for them is in geo_search.c.
 *
 * There is no type of its own: GEOADD adds members whose scores are geohashes (ds/geohash.h), so that every command on
 * sorted sets works on them.
 *
 * Costs: O(log n) for each place that is added, O(1) for each that is answered.
 */
#include "geo_priv.h"

#include "cmd/families.h"
#include "many_words_priv.h"

bool geo_arg_place(struct call *call, uint32_t index, struct geo_place *place)
{
    if (!num_parse_double(call->argv[index], &place->longitude) ||
        !num_parse_double(call->argv[index + 1], &place->latitude)) {
        reply_fail(call->reply, ERROR_NOT_FLOAT);
        return false;
    }
    if (geo_place_is_valid(*place))
        return true;
    reply_error_printf(call->reply, "ERR invalid longitude,latitude pair %f,%f", place->longitude, place->latitude);
    return false;
}

bool geo_arg_unit(struct call *call, uint32_t index, double *metres)
{
    static const struct {
        const char *name;
        double metres;
    } units[] = { { "m", 1 }, { "km", 1000 }, { "ft", 0.3048 }, { "mi", 1609.34 } };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (call_arg_is(call, index, units[i].name)) {
            *metres = units[i].metres;
            return true;
        }
    reply_error(call->reply, BYTES("ERR unsupported unit provided. please use M, KM, FT, MI"));
    return false;
}

uint64_t geo_hash_of(double score)
{
    const double top = 18446744073709551616.0;
    if (score >= 0)
        return score < top ? (uint64_t)score : 0;
    return score > -top / 2 ? (uint64_t)(int64_t)score : (uint64_t)1 << 63;
}

bool geo_place_of(const struct entry *entry, struct bytes member, struct geo_place *place)
{
    double score;
    if (!zset_score(entry, member, &score))
        return false;
    *place = geohash_decode(geo_hash_of(score));
    return true;
}

void geo_reply_distance(struct call *call, double distance)
{
    reply_bulk_printf(call->reply, "%.4f", distance);
}

/* In RESP3 a double with more digits than one needs, as clients of geo commands know it. */
static void reply_degrees(struct call *call, double degrees)
{
    char digits[NUM_LDOUBLE_MAX_LEN];
    struct bytes text = bytes_make(digits, num_format_ldouble(digits, (long double)degrees));
    if (call->reply->proto < 3) {
        reply_bulk(call->reply, text);
        return;
    }
    output_append(call->reply->out, BYTES(","));
    output_append(call->reply->out, text);
    output_append(call->reply->out, BYTES("\r\n"));
}

void geo_reply_place(struct call *call, struct geo_place place)
{
    reply_array(call->reply, 2);
    reply_degrees(call, place.longitude);
    reply_degrees(call, place.latitude);
}

/* --- Adding --- */

struct add_options {
    unsigned how; /* enum zset_how */
    bool changed;
    uint32_t first;
};

static bool read_add_options(struct call *call, struct add_options *options)
{
    for (; options->first < call->argc; options->first++) {
        if (call_arg_is(call, options->first, "NX"))
            options->how |= ZSET_NX;
        else if (call_arg_is(call, options->first, "XX"))
            options->how |= ZSET_XX;
        else if (call_arg_is(call, options->first, "CH"))
            options->changed = true;
        else
            break;
    }
    uint32_t rest = call->argc - options->first;
    bool both = options->how & ZSET_NX && options->how & ZSET_XX;
    if (rest && rest % 3 == 0 && !both)
        return true;
    reply_fail(call->reply, ERROR_SYNTAX);
    return false;
}

static void run_geoadd(struct call *call)
{
    struct add_options options = { .first = 2 };
    struct zset_edit edit;
    if (!read_add_options(call, &options) || words_aside(call))
        return;
    uint32_t count = (call->argc - options.first) / 3;
    double *scores = arena_alloc(call->arena, count * sizeof *scores), ignored;
    for (uint32_t i = 0; i < count; i++) {
        struct geo_place place;
        if (!geo_arg_place(call, options.first + 3 * i, &place))
            return;
        scores[i] = (double)geohash_encode(place);
        fiber_breathe(2 * WORD_COST);
    }
    if (!zset_open(call, 1, &edit))
        return;
    size_t changes = 0;
    bool touched = false;
    for (uint32_t i = 0; i < count; i++) {
        enum zset_added added =
            zset_add(&edit, call->argv[options.first + 3 * i + 2], scores[i], options.how, &ignored);
        if (added == ZSET_NO_MEMORY) {
            reply_fail(call->reply, ERROR_MEMORY_REQUEST);
            return;
        }
        touched |= added == ZSET_ADDED || added == ZSET_UPDATED;
        changes += added == ZSET_ADDED || (options.changed && added == ZSET_UPDATED);
        fiber_breathe(2 * WORD_COST);
    }
    if (touched)
        call_notify(call, NOTIFY_ZSET, "zadd", call->argv[1]);
    reply_int(call->reply, (int64_t)changes);
}

/* --- Answering --- */

enum { PLACE_COST = 100 }; /* of one that is found and printed, for fiber_breathe */

static void run_geodist(struct call *call)
{
    double metres = 1;
    const struct entry *entry;
    struct geo_place a, b;
    if (call->argc > 5) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if ((call->argc == 5 && !geo_arg_unit(call, 4, &metres)) || !zset_look(call, 1, &entry))
        return;
    if (geo_place_of(entry, call->argv[2], &a) && geo_place_of(entry, call->argv[3], &b))
        geo_reply_distance(call, geo_distance(a, b) / metres);
    else
        reply_null(call->reply);
}

static void run_geohash(struct call *call)
{
    const struct entry *entry;
    if (words_aside(call) || !zset_look(call, 1, &entry))
        return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct geo_place place;
        fiber_breathe(PLACE_COST);
        char text[GEOHASH_TEXT_LEN];
        if (!geo_place_of(entry, call->argv[i], &place)) {
            reply_null(call->reply);
            continue;
        }
        geohash_text(place, text);
        reply_bulk(call->reply, bytes_make(text, sizeof text));
    }
}

static void run_geopos(struct call *call)
{
    const struct entry *entry;
    if (words_aside(call) || !zset_look(call, 1, &entry))
        return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct geo_place place;
        fiber_breathe(PLACE_COST);
        if (geo_place_of(entry, call->argv[i], &place))
            geo_reply_place(call, place);
        else
            reply_null_array(call->reply);
    }
}

static const char *const history_geoadd[] = { "6.2.0", "Takes the options `CH`, `NX` and `XX`.", NULL };

const struct command geo_commands[] = {
    {
        .name = "GEOADD",
        .run = run_geoadd,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "3.2.0",
        .complexity = "O(log N) for each place, N of which the set has.",
        .usage = "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
        .brief = "Adds members with their places on the earth to a sorted set.",
        .history = history_geoadd,
    },
    {
        .name = "GEODIST",
        .run = run_geodist,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "3.2.0",
        .complexity = "O(1)",
        .usage = "key member1 member2 [M | KM | FT | MI]",
        .brief = "Replies with the distance between two members.",
    },
    {
        .name = "GEOHASH",
        .run = run_geohash,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "3.2.0",
        .complexity = "O(1) for each member.",
        .usage = "key member [member ...]",
        .brief = "Replies with the places of members as geohash texts.",
    },
    {
        .name = "GEOPOS",
        .run = run_geopos,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "3.2.0",
        .complexity = "O(1) for each member.",
        .usage = "key member [member ...]",
        .brief = "Replies with the places of members as longitude and latitude.",
    },
    { 0 },
};
