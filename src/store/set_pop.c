/*
 * Sets: taking members out at random.
 *
 * Many members of a table are taken out in three steps, so that no step but the second is seen by anybody, and that one
 * is O(1):
 *
 *   1. They are chosen, answered, and their slots marked; marks mean nothing yet. A small part of the table is drawn, a
 *      larger one selected in one pass over the table (Knuth TAOCP 2, 3.4.2 S).
 *   2. They are lost: set_table.lost says that marked slots hold members no more. If that is more than half of all,
 *      those that stay were put into another table meanwhile, beside the items, and that takes the place of the old
 *      one. So a member drawn at random from what is left is never sought for long.
 *   3. The items are freed, and taken out of the table.
 *
 * Steps 1 and 3 breathe. The keyspace must keep everybody from changing the set meanwhile, and from walking over it in
 * slices during 3.
 */
#include "base/assert.h"
#include "base/fiber.h"
#include "base/random.h"
#include "ds/intset.h"
#include "ds/listpack.h"
#include "set_priv.h"

enum {
    POP_BY_SELECT = 8,          /* so many members of an intset are popped by writing it anew */
    APART_MIN = 256,            /* so many members of a table are popped in three steps */
    DRAW_PART = 8,              /* one of so many members at most are drawn rather than selected */
    RESERVE_STEP = 10 * 1000,   /* members that room is made for between two breaths */
    GATHER = SET_BATCH - 7 * 2, /* lost members that are gathered from the table before they are taken out */
    SCAN_BUCKETS = 32,          /* that are looked at for them between two breaths */
    /* For fiber_breathe. */
    RESERVE_COST = 2000,
    DRAW_COST = 20,
    SELECT_COST = 300, /* of a batch */
    FREE_COST = 150,   /* of a batch */
    REMOVE_COST = 400, /* of a batch */
    NUMBER_COST = 3,
};

/* What step 2 leaves to step 3. */
struct set_remains {
    struct set_table old; /* if another table took its place; what is marked in it is owned, and all of its bytes */
    void **drawn;         /* owned; the items that were drawn: they are in the set's table, and lost. Or NULL */
    size_t drawn_count;
};

static bool is_this(const void *item, const void *sought)
{
    return item == sought;
}

static uint64_t item_hash(const void *item)
{
    return set_hash(set_item_bytes(item));
}

/* --- A few --- */

