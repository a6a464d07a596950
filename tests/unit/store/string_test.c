/*
 * Tests of strings: how each is kept, storing over what is there, editing in place, and memory that runs out.
 */
#include "store/string.h"

#include "fixture.h"

static bool encoded_as(const struct entry *entry, const char *name)
{
    return strcmp(entry_encoding_name(entry), name) == 0;
}

static char *edit(struct fixture *f, const char *key, size_t len)
{
    struct entry *entry = keyspace_write(f->keyspace, f->db, key_of(key), NOW);
    return keyspace_edit_string(f->keyspace, f->db, key_of(key), entry, len);
}

Test(string, header_is_eight_bytes)
{
    REQUIRE(sizeof(struct entry) == 8);
    REQUIRE(offsetof(struct entry, body) == 8);
}

Test(string, type_names)
{
    const char *names[] = { "string", "list", "set", "zset", "hash", "stream", "ReJSON-RL" };
    for (int i = 0; i < ENTRY_TYPES; i++)
        REQUIRE(strcmp(entry_type_name((enum entry_type)i), names[i]) == 0);
}

Test(string, encodings)
{
    struct fixture f;
    fixture_begin(&f);
    static char text[5000];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len <= sizeof text; len += len < 1030 ? 1 : 97) {
        struct bytes value = bytes_make(text, len);
        struct entry *entry = keyspace_set_string(f.keyspace, f.db, key_of("key"), value, EXPIRY_NONE, NOW);
        REQUIRE(holds(entry, value) && encoded_as(entry, len <= 44 ? "embstr" : "raw"));
        REQUIRE(!!string_blob(entry) == (len > ENTRY_EMBED_MAX));
        REQUIRE(entry == peek(&f, "key"));
    }
    check(&f);
    REQUIRE(!keyspace_set_string(f.keyspace, f.db, key_of("key"), (struct bytes){ 0 }, EXPIRY_NONE, NOW)->value_len);
    fixture_end(&f);
}

Test(string, integers_are_kept_as_such)
{
    struct fixture f;
    fixture_begin(&f);
    const char *integers[] = { "0", "-1", "7", "12345", "9223372036854775807", "-9223372036854775808" };
    for (size_t i = 0; i < 6; i++) {
        struct entry *entry = set(&f, "key", integers[i]);
        int64_t value;
        REQUIRE(encoded_as(entry, "int") && holds_text(entry, integers[i]) && string_to_i64(entry, &value));
        REQUIRE(value == strtoll(integers[i], NULL, 10));
    }
    const char *others[] = { "", "-", "-0", "00", "+1", " 1", "1 ", "1.0", "9223372036854775808",
        "-9223372036854775809", "123456789012345678901", "x" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct entry *entry = set(&f, "key", others[i]);
        int64_t value = 42;
        REQUIRE(encoded_as(entry, "embstr") && holds_text(entry, others[i]));
        REQUIRE(!string_to_i64(entry, &value) && value == 42);
    }
    struct entry *entry = keyspace_set_integer(f.keyspace, f.db, key_of("n"), INT64_MIN, EXPIRY_NONE, NOW);
    REQUIRE(holds_text(entry, "-9223372036854775808") && string_len(entry) == 20 && !string_blob(entry));
    REQUIRE(keyspace_set_integer(f.keyspace, f.db, key_of("n"), 5, EXPIRY_KEEP, NOW) == entry);
    REQUIRE(holds_text(entry, "5"));
    fixture_end(&f);
}

Test(string, text_that_reads_as_an_integer_after_an_edit)
{
    struct fixture f;
    fixture_begin(&f);
    memcpy(edit(&f, "key", 3), "123", 3);
    int64_t value;
    REQUIRE(encoded_as(peek(&f, "key"), "raw") && string_to_i64(peek(&f, "key"), &value) && value == 123);
    memcpy(edit(&f, "key", 3000), "45", 2);
    REQUIRE(!string_to_i64(peek(&f, "key"), &value));
    edit(&f, "key", 2);
    REQUIRE(string_to_i64(peek(&f, "key"), &value) && value == 45);
    fixture_end(&f);
}

