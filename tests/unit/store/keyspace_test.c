/*
 * Tests of the keyspace: the contract of every function, case by case, on a clock that stands still.
 */
#include "store/keyspace.h"

#include "fixture.h"

Test(keyspace, databases)
{
    struct fixture f;
    fixture_begin(&f);
    REQUIRE(keyspace_db(f.keyspace, 2) && keyspace_db(f.keyspace, 2)->index == 2);
    REQUIRE(!keyspace_db(f.keyspace, 3) && !keyspace_db(f.keyspace, -1));
    REQUIRE(!keyspace_db(f.keyspace, INT64_MAX) && !keyspace_db(f.keyspace, (int64_t)1 << 32));
    set(&f, "key", "value");
    REQUIRE(keyspace_size(f.db) == 1 && keyspace_size(f.other) == 0);
    REQUIRE(!keyspace_peek(f.keyspace, f.other, key_of("key"), NOW));
    keyspace_destroy(NULL);
    fixture_end(&f);
}

Test(keyspace, lookups_count_and_touch)
{
    struct fixture f;
    fixture_begin(&f);
    f.keyspace->clock = 7;
    struct entry *entry = set(&f, "key", "value");
    REQUIRE(entry->clock == 7);
    f.keyspace->clock = 8;

    REQUIRE(peek(&f, "key") == entry && !peek(&f, "no"));
    REQUIRE(entry->clock == 7 && f.keyspace->stats.hits == 0 && f.keyspace->stats.misses == 0);
    REQUIRE(keyspace_write(f.keyspace, f.db, key_of("key"), NOW) == entry);
    REQUIRE(!keyspace_write(f.keyspace, f.db, key_of("no"), NOW));
    REQUIRE(entry->clock == 8 && f.keyspace->stats.hits == 0 && f.keyspace->stats.misses == 0);
    f.keyspace->clock = 9;
    REQUIRE(keyspace_read(f.keyspace, f.db, key_of("key"), NOW) == entry);
    REQUIRE(!keyspace_read(f.keyspace, f.db, key_of("no"), NOW));
    REQUIRE(entry->clock == 9 && f.keyspace->stats.hits == 1 && f.keyspace->stats.misses == 1);

    f.keyspace->clock = 10;
    f.keyspace->touch = false;
    keyspace_read(f.keyspace, f.db, key_of("key"), NOW);
    keyspace_write(f.keyspace, f.db, key_of("key"), NOW);
    REQUIRE(entry->clock == 9);
    REQUIRE(f.keyspace->stats.dirty == 1);
    fixture_end(&f);
}

Test(keyspace, keys_of_every_length)
{
    struct fixture f;
    fixture_begin(&f);
    char text[601];
    for (size_t len = 0; len <= 600; len++) {
        memset(text, 'k', len);
        struct key key = key_make(bytes_make(text, len));
        keyspace_set_integer(f.keyspace, f.db, key, (int64_t)len, len % 2 ? NOW + 5 : EXPIRY_NONE, NOW);
    }
    REQUIRE(keyspace_size(f.db) == 601 && f.db->expires == 300);
    memset(text, 'k', sizeof text);
    for (size_t len = 0; len <= 600; len++) {
        struct entry *entry = keyspace_peek(f.keyspace, f.db, key_make(bytes_make(text, len)), NOW);
        int64_t value;
        REQUIRE(entry && string_to_i64(entry, &value) && value == (int64_t)len);
        REQUIRE(bytes_equal(entry_key(entry), bytes_make(text, len)));
        /* One byte off, anywhere, is another key, even if the hash is the same. */
        struct key key = key_make(bytes_make(text, len));
        for (size_t i = 0; i < len; i += len < 80 ? 1 : 31) {
            text[i] = 'x';
            REQUIRE(!keyspace_peek(f.keyspace, f.db, key, NOW));
            text[i] = 'k';
        }
    }
    fixture_end(&f);
}

