/*
 * Blobs: content, references across threads, resizing, and memory that runs out.
 */
#include "base/blob.h"

#include <pthread.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"

Test(blob, create_gives_room)
{
    struct blob *blob = blob_create(1000);

    cr_assert(blob->len == 0 && blob->cap >= 1000 && !blob_is_shared(blob));
    memset(blob->data, 'x', blob->cap);
    blob_unref(blob);
    blob = blob_create(0);
    blob_unref(blob);
    blob_unref(NULL);
}

Test(blob, from_bytes_copies)
{
    char text[] = "hello";
    struct blob *blob = blob_from_bytes(bytes_from_cstr(text));

    text[0] = 'j';
    cr_assert(bytes_equal(blob_bytes(blob), BYTES("hello")));
    blob_unref(blob);
    blob = blob_from_bytes(bytes_make(NULL, 0));
    cr_assert_eq(blob->len, 0);
    blob_unref(blob);
}

Test(blob, from_buf_takes_its_memory)
{
    struct buf buf = BUF_EMPTY;

    buf_extend(&buf, sizeof(struct blob));
    for (int i = 0; i < 1000; i++)
        buf_append(&buf, BYTES("content "));
    const char *ptr = buf.ptr;
    struct blob *blob = blob_from_buf(&buf);
    cr_expect(buf.ptr == NULL && buf.len == 0 && buf.cap == 0);
    cr_expect((const char *)blob == ptr && blob->len == 8000 && blob->cap >= blob->len && !blob_is_shared(blob));
    cr_expect(bytes_equal(bytes_make(blob->data + 7992, 8), BYTES("content ")));
    blob_unref(blob);
}

Test(blob, references_free_at_the_last)
{
    mem_thread_register();
    size_t before = mem_used();
    struct blob *blob = blob_create(100000);

    cr_assert_eq(blob_ref(blob), blob);
    cr_assert(blob_is_shared(blob));
    blob_unref(blob);
    cr_assert(!blob_is_shared(blob) && mem_used() > before);
    blob_unref(blob);
    cr_assert_eq(mem_used(), before);
}

Test(blob, resize_keeps_content)
{
    struct blob *blob = blob_from_bytes(BYTES("hello"));

    blob = blob_try_resize(blob, 1 << 20);
    cr_assert(blob != NULL && blob->cap >= 1 << 20 && bytes_equal(blob_bytes(blob), BYTES("hello")));
    blob = blob_try_resize(blob, 0);
    cr_assert(blob != NULL && blob->cap < 100 && blob->cap >= 5 && bytes_equal(blob_bytes(blob), BYTES("hello")));
    blob_unref(blob);
}

Test(blob, out_of_memory_changes_nothing)
{
    mem_fail_nth(1);
    cr_assert_null(blob_try_create(10));
    cr_assert_null(blob_try_create(SIZE_MAX));
    struct blob *blob = blob_from_bytes(BYTES("hello"));
    size_t cap = blob->cap;
    mem_fail_nth(1);
    cr_assert_null(blob_try_resize(blob, 1 << 20));
    cr_assert_null(blob_try_resize(blob, SIZE_MAX - 8));
    cr_assert(blob->cap == cap && bytes_equal(blob_bytes(blob), BYTES("hello")));
    blob_unref(blob);
}

static void *take_and_give(void *context)
{
    struct blob *blob = context;

    mem_thread_register();
    for (int i = 0; i < 20000; i++)
        blob_unref(blob_ref(blob));
    blob_unref(blob);
    return NULL;
}

Test(blob, references_from_many_threads)
{
    pthread_t threads[4];
    mem_thread_register();
    struct blob *blob = blob_create(100000);

    for (int i = 0; i < 4; i++)
        cr_assert(pthread_create(&threads[i], NULL, take_and_give, blob_ref(blob)) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_not(blob_is_shared(blob));
    blob_unref(blob);
}
