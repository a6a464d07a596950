/*
 * Sets: going through them, and drawing members at random.
 *
 * Walks hand out batches. Of a table they read the buckets in the order of memory and ask for all members of a batch
 * before any is looked at; looking a batch up in another table asks for all buckets first, then for all members whose
 * tags fit. So one cache miss is waited for where there would be thirty-two.
 *
 * Drawing without repetition: Floyd would need the members numbered, which a table does not do, so that few of many are
 * drawn with repetition and those met again are left out; of a packed set, or many, one pass takes each with the
 * probability that is due (selection sampling, Knuth TAOCP 2, 3.4.2 S).
 */
#include "base/assert.h"
#include "base/fiber.h"
#include "base/random.h"
#include "ds/intset.h"
#include "ds/listpack.h"
#include "set_priv.h"

enum {
    SET_DRAW_PART = 8, /* one of so many members at most are drawn rather than selected */
    WALK_COST = 50,    /* of a batch, for fiber_breathe */
    FILTER_COST = 200, /* of a batch */
    DRAW_COST = 10,    /* of a member */
};

/* --- Walks --- */

unsigned set_walk_slots(struct set_walk *walk, uint64_t **slots)
{
    const struct table *table = &((const struct set_table *)walk->set.value)->table;
    unsigned count = 0;
    while (count < SET_BATCH) {
        struct table_bucket *bucket = walk->bucket;
        if (!bucket) {
            if (walk->at == table->buckets)
                break;
            walk->bucket = bucket = table_bucket_of(table, walk->at++);
            walk->slot = 0;
        }
        if (walk->slot == TABLE_SLOTS || !bucket->slot[walk->slot]) {
            walk->bucket = walk->slot == TABLE_SLOTS ? bucket->next : NULL;
            walk->slot = 0;
            continue;
        }
        uint64_t *slot = &bucket->slot[walk->slot++];
        __builtin_prefetch(table_slot_item(slot));
        slots[count++] = slot;
    }
    return count;
}

static void walk_table(struct set_walk *walk, struct set_batch *batch)
{
    const struct set_table *set = walk->set.value;
    uint64_t *slots[SET_BATCH];
    for (unsigned n; batch->count == 0 && (n = set_walk_slots(walk, slots)) > 0;)
        for (unsigned i = 0; i < n; i++)
            if (!set_slot_is_lost(set, slots[i]))
                batch->members[batch->count++] = set_item_member(table_slot_item(slots[i]));
}

bool set_walk_next(struct set_walk *walk, struct set_batch *batch)
{
    const unsigned char *packed = walk->set.value;
    fiber_breathe(WALK_COST);
    batch->count = 0;
    if (!packed)
        return false;
    if (walk->set.encoding == SET_INTSET) {
        while (batch->count < SET_BATCH && walk->at < intset_count(packed))
            batch->members[batch->count++] = set_member_from_number(intset_get(packed, (uint32_t)walk->at++));
    } else if (walk->set.encoding == SET_LISTPACK) {
        uint32_t at = walk->at ? (uint32_t)walk->at : LISTPACK_HEADER;
        while (batch->count < SET_BATCH && packed[at] != LISTPACK_END) {
            batch->members[batch->count++] = set_member_in_listpack(packed, at);
            at = listpack_after(packed, at);
        }
        walk->at = at;
    } else {
        walk_table(walk, batch);
    }
    return batch->count > 0;
}

/* --- Batches --- */

/* Sets bit i of the result where `set` has member i. */
static uint32_t batch_look_up(const struct set_batch *batch, const struct set_table *set)
{
    struct set_scratch scratch[SET_BATCH];
    struct bytes texts[SET_BATCH];
    uint64_t hashes[SET_BATCH];
    uint32_t found = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        texts[i] = set_member_bytes(batch->members[i], &scratch[i]);
        hashes[i] = set_hash(texts[i]);
        table_prefetch_bucket(&set->table, hashes[i]);
    }
    for (unsigned i = 0; i < batch->count; i++)
        table_prefetch_items(&set->table, hashes[i]);
    for (unsigned i = 0; i < batch->count; i++)
        found |= (uint32_t)(set_table_find(set, texts[i], hashes[i]) != NULL) << i;
    return found;
}

static uint32_t batch_look_up_packed(const struct set_batch *batch, struct set set)
{
    uint32_t found = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        struct set_member member = batch->members[i];
        struct set_scratch scratch;
        bool has = set.encoding == SET_INTSET && !member.text ? intset_find(set.value, member.number, NULL)
                                                              : set_has(set, set_member_bytes(member, &scratch));
        found |= (uint32_t)has << i;
    }
    return found;
}

