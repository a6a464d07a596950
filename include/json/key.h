/*
 * Keys: the names of members, each kept once for the whole process and known by a number of 32 bits.
 *
 * Comparing keys is comparing numbers, and a member costs 4 bytes for its name. A key lives as long as anybody holds a
 * reference: every member of every object holds one. The text of a key that is held may be read on any thread without a
 * lock; making, finding and the last release take a lock for well under a microsecond.
 *
 * The table is global, as the allocator is: values move between documents by reference, so their keys must mean the
 * same everywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* The number of a key; never 0. */
typedef uint32_t json_key;

/* The key of this text (valid UTF-8) with one more reference, owned by the caller; 0 when memory is out. Any thread. */
json_key json_key_intern(struct bytes text);

/*
 * The key of this text, or 0 if no object anywhere has such a member. No reference is taken: the number may only be
 * used to look into documents that nobody changes meanwhile (or that are pinned), and not kept for a later request.
 */
json_key json_key_find(struct bytes text);

/* Takes references to a key that is held; gives one or many back, and answers true if the last was among them. Any
 * thread. */
void json_key_ref(json_key key, uint64_t count);
bool json_key_unref(json_key key);
bool json_key_unref_many(json_key key, uint64_t count);

/* The text of a key that is held. O(1). */
struct bytes json_key_text(json_key key);

/* Keys in the table, and bytes that they and it take. O(1). */
size_t json_key_count(void);
size_t json_key_bytes(void);
