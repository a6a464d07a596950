/*
 * Quicklists: finding and removing elements by value.
 *
 * What is to be removed from a long list is found first, and breathes: the nodes that have something of it are noted.
 * If they are few they are edited in place. Otherwise a list is made of all that stays, nodes that keep everything
 * being copied as they are, and the two lists exchange their contents in the end. So whoever looks at the list
 * meanwhile finds it whole, and the change is a short step whatever is removed.
 */
#include <string.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "ds/listpack.h"
#include "quicklist_priv.h"

enum {
    COPY_COST = 60, /* of a node, for fiber_breathe */
    LOOK_COST = 20, /* of a node, and what its elements cost */
};

/* What looking through the node's elements costs, for fiber_breathe: some 4 ns each. */
static inline unsigned breath_of(const struct quicklist_node *node)
{
    return LOOK_COST + node->count / 2;
}

size_t quicklist_find_in_listpack(const unsigned char *pack, struct bytes text)
{
    uint32_t found = listpack_find(pack, LISTPACK_HEADER, text, 0);
    if (!found)
        return SIZE_MAX;
    size_t index = 0;
    for (uint32_t at = LISTPACK_HEADER; at < found; at = listpack_after(pack, at))
        index++;
    return index;
}

size_t quicklist_find(const struct quicklist *list, struct bytes text)
{
    size_t before = 0;
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot)) {
        const struct quicklist_node *node = spot_node(spot);
        size_t index = SIZE_MAX;
        fiber_breathe(breath_of(node));
        if (!node->plain)
            index = quicklist_find_in_listpack(node->pack, text);
        else if (bytes_equal(blob_bytes(node->blob), text))
            index = 0;
        if (index != SIZE_MAX)
            return before + index;
        before += node->count;
    }
    return SIZE_MAX;
}

/* The places of the elements that read as `text`, ascending; at most `max`, the last ones if `from` is the tail. */
static size_t find_all(
    const unsigned char *pack, enum quicklist_end from, struct bytes text, size_t max, uint32_t *places)
{
    size_t found = 0;
    uint32_t at = listpack_find(pack, LISTPACK_HEADER, text, 0);
    for (; at && (found < max || from == QUICKLIST_TAIL); at = listpack_find(pack, listpack_after(pack, at), text, 0))
        places[found++] = at;
    if (found <= max)
        return found;
    memmove(places, places + found - max, max * sizeof *places);
    return max;
}

/* The same for a listpack of `count` elements. */
static size_t remove_from_pack(
    unsigned char **pack, size_t count, enum quicklist_end from, struct bytes text, size_t max)
{
    if (!listpack_find(*pack, LISTPACK_HEADER, text, 0))
        return 0;
    uint32_t *places = mem_alloc(count * sizeof *places);
    size_t found = find_all(*pack, from, text, max, places);
    listpack_delete_batch(pack, places, found);
    mem_free(places);
    return found;
}

size_t quicklist_remove_in_listpack(unsigned char **pack, enum quicklist_end from, struct bytes text, size_t max)
{
    return remove_from_pack(pack, listpack_count(*pack), from, text, max);
}

static size_t remove_from_node(struct quicklist_node *node, enum quicklist_end from, struct bytes text, size_t max)
{
    if (node->plain)
        return bytes_equal(blob_bytes(node->blob), text);
    return remove_from_pack(&node->pack, node->count, from, text, max);
}

static struct quicklist_spot spot_from(const struct quicklist *list, enum quicklist_end from)
{
    return from == QUICKLIST_HEAD ? spot_first(list) : spot_last(list);
}

static struct quicklist_spot spot_onward(struct quicklist_spot spot, enum quicklist_end from)
{
    return from == QUICKLIST_HEAD ? spot_next(spot) : spot_prev(spot);
}

/* How many elements of the node read as `text`, up to `max`. */
static size_t count_in_node(const struct quicklist_node *node, struct bytes text, size_t max)
{
    if (node->plain)
        return bytes_equal(blob_bytes(node->blob), text);
    size_t found = 0;
    uint32_t at = listpack_find(node->pack, LISTPACK_HEADER, text, 0);
    for (; at && found < max; at = listpack_find(node->pack, listpack_after(node->pack, at), text, 0))
        found++;
    return found;
}

bool quicklist_finds_soon(
    const struct quicklist *list, enum quicklist_end from, struct bytes text, size_t count, size_t most)
{
    size_t found = 0, looked = 0;
    struct quicklist_spot spot = spot_from(list, from);
    for (; spot.block && found < count && looked < most; spot = spot_onward(spot, from)) {
        found += count_in_node(spot_node(spot), text, count - found);
        looked += spot_node(spot)->count;
    }
    return !spot.block || found >= count;
}

