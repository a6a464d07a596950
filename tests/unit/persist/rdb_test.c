/*
 * The codec: random keyspaces come back as they were; a file cut anywhere, or with any byte changed, is an error; so is
 * memory that runs out; what is read is never looked at beyond its end.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/seed.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/random.h"
#include "ds/listpack.h"
#include "persist/rdb.h"
#include "persist/sink.h"
#include "persist/source.h"
#include "store/evict.h"
#include "store/hash.h"
#include "store/list.h"
#include "store/set.h"
#include "store/string.h"
#include "store/zset.h"

enum { NOW = 1000000, DATABASES = 3 };

static void fill_strings(struct keyspace *keyspace, struct random *random, int count)
{
    char name[32], value[3000];
    for (int i = 0; i < count; i++) {
        size_t len = random_below(random, random_below(random, 10) ? 60 : sizeof value);
        memset(value, 'a' + i % 26, len);
        if (len > NUM_I64_MAX_LEN)
            num_format_i64(value, i);
        struct db *db = keyspace->dbs[random_below(random, DATABASES)];
        struct key key = key_make(bytes_make(name, (size_t)snprintf(name, sizeof name, "string:%d", i)));
        int64_t at_ms = random_below(random, 3) ? EXPIRY_NONE : NOW + i + 1;
        if (i % 3)
            keyspace_set_string(keyspace, db, key, bytes_make(value, len), at_ms, NOW);
        else
            keyspace_set_integer(
                keyspace, db, key, (int64_t)random_next(random) >> random_below(random, 64), at_ms, NOW);
    }
}

static void fill_collections(struct keyspace *keyspace, int members)
{
    char text[32], name[32];
    struct db *db = keyspace->dbs[0];
    struct bytes word = { .ptr = text };
    struct key key = key_make(bytes_make(name, (size_t)snprintf(name, sizeof name, "of %d", members)));
    struct key keys[4];
    char names[4][40];
    for (int i = 0; i < 4; i++)
        keys[i] = key_make(
            bytes_make(names[i], (size_t)snprintf(names[i], sizeof names[i], "%d %.*s", i, (int)key.len, key.ptr)));
    struct list_edit list = { keyspace, db, keys[0], NULL };
    struct set_edit set = set_edit_begin(keyspace, db, keys[1], NULL);
    struct hash_writer hash;
    hash_begin(&hash, keyspace, db, keys[2], NULL, NOW);
    struct zset_edit zset = { .keyspace = keyspace, .db = db, .key = keys[3], .now_ms = NOW };
    for (int i = 0; i < members; i++) {
        struct hash_place place;
        word.len = (size_t)snprintf(text, sizeof text, i % 2 ? "%d" : "word %d", i);
        cr_assert_eq(set_edit_add(&set, word), SET_ADDED);
        cr_assert(!hash_find(&hash, word, &place) && hash_put(&hash, &place, word, word, HASH_EXPIRY_DROP));
    }
    set_edit_end(&set, NOW);
    hash_end(&hash);
    for (int i = 0; i < members; i++) {
        double score;
        word.len = (size_t)snprintf(text, sizeof text, i % 2 ? "%d" : "word %d", i);
        cr_assert(list_push(&list, LIST_TAIL, &word, NULL, 1));
        cr_assert_eq(zset_add(&zset, word, i / 3.0, 0, &score), ZSET_ADDED);
    }
    zset_edit_end(&zset);
}

static void save(const struct keyspace *keyspace, struct buf *out)
{
    struct rdb_save how = { .version = "7.0.15", .now_ms = NOW, .compress = true, .checksum = true };
    struct sink sink;
    buf_clear(out);
    sink_init_memory(&sink, out);
    cr_assert(rdb_save(&sink, keyspace, &how));
    sink_fini(&sink);
}

static bool load(struct keyspace *keyspace, struct bytes file, bool checksum, struct rdb_error *error)
{
    struct rdb_load how = { .now_ms = NOW, .checksum = checksum };
    struct rdb_loaded loaded;
    struct source source;
    source_init_memory(&source, file);
    bool good = rdb_load(&source, keyspace, &how, &loaded, error);
    source_fini(&source);
    return good;
}

struct compare {
    struct keyspace *other;
    int db;
};

/* What DUMP says of an entry and of its like in the other keyspace; of tables, which have no order, only how much. */
static void compare_entry(void *context, uint64_t *slot)
{
    const struct compare *compare = context;
    const struct entry *entry = table_slot_item(slot);
    const struct entry *other = keyspace_glance(compare->other->dbs[compare->db], key_make(entry_key(entry)));
    cr_assert(other && other->type == entry->type && other->encoding == entry->encoding);
    cr_assert_eq(entry_expiry(entry), entry_expiry(other));
    struct buf a = BUF_EMPTY, b = BUF_EMPTY;
    cr_assert(rdb_dump(&a, entry) && rdb_dump(&b, other));
    bool ordered = (entry->type != ENTRY_HASH && entry->type != ENTRY_SET) || entry->encoding == 0;
    cr_assert(ordered ? bytes_equal(buf_bytes(&a), buf_bytes(&b)) : a.len == b.len);
    buf_fini(&a);
    buf_fini(&b);
}

