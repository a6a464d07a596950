/*
 * The digest of a key is three hashes, differently seeded, over its database, key, type, content and whether it
 * expires. An integer counts as its text, so that the encoding does not matter.
 *
 * Everything that is looked at passes `mix`, which breathes (base/fiber.h); long text is mixed in pieces for that.
 */
#include "server/digest.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/hash.h"
#include "store/document.h"
#include "store/hash.h"
#include "store/keyspace.h"
#include "store/list.h"
#include "store/set.h"
#include "store/stream_group.h"
#include "store/string.h"
#include "store/zset.h"
#include "json/print.h"

enum {
    PIECE_BYTES = 32 * 1024, /* mixed at once */
    PIECE_COST = 1000,       /* for fiber_breathe */
    MIX_COST = 5,
};

static void mix_piece(struct digest *digest, const void *ptr, size_t len)
{
    for (int i = 0; i < 3; i++)
        digest->part[i] = hash_bytes_seeded(ptr, len, digest->part[i] * 3 + (uint64_t)i + 1);
}

/* Mixes bytes into each part, in order. */
static void mix(struct digest *digest, const void *ptr, size_t len)
{
    const char *at = ptr;
    for (; len > PIECE_BYTES; at += PIECE_BYTES, len -= PIECE_BYTES) {
        mix_piece(digest, at, PIECE_BYTES);
        fiber_breathe(PIECE_COST);
    }
    mix_piece(digest, at, len);
    fiber_breathe(MIX_COST);
}

static void add_string(struct digest *digest, const struct entry *entry)
{
    struct string_scratch scratch;
    struct bytes content = string_view(entry, &scratch);
    mix(digest, content.ptr, content.len);
}

/* Lengths count, so that elements cannot be cut elsewhere. */
static void add_list(struct digest *digest, const struct entry *entry)
{
    struct list_walk walk;
    struct list_element element;
    list_walk_begin(&walk, entry, 0, list_len(entry));
    while (list_next(&walk, &element)) {
        struct list_scratch scratch;
        struct bytes content = list_element_bytes(&element, &scratch);
        mix(digest, &content.len, sizeof content.len);
        mix(digest, content.ptr, content.len);
    }
    list_walk_end(&walk);
}

/* Each member's own digest, in any order. */
static void add_set(struct digest *digest, const struct entry *entry)
{
    struct digest all = { 0 };
    struct set_walk walk = set_walk_begin(set_of(entry));
    for (struct set_batch batch; set_walk_next(&walk, &batch);)
        for (unsigned i = 0; i < batch.count; i++) {
            struct set_scratch scratch;
            struct bytes member = set_member_bytes(batch.members[i], &scratch);
            struct digest one = { 0 };
            mix(&one, member.ptr, member.len);
            for (int part = 0; part < 3; part++)
                all.part[part] ^= one.part[part];
        }
    mix(digest, all.part, sizeof all.part);
}

/* In their order, which follows from the content. A zero counts without its sign. */
static void add_zset(struct digest *digest, const struct entry *entry)
{
    struct zset_iter iter;
    for (bool more = zset_iter_begin(&iter, entry, 0, false); more; more = zset_iter_next(&iter)) {
        double score = iter.score + 0.0;
        mix(digest, &score, sizeof score);
        mix(digest, iter.member.ptr, iter.member.len);
    }
}

static void add_field(void *context, const struct hash_pair *pair)
{
    struct digest *all = context;
    struct digest one = { 0 };
    uint64_t head[2] = { pair->field.len, pair->at_ms != EXPIRY_NONE };
    mix(&one, head, sizeof head);
    mix(&one, pair->field.ptr, pair->field.len);
    mix(&one, pair->value.ptr, pair->value.len);
    for (int part = 0; part < 3; part++)
        all->part[part] ^= one.part[part];
}

/* Each field's own digest, in any order; whether it expires counts. */
static void add_hash(struct digest *digest, const struct entry *entry)
{
    struct digest all = { 0 };
    hash_each(entry, clock_wall_ms(), add_field, &all);
    mix(digest, all.part, sizeof all.part);
}

/* A group with its progress and pending entries; times, which differ between servers, and consumers without, do not
 * count. */
