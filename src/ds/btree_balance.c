/*
 * The shape of the btree: making room, and repairing what removals leave.
 *
 * Full nodes first share with the emptier neighbour of the same parent; where both are nearly full, two become three,
 * so that nodes are two thirds full at least when they are made (the B*-tree of Knuth, TAOCP 3, 6.2.4). At either end
 * of the order, a full node is left as it is, and a new one begins with a single entry: so ascending and descending
 * inserts fill nodes. A lone leaf just grows.
 *
 * Every entry of an inner node names the first item below it, entry 0 too; so entries move between nodes as they are.
 *
 * btree_make_room takes a single step, after which the caller goes down again: the step is rare, the way still cached,
 * and a step that needs room in the parent just asks for that instead.
 */
#include "base/mem.h"
#include "btree_priv.h"

enum {
    LEAF_SHARE_MIN = BTREE_LEAF_ROOM / 10, /* free places in a neighbour that make sharing worth its while */
    INNER_SHARE_MIN = 3,
};

static size_t room_of(size_t level)
{
    return level ? BTREE_INNER_ROOM : BTREE_LEAF_ROOM;
}

/* Below this, a node looks for a neighbour; what both hold makes one node if it is at most merge_max. */
static size_t sparse_limit(size_t level)
{
    return room_of(level) / 2;
}

static size_t merge_max(size_t level)
{
    return room_of(level) * 19 / 20;
}

struct btree_inner *btree_inner_create(struct btree *tree)
{
    struct btree_inner *inner = mem_alloc(sizeof(*inner));
    inner->count = 0;
    tree->inners++;
    return inner;
}

static void *node_create(struct btree *tree, size_t level)
{
    return level ? (void *)btree_inner_create(tree) : (void *)btree_leaf_create(tree, BTREE_LEAF_ROOM);
}

static void node_destroy(struct btree *tree, void *node, size_t level)
{
    if (level == 0) {
        btree_leaf_destroy(tree, node);
        return;
    }
    mem_free_sized(node, sizeof(struct btree_inner));
    tree->inners--;
}

static void entries_move(struct btree_inner *to, size_t to_at, const struct btree_inner *from, size_t at, size_t n)
{
    memmove(to->prefix + to_at, from->prefix + at, n * sizeof(*to->prefix));
    memmove(to->entry + to_at, from->entry + at, n * sizeof(*to->entry));
}

static void inner_open(struct btree_inner *inner, size_t index, size_t n)
{
    entries_move(inner, index + n, inner, index, inner->count - index);
    inner->count += n;
}

void btree_inner_close(struct btree_inner *inner, size_t index, size_t n)
{
    entries_move(inner, index, inner, index + n, inner->count - index - n);
    inner->count -= n;
}

static void node_move_right(struct btree *tree, size_t level, void *left, void *right, size_t n)
{
    if (level == 0) {
        btree_leaf_move_right(tree, left, right, n);
        return;
    }
    struct btree_inner *from = left, *to = right;
    inner_open(to, 0, n);
    entries_move(to, 0, from, from->count - n, n);
    from->count -= n;
}

static void node_move_left(struct btree *tree, size_t level, void *left, void *right, size_t n)
{
    if (level == 0) {
        btree_leaf_move_left(tree, left, right, n);
        return;
    }
    struct btree_inner *to = left, *from = right;
    entries_move(to, to->count, from, 0, n);
    to->count += n;
    btree_inner_close(from, 0, n);
}

void btree_entry_name(const struct btree *tree, struct btree_inner *parent, size_t index, size_t child_level)
{
    struct btree_entry *entry = &parent->entry[index];
    if (child_level == 0) {
        entry->first = btree_leaf_item(entry->child, 0);
        parent->prefix[index] = btree_prefix_of(tree, entry->first);
    } else {
        const struct btree_inner *child = entry->child;
        entry->first = child->entry[0].first;
        parent->prefix[index] = child->prefix[0];
    }
}

