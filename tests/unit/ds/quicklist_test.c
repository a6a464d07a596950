/*
 * Tests of the quicklist: limits, conversion from and to a listpack, the ends, blobs; then a model, an array of
 * strings, that random edits must agree with under every kind of limit and depth of compression, read from both ends
 * and from the middle. Which nodes are compressed quicklist_check knows.
 * Random tests print their seed; LARDER_TEST_SEED repeats one.
 */
#include "ds/quicklist.h"

#include "base/mem.h"
#include "base/random.h"
#include "ds/listpack.h"
#include "ds/quicklist_read.h"
#include "packed_fixture.h"

enum { MODEL_MAX = 3000, TEXT_MAX = 9000 };

static struct bytes value_of(const struct quicklist_place *place, char *scratch)
{
    return listpack_value_bytes(quicklist_get(place), scratch);
}

static bool reads(const struct quicklist *list, size_t index, const char *text)
{
    struct quicklist_place place;
    char scratch[NUM_I64_MAX_LEN];
    REQUIRE(quicklist_seek(list, index, &place));
    bool same = bytes_equal(value_of(&place, scratch), bytes_from_cstr(text));
    quicklist_place_end(&place);
    return same;
}

static struct quicklist_item item_of(struct bytes text, const struct quicklist_limits *limits)
{
    if (quicklist_is_large(limits, text.len))
        return (struct quicklist_item){ .blob = blob_from_bytes(text) };
    return (struct quicklist_item){ .text = text };
}

static void push(struct quicklist *list, enum quicklist_end end, const char *text, struct quicklist_limits limits)
{
    quicklist_push(list, end, item_of(bytes_from_cstr(text), &limits), &limits);
}

static void require_sound(const struct quicklist *list)
{
    const char *fault = quicklist_check(list);
    if (fault)
        cr_assert_fail("%s", fault);
}

TestSuite(quicklist, .init = mem_thread_register);

Test(quicklist, limits_are_those_of_the_directive)
{
    REQUIRE(quicklist_limits(-1).bytes == 4096 && quicklist_limits(-5).bytes == 65536);
    REQUIRE(quicklist_limits(-9).bytes == 65536 && quicklist_limits(-2).count == SIZE_MAX);
    REQUIRE(quicklist_limits(0).count == 1 && quicklist_limits(128).count == 128 && quicklist_limits(128).by_count);
    struct quicklist_limits limits = quicklist_limits(2);
    REQUIRE(quicklist_limits_allow(&limits, 8192, 2) && !quicklist_limits_allow(&limits, 8192, 3));
    REQUIRE(!quicklist_limits_allow(&limits, 8193, 1) && quicklist_is_large(&limits, 8193));
}

Test(quicklist, both_ends)
{
    struct quicklist_limits limits = quicklist_limits(2);
    struct quicklist *list = quicklist_create(0);
    push(list, QUICKLIST_TAIL, "b", limits);
    push(list, QUICKLIST_TAIL, "12", limits);
    push(list, QUICKLIST_HEAD, "a", limits);
    REQUIRE(quicklist_count(list) == 3 && quicklist_node_count(list) == 2);
    REQUIRE(reads(list, 0, "a") && reads(list, 1, "b") && reads(list, 2, "12"));
    struct quicklist_place place;
    REQUIRE(!quicklist_seek(list, 3, &place));
    REQUIRE(!quicklist_delete(list, 0, 1, &limits) && reads(list, 0, "b"));
    REQUIRE(!quicklist_delete(list, 0, 2, &limits) && quicklist_count(list) == 0);
    require_sound(list);
    quicklist_destroy(list);
    quicklist_destroy(NULL);
}

Test(quicklist, to_a_listpack_and_back)
{
    struct quicklist_limits limits = quicklist_limits(8);
    unsigned char *pack = listpack_create(0);
    for (int64_t i = 0; i < 5; i++)
        listpack_append_i64(&pack, i);
    struct quicklist *list = quicklist_from_listpack(pack, 0);
    REQUIRE(quicklist_count(list) == 5 && reads(list, 4, "4"));
    REQUIRE(!quicklist_into_listpack(list, &limits));
    quicklist_delete(list, 1, 1, &limits);
    pack = quicklist_into_listpack(list, &limits);
    REQUIRE(pack && listpack_count(pack) == 4);
    listpack_destroy(pack);
}

