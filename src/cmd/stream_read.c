/*
 * Streams: reading on, from one or many streams, alone (XREAD) or as a consumer of a group (XREADGROUP); at once, or as
 * soon as there is something.
 *
 * A request becomes a job with a part for each stream that has something to answer. Usually it is done at once; a part
 * with very many entries makes it a task, which goes on in slices behind the ID that it came to. Entries that a group
 * is given are noted as pending in the same step, so that two consumers never get the same one. A request for very many
 * streams is aside from its beginning (engine/aside.h), so that all of them are seen as of one moment.
 *
 * One entry may have a thousand readers. The reply to the first of them is kept (engine/shared_reply.h), and the
 * others, who wait behind the same ID, get its bytes.
 */
#include "base/fiber.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cmd/families.h"
#include "deadline_priv.h"
#include "engine/aside.h"
#include "engine/propagate.h"
#include "engine/shared_reply.h"
#include "engine/task.h"
#include "engine/wait.h"
#include "stream_priv.h"

enum {
    AT_ONCE_MAX = 1000, /* entries of a part that are not worth a task */
    STEP_ENTRIES = 100, /* of a task's step */
    TWICE_MAX = 256,    /* keys of a group's request up to which one that is named twice is looked for */
    PLACE_COST = 15,    /* for fiber_breathe: finding a stream, ... */
    PART_COST = 30,     /* ... answering one, ... */
    ENTRY_COST = 10,    /* ... and one entry */
};

/* --- The request --- */

struct request_args {
    bool grouped, noack, blocks;
    uint64_t count; /* of entries of each stream at most */
    int64_t deadline_ms;
    struct bytes group, consumer;
    uint32_t first, streams; /* argument of the first key; how many there are, and IDs behind them */
};

static bool fail(struct call *call, const char *text)
{
    reply_error(call->reply, bytes_from_cstr(text));
    return false;
}

static bool read_timeout(struct call *call, uint32_t index, struct request_args *args)
{
    int64_t ms;
    if (!call_arg_i64(call, index, INT64_MIN, INT64_MAX, "ERR timeout is not an integer or out of range", &ms))
        return false;
    args->blocks = true;
    if (ms < 0)
        return fail(call, "ERR timeout is negative");
    return deadline_make(call, ms, &args->deadline_ms);
}

static bool read_count(struct call *call, uint32_t index, struct request_args *args)
{
    int64_t count;
    if (!call_arg_i64(call, index, INT64_MIN, INT64_MAX, NULL, &count))
        return false;
    args->count = count > 0 ? (uint64_t)count : UINT64_MAX;
    return true;
}

static bool read_streams(struct call *call, uint32_t index, struct request_args *args)
{
    args->first = index;
    args->streams = (call->argc - index) / 2;
    if ((call->argc - index) % 2 == 0)
        return true;
    return fail(call, args->grouped ? "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' "
                                      "must be specified."
                                    : "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' "
                                      "must be specified.");
}

