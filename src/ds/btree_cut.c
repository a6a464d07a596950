/*
 * Cutting a range out of a btree, as a tree of its own.
 *
 * Only what lies on the two ways down to the ends of the range is divided: a node there gives what belongs to the range
 * to a new node of its level, children that lie in the range with all below them. So the new nodes are the spines of
 * the new tree, and nothing else is looked at, however many items the range has. The list of leaves is cut in two
 * places. Nodes at the seam that are left sparse merge with their neighbours; the spines of the cut tree stay sparse.
 *
 * How many nodes went along cannot be known without visiting them: so both trees count their nodes together, in the one
 * that was cut.
 */
#include <string.h>

#include "base/mem.h"
#include "btree_priv.h"

static void *cut_node(struct btree *tree, void *node, size_t level, size_t from, size_t to);

/* The items keep the tags that they have: none is read. */
static struct btree_leaf *cut_leaf(struct btree *tree, struct btree_leaf *leaf, size_t from, size_t to)
{
    size_t n = to - from;
    struct btree_leaf *part = btree_leaf_create(tree, BTREE_LEAF_ROOM);
    part->base = leaf->base;
    part->shift = leaf->shift;
    part->count = (uint16_t)n;
    memcpy(part->tag, leaf->tag + from, n * sizeof *part->tag);
    memcpy(btree_leaf_pointers(part, 0), btree_leaf_pointers(leaf, from), n * BTREE_POINTER_BYTES);
    btree_leaf_close(leaf, from, n);
    part->prev = from ? leaf : leaf->prev;
    part->next = from ? leaf->next : leaf;
    if (part->prev)
        part->prev->next = part;
    if (part->next)
        part->next->prev = part;
    return part;
}

/* At most the first and the last child are divided; those between go as they are. */
static struct btree_inner *cut_inner(
    struct btree *tree, struct btree_inner *inner, size_t level, size_t from, size_t to)
{
    struct btree_inner *part = btree_inner_create(tree);
    size_t index = 0, whole_from = 0, whole = 0;
    for (; from >= inner->entry[index].items; index++) {
        from -= inner->entry[index].items;
        to -= inner->entry[index].items;
    }
    for (; to > 0; index++, from = 0) {
        struct btree_entry *entry = &inner->entry[index];
        size_t here = entry->items, end = to < here ? to : here;
        if (from == 0 && end == here) {
            whole_from = whole++ ? whole_from : index;
            part->prefix[part->count] = inner->prefix[index];
            part->entry[part->count++] = *entry;
        } else {
            void *child = cut_node(tree, entry->child, level - 1, from, end);
            part->entry[part->count] = (struct btree_entry){ .child = child, .items = end - from };
            btree_entry_name(tree, part, part->count++, level - 1);
            entry->items -= end - from;
            btree_entry_name(tree, inner, index, level - 1);
        }
        to -= end;
    }
    btree_inner_close(inner, whole_from, whole);
    return part;
}

/*
 * Moves the items of the ranks `from` to `to` below the node, which are not all, to a new node of its level. So neither
 * is empty, nor is anything below them.
 */
static void *cut_node(struct btree *tree, void *node, size_t level, size_t from, size_t to)
{
    return level ? (void *)cut_inner(tree, node, level, from, to) : (void *)cut_leaf(tree, node, from, to);
}

/* Takes the leaves of the cut tree, which are neighbours, out of the list of the others. */
static void divide_leaves(struct btree *cut)
{
    struct btree_iter first = btree_seek_rank(cut, 0), last = btree_seek_rank(cut, cut->count - 1);
    struct btree_leaf *before = first.leaf->prev, *behind = last.leaf->next;
    if (before)
        before->next = behind;
    if (behind)
        behind->prev = before;
    first.leaf->prev = NULL;
    last.leaf->next = NULL;
}

/* Merges or evens out what is sparse on the way to a rank: downwards, so that lone children get neighbours, and up. */
static void tidy(struct btree *tree, size_t rank)
{
    struct btree_path path;
    for (size_t level = tree->height; level-- > 0;) {
        btree_descend_rank(tree, rank, &path);
        if (level < tree->height)
            btree_node_relieve(tree, &path, level);
        btree_root_relieve(tree);
    }
    for (size_t level = 0; level < tree->height; level++) {
        btree_descend_rank(tree, rank, &path);
        btree_node_relieve(tree, &path, level);
    }
    btree_root_relieve(tree);
}

void btree_cut(struct btree *tree, size_t rank, size_t n, struct btree *cut)
{
    ASSERT(rank <= tree->count && n <= tree->count - rank);
    btree_init(cut, tree->type);
    cut->cuts = 1;
    tree->cuts++;
    if (n == 0)
        return;
    cut->root = tree->root;
    cut->height = tree->height;
    if (n == tree->count)
        tree->root = NULL;
    else
        cut->root = cut_node(tree, tree->root, tree->height, rank, rank + n);
    cut->count = n;
    tree->count -= n;
    if (!tree->root) {
        tree->height = 0;
        return;
    }
    divide_leaves(cut);
    btree_root_relieve(cut);
    btree_root_relieve(tree);
    if (rank > 0)
        tidy(tree, rank - 1);
    if (rank < tree->count)
        tidy(tree, rank);
}

void btree_cut_settle(struct btree *tree, struct btree *cut)
{
    tree->leaves += cut->leaves;
    tree->inners += cut->inners;
    cut->leaves = cut->inners = 0;
    if (cut->count > 0)
        return;
    cut->cuts--;
    tree->cuts--;
}
