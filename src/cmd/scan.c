/*
 * KEYS and SCAN: walks over a database, with a pattern and a type to filter by.
 *
 * Both are one walk by cursor; KEYS goes to the end, SCAN until it has met COUNT keys, and then hands the cursor out. A
 * short walk answers at once. A long one becomes a task that visits a few buckets a step, so that nobody waits for a
 * million keys; the cursor makes it see every key that stays throughout, each once, whatever the other clients change
 * meanwhile (ds/table.h). Between steps nothing is kept of the database but the cursor: it may be flushed or swapped.
 *
 * Entries are gathered in small batches and prefetched before any is looked at, which hides most of the cache misses
 * that such a walk consists of. Expired keys are left out; SCAN also removes some of those that it meets.
 */
#include <stdio.h>

#include "base/glob.h"
#include "base/mem.h"
#include "base/num.h"
#include "cmd/families.h"
#include "collection_scan_priv.h"
#include "engine/call.h"
#include "engine/task.h"

enum {
    AT_ONCE_MAX = 1000,   /* keys up to which a walk is not worth a task */
    STEP_BUCKETS = 128,   /* of a task's step: some 700 keys */
    BATCH = 32,           /* entries prefetched together */
    EXPIRED_MAX = 64,     /* keys that one step of a walk removes */
    SCAN_COUNT = 10,      /* keys that SCAN visits unless told otherwise */
    BUCKETS_PER_KEY = 10, /* SCAN gives up after so many buckets for each key it should meet */
    TYPE_ANY = -1,
};

struct walk {
    struct bytes pattern; /* borrowed: from the request or from the task */
    bool any_name;        /* no pattern to match */
    int type;             /* enum entry_type; TYPE_ANY; ENTRY_TYPES for a type that nothing has */
    uint64_t cursor;
    size_t max_visited, max_buckets; /* where SCAN stops; SIZE_MAX for KEYS */
    size_t visited, buckets, found;
    struct output_gap *cursor_gap; /* SCAN's cursor stands before the keys, but is known after them; NULL for KEYS */
    struct output_gap *keys_gap;
    bool begun;
};

struct batch {
    struct walk *walk;
    struct reply *reply;
    int64_t now_ms;
    size_t count, expired_count;
    const struct entry *entries[BATCH];
    const struct entry *expired[EXPIRED_MAX]; /* to be removed once the table is not being walked */
};

static void batch_flush(struct batch *batch)
{
    struct walk *walk = batch->walk;
    for (size_t i = 0; i < batch->count; i++) {
        const struct entry *entry = batch->entries[i];
        if (entry_is_expired(entry, batch->now_ms)) {
            if (batch->expired_count < EXPIRED_MAX)
                batch->expired[batch->expired_count++] = entry;
            continue;
        }
        if (walk->type != TYPE_ANY && walk->type != (int)entry->type)
            continue;
        struct bytes name = entry_key(entry);
        if (!walk->any_name && !glob_match(walk->pattern, name))
            continue;
        reply_bulk(batch->reply, name);
        walk->found++;
    }
    batch->count = 0;
}

static void batch_add(void *context, uint64_t *slot)
{
    struct batch *batch = context;
    const struct entry *entry = table_slot_item(slot);
    __builtin_prefetch(entry);
    batch->entries[batch->count++] = entry;
    batch->walk->visited++;
    if (batch->count == BATCH)
        batch_flush(batch);
}

static void walk_begin(struct walk *walk, struct reply *reply, bool hands_out_cursor)
{
    walk->begun = true;
    if (hands_out_cursor) {
        reply_array(reply, 2);
        walk->cursor_gap = output_gap(reply->out);
    }
    walk->keys_gap = reply_deferred(reply);
}

static void walk_end(struct walk *walk, struct reply *reply)
{
    reply_deferred_end(reply, walk->keys_gap, REPLY_ARRAY, walk->found);
    if (!walk->cursor_gap)
        return;
    char text[OUTPUT_GAP_MAX + 1];
    int len =
        snprintf(text, sizeof text, "$%zu\r\n%llu\r\n", num_u64_len(walk->cursor), (unsigned long long)walk->cursor);
    output_fill(reply->out, walk->cursor_gap, bytes_make(text, (size_t)len));
}

/* Visits at most `buckets` buckets; true, with everything answered, when the walk is over. */
static bool walk_step(struct walk *walk, struct call *call, size_t buckets)
{
    struct batch batch = { .walk = walk, .reply = call->reply, .now_ms = call->now_ms };
    bool over = false;
    while (!over && buckets--) {
        walk->cursor = table_scan_once(&call->db->table, walk->cursor, batch_add, &batch);
        walk->buckets++;
        over = walk->cursor == 0 || walk->visited >= walk->max_visited || walk->buckets >= walk->max_buckets;
    }
    batch_flush(&batch);
    for (size_t i = 0; i < batch.expired_count && walk->cursor_gap; i++) /* whoever looks for one removes it */
        keyspace_peek(call->keyspace, call->db, key_make(entry_key(batch.expired[i])), call->now_ms);
    if (over)
        walk_end(walk, call->reply);
    return over;
}

