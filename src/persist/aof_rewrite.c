/*
 * Values as commands. Elements are gathered into commands of up to 64, so that whoever executes them again is never
 * held up by one.
 */
#include "persist/aof_rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "ds/table.h"
#include "persist/rdb.h"
#include "persist/sink.h"
#include "store/hash.h"
#include "store/list.h"
#include "store/set.h"
#include "store/string.h"
#include "store/zset.h"

enum { ELEMENTS_MAX = 64, PROGRESS_KEYS = 1024 };

struct rewriter {
    struct sink *sink;
    struct bytes key;  /* borrowed: of the entry under way */
    const char *name;  /* of the command that its elements are gathered for */
    size_t left;       /* elements of it that are to come */
    size_t in_command; /* of them, those that still belong to the command under way */
    unsigned words;    /* arguments of an element */
};

static void put_head(struct sink *sink, char type, uint64_t number)
{
    char text[NUM_I64_MAX_LEN + 3];
    text[0] = type;
    size_t len = 1 + num_format_u64(text + 1, number);
    text[len++] = '\r';
    text[len++] = '\n';
    sink_put(sink, text, len);
}

static void put_word(struct sink *sink, struct bytes word)
{
    put_head(sink, '$', word.len);
    sink_put(sink, word.ptr, word.len);
    sink_put(sink, "\r\n", 2);
}

static void put_command(struct sink *sink, const struct bytes *argv, size_t argc)
{
    put_head(sink, '*', argc);
    for (size_t i = 0; i < argc; i++)
        put_word(sink, argv[i]);
}

static struct bytes spell(char *digits, int64_t number)
{
    return bytes_make(digits, num_format_i64(digits, number));
}

/* --- Collections --- */

static void begin(struct rewriter *rewriter, const char *name, size_t elements, unsigned words)
{
    rewriter->name = name;
    rewriter->left = elements;
    rewriter->in_command = 0;
    rewriter->words = words;
}

/* Before each element. */
static void next_element(struct rewriter *rewriter)
{
    if (rewriter->in_command == 0) {
        rewriter->in_command = rewriter->left < ELEMENTS_MAX ? rewriter->left : ELEMENTS_MAX;
        put_head(rewriter->sink, '*', 2 + rewriter->in_command * rewriter->words);
        put_word(rewriter->sink, bytes_from_cstr(rewriter->name));
        put_word(rewriter->sink, rewriter->key);
    }
    rewriter->in_command--;
    rewriter->left--;
}

static void put_list(struct rewriter *rewriter, const struct entry *entry)
{
    struct list_walk walk;
    struct list_element element;
    struct list_scratch scratch;
    begin(rewriter, "RPUSH", list_len(entry), 1);
    list_walk_begin(&walk, entry, 0, list_len(entry));
    while (list_next(&walk, &element)) {
        next_element(rewriter);
        put_word(rewriter->sink, list_element_bytes(&element, &scratch));
    }
    list_walk_end(&walk);
}

static void put_set(struct rewriter *rewriter, const struct entry *entry)
{
    struct set_walk walk = set_walk_begin(set_of(entry));
    struct set_batch batch;
    struct set_scratch scratch;
    begin(rewriter, "SADD", set_count(walk.set), 1);
    while (set_walk_next(&walk, &batch))
        for (unsigned i = 0; i < batch.count; i++) {
            next_element(rewriter);
            put_word(rewriter->sink, set_member_bytes(batch.members[i], &scratch));
        }
}

static void put_zset(struct rewriter *rewriter, const struct entry *entry)
{
    struct zset_iter iter;
    begin(rewriter, "ZADD", zset_count(entry), 2);
    for (bool more = zset_iter_begin(&iter, entry, 0, false); more; more = zset_iter_next(&iter)) {
        char score[64];
        next_element(rewriter);
        put_word(rewriter->sink, bytes_make(score, (size_t)snprintf(score, sizeof score, "%.17g", iter.score)));
        put_word(rewriter->sink, iter.member);
    }
}

static void put_field(void *context, const struct hash_pair *pair)
{
    struct rewriter *rewriter = context;
    next_element(rewriter);
    put_word(rewriter->sink, pair->field);
    put_word(rewriter->sink, pair->value);
}

static void put_field_expiry(void *context, const struct hash_pair *pair)
{
    struct rewriter *rewriter = context;
    char digits[NUM_I64_MAX_LEN];
    if (pair->at_ms == EXPIRY_NONE)
        return;
    const struct bytes words[] = { BYTES("HPEXPIREAT"), rewriter->key, spell(digits, pair->at_ms), BYTES("FIELDS"),
        BYTES("1"), pair->field };
    put_command(rewriter->sink, words, sizeof words / sizeof *words);
}

