/*
 * Tests of lists: each encoding and the way to it and back, what counts as a change, a model that every change is
 * compared with, copies, slices, blobs, memory that runs out.
 */
#include "store/list.h"

#include "fixture.h"
#include "store/settings.h"
#include "store/value.h"

enum { MODEL_MAX = 600, LARGE = 10000 };

static struct list_edit open_at(struct fixture *fixture, const char *key)
{
    struct entry *entry = keyspace_write(fixture->keyspace, fixture->db, key_of(key), NOW);
    return (struct list_edit){ fixture->keyspace, fixture->db, key_of(key), entry };
}

static bool push(struct fixture *fixture, const char *key, enum list_end end, struct bytes text)
{
    struct list_edit list = open_at(fixture, key);
    return list_push(&list, end, &text, NULL, 1);
}

static bool push_text(struct fixture *fixture, const char *key, const char *text)
{
    return push(fixture, key, LIST_TAIL, bytes_from_cstr(text));
}

static void delete (struct fixture *fixture, const char *key, size_t index, size_t count)
{
    struct list_edit list = open_at(fixture, key);
    list_delete(&list, index, count);
}

static bool is_kept_as(struct fixture *fixture, const char *key, const char *encoding)
{
    return strcmp(entry_encoding_name(peek(fixture, key)), encoding) == 0;
}

/* True if the list reads as that, elements separated by commas. */
static bool reads(struct fixture *fixture, const char *key, const char *expected)
{
    const struct entry *entry = peek(fixture, key);
    char text[1000] = "";
    size_t len = 0;
    struct list_walk walk;
    struct list_element element;
    list_walk_begin(&walk, entry, 0, list_len(entry));
    while (list_next(&walk, &element)) {
        struct list_scratch scratch;
        struct bytes bytes = list_element_bytes(&element, &scratch);
        len += (size_t)snprintf(text + len, sizeof text - len, len ? ",%.*s" : "%.*s", (int)bytes.len, bytes.ptr);
    }
    return strcmp(text, expected) == 0;
}

static void limit_and_compress(struct fixture *fixture, int64_t size, int64_t depth)
{
    static struct store_settings settings;
    settings = store_settings_default;
    settings.list_max_listpack_size = size;
    settings.list_compress_depth = depth;
    fixture->keyspace->settings = &settings;
}

static void limit(struct fixture *fixture, int64_t size)
{
    limit_and_compress(fixture, size, 0);
}

Test(list, push_creates_and_delete_removes)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    REQUIRE(list_len(NULL) == 0);
    REQUIRE(push_text(&fixture, "l", "b") && push_text(&fixture, "l", "7"));
    REQUIRE(push(&fixture, "l", LIST_HEAD, BYTES("a")));
    REQUIRE(reads(&fixture, "l", "a,b,7") && is_kept_as(&fixture, "l", "listpack"));
    delete (&fixture, "l", 1, 1);
    REQUIRE(reads(&fixture, "l", "a,7"));
    delete (&fixture, "l", 0, 2);
    REQUIRE(!peek(&fixture, "l"));
    fixture_end(&fixture);
}

Test(list, converts_at_the_limit_and_back_at_half)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    limit(&fixture, 4);
    for (int i = 0; i < 4; i++)
        REQUIRE(push_text(&fixture, "l", "x") && is_kept_as(&fixture, "l", "listpack"));
    REQUIRE(push_text(&fixture, "l", "x") && is_kept_as(&fixture, "l", "quicklist"));
    check(&fixture);
    delete (&fixture, "l", 0, 2);
    REQUIRE(is_kept_as(&fixture, "l", "quicklist"));
    delete (&fixture, "l", 0, 1);
    REQUIRE(is_kept_as(&fixture, "l", "listpack") && reads(&fixture, "l", "x,x"));
    fixture_end(&fixture);
}

