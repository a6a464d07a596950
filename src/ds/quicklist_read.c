/*
 * Quicklist: reading, element by element and node by node.
 *
 * What a place unpacks is chained to it, the newest first. The one before the newest stays, too, for who goes on has
 * not yet dealt with what he read there, and is used for the next but one.
 */
#include "ds/quicklist_read.h"

#include "base/assert.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "ds/listpack.h"
#include "ds/quicklist.h"
#include "quicklist_priv.h"

struct quicklist_unpacked {
    struct quicklist_unpacked *next; /* owned */
    struct blob *blob;               /* owned: a listpack, or a text */
};

/* --- Places --- */

/* Unpacks the node that the place has come to. */
static __attribute__((noinline)) void unpack_node(struct quicklist_place *place, const struct quicklist_node *node)
{
    struct quicklist_unpacked *newest = place->unpacked, *link = NULL;
    if (newest && newest->next && !place->keeps) {
        link = newest->next;
        newest->next = NULL;
    } else {
        link = mem_zalloc(sizeof *link);
    }
    link->blob = node_unpack_into(node, link->blob);
    link->next = newest;
    place->unpacked = link;
    place->pack = node->plain ? NULL : (const unsigned char *)link->blob->data;
    place->blob = node->plain ? link->blob : NULL;
}

static void place_at_spot(struct quicklist_place *place, struct quicklist_spot spot, size_t index)
{
    const struct quicklist_node *node = spot_node(spot);
    place->block = spot.block;
    place->node = spot.node;
    place->at = 0;
    if (__builtin_expect(node->compressed, 0)) {
        unpack_node(place, node);
    } else {
        place->pack = node->plain ? NULL : node->pack;
        place->blob = node->plain ? node->blob : NULL;
    }
    if (place->pack)
        place->at = index == 0 ? (uint32_t)LISTPACK_HEADER : listpack_seek(place->pack, (int64_t)index);
}

bool quicklist_seek(const struct quicklist *list, size_t index, struct quicklist_place *place)
{
    if (index >= list->count)
        return false;
    place->unpacked = NULL;
    place->keeps = false;
    struct quicklist_spot spot = spot_seek(list, &index);
    place_at_spot(place, spot, index);
    return true;
}

void quicklist_place_free(struct quicklist_place *place)
{
    while (place->unpacked) {
        struct quicklist_unpacked *link = place->unpacked;
        place->unpacked = link->next;
        blob_unref(link->blob);
        mem_free_sized(link, sizeof *link);
    }
}

static void breathe_after(const struct quicklist_node *node)
{
    if (node->compressed)
        fiber_breathe((unsigned)(node->lzf->unpacked_len / UNPACK_BREATH));
}

bool quicklist_next_node(struct quicklist_place *place)
{
    if (!place->block)
        return false;
    struct quicklist_spot spot = spot_next((struct quicklist_spot){ place->block, place->node });
    if (!spot.block)
        return false;
    place_at_spot(place, spot, 0);
    breathe_after(spot_node(spot));
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
    breathe_after(spot_node(spot));
    return true;
}

size_t quicklist_effort(const struct quicklist *list, size_t index, size_t count, size_t most)
{
    if (!list->depth || !count)
        return count;
    size_t effort = count, passed = index;
    struct quicklist_spot spot = spot_seek(list, &passed);
    for (size_t left = passed + count; spot.block && effort < most; spot = spot_next(spot)) {
        const struct quicklist_node *node = spot_node(spot);
        effort += node->compressed ? node->lzf->unpacked_len / EFFORT_BYTES : 0;
        if (node->count >= left)
            break;
        left -= node->count;
    }
    return effort;
}

/* --- Nodes --- */

static bool view_at(struct quicklist_node_view *view, struct quicklist_spot spot)
{
    if (!spot.block)
        return false;
    const struct quicklist_node *node = spot_node(spot);
    *view = (struct quicklist_node_view){ .block = spot.block, .node = spot.node, .plain = node->plain };
    if (node->compressed) {
        view->unpacked_len = node->lzf->unpacked_len;
        view->content = bytes_make(node->lzf->data, node->lzf->len);
    } else if (node->plain) {
        view->content = blob_bytes(node->blob);
    } else {
        view->content = bytes_make(node->pack, listpack_bytes(node->pack));
    }
    return true;
}

bool quicklist_view_first(const struct quicklist *list, struct quicklist_node_view *view)
{
    return view_at(view, spot_first(list));
}

bool quicklist_view_next(struct quicklist_node_view *view)
{
    return view_at(view, spot_next((struct quicklist_spot){ view->block, view->node }));
}
