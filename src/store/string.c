/*
 * Strings: three ways to keep one, and the few operations that know of them.
 *
 *   STRING_INT       8 bytes in the entry, for canonical integers: a counter is changed in place and has no digits
 *   STRING_EMBEDDED  up to ENTRY_EMBED_MAX bytes in the entry: one allocation, one cache miss
 *   STRING_BLOB      a reference-counted blob: replies, copies and the network's buffers share it without copying
 *
 * Storing over an existing string rewrites the entry where it lies whenever the new size is of the same allocator
 * class. A blob that somebody else refers to is never changed: editing makes a copy first. Blobs that are edited grow
 * by doubling, then by 1 MB; where they lie, if the allocator can.
 */
#include "store/string.h"

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "keyspace_priv.h"
#include "value_priv.h"

enum {
    STRING_EMBSTR_MAX = 44,         /* what OBJECT ENCODING calls embstr */
    STRING_SLACK_MAX = 1024 * 1024, /* room that an edited blob gets beyond what it needs */
};

/* --- As a value type --- */

static const char *string_encoding_name(const struct entry *entry)
{
    if (entry->encoding == STRING_INT)
        return "int";
    bool short_text = entry->encoding == STRING_EMBEDDED && entry->value_len <= STRING_EMBSTR_MAX;
    return short_text && !(entry->flags & ENTRY_RAW) ? "embstr" : "raw";
}

static size_t string_memory(const struct entry *entry)
{
    return entry->encoding == STRING_BLOB ? mem_usable_size(entry_pointer(entry)) : 0;
}

static void string_destroy(struct entry *entry)
{
    if (entry->encoding == STRING_BLOB)
        blob_unref(entry_pointer(entry));
}

static void string_copy(struct entry *entry)
{
    if (entry->encoding == STRING_BLOB)
        blob_ref(entry_pointer(entry));
}

static const char *string_check(const struct entry *entry)
{
    switch (entry->encoding) {
    case STRING_INT:
        return entry->value_len == sizeof(int64_t) ? NULL : "an integer is not 8 bytes";
    case STRING_EMBEDDED:
        return entry->value_len <= ENTRY_EMBED_MAX ? NULL : "an embedded string is too long";
    case STRING_BLOB: {
        if (entry->value_len != sizeof(struct blob *))
            return "a blob's pointer is not 8 bytes";
        const struct blob *blob = entry_pointer(entry);
        return blob && blob->refs && blob->len <= blob->cap ? NULL : "a blob is broken";
    }
    default:
        return "a string of unknown encoding";
    }
}

const struct value_type string_value_type = {
    .encoding_name = string_encoding_name,
    .memory = string_memory,
    .destroy = string_destroy,
    .copy = string_copy,
    .check = string_check,
};

/* --- Reading --- */

static int64_t int_value(const struct entry *entry)
{
    int64_t value;
    memcpy(&value, entry_value(entry), sizeof value);
    return value;
}

struct bytes string_view(const struct entry *entry, struct string_scratch *scratch)
{
    DASSERT(entry->type == ENTRY_STRING);
    switch (entry->encoding) {
    case STRING_EMBEDDED:
        return (struct bytes){ entry_value(entry), entry->value_len };
    case STRING_INT:
        return (struct bytes){ scratch->digits, num_format_i64(scratch->digits, int_value(entry)) };
    default:
        return blob_bytes(entry_pointer(entry));
    }
}

struct blob *string_blob(const struct entry *entry)
{
    DASSERT(entry->type == ENTRY_STRING);
    return entry->encoding == STRING_BLOB ? entry_pointer(entry) : NULL;
}

size_t string_len(const struct entry *entry)
{
    struct string_scratch scratch;
    return string_view(entry, &scratch).len;
}

bool string_to_i64(const struct entry *entry, int64_t *value)
{
    DASSERT(entry->type == ENTRY_STRING);
    if (entry->encoding == STRING_INT) {
        *value = int_value(entry);
        return true;
    }
    struct string_scratch scratch;
    struct bytes text = string_view(entry, &scratch);
    return text.len <= NUM_I64_MAX_LEN && num_parse_i64(text, value);
}

