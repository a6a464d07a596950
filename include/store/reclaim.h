/*
 * Reclaim: memory that is no longer reachable and is given back in slices, so that nobody waits for it.
 *
 * Whole tables of a flushed database, and values too large to be freed at once, are queued here. One queue, oldest
 * first. Values from which much was cut leave their chores here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct reclaim;
struct table;

struct reclaim *reclaim_create(void);

/* Frees everything queued, then itself. */
void reclaim_destroy(struct reclaim *reclaim);

/* Takes over the table of entries; `*table` is empty afterwards (as after table_init with the same type). O(1). */
void reclaim_table_take(struct reclaim *reclaim, struct table *table);

/* Takes over an entry that is in no table any more: frees it now if it is small, and queues it otherwise. O(1). */
void reclaim_entry_take(struct reclaim *reclaim, struct entry *entry);

/*
 * What a value that is still there has to do yet, a little at a time: embedded in something that the value owns. It is
 * done ahead of what is queued, since the value is slower for it.
 */
struct reclaim_chore {
    /* Does about `items` items of it, and takes it back when nothing is left. */
    void (*step)(struct reclaim_chore *chore, size_t items);
    struct reclaim *reclaim;           /* borrowed; NULL while it is not queued */
    struct reclaim_chore *prev, *next; /* borrowed */
    size_t left;                       /* items that pending counts for it */
};

/* Queues it, or tells of that many more items. O(1). */
void reclaim_chore_add(struct reclaim *reclaim, struct reclaim_chore *chore, size_t items);

/* Takes it back, done or not; nothing if it is not queued. O(1). */
void reclaim_chore_end(struct reclaim_chore *chore);

/* Frees about `items` items; true while more is left. */
bool reclaim_step(struct reclaim *reclaim, size_t items);

/* A number for everything queued so far; it is freed once reclaim_is_done says so of that number. */
uint64_t reclaim_ticket(const struct reclaim *reclaim);
bool reclaim_is_done(const struct reclaim *reclaim, uint64_t ticket);

/* Items that wait; entries freed in slices, since the start or the last reset. */
size_t reclaim_pending(const struct reclaim *reclaim);
uint64_t reclaim_freed(const struct reclaim *reclaim);
void reclaim_reset_freed(struct reclaim *reclaim);
