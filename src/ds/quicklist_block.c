/*
 * The blocks of a quicklist: an array of nodes each, chained.
 *
 * A block's nodes lie anywhere in its array, so that both ends can grow and shrink without moving the others; in the
 * middle the shorter part is moved. A full block is split in halves when a node comes into its middle; at its ends the
 * neighbour, or a new block, takes the node. So lists that grow at an end fill their blocks.
 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "quicklist_priv.h"

enum { BLOCK_SPARSE = BLOCK_NODES / 2 }; /* neighbours with fewer nodes than this together are merged */

static size_t block_size(unsigned cap)
{
    return sizeof(struct quicklist_block) + cap * sizeof(struct quicklist_node);
}

/* An empty block whose nodes will begin at `first`. */
static struct quicklist_block *block_create(unsigned cap, unsigned first)
{
    struct quicklist_block *block = mem_alloc(block_size(cap));
    *block = (struct quicklist_block){ .first = (uint16_t)first, .cap = (uint16_t)cap };
    return block;
}

static void block_link_between(
    struct quicklist *list, struct quicklist_block *prev, struct quicklist_block *block, struct quicklist_block *next)
{
    block->prev = prev;
    block->next = next;
    *(prev ? &prev->next : &list->head) = block;
    *(next ? &next->prev : &list->tail) = block;
}

void block_unlink(struct quicklist *list, struct quicklist_block *block)
{
    *(block->prev ? &block->prev->next : &list->head) = block->next;
    *(block->next ? &block->next->prev : &list->tail) = block->prev;
    list->count -= block->count;
    list->nodes -= block->used;
}

void block_link_last(struct quicklist *list, struct quicklist_block *block)
{
    block_link_between(list, list->tail, block, NULL);
    list->count += block->count;
    list->nodes += block->used;
}

/* Moves to twice the room and a little, so that the sizes are powers of two. */
static struct quicklist_block *block_grow(struct quicklist *list, struct quicklist_block *block)
{
    unsigned cap = block->cap * 2u + 2;
    block = mem_realloc(block, block_size(cap < BLOCK_NODES ? cap : BLOCK_NODES));
    block->cap = (uint16_t)(cap < BLOCK_NODES ? cap : BLOCK_NODES);
    block_link_between(list, block->prev, block, block->next);
    return block;
}

/* Moves the block's nodes from `from` on to the end of another. */
static void block_move_nodes(struct quicklist_block *to, struct quicklist_block *block, unsigned from)
{
    unsigned moved = block->used - from;
    const struct quicklist_node *nodes = &block->nodes[block->first + from];
    memcpy(&to->nodes[to->first + to->used], nodes, moved * sizeof *nodes);
    size_t count = 0;
    for (unsigned i = 0; i < moved; i++)
        count += nodes[i].count;
    to->used = (uint16_t)(to->used + moved);
    to->count += count;
    block->used = (uint16_t)from;
    block->count -= count;
}

/* A spot that means the same place as `spot`, of a full block, in a block that has room. */
static struct quicklist_spot find_room(struct quicklist *list, struct quicklist_spot spot)
{
    struct quicklist_block *block = spot.block, *next = block->next, *prev = block->prev, *other;
    if (spot.node == block->used) {
        if (next && next->used < BLOCK_NODES)
            return (struct quicklist_spot){ next, 0 };
        other = block_create(BLOCK_NODES, 0);
        block_link_between(list, block, other, next);
        return (struct quicklist_spot){ other, 0 };
    }
    if (spot.node == 0) {
        if (prev && prev->used < BLOCK_NODES)
            return (struct quicklist_spot){ prev, prev->used };
        other = block_create(BLOCK_NODES, BLOCK_NODES);
        block_link_between(list, prev, other, block);
        return (struct quicklist_spot){ other, 0 };
    }
    unsigned half = block->used / 2u;
    other = block_create(BLOCK_NODES, 0);
    block_move_nodes(other, block, half);
    block_link_between(list, block, other, next);
    if (spot.node <= half)
        return spot;
    return (struct quicklist_spot){ other, spot.node - half };
}

/* Makes room for one more node in front of `index`. The block is not full. */
static void open_gap(struct quicklist_block *block, unsigned index)
{
    struct quicklist_node *nodes = &block->nodes[block->first];
    unsigned behind = block->used - index;
    bool room_behind = block->first + block->used < block->cap;
    if (block->first > 0 && (index < behind || !room_behind)) {
        memmove(nodes - 1, nodes, index * sizeof *nodes);
        block->first--;
    } else {
        memmove(nodes + index + 1, nodes + index, behind * sizeof *nodes);
    }
    block->used++;
}

