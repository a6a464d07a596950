/*
 * All databases as the commands that make them: the base of an append-only file where it is not to be an RDB file
 * (aof-use-rdb-preamble no).
 *
 * Strings, lists, sets, sorted sets and hashes are made by their own commands, at most 64 elements in each; streams and
 * documents, whose state no row of plain commands gives, by RESTORE.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct keyspace;
struct sink;

struct aof_rewrite {
    int64_t timestamp_s; /* begins with an annotation of this moment; 0: without */
    /* Called about every thousand keys with the number of keys so far, or for each; may be NULL. */
    void (*progress)(void *context, uint64_t keys);
    bool often;
    void *context;
};

/* Writes everything and flushes; false if that failed: sink->error says why. O(data). */
bool aof_rewrite(struct sink *sink, const struct keyspace *keyspace, const struct aof_rewrite *rewrite);

/* The same to the file `path`, which is synchronised. False, with the reason in `error`, and no file is left. */
bool aof_rewrite_file(const char *path, const struct keyspace *keyspace, const struct aof_rewrite *rewrite,
    uint64_t sync_every, struct buf *error);
