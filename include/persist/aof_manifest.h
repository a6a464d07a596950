/*
 * The manifest of an append-only file: which files it consists of, and in which order they are read.
 *
 * In the directory `appenddirname` lie a base (everything at one moment), increments (what happened since), and the
 * manifest, which names them; for the file name "appendonly.aof":
 *
 *   appendonly.aof.3.base.rdb     appendonly.aof.7.incr.aof     appendonly.aof.manifest
 *
 *   file appendonly.aof.3.base.rdb seq 3 type b      base: at most one
 *   file appendonly.aof.2.base.rdb seq 2 type h      history: replaced, to be deleted
 *   file appendonly.aof.7.incr.aof seq 7 type i      increments, in ascending order
 *
 * That is Redis 7's format. Names with blanks or odd bytes stand in double quotes with escapes; a line may have further
 * pairs of words, which are passed over; '#' begins a comment. The manifest is only ever replaced as a whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"

struct aof_file {
    char *name; /* owned, without the directory */
    uint64_t seq;
};

struct aof_files {
    struct aof_file *items; /* owned */
    size_t count, room;
};

struct aof_manifest {
    struct aof_file base; /* name NULL: there is none */
    struct aof_files increments, history;
    uint64_t last_base_seq, last_increment_seq; /* the highest numbers given so far */
};

void aof_manifest_fini(struct aof_manifest *manifest);
void aof_manifest_copy(struct aof_manifest *to, const struct aof_manifest *from);

/* Takes the text apart; false, with what is wrong and in which line in `error`, and then *manifest is empty. */
bool aof_manifest_parse(struct aof_manifest *manifest, struct bytes text, struct buf *error);
void aof_manifest_format(const struct aof_manifest *manifest, struct buf *out);

/* Appends "<file>.manifest". */
void aof_manifest_name(struct buf *out, const char *file);

/* Gives the next increment its number and name, and adds it; the item is borrowed until the next change. */
const struct aof_file *aof_manifest_add_increment(struct aof_manifest *manifest, const char *file);

/* Gives the next base its number and name; the base so far, if there is one, becomes history. */
const struct aof_file *aof_manifest_set_base(struct aof_manifest *manifest, const char *file, bool rdb);

/* Names a base that is there already: a file from before Redis 7. */
void aof_manifest_adopt_base(struct aof_manifest *manifest, const char *file);

/* All increments with a number below `seq` become history, which begins with what became it last. */
void aof_manifest_retire(struct aof_manifest *manifest, uint64_t seq);

void aof_manifest_forget_history(struct aof_manifest *manifest);

/* Replaces the file in the directory; false with errno set. */
bool aof_manifest_store(const struct aof_manifest *manifest, const char *directory, const char *file);

/*
 * Reads it from the directory. False, with the reason in `error`; a file that is not there is an empty manifest, and
 * *found says so.
 */
bool aof_manifest_load(
    struct aof_manifest *manifest, const char *directory, const char *file, bool *found, struct buf *error);
