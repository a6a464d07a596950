/*
 * Changing documents; see json_edit_priv.h.
 */
#include "json_edit_priv.h"

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "engine/aside.h"
#include "engine/notify.h"
#include "json/query.h"

static void init(struct json_change *change, struct call *call, uint32_t key_arg, bool apart)
{
    change->call = call;
    change->key_arg = key_arg;
    change->entry = NULL;
    change->apart = apart;
    change->opened = change->one = change->replaces = false;
    change->own.root = JSON_VALUE_NONE;
    change->own_trash = (struct json_trash){ 0 };
    change->doc = &change->own;
    change->trash = &change->own_trash;
    change->count = change->depth = 0;
    json_matches_init(&change->matches, JSON_MATCHES_PLACES, 0, SIZE_MAX);
}

bool json_change_begin(struct json_change *change, struct call *call, uint32_t key_arg, bool apart)
{
    init(change, call, key_arg, apart || fiber_running);
    if (!json_call_entry(call, key_arg, true, &change->entry))
        return false;
    if (change->entry)
        change->own.root = document_root(change->entry);
    if (change->entry && change->apart)
        json_value_ref(change->own.root);
    return true;
}

void json_change_begin_with(struct json_change *change, struct call *call, uint32_t key_arg, struct json_value root)
{
    init(change, call, key_arg, true);
    change->own.root = root;
}

/* What is spent at once is spent: then the call goes aside, or goes on in slices. True if it went. */
static bool leave(struct json_change *change, uint64_t *budget)
{
    if (call_aside(change->call, SIZE_MAX))
        return true;
    fiber_breathe(JSON_BREATH);
    *budget = JSON_STEPS_SLICE;
    return false;
}

static bool fail(struct json_change *change, const struct json_query *query)
{
    if (change->matches.out_of_memory)
        json_fail_memory(change->call);
    else
        reply_error_printf(change->call->reply, "ERR %s", json_query_error(query));
    return false;
}

static bool collect(struct json_change *change, struct json_query *query, enum json_overlap overlap)
{
    struct json_matches *matches = &change->matches;
    uint64_t budget = JSON_STEPS_AT_ONCE;
    enum json_query_state state;
    while ((state = json_matches_collect(matches, query, &budget)) == JSON_QUERY_PAUSED)
        if (leave(change, &budget))
            return false;
    if (state == JSON_QUERY_FAILED)
        return fail(change, query);
    if (matches->count > JSON_VALUES_AT_ONCE / 4 && call_aside(change->call, SIZE_MAX))
        return false;
    for (;;) {
        state = overlap == JSON_OVERLAP_OUTERMOST ? json_matches_outermost(matches, &budget)
                                                  : json_matches_unique(matches, &budget);
        if (state != JSON_QUERY_PAUSED)
            break;
        if (leave(change, &budget))
            return false;
    }
    if (state == JSON_QUERY_FAILED)
        return fail(change, query);
    change->count = matches->count;
    return true;
}

bool json_change_find(struct json_change *change, const struct json_path *path, enum json_overlap overlap)
{
    change->one = json_path_is_static(path);
    if (change->one) {
        change->count = json_path_locate(path, &change->doc->root, change->steps, &change->depth) != NULL;
        return true;
    }
    json_matches_fini(&change->matches);
    json_matches_init(&change->matches, JSON_MATCHES_PLACES, 0, SIZE_MAX);
    struct json_query *query = json_query_create(path, &change->doc->root);
    bool done = collect(change, query, overlap);
    json_query_destroy(query);
    return done;
}

const uint32_t *json_change_steps(const struct json_change *change, size_t at, size_t *depth)
{
    if (!change->one)
        return json_matches_place(&change->matches, at, depth);
    *depth = change->depth;
    return change->steps;
}

const struct json_value *json_change_at(const struct json_change *change, size_t at)
{
    size_t depth;
    const uint32_t *steps = json_change_steps(change, at, &depth);
    fiber_breathe(JSON_COST_PLACE / 2);
    return json_doc_at(change->doc, steps, depth);
}

void json_change_open(struct json_change *change)
{
    struct call *call = change->call;
    if (change->opened)
        return;
    change->opened = true;
    if (change->apart)
        return;
    document_edit_begin(&change->edit, call->keyspace, call->db, call_key(call, change->key_arg), change->entry);
    change->doc = &change->edit.doc;
    change->trash = &change->edit.trash;
}

struct json_value *json_change_slot_of(struct json_change *change, const uint32_t *steps, size_t depth)
{
    return json_doc_open(change->doc, steps, depth, change->trash);
}

struct json_value *json_change_slot(struct json_change *change, size_t at)
{
    size_t depth;
    const uint32_t *steps = json_change_steps(change, at, &depth);
    fiber_breathe(JSON_COST_PLACE);
    return json_change_slot_of(change, steps, depth);
}

void json_replace_root(
    struct call *call, struct key key, struct entry *entry, struct json_value root, struct json_trash *trash)
{
    struct document_edit edit;
    document_edit_begin(&edit, call->keyspace, call->db, key, entry);
    json_value_release(edit.doc.root, trash);
    edit.doc.root = root;
    document_edit_end(&edit);
}

void json_drain(struct call *call, struct json_trash *trash)
{
    enum { SLICE = 1000 };
    bool answered = false;
    while (fiber_running && !json_trash_drain(trash, SLICE)) {
        if (!answered)
            call_answered(call);
        answered = true;
        fiber_breathe(JSON_BREATH);
    }
    keyspace_discard_json(call->keyspace, trash);
}

