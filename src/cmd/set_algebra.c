/*
 * Sets: intersection, union and difference, to be replied with, stored or counted.
 *
 *   intersection   members of the smallest set that the others have, in the order of their sizes: O(N * M)
 *   union          members of each set that none before has, while the sets are few; of many, and to be stored, a set
 *                  is built: O(N)
 *   difference     members of the first set that the others have not, the largest first: O(N * M); or, where that is
 *                  cheaper, first a set of what the others have of it: O(sum of all)
 *
 * Nothing is copied in order to be compared: members pass through the other sets in batches (set_batch_filter), and
 * what is left is answered right away. Where there are many
 * members the work goes aside (engine/aside.h).
 */
#include "base/fiber.h"
#include "base/sort.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "many_words_priv.h"
#include "set_priv.h"
#include "store/value.h"

enum {
    UNION_BY_LOOK_UP = 6, /* sets of which a union is taken without building one */
    STORE_COST = 200,     /* of a batch, for fiber_breathe, ... */
    SET_COST = 10,        /* ... of looking at one of the sets, ... */
    FILTER_COST = 2,      /* ... and of a member that is looked for in one */
};

enum operation { INTERSECTION, UNION, DIFFERENCE };

/* Where members go. */
struct sink {
    struct call *call;
    enum { SINK_REPLY, SINK_STORE, SINK_COUNT } kind;
    struct set result; /* owned, of SINK_STORE */
    size_t count;      /* members that came */
    size_t limit;      /* of SINK_COUNT: where counting ends */
    bool out_of_memory;
};

/* False when no more are wanted. */
static bool sink_take(struct sink *sink, const struct set_batch *batch)
{
    sink->count += batch->count;
    if (sink->kind == SINK_STORE)
        fiber_breathe(STORE_COST);
    for (unsigned i = 0; i < batch->count && sink->kind != SINK_COUNT; i++)
        if (sink->kind == SINK_REPLY)
            set_reply_member(sink->call, batch->members[i]);
        else if (set_add(&sink->result, sink->call->keyspace->settings, batch->members[i]) == SET_NO_MEMORY)
            sink->out_of_memory = true;
    return !sink->out_of_memory && sink->count < sink->limit && !(sink->kind == SINK_REPLY && fiber_is_over());
}

/* The sets of the arguments from `first` on; NULL if one is of another type, which was answered. */
static struct set *read_sets(struct call *call, uint32_t first, uint32_t count)
{
    struct set *sets = arena_try_alloc(call->arena, count * sizeof *sets);
    if (!sets) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        fiber_breathe(SET_COST);
        if (!set_read(call, first + i, &sets[i]))
            return NULL;
    }
    return sets;
}

static size_t sum_counts(const struct set *sets, uint32_t count)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        fiber_breathe(SET_COST);
        sum += set_count(sets[i]);
    }
    return sum;
}

static int compare_counts(const void *a, const void *b)
{
    size_t x = set_count(*(const struct set *)a), y = set_count(*(const struct set *)b);
    fiber_breathe(SET_COST);
    return (x > y) - (x < y);
}

static int compare_counts_descending(const void *a, const void *b)
{
    return compare_counts(b, a);
}

/* Passes on what of `set` all `others` have, or none has. False when no more are wanted. */
static bool pass_on(struct sink *sink, struct set set, const struct set *others, uint32_t count, bool wanted)
{
    struct set_walk walk = set_walk_begin(set);
    for (struct set_batch batch; set_walk_next(&walk, &batch);) {
        for (uint32_t i = 0; i < count && batch.count; i++) {
            fiber_breathe(SET_COST + FILTER_COST * batch.count);
            set_batch_filter(&batch, others[i], wanted);
        }
        if (!sink_take(sink, &batch))
            return false;
    }
    return true;
}

static void intersect(struct sink *sink, struct set *sets, uint32_t count)
{
    if (sort_stable(sets, count, sizeof *sets, compare_counts))
        pass_on(sink, sets[0], sets + 1, count - 1, true);
    else
        sink->out_of_memory = true;
}