/* --- Storing --- */

/* Over a value of another type. */
static __attribute__((noinline, cold)) struct entry *put_over_other_type(
    struct keyspace *keyspace, struct db *db, uint64_t *slot, struct entry_shape shape)
{
    const struct entry *old = table_slot_item(slot);
    struct entry *entry = entry_create(entry_key(old), shape);
    entry->clock = old->clock;
    keyspace_replace(keyspace, db, slot, entry);
    keyspace_touch(keyspace, entry);
    return entry;
}

static inline __attribute__((always_inline)) struct entry *put_over(
    struct keyspace *keyspace, struct db *db, uint64_t *slot, struct entry_shape shape)
{
    struct entry *entry = table_slot_item(slot);
    bool expires = shape.at_ms != EXPIRY_NONE;
    if (__builtin_expect(entry->type != ENTRY_STRING, 0))
        return put_over_other_type(keyspace, db, slot, shape);
    /* Before the encoding is written, since a load of the clock right after that would wait for it. */
    keyspace_touch(keyspace, entry);
    if (entry->encoding == STRING_BLOB)
        blob_unref(entry_pointer(entry));
    if (entry->value_len != shape.value_len || expires != !!(entry->flags & ENTRY_EXPIRES))
        entry = keyspace_reshape(db, slot, shape.at_ms, shape.value_len, 0);
    else if (expires)
        entry_set_expiry_field(entry, shape.at_ms);
    entry->encoding = shape.encoding;
    entry->flags &= (uint8_t)~ENTRY_RAW;
    return entry;
}

/*
 * Stores `body` as a string's bytes in the entry. Inlined into each of its users, where the encoding, and often the
 * length, are known.
 */
static inline __attribute__((always_inline)) struct entry *put(struct keyspace *keyspace, struct db *db,
    const struct key *key, enum string_encoding encoding, struct bytes body, int64_t at_ms, int64_t now_ms)
{
    struct entry_shape shape = { ENTRY_STRING, encoding, body.len, at_ms };
    uint64_t *slot = keyspace_find(db, key);
    if (slot && __builtin_expect(entry_is_expired(table_slot_item(slot), now_ms), 0)) {
        keyspace_expire(keyspace, db, key->hash, slot);
        slot = NULL;
    }
    struct entry *entry;
    if (slot) {
        entry = table_slot_item(slot);
        keyspace_edit(keyspace, db, *key, entry);
        if (at_ms == EXPIRY_KEEP)
            shape.at_ms = entry_expiry(entry);
        entry = put_over(keyspace, db, slot, shape);
        memcpy(entry_value(entry), body.ptr, body.len);
    } else {
        if (at_ms == EXPIRY_KEEP)
            shape.at_ms = EXPIRY_NONE;
        entry = entry_create(key_bytes(*key), shape);
        memcpy(entry_value(entry), body.ptr, body.len);
        keyspace_insert(keyspace, db, key, entry);
    }
    return entry;
}

struct entry *keyspace_set_integer(
    struct keyspace *keyspace, struct db *db, struct key key, int64_t value, int64_t at_ms, int64_t now_ms)
{
    struct bytes body = { (const char *)&value, sizeof value };
    return put(keyspace, db, &key, STRING_INT, body, at_ms, now_ms);
}

static struct entry *put_blob(
    struct keyspace *keyspace, struct db *db, const struct key *key, struct blob *blob, int64_t at_ms, int64_t now_ms)
{
    struct bytes body = { (const char *)&blob, sizeof blob };
    return put(keyspace, db, key, STRING_BLOB, body, at_ms, now_ms);
}

static inline bool may_be_integer(struct bytes text)
{
    return text.len - 1 < NUM_I64_MAX_LEN && ((unsigned char)(text.ptr[0] - '0') <= 9 || text.ptr[0] == '-');
}

struct entry *keyspace_set_string(
    struct keyspace *keyspace, struct db *db, struct key key, struct bytes value, int64_t at_ms, int64_t now_ms)
{
    int64_t integer;
    if (may_be_integer(value) && num_parse_i64(value, &integer))
        return keyspace_set_integer(keyspace, db, key, integer, at_ms, now_ms);
    return keyspace_set_text(keyspace, db, key, value, at_ms, now_ms);
}

