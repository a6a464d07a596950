/*
 * Lists: the commands that work on one list and never wait. Those that move elements to other lists, or wait for them,
 * are in list_move.c.
 *
 * Elements go from where they lie straight into the reply; large ones are referenced. Reaching an index costs
 * O(nodes / 62), so LINDEX, LSET, LRANGE and LTRIM are about as quick in the middle as at the ends. LINSERT, LREM and
 * LPOS look at elements one by one, some 4 ns each, and LRANGE and LPOP answer at some 10 ns each. All of these look
 * first and change the list in one short step, so that they are done aside if they are long (engine/aside.h): what is
 * found near the end where they begin to look is done with at once.
 */
#include "list_priv.h"

#include "base/fiber.h"
#include "base/range.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "many_words_priv.h"

enum {
    BLOB_MIN = 4096,  /* no shorter element is kept as a blob, whatever the settings */
    ELEMENT_COST = 3, /* for fiber_breathe */
};

/* --- Pushing --- */

/* The large ones among arguments that were read straight into blobs; NULL if there are none. */
static struct blob **take_blobs(struct call *call, uint32_t first, uint32_t count)
{
    struct blob **blobs = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct blob *blob = call->argv[first + i].len > BLOB_MIN ? call_take_blob(call, first + i) : NULL;
        if (blob && !blobs) {
            blobs = arena_alloc(call->arena, count * sizeof *blobs);
            memset(blobs, 0, count * sizeof *blobs);
        }
        if (blob)
            blobs[i] = blob;
    }
    return blobs;
}

static void push(struct call *call, enum list_end end, bool create)
{
    struct list_edit list;
    if (words_aside(call) || !list_open(call, 1, &list))
        return;
    if (!list.entry && !create) {
        reply_int(call->reply, 0);
        return;
    }
    for (uint32_t at = 2; at < call->argc;) {
        uint32_t count = words_end(call, at) - at;
        if (!list_push(&list, end, &call->argv[at], take_blobs(call, at, count), count)) {
            reply_fail(call->reply, ERROR_MEMORY_REQUEST);
            return;
        }
        at += count;
        fiber_breathe(WORDS_COST);
    }
    list_notify(call, &list, list_push_event(end));
    reply_int(call->reply, (int64_t)list_len(list.entry));
}

static void run_lpush(struct call *call)
{
    push(call, LIST_HEAD, true);
}

static void run_rpush(struct call *call)
{
    push(call, LIST_TAIL, true);
}

static void run_lpushx(struct call *call)
{
    push(call, LIST_HEAD, false);
}

static void run_rpushx(struct call *call)
{
    push(call, LIST_TAIL, false);
}

/* --- Popping --- */

void list_pop(struct call *call, struct list_edit *list, enum list_end end)
{
    struct list_element element;
    list_get(list->entry, end, &element);
    list_reply_element(call, &element);
    list_delete(list, end == LIST_HEAD ? 0 : list_len(list->entry) - 1, 1);
    list_notify(call, list, list_pop_event(end));
}

size_t list_pop_effort(const struct entry *entry, enum list_end end, size_t count)
{
    size_t len = list_len(entry);
    count = count < len ? count : len;
    return list_effort(entry, end == LIST_HEAD ? 0 : len - count, count, CALL_AT_ONCE);
}

void list_pop_many(struct call *call, struct list_edit *list, enum list_end end, size_t count)
{
    struct list_walk walk;
    struct list_element element;
    size_t len = list_len(list->entry);
    count = count < len ? count : len;
    reply_array(call->reply, count);
    if (count == 0)
        return;
    list_walk_begin(&walk, list->entry, end == LIST_HEAD ? 0 : len - 1, count);
    while (end == LIST_HEAD ? list_next(&walk, &element) : list_next_back(&walk, &element)) {
        fiber_breathe(ELEMENT_COST);
        list_reply_element(call, &element);
    }
    list_walk_end(&walk);
    list_delete(list, end == LIST_HEAD ? 0 : len - count, count);
    list_notify(call, list, list_pop_event(end));
}

/* That there are too many arguments is found out here, and not by the row: so MULTI queues them, as Redis does. */
static void pop(struct call *call, enum list_end end)
{
    struct list_edit list;
    int64_t count = 1;
    bool many = call->argc == 3;
    if (call->argc > 3) {
        call_fail_arity(call);
        return;
    }
    if (many && !num_parse_i64(call->argv[2], &count))
        count = -1;
    if (count < 0) {
        reply_fail(call->reply, ERROR_POSITIVE);
        return;
    }
    if (!list_open(call, 1, &list))
        return;
    if (list.entry && many && call_aside(call, list_pop_effort(list.entry, end, (size_t)count)))
        return;
    if (!list.entry && many)
        reply_null_array(call->reply);
    else if (!list.entry)
        reply_null(call->reply);
    else if (many)
        list_pop_many(call, &list, end, (size_t)count);
    else
        list_pop(call, &list, end);
}

