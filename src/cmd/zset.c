/*
 * Sorted sets: adding, removing, and what asks for single members. Ranges are in zset_range.c, taking out from the ends
 * in zset_pop.c, sets made of others in zset_algebra.c.
 *
 * Costs: O(log n) for each member that is added, removed or ranked, O(1) for a score.
 */
#include "zset_priv.h"

#include "base/fiber.h"
#include "cmd/families.h"
#include "collection_scan_priv.h"
#include "many_words_priv.h"

/* --- Adding --- */

struct add_options {
    unsigned how; /* enum zset_how */
    bool changed; /* CH: answer how many were added or changed */
    uint32_t first;
};

/* Reads the options in front of the first score. */
static void read_add_options(const struct call *call, struct add_options *options)
{
    static const struct {
        const char *word;
        unsigned how;
    } words[] = { { "NX", ZSET_NX }, { "XX", ZSET_XX }, { "CH", 0 }, { "INCR", ZSET_INCR }, { "GT", ZSET_GT },
        { "LT", ZSET_LT } };
    enum { WORDS = sizeof words / sizeof *words };
    for (; options->first < call->argc; options->first++) {
        struct bytes arg = call->argv[options->first];
        size_t i = arg.len < 2 || arg.len > 4 ? WORDS : 0;
        while (i < WORDS && !bytes_is(arg, words[i].word))
            i++;
        if (i == WORDS)
            return;
        options->how |= words[i].how;
        options->changed |= words[i].how == 0;
    }
}

/* Answers what is wrong with the options, if anything. */
static bool check_add_options(struct call *call, const struct add_options *options)
{
    uint32_t rest = call->argc - options->first;
    unsigned how = options->how;
    const char *wrong = NULL;
    if (rest == 0 || rest % 2) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    if (how & ZSET_NX && how & ZSET_XX)
        wrong = "ERR XX and NX options at the same time are not compatible";
    else if (((how & ZSET_GT) != 0) + ((how & ZSET_LT) != 0) + ((how & ZSET_NX) != 0) > 1)
        wrong = "ERR GT, LT, and/or NX options at the same time are not compatible";
    else if (how & ZSET_INCR && rest > 2)
        wrong = "ERR INCR option supports a single increment-element pair";
    if (wrong)
        reply_error(call->reply, bytes_from_cstr(wrong));
    return !wrong;
}

/* All scores, read before anything is added; NULL if one is none. `single` has room for one. */
static const double *read_scores(struct call *call, uint32_t first, double *single)
{
    uint32_t count = (call->argc - first) / 2;
    double *scores = count == 1 ? single : arena_alloc(call->arena, count * sizeof *scores);
    for (uint32_t i = 0; i < count; i++)
        if (!num_parse_double(call->argv[first + 2 * i], &scores[i])) {
            reply_fail(call->reply, ERROR_NOT_FLOAT);
            return NULL;
        } else {
            fiber_breathe(WORD_COST);
        }
    return scores;
}

struct add_counts {
    size_t added, updated, left;
    double score; /* of the last that was not left */
};

/* False if it stopped with an error, which was answered. */
static bool add_all(struct call *call, struct zset_edit *edit, const struct add_options *options, const double *scores,
    struct add_counts *counts)
{
    for (uint32_t i = options->first; i < call->argc; i += 2) {
        enum zset_added added =
            zset_add(edit, call->argv[i + 1], scores[(i - options->first) / 2], options->how, &counts->score);
        if (added == ZSET_NOT_A_NUMBER)
            reply_error(call->reply, BYTES("ERR resulting score is not a number (NaN)"));
        else if (added == ZSET_NO_MEMORY)
            reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        if (added >= ZSET_NOT_A_NUMBER)
            return false;
        counts->added += added == ZSET_ADDED;
        counts->updated += added == ZSET_UPDATED;
        counts->left += added == ZSET_LEFT;
        fiber_breathe(2 * WORD_COST);
    }
    return true;
}

static void add(struct call *call, unsigned how)
{
    struct add_options options = { .how = how, .first = 2 };
    struct zset_edit edit;
    struct add_counts counts = { 0 };
    double single;
    read_add_options(call, &options);
    if (!check_add_options(call, &options) || words_aside(call))
        return;
    const double *scores = read_scores(call, options.first, &single);
    if (!scores || !zset_open(call, 1, &edit))
        return;
    if (!add_all(call, &edit, &options, scores, &counts))
        return;
    if (counts.added || counts.updated)
        call_notify(call, NOTIFY_ZSET, options.how & ZSET_INCR ? "zincr" : "zadd", call->argv[1]);
    if (!(options.how & ZSET_INCR))
        reply_int(call->reply, (int64_t)(counts.added + (options.changed ? counts.updated : 0)));
    else if (counts.left)
        reply_null(call->reply);
    else
        reply_double(call->reply, counts.score);
}

static void run_zadd(struct call *call)
{
    add(call, 0);
}

static void run_zincrby(struct call *call)
{
    add(call, ZSET_INCR);
}

static void run_zrem(struct call *call)
{
    struct zset_edit edit;
    size_t removed = 0;
    if (words_aside(call) || !zset_open(call, 1, &edit))
        return;
    for (uint32_t i = 2; i < call->argc; i++) {
        removed += zset_remove(&edit, call->argv[i]);
        fiber_breathe(2 * WORD_COST);
    }
    zset_edit_end(&edit);
    if (removed)
        zset_notify_removal(call, &edit, "zrem");
    reply_int(call->reply, (int64_t)removed);
}

/* --- Single members --- */

static void reply_score(struct call *call, const struct entry *entry, struct bytes member)
{
    double score;
    if (zset_score(entry, member, &score))
        reply_double(call->reply, score);
    else
        reply_null(call->reply);
}

