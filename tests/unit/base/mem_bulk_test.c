/*
 * A bulk: what the allocator maps meanwhile may be huge pages, what it maps afterwards may not.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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
