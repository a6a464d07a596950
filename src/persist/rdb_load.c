/*
 * Reading RDB files, and what DUMP answered.
 *
 * Small values, most of what files hold, are gathered while they and their keys lie in the source's window, and stored
 * a batch at a time: the buckets they will go to are asked for as soon as a key is known, so that they wait for memory
 * together. Everything else is read value by value.
 *
 * A value that is restored is first read into a keyspace of its own, and moved from there when it is whole.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "ds/table.h"
#include "persist/rdb.h"
#include "rdb_gather_priv.h"
#include "rdb_priv.h"
#include "store/evict.h"

enum {
    MAGIC_LEN = 9, /* "REDIS" and four digits */
    BATCH = 64,
    BATCH_WINDOW = 2048, /* bytes in the window below which it is filled again first */
    FOOTER = 10,         /* of what DUMP answers: version and checksum */
    KEY_BYTES_MIN = 3,   /* type, length of the key, and of the value */
    RESERVE_STEP = 200 * 1000,
};

static const struct rdb_use use_unknown = { RDB_USE_UNKNOWN, RDB_USE_UNKNOWN };

struct loader {
    struct rdb_reader reader;
    struct keyspace *keyspace;
    struct db *db;
    const struct rdb_load *load;
    struct rdb_loaded *loaded;
    /* Of the key to come. */
    int64_t at_ms;
    struct rdb_use use;
    size_t pending_count;
    struct rdb_pending pending[BATCH];
};

void rdb_extras_fini(struct rdb_extras *extras)
{
    for (size_t i = 0; i < extras->library_count; i++)
        buf_fini(&extras->libraries[i]);
    mem_free(extras->libraries);
    *extras = (struct rdb_extras){ 0 };
}

static void add_library(struct rdb_extras *extras, struct bytes code)
{
    extras->libraries = mem_realloc(extras->libraries, (extras->library_count + 1) * sizeof *extras->libraries);
    struct buf *library = &extras->libraries[extras->library_count++];
    *library = BUF_EMPTY;
    buf_append(library, code);
}

static bool report(void *context)
{
    struct loader *loader = context;
    const struct source *source = loader->reader.source;
    struct rdb_progress progress = { source_offset(source), source->size, loader->loaded->keys };
    return loader->load->progress(loader->load->context, &progress);
}

/* --- Keys --- */

static void note_key(struct loader *loader, struct bytes name)
{
    struct rdb_loaded *loaded = loader->loaded;
    size_t len = name.len < sizeof loaded->key_buf ? name.len : sizeof loaded->key_buf;
    if (len)
        memcpy(loaded->key_buf, name.ptr, len);
    loaded->last_key = bytes_make(loaded->key_buf, len);
}

static bool fail_duplicate(struct loader *loader, struct bytes name)
{
    note_key(loader, name);
    return rdb_fail(&loader->reader, "The same key twice in database %d", loader->db->index);
}

static void count_key(struct loader *loader, unsigned type, bool expires)
{
    loader->loaded->keys++;
    loader->loaded->with_expiry += expires;
    loader->loaded->by_type[type & 7]++;
}

static inline bool is_over(const struct loader *loader, int64_t at_ms)
{
    return at_ms != EXPIRY_NONE && !loader->load->keep_expired && loader->load->now_ms > at_ms;
}

/* What the policy in force has no use for is passed over. */
static void set_use(struct loader *loader, struct entry *entry, struct rdb_use use)
{
    if (use.frequency != RDB_USE_UNKNOWN && evict_counts_frequency(loader->keyspace))
        evict_set_frequency(loader->keyspace, entry, (unsigned)use.frequency);
    if (use.idle_s != RDB_USE_UNKNOWN)
        evict_set_idle(loader->keyspace, entry, use.idle_s, loader->load->now_ms);
}

/* Stores what was gathered. */
static bool store_pending(struct loader *loader)
{
    size_t count = loader->pending_count;
    loader->pending_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct rdb_pending *pending = &loader->pending[i];
        if (loader->load->replace)
            keyspace_remove(loader->keyspace, loader->db, pending->key);
        size_t before = keyspace_size(loader->db);
        set_use(loader, rdb_pending_store(loader->keyspace, loader->db, pending), pending->use);
        if (keyspace_size(loader->db) != before) {
            count_key(loader, pending->type, pending->at_ms != EXPIRY_NONE);
            continue;
        }
        while (++i < count)
            rdb_pending_drop(&loader->pending[i]);
        return fail_duplicate(loader, key_bytes(pending->key));
    }
    return true;
}

