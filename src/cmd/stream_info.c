/*
 * XINFO: what streams, groups and consumers are like.
 *
 * XINFO STREAM FULL answers very many things: entries, groups, what they have pending, consumers. With COUNT it is
 * bounded; without a bound it goes from one group to the next in slices, and through each list of pending entries in
 * slices that go on behind the ID that the last one came to.
 */
#include "base/fiber.h"
#include "base/mem.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "engine/task.h"
#include "stream_priv.h"

static void reply_word_id(struct reply *reply, const char *word, struct stream_id id)
{
    reply_bulk_cstr(reply, word);
    stream_reply_id(reply, id);
}

static void reply_word_int(struct reply *reply, const char *word, int64_t value)
{
    reply_bulk_cstr(reply, word);
    reply_int(reply, value);
}

/* What both forms of XINFO STREAM begin with: seven pairs. */
static void reply_head(struct reply *reply, const struct stream *stream)
{
    const struct stream_meta *meta = stream_meta(stream);
    reply_word_int(reply, "length", (int64_t)meta->length);
    reply_word_int(reply, "radix-tree-keys", (int64_t)stream_block_count(stream));
    reply_word_int(reply, "radix-tree-nodes", (int64_t)stream_node_count(stream) + 1);
    reply_word_id(reply, "last-generated-id", meta->last_id);
    reply_word_id(reply, "max-deleted-entry-id", meta->max_deleted_id);
    reply_word_int(reply, "entries-added", (int64_t)meta->entries_added);
    reply_word_id(reply, "recorded-first-entry-id", meta->first_id);
}

static void reply_read_and_lag(struct reply *reply, const struct stream_group *group)
{
    uint64_t lag;
    reply_bulk_cstr(reply, "entries-read");
    if (group->entries_read == STREAM_READ_UNKNOWN)
        reply_null(reply);
    else
        reply_int(reply, group->entries_read);
    reply_bulk_cstr(reply, "lag");
    if (stream_group_lag(group, &lag))
        reply_int(reply, (int64_t)lag);
    else
        reply_null(reply);
}

/* --- XINFO STREAM --- */

/* The first entry in that direction, or null. */
static void reply_end(struct reply *reply, const struct stream *stream, bool last)
{
    struct stream_iter iter;
    stream_iter_begin(&iter, stream, last ? STREAM_ID_MAX : STREAM_ID_MIN, last ? STREAM_ID_MIN : STREAM_ID_MAX, last);
    if (stream_iter_next(&iter))
        stream_reply_entry(reply, &iter);
    else
        reply_null(reply);
}

static void reply_short(struct reply *reply, const struct stream *stream)
{
    reply_map(reply, 10);
    reply_head(reply, stream);
    reply_word_int(reply, "groups", (int64_t)stream_group_count(stream));
    reply_bulk_cstr(reply, "first-entry");
    reply_end(reply, stream, false);
    reply_bulk_cstr(reply, "last-entry");
    reply_end(reply, stream, true);
}

/* --- XINFO STREAM FULL --- */

enum { STEP_ITEMS = 100 };

/* What is being answered: each state is a list, and goes on from `from`, or begins with its head. */
enum full_state { FULL_ENTRIES, FULL_GROUP, FULL_GROUP_PENDING, FULL_CONSUMER, FULL_CONSUMER_PENDING };

struct full {
    struct task task;
    enum full_state state;
    bool begun;
    const struct stream *stream; /* borrowed: only compared */
    uint64_t limit;              /* of each list */
    struct stream_id from;       /* of the list under way */
    uint64_t left;               /* of the list under way */
    size_t group, groups, consumer, consumers;
    struct output_gap *head;
    size_t answered;
    struct output_mark before;
    size_t key_len;
    char key[];
};

static void list_begin(struct full *full, struct reply *reply, enum full_state state)
{
    full->state = state;
    full->head = reply_deferred(reply);
    full->from = STREAM_ID_MIN;
    full->left = full->limit;
    full->answered = 0;
}

static void list_end(struct full *full, struct reply *reply)
{
    reply_deferred_end(reply, full->head, REPLY_ARRAY, full->answered);
}

