/*
 * Hashes: many fields at once: all of them, a page by cursor, some at random.
 *
 * The reply is written while the walk goes on, so nothing is gathered. A large hash is answered aside
 * (engine/aside.h), in slices between which others are served.
 */
#include "base/fiber.h"
#include "cmd/families.h"
#include "collection_scan_priv.h"
#include "engine/aside.h"
#include "hash_priv.h"

/* --- All --- */

static void answer_field(void *context, const struct hash_pair *pair)
{
    reply_bulk(context, pair->field);
}

static void answer_value(void *context, const struct hash_pair *pair)
{
    reply_bulk(context, pair->value);
}

static void answer_both(void *context, const struct hash_pair *pair)
{
    reply_bulk(context, pair->field);
    reply_bulk(context, pair->value);
}

static void answer_head(struct call *call, hash_visit_fn visit, size_t count)
{
    if (visit == answer_both)
        reply_map(call->reply, count);
    else
        reply_array(call->reply, count);
}

static void answer_now(struct call *call, const struct entry *entry, hash_visit_fn visit)
{
    answer_head(call, visit, entry ? hash_count(entry, call->now_ms) : 0);
    if (entry)
        hash_each(entry, call->now_ms, visit, call->reply);
}

static void answer_all(struct call *call, hash_visit_fn visit)
{
    const struct entry *entry;
    if (hash_call_read(call, &entry) && !(entry && call_aside(call, hash_len(entry, call->now_ms))))
        answer_now(call, entry, visit);
}

static void run_hgetall(struct call *call)
{
    answer_all(call, answer_both);
}

static void run_hkeys(struct call *call)
{
    answer_all(call, answer_field);
}

static void run_hvals(struct call *call)
{
    answer_all(call, answer_value);
}

/* --- By cursor --- */

struct page {
    struct reply *reply;
    struct collection_scan scan;
};

static void answer_matching(void *context, const struct hash_pair *pair)
{
    struct page *page = context;
    fiber_breathe(COLLECTION_SCAN_COST);
    if (!collection_scan_matches(&page->scan, pair->field))
        return;
    reply_bulk(page->reply, pair->field);
    page->scan.answered++;
    if (page->scan.no_values)
        return;
    reply_bulk(page->reply, pair->value);
    page->scan.answered++;
}

static void run_hscan(struct call *call)
{
    struct page page = { .reply = call->reply };
    const struct entry *entry;
    if (!collection_scan_cursor(call, &page.scan) || !hash_call_read(call, &entry))
        return;
    if (!entry) {
        collection_scan_reply_empty(call);
        return;
    }
    if (!collection_scan_options(call, &page.scan, true) ||
        (page.scan.count >= CALL_AT_ONCE && collection_scan_aside(call, &page.scan, hash_len(entry, call->now_ms))))
        return;
    collection_scan_begin(call, &page.scan);
    page.scan.cursor = hash_scan(entry, page.scan.cursor, page.scan.count, call->now_ms, answer_matching, &page);
    collection_scan_end(call, &page.scan);
}

/* --- At random --- */

enum { REPEATED_MAX = 10 * 1000 * 1000 }; /* fields that a client may ask to be drawn: the reply must fit somewhere */

/* RESP3 has an array for each pair. */
static void answer_nested(void *context, const struct hash_pair *pair)
{
    struct reply *reply = context;
    if (reply->proto > 2)
        reply_array(reply, 2);
    answer_both(reply, pair);
}

static void answer_many(struct call *call, const struct entry *entry, int64_t count, bool with_values)
{
    hash_visit_fn visit = with_values ? answer_nested : answer_field;
    size_t fields = entry ? hash_count(entry, call->now_ms) : 0;
    size_t answered = fields;
    if (fields && count < 0)
        answered = (size_t)-count;
    else if (count >= 0 && (uint64_t)count < fields)
        answered = (size_t)count;
    struct output_mark before = output_mark(call->reply->out);
    reply_array(call->reply, with_values && call->reply->proto < 3 ? answered * 2 : answered);
    if (answered == 0)
        return;
    if (count < 0) {
        hash_draw(entry, answered, call_random(call), call->now_ms, visit, call->reply);
    } else if (answered == fields) {
        hash_each(entry, call->now_ms, visit, call->reply);
    } else if (!hash_sample(entry, answered, call_random(call), call->now_ms, visit, call->reply)) {
        output_rewind(call->reply->out, before);
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    }
}

