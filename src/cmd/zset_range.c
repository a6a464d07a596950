/*
 * Sorted sets: ranges by rank, score or text: answering, storing, counting and removing them.
 *
 * Every range becomes a span of ranks first (store/zset.h). Where all scores are equal, members are in the order of
 * their bytes, and ranges by text make sense; elsewhere they give some part of the set.
 *
 * Costs: O(log n + members that are answered); counting is O(log n), and so is removing, whose memory follows in the
 * background. Long answers are given and stored in slices (engine/aside.h).
 */
#include "zset_priv.h"

#include <math.h>
#include <stdlib.h>

#include "base/fiber.h"
#include "cmd/families.h"
#include "engine/aside.h"

/* --- Reading ranges --- */

/* A bound of scores is read like strtod does: blanks in front, a zero byte as the end, and nothing at all are fine. */
static bool read_score_bound(struct call *call, struct bytes text, double *score, bool *open)
{
    *open = text.len && text.ptr[0] == '(';
    if (*open)
        text = bytes_make(text.ptr + 1, text.len - 1);
    if (num_parse_double(text, score))
        return true;
    const char *whole = arena_copy(call->arena, text).ptr;
    char *end;
    *score = strtod(whole, &end);
    return *end == '\0' && !isnan(*score);
}

static bool read_scores(struct call *call, uint32_t min, uint32_t max, struct zset_scores *range)
{
    if (read_score_bound(call, call->argv[min], &range->min, &range->min_open) &&
        read_score_bound(call, call->argv[max], &range->max, &range->max_open))
        return true;
    reply_error(call->reply, BYTES("ERR min or max is not a float"));
    return false;
}

static bool read_text_bound(struct bytes text, struct zset_text_bound *bound)
{
    char first = text.len ? text.ptr[0] : '\0';
    *bound = (struct zset_text_bound){ .open = first == '(' };
    if (first == '-' || first == '+') {
        bound->beyond = first == '-' ? -1 : 1;
        return text.len == 1 || text.ptr[1] == '\0';
    }
    if (text.len)
        bound->text = bytes_make(text.ptr + 1, text.len - 1);
    return first == '(' || first == '[';
}

static bool read_texts(struct call *call, uint32_t min, uint32_t max, struct zset_texts *range)
{
    if (read_text_bound(call->argv[min], &range->min) && read_text_bound(call->argv[max], &range->max))
        return true;
    reply_error(call->reply, BYTES("ERR min or max not valid string range item"));
    return false;
}

enum range_by { BY_RANK, BY_SCORE, BY_TEXT };

/* A range as the arguments say it, before there is a set. */
struct range {
    enum range_by by;
    union {
        int64_t ranks[2];
        struct zset_scores scores;
        struct zset_texts texts;
    };
};

/* Reads the range in two arguments; false: an error was answered. */
static bool read_range(struct call *call, uint32_t min, uint32_t max, struct range *range)
{
    switch (range->by) {
    case BY_SCORE:
        return read_scores(call, min, max, &range->scores);
    case BY_TEXT:
        return read_texts(call, min, max, &range->texts);
    default:
        return call_arg_i64(call, min, INT64_MIN, INT64_MAX, NULL, &range->ranks[0]) &&
               call_arg_i64(call, max, INT64_MIN, INT64_MAX, NULL, &range->ranks[1]);
    }
}

static struct zset_span span_of(const struct entry *entry, const struct range *range)
{
    switch (range->by) {
    case BY_SCORE:
        return zset_span_scores(entry, &range->scores);
    case BY_TEXT:
        return zset_span_texts(entry, &range->texts);
    default:
        return zset_span_ranks(entry, range->ranks[0], range->ranks[1]);
    }
}

/* --- Answering and storing --- */

enum direction { ANY_DIRECTION = -1, FORWARD, REVERSE };
enum { ANY_KIND = -1 };

