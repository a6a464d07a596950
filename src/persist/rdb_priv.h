/*
 * What the files of the RDB codec share: the primitives under it. The numbers of the format: rdb_format_priv.h.
 *
 *   length   00nnnnnn                    0 to 63
 *            01nnnnnn +1                 14 bits, the high six first
 *            10000000 +4, 10000001 +8    big-endian
 *            11eeeeee                    not a length: a string that is encoded
 *   string   length | bytes
 *            11000000 +1, 11000001 +2, 11000010 +4       an integer, little-endian, that stands for its decimal text
 *            11000011 | length | length | bytes          LZF: compressed, and plain, length
 *
 * Readers answer false and note the first reason, with the place, in the reader's error; nothing of what they made is
 * left then.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/num.h"
#include "persist/rdb.h"
#include "persist/rdb_error.h"
#include "persist/sink.h"
#include "persist/source.h"
#include "rdb_format_priv.h"
#include "store/keyspace.h"

struct blob;

/* --- Writing --- */

struct rdb_writer {
    struct sink *sink; /* borrowed */
    bool compress;
    unsigned char *scratch; /* owned: of the compressor */
    size_t scratch_cap;
};

void rdb_writer_fini(struct rdb_writer *writer);

void rdb_put_len(struct sink *sink, uint64_t len);
void rdb_put_string(struct rdb_writer *writer, struct bytes text);
void rdb_put_compressed(struct rdb_writer *writer, struct bytes lzf, size_t unpacked_len); /* the same, given packed */
void rdb_put_integer(struct rdb_writer *writer, int64_t number);
void rdb_put_u64(struct sink *sink, uint64_t number); /* little-endian */

/* The type that the entry's value is written with, and the value. */
enum rdb_type rdb_type_of(const struct entry *entry);
void rdb_put_value(struct rdb_writer *writer, const struct entry *entry);

/* --- Reading --- */

struct rdb_reader {
    struct source *source;   /* borrowed */
    struct rdb_error *error; /* borrowed */
    struct buf scratch[2];   /* owned: strings that do not lie in the window as they are */
    int version;
};

void rdb_reader_fini(struct rdb_reader *reader);

/* Notes what is wrong, unless something is noted already; false. */
bool rdb_fail(struct rdb_reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Notes that the data end too early, or cannot be read; false. */
bool rdb_fail_end(struct rdb_reader *reader);

bool rdb_get_byte(struct rdb_reader *reader, uint8_t *byte);
bool rdb_get_u64(struct rdb_reader *reader, uint64_t *number);

/* A length; a string's encoding is an error. */
bool rdb_get_len(struct rdb_reader *reader, uint64_t *len);

/* The same of something that takes at least `each` bytes apiece: more than are left cannot be. */
bool rdb_get_count(struct rdb_reader *reader, size_t each, uint64_t *count);

/*
 * A string, borrowed until `slot` (0 or 1) is used again: it is copied into the reader's scratch, unless it is short of
 * room, and then memory may be out.
 */
bool rdb_get_string(struct rdb_reader *reader, unsigned slot, struct bytes *text);

/* The same on the heap (mem_free), with `room` bytes of room behind it. */
bool rdb_get_heap(struct rdb_reader *reader, size_t room, unsigned char **ptr, size_t *len);

/*
 * A string that, if it is longer than `max`, comes as a blob, owned by the caller; otherwise *blob is NULL, and *text
 * is as from rdb_get_string with slot 1. *text is set in any case.
 */
bool rdb_get_text(struct rdb_reader *reader, size_t max, struct bytes *text, struct blob **blob);

/* A plain string of less than 16 KB that lies in the bytes from *at to `end`; false if it is anything else. */
static inline bool rdb_look_at_string(const unsigned char **at, const unsigned char *end, struct bytes *text)
{
    const unsigned char *from = *at;
    if (end - from < 2 || *from >= RDB_LEN_32)
        return false;
    size_t len = *from & 63;
    if (*from++ & RDB_LEN_14)
        len = len << 8 | *from++;
    if ((size_t)(end - from) < len)
        return false;
    *text = bytes_make(from, len);
    *at = from + len;
    return true;
}

/* The same of an integer in 1, 2 or 4 bytes. */
static inline bool rdb_look_at_integer(const unsigned char **at, const unsigned char *end, int64_t *number)
{
    const unsigned char *from = *at;
    uint32_t word;
    if (end - from < 5 || *from < RDB_LEN_ENCODED || *from > (RDB_LEN_ENCODED | RDB_ENC_INT32))
        return false;
    unsigned size = 1u << (*from & 63);
    memcpy(&word, from + 1, sizeof word);
    word = le32toh(word);
    *number = size == 1 ? (int8_t)word : size == 2 ? (int16_t)word : (int32_t)word;
    *at = from + 1 + size;
    return true;
}

/* The same of either; an integer is spelt into `digits`, which has room for NUM_I64_MAX_LEN. */
static inline bool rdb_look_at_text(
    const unsigned char **at, const unsigned char *end, char *digits, struct bytes *text)
{
    int64_t number;
    if (rdb_look_at_string(at, end, text))
        return true;
    if (!rdb_look_at_integer(at, end, &number))
        return false;
    *text = bytes_make(digits, num_format_i64(digits, number));
    return true;
}

/* Elements of a collection that are looked at, and their places asked for, before the first of them is added. */
enum { RDB_AHEAD = 32 };

bool rdb_skip_string(struct rdb_reader *reader);

/* Passes over a module's data up to their end. */
bool rdb_skip_module(struct rdb_reader *reader);

/* Writes the name of nine letters that a module's ID begins with, terminated; returns the version of its encoding. */
unsigned rdb_module_name(uint64_t id, char name[10]);

/*
 * Reads a value of that type and stores it under the key, which is not there, with that expiry. *entry is NULL if the
 * value was empty: nothing was stored then.
 */
struct rdb_place {
    struct keyspace *keyspace;
    struct db *db;
    struct key key;
    int64_t at_ms;
};
bool rdb_get_value(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry);

/* No moment comes before it: nothing expires while it is read or written. */
#define RDB_BEFORE_ALL INT64_MIN

/* Of rdb_get_value, by file. */
bool rdb_get_hash(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry);
bool rdb_get_list(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry);
bool rdb_get_zset(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry);

bool rdb_get_stream(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry);

bool rdb_get_json(struct rdb_reader *reader, unsigned version, const struct rdb_place *place, struct entry **entry);

/* Of rdb_put_value, the same. */
void rdb_put_json(struct rdb_writer *writer, const struct entry *entry);
void rdb_put_stream(struct rdb_writer *writer, const struct entry *entry);

/* Gives a new entry its expiry. */
static inline struct entry *rdb_expire(const struct rdb_place *place, struct entry *entry)
{
    if (place->at_ms == EXPIRY_NONE)
        return entry;
    return keyspace_set_expiry(place->keyspace, place->db, place->key, entry, place->at_ms);
}
