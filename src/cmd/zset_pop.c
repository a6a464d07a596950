/*
 * Sorted sets: taking members out from either end, at once or when there are some, and drawing them at random.
 *
 * Random members are drawn by rank, so every one is as likely as any other, however the set is kept.
 *
 * Costs: O(log n) for each member that is answered. A sample of more than half of a set is one walk over all of it.
 * What is popped is answered aside if it is much (engine/aside.h), and then leaves the set all at once, in O(log n).
 * Very many keys are gone through aside, too.
 */
#include "zset_priv.h"

#include <string.h>

#include "base/fiber.h"
#include "base/random.h"
#include "cmd/families.h"
#include "deadline_priv.h"
#include "engine/aside.h"
#include "engine/wait.h"
#include "pop_priv.h"

enum { OPEN_COST = 10 }; /* for fiber_breathe */

/* --- Popping --- */

struct pop {
    bool max;      /* from the upper end */
    int64_t count; /* at most so many */
    bool nested;   /* each member with its score in an array */
};

/* Takes members out and answers them, without a head. */
static void pop_members(struct call *call, struct zset_edit *edit, const struct pop *pop, size_t count)
{
    struct zset_iter iter;
    size_t size = zset_count(edit->entry);
    struct zset_span span = { pop->max ? size - count : 0, count };
    zset_iter_begin(&iter, edit->entry, pop->max ? size - 1 : 0, pop->max);
    for (size_t left = count; left; left--) {
        if (pop->nested)
            reply_array(call->reply, 2);
        reply_bulk(call->reply, iter.member);
        reply_double(call->reply, iter.score);
        zset_iter_next(&iter);
    }
    zset_remove_span(edit, span);
    zset_notify_removal(call, edit, pop->max ? "zpopmax" : "zpopmin");
}

/* What was popped from one of several sets, or after waiting, is told of as popped from that one. */
static void propagate_pop(struct call *call, struct bytes key, const struct pop *pop)
{
    if (pop->max)
        call_propagate_words(call, "ZPOPMAX", key, call_number(call, pop->count));
    else
        call_propagate_words(call, "ZPOPMIN", key, call_number(call, pop->count));
}

static size_t pop_count(const struct zset_edit *edit, const struct pop *pop)
{
    size_t size = zset_count(edit->entry);
    return (uint64_t)pop->count < size ? (size_t)pop->count : size;
}

static __attribute__((noinline)) void pop_found(struct call *call, struct entry *entry, bool max)
{
    struct pop pop = { .max = max, .count = 1 };
    struct zset_edit edit;
    if (call->argc == 3) {
        const char *message = "ERR value is out of range, must be positive";
        if (!call_arg_i64(call, 2, 0, INT64_MAX, message, &pop.count))
            return;
        pop.nested = call->reply->proto >= 3;
    }
    if (!zset_open_found(call, call_key(call, 1), entry, &edit))
        return;
    size_t count = pop_count(&edit, &pop);
    if (call_aside(call, count))
        return;
    reply_array(call->reply, pop.nested ? count : 2 * count);
    if (count)
        pop_members(call, &edit, &pop, count);
}

static inline void pop_key(struct call *call, bool max)
{
    struct entry *entry;
    if (pop_look(call, reply_empty_array, &entry))
        pop_found(call, entry, max);
}

static void run_zpopmin(struct call *call)
{
    pop_key(call, false);
}

static void run_zpopmax(struct call *call)
{
    pop_key(call, true);
}

/* --- From the first of several keys that has something --- */

/*
 * Opens the first set that is there, from argument `first` on: *index is the argument that names it, or 0 if there is
 * none. False if that goes on aside, as where very many are missing, or if a key is of another type, which it answered.
 */
static bool open_first(struct call *call, uint32_t first, uint32_t count, struct zset_edit *edit, uint32_t *index)
{
    if (call->retry && call->ready_arg) { /* only this one is known to have changed */
        first = call->ready_arg;
        count = 1;
    }
    *index = 0;
    for (uint32_t i = 0; i < count; i++) {
        if ((i == CALL_AT_ONCE && call_aside(call, count)) || !zset_open(call, first + i, edit))
            return false;
        if (edit->entry) {
            *index = first + i;
            return true;
        }
        fiber_breathe(OPEN_COST);
    }
    return true;
}

/* MIN or MAX, and COUNT, behind the keys. */
static bool read_pop(struct call *call, uint32_t at, struct pop *pop)
{
    bool counted = false, good = call_arg_is(call, at, "MIN") || call_arg_is(call, at, "MAX");
    pop->max = call_arg_is(call, at, "MAX");
    pop->nested = true;
    for (at++; good && at < call->argc; at += 2) {
        good = !counted && at + 1 < call->argc && call_arg_is(call, at, "COUNT");
        if (good && !call_arg_i64(call, at + 1, 1, INT64_MAX, "ERR count should be greater than 0", &pop->count))
            return false;
        counted = true;
    }
    if (!good)
        reply_fail(call->reply, ERROR_SYNTAX);
    return good;
}

