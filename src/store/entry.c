/*
 * Entries: how one is laid out anew, and what it says of itself.
 *
 * An entry that changes its size is written once more, into its own place while the allocator's class stays the same,
 * else into a new one. Both ways go through entry_reshape_into, which moves the value before the key or after it,
 * whichever does not overwrite what is still needed: an expiry that comes shifts both to the right, one that goes to
 * the left.
 */
#include "store/entry.h"

#include "base/assert.h"
#include "base/mem.h"
#include "entry_priv.h"
#include "value_priv.h"

void entry_init(struct entry *entry, struct bytes key, struct entry_shape shape)
{
    bool wide = key.len > ENTRY_NARROW_KEY_MAX;
    bool expires = shape.at_ms != EXPIRY_NONE;
    *entry = (struct entry){
        .type = shape.type,
        .encoding = shape.encoding,
        .flags = (uint8_t)((expires ? ENTRY_EXPIRES : 0) | (wide ? ENTRY_WIDE_KEY : 0)),
        .key_len = wide ? 0 : (uint8_t)key.len,
        .value_len = (uint16_t)shape.value_len,
    };
    char *at = entry->body;
    if (expires) {
        memcpy(at, &shape.at_ms, 8);
        at += 8;
    }
    if (wide) {
        uint32_t len = (uint32_t)key.len;
        memcpy(at, &len, 4);
        at += 4;
    }
    if (key.len)
        memcpy(at, key.ptr, key.len);
}

static size_t entry_size_of_shape(struct bytes key, const struct entry_shape *shape)
{
    ASSERT(key.len <= UINT32_MAX && shape->value_len <= UINT16_MAX);
    return entry_size_for(key.len, shape->at_ms != EXPIRY_NONE, shape->value_len);
}

struct entry *entry_create(struct bytes key, struct entry_shape shape)
{
    struct entry *entry = mem_alloc(entry_size_of_shape(key, &shape));
    entry_init(entry, key, shape);
    return entry;
}

struct entry *entry_try_create(struct bytes key, struct entry_shape shape)
{
    struct entry *entry = mem_try_alloc(entry_size_of_shape(key, &shape));
    if (entry)
        entry_init(entry, key, shape);
    return entry;
}

void entry_reshape_into(struct entry *to, const struct entry *from, int64_t at_ms, size_t value_len, size_t keep)
{
    struct entry header = *from;
    bool expires = at_ms != EXPIRY_NONE;
    struct bytes key = entry_key(from);
    const char *old_rest = key.ptr - (header.flags & ENTRY_WIDE_KEY ? 4 : 0);
    char *new_rest = to->body + (expires ? 8 : 0);
    size_t rest_len = (size_t)(key.ptr - old_rest) + key.len + keep;

    /* Key and value are one run of bytes, so one move keeps them in order whichever way they shift. */
    if (new_rest != old_rest)
        memmove(new_rest, old_rest, rest_len);
    if (expires)
        memcpy(to->body, &at_ms, sizeof at_ms);
    header.flags = (uint8_t)((header.flags & ~ENTRY_EXPIRES) | (expires ? ENTRY_EXPIRES : 0));
    header.value_len = (uint16_t)value_len;
    memcpy(to, &header, sizeof header);
}

const char *entry_type_name(enum entry_type type)
{
    static const char *const names[ENTRY_TYPES] = {
        [ENTRY_STRING] = "string",
        [ENTRY_LIST] = "list",
        [ENTRY_SET] = "set",
        [ENTRY_ZSET] = "zset",
        [ENTRY_HASH] = "hash",
        [ENTRY_STREAM] = "stream",
        [ENTRY_JSON] = "ReJSON-RL",
    };
    ASSERT(type < ENTRY_TYPES);
    return names[type];
}

const char *entry_encoding_name(const struct entry *entry)
{
    return value_type_of(entry)->encoding_name(entry);
}

size_t entry_memory(const struct entry *entry)
{
    return mem_usable_size(entry) + value_type_of(entry)->memory(entry);
}
