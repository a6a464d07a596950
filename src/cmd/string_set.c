/*
 * Strings: the commands that store, take away or compare whole values.
 *
 * SET, GETEX and MSETEX share one table of options and one reading of expiry times. `SET key value`, the most frequent
 * command of all, passes by all of that.
 *
 * A digest is the XXH3 hash of the value (64 bits, no seed) as 16 hexadecimal digits. DIGEST hashes a large value in
 * slices, as a task. The conditions IFDEQ and IFDNE hash at once, since what depends on them must be atomic: about 0.1
 * ms a megabyte.
 */
#include <stdio.h>

#include "cmd/families.h"
#include "engine/task.h"
#include "many_words_priv.h"
#include "string_priv.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

enum {
    PAIRS_COST = 200,                 /* of STRING_BATCH pairs that are stored, for fiber_breathe */
    DIGEST_LEN = 16,                  /* hexadecimal digits */
    DIGEST_AT_ONCE = 4 * 1024 * 1024, /* bytes; larger values are hashed in slices */
    DIGEST_SLICE = 256 * 1024,        /* bytes */
};

/* --- Options --- */

enum {
    SET_NX = 1 << 0,
    SET_XX = 1 << 1,
    SET_IFEQ = 1 << 2,
    SET_IFNE = 1 << 3,
    SET_IFDEQ = 1 << 4,
    SET_IFDNE = 1 << 5,
    SET_EX = 1 << 6,
    SET_PX = 1 << 7,
    SET_EXAT = 1 << 8,
    SET_PXAT = 1 << 9,
    SET_KEEPTTL = 1 << 10,
    SET_PERSIST = 1 << 11,
    SET_GET = 1 << 12,

    SET_COMPARES = SET_IFEQ | SET_IFNE | SET_IFDEQ | SET_IFDNE,
    SET_CONDITIONS = SET_NX | SET_XX | SET_COMPARES,
    SET_TIMES = SET_EX | SET_PX | SET_EXAT | SET_PXAT,
    SET_EXPIRIES = SET_TIMES | SET_KEEPTTL | SET_PERSIST,
};

struct set_options {
    uint32_t flags;
    uint32_t time_arg;    /* argument that holds the expiry time */
    uint32_t compare_arg; /* argument that the value, or its digest, is compared with */
};

#define OPTION(name, f, group)                                                                \
    {                                                                                         \
        .word = { name, sizeof(name) - 1 }, .flag = (f), .excludes = (group) & ~(uint32_t)(f) \
    }
static const struct option {
    struct bytes word;
    uint32_t flag, excludes;
} options[] = {
    OPTION("EX", SET_EX, SET_EXPIRIES),
    OPTION("PX", SET_PX, SET_EXPIRIES),
    OPTION("NX", SET_NX, SET_CONDITIONS),
    OPTION("XX", SET_XX, SET_CONDITIONS),
    OPTION("GET", SET_GET, 0),
    OPTION("EXAT", SET_EXAT, SET_EXPIRIES),
    OPTION("PXAT", SET_PXAT, SET_EXPIRIES),
    OPTION("KEEPTTL", SET_KEEPTTL, SET_EXPIRIES),
    OPTION("PERSIST", SET_PERSIST, SET_EXPIRIES),
    OPTION("IFEQ", SET_IFEQ, SET_CONDITIONS),
    OPTION("IFNE", SET_IFNE, SET_CONDITIONS),
    OPTION("IFDEQ", SET_IFDEQ, SET_CONDITIONS),
    OPTION("IFDNE", SET_IFDNE, SET_CONDITIONS),
};

static const struct option *find_option(struct bytes word)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (bytes_equal_nocase(word, options[i].word))
            return &options[i];
    return NULL;
}

/* Reads the options from argument `first` on, of which `accepted` are known to the command; otherwise answers a syntax
 * error. */
