/*
 * Documents: what is read and written, and in which form; what is refused, and where; slices; looking things up.
 */
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "json_fixture.h"
#include "json/doc.h"

/* Text, and what is printed of it; NULL: the same. */
static const char *const texts[][2] = {
    { "null", NULL },
    { " true ", "true" },
    { "[false]", NULL },
    { "\t[\n1\r]\n", "[1]" },
    { "[]", NULL },
    { "{}", NULL },
    { "{\"\":{\"a\":[[],{}]}}", NULL },
    { "0", NULL },
    { "-0", "-0.0" },
    { "[0,1,3.0,3,-0.0,1e3,0.0]", "[0,1,3.0,3,-0.0,1000.0,0.0]" },
    { "-7", NULL },
    { "576460752303423487", NULL },
    { "576460752303423488", NULL },
    { "-576460752303423488", NULL },
    { "-576460752303423489", NULL },
    { "9223372036854775807", NULL },
    { "-9223372036854775808", NULL },
    { "9223372036854775808", NULL },
    { "18446744073709551615", NULL },
    { "18446744073709551616", "1.8446744073709552e19" },
    { "-9223372036854775809", "-9.223372036854776e18" },
    { "123456789012345678901234567890", "1.2345678901234568e29" },
    { "1e15", "1000000000000000.0" },
    { "1e16", "1e16" },
    { "1E+2", "100.0" },
    { "1.5e3", "1500.0" },
    { "1e-5", "0.00001" },
    { "1e-6", "1e-6" },
    { "1.25e-5", "0.0000125" },
    { "-2.5e-7", NULL },
    { "5e-324", NULL },
    { "2.2250738585072014e-308", NULL },
    { "1.7976931348623157e308", NULL },
    { "1e-400", "0.0" },
    { "1e100", NULL },
    { "1e-300", NULL },
    { "0.1", NULL },
    { "3.141592653589793", NULL },
    { "1758892457.15", NULL },
    { "0.1e1", "1.0" },
    { "9007199254740993", NULL },
    { "9007199254740993.0", "9007199254740992.0" },
    { "0.000000000000000000000000000000000000000000012345678901234567890123", "1.2345678901234568e-44" },
    { "\"\"", NULL },
    { "\"seven..\"", NULL },
    { "\"eight...\"", NULL },
    { "\"\\u00e9\\u2B50\\ud83d\\ude00\"", "\"é⭐😀\"" },
    { "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\/\\\\\\\"\x7f\"", "\"\\u0000\\u001f\\b\\f\\n\\r\\t/\\\\\\\"\x7f\"" },
    { "\"long enough for a block, with an escape \\n and é behind it\"", NULL },
    { "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}" },
    { "{\"a\":{\"b\":[{\"c\":{}},[]]},\"a\":2}", "{\"a\":2}" },
    { "{\"k\\u00e9y\":1,\"kéy\":2}", "{\"kéy\":2}" },
    { "{\"a\\\"b\":1,\"c\\\\d\":2}", NULL },
};

Test(document, texts)
{
    for (size_t i = 0; i < LEN(texts); i++)
        expect_text(parsed(texts[i][0]), texts[i][1] == NULL ? texts[i][0] : texts[i][1]);
    cr_expect_eq(json_key_count(), 0, "nobody holds a key any more");
}

