/*
 * Consumer groups: the groups of a stream, their consumers, and what a group knows of its progress.
 *
 * entries_read counts as long as every entry behind last_id is there; once one was deleted ahead, or the front of the
 * stream has passed the group, the count is taken from where last_id lies: at the last entry ever added, before the
 * first one, or at it. Anywhere else it cannot be known without counting, and is not.
 */
#include "store/stream_group.h"

#include "base/fiber.h"
#include "stream_group_priv.h"
#include "stream_priv.h"

enum { BATCH = 64 };

/* --- Names, in order --- */

static uint64_t name_prefix(struct bytes name)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < sizeof prefix; i++)
        prefix = prefix << 8 | (i < name.len ? (unsigned char)name.ptr[i] : 0);
    return prefix;
}

/* Groups and consumers begin with their names. */
static struct bytes name_of(const void *item)
{
    return *(const struct bytes *)item;
}

static uint64_t item_prefix(const void *item)
{
    return name_prefix(name_of(item));
}

static int item_compare(const void *item, const void *other)
{
    return bytes_compare(name_of(item), name_of(other));
}

static int key_compare(const void *key, const void *item)
{
    return bytes_compare(*(const struct bytes *)key, name_of(item));
}

_Static_assert(offsetof(struct stream_group, name) == 0 && offsetof(struct stream_consumer, name) == 0, "name_of");

const struct btree_type stream_groups_type = { .prefix = item_prefix, .compare = item_compare };
static const struct btree_type consumers_type = { .prefix = item_prefix, .compare = item_compare };

static void *find_name(const struct btree *tree, struct bytes name)
{
    struct btree_key key = { name_prefix(name), &name, key_compare };
    return btree_find(tree, &key);
}

/* An item of `size` bytes with its name behind it; NULL when memory is out. */
static void *create_named(size_t size, struct bytes name)
{
    char *item = mem_try_alloc(size + name.len);
    if (!item)
        return NULL;
    memset(item, 0, size);
    if (name.len)
        memcpy(item + size, name.ptr, name.len);
    *(struct bytes *)(void *)item = (struct bytes){ item + size, name.len };
    return item;
}

/* --- Groups --- */

size_t stream_group_count(const struct stream *stream)
{
    return btree_count(&stream->groups);
}

struct stream_group *stream_group_find(const struct stream *stream, struct bytes name)
{
    return find_name(&stream->groups, name);
}

struct stream_group *stream_group_at(const struct stream *stream, size_t rank)
{
    return btree_at(&stream->groups, rank);
}

struct stream_group *stream_group_create(
    struct stream *stream, struct bytes name, struct stream_id last_id, int64_t entries_read)
{
    if (stream_group_find(stream, name))
        return NULL;
    struct stream_group *group = create_named(sizeof *group, name);
    if (!group)
        return NULL;
    group->stream = stream;
    btree_init(&group->pending, &stream_pending_type);
    btree_init(&group->consumers, &consumers_type);
    stream_group_set_id(group, last_id, entries_read);
    btree_insert(&stream->groups, group);
    stream->parts++;
    return group;
}

void stream_group_destroy(struct keyspace *keyspace, struct stream_group *group)
{
    struct stream *stream = group->stream, *shell = stream_create();
    size_t parts = 1 + stream_consumer_count(group) + 2 * btree_count(&group->pending);
    bool there = btree_remove(&stream->groups, group);
    ASSERT(there && stream->parts >= parts);
    stream->parts -= parts;
    btree_insert(&shell->groups, group);
    shell->parts = parts;
    group->stream = shell;
    stream_reclaim_take(keyspace, shell);
}

void stream_group_set_id(struct stream_group *group, struct stream_id last_id, int64_t entries_read)
{
    group->last_id = last_id;
    group->entries_read = entries_read;
}

/* --- Progress --- */

/* True if entries behind `id` may have been deleted by ID. */
static bool has_gap_behind(const struct stream_meta *meta, struct stream_id id)
{
    if (!meta->length || stream_id_is_zero(meta->max_deleted_id) ||
        stream_id_compare(meta->first_id, meta->max_deleted_id) > 0)
        return false;
    return stream_id_compare(id, meta->max_deleted_id) <= 0;
}

int64_t stream_entries_up_to(const struct stream *stream, struct stream_id id)
{
    const struct stream_meta *meta = &stream->meta;
    if (!meta->entries_added)
        return 0;
    int to_last = stream_id_compare(id, meta->last_id);
    if (!meta->length && to_last <= 0)
        return (int64_t)meta->entries_added;
    if (!stream_id_is_zero(id) && stream_id_compare(id, meta->max_deleted_id) < 0)
        return STREAM_READ_UNKNOWN;
    if (to_last == 0)
        return (int64_t)meta->entries_added;
    if (to_last > 0)
        return STREAM_READ_UNKNOWN; /* as many as were added, but of IDs that are still to come */
    if (stream_id_is_zero(meta->max_deleted_id) || stream_id_compare(meta->max_deleted_id, meta->first_id) < 0) {
        int to_first = stream_id_compare(id, meta->first_id);
        if (to_first <= 0)
            return (int64_t)(meta->entries_added - meta->length) + (to_first == 0);
    }
    return STREAM_READ_UNKNOWN;
}

