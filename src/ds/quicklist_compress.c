/*
 * Quicklist: which nodes are compressed, and when.
 *
 *   depth 1:   [stage] [open] [lzf] [lzf] [tried] ... [lzf] [open]
 *
 * A node is compressed in one step, which is why very large ones are not. It is unpacked for an edit that touches it,
 * and packed again when the edit is through; of the others only those are touched that are pushed across the border or
 * come back over it, one for each node that comes or goes at an end. Packing costs some 2 us a KB, unpacking some 0.7.
 *
 * The stage is not counted: it is a part of the node behind it that has not been put there yet, so with it one more
 * node stays open at the head. Otherwise that node would be packed and unpacked for each kilobyte that is pushed.
 */
#include "base/assert.h"
#include "base/lzf.h"
#include "base/mem.h"
#include "ds/listpack.h"
#include "quicklist_priv.h"

enum {
    GAIN_MIN = 9,     /* bytes that compressing has to save */
    LEN_MIN = 48,     /* of a node that is tried */
    BORDER_NODES = 3, /* that one edit may push across the border */
    AROUND_NODES = 3, /* before and behind an index that one edit may touch */
};

/* --- One node --- */

static size_t lzf_size(size_t len)
{
    return sizeof(struct quicklist_lzf) + len;
}

/* The content, packed; NULL if that saves nothing, or memory is out. */
static struct quicklist_lzf *pack_content(const struct quicklist_node *node)
{
    size_t len = node_bytes(node), room = len - GAIN_MIN;
    struct quicklist_lzf *lzf = mem_try_alloc(lzf_size(room));
    if (!lzf)
        return NULL;
    const void *content = node->plain ? (const void *)node->blob->data : node->pack;
    size_t packed = lzf_pack_at_once(content, len, lzf->data, room);
    size_t now = node->plain ? sizeof *node->blob + len : len;
    if (!packed || mem_good_size(lzf_size(packed)) >= mem_good_size(now)) {
        mem_free_sized(lzf, lzf_size(room));
        return NULL;
    }
    lzf = mem_realloc(lzf, lzf_size(packed));
    lzf->unpacked_len = (uint32_t)len;
    lzf->len = (uint32_t)packed;
    return lzf;
}

static void node_compress(struct quicklist_node *node)
{
    size_t len = node_bytes(node);
    struct quicklist_lzf *lzf = len < LEN_MIN || len > QUICKLIST_COMPRESS_MAX ? NULL : pack_content(node);
    if (!lzf) {
        node->tried = true;
        return;
    }
    quicklist_node_free(node);
    node->lzf = lzf;
    node->compressed = true;
}

static void unpack_to(const struct quicklist_lzf *lzf, void *to)
{
    size_t len = lzf_unpack_at_once(lzf->data, lzf->len, to, lzf->unpacked_len);
    ASSERT(len == lzf->unpacked_len);
}

void node_unpack(struct quicklist_node *node)
{
    node->tried = false;
    if (!node->compressed)
        return;
    struct quicklist_lzf *lzf = node->lzf;
    if (node->plain) {
        node->blob = node_unpack_into(node, NULL);
    } else {
        node->pack = mem_alloc(lzf->unpacked_len);
        unpack_to(lzf, node->pack);
    }
    node->compressed = false;
    mem_free_sized(lzf, lzf_size(lzf->len));
}

struct blob *node_unpack_into(const struct quicklist_node *node, struct blob *scratch)
{
    size_t len = node->lzf->unpacked_len;
    if (!scratch || scratch->cap < len || blob_is_shared(scratch)) {
        blob_unref(scratch);
        scratch = blob_create(len);
    }
    unpack_to(node->lzf, scratch->data);
    scratch->len = len;
    return scratch;
}

const unsigned char *node_pack(const struct quicklist_node *node, struct blob **scratch)
{
    if (!node->compressed)
        return node->pack;
    *scratch = node_unpack_into(node, *scratch);
    return (const unsigned char *)(*scratch)->data;
}

