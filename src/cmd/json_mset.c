/*
 * JSON.MSET: storing values in many documents, all of them or none.
 *
 * First every triple is worked on in a version of its document that is the command's own, so that whatever is wrong is
 * found before anything is changed; then all versions are published. Very many go aside with their keys held: in the
 * first part others read the documents as they were, in the second, if that takes more than a slice, nobody does. A key
 * costs an entry of 24 bytes, and 8 to 16 in a table that finds those that are named again.
 */
#include "base/fiber.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "json_edit_priv.h"
#include "json_words_priv.h"

enum { TRIPLES_AT_ONCE = JSON_VALUES_AT_ONCE / 4 };

/* A document: at the place of the first triple that names it. */
struct document {
    struct json_value root; /* owned: what has become of it; JSON_NONE if it is not there */
    uint32_t key_arg;       /* 0: the triple's key is one named before */
    bool replaces, changed;
};

struct documents {
    struct call *call;
    struct document *list; /* of the call's arena */
    uint32_t done;         /* triples that have an entry in it */
    struct json_words keys;
    struct json_trash trash;
};

/* The document of the next triple; NULL: its key holds something else, which was answered. */
static struct document *next_document(struct documents *documents, uint32_t key_arg)
{
    struct call *call = documents->call;
    uint32_t first = json_words_first(&documents->keys, key_arg);
    struct document *document = &documents->list[documents->done++];
    *document = (struct document){ 0 };
    if (first != key_arg)
        return &documents->list[(first - 1) / 3];
    struct entry *entry;
    if (!json_call_entry(call, key_arg, true, &entry))
        return NULL;
    document->key_arg = key_arg;
    if (entry)
        document->root = json_value_ref(document_root(entry));
    return document;
}

/* Puts a value below the root of a document. */
static bool put_below(struct documents *documents, struct document *document, const struct json_path *path,
    const struct json_putting *putting)
{
    struct json_change change;
    if (!document->root.bits) {
        json_fail_root(documents->call);
        return false;
    }
    json_change_begin_with(&change, documents->call, document->key_arg, document->root);
    change.trash = &documents->trash;
    bool done = json_put(&change, path, putting) != JSON_PUT_FAILED;
    document->root = change.own.root;
    document->changed |= change.opened;
    json_matches_fini(&change.matches);
    return done;
}

static bool put_triple(struct documents *documents, uint32_t arg, const struct json_putting *putting)
{
    struct call *call = documents->call;
    struct document *document = next_document(documents, arg);
    struct json_path *path = document ? json_call_path(call, call->argv[arg + 1]) : NULL;
    bool done = path;
    if (path && json_path_is_root(path)) {
        json_value_release(document->root, &documents->trash);
        document->root = json_value_ref(putting->value);
        document->replaces = document->changed = true;
    } else if (path) {
        done = put_below(documents, document, path, putting);
    }
    json_path_drop(path);
    return done;
}

static bool put_all(struct documents *documents, uint32_t count)
{
    struct call *call = documents->call;
    bool done = true;
    for (uint32_t i = 0; i < count && done; i++) {
        struct json_putting putting = { .place = json_place_set };
        if (!json_call_values(call, 3 + 3 * i, 1, &putting.value, &putting.value_depth))
            return false;
        done = put_triple(documents, 1 + 3 * i, &putting);
        json_value_release(putting.value, &documents->trash);
        fiber_breathe(JSON_COST_KEY);
    }
    return done;
}

/* Nothing can fail any more. */
static void publish_all(struct documents *documents)
{
    for (uint32_t i = 0; i < documents->done; i++) {
        struct document *document = &documents->list[i];
        if (!document->changed)
            continue;
        struct json_change change;
        json_change_begin_with(&change, documents->call, document->key_arg, document->root);
        change.trash = &documents->trash;
        change.replaces = document->replaces;
        change.opened = true;
        json_change_publish(&change, "json.mset");
        document->root = JSON_VALUE_NONE;
        fiber_breathe(JSON_COST_KEY);
    }
}

static void run_mset(struct call *call)
{
    uint32_t count = (call->argc - 1) / 3;
    if (call->argc % 3 != 1) {
        call_fail_arity(call);
        return;
    }
    if ((count > TRIPLES_AT_ONCE && call_aside(call, SIZE_MAX)) || json_call_is_long(call))
        return;
    struct documents documents = { .call = call };
    documents.list = arena_alloc(call->arena, count * sizeof *documents.list);
    json_words_init(&documents.keys, call, count);
    if (put_all(&documents, count)) {
        publish_all(&documents);
        reply_ok(call->reply);
    }
    for (uint32_t i = 0; i < documents.done; i++) {
        json_value_release(documents.list[i].root, &documents.trash);
        fiber_breathe(JSON_COST_VALUE);
    }
    json_drain(call, &documents.trash);
}

const struct command json_mset_commands[] = {
    { .name = "JSON.MSET",
        .run = run_mset,
        .argc = AT_LEAST(4),
        .early = &json_early_type,
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_RANGE(1, -1, 3, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_INSERT) },
        .since = "2.6.0",
        .complexity = "O(K*(M+N)) where K is the number of keys, M the size of a value and N what its path looks at.",
        .usage = "key path value [key path value ...]",
        .brief = "Stores JSON values in several documents, all or none." },
    { 0 },
};
