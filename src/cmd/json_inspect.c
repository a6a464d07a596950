/*
 * JSON.TYPE, STRLEN, ARRLEN, OBJLEN, OBJKEYS, ARRINDEX, DEBUG: what paths name, looked at but not shown.
 *
 * Each is a function that answers for one value. JSONPath answers an array with one element for each value; an old path
 * answers for the first, or an error that depends on the command.
 */
#include "base/fiber.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "json_priv.h"
#include "store/document.h"

struct inspection {
    /* Answers for a value; false, and nothing was answered: it has no answer of that kind. */
    bool (*answer)(struct call *call, const struct json_value *value, const void *context);
    /* What an old path gets for a value that has none, or if there is no value (NULL). */
    void (*refuse)(struct call *call, const struct json_path *path, const struct json_value *value);
    /* What is answered if there is no such key. */
    void (*answer_missing)(struct call *call, const struct json_path *path);
    const void *context;
    bool outer; /* RESP3 has one array more around it */
};

static void answer_found(struct call *call, const struct json_path *path, const struct json_found *found,
    const struct inspection *inspection)
{
    bool outer = inspection->outer && call->reply->proto >= 3;
    if (json_path_is_legacy(path)) {
        const struct json_value *value = found->count ? json_found_at(found, 0) : NULL;
        if (outer)
            reply_array(call->reply, 1);
        if (!value || !inspection->answer(call, value, inspection->context))
            inspection->refuse(call, path, value);
        return;
    }
    if (outer)
        reply_array(call->reply, 1);
    reply_array(call->reply, found->count);
    for (size_t i = 0; i < found->count; i++) {
        if (!inspection->answer(call, json_found_at(found, i), inspection->context))
            reply_null(call->reply);
        fiber_breathe(JSON_COST_VALUE);
    }
}

/* With the path in argument `path_arg`, or the root. */
static void inspect(struct call *call, uint32_t path_arg, const struct inspection *inspection)
{
    struct json_reader reader;
    struct json_path *path = json_call_path_arg(call, path_arg);
    if (path && json_reader_begin(&reader, call, 1)) {
        struct json_found found;
        if (!json_reader_found(&reader)) {
            inspection->answer_missing(call, path);
        } else if (json_find(&reader, path, 0, SIZE_MAX, &found)) {
            if (!json_call_aside(call, found.count))
                answer_found(call, path, &found, inspection);
            json_found_fini(&found);
        }
        json_reader_end(&reader);
    }
    json_path_drop(path);
}

static void missing_is_refused(struct call *call, const struct json_path *path)
{
    if (json_path_is_legacy(path))
        reply_null(call->reply);
    else
        json_fail_missing_key(call);
}

/* --- JSON.TYPE --- */

static bool answer_type(struct call *call, const struct json_value *value, const void *context)
{
    (void)context;
    reply_bulk_cstr(call->reply, json_type_name(*value));
    return true;
}

static void refuse_type(struct call *call, const struct json_path *path, const struct json_value *value)
{
    (void)path;
    (void)value;
    reply_null(call->reply);
}

static void missing_type(struct call *call, const struct json_path *path)
{
    (void)path;
    if (call->reply->proto >= 3)
        reply_array(call->reply, 1);
    reply_null(call->reply);
}

static void run_type(struct call *call)
{
    inspect(call, 2,
        &(struct inspection){
            .answer = answer_type, .refuse = refuse_type, .answer_missing = missing_type, .outer = true });
}

/* --- Lengths --- */

static bool answer_strlen(struct call *call, const struct json_value *value, const void *context)
{
    (void)context;
    if (json_kind(*value) != JSON_STRING)
        return false;
    reply_int(call->reply, (int64_t)json_string(value).len);
    return true;
}

static void refuse_strlen(struct call *call, const struct json_path *path, const struct json_value *value)
{
    if (value)
        json_fail_type(call, "string", *value);
    else
        json_fail_path(call, path, "");
}

static void run_strlen(struct call *call)
{
    inspect(call, 2,
        &(struct inspection){ .answer = answer_strlen, .refuse = refuse_strlen, .answer_missing = missing_is_refused });
}

static bool answer_arrlen(struct call *call, const struct json_value *value, const void *context)
{
    (void)context;
    if (json_kind(*value) != JSON_ARRAY)
        return false;
    reply_int(call->reply, json_array_len(*value));
    return true;
}

static void refuse_arrlen(struct call *call, const struct json_path *path, const struct json_value *value)
{
    (void)value;
    json_fail_path(call, path, " or not an array");
}

static void run_arrlen(struct call *call)
{
    inspect(call, 2,
        &(struct inspection){ .answer = answer_arrlen, .refuse = refuse_arrlen, .answer_missing = missing_is_refused });
}

static bool answer_objlen(struct call *call, const struct json_value *value, const void *context)
{
    (void)context;
    if (json_kind(*value) != JSON_OBJECT)
        return false;
    reply_int(call->reply, json_object_len(*value));
    return true;
}

