/*
 * Quicklist: making and freeing, both ends, reading. What edits the middle is in quicklist_edit.c, the blocks that
 * hold the nodes are in quicklist_block.c.
 *
 * A node at the tail of a list of some length is allocated as large as its neighbour has become, so that pushes seldom
 * move it; what it did not need is given back when the next one is begun.
 *
 * A push or pop in front of a listpack moves all of it, so at the head this is done to a small node, the stage, only: a
 * full stage is put in front of the next node, as much of it as fits, and of a large first node a stage is split off
 * when elements are popped from it.
 */
#include "ds/quicklist.h"

#include <stdint.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "ds/listpack.h"
#include "quicklist_priv.h"

enum {
    SAFE_BYTES = 8192,     /* of a node, where a number of elements is the limit */
    ENTRY_ESTIMATE = 8,    /* what an element is thought to need beside its text */
    ROOM_AHEAD_NODES = 4,  /* lists of so many nodes may have empty room at their ends */
    MEMORY_SAMPLES = 1024, /* nodes that are looked at for the memory of a list */
    STAGE_BYTES = 1024,    /* of the first node; beyond, nothing is pushed to it */
    SMALL_NODES = 4,       /* of a list that may be small enough for a listpack */
};

struct quicklist_limits quicklist_limits(int64_t setting)
{
    static const size_t sizes[] = { 4096, 8192, 16384, 32768, 65536 };
    if (setting >= 0)
        return (struct quicklist_limits){ SAFE_BYTES, setting > 0 ? (size_t)setting : 1, true };
    return (struct quicklist_limits){ sizes[setting < -5 ? 4 : -setting - 1], SIZE_MAX, false };
}

/* --- Making and freeing --- */

struct quicklist *quicklist_create(void)
{
    return mem_zalloc(sizeof(struct quicklist));
}

void quicklist_node_free(struct quicklist_node *node)
{
    if (node->plain)
        blob_unref(node->blob);
    else
        listpack_destroy(node->pack);
}

bool quicklist_drain(struct quicklist *list, size_t nodes)
{
    for (; nodes > 0 && list->head; nodes--) {
        quicklist_node_free(spot_node(spot_first(list)));
        spot_remove(list, spot_first(list));
    }
    return list->head != NULL;
}

void quicklist_destroy(struct quicklist *list)
{
    if (!list)
        return;
    quicklist_drain(list, SIZE_MAX);
    mem_free_sized(list, sizeof *list);
}

enum { NODE_COST = 200 }; /* of copying, for fiber_breathe */

struct quicklist *quicklist_copy(const struct quicklist *list)
{
    struct quicklist *copy = quicklist_create();
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot)) {
        fiber_breathe(NODE_COST);
        struct quicklist_node node = *spot_node(spot);
        if (node.plain) {
            blob_ref(node.blob);
        } else {
            node.pack = listpack_copy(node.pack);
            ASSERT(node.pack);
        }
        struct quicklist_block *tail = copy->tail;
        spot_insert(copy, (struct quicklist_spot){ tail, tail ? tail->used : 0 }, node);
    }
    return copy;
}

size_t quicklist_count(const struct quicklist *list)
{
    return list->count;
}

size_t quicklist_node_count(const struct quicklist *list)
{
    return list->nodes;
}

size_t quicklist_bytes(const struct quicklist *list)
{
    size_t bytes = 0;
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot)) {
        const struct quicklist_node *node = spot_node(spot);
        bytes += node->plain ? node->blob->len : listpack_bytes(node->pack);
    }
    return bytes;
}

size_t quicklist_memory(const struct quicklist *list)
{
    size_t nodes = 0, sampled = 0;
    for (struct quicklist_spot spot = spot_first(list); spot.block && sampled < MEMORY_SAMPLES;
         spot = spot_next(spot)) {
        const struct quicklist_node *node = spot_node(spot);
        nodes += node->plain ? mem_usable_size(node->blob) : listpack_memory(node->pack);
        sampled++;
    }
    if (sampled < list->nodes)
        nodes = (size_t)((double)nodes / (double)sampled * (double)list->nodes);
    size_t share = sizeof(struct quicklist_node) + sizeof(struct quicklist_block) / BLOCK_NODES;
    return mem_usable_size(list) + list->nodes * share + nodes;
}

static struct quicklist_node packed(unsigned char *pack, size_t count)
{
    return (struct quicklist_node){ .pack = pack, .count = (uint32_t)count };
}

