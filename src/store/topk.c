/*
 * Slots, a heap of their numbers by count, and an index from hash to slot with linear probing, twice as large. Removal
 * from the index moves back what had to step aside, so that there are no tombstones.
 *
 * The heap is lazy: a count in it is at most the slot's own, which may have grown since. So what is counted again costs
 * an addition; only who asks for the least puts the top right, as often as it is not what it says.
 */
#include "store/topk.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define NONE UINT32_MAX /* no slot */

struct slot {
    uint64_t hash, count, error;
    char *key; /* owned */
    uint32_t key_len, key_room;
    uint32_t place; /* index in the heap */
    int db;
    bool cut;
};

struct place {
    uint64_t count;  /* at most the slot's */
    uint32_t number; /* of the slot */
};

struct topk {
    struct slot *slots; /* owned: `capacity` */
    struct place *heap; /* owned: the least first */
    uint32_t *index;    /* owned: numbers of slots, or NONE */
    uint32_t capacity, used, mask;
    size_t key_bytes;
    uint64_t total;
};

/* --- The index --- */

static uint32_t home_of(const struct topk *topk, uint64_t hash)
{
    return (uint32_t)(hash >> 24) & topk->mask;
}

/* Where in the index the key's slot is, or where it would be. */
static uint32_t seek(const struct topk *topk, uint64_t hash, int db)
{
    uint32_t at = home_of(topk, hash);
    for (;; at = (at + 1) & topk->mask) {
        uint32_t number = topk->index[at];
        if (number == NONE || (topk->slots[number].hash == hash && topk->slots[number].db == db))
            return at;
    }
}

static void index_remove(struct topk *topk, uint32_t at)
{
    for (uint32_t next = (at + 1) & topk->mask;; next = (next + 1) & topk->mask) {
        uint32_t number = topk->index[next];
        if (number == NONE)
            break;
        uint32_t home = home_of(topk, topk->slots[number].hash);
        if (((next - home) & topk->mask) < ((next - at) & topk->mask))
            continue; /* it would come to stand in front of its home */
        topk->index[at] = number;
        at = next;
    }
    topk->index[at] = NONE;
}

/* The slots that are used are the first ones, and stay. */
static void set_room(struct topk *topk, uint32_t room)
{
    size_t places = 1;
    while (places < 2 * (size_t)room)
        places *= 2;
    topk->capacity = room;
    topk->mask = (uint32_t)places - 1;
    topk->slots = mem_realloc(topk->slots, room * sizeof *topk->slots);
    topk->heap = mem_realloc(topk->heap, room * sizeof *topk->heap);
    mem_free(topk->index);
    topk->index = mem_alloc(places * sizeof *topk->index);
    memset(topk->index, 0xff, places * sizeof *topk->index);
    for (uint32_t i = 0; i < topk->used; i++)
        topk->index[seek(topk, topk->slots[i].hash, topk->slots[i].db)] = i;
}

struct topk *topk_create(size_t slots)
{
    ASSERT(slots > 0 && slots < UINT32_MAX / 8);
    struct topk *topk = mem_zalloc(sizeof *topk);
    set_room(topk, (uint32_t)slots);
    return topk;
}

void topk_clear(struct topk *topk)
{
    for (uint32_t i = 0; i < topk->used; i++)
        mem_free(topk->slots[i].key);
    topk->used = 0;
    topk->total = 0;
    topk->key_bytes = 0;
    memset(topk->index, 0xff, (topk->mask + (size_t)1) * sizeof *topk->index);
}

void topk_destroy(struct topk *topk)
{
    if (!topk)
        return;
    for (uint32_t i = 0; i < topk->used; i++)
        mem_free(topk->slots[i].key);
    mem_free(topk->slots);
    mem_free(topk->heap);
    mem_free(topk->index);
    mem_free(topk);
}

/* --- The heap --- */

static inline void put_at(struct topk *topk, uint32_t at, struct place place)
{
    topk->heap[at] = place;
    topk->slots[place.number].place = at;
}

static void sift_up(struct topk *topk, uint32_t at)
{
    struct place moved = topk->heap[at];
    for (; at > 0 && moved.count < topk->heap[(at - 1) / 2].count; at = (at - 1) / 2)
        put_at(topk, at, topk->heap[(at - 1) / 2]);
    put_at(topk, at, moved);
}

static void sift_down(struct topk *topk, uint32_t at)
{
    struct place moved = topk->heap[at];
    for (;;) {
        uint32_t least = 2 * at + 1;
        if (least >= topk->used)
            break;
        if (least + 1 < topk->used && topk->heap[least + 1].count < topk->heap[least].count)
            least++;
        if (topk->heap[least].count >= moved.count)
            break;
        put_at(topk, at, topk->heap[least]);
        at = least;
    }
    put_at(topk, at, moved);
}

/* Puts the least on top. Amortised O(log slots) for each count that grew. */
static uint32_t settle_top(struct topk *topk)
{
    for (;;) {
        struct place *top = &topk->heap[0];
        uint64_t count = topk->slots[top->number].count;
        if (top->count == count)
            return top->number;
        top->count = count;
        sift_down(topk, 0);
    }
}

/* --- Slots --- */

