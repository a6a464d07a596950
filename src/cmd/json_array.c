/*
 * JSON.ARRAPPEND, ARRINSERT, ARRPOP, ARRTRIM, STRAPPEND: growing and cutting what paths name.
 *
 * Positions below zero count from the end. Elements that many arrays get are shared between them, not copied.
 */
#include "base/assert.h"
#include "base/fiber.h"
#include "base/num.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "json_edit_priv.h"

/* --- Inserting --- */

struct insertion {
    struct json_value *values; /* owned */
    uint32_t count;
    unsigned depth; /* of the deepest of them */
    bool appends;
    int64_t index;
};

/* Where it goes in an array of that length; false: out of bounds. */
static bool insertion_point(const struct insertion *insertion, uint32_t len, uint32_t *at)
{
    int64_t index = insertion->appends ? len : insertion->index;
    if (index < 0)
        index += len;
    *at = (uint32_t)index;
    return index >= 0 && index <= len;
}

static void look_at_array(struct json_work *work, const struct json_value *found, struct json_value *answer)
{
    const struct insertion *insertion = work->context;
    uint32_t at;
    if (json_kind(*found) != JSON_ARRAY)
        return;
    uint32_t len = json_array_len(*found);
    if (!insertion_point(insertion, len, &at))
        work->refusal = "ERR index out of bounds";
    else if (insertion->count > UINT32_MAX - 1 - len)
        work->refusal = "ERR an array has at most 4294967294 elements";
    else if (work->depth + 1 + insertion->depth > JSON_MAX_DEPTH)
        work->refusal = "ERR recursion limit exceeded: at most 127 containers may be nested";
    *answer = json_make_uint((uint64_t)len + insertion->count);
}

static bool insert_values(struct json_work *work, struct json_value *slot, struct json_value *answer)
{
    const struct insertion *insertion = work->context;
    uint32_t at, count = insertion->count;
    insertion_point(insertion, json_array_len(*slot), &at);
    *answer = json_make_uint((uint64_t)json_array_len(*slot) + count);
    for (uint32_t i = 0; i < count; i++) {
        bool fits = json_array_insert(slot, at + i, &insertion->values[i], 1, work->trash);
        ASSERT(fits); /* it was looked at */
        json_value_ref(insertion->values[i]);
        fiber_breathe(JSON_COST_PLACE);
    }
    return true;
}

static void insert(struct call *call, uint32_t first, struct insertion *insertion, const char *event)
{
    if (json_call_is_long(call))
        return;
    insertion->count = call->argc - first;
    insertion->values = arena_alloc(call->arena, insertion->count * sizeof *insertion->values);
    if (!json_call_values(call, first, insertion->count, insertion->values, &insertion->depth))
        return;
    struct json_work work = { .look = look_at_array,
        .change = insert_values,
        .event = event,
        .otherwise = " or not an array",
        .context = insertion };
    json_work_answer_ints(&work, call, 2);
    json_release_values(call, insertion->values, insertion->count);
}

static void run_append(struct call *call)
{
    struct insertion insertion = { .appends = true };
    insert(call, 3, &insertion, "json.arrappend");
}

static void run_insert(struct call *call)
{
    struct insertion insertion = { 0 };
    if (json_call_index(call, 3, &insertion.index))
        insert(call, 4, &insertion, "json.arrinsert");
}

/* --- Taking out --- */

/* A position as the end of a range, or of an element: below zero from the end; at least 0, at most the last. */
static uint32_t clamp(int64_t index, uint32_t len)
{
    if (index < 0)
        return index + len < 0 ? 0 : (uint32_t)(index + len);
    return index < len ? (uint32_t)index : len - 1;
}

static void look_for_pop(struct json_work *work, const struct json_value *found, struct json_value *answer)
{
    const int64_t *index = work->context;
    if (json_kind(*found) != JSON_ARRAY)
        return;
    *answer = JSON_VALUE_NULL;
    uint32_t len = json_array_len(*found);
    work->idle += len == 0;
    if (len && work->weight <= JSON_TEXT_AT_ONCE)
        work->weight += json_weigh_text(json_array_at(*found, clamp(*index, len)), JSON_TEXT_AT_ONCE + 1);
}

/* The element, or nothing if there is none. */
static bool pop(struct json_work *work, struct json_value *slot, struct json_value *answer)
{
    uint32_t len = json_array_len(*slot);
    const int64_t *index = work->context;
    *answer = len ? json_array_take(slot, clamp(*index, len), work->trash) : JSON_VALUE_NONE;
    return true;
}

static void reply_popped(struct call *call, const struct json_value *value, enum json_format format)
{
    bool as_text = format == JSON_FORMAT_STRING ||
                   (format == JSON_FORMAT_EXPAND1 && (json_is_container(*value) || json_kind(*value) == JSON_STRING));
    if (!value->bits)
        reply_null(call->reply);
    else if (as_text)
        json_reply_text(call, value);
    else
        json_reply_expanded(call, value);
}

static void run_pop(struct call *call)
{
    enum json_format format = JSON_FORMAT_STRING;
    int64_t index = -1;
    uint32_t path_arg = 2;
    if (call->argc > 3 && call_arg_is(call, 2, "FORMAT")) {
        if (!json_call_format(call, 3, &format))
            return;
        path_arg = 4;
    }
    if (call->argc > path_arg + 2) {
        call_fail_arity(call);
        return;
    }
    /* What is no index is none given: the module that has this command reads it so. */
    if (path_arg + 1 < call->argc && !num_parse_i64(call->argv[path_arg + 1], &index))
        index = -1;
    struct json_work work = {
        .look = look_for_pop, .change = pop, .event = "json.arrpop", .otherwise = " or not an array", .context = &index
    };
    if (json_work_run(&work, call, path_arg)) {
        if (json_path_is_legacy(work.path)) {
            reply_popped(call, &work.last, format);
        } else {
            reply_array(call->reply, work.place.count);
            for (size_t i = 0; i < work.place.count; i++) {
                reply_popped(call, &work.answers[i], format);
                fiber_breathe(JSON_COST_VALUE);
            }
        }
    }
    json_work_end(&work);
}