/* Passes on what is not in `seen`, and adds it there. False when memory is out. */
static bool unite_seen(struct sink *sink, struct set set, struct set *seen)
{
    struct set_walk walk = set_walk_begin(set);
    for (struct set_batch batch; set_walk_next(&walk, &batch);) {
        set_batch_filter(&batch, *seen, false);
        sink_take(sink, &batch);
        for (unsigned i = 0; i < batch.count; i++)
            if (set_add(seen, sink->call->keyspace->settings, batch.members[i]) == SET_NO_MEMORY)
                return false;
    }
    return true;
}

static void unite(struct sink *sink, const struct set *sets, uint32_t count)
{
    if (sink->kind == SINK_STORE || count <= UNION_BY_LOOK_UP) {
        /* What is stored finds out by itself what it has already. */
        bool look_up = sink->kind != SINK_STORE;
        for (uint32_t i = 0; i < count; i++)
            if (!pass_on(sink, sets[i], sets, look_up ? i : 0, false))
                return;
        return;
    }
    struct set seen = set_create();
    for (uint32_t i = 0; i < count && !sink->out_of_memory; i++)
        sink->out_of_memory = !unite_seen(sink, sets[i], &seen);
    set_destroy(seen);
}

/* What the first set has of the others, as a set, owned by the caller. */
static struct set collect_common(struct sink *sink, const struct set *sets, uint32_t count)
{
    struct sink common = { .call = sink->call, .kind = SINK_STORE, .result = set_create(), .limit = SIZE_MAX };
    for (uint32_t i = 1; i < count && !common.out_of_memory; i++)
        pass_on(&common, sets[i], sets, 1, true);
    sink->out_of_memory = common.out_of_memory;
    return common.result;
}

static void subtract(struct sink *sink, struct set *sets, uint32_t count)
{
    size_t first = set_count(sets[0]), look_ups = 0, sum = 0;
    if (first == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        fiber_breathe(SET_COST);
        look_ups += sets[i].value ? first : 0;
        sum += set_count(sets[i]);
    }
    /* A member that is found early is spared the other sets. */
    if (look_ups / 2 <= sum) {
        sink->out_of_memory = !sort_stable(sets + 1, count - 1, sizeof *sets, compare_counts_descending);
        if (!sink->out_of_memory)
            pass_on(sink, sets[0], sets + 1, count - 1, false);
        return;
    }
    struct set common = collect_common(sink, sets, count);
    if (!sink->out_of_memory)
        pass_on(sink, sets[0], &common, 1, false);
    set_destroy(common);
}

static void combine(struct sink *sink, enum operation operation, struct set *sets, uint32_t count)
{
    if (operation == INTERSECTION)
        intersect(sink, sets, count);
    else if (operation == UNION)
        unite(sink, sets, count);
    else
        subtract(sink, sets, count);
}

static void run_replied(struct call *call, enum operation operation)
{
    uint32_t count = call->argc - 1;
    struct set *sets = words_aside(call) ? NULL : read_sets(call, 1, count);
    if (!sets || call_aside(call, sum_counts(sets, count)))
        return;
    struct sink sink = { .call = call, .kind = SINK_REPLY, .limit = SIZE_MAX };
    struct output_mark before = output_mark(call->reply->out);
    struct output_gap *head = reply_deferred(call->reply);
    combine(&sink, operation, sets, count);
    reply_deferred_end(call->reply, head, REPLY_SET, sink.count);
    if (sink.out_of_memory) {
        output_rewind(call->reply->out, before);
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    }
}

static void run_stored(struct call *call, enum operation operation)
{
    uint32_t count = call->argc - 2;
    struct set *sets = words_aside(call) ? NULL : read_sets(call, 2, count);
    if (!sets || call_aside(call, sum_counts(sets, count)))
        return;
    struct sink sink = { .call = call, .kind = SINK_STORE, .result = set_create(), .limit = SIZE_MAX };
    combine(&sink, operation, sets, count);
    size_t members = set_count(sink.result);
    struct key key = call_key(call, 1);
    if (sink.out_of_memory || members == 0)
        set_destroy(sink.result);
    if (sink.out_of_memory) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    if (members) {
        static const char *const events[] = { "sinterstore", "sunionstore", "sdiffstore" };
        keyspace_set_value(call->keyspace, call->db, key, ENTRY_SET, sink.result.encoding, sink.result.value,
            EXPIRY_NONE, call->now_ms);
        call_notify(call, NOTIFY_SET, events[operation], call->argv[1]);
    } else if (keyspace_peek(call->keyspace, call->db, key, call->now_ms)) {
        call_remove(call, key);
    }
    reply_int(call->reply, (int64_t)members);
}

