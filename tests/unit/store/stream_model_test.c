/*
 * Streams against a naive model: an array of entries, and for each group an array of pending ones. Small blocks, so
 * that there are many; IDs close together, so that they meet.
 */
#include "stream_fixture.h"

enum { ENTRIES = 4000, GROUPS = 3, CONSUMERS = 3, PENDING = 4000, STEPS = 12000 };

struct model_entry {
    struct stream_id id;
    uint32_t seed; /* of its fields */
};

struct model_pending {
    struct stream_id id;
    int consumer;
    int64_t time_ms;
    uint64_t count;
};

struct model_group {
    bool there, there_consumer[CONSUMERS];
    struct stream_id last_id;
    size_t count;
    struct model_pending pending[PENDING];
};

struct model {
    struct fixture fixture;
    struct store_settings settings;
    struct random random;
    size_t count;
    struct stream_id last_id, max_deleted_id;
    uint64_t added;
    struct model_entry entries[ENTRIES];
    struct model_group groups[GROUPS];
};

static uint64_t below(struct model *model, uint64_t bound)
{
    return random_below(&model->random, bound);
}

/* The fields that a seed stands for: mostly one set of names, values of all kinds. */
static size_t make_texts(uint32_t seed, struct bytes *texts, char (*room)[160])
{
    struct random random;
    random_init(&random, seed);
    size_t pairs = random_below(&random, 4) ? 2 : 1 + random_below(&random, 4);
    bool usual = pairs == 2 && random_below(&random, 8);
    for (size_t i = 0; i < 2 * pairs; i++) {
        int len = 0;
        if (i % 2 == 0)
            len = snprintf(room[i], sizeof room[i], usual ? "field%zu" : "%zu", i);
        else if (random_below(&random, 2))
            len = snprintf(
                room[i], sizeof room[i], "%" PRId64, (int64_t)random_next(&random) >> random_below(&random, 64));
        else
            for (len = (int)random_below(&random, random_below(&random, 10) ? 20 : 150); len > 0 && room[i][0] != 'x';)
                memset(room[i], 'x', (size_t)len);
        texts[i] = (struct bytes){ room[i], (size_t)len };
    }
    return 2 * pairs;
}

static struct stream *stream(struct model *model)
{
    return stream_at(&model->fixture, "s");
}

static struct bytes group_name(size_t index)
{
    return (struct bytes){ &"xyz"[index], 1 };
}

static struct stream_group *group_at(struct model *model, size_t index)
{
    struct stream_group *group = stream_group_find(stream(model), group_name(index));
    REQUIRE(!!group == model->groups[index].there);
    return group;
}

static struct stream_consumer *consumer_at(struct model *model, size_t group, size_t index)
{
    struct stream_consumer *consumer = stream_consumer_find(group_at(model, group), group_name(index));
    REQUIRE(!!consumer == model->groups[group].there_consumer[index]);
    return consumer;
}

/* An ID near those that are there. */
static struct stream_id some_id(struct model *model)
{
    if (model->count && below(model, 3))
        return model->entries[below(model, model->count)].id;
    return ID(below(model, model->last_id.ms + 3), below(model, 4));
}

static size_t find(const struct model *model, struct stream_id id)
{
    size_t at = 0;
    while (at < model->count && stream_id_compare(model->entries[at].id, id) < 0)
        at++;
    return at;
}

static void take_out(struct model *model, size_t at)
{
    memmove(model->entries + at, model->entries + at + 1, (--model->count - at) * sizeof *model->entries);
}

static size_t find_pending(const struct model_group *group, struct stream_id id)
{
    size_t at = 0;
    while (at < group->count && stream_id_compare(group->pending[at].id, id) < 0)
        at++;
    return at;
}

static bool is_pending(const struct model_group *group, struct stream_id id)
{
    size_t at = find_pending(group, id);
    return at < group->count && stream_id_equal(group->pending[at].id, id);
}

static void take_pending(struct model_group *group, size_t at)
{
    memmove(group->pending + at, group->pending + at + 1, (--group->count - at) * sizeof *group->pending);
}

static bool is_referenced(const struct model *model, struct stream_id id)
{
    for (size_t i = 0; i < GROUPS; i++) {
        const struct model_group *group = &model->groups[i];
        if (group->there && (stream_id_compare(id, group->last_id) > 0 || is_pending(group, id)))
            return true;
    }
    return false;
}

static void forget(struct model *model, struct stream_id id)
{
    for (size_t i = 0; i < GROUPS; i++)
        if (is_pending(&model->groups[i], id))
            take_pending(&model->groups[i], find_pending(&model->groups[i], id));
}

/* --- Steps --- */