static const struct {
    const char *text;
    size_t at;
    enum json_parse_error error;
} refused[] = {
    { "", 0, JSON_ERROR_SYNTAX },
    { "{", 1, JSON_ERROR_SYNTAX },
    { "}", 0, JSON_ERROR_SYNTAX },
    { "{]", 1, JSON_ERROR_SYNTAX },
    { "'a'", 0, JSON_ERROR_SYNTAX },
    { "{a:1}", 1, JSON_ERROR_SYNTAX },
    { "[1,]", 3, JSON_ERROR_SYNTAX },
    { "{\"a\":1,}", 7, JSON_ERROR_SYNTAX },
    { "{\"a\":1]", 6, JSON_ERROR_SYNTAX },
    { "[1}", 2, JSON_ERROR_SYNTAX },
    { "[,1]", 1, JSON_ERROR_SYNTAX },
    { "01", 0, JSON_ERROR_SYNTAX },
    { "[-]", 1, JSON_ERROR_SYNTAX },
    { "+1", 0, JSON_ERROR_SYNTAX },
    { "1.", 0, JSON_ERROR_SYNTAX },
    { ".5", 0, JSON_ERROR_SYNTAX },
    { "1e", 0, JSON_ERROR_SYNTAX },
    { "0x10", 1, JSON_ERROR_SYNTAX },
    { "NaN", 0, JSON_ERROR_SYNTAX },
    { "nul", 0, JSON_ERROR_SYNTAX },
    { "nullx", 4, JSON_ERROR_SYNTAX },
    { "[1] 2", 4, JSON_ERROR_SYNTAX },
    { "[1 2]", 3, JSON_ERROR_SYNTAX },
    { "{\"a\" 1}", 5, JSON_ERROR_SYNTAX },
    { "\"a", 2, JSON_ERROR_SYNTAX },
    { "\"a\nb\"", 2, JSON_ERROR_SYNTAX },
    { "\"\\x\"", 1, JSON_ERROR_SYNTAX },
    { "\"ab\\u12\"", 3, JSON_ERROR_SYNTAX },
    { "\"\\ud800\"", 1, JSON_ERROR_SYNTAX },
    { "\"\\ud800\\u0041\"", 1, JSON_ERROR_SYNTAX },
    { "\"\\udc00\"", 1, JSON_ERROR_SYNTAX },
    { "1e400", 0, JSON_ERROR_RANGE },
    { "[1,-1e309]", 3, JSON_ERROR_RANGE },
    { "\"\x80\"", 1, JSON_ERROR_UTF8 },
    { "\"\xc0\xaf\"", 1, JSON_ERROR_UTF8 },
    { "\"a\xed\xa0\x80\"", 2, JSON_ERROR_UTF8 },
    { "\"\xf4\x90\x80\x80\"", 1, JSON_ERROR_UTF8 },
    { "{\"\xe2\x82\":1}", 2, JSON_ERROR_UTF8 },
    { "1/*c*/", 1, JSON_ERROR_SYNTAX },
};

Test(document, refused_with_a_position)
{
    for (size_t i = 0; i < LEN(refused); i++) {
        struct json_value value;
        const char *why = NULL;
        size_t at = 0;
        enum json_parse_error error = json_parse(bytes_from_cstr(refused[i].text), &value, &why, &at);
        cr_expect_eq(error, refused[i].error, "%s", refused[i].text);
        cr_expect_eq(at, refused[i].at, "%s: %zu", refused[i].text, at);
        cr_expect_neq(why, NULL);
    }
    cr_expect_eq(json_key_count(), 0);
}

Test(document, depth_is_bounded)
{
    char text[2 * JSON_MAX_DEPTH + 3];
    struct json_value value;
    const char *why;
    size_t at;

    for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        enum json_parse_error error = json_parse(bytes_make(text, 2 * depth), &value, &why, &at);
        cr_expect_eq(error, depth == JSON_MAX_DEPTH ? JSON_ERROR_NONE : JSON_ERROR_DEPTH);
        if (error == JSON_ERROR_NONE) {
            cr_expect_eq(json_depth(value, 1000), depth);
            cr_expect_eq(json_depth(value, 5), 5);
            json_value_destroy(value);
        }
    }
    cr_expect_str_eq(why, "recursion limit exceeded");
}

/* A text with everything in it, long strings with and without escapes and large containers included. */
static struct buf mixed_text(void)
{
    struct buf text = BUF_EMPTY;

    buf_append_cstr(&text, "{\"numbers\":[");
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, "%s%d", i == 0 ? "" : ",", i * 7919);
    buf_append_cstr(&text, "],\"members\":{");
    for (int i = 0; i < 2000; i++)
        buf_printf(&text, "%s\"key%d\":{\"é\":%d.5,\"n\":null}", i == 0 ? "" : ",", i, i);
    buf_append_cstr(&text, "},\"plain\":\"");
    memset(buf_extend(&text, 200000), 'x', 200000);
    buf_append_cstr(&text, "\",\"escaped\":\"");
    for (int i = 0; i < 30000; i++)
        buf_append_cstr(&text, "a\\né\\\\");
    buf_append_cstr(&text, "\",\"end\":[true,false,{\"deep\":[[[\"x\"]]]}]}");
    return text;
}

