/*
 * Moving documents out of sparse slabs: nothing changes but where it is, whatever changes between two slices, and what
 * is pinned or shared stays. Under the sanitizers everything that may move does.
 */
#include "json/compact.h"

#include "base/mem.h"
#include "json_fixture.h"
#include "json/lengths.h"

enum { DOCUMENTS = 40 };

static void random_text(struct random *random, struct buf *out, int depth)
{
    static const char *const plain[] = { "null", "true", "12", "1.5", "123456789012345678901", "\"short\"", "1e300" };
    uint64_t kind = random_below(random, depth > 0 ? 10 : 4);
    uint64_t count = random_below(random, 20) == 0 ? 700 : random_below(random, 6);
    if (kind < 2) {
        buf_append_cstr(out, plain[random_below(random, LEN(plain))]);
    } else if (kind < 4) {
        buf_printf(out, "\"%0*d\"", 8 + (int)random_below(random, 300), 7);
    } else {
        bool is_object = kind < 7;
        buf_append_cstr(out, is_object ? "{" : "[");
        for (uint64_t i = 0; i < count; i++) {
            buf_append_cstr(out, i ? "," : "");
            if (is_object)
                buf_printf(out, "\"key %" PRIu64 "\":", i);
            random_text(random, out, count > 100 ? 0 : depth - 1);
        }
        buf_append_cstr(out, is_object ? "}" : "]");
    }
}

/* An array of some random values, and its text; what is made beside it and freed again leaves slabs sparse. */
static struct json_value make(struct random *random, struct buf *text)
{
    buf_append_cstr(text, "[");
    for (int i = 0; i < 12; i++) {
        buf_append_cstr(text, i ? "," : "");
        random_text(random, text, 5);
    }
    buf_append_cstr(text, "]");
    struct json_value value = parsed_bytes(buf_bytes(text));
    for (int i = 0; i < 6; i++)
        json_value_destroy(parsed_bytes(buf_bytes(text)));
    return value;
}

static void expect_same(const struct json_value *value, const struct json_value *other)
{
    struct buf text = BUF_EMPTY, other_text = BUF_EMPTY;
    json_print(value, &text);
    json_print(other, &other_text);
    REQUIRE(bytes_equal(buf_bytes(&text), buf_bytes(&other_text)));
    buf_fini(&text);
    buf_fini(&other_text);
}

static void compact_whole(struct json_value *root, struct random *random, struct mem_moves *moves)
{
    struct json_compact place = { 0 };
    while (json_compact(root, &place, random_below(random, 50), moves))
        ;
    REQUIRE(place.depth == 0);
}

Test(compact, moves_documents_as_they_are)
{
    struct random random = seed_random(__func__);
    struct json_value all[DOCUMENTS], spare[DOCUMENTS][8];
    struct buf texts[DOCUMENTS];
    struct mem_moves moves = { 0 };
    mem_thread_register();
    for (int i = 0; i < DOCUMENTS; i++) {
        texts[i] = BUF_EMPTY;
        all[i] = make(&random, &texts[i]);
        for (int j = 0; j < 8; j++)
            spare[i][j] = parsed_bytes(buf_bytes(&texts[i]));
    }
    for (int i = 0; i < DOCUMENTS; i++)
        for (int j = 0; j < 8; j++)
            json_value_destroy(spare[i][j]);
    mem_compact_begin();
    struct json_lengths *lengths = json_lengths_create();
    for (int i = 0; i < DOCUMENTS; i++) {
        json_lengths_note(lengths, all[i], 1);
        struct json_value before = all[i];
        compact_whole(&all[i], &random, &moves);
        /* What is known of an address is not of what moved there. */
        REQUIRE(all[i].bits == before.bits || !((struct json_node *)json_pointer(all[i]))->is_measured);
    }
    json_lengths_destroy(lengths);
    fprintf(stderr, "%" PRIu64 " moved, %" PRIu64 " stayed\n", moves.moved, moves.stayed);
    REQUIRE(moves.moved > 100 || strcmp(mem_allocator_name(), "libc") == 0);
    for (int i = 0; i < DOCUMENTS; i++) {
        struct buf text = BUF_EMPTY;
        json_print(&all[i], &text);
        struct json_value again = parsed_bytes(buf_bytes(&texts[i]));
        expect_same(&all[i], &again);
        json_value_destroy(again);
        json_value_destroy(all[i]);
        buf_fini(&text);
        buf_fini(&texts[i]);
    }
    REQUIRE(json_key_count() == 0);
}

Test(compact, what_is_pinned_or_shared_stays)
{
    struct random random = seed_random(__func__);
    struct json_trash trash = { JSON_VALUE_NONE };
    struct buf text = BUF_EMPTY;
    struct mem_moves moves = { 0 };
    mem_thread_register();
    struct json_value root = make(&random, &text), pinned = json_value_ref(root);
    compact_whole(&root, &random, &moves);
    REQUIRE(moves.moved + moves.stayed == 0 && root.bits == pinned.bits);
    json_value_release(pinned, &trash);

    struct json_value child = parsed("{\"a\": [1, 2, \"a long string\", {\"b\": 1e300}]}");
    REQUIRE(json_array_append(&root, json_value_ref(child), &trash));
    compact_whole(&root, &random, &moves);
    REQUIRE(moves.moved + moves.stayed > 0);
    REQUIRE(json_array_at(root, json_array_len(root) - 1)->bits == child.bits);
    json_value_destroy(root);
    expect_text(child, "{\"a\":[1,2,\"a long string\",{\"b\":1e300}]}");
    buf_fini(&text);
}

/* One random edit, the same in both documents. */
static void edit_both(struct json_value *one, struct json_value *other, struct random *random)
{
    struct json_trash trash = { JSON_VALUE_NONE };
    struct buf text = BUF_EMPTY;
    random_text(random, &text, 3);
    uint32_t len = json_array_len(*one), at = (uint32_t)random_below(random, len + 1);
    uint64_t kind = random_below(random, 4);
    struct json_value *const both[] = { one, other };
    for (int i = 0; i < 2; i++) {
        struct json_value value = parsed_bytes(buf_bytes(&text));
        struct json_value *element = at < len ? json_array_open(both[i], at, &trash) : NULL;
        if (kind == 0 && element) {
            json_array_remove(both[i], at, 1, &trash);
            json_value_destroy(value);
        } else if (kind == 1 && element && json_kind(*element) == JSON_OBJECT) {
            REQUIRE(json_object_put(element, BYTES("another"), value, &trash));
        } else if (kind == 2 && element) {
            json_set(element, value, &trash);
        } else {
            REQUIRE(json_array_insert(both[i], at, &value, 1, &trash));
        }
    }
    json_trash_drain(&trash, SIZE_MAX);
    buf_fini(&text);
}

Test(compact, a_document_may_change_between_slices)
{
    struct random random = seed_random(__func__);
    struct buf text = BUF_EMPTY;
    struct mem_moves moves = { 0 };
    struct json_compact place = { 0 };
    mem_thread_register();
    struct json_value root = make(&random, &text), twin = parsed_bytes(buf_bytes(&text));
    for (int i = 0; i < 3000; i++) {
        json_compact(&root, &place, random_below(&random, 40), &moves);
        if (random_below(&random, 3) == 0)
            edit_both(&root, &twin, &random);
    }
    expect_same(&root, &twin);
    json_value_destroy(root);
    json_value_destroy(twin);
    buf_fini(&text);
    REQUIRE(json_key_count() == 0);
}
