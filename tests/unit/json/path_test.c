/*
 * Tests of paths: what RFC 9535 demands of each part of the language, what is accepted beyond it, what is refused and
 * where, the legacy language, regular expressions that would hang a backtracking matcher.
 *
 * Every case that is evaluated is evaluated twice, at once and in steps of one, and every match must be found again by
 * its steps. LARDER_JSONPATH_SUITE names a copy of the public compliance suite (cts.json), which is then run as well.
 */
#include "json/path.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "json/doc.h"
#include "json/edit.h"
#include "json/parse.h"
#include "json/print.h"
#include "json/query.h"

#include "path_cases.h"

static struct json_value value_of(struct bytes text)
{
    struct json_value value;
    const char *error = NULL;
    size_t at = 0;
    enum json_parse_error failed = json_parse(text, &value, &error, &at);
    cr_assert(failed == JSON_ERROR_NONE, "%.*s: %s at %zu", (int)text.len, text.ptr, error, at);
    return value;
}

/* All matches, `slice` steps at a time, as the text of an array; or "failed: why". */
static struct buf evaluate(const struct json_path *path, struct json_doc *doc, uint64_t slice)
{
    struct buf out = BUF_EMPTY;
    struct json_query *query = json_query_create(path, &doc->root);
    struct json_match match;
    enum json_query_state state;
    buf_append_char(&out, '[');
    do {
        uint64_t budget = slice;
        state = json_query_next(query, &budget, &match);
        if (state == JSON_QUERY_MATCH) {
            cr_assert(json_doc_at(doc, match.steps, match.depth) == match.value, "the steps lead elsewhere");
            if (out.len > 1)
                buf_append_char(&out, ',');
            json_print(match.value, &out);
        }
    } while (state == JSON_QUERY_MATCH || state == JSON_QUERY_PAUSED);
    buf_append_char(&out, ']');
    if (state == JSON_QUERY_FAILED) {
        buf_clear(&out);
        buf_printf(&out, "failed: %s", json_query_error(query));
    }
    json_query_destroy(query);
    return out;
}

static struct json_path *compile(const char *text)
{
    struct json_path_error error;
    struct json_path *path = json_path_compile(bytes_from_cstr(text), &error);
    cr_assert(path != NULL, "%s: %s", text, error.text);
    return path;
}

static void check(const struct path_case *c)
{
    struct json_path *path = compile(c->path);
    struct json_doc doc = { value_of(bytes_from_cstr(c->document)) };
    for (int stepwise = 0; stepwise < 2; stepwise++) {
        struct buf got = evaluate(path, &doc, stepwise ? 1 : UINT64_MAX);
        cr_assert(strcmp(buf_cstr(&got), c->matches) == 0, "%s of %s: expected %s, got %s", c->path, c->document,
            c->matches, buf_cstr(&got));
        buf_fini(&got);
    }
    json_value_destroy(doc.root);
    json_path_unref(path);
}

static void check_all(const struct path_case *cases)
{
    for (; cases->path != NULL; cases++)
        check(cases);
    cr_assert(json_key_count() == 0, "keys are left over");
}

static void setup(void)
{
    hash_init_seeded(1);
    mem_thread_register();
}

TestSuite(path, .init = setup);

Test(path, a_segments)
{
    check_all(path_cases_segments);
}

Test(path, b_slices)
{
    check_all(path_cases_slices);
}

Test(path, c_filters)
{
    check_all(path_cases_filters);
}

Test(path, d_comparisons)
{
    check_all(path_cases_comparisons);
}

Test(path, e_functions)
{
    check_all(path_cases_functions);
}

Test(path, f_beyond_the_standard)
{
    check_all(path_cases_beyond);
}

Test(path, g_legacy)
{
    check_all(path_cases_legacy);
}

Test(path, h_refused_with_the_position)
{
    for (const struct path_mistake *c = path_mistakes; c->path != NULL; c++) {
        struct json_path_error error;
        struct json_path *path = json_path_compile(bytes_from_cstr(c->path), &error);
        cr_assert(path == NULL, "%s was accepted", c->path);
        cr_assert(error.position == c->position, "%s: expected %zu, got %zu (%s)", c->path, c->position, error.position,
            error.text);
        char position[32];
        snprintf(position, sizeof(position), "at position %zu of", c->position);
        cr_assert(strstr(error.text, position) != NULL && strstr(error.text, c->expected) != NULL,
            "%s: expected '%s', got '%s'", c->path, c->expected, error.text);
    }
    cr_assert(json_key_count() == 0, "keys are left over");
}

static void check_refused(struct bytes text, const char *expected)
{
    struct json_path_error error;
    cr_assert(json_path_compile(text, &error) == NULL, "%.*s", (int)text.len, text.ptr);
    cr_assert(strstr(error.text, expected) != NULL, "%s", error.text);
}