/* --- Removing in two steps --- */

/* A copy of the node without what is to go from it; its count is 0, and it has nothing, if that is everything. */
static struct quicklist_node copy_without(
    const struct quicklist_node *node, enum quicklist_end from, struct bytes text, size_t max)
{
    struct quicklist_node copy = *node;
    if (node->plain) {
        if (max && bytes_equal(blob_bytes(node->blob), text))
            copy.count = 0;
        else
            blob_ref(node->blob);
        return copy;
    }
    copy.pack = mem_dup(node->pack, listpack_bytes(node->pack));
    copy.count -= (uint32_t)(max ? remove_from_node(&copy, from, text, max) : 0);
    if (copy.count == 0)
        listpack_destroy(copy.pack);
    return copy;
}

/* A list of what stays; breathes. */
static struct quicklist *make_without(const struct quicklist *list, const struct quicklist_removal *removal,
    struct bytes text, const struct quicklist_limits *limits)
{
    struct quicklist *made = quicklist_create();
    size_t left = removal->count;
    enum quicklist_end from = removal->from;
    struct quicklist_spot spot = spot_from(list, from);
    for (; spot.block; spot = spot_onward(spot, from)) {
        fiber_breathe(COPY_COST + (left ? breath_of(spot_node(spot)) : 0));
        struct quicklist_node copy = copy_without(spot_node(spot), from, text, left);
        left -= spot_node(spot)->count - copy.count;
        if (copy.count == 0)
            continue;
        struct quicklist_spot end = from == QUICKLIST_HEAD ? spot_last(made) : spot_first(made);
        if (end.block && from == QUICKLIST_HEAD)
            end.node++;
        end = spot_insert(made, end, copy);
        if (from == QUICKLIST_HEAD)
            quicklist_merge(made, spot_prev(end), end, limits, 2);
        else
            quicklist_merge(made, end, spot_next(end), limits, 2);
    }
    ASSERT(left == 0);
    return made;
}

void quicklist_removal_find(const struct quicklist *list, enum quicklist_end from, struct bytes text, size_t max,
    const struct quicklist_limits *limits, struct quicklist_removal *removal)
{
    *removal = (struct quicklist_removal){ .from = from };
    struct quicklist_spot spot = spot_from(list, from);
    for (; spot.block && removal->count < max; spot = spot_onward(spot, from)) {
        fiber_breathe(breath_of(spot_node(spot)));
        size_t found = count_in_node(spot_node(spot), text, max - removal->count);
        if (!found)
            continue;
        removal->count += found;
        if (removal->nodes < QUICKLIST_REMOVAL_NODES)
            removal->places[removal->nodes] = (struct quicklist_removal_place){ spot.block, spot.node, found };
        removal->nodes++;
    }
    if (removal->nodes > QUICKLIST_REMOVAL_NODES)
        removal->made = make_without(list, removal, text, limits);
}

/* Places before one where nodes go stay good, so the last one is the first. */
static void remove_in_place(struct quicklist *list, const struct quicklist_removal *removal, struct bytes text,
    const struct quicklist_limits *limits)
{
    for (size_t i = 0; i < removal->nodes; i++) {
        size_t which = removal->from == QUICKLIST_HEAD ? removal->nodes - 1 - i : i;
        const struct quicklist_removal_place *place = &removal->places[which];
        struct quicklist_spot spot = { place->block, place->node };
        struct quicklist_node *node = spot_node(spot);
        size_t gone = remove_from_node(node, removal->from, text, place->count);
        ASSERT(gone == place->count);
        if (gone == node->count) {
            quicklist_node_free(node);
            spot_remove(list, spot);
            continue;
        }
        spot_count(list, spot, -(ptrdiff_t)gone);
        quicklist_merge(list, spot, spot_next(spot), limits, 2);
    }
    if (removal->count)
        blocks_merge_sparse(list);
}

struct quicklist *quicklist_removal_carry_out(
    struct quicklist *list, struct quicklist_removal *removal, struct bytes text, const struct quicklist_limits *limits)
{
    struct quicklist *made = removal->made;
    if (!made) {
        remove_in_place(list, removal, text, limits);
        return NULL;
    }
    struct quicklist old = *list;
    *list = *made;
    *made = old;
    removal->made = NULL;
    return made;
}
