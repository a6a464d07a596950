/*
 * Streams: what was delivered and not acknowledged: looking at it, and taking it over from others.
 *
 * XCLAIM of very many runs aside (many_words_priv.h), and what it took over is told of from slice to slice.
 * XPENDING with a range and XAUTOCLAIM look at pending entries one by one; long ones go on in slices, behind the ID
 * that they came to. What XAUTOCLAIM answers first, the ID to go on from, it knows last: the entries are answered into
 * an output of their own meanwhile.
 */
#include <stdio.h>

#include "base/mem.h"
#include "cmd/families.h"
#include "engine/propagate.h"
#include "engine/task.h"
#include "many_words_priv.h"
#include "stream_priv.h"

enum {
    STEP_PENDING = 100, /* entries looked at in a step */
    CLAIM_COST = 60,    /* of taking one over, for fiber_breathe */
};

static bool fail_no_group(struct call *call)
{
    struct bytes key = call->argv[1], group = call->argv[2];
    reply_error_printf(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'", (int)key.len, key.ptr,
        (int)group.len, group.ptr);
    return false;
}

/* The group as it is now, for a step that goes on; NULL if it has gone. */
static struct stream_group *find_group(struct call *call, struct bytes key, struct bytes name)
{
    const struct entry *entry = keyspace_peek(call->keyspace, call->db, key_make(key), call->now_ms);
    return entry && entry->type == ENTRY_STREAM ? stream_group_find(stream_of(entry), name) : NULL;
}

/* --- XPENDING --- */

static void answer_summary(struct call *call, const struct stream_group *group)
{
    size_t total = btree_count(&group->pending), named = 0;
    reply_array(call->reply, 4);
    reply_int(call->reply, (int64_t)total);
    if (!total) {
        reply_null(call->reply);
        reply_null(call->reply);
        reply_null_array(call->reply);
        return;
    }
    stream_reply_id(call->reply, stream_pending_smallest(&group->pending)->id);
    stream_reply_id(call->reply, stream_pending_greatest(&group->pending)->id);
    struct output_gap *head = reply_deferred(call->reply);
    for (size_t i = 0, count = stream_consumer_count(group); i < count; i++) {
        const struct stream_consumer *consumer = stream_consumer_at(group, i);
        if (!btree_count(&consumer->pending))
            continue;
        reply_array(call->reply, 2);
        reply_bulk(call->reply, consumer->name);
        reply_bulk_int(call->reply, (int64_t)btree_count(&consumer->pending));
        named++;
    }
    reply_deferred_end(call->reply, head, REPLY_ARRAY, named);
}

struct listing {
    struct task task;
    struct stream_id from, to;
    uint64_t count;
    int64_t min_idle_ms;
    struct bytes key, group, consumer; /* consumer.ptr NULL: of all */
    struct output_gap *head;
    size_t answered;
};

static void answer_pending(struct call *call, const struct stream_pending *pending)
{
    int64_t idle_ms = call->now_ms - stream_pending_time(pending);
    reply_array(call->reply, 4);
    stream_reply_id(call->reply, pending->id);
    reply_bulk(call->reply, stream_pending_consumer(pending)->name);
    reply_int(call->reply, idle_ms < 0 ? 0 : idle_ms);
    reply_int(call->reply, (int64_t)stream_pending_count(pending));
}

/* Looks at up to `max` pending entries; true when it is finished. */
static bool listing_step(struct call *call, struct listing *listing, size_t max)
{
    const struct stream_group *group = find_group(call, listing->key, listing->group);
    const struct stream_consumer *consumer =
        group && listing->consumer.ptr ? stream_consumer_find(group, listing->consumer) : NULL;
    const struct btree *tree =
        listing->consumer.ptr ? (consumer ? &consumer->pending : NULL) : (group ? &group->pending : NULL);
    struct btree_iter place;
    if (!listing->head)
        listing->head = reply_deferred(call->reply);
    const struct stream_pending *pending = tree ? stream_pending_seek(tree, listing->from, &place) : NULL;
    for (; pending && listing->count; pending = btree_iter_next(&place)) {
        if (stream_id_compare(pending->id, listing->to) > 0)
            break;
        if (max-- == 0) {
            listing->from = pending->id;
            return false;
        }
        if (listing->min_idle_ms && call->now_ms - stream_pending_time(pending) < listing->min_idle_ms)
            continue;
        answer_pending(call, pending);
        listing->answered++;
        listing->count--;
    }
    reply_deferred_end(call->reply, listing->head, REPLY_ARRAY, listing->answered);
    return true;
}