struct quicklist *quicklist_from_listpack(unsigned char *pack)
{
    struct quicklist *list = quicklist_create();
    ASSERT(!listpack_is_empty(pack));
    spot_insert(list, spot_first(list), packed(pack, listpack_count(pack)));
    return list;
}

void quicklist_push_listpack(struct quicklist *list, unsigned char *pack)
{
    ASSERT(!listpack_is_empty(pack));
    struct quicklist_spot end = spot_last(list);
    if (end.block)
        end.node++;
    spot_insert(list, end, packed(pack, listpack_count(pack)));
}

unsigned char *quicklist_into_listpack(struct quicklist *list, const struct quicklist_limits *limits)
{
    if (list->nodes > SMALL_NODES || list->count > limits->count / 2)
        return NULL;
    size_t bytes = 0;
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot)) {
        if (spot_node(spot)->plain)
            return NULL;
        bytes += listpack_bytes(spot_node(spot)->pack);
    }
    if (list->count == 0 || bytes > limits->bytes / (limits->by_count ? 1 : 2))
        return NULL;
    while (list->nodes > 1) {
        bool done = quicklist_merge(list, spot_first(list), spot_next(spot_first(list)), limits, 1);
        ASSERT(done);
    }
    unsigned char *pack = spot_node(spot_first(list))->pack;
    spot_remove(list, spot_first(list));
    quicklist_destroy(list);
    return pack;
}

/* --- Both ends --- */

bool node_has_room(const struct quicklist_node *node, size_t len, const struct quicklist_limits *limits)
{
    if (node->plain || len > limits->bytes)
        return false;
    return quicklist_limits_allow(limits, listpack_bytes(node->pack) + len + ENTRY_ESTIMATE, node->count + (size_t)1);
}

struct quicklist_node node_make(struct quicklist_item item, size_t capacity)
{
    if (item.blob)
        return (struct quicklist_node){ .blob = item.blob, .count = 1, .plain = true };
    struct quicklist_node node = packed(listpack_create(capacity), 1);
    uint32_t at = listpack_append(&node.pack, item.text);
    ASSERT(at);
    return node;
}

/* How many of the last elements of `pack` may be put in front of those of `next`. */
static size_t count_that_fit(
    const struct quicklist_node *node, const struct quicklist_node *next, const struct quicklist_limits *limits)
{
    size_t bytes = listpack_bytes(next->pack), count = next->count, fitting = 0;
    uint32_t end = listpack_end(node->pack);
    for (uint32_t at = listpack_prev(node->pack, end); at; at = listpack_prev(node->pack, at)) {
        if (!quicklist_limits_allow(limits, bytes + (end - at), count + fitting + 1))
            break;
        fitting++;
    }
    return fitting;
}

/* Empties the full stage into the node behind it, as far as that has room. */
static void unload_stage(struct quicklist *list, const struct quicklist_limits *limits)
{
    struct quicklist_spot stage = spot_first(list), behind = spot_next(stage);
    if (!behind.block || spot_node(behind)->plain || quicklist_merge(list, stage, behind, limits, 1))
        return;
    struct quicklist_node *node = spot_node(stage), *next = spot_node(behind);
    size_t moved = count_that_fit(node, next, limits);
    if (moved == 0)
        return;
    unsigned char *joined = listpack_split(&node->pack, node->count - moved);
    bool done = joined && listpack_concat(&joined, next->pack);
    ASSERT(done);
    listpack_destroy(next->pack);
    next->pack = joined;
    spot_count(list, stage, -(ptrdiff_t)moved);
    spot_count(list, behind, (ptrdiff_t)moved);
}

void quicklist_split_stage(struct quicklist *list)
{
    struct quicklist_spot first = spot_first(list);
    struct quicklist_node *node = spot_node(first), rest = { 0 };
    size_t bytes = node->plain ? 0 : listpack_bytes(node->pack);
    if (bytes <= (size_t)2 * STAGE_BYTES || node->count < 4)
        return;
    size_t kept = (size_t)node->count * (STAGE_BYTES / 2) / bytes + 1;
    rest.count = node->count - (uint32_t)kept;
    rest.pack = listpack_split(&node->pack, kept);
    ASSERT(rest.pack);
    spot_count(list, first, -(ptrdiff_t)rest.count);
    first.node++;
    spot_insert(list, first, rest);
}

