/*
 * Tests of evaluating and collecting: static paths, budgets, limits, places in order for changing and deleting against
 * a naive model, memory that runs out, the cache of paths, and many threads with one path over one pinned version.
 */
#include "json/query.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"
#include "json_fixture.h"
#include "json/matches.h"

static struct json_value value_from(const char *text)
{
    struct json_value value;
    const char *error = NULL;
    size_t at = 0;
    cr_assert(json_parse(bytes_from_cstr(text), &value, &error, &at) == JSON_ERROR_NONE, "%s", text);
    return value;
}

static struct json_path *path_from(const char *text)
{
    struct json_path_error error;
    struct json_path *path = json_path_compile(bytes_from_cstr(text), &error);
    cr_assert(path != NULL, "%s", error.text);
    return path;
}

static void setup(void)
{
    hash_init_seeded(1);
    mem_thread_register();
}

TestSuite(query, .init = setup);

Test(query, a_static_paths)
{
    struct json_value root = value_from("{\"a\":{\"b\":[5,6]}}");
    struct json_doc doc = { root };
    struct json_path *path = path_from("$.a.b[-1]"), *missing = path_from("$.a.c.d"), *whole = path_from("$");
    uint32_t steps[3];
    size_t depth = 9;
    cr_assert(json_int(*json_path_get(path, &doc.root)) == 6);
    cr_assert(json_path_get(whole, &doc.root) == &doc.root && json_path_get(missing, &doc.root) == NULL);
    const struct json_value *found = json_path_locate(path, &doc.root, steps, &depth);
    cr_assert(depth == 3 && steps[2] == 1 && json_doc_at(&doc, steps, depth) == found && json_int(*found) == 6);
    const struct json_value *parent = json_path_locate_parent(path, &doc.root, steps, &depth);
    cr_assert(depth == 2 && json_doc_at(&doc, steps, depth) == parent && json_kind(*parent) == JSON_ARRAY);
    depth = 9;
    cr_assert(json_path_locate(missing, &doc.root, steps, &depth) == NULL && depth == 9);
    cr_assert(json_path_locate_parent(missing, &doc.root, steps, &depth) == NULL);
    json_path_unref(path);
    json_path_unref(missing);
    json_path_unref(whole);
    json_value_destroy(root);
}

/* [[0,0,...],[0,...],...] */
static struct json_value grid(unsigned rows, unsigned columns)
{
    struct json_value root = json_make_array();
    struct json_trash trash = { 0 };
    for (unsigned i = 0; i < rows; i++) {
        struct json_value row = json_make_array();
        for (unsigned k = 0; k < columns; k++)
            REQUIRE(json_array_append(&row, json_make_int(k), &trash));
        REQUIRE(json_array_append(&root, row, &trash));
    }
    return root;
}

/* However a filter is built, it stops close to when its budget is spent, and in the end has found the same. */
Test(query, b_budgets_are_kept)
{
    static const char *const PATHS[] = { "$..[?@ == 7]", "$[?@ == $[0]][0]", "$[?count(@..*) > 3][1]", "$[*][*]",
        "$[?@[?@ == 7]][2]", "$..[::-1]", "$[?@..x]", "$[?199 in @][3]", "$[?[0] in $][3]" };
    struct json_value root = grid(50, 200);
    for (size_t i = 0; i < LEN(PATHS); i++) {
        struct json_path *path = path_from(PATHS[i]);
        size_t counts[2] = { 0, 0 }, pauses = 0;
        for (int sliced = 0; sliced < 2; sliced++) {
            struct json_query *query = json_query_create(path, &root);
            struct json_match match;
            enum json_query_state state;
            do {
                uint64_t budget = sliced ? 10 : UINT64_MAX;
                state = json_query_next(query, &budget, &match);
                counts[sliced] += state == JSON_QUERY_MATCH;
                pauses += state == JSON_QUERY_PAUSED;
                cr_assert(state != JSON_QUERY_PAUSED || (sliced && budget == 0));
            } while (state == JSON_QUERY_MATCH || state == JSON_QUERY_PAUSED);
            cr_assert(state == JSON_QUERY_DONE && json_query_next(query, &(uint64_t){ 1 }, &match) == JSON_QUERY_DONE);
            json_query_destroy(query);
        }
        cr_assert(counts[0] == counts[1] && (pauses > 0 || counts[0] > 5000), "%s: %zu, %zu, %zu pauses", PATHS[i],
            counts[0], counts[1], pauses);
        json_path_unref(path);
    }
    json_value_destroy(root);
}