Test(document, any_slices_give_the_same)
{
    static const size_t budgets[] = { 1, 2, 7, 100, 4096, 70000, SIZE_MAX };
    struct buf text = mixed_text();

    for (size_t i = 0; i < LEN(budgets); i++) {
        struct json_trash trash = { JSON_VALUE_NONE };
        struct json_parser *parser = json_parser_create(buf_bytes(&text));
        enum json_parse_status status;
        size_t steps = 0;
        while ((status = json_parser_step(parser, budgets[i])) == JSON_PARSE_MORE)
            steps++;
        REQUIRE(status == JSON_PARSE_DONE);
        cr_expect(budgets[i] == SIZE_MAX ? steps == 0 : steps >= text.len / budgets[i] / 4, "%zu steps", steps);
        struct json_value value = json_parser_take(parser);
        json_parser_destroy(parser, &trash);

        struct json_printer printer;
        struct buf out = BUF_EMPTY;
        json_printer_init(&printer, &value, NULL, 0);
        for (size_t before = 0; !json_printer_step(&printer, &out, budgets[i]); before = out.len)
            REQUIRE(out.len > before && out.len - before <= (budgets[i] < 100 ? 100 : budgets[i]) + 6 * 4096);
        cr_expect(bytes_equal(buf_bytes(&out), buf_bytes(&text)));
        buf_fini(&out);
        json_value_release(value, &trash);
        for (steps = 0; !json_trash_drain(&trash, 100); steps++)
            continue;
        cr_expect_gt(steps, 50, "taking it down is sliced too");
    }
    buf_fini(&text);
    cr_expect_eq(json_key_count(), 0);
}

Test(document, a_parser_may_be_given_up_anywhere)
{
    struct buf text = mixed_text();

    for (size_t budget = 1; budget < text.len; budget = budget * 3 / 2 + 1) {
        struct json_trash trash = { JSON_VALUE_NONE };
        struct json_parser *parser = json_parser_create(buf_bytes(&text));
        json_parser_step(parser, budget);
        json_parser_destroy(parser, &trash);
        json_trash_drain(&trash, SIZE_MAX);
        cr_expect_eq(json_key_count(), 0);
    }
    buf_fini(&text);
}

Test(document, cut_texts_end_at_a_guard_page)
{
    static const char text[] =
        "{\"key\":[1.5e-7,\"short\",\"a longer string \\ud83d\\ude00 é\",null,true,-12345678901]}";
    size_t page = (size_t)sysconf(_SC_PAGESIZE), len = sizeof(text) - 1;
    char *pages = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    REQUIRE(pages != MAP_FAILED && mprotect(pages, page, PROT_READ | PROT_WRITE) == 0);
    for (size_t cut = 0; cut <= len; cut++) {
        struct json_value value;
        const char *why;
        size_t at;
        char *begin = pages + page - cut;
        memcpy(begin, text, cut);
        enum json_parse_error error = json_parse(bytes_make(begin, cut), &value, &why, &at);
        cr_expect_eq(error == JSON_ERROR_NONE, cut == len);
        if (error == JSON_ERROR_NONE)
            expect_text(value, "{\"key\":[1.5e-7,\"short\",\"a longer string 😀 é\",null,true,-12345678901]}");
    }
    munmap(pages, 2 * page);
}

Test(document, layouts)
{
    struct json_layout lines = { BYTES(" "), BYTES("\n"), BYTES("") }, spaces = { .space = BYTES(" ") };
    struct json_value value = parsed("{\"a\": [1, {\"b\": \"x\"}], \"e\": [], \"o\": {}}");
    struct json_printer printer;
    struct buf out = BUF_EMPTY;

    json_printer_init(&printer, &value, &lines, 0);
    cr_expect(json_printer_step(&printer, &out, SIZE_MAX));
    cr_expect_str_eq(buf_cstr(&out), "{\n \"a\":[\n  1,\n  {\n   \"b\":\"x\"\n  }\n ],\n \"e\":[],\n \"o\":{}\n}");
    buf_clear(&out);
    json_printer_init(&printer, &value, &spaces, 0);
    json_printer_step(&printer, &out, SIZE_MAX);
    cr_expect_str_eq(buf_cstr(&out), "{\"a\": [1,{\"b\": \"x\"}],\"e\": [],\"o\": {}}");
    buf_clear(&out);
    json_printer_init(&printer, json_object_find(value, BYTES("a")), &lines, 1);
    json_printer_step(&printer, &out, SIZE_MAX);
    cr_expect_str_eq(buf_cstr(&out), "[\n  1,\n  {\n   \"b\":\"x\"\n  }\n ]");
    buf_fini(&out);
    json_value_destroy(value);
}

