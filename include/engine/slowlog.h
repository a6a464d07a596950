/*
 * Slow log: the commands that took longer than the configured time, newest first, bounded in number and in size of
 * each.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct slowlog;

enum {
    SLOWLOG_ARGS_MAX = 32,     /* arguments kept of a command; the last one then tells how many were left out */
    SLOWLOG_ARG_LEN_MAX = 128, /* bytes kept of an argument, with a note of how many were left out */
};

struct slowlog_item {
    struct slowlog_item *older; /* owned */
    uint64_t id;
    int64_t time_s; /* since 1970, when it began */
    int64_t duration_us;
    uint32_t argc;
    struct bytes *argv; /* owned, with their bytes */
    char *peer, *name;  /* owned */
};

struct slowlog *slowlog_create(void);
void slowlog_destroy(struct slowlog *slowlog);

/* Adds a command; drops the oldest beyond `max_len`. Everything is copied. */
void slowlog_add(struct slowlog *slowlog, size_t max_len, int64_t time_s, int64_t duration_us, const struct bytes *argv,
    uint32_t argc, const char *peer, const char *name);

/* The newest item, or NULL; go on with ->older. */
const struct slowlog_item *slowlog_newest(const struct slowlog *slowlog);

size_t slowlog_len(const struct slowlog *slowlog);
void slowlog_clear(struct slowlog *slowlog);
void slowlog_trim(struct slowlog *slowlog, size_t max_len);
