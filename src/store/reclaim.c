/*
 * Reclaim: a queue of what is unreachable and not yet freed.
 *
 * A node is a table of entries or a single entry whose value is large. A table is drained entry by entry; one with a
 * large value gets a node of its own in front of the table, and is taken down before the draining goes on. So a step
 * never does more than about what it was asked for, whatever is queued. Entries to be freed are gathered and prefetched
 * in small batches: freeing one means reading its header, and after a flush no header is in the cache.
 */
#include "store/reclaim.h"

#include "base/mem.h"
#include "ds/table.h"
#include "entry_priv.h"
#include "value_priv.h"

enum {
    RECLAIM_SMALL_WEIGHT = 64, /* items of a value that are freed at once */
    RECLAIM_BATCH = 16,
    CHORE_PART = 64, /* items of a chore that are done before the next one's turn */
};

struct reclaim_node {
    struct reclaim_node *next; /* owned */
    uint64_t number;           /* counts up along the queue */
    size_t left;               /* items that pending counts for it */
    struct table table;        /* owned; without a type if the node is an entry */
    struct entry *entry;       /* owned: one with a large value, being taken down; NULL when that is done */
};

struct reclaim {
    struct reclaim_node *first;   /* owned */
    struct reclaim_node *last;    /* borrowed: of the queue */
    struct reclaim_chore *chores; /* borrowed: the one whose turn it is, in a ring */
    uint64_t queued;              /* number of the last node */
    size_t pending;
    uint64_t freed; /* entries */
};

struct reclaim *reclaim_create(void)
{
    return mem_zalloc(sizeof(struct reclaim));
}

void reclaim_destroy(struct reclaim *reclaim)
{
    if (!reclaim)
        return;
    while (reclaim_step(reclaim, SIZE_MAX))
        ;
    mem_free(reclaim);
}

static struct reclaim_node *push(struct reclaim *reclaim, size_t items)
{
    struct reclaim_node *node = mem_zalloc(sizeof *node);
    node->number = ++reclaim->queued;
    node->left = items;
    if (reclaim->last)
        reclaim->last->next = node;
    else
        reclaim->first = node;
    reclaim->last = node;
    reclaim->pending += items;
    return node;
}

static void pop(struct reclaim *reclaim)
{
    struct reclaim_node *node = reclaim->first;
    reclaim->pending -= node->left;
    reclaim->first = node->next;
    if (!reclaim->first)
        reclaim->last = NULL;
    mem_free(node);
}

void reclaim_table_take(struct reclaim *reclaim, struct table *table)
{
    const struct table_type *type = table->type;
    if (table_count(table)) {
        struct reclaim_node *node = push(reclaim, table_count(table));
        node->table = *table;
    } else {
        table_fini(table);
    }
    table_init(table, type);
}

static void destroy(struct entry *entry)
{
    value_destroy(entry);
    entry_free(entry);
}

void reclaim_entry_take(struct reclaim *reclaim, struct entry *entry)
{
    size_t weight = value_weight(entry);
    if (weight <= RECLAIM_SMALL_WEIGHT)
        destroy(entry);
    else
        push(reclaim, weight)->entry = entry;
}

static void count_freed(struct reclaim *reclaim, struct reclaim_node *node, size_t items)
{
    items = items < node->left ? items : node->left;
    node->left -= items;
    reclaim->pending -= items;
}

/* Takes down the node's large value; returns the items that this took, 0 if nothing is left. */
static size_t step_entry(struct reclaim *reclaim, struct reclaim_node *node, size_t items)
{
    if (!node->entry)
        return 0;
    size_t weight = value_weight(node->entry);
    if (!value_type_of(node->entry)->drain(node->entry, items)) {
        entry_free(node->entry);
        node->entry = NULL;
        reclaim->freed++;
    }
    return weight < items ? weight + 1 : items;
}

