/*
 * Lists: commands that move elements from list to list, that pop from the first of several lists, and that wait where
 * there is nothing to take.
 *
 * Those that wait are the others with a deadline. All of them wait in one line for a key, so that elements go to
 * clients in the order in which these came, whichever command they wait with. What is executed again serves the key
 * that has become ready, and looks at no other. Every command is O(1) for each element and each key. Very many keys are
 * gone through aside (engine/aside.h).
 */
#include "base/fiber.h"
#include "cmd/families.h"
#include "deadline_priv.h"
#include "engine/aside.h"
#include "engine/wait.h"
#include "list_priv.h"

enum { OPEN_COST = 10 }; /* for fiber_breathe */

static const struct wait_kind wait_for_elements = { .type = ENTRY_LIST };

/* Reads LEFT or RIGHT; otherwise answers that the syntax is wrong. */
static bool read_end(struct call *call, uint32_t index, enum list_end *end)
{
    bool left = call_arg_is(call, index, "left");
    if (!left && !call_arg_is(call, index, "right")) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    *end = left ? LIST_HEAD : LIST_TAIL;
    return true;
}

/* --- Moving --- */

/* What waited is told of as if it had not. */
static void tell_move(struct call *call, const struct list_edit *from, enum list_end from_end, enum list_end to_end)
{
    static const struct bytes words[] = { [LIST_HEAD] = { "LEFT", 4 }, [LIST_TAIL] = { "RIGHT", 5 } };
    call_notify(call, NOTIFY_LIST, list_push_event(to_end), call->argv[2]);
    list_notify(call, from, list_pop_event(from_end));
    if (call->command->flags & CMD_BLOCKING)
        call_propagate_words(call, "LMOVE", call->argv[1], call->argv[2], words[from_end], words[to_end]);
}

/* What was popped from one of several lists, or after waiting, is told of as popped from that one. */
static void propagate_pop(struct call *call, struct bytes key, enum list_end end, int64_t count)
{
    if (end == LIST_HEAD)
        call_propagate_words(call, "LPOP", key, call_number(call, count));
    else
        call_propagate_words(call, "RPOP", key, call_number(call, count));
}

/* Moves an element of a list that is there to the list under argument 2, and answers it. */
static void move_from(struct call *call, struct list_edit *from, enum list_end from_end, enum list_end to_end)
{
    struct list_edit to;
    struct list_element element;
    struct list_scratch scratch;
    if (!list_open(call, 2, &to))
        return;
    list_get(from->entry, from_end, &element);
    struct blob *blob = element.blob ? blob_ref(element.blob) : NULL; /* ours, for the reply */
    struct bytes text = list_element_bytes(&element, &scratch);
    if (!blob && element.value.text)
        text = arena_copy(call->arena, text);
    uint64_t dirty = call->keyspace->stats.dirty;
    bool done = list_move(from, from_end, &to, to_end, text, blob ? blob_ref(blob) : NULL);
    if (done) {
        call->keyspace->stats.dirty = dirty + 1; /* one change, though of two lists */
        tell_move(call, from, from_end, to_end);
    }
    if (!done)
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    else if (blob)
        reply_bulk_blob(call->reply, blob, text);
    else
        reply_bulk(call->reply, text);
    blob_unref(blob);
}

static void move(struct call *call, enum list_end from_end, enum list_end to_end)
{
    struct list_edit from;
    if (!list_open(call, 1, &from))
        return;
    if (from.entry)
        move_from(call, &from, from_end, to_end);
    else
        reply_null(call->reply);
}

static void run_lmove(struct call *call)
{
    enum list_end from_end, to_end;
    if (read_end(call, 3, &from_end) && read_end(call, 4, &to_end))
        move(call, from_end, to_end);
}

static void run_rpoplpush(struct call *call)
{
    move(call, LIST_TAIL, LIST_HEAD);
}