static void run_sinter(struct call *call)
{
    run_replied(call, INTERSECTION);
}

static void run_sunion(struct call *call)
{
    run_replied(call, UNION);
}

static void run_sdiff(struct call *call)
{
    run_replied(call, DIFFERENCE);
}

static void run_sinterstore(struct call *call)
{
    run_stored(call, INTERSECTION);
}

static void run_sunionstore(struct call *call)
{
    run_stored(call, UNION);
}

static void run_sdiffstore(struct call *call)
{
    run_stored(call, DIFFERENCE);
}

static void run_sintercard(struct call *call)
{
    int64_t count, limit = 0;
    if (!call_arg_i64(call, 1, 1, INT64_MAX, "ERR numkeys should be greater than 0", &count))
        return;
    if (count > (int64_t)call->argc - 2) {
        reply_error(call->reply, BYTES("ERR Number of keys can't be greater than number of args"));
        return;
    }
    for (uint32_t i = 2 + (uint32_t)count; i < call->argc; i += 2) {
        if (!call_arg_is(call, i, "LIMIT") || i + 1 == call->argc) {
            reply_fail(call->reply, ERROR_SYNTAX);
            return;
        }
        if (!call_arg_i64(call, i + 1, 0, INT64_MAX, "ERR LIMIT can't be negative", &limit))
            return;
    }
    struct set *sets = words_aside(call) ? NULL : read_sets(call, 2, (uint32_t)count);
    if (!sets || call_aside(call, sum_counts(sets, (uint32_t)count)))
        return;
    struct sink sink = { .call = call, .kind = SINK_COUNT, .limit = limit ? (size_t)limit : SIZE_MAX };
    intersect(&sink, sets, (uint32_t)count);
    if (sink.out_of_memory) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    reply_int(call->reply, (int64_t)(sink.count < sink.limit ? sink.count : sink.limit));
}

static const char *const tips_unordered[] = { "nondeterministic_output_order", NULL };

const struct command set_algebra_commands[] = {
    { .name = "SINTER",
        .run = run_sinter,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_SET,
        .keys = { KEY_RANGE(1, -1, 1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N*M) where N is the size of the smallest set and M the number of sets.",
        .usage = "key [key ...]",
        .brief = "Replies with the members that all of the sets have.",
        .tips = tips_unordered },
    { .name = "SINTERSTORE",
        .run = run_sinterstore,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE), KEY_RANGE(2, -1, 1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N*M) where N is the size of the smallest set and M the number of sets.",
        .usage = "destination key [key ...]",
        .brief = "Stores the members that all of the sets have." },
    { .name = "SINTERCARD",
        .run = run_sintercard,
        .argc = AT_LEAST(3),
        .flags = CMD_READ | CMD_MOVABLE_KEYS,
        .group = GROUP_SET,
        .keys = { KEY_NUMBERED(1, KEY_READ_ACCESS) },
        .since = "7.0.0",
        .complexity = "O(N*M) where N is the size of the smallest set and M the number of sets.",
        .usage = "numkeys key [key ...] [LIMIT limit]",
        .brief = "Counts the members that all of the sets have, up to a limit." },
    { .name = "SUNION",
        .run = run_sunion,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_SET,
        .keys = { KEY_RANGE(1, -1, 1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of members of all sets together.",
        .usage = "key [key ...]",
        .brief = "Replies with the members that at least one of the sets has.",
        .tips = tips_unordered },
    { .name = "SUNIONSTORE",
        .run = run_sunionstore,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_RANGE(2, -1, 1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of members of all sets together.",
        .usage = "destination key [key ...]",
        .brief = "Stores the members that at least one of the sets has." },
    { .name = "SDIFF",
        .run = run_sdiff,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_SET,
        .keys = { KEY_RANGE(1, -1, 1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of members of all sets together.",
        .usage = "key [key ...]",
        .brief = "Replies with the members of the first set that none of the others has.",
        .tips = tips_unordered },
    { .name = "SDIFFSTORE",
        .run = run_sdiffstore,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_RANGE(2, -1, 1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of members of all sets together.",
        .usage = "destination key [key ...]",
        .brief = "Stores the members of the first set that none of the others has." },
    { 0 },
};
