/*
 * COMMAND: the server describes its commands, from their rows.
 *
 * INFO is what client libraries read to route requests and find keys; DOCS is what redis-cli hints with. What DOCS says
 * of a command's arguments is read out of the row's usage text (usage_priv.h). Replies are built anew each time: nobody
 * asks often, and all of them together take a fraction of a millisecond. Whoever names very many is answered in slices.
 */
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "base/glob.h"
#include "cmd/families.h"
#include "cmd/module.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "usage_priv.h"

enum {
    WORDS_AT_ONCE = 500, /* of a request */
    /* Of one, in tens of nanoseconds: */
    INFO_COST = 30,
    DOCS_COST = 50,
    KEY_COST = 2,
};

/* True if the work is taken over, since the request has very many words. */
static bool words_aside(struct call *call)
{
    return call->argc > WORDS_AT_ONCE && call_aside_unheld(call);
}

struct bit_name {
    uint32_t bit;
    const char *name;
};

/* In the order in which Redis lists them. */
static const struct bit_name flag_names[] = {
    { CMD_WRITE, "write" },
    { CMD_READ, "readonly" },
    { CMD_DENY_OOM, "denyoom" },
    { CMD_ADMIN, "admin" },
    { CMD_PUBSUB, "pubsub" },
    { CMD_NO_SCRIPT, "noscript" },
    { CMD_BLOCKING, "blocking" },
    { CMD_LOADING, "loading" },
    { CMD_STALE, "stale" },
    { CMD_SKIP_MONITOR, "skip_monitor" },
    { CMD_SKIP_SLOWLOG, "skip_slowlog" },
    { CMD_ASKING, "asking" },
    { CMD_FAST, "fast" },
    { CMD_NO_AUTH, "no_auth" },
    { CMD_NO_ASYNC_LOADING, "no_async_loading" },
    { CMD_NO_MULTI, "no_multi" },
    { CMD_MOVABLE_KEYS, "movablekeys" },
    { CMD_ALLOW_BUSY, "allow_busy" },
    { 0 },
};

static const struct bit_name key_flag_names[] = {
    { KEY_RO, "RO" },
    { KEY_RW, "RW" },
    { KEY_OW, "OW" },
    { KEY_RM, "RM" },
    { KEY_ACCESS, "access" },
    { KEY_UPDATE, "update" },
    { KEY_INSERT, "insert" },
    { KEY_DELETE, "delete" },
    { KEY_NOT_KEY, "not_key" },
    { KEY_INCOMPLETE, "incomplete" },
    { KEY_VARIABLE_FLAGS, "variable_flags" },
    { 0 },
};

/* The set bits that have names, as a set of statuses. */
static void reply_bits(struct reply *reply, uint32_t bits, const struct bit_name *names)
{
    size_t count = 0;
    for (const struct bit_name *name = names; name->name; name++)
        count += (bits & name->bit) != 0;
    reply_set(reply, count);
    for (const struct bit_name *name = names; name->name; name++)
        if (bits & name->bit)
            reply_status(reply, bytes_from_cstr(name->name));
}

/* Their names, each behind an @. */
static void reply_categories(struct reply *reply, uint32_t categories)
{
    const char *name;
    uint32_t bit;
    reply_set(reply, (size_t)__builtin_popcount(categories));
    for (size_t i = 0; (name = command_category_at(i, &bit)); i++)
        if (categories & bit)
            reply_status(reply, bytes_from_cstr(name));
}

static size_t count_texts(const char *const *texts)
{
    size_t count = 0;
    while (texts && texts[count])
        count++;
    return count;
}

/* "get" or "config|get" in any case; NULL if there is no such command. */
static struct command_info *find_by_name(const struct command_registry *registry, struct bytes name)
{
    const char *bar = name.len ? memchr(name.ptr, '|', name.len) : NULL;
    if (!bar)
        return command_find(registry, name);
    size_t head = (size_t)(bar - name.ptr);
    const struct command_info *parent = command_find(registry, bytes_make(name.ptr, head));
    return parent ? command_find_sub(parent, bytes_make(bar + 1, name.len - head - 1)) : NULL;
}

static size_t count_commands(const struct command_registry *registry)
{
    size_t count = 0;
    while (command_at(registry, count))
        count++;
    return count;
}

/* --- INFO --- */

/* Where keys stand, as far as three numbers can say it. */
struct key_range {
    int first, last, step;
};