Test(keyspace, expired_entries_are_removed_when_met)
{
    struct fixture f;
    fixture_begin(&f);
    set_until(&f, "a", "1", NOW);
    REQUIRE(peek(&f, "a") && f.db->expires == 1);

    set_until(&f, "b", "1", NOW - 1);
    f.touched = 0;
    f.keyspace->stats.dirty = 0;
    REQUIRE(keyspace_size(f.db) == 2);
    REQUIRE(!keyspace_read(f.keyspace, f.db, key_of("b"), NOW));
    REQUIRE(f.keyspace->stats.misses == 1 && f.keyspace->stats.expired == 1 && f.keyspace->stats.expired_by_walk == 0);
    REQUIRE(f.expired == 1 && f.touched == 1 && f.size_when_expired == 1);
    REQUIRE(strcmp(f.last_expired, "b") == 0 && strcmp(f.last_touched, "b") == 0);
    REQUIRE(keyspace_size(f.db) == 1 && f.db->expires == 1);

    f.keyspace->watched = 0;
    REQUIRE(!keyspace_peek(f.keyspace, f.db, key_of("a"), NOW + 1));
    REQUIRE(f.expired == 2 && f.touched == 1 && f.db->expires == 0 && f.keyspace->stats.misses == 1);
    set_until(&f, "c", "1", NOW - 1);
    REQUIRE(!keyspace_write(f.keyspace, f.db, key_of("c"), NOW));
    REQUIRE(f.expired == 3 && f.keyspace->stats.dirty == 1 && keyspace_size(f.db) == 0);
    fixture_end(&f);
}

Test(keyspace, an_observer_may_be_absent)
{
    struct fixture f;
    fixture_begin(&f);
    f.keyspace->observer = (struct keyspace_observer){ 0 };
    set_until(&f, "a", "1", NOW - 1);
    REQUIRE(!peek(&f, "a"));
    set(&f, "a", "2");
    keyspace_move(f.keyspace, f.db, key_of("a"), f.db, key_of("b"));
    keyspace_swap(f.keyspace, f.db, f.other);
    keyspace_flush(f.keyspace, f.other);
    fixture_end(&f);
}

Test(keyspace, edit_and_remove)
{
    struct fixture f;
    fixture_begin(&f);
    struct entry *entry = set(&f, "key", "value");
    REQUIRE(f.touched == 1 && f.keyspace->stats.dirty == 1);
    keyspace_edit(f.keyspace, f.db, key_of("key"), entry);
    REQUIRE(f.touched == 2 && f.keyspace->stats.dirty == 2 && strcmp(f.last_touched, "key") == 0);
    f.keyspace->watched = 0;
    keyspace_edit(f.keyspace, f.db, key_of("key"), entry);
    REQUIRE(f.touched == 2 && f.keyspace->stats.dirty == 3);
    f.keyspace->watched = 1;

    REQUIRE(!keyspace_remove(f.keyspace, f.db, key_of("no")));
    REQUIRE(f.touched == 2 && f.keyspace->stats.dirty == 3);
    REQUIRE(keyspace_remove(f.keyspace, f.db, key_of("key")));
    REQUIRE(f.touched == 3 && f.keyspace->stats.dirty == 4 && keyspace_size(f.db) == 0);

    /* Expired or not; and the key may lie in the entry. */
    entry = set_until(&f, "old", "value", NOW - 1);
    REQUIRE(keyspace_remove(f.keyspace, f.db, key_make(entry_key(entry))));
    REQUIRE(strcmp(f.last_touched, "old") == 0 && f.expired == 0 && f.db->expires == 0);
    fixture_end(&f);
}

Test(keyspace, set_expiry)
{
    struct fixture f;
    fixture_begin(&f);
    char key[400], value[200];
    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value);
    for (size_t key_len = 1; key_len < sizeof key; key_len += key_len < 40 ? 1 : 51)
        for (size_t len = 1; len < sizeof value; len += 3) {
            struct key name = key_make(bytes_make(key, key_len));
            struct bytes text = bytes_make(value, len);
            struct entry *entry = keyspace_set_string(f.keyspace, f.db, name, text, EXPIRY_NONE, NOW);
            entry->clock = 77;
            entry = keyspace_set_expiry(f.keyspace, f.db, name, entry, NOW + 9);
            REQUIRE(entry == keyspace_peek(f.keyspace, f.db, name, NOW) && entry_expiry(entry) == NOW + 9);
            REQUIRE(holds(entry, text) && entry->clock == 77 && f.db->expires == 1);
            REQUIRE(keyspace_set_expiry(f.keyspace, f.db, name, entry, NOW + 10) == entry);
            REQUIRE(entry_expiry(entry) == NOW + 10 && f.db->expires == 1);
            check(&f);
            entry = keyspace_set_expiry(f.keyspace, f.db, name, entry, EXPIRY_NONE);
            REQUIRE(entry == keyspace_peek(f.keyspace, f.db, name, NOW) && entry_expiry(entry) == EXPIRY_NONE);
            REQUIRE(holds(entry, text) && entry->clock == 77 && f.db->expires == 0);
            REQUIRE(keyspace_set_expiry(f.keyspace, f.db, name, entry, EXPIRY_NONE) == entry);
            check(&f);
            keyspace_remove(f.keyspace, f.db, name);
        }
    struct entry *entry = set(&f, "key", "value");
    uint64_t dirty = f.keyspace->stats.dirty;
    int touched = f.touched;
    keyspace_set_expiry(f.keyspace, f.db, key_of("key"), entry, -5);
    REQUIRE(f.keyspace->stats.dirty == dirty + 1 && f.touched == touched + 1 && !peek(&f, "key"));
    fixture_end(&f);
}

