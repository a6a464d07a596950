/*
 * JSON.GET, JSON.MGET, JSON.RESP: documents, or what paths name in them, in replies.
 *
 * What paths name is gathered first, so that nothing can fail once the reply has begun; then it is written piece by
 * piece. Several paths answer one object with a member for each; if one of them is JSONPath, all members are arrays.
 */
#include "base/fiber.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "engine/engine.h"
#include "json_priv.h"
#include "json_words_priv.h"
#include "store/document.h"
#include "json/lengths.h"

enum {
    WORDS_AT_ONCE = JSON_VALUES_AT_ONCE / 4,
    FEW_WORDS = 16,     /* up to here paths are compared each with each */
    COST_OF_PATH = 120, /* of compiling one, in tens of ns */
};

/* --- JSON.GET --- */

struct get_options {
    struct json_layout layout;
    bool has_layout;
    enum json_format format;
    size_t skip, limit;
    uint32_t *paths; /* arguments, in the arena, each text once */
    uint32_t path_count;
    struct json_words seen; /* what they say, if there are many */
    bool several;           /* more than one was given */
    bool legacy;            /* all of them are old ones */
};

/* A number of LIMIT; a negative count is no limit, as elsewhere. */
static bool read_limit(struct call *call, uint32_t index, struct get_options *options)
{
    int64_t skip, limit;
    if (!call_arg_i64(call, index, 0, INT64_MAX, NULL, &skip) ||
        !call_arg_i64(call, index + 1, INT64_MIN, INT64_MAX, NULL, &limit))
        return false;
    options->skip = (size_t)skip;
    options->limit = limit < 0 ? SIZE_MAX : (size_t)limit;
    return true;
}

/* True if the argument is an option, *i being left at its last argument; *failed: an error was answered. */
static bool read_option(struct call *call, uint32_t *i, struct get_options *options, bool *failed)
{
    enum { INDENT, NEWLINE, SPACE, FORMAT, LIMIT, NOESCAPE, OPTIONS };
    static const struct {
        const char *word;
        uint32_t values;
    } words[OPTIONS] = { [INDENT] = { "INDENT", 1 },
        [NEWLINE] = { "NEWLINE", 1 },
        [SPACE] = { "SPACE", 1 },
        [FORMAT] = { "FORMAT", 1 },
        [LIMIT] = { "LIMIT", 2 },
        [NOESCAPE] = { "NOESCAPE", 0 } };
    int which = 0;
    while (which < OPTIONS && !call_arg_is(call, *i, words[which].word))
        which++;
    if (which == OPTIONS)
        return false;
    if (call->argc - *i <= words[which].values) {
        call_fail_arity(call);
        *failed = true;
        return true;
    }
    struct bytes value = words[which].values ? call->argv[*i + 1] : BYTES("");
    struct bytes *parts[] = { &options->layout.indent, &options->layout.newline, &options->layout.space };
    if (which <= SPACE) {
        *parts[which] = value;
        options->has_layout = true;
    } else if (which == FORMAT) {
        *failed = !json_call_format(call, *i + 1, &options->format);
    } else if (which == LIMIT) {
        *failed = !read_limit(call, *i + 1, options);
    }
    *i += words[which].values;
    return true;
}

/* True if the same path was given before. */
static bool is_known(struct call *call, uint32_t index, struct get_options *options)
{
    if (options->seen.slots)
        return json_words_first(&options->seen, index) != index;
    for (uint32_t i = 0; i < options->path_count; i++)
        if (bytes_equal(call->argv[options->paths[i]], call->argv[index]))
            return true;
    return false;
}

static void add_path(struct call *call, uint32_t index, struct get_options *options)
{
    options->several = options->path_count > 0;
    if (!is_known(call, index, options))
        options->paths[options->path_count++] = index;
}

static bool read_options(struct call *call, struct get_options *options)
{
    *options = (struct get_options){ .limit = SIZE_MAX, .legacy = true };
    options->paths = arena_alloc(call->arena, call->argc * sizeof *options->paths);
    if (call->argc > FEW_WORDS)
        json_words_init(&options->seen, call, call->argc);
    bool failed = false;
    for (uint32_t i = 2; i < call->argc && !failed; i++) {
        if (!read_option(call, &i, options, &failed))
            add_path(call, i, options);
        fiber_breathe(JSON_COST_PLACE);
    }
    return !failed;
}

static struct bytes path_text(const struct call *call, const struct get_options *options, uint32_t at)
{
    return options->path_count ? call->argv[options->paths[at]] : BYTES(".");
}

