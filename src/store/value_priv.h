/*
 * Values by type: the seam between the keyspace, which knows entries, and the types, which know what an entry's value
 * is.
 *
 * A type fills one `struct value_type` and gets one row in value.c; nothing else in the store asks for an entry's type.
 * Where a type owns nothing outside the entry, or never much, the functions say so and the keyspace needs no case of
 * its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"
#include "store/entry.h"

/* What is left after value_type.expire. */
enum value_left {
    VALUE_EMPTY = 1,      /* nothing: the key is to be removed */
    VALUE_EXPIRES = 2,    /* parts that can expire */
    VALUE_UNFINISHED = 4, /* parts that were not looked at in this round */
};

/* Taking out of a value what has expired in it. */
struct value_expiry {
    int64_t now_ms;
    uint32_t round; /* of the background walk; 0 is for a look-up, which cannot wait: all at once, or nothing */
    size_t items;   /* parts to look at, about; those that were are taken off */
    size_t removed; /* parts that were removed so far */
    /* Told of each part before it is removed; NULL if nobody wants to know. */
    void (*tell)(struct value_expiry *expiry, struct bytes part);
};

struct value_type {
    /* The name that OBJECT ENCODING gives. */
    const char *(*encoding_name)(const struct entry *entry);

    /* Bytes that the value owns outside the entry, as the allocator rounds them. */
    size_t (*memory)(const struct entry *entry);

    /* Frees what the value owns outside the entry, at once. The entry's body is garbage afterwards. */
    void (*destroy)(struct entry *entry);

    /* `entry` was copied byte by byte from another: gives it a value of its own. O(1) or O(value). */
    void (*copy)(struct entry *entry);

    /* Items that destroy has to visit; O(1). NULL if destroy is always O(1). */
    size_t (*weight)(const struct entry *entry);

    /*
     * Destroys about `items` items; true while more is left, and then the value is good for nothing but more of this.
     * With weight.
     */
    bool (*drain)(struct entry *entry, size_t items);

    /*
     * Takes out of the value what has expired in it; for entries with ENTRY_PARTS. In a round of the background walk it
     * says VALUE_UNFINISHED until it has seen everything once; for a look-up it does nothing if it were to look at more
     * than expiry->items parts. NULL for types of which no part expires by itself.
     */
    unsigned (*expire)(struct entry *entry, struct value_expiry *expiry);

    /* What is wrong with the value, or NULL. For keyspace_check. */
    const char *(*check)(const struct entry *entry);
};

extern const struct value_type document_value_type;
extern const struct value_type hash_value_type;
extern const struct value_type list_value_type;
extern const struct value_type stream_value_type;
extern const struct value_type string_value_type;
extern const struct value_type set_value_type;
extern const struct value_type zset_value_type;

/* By enum entry_type; NULL where the type has none yet. */
extern const struct value_type *const value_types[ENTRY_TYPES];

static inline const struct value_type *value_type_of(const struct entry *entry)
{
    ASSERT(entry->type < ENTRY_TYPES && value_types[entry->type]);
    return value_types[entry->type];
}

static inline bool value_is_small_string(const struct entry *entry)
{
    return entry->type == ENTRY_STRING && entry->encoding != STRING_BLOB;
}

static inline void value_destroy(struct entry *entry)
{
    if (!value_is_small_string(entry))
        value_type_of(entry)->destroy(entry);
}

static inline void value_copy(struct entry *entry)
{
    if (!value_is_small_string(entry))
        value_type_of(entry)->copy(entry);
}

static inline size_t value_weight(const struct entry *entry)
{
    if (entry->type == ENTRY_STRING)
        return 1;
    const struct value_type *type = value_type_of(entry);
    return type->weight ? type->weight(entry) : 1;
}
