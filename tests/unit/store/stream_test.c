/*
 * Streams: IDs, appending, walking, deleting, trimming, blocks, and what they cost.
 */
#include "stream_fixture.h"

Test(stream, ids_are_ordered_and_step_over_the_border_of_the_sequence)
{
    struct stream_id id = ID(1, UINT64_MAX);
    REQUIRE(stream_id_next(&id) && stream_id_equal(id, ID(2, 0)));
    REQUIRE(stream_id_prev(&id) && stream_id_equal(id, ID(1, UINT64_MAX)));
    REQUIRE(stream_id_compare(ID(1, 5), ID(2, 0)) < 0 && stream_id_compare(ID(2, 1), ID(2, 0)) > 0);
    id = STREAM_ID_MAX;
    REQUIRE(!stream_id_next(&id) && stream_id_equal(id, STREAM_ID_MAX));
    id = STREAM_ID_MIN;
    REQUIRE(!stream_id_prev(&id) && stream_id_is_zero(id));
}

Test(stream, entries_come_back_as_they_were)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add2(&fixture, ID(5, 1), "temp", "17", "hum", "-40");
    add2(&fixture, ID(5, 2), "temp", "-9223372036854775808", "hum", "");
    add2(&fixture, ID(6, 0), "other", "0017", "12", "x");
    add2(&fixture, ID(UINT64_MAX, UINT64_MAX), "temp", "a", "hum", "b");
    struct stream *stream = stream_at(&fixture, "s");
    static const struct {
        struct stream_id id;
        const char *texts[4];
    } expected[] = {
        { { 5, 1 }, { "temp", "17", "hum", "-40" } },
        { { 5, 2 }, { "temp", "-9223372036854775808", "hum", "" } },
        { { 6, 0 }, { "other", "0017", "12", "x" } },
        { { UINT64_MAX, UINT64_MAX }, { "temp", "a", "hum", "b" } },
    };
    for (int reverse = 0; reverse < 2; reverse++) {
        struct stream_iter iter;
        stream_iter_begin(
            &iter, stream, reverse ? STREAM_ID_MAX : STREAM_ID_MIN, reverse ? STREAM_ID_MIN : STREAM_ID_MAX, reverse);
        for (int i = 0; i < 4; i++) {
            int at = reverse ? 3 - i : i;
            struct bytes field, value;
            cr_assert(stream_iter_next(&iter));
            cr_assert(stream_id_equal(iter.id, expected[at].id) && iter.field_count == 2);
            for (int pair = 0; pair < 2; pair++) {
                cr_assert(stream_iter_pair(&iter, &field, &value));
                cr_assert(bytes_equal(field, bytes_from_cstr(expected[at].texts[2 * pair])));
                cr_assert(bytes_equal(value, bytes_from_cstr(expected[at].texts[2 * pair + 1])));
            }
            cr_assert(!stream_iter_pair(&iter, &field, &value));
        }
        cr_assert(!stream_iter_next(&iter) && !stream_iter_next(&iter));
    }
    const struct stream_meta *meta = stream_meta(stream);
    cr_assert(meta->length == 4 && meta->entries_added == 4 && stream_id_equal(meta->first_id, ID(5, 1)));
    cr_assert(stream_has(stream, ID(6, 0)) && !stream_has(stream, ID(6, 1)) && !stream_has(stream, ID(0, 0)));
    cr_assert_str_eq(entry_encoding_name(peek(&fixture, "s")), "stream");
    fixture_end(&fixture);
}