static bool read_options(struct call *call, uint32_t first, uint32_t accepted, struct set_options *out)
{
    *out = (struct set_options){ 0 };
    for (uint32_t i = first; i < call->argc; i++) {
        const struct option *option = find_option(call->argv[i]);
        if (!option || !(option->flag & accepted) || out->flags & option->excludes)
            goto fail;
        if (option->flag & (SET_TIMES | SET_COMPARES)) {
            if (++i == call->argc)
                goto fail;
            *(option->flag & SET_TIMES ? &out->time_arg : &out->compare_arg) = i;
        }
        out->flags |= option->flag;
    }
    return true;
fail:
    reply_fail(call->reply, ERROR_SYNTAX);
    return false;
}

/* The expiry that the options ask for, or an error reply. */
static bool read_expiry(struct call *call, const struct set_options *set, int64_t *at_ms)
{
    if (set->flags & SET_TIMES) {
        int64_t time;
        int64_t unit_ms = set->flags & (SET_EX | SET_EXAT) ? 1000 : 1;
        bool relative = set->flags & (SET_EX | SET_PX);
        return call_arg_i64(call, set->time_arg, INT64_MIN, INT64_MAX, NULL, &time) &&
               call_expiry(call, time, unit_ms, relative, true, at_ms);
    }
    *at_ms = set->flags & SET_KEEPTTL ? EXPIRY_KEEP : EXPIRY_NONE;
    return true;
}

/* --- Digests --- */

static void write_digest(char out[DIGEST_LEN], uint64_t hash)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < DIGEST_LEN; i++)
        out[i] = hex[hash >> (60 - 4 * i) & 15];
}

/* A large value's digest under way. */
struct digest_task {
    struct task task;
    struct blob *blob;   /* owned reference: the content cannot change meanwhile */
    size_t at;           /* bytes hashed */
    XXH3_state_t *state; /* owned */
};

static bool step_digest(struct task *task, struct call *call)
{
    struct digest_task *digest = (struct digest_task *)task;
    size_t left = digest->blob->len - digest->at;
    size_t len = left < DIGEST_SLICE ? left : DIGEST_SLICE;
    XXH3_64bits_update(digest->state, digest->blob->data + digest->at, len);
    digest->at += len;
    if (digest->at < digest->blob->len)
        return false;
    char digits[DIGEST_LEN];
    write_digest(digits, XXH3_64bits_digest(digest->state));
    reply_bulk(call->reply, bytes_make(digits, DIGEST_LEN));
    return true;
}

static void destroy_digest(struct task *task)
{
    struct digest_task *digest = (struct digest_task *)task;
    blob_unref(digest->blob);
    mem_free(digest->state);
    mem_free(digest);
}

static void defer_digest(struct call *call, struct blob *blob)
{
    static const struct task_type type = { step_digest, destroy_digest };
    struct digest_task *digest = mem_alloc(sizeof *digest);
    *digest = (struct digest_task){ .task = { .type = &type }, .blob = blob_ref(blob) };
    digest->state = mem_alloc_aligned(64, sizeof *digest->state);
    XXH3_64bits_reset(digest->state);
    call_defer(call, &digest->task);
}

static void run_digest(struct call *call)
{
    const struct entry *entry = call_read(call, 1);
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    struct string_scratch scratch;
    struct bytes value = string_view(entry, &scratch);
    if (value.len > DIGEST_AT_ONCE) {
        defer_digest(call, string_blob(entry));
        return;
    }
    char digits[DIGEST_LEN];
    write_digest(digits, XXH3_64bits(value.ptr, value.len));
    reply_bulk(call->reply, bytes_make(digits, DIGEST_LEN));
}