/* A text of two-byte characters, told from others by its length and by a character near its end. */
static void append_text(struct buf *out, size_t characters, char mark)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < characters; i++)
        buf_append(out, i == characters - 5 ? bytes_make(&mark, 1) : BYTES("\xc3\xa9"));
    buf_append_char(out, '"');
}

static bool holds(const char *operator, int order)
{
    return operator[0] == '=' ? order == 0
        : operator[0] == '!'  ? order != 0
        : operator[1] == '='  ? (operator[0] == '<' ? order <= 0 : order >= 0)
                              : (operator[0] == '<' ? order < 0 : order > 0);
}

/* Which elements of `root` a filter selects, in slices of the budget; bits. Long strings must take several. */
static unsigned selected(const char *text, const struct json_value *root, size_t *pauses)
{
    struct json_path *path = path_from(text);
    struct json_query *query = json_query_create(path, root);
    struct json_match match;
    enum json_query_state state;
    unsigned found = 0;
    do {
        uint64_t budget = 100;
        state = json_query_next(query, &budget, &match);
        *pauses += state == JSON_QUERY_PAUSED;
        found |= state == JSON_QUERY_MATCH ? 1u << match.steps[0] : 0;
    } while (state == JSON_QUERY_MATCH || state == JSON_QUERY_PAUSED);
    cr_assert(state == JSON_QUERY_DONE);
    json_query_destroy(query);
    json_path_unref(path);
    return found;
}

enum { TEXTS = 5, TEXT_PAIRS = TEXTS * TEXTS };

/* Each pair of these: of one length and equal, of one length and not, one the beginning of the other, one short. */
static struct json_value pairs_of_texts(struct bytes *texts)
{
    static const struct {
        size_t characters;
        char mark;
    } shapes[TEXTS] = { { 100000, 'a' }, { 100000, 'a' }, { 100000, 'b' }, { 50000, 'a' }, { 30, 'a' } };
    struct buf out = BUF_EMPTY, strings[TEXTS] = { 0 };
    for (int i = 0; i < TEXTS; i++)
        append_text(&strings[i], shapes[i].characters, shapes[i].mark);
    for (int i = 0; i < TEXT_PAIRS; i++) {
        struct bytes a = buf_bytes(&strings[i / TEXTS]), b = buf_bytes(&strings[i % TEXTS]);
        buf_append(&out, i == 0 ? BYTES("[") : BYTES(","));
        buf_printf(&out, "{\"a\":%.*s,\"b\":%.*s,\"c\":[1,%.*s],\"d\":[1,%.*s]}", (int)a.len, a.ptr, (int)b.len, b.ptr,
            (int)a.len, a.ptr, (int)b.len, b.ptr);
    }
    buf_append_char(&out, ']');
    struct json_value root;
    const char *error = NULL;
    size_t at = 0;
    cr_assert(json_parse(buf_bytes(&out), &root, &error, &at) == JSON_ERROR_NONE);
    buf_fini(&out);
    for (int i = 0; i < TEXTS; i++) {
        texts[i] = json_string(json_object_find(*json_array_at(root, (uint32_t)(i * TEXTS)), BYTES("a")));
        buf_fini(&strings[i]);
    }
    return root;
}

