/*
 * Commands on keys whatever their type: existence, removal, names and places.
 *
 * Everything here is O(1) a key: a removed value of any size leaves the keyspace at once and its memory follows in
 * slices (store/reclaim.h), so DEL and UNLINK are the same command. COPY of a large string shares it until one of the
 * two changes. Commands that name very many keys go on in slices.
 */
#include "cmd/families.h"
#include "database_priv.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "inspect_priv.h"
#include "many_words_priv.h"
#include "store/value.h"
#include "string_priv.h"

typedef bool (*key_step_fn)(struct call *call, struct key key);

/*
 * Does something with each key of the request, looked ahead in batches; answers for how many it did it. With `touch`
 * reading sets access times.
 */
static inline __attribute__((always_inline)) void for_each_key(struct call *call, key_step_fn step, bool touch)
{
    struct key keys[STRING_BATCH];
    int64_t count = 0;
    if (words_aside(call))
        return;
    for (uint32_t at = 1, ahead; at < call->argc; at += ahead) {
        bool touches = call->keyspace->touch;
        call->keyspace->touch = touch;
        ahead = string_look_ahead(call, at, 1, call->argc, keys);
        for (uint32_t i = 0; i < ahead; i++)
            count += step(call, keys[i]);
        call->keyspace->touch = touches;
        fiber_breathe(STRING_BATCH_COST);
    }
    reply_int(call->reply, count);
}

static inline bool remove_key(struct call *call, struct key key)
{
    if (!keyspace_peek(call->keyspace, call->db, key, call->now_ms))
        return false;
    call_remove(call, key);
    return true;
}

static void run_del(struct call *call)
{
    for_each_key(call, remove_key, false);
}

static inline bool read_key(struct call *call, struct key key)
{
    return keyspace_read(call->keyspace, call->db, key, call->now_ms) != NULL;
}

/* Sets no access time. */
static void run_exists(struct call *call)
{
    for_each_key(call, read_key, false);
}

/* Sets the access time even for a client that asked for NO-TOUCH. */
static void run_touch(struct call *call)
{
    for_each_key(call, read_key, true);
}

static void run_type(struct call *call)
{
    const struct entry *entry = call_inspect(call, 1);
    reply_status(call->reply, bytes_from_cstr(entry ? entry_type_name(entry->type) : "none"));
}

static void run_randomkey(struct call *call)
{
    const struct entry *entry = keyspace_random(call->keyspace, call->db, call_random(call), call->now_ms);
    if (entry)
        reply_bulk(call->reply, entry_key(entry));
    else
        reply_null(call->reply);
}

/* The first half of both renames; false if that answered. */
static bool rename_begin(struct call *call, int64_t same_name_reply)
{
    if (!call_write(call, 1)) {
        reply_fail(call->reply, ERROR_NO_SUCH_KEY);
        return false;
    }
    if (!bytes_equal(call->argv[1], call->argv[2]))
        return true;
    if (same_name_reply < 0)
        reply_ok(call->reply);
    else
        reply_int(call->reply, same_name_reply);
    return false;
}

static void rename_key(struct call *call)
{
    keyspace_move(call->keyspace, call->db, call_key(call, 1), call->db, call_key(call, 2));
    call_notify(call, NOTIFY_GENERIC, "rename_from", call->argv[1]);
    call_notify(call, NOTIFY_GENERIC, "rename_to", call->argv[2]);
}

static void run_rename(struct call *call)
{
    if (!rename_begin(call, -1))
        return;
    rename_key(call);
    reply_ok(call->reply);
}

static void run_renamenx(struct call *call)
{
    if (!rename_begin(call, 0))
        return;
    struct key to = call_key(call, 2);
    bool is_free = !keyspace_peek(call->keyspace, call->db, to, call->now_ms);
    if (is_free)
        rename_key(call);
    reply_int(call->reply, is_free);
}

/* MOVE and COPY replace a value that is in the way only if they are told to; an expired one is not in the way. */
static bool is_taken(struct call *call, struct db *db, struct key key)
{
    return keyspace_peek(call->keyspace, db, key, call->now_ms) != NULL;
}

static void run_move(struct call *call)
{
    struct db *to = database_arg(call, 2);
    if (!to)
        return;
    if (to == call->db) {
        reply_fail(call->reply, ERROR_SAME_OBJECT);
        return;
    }
    struct key key = call_key(call, 1);
    bool movable = call_write(call, 1) && !is_taken(call, to, key);
    if (movable) {
        keyspace_move(call->keyspace, call->db, key, to, key);
        engine_notify(call->engine, NOTIFY_GENERIC, "move_from", call->db, call->argv[1]);
        engine_notify(call->engine, NOTIFY_GENERIC, "move_to", to, call->argv[1]);
    }
    reply_int(call->reply, movable);
}

