/*
 * Streams: how they are kept, changed, copied and given up.
 *
 *   struct stream   IDs and counters | B+tree of blocks | the last block, at hand | B+tree of groups
 *
 * An append touches the stream, the last block and its listpack: the tree only once a block. With two short fields an
 * entry takes 16 to 17 bytes, of which 0.4 are its share of the block and the tree. Blocks, and the parts
 * of groups, are counted as they come and go, so that a large stream is known to be one, and freed in slices.
 */
#include "store/stream.h"

#include "base/fiber.h"
#include "ds/listpack.h"
#include "entry_priv.h"
#include "store/reclaim.h"
#include "store/value.h"
#include "stream_group_priv.h"
#include "stream_priv.h"
#include "value_priv.h"

enum { BATCH = 32 }; /* blocks freed together */

static uint64_t block_prefix(const void *item)
{
    return stream_id_prefix(((const struct stream_block *)item)->id);
}

static int block_compare(const void *item, const void *other)
{
    return stream_id_compare(((const struct stream_block *)item)->id, ((const struct stream_block *)other)->id);
}

static const struct btree_type blocks_type = { .prefix = block_prefix, .compare = block_compare };

struct stream *stream_create(void)
{
    struct stream *stream = mem_zalloc(sizeof *stream);
    btree_init(&stream->blocks, &blocks_type);
    btree_init(&stream->groups, &stream_groups_type);
    return stream;
}

/* Frees about `items` blocks and parts of groups; true while more is left, and the stream is then good for nothing. */
static bool drain(struct stream *stream, size_t items)
{
    void *batch[BATCH];
    while (items && btree_count(&stream->blocks)) {
        size_t n = btree_drain(&stream->blocks, batch, items < BATCH ? items : BATCH);
        for (size_t i = 0; i < n; i++)
            __builtin_prefetch(batch[i]);
        for (size_t i = 0; i < n; i++) {
            stream_block_free(stream, batch[i]);
        }
        items -= n;
    }
    if (btree_count(&stream->blocks) || stream_groups_drain(stream, &items))
        return true;
    btree_fini(&stream->blocks);
    btree_fini(&stream->groups);
    stream_pack_finish(stream);
    mem_free_sized(stream, sizeof *stream);
    return false;
}

void stream_destroy(struct stream *stream)
{
    if (stream)
        drain(stream, SIZE_MAX);
}

void stream_reclaim_take(struct keyspace *keyspace, struct stream *stream)
{
    struct entry_shape shape = { ENTRY_STREAM, 0, sizeof stream, EXPIRY_NONE };
    struct entry *entry = entry_create(BYTES(""), shape);
    memcpy(entry_value(entry), &stream, sizeof stream);
    reclaim_entry_take(keyspace->reclaim, entry);
}

/* --- Changing --- */

static void store_new(struct stream_edit *edit, struct stream *stream)
{
    edit->entry =
        keyspace_set_value(edit->keyspace, edit->db, edit->key, ENTRY_STREAM, 0, stream, EXPIRY_NONE, edit->now_ms);
    edit->begun = true;
}

void stream_edit_create(struct stream_edit *edit)
{
    if (!edit->entry)
        store_new(edit, stream_create());
}

enum stream_added stream_add(struct stream_edit *edit, struct stream_id id, const struct bytes *texts, size_t count)
{
    size_t text_bytes = 0, bound = stream_entry_bound(texts, count);
    for (size_t i = 0; i < count; i++)
        text_bytes += texts[i].len;
    if (bound >= LISTPACK_MAX_BYTES)
        return STREAM_TOO_LARGE;
    struct stream *stream = edit->entry ? stream_of(edit->entry) : stream_create();
    struct stream_block *block = stream_block_prepare(stream, edit->keyspace->settings, text_bytes, bound);
    if (!block) {
        if (!edit->entry)
            stream_destroy(stream);
        return STREAM_NO_MEMORY;
    }
    if (edit->entry)
        stream_edit_begin(edit);
    stream_block_write(stream, block, id, texts, count);
    struct stream_meta *meta = &stream->meta;
    if (meta->length++ == 0)
        meta->first_id = id;
    meta->last_id = id;
    meta->entries_added++;
    if (!edit->entry)
        store_new(edit, stream);
    return STREAM_ADDED;
}