struct bytes node_text(const struct quicklist_node *node, struct blob **scratch)
{
    if (!node->compressed)
        return blob_bytes(node->blob);
    *scratch = node_unpack_into(node, *scratch);
    return blob_bytes(*scratch);
}

/* --- Which ones --- */

/* How many nodes stay open at that end. */
static size_t open_nodes(const struct quicklist *list, enum quicklist_end end)
{
    return list->depth + (end == QUICKLIST_HEAD && list->head && spot_node(spot_first(list))->stage);
}

/* True if there are at least so many nodes before it, and so many behind. */
static bool is_between(struct quicklist_spot spot, size_t before, size_t behind)
{
    size_t passed = spot.node;
    for (const struct quicklist_block *block = spot.block->prev; block && passed < before; block = block->prev)
        passed += block->used;
    if (passed < before)
        return false;
    passed = spot.block->used - spot.node - 1u;
    for (const struct quicklist_block *block = spot.block->next; block && passed < behind; block = block->next)
        passed += block->used;
    return passed >= behind;
}

void quicklist_settle_node(struct quicklist *list, struct quicklist_spot spot)
{
    struct quicklist_node *node = spot_node(spot);
    if (!list->depth || node->compressed || node->tried)
        return;
    if (is_between(spot, open_nodes(list, QUICKLIST_HEAD), open_nodes(list, QUICKLIST_TAIL)))
        node_compress(node);
}

static void settle_end(struct quicklist *list, enum quicklist_end end)
{
    struct quicklist_spot spot = spot_from(list, end, 0);
    size_t open = open_nodes(list, end);
    for (size_t i = 0; i < open + BORDER_NODES && spot.block; i++) {
        if (i < open)
            node_open(spot_node(spot));
        else
            quicklist_settle_node(list, spot);
        spot = end == QUICKLIST_HEAD ? spot_next(spot) : spot_prev(spot);
    }
}

void quicklist_settle_ends(struct quicklist *list)
{
    if (!list->depth)
        return;
    settle_end(list, QUICKLIST_HEAD);
    settle_end(list, QUICKLIST_TAIL);
}

void quicklist_settle_around(struct quicklist *list, size_t index, size_t nodes)
{
    if (!list->depth || !list->count)
        return;
    if (list->nodes != nodes)
        quicklist_settle_ends(list);
    size_t within = index < list->count ? index : list->count - 1;
    struct quicklist_spot spot = spot_seek(list, &within), before = spot_prev(spot);
    for (int i = 0; i <= AROUND_NODES && spot.block; i++, spot = spot_next(spot))
        quicklist_settle_node(list, spot);
    for (int i = 0; i < AROUND_NODES && before.block; i++, before = spot_prev(before))
        quicklist_settle_node(list, before);
}

/* --- Checking --- */

static const char *check_node(const struct quicklist_node *node, bool is_inner)
{
    if (node->compressed && node->tried)
        return "a node of a list is compressed, and was not worth it";
    if (!is_inner)
        return node->compressed || node->tried ? "a node at an end of a list is compressed" : NULL;
    if (!node->compressed && !node->tried)
        return "an inner node of a list was forgotten";
    if (node->compressed && (node->lzf->unpacked_len < LEN_MIN || node->lzf->unpacked_len > QUICKLIST_COMPRESS_MAX ||
                                node->lzf->len + GAIN_MIN > node->lzf->unpacked_len))
        return "a compressed node of a list should not be";
    return NULL;
}

const char *quicklist_check_compression(const struct quicklist *list)
{
    size_t at = 0, first = open_nodes(list, QUICKLIST_HEAD), behind = open_nodes(list, QUICKLIST_TAIL);
    for (struct quicklist_spot spot = spot_first(list); spot.block; spot = spot_next(spot), at++) {
        bool is_inner = list->depth && at >= first && list->nodes - at > behind;
        const char *fault = check_node(spot_node(spot), is_inner);
        if (fault)
            return fault;
    }
    return NULL;
}