Test(query, b_long_strings_are_gone_through_in_steps)
{
    static const char *const OPERATORS[] = { "==", "!=", "<", "<=", ">", ">=" };
    struct bytes texts[TEXTS];
    struct json_value root = pairs_of_texts(texts);
    char path[64];
    size_t pauses = 0;
    for (size_t o = 0; o < LEN(OPERATORS); o++) {
        unsigned expected = 0;
        for (int i = 0; i < TEXT_PAIRS; i++)
            expected |= holds(OPERATORS[o], bytes_compare(texts[i / TEXTS], texts[i % TEXTS])) ? 1u << i : 0;
        snprintf(path, sizeof path, "$[?@.a %s @.b]", OPERATORS[o]);
        cr_expect_eq(selected(path, &root, &pauses), expected, "%s", path);
        snprintf(path, sizeof path, "$[?!(@.a %s @.b)]", OPERATORS[o]);
        cr_expect_eq(selected(path, &root, &pauses), ~expected & ((1u << TEXT_PAIRS) - 1), "%s", path);
        if (o < 2) {
            snprintf(path, sizeof path, "$[?@.c %s @.d]", OPERATORS[o]);
            cr_expect_eq(selected(path, &root, &pauses), expected, "%s", path);
        }
    }
    cr_expect_gt(pauses, 500);
    pauses = 0;
    unsigned equal = selected("$[?@.a == @.b]", &root, &pauses), same_length = 0;
    cr_expect_eq(selected("$[?@.a in @.d]", &root, &pauses), equal);
    for (int i = 0; i < TEXT_PAIRS; i++)
        same_length |= texts[i / TEXTS].len == texts[i % TEXTS].len ? 1u << i : 0;
    cr_expect_eq(selected("$[?length(@.a) == length(@.b)]", &root, &pauses), same_length);
    cr_expect_eq(selected("$[?length(@.a) == 100000 && length(@.b) == 50000]", &root, &pauses), 0x2108u);
    json_value_destroy(root);
}

static enum json_query_state collect_all(struct json_matches *matches, const char *text, const struct json_value *root)
{
    struct json_path *path = path_from(text);
    struct json_query *query = json_query_create(path, root);
    enum json_query_state state;
    do
        state = json_matches_collect(matches, query, &(uint64_t){ 50 });
    while (state == JSON_QUERY_PAUSED);
    json_query_destroy(query);
    json_path_unref(path);
    return state;
}

Test(query, c_skip_and_limit)
{
    struct json_value root = value_from("[0,1,2,3,4,5,6,7,8,9]");
    static const struct {
        size_t skip, limit, count;
        int64_t first;
    } CASES[] = { { 0, SIZE_MAX, 10, 0 }, { 3, 4, 4, 3 }, { 8, 5, 2, 8 }, { 10, 1, 0, 0 }, { 0, 0, 0, 0 } };
    for (size_t i = 0; i < LEN(CASES); i++) {
        struct json_matches matches;
        json_matches_init(&matches, JSON_MATCHES_VALUES, CASES[i].skip, CASES[i].limit);
        cr_assert(collect_all(&matches, "$[*]", &root) == JSON_QUERY_DONE);
        cr_assert(matches.count == CASES[i].count, "case %zu", i);
        cr_assert(matches.count == 0 || json_int(*json_matches_value(&matches, 0)) == CASES[i].first, "case %zu", i);
        json_matches_fini(&matches);
    }
    json_value_destroy(root);
}

/* Each random value is an array of a few, some levels deep. */
static struct json_value draw(struct random *random, unsigned depth)
{
    struct json_trash trash = { 0 };
    if (depth == 0 || random_below(random, 4) == 0)
        return json_make_int((int64_t)random_below(random, 3));
    bool object = random_below(random, 2);
    struct json_value made = object ? json_make_object() : json_make_array();
    for (uint64_t i = 0, count = random_below(random, 5); i < count; i++) {
        char name = (char)('a' + (char)random_below(random, 3));
        struct json_value inner = draw(random, depth - 1);
        if (object)
            REQUIRE(json_object_put(&made, bytes_make(&name, 1), inner, &trash));
        else
            REQUIRE(json_array_append(&made, inner, &trash));
    }
    while (!json_trash_drain(&trash, SIZE_MAX))
        ;
    return made;
}

