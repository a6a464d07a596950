/*
 * JSON.SET, JSON.MERGE: storing documents and parts of them.
 *
 * A path that names something is given the value; a path of names and indices that names nothing yet makes one new
 * member of an object that is there. Setting the root is storing a new value: an expiry goes unless KEEPTTL says
 * otherwise.
 */
#include <stdint.h>

#include "base/fiber.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "engine/notify.h"
#include "engine/propagate.h"
#include "json_edit_priv.h"
#include "words_priv.h"

bool json_place_set(struct json_value *slot, struct json_value value, struct json_trash *trash)
{
    json_set(slot, json_value_ref(value), trash);
    return true;
}

static bool place_merged(struct json_value *slot, struct json_value value, struct json_trash *trash)
{
    return json_merge(slot, &value, trash);
}

static enum json_put fail_memory(struct json_change *change)
{
    json_fail_memory(change->call);
    return JSON_PUT_FAILED;
}

/* A member that is not there yet, in an object that is. */
static enum json_put put_member(
    struct json_change *change, const struct json_path *path, const struct json_putting *putting)
{
    uint32_t steps[JSON_MAX_DEPTH + 1];
    size_t depth;
    struct bytes name;
    int64_t index;
    const struct json_value *parent = json_path_locate_parent(path, &change->doc->root, steps, &depth);
    if (!parent)
        return JSON_PUT_NOTHING;
    if (json_path_last(path, &name, &index) != JSON_PATH_LAST_NAME) {
        if (json_kind(*parent) != JSON_ARRAY && json_kind(*parent) != JSON_OBJECT)
            return JSON_PUT_NOTHING;
        reply_error(change->call->reply, BYTES("ERR array index out of range"));
        return JSON_PUT_FAILED;
    }
    if (json_kind(*parent) != JSON_OBJECT)
        return JSON_PUT_NOTHING;
    if (!json_change_fits(change, depth + 1, putting->value_depth))
        return JSON_PUT_FAILED;
    if (putting->removes && json_kind(putting->value) == JSON_NULL)
        return JSON_PUT_DONE;
    struct json_value value = JSON_VALUE_NULL;
    json_change_open(change);
    if (!putting->place(&value, putting->value, change->trash))
        return fail_memory(change);
    struct json_value *object = json_change_slot_of(change, steps, depth);
    if (json_object_put(object, name, value, change->trash))
        return JSON_PUT_DONE;
    json_value_release(value, change->trash);
    return fail_memory(change);
}

/* Removes what stands at a place: a null was merged there. */
static void remove_at(struct json_change *change, size_t at)
{
    size_t depth;
    const uint32_t *steps = json_change_steps(change, at, &depth);
    struct json_value *slot = json_change_slot_of(change, steps, depth ? depth - 1 : 0);
    if (!slot)
        return;
    if (!depth)
        json_set(slot, JSON_VALUE_NULL, change->trash);
    else if (json_kind(*slot) == JSON_OBJECT)
        json_object_remove(slot, steps[depth - 1], change->trash);
    else if (json_kind(*slot) == JSON_ARRAY && steps[depth - 1] < json_array_len(*slot))
        json_array_remove(slot, steps[depth - 1], 1, change->trash);
}

/* Every place that was found, the last one first: those that lie within others come before them. */
static enum json_put put_at_places(struct json_change *change, const struct json_putting *putting)
{
    for (size_t i = 0; i < change->count; i++) {
        size_t depth;
        json_change_steps(change, i, &depth);
        if (!json_change_fits(change, depth, putting->value_depth))
            return JSON_PUT_FAILED;
        fiber_breathe(JSON_COST_VALUE);
    }
    json_change_open(change);
    bool removes = putting->removes && json_kind(putting->value) == JSON_NULL;
    for (size_t i = change->count; i-- > 0;) {
        if (removes) {
            remove_at(change, i);
            fiber_breathe(JSON_COST_PLACE);
            continue;
        }
        struct json_value *slot = json_change_slot(change, i);
        if (slot && !putting->place(slot, putting->value, change->trash))
            return fail_memory(change);
    }
    return JSON_PUT_DONE;
}

enum json_put json_put(struct json_change *change, const struct json_path *path, const struct json_putting *putting)
{
    if (!json_change_find(change, path, JSON_OVERLAP_UNIQUE))
        return JSON_PUT_FAILED;
    if (change->count)
        return putting->flags & JSON_PUT_NX ? JSON_PUT_NOTHING : put_at_places(change, putting);
    if (putting->flags & JSON_PUT_XX)
        return JSON_PUT_NOTHING;
    if (json_path_is_static(path))
        return put_member(change, path, putting);
    json_fail_static(change->call);
    return JSON_PUT_FAILED;
}

