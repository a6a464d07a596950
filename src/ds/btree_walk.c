/*
 * Reading a btree: look-ups, ranks, places in the order, and the check of every invariant.
 *
 * A place at either end stays beside its leaf (index -1, or the count), so that walking back from there works. Where a
 * descent ends behind the last item of a leaf, the place is that of the next leaf's first.
 */
#include "btree_priv.h"

enum { PREFETCH_AHEAD = 6 }; /* items */

static struct btree_iter place_of(const struct btree_path *path)
{
    struct btree_leaf *leaf = path->step[0].node;
    size_t index = path->step[0].index;
    if (index == leaf->count && leaf->next) {
        leaf = leaf->next;
        index = 0;
    }
    return (struct btree_iter){ leaf, (int32_t)index };
}

static size_t rank_of(const struct btree *tree, const struct btree_path *path)
{
    size_t rank = path->step[0].index;
    for (size_t level = 1; level <= tree->height; level++) {
        const struct btree_inner *inner = path->step[level].node;
        for (size_t i = 0; i < path->step[level].index; i++)
            rank += inner->entry[i].items;
    }
    return rank;
}

struct btree_iter btree_seek(const struct btree *tree, const struct btree_key *key)
{
    if (tree->count == 0)
        return (struct btree_iter){ 0 };
    struct btree_path path;
    btree_descend(tree, key, false, &path);
    return place_of(&path);
}

struct btree_iter btree_seek_rank(const struct btree *tree, size_t rank)
{
    if (tree->count == 0)
        return (struct btree_iter){ 0 };
    struct btree_path path;
    bool beyond = rank >= tree->count;
    btree_descend_rank(tree, beyond ? tree->count - 1 : rank, &path);
    struct btree_iter iter = place_of(&path);
    iter.index += beyond;
    return iter;
}

void *btree_find(const struct btree *tree, const struct btree_key *key)
{
    struct btree_iter iter = btree_seek(tree, key);
    void *item = btree_iter_item(&iter);
    return item && key->compare(key->key, item) == 0 ? item : NULL;
}

void *btree_at(const struct btree *tree, size_t rank)
{
    struct btree_iter iter = btree_seek_rank(tree, rank);
    return btree_iter_item(&iter);
}

bool btree_rank(const struct btree *tree, const void *item, size_t *rank)
{
    struct btree_path path;
    if (!btree_descend_to(tree, item, &path))
        return false;
    *rank = rank_of(tree, &path);
    return true;
}

size_t btree_rank_key(const struct btree *tree, const struct btree_key *key)
{
    if (tree->count == 0)
        return 0;
    struct btree_path path;
    btree_descend(tree, key, false, &path);
    return rank_of(tree, &path);
}

void *btree_iter_item(const struct btree_iter *iter)
{
    const struct btree_leaf *leaf = iter->leaf;
    return leaf && iter->index >= 0 && iter->index < leaf->count ? btree_leaf_item(leaf, (size_t)iter->index) : NULL;
}

/* Asks for the item so many places on; at the end of a leaf, for the leaf beyond. */
static void prefetch(const struct btree_leaf *leaf, int32_t index, const struct btree_leaf *beyond)
{
    if (index >= 0 && index < leaf->count)
        __builtin_prefetch(btree_leaf_item(leaf, (size_t)index));
    else if (beyond)
        __builtin_prefetch(beyond);
}

void *btree_iter_next(struct btree_iter *iter)
{
    const struct btree_leaf *leaf = iter->leaf;
    if (!leaf)
        return NULL;
    if (iter->index + 1 < leaf->count || (!leaf->next && iter->index < leaf->count))
        iter->index++;
    else if (leaf->next)
        *iter = (struct btree_iter){ leaf->next, 0 };
    prefetch(iter->leaf, iter->index + PREFETCH_AHEAD, iter->leaf->next);
    return btree_iter_item(iter);
}

