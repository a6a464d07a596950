/*
 * Geo: what lies in a circle or a box, by GEOSEARCH, by the older GEORADIUS, and stored.
 *
 * The shape is covered by at most some twenty ranges of scores (ds/geohash.h). What they hold is measured, and what
 * lies in the shape is gathered in the call's arena, sorted if that is asked for, and answered or stored.
 *
 * Costs: O(log n + m) for m members in the ranges, and O(k log k) to sort the k of them that lie in the shape. If m is
 * large, which is known at once, all of this is done aside (engine/aside.h).
 */

#include "base/fiber.h"
#include "base/mem.h"
#include "base/sort.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "geo_priv.h"

enum order { NO_ORDER, ASCENDING, DESCENDING };

enum kind {
    SEARCH = 1,    /* GEOSEARCH: the shape is among the options */
    BY_MEMBER = 2, /* GEORADIUSBYMEMBER, otherwise GEORADIUS */
    STORES = 4,    /* GEOSEARCHSTORE: the first argument is where to */
    READ_ONLY = 8, /* no STORE among the options */
};

struct query {
    unsigned kind;
    const struct entry *entry; /* NULL: missing */
    uint32_t key;
    uint32_t store; /* the argument that names where to, or 0 */
    bool store_distance;
    bool distance, hash, place; /* WITHDIST, WITHHASH, WITHCOORD */
    bool any;
    enum order order;
    int64_t count; /* 0: all */
    bool from_member, from_place, by_radius, by_box;
    struct geo_shape shape;
    double unit; /* metres */
};

struct hit {
    struct bytes member; /* borrowed from the set, or copied to the arena */
    double score, distance;
    struct geo_place place;
    size_t index; /* as found: what sorts where distances are equal */
};

struct chunk {
    struct chunk *next;
    size_t count, room;
    struct hit hits[];
};

/* Nothing of it moves when there are more: that would hold others up. */
struct hits {
    struct chunk *first, *last; /* owned */
    struct hit **all;           /* owned: in order, once all are found */
    size_t count;
    bool out_of_memory;
};

/* --- Arguments --- */

static bool read_length(struct call *call, uint32_t index, const char *not_number, const char *negative, double *value)
{
    const char *wrong = NULL;
    if (!num_parse_double(call->argv[index], value))
        wrong = not_number;
    else if (*value < 0)
        wrong = negative;
    if (wrong)
        reply_error(call->reply, bytes_from_cstr(wrong));
    return !wrong;
}

static bool read_radius(struct call *call, uint32_t index, struct query *query)
{
    double radius;
    if (!read_length(call, index, "ERR need numeric radius", "ERR radius cannot be negative", &radius) ||
        !geo_arg_unit(call, index + 1, &query->unit))
        return false;
    query->shape.is_box = false;
    query->shape.radius = radius * query->unit;
    query->by_radius = true;
    return true;
}

static bool read_box(struct call *call, uint32_t index, struct query *query)
{
    double width, height;
    if (!num_parse_double(call->argv[index], &width)) {
        reply_error(call->reply, BYTES("ERR need numeric width"));
        return false;
    }
    if (!num_parse_double(call->argv[index + 1], &height)) {
        reply_error(call->reply, BYTES("ERR need numeric height"));
        return false;
    }
    if (height < 0 || width < 0) {
        reply_error(call->reply, BYTES("ERR height or width cannot be negative"));
        return false;
    }
    if (!geo_arg_unit(call, index + 2, &query->unit))
        return false;
    query->shape.is_box = true;
    query->shape.width = width * query->unit;
    query->shape.height = height * query->unit;
    query->by_box = true;
    return true;
}

/* A missing set has no member either, but that is found out when all arguments are read. */
static bool read_member(struct call *call, uint32_t index, struct query *query)
{
    query->from_member = true;
    if (!query->entry || geo_place_of(query->entry, call->argv[index], &query->shape.centre))
        return true;
    reply_error(call->reply, BYTES("ERR could not decode requested zset member"));
    return false;
}