static bool listing_task_step(struct task *task, struct call *call)
{
    return listing_step(call, (struct listing *)task, STEP_PENDING);
}

static void free_task(struct task *task)
{
    mem_free(task);
}

static void answer_listing(struct call *call, struct listing *listing, size_t pending)
{
    static const struct task_type type = { .step = listing_task_step, .destroy = free_task };
    bool is_long = pending > STEP_PENDING && (listing->count > STEP_PENDING || listing->min_idle_ms);
    struct listing *self = NULL;
    if (is_long)
        self = mem_try_alloc(sizeof *self + listing->key.len + listing->group.len + listing->consumer.len + 1);
    if (!self) {
        listing_step(call, listing, SIZE_MAX);
        return;
    }
    *self = *listing;
    self->task.type = &type;
    char *at = (char *)(self + 1);
    self->key = bytes_append(&at, listing->key);
    self->group = bytes_append(&at, listing->group);
    if (listing->consumer.ptr)
        self->consumer = bytes_append(&at, listing->consumer);
    call_defer(call, &self->task);
}

/* Reads the form with a range; false: an error was answered. */
static bool read_listing(struct call *call, struct listing *listing)
{
    uint32_t at = 3;
    int64_t count;
    *listing = (struct listing){ .key = call->argv[1], .group = call->argv[2] };
    if (call_arg_is(call, 3, "IDLE")) {
        if (!call_arg_i64(call, 4, INT64_MIN, INT64_MAX, NULL, &listing->min_idle_ms))
            return false;
        at = 5;
    }
    if (call->argc < at + 3) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    if (!call_arg_i64(call, at + 2, INT64_MIN, INT64_MAX, NULL, &count) ||
        !stream_arg_start(call, at, &listing->from) || !stream_arg_end(call, at + 1, &listing->to))
        return false;
    listing->count = count > 0 ? (uint64_t)count : 0;
    if (call->argc > at + 3)
        listing->consumer = call->argv[at + 3];
    return true;
}

static void run_xpending(struct call *call)
{
    struct listing listing;
    struct stream *stream;
    struct stream_group *group;
    if (call->argc != 3 && (call->argc < 6 || call->argc > 9)) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if (call->argc > 3 && !read_listing(call, &listing))
        return;
    if (!stream_open_group(call, 1, 2, &stream, &group))
        return;
    if (!group)
        fail_no_group(call);
    else if (call->argc == 3)
        answer_summary(call, group);
    else
        answer_listing(call, &listing, btree_count(&group->pending));
}

/* --- Taking over --- */

/* The pending entry becomes the consumer's; `count` 0 or more replaces the count, otherwise one is added. */
static void claim(struct call *call, struct bytes key, struct stream_consumer *consumer, struct stream_pending *pending,
    int64_t time_ms, uint64_t count)
{
    struct stream_group *group = consumer->group;
    stream_pending_claim(pending, consumer);
    pending = stream_pending_set(group, pending, time_ms, count);
    consumer->active_ms = stream_now_ms(call);
    stream_group_changed(call);
    stream_propagate_claim(call, key, group, pending);
}

/* What is no longer in the stream is pending no longer. */
static void drop(struct call *call, struct bytes key, struct stream_group *group, struct stream_pending *pending)
{
    stream_propagate_ack(call, key, group, pending->id);
    stream_pending_remove(group, pending);
    stream_group_changed(call);
}

static void answer_claimed(struct call *call, const struct stream *stream, struct stream_id id, bool just_id)
{
    struct stream_iter iter;
    if (just_id) {
        stream_reply_id(call->reply, id);
        return;
    }
    stream_iter_begin(&iter, stream, id, id, false);
    if (stream_iter_next(&iter))
        stream_reply_entry(call->reply, &iter);
}

