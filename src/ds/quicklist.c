/*
 * Quicklist: making and freeing, both ends. What edits the middle is in quicklist_edit.c, what reads in
 * quicklist_read.c, what compresses in quicklist_compress.c; the blocks that hold the nodes are in quicklist_block.c.
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
    STAGE_COUNT = 64,      /* elements; where nodes hold no more, the first is like any other */
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

struct quicklist *quicklist_create(size_t depth)
{
    struct quicklist *list = mem_zalloc(sizeof *list);
    list->depth = depth < QUICKLIST_DEPTH_MAX ? (uint16_t)depth : QUICKLIST_DEPTH_MAX;
    return list;
}

void quicklist_node_free(struct quicklist_node *node)
{
    if (node->compressed)
        mem_free(node->lzf);
    else if (node->plain)
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
    struct quicklist *copy = quicklist_create(list->depth);
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot)) {
        fiber_breathe(NODE_COST);
        struct quicklist_node node = *spot_node(spot);
        if (node.compressed) {
            node.lzf = mem_dup(node.lzf, sizeof *node.lzf + node.lzf->len);
        } else if (node.plain) {
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

size_t quicklist_depth(const struct quicklist *list)
{
    return list->depth;
}

size_t quicklist_bytes(const struct quicklist *list)
{
    size_t bytes = 0;
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot))
        bytes += node_bytes(spot_node(spot));
    return bytes;
}

static size_t node_memory(const struct quicklist_node *node)
{
    if (node->compressed)
        return mem_usable_size(node->lzf);
    return node->plain ? mem_usable_size(node->blob) : listpack_memory(node->pack);
}

/* Of `nodes` nodes from the one at `spot` on, and where the next one is. */
static size_t nodes_memory(struct quicklist_spot *spot, size_t nodes)
{
    size_t memory = 0, sampled = 0;
    for (; sampled < nodes && sampled < MEMORY_SAMPLES; sampled++) {
        memory += node_memory(spot_node(*spot));
        *spot = spot_next(*spot);
    }
    return sampled < nodes ? (size_t)((double)memory / (double)sampled * (double)nodes) : memory;
}

/* The nodes that are not compressed are no sample of the others. */
size_t quicklist_memory(const struct quicklist *list)
{
    size_t open = list->depth + 1u, nodes = 0;
    struct quicklist_spot spot = spot_first(list);
    if (!list->depth || list->nodes <= 2 * open) {
        nodes = nodes_memory(&spot, list->nodes);
    } else {
        nodes = nodes_memory(&spot, open);
        spot = spot_from(list, QUICKLIST_HEAD, open);
        nodes += nodes_memory(&spot, list->nodes - 2 * open);
        spot = spot_from(list, QUICKLIST_TAIL, open - 1);
        nodes += nodes_memory(&spot, open);
    }
    size_t share = sizeof(struct quicklist_node) + sizeof(struct quicklist_block) / BLOCK_NODES;
    return mem_usable_size(list) + list->nodes * share + nodes;
}

static struct quicklist_node packed(unsigned char *pack, size_t count)
{
    return (struct quicklist_node){ .pack = pack, .count = (uint32_t)count };
}

struct quicklist *quicklist_from_listpack(unsigned char *pack, size_t depth)
{
    struct quicklist *list = quicklist_create(depth);
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
    quicklist_settle_ends(list);
}

unsigned char *quicklist_into_listpack(struct quicklist *list, const struct quicklist_limits *limits)
{
    if (list->nodes > SMALL_NODES || list->count > limits->count / 2)
        return NULL;
    size_t bytes = 0;
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot)) {
        if (spot_node(spot)->plain)
            return NULL;
        bytes += node_bytes(spot_node(spot));
    }
    if (list->count == 0 || bytes > limits->bytes / (limits->by_count ? 1 : 2))
        return NULL;
    while (list->nodes > 1) {
        bool done = quicklist_merge(list, spot_first(list), spot_next(spot_first(list)), limits, 1);
        ASSERT(done);
    }
    node_open(spot_node(spot_first(list)));
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
    return quicklist_limits_allow(limits, node_bytes(node) + len + ENTRY_ESTIMATE, node->count + (size_t)1);
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
    size_t bytes = node_bytes(next), count = next->count, fitting = 0;
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
    node_open(next);
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
    node->stage = true;
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
    struct quicklist_node first = node_make(item, capacity);
    first.stage = !item.blob && limits->count > STAGE_COUNT;
    spot_insert(list, spot_first(list), first);
    quicklist_settle_ends(list);
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
    quicklist_settle_ends(list);
}

void quicklist_push(
    struct quicklist *list, enum quicklist_end end, struct quicklist_item item, const struct quicklist_limits *limits)
{
    if (end == QUICKLIST_HEAD)
        push_head(list, item, limits);
    else
        push_tail(list, item, limits);
}

/* --- Checking --- */

static const char *check_node(const struct quicklist_node *node)
{
    if (node->count == 0)
        return "a node of a list is empty";
    struct blob *scratch = NULL;
    if (node->plain) {
        if (node->count != 1 || !(node->compressed || (node->blob && node->blob->refs)))
            return "a plain node of a list is broken";
        node_text(node, &scratch);
        blob_unref(scratch);
        return NULL;
    }
    const unsigned char *pack = node_pack(node, &scratch);
    bool sound = listpack_validate(pack, node_bytes(node), NULL, NULL), counts = listpack_count(pack) == node->count;
    blob_unref(scratch);
    return !sound ? "a listpack of a list is broken" : counts ? NULL : "a node of a list counts wrong";
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
    return count == list->count && nodes == list->nodes ? quicklist_check_compression(list) : "a list counts wrong";
}
