/*
 * A text that is parsed while it arrives comes to the same as one that is there: the same value, or the same error at
 * the same place, however it was cut. What has not arrived is rubbish that must not be looked at; behind the part that
 * has, in the guarded test, there is nothing that can be.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "json_fixture.h"

enum { TEXT_MAX = 1 << 20 };

struct outcome {
    struct json_value value; /* owned; none after an error */
    enum json_parse_error error;
    const char *why;
    size_t at;
};

static struct outcome finish(struct json_parser *parser, enum json_parse_status status)
{
    struct outcome outcome = { .value = JSON_VALUE_NONE };
    struct json_trash trash = { JSON_VALUE_NONE };

    REQUIRE(status == JSON_PARSE_DONE || status == JSON_PARSE_BAD);
    if (status == JSON_PARSE_DONE) {
        outcome.value = json_parser_take(parser);
    } else {
        outcome.error = json_parser_error(parser);
        outcome.why = json_parser_error_text(parser);
        outcome.at = json_parser_error_at(parser);
    }
    json_parser_destroy(parser, &trash);
    json_trash_drain(&trash, SIZE_MAX);
    return outcome;
}

static struct outcome parse_whole(struct bytes text)
{
    struct json_parser *parser = json_parser_create(text);

    return finish(parser, json_parser_step(parser, SIZE_MAX));
}

static size_t any_size(struct random *random, size_t most)
{
    return 1 + random_below(random, random_below(random, 4) == 0 ? 20 : most);
}

/* Parses what has arrived as far as that goes; true once it is known how it ends. */
static bool read_on(struct json_parser *parser, struct random *random, enum json_parse_status *status)
{
    size_t budget = random_below(random, 3) == 0 ? SIZE_MAX : any_size(random, 3000);

    while ((*status = json_parser_step(parser, budget)) == JSON_PARSE_MORE)
        continue;
    return *status != JSON_PARSE_HUNGRY;
}

/* The text arrives in parts of at most `most` bytes. */
static struct outcome parse_early(struct random *random, struct bytes text, size_t most)
{
    char *room = malloc(text.len + 1);
    REQUIRE(room != NULL);
    for (size_t i = 0; i <= text.len; i++)
        room[i] = "\"0\\}]x, "[random_below(random, 8)];
    struct json_parser *parser = json_parser_create_early(bytes_make(room, text.len));
    enum json_parse_status status = JSON_PARSE_HUNGRY;
    size_t arrived = 0, part;
    for (bool known = false; !known && arrived < text.len; arrived += part) {
        part = any_size(random, most);
        part = part < text.len - arrived ? part : text.len - arrived;
        memcpy(room + arrived, text.ptr + arrived, part);
        json_parser_extend(parser, arrived + part);
        if (random_below(random, 8) != 0 || arrived + part == text.len)
            known = read_on(parser, random, &status);
        if (!known)
            cr_expect_lt(arrived + part, text.len, "all of it is there");
    }
    if (text.len == 0)
        status = json_parser_step(parser, 1);
    struct outcome outcome = finish(parser, status);
    free(room);
    return outcome;
}

static void expect_same(struct random *random, struct bytes text, size_t most)
{
    struct outcome whole = parse_whole(text), early = parse_early(random, text, most);

    cr_expect_eq(early.error, whole.error, "%s, not %s", early.why, whole.why);
    if (whole.error != JSON_ERROR_NONE && early.error != JSON_ERROR_NONE) {
        cr_expect_str_eq(early.why, whole.why);
        cr_expect_eq(early.at, whole.at);
    }
    cr_expect(json_equal(&whole.value, &early.value, true));
    json_value_destroy(whole.value);
    json_value_destroy(early.value);
}

static void add_blanks(struct random *random, struct buf *text)
{
    if (random_below(random, 4) == 0)
        for (uint64_t left = random_below(random, 30); left > 0; left--)
            buf_append_char(text, " \n\t\r"[random_below(random, 4)]);
}