/* The consumer, made and told of if need be. */
static struct stream_consumer *claimer(struct call *call, struct stream_group *group)
{
    bool made;
    struct stream_consumer *consumer = stream_consumer_get(call, call->argv[1], group, call->argv[3], &made);
    if (consumer && made)
        stream_propagate_consumer(call, call->argv[1], group, consumer);
    return consumer;
}

/* --- XCLAIM --- */

struct claim_options {
    int64_t min_idle_ms, time_ms, count; /* count -1: not given */
    bool force, just_id;
    struct stream_id last_id;
    struct stream_id *ids;
    uint32_t id_count;
};

/* Reads an integer behind an option whose wrongness is told by a text of its own. */
static bool arg_of(struct call *call, uint32_t *index, const char *option, int64_t *value)
{
    char text[64];
    snprintf(text, sizeof text, "ERR Invalid %s option argument for XCLAIM", option);
    return call_arg_i64(call, ++*index, INT64_MIN, INT64_MAX, text, value);
}

static bool read_claim_option(struct call *call, uint32_t *index, struct claim_options *options)
{
    uint32_t i = *index;
    bool more = i + 1 < call->argc;
    int64_t idle_ms;
    if (call_arg_is(call, i, "FORCE"))
        return options->force = true;
    if (call_arg_is(call, i, "JUSTID"))
        return options->just_id = true;
    if (more && call_arg_is(call, i, "IDLE")) {
        if (!arg_of(call, index, "IDLE", &idle_ms))
            return false;
        options->time_ms = (int64_t)((uint64_t)call->now_ms - (uint64_t)idle_ms);
        return true;
    }
    if (more && call_arg_is(call, i, "TIME"))
        return arg_of(call, index, "TIME", &options->time_ms);
    if (more && call_arg_is(call, i, "RETRYCOUNT"))
        return arg_of(call, index, "RETRYCOUNT", &options->count);
    if (more && call_arg_is(call, i, "LASTID"))
        return stream_arg_id(call, ++*index, &options->last_id);
    struct bytes word = call->argv[i];
    reply_error_printf(call->reply, "ERR Unrecognized XCLAIM option '%.*s'", (int)word.len, word.ptr);
    return false;
}

static bool read_claim(struct call *call, struct claim_options *options)
{
    *options = (struct claim_options){ .time_ms = -1, .count = -1 };
    if (!call_arg_i64(
            call, 4, INT64_MIN, INT64_MAX, "ERR Invalid min-idle-time argument for XCLAIM", &options->min_idle_ms))
        return false;
    options->ids = arena_alloc(call->arena, (call->argc - 4) * sizeof *options->ids);
    uint32_t i = 5;
    while (i < call->argc && stream_id_parse(call->argv[i], 0, &options->ids[options->id_count], NULL)) {
        options->id_count++;
        i++;
        fiber_breathe(WORD_COST);
    }
    for (; i < call->argc; i++)
        if (!read_claim_option(call, &i, options))
            return false;
    int64_t now_ms = stream_now_ms(call);
    if (options->time_ms < 0 || options->time_ms > now_ms)
        options->time_ms = now_ms;
    return true;
}

/* Takes one entry over; true if it was, and was answered. */
static bool claim_one(struct call *call, const struct stream *stream, struct stream_consumer *consumer,
    const struct claim_options *options, struct stream_id id)
{
    struct stream_group *group = consumer->group;
    struct stream_pending *pending = stream_pending_find(group, id);
    if (!stream_has(stream, id)) {
        if (pending)
            drop(call, call->argv[1], group, pending);
        return false;
    }
    if (!pending && !options->force)
        return false;
    if (!pending)
        pending = stream_pending_add(group, consumer, id, call->now_ms, 1);
    else if (options->min_idle_ms > 0 && call->now_ms - stream_pending_time(pending) < options->min_idle_ms)
        return false;
    uint64_t count = stream_pending_count(pending) + !options->just_id;
    if (options->count >= 0)
        count = (uint64_t)options->count;
    claim(call, call->argv[1], consumer, pending, options->time_ms, count);
    answer_claimed(call, stream, id, options->just_id);
    return true;
}