static void append_line(struct json_text *text, const struct get_options *options, unsigned depth)
{
    if (!options->has_layout)
        return;
    json_text_append(text, options->layout.newline);
    for (unsigned i = 0; i < depth; i++)
        json_text_append(text, options->layout.indent);
}

/* All values that a path named, as an array whose elements stand at that depth. */
static bool append_all(
    struct json_text *text, const struct json_found *found, const struct get_options *options, unsigned depth)
{
    json_text_append(text, BYTES("["));
    for (size_t i = 0; i < found->count; i++) {
        if (i)
            json_text_append(text, BYTES(","));
        append_line(text, options, depth);
        if (!json_text_value(text, json_found_at(found, i), options->has_layout ? &options->layout : NULL, depth))
            return false;
        fiber_breathe(JSON_COST_PLACE);
    }
    if (found->count)
        append_line(text, options, depth - 1);
    json_text_append(text, BYTES("]"));
    return true;
}

static bool append_found(
    struct json_text *text, const struct json_found *found, const struct get_options *options, unsigned depth)
{
    if (!options->legacy)
        return append_all(text, found, options, depth + 1);
    return json_text_value(text, json_found_at(found, 0), options->has_layout ? &options->layout : NULL, depth);
}

/* An object with a member for each path. */
static bool append_members(
    struct call *call, struct json_text *text, const struct json_found *found, const struct get_options *options)
{
    json_text_append(text, BYTES("{"));
    for (uint32_t i = 0; i < options->path_count; i++) {
        if (i)
            json_text_append(text, BYTES(","));
        append_line(text, options, 1);
        json_print_string(path_text(call, options, i), text->buf);
        json_text_append(text, BYTES(":"));
        json_text_append(text, options->layout.space);
        if (!append_found(text, &found[i], options, 1))
            return false;
        fiber_breathe(JSON_COST_PLACE);
    }
    append_line(text, options, 0);
    json_text_append(text, BYTES("}"));
    return true;
}

static void answer_text(struct call *call, const struct json_found *found, const struct get_options *options)
{
    struct json_text text;
    json_text_begin(&text, call);
    bool done =
        options->several ? append_members(call, &text, found, options) : append_found(&text, &found[0], options, 0);
    if (done)
        json_text_end(&text);
    else
        json_text_drop(&text);
}

/* An array for each path. */
static void answer_expanded(struct call *call, const struct json_found *found, uint32_t count, enum json_format format)
{
    size_t weight = 0;
    for (uint32_t i = 0; i < count; i++)
        for (size_t j = 0; j < found[i].count && weight <= JSON_TEXT_AT_ONCE; j++)
            weight += json_weigh_text(json_found_at(&found[i], j), JSON_TEXT_AT_ONCE);
    if (weight > JSON_TEXT_AT_ONCE && call_aside_unheld(call))
        return;
    reply_array(call->reply, count);
    for (uint32_t i = 0; i < count; i++) {
        reply_array(call->reply, found[i].count);
        for (size_t j = 0; j < found[i].count; j++) {
            const struct json_value *value = json_found_at(&found[i], j);
            bool as_text =
                format == JSON_FORMAT_EXPAND1 && (json_is_container(*value) || json_kind(*value) == JSON_STRING);
            if (as_text)
                json_reply_text(call, value);
            else
                json_reply_expanded(call, value);
            fiber_breathe(JSON_COST_VALUE);
        }
    }
}

/* True if every path is an old one. A path that cannot be read is answered with an error: *failed. */
static bool all_legacy(struct call *call, const struct get_options *options, bool *failed)
{
    bool legacy = true;
    for (uint32_t i = 0; i < options->path_count && !*failed; i++) {
        struct json_path *path = json_call_path(call, path_text(call, options, i));
        *failed = !path;
        legacy = legacy && path && json_path_is_legacy(path);
        json_path_drop(path);
        fiber_breathe(COST_OF_PATH);
    }
    return legacy;
}

/* Gathers what path `at` names; false: answered, or gone aside. */
static bool find(struct json_reader *reader, const struct get_options *options, uint32_t at, struct json_found *found)
{
    struct call *call = reader->call;
    struct json_path *path = json_call_path(call, path_text(call, options, at));
    if (!path)
        return false;
    size_t limit = options->legacy && options->limit > 1 ? 1 : options->limit;
    bool done = json_find_all(reader, path, options->skip, limit, found);
    if (done && options->legacy && !found->count && options->format == JSON_FORMAT_STRING) {
        json_fail_path(call, path, "");
        json_found_fini(found);
        done = false;
    }
    json_path_drop(path);
    return done;
}

