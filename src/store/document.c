/*
 * The type of documents: an entry whose eight bytes are the root's slot.
 *
 * What is to be taken down travels as an entry of nobody's, whose slot is the head of a trash: so large documents wait
 * in the same queue as large hashes and lists, and are given back by the same clockwork.
 */
#include "store/document.h"

#include <string.h>

#include "entry_priv.h"
#include "store/reclaim.h"
#include "store/value.h"
#include "value_priv.h"

enum { DOCUMENT_WHOLE, DOCUMENT_TRASH };

enum {
    SMALL_SLOTS = 64,         /* a trash with fewer is taken down at once */
    LARGE_WEIGHT = 64 * 1024, /* what is said of everything larger: counting it would take as long as freeing it */
};

static struct json_value slot_of(const struct entry *entry)
{
    struct json_value value;
    memcpy(&value, entry_value(entry), sizeof value);
    return value;
}

static void set_slot(struct entry *entry, unsigned encoding, struct json_value value)
{
    entry->encoding = encoding & 15;
    memcpy(entry_value(entry), &value, sizeof value);
}

/* --- The row of functions --- */

static const char *encoding_name(const struct entry *entry)
{
    (void)entry;
    return "raw";
}

static size_t memory(const struct entry *entry)
{
    struct json_value root = slot_of(entry);
    return json_value_bytes_about(&root) - sizeof root; /* the slot is in the entry */
}

/* Slots of a value, counted up to `enough`. */
static size_t weigh(struct json_value value, size_t enough)
{
    size_t count = 1;
    if (!json_is_container(value))
        return count;
    struct json_iter iter;
    for (json_iter_init(&iter, value); count < enough && json_iter_next(&iter);)
        count += weigh(*iter.value, enough - count);
    return count;
}

static size_t weight(const struct entry *entry)
{
    if (entry->encoding == DOCUMENT_TRASH)
        return LARGE_WEIGHT;
    size_t slots = weigh(slot_of(entry), SMALL_SLOTS + 1);
    return slots > SMALL_SLOTS ? LARGE_WEIGHT : slots;
}

/* Makes a document a trash; it stays what it is if it is one. */
static struct json_trash trash_of(struct entry *entry)
{
    struct json_trash trash = { 0 };
    if (entry->encoding == DOCUMENT_TRASH)
        trash.head = slot_of(entry);
    else
        json_value_release(slot_of(entry), &trash);
    return trash;
}

static bool drain(struct entry *entry, size_t items)
{
    struct json_trash trash = trash_of(entry);
    bool done = json_trash_drain(&trash, items);
    set_slot(entry, DOCUMENT_TRASH, trash.head);
    return !done;
}

static void destroy(struct entry *entry)
{
    while (drain(entry, SIZE_MAX))
        ;
}

static void copy(struct entry *entry)
{
    json_value_ref(slot_of(entry));
}

static const char *check(const struct entry *entry)
{
    bool fine = entry->encoding == DOCUMENT_WHOLE && json_kind(slot_of(entry)) != JSON_NONE;
    return fine ? NULL : "a document without a root";
}

const struct value_type document_value_type = {
    .encoding_name = encoding_name,
    .memory = memory,
    .destroy = destroy,
    .copy = copy,
    .weight = weight,
    .drain = drain,
    .check = check,
};

/* --- What commands use --- */

struct json_value document_root(const struct entry *entry)
{
    ASSERT(entry->type == ENTRY_JSON);
    return slot_of(entry);
}

void document_set_root(struct entry *entry, struct json_value root)
{
    ASSERT(entry->type == ENTRY_JSON);
    set_slot(entry, entry->encoding, root);
}

void document_edit_begin(
    struct document_edit *edit, struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry)
{
    keyspace_edit(keyspace, db, key, entry);
    *edit = (struct document_edit){ .keyspace = keyspace, .entry = entry, .doc.root = document_root(entry) };
}

void document_edit_end(struct document_edit *edit)
{
    set_slot(edit->entry, DOCUMENT_WHOLE, edit->doc.root);
    keyspace_discard_json(edit->keyspace, &edit->trash);
}

struct entry *keyspace_set_document(
    struct keyspace *keyspace, struct db *db, struct key key, struct json_value root, int64_t at_ms, int64_t now_ms)
{
    void *bits;
    _Static_assert(sizeof bits == sizeof root, "a root is kept where other values have a pointer");
    memcpy(&bits, &root, sizeof bits);
    return keyspace_set_value(keyspace, db, key, ENTRY_JSON, DOCUMENT_WHOLE, bits, at_ms, now_ms);
}

void keyspace_release_json(struct keyspace *keyspace, struct json_value value)
{
    struct json_trash trash = { 0 };
    json_value_release(value, &trash);
    keyspace_discard_json(keyspace, &trash);
}

void keyspace_discard_json(struct keyspace *keyspace, struct json_trash *trash)
{
    if (json_trash_is_empty(trash) || json_trash_drain(trash, SMALL_SLOTS))
        return;
    struct entry_shape shape = { ENTRY_JSON, DOCUMENT_TRASH, sizeof trash->head, EXPIRY_NONE };
    struct entry *carrier = entry_create(BYTES(""), shape);
    set_slot(carrier, DOCUMENT_TRASH, trash->head);
    trash->head = (struct json_value){ 0 };
    reclaim_entry_take(keyspace->reclaim, carrier);
}