static void run_lpop(struct call *call)
{
    pop(call, LIST_HEAD);
}

static void run_rpop(struct call *call)
{
    pop(call, LIST_TAIL);
}

/* --- By index --- */

static void run_llen(struct call *call)
{
    const struct entry *entry = call_read(call, 1);
    if (call_expect_type(call, entry, ENTRY_LIST))
        reply_int(call->reply, (int64_t)list_len(entry));
}

/* An index as clients give it, negative ones from the end, as one from 0; SIZE_MAX if it is before the first. */
static size_t index_from_start(int64_t index, size_t len)
{
    if (index < 0)
        index += (int64_t)len;
    return index < 0 ? SIZE_MAX : (size_t)index;
}

static void run_lindex(struct call *call)
{
    struct list_walk walk;
    struct list_element element;
    int64_t argument;
    const struct entry *entry = call_read(call, 1);
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    if (!call_expect_type(call, entry, ENTRY_LIST) || !call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &argument))
        return;
    size_t index = index_from_start(argument, list_len(entry));
    list_walk_begin(&walk, entry, index, index < list_len(entry));
    if (list_next(&walk, &element))
        list_reply_element(call, &element);
    else
        reply_null(call->reply);
    list_walk_end(&walk);
}

static void run_lset(struct call *call)
{
    struct list_edit list;
    int64_t argument;
    if (!list_open(call, 1, &list))
        return;
    if (!list.entry) {
        reply_fail(call->reply, ERROR_NO_SUCH_KEY);
        return;
    }
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &argument))
        return;
    size_t index = index_from_start(argument, list_len(list.entry));
    if (index >= list_len(list.entry)) {
        reply_fail(call->reply, ERROR_OUT_OF_RANGE);
        return;
    }
    struct blob **blobs = take_blobs(call, 3, 1);
    if (!list_set(&list, index, call->argv[3], blobs ? blobs[0] : NULL)) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    list_notify(call, &list, "lset");
    reply_ok(call->reply);
}

static bool read_range(struct call *call, int64_t *start, int64_t *end)
{
    return call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, start) &&
           call_arg_i64(call, 3, INT64_MIN, INT64_MAX, NULL, end);
}

static void run_lrange(struct call *call)
{
    int64_t start, end;
    size_t index;
    if (!read_range(call, &start, &end))
        return;
    const struct entry *entry = call_read(call, 1);
    if (!call_expect_type(call, entry, ENTRY_LIST))
        return;
    size_t count = range_clip(start, end, list_len(entry), &index);
    if (call_aside(call, list_effort(entry, index, count, CALL_AT_ONCE)))
        return;
    reply_array(call->reply, count);
    if (count == 0)
        return;
    struct list_walk walk;
    struct list_element element;
    list_walk_begin(&walk, entry, index, count);
    while (list_next(&walk, &element) && !fiber_is_over()) {
        fiber_breathe(ELEMENT_COST);
        list_reply_element(call, &element);
    }
    list_walk_end(&walk);
}

static void run_ltrim(struct call *call)
{
    struct list_edit list;
    int64_t start, end;
    size_t index;
    if (!read_range(call, &start, &end) || !list_open(call, 1, &list))
        return;
    size_t len = list_len(list.entry);
    size_t kept = range_clip(start, end, len, &index);
    if (kept == 0 && len > 0) {
        list_delete(&list, 0, len);
    } else if (kept == len && len > 0) {
        keyspace_edit(call->keyspace, call->db, list.key, list.entry); /* to those who watch it, this is a change */
    } else if (len > 0) {
        if (index + kept < len)
            list_delete(&list, index + kept, len - index - kept);
        if (index > 0)
            list_delete(&list, 0, index);
    }
    if (len > 0)
        list_notify(call, &list, "ltrim");
    reply_ok(call->reply);
}

/* --- By value --- */