Test(list, a_list_may_begin_as_a_quicklist)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    char text[5000];
    memset(text, 'x', sizeof text);
    struct bytes texts[2] = { { text, sizeof text }, { text, sizeof text } };
    struct list_edit list = open_at(&fixture, "l");
    REQUIRE(list_push(&list, LIST_TAIL, texts, NULL, 2) && is_kept_as(&fixture, "l", "quicklist"));
    fixture_end(&fixture);
}

Test(list, changes_are_told_and_nothing_else)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    push_text(&fixture, "l", "a");
    push_text(&fixture, "l", "b");
    int before = fixture.touched;
    bool found;
    struct list_edit list = open_at(&fixture, "l");
    REQUIRE(list_remove(&list, LIST_HEAD, BYTES("none"), 1) == 0);
    REQUIRE(!list_insert(&list, BYTES("none"), true, BYTES("c"), NULL, &found) && !found);
    REQUIRE(fixture.touched == before);
    REQUIRE(list_set(&list, 1, BYTES("c"), NULL) && fixture.touched == before + 1);
    REQUIRE(list_insert(&list, BYTES("c"), false, BYTES("d"), NULL, &found) && fixture.touched == before + 2);
    REQUIRE(list_move(&list, LIST_HEAD, &list, LIST_TAIL, BYTES("a"), NULL) && fixture.touched == before + 3);
    REQUIRE(reads(&fixture, "l", "d,c,a"));
    fixture_end(&fixture);
}

Test(list, moving_the_last_element_removes_the_list)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    push_text(&fixture, "from", "a");
    struct list_edit from = open_at(&fixture, "from"), to = open_at(&fixture, "to");
    REQUIRE(list_move(&from, LIST_HEAD, &to, LIST_HEAD, BYTES("a"), NULL));
    REQUIRE(!from.entry && !peek(&fixture, "from") && reads(&fixture, "to", "a"));
    REQUIRE(list_move(&to, LIST_HEAD, &to, LIST_TAIL, BYTES("a"), NULL) && reads(&fixture, "to", "a"));
    fixture_end(&fixture);
}

Test(list, blobs_are_taken_over_or_given_back)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    char text[LARGE];
    memset(text, 'x', sizeof text);
    struct bytes texts[2] = { { text, 100 }, { text, LARGE } };
    struct blob *blobs[2] = { blob_from_bytes(texts[0]), blob_from_bytes(texts[1]) };
    struct blob *kept = blobs[1];
    struct list_edit list = open_at(&fixture, "l");
    REQUIRE(list_push(&list, LIST_HEAD, texts, blobs, 2));
    struct list_element element;
    list_get(list.entry, LIST_HEAD, &element);
    REQUIRE(element.blob == kept && !blob_is_shared(kept));
    list_get(list.entry, LIST_TAIL, &element);
    REQUIRE(!element.blob && element.value.len == 100);
    REQUIRE(list_set(&list, 1, texts[1], blob_ref(kept)) && blob_is_shared(kept));
    keyspace_copy(fixture.keyspace, fixture.db, key_of("l"), fixture.other, key_of("copy"));
    REQUIRE(list_remove(&list, LIST_TAIL, texts[1], SIZE_MAX) == 2 && !peek(&fixture, "l"));
    fixture_end(&fixture);
}

/* Refusals of the array of items and of blobs; nodes are small and ours. */
Test(list, nothing_changes_when_memory_is_out)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    char text[LARGE];
    memset(text, 'x', sizeof text);
    struct bytes texts[3] = { { text, LARGE }, { text, 3 }, { text, LARGE } };
    for (uint64_t nth = 1; nth <= 5; nth++) {
        struct blob *blobs[3] = { nth > 3 ? blob_from_bytes(texts[0]) : NULL };
        struct list_edit list = open_at(&fixture, "l");
        mem_fail_nth(nth > 3 ? nth - 3 : nth);
        REQUIRE(!list_push(&list, LIST_TAIL, texts, nth > 3 ? blobs : NULL, 3));
        mem_fail_nth(0);
        REQUIRE(!peek(&fixture, "l"));
    }
    push_text(&fixture, "l", "a");
    struct list_edit list = open_at(&fixture, "l");
    bool found;
    mem_fail_nth(1);
    REQUIRE(!list_set(&list, 0, texts[0], NULL));
    mem_fail_nth(1);
    REQUIRE(!list_insert(&list, BYTES("a"), true, texts[0], NULL, &found) && found);
    mem_fail_nth(1);
    REQUIRE(!list_move(&list, LIST_HEAD, &list, LIST_TAIL, texts[0], NULL));
    mem_fail_nth(0);
    REQUIRE(reads(&fixture, "l", "a"));
    fixture_end(&fixture);
}

