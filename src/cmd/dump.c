/*
 * DUMP and RESTORE: a value as bytes, in the format of RDB files, and back. Large ones are done aside (engine/aside.h),
 * in slices; the codec breathes string by string.
 *
 * What is restored is validated as a file would be, and stored only when it was read whole: a payload that is broken
 * leaves the key as it was.
 */
#include "base/log.h"
#include "base/num.h"
#include "cmd/families.h"
#include "cmd/payload.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/notify.h"
#include "engine/propagate.h"
#include "persist/rdb.h"
#include "store/evict.h"

#include "inspect_priv.h"

enum { BYTES_AN_ITEM = 32 }; /* of a payload that take as long as an item of a collection */

static void run_dump(struct call *call)
{
    const struct entry *entry = call_inspect(call, 1);
    size_t items = entry ? payload_items(entry, call->now_ms) : 0;
    if (call_aside(call, items))
        return;
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    struct payload payload;
    payload_init(&payload, items);
    if (rdb_dump_to(&payload.sink, entry))
        payload_reply(call->reply, &payload);
    else
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    payload_fini(&payload);
}

struct restore {
    bool replace, absolute;
    int64_t idle_s; /* -1: not given */
    int64_t freq;   /* the same */
};

/* Reads a number behind an option; false, answered, if it is none or out of range. */
static bool parse_number(struct call *call, uint32_t index, int64_t max, const char *name, int64_t *value)
{
    if (!call_arg_i64(call, index, INT64_MIN, INT64_MAX, NULL, value))
        return false;
    if (*value >= 0 && *value <= max)
        return true;
    if (max == INT64_MAX)
        reply_error_printf(call->reply, "ERR Invalid %s value, must be >= 0", name);
    else
        reply_error_printf(call->reply, "ERR Invalid %s value, must be >= 0 and <= %lld", name, (long long)max);
    return false;
}

