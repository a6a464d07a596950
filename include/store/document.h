/*
 * Documents: JSON as values of keys.
 *
 * An entry holds the root of a document (json/doc.h), eight bytes; whatever is behind it is counted, so that copying a
 * key or pinning a version costs O(1). What edits cut off, and what overwritten or deleted documents leave behind, goes
 * to a trash and is taken down in slices with everything else that waits for it (store/reclaim.h).
 */
#pragma once

#include "store/keyspace.h"
#include "json/doc.h"

/* The root; borrowed until the next change of the database. */
struct json_value document_root(const struct entry *entry);

/* Puts the root where it is now: the same document, moved. */
void document_set_root(struct entry *entry, struct json_value root);

/*
 * The document for editing: keyspace_edit is called, and *doc holds the root until document_edit_end puts back what it
 * has become. Nothing else may change the database in between. `trash` is for all that the edits cut off. The document
 * is this struct's own, the rest borrowed.
 */
struct document_edit {
    struct keyspace *keyspace;
    struct entry *entry;
    struct json_doc doc;
    struct json_trash trash;
};
void document_edit_begin(
    struct document_edit *edit, struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry);
void document_edit_end(struct document_edit *edit);

/*
 * Stores a document (taken) under the key, replacing whatever is there, type included; at_ms is an expiry, EXPIRY_NONE
 * or EXPIRY_KEEP. Counts as one change. O(1).
 */
struct entry *keyspace_set_document(
    struct keyspace *keyspace, struct db *db, struct key key, struct json_value root, int64_t at_ms, int64_t now_ms);

/* Gives a reference back that a reader held; what dies with it is taken down in slices. */
void keyspace_release_json(struct keyspace *keyspace, struct json_value value);

/* Takes over what is in a trash, and leaves it empty. O(1). */
void keyspace_discard_json(struct keyspace *keyspace, struct json_trash *trash);
