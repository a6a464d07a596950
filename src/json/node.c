/*
 * Nodes: making, copying, resizing; references, and what happens when the last one goes.
 *
 * A dead container is linked into the trash by its last slot, whose content was let go of first; draining takes one
 * slot after the other from the end, moving the link down with it (the way back is kept in what is being taken apart,
 * as in Schorr's and Waite's marking, 1967). So trash needs no memory and every step is O(1). A very long string, which
 * the allocator gives back to the system at once, is linked by its first bytes and shortened from its end.
 */
#include "node_priv.h"

#include "tree_priv.h"

enum {
    TEXT_STEP = 1 << 20, /* bytes of a string that are given back at once */
    TEXT_COST = 1000,    /* what that costs, in slots; and the last reference to a key */
    KEY_COST = 10,
};

static inline _Atomic uint32_t *refs_of(struct json_value value)
{
    return json_pointer(value);
}

struct json_node *node_try_create(unsigned tag, size_t count)
{
    size_t size = node_size(tag, count);
    struct json_node *node = mem_try_alloc(size);

    if (node == NULL)
        return NULL;
    atomic_init(&node->refs, 1);
    node->count = 0;
    node->cap = (uint16_t)((size - sizeof(*node)) / slot_bytes(tag));
    return node;
}

struct json_node *node_create(unsigned tag, size_t count)
{
    size_t size = node_size(tag, count);
    struct json_node *node = mem_alloc(size);

    atomic_init(&node->refs, 1);
    node->count = 0;
    node->cap = (uint16_t)((size - sizeof(*node)) / slot_bytes(tag));
    return node;
}

void node_free(struct json_node *node, unsigned tag)
{
    if (tag == JSON_TAG_OBJECT_TREE)
        mem_free_sized(node, sizeof(struct json_large));
    else if (tag == TAG_INDEX)
        mem_free_sized(node, index_node_size(node));
    else
        mem_free_sized(node, node_size(tag, node->cap));
}

struct json_value json_value_ref(struct json_value value)
{
    if (value_is_counted(value)) {
        uint32_t before = atomic_fetch_add_explicit(refs_of(value), 1, memory_order_relaxed);
        ASSERT(before < UINT32_MAX - 1024);
    }
    return value;
}

/* Copies the content of a node into one with enough room, whose slots are its own afterwards. */
static void node_fill(struct json_node *to, const struct json_node *from, unsigned tag)
{
    to->count = from->count;
    memcpy(to->slots, from->slots, from->count * sizeof(to->slots[0]));
    if (tag == JSON_TAG_OBJECT) {
        memcpy(leaf_keys(to), leaf_keys(from), from->count * sizeof(uint32_t));
    } else if (tag != JSON_TAG_ARRAY) {
        memcpy(inner_ends(to), inner_ends(from), from->count * sizeof(uint32_t));
        memcpy(inner_lows(to), inner_lows(from), from->count * sizeof(uint32_t));
    }
}

static struct json_node *large_clone(const struct json_large *from)
{
    struct json_large *to = mem_alloc(sizeof(*to));

    atomic_init(&to->refs, 1);
    to->count = from->count;
    to->cap = from->cap;
    to->order = json_value_ref(from->order);
    to->index = json_value_ref(from->index);
    to->sequence = from->sequence;
    to->unused = 0;
    to->index_bytes = from->index_bytes;
    return (struct json_node *)to;
}

static struct json_node *node_clone(const struct json_node *from, unsigned tag)
{
    if (tag == JSON_TAG_OBJECT_TREE)
        return large_clone((const struct json_large *)from);
    if (tag == TAG_INDEX)
        return index_clone(from);
    struct json_node *to = node_create(tag, from->count);
    node_fill(to, from, tag);
    for (unsigned i = 0; i < to->count; i++)
        json_value_ref(to->slots[i]);
    if (tag == JSON_TAG_OBJECT) {
        for (unsigned i = 0; i < to->count; i++)
            json_key_ref(leaf_keys(to)[i], 1);
    }
    return to;
}

struct json_node *node_own(struct json_value *slot, struct json_trash *trash)
{
    struct json_node *node = node_of(*slot);
    unsigned tag = json_tag(*slot);

    if (atomic_load_explicit(&node->refs, memory_order_acquire) == 1)
        return node;
    struct json_node *copy = node_clone(node, tag);
    json_value_release(*slot, trash);
    *slot = value_of(copy, tag);
    return copy;
}

static struct json_node *node_resize(struct json_value *slot, size_t count)
{
    struct json_node *node = node_of(*slot);
    unsigned tag = json_tag(*slot);
    struct json_node *moved = node_create(tag, count);

    node_fill(moved, node, tag);
    node_free(node, tag);
    *slot = value_of(moved, tag);
    return moved;
}

