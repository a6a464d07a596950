/*
 * Keys with small values that were read, and are about to be stored.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rdb_priv.h"

struct store_settings;

/* What is known of a key's uses; RDB_USE_UNKNOWN where it is not. */
enum { RDB_USE_UNKNOWN = -1 };
struct rdb_use {
    int64_t idle_s;
    int frequency;
};

struct rdb_pending {
    struct key key;    /* borrowed from the source's window */
    struct bytes text; /* of a string, borrowed from there; ptr NULL: an integer, or no string */
    int64_t number;
    void *value; /* owned: a listpack or an intset; NULL: a string */
    enum entry_type type;
    unsigned encoding;
    int64_t at_ms;      /* set by the caller */
    struct rdb_use use; /* the same */
};

/*
 * Takes a key and its value from the source if both lie in its window, are simple, and are right; false if not, and
 * then nothing was taken and nothing said of why.
 */
bool rdb_gather(
    struct source *source, const struct store_settings *settings, enum rdb_type type, struct rdb_pending *pending);

/* Stores it, over whatever is there. */
struct entry *rdb_pending_store(struct keyspace *keyspace, struct db *db, const struct rdb_pending *pending);

/* Frees what was not stored. */
void rdb_pending_drop(struct rdb_pending *pending);