bool stream_delete(struct stream_edit *edit, struct stream_id id)
{
    struct stream *stream = stream_of(edit->entry);
    struct stream_iter iter;
    stream_iter_begin(&iter, stream, id, id, false);
    if (!stream_iter_next(&iter))
        return false;
    stream_edit_begin(edit);
    struct stream_block *block = btree_iter_item(&iter.place);
    if (stream_block_delete(stream, block, iter.at)) {
        size_t rank;
        bool there = btree_rank(&stream->blocks, block, &rank);
        ASSERT(there);
        stream_block_remove(stream, rank);
    } else {
        stream_block_compact(stream, block);
    }
    struct stream_meta *meta = &stream->meta;
    meta->length--;
    if (stream_id_compare(id, meta->max_deleted_id) > 0)
        meta->max_deleted_id = id;
    if (stream_id_equal(id, meta->first_id))
        stream_find_first(stream);
    return true;
}

void stream_set_meta(
    struct stream_edit *edit, struct stream_id last_id, struct stream_id max_deleted_id, uint64_t entries_added)
{
    stream_edit_begin(edit);
    struct stream_meta *meta = &stream_of(edit->entry)->meta;
    meta->last_id = last_id;
    meta->max_deleted_id = max_deleted_id;
    meta->entries_added = entries_added;
}

size_t stream_block_count(const struct stream *stream)
{
    return btree_count(&stream->blocks);
}

size_t stream_node_count(const struct stream *stream)
{
    return (size_t)stream->blocks.leaves + stream->blocks.inners;
}

/* --- Making --- */

/* Adds a block as it is, and takes the listpack over. */
static void append_block(struct stream *stream, struct stream_id id, unsigned char *pack, uint32_t live)
{
    struct stream_block *block = mem_alloc(sizeof *block);
    *block = (struct stream_block){ id, pack, live, 0 };
    if (stream->tail)
        stream_pack_close(stream, stream->tail);
    btree_append(&stream->blocks, block);
    stream->tail = block;
    stream_pack_account(stream, block, 0);
}

bool stream_restore_block_take(struct stream *stream, struct stream_id id, unsigned char *pack, size_t len)
{
    struct stream_block_facts facts;
    if (stream_block_examine(id, pack, len, &facts))
        return false;
    struct stream_meta *meta = &stream->meta;
    if (stream->tail &&
        (stream_id_compare(id, meta->last_id) <= 0 || stream_id_compare(facts.first, meta->last_id) <= 0))
        return false;
    append_block(stream, id, pack, facts.live);
    meta->length += facts.live;
    meta->entries_added = meta->length;
    meta->last_id = facts.last;
    if (meta->length == facts.live)
        stream_find_first(stream);
    return true;
}

bool stream_restore_meta(struct stream *stream, const struct stream_meta *meta)
{
    struct stream_id last;
    if (meta->length != stream->meta.length || meta->entries_added < meta->length)
        return false;
    if (stream_last_entry_id(stream, &last) && stream_id_compare(meta->last_id, last) < 0)
        return false;
    struct stream_id first = stream->meta.first_id;
    stream->meta = *meta;
    stream->meta.first_id = first;
    return true;
}

struct entry *keyspace_set_stream_take(
    struct keyspace *keyspace, struct db *db, struct key key, struct stream *stream, int64_t at_ms, int64_t now_ms)
{
    return keyspace_set_value(keyspace, db, key, ENTRY_STREAM, 0, stream, at_ms, now_ms);
}

/* --- As a value type --- */

