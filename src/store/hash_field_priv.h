/*
 * A field of a large hash: one allocation with everything about it.
 *
 *   field    flags : u8 | name length : u8 | value length : u8                  [expiry : 8] name | value
 *   wide     flags : u8 | unused : 3 | name length : u32 | value length : u64   [expiry : 8] name | value
 *
 * A field is wide if either length needs more than a byte. With 16 bytes of name and of value it takes 35 bytes, 43
 * with an expiry: the allocator's class of 48 for both.
 */
#pragma once

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "ds/table.h"
#include "entry_priv.h"
#include "store/hash.h"

enum {
    FIELD_EXPIRES = 1,
    FIELD_WIDE = 2,
    FIELD_HEAD = 3,
    FIELD_WIDE_HEAD = 16,
};

static inline size_t field_head(unsigned flags)
{
    return (flags & FIELD_WIDE ? FIELD_WIDE_HEAD : FIELD_HEAD) + (flags & FIELD_EXPIRES ? 8u : 0u);
}

static inline struct bytes field_name(const void *field)
{
    const unsigned char *at = field;
    uint32_t len = at[1];
    if (__builtin_expect(at[0] & FIELD_WIDE, 0))
        memcpy(&len, at + 4, sizeof len);
    return bytes_make(at + field_head(at[0]), len);
}

static inline struct bytes field_value(const void *field)
{
    const unsigned char *at = field;
    struct bytes name = field_name(field);
    uint64_t len = at[2];
    if (__builtin_expect(at[0] & FIELD_WIDE, 0))
        memcpy(&len, at + 8, sizeof len);
    return bytes_make(name.ptr + name.len, len);
}

static inline int64_t field_expiry(const void *field)
{
    const unsigned char *at = field;
    int64_t at_ms = EXPIRY_NONE;
    if (at[0] & FIELD_EXPIRES)
        memcpy(&at_ms, at + field_head(at[0]) - 8, sizeof at_ms);
    return at_ms;
}

static inline bool field_is_expired(const void *field, int64_t now_ms)
{
    return *(const unsigned char *)field & FIELD_EXPIRES && now_ms > field_expiry(field);
}

static inline void field_set_expiry(void *field, int64_t at_ms)
{
    unsigned char *at = field;
    memcpy(at + field_head(at[0]) - 8, &at_ms, sizeof at_ms);
}

static inline size_t field_size(const void *field)
{
    struct bytes value = field_value(field);
    return (size_t)(value.ptr - (const char *)field) + value.len;
}

/* Bytes that the allocator gives to `size`. */
static inline size_t field_class(size_t size)
{
#ifdef LARDER_JEMALLOC
    if (size > 8 && size <= 128)
        return (size + 15) & ~(size_t)15;
#endif
    return mem_good_size(size);
}

/* True if what was allocated with `old` bytes may have `size`: it fits, and wastes nothing. */
static inline bool field_fits_in_place(size_t old, size_t size)
{
#ifdef LARDER_JEMALLOC
    return field_class(old) == field_class(size);
#else
    return old == size;
#endif
}

/* A field on the heap; NULL when memory is out. */
void *field_try_create(struct bytes name, struct bytes value, int64_t at_ms);

static inline void field_destroy(void *field)
{
    mem_free_sized(field, field_size(field));
}

/* A table_match_fn; `sought` is a struct bytes. */
static inline bool field_has_name(const void *field, const void *sought)
{
    struct bytes name = field_name(field);
    const struct bytes *other = sought;
    return name.len == other->len && entry_same_bytes(name.ptr, other->ptr, name.len);
}

static inline struct hash_pair field_pair(const void *field)
{
    return (struct hash_pair){ field_name(field), field_value(field), field_expiry(field) };
}
