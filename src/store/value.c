/*
 * The table of value types: one row for each type that the store can hold.
 */
#include "store/value.h"

#include "hash_priv.h"
#include "keyspace_priv.h"
#include "set_priv.h"
#include "store/list.h"
#include "store/stream.h"
#include "value_priv.h"
#include "zset_priv.h"

const struct value_type *const value_types[ENTRY_TYPES] = {
    [ENTRY_STRING] = &string_value_type,
    [ENTRY_LIST] = &list_value_type,
    [ENTRY_HASH] = &hash_value_type,
    [ENTRY_SET] = &set_value_type,
    [ENTRY_ZSET] = &zset_value_type,
    [ENTRY_STREAM] = &stream_value_type,
    [ENTRY_JSON] = &document_value_type,
};

size_t value_items(const struct entry *entry, int64_t now_ms)
{
    switch ((enum entry_type)entry->type) {
    case ENTRY_LIST:
        return list_len(entry);
    case ENTRY_SET:
        return set_count(set_of(entry));
    case ENTRY_ZSET:
        return zset_count(entry);
    case ENTRY_HASH:
        return hash_len(entry, now_ms);
    case ENTRY_STREAM:
        return stream_meta(stream_of(entry))->length;
    default:
        return 0;
    }
}

const struct table *value_table(const struct entry *entry)
{
    if (entry->type == ENTRY_HASH && entry->encoding == HASH_TABLE)
        return &((const struct hash_table *)entry_pointer(entry))->table;
    if (entry->type == ENTRY_SET && entry->encoding == SET_TABLE)
        return &((const struct set_table *)entry_pointer(entry))->table;
    if (entry->type == ENTRY_ZSET && entry->encoding == ZSET_TREE)
        return &((const struct zset *)entry_pointer(entry))->members;
    return NULL;
}

void entry_set_pointer(struct entry *entry, unsigned encoding, void *value)
{
    ASSERT(entry->value_len == sizeof value);
    entry->encoding = encoding & 15;
    memcpy(entry_value(entry), &value, sizeof value);
}

struct entry *keyspace_set_value(struct keyspace *keyspace, struct db *db, struct key key, enum entry_type type,
    unsigned encoding, void *value, int64_t at_ms, int64_t now_ms)
{
    ASSERT(type != ENTRY_STRING);
    struct entry_shape shape = { type, encoding, sizeof value, at_ms };
    uint64_t *slot = keyspace_find(db, &key);
    if (slot && entry_is_expired(table_slot_item(slot), now_ms)) {
        keyspace_expire(keyspace, db, key.hash, slot);
        slot = NULL;
    }
    struct entry *old = slot ? table_slot_item(slot) : NULL;
    if (at_ms == EXPIRY_KEEP)
        shape.at_ms = old ? entry_expiry(old) : EXPIRY_NONE;
    struct entry *entry = entry_create(key_bytes(key), shape);
    memcpy(entry_value(entry), &value, sizeof value);
    if (!slot) {
        keyspace_insert(keyspace, db, &key, entry);
        return entry;
    }
    keyspace_edit(keyspace, db, key, old);
    entry->clock = old->clock;
    keyspace_replace(keyspace, db, slot, entry);
    keyspace_touch(keyspace, entry);
    return entry;
}
