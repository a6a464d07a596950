/*
 * Strings as values: integers, embedded text, blobs; which one it is stays in here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/bytes.h"
#include "base/num.h"
#include "store/keyspace.h"

/* Room that string_view may need to spell an integer. */
struct string_scratch {
    char digits[NUM_I64_MAX_LEN + 4];
};

/* The content, borrowed from the entry or from `scratch`, valid until either changes. O(1). */
struct bytes string_view(const struct entry *entry, struct string_scratch *scratch);

/* The blob behind a large string, borrowed, or NULL if the string is not kept as one. */
struct blob *string_blob(const struct entry *entry);

size_t string_len(const struct entry *entry);

/* True and *value set if the content is a canonical 64-bit integer. */
bool string_to_i64(const struct entry *entry, int64_t *value);

/*
 * Stores `value` under the key, replacing whatever is there, type included. Canonical integers of at most 20 characters
 * are kept as such. `at_ms` is the expiry, EXPIRY_NONE, or EXPIRY_KEEP. An entry that has expired by `now_ms` is
 * removed first, so that nothing of it is kept. `value` must not lie in the entry that is replaced. O(len).
 */
struct entry *keyspace_set_string(
    struct keyspace *keyspace, struct db *db, struct key key, struct bytes value, int64_t at_ms, int64_t now_ms);

/* The same, but kept as text even if it is an integer: for results that clients see as text (INCRBYFLOAT). */
struct entry *keyspace_set_text(
    struct keyspace *keyspace, struct db *db, struct key key, struct bytes value, int64_t at_ms, int64_t now_ms);

/* The same with a blob, which the store takes over; if it is short it is copied and given back. */
struct entry *keyspace_set_string_take(
    struct keyspace *keyspace, struct db *db, struct key key, struct blob *value, int64_t at_ms, int64_t now_ms);

/* Stores an integer; in place, in the common case. The times as above. */
struct entry *keyspace_set_integer(
    struct keyspace *keyspace, struct db *db, struct key key, int64_t value, int64_t at_ms, int64_t now_ms);

/*
 * Opens the string for editing in place at a length of `len` bytes: what was there stays, what is new is zero, what is
 * beyond is cut. A missing key is created (without expiry). `entry` is what keyspace_write found, NULL if nothing. The
 * string counts as raw from then on; repeated growth is amortised O(1) a byte. Returns where the bytes are, or NULL,
 * with nothing changed, when memory is out.
 */
char *keyspace_edit_string(struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry, size_t len);

/* About how many bytes keyspace_edit_string would copy and fill; where room can be had without that it is made now. */
size_t string_edit_work(struct entry *entry, size_t len);

/*
 * As keyspace_edit_string, for `len` beyond ENTRY_EMBED_MAX: breathes (base/fiber.h) while it copies and fills, before
 * it changes anything. Meanwhile nobody may change the string, but it may be read, shared and moved. The entry is what
 * keyspace_peek finds.
 */
char *keyspace_edit_string_slowly(struct keyspace *keyspace, struct db *db, struct key key, int64_t now_ms, size_t len);