static void add_string(struct random *random, struct buf *text)
{
    static const char *const parts[] = { "a", "plain text ", "\\n", "\\u00e9", "\\ud83d\\ude00", "é", "😀", "\\\\" };
    uint64_t len = random_below(random, 40) == 0 ? random_below(random, 8000) : random_below(random, 12);

    buf_append_char(text, '"');
    bool is_plain = random_below(random, 2) == 0;
    for (; len > 0; len--)
        buf_append_cstr(text, parts[random_below(random, is_plain ? 2 : LEN(parts))]);
    buf_append_char(text, '"');
}

static void add_number(struct random *random, struct buf *text)
{
    buf_append_cstr(text, random_below(random, 3) == 0 ? "-" : "");
    buf_printf(text, "%" PRIu64, random_next(random) >> random_below(random, 64));
    if (random_below(random, 2) == 0)
        buf_printf(text, ".%" PRIu64, random_next(random) >> random_below(random, 64));
    if (random_below(random, 3) == 0)
        buf_printf(text, "e%s%" PRIu64, random_below(random, 2) ? "-" : "+", random_below(random, 330));
}

static void add_value(struct random *random, struct buf *text, unsigned depth)
{
    static const char *const words[] = { "null", "true", "false" };
    uint64_t kind = random_below(random, depth < 8 ? 8 : 4);

    add_blanks(random, text);
    if (kind == 0)
        buf_append_cstr(text, words[random_below(random, LEN(words))]);
    else if (kind == 1)
        add_number(random, text);
    else if (kind < 4)
        add_string(random, text);
    if (kind >= 4) {
        bool is_object = kind >= 6;
        buf_append_char(text, is_object ? '{' : '[');
        for (uint64_t i = 0, count = random_below(random, depth == 0 ? 60 : 7); i < count; i++) {
            buf_append_cstr(text, i == 0 ? "" : ",");
            add_blanks(random, text);
            if (is_object) {
                if (random_below(random, 2) == 0)
                    buf_printf(text, "\"member_%" PRIu64 "\"", random_below(random, 12));
                else
                    add_string(random, text);
                add_blanks(random, text);
                buf_append_char(text, ':');
            }
            add_value(random, text, depth + 1);
        }
        add_blanks(random, text);
        buf_append_char(text, is_object ? '}' : ']');
    }
    add_blanks(random, text);
}

/* Sometimes a byte is another one, or is gone, or the end is. */
static void damage(struct random *random, struct buf *text)
{
    static const char bytes[] = "\"\\,:[]{}0e.-x\x01\x80\xff\xe2";
    size_t at = random_below(random, text->len);

    if (random_below(random, 3) == 0) {
        text->len = at;
    } else if (random_below(random, 2) == 0) {
        text->ptr[at] = bytes[random_below(random, sizeof(bytes) - 1)];
    } else {
        memmove(text->ptr + at, text->ptr + at + 1, text->len - at - 1);
        text->len--;
    }
}

Test(early, any_text_in_any_parts)
{
    struct random random = seed_random("early");

    for (int i = 0; i < 400; i++) {
        struct buf text = BUF_EMPTY;
        while (text.len == 0)
            add_value(&random, &text, 0);
        REQUIRE(text.len < TEXT_MAX * 8);
        if (i % 3 == 0)
            damage(&random, &text);
        expect_same(&random, buf_bytes(&text), i % 2 == 0 ? 100 : 5000);
        buf_fini(&text);
    }
    cr_expect_eq(json_key_count(), 0);
}

Test(early, long_tokens)
{
    static const char *const frames[][2] = { { "[\"", "\"]" }, { "{\"", "\":1}" }, { "[1", "]" }, { "[1.", "e-5]" },
        { "[\"", "" }, { "{\"", "" }, { "[0.", "" }, { "", "" } };
    struct random random = seed_random("early tokens");

    for (size_t i = 0; i < LEN(frames) * 2; i++) {
        const char *const *frame = frames[i / 2];
        struct buf text = BUF_EMPTY;
        buf_append_cstr(&text, frame[0]);
        bool is_escaped = strchr(frame[0], '"') != NULL && i % 2 == 1;
        for (int left = is_escaped ? 60000 : 200000; left > 0; left--)
            buf_append_cstr(&text, is_escaped ? "\\ud83d\\ude00é" : "7");
        buf_append_cstr(&text, frame[1]);
        expect_same(&random, buf_bytes(&text), 50000);
        buf_fini(&text);
    }
    cr_expect_eq(json_key_count(), 0);
}

