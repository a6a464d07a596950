/*
 * Strings: reading them, and changing them in place. Those that store a whole value are in string_set.c.
 *
 * Every command looks its key up once where it can, and copies nothing but what it must: large values are referenced by
 * the reply (reply_bulk_blob), counters are changed where they lie, and an appended piece is copied once, to its place.
 *
 * Costs: O(1) a key, and the bytes that are written. Filling the gap that SETRANGE may leave behind the old end is
 * O(gap), at most proto-max-bulk-len. What is to be filled or copied beyond a megabyte is so in slices.
 */
#include "string_priv.h"

#include <math.h>
#include <string.h>

#include "cmd/families.h"
#include "many_words_priv.h"

enum {
    MGET_AT_ONCE = 512 * 1024, /* bytes that are answered up to which it is done at once */
    MGET_BYTES_A_TICK = 64,    /* that are copied in ten nanoseconds */
};

/* --- Reading --- */

static void run_get(struct call *call)
{
    const struct entry *entry = call_read(call, 1);
    if (!entry)
        reply_null(call->reply);
    else if (call_expect_type(call, entry, ENTRY_STRING))
        string_reply(call, entry);
}

/* Answers with all values; false if that is more than `bytes_max`, with part of them answered. */
static inline __attribute__((always_inline)) bool reply_values(struct call *call, size_t bytes_max)
{
    struct key keys[STRING_BATCH];
    uint32_t count;
    reply_array(call->reply, call->argc - 1);
    for (uint32_t at = 1; at < call->argc && !fiber_is_over(); at += count) {
        size_t before = output_len(call->reply->out);
        count = string_look_ahead(call, at, 1, call->argc, keys);
        for (uint32_t i = 0; i < count; i++) {
            const struct entry *entry = keyspace_read(call->keyspace, call->db, keys[i], call->now_ms);
            if (entry && entry->type == ENTRY_STRING)
                string_reply(call, entry);
            else
                reply_null(call->reply);
        }
        size_t bytes = output_len(call->reply->out) - before;
        if (__builtin_expect(bytes > bytes_max, 0))
            return false;
        bytes_max -= bytes;
        fiber_breathe(STRING_BATCH_COST + (unsigned)(bytes / MGET_BYTES_A_TICK));
    }
    return true;
}

/* How many bytes there will be turns out in the doing: if they are many, it begins anew aside. */
static void run_mget(struct call *call)
{
    if (words_aside(call))
        return;
    if (call->argc <= STRING_BATCH || fiber_running) {
        reply_values(call, SIZE_MAX);
        return;
    }
    struct output_mark begin = output_mark(call->reply->out);
    if (reply_values(call, MGET_AT_ONCE))
        return;
    output_rewind(call->reply->out, begin);
    if (!call_aside(call, CALL_AT_ONCE))
        reply_values(call, SIZE_MAX);
}

static void run_strlen(struct call *call)
{
    const struct entry *entry = call_read(call, 1);
    if (call_expect_type(call, entry, ENTRY_STRING))
        reply_int(call->reply, entry ? (int64_t)string_len(entry) : 0);
}

/* What lies from `start` to `end`, both included; negative ones count from the end of the string. */
static struct bytes substring(struct bytes text, int64_t start, int64_t end)
{
    int64_t len = (int64_t)text.len;
    if (start < 0 && end < 0 && start > end)
        return BYTES("");
    if (start < 0)
        start = start < -len ? 0 : start + len;
    if (end < 0)
        end = end < -len ? 0 : end + len;
    if (end >= len)
        end = len - 1;
    if (start > end)
        return BYTES("");
    return bytes_make(text.ptr + start, (size_t)(end - start + 1));
}

static void run_getrange(struct call *call)
{
    int64_t start, end;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &start) ||
        !call_arg_i64(call, 3, INT64_MIN, INT64_MAX, NULL, &end))
        return;
    const struct entry *entry = call_read(call, 1);
    if (!entry) {
        reply_bulk(call->reply, BYTES(""));
        return;
    }
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    struct string_scratch scratch;
    struct bytes part = substring(string_view(entry, &scratch), start, end);
    struct blob *blob = string_blob(entry);
    if (blob)
        reply_bulk_blob(call->reply, blob, part);
    else
        reply_bulk(call->reply, part);
}

/* --- Changing bytes --- */

char *string_open_large(struct call *call, struct key key, struct entry *entry, size_t len, size_t written)
{
    char *at;
    if (string_edit_work(entry, len) + written < STRING_LARGE)
        at = keyspace_edit_string(call->keyspace, call->db, key, entry, len);
    else if (call_aside(call, CALL_AT_ONCE))
        return NULL;
    else
        at = keyspace_edit_string_slowly(call->keyspace, call->db, key, call->now_ms, len);
    if (!at)
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    return at;
}

static void run_append(struct call *call)
{
    struct key key = call_key(call, 1);
    struct bytes tail = call->argv[2];
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    if (!entry) {
        string_store(call, key, 2, EXPIRY_NONE);
        call_notify(call, NOTIFY_STRING, "append", call->argv[1]);
        reply_int(call->reply, (int64_t)tail.len);
        return;
    }
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    size_t len = string_len(entry);
    if (!string_may_reach(call, len, tail.len))
        return;
    char *text = string_open(call, key, entry, len + tail.len, tail.len);
    if (!text)
        return;
    string_write(text + len, tail);
    call_notify(call, NOTIFY_STRING, "append", call->argv[1]);
    reply_int(call->reply, (int64_t)(len + tail.len));
}

