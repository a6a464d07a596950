/*
 * Memory: how much documents take, that what is measured is what is taken, and that running out of it is an error.
 */
#include "base/mem.h"
#include "json_fixture.h"
#include "json/doc.h"

/* An array of records as people keep them. */
static struct buf records(int count)
{
    struct buf text = BUF_EMPTY;

    buf_append_char(&text, '[');
    for (int i = 0; i < count; i++)
        buf_printf(&text,
            "%s{\"id\":%d,\"chat_id\":\"chat-%d\",\"user\":\"user%d\",\"created_at\":%.2f,\"score\":0.%d4567890123,"
            "\"ok\":%s,\"tags\":[\"alpha\",\"beta\",\"t%d\"],\"title\":\"a short title %d\","
            "\"meta\":{\"page\":%d,\"lang\":\"en\"},\"note\":null}",
            i == 0 ? "" : ",", i, i % 100, i % 977, 1.7e9 + i * 0.25, i % 90000 + 10000, i % 3 == 0 ? "true" : "false",
            i % 50, i, i % 300);
    buf_append_char(&text, ']');
    return text;
}

Test(memory, of_records_is_less_than_one_and_a_half_times_the_text)
{
    struct buf text = records(20000);

    mem_thread_register();
    size_t before = mem_used();
    struct json_value value = parsed_bytes(buf_bytes(&text));
    size_t taken = mem_used() - before, measured = json_value_bytes(&value);
    cr_expect_lt(taken, text.len + text.len / 2, "%zu of %zu", taken, text.len);
#ifdef LARDER_JEMALLOC
    cr_expect_lt(taken - measured + 1000, 64 * 1024, "%zu measured, %zu taken", measured, taken);
#endif
    cr_expect_gt(measured, text.len / 2);
    json_value_destroy(value);
    cr_expect_lt(mem_used(), before + 64 * 1024);
    buf_fini(&text);
}

Test(memory, of_a_long_string_is_hardly_more_than_the_text)
{
    struct buf text = BUF_EMPTY;

    mem_thread_register();
    buf_append_cstr(&text, "{\"query\":\"");
    memset(buf_extend(&text, 5000000), 'x', 5000000);
    buf_append_cstr(&text, "\",\"n\":1}");
    size_t before = mem_used();
    struct json_value value = parsed_bytes(buf_bytes(&text));
    cr_expect_lt(mem_used() - before, text.len + text.len / 20);
    json_value_destroy(value);
    buf_fini(&text);
}

Test(memory, of_long_strings_comes_back_in_steps)
{
    struct json_trash trash = { JSON_VALUE_NONE }, other = { JSON_VALUE_NONE };
    struct buf text = BUF_EMPTY;
    size_t steps = 0;

    buf_append_cstr(&text, "[\"");
    memset(buf_extend(&text, 5000000), 'x', 5000000);
    buf_append_cstr(&text, "\",[1,\"");
    memset(buf_extend(&text, 1100000), 'y', 1100000);
    buf_append_cstr(&text, "\",2]]");
    mem_thread_register();
    size_t before = mem_used();
    for (int i = 0; i < 2; i++) {
        struct json_value value = parsed_bytes(buf_bytes(&text));
        json_value_release(value, &trash);
        json_value_release(json_make_array(), &other);
        json_trash_move(&other, &trash);
        cr_expect(json_trash_is_empty(&trash) && !json_trash_is_empty(&other));
    }
    while (!json_trash_drain(&other, 1))
        steps++;
    cr_expect_gt(steps, 12);
    cr_expect_lt(mem_used(), before + 1000);
    buf_fini(&text);
}

Test(memory, is_measured_in_steps)
{
    struct buf text = records(500);
    struct json_value value = parsed_bytes(buf_bytes(&text));
    struct json_measure measure;
    size_t steps = 1;

    json_measure_begin(&measure, &value);
    while (!json_measure_step(&measure, 100))
        steps++;
    cr_expect_eq(measure.bytes, json_value_bytes(&value));
    cr_expect_gt(steps, 50);
    json_value_destroy(value);
    buf_fini(&text);
}

static const char *const measured[] = { "1", "\"short\"", "\"longer than seven\"", "18446744073709551615", "[]", "{}",
    "[1,[2,[3,{\"a\":{\"b\":[]}}]]]" };