Test(early, a_long_text_is_read_as_it_comes)
{
    struct buf text = BUF_EMPTY;
    enum { PART = 20000, BEHIND = 5000 };

    buf_append_cstr(&text, "[");
    for (int i = 0; i < 20000; i++)
        buf_printf(&text, "%s{\"id\":%d,\"name\":\"name of %d\",\"score\":%d.25}", i == 0 ? "" : ",", i, i, i);
    buf_append_cstr(&text, ",\"");
    memset(buf_extend(&text, 400000), 'x', 400000);
    buf_append_cstr(&text, "\"]");
    struct json_parser *parser = json_parser_create_early(buf_bytes(&text));
    enum json_parse_status status = JSON_PARSE_HUNGRY;
    size_t records = text.len - 400003;
    for (size_t arrived = 0; arrived < text.len;) {
        arrived = text.len - arrived < PART ? text.len : arrived + PART;
        json_parser_extend(parser, arrived);
        while ((status = json_parser_step(parser, 4096)) == JSON_PARSE_MORE)
            continue;
        REQUIRE(status == (arrived < text.len ? JSON_PARSE_HUNGRY : JSON_PARSE_DONE));
        if (arrived < records)
            cr_expect_gt(json_parser_error_at(parser) + BEHIND, arrived);
    }
    struct outcome early = finish(parser, status);
    struct buf out = BUF_EMPTY;
    json_print(&early.value, &out);
    cr_expect(bytes_equal(buf_bytes(&out), buf_bytes(&text)));
    json_value_destroy(early.value);
    buf_fini(&out);
    buf_fini(&text);
}

Test(early, what_has_not_arrived_is_not_read)
{
    static const char text[] =
        "  {\"key\":[1.5e-7,\"short\",\"a longer string \\ud83d\\ude00 é\",null,true,-12345678901, "
        "{\"another, longer key\":[[],{},\"\"]}]}";
    size_t page = (size_t)sysconf(_SC_PAGESIZE), len = sizeof(text) - 1;
    char *pages = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    REQUIRE(pages != MAP_FAILED && mprotect(pages, page, PROT_READ | PROT_WRITE) == 0);
    for (size_t cut = 0; cut < len; cut++) {
        struct json_trash trash = { JSON_VALUE_NONE };
        char *begin = pages + page - cut;
        memcpy(begin, text, cut);
        struct json_parser *parser = json_parser_create_early(bytes_make(begin, len));
        json_parser_extend(parser, cut);
        cr_expect_eq(json_parser_step(parser, SIZE_MAX), JSON_PARSE_HUNGRY);
        json_parser_destroy(parser, &trash);
        json_trash_drain(&trash, SIZE_MAX);
    }
    munmap(pages, 2 * page);
    cr_expect_eq(json_key_count(), 0);
}

Test(early, given_up_anywhere)
{
    struct random random = seed_random("early, given up");

    for (int i = 0; i < 100; i++) {
        struct json_trash trash = { JSON_VALUE_NONE };
        struct buf text = BUF_EMPTY;
        while (text.len == 0)
            add_value(&random, &text, 0);
        struct json_parser *parser = json_parser_create_early(buf_bytes(&text));
        json_parser_extend(parser, random_below(&random, text.len + 1));
        json_parser_step(parser, any_size(&random, text.len));
        json_parser_destroy(parser, &trash);
        json_trash_drain(&trash, SIZE_MAX);
        buf_fini(&text);
        cr_expect_eq(json_key_count(), 0);
    }
}
