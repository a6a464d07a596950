/*
 * JSON: what all its commands share; see json_priv.h.
 *
 * A path that names one place costs nothing but its look-ups: the path comes compiled from the engine's cache, the text
 * is written into a buffer that the engine keeps, and nothing is allocated.
 */
#include "json_priv.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "engine/aside.h"
#include "engine/engine.h"
#include "store/document.h"
#include "json/parse.h"
#include "json/query.h"

/* --- Errors --- */

void json_fail_missing_key(struct call *call)
{
    reply_error(call->reply, BYTES("ERR could not perform this operation on a key that doesn't exist"));
}

void json_fail_root(struct call *call)
{
    reply_error(call->reply, BYTES("ERR new objects must be created at the root"));
}

void json_fail_static(struct call *call)
{
    reply_error(call->reply, BYTES("Err wrong static path"));
}

void json_fail_memory(struct call *call)
{
    reply_fail(call->reply, ERROR_MEMORY_REQUEST);
}

/* Old paths are shown as the new ones that mean the same. */
void json_fail_path(struct call *call, const struct json_path *path, const char *otherwise)
{
    enum { SHOWN_MAX = 512 };
    struct bytes text = json_path_text(path);
    const char *prefix = "";
    if (json_path_is_legacy(path)) {
        if (bytes_equal(text, BYTES(".")))
            text.len = 0;
        prefix = text.len && text.ptr[0] != '.' && text.ptr[0] != '[' ? "$." : "$";
    }
    int shown = (int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
    reply_error_printf(
        call->reply, "ERR Path '%s%.*s' does not exist%s", prefix, shown, shown ? text.ptr : "", otherwise);
}

void json_fail_type(struct call *call, const char *expected, struct json_value found)
{
    reply_error_printf(
        call->reply, "WRONGTYPE wrong type of path value - expected %s but found %s", expected, json_type_name(found));
}

const char *json_type_name(struct json_value value)
{
    static const char *const names[] = { [JSON_NULL] = "null",
        [JSON_BOOL] = "boolean",
        [JSON_INT] = "integer",
        [JSON_UINT] = "integer",
        [JSON_DOUBLE] = "number",
        [JSON_STRING] = "string",
        [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object" };
    return names[json_kind(value)];
}

/* --- Arguments --- */

struct json_path *json_call_path(struct call *call, struct bytes text)
{
    struct json_path_error error;
    struct json_path *path = json_path_cache_get(call->engine->paths, text, &error);
    if (!path)
        reply_error_printf(call->reply, "ERR path error: %s; what it names does not exist", error.text);
    return path && fiber_running ? json_path_ref(path) : path;
}

void json_path_drop(struct json_path *path)
{
    if (fiber_running)
        json_path_unref(path);
}

struct json_path *json_call_path_arg(struct call *call, uint32_t index)
{
    return json_call_path(call, index < call->argc ? call->argv[index] : BYTES("."));
}

static void fail_text(struct call *call, enum json_parse_error error, const char *what, size_t at)
{
    if (error == JSON_ERROR_MEMORY)
        json_fail_memory(call);
    else if (error == JSON_ERROR_UTF8)
        reply_error_printf(call->reply, "Couldn't parse as UTF-8 string: invalid byte at position %zu", at);
    else
        reply_error_printf(call->reply, "ERR %s at position %zu of the JSON text", what, at);
}

/* A long text, in slices. */
static bool parse_long(struct call *call, uint32_t index, struct json_value *value, unsigned *depth)
{
    struct json_parser *parser = json_call_parser(call, index);
    if (!parser) {
        json_fail_memory(call);
        return false;
    }
    enum json_parse_status status;
    while ((status = json_parser_step(parser, JSON_TEXT_SLICE)) == JSON_PARSE_MORE)
        fiber_breathe(JSON_BREATH);
    if (status == JSON_PARSE_DONE) {
        unsigned own = json_parser_depth(parser);
        *value = json_parser_take(parser);
        *depth = own > *depth ? own : *depth;
    } else {
        fail_text(call, json_parser_error(parser), json_parser_error_text(parser), json_parser_error_at(parser));
    }
    struct json_trash trash = { 0 };
    json_parser_destroy(parser, &trash);
    keyspace_discard_json(call->keyspace, &trash);
    return status == JSON_PARSE_DONE;
}

static bool parse(struct call *call, uint32_t index, struct json_value *value, unsigned *depth)
{
    enum { SHORT = 4096 };
    struct bytes text = call->argv[index];
    if (text.len > SHORT)
        return parse_long(call, index, value, depth);
    const char *what = "";
    size_t at = 0;
    enum json_parse_error error = json_parse(text, value, &what, &at);
    if (error) {
        fail_text(call, error, what, at);
        return false;
    }
    unsigned own = json_depth(*value, JSON_MAX_DEPTH);
    *depth = own > *depth ? own : *depth;
    return true;
}

bool json_call_values(struct call *call, uint32_t index, uint32_t count, struct json_value *values, unsigned *depth)
{
    *depth = 0;
    for (uint32_t i = 0; i < count; i++) {
        fiber_breathe(JSON_COST_PLACE);
        if (parse(call, index + i, &values[i], depth))
            continue;
        json_release_values(call, values, i);
        return false;
    }
    return true;
}

void json_release_values(struct call *call, const struct json_value *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        keyspace_release_json(call->keyspace, values[i]);
        fiber_breathe(JSON_COST_PLACE);
    }
}

bool json_call_is_long(struct call *call)
{
    size_t len = 0;
    for (uint32_t i = 1; i < call->argc; i++)
        len += call->argv[i].len;
    return len > JSON_TEXT_AT_ONCE && call_aside(call, len);
}

bool json_call_index(struct call *call, uint32_t index, int64_t *value)
{
    return call_arg_i64(call, index, INT64_MIN, INT64_MAX, "ERR Couldn't parse as integer", value);
}

bool json_call_entry(struct call *call, uint32_t key_arg, bool writes, struct entry **entry)
{
    *entry = writes ? call_write(call, key_arg) : call_read(call, key_arg);
    if (!*entry || (*entry)->type == ENTRY_JSON)
        return true;
    reply_error(call->reply, BYTES("Existing key has wrong Redis type"));
    return false;
}

/* --- Reading --- */

bool json_reader_begin(struct json_reader *reader, struct call *call, uint32_t key_arg)
{
    *reader = (struct json_reader){ .call = call };
    struct entry *entry;
    if (!json_call_entry(call, key_arg, false, &entry))
        return false;
    if (!entry)
        return true;
    reader->root = document_root(entry);
    if (fiber_running) {
        json_value_ref(reader->root);
        reader->pinned = true;
    }
    return true;
}

void json_reader_end(struct json_reader *reader)
{
    if (reader->pinned)
        keyspace_release_json(reader->call->keyspace, reader->root);
    reader->pinned = false;
}

bool json_call_aside(struct call *call, size_t values)
{
    return values > JSON_VALUES_AT_ONCE && call_aside_unheld(call);
}

/* Runs a query to its end; false when the call went aside instead, or an error was answered. */
static bool collect(struct json_reader *reader, struct json_query *query, struct json_matches *matches)
{
    struct call *call = reader->call;
    uint64_t budget = JSON_STEPS_AT_ONCE;
    for (;;) {
        enum json_query_state state = json_matches_collect(matches, query, &budget);
        if (state == JSON_QUERY_DONE)
            return true;
        if (state == JSON_QUERY_FAILED) {
            if (matches->out_of_memory)
                json_fail_memory(call);
            else
                reply_error_printf(call->reply, "ERR %s", json_query_error(query));
            return false;
        }
        if (call_aside_unheld(call))
            return false;
        fiber_breathe(JSON_BREATH);
        budget = JSON_STEPS_SLICE;
    }
}

bool json_find_all(
    struct json_reader *reader, const struct json_path *path, size_t skip, size_t limit, struct json_found *found)
{
    *found = (struct json_found){ 0 };
    if (json_path_is_static(path)) {
        found->single = json_path_get(path, &reader->root);
        found->count = found->single && !skip && limit;
        return true;
    }
    json_matches_init(&found->matches, JSON_MATCHES_VALUES, skip, limit);
    struct json_query *query = json_query_create(path, &reader->root);
    bool done = collect(reader, query, &found->matches);
    json_query_destroy(query);
    if (!done)
        json_found_fini(found);
    found->count = found->matches.count;
    return done;
}

bool json_find(
    struct json_reader *reader, const struct json_path *path, size_t skip, size_t limit, struct json_found *found)
{
    return json_find_all(reader, path, skip, json_path_is_legacy(path) && limit > 1 ? 1 : limit, found);
}

void json_found_fini(struct json_found *found)
{
    if (found->matches.pages)
        json_matches_fini(&found->matches);
}

size_t json_weigh(struct json_value value, size_t enough)
{
    size_t count = 1;
    if (!json_is_container(value) || enough <= 1)
        return count;
    struct json_iter iter;
    for (json_iter_init(&iter, value); count < enough && json_iter_next(&iter);)
        count += json_weigh(*iter.value, enough - count);
    return count;
}

size_t json_weigh_text(const struct json_value *value, size_t enough)
{
    enum { SCALAR = 8 };
    size_t weight = SCALAR;
    if (json_kind(*value) == JSON_STRING)
        return weight + json_string(value).len;
    if (!json_is_container(*value) || enough <= weight)
        return weight;
    struct json_iter iter;
    for (json_iter_init(&iter, *value); weight < enough && json_iter_next(&iter);)
        weight += json_weigh_text(iter.value, enough - weight);
    return weight;
}
