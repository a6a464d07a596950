/*
 * Streams: what arguments and replies have in common.
 *
 * An ID is two numbers of 64 bits. Most are written without anything superfluous and are read as such; what else passes
 * as a number (a plus, zeros or blanks in front) is left to strtoull, because that is what clients were always allowed.
 */
#include <stdlib.h>

#include <errno.h>

#include "engine/propagate.h"
#include "store/settings.h"
#include "stream_priv.h"

/* --- IDs --- */

enum { ID_TEXT_MAX = 2 * NUM_I64_MAX_LEN + 1 };

/* Writes "ms-seq" to `out`, not terminated; returns the length. */
static size_t format_id(char out[ID_TEXT_MAX], struct stream_id id)
{
    size_t len = num_format_u64(out, id.ms);
    out[len++] = '-';
    return len + num_format_u64(out + len, id.seq);
}

struct bytes stream_id_text(struct call *call, struct stream_id id)
{
    char *text = arena_alloc(call->arena, ID_TEXT_MAX);
    return bytes_make(text, format_id(text, id));
}

enum { ID_LEN_MAX = 127 };

static bool parse_part(struct bytes text, uint64_t *value)
{
    int64_t negative;
    if (num_parse_u64(text, value))
        return true;
    if (text.len == 0 || text.len > ID_LEN_MAX || num_parse_i64(text, &negative))
        return false;
    char copy[ID_LEN_MAX + 1], *end;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    unsigned long long number = strtoull(copy, &end, 10);
    if (errno || end == copy || *end)
        return false;
    *value = number;
    return true;
}

bool stream_id_parse(struct bytes text, uint64_t missing_seq, struct stream_id *id, bool *any_seq)
{
    if (text.len > ID_LEN_MAX)
        return false;
    const char *zero = text.len ? memchr(text.ptr, '\0', text.len) : NULL;
    if (zero)
        text.len = (size_t)(zero - text.ptr);
    const char *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
    struct stream_id found = { 0, missing_seq };
    if (dash) {
        struct bytes rest = bytes_make(dash + 1, text.len - (size_t)(dash - text.ptr) - 1);
        text.len -= rest.len + 1;
        if (any_seq && rest.len == 1 && *rest.ptr == '*') {
            *any_seq = true;
            found.seq = 0;
        } else if (!parse_part(rest, &found.seq)) {
            return false;
        }
    }
    if (!parse_part(text, &found.ms))
        return false;
    *id = found;
    return true;
}

static bool fail_id(struct call *call)
{
    reply_error(call->reply, BYTES("ERR Invalid stream ID specified as stream command argument"));
    return false;
}

bool stream_arg_id(struct call *call, uint32_t index, struct stream_id *id)
{
    return stream_id_parse(call->argv[index], 0, id, NULL) || fail_id(call);
}

/* "-" or "+", up to a zero byte. */
static bool parse_end_of_all(struct bytes text, struct stream_id *id)
{
    if (text.len == 0 || (text.len > 1 && text.ptr[1] != '\0') || (*text.ptr != '-' && *text.ptr != '+'))
        return false;
    *id = *text.ptr == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
    return true;
}

static bool arg_any_id(struct call *call, struct bytes text, uint64_t missing_seq, struct stream_id *id)
{
    if (text.len <= ID_LEN_MAX && parse_end_of_all(text, id))
        return true;
    return stream_id_parse(text, missing_seq, id, NULL) || fail_id(call);
}

bool stream_arg_any_id(struct call *call, uint32_t index, struct stream_id *id)
{
    return arg_any_id(call, call->argv[index], 0, id);
}

static bool arg_bound(struct call *call, uint32_t index, uint64_t missing_seq, struct stream_id *id, bool *open)
{
    struct bytes text = call->argv[index];
    *open = text.len > 1 && text.ptr[0] == '(';
    if (!*open)
        return arg_any_id(call, text, missing_seq, id);
    return stream_id_parse(bytes_make(text.ptr + 1, text.len - 1), missing_seq, id, NULL) || fail_id(call);
}