static void compare_all(const struct keyspace *a, struct keyspace *b)
{
    for (int i = 0; i < DATABASES; i++) {
        struct compare compare = { b, i };
        cr_assert_eq(keyspace_size(a->dbs[i]), keyspace_size(b->dbs[i]));
        cr_assert_eq(a->dbs[i]->expires, b->dbs[i]->expires);
        uint64_t cursor = 0;
        do
            cursor = table_scan(&a->dbs[i]->table, cursor, compare_entry, &compare);
        while (cursor);
    }
}

Test(rdb, what_is_saved_comes_back)
{
    struct random random = seed_random(__func__);
    hash_init();
    struct keyspace *keyspace = keyspace_create(DATABASES), *copy = keyspace_create(DATABASES);
    fill_strings(keyspace, &random, 5000);
    fill_collections(keyspace, 1);
    fill_collections(keyspace, 50);
    fill_collections(keyspace, 5000);
    struct buf file = BUF_EMPTY;
    struct rdb_error error;
    save(keyspace, &file);
    cr_assert(load(copy, buf_bytes(&file), true, &error), "%s", error.text);
    compare_all(keyspace, copy);
    keyspace_destroy(keyspace);
    keyspace_destroy(copy);
    buf_fini(&file);
}

Test(rdb, damage_anywhere_is_noticed)
{
    struct random random;
    random_init(&random, 1);
    hash_init();
    struct keyspace *keyspace = keyspace_create(DATABASES);
    fill_strings(keyspace, &random, 8);
    fill_collections(keyspace, 3);
    struct buf file = BUF_EMPTY;
    struct rdb_error error;
    save(keyspace, &file);
    for (size_t at = 0; at < file.len; at++) {
        /* In an allocation of its own, so that a sanitizer sees who reads beyond. */
        char *cut = mem_dup(file.ptr, at ? at : 1);
        struct keyspace *copy = keyspace_create(DATABASES);
        cr_assert(!load(copy, bytes_make(cut, at), true, &error));
        cr_assert(error.text[0] && error.offset <= at);
        keyspace_destroy(copy);
        mem_free(cut);
        copy = keyspace_create(DATABASES);
        file.ptr[at] ^= (char)(1 << at % 8);
        cr_assert(!load(copy, buf_bytes(&file), true, &error), "byte %zu", at);
        file.ptr[at] ^= (char)(1 << at % 8);
        keyspace_destroy(copy);
    }
    keyspace_destroy(keyspace);
    buf_fini(&file);
}