static void run_zscore(struct call *call)
{
    const struct entry *entry;
    if (zset_look(call, 1, &entry))
        reply_score(call, entry, call->argv[2]);
}

static void run_zmscore(struct call *call)
{
    const struct entry *entry;
    if (words_aside(call) || !zset_look(call, 1, &entry))
        return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        reply_score(call, entry, call->argv[i]);
        fiber_breathe(2 * WORD_COST);
    }
}

static void run_zcard(struct call *call)
{
    const struct entry *entry;
    if (zset_look(call, 1, &entry))
        reply_int(call->reply, (int64_t)zset_count(entry));
}

static void reply_rank(struct call *call, bool reverse)
{
    bool scores = call->argc == 4;
    const struct entry *entry;
    if (scores && !call_arg_is(call, 3, "WITHSCORE")) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if (!zset_look(call, 1, &entry))
        return;
    size_t rank;
    double score;
    if (!zset_rank(entry, call->argv[2], reverse, &rank, &score)) {
        if (scores)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
        return;
    }
    if (scores)
        reply_array(call->reply, 2);
    reply_int(call->reply, (int64_t)rank);
    if (scores)
        reply_double(call->reply, score);
}

static void run_zrank(struct call *call)
{
    reply_rank(call, false);
}

static void run_zrevrank(struct call *call)
{
    reply_rank(call, true);
}

/* --- Scanning --- */

struct page {
    struct call *call;
    struct collection_scan scan;
};

/* Scores are bulk strings here in RESP3 too. */
static void visit(void *context, struct bytes member, double score)
{
    struct page *page = context;
    char digits[NUM_DOUBLE_MAX_LEN];
    page->scan.visited++;
    fiber_breathe(COLLECTION_SCAN_COST);
    if (!collection_scan_matches(&page->scan, member))
        return;
    reply_bulk(page->call->reply, member);
    reply_bulk(page->call->reply, bytes_make(digits, num_format_double(digits, score)));
    page->scan.answered += 2;
}

static void run_zscan(struct call *call)
{
    struct page page = { .call = call };
    const struct entry *entry;
    if (!collection_scan_cursor(call, &page.scan) || !zset_look(call, 1, &entry))
        return;
    if (!entry) {
        collection_scan_reply_empty(call);
        return;
    }
    if (!collection_scan_options(call, &page.scan, false) || collection_scan_aside(call, &page.scan, zset_count(entry)))
        return;
    collection_scan_begin(call, &page.scan);
    do
        page.scan.cursor = zset_scan(entry, page.scan.cursor, visit, &page);
    while (collection_scan_goes_on(&page.scan));
    collection_scan_end(call, &page.scan);
}

static const char *const history_zadd[] = { "2.4.0", "Takes several members.", "3.0.2",
    "Takes the options `XX`, `NX`, `CH` and `INCR`.", "6.2.0", "Takes the options `GT` and `LT`.", NULL };
static const char *const history_zrem[] = { "2.4.0", "Takes several members.", NULL };
static const char *const history_zrank[] = { "7.2.0", "Takes the option `WITHSCORE`.", NULL };
static const char *const history_zrevrank[] = { "7.2.0", "Takes the option `WITHSCORE`.", NULL };
static const char *const tips_zscan[] = { "nondeterministic_output", NULL };

const struct command zset_commands[] = {
    {
        .name = "ZADD",
        .run = run_zadd,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "1.2.0",
        .complexity = "O(log N) for each member, N of which the set has.",
        .usage = "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
        .brief = "Adds members to a sorted set, or changes their scores.",
        .history = history_zadd,
    },
    {
        .name = "ZINCRBY",
        .run = run_zincrby,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.2.0",
        .complexity = "O(log N) where N is the number of members.",
        .usage = "key increment member",
        .brief = "Adds a number to the score of a member, which is added if missing.",
    },
    {
        .name = "ZREM",
        .run = run_zrem,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "1.2.0",
        .complexity = "O(log N) for each member, N of which the set has.",
        .usage = "key member [member ...]",
        .brief = "Removes members from a sorted set.",
        .history = history_zrem,
    },
    {
        .name = "ZSCORE",
        .run = run_zscore,
        .argc = EXACTLY(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.2.0",
        .complexity = "O(1)",
        .usage = "key member",
        .brief = "Replies with the score of a member.",
    },
    {
        .name = "ZMSCORE",
        .run = run_zmscore,
        .argc = AT_LEAST(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(1) for each member.",
        .usage = "key member [member ...]",
        .brief = "Replies with the scores of several members; null for each that is missing.",
    },
    {
        .name = "ZCARD",
        .run = run_zcard,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "1.2.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Replies with the number of members of a sorted set.",
    },
    {
        .name = "ZRANK",
        .run = run_zrank,
        .argc = { .min = 3, .max = 4 },
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(log N) where N is the number of members.",
        .usage = "key member [WITHSCORE]",
        .brief = "Replies with the place of a member in ascending order, counted from 0.",
        .history = history_zrank,
    },
    {
        .name = "ZREVRANK",
        .run = run_zrevrank,
        .argc = { .min = 3, .max = 4 },
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(log N) where N is the number of members.",
        .usage = "key member [WITHSCORE]",
        .brief = "Replies with the place of a member in descending order, counted from 0.",
        .history = history_zrevrank,
    },
    {
        .name = "ZSCAN",
        .run = run_zscan,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.8.0",
        .complexity = "O(COUNT) for a call; O(N) for a whole iteration, where N is the number of members.",
        .usage = "key cursor [MATCH pattern] [COUNT count]",
        .brief = "Replies with some members and their scores, and the cursor that goes on behind them.",
        .tips = tips_zscan,
    },
    { 0 },
};