static void run_xclaim(struct call *call)
{
    struct claim_options options;
    struct stream *stream;
    struct stream_group *group;
    if (!stream_open_group(call, 1, 2, &stream, &group))
        return;
    if (!group) {
        fail_no_group(call);
        return;
    }
    if (words_aside(call) || !read_claim(call, &options))
        return;
    call_propagate_nothing(call); /* what changes is told of one by one */
    if (stream_id_compare(options.last_id, group->last_id) > 0) {
        stream_group_set_id(group, options.last_id, group->entries_read);
        stream_group_changed(call);
        stream_propagate_group(call, call->argv[1], group);
    }
    struct stream_consumer *consumer = claimer(call, group);
    if (!consumer)
        return;
    struct output_gap *head = reply_deferred(call->reply);
    size_t answered = 0;
    for (uint32_t i = 0; i < options.id_count; i++) {
        answered += claim_one(call, stream, consumer, &options, options.ids[i]);
        fiber_breathe(CLAIM_COST);
    }
    reply_deferred_end(call->reply, head, REPLY_ARRAY, answered);
}

/* --- XAUTOCLAIM --- */

struct sweep {
    struct task task;
    struct stream_id from;
    int64_t min_idle_ms;
    uint64_t count, attempts; /* entries left to answer, and to look at */
    bool just_id;
    struct bytes key, group, consumer;
    struct output entries; /* the answer so far, without its head */
    size_t answered;
    struct stream_id *deleted; /* owned, grows */
    size_t deleted_count, deleted_room;
};

static void note_deleted(struct sweep *sweep, struct stream_id id)
{
    if (sweep->deleted_count == sweep->deleted_room) {
        sweep->deleted_room = sweep->deleted_room ? sweep->deleted_room * 2 : 16;
        sweep->deleted = mem_realloc(sweep->deleted, sweep->deleted_room * sizeof *sweep->deleted);
    }
    sweep->deleted[sweep->deleted_count++] = id;
}

/* `more`: where to go on from, or NULL. */
static void answer_sweep(struct call *call, struct sweep *sweep, const struct stream_pending *more)
{
    reply_array(call->reply, 3);
    stream_reply_id(call->reply, more ? more->id : STREAM_ID_MIN);
    reply_array(call->reply, sweep->answered);
    output_append_output(call->reply->out, &sweep->entries);
    reply_array(call->reply, sweep->deleted_count);
    for (size_t i = 0; i < sweep->deleted_count; i++)
        stream_reply_id(call->reply, sweep->deleted[i]);
}

/* Looks at the pending entry at hand. */
static void sweep_one(
    struct call *call, struct sweep *sweep, struct stream_consumer *consumer, struct stream_pending *pending)
{
    struct stream_group *group = consumer->group;
    struct stream_id id = pending->id;
    if (!stream_has(group->stream, id)) {
        drop(call, sweep->key, group, pending);
        note_deleted(sweep, id);
        sweep->count--;
        return;
    }
    if (sweep->min_idle_ms > 0 && call->now_ms - stream_pending_time(pending) < sweep->min_idle_ms)
        return;
    claim(call, sweep->key, consumer, pending, call->now_ms, stream_pending_count(pending) + !sweep->just_id);
    struct output *out = call->reply->out;
    call->reply->out = &sweep->entries;
    answer_claimed(call, group->stream, id, sweep->just_id);
    call->reply->out = out;
    sweep->answered++;
    sweep->count--;
}

static bool sweep_step(struct call *call, struct sweep *sweep, uint64_t max)
{
    struct stream_group *group = find_group(call, sweep->key, sweep->group);
    struct stream_consumer *consumer = group ? stream_consumer_find(group, sweep->consumer) : NULL;
    struct stream_pending *pending = NULL;
    struct btree_iter place;
    while (consumer) {
        pending = stream_pending_seek(&group->pending, sweep->from, &place);
        if (!pending || !sweep->attempts || !sweep->count)
            break;
        if (max-- == 0)
            return false;
        sweep->attempts--;
        sweep->from = pending->id;
        bool last = !stream_id_next(&sweep->from);
        sweep_one(call, sweep, consumer, pending);
        if (last) {
            pending = NULL;
            break;
        }
    }
    answer_sweep(call, sweep, consumer ? pending : NULL);
    return true;
}

static bool sweep_task_step(struct task *task, struct call *call)
{
    call_propagate_nothing(call);
    return sweep_step(call, (struct sweep *)task, STEP_PENDING);
}

