/*
 * Edits against a model: a tree of plain arrays, changed in the same way. Versions are pinned and given back on the
 * way, and must be what they were; lengths of texts that are known must be right; at the end nothing may be left.
 * Random tests print their seed.
 */
#include "base/mem.h"
#include "json_fixture.h"
#include "json/edit.h"
#include "json/lengths.h"

enum { MOST_ITEMS = 4000, MOST_PINS = 6, NAMES = 1500, STEPS_MAX = 8 };

struct item {
    enum json_kind kind;
    int64_t number;
    struct buf text;
    struct item **items; /* owned */
    int *names;
    size_t count;
};

struct pin {
    struct json_value root;
    struct buf text;
};

struct model {
    struct random random;
    struct item *root;
    struct json_doc doc;
    struct json_trash trash;
    struct json_lengths *lengths;
    size_t known; /* lengths that were found */
    struct pin pins[MOST_PINS];
};

static size_t below(struct model *model, size_t bound)
{
    return (size_t)random_below(&model->random, bound);
}

static struct item *item_create(enum json_kind kind)
{
    struct item *item = mem_zalloc(sizeof(*item));

    item->kind = kind;
    if (kind == JSON_ARRAY || kind == JSON_OBJECT) {
        item->items = mem_alloc(MOST_ITEMS * sizeof(item->items[0]));
        item->names = mem_alloc(MOST_ITEMS * sizeof(item->names[0]));
    }
    return item;
}

static void item_destroy(struct item *item)
{
    for (size_t i = 0; i < item->count; i++)
        item_destroy(item->items[i]);
    buf_fini(&item->text);
    mem_free(item->items);
    mem_free(item->names);
    mem_free(item);
}

static struct bytes name_text(int name, char room[32])
{
    int len = snprintf(room, 32, name % 3 == 0 ? "n%d" : "a longer name %d", name);

    return bytes_make(room, (size_t)len);
}

/* A new value, in both forms. */
static struct item *draw(struct model *model, struct json_value *value)
{
    static const enum json_kind kinds[] = { JSON_NULL, JSON_INT, JSON_INT, JSON_STRING, JSON_STRING, JSON_ARRAY,
        JSON_OBJECT };
    struct item *item = item_create(kinds[below(model, LEN(kinds))]);

    switch (item->kind) {
    case JSON_INT:
        item->number = (int64_t)random_next(&model->random) >> below(model, 64);
        *value = json_make_int(item->number);
        break;
    case JSON_STRING:
        memset(buf_extend(&item->text, below(model, 20)), 's', item->text.len);
        REQUIRE(json_try_make_string(buf_bytes(&item->text), value));
        break;
    case JSON_ARRAY:
        *value = json_make_array();
        break;
    case JSON_OBJECT:
        *value = json_make_object();
        break;
    default:
        *value = JSON_VALUE_NULL;
    }
    return item;
}

static void compare(const struct item *item, const struct json_value *value)
{
    struct json_iter iter;
    char room[32];

    REQUIRE(json_kind(*value) == item->kind);
    if (item->kind == JSON_INT)
        REQUIRE(json_int(*value) == item->number);
    if (item->kind == JSON_STRING)
        REQUIRE(bytes_equal(json_string(value), buf_bytes(&item->text)));
    if (!json_is_container(*value))
        return;
    REQUIRE(json_len(*value) == item->count);
    json_iter_init(&iter, *value);
    for (size_t i = 0; i < item->count; i++) {
        REQUIRE(json_iter_next(&iter) && iter.at == i);
        if (item->kind == JSON_ARRAY) {
            REQUIRE(json_array_at(*value, (uint32_t)i) == iter.value);
        } else {
            REQUIRE(bytes_equal(json_key_text(iter.key), name_text(item->names[i], room)));
            REQUIRE(json_object_get(*value, iter.key) == iter.value);
        }
        compare(item->items[i], iter.value);
    }
    REQUIRE(!json_iter_next(&iter));
}

static void model_insert(struct item *item, size_t at, struct item *what, int name)
{
    memmove(&item->items[at + 1], &item->items[at], (item->count - at) * sizeof(item->items[0]));
    memmove(&item->names[at + 1], &item->names[at], (item->count - at) * sizeof(item->names[0]));
    item->items[at] = what;
    item->names[at] = name;
    item->count++;
}

static void model_remove(struct item *item, size_t at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        item_destroy(item->items[at + i]);
    item->count -= count;
    memmove(&item->items[at], &item->items[at + count], (item->count - at) * sizeof(item->items[0]));
    memmove(&item->names[at], &item->names[at + count], (item->count - at) * sizeof(item->names[0]));
}

