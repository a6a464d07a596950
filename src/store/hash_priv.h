/*
 * What the files of the hash share: the table around many fields, and access to all encodings.
 */
#pragma once

#include "ds/listpack.h"
#include "ds/table.h"
#include "hash_field_priv.h"
#include "store/hash.h"

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
};

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

struct value_expiry;

/* As value_type.expire wants it. */
unsigned hash_expire(struct entry *entry, struct value_expiry *expiry);

/* Makes a packed hash a table. */
void hash_writer_unpack(struct hash_writer *writer);
