/*
 * Values that hang off an entry by a pointer: collections and documents.
 *
 * A type's own file (store/hash.c, ...) knows what the pointer points to in each of its encodings; it is described to
 * the keyspace by one row of functions in src/store/value.c. These are the ways in which a type's file puts its values
 * into entries.
 */
#pragma once

#include <stdint.h>

#include "store/keyspace.h"

/*
 * Stores a value under the key, replacing whatever is there, type included, and takes the value over. `at_ms` is the
 * expiry, EXPIRY_NONE or EXPIRY_KEEP; the times are as in keyspace_set_string. Counts as one change.
 */
struct entry *keyspace_set_value(struct keyspace *keyspace, struct db *db, struct key key, enum entry_type type,
    unsigned encoding, void *value, int64_t at_ms, int64_t now_ms);

/*
 * The value of an entry moved, or was converted: notes where it is now, and how it is kept. The caller called
 * keyspace_edit before.
 */
void entry_set_pointer(struct entry *entry, unsigned encoding, void *value);

/*
 * Elements of a collection or entries of a stream, in O(1); 0 for a string or a document. Of a hash with expiring
 * fields those that live at `now_ms` (all of them with INT64_MIN).
 */
size_t value_items(const struct entry *entry, int64_t now_ms);

/* The table that a value's elements are found by; NULL if it is kept in another way. Borrowed. */
const struct table *value_table(const struct entry *entry);
