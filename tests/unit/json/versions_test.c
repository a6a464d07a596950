/*
 * Versions: a reader on another thread sees the version that it pinned, whatever is written meanwhile. Made to be run
 * under ThreadSanitizer too.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "json_fixture.h"
#include "json/edit.h"

enum { ACCOUNTS = 3000, WRITES = 20000, READERS = 2, TOTAL = ACCOUNTS * 10 };

struct scene {
    struct json_doc doc; /* the writer's */
    pthread_mutex_t lock;
    struct json_value offered; /* owned: a version for who takes it */
    atomic_bool done;
    atomic_uint reads;
};

/* What all accounts have together. */
static int64_t sum_of(const struct json_value *root)
{
    struct json_iter iter;
    int64_t sum = 0;

    for (json_iter_init(&iter, *root); json_iter_next(&iter);)
        sum += json_int(*json_object_find(*iter.value, BYTES("has")));
    return sum;
}

static void *read_versions(void *context)
{
    struct scene *scene = context;
    struct json_trash trash = { JSON_VALUE_NONE };
    struct buf text = BUF_EMPTY;

    mem_thread_register();
    for (bool last = false; !last;) {
        last = atomic_load(&scene->done);
        pthread_mutex_lock(&scene->lock);
        struct json_value root = scene->offered;
        scene->offered = JSON_VALUE_NONE;
        pthread_mutex_unlock(&scene->lock);
        if (root.bits == 0)
            continue;
        REQUIRE(sum_of(&root) == TOTAL);
        buf_clear(&text);
        json_print(&root, &text);
        struct json_value again = parsed_bytes(buf_bytes(&text));
        REQUIRE(json_equal(&root, &again, true));
        json_value_destroy(again);
        json_value_release(root, &trash);
        json_trash_drain(&trash, SIZE_MAX);
        atomic_fetch_add(&scene->reads, 1);
    }
    buf_fini(&text);
    return NULL;
}

/* Gives the present version to a reader that has none. */
static void offer(struct scene *scene)
{
    pthread_mutex_lock(&scene->lock);
    if (scene->offered.bits == 0)
        scene->offered = json_value_ref(scene->doc.root);
    pthread_mutex_unlock(&scene->lock);
}

static void change(struct scene *scene, uint32_t at, int64_t amount, struct json_trash *trash)
{
    uint32_t steps[] = { at, json_key_find(BYTES("has")) };
    struct json_value *slot = json_doc_open(&scene->doc, steps, 2, trash);

    json_set(slot, json_make_int(json_int(*slot) + amount), trash);
}

/* One change that leaves the sum as it is: a payment, an account that comes, one that goes. */
static void write_once(struct scene *scene, struct random *random, struct json_trash *trash)
{
    uint32_t len = json_array_len(scene->doc.root);
    uint32_t from = (uint32_t)random_below(random, len), to = (uint32_t)random_below(random, len);
    char text[80];

    change(scene, from, -7, trash);
    change(scene, to, 7, trash);
    if (random_below(random, 2) == 0) {
        int size = snprintf(text, sizeof(text), "{\"has\":0,\"name%u\":\"of some length\"}", from % 700);
        struct json_value account = parsed_bytes(bytes_make(text, (size_t)size));
        REQUIRE(json_array_insert(&scene->doc.root, from, &account, 1, trash));
    } else if (from != to) {
        int64_t had = json_int(*json_object_find(*json_array_at(scene->doc.root, from), BYTES("has")));
        change(scene, to, had, trash);
        json_array_remove(&scene->doc.root, from, 1, trash);
    }
}

Test(versions, readers_see_one_instant, .timeout = 100)
{
    struct scene scene = { .doc = { json_make_array() }, .lock = PTHREAD_MUTEX_INITIALIZER };
    struct random random = seed_random();
    struct json_trash trash = { JSON_VALUE_NONE };
    pthread_t readers[READERS];

    mem_thread_register();
    for (int i = 0; i < ACCOUNTS; i++)
        json_array_append(&scene.doc.root, parsed("{\"id\":\"an account\",\"has\":10}"), &trash);
    for (int i = 0; i < READERS; i++)
        REQUIRE(pthread_create(&readers[i], NULL, read_versions, &scene) == 0);
    for (int i = 0; i < WRITES; i++) {
        write_once(&scene, &random, &trash);
        offer(&scene);
        json_trash_drain(&trash, 100);
    }
    atomic_store(&scene.done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    cr_expect_gt(atomic_load(&scene.reads), 3);
    cr_expect_eq(sum_of(&scene.doc.root), TOTAL);
    json_value_release(scene.offered, &trash);
    json_value_release(scene.doc.root, &trash);
    json_trash_drain(&trash, SIZE_MAX);
    cr_expect_eq(json_key_count(), 0);
}

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
