/*
 * Streams: consumer groups and their consumers: making them, setting them back, removing them.
 *
 * What changes a group changes no entry: nobody who watches the key is concerned. Only when a group goes away those who
 * wait for its entries are told.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/families.h"
#include "engine/notify.h"
#include "engine/propagate.h"
#include "engine/task.h"
#include "stream_priv.h"

int64_t stream_now_ms(const struct call *call)
{
    return call->now_ms ? call->now_ms : clock_wall_ms();
}

struct stream_consumer *stream_consumer_get(
    struct call *call, struct bytes key, struct stream_group *group, struct bytes name, bool *made)
{
    struct stream_consumer *consumer = stream_consumer_find(group, name);
    if (made)
        *made = !consumer;
    if (consumer) {
        consumer->seen_ms = stream_now_ms(call);
        return consumer;
    }
    consumer = stream_consumer_create(group, name, stream_now_ms(call));
    if (!consumer) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return NULL;
    }
    stream_group_changed(call);
    call_notify(call, NOTIFY_STREAM, "xgroup-createconsumer", key);
    return consumer;
}

/* --- XGROUP --- */

struct group_call {
    struct stream_edit edit;
    struct stream *stream;      /* NULL: there is no such key */
    struct stream_group *group; /* NULL: there is no such group */
    bool mkstream;
    int64_t entries_read;
};

/* Reads the options of CREATE and SETID; false: an error was answered. */
static bool read_options(struct call *call, bool create, struct group_call *at)
{
    for (uint32_t i = 5; i < call->argc; i++) {
        if (create && call_arg_is(call, i, "MKSTREAM")) {
            at->mkstream = true;
        } else if (i + 1 < call->argc && call_arg_is(call, i, "ENTRIESREAD")) {
            if (!call_arg_i64(call, ++i, INT64_MIN, INT64_MAX, NULL, &at->entries_read))
                return false;
            if (at->entries_read < 0 && at->entries_read != STREAM_READ_UNKNOWN) {
                reply_error(call->reply, BYTES("ERR value for ENTRIESREAD must be positive or -1"));
                return false;
            }
        } else {
            call_fail_subcommand(call);
            return false;
        }
    }
    return true;
}

static void fail_no_group(struct call *call)
{
    struct bytes key = call->argv[2], group = call->argv[3];
    reply_error_printf(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)group.len,
        group.ptr, (int)key.len, key.ptr);
}

/*
 * A group cannot have read more than was ever appended. In a replay it can: XSETID lowers what was appended below what
 * groups have read, which the log then says.
 */
static int64_t cap_read(const struct call *call, const struct stream *stream, int64_t entries_read)
{
    uint64_t added = stream_meta(stream)->entries_added;
    bool more = entries_read > 0 && (uint64_t)entries_read > added && call->now_ms != 0;
    return more ? (int64_t)added : entries_read;
}

/* Opens what two arguments name; false: an error was answered. */
static bool open_group(struct call *call, struct group_call *at, bool must_exist)
{
    if (!stream_open(call, 2, &at->edit))
        return false;
    at->stream = at->edit.entry ? stream_of(at->edit.entry) : NULL;
    if (!at->stream && !at->mkstream) {
        reply_error(call->reply, BYTES("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you "
                                       "may want to use the MKSTREAM option to create an empty stream automatically."));
        return false;
    }
    at->group = at->stream ? stream_group_find(at->stream, call->argv[3]) : NULL;
    if (!at->group && must_exist) {
        fail_no_group(call);
        return false;
    }
    return true;
}

/* "$", or an ID. */
static bool read_id(struct call *call, const struct group_call *at, bool create, struct stream_id *id)
{
    if (bytes_equal(call->argv[4], BYTES("$"))) {
        *id = at->stream ? stream_meta(at->stream)->last_id : STREAM_ID_MIN;
        return true;
    }
    return create ? stream_arg_id(call, 4, id) : stream_arg_any_id(call, 4, id);
}

