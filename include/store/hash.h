/*
 * Hashes as values: fields and their values, packed or in a table; which one it is stays in here.
 *
 * A hash without fields has no key. Fields may expire; one that has expired by `now_ms` is never seen by anyone.
 *
 * Reading borrows an entry. Writing goes through a writer, which makes the key with its first field, notes every change
 * before it happens, and removes the key with its last field:
 *
 *     struct hash_writer writer;
 *     hash_begin(&writer, keyspace, db, key, entry, now_ms);     entry: what keyspace_write found, NULL if nothing
 *     ... hash_find, hash_put, hash_remove ...
 *     hash_end(&writer);                                         the entry is gone, or may have changed, only now
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/num.h"
#include "store/keyspace.h"

struct random;

/* How a hash is kept. */
enum hash_encoding {
    HASH_LISTPACK,    /* field, value, field, value, ... */
    HASH_LISTPACK_EX, /* field, value, expiry, ...: the first to expire in front, expiry 0 (none) at the end */
    HASH_TABLE,
};

/* Room that reading may need to spell integers. */
struct hash_scratch {
    char field[NUM_I64_MAX_LEN + 4], value[NUM_I64_MAX_LEN + 4];
};

/* A field with its value, borrowed. */
struct hash_pair {
    struct bytes field, value;
    int64_t at_ms; /* when the field expires, or EXPIRY_NONE */
};

/* --- Reading --- */

/* Fields. O(1), or O(fields that can expire) if some of these may have expired. */
size_t hash_count(const struct entry *entry, int64_t now_ms);

/*
 * The same, but of a hash with very many fields those that have expired lately may still be counted: O(1) of these, and
 * O(at most 4096) of others.
 */
size_t hash_len(const struct entry *entry, int64_t now_ms);

/*
 * Finds a field; true and its value, borrowed from the entry or from `scratch`, until either changes. O(1), or
 * O(fields) while packed.
 */
bool hash_get(
    const struct entry *entry, struct bytes field, int64_t now_ms, struct hash_scratch *scratch, struct bytes *value);

/*
 * Asks for what looking up the next HASH_AHEAD fields will read, so that they wait for memory together: each `step`th
 * of `count` texts. To be called again after so many.
 */
enum { HASH_AHEAD = 16 };
void hash_prefetch(const struct entry *entry, const struct bytes *texts, size_t count, size_t step);

/* The same for one field, in two steps, 0 and 1, between which the first one's cache lines should have come. */
void hash_look_ahead(const struct entry *entry, struct bytes field, unsigned step);

/* Called for a field; the pair is borrowed until it returns. Must not change the hash. */
typedef void (*hash_visit_fn)(void *context, const struct hash_pair *pair);

/* Visits every field once. O(n). */
void hash_each(const struct entry *entry, int64_t now_ms, hash_visit_fn visit, void *context);

/*
 * Visits about `count` fields and returns the cursor that goes on behind them; 0 begins and 0 ends. A field that is
 * there from the first call to the last is visited, whatever changes meanwhile. All at once while packed.
 */
uint64_t hash_scan(
    const struct entry *entry, uint64_t cursor, size_t count, int64_t now_ms, hash_visit_fn visit, void *context);

/* Visits `count` fields, each drawn uniformly and independently of the others; none if all have expired. Expected
 * O(count), and O(n) while packed. */
void hash_draw(
    const struct entry *entry, size_t count, struct random *random, int64_t now_ms, hash_visit_fn visit, void *context);

/*
 * Visits a subset of `count` fields (at most hash_count), all subsets being equally likely; in no particular order.
 * O(count) expected; O(n) while packed, for more than a third of the fields, or where many have expired. False, without
 * having visited any, when memory is out.
 */
bool hash_sample(
    const struct entry *entry, size_t count, struct random *random, int64_t now_ms, hash_visit_fn visit, void *context);

/* --- Writing --- */

/* A hash that fields are written to, one after the other, or that will be one. All is borrowed but a new value. */
struct hash_writer {
    struct keyspace *keyspace;
    struct db *db;
    struct key key;
    int64_t now_ms;
    struct entry *entry; /* NULL while there is no such key */
    void *value;         /* owned while there is no entry: what the entry will point to; NULL before the first field */
    unsigned encoding;   /* of value */
    bool edited;         /* the change was announced */
};

/* Where a field is, or would be; valid until the next change of the hash. */
struct hash_place {
    uint64_t hash;  /* of the field */
    uint64_t *slot; /* borrowed: of a table; NULL: the field is missing */
    uint32_t at;    /* in a listpack; 0: the field is missing */
};

void hash_begin(struct hash_writer *writer, struct keyspace *keyspace, struct db *db, struct key key,
    struct entry *entry, int64_t now_ms);
void hash_end(struct hash_writer *writer);

/* Finds a field; true if it is there. *place is set in any case. */
bool hash_find(struct hash_writer *writer, struct bytes field, struct hash_place *place);

/* The value of a field that was found; borrowed as by hash_get. */
struct bytes hash_value_at(
    const struct hash_writer *writer, const struct hash_place *place, struct hash_scratch *scratch);

/* What becomes of the expiry of a field that is written over. */
enum hash_expiry_policy { HASH_EXPIRY_DROP, HASH_EXPIRY_KEEP };

/*
 * Gives the field at `place`, as hash_find has just set it, a value; adds the field if it was missing. False, and
 * nothing changed, when memory is out. The bytes must not lie in the hash.
 */
bool hash_put(struct hash_writer *writer, const struct hash_place *place, struct bytes field, struct bytes value,
    enum hash_expiry_policy policy);

/* Takes out the field that was found; the place then says that it is missing. */
void hash_remove(struct hash_writer *writer, struct hash_place *place);

/* --- Many fields at once, into a new hash that ends as a table --- */

/* Makes room for so many fields, more than the settings allow to be packed, where there are none. O(count). */
void hash_make_reserve(struct hash_writer *writer, size_t count);

/* The hash of a field's name, whose place is asked for. */
uint64_t hash_make_ahead(const struct hash_writer *writer, struct bytes field);

/* Adds a field that does not expire. False if it is there already (*present), or memory is out. */
bool hash_make_add(struct hash_writer *writer, uint64_t hash, struct bytes field, struct bytes value, bool *present);
