/*
 * Consumer groups: progress and lag, consumers, pending entries, and what an entry means to all groups.
 */
#include "stream_fixture.h"

static struct stream_group *group_of(struct fixture *fixture, const char *name)
{
    return stream_group_find(stream_at(fixture, "s"), bytes_from_cstr(name));
}

static void expect_lag(const struct stream_group *group, int64_t expected)
{
    uint64_t lag = 0;
    bool known = stream_group_lag(group, &lag);
    cr_assert_eq(known, expected >= 0);
    if (known)
        cr_assert_eq((int64_t)lag, expected);
}

Test(stream_group, groups_and_consumers_stand_in_the_order_of_their_names)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 1);
    struct stream *stream = stream_at(&fixture, "s");
    static const char *const names[] = { "b", "a", "prefix-long-2", "prefix-long-10", "", "prefix", "\xff" };
    static const char *const sorted[] = { "", "a", "b", "prefix", "prefix-long-10", "prefix-long-2", "\xff" };
    for (size_t i = 0; i < 7; i++) {
        cr_assert(stream_group_create(stream, bytes_from_cstr(names[i]), ID(i, i), STREAM_READ_UNKNOWN));
        cr_assert(!stream_group_create(stream, bytes_from_cstr(names[i]), ID(9, 9), 0));
    }
    struct stream_group *group = stream_group_find(stream, BYTES("a"));
    for (size_t i = 0; i < 7; i++) {
        cr_assert(stream_consumer_create(group, bytes_from_cstr(names[i]), NOW));
        cr_assert(!stream_consumer_create(group, bytes_from_cstr(names[i]), NOW));
    }
    for (size_t i = 0; i < 7; i++) {
        cr_assert(bytes_equal(stream_group_at(stream, i)->name, bytes_from_cstr(sorted[i])));
        cr_assert(bytes_equal(stream_consumer_at(group, i)->name, bytes_from_cstr(sorted[i])));
        cr_assert_eq(stream_consumer_at(group, i)->active_ms, -1);
    }
    cr_assert(stream_group_count(stream) == 7 && stream_consumer_count(group) == 7);
    cr_assert(!stream_group_at(stream, 7) && !stream_group_find(stream, BYTES("c")));
    stream_group_destroy(fixture.keyspace, group);
    cr_assert(stream_group_count(stream) == 6 && !stream_group_find(stream, BYTES("a")));
    fixture_end(&fixture);
}

Test(stream_group, an_entry_is_pending_for_one_consumer_until_it_is_acknowledged)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 10);
    struct stream_group *group = stream_group_create(stream_at(&fixture, "s"), BYTES("g"), STREAM_ID_MIN, 0);
    struct stream_consumer *a = stream_consumer_create(group, BYTES("a"), NOW);
    struct stream_consumer *b = stream_consumer_create(group, BYTES("b"), NOW);
    for (uint64_t i = 1; i <= 6; i++)
        stream_pending_deliver(group, i % 2 ? a : b, ID(i, 1), NOW + (int64_t)i);
    cr_assert(btree_count(&group->pending) == 6 && btree_count(&a->pending) == 3);
    cr_assert(stream_id_equal(stream_pending_smallest(&b->pending)->id, ID(2, 1)));
    cr_assert(stream_id_equal(stream_pending_greatest(&b->pending)->id, ID(6, 1)));
    struct btree_iter place;
    const struct stream_pending *pending = stream_pending_seek(&a->pending, ID(2, 0), &place);
    cr_assert(stream_id_equal(pending->id, ID(3, 1)) && stream_pending_time(pending) == NOW + 3);
    cr_assert(stream_pending_count(pending) == 1 && stream_pending_consumer(pending) == a);
    pending = btree_iter_next(&place);
    cr_assert(stream_id_equal(pending->id, ID(5, 1)) && !btree_iter_next(&place));
    stream_pending_claim(stream_pending_find(group, ID(3, 1)), b);
    cr_assert(btree_count(&a->pending) == 2 && btree_count(&b->pending) == 4);
    pending = stream_pending_deliver(group, a, ID(4, 1), NOW + 100);
    cr_assert(stream_pending_consumer(pending) == a && stream_pending_time(pending) == NOW + 100);
    check(&fixture);
    cr_assert(stream_pending_ack(group, ID(4, 1)) && !stream_pending_ack(group, ID(4, 1)));
    cr_assert(!stream_pending_add(group, a, ID(1, 1), NOW, 1));
    check(&fixture);
    bool gone;
    cr_assert(stream_consumer_delete_step(b, 2, &gone) == 2 && !gone);
    check(&fixture);
    cr_assert(stream_consumer_delete_step(b, 2, &gone) == 1 && gone);
    cr_assert(stream_consumer_count(group) == 1 && btree_count(&group->pending) == 2);
    cr_assert(stream_consumer_delete_step(a, 2, &gone) == 2 && gone);
    fixture_end(&fixture);
}

