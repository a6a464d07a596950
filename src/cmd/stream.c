/*
 * Streams: appending, trimming, and what concerns the stream as a whole.
 *
 * Appending costs O(entry). Trimming drops whole blocks; what is much goes on as a task, in slices: others see the
 * stream shrink meanwhile, from its front. The sink of changes (engine/propagate.h) is told of results: the ID that an
 * entry got, and where a trimmed stream begins now, not "about 1000 entries".
 */
#include "stream_priv.h"

#include "base/mem.h"
#include "cmd/families.h"
#include "engine/notify.h"
#include "engine/propagate.h"
#include "engine/task.h"

enum { TRIM_BLOCKS = 64 }; /* that one step looks at: some 20 us */

/* --- Trimming --- */

/* Tells the sink what is left after a trim, in words that do not depend on how entries lie in blocks. */
static void propagate_trim(struct call *call, struct bytes key, const struct stream *stream, enum stream_refs refs)
{
    if (!call_is_propagated(call))
        return;
    const struct stream_meta *meta = stream_meta(stream);
    bool by_length = refs == STREAM_ACKED || meta->length == 0;
    char digits[NUM_I64_MAX_LEN];
    struct bytes threshold =
        by_length ? bytes_make(digits, num_format_u64(digits, meta->length)) : stream_id_text(call, meta->first_id);
    struct bytes words[] = { BYTES("XTRIM"), key, by_length ? BYTES("MAXLEN") : BYTES("MINID"), BYTES("="), threshold,
        stream_refs_word(refs) };
    call_propagate(call, words, refs == STREAM_KEEPREF ? 5 : 6);
}

struct trim_task {
    struct task task;
    struct stream_trim trim;
    const struct stream *stream; /* borrowed: only compared */
    bool added;                  /* by XADD, which answers the ID */
    struct stream_id id;
    size_t key_len;
    char key[];
};

static void trim_answer(struct call *call, const struct trim_task *self)
{
    if (self->trim.removed)
        call_notify(call, NOTIFY_STREAM, "xtrim", bytes_make(self->key, self->key_len));
    if (self->added)
        stream_reply_id(call->reply, self->id);
    else
        reply_int(call->reply, (int64_t)self->trim.removed);
}

static bool trim_step(struct task *task, struct call *call)
{
    struct trim_task *self = (struct trim_task *)task;
    struct key key = key_make(bytes_make(self->key, self->key_len));
    struct entry *entry = keyspace_peek(call->keyspace, call->db, key, call->now_ms);
    if (entry && entry->type == ENTRY_STREAM && stream_of(entry) == self->stream) {
        struct stream_edit edit = { call->keyspace, call->db, key, entry, call->now_ms, false };
        uint64_t before = self->trim.removed;
        stream_trim_step(&edit, &self->trim, TRIM_BLOCKS);
        if (self->trim.removed != before)
            propagate_trim(call, key_bytes(key), self->stream, self->trim.refs);
        if (self->trim.unfinished)
            return false;
    }
    trim_answer(call, self);
    return true;
}

static void trim_destroy(struct task *task)
{
    mem_free(task);
}

/* Goes on with an unfinished trim as a task; false when memory is out. */
static bool trim_later(
    struct call *call, const struct stream_edit *edit, const struct stream_trim *trim, const struct stream_id *added)
{
    static const struct task_type type = { .step = trim_step, .destroy = trim_destroy };
    struct trim_task *self = mem_try_alloc(sizeof *self + edit->key.len);
    if (!self)
        return false;
    *self = (struct trim_task){ .task.type = &type, .trim = *trim, .stream = stream_of(edit->entry) };
    self->added = added != NULL;
    if (added)
        self->id = *added;
    self->key_len = edit->key.len;
    if (edit->key.len)
        memcpy(self->key, edit->key.ptr, edit->key.len);
    call_defer(call, &self->task);
    return true;
}

static void run_xtrim(struct call *call)
{
    struct stream_trim_options options = { 0 };
    for (uint32_t i = 2; i < call->argc; i++) {
        int found = stream_arg_trim(call, &i, &options);
        if (found == 0)
            reply_fail(call->reply, ERROR_SYNTAX);
        if (found <= 0)
            return;
    }
    if (!options.limited && !options.trims) {
        reply_error(call->reply, BYTES("ERR syntax error, XTRIM must be called with a trimming strategy"));
        return;
    }
    struct stream_edit edit;
    if (!stream_trim_settle(call, &options) || !stream_open(call, 1, &edit))
        return;
    struct stream_trim *trim = &options.trim;
    if (!edit.entry) {
        reply_int(call->reply, 0);
        return;
    }
    stream_trim_step(&edit, trim, TRIM_BLOCKS);
    if (trim->removed && (trim->approximate || trim->unfinished))
        propagate_trim(call, call->argv[1], stream_of(edit.entry), trim->refs);
    if (trim->unfinished && trim_later(call, &edit, trim, NULL))
        return;
    if (trim->removed)
        call_notify(call, NOTIFY_STREAM, "xtrim", call->argv[1]);
    reply_int(call->reply, (int64_t)trim->removed);
}