static const char *const REPEATING[] = { "$..*", "$..*..*", "$..[0,0]", "$..a..a", "$..['a',?@ == 1]", "$[*,0,-1]",
    "$..[::-1]", "$..[?@..a]", "$..[1:]['a','b']", "$[0]..*", "$.nothing" };

static bool is_prefix(const struct json_matches *matches, size_t a, size_t b)
{
    size_t outer_depth, inner_depth;
    const uint32_t *outer = json_matches_place(matches, a, &outer_depth);
    const uint32_t *inner = json_matches_place(matches, b, &inner_depth);
    return outer_depth <= inner_depth && memcmp(outer, inner, outer_depth * sizeof(*outer)) == 0;
}

static bool is_same(const struct json_matches *matches, size_t a, size_t b)
{
    return is_prefix(matches, a, b) && is_prefix(matches, b, a);
}

Test(query, d_each_place_once)
{
    struct random random = seed_random(__func__);
    for (int round = 0; round < 200; round++) {
        struct json_value root = draw(&random, 5);
        struct json_matches all, once;
        const char *path = REPEATING[random_below(&random, LEN(REPEATING))];
        json_matches_init(&all, JSON_MATCHES_PLACES, 0, SIZE_MAX);
        json_matches_init(&once, JSON_MATCHES_PLACES, 0, SIZE_MAX);
        REQUIRE(
            collect_all(&all, path, &root) == JSON_QUERY_DONE && collect_all(&once, path, &root) == JSON_QUERY_DONE);
        while (json_matches_unique(&once, &(uint64_t){ 1 + random_below(&random, 20) }) == JSON_QUERY_PAUSED)
            ;
        size_t at = 0;
        for (size_t i = 0; i < all.count; i++) {
            size_t before = 0, depth, once_depth;
            while (before < i && !is_same(&all, before, i))
                before++;
            if (before < i)
                continue;
            REQUIRE(at < once.count);
            const uint32_t *steps = json_matches_place(&all, i, &depth);
            const uint32_t *once_steps = json_matches_place(&once, at++, &once_depth);
            REQUIRE(depth == once_depth && memcmp(steps, once_steps, depth * sizeof(*steps)) == 0);
        }
        REQUIRE(at == once.count);
        json_matches_fini(&all);
        json_matches_fini(&once);
        json_value_destroy(root);
    }
}

/* Without the matches: a copy that leaves out every value that is marked, found by its address. */
static struct json_value copy_without(const struct json_value *value, const struct json_matches *gone)
{
    struct json_trash trash = { 0 };
    if (!json_is_container(*value))
        return json_value_ref(*value);
    bool object = json_kind(*value) == JSON_OBJECT;
    struct json_value made = object ? json_make_object() : json_make_array();
    struct json_iter iter;
    for (json_iter_init(&iter, *value); json_iter_next(&iter);) {
        size_t i = 0;
        while (i < gone->count && json_matches_value(gone, i) != iter.value)
            i++;
        if (i < gone->count)
            continue;
        struct json_value inner = copy_without(iter.value, gone);
        if (object)
            REQUIRE(json_object_put(&made, json_key_text(iter.key), inner, &trash));
        else
            REQUIRE(json_array_append(&made, inner, &trash));
    }
    return made;
}

static void delete_place(struct json_doc *doc, const uint32_t *steps, size_t depth)
{
    struct json_trash trash = { 0 };
    struct json_value *parent = json_doc_open(doc, steps, depth - 1, &trash);
    REQUIRE(parent != NULL);
    if (json_kind(*parent) == JSON_OBJECT) {
        REQUIRE(json_object_remove(parent, steps[depth - 1], &trash));
    } else {
        REQUIRE(steps[depth - 1] < json_array_len(*parent));
        json_array_remove(parent, steps[depth - 1], 1, &trash);
    }
    while (!json_trash_drain(&trash, SIZE_MAX))
        ;
}

