/*
 * By type: the frame (the struct that the entry points to, its table's directory), then the parts.
 *
 * Fields, members and nodes have one pointer to them, which is where the walk finds them. A member of a sorted set is
 * in a table and in a tree, a pending entry in two trees: those are copied first, then put into the tree in the place
 * of the old one. What somebody else refers to (blobs, nodes of a document) stays. Packed values are one allocation.
 *
 * A stream's struct, its groups and their consumers are known by where they are: to each other, to pending entries, and
 * to tasks. They move if there are no tasks and few who have to be told.
 *
 * Not moved: slabs of streams, each of which has pages of its own, and sorted sets of which a span is being cut.
 */
#include "compact_priv.h"

#include "base/assert.h"
#include "base/blob.h"
#include "base/mem.h"
#include "ds/compact.h"
#include "ds/quicklist.h"
#include "hash_priv.h"
#include "set_priv.h"
#include "store/document.h"
#include "store/list.h"
#include "store/value.h"
#include "stream_priv.h"
#include "zset_priv.h"
#include "json/compact.h"

enum { BUCKET_ITEMS = 5 };

/* What the entry points to, moved if that is worth while. */
static void *move_frame(struct entry *entry, struct mem_moves *moves)
{
    void *frame = entry_pointer(entry), *moved = mem_move(frame, moves);
    if (moved != frame)
        entry_set_pointer(entry, entry->encoding, moved);
    return moved;
}

static void next_stage(struct compact_place *place)
{
    place->stage++;
    place->at = 0;
}

/* --- Hashes and sets: a table whose items nobody else knows --- */

static void move_item(void *context, uint64_t *slot)
{
    void *item = table_slot_item(slot), *moved = mem_move(item, context);
    if (moved != item)
        table_slot_set_item(slot, moved);
}

static bool compact_table(struct table *table, struct compact_place *place, size_t items, struct mem_moves *moves,
    table_visit_fn visit, void *context)
{
    if (place->stage == 0) {
        table_compact_frame(table, moves);
        next_stage(place);
    }
    for (size_t done = 0; done < items; done += BUCKET_ITEMS) {
        place->at = table_compact(table, place->at, visit, context, moves);
        if (!place->at)
            return false;
    }
    return true;
}

static bool compact_hash(struct entry *entry, struct compact_place *place, size_t items, struct mem_moves *moves)
{
    if (entry->encoding != HASH_TABLE) {
        move_frame(entry, moves);
        return false;
    }
    struct hash_table *hash = place->stage ? entry_pointer(entry) : move_frame(entry, moves);
    return compact_table(&hash->table, place, items, moves, move_item, moves);
}

static bool compact_set(struct entry *entry, struct compact_place *place, size_t items, struct mem_moves *moves)
{
    if (entry->encoding != SET_TABLE) {
        move_frame(entry, moves);
        return false;
    }
    struct set_table *set = place->stage ? entry_pointer(entry) : move_frame(entry, moves);
    return compact_table(&set->table, place, items, moves, move_item, moves);
}

/* --- Sorted sets --- */

struct member_walk {
    struct zset *zset;
    struct mem_moves *moves;
};

static void move_member(void *context, uint64_t *slot)
{
    struct member_walk *walk = context;
    void *member = table_slot_item(slot), *copy = mem_compact_copy(member);
    walk->moves->moved += copy != NULL;
    walk->moves->stayed += copy == NULL;
    if (!copy)
        return;
    bool was_there = btree_replace(&walk->zset->order, member, copy);
    ASSERT(was_there);
    table_slot_set_item(slot, copy);
    mem_compact_release(member);
}

static bool compact_zset(struct entry *entry, struct compact_place *place, size_t items, struct mem_moves *moves)
{
    enum { NODES = 2, LEAF_ITEMS = 16 }; /* a leaf is a kilobyte, like so many members */
    if (entry->encoding != ZSET_TREE) {
        move_frame(entry, moves);
        return false;
    }
    struct zset *zset = zset_of(entry);
    if (zset->cuts)
        return false;
    if (place->stage == 0)
        zset = move_frame(entry, moves);
    if (place->stage < NODES) {
        struct member_walk walk = { zset, moves };
        if (!compact_table(&zset->members, place, items, moves, move_member, &walk))
            next_stage(place);
        return true;
    }
    place->at = btree_compact(&zset->order, place->at, items / LEAF_ITEMS + 1, moves);
    return place->at < btree_count(&zset->order);
}