Test(memory, what_is_measured_is_what_is_taken)
{
    mem_thread_register();
    /* The table of keys has its first page from here on. */
    json_key key = json_key_intern(BYTES("a"));
    json_key other = json_key_intern(BYTES("b"));
    for (size_t i = 0; i < LEN(measured); i++) {
        size_t before = mem_used();
        struct json_value value = parsed(measured[i]);
        size_t taken = mem_used() - before;
#ifdef LARDER_JEMALLOC
        cr_expect_eq(json_value_bytes(&value), taken + sizeof(value), "%s", measured[i]);
#else
        cr_expect_leq(json_value_bytes(&value), taken + 300);
#endif
        json_value_destroy(value);
    }
    json_key_unref(key);
    json_key_unref(other);
}

/* Every allocation of a parser fails once: an error, and nothing is left. */
static void fail_all(struct bytes text)
{
    bool failed = true;

    for (uint64_t nth = 1; failed; nth += nth < 200 ? 1 : nth / 10) {
        struct json_trash trash = { JSON_VALUE_NONE };
        mem_fail_nth(nth);
        struct json_parser *parser = json_parser_create(text);
        failed = parser == NULL;
        if (parser != NULL) {
            failed = json_parser_step(parser, SIZE_MAX) != JSON_PARSE_DONE;
            REQUIRE(!failed || json_parser_error(parser) == JSON_ERROR_MEMORY);
        }
        mem_fail_nth(0);
        json_parser_destroy(parser, &trash);
        json_trash_drain(&trash, SIZE_MAX);
        cr_expect_eq(json_key_count(), 0);
    }
}

Test(memory, that_is_out_is_an_error)
{
    struct buf text = records(200), map = BUF_EMPTY;

    fail_all(buf_bytes(&text));
    buf_append_cstr(&map, "{\"a\\n\":\"a longer string with \\n\"");
    for (int i = 0; i < 1200; i++)
        buf_printf(&map, ",\"k%d\":[\"a value behind a pointer\"]", i % 1000);
    buf_append_char(&map, '}');
    fail_all(buf_bytes(&map));
    buf_fini(&text);
    buf_fini(&map);
}

Test(memory, that_is_out_leaves_a_string_as_it_was)
{
    struct json_trash trash = { JSON_VALUE_NONE };
    struct json_value value = parsed("\"a string\"");
    char more[5000] = { 0 };

    memset(more, 'x', sizeof(more));
    mem_fail_nth(1);
    cr_expect_not(json_string_append(&value, bytes_make(more, sizeof(more)), &trash));
    mem_fail_nth(0);
    expect_text(value, "\"a string\"");
}

/* True if what is estimated is within a share of what is measured. */
static void expect_about(const char *what, struct json_value value, double share)
{
    double exact = (double)json_value_bytes(&value), about = (double)json_value_bytes_about(&value);

    cr_expect(about >= exact * (1 - share) && about <= exact * (1 + share), "%s: %.0f, not %.0f", what, about, exact);
    json_value_destroy(value);
}

/* An array or object of so many values that a format makes of their numbers. */
static struct json_value many(const char *format, int count, bool as_object)
{
    struct buf text = BUF_EMPTY;

    buf_append_char(&text, as_object ? '{' : '[');
    for (int i = 0; i < count; i++) {
        buf_append(&text, i == 0 ? BYTES("") : BYTES(","));
        if (as_object)
            buf_printf(&text, "\"key%d\":", i);
        buf_printf(&text, format, i, i, i);
    }
    buf_append_char(&text, as_object ? '}' : ']');
    struct json_value value = parsed_bytes(buf_bytes(&text));
    buf_fini(&text);
    return value;
}

Test(memory, is_estimated_where_measuring_takes_long)
{
    struct buf text = records(5000);

    for (size_t i = 0; i < LEN(measured); i++)
        expect_about(measured[i], parsed(measured[i]), 0);
    expect_about("a few records", many("{\"id\":%d,\"list\":[%d,\"a longer text %d\"]}", 200, false), 0);
    expect_about("records", parsed_bytes(buf_bytes(&text)), 0.1);
    expect_about("numbers", many("%d", 300000, false), 0.02);
    expect_about("members", many("%d", 100000, true), 0.05);
    expect_about("texts", many("\"a text of one length %06d\"", 50000, false), 0.02);
    expect_about("arrays in members", many("[%d,[%d],{\"a\":\"%030d\"}]", 30000, true), 0.1);
    expect_about(
        "numbers in one of two", many("[[%d],\"and a text of one length\",[[],{},[%d,%d]]]", 20000, false), 0.1);
    buf_fini(&text);
}