/* The bytes that DUMP of redis-server 7.0.15 has for these three entries. */
Test(stream, blocks_have_the_bytes_of_files)
{
    static const unsigned char expected[] = { 0x45, 0x00, 0x00, 0x00, 0x19, 0x00, 0x03, 0x01, 0x00, 0x01, 0x02, 0x01,
        0x84, 0x74, 0x65, 0x6d, 0x70, 0x05, 0x83, 0x68, 0x75, 0x6d, 0x04, 0x00, 0x01, 0x02, 0x01, 0x00, 0x01, 0x00,
        0x01, 0x11, 0x01, 0x81, 0x61, 0x02, 0x05, 0x01, 0x02, 0x01, 0x01, 0x01, 0xdf, 0xff, 0x02, 0x12, 0x01, 0x81,
        0x62, 0x02, 0x05, 0x01, 0x00, 0x01, 0x01, 0x01, 0x00, 0x01, 0x01, 0x01, 0x81, 0x78, 0x02, 0x81, 0x79, 0x02,
        0x06, 0x01, 0xff };
    struct fixture fixture;
    fixture_begin(&fixture);
    add2(&fixture, ID(5, 1), "temp", "17", "hum", "a");
    add2(&fixture, ID(6, 0), "temp", "18", "hum", "b");
    struct stream_edit edit = edit_of(&fixture, "s");
    cr_assert_eq(stream_add(&edit, ID(6, 1), (struct bytes[]){ BYTES("x"), BYTES("y") }, 2), STREAM_ADDED);
    struct stream_block_view view;
    cr_assert(stream_block_at(stream_at(&fixture, "s"), 0, &view) && stream_id_equal(view.id, ID(5, 1)));
    cr_assert(view.live == 3 && view.deleted == 0);
    cr_assert_arr_eq(view.pack, expected, sizeof expected);
    cr_assert(!stream_block_at(stream_at(&fixture, "s"), 1, &view));
    fixture_end(&fixture);
}

Test(stream, changes_are_told_once_and_empty_streams_stay)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 3);
    int touched = fixture.touched;
    cr_assert(!delete_id(&fixture, ID(2, 2)) && !delete_id(&fixture, ID(9, 1)));
    struct stream_trim none = { .by = STREAM_TRIM_MAXLEN, .max_length = 3 };
    cr_assert_eq(trim(&fixture, none), 0);
    cr_assert_eq(fixture.touched, touched);
    cr_assert(delete_id(&fixture, ID(1, 1)) && fixture.touched == touched + 1);
    cr_assert(!delete_id(&fixture, ID(1, 1)));
    cr_assert(stream_id_equal(stream_meta(stream_at(&fixture, "s"))->first_id, ID(2, 1)));
    cr_assert(delete_id(&fixture, ID(3, 1)) && delete_id(&fixture, ID(2, 1)));
    const struct stream_meta *meta = stream_meta(stream_at(&fixture, "s"));
    cr_assert(meta->length == 0 && stream_id_is_zero(meta->first_id) && stream_id_equal(meta->last_id, ID(3, 1)));
    cr_assert(stream_id_equal(meta->max_deleted_id, ID(3, 1)) && meta->entries_added == 3);
    check(&fixture);
    add_many(&fixture, 4, 1);
    cr_assert(stream_id_equal(meta->first_id, ID(4, 1)));
    struct stream_edit other = edit_of(&fixture, "empty");
    stream_edit_create(&other);
    cr_assert(other.entry && other.begun && stream_meta(stream_of(other.entry))->length == 0);
    struct stream_id id;
    cr_assert(!stream_last_entry_id(stream_of(other.entry), &id));
    fixture_end(&fixture);
}

Test(stream, blocks_close_where_the_settings_say)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 250);
    cr_assert_eq(stream_block_count(stream_at(&fixture, "s")), 3);
    struct store_settings settings = store_settings_default;
    settings.stream_node_max_entries = 0;
    settings.stream_node_max_bytes = 0;
    fixture.keyspace->settings = &settings;
    add_many(&fixture, 1000, 70000);
    cr_assert_eq(stream_block_count(stream_at(&fixture, "s")), 2 + 8); /* of 10000 entries at most */
    check(&fixture);
    cr_assert(delete_id(&fixture, ID(50000, 1)) && stream_has(stream_at(&fixture, "s"), ID(50001, 1)));
    settings.stream_node_max_bytes = 100;
    add_many(&fixture, 100000, 10);
    cr_assert(stream_block_count(stream_at(&fixture, "s")) > 4);
    fixture_end(&fixture);
}