/* Compares a string as the condition (one of SET_COMPARES) wants it; false after an error reply. */
static bool compare(
    struct call *call, uint32_t condition, const struct entry *entry, struct bytes operand, bool *is_met)
{
    struct string_scratch scratch;
    struct bytes value = string_view(entry, &scratch);
    bool equal;
    if (condition & (SET_IFEQ | SET_IFNE)) {
        equal = bytes_equal(value, operand);
    } else {
        char digits[DIGEST_LEN];
        if (operand.len != DIGEST_LEN) {
            reply_error(call->reply, BYTES("ERR must be exactly 16 hexadecimal characters"));
            return false;
        }
        write_digest(digits, XXH3_64bits(value.ptr, value.len));
        equal = bytes_equal_nocase(bytes_make(digits, DIGEST_LEN), operand);
    }
    *is_met = equal == !!(condition & (SET_IFEQ | SET_IFDEQ));
    return true;
}

/* --- SET --- */

/* Whether the options let the value be stored over `entry`; false after an error reply. */
static bool check_conditions(struct call *call, const struct set_options *set, const struct entry *entry, bool *is_met)
{
    if (set->flags & (SET_GET | SET_COMPARES) && !call_expect_type(call, entry, ENTRY_STRING))
        return false;
    if (set->flags & SET_COMPARES && entry)
        return compare(call, set->flags & SET_COMPARES, entry, call->argv[set->compare_arg], is_met);
    uint32_t refusing = entry ? SET_NX : SET_XX | SET_IFEQ | SET_IFDEQ;
    *is_met = !(set->flags & refusing);
    return true;
}

void string_propagate_set(struct call *call, struct bytes key, struct bytes value, int64_t at_ms)
{
    if (!call_is_propagated(call))
        return;
    if (is_moment(at_ms))
        call_propagate_words(call, "SET", key, value, BYTES("PXAT"), call_number(call, at_ms));
    else if (at_ms == EXPIRY_KEEP)
        call_propagate_words(call, "SET", key, value, BYTES("KEEPTTL"));
    else
        call_propagate_words(call, "SET", key, value);
}

/* SET with any options. */
static void set_extended(struct call *call)
{
    struct set_options set;
    int64_t at_ms;
    if (!read_options(call, 3, ~(uint32_t)SET_PERSIST, &set) || !read_expiry(call, &set, &at_ms))
        return;
    struct key key = call_key(call, 1);
    bool is_met = true;
    bool with_old = set.flags & SET_GET;
    if (set.flags & (SET_GET | SET_CONDITIONS)) {
        const struct entry *entry =
            (with_old ? keyspace_read : keyspace_write)(call->keyspace, call->db, key, call->now_ms);
        if (!check_conditions(call, &set, entry, &is_met))
            return;
        if (with_old && entry)
            string_reply(call, entry);
        else if (with_old || !is_met)
            reply_null(call->reply);
    }
    if (!is_met)
        return;
    string_set(call, key, 2, at_ms);
    string_propagate_set(call, call->argv[1], call->argv[2], at_ms);
    if (!with_old)
        reply_ok(call->reply);
}

static void run_set(struct call *call)
{
    if (__builtin_expect(call->argc > 3, 0)) {
        set_extended(call);
        return;
    }
    string_set(call, call_key(call, 1), 2, EXPIRY_NONE);
    reply_ok(call->reply);
}

/* SET's and GETEX's flags of the key depend on the options: they read it only with some. */
static int find_set_key(const struct bytes *argv, uint32_t argc, struct key_position *out, int max)
{
    uint32_t flags = KEY_OW | KEY_UPDATE;
    for (uint32_t i = 3; i < argc; i++) {
        const struct option *option = find_option(argv[i]);
        if (option && option->flag & (SET_GET | SET_COMPARES))
            flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    }
    if (max > 0)
        out[0] = (struct key_position){ 1, flags };
    return 1;
}

static void set_expiring(struct call *call, int64_t unit_ms)
{
    int64_t time, at_ms;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &time) ||
        !call_expiry(call, time, unit_ms, true, true, &at_ms))
        return;
    string_set(call, call_key(call, 1), 3, at_ms);
    string_propagate_set(call, call->argv[1], call->argv[3], at_ms);
    reply_ok(call->reply);
}

