/*
 * Sets: adding, removing, asking, walking. Drawing at random is in set_random.c, set algebra in set_algebra.c.
 *
 * Costs: O(1) a member in a table; small sets are packed, where it is O(n) of a small n. SMEMBERS of a large set is
 * answered aside (engine/aside.h), and so is what has very many arguments.
 */
#include "set_priv.h"

#include "base/assert.h"
#include "base/fiber.h"
#include "cmd/families.h"
#include "collection_scan_priv.h"
#include "engine/aside.h"
#include "many_words_priv.h"

/* To be called before the member of argument `i` is looked up: asks for it and those that follow, a batch at a time. */
static void look_ahead(const struct call *call, struct set set, uint32_t i)
{
    if ((i - 2) % SET_BATCH > 0 || call->argc - i < 2 || set.encoding != SET_TABLE)
        return;
    uint32_t end = call->argc - i < SET_BATCH ? call->argc : i + SET_BATCH;
    for (unsigned step = 0; step < 2; step++)
        for (uint32_t j = i; j < end; j++)
            set_look_ahead(set, call->argv[j], step);
}

/* A command_look_ahead_fn, by the first member. */
static void look_ahead_first(const struct entry *entry, const struct bytes *argv, uint32_t argc, unsigned step)
{
    if (entry->type == ENTRY_SET && argc > 2)
        set_look_ahead(set_of(entry), argv[2], step);
}

/*
 * Where the settings let many members be packed, each change may move them all, or make a table of them. As call_aside,
 * for any change of such a set.
 */
static bool large_pack_aside(struct call *call, struct set set)
{
    return set.encoding != SET_TABLE && call_aside(call, set_count(set));
}

/*
 * After a change, aside: such a set is closed, and opened anew.
 */
static void large_pack_breathe(struct call *call, struct set_edit *edit)
{
    enum { CHANGE_COST = 4000 }; /* for fiber_breathe */
    if (!fiber_running || edit->set.encoding == SET_TABLE || set_count(edit->set) < CALL_AT_ONCE)
        return;
    set_edit_end(edit, call->now_ms);
    fiber_breathe(CHANGE_COST);
    bool opened = set_open(call, 1, edit);
    ASSERT(opened);
}

/* Adds the members from `from` to before `end`. False: an error was answered, or the call has gone aside. */
static bool add_some(struct call *call, uint32_t from, uint32_t end, int64_t *added)
{
    struct set_edit edit;
    if (!set_open(call, 1, &edit) || large_pack_aside(call, edit.set))
        return false;
    set_edit_expect(&edit, call->argv[from], call->argc - from);
    bool enough_memory = true;
    for (uint32_t i = from; i < end && enough_memory; i++) {
        look_ahead(call, edit.set, i);
        enum set_added result = set_edit_add(&edit, call->argv[i]);
        *added += result == SET_ADDED;
        enough_memory = result != SET_NO_MEMORY;
        large_pack_breathe(call, &edit);
    }
    set_close(call, &edit, *added > 0 && (end == call->argc || !enough_memory), "sadd");
    if (!enough_memory)
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    return enough_memory;
}

static void run_sadd(struct call *call)
{
    int64_t added;
    if (words_each(call, add_some, &added))
        reply_int(call->reply, added);
}

static bool remove_some(struct call *call, uint32_t from, uint32_t end, int64_t *removed)
{
    struct set_edit edit;
    if (!set_open(call, 1, &edit) || large_pack_aside(call, edit.set))
        return false;
    for (uint32_t i = from; i < end; i++) {
        look_ahead(call, edit.set, i);
        *removed += set_edit_remove(&edit, call->argv[i]);
        large_pack_breathe(call, &edit);
    }
    set_close(call, &edit, *removed > 0 && end == call->argc, "srem");
    return true;
}

static void run_srem(struct call *call)
{
    int64_t removed;
    if (words_each(call, remove_some, &removed))
        reply_int(call->reply, removed);
}

static void run_sismember(struct call *call)
{
    struct set set;
    if (set_read(call, 1, &set))
        reply_int(call->reply, set_has(set, call->argv[2]));
}

static void run_smismember(struct call *call)
{
    struct set set;
    if (!set_read(call, 1, &set) || words_aside(call))
        return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        look_ahead(call, set, i);
        reply_int(call->reply, set_has(set, call->argv[i]));
        fiber_breathe(WORD_COST);
    }
}

static void run_scard(struct call *call)
{
    struct set set;
    if (set_read(call, 1, &set))
        reply_int(call->reply, (int64_t)set_count(set));
}

void set_reply_all(struct call *call, struct set set, bool as_array)
{
    if (as_array)
        reply_array(call->reply, set_count(set));
    else
        reply_set(call->reply, set_count(set));
    struct set_walk walk = set_walk_begin(set);
    for (struct set_batch batch; set_walk_next(&walk, &batch) && !fiber_is_over();)
        for (unsigned i = 0; i < batch.count; i++)
            set_reply_member(call, batch.members[i]);
}