Test(document, kinds_and_numbers)
{
    struct json_value value = parsed("[null,true,1,18446744073709551615,1.5,\"s\",[],{},1e-300]");
    static const enum json_kind kinds[] = { JSON_NULL, JSON_BOOL, JSON_INT, JSON_UINT, JSON_DOUBLE, JSON_STRING,
        JSON_ARRAY, JSON_OBJECT, JSON_DOUBLE };

    for (uint32_t i = 0; i < LEN(kinds); i++)
        cr_expect_eq(json_kind(*json_array_at(value, i)), kinds[i], "%u", i);
    cr_expect_eq(json_uint(*json_array_at(value, 3)), UINT64_MAX);
    cr_expect_eq(json_double(*json_array_at(value, 8)), 1e-300);
    cr_expect(json_is_number(*json_array_at(value, 8)) && !json_is_integer(*json_array_at(value, 8)));
    json_value_destroy(value);
    cr_expect_eq(json_kind(JSON_VALUE_NONE), JSON_NONE);
}

/* In order; those between two bars are equal. */
static const char *const ordered[] = { "-1e300", "-9223372036854775809.0", "|", "-9223372036854775808", "-1.5", "-1",
    "-0.5", "0", "=-0.0", "0.5", "3", "=3.0", "9007199254740992", "=9007199254740992.0", "9007199254740993",
    "9007199254740994.0", "9223372036854775807", "9223372036854775808", "=9223372036854775808.0", "9223372036854775809",
    "18446744073709551615", "18446744073709551616.0", "1e300" };

Test(document, numbers_are_ordered_exactly)
{
    int rank[LEN(ordered)];
    struct json_value values[LEN(ordered)];
    size_t count = 0;

    for (size_t i = 0; i < LEN(ordered); i++) {
        if (ordered[i][0] == '|')
            continue;
        bool same = ordered[i][0] == '=';
        /* The double nearest to -2^63 - 1 is -2^63 itself. */
        same |= i == 3;
        rank[count] = count == 0 ? 0 : rank[count - 1] + !same;
        values[count++] = parsed(ordered[i] + (ordered[i][0] == '='));
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            int order = json_number_compare(values[i], values[j]);
            cr_expect_eq((order > 0) - (order < 0), (rank[i] > rank[j]) - (rank[i] < rank[j]), "%zu %zu", i, j);
        }
    }
    for (size_t i = 0; i < count; i++)
        json_value_destroy(values[i]);
}

