/*
 * Entry: one key and its value in one allocation.
 *
 *   header (8 bytes)                                              body
 *   clock : 24 | type : 4 | encoding : 4 | flags : 8 | key length : 8 | value length : 16
 *     [expiry, 8: ms since 1970, if ENTRY_EXPIRES] [key length, 4: if ENTRY_WIDE_KEY] [key] [value]
 *
 * A small string is the value itself; an integer is 8 bytes; anything larger is a pointer of 8 bytes to what the
 * value's type keeps. With a 16-byte key and a 64-byte value that is 88 bytes, 96 with an expiry: one allocator class
 * for both. Nothing in the body is aligned. Entries move when they grow: whoever keeps a pointer over an edit keeps the
 * one that the edit returned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

enum entry_type {
    ENTRY_STRING,
    ENTRY_LIST,
    ENTRY_SET,
    ENTRY_ZSET,
    ENTRY_HASH,
    ENTRY_STREAM,
    ENTRY_JSON,
    ENTRY_TYPES,
};

/* How a string is kept. */
enum string_encoding {
    STRING_INT,      /* 8 bytes, a canonical 64-bit integer */
    STRING_EMBEDDED, /* value_len bytes in the body */
    STRING_BLOB,     /* a pointer to a blob, owned */
};

enum {
    ENTRY_EXPIRES = 1,  /* the body begins with an expiry */
    ENTRY_WIDE_KEY = 2, /* the key's length stands in the body */
    ENTRY_RAW = 4,      /* an embedded string that was edited in place: OBJECT ENCODING says raw */
    ENTRY_PARTS = 8,    /* parts of the value can expire by themselves: fields of a hash */

    ENTRY_CLOCK_BITS = 24,
    ENTRY_CLOCK_MASK = (1 << ENTRY_CLOCK_BITS) - 1,
    ENTRY_EMBED_MAX = 1024, /* longer strings are blobs */
};

struct entry {
    uint32_t clock : 24; /* last access in seconds, or an LFU counter; see store/keyspace.h */
    uint32_t type : 4;
    uint32_t encoding : 4;
    uint8_t flags;
    uint8_t key_len;    /* 0 with ENTRY_WIDE_KEY */
    uint16_t value_len; /* bytes of value in the body */
    char body[];
};

static inline size_t entry_key_offset(const struct entry *entry)
{
    return (entry->flags & ENTRY_EXPIRES ? 8u : 0u) + (entry->flags & ENTRY_WIDE_KEY ? 4u : 0u);
}

static inline struct bytes entry_key(const struct entry *entry)
{
    const char *at = entry->body + entry_key_offset(entry);
    uint32_t len = entry->key_len;
    if (entry->flags & ENTRY_WIDE_KEY)
        memcpy(&len, at - 4, 4);
    return (struct bytes){ at, len };
}

/* The value's bytes in the body: text, integer or pointer. */
static inline char *entry_value(const struct entry *entry)
{
    struct bytes key = entry_key(entry);
    return (char *)key.ptr + key.len;
}

/* What the value's pointer points to; not for small strings. */
static inline void *entry_pointer(const struct entry *entry)
{
    void *pointer;
    memcpy(&pointer, entry_value(entry), sizeof pointer);
    return pointer;
}

/* Bytes that the entry was allocated with. */
static inline size_t entry_size(const struct entry *entry)
{
    return sizeof *entry + (size_t)(entry_value(entry) - entry->body) + entry->value_len;
}

#define EXPIRY_NONE INT64_MIN       /* does not expire */
#define EXPIRY_KEEP (INT64_MIN + 1) /* as an argument: whatever it was before */

/* When it expires, ms since 1970, or EXPIRY_NONE. */
static inline int64_t entry_expiry(const struct entry *entry)
{
    int64_t at_ms = EXPIRY_NONE;
    if (entry->flags & ENTRY_EXPIRES)
        memcpy(&at_ms, entry->body, sizeof at_ms);
    return at_ms;
}

static inline bool entry_is_expired(const struct entry *entry, int64_t now_ms)
{
    return entry->flags & ENTRY_EXPIRES && now_ms > entry_expiry(entry);
}

/* "string", "list", ... as TYPE answers. */
const char *entry_type_name(enum entry_type type);

/* OBJECT ENCODING's name for what the entry holds. */
const char *entry_encoding_name(const struct entry *entry);

/* Bytes of the entry and everything it owns, as the allocator rounds them. */
size_t entry_memory(const struct entry *entry);