/* Describes the child anew, and lets a leaf choose a better scale. */
static void entry_renew(struct btree *tree, struct btree_inner *parent, size_t index, size_t child_level)
{
    struct btree_entry *entry = &parent->entry[index];
    btree_entry_name(tree, parent, index, child_level);
    entry->items = 0;
    if (child_level == 0) {
        struct btree_leaf *leaf = entry->child;
        entry->items = leaf->count;
        btree_leaf_fit_scale(tree, leaf);
    } else {
        const struct btree_inner *inner = entry->child;
        for (size_t i = 0; i < inner->count; i++)
            entry->items += inner->entry[i].items;
    }
}

void btree_refresh_first(struct btree *tree, const struct btree_path *path, size_t level)
{
    for (; level < tree->height; level++) {
        size_t index = path->step[level + 1].index;
        btree_entry_name(tree, path->step[level + 1].node, index, level);
        if (index > 0)
            return;
    }
}

void btree_add_count(struct btree *tree, const struct btree_path *path, uint64_t n)
{
    tree->count += n;
    for (size_t level = 1; level <= tree->height; level++) {
        struct btree_inner *inner = path->step[level].node;
        inner->entry[path->step[level].index].items += n;
    }
}

/* Adds an empty node as child `index` of a parent that has room. Leaves stand in their list from then on. */
static void *child_add(struct btree *tree, struct btree_inner *parent, size_t index, size_t child_level)
{
    void *node = node_create(tree, child_level);
    inner_open(parent, index, 1);
    parent->entry[index] = (struct btree_entry){ .child = node };
    if (child_level > 0)
        return node;
    struct btree_leaf *leaf = node;
    struct btree_leaf *before = index > 0 ? parent->entry[index - 1].child : NULL;
    struct btree_leaf *after = index + 1 < parent->count ? parent->entry[index + 1].child : NULL;
    leaf->prev = before ? before : after->prev;
    leaf->next = before ? before->next : after;
    if (leaf->prev)
        leaf->prev->next = leaf;
    if (leaf->next)
        leaf->next->prev = leaf;
    return node;
}

/* Evens child `index` and the one behind it out, or puts all into the first. */
static void pair_even_out(struct btree *tree, struct btree_inner *parent, size_t index, size_t level)
{
    void *left = parent->entry[index].child, *right = parent->entry[index + 1].child;
    size_t have = btree_node_count(left, level);
    size_t want = (have + btree_node_count(right, level)) / 2;
    if (have > want)
        node_move_right(tree, level, left, right, have - want);
    else if (have < want)
        node_move_left(tree, level, left, right, want - have);
    entry_renew(tree, parent, index, level);
    entry_renew(tree, parent, index + 1, level);
}

/* Puts a new node between child `index` and the one behind it, which gives it a third each. */
static void pair_make_three(struct btree *tree, struct btree_inner *parent, size_t index, size_t level)
{
    void *left = parent->entry[index].child, *right = parent->entry[index + 1].child;
    void *middle = child_add(tree, parent, index + 1, level);
    node_move_right(tree, level, left, middle, btree_node_count(left, level) / 3);
    node_move_left(tree, level, middle, right, btree_node_count(right, level) / 3);
    for (size_t i = 0; i < 3; i++)
        entry_renew(tree, parent, index + i, level);
}

/* Puts a new node behind child `index`, and gives it the last `n` of its entries. */
static void split(struct btree *tree, struct btree_inner *parent, size_t index, size_t level, size_t n)
{
    void *left = parent->entry[index].child;
    void *right = child_add(tree, parent, index + 1, level);
    node_move_right(tree, level, left, right, n);
    entry_renew(tree, parent, index, level);
    entry_renew(tree, parent, index + 1, level);
}

static void root_make_room(struct btree *tree)
{
    if (tree->height == 0) {
        struct btree_leaf *leaf = tree->root;
        if (leaf->room < BTREE_LEAF_ROOM) {
            tree->root = btree_leaf_resize(tree, leaf, btree_leaf_next_room(leaf->room));
            return;
        }
    }
    ASSERT(tree->height + 1 < BTREE_LEVELS_MAX);
    struct btree_inner *root = btree_inner_create(tree);
    root->count = 1;
    root->entry[0].child = tree->root;
    entry_renew(tree, root, 0, tree->height);
    tree->root = root;
    tree->height++;
}

