/*
 * Trimming: from the front, block by block, and the last one of them entry by entry.
 *
 * A block goes whole if all of it is to go: with MAXLEN if enough is left without it, with MINID if its last entry lies
 * before. Where references decide, its entries are asked one after the other; those that must stay are passed by, and
 * the trim goes on behind them.
 */
#include "store/stream_trim.h"

#include "stream_priv.h"

struct trimming {
    struct stream_edit *edit;
    struct stream_trim *trim;
    struct stream *stream;
    bool ask; /* entries have to be looked at, for somebody may refer to them */
};

/* True if something is still to go, as far as one can tell without looking at the entries. */
static bool is_wanted(const struct trimming *t)
{
    const struct stream_meta *meta = &t->stream->meta;
    if (!meta->length)
        return false;
    if (t->trim->by == STREAM_TRIM_MAXLEN)
        return meta->length > t->trim->max_length;
    return stream_id_compare(meta->first_id, t->trim->min_id) < 0;
}

static bool goes_whole(const struct trimming *t, const struct stream_block *block)
{
    if (t->trim->by == STREAM_TRIM_MAXLEN)
        return t->stream->meta.length - block->live >= t->trim->max_length;
    return stream_id_compare(stream_block_last(block), t->trim->min_id) < 0;
}

/* What the references to an entry have to say; true if it may go. */
static bool release(const struct trimming *t, struct stream_id id)
{
    if (t->trim->refs == STREAM_ACKED)
        return !stream_is_referenced(t->stream, id);
    if (t->trim->refs == STREAM_DELREF)
        stream_forget(t->stream, id);
    return true;
}

static void count_removed(struct trimming *t, uint64_t n)
{
    t->stream->meta.length -= n;
    t->trim->removed += n;
}

static void remove_whole(struct trimming *t, struct stream_block *block, size_t rank)
{
    stream_edit_begin(t->edit);
    count_removed(t, block->live);
    stream_block_remove(t->stream, rank);
}

/* Every entry of the block, which goes whole, gives up its references. */
static void release_all(const struct trimming *t, const struct stream_block *block)
{
    struct stream_iter iter;
    stream_iter_begin(&iter, t->stream, block->id, stream_block_last(block), false);
    while (stream_iter_next(&iter))
        release(t, iter.id);
}

/* True if neither this entry nor one behind it is to go. */
static bool is_enough(const struct trimming *t, struct stream_id id)
{
    if (t->trim->by == STREAM_TRIM_MAXLEN)
        return t->stream->meta.length <= t->trim->max_length;
    return stream_id_compare(id, t->trim->min_id) >= 0;
}

/* Removes what is to go of the entries of a block that does not go whole. True if the block went nevertheless. */
static bool remove_entries(struct trimming *t, struct stream_block *block, size_t rank)
{
    const unsigned char *pack = block->pack;
    struct stream_master master = stream_master_read(pack);
    uint32_t at = master.entries_at;
    for (;;) {
        pack = block->pack;
        if (pack[at] == LISTPACK_END)
            break;
        struct stream_id id = stream_entry_id(block->id, pack, at);
        if (is_enough(t, id))
            break;
        uint32_t size = listpack_bytes(pack);
        if (!(pack[at] & STREAM_FLAG_DELETED) && release(t, id)) {
            stream_edit_begin(t->edit);
            if (stream_block_delete(t->stream, block, at)) {
                remove_whole(t, block, rank);
                return true;
            }
            count_removed(t, 1);
        }
        at += listpack_bytes(block->pack) - size; /* the counts before it may need another byte */
        size_t elements;
        at = stream_entry_after(block->pack, at, master.field_count, &elements);
    }
    return false;
}

/* The block to look at next, with its rank; NULL if there is none. */
static struct stream_block *next_block(const struct trimming *t, size_t *rank)
{
    *rank = 0;
    if (!t->trim->resumes)
        return btree_at(&t->stream->blocks, 0);
    struct btree_iter place = stream_block_seek(t->stream, t->trim->resume);
    struct stream_block *block = btree_iter_item(&place);
    if (!block || stream_id_compare(stream_block_last(block), t->trim->resume) < 0)
        block = btree_iter_next(&place);
    if (block)
        btree_rank(&t->stream->blocks, block, rank);
    return block;
}

/* Looks at one block; false if nothing is to be done behind it. */
static bool trim_block(struct trimming *t)
{
    size_t rank;
    struct stream_trim *trim = t->trim;
    struct stream_block *block = is_wanted(t) ? next_block(t, &rank) : NULL;
    if (!block || (trim->limit && trim->removed + block->live > trim->limit))
        return false;
    bool whole = goes_whole(t, block);
    if (!whole && trim->approximate)
        return false;
    struct stream_id last = stream_block_last(block);
    bool asks_all = t->ask && trim->refs == STREAM_ACKED;
    if (whole && !asks_all) {
        if (t->ask)
            release_all(t, block);
        remove_whole(t, block, rank);
        return true;
    }
    if (!remove_entries(t, block, rank))
        stream_block_compact(t->stream, block);
    bool passed_by = asks_all && trim->by == STREAM_TRIM_MAXLEN;
    trim->resumes = (whole || passed_by) && stream_id_next(&last);
    trim->resume = last;
    return trim->resumes;
}

void stream_trim_step(struct stream_edit *edit, struct stream_trim *trim, size_t blocks)
{
    struct stream *stream = stream_of(edit->entry);
    bool ask = trim->refs != STREAM_KEEPREF && stream_group_count(stream);
    struct trimming t = { edit, trim, stream, ask };
    uint64_t before = trim->removed;
    bool more = true;
    while (blocks && more) {
        more = trim_block(&t);
        blocks--;
    }
    trim->unfinished = more;
    if (trim->removed != before)
        stream_find_first(stream);
}