static void full_begin(struct full *full, struct reply *reply)
{
    full->before = output_mark(reply->out);
    full->begun = true;
    reply_map(reply, 9);
    reply_head(reply, full->stream);
    reply_bulk_cstr(reply, "entries");
    list_begin(full, reply, FULL_ENTRIES);
}

/* Each of these answers up to STEP_ITEMS of a list; true when the list is finished. */
static bool entries_step(struct full *full, struct reply *reply)
{
    struct stream_iter iter;
    stream_iter_begin(&iter, full->stream, full->from, STREAM_ID_MAX, false);
    for (int i = 0; i < STEP_ITEMS; i++) {
        if (!full->left || !stream_iter_next(&iter))
            return true;
        stream_reply_entry(reply, &iter);
        full->answered++;
        full->left--;
        full->from = iter.id;
        if (!stream_id_next(&full->from))
            return true;
    }
    return false;
}

static bool pending_step(struct full *full, struct reply *reply, const struct btree *tree, bool named)
{
    struct btree_iter place;
    const struct stream_pending *pending = stream_pending_seek(tree, full->from, &place);
    for (int i = 0; i < STEP_ITEMS; i++, pending = btree_iter_next(&place)) {
        if (!pending || !full->left)
            return true;
        reply_array(reply, named ? 4 : 3);
        stream_reply_id(reply, pending->id);
        if (named)
            reply_bulk(reply, stream_pending_consumer(pending)->name);
        reply_int(reply, stream_pending_time(pending));
        reply_int(reply, (int64_t)stream_pending_count(pending));
        full->answered++;
        full->left--;
        full->from = pending->id;
        if (!stream_id_next(&full->from))
            return true;
    }
    return false;
}

static void begin_group(struct full *full, struct reply *reply, const struct stream_group *group)
{
    reply_map(reply, 7);
    reply_bulk_cstr(reply, "name");
    reply_bulk(reply, group->name);
    reply_word_id(reply, "last-delivered-id", group->last_id);
    reply_read_and_lag(reply, group);
    reply_word_int(reply, "pel-count", (int64_t)btree_count(&group->pending));
    reply_bulk_cstr(reply, "pending");
    list_begin(full, reply, FULL_GROUP_PENDING);
}

static void begin_consumer(struct full *full, struct reply *reply, const struct stream_consumer *consumer)
{
    reply_map(reply, 5);
    reply_bulk_cstr(reply, "name");
    reply_bulk(reply, consumer->name);
    reply_word_int(reply, "seen-time", consumer->seen_ms);
    reply_word_int(reply, "active-time", consumer->active_ms);
    reply_word_int(reply, "pel-count", (int64_t)btree_count(&consumer->pending));
    reply_bulk_cstr(reply, "pending");
    list_begin(full, reply, FULL_CONSUMER_PENDING);
}

/* Goes to the next consumer, or the next group; false after the last. */
static bool next_of_group(struct full *full)
{
    if (full->consumer < full->consumers) {
        full->state = FULL_CONSUMER;
        return true;
    }
    full->group++;
    full->state = FULL_GROUP;
    return full->group < full->groups;
}

/* A bit of the answer; false when it is whole. */
static bool full_advance(struct full *full, struct reply *reply)
{
    const struct stream_group *group = full->state == FULL_ENTRIES ? NULL : stream_group_at(full->stream, full->group);
    switch (full->state) {
    case FULL_ENTRIES:
        if (!entries_step(full, reply))
            return true;
        list_end(full, reply);
        full->groups = stream_group_count(full->stream);
        reply_bulk_cstr(reply, "groups");
        reply_array(reply, full->groups);
        full->state = FULL_GROUP;
        return full->groups > 0;
    case FULL_GROUP:
        begin_group(full, reply, group);
        return true;
    case FULL_GROUP_PENDING:
        if (!pending_step(full, reply, &group->pending, true))
            return true;
        list_end(full, reply);
        full->consumer = 0;
        full->consumers = stream_consumer_count(group);
        reply_bulk_cstr(reply, "consumers");
        reply_array(reply, full->consumers);
        return next_of_group(full);
    case FULL_CONSUMER:
        begin_consumer(full, reply, stream_consumer_at(group, full->consumer));
        return true;
    default:
        if (!pending_step(full, reply, &stream_consumer_at(group, full->consumer)->pending, false))
            return true;
        list_end(full, reply);
        full->consumer++;
        return next_of_group(full);
    }
}