static void run_setrange(struct call *call)
{
    int64_t offset;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &offset))
        return;
    if (offset < 0) {
        reply_error(call->reply, BYTES("ERR offset is out of range"));
        return;
    }
    struct key key = call_key(call, 1);
    struct bytes part = call->argv[3];
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    size_t len = entry ? string_len(entry) : 0;
    if (part.len == 0) {
        reply_int(call->reply, (int64_t)len);
        return;
    }
    if (!string_may_reach(call, (uint64_t)offset, part.len))
        return;
    size_t end = (size_t)offset + part.len;
    size_t new_len = end > len ? end : len;
    char *text = string_open(call, key, entry, new_len, part.len);
    if (!text)
        return;
    string_write(text + offset, part);
    call_notify(call, NOTIFY_STRING, "setrange", call->argv[1]);
    reply_int(call->reply, (int64_t)new_len);
}

/* --- Counting --- */

static void increment(struct call *call, int64_t by)
{
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    int64_t value = 0;
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    if (entry && !string_to_i64(entry, &value)) {
        reply_fail(call->reply, ERROR_NOT_INTEGER);
        return;
    }
    if (__builtin_add_overflow(value, by, &value)) {
        reply_fail(call->reply, ERROR_OVERFLOW);
        return;
    }
    if (entry && entry->encoding == STRING_INT) { /* spares keyspace_set_integer's second look-up */
        keyspace_edit(call->keyspace, call->db, key, entry);
        memcpy(entry_value(entry), &value, sizeof value);
    } else {
        keyspace_set_integer(call->keyspace, call->db, key, value, EXPIRY_KEEP, call->now_ms);
    }
    call_notify(call, NOTIFY_STRING, "incrby", call->argv[1]);
    reply_int(call->reply, value);
}

static void run_incr(struct call *call)
{
    increment(call, 1);
}

static void run_decr(struct call *call)
{
    increment(call, -1);
}

static void run_incrby(struct call *call)
{
    int64_t by;
    if (call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &by))
        increment(call, by);
}

static void run_decrby(struct call *call)
{
    int64_t by;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &by))
        return;
    if (by == INT64_MIN)
        reply_error(call->reply, BYTES("ERR decrement would overflow"));
    else
        increment(call, -by);
}

static void run_incrbyfloat(struct call *call)
{
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    struct string_scratch scratch;
    long double value = 0, by;
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    if ((entry && !num_parse_ldouble(string_view(entry, &scratch), &value)) || !num_parse_ldouble(call->argv[2], &by)) {
        reply_fail(call->reply, ERROR_NOT_FLOAT);
        return;
    }
    value += by;
    if (!isfinite(value)) {
        reply_fail(call->reply, ERROR_NAN_INFINITY);
        return;
    }
    char *digits = arena_alloc(call->arena, NUM_LDOUBLE_MAX_LEN);
    struct bytes text = bytes_make(digits, num_format_ldouble(digits, value));
    keyspace_set_text(call->keyspace, call->db, key, text, EXPIRY_KEEP, call->now_ms);
    call_notify(call, NOTIFY_STRING, "incrbyfloat", call->argv[1]);
    string_propagate_set(call, call->argv[1], text, EXPIRY_KEEP);
    reply_bulk(call->reply, text);
}

static const char *const mget_tips[] = { "request_policy:multi_shard", NULL };

const struct command string_commands[] = {
    { .name = "GET",
        .run = run_get,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Replies with the string stored at a key." },
    { .name = "MGET",
        .run = run_mget,
        .argc = AT_LEAST(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_RANGE(1, -1, 1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of keys.",
        .usage = "key [key ...]",
        .brief = "Replies with the strings stored at several keys; null for each that is missing or no string.",
        .tips = mget_tips },
    { .name = "STRLEN",
        .run = run_strlen,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "2.2.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Replies with the length of a string in bytes." },
    { .name = "GETRANGE",
        .run = run_getrange,
        .argc = EXACTLY(4),
        .flags = CMD_READ,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.4.0",
        .complexity =
            "O(N) where N is the length of the reply; O(1) where that is short or large enough to be sent in place.",
        .usage = "key start end",
        .brief = "Replies with the part of a string between two offsets, both included." },
    { .name = "SUBSTR",
        .run = run_getrange,
        .argc = EXACTLY(4),
        .flags = CMD_READ,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity =
            "O(N) where N is the length of the reply; O(1) where that is short or large enough to be sent in place.",
        .usage = "key start end",
        .brief = "The old name of GETRANGE." },
    { .name = "APPEND",
        .run = run_append,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the length of the value; room is added in steps that grow with the string.",
        .usage = "key value",
        .brief = "Adds a value to the end of a string, which is created if missing." },
    { .name = "SETRANGE",
        .run = run_setrange,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "2.2.0",
        .complexity = "O(N) where N is the length of the value, and the gap, if the offset lies behind the end.",
        .usage = "key offset value",
        .brief = "Overwrites a part of a string; a gap before it is filled with zero bytes." },
    { .name = "INCR",
        .run = run_incr,
        .argc = EXACTLY(2),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Adds one to an integer; a missing key counts as 0." },
    { .name = "DECR",
        .run = run_decr,
        .argc = EXACTLY(2),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Subtracts one from an integer; a missing key counts as 0." },
    { .name = "INCRBY",
        .run = run_incrby,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key increment",
        .brief = "Adds a number to an integer; a missing key counts as 0." },
    { .name = "DECRBY",
        .run = run_decrby,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key decrement",
        .brief = "Subtracts a number from an integer; a missing key counts as 0." },
    { .name = "INCRBYFLOAT",
        .run = run_incrbyfloat,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "2.6.0",
        .complexity = "O(1)",
        .usage = "key increment",
        .brief = "Adds a number to a floating-point number; a missing key counts as 0." },
    { 0 },
};