void stream_group_advance(struct stream_group *group, struct stream_id id)
{
    const struct stream_meta *meta = &group->stream->meta;
    if (group->entries_read != STREAM_READ_UNKNOWN && stream_id_compare(group->last_id, meta->first_id) >= 0 &&
        !has_gap_behind(meta, group->last_id))
        group->entries_read++;
    else if (meta->entries_added)
        group->entries_read = stream_entries_up_to(group->stream, id);
    group->last_id = id;
}

bool stream_group_lag(const struct stream_group *group, uint64_t *lag)
{
    const struct stream_meta *meta = &group->stream->meta;
    int64_t read = group->entries_read;
    if (!meta->entries_added || !meta->length) {
        *lag = 0;
        return true;
    }
    if (stream_id_compare(group->last_id, meta->first_id) < 0 &&
        stream_id_compare(meta->max_deleted_id, meta->first_id) < 0) {
        *lag = meta->length;
        return true;
    }
    if (read == STREAM_READ_UNKNOWN || has_gap_behind(meta, group->last_id))
        read = stream_entries_up_to(group->stream, group->last_id);
    if (read == STREAM_READ_UNKNOWN)
        return false;
    *lag = meta->entries_added - (uint64_t)read;
    return true;
}

/* --- Consumers --- */

struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct bytes name)
{
    return find_name(&group->consumers, name);
}

struct stream_consumer *stream_consumer_at(const struct stream_group *group, size_t rank)
{
    return btree_at(&group->consumers, rank);
}

struct stream_consumer *stream_consumer_create(struct stream_group *group, struct bytes name, int64_t now_ms)
{
    if (stream_consumer_find(group, name))
        return NULL;
    struct stream_consumer *consumer = create_named(sizeof *consumer, name);
    if (!consumer)
        return NULL;
    consumer->group = group;
    consumer->seen_ms = now_ms;
    consumer->active_ms = -1;
    btree_init(&consumer->pending, &stream_pending_type);
    btree_insert(&group->consumers, consumer);
    group->stream->parts++;
    return consumer;
}

size_t stream_consumer_delete_step(struct stream_consumer *consumer, size_t max, bool *gone)
{
    struct stream_group *group = consumer->group;
    void *batch[BATCH];
    size_t done = 0;
    while (done < max && btree_count(&consumer->pending)) {
        size_t n = btree_drain(&consumer->pending, batch, max - done < BATCH ? max - done : BATCH);
        for (size_t i = 0; i < n; i++) {
            bool there = btree_remove(&group->pending, batch[i]);
            ASSERT(there);
            stream_pending_free(batch[i]);
        }
        group->stream->parts -= 2 * n;
        done += n;
    }
    *gone = !btree_count(&consumer->pending);
    if (*gone) {
        bool there = btree_remove(&group->consumers, consumer);
        ASSERT(there);
        btree_fini(&consumer->pending);
        mem_free(consumer);
        group->stream->parts--;
    }
    return done;
}

/* --- All groups of a stream --- */

size_t stream_groups_memory(const struct stream *stream)
{
    size_t bytes = btree_overhead_bytes(&stream->groups);
    for (size_t i = 0; i < btree_count(&stream->groups); i++) {
        const struct stream_group *group = stream_group_at(stream, i);
        bytes += mem_usable_size(group) + btree_overhead_bytes(&group->pending) +
                 btree_overhead_bytes(&group->consumers) +
                 btree_count(&group->pending) * mem_good_size(sizeof(struct stream_pending));
        struct btree_iter place = btree_seek_rank(&group->consumers, 0);
        for (const struct stream_consumer *consumer = btree_iter_item(&place); consumer;
             consumer = btree_iter_next(&place))
            bytes += mem_usable_size(consumer) + btree_overhead_bytes(&consumer->pending);
    }
    return bytes;
}

/* Takes down a consumer's tree, then the consumer; nothing in it is read, for the group may have freed it. */
static size_t drain_consumer(struct btree *consumers, size_t items)
{
    void *batch[BATCH];
    struct stream_consumer *consumer = btree_at(consumers, btree_count(consumers) - 1);
    if (btree_count(&consumer->pending))
        return btree_drain(&consumer->pending, batch, items < BATCH ? items : BATCH);
    btree_drain(consumers, batch, 1);
    btree_fini(&consumer->pending);
    mem_free(consumer);
    return 1;
}

static size_t drain_pending(struct btree *pending, size_t items)
{
    void *batch[BATCH];
    size_t n = btree_drain(pending, batch, items < BATCH ? items : BATCH);
    for (size_t i = 0; i < n; i++)
        mem_free(batch[i]);
    return n;
}

