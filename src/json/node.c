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
    RETURNS = 32, /* keys whose references are counted before they are given back */
    FAR = 8,      /* so many slots ahead a value is prefetched, ... */
    NEAR = 3,     /* ... and so many what stands in it, ... */
    FETCHED = 16, /* ... as far as this */
};

static inline _Atomic uint32_t *refs_of(struct json_value value)
{
    return json_pointer(value);
}

struct json_node *node_create(unsigned tag, size_t count)
{
    size_t size = node_size(tag, count);
    struct json_node *node = mem_alloc(size);

    node_begin(node, 0, (size - sizeof(*node)) / slot_bytes(tag));
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
    to->is_measured = 0;
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

    if (atomic_load_explicit(&node->refs, memory_order_acquire) == 1) {
        node->is_measured = 0;
        return node;
    }
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

/* True for a string that is taken down in steps. */
static inline bool text_is_long(struct json_value value)
{
    return json_tag(value) == JSON_TAG_STRING && ((const struct json_text *)json_pointer(value))->len > TEXT_STEP;
}

/* Frees a string or box that has no references; a long string goes to the trash. */
static void scalar_free(struct json_value dead, struct json_trash *trash)
{
    if (!text_is_long(dead)) {
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

/* Gives a reference back; true if it was the last. Who finds that he is the only holder need not count down. */
static inline bool value_let_go(struct json_value value)
{
    _Atomic uint32_t *refs = refs_of(value);

    return atomic_load_explicit(refs, memory_order_acquire) == 1 ||
           atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* References to keys that are given back together, as the objects of a document share their keys. All zero is none. */
struct key_returns {
    json_key keys[RETURNS];
    uint64_t counts[RETURNS];
};

/* True if a key died. */
static inline bool key_return(struct key_returns *returns, json_key key)
{
    unsigned place = key % RETURNS;
    bool died = false;

    if (returns->keys[place] != key) {
        died = returns->counts[place] != 0 && json_key_unref_many(returns->keys[place], returns->counts[place]);
        returns->keys[place] = key;
        returns->counts[place] = 0;
    }
    returns->counts[place]++;
    return died;
}

static void keys_settle(const struct key_returns *returns)
{
    for (unsigned i = 0; i < RETURNS; i++) {
        if (returns->counts[i] != 0)
            json_key_unref_many(returns->keys[i], returns->counts[i]);
    }
}

/* Links a container that has no references into the trash. What dies with its last slot follows, so O(depth). Its keys
 * are given back at once if `returns` is NULL. */
static void trash_push(struct json_trash *trash, struct json_value dead, struct key_returns *returns)
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
        if (tag == JSON_TAG_OBJECT && returns != NULL)
            key_return(returns, leaf_keys(node)[last]);
        else if (tag == JSON_TAG_OBJECT)
            json_key_unref(leaf_keys(node)[last]);
        node->slots[last] = trash->head;
        trash->head = dead;
        if (!value_is_counted(value) || !value_let_go(value))
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
    if (!value_is_counted(value) || !value_let_go(value))
        return;
    if (json_tag(value) <= JSON_TAG_BOX)
        scalar_free(value, trash);
    else
        trash_push(trash, value, NULL);
}

/* What will be looked at soon: nearly all the time of taking a document down goes into waiting for it. */
static inline void prefetch_dead(struct json_value value)
{
    if (!value_is_counted(value))
        return;
    __builtin_prefetch(json_pointer(value), 1);
    if (json_tag(value) > JSON_TAG_BOX)
        __builtin_prefetch((const char *)json_pointer(value) + 64, 1);
}

/* The same for what stands in something that has been fetched by now. */
static inline void prefetch_content(struct json_value value)
{
    if (!tag_is_leaf(json_tag(value)))
        return;
    const struct json_node *node = node_of(value);
    unsigned count = node->count < FETCHED ? node->count : FETCHED;
    for (unsigned i = 0; i < count; i++)
        prefetch_dead(node->slots[i]);
}

/* Takes slots off the container at the head of the trash, until it is gone, something that died with a slot has become
 * the head, or the budget is spent. Returns what it cost. */
static size_t node_shorten(struct json_trash *trash, struct key_returns *returns, size_t budget)
{
    struct json_value dead = trash->head, value = JSON_VALUE_NONE;
    struct json_node *node = node_of(dead);
    unsigned last = node->count - 1u, tag = json_tag(dead);
    struct json_value link = node->slots[last];
    const json_key *keys = tag == JSON_TAG_OBJECT ? leaf_keys(node) : NULL;
    size_t cost = 0;
    bool followed = false;

    while (last > 0 && cost < budget && !followed) {
        value = node->slots[--last];
        cost++;
        if (last >= FAR)
            prefetch_dead(node->slots[last - FAR]);
        if (last >= NEAR)
            prefetch_content(node->slots[last - NEAR]);
        if (keys != NULL && key_return(returns, keys[last]))
            cost += KEY_COST;
        if (!value_is_counted(value) || !value_let_go(value))
            continue;
        followed = json_tag(value) > JSON_TAG_BOX || text_is_long(value);
        if (!followed)
            mem_free(json_pointer(value));
    }
    node->slots[last] = link;
    node->count = (uint16_t)(last + 1);
    if (!followed && last == 0 && cost < budget) {
        trash->head = link;
        node_free(node, tag);
        return cost + 1;
    }
    if (followed && json_tag(value) > JSON_TAG_BOX)
        trash_push(trash, value, returns);
    else if (followed)
        scalar_free(value, trash);
    return cost;
}

bool json_trash_drain(struct json_trash *trash, size_t budget)
{
    struct key_returns returns = { 0 };

    while (trash->head.bits != 0 && budget != 0) {
        size_t cost = TEXT_COST;
        if (json_tag(trash->head) == JSON_TAG_STRING)
            text_shorten(trash);
        else
            cost = node_shorten(trash, &returns, budget);
        budget -= budget < cost ? budget : cost;
    }
    keys_settle(&returns);
    return trash->head.bits == 0;
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
