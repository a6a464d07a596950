/*
 * What a name stands for is not told by the allocator: sizes are tried, as it refuses wrong ones. That a text is meant
 * it cannot find out, and would hand out a number in its place: so texts are listed here.
 */
#include "base/mem_tune.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifdef LARDER_JEMALLOC

#include <jemalloc/jemalloc.h>

int mem_tune(const char *name, const int64_t *value, int64_t *out)
{
    static const size_t sizes[] = { 8, 4, 1 };
    int failed = EINVAL;
    for (size_t i = 0; i < (value ? 3 : 2) && failed == EINVAL; i++) {
        int64_t old = 0, new = value ? *value : 0; /* little-endian: the first bytes are the number */
        size_t len = sizes[i];
        failed = mallctl(name, &old, &len, value ? &new : NULL, value ? sizes[i] : 0);
        if (!failed)
            *out = len == 4 ? (int32_t)old : old;
    }
    return failed;
}

int mem_tune_text(const char *name, const char **out)
{
    static const char *const texts[] = { "version", "config.malloc_conf", "opt.metadata_thp", "opt.dss",
        "opt.percpu_arena", "opt.junk", "opt.thp", "opt.stats_print_opts", "opt.stats_interval_opts", "opt.prof_prefix",
        "opt.zero_realloc" };
    size_t len = sizeof *out;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i]) == 0)
            return mallctl(name, out, &len, NULL, 0);
    size_t mib[8], mib_len = sizeof mib / sizeof *mib;
    int unknown = mallctlnametomib(name, mib, &mib_len);
    return unknown ? unknown : EPERM;
}

int mem_tune_act(const char *name)
{
    return mallctl(name, NULL, NULL, NULL, 0);
}

#else

int mem_tune(const char *name, const int64_t *value, int64_t *out)
{
    (void)name, (void)value, (void)out;
    return ENOENT;
}

int mem_tune_text(const char *name, const char **out)
{
    (void)name, (void)out;
    return ENOENT;
}

int mem_tune_act(const char *name)
{
    (void)name;
    return ENOENT;
}

#endif
