/*
 * Blobs: header and bytes in one allocation, freed by whoever gives back the last reference.
 *
 * The count is atomic because replies in flight and background threads hold references too. Taking one needs no order
 * (who takes has one already); giving back releases what was written, and the last acquires it before the memory goes.
 * The capacity is whatever the allocator reserves for the request, so that appending in place uses it up.
 */
#include "base/blob.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"

/* The allocation that holds a blob of at least `cap`, or 0 if no size can. */
static size_t blob_alloc_size(size_t cap)
{
    if (cap > PTRDIFF_MAX - sizeof(struct blob))
        return 0;
    return mem_good_size(sizeof(struct blob) + cap);
}

struct blob *blob_try_create(size_t cap)
{
    size_t size = blob_alloc_size(cap);
    struct blob *blob = size == 0 ? NULL : mem_try_alloc(size);

    if (blob == NULL)
        return NULL;
    atomic_init(&blob->refs, 1);
    blob->unused = 0;
    blob->len = 0;
    blob->cap = size - sizeof(struct blob);
    return blob;
}

struct blob *blob_create(size_t cap)
{
    size_t size = blob_alloc_size(cap);

    ASSERT(size != 0);
    struct blob *blob = mem_alloc(size);
    atomic_init(&blob->refs, 1);
    blob->unused = 0;
    blob->len = 0;
    blob->cap = size - sizeof(struct blob);
    return blob;
}

struct blob *blob_from_bytes(struct bytes content)
{
    struct blob *blob = blob_create(content.len);

    if (content.len != 0)
        memcpy(blob->data, content.ptr, content.len);
    blob->len = content.len;
    return blob;
}

struct blob *blob_from_buf(struct buf *buf)
{
    struct blob *blob = (struct blob *)(void *)buf->ptr;

    ASSERT(buf->len >= sizeof(*blob) && buf->cap >= sizeof(*blob));
    atomic_init(&blob->refs, 1);
    blob->unused = 0;
    blob->len = buf->len - sizeof(*blob);
    blob->cap = buf->cap - sizeof(*blob);
    *buf = BUF_EMPTY;
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    uint32_t before = atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    ASSERT(before != 0 && before != UINT32_MAX);
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob == NULL)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
    ASSERT(before != 0);
    if (before == 1)
        mem_free_sized(blob, sizeof(struct blob) + blob->cap);
}

struct blob *blob_try_resize(struct blob *blob, size_t cap)
{
    ASSERT(!blob_is_shared(blob));
    size_t size = blob_alloc_size(cap < blob->len ? blob->len : cap);
    if (size == sizeof(struct blob) + blob->cap)
        return blob;
    struct blob *moved = size == 0 ? NULL : mem_try_realloc(blob, size);
    if (moved == NULL)
        return NULL;
    moved->cap = size - sizeof(struct blob);
    return moved;
}

bool blob_try_expand(struct blob *blob, size_t cap)
{
    size_t size = blob_alloc_size(cap);
    if (cap <= blob->cap)
        return true;
    if (size == 0 || !mem_try_expand(blob, size))
        return false;
    blob->cap = mem_usable_size(blob) - sizeof(struct blob);
    return true;
}
