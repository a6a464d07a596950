/*
 * Quicklists: finding and removing elements by value.
 *
 * What is to be removed from a long list is found first, and breathes: the nodes that have something of it are noted.
 * If they are few they are edited in place. Otherwise a list is made of all that stays, nodes that keep everything
 * being copied as they are, and the two lists exchange their contents in the end. So whoever looks at the list
 * meanwhile finds it whole, and the change is a short step whatever is removed. Compressed nodes are unpacked to be
 * looked at, one after the other in the same memory; those that would have to be packed again count as many.
 */
#include <string.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "ds/listpack.h"
#include "quicklist_priv.h"

enum {
    COPY_COST = 60,                          /* of a node, for fiber_breathe */
    LOOK_COST = 20,                          /* of a node, and what its elements cost */
    IN_PLACE_BYTES = QUICKLIST_COMPRESS_MAX, /* of compressed nodes that are edited in one step */
};

/* What looking through the node's elements costs, for fiber_breathe: some 4 ns each. */
static inline unsigned breath_of(const struct quicklist_node *node)
{
    unsigned cost = LOOK_COST + node->count / 2;
    return node->compressed ? cost + node->lzf->unpacked_len / UNPACK_BREATH : cost;
}

/* True if the plain node reads as `text`. */
static bool reads_as(const struct quicklist_node *node, struct bytes text, struct blob **scratch)
{
    return node_bytes(node) == text.len && bytes_equal(node_text(node, scratch), text);
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
    size_t before = 0, index = SIZE_MAX;
    struct blob *scratch = NULL;
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot)) {
        const struct quicklist_node *node = spot_node(spot);
        fiber_breathe(breath_of(node));
        if (!node->plain)
            index = quicklist_find_in_listpack(node_pack(node, &scratch), text);
        else if (reads_as(node, text, &scratch))
            index = 0;
        if (index != SIZE_MAX)
            break;
        before += node->count;
    }
    blob_unref(scratch);
    return index == SIZE_MAX ? index : before + index;
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

static struct quicklist_spot spot_onward(struct quicklist_spot spot, enum quicklist_end from)
{
    return from == QUICKLIST_HEAD ? spot_next(spot) : spot_prev(spot);
}

/* How many elements of the node read as `text`, up to `max`. */
static size_t count_in_node(const struct quicklist_node *node, struct bytes text, size_t max, struct blob **scratch)
{
    if (node->plain)
        return reads_as(node, text, scratch);
    size_t found = 0;
    const unsigned char *pack = node_pack(node, scratch);
    uint32_t at = listpack_find(pack, LISTPACK_HEADER, text, 0);
    for (; at && found < max; at = listpack_find(pack, listpack_after(pack, at), text, 0))
        found++;
    return found;
}

bool quicklist_finds_soon(
    const struct quicklist *list, enum quicklist_end from, struct bytes text, size_t count, size_t most)
{
    size_t found = 0, looked = 0;
    struct blob *scratch = NULL;
    struct quicklist_spot spot = spot_from(list, from, 0);
    for (; spot.block && found < count && looked < most; spot = spot_onward(spot, from)) {
        const struct quicklist_node *node = spot_node(spot);
        found += count_in_node(node, text, count - found, &scratch);
        looked += node->count + (node->compressed ? node->lzf->unpacked_len / EFFORT_BYTES : 0);
    }
    blob_unref(scratch);
    return !spot.block || found >= count;
}

/* --- Removing in two steps --- */

/* What copies a list without some elements. */
struct removing {
    enum quicklist_end from;
    struct bytes text;
    size_t left;          /* that are to be left out yet */
    struct blob *scratch; /* owned */
};

static struct quicklist_node copy_of(const struct quicklist_node *node)
{
    struct quicklist_node copy = *node;
    if (node->compressed)
        copy.lzf = mem_dup(node->lzf, sizeof *node->lzf + node->lzf->len);
    else if (node->plain)
        blob_ref(node->blob);
    else
        copy.pack = mem_dup(node->pack, listpack_bytes(node->pack));
    return copy;
}