static void run_linsert(struct call *call)
{
    struct list_edit list;
    bool after = call_arg_is(call, 2, "after"), found;
    if (!after && !call_arg_is(call, 2, "before")) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if (!list_open(call, 1, &list))
        return;
    if (!list.entry) {
        reply_int(call->reply, 0);
        return;
    }
    if (!list_finds_soon(list.entry, LIST_HEAD, call->argv[3], 1, CALL_AT_ONCE) &&
        call_aside(call, list_effort(list.entry, 0, list_len(list.entry), CALL_AT_ONCE)))
        return;
    struct blob **blobs = take_blobs(call, 4, 1);
    if (list_insert(&list, call->argv[3], after, call->argv[4], blobs ? blobs[0] : NULL, &found)) {
        list_notify(call, &list, "linsert");
        reply_int(call->reply, (int64_t)list_len(list.entry));
    } else if (!found)
        reply_int(call->reply, -1);
    else
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
}

#define RANGE_ERROR "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"

/* Reads an integer whose magnitude is one too. */
static bool read_signed(struct call *call, uint32_t index, int64_t *value)
{
    if (!call_arg_i64(call, index, INT64_MIN, INT64_MAX, NULL, value))
        return false;
    if (*value != INT64_MIN)
        return true;
    reply_error(call->reply, BYTES(RANGE_ERROR));
    return false;
}

static void run_lrem(struct call *call)
{
    struct list_edit list;
    int64_t count;
    if (!read_signed(call, 2, &count) || !list_open(call, 1, &list))
        return;
    enum list_end from = count < 0 ? LIST_TAIL : LIST_HEAD;
    size_t max = count == 0 ? SIZE_MAX : (size_t)(count < 0 ? -count : count), removed = 0;
    if (!list_finds_soon(list.entry, from, call->argv[3], max, CALL_AT_ONCE) &&
        call_aside(call, list_effort(list.entry, 0, list_len(list.entry), CALL_AT_ONCE)))
        return;
    if (list.entry)
        removed = list_remove(&list, from, call->argv[3], max);
    if (removed)
        list_notify(call, &list, "lrem");
    reply_int(call->reply, (int64_t)removed);
}

struct pos_options {
    int64_t rank;   /* of the first match to answer; negative: from the tail */
    int64_t count;  /* matches to answer; 0: all, -1: one, not in an array */
    int64_t maxlen; /* elements to look at; 0: all */
};

static bool read_pos_options(struct call *call, struct pos_options *options)
{
    *options = (struct pos_options){ 1, -1, 0 };
    for (uint32_t i = 3; i < call->argc; i += 2) {
        bool ok = false;
        if (i + 1 == call->argc)
            reply_fail(call->reply, ERROR_SYNTAX);
        else if (call_arg_is(call, i, "rank"))
            ok = read_signed(call, i + 1, &options->rank);
        else if (call_arg_is(call, i, "count"))
            ok = call_arg_i64(call, i + 1, 0, INT64_MAX, "ERR COUNT can't be negative", &options->count);
        else if (call_arg_is(call, i, "maxlen"))
            ok = call_arg_i64(call, i + 1, 0, INT64_MAX, "ERR MAXLEN can't be negative", &options->maxlen);
        else
            reply_fail(call->reply, ERROR_SYNTAX);
        if (!ok)
            return false;
        if (options->rank == 0) {
            reply_error(call->reply, BYTES("ERR RANK can't be zero: use 1 to start from the first match, 2 from the "
                                           "second ... or use negative to start from the end of the list"));
            return false;
        }
    }
    return true;
}

/* Answers the positions of matches, until `count` were answered (0: no limit); returns how many. */
static size_t reply_positions(
    struct call *call, const struct entry *entry, const struct pos_options *options, size_t count)
{
    struct list_needle needle = list_needle_make(call->argv[2]);
    bool back = options->rank < 0;
    size_t len = list_len(entry), answered = 0;
    uint64_t skip = (uint64_t)(back ? -options->rank : options->rank) - 1;
    size_t most = options->maxlen && (uint64_t)options->maxlen < len ? (size_t)options->maxlen : len;
    struct list_walk walk;
    struct list_element element;
    list_walk_begin(&walk, entry, back ? len - 1 : 0, most);
    for (size_t i = 0; back ? list_next_back(&walk, &element) : list_next(&walk, &element); i++) {
        fiber_breathe(ELEMENT_COST);
        if (!list_needle_matches(&needle, element.value))
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        reply_int(call->reply, (int64_t)(back ? len - 1 - i : i));
        if (++answered == count)
            break;
    }
    list_walk_end(&walk);
    return answered;
}