Test(keyspace, move)
{
    struct fixture f;
    fixture_begin(&f);
    f.keyspace->clock = 3;
    set_until(&f, "from", "value", NOW + 5);
    set(&f, "to", "another");
    f.keyspace->clock = 4;
    f.keyspace->stats.dirty = 0;
    f.touched = 0;
    keyspace_move(f.keyspace, f.db, key_of("from"), f.db, key_of("to"));
    REQUIRE(f.keyspace->stats.dirty == 1 && f.touched == 2);
    REQUIRE(keyspace_size(f.db) == 1 && !peek(&f, "from") && holds_text(peek(&f, "to"), "value"));
    REQUIRE(entry_expiry(peek(&f, "to")) == NOW + 5 && f.db->expires == 1 && peek(&f, "to")->clock == 3);
    check(&f);

    /* Under the same key in another database the entry itself moves, and what expires is counted there. */
    struct entry *entry = peek(&f, "to");
    keyspace_move(f.keyspace, f.db, key_of("to"), f.other, key_of("to"));
    REQUIRE(keyspace_peek(f.keyspace, f.other, key_of("to"), NOW) == entry);
    REQUIRE(keyspace_size(f.db) == 0 && f.db->expires == 0 && f.other->expires == 1);
    check(&f);

    /* Over something expired, from something that is not, with the keys lying in entries. */
    set_until(&f, "to", "old", NOW - 1);
    struct entry *target = peek(&f, "to");
    REQUIRE(!target);
    set_until(&f, "to", "old", NOW - 1);
    keyspace_move(f.keyspace, f.other, key_make(entry_key(entry)), f.db, key_of("to"));
    REQUIRE(holds_text(peek(&f, "to"), "value") && f.db->expires == 1 && keyspace_size(f.other) == 0);
    fixture_end(&f);
}

Test(keyspace, move_of_every_layout)
{
    struct fixture f;
    fixture_begin(&f);
    static char text[3000];
    memset(text, 't', sizeof text);
    size_t key_lens[] = { 0, 1, 16, 255, 256, 300 }, value_lens[] = { 0, 1, 64, 1024, 1025, 3000 };
    for (int i = 0; i < 6 * 6 * 6; i++) {
        struct key from = key_make(bytes_make(text, key_lens[i % 6]));
        struct key to = key_make(bytes_make(text, key_lens[i / 6 % 6]));
        struct bytes value = bytes_make(text, value_lens[i / 36]);
        int64_t at_ms = i % 2 ? NOW + i : EXPIRY_NONE;
        keyspace_set_string(f.keyspace, f.db, from, value, at_ms, NOW);
        keyspace_move(f.keyspace, f.db, from, f.other, to);
        struct entry *entry = keyspace_peek(f.keyspace, f.other, to, NOW);
        REQUIRE(holds(entry, value) && entry_expiry(entry) == at_ms && keyspace_size(f.db) == 0);
        check(&f);
    }
    fixture_end(&f);
}