Test(list, large_ones_are_freed_in_slices)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    limit(&fixture, 1);
    for (int i = 0; i < 2000; i++)
        push_text(&fixture, "l", "element");
    delete (&fixture, "l", 100, 1800);
    REQUIRE(reclaim_pending(fixture.keyspace->reclaim) > 1000);
    check(&fixture);
    keyspace_remove(fixture.keyspace, fixture.db, key_of("l"));
    int slices = 0;
    while (reclaim_step(fixture.keyspace->reclaim, 100))
        slices++;
    REQUIRE(slices >= 15);
    fixture_end(&fixture);
}

/* The depth is that of the time when the quicklist was made; copies take it over. */
Test(list, compresses_as_it_was_set_when_it_was_made)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    limit_and_compress(&fixture, 1, 2);
    for (int i = 0; i < 10; i++)
        push_text(&fixture, "l", "x");
    REQUIRE(list_nodes(peek(&fixture, "l")).depth == 2 && list_nodes(peek(&fixture, "l")).count == 10);
    limit_and_compress(&fixture, 1, 0);
    push_text(&fixture, "l", "x");
    REQUIRE(list_nodes(peek(&fixture, "l")).depth == 2);
    push_text(&fixture, "m", "x");
    push_text(&fixture, "m", "x");
    REQUIRE(list_nodes(peek(&fixture, "m")).count == 2 && list_nodes(peek(&fixture, "m")).depth == 0);
    fixture_end(&fixture);
}

/* --- Model --- */

struct model {
    struct fixture fixture;
    struct random random;
    int texts[MODEL_MAX]; /* what each element spells; see spell */
    size_t count;
};

static size_t below(struct model *model, size_t bound)
{
    return (size_t)random_below(&model->random, bound);
}

/* Numbers, short texts, and a few that are large where nodes are. */
static struct bytes spell(int text)
{
    static char buffer[LARGE];
    if (text % 3 == 0)
        return bytes_make(buffer, (size_t)snprintf(buffer, sizeof buffer, "%d", text * 1000));
    size_t len = text == 1 ? LARGE : text == 2 ? 3000 : (size_t)text;
    memset(buffer, 'a', len);
    return bytes_make(buffer, len);
}

static void put(struct model *model, size_t index, int text)
{
    memmove(&model->texts[index + 1], &model->texts[index], (model->count - index) * sizeof text);
    model->texts[index] = text;
    model->count++;
}

static void take(struct model *model, size_t index, size_t count)
{
    model->count -= count;
    memmove(&model->texts[index], &model->texts[index + count], (model->count - index) * sizeof model->texts[0]);
}

static size_t model_find(const struct model *model, int text)
{
    size_t index = 0;
    while (index < model->count && model->texts[index] != text)
        index++;
    return index;
}

static void grow(struct model *model, struct list_edit *list)
{
    int text = (int)below(model, 30), pivot = (int)below(model, 30);
    bool tail = below(model, 2), found;
    if (model->count == 0 || below(model, 2)) {
        struct bytes bytes = spell(text);
        REQUIRE(list_push(list, tail ? LIST_TAIL : LIST_HEAD, &bytes, NULL, 1));
        put(model, tail ? model->count : 0, text);
        return;
    }
    char copy[LARGE];
    struct bytes bytes = spell(pivot);
    memcpy(copy, bytes.ptr, bytes.len);
    size_t at = model_find(model, pivot);
    bool done = list_insert(list, bytes_make(copy, bytes.len), tail, spell(text), NULL, &found);
    REQUIRE(done == (at < model->count) && found == done);
    if (done)
        put(model, at + tail, text);
}