bool stream_arg_start(struct call *call, uint32_t index, struct stream_id *start)
{
    bool open;
    if (!arg_bound(call, index, 0, start, &open))
        return false;
    if (!open || stream_id_next(start))
        return true;
    reply_error(call->reply, BYTES("ERR invalid start ID for the interval"));
    return false;
}

bool stream_arg_end(struct call *call, uint32_t index, struct stream_id *end)
{
    bool open;
    if (!arg_bound(call, index, UINT64_MAX, end, &open))
        return false;
    if (!open || stream_id_prev(end))
        return true;
    reply_error(call->reply, BYTES("ERR invalid end ID for the interval"));
    return false;
}

struct stream_id *stream_arg_ids(struct call *call, uint32_t first, uint32_t count)
{
    struct stream_id *ids = arena_try_alloc(call->arena, ((size_t)count + 1) * sizeof *ids);
    if (!ids) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!stream_arg_id(call, first + i, &ids[i]))
            return NULL;
    return ids;
}

/* --- Replies --- */

void stream_reply_id(struct reply *reply, struct stream_id id)
{
    char text[ID_TEXT_MAX];
    reply_bulk(reply, bytes_make(text, format_id(text, id)));
}

void stream_reply_entry(struct reply *reply, struct stream_iter *iter)
{
    struct bytes field, value;
    reply_array(reply, 2);
    stream_reply_id(reply, iter->id);
    reply_array(reply, (size_t)iter->field_count * 2);
    while (stream_iter_pair(iter, &field, &value)) {
        reply_bulk(reply, field);
        reply_bulk(reply, value);
    }
}

/* --- Opening --- */

bool stream_open(struct call *call, uint32_t index, struct stream_edit *edit)
{
    struct key key = call_key(call, index);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    if (!call_expect_type(call, entry, ENTRY_STREAM))
        return false;
    *edit = (struct stream_edit){ call->keyspace, call->db, key, entry, call->now_ms, false };
    return true;
}

bool stream_open_group(
    struct call *call, uint32_t key, uint32_t name, struct stream **stream, struct stream_group **group)
{
    const struct entry *entry = call_read(call, key);
    if (!call_expect_type(call, entry, ENTRY_STREAM))
        return false;
    *stream = entry ? stream_of(entry) : NULL;
    *group = entry ? stream_group_find(*stream, call->argv[name]) : NULL;
    return true;
}

/* --- Trimming --- */

bool stream_arg_refs(const struct call *call, uint32_t index, enum stream_refs *refs)
{
    if (call_arg_is(call, index, "KEEPREF"))
        *refs = STREAM_KEEPREF;
    else if (call_arg_is(call, index, "DELREF"))
        *refs = STREAM_DELREF;
    else if (call_arg_is(call, index, "ACKED"))
        *refs = STREAM_ACKED;
    else
        return false;
    return true;
}

struct bytes stream_refs_word(enum stream_refs refs)
{
    return refs == STREAM_DELREF ? BYTES("DELREF") : refs == STREAM_ACKED ? BYTES("ACKED") : BYTES("KEEPREF");
}

/* MAXLEN or MINID at *index, with what follows it. */
static bool arg_threshold(struct call *call, uint32_t *index, struct stream_trim_options *options)
{
    bool by_id = call_arg_is(call, *index, "MINID");
    struct stream_trim *trim = &options->trim;
    if (options->trims) {
        reply_error(
            call->reply, BYTES("ERR syntax error, MAXLEN and MINID options at the same time are not compatible"));
        return false;
    }
    uint32_t at = *index + 1;
    bool has_sign = call->argc - at > 1;
    trim->approximate = has_sign && bytes_equal(call->argv[at], BYTES("~"));
    at += has_sign && (trim->approximate || bytes_equal(call->argv[at], BYTES("=")));
    int64_t length = 0;
    if (by_id ? !stream_arg_id(call, at, &trim->min_id) : !call_arg_i64(call, at, INT64_MIN, INT64_MAX, NULL, &length))
        return false;
    if (length < 0) {
        reply_error(call->reply, BYTES("ERR The MAXLEN argument must be >= 0."));
        return false;
    }
    trim->by = by_id ? STREAM_TRIM_MINID : STREAM_TRIM_MAXLEN;
    trim->max_length = (uint64_t)length;
    options->trims = true;
    *index = at;
    return true;
}