static void edit_array(struct model *model, struct item *item, struct json_value *slot)
{
    size_t at = below(model, item->count + 1), count = below(model, below(model, 8) == 0 ? 900 : 4);

    if (below(model, 5) < 3) {
        struct json_value values[900];
        if (below(model, 2) == 0)
            at = item->count;
        count = item->count + count < MOST_ITEMS ? count : 0;
        for (size_t i = 0; i < count; i++)
            model_insert(item, at + i, draw(model, &values[i]), 0);
        REQUIRE(json_array_insert(slot, (uint32_t)at, values, (uint32_t)count, &model->trash));
    } else if (below(model, 2) == 0 && at < item->count) {
        struct json_value taken = json_array_take(slot, (uint32_t)at, &model->trash);
        compare(item->items[at], &taken);
        json_value_release(taken, &model->trash);
        model_remove(item, at, 1);
    } else {
        count = count < item->count - at ? count : item->count - at;
        json_array_remove(slot, (uint32_t)at, (uint32_t)count, &model->trash);
        model_remove(item, at, count);
    }
}

static void edit_member(struct model *model, struct item *item, struct json_value *slot)
{
    char room[32];
    int name = (int)below(model, NAMES);
    struct bytes text = name_text(name, room);
    size_t at = 0;

    while (at < item->count && item->names[at] != name)
        at++;
    if (below(model, 4) == 0) {
        /* Mostly one that is there. */
        if (item->count != 0 && below(model, 4) != 0) {
            at = below(model, item->count);
            text = name_text(item->names[at], room);
        }
        json_key key = json_key_find(text);
        REQUIRE((key != 0 && json_object_remove(slot, key, &model->trash)) == (at < item->count));
        if (at < item->count)
            model_remove(item, at, 1);
        return;
    }
    struct json_value value;
    struct item *fresh = draw(model, &value);
    REQUIRE(json_object_put(slot, text, value, &model->trash));
    if (at < item->count) {
        item_destroy(item->items[at]);
        item->items[at] = fresh;
    } else {
        model_insert(item, at, fresh, name);
    }
}

static void edit_leaf(struct model *model, struct item **place, struct json_value *slot)
{
    if ((*place)->kind == JSON_STRING && below(model, 4) != 0) {
        char text[300];
        size_t len = below(model, below(model, 2) ? 6 : sizeof(text));
        memset(text, 'a', len);
        buf_append(&(*place)->text, bytes_make(text, len));
        REQUIRE(json_string_append(slot, bytes_make(text, len), &model->trash));
        return;
    }
    struct json_value value;
    item_destroy(*place);
    *place = draw(model, &value);
    json_set(slot, value, &model->trash);
}

/* Chooses a place, goes there in both, and changes it. */
static void edit(struct model *model)
{
    uint32_t steps[STEPS_MAX];
    size_t depth = 0;
    struct item **place = &model->root;
    char room[32];

    while (depth < STEPS_MAX && (*place)->count != 0 && below(model, 10) < 6) {
        size_t at = below(model, (*place)->count);
        steps[depth++] =
            (*place)->kind == JSON_ARRAY ? (uint32_t)at : json_key_find(name_text((*place)->names[at], room));
        place = &(*place)->items[at];
    }
    struct json_value *slot = json_doc_open(&model->doc, steps, depth, &model->trash);
    REQUIRE(slot != NULL && slot == json_doc_at(&model->doc, steps, depth));
    if ((*place)->kind == JSON_ARRAY)
        edit_array(model, *place, slot);
    else if ((*place)->kind == JSON_OBJECT)
        for (size_t i = below(model, 10) == 0 ? 400 : 3; i > 0 && (*place)->count < MOST_ITEMS; i--)
            edit_member(model, *place, slot);
    else
        edit_leaf(model, place, slot);
}

/* Pins the present version, or gives one back after seeing that it is what it was. */
static void pin_or_release(struct model *model)
{
    struct pin *pin = &model->pins[below(model, MOST_PINS)];
    struct buf text = BUF_EMPTY;

    if (pin->root.bits == 0) {
        pin->root = json_value_ref(model->doc.root);
        json_print(&pin->root, &pin->text);
        return;
    }
    json_print(&pin->root, &text);
    REQUIRE(bytes_equal(buf_bytes(&text), buf_bytes(&pin->text)));
    json_value_release(pin->root, &model->trash);
    buf_fini(&text);
    buf_fini(&pin->text);
    *pin = (struct pin){ 0 };
}

static size_t text_len(const struct json_value *value)
{
    struct buf text = BUF_EMPTY;
    json_print(value, &text);
    size_t len = text.len;
    buf_fini(&text);
    return len;
}

/* On a way down from the root, near the beginning of each container: what is known is right, what is not is noted. A
 * pinned value is, too. */