/* The specifications that stand one behind the other, as one range; the last is negative if it counts from the end. */
static struct key_range key_range_of(const struct command *row)
{
    struct key_range range = { 0 };
    bool several = row->keys[1].begin != KEY_SPEC_NONE;
    for (int i = 0; i < COMMAND_KEY_SPECS; i++) {
        const struct key_spec *spec = &row->keys[i];
        if (spec->begin != KEY_SPEC_INDEX || spec->find != KEY_FIND_RANGE || (several && spec->step != 1))
            continue;
        if (range.first && (range.last < 0 || spec->first != range.last + 1))
            continue;
        if (!range.first)
            range.first = spec->first;
        range.last = spec->last < 0 ? spec->last : spec->first + spec->last;
        range.step = spec->step;
    }
    return range;
}

static void reply_named_int(struct reply *reply, const char *name, int64_t value)
{
    reply_bulk_cstr(reply, name);
    reply_int(reply, value);
}

static void reply_named(struct reply *reply, const char *name, const char *text)
{
    reply_bulk_cstr(reply, name);
    reply_bulk_cstr(reply, text);
}

/* How a key that no specification finds is described. */
static void reply_key_unknown(struct reply *reply)
{
    reply_map(reply, 2);
    reply_named(reply, "type", "unknown");
    reply_bulk_cstr(reply, "spec");
    reply_map(reply, 0);
}

static void reply_key_begin(struct reply *reply, const struct key_spec *spec)
{
    if (spec->begin == KEY_SPEC_UNKNOWN) {
        reply_key_unknown(reply);
        return;
    }
    reply_map(reply, 2);
    if (spec->begin == KEY_SPEC_INDEX) {
        reply_named(reply, "type", "index");
        reply_bulk_cstr(reply, "spec");
        reply_map(reply, 1);
        reply_named_int(reply, "index", spec->first);
    } else {
        reply_named(reply, "type", "keyword");
        reply_bulk_cstr(reply, "spec");
        reply_map(reply, 2);
        reply_named(reply, "keyword", spec->keyword);
        reply_named_int(reply, "startfrom", spec->first);
    }
}

static void reply_key_find(struct reply *reply, const struct key_spec *spec)
{
    if (spec->begin == KEY_SPEC_UNKNOWN) {
        reply_key_unknown(reply);
        return;
    }
    reply_map(reply, 2);
    if (spec->find == KEY_FIND_RANGE) {
        reply_named(reply, "type", "range");
        reply_bulk_cstr(reply, "spec");
        reply_map(reply, 3);
        reply_named_int(reply, "lastkey", spec->last);
        reply_named_int(reply, "keystep", spec->step);
        reply_named_int(reply, "limit", spec->limit);
    } else {
        reply_named(reply, "type", "keynum");
        reply_bulk_cstr(reply, "spec");
        reply_map(reply, 3);
        reply_named_int(reply, "keynumidx", 0);
        reply_named_int(reply, "firstkey", spec->last);
        reply_named_int(reply, "keystep", spec->step);
    }
}

static void reply_key_specs(struct reply *reply, const struct command *row)
{
    size_t count = 0;
    while (count < COMMAND_KEY_SPECS && row->keys[count].begin != KEY_SPEC_NONE)
        count++;
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_map(reply, 3);
        reply_bulk_cstr(reply, "flags");
        reply_bits(reply, row->keys[i].flags, key_flag_names);
        reply_bulk_cstr(reply, "begin_search");
        reply_key_begin(reply, &row->keys[i]);
        reply_bulk_cstr(reply, "find_keys");
        reply_key_find(reply, &row->keys[i]);
    }
}

/* What COMMAND INFO says of a command, its subcommands included. */
static void reply_info(struct reply *reply, const struct command_info *info)
{
    const struct command *row = info->row;
    struct key_range range = key_range_of(row);
    reply_array(reply, 10);
    reply_bulk_cstr(reply, info->full_name);
    reply_int(reply, command_arity(row));
    reply_bits(reply, row->flags, flag_names);
    reply_int(reply, range.first);
    reply_int(reply, range.last);
    reply_int(reply, range.step);
    reply_categories(reply, command_categories(row));
    size_t tips = count_texts(row->tips);
    reply_set(reply, tips);
    for (size_t i = 0; i < tips; i++)
        reply_bulk_cstr(reply, row->tips[i]);
    reply_key_specs(reply, row);
    if (info->sub_count == 0)
        reply_set(reply, 0);
    else
        reply_array(reply, info->sub_count);
    for (uint32_t i = 0; i < info->sub_count; i++)
        reply_info(reply, &info->subs[i]);
}