static void move_or_wait(struct call *call, enum list_end from_end, enum list_end to_end, uint32_t timeout_arg)
{
    struct list_edit from;
    int64_t deadline_ms;
    if (!deadline_read(call, timeout_arg, &deadline_ms) || !list_open(call, 1, &from))
        return;
    if (from.entry)
        move_from(call, &from, from_end, to_end);
    else if (call->request || call->retry)
        call_wait(call, &wait_for_elements, 0, 1, 1, deadline_ms);
    else /* where nobody can wait the answer is not that of a timeout, which is a null array */
        reply_null(call->reply);
}

static void run_blmove(struct call *call)
{
    enum list_end from_end, to_end;
    if (read_end(call, 3, &from_end) && read_end(call, 4, &to_end))
        move_or_wait(call, from_end, to_end, 5);
}

static void run_brpoplpush(struct call *call)
{
    move_or_wait(call, LIST_TAIL, LIST_HEAD, 3);
}

/* --- Popping from the first list that has something --- */

/* Keys among the arguments. */
struct keys {
    uint32_t first, count;
};

/*
 * Opens the first list that is there: *index is the argument that names it, or 0 if there is none. False if that goes
 * on aside, as where very many are missing, or if a key is of another type, which was answered.
 */
static bool open_first(struct call *call, struct keys keys, struct list_edit *list, uint32_t *index)
{
    if (call->retry && call->ready_arg) /* only this one is known to have changed */
        keys = (struct keys){ call->ready_arg, 1 };
    *index = 0;
    for (uint32_t i = 0; i < keys.count; i++) {
        if ((i == CALL_AT_ONCE && call_aside(call, keys.count)) || !list_open(call, keys.first + i, list))
            return false;
        if (list->entry) {
            *index = keys.first + i;
            return true;
        }
        fiber_breathe(OPEN_COST);
    }
    return true;
}

static void pop_or_wait(struct call *call, enum list_end end)
{
    struct list_edit list;
    struct keys keys = { 1, call->argc - 2 };
    uint32_t index;
    int64_t deadline_ms;
    if (!deadline_read(call, call->argc - 1, &deadline_ms) || !open_first(call, keys, &list, &index))
        return;
    if (index) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, call->argv[index]);
        list_pop(call, &list, end);
        propagate_pop(call, call->argv[index], end, 1);
    } else {
        call_wait(call, &wait_for_elements, 0, keys.first, keys.count, deadline_ms);
    }
}

static void run_blpop(struct call *call)
{
    pop_or_wait(call, LIST_HEAD);
}

static void run_brpop(struct call *call)
{
    pop_or_wait(call, LIST_TAIL);
}

/* What stands behind LMPOP, and behind the timeout of BLMPOP. */
struct mpop {
    struct keys keys;
    enum list_end end;
    int64_t count;
};

/* Reads `numkeys key [key ...] LEFT|RIGHT [COUNT count]` from argument `at` on. */
static bool read_mpop(struct call *call, uint32_t at, struct mpop *mpop)
{
    int64_t numkeys;
    mpop->count = 1;
    if (!call_arg_i64(call, at, 1, INT64_MAX, "ERR numkeys should be greater than 0", &numkeys))
        return false;
    if (numkeys > (int64_t)call->argc - at - 2) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    mpop->keys = (struct keys){ at + 1, (uint32_t)numkeys };
    at += 1 + (uint32_t)numkeys;
    if (!read_end(call, at, &mpop->end))
        return false;
    if (call->argc == at + 1)
        return true;
    if (call->argc < at + 3 || !call_arg_is(call, at + 1, "count")) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    if (!call_arg_i64(call, at + 2, 1, INT64_MAX, "ERR count should be greater than 0", &mpop->count))
        return false;
    if (call->argc > at + 3) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/* Answers with the key and its elements, or an error, perhaps later; false if there is nothing. */
static bool pop_first(struct call *call, const struct mpop *mpop)
{
    struct list_edit list;
    uint32_t index;
    if (!open_first(call, mpop->keys, &list, &index))
        return true;
    if (!index)
        return false;
    if (call_aside(call, list_pop_effort(list.entry, mpop->end, (size_t)mpop->count)))
        return true;
    reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[index]);
    list_pop_many(call, &list, mpop->end, (size_t)mpop->count);
    propagate_pop(call, call->argv[index], mpop->end, mpop->count);
    return true;
}