static void shrink(struct model *model, struct list_edit *list)
{
    size_t index = below(model, model->count), kind = below(model, 8), count = 1;
    int text = (int)below(model, 30);
    if (kind == 0) {
        struct bytes bytes = spell(text);
        size_t expected = model_find(model, text) < model->count;
        REQUIRE(list_remove(list, LIST_HEAD, bytes, 1) == expected);
        if (expected)
            take(model, model_find(model, text), 1);
        return;
    }
    if (kind == 1)
        count = 1 + below(model, model->count - index);
    else if (kind < 5)
        index = kind & 1 ? 0 : model->count - 1;
    list_delete(list, index, count);
    take(model, index, count);
}

static void change(struct model *model, struct list_edit *list)
{
    size_t index = below(model, model->count);
    if (below(model, 2)) {
        int text = (int)below(model, 30);
        REQUIRE(list_set(list, index, spell(text), NULL));
        model->texts[index] = text;
        return;
    }
    bool from_tail = below(model, 2), to_tail = below(model, 2);
    int text = model->texts[from_tail ? model->count - 1 : 0];
    REQUIRE(
        list_move(list, from_tail ? LIST_TAIL : LIST_HEAD, list, to_tail ? LIST_TAIL : LIST_HEAD, spell(text), NULL));
    take(model, from_tail ? model->count - 1 : 0, 1);
    put(model, to_tail ? model->count : 0, text);
}

static void require_same(struct model *model)
{
    const struct entry *entry = peek(&model->fixture, "l");
    struct list_walk walk;
    struct list_element element;
    struct list_scratch scratch;
    REQUIRE(list_len(entry) == model->count && !entry == !model->count);
    check(&model->fixture);
    if (!entry)
        return;
    list_walk_begin(&walk, entry, 0, model->count);
    for (size_t i = 0; i < model->count; i++)
        REQUIRE(
            list_next(&walk, &element) && bytes_equal(list_element_bytes(&element, &scratch), spell(model->texts[i])));
    REQUIRE(!list_next(&walk, &element));
    list_walk_end(&walk);
    size_t index = below(model, model->count);
    list_walk_begin(&walk, entry, index, index + 1);
    for (size_t i = index + 1; i-- > 0;)
        REQUIRE(list_next_back(&walk, &element) &&
                bytes_equal(list_element_bytes(&element, &scratch), spell(model->texts[i])));
    REQUIRE(!list_next_back(&walk, &element));
    list_walk_end(&walk);
}

/* Random changes while the settings change as well; the list grows and shrinks over all borders. */
Test(list, agrees_with_a_model, .timeout = 60)
{
    static const int64_t sizes[] = { -2, -1, 1, 2, 10, 128, -5, 0 };
    static struct model model;
    fixture_begin(&model.fixture);
    model.random = seed_random(__func__);
    bool grows = true;
    for (int i = 0; i < 60000; i++) {
        if (below(&model, 3000) == 0)
            limit_and_compress(&model.fixture, sizes[below(&model, sizeof sizes / sizeof sizes[0])],
                (int64_t)below(&model, 2) * (int64_t)below(&model, 4));
        if (below(&model, 150) == 0)
            grows = !grows;
        struct list_edit list = open_at(&model.fixture, "l");
        size_t kind = below(&model, 10);
        if (model.count == 0 || (model.count < MODEL_MAX - 1 && kind < (grows ? 7u : 2u)))
            grow(&model, &list);
        else if (kind == 9)
            change(&model, &list);
        else
            shrink(&model, &list);
        if (i % 16 == 0)
            require_same(&model);
        while (reclaim_step(model.fixture.keyspace->reclaim, 10))
            ;
    }
    require_same(&model);
    fixture_end(&model.fixture);
}