/* The child beside `index` that holds less, or `index` if there is none. */
static size_t sparser_neighbour(const struct btree_inner *parent, size_t index, size_t level)
{
    bool left = index > 0, right = index + 1 < parent->count;
    if (left && right)
        left = btree_node_count(parent->entry[index - 1].child, level) <=
               btree_node_count(parent->entry[index + 1].child, level);
    return left ? index - 1 : right ? index + 1 : index;
}

void btree_make_room(struct btree *tree, struct btree_path *path, size_t level)
{
    if (level == tree->height) {
        root_make_room(tree);
        return;
    }
    struct btree_inner *parent = path->step[level + 1].node;
    size_t index = path->step[level + 1].index, other = sparser_neighbour(parent, index, level);
    size_t pair = other < index ? other : index;
    size_t share_min = level ? INNER_SHARE_MIN : LEAF_SHARE_MIN;
    if (other != index && room_of(level) - btree_node_count(parent->entry[other].child, level) >= share_min) {
        pair_even_out(tree, parent, pair, level);
        return;
    }
    if (parent->count == BTREE_INNER_ROOM) {
        btree_make_room(tree, path, level + 1);
        return;
    }
    /* The index in a leaf is that of the new item, in an inner node that of the child that wants to be two. */
    size_t at = path->step[level].index, last = room_of(level) - (level > 0);
    if (index + 1 == parent->count && at == last)
        split(tree, parent, index, level, 1);
    else if (index == 0 && at == 0)
        split(tree, parent, index, level, room_of(level) - 1);
    else if (other == index)
        split(tree, parent, index, level, room_of(level) / 2);
    else
        pair_make_three(tree, parent, pair, level);
}

static void child_drop(struct btree *tree, struct btree_inner *parent, size_t index, size_t child_level)
{
    node_destroy(tree, parent->entry[index].child, child_level);
    btree_inner_close(parent, index, 1);
}

/* Repairs the path's node of a level below the root. True if its parent lost an entry. */
static bool node_relieve(struct btree *tree, struct btree_path *path, size_t level, bool share)
{
    struct btree_inner *parent = path->step[level + 1].node;
    size_t index = path->step[level + 1].index;
    size_t count = btree_node_count(path->step[level].node, level);
    if (count == 0) {
        child_drop(tree, parent, index, level);
        if (index == 0 && parent->count > 0)
            btree_refresh_first(tree, path, level + 1);
        return true;
    }
    size_t other = sparser_neighbour(parent, index, level);
    if (!share || count >= sparse_limit(level) || other == index)
        return false;
    size_t pair = other < index ? other : index;
    size_t total = count + btree_node_count(parent->entry[other].child, level);
    if (total > merge_max(level)) {
        pair_even_out(tree, parent, pair, level);
        return false;
    }
    void *left = parent->entry[pair].child, *right = parent->entry[pair + 1].child;
    node_move_left(tree, level, left, right, btree_node_count(right, level));
    child_drop(tree, parent, pair + 1, level);
    entry_renew(tree, parent, pair, level);
    return true;
}

void btree_root_relieve(struct btree *tree)
{
    while (tree->height > 0) {
        struct btree_inner *root = tree->root;
        if (root->count > 1)
            return;
        tree->root = root->entry[0].child;
        node_destroy(tree, root, tree->height--);
    }
    struct btree_leaf *leaf = tree->root;
    if (leaf->count == 0) {
        btree_leaf_destroy(tree, leaf);
        tree->root = NULL;
    } else if (leaf->count < leaf->room / 2) {
        size_t room = 2, wanted = leaf->count + leaf->count / 4u + 1;
        while (room < wanted)
            room = btree_leaf_next_room(room);
        if (room < leaf->room)
            tree->root = btree_leaf_resize(tree, leaf, room);
    }
}

void btree_node_relieve(struct btree *tree, struct btree_path *path, size_t level)
{
    node_relieve(tree, path, level, true);
}

void btree_relieve(struct btree *tree, struct btree_path *path, bool share)
{
    if (path->step[0].index == 0 && btree_node_count(path->step[0].node, 0) > 0)
        btree_refresh_first(tree, path, 0);
    for (size_t level = 0; level < tree->height; level++)
        if (!node_relieve(tree, path, level, share))
            break;
    btree_root_relieve(tree);
}
