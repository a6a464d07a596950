/*
 * Hashes: single fields, read and written. Walks over many fields are in hash_walk.c, expiry in hash_expire.c.
 *
 * Every command looks its key up once, and a field once. Costs: O(1) a field; while the hash is packed O(fields), which
 * the settings keep few.
 */
#include "hash_priv.h"

#include <math.h>

#include "cmd/families.h"
#include "many_words_priv.h"
#include "store/hash_expiry.h"

/* --- Reading --- */

/* A command_look_ahead_fn, by the first field. */
static void look_ahead_first(const struct entry *entry, const struct bytes *argv, uint32_t argc, unsigned step)
{
    if (entry->type == ENTRY_HASH && argc > 2)
        hash_look_ahead(entry, argv[2], step);
}

static void run_hget(struct call *call)
{
    const struct entry *entry;
    struct hash_scratch scratch;
    struct bytes value;
    if (!hash_call_read_fields(call, 3, &entry))
        return;
    if (entry && hash_get(entry, call->argv[2], call->now_ms, &scratch, &value))
        reply_bulk(call->reply, value);
    else
        reply_null(call->reply);
}

static void run_hmget(struct call *call)
{
    const struct entry *entry;
    struct hash_scratch scratch;
    struct bytes value;
    if (words_aside(call) || !hash_call_read_fields(call, call->argc, &entry))
        return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        if (entry && (i - 2) % HASH_AHEAD == 0)
            hash_prefetch(entry, call->argv + i, call->argc - i, 1);
        if (entry && hash_get(entry, call->argv[i], call->now_ms, &scratch, &value))
            reply_bulk(call->reply, value);
        else
            reply_null(call->reply);
        fiber_breathe(WORD_COST);
    }
}

static void run_hstrlen(struct call *call)
{
    const struct entry *entry;
    struct hash_scratch scratch;
    struct bytes value;
    if (!hash_call_read_fields(call, 3, &entry))
        return;
    bool found = entry && hash_get(entry, call->argv[2], call->now_ms, &scratch, &value);
    reply_int(call->reply, found ? (int64_t)value.len : 0);
}

static void run_hexists(struct call *call)
{
    const struct entry *entry;
    struct hash_scratch scratch;
    struct bytes value;
    if (hash_call_read_fields(call, 3, &entry))
        reply_int(call->reply, entry && hash_get(entry, call->argv[2], call->now_ms, &scratch, &value));
}

static void run_hlen(struct call *call)
{
    const struct entry *entry;
    if (hash_call_read(call, &entry))
        reply_int(call->reply, entry ? (int64_t)hash_len(entry, hash_call_now(call)) : 0);
}

/* --- Writing --- */

/* Sets those from argument `from` to before `end`. */
static bool set_some(struct call *call, uint32_t from, uint32_t end, int64_t *added)
{
    struct hash_writer writer;
    if (!hash_call_begin(call, &writer))
        return false;
    bool done = true;
    for (uint32_t i = from; i < end && done; i += 2) {
        struct hash_place place;
        if (writer.entry && call->argc > 4 && (i / 2 - 1) % HASH_AHEAD == 0)
            hash_prefetch(writer.entry, call->argv + i, call->argc - i, 2);
        bool found = hash_find(&writer, call->argv[i], &place);
        done = hash_put(&writer, &place, call->argv[i], call->argv[i + 1], HASH_EXPIRY_DROP);
        *added += done && !found;
    }
    hash_call_dirty(call, (end - from) / 2);
    return hash_call_end(call, &writer, done);
}

/* Sets pairs of fields and values from argument 2 on; false if that answered an error, or goes on aside. */
static bool set_pairs(struct call *call, int64_t *added)
{
    if (call->argc % 2) {
        call_fail_arity(call);
        return false;
    }
    if (!words_each(call, set_some, added))
        return false;
    hash_notify(call, "hset");
    return true;
}

static void run_hset(struct call *call)
{
    int64_t added;
    if (set_pairs(call, &added))
        reply_int(call->reply, added);
}

static void run_hmset(struct call *call)
{
    int64_t added;
    if (set_pairs(call, &added))
        reply_ok(call->reply);
}

static void run_hsetnx(struct call *call)
{
    struct hash_writer writer;
    struct hash_place place;
    if (!hash_call_begin(call, &writer))
        return;
    bool found = hash_find(&writer, call->argv[2], &place);
    bool done = found || hash_put(&writer, &place, call->argv[2], call->argv[3], HASH_EXPIRY_DROP);
    if (!hash_call_end(call, &writer, done))
        return;
    if (!found)
        hash_notify(call, "hset");
    reply_int(call->reply, !found);
}

static bool remove_some(struct call *call, uint32_t from, uint32_t end, int64_t *removed)
{
    struct hash_writer writer;
    if (!hash_call_begin(call, &writer))
        return false;
    int64_t before = *removed;
    writer.now_ms = hash_call_now(call);
    for (uint32_t i = from; i < end && writer.value; i++) {
        struct hash_place place;
        if (call->argc > 3 && (i - 2) % HASH_AHEAD == 0)
            hash_prefetch(writer.entry, call->argv + i, call->argc - i, 1);
        if (hash_find(&writer, call->argv[i], &place)) {
            hash_remove(&writer, &place);
            ++*removed;
        }
    }
    hash_end(&writer);
    hash_call_dirty(call, (size_t)(*removed - before));
    return true;
}

static void run_hdel(struct call *call)
{
    int64_t removed;
    if (!words_each(call, remove_some, &removed))
        return;
    if (removed)
        hash_notify_removal(call, "hdel");
    reply_int(call->reply, removed);
}

/* --- Counting --- */

