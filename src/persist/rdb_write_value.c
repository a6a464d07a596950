/*
 * Writing values: packed ones as the bytes they are, large ones member by member.
 *
 * Types are chosen so that Redis 7.0 reads them: a packed set of texts, which it does not know, is written member by
 * member, and only hashes whose fields expire need the types of 7.4. Sorted sets are written from their end, because
 * who reads them may insert each member in front.
 */
#include <endian.h>

#include "base/assert.h"
#include "ds/intset.h"
#include "ds/listpack.h"
#include "ds/quicklist.h"
#include "ds/quicklist_read.h"
#include "rdb_priv.h"
#include "store/hash.h"
#include "store/list.h"
#include "store/set.h"
#include "store/string.h"
#include "store/zset.h"

static void put_pack(struct rdb_writer *writer, const unsigned char *pack)
{
    rdb_put_string(writer, bytes_make(pack, listpack_bytes(pack)));
}

/* --- Strings --- */

static void put_text(struct rdb_writer *writer, const struct entry *entry)
{
    int64_t number;
    struct string_scratch scratch;
    if (entry->encoding == STRING_INT && string_to_i64(entry, &number))
        rdb_put_integer(writer, number);
    else
        rdb_put_string(writer, string_view(entry, &scratch));
}

/* --- Lists --- */

/* What is compressed is written as it is. */
static void put_node(struct rdb_writer *writer, const struct quicklist_node_view *node)
{
    rdb_put_len(writer->sink, node->plain ? RDB_NODE_PLAIN : RDB_NODE_PACKED);
    if (node->unpacked_len)
        rdb_put_compressed(writer, node->content, node->unpacked_len);
    else
        rdb_put_string(writer, node->content);
}

static void put_list(struct rdb_writer *writer, const struct entry *entry)
{
    if (entry->encoding == LIST_LISTPACK) {
        rdb_put_len(writer->sink, 1);
        rdb_put_len(writer->sink, RDB_NODE_PACKED);
        put_pack(writer, entry_pointer(entry));
        return;
    }
    const struct quicklist *list = entry_pointer(entry);
    struct quicklist_node_view node;
    rdb_put_len(writer->sink, quicklist_node_count(list));
    for (bool more = quicklist_view_first(list, &node); more; more = quicklist_view_next(&node))
        put_node(writer, &node);
}

/* --- Sets --- */

static void put_set(struct rdb_writer *writer, const struct entry *entry)
{
    struct set set = set_of(entry);
    if (set.encoding == SET_INTSET) {
        rdb_put_string(writer, bytes_make(set.value, intset_bytes(set.value)));
        return;
    }
    struct set_walk walk = set_walk_begin(set);
    struct set_batch batch;
    rdb_put_len(writer->sink, set_count(set));
    while (set_walk_next(&walk, &batch))
        for (unsigned i = 0; i < batch.count; i++) {
            struct set_member member = batch.members[i];
            if (member.text)
                rdb_put_string(writer, bytes_make(member.text, member.len));
            else
                rdb_put_integer(writer, member.number);
        }
}

/* --- Sorted sets --- */

static void put_zset(struct rdb_writer *writer, const struct entry *entry)
{
    if (entry->encoding == ZSET_PACKED) {
        put_pack(writer, entry_pointer(entry));
        return;
    }
    struct zset_iter iter;
    rdb_put_len(writer->sink, zset_count(entry));
    for (bool more = zset_iter_begin(&iter, entry, zset_count(entry) - 1, true); more; more = zset_iter_next(&iter)) {
        uint64_t score;
        memcpy(&score, &iter.score, sizeof score);
        rdb_put_string(writer, iter.member);
        rdb_put_u64(writer->sink, score);
    }
}

/* --- Hashes --- */

struct hash_output {
    struct rdb_writer *writer;
    int64_t first_ms; /* the earliest expiry of a field; EXPIRY_NONE if none has one */
    bool with_expiry; /* each pair is preceded by its expiry */
};

static void put_pair(void *context, const struct hash_pair *pair)
{
    const struct hash_output *output = context;
    if (output->with_expiry)
        rdb_put_len(output->writer->sink,
            pair->at_ms == EXPIRY_NONE ? 0 : (uint64_t)pair->at_ms - (uint64_t)output->first_ms + 1);
    rdb_put_string(output->writer, pair->field);
    rdb_put_string(output->writer, pair->value);
}

static void note_expiry(void *context, const struct hash_pair *pair)
{
    struct hash_output *output = context;
    if (pair->at_ms != EXPIRY_NONE && (output->first_ms == EXPIRY_NONE || pair->at_ms < output->first_ms))
        output->first_ms = pair->at_ms;
}

static void put_hash(struct rdb_writer *writer, const struct entry *entry)
{
    struct hash_output output = { writer, EXPIRY_NONE, entry->flags & ENTRY_PARTS };
    if (output.with_expiry) {
        hash_each(entry, RDB_BEFORE_ALL, note_expiry, &output);
        rdb_put_u64(writer->sink, (uint64_t)output.first_ms);
    }
    if (entry->encoding == HASH_LISTPACK || (output.with_expiry && entry->encoding == HASH_LISTPACK_EX)) {
        put_pack(writer, entry_pointer(entry));
        return;
    }
    rdb_put_len(writer->sink, hash_count(entry, RDB_BEFORE_ALL));
    hash_each(entry, RDB_BEFORE_ALL, put_pair, &output);
}

static enum rdb_type hash_type(const struct entry *entry)
{
    if (entry->flags & ENTRY_PARTS)
        return entry->encoding == HASH_LISTPACK_EX ? RDB_HASH_LISTPACK_EX : RDB_HASH_METADATA;
    return entry->encoding == HASH_LISTPACK ? RDB_HASH_LISTPACK : RDB_HASH;
}

/* --- All --- */

enum rdb_type rdb_type_of(const struct entry *entry)
{
    switch ((enum entry_type)entry->type) {
    case ENTRY_STRING:
        return RDB_STRING;
    case ENTRY_LIST:
        return RDB_LIST_QUICKLIST_2;
    case ENTRY_SET:
        return entry->encoding == SET_INTSET ? RDB_SET_INTSET : RDB_SET;
    case ENTRY_ZSET:
        return entry->encoding == ZSET_PACKED ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
    case ENTRY_HASH:
        return hash_type(entry);
    case ENTRY_STREAM:
        return RDB_STREAM_LISTPACKS_2;
    case ENTRY_JSON:
        return RDB_MODULE_2;
    default:
        ASSERT(!"a type that files do not know");
        return RDB_STRING;
    }
}

void rdb_put_value(struct rdb_writer *writer, const struct entry *entry)
{
    switch ((enum entry_type)entry->type) {
    case ENTRY_STRING:
        put_text(writer, entry);
        break;
    case ENTRY_LIST:
        put_list(writer, entry);
        break;
    case ENTRY_SET:
        put_set(writer, entry);
        break;
    case ENTRY_ZSET:
        put_zset(writer, entry);
        break;
    case ENTRY_HASH:
        put_hash(writer, entry);
        break;
    case ENTRY_STREAM:
        rdb_put_stream(writer, entry);
        break;
    case ENTRY_JSON:
        rdb_put_json(writer, entry);
        break;
    default:
        ASSERT(!"a type that files do not know");
    }
}