struct entry *keyspace_set_text(
    struct keyspace *keyspace, struct db *db, struct key key, struct bytes value, int64_t at_ms, int64_t now_ms)
{
    if (value.len > ENTRY_EMBED_MAX)
        return put_blob(keyspace, db, &key, blob_from_bytes(value), at_ms, now_ms);
    if (value.len == 0)
        value.ptr = "";
    return put(keyspace, db, &key, STRING_EMBEDDED, value, at_ms, now_ms);
}

struct entry *keyspace_set_string_take(
    struct keyspace *keyspace, struct db *db, struct key key, struct blob *value, int64_t at_ms, int64_t now_ms)
{
    if (value->len > ENTRY_EMBED_MAX)
        return put_blob(keyspace, db, &key, value, at_ms, now_ms);
    struct entry *entry = keyspace_set_string(keyspace, db, key, blob_bytes(value), at_ms, now_ms);
    blob_unref(value);
    return entry;
}

/* --- Editing in place --- */

/* Copies, or fills with zeros where `from` is NULL, little by little. */
static void put_bytes(char *to, const char *from, size_t len)
{
    enum { PIECE = 64 * 1024, PIECE_COST = 1500 };
    for (size_t at = 0, count; at < len; at += count) {
        count = len - at < PIECE ? len - at : PIECE;
        if (from)
            memcpy(to + at, from + at, count);
        else
            memset(to + at, 0, count);
        fiber_breathe(PIECE_COST);
    }
}

/*
 * A blob of `len` bytes with room for `cap` that begins with `head`, zeros behind; NULL when memory is out. It
 * breathes, but not before a head of up to ENTRY_EMBED_MAX bytes is copied.
 */
static struct blob *blob_try_begin(struct bytes head, size_t len, size_t cap)
{
    struct blob *blob = blob_try_create(cap);
    if (!blob)
        return NULL;
    size_t keep = head.len < len ? head.len : len;
    put_bytes(blob->data, head.ptr, keep);
    put_bytes(blob->data + keep, NULL, len - keep);
    blob->len = len;
    return blob;
}

static size_t grown_cap(size_t len)
{
    return len + (len < STRING_SLACK_MAX ? len : STRING_SLACK_MAX);
}

/* Takes the blob, or makes one if that is NULL and the length asks for it. */
static char *edit_missing(
    struct keyspace *keyspace, struct db *db, const struct key *key, struct blob *blob, size_t len)
{
    struct entry_shape shape = { ENTRY_STRING, STRING_EMBEDDED, len, EXPIRY_NONE };
    if (len > ENTRY_EMBED_MAX) {
        blob = blob ? blob : blob_try_begin((struct bytes){ 0 }, len, len);
        if (!blob)
            return NULL;
        shape.encoding = STRING_BLOB;
        shape.value_len = sizeof blob;
    }
    struct entry *entry = entry_try_create(key_bytes(*key), shape);
    if (!entry) {
        blob_unref(blob);
        return NULL;
    }
    entry->flags |= ENTRY_RAW;
    if (blob)
        memcpy(entry_value(entry), &blob, sizeof blob);
    else
        memset(entry_value(entry), 0, len);
    keyspace_insert(keyspace, db, key, entry);
    return blob ? blob->data : entry_value(entry);
}

/* Makes the blob, which is taken, the entry's own. */
static char *edit_exchange(
    struct keyspace *keyspace, struct db *db, const struct key *key, struct entry *entry, struct blob *blob)
{
    keyspace_edit(keyspace, db, *key, entry);
    if (entry->encoding == STRING_BLOB) {
        blob_unref(entry_pointer(entry));
    } else {
        uint64_t *slot = keyspace_find(db, key);
        ASSERT(slot && table_slot_item(slot) == entry);
        entry = keyspace_reshape(db, slot, entry_expiry(entry), sizeof blob, 0);
        entry->encoding = STRING_BLOB;
    }
    memcpy(entry_value(entry), &blob, sizeof blob);
    entry->flags |= ENTRY_RAW;
    return blob->data;
}