static void run_smembers(struct call *call)
{
    struct set set;
    if (set_read(call, 1, &set) && !call_aside(call, set_count(set)))
        set_reply_all(call, set, false);
}

/*
 * The member goes into the destination first: if memory is out, nothing has happened. The source is looked up again
 * then, since storing a new key ends what was borrowed.
 */
static void run_smove(struct call *call)
{
    struct bytes member = call->argv[3];
    struct set_edit from, to;
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    if (!entry) {
        reply_int(call->reply, 0);
        return;
    }
    if (!call_expect_type(call, entry, ENTRY_SET) || !set_open(call, 2, &to) || large_pack_aside(call, set_of(entry)) ||
        large_pack_aside(call, to.set))
        return;
    bool present = set_has(set_of(entry), member);
    if (!present || bytes_equal(call->argv[1], call->argv[2])) {
        reply_int(call->reply, present);
        return;
    }
    enum set_added added = set_edit_add(&to, member);
    bool is_new = !to.entry && added == SET_ADDED;
    call->keyspace->tells_arrivals = false; /* events come in the order of Redis, which removes first */
    set_edit_end(&to, call->now_ms);
    engine_refresh_notifications(call->engine);
    if (added == SET_NO_MEMORY) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    set_open(call, 1, &from);
    set_edit_remove(&from, member);
    set_close(call, &from, true, "srem");
    if (is_new)
        call_notify(call, NOTIFY_NEW, "new", call->argv[2]);
    if (added == SET_ADDED)
        call_notify(call, NOTIFY_SET, "sadd", call->argv[2]);
    reply_int(call->reply, 1);
}

struct page {
    struct collection_scan scan;
    struct call *call;
};

static void answer_matching(void *context, struct set_member member)
{
    struct page *page = context;
    struct set_scratch scratch;
    page->scan.visited++;
    fiber_breathe(COLLECTION_SCAN_COST);
    if (!page->scan.any && !collection_scan_matches(&page->scan, set_member_bytes(member, &scratch)))
        return;
    set_reply_member(page->call, member);
    page->scan.answered++;
}

static void run_sscan(struct call *call)
{
    struct page page = { .call = call };
    if (!collection_scan_cursor(call, &page.scan))
        return;
    struct set set;
    if (!set_read(call, 1, &set))
        return;
    if (!set.value) {
        collection_scan_reply_empty(call);
        return;
    }
    if (!collection_scan_options(call, &page.scan, false) || collection_scan_aside(call, &page.scan, set_count(set)))
        return;
    collection_scan_begin(call, &page.scan);
    do
        page.scan.cursor = set_scan(set, page.scan.cursor, answer_matching, &page);
    while (collection_scan_goes_on(&page.scan));
    collection_scan_end(call, &page.scan);
}

static const char *const tips_smembers[] = { "nondeterministic_output_order", NULL };
static const char *const tips_sscan[] = { "nondeterministic_output", NULL };
static const char *const history_several[] = { "2.4.0", "Takes several members.", NULL };

const struct command set_commands[] = {
    { .name = "SADD",
        .run = run_sadd,
        .look_ahead = look_ahead_first,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of members given.",
        .usage = "key member [member ...]",
        .brief = "Adds members to a set, which is created if missing.",
        .history = history_several },
    { .name = "SREM",
        .run = run_srem,
        .look_ahead = look_ahead_first,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of members given.",
        .usage = "key member [member ...]",
        .brief = "Removes members from a set; the key goes with the last one.",
        .history = history_several },
    { .name = "SISMEMBER",
        .run = run_sismember,
        .look_ahead = look_ahead_first,
        .argc = EXACTLY(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key member",
        .brief = "Tells whether a set has a member." },
    { .name = "SMISMEMBER",
        .run = run_smismember,
        .look_ahead = look_ahead_first,
        .argc = AT_LEAST(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "6.2.0",
        .complexity = "O(N) where N is the number of members asked for.",
        .usage = "key member [member ...]",
        .brief = "Tells for each of several members whether a set has it." },
    { .name = "SCARD",
        .run = run_scard,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Replies with the number of members of a set." },
    { .name = "SMEMBERS",
        .run = run_smembers,
        .argc = EXACTLY(2),
        .flags = CMD_READ,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of members.",
        .usage = "key",
        .brief = "Replies with all members of a set.",
        .tips = tips_smembers },
    { .name = "SMOVE",
        .run = run_smove,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "source destination member",
        .brief = "Takes a member out of one set and puts it into another." },
    { .name = "SSCAN",
        .run = run_sscan,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_SET,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.8.0",
        .complexity = "O(COUNT) for a call; O(N) for a whole iteration, where N is the number of members.",
        .usage = "key cursor [MATCH pattern] [COUNT count]",
        .brief = "Replies with some members of a set and the cursor that goes on behind them.",
        .tips = tips_sscan },
    { 0 },
};