struct json_node *node_reserve(struct json_value *slot, size_t count)
{
    struct json_node *node = node_of(*slot);

    return count <= node->cap ? node : node_resize(slot, count);
}

void node_shrink(struct json_value *slot)
{
    const struct json_node *node = node_of(*slot);

    if (node->cap > 4 && node->count < node->cap / 2)
        node_resize(slot, node->count);
}

/* What follows a dead value in the trash. */
static inline struct json_value *trash_link(struct json_value dead)
{
    if (json_tag(dead) == JSON_TAG_STRING)
        return (struct json_value *)(void *)((struct json_text *)json_pointer(dead))->data;
    return &node_of(dead)->slots[node_of(dead)->count - 1];
}

/* Frees a string or box that has no references; a long string goes to the trash. */
static void scalar_free(struct json_value dead, struct json_trash *trash)
{
    if (json_tag(dead) != JSON_TAG_STRING || ((struct json_text *)json_pointer(dead))->len <= TEXT_STEP) {
        mem_free(json_pointer(dead));
        return;
    }
    *trash_link(dead) = trash->head;
    trash->head = dead;
}

/* Takes a part off the string at the head of the trash, or all that is left of it. */
static void text_shorten(struct json_trash *trash)
{
    struct json_text *text = json_pointer(trash->head), *shorter = NULL;
    struct json_value link = *trash_link(trash->head);

    if (text->len > TEXT_STEP) {
        text->len -= TEXT_STEP;
        shorter = mem_try_realloc(text, sizeof(*text) + text->len);
    }
    if (shorter == NULL) {
        mem_free(text);
        trash->head = link;
    } else {
        trash->head = value_of(shorter, JSON_TAG_STRING);
    }
}

/* Links a container that has no references into the trash. What dies with its last slot follows, so O(depth). */
static void trash_push(struct json_trash *trash, struct json_value dead)
{
    for (;;) {
        struct json_node *node = node_of(dead);
        unsigned tag = json_tag(dead);
        if (node->count == 0 || (tag == TAG_INDEX && index_is_bucket(node))) {
            node_free(node, tag);
            return;
        }
        unsigned last = node->count - 1u;
        struct json_value value = node->slots[last];
        if (tag == JSON_TAG_OBJECT)
            json_key_unref(leaf_keys(node)[last]);
        node->slots[last] = trash->head;
        trash->head = dead;
        if (!value_is_counted(value) || atomic_fetch_sub_explicit(refs_of(value), 1, memory_order_acq_rel) != 1)
            return;
        if (json_tag(value) <= JSON_TAG_BOX) {
            scalar_free(value, trash);
            return;
        }
        dead = value;
    }
}

void json_value_release(struct json_value value, struct json_trash *trash)
{
    if (!value_is_counted(value) || atomic_fetch_sub_explicit(refs_of(value), 1, memory_order_acq_rel) != 1)
        return;
    if (json_tag(value) <= JSON_TAG_BOX)
        scalar_free(value, trash);
    else
        trash_push(trash, value);
}

/* Takes one slot off the container at the head of the trash. True if a key died, which costs more. */
static bool node_shorten(struct json_trash *trash)
{
    struct json_value dead = trash->head;
    struct json_node *node = node_of(dead);
    unsigned last = node->count - 1u, tag = json_tag(dead);
    struct json_value link = node->slots[last];

    if (last == 0) {
        trash->head = link;
        node_free(node, tag);
        return false;
    }
    struct json_value value = node->slots[last - 1];
    bool key_died = tag == JSON_TAG_OBJECT && json_key_unref(leaf_keys(node)[last - 1]);
    node->slots[last - 1] = link;
    node->count = (uint16_t)last;
    json_value_release(value, trash);
    return key_died;
}

bool json_trash_drain(struct json_trash *trash, size_t budget)
{
    while (trash->head.bits != 0) {
        size_t cost = 1;
        if (budget == 0)
            return false;
        if (json_tag(trash->head) == JSON_TAG_STRING) {
            text_shorten(trash);
            cost = TEXT_COST;
        } else if (node_shorten(trash)) {
            cost = KEY_COST;
        }
        budget -= budget < cost ? budget : cost;
    }
    return true;
}

void json_value_destroy(struct json_value value)
{
    struct json_trash trash = { JSON_VALUE_NONE };

    json_value_release(value, &trash);
    json_trash_drain(&trash, SIZE_MAX);
}

void json_trash_move(struct json_trash *to, struct json_trash *from)
{
    while (from->head.bits != 0) {
        struct json_value head = from->head;
        struct json_value *link = trash_link(head);
        if (to->head.bits == 0) {
            *to = *from;
            from->head = JSON_VALUE_NONE;
            return;
        }
        from->head = *link;
        *link = to->head;
        to->head = head;
    }
}