static void refuse_objlen(struct call *call, const struct json_path *path, const struct json_value *value)
{
    (void)path;
    if (value)
        json_fail_type(call, "object", *value);
    else
        reply_null(call->reply);
}

static void missing_objlen(struct call *call, const struct json_path *path)
{
    if (json_path_is_legacy(path))
        reply_null(call->reply);
    else
        json_fail_path(call, path, " or not an object");
}

static void run_objlen(struct call *call)
{
    inspect(call, 2,
        &(struct inspection){ .answer = answer_objlen, .refuse = refuse_objlen, .answer_missing = missing_objlen });
}

/* --- JSON.OBJKEYS --- */

static bool answer_keys(struct call *call, const struct json_value *value, const void *context)
{
    (void)context;
    if (json_kind(*value) != JSON_OBJECT)
        return false;
    reply_array(call->reply, json_object_len(*value));
    struct json_iter iter;
    for (json_iter_init(&iter, *value); json_iter_next(&iter);) {
        reply_bulk(call->reply, json_key_text(iter.key));
        fiber_breathe(JSON_COST_VALUE);
    }
    return true;
}

static void refuse_keys(struct call *call, const struct json_path *path, const struct json_value *value)
{
    if (value)
        json_fail_path(call, path, " or not an object");
    else
        reply_null(call->reply);
}

/* Members of all objects that would be answered, counted up to more than can be at once. */
static size_t count_members(const struct json_found *found)
{
    size_t count = found->count;
    for (size_t i = 0; i < found->count && count <= JSON_VALUES_AT_ONCE; i++)
        if (json_kind(*json_found_at(found, i)) == JSON_OBJECT)
            count += json_object_len(*json_found_at(found, i));
    return count;
}

static void run_objkeys(struct call *call)
{
    static const struct inspection inspection = {
        .answer = answer_keys, .refuse = refuse_keys, .answer_missing = missing_is_refused
    };
    struct json_reader reader;
    struct json_path *path = json_call_path_arg(call, 2);
    if (path && json_reader_begin(&reader, call, 1)) {
        struct json_found found;
        if (!json_reader_found(&reader)) {
            missing_is_refused(call, path);
        } else if (json_find(&reader, path, 0, SIZE_MAX, &found)) {
            if (!json_call_aside(call, count_members(&found)))
                answer_found(call, path, &found, &inspection);
            json_found_fini(&found);
        }
        json_reader_end(&reader);
    }
    json_path_drop(path);
}

/* --- JSON.ARRINDEX --- */

struct search {
    struct json_value value;
    int64_t start, stop;
};

/* The range that is searched: below zero from the end, a stop of 0 is the end. */
static void search_range(const struct search *search, int64_t len, int64_t *from, int64_t *to)
{
    *from = search->start < 0 ? search->start + len : search->start;
    *to = search->stop <= 0 ? search->stop + len : search->stop;
    *from = *from < 0 ? 0 : *from;
    *to = *to > len ? len : *to;
}

static bool answer_index(struct call *call, const struct json_value *value, const void *context)
{
    const struct search *search = context;
    if (json_kind(*value) != JSON_ARRAY)
        return false;
    int64_t from, to, len = json_array_len(*value), result = -1;
    search_range(search, len, &from, &to);
    struct json_iter iter;
    json_iter_init_at(&iter, *value, (uint32_t)(from < len ? from : len));
    for (int64_t at = from; at < to && result < 0 && json_iter_next(&iter); at++) {
        if (json_equal(iter.value, &search->value, true))
            result = at;
        fiber_breathe(JSON_COST_VALUE);
    }
    reply_int(call->reply, result);
    return true;
}

static void refuse_index(struct call *call, const struct json_path *path, const struct json_value *value)
{
    if (value)
        json_fail_type(call, "array", *value);
    else
        json_fail_path(call, path, "");
}

static size_t count_elements(const struct json_found *found)
{
    size_t count = found->count;
    for (size_t i = 0; i < found->count && count <= JSON_VALUES_AT_ONCE; i++)
        if (json_kind(*json_found_at(found, i)) == JSON_ARRAY)
            count += json_array_len(*json_found_at(found, i));
    return count;
}

static void find_index(struct call *call, const struct json_path *path, const struct search *search)
{
    const struct inspection inspection = { .answer = answer_index, .refuse = refuse_index, .context = search };
    struct json_reader reader;
    if (!json_reader_begin(&reader, call, 1))
        return;
    struct json_found found;
    if (!json_reader_found(&reader)) {
        json_fail_path(call, path, "");
    } else if (json_find(&reader, path, 0, SIZE_MAX, &found)) {
        if (!json_call_aside(call, count_elements(&found)))
            answer_found(call, path, &found, &inspection);
        json_found_fini(&found);
    }
    json_reader_end(&reader);
}

static void run_arrindex(struct call *call)
{
    struct search search = { .start = 0, .stop = 0 };
    unsigned depth;
    if ((call->argc > 4 && !json_call_index(call, 4, &search.start)) ||
        (call->argc > 5 && !json_call_index(call, 5, &search.stop)) || json_call_is_long(call) ||
        !json_call_values(call, 3, 1, &search.value, &depth))
        return;
    struct json_path *path = json_call_path_arg(call, 2);
    if (path)
        find_index(call, path, &search);
    json_path_drop(path);
    keyspace_release_json(call->keyspace, search.value);
}

