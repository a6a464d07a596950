/*
 * Hashes: packed while they are small, a table when they are large.
 *
 *   HASH_LISTPACK      a listpack of fields and values in the order of their making
 *   HASH_LISTPACK_EX   the same with an expiry behind each value, in ms since 1970, 0 for none; ordered by it, those
 *                      that never expire last. A hash becomes this with its first expiry, and stays it.
 *   HASH_TABLE         a table of fields (hash_priv.h)
 *
 * A hash becomes a table when a name or value is longer, or fields are more, than the settings say, and stays one. The
 * entry holds a pointer in each case. Look-ups in a listpack are linear, and quick because the settings are small.
 *
 * A writer works on the entry's value where it lies. It tells the keyspace before its first change (hash_writer_edit),
 * and only hash_end touches the entry: the pointer and the encoding if they changed, the mark that fields can expire,
 * or its removal.
 */
#include "store/hash.h"

#include "base/assert.h"
#include "base/fiber.h"
#include "hash_priv.h"
#include "keyspace_priv.h"
#include "store/settings.h"
#include "store/value.h"
#include "value_priv.h"

/* Of making large ones: fields that room is made for between two breaths, and what things cost for them. */
enum { RESERVE_STEP = 10 * 1000, RESERVE_COST = 2000, FIELD_COST = 20 };

/* --- As a value type --- */

static const char *hash_encoding_name(const struct entry *entry)
{
    static const char *const names[] = {
        [HASH_LISTPACK] = "listpack",
        [HASH_LISTPACK_EX] = "listpackex",
        [HASH_TABLE] = "hashtable",
    };
    ASSERT(entry->encoding <= HASH_TABLE);
    return names[entry->encoding];
}

static size_t hash_memory(const struct entry *entry)
{
    if (entry->encoding != HASH_TABLE)
        return listpack_memory(entry_pointer(entry));
    const struct hash_table *hash = entry_pointer(entry);
    return mem_good_size(sizeof *hash) + table_overhead_bytes(&hash->table) + hash->bytes;
}

static void value_free(unsigned encoding, void *value)
{
    if (encoding == HASH_TABLE)
        hash_table_destroy(value);
    else
        listpack_destroy(value);
}

static void hash_destroy(struct entry *entry)
{
    value_free(entry->encoding, entry_pointer(entry));
}

static void hash_copy(struct entry *entry)
{
    void *copy;
    if (entry->encoding == HASH_TABLE) {
        copy = hash_table_copy(entry_pointer(entry));
    } else {
        copy = listpack_copy(entry_pointer(entry));
        ASSERT(copy);
    }
    entry_set_pointer(entry, entry->encoding, copy);
}

static size_t hash_weight(const struct entry *entry)
{
    return entry->encoding == HASH_TABLE ? hash_total(HASH_TABLE, entry_pointer(entry)) + 1 : 1;
}

static bool hash_drain(struct entry *entry, size_t items)
{
    if (entry->encoding == HASH_TABLE)
        return hash_table_drain(entry_pointer(entry), items);
    hash_destroy(entry);
    return false;
}

static const char *check_pack(unsigned encoding, const unsigned char *pack)
{
    if (!listpack_validate(pack, listpack_bytes(pack), NULL, NULL))
        return "a hash's listpack is broken";
    if (listpack_is_empty(pack) || listpack_count(pack) % hash_stride(encoding))
        return "a packed hash has no fields, or half of one";
    int64_t last_ms = 0;
    struct hash_scratch scratch;
    struct hash_pair pair;
    for (uint32_t at = LISTPACK_HEADER; hash_pack_read(pack, encoding, &at, &scratch, &pair);) {
        int64_t at_ms = pair.at_ms == EXPIRY_NONE ? HASH_NEVER : pair.at_ms;
        if (at_ms < last_ms)
            return "a packed hash is not in the order of expiry";
        last_ms = at_ms;
    }
    return NULL;
}

