/*
 * Versions: a reader on another thread sees the version that it pinned, whatever is written meanwhile.
 *
 * A program of its own, without the test library, so that it can be built with ThreadSanitizer:
 *   meson setup build-tsan -Db_sanitize=thread -Dallocator=libc -Db_lto=false -Db_lundef=false
 *   meson test -C build-tsan json-versions-race
 * It prints its seed; LARDER_TEST_SEED repeats one.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/seed.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"
#include "json/edit.h"
#include "json/parse.h"
#include "json/print.h"

enum { ACCOUNTS = 3000, WRITES = 20000, READERS = 2, LEAST_READS = 20, TOTAL = ACCOUNTS * 10 };

static struct json_value parsed(struct bytes text)
{
    struct json_value value;
    const char *why;
    size_t at;

    enum json_parse_error error = json_parse(text, &value, &why, &at);
    ASSERT(error == JSON_ERROR_NONE);
    return value;
}

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
        ASSERT(sum_of(&root) == TOTAL);
        buf_clear(&text);
        json_print(&root, &text);
        struct json_value again = parsed(buf_bytes(&text));
        ASSERT(json_equal(&root, &again, true));
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
        struct json_value account = parsed(bytes_make(text, (size_t)size));
        bool inserted = json_array_insert(&scene->doc.root, from, &account, 1, trash);
        ASSERT(inserted);
    } else if (from != to) {
        int64_t had = json_int(*json_object_find(*json_array_at(scene->doc.root, from), BYTES("has")));
        change(scene, to, had, trash);
        json_array_remove(&scene->doc.root, from, 1, trash);
    }
}

int main(void)
{
    struct scene scene = { .doc = { json_make_array() }, .lock = PTHREAD_MUTEX_INITIALIZER };
    struct random random;
    struct json_trash trash = { JSON_VALUE_NONE };
    pthread_t readers[READERS];

    random = seed_random(__func__);
    hash_init();
    mem_thread_register();
    for (int i = 0; i < ACCOUNTS; i++)
        json_array_append(&scene.doc.root, parsed(BYTES("{\"id\":\"an account\",\"has\":10}")), &trash);
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_versions, &scene);
    for (int i = 0; i < WRITES || atomic_load(&scene.reads) < LEAST_READS; i++) {
        write_once(&scene, &random, &trash);
        offer(&scene);
        json_trash_drain(&trash, 100);
    }
    atomic_store(&scene.done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    ASSERT(sum_of(&scene.doc.root) == TOTAL);
    json_value_release(scene.offered, &trash);
    json_value_release(scene.doc.root, &trash);
    json_trash_drain(&trash, SIZE_MAX);
    ASSERT(json_key_count() == 0);
    return 0;
}
