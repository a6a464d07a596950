/*
 * Documents as a whole: comparing and measuring them.
 */
#include "json/doc.h"

#include "base/fiber.h"
#include "tree_priv.h"

enum { COST_OF_PAIR = 3 }; /* of comparing two values, in tens of ns */

static bool string_equal(struct bytes a, struct bytes b)
{
    enum { PIECE = 64 * 1024, COST_OF_PIECE = 500 };

    if (a.len != b.len || a.len <= PIECE)
        return bytes_equal(a, b);
    for (size_t at = 0; at < a.len; at += PIECE) {
        if (memcmp(a.ptr + at, b.ptr + at, a.len - at < PIECE ? a.len - at : PIECE) != 0)
            return false;
        fiber_breathe(COST_OF_PIECE);
    }
    return true;
}

static bool object_equal(struct json_value a, struct json_value b, bool strict)
{
    struct json_iter iter;

    for (json_iter_init(&iter, a); json_iter_next(&iter);) {
        fiber_breathe(COST_OF_PAIR);
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
        fiber_breathe(COST_OF_PAIR);
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
        return string_equal(json_string(a), json_string(b));
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

/* Bytes behind a slot, from about `budget` values that are looked at. */
static double bytes_about(struct json_value value, uint32_t budget, uint32_t *chance)
{
    enum { SAMPLES = 64 };
    double bytes = (double)own_bytes(value);

    if (!json_is_container(value) || json_len(value) == 0)
        return bytes;
    struct json_value tree = tree_of(value);
    unsigned tag = json_kind(value) == JSON_ARRAY ? JSON_TAG_ARRAY : JSON_TAG_OBJECT;
    uint32_t len = json_len(value), samples = budget == 0 ? 1 : budget < SAMPLES || len <= budget ? budget : SAMPLES;
    if (len < samples)
        samples = len;
    double part = (double)len / samples, sum = 0;
    for (uint32_t i = 0; i < samples; i++) {
        /* One of each part of the container, at a place by chance, since most documents repeat themselves. */
        *chance = *chance * 0x915f77f5u + 1;
        uint32_t at = samples == len ? i : (uint32_t)(part * (i + (*chance >> 8) * 0x1p-24));
        const struct json_node *leaf = tree_leaf(tree, &at);
        sum += (double)node_size(tag, leaf->cap) / leaf->count;
        sum += bytes_about(leaf->slots[at], budget / samples, chance);
    }
    return bytes + sum * part;
}

size_t json_value_bytes_about(const struct json_value *value)
{
    enum { EXACTLY = 2000, LOOKED_AT = 512 };
    struct json_measure measure;
    uint32_t chance = 1;

    json_measure_begin(&measure, value);
    if (json_measure_step(&measure, EXACTLY))
        return measure.bytes;
    return sizeof(*value) + (size_t)bytes_about(*value, LOOKED_AT, &chance);
}

size_t json_value_bytes(const struct json_value *value)
{
    struct json_measure measure;

    json_measure_begin(&measure, value);
    json_measure_step(&measure, SIZE_MAX);
    return measure.bytes;
}