Test(quicklist, large_elements_are_blobs_and_shared_by_copies)
{
    struct quicklist_limits limits = quicklist_limits(-1);
    struct quicklist *list = quicklist_create(0);
    char text[5000] = { 0 };
    struct quicklist_place place;
    push(list, QUICKLIST_TAIL, "x", limits);
    quicklist_push(list, QUICKLIST_TAIL, item_of(bytes_make(text, sizeof text), &limits), &limits);
    REQUIRE(quicklist_seek(list, 1, &place) && place.blob && place.blob->len == sizeof text);
    REQUIRE(!quicklist_into_listpack(list, &limits));
    struct quicklist *copy = quicklist_copy(list);
    REQUIRE(blob_is_shared(place.blob));
    quicklist_destroy(list);
    REQUIRE(!blob_is_shared(place.blob) && quicklist_count(copy) == 2);
    quicklist_replace(copy, 1, (struct quicklist_item){ .text = BYTES("y") }, &limits);
    REQUIRE(reads(copy, 1, "y"));
    require_sound(copy);
    quicklist_destroy(copy);
}

Test(quicklist, drains_in_slices)
{
    size_t before = mem_used();
    struct quicklist_limits limits = quicklist_limits(1);
    struct quicklist *list = quicklist_create(0);
    for (int i = 0; i < 1000; i++)
        push(list, i % 3 ? QUICKLIST_TAIL : QUICKLIST_HEAD, "0123456789", limits);
    int slices = 1;
    while (quicklist_drain(list, 100))
        slices++;
    REQUIRE(slices == 10);
    quicklist_destroy(list);
    REQUIRE(mem_used() == before);
}

Test(quicklist, a_long_cut_hands_its_blocks_over)
{
    struct quicklist_limits limits = quicklist_limits(2);
    struct quicklist *list = quicklist_create(0);
    for (int i = 0; i < 10000; i++)
        push(list, QUICKLIST_TAIL, "some text", limits);
    struct quicklist *rest = quicklist_delete(list, 3, 9990, &limits);
    REQUIRE(quicklist_count(list) == 10 && rest && quicklist_count(rest) > 9000);
    require_sound(list);
    require_sound(rest);
    quicklist_destroy(rest);
    quicklist_destroy(list);
}

Test(quicklist, memory_stays_near_the_text)
{
    struct quicklist_limits limits = quicklist_limits(-2);
    struct quicklist *list = quicklist_create(0);
    size_t before = mem_used();
    for (int i = 0; i < 200000; i++)
        quicklist_push(list, i & 1 ? QUICKLIST_TAIL : QUICKLIST_HEAD,
            (struct quicklist_item){ .text = BYTES("eighteen bytes bb!") }, &limits);
    double each = (double)(mem_used() - before) / 200000;
    cr_assert_lt(each, 20.3, "%f", each);
    double told = (double)quicklist_memory(list) / 200000;
    cr_assert(told > 19.9 && told < 20.5, "%f", told);
    quicklist_destroy(list);
}

/* --- Model --- */

struct model {
    struct quicklist *list;
    struct quicklist_limits limits;
    struct random random;
    struct bytes texts[MODEL_MAX]; /* owned */
    size_t count;
};

static size_t below(struct model *model, size_t limit)
{
    return (size_t)random_below(&model->random, limit);
}

/* Few different short texts, numbers among them, so that removal by value finds some; seldom long ones. */
static struct bytes random_text(struct model *model)
{
    static char text[TEXT_MAX];
    size_t kind = below(model, 100);
    if (kind < 40)
        return bytes_make(text, (size_t)snprintf(text, sizeof text, "%d", (int)below(model, 12) * 1001 - 5000));
    size_t len = kind < 90 ? below(model, 40) : kind < 98 ? below(model, 1000) : below(model, TEXT_MAX);
    memset(text, 'a' + (int)below(model, 3), len);
    return bytes_make(text, len);
}

