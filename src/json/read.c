/*
 * Looking into containers: by position, by key, one after the other.
 */
#include "tree_priv.h"

const struct json_node *tree_leaf(struct json_value root, uint32_t *at)
{
    while (!tag_is_leaf(json_tag(root))) {
        const struct json_node *inner = node_of(root);
        unsigned child = inner_find(inner, *at);
        *at -= child == 0 ? 0 : inner_ends(inner)[child - 1];
        root = inner->slots[child];
    }
    return node_of(root);
}

uint32_t json_array_len(struct json_value array)
{
    return subtree_len(array);
}

uint32_t json_object_len(struct json_value object)
{
    return subtree_len(tree_of(object));
}

const struct json_value *json_array_at(struct json_value array, uint32_t at)
{
    const struct json_node *leaf = tree_leaf(array, &at);

    DASSERT(at < leaf->count);
    return &leaf->slots[at];
}

const struct json_value *json_object_at(struct json_value object, uint32_t at, json_key *key)
{
    const struct json_node *leaf = tree_leaf(tree_of(object), &at);

    DASSERT(at < leaf->count);
    *key = leaf_keys(leaf)[at];
    return &leaf->slots[at];
}

const struct json_value *json_object_get(struct json_value object, json_key key)
{
    uint32_t sequence;
    struct json_value tree = object;

    if (json_tag(object) == JSON_TAG_OBJECT_TREE) {
        if (!index_get(large_of(object)->index, key, &sequence))
            return NULL;
        tree = large_of(object)->order;
        while (!tag_is_leaf(json_tag(tree)))
            tree = node_of(tree)->slots[inner_find_low(node_of(tree), sequence)];
    }
    const struct json_node *leaf = node_of(tree);
    unsigned at = leaf_find(leaf, key);
    return at == leaf->count ? NULL : &leaf->slots[at];
}

const struct json_value *json_object_find(struct json_value object, struct bytes text)
{
    json_key key = json_key_find(text);

    return key == 0 ? NULL : json_object_get(object, key);
}

void json_iter_init_at(struct json_iter *iter, struct json_value container, uint32_t from)
{
    *iter = (struct json_iter){ .at = from - 1, .len = json_len(container), .container = container };
}

bool json_iter_next_leaf(struct json_iter *iter)
{
    uint32_t at = iter->at + 1, begin = at;

    if (at >= iter->len)
        return false;
    const struct json_node *leaf = tree_leaf(tree_of(iter->container), &begin);
    iter->slot = &leaf->slots[begin];
    iter->end = &leaf->slots[leaf->count];
    iter->keys = json_kind_of_tag[json_tag(iter->container)] == JSON_OBJECT ? leaf_keys(leaf) + begin : NULL;
    return true;
}