/* Reads the count; false if that answered an error. */
static bool parse_count(struct call *call, int64_t *count)
{
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, count))
        return false;
    if (*count == INT64_MIN) {
        reply_error(call->reply,
            BYTES("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"));
        return false;
    }
    if (call->argc > 4 || (call->argc == 4 && !call_arg_is(call, 3, "WITHVALUES"))) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    if (call->argc == 4 && (*count < -INT64_MAX / 2 || *count > INT64_MAX / 2)) {
        reply_error(call->reply, BYTES("ERR value is out of range"));
        return false;
    }
    return true;
}

/* Fields that are looked at to draw so many. */
static size_t fields_to_visit(const struct entry *entry, int64_t count, int64_t now_ms)
{
    size_t fields = hash_len(entry, now_ms);
    if (count < 0)
        return (size_t)-count;
    return (uint64_t)count > fields / 3 ? fields : (size_t)count;
}

static void run_hrandfield(struct call *call)
{
    const struct entry *entry;
    int64_t count = 1;
    if (call->argc > 2 && !parse_count(call, &count))
        return;
    bool keeps_parts = call->keyspace->keeps_parts;
    call->keyspace->keeps_parts = false; /* whoever draws removes what has expired before */
    bool good = hash_call_read(call, &entry);
    call->keyspace->keeps_parts = keeps_parts;
    if (!good)
        return;
    if (call->argc == 2) {
        if (entry && hash_count(entry, call->now_ms))
            hash_draw(entry, 1, call_random(call), call->now_ms, answer_field, call->reply);
        else
            reply_null(call->reply);
    } else if (entry && count < -REPEATED_MAX) {
        reply_error(call->reply, BYTES("ERR value is out of range"));
    } else if (!entry || !call_aside(call, fields_to_visit(entry, count, call->now_ms))) {
        answer_many(call, entry, count, call->argc == 4);
    }
}

static const char *const tips_order[] = { "nondeterministic_output_order", NULL };
static const char *const tips_output[] = { "nondeterministic_output", NULL };
static const char *const history_hscan[] = { "7.4.0", "Takes the option `NOVALUES`.", NULL };

const struct command hash_walk_commands[] = {
    { .name = "HGETALL",
        .run = run_hgetall,
        .argc = EXACTLY(2),
        .flags = CMD_READ,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of fields.",
        .usage = "key",
        .brief = "Replies with all fields of a hash and their values.",
        .tips = tips_order },
    { .name = "HKEYS",
        .run = run_hkeys,
        .argc = EXACTLY(2),
        .flags = CMD_READ,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of fields.",
        .usage = "key",
        .brief = "Replies with the names of all fields of a hash.",
        .tips = tips_order },
    { .name = "HVALS",
        .run = run_hvals,
        .argc = EXACTLY(2),
        .flags = CMD_READ,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of fields.",
        .usage = "key",
        .brief = "Replies with the values of all fields of a hash.",
        .tips = tips_order },
    { .name = "HSCAN",
        .run = run_hscan,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.8.0",
        .complexity = "O(COUNT) for a call; O(N) for a whole iteration, where N is the number of fields.",
        .usage = "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
        .brief = "Replies with some fields of a hash and the cursor that goes on behind them.",
        .tips = tips_output,
        .history = history_hscan },
    { .name = "HRANDFIELD",
        .run = run_hrandfield,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(N) where N is the number of fields answered.",
        .usage = "key [count [WITHVALUES]]",
        .brief = "Replies with fields of a hash chosen at random; a negative count allows repetitions.",
        .tips = tips_output },
    { 0 },
};