/* --- Appending --- */

struct add {
    struct stream_trim_options options;
    bool no_mkstream;
    bool auto_id, auto_seq; /* the ID, or the second part of it, is for us to choose */
    struct stream_id id;
    uint32_t first; /* argument of the first field */
};

/* Reads what stands before the fields; false: an error was answered. */
static bool read_add(struct call *call, struct add *add)
{
    uint32_t i = 2;
    for (; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        if (word.len && *word.ptr == '*' && (word.len == 1 || word.ptr[1] == '\0')) {
            add->auto_id = true;
            break;
        }
        bool is_id = word.len && *word.ptr >= '0' && *word.ptr <= '9';
        int found = is_id ? 0 : stream_arg_trim(call, &i, &add->options);
        if (found < 0)
            return false;
        if (found > 0)
            continue;
        if (!is_id && call_arg_is(call, i, "NOMKSTREAM")) {
            add->no_mkstream = true;
            continue;
        }
        if (!stream_id_parse(word, 0, &add->id, &add->auto_seq))
            return stream_arg_id(call, i, &add->id);
        break;
    }
    add->first = i + 1;
    if (!stream_trim_settle(call, &add->options))
        return false;
    if (call->argc < i + 3 || (call->argc - i - 1) % 2) {
        call_fail_arity(call);
        return false;
    }
    if (!add->auto_id && !add->auto_seq && stream_id_is_zero(add->id)) {
        reply_error(call->reply, BYTES("ERR The ID specified in XADD must be greater than 0-0"));
        return false;
    }
    return true;
}

/* The ID that the entry gets; false: an error was answered. */
static bool choose_id(struct call *call, struct stream_id last, const struct add *add, struct stream_id *id)
{
    struct stream_id next = last;
    if (!stream_id_next(&next)) {
        reply_error(call->reply, BYTES("ERR The stream has exhausted the last possible ID, unable to add more items"));
        return false;
    }
    *id = add->id;
    if (add->auto_id)
        *id = (uint64_t)call->now_ms > last.ms ? (struct stream_id){ (uint64_t)call->now_ms, 0 } : next;
    else if (add->auto_seq && id->ms == last.ms)
        *id = next; /* of the next millisecond if this one is full, and then it is refused */
    if (stream_id_compare(*id, last) > 0 && (!add->auto_seq || id->ms == add->id.ms))
        return true;
    reply_error(call->reply, BYTES("ERR The ID specified in XADD is equal or smaller than the target stream top item"));
    return false;
}

/* Tells the sink of the entry with its ID, and of how long the stream is now if it was trimmed. */
static void propagate_add(struct call *call, const struct add *add, const struct stream *stream, struct stream_id id)
{
    if (!call_is_propagated(call))
        return;
    const struct stream_trim *trim = &add->options.trim;
    uint32_t pairs = call->argc - add->first, count = 0;
    struct bytes *words = arena_alloc(call->arena, (7 + (size_t)pairs) * sizeof *words);
    words[count++] = BYTES("XADD");
    words[count++] = call->argv[1];
    if (trim->removed && !trim->unfinished) {
        char *digits = arena_alloc(call->arena, NUM_I64_MAX_LEN);
        if (trim->refs != STREAM_KEEPREF)
            words[count++] = stream_refs_word(trim->refs);
        words[count++] = BYTES("MAXLEN");
        words[count++] = BYTES("=");
        words[count++] = bytes_make(digits, num_format_u64(digits, stream_meta(stream)->length));
    }
    words[count++] = stream_id_text(call, id);
    memcpy(&words[count], &call->argv[add->first], pairs * sizeof *words);
    call_propagate(call, words, count + pairs);
    if (trim->unfinished && trim->removed)
        propagate_trim(call, call->argv[1], stream, trim->refs);
}

static void run_xadd(struct call *call)
{
    struct add add = { 0 };
    struct stream_edit edit;
    if (!read_add(call, &add) || !stream_open(call, 1, &edit))
        return;
    if (!edit.entry && add.no_mkstream) {
        reply_null(call->reply);
        return;
    }
    struct stream_id id, last = edit.entry ? stream_meta(stream_of(edit.entry))->last_id : STREAM_ID_MIN;
    if (!choose_id(call, last, &add, &id))
        return;
    switch (stream_add(&edit, id, &call->argv[add.first], call->argc - add.first)) {
    case STREAM_TOO_LARGE:
        reply_error(call->reply, BYTES("ERR Elements are too large to be stored"));
        return;
    case STREAM_NO_MEMORY:
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    default:
        break;
    }
    struct stream_trim *trim = &add.options.trim;
    if (add.options.trims)
        stream_trim_step(&edit, trim, TRIM_BLOCKS);
    if (add.auto_id || add.auto_seq || trim->approximate || trim->unfinished)
        propagate_add(call, &add, stream_of(edit.entry), id);
    call_notify(call, NOTIFY_STREAM, "xadd", call->argv[1]);
    if (trim->unfinished && trim_later(call, &edit, trim, &id))
        return;
    if (trim->removed)
        call_notify(call, NOTIFY_STREAM, "xtrim", call->argv[1]);
    stream_reply_id(call->reply, id);
}

