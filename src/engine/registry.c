/*
 * The command registry: rows become entries with statistics, found by one hash of the folded name.
 *
 * The index is an open-addressed table of pointers at a load of at most a half, keyed by a cheap hash of the name with
 * ASCII letters folded. Names are ours or the administrator's, never a client's, so the hash needs no secret. Entries
 * never move: sessions and requests point to them.
 */
#include "engine/registry.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

enum { INDEX_INITIAL = 1024, NAME_MAX_LEN = 47 };

struct command_registry {
    struct command_info **index; /* owned, sparse */
    size_t index_size;           /* a power of two */
    struct command_info **all;   /* owned, in the order of registration; entries owned */
    size_t count, capacity;
    uint32_t next_id;
};

/* FNV-1a over the name with bit 5 set, which folds letters (and a few other bytes, which the comparison then tells
 * apart). */
static uint32_t hash_name(const char *ptr, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ ((unsigned char)ptr[i] | 32u)) * 16777619u;
    return h ^ h >> 15;
}

static void index_put(struct command_info **index, size_t size, struct command_info *info)
{
    size_t i = hash_name(info->called, strlen(info->called)) & (size - 1);
    while (index[i])
        i = (i + 1) & (size - 1);
    index[i] = info;
}

/* Builds the index anew: after a renaming, or when it fills up. What cannot be called was removed. */
static void index_rebuild(struct command_registry *registry, size_t size)
{
    mem_free(registry->index);
    registry->index = mem_zalloc(size * sizeof(struct command_info *));
    registry->index_size = size;
    for (size_t i = 0; i < registry->count; i++)
        if (registry->all[i]->called[0])
            index_put(registry->index, size, registry->all[i]);
}

struct command_registry *command_registry_create(void)
{
    struct command_registry *registry = mem_zalloc(sizeof *registry);
    index_rebuild(registry, INDEX_INITIAL);
    return registry;
}

void command_registry_destroy(struct command_registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->count; i++) {
        struct command_info *info = registry->all[i];
        for (uint32_t j = 0; j < info->sub_count; j++)
            mem_free(info->subs[j].stats.latency);
        mem_free(info->subs);
        mem_free(info->stats.latency);
        mem_free(info);
    }
    mem_free(registry->all);
    mem_free(registry->index);
    mem_free(registry);
}

/* The argument of the first key, if it always stands at the same place. */
static uint32_t fixed_first_key(const struct command *row)
{
    const struct key_spec *spec = &row->keys[0];
    bool fixed = spec->begin == KEY_SPEC_INDEX && spec->find == KEY_FIND_RANGE && !(spec->flags & KEY_NOT_KEY);
    return fixed ? (uint32_t)spec->first : 0;
}

/* Makes ready what command_is_called compares with. */
static void note_called(struct command_info *info)
{
    struct bytes name = bytes_from_cstr(info->called);
    char bits[COMMAND_NAME_QUICK] = { 0 };
    struct command_name *quick = &info->quick;
    *quick = (struct command_name){ .len = SIZE_MAX };
    if (name.len == 0 || name.len > COMMAND_NAME_QUICK)
        return;
    for (size_t i = 0; i < name.len; i++)
        bits[i] = (char)(name.ptr[i] >= 'a' && name.ptr[i] <= 'z' ? ~('a' - 'A') : ~0);
    quick->len = name.len;
    command_name_words(name, quick->words);
    command_name_words(bytes_make(bits, name.len), quick->bits);
}

static bool is_plain(const struct command *row)
{
    return row->run && !row->subcommands && row->flags & (CMD_READ | CMD_WRITE) && !(row->flags & CMD_PROTECTED);
}

static void info_fill(struct command_registry *registry, struct command_info *info, const struct command *row,
    const struct command_info *parent)
{
    *info = (struct command_info){
        .row = row,
        .parent = parent,
        .id = registry->next_id++,
        .flags = row->flags,
        .is_plain = is_plain(row),
        .argc_min = (uint32_t)row->argc.min,
        .argc_span = row->argc.max ? (uint32_t)(row->argc.max - row->argc.min) : INT32_MAX,
        .first_key = fixed_first_key(row),
        .quick.len = SIZE_MAX,
    };
    int len = parent ? snprintf(info->full_name, sizeof info->full_name, "%s|%s", parent->full_name, row->name)
                     : snprintf(info->full_name, sizeof info->full_name, "%s", row->name);
    ASSERT(len > 0 && len <= NAME_MAX_LEN);
    for (char *c = info->full_name; *c; c++)
        *c = ascii_lower(*c);
    if (parent)
        return;
    memcpy(info->called, info->full_name, sizeof info->called);
    note_called(info);
}