/* Reads the number of keys at `at`, and what is behind them. */
static bool read_keys_and_pop(struct call *call, uint32_t at, uint32_t *keys, struct pop *pop)
{
    int64_t count;
    if (!call_arg_i64(call, at, 1, INT64_MAX, "ERR numkeys should be greater than 0", &count))
        return false;
    if (count >= call->argc - at - 1) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    *keys = (uint32_t)count;
    pop->count = 1;
    return read_pop(call, at + 1 + *keys, pop);
}

static void reply_key_and_members(struct call *call, uint32_t index, struct zset_edit *edit, const struct pop *pop)
{
    size_t count = pop_count(edit, pop);
    reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[index]);
    reply_array(call->reply, count);
    pop_members(call, edit, pop, count);
    propagate_pop(call, call->argv[index], pop);
}

static void run_zmpop(struct call *call)
{
    uint32_t keys, index;
    struct pop pop;
    struct zset_edit edit;
    if (!read_keys_and_pop(call, 1, &keys, &pop))
        return;
    if (!open_first(call, 2, keys, &edit, &index) || (index && call_aside(call, pop_count(&edit, &pop))))
        return;
    if (index)
        reply_key_and_members(call, index, &edit, &pop);
    else
        reply_null_array(call->reply);
}

/* --- Waiting for it --- */

static const struct wait_kind wait_for_members = { .type = ENTRY_ZSET };

static void pop_or_wait(struct call *call, bool max)
{
    struct zset_edit edit;
    struct pop pop = { .max = max, .count = 1 };
    uint32_t keys = call->argc - 2, index;
    int64_t deadline_ms;
    if (!deadline_read(call, call->argc - 1, &deadline_ms) || !open_first(call, 1, keys, &edit, &index))
        return;
    if (index) {
        reply_array(call->reply, 3);
        reply_bulk(call->reply, call->argv[index]);
        pop_members(call, &edit, &pop, 1);
        propagate_pop(call, call->argv[index], &pop);
    } else {
        call_wait(call, &wait_for_members, 0, 1, keys, deadline_ms);
    }
}

static void run_bzpopmin(struct call *call)
{
    pop_or_wait(call, false);
}

static void run_bzpopmax(struct call *call)
{
    pop_or_wait(call, true);
}

static void run_bzmpop(struct call *call)
{
    struct zset_edit edit;
    struct pop pop;
    uint32_t keys, index;
    int64_t deadline_ms;
    if (!deadline_read(call, 1, &deadline_ms) || !read_keys_and_pop(call, 2, &keys, &pop) ||
        !open_first(call, 3, keys, &edit, &index) || (index && call_aside(call, pop_count(&edit, &pop))))
        return;
    if (index)
        reply_key_and_members(call, index, &edit, &pop);
    else
        call_wait(call, &wait_for_members, 0, 3, keys, deadline_ms);
}

/* --- Drawing at random --- */

enum {
    REPEATED_MAX = 10 * 1000 * 1000, /* members that may be drawn at once: the reply must fit somewhere */
    DRAW_COST = 20,                  /* for fiber_breathe */
};

static void reply_at_rank(struct call *call, const struct entry *entry, size_t rank, bool scores)
{
    struct zset_iter iter;
    fiber_breathe(DRAW_COST);
    zset_iter_begin(&iter, entry, rank, false);
    zset_reply_member(call, iter.member, iter.score, scores);
}

/* Ranks drawn so far, in an open table of twice as many places; 0 is an empty one. */
struct drawn {
    uint64_t *ranks; /* each one more */
    size_t mask;
};

static bool draw_once(struct drawn *drawn, size_t rank)
{
    size_t at = (rank * 0x9e3779b97f4a7c15u >> 20) & drawn->mask;
    for (; drawn->ranks[at]; at = (at + 1) & drawn->mask)
        if (drawn->ranks[at] == rank + 1)
            return false;
    drawn->ranks[at] = rank + 1;
    return true;
}

/* `count` different members, a small part of the set: ranks are drawn until there are so many. */
static void reply_few(struct call *call, const struct entry *entry, size_t count, bool scores)
{
    size_t size = zset_count(entry), places = 4;
    while (places < 2 * count)
        places *= 2;
    struct drawn drawn = { arena_try_alloc(call->arena, places * sizeof *drawn.ranks), places - 1 };
    if (!drawn.ranks) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    memset(drawn.ranks, 0, places * sizeof *drawn.ranks);
    zset_reply_head(call, count, scores);
    while (count) {
        size_t rank = random_below(call_random(call), size);
        if (!draw_once(&drawn, rank))
            continue;
        reply_at_rank(call, entry, rank, scores);
        count--;
    }
}

/* `count` different members, a large part of the set: each is taken with the chance that is left for it. */
static void reply_many(struct call *call, const struct entry *entry, size_t count, bool scores)
{
    struct zset_iter iter;
    size_t left = zset_count(entry);
    zset_reply_head(call, count, scores);
    bool more = zset_iter_begin(&iter, entry, 0, false);
    for (; more && count; more = zset_iter_next(&iter), left--)
        if (random_below(call_random(call), left) < count) {
            zset_reply_member(call, iter.member, iter.score, scores);
            count--;
        }
}