Test(string, storing_over_keeps_the_place_within_a_class)
{
    struct fixture f;
    fixture_begin(&f);
    struct entry *entry = set(&f, "key", "a value of some bytes");
    f.keyspace->clock = 9;
    REQUIRE(set(&f, "key", "another value of that") == entry && entry->clock == 9);
    f.keyspace->clock = 10;
    f.keyspace->touch = false;
    REQUIRE(set(&f, "key", "touched not this time") == entry && entry->clock == 9);
    REQUIRE(f.keyspace->stats.dirty == 3 && f.touched == 3);
#ifdef LARDER_JEMALLOC
    /* 8 + 3 + 21 bytes are a class of 32, which 16 to 21 bytes of value share, or 8 to 13 with an expiry. */
    REQUIRE(set(&f, "key", "sixteen bytes...") == entry);
    REQUIRE(set_until(&f, "key", "eight...", NOW + 1) == entry && f.db->expires == 1);
    REQUIRE(set_until(&f, "key", "77", EXPIRY_KEEP) == entry && entry_expiry(entry) == NOW + 1);
    REQUIRE(set(&f, "key", "sixteen bytes...") == entry && f.db->expires == 0);
#endif
    check(&f);
    fixture_end(&f);
}

Test(string, storing_over_every_layout)
{
    struct fixture f;
    fixture_begin(&f);
    static char text[3000];
    memset(text, 't', sizeof text);
    struct bytes values[] = { BYTES("1"), BYTES(""), BYTES("t"), bytes_make(text, 40), bytes_make(text, 1024),
        bytes_make(text, 1025), bytes_make(text, 3000), BYTES("-55") };
    int64_t expiries[] = { EXPIRY_NONE, EXPIRY_KEEP, NOW + 7 };
    for (int i = 0; i < 8 * 8 * 3 * 3; i++) {
        struct key key = key_of("key");
        struct bytes before = values[i % 8], after = values[i / 8 % 8];
        int64_t first = expiries[i / 64 % 3], second = expiries[i / 192];
        keyspace_remove(f.keyspace, f.db, key);
        struct entry *entry = keyspace_set_string(f.keyspace, f.db, key, before, first, NOW);
        int64_t at_ms = first == EXPIRY_KEEP ? EXPIRY_NONE : first;
        REQUIRE(holds(entry, before) && entry_expiry(entry) == at_ms);
        entry = keyspace_set_string(f.keyspace, f.db, key, after, second, NOW);
        at_ms = second == EXPIRY_KEEP ? at_ms : second;
        REQUIRE(entry == peek(&f, "key") && holds(entry, after) && entry_expiry(entry) == at_ms);
        check(&f);
    }
    fixture_end(&f);
}

Test(string, storing_over_an_expired_key)
{
    struct fixture f;
    fixture_begin(&f);
    set_until(&f, "key", "old", NOW - 1);
    f.touched = 0;
    struct entry *entry = set_until(&f, "key", "new", EXPIRY_KEEP);
    REQUIRE(holds_text(entry, "new") && entry_expiry(entry) == EXPIRY_NONE);
    REQUIRE(f.expired == 1 && f.keyspace->stats.expired == 1 && f.touched == 2 && f.db->expires == 0);
    set_until(&f, "key", "1", NOW - 1);
    REQUIRE(entry_expiry(keyspace_set_integer(f.keyspace, f.db, key_of("key"), 2, EXPIRY_KEEP, NOW)) == EXPIRY_NONE);
    set_until(&f, "key", "1", NOW - 1);
    entry = set_until(&f, "key", "2", NOW + 1);
    REQUIRE(entry_expiry(entry) == NOW + 1 && f.expired == 3 && f.db->expires == 1);
    fixture_end(&f);
}