static void model_insert(struct model *model, size_t index, struct bytes text)
{
    memmove(&model->texts[index + 1], &model->texts[index], (model->count - index) * sizeof text);
    model->texts[index] = bytes_make(mem_dup(text.ptr, text.len + 1), text.len);
    model->count++;
}

static void model_delete(struct model *model, size_t index, size_t count)
{
    for (size_t i = index; i < index + count; i++)
        mem_free((void *)model->texts[i].ptr);
    model->count -= count;
    memmove(&model->texts[index], &model->texts[index + count], (model->count - index) * sizeof model->texts[0]);
}

static size_t model_remove(struct model *model, bool from_tail, struct bytes text, size_t max)
{
    size_t removed = 0;
    for (size_t i = 0, left = model->count; left > 0 && removed < max; left--) {
        size_t index = from_tail ? left - 1 : i;
        if (bytes_equal(model->texts[index], text)) {
            model_delete(model, index, 1);
            removed++;
        } else {
            i++;
        }
    }
    return removed;
}

static size_t model_find(const struct model *model, struct bytes text)
{
    for (size_t i = 0; i < model->count; i++)
        if (bytes_equal(model->texts[i], text))
            return i;
    return SIZE_MAX;
}

static void require_same(struct model *model)
{
    struct quicklist_place place;
    char scratch[NUM_I64_MAX_LEN];
    require_sound(model->list);
    REQUIRE(quicklist_count(model->list) == model->count);
    bool more = quicklist_seek(model->list, 0, &place);
    for (size_t i = 0; i < model->count; i++, more = quicklist_next(&place))
        REQUIRE(more && bytes_equal(value_of(&place, scratch), model->texts[i]));
    REQUIRE(!more);
    if (!model->count)
        return;
    quicklist_place_end(&place);
    size_t index = below(model, model->count);
    more = quicklist_seek(model->list, index, &place);
    for (size_t i = index + 1; i-- > 0; more = quicklist_prev(&place))
        REQUIRE(more && bytes_equal(value_of(&place, scratch), model->texts[i]));
    REQUIRE(!more);
    quicklist_place_end(&place);
}

static void grow_step(struct model *model)
{
    struct bytes text = random_text(model);
    struct quicklist_item item = item_of(text, &model->limits);
    size_t index = below(model, model->count + 1), kind = below(model, 4);
    if (kind < 2) {
        index = kind ? model->count : 0;
        quicklist_push(model->list, kind ? QUICKLIST_TAIL : QUICKLIST_HEAD, item, &model->limits);
    } else {
        quicklist_insert(model->list, index, item, &model->limits);
    }
    model_insert(model, index, text);
}

/* Both steps at once; *in_place says which way it went. */
static size_t remove_texts(struct quicklist *list, enum quicklist_end from, struct bytes text, size_t max,
    const struct quicklist_limits *limits, bool *in_place)
{
    struct quicklist_removal removal;
    quicklist_removal_find(list, from, text, max, limits, &removal);
    *in_place = !removal.made;
    quicklist_destroy(quicklist_removal_carry_out(list, &removal, text, limits));
    return removal.count;
}

static void shrink_step(struct model *model)
{
    size_t kind = below(model, 100), index = below(model, model->count), count = 1;
    if (kind < 20) {
        struct bytes text = random_text(model);
        size_t max = below(model, 4) ? below(model, 4) : SIZE_MAX;
        bool tail = below(model, 2), in_place;
        enum quicklist_end from = tail ? QUICKLIST_TAIL : QUICKLIST_HEAD;
        size_t first = quicklist_find(model->list, text);
        REQUIRE(first == model_find(model, text));
        REQUIRE(quicklist_finds_soon(model->list, from, text, max, SIZE_MAX));
        REQUIRE(first == 0 || first == SIZE_MAX || !quicklist_finds_soon(model->list, QUICKLIST_HEAD, text, 1, 0));
        size_t removed = remove_texts(model->list, from, text, max, &model->limits, &in_place);
        REQUIRE(removed == model_remove(model, tail, text, max));
        return;
    }
    if (kind < 40)
        index = kind & 1 ? 0 : model->count - 1;
    else if (kind < 50)
        count = 1 + below(model, model->count - index < 40 ? model->count - index : 40);
    else if (kind == 99)
        count = 1 + below(model, model->count - index);
    quicklist_destroy(quicklist_delete(model->list, index, count, &model->limits));
    model_delete(model, index, count);
}