struct range {
    int64_t start, stop;
};

/* What stays of an array of that length; false: nothing. */
static bool range_of(const struct range *range, uint32_t len, uint32_t *from, uint32_t *count)
{
    if (!len || range->start >= len)
        return false;
    *from = clamp(range->start, len);
    uint32_t to = clamp(range->stop, len);
    *count = to - *from + 1;
    return *from <= to;
}

static void look_for_trim(struct json_work *work, const struct json_value *found, struct json_value *answer)
{
    uint32_t from, count;
    if (json_kind(*found) == JSON_ARRAY)
        *answer = json_make_int(range_of(work->context, json_array_len(*found), &from, &count) ? count : 0);
}

static bool trim(struct json_work *work, struct json_value *slot, struct json_value *answer)
{
    uint32_t len = json_array_len(*slot), from, count;
    if (!range_of(work->context, len, &from, &count)) {
        from = 0;
        count = 0;
    }
    *answer = json_make_int(count);
    if (from + count < len)
        json_array_remove(slot, from + count, len - from - count, work->trash);
    if (from)
        json_array_remove(slot, 0, from, work->trash);
    return true;
}

static void run_trim(struct call *call)
{
    struct range range;
    if (!json_call_index(call, 3, &range.start) || !json_call_index(call, 4, &range.stop))
        return;
    struct json_work work = { .look = look_for_trim,
        .change = trim,
        .event = "json.arrtrim",
        .otherwise = " or not an array",
        .context = &range };
    json_work_answer_ints(&work, call, 2);
}

/* --- Strings --- */

enum { LONG = 4096, COPIED_A_WEIGHT = 8 };

/* Bytes that are copied when so many are appended to a string: it moves, or others hold it, too. */
static size_t copied(const struct json_work *work, const struct json_value *string, size_t more)
{
    size_t depth, len = json_string(string).len;
    const uint32_t *steps = json_change_steps(&work->place, work->looked, &depth);
    if (len < LONG || fiber_running)
        return 0;
    return json_string_fits(*string, more) && !json_doc_is_shared(work->place.doc, steps, depth) ? 0 : len;
}

static void look_at_string(struct json_work *work, const struct json_value *found, struct json_value *answer)
{
    const struct json_value *suffix = work->context;
    if (json_kind(*found) != JSON_STRING)
        return;
    size_t len = json_string(found).len + json_string(suffix).len;
    if (len > UINT32_MAX)
        work->refusal = "ERR string exceeds maximum allowed size";
    *answer = json_make_int((int64_t)len);
    work->weight += copied(work, found, json_string(suffix).len) / COPIED_A_WEIGHT;
}

static bool append_string(struct json_work *work, struct json_value *slot, struct json_value *answer)
{
    (void)answer;
    return json_string_append(slot, json_string(work->context), work->trash);
}

static void run_strappend(struct call *call)
{
    uint32_t value_arg = call->argc - 1;
    struct json_value suffix;
    unsigned depth;
    if (json_call_is_long(call) || !json_call_values(call, value_arg, 1, &suffix, &depth))
        return;
    struct json_work work = { .look = look_at_string,
        .change = append_string,
        .event = "json.strappend",
        .otherwise = " or not a string",
        .context = &suffix };
    if (json_kind(suffix) == JSON_STRING)
        json_work_answer_ints(&work, call, value_arg == 2 ? call->argc : 2);
    else
        json_fail_type(call, "string", suffix);
    keyspace_release_json(call->keyspace, suffix);
}

static const char complexity[] = "O(N) where N is what the path looks at and names.";

const struct command json_array_commands[] = {
    { .name = "JSON.ARRAPPEND",
        .run = run_append,
        .argc = AT_LEAST(4),
        .early = &json_early_type,
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(M+N) where M is the size of the values and N what the path looks at and names.",
        .usage = "key path value [value ...]",
        .brief = "Appends JSON values to the arrays that a path names." },
    { .name = "JSON.ARRINSERT",
        .run = run_insert,
        .argc = AT_LEAST(5),
        .early = &json_early_type,
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(M+N) where M is the size of the values and N what the path looks at and names.",
        .usage = "key path index value [value ...]",
        .brief = "Inserts JSON values before an element of the arrays that a path names." },
    { .name = "JSON.ARRPOP",
        .run = run_pop,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = complexity,
        .usage = "key [FORMAT <STRING | EXPAND | EXPAND1>] [path [index]]",
        .brief = "Takes an element out of the arrays that a path names, and replies with it." },
    { .name = "JSON.ARRTRIM",
        .run = run_trim,
        .argc = EXACTLY(5),
        .flags = CMD_WRITE,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "1.0.0",
        .complexity = complexity,
        .usage = "key path start stop",
        .brief = "Cuts the arrays that a path names down to a range of their elements." },
    { .name = "JSON.STRAPPEND",
        .run = run_strappend,
        .argc = { .min = 3, .max = 4 },
        .early = &json_early_type,
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "1.0.0",
        .complexity = "O(M+N) where M is the length of what is appended and N what the path looks at and names.",
        .usage = "key [path] value",
        .brief = "Appends to the strings that a path names." },
    { 0 },
};
