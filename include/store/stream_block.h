/*
 * A stream's blocks, in the bytes that RDB files have, and streams that are made from files.
 *
 * A block is a listpack: live entries, deleted entries, number of shared fields, the fields, 0; and then for each entry
 *
 *   flags (1: deleted, 2: the shared fields) | ms - block's ms | seq - block's seq |
 *       values, or: number of fields | field | value | ...  | how many elements the entry has without this one
 *
 * The ID of the block stands beside it: that of the first entry that was ever in it. Blocks have at least one entry
 * that is there.
 */
#pragma once

#include "store/stream.h"

struct stream_block_view {
    struct stream_id id;
    const unsigned char *pack; /* borrowed from the stream, until it changes; listpack_bytes(pack) long */
    uint32_t live, deleted;    /* entries */
};

/* The block at `rank`, from 0 to stream_block_count; false if there are not so many. O(log n). */
bool stream_block_at(const struct stream *stream, size_t rank, struct stream_block_view *view);

/* --- Making a stream: blocks, then stream_restore_meta, then groups (store/stream_group.h) --- */

/* An empty stream without a key. */
struct stream *stream_create(void);

/* Frees at once what was not stored, groups included; NULL is nothing. O(n). */
void stream_destroy(struct stream *stream);

/*
 * Adds a block behind all others and takes the listpack over. False, and the listpack stays the caller's, if it is not
 * one (it is looked through in full, whatever the bytes), has no live entry, or its IDs do not ascend from the last
 * block's on. `len` is the size of what `pack` points to.
 */
bool stream_restore_block_take(struct stream *stream, struct stream_id id, unsigned char *pack, size_t len);

/*
 * Sets what the blocks do not say. first_id is that of the first entry, whatever the argument says. False, and nothing
 * changed, if length is not that of the blocks, last_id lies below the last entry, or entries_added below the length.
 */
bool stream_restore_meta(struct stream *stream, const struct stream_meta *meta);

/* True if every pending entry has its consumer. To be asked when groups were restored. O(consumers). */
bool stream_restore_is_whole(const struct stream *stream);

/*
 * Stores the stream under the key, replacing whatever is there; `at_ms` as in keyspace_set_value. Takes it over.
 */
struct entry *keyspace_set_stream_take(
    struct keyspace *keyspace, struct db *db, struct key key, struct stream *stream, int64_t at_ms, int64_t now_ms);