static const char *hash_check(const struct entry *entry)
{
    if (entry->value_len != sizeof(void *) || entry->encoding > HASH_TABLE)
        return "a hash of unknown encoding";
    const void *value = entry_pointer(entry);
    if ((hash_next_ms(entry->encoding, value) != HASH_NEVER) != !!(entry->flags & ENTRY_PARTS))
        return "a hash's fields expire, and the entry does not know, or the other way round";
    if (entry->encoding != HASH_TABLE)
        return check_pack(entry->encoding, value);
    return hash_total(HASH_TABLE, value) ? hash_table_check(value) : "a hash has no fields";
}

const struct value_type hash_value_type = {
    .encoding_name = hash_encoding_name,
    .memory = hash_memory,
    .destroy = hash_destroy,
    .copy = hash_copy,
    .weight = hash_weight,
    .drain = hash_drain,
    .expire = hash_expire,
    .check = hash_check,
};

/* --- Packed --- */

bool hash_pack_read(
    const unsigned char *pack, unsigned encoding, uint32_t *at, struct hash_scratch *scratch, struct hash_pair *pair)
{
    struct listpack_value entry;
    if (!listpack_read(pack, at, &entry))
        return false;
    pair->field = listpack_value_bytes(entry, scratch->field);
    listpack_read(pack, at, &entry);
    pair->value = listpack_value_bytes(entry, scratch->value);
    pair->at_ms = EXPIRY_NONE;
    if (encoding == HASH_LISTPACK_EX && listpack_read(pack, at, &entry) && entry.number)
        pair->at_ms = entry.number;
    return true;
}

static uint32_t pack_find(const unsigned char *pack, unsigned encoding, struct bytes field)
{
    return listpack_find(pack, listpack_first(pack), field, hash_stride(encoding) - 1);
}

/* When the field at `at` expires. */
static int64_t pack_expiry(const unsigned char *pack, unsigned encoding, uint32_t at)
{
    if (encoding != HASH_LISTPACK_EX)
        return EXPIRY_NONE;
    int64_t at_ms = listpack_get(pack, listpack_after(pack, listpack_after(pack, at))).number;
    return at_ms ? at_ms : EXPIRY_NONE;
}

/* --- Reading --- */

bool hash_get(
    const struct entry *entry, struct bytes field, int64_t now_ms, struct hash_scratch *scratch, struct bytes *value)
{
    if (entry->encoding == HASH_TABLE) {
        const struct hash_table *hash = entry_pointer(entry);
        uint64_t *slot = table_find(&hash->table, hash_bytes(field.ptr, field.len), field_has_name, &field);
        if (!slot || field_is_expired(table_slot_item(slot), now_ms))
            return false;
        *value = field_value(table_slot_item(slot));
        return true;
    }
    const unsigned char *pack = entry_pointer(entry);
    uint32_t at = pack_find(pack, entry->encoding, field);
    if (!at)
        return false;
    int64_t at_ms = pack_expiry(pack, entry->encoding, at);
    if (at_ms != EXPIRY_NONE && now_ms > at_ms)
        return false;
    *value = listpack_get_bytes(pack, listpack_after(pack, at), scratch->value);
    return true;
}

void hash_prefetch(const struct entry *entry, const struct bytes *texts, size_t count, size_t step)
{
    if (entry->encoding != HASH_TABLE)
        return;
    const struct hash_table *hash = entry_pointer(entry);
    uint64_t hashes[HASH_AHEAD];
    size_t n = 0;
    for (size_t i = 0; i < count && n < HASH_AHEAD; i += step) {
        hashes[n] = hash_bytes(texts[i].ptr, texts[i].len);
        table_prefetch_bucket(&hash->table, hashes[n++]);
    }
    for (size_t i = 0; i < n; i++)
        table_prefetch_items(&hash->table, hashes[i]);
}

void hash_look_ahead(const struct entry *entry, struct bytes field, unsigned step)
{
    if (entry->encoding != HASH_TABLE)
        return;
    const struct table *table = &((const struct hash_table *)entry_pointer(entry))->table;
    uint64_t hash = hash_bytes(field.ptr, field.len);
    if (step == 0)
        table_prefetch_bucket(table, hash);
    else
        table_prefetch_items(table, hash);
}

/* --- Writing --- */

