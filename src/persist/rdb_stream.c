/*
 * Streams in RDB.
 *
 *   blocks     count | per block: ID in 16 bytes, big-endian, as a string | listpack
 *   meta       length | last ID | from the second version on: first ID, greatest deleted ID, entries added
 *   groups     count | per group: name | last ID | from the second version on: entries read
 *                per pending entry, after their count: ID in 16 bytes | time in ms : u64 | deliveries
 *                per consumer, after their count: name | seen, in ms : u64 | in the third version: active, the same
 *                  per pending entry of it, after their count: ID in 16 bytes
 *
 * IDs elsewhere are two lengths. The second version, which Redis 7.0 knows, is written.
 */
#include <endian.h>

#include "base/fiber.h"
#include "base/mem.h"
#include "ds/btree.h"
#include "ds/listpack.h"
#include "rdb_priv.h"
#include "store/stream.h"
#include "store/stream_block.h"
#include "store/stream_group.h"

enum { ID_BYTES = 16, PENDING_COST = 20 /* of reading one, for fiber_breathe */ };

/* --- Writing --- */

static void format_id(struct stream_id id, unsigned char out[ID_BYTES])
{
    uint64_t big[2] = { htobe64(id.ms), htobe64(id.seq) };
    memcpy(out, big, sizeof big);
}

static void put_raw_id(struct sink *sink, struct stream_id id)
{
    unsigned char bytes[ID_BYTES];
    format_id(id, bytes);
    sink_put(sink, bytes, sizeof bytes);
}

static void put_id(struct sink *sink, struct stream_id id)
{
    rdb_put_len(sink, id.ms);
    rdb_put_len(sink, id.seq);
}

static void put_blocks(struct rdb_writer *writer, const struct stream *stream)
{
    struct stream_block_view view;
    rdb_put_len(writer->sink, stream_block_count(stream));
    for (size_t rank = 0; stream_block_at(stream, rank, &view); rank++) {
        rdb_put_len(writer->sink, ID_BYTES);
        put_raw_id(writer->sink, view.id);
        rdb_put_string(writer, bytes_make(view.pack, listpack_bytes(view.pack)));
    }
}

static void put_consumer(struct rdb_writer *writer, const struct stream_consumer *consumer)
{
    struct btree_iter iter;
    rdb_put_string(writer, consumer->name);
    rdb_put_u64(writer->sink, (uint64_t)consumer->seen_ms);
    rdb_put_len(writer->sink, btree_count(&consumer->pending));
    const struct stream_pending *pending = stream_pending_seek(&consumer->pending, STREAM_ID_MIN, &iter);
    for (; pending; pending = btree_iter_next(&iter))
        put_raw_id(writer->sink, pending->id);
}

static void put_group(struct rdb_writer *writer, const struct stream_group *group)
{
    struct btree_iter iter;
    rdb_put_string(writer, group->name);
    put_id(writer->sink, group->last_id);
    rdb_put_len(writer->sink, (uint64_t)group->entries_read);
    rdb_put_len(writer->sink, btree_count(&group->pending));
    const struct stream_pending *pending = stream_pending_seek(&group->pending, STREAM_ID_MIN, &iter);
    for (; pending; pending = btree_iter_next(&iter)) {
        put_raw_id(writer->sink, pending->id);
        rdb_put_u64(writer->sink, (uint64_t)stream_pending_time(pending));
        rdb_put_len(writer->sink, stream_pending_count(pending));
    }
    rdb_put_len(writer->sink, stream_consumer_count(group));
    for (size_t rank = 0; rank < stream_consumer_count(group); rank++)
        put_consumer(writer, stream_consumer_at(group, rank));
}

void rdb_put_stream(struct rdb_writer *writer, const struct entry *entry)
{
    const struct stream *stream = stream_of(entry);
    const struct stream_meta *meta = stream_meta(stream);
    put_blocks(writer, stream);
    rdb_put_len(writer->sink, meta->length);
    put_id(writer->sink, meta->last_id);
    put_id(writer->sink, meta->first_id);
    put_id(writer->sink, meta->max_deleted_id);
    rdb_put_len(writer->sink, meta->entries_added);
    rdb_put_len(writer->sink, stream_group_count(stream));
    for (size_t rank = 0; rank < stream_group_count(stream); rank++)
        put_group(writer, stream_group_at(stream, rank));
}

/* --- Reading --- */

static struct stream_id parse_id(const void *bytes)
{
    uint64_t big[2];
    memcpy(big, bytes, sizeof big);
    return (struct stream_id){ be64toh(big[0]), be64toh(big[1]) };
}

static bool get_raw_id(struct rdb_reader *reader, struct stream_id *id)
{
    const unsigned char *at = source_take(reader->source, ID_BYTES);
    if (!at)
        return rdb_fail_end(reader);
    *id = parse_id(at);
    return true;
}

static bool get_id(struct rdb_reader *reader, struct stream_id *id)
{
    return rdb_get_len(reader, &id->ms) && rdb_get_len(reader, &id->seq);
}

