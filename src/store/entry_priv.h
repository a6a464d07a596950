/*
 * Making and comparing entries; shared by the files of the store.
 *
 * An entry keeps its place as long as its size stays in one class of the allocator. All that follows from a size (the
 * class, the sized free) asks entry_size, which the header gives exactly at any time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "store/entry.h"
#include "store/keyspace.h"

enum { ENTRY_NARROW_KEY_MAX = UINT8_MAX };

static inline size_t entry_size_for(size_t key_len, bool expires, size_t value_len)
{
    return sizeof(struct entry) + (expires ? 8 : 0) + (key_len > ENTRY_NARROW_KEY_MAX ? 4 : 0) + key_len + value_len;
}

/* What an entry is made of but its content. */
struct entry_shape {
    enum entry_type type;
    unsigned encoding;
    size_t value_len;
    int64_t at_ms; /* or EXPIRY_NONE */
};

/*
 * Writes header, expiry and key into `entry`, which has room for them; the value's bytes are left to the caller. The
 * key must not overlap with the entry.
 */
void entry_init(struct entry *entry, struct bytes key, struct entry_shape shape);

/* Allocates an entry and does the same. */
struct entry *entry_create(struct bytes key, struct entry_shape shape);

/* The same; NULL when memory is out. */
struct entry *entry_try_create(struct bytes key, struct entry_shape shape);

/* Frees the entry itself, not what its value owns. */
static inline void entry_free(struct entry *entry)
{
    mem_free_sized(entry, entry_size(entry));
}

static inline void entry_set_expiry_field(struct entry *entry, int64_t at_ms)
{
    memcpy(entry->body, &at_ms, sizeof at_ms);
}

/*
 * True if an entry of `size` bytes may lie where this one does: it fits, and wastes nothing. jemalloc's classes are 16
 * bytes apart from 16 to 128, which answers for most entries without a call.
 */
static inline bool entry_fits_in_place(const struct entry *entry, size_t size)
{
    size_t old = entry_size(entry);
#ifdef LARDER_JEMALLOC
    if (old > 16 && old <= 128 && size > 16 && size <= 128)
        return (old - 1) / 16 == (size - 1) / 16;
#endif
    return old == size || mem_usable_size(entry) == mem_good_size(size);
}

/*
 * Writes `from` once more into `to`, with room for `value_len` bytes of value, of which the first `keep` are those of
 * `from`, and with the expiry `at_ms` or none. Type, encoding, flags and clock stay. `to` may be `from`.
 */
void entry_reshape_into(struct entry *to, const struct entry *from, int64_t at_ms, size_t value_len, size_t keep);

static inline bool entry_same_bytes(const char *a, const char *b, size_t len)
{
    return bytes_same(a, b, len);
}

/* A table_match_fn; `sought` is a struct key. */
static inline bool entry_has_key(const void *item, const void *sought)
{
    const struct entry *entry = item;
    const struct key *key = sought;
    const char *own = entry->body + (entry->flags & ENTRY_EXPIRES ? 8 : 0);
    if (__builtin_expect(entry->flags & ENTRY_WIDE_KEY, 0)) {
        uint32_t len;
        memcpy(&len, own, 4);
        return len == key->len && entry_same_bytes(own + 4, key->ptr, len);
    }
    return entry->key_len == key->len && entry_same_bytes(own, key->ptr, key->len);
}
