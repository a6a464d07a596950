/*
 * How a large set is kept: a table of members, one allocation each.
 *
 *   length : 1 | bytes                    up to 254 bytes: a member of 16 bytes takes 17, and 32 with the allocator
 *   255 : 1 | length : 8 | bytes          longer ones
 *
 * Members are compared length first, then bytes, within table_find. The struct knows what its members take, so that
 * MEMORY USAGE is O(1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ds/listpack.h"
#include "ds/table.h"
#include "entry_priv.h"
#include "store/set.h"

enum { SET_SHORT_MAX = 254, SET_LONG = 255, SET_LONG_HEADER = 9 };

struct set_table {
    struct table table;
    size_t member_bytes; /* of all items, as the allocator rounds them */
    size_t lost;         /* items that are no members any more, if any: those whose slots are marked (set_pop.c) */
};

static inline bool set_slot_is_lost(const struct set_table *set, const uint64_t *slot)
{
    return __builtin_expect(set->lost != 0, 0) && table_slot_marked(slot);
}

static inline size_t set_item_size(size_t len)
{
    return len <= SET_SHORT_MAX ? len + 1 : len + SET_LONG_HEADER;
}

static inline struct bytes set_item_bytes(const void *item)
{
    const unsigned char *at = item;
    if (__builtin_expect(*at != SET_LONG, 1))
        return (struct bytes){ (const char *)at + 1, *at };
    uint64_t len;
    memcpy(&len, at + 1, sizeof len);
    return (struct bytes){ (const char *)at + SET_LONG_HEADER, len };
}

static inline struct set_member set_item_member(const void *item)
{
    struct bytes text = set_item_bytes(item);
    return (struct set_member){ text.ptr, { text.len } };
}

static inline struct set_member set_member_from_number(int64_t number)
{
    return (struct set_member){ NULL, { .number = number } };
}

static inline struct set_member set_member_in_listpack(const unsigned char *pack, uint32_t at)
{
    struct listpack_value value = listpack_get(pack, at);
    return value.text ? (struct set_member){ value.text, { value.len } } : set_member_from_number(value.number);
}

/* A table_match_fn; `sought` is a struct bytes. */
static inline bool set_item_is(const void *item, const void *sought)
{
    const struct bytes *text = sought;
    struct bytes own = set_item_bytes(item);
    return own.len == text->len && entry_same_bytes(own.ptr, text->ptr, own.len);
}

static inline uint64_t set_hash(struct bytes member)
{
    return hash_bytes(member.ptr, member.len);
}

static inline uint64_t *set_table_find(const struct set_table *set, struct bytes member, uint64_t hash)
{
    uint64_t *slot = table_find(&set->table, hash, set_item_is, &member);
    return slot && set_slot_is_lost(set, slot) ? NULL : slot;
}

/* Bytes that an item of `size` bytes takes, as the allocator rounds them; of the smallest known without a call. */
static inline size_t set_item_memory(const void *item, size_t size)
{
#ifdef LARDER_JEMALLOC
    if (size <= 8)
        return 8;
    if (size <= 128)
        return (size + 15) & ~(size_t)15;
#endif
    (void)size;
    return mem_usable_size(item);
}

/* Takes the item of `slot` out and frees it. */
void set_table_remove(struct set_table *set, uint64_t hash, uint64_t *slot);

/* Frees an item that is in no table any more. */
void set_item_free(struct set_table *set, void *item);

/* The next slots of a table, at most SET_BATCH, lost ones too, whose items are asked for; 0 at the end. */
unsigned set_walk_slots(struct set_walk *walk, uint64_t **slots);

/* To be called before the set of an edit changes, once for each member that comes or goes. */
void set_edit_note(struct set_edit *edit);