/* A large value met in a table is taken down before the rest of the table, under the same number. */
static void put_in_front(struct reclaim *reclaim, struct entry *entry)
{
    struct reclaim_node *node = mem_zalloc(sizeof *node);
    *node = (struct reclaim_node){ reclaim->first, reclaim->first->number, value_weight(entry), { 0 }, entry };
    reclaim->first = node;
    reclaim->pending += node->left;
}

/* Drains a batch of entries from the node's table; returns the items that this took, 0 if the table is empty. */
static size_t step_table(struct reclaim *reclaim, struct reclaim_node *node, size_t items)
{
    struct entry *batch[RECLAIM_BATCH];
    size_t count = 0, done = 0;
    while (count < RECLAIM_BATCH && count < items) {
        struct entry *entry = table_drain(&node->table);
        if (!entry)
            break;
        __builtin_prefetch(entry);
        batch[count++] = entry;
    }
    for (size_t i = 0; i < count; i++) {
        size_t weight = value_weight(batch[i]);
        done += weight > RECLAIM_SMALL_WEIGHT ? 1 : weight;
        if (weight > RECLAIM_SMALL_WEIGHT)
            put_in_front(reclaim, batch[i]);
        else
            destroy(batch[i]);
        reclaim->freed += weight <= RECLAIM_SMALL_WEIGHT;
    }
    return done;
}

void reclaim_chore_add(struct reclaim *reclaim, struct reclaim_chore *chore, size_t items)
{
    chore->left += items;
    reclaim->pending += items;
    if (chore->reclaim)
        return;
    chore->reclaim = reclaim;
    chore->prev = chore->next = chore;
    if (reclaim->chores) {
        chore->next = reclaim->chores;
        chore->prev = chore->next->prev;
        chore->prev->next = chore->next->prev = chore;
    }
    reclaim->chores = chore;
}

void reclaim_chore_end(struct reclaim_chore *chore)
{
    struct reclaim *reclaim = chore->reclaim;
    if (!reclaim)
        return;
    reclaim->pending -= chore->left;
    if (reclaim->chores == chore)
        reclaim->chores = chore->next == chore ? NULL : chore->next;
    chore->prev->next = chore->next;
    chore->next->prev = chore->prev;
    chore->reclaim = NULL;
    chore->left = 0;
}

/* Does at most so many items of chores, in turn; returns how many items are left to be done of something else. */
static size_t step_chores(struct reclaim *reclaim, size_t items)
{
    while (reclaim->chores && items) {
        struct reclaim_chore *chore = reclaim->chores;
        size_t part = items < CHORE_PART ? items : CHORE_PART, counted = part < chore->left ? part : chore->left;
        reclaim->chores = chore->next;
        reclaim->pending -= counted;
        chore->left -= counted;
        items -= part;
        chore->step(chore, part);
    }
    return items;
}

bool reclaim_step(struct reclaim *reclaim, size_t items)
{
    items = step_chores(reclaim, items);
    while (reclaim->first && items) {
        struct reclaim_node *node = reclaim->first;
        bool is_table = node->table.type != NULL;
        size_t done = is_table ? step_table(reclaim, node, items) : step_entry(reclaim, node, items);
        if (done) {
            count_freed(reclaim, node, done);
            items -= done < items ? done : items;
            continue;
        }
        if (is_table)
            table_fini(&node->table);
        pop(reclaim);
    }
    return reclaim->first || reclaim->chores;
}

uint64_t reclaim_ticket(const struct reclaim *reclaim)
{
    return reclaim->queued;
}

bool reclaim_is_done(const struct reclaim *reclaim, uint64_t ticket)
{
    return !reclaim->first || reclaim->first->number > ticket;
}

size_t reclaim_pending(const struct reclaim *reclaim)
{
    return reclaim->pending;
}

uint64_t reclaim_freed(const struct reclaim *reclaim)
{
    return reclaim->freed;
}

void reclaim_reset_freed(struct reclaim *reclaim)
{
    reclaim->freed = 0;
}