struct copy_options {
    struct db *to;
    bool replace;
};

static bool copy_parse(struct call *call, struct copy_options *options)
{
    for (uint32_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "REPLACE")) {
            options->replace = true;
        } else if (call_arg_is(call, i, "DB") && i + 1 < call->argc) {
            options->to = database_arg(call, ++i);
            if (!options->to)
                return false;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

static void run_copy(struct call *call)
{
    struct copy_options options = { .to = call->db };
    if (!copy_parse(call, &options))
        return;
    struct key from = call_key(call, 1), to = call_key(call, 2);
    if (options.to == call->db && bytes_equal(call->argv[1], call->argv[2])) {
        reply_fail(call->reply, ERROR_SAME_OBJECT);
        return;
    }
    const struct entry *entry = call_read(call, 1);
    if (entry && call_aside(call, value_items(entry, call->now_ms)))
        return;
    bool copied = entry && (!is_taken(call, options.to, to) || options.replace);
    if (copied) {
        keyspace_copy(call->keyspace, call->db, from, options.to, to);
        engine_notify(call->engine, NOTIFY_GENERIC, "copy_to", options.to, call->argv[2]);
    }
    reply_int(call->reply, copied);
}

static const char *const tips_sum[] = { "request_policy:multi_shard", "response_policy:agg_sum", NULL };
static const char *const tips_random[] = { "request_policy:all_shards", "nondeterministic_output", NULL };
static const char *const history_exists[] = { "3.0.3", "Takes several keys.", NULL };
static const char *const history_renamenx[] = { "3.2.0", "Equal names are no longer an error.", NULL };

const struct command keys_commands[] = {
    {
        .name = "DEL",
        .run = run_del,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE,
        .group = GROUP_GENERIC,
        .keys = { KEY_RANGE(1, -1, 1, KEY_RM | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of keys. Memory of large values is given back later, in slices.",
        .usage = "key [key ...]",
        .brief = "Remove keys; reply how many there were.",
        .tips = tips_sum,
    },
    {
        .name = "UNLINK",
        .run = run_del,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_RANGE(1, -1, 1, KEY_RM | KEY_DELETE) },
        .since = "4.0.0",
        .complexity = "O(N) where N is the number of keys. Memory of large values is given back later, in slices.",
        .usage = "key [key ...]",
        .brief = "Remove keys; reply how many there were. The same as DEL, which does not wait either.",
        .tips = tips_sum,
    },
    {
        .name = "EXISTS",
        .run = run_exists,
        .argc = AT_LEAST(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_RANGE(1, -1, 1, KEY_RO) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of keys.",
        .usage = "key [key ...]",
        .brief = "Count the keys that exist, a key named twice twice.",
        .tips = tips_sum,
        .history = history_exists,
    },
    {
        .name = "TYPE",
        .run = run_type,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RO) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply with the type of a key's value, or none.",
    },
    {
        .name = "RANDOMKEY",
        .run = run_randomkey,
        .argc = EXACTLY(1),
        .flags = CMD_READ | CMD_WHOLE_KEYSPACE,
        .group = GROUP_GENERIC,
        .since = "1.0.0",
        .complexity = "O(1)",
        .brief = "Reply with a key drawn uniformly from the database.",
        .tips = tips_random,
    },
    {
        .name = "RENAME",
        .run = run_rename,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_OW | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key newkey",
        .brief = "Give a value another key, replacing what that key holds.",
    },
    {
        .name = "RENAMENX",
        .run = run_renamenx,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_OW | KEY_INSERT) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key newkey",
        .brief = "Give a value another key, unless that key exists.",
        .history = history_renamenx,
    },
    {
        .name = "COPY",
        .run = run_copy,
        .argc = AT_LEAST(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RO | KEY_ACCESS), KEY_AT(2, KEY_OW | KEY_UPDATE) },
        .since = "6.2.0",
        .complexity = "O(N) where N is the number of items of a collection; O(1) for strings.",
        .usage = "source destination [DB destination-db] [REPLACE]",
        .brief = "Copy a value and its expiry to another key, in this database or another.",
    },
    {
        .name = "MOVE",
        .run = run_move,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(1)",
        .usage = "key db",
        .brief = "Move a key to another database, unless it exists there.",
    },
    {
        .name = "TOUCH",
        .run = run_touch,
        .argc = AT_LEAST(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_GENERIC,
        .keys = { KEY_RANGE(1, -1, 1, KEY_RO) },
        .since = "3.2.1",
        .complexity = "O(N) where N is the number of keys.",
        .usage = "key [key ...]",
        .brief = "Count keys as used just now; reply how many exist.",
        .tips = tips_sum,
    },
    { 0 },
};