static void step_add(struct model *model)
{
    if (model->count == ENTRIES)
        return;
    struct stream_id id = model->last_id;
    if (below(model, 3))
        id = ID(id.ms + 1 + below(model, 2), below(model, 3));
    else
        id.seq += 1 + below(model, 2);
    struct bytes texts[10];
    char room[10][160] = { 0 };
    uint32_t seed = (uint32_t)random_next(&model->random);
    size_t n = make_texts(seed, texts, room);
    struct stream_edit edit = edit_of(&model->fixture, "s");
    REQUIRE(stream_add(&edit, id, texts, n) == STREAM_ADDED);
    model->entries[model->count++] = (struct model_entry){ id, seed };
    model->last_id = id;
    model->added++;
}

static void step_delete(struct model *model)
{
    struct stream_id id = some_id(model);
    size_t at = find(model, id);
    bool there = at < model->count && stream_id_equal(model->entries[at].id, id);
    REQUIRE(stream_has(stream(model), id) == there);
    REQUIRE(delete_id(&model->fixture, id) == there);
    if (!there)
        return;
    take_out(model, at);
    if (stream_id_compare(id, model->max_deleted_id) > 0)
        model->max_deleted_id = id;
}

/* What the model does for a trim: from the front, passing by what must stay. */
static uint64_t trim_model(struct model *model, const struct stream_trim *how, uint64_t at_most)
{
    uint64_t removed = 0;
    for (size_t at = 0; at < model->count && removed < at_most;) {
        struct stream_id id = model->entries[at].id;
        if (how->by == STREAM_TRIM_MAXLEN ? model->count <= how->max_length : stream_id_compare(id, how->min_id) >= 0)
            break;
        if (how->refs == STREAM_ACKED && is_referenced(model, id)) {
            at++;
            continue;
        }
        if (how->refs == STREAM_DELREF)
            forget(model, id);
        take_out(model, at);
        removed++;
    }
    return removed;
}

static void step_trim(struct model *model)
{
    struct stream_trim how = { .by = below(model, 2) ? STREAM_TRIM_MAXLEN : STREAM_TRIM_MINID };
    how.max_length = model->count - below(model, model->count / 4 + 1);
    how.min_id = model->count ? model->entries[below(model, model->count / 4 + 1)].id : some_id(model);
    how.refs = (enum stream_refs)below(model, 3);
    how.approximate = !below(model, 3);
    how.limit = how.approximate && below(model, 2) ? 1 + below(model, 30) : 0;
    uint64_t removed = trim(&model->fixture, how);
    REQUIRE(!how.limit || removed <= how.limit);
    if (!how.approximate) {
        REQUIRE(trim_model(model, &how, UINT64_MAX) == removed);
        return;
    }
    REQUIRE(trim_model(model, &how, removed) == removed);
    struct stream_block_view view;
    if (how.limit || how.refs == STREAM_ACKED || !stream_block_at(stream(model), 0, &view))
        return;
    if (how.by == STREAM_TRIM_MAXLEN)
        REQUIRE(model->count <= how.max_length || model->count - view.live < how.max_length);
}

static void step_group(struct model *model)
{
    size_t index = below(model, GROUPS);
    struct model_group *group = &model->groups[index];
    if (!group->there) {
        struct stream_id id = below(model, 2) ? STREAM_ID_MIN : some_id(model);
        REQUIRE(stream_group_create(stream(model), group_name(index), id, STREAM_READ_UNKNOWN));
        *group = (struct model_group){ .there = true, .last_id = id };
    } else if (below(model, 20) == 0) {
        stream_group_destroy(model->fixture.keyspace, group_at(model, index));
        *group = (struct model_group){ 0 };
    } else if (below(model, 4) == 0) {
        group->last_id = some_id(model);
        stream_group_set_id(group_at(model, index), group->last_id, STREAM_READ_UNKNOWN);
    }
}

/* One of the consumers of a group, made if need be. False if there is no group. */
static bool some_consumer(struct model *model, size_t *group, size_t *consumer)
{
    *group = below(model, GROUPS);
    *consumer = below(model, CONSUMERS);
    if (!model->groups[*group].there)
        return false;
    if (!consumer_at(model, *group, *consumer)) {
        REQUIRE(stream_consumer_create(group_at(model, *group), group_name(*consumer), NOW));
        model->groups[*group].there_consumer[*consumer] = true;
    }
    return true;
}

static void note_pending(struct model_group *group, struct stream_id id, int consumer, int64_t time_ms)
{
    size_t at = find_pending(group, id);
    if (!is_pending(group, id)) {
        memmove(group->pending + at + 1, group->pending + at, (group->count++ - at) * sizeof *group->pending);
        group->pending[at].id = id;
    }
    group->pending[at].consumer = consumer;
    group->pending[at].time_ms = time_ms;
    group->pending[at].count = 1;
}

