/*
 * Gathering: keys whose values are small, and lie whole in the source's window.
 *
 * That is what most files hold: strings, and collections that are one listpack or intset. Such a value is taken over
 * here without being stored, so that the loader can ask for the buckets of many keys before it stores any. A packed
 * value is validated as everywhere: well-formed, no member twice, in order, within the settings' limits. What is not
 * all of that, or not in the window, is left where it is, for those who can name what is wrong with it or convert it.
 */
#include "rdb_gather_priv.h"

#include "base/lzf.h"
#include "base/mem.h"
#include "ds/intset.h"
#include "ds/quicklist.h"
#include "rdb_pack_priv.h"
#include "store/hash.h"
#include "store/list.h"
#include "store/set.h"
#include "store/settings.h"
#include "store/string.h"
#include "store/value.h"
#include "store/zset.h"

enum { LOOK_LEN_MAX = 5 };

/* --- Strings --- */

/* A length of less than 16 KB. */
static inline bool look_at_len(const unsigned char **at, const unsigned char *end, size_t *len)
{
    const unsigned char *from = *at;
    if (end - from < 2 || *from >= RDB_LEN_32)
        return false;
    *len = *from & 63;
    if (*from++ & RDB_LEN_14)
        *len = *len << 8 | *from++;
    *at = from;
    return true;
}

/* A string of less than 16 KB, plain or packed, as a new allocation; NULL if it is anything else. */
static unsigned char *look_at_heap(const unsigned char **at, const unsigned char *end, size_t *len)
{
    const unsigned char *from = *at;
    struct bytes text;
    size_t raw;
    unsigned char *heap;
    if (rdb_look_at_string(&from, end, &text)) {
        if (!(heap = mem_try_alloc(text.len ? text.len : 1)))
            return NULL;
        memcpy(heap, text.ptr, text.len);
        *len = text.len;
        *at = from;
        return heap;
    }
    if (end - from < LOOK_LEN_MAX || *from++ != (RDB_LEN_ENCODED | RDB_ENC_LZF) || !look_at_len(&from, end, &raw) ||
        !look_at_len(&from, end, len) || (size_t)(end - from) < raw || *len == 0 || !(heap = mem_try_alloc(*len)))
        return NULL;
    if (lzf_unpack(from, raw, heap, *len) == *len) {
        *at = from + raw;
        return heap;
    }
    mem_free(heap);
    return NULL;
}

/* --- Packed --- */

/* Says what a valid listpack is kept as; false if it cannot be kept as it is. */
static bool take_listpack(
    const struct store_settings *settings, enum rdb_type type, const unsigned char *pack, struct rdb_pending *pending)
{
    size_t count = listpack_count(pack);
    struct quicklist_limits limits;
    switch (type) {
    case RDB_HASH_LISTPACK:
        pending->type = ENTRY_HASH;
        pending->encoding = HASH_LISTPACK;
        return count / 2 <= (uint64_t)settings->hash_max_listpack_entries && rdb_pack_has_no_twins(pack, 2);
    case RDB_ZSET_LISTPACK:
        pending->type = ENTRY_ZSET;
        pending->encoding = ZSET_PACKED;
        return count / 2 <= (uint64_t)settings->zset_max_listpack_entries && rdb_pack_has_no_twins(pack, 2) &&
               rdb_zset_is_in_order(pack);
    case RDB_SET_LISTPACK:
        pending->type = ENTRY_SET;
        pending->encoding = SET_LISTPACK;
        return count <= (uint64_t)settings->set_max_listpack_entries && rdb_pack_has_no_twins(pack, 1);
    default:
        pending->type = ENTRY_LIST;
        pending->encoding = LIST_LISTPACK;
        limits = quicklist_limits(settings->list_max_listpack_size);
        return count && quicklist_limits_allow(&limits, listpack_bytes(pack), count);
    }
}

static bool take_intset(
    const struct store_settings *settings, const unsigned char *intset, size_t len, struct rdb_pending *pending)
{
    pending->type = ENTRY_SET;
    pending->encoding = SET_INTSET;
    return intset_validate(intset, len) && intset_count(intset) > 0 &&
           intset_count(intset) <= (uint64_t)settings->set_max_intset_entries;
}

static bool look_at_packed(const struct store_settings *settings, enum rdb_type type, const unsigned char **at,
    const unsigned char *end, struct rdb_pending *pending)
{
    const unsigned char *from = *at;
    if (type == RDB_LIST_QUICKLIST_2) { /* one node, that is a listpack */
        if (end - from < 2 || from[0] != 1 || from[1] != RDB_NODE_PACKED)
            return false;
        from += 2;
    } else if (type != RDB_HASH_LISTPACK && type != RDB_ZSET_LISTPACK && type != RDB_SET_LISTPACK &&
               type != RDB_SET_INTSET) {
        return false;
    }
    size_t len;
    unsigned char *value = look_at_heap(&from, end, &len);
    if (!value)
        return false;
    if (!(type == RDB_SET_INTSET
                ? take_intset(settings, value, len, pending)
                : listpack_validate(value, len, NULL, NULL) && take_listpack(settings, type, value, pending))) {
        mem_free(value);
        return false;
    }
    pending->value = value;
    *at = from;
    return true;
}

/* --- Both --- */

bool rdb_gather(
    struct source *source, const struct store_settings *settings, enum rdb_type type, struct rdb_pending *pending)
{
    const unsigned char *at = source->at;
    struct bytes name, text = { 0 };
    int64_t number = 0;
    if (!rdb_look_at_string(&at, source->end, &name))
        return false;
    *pending = (struct rdb_pending){ .type = ENTRY_STRING };
    if (type != RDB_STRING) {
        if (!look_at_packed(settings, type, &at, source->end, pending))
            return false;
    } else if (!rdb_look_at_string(&at, source->end, &text) && !rdb_look_at_integer(&at, source->end, &number)) {
        return false;
    }
    pending->key = key_make(name);
    pending->text = text;
    pending->number = number;
    source->at = at;
    return true;
}

struct entry *rdb_pending_store(struct keyspace *keyspace, struct db *db, const struct rdb_pending *pending)
{
    if (pending->value)
        return keyspace_set_value(keyspace, db, pending->key, pending->type, pending->encoding, pending->value,
            pending->at_ms, RDB_BEFORE_ALL);
    if (pending->text.ptr)
        return keyspace_set_string(keyspace, db, pending->key, pending->text, pending->at_ms, RDB_BEFORE_ALL);
    return keyspace_set_integer(keyspace, db, pending->key, pending->number, pending->at_ms, RDB_BEFORE_ALL);
}

void rdb_pending_drop(struct rdb_pending *pending)
{
    mem_free(pending->value);
    pending->value = NULL;
}
