/*
 * Sorted sets that are made as a whole: unions, intersections, stored ranges.
 *
 * Members first go into the table only, where each is found to have its score added up. The order is made once, at the
 * end, by sorting, and the tree is filled from its upper end, which packs its leaves.
 */
#include <stddef.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/sort.h"
#include "store/settings.h"
#include "store/value.h"
#include "store/zset.h"
#include "zset_priv.h"

/* What a round of a loop costs, for fiber_breathe. */
enum {
    PREFETCH_AHEAD = 8,
    MEMBER_COST = 20,
    ORDER_COST = 5,
    COMPARE_COST = 1,
    RESERVE_STEP = 10 * 1000, /* members that room is made for between two breaths */
    RESERVE_COST = 2000,
};

size_t zset_made_count(const struct zset *zset)
{
    return table_count(&zset->members);
}

void zset_make_prefetch(const struct zset *zset, struct bytes text)
{
    table_prefetch_bucket(&zset->members, hash_bytes(text.ptr, text.len));
}

double *zset_make_member(struct zset *zset, struct bytes text, bool *is_new)
{
    fiber_breathe(MEMBER_COST);
    uint64_t hash = hash_bytes(text.ptr, text.len);
    const uint64_t *slot = zset_find_slot(zset, text, hash);
    struct zset_member *member;
    if (slot) {
        member = table_slot_item(slot);
    } else {
        member = zset_member_create(zset, text, 0);
        if (!member)
            return NULL;
        table_insert(&zset->members, hash, member);
    }
    *is_new = !slot;
    return &member->score;
}

/* A member as it is sorted: what decides nearly always stands beside the pointer. */
struct sorted {
    uint64_t prefix; /* of the score */
    struct zset_member *member;
};

struct gather {
    struct sorted *members;
    size_t count;
};

static void gather(void *context, uint64_t *slot)
{
    struct gather *all = context;
    fiber_breathe(COMPARE_COST);
    all->members[all->count++].member = table_slot_item(slot);
}

static int compare_sorted(const void *a, const void *b)
{
    const struct sorted *one = a, *other = b;
    if (one->prefix != other->prefix)
        return one->prefix < other->prefix ? -1 : 1;
    return zset_compare_text(zset_member_text(one->member), zset_member_text(other->member));
}

static void prefetch_ahead(const struct gather *all, size_t index)
{
    if (index + PREFETCH_AHEAD < all->count)
        __builtin_prefetch(all->members[index + PREFETCH_AHEAD].member);
}

void zset_make_reserve(struct zset *zset, size_t count)
{
    for (size_t room = 0; room < count;) {
        room = count - room > RESERVE_STEP ? room + RESERVE_STEP : count;
        table_reserve(&zset->members, room);
        fiber_breathe(RESERVE_COST);
    }
}

static struct zset_member *member_of(double *score)
{
    return (struct zset_member *)((char *)score - offsetof(struct zset_member, score));
}

/* True if the first comes behind the second. */
static bool comes_after(const struct zset_member *a, const struct zset_member *b)
{
    struct sorted one = { btree_prefix_double(a->score), (struct zset_member *)a };
    struct sorted other = { btree_prefix_double(b->score), (struct zset_member *)b };
    return compare_sorted(&one, &other) > 0;
}

bool zset_make_order_as(struct zset *zset, double *const *scores, size_t count)
{
    ASSERT(btree_count(&zset->order) == 0);
    if (count != table_count(&zset->members))
        return false;
    for (size_t i = 1; i < count; i++) {
        fiber_breathe(COMPARE_COST);
        if (!comes_after(member_of(scores[i - 1]), member_of(scores[i])))
            return false;
    }
    for (size_t i = count; i-- > 0;) {
        fiber_breathe(ORDER_COST);
        btree_append(&zset->order, member_of(scores[i]));
    }
    table_unreserve(&zset->members);
    return true;
}

bool zset_make_order(struct zset *zset)
{
    ASSERT(btree_count(&zset->order) == 0);
    table_unreserve(&zset->members);
    size_t count = table_count(&zset->members);
    struct gather all = { mem_try_alloc(count * sizeof *all.members), 0 };
    if (!all.members)
        return false;
    uint64_t cursor = 0;
    do
        cursor = table_scan(&zset->members, cursor, gather, &all);
    while (cursor);
    ASSERT(all.count == count);
    for (size_t i = 0; i < count; i++) {
        fiber_breathe(ORDER_COST);
        prefetch_ahead(&all, i);
        all.members[i].prefix = btree_prefix_double(all.members[i].member->score);
    }
    bool sorted = sort_stable(all.members, count, sizeof *all.members, compare_sorted);
    for (size_t i = 0; i < count && sorted; i++) {
        fiber_breathe(ORDER_COST);
        prefetch_ahead(&all, i);
        btree_append(&zset->order, all.members[i].member);
    }
    mem_free(all.members);
    return sorted;
}

/* The set as a listpack, if it is small enough for one; else NULL. */
static unsigned char *pack(const struct keyspace *keyspace, const struct zset *zset)
{
    const struct store_settings *settings = keyspace->settings;
    if ((int64_t)zset_made_count(zset) > settings->zset_max_listpack_entries)
        return NULL;
    unsigned char *pack = listpack_create(0);
    struct zset_iter iter;
    for (bool more = zset_made_iter_begin(&iter, zset, 0, false); more; more = zset_iter_next(&iter))
        if ((int64_t)iter.member.len > settings->zset_max_listpack_value ||
            !zset_pack_insert(&pack, listpack_end(pack), iter.member, iter.score)) {
            listpack_destroy(pack);
            return NULL;
        }
    listpack_trim(&pack);
    return pack;
}

void keyspace_set_zset_take(struct keyspace *keyspace, struct db *db, struct key key, struct zset *zset, int64_t now_ms)
{
    ASSERT(btree_count(&zset->order) == zset_made_count(zset) && zset_made_count(zset));
    unsigned char *packed = pack(keyspace, zset);
    void *value = packed ? (void *)packed : zset;
    unsigned encoding = packed ? ZSET_PACKED : ZSET_TREE;
    keyspace_set_value(keyspace, db, key, ENTRY_ZSET, encoding, value, EXPIRY_NONE, now_ms);
    if (packed)
        zset_destroy(zset);
}
