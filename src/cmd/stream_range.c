/*
 * Streams: entries between two IDs, in either direction.
 *
 * A range is answered from where the entries lie. A long one is answered in slices, each of which goes on behind the ID
 * that the last one came to; others are served between them. What was there when the command came and is still there is
 * answered, once and in order; what was appended since is not. If the whole stream has gone meanwhile, or is another,
 * what was answered so far is dropped and the new state is answered.
 */
#include "base/mem.h"
#include "cmd/families.h"
#include "engine/task.h"
#include "stream_priv.h"

enum {
    AT_ONCE_MAX = 1000, /* entries up to which an answer is not worth a task */
    STEP_ENTRIES = 100, /* of a task's step: some 30 us */
};

struct range {
    struct stream_id from, to; /* in the direction of the walk */
    uint64_t count;            /* of entries left to answer */
    bool reverse;
};

/* Answers up to `max` entries of the range, and cuts them off it; returns how many. */
static uint64_t reply_part(struct call *call, const struct stream *stream, struct range *range, uint64_t max)
{
    struct stream_iter iter;
    uint64_t answered = 0;
    if (max > range->count)
        max = range->count;
    stream_iter_begin(&iter, stream, range->from, range->to, range->reverse);
    while (answered < max && stream_iter_next(&iter)) {
        stream_reply_entry(call->reply, &iter);
        answered++;
        range->from = iter.id;
    }
    range->count -= answered;
    if (answered < max || !(range->reverse ? stream_id_prev(&range->from) : stream_id_next(&range->from)))
        range->count = 0;
    return answered;
}

static void reply_now(struct call *call, const struct entry *entry, struct range range)
{
    if (!entry) {
        reply_array(call->reply, 0);
        return;
    }
    struct output_gap *head = reply_deferred(call->reply);
    uint64_t answered = reply_part(call, stream_of(entry), &range, UINT64_MAX);
    reply_deferred_end(call->reply, head, REPLY_ARRAY, answered);
}

struct range_task {
    struct task task;
    struct range asked, left;
    const struct stream *stream; /* borrowed: only compared */
    struct output_gap *head;
    struct output_mark before;
    uint64_t answered;
    size_t key_len;
    char key[];
};

static bool range_step(struct task *task, struct call *call)
{
    struct range_task *self = (struct range_task *)task;
    struct key key = key_make(bytes_make(self->key, self->key_len));
    const struct entry *entry = keyspace_peek(call->keyspace, call->db, key, call->now_ms);
    if (!entry || entry->type != ENTRY_STREAM || stream_of(entry) != self->stream) {
        if (self->head)
            output_rewind(call->reply->out, self->before);
        if (call_expect_type(call, entry, ENTRY_STREAM))
            reply_now(call, entry, self->asked);
        return true;
    }
    if (!self->head) {
        self->before = output_mark(call->reply->out);
        self->head = reply_deferred(call->reply);
    }
    self->answered += reply_part(call, self->stream, &self->left, STEP_ENTRIES);
    if (self->left.count)
        return false;
    reply_deferred_end(call->reply, self->head, REPLY_ARRAY, self->answered);
    return true;
}

static void range_destroy(struct task *task)
{
    mem_free(task);
}

static void reply_range(struct call *call, const struct entry *entry, struct range range)
{
    static const struct task_type type = { .step = range_step, .destroy = range_destroy };
    struct bytes key = call->argv[1];
    const struct stream_meta *meta = entry ? stream_meta(stream_of(entry)) : NULL;
    bool is_long = meta && range.count > AT_ONCE_MAX && meta->length > AT_ONCE_MAX;
    struct range_task *self = is_long ? mem_try_alloc(sizeof *self + key.len) : NULL;
    if (!self) {
        reply_now(call, entry, range);
        return;
    }
    *self = (struct range_task){ .task.type = &type, .asked = range, .left = range, .stream = stream_of(entry) };
    struct stream_id *last = range.reverse ? &self->left.from : &self->left.to;
    if (stream_id_compare(*last, meta->last_id) > 0)
        *last = meta->last_id;
    self->key_len = key.len;
    if (key.len)
        memcpy(self->key, key.ptr, key.len);
    call_defer(call, &self->task);
}

static void answer_range(struct call *call, bool reverse)
{
    struct stream_id start, end;
    int64_t count = -1;
    if (!stream_arg_start(call, reverse ? 3 : 2, &start) || !stream_arg_end(call, reverse ? 2 : 3, &end))
        return;
    for (uint32_t i = 4; i < call->argc; i += 2) {
        if (i + 1 == call->argc || !call_arg_is(call, i, "COUNT")) {
            reply_fail(call->reply, ERROR_SYNTAX);
            return;
        }
        if (!call_arg_i64(call, i + 1, INT64_MIN, INT64_MAX, NULL, &count))
            return;
        if (count < 0)
            count = 0;
    }
    const struct entry *entry = call_read(call, 1);
    if (!call_expect_type(call, entry, ENTRY_STREAM))
        return;
    if (entry && count == 0) {
        reply_null_array(call->reply);
        return;
    }
    struct range range = { start, end, count < 0 ? UINT64_MAX : (uint64_t)count, reverse };
    if (reverse)
        range = (struct range){ end, start, range.count, reverse };
    reply_range(call, stream_id_compare(start, end) > 0 ? NULL : entry, range);
}

static void run_xrange(struct call *call)
{
    answer_range(call, false);
}

static void run_xrevrange(struct call *call)
{
    answer_range(call, true);
}

static const char *const history[] = { "6.2.0", "A `(` excludes an end of the range.", NULL };

const struct command stream_range_commands[] = {
    { .name = "XRANGE",
        .run = run_xrange,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "5.0.0",
        .complexity = "O(log(N)+M) where M is the number of entries in the reply.",
        .usage = "key start end [COUNT count]",
        .brief = "Replies with the entries between two IDs.",
        .history = history },
    { .name = "XREVRANGE",
        .run = run_xrevrange,
        .argc = AT_LEAST(4),
        .flags = CMD_READ,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "5.0.0",
        .complexity = "O(log(N)+M) where M is the number of entries in the reply.",
        .usage = "key end start [COUNT count]",
        .brief = "Replies with the entries between two IDs, the last first.",
        .history = history },
    { 0 },
};