static void run_lpos(struct call *call)
{
    struct pos_options options;
    if (!read_pos_options(call, &options))
        return;
    const struct entry *entry = call_read(call, 1);
    if (!call_expect_type(call, entry, ENTRY_LIST))
        return;
    size_t looked_at = list_len(entry), matches = (size_t)(options.rank < 0 ? -options.rank : options.rank);
    if (options.maxlen && (uint64_t)options.maxlen < looked_at)
        looked_at = (size_t)options.maxlen;
    enum list_end from = options.rank < 0 ? LIST_TAIL : LIST_HEAD;
    bool soon = options.count < 0 && list_finds_soon(entry, from, call->argv[2], matches, CALL_AT_ONCE);
    size_t first = from == LIST_HEAD ? 0 : list_len(entry) - looked_at;
    if (!soon && call_aside(call, list_effort(entry, first, looked_at, CALL_AT_ONCE)))
        return;
    if (options.count < 0) {
        if (!entry || !reply_positions(call, entry, &options, 1))
            reply_null(call->reply);
    } else if (!entry) {
        reply_array(call->reply, 0);
    } else {
        struct output_gap *head = reply_deferred(call->reply);
        size_t answered = reply_positions(call, entry, &options, (size_t)options.count);
        reply_deferred_end(call->reply, head, REPLY_ARRAY, answered);
    }
}

static const char *const push_history[] = { "2.4.0", "Takes several elements.", NULL };
static const char *const pushx_history[] = { "4.0.0", "Takes several elements.", NULL };
static const char *const pop_history[] = { "6.2.0", "The `count` argument.", NULL };

const struct command list_commands[] = {
    { .name = "LPUSH",
        .run = run_lpush,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "1.0.0",
        .complexity = "O(1) an element.",
        .usage = "key element [element ...]",
        .brief = "Adds elements at the head of a list, one after the other; a missing list is created.",
        .history = push_history },
    { .name = "RPUSH",
        .run = run_rpush,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "1.0.0",
        .complexity = "O(1) an element.",
        .usage = "key element [element ...]",
        .brief = "Adds elements at the tail of a list; a missing list is created.",
        .history = push_history },
    { .name = "LPUSHX",
        .run = run_lpushx,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "2.2.0",
        .complexity = "O(1) an element.",
        .usage = "key element [element ...]",
        .brief = "Adds elements at the head of a list, if there is one.",
        .history = pushx_history },
    { .name = "RPUSHX",
        .run = run_rpushx,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "2.2.0",
        .complexity = "O(1) an element.",
        .usage = "key element [element ...]",
        .brief = "Adds elements at the tail of a list, if there is one.",
        .history = pushx_history },
    { .name = "LPOP",
        .run = run_lpop,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of elements that are taken.",
        .usage = "key [count]",
        .brief = "Takes one or more elements from the head of a list.",
        .history = pop_history },
    { .name = "RPOP",
        .run = run_rpop,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of elements that are taken.",
        .usage = "key [count]",
        .brief = "Takes one or more elements from the tail of a list.",
        .history = pop_history },
    { .name = "LLEN",
        .run = run_llen,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Replies with the number of elements of a list." },
    { .name = "LINDEX",
        .run = run_lindex,
        .argc = EXACTLY(3),
        .flags = CMD_READ,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N/62) where N is the number of nodes between the index and the nearer end.",
        .usage = "key index",
        .brief = "Replies with the element at an index." },
    { .name = "LSET",
        .run = run_lset,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(N/62) where N is the number of nodes between the index and the nearer end.",
        .usage = "key index element",
        .brief = "Puts another element in the place of the one at an index." },
    { .name = "LRANGE",
        .run = run_lrange,
        .argc = EXACTLY(4),
        .flags = CMD_READ,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(S/62+N) where S is the number of nodes between the start and the nearer end, and N the number "
                      "of elements in the reply.",
        .usage = "key start stop",
        .brief = "Replies with the elements between two indexes, both included." },
    { .name = "LTRIM",
        .run = run_ltrim,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = "O(N/62) where N is the number of nodes that go; their memory follows in the background.",
        .usage = "key start stop",
        .brief = "Takes all elements out of a list but those between two indexes, both included." },
    { .name = "LINSERT",
        .run = run_linsert,
        .argc = EXACTLY(5),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "2.2.0",
        .complexity = "O(N) where N is the number of elements before the pivot.",
        .usage = "key <BEFORE | AFTER> pivot element",
        .brief = "Adds an element before or after the first one that equals the pivot." },
    { .name = "LREM",
        .run = run_lrem,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of elements that are looked at.",
        .usage = "key count element",
        .brief = "Takes out the elements that equal a value: all, or a number of them counted from either end." },
    { .name = "LPOS",
        .run = run_lpos,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "6.0.6",
        .complexity = "O(N) where N is the number of elements that are looked at.",
        .usage = "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
        .brief = "Replies with the indexes of elements that equal a value." },
    { 0 },
};