static void push_head(struct quicklist *list, struct quicklist_item item, const struct quicklist_limits *limits)
{
    struct quicklist_spot spot = spot_first(list);
    struct quicklist_node *node = spot.block ? spot_node(spot) : NULL;
    if (node && !item.blob && node_has_room(node, item.text.len, limits) && listpack_bytes(node->pack) < STAGE_BYTES) {
        uint32_t at = listpack_prepend(&node->pack, item.text);
        ASSERT(at);
        spot_count(list, spot, 1);
        return;
    }
    if (node && !node->plain)
        unload_stage(list, limits);
    size_t capacity = list->nodes < ROOM_AHEAD_NODES || limits->by_count ? 0 : STAGE_BYTES;
    spot_insert(list, spot_first(list), node_make(item, capacity));
}

static void push_tail(struct quicklist *list, struct quicklist_item item, const struct quicklist_limits *limits)
{
    struct quicklist_spot spot = spot_last(list);
    size_t capacity = 0;
    if (spot.block) {
        struct quicklist_node *node = spot_node(spot);
        if (!item.blob && node_has_room(node, item.text.len, limits)) {
            uint32_t at = listpack_append(&node->pack, item.text);
            ASSERT(at);
            spot_count(list, spot, 1);
            return;
        }
        if (!node->plain) {
            listpack_trim(&node->pack);
            if (list->nodes >= ROOM_AHEAD_NODES)
                capacity = listpack_bytes(node->pack);
        }
        spot.node++;
    }
    spot_insert(list, spot, node_make(item, capacity));
}

void quicklist_push(
    struct quicklist *list, enum quicklist_end end, struct quicklist_item item, const struct quicklist_limits *limits)
{
    if (end == QUICKLIST_HEAD)
        push_head(list, item, limits);
    else
        push_tail(list, item, limits);
}

/* --- Reading --- */

static void place_at_spot(struct quicklist_place *place, struct quicklist_spot spot, size_t index)
{
    const struct quicklist_node *node = spot_node(spot);
    place->block = spot.block;
    place->node = spot.node;
    place->pack = node->plain ? NULL : node->pack;
    place->blob = node->plain ? node->blob : NULL;
    place->at = 0;
    if (!node->plain)
        place->at = index == 0 ? (uint32_t)LISTPACK_HEADER : listpack_seek(node->pack, (int64_t)index);
}

bool quicklist_seek(const struct quicklist *list, size_t index, struct quicklist_place *place)
{
    if (index >= list->count)
        return false;
    struct quicklist_spot spot = spot_seek(list, &index);
    place_at_spot(place, spot, index);
    return true;
}

bool quicklist_next_node(struct quicklist_place *place)
{
    if (!place->block)
        return false;
    struct quicklist_spot spot = spot_next((struct quicklist_spot){ place->block, place->node });
    if (!spot.block)
        return false;
    place_at_spot(place, spot, 0);
    return true;
}

bool quicklist_prev_node(struct quicklist_place *place)
{
    if (!place->block)
        return false;
    struct quicklist_spot spot = spot_prev((struct quicklist_spot){ place->block, place->node });
    if (!spot.block)
        return false;
    place_at_spot(place, spot, spot_node(spot)->count - 1);
    return true;
}

/* --- Checking --- */

static const char *check_node(const struct quicklist_node *node)
{
    if (node->count == 0)
        return "a node of a list is empty";
    if (node->plain)
        return node->count == 1 && node->blob && node->blob->refs ? NULL : "a plain node of a list is broken";
    if (!listpack_validate(node->pack, listpack_bytes(node->pack), NULL, NULL))
        return "a listpack of a list is broken";
    return listpack_count(node->pack) == node->count ? NULL : "a node of a list counts wrong";
}

const char *quicklist_check(const struct quicklist *list)
{
    size_t count = 0, nodes = 0;
    const struct quicklist_block *prev = NULL;
    for (const struct quicklist_block *block = list->head; block; prev = block, block = block->next) {
        size_t in_block = 0;
        if (block->prev != prev || block->used == 0 || block->first + block->used > block->cap ||
            block->cap > BLOCK_NODES)
            return "a block of a list is broken";
        for (unsigned i = 0; i < block->used; i++) {
            const struct quicklist_node *node = &block->nodes[block->first + i];
            const char *fault = check_node(node);
            if (fault)
                return fault;
            in_block += node->count;
        }
        if (in_block != block->count)
            return "a block of a list counts wrong";
        count += in_block;
        nodes += block->used;
    }
    if (list->tail != prev)
        return "a list does not know its last block";
    return count == list->count && nodes == list->nodes ? NULL : "a list counts wrong";
}