static bool get_blocks(struct rdb_reader *reader, struct stream *stream)
{
    uint64_t count;
    struct bytes name;
    unsigned char *pack;
    size_t len;
    if (!rdb_get_count(reader, ID_BYTES + 1, &count))
        return false;
    while (count--) {
        if (!rdb_get_string(reader, 0, &name))
            return false;
        if (name.len != ID_BYTES)
            return rdb_fail(reader, "The ID of a stream's block has %zu bytes", name.len);
        if (!rdb_get_heap(reader, 0, &pack, &len))
            return false;
        if (!stream_restore_block_take(stream, parse_id(name.ptr), pack, len)) {
            mem_free(pack);
            return rdb_fail(reader, "Stream listpack integrity check failed");
        }
    }
    return true;
}

static bool get_meta(struct rdb_reader *reader, enum rdb_type type, struct stream *stream)
{
    struct stream_meta meta = { 0 };
    if (!rdb_get_len(reader, &meta.length) || !get_id(reader, &meta.last_id))
        return false;
    meta.entries_added = meta.length;
    if (type != RDB_STREAM_LISTPACKS && (!get_id(reader, &meta.first_id) || !get_id(reader, &meta.max_deleted_id) ||
                                            !rdb_get_len(reader, &meta.entries_added)))
        return false;
    return stream_restore_meta(stream, &meta) || rdb_fail(reader, "A stream's counters do not fit its entries");
}

static bool get_pending(struct rdb_reader *reader, struct stream_group *group)
{
    uint64_t count, time_ms, deliveries;
    struct stream_id id;
    if (!rdb_get_count(reader, ID_BYTES + 9, &count))
        return false;
    while (count--) {
        if (!get_raw_id(reader, &id) || !rdb_get_u64(reader, &time_ms) || !rdb_get_len(reader, &deliveries))
            return false;
        if (!stream_pending_add(group, NULL, id, (int64_t)time_ms, deliveries))
            return rdb_fail(reader, "The same entry is pending twice in a group");
        fiber_breathe(PENDING_COST);
    }
    return true;
}

static bool get_pending_of(struct rdb_reader *reader, struct stream_group *group, struct stream_consumer *consumer)
{
    uint64_t count;
    struct stream_id id;
    if (!rdb_get_count(reader, ID_BYTES, &count))
        return false;
    while (count--) {
        if (!get_raw_id(reader, &id))
            return false;
        struct stream_pending *pending = stream_pending_find(group, id);
        if (!pending || stream_pending_consumer(pending))
            return rdb_fail(reader, "A consumer's pending entry is not its group's, or another's too");
        stream_pending_claim(pending, consumer);
        fiber_breathe(PENDING_COST);
    }
    return true;
}

static bool get_consumer(struct rdb_reader *reader, enum rdb_type type, struct stream_group *group)
{
    struct bytes name;
    uint64_t seen_ms, active_ms;
    if (!rdb_get_string(reader, 0, &name) || !rdb_get_u64(reader, &seen_ms))
        return false;
    active_ms = seen_ms;
    if (type == RDB_STREAM_LISTPACKS_3 && !rdb_get_u64(reader, &active_ms))
        return false;
    struct stream_consumer *consumer = stream_consumer_create(group, name, (int64_t)seen_ms);
    if (!consumer)
        return rdb_fail(reader, "Duplicate stream consumer detected");
    consumer->active_ms = (int64_t)active_ms;
    return get_pending_of(reader, group, consumer);
}

static bool get_group(struct rdb_reader *reader, enum rdb_type type, struct stream *stream)
{
    struct bytes name;
    struct stream_id last_id;
    uint64_t entries_read, count;
    if (!rdb_get_string(reader, 0, &name) || !get_id(reader, &last_id))
        return false;
    if (type == RDB_STREAM_LISTPACKS)
        entries_read = (uint64_t)stream_entries_up_to(stream, last_id);
    else if (!rdb_get_len(reader, &entries_read))
        return false;
    struct stream_group *group = stream_group_create(stream, name, last_id, (int64_t)entries_read);
    if (!group)
        return rdb_fail(reader, "The same group twice in a stream");
    if (!get_pending(reader, group) || !rdb_get_count(reader, 10, &count))
        return false;
    while (count--)
        if (!get_consumer(reader, type, group))
            return false;
    return true;
}

static bool get_groups(struct rdb_reader *reader, enum rdb_type type, struct stream *stream)
{
    uint64_t count;
    if (!rdb_get_count(reader, 5, &count))
        return false;
    while (count--)
        if (!get_group(reader, type, stream))
            return false;
    return stream_restore_is_whole(stream) || rdb_fail(reader, "A pending entry of a group has no consumer");
}

bool rdb_get_stream(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry)
{
    struct stream *stream = stream_create();
    if (!get_blocks(reader, stream) || !get_meta(reader, type, stream) || !get_groups(reader, type, stream)) {
        stream_destroy(stream);
        return false;
    }
    *entry = keyspace_set_stream_take(place->keyspace, place->db, place->key, stream, place->at_ms, RDB_BEFORE_ALL);
    return true;
}
