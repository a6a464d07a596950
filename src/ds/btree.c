/*
 * The btree's ways down, and its edits.
 *
 * A descent compares prefixes in inner nodes and tags in the leaf; only entries that tie with the key have their item
 * read. The cache lines of the leaf that a search reads are asked for together, as soon as the leaf is known: at a
 * million items its misses are nearly all that a look-up costs.
 *
 * Edits go down once, change the leaf and the counts on the way, and leave the shape to btree_balance.c: an insert that
 * finds its leaf full has room made, a step at a time, and goes down again.
 */
#include "ds/btree.h"

#include "base/mem.h"
#include "btree_priv.h"

enum {
    CACHE_LINE = 64,
    FIRST_ROOM = 2,
    RUN_LONG = 8, /* equal tags that make an insert look for a better scale */
};

/* True if an item that ties in prefix or tag lies before the place that is sought. */
static inline bool is_before(const struct btree_key *key, bool inclusive, const void *item)
{
    int order = key->compare(key->key, item);
    return inclusive ? order >= 0 : order > 0;
}

/* The child to go down to: the last whose first item lies before the place that is sought, or else child 0. */
static size_t inner_search(const struct btree_inner *inner, const struct btree_key *key, bool inclusive)
{
    const uint64_t *from = inner->prefix;
    for (size_t half, n = inner->count; n > 1; n -= half) {
        half = n / 2;
        from += half & (0 - (size_t)(from[half - 1] < key->prefix));
    }
    size_t low = (size_t)(from - inner->prefix) + (*from < key->prefix), high = low;
    while (high < inner->count && inner->prefix[high] == key->prefix)
        high++;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (is_before(key, inclusive, inner->entry[middle].first))
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : 0;
}

/* The end of the items from `index` on that have this tag. */
static size_t run_end(const struct btree_leaf *leaf, size_t index, uint16_t tag)
{
    if (index + RUN_LONG < leaf->count && leaf->tag[index + RUN_LONG] == tag)
        return tag < UINT16_MAX ? btree_leaf_search(leaf, tag + 1) : leaf->count;
    while (index < leaf->count && leaf->tag[index] == tag)
        index++;
    return index;
}

