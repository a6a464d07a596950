/*
 * Writing RDB: primitives, header, databases, footer.
 *
 *   "REDIS" version : 4 digits | aux fields | libraries
 *   per database    SELECTDB n | RESIZEDB keys, keys that expire |
 *                   per key: [EXPIRETIME_MS] [IDLE or FREQ] type, key, value
 *   EOF | CRC-64 of all that, 0 if it was not taken
 *
 * A database is walked bucket by bucket in the order of its table, with the entries of the next buckets asked for
 * meanwhile: what the walk would wait for is memory. Strings are the common case and are written without a call that
 * depends on the type.
 */
#include <endian.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "base/lzf.h"
#include "base/mem.h"
#include "base/num.h"
#include "ds/table.h"
#include "persist/rdb.h"
#include "rdb_priv.h"
#include "store/evict.h"
#include "store/string.h"

enum {
    PROGRESS_KEYS = 1024,
    PUT_COST = 3, /* of a string, for fiber_breathe, and of so many bytes of it one more */
    PUT_COST_BYTES = 16,
    AHEAD = 4, /* buckets whose entries are asked for before their turn */
};

/* --- Primitives --- */

void rdb_put_u64(struct sink *sink, uint64_t number)
{
    number = htole64(number);
    sink_put(sink, &number, sizeof number);
}

void rdb_put_len(struct sink *sink, uint64_t len)
{
    unsigned char out[9];
    if (len < 64) {
        sink_put_byte(sink, (unsigned char)(RDB_LEN_6 | len));
    } else if (len < 16384) {
        out[0] = (unsigned char)(RDB_LEN_14 | len >> 8);
        out[1] = (unsigned char)len;
        sink_put(sink, out, 2);
    } else if (len <= UINT32_MAX) {
        uint32_t big = htobe32((uint32_t)len);
        out[0] = RDB_LEN_32;
        memcpy(out + 1, &big, sizeof big);
        sink_put(sink, out, 5);
    } else {
        uint64_t big = htobe64(len);
        out[0] = RDB_LEN_64;
        memcpy(out + 1, &big, sizeof big);
        sink_put(sink, out, 9);
    }
}

/* Writes the number in 1, 2 or 4 bytes; false if it needs more. */
static bool put_small_integer(struct sink *sink, int64_t number)
{
    unsigned char out[5];
    uint32_t low = htole32((uint32_t)number);
    size_t len;
    if (number >= INT8_MIN && number <= INT8_MAX) {
        out[0] = RDB_LEN_ENCODED | RDB_ENC_INT8;
        len = 1;
    } else if (number >= INT16_MIN && number <= INT16_MAX) {
        out[0] = RDB_LEN_ENCODED | RDB_ENC_INT16;
        len = 2;
    } else if (number >= INT32_MIN && number <= INT32_MAX) {
        out[0] = RDB_LEN_ENCODED | RDB_ENC_INT32;
        len = 4;
    } else {
        return false;
    }
    memcpy(out + 1, &low, sizeof low);
    sink_put(sink, out, len + 1);
    return true;
}

void rdb_put_integer(struct rdb_writer *writer, int64_t number)
{
    char digits[NUM_I64_MAX_LEN];
    if (put_small_integer(writer->sink, number))
        return;
    size_t len = num_format_i64(digits, number);
    rdb_put_len(writer->sink, len);
    sink_put(writer->sink, digits, len);
}

/* Room for so many bytes in `scratch`; false when memory is out. */
static bool make_room(struct rdb_writer *writer, size_t room)
{
    if (writer->scratch_cap >= room)
        return true;
    mem_free(writer->scratch);
    writer->scratch = mem_try_alloc(room);
    writer->scratch_cap = writer->scratch ? room : 0;
    return writer->scratch != NULL;
}

static void put_lzf(struct sink *sink, struct bytes lzf, size_t unpacked_len)
{
    sink_put_byte(sink, RDB_LEN_ENCODED | RDB_ENC_LZF);
    rdb_put_len(sink, lzf.len);
    rdb_put_len(sink, unpacked_len);
    sink_put(sink, lzf.ptr, lzf.len);
}

/* True if it was worth it. */
static bool put_compressed(struct rdb_writer *writer, struct bytes text)
{
    enum { GAIN_MIN = 4 };
    size_t room = text.len - GAIN_MIN;
    if (text.len > UINT32_MAX || !make_room(writer, room))
        return false;
    size_t len = lzf_pack(text.ptr, text.len, writer->scratch, room);
    if (!len)
        return false;
    put_lzf(writer->sink, bytes_make(writer->scratch, len), text.len);
    return true;
}