Test(stream, trimming_exactly_and_by_blocks)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 1000);
    const struct stream_meta *meta = stream_meta(stream_at(&fixture, "s"));
    struct stream_trim how = { .by = STREAM_TRIM_MAXLEN, .max_length = 555, .approximate = true };
    cr_assert_eq(trim(&fixture, how), 400);
    cr_assert(meta->length == 600 && stream_id_equal(meta->first_id, ID(401, 1)));
    how.approximate = false;
    cr_assert_eq(trim(&fixture, how), 45);
    cr_assert(meta->length == 555 && stream_id_equal(meta->first_id, ID(446, 1)));
    cr_assert(stream_id_is_zero(meta->max_deleted_id));
    how = (struct stream_trim){ .by = STREAM_TRIM_MINID, .min_id = ID(750, 0), .approximate = true, .limit = 200 };
    cr_assert_eq(trim(&fixture, how), 155);
    how.limit = 30;
    cr_assert_eq(trim(&fixture, how), 0);
    how.limit = 0;
    cr_assert_eq(trim(&fixture, how), 100);
    how.approximate = false;
    cr_assert_eq(trim(&fixture, how), 49);
    cr_assert(stream_id_equal(meta->first_id, ID(750, 1)));
    how = (struct stream_trim){ .by = STREAM_TRIM_MAXLEN, .max_length = 0 };
    cr_assert_eq(trim(&fixture, how), 251);
    cr_assert(meta->length == 0 && stream_block_count(stream_at(&fixture, "s")) == 0);
    add_many(&fixture, 2000, 1);
    fixture_end(&fixture);
}

Test(stream, blocks_of_deleted_entries_are_written_anew)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 200);
    size_t before = entry_memory(peek(&fixture, "s"));
    for (uint64_t i = 1; i <= 100; i++)
        if (i % 4)
            cr_assert(delete_id(&fixture, ID(i, 1)));
    check(&fixture);
    struct stream_block_view view;
    cr_assert(stream_block_at(stream_at(&fixture, "s"), 0, &view) && view.live == 25 && view.deleted < 50);
    cr_assert(entry_memory(peek(&fixture, "s")) + 1000 < before);
    cr_assert(stream_has(stream_at(&fixture, "s"), ID(96, 1)) && !stream_has(stream_at(&fixture, "s"), ID(97, 1)));
    fixture_end(&fixture);
}

Test(stream, memory_that_a_client_chose_may_be_refused)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    struct bytes texts[2] = { BYTES("field"), BYTES("value") };
    struct stream_edit edit = edit_of(&fixture, "s");
    mem_fail_nth(1);
    cr_assert_eq(stream_add(&edit, ID(1, 1), texts, 2), STREAM_NO_MEMORY);
    cr_assert(!edit.entry && !peek(&fixture, "s"));
    mem_fail_nth(0);
    static char large[5000];
    texts[1] = (struct bytes){ large, sizeof large };
    for (uint64_t i = 1; i < 400; i++) {
        struct stream_id id = { i, 0 };
        texts[1].len = i % 3 ? 10 : sizeof large;
        uint64_t length = i - 1;
        edit = edit_of(&fixture, "s");
        mem_fail_nth(1);
        enum stream_added added = stream_add(&edit, id, texts, 2);
        mem_fail_nth(0);
        if (added == STREAM_NO_MEMORY) {
            cr_assert(length == 0 || stream_meta(stream_at(&fixture, "s"))->length == length);
            edit = edit_of(&fixture, "s");
            added = stream_add(&edit, id, texts, 2);
        }
        cr_assert_eq(added, STREAM_ADDED);
    }
    texts[1].len = (size_t)1 << 30;
    edit = edit_of(&fixture, "s");
    cr_assert_eq(stream_add(&edit, ID(1000, 0), texts, 2), STREAM_TOO_LARGE);
    cr_assert_eq(stream_meta(stream_at(&fixture, "s"))->length, 399);
    struct stream_group *group = stream_group_create(stream_at(&fixture, "s"), BYTES("g"), STREAM_ID_MIN, 0);
    mem_fail_nth(1);
    cr_assert(!stream_group_create(stream_at(&fixture, "s"), BYTES("h"), STREAM_ID_MIN, 0));
    mem_fail_nth(1);
    cr_assert(!stream_consumer_create(group, BYTES("c"), NOW));
    mem_fail_nth(0);
    fixture_end(&fixture);
}