static bool read_place(struct call *call, uint32_t index, struct query *query)
{
    query->from_place = true;
    return geo_arg_place(call, index, &query->shape.centre);
}

static bool read_count(struct call *call, uint32_t index, struct query *query)
{
    if (!call_arg_i64(call, index, INT64_MIN, INT64_MAX, NULL, &query->count))
        return false;
    if (query->count > 0)
        return true;
    reply_error(call->reply, BYTES("ERR COUNT must be > 0"));
    return false;
}

/* Options without a value; false if it is none. */
static bool read_word(const struct call *call, uint32_t index, struct query *query)
{
    if (call_arg_is(call, index, "WITHDIST"))
        query->distance = true;
    else if (call_arg_is(call, index, "WITHHASH"))
        query->hash = true;
    else if (call_arg_is(call, index, "WITHCOORD"))
        query->place = true;
    else if (call_arg_is(call, index, "ANY"))
        query->any = true;
    else if (call_arg_is(call, index, "ASC"))
        query->order = ASCENDING;
    else if (call_arg_is(call, index, "DESC"))
        query->order = DESCENDING;
    else if (query->kind & STORES && call_arg_is(call, index, "STOREDIST"))
        query->store_distance = true;
    else
        return false;
    return true;
}

/* Options of the search proper, with how many values follow each. Returns how many arguments it took, 0 if it is none,
 * -1 if an error was answered. */
static int read_search_option(struct call *call, uint32_t at, struct query *query)
{
    uint32_t rest = call->argc - at - 1;
    bool good;
    int taken;
    if (rest >= 1 && !query->from_place && call_arg_is(call, at, "FROMMEMBER")) {
        good = read_member(call, at + 1, query);
        taken = 2;
    } else if (rest >= 2 && !query->from_member && call_arg_is(call, at, "FROMLONLAT")) {
        good = read_place(call, at + 1, query);
        taken = 3;
    } else if (rest >= 2 && !query->by_box && call_arg_is(call, at, "BYRADIUS")) {
        good = read_radius(call, at + 1, query);
        taken = 3;
    } else if (rest >= 3 && !query->by_radius && call_arg_is(call, at, "BYBOX")) {
        good = read_box(call, at + 1, query);
        taken = 4;
    } else {
        return 0;
    }
    return good ? taken : -1;
}