void rdb_put_compressed(struct rdb_writer *writer, struct bytes lzf, size_t unpacked_len)
{
    fiber_breathe(PUT_COST + (unsigned)(unpacked_len / PUT_COST_BYTES));
    if (writer->compress || !make_room(writer, unpacked_len)) {
        put_lzf(writer->sink, lzf, unpacked_len);
        return;
    }
    size_t len = lzf_unpack(lzf.ptr, lzf.len, writer->scratch, unpacked_len);
    ASSERT(len == unpacked_len);
    rdb_put_len(writer->sink, len);
    sink_put(writer->sink, writer->scratch, len);
}

static inline bool may_be_integer(struct bytes text)
{
    unsigned char first = text.len ? (unsigned char)text.ptr[0] : 0;
    return text.len <= RDB_INT_TEXT_MAX && (first == '-' || (first >= '0' && first <= '9'));
}

void rdb_put_string(struct rdb_writer *writer, struct bytes text)
{
    int64_t number;
    fiber_breathe(PUT_COST + (unsigned)(text.len / PUT_COST_BYTES));
    if (may_be_integer(text) && num_parse_i64(text, &number) && put_small_integer(writer->sink, number))
        return;
    if (writer->compress && text.len > RDB_COMPRESS_MIN && put_compressed(writer, text))
        return;
    rdb_put_len(writer->sink, text.len);
    sink_put(writer->sink, text.ptr, text.len);
}

void rdb_writer_fini(struct rdb_writer *writer)
{
    mem_free(writer->scratch);
}

/* --- Databases --- */

static void put_aux(struct rdb_writer *writer, const char *name, struct bytes value)
{
    sink_put_byte(writer->sink, RDB_AUX);
    rdb_put_string(writer, bytes_from_cstr(name));
    rdb_put_string(writer, value);
}

static void put_aux_number(struct rdb_writer *writer, const char *name, int64_t number)
{
    char digits[NUM_I64_MAX_LEN];
    put_aux(writer, name, bytes_make(digits, num_format_i64(digits, number)));
}

static void put_header(struct rdb_writer *writer, int version, const struct rdb_save *save)
{
    char magic[16];
    int len = snprintf(magic, sizeof magic, "REDIS%04d", version);
    sink_put(writer->sink, magic, (size_t)len);
    put_aux(writer, "redis-ver", bytes_from_cstr(save->version));
    put_aux_number(writer, "redis-bits", (int64_t)sizeof(void *) * 8);
    put_aux_number(writer, "ctime", save->now_ms / 1000);
    put_aux_number(writer, "used-mem", (int64_t)save->used_memory);
    put_aux_number(writer, "aof-base", save->aof_base);
    for (size_t i = 0; save->extras && i < save->extras->library_count; i++) {
        sink_put_byte(writer->sink, RDB_FUNCTION2);
        rdb_put_string(writer, buf_bytes(&save->extras->libraries[i]));
    }
}

/* One database's way into the file. */
struct db_walk {
    struct rdb_writer *writer;
    const struct keyspace *keyspace;
    const struct rdb_save *save;
    uint64_t *keys;
};

static void put_use(const struct db_walk *walk, const struct entry *entry)
{
    struct sink *sink = walk->writer->sink;
    if (walk->save->uses == RDB_USES_IDLE) {
        sink_put_byte(sink, RDB_IDLE);
        rdb_put_len(sink, (uint64_t)evict_idle_s(walk->keyspace, entry, walk->save->now_ms));
    } else {
        sink_put_byte(sink, RDB_FREQ);
        sink_put_byte(sink, (unsigned char)evict_frequency(walk->keyspace, entry));
    }
}

static inline void put_entry(const struct db_walk *walk, const struct entry *entry)
{
    struct rdb_writer *writer = walk->writer;
    struct sink *sink = writer->sink;
    if (entry->flags & ENTRY_EXPIRES) {
        sink_put_byte(sink, RDB_EXPIRETIME_MS);
        rdb_put_u64(sink, (uint64_t)entry_expiry(entry));
    }
    if (walk->save->uses)
        put_use(walk, entry);
    sink_put_byte(sink, (unsigned char)rdb_type_of(entry));
    rdb_put_string(writer, entry_key(entry));
    rdb_put_value(writer, entry);
}