/* Reads everything but the IDs; false: an error was answered. */
static bool read_args(struct call *call, bool grouped, struct request_args *args)
{
    *args = (struct request_args){ .grouped = grouped, .count = UINT64_MAX };
    for (uint32_t i = 1; i < call->argc && !args->first; i++) {
        uint32_t more = call->argc - i - 1;
        bool ok = true;
        if (more && call_arg_is(call, i, "BLOCK")) {
            ok = read_timeout(call, ++i, args);
        } else if (more && call_arg_is(call, i, "COUNT")) {
            ok = read_count(call, ++i, args);
        } else if (more && call_arg_is(call, i, "STREAMS")) {
            ok = read_streams(call, i + 1, args);
        } else if (more >= 2 && call_arg_is(call, i, "GROUP")) {
            ok = grouped ||
                 fail(call, "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
            args->group = call->argv[i + 1];
            args->consumer = call->argv[i + 2];
            i += 2;
        } else if (call_arg_is(call, i, "NOACK")) {
            ok = grouped ||
                 fail(call, "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
            args->noack = true;
        } else {
            ok = fail(call, "ERR syntax error");
        }
        if (!ok)
            return false;
    }
    if (!args->first)
        return fail(call, "ERR syntax error");
    if (grouped && !args->group.ptr)
        return fail(call, "ERR Missing GROUP option for XREADGROUP");
    return true;
}

/* --- The job --- */

/* What there is to answer of one stream. */
struct part {
    struct key key;              /* borrowed; in a task, from the task */
    const struct stream *stream; /* borrowed; in a task only compared */
    struct stream_id from, until;
    uint64_t left;
    bool history; /* what the consumer has pending, not what is new */
};

struct job {
    struct task task;
    bool grouped, noack, begun;
    struct bytes group, consumer;
    uint32_t at, count;      /* of parts */
    struct output_gap *head; /* of the entries of the part under way */
    uint64_t answered;       /* entries of that part */
    struct part *parts;
};

/* Where one entry is answered, that is written down at once; more are counted. */
static void reply_parts_head(struct call *call, const struct job *job)
{
    if (call->reply->proto > 2)
        reply_map(call->reply, job->count);
    else
        reply_array(call->reply, job->count);
}

static void reply_part_head(struct call *call, const struct part *part)
{
    if (call->reply->proto < 3)
        reply_array(call->reply, 2);
    reply_bulk(call->reply, key_bytes(part->key));
}

/* A group and its consumer, with whom entries are noted. */
struct reader {
    struct stream_group *group;
    struct stream_consumer *consumer;
};

static void give(
    struct call *call, const struct job *job, struct part *part, const struct reader *reader, struct stream_id id)
{
    stream_group_advance(reader->group, id);
    if (job->noack)
        return;
    const struct stream_pending *pending = stream_pending_deliver(reader->group, reader->consumer, id, call->now_ms);
    stream_propagate_claim(call, key_bytes(part->key), reader->group, pending);
}

/* Goes on behind `id`; false if there is nothing behind it. */
static bool go_on(struct part *part, struct stream_id id)
{
    part->from = id;
    return stream_id_next(&part->from) && part->left;
}

/* Up to `max` entries of the stream; true when the part is finished. */
static bool answer_entries(
    struct call *call, struct job *job, struct part *part, const struct reader *reader, uint64_t max)
{
    struct stream_iter iter;
    uint64_t given = 0;
    bool more = part->left > 0;
    if (reader->group && stream_id_compare(reader->group->last_id, part->from) >= 0)
        more = go_on(part, reader->group->last_id); /* meanwhile others were given that much */
    stream_iter_begin(&iter, part->stream, part->from, part->until, false);
    for (; more && given < max; given++) {
        if (!stream_iter_next(&iter)) {
            more = false;
            break;
        }
        struct stream_id id = iter.id;
        if (!job->answered && !job->head) {
            bool single = part->left == 1 || stream_id_equal(id, stream_meta(part->stream)->last_id);
            if (single)
                reply_array(call->reply, 1);
            else
                job->head = reply_deferred(call->reply);
        }
        stream_reply_entry(call->reply, &iter);
        job->answered++;
        part->left--;
        if (reader->group)
            give(call, job, part, reader, id);
        more = go_on(part, id);
    }
    if (reader->group && given) {
        reader->consumer->active_ms = call->now_ms;
        stream_group_changed(call);
        stream_propagate_group(call, key_bytes(part->key), reader->group);
    }
    return !more;
}

/* The same of what a consumer has pending; entries that are gone have null in their place. */
static bool answer_history(
    struct call *call, struct job *job, struct part *part, const struct reader *reader, uint64_t max)
{
    struct btree_iter place;
    if (!job->head)
        job->head = reply_deferred(call->reply);
    for (; max; max--) {
        struct stream_pending *pending = stream_pending_seek(&reader->consumer->pending, part->from, &place);
        if (!pending || !part->left)
            return true;
        struct stream_id id = pending->id;
        struct stream_iter iter;
        stream_iter_begin(&iter, part->stream, id, id, false);
        if (stream_iter_next(&iter)) {
            stream_reply_entry(call->reply, &iter);
            /* When and how often is told of, but counts as no change, as in Redis: a consumer that asks for its history
             * again and again brings no save nearer. */
            pending = stream_pending_set(reader->group, pending, call->now_ms, stream_pending_count(pending) + 1);
            stream_propagate_claim(call, key_bytes(part->key), reader->group, pending);
        } else {
            reply_array(call->reply, 2);
            stream_reply_id(call->reply, id);
            reply_null_array(call->reply);
        }
        job->answered++;
        part->left--;
        if (!go_on(part, id))
            return true;
    }
    return false;
}

/* The stream and the reader of a part as they are now; false if they have gone. */
static bool find_reader(struct call *call, const struct job *job, const struct part *part, struct reader *reader)
{
    *reader = (struct reader){ 0 };
    const struct entry *entry = keyspace_peek(call->keyspace, call->db, part->key, call->now_ms);
    if (!entry || entry->type != ENTRY_STREAM || stream_of(entry) != part->stream)
        return false;
    if (!job->grouped)
        return true;
    reader->group = stream_group_find(stream_of(entry), job->group);
    reader->consumer = reader->group ? stream_consumer_find(reader->group, job->consumer) : NULL;
    return reader->consumer != NULL;
}

/* Answers up to `max` entries; true when the job is finished. */
static bool job_step(struct call *call, struct job *job, uint64_t max)
{
    if (!job->begun)
        reply_parts_head(call, job);
    job->begun = true;
    for (; job->at < job->count; job->at++) {
        struct part *part = &job->parts[job->at];
        if (!job->head && !job->answered)
            reply_part_head(call, part);
        struct reader reader;
        if (find_reader(call, job, part, &reader) &&
            !(part->history ? answer_history : answer_entries)(call, job, part, &reader, max))
            return false;
        if (job->head)
            reply_deferred_end(call->reply, job->head, REPLY_ARRAY, job->answered);
        else if (!job->answered)
            reply_array(call->reply, 0);
        job->head = NULL;
        job->answered = 0;
        fiber_breathe(PART_COST);
    }
    return true;
}

static bool read_step(struct task *task, struct call *call)
{
    struct job *job = (struct job *)task;
    if (job->grouped)
        call_propagate_nothing(call);
    return job_step(call, job, STEP_ENTRIES);
}

static void read_destroy(struct task *task)
{
    mem_free(task);
}

/* The job as a task; NULL when memory is out. */
static struct job *job_to_task(const struct job *job)
{
    static const struct task_type type = { .step = read_step, .destroy = read_destroy };
    size_t size = sizeof *job + job->count * sizeof(struct part) + job->group.len + job->consumer.len;
    for (uint32_t i = 0; i < job->count; i++)
        size += job->parts[i].key.len;
    struct job *self = mem_try_alloc(size);
    if (!self)
        return NULL;
    *self = *job;
    self->task.type = &type;
    self->parts = (struct part *)(self + 1);
    memcpy(self->parts, job->parts, job->count * sizeof *job->parts);
    char *at = (char *)&self->parts[job->count];
    self->group = bytes_append(&at, job->group);
    self->consumer = bytes_append(&at, job->consumer);
    for (uint32_t i = 0; i < job->count; i++)
        self->parts[i].key.ptr = bytes_append(&at, key_bytes(job->parts[i].key)).ptr;
    return self;
}

/* Whether a part has more entries than are answered at once. */
static bool is_long(const struct job *job, const struct part *part)
{
    if (part->left <= AT_ONCE_MAX)
        return false;
    if (part->history) {
        const struct stream_group *group = stream_group_find(part->stream, job->group);
        return btree_count(&stream_consumer_find(group, job->consumer)->pending) > AT_ONCE_MAX;
    }
    if (stream_meta(part->stream)->length <= AT_ONCE_MAX)
        return false;
    struct stream_iter iter;
    stream_iter_begin(&iter, part->stream, part->from, part->until, false);
    for (int i = 0; i < AT_ONCE_MAX; i++)
        if (!stream_iter_next(&iter))
            return false;
    return true;
}

/* What is aside already stays there. */
static void job_run_aside(struct call *call, struct job *job)
{
    while (!job_step(call, job, STEP_ENTRIES) && !fiber_is_over())
        fiber_breathe(STEP_ENTRIES * ENTRY_COST);
}

static void job_run(struct call *call, struct job *job)
{
    if (fiber_running) {
        job_run_aside(call, job);
        return;
    }
    bool is_large = false;
    for (uint32_t i = 0; i < job->count && !is_large; i++)
        is_large = is_long(job, &job->parts[i]);
    struct job *task = is_large ? job_to_task(job) : NULL;
    if (task)
        call_defer(call, &task->task);
    else
        job_step(call, job, UINT64_MAX);
}

/* --- One reply for many --- */

/* All that the bytes of a reply follow from; no padding, because it is compared as bytes. */
struct shared_id {
    const struct stream *stream;
    struct stream_meta meta;
    struct stream_id from;
    uint64_t count, proto, dirty;
};

/* Somebody who waited: very likely others wait behind the same ID of the same stream. */
static void job_run_shared(struct call *call, struct job *job)
{
    const struct part *part = &job->parts[0];
    struct shared_id id = { part->stream, *stream_meta(part->stream), part->from, part->left, call->reply->proto,
        call->keyspace->stats.dirty };
    struct bytes name = bytes_make(&id, sizeof id);
    if (call_reply_shared(call, name))
        return;
    struct output apart, *out = call->reply->out;
    output_init(&apart);
    call->reply->out = &apart;
    job_step(call, job, UINT64_MAX);
    call->reply->out = out;
    call_share_reply(call, name, &apart);
}

/* --- Commands --- */

static bool fail_no_group(struct call *call, uint32_t key, const struct request_args *args)
{
    struct bytes name = call->argv[key];
    reply_error_printf(call->reply,
        "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP option", (int)name.len, name.ptr,
        (int)args->group.len, args->group.ptr);
    return false;
}

#define MEANINGLESS(id, what)                                                                                          \
    "ERR The " id " ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by " \
    "specifying a proper ID, or use the > ID to get new messages. The " id " ID would just return " what "."

/* The IDs behind which to read: what a word stands for, for now. */
struct place {
    struct entry *entry; /* NULL: there is no such stream */
    struct stream_group *group;
    struct stream_id after;
    bool fresh; /* ">": what the group was not given yet */
};

/* The ID before that of the last entry, so that this entry is answered. */
static struct stream_id before_last(const struct stream *stream)
{
    struct stream_id id = STREAM_ID_MIN;
    if (!stream)
        return id;
    if (stream_last_entry_id(stream, &id))
        stream_id_prev(&id);
    else
        id = stream_meta(stream)->last_id;
    return id;
}

static bool read_place(struct call *call, const struct request_args *args, uint32_t index, struct place *place)
{
    uint32_t key = args->first + index, id = key + args->streams;
    *place = (struct place){ .entry = args->grouped ? call_write(call, key) : call_read(call, key) };
    if (!call_expect_type(call, place->entry, ENTRY_STREAM))
        return false;
    struct stream *stream = place->entry ? stream_of(place->entry) : NULL;
    if (args->grouped) {
        place->group = stream ? stream_group_find(stream, args->group) : NULL;
        if (!place->group)
            return fail_no_group(call, key, args);
    }
    struct bytes word = call->argv[id];
    if (word.len != 1 || (*word.ptr >= '0' && *word.ptr <= '9')) {
        if (!stream_arg_id(call, id, &place->after))
            return false;
        place->fresh = args->grouped && stream_id_equal(place->after, STREAM_ID_MAX);
        return true;
    }
    switch (*word.ptr) {
    case '$':
        if (args->grouped)
            return fail(call, MEANINGLESS("$", "an empty result set"));
        place->after = stream ? stream_meta(stream)->last_id : STREAM_ID_MIN;
        return true;
    case '+':
        if (args->grouped)
            return fail(call, MEANINGLESS("+", "an empty result set"));
        place->after = before_last(stream);
        return true;
    case '>':
        if (!args->grouped)
            return fail(call, "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
                              "<consumer> option.");
        place->fresh = true;
        return true;
    default:
        return stream_arg_id(call, id, &place->after);
    }
}

/* The last ID that a group will have been given once the parts so far are answered: a key may be named twice. */
static struct stream_id given_by_then(const struct job *job, const struct stream *stream, struct stream_id last)
{
    struct stream_iter iter;
    for (uint32_t i = 0; i < job->count && job->count < TWICE_MAX; i++) {
        const struct part *part = &job->parts[i];
        if (part->stream != stream || part->history)
            continue;
        stream_iter_begin(&iter, stream, part->from, part->until, false);
        for (uint64_t left = part->left; left && stream_iter_next(&iter); left--)
            last = iter.id;
    }
    return last;
}

/* Adds what there is to answer behind a place to the job, if there is anything. */
static void add_part(
    struct call *call, const struct request_args *args, struct job *job, uint32_t index, const struct place *place)
{
    const struct stream *stream = place->entry ? stream_of(place->entry) : NULL;
    if (!stream)
        return;
    const struct stream_meta *meta = stream_meta(stream);
    struct part part = { .key = call_key(call, args->first + index),
        .stream = stream,
        .until = meta->last_id,
        .left = args->count,
        .history = args->grouped && !place->fresh };
    struct stream_id after = place->fresh ? given_by_then(job, stream, place->group->last_id) : place->after;
    struct stream_id greatest;
    part.from = after;
    bool more = stream_id_next(&part.from);
    if (!part.history && (!meta->length || stream_id_compare(meta->last_id, after) <= 0 ||
                             !stream_last_entry_id(stream, &greatest) || stream_id_compare(greatest, after) <= 0))
        return;
    if (!more)
        part.left = 0;
    job->parts[job->count++] = part;
}

static const struct wait_kind wait_alone = { .type = ENTRY_STREAM, .every = true };
static const struct wait_kind wait_in_group = { .type = ENTRY_STREAM, .gone = true };

/* Waits; "$" becomes the ID that it stands for now. */
static void wait_for_more(struct call *call, const struct request_args *args, const struct place *places)
{
    struct bytes *argv = NULL;
    for (uint32_t i = 0; i < args->streams && !call->retry; i++) {
        uint32_t at = args->first + args->streams + i;
        if (!bytes_equal(call->argv[at], BYTES("$")))
            continue;
        if (!argv) {
            argv = arena_alloc(call->arena, call->argc * sizeof *argv);
            memcpy(argv, call->argv, call->argc * sizeof *argv);
        }
        argv[at] = stream_id_text(call, places[i].after);
        fiber_breathe(PLACE_COST);
    }
    if (argv)
        call->argv = argv;
    uint64_t line = args->grouped ? hash_bytes(args->group.ptr, args->group.len) : 0;
    call_wait(call, args->grouped ? &wait_in_group : &wait_alone, line, args->first, args->streams, args->deadline_ms);
}

/* Sees to it that the consumer is there in all groups; false: memory is out, which was answered. */
static bool make_consumers(struct call *call, const struct request_args *args, const struct place *places)
{
    call_propagate_nothing(call); /* what is given is told of entry by entry */
    for (uint32_t i = 0; i < args->streams; i++) {
        bool made;
        struct bytes key = call->argv[args->first + i];
        struct stream_consumer *consumer = stream_consumer_get(call, key, places[i].group, args->consumer, &made);
        if (!consumer)
            return false;
        if (made)
            stream_propagate_consumer(call, key, places[i].group, consumer);
        fiber_breathe(PLACE_COST);
    }
    return true;
}

/*
 * One that waits for very many streams is executed again because of one of them: true if that has something to answer.
 * Otherwise it waits again, or an error was answered.
 */
static bool has_news(struct call *call, const struct request_args *args)
{
    struct part part;
    struct job job = { .grouped = args->grouped, .parts = &part };
    for (uint32_t i = 0; i < args->streams && !job.count; i++) {
        struct place place;
        if (!bytes_equal(call->argv[args->first + i], call->argv[call->ready_arg]))
            continue;
        if (!read_place(call, args, i, &place))
            return false;
        add_part(call, args, &job, i, &place);
    }
    if (!job.count)
        wait_for_more(call, args, NULL);
    return job.count;
}

/* True if it goes on aside, or is done with. */
static bool put_aside(struct call *call, const struct request_args *args)
{
    if (args->streams < CALL_AT_ONCE || fiber_running)
        return false;
    return (call->retry && !has_news(call, args)) || call_aside(call, args->streams);
}

static void run(struct call *call, bool grouped)
{
    struct request_args args;
    if (!read_args(call, grouped, &args) || put_aside(call, &args))
        return;
    struct place *places = arena_alloc(call->arena, args.streams * sizeof *places);
    for (uint32_t i = 0; i < args.streams; i++) {
        if (!read_place(call, &args, i, &places[i]))
            return;
        fiber_breathe(PLACE_COST);
    }
    if (grouped && !make_consumers(call, &args, places))
        return;
    struct job job = { .grouped = grouped, .noack = args.noack, .group = args.group, .consumer = args.consumer };
    job.parts = arena_alloc(call->arena, args.streams * sizeof *job.parts);
    for (uint32_t i = 0; i < args.streams; i++) {
        add_part(call, &args, &job, i, &places[i]);
        fiber_breathe(PLACE_COST);
    }
    if (!job.count && args.blocks)
        wait_for_more(call, &args, places);
    else if (!job.count)
        reply_null_array(call->reply);
    else if (call->retry && !grouped && args.streams == 1 && !is_long(&job, job.parts))
        job_run_shared(call, &job);
    else
        job_run(call, &job);
}

static void run_xread(struct call *call)
{
    run(call, false);
}

static void run_xreadgroup(struct call *call)
{
    run(call, true);
}

const struct command stream_read_commands[] = {
    { .name = "XREAD",
        .run = run_xread,
        .argc = AT_LEAST(4),
        .flags = CMD_READ | CMD_BLOCKING | CMD_MOVABLE_KEYS,
        .group = GROUP_STREAM,
        .keys = { KEY_AFTER("STREAMS", 1, -1, 1, 2, KEY_READ_ACCESS) },
        .since = "5.0.0",
        .complexity = "O(log(N)+M) for each stream, where M is the number of entries answered.",
        .usage = "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
        .brief = "Replies with the entries of streams behind given IDs, or waits until there are some." },
    { .name = "XREADGROUP",
        .run = run_xreadgroup,
        .argc = AT_LEAST(7),
        .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
        .group = GROUP_STREAM,
        .keys = { KEY_AFTER("STREAMS", 4, -1, 1, 2, KEY_READ_ACCESS) },
        .since = "5.0.0",
        .complexity = "O(log(N)+M) for each stream, where M is the number of entries answered.",
        .usage = "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
        .brief = "Replies with entries that a group was not given yet, or that a consumer has pending; or waits." },
    { 0 },
};