void hash_begin(struct hash_writer *writer, struct keyspace *keyspace, struct db *db, struct key key,
    struct entry *entry, int64_t now_ms)
{
    *writer = (struct hash_writer){ .keyspace = keyspace, .db = db, .key = key, .now_ms = now_ms, .entry = entry };
    if (entry) {
        writer->encoding = entry->encoding;
        writer->value = entry_pointer(entry);
    }
}

void hash_writer_edit(struct hash_writer *writer)
{
    if (writer->entry && !writer->edited)
        keyspace_edit(writer->keyspace, writer->db, writer->key, writer->entry);
    writer->edited = true;
}

void hash_end(struct hash_writer *writer)
{
    struct entry *entry = writer->entry;
    if (!writer->edited || !writer->value)
        return;
    bool empty = hash_total(writer->encoding, writer->value) == 0;
    if (!entry && empty) {
        value_free(writer->encoding, writer->value);
        return;
    }
    if (!entry) {
        if (writer->encoding == HASH_TABLE)
            table_unreserve(&((struct hash_table *)writer->value)->table);
        entry = keyspace_set_value(writer->keyspace, writer->db, writer->key, ENTRY_HASH, writer->encoding,
            writer->value, EXPIRY_NONE, writer->now_ms);
    } else if (writer->encoding != entry->encoding || writer->value != entry_pointer(entry)) {
        entry_set_pointer(entry, writer->encoding, writer->value);
    }
    bool expires = hash_next_ms(writer->encoding, writer->value) != HASH_NEVER;
    if (empty)
        keyspace_remove(writer->keyspace, writer->db, writer->key);
    else if (expires != !!(entry->flags & ENTRY_PARTS))
        keyspace_set_parts(writer->db, &writer->key, entry, expires);
}

/* The walk has not come by yet. */
static void remove_expired(struct hash_writer *writer, struct bytes field, struct hash_place *place)
{
    const struct keyspace_observer *observer = &writer->keyspace->observer;
    if (observer->part_expired)
        observer->part_expired(observer->context, writer->db, key_bytes(writer->key), field);
    if (observer->parts_expired)
        observer->parts_expired(observer->context, writer->db, key_bytes(writer->key), false);
    writer->keyspace->stats.expired_parts++;
    hash_remove(writer, place);
}

bool hash_find(struct hash_writer *writer, struct bytes field, struct hash_place *place)
{
    *place = (struct hash_place){ 0 };
    if (writer->encoding == HASH_TABLE) {
        const struct hash_table *hash = writer->value;
        place->hash = hash_bytes(field.ptr, field.len);
        place->slot = table_find(&hash->table, place->hash, field_has_name, &field);
        if (place->slot && field_is_expired(table_slot_item(place->slot), writer->now_ms))
            remove_expired(writer, field, place);
        return place->slot != NULL;
    }
    if (!writer->value)
        return false;
    place->at = pack_find(writer->value, writer->encoding, field);
    if (place->at) {
        int64_t at_ms = pack_expiry(writer->value, writer->encoding, place->at);
        if (at_ms != EXPIRY_NONE && writer->now_ms > at_ms)
            remove_expired(writer, field, place);
    }
    return place->at != 0;
}

struct bytes hash_value_at(
    const struct hash_writer *writer, const struct hash_place *place, struct hash_scratch *scratch)
{
    if (writer->encoding == HASH_TABLE)
        return field_value(table_slot_item(place->slot));
    return listpack_get_bytes(writer->value, listpack_after(writer->value, place->at), scratch->value);
}

void hash_writer_unpack(struct hash_writer *writer)
{
    struct hash_table *hash = hash_table_create();
    struct hash_scratch scratch;
    struct hash_pair pair;
    for (uint32_t at = LISTPACK_HEADER; hash_pack_read(writer->value, writer->encoding, &at, &scratch, &pair);) {
        uint64_t name_hash = hash_bytes(pair.field.ptr, pair.field.len);
        bool added = hash_table_add(hash, name_hash, pair.field, pair.value, pair.at_ms);
        ASSERT(added);
    }
    listpack_destroy(writer->value);
    writer->value = hash;
    writer->encoding = HASH_TABLE;
}

