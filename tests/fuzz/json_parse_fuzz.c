/*
 * Fuzz target: JSON text from outside.
 *
 * What parses is printed; that text must parse to an equal value and print as itself, whatever the layout. Any slices
 * give the same result, errors and their places included, and so does parsing while the text arrives, and so do blanks
 * behind it, which keep the end so far away that plain text is read in a run. The first byte chooses the slices, the
 * rest is the text.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "fuzz.h"
#include "json/parse.h"
#include "json/print.h"

struct outcome {
    struct json_value value; /* owned; none after an error */
    enum json_parse_error error;
    size_t at;
};

/* Goes on to the end, and destroys the parser. */
static struct outcome finish(struct json_parser *parser, struct bytes text, size_t budget)
{
    struct json_trash trash = { JSON_VALUE_NONE };
    struct outcome outcome = { JSON_VALUE_NONE, JSON_ERROR_NONE, 0 };
    enum json_parse_status status;

    while ((status = json_parser_step(parser, budget)) == JSON_PARSE_MORE)
        continue;
    if (status == JSON_PARSE_DONE) {
        outcome.value = json_parser_take(parser);
        ASSERT(json_parser_depth(parser) >= json_depth(outcome.value, JSON_MAX_DEPTH + 1));
    } else {
        outcome.error = json_parser_error(parser);
        outcome.at = json_parser_error_at(parser);
        ASSERT(outcome.error != JSON_ERROR_NONE && outcome.at <= text.len);
        ASSERT(json_parser_error_text(parser) != NULL);
    }
    json_parser_destroy(parser, &trash);
    while (!json_trash_drain(&trash, 3))
        continue;
    return outcome;
}

static struct outcome parse(struct bytes text, size_t budget)
{
    return finish(json_parser_create(text), text, budget);
}

/* The text arrives in parts of that size, of which each is looked at as far as it goes. */
static struct outcome parse_early(struct bytes text, size_t part)
{
    struct json_parser *parser = json_parser_create_early(text);

    for (size_t arrived = 0; arrived < text.len;) {
        arrived = text.len - arrived < part ? text.len : arrived + part;
        json_parser_extend(parser, arrived);
        while (arrived < text.len && json_parser_step(parser, part * 2) == JSON_PARSE_MORE)
            continue;
    }
    return finish(parser, text, part);
}

static void print(const struct json_value *value, const struct json_layout *layout, size_t budget, struct buf *out)
{
    struct json_printer printer;

    json_printer_init(&printer, value, layout, 0);
    while (!json_printer_step(&printer, out, budget))
        continue;
}

/* The same text with blanks behind it. Where the text is cut short they are part of what is wrong. */
static void expect_same_before_blanks(struct bytes text, const struct outcome *expected, size_t budget)
{
    enum { BLANKS = 100, ESCAPE_MAX = 12 };
    char *padded = malloc(text.len + BLANKS);

    ASSERT(padded != NULL);
    memcpy(padded, text.ptr, text.len);
    memset(padded + text.len, ' ', BLANKS);
    struct outcome outcome = parse(bytes_make(padded, text.len + BLANKS), budget);
    free(padded);
    ASSERT(outcome.error == expected->error);
    ASSERT(outcome.at == expected->at || expected->at + ESCAPE_MAX >= text.len);
    ASSERT(json_equal(&outcome.value, &expected->value, true));
    json_value_destroy(outcome.value);
}

/* Keys are hashed; the same way in each run. */
__attribute__((constructor)) static void hash_prepare(void)
{
    hash_init_seeded(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct json_layout lines = { BYTES("\t"), BYTES("\r\n"), BYTES(" ") };
    struct buf text = BUF_EMPTY, again = BUF_EMPTY, laid_out = BUF_EMPTY;

    if (len == 0)
        return 0;
    size_t budget = 1 + data[0];
    /* A copy of just that size, so that reading behind it is noticed. */
    char *input = malloc(len);
    ASSERT(input != NULL);
    memcpy(input, data + 1, len - 1);
    struct outcome whole = parse(bytes_make(input, len - 1), SIZE_MAX);
    struct outcome sliced = parse(bytes_make(input, len - 1), budget);
    struct outcome early = parse_early(bytes_make(input, len - 1), budget);
    ASSERT(whole.error == early.error && whole.at == early.at);
    ASSERT(json_equal(&whole.value, &early.value, true));
    json_value_destroy(early.value);
    expect_same_before_blanks(bytes_make(input, len - 1), &whole, SIZE_MAX);
    expect_same_before_blanks(bytes_make(input, len - 1), &whole, budget);
    free(input);
    ASSERT(whole.error == sliced.error && whole.at == sliced.at);
    if (whole.error == JSON_ERROR_NONE) {
        ASSERT(json_equal(&whole.value, &sliced.value, true));
        ASSERT(json_depth(whole.value, 1000) <= JSON_MAX_DEPTH);
        ASSERT(json_value_bytes(&whole.value) == json_value_bytes(&sliced.value));
        print(&whole.value, NULL, SIZE_MAX, &text);
        print(&sliced.value, &lines, budget, &laid_out);
        struct outcome compact = parse(buf_bytes(&text), SIZE_MAX), spaced = parse(buf_bytes(&laid_out), budget);
        ASSERT(compact.error == JSON_ERROR_NONE && spaced.error == JSON_ERROR_NONE);
        ASSERT(json_equal(&whole.value, &compact.value, true) && json_equal(&whole.value, &spaced.value, true));
        print(&spaced.value, NULL, budget, &again);
        ASSERT(bytes_equal(buf_bytes(&text), buf_bytes(&again)));
        json_value_destroy(compact.value);
        json_value_destroy(spaced.value);
    }
    json_value_destroy(whole.value);
    json_value_destroy(sliced.value);
    ASSERT(json_key_count() == 0);
    buf_fini(&text);
    buf_fini(&again);
    buf_fini(&laid_out);
    return 0;
}