Test(stream_group, counts_and_times_of_any_size_are_kept)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 1);
    struct stream_group *group = stream_group_create(stream_at(&fixture, "s"), BYTES("g"), STREAM_ID_MIN, 0);
    struct stream_consumer *consumer = stream_consumer_create(group, BYTES("c"), NOW);
    struct stream_pending *pending = stream_pending_deliver(group, consumer, ID(1, 1), NOW);
    static const uint64_t counts[] = { 0, 1, UINT32_MAX - 1, UINT32_MAX, 1ull << 33, INT64_MAX, UINT64_MAX, 7 };
    for (size_t i = 0; i < 8; i++) {
        pending = stream_pending_set(group, pending, 1700000000000 + (int64_t)i, counts[i]);
        cr_assert_eq(stream_pending_count(pending), counts[i]);
        cr_assert_eq(stream_pending_time(pending), 1700000000000 + (int64_t)i);
        cr_assert_eq(stream_pending_find(group, ID(1, 1)), pending);
        check(&fixture);
    }
    cr_assert_eq(stream_pending_time(stream_pending_set(group, pending, -5, 1)), 0);
    cr_assert_eq(stream_pending_time(stream_pending_set(group, pending, INT64_MAX, 1)), ((int64_t)1 << 48) - 1);
    stream_pending_set(group, pending, 0, UINT64_MAX);
    fixture_end(&fixture);
}

Test(stream_group, the_lag_is_known_where_it_can_be)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    struct stream_edit edit = edit_of(&fixture, "s");
    stream_edit_create(&edit);
    struct stream_group *group = stream_group_create(stream_at(&fixture, "s"), BYTES("g"), STREAM_ID_MIN, -1);
    expect_lag(group, 0);
    add_many(&fixture, 1, 5);
    expect_lag(group, 5);
    stream_group_advance(group, ID(1, 1));
    stream_group_advance(group, ID(2, 1));
    cr_assert_eq(group->entries_read, 2);
    expect_lag(group, 3);
    cr_assert(delete_id(&fixture, ID(4, 1)));
    expect_lag(group, -1);
    stream_group_advance(group, ID(3, 1));
    cr_assert_eq(group->entries_read, STREAM_READ_UNKNOWN);
    stream_group_advance(group, ID(5, 1));
    cr_assert_eq(group->entries_read, 5);
    expect_lag(group, 0);
    /* A group in the middle does not know how much is before it; at the first entry it does. */
    struct stream_group *middle = stream_group_create(stream_at(&fixture, "s"), BYTES("m"), ID(2, 1), -1);
    expect_lag(middle, -1);
    trim(&fixture, (struct stream_trim){ .by = STREAM_TRIM_MINID, .min_id = ID(5, 0) });
    expect_lag(middle, 1);
    stream_group_set_id(middle, ID(5, 1), STREAM_READ_UNKNOWN);
    expect_lag(middle, 0);
    trim(&fixture, (struct stream_trim){ .by = STREAM_TRIM_MAXLEN });
    expect_lag(middle, 0);
    fixture_end(&fixture);
}