/* What a command of this family was asked for. */
struct query {
    int by; /* enum range_by, or ANY_KIND until an option says */
    enum direction direction;
    bool store;
    bool scores;
    int64_t offset, limit; /* limit -1: none */
    uint32_t key;
    struct range range;
};

static bool read_limit(struct call *call, uint32_t index, struct query *query)
{
    return call_arg_i64(call, index + 1, INT64_MIN, INT64_MAX, NULL, &query->offset) &&
           call_arg_i64(call, index + 2, INT64_MIN, INT64_MAX, NULL, &query->limit);
}

/* Reads the options behind the range; false: an error was answered. */
static bool read_options(struct call *call, struct query *query)
{
    bool any_kind = query->by == ANY_KIND, any_direction = query->direction == ANY_DIRECTION;
    for (uint32_t i = query->key + 3; i < call->argc; i++) {
        if (!query->store && call_arg_is(call, i, "WITHSCORES")) {
            query->scores = true;
        } else if (call->argc - i > 2 && call_arg_is(call, i, "LIMIT")) {
            if (!read_limit(call, i, query))
                return false;
            i += 2;
        } else if (any_direction && query->direction == ANY_DIRECTION && call_arg_is(call, i, "REV")) {
            query->direction = REVERSE;
        } else if (any_kind && query->by == ANY_KIND && call_arg_is(call, i, "BYLEX")) {
            query->by = BY_TEXT;
        } else if (any_kind && query->by == ANY_KIND && call_arg_is(call, i, "BYSCORE")) {
            query->by = BY_SCORE;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* Settles what was left open, and refuses what does not go together. */
static bool check_query(struct call *call, struct query *query)
{
    if (query->direction == ANY_DIRECTION)
        query->direction = FORWARD;
    if (query->by == ANY_KIND)
        query->by = BY_RANK;
    query->range.by = (enum range_by)query->by;
    if (query->limit != -1 && query->by == BY_RANK) {
        reply_error(call->reply,
            BYTES("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"));
        return false;
    }
    if (query->scores && query->by == BY_TEXT) {
        reply_error(call->reply, BYTES("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        return false;
    }
    return true;
}

/* The span of what is answered: the range, counted from the end in reverse, and cut by LIMIT. */
static struct zset_span query_span(const struct query *query, const struct entry *entry)
{
    struct zset_span span = span_of(entry, &query->range);
    bool reverse = query->direction == REVERSE;
    if (query->by == BY_RANK) {
        if (reverse && span.count)
            span.first = zset_count(entry) - span.first - span.count;
        return span;
    }
    if (query->offset < 0 || (uint64_t)query->offset >= span.count)
        return (struct zset_span){ 0 };
    size_t left = span.count - (size_t)query->offset;
    size_t count = query->limit < 0 || (uint64_t)query->limit > left ? left : (size_t)query->limit;
    span.first += reverse ? left - count : (size_t)query->offset;
    span.count = count;
    return span;
}

static void reply_span(struct call *call, const struct entry *entry, struct zset_span span, const struct query *query)
{
    bool reverse = query->direction == REVERSE;
    struct zset_iter iter;
    zset_reply_head(call, span.count, query->scores);
    if (span.count)
        zset_iter_begin(&iter, entry, reverse ? span.first + span.count - 1 : span.first, reverse);
    for (size_t left = span.count; left && !fiber_is_over(); left--) {
        zset_reply_member(call, iter.member, iter.score, query->scores);
        zset_iter_next(&iter);
    }
}

/* Stores the span under the first argument. */
static void store_span(struct call *call, const struct entry *entry, struct zset_span span)
{
    struct zset *made = zset_create();
    struct zset_iter iter;
    if (span.count)
        zset_iter_begin(&iter, entry, span.first, false);
    for (size_t left = span.count; left; left--) {
        bool is_new;
        double *score = zset_make_member(made, iter.member, &is_new);
        if (!score) {
            zset_destroy(made);
            reply_fail(call->reply, ERROR_MEMORY_REQUEST);
            return;
        }
        *score = iter.score;
        zset_iter_next(&iter);
    }
    zset_store_take(call, 1, made, "zrangestore");
}

static void answer(struct call *call, struct query query)
{
    query.limit = -1;
    if (!read_options(call, &query) || !check_query(call, &query))
        return;
    bool swapped = query.direction == REVERSE && query.by != BY_RANK;
    uint32_t first = query.key + 1, second = query.key + 2;
    if (!read_range(call, swapped ? second : first, swapped ? first : second, &query.range))
        return;
    const struct entry *entry;
    if (!zset_look(call, query.key, &entry))
        return;
    struct zset_span span = query_span(&query, entry);
    if (call_aside(call, span.count))
        return;
    if (query.store)
        store_span(call, entry, span);
    else
        reply_span(call, entry, span, &query);
}

static void run_zrange(struct call *call)
{
    answer(call, (struct query){ .by = ANY_KIND, .direction = ANY_DIRECTION, .key = 1 });
}

static void run_zrangestore(struct call *call)
{
    answer(call, (struct query){ .by = ANY_KIND, .direction = ANY_DIRECTION, .key = 2, .store = true });
}

static void run_zrevrange(struct call *call)
{
    answer(call, (struct query){ .by = BY_RANK, .direction = REVERSE, .key = 1 });
}

static void run_zrangebyscore(struct call *call)
{
    answer(call, (struct query){ .by = BY_SCORE, .direction = FORWARD, .key = 1 });
}

static void run_zrevrangebyscore(struct call *call)
{
    answer(call, (struct query){ .by = BY_SCORE, .direction = REVERSE, .key = 1 });
}

static void run_zrangebylex(struct call *call)
{
    answer(call, (struct query){ .by = BY_TEXT, .direction = FORWARD, .key = 1 });
}

static void run_zrevrangebylex(struct call *call)
{
    answer(call, (struct query){ .by = BY_TEXT, .direction = REVERSE, .key = 1 });
}

/* --- Counting and removing --- */

static void count(struct call *call, enum range_by by)
{
    struct range range = { .by = by };
    const struct entry *entry;
    if (read_range(call, 2, 3, &range) && zset_look(call, 1, &entry))
        reply_int(call->reply, (int64_t)span_of(entry, &range).count);
}

static void run_zcount(struct call *call)
{
    count(call, BY_SCORE);
}

static void run_zlexcount(struct call *call)
{
    count(call, BY_TEXT);
}

static void remove_range(struct call *call, enum range_by by)
{
    static const char *const removal_events[] = {
        [BY_RANK] = "zremrangebyrank", [BY_SCORE] = "zremrangebyscore", [BY_TEXT] = "zremrangebylex"
    };
    struct range range = { .by = by };
    struct zset_edit edit;
    if (!read_range(call, 2, 3, &range) || !zset_open(call, 1, &edit))
        return;
    struct zset_span span = span_of(edit.entry, &range);
    if (call_aside(call, zset_removal_work(edit.entry, span)))
        return;
    zset_remove_span(&edit, span);
    if (span.count)
        zset_notify_removal(call, &edit, removal_events[by]);
    reply_int(call->reply, (int64_t)span.count);
}

static void run_zremrangebyrank(struct call *call)
{
    remove_range(call, BY_RANK);
}

static void run_zremrangebyscore(struct call *call)
{
    remove_range(call, BY_SCORE);
}

static void run_zremrangebylex(struct call *call)
{
    remove_range(call, BY_TEXT);
}

static const char *const history_zrange[] = { "6.2.0", "Takes the options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`.",
    NULL };
static const char *const history_zrangebyscore[] = { "2.0.0", "Takes the option `WITHSCORES`.", NULL };
static const char *const history_zrevrangebyscore[] = { "2.1.6", "Bounds may be exclusive.", NULL };

const struct command zset_range_commands[] = {
    {
        .name = "ZRANGE",
        .run = run_zrange,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.2.0",
        .complexity = "O(log N + M) where N is the number of members and M that of the reply.",
        .usage = "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
        .brief = "Replies with the members in a range of ranks, scores or texts.",
        .history = history_zrange,
    },
    {
        .name = "ZRANGESTORE",
        .run = run_zrangestore,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(log N + M log M) where N is the number of members and M the number of those stored.",
        .usage = "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
        .brief = "Stores the members in a range of ranks, scores or texts under another key.",
    },
    {
        .name = "ZREVRANGE",
        .run = run_zrevrange,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.2.0",
        .complexity = "O(log N + M) where N is the number of members and M that of the reply.",
        .usage = "key start stop [WITHSCORES]",
        .brief = "Replies with the members in a range of ranks, counted and listed from the highest score.",
    },
    {
        .name = "ZRANGEBYSCORE",
        .run = run_zrangebyscore,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.5",
        .complexity = "O(log N + M) where N is the number of members and M that of the reply.",
        .usage = "key min max [WITHSCORES] [LIMIT offset count]",
        .brief = "Replies with the members in a range of scores.",
        .history = history_zrangebyscore,
    },
    {
        .name = "ZREVRANGEBYSCORE",
        .run = run_zrevrangebyscore,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.2.0",
        .complexity = "O(log N + M) where N is the number of members and M that of the reply.",
        .usage = "key max min [WITHSCORES] [LIMIT offset count]",
        .brief = "Replies with the members in a range of scores, the highest first.",
        .history = history_zrevrangebyscore,
    },
    {
        .name = "ZRANGEBYLEX",
        .run = run_zrangebylex,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.8.9",
        .complexity = "O(log N + M) where N is the number of members and M that of the reply.",
        .usage = "key min max [LIMIT offset count]",
        .brief = "Replies with the members between two texts, of a set whose scores are all equal.",
    },
    {
        .name = "ZREVRANGEBYLEX",
        .run = run_zrevrangebylex,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.8.9",
        .complexity = "O(log N + M) where N is the number of members and M that of the reply.",
        .usage = "key max min [LIMIT offset count]",
        .brief = "Replies with the members between two texts, the greatest first, of a set whose scores are all equal.",
    },
    {
        .name = "ZCOUNT",
        .run = run_zcount,
        .argc = EXACTLY(4),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(log N) where N is the number of members.",
        .usage = "key min max",
        .brief = "Replies with the number of members in a range of scores.",
    },
    {
        .name = "ZLEXCOUNT",
        .run = run_zlexcount,
        .argc = EXACTLY(4),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.8.9",
        .complexity = "O(log N) where N is the number of members.",
        .usage = "key min max",
        .brief = "Replies with the number of members between two texts, of a set whose scores are all equal.",
    },
    {
        .name = "ZREMRANGEBYRANK",
        .run = run_zremrangebyrank,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "2.0.0",
        .complexity =
            "O(log N) where N is the number of members; the memory of removed ones follows in the background.",
        .usage = "key start stop",
        .brief = "Removes the members in a range of ranks.",
    },
    {
        .name = "ZREMRANGEBYSCORE",
        .run = run_zremrangebyscore,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "1.2.0",
        .complexity =
            "O(log N) where N is the number of members; the memory of removed ones follows in the background.",
        .usage = "key min max",
        .brief = "Removes the members in a range of scores.",
    },
    {
        .name = "ZREMRANGEBYLEX",
        .run = run_zremrangebylex,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "2.8.9",
        .complexity =
            "O(log N) where N is the number of members; the memory of removed ones follows in the background.",
        .usage = "key min max",
        .brief = "Removes the members between two texts, of a set whose scores are all equal.",
    },
    { 0 },
};