static void replace_step(struct model *model)
{
    struct bytes text = random_text(model);
    size_t index = below(model, model->count);
    quicklist_replace(model->list, index, item_of(text, &model->limits), &model->limits);
    model_insert(model, index, text);
    model_delete(model, index + 1, 1);
}

static size_t compressed_nodes(const struct quicklist *list)
{
    struct quicklist_node_view view;
    size_t count = 0;
    for (bool more = quicklist_view_first(list, &view); more; more = quicklist_view_next(&view))
        count += view.unpacked_len > 0;
    return count;
}

/* Returns how many nodes were compressed at most. */
static size_t run_model(int setting, size_t depth, int steps)
{
    static struct model model;
    size_t before = mem_used();
    model = (struct model){
        .list = quicklist_create(depth), .limits = quicklist_limits(setting), .random = seed_random(__func__)
    };
    bool grows = true;
    size_t compressed = 0;
    while (depth && model.count < MODEL_MAX / 2)
        grow_step(&model);
    for (int i = 0; i < steps; i++) {
        if (below(&model, 400) == 0)
            grows = !grows;
        size_t kind = below(&model, 10);
        if (model.count == 0 || (model.count < MODEL_MAX - 1 && kind < (grows ? 7u : 2u)))
            grow_step(&model);
        else if (kind == 9)
            replace_step(&model);
        else
            shrink_step(&model);
        if (depth && i % 8 == 0)
            require_sound(model.list);
        if (i % 64 == 0) {
            require_same(&model);
            size_t now = compressed_nodes(model.list);
            compressed = now > compressed ? now : compressed;
        }
    }
    require_same(&model);
    model_delete(&model, 0, model.count);
    quicklist_destroy(model.list);
    REQUIRE(mem_used() == before);
    return compressed;
}

Test(quicklist_model, one_element_a_node)
{
    run_model(1, 0, 30000);
}

Test(quicklist_model, few_elements_a_node)
{
    run_model(5, 0, 30000);
}

Test(quicklist_model, many_elements_a_node)
{
    run_model(128, 0, 30000);
}

Test(quicklist_model, nodes_of_four_kb)
{
    run_model(-1, 0, 30000);
}

Test(quicklist_model, nodes_of_eight_kb)
{
    run_model(-2, 0, 30000);
}

Test(quicklist_model, compressed)
{
    static const int settings[] = { 1, 5, 128, -1, -2 };
    for (size_t depth = 1; depth <= 3; depth++)
        for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
            REQUIRE(run_model(settings[i], depth, 5000) > 3);
}

Test(quicklist, pushes_at_the_head_fill_the_nodes)
{
    struct quicklist_limits limits = quicklist_limits(-2);
    struct quicklist *list = quicklist_create(0);
    for (int i = 0; i < 100000; i++)
        push(list, QUICKLIST_HEAD, "eighteen bytes aa!", limits);
    cr_assert_lt(quicklist_node_count(list), 100000 / 409 + 4);
    while (quicklist_count(list) > 1000)
        REQUIRE(!quicklist_delete(list, 0, 1, &limits));
    require_sound(list);
    while (quicklist_count(list) > 204)
        REQUIRE(!quicklist_delete(list, 0, 1, &limits));
    unsigned char *pack = quicklist_into_listpack(list, &limits);
    REQUIRE(pack && listpack_count(pack) == 204 && listpack_bytes(pack) <= 4096);
    listpack_destroy(pack);
}