static void reply_info_of_all(struct call *call)
{
    const struct command_registry *registry = call->engine->registry;
    const struct command_info *info;
    reply_array(call->reply, count_commands(registry));
    for (size_t i = 0; (info = command_at(registry, i)); i++)
        reply_info(call->reply, info);
}

static void run_command(struct call *call)
{
    reply_info_of_all(call);
}

static void run_info(struct call *call)
{
    if (call->argc == 2) {
        reply_info_of_all(call);
        return;
    }
    if (words_aside(call))
        return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc && !fiber_is_over(); i++) {
        fiber_breathe(INFO_COST);
        const struct command_info *info = find_by_name(call->engine->registry, call->argv[i]);
        if (info)
            reply_info(call->reply, info);
        else
            reply_null(call->reply);
    }
}

static void run_count(struct call *call)
{
    reply_int(call->reply, (int64_t)count_commands(call->engine->registry));
}

/* --- DOCS --- */

static const char *group_name(enum command_group group)
{
    static const char *const names[] = {
        [GROUP_GENERIC] = "generic",
        [GROUP_STRING] = "string",
        [GROUP_LIST] = "list",
        [GROUP_SET] = "set",
        [GROUP_SORTED_SET] = "sorted-set",
        [GROUP_HASH] = "hash",
        [GROUP_PUBSUB] = "pubsub",
        [GROUP_TRANSACTIONS] = "transactions",
        [GROUP_CONNECTION] = "connection",
        [GROUP_SERVER] = "server",
        [GROUP_SCRIPTING] = "scripting",
        [GROUP_HYPERLOGLOG] = "hyperloglog",
        [GROUP_CLUSTER] = "cluster",
        [GROUP_GEO] = "geo",
        [GROUP_STREAM] = "stream",
        [GROUP_BITMAP] = "bitmap",
        [GROUP_JSON] = "module", /* where clients know these commands from */
    };
    ASSERT(group >= GROUP_GENERIC && group <= GROUP_JSON);
    return names[group];
}

static void reply_arguments(struct reply *reply, const struct usage_arg *args);

static void reply_argument(struct reply *reply, const struct usage_arg *arg)
{
    size_t flags = (size_t)arg->optional + arg->multiple + arg->multiple_token;
    bool is_key = arg->type == USAGE_KEY || arg->key_spec;
    bool has_children = arg->children != NULL, has_token = arg->token.ptr != NULL;
    reply_map(reply, 2u + is_key + has_token + (flags != 0) + has_children);
    reply_bulk_cstr(reply, "name");
    reply_bulk(reply, arg->name);
    reply_named(reply, "type", usage_type_name(arg->type));
    if (is_key)
        reply_named_int(reply, "key_spec_index", arg->key_spec);
    if (has_token) {
        reply_bulk_cstr(reply, "token");
        reply_bulk(reply, arg->token);
    }
    if (flags) {
        reply_bulk_cstr(reply, "flags");
        reply_set(reply, flags);
        if (arg->optional)
            reply_status(reply, BYTES("optional"));
        if (arg->multiple)
            reply_status(reply, BYTES("multiple"));
        if (arg->multiple_token)
            reply_status(reply, BYTES("multiple_token"));
    }
    if (has_children) {
        reply_bulk_cstr(reply, "arguments");
        reply_arguments(reply, arg->children);
    }
}

static void reply_arguments(struct reply *reply, const struct usage_arg *args)
{
    size_t count = 0;
    for (const struct usage_arg *arg = args; arg; arg = arg->next)
        count++;
    reply_array(reply, count);
    for (const struct usage_arg *arg = args; arg; arg = arg->next)
        reply_argument(reply, arg);
}

static void reply_history(struct reply *reply, const struct command *row)
{
    size_t count = count_texts(row->history) / 2;
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_array(reply, 2);
        reply_bulk_cstr(reply, row->history[2 * i]);
        reply_bulk_cstr(reply, row->history[2 * i + 1]);
    }
}

/*
 * What COMMAND DOCS warns of: commands that newer ones do the work of, since when, and how; and those that are for
 * servers and their testers ("syscmd"), which nothing replaces.
 */
struct superseded {
    const char *name, *since, *by; /* since NULL: for servers */
};