/* Tells of a group with the ID that "$" stood for. */
static void propagate_create(struct call *call, const struct stream_group *group)
{
    char digits[NUM_I64_MAX_LEN];
    call_propagate_words(call, "XGROUP", BYTES("CREATE"), call->argv[2], group->name,
        stream_id_text(call, group->last_id), BYTES("MKSTREAM"), BYTES("ENTRIESREAD"),
        bytes_make(digits, num_format_i64(digits, group->entries_read)));
}

static void run_create(struct call *call)
{
    struct group_call at = { .entries_read = STREAM_READ_UNKNOWN };
    struct stream_id id;
    if (!read_options(call, true, &at) || !open_group(call, &at, false) || !read_id(call, &at, true, &id))
        return;
    if (at.group) {
        reply_error(call->reply, BYTES("BUSYGROUP Consumer Group name already exists"));
        return;
    }
    stream_edit_create(&at.edit);
    struct stream *stream = stream_of(at.edit.entry);
    at.group = stream_group_create(stream, call->argv[3], id, cap_read(call, stream, at.entries_read));
    if (!at.group) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    stream_group_changed(call);
    propagate_create(call, at.group);
    call_notify(call, NOTIFY_STREAM, "xgroup-create", call->argv[2]);
    reply_ok(call->reply);
}

static void run_setid(struct call *call)
{
    struct group_call at = { .entries_read = STREAM_READ_UNKNOWN };
    struct stream_id id;
    if (!read_options(call, false, &at) || !open_group(call, &at, true) || !read_id(call, &at, false, &id))
        return;
    stream_group_set_id(at.group, id, cap_read(call, at.stream, at.entries_read));
    stream_group_changed(call);
    stream_propagate_group(call, call->argv[2], at.group);
    call_notify(call, NOTIFY_STREAM, "xgroup-setid", call->argv[2]);
    reply_ok(call->reply);
}

static void run_destroy(struct call *call)
{
    struct group_call at = { 0 };
    if (!open_group(call, &at, false))
        return;
    if (!at.group) {
        reply_int(call->reply, 0);
        return;
    }
    keyspace_edit(call->keyspace, call->db, at.edit.key, at.edit.entry);
    stream_group_destroy(call->keyspace, at.group);
    call_notify(call, NOTIFY_STREAM, "xgroup-destroy", call->argv[2]);
    reply_int(call->reply, 1);
}

static void run_createconsumer(struct call *call)
{
    struct group_call at = { 0 };
    bool made;
    if (!open_group(call, &at, true))
        return;
    if (stream_consumer_get(call, call->argv[2], at.group, call->argv[4], &made))
        reply_int(call->reply, made);
}

/* --- Removing a consumer with very many pending entries --- */

enum { DELETE_AT_ONCE = 500, DELETE_STEP = 100 };

struct delete_task {
    struct task task;
    int64_t removed;
    struct bytes key, group, consumer; /* in `text` */
    char text[];
};

static void deleted(struct call *call, struct bytes key, int64_t removed)
{
    call_notify(call, NOTIFY_STREAM, "xgroup-delconsumer", key);
    reply_int(call->reply, removed);
}

static bool delete_step(struct task *task, struct call *call)
{
    struct delete_task *self = (struct delete_task *)task;
    const struct entry *entry = keyspace_peek(call->keyspace, call->db, key_make(self->key), call->now_ms);
    bool is_stream = entry && entry->type == ENTRY_STREAM;
    struct stream_group *group = is_stream ? stream_group_find(stream_of(entry), self->group) : NULL;
    struct stream_consumer *consumer = group ? stream_consumer_find(group, self->consumer) : NULL;
    bool gone = true;
    if (consumer) {
        self->removed += (int64_t)stream_consumer_delete_step(consumer, DELETE_STEP, &gone);
        stream_group_changed(call);
        if (gone)
            call_propagate_words(call, "XGROUP", BYTES("DELCONSUMER"), self->key, self->group, self->consumer);
    }
    if (gone)
        deleted(call, self->key, self->removed);
    return gone;
}

