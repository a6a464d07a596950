/*
 * What the files of the stream share: the stream, a block, and the ways through a block's listpack.
 *
 * The layout of a block: store/stream_block.h. Every block but the last is kept without reserve; the last one has some,
 * which is known here, so that an append asks nobody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/mem.h"
#include "ds/btree.h"
#include "ds/listpack_read.h"
#include "store/stream.h"
#include "store/stream_block.h"
#include "store/stream_group.h"

struct store_settings;

enum { STREAM_FLAG_DELETED = 1, STREAM_FLAG_SAME_FIELDS = 2, STREAM_FLAGS = 3 };

struct stream_block {
    struct stream_id id;
    unsigned char *pack;  /* owned, or in a slab */
    uint32_t live;        /* entries; the same number begins the listpack */
    uint32_t slab_offset; /* where in its slab; 0: it has an allocation of its own */
};

struct stream {
    struct stream_meta meta;
    struct btree blocks;       /* of struct stream_block, owned */
    struct stream_block *tail; /* borrowed: the last one, or NULL */
    uint32_t tail_room;        /* bytes of its listpack's allocation; 0: it lies in a slab */
    struct stream_slab *slab;  /* shared with blocks: the one that is being filled, or NULL */
    size_t pack_bytes;         /* of all listpacks and slabs, as allocated */
    struct btree groups;       /* of struct stream_group, owned */
    size_t parts;              /* groups, consumers, and pending entries twice: what there is to free beside blocks */
};

_Static_assert(offsetof(struct stream, meta) == 0, "stream_meta relies on it");
_Static_assert(sizeof(struct stream_block) == 32, "a class of the allocator");
_Static_assert(sizeof(struct stream_pending) == 32, "a class of the allocator");

/* Never decreases with the ID, and differs for most: times up to the year 2527 and a million IDs in each of their ms.*/
static inline uint64_t stream_id_prefix(struct stream_id id)
{
    if (id.ms >> 44)
        return UINT64_MAX;
    return id.ms << 20 | (id.seq < 0xfffff ? id.seq : 0xfffff);
}

/* --- Blocks: stream_block.c --- */

/* The header of a block, read. */
struct stream_master {
    uint32_t deleted_at;
    uint32_t fields_at, field_count;
    uint32_t entries_at;
};

static inline struct stream_master stream_master_read(const unsigned char *pack)
{
    struct stream_master master;
    master.deleted_at = listpack_after(pack, LISTPACK_HEADER);
    uint32_t at = listpack_after(pack, master.deleted_at);
    master.field_count = (uint32_t)listpack_get(pack, at).number;
    master.fields_at = at = listpack_after(pack, at);
    for (uint32_t i = 0; i <= master.field_count; i++) /* and the 0 behind them */
        at = listpack_after(pack, at);
    master.entries_at = at;
    return master;
}

/* Where the entry at `at` ends, and of how many elements it consists; `shared` are the block's fields. */
static inline uint32_t stream_entry_after(const unsigned char *pack, uint32_t at, uint32_t shared, size_t *elements)
{
    size_t n = 4 + (size_t)shared; /* flags, ms, seq, values, count */
    if (!(pack[at] & STREAM_FLAG_SAME_FIELDS)) {
        uint32_t count_at = listpack_after(pack, listpack_after(pack, listpack_after(pack, at)));
        n = 5 + 2 * (size_t)listpack_get(pack, count_at).number;
    }
    *elements = n;
    while (n--)
        at = listpack_after(pack, at);
    return at;
}

/* Where the entry before the place `at`, which is another's or the end, begins. */
static inline uint32_t stream_entry_before(const unsigned char *pack, uint32_t at)
{
    at = listpack_prev(pack, at);
    for (int64_t n = listpack_get(pack, at).number; n > 0; n--)
        at = listpack_prev(pack, at);
    return at;
}

