/*
 * Fuzz target: paths, compiled and evaluated.
 *
 * The input is a path, a zero byte, and a document; without a document that parses, one that has a bit of everything
 * stands in. What compiles must find the same in slices of one step as at once, every match by its steps too; what does
 * not must say where, within the text. Places that are left for deleting must be in no other. Budgets keep expressions
 * that visit the same again and again from running long.
 */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "fuzz.h"
#include "json/doc.h"
#include "json/edit.h"
#include "json/matches.h"
#include "json/parse.h"

enum { MOST_STEPS = 200000, MOST_MATCHES = 2000 };

static const char SPECIMEN[] =
    "{\"a\":[1,2.5,\"x\",null,true,{\"b\":\"abc\",\"a\":[[],{}]}],\"b\":{\"a\":{\"a\":-1},\"c\":\"a.c\"},\"\":"
    "18446744073709551615,"
    "\"e\":\"\xc3\xa9\xf0\x9f\x98\x80\",\"l\":[0,1,2,3,4,5,6,7,8,9],\"m\":[0,1,2,3,4,5,6,7,8,9]}";

/* Collects within the limits; false if they were too little. */
static bool collect(
    struct json_matches *matches, const struct json_path *path, const struct json_value *root, uint64_t slice)
{
    struct json_query *query = json_query_create(path, root);
    enum json_query_state state;
    uint64_t spent = 0;
    do {
        uint64_t budget = slice;
        state = json_matches_collect(matches, query, &budget);
        spent += slice;
    } while (state == JSON_QUERY_PAUSED && spent < MOST_STEPS);
    ASSERT(state != JSON_QUERY_FAILED || json_query_error(query) != NULL);
    json_query_destroy(query);
    return state == JSON_QUERY_DONE;
}

static bool is_within(const struct json_matches *matches, size_t a, size_t b)
{
    size_t outer_depth, inner_depth;
    const uint32_t *outer = json_matches_place(matches, a, &outer_depth);
    const uint32_t *inner = json_matches_place(matches, b, &inner_depth);
    return outer_depth <= inner_depth && memcmp(outer, inner, outer_depth * sizeof(*outer)) == 0;
}

static void check_places(struct json_matches *places)
{
    while (json_matches_unique(places, &(uint64_t){ 7 }) == JSON_QUERY_PAUSED)
        ;
    while (json_matches_outermost(places, &(uint64_t){ 7 }) == JSON_QUERY_PAUSED)
        ;
    for (size_t i = 1; i < places->count; i++)
        ASSERT(!is_within(places, i - 1, i) && !is_within(places, i, i - 1));
}

static void check_static(const struct json_path *path, const struct json_value *root, const struct json_matches *values)
{
    uint32_t steps[JSON_PATH_MAX_PARTS];
    size_t depth;
    const struct json_value *found = json_path_get(path, root);
    ASSERT(values->count == (found != NULL) && (found == NULL || json_matches_value(values, 0) == found));
    ASSERT(json_path_locate(path, root, steps, &depth) == found);
}

static void evaluate(const struct json_path *path, struct json_doc *doc)
{
    struct json_matches values, places;
    json_matches_init(&values, JSON_MATCHES_VALUES, 0, MOST_MATCHES);
    json_matches_init(&places, JSON_MATCHES_PLACES, 0, MOST_MATCHES);
    bool done = collect(&values, path, &doc->root, 10000);
    if (collect(&places, path, &doc->root, 1) && done) {
        ASSERT(values.count == places.count);
        for (size_t i = 0; i < values.count; i++) {
            size_t depth;
            const uint32_t *steps = json_matches_place(&places, i, &depth);
            ASSERT(json_doc_at(doc, steps, depth) == json_matches_value(&values, i));
        }
        if (json_path_is_static(path))
            check_static(path, &doc->root, &values);
        check_places(&places);
    }
    json_matches_fini(&values);
    json_matches_fini(&places);
}

static struct json_value document_of(struct bytes text)
{
    struct json_value value;
    const char *error;
    size_t at;
    if (json_parse(text, &value, &error, &at) != JSON_ERROR_NONE)
        ASSERT(json_parse(bytes_from_cstr(SPECIMEN), &value, &error, &at) == JSON_ERROR_NONE);
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static bool started;
    if (!started)
        hash_init_seeded(1);
    started = true;
    const uint8_t *zero = len > 0 ? memchr(data, 0, len) : NULL;
    size_t path_len = zero != NULL ? (size_t)(zero - data) : len;
    struct json_path_error error;
    struct json_path *path = json_path_compile(bytes_make(data, path_len), &error);
    if (path == NULL) {
        ASSERT(error.position <= path_len && memchr(error.text, 0, sizeof(error.text)) != NULL);
        return 0;
    }
    ASSERT(bytes_equal(json_path_text(path), bytes_make(data, path_len)));
    size_t rest = zero != NULL ? path_len + 1 : len;
    struct json_doc doc = { document_of(bytes_make(data + rest, len - rest)) };
    evaluate(path, &doc);
    json_value_destroy(doc.root);
    json_path_unref(path);
    ASSERT(json_key_count() == 0);
    return 0;
}
