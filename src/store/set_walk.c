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
    SET_DRAW_PART = 8,     /* one of so many members at most are drawn rather than selected */
    SET_POP_BY_SELECT = 8, /* so many members of an intset are popped by writing it anew */
    WALK_COST = 50,        /* of a batch, for fiber_breathe */
    FILTER_COST = 200,     /* of a batch */
    DRAW_COST = 10,        /* of a member */
};

static struct set_member number_member(int64_t number)
{
    return (struct set_member){ NULL, { .number = number } };
}

static struct set_member listpack_member(const unsigned char *pack, uint32_t at)
{
    struct listpack_value value = listpack_get(pack, at);
    return value.text ? (struct set_member){ value.text, { value.len } } : number_member(value.number);
}

/* --- Walks --- */

static void walk_table(struct set_walk *walk, struct set_batch *batch)
{
    const struct table *table = &((const struct set_table *)walk->set.value)->table;
    const void *items[SET_BATCH];
    while (batch->count < SET_BATCH) {
        const struct table_bucket *bucket = walk->bucket;
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
        const void *item = table_slot_item(&bucket->slot[walk->slot++]);
        __builtin_prefetch(item);
        items[batch->count++] = item;
    }
    for (unsigned i = 0; i < batch->count; i++)
        batch->members[i] = set_item_member(items[i]);
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
            batch->members[batch->count++] = number_member(intset_get(packed, (uint32_t)walk->at++));
    } else if (walk->set.encoding == SET_LISTPACK) {
        uint32_t at = walk->at ? (uint32_t)walk->at : LISTPACK_HEADER;
        while (batch->count < SET_BATCH && packed[at] != LISTPACK_END) {
            batch->members[batch->count++] = listpack_member(packed, at);
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
    set_visit_fn visit;
    void *context;
};

static void scan_slot(void *context, uint64_t *slot)
{
    const struct scan *scan = context;
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
    struct scan scan = { visit, context };
    if (set.value && set.encoding == SET_TABLE)
        return table_scan_once(&((const struct set_table *)set.value)->table, cursor, scan_slot, &scan);
    visit_all(set, visit, context);
    return 0;
}

/* --- Drawing --- */

struct set_member set_random(struct set set, struct random *random)
{
    DASSERT(set_count(set) > 0);
    if (set.encoding == SET_INTSET)
        return number_member(intset_random(set.value, random));
    if (set.encoding == SET_LISTPACK)
        return listpack_member(set.value, listpack_random(set.value, 1, random));
    uint64_t *slot = table_random(&((const struct set_table *)set.value)->table, random);
    return set_item_member(table_slot_item(slot));
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

/* Notes a pointer among `mask` + 1 places, half of which stay empty; false if it was noted before. */
static bool note_once(const void **noted, size_t mask, const void *item)
{
    size_t at = ((uintptr_t)item * 0x9e3779b97f4a7c15u >> 20) & mask;
    for (; noted[at]; at = (at + 1) & mask)
        if (noted[at] == item)
            return false;
    noted[at] = item;
    return true;
}

bool set_sample(struct set set, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    if (count == 0)
        return true;
    if (set.encoding != SET_TABLE || count > set_count(set) / SET_DRAW_PART) {
        sample_by_selection(set, count, random, visit, context);
        return true;
    }
    const struct table *table = &((const struct set_table *)set.value)->table;
    size_t places = 2;
    while (places < count * 2)
        places *= 2;
    const void **noted = mem_try_alloc(places * sizeof *noted);
    if (!noted)
        return false;
    memset(noted, 0, places * sizeof *noted);
    while (count) {
        fiber_breathe(DRAW_COST);
        const void *item = table_slot_item(table_random(table, random));
        if (!note_once(noted, places - 1, item))
            continue;
        visit(context, set_item_member(item));
        count--;
    }
    mem_free(noted);
    return true;
}

/* --- Popping --- */

static void pop_table(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    struct set_table *set = edit->set.value;
    while (count--) {
        uint64_t *slot = table_random(&set->table, random);
        struct bytes text = set_item_bytes(table_slot_item(slot));
        visit(context, (struct set_member){ text.ptr, { text.len } });
        set_edit_note(edit);
        set_table_remove(set, set_hash(text), slot);
    }
}

static void pop_listpack(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    enum { PLACES = 128 };
    unsigned char *pack = edit->set.value;
    while (count) {
        uint32_t places[PLACES];
        size_t part = listpack_sample(pack, 1, random, places, count < PLACES ? count : PLACES);
        for (size_t i = 0; i < part; i++) {
            visit(context, listpack_member(pack, places[i]));
            set_edit_note(edit);
        }
        listpack_delete_batch(&pack, places, part);
        count -= part;
        edit->set.value = pack;
    }
}

/* Writes what stays to another intset: appending is O(1), removing from the middle is not. */
static void pop_intset_by_selection(
    struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    unsigned char *from = edit->set.value, *rest = intset_create();
    size_t left = intset_count(from);
    for (uint32_t i = 0; i < intset_count(from); i++, left--) {
        int64_t number = intset_get(from, i);
        if (random_below(random, left) < count) {
            visit(context, number_member(number));
            set_edit_note(edit);
            count--;
        } else {
            enum intset_added added = intset_add(&rest, number);
            ASSERT(added == INTSET_ADDED);
        }
    }
    intset_destroy(from);
    edit->set.value = rest;
}

static void pop_intset(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    unsigned char *intset = edit->set.value;
    if (count > SET_POP_BY_SELECT) {
        pop_intset_by_selection(edit, count, random, visit, context);
        return;
    }
    while (count--) {
        int64_t number = intset_random(intset, random);
        visit(context, number_member(number));
        set_edit_note(edit);
        intset_remove(&intset, number);
        edit->set.value = intset;
    }
}

void set_edit_pop(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    DASSERT(count <= set_count(edit->set));
    if (edit->set.encoding == SET_INTSET)
        pop_intset(edit, count, random, visit, context);
    else if (edit->set.encoding == SET_LISTPACK)
        pop_listpack(edit, count, random, visit, context);
    else
        pop_table(edit, count, random, visit, context);
}
