/*
 * A bulk: what the allocator maps meanwhile is filled ahead, and may be huge pages; what it maps afterwards may not.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <criterion/criterion.h>

#include "base/mem.h"

/* Whether the mapping that `ptr` lies in has that flag, as smaps names it. */
static bool mapping_has(const void *ptr, const char *flag)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    char line[4096], wanted[8];
    unsigned long from = 0, to = 0;
    bool within = false, found = false;
    snprintf(wanted, sizeof wanted, " %s ", flag);
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            within = (uintptr_t)ptr >= from && (uintptr_t)ptr < to;
        else if (within && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, wanted) != NULL;
    }
    if (maps)
        fclose(maps);
    return found;
}

Test(mem, a_bulk_is_in_huge_pages_and_what_follows_is_not)
{
    enum { BLOCKS = 64, BLOCK = 1 << 20 };
    char *blocks[2 * BLOCKS];
    mem_thread_register();
    size_t before = mem_used();
    mem_bulk_end(); /* none is on: nothing */
    mem_bulk_begin();
    mem_bulk_begin();
    for (int i = 0; i < 2 * BLOCKS; i++) {
        if (i == BLOCKS) {
            mem_bulk_end(); /* whether any were huge depends on the system */
        }
        blocks[i] = mem_alloc(BLOCK);
        memset(blocks[i], i, BLOCK);
    }
    for (int i = 0; i < 2 * BLOCKS; i++) {
        cr_assert_not(mapping_has(blocks[i], "hg"));
        cr_assert(blocks[i][0] == (char)i && blocks[i][BLOCK - 1] == (char)i);
    }
    cr_assert_geq(mem_used(), before + 2 * BLOCKS * BLOCK);
    for (int i = 0; i < 2 * BLOCKS; i++)
        mem_free(blocks[i]);
    cr_assert_lt(mem_used(), before + BLOCK);
    mem_purge();
}

/* Bytes of the block that have pages by now. */
static size_t resident(const char *block, size_t size)
{
    enum { PAGE = 4096, PAGES_MAX = 64 };
    unsigned char there[PAGES_MAX + 1] = { 0 };
    uintptr_t from = ((uintptr_t)block + PAGE - 1) & ~(uintptr_t)(PAGE - 1), end = (uintptr_t)block + size;
    size_t pages = (end - from) / PAGE, found = 0;
    cr_assert_leq(pages, PAGES_MAX);
    cr_assert_eq(mincore((char *)(uintptr_t)block + (from - (uintptr_t)block), pages * PAGE, there), 0);
    for (size_t i = 0; i < pages; i++)
        found += there[i] & 1;
    return found * PAGE;
}

/* True where the system fills pages when it is asked to, as it is in a bulk. */
static bool can_fill(void)
{
    enum { SIZE = 1 << 16, POPULATE_WRITE = 23 };
    void *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool can = at != MAP_FAILED && madvise(at, SIZE, POPULATE_WRITE) == 0;
    munmap(at, SIZE);
    return can;
}

Test(mem, what_is_asked_for_in_a_bulk_is_there_before_it_is_written)
{
    enum { BLOCKS = 256, BLOCK = 160 << 10 };
    static char *blocks[BLOCKS];
    size_t total = 0;
#ifndef LARDER_JEMALLOC
    cr_skip_test("another allocator");
#endif
    if (!can_fill())
        cr_skip_test("an old system");
    mem_bulk_begin();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = mem_alloc(BLOCK);
        total += resident(blocks[i], BLOCK);
    }
    mem_bulk_end();
    cr_assert_gt(total, (size_t)BLOCKS * BLOCK / 2, "%zu bytes of %d are there", total, BLOCKS * BLOCK);
    for (int i = 0; i < BLOCKS; i++)
        mem_free(blocks[i]);
    mem_purge();
}
