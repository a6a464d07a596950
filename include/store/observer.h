/*
 * Observer: what somebody wants to know of the keyspace's changes.
 *
 * Any function may be NULL, and none may change the keyspace. Keys are borrowed until the function returns. What costs
 * something to tell is told only while the keyspace was asked to: the conditions are named below.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct db;
struct entry;

struct keyspace_observer {
    /* An entry is about to be changed, or was inserted or removed. Called only while keyspace->watched is not 0. */
    void (*touched)(void *context, struct db *db, struct bytes key);
    /* A database was emptied or two were swapped: everything in `db` changed. */
    void (*replaced)(void *context, struct db *db);
    /*
     * Somebody walks over the value under this key in slices: though it, or parts of it, may have expired, it stays.
     * Called only while keyspace->holds is not 0.
     */
    bool (*held)(void *context, struct bytes key);
    /* An entry expired and is being removed; it is out of its table, and whole. */
    void (*expired)(void *context, struct db *db, const struct entry *entry);
    /*
     * A part of an entry (a field of a hash) expired and is being removed, and then, once for all of them: some did,
     * and nothing is left of the entry, which goes too, if `all`.
     */
    void (*part_expired)(void *context, struct db *db, struct bytes key, struct bytes part);
    void (*parts_expired)(void *context, struct db *db, struct bytes key, bool all);
    /* keyspace_read found nothing under the key. Only while keyspace->tells_misses. */
    void (*missed)(void *context, struct db *db, struct bytes key);
    /* A key is there now that was not there before, or whose value was moved or copied there from another key. Only
     * while keyspace->tells_arrivals. */
    void (*arrived)(void *context, struct db *db, struct bytes key);
    /* An entry was evicted and is being removed. */
    void (*evicted)(void *context, struct db *db, struct bytes key);
    void *context;
};