/* The ID of the entry at `at`. */
static inline struct stream_id stream_entry_id(struct stream_id block_id, const unsigned char *pack, uint32_t at)
{
    uint32_t ms_at = listpack_after(pack, at), seq_at = listpack_after(pack, ms_at);
    block_id.ms += (uint64_t)listpack_get(pack, ms_at).number;
    block_id.seq += (uint64_t)listpack_get(pack, seq_at).number;
    return block_id;
}

/* The ID of the last entry of a block, deleted or not. */
static inline struct stream_id stream_block_last(const struct stream_block *block)
{
    const unsigned char *pack = block->pack;
    return stream_entry_id(block->id, pack, stream_entry_before(pack, listpack_end(pack)));
}

/* The place of the block in which an ID would lie: the last that does not begin behind it; at no item if all do. */
struct btree_iter stream_block_seek(const struct stream *stream, struct stream_id id);

/*
 * Makes room for an entry of `text_bytes`, and `bound` as stream_entry_bound has it: in the last block, or in a new one
 * that is not the stream's yet. NULL when memory is out; no entry has changed.
 */
struct stream_block *stream_block_prepare(
    struct stream *stream, const struct store_settings *settings, size_t text_bytes, size_t bound);

/* At most so many bytes will an entry of these texts take, with a new block's header. */
static inline size_t stream_entry_bound(const struct bytes *texts, size_t count)
{
    size_t bound = 64;
    for (size_t i = 0; i < count; i++)
        bound += texts[i].len + (texts[i].len < 64 ? 2 : 10);
    return bound;
}

/* Writes the entry into a block that stream_block_prepare gave, and makes that the stream's last. Cannot fail. */
void stream_block_write(
    struct stream *stream, struct stream_block *block, struct stream_id id, const struct bytes *texts, size_t count);

/*
 * Marks the entry at `at` as deleted. True if that was the last one: then nothing was done, and the block must go. May
 * move everything in the block.
 */
bool stream_block_delete(struct stream *stream, struct stream_block *block, uint32_t at);

/* Takes the block at `rank` out and frees it. */
void stream_block_remove(struct stream *stream, size_t rank);

/* Frees a block, whatever tree it is in. */
void stream_block_free(struct stream *stream, struct stream_block *block);

/* Where many entries of a block were deleted, and it is not the last, writes it anew without them. */
void stream_block_compact(struct stream *stream, struct stream_block *block);

/* Looks for first_id anew. */
void stream_find_first(struct stream *stream);

/* What is wrong with the bytes of a block, or NULL; with it its counts and edges. */
struct stream_block_facts {
    uint32_t live, deleted;
    struct stream_id first, last; /* of all entries, deleted ones too */
};
const char *stream_block_examine(
    struct stream_id id, const unsigned char *pack, size_t len, struct stream_block_facts *facts);

static inline uint32_t stream_block_deleted(const struct stream_block *block)
{
    return (uint32_t)listpack_get(block->pack, listpack_after(block->pack, LISTPACK_HEADER)).number;
}

/* --- Listpacks: stream_pack.c --- */

/* The allocation of a block's listpack was `old_usable` bytes, and is another now. */
void stream_pack_account(struct stream *stream, const struct stream_block *block, size_t old_usable);

/* Gives the listpack an allocation of its own, of at least `room` bytes. False when memory is out. */
bool stream_pack_grow(struct stream *stream, struct stream_block *block, size_t room);

/* Nothing will be added to this block: puts it where it takes as little as possible. */
void stream_pack_close(struct stream *stream, struct stream_block *block);

/* Frees a block's listpack; and, after the last one, what the stream keeps for the next. */
void stream_pack_free(struct stream *stream, struct stream_block *block);
void stream_pack_finish(struct stream *stream);

/* What is wrong with the account, or NULL. */
const char *stream_pack_check(const struct stream *stream);

/* Gives a stream that is nobody's to the keyspace's reclaim, which frees it in slices. */
void stream_reclaim_take(struct keyspace *keyspace, struct stream *stream);

/* Before the first change of what the keyspace watches. */
static inline void stream_edit_begin(struct stream_edit *edit)
{
    if (!edit->begun)
        keyspace_edit(edit->keyspace, edit->db, edit->key, edit->entry);
    edit->begun = true;
}