/* --- JSON.DEBUG --- */

static size_t measure_value(const struct json_value *value)
{
    enum { SLICE = 500 };
    struct json_measure measure;
    json_measure_begin(&measure, value);
    while (!json_measure_step(&measure, SLICE))
        fiber_breathe(JSON_BREATH);
    return measure.bytes;
}

bool json_call_memory(struct call *call, const struct entry *entry, size_t *bytes)
{
    struct json_value root = document_root(entry);
    if (json_call_aside(call, json_weigh(root, JSON_VALUES_AT_ONCE + 1)))
        return false;
    if (fiber_running)
        json_value_ref(root);
    *bytes = measure_value(&root) - sizeof root;
    if (fiber_running)
        keyspace_release_json(call->keyspace, root);
    return true;
}

static bool answer_memory(struct call *call, const struct json_value *value, const void *context)
{
    (void)context;
    reply_int(call->reply, (int64_t)measure_value(value));
    return true;
}

static void refuse_memory(struct call *call, const struct json_path *path, const struct json_value *value)
{
    (void)value;
    json_fail_path(call, path, "");
}

static size_t weigh_all(const struct json_found *found)
{
    size_t weight = 0;
    for (size_t i = 0; i < found->count && weight <= JSON_VALUES_AT_ONCE; i++)
        weight += json_weigh(*json_found_at(found, i), JSON_VALUES_AT_ONCE + 1);
    return weight;
}

static void measure(struct call *call)
{
    static const struct inspection inspection = { .answer = answer_memory, .refuse = refuse_memory };
    struct json_reader reader;
    struct json_path *path = json_call_path_arg(call, 3);
    if (path && json_reader_begin(&reader, call, 2)) {
        struct json_found found;
        if (!json_reader_found(&reader) && json_path_is_legacy(path)) {
            reply_int(call->reply, 0);
        } else if (!json_reader_found(&reader)) {
            reply_array(call->reply, 0);
        } else if (json_find(&reader, path, 0, SIZE_MAX, &found)) {
            if (!json_call_aside(call, weigh_all(&found)))
                answer_found(call, path, &found, &inspection);
            json_found_fini(&found);
        }
        json_reader_end(&reader);
    }
    json_path_drop(path);
}

static void run_debug(struct call *call)
{
    if (call_arg_is(call, 1, "HELP")) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, BYTES("MEMORY <key> [path] - reports memory usage"));
        reply_bulk(call->reply, BYTES("HELP                - this message"));
    } else if (!call_arg_is(call, 1, "MEMORY")) {
        reply_error(call->reply, BYTES("ERR unknown subcommand - try `JSON.DEBUG HELP`"));
    } else if (call->argc < 3 || call->argc > 4) {
        call_fail_arity(call);
    } else {
        measure(call);
    }
}

#define INSPECT_ROW(n, fn, text, version)                                                                  \
    {                                                                                                      \
        .name = (n), .run = (fn), .argc = AT_LEAST(2), .flags = CMD_READ, .categories = CATEGORY_READ,     \
        .group = GROUP_JSON, .keys = { KEY_AT(1, KEY_READ_ACCESS) }, .since = (version),                   \
        .complexity = "O(N) where N is what the path looks at; O(1) for the root.", .usage = "key [path]", \
        .brief = text                                                                                      \
    }

const struct command json_inspect_commands[] = {
    INSPECT_ROW("JSON.TYPE", run_type, "Replies with the types of what a path names.", "1.0.0"),
    INSPECT_ROW(
        "JSON.STRLEN", run_strlen, "Replies with the lengths in bytes of the strings that a path names.", "1.0.0"),
    INSPECT_ROW("JSON.ARRLEN", run_arrlen, "Replies with the lengths of the arrays that a path names.", "1.0.0"),
    INSPECT_ROW(
        "JSON.OBJLEN", run_objlen, "Replies with how many members the objects have that a path names.", "1.0.0"),
    INSPECT_ROW("JSON.OBJKEYS", run_objkeys, "Replies with the names of the members of the objects that a path names.",
        "1.0.0"),
    { .name = "JSON.ARRINDEX",
        .run = run_arrindex,
        .argc = { .min = 4, .max = 6 },
        .flags = CMD_READ,
        .categories = CATEGORY_READ,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) where N is what the path looks at, and the elements that are searched.",
        .usage = "key path value [start [stop]]",
        .brief = "Replies with the position of a JSON value in the arrays that a path names, or -1." },
    { .name = "JSON.DEBUG",
        .run = run_debug,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .categories = CATEGORY_READ,
        .group = GROUP_JSON,
        .keys = { KEY_AT(2, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) where N is the size of what is measured.",
        .usage = "<MEMORY key [path] | HELP>",
        .brief = "Replies with the bytes of memory that a document, or what a path names in it, takes." },
    { 0 },
};
