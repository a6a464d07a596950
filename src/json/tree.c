/*
 * Trees: large arrays, and the members of large objects in their order.
 *
 * Counted B-trees of up to 255 children and leaves of up to 511 elements (340 members), grown by splitting. What is
 * full splits in halves, but at its end it is left full and a new one begun: documents are mostly appended to. Nothing
 * is merged: nodes shrink with their content, and an empty one goes, so sparse trees cost height, not memory.
 *
 * Every function makes the nodes that it changes its own on the way down; elsewhere nothing is copied.
 */
#include "tree_priv.h"

#include "base/fiber.h"

enum { COST_OF_CUT = 30 }; /* of a node that is cut off whole, in tens of ns */

/* What an insertion below left over: a node to the right of the one that was full. */
struct split {
    struct json_value right; /* none: nothing was split */
    uint32_t low;            /* lower bound of the sequence numbers in it */
};

struct insertion {
    struct json_value value;
    json_key key;
    uint32_t sequence;
    struct json_trash *trash;
};

static void leaf_put(struct json_value *slot, uint32_t at, const struct insertion *what)
{
    struct json_node *leaf = node_reserve(slot, node_of(*slot)->count + 1u);
    unsigned rest = leaf->count - at;

    memmove(&leaf->slots[at + 1], &leaf->slots[at], rest * sizeof(leaf->slots[0]));
    leaf->slots[at] = what->value;
    if (json_tag(*slot) == JSON_TAG_OBJECT) {
        uint32_t *keys = leaf_keys(leaf);
        memmove(&keys[at + 1], &keys[at], rest * sizeof(keys[0]));
        keys[at] = what->key;
    }
    leaf->count++;
}

static struct split leaf_insert(struct json_value *slot, uint32_t at, const struct insertion *what)
{
    struct json_node *leaf = node_of(*slot);
    unsigned tag = json_tag(*slot), most = tag == JSON_TAG_ARRAY ? ARRAY_LEAF_MAX : OBJECT_LEAF_MAX;

    if (leaf->count < most) {
        leaf_put(slot, at, what);
        return (struct split){ 0 };
    }
    /* An object's leaf is only ever inserted into at its end. */
    unsigned keep = at == leaf->count ? at : leaf->count / 2u, moved = leaf->count - keep;
    struct json_node *right = node_create(tag, moved + 1);
    memcpy(right->slots, &leaf->slots[keep], moved * sizeof(right->slots[0]));
    right->count = (uint16_t)moved;
    leaf->count = (uint16_t)keep;
    struct split split = { value_of(right, tag), what->sequence };
    if (at < keep)
        leaf_put(slot, at, what);
    else
        leaf_put(&split.right, at - keep, what);
    node_shrink(slot);
    return split;
}

static void inner_put(struct json_value *slot, unsigned at, struct json_value child, uint32_t low)
{
    struct json_node *inner = node_reserve(slot, node_of(*slot)->count + 1u);
    unsigned rest = inner->count - at;
    uint32_t *ends = inner_ends(inner), *lows = inner_lows(inner), len = subtree_len(child);

    memmove(&inner->slots[at + 1], &inner->slots[at], rest * sizeof(inner->slots[0]));
    memmove(&ends[at + 1], &ends[at], rest * sizeof(ends[0]));
    memmove(&lows[at + 1], &lows[at], rest * sizeof(lows[0]));
    inner->slots[at] = child;
    ends[at] = at == 0 ? 0 : ends[at - 1];
    lows[at] = low;
    inner->count++;
    for (unsigned i = at; i < inner->count; i++)
        ends[i] += len;
}

/* Puts a child in; `ends` do not count it yet. */
static struct split inner_insert(struct json_value *slot, unsigned at, struct json_value child, uint32_t low)
{
    struct json_node *inner = node_of(*slot);

    if (inner->count < INNER_MAX) {
        inner_put(slot, at, child, low);
        return (struct split){ 0 };
    }
    unsigned keep = at == inner->count ? at : inner->count / 2u, moved = inner->count - keep;
    struct json_node *right = node_create(TAG_INNER, moved + 1);
    struct split split = { value_of(right, TAG_INNER), moved == 0 ? low : inner_lows(inner)[keep] };
    memcpy(right->slots, &inner->slots[keep], moved * sizeof(right->slots[0]));
    memcpy(inner_lows(right), &inner_lows(inner)[keep], moved * sizeof(uint32_t));
    for (unsigned i = 0; i < moved; i++)
        inner_ends(right)[i] = inner_ends(inner)[keep + i] - inner_ends(inner)[keep - 1];
    right->count = (uint16_t)moved;
    inner->count = (uint16_t)keep;
    if (at < keep)
        inner_put(slot, at, child, low);
    else
        inner_put(&split.right, at - keep, child, low);
    return split;
}

/* What child `at` of a node lost to its right neighbour goes in beside it. */
static struct split inner_adopt(struct json_value *slot, unsigned at, struct split below)
{
    struct json_node *inner = node_of(*slot);