/* Time stands still: what has expired is still there, until somebody deletes it. */
static void put_hash(struct rewriter *rewriter, const struct entry *entry)
{
    begin(rewriter, "HMSET", hash_count(entry, 0), 2);
    hash_each(entry, 0, put_field, rewriter);
    if (entry->flags & ENTRY_PARTS)
        hash_each(entry, 0, put_field_expiry, rewriter);
}

/* --- Entries --- */

static void put_restore(struct rewriter *rewriter, const struct entry *entry)
{
    struct buf payload = BUF_EMPTY;
    if (rdb_dump(&payload, entry)) {
        const struct bytes words[] = { BYTES("RESTORE"), rewriter->key, BYTES("0"), buf_bytes(&payload),
            BYTES("REPLACE") };
        put_command(rewriter->sink, words, sizeof words / sizeof *words);
    } else if (!rewriter->sink->error) {
        rewriter->sink->error = ENOMEM;
    }
    buf_fini(&payload);
}

static void put_string(struct rewriter *rewriter, const struct entry *entry)
{
    struct string_scratch scratch;
    const struct bytes words[] = { BYTES("SET"), rewriter->key, string_view(entry, &scratch) };
    put_command(rewriter->sink, words, 3);
}

static void put_entry(struct rewriter *rewriter, const struct entry *entry)
{
    static void (*const put[ENTRY_TYPES])(struct rewriter * rewriter, const struct entry *entry) = {
        [ENTRY_STRING] = put_string,
        [ENTRY_LIST] = put_list,
        [ENTRY_SET] = put_set,
        [ENTRY_ZSET] = put_zset,
        [ENTRY_HASH] = put_hash,
        [ENTRY_STREAM] = put_restore,
        [ENTRY_JSON] = put_restore,
    };
    rewriter->key = entry_key(entry);
    put[entry->type](rewriter, entry);
    if (!(entry->flags & ENTRY_EXPIRES))
        return;
    char digits[NUM_I64_MAX_LEN];
    const struct bytes words[] = { BYTES("PEXPIREAT"), rewriter->key, spell(digits, entry_expiry(entry)) };
    put_command(rewriter->sink, words, 3);
}

struct walk {
    struct rewriter rewriter;
    const struct aof_rewrite *rewrite;
    uint64_t keys;
};

static void put_bucket(struct walk *walk, const struct table_bucket *bucket)
{
    for (; bucket; bucket = bucket->next)
        for (unsigned slot = 0; slot < TABLE_SLOTS && bucket->slot[slot]; slot++) {
            put_entry(&walk->rewriter, table_slot_item(&bucket->slot[slot]));
            bool due = ++walk->keys % PROGRESS_KEYS == 0 || walk->rewrite->often;
            if (due && walk->rewrite->progress)
                walk->rewrite->progress(walk->rewrite->context, walk->keys);
        }
}

static void put_db(struct walk *walk, const struct db *db)
{
    char digits[NUM_I64_MAX_LEN];
    struct sink *sink = walk->rewriter.sink;
    const struct bytes words[] = { BYTES("SELECT"), spell(digits, db->index) };
    put_command(sink, words, 2);
    for (size_t i = 0; i < db->table.buckets && !sink->error; i++)
        put_bucket(walk, &db->table.segments[i / TABLE_SEGMENT_BUCKETS][i % TABLE_SEGMENT_BUCKETS]);
}

bool aof_rewrite(struct sink *sink, const struct keyspace *keyspace, const struct aof_rewrite *rewrite)
{
    struct walk walk = { .rewriter = { .sink = sink }, .rewrite = rewrite };
    sink->checksum = false;
    if (rewrite->timestamp_s) {
        char text[48];
        int len = snprintf(text, sizeof text, "#TS:%lld\r\n", (long long)rewrite->timestamp_s);
        sink_put(sink, text, (size_t)len);
    }
    for (int i = 0; i < keyspace->db_count; i++)
        if (keyspace_size(keyspace->dbs[i]))
            put_db(&walk, keyspace->dbs[i]);
    if (rewrite->progress)
        rewrite->progress(rewrite->context, walk.keys);
    return sink_flush(sink);
}

bool aof_rewrite_file(const char *path, const struct keyspace *keyspace, const struct aof_rewrite *rewrite,
    uint64_t sync_every, struct buf *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        buf_printf(error, "Opening the temp file for AOF rewrite: %s", strerror(errno));
        return false;
    }
    struct sink sink;
    sink_init_fd(&sink, fd, sync_every);
    bool good = aof_rewrite(&sink, keyspace, rewrite);
    int reason = sink.error;
    sink_fini(&sink);
    if (good && fsync(fd) != 0) {
        good = false;
        reason = errno;
    }
    if (close(fd) != 0 && good) {
        good = false;
        reason = errno;
    }
    if (!good) {
        unlink(path);
        buf_printf(error, "Write error writing append only file on disk: %s", strerror(reason));
    }
    return good;
}