/* --- JSON.SET --- */

struct set_options {
    uint32_t flags;
    bool keep, timed;
    bool relative;
    int64_t at_ms;
};

/* EX, PX, EXAT, PXAT and the time behind it; false: none of them. *failed: an error was answered. */
static bool read_time(struct call *call, uint32_t *i, struct set_options *options, bool *failed)
{
    static const struct {
        const char *word;
        int64_t unit_ms;
        bool relative;
    } words[] = { { "EX", 1000, true }, { "PX", 1, true }, { "EXAT", 1000, false }, { "PXAT", 1, false } };
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        int64_t time;
        if (!call_arg_is(call, *i, words[w].word))
            continue;
        if (options->timed || options->keep || *i + 1 == call->argc) {
            reply_fail(call->reply, ERROR_SYNTAX);
            *failed = true;
            return true;
        }
        options->timed = true;
        options->relative = words[w].relative;
        *failed = !call_arg_i64(call, ++*i, INT64_MIN, INT64_MAX, NULL, &time) ||
                  !call_expiry(call, time, words[w].unit_ms, words[w].relative, true, &options->at_ms);
        return true;
    }
    return false;
}

static bool read_format(struct call *call, uint32_t index)
{
    if (index < call->argc && (call_arg_is(call, index, "JSON") || call_arg_is(call, index, "STRING")))
        return true;
    if (index < call->argc)
        reply_error(call->reply, BYTES("ERR wrong format"));
    else
        call_fail_arity(call);
    return false;
}