static void step_deliver(struct model *model)
{
    size_t g, c;
    if (!some_consumer(model, &g, &c))
        return;
    struct model_group *group = &model->groups[g];
    struct stream_iter iter;
    struct stream_id from = group->last_id;
    if (!stream_id_next(&from))
        return;
    uint64_t left = 1 + below(model, 20);
    stream_iter_begin(&iter, stream(model), from, STREAM_ID_MAX, false);
    while (left-- && group->count < PENDING && stream_iter_next(&iter)) {
        size_t at = find(model, from);
        REQUIRE(at < model->count && stream_id_equal(model->entries[at].id, iter.id));
        int64_t time_ms = (int64_t)below(model, 1ull << 48);
        struct stream_group *own = group_at(model, g);
        stream_group_advance(own, iter.id);
        stream_pending_deliver(own, consumer_at(model, g, c), iter.id, time_ms);
        note_pending(group, iter.id, (int)c, time_ms);
        group->last_id = from = iter.id;
        stream_id_next(&from);
    }
}

static void step_pending(struct model *model)
{
    size_t g, c;
    if (!some_consumer(model, &g, &c) || !model->groups[g].count)
        return;
    struct model_group *group = &model->groups[g];
    struct stream_group *own = group_at(model, g);
    struct model_pending *pending = &group->pending[below(model, group->count)];
    struct stream_pending *found = stream_pending_find(own, pending->id);
    REQUIRE(found);
    switch (below(model, 3)) {
    case 0:
        REQUIRE(stream_pending_ack(own, pending->id));
        take_pending(group, (size_t)(pending - group->pending));
        return;
    case 1:
        stream_pending_claim(found, consumer_at(model, g, c));
        pending->consumer = (int)c;
        return;
    default:
        pending->time_ms = (int64_t)below(model, 1ull << 48);
        pending->count = random_next(&model->random) >> below(model, 64);
        stream_pending_set(own, found, pending->time_ms, pending->count);
    }
}

static void step_drop_consumer(struct model *model)
{
    size_t g, c;
    if (below(model, 10) || !some_consumer(model, &g, &c))
        return;
    struct model_group *group = &model->groups[g];
    size_t expected = 0, removed = 0;
    for (size_t i = group->count; i-- > 0;)
        if (group->pending[i].consumer == (int)c) {
            take_pending(group, i);
            expected++;
        }
    for (bool gone = false; !gone;)
        removed += stream_consumer_delete_step(consumer_at(model, g, c), 1 + below(model, 20), &gone);
    REQUIRE(removed == expected);
    group->there_consumer[c] = false;
}

/* --- Comparing --- */

static void compare_entry(struct stream_iter *iter, const struct model_entry *expected)
{
    struct bytes texts[10], field, value;
    char room[10][160] = { 0 };
    size_t n = make_texts(expected->seed, texts, room);
    REQUIRE(stream_id_equal(iter->id, expected->id) && iter->field_count == n / 2);
    for (size_t i = 0; i < n; i += 2)
        REQUIRE(
            stream_iter_pair(iter, &field, &value) && bytes_equal(field, texts[i]) && bytes_equal(value, texts[i + 1]));
    REQUIRE(!stream_iter_pair(iter, &field, &value));
}

static void compare_range(struct model *model, const struct stream *stream, struct stream_id from, struct stream_id to)
{
    struct stream_iter iter;
    stream_iter_begin(&iter, stream, from, to, false);
    size_t begin = find(model, from), at = begin;
    for (; at < model->count && stream_id_compare(model->entries[at].id, to) <= 0; at++) {
        REQUIRE(stream_iter_next(&iter));
        if (below(model, 4))
            compare_entry(&iter, &model->entries[at]);
    }
    REQUIRE(!stream_iter_next(&iter));
    stream_iter_begin(&iter, stream, to, from, true);
    while (at-- > begin) {
        REQUIRE(stream_iter_next(&iter));
        if (below(model, 4))
            compare_entry(&iter, &model->entries[at]);
    }
    REQUIRE(stream_id_compare(from, to) > 0 || !stream_iter_next(&iter));
}

static void compare_group(const struct model *model, size_t index, const struct stream_group *group)
{
    const struct model_group *expected = &model->groups[index];
    REQUIRE(stream_id_equal(group->last_id, expected->last_id));
    REQUIRE(btree_count(&group->pending) == expected->count);
    struct btree_iter place;
    const struct stream_pending *pending = stream_pending_seek(&group->pending, STREAM_ID_MIN, &place);
    for (size_t i = 0; i < expected->count; i++, pending = btree_iter_next(&place)) {
        const struct model_pending *one = &expected->pending[i];
        REQUIRE(stream_id_equal(pending->id, one->id) && stream_pending_time(pending) == one->time_ms);
        REQUIRE(stream_pending_count(pending) == one->count);
        REQUIRE(bytes_equal(stream_pending_consumer(pending)->name, group_name((size_t)one->consumer)));
    }
    uint64_t lag;
    struct stream_id next = expected->last_id;
    if (stream_group_lag(group, &lag) && stream_id_next(&next))
        REQUIRE(lag == model->count - find(model, next));
}