/* Gathers a key if that is simple; false if it is not, and then nothing was taken. */
static inline bool gather(struct loader *loader, uint8_t opcode)
{
    if (opcode > RDB_HASH_LISTPACK_EX || loader->load->discard || is_over(loader, loader->at_ms))
        return false;
    struct rdb_pending *pending = &loader->pending[loader->pending_count];
    if (!rdb_gather(loader->reader.source, loader->keyspace->settings, (enum rdb_type)opcode, pending))
        return false;
    pending->at_ms = loader->at_ms;
    pending->use = loader->use;
    loader->pending_count++;
    keyspace_prefetch_bucket(loader->db, pending->key.hash);
    return true;
}

/* Old servers have left such keys. The first ones are named. */
static void skip_empty(struct loader *loader)
{
    enum { NAMED = 10 };
    struct bytes name = loader->loaded->last_key;
    if (loader->loaded->empty++ < NAMED)
        log_write(LOG_NOTICE, "Loading the RDB: skipping empty key: %.*s", (int)name.len, name.ptr);
}

static bool get_key(struct loader *loader, enum rdb_type type)
{
    struct bytes name;
    unsigned char *copy;
    size_t len;
    struct entry *entry;
    if (!rdb_get_heap(&loader->reader, 0, &copy, &len))
        return false;
    name = bytes_make(copy, len);
    note_key(loader, name);
    struct rdb_place place = { loader->keyspace, loader->db, key_make(name), loader->at_ms };
    if (loader->load->replace)
        keyspace_remove(loader->keyspace, loader->db, place.key);
    size_t before = keyspace_size(loader->db);
    keyspace_prefetch_bucket(loader->db, place.key.hash);
    bool good = rdb_get_value(&loader->reader, type, &place, &entry);
    if (good && entry && keyspace_size(loader->db) == before)
        good = fail_duplicate(loader, name);
    if (good && entry) {
        bool over = is_over(loader, loader->at_ms);
        if (over)
            loader->loaded->expired++;
        else
            count_key(loader, entry->type, loader->at_ms != EXPIRY_NONE);
        set_use(loader, entry, loader->use);
        if (over || loader->load->discard)
            keyspace_remove(loader->keyspace, loader->db, place.key);
    } else if (good) {
        skip_empty(loader);
    }
    mem_free(copy);
    return good;
}

/* --- What is not a key --- */

static bool get_aux(struct loader *loader)
{
    struct bytes name, value;
    if (!rdb_get_string(&loader->reader, 0, &name) || !rdb_get_string(&loader->reader, 1, &value))
        return false;
    if (bytes_equal(name, BYTES("aof-base")) || bytes_equal(name, BYTES("aof-preamble")))
        loader->loaded->aof_base = bytes_equal(value, BYTES("1"));
    if (loader->load->aux)
        loader->load->aux(loader->load->context, name, value);
    return true;
}

static bool select_db(struct loader *loader)
{
    uint64_t index;
    if (!rdb_get_len(&loader->reader, &index))
        return false;
    struct db *db = keyspace_db(loader->keyspace, index > INT32_MAX ? -1 : (int64_t)index);
    if (!db)
        return rdb_fail(&loader->reader, "There is a database %llu, and only %d are configured",
            (unsigned long long)index, loader->keyspace->db_count);
    loader->db = db;
    return true;
}

static bool get_library(struct loader *loader)
{
    struct bytes code;
    if (!rdb_get_string(&loader->reader, 0, &code))
        return false;
    if (loader->load->extras)
        add_library(loader->load->extras, code);
    return true;
}

static bool get_module_aux(struct loader *loader)
{
    uint64_t id, when_opcode, when;
    return rdb_get_len(&loader->reader, &id) && rdb_get_len(&loader->reader, &when_opcode) &&
           rdb_get_len(&loader->reader, &when) &&
           (when_opcode == RDB_MODULE_UINT ||
               rdb_fail(&loader->reader, "A module's auxiliary data do not begin with a number")) &&
           rdb_skip_module(&loader->reader);
}

