/*
 * Documents as a whole: comparing and measuring them.
 */
#include "json/doc.h"

#include "node_priv.h"

static bool object_equal(struct json_value a, struct json_value b, bool strict)
{
    struct json_iter iter;

    for (json_iter_init(&iter, a); json_iter_next(&iter);) {
        const struct json_value *other = json_object_get(b, iter.key);
        if (other == NULL || !json_equal(iter.value, other, strict))
            return false;
    }
    return true;
}

static bool array_equal(struct json_value a, struct json_value b, bool strict)
{
    struct json_iter left, right;

    json_iter_init(&left, a);
    json_iter_init(&right, b);
    while (json_iter_next(&left) && json_iter_next(&right)) {
        if (!json_equal(left.value, right.value, strict))
            return false;
    }
    return true;
}

bool json_equal(const struct json_value *a, const struct json_value *b, bool strict)
{
    enum json_kind kind = json_kind(*a), other = json_kind(*b);

    if (a->bits == b->bits)
        return true;
    if (!strict && json_is_number(*a) && json_is_number(*b))
        return json_number_compare(*a, *b) == 0;
    if (kind != other)
        return false;
    if (kind == JSON_STRING)
        return bytes_equal(json_string(a), json_string(b));
    if (json_is_number(*a))
        return json_number_compare(*a, *b) == 0;
    if (kind < JSON_ARRAY || json_len(*a) != json_len(*b))
        return false;
    return kind == JSON_ARRAY ? array_equal(*a, *b, strict) : object_equal(*a, *b, strict);
}

unsigned json_depth(struct json_value value, unsigned enough)
{
    struct json_iter iter;
    unsigned deepest = 0;

    if (!json_is_container(value))
        return 0;
    if (enough <= 1)
        return 1;
    for (json_iter_init(&iter, value); deepest < enough - 1 && json_iter_next(&iter);) {
        unsigned depth = json_depth(*iter.value, enough - 1);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

/* Inner nodes from here on, not leaves: one in 340 * 255 elements or fewer. */
static size_t inner_bytes(struct json_value tree)
{
    const struct json_node *node = node_of(tree);

    if (tag_is_leaf(json_tag(tree)))
        return 0;
    size_t bytes = node_size(TAG_INNER, node->cap);
    for (unsigned i = 0; i < node->count && !tag_is_leaf(json_tag(node->slots[i])); i++)
        bytes += inner_bytes(node->slots[i]);
    return bytes;
}

/* What a value takes behind its slot but for leaves and what is in them. */
static size_t own_bytes(struct json_value value)
{
    switch (json_tag(value)) {
    case JSON_TAG_STRING:
        return mem_usable_size(json_pointer(value));
    case JSON_TAG_BOX:
        return sizeof(struct json_box);
    case JSON_TAG_ARRAY_TREE:
        return inner_bytes(value);
    case JSON_TAG_OBJECT_TREE:
        return inner_bytes(large_of(value)->order) + large_of(value)->index_bytes + sizeof(struct json_large);
    case JSON_TAG_ARRAY:
    case JSON_TAG_OBJECT:
        /* The leaf of an empty one is met by no walk. */
        return node_of(value)->count == 0 ? node_size(json_tag(value), node_of(value)->cap) : 0;
    default:
        return 0;
    }
}

static void measure_enter(struct json_measure *measure, struct json_value value)
{
    measure->bytes += own_bytes(value);
    if (!json_is_container(value))
        return;
    ASSERT(measure->depth <= JSON_MAX_DEPTH);
    json_iter_init(&measure->stack[measure->depth++], value);
}

void json_measure_begin(struct json_measure *measure, const struct json_value *value)
{
    measure->depth = 0;
    measure->bytes = sizeof(*value);
    measure_enter(measure, *value);
}

bool json_measure_step(struct json_measure *measure, size_t budget)
{
    while (measure->depth != 0) {
        struct json_iter *iter = &measure->stack[measure->depth - 1];
        bool next_leaf = iter->slot == iter->end;
        if (budget-- == 0)
            return false;
        if (!json_iter_next(iter)) {
            measure->depth--;
            continue;
        }
        if (next_leaf) {
            const struct json_node *leaf =
                (const struct json_node *)((const char *)iter->value - offsetof(struct json_node, slots));
            measure->bytes += node_size(iter->keys == NULL ? JSON_TAG_ARRAY : JSON_TAG_OBJECT, leaf->cap);
        }
        measure_enter(measure, *iter->value);
    }
    return true;
}

size_t json_value_bytes(const struct json_value *value)
{
    struct json_measure measure;

    json_measure_begin(&measure, value);
    json_measure_step(&measure, SIZE_MAX);
    return measure.bytes;
}