static void run_lmpop(struct call *call)
{
    struct mpop mpop;
    if (read_mpop(call, 1, &mpop) && !pop_first(call, &mpop))
        reply_null_array(call->reply);
}

static void run_blmpop(struct call *call)
{
    struct mpop mpop;
    int64_t deadline_ms;
    if (read_mpop(call, 2, &mpop) && deadline_read(call, 1, &deadline_ms) && !pop_first(call, &mpop))
        call_wait(call, &wait_for_elements, 0, mpop.keys.first, mpop.keys.count, deadline_ms);
}

static const char *const timeout_history[] = { "6.0.0", "The timeout may have a fraction.", NULL };

const struct command list_move_commands[] = {
    { .name = "LMOVE",
        .run = run_lmove,
        .argc = EXACTLY(5),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT) },
        .since = "6.2.0",
        .complexity = "O(1)",
        .usage = "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
        .brief = "Moves an element from an end of one list to an end of another, and replies with it." },
    { .name = "RPOPLPUSH",
        .run = run_rpoplpush,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT) },
        .since = "1.2.0",
        .complexity = "O(1)",
        .usage = "source destination",
        .brief = "Moves the last element of a list to the head of another; LMOVE with RIGHT and LEFT." },
    { .name = "LMPOP",
        .run = run_lmpop,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_MOVABLE_KEYS,
        .group = GROUP_LIST,
        .keys = { KEY_NUMBERED(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "7.0.0",
        .complexity = "O(N+M) where N is the number of keys and M the number of elements that are taken.",
        .usage = "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        .brief = "Takes elements from the first of several lists that is not empty." },
    { .name = "BLPOP",
        .run = run_blpop,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_NO_SCRIPT | CMD_BLOCKING,
        .group = GROUP_LIST,
        .keys = { KEY_RANGE(1, -2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of keys.",
        .usage = "key [key ...] timeout",
        .brief = "Takes the first element of the first of several lists that is not empty; waits for one.",
        .history = timeout_history },
    { .name = "BRPOP",
        .run = run_brpop,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_NO_SCRIPT | CMD_BLOCKING,
        .group = GROUP_LIST,
        .keys = { KEY_RANGE(1, -2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of keys.",
        .usage = "key [key ...] timeout",
        .brief = "Takes the last element of the first of several lists that is not empty; waits for one.",
        .history = timeout_history },
    { .name = "BLMOVE",
        .run = run_blmove,
        .argc = EXACTLY(6),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_NO_SCRIPT | CMD_BLOCKING,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT) },
        .since = "6.2.0",
        .complexity = "O(1)",
        .usage = "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
        .brief = "Moves an element from an end of one list to an end of another; waits for one." },
    { .name = "BRPOPLPUSH",
        .run = run_brpoplpush,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_NO_SCRIPT | CMD_BLOCKING,
        .group = GROUP_LIST,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT) },
        .since = "2.2.0",
        .complexity = "O(1)",
        .usage = "source destination timeout",
        .brief = "Moves the last element of a list to the head of another; waits for one.",
        .history = timeout_history },
    { .name = "BLMPOP",
        .run = run_blmpop,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
        .group = GROUP_LIST,
        .keys = { KEY_NUMBERED(2, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "7.0.0",
        .complexity = "O(N+M) where N is the number of keys and M the number of elements that are taken.",
        .usage = "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        .brief = "Takes elements from the first of several lists that is not empty; waits for one." },
    { 0 },
};