Test(quicklist_model, sparse_nodes_are_merged)
{
    struct quicklist_limits limits = quicklist_limits(10);
    struct quicklist *list = quicklist_create(0);
    for (int i = 0; i < 20000; i++)
        push(list, QUICKLIST_TAIL, i % 20 ? "many" : "few", limits);
    bool in_place;
    REQUIRE(remove_texts(list, QUICKLIST_TAIL, BYTES("many"), SIZE_MAX, &limits, &in_place) == 19000 && !in_place);
    require_sound(list);
    REQUIRE(quicklist_count(list) == 1000 && quicklist_node_count(list) <= 400);
    quicklist_destroy(list);
}

static void fill_alternating(struct quicklist *list, size_t count, const struct quicklist_limits *limits)
{
    char text[64];
    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)snprintf(text, sizeof text, "an element of a list, number %zu", i);
        quicklist_push(
            list, i % 2 ? QUICKLIST_TAIL : QUICKLIST_HEAD, (struct quicklist_item){ .text = { text, len } }, limits);
    }
}

Test(quicklist, compression_saves_memory_that_is_told)
{
    struct quicklist_limits limits = quicklist_limits(-2);
    for (size_t depth = 1; depth <= 500; depth = depth * 10 + 40) {
        struct quicklist *list = quicklist_create(depth);
        size_t before = mem_used() - quicklist_memory(list);
        fill_alternating(list, 300000, &limits);
        double used = (double)(mem_used() - before), told = (double)quicklist_memory(list);
        cr_assert(told > used * 0.95 && told < used * 1.05, "%f of %f at %zu", told, used, depth);
        cr_assert(depth > 100 || used < (double)quicklist_bytes(list) * 0.5);
        require_sound(list);
        quicklist_destroy(list);
    }
}

Test(quicklist, what_saves_nothing_stays_as_it_is)
{
    struct quicklist_limits limits = quicklist_limits(-1);
    struct quicklist *list = quicklist_create(1);
    static char random_text[5000], huge[QUICKLIST_COMPRESS_MAX + 1], large[QUICKLIST_COMPRESS_MAX];
    struct random random = seed_random(__func__);
    for (size_t i = 0; i < sizeof random_text; i++)
        random_text[i] = (char)random_below(&random, 256);
    struct bytes texts[] = { BYTES("end"), bytes_make(random_text, sizeof random_text), bytes_make(huge, sizeof huge),
        bytes_make(large, sizeof large), bytes_make(random_text, sizeof random_text), BYTES("end") };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        quicklist_push(list, QUICKLIST_TAIL, item_of(texts[i], &limits), &limits);
    require_sound(list);
    struct quicklist_node_view view;
    REQUIRE(compressed_nodes(list) == 1 && quicklist_view_first(list, &view));
    while (!view.unpacked_len)
        REQUIRE(quicklist_view_next(&view));
    REQUIRE(view.plain && view.unpacked_len == sizeof large && view.content.len < 10000);
    struct quicklist_place place;
    REQUIRE(quicklist_seek(list, 3, &place) && place.blob->len == sizeof large);
    struct blob *kept = blob_ref(place.blob);
    quicklist_place_end(&place);
    REQUIRE(bytes_equal(blob_bytes(kept), texts[3]) && !blob_is_shared(kept));
    blob_unref(kept);
    /* It is opened at the end, and packed again behind it. */
    quicklist_delete(list, 4, 2, &limits);
    REQUIRE(compressed_nodes(list) == 0);
    quicklist_push(list, QUICKLIST_TAIL, item_of(texts[1], &limits), &limits);
    REQUIRE(compressed_nodes(list) == 1);
    require_sound(list);
    quicklist_destroy(list);
}

/* Nodes that no edit needs stay the allocations that they are. */
Test(quicklist, an_edit_touches_its_node_only)
{
    struct quicklist_limits limits = quicklist_limits(-2);
    struct quicklist *list = quicklist_create(2);
    fill_alternating(list, 20000, &limits);
    const void *before[200];
    size_t count = 0, changed = 0;
    struct quicklist_node_view view;
    REQUIRE(quicklist_node_count(list) < 200 && quicklist_node_count(list) > 50);
    for (bool more = quicklist_view_first(list, &view); more; more = quicklist_view_next(&view))
        before[count++] = view.content.ptr;
    quicklist_replace(list, 10000, (struct quicklist_item){ .text = BYTES("another text") }, &limits);
    count = 0;
    for (bool more = quicklist_view_first(list, &view); more; more = quicklist_view_next(&view))
        changed += before[count++] != (const void *)view.content.ptr;
    REQUIRE(changed <= 1 && reads(list, 10000, "another text"));
    require_sound(list);
    quicklist_destroy(list);
}

