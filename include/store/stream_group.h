/*
 * Consumer groups of a stream: their consumers, and the entries that were delivered and not acknowledged yet.
 *
 * A pending entry is one allocation, to which its group's tree and its consumer's tree point, both ordered by ID: 50
 * bytes in all. Groups, and a group's consumers, are ordered by the bytes of their names.
 *
 * Nothing in here tells the keyspace. A command calls keyspace_edit (which wakes who waits and breaks WATCH) or only
 * counts keyspace->stats.dirty, as Redis does for the command. Pointers to groups, consumers and pending entries are
 * valid until that thing, or what it belongs to, is deleted, and across all other edits; those of pending entries also
 * only until stream_pending_set. Whoever works in slices looks up again by name and ID.
 */
#pragma once

#include "store/stream.h"

#define STREAM_READ_UNKNOWN (-1) /* entries_read that cannot be known */

/* To be read by anyone; what is written is said there. */
struct stream_group {
    struct bytes name;     /* owned */
    struct stream *stream; /* borrowed: that it belongs to */
    struct stream_id last_id;
    int64_t entries_read;   /* STREAM_READ_UNKNOWN or not */
    struct btree pending;   /* of struct stream_pending, owned; by ID */
    struct btree consumers; /* of struct stream_consumer, owned; by name */
};

struct stream_consumer {
    struct bytes name;          /* owned */
    struct stream_group *group; /* borrowed: that it belongs to */
    int64_t seen_ms;            /* when it last tried something; may be written */
    int64_t active_ms;          /* when it last got something, -1: never; may be written */
    struct btree pending;       /* of struct stream_pending, which the group owns; by ID */
};

/* A pending entry, in 32 bytes. A count of 2^32 - 1 and more stands behind it. */
struct stream_pending {
    struct stream_id id;
    uint64_t consumer : 48, time_low : 16;
    uint64_t time_high : 32, count : 32;
    uint64_t wide_count[];
};

static inline struct stream_consumer *stream_pending_consumer(const struct stream_pending *pending)
{
    return (struct stream_consumer *)(uintptr_t)pending->consumer;
}

/* When it was last delivered, ms since 1970. */
static inline int64_t stream_pending_time(const struct stream_pending *pending)
{
    return (int64_t)((uint64_t)pending->time_high << 16 | pending->time_low);
}

/* How often it was delivered. */
static inline uint64_t stream_pending_count(const struct stream_pending *pending)
{
    return pending->count < UINT32_MAX ? pending->count : pending->wide_count[0];
}

/* --- Groups --- */

/* How many; by name or NULL; the one at a place in the order of names or NULL. O(1), O(log n). */
size_t stream_group_count(const struct stream *stream);
struct stream_group *stream_group_find(const struct stream *stream, struct bytes name);
struct stream_group *stream_group_at(const struct stream *stream, size_t rank);

/* A new group; NULL if there is one of that name, or memory is out (which only names of 64 KB and more can meet). */
struct stream_group *stream_group_create(
    struct stream *stream, struct bytes name, struct stream_id last_id, int64_t entries_read);

/* Removes a group with all that belongs to it; large ones are freed in slices. O(log groups). */
void stream_group_destroy(struct keyspace *keyspace, struct stream_group *group);

void stream_group_set_id(struct stream_group *group, struct stream_id last_id, int64_t entries_read);

/*
 * The group is given the entry `id`, greater than its last_id, as the next one: moves last_id there, and entries_read,
 * as far as it can be known. O(1).
 */
void stream_group_advance(struct stream_group *group, struct stream_id id);

/* How many entries it has not been given yet; false where that cannot be known without counting. O(1). */
bool stream_group_lag(const struct stream_group *group, uint64_t *lag);

/* How many entries were ever added up to and including `id`, or STREAM_READ_UNKNOWN. O(1). */
int64_t stream_entries_up_to(const struct stream *stream, struct stream_id id);

/* --- Consumers --- */

static inline size_t stream_consumer_count(const struct stream_group *group)
{
    return btree_count(&group->consumers);
}

struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct bytes name);
struct stream_consumer *stream_consumer_at(const struct stream_group *group, size_t rank);

/* A new consumer, seen now and never active; NULL as with groups. */
struct stream_consumer *stream_consumer_create(struct stream_group *group, struct bytes name, int64_t now_ms);

/*
 * Removes up to `max` of a consumer's pending entries, and the consumer itself when none is left (then *gone). Returns
 * how many. O(max * log n).
 */
size_t stream_consumer_delete_step(struct stream_consumer *consumer, size_t max, bool *gone);

/* --- Pending entries. Counts: btree_count of either tree. --- */

/* The one with this ID, or NULL. O(log n). */
struct stream_pending *stream_pending_find(const struct stream_group *group, struct stream_id id);

/*
 * The first at `from` or behind it, of a group's or a consumer's tree, or NULL; btree_iter_next(iter) goes on, until a
 * pending entry is added, removed or moved. The smallest and greatest: O(height), NULL when there is none.
 */
struct stream_pending *stream_pending_seek(const struct btree *pending, struct stream_id from, struct btree_iter *iter);
struct stream_pending *stream_pending_smallest(const struct btree *pending);
struct stream_pending *stream_pending_greatest(const struct btree *pending);

/*
 * Notes that an entry was delivered to a consumer, for the first time: count 1. One that is pending already becomes
 * his, as if it were new. O(log n).
 */
struct stream_pending *stream_pending_deliver(
    struct stream_group *group, struct stream_consumer *consumer, struct stream_id id, int64_t now_ms);

/* Notes one with everything given, for XCLAIM FORCE and files; NULL if it is there. `consumer` may follow (claim). */
struct stream_pending *stream_pending_add(
    struct stream_group *group, struct stream_consumer *consumer, struct stream_id id, int64_t time_ms, uint64_t count);

/* Makes it a consumer's, of the same group; his own already: nothing changes. O(log n). */
void stream_pending_claim(struct stream_pending *pending, struct stream_consumer *consumer);

/* Sets time (kept between 0 and 2^48 - 1) and count. Returns it: it may have moved, and iterators are then void. */
struct stream_pending *stream_pending_set(
    struct stream_group *group, struct stream_pending *pending, int64_t time_ms, uint64_t count);

/* Acknowledges; false if it was not pending. O(log n). */
bool stream_pending_ack(struct stream_group *group, struct stream_id id);
void stream_pending_remove(struct stream_group *group, struct stream_pending *pending);

/* --- An entry and all groups. O(groups * log pending), nothing if there are no groups. --- */

/* True if some group has it pending, or was not given it yet. */
bool stream_is_referenced(const struct stream *stream, struct stream_id id);

/* Takes it out of every group's pending entries; returns out of how many. */
size_t stream_forget(struct stream *stream, struct stream_id id);