Test(keyspace, copy)
{
    struct fixture f;
    fixture_begin(&f);
    static char text[3000];
    memset(text, 't', sizeof text);
    struct bytes large = bytes_make(text, sizeof text);
    set_until(&f, "small", "value", NOW + 5);
    keyspace_set_string(f.keyspace, f.db, key_of("large"), large, EXPIRY_NONE, NOW);
    f.keyspace->stats.dirty = 0;
    f.touched = 0;
    keyspace_copy(f.keyspace, f.db, key_of("small"), f.other, key_of("copy"));
    REQUIRE(f.keyspace->stats.dirty == 1 && f.touched == 1 && strcmp(f.last_touched, "copy") == 0);
    struct entry *copy = keyspace_peek(f.keyspace, f.other, key_of("copy"), NOW);
    REQUIRE(holds_text(copy, "value") && entry_expiry(copy) == NOW + 5 && f.other->expires == 1 && peek(&f, "small"));

    /* Replaces; the large string is shared, and its original not changed by an edit of the copy. */
    keyspace_copy(f.keyspace, f.db, key_of("large"), f.other, key_of("copy"));
    copy = keyspace_peek(f.keyspace, f.other, key_of("copy"), NOW);
    REQUIRE(string_blob(copy) && string_blob(copy) == string_blob(peek(&f, "large")) && f.other->expires == 0);
    char *at = keyspace_edit_string(f.keyspace, f.other, key_of("copy"), copy, sizeof text);
    at[0] = 'X';
    REQUIRE(holds(peek(&f, "large"), large));
    copy = keyspace_peek(f.keyspace, f.other, key_of("copy"), NOW);
    REQUIRE(string_blob(copy)->data[0] == 'X' && !blob_is_shared(string_blob(peek(&f, "large"))));
    keyspace_copy(f.keyspace, f.db, key_of("small"), f.db, key_of("large"));
    REQUIRE(holds_text(peek(&f, "large"), "value") && f.db->expires == 2);
    fixture_end(&f);
}

Test(keyspace, flush_and_swap)
{
    struct fixture f;
    fixture_begin(&f);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        set_until(&f, key, "value", i % 2 ? NOW + 5 : EXPIRY_NONE);
    }
    f.keyspace->stats.dirty = 0;
    keyspace_swap(f.keyspace, f.db, f.other);
    REQUIRE(f.replaced == 2 && f.db->index == 0 && f.other->index == 1 && f.keyspace->stats.dirty == 1);
    REQUIRE(
        keyspace_size(f.db) == 0 && keyspace_size(f.other) == 1000 && f.other->expires == 500 && f.db->expires == 0);
    keyspace_swap(f.keyspace, f.other, f.other);
    REQUIRE(keyspace_size(f.other) == 1000);
    check(&f);

    f.keyspace->stats.dirty = 0;
    f.replaced = 0;
    size_t used = mem_used();
    REQUIRE(keyspace_flush(f.keyspace, f.other) == 1000);
    REQUIRE(f.replaced == 1 && f.keyspace->stats.dirty == 1000 && keyspace_size(f.other) == 0 && f.other->expires == 0);
    REQUIRE(reclaim_pending(f.keyspace->reclaim) == 1000);
    while (reclaim_step(f.keyspace->reclaim, 10))
        ;
    REQUIRE(mem_used() < used);
    REQUIRE(keyspace_flush(f.keyspace, f.other) == 0 && f.keyspace->stats.dirty == 1000);
    fixture_end(&f);
}

Test(keyspace, random_is_uniform_over_the_living)
{
    struct fixture f;
    fixture_begin(&f);
    struct random random;
    random_init(&random, 4711);
    REQUIRE(!keyspace_random(f.keyspace, f.db, &random, NOW));
    int hits[64] = { 0 };
    for (int i = 0; i < 128; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        keyspace_set_integer(f.keyspace, f.db, key_of(key), i, i % 2 ? NOW - 1 : NOW + i, NOW);
    }
    for (int i = 0; i < 64 * 400; i++) {
        struct entry *entry = keyspace_random(f.keyspace, f.db, &random, NOW);
        int64_t value;
        REQUIRE(entry && string_to_i64(entry, &value) && value % 2 == 0);
        hits[value / 2]++;
    }
    for (int i = 0; i < 64; i++)
        REQUIRE(hits[i] > 280 && hits[i] < 520); /* six standard deviations */
    REQUIRE(f.keyspace->stats.expired == 64 && f.expired == 64 && keyspace_size(f.db) == 64);
    REQUIRE(!keyspace_random(f.keyspace, f.db, &random, NOW + 1000) && keyspace_size(f.db) == 0);
    fixture_end(&f);
}