struct quicklist_spot spot_insert(struct quicklist *list, struct quicklist_spot spot, struct quicklist_node node)
{
    if (!spot.block) {
        spot.block = block_create(BLOCK_NODES_MIN, BLOCK_NODES_MIN / 2);
        block_link_between(list, NULL, spot.block, NULL);
    } else if (spot.block->used == BLOCK_NODES) {
        spot = find_room(list, spot);
    }
    if (spot.block->used == spot.block->cap)
        spot.block = block_grow(list, spot.block);
    open_gap(spot.block, spot.node);
    *spot_node(spot) = node;
    spot.block->count += node.count;
    list->count += node.count;
    list->nodes++;
    return spot;
}

struct quicklist_spot spot_remove(struct quicklist *list, struct quicklist_spot spot)
{
    struct quicklist_block *block = spot.block, *next = block->next;
    struct quicklist_node *nodes = &block->nodes[block->first];
    unsigned behind = block->used - spot.node - 1;
    uint32_t count = nodes[spot.node].count;
    if (block->used == 1) {
        block_unlink(list, block);
        mem_free_sized(block, block_size(block->cap));
        return (struct quicklist_spot){ next, 0 };
    }
    if (spot.node < behind) {
        memmove(nodes + 1, nodes, spot.node * sizeof *nodes);
        block->first++;
    } else {
        memmove(nodes + spot.node, nodes + spot.node + 1, behind * sizeof *nodes);
    }
    block->used--;
    block->count -= count;
    list->count -= count;
    list->nodes--;
    if (behind == 0)
        return (struct quicklist_spot){ next, 0 };
    return spot;
}

/* Appends the nodes of `from`, which goes, to those of `into`; returns where that is now. */
static struct quicklist_block *block_merge(
    struct quicklist *list, struct quicklist_block *into, struct quicklist_block *from)
{
    unsigned used = into->used + from->used;
    if (into->first + used > into->cap) {
        memmove(into->nodes, &into->nodes[into->first], into->used * sizeof into->nodes[0]);
        into->first = 0;
    }
    while (used > into->cap)
        into = block_grow(list, into);
    block_unlink(list, from);
    list->count += from->count;
    list->nodes += from->used;
    block_move_nodes(into, from, 0);
    mem_free_sized(from, block_size(from->cap));
    return into;
}

static bool are_sparse(const struct quicklist_block *a, const struct quicklist_block *b)
{
    return a && b && a->used + b->used < BLOCK_SPARSE;
}

void block_merge_sparse(struct quicklist *list, struct quicklist_block *block)
{
    if (are_sparse(block, block->next))
        block_merge(list, block, block->next);
    else if (are_sparse(block->prev, block))
        block_merge(list, block->prev, block);
}

void blocks_merge_sparse(struct quicklist *list)
{
    for (struct quicklist_block *block = list->head; block; block = block->next)
        while (are_sparse(block, block->next))
            block = block_merge(list, block, block->next);
}

struct quicklist_spot spot_from(const struct quicklist *list, enum quicklist_end end, size_t distance)
{
    struct quicklist_block *block = end == QUICKLIST_HEAD ? list->head : list->tail;
    while (block && distance >= block->used) {
        distance -= block->used;
        block = end == QUICKLIST_HEAD ? block->next : block->prev;
    }
    unsigned node = (unsigned)distance;
    return (struct quicklist_spot){ block, block && end == QUICKLIST_TAIL ? block->used - 1u - node : node };
}

struct quicklist_spot spot_seek(const struct quicklist *list, size_t *index)
{
    DASSERT(*index < list->count);
    struct quicklist_block *block;
    if (*index < list->count / 2) {
        for (block = list->head; *index >= block->count; block = block->next)
            *index -= block->count;
    } else {
        size_t before = list->count - list->tail->count;
        for (block = list->tail; before > *index; before -= block->count)
            block = block->prev;
        *index -= before;
    }
    const struct quicklist_node *nodes = &block->nodes[block->first];
    unsigned node = 0;
    for (; *index >= nodes[node].count; node++)
        *index -= nodes[node].count;
    return (struct quicklist_spot){ block, node };
}