static bool get_expiry(struct loader *loader, bool in_ms)
{
    uint64_t at;
    if (in_ms) {
        if (!rdb_get_u64(&loader->reader, &at))
            return false;
    } else {
        const unsigned char *four = source_take(loader->reader.source, 4);
        uint32_t seconds;
        if (!four)
            return rdb_fail_end(&loader->reader);
        memcpy(&seconds, four, 4);
        at = (uint64_t)(int64_t)(int32_t)le32toh(seconds) * 1000;
    }
    loader->at_ms = (int64_t)at;
    /* The two numbers that mean something else here. */
    if (loader->at_ms == EXPIRY_NONE || loader->at_ms == EXPIRY_KEEP)
        loader->at_ms = EXPIRY_KEEP + 1;
    return true;
}

static bool get_lengths(struct loader *loader, int count)
{
    uint64_t ignored;
    while (count--)
        if (!rdb_get_len(&loader->reader, &ignored))
            return false;
    return true;
}

/*
 * How many keys a database has, and how many of them expire: its table is made for them, as far as there can be so many
 * in what is left, a part at a time.
 */
static bool resize_db(struct loader *loader)
{
    uint64_t keys, expires;
    if (!rdb_get_len(&loader->reader, &keys) || !rdb_get_len(&loader->reader, &expires))
        return false;
    struct source *source = loader->reader.source;
    struct table *table = &loader->db->table;
    uint64_t most = source_left(source) / KEY_BYTES_MIN;
    size_t wanted = (size_t)(keys < most ? keys : most);
    if (table_count(table) || loader->load->discard)
        return true;
    for (size_t items = 0; items < wanted;) {
        items = wanted - items > RESERVE_STEP ? items + RESERVE_STEP : wanted;
        table_reserve(table, items);
        if (source->progress && !source->progress(source->context))
            source->error = ECANCELED;
    }
    return source->error == 0 || rdb_fail_end(&loader->reader);
}

static bool get_freq(struct loader *loader)
{
    uint8_t frequency;
    if (!rdb_get_byte(&loader->reader, &frequency))
        return false;
    loader->use.frequency = frequency;
    return true;
}

static bool get_idle(struct loader *loader)
{
    uint64_t idle_s;
    if (!rdb_get_len(&loader->reader, &idle_s))
        return false;
    loader->use.idle_s = idle_s > INT32_MAX ? INT32_MAX : (int64_t)idle_s;
    return true;
}

/* What stands between keys, or in front of one; the key itself otherwise. */
static bool get_record(struct loader *loader, uint8_t opcode)
{
    switch (opcode) {
    case RDB_EXPIRETIME_MS:
        return get_expiry(loader, true);
    case RDB_EXPIRETIME:
        return get_expiry(loader, false);
    case RDB_IDLE:
        return get_idle(loader);
    case RDB_FREQ:
        return get_freq(loader);
    case RDB_SELECTDB:
        return select_db(loader);
    case RDB_RESIZEDB:
        return resize_db(loader);
    case RDB_SLOT_INFO:
        return get_lengths(loader, 3);
    case RDB_AUX:
        return get_aux(loader);
    case RDB_MODULE_AUX:
        return get_module_aux(loader);
    case RDB_FUNCTION2:
        return get_library(loader);
    case RDB_FUNCTION_PRE_GA:
        return rdb_fail(&loader->reader, "Functions in the format of a pre-release of Redis 7");
    default:
        if (!get_key(loader, (enum rdb_type)opcode))
            return false;
        loader->at_ms = EXPIRY_NONE;
        loader->use = use_unknown;
        return true;
    }
}

/* --- The whole --- */

static bool get_magic(struct loader *loader)
{
    struct rdb_reader *reader = &loader->reader;
    const unsigned char *magic = source_take(reader->source, MAGIC_LEN);
    if (!magic)
        return rdb_fail_end(reader);
    if (memcmp(magic, "REDIS", 5) != 0)
        return rdb_fail(reader, "Wrong signature: this is no RDB");
    int version = 0;
    for (int i = 5; i < MAGIC_LEN; i++)
        version = magic[i] >= '0' && magic[i] <= '9' ? version * 10 + magic[i] - '0' : -100000;
    if (version < 1 || version > RDB_VERSION_MAX)
        return rdb_fail(reader, "Can't handle RDB format version %.4s", (const char *)magic + 5);
    reader->version = loader->loaded->version = version;
    return true;
}

static bool get_checksum(struct loader *loader)
{
    enum { VERSION_WITH_CHECKSUM = 5 };
    uint64_t right = source_checksum(loader->reader.source), said;
    if (loader->reader.version < VERSION_WITH_CHECKSUM)
        return true;
    if (!rdb_get_u64(&loader->reader, &said))
        return false;
    loader->loaded->has_checksum = said != 0;
    if (!loader->load->checksum || said == 0 || said == right)
        return true;
    return rdb_fail(&loader->reader, "RDB CRC error: wrong checksum, expected %016llx, found %016llx",
        (unsigned long long)right, (unsigned long long)said);
}

