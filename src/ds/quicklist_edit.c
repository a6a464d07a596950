/*
 * Editing a quicklist in the middle: inserting, replacing, deleting ranges. By value: quicklist_value.c.
 *
 * An insertion into a full node goes to the neighbour if it is at the border, and splits the node otherwise; the halves
 * are then merged with their neighbours where the limits allow. Where elements go, neighbours that together fill less
 * than half a node are merged. So a list never has many more nodes than its elements need, whatever is done to it.
 */

#include "base/assert.h"
#include "base/mem.h"
#include "ds/listpack.h"
#include "quicklist_priv.h"

bool quicklist_merge(struct quicklist *list, struct quicklist_spot left, struct quicklist_spot right,
    const struct quicklist_limits *limits, size_t share)
{
    if (!left.block || !right.block)
        return false;
    struct quicklist_node *into = spot_node(left), *from = spot_node(right);
    if (into->plain || from->plain)
        return false;
    size_t bytes = node_bytes(into) - 1 + node_bytes(from) - LISTPACK_HEADER;
    size_t count = (size_t)into->count + from->count;
    if (bytes > limits->bytes / share || count > limits->count / share)
        return false;
    node_open(into);
    node_open(from);
    bool done = listpack_concat(&into->pack, from->pack);
    ASSERT(done);
    into->stage = false;
    quicklist_node_free(from);
    ptrdiff_t moved = from->count;
    spot_remove(list, right);
    spot_count(list, left, moved);
    return true;
}

/* Adds an element to the node's listpack, before its element `index`. */
static void insert_into_node(struct quicklist *list, struct quicklist_spot spot, size_t index, struct bytes text)
{
    struct quicklist_node *node = spot_node(spot);
    node_open(node);
    uint32_t at = index == node->count ? listpack_end(node->pack) : listpack_seek(node->pack, (int64_t)index);
    at = listpack_insert(&node->pack, at, text);
    ASSERT(at);
    spot_count(list, spot, 1);
}

static bool can_take(struct quicklist_spot spot, struct quicklist_item item, const struct quicklist_limits *limits)
{
    return spot.block && !item.blob && node_has_room(spot_node(spot), item.text.len, limits);
}

/* Moves the node's elements from `index` on to a node behind it; returns where that is. */
static struct quicklist_spot split(struct quicklist *list, struct quicklist_spot spot, size_t index)
{
    struct quicklist_node *node = spot_node(spot), right = { .count = node->count - (uint32_t)index };
    node_open(node);
    right.pack = listpack_split(&node->pack, index);
    ASSERT(right.pack);
    spot_count(list, spot, -(ptrdiff_t)right.count);
    return spot_insert(list, (struct quicklist_spot){ spot.block, spot.node + 1 }, right);
}

/* Puts the element between two neighbours: into one that has room, or a node of its own. */
static void insert_between(struct quicklist *list, struct quicklist_spot left, struct quicklist_spot right,
    struct quicklist_item item, const struct quicklist_limits *limits)
{
    if (can_take(left, item, limits))
        insert_into_node(list, left, spot_node(left)->count, item.text);
    else if (can_take(right, item, limits))
        insert_into_node(list, right, 0, item.text);
    else
        spot_insert(list, right, node_make(item, 0));
}

/* Between two elements. */
static void insert_inside(
    struct quicklist *list, size_t index, struct quicklist_item item, const struct quicklist_limits *limits)
{
    size_t within = index;
    struct quicklist_spot spot = spot_seek(list, &within);
    if (can_take(spot, item, limits)) {
        insert_into_node(list, spot, within, item.text);
        return;
    }
    if (within == 0) {
        insert_between(list, spot_prev(spot), spot, item, limits);
        return;
    }
    spot = split(list, spot, within);
    insert_between(list, spot_prev(spot), spot, item, limits);
    /* What stands before the new element, and what behind it, may fit into their other neighbours. */
    within = index - 1;
    spot = spot_seek(list, &within);
    quicklist_merge(list, spot_prev(spot), spot, limits, 1);
    if (index + 1 < list->count) {
        within = index + 1;
        spot = spot_seek(list, &within);
        quicklist_merge(list, spot, spot_next(spot), limits, 1);
    }
}

