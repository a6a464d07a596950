/*
 * Lengths: how long the compact texts of containers were when they were printed last.
 *
 * A reply says its length first, so a text can only leave while the rest of it is still being printed if its length is
 * known before. Documents that are read whole are mostly read again before they change: printing them once finds it
 * out.
 *
 * A length stands in a small table, under its container's address, and counts as long as a bit in that container's node
 * says so. Every change in a node or below it takes the node for its holder alone first (json/edit.h), which wipes the
 * bit; a new node has none. So nothing has to be told of edits, and what is known is right. Lengths that meet in one
 * place push each other out.
 *
 * Used by the thread that edits documents.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "json/value.h"

struct json_lengths;

struct json_lengths *json_lengths_create(void);
void json_lengths_destroy(struct json_lengths *lengths); /* NULL is nothing */

/* Notes how long the compact text of a value is. The value has not changed since it was printed; of one that is no
 * container nothing is noted. */
void json_lengths_note(struct json_lengths *lengths, struct json_value value, size_t len);

/* From now on the value's text is not known to be of any length: for what is moved as it is. */
void json_lengths_forget(struct json_value value);

/* The length of the value's compact text, in bytes; 0 if it is not known. O(1). */
size_t json_lengths_find(const struct json_lengths *lengths, struct json_value value);