static inline const struct table_bucket *bucket_at(const struct table *table, size_t i)
{
    return &table->segments[i / TABLE_SEGMENT_BUCKETS][i % TABLE_SEGMENT_BUCKETS];
}

/* Two cache lines of each entry: most are no larger. */
static inline void ask_for_entries(const struct table_bucket *bucket)
{
    for (; bucket; bucket = bucket->next)
        for (unsigned i = 0; i < TABLE_SLOTS && bucket->slot[i]; i++) {
            const char *item = table_slot_item(&bucket->slot[i]);
            table_prefetch_line(item);
            table_prefetch_line(item + 64);
        }
}

/* Asks for what the walk will need: buckets first, then what is chained behind them, then the entries in both. */
static inline void look_ahead(const struct table *table, size_t i)
{
    if (i + 3 * AHEAD < table->buckets)
        table_prefetch_line(bucket_at(table, i + 3 * AHEAD));
    if (i + 2 * AHEAD < table->buckets) {
        const struct table_bucket *next = bucket_at(table, i + 2 * AHEAD)->next;
        if (next)
            table_prefetch_line(next);
    }
    if (i + AHEAD < table->buckets)
        ask_for_entries(bucket_at(table, i + AHEAD));
}

static bool put_db(const struct db_walk *walk, const struct db *db)
{
    struct sink *sink = walk->writer->sink;
    const struct rdb_save *save = walk->save;
    uint64_t *keys = walk->keys;
    const struct table *table = &db->table;
    sink_put_byte(sink, RDB_SELECTDB);
    rdb_put_len(sink, (uint64_t)db->index);
    sink_put_byte(sink, RDB_RESIZEDB);
    rdb_put_len(sink, table_count(table));
    rdb_put_len(sink, db->expires);
    uint64_t reported = *keys;
    for (size_t i = 0; i < table->buckets; i++) {
        look_ahead(table, i);
        for (const struct table_bucket *bucket = bucket_at(table, i); bucket; bucket = bucket->next)
            for (unsigned slot = 0; slot < TABLE_SLOTS && bucket->slot[slot]; slot++, ++*keys)
                put_entry(walk, table_slot_item(&bucket->slot[slot]));
        if (*keys - reported >= (save->often ? 1 : PROGRESS_KEYS)) {
            reported = *keys;
            if (save->progress)
                save->progress(save->context, *keys);
        }
        if (sink->error)
            return false;
    }
    return true;
}

static int version_of(const struct keyspace *keyspace)
{
    for (int i = 0; i < keyspace->db_count; i++)
        if (keyspace->dbs[i]->parts_expire)
            return RDB_VERSION_FIELDS;
    return RDB_VERSION_PLAIN;
}

bool rdb_save(struct sink *sink, const struct keyspace *keyspace, const struct rdb_save *save)
{
    struct rdb_writer writer = { .sink = sink, .compress = save->compress };
    uint64_t keys = 0;
    struct db_walk walk = { &writer, keyspace, save, &keys };
    bool good = true;
    sink->checksum = save->checksum;
    put_header(&writer, version_of(keyspace), save);
    for (int i = 0; good && i < keyspace->db_count; i++)
        if (keyspace_size(keyspace->dbs[i]))
            good = put_db(&walk, keyspace->dbs[i]);
    sink_put_byte(sink, RDB_EOF);
    rdb_put_u64(sink, save->checksum ? sink_checksum(sink) : 0);
    if (save->progress)
        save->progress(save->context, keys);
    rdb_writer_fini(&writer);
    return sink_flush(sink);
}

bool rdb_dump_to(struct sink *sink, const struct entry *entry)
{
    struct rdb_writer writer = { .sink = sink, .compress = true };
    sink_put_byte(sink, (unsigned char)rdb_type_of(entry));
    rdb_put_value(&writer, entry);
    unsigned version = entry->flags & ENTRY_PARTS ? RDB_VERSION_FIELDS : RDB_VERSION_PLAIN;
    sink_put_byte(sink, (unsigned char)version);
    sink_put_byte(sink, (unsigned char)(version >> 8));
    rdb_put_u64(sink, sink_checksum(sink));
    rdb_writer_fini(&writer);
    return sink_flush(sink);
}

bool rdb_dump(struct buf *out, const struct entry *entry)
{
    struct sink sink;
    sink_init_memory(&sink, out);
    bool good = rdb_dump_to(&sink, entry);
    sink_fini(&sink);
    return good;
}
