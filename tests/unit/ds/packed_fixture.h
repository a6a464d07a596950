/*
 * What the tests of listpack and intset share: checks that cost nothing while they hold, seeds, guarded bytes.
 */
#pragma once

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/check.h"
#include "../base/seed.h"
#include "base/random.h"

/* A row of a table of damaged bytes. */
struct damaged {
    const char *why, *bytes;
    size_t len;
};

#define DAMAGED(why, text)          \
    {                               \
        why, text, sizeof(text) - 1 \
    }

/* A page between two that must not be touched. */
struct guard {
    unsigned char *page;
    size_t size;
};

static inline struct guard guard_create(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *pages = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(pages != MAP_FAILED && mprotect(pages + size, size, PROT_READ | PROT_WRITE) == 0);
    return (struct guard){ pages + size, size };
}

static inline void guard_destroy(struct guard *guard)
{
    munmap(guard->page - guard->size, 3 * guard->size);
}

/* A copy that ends where the page does, or begins where it does; the next call overwrites it. */
static inline unsigned char *guard_place(const struct guard *guard, const void *bytes, size_t len, bool at_end)
{
    unsigned char *at = guard->page + (at_end ? guard->size - len : 0);
    if (len)
        memcpy(at, bytes, len);
    return at;
}
