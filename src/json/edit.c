/*
 * Edits: the way down, made this document's own, and then the change.
 *
 * A large object keeps two things in step: the members in order, and the index from key to sequence number. The number
 * of the next member only grows; when 2^32 of them are used up the object is built anew.
 */
#include "json/edit.h"

#include "base/fiber.h"
#include "tree_priv.h"

const struct json_value *json_doc_at(const struct json_doc *doc, const uint32_t *steps, size_t count)
{
    const struct json_value *slot = &doc->root;

    for (size_t i = 0; i < count && slot != NULL; i++) {
        enum json_kind kind = json_kind(*slot);
        if (kind == JSON_OBJECT)
            slot = json_object_get(*slot, steps[i]);
        else
            slot = kind == JSON_ARRAY && steps[i] < json_array_len(*slot) ? json_array_at(*slot, steps[i]) : NULL;
    }
    return slot;
}

static bool is_shared(struct json_value value)
{
    return value_is_counted(value) &&
           atomic_load_explicit((_Atomic uint32_t *)json_pointer(value), memory_order_acquire) > 1;
}

bool json_doc_is_shared(const struct json_doc *doc, const uint32_t *steps, size_t count)
{
    const struct json_value *slot = &doc->root;
    bool shared = is_shared(*slot);

    for (size_t i = 0; i < count && !shared; i++) {
        struct json_value tree = tree_of(*slot);
        bool is_array = json_kind(*slot) == JSON_ARRAY;
        uint32_t at = steps[i];
        if (json_tag(*slot) == JSON_TAG_OBJECT_TREE && !index_get(large_of(*slot)->index, steps[i], &at))
            return false;
        for (shared = is_shared(tree); !shared && !tag_is_leaf(json_tag(tree)); shared = is_shared(tree)) {
            const struct json_node *inner = node_of(tree);
            unsigned child = is_array ? inner_find(inner, at) : inner_find_low(inner, at);
            at -= is_array && child != 0 ? inner_ends(inner)[child - 1] : 0;
            tree = inner->slots[child];
        }
        if (!shared)
            slot = &node_of(tree)->slots[is_array ? at : leaf_find(node_of(tree), steps[i])];
    }
    return shared || is_shared(*slot);
}

struct json_value *json_doc_open(struct json_doc *doc, const uint32_t *steps, size_t count, struct json_trash *trash)
{
    struct json_value *slot = &doc->root;

    if (json_doc_at(doc, steps, count) == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        slot = json_kind(*slot) == JSON_OBJECT ? json_object_open(slot, steps[i], trash)
                                               : json_array_open(slot, steps[i], trash);
    return slot;
}

void json_set(struct json_value *slot, struct json_value value, struct json_trash *trash)
{
    struct json_value old = *slot;

    *slot = value;
    json_value_release(old, trash);
}

struct json_value *json_array_open(struct json_value *array, uint32_t at, struct json_trash *trash)
{
    struct json_node *node = node_own(array, trash);

    while (!tag_is_leaf(json_tag(*array))) {
        unsigned child = inner_find(node, at);
        at -= child == 0 ? 0 : inner_ends(node)[child - 1];
        array = &node->slots[child];
        node = node_own(array, trash);
    }
    return &node->slots[at];
}

bool json_array_insert(
    struct json_value *array, uint32_t at, const struct json_value *values, uint32_t count, struct json_trash *trash)
{
    ASSERT(at <= json_array_len(*array));
    if (count > UINT32_MAX - 1 - json_array_len(*array))
        return false;
    for (uint32_t i = 0; i < count; i++)
        tree_insert(array, at + i, values[i], 0, 0, trash);
    return true;
}

bool json_array_append(struct json_value *array, struct json_value value, struct json_trash *trash)
{
    return json_array_insert(array, json_array_len(*array), &value, 1, trash);
}

void json_array_remove(struct json_value *array, uint32_t at, uint32_t count, struct json_trash *trash)
{
    uint32_t len = json_array_len(*array);

    ASSERT(at <= len && count <= len - at);
    if (count == len)
        json_set(array, json_make_array(), trash);
    else if (count != 0)
        tree_remove(array, at, count, trash);
}

struct json_value json_array_take(struct json_value *array, uint32_t at, struct json_trash *trash)
{
    struct json_value value = json_value_ref(*json_array_at(*array, at));

