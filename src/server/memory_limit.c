/*
 * The memory of the machine and of the control group. A group is limited by every group above it, too: the least of
 * them counts. Within a container the path in /proc/self/cgroup may not exist below the mount; then the mount itself is
 * the container's group.
 */
#include "server/memory_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MAX_BYTES = 1024 };

/* The number in a file; UINT64_MAX if there is none ("max", no such file). */
static uint64_t read_limit(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long long limit = 0;
    if (!file)
        return UINT64_MAX;
    int fields = fscanf(file, "%llu", &limit);
    fclose(file);
    return fields == 1 && limit ? limit : UINT64_MAX;
}

/* The least limit of the group `group` below `mount`, and of all groups above. */
static uint64_t limit_of_group(const char *mount, const char *group, const char *name)
{
    char path[PATH_MAX_BYTES], file[PATH_MAX_BYTES + 64];
    uint64_t least = UINT64_MAX;
    snprintf(path, sizeof path, "%s%s", mount, group);
    for (size_t base = strlen(mount);;) {
        snprintf(file, sizeof file, "%s/%s", path, name);
        uint64_t limit = read_limit(file);
        least = limit < least ? limit : least;
        char *slash = strrchr(path, '/');
        if (!slash || strlen(path) <= base)
            return least;
        *slash = 0;
    }
}

static uint64_t limit_of_groups(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX_BYTES];
    uint64_t least = UINT64_MAX;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        uint64_t limit = UINT64_MAX;
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        if (controllers[1] == 0)
            limit = limit_of_group("/sys/fs/cgroup", path, "memory.max");
        else if (strstr(controllers, "memory"))
            limit = limit_of_group("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
        least = limit < least ? limit : least;
    }
    if (file)
        fclose(file);
    return least;
}

uint64_t memory_available(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = limit_of_groups();
    return group < machine ? group : machine;
}

uint64_t memory_share(const char *text, uint64_t whole)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    return *end == '%' ? whole / 100 * number + whole % 100 * number / 100 : number;
}