void *btree_iter_prev(struct btree_iter *iter)
{
    const struct btree_leaf *leaf = iter->leaf;
    if (!leaf)
        return NULL;
    if (iter->index > 0 || (!leaf->prev && iter->index == 0))
        iter->index--;
    else if (leaf->prev)
        *iter = (struct btree_iter){ leaf->prev, leaf->prev->count - 1 };
    prefetch(iter->leaf, iter->index - PREFETCH_AHEAD, iter->leaf->prev);
    return btree_iter_item(iter);
}

/* What a check has seen so far. */
struct checking {
    const struct btree *tree;
    void (*complain)(void *context, const char *what);
    void *context;
    size_t broken, leaves, inners;
    const struct btree_leaf *last_leaf;
    const void *last_item;
};

static void expect(struct checking *checking, bool holds, const char *what)
{
    if (holds)
        return;
    checking->broken++;
    checking->complain(checking->context, what);
}

static size_t check_leaf(struct checking *checking, const struct btree_leaf *leaf)
{
    const struct btree *tree = checking->tree;
    checking->leaves++;
    expect(checking, leaf->prev == checking->last_leaf, "a leaf's link back is wrong");
    expect(checking, !checking->last_leaf || checking->last_leaf->next == leaf, "a leaf's link on is wrong");
    checking->last_leaf = leaf;
    expect(checking, leaf->count > 0, "a leaf is empty");
    expect(checking, leaf->count <= leaf->room, "a leaf holds more than it has room for");
    expect(checking, tree->height == 0 ? leaf->room <= BTREE_LEAF_ROOM : leaf->room == BTREE_LEAF_ROOM,
        "a leaf has the wrong room");
    for (size_t i = 0; i < leaf->count; i++) {
        const void *item = btree_leaf_item(leaf, i), *last = checking->last_item;
        uint64_t prefix = btree_prefix_of(tree, item);
        expect(checking, leaf->tag[i] == btree_leaf_tag(leaf, prefix), "a tag is not its item's");
        expect(checking, !last || tree->type->compare(last, item) < 0, "items are out of order");
        expect(checking, !last || btree_prefix_of(tree, last) <= prefix, "prefixes are out of order");
        checking->last_item = item;
    }
    return leaf->count;
}

static const void *first_below(const void *node, size_t level)
{
    for (; level > 0; level--)
        node = ((const struct btree_inner *)node)->entry[0].child;
    return btree_leaf_item(node, 0);
}

/* Returns how many items lie below. */
static size_t check_node(struct checking *checking, const void *node, size_t level)
{
    if (level == 0)
        return check_leaf(checking, node);
    const struct btree_inner *inner = node;
    size_t items = 0;
    checking->inners++;
    expect(checking, inner->count > 0 && inner->count <= BTREE_INNER_ROOM, "an inner node's count is wrong");
    expect(checking, level < checking->tree->height || inner->count > 1, "the root has one child");
    for (size_t i = 0; i < inner->count; i++) {
        const struct btree_entry *entry = &inner->entry[i];
        size_t below = check_node(checking, entry->child, level - 1);
        expect(checking, entry->items == below, "an entry counts wrong");
        expect(checking, entry->first == first_below(entry->child, level - 1), "an entry names the wrong item");
        expect(checking, inner->prefix[i] == btree_prefix_of(checking->tree, entry->first), "a prefix is wrong");
        items += below;
    }
    return items;
}

size_t btree_check(const struct btree *tree, void (*complain)(void *context, const char *what), void *context)
{
    struct checking checking = { .tree = tree, .complain = complain, .context = context };
    size_t items = tree->root ? check_node(&checking, tree->root, tree->height) : 0;
    expect(&checking, !checking.last_leaf || !checking.last_leaf->next, "the last leaf has a next");
    expect(&checking, items == tree->count, "the count is wrong");
    bool counted = checking.leaves == tree->leaves && checking.inners == tree->inners;
    expect(&checking, counted || tree->cuts > 0, "nodes are miscounted");
    return checking.broken;
}