static void add_row(struct command_registry *registry, const struct command *row)
{
    ASSERT(!command_find(registry, bytes_from_cstr(row->name)));
    ASSERT(row->run || row->subcommands);
    ASSERT(row->since && row->complexity && row->brief);
    ASSERT(row->argc.min > 0);
    struct command_info *info = mem_alloc(sizeof *info);
    info_fill(registry, info, row, NULL);
    uint32_t subs = 0;
    while (row->subcommands && row->subcommands[subs].name)
        subs++;
    if (subs) {
        info->subs = mem_zalloc(subs * sizeof(struct command_info));
        info->sub_count = subs;
        for (uint32_t i = 0; i < subs; i++)
            info_fill(registry, &info->subs[i], &row->subcommands[i], info);
    }
    if (registry->count == registry->capacity) {
        registry->capacity = registry->capacity ? registry->capacity * 2 : 256;
        registry->all = mem_realloc(registry->all, registry->capacity * sizeof(struct command_info *));
    }
    registry->all[registry->count++] = info;
    if (registry->count * 2 > registry->index_size)
        index_rebuild(registry, registry->index_size * 2);
    else
        index_put(registry->index, registry->index_size, info);
}

void command_registry_add(struct command_registry *registry, const struct command *rows)
{
    for (const struct command *row = rows; row->name; row++)
        add_row(registry, row);
}

struct command_info *command_find(const struct command_registry *registry, struct bytes name)
{
    if (name.len > NAME_MAX_LEN)
        return NULL;
    size_t i = hash_name(name.ptr, name.len) & (registry->index_size - 1);
    for (struct command_info *info; (info = registry->index[i]); i = (i + 1) & (registry->index_size - 1))
        if (bytes_is(name, info->called))
            return info;
    return NULL;
}

struct command_info *command_find_sub(const struct command_info *command, struct bytes name)
{
    for (uint32_t i = 0; i < command->sub_count; i++)
        if (bytes_is(name, command->subs[i].row->name))
            return &command->subs[i];
    return NULL;
}

struct command_info *command_resolve(const struct command_registry *registry, const struct bytes *argv, uint32_t argc)
{
    struct command_info *info = argc ? command_find(registry, argv[0]) : NULL;
    if (!info || !info->subs || argc < 2)
        return info;
    return command_find_sub(info, argv[1]);
}

bool command_rename(struct command_registry *registry, struct bytes from, struct bytes to)
{
    struct command_info *info = command_find(registry, from);
    if (!info || to.len > NAME_MAX_LEN || (to.len && command_find(registry, to)))
        return false;
    for (size_t i = 0; i < to.len; i++)
        info->called[i] = ascii_lower(to.ptr[i]);
    info->called[to.len] = '\0';
    note_called(info);
    index_rebuild(registry, registry->index_size);
    return true;
}

struct command_info *command_at(const struct command_registry *registry, size_t index)
{
    size_t seen = 0;
    for (size_t i = 0; i < registry->count; i++)
        if (registry->all[i]->called[0] && seen++ == index)
            return registry->all[i];
    return NULL;
}

int command_arity(const struct command *row)
{
    return row->argc.max == row->argc.min ? row->argc.min : -row->argc.min;
}

/* Categories that a group stands for. */
static uint32_t group_categories(enum command_group group)
{
    switch (group) {
    case GROUP_GENERIC:
        return CATEGORY_KEYSPACE;
    case GROUP_STRING:
        return CATEGORY_STRING;
    case GROUP_LIST:
        return CATEGORY_LIST;
    case GROUP_SET:
        return CATEGORY_SET;
    case GROUP_SORTED_SET:
        return CATEGORY_SORTED_SET;
    case GROUP_HASH:
        return CATEGORY_HASH;
    case GROUP_TRANSACTIONS:
        return CATEGORY_TRANSACTION;
    case GROUP_CONNECTION:
        return CATEGORY_CONNECTION;
    case GROUP_SCRIPTING:
        return CATEGORY_SCRIPTING;
    case GROUP_HYPERLOGLOG:
        return CATEGORY_HYPERLOGLOG;
    case GROUP_GEO:
        return CATEGORY_GEO;
    case GROUP_STREAM:
        return CATEGORY_STREAM;
    case GROUP_BITMAP:
        return CATEGORY_BITMAP;
    case GROUP_JSON:
        return CATEGORY_JSON;
    case GROUP_PUBSUB: /* their flag says it; what only tells about them has none */
    case GROUP_SERVER:
    case GROUP_CLUSTER:
        return 0;
    }
    return 0;
}