/* Fails each allocation in turn: an error and nothing stored, or success. */
Test(rdb, memory_that_is_out_leaves_the_key_alone)
{
    hash_init();
    struct keyspace *keyspace = keyspace_create(DATABASES);
    struct db *db = keyspace->dbs[0];
    fill_collections(keyspace, 400);
    struct key to = key_make(BYTES("to"));
    static const char *const from[] = { "0 of 400", "1 of 400", "2 of 400", "3 of 400" };
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        struct buf payload = BUF_EMPTY;
        struct rdb_error error;
        cr_assert(rdb_dump(&payload, keyspace_glance(db, key_make(bytes_from_cstr(from[i])))));
        cr_assert(rdb_payload_is_sound(buf_bytes(&payload), true));
        keyspace_set_string(keyspace, db, to, BYTES("old"), EXPIRY_NONE, NOW);
        bool good = false;
        for (uint64_t nth = 1; !good && nth < 20; nth++) {
            mem_fail_nth(nth);
            good = rdb_restore(keyspace, db, to, buf_bytes(&payload), EXPIRY_NONE, &error);
            mem_fail_nth(0);
            cr_assert(good || keyspace_glance(db, to)->type == ENTRY_STRING);
        }
        cr_assert(good || rdb_restore(keyspace, db, to, buf_bytes(&payload), EXPIRY_NONE, &error));
        keyspace_remove(keyspace, db, to);
        buf_fini(&payload);
    }
    keyspace_destroy(keyspace);
}

/* --- Files made by hand --- */

static void complain(void *context, const char *what)
{
    (void)context;
    cr_log_error("%s", what);
}

static void put_record(struct buf *file, int type, struct bytes key, struct bytes value)
{
    cr_assert(key.len < 64 && value.len < 64);
    buf_append_char(file, (char)type);
    buf_append_char(file, (char)key.len);
    buf_append(file, key);
    buf_append_char(file, (char)value.len);
    buf_append(file, value);
}

static void put_pack(struct buf *file, int type, const char *key, const char *const *texts)
{
    unsigned char *pack = listpack_create(0);
    for (; *texts; texts++)
        cr_assert(listpack_append(&pack, bytes_from_cstr(*texts)));
    put_record(file, type, bytes_from_cstr(key), bytes_make(pack, listpack_bytes(pack)));
    listpack_destroy(pack);
}

/* Loads a file of these records; what is wrong, or "". */
static const char *load_records(struct keyspace *keyspace, const struct buf *records, struct rdb_error *error)
{
    struct buf file = BUF_EMPTY;
    buf_append_cstr(&file, "REDIS0011");
    buf_append(&file, buf_bytes(records));
    buf_append(&file, bytes_make("\xff\0\0\0\0\0\0\0\0", 9));
    bool good = load(keyspace, buf_bytes(&file), true, error);
    cr_assert(good == !error->text[0]);
    buf_fini(&file);
    return error->text;
}

enum { HASH_OF_PACK = 16, ZSET_OF_PACK = 17, SET_OF_PACK = 20, TYPE_IDLE = 248 };

