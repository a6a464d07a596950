/*
 * Open addressing: the place of an item and 32 bits of its hash, at most half full.
 */
#include <string.h>

#include "acl_priv.h"
#include "base/fiber.h"
#include "base/hash.h"
#include "base/mem.h"

enum { ROOM_FIRST = 64, SLOT_COST = 1 };

struct acl_index_slot {
    uint32_t hash, place; /* 1 + that in the list; 0: free */
};

static uint32_t hash_of(struct bytes text, uint32_t number)
{
    return (uint32_t)hash_bytes(text.ptr ? text.ptr : "", text.len) ^ number * 0x9e3779b1u;
}

static void put(struct acl_index *index, struct acl_index_slot slot)
{
    size_t at = slot.hash & (index->room - 1);
    while (index->slots[at].place)
        at = (at + 1) & (index->room - 1);
    index->slots[at] = slot;
}

static void make_room(struct acl_index *index)
{
    struct acl_index_slot *old = index->slots;
    size_t old_room = index->room;
    index->room = old_room ? 2 * old_room : ROOM_FIRST;
    index->slots = mem_zalloc(index->room * sizeof *index->slots);
    for (size_t i = 0; i < old_room; i++) {
        fiber_breathe(SLOT_COST);
        if (old[i].place)
            put(index, old[i]);
    }
    mem_free(old);
}

void acl_index_add(struct acl_index *index, struct bytes text, uint32_t number)
{
    if (2 * (index->count + 1) > index->room)
        make_room(index);
    put(index, (struct acl_index_slot){ hash_of(text, number), (uint32_t)++index->count });
}

size_t acl_index_find(const struct acl_index *index, struct bytes text, uint32_t number,
    bool (*is)(const void *list, size_t at, struct bytes text, uint32_t number), const void *list)
{
    uint32_t hash = hash_of(text, number);
    for (size_t at = hash; index->room; at++) {
        struct acl_index_slot slot = index->slots[at & (index->room - 1)];
        if (!slot.place)
            break;
        if (slot.hash == hash && is(list, slot.place - 1, text, number))
            return slot.place - 1;
    }
    return SIZE_MAX;
}

void acl_index_drop(struct acl_index *index)
{
    mem_free(index->slots);
    *index = (struct acl_index){ 0 };
}