/* In the order in which Redis lists them. */
static const struct {
    uint32_t category;
    const char *name;
} category_names[] = {
    { CATEGORY_KEYSPACE, "@keyspace" },
    { CATEGORY_READ, "@read" },
    { CATEGORY_WRITE, "@write" },
    { CATEGORY_SET, "@set" },
    { CATEGORY_SORTED_SET, "@sortedset" },
    { CATEGORY_LIST, "@list" },
    { CATEGORY_HASH, "@hash" },
    { CATEGORY_STRING, "@string" },
    { CATEGORY_BITMAP, "@bitmap" },
    { CATEGORY_HYPERLOGLOG, "@hyperloglog" },
    { CATEGORY_GEO, "@geo" },
    { CATEGORY_STREAM, "@stream" },
    { CATEGORY_PUBSUB, "@pubsub" },
    { CATEGORY_ADMIN, "@admin" },
    { CATEGORY_FAST, "@fast" },
    { CATEGORY_SLOW, "@slow" },
    { CATEGORY_BLOCKING, "@blocking" },
    { CATEGORY_DANGEROUS, "@dangerous" },
    { CATEGORY_CONNECTION, "@connection" },
    { CATEGORY_TRANSACTION, "@transaction" },
    { CATEGORY_SCRIPTING, "@scripting" },
    { CATEGORY_JSON, "@json" },
};
enum { CATEGORIES = sizeof category_names / sizeof *category_names };

const char *command_category_at(size_t index, uint32_t *category)
{
    if (index >= CATEGORIES)
        return NULL;
    *category = category_names[index].category;
    return category_names[index].name;
}

uint32_t command_category_named(struct bytes name)
{
    for (size_t i = 0; i < CATEGORIES; i++)
        if (bytes_is(name, category_names[i].name + 1)) /* without the @ */
            return category_names[i].category;
    return 0;
}

uint32_t command_categories(const struct command *row)
{
    if (!row->run && row->subcommands) /* what a container can do is its subcommands' affair */
        return CATEGORY_SLOW;
    const uint32_t types = CATEGORY_SET | CATEGORY_SORTED_SET | CATEGORY_LIST | CATEGORY_CONNECTION;
    uint32_t c = row->categories;
    /* A generic command that works within values of some types, or on the connection, is in those categories, and
     * not among those of keys. */
    if (row->group != GROUP_GENERIC || !(c & types))
        c |= group_categories(row->group);
    /* Scripts and transactions are neither reads nor writes by themselves. */
    if (row->flags & CMD_WRITE)
        c |= CATEGORY_WRITE;
    if (row->flags & CMD_READ && row->group != GROUP_SCRIPTING)
        c |= CATEGORY_READ;
    if (row->flags & CMD_ADMIN)
        c |= CATEGORY_ADMIN | CATEGORY_DANGEROUS;
    if (row->flags & CMD_PUBSUB)
        c |= CATEGORY_PUBSUB;
    if (row->flags & CMD_BLOCKING)
        c |= CATEGORY_BLOCKING;
    c |= row->flags & CMD_FAST ? CATEGORY_FAST : CATEGORY_SLOW;
    return c;
}

/* Where a specification's keys begin: its fixed place, or behind its keyword. 0 if there are none. */
static uint32_t spec_begin(const struct key_spec *spec, const struct bytes *argv, uint32_t argc)
{
    if (spec->begin == KEY_SPEC_INDEX)
        return (uint32_t)spec->first;
    int64_t step = spec->first < 0 ? -1 : 1;
    int64_t at = spec->first < 0 ? (int64_t)argc + spec->first : spec->first;
    for (; at > 0 && at + 1 < (int64_t)argc; at += step) /* as the last argument it has nothing behind it */
        if (bytes_is(argv[at], spec->keyword))
            return (uint32_t)at + 1;
    return 0;
}

/* The argument of a range's last key; negative `last` counts from the end, and `limit` cuts off a share of what is
 * left. */
static int64_t range_last(const struct key_spec *spec, uint32_t begin, uint32_t argc)
{
    if (spec->last >= 0)
        return (int64_t)begin + spec->last;
    int64_t last = (int64_t)argc + spec->last;
    if (spec->limit > 1)
        last = (int64_t)begin + ((int64_t)argc - begin) / spec->limit + spec->last;
    return last;
}