static void slot_name(struct topk *topk, struct slot *slot, uint64_t hash, int db, struct bytes key)
{
    uint32_t len = key.len < TOPK_KEY_MAX ? (uint32_t)key.len : TOPK_KEY_MAX;
    if (len > slot->key_room || len < slot->key_room / 4) { /* names are of about one length: most fit */
        slot->key = mem_realloc(slot->key, len);
        topk->key_bytes += len;
        topk->key_bytes -= slot->key_room;
        slot->key_room = len;
    }
    if (len)
        memcpy(slot->key, key.ptr, len);
    slot->key_len = len;
    slot->cut = len < key.len;
    slot->hash = hash;
    slot->db = db;
}

/* A slot for a new key: a free one, or the least's, whose count stays in it. */
static struct slot *slot_take(struct topk *topk, uint64_t hash, int db, struct bytes key)
{
    uint32_t number;
    if (topk->used < topk->capacity) {
        number = topk->used++;
        topk->slots[number] = (struct slot){ 0 };
        topk->heap[number] = (struct place){ 0, number };
        sift_up(topk, number);
    } else {
        number = settle_top(topk);
        index_remove(topk, seek(topk, topk->slots[number].hash, topk->slots[number].db));
    }
    struct slot *slot = &topk->slots[number];
    slot_name(topk, slot, hash, db, key);
    topk->index[seek(topk, hash, db)] = number;
    return slot;
}

void topk_add(struct topk *topk, uint64_t hash, int db, struct bytes key, uint64_t weight)
{
    topk->total += weight;
    uint32_t number = topk->index[seek(topk, hash, db)];
    struct slot *slot = number == NONE ? slot_take(topk, hash, db, key) : &topk->slots[number];
    if (number == NONE)
        slot->error = slot->count;
    slot->count += weight;
}

/* The last slot fills the hole. */
static void slot_remove(struct topk *topk, uint32_t at)
{
    uint32_t number = topk->index[at], last = --topk->used;
    index_remove(topk, at);
    uint32_t place = topk->slots[number].place;
    if (place != last) {
        put_at(topk, place, topk->heap[last]);
        sift_down(topk, place);
        sift_up(topk, place);
    }
    topk->key_bytes -= topk->slots[number].key_room;
    mem_free(topk->slots[number].key);
    if (number != last) {
        topk->index[seek(topk, topk->slots[last].hash, topk->slots[last].db)] = number;
        topk->slots[number] = topk->slots[last];
        topk->heap[topk->slots[number].place].number = number;
    }
    topk->slots[last] = (struct slot){ 0 };
}

void topk_set_slots(struct topk *topk, size_t slots)
{
    ASSERT(slots > 0 && slots < UINT32_MAX / 8);
    while (topk->used > slots) {
        const struct slot *least = &topk->slots[settle_top(topk)];
        slot_remove(topk, seek(topk, least->hash, least->db));
    }
    if (topk->capacity != slots)
        set_room(topk, (uint32_t)slots);
}

void topk_put(struct topk *topk, uint64_t hash, int db, struct bytes key, uint64_t value)
{
    uint32_t at = seek(topk, hash, db), number = topk->index[at];
    if (number == NONE && (!value || value <= topk_least(topk)))
        return;
    if (!value) {
        slot_remove(topk, at);
        return;
    }
    struct slot *slot = number == NONE ? slot_take(topk, hash, db, key) : &topk->slots[number];
    slot->count = value;
    slot->error = 0;
    struct place *place = &topk->heap[slot->place];
    if (value < place->count) {
        place->count = value;
        sift_up(topk, slot->place);
    }
}

uint64_t topk_least(struct topk *topk)
{
    return topk->used < topk->capacity ? 0 : topk->slots[settle_top(topk)].count;
}

void topk_fade(struct topk *topk)
{
    topk->total /= 2;
    for (uint32_t i = 0; i < topk->used; i++) {
        topk->slots[i].count /= 2;
        topk->slots[i].error /= 2;
        topk->heap[i].count /= 2;
    }
}

uint64_t topk_total(const struct topk *topk)
{
    return topk->total;
}

static int compare(const void *a, const void *b)
{
    const struct topk_item *left = a, *right = b;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return left->error < right->error ? -1 : left->error > right->error;
}

size_t topk_best(const struct topk *topk, struct topk_item *out, size_t max)
{
    struct topk_item *all = mem_alloc(topk->used * sizeof *all);
    for (uint32_t i = 0; i < topk->used; i++) {
        const struct slot *slot = &topk->slots[i];
        all[i] = (struct topk_item){ { slot->key, slot->key_len }, slot->hash, slot->db, slot->cut, slot->count,
            slot->error };
    }
    if (topk->used)
        qsort(all, topk->used, sizeof *all, compare);
    size_t count = 0;
    for (; count < topk->used && count < max && all[count].count; count++)
        out[count] = all[count];
    mem_free(all);
    return count;
}

size_t topk_memory(const struct topk *topk)
{
    return sizeof *topk + topk->capacity * (sizeof *topk->slots + sizeof *topk->heap) +
           (topk->mask + (size_t)1) * sizeof *topk->index + topk->key_bytes;
}
