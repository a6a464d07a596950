/*
 * Packed values as they stand in files: listpacks, and what Redis wrote before it had them.
 *
 *   ziplist  bytes : u32 | offset of the last : u32 | entries : u16, 65535 = not known | entry ... | 0xff
 *            entry   length of the one before, in 1 byte or 0xfe and 4 | head | content
 *            head    00nnnnnn, 01nnnnnn +1, 10------ +4      string, its length big-endian
 *                    c0 +2, d0 +4, e0 +8, f0 +3, fe +1       integer, little-endian
 *                    f1 to fd                                integer 0 to 12
 *   zipmap   pairs : u8 | entry ... | 0xff
 *            entry   length, name, length, unused : u8, value, unused bytes; a length is 1 byte or 0xfe and 4
 *
 * All are little-endian where nothing else is said.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ds/listpack.h"

struct rdb_reader;

/* Reads a string that must be a listpack, validates it, and gives it to the caller. `what` is named in the error. */
bool rdb_get_pack(struct rdb_reader *reader, const char *what, unsigned char **pack);

/* Called for each element; false refuses the whole. */
typedef bool (*rdb_element_fn)(void *context, struct bytes text);

/*
 * Visits all elements; false if the bytes are no whole ziplist (zipmap), or a visit refused. A zipmap's elements are
 * names and values in turn.
 */
bool rdb_ziplist_each(struct bytes ziplist, rdb_element_fn visit, void *context);
bool rdb_zipmap_each(struct bytes zipmap, rdb_element_fn visit, void *context);

/* The same of a valid listpack. */
bool rdb_listpack_each(const unsigned char *pack, rdb_element_fn visit, void *context);

/* --- No text twice --- */

enum { RDB_SEEN_SMALL = 256 };

/* The texts that were there, by their hashes. */
struct rdb_seen {
    uint64_t *heap; /* owned; NULL: they fit into `small` */
    size_t mask;
    uint64_t small[RDB_SEEN_SMALL];
};

/* Room for `count` texts; false when memory is out. */
bool rdb_seen_init(struct rdb_seen *seen, size_t count);
void rdb_seen_fini(struct rdb_seen *seen);

/* False if it was there before. */
bool rdb_seen_add(struct rdb_seen *seen, struct bytes text);

/*
 * A listpack whose elements make whole groups of `stride`, the first of each group there once; NULL if it is empty, as
 * some old servers have left collections. Owned by the caller.
 */
bool rdb_get_unique_pack(struct rdb_reader *reader, const char *what, unsigned stride, unsigned char **pack);

/* The same, saying nothing; false too when memory is out. */
bool rdb_pack_has_no_twins(const unsigned char *pack, unsigned stride);

/* True if the pairs of a sorted set's listpack are as the store keeps them: scores are numbers, members in order. */
bool rdb_zset_is_in_order(const unsigned char *pack);