/* A number of keys as commands spell it; -1 if it is none. */
static int64_t parse_count(struct bytes text)
{
    int64_t n = 0;
    if (text.len == 0 || text.len > 9)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return -1;
        n = n * 10 + (text.ptr[i] - '0');
    }
    return n;
}

/* Appends the keys of one specification; returns the new count, or -1. A number of keys is `least` at least. */
static int spec_keys(const struct key_spec *spec, int64_t least, const struct bytes *argv, uint32_t argc,
    struct key_position *out, int count, int max)
{
    uint32_t begin = spec_begin(spec, argv, argc);
    if (begin == 0)
        return count;
    int64_t first = begin, last;
    if (spec->find == KEY_FIND_NUMBER) {
        if (begin >= argc)
            return -1;
        int64_t n = parse_count(argv[begin]);
        if (n < least)
            return -1;
        first = begin + spec->last;
        last = first + (n - 1) * spec->step;
    } else {
        last = range_last(spec, begin, argc);
    }
    if (last >= (int64_t)argc || first >= (int64_t)argc)
        return first >= (int64_t)argc && last < first ? count : -1;
    for (int64_t i = first; i <= last; i += spec->step) {
        if (count < max)
            out[count] = (struct key_position){ (uint32_t)i, spec->flags };
        count++;
    }
    return count;
}

int command_keys(
    const struct command_info *command, const struct bytes *argv, uint32_t argc, struct key_position *out, int max)
{
    if (command->row->find_keys)
        return command->row->find_keys(argv, argc, out, max);
    int64_t least = command->row->group == GROUP_SCRIPTING ? 0 : 1; /* scripts do without keys */
    int count = 0;
    for (int i = 0; i < COMMAND_KEY_SPECS && count >= 0; i++) {
        const struct key_spec *spec = &command->row->keys[i];
        bool findable = spec->begin == KEY_SPEC_INDEX || spec->begin == KEY_SPEC_KEYWORD;
        if (findable && !(spec->flags & KEY_NOT_KEY))
            count = spec_keys(spec, least, argv, argc, out, count, max);
    }
    return count;
}

bool command_hides(const struct command_info *command, const struct bytes *argv, uint32_t argc, uint32_t at)
{
    uint32_t name_words = command->parent ? 2 : 1;
    if (!(command->flags & CMD_SECRET) || at < name_words)
        return false;
    return !command->row->hides || command->row->hides(argv, argc, at);
}

/* The upper end of a bucket, in ticks. */
static uint64_t latency_bucket_end(unsigned bucket)
{
    unsigned top = bucket / 4 + COMMAND_LATENCY_LOW_BITS;
    return (UINT64_C(5) + bucket % 4) << (top - 2);
}

void command_stats_add(struct command_stats *stats, uint64_t ticks, bool histogram)
{
    stats->calls++;
    stats->ticks += ticks;
    if (histogram)
        command_stats_need_latency(stats)[command_latency_bucket(ticks)]++;
}

uint64_t *command_stats_need_latency(struct command_stats *stats)
{
    if (__builtin_expect(!stats->latency, 0))
        stats->latency = mem_zalloc(COMMAND_LATENCY_BUCKETS * sizeof(uint64_t));
    return stats->latency;
}

uint64_t command_stats_quantile(const struct command_stats *stats, double quantile)
{
    if (!stats->latency)
        return 0;
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < COMMAND_LATENCY_BUCKETS; i++)
        total += stats->latency[i];
    if (total == 0)
        return 0;
    for (unsigned i = 0; i < COMMAND_LATENCY_BUCKETS; i++) {
        seen += stats->latency[i];
        if (seen && (double)seen >= quantile * (double)total)
            return clock_ticks_to_ns(latency_bucket_end(i));
    }
    return clock_ticks_to_ns(latency_bucket_end(COMMAND_LATENCY_BUCKETS - 1));
}

uint64_t command_stats_bucket_ns(unsigned bucket)
{
    return clock_ticks_to_ns(latency_bucket_end(bucket));
}

uint32_t command_registry_ids(const struct command_registry *registry)
{
    return registry->next_id;
}

void command_stats_reset(struct command_stats *stats)
{
    struct command_split split = {
        .unsent = stats->split.unsent, .unsent_ends = stats->split.unsent_ends, .next = stats->split.next
    };
    mem_free(stats->latency);
    *stats = (struct command_stats){ .split = split }; /* it stays in its chain */
}