Test(document, equality)
{
    static const struct {
        const char *a, *b;
        bool equal, strictly;
    } pairs[] = {
        { "3", "3.0", true, false },
        { "{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true, true },
        { "{\"a\":1}", "{\"a\":1,\"b\":2}", false, false },
        { "{\"a\":1}", "{\"b\":1}", false, false },
        { "[1,2]", "[2,1]", false, false },
        { "[1,[2.0]]", "[1,[2]]", true, false },
        { "\"0\"", "0", false, false },
        { "\"a long string of text\"", "\"a long string of text\"", true, true },
        { "null", "false", false, false },
        { "0.0", "-0.0", true, true },
    };

    for (size_t i = 0; i < LEN(pairs); i++) {
        struct json_value a = parsed(pairs[i].a), b = parsed(pairs[i].b);
        cr_expect_eq(json_equal(&a, &b, false), pairs[i].equal, "%s %s", pairs[i].a, pairs[i].b);
        cr_expect_eq(json_equal(&b, &a, true), pairs[i].strictly, "%s %s", pairs[i].a, pairs[i].b);
        json_value_destroy(a);
        json_value_destroy(b);
    }
}

Test(document, large_containers_are_found_by_position_and_key)
{
    struct buf text = mixed_text();
    struct json_value value = parsed_bytes(buf_bytes(&text));
    struct json_value numbers = *json_object_find(value, BYTES("numbers"));
    struct json_value members = *json_object_find(value, BYTES("members"));
    struct json_iter iter;
    uint32_t count = 0;

    cr_expect_eq(json_array_len(numbers), 3000);
    cr_expect_eq(json_object_len(members), 2000);
    for (uint32_t i = 0; i < 3000; i++)
        REQUIRE(json_int(*json_array_at(numbers, i)) == (int64_t)i * 7919);
    for (json_iter_init_at(&iter, members, 3); json_iter_next(&iter); count++) {
        char name[16];
        json_key key;
        int len = snprintf(name, sizeof(name), "key%u", count + 3);
        REQUIRE(iter.at == count + 3 && bytes_equal(json_key_text(iter.key), bytes_make(name, (size_t)len)));
        REQUIRE(json_object_get(members, iter.key) == iter.value);
        REQUIRE(json_object_at(members, iter.at, &key) == iter.value && key == iter.key);
    }
    cr_expect_eq(count, 1997);
    cr_expect_eq(json_object_find(members, BYTES("key2000")), NULL);
    json_value_destroy(value);
    buf_fini(&text);
}

Test(document, duplicates_in_a_large_object)
{
    struct buf text = BUF_EMPTY;

    buf_append_char(&text, '{');
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, "\"k%d\":%d,", i % 1000, i);
    buf_append_cstr(&text, "\"k0\":\"last\"}");
    struct json_value value = parsed_bytes(buf_bytes(&text));
    cr_expect_eq(json_object_len(value), 1000);
    json_key key;
    cr_expect_eq(json_kind(*json_object_at(value, 0, &key)), JSON_STRING);
    for (uint32_t i = 1; i < 1000; i++)
        REQUIRE(json_int(*json_object_at(value, i, &key)) == 2000 + (int64_t)i);
    json_value_destroy(value);
    buf_fini(&text);
    cr_expect_eq(json_key_count(), 0);
}

/* Objects with keys that begin alike, in one order and in the other, so that what is expected next is often wrong. */
static struct buf text_of_keys(int most)
{
    struct buf text = BUF_EMPTY;

    buf_append_char(&text, '[');
    for (int record = 0; record < 6; record++) {
        buf_append_cstr(&text, record == 0 ? "{" : ",{");
        for (int i = 0; i <= most; i++) {
            int len = record % 2 == 0 ? i : most - i;
            buf_append_cstr(&text, i == 0 ? "\"" : ",\"");
            for (int at = 0; at < len; at++)
                buf_append_char(&text, 'k');
            buf_append_cstr(&text, len % 5 == 4 ? "\\n\":" : "\":");
            buf_printf(&text, "[%d,\"seven..\",\"eight...\",\"a\\tb\",{}]", len);
        }
        buf_append_char(&text, '}');
    }
    buf_append_char(&text, ']');
    return text;
}

Test(document, keys_of_every_length)
{
    struct buf text = text_of_keys(70);

    expect_text(parsed_bytes(buf_bytes(&text)), buf_cstr(&text));
    cr_expect_eq(json_key_count(), 0);
    buf_fini(&text);
}

Test(document, strings_of_every_length)
{
    static const char *const parts[] = { "x", "\\n", "é", "\\\"", "\\u0001", "😀" };
    struct buf text = BUF_EMPTY;

    for (size_t part = 0; part < LEN(parts); part++) {
        for (int len = 0; len < 150; len++) {
            buf_append_cstr(&text, part == 0 && len == 0 ? "[[\"" : ",[\"");
            for (int at = 0; at < len; at++)
                buf_append_char(&text, (char)('a' + at % 26));
            buf_append_cstr(&text, parts[part]);
            buf_append_cstr(&text, len % 3 == 0 ? "\"]" : "zz\",\"\"]");
        }
    }
    buf_append_char(&text, ']');
    expect_text(parsed_bytes(buf_bytes(&text)), buf_cstr(&text));
    buf_fini(&text);
}