static void answer_paths(struct json_reader *reader, const struct get_options *options)
{
    struct call *call = reader->call;
    uint32_t count = options->path_count ? options->path_count : 1, found_count = 0;
    struct json_found *found = arena_alloc(call->arena, count * sizeof *found);
    while (found_count < count && find(reader, options, found_count, &found[found_count])) {
        found_count++;
        fiber_breathe(COST_OF_PATH);
    }
    if (found_count == count && options->format != JSON_FORMAT_STRING)
        answer_expanded(call, found, count, options->format);
    else if (found_count == count)
        answer_text(call, found, options);
    while (found_count > 0) {
        json_found_fini(&found[--found_count]);
        fiber_breathe(JSON_COST_VALUE);
    }
}

/* Most requests by far: one path that names one place, and nothing else. */
static bool answer_simple(struct json_reader *reader)
{
    struct call *call = reader->call;
    if (call->argc > 3)
        return false;
    struct json_path *path = json_call_path_arg(call, 2);
    const struct json_value *value = path && json_path_is_static(path) ? json_path_get(path, &reader->root) : NULL;
    bool legacy = value && json_path_is_legacy(path);
    json_path_drop(path);
    if (!value)
        return !path;
    size_t brackets = legacy ? 0 : 2, known = json_lengths_find(call->engine->lengths, *value);
    if (known > JSON_TEXT_AT_ONCE && call_aside_unheld(call))
        return true;
    struct json_text text;
    json_text_begin(&text, call);
    if (known > JSON_TEXT_AT_ONCE)
        json_text_say(&text, known + brackets);
    if (!legacy)
        json_text_append(&text, BYTES("["));
    bool done = json_text_value(&text, value, NULL, 0);
    if (!legacy)
        json_text_append(&text, BYTES("]"));
    if (done)
        json_lengths_note(call->engine->lengths, *value, json_text_end(&text) - brackets);
    else
        json_text_drop(&text);
    return true;
}

/* True if the arguments are one path at most, and surely no option. */
static bool is_simple(const struct call *call)
{
    if (call->argc != 3)
        return call->argc == 2;
    struct bytes path = call->argv[2];
    return path.len && (path.ptr[0] == '$' || path.ptr[0] == '.');
}

static void run_get(struct call *call)
{
    struct json_reader reader;
    struct get_options options;
    bool simple = is_simple(call), failed = false;
    if (call->argc > WORDS_AT_ONCE && call_aside_unheld(call))
        return;
    if ((!simple && !read_options(call, &options)) || !json_reader_begin(&reader, call, 1))
        return;
    if (!json_reader_found(&reader))
        reply_null(call->reply);
    else if (!simple || !answer_simple(&reader)) {
        if (simple)
            read_options(call, &options);
        options.legacy = all_legacy(call, &options, &failed);
        if (!failed)
            answer_paths(&reader, &options);
    }
    json_reader_end(&reader);
}

/* --- JSON.MGET --- */

/* One document's answer; false: the call goes on aside. */
static bool answer_one(struct call *call, struct json_value root, struct json_path *path)
{
    struct json_reader reader = { .call = call, .root = root };
    struct json_found found;
    if (!path || !json_reader_found(&reader)) {
        reply_null(call->reply);
        return true;
    }
    if (!json_find(&reader, path, 0, SIZE_MAX, &found))
        return call->reply->failed;
    bool done = true;
    if (json_path_is_legacy(path) && !found.count) {
        reply_null(call->reply);
    } else {
        struct get_options options = { .legacy = json_path_is_legacy(path) };
        struct json_text text;
        json_text_begin(&text, call);
        done = append_found(&text, &found, &options, 0);
        if (done)
            json_text_end(&text);
        else
            json_text_drop(&text);
    }
    json_found_fini(&found);
    return done;
}

/*
 * The documents of all keys as they are at one moment, aside each with a reference. Keys of another type are answered
 * as if there was nothing. Very many keys were held until now.
 */
static struct json_value *pin_all(struct call *call, uint32_t count)
{
    struct json_value *roots = arena_alloc(call->arena, count * sizeof *roots);
    bool held = count > WORDS_AT_ONCE;
    for (uint32_t i = 0; i < count; i++) {
        struct entry *entry = call_read(call, i + 1);
        roots[i] = entry && entry->type == ENTRY_JSON ? document_root(entry) : JSON_VALUE_NONE;
        if (fiber_running)
            json_value_ref(roots[i]);
        if (held)
            fiber_breathe(JSON_COST_PLACE);
    }
    if (held)
        call_let_go(call);
    return roots;
}