static const char *value_encoding_name(const struct entry *entry)
{
    (void)entry;
    return "stream";
}

static size_t value_memory(const struct entry *entry)
{
    const struct stream *stream = stream_of(entry);
    return mem_good_size(sizeof *stream) + btree_overhead_bytes(&stream->blocks) + stream->pack_bytes +
           btree_count(&stream->blocks) * mem_good_size(sizeof(struct stream_block)) + stream_groups_memory(stream);
}

static void value_free(struct entry *entry)
{
    stream_destroy(stream_of(entry));
}

enum { BLOCK_COST = 200 }; /* of copying, for fiber_breathe */

static void value_duplicate(struct entry *entry)
{
    const struct stream *from = stream_of(entry);
    struct stream *to = stream_create();
    to->meta = from->meta;
    struct btree_iter place = btree_seek_rank(&from->blocks, 0);
    for (const struct stream_block *block = btree_iter_item(&place); block; block = btree_iter_next(&place)) {
        fiber_breathe(BLOCK_COST);
        append_block(to, block->id, mem_dup(block->pack, listpack_bytes(block->pack)), block->live);
    }
    stream_groups_copy(to, from);
    entry_set_pointer(entry, 0, to);
}

static size_t value_weight_of(const struct entry *entry)
{
    const struct stream *stream = stream_of(entry);
    return btree_count(&stream->blocks) + stream->parts;
}

static bool value_drain(struct entry *entry, size_t items)
{
    return drain(stream_of(entry), items);
}

static void note_complaint(void *context, const char *what)
{
    const char **first = context;
    if (!*first)
        *first = what;
}

static const char *check_blocks(const struct stream *stream)
{
    const char *wrong = NULL;
    uint64_t length = 0;
    struct stream_id last = { 0 };
    const struct stream_block *tail = NULL;
    btree_check(&stream->blocks, note_complaint, &wrong);
    struct btree_iter place = btree_seek_rank(&stream->blocks, 0);
    for (const struct stream_block *block = btree_iter_item(&place); block && !wrong; block = btree_iter_next(&place)) {
        struct stream_block_facts facts;
        wrong = stream_block_examine(block->id, block->pack, listpack_bytes(block->pack), &facts);
        if (!wrong && (facts.live != block->live || facts.deleted != stream_block_deleted(block)))
            wrong = "a stream's block has other entries than were counted";
        if (!wrong && tail && stream_id_compare(block->id, last) <= 0)
            wrong = "a stream's blocks overlap";
        last = facts.last;
        length += facts.live;
        tail = block;
    }
    if (wrong)
        return wrong;
    if (tail != stream->tail || (tail && stream->tail_room != (tail->slab_offset ? 0 : listpack_memory(tail->pack))))
        return "a stream's last block is another";
    if (length != stream->meta.length)
        return "a stream's blocks do not add up";
    return stream_pack_check(stream);
}

static const char *value_check(const struct entry *entry)
{
    const struct stream *stream = stream_of(entry);
    const struct stream_meta *meta = &stream->meta;
    const char *wrong = check_blocks(stream);
    if (wrong)
        return wrong;
    struct stream_iter iter;
    stream_iter_begin(&iter, stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    bool any = stream_iter_next(&iter);
    if (any != (meta->length > 0) || !stream_id_equal(meta->first_id, any ? iter.id : STREAM_ID_MIN))
        return "a stream's first ID is wrong";
    struct stream_id last;
    if (stream_last_entry_id(stream, &last) != any || (any && stream_id_compare(last, meta->last_id) > 0))
        return "a stream's last ID lies before its last entry";
    return stream_groups_check(stream);
}

const struct value_type stream_value_type = {
    .encoding_name = value_encoding_name,
    .memory = value_memory,
    .destroy = value_free,
    .copy = value_duplicate,
    .weight = value_weight_of,
    .drain = value_drain,
    .check = value_check,
};
