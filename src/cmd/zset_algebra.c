/*
 * Sorted sets: unions, intersections and differences of several, of which some may be plain sets, whose members score
 * 1.
 *
 * An intersection walks over its smallest input and looks its members up in the others, by size; so does a difference
 * over its first. Sums are made in the order of size too, which decides how they are rounded.
 *
 * Costs: O(members of what is walked over * inputs), and O(n log n) for the order of the n that result.
 * Where there is much to do it goes aside (engine/aside.h).
 */
#include "zset_priv.h"

#include <math.h>

#include "base/fiber.h"
#include "base/sort.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "many_words_priv.h"
#include "store/set.h"

enum operation { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

struct input {
    const struct entry *entry; /* NULL: missing */
    double weight;
    size_t count;
};

enum { INPUT_COST = 10 }; /* of looking at one, for fiber_breathe */

struct algebra {
    enum operation operation;
    enum aggregate aggregate;
    bool store;       /* under the first argument */
    bool cardinality; /* only the number is wanted */
    bool scores;
    int64_t limit; /* of the number; 0: none */
    struct input *inputs;
    uint32_t input_count;
    struct zset *made;
    size_t found;
    bool out_of_memory;
};

/* --- Inputs --- */

static bool is_plain(const struct input *input)
{
    return input->entry->type == ENTRY_SET;
}

static bool has(const struct input *input, struct bytes member, double *score)
{
    if (!input->entry)
        return false;
    if (!is_plain(input))
        return zset_score(input->entry, member, score);
    *score = 1;
    return set_has(set_of(input->entry), member);
}

/* Called for each member; false ends the walk. */
typedef bool (*member_fn)(struct algebra *algebra, const struct input *input, struct bytes member, double score);

static void walk_set(struct algebra *algebra, const struct input *input, member_fn visit)
{
    struct set_walk walk = set_walk_begin(set_of(input->entry));
    struct set_batch batch;
    struct set_scratch scratch;
    while (set_walk_next(&walk, &batch))
        for (unsigned i = 0; i < batch.count; i++)
            if (!visit(algebra, input, set_member_bytes(batch.members[i], &scratch), 1))
                return;
}

static void walk(struct algebra *algebra, const struct input *input, member_fn visit)
{
    if (!input->count)
        return;
    if (is_plain(input)) {
        walk_set(algebra, input, visit);
        return;
    }
    struct zset_iter iter;
    bool more = zset_iter_begin(&iter, input->entry, 0, false);
    while (more && visit(algebra, input, iter.member, iter.score))
        more = zset_iter_next(&iter);
}

/* --- Operations --- */

static double aggregate(enum aggregate how, double a, double b)
{
    if (how == MIN)
        return b < a ? b : a;
    if (how == MAX)
        return b > a ? b : a;
    double sum = a + b;
    return isnan(sum) ? 0 : sum; /* infinities of both signs */
}

static double weighted(const struct input *input, double score)
{
    double product = input->weight * score;
    return isnan(product) ? 0 : product;
}

static bool put(struct algebra *algebra, struct bytes member, double score, bool add)
{
    bool is_new;
    double *place = zset_make_member(algebra->made, member, &is_new);
    if (!place) {
        algebra->out_of_memory = true;
        return false;
    }
    *place = is_new || !add ? score : aggregate(algebra->aggregate, *place, score);
    return true;
}

static bool unite(struct algebra *algebra, const struct input *input, struct bytes member, double score)
{
    return put(algebra, member, weighted(input, score), true);
}

static bool intersect(struct algebra *algebra, const struct input *input, struct bytes member, double score)
{
    double sum = weighted(input, score);
    const struct input *end = algebra->inputs + algebra->input_count;
    for (const struct input *other = input + 1; other < end; other++) {
        double value;
        fiber_breathe(INPUT_COST);
        if (!has(other, member, &value))
            return true;
        sum = aggregate(algebra->aggregate, sum, value * other->weight);
    }
    algebra->found++;
    if (algebra->cardinality)
        return algebra->limit == 0 || algebra->found < (uint64_t)algebra->limit;
    return put(algebra, member, sum, false);
}

static bool subtract(struct algebra *algebra, const struct input *input, struct bytes member, double score)
{
    double ignored;
    for (const struct input *other = input + 1; other < algebra->inputs + algebra->input_count; other++) {
        fiber_breathe(INPUT_COST);
        if (has(other, member, &ignored))
            return true;
    }
    return put(algebra, member, score, false);
}

/* By size, equal ones as they come. */
static int compare_inputs(const void *a, const void *b)
{
    const struct input *x = a, *y = b;
    fiber_breathe(INPUT_COST);
    return (x->count > y->count) - (x->count < y->count);
}

static void compute(struct algebra *algebra)
{
    if (algebra->operation != DIFF &&
        !sort_stable(algebra->inputs, algebra->input_count, sizeof *algebra->inputs, compare_inputs))
        algebra->out_of_memory = true;
    else if (algebra->operation == DIFF)
        walk(algebra, &algebra->inputs[0], subtract);
    else if (algebra->operation == INTER)
        walk(algebra, &algebra->inputs[0], intersect);
    else
        for (uint32_t i = 0; i < algebra->input_count && !algebra->out_of_memory; i++)
            walk(algebra, &algebra->inputs[i], unite);
}

/* --- Arguments --- */

/* Reads the number of keys at `at`, and looks the keys up. */
static bool read_inputs(struct call *call, uint32_t at, struct algebra *algebra)
{
    int64_t count;
    if (!call_arg_i64(call, at, INT64_MIN, INT64_MAX, NULL, &count))
        return false;
    if (count < 1) {
        reply_error_printf(
            call->reply, "ERR at least 1 input key is needed for '%s' command", call->command->full_name);
        return false;
    }
    if (count > call->argc - at - 1) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    algebra->input_count = (uint32_t)count;
    algebra->inputs = arena_alloc(call->arena, (size_t)count * sizeof *algebra->inputs);
    for (uint32_t i = 0; i < algebra->input_count; i++) {
        fiber_breathe(INPUT_COST);
        const struct entry *entry = call_read(call, at + 1 + i);
        if (entry && entry->type != ENTRY_SET && !call_expect_type(call, entry, ENTRY_ZSET))
            return false;
        size_t size = entry && entry->type == ENTRY_SET ? set_count(set_of(entry)) : zset_count(entry);
        algebra->inputs[i] = (struct input){ entry, 1, size };
    }
    return true;
}

static bool read_weights(struct call *call, uint32_t at, struct algebra *algebra)
{
    for (uint32_t i = 0; i < algebra->input_count; i++) {
        fiber_breathe(INPUT_COST);
        if (!num_parse_double(call->argv[at + i], &algebra->inputs[i].weight)) {
            reply_error(call->reply, BYTES("ERR weight value is not a float"));
            return false;
        }
    }
    return true;
}

static bool read_aggregate(struct call *call, uint32_t at, struct algebra *algebra)
{
    static const char *const words[] = { [SUM] = "SUM", [MIN] = "MIN", [MAX] = "MAX" };
    for (int how = SUM; how <= MAX; how++)
        if (call_arg_is(call, at, words[how])) {
            algebra->aggregate = (enum aggregate)how;
            return true;
        }
    reply_fail(call->reply, ERROR_SYNTAX);
    return false;
}

/* Reads what stands behind the keys. */
static bool read_options(struct call *call, uint32_t at, struct algebra *algebra)
{
    bool sums = algebra->operation != DIFF && !algebra->cardinality;
    while (at < call->argc) {
        uint32_t rest = call->argc - at - 1;
        if (sums && rest >= algebra->input_count && call_arg_is(call, at, "WEIGHTS")) {
            if (!read_weights(call, at + 1, algebra))
                return false;
            at += 1 + algebra->input_count;
        } else if (sums && rest && call_arg_is(call, at, "AGGREGATE")) {
            if (!read_aggregate(call, at + 1, algebra))
                return false;
            at += 2;
        } else if (!algebra->store && !algebra->cardinality && call_arg_is(call, at, "WITHSCORES")) {
            algebra->scores = true;
            at++;
        } else if (algebra->cardinality && rest && call_arg_is(call, at, "LIMIT")) {
            if (!call_arg_i64(call, at + 1, 0, INT64_MAX, "ERR LIMIT can't be negative", &algebra->limit))
                return false;
            at += 2;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* --- Results --- */

static void reply_made(struct call *call, const struct algebra *algebra)
{
    struct zset_iter iter;
    zset_reply_head(call, zset_made_count(algebra->made), algebra->scores);
    bool more = zset_made_iter_begin(&iter, algebra->made, 0, false);
    for (; more && !fiber_is_over(); more = zset_iter_next(&iter))
        zset_reply_member(call, iter.member, iter.score, algebra->scores);
}

void zset_store_take(struct call *call, uint32_t index, struct zset *made, const char *event)
{
    struct key key = call_key(call, index);
    size_t count = zset_made_count(made);
    if (!zset_make_order(made)) {
        zset_destroy(made);
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    if (count) {
        keyspace_set_zset_take(call->keyspace, call->db, key, made, call->now_ms);
        call_notify(call, NOTIFY_ZSET, event, key_bytes(key));
    } else {
        zset_destroy(made);
        if (keyspace_peek(call->keyspace, call->db, key, call->now_ms))
            call_remove(call, key);
    }
    reply_int(call->reply, (int64_t)count);
}

static size_t count_members(const struct algebra *algebra)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < algebra->input_count; i++)
        sum += algebra->inputs[i].count;
    return sum;
}

static void run(struct call *call, struct algebra algebra)
{
    uint32_t at = algebra.store ? 2 : 1;
    if (words_aside(call) || !read_inputs(call, at, &algebra) ||
        !read_options(call, at + 1 + algebra.input_count, &algebra))
        return;
    if (call_aside(call, count_members(&algebra)))
        return;
    algebra.made = zset_create();
    compute(&algebra);
    if (algebra.store && !algebra.out_of_memory) {
        static const char *const events[] = { [UNION] = "zunionstore", [INTER] = "zinterstore", [DIFF] = "zdiffstore" };
        zset_store_take(call, 1, algebra.made, events[algebra.operation]);
        return;
    }
    if (!algebra.out_of_memory && !algebra.cardinality)
        algebra.out_of_memory = !zset_make_order(algebra.made);
    if (algebra.out_of_memory)
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    else if (algebra.cardinality)
        reply_int(call->reply, (int64_t)algebra.found);
    else
        reply_made(call, &algebra);
    zset_destroy(algebra.made);
}

static void run_zunion(struct call *call)
{
    run(call, (struct algebra){ .operation = UNION });
}

static void run_zunionstore(struct call *call)
{
    run(call, (struct algebra){ .operation = UNION, .store = true });
}

static void run_zinter(struct call *call)
{
    run(call, (struct algebra){ .operation = INTER });
}

static void run_zinterstore(struct call *call)
{
    run(call, (struct algebra){ .operation = INTER, .store = true });
}

static void run_zintercard(struct call *call)
{
    run(call, (struct algebra){ .operation = INTER, .cardinality = true });
}

static void run_zdiff(struct call *call)
{
    run(call, (struct algebra){ .operation = DIFF });
}

static void run_zdiffstore(struct call *call)
{
    run(call, (struct algebra){ .operation = DIFF, .store = true });
}

const struct command zset_algebra_commands[] = {
    {
        .name = "ZUNION",
        .run = run_zunion,
        .argc = AT_LEAST(3),
        .flags = CMD_READ | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_NUMBERED(1, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(N + M log M) where N is the number of members of all inputs and M that of the result.",
        .usage = "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
        .brief = "Replies with the members that any of several sets has.",
    },
    {
        .name = "ZUNIONSTORE",
        .run = run_zunionstore,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_NUMBERED(2, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(N + M log M) where N is the number of members of all inputs and M that of the result.",
        .usage = "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        .brief = "Stores the members that any of several sets has.",
    },
    {
        .name = "ZINTER",
        .run = run_zinter,
        .argc = AT_LEAST(3),
        .flags = CMD_READ | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_NUMBERED(1, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(N * K + M log M) where N is the size of the smallest of K inputs and M that of the result.",
        .usage = "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
        .brief = "Replies with the members that all of several sets have.",
    },
    {
        .name = "ZINTERSTORE",
        .run = run_zinterstore,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_NUMBERED(2, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(N * K + M log M) where N is the size of the smallest of K inputs and M that of the result.",
        .usage = "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        .brief = "Stores the members that all of several sets have.",
    },
    {
        .name = "ZINTERCARD",
        .run = run_zintercard,
        .argc = AT_LEAST(3),
        .flags = CMD_READ | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_NUMBERED(1, KEY_READ_ACCESS) },
        .since = "7.0.0",
        .complexity = "O(N * K) where N is the size of the smallest of K inputs.",
        .usage = "numkeys key [key ...] [LIMIT limit]",
        .brief = "Replies with the number of members that all of several sets have.",
    },
    {
        .name = "ZDIFF",
        .run = run_zdiff,
        .argc = AT_LEAST(3),
        .flags = CMD_READ | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_NUMBERED(1, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(N * K + M log M) where N is the size of the first of K inputs and M that of the result.",
        .usage = "numkeys key [key ...] [WITHSCORES]",
        .brief = "Replies with the members that the first of several sets has and the others have not.",
    },
    {
        .name = "ZDIFFSTORE",
        .run = run_zdiffstore,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_NUMBERED(2, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(N * K + M log M) where N is the size of the first of K inputs and M that of the result.",
        .usage = "destination numkeys key [key ...]",
        .brief = "Stores the members that the first of several sets has and the others have not.",
    },
    { 0 },
};
