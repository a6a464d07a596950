/*
 * Blocks of a stream: how entries are written into them, deleted, and looked through.
 *
 * A block is closed when the next entry would exceed stream-node-max-bytes, or it has had stream-node-max-entries. Only
 * then are bytes in reserve given back; the next block begins with the size that this one came to, so that a stream of
 * like entries allocates once a block. While a stream has one block, its room grows by half.
 *
 * Entries are deleted by a flag. A block that is not the last one is written anew when most of its entries are deleted;
 * the IDs in it stay as they are, for they count from the block's own.
 */
#include "store/stream_block.h"

#include "ds/listpack.h"
#include "ds/listpack_code.h"
#include "store/settings.h"
#include "stream_priv.h"

enum {
    COMPACT_MIN = 8,      /* deleted entries below which nothing is written anew */
    BYTES_MAX = 1 << 20,  /* in a block that takes another entry, whatever the settings allow; and so many */
    ENTRIES_MAX = 10000,  /* entries: looking through a block, or moving it, must not hold others up */
    USUAL_MAX = 16 << 10, /* bytes that a new block begins with, at most, whatever the one before came to */
};

static inline void set_header(unsigned char *pack, uint32_t total, size_t elements)
{
    uint32_t bytes = htole32(total);
    memcpy(pack, &bytes, sizeof bytes);
    if (elements > LISTPACK_COUNT_UNKNOWN)
        elements = LISTPACK_COUNT_UNKNOWN;
    pack[4] = (unsigned char)elements;
    pack[5] = (unsigned char)(elements >> 8);
}

static inline size_t stated_elements(const unsigned char *pack)
{
    return pack[4] | (size_t)pack[5] << 8;
}

static inline unsigned char *put_number(unsigned char *out, int64_t number)
{
    if (__builtin_expect((uint64_t)number < 128, 1)) {
        out[0] = (unsigned char)number;
        out[1] = 1;
        return out + 2;
    }
    struct listpack_code code;
    listpack_code_number(&code, number);
    listpack_code_write(&code, out);
    return out + code.size;
}

static inline unsigned char *put_text(unsigned char *out, struct bytes text)
{
    struct listpack_code code;
    listpack_code_text(&code, text);
    listpack_code_write(&code, out);
    return out + code.size;
}

/* Writes another number into the element at `at`. */
static void set_number(struct stream *stream, struct stream_block *block, uint32_t at, uint32_t number)
{
    if (number < 128 && block->pack[at] < 128) {
        block->pack[at] = (unsigned char)number;
        return;
    }
    bool own = !block->slab_offset || stream_pack_grow(stream, block, listpack_bytes(block->pack) + 1);
    ASSERT(own);
    size_t old = listpack_memory(block->pack);
    bool done = listpack_replace_i64(&block->pack, at, number);
    ASSERT(done); /* at most one byte more */
    stream_pack_account(stream, block, old);
}

/* --- Appending --- */

static bool texts_fit(const struct stream_block *block, const struct store_settings *settings, size_t text_bytes)
{
    uint64_t max_bytes = (uint64_t)settings->stream_node_max_bytes;
    if (max_bytes == 0 || max_bytes > BYTES_MAX)
        max_bytes = BYTES_MAX;
    if (listpack_bytes(block->pack) + text_bytes >= max_bytes)
        return false;
    uint64_t max_entries = (uint64_t)settings->stream_node_max_entries;
    if (max_entries == 0 || max_entries > ENTRIES_MAX)
        max_entries = ENTRIES_MAX;
    return (uint64_t)block->live + stream_block_deleted(block) < max_entries;
}

static bool grow_tail(struct stream *stream, size_t need)
{
    size_t used = listpack_bytes(stream->tail->pack), room = used + used / 2;
    return stream_pack_grow(stream, stream->tail, room > need ? room : need);
}

struct stream_block *stream_block_prepare(
    struct stream *stream, const struct store_settings *settings, size_t text_bytes, size_t bound)
{
    struct stream_block *tail = stream->tail;
    size_t room = bound;
    if (tail) {
        size_t used = listpack_bytes(tail->pack);
        if (used + bound < LISTPACK_MAX_BYTES && texts_fit(tail, settings, text_bytes))
            return used + bound <= stream->tail_room || grow_tail(stream, used + bound) ? tail : NULL;
        size_t usual = used < USUAL_MAX ? used + 128 : USUAL_MAX;
        room = room > usual ? room : usual;
    }
    unsigned char *pack = mem_try_alloc(room);
    if (!pack)
        return NULL;
    struct stream_block *block = mem_alloc(sizeof *block);
    *block = (struct stream_block){ .pack = pack };
    return block;
}

/* Writes the head of a block with the entry's fields as the shared ones; returns the bytes, without the end. */
static uint32_t write_master(unsigned char *pack, const struct bytes *texts, size_t count)
{
    unsigned char *out = pack + LISTPACK_HEADER;
    out = put_number(out, 0);
    out = put_number(out, 0);
    out = put_number(out, (int64_t)count / 2);
    for (size_t i = 0; i < count; i += 2)
        out = put_text(out, texts[i]);
    out = put_number(out, 0);
    *out = LISTPACK_END;
    uint32_t total = (uint32_t)(out - pack) + 1;
    set_header(pack, total, 4 + count / 2);
    return total;
}