/* What belongs to the key that follows. It takes a few bytes, which are in the window. */
static bool is_prefix(uint8_t opcode)
{
    return opcode == RDB_EXPIRETIME_MS || opcode == RDB_EXPIRETIME || opcode == RDB_IDLE || opcode == RDB_FREQ;
}

static bool load_all(struct loader *loader)
{
    struct source *source = loader->reader.source;
    uint8_t opcode = 0;
    while (opcode != RDB_EOF) {
        bool low = source_ready(source) < BATCH_WINDOW;
        if (low || loader->pending_count == BATCH) {
            if (!store_pending(loader) || (low && !source_refill(source)))
                return rdb_fail_end(&loader->reader);
        }
        if (!rdb_get_byte(&loader->reader, &opcode))
            return false;
        if (gather(loader, opcode)) {
            loader->at_ms = EXPIRY_NONE;
            loader->use = use_unknown;
            continue;
        }
        /* Other keys, and other databases, come behind what was gathered. */
        if (!is_prefix(opcode) && !store_pending(loader))
            return false;
        if (opcode != RDB_EOF && !get_record(loader, opcode))
            return false;
    }
    return get_checksum(loader);
}

bool rdb_load(struct source *source, struct keyspace *keyspace, const struct rdb_load *load, struct rdb_loaded *loaded,
    struct rdb_error *error)
{
    struct loader *loader = mem_alloc(sizeof *loader);
    *loader = (struct loader){
        .reader = { .source = source, .error = error },
        .keyspace = keyspace,
        .db = keyspace->dbs[0],
        .load = load,
        .loaded = loaded,
        .at_ms = EXPIRY_NONE,
        .use = use_unknown,
    };
    *loaded = (struct rdb_loaded){ 0 };
    *error = (struct rdb_error){ 0 };
    source->checksum = load->checksum;
    if (load->progress) {
        source->progress = report;
        source->context = loader;
    }
    bool good = get_magic(loader) && load_all(loader);
    while (loader->pending_count)
        rdb_pending_drop(&loader->pending[--loader->pending_count]);
    loaded->bytes = source_offset(source);
    for (int i = 0; i < keyspace->db_count; i++)
        table_unreserve(&keyspace->dbs[i]->table);
    source->progress = NULL;
    rdb_reader_fini(&loader->reader);
    mem_free(loader);
    return good;
}

/* --- Single values --- */

bool rdb_payload_is_sound(struct bytes payload, bool checksum)
{
    if (payload.len < FOOTER + 1)
        return false;
    const unsigned char *footer = (const unsigned char *)payload.ptr + payload.len - FOOTER;
    unsigned version = footer[0] | (unsigned)footer[1] << 8;
    uint64_t said;
    memcpy(&said, footer + 2, sizeof said);
    said = le64toh(said);
    if (version > RDB_VERSION_MAX)
        return false;
    return !checksum || said == sink_crc(0, bytes_make(payload.ptr, payload.len - sizeof said));
}

bool rdb_restore(struct keyspace *keyspace, struct db *db, struct key key, struct bytes payload, int64_t at_ms,
    struct rdb_error *error)
{
    struct source source;
    struct entry *entry = NULL;
    *error = (struct rdb_error){ 0 };
    source_init_memory(&source, bytes_make(payload.ptr, payload.len - FOOTER));
    struct rdb_reader reader = { .source = &source, .error = error };
    struct keyspace *aside = keyspace_create(1);
    aside->settings = keyspace->settings;
    aside->clock = keyspace->clock;
    aside->dbs[0]->index = db->index; /* observers see the key change where it will be */
    struct rdb_place place = { aside, aside->dbs[0], key, at_ms };
    uint8_t type;
    bool good = rdb_get_byte(&reader, &type) && rdb_get_value(&reader, (enum rdb_type)type, &place, &entry);
    if (good && source_left(&source))
        good = rdb_fail(&reader, "There is more behind the value");
    if (good && !entry)
        good = rdb_fail(&reader, "The value is empty");
    if (good)
        keyspace_move(keyspace, aside->dbs[0], key, db, key);
    rdb_reader_fini(&reader);
    keyspace_destroy(aside);
    return good;
}