Test(path, i_bytes_that_are_no_text)
{
    check_refused(BYTES("$.a\xff"), "not UTF-8 at position 3");
    check_refused(BYTES("$['\xc0\xaf']"), "not UTF-8 at position 3");
    check_refused(BYTES("$['\xed\xa0\x80']"), "not UTF-8 at position 3");
    check_refused(BYTES("$['\xf4\x90\x80\x80']"), "not UTF-8");
    check_refused(BYTES("$['a\0b']"), "control character");
    check_refused(BYTES("$.a\0"), "expected '.' or '['");
    check_refused(BYTES(""), "expected a name at position 0");
}

/* `open` as often as it takes, then `middle`, then `close` as often. */
static struct buf nested(const char *open, const char *middle, const char *close, size_t times)
{
    struct buf text = BUF_EMPTY;
    for (size_t i = 0; i < times; i++)
        buf_append_cstr(&text, open);
    buf_append_cstr(&text, middle);
    for (size_t i = 0; i < times; i++)
        buf_append_cstr(&text, close);
    return text;
}

Test(path, j_limits)
{
    static const char *const NESTS[][3] = { { "(", "@", ")" }, { "!(", "@", ")" }, { "@[?", "@", "]" },
        { "length(", "@", ")" }, { "value(", "@..a", ")" }, { "1 in [", "", "]" } };
    for (size_t i = 0; i < sizeof(NESTS) / sizeof(NESTS[0]); i++) {
        struct buf text = BUF_EMPTY, inner = nested(NESTS[i][0], NESTS[i][1], NESTS[i][2], 200);
        buf_printf(&text, "$[?%s]", buf_cstr(&inner));
        struct json_path_error error;
        cr_assert(json_path_compile(buf_bytes(&text), &error) == NULL, "%s", buf_cstr(&text));
        buf_fini(&inner);
        buf_fini(&text);
    }
    struct buf many = nested(".a", "", "", 4000), more = nested(".a", "", "", 5000);
    struct json_path_error error;
    struct json_path *path = json_path_compile(buf_bytes(&many), &error);
    cr_assert(path != NULL);
    json_path_unref(path);
    check_refused(buf_bytes(&more), "too many parts");
    struct buf expressions = BUF_EMPTY, inner = nested("@ =~ 'a'||", "@ =~ 'a'", "", JSON_PATH_MAX_EXPRESSIONS);
    buf_printf(&expressions, "$[?%s]", buf_cstr(&inner));
    check_refused(buf_bytes(&expressions), "too many regular expressions");
    buf_fini(&expressions);
    buf_fini(&inner);
    struct buf longer = nested("a", "", "", JSON_PATH_MAX_LEN + 1);
    check_refused(buf_bytes(&longer), "too long");
    buf_fini(&longer);
    buf_fini(&many);
    buf_fini(&more);
    cr_assert(json_key_count() == 0);
}

Test(path, k_what_a_path_says_of_itself)
{
    static const struct {
        const char *path;
        bool legacy, root, is_static;
        enum json_path_last last;
        const char *name;
        int64_t index;
    } CASES[] = {
        { "$", false, true, true, JSON_PATH_LAST_NONE, NULL, 0 },
        { ".", true, true, true, JSON_PATH_LAST_NONE, NULL, 0 },
        { "$.a", false, false, true, JSON_PATH_LAST_NAME, "a", 0 },
        { "a.b", true, false, true, JSON_PATH_LAST_NAME, "b", 0 },
        { "$a", true, false, true, JSON_PATH_LAST_NAME, "$a", 0 },
        { "$['x y']", false, false, true, JSON_PATH_LAST_NAME, "x y", 0 },
        { "$.a[-2]", false, false, true, JSON_PATH_LAST_INDEX, NULL, -2 },
        { "$.a.*", false, false, false, JSON_PATH_LAST_NONE, NULL, 0 },
        { "$..a", false, false, false, JSON_PATH_LAST_NONE, NULL, 0 },
        { "$['a','b']", false, false, false, JSON_PATH_LAST_NONE, NULL, 0 },
        { "$[0:1]", false, false, false, JSON_PATH_LAST_NONE, NULL, 0 },
        { "$[?@.a]", false, false, false, JSON_PATH_LAST_NONE, NULL, 0 },
        { "$[?@.a].b", false, false, false, JSON_PATH_LAST_NONE, NULL, 0 },
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct json_path *path = compile(CASES[i].path);
        struct bytes name = { 0 };
        int64_t index = 0;
        cr_assert(json_path_is_legacy(path) == CASES[i].legacy, "%s", CASES[i].path);
        cr_assert(json_path_is_root(path) == CASES[i].root, "%s", CASES[i].path);
        cr_assert(json_path_is_static(path) == CASES[i].is_static, "%s", CASES[i].path);
        cr_assert(json_path_last(path, &name, &index) == CASES[i].last, "%s", CASES[i].path);
        cr_assert(CASES[i].name == NULL || bytes_equal(name, bytes_from_cstr(CASES[i].name)), "%s", CASES[i].path);
        cr_assert(index == CASES[i].index, "%s", CASES[i].path);
        cr_assert(bytes_equal(json_path_text(path), bytes_from_cstr(CASES[i].path)));
        json_path_unref(path);
    }
}

