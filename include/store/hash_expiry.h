/*
 * Fields of hashes that expire: set, asked for, taken away.
 *
 * A field that has expired is never seen, however late the background walk removes it (keyspace_expire_step), and a
 * hash that is left without fields goes with it. Look-ups of hashes with few such fields remove them at once.
 */
#pragma once

#include "store/hash.h"

/* The last moment that can be set, ms since 1970: Redis keeps 46 bits. */
#define HASH_EXPIRY_MAX ((INT64_C(1) << 46) - 1)

/* Finds a field for reading; true and when it expires, or EXPIRY_NONE. Costs as hash_get. */
bool hash_get_expiry(const struct entry *entry, struct bytes field, int64_t now_ms, int64_t *at_ms);

/* When the field that hash_find found expires, or EXPIRY_NONE. */
int64_t hash_expiry_at(const struct hash_writer *writer, const struct hash_place *place);

/*
 * Lets the field that was found expire at a moment from 1 to HASH_EXPIRY_MAX, or never (EXPIRY_NONE). False, and
 * nothing changed, when memory is out. O(1), or O(n) while packed. The place is no longer valid.
 */
bool hash_set_expiry(struct hash_writer *writer, const struct hash_place *place, int64_t at_ms);