void set_batch_filter(struct set_batch *batch, struct set set, bool wanted)
{
    uint32_t found = 0;
    fiber_breathe(FILTER_COST);
    if (set.value)
        found = set.encoding == SET_TABLE ? batch_look_up(batch, set.value) : batch_look_up_packed(batch, set);
    unsigned kept = 0;
    for (unsigned i = 0; i < batch->count; i++)
        if ((found >> i & 1) == wanted)
            batch->members[kept++] = batch->members[i];
    batch->count = kept;
}

void set_look_ahead(struct set set, struct bytes member, unsigned step)
{
    if (set.encoding != SET_TABLE)
        return;
    const struct table *table = &((const struct set_table *)set.value)->table;
    if (step == 0)
        table_prefetch_bucket(table, set_hash(member));
    else
        table_prefetch_items(table, set_hash(member));
}

/* --- Scanning --- */

struct scan {
    const struct set_table *set;
    set_visit_fn visit;
    void *context;
};

static void scan_slot(void *context, uint64_t *slot)
{
    const struct scan *scan = context;
    if (set_slot_is_lost(scan->set, slot))
        return;
    scan->visit(scan->context, set_item_member(table_slot_item(slot)));
}

static void visit_all(struct set set, set_visit_fn visit, void *context)
{
    struct set_walk walk = set_walk_begin(set);
    for (struct set_batch batch; set_walk_next(&walk, &batch);)
        for (unsigned i = 0; i < batch.count; i++)
            visit(context, batch.members[i]);
}

uint64_t set_scan(struct set set, uint64_t cursor, set_visit_fn visit, void *context)
{
    struct scan scan = { set.value, visit, context };
    if (set.value && set.encoding == SET_TABLE)
        return table_scan_once(&scan.set->table, cursor, scan_slot, &scan);
    visit_all(set, visit, context);
    return 0;
}

/* --- Drawing --- */

/* Of those that are lost there are never more than of the others. */
static void *random_item(const struct set_table *set, struct random *random)
{
    const uint64_t *slot = table_random(&set->table, random);
    while (set_slot_is_lost(set, slot))
        slot = table_random(&set->table, random);
    return table_slot_item(slot);
}

struct set_member set_random(struct set set, struct random *random)
{
    DASSERT(set_count(set) > 0);
    if (set.encoding == SET_INTSET)
        return set_member_from_number(intset_random(set.value, random));
    if (set.encoding == SET_LISTPACK)
        return set_member_in_listpack(set.value, listpack_random(set.value, 1, random));
    return set_item_member(random_item(set.value, random));
}

static void sample_by_selection(struct set set, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    size_t left = set_count(set);
    struct set_walk walk = set_walk_begin(set);
    for (struct set_batch batch; count && set_walk_next(&walk, &batch);)
        for (unsigned i = 0; i < batch.count && count; i++)
            if (random_below(random, left--) < count) {
                visit(context, batch.members[i]);
                count--;
            }
}

/* Notes a pointer, or a number above 0, among `mask` + 1 places, half of which stay empty; false if it was noted. */
static bool note_once(const void **noted, size_t mask, const void *item)
{
    size_t at = ((uintptr_t)item * 0x9e3779b97f4a7c15u >> 20) & mask;
    for (; noted[at]; at = (at + 1) & mask)
        if (noted[at] == item)
            return false;
    noted[at] = item;
    return true;
}

/* Draws a member; true if it is another one than those before, and then it is visited. */
static bool draw_once(
    struct set set, const void **noted, size_t mask, struct random *random, set_visit_fn visit, void *context)
{
    if (set.encoding == SET_INTSET) {
        uint64_t index = random_below(random, intset_count(set.value));
        if (!note_once(noted, mask, (const void *)(uintptr_t)(index + 1)))
            return false;
        visit(context, set_member_from_number(intset_get(set.value, (uint32_t)index)));
        return true;
    }
    const void *item = random_item(set.value, random);
    if (!note_once(noted, mask, item))
        return false;
    visit(context, set_item_member(item));
    return true;
}

bool set_sample(struct set set, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    if (count == 0)
        return true;
    if (set.encoding == SET_LISTPACK || count > set_count(set) / SET_DRAW_PART) {
        sample_by_selection(set, count, random, visit, context);
        return true;
    }
    size_t places = 2;
    while (places < count * 2)
        places *= 2;
    const void **noted = mem_try_alloc(places * sizeof *noted);
    if (!noted)
        return false;
    memset(noted, 0, places * sizeof *noted);
    while (count) {
        fiber_breathe(DRAW_COST);
        count -= draw_once(set, noted, places - 1, random, visit, context);
    }
    mem_free(noted);
    return true;
}
