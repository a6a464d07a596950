/*
 * What the files of the hash share: a field's allocation, the table around many of them, access to all encodings.
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
#include "ds/listpack.h"
#include "ds/table.h"
#include "entry_priv.h"
#include "store/hash.h"

enum {
    FIELD_EXPIRES = 1,
    FIELD_WIDE = 2,
    FIELD_HEAD = 3,
    FIELD_WIDE_HEAD = 16,
};

#define HASH_NEVER INT64_MAX /* a moment that does not come */

/* A large hash. */
struct hash_table {
    struct table table;    /* of fields, owned; those that can expire are marked */
    size_t bytes;          /* that the fields take, as the allocator rounds them */
    size_t volatile_count; /* fields that can expire */
    int64_t next_ms;       /* no field expires earlier; HASH_NEVER if none can */
    uint64_t walk_cursor;  /* of the background walk, 0 between two rounds; see hash_expire.c */
    int64_t walk_next_ms;  /* earliest expiry that the round has met or that was set since it began */
    uint32_t walk_round;   /* of the database's walk in which the last round ended */
    uint64_t stamp;        /* of this state; 0: it was given none, or was changed since */
};

/* --- A field --- */

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

/* --- A table of fields --- */

struct hash_table *hash_table_create(void);

/* At once. */
void hash_table_destroy(struct hash_table *hash);

/* Frees about `count` fields; true while more are left, otherwise the table is gone. */
bool hash_table_drain(struct hash_table *hash, size_t count);

/* A copy of all, expired fields too. */
struct hash_table *hash_table_copy(const struct hash_table *hash);

/* Adds a field whose name is not there. False when memory is out. */
bool hash_table_add(struct hash_table *hash, uint64_t name_hash, struct bytes name, struct bytes value, int64_t at_ms);

/* Gives the field in `slot` another value and expiry. False, and nothing changed, when memory is out. */
bool hash_table_set(struct hash_table *hash, uint64_t *slot, struct bytes value, int64_t at_ms);

void hash_table_remove(struct hash_table *hash, uint64_t name_hash, uint64_t *slot);

/* A field can expire at that moment: the walk must know. */
static inline void hash_table_expect(struct hash_table *hash, int64_t at_ms)
{
    if (at_ms < hash->next_ms)
        hash->next_ms = at_ms;
    if (at_ms < hash->walk_next_ms)
        hash->walk_next_ms = at_ms;
}

/* What is wrong with it, or NULL. O(n). */
const char *hash_table_check(const struct hash_table *hash);

/* --- Packed --- */

/* Entries of the listpack that make a field. */
static inline unsigned hash_stride(unsigned encoding)
{
    return encoding == HASH_LISTPACK_EX ? 3 : 2;
}

/* The field at *at, which moves behind it; false at the end. `scratch` may be read through the pair. */
bool hash_pack_read(
    const unsigned char *pack, unsigned encoding, uint32_t *at, struct hash_scratch *scratch, struct hash_pair *pair);

/*
 * Sets the expiry (or EXPIRY_NONE) of the field at `at` of a HASH_LISTPACK_EX, and moves the field to its place in the
 * order of expiry. False, and nothing changed, when memory is out.
 */
bool hash_pack_set_expiry(unsigned char **pack, uint32_t at, int64_t at_ms);

/* When the first field expires; HASH_NEVER if none can. O(1). */
static inline int64_t hash_pack_next_ms(const unsigned char *pack)
{
    if (listpack_is_empty(pack))
        return HASH_NEVER;
    uint32_t value = listpack_after(pack, LISTPACK_HEADER);
    int64_t at_ms = listpack_get(pack, listpack_after(pack, value)).number;
    return at_ms ? at_ms : HASH_NEVER;
}

/* --- All encodings --- */

static inline bool hash_pair_is_expired(const struct hash_pair *pair, int64_t now_ms)
{
    return pair->at_ms != EXPIRY_NONE && now_ms > pair->at_ms;
}

/* No field expires earlier; HASH_NEVER if none can. O(1). */
static inline int64_t hash_next_ms(unsigned encoding, const void *value)
{
    if (encoding == HASH_TABLE)
        return ((const struct hash_table *)value)->next_ms;
    return encoding == HASH_LISTPACK_EX ? hash_pack_next_ms(value) : HASH_NEVER;
}

/* Fields, expired ones too. */
static inline size_t hash_total(unsigned encoding, const void *value)
{
    if (encoding == HASH_TABLE)
        return table_count(&((const struct hash_table *)value)->table);
    return listpack_count(value) / hash_stride(encoding);
}

/* Announces the change that a writer is about to make. */
void hash_writer_edit(struct hash_writer *writer);

/* As value_type.expire wants it. */
unsigned hash_expire(struct entry *entry, int64_t now_ms, uint32_t round, size_t *items, size_t *removed);

/* Makes a packed hash a table. */
void hash_writer_unpack(struct hash_writer *writer);
