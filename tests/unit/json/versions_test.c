/*
 * Versions: what is pinned stays as it was, and changing the document meanwhile costs little. (Readers on other threads
 * are in versions_race.c.)
 */
#include "base/mem.h"
#include "json_fixture.h"
#include "json/edit.h"

Test(versions, a_change_of_a_pinned_version_copies_little)
{
    struct json_trash trash = { JSON_VALUE_NONE };
    struct buf text = BUF_EMPTY;

    mem_thread_register();
    buf_append_cstr(&text, "{\"list\":[0");
    for (int i = 1; i < 300000; i++)
        buf_printf(&text, ",%d", i);
    buf_append_cstr(&text, "],\"map\":{\"x\":0");
    for (int i = 1; i < 100000; i++)
        buf_printf(&text, ",\"%d\":0", i);
    buf_append_cstr(&text, "}}");
    struct json_doc doc = { parsed_bytes(buf_bytes(&text)) };
    struct json_value pinned = json_value_ref(doc.root);
    json_key list = json_key_find(BYTES("list")), map = json_key_find(BYTES("map"));
    uint32_t element[] = { list, 150000 }, member[] = { map, json_key_find(BYTES("500")) };
    size_t before = mem_used();

    json_set(json_doc_open(&doc, element, 2, &trash), JSON_VALUE_NULL, &trash);
    json_set(json_doc_open(&doc, member, 2, &trash), JSON_VALUE_NULL, &trash);
    json_array_remove(json_doc_open(&doc, &list, 1, &trash), 7, 1, &trash);
    json_object_remove(json_doc_open(&doc, &map, 1, &trash), json_key_find(BYTES("70000")), &trash);
    json_object_put(json_doc_open(&doc, &map, 1, &trash), BYTES("new"), JSON_VALUE_NULL, &trash);
    cr_expect_lt(mem_used() - before, 64 * 1024);
    cr_expect_eq(json_int(*json_doc_at(&(struct json_doc){ pinned }, element, 2)), 150000);
    cr_expect_eq(json_kind(*json_doc_at(&doc, (uint32_t[]){ list, 149999 }, 2)), JSON_NULL);

    struct buf printed = BUF_EMPTY;
    json_print(&pinned, &printed);
    cr_expect(bytes_equal(buf_bytes(&printed), buf_bytes(&text)));
    json_value_release(pinned, &trash);
    json_value_release(doc.root, &trash);
    json_trash_drain(&trash, SIZE_MAX);
    cr_expect_eq(json_key_count(), 0);
    buf_fini(&printed);
    buf_fini(&text);
}

static bool is_shared(struct json_doc doc, const char *one, const char *two, int64_t three)
{
    uint32_t steps[] = { json_key_find(bytes_from_cstr(one)), json_key_find(bytes_from_cstr(two)), (uint32_t)three };

    return json_doc_is_shared(&doc, steps, three >= 0 ? 3 : *two != '\0' ? 2 : *one != '\0' ? 1 : 0);
}

Test(versions, what_is_shared_on_the_way_to_a_place)
{
    enum { WIDE = 2000, LONG = 100000 };
    struct json_trash trash = { JSON_VALUE_NONE };
    struct buf text = BUF_EMPTY;

    buf_append_cstr(&text, "{\"a\":{\"list\":[0");
    for (int i = 1; i < LONG; i++)
        buf_printf(&text, ",%d", i);
    buf_append_cstr(&text, "],\"text\":\"longer than seven\"},\"b\":{\"0\":\"another long one\"");
    for (int i = 1; i < WIDE; i++)
        buf_printf(&text, ",\"%d\":\"a text of the member\"", i);
    buf_append_cstr(&text, "},\"c\":[1]}");
    struct json_doc doc = { parsed_bytes(buf_bytes(&text)) };
    cr_expect(!is_shared(doc, "", "", -1) && !is_shared(doc, "a", "text", -1) && !is_shared(doc, "a", "list", 70000));
    cr_expect(!is_shared(doc, "b", "1999", -1));

    struct json_value pinned = json_value_ref(doc.root);
    cr_expect(is_shared(doc, "", "", -1) && is_shared(doc, "c", "", -1) && is_shared(doc, "a", "list", 70000));
    json_value_release(pinned, &trash);
    cr_expect(!is_shared(doc, "c", "", -1));

    /* A change of a pinned version makes the way to it its own, and leaves what lies beside it shared. */
    pinned = json_value_ref(doc.root);
    uint32_t element[] = { json_key_find(BYTES("a")), json_key_find(BYTES("list")), 70000 };
    uint32_t member[] = { json_key_find(BYTES("b")), json_key_find(BYTES("1500")) };
    json_set(json_doc_open(&doc, element, 3, &trash), JSON_VALUE_NULL, &trash);
    json_string_append(json_doc_open(&doc, member, 2, &trash), BYTES("!"), &trash);
    cr_expect(!is_shared(doc, "a", "list", 70000) && is_shared(doc, "a", "list", 7) && is_shared(doc, "c", "", -1));
    cr_expect(!is_shared(doc, "a", "list", 70001) && !is_shared(doc, "a", "list", -1));
    cr_expect(is_shared(doc, "a", "text", -1));
    cr_expect(!is_shared(doc, "b", "1500", -1) && is_shared(doc, "b", "1501", -1) && is_shared(doc, "b", "0", -1));
    json_value_release(pinned, &trash);
    json_trash_drain(&trash, SIZE_MAX);
    cr_expect(!is_shared(doc, "b", "0", -1) && !is_shared(doc, "a", "text", -1) && !is_shared(doc, "a", "list", 7));
    json_value_destroy(doc.root);
    buf_fini(&text);
}