/* What the parser makes of a text, as text: printed, or an error with its place. */
static void parse_to_text(struct bytes text, struct buf *out)
{
    struct json_value value;
    const char *why;
    size_t at;

    buf_clear(out);
    if (json_parse(text, &value, &why, &at) != JSON_ERROR_NONE) {
        buf_printf(out, "%s at %zu", why, at);
        return;
    }
    json_print(&value, out);
    json_value_destroy(value);
}

/*
 * Texts of a few random tokens, most of them wrong somewhere. Alone they are so short that every step is taken with
 * care; within a long array they are read in a run.
 */
Test(document, care_and_haste_come_to_the_same)
{
    static const char *const tokens[] = { "{", "}", "[", "]", ",", ":", "\"a\"",
        "\"b\":", "\"a\":", "\"a long key\":", "1", "-1", "0", "-0", "00", "1.5", "-0.0", "1e3", "1.", ".5",
        "123456789012345678", "12345678901234567890.5", "0.12345678901234567", "0.00000000000000000000000000001",
        "true", "false", "null", "tru", "nule", "ftrue", "\"seven..\"", "\"eight...\"", "\"\\n\"", "\"\t\"",
        "\"é and more\"", "\"\xff\"", " ", "\n", "\x01", "x" };
    struct random random = seed_random(__func__);
    struct buf alone = BUF_EMPTY, within = BUF_EMPTY, careful = BUF_EMPTY, hasty = BUF_EMPTY;
    char blanks[100];
    size_t right = 0;

    memset(blanks, ' ', sizeof blanks);
    for (int i = 0; i < 200000; i++) {
        buf_clear(&alone);
        buf_append_cstr(&alone, i % 2 ? "[" : "{\"a\":");
        for (size_t count = random_below(&random, 8); count > 0 && alone.len < 50; count--)
            buf_append_cstr(&alone, tokens[random_below(&random, LEN(tokens))]);
        buf_append_cstr(&alone, i % 2 ? "]" : "}");
        buf_clear(&within);
        buf_append(&within, buf_bytes(&alone));
        buf_append(&within, bytes_make(blanks, sizeof blanks));
        parse_to_text(buf_bytes(&alone), &careful);
        parse_to_text(buf_bytes(&within), &hasty);
        right += careful.ptr[0] == '[' || careful.ptr[0] == '{';
        if (strncmp(careful.ptr, "EOF", 3) != 0)
            REQUIRE(bytes_equal(buf_bytes(&careful), buf_bytes(&hasty)));
        else
            REQUIRE(strncmp(hasty.ptr, careful.ptr, 3) == 0);
    }
    cr_expect_gt(right, 1000);
    buf_fini(&alone);
    buf_fini(&within);
    buf_fini(&careful);
    buf_fini(&hasty);
}

/* Texts of at most 15 digits are what is printed for them; their neighbours read back as themselves. */
Test(document, decimals)
{
    static const unsigned units[] = { 1, 10, 100, 1000, 10000, 1000000 };
    struct random random = seed_random(__func__);
    char text[64], number[JSON_NUMBER_MAX_LEN + 1];

    for (int i = 0; i < 300000; i++) {
        uint64_t unit = units[random_below(&random, LEN(units))];
        uint64_t digits = random_below(&random, UINT64_C(1000000000000000) >> random_below(&random, 50));
        int len = snprintf(text, sizeof text, "%s%" PRIu64 ".%0*" PRIu64, i % 3 == 0 ? "-" : "", digits / unit,
            unit == 1 ? 1 : (int)(snprintf(NULL, 0, "%" PRIu64, unit) - 1), digits % unit);
        while (text[len - 1] == '0' && text[len - 2] != '.')
            len--;
        text[len] = '\0';
        struct json_value value = parsed(text);
        number[json_format_number(number, value)] = '\0';
        if (strtod(text, NULL) == 0 || fabs(strtod(text, NULL)) >= 1e-5)
            cr_expect_str_eq(number, text);
        double above = nextafter(json_double(value), INFINITY);
        struct json_value neighbour = json_make_double(above);
        number[json_format_number(number, neighbour)] = '\0';
        REQUIRE(strtod(number, NULL) == above);
        json_value_destroy(neighbour);
        json_value_destroy(value);
    }
}