static bool read_options(struct call *call, uint32_t at, struct query *query)
{
    bool may_store = !(query->kind & (SEARCH | READ_ONLY));
    while (at < call->argc) {
        bool has_value = at + 1 < call->argc;
        int taken = 1;
        if (read_word(call, at, query)) {
            taken = 1;
        } else if (has_value && call_arg_is(call, at, "COUNT")) {
            taken = read_count(call, at + 1, query) ? 2 : -1;
        } else if (has_value && may_store && (call_arg_is(call, at, "STORE") || call_arg_is(call, at, "STOREDIST"))) {
            query->store = at + 1;
            query->store_distance = call_arg_is(call, at, "STOREDIST");
            taken = 2;
        } else {
            taken = query->kind & SEARCH ? read_search_option(call, at, query) : 0;
        }
        if (taken < 0)
            return false;
        if (taken == 0) {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
        at += (uint32_t)taken;
    }
    return true;
}

/* What does not go together. */
static bool check_query(struct call *call, const struct query *query)
{
    int len = call->argv[0].len < 64 ? (int)call->argv[0].len : 64;
    const char *name = call->argv[0].ptr;
    bool search = query->kind & SEARCH;
    if (query->store && (query->distance || query->hash || query->place))
        reply_error_printf(call->reply, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
            query->kind & STORES ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    else if (search && !query->from_member && !query->from_place)
        reply_error_printf(
            call->reply, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s", len, name);
    else if (search && !query->by_radius && !query->by_box)
        reply_error_printf(call->reply, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s", len, name);
    else if (query->any && !query->count)
        reply_error(call->reply, BYTES("ERR the ANY argument requires COUNT argument"));
    else
        return true;
    return false;
}

/* Reads everything; false: an error was answered. */
static bool read_query(struct call *call, struct query *query)
{
    query->key = query->kind & STORES ? 2 : 1;
    query->store = query->kind & STORES ? 1 : 0;
    query->unit = 1;
    if (!zset_look(call, query->key, &query->entry))
        return false;
    uint32_t options = query->key + 1;
    if (!(query->kind & SEARCH)) {
        options = query->kind & BY_MEMBER ? 5 : 6;
        bool read = query->kind & BY_MEMBER ? read_member(call, 2, query) : read_place(call, 2, query);
        if (!read)
            return false;
        bool moot = query->kind & BY_MEMBER && !query->entry;
        if (!moot && !read_radius(call, options - 2, query))
            return false;
    }
    return read_options(call, options, query) && check_query(call, query);
}

/* --- Searching --- */

/* False when memory is out. */
static bool add_chunk(struct hits *hits)
{
    enum { ROOM_FIRST = 32, ROOM_MAX = 512 };
    size_t room = !hits->last ? ROOM_FIRST : hits->last->room < ROOM_MAX ? 2 * hits->last->room : ROOM_MAX;
    struct chunk *chunk = mem_try_alloc(sizeof *chunk + room * sizeof *chunk->hits);
    hits->out_of_memory = !chunk;
    if (!chunk)
        return false;
    *chunk = (struct chunk){ .room = room };
    *(hits->last ? &hits->last->next : &hits->first) = chunk;
    hits->last = chunk;
    return true;
}

static bool add_hit(struct call *call, struct hits *hits, const struct zset_iter *iter, const struct hit *found)
{
    if ((!hits->last || hits->last->count == hits->last->room) && !add_chunk(hits))
        return false;
    struct hit *hit = &hits->last->hits[hits->last->count++];
    *hit = *found;
    hit->index = hits->count++;
    if (iter->member.ptr == iter->digits)
        hit->member = arena_copy(call->arena, iter->member);
    return true;
}

/* What the costs are, in tens of nanoseconds: of measuring a distance, of comparing two, of a hit as it is answered. */
enum { COST_OF_LOOK = 8, COST_OF_COMPARISON = 1, COST_OF_HIT = 15 };

/* Gathers what lies in the shape and in one range; false when that is enough. */
static bool search_span(struct call *call, const struct query *query, struct zset_span span, struct hits *hits)
{
    struct zset_iter iter;
    if (!span.count)
        return true;
    zset_iter_begin(&iter, query->entry, span.first, false);
    for (; span.count; span.count--, zset_iter_next(&iter)) {
        fiber_breathe(COST_OF_LOOK);
        struct hit found = { .member = iter.member, .score = iter.score };
        found.place = geohash_decode(geo_hash_of(iter.score));
        if (!geo_shape_has(&query->shape, found.place, &found.distance))
            continue;
        if (!add_hit(call, hits, &iter, &found) || (query->any && hits->count >= (uint64_t)query->count))
            return false;
    }
    return true;
}

static int compare_ascending(const void *a, const void *b)
{
    const struct hit *one = *(struct hit *const *)a, *other = *(struct hit *const *)b;
    fiber_breathe(COST_OF_COMPARISON);
    if (one->distance != other->distance)
        return one->distance < other->distance ? -1 : 1;
    return one->index < other->index ? -1 : 1;
}

static int compare_descending(const void *a, const void *b)
{
    const struct hit *one = *(struct hit *const *)a, *other = *(struct hit *const *)b;
    fiber_breathe(COST_OF_COMPARISON);
    if (one->distance != other->distance)
        return one->distance > other->distance ? -1 : 1;
    return one->index < other->index ? -1 : 1;
}

/* Lists all that were found. */
static void list_hits(struct hits *hits)
{
    size_t at = 0;
    hits->all = mem_try_alloc(hits->count * sizeof(struct hit *));
    hits->out_of_memory = !hits->all;
    for (struct chunk *chunk = hits->first; chunk && hits->all; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++)
            hits->all[at++] = &chunk->hits[i];
        fiber_breathe((unsigned)chunk->count);
    }
}

static void hits_fini(struct hits *hits)
{
    for (struct chunk *chunk = hits->first, *next; chunk; chunk = next) {
        next = chunk->next;
        fiber_breathe((unsigned)chunk->count);
        mem_free(chunk);
    }
    mem_free(hits->all);
}

/* False if the search goes on aside, or has to wait. */
static bool search(struct call *call, const struct query *query, struct hits *hits)
{
    struct geohash_range ranges[GEOHASH_COVER_MAX], pieces[GEOHASH_PIECES_MAX];
    struct zset_span spans[GEOHASH_PIECES_MAX];
    size_t count = geohash_cover(&query->shape, ranges), members = 0;
    count = geohash_arrange(&query->shape, ranges, count, pieces);
    for (size_t i = 0; i < count; i++) {
        struct zset_scores scores = { .min = (double)pieces[i].first, .max = (double)pieces[i].last };
        spans[i] = zset_span_scores(query->entry, &scores);
        members += spans[i].count;
    }
    if (call_aside(call, members))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!search_span(call, query, spans[i], hits))
            break;
    if (hits->count && !hits->out_of_memory)
        list_hits(hits);
    if (hits->out_of_memory)
        return true;
    /* Which ones COUNT leaves out is a matter of distance, unless any will do. */
    enum order order = query->count && !query->any && query->order == NO_ORDER ? ASCENDING : query->order;
    if (hits->count && order != NO_ORDER)
        hits->out_of_memory = !sort_stable(
            hits->all, hits->count, sizeof *hits->all, order == ASCENDING ? compare_ascending : compare_descending);
    if (query->count && (uint64_t)query->count < hits->count)
        hits->count = (size_t)query->count;
    return true;
}

/* --- Results --- */

static void reply_hits(struct call *call, const struct query *query, const struct hits *hits)
{
    size_t extras = (size_t)query->distance + query->hash + query->place;
    reply_array(call->reply, hits->count);
    for (size_t i = 0; i < hits->count; i++) {
        const struct hit *hit = hits->all[i];
        if (extras)
            reply_array(call->reply, 1 + extras);
        reply_bulk(call->reply, hit->member);
        if (query->distance)
            geo_reply_distance(call, hit->distance / query->unit);
        if (query->hash)
            reply_int(call->reply, (int64_t)geo_hash_of(hit->score));
        if (query->place)
            geo_reply_place(call, hit->place);
        fiber_breathe(COST_OF_HIT);
    }
}

static void store_hits(struct call *call, const struct query *query, const struct hits *hits)
{
    struct zset *made = zset_create();
    for (size_t i = 0; i < hits->count; i++) {
        bool is_new;
        double *score = zset_make_member(made, hits->all[i]->member, &is_new);
        if (!score) {
            zset_destroy(made);
            reply_fail(call->reply, ERROR_MEMORY_REQUEST);
            return;
        }
        *score = query->store_distance ? hits->all[i]->distance / query->unit : hits->all[i]->score;
        fiber_breathe(COST_OF_HIT);
    }
    zset_store_take(call, query->store, made, query->kind & STORES ? "geosearchstore" : "georadiusstore");
}

static void run(struct call *call, unsigned kind)
{
    struct query query = { .kind = kind };
    struct hits hits = { 0 };
    if (!read_query(call, &query))
        return;
    if (query.entry && !search(call, &query, &hits))
        return;
    if (hits.out_of_memory)
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    else if (query.store)
        store_hits(call, &query, &hits);
    else
        reply_hits(call, &query, &hits);
    hits_fini(&hits);
}

static void run_geosearch(struct call *call)
{
    run(call, SEARCH);
}

static void run_geosearchstore(struct call *call)
{
    run(call, SEARCH | STORES);
}

static void run_georadius(struct call *call)
{
    run(call, 0);
}

static void run_georadius_ro(struct call *call)
{
    run(call, READ_ONLY);
}

static void run_georadiusbymember(struct call *call)
{
    run(call, BY_MEMBER);
}

static void run_georadiusbymember_ro(struct call *call)
{
    run(call, BY_MEMBER | READ_ONLY);
}

static const char *const history_geosearch[] = { "7.0.0", "Units may be in upper case.", NULL };
static const char *const history_geosearchstore[] = { "7.0.0", "Units may be in upper case.", NULL };
static const char *const history_georadius[] = { "6.2.0", "Takes the option `ANY` behind `COUNT`.", "7.0.0",
    "Units may be in upper case.", NULL };
static const char *const history_georadius_ro[] = { "6.2.0", "Takes the option `ANY` behind `COUNT`.", NULL };
static const char *const history_georadiusbymember[] = { "6.2.0", "Takes the option `ANY` behind `COUNT`.", "7.0.0",
    "Units may be in upper case.", NULL };

const struct command geo_search_commands[] = {
    {
        .name = "GEOSEARCH",
        .run = run_geosearch,
        .argc = AT_LEAST(7),
        .flags = CMD_READ,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity =
            "O(N + log M) where N is the number of members in the cells that cover the shape, and M that of all.",
        .usage = "key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX "
                 "width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
        .brief = "Replies with the members in a circle or box.",
        .history = history_geosearch,
    },
    {
        .name = "GEOSEARCHSTORE",
        .run = run_geosearchstore,
        .argc = AT_LEAST(8),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity =
            "O(N + log M) where N is the number of members in the cells that cover the shape, and M that of all.",
        .usage = "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT "
                 "| MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
        .brief = "Stores the members in a circle or box.",
        .history = history_geosearchstore,
    },
    {
        .name = "GEORADIUS",
        .run = run_georadius,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_READ_ACCESS), KEY_AFTER("STORE", 6, 0, 1, 0, KEY_OW | KEY_UPDATE),
            KEY_AFTER("STOREDIST", 6, 0, 1, 0, KEY_OW | KEY_UPDATE) },
        .since = "3.2.0",
        .complexity =
            "O(N + log M) where N is the number of members in the cells that cover the shape, and M that of all.",
        .usage = "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count "
                 "[ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
        .brief = "Replies with the members within a distance of a place, or stores them.",
        .history = history_georadius,
    },
    {
        .name = "GEORADIUS_RO",
        .run = run_georadius_ro,
        .argc = AT_LEAST(6),
        .flags = CMD_READ,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "3.2.10",
        .complexity =
            "O(N + log M) where N is the number of members in the cells that cover the shape, and M that of all.",
        .usage = "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count "
                 "[ANY]] [ASC | DESC]",
        .brief = "Replies with the members within a distance of a place.",
        .history = history_georadius_ro,
    },
    {
        .name = "GEORADIUSBYMEMBER",
        .run = run_georadiusbymember,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_READ_ACCESS), KEY_AFTER("STORE", 5, 0, 1, 0, KEY_OW | KEY_UPDATE),
            KEY_AFTER("STOREDIST", 5, 0, 1, 0, KEY_OW | KEY_UPDATE) },
        .since = "3.2.0",
        .complexity =
            "O(N + log M) where N is the number of members in the cells that cover the shape, and M that of all.",
        .usage = "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | "
                 "DESC] [STORE key] [STOREDIST key]",
        .brief = "Replies with the members within a distance of one of them, or stores them.",
        .history = history_georadiusbymember,
    },
    {
        .name = "GEORADIUSBYMEMBER_RO",
        .run = run_georadiusbymember_ro,
        .argc = AT_LEAST(5),
        .flags = CMD_READ,
        .group = GROUP_GEO,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "3.2.10",
        .complexity =
            "O(N + log M) where N is the number of members in the cells that cover the shape, and M that of all.",
        .usage =
            "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
        .brief = "Replies with the members within a distance of one of them.",
    },
    { 0 },
};