Test(query, e_deleting_in_order)
{
    struct random random = seed_random(__func__);
    for (int round = 0; round < 300; round++) {
        struct json_doc doc = { draw(&random, 6) };
        const char *path = REPEATING[random_below(&random, LEN(REPEATING))];
        struct json_matches values, places;
        json_matches_init(&values, JSON_MATCHES_VALUES, 0, SIZE_MAX);
        json_matches_init(&places, JSON_MATCHES_PLACES, 0, SIZE_MAX);
        REQUIRE(collect_all(&values, path, &doc.root) == JSON_QUERY_DONE);
        REQUIRE(collect_all(&places, path, &doc.root) == JSON_QUERY_DONE);
        struct json_value expected = copy_without(&doc.root, &values);
        while (json_matches_outermost(&places, &(uint64_t){ 1 + random_below(&random, 20) }) == JSON_QUERY_PAUSED)
            ;
        for (size_t i = 0; i < places.count; i++) {
            size_t depth;
            const uint32_t *steps = json_matches_place(&places, i, &depth);
            for (size_t k = 0; k < i; k++)
                REQUIRE(!is_prefix(&places, k, i) && !is_prefix(&places, i, k));
            delete_place(&doc, steps, depth);
        }
        REQUIRE(json_equal(&doc.root, &expected, true));
        json_matches_fini(&values);
        json_matches_fini(&places);
        json_value_destroy(expected);
        json_value_destroy(doc.root);
    }
}

Test(query, f_memory_that_runs_out)
{
    struct json_value root = grid(20, 20);
    unsigned failures = 0;
    for (uint64_t nth = 1; nth < 40; nth++) {
        struct json_matches matches;
        json_matches_init(&matches, nth % 2 ? JSON_MATCHES_PLACES : JSON_MATCHES_VALUES, 0, SIZE_MAX);
        mem_fail_nth((nth + 1) / 2);
        enum json_query_state state = collect_all(&matches, "$..*", &root);
        size_t count = matches.count;
        if (state == JSON_QUERY_DONE && matches.want == JSON_MATCHES_PLACES) {
            state = json_matches_outermost(&matches, &(uint64_t){ UINT64_MAX });
            cr_assert(state == JSON_QUERY_DONE ? matches.count == 20 : matches.count == count);
        }
        mem_fail_nth(0);
        cr_assert(matches.out_of_memory == (state == JSON_QUERY_FAILED));
        failures += matches.out_of_memory;
        json_matches_fini(&matches);
    }
    cr_assert(failures > 4 && failures < 38, "%u", failures);
    json_value_destroy(root);
}

/* More than a page of pointers and a chunk of steps. */
Test(query, f_many)
{
    enum { ROWS = 3, COLUMNS = 5000 };
    struct json_doc doc = { grid(ROWS, COLUMNS) };
    struct json_matches matches;
    json_matches_init(&matches, JSON_MATCHES_PLACES, 0, SIZE_MAX);
    cr_assert(collect_all(&matches, "$[*][*,0,::-1]", &doc.root) == JSON_QUERY_DONE);
    cr_assert(matches.count == ROWS * (2 * COLUMNS + 1));
    cr_assert(json_matches_unique(&matches, &(uint64_t){ UINT64_MAX }) == JSON_QUERY_DONE);
    cr_assert(matches.count == ROWS * COLUMNS);
    for (size_t i = 0; i < matches.count; i++) {
        size_t depth;
        const uint32_t *steps = json_matches_place(&matches, i, &depth);
        REQUIRE(depth == 2 && steps[0] == i / COLUMNS && steps[1] == i % COLUMNS);
    }
    cr_assert(json_matches_outermost(&matches, &(uint64_t){ UINT64_MAX }) == JSON_QUERY_DONE);
    for (size_t i = 0; i < matches.count; i++) {
        size_t depth, last = ROWS * COLUMNS - 1 - i;
        const uint32_t *steps = json_matches_place(&matches, i, &depth);
        REQUIRE(depth == 2 && steps[0] == last / COLUMNS && steps[1] == last % COLUMNS);
    }
    json_matches_fini(&matches);
    json_value_destroy(doc.root);
}