static void check_integer(uint64_t value)
{
    char text[32], number[JSON_NUMBER_MAX_LEN + 1];
    struct json_value unsigned_value = json_make_uint(value), signed_value = json_make_int(-(int64_t)(value >> 1));
    struct buf out = { 0 };

    snprintf(text, sizeof text, "%" PRIu64, value);
    number[json_format_number(number, unsigned_value)] = '\0';
    cr_expect_str_eq(number, text);
    json_print(&unsigned_value, &out);
    cr_expect_str_eq(out.ptr, text);
    snprintf(text, sizeof text, "%" PRId64, -(int64_t)(value >> 1));
    number[json_format_number(number, signed_value)] = '\0';
    cr_expect_str_eq(number, text);
    json_value_destroy(unsigned_value);
    json_value_destroy(signed_value);
    buf_fini(&out);
}

/* Integers around every power of ten and of two, and others of every length. */
Test(document, integers)
{
    struct random random = seed_random(__func__);
    uint64_t power = 1;

    for (int i = 0; i < 20; i++, power *= 10)
        for (int more = -2; more <= 2; more++)
            check_integer(power + (uint64_t)more);
    for (int i = 0; i < 100000; i++)
        check_integer(random_next(&random) >> i % 64);
}

/* Length of the character that the bytes begin with, by the definition: the number that it codes, in the fewest bytes
 * that hold it. 0: it is none. */