/* True if the field must not, or cannot, go to the listpack. */
static bool too_large_to_pack(const struct hash_writer *writer, struct bytes field, struct bytes value)
{
    int64_t max = writer->keyspace->settings->hash_max_listpack_value;
    return (int64_t)field.len > max || (int64_t)value.len > max ||
           !listpack_has_room(writer->value, field.len + value.len + 64);
}

static bool table_put(struct hash_writer *writer, const struct hash_place *place, struct bytes field,
    struct bytes value, enum hash_expiry_policy policy)
{
    struct hash_table *hash = writer->value;
    if (!place->slot)
        return hash_table_add(hash, place->hash, field, value, EXPIRY_NONE);
    int64_t at_ms = policy == HASH_EXPIRY_KEEP ? field_expiry(table_slot_item(place->slot)) : EXPIRY_NONE;
    return hash_table_set(hash, place->slot, value, at_ms);
}

static bool pack_put(struct hash_writer *writer, const struct hash_place *place, struct bytes field, struct bytes value,
    enum hash_expiry_policy policy)
{
    unsigned char *pack = writer->value;
    bool done;
    if (place->at) {
        done = listpack_replace(&pack, listpack_after(pack, place->at), value);
        if (done && policy == HASH_EXPIRY_DROP && pack_expiry(pack, writer->encoding, place->at) != EXPIRY_NONE)
            done = hash_pack_set_expiry(&pack, place->at, EXPIRY_NONE);
    } else {
        struct bytes texts[] = { field, value, BYTES("0") };
        done = listpack_insert_batch(&pack, listpack_end(pack), texts, hash_stride(writer->encoding));
    }
    writer->value = pack;
    return done;
}

bool hash_put(struct hash_writer *writer, const struct hash_place *place, struct bytes field, struct bytes value,
    enum hash_expiry_policy policy)
{
    hash_writer_edit(writer);
    if (!writer->value)
        writer->value = listpack_create(0);
    if (writer->encoding == HASH_TABLE)
        return table_put(writer, place, field, value, policy);
    if (too_large_to_pack(writer, field, value)) {
        hash_writer_unpack(writer);
        struct hash_place moved;
        hash_find(writer, field, &moved);
        return table_put(writer, &moved, field, value, policy);
    }
    bool done = pack_put(writer, place, field, value, policy);
    if ((int64_t)hash_total(writer->encoding, writer->value) > writer->keyspace->settings->hash_max_listpack_entries)
        hash_writer_unpack(writer);
    return done;
}

void hash_remove(struct hash_writer *writer, struct hash_place *place)
{
    hash_writer_edit(writer);
    if (writer->encoding == HASH_TABLE) {
        hash_table_remove(writer->value, place->hash, place->slot);
        place->slot = NULL;
        return;
    }
    unsigned char *pack = writer->value;
    listpack_delete_range(&pack, place->at, hash_stride(writer->encoding));
    writer->value = pack;
    place->at = 0;
}

/* --- Many at once --- */

void hash_make_reserve(struct hash_writer *writer, size_t count)
{
    ASSERT(!writer->entry && !writer->value);
    struct hash_table *hash = hash_table_create();
    writer->value = hash;
    writer->encoding = HASH_TABLE;
    writer->edited = true;
    for (size_t room = 0; room < count;) {
        room = count - room > RESERVE_STEP ? room + RESERVE_STEP : count;
        table_reserve(&hash->table, room);
        fiber_breathe(RESERVE_COST);
    }
}

uint64_t hash_make_ahead(const struct hash_writer *writer, struct bytes field)
{
    uint64_t hash = hash_bytes(field.ptr, field.len);
    table_prefetch_bucket(&((const struct hash_table *)writer->value)->table, hash);
    return hash;
}

bool hash_make_add(struct hash_writer *writer, uint64_t hash, struct bytes field, struct bytes value, bool *present)
{
    struct hash_table *made = writer->value;
    fiber_breathe(FIELD_COST);
    *present = table_find(&made->table, hash, field_has_name, &field) != NULL;
    return !*present && hash_table_add(made, hash, field, value, EXPIRY_NONE);
}