static const struct superseded *find_superseded(const char *name)
{
    static const struct superseded all[] = {
        { "brpoplpush", "6.2.0", "`BLMOVE source destination RIGHT LEFT timeout`" },
        { "debug", NULL, NULL },
        { "georadius", "6.2.0", "`GEOSEARCH` or `GEOSEARCHSTORE`, `FROMLONLAT` with `BYRADIUS`" },
        { "georadius_ro", "6.2.0", "`GEOSEARCH`, `FROMLONLAT` with `BYRADIUS`" },
        { "georadiusbymember", "6.2.0", "`GEOSEARCH` or `GEOSEARCHSTORE`, `FROMMEMBER` with `BYRADIUS`" },
        { "georadiusbymember_ro", "6.2.0", "`GEOSEARCH`, `FROMMEMBER` with `BYRADIUS`" },
        { "getset", "6.2.0", "`SET key value GET`" },
        { "hmset", "4.0.0", "`HSET`, which takes as many pairs" },
        { "pfdebug", NULL, NULL },
        { "pfselftest", NULL, NULL },
        { "psetex", "2.6.12", "`SET key value PX milliseconds`" },
        { "quit", "7.2.0", "closing the connection" },
        { "restore-asking", NULL, NULL },
        { "rpoplpush", "6.2.0", "`LMOVE source destination RIGHT LEFT`" },
        { "setex", "2.6.12", "`SET key value EX seconds`" },
        { "setnx", "2.6.12", "`SET key value NX`" },
        { "slaveof", "5.0.0", "`REPLICAOF`" },
        { "substr", "2.0.0", "`GETRANGE`" },
        { "zrangebylex", "6.2.0", "`ZRANGE key start stop BYLEX`" },
        { "zrangebyscore", "6.2.0", "`ZRANGE key start stop BYSCORE`" },
        { "zrevrange", "6.2.0", "`ZRANGE key start stop REV`" },
        { "zrevrangebylex", "6.2.0", "`ZRANGE key start stop BYLEX REV`" },
        { "zrevrangebyscore", "6.2.0", "`ZRANGE key start stop BYSCORE REV`" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

static void reply_superseded(struct reply *reply, const struct superseded *superseded)
{
    reply_bulk_cstr(reply, "doc_flags");
    reply_set(reply, 1);
    if (!superseded->since) {
        reply_status(reply, BYTES("syscmd"));
        return;
    }
    reply_status(reply, BYTES("deprecated"));
    reply_named(reply, "deprecated_since", superseded->since);
    reply_named(reply, "replaced_by", superseded->by);
}

/* A command's name and its documentation: a pair of the map that COMMAND DOCS answers. */
static void reply_docs(struct reply *reply, const struct command_info *info, struct arena *scratch)
{
    const struct command *row = info->row;
    const struct usage_arg *args = usage_parse(scratch, row);
    reply_bulk_cstr(reply, info->full_name);
    bool module = row->group == GROUP_JSON;
    const struct superseded *superseded = find_superseded(info->full_name);
    unsigned warnings = !superseded ? 0 : superseded->since ? 3 : 1;
    reply_map(reply, 4u + module + warnings + (row->history != NULL) + (args != NULL) + (info->sub_count != 0));
    reply_named(reply, "summary", row->brief);
    reply_named(reply, "since", row->since);
    reply_named(reply, "group", group_name(row->group));
    reply_named(reply, "complexity", row->complexity);
    if (module)
        reply_named(reply, "module", MODULE_JSON);
    if (superseded)
        reply_superseded(reply, superseded);
    if (row->history) {
        reply_bulk_cstr(reply, "history");
        reply_history(reply, row);
    }
    if (args) {
        reply_bulk_cstr(reply, "arguments");
        reply_arguments(reply, args);
    }
    if (info->sub_count == 0)
        return;
    reply_bulk_cstr(reply, "subcommands");
    reply_map(reply, info->sub_count);
    for (uint32_t i = 0; i < info->sub_count; i++)
        reply_docs(reply, &info->subs[i], scratch);
}

static void run_docs(struct call *call)
{
    if (words_aside(call))
        return;
    const struct command_registry *registry = call->engine->registry;
    const struct command_info *info;
    struct output_gap *head = reply_deferred(call->reply);
    struct arena scratch; /* of one command at a time: all of their trees together would be large */
    arena_init(&scratch);
    size_t count = 0;
    for (size_t i = 0; call->argc == 2 && (info = command_at(registry, i)); i++, count++) {
        reply_docs(call->reply, info, &scratch);
        arena_reset(&scratch);
    }
    for (uint32_t i = 2; i < call->argc && !fiber_is_over(); i++) {
        fiber_breathe(DOCS_COST);
        info = find_by_name(registry, call->argv[i]);
        if (!info)
            continue;
        reply_docs(call->reply, info, &scratch);
        arena_reset(&scratch);
        count++;
    }
    arena_fini(&scratch);
    reply_deferred_end(call->reply, head, REPLY_MAP, count);
}

/* --- LIST --- */

struct list_filter {
    enum { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN } by;
    struct bytes pattern;
    uint32_t category; /* 0: a category that nothing is in */
};

/* Reads FILTERBY; false if that answered an error. */
static bool parse_filter(struct call *call, struct list_filter *filter)
{
    *filter = (struct list_filter){ .by = FILTER_NONE };
    if (call->argc == 2)
        return true;
    if (call->argc == 5 && call_arg_is(call, 2, "FILTERBY")) {
        if (call_arg_is(call, 3, "MODULE"))
            filter->by = FILTER_MODULE;
        else if (call_arg_is(call, 3, "ACLCAT"))
            filter->by = FILTER_CATEGORY;
        else if (call_arg_is(call, 3, "PATTERN"))
            filter->by = FILTER_PATTERN;
        filter->pattern = call->argv[4];
        filter->category = command_category_named(call->argv[4]);
    }
    if (filter->by == FILTER_NONE)
        reply_fail(call->reply, ERROR_SYNTAX);
    return filter->by != FILTER_NONE;
}

static bool filter_fits(const struct list_filter *filter, const struct command_info *info)
{
    switch (filter->by) {
    case FILTER_NONE:
        return true;
    case FILTER_MODULE:
        return info->row->group == GROUP_JSON && bytes_is(filter->pattern, MODULE_JSON);
    case FILTER_CATEGORY:
        return command_categories(info->row) & filter->category;
    case FILTER_PATTERN:
        return glob_match_nocase(filter->pattern, bytes_from_cstr(info->full_name));
    }
    return false;
}

static void run_list(struct call *call)
{
    struct list_filter filter;
    if (!parse_filter(call, &filter))
        return;
    const struct command_info *info;
    struct output_gap *head = reply_deferred(call->reply);
    size_t count = 0;
    for (size_t i = 0; (info = command_at(call->engine->registry, i)); i++)
        for (uint32_t sub = 0; sub <= info->sub_count; sub++) {
            const struct command_info *one = sub ? &info->subs[sub - 1] : info;
            if (!filter_fits(&filter, one))
                continue;
            reply_bulk_cstr(call->reply, one->full_name);
            count++;
        }
    reply_deferred_end(call->reply, head, REPLY_ARRAY, count);
}

/* --- GETKEYS --- */

/* Channels that a cluster finds like keys are none. */
static bool has_keys(const struct command *row)
{
    bool has = row->find_keys;
    for (int i = 0; i < COMMAND_KEY_SPECS; i++)
        has |= row->keys[i].begin != KEY_SPEC_NONE && !(row->keys[i].flags & KEY_NOT_KEY);
    return has;
}

/* The keys of the request that stands in the arguments from 2 on; NULL if that answered an error. */
static const struct key_position *find_keys(struct call *call, int *count)
{
    const struct bytes *argv = call->argv + 2;
    uint32_t argc = call->argc - 2;
    const struct command_info *info = command_resolve(call->engine->registry, argv, argc);
    if (!info) {
        reply_error(call->reply, BYTES("ERR Invalid command specified"));
        return NULL;
    }
    if (!has_keys(info->row)) {
        reply_error(call->reply, BYTES("ERR The command has no key arguments"));
        return NULL;
    }
    if (!command_argc_fits(info, argc)) {
        reply_error(call->reply, BYTES("ERR Invalid number of arguments specified for command"));
        return NULL;
    }
    struct key_position *positions = arena_try_alloc(call->arena, argc * sizeof *positions);
    if (!positions) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return NULL;
    }
    *count = command_keys(info, argv, argc, positions, (int)argc);
    if (*count >= 0 && *count <= (int)argc)
        return positions;
    reply_error(call->reply, BYTES("ERR Invalid arguments specified for command"));
    return NULL;
}

static void run_getkeys(struct call *call)
{
    int count;
    const struct key_position *positions = words_aside(call) ? NULL : find_keys(call, &count);
    if (!positions)
        return;
    reply_array(call->reply, (size_t)count);
    for (int i = 0; i < count && !fiber_is_over(); i++) {
        fiber_breathe(KEY_COST);
        reply_bulk(call->reply, call->argv[2 + positions[i].index]);
    }
}

static void run_getkeysandflags(struct call *call)
{
    int count;
    const struct key_position *positions = words_aside(call) ? NULL : find_keys(call, &count);
    if (!positions)
        return;
    reply_array(call->reply, (size_t)count);
    for (int i = 0; i < count && !fiber_is_over(); i++) {
        fiber_breathe(KEY_COST);
        reply_array(call->reply, 2);
        reply_bulk(call->reply, call->argv[2 + positions[i].index]);
        reply_bits(call->reply, positions[i].flags, key_flag_names);
    }
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    Reply with the details of all commands.",
        "COUNT",
        "    Reply with the number of commands.",
        "LIST [FILTERBY (MODULE <name> | ACLCAT <category> | PATTERN <pattern>)]",
        "    Reply with the names of the commands.",
        "INFO [<command-name> ...]",
        "    Reply with the details of these commands, or of all.",
        "DOCS [<command-name> ...]",
        "    Reply with the documentation of these commands, or of all.",
        "GETKEYS <full-command>",
        "    Reply with the keys in a full command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Reply with the keys in a full command and what it does with each.",
        NULL,
    };
    call_reply_help(call, lines);
}

static const char *const tips_order[] = { "nondeterministic_output_order", NULL };
static const char *const history_info[] = { "7.0.0", "Without names it describes all commands.", NULL };

enum { ANY_STATE = CMD_LOADING | CMD_STALE };

static const struct command command_subcommands[] = {
    {
        .name = "COUNT",
        .run = run_count,
        .argc = EXACTLY(2),
        .flags = ANY_STATE,
        .categories = CATEGORY_CONNECTION,
        .group = GROUP_SERVER,
        .since = "2.8.13",
        .complexity = "O(N) where N is the number of commands.",
        .brief = "Reply with the number of commands.",
    },
    {
        .name = "DOCS",
        .run = run_docs,
        .argc = AT_LEAST(2),
        .flags = ANY_STATE,
        .categories = CATEGORY_CONNECTION,
        .group = GROUP_SERVER,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of commands looked up.",
        .usage = "[command-name [command-name ...]]",
        .brief = "Reply with the documentation of commands.",
        .tips = tips_order,
    },
    {
        .name = "GETKEYS",
        .run = run_getkeys,
        .argc = AT_LEAST(4),
        .flags = ANY_STATE,
        .categories = CATEGORY_CONNECTION,
        .group = GROUP_SERVER,
        .since = "2.8.13",
        .complexity = "O(N) where N is the number of arguments.",
        .usage = "command [arg ...]",
        .brief = "Reply with the keys in a full command.",
    },
    {
        .name = "GETKEYSANDFLAGS",
        .run = run_getkeysandflags,
        .argc = AT_LEAST(4),
        .flags = ANY_STATE,
        .categories = CATEGORY_CONNECTION,
        .group = GROUP_SERVER,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of arguments.",
        .usage = "command [arg ...]",
        .brief = "Reply with the keys in a full command and what it does with each.",
    },
    {
        .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = ANY_STATE,
        .categories = CATEGORY_CONNECTION,
        .group = GROUP_SERVER,
        .since = "5.0.0",
        .complexity = "O(1)",
        .brief = "Reply with a list of the subcommands.",
    },
    {
        .name = "INFO",
        .run = run_info,
        .argc = AT_LEAST(2),
        .flags = ANY_STATE,
        .categories = CATEGORY_CONNECTION,
        .group = GROUP_SERVER,
        .since = "2.8.13",
        .complexity = "O(N) where N is the number of commands looked up.",
        .usage = "[command-name [command-name ...]]",
        .brief = "Reply with the details of commands.",
        .tips = tips_order,
        .history = history_info,
    },
    {
        .name = "LIST",
        .run = run_list,
        .argc = AT_LEAST(2),
        .flags = ANY_STATE,
        .categories = CATEGORY_CONNECTION,
        .group = GROUP_SERVER,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of commands.",
        .usage = "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
        .brief = "Reply with the names of commands.",
        .tips = tips_order,
    },
    { 0 },
};

const struct command introspection_commands[] = {
    {
        .name = "COMMAND",
        .run = run_command,
        .argc = AT_LEAST(1),
        .flags = ANY_STATE,
        .categories = CATEGORY_CONNECTION,
        .group = GROUP_SERVER,
        .subcommands = command_subcommands,
        .since = "2.8.13",
        .complexity = "O(N) where N is the number of commands.",
        .brief = "Reply with the details of all commands.",
        .tips = tips_order,
    },
    { 0 },
};