/* A copy of the node without what is to go from it; its count is 0, and it has nothing, if that is everything. */
static struct quicklist_node copy_without(const struct quicklist_node *node, struct removing *removing)
{
    bool looks_first = node->plain || node->compressed;
    if (!removing->left || (looks_first && !count_in_node(node, removing->text, 1, &removing->scratch)))
        return copy_of(node);
    struct quicklist_node copy = { 0 };
    size_t gone = 1;
    if (!node->plain) {
        copy = copy_of(node);
        node_open(&copy);
        gone = remove_from_pack(&copy.pack, copy.count, removing->from, removing->text, removing->left);
        copy.count -= (uint32_t)gone;
        if (copy.count == 0)
            listpack_destroy(copy.pack);
    }
    removing->left -= gone;
    return copy;
}

/* Adds a node behind all others or, if `from` is the tail, before them, and merges it with its neighbour. */
static void add_node(
    struct quicklist *list, enum quicklist_end from, struct quicklist_node node, const struct quicklist_limits *limits)
{
    enum quicklist_end to = from == QUICKLIST_HEAD ? QUICKLIST_TAIL : QUICKLIST_HEAD;
    struct quicklist_spot end = spot_from(list, to, 0);
    if (end.block && to == QUICKLIST_TAIL)
        end.node++;
    end = spot_insert(list, end, node);
    if (to == QUICKLIST_TAIL)
        quicklist_merge(list, spot_prev(end), end, limits, 2);
    else
        quicklist_merge(list, end, spot_next(end), limits, 2);
    /* The last two may still change. What is compressed too much, for the end is not known yet, is opened later. */
    struct quicklist_spot done = spot_from(list, to, list->depth + 1u);
    if (done.block)
        quicklist_settle_node(list, done);
}

/* A list of what stays; breathes. */
static struct quicklist *make_without(const struct quicklist *list, const struct quicklist_removal *removal,
    struct bytes text, const struct quicklist_limits *limits)
{
    struct quicklist *made = quicklist_create(list->depth);
    struct removing removing = { removal->from, text, removal->count, NULL };
    struct quicklist_spot spot = spot_from(list, removal->from, 0);
    for (; spot.block; spot = spot_onward(spot, removal->from)) {
        fiber_breathe(COPY_COST + (removing.left ? breath_of(spot_node(spot)) : 0));
        struct quicklist_node copy = copy_without(spot_node(spot), &removing);
        if (copy.count)
            add_node(made, removal->from, copy, limits);
    }
    ASSERT(removing.left == 0);
    blob_unref(removing.scratch);
    quicklist_settle_ends(made);
    return made;
}

void quicklist_removal_find(const struct quicklist *list, enum quicklist_end from, struct bytes text, size_t max,
    const struct quicklist_limits *limits, struct quicklist_removal *removal)
{
    *removal = (struct quicklist_removal){ .from = from };
    struct blob *scratch = NULL;
    struct quicklist_spot spot = spot_from(list, from, 0);
    size_t compressed = 0;
    for (; spot.block && removal->count < max; spot = spot_onward(spot, from)) {
        const struct quicklist_node *node = spot_node(spot);
        fiber_breathe(breath_of(node));
        size_t found = count_in_node(node, text, max - removal->count, &scratch);
        if (!found)
            continue;
        compressed += node->compressed ? node->lzf->unpacked_len : 0;
        removal->count += found;
        if (removal->nodes < QUICKLIST_REMOVAL_NODES)
            removal->places[removal->nodes] = (struct quicklist_removal_place){ spot.block, spot.node, found };
        removal->nodes++;
    }
    blob_unref(scratch);
    if (removal->nodes > QUICKLIST_REMOVAL_NODES || compressed > IN_PLACE_BYTES)
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
        if (place->count == node->count) {
            quicklist_node_free(node);
            spot_remove(list, spot);
            continue;
        }
        node_open(node);
        size_t gone = remove_from_pack(&node->pack, node->count, removal->from, text, place->count);
        ASSERT(gone == place->count);
        spot_count(list, spot, -(ptrdiff_t)gone);
        quicklist_merge(list, spot, spot_next(spot), limits, 2);
        quicklist_settle_node(list, spot);
    }
    if (removal->count)
        blocks_merge_sparse(list);
    quicklist_settle_ends(list);
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
