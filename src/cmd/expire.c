/*
 * Expiry: when a key goes away by itself, set and asked for.
 *
 * The four commands that set it differ in the unit of the number and in what it counts from; all of them work on ms
 * since 1970. A moment that has passed removes the key at once.
 */
#include "cmd/families.h"
#include "engine/call.h"
#include "inspect_priv.h"
#include "words_priv.h"

enum condition {
    IF_NONE = 1 << 0,    /* NX: has no expiry yet */
    IF_SOME = 1 << 1,    /* XX: has one */
    IF_LATER = 1 << 2,   /* GT: the new one is later */
    IF_EARLIER = 1 << 3, /* LT: the new one is earlier */
};

/* Reads NX, XX, GT, LT from the end of the request; false if that answered an error. */
static bool parse_conditions(struct call *call, unsigned *conditions)
{
    static const char *const words[] = { "NX", "XX", "GT", "LT" };
    *conditions = 0;
    for (uint32_t i = 3; i < call->argc; i++) {
        unsigned bit = 0;
        while (bit < 4 && !call_arg_is(call, i, words[bit]))
            bit++;
        if (bit == 4) {
            struct bytes word = call->argv[i];
            int len = word.len < 128 ? (int)word.len : 128;
            reply_error_printf(call->reply, "ERR Unsupported option %.*s", len, word.ptr);
            return false;
        }
        *conditions |= 1u << bit;
    }
    if (*conditions & IF_NONE && *conditions != IF_NONE) {
        reply_error(call->reply, BYTES("ERR NX and XX, GT or LT options at the same time are not compatible"));
        return false;
    }
    if (*conditions & IF_LATER && *conditions & IF_EARLIER) {
        reply_error(call->reply, BYTES("ERR GT and LT options at the same time are not compatible"));
        return false;
    }
    return true;
}

/* A key without an expiry counts as one that expires after any moment. */
static bool conditions_hold(unsigned conditions, int64_t old_ms, int64_t new_ms)
{
    bool has_one = old_ms != EXPIRY_NONE;
    if (conditions & IF_NONE && has_one)
        return false;
    if (conditions & IF_SOME && !has_one)
        return false;
    if (conditions & IF_LATER && (!has_one || new_ms <= old_ms))
        return false;
    return !(conditions & IF_EARLIER && has_one && new_ms >= old_ms);
}

static void set_expiry(struct call *call, int64_t unit_ms, bool relative)
{
    unsigned conditions;
    int64_t value, at_ms;
    if (!parse_conditions(call, &conditions) || !call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &value))
        return;
    if (!relative && unit_ms == 1 && value <= EXPIRY_KEEP)
        value = 0; /* long gone either way, and the two lowest numbers have a meaning of their own */
    if (!call_expiry(call, value, unit_ms, relative, false, &at_ms))
        return;
    struct key key = call_key(call, 1);
    struct entry *entry = call_write(call, 1);
    bool set = entry && conditions_hold(conditions, entry_expiry(entry), at_ms);
    if (set && at_ms <= call->now_ms) {
        call_remove(call, key);
        call_propagate_words(call, "DEL", call->argv[1]);
    } else if (set) {
        keyspace_set_expiry(call->keyspace, call->db, key, entry, at_ms);
        call_notify(call, NOTIFY_GENERIC, "expire", call->argv[1]);
        call_propagate_words(call, "PEXPIREAT", call->argv[1], call_number(call, at_ms));
    }
    reply_int(call->reply, set);
}

static void run_expire(struct call *call)
{
    set_expiry(call, 1000, true);
}

static void run_pexpire(struct call *call)
{
    set_expiry(call, 1, true);
}

static void run_expireat(struct call *call)
{
    set_expiry(call, 1000, false);
}

static void run_pexpireat(struct call *call)
{
    set_expiry(call, 1, false);
}

enum { REPLY_NO_KEY = -2, REPLY_NO_EXPIRY = -1 };

/* Answers in the given unit, rounded to the nearest, the time left or the moment itself. */
static void reply_expiry(struct call *call, int64_t unit_ms, bool relative)
{
    const struct entry *entry = call_inspect(call, 1);
    int64_t answer = entry ? entry_expiry(entry) : REPLY_NO_KEY;
    if (entry && answer == EXPIRY_NONE) {
        answer = REPLY_NO_EXPIRY;
    } else if (entry) {
        if (relative)
            answer = answer > call->now_ms ? answer - call->now_ms : 0;
        answer = answer / unit_ms + (answer % unit_ms * 2 >= unit_ms && unit_ms > 1);
    }
    reply_int(call->reply, answer);
}

static void run_ttl(struct call *call)
{
    reply_expiry(call, 1000, true);
}

static void run_pttl(struct call *call)
{
    reply_expiry(call, 1, true);
}

static void run_expiretime(struct call *call)
{
    reply_expiry(call, 1000, false);
}

static void run_pexpiretime(struct call *call)
{
    reply_expiry(call, 1, false);
}

static void run_persist(struct call *call)
{
    struct entry *entry = call_write(call, 1);
    bool expires = entry && entry->flags & ENTRY_EXPIRES;
    if (expires) {
        keyspace_set_expiry(call->keyspace, call->db, call_key(call, 1), entry, EXPIRY_NONE);
        call_notify(call, NOTIFY_GENERIC, "persist", call->argv[1]);
    }
    reply_int(call->reply, expires);
}

static const char *const tips_ttl[] = { "nondeterministic_output", NULL };
static const char *const history_expire[] = { "7.0.0", "Takes the conditions `NX`, `XX`, `GT` and `LT`.", NULL };
static const char *const history_ttl[] = { "2.8.0", "Replies -2 for a missing key.", NULL };

const struct command expire_commands[] = {
    {
        .name = "EXPIRE",
        .run = run_expire,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key seconds [NX | XX | GT | LT]",
        .brief = "Let a key expire after so many seconds.",
        .history = history_expire,
    },
    {
        .name = "PEXPIRE",
        .run = run_pexpire,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "2.6.0",
        .complexity = "O(1)",
        .usage = "key milliseconds [NX | XX | GT | LT]",
        .brief = "Let a key expire after so many milliseconds.",
        .history = history_expire,
    },
    {
        .name = "EXPIREAT",
        .run = run_expireat,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "1.2.0",
        .complexity = "O(1)",
        .usage = "key unix-time-seconds [NX | XX | GT | LT]",
        .brief = "Let a key expire at a moment, in seconds since 1970.",
        .history = history_expire,
    },
    {
        .name = "PEXPIREAT",
        .run = run_pexpireat,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "2.6.0",
        .complexity = "O(1)",
        .usage = "key unix-time-milliseconds [NX | XX | GT | LT]",
        .brief = "Let a key expire at a moment, in milliseconds since 1970.",
        .history = history_expire,
    },
    {
        .name = "TTL",
        .run = run_ttl,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply in how many seconds a key expires.",
        .tips = tips_ttl,
        .history = history_ttl,
    },
    {
        .name = "PTTL",
        .run = run_pttl,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.6.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply in how many milliseconds a key expires.",
        .tips = tips_ttl,
        .history = history_ttl,
    },
    {
        .name = "EXPIRETIME",
        .run = run_expiretime,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "7.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply when a key expires, in seconds since 1970.",
    },
    {
        .name = "PEXPIRETIME",
        .run = run_pexpiretime,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "7.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply when a key expires, in milliseconds since 1970.",
    },
    {
        .name = "PERSIST",
        .run = run_persist,
        .argc = EXACTLY(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "2.2.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Let a key no longer expire.",
    },
    { 0 },
};