Test(query, g_cache)
{
    struct json_path_cache *cache = json_path_cache_create(3);
    struct json_path_error error;
    struct json_path *first = json_path_cache_get(cache, BYTES("$.a"), &error);
    json_path_ref(first);
    size_t memory = json_path_cache_memory(cache);
    cr_assert(json_path_cache_get(cache, BYTES("$.a"), &error) == first && json_path_cache_count(cache) == 1);
    cr_assert(json_path_cache_get(cache, BYTES("$."), &error) == NULL && json_path_cache_count(cache) == 1);
    struct json_path *second = json_path_cache_get(cache, BYTES("$.b"), &error);
    json_path_cache_get(cache, BYTES("$.c"), &error);
    cr_assert(json_path_cache_get(cache, BYTES("$.a"), &error) == first);
    cr_assert(json_path_cache_get(cache, BYTES("$.b"), &error) == second && json_path_cache_count(cache) == 3);
    json_path_cache_get(cache, BYTES("$.d"), &error);
    cr_assert(json_path_cache_count(cache) == 3 && json_path_cache_get(cache, BYTES("$.b"), &error) == second);
    for (int i = 0; i < 1000; i++) {
        char text[32];
        size_t len = (size_t)snprintf(text, sizeof(text), "$.k%d", i % 10);
        cr_assert(json_path_cache_get(cache, bytes_make(text, len), &error) != NULL);
        cr_assert(json_path_cache_count(cache) == 3);
    }
    cr_assert(json_path_cache_memory(cache) > memory);
    cr_assert(bytes_equal(json_path_text(first), BYTES("$.a")), "a path outlives its place in the cache");
    struct buf longest = BUF_EMPTY;
    buf_append_cstr(&longest, "$");
    while (longest.len < 2000)
        buf_append_cstr(&longest, ".a");
    cr_assert(json_path_cache_get(cache, buf_bytes(&longest), &error) != NULL && json_path_cache_count(cache) == 3);
    buf_fini(&longest);
    json_path_unref(first);
    json_path_cache_destroy(cache);
    json_path_cache_destroy(NULL);
    cr_assert(json_key_count() == 0);
}

struct shared {
    struct json_path *path;
    struct json_value root;
    size_t count;
};

static void *evaluate_shared(void *argument)
{
    struct shared *shared = argument;
    mem_thread_register();
    for (int i = 0; i < 20; i++) {
        struct json_query *query = json_query_create(shared->path, &shared->root);
        struct json_match match;
        size_t count = 0;
        while (json_query_next(query, &(uint64_t){ UINT64_MAX }, &match) == JSON_QUERY_MATCH)
            count++;
        REQUIRE(count == shared->count);
        json_query_destroy(query);
        json_path_unref(json_path_ref(shared->path));
    }
    json_path_unref(shared->path);
    return NULL;
}

Test(query, h_many_threads_with_one_path)
{
    enum { THREADS = 4 };
    struct json_value root = value_from("[{\"t\":\"abc\",\"l\":[1,{\"x\":2}]},{\"t\":\"xbz\",\"l\":[]},{\"t\":\"q\"}]");
    struct json_path *path = path_from("$[?search(@.t, '.b.') && (count(@.l[*]) > 1 || @.l == [])].t");
    struct shared shared = { path, root, 2 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        json_path_ref(path);
        cr_assert(pthread_create(&threads[i], NULL, evaluate_shared, &shared) == 0);
    }
    json_path_unref(path);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    json_value_destroy(root);
    cr_assert(json_key_count() == 0);
}