Test(stream, broken_blocks_are_refused)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 5, 3);
    struct stream_block_view view;
    cr_assert(stream_block_at(stream_at(&fixture, "s"), 0, &view));
    size_t len = listpack_bytes(view.pack);
    struct random random;
    random = seed_random(__func__);
    for (int round = 0; round < 20000; round++) {
        unsigned char *pack = mem_dup(view.pack, len);
        for (uint64_t n = random_below(&random, 3); n; n--)
            pack[random_below(&random, len)] = (unsigned char)random_next(&random);
        struct stream *stream = stream_create();
        size_t given = random_below(&random, 10) ? len : random_below(&random, len);
        if (stream_restore_block_take(stream, ID(5, 1), pack, given)) {
            struct stream_meta meta = *stream_meta(stream);
            REQUIRE(given == len && stream_restore_meta(stream, &meta));
            keyspace_set_stream_take(fixture.keyspace, fixture.db, key_of("restored"), stream, EXPIRY_NONE, NOW);
            check(&fixture);
        } else {
            mem_free(pack);
            stream_destroy(stream);
        }
    }
    struct stream *stream = stream_create();
    unsigned char *pack = mem_dup(view.pack, len), *again = mem_dup(view.pack, len);
    cr_assert(stream_restore_block_take(stream, ID(5, 1), pack, len));
    cr_assert(!stream_restore_block_take(stream, ID(5, 1), again, len));
    cr_assert(!stream_restore_block_take(stream, ID(7, 1), again, len));
    cr_assert(stream_restore_block_take(stream, ID(8, 1), again, len));
    struct stream_meta meta = *stream_meta(stream);
    cr_assert(meta.length == 6 && stream_id_equal(meta.last_id, ID(10, 1)));
    meta.last_id = ID(10, 0);
    cr_assert(!stream_restore_meta(stream, &meta));
    meta.last_id = ID(11, 0);
    meta.length = 5;
    cr_assert(!stream_restore_meta(stream, &meta));
    meta.length = 6;
    meta.first_id = ID(77, 7);
    cr_assert(stream_restore_meta(stream, &meta) && stream_id_equal(stream_meta(stream)->first_id, ID(5, 1)));
    stream_destroy(stream);
    fixture_end(&fixture);
}

/* Bytes per entry of two fields, as the benchmark adds them, where so many share a millisecond. */
static double bytes_per_entry(uint64_t per_ms)
{
    enum { COUNT = 1000000 };
    struct fixture fixture;
    fixture_begin(&fixture);
    size_t before = mem_used();
    for (uint64_t i = 0; i < COUNT; i++) {
        char value[24], other[24];
        snprintf(value, sizeof value, "%" PRIu64, i);
        snprintf(other, sizeof other, "%" PRIu64, i % 100);
        add2(&fixture, ID(1700000000000 + (i + 7) / per_ms, (i + 7) % per_ms), "temp", value, "hum", other);
    }
    double each = (double)(mem_used() - before) / COUNT;
    fprintf(stderr, "%" PRIu64 " a millisecond: %.2f bytes\n", per_ms, each);
#ifdef LARDER_JEMALLOC
    cr_assert(entry_memory(peek(&fixture, "s")) <= mem_used() - before);
    cr_assert(entry_memory(peek(&fixture, "s")) + 2000 > mem_used() - before);
#endif
    fixture_end(&fixture);
    return each;
}

Test(stream, an_entry_of_two_fields_takes_17_bytes)
{
#ifdef LARDER_JEMALLOC
    static const uint64_t rates[] = { 1000, 300, 210, 130, 100, 33, 10, 1 };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        cr_assert(bytes_per_entry(rates[i]) <= 17.0);
#else
    bytes_per_entry(1000);
#endif
}

Test(stream, a_million_entries_are_given_up_in_slices)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    add_many(&fixture, 1, 1000000);
    struct stream *stream = stream_at(&fixture, "s");
    struct stream_group *group = stream_group_create(stream, BYTES("g"), STREAM_ID_MIN, 0);
    struct stream_consumer *consumer = stream_consumer_create(group, BYTES("c"), NOW);
    for (uint64_t i = 1; i <= 100000; i++)
        stream_pending_deliver(group, consumer, ID(i, 1), NOW);
    cr_assert(keyspace_remove(fixture.keyspace, fixture.db, key_of("s")));
    size_t steps = 0, pending = reclaim_pending(fixture.keyspace->reclaim);
    cr_assert_eq(pending, 10000 + 1 + 1 + 200000);
    for (; reclaim_step(fixture.keyspace->reclaim, 100); steps++) {
        size_t left = reclaim_pending(fixture.keyspace->reclaim);
        REQUIRE(pending - left <= 100 + 64);
        pending = left;
    }
    cr_assert(steps > 2000);
    fixture_end(&fixture);
}