static void run_setex(struct call *call)
{
    set_expiring(call, 1000);
}

static void run_psetex(struct call *call)
{
    set_expiring(call, 1);
}

static void run_setnx(struct call *call)
{
    struct key key = call_key(call, 1);
    bool missing = !keyspace_write(call->keyspace, call->db, key, call->now_ms);
    if (missing)
        string_set(call, key, 2, EXPIRY_NONE);
    reply_int(call->reply, missing);
}

/* --- Reading and changing at once --- */

/* Answers the string at a key, or null; false if there is none or it is something else. */
static bool reply_old(struct call *call, struct key key, struct entry **entry)
{
    *entry = keyspace_read(call->keyspace, call->db, key, call->now_ms);
    if (!*entry) {
        reply_null(call->reply);
        return false;
    }
    if (!call_expect_type(call, *entry, ENTRY_STRING))
        return false;
    string_reply(call, *entry);
    return true;
}

static void run_getset(struct call *call)
{
    struct key key = call_key(call, 1);
    struct entry *entry;
    if (reply_old(call, key, &entry) || !entry)
        string_set(call, key, 2, EXPIRY_NONE);
}

static void run_getdel(struct call *call)
{
    struct key key = call_key(call, 1);
    struct entry *entry;
    if (reply_old(call, key, &entry))
        call_remove(call, key);
}

static void run_getex(struct call *call)
{
    struct set_options set;
    int64_t at_ms;
    if (!read_options(call, 2, SET_TIMES | SET_PERSIST, &set))
        return;
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_read(call->keyspace, call->db, key, call->now_ms);
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    if (!call_expect_type(call, entry, ENTRY_STRING) || !read_expiry(call, &set, &at_ms))
        return;
    string_reply(call, entry);
    if (at_ms != EXPIRY_NONE && at_ms <= call->now_ms) {
        call_remove(call, key);
        call_propagate_words(call, "DEL", call->argv[1]);
    } else if (at_ms != EXPIRY_NONE) {
        keyspace_set_expiry(call->keyspace, call->db, key, entry, at_ms);
        call_notify(call, NOTIFY_GENERIC, "expire", call->argv[1]);
        call_propagate_words(call, "PEXPIREAT", call->argv[1], call_number(call, at_ms));
    } else if (set.flags && entry_expiry(entry) != EXPIRY_NONE) {
        keyspace_set_expiry(call->keyspace, call->db, key, entry, EXPIRY_NONE);
        call_notify(call, NOTIFY_GENERIC, "persist", call->argv[1]);
        call_propagate_words(call, "PERSIST", call->argv[1]);
    }
}

static void run_delex(struct call *call)
{
    const struct option *option = call->argc == 4 ? find_option(call->argv[2]) : NULL;
    if (call->argc == 3 || call->argc > 4) {
        call_fail_arity(call);
        return;
    }
    if (call->argc == 4 && (!option || !(option->flag & SET_COMPARES))) {
        reply_error(call->reply, BYTES("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"));
        return;
    }
    struct key key = call_key(call, 1);
    const struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    bool is_met = entry;
    if (entry && option && entry->type != ENTRY_STRING) {
        reply_error(call->reply, BYTES("ERR Key should be of string type if conditions are specified"));
        return;
    }
    if (entry && option && !compare(call, option->flag, entry, call->argv[3], &is_met))
        return;
    if (is_met) {
        call_remove(call, key);
        call_propagate_words(call, "DEL", call->argv[1]);
    }
    reply_int(call->reply, is_met);
}

static int find_delex_key(const struct bytes *argv, uint32_t argc, struct key_position *out, int max)
{
    (void)argv;
    if (max > 0)
        out[0] = (struct key_position){ 1, argc > 2 ? KEY_RW | KEY_ACCESS | KEY_DELETE : KEY_RM | KEY_DELETE };
    return 1;
}

