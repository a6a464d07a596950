/*
 * A walk from the top: a node is moved when it is entered, then its slots are gone through. The place is the way down
 * to where the last slice stopped, and the next one takes it again.
 *
 * A node with one reference, below nothing but such nodes, has one pointer to it: the slot that it was found in. All
 * others are passed over with what is below them, since readers may be there at any time, on any thread. A new
 * reference can only be made by whoever has one, which is the walk's own thread.
 */
#include "json/compact.h"

#include "base/mem.h"
#include "tree_priv.h"
#include "json/lengths.h"

struct walk {
    struct json_compact *place;
    struct mem_moves *moves;
    size_t items;
};

/* Strings, boxes and all nodes begin with their count. */
static bool is_shared(struct json_value value)
{
    const _Atomic uint32_t *refs = json_pointer(value);
    return atomic_load_explicit(refs, memory_order_acquire) != 1;
}

static bool walk_slot(struct walk *walk, struct json_value *slot, uint32_t level);

static void spend(struct walk *walk, size_t items)
{
    walk->items -= items < walk->items ? items : walk->items;
}

/* The slots of a node from place->at[level] on; false if it stopped there. */
static bool walk_slots(struct walk *walk, struct json_value *slots, unsigned count, uint32_t level)
{
    uint16_t *at = &walk->place->at[level];
    for (; *at < count; ++*at)
        if (!walk_slot(walk, &slots[*at], level + 1))
            return false;
    return true;
}

static bool walk_node(struct walk *walk, struct json_value value, uint32_t level)
{
    if (json_tag(value) == JSON_TAG_OBJECT_TREE) {
        struct json_large *large = large_of(value);
        struct json_value *const parts[] = { &large->order, &large->index };
        uint16_t *at = &walk->place->at[level];
        for (; *at < 2; ++*at)
            if (!walk_slot(walk, parts[*at], level + 1))
                return false;
        return true;
    }
    struct json_node *node = node_of(value);
    if (json_tag(value) == TAG_INDEX && index_is_bucket(node))
        return true;
    return walk_slots(walk, node->slots, node->count, level);
}

/* Goes through what is behind a slot; false if the slice is over, with the place in there. */
static bool walk_slot(struct walk *walk, struct json_value *slot, uint32_t level)
{
    bool goes_on = level < walk->place->depth; /* in the middle of what is behind this slot */
    if (!goes_on && !walk->items)
        return false;
    if (!goes_on)
        spend(walk, 1);
    bool stays = !value_is_counted(*slot) || is_shared(*slot) || level == JSON_COMPACT_LEVELS;
    if (!stays && !goes_on) {
        json_lengths_forget(*slot);
        *slot = value_of(mem_move(json_pointer(*slot), walk->moves), json_tag(*slot));
        walk->place->at[level] = 0;
    }
    if (stays || json_tag(*slot) == JSON_TAG_STRING || json_tag(*slot) == JSON_TAG_BOX) {
        walk->place->depth = level; /* what was there may have been a container */
        return true;
    }
    if (!goes_on)
        walk->place->depth = level + 1;
    bool done = walk_node(walk, *slot, level);
    if (done)
        walk->place->depth = level;
    return done;
}

bool json_compact(struct json_value *root, struct json_compact *place, size_t items, struct mem_moves *moves)
{
    struct walk walk = { place, moves, items ? items : 1 };
    if (!walk_slot(&walk, root, 0))
        return true;
    place->depth = 0;
    return false;
}