/* --- As a whole --- */

static void run_xlen(struct call *call)
{
    const struct entry *entry = call_read(call, 1);
    if (call_expect_type(call, entry, ENTRY_STREAM))
        reply_int(call->reply, entry ? (int64_t)stream_meta(stream_of(entry))->length : 0);
}

struct setid {
    struct stream_id last_id, max_deleted_id;
    int64_t entries_added; /* -1: not given */
};

static bool read_setid(struct call *call, struct setid *set)
{
    *set = (struct setid){ .entries_added = -1 };
    if (!stream_arg_id(call, 2, &set->last_id))
        return false;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        bool more = i + 1 < call->argc;
        const char *wrong = NULL;
        if (more && call_arg_is(call, i, "ENTRIESADDED")) {
            if (!call_arg_i64(call, i + 1, INT64_MIN, INT64_MAX, NULL, &set->entries_added))
                return false;
            if (set->entries_added < 0)
                wrong = "ERR entries_added must be positive";
        } else if (more && call_arg_is(call, i, "MAXDELETEDID")) {
            if (!stream_arg_id(call, i + 1, &set->max_deleted_id))
                return false;
            if (stream_id_compare(set->last_id, set->max_deleted_id) < 0)
                wrong = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
        } else {
            wrong = "ERR syntax error";
        }
        if (wrong) {
            reply_error(call->reply, bytes_from_cstr(wrong));
            return false;
        }
    }
    return true;
}

static void run_xsetid(struct call *call)
{
    struct setid set;
    struct stream_edit edit;
    struct stream_id greatest;
    if (!read_setid(call, &set) || !stream_open(call, 1, &edit))
        return;
    if (!edit.entry) {
        reply_fail(call->reply, ERROR_NO_SUCH_KEY);
        return;
    }
    const struct stream *stream = stream_of(edit.entry);
    const struct stream_meta *meta = stream_meta(stream);
    const char *wrong = NULL;
    if (stream_id_compare(set.last_id, meta->max_deleted_id) < 0)
        wrong = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
    else if (stream_last_entry_id(stream, &greatest) && stream_id_compare(set.last_id, greatest) < 0)
        wrong = "ERR The ID specified in XSETID is smaller than the target stream top item";
    else if (set.entries_added >= 0 && meta->length > (uint64_t)set.entries_added)
        wrong = "ERR The entries_added specified in XSETID is smaller than the target stream length";
    if (wrong) {
        reply_error(call->reply, bytes_from_cstr(wrong));
        return;
    }
    struct stream_id max_deleted = stream_id_is_zero(set.max_deleted_id) ? meta->max_deleted_id : set.max_deleted_id;
    uint64_t added = set.entries_added < 0 ? meta->entries_added : (uint64_t)set.entries_added;
    stream_set_meta(&edit, set.last_id, max_deleted, added);
    call_notify(call, NOTIFY_STREAM, "xsetid", call->argv[1]);
    reply_ok(call->reply);
}

static const char *const tips[] = { "nondeterministic_output", NULL };
static const char *const xadd_history[] = { "6.2.0", "The options `NOMKSTREAM`, `MINID` and `LIMIT`.", "7.0.0",
    "IDs of the form `<ms>-*`.", "8.2.0", "The options `KEEPREF`, `DELREF` and `ACKED`.", NULL };
static const char *const xtrim_history[] = { "6.2.0", "The options `MINID` and `LIMIT`.", "8.2.0",
    "The options `KEEPREF`, `DELREF` and `ACKED`.", NULL };
static const char *const xsetid_history[] = { "7.0.0", "The options `ENTRIESADDED` and `MAXDELETEDID`.", NULL };

const struct command stream_commands[] = {
    { .name = "XADD",
        .run = run_xadd,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "5.0.0",
        .complexity = "O(1) to append; trimming is O(N/100) where N is the number of entries that go.",
        .usage = "key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] "
                 "<* | id> field value [field value ...]",
        .brief = "Appends an entry to a stream; a missing stream is created.",
        .tips = tips,
        .history = xadd_history },
    { .name = "XTRIM",
        .run = run_xtrim,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "5.0.0",
        .complexity = "O(N/100) where N is the number of entries that go.",
        .usage = "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]",
        .brief = "Removes entries from the front of a stream.",
        .tips = tips,
        .history = xtrim_history },
    { .name = "XLEN",
        .run = run_xlen,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "5.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Replies with the number of entries of a stream." },
    { .name = "XSETID",
        .run = run_xsetid,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STREAM,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "5.0.0",
        .complexity = "O(1)",
        .usage = "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
        .brief = "Sets the ID that new entries of a stream must exceed, and its counters.",
        .history = xsetid_history },
    { 0 },
};