static inline bool text_is(const unsigned char *pack, uint32_t at, struct bytes text)
{
    if (text.len < 64 && pack[at] == (0x80 | text.len))
        return memcmp(pack + at + 1, text.ptr, text.len) == 0;
    struct listpack_value value = listpack_get(pack, at);
    int64_t number;
    if (!value.text)
        return listpack_text_is_number(text, &number) && number == value.number;
    return value.len == text.len && memcmp(value.text, text.ptr, text.len) == 0;
}

/* True if the fields are those that begin the block. */
static inline bool same_fields(const unsigned char *pack, const struct bytes *texts, size_t count)
{
    uint32_t at = listpack_after(pack, listpack_after(pack, LISTPACK_HEADER));
    if ((uint64_t)listpack_get(pack, at).number != count / 2)
        return false;
    for (size_t i = 0; i < count; i += 2) {
        at = listpack_after(pack, at);
        if (!text_is(pack, at, texts[i]))
            return false;
    }
    return true;
}

void stream_block_write(
    struct stream *stream, struct stream_block *block, struct stream_id id, const struct bytes *texts, size_t count)
{
    bool same = true;
    if (block == stream->tail) {
        same = same_fields(block->pack, texts, count);
    } else {
        if (stream->tail)
            stream_pack_close(stream, stream->tail);
        block->id = id;
        write_master(block->pack, texts, count);
        btree_append(&stream->blocks, block);
        stream->tail = block;
        stream_pack_account(stream, block, 0);
    }
    unsigned char *pack = block->pack, *out = pack + listpack_end(pack);
    out = put_number(out, same ? STREAM_FLAG_SAME_FIELDS : 0);
    out = put_number(out, (int64_t)(id.ms - block->id.ms));
    out = put_number(out, (int64_t)(id.seq - block->id.seq));
    if (!same)
        out = put_number(out, (int64_t)count / 2);
    for (size_t i = same; i < count; i += 1 + same)
        out = put_text(out, texts[i]);
    size_t elements = same ? 3 + count / 2 : 4 + count;
    out = put_number(out, (int64_t)elements);
    *out = LISTPACK_END;
    set_header(pack, (uint32_t)(out - pack) + 1, stated_elements(pack) + elements + 1);
    set_number(stream, block, LISTPACK_HEADER, ++block->live);
}

/* --- Deleting --- */

bool stream_block_delete(struct stream *stream, struct stream_block *block, uint32_t at)
{
    if (block->live == 1)
        return true;
    block->pack[at] |= STREAM_FLAG_DELETED;
    set_number(stream, block, LISTPACK_HEADER, --block->live);
    uint32_t deleted = stream_block_deleted(block);
    set_number(stream, block, listpack_after(block->pack, LISTPACK_HEADER), deleted + 1);
    return false;
}

void stream_block_free(struct stream *stream, struct stream_block *block)
{
    stream_pack_free(stream, block);
    mem_free_sized(block, sizeof *block);
}

void stream_block_remove(struct stream *stream, size_t rank)
{
    void *block;
    size_t n = btree_remove_range(&stream->blocks, rank, 1, &block);
    ASSERT(n == 1);
    bool was_tail = block == stream->tail;
    stream_block_free(stream, block);
    if (!was_tail)
        return;
    size_t left = btree_count(&stream->blocks);
    stream->tail = left ? btree_at(&stream->blocks, left - 1) : NULL;
    stream->tail_room = left && !stream->tail->slab_offset ? (uint32_t)listpack_memory(stream->tail->pack) : 0;
}

void stream_block_compact(struct stream *stream, struct stream_block *block)
{
    uint32_t deleted = stream_block_deleted(block);
    if (block == stream->tail || deleted < COMPACT_MIN || deleted < block->live ||
        (block->slab_offset && !stream_pack_grow(stream, block, listpack_bytes(block->pack))))
        return;
    unsigned char *pack = block->pack;
    struct stream_master master = stream_master_read(pack);
    uint32_t at = master.entries_at, to = at, end = listpack_end(pack);
    size_t elements = 4 + (size_t)master.field_count;
    while (at < end) {
        size_t size;
        uint32_t behind = stream_entry_after(pack, at, master.field_count, &size);
        if (!(pack[at] & STREAM_FLAG_DELETED)) {
            memmove(pack + to, pack + at, behind - at);
            to += behind - at;
            elements += size;
        }
        at = behind;
    }
    pack[to] = LISTPACK_END;
    set_header(pack, to + 1, elements);
    size_t old = listpack_memory(pack);
    listpack_replace_i64(&block->pack, master.deleted_at, 0);
    listpack_trim(&block->pack);
    stream_pack_account(stream, block, old);
}

/* --- Looking through --- */