    json_array_remove(array, at, 1, trash);
    return value;
}

void object_enlarge(struct json_value *object, struct json_trash *trash)
{
    struct json_node *leaf = node_own(object, trash);
    struct json_large *large = mem_zalloc(sizeof(*large));

    atomic_init(&large->refs, 1);
    large->count = large->cap = 2;
    large->order = *object;
    for (unsigned i = 0; i < leaf->count; i++)
        index_put(large, leaf_keys(leaf)[i], large->sequence++, trash);
    *object = value_of(large, JSON_TAG_OBJECT_TREE);
}

/* Adds a member that is not there yet. */
static void object_append(struct json_value *object, json_key key, struct json_value value, struct json_trash *trash)
{
    json_key_ref(key, 1);
    if (json_tag(*object) == JSON_TAG_OBJECT) {
        if (node_own(object, trash)->count < OBJECT_LEAF_MAX) {
            tree_insert(object, node_of(*object)->count, value, key, 0, trash);
            return;
        }
        object_enlarge(object, trash);
    }
    struct json_large *large = (struct json_large *)node_own(object, trash);
    index_put(large, key, large->sequence, trash);
    tree_insert(&large->order, subtree_len(large->order), value, key, large->sequence, trash);
    large->sequence++;
}

/* A large object anew, with sequence numbers from 0. */
static void object_renumber(struct json_value *object, struct json_trash *trash)
{
    struct json_value fresh = json_make_object();
    struct json_iter iter;

    for (json_iter_init(&iter, *object); json_iter_next(&iter);)
        object_append(&fresh, iter.key, json_value_ref(*iter.value), trash);
    json_set(object, fresh, trash);
}

struct json_value *json_object_open(struct json_value *object, json_key key, struct json_trash *trash)
{
    uint32_t sequence = 0;
    struct json_value *slot = object;