/* --- Lists --- */

static bool compact_list(struct entry *entry, struct compact_place *place, size_t items, struct mem_moves *moves)
{
    enum { NODE_ITEMS = 32 }; /* a node is up to 8 KB */
    struct quicklist *list = place->stage ? entry_pointer(entry) : move_frame(entry, moves);
    if (entry->encoding != LIST_QUICKLIST)
        return false;
    place->stage = 1;
    place->at = quicklist_compact(list, place->at, items / NODE_ITEMS + 1, moves);
    return place->at < quicklist_node_count(list);
}

/* --- Streams --- */

/* The stages of a stream, and then, within each group, of the group. */
enum { STREAM_FRAME, STREAM_BLOCKS, STREAM_NODES, GROUP_PENDING, GROUP_NODES, CONSUMER_NODES };

enum { FEW = 128 }; /* who have to be told that something has moved, at most */

/* A copy if it is worth while, counted; NULL: it stays. */
static void *copy_out(const void *ptr, struct mem_moves *moves)
{
    void *copy = mem_compact_copy(ptr);
    moves->moved += copy != NULL;
    moves->stayed += copy == NULL;
    return copy;
}

static struct stream *move_stream(struct entry *entry, struct mem_moves *moves)
{
    struct stream *stream = entry_pointer(entry);
    size_t groups = btree_count(&stream->groups);
    if (groups > FEW)
        return stream;
    stream = move_frame(entry, moves);
    btree_compact(&stream->groups, 0, groups, moves);
    for (size_t i = 0; i < groups; i++)
        ((struct stream_group *)btree_at(&stream->groups, i))->stream = stream;
    return stream;
}

/* The name lies behind what it names. */
static void follow_name(struct bytes *name, const void *old, const void *copy)
{
    name->ptr = (const char *)copy + (name->ptr - (const char *)old);
}

static struct stream_group *move_group(struct stream_group *group, struct mem_moves *moves)
{
    size_t consumers = btree_count(&group->consumers);
    if (consumers > FEW)
        return group;
    btree_compact(&group->consumers, 0, consumers, moves);
    struct stream_group *copy = copy_out(group, moves);
    if (!copy)
        return group;
    follow_name(&copy->name, group, copy);
    bool was_there = btree_replace(&copy->stream->groups, group, copy);
    ASSERT(was_there);
    for (size_t i = 0; i < consumers; i++)
        ((struct stream_consumer *)btree_at(&copy->consumers, i))->group = copy;
    mem_compact_release(group);
    return copy;
}

static struct stream_consumer *move_consumer(struct stream_consumer *consumer, struct mem_moves *moves)
{
    size_t pending = btree_count(&consumer->pending);
    struct stream_consumer *copy = pending > FEW ? NULL : copy_out(consumer, moves);
    if (!copy)
        return consumer;
    follow_name(&copy->name, consumer, copy);
    bool was_there = btree_replace(&copy->group->consumers, consumer, copy);
    ASSERT(was_there);
    for (size_t i = 0; i < pending; i++)
        ((struct stream_pending *)btree_at(&copy->pending, i))->consumer = (uintptr_t)copy;
    mem_compact_release(consumer);
    return copy;
}

static void move_block(struct stream *stream, struct stream_block *block, struct mem_moves *moves)
{
    if (!block->slab_offset)
        block->pack = mem_move(block->pack, moves);
    struct stream_block *copy = copy_out(block, moves);
    if (!copy)
        return;
    bool was_there = btree_replace(&stream->blocks, block, copy);
    ASSERT(was_there);
    if (stream->tail == block)
        stream->tail = copy;
    mem_compact_release(block);
}

static void move_pending(struct stream_group *group, struct stream_pending *pending, struct mem_moves *moves)
{
    struct stream_pending *copy = copy_out(pending, moves);
    if (!copy)
        return;
    struct stream_consumer *consumer = stream_pending_consumer(pending);
    bool in_group = btree_replace(&group->pending, pending, copy);
    bool in_consumer = !consumer || btree_replace(&consumer->pending, pending, copy);
    ASSERT(in_group && in_consumer);
    mem_compact_release(pending);
}