Test(string, taking_blobs)
{
    struct fixture f;
    fixture_begin(&f);
    static char text[3000];
    memset(text, 't', sizeof text);
    struct blob *blob = blob_from_bytes(bytes_make(text, sizeof text));
    struct entry *entry = keyspace_set_string_take(f.keyspace, f.db, key_of("key"), blob, NOW + 1, NOW);
    REQUIRE(string_blob(entry) == blob && !blob_is_shared(blob) && encoded_as(entry, "raw"));
    REQUIRE(string_len(entry) == sizeof text && entry_expiry(entry) == NOW + 1);

    /* Somebody's reference outlives the value. */
    blob_ref(blob);
    struct blob *small = blob_from_bytes(bytes_make(text, 30));
    REQUIRE(keyspace_set_string_take(f.keyspace, f.db, key_of("key"), small, EXPIRY_KEEP, NOW)->value_len == 30);
    REQUIRE(!blob_is_shared(blob) && blob->len == sizeof text);
    blob_unref(blob);
    entry = keyspace_set_string_take(f.keyspace, f.db, key_of("n"), blob_from_bytes(BYTES("12")), EXPIRY_NONE, NOW);
    REQUIRE(encoded_as(entry, "int"));
    fixture_end(&f);
}

Test(string, memory_of_an_entry)
{
    struct fixture f;
    fixture_begin(&f);
    set(&f, "warm", "up");
    static char text[300000];
    size_t lens[] = { 0, 1, 64, 1000, 1024, 1025, 5000, 300000 };
    for (int i = 0; i < 8; i++) {
        size_t before = mem_used();
        struct bytes value = bytes_make(text, lens[i]);
        struct entry *entry = keyspace_set_string(f.keyspace, f.db, key_of("key"), value, EXPIRY_NONE, NOW);
        REQUIRE(entry_memory(entry) == mem_used() - before);
        keyspace_remove(f.keyspace, f.db, key_of("key"));
        REQUIRE(mem_used() == before);
    }
    fixture_end(&f);
}

Test(string, editing_creates)
{
    struct fixture f;
    fixture_begin(&f);
    size_t lens[] = { 0, 1, 44, 1024, 1025, 70000 };
    for (int i = 0; i < 6; i++) {
        f.keyspace->stats.dirty = 0;
        char *at = edit(&f, "key", lens[i]);
        struct entry *entry = peek(&f, "key");
        struct string_scratch scratch;
        REQUIRE(at && at == string_view(entry, &scratch).ptr && string_len(entry) == lens[i]);
        REQUIRE(encoded_as(entry, "raw") && f.keyspace->stats.dirty == 1 && entry_expiry(entry) == EXPIRY_NONE);
        for (size_t j = 0; j < lens[i]; j++)
            REQUIRE(at[j] == 0);
        check(&f);
        keyspace_remove(f.keyspace, f.db, key_of("key"));
    }
    fixture_end(&f);
}

/* From every layout to lengths on both sides of the borders: what was there stays, what is new is zero. */
Test(string, editing_keeps_and_zeroes)
{
    struct fixture f;
    fixture_begin(&f);
    static char text[4000];
    memset(text, 't', sizeof text);
    struct bytes values[] = { BYTES("-1234567890"), BYTES(""), bytes_make(text, 20), bytes_make(text, 1024),
        bytes_make(text, 1025), bytes_make(text, 4000) };
    size_t lens[] = { 0, 5, 8, 11, 20, 21, 1000, 1024, 1025, 2000, 4000, 4001, 9000 };
    for (int i = 0; i < 6 * 13 * 2 * 2; i++) {
        struct bytes before = values[i % 6];
        size_t len = lens[i / 6 % 13], keep = before.len < len ? before.len : len;
        bool shared = i / 78 % 2;
        int64_t at_ms = i / 156 ? NOW + 1 : EXPIRY_NONE;
        struct entry *entry = keyspace_set_string(f.keyspace, f.db, key_of("key"), before, at_ms, NOW);
        struct blob *held = shared && string_blob(entry) ? blob_ref(string_blob(entry)) : NULL;
        f.keyspace->stats.dirty = 0;
        f.touched = 0;
        char *at = edit(&f, "key", len);
        REQUIRE(memcmp(at, before.ptr, keep) == 0);
        for (size_t j = keep; j < len; j++)
            REQUIRE(at[j] == 0);
        memset(at, 'n', len);
        entry = peek(&f, "key");
        REQUIRE(string_len(entry) == len && entry_expiry(entry) == at_ms && encoded_as(entry, "raw"));
        REQUIRE(f.keyspace->stats.dirty == 1 && f.touched == 1);
        REQUIRE(!held || bytes_equal(blob_bytes(held), before));
        blob_unref(held);
        check(&f);
    }
    fixture_end(&f);
}