void quicklist_insert(
    struct quicklist *list, size_t index, struct quicklist_item item, const struct quicklist_limits *limits)
{
    ASSERT(index <= list->count);
    if (index == 0 || index == list->count) {
        quicklist_push(list, index == 0 ? QUICKLIST_HEAD : QUICKLIST_TAIL, item, limits);
        return;
    }
    size_t nodes = list->nodes;
    insert_inside(list, index, item, limits);
    quicklist_settle_around(list, index, nodes);
}

/* True if the element could be replaced where it is. */
static bool replace_in_place(struct quicklist *list, struct quicklist_spot spot, size_t within,
    struct quicklist_item item, const struct quicklist_limits *limits)
{
    struct quicklist_node *node = spot_node(spot);
    if (item.blob && node->plain) {
        quicklist_node_free(node);
        node->blob = item.blob;
        node->compressed = node->tried = false;
        quicklist_settle_node(list, spot);
        return true;
    }
    if (!item.blob && !node->plain) {
        node_open(node);
        uint32_t at = listpack_seek(node->pack, (int64_t)within), old = listpack_entry_size(node->pack, at);
        /* The only element may also grow beyond what its text needs, as long as it is not large. */
        if (item.text.len <= old || node->count == 1 || node_has_room(node, item.text.len - old, limits)) {
            bool done = listpack_replace(&node->pack, at, item.text);
            ASSERT(done);
            quicklist_settle_node(list, spot);
            return true;
        }
    }
    return false;
}

void quicklist_replace(
    struct quicklist *list, size_t index, struct quicklist_item item, const struct quicklist_limits *limits)
{
    size_t within = index;
    struct quicklist_spot spot = spot_seek(list, &within);
    if (replace_in_place(list, spot, within, item, limits))
        return;
    quicklist_insert(list, index, item, limits);
    quicklist_delete(list, index + 1, 1, limits);
}

/* Merges what stands around the element `index`, in front of which elements went, where it is sparse. */
static void tidy(struct quicklist *list, size_t index, const struct quicklist_limits *limits)
{
    if (index == 0 || index >= list->count)
        return;
    size_t within = index;
    struct quicklist_spot spot = spot_seek(list, &within);
    if (!quicklist_merge(list, spot_prev(spot), spot, limits, 2))
        quicklist_merge(list, spot, spot_next(spot), limits, 2);
    within = index;
    block_merge_sparse(list, spot_seek(list, &within).block);
}

struct quicklist *quicklist_delete(
    struct quicklist *list, size_t index, size_t count, const struct quicklist_limits *limits)
{
    ASSERT(index <= list->count && count <= list->count - index);
    struct quicklist *rest = NULL;
    size_t within = index, nodes = list->nodes;
    if (index == 0 && count == 1)
        quicklist_split_stage(list);
    struct quicklist_spot spot = count ? spot_seek(list, &within) : (struct quicklist_spot){ 0 };
    while (count > 0) {
        struct quicklist_block *block = spot.block;
        if (spot.node == 0 && within == 0 && count >= block->count && block->used > 1) {
            count -= block->count;
            spot = (struct quicklist_spot){ block->next, 0 };
            block_unlink(list, block);
            if (!rest)
                rest = quicklist_create(0);
            block_link_last(rest, block);
            continue;
        }
        struct quicklist_node *node = spot_node(spot);
        size_t gone = node->count - within < count ? node->count - within : count;
        if (gone == node->count) {
            quicklist_node_free(node);
            spot = spot_remove(list, spot);
        } else {
            node_open(node);
            uint32_t at = within ? listpack_seek(node->pack, (int64_t)within) : (uint32_t)LISTPACK_HEADER;
            listpack_delete_range(&node->pack, at, gone);
            bool to_end = within + gone == node->count;
            spot_count(list, spot, -(ptrdiff_t)gone);
            spot = to_end ? spot_next(spot) : spot;
        }
        within = 0;
        count -= gone;
    }
    tidy(list, index, limits);
    quicklist_settle_around(list, index, nodes);
    return rest;
}