Test(rdb, small_values_are_tested_although_many_are_taken_at_once)
{
    static const struct {
        int type;
        const char *texts[8];
        const char *wrong;
    } cases[] = {
        { HASH_OF_PACK, { "a", "1", "b", "2" }, "" },
        { HASH_OF_PACK, { "a", "1", "a", "2" }, "same member twice" },
        { HASH_OF_PACK, { "a", "1", "b" }, "holds 3 elements" },
        { HASH_OF_PACK, { "a" }, "holds 1 elements" },
        { SET_OF_PACK, { "a", "12", "b" }, "" },
        { SET_OF_PACK, { "12", "a", "12" }, "same member twice" },
        { ZSET_OF_PACK, { "a", "1", "b", "0.5" }, "" }, /* put into order */
        { ZSET_OF_PACK, { "a", "1", "a", "2" }, "same member twice" },
        { ZSET_OF_PACK, { "a", "1", "b", "x" }, "not a number" },
    };
    hash_init();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keyspace *keyspace = keyspace_create(1);
        struct buf records = BUF_EMPTY;
        struct rdb_error error;
        put_pack(&records, HASH_OF_PACK, "before", cases[0].texts);
        put_pack(&records, cases[i].type, "key", cases[i].texts);
        put_pack(&records, HASH_OF_PACK, "behind", cases[0].texts);
        const char *wrong = load_records(keyspace, &records, &error);
        cr_assert(*cases[i].wrong ? strstr(wrong, cases[i].wrong) != NULL : !*wrong, "%zu: %s", i, wrong);
        cr_assert_eq(keyspace_size(keyspace->dbs[0]), *cases[i].wrong ? 1 : 3);
        cr_assert_eq(keyspace_check(keyspace, complain, NULL), 0);
        keyspace_destroy(keyspace);
        buf_fini(&records);
    }
}

Test(rdb, the_same_key_twice_is_an_error_whatever_its_values_are)
{
    static const char *const texts[] = { "a", "1", NULL };
    hash_init();
    for (int kind = 0; kind < 4; kind++) {
        struct keyspace *keyspace = keyspace_create(1);
        struct buf records = BUF_EMPTY;
        struct rdb_error error;
        for (int i = 0; i < 2; i++) {
            if ((kind >> i & 1) == 0)
                put_record(&records, 0, BYTES("twin"), BYTES("text"));
            else
                put_pack(&records, HASH_OF_PACK, "twin", texts);
            put_pack(&records, HASH_OF_PACK, i ? "other" : "one", texts);
        }
        cr_assert(strstr(load_records(keyspace, &records, &error), "same key twice"));
        cr_assert_eq(keyspace_check(keyspace, complain, NULL), 0);
        keyspace_destroy(keyspace);
        buf_fini(&records);
    }
}

Test(rdb, what_stands_before_a_key_is_its_own)
{
    enum { COUNT = 300, IDLE_S = 40 };
    static const char *const texts[] = { "a", "1", NULL };
    hash_init();
    struct keyspace *keyspace = keyspace_create(1);
    struct buf records = BUF_EMPTY;
    struct rdb_error error;
    evict_tick(keyspace, NOW);
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        struct bytes key = bytes_make(name, (size_t)snprintf(name, sizeof name, "key %d", i));
        if (i % 3 == 1) {
            int64_t at_ms = NOW + i;
            buf_append_char(&records, (char)252);
            buf_append(&records, bytes_make((const char *)&at_ms, sizeof at_ms)); /* of a little-endian machine */
        }
        if (i % 5 == 2) {
            buf_append_char(&records, (char)TYPE_IDLE);
            buf_append_char(&records, IDLE_S);
        }
        if (i % 2)
            put_record(&records, 0, key, BYTES("text"));
        else
            put_pack(&records, HASH_OF_PACK, name, texts);
    }
    cr_assert_str_empty(load_records(keyspace, &records, &error));
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        struct bytes key = bytes_make(name, (size_t)snprintf(name, sizeof name, "key %d", i));
        const struct entry *entry = keyspace_glance(keyspace->dbs[0], key_make(key));
        cr_assert(entry && entry->type == (i % 2 ? ENTRY_STRING : ENTRY_HASH));
        cr_assert_eq(entry_expiry(entry), i % 3 == 1 ? NOW + i : EXPIRY_NONE);
        cr_assert_eq(evict_idle_s(keyspace, entry, NOW), i % 5 == 2 ? IDLE_S : 0);
    }
    keyspace_destroy(keyspace);
    buf_fini(&records);
}