/* A group that read one of five; then the front is trimmed past it. */
Test(stream_group, the_lag_survives_trimming_past_the_group)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 5);
    struct stream_group *group = stream_group_create(stream_at(&fixture, "s"), BYTES("g"), STREAM_ID_MIN, -1);
    stream_group_advance(group, ID(1, 1));
    expect_lag(group, 4);
    trim(&fixture, (struct stream_trim){ .by = STREAM_TRIM_MAXLEN, .max_length = 1 });
    expect_lag(group, 1);
    stream_group_advance(group, ID(5, 1));
    cr_assert_eq(group->entries_read, 5);
    expect_lag(group, 0);
    fixture_end(&fixture);
}

Test(stream_group, references_hold_or_go_as_the_trim_says)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 300);
    struct stream *stream = stream_at(&fixture, "s");
    cr_assert(!stream_is_referenced(stream, ID(1, 1)));
    struct stream_group *g = stream_group_create(stream, BYTES("g"), ID(290, 1), -1);
    struct stream_group *h = stream_group_create(stream, BYTES("h"), ID(280, 1), -1);
    struct stream_consumer *c = stream_consumer_create(g, BYTES("c"), NOW);
    struct stream_consumer *d = stream_consumer_create(h, BYTES("d"), NOW);
    stream_pending_deliver(g, c, ID(3, 1), NOW);
    stream_pending_deliver(h, d, ID(3, 1), NOW);
    stream_pending_deliver(h, d, ID(150, 1), NOW);
    cr_assert(stream_is_referenced(stream, ID(3, 1)) && !stream_is_referenced(stream, ID(4, 1)));
    cr_assert(stream_is_referenced(stream, ID(285, 1)));
    struct stream_trim acked = { .by = STREAM_TRIM_MAXLEN, .max_length = 10, .refs = STREAM_ACKED };
    cr_assert_eq(trim(&fixture, acked), 278);
    check(&fixture);
    cr_assert(stream_has(stream, ID(3, 1)) && stream_has(stream, ID(150, 1)) && stream_has(stream, ID(281, 1)));
    cr_assert(!stream_has(stream, ID(149, 1)) && !stream_has(stream, ID(280, 1)));
    struct stream_trim by_id = { .by = STREAM_TRIM_MINID, .min_id = ID(150, 0), .refs = STREAM_DELREF };
    cr_assert_eq(trim(&fixture, by_id), 1);
    cr_assert(btree_count(&g->pending) == 0 && btree_count(&h->pending) == 1);
    cr_assert(stream_forget(stream, ID(150, 1)) == 1 && btree_count(&d->pending) == 0);
    acked.max_length = 0;
    cr_assert_eq(trim(&fixture, acked), 1);
    fixture_end(&fixture);
}

/* Blocks of five; the first of them pending, so that the trim has to find what may go behind it. */
Test(stream_group, a_trim_passes_by_what_is_pending)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    struct store_settings settings = store_settings_default;
    settings.stream_node_max_entries = 5;
    fixture.keyspace->settings = &settings;
    add_many(&fixture, 1, 20);
    struct stream *stream = stream_at(&fixture, "s");
    struct stream_group *group = stream_group_create(stream, BYTES("g"), ID(20, 1), STREAM_READ_UNKNOWN);
    struct stream_consumer *consumer = stream_consumer_create(group, BYTES("c"), NOW);
    for (uint64_t i = 1; i <= 5; i++)
        stream_pending_deliver(group, consumer, ID(i, 1), NOW);
    struct stream_trim acked = { .by = STREAM_TRIM_MAXLEN, .max_length = 18, .refs = STREAM_ACKED };
    cr_assert_eq(trim(&fixture, acked), 2);
    cr_assert(stream_has(stream, ID(5, 1)) && !stream_has(stream, ID(7, 1)) && stream_has(stream, ID(8, 1)));
    acked.max_length = 3;
    cr_assert_eq(trim(&fixture, acked), 13);
    cr_assert_eq(stream_meta(stream)->length, 5);
    check(&fixture);
    for (uint64_t i = 1; i <= 4; i++)
        cr_assert(stream_pending_ack(group, ID(i, 1)));
    cr_assert_eq(trim(&fixture, acked), 2);
    acked = (struct stream_trim){ .by = STREAM_TRIM_MINID, .min_id = ID(100, 0), .refs = STREAM_ACKED };
    cr_assert_eq(trim(&fixture, acked), 2);
    cr_assert(stream_meta(stream)->length == 1 && stream_has(stream, ID(5, 1)));
    fixture_end(&fixture);
}