static void full_in_one_go(struct full *full, struct reply *reply)
{
    full_begin(full, reply);
    while (full_advance(full, reply))
        ;
}

/* Lists may grow and shrink between steps, but not the arrays whose lengths were told already. */
static bool still_fits(const struct full *full)
{
    if (full->state == FULL_ENTRIES)
        return true;
    if (stream_group_count(full->stream) != full->groups)
        return false;
    bool in_consumers = full->state == FULL_CONSUMER || full->state == FULL_CONSUMER_PENDING;
    return !in_consumers || stream_consumer_count(stream_group_at(full->stream, full->group)) == full->consumers;
}

static bool full_step(struct task *task, struct call *call)
{
    struct full *full = (struct full *)task;
    struct key key = key_make(bytes_make(full->key, full->key_len));
    const struct entry *entry = keyspace_peek(call->keyspace, call->db, key, call->now_ms);
    bool is_stream = entry && entry->type == ENTRY_STREAM;
    if (is_stream && stream_of(entry) == full->stream && still_fits(full)) {
        if (!full->begun)
            full_begin(full, call->reply);
        return !full_advance(full, call->reply);
    }
    if (full->begun)
        output_rewind(call->reply->out, full->before);
    if (!entry) {
        reply_fail(call->reply, ERROR_NO_SUCH_KEY);
    } else if (call_expect_type(call, entry, ENTRY_STREAM)) {
        full->stream = stream_of(entry);
        full_in_one_go(full, call->reply);
    }
    return true;
}

static void full_destroy(struct task *task)
{
    mem_free(task);
}

enum { AT_ONCE_MAX = 1000 }; /* entries, pending ones, groups and consumers of a stream that are told of */

static bool is_large(const struct stream *stream, uint64_t limit)
{
    uint64_t items = stream_meta(stream)->length;
    items = items < limit ? items : limit;
    for (size_t i = 0, count = stream_group_count(stream); i < count && items <= AT_ONCE_MAX; i++) {
        const struct stream_group *group = stream_group_at(stream, i);
        uint64_t pending = btree_count(&group->pending);
        items += 1 + stream_consumer_count(group) + 2 * (pending < limit ? pending : limit);
    }
    return items > AT_ONCE_MAX;
}

static void reply_full(struct call *call, const struct stream *stream, uint64_t limit)
{
    static const struct task_type type = { .step = full_step, .destroy = full_destroy };
    struct bytes key = call->argv[2];
    struct full *self = is_large(stream, limit) ? mem_try_alloc(sizeof *self + key.len) : NULL;
    struct full here = { .task.type = &type, .stream = stream, .limit = limit };
    if (!self) {
        full_in_one_go(&here, call->reply);
        return;
    }
    *self = here;
    self->key_len = key.len;
    if (key.len)
        memcpy(self->key, key.ptr, key.len);
    call_defer(call, &self->task);
}

/* The stream that a subcommand names; NULL: an error was answered. */
static struct stream *open_stream(struct call *call)
{
    const struct entry *entry = call_read(call, 2);
    if (!entry)
        reply_fail(call->reply, ERROR_NO_SUCH_KEY);
    else if (call_expect_type(call, entry, ENTRY_STREAM))
        return stream_of(entry);
    return NULL;
}

static void run_stream(struct call *call)
{
    int64_t count = 10;
    const struct stream *stream = open_stream(call);
    if (!stream)
        return;
    if (call->argc == 3) {
        reply_short(call->reply, stream);
        return;
    }
    bool counted = call->argc == 6 && call_arg_is(call, 4, "COUNT");
    if (!call_arg_is(call, 3, "FULL") || (call->argc != 4 && !counted)) {
        call_fail_subcommand(call);
        return;
    }
    if (counted && !call_arg_i64(call, 5, INT64_MIN, INT64_MAX, NULL, &count))
        return;
    if (count < 0)
        count = 10;
    reply_full(call, stream, count ? (uint64_t)count : UINT64_MAX);
}

/* --- XINFO GROUPS and CONSUMERS --- */