/* Goes on with the nodes of a tree; true while there are more of them. */
static bool move_nodes(struct btree *tree, struct compact_place *place, size_t leaves, struct mem_moves *moves)
{
    place->at = btree_compact(tree, place->at, leaves, moves);
    return place->at < btree_count(tree);
}

static void compact_group(struct stream *stream, struct compact_place *place, size_t items, struct mem_moves *moves)
{
    struct stream_group *group = btree_at(&stream->groups, place->group);
    if (place->stage == GROUP_PENDING && !place->at && !place->has_tasks)
        group = move_group(group, moves);
    if (place->stage == GROUP_PENDING) {
        for (; items && place->at < btree_count(&group->pending); items--, place->at++)
            move_pending(group, btree_at(&group->pending, place->at), moves);
        if (place->at >= btree_count(&group->pending))
            next_stage(place);
    } else if (place->stage == GROUP_NODES) {
        if (!move_nodes(&group->pending, place, items, moves))
            next_stage(place);
    } else if (place->owner < btree_count(&group->consumers)) {
        struct stream_consumer *consumer = btree_at(&group->consumers, place->owner);
        if (!place->at && !place->has_tasks)
            consumer = move_consumer(consumer, moves);
        if (!move_nodes(&consumer->pending, place, items, moves)) {
            place->owner++;
            place->at = 0;
        }
    } else {
        place->group++;
        place->owner = place->at = 0;
        place->stage = GROUP_PENDING;
    }
}

static bool compact_stream(struct entry *entry, struct compact_place *place, size_t items, struct mem_moves *moves)
{
    enum { PART_ITEMS = 8 }; /* a block, a node */
    struct stream *stream = entry_pointer(entry);
    items = items / PART_ITEMS + 1;
    if (place->stage == STREAM_FRAME) {
        if (!place->has_tasks)
            stream = move_stream(entry, moves);
        next_stage(place);
    }
    if (place->stage == STREAM_BLOCKS) {
        for (; items && place->at < btree_count(&stream->blocks); items--, place->at++)
            move_block(stream, btree_at(&stream->blocks, place->at), moves);
        if (place->at >= btree_count(&stream->blocks))
            next_stage(place);
        return true;
    }
    if (place->stage == STREAM_NODES) {
        if (!move_nodes(&stream->blocks, place, items, moves))
            next_stage(place);
        return true;
    }
    if (place->group < btree_count(&stream->groups))
        compact_group(stream, place, items, moves);
    return place->group < btree_count(&stream->groups);
}

/* --- Documents --- */

static bool compact_document(struct entry *entry, struct compact_place *place, size_t items, struct mem_moves *moves)
{
    struct json_value root = document_root(entry);
    if (!place->json)
        place->json = mem_zalloc(sizeof *place->json);
    bool more = json_compact(&root, place->json, items, moves);
    document_set_root(entry, root);
    if (!more)
        compact_place_fini(place);
    return more;
}

void compact_place_fini(struct compact_place *place)
{
    mem_free(place->json);
    place->json = NULL;
}

/* --- Any value --- */

static bool compact_string(struct entry *entry, struct mem_moves *moves)
{
    if (entry->encoding == STRING_BLOB && !blob_is_shared(entry_pointer(entry)))
        move_frame(entry, moves);
    return false;
}

bool compact_value(struct entry *entry, struct compact_place *place, size_t items, struct mem_moves *moves)
{
    switch ((enum entry_type)entry->type) {
    case ENTRY_STRING:
        return compact_string(entry, moves);
    case ENTRY_HASH:
        return compact_hash(entry, place, items, moves);
    case ENTRY_SET:
        return compact_set(entry, place, items, moves);
    case ENTRY_ZSET:
        return compact_zset(entry, place, items, moves);
    case ENTRY_LIST:
        return compact_list(entry, place, items, moves);
    case ENTRY_STREAM:
        return compact_stream(entry, place, items, moves);
    case ENTRY_JSON:
        return compact_document(entry, place, items, moves);
    case ENTRY_TYPES:
        break;
    }
    return false;
}