static size_t naive_utf8(const unsigned char *at, size_t room)
{
    static const struct {
        unsigned mask, mark, least;
    } forms[] = { { 0x80, 0, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

    for (size_t len = 1; len <= 4 && len <= room; len++) {
        if ((at[0] & forms[len - 1].mask) != forms[len - 1].mark)
            continue;
        unsigned code = at[0] & ~forms[len - 1].mask & 0xff;
        for (size_t i = 1; i < len; i++) {
            if (at[i] >> 6 != 2)
                return 0;
            code = code << 6 | (at[i] & 63);
        }
        return code >= forms[len - 1].least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? len : 0;
    }
    return 0;
}

Test(document, utf8)
{
    static const unsigned char edges[] = { 'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0 };
    char text[16] = "[\"";

    for (unsigned i = 0; i < 128 * 9 * 9 * 9; i++) {
        unsigned char bytes[] = { (unsigned char)(0x80 + i / 729), edges[i / 81 % 9], edges[i / 9 % 9], edges[i % 9] };
        size_t good = 0, len = 1;
        while (good < sizeof(bytes) && (len = naive_utf8(bytes + good, sizeof(bytes) - good)) != 0)
            good += len;
        memcpy(text + 2, bytes, sizeof(bytes));
        memcpy(text + 6, "\"]", 3);
        struct json_value value;
        const char *why;
        size_t at;
        enum json_parse_error error = json_parse(bytes_from_cstr(text), &value, &why, &at);
        REQUIRE(error == (len == 0 ? JSON_ERROR_UTF8 : JSON_ERROR_NONE));
        REQUIRE(error == JSON_ERROR_NONE || at == 2 + good);
        if (error == JSON_ERROR_NONE)
            json_value_destroy(value);
    }
}

/* A number of random digits, more than 64 bits hold at times; its length. */
static int random_number(struct random *random, char *text)
{
    int whole = 1 + (int)random_below(random, 24), decimals = (int)random_below(random, 25), len = 0;

    if (random_below(random, 2) == 0)
        text[len++] = '-';
    for (int i = 0; i < whole; i++)
        text[len++] = (char)('0' + (i == 0 && whole > 1 ? 1 + random_below(random, 9) : random_below(random, 10)));
    if (random_below(random, 3) != 0 && decimals != 0) {
        text[len++] = '.';
        while (decimals-- > 0)
            text[len++] = (char)('0' + random_below(random, 10));
    }
    if (random_below(random, 8) == 0)
        len += sprintf(text + len, "e%d", (int)random_below(random, 40) - 20);
    text[len] = '\0';
    return len;
}

Test(document, numbers_in_a_run_are_those_that_stand_alone)
{
    enum { COUNT = 20000 };
    struct random random = seed_random(__func__);
    struct json_value *alone = malloc(COUNT * sizeof(*alone));
    struct buf text = BUF_EMPTY;
    static const char space[] = " \n        ";
    char number[80];

    for (int i = 0; i < COUNT; i++) {
        int len = random_number(&random, number);
        alone[i] = parsed(number);
        buf_append_char(&text, i == 0 ? '[' : ',');
        if (random_below(&random, 8) == 0)
            buf_append_cstr(&text, &space[random_below(&random, 9)]);
        buf_append(&text, bytes_make(number, (size_t)len));
    }
    buf_append_char(&text, ']');
    struct json_value value = parsed_bytes(buf_bytes(&text));
    REQUIRE(json_array_len(value) == COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        REQUIRE(json_kind(*json_array_at(value, i)) == json_kind(alone[i]));
        REQUIRE(json_equal(json_array_at(value, i), &alone[i], true));
        json_value_destroy(alone[i]);
    }
    json_value_destroy(value);
    buf_fini(&text);
    free(alone);
}

/* More keys than a parser remembers, some of them now with an escape and now without, in an order that changes. */
Test(document, many_keys_in_any_order)
{
    enum { KEYS = 1000, OBJECTS = 30 };
    struct random random = seed_random(__func__);
    struct buf text = BUF_EMPTY;

    for (unsigned i = 0; i < OBJECTS; i++) {
        buf_append_cstr(&text, i == 0 ? "[{" : "},{");
        for (unsigned member = 0, key = 0; member < KEYS; member++) {
            key = random_below(&random, 10) == 0 ? (unsigned)random_below(&random, KEYS) : (key + 1) % KEYS;
            bool escaped = key % 7 == 0 && random_below(&random, 2) == 0;
            buf_printf(&text, "%s\"%s%u\"%s%u",
                member == 0  ? ""
                : i % 2 == 0 ? ", "
                             : ",",
                escaped ? "\\u006b" : "k", key, i % 3 == 0 ? " : " : ":", key);
        }
    }
    buf_append_cstr(&text, "}]");
    struct json_value value = parsed_bytes(buf_bytes(&text));
    for (uint32_t i = 0; i < OBJECTS; i++) {
        struct json_iter iter;
        for (json_iter_init(&iter, *json_array_at(value, i)); json_iter_next(&iter);) {
            char name[16];
            int len = snprintf(name, sizeof(name), "k%d", (int)json_int(*iter.value));
            REQUIRE(bytes_equal(json_key_text(iter.key), bytes_make(name, (size_t)len)));
        }
    }
    json_value_destroy(value);
    cr_expect_eq(json_key_count(), 0);
    buf_fini(&text);
}

Test(document, keys_come_back_however_it_is_taken_down)
{
    struct buf text = text_of_keys(40);

    for (size_t budget = 1; budget < 5000; budget = budget * 3 / 2 + 1) {
        struct json_trash trash = { JSON_VALUE_NONE };
        struct json_value value = parsed_bytes(buf_bytes(&text)), other = parsed_bytes(buf_bytes(&text));
        json_value_release(value, &trash);
        while (!json_trash_drain(&trash, budget))
            ;
        cr_expect_eq(json_key_count(), 41, "the other document has them too");
        expect_text(other, buf_cstr(&text));
        cr_expect_eq(json_key_count(), 0);
    }
    buf_fini(&text);
}

Test(document, namesakes_wherever_they_stand)
{
    for (unsigned count = 1; count <= 100; count++) {
        struct buf text = BUF_EMPTY;
        json_key key;
        for (unsigned i = 0; i < count; i++)
            buf_printf(&text, "%c\"k%u\":%u", i == 0 ? '{' : ',', i, i);
        buf_printf(&text, ",\"k%u\":\"last\",\"more\":1,\"more\":2}", count / 2);
        struct json_value value = parsed_bytes(buf_bytes(&text));
        REQUIRE(json_object_len(value) == count + 1);
        REQUIRE(json_kind(*json_object_at(value, count / 2, &key)) == JSON_STRING);
        REQUIRE(json_int(*json_object_at(value, count, &key)) == 2);
        json_value_destroy(value);
        buf_fini(&text);
    }
    cr_expect_eq(json_key_count(), 0);
}