/* --- Several keys --- */

/* Stores the pairs of arguments from `first` to before `end`. */
static void store_pairs(struct call *call, uint32_t first, uint32_t end, int64_t at_ms)
{
    struct key keys[STRING_BATCH];
    uint32_t count;
    for (uint32_t at = first; at < end; at += 2 * count) {
        count = string_look_ahead(call, at, 2, end, keys);
        for (uint32_t i = 0; i < count; i++)
            string_set(call, keys[i], at + 2 * i + 1, at_ms);
        fiber_breathe(PAIRS_COST);
    }
}

/* True if the key of every pair exists, or, if not `existing`, none does. */
static bool all_pairs_are(struct call *call, uint32_t first, uint32_t end, bool existing)
{
    for (uint32_t i = first; i < end; i += 2) {
        if (!!call_write(call, i) != existing)
            return false;
        fiber_breathe(PAIRS_COST / STRING_BATCH);
    }
    return true;
}

/* Tells of pairs that were stored as of one SET each. */
static void propagate_pairs(struct call *call, uint32_t first, uint32_t end, int64_t at_ms)
{
    if (!call_is_propagated(call))
        return;
    struct propagate_later later = { 0 };
    struct bytes words[5] = { BYTES("SET") };
    uint32_t count = 3;
    if (at_ms == EXPIRY_KEEP) {
        words[count++] = BYTES("KEEPTTL");
    } else if (is_moment(at_ms)) {
        words[count++] = BYTES("PXAT");
        words[count++] = call_number(call, at_ms);
    }
    for (uint32_t i = first; i < end; i += 2) {
        words[1] = call->argv[i];
        words[2] = call->argv[i + 1];
        propagate_later_add(&later, words, count);
        fiber_breathe(PAIRS_COST / STRING_BATCH);
    }
    call_propagate_later(call, &later);
}

static void run_mset(struct call *call)
{
    if (call->argc % 2 == 0) {
        call_fail_arity(call);
        return;
    }
    if (words_aside(call))
        return;
    store_pairs(call, 1, call->argc, EXPIRY_NONE);
    reply_ok(call->reply);
}

static void run_msetnx(struct call *call)
{
    if (call->argc % 2 == 0) {
        call_fail_arity(call);
        return;
    }
    if (words_aside(call))
        return;
    bool free = all_pairs_are(call, 1, call->argc, false);
    if (free)
        store_pairs(call, 1, call->argc, EXPIRY_NONE);
    reply_int(call->reply, free);
}

static void run_msetex(struct call *call)
{
    struct set_options set;
    int64_t pairs, at_ms;
    if (!call_arg_i64(call, 1, 1, INT32_MAX, "ERR invalid numkeys value", &pairs))
        return;
    if (2 + 2 * pairs > call->argc) {
        reply_error(call->reply, BYTES("ERR wrong number of key-value pairs"));
        return;
    }
    uint32_t end = 2 + 2 * (uint32_t)pairs;
    if (!read_options(call, end, SET_NX | SET_XX | SET_TIMES | SET_KEEPTTL, &set) || !read_expiry(call, &set, &at_ms))
        return;
    if (words_aside(call))
        return;
    bool is_met = !(set.flags & (SET_NX | SET_XX)) || all_pairs_are(call, 2, end, set.flags & SET_XX);
    if (is_met)
        store_pairs(call, 2, end, at_ms);
    if (is_met)
        propagate_pairs(call, 2, end, at_ms);
    reply_int(call->reply, is_met);
}

static const char *const set_history[] = {
    "2.6.12",
    "Options EX, PX, NX and XX.",
    "6.0.0",
    "Option KEEPTTL.",
    "6.2.0",
    "Options GET, EXAT and PXAT.",
    "7.0.0",
    "NX and GET may be combined.",
    "8.4.0",
    "Options IFEQ, IFNE, IFDEQ and IFDNE.",
    NULL,
};
static const char *const mset_tips[] = { "request_policy:multi_shard", "response_policy:all_succeeded", NULL };
static const char *const msetnx_tips[] = { "request_policy:multi_shard", "response_policy:agg_min", NULL };