/* The first item of a leaf that is not below the key. */
static size_t leaf_search(const struct btree_leaf *leaf, const struct btree_key *key)
{
    uint16_t tag = btree_leaf_tag(leaf, key->prefix);
    size_t low = btree_leaf_search(leaf, tag), high = run_end(leaf, low, tag);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (is_before(key, false, btree_leaf_item(leaf, middle)))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Asks for all of a leaf: its tags are searched, then a pointer is read, or half of both moved. */
static void leaf_prefetch(const struct btree_leaf *leaf)
{
    for (size_t i = 0; i < BTREE_LEAF_BYTES; i += CACHE_LINE)
        __builtin_prefetch((const char *)leaf + i);
}

/* Down to the leaf; leaves its index to the caller. */
static inline struct btree_leaf *descend_to_leaf(
    const struct btree *tree, const struct btree_key *key, bool inclusive, struct btree_path *path)
{
    void *node = tree->root;
    for (size_t level = tree->height; level > 0; level--) {
        struct btree_inner *inner = node;
        size_t index = inner_search(inner, key, inclusive);
        path->step[level].node = inner;
        path->step[level].index = index;
        node = inner->entry[index].child;
        if (level == 1)
            leaf_prefetch(node);
    }
    path->step[0].node = node;
    return node;
}

void btree_descend(const struct btree *tree, const struct btree_key *key, bool inclusive, struct btree_path *path)
{
    path->step[0].index = leaf_search(descend_to_leaf(tree, key, inclusive, path), key);
}

void btree_descend_rank(const struct btree *tree, size_t rank, struct btree_path *path)
{
    void *node = tree->root;
    for (size_t level = tree->height; level > 0; level--) {
        struct btree_inner *inner = node;
        size_t index = 0;
        for (; rank >= inner->entry[index].items; index++)
            rank -= inner->entry[index].items;
        path->step[level].node = inner;
        path->step[level].index = index;
        node = inner->entry[index].child;
    }
    path->step[0].node = node;
    path->step[0].index = rank;
}

/* The item knows itself by its address: ties in the leaf need no comparison. */
bool btree_descend_to(const struct btree *tree, const void *item, struct btree_path *path)
{
    if (tree->count == 0)
        return false;
    struct btree_key key = btree_key_of(tree, item);
    const struct btree_leaf *leaf = descend_to_leaf(tree, &key, true, path);
    uint16_t tag = btree_leaf_tag(leaf, key.prefix);
    for (size_t i = btree_leaf_search(leaf, tag); i < leaf->count && leaf->tag[i] == tag; i++)
        if (btree_leaf_item(leaf, i) == item) {
            path->step[0].index = i;
            return true;
        }
    return false;
}

/* To the place behind the last item. */
static void descend_to_end(const struct btree *tree, struct btree_path *path)
{
    void *node = tree->root;
    for (size_t level = tree->height; level > 0; level--) {
        struct btree_inner *inner = node;
        path->step[level].node = inner;
        path->step[level].index = inner->count - 1;
        node = inner->entry[inner->count - 1].child;
    }
    path->step[0].node = node;
    path->step[0].index = btree_node_count(node, 0);
}

void btree_init(struct btree *tree, const struct btree_type *type)
{
    *tree = (struct btree){ .type = type };
}

static void nodes_free(struct btree *tree, void *node, size_t level)
{
    if (level == 0) {
        const struct btree_leaf *leaf = node;
        mem_free_sized(node, btree_leaf_size(leaf->room));
        return;
    }
    const struct btree_inner *inner = node;
    for (size_t i = 0; i < inner->count; i++)
        nodes_free(tree, inner->entry[i].child, level - 1);
    mem_free_sized(node, sizeof(*inner));
}

void btree_fini(struct btree *tree)
{
    if (tree->root)
        nodes_free(tree, tree->root, tree->height);
    btree_init(tree, tree->type);
}

size_t btree_overhead_bytes(const struct btree *tree)
{
    size_t leaves = tree->leaves, lone = 0;
    if (tree->root && tree->height == 0) {
        lone = mem_good_size(btree_leaf_size(((const struct btree_leaf *)tree->root)->room));
        leaves--;
    }
    return lone + leaves * mem_good_size(btree_leaf_size(BTREE_LEAF_ROOM)) +
           tree->inners * mem_good_size(sizeof(struct btree_inner));
}

static bool leaf_is_full(const struct btree_path *path)
{
    const struct btree_leaf *leaf = path->step[0].node;
    return leaf->count == leaf->room;
}

static void first_leaf_create(struct btree *tree, uint64_t prefix)
{
    struct btree_leaf *leaf = btree_leaf_create(tree, FIRST_ROOM);
    leaf->base = prefix;
    tree->root = leaf;
}

/* Puts the item where the path ends. */
static void place(struct btree *tree, const struct btree_path *path, void *item, uint64_t prefix)
{
    struct btree_leaf *leaf = path->step[0].node;
    size_t index = path->step[0].index;
    btree_leaf_open(leaf, index, 1);
    btree_leaf_set(leaf, index, item, prefix);
    btree_add_count(tree, path, 1);
    if (index == 0)
        btree_refresh_first(tree, path, 0);
    uint16_t tag = leaf->tag[index];
    if ((index + RUN_LONG < leaf->count && leaf->tag[index + RUN_LONG] == tag) ||
        (index >= RUN_LONG && leaf->tag[index - RUN_LONG] == tag))
        btree_leaf_fit_scale(tree, leaf);
}

void *btree_insert(struct btree *tree, void *item)
{
    struct btree_key key = btree_key_of(tree, item);
    if (!tree->root)
        first_leaf_create(tree, key.prefix);
    struct btree_path path;
    for (;; btree_make_room(tree, &path, 0)) {
        btree_descend(tree, &key, true, &path);
        const struct btree_leaf *leaf = path.step[0].node;
        size_t index = path.step[0].index;
        if (index < leaf->count && leaf->tag[index] == btree_leaf_tag(leaf, key.prefix)) {
            void *there = btree_leaf_item(leaf, index);
            if (tree->type->compare(item, there) == 0)
                return there;
        }
        if (!leaf_is_full(&path))
            break;
    }
    place(tree, &path, item, key.prefix);
    return NULL;
}

void btree_append(struct btree *tree, void *item)
{
    uint64_t prefix = btree_prefix_of(tree, item);
    if (!tree->root)
        first_leaf_create(tree, prefix);
    struct btree_path path;
    descend_to_end(tree, &path);
    for (; leaf_is_full(&path); descend_to_end(tree, &path))
        btree_make_room(tree, &path, 0);
    place(tree, &path, item, prefix);
}

/*
 * Takes `n` items out from where the path ends. What lies at either end of a leaf may have been all that its scale was
 * wide for.
 */
static void take_out(struct btree *tree, struct btree_path *path, size_t n, bool share)
{
    struct btree_leaf *leaf = path->step[0].node;
    size_t index = path->step[0].index;
    btree_leaf_close(leaf, index, n);
    btree_add_count(tree, path, -(uint64_t)n);
    if (share && (index == 0 || index == leaf->count))
        btree_leaf_fit_scale(tree, leaf);
    btree_relieve(tree, path, share);
}

bool btree_remove(struct btree *tree, const void *item)
{
    struct btree_path path;
    if (!btree_descend_to(tree, item, &path))
        return false;
    take_out(tree, &path, 1, true);
    return true;
}

size_t btree_remove_range(struct btree *tree, size_t rank, size_t n, void **removed)
{
    size_t done = 0;
    while (done < n && rank < tree->count) {
        struct btree_path path;
        btree_descend_rank(tree, rank, &path);
        const struct btree_leaf *leaf = path.step[0].node;
        size_t index = path.step[0].index, here = leaf->count - index;
        if (here > n - done)
            here = n - done;
        for (size_t i = 0; removed && i < here; i++)
            removed[done + i] = btree_leaf_item(leaf, index + i);
        take_out(tree, &path, here, true);
        done += here;
    }
    return done;
}

size_t btree_drain(struct btree *tree, void **items, size_t max)
{
    size_t done = 0;
    while (done < max && tree->count > 0) {
        struct btree_path path;
        descend_to_end(tree, &path);
        const struct btree_leaf *leaf = path.step[0].node;
        size_t here = leaf->count;
        if (here > max - done)
            here = max - done;
        for (size_t i = 0; i < here; i++)
            items[done + i] = btree_leaf_item(leaf, leaf->count - 1 - i);
        path.step[0].index = leaf->count - here;
        take_out(tree, &path, here, false);
        done += here;
    }
    return done;
}

bool btree_replace(struct btree *tree, const void *item, void *replacement)
{
    struct btree_path path;
    if (!btree_descend_to(tree, item, &path))
        return false;
    size_t index = path.step[0].index;
    btree_leaf_set(path.step[0].node, index, replacement, btree_prefix_of(tree, replacement));
    if (index == 0)
        btree_refresh_first(tree, &path, 0);
    return true;
}