static void add_group(struct digest *digest, const struct stream_group *group)
{
    mix(digest, group->name.ptr, group->name.len);
    mix(digest, &group->last_id, sizeof group->last_id);
    struct btree_iter place;
    const struct stream_pending *pending = stream_pending_seek(&group->pending, STREAM_ID_MIN, &place);
    for (; pending; pending = btree_iter_next(&place)) {
        struct bytes owner = stream_pending_consumer(pending)->name;
        mix(digest, &pending->id, sizeof pending->id);
        mix(digest, owner.ptr, owner.len);
    }
}

/* Entries with their IDs, in order, and what XINFO tells of the whole. */
static void add_stream(struct digest *digest, const struct entry *entry)
{
    const struct stream *stream = stream_of(entry);
    struct stream_iter iter;
    stream_iter_begin(&iter, stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_iter_next(&iter)) {
        struct bytes field, value;
        mix(digest, &iter.id, sizeof iter.id);
        while (stream_iter_pair(&iter, &field, &value)) {
            uint64_t lens[2] = { field.len, value.len };
            mix(digest, lens, sizeof lens);
            mix(digest, field.ptr, field.len);
            mix(digest, value.ptr, value.len);
        }
    }
    const struct stream_meta *meta = stream_meta(stream);
    mix(digest, &meta->last_id, sizeof meta->last_id);
    mix(digest, &meta->max_deleted_id, sizeof meta->max_deleted_id);
    mix(digest, &meta->entries_added, sizeof meta->entries_added);
    for (size_t i = 0; i < stream_group_count(stream); i++)
        add_group(digest, stream_group_at(stream, i));
}

/* The text, in the order in which members were made. */
static void add_document(struct digest *digest, const struct entry *entry)
{
    struct json_value root = document_root(entry);
    struct json_printer printer;
    struct buf text = BUF_EMPTY;
    json_printer_init(&printer, &root, NULL, 0);
    while (!json_printer_step(&printer, &text, PIECE_BYTES)) {
        size_t done = 0; /* where the printer stops is not to matter */
        for (; text.len - done > PIECE_BYTES; done += PIECE_BYTES)
            mix(digest, text.ptr + done, PIECE_BYTES);
        text.len -= done;
        memmove(text.ptr, text.ptr + done, text.len);
    }
    mix(digest, text.ptr, text.len);
    buf_fini(&text);
}

static void (*const adders[ENTRY_TYPES])(struct digest *digest, const struct entry *entry) = {
    [ENTRY_STRING] = add_string,
    [ENTRY_LIST] = add_list,
    [ENTRY_HASH] = add_hash,
    [ENTRY_SET] = add_set,
    [ENTRY_ZSET] = add_zset,
    [ENTRY_STREAM] = add_stream,
    [ENTRY_JSON] = add_document,
};

void digest_add_value(struct digest *digest, const struct entry *entry)
{
    uint64_t head[2] = { entry->type, entry->flags & ENTRY_EXPIRES };
    mix(digest, head, sizeof head);
    ASSERT(adders[entry->type]);
    adders[entry->type](digest, entry);
}

struct db_walk {
    struct digest *digest;
    int64_t now_ms;
    uint64_t db;
};

static void visit(void *context, uint64_t *slot)
{
    struct db_walk *walk = context;
    const struct entry *entry = table_slot_item(slot);
    if (entry_is_expired(entry, walk->now_ms))
        return;
    struct bytes key = entry_key(entry);
    struct digest one = { 0 };
    mix(&one, &walk->db, sizeof walk->db);
    mix(&one, key.ptr, key.len);
    digest_add_value(&one, entry);
    for (int i = 0; i < 3; i++)
        walk->digest->part[i] ^= one.part[i];
}

void digest_add_db(struct digest *digest, const struct db *db, int64_t now_ms)
{
    struct db_walk walk = { digest, now_ms, (uint64_t)db->index };
    uint64_t cursor = 0;
    do
        cursor = table_scan(&db->table, cursor, visit, &walk);
    while (cursor);
}

void digest_format(const struct digest *digest, char *out)
{
    char text[DIGEST_HEX_LEN + 1];
    snprintf(text, sizeof text, "%016llx%016llx%08x", (unsigned long long)digest->part[0],
        (unsigned long long)digest->part[1], (unsigned)digest->part[2]);
    memcpy(out, text, DIGEST_HEX_LEN);
}