Test(string, growing_costs_few_allocations)
{
    struct fixture f;
    fixture_begin(&f);
    size_t moves = 0, len = 0;
    const char *last = NULL;
    for (; len < 300000; len++) {
        char *at = edit(&f, "key", len + 1);
        REQUIRE(at[len] == 0);
        at[len] = (char)('a' + len % 26);
        moves += at != last;
        last = at;
    }
    for (size_t i = 0; i < len; i++)
        REQUIRE(string_blob(peek(&f, "key"))->data[i] == (char)('a' + i % 26));
#ifdef LARDER_JEMALLOC
    REQUIRE(moves < 100);
#else
    REQUIRE(moves < 100 + ENTRY_EMBED_MAX);
#endif
    /* Beyond a megabyte there is a megabyte of slack at most. */
    edit(&f, "key", 16 << 20);
    edit(&f, "key", (32 << 20) + 1);
    REQUIRE(string_blob(peek(&f, "key"))->cap <= (size_t)(40 << 20));
    /* What was cut off and comes back is zero. */
    memset(edit(&f, "key", 5000), 'x', 5000);
    edit(&f, "key", 10);
    REQUIRE(memcmp(edit(&f, "key", 20), "xxxxxxxxxx\0\0\0\0\0\0\0\0\0\0", 20) == 0);
    fixture_end(&f);
}

Test(string, storing_over_an_edited_string)
{
    struct fixture f;
    fixture_begin(&f);
    memset(edit(&f, "key", 10), 'x', 10);
    REQUIRE(encoded_as(peek(&f, "key"), "raw"));
    REQUIRE(encoded_as(set(&f, "key", "yyyyyyyyyy"), "embstr"));
    edit(&f, "key", 10);
    keyspace_copy(f.keyspace, f.db, key_of("key"), f.db, key_of("copy"));
    REQUIRE(encoded_as(peek(&f, "copy"), "raw"));
    edit(&f, "key", 2000);
    REQUIRE(encoded_as(set(&f, "key", "yy"), "embstr"));
    fixture_end(&f);
}

/*
 * Every allocation that an edit makes fails once, from every layout: nothing has changed, and the same edit then works.
 */
Test(string, editing_without_memory_changes_nothing)
{
    struct fixture f;
    fixture_begin(&f);
    static char text[4000];
    memset(text, 't', sizeof text);
    struct bytes values[] = { { 0 }, BYTES("77"), bytes_make(text, 20), bytes_make(text, 1024),
        bytes_make(text, 4000) };
    size_t lens[] = { 5, 300, 1025, 9000 };
    size_t failures = 0;
    for (int i = 0; i < 5 * 4 * 2; i++) {
        struct bytes before = values[i % 5];
        size_t len = lens[i / 5 % 4];
        for (uint64_t nth = 1;; nth++) {
            keyspace_remove(f.keyspace, f.db, key_of("key"));
            struct entry *entry = NULL;
            if (before.ptr)
                entry = keyspace_set_string(f.keyspace, f.db, key_of("key"), before, NOW + 5, NOW);
            struct blob *held = i / 20 && entry && string_blob(entry) ? blob_ref(string_blob(entry)) : NULL;
            uint64_t dirty = f.keyspace->stats.dirty;
            size_t used = mem_used();
            int touched = f.touched;
            mem_fail_nth(nth);
            char *at = edit(&f, "key", len);
            mem_fail_nth(0);
            if (at) {
                REQUIRE(string_len(peek(&f, "key")) == len);
                blob_unref(held);
                break;
            }
            failures++;
            REQUIRE(f.keyspace->stats.dirty == dirty && f.touched == touched && mem_used() == used);
            REQUIRE(peek(&f, "key") == entry);
            REQUIRE(!entry || (holds(entry, before) && entry_expiry(entry) == NOW + 5));
            check(&f);
            blob_unref(held);
            REQUIRE(nth < 10);
        }
    }
    REQUIRE(failures >= 20);
    fixture_end(&f);
}