    if (json_object_get(*object, key) == NULL)
        return NULL;
    struct json_node *node = node_own(slot, trash);
    if (json_tag(*object) == JSON_TAG_OBJECT_TREE) {
        struct json_large *large = large_of(*object);
        bool found = index_get(large->index, key, &sequence);
        ASSERT(found);
        slot = &large->order;
        node = node_own(slot, trash);
    }
    while (!tag_is_leaf(json_tag(*slot))) {
        slot = &node->slots[inner_find_low(node, sequence)];
        node = node_own(slot, trash);
    }
    return &node->slots[leaf_find(node, key)];
}

void json_object_set(struct json_value *object, json_key key, struct json_value value, struct json_trash *trash)
{
    struct json_value *slot = json_object_open(object, key, trash);

    if (slot != NULL) {
        json_set(slot, value, trash);
        return;
    }
    if (json_tag(*object) == JSON_TAG_OBJECT_TREE && large_of(*object)->sequence == UINT32_MAX)
        object_renumber(object, trash);
    object_append(object, key, value, trash);
}

bool json_object_put(struct json_value *object, struct bytes text, struct json_value value, struct json_trash *trash)
{
    json_key key = json_key_intern(text);

    if (key == 0)
        return false;
    json_object_set(object, key, value, trash);
    json_key_unref(key);
    return true;
}

/* Removes a member of a large object. */
static void large_remove(struct json_large *large, json_key key, struct json_trash *trash)
{
    uint32_t sequence, before = 0;
    bool found = index_get(large->index, key, &sequence);
    struct json_value tree = large->order;

    ASSERT(found);
    while (!tag_is_leaf(json_tag(tree))) {
        const struct json_node *inner = node_of(tree);
        unsigned child = inner_find_low(inner, sequence);
        before += child == 0 ? 0 : inner_ends(inner)[child - 1];
        tree = inner->slots[child];
    }
    uint32_t at = before + leaf_find(node_of(tree), key);
    index_remove(large, key, trash);
    tree_remove(&large->order, at, 1, trash);
}

bool json_object_remove(struct json_value *object, json_key key, struct json_trash *trash)
{
    if (json_object_get(*object, key) == NULL)
        return false;
    if (json_object_len(*object) == 1) {
        json_set(object, json_make_object(), trash);
        return true;
    }
    struct json_node *node = node_own(object, trash);
    if (json_tag(*object) == JSON_TAG_OBJECT_TREE)
        large_remove(large_of(*object), key, trash);
    else
        tree_remove(object, leaf_find(node, key), 1, trash);
    return true;
}

/* In a fiber it breathes. */
static void copy_text(char *to, struct bytes text)
{
    enum { PIECE = 64 * 1024, COST_OF_PIECE = 1500 };

    for (size_t at = 0; at < text.len; at += PIECE) {
        memcpy(to + at, text.ptr + at, text.len - at < PIECE ? text.len - at : PIECE);
        if (text.len > PIECE)
            fiber_breathe(COST_OF_PIECE);
    }
}

bool json_string_fits(struct json_value string, size_t more)
{
    if (json_tag(string) != JSON_TAG_STRING)
        return false;
    const struct json_text *text = json_pointer(string);
    return sizeof(*text) + text->len + more <= mem_usable_size(text);
}

bool json_string_append(struct json_value *string, struct bytes text, struct json_trash *trash)
{
    struct bytes old = json_string(string);
    struct json_value longer;
    size_t len = old.len + text.len;

    if (text.len == 0)
        return true;
    if (len <= JSON_SHORT_STRING) {
        char room[JSON_SHORT_STRING];
        memcpy(room, old.ptr, old.len);
        memcpy(room + old.len, text.ptr, text.len);
        return json_try_make_string(bytes_make(room, len), string);
    }
    if (len > JSON_TEXT_MAX)
        return false;
    struct json_text *moved = json_pointer(*string);
    if (json_tag(*string) == JSON_TAG_STRING && atomic_load_explicit(&moved->refs, memory_order_acquire) == 1) {
        /* The allocator's classes are a quarter apart, so this moves seldom enough. */
        if (sizeof(*moved) + len > mem_usable_size(moved))
            moved = mem_try_realloc(moved, sizeof(*moved) + len);
        if (moved == NULL)
            return false;
        longer = value_of(moved, JSON_TAG_STRING);
    } else {
        moved = text_try_create(len);
        if (moved == NULL)
            return false;
        copy_text(moved->data, old);
        longer = value_of(moved, JSON_TAG_STRING);
        json_value_release(*string, trash);
    }
    copy_text(moved->data + old.len, text);
    moved->len = (uint32_t)len;
    *string = longer;
    return true;
}

bool json_merge(struct json_value *slot, const struct json_value *patch, struct json_trash *trash)
{
    struct json_iter iter;

    if (json_kind(*patch) != JSON_OBJECT) {
        json_set(slot, json_value_ref(*patch), trash);
        return true;
    }
    if (json_kind(*slot) != JSON_OBJECT)
        json_set(slot, json_make_object(), trash);
    for (json_iter_init(&iter, *patch); json_iter_next(&iter);) {
        fiber_breathe(10);
        if (json_kind(*iter.value) == JSON_NULL) {
            json_object_remove(slot, iter.key, trash);
            continue;
        }
        struct json_value *member = json_object_open(slot, iter.key, trash);
        if (member == NULL) {
            json_object_set(slot, iter.key, JSON_VALUE_NULL, trash);
            member = json_object_open(slot, iter.key, trash);
        }
        if (!json_merge(member, iter.value, trash))
            return false;
    }
    return true;
}
