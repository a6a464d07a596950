/*
 * JSON.DEL, JSON.FORGET, JSON.CLEAR: taking away what paths name.
 *
 * Of places that lie within each other the outermost count. They come in such an order that deleting one never moves
 * another that is still to come, and neighbours in an array go together. Deleting the root deletes the key.
 */
#include "base/fiber.h"
#include "cmd/families.h"
#include "json_edit_priv.h"
#include "words_priv.h"

/* Places from `at` on that are neighbours in one array, counting down. */
static size_t neighbours(const struct json_change *change, size_t at)
{
    size_t depth, next_depth, count = 1;
    const uint32_t *steps = json_change_steps(change, at, &depth);
    for (; at + count < change->count; count++) {
        const uint32_t *next = json_change_steps(change, at + count, &next_depth);
        bool same = next_depth == depth && memcmp(next, steps, (depth - 1) * sizeof *steps) == 0;
        if (!same || next[depth - 1] != steps[depth - 1] - (uint32_t)count)
            break;
        fiber_breathe(JSON_COST_VALUE);
    }
    return count;
}

/* Deletes places from `at` on; returns how many that were. */
static size_t delete_at(struct json_change *change, size_t at)
{
    size_t depth;
    const uint32_t *steps = json_change_steps(change, at, &depth);
    struct json_value *parent = json_change_slot_of(change, steps, depth - 1);
    if (json_kind(*parent) == JSON_OBJECT) {
        json_object_remove(parent, steps[depth - 1], change->trash);
        return 1;
    }
    size_t count = neighbours(change, at);
    json_array_remove(parent, steps[depth - 1] - (uint32_t)(count - 1), (uint32_t)count, change->trash);
    return count;
}

static void delete_places(struct json_change *change)
{
    if (change->count)
        json_change_open(change);
    for (size_t i = 0; i < change->count; i += delete_at(change, i))
        fiber_breathe(JSON_COST_PLACE);
    json_change_publish(change, "json.del");
}

/* A document of which nothing is left goes. */
static void delete_if_empty(struct call *call)
{
    struct key key = call_key(call, 1);
    const struct entry *entry = keyspace_peek(call->keyspace, call->db, key, call->now_ms);
    if (entry && json_is_container(document_root(entry)) && json_len(document_root(entry)) == 0)
        call_remove(call, key);
}

static void delete_found(struct call *call, const struct json_path *path)
{
    struct json_change change;
    if (!json_change_begin(&change, call, 1, false))
        return;
    if (!change.entry) {
        reply_int(call->reply, 0);
    } else if (json_path_is_root(path)) {
        call_remove(call, call_key(call, 1));
        reply_int(call->reply, 1);
    } else if (json_change_find(&change, path, JSON_OVERLAP_OUTERMOST)) {
        delete_places(&change);
        if (change.count)
            delete_if_empty(call);
        reply_int(call->reply, (int64_t)change.count);
    }
    json_change_end(&change);
}

static void run_del(struct call *call)
{
    struct json_path *path = json_call_path_arg(call, 2);
    if (path)
        delete_found(call, path);
    json_path_drop(path);
}

/* --- JSON.CLEAR --- */

static bool is_clear(struct json_value value)
{
    if (json_is_container(value))
        return json_len(value) == 0;
    return !json_is_number(value) || json_number(value) == 0;
}

static struct json_value cleared(struct json_value value)
{
    if (!json_is_container(value))
        return json_make_int(0);
    return json_kind(value) == JSON_ARRAY ? json_make_array() : json_make_object();
}

/* From the outside in: what lay in something that was emptied is gone and does not count. */
static int64_t clear_places(struct json_change *change)
{
    int64_t count = 0;
    for (size_t i = 0; i < change->count; i++) {
        const struct json_value *found = json_change_at(change, i);
        if (!found || is_clear(*found))
            continue;
        json_change_open(change);
        struct json_value *slot = json_change_slot(change, i);
        json_set(slot, cleared(*slot), change->trash);
        count++;
    }
    json_change_publish(change, "json.clear");
    return count;
}

static void run_clear(struct call *call)
{
    struct json_change change;
    struct json_path *path = json_call_path_arg(call, 2);
    if (path && json_change_begin(&change, call, 1, false)) {
        if (!change.entry)
            json_fail_missing_key(call);
        else if (json_change_find(&change, path, JSON_OVERLAP_UNIQUE))
            reply_int(call->reply, clear_places(&change));
        json_change_end(&change);
    }
    json_path_drop(path);
}

#define DELETE_ROW(n, fn, text, version)                                                                             \
    {                                                                                                                \
        .name = (n), .run = (fn), .argc = AT_LEAST(2), .flags = CMD_WRITE, .categories = CATEGORY_WRITE,             \
        .group = GROUP_JSON, .keys = { KEY_AT(1, KEY_RW | KEY_DELETE) }, .since = (version),                         \
        .complexity = "O(N) where N is what the path looks at and names; O(1) for the root.", .usage = "key [path]", \
        .brief = text                                                                                                \
    }

const struct command json_delete_commands[] = {
    DELETE_ROW("JSON.DEL", run_del, "Deletes what a path names, or the whole document.", "1.0.0"),
    DELETE_ROW("JSON.FORGET", run_del, "Deletes what a path names: another name for JSON.DEL.", "1.0.0"),
    DELETE_ROW("JSON.CLEAR", run_clear, "Empties the containers and zeroes the numbers that a path names.", "2.0.0"),
    { 0 },
};