static bool arg_limit(struct call *call, uint32_t *index, struct stream_trim_options *options)
{
    int64_t limit;
    if (!call_arg_i64(call, ++*index, INT64_MIN, INT64_MAX, NULL, &limit))
        return false;
    if (limit < 0) {
        reply_error(call->reply, BYTES("ERR The LIMIT argument must be >= 0."));
        return false;
    }
    options->trim.limit = (uint64_t)limit;
    options->limited = true;
    return true;
}

int stream_arg_trim(struct call *call, uint32_t *index, struct stream_trim_options *options)
{
    bool more = call->argc - *index > 1;
    if (more && (call_arg_is(call, *index, "MAXLEN") || call_arg_is(call, *index, "MINID")))
        return arg_threshold(call, index, options) ? 1 : -1;
    if (more && call_arg_is(call, *index, "LIMIT"))
        return arg_limit(call, index, options) ? 1 : -1;
    enum stream_refs refs;
    if (options->refs_given || !stream_arg_refs(call, *index, &refs))
        return 0;
    options->trim.refs = refs;
    options->refs_given = true;
    return 1;
}

/* As many blocks as fit into a limit that nobody gave, in entries. */
static uint64_t default_limit(const struct call *call)
{
    int64_t entries = call->keyspace->settings->stream_node_max_entries;
    if (entries <= 0)
        return 10000;
    return entries > 10000 ? 1000000 : 100 * (uint64_t)entries;
}

bool stream_trim_settle(struct call *call, struct stream_trim_options *options)
{
    if (options->limited && !options->trims) {
        reply_error(
            call->reply, BYTES("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"));
        return false;
    }
    if (options->limited && !options->trim.approximate) {
        reply_error(call->reply, BYTES("ERR syntax error, LIMIT cannot be used without the special ~ option"));
        return false;
    }
    if (options->trim.approximate && !options->limited)
        options->trim.limit = default_limit(call);
    return true;
}

/* --- Telling of consumers and pending entries --- */

static struct bytes number_text(struct call *call, int64_t value)
{
    char *text = arena_alloc(call->arena, NUM_I64_MAX_LEN);
    return bytes_make(text, num_format_i64(text, value));
}

void stream_propagate_consumer(
    struct call *call, struct bytes key, const struct stream_group *group, const struct stream_consumer *consumer)
{
    call_propagate_words(call, "XGROUP", BYTES("CREATECONSUMER"), key, group->name, consumer->name);
}

void stream_propagate_claim(
    struct call *call, struct bytes key, const struct stream_group *group, const struct stream_pending *pending)
{
    if (!call_is_propagated(call))
        return;
    struct bytes id = stream_id_text(call, pending->id);
    struct bytes time = number_text(call, stream_pending_time(pending));
    struct bytes count = number_text(call, (int64_t)stream_pending_count(pending));
    struct bytes last = stream_id_text(call, group->last_id);
    call_propagate_words(call, "XCLAIM", key, group->name, stream_pending_consumer(pending)->name, BYTES("0"), id,
        BYTES("TIME"), time, BYTES("RETRYCOUNT"), count, BYTES("FORCE"), BYTES("JUSTID"), BYTES("LASTID"), last);
}

void stream_propagate_ack(struct call *call, struct bytes key, const struct stream_group *group, struct stream_id id)
{
    if (call_is_propagated(call))
        call_propagate_words(call, "XACK", key, group->name, stream_id_text(call, id));
}

void stream_propagate_group(struct call *call, struct bytes key, const struct stream_group *group)
{
    if (!call_is_propagated(call))
        return;
    struct bytes id = stream_id_text(call, group->last_id), read = number_text(call, group->entries_read);
    call_propagate_words(call, "XGROUP", BYTES("SETID"), key, group->name, id, BYTES("ENTRIESREAD"), read);
}
