/*
 * The slow log: a list, newest first. An item is a few allocations, made only for commands that were slow anyway.
 */
#include "engine/slowlog.h"

#include <stdio.h>

#include "base/mem.h"

struct slowlog {
    struct slowlog_item *newest; /* owned chain */
    size_t len;
    uint64_t next_id;
};

static void item_destroy(struct slowlog_item *item)
{
    for (uint32_t i = 0; i < item->argc; i++)
        mem_free((char *)item->argv[i].ptr);
    mem_free(item->argv);
    mem_free(item->peer);
    mem_free(item->name);
    mem_free(item);
}

struct slowlog *slowlog_create(void)
{
    return mem_zalloc(sizeof(struct slowlog));
}

void slowlog_destroy(struct slowlog *slowlog)
{
    if (!slowlog)
        return;
    slowlog_clear(slowlog);
    mem_free(slowlog);
}

/* A copy of an argument, cut to its limit with a note of what is missing. */
static struct bytes copy_arg(struct bytes arg)
{
    if (arg.len <= SLOWLOG_ARG_LEN_MAX)
        return bytes_make(mem_dup(arg.ptr ? arg.ptr : "", arg.len), arg.len);
    char note[48];
    int note_len = snprintf(note, sizeof note, "... (%zu more bytes)", arg.len - SLOWLOG_ARG_LEN_MAX);
    char *copy = mem_alloc(SLOWLOG_ARG_LEN_MAX + (size_t)note_len);
    memcpy(copy, arg.ptr, SLOWLOG_ARG_LEN_MAX);
    memcpy(copy + SLOWLOG_ARG_LEN_MAX, note, (size_t)note_len);
    return bytes_make(copy, SLOWLOG_ARG_LEN_MAX + (size_t)note_len);
}

void slowlog_add(struct slowlog *slowlog, size_t max_len, int64_t time_s, int64_t duration_us, const struct bytes *argv,
    uint32_t argc, const char *peer, const char *name)
{
    struct slowlog_item *item = mem_alloc(sizeof *item);
    uint32_t kept = argc < SLOWLOG_ARGS_MAX ? argc : SLOWLOG_ARGS_MAX;
    *item = (struct slowlog_item){
        .older = slowlog->newest,
        .id = slowlog->next_id++,
        .time_s = time_s,
        .duration_us = duration_us,
        .argc = kept,
        .argv = mem_alloc(kept * sizeof(struct bytes)),
        .peer = mem_strdup(peer),
        .name = mem_strdup(name),
    };
    for (uint32_t i = 0; i < kept; i++)
        item->argv[i] = copy_arg(argv[i]);
    if (kept < argc) {
        char note[48];
        int len = snprintf(note, sizeof note, "... (%u more arguments)", argc - kept + 1);
        mem_free((char *)item->argv[kept - 1].ptr);
        item->argv[kept - 1] = bytes_make(mem_dup(note, (size_t)len), (size_t)len);
    }
    slowlog->newest = item;
    slowlog->len++;
    slowlog_trim(slowlog, max_len);
}

const struct slowlog_item *slowlog_newest(const struct slowlog *slowlog)
{
    return slowlog->newest;
}

size_t slowlog_len(const struct slowlog *slowlog)
{
    return slowlog->len;
}

void slowlog_clear(struct slowlog *slowlog)
{
    slowlog_trim(slowlog, 0);
}

void slowlog_trim(struct slowlog *slowlog, size_t max_len)
{
    if (slowlog->len <= max_len)
        return;
    struct slowlog_item **link = &slowlog->newest;
    for (size_t i = 0; i < max_len; i++)
        link = &(*link)->older;
    struct slowlog_item *item = *link;
    *link = NULL;
    slowlog->len = max_len;
    while (item) {
        struct slowlog_item *older = item->older;
        item_destroy(item);
        item = older;
    }
}
