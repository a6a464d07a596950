/*
 * Text that ends against a page which may not be touched, so that a parser which reads one byte too many crashes.
 */
#pragma once

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/bytes.h"

struct guard {
    char *pages; /* owned */
    size_t page_size;
};

static inline struct guard guard_create(void)
{
    struct guard guard = { .page_size = (size_t)sysconf(_SC_PAGESIZE) };

    guard.pages = mmap(NULL, 2 * guard.page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(guard.pages != MAP_FAILED);
    cr_assert(mprotect(guard.pages + guard.page_size, guard.page_size, PROT_NONE) == 0);
    return guard;
}

/* A copy of `content`, at most a page, right before the forbidden one; the next call overwrites it. */
static inline struct bytes guard_place(struct guard *guard, struct bytes content)
{
    char *at = guard->pages + guard->page_size - content.len;

    if (content.len != 0)
        memcpy(at, content.ptr, content.len);
    return bytes_make(at, content.len);
}

static inline void guard_destroy(struct guard *guard)
{
    munmap(guard->pages, 2 * guard->page_size);
}