static bool read_options(struct call *call, struct set_options *options)
{
    *options = (struct set_options){ .at_ms = EXPIRY_NONE };
    for (uint32_t i = 4; i < call->argc; i++) {
        bool failed = false;
        if (call_arg_is(call, i, "FORMAT")) {
            if (!read_format(call, ++i))
                return false;
        } else if ((call_arg_is(call, i, "NX") || call_arg_is(call, i, "XX")) && !options->flags) {
            options->flags = call_arg_is(call, i, "NX") ? JSON_PUT_NX : JSON_PUT_XX;
        } else if (call_arg_is(call, i, "KEEPTTL") && !options->timed && !options->keep) {
            options->keep = true;
        } else if (read_time(call, &i, options, &failed)) {
            if (failed)
                return false;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* What is relative is told as a moment. */
static void propagate_set(struct call *call, const struct set_options *options)
{
    if (options->relative)
        call_propagate_words(call, "JSON.SET", call->argv[1], call->argv[2], call->argv[3], BYTES("PXAT"),
            call_number(call, options->at_ms));
}

/* Puts a document under the key, whatever was there. */
static void store_root(
    struct call *call, struct entry *entry, struct json_value value, int64_t at_ms, struct json_trash *trash)
{
    struct key key = call_key(call, 1);
    if (!entry || !fiber_running) {
        keyspace_set_document(call->keyspace, call->db, key, value, at_ms, call->now_ms);
        return;
    }
    json_replace_root(call, key, entry, value, trash);
    if (at_ms != EXPIRY_KEEP && entry_expiry(entry) != at_ms)
        keyspace_set_expiry(call->keyspace, call->db, key, entry, at_ms);
}

/* A whole document; takes the value. */
static void set_root(struct call *call, struct entry *entry, struct json_value value, const struct set_options *options)
{
    if (options->flags == (entry ? JSON_PUT_NX : JSON_PUT_XX)) {
        keyspace_release_json(call->keyspace, value);
        reply_null(call->reply);
        return;
    }
    struct json_trash trash = { 0 };
    store_root(call, entry, value, options->keep ? EXPIRY_KEEP : options->at_ms, &trash);
    call_notify(call, NOTIFY_MODULE, "json.set", call->argv[1]);
    if (options->timed)
        call_notify(call, NOTIFY_GENERIC, "expire", call->argv[1]);
    propagate_set(call, options);
    reply_ok(call->reply);
    json_drain(call, &trash);
}

static void set_time(struct call *call, const struct set_options *options)
{
    struct key key = call_key(call, 1);
    struct entry *entry = options->timed ? keyspace_peek(call->keyspace, call->db, key, call->now_ms) : NULL;
    if (!entry)
        return;
    keyspace_set_expiry(call->keyspace, call->db, key, entry, options->at_ms);
    call_notify(call, NOTIFY_GENERIC, "expire", call->argv[1]);
}

static void set_part(struct call *call, const struct json_path *path, const struct json_putting *putting,
    const struct set_options *options)
{
    struct json_change change;
    if (!json_change_begin(&change, call, 1, false))
        return;
    enum json_put done = JSON_PUT_FAILED;
    if (!change.entry)
        json_fail_root(call);
    else
        done = json_put(&change, path, putting);
    if (done == JSON_PUT_DONE || (done == JSON_PUT_FAILED && change.opened && !change.apart))
        json_change_publish(&change, "json.set");
    if (done == JSON_PUT_DONE) {
        set_time(call, options);
        propagate_set(call, options);
    }
    if (done == JSON_PUT_DONE)
        reply_ok(call->reply);
    else if (done == JSON_PUT_NOTHING)
        reply_null(call->reply);
    change.opened = false;
    json_change_end(&change);
}

static void run_set(struct call *call)
{
    struct set_options options;
    struct json_putting putting = { .place = json_place_set };
    struct entry *entry;
    if (!read_options(call, &options) || json_call_is_long(call))
        return;
    struct json_value value;
    if (!json_call_entry(call, 1, true, &entry) || !json_call_values(call, 3, 1, &value, &putting.value_depth))
        return;
    struct json_path *path = json_call_path_arg(call, 2);
    if (path && json_path_is_root(path)) {
        json_call_entry(call, 1, true, &entry);
        set_root(call, entry, value, &options);
    } else {
        putting.value = value;
        putting.flags = options.flags;
        if (path)
            set_part(call, path, &putting, &options);
        keyspace_release_json(call->keyspace, value);
    }
    json_path_drop(path);
}

/* --- JSON.MERGE --- */

/* A document that was not there: the patch without what it removes. */
static void merge_new(struct json_change *change, const struct json_path *path, struct json_value patch)
{
    struct call *call = change->call;
    if (!json_path_is_root(path)) {
        json_fail_root(call);
        return;
    }
    struct json_value root = JSON_VALUE_NULL;
    if (!json_merge(&root, &patch, change->trash)) {
        json_value_release(root, change->trash);
        json_fail_memory(call);
        return;
    }
    keyspace_set_document(call->keyspace, call->db, call_key(call, 1), root, EXPIRY_NONE, call->now_ms);
    call_notify(call, NOTIFY_MODULE, "json.merge", call->argv[1]);
    reply_ok(call->reply);
}

static void merge(struct call *call, const struct json_path *path, const struct json_putting *putting)
{
    struct json_change change;
    if (!json_change_begin(&change, call, 1, false))
        return;
    if (!change.entry) {
        merge_new(&change, path, putting->value);
        json_change_end(&change);
        return;
    }
    enum json_put done = json_put(&change, path, putting);
    if (done == JSON_PUT_DONE || (done == JSON_PUT_FAILED && change.opened && !change.apart))
        json_change_publish(&change, "json.merge");
    if (done == JSON_PUT_DONE)
        reply_ok(call->reply);
    else if (done == JSON_PUT_NOTHING)
        reply_null(call->reply);
    change.opened = false;
    json_change_end(&change);
}

static void run_merge(struct call *call)
{
    struct json_putting putting = { .place = place_merged, .removes = true };
    struct entry *entry;
    if (json_call_is_long(call) || !json_call_entry(call, 1, true, &entry) ||
        !json_call_values(call, 3, 1, &putting.value, &putting.value_depth))
        return;
    struct json_path *path = json_call_path_arg(call, 2);
    if (path)
        merge(call, path, &putting);
    json_path_drop(path);
    keyspace_release_json(call->keyspace, putting.value);
}

const struct command json_set_commands[] = {
    { .name = "JSON.SET",
        .run = run_set,
        .argc = AT_LEAST(4),
        .early = &json_early_type,
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_INSERT) },
        .since = "1.0.0",
        .complexity = "O(M+N) where M is the size of the value and N what the path looks at: a path of names and "
                      "indices looks at one value for each.",
        .usage = "key path value [NX | XX] [FORMAT format] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
                 "PXAT unix-time-milliseconds | KEEPTTL]",
        .brief = "Stores a JSON value as a document, or at the places in one that a path names." },
    { .name = "JSON.MERGE",
        .run = run_merge,
        .argc = EXACTLY(4),
        .early = &json_early_type,
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_INSERT) },
        .since = "2.6.0",
        .complexity = "O(M+N) where M is the size of the patch and N what the path looks at.",
        .usage = "key path value",
        .brief =
            "Merges a JSON value into the places that a path names: members are added and replaced, null removes." },
    { 0 },
};
