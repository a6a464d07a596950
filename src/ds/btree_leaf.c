/*
 * Leaves of the btree: their scale, and the moves of items within and between them.
 *
 * Items that come into a leaf get a tag on its scale, for which their prefix is read. Where many are read, all are
 * prefetched first, so that their cache misses overlap.
 *
 * A scale is chosen so that the items of the leaf spread over an eighth to a quarter of the tags, in the middle: what
 * neighbours share with it then still finds tags of its own, and leaves can be split some times before a new one is
 * due. Between 100 items on 8,000 tags ties are rare.
 */
#include "base/mem.h"
#include "btree_priv.h"

enum {
    SCALE_BITS = 14,      /* of the distance between first and last item that a new scale keeps */
    TAGS_BELOW = 3 << 13, /* tags that it leaves free below the first item */
    TAGS_FEW = 1024,      /* a leaf whose items spread over less gets a new scale */
};

struct btree_leaf *btree_leaf_create(struct btree *tree, size_t room)
{
    struct btree_leaf *leaf = mem_alloc(btree_leaf_size(room));
    *leaf = (struct btree_leaf){ .room = (uint16_t)room };
    tree->leaves++;
    return leaf;
}

void btree_leaf_destroy(struct btree *tree, struct btree_leaf *leaf)
{
    if (leaf->prev)
        leaf->prev->next = leaf->next;
    if (leaf->next)
        leaf->next->prev = leaf->prev;
    mem_free_sized(leaf, btree_leaf_size(leaf->room));
    tree->leaves--;
}

struct btree_leaf *btree_leaf_resize(struct btree *tree, struct btree_leaf *leaf, size_t room)
{
    struct btree_leaf *resized = mem_alloc(btree_leaf_size(room));
    *resized = *leaf;
    resized->room = (uint16_t)room;
    memcpy(resized->tag, leaf->tag, leaf->count * sizeof(*leaf->tag));
    memcpy(btree_leaf_pointers(resized, 0), btree_leaf_pointers(leaf, 0), leaf->count * BTREE_POINTER_BYTES);
    mem_free_sized(leaf, btree_leaf_size(leaf->room));
    btree_leaf_fit_scale(tree, resized);
    return resized;
}

/* The allocator's classes are 16 bytes apart up to 128, then four to a doubling. */
size_t btree_leaf_next_room(size_t room)
{
    size_t size = btree_leaf_size(room), apart = 16;
    while (apart * 8 <= size)
        apart *= 2;
    size_t next = (size / apart + 1) * apart;
    if (next >= BTREE_LEAF_BYTES)
        return BTREE_LEAF_ROOM;
    return (next - sizeof(struct btree_leaf)) / (sizeof(uint16_t) + BTREE_POINTER_BYTES);
}

void btree_leaf_set(struct btree_leaf *leaf, size_t index, void *item, uint64_t prefix)
{
    DASSERT((uintptr_t)item >> 48 == 0);
    leaf->tag[index] = btree_leaf_tag(leaf, prefix);
    unsigned char *to = btree_leaf_pointers(leaf, index);
    uint32_t low = (uint32_t)(uintptr_t)item;
    uint16_t high = (uint16_t)((uintptr_t)item >> 32);
    memcpy(to, &low, sizeof(low));
    memcpy(to + sizeof(low), &high, sizeof(high));
}

static void slide(struct btree_leaf *leaf, size_t from, size_t to)
{
    size_t n = leaf->count - from;
    memmove(leaf->tag + to, leaf->tag + from, n * sizeof(*leaf->tag));
    memmove(btree_leaf_pointers(leaf, to), btree_leaf_pointers(leaf, from), n * BTREE_POINTER_BYTES);
}

void btree_leaf_open(struct btree_leaf *leaf, size_t index, size_t n)
{
    slide(leaf, index, index + n);
    leaf->count = (uint16_t)(leaf->count + n);
}

void btree_leaf_close(struct btree_leaf *leaf, size_t index, size_t n)
{
    slide(leaf, index + n, index);
    leaf->count = (uint16_t)(leaf->count - n);
}

static void prefetch_items(const struct btree_leaf *leaf, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++)
        __builtin_prefetch(btree_leaf_item(leaf, i));
}

/* Writes items that lie in one leaf into the hole of another, with tags on its scale. */
static void copy_items(
    struct btree *tree, const struct btree_leaf *from, size_t at, struct btree_leaf *to, size_t to_at, size_t n)
{
    prefetch_items(from, at, n);
    for (size_t i = 0; i < n; i++) {
        void *item = btree_leaf_item(from, at + i);
        btree_leaf_set(to, to_at + i, item, btree_prefix_of(tree, item));
    }
}

/* An empty leaf begins with the scale of the one that gives to it. */
static void inherit_scale(struct btree_leaf *leaf, const struct btree_leaf *from)
{
    if (leaf->count == 0) {
        leaf->base = from->base;
        leaf->shift = from->shift;
    }
}

void btree_leaf_move_right(struct btree *tree, struct btree_leaf *left, struct btree_leaf *right, size_t n)
{
    inherit_scale(right, left);
    btree_leaf_open(right, 0, n);
    copy_items(tree, left, left->count - n, right, 0, n);
    btree_leaf_close(left, left->count - n, n);
}

void btree_leaf_move_left(struct btree *tree, struct btree_leaf *left, struct btree_leaf *right, size_t n)
{
    inherit_scale(left, right);
    btree_leaf_open(left, left->count, n);
    copy_items(tree, right, 0, left, left->count - n, n);
    btree_leaf_close(right, 0, n);
}

static void choose_scale(struct btree *tree, struct btree_leaf *leaf, uint64_t first, uint64_t last)
{
    unsigned bits = first == last ? 0 : 64 - (unsigned)__builtin_clzll(last - first);
    leaf->shift = bits > SCALE_BITS ? (uint16_t)(bits - SCALE_BITS) : 0;
    uint64_t below = (uint64_t)TAGS_BELOW << leaf->shift;
    leaf->base = below >> leaf->shift == TAGS_BELOW && below < first ? first - below : 0;
    prefetch_items(leaf, 0, leaf->count);
    for (size_t i = 0; i < leaf->count; i++)
        leaf->tag[i] = btree_leaf_tag(leaf, btree_prefix_of(tree, btree_leaf_item(leaf, i)));
}

bool btree_leaf_fit_scale(struct btree *tree, struct btree_leaf *leaf)
{
    if (leaf->count == 0)
        return false;
    uint16_t low = leaf->tag[0], high = leaf->tag[leaf->count - 1];
    bool few = high - low < TAGS_FEW && leaf->shift > 0;
    if (!few && low != 0 && high != UINT16_MAX)
        return false;
    uint64_t first = btree_prefix_of(tree, btree_leaf_item(leaf, 0));
    uint64_t last = btree_prefix_of(tree, btree_leaf_item(leaf, leaf->count - 1));
    bool outside = first < leaf->base || (last > leaf->base && (last - leaf->base) >> leaf->shift > UINT16_MAX);
    if (few || outside)
        choose_scale(tree, leaf, first, last);
    return few || outside;
}

/* The masks keep compilers from making a branch of what would be mispredicted every other time. */
size_t btree_leaf_search(const struct btree_leaf *leaf, uint16_t tag)
{
    const uint16_t *from = leaf->tag;
    size_t n = leaf->count;
    if (n == 0)
        return 0;
    for (size_t half; n > 1; n -= half) {
        half = n / 2;
        from += half & (0 - (size_t)(from[half - 1] < tag));
    }
    return (size_t)(from - leaf->tag) + (*from < tag);
}