Test(keyspace, expire_step_walks_in_rounds)
{
    struct fixture f;
    fixture_begin(&f);
    size_t rounds = 0;
    REQUIRE(keyspace_expire_step(f.keyspace, f.db, 10, NOW, &rounds) == 0 && rounds == 1);
    for (int i = 0; i < 30000; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        int64_t at_ms = i % 3 == 0 ? EXPIRY_NONE : i % 3 == 1 ? NOW - 1 : NOW + 100;
        keyspace_set_integer(f.keyspace, f.db, key_of(key), i, at_ms, NOW);
    }
    f.keyspace->stats.dirty = 0;
    rounds = 0;
    size_t removed = 0, steps = 0;
    while (!rounds) {
        removed += keyspace_expire_step(f.keyspace, f.db, 50, NOW, &rounds);
        steps++;
    }
    REQUIRE(removed == 10000 && f.expired == 10000 && keyspace_size(f.db) == 20000 && f.db->expires == 10000);
    REQUIRE(f.keyspace->stats.expired == 10000 && f.keyspace->stats.expired_by_walk == 10000);
    REQUIRE(f.keyspace->stats.dirty == 0 && f.db->avg_ttl_ms == 100);
    REQUIRE(steps > 30 && f.keyspace->stats.expired_stale_ratio > 0.3 && f.keyspace->stats.expired_stale_ratio < 0.6);
    check(&f);

    /* A step is over when the round is; the average is the round's own. */
    rounds = 0;
    REQUIRE(keyspace_expire_step(f.keyspace, f.db, 1000000, NOW + 40, &rounds) == 0);
    REQUIRE(rounds == 1 && f.db->avg_ttl_ms == 60 && f.db->expire_cursor == 0);
    REQUIRE(keyspace_expire_step(f.keyspace, f.db, 1000000, NOW + 101, &rounds) > 0);
    while (f.db->expires)
        keyspace_expire_step(f.keyspace, f.db, 1000, NOW + 101, &rounds);
    REQUIRE(keyspace_size(f.db) == 10000 && f.keyspace->stats.expired_stale_ratio > 0.3);
    rounds = 0;
    keyspace_expire_step(f.keyspace, f.db, 1, NOW + 101, &rounds);
    REQUIRE(rounds == 1 && f.db->avg_ttl_ms == 0);
    fixture_end(&f);
}

Test(keyspace, average_of_expiries_out_of_reach)
{
    struct fixture f;
    fixture_begin(&f);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        set_until(&f, key, "value", INT64_MAX - i);
    }
    size_t rounds = 0;
    REQUIRE(keyspace_expire_step(f.keyspace, f.db, 1000, NOW, &rounds) == 0 && rounds == 1);
    REQUIRE(f.db->avg_ttl_ms > INT64_MAX / 2);
    fixture_end(&f);
}

static void count_complaint(void *context, const char *what)
{
    (void)what;
    ++*(size_t *)context;
}

Test(keyspace, check_finds_what_is_broken)
{
    struct fixture f;
    fixture_begin(&f);
    struct entry *entry = set_until(&f, "key", "value", NOW + 1);
    size_t complaints = 0;
    REQUIRE(keyspace_check(f.keyspace, count_complaint, &complaints) == 0 && complaints == 0);
    f.db->expires = 2;
    REQUIRE(keyspace_check(f.keyspace, count_complaint, &complaints) == 1 && complaints == 1);
    f.db->expires = 1;
    entry->encoding = STRING_INT;
    REQUIRE(keyspace_check(f.keyspace, count_complaint, &complaints) == 1);
    entry->encoding = STRING_EMBEDDED;
    entry->type = ENTRY_TYPES;
    REQUIRE(keyspace_check(f.keyspace, count_complaint, &complaints) == 1);
    entry->type = ENTRY_STRING;
    entry->body[9] ^= 1;
    REQUIRE(keyspace_check(f.keyspace, count_complaint, &complaints) >= 1);
    entry->body[9] ^= 1;
    uint64_t *slot = &table_bucket_of(&f.db->table, key_of("key").hash)->slot[0];
    table_slot_set_mark(slot, false);
    REQUIRE(keyspace_check(f.keyspace, count_complaint, &complaints) == 1);
    table_slot_set_mark(slot, true);
    entry->value_len = 300;
    REQUIRE(keyspace_check(f.keyspace, count_complaint, &complaints) >= 1);
    entry->value_len = 5;
    fixture_end(&f);
}