static void run_hincrby(struct call *call)
{
    int64_t by, number = 0;
    struct hash_writer writer;
    struct hash_place place;
    struct hash_scratch scratch;
    char digits[NUM_I64_MAX_LEN];
    if (!call_arg_i64(call, 3, INT64_MIN, INT64_MAX, NULL, &by) || !hash_call_begin(call, &writer))
        return;
    bool found = hash_find(&writer, call->argv[2], &place);
    if (found && !num_parse_i64(hash_value_at(&writer, &place, &scratch), &number)) {
        hash_end(&writer);
        reply_error(call->reply, BYTES("ERR hash value is not an integer"));
        return;
    }
    if (__builtin_add_overflow(number, by, &number)) {
        hash_end(&writer);
        reply_fail(call->reply, ERROR_OVERFLOW);
        return;
    }
    struct bytes text = bytes_make(digits, num_format_i64(digits, number));
    bool done = hash_put(&writer, &place, call->argv[2], text, HASH_EXPIRY_KEEP);
    if (!hash_call_end(call, &writer, done))
        return;
    hash_notify(call, "hincrby");
    reply_int(call->reply, number);
}

static void run_hincrbyfloat(struct call *call)
{
    long double by, number = 0;
    struct hash_writer writer;
    struct hash_place place;
    struct hash_scratch scratch;
    if (!num_parse_ldouble(call->argv[3], &by)) {
        reply_fail(call->reply, ERROR_NOT_FLOAT);
        return;
    }
    if (!isfinite(by)) {
        reply_error(call->reply, BYTES("ERR value is NaN or Infinity"));
        return;
    }
    if (!hash_call_begin(call, &writer))
        return;
    bool found = hash_find(&writer, call->argv[2], &place);
    if (found && !num_parse_ldouble(hash_value_at(&writer, &place, &scratch), &number)) {
        hash_end(&writer);
        reply_error(call->reply, BYTES("ERR hash value is not a float"));
        return;
    }
    number += by;
    if (!isfinite(number)) {
        hash_end(&writer);
        reply_fail(call->reply, ERROR_NAN_INFINITY);
        return;
    }
    char *digits = arena_alloc(call->arena, NUM_LDOUBLE_MAX_LEN);
    struct bytes text = bytes_make(digits, num_format_ldouble(digits, number));
    int64_t at_ms = found ? hash_expiry_at(&writer, &place) : EXPIRY_NONE;
    bool done = hash_put(&writer, &place, call->argv[2], text, HASH_EXPIRY_KEEP);
    if (!hash_call_end(call, &writer, done))
        return;
    hash_notify(call, "hincrbyfloat");
    call_propagate_words(call, "HSET", call->argv[1], call->argv[2], text);
    if (at_ms != EXPIRY_NONE)
        call_propagate_words(
            call, "HPEXPIREAT", call->argv[1], call_number(call, at_ms), BYTES("FIELDS"), BYTES("1"), call->argv[2]);
    reply_bulk(call->reply, text);
}

static const char *const history_hset[] = { "4.0.0", "Takes several fields with their values.", NULL };
static const char *const history_hdel[] = { "2.4.0", "Takes several fields.", NULL };

const struct command hash_commands[] = {
    { .name = "HGET",
        .run = run_hget,
        .look_ahead = look_ahead_first,
        .argc = EXACTLY(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(1)",
        .usage = "key field",
        .brief = "Replies with the value of one field of a hash." },
    { .name = "HMGET",
        .run = run_hmget,
        .look_ahead = look_ahead_first,
        .argc = AT_LEAST(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of fields asked for.",
        .usage = "key field [field ...]",
        .brief = "Replies with the values of several fields of a hash; null for each that is missing." },
    { .name = "HSTRLEN",
        .run = run_hstrlen,
        .look_ahead = look_ahead_first,
        .argc = EXACTLY(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "3.2.0",
        .complexity = "O(1)",
        .usage = "key field",
        .brief = "Replies with the length in bytes of the value of a field." },
    { .name = "HEXISTS",
        .run = run_hexists,
        .look_ahead = look_ahead_first,
        .argc = EXACTLY(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "2.0.0",
        .complexity = "O(1)",
        .usage = "key field",
        .brief = "Says whether a hash has a field." },
    { .name = "HLEN",
        .run = run_hlen,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "2.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Replies with the number of fields of a hash." },
    { .name = "HSET",
        .run = run_hset,
        .look_ahead = look_ahead_first,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key field value [field value ...]",
        .brief = "Sets fields of a hash, which is created if missing.",
        .history = history_hset },
    { .name = "HMSET",
        .run = run_hmset,
        .look_ahead = look_ahead_first,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key field value [field value ...]",
        .brief = "The old form of HSET with several fields." },
    { .name = "HSETNX",
        .run = run_hsetnx,
        .look_ahead = look_ahead_first,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "2.0.0",
        .complexity = "O(1)",
        .usage = "key field value",
        .brief = "Sets a field of a hash unless it exists." },
    { .name = "HDEL",
        .run = run_hdel,
        .look_ahead = look_ahead_first,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) },
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key field [field ...]",
        .brief = "Removes fields from a hash, and the hash with its last field.",
        .history = history_hdel },
    { .name = "HINCRBY",
        .run = run_hincrby,
        .look_ahead = look_ahead_first,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "2.0.0",
        .complexity = "O(1)",
        .usage = "key field increment",
        .brief = "Adds a number to the integer in a field; a missing field counts as 0." },
    { .name = "HINCRBYFLOAT",
        .run = run_hincrbyfloat,
        .look_ahead = look_ahead_first,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "2.6.0",
        .complexity = "O(1)",
        .usage = "key field increment",
        .brief = "Adds a number to the floating-point number in a field; a missing field counts as 0." },
    { 0 },
};