static char *edit_blob(struct keyspace *keyspace, struct db *db, const struct key *key, struct entry *entry, size_t len)
{
    struct blob *blob = entry_pointer(entry);
    size_t old_len = blob->len;
    if (blob_is_shared(blob)) {
        struct blob *own = blob_try_begin(blob_bytes(blob), len, len > old_len ? grown_cap(len) : len);
        return own ? edit_exchange(keyspace, db, key, entry, own) : NULL;
    }
    if (len > blob->cap) {
        struct blob *grown = blob_try_resize(blob, grown_cap(len));
        if (!grown)
            return NULL;
        blob = grown;
    }
    if (len > old_len)
        memset(blob->data + old_len, 0, len - old_len);
    blob->len = len;
    keyspace_edit(keyspace, db, *key, entry);
    memcpy(entry_value(entry), &blob, sizeof blob);
    entry->flags |= ENTRY_RAW;
    return blob->data;
}

char *keyspace_edit_string(struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry, size_t len)
{
    if (!entry)
        return edit_missing(keyspace, db, &key, NULL, len);
    DASSERT(entry->type == ENTRY_STRING);
    if (entry->encoding == STRING_BLOB)
        return edit_blob(keyspace, db, &key, entry, len);

    struct string_scratch scratch;
    struct bytes content = string_view(entry, &scratch);
    if (len > ENTRY_EMBED_MAX) {
        struct blob *blob = blob_try_begin(content, len, grown_cap(len));
        return blob ? edit_exchange(keyspace, db, &key, entry, blob) : NULL;
    }

    keyspace_edit(keyspace, db, key, entry);
    size_t keep = content.len < len ? content.len : len;
    if (len != entry->value_len) {
        uint64_t *slot = keyspace_find(db, &key);
        ASSERT(slot && table_slot_item(slot) == entry);
        bool in_entry = entry->encoding == STRING_EMBEDDED;
        entry = keyspace_reshape(db, slot, entry_expiry(entry), len, in_entry ? keep : 0);
    }
    char *value = entry_value(entry);
    if (entry->encoding == STRING_INT)
        memcpy(value, scratch.digits, keep);
    memset(value + keep, 0, len - keep);
    entry->encoding = STRING_EMBEDDED;
    entry->flags |= ENTRY_RAW;
    return value;
}

/* --- Editing large strings --- */

size_t string_edit_work(struct entry *entry, size_t len)
{
    struct blob *blob = entry ? string_blob(entry) : NULL;
    if (!blob || blob_is_shared(blob) || (len > blob->cap && !blob_try_expand(blob, grown_cap(len))))
        return len;
    return len > blob->len ? len - blob->len : 0;
}

/* Fills what the blob has beyond its length; false if somebody took a share in it meanwhile. */
static bool fill_room(struct blob *blob, size_t len)
{
    if (len > blob->len)
        put_bytes(blob->data + blob->len, NULL, len - blob->len);
    return !blob_is_shared(blob);
}

char *keyspace_edit_string_slowly(struct keyspace *keyspace, struct db *db, struct key key, int64_t now_ms, size_t len)
{
    struct entry *entry = keyspace_peek(keyspace, db, key, now_ms);
    struct blob *blob = entry ? string_blob(entry) : NULL;
    if (blob && !blob_is_shared(blob) && len <= blob->cap && fill_room(blob, len)) {
        entry = keyspace_peek(keyspace, db, key, now_ms);
        blob->len = len;
        keyspace_edit(keyspace, db, key, entry);
        entry->flags |= ENTRY_RAW;
        return blob->data;
    }
    struct string_scratch scratch;
    struct bytes content = entry ? string_view(entry, &scratch) : (struct bytes){ 0 };
    struct blob *made = blob_try_begin(content, len, entry && len > content.len ? grown_cap(len) : len);
    if (!made)
        return NULL;
    entry = keyspace_peek(keyspace, db, key, now_ms);
    return entry ? edit_exchange(keyspace, db, &key, entry, made) : edit_missing(keyspace, db, &key, made, len);
}
