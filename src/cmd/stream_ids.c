/*
 * Streams: commands that do something to each of many entries, named by their IDs: deleting and acknowledging.
 *
 * A deletion costs O(log n + block), an acknowledgement O(log n). Up to AT_ONCE_MAX are done at once, more in slices,
 * as a task; the reply is the same. All IDs are read before anything is done: nothing happens if one is wrong.
 */
#include "base/mem.h"
#include "cmd/families.h"
#include "engine/notify.h"
#include "engine/propagate.h"
#include "engine/task.h"
#include "stream_priv.h"

enum {
    AT_ONCE_MAX = 500,
    STEP_IDS = 50, /* some 50 us */
};

enum work_kind { WORK_XDEL, WORK_XACK, WORK_XDELEX, WORK_XACKDEL };

struct work {
    enum work_kind kind;
    enum stream_refs refs;
    struct bytes key, group;
    const struct stream_id *ids;
    uint32_t at, count;
    int64_t done; /* entries that were deleted, or acknowledged: what XDEL and XACK answer */
    bool deleted; /* some entry was */
};

/* What XDELEX and XACKDEL answer for an entry. */
enum { RESULT_MISSING = -1, RESULT_DELETED = 1, RESULT_KEPT = 2 };

static bool delete_entry(struct work *work, struct stream_edit *edit, struct stream_id id)
{
    bool deleted = stream_delete(edit, id);
    work->deleted |= deleted;
    return deleted;
}

static int delete_with_refs(struct call *call, struct work *work, struct stream_edit *edit, struct stream_id id)
{
    struct stream *stream = stream_of(edit->entry);
    if (work->refs == STREAM_DELREF && stream_forget(stream, id))
        stream_group_changed(call);
    if (work->refs != STREAM_ACKED)
        return delete_entry(work, edit, id) ? RESULT_DELETED : RESULT_MISSING;
    if (!stream_has(stream, id))
        return RESULT_MISSING;
    if (stream_is_referenced(stream, id))
        return RESULT_KEPT;
    delete_entry(work, edit, id);
    return RESULT_DELETED;
}

static int work_on(
    struct call *call, struct work *work, struct stream_edit *edit, struct stream_group *group, struct stream_id id)
{
    if (work->kind == WORK_XDEL)
        return delete_entry(work, edit, id);
    if (work->kind == WORK_XDELEX)
        return delete_with_refs(call, work, edit, id);
    if (!group || !stream_pending_ack(group, id))
        return work->kind == WORK_XACK ? 0 : RESULT_MISSING;
    stream_group_changed(call);
    if (work->kind == WORK_XACK)
        return 1;
    return delete_with_refs(call, work, edit, id) == RESULT_KEPT ? RESULT_KEPT : RESULT_DELETED;
}

static bool answers_each(const struct work *work)
{
    return work->kind == WORK_XDELEX || work->kind == WORK_XACKDEL;
}

/* Works on up to `max` of what is left; the stream may have gone meanwhile. True: all is done, and answered. */
static bool work_step(struct call *call, struct work *work, uint32_t max)
{
    struct key key = key_make(work->key);
    struct entry *entry = keyspace_peek(call->keyspace, call->db, key, call->now_ms);
    if (entry && entry->type != ENTRY_STREAM)
        entry = NULL;
    struct stream_edit edit = { call->keyspace, call->db, key, entry, call->now_ms, false };
    bool grouped = work->kind == WORK_XACK || work->kind == WORK_XACKDEL;
    struct stream_group *group = entry && grouped ? stream_group_find(stream_of(entry), work->group) : NULL;
    if (work->at == 0 && answers_each(work))
        reply_array(call->reply, work->count);
    for (; max && work->at < work->count; max--, work->at++) {
        struct stream_id id = work->ids[work->at];
        int result = entry ? work_on(call, work, &edit, group, id) : answers_each(work) ? RESULT_MISSING : 0;
        if (answers_each(work))
            reply_int(call->reply, result);
        else
            work->done += result;
    }
    if (work->at < work->count)
        return false;
    if (work->deleted)
        call_notify(call, NOTIFY_STREAM, "xdel", work->key);
    if (!answers_each(work))
        reply_int(call->reply, work->done);
    return true;
}

/* --- In slices --- */

struct ids_task {
    struct task task;
    struct work work;       /* its texts and IDs lie behind, in this allocation */
    struct stream_id ids[]; /* then the key and the group */
};

/* Tells the sink of a part, in the words of a request of its own. */
static void propagate_part(struct call *call, const struct work *work, uint32_t from)
{
    static const char *const names[] = { "XDEL", "XACK", "XDELEX", "XACKDEL" };
    if (!call_is_propagated(call))
        return;
    uint32_t ids = work->at - from, count = 0;
    struct bytes *words = arena_alloc(call->arena, (6 + (size_t)ids) * sizeof *words);
    words[count++] = bytes_from_cstr(names[work->kind]);
    words[count++] = work->key;
    if (work->kind == WORK_XACK || work->kind == WORK_XACKDEL)
        words[count++] = work->group;
    if (answers_each(work)) {
        char *digits = arena_alloc(call->arena, NUM_I64_MAX_LEN);
        words[count++] = stream_refs_word(work->refs);
        words[count++] = BYTES("IDS");
        words[count++] = bytes_make(digits, num_format_u64(digits, ids));
    }
    for (uint32_t i = from; i < work->at; i++)
        words[count++] = stream_id_text(call, work->ids[i]);
    call_propagate(call, words, count);
}