struct walk_task {
    struct task task;
    struct walk walk;
    bool hands_out_cursor;
    char pattern[]; /* what walk.pattern points to */
};

static bool task_step(struct task *task, struct call *call)
{
    struct walk_task *self = (struct walk_task *)task;
    if (!self->walk.begun)
        walk_begin(&self->walk, call->reply, self->hands_out_cursor);
    return walk_step(&self->walk, call, STEP_BUCKETS);
}

static void task_destroy(struct task *task)
{
    mem_free(task);
}

static void walk_run(struct walk *walk, struct call *call, bool hands_out_cursor)
{
    static const struct task_type type = { .step = task_step, .destroy = task_destroy };
    if (keyspace_size(call->db) <= AT_ONCE_MAX || walk->max_visited <= AT_ONCE_MAX) {
        walk_begin(walk, call->reply, hands_out_cursor);
        walk_step(walk, call, SIZE_MAX);
        return;
    }
    struct walk_task *self = mem_try_alloc(sizeof *self + walk->pattern.len);
    if (!self) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    *self = (struct walk_task){ .task.type = &type, .walk = *walk, .hands_out_cursor = hands_out_cursor };
    if (walk->pattern.len)
        memcpy(self->pattern, walk->pattern.ptr, walk->pattern.len);
    self->walk.pattern.ptr = self->pattern;
    call_defer(call, &self->task);
}

/* A pattern that matches only itself. */
static bool is_plain_name(struct bytes pattern)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (strchr("*?[\\", pattern.ptr[i]) && pattern.ptr[i])
            return false;
    return true;
}

static void run_keys(struct call *call)
{
    struct bytes pattern = call->argv[1];
    if (is_plain_name(pattern)) {
        bool found = keyspace_peek(call->keyspace, call->db, key_make(pattern), call->now_ms);
        reply_array(call->reply, found);
        if (found)
            reply_bulk(call->reply, pattern);
        return;
    }
    struct walk walk = {
        .pattern = pattern,
        .any_name = glob_is_any(pattern),
        .type = TYPE_ANY,
        .max_visited = SIZE_MAX,
        .max_buckets = SIZE_MAX,
    };
    walk_run(&walk, call, false);
}

static int parse_type(struct bytes name)
{
    int type = 0;
    while (type < ENTRY_TYPES && !bytes_is(name, entry_type_name(type)))
        type++;
    return type;
}

/* Reads SCAN's options; false if that answered an error. */
static bool parse_options(struct call *call, struct walk *walk, int64_t *count)
{
    for (uint32_t i = 2; i < call->argc; i += 2) {
        bool has_value = i + 1 < call->argc;
        if (has_value && call_arg_is(call, i, "COUNT")) {
            if (!call_arg_i64(call, i + 1, INT64_MIN, INT64_MAX, NULL, count))
                return false;
            if (*count >= 1)
                continue;
        } else if (has_value && call_arg_is(call, i, "MATCH")) {
            walk->pattern = call->argv[i + 1];
            walk->any_name = glob_is_any(walk->pattern);
            continue;
        } else if (has_value && call_arg_is(call, i, "TYPE")) {
            walk->type = parse_type(call->argv[i + 1]);
            continue;
        }
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

static void run_scan(struct call *call)
{
    struct walk walk = { .any_name = true, .type = TYPE_ANY };
    int64_t count = SCAN_COUNT;
    if (!collection_scan_parse_cursor(call->argv[1], &walk.cursor)) {
        reply_fail(call->reply, ERROR_CURSOR);
        return;
    }
    if (!parse_options(call, &walk, &count))
        return;
    walk.max_visited = (size_t)count;
    walk.max_buckets = (size_t)count < SIZE_MAX / BUCKETS_PER_KEY ? (size_t)count * BUCKETS_PER_KEY : SIZE_MAX;
    walk_run(&walk, call, true);
}

static const char *const tips_keys[] = { "request_policy:all_shards", "nondeterministic_output_order", NULL };
static const char *const tips_scan[] = { "nondeterministic_output", "request_policy:special", NULL };
static const char *const history_scan[] = { "6.0.0", "Takes the option `TYPE`.", NULL };

const struct command scan_commands[] = {
    {
        .name = "KEYS",
        .run = run_keys,
        .argc = EXACTLY(2),
        .flags = CMD_READ | CMD_WHOLE_KEYSPACE,
        .categories = CATEGORY_DANGEROUS,
        .group = GROUP_GENERIC,
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of keys in the database; in slices, others are served between them.",
        .usage = "pattern",
        .brief = "Reply with all keys whose names match a pattern.",
        .tips = tips_keys,
    },
    {
        .name = "SCAN",
        .run = run_scan,
        .argc = AT_LEAST(2),
        .flags = CMD_READ | CMD_WHOLE_KEYSPACE,
        .group = GROUP_GENERIC,
        .since = "2.8.0",
        .complexity = "O(COUNT) for a call; O(N) for a whole iteration, where N is the number of keys.",
        .usage = "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        .brief = "Reply with some keys of the database and the cursor that goes on behind them.",
        .tips = tips_scan,
        .history = history_scan,
    },
    { 0 },
};