/* Reads the options; false if that answered an error. */
static bool parse_options(struct call *call, struct restore *options)
{
    enum { FREQ_MAX = 255 };
    *options = (struct restore){ .idle_s = -1, .freq = -1 };
    for (uint32_t i = 4; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (call_arg_is(call, i, "REPLACE")) {
            options->replace = true;
        } else if (call_arg_is(call, i, "ABSTTL")) {
            options->absolute = true;
        } else if (call_arg_is(call, i, "IDLETIME") && more && options->freq < 0) {
            if (!parse_number(call, ++i, INT64_MAX, "IDLETIME", &options->idle_s))
                return false;
        } else if (call_arg_is(call, i, "FREQ") && more && options->idle_s < 0) {
            if (!parse_number(call, ++i, FREQ_MAX, "FREQ", &options->freq))
                return false;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* The moment at which the key expires, or EXPIRY_NONE; false if that answered an error. */
static bool parse_expiry(struct call *call, bool absolute, int64_t *at_ms)
{
    int64_t ttl_ms;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &ttl_ms))
        return false;
    if (ttl_ms < 0) {
        reply_error(call->reply, BYTES("ERR Invalid TTL value, must be >= 0"));
        return false;
    }
    if (ttl_ms == 0)
        *at_ms = EXPIRY_NONE;
    else if (absolute)
        *at_ms = ttl_ms;
    else if (__builtin_add_overflow(ttl_ms, call_clock_ms(call), at_ms))
        *at_ms = INT64_MAX;
    return true;
}

/* The key would have expired already: what was there goes, nothing comes. */
static void restore_nothing(struct call *call, struct key key, bool was_there)
{
    if (!was_there)
        return;
    keyspace_remove(call->keyspace, call->db, key);
    call_notify(call, NOTIFY_GENERIC, "del", key_bytes(key));
    call_propagate_words(call, "DEL", key_bytes(key));
}

/* What the policy knows of the key. Only one of the two is given. */
static void set_use(struct call *call, struct entry *entry, const struct restore *options)
{
    if (options->freq >= 0)
        evict_set_frequency(call->keyspace, entry, (unsigned)options->freq);
    else
        evict_set_idle(call->keyspace, entry, options->idle_s, call->now_ms);
}

/* Tells of the same with an absolute time. */
static void propagate_restore(struct call *call, const struct restore *options, int64_t at_ms)
{
    if (at_ms == EXPIRY_NONE || options->absolute || !call_is_propagated(call))
        return;
    char digits[NUM_I64_MAX_LEN];
    struct bytes *argv = arena_alloc(call->arena, (call->argc + 1) * sizeof *argv);
    memcpy(argv, call->argv, call->argc * sizeof *argv);
    argv[2] = bytes_make(digits, num_format_i64(digits, at_ms));
    argv[call->argc] = BYTES("ABSTTL");
    call_propagate(call, argv, call->argc + 1);
}

static void run_restore(struct call *call)
{
    struct restore options;
    struct key key = call_key(call, 1);
    struct rdb_error error;
    int64_t at_ms;
    if (!parse_options(call, &options) || call_aside(call, call->argv[3].len / BYTES_AN_ITEM))
        return;
    bool was_there = keyspace_peek(call->keyspace, call->db, key, call->now_ms) != NULL;
    if (was_there && !options.replace) {
        reply_error(call->reply, BYTES("BUSYKEY Target key name already exists."));
        return;
    }
    if (!parse_expiry(call, options.absolute, &at_ms))
        return;
    if (!rdb_payload_is_sound(call->argv[3], !call->engine->trusts_payloads)) {
        reply_error(call->reply, BYTES("ERR DUMP payload version or checksum are wrong"));
        return;
    }
    if (!rdb_restore(call->keyspace, call->db, key, call->argv[3], at_ms, &error)) {
        log_write(LOG_VERBOSE, "Bad data format of a key to be restored, at byte %llu: %s",
            (unsigned long long)error.offset, error.text);
        reply_error(call->reply, BYTES("ERR Bad data format"));
        return;
    }
    if (at_ms != EXPIRY_NONE && at_ms <= call_clock_ms(call)) {
        restore_nothing(call, key, true);
    } else {
        if (options.freq >= 0 || options.idle_s >= 0)
            set_use(call, keyspace_glance(call->db, key), &options);
        propagate_restore(call, &options, at_ms);
        call_notify(call, NOTIFY_GENERIC, "restore", key_bytes(key));
    }
    reply_ok(call->reply);
}

static const char *const restore_history[] = { "3.0.0", "Takes the option `REPLACE`.", "5.0.0",
    "Takes the options `ABSTTL`, `IDLETIME` and `FREQ`.", NULL };
static const char *const dump_tips[] = { "nondeterministic_output", NULL };

const struct command dump_commands[] = {
    {
        .name = "DUMP",
        .run = run_dump,
        .argc = EXACTLY(2),
        .flags = CMD_READ,
        .group = GROUP_GENERIC,
        .categories = CATEGORY_KEYSPACE,
        .keys = { KEY_AT(1, KEY_RO | KEY_ACCESS) },
        .since = "2.6.0",
        .complexity = "O(size of the value)",
        .usage = "key",
        .brief = "Reply with the value as bytes, from which RESTORE makes it again.",
        .tips = dump_tips,
    },
    {
        .name = "RESTORE",
        .run = run_restore,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_GENERIC,
        .categories = CATEGORY_KEYSPACE | CATEGORY_DANGEROUS,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE) },
        .since = "2.6.0",
        .complexity = "O(size of the value); O(log N) a member of a sorted set.",
        .usage = "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
        .brief = "Make a key of what DUMP answered.",
        .history = restore_history,
    },
    {
        .name = "RESTORE-ASKING",
        .run = run_restore,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_ASKING,
        .group = GROUP_SERVER,
        .categories = CATEGORY_KEYSPACE | CATEGORY_DANGEROUS,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE) },
        .since = "3.0.0",
        .complexity = "O(size of the value); O(log N) a member of a sorted set.",
        .usage = "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
        .brief = "As RESTORE, from a cluster's node that moves a slot.",
        .history = restore_history,
    },
    { 0 },
};