static void compare(struct model *model, const struct stream *stream)
{
    const struct stream_meta *meta = stream_meta(stream);
    REQUIRE(meta->length == model->count && meta->entries_added == model->added);
    REQUIRE(stream_id_equal(meta->last_id, model->last_id));
    REQUIRE(stream_id_equal(meta->max_deleted_id, model->max_deleted_id));
    REQUIRE(stream_id_equal(meta->first_id, model->count ? model->entries[0].id : STREAM_ID_MIN));
    compare_range(model, stream, STREAM_ID_MIN, STREAM_ID_MAX);
    for (size_t i = 0; i < GROUPS; i++) {
        const struct stream_group *group = stream_group_find(stream, group_name(i));
        REQUIRE(!!group == model->groups[i].there);
        if (group)
            compare_group(model, i, group);
    }
}

/* As a file would: the same blocks, groups, and pending entries before their consumers. */
static void rebuild(struct model *model)
{
    const struct stream *from = stream(model);
    struct stream *to = stream_create();
    struct stream_block_view view;
    for (size_t i = 0; stream_block_at(from, i, &view); i++)
        REQUIRE(stream_restore_block_take(
            to, view.id, mem_dup(view.pack, listpack_bytes(view.pack)), listpack_bytes(view.pack)));
    REQUIRE(stream_restore_meta(to, stream_meta(from)));
    for (size_t i = 0; i < stream_group_count(from); i++) {
        const struct stream_group *group = stream_group_at(from, i);
        struct stream_group *own = stream_group_create(to, group->name, group->last_id, group->entries_read);
        struct btree_iter place;
        const struct stream_pending *pending = stream_pending_seek(&group->pending, STREAM_ID_MIN, &place);
        for (; pending; pending = btree_iter_next(&place))
            stream_pending_add(own, NULL, pending->id, stream_pending_time(pending), stream_pending_count(pending));
        for (size_t j = 0; j < stream_consumer_count(group); j++) {
            const struct stream_consumer *consumer = stream_consumer_at(group, j);
            struct stream_consumer *mine = stream_consumer_create(own, consumer->name, consumer->seen_ms);
            pending = stream_pending_seek(&consumer->pending, STREAM_ID_MIN, &place);
            for (; pending; pending = btree_iter_next(&place))
                stream_pending_claim(stream_pending_find(own, pending->id), mine);
        }
    }
    REQUIRE(stream_restore_is_whole(to));
    keyspace_set_stream_take(model->fixture.keyspace, model->fixture.db, key_of("s"), to, EXPIRY_NONE, NOW);
}

static void run(unsigned add_weight, uint64_t max_entries, uint64_t max_bytes)
{
    struct model *model = mem_zalloc(sizeof *model);
    fixture_begin(&model->fixture);
    model->random = seed_random(__func__);
    model->settings = store_settings_default;
    model->settings.stream_node_max_entries = (int64_t)max_entries;
    model->settings.stream_node_max_bytes = (int64_t)max_bytes;
    model->fixture.keyspace->settings = &model->settings;
    step_add(model);
    for (int i = 0; i < STEPS; i++) {
        static void (*const steps[])(
            struct model *) = { step_delete, step_trim, step_group, step_deliver, step_pending, step_drop_consumer };
        uint64_t which = below(model, 100);
        if (which < add_weight)
            step_add(model);
        else
            steps[which % 6](model);
        if (i % 10 == 0)
            compare_range(model, stream(model), some_id(model), some_id(model));
        if (i % 200)
            continue;
        check(&model->fixture);
        compare(model, stream(model));
        if (below(model, 4) == 0)
            rebuild(model);
        keyspace_copy(model->fixture.keyspace, model->fixture.db, key_of("s"), model->fixture.db, key_of("copy"));
        compare(model, stream_at(&model->fixture, "copy"));
    }
    fixture_end(&model->fixture);
    mem_free(model);
}

Test(stream_model, small_blocks)
{
    run(60, 5, 4096);
}

Test(stream_model, many_blocks_and_few_deletions)
{
    run(94, 4, 4096);
}

Test(stream_model, blocks_by_bytes)
{
    run(80, 0, 300);
}

Test(stream_model, usual_blocks)
{
    run(90, 100, 4096);
}

Test(stream_model, one_endless_block)
{
    run(70, 0, 0);
}
