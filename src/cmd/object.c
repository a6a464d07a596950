/*
 * OBJECT: how a value is kept and when it was last used, without counting as a use of it; and MEMORY USAGE.
 */
#include "cmd/object.h"

#include "base/mem.h"
#include "cmd/families.h"
#include "engine/call.h"
#include "inspect_priv.h"
#include "json_priv.h"
#include "store/evict.h"
#include "store/string.h"

enum {
    /* What Redis answers for the small integers that it shares. Here every integer is its key's own and costs nothing.
     */
    REFCOUNT_SHARED = INT32_MAX,
    SHARED_INTEGERS = 10000,
    /* A key's share of the database's table: its slot at an average load (ds/table.h). */
    TABLE_SHARE = 14,
};

/* The entry of OBJECT's key; NULL if there is none, and then null was answered. */
static const struct entry *find(struct call *call)
{
    const struct entry *entry = call_inspect_silently(call, 2);
    if (!entry)
        reply_null(call->reply);
    return entry;
}

static void run_encoding(struct call *call)
{
    const struct entry *entry = find(call);
    if (entry)
        reply_bulk_cstr(call->reply, entry_encoding_name(entry));
}

static void run_freq(struct call *call)
{
    const struct entry *entry = find(call);
    if (!entry)
        return;
    if (evict_counts_frequency(call->keyspace))
        reply_int(call->reply, evict_frequency(call->keyspace, entry));
    else
        reply_error(call->reply,
            BYTES("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
                  "switching between policies at runtime LRU and LFU data will take some time to adjust."));
}

static void run_idletime(struct call *call)
{
    const struct entry *entry = find(call);
    if (!entry)
        return;
    if (!evict_counts_frequency(call->keyspace))
        reply_int(call->reply, evict_idle_s(call->keyspace, entry, call->now_ms));
    else
        reply_error(call->reply,
            BYTES("ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching "
                  "between policies at runtime LRU and LFU data will take some time to adjust."));
}

static void run_refcount(struct call *call)
{
    const struct entry *entry = find(call);
    int64_t value;
    if (!entry)
        return;
    const struct memory_settings *memory = &call->engine->settings->memory;
    int kind = memory->evict.policy & ~EVICT_VOLATILE;
    bool is_own = memory->limit && (kind == EVICT_LRU || kind == EVICT_LRM || kind == EVICT_LFU);
    bool shared = !is_own && entry->type == ENTRY_STRING && entry->encoding == STRING_INT &&
                  string_to_i64(entry, &value) && value >= 0 && value < SHARED_INTEGERS;
    reply_int(call->reply, shared ? REFCOUNT_SHARED : 1);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Reply with the name of the form in which the value is kept.",
        "FREQ <key>",
        "    Reply with how often the key was used of late, on a logarithmic scale.",
        "IDLETIME <key>",
        "    Reply with the seconds since the key was last used.",
        "REFCOUNT <key>",
        "    Reply with the number of references to the value.",
        NULL,
    };
    call_reply_help(call, lines);
}

void object_run_memory_usage(struct call *call)
{
    for (uint32_t i = 3; i < call->argc; i++) {
        int64_t samples;
        if (!call_arg_is(call, i, "SAMPLES") || i + 1 == call->argc) {
            reply_fail(call->reply, ERROR_SYNTAX);
            return;
        }
        if (!call_arg_i64(call, ++i, INT64_MIN, INT64_MAX, NULL, &samples))
            return;
        if (samples < 0) {
            reply_fail(call->reply, ERROR_SYNTAX);
            return;
        }
    }
    const struct entry *entry = keyspace_peek(call->keyspace, call->db, call_key(call, 2), call->now_ms);
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    size_t bytes = mem_usable_size(entry), behind = 0;
    if (entry->type != ENTRY_JSON)
        bytes = entry_memory(entry);
    else if (!json_call_memory(call, entry, &behind))
        return;
    reply_int(call->reply, (int64_t)(bytes + behind + TABLE_SHARE));
}

static const char *const tips[] = { "nondeterministic_output", NULL };

static const struct command object_subcommands[] = {
    {
        .name = "ENCODING",
        .run = run_encoding,
        .argc = EXACTLY(3),
        .flags = CMD_READ,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(2, KEY_RO) },
        .since = "2.2.3",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply with the name of the form in which a value is kept.",
        .tips = tips,
    },
    {
        .name = "FREQ",
        .run = run_freq,
        .argc = EXACTLY(3),
        .flags = CMD_READ,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(2, KEY_RO) },
        .since = "4.0.0",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply with how often a key was used of late.",
        .tips = tips,
    },
    {
        .name = "IDLETIME",
        .run = run_idletime,
        .argc = EXACTLY(3),
        .flags = CMD_READ,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(2, KEY_RO) },
        .since = "2.2.3",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply with the seconds since a key was last used.",
        .tips = tips,
    },
    {
        .name = "REFCOUNT",
        .run = run_refcount,
        .argc = EXACTLY(3),
        .flags = CMD_READ,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(2, KEY_RO) },
        .since = "2.2.3",
        .complexity = "O(1)",
        .usage = "key",
        .brief = "Reply with the number of references to a value.",
        .tips = tips,
    },
    {
        .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_GENERIC,
        .since = "6.2.0",
        .complexity = "O(1)",
        .brief = "Reply with a list of the subcommands.",
    },
    { 0 },
};

const struct command object_commands[] = {
    {
        .name = "OBJECT",
        .argc = AT_LEAST(2),
        .since = "2.2.3",
        .complexity = "Depends on the subcommand.",
        .brief = "Look at how a key's value is kept.",
        .group = GROUP_GENERIC,
        .subcommands = object_subcommands,
    },
    { 0 },
};