/* Elements stay where they were read while the place goes on, as far as the next compressed node, or all. */
Test(quicklist, what_was_read_stays)
{
    struct quicklist_limits limits = quicklist_limits(2);
    struct quicklist *list = quicklist_create(1);
    char text[200], expected[200];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 200; i++)
        quicklist_push(list, QUICKLIST_TAIL,
            (struct quicklist_item){ .text = { text, 100 + (size_t)snprintf(text, 100, "%03d", i) } }, &limits);
    struct quicklist_place place;
    struct listpack_value all[200], last = { 0 };
    memset(expected, 'x', sizeof expected);
    REQUIRE(compressed_nodes(list) == 98 && quicklist_seek(list, 0, &place));
    for (int i = 0; i < 200; i++) {
        struct listpack_value value = quicklist_get(&place);
        if (i)
            REQUIRE(memcmp(last.text, expected, last.len) == 0);
        last = value;
        snprintf(expected, 100, "%03d", i);
        quicklist_next(&place);
    }
    quicklist_place_end(&place);
    REQUIRE(quicklist_seek(list, 0, &place));
    place.keeps = true;
    for (int i = 0; i < 200; i++, quicklist_next(&place))
        all[i] = quicklist_get(&place);
    for (int i = 0; i < 200; i++) {
        snprintf(expected, 100, "%03d", i);
        REQUIRE(all[i].len == 100 + strlen(expected) && memcmp(all[i].text, expected, all[i].len) == 0);
    }
    quicklist_place_end(&place);
    quicklist_destroy(list);
}

/* A list of some hundred nodes, with plain ones, from which a value is removed of which there are few or many. */
static void remove_in_two_steps(size_t depth)
{
    static struct model model;
    static char large_text[9000];
    memset(large_text, 'x', sizeof large_text);
    size_t before = mem_used();
    model = (struct model){
        .list = quicklist_create(depth), .limits = quicklist_limits(30), .random = seed_random(__func__)
    };
    size_t in_place_times = 0, made_times = 0;
    for (int round = 0; round < 60; round++) {
        while (model.count < MODEL_MAX) {
            size_t kind = below(&model, 1000);
            struct bytes text = kind < 3     ? BYTES("rare")
                                : kind < 13  ? bytes_make(large_text, sizeof large_text - 1)
                                : kind < 400 ? BYTES("frequent")
                                             : BYTES("other");
            quicklist_push(model.list, QUICKLIST_TAIL, item_of(text, &model.limits), &model.limits);
            model_insert(&model, model.count, text);
        }
        static const size_t most[] = { 1, 7, 40, 1500, SIZE_MAX };
        bool tail = below(&model, 2), in_place;
        struct bytes text = below(&model, 2)   ? BYTES("frequent")
                            : below(&model, 2) ? BYTES("rare")
                                               : bytes_make(large_text, sizeof large_text - 1);
        size_t max = most[below(&model, 5)];
        enum quicklist_end from = tail ? QUICKLIST_TAIL : QUICKLIST_HEAD;
        size_t removed = remove_texts(model.list, from, text, max, &model.limits, &in_place);
        REQUIRE(removed == model_remove(&model, tail, text, max));
        require_same(&model);
        in_place_times += in_place;
        made_times += !in_place;
    }
    REQUIRE(in_place_times && made_times);
    model_delete(&model, 0, model.count);
    quicklist_destroy(model.list);
    REQUIRE(mem_used() == before);
}

Test(quicklist_model, removing_in_two_steps)
{
    remove_in_two_steps(0);
}

Test(quicklist_model, removing_in_two_steps_from_compressed_nodes)
{
    remove_in_two_steps(1);
    remove_in_two_steps(3);
}
