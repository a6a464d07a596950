/*
 * Where the listpacks of a stream's blocks lie.
 *
 * The last one, which grows, has an allocation of its own. When it is closed it is moved, in a stream of some size,
 * into a slab with its neighbours: one after the other, without gaps, where size classes of the allocator would cost up
 * to a fifth of each. A slab is freed with the last block in it; blocks are removed from the front nearly always.
 *
 *   slab (32 KB)   used : u32 | users : u32 | listpack | listpack | ...
 *
 * What has to change its size in a slab gets an allocation of its own again, and leaves a gap.
 */
#include "ds/listpack.h"
#include "stream_priv.h"

enum {
    SLAB_BYTES = 32 << 10,
    SLAB_MIN_BLOCKS = 32,           /* blocks of a stream before it gets slabs */
    SLAB_PACK_MAX = SLAB_BYTES / 8, /* larger listpacks stay where they are */
};

struct stream_slab {
    uint32_t used;
    uint32_t users; /* blocks, and one more while it is being filled */
};

static struct stream_slab *slab_of(const struct stream_block *block)
{
    return (struct stream_slab *)(void *)(block->pack - block->slab_offset);
}

static void release(struct stream *stream, struct stream_slab *slab)
{
    if (!slab || --slab->users)
        return;
    stream->pack_bytes -= SLAB_BYTES;
    mem_free_sized(slab, SLAB_BYTES);
}

void stream_pack_finish(struct stream *stream)
{
    release(stream, stream->slab);
    stream->slab = NULL;
}

void stream_pack_free(struct stream *stream, struct stream_block *block)
{
    if (block->slab_offset) {
        release(stream, slab_of(block));
        return;
    }
    stream->pack_bytes -= listpack_memory(block->pack);
    listpack_destroy(block->pack);
}

void stream_pack_account(struct stream *stream, const struct stream_block *block, size_t old_usable)
{
    size_t usable = listpack_memory(block->pack);
    stream->pack_bytes += usable - old_usable;
    if (block == stream->tail)
        stream->tail_room = (uint32_t)usable;
}

bool stream_pack_grow(struct stream *stream, struct stream_block *block, size_t room)
{
    size_t old = 0;
    unsigned char *pack;
    if (block->slab_offset) {
        pack = mem_try_alloc(room);
        if (!pack)
            return false;
        memcpy(pack, block->pack, listpack_bytes(block->pack));
        release(stream, slab_of(block));
        block->slab_offset = 0;
    } else {
        old = listpack_memory(block->pack);
        pack = mem_try_realloc(block->pack, room);
        if (!pack)
            return false;
    }
    block->pack = pack;
    stream_pack_account(stream, block, old);
    return true;
}

/* The slab that is being filled, with room for so many bytes more; NULL when memory is out. */
static struct stream_slab *open_slab(struct stream *stream, uint32_t size)
{
    if (stream->slab && stream->slab->used + size <= SLAB_BYTES)
        return stream->slab;
    struct stream_slab *slab = mem_try_alloc(SLAB_BYTES);
    if (!slab)
        return NULL;
    release(stream, stream->slab);
    *slab = (struct stream_slab){ sizeof *slab, 1 };
    stream->slab = slab;
    stream->pack_bytes += SLAB_BYTES;
    return slab;
}

void stream_pack_close(struct stream *stream, struct stream_block *block)
{
    uint32_t size = listpack_bytes(block->pack);
    if (block->slab_offset)
        return;
    size_t old = listpack_memory(block->pack);
    struct stream_slab *slab = NULL;
    if (btree_count(&stream->blocks) >= SLAB_MIN_BLOCKS && size <= SLAB_PACK_MAX)
        slab = open_slab(stream, size);
    if (!slab) {
        listpack_trim(&block->pack);
        stream_pack_account(stream, block, old);
        return;
    }
    unsigned char *place = (unsigned char *)slab + slab->used;
    memcpy(place, block->pack, size);
    listpack_destroy(block->pack);
    stream->pack_bytes -= old;
    block->pack = place;
    block->slab_offset = slab->used;
    slab->used += size;
    slab->users++;
}

/* Slabs are filled one after the other, so the blocks of one have none of another between them. */
const char *stream_pack_check(const struct stream *stream)
{
    size_t bytes = 0;
    uint32_t users = 0;
    const struct stream_slab *slab = NULL;
    struct btree_iter place = btree_seek_rank(&stream->blocks, 0);
    for (const struct stream_block *block = btree_iter_item(&place); block; block = btree_iter_next(&place)) {
        if (!block->slab_offset) {
            bytes += listpack_memory(block->pack);
            continue;
        }
        if (slab_of(block) != slab) {
            if (slab && slab->users != users)
                return "a stream's slab has other users than blocks";
            slab = slab_of(block);
            users = slab == stream->slab;
            bytes += SLAB_BYTES;
        }
        users++;
    }
    if (slab && slab->users != users)
        return "a stream's slab has other users than blocks";
    if (stream->slab && stream->slab != slab)
        bytes += SLAB_BYTES;
    return bytes == stream->pack_bytes ? NULL : "a stream's listpacks do not add up";
}
