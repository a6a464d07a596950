/*
 * Pending entries: delivered to a consumer of a group, and not acknowledged.
 *
 * One allocation of 32 bytes, and 9 to 10 in each of two trees. A time takes 48 bits; a count of 2^32 - 1 or more,
 * which only a client's own say-so makes, gets 8 bytes more behind the rest.
 */
#include "store/stream_group.h"
#include "stream_group_priv.h"
#include "stream_priv.h"

#define TIME_MAX ((int64_t)1 << 48)

static uint64_t pending_prefix(const void *item)
{
    return stream_id_prefix(((const struct stream_pending *)item)->id);
}

static int pending_compare(const void *item, const void *other)
{
    return stream_id_compare(((const struct stream_pending *)item)->id, ((const struct stream_pending *)other)->id);
}

static int id_compare(const void *key, const void *item)
{
    return stream_id_compare(*(const struct stream_id *)key, ((const struct stream_pending *)item)->id);
}

const struct btree_type stream_pending_type = { .prefix = pending_prefix, .compare = pending_compare };

static inline size_t pending_size(uint64_t count)
{
    return sizeof(struct stream_pending) + (count < UINT32_MAX ? 0 : sizeof(uint64_t));
}

static void write_time(struct stream_pending *pending, int64_t time_ms)
{
    uint64_t time = time_ms < 0 ? 0 : (uint64_t)(time_ms < TIME_MAX ? time_ms : TIME_MAX - 1);
    pending->time_low = time & 0xffff;
    pending->time_high = (uint32_t)(time >> 16);
}

static void write_count(struct stream_pending *pending, uint64_t count)
{
    pending->count = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    if (count >= UINT32_MAX)
        pending->wide_count[0] = count;
}

static inline void write_consumer(struct stream_pending *pending, const struct stream_consumer *consumer)
{
    pending->consumer = (uintptr_t)consumer & 0xffffffffffff;
}

static struct stream_pending *create(struct stream_id id, int64_t time_ms, uint64_t count)
{
    struct stream_pending *pending = mem_alloc(pending_size(count));
    pending->id = id;
    pending->consumer = 0;
    write_time(pending, time_ms);
    write_count(pending, count);
    return pending;
}

void stream_pending_free(struct stream_pending *pending)
{
    mem_free_sized(pending, pending_size(stream_pending_count(pending)));
}

struct stream_pending *stream_pending_find(const struct stream_group *group, struct stream_id id)
{
    struct btree_key key = { stream_id_prefix(id), &id, id_compare };
    return btree_find(&group->pending, &key);
}

struct stream_pending *stream_pending_seek(const struct btree *pending, struct stream_id from, struct btree_iter *iter)
{
    struct btree_key key = { stream_id_prefix(from), &from, id_compare };
    *iter = btree_seek(pending, &key);
    return btree_iter_item(iter);
}

struct stream_pending *stream_pending_smallest(const struct btree *pending)
{
    return btree_at(pending, 0);
}

struct stream_pending *stream_pending_greatest(const struct btree *pending)
{
    return btree_count(pending) ? btree_at(pending, btree_count(pending) - 1) : NULL;
}

/* Puts one that has no consumer into the consumer's tree. */
static void link_consumer(struct stream_pending *pending, struct stream_consumer *consumer)
{
    write_consumer(pending, consumer);
    btree_insert(&consumer->pending, pending);
    consumer->group->stream->parts++;
}

static void unlink_consumer(struct stream_pending *pending)
{
    struct stream_consumer *consumer = stream_pending_consumer(pending);
    if (!consumer)
        return;
    bool there = btree_remove(&consumer->pending, pending);
    ASSERT(there);
    consumer->group->stream->parts--;
    write_consumer(pending, NULL);
}

/* Puts a new one into both trees, or answers the one that is there, and frees the new one. */
static struct stream_pending *insert(
    struct stream_group *group, struct stream_consumer *consumer, struct stream_pending *pending)
{
    struct stream_pending *old = btree_insert(&group->pending, pending);
    if (old) {
        stream_pending_free(pending);
        return old;
    }
    group->stream->parts++;
    if (consumer)
        link_consumer(pending, consumer);
    return NULL;
}

struct stream_pending *stream_pending_add(
    struct stream_group *group, struct stream_consumer *consumer, struct stream_id id, int64_t time_ms, uint64_t count)
{
    struct stream_pending *pending = create(id, time_ms, count);
    return insert(group, consumer, pending) ? NULL : pending;
}

struct stream_pending *stream_pending_deliver(
    struct stream_group *group, struct stream_consumer *consumer, struct stream_id id, int64_t now_ms)
{
    struct stream_pending *pending = create(id, now_ms, 1), *old = insert(group, consumer, pending);
    if (!old)
        return pending;
    stream_pending_claim(old, consumer);
    return stream_pending_set(group, old, now_ms, 1);
}

void stream_pending_claim(struct stream_pending *pending, struct stream_consumer *consumer)
{
    if (stream_pending_consumer(pending) == consumer)
        return;
    unlink_consumer(pending);
    link_consumer(pending, consumer);
}

/* Another allocation in the place of the first, in both trees. */
static struct stream_pending *exchange(
    struct stream_group *group, struct stream_pending *pending, int64_t time_ms, uint64_t count)
{
    struct stream_consumer *consumer = stream_pending_consumer(pending);
    struct stream_pending *other = create(pending->id, time_ms, count);
    write_consumer(other, consumer);
    bool there = btree_replace(&group->pending, pending, other);
    bool owned = !consumer || btree_replace(&consumer->pending, pending, other);
    ASSERT(there && owned);
    stream_pending_free(pending);
    return other;
}

struct stream_pending *stream_pending_set(
    struct stream_group *group, struct stream_pending *pending, int64_t time_ms, uint64_t count)
{
    if (pending_size(count) != pending_size(stream_pending_count(pending)))
        return exchange(group, pending, time_ms, count);
    write_time(pending, time_ms);
    write_count(pending, count);
    return pending;
}

void stream_pending_remove(struct stream_group *group, struct stream_pending *pending)
{
    bool there = btree_remove(&group->pending, pending);
    ASSERT(there);
    group->stream->parts--;
    unlink_consumer(pending);
    stream_pending_free(pending);
}

bool stream_pending_ack(struct stream_group *group, struct stream_id id)
{
    struct stream_pending *pending = stream_pending_find(group, id);
    if (pending)
        stream_pending_remove(group, pending);
    return pending;
}