/* The version that was worked on apart takes the place of the old one. */
static void swap_in(struct json_change *change)
{
    struct call *call = change->call;
    struct key key = call_key(call, change->key_arg);
    struct entry *entry = keyspace_peek(call->keyspace, call->db, key, call->now_ms);
    if (!entry || change->replaces)
        keyspace_set_document(call->keyspace, call->db, key, change->own.root, EXPIRY_NONE, call->now_ms);
    else
        json_replace_root(call, key, entry, change->own.root, change->trash);
    change->own.root = JSON_VALUE_NONE;
}

void json_change_publish(struct json_change *change, const char *event)
{
    struct call *call = change->call;
    if (!change->opened)
        return;
    if (change->apart)
        swap_in(change);
    else
        document_edit_end(&change->edit);
    change->opened = false;
    if (event)
        call_notify(call, NOTIFY_MODULE, event, call->argv[change->key_arg]);
}

void json_change_end(struct json_change *change)
{
    ASSERT(change->apart || !change->opened);
    if (change->apart && change->own.root.bits)
        json_value_release(change->own.root, &change->own_trash);
    json_drain(change->call, &change->own_trash);
    json_matches_fini(&change->matches);
}

bool json_change_fits(const struct json_change *change, size_t depth, unsigned value_depth)
{
    if (depth + value_depth <= JSON_MAX_DEPTH)
        return true;
    reply_error_printf(
        change->call->reply, "ERR recursion limit exceeded: at most %d containers may be nested", JSON_MAX_DEPTH);
    return false;
}

/* --- Work on all places --- */

static bool look_at_all(struct json_work *work)
{
    struct json_change *place = &work->place;
    struct call *call = place->call;
    if (place->count > sizeof work->few / sizeof *work->few)
        work->answers = mem_try_alloc(place->count * sizeof *work->answers);
    if (!work->answers) {
        place->count = 0;
        json_fail_memory(call);
        return false;
    }
    while (work->looked < place->count && !work->refusal) {
        struct json_value *answer = &work->answers[work->looked];
        *answer = JSON_VALUE_NONE;
        json_change_steps(place, work->looked, &work->depth);
        work->look(work, json_change_at(place, work->looked), answer);
        work->looked++;
        if (answer->bits) {
            work->changed++;
            work->last = *answer;
        }
    }
    if (work->refusal)
        reply_error(call->reply, bytes_from_cstr(work->refusal));
    else if (!work->changed && json_path_is_legacy(work->path))
        json_fail_path(call, work->path, work->otherwise);
    else
        return true;
    return false;
}

/* What lay in something that is gone now is not changed. */
static bool change_all(struct json_work *work)
{
    struct json_change *place = &work->place;
    bool done = true, has_last = false;
    if (work->changed == work->idle) {
        for (size_t i = 0; i < place->count; i++) {
            work->answers[i] = JSON_VALUE_NONE;
            fiber_breathe(JSON_COST_VALUE);
        }
        work->last = JSON_VALUE_NONE;
        return true;
    }
    json_change_open(place);
    work->trash = place->trash;
    for (size_t i = place->count; i-- > 0 && done;) {
        struct json_value *answer = &work->answers[i];
        struct json_value *slot = answer->bits ? json_change_slot(place, i) : NULL;
        fiber_breathe(JSON_COST_VALUE);
        if (!slot)
            continue;
        done = work->change(work, slot, answer);
        if (!has_last && done)
            work->last = *answer;
        has_last = true;
    }
    if (done || !place->apart)
        json_change_publish(place, work->event);
    if (!done)
        json_fail_memory(place->call);
    return done;
}

bool json_work_run(struct json_work *work, struct call *call, uint32_t path_arg)
{
    work->answers = work->few;
    work->path = json_call_path_arg(call, path_arg);
    if (!work->path)
        return false;
    if (!json_change_begin(&work->place, call, 1, false))
        return false;
    if (!work->place.entry) {
        json_fail_missing_key(call);
        return false;
    }
    if (!json_change_find(&work->place, work->path, JSON_OVERLAP_UNIQUE) || !look_at_all(work))
        return false;
    return !(work->weight > JSON_TEXT_AT_ONCE && call_aside(call, work->weight)) && change_all(work);
}

void json_work_end(struct json_work *work)
{
    struct json_change *place = &work->place;
    if (!work->path)
        return;
    for (size_t i = 0; i < work->looked; i++) {
        json_value_release(work->answers[i], &place->own_trash);
        fiber_breathe(JSON_COST_PLACE / 2);
    }
    if (place->call)
        json_change_end(place);
    if (work->answers != work->few)
        mem_free(work->answers);
    json_path_drop(work->path);
}

void json_work_answer_ints(struct json_work *work, struct call *call, uint32_t path_arg)
{
    if (json_work_run(work, call, path_arg)) {
        if (json_path_is_legacy(work->path)) {
            reply_int(call->reply, json_int(work->last));
        } else {
            reply_array(call->reply, work->place.count);
            for (size_t i = 0; i < work->place.count; i++) {
                if (work->answers[i].bits)
                    reply_int(call->reply, json_int(work->answers[i]));
                else
                    reply_null(call->reply);
                fiber_breathe(JSON_COST_VALUE);
            }
        }
    }
    json_work_end(work);
}