/* The member of a set in a file: a word, unless the set is of integers, or becomes mixed with this one. */
static size_t member_of_set(char text[16], int kind, int number, int count)
{
    enum { WORDS, INTEGERS, LAST_IS_WORD, FIRST_IS_WORD };
    bool word = kind == WORDS || (kind == LAST_IS_WORD && number == count - 1) || (kind == FIRST_IS_WORD && !number);
    return (size_t)snprintf(text, 16, word ? "member %d" : "%d", number);
}

/* Whatever is known of the members beforehand, a set is as if they had been added one by one, and none comes twice. */
Test(rdb, a_set_that_is_not_packed_is_as_if_members_were_added)
{
    static const int counts[] = { 1, 2, 8, 9, 10, 127, 128, 129, 200, 511, 512, 513 };
    enum { KINDS = 4, LEN_14 = 0x40 };
    hash_init();
    for (size_t i = 0; i < sizeof counts / sizeof *counts * KINDS * 2; i++) {
        int count = counts[i / KINDS / 2], kind = i / 2 % KINDS, twin = count > 1 && i % 2;
        struct keyspace *keyspace = keyspace_create(1);
        struct set expected = set_create();
        struct buf records = BUF_EMPTY;
        struct rdb_error error;
        buf_append(&records, BYTES("\x02\x01k"));
        buf_append_char(&records, (char)(LEN_14 | count >> 8));
        buf_append_char(&records, (char)(count & 255));
        for (int number = 0; number < count; number++) {
            char text[16];
            size_t len = member_of_set(text, kind, twin && number == count - 1 ? count / 2 - 1 : number, count);
            buf_append_char(&records, (char)len);
            buf_append(&records, bytes_make(text, len));
            set_add(&expected, keyspace->settings, set_member_from_bytes(bytes_make(text, len)));
        }
        const char *wrong = load_records(keyspace, &records, &error);
        cr_assert(twin ? strstr(wrong, "twice") != NULL : !*wrong, "%d of kind %d: %s", count, kind, wrong);
        const struct entry *entry = keyspace_glance(keyspace->dbs[0], key_make(BYTES("k")));
        cr_assert_eq(entry != NULL, !twin);
        if (entry) {
            cr_assert_eq(entry->encoding, expected.encoding, "%d of kind %d: %d", count, kind, entry->encoding);
            cr_assert_eq(set_count(set_of(entry)), (size_t)count);
        }
        cr_assert_eq(keyspace_check(keyspace, complain, NULL), 0);
        set_destroy(expected);
        keyspace_destroy(keyspace);
        buf_fini(&records);
    }
}

/* Records of large sets and hashes, whose elements are added many at a time. */
Test(rdb, a_large_collection_has_no_element_twice)
{
    enum { COUNT = 1000, LEN_14 = 0x40 };
    hash_init();
    for (int type = 2; type <= 4; type += 2)
        for (int twin = 0; twin < 2; twin++) {
            struct keyspace *keyspace = keyspace_create(1);
            struct buf records = BUF_EMPTY;
            struct rdb_error error;
            buf_append_char(&records, (char)type);
            buf_append(&records, BYTES("\x01k"));
            buf_append_char(&records, (char)(LEN_14 | COUNT >> 8));
            buf_append_char(&records, (char)(COUNT & 255));
            for (int i = 0; i < COUNT; i++) {
                char text[16];
                int number = twin && i == COUNT - 1 ? COUNT / 2 : i;
                size_t len = (size_t)snprintf(text, sizeof text, "element %d", number);
                for (int part = 0; part < type / 2; part++) {
                    buf_append_char(&records, (char)len);
                    buf_append(&records, bytes_make(text, len));
                }
            }
            const char *wrong = load_records(keyspace, &records, &error);
            cr_assert(twin ? strstr(wrong, "twice") != NULL : !*wrong, "type %d: %s", type, wrong);
            cr_assert_eq(keyspace_size(keyspace->dbs[0]), !twin);
            cr_assert_eq(keyspace_check(keyspace, complain, NULL), 0);
            keyspace_destroy(keyspace);
            buf_fini(&records);
        }
}