Test(stream_group, files_give_pending_entries_before_their_consumers)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    struct stream *stream = stream_create();
    struct stream_group *group = stream_group_create(stream, BYTES("g"), ID(7, 7), 3);
    struct stream_pending *pending = stream_pending_add(group, NULL, ID(3, 3), NOW, 4);
    cr_assert(!stream_restore_is_whole(stream));
    stream_destroy(stream);
    stream = stream_create();
    group = stream_group_create(stream, BYTES("g"), ID(7, 7), 3);
    pending = stream_pending_add(group, NULL, ID(3, 3), NOW, 1ull << 40);
    stream_pending_claim(pending, stream_consumer_create(group, BYTES("c"), NOW));
    cr_assert(stream_restore_is_whole(stream));
    keyspace_set_stream_take(fixture.keyspace, fixture.db, key_of("s"), stream, EXPIRY_NONE, NOW);
    check(&fixture);
    keyspace_copy(fixture.keyspace, fixture.db, key_of("s"), fixture.other, key_of("t"));
    cr_assert(group_of(&fixture, "g") == group && group->entries_read == 3);
    fixture_end(&fixture);
}

Test(stream_group, a_pending_entry_takes_60_bytes)
{
    enum { COUNT = 500000 };
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 1);
    struct stream_group *group = stream_group_create(stream_at(&fixture, "s"), BYTES("g"), STREAM_ID_MIN, 0);
    struct stream_consumer *consumers[16];
    for (int i = 0; i < 16; i++)
        consumers[i] = stream_consumer_create(group, (struct bytes){ &"abcdefghijklmnop"[i], 1 }, NOW);
    size_t before = mem_used();
    struct random random;
    random = seed_random(__func__);
    for (uint64_t i = 0; i < COUNT; i++)
        stream_pending_deliver(group, consumers[random_below(&random, 16)], ID(1700000000000 + i / 100, i % 100), NOW);
    double in_order = (double)(mem_used() - before) / COUNT;
    for (uint64_t i = 0; i < COUNT / 2; i++) {
        uint64_t n = random_below(&random, COUNT);
        struct stream_pending *pending = stream_pending_find(group, ID(1700000000000 + n / 100, n % 100));
        stream_pending_claim(pending, consumers[random_below(&random, 16)]);
    }
    double claimed = (double)(mem_used() - before) / COUNT;
    fprintf(stderr, "a pending entry: %.1f bytes, %.1f after claims\n", in_order, claimed);
#ifdef LARDER_JEMALLOC
    cr_assert(in_order <= 60 && claimed <= 60);
    size_t counted = entry_memory(peek(&fixture, "s"));
    cr_assert(counted + 4096 > mem_used() - before && counted < mem_used() - before + 4096);
#endif
    size_t used = mem_used();
    stream_group_destroy(fixture.keyspace, group);
    cr_assert(mem_used() + 4096 > used);
    size_t steps = 0;
    while (reclaim_step(fixture.keyspace->reclaim, 200))
        steps++;
    cr_assert(steps > COUNT / 200);
    fixture_end(&fixture);
}
