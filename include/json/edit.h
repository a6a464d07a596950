/*
 * Edit: changing documents, in place where nobody else looks, by copying the way to the change where somebody does.
 *
 * Where something is, is said by a path of 32-bit steps from the root: the position in an array, the key in an object.
 * json_doc_open goes there, makes every node on the way this document's own (copying those that are shared), and
 * answers the slot. All functions below work on such a slot, or on one in a value that the caller alone holds. A slot
 * is valid until the next edit of the document or the next json_doc_open.
 *
 * What is taken out goes to the trash of the caller; no function here frees more than a few nodes. Costs: O(log n) with
 * a base of hundreds, times a copy of 4 KB a level where the document is pinned; of `n` inserted values O(n). Nodes are
 * small, so running out of memory for them aborts; what a client sizes (strings) answers false, and nothing changed.
 *
 * No function looks how deep a document becomes: who puts something in sees to it that the steps to it and its own
 * depth (json_parser_depth) stay within JSON_MAX_DEPTH, on which printers and walks rely.
 */
#pragma once

#include "json/doc.h"

/* The slot at the end of the path, exclusive now; NULL if there is no such place (then nothing was copied). */
struct json_value *json_doc_open(struct json_doc *doc, const uint32_t *steps, size_t count, struct json_trash *trash);

/* The slot at the end of the path, for reading; NULL if there is none. */
const struct json_value *json_doc_at(const struct json_doc *doc, const uint32_t *steps, size_t count);

/* True if something on the way there, or what stands there, has another holder, so that json_doc_open would copy nodes,
 * and a change of a string the string. The place exists. O(what json_doc_open costs). */
bool json_doc_is_shared(const struct json_doc *doc, const uint32_t *steps, size_t count);

/* Puts a value (taken) where another was. */
void json_set(struct json_value *slot, struct json_value value, struct json_trash *trash);

/* Inserts values (their references are taken) before the position `at`, which is at most the length. False, and nothing
 * changed or taken: the array would have more than 2^32 - 1 elements. */
bool json_array_insert(
    struct json_value *array, uint32_t at, const struct json_value *values, uint32_t count, struct json_trash *trash);
bool json_array_append(struct json_value *array, struct json_value value, struct json_trash *trash);

/* Takes the element at a position out and answers it; the caller owns it. */
struct json_value json_array_take(struct json_value *array, uint32_t at, struct json_trash *trash);

/* Removes `count` elements from a position on; all of them must exist. O(log n) and the nodes that are cut off whole,
 * however many elements; for these it breathes, in a fiber, as json_merge does. */
void json_array_remove(struct json_value *array, uint32_t at, uint32_t count, struct json_trash *trash);

/* Sets a member (value taken): in its place if there is one of that key, else as the last. The first form takes no
 * reference to the key, its caller holds one; the second answers false when memory for a new key is out. */
void json_object_set(struct json_value *object, json_key key, struct json_value value, struct json_trash *trash);
bool json_object_put(struct json_value *object, struct bytes key, struct json_value value, struct json_trash *trash);

/* The slot of a member, exclusive; NULL if there is none. */
struct json_value *json_object_open(struct json_value *object, json_key key, struct json_trash *trash);

/* Removes a member; false if there is none. The others keep their order. */
bool json_object_remove(struct json_value *object, json_key key, struct json_trash *trash);

/* The slot of element `at`, exclusive. */
struct json_value *json_array_open(struct json_value *array, uint32_t at, struct json_trash *trash);

/* Appends to a string, in place if it may. False: memory is out, or 4 GB and more. Amortised O(len of text); in a fiber
 * a copy breathes. */
bool json_string_append(struct json_value *string, struct bytes text, struct json_trash *trash);

/* True if its memory has room for so many bytes more. */
bool json_string_fits(struct json_value string, size_t more);

/*
 * RFC 7396: merges `patch` into the slot. Objects go in member by member, null removes, all else replaces. False when
 * memory for a key is out; the members before it are merged then. O(size of the patch); in a fiber it breathes, so that
 * a document that others see must not be what is worked on there.
 */
bool json_merge(struct json_value *slot, const struct json_value *patch, struct json_trash *trash);