const struct command string_set_commands[] = {
    { .name = "SET",
        .run = run_set,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS) },
        .find_keys = find_set_key,
        .since = "1.0.0",
        .complexity = "O(1); O(N) for IFDEQ and IFDNE where N is the length of the old value.",
        .usage =
            "key value [NX | XX | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest] [GET] "
            "[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        .brief = "Stores a string at a key, whatever is there, unless a condition forbids it.",
        .history = set_history },
    { .name = "SETEX",
        .run = run_setex,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE) },
        .since = "2.0.0",
        .complexity = "O(1)",
        .usage = "key seconds value",
        .brief = "Stores a string that expires after a number of seconds." },
    { .name = "PSETEX",
        .run = run_psetex,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE) },
        .since = "2.6.0",
        .complexity = "O(1)",
        .usage = "key milliseconds value",
        .brief = "Stores a string that expires after a number of milliseconds." },
    { .name = "SETNX",
        .run = run_setnx,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_OW | KEY_INSERT) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key value",
        .brief = "Stores a string if the key does not exist." },
    { .name = "GETSET",
        .run = run_getset,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key value",
        .brief = "Stores a string and replies with the one that was there." },
    { .name = "GETDEL",
        .run = run_getdel,
        .argc = EXACTLY(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "6.2.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Replies with the string stored at a key and removes the key." },
    { .name = "GETEX",
        .run = run_getex,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "6.2.0",
        .complexity = "O(1)",
        .usage = "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
        .brief = "Replies with the string stored at a key and sets or removes its expiry." },
    { .name = "MSET",
        .run = run_mset,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STRING,
        .keys = { KEY_RANGE(1, -1, 2, KEY_OW | KEY_UPDATE) },
        .since = "1.0.1",
        .complexity = "O(N) where N is the number of keys.",
        .usage = "key value [key value ...]",
        .brief = "Stores several strings at once.",
        .tips = mset_tips },
    { .name = "MSETNX",
        .run = run_msetnx,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STRING,
        .keys = { KEY_RANGE(1, -1, 2, KEY_OW | KEY_INSERT) },
        .since = "1.0.1",
        .complexity = "O(N) where N is the number of keys.",
        .usage = "key value [key value ...]",
        .brief = "Stores several strings if none of the keys exists.",
        .tips = msetnx_tips },
    { .name = "MSETEX",
        .run = run_msetex,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS,
        .group = GROUP_STRING,
        .keys = { { .begin = KEY_SPEC_INDEX,
            .find = KEY_FIND_NUMBER,
            .first = 1,
            .last = 1,
            .step = 2,
            .flags = KEY_OW | KEY_UPDATE } },
        .since = "8.4.0",
        .complexity = "O(N) where N is the number of keys.",
        .usage = "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
                 "PXAT unix-time-milliseconds | KEEPTTL]",
        .brief = "Stores several strings at once with one expiry for all, unless a condition forbids it.",
        .tips = mset_tips },
    { .name = "DELEX",
        .run = run_delex,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_RW | KEY_DELETE | KEY_VARIABLE_FLAGS) },
        .find_keys = find_delex_key,
        .since = "8.4.0",
        .complexity = "O(1); O(N) for IFDEQ and IFDNE where N is the length of the value.",
        .usage = "key [IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]",
        .brief = "Removes a key if its string, or the digest of it, compares as wanted." },
    { .name = "DIGEST",
        .run = run_digest,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "8.4.0",
        .complexity = "O(N) where N is the length of the string.",
        .usage = "key",
        .brief = "Replies with the XXH3 hash of a string in hexadecimal." },
    { 0 },
};