static bool ids_step(struct task *task, struct call *call)
{
    struct ids_task *self = (struct ids_task *)task;
    uint32_t from = self->work.at;
    uint64_t dirty = call->keyspace->stats.dirty;
    bool finished = work_step(call, &self->work, STEP_IDS);
    if (call->keyspace->stats.dirty != dirty)
        propagate_part(call, &self->work, from);
    return finished;
}

static void ids_destroy(struct task *task)
{
    mem_free(task);
}

static void work_now_or_later(struct call *call, struct work *work)
{
    static const struct task_type type = { .step = ids_step, .destroy = ids_destroy };
    size_t ids_size = work->count * sizeof *work->ids;
    struct ids_task *self = NULL;
    if (work->count > AT_ONCE_MAX)
        self = mem_try_alloc(sizeof *self + ids_size + work->key.len + work->group.len);
    if (!self) {
        work_step(call, work, UINT32_MAX);
        return;
    }
    *self = (struct ids_task){ .task.type = &type, .work = *work };
    memcpy(self->ids, work->ids, ids_size);
    self->work.ids = self->ids;
    char *at = (char *)self->ids + ids_size;
    self->work.key = bytes_append(&at, work->key);
    self->work.group = bytes_append(&at, work->group);
    call_propagate_nothing(call); /* the steps tell */
    call_defer(call, &self->task);
}

/* --- Commands --- */

static void run_xdel(struct call *call)
{
    struct stream_edit edit;
    if (!stream_open(call, 1, &edit))
        return;
    if (!edit.entry) {
        reply_int(call->reply, 0);
        return;
    }
    struct work work = { .kind = WORK_XDEL, .key = call->argv[1], .count = call->argc - 2 };
    if ((work.ids = stream_arg_ids(call, 2, work.count)))
        work_now_or_later(call, &work);
}

static void run_xack(struct call *call)
{
    struct stream *stream;
    struct stream_group *group;
    if (!stream_open_group(call, 1, 2, &stream, &group))
        return;
    if (!group) {
        reply_int(call->reply, 0);
        return;
    }
    struct work work = { .kind = WORK_XACK, .key = call->argv[1], .group = call->argv[2], .count = call->argc - 3 };
    if ((work.ids = stream_arg_ids(call, 3, work.count)))
        work_now_or_later(call, &work);
}

/* IDS with their number, before or behind an option that says what becomes of references. */
static bool read_ids(struct call *call, uint32_t first, struct work *work)
{
    int64_t count = 0;
    uint32_t ids_at = 0;
    bool refs_given = false;
    for (uint32_t i = first; i < call->argc; i++) {
        if (!refs_given && stream_arg_refs(call, i, &work->refs)) {
            refs_given = true;
        } else if (!ids_at && call_arg_is(call, i, "IDS") && i + 1 < call->argc) {
            if (!call_arg_i64(call, i + 1, 1, INT64_MAX, "ERR Number of IDs must be a positive integer", &count))
                return false;
            if (count > (int64_t)(call->argc - i - 2)) {
                reply_error(call->reply, BYTES("ERR The `numids` parameter must match the number of arguments"));
                return false;
            }
            ids_at = i + 2;
            i += 1 + (uint32_t)count;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (!ids_at) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    work->count = (uint32_t)count;
    work->ids = stream_arg_ids(call, ids_at, work->count);
    return work->ids != NULL;
}

static void run_xdelex(struct call *call)
{
    struct stream_edit edit;
    struct work work = { .kind = WORK_XDELEX, .key = call->argv[1] };
    if (stream_open(call, 1, &edit) && read_ids(call, 2, &work))
        work_now_or_later(call, &work);
}

static void run_xackdel(struct call *call)
{
    struct stream_edit edit;
    struct work work = { .kind = WORK_XACKDEL, .key = call->argv[1], .group = call->argv[2] };
    if (stream_open(call, 1, &edit) && read_ids(call, 3, &work))
        work_now_or_later(call, &work);
}

const struct command stream_ids_commands[] = {
    { .name = "XDEL",
        .run = run_xdel,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "5.0.0",
        .complexity = "O(log(N)) an entry.",
        .usage = "key id [id ...]",
        .brief = "Removes entries from a stream; groups that have them pending keep them so." },
    { .name = "XACK",
        .run = run_xack,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "5.0.0",
        .complexity = "O(log(N)) an entry, where N is the number of pending entries.",
        .usage = "key group id [id ...]",
        .brief = "Acknowledges entries: a group has them pending no more." },
    { .name = "XDELEX",
        .run = run_xdelex,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "8.2.0",
        .complexity = "O(log(N)) an entry and group.",
        .usage = "key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
        .brief = "Removes entries from a stream, and says what becomes of groups that have them pending." },
    { .name = "XACKDEL",
        .run = run_xackdel,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "8.2.0",
        .complexity = "O(log(N)) an entry and group.",
        .usage = "key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
        .brief = "Acknowledges entries in a group, and removes from the stream what that allows." },
    { 0 },
};