static void reply_repeated(struct call *call, const struct entry *entry, uint64_t count, bool scores)
{
    size_t size = zset_count(entry);
    zset_reply_head(call, count, scores);
    for (; count; count--)
        reply_at_rank(call, entry, random_below(call_random(call), size), scores);
}

/* Reads how many are wanted, and whether with scores. */
static bool read_sample(struct call *call, int64_t *count, bool *scores)
{
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, count))
        return false;
    if (*count == INT64_MIN) {
        reply_error_printf(call->reply, "ERR value is out of range, value must between %lld and %lld",
            (long long)-INT64_MAX, (long long)INT64_MAX);
        return false;
    }
    *scores = call->argc == 4 && call_arg_is(call, 3, "WITHSCORES");
    if (call->argc > 4 || (call->argc == 4 && !*scores)) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    if (*scores && (*count < -(INT64_MAX / 2) || *count > INT64_MAX / 2)) {
        reply_error(call->reply, BYTES("ERR value is out of range"));
        return false;
    }
    return true;
}

/* Members that are looked at to draw `count` different ones. */
static size_t draw_work(size_t size, size_t count)
{
    return count > size / 2 ? size : count;
}

static void run_zrandmember(struct call *call)
{
    int64_t count = 1;
    bool scores = false, single = call->argc == 2;
    const struct entry *entry;
    if ((!single && !read_sample(call, &count, &scores)) || !zset_look(call, 1, &entry))
        return;
    size_t size = zset_count(entry);
    bool refused = count < -REPEATED_MAX;
    if (!single && size && !refused && call_aside(call, count < 0 ? (size_t)-count : draw_work(size, (size_t)count)))
        return;
    if (single && size)
        reply_at_rank(call, entry, random_below(call_random(call), size), false);
    else if (single)
        reply_null(call->reply);
    else if (!size || !count)
        reply_array(call->reply, 0);
    else if (refused)
        reply_error(call->reply, BYTES("ERR value is out of range"));
    else if (count < 0)
        reply_repeated(call, entry, (uint64_t)-count, scores);
    else if ((uint64_t)count <= size / 2)
        reply_few(call, entry, (size_t)count, scores);
    else
        reply_many(call, entry, (uint64_t)count < size ? (size_t)count : size, scores);
}

static const char *const history_bzpopmin[] = { "6.0.0", "The timeout may have a fraction.", NULL };
static const char *const history_bzpopmax[] = { "6.0.0", "The timeout may have a fraction.", NULL };
static const char *const tips_zrandmember[] = { "nondeterministic_output", NULL };

const struct command zset_pop_commands[] = {
    {
        .name = "ZPOPMIN",
        .run = run_zpopmin,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "5.0.0",
        .complexity = "O(log N) for each member that is removed, N of which the set has.",
        .usage = "key [count]",
        .brief = "Removes the members with the lowest scores, and replies with them.",
    },
    {
        .name = "ZPOPMAX",
        .run = run_zpopmax,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "5.0.0",
        .complexity = "O(log N) for each member that is removed, N of which the set has.",
        .usage = "key [count]",
        .brief = "Removes the members with the highest scores, and replies with them.",
    },
    {
        .name = "ZMPOP",
        .run = run_zmpop,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_NUMBERED(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "7.0.0",
        .complexity =
            "O(K + M log N) where K is the number of keys and M that of the removed members, N of which the set has.",
        .usage = "numkeys key [key ...] <MIN | MAX> [COUNT count]",
        .brief = "Removes members with the lowest or highest scores from the first sorted set that is not empty.",
    },
    {
        .name = "BZPOPMIN",
        .run = run_bzpopmin,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_NO_SCRIPT | CMD_BLOCKING | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_RANGE(1, -2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "5.0.0",
        .complexity = "O(log N) where N is the number of members.",
        .usage = "key [key ...] timeout",
        .brief = "Removes the member with the lowest score from the first sorted set that is not empty; waits for one.",
        .history = history_bzpopmin,
    },
    {
        .name = "BZPOPMAX",
        .run = run_bzpopmax,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_NO_SCRIPT | CMD_BLOCKING | CMD_FAST,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_RANGE(1, -2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "5.0.0",
        .complexity = "O(log N) where N is the number of members.",
        .usage = "key [key ...] timeout",
        .brief =
            "Removes the member with the highest score from the first sorted set that is not empty; waits for one.",
        .history = history_bzpopmax,
    },
    {
        .name = "BZMPOP",
        .run = run_bzmpop,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_NUMBERED(2, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "7.0.0",
        .complexity =
            "O(K + M log N) where K is the number of keys and M that of the removed members, N of which the set has.",
        .usage = "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
        .brief = "Removes members from the first sorted set that is not empty; waits for one.",
    },
    {
        .name = "ZRANDMEMBER",
        .run = run_zrandmember,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_SORTED_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(M log N) where M is the number of members in the reply, N of which the set has.",
        .usage = "key [count [WITHSCORES]]",
        .brief = "Replies with members chosen at random.",
        .tips = tips_zrandmember,
    },
    { 0 },
};