/* Each would take a backtracking matcher longer than anybody waits; here all must be over before the time is. */
Test(path, l_hostile_expressions, .timeout = 10)
{
    static const char *const EXPRESSIONS[] = { "^(a+)+$", "(a|a)*c", "(a|aa)+$", "(a*)*b", "(.*)*=(.*)*x",
        "(a?){50}a{50}c", "([a-z]+)*\\\\d", "(\\\\w+\\\\s?)*!$", "((a|b|c){1,50}){1,20}z", "a{1000}z", "(?:a.*)*z" };
    struct buf text = nested("a", "\",\"", "a", 20000), document = BUF_EMPTY;
    buf_printf(&document, "[\"%s\"]", buf_cstr(&text));
    struct json_doc doc = { value_of(buf_bytes(&document)) };
    for (size_t i = 0; i < sizeof(EXPRESSIONS) / sizeof(EXPRESSIONS[0]); i++) {
        char path_text[128];
        snprintf(path_text, sizeof(path_text), "$[?@ =~ '%s']", EXPRESSIONS[i]);
        struct json_path *path = compile(path_text);
        struct buf got = evaluate(path, &doc, 1000);
        bool all = strchr(buf_cstr(&got), 'a') != NULL && strncmp(buf_cstr(&got), "failed: a regular", 17) != 0;
        bool should = strcmp(EXPRESSIONS[i], "^(a+)+$") == 0 || strcmp(EXPRESSIONS[i], "(a|aa)+$") == 0;
        cr_assert(all == should, "%s: %.80s", path_text, buf_cstr(&got));
        buf_fini(&got);
        json_path_unref(path);
    }
    json_value_destroy(doc.root);
    buf_fini(&document);
    buf_fini(&text);
}

/* True if `got` is what the suite's case allows. */
static bool is_allowed(const struct json_value *test, const struct json_value *got)
{
    const struct json_value *result = json_object_find(*test, BYTES("result"));
    if (result != NULL)
        return json_equal(result, got, true);
    struct json_iter iter;
    const struct json_value *results = json_object_find(*test, BYTES("results"));
    for (json_iter_init(&iter, *results); json_iter_next(&iter);)
        if (json_equal(iter.value, got, true))
            return true;
    return false;
}

static bool run_suite_case(const struct json_value *test)
{
    const struct json_value *selector = json_object_find(*test, BYTES("selector"));
    const struct json_value *document = json_object_find(*test, BYTES("document"));
    bool invalid = json_object_find(*test, BYTES("invalid_selector")) != NULL;
    struct json_path_error error;
    struct json_path *path = json_path_compile(json_string(selector), &error);
    if (path == NULL || invalid) {
        bool refused = path == NULL && invalid;
        json_path_unref(path);
        return refused;
    }
    struct json_doc doc = { *document };
    struct buf text = evaluate(path, &doc, UINT64_MAX);
    struct json_value got = value_of(buf_bytes(&text));
    bool good = is_allowed(test, &got);
    json_value_destroy(got);
    buf_fini(&text);
    json_path_unref(path);
    return good;
}

Test(path, m_compliance_suite)
{
    const char *name = getenv("LARDER_JSONPATH_SUITE");
    if (name == NULL)
        cr_skip_test("LARDER_JSONPATH_SUITE names no suite");
    FILE *file = fopen(name, "r");
    cr_assert(file != NULL, "%s", name);
    struct buf text = BUF_EMPTY;
    char part[4096];
    for (size_t len; (len = fread(part, 1, sizeof(part), file)) > 0;)
        buf_append(&text, bytes_make(part, len));
    fclose(file);
    struct json_value suite = value_of(buf_bytes(&text));
    struct json_iter iter;
    unsigned failed = 0;
    for (json_iter_init(&iter, *json_object_find(suite, BYTES("tests"))); json_iter_next(&iter);) {
        if (run_suite_case(iter.value))
            continue;
        struct bytes title = json_string(json_object_find(*iter.value, BYTES("name")));
        fprintf(stderr, "fails: %.*s\n", (int)title.len, title.ptr);
        failed++;
    }
    cr_assert(failed == 0, "%u cases fail", failed);
    json_value_destroy(suite);
    buf_fini(&text);
}