static void pop_few(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
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

/* --- Many: choosing --- */

/* The first step where few of many go; false, with nothing done, when memory is out. */
static bool draw(struct set_table *set, struct set_remains *remains, size_t count, struct random *random,
    set_visit_fn visit, void *context)
{
    remains->drawn = mem_try_alloc(count * sizeof *remains->drawn);
    if (!remains->drawn)
        return false;
    while (remains->drawn_count < count) {
        fiber_breathe(DRAW_COST);
        uint64_t *slot = table_random(&set->table, random);
        if (table_slot_marked(slot))
            continue;
        table_slot_set_mark(slot, true);
        remains->drawn[remains->drawn_count++] = table_slot_item(slot);
        visit(context, set_item_member(table_slot_item(slot)));
    }
    return true;
}

static void reserve(struct table *table, size_t count)
{
    for (size_t room = 0; room < count;) {
        room = count - room > RESERVE_STEP ? room + RESERVE_STEP : count;
        table_reserve(table, room);
        fiber_breathe(RESERVE_COST);
    }
}

/*
 * The first step in one pass. Those that stay are put into `rest`, unless it is NULL. Returns the bytes of the others.
 */
static size_t choose(
    struct set_table *set, struct table *rest, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    size_t bytes = 0, left = table_count(&set->table);
    struct set_walk walk = set_walk_begin((struct set){ SET_TABLE, set });
    uint64_t *slots[SET_BATCH], hashes[SET_BATCH];
    for (unsigned n; (n = set_walk_slots(&walk, slots)) > 0;) {
        fiber_breathe(SELECT_COST);
        for (unsigned i = 0; i < n && rest; i++) {
            hashes[i] = item_hash(table_slot_item(slots[i]));
            table_prefetch_bucket(rest, hashes[i]);
        }
        for (unsigned i = 0; i < n; i++) {
            void *item = table_slot_item(slots[i]);
            if (random_below(random, left--) < count) {
                count--;
                table_slot_set_mark(slots[i], true);
                bytes += set_item_memory(item, set_item_size(set_item_bytes(item).len));
                visit(context, set_item_member(item));
            } else if (rest) {
                table_insert(rest, hashes[i], item);
            }
        }
    }
    ASSERT(count == 0);
    return bytes;
}

static void pop_many(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    struct set_table *set = edit->set.value;
    struct set_remains *remains = mem_zalloc(sizeof *remains);
    size_t members = table_count(&set->table), bytes = 0;
    struct table rest;
    bool replaces = count > members / 2;
    ASSERT(set->lost == 0 && count < members);
    table_init(&rest, set->table.type);
    if (replaces)
        reserve(&rest, members - count);
    if (count > members / DRAW_PART || !draw(set, remains, count, random, visit, context))
        bytes = choose(set, replaces ? &rest : NULL, count, random, visit, context);
    edit->remains = remains;
    set_edit_note(edit);
    edit->changes += count - 1;
    if (replaces) {
        table_unreserve(&rest);
        remains->old = (struct set_table){ .table = set->table, .member_bytes = bytes };
        *set = (struct set_table){ .table = rest, .member_bytes = set->member_bytes - bytes };
    } else {
        set->lost = count;
    }
}

/* --- Many: giving back --- */

/* Takes lost items, at most SET_BATCH, out of the table, and frees them. */
static void bury(struct set_table *set, void *const *items, size_t n)
{
    uint64_t hashes[SET_BATCH];
    for (size_t i = 0; i < n; i++)
        __builtin_prefetch(items[i]);
    for (size_t i = 0; i < n; i++) {
        hashes[i] = item_hash(items[i]);
        table_prefetch_bucket(&set->table, hashes[i]);
    }
    for (size_t i = 0; i < n; i++) {
        table_remove(&set->table, hashes[i], table_find(&set->table, hashes[i], is_this, items[i]));
        set_item_free(set, items[i]);
    }
    set->lost -= n;
}

struct gathered {
    void *items[SET_BATCH];
    size_t count;
};

/* What there is no room for is met again: the table is gone over until nothing is lost in it. */
static void gather(void *context, uint64_t *slot)
{
    struct gathered *gathered = context;
    if (gathered->count < SET_BATCH)
        gathered->items[gathered->count++] = table_slot_item(slot);
}

static void bury_all(struct set_table *set)
{
    uint64_t cursor = 0;
    while (set->lost) {
        struct gathered gathered = { .count = 0 };
        for (int i = 0; i < SCAN_BUCKETS && gathered.count < GATHER; i++)
            cursor = table_scan_marked(&set->table, cursor, gather, &gathered);
        bury(set, gathered.items, gathered.count);
        fiber_breathe(REMOVE_COST);
    }
}

static void bury_drawn(struct set_table *set, const struct set_remains *remains)
{
    for (size_t done = 0, n; done < remains->drawn_count; done += n) {
        n = remains->drawn_count - done < SET_BATCH ? remains->drawn_count - done : SET_BATCH;
        bury(set, remains->drawn + done, n);
        fiber_breathe(REMOVE_COST);
    }
}

/* Takes an old table down, whose unmarked items are another's. */
static void drain_old(struct set_table *old)
{
    while (table_count(&old->table)) {
        void *items[SET_BATCH];
        size_t n = 0;
        while (n < SET_BATCH && table_count(&old->table)) {
            bool marked;
            items[n] = table_drain_marked(&old->table, &marked);
            __builtin_prefetch(items[n]);
            n += marked;
        }
        for (size_t i = 0; i < n; i++)
            set_item_free(old, items[i]);
        fiber_breathe(FREE_COST);
    }
    ASSERT(old->member_bytes == 0);
    table_fini(&old->table);
}

void set_edit_give_back(struct set_edit *edit)
{
    struct set_remains *remains = edit->remains;
    if (!remains)
        return;
    struct set_table *set = edit->set.value;
    edit->remains = NULL;
    if (remains->old.table.type)
        drain_old(&remains->old);
    else if (remains->drawn)
        bury_drawn(set, remains);
    else
        bury_all(set);
    mem_free(remains->drawn);
    mem_free(remains);
}

bool set_edit_visit_popped(const struct set_edit *edit, set_visit_fn visit, void *context)
{
    struct set_remains *remains = edit->remains;
    if (!remains)
        return false;
    void *table = remains->old.table.type ? &remains->old : edit->set.value;
    struct set_walk walk = set_walk_begin((struct set){ SET_TABLE, table });
    uint64_t *slots[SET_BATCH];
    for (unsigned n; (n = set_walk_slots(&walk, slots)) > 0;)
        for (unsigned i = 0; i < n; i++)
            if (table_slot_marked(slots[i]))
                visit(context, set_item_member(table_slot_item(slots[i])));
    return true;
}

/* --- Packed sets --- */

static void pop_listpack(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    enum { PLACES = 128 };
    unsigned char *pack = edit->set.value;
    while (count) {
        uint32_t places[PLACES];
        size_t part = listpack_sample(pack, 1, random, places, count < PLACES ? count : PLACES);
        for (size_t i = 0; i < part; i++) {
            visit(context, set_member_in_listpack(pack, places[i]));
            set_edit_note(edit);
        }
        listpack_delete_batch(&pack, places, part);
        count -= part;
        edit->set.value = pack;
    }
}

/*
 * Writes what stays to another intset: appending is O(1), removing from the middle is not. All is lost in the end, as
 * from a table. False, with nothing done, when memory is out.
 */
static bool pop_intset_by_selection(
    struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    unsigned char *from = edit->set.value;
    uint32_t members = intset_count(from), kept = 0;
    size_t wanted = count;
    unsigned char *rest = intset_create_like(from, members - (uint32_t)count);
    if (!rest)
        return false;
    for (uint32_t i = 0; i < members; i++) {
        int64_t number = intset_get(from, i);
        fiber_breathe(NUMBER_COST);
        if (random_below(random, members - i) < wanted) {
            visit(context, set_member_from_number(number));
            wanted--;
        } else {
            intset_write(rest, kept++, number);
        }
    }
    set_edit_note(edit);
    edit->changes += count - 1;
    intset_destroy(from);
    edit->set.value = rest;
    return true;
}

static void pop_intset(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context)
{
    unsigned char *intset = edit->set.value;
    if (count > POP_BY_SELECT && pop_intset_by_selection(edit, count, random, visit, context))
        return;
    while (count--) {
        int64_t number = intset_random(intset, random);
        visit(context, set_member_from_number(number));
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
    else if (count < APART_MIN || count == set_count(edit->set))
        pop_few(edit, count, random, visit, context);
    else
        pop_many(edit, count, random, visit, context);
}
