/*
 * Walks over the entries of a stream, in both directions.
 *
 * The block is found in the tree, the entry in the block by going through it, from the end that it is probably nearer
 * to: readers who wait for what is new find it at once. Fields are read only when they are asked for.
 */
#include "stream_priv.h"

static struct stream_block *enter(struct stream_iter *iter, bool at_end)
{
    struct stream_block *block = btree_iter_item(&iter->place);
    if (!block)
        return NULL;
    struct stream_master master = stream_master_read(block->pack);
    iter->pack = block->pack;
    iter->block_id = block->id;
    iter->shared_at = master.fields_at;
    iter->shared_count = master.field_count;
    iter->entries_begin = master.entries_at;
    iter->at = at_end ? listpack_end(block->pack) : master.entries_at;
    return block;
}

static inline uint32_t entry_after(const struct stream_iter *iter, uint32_t at)
{
    size_t elements;
    return stream_entry_after(iter->pack, at, iter->shared_count, &elements);
}

/* Whether the entry before `at` has an ID from `id` on; false if there is none. */
static inline bool before_is_from(const struct stream_iter *iter, struct stream_id id, uint32_t *before)
{
    if (iter->at == iter->entries_begin)
        return false;
    *before = stream_entry_before(iter->pack, iter->at);
    return stream_id_compare(stream_entry_id(iter->block_id, iter->pack, *before), id) >= 0;
}

/* To the first entry from `id` on in the block just entered, or its end. */
static void seek_ascending(struct stream_iter *iter, struct stream_id id)
{
    uint32_t before, end = listpack_end(iter->pack);
    if (iter->at == end)
        while (before_is_from(iter, id, &before))
            iter->at = before;
    else
        while (iter->at != end && stream_id_compare(stream_entry_id(iter->block_id, iter->pack, iter->at), id) < 0)
            iter->at = entry_after(iter, iter->at);
}

/* A guess at the half of a block in which an ID lies, as if the IDs were spread evenly. */
static bool is_nearer_end(const struct stream_block *block, struct stream_id id)
{
    if (stream_id_compare(id, block->id) <= 0)
        return false;
    uint64_t first = stream_id_prefix(block->id), last = stream_id_prefix(stream_block_last(block));
    return stream_id_prefix(id) > first + (last - first) / 2;
}

void stream_iter_begin(
    struct stream_iter *iter, const struct stream *stream, struct stream_id from, struct stream_id to, bool reverse)
{
    iter->stream = stream;
    iter->until = to;
    iter->reverse = reverse;
    iter->begun = false;
    iter->pairs_left = 0;
    iter->pack = NULL;
    if (stream_id_compare(from, to) * (reverse ? -1 : 1) > 0)
        return;
    iter->place = stream_block_seek(stream, from);
    if (reverse) {
        uint32_t before;
        if (!enter(iter, true) || !stream_id_next(&from))
            return;
        while (before_is_from(iter, from, &before))
            iter->at = before;
        return;
    }
    if (!btree_iter_item(&iter->place))
        btree_iter_next(&iter->place);
    const struct stream_block *block = btree_iter_item(&iter->place);
    if (block && stream_id_compare(from, stream->meta.last_id) <= 0) {
        enter(iter, is_nearer_end(block, from));
        seek_ascending(iter, from);
    }
}

/* Reads what stands at iter->at; false if the entry is deleted. */
static inline bool read_entry(struct stream_iter *iter)
{
    const unsigned char *pack = iter->pack;
    uint32_t at = iter->at;
    unsigned flags = pack[at];
    uint32_t ms_at = listpack_after(pack, at), seq_at = listpack_after(pack, ms_at);
    iter->id.ms = iter->block_id.ms + (uint64_t)listpack_get(pack, ms_at).number;
    iter->id.seq = iter->block_id.seq + (uint64_t)listpack_get(pack, seq_at).number;
    at = listpack_after(pack, seq_at);
    iter->name_at = iter->shared_at;
    iter->field_count = iter->shared_count;
    if (!(flags & STREAM_FLAG_SAME_FIELDS)) {
        iter->name_at = 0;
        iter->field_count = (uint32_t)listpack_get(pack, at).number;
        at = listpack_after(pack, at);
    }
    iter->value_at = at;
    iter->pairs_left = iter->field_count;
    return !(flags & STREAM_FLAG_DELETED);
}

/* Behind the entry at hand: over what of it was not read. */
static inline uint32_t leave_entry(const struct stream_iter *iter)
{
    uint32_t at = iter->value_at;
    for (size_t n = (size_t)iter->pairs_left * (iter->name_at ? 1 : 2) + 1; n > 0; n--)
        at = listpack_after(iter->pack, at);
    return at;
}

static bool next_ascending(struct stream_iter *iter)
{
    for (;;) {
        if (iter->begun)
            iter->at = leave_entry(iter);
        iter->begun = true;
        while (iter->pack[iter->at] == LISTPACK_END) {
            btree_iter_next(&iter->place);
            if (!enter(iter, false))
                return false;
        }
        bool there = read_entry(iter);
        if (stream_id_compare(iter->id, iter->until) > 0)
            return false;
        if (there)
            return true;
    }
}

static bool next_descending(struct stream_iter *iter)
{
    for (;;) {
        while (iter->at == iter->entries_begin) {
            btree_iter_prev(&iter->place);
            if (!enter(iter, true))
                return false;
        }
        iter->at = stream_entry_before(iter->pack, iter->at);
        bool there = read_entry(iter);
        if (stream_id_compare(iter->id, iter->until) < 0)
            return false;
        if (there)
            return true;
    }
}

bool stream_iter_next(struct stream_iter *iter)
{
    if (!iter->pack)
        return false;
    bool found = iter->reverse ? next_descending(iter) : next_ascending(iter);
    if (!found)
        iter->pack = NULL;
    return found;
}

bool stream_iter_pair(struct stream_iter *iter, struct bytes *field, struct bytes *value)
{
    if (iter->pairs_left == 0)
        return false;
    iter->pairs_left--;
    const unsigned char *pack = iter->pack;
    if (iter->name_at) {
        *field = listpack_get_bytes(pack, iter->name_at, iter->digits[0]);
        iter->name_at = listpack_after(pack, iter->name_at);
    } else {
        *field = listpack_get_bytes(pack, iter->value_at, iter->digits[0]);
        iter->value_at = listpack_after(pack, iter->value_at);
    }
    *value = listpack_get_bytes(pack, iter->value_at, iter->digits[1]);
    iter->value_at = listpack_after(pack, iter->value_at);
    return true;
}

bool stream_has(const struct stream *stream, struct stream_id id)
{
    struct stream_iter iter;
    stream_iter_begin(&iter, stream, id, id, false);
    return stream_iter_next(&iter);
}

bool stream_last_entry_id(const struct stream *stream, struct stream_id *id)
{
    struct stream_iter iter;
    stream_iter_begin(&iter, stream, STREAM_ID_MAX, STREAM_ID_MIN, true);
    if (!stream_iter_next(&iter))
        return false;
    *id = iter.id;
    return true;
}

void stream_find_first(struct stream *stream)
{
    struct stream_iter iter;
    stream_iter_begin(&iter, stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    stream->meta.first_id = stream_iter_next(&iter) ? iter.id : STREAM_ID_MIN;
}