/* A bound behind every block that an ID could lie in. */
static int is_behind(const void *key, const void *item)
{
    const struct stream_block *block = item;
    return stream_id_compare(block->id, *(const struct stream_id *)key) > 0 ? -1 : 1;
}

struct btree_iter stream_block_seek(const struct stream *stream, struct stream_id id)
{
    struct btree_key key = { stream_id_prefix(id), &id, is_behind };
    struct btree_iter place = btree_seek(&stream->blocks, &key);
    btree_iter_prev(&place);
    return place;
}

/* Bytes that are looked through for the first time, and may be anything: each element is tested before it is read. */
struct unknown {
    const unsigned char *pack;
    uint32_t at, end;
    size_t elements; /* so far */
};

static inline bool skip(struct unknown *unknown, uint64_t elements)
{
    for (; elements; elements--) {
        uint32_t size = unknown->at < unknown->end ? listpack_check(unknown->pack, unknown->at, unknown->end) : 0;
        if (!size)
            return false;
        unknown->at += size;
        unknown->elements++;
    }
    return true;
}

static __attribute__((noinline)) bool read_large_number(struct unknown *unknown, int64_t *number)
{
    uint32_t at = unknown->at;
    if (!skip(unknown, 1))
        return false;
    struct listpack_value value = listpack_get(unknown->pack, at);
    *number = value.number;
    return !value.text;
}

/* Nearly all are below 128: two bytes with the backlen. */
static inline __attribute__((always_inline)) bool read_number(struct unknown *unknown, int64_t *number)
{
    const unsigned char *element = unknown->pack + unknown->at;
    if (__builtin_expect(unknown->end - unknown->at < 2 || element[0] >= 0x80 || element[1] != 1, 0))
        return read_large_number(unknown, number);
    *number = element[0];
    unknown->at += 2;
    unknown->elements++;
    return true;
}

static bool read_entry(struct unknown *unknown, int64_t shared, struct stream_id *id, bool *deleted)
{
    int64_t flags, ms, seq, fields = shared, stated;
    uint32_t begin = unknown->at;
    if (!read_number(unknown, &flags) || unknown->pack[begin] > STREAM_FLAGS || !read_number(unknown, &ms) ||
        !read_number(unknown, &seq))
        return false;
    bool same = flags & STREAM_FLAG_SAME_FIELDS;
    if (!same && (!read_number(unknown, &fields) || fields < 1 || fields > LISTPACK_MAX_BYTES))
        return false;
    int64_t elements = same ? 3 + fields : 4 + 2 * fields;
    if (!skip(unknown, (uint64_t)(same ? fields : 2 * fields)) || !read_number(unknown, &stated) || stated != elements)
        return false;
    id->ms += (uint64_t)ms;
    id->seq += (uint64_t)seq;
    *deleted = flags & STREAM_FLAG_DELETED;
    return true;
}

const char *stream_block_examine(
    struct stream_id id, const unsigned char *pack, size_t len, struct stream_block_facts *facts)
{
    static const char no_listpack[] = "a stream's block is not a listpack";
    int64_t live, deleted, shared, zero;
    *facts = (struct stream_block_facts){ 0 };
    if (len <= LISTPACK_HEADER || len >= LISTPACK_MAX_BYTES || listpack_bytes(pack) != len ||
        pack[len - 1] != LISTPACK_END)
        return no_listpack;
    struct unknown unknown = { pack, LISTPACK_HEADER, (uint32_t)len - 1, 0 };
    if (!read_number(&unknown, &live) || !read_number(&unknown, &deleted) || !read_number(&unknown, &shared) ||
        shared < 1 || !skip(&unknown, (uint64_t)shared) || !read_number(&unknown, &zero) || zero != 0)
        return "a stream's block has a broken head";
    struct stream_id last = { 0 };
    while (unknown.at < unknown.end) {
        struct stream_id own = id;
        bool is_deleted;
        if (!read_entry(&unknown, shared, &own, &is_deleted))
            return "a stream's block has a broken entry";
        bool is_first = facts->live + facts->deleted == 0;
        if (stream_id_compare(own, id) < 0 || stream_id_is_zero(own) ||
            (!is_first && stream_id_compare(own, last) <= 0))
            return "IDs in a stream's block do not ascend";
        last = own;
        if (is_first)
            facts->first = own;
        facts->live += !is_deleted;
        facts->deleted += is_deleted;
    }
    facts->last = last;
    if (stated_elements(pack) != LISTPACK_COUNT_UNKNOWN && stated_elements(pack) != unknown.elements)
        return no_listpack;
    if (live != facts->live || deleted != facts->deleted || live == 0)
        return "a stream's block does not have the entries that it says";
    return NULL;
}

bool stream_block_at(const struct stream *stream, size_t rank, struct stream_block_view *view)
{
    const struct stream_block *block = btree_at(&stream->blocks, rank);
    if (!block)
        return false;
    *view = (struct stream_block_view){ block->id, block->pack, block->live, stream_block_deleted(block) };
    return true;
}