bool stream_groups_drain(struct stream *stream, size_t *items)
{
    while (*items && btree_count(&stream->groups)) {
        void *last = btree_at(&stream->groups, btree_count(&stream->groups) - 1);
        struct stream_group *group = last;
        size_t n = 1;
        if (btree_count(&group->consumers)) {
            n = drain_consumer(&group->consumers, *items);
        } else if (btree_count(&group->pending)) {
            n = drain_pending(&group->pending, *items);
        } else {
            btree_drain(&stream->groups, &last, 1);
            btree_fini(&group->consumers);
            btree_fini(&group->pending);
            mem_free(group);
        }
        stream->parts -= n < stream->parts ? n : stream->parts;
        *items -= n;
    }
    return btree_count(&stream->groups) > 0;
}

enum { PENDING_COST = 20 }; /* of copying, for fiber_breathe */

static void copy_consumer(struct stream_group *to, const struct stream_consumer *from)
{
    struct stream_consumer *consumer = stream_consumer_create(to, from->name, from->seen_ms);
    ASSERT(consumer);
    consumer->active_ms = from->active_ms;
    struct btree_iter place = btree_seek_rank(&from->pending, 0);
    for (const struct stream_pending *pending = btree_iter_item(&place); pending; pending = btree_iter_next(&place)) {
        fiber_breathe(PENDING_COST);
        stream_pending_add(to, consumer, pending->id, stream_pending_time(pending), stream_pending_count(pending));
    }
}

void stream_groups_copy(struct stream *to, const struct stream *from)
{
    for (size_t i = 0; i < btree_count(&from->groups); i++) {
        const struct stream_group *group = stream_group_at(from, i);
        struct stream_group *own = stream_group_create(to, group->name, group->last_id, group->entries_read);
        ASSERT(own);
        for (size_t j = 0; j < stream_consumer_count(group); j++)
            copy_consumer(own, stream_consumer_at(group, j));
    }
}

bool stream_restore_is_whole(const struct stream *stream)
{
    for (size_t i = 0; i < btree_count(&stream->groups); i++) {
        const struct stream_group *group = stream_group_at(stream, i);
        size_t owned = 0;
        for (size_t j = 0; j < stream_consumer_count(group); j++)
            owned += btree_count(&stream_consumer_at(group, j)->pending);
        if (owned != btree_count(&group->pending))
            return false;
    }
    return true;
}

bool stream_is_referenced(const struct stream *stream, struct stream_id id)
{
    struct btree_iter place = btree_seek_rank(&stream->groups, 0);
    for (const struct stream_group *group = btree_iter_item(&place); group; group = btree_iter_next(&place))
        if (stream_id_compare(id, group->last_id) > 0 || stream_pending_find(group, id))
            return true;
    return false;
}

size_t stream_forget(struct stream *stream, struct stream_id id)
{
    size_t count = 0;
    struct btree_iter place = btree_seek_rank(&stream->groups, 0);
    for (struct stream_group *group = btree_iter_item(&place); group; group = btree_iter_next(&place))
        count += stream_pending_ack(group, id);
    return count;
}

/* --- Checking --- */

static void note_complaint(void *context, const char *what)
{
    const char **first = context;
    if (!*first)
        *first = what;
}

static const char *check_consumer(const struct stream_group *group, const struct stream_consumer *consumer)
{
    const char *wrong = NULL;
    btree_check(&consumer->pending, note_complaint, &wrong);
    if (!wrong && consumer->group != group)
        wrong = "a consumer belongs to another group";
    struct btree_iter place = btree_seek_rank(&consumer->pending, 0);
    for (const struct stream_pending *pending = btree_iter_item(&place); pending && !wrong;
         pending = btree_iter_next(&place))
        if (stream_pending_consumer(pending) != consumer || stream_pending_find(group, pending->id) != pending)
            wrong = "a pending entry is not its consumer's and its group's";
    return wrong;
}

const char *stream_groups_check(const struct stream *stream)
{
    const char *wrong = NULL;
    size_t parts = 0;
    btree_check(&stream->groups, note_complaint, &wrong);
    for (size_t i = 0; i < btree_count(&stream->groups) && !wrong; i++) {
        const struct stream_group *group = stream_group_at(stream, i);
        btree_check(&group->consumers, note_complaint, &wrong);
        btree_check(&group->pending, note_complaint, &wrong);
        if (!wrong && group->stream != stream)
            wrong = "a group belongs to another stream";
        for (size_t j = 0; j < stream_consumer_count(group) && !wrong; j++)
            wrong = check_consumer(group, stream_consumer_at(group, j));
        parts += 1 + stream_consumer_count(group) + 2 * btree_count(&group->pending);
    }
    if (!wrong && !stream_restore_is_whole(stream))
        wrong = "a pending entry has no consumer";
    if (!wrong && parts != stream->parts)
        wrong = "a stream's groups do not add up";
    return wrong;
}
