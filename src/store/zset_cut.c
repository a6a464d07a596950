/*
 * Sorted sets: spans that are cut out of the order as they are.
 *
 * Taking a million members out of the table means to look at each. So a long span is cut out of the tree, in O(log n),
 * and is a tree by itself from then on; its members stay in the table, until a chore of reclaim has taken out one after
 * the other. They are no members any more: whoever finds one by name looks for it among the trees that were cut, O(log
 * n) for each of them, and has found nothing if it is there. A new member of the same name first has the old one taken
 * out.
 *
 * There are at most CUTS_MAX such trees. Where one more is wanted, the smallest is done with first; that breathes.
 */
#include "base/assert.h"
#include "base/fiber.h"
#include "store/reclaim.h"
#include "zset_priv.h"

enum {
    CUTS_MAX = 8,
    BURY_COST = 500, /* of a batch, for fiber_breathe */
};

struct zset_cuts {
    struct reclaim_chore chore;
    struct zset *zset; /* borrowed: whose these are */
    unsigned count;
    struct btree trees[CUTS_MAX]; /* none is empty */
};

static void cuts_free(struct zset_cuts *cuts)
{
    reclaim_chore_end(&cuts->chore);
    cuts->zset->cuts = NULL;
    mem_free(cuts);
}

/* After items were taken out of the tree `index`. Frees all if nothing is left. */
static void settle(struct zset_cuts *cuts, unsigned index)
{
    btree_cut_settle(&cuts->zset->order, &cuts->trees[index]);
    if (btree_count(&cuts->trees[index]))
        return;
    cuts->trees[index] = cuts->trees[--cuts->count];
    if (cuts->count == 0)
        cuts_free(cuts);
}

/* Takes up to `n` members of the tree `index` out of the table; returns how many. */
static size_t bury_some(struct zset_cuts *cuts, unsigned index, size_t n)
{
    void *batch[ZSET_BATCH];
    n = btree_drain(&cuts->trees[index], batch, n < ZSET_BATCH ? n : ZSET_BATCH);
    zset_members_remove(cuts->zset, batch, n);
    settle(cuts, index);
    return n;
}

static void step(struct reclaim_chore *chore, size_t items)
{
    const struct zset *zset = ((struct zset_cuts *)chore)->zset;
    while (items && zset->cuts)
        items -= bury_some(zset->cuts, 0, items);
}

static unsigned smallest(const struct zset_cuts *cuts)
{
    unsigned found = 0;
    for (unsigned i = 1; i < cuts->count; i++)
        if (btree_count(&cuts->trees[i]) < btree_count(&cuts->trees[found]))
            found = i;
    return found;
}

size_t zset_cut_work(const struct zset *zset)
{
    const struct zset_cuts *cuts = zset->cuts;
    return cuts && cuts->count == CUTS_MAX ? btree_count(&cuts->trees[smallest(cuts)]) : 0;
}

void zset_cut_prepare(struct zset *zset)
{
    while (zset_cut_work(zset)) {
        bury_some(zset->cuts, smallest(zset->cuts), ZSET_BATCH);
        fiber_breathe(BURY_COST);
    }
}

void zset_cut(struct zset *zset, struct reclaim *reclaim, struct zset_span span)
{
    if (!zset->cuts) {
        zset->cuts = mem_zalloc(sizeof *zset->cuts);
        zset->cuts->chore.step = step;
        zset->cuts->zset = zset;
    }
    ASSERT(zset->cuts->count < CUTS_MAX);
    btree_cut(&zset->order, span.first, span.count, &zset->cuts->trees[zset->cuts->count++]);
    reclaim_chore_add(reclaim, &zset->cuts->chore, span.count);
}

/* The tree that has the member; the count if none has. */
static unsigned tree_of(const struct zset_cuts *cuts, const struct zset_member *member)
{
    unsigned i = 0;
    for (size_t rank; i < cuts->count && !btree_rank(&cuts->trees[i], member, &rank);)
        i++;
    return i;
}

bool zset_is_cut_off(const struct zset *zset, const struct zset_member *member)
{
    return tree_of(zset->cuts, member) < zset->cuts->count;
}

void zset_bury(struct zset *zset, struct bytes text, uint64_t hash)
{
    const uint64_t *slot = zset_find_slot(zset, text, hash);
    if (!slot)
        return;
    void *member = table_slot_item(slot);
    unsigned index = tree_of(zset->cuts, member);
    ASSERT(index < zset->cuts->count);
    bool there = btree_remove(&zset->cuts->trees[index], member);
    ASSERT(there);
    settle(zset->cuts, index);
    zset_members_remove(zset, &member, 1);
}

size_t zset_cuts_drain(struct zset *zset, void **members, size_t max)
{
    struct zset_cuts *cuts = zset->cuts;
    if (!cuts)
        return 0;
    reclaim_chore_end(&cuts->chore); /* the table is being emptied without regard to what is in the trees */
    size_t n = btree_drain(&cuts->trees[0], members, max);
    settle(cuts, 0);
    return n;
}

void zset_cuts_destroy(struct zset *zset)
{
    struct zset_cuts *cuts = zset->cuts;
    if (!cuts)
        return;
    for (unsigned i = 0; i < cuts->count; i++)
        btree_fini(&cuts->trees[i]);
    cuts_free(cuts);
}

static void note_complaint(void *context, const char *what)
{
    *(const char **)context = what;
}

const char *zset_cuts_check(const struct zset *zset, size_t *count, size_t *bytes)
{
    const struct zset_cuts *cuts = zset->cuts;
    const char *wrong = NULL;
    if (cuts && (cuts->count == 0 || cuts->count > CUTS_MAX || !cuts->chore.reclaim))
        wrong = "a sorted set is wrong about what was cut from it";
    for (unsigned i = 0; cuts && i < cuts->count && !wrong; i++) {
        btree_check(&cuts->trees[i], note_complaint, &wrong);
        *count += btree_count(&cuts->trees[i]);
        if (!wrong)
            wrong = zset_members_check(zset, &cuts->trees[i], bytes);
    }
    return wrong;
}
