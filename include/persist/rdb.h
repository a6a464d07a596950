/*
 * RDB: all databases as one run of bytes, in the format of Redis's dump.rdb; and single values, as DUMP answers them.
 *
 * Written is the lowest version that can hold the data: 10, which Redis 7.0 reads, or 12 where fields of hashes expire.
 * Read are versions 1 to 12 and every encoding that Redis 2.6 to 7.4 wrote. Nothing that is read is trusted: whatever
 * the bytes are, the outcome is data or an error with the place, within memory in proportion to the bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "persist/rdb_error.h"

struct entry;
struct key;
struct keyspace;
struct db;
struct sink;
struct source;

/* What a file holds besides keys: libraries of functions, kept as they are. */
struct rdb_extras {
    struct buf *libraries; /* owned */
    size_t library_count;
};

void rdb_extras_fini(struct rdb_extras *extras);

/* --- Writing --- */

/* What is written of a key's uses, which only some policies of eviction know or need. */
enum rdb_uses { RDB_USES_NONE, RDB_USES_IDLE, RDB_USES_FREQUENCY };

struct rdb_save {
    const char *version;             /* as which the writer signs: a version of Redis */
    const struct rdb_extras *extras; /* borrowed; may be NULL */
    int64_t now_ms;
    uint64_t used_memory; /* bytes, for the reader's information */
    enum rdb_uses uses;
    bool compress, checksum;
    bool aof_base; /* the file begins an append-only file */
    /* Called about every thousand keys with the number of keys so far, or every few; may be NULL. */
    void (*progress)(void *context, uint64_t keys);
    bool often;
    void *context;
};

/* Writes everything, header to checksum, and flushes. False if that failed: sink->error says why. O(data). */
bool rdb_save(struct sink *sink, const struct keyspace *keyspace, const struct rdb_save *save);

/*
 * The same into the file `path`, as a whole: written aside in the same directory, synchronised, renamed, and the
 * directory synchronised. False, with the reason in `error`, and the old file as it was. `sync_every` is that of
 * sink_init_fd. *size is what was written; may be NULL.
 */
bool rdb_save_file(const char *path, const struct keyspace *keyspace, const struct rdb_save *save, uint64_t sync_every,
    uint64_t *size, struct buf *error);

/* The name of the file that process `pid` writes aside for `path`; appended. */
void rdb_temporary_name(struct buf *out, const char *path, int pid);

/* Writes what DUMP answers: type, value, version, checksum. The sink is new. False if that failed: sink->error. */
bool rdb_dump_to(struct sink *sink, const struct entry *entry);

/* The same, appended. False when memory is out. */
bool rdb_dump(struct buf *out, const struct entry *entry);

/* --- Reading --- */

struct rdb_progress {
    uint64_t bytes, size; /* of the source */
    uint64_t keys;        /* so far */
};

struct rdb_load {
    int64_t now_ms;
    bool keep_expired; /* for the base of an append-only file; otherwise keys that have expired are passed over */
    bool checksum;     /* test it, if there is one */
    bool replace;      /* a key that is there already, which otherwise is an error */
    bool discard;      /* give each key up as soon as it was read: for a check */
    struct rdb_extras *extras; /* takes in the libraries; may be NULL */
    /* Called for each 256 KB; may be NULL. May not change the keyspace. False gives up. */
    bool (*progress)(void *context, const struct rdb_progress *progress);
    /* Called for each auxiliary field; may be NULL. */
    void (*aux)(void *context, struct bytes name, struct bytes value);
    void *context;
};

struct rdb_loaded {
    int version;
    uint64_t keys, expired; /* stored, and passed over */
    uint64_t empty;         /* passed over, too: collections without members */
    uint64_t bytes;         /* that were taken from the source: something else may follow */
    uint64_t with_expiry;   /* of keys */
    uint64_t by_type[8];    /* of keys, by enum entry_type */
    bool has_checksum;
    bool aof_base;         /* it says so */
    struct bytes last_key; /* of the key that was being read at an error: borrowed from `key_buf` */
    char key_buf[128];
};

/*
 * Reads everything into the keyspace, whose databases should be empty. False and *error on failure; what was read up to
 * there is in the keyspace. *loaded is set in any case. O(data).
 */
bool rdb_load(struct source *source, struct keyspace *keyspace, const struct rdb_load *load, struct rdb_loaded *loaded,
    struct rdb_error *error);

/* True if the payload of a RESTORE is whole: its version is known, its checksum right, should that be tested. */
bool rdb_payload_is_sound(struct bytes payload, bool checksum);

/*
 * Stores what DUMP answered (and rdb_payload_is_sound has approved) under the key, replacing what is there, with the
 * expiry `at_ms` or EXPIRY_NONE. False and *error if the value is broken; then nothing has changed.
 */
bool rdb_restore(struct keyspace *keyspace, struct db *db, struct key key, struct bytes payload, int64_t at_ms,
    struct rdb_error *error);