static void delete_destroy(struct task *task)
{
    mem_free(task);
}

static bool delete_later(struct call *call, int64_t removed)
{
    static const struct task_type type = { .step = delete_step, .destroy = delete_destroy };
    const struct bytes *argv = call->argv;
    struct delete_task *self = mem_try_alloc(sizeof *self + argv[2].len + argv[3].len + argv[4].len);
    if (!self)
        return false;
    *self = (struct delete_task){ .task.type = &type, .removed = removed };
    char *at = self->text;
    self->key = bytes_append(&at, argv[2]);
    self->group = bytes_append(&at, argv[3]);
    self->consumer = bytes_append(&at, argv[4]);
    call_defer(call, &self->task);
    return true;
}

static void run_delconsumer(struct call *call)
{
    struct group_call at = { 0 };
    if (!open_group(call, &at, true))
        return;
    struct stream_consumer *consumer = stream_consumer_find(at.group, call->argv[4]);
    if (!consumer) {
        reply_int(call->reply, 0);
        return;
    }
    bool gone;
    stream_group_changed(call);
    int64_t removed = (int64_t)stream_consumer_delete_step(consumer, DELETE_AT_ONCE, &gone);
    if (!gone && delete_later(call, removed)) {
        call_propagate_nothing(call); /* the last step tells */
        return;
    }
    while (!gone)
        removed += (int64_t)stream_consumer_delete_step(consumer, SIZE_MAX, &gone);
    deleted(call, call->argv[2], removed);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        NULL,
    };
    call_reply_help(call, lines);
}

static const char *const create_history[] = { "7.0.0", "The option `ENTRIESREAD`.", NULL };

static const struct command subcommands[] = {
    { .name = "CREATE",
        .run = run_create,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(2, KEY_RW | KEY_INSERT) },
        .since = "5.0.0",
        .complexity = "O(1)",
        .usage = "key groupname <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
        .brief = "Makes a consumer group.",
        .history = create_history },
    { .name = "CREATECONSUMER",
        .run = run_createconsumer,
        .argc = EXACTLY(5),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(2, KEY_RW | KEY_INSERT) },
        .since = "6.2.0",
        .complexity = "O(1)",
        .usage = "key groupname consumername",
        .brief = "Makes a consumer in a group." },
    { .name = "DELCONSUMER",
        .run = run_delconsumer,
        .argc = EXACTLY(5),
        .flags = CMD_WRITE,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(2, KEY_RW | KEY_DELETE) },
        .since = "5.0.0",
        .complexity = "O(N*log(M)) where N is the number of entries that the consumer has pending, of M in the group.",
        .usage = "key groupname consumername",
        .brief = "Removes a consumer from a group, with what it has pending." },
    { .name = "DESTROY",
        .run = run_destroy,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(2, KEY_RW | KEY_DELETE) },
        .since = "5.0.0",
        .complexity = "O(1); its memory follows in the background.",
        .usage = "key groupname",
        .brief = "Removes a consumer group." },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_STREAM,
        .since = "5.0.0",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { .name = "SETID",
        .run = run_setid,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(2, KEY_RW | KEY_UPDATE) },
        .since = "5.0.0",
        .complexity = "O(1)",
        .usage = "key groupname <id | $> [ENTRIESREAD entries-read]",
        .brief = "Sets the ID behind which a group is given entries.",
        .history = create_history },
    { 0 },
};

const struct command stream_group_commands[] = {
    { .name = "XGROUP",
        .argc = AT_LEAST(2),
        .group = GROUP_STREAM,
        .subcommands = subcommands,
        .since = "5.0.0",
        .complexity = "Depends on the subcommand.",
        .brief = "Makes and changes consumer groups." },
    { 0 },
};
