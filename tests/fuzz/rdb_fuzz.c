/*
 * Fuzz target: RDB files and the payloads of RESTORE.
 *
 * The first byte chooses: even, the rest is a file's content behind the header; odd, it is a value's type and bytes,
 * and gets a footer that is right. Whatever is accepted must leave a keyspace in order, and what is written of that
 * must be read again with the same number of keys. A sanitizer sees to the rest.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/crc.h"
#include "base/hash.h"
#include "fuzz.h"
#include "persist/rdb.h"
#include "persist/sink.h"
#include "persist/source.h"
#include "store/keyspace.h"

enum { DATABASES = 4, NOW_MS = 1000000, VERSION = 12 };

static void complain(void *context, const char *what)
{
    (void)context;
    fprintf(stderr, "%s\n", what);
}

static size_t keys_in(const struct keyspace *keyspace)
{
    size_t keys = 0;
    for (int i = 0; i < keyspace->db_count; i++)
        keys += keyspace_size(keyspace->dbs[i]);
    return keys;
}

static bool load(struct keyspace *keyspace, struct bytes file, struct rdb_loaded *loaded)
{
    struct rdb_load how = { .now_ms = NOW_MS, .keep_expired = true };
    struct rdb_error error;
    struct source source;
    source_init_memory(&source, file);
    bool good = rdb_load(&source, keyspace, &how, loaded, &error);
    ASSERT(good || (error.text[0] && error.offset <= file.len));
    ASSERT(keyspace_check(keyspace, complain, NULL) == 0);
    source_fini(&source);
    return good;
}

static void save(const struct keyspace *keyspace, struct buf *out)
{
    struct rdb_save how = { .version = "7.0.15", .now_ms = NOW_MS, .compress = true, .checksum = true };
    struct sink sink;
    sink_init_memory(&sink, out);
    bool good = rdb_save(&sink, keyspace, &how);
    ASSERT(good);
    sink_fini(&sink);
}

static void try_file(struct bytes content)
{
    struct buf file = BUF_EMPTY, again = BUF_EMPTY;
    struct rdb_loaded loaded;
    struct keyspace *keyspace = keyspace_create(DATABASES), *copy = keyspace_create(DATABASES);
    buf_append_cstr(&file, "REDIS0012");
    buf_append(&file, content);
    load(keyspace, buf_bytes(&file), &loaded);
    save(keyspace, &again);
    bool good = load(copy, buf_bytes(&again), &loaded);
    ASSERT(good && keys_in(copy) == keys_in(keyspace) && loaded.has_checksum);
    keyspace_destroy(copy);
    keyspace_destroy(keyspace);
    buf_fini(&again);
    buf_fini(&file);
}

static void try_payload(struct bytes content)
{
    struct buf payload = BUF_EMPTY, again = BUF_EMPTY;
    struct rdb_error error;
    struct keyspace *keyspace = keyspace_create(1);
    struct key key = key_make(BYTES("key")), other = key_make(BYTES("other"));
    struct db *db = keyspace->dbs[0];
    buf_append(&payload, content);
    buf_append(&payload, bytes_make((const char[]){ VERSION, 0 }, 2));
    uint64_t crc = crc64(0, payload.ptr, payload.len);
    buf_append(&payload, bytes_make(&crc, sizeof crc));
    if (rdb_payload_is_sound(buf_bytes(&payload), true) &&
        rdb_restore(keyspace, db, key, buf_bytes(&payload), EXPIRY_NONE, &error)) {
        bool good = rdb_dump(&again, keyspace_glance(db, key)) && rdb_payload_is_sound(buf_bytes(&again), true) &&
                    rdb_restore(keyspace, db, other, buf_bytes(&again), EXPIRY_NONE, &error);
        ASSERT(good && keyspace_size(db) == 2);
    } else {
        ASSERT(keyspace_size(db) == 0);
    }
    ASSERT(keyspace_check(keyspace, complain, NULL) == 0);
    keyspace_destroy(keyspace);
    buf_fini(&again);
    buf_fini(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    hash_init();
    struct bytes content = bytes_make(data + 1, len - 1);
    if (data[0] & 1)
        try_payload(content);
    else
        try_file(content);
    return 0;
}