enum { ITEM_COST = 15 }; /* of one, in tens of nanoseconds */

static void run_groups(struct call *call)
{
    const struct stream *stream = open_stream(call);
    if (!stream)
        return;
    size_t count = stream_group_count(stream);
    if (call_aside(call, count))
        return;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count && !fiber_is_over(); i++) {
        fiber_breathe(ITEM_COST);
        const struct stream_group *group = stream_group_at(stream, i);
        reply_map(call->reply, 6);
        reply_bulk_cstr(call->reply, "name");
        reply_bulk(call->reply, group->name);
        reply_word_int(call->reply, "consumers", (int64_t)stream_consumer_count(group));
        reply_word_int(call->reply, "pending", (int64_t)btree_count(&group->pending));
        reply_word_id(call->reply, "last-delivered-id", group->last_id);
        reply_read_and_lag(call->reply, group);
    }
}

static int64_t since(const struct call *call, int64_t at_ms)
{
    return at_ms > call->now_ms ? 0 : call->now_ms - at_ms;
}

static void run_consumers(struct call *call)
{
    const struct stream *stream = open_stream(call);
    if (!stream)
        return;
    const struct stream_group *group = stream_group_find(stream, call->argv[3]);
    if (!group) {
        struct bytes key = call->argv[2], name = call->argv[3];
        reply_error_printf(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)name.len,
            name.ptr, (int)key.len, key.ptr);
        return;
    }
    size_t count = stream_consumer_count(group);
    if (call_aside(call, count))
        return;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count && !fiber_is_over(); i++) {
        fiber_breathe(ITEM_COST);
        const struct stream_consumer *consumer = stream_consumer_at(group, i);
        reply_map(call->reply, 4);
        reply_bulk_cstr(call->reply, "name");
        reply_bulk(call->reply, consumer->name);
        reply_word_int(call->reply, "pending", (int64_t)btree_count(&consumer->pending));
        reply_word_int(call->reply, "idle", since(call, consumer->seen_ms));
        reply_word_int(call->reply, "inactive", consumer->active_ms < 0 ? -1 : since(call, consumer->active_ms));
    }
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        NULL,
    };
    call_reply_help(call, lines);
}

static const char *const tips[] = { "nondeterministic_output", NULL };
static const char *const stream_history[] = { "6.0.0", "The modifier `FULL`.", "7.0.0",
    "`max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag`.", "7.2.0",
    "`active-time` of consumers.", NULL };
static const char *const groups_history[] = { "7.0.0", "`entries-read` and `lag`.", NULL };
static const char *const consumers_history[] = { "7.2.0", "`inactive`.", NULL };

static const struct command subcommands[] = {
    { .name = "CONSUMERS",
        .run = run_consumers,
        .argc = EXACTLY(4),
        .flags = CMD_READ,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(2, KEY_READ_ACCESS) },
        .since = "5.0.0",
        .complexity = "O(N) where N is the number of consumers.",
        .usage = "key groupname",
        .brief = "Replies with what the consumers of a group are like.",
        .tips = tips,
        .history = consumers_history },
    { .name = "GROUPS",
        .run = run_groups,
        .argc = EXACTLY(3),
        .flags = CMD_READ,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(2, KEY_READ_ACCESS) },
        .since = "5.0.0",
        .complexity = "O(N) where N is the number of groups.",
        .usage = "key",
        .brief = "Replies with what the consumer groups of a stream are like.",
        .history = groups_history },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_STREAM,
        .since = "5.0.0",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { .name = "STREAM",
        .run = run_stream,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(2, KEY_READ_ACCESS) },
        .since = "5.0.0",
        .complexity = "O(1); with FULL, O(N) where N is the number of things in the reply.",
        .usage = "key [FULL [COUNT count]]",
        .brief = "Replies with what a stream is like.",
        .history = stream_history },
    { 0 },
};

const struct command stream_info_commands[] = {
    { .name = "XINFO",
        .argc = AT_LEAST(2),
        .group = GROUP_STREAM,
        .subcommands = subcommands,
        .since = "5.0.0",
        .complexity = "Depends on the subcommand.",
        .brief = "Tells about streams, groups and consumers." },
    { 0 },
};