static void sweep_fini(struct sweep *sweep)
{
    output_fini(&sweep->entries);
    mem_free(sweep->deleted);
}

static void sweep_destroy(struct task *task)
{
    sweep_fini((struct sweep *)task);
    mem_free(task);
}

/* The sweep as a task; NULL when memory is out. */
static struct sweep *sweep_to_task(const struct sweep *sweep)
{
    static const struct task_type type = { .step = sweep_task_step, .destroy = sweep_destroy };
    struct sweep *self = mem_try_alloc(sizeof *self + sweep->key.len + sweep->group.len + sweep->consumer.len);
    if (!self)
        return NULL;
    *self = *sweep;
    self->task.type = &type;
    char *at = (char *)(self + 1);
    self->key = bytes_append(&at, sweep->key);
    self->group = bytes_append(&at, sweep->group);
    self->consumer = bytes_append(&at, sweep->consumer);
    return self;
}

static bool read_sweep(struct call *call, struct sweep *sweep)
{
    int64_t count = 100;
    *sweep = (struct sweep){ .key = call->argv[1], .group = call->argv[2], .consumer = call->argv[3] };
    output_init(&sweep->entries);
    if (!call_arg_i64(
            call, 4, INT64_MIN, INT64_MAX, "ERR Invalid min-idle-time argument for XAUTOCLAIM", &sweep->min_idle_ms) ||
        !stream_arg_start(call, 5, &sweep->from))
        return false;
    for (uint32_t i = 6; i < call->argc; i++) {
        if (i + 1 < call->argc && call_arg_is(call, i, "COUNT")) {
            if (!call_arg_i64(call, ++i, 1, INT64_MAX / 16, "ERR COUNT must be > 0", &count))
                return false;
        } else if (call_arg_is(call, i, "JUSTID")) {
            sweep->just_id = true;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    sweep->count = (uint64_t)count;
    sweep->attempts = 10 * sweep->count;
    return true;
}

static void run_xautoclaim(struct call *call)
{
    struct sweep sweep;
    struct stream *stream;
    struct stream_group *group;
    if (!read_sweep(call, &sweep) || !stream_open_group(call, 1, 2, &stream, &group))
        return;
    if (!group) {
        fail_no_group(call);
        return;
    }
    call_propagate_nothing(call); /* what changes is told of one by one */
    if (!claimer(call, group))
        return;
    bool is_long = sweep.attempts > 10 * STEP_PENDING && btree_count(&group->pending) > 10 * STEP_PENDING;
    struct sweep *task = is_long ? sweep_to_task(&sweep) : NULL;
    if (task) {
        call_defer(call, &task->task);
        return;
    }
    sweep_step(call, &sweep, UINT64_MAX);
    sweep_fini(&sweep);
}

static const char *const tips[] = { "nondeterministic_output", NULL };
static const char *const xpending_history[] = { "6.2.0", "The option `IDLE`, and ranges without their ends.", NULL };
static const char *const xautoclaim_history[] = { "7.0.0",
    "The reply names entries that were deleted and are now pending no more.", NULL };

const struct command stream_pending_commands[] = {
    { .name = "XPENDING",
        .run = run_xpending,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "5.0.0",
        .complexity = "O(log(N)+M) where M is the number of entries looked at; without a range, O(consumers).",
        .usage = "key group [[IDLE min-idle-time] start end count [consumer]]",
        .brief = "Replies with what a group was given and has not acknowledged.",
        .tips = tips,
        .history = xpending_history },
    { .name = "XCLAIM",
        .run = run_xclaim,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "5.0.0",
        .complexity = "O(log(N)) an entry, where N is the number of pending entries.",
        .usage = "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] "
                 "[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
        .brief = "Makes pending entries those of another consumer.",
        .tips = tips },
    { .name = "XAUTOCLAIM",
        .run = run_xautoclaim,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "6.2.0",
        .complexity = "O(log(N)) an entry that is looked at, where N is the number of pending entries.",
        .usage = "key group consumer min-idle-time start [COUNT count] [JUSTID]",
        .brief = "Makes pending entries that nobody took care of for some time those of another consumer.",
        .tips = tips,
        .history = xautoclaim_history },
    { 0 },
};