static void look_at_lengths(struct model *model)
{
    enum { NEAR = 3 };
    const struct json_value *value = &model->doc.root;

    for (;;) {
        size_t known = json_lengths_find(model->lengths, *value);
        if (known != 0)
            REQUIRE(known == text_len(value));
        model->known += known != 0;
        if (known == 0)
            json_lengths_note(model->lengths, *value, text_len(value));
        if (!json_is_container(*value) || json_len(*value) == 0)
            break;
        struct json_iter iter;
        json_iter_init(&iter, *value);
        for (size_t i = below(model, json_len(*value) < NEAR ? json_len(*value) : NEAR) + 1; i > 0; i--)
            json_iter_next(&iter);
        value = iter.value;
    }
    const struct pin *pin = &model->pins[below(model, MOST_PINS)];
    if (pin->root.bits != 0)
        json_lengths_note(model->lengths, pin->root, pin->text.len);
}

static void play(enum json_kind root, size_t rounds, size_t pin_every)
{
    static struct model model;

    model = (struct model){ .random = seed_random(__func__) };
    model.root = item_create(root);
    model.lengths = json_lengths_create();
    model.doc.root = root == JSON_ARRAY ? json_make_array() : json_make_object();
    for (size_t i = 0; i < rounds; i++) {
        edit(&model);
        look_at_lengths(&model);
        look_at_lengths(&model); /* what the first has noted is known now */
        if (below(&model, pin_every) == 0)
            pin_or_release(&model);
        json_trash_drain(&model.trash, below(&model, 100));
        if (i % 16 == 0)
            compare(model.root, &model.doc.root);
    }
    compare(model.root, &model.doc.root);
    for (size_t i = 0; i < 2 * MOST_PINS * MOST_PINS; i++)
        pin_or_release(&model);
    for (size_t i = 0; i < MOST_PINS; i++) {
        json_value_release(model.pins[i].root, &model.trash);
        buf_fini(&model.pins[i].text);
    }
    json_value_release(model.doc.root, &model.trash);
    json_trash_drain(&model.trash, SIZE_MAX);
    item_destroy(model.root);
    cr_expect(model.known > rounds / 2, "only %zu lengths were known", model.known);
    json_lengths_destroy(model.lengths);
    cr_expect_eq(json_key_count(), 0);
}

Test(edit_model, arrays)
{
    size_t before = mem_used();

    play(JSON_ARRAY, 1500, 10);
    cr_expect_leq(mem_used(), before + 512 * 1024, "what is kept is the table of keys");
}

Test(edit_model, objects)
{
    play(JSON_OBJECT, 1500, 10);
}

Test(edit_model, never_pinned)
{
    play(JSON_OBJECT, 1000, 1000000);
    play(JSON_ARRAY, 1000, 1000000);
}

Test(edit_model, always_pinned)
{
    play(JSON_OBJECT, 400, 1);
    play(JSON_ARRAY, 400, 1);
}

/* What RFC 7396 shows in its appendix A, and more. */
static const char *const merges[][3] = {
    { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
    { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
    { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
    { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
    { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
    { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
    { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
    { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
    { "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
    { "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
    { "{\"a\":\"foo\"}", "null", "null" },
    { "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
    { "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
    { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
};

Test(edit_model, merges)
{
    for (size_t i = 0; i < LEN(merges); i++) {
        struct json_trash trash = { JSON_VALUE_NONE };
        struct json_value value = parsed(merges[i][0]), patch = parsed(merges[i][1]);
        REQUIRE(json_merge(&value, &patch, &trash));
        expect_text(value, merges[i][2]);
        expect_text(patch, merges[i][1]);
        json_trash_drain(&trash, SIZE_MAX);
    }
    cr_expect_eq(json_key_count(), 0);
}

Test(edit_model, values_are_shared_between_documents)
{
    struct json_trash trash = { JSON_VALUE_NONE };
    struct json_doc a = { parsed("{\"x\":{\"list\":[1,2]}}") }, b = { json_make_array() };

    json_array_append(&b.root, json_value_ref(*json_object_find(a.root, BYTES("x"))), &trash);
    uint32_t steps[] = { json_key_find(BYTES("x")), json_key_find(BYTES("list")) };
    json_array_append(json_doc_open(&a, steps, 2, &trash), json_make_int(3), &trash);
    expect_text(a.root, "{\"x\":{\"list\":[1,2,3]}}");
    expect_text(b.root, "[{\"list\":[1,2]}]");
    json_trash_drain(&trash, SIZE_MAX);
}

Test(edit_model, places_that_are_not_there)
{
    struct json_trash trash = { JSON_VALUE_NONE };
    struct json_doc doc = { parsed("{\"a\":[1]}") };
    json_key key = json_key_find(BYTES("a"));
    uint32_t steps[] = { key, 1 }, through[] = { key, 0, 0 };

    cr_expect_eq(json_doc_open(&doc, steps, 2, &trash), NULL);
    cr_expect_eq(json_doc_open(&doc, through, 3, &trash), NULL);
    cr_expect_eq(json_doc_open(&doc, through + 1, 1, &trash), NULL);
    cr_expect_neq(json_doc_open(&doc, through, 2, &trash), NULL);
    json_value_destroy(doc.root);
}
