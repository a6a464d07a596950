/*
 * Sets: members chosen at random, to look at or to take out. Every choice is uniform.
 *
 * Costs: expected O(1) a member. A count that is a large part of a table, or of a packed set, makes one pass over the
 * members instead. Where it is much, it is done aside (engine/aside.h): what SPOP chooses is there for everybody until
 * all is chosen, then gone at once; the client is answered, and the memory given back.
 */
#include "set_priv.h"

#include "base/buf.h"
#include "base/fiber.h"
#include "base/random.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "pop_priv.h"

enum { WORDS_MAX = 128 }; /* of one command that tells of what was popped */

/* Members that are popped: answered, and put into words that they are told of by. */
struct popped {
    struct call *call;
    bool told;       /* those words are made */
    struct buf text; /* members that are not in them yet, one behind the other */
    size_t lens[WORDS_MAX];
    uint32_t count;
    struct propagate_later words;
};

static void flush_words(struct popped *popped)
{
    struct bytes argv[2 + WORDS_MAX];
    argv[0] = BYTES("SREM");
    argv[1] = popped->call->argv[1];
    size_t at = 0;
    for (uint32_t i = 0; i < popped->count; at += popped->lens[i++])
        argv[2 + i] = bytes_make(popped->text.ptr + at, popped->lens[i]);
    if (popped->count)
        propagate_later_add(&popped->words, argv, 2 + popped->count);
    popped->count = 0;
    buf_clear(&popped->text);
}

static void add_word(void *context, struct set_member member)
{
    struct popped *popped = context;
    struct set_scratch scratch;
    struct bytes text = set_member_bytes(member, &scratch);
    buf_append(&popped->text, text);
    popped->lens[popped->count++] = text.len;
    if (popped->count == WORDS_MAX)
        flush_words(popped);
}

static void reply_popped(void *context, struct set_member member)
{
    struct popped *popped = context;
    set_reply_member(popped->call, member);
    if (popped->told)
        add_word(context, member);
}

/* Nothing is told of before all is chosen and gone, for that may take many slices. */
static void pop_some(struct call *call, struct set_edit *edit, size_t count)
{
    struct popped popped = { .call = call, .told = call_is_propagated(call), .text = BUF_EMPTY };
    set_edit_pop(edit, count, call_random(call), reply_popped, &popped);
    if (!popped.told && call_is_propagated(call)) /* somebody listens now who did not in the beginning */
        set_edit_visit_popped(edit, add_word, &popped);
    flush_words(&popped);
    call_propagate_later(call, &popped.words);
    buf_fini(&popped.text);
    set_close(call, edit, true, "spop");
    if (edit->remains)
        call_answered(call);
    set_edit_give_back(edit);
}

static void pop_all(struct call *call, const struct set_edit *edit, size_t members)
{
    set_reply_all(call, edit->set, false);
    if (members == 0)
        return;
    call_notify(call, NOTIFY_SET, "spop", call->argv[1]);
    call_remove(call, edit->key);
    call->keyspace->stats.dirty += members - 1;
    call_propagate_words(call, "DEL", call->argv[1]);
}

static __attribute__((noinline)) void pop_found(struct call *call, struct entry *entry)
{
    enum { POP_WORK = 4 }; /* one member is as much work as so many items that are only looked at */
    int64_t count = 1;
    bool counted = call->argc == 3;
    if (counted && !call_arg_i64(call, 2, 0, INT64_MAX, "ERR value is out of range, must be positive", &count))
        return;
    struct set_edit edit;
    if (!set_open_found(call, call_key(call, 1), entry, &edit))
        return;
    size_t members = set_count(edit.set);
    if (members == 0 && !counted) {
        reply_null(call->reply);
        return;
    }
    bool all = counted && (uint64_t)count >= members;
    if (counted && call_aside(call, POP_WORK * (all ? members : (size_t)count)))
        return;
    if (all) {
        pop_all(call, &edit, members);
        return;
    }
    if (counted)
        reply_set(call->reply, (size_t)count);
    if (count)
        pop_some(call, &edit, (size_t)count);
}

static void run_spop(struct call *call)
{
    struct entry *entry;
    if (pop_look(call, reply_null, &entry))
        pop_found(call, entry);
}

enum {
    DRAW_COST = 10,                  /* for fiber_breathe */
    REPEATED_MAX = 10 * 1000 * 1000, /* members that may be drawn at once: the reply must fit somewhere */
};

/* As often as wanted, the same member more than once if chance wills it. */
static void reply_repeating(struct call *call, struct set set, uint64_t count)
{
    struct random *random = call_random(call);
    reply_array(call->reply, count);
    while (count-- && !fiber_is_over()) {
        fiber_breathe(DRAW_COST);
        set_reply_member(call, set_random(set, random));
    }
}

/* Members that are looked at to draw `count` different ones. */
static size_t draw_work(size_t members, size_t count)
{
    return count > members / 8 ? members : count;
}

static void run_srandmember(struct call *call)
{
    int64_t count;
    if (call->argc > 3) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if (call->argc == 3) {
        if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &count))
            return;
        if (count == INT64_MIN) {
            reply_error(call->reply, BYTES("ERR value is out of range, value must between -9223372036854775807 and "
                                           "9223372036854775807"));
            return;
        }
    }
    struct set set;
    if (!set_read(call, 1, &set))
        return;
    size_t members = set_count(set);
    bool counted = call->argc == 3 && members && count;
    if (counted && count < -REPEATED_MAX) {
        reply_error(call->reply, BYTES("ERR value is out of range"));
        return;
    }
    if (counted && call_aside(call, count < 0 ? (size_t)-count : draw_work(members, (size_t)count)))
        return;
    if (call->argc == 2) {
        if (members)
            set_reply_member(call, set_random(set, call_random(call)));
        else
            reply_null(call->reply);
    } else if (members == 0 || count == 0) {
        reply_array(call->reply, 0);
    } else if (count < 0) {
        reply_repeating(call, set, (uint64_t)-count);
    } else if ((uint64_t)count >= members) {
        set_reply_all(call, set, true);
    } else {
        struct output_mark before = output_mark(call->reply->out);
        reply_array(call->reply, (size_t)count);
        if (set_sample(set, (size_t)count, call_random(call), set_reply_visited, call))
            return;
        output_rewind(call->reply->out, before);
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    }
}

static const char *const tips_random[] = { "nondeterministic_output", NULL };
static const char *const history_spop[] = { "3.2.0", "Takes the argument `count`.", NULL };
static const char *const history_srandmember[] = { "2.6.0", "Takes the argument `count`.", NULL };

const struct command set_random_commands[] = {
    { .name = "SPOP",
        .run = run_spop,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of members taken out.",
        .usage = "key [count]",
        .brief = "Takes one or more members out of a set, chosen at random.",
        .tips = tips_random,
        .history = history_spop },
    { .name = "SRANDMEMBER",
        .run = run_srandmember,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity =
            "O(N) where N is the number of members replied with; O(M) where that is a large part of M members.",
        .usage = "key [count]",
        .brief = "Replies with one or more members of a set, chosen at random; a negative count allows repetition.",
        .tips = tips_random,
        .history = history_srandmember },
    { 0 },
};