    if (below.right.bits == 0)
        return below;
    uint32_t len = subtree_len(below.right);
    for (unsigned i = at; i < inner->count; i++)
        inner_ends(inner)[i] -= len;
    return inner_insert(slot, at + 1, below.right, below.low);
}

static struct split insert_below(struct json_value *slot, uint32_t at, const struct insertion *what)
{
    struct json_node *node = node_own(slot, what->trash);

    if (tag_is_leaf(json_tag(*slot)))
        return leaf_insert(slot, at, what);
    unsigned child = inner_find(node, at);
    uint32_t before = child == 0 ? 0 : inner_ends(node)[child - 1];
    struct split below = insert_below(&node->slots[child], at - before, what);
    for (unsigned i = child; i < node->count; i++)
        inner_ends(node)[i]++;
    return inner_adopt(slot, child, below);
}

/* Puts a new root above the old one and what it was split into. */
static void root_grow(struct json_value *root, struct split split, bool is_array)
{
    if (split.right.bits == 0)
        return;
    struct json_node *old = node_of(*root);
    unsigned tag = tag_is_leaf(json_tag(*root)) ? json_tag(*root) : TAG_INNER;
    *root = value_of(node_create(TAG_INNER, 2), is_array ? JSON_TAG_ARRAY_TREE : TAG_INNER);
    inner_put(root, 0, value_of(old, tag), 0);
    inner_put(root, 1, split.right, split.low);
}

void tree_insert(struct json_value *root, uint32_t at, struct json_value value, json_key key, uint32_t sequence,
    struct json_trash *trash)
{
    struct insertion what = { value, key, sequence, trash };

    root_grow(root, insert_below(root, at, &what), key == 0);
}

static struct split append_below(struct json_value *slot, struct json_value leaf, struct json_trash *trash)
{
    struct json_node *node = node_own(slot, trash);
    unsigned last = node->count - 1u;

    if (tag_is_leaf(json_tag(node->slots[last])))
        return inner_insert(slot, node->count, leaf, 0);
    struct split below = append_below(&node->slots[last], leaf, trash);
    inner_ends(node)[last] += subtree_len(leaf);
    return inner_adopt(slot, last, below);
}

void tree_append_leaf(struct json_value *root, struct json_value leaf, struct json_trash *trash)
{
    if (tag_is_leaf(json_tag(*root)))
        root_grow(root, (struct split){ leaf, 0 }, true);
    else
        root_grow(root, append_below(root, leaf, trash), true);
}

static void leaf_remove(struct json_value *slot, uint32_t at, uint32_t count, struct json_trash *trash)
{
    struct json_node *leaf = node_of(*slot);
    unsigned rest = leaf->count - at - count;

    for (uint32_t i = 0; i < count; i++)
        json_value_release(leaf->slots[at + i], trash);
    memmove(&leaf->slots[at], &leaf->slots[at + count], rest * sizeof(leaf->slots[0]));
    if (json_tag(*slot) == JSON_TAG_OBJECT) {
        uint32_t *keys = leaf_keys(leaf);
        for (uint32_t i = 0; i < count; i++)
            json_key_unref(keys[at + i]);
        memmove(&keys[at], &keys[at + count], rest * sizeof(keys[0]));
    }
    leaf->count = (uint16_t)(leaf->count - count);
    node_shrink(slot);
}

static void remove_below(struct json_value *slot, uint32_t at, uint32_t count, struct json_trash *trash)
{
    struct json_node *node = node_own(slot, trash);

    if (tag_is_leaf(json_tag(*slot))) {
        leaf_remove(slot, at, count, trash);
        return;
    }
    uint32_t *ends = inner_ends(node), *lows = inner_lows(node);
    unsigned kept = inner_find(node, at);
    uint32_t begin = kept == 0 ? 0 : ends[kept - 1], end = begin;
    for (unsigned i = kept; i < node->count; i++) {
        uint32_t len = ends[i] - begin, from = at > begin ? at - begin : 0;
        uint32_t gone = from >= len ? 0 : count < len - from ? count : len - from;
        begin = ends[i];
        count -= gone;
        if (gone == len) {
            json_value_release(node->slots[i], trash);
            fiber_breathe(COST_OF_CUT);
            continue;
        }
        if (gone != 0)
            remove_below(&node->slots[i], from, gone, trash);
        end += len - gone;
        node->slots[kept] = node->slots[i];
        ends[kept] = end;
        lows[kept++] = lows[i];
    }
    node->count = (uint16_t)kept;
    node_shrink(slot);
}

void tree_remove(struct json_value *root, uint32_t at, uint32_t count, struct json_trash *trash)
{
    bool is_array = json_kind_of_tag[json_tag(*root)] == JSON_ARRAY;

    remove_below(root, at, count, trash);
    while (!tag_is_leaf(json_tag(*root)) && node_of(*root)->count == 1) {
        struct json_node *node = node_of(*root);
        struct json_value child = node->slots[0];
        node_free(node, TAG_INNER);
        bool is_leaf = tag_is_leaf(json_tag(child));
        *root = is_leaf || !is_array ? child : value_of(node_of(child), JSON_TAG_ARRAY_TREE);
    }
}