static void unpin_all(struct call *call, const struct json_value *roots, uint32_t count)
{
    if (!fiber_running)
        return;
    if (count > WORDS_AT_ONCE)
        call_answered(call);
    json_release_values(call, roots, count);
}

static void run_mget(struct call *call)
{
    uint32_t count = call->argc - 2;
    if (count > WORDS_AT_ONCE && call_aside(call, SIZE_MAX))
        return;
    struct json_value *roots = pin_all(call, count);
    /* A path that cannot be read is answered as if it named nothing. */
    struct json_path_error error;
    struct json_path *path = json_path_cache_get(call->engine->paths, call->argv[call->argc - 1], &error);
    if (path && fiber_running)
        json_path_ref(path);
    struct output_mark before = output_mark(call->reply->out);
    reply_array(call->reply, count);
    bool done = true;
    for (uint32_t i = 0; i < count && done && !fiber_is_over(); i++) {
        done = answer_one(call, roots[i], path);
        fiber_breathe(JSON_COST_PLACE);
    }
    if (!done)
        output_rewind(call->reply->out, before);
    unpin_all(call, roots, count);
    json_path_drop(path);
}

/* --- JSON.RESP --- */

/* A container is a flat array that begins with the bracket that it would begin with in JSON. */
static void reply_resp(struct call *call, const struct json_value *value)
{
    struct reply *reply = call->reply;
    enum json_kind kind = json_kind(*value);
    fiber_breathe(5);
    if (kind == JSON_BOOL) {
        reply_status(reply, json_bool(*value) ? BYTES("true") : BYTES("false"));
        return;
    }
    if (!json_is_container(*value)) {
        json_reply_expanded(call, value);
        return;
    }
    size_t len = json_len(*value);
    reply_array(reply, 1 + (kind == JSON_OBJECT ? len * 2 : len));
    reply_status(reply, kind == JSON_OBJECT ? BYTES("{") : BYTES("["));
    struct json_iter iter;
    for (json_iter_init(&iter, *value); json_iter_next(&iter);) {
        if (iter.key)
            reply_bulk(reply, json_key_text(iter.key));
        reply_resp(call, iter.value);
    }
}

static void answer_resp(struct json_reader *reader, const struct json_path *path)
{
    struct call *call = reader->call;
    enum { RESP_AT_ONCE = 8 * JSON_VALUES_AT_ONCE };
    struct json_found found;
    if (!json_find(reader, path, 0, SIZE_MAX, &found))
        return;
    bool legacy = json_path_is_legacy(path);
    size_t weight = 0;
    for (size_t i = 0; i < found.count && weight <= RESP_AT_ONCE; i++)
        weight += json_weigh_text(json_found_at(&found, i), RESP_AT_ONCE + 1);
    if (legacy && !found.count) {
        json_fail_path(call, path, "");
    } else if (!(weight > RESP_AT_ONCE && call_aside_unheld(call))) {
        if (!legacy)
            reply_array(call->reply, found.count);
        for (size_t i = 0; i < found.count; i++)
            reply_resp(call, json_found_at(&found, i));
    }
    json_found_fini(&found);
}

static void run_resp(struct call *call)
{
    struct json_reader reader;
    struct json_path *path = json_call_path_arg(call, 2);
    if (!path)
        return;
    if (json_reader_begin(&reader, call, 1)) {
        if (json_reader_found(&reader))
            answer_resp(&reader, path);
        else
            reply_null(call->reply);
        json_reader_end(&reader);
    }
    json_path_drop(path);
}

const struct command json_get_commands[] = {
    { .name = "JSON.GET",
        .run = run_get,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .categories = CATEGORY_READ,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) for what is answered, and for what the paths have to look at: a path of names and indices "
                      "looks at one value for each.",
        .usage = "key [INDENT indent] [NEWLINE newline] [SPACE space] [NOESCAPE] [FORMAT <STRING | EXPAND | EXPAND1>] "
                 "[LIMIT offset count] [path [path ...]]",
        .brief = "Replies with a document, or with what paths name in it, as JSON text." },
    { .name = "JSON.MGET",
        .run = run_mget,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .categories = CATEGORY_READ,
        .group = GROUP_JSON,
        .keys = { KEY_RANGE(1, -2, 1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(M*N) where M is the number of keys and N what the path looks at and names in each.",
        .usage = "key [key ...] path",
        .brief = "Replies with what a path names in several documents." },
    { .name = "JSON.RESP",
        .run = run_resp,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .categories = CATEGORY_READ,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "1.0.0",
        .complexity = "O(N) for what is answered and what the path looks at.",
        .usage = "key [path]",
        .brief = "Replies with a document, or with what a path names in it, as data of the protocol." },
    { 0 },
};
