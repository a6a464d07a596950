/*
 * Tests of hashes: how each is kept, conversion, writers against a naive model, walks and draws, memory that runs out.
 */
#include "store/hash_expiry.h"

#include "fixture.h"
#include "store/settings.h"

enum { MODEL_FIELDS = 400 };

/* Every field has a slot of its own: its name follows from the index. */
struct model {
    bool there[MODEL_FIELDS];
    char value[MODEL_FIELDS][400];
    int64_t at_ms[MODEL_FIELDS];
    size_t count;
};

static struct bytes name_of(int index, char out[300])
{
    int len = snprintf(out, 300, index % 3 ? "field:%d" : "%d", index);
    if (index % 50 == 49) { /* some that need two bytes for their length */
        memset(out + len, 'n', 260);
        len += 260;
    }
    return bytes_make(out, (size_t)len);
}

static bool encoded_as(const struct entry *entry, const char *name)
{
    return strcmp(entry_encoding_name(entry), name) == 0;
}

static void begin(struct fixture *f, struct hash_writer *writer, const char *key)
{
    struct key k = key_of(key);
    hash_begin(writer, f->keyspace, f->db, k, keyspace_write(f->keyspace, f->db, k, NOW), NOW);
}

/* True if the field is new. */
static bool put(struct fixture *f, const char *key, struct bytes field, struct bytes value)
{
    struct hash_writer writer;
    struct hash_place place;
    begin(f, &writer, key);
    bool found = hash_find(&writer, field, &place);
    REQUIRE(hash_put(&writer, &place, field, value, HASH_EXPIRY_DROP));
    hash_end(&writer);
    return !found;
}

static bool put_text(struct fixture *f, const char *key, const char *field, const char *value)
{
    return put(f, key, bytes_from_cstr(field), bytes_from_cstr(value));
}

static bool drop(struct fixture *f, const char *key, struct bytes field)
{
    struct hash_writer writer;
    struct hash_place place;
    begin(f, &writer, key);
    bool found = hash_find(&writer, field, &place);
    if (found)
        hash_remove(&writer, &place);
    hash_end(&writer);
    return found;
}

static bool has(const struct entry *entry, const char *field, const char *value)
{
    struct hash_scratch scratch;
    struct bytes got;
    return hash_get(entry, bytes_from_cstr(field), NOW, &scratch, &got) && bytes_equal(got, bytes_from_cstr(value));
}

static void fill(struct fixture *f, const char *key, int count)
{
    for (int i = 0; i < count; i++) {
        char name[24], value[24];
        snprintf(name, sizeof name, "field:%d", i);
        snprintf(value, sizeof value, "%d", i * 7);
        REQUIRE(put_text(f, key, name, value));
    }
}

Test(hash, fields_come_and_go)
{
    struct fixture f;
    fixture_begin(&f);
    REQUIRE(put_text(&f, "h", "a", "1") && put_text(&f, "h", "b", "text") && !put_text(&f, "h", "a", "2"));
    struct entry *entry = peek(&f, "h");
    REQUIRE(entry->type == ENTRY_HASH && encoded_as(entry, "listpack") && hash_count(entry, NOW) == 2);
    REQUIRE(has(entry, "a", "2") && has(entry, "b", "text") && !has(entry, "c", ""));
    REQUIRE(f.keyspace->stats.dirty == 3 && f.touched == 3);
    REQUIRE(!drop(&f, "h", BYTES("c")) && f.touched == 3);
    REQUIRE(drop(&f, "h", BYTES("a")) && hash_len(peek(&f, "h"), NOW) == 1);
    REQUIRE(drop(&f, "h", BYTES("b")) && !peek(&f, "h") && keyspace_size(f.db) == 0);
    REQUIRE(!drop(&f, "h", BYTES("b")));
    fixture_end(&f);
}

Test(hash, becomes_a_table_when_redis_says)
{
    struct fixture f;
    fixture_begin(&f);
    struct store_settings settings = store_settings_default;
    settings.hash_max_listpack_entries = 10;
    settings.hash_max_listpack_value = 20;
    f.keyspace->settings = &settings;
    fill(&f, "h", 10);
    REQUIRE(encoded_as(peek(&f, "h"), "listpack"));
    put_text(&f, "h", "one more", "x");
    REQUIRE(encoded_as(peek(&f, "h"), "hashtable") && hash_count(peek(&f, "h"), NOW) == 11);
    static const char names[10][8] = { "field:0", "field:1", "field:2", "field:3", "field:4", "field:5", "field:6",
        "field:7", "field:8", "field:9" };
    for (int i = 0; i < 10; i++)
        drop(&f, "h", bytes_make(names[i], 7));
    REQUIRE(encoded_as(peek(&f, "h"), "hashtable") && hash_count(peek(&f, "h"), NOW) == 1);
    put_text(&f, "long field", "twenty bytes of name", "1");
    REQUIRE(encoded_as(peek(&f, "long field"), "listpack"));
    put_text(&f, "long field", "twenty-one of a name.", "1");
    REQUIRE(encoded_as(peek(&f, "long field"), "hashtable"));
    put_text(&f, "long value", "a", "1");
    put_text(&f, "long value", "a", "twenty-one of a value");
    REQUIRE(
        encoded_as(peek(&f, "long value"), "hashtable") && has(peek(&f, "long value"), "a", "twenty-one of a value"));
    fixture_end(&f);
}

struct seen {
    const struct model *model;
    bool seen[MODEL_FIELDS];
    size_t count;
    bool twice;
};

static void check_pair(void *context, const struct hash_pair *pair)
{
    struct seen *seen = context;
    char number[16] = { 0 };
    struct bytes digits = pair->field;
    if (digits.len > 6 && digits.ptr[0] == 'f')
        digits = bytes_make(digits.ptr + 6, digits.len - 6);
    memcpy(number, digits.ptr, digits.len < 15 ? digits.len : 15);
    int index = atoi(number);
    REQUIRE(seen->model->there[index]);
    REQUIRE(bytes_equal(pair->value, bytes_from_cstr(seen->model->value[index])));
    seen->twice |= seen->seen[index];
    seen->seen[index] = true;
    seen->count++;
}

static void check_against(struct fixture *f, const struct model *model, struct random *random)
{
    const struct entry *entry = peek(f, "h");
    REQUIRE(!entry == (model->count == 0));
    if (!entry)
        return;
    REQUIRE(hash_count(entry, NOW) == model->count && hash_len(entry, NOW) == model->count);
    struct seen all = { .model = model }, scanned = { .model = model }, sampled = { .model = model };
    hash_each(entry, NOW, check_pair, &all);
    REQUIRE(all.count == model->count && !all.twice);
    uint64_t cursor = 0;
    do
        cursor = hash_scan(entry, cursor, 5, NOW, check_pair, &scanned);
    while (cursor);
    REQUIRE(scanned.count == model->count && !scanned.twice);
    size_t want = random_below(random, model->count + 1);
    REQUIRE(hash_sample(entry, want, random, NOW, check_pair, &sampled));
    REQUIRE(sampled.count == want && !sampled.twice);
    struct seen drawn = { .model = model };
    hash_draw(entry, 10, random, NOW, check_pair, &drawn);
    REQUIRE(drawn.count == 10);
    for (int i = 0; i < MODEL_FIELDS; i++) {
        char name[300];
        struct hash_scratch scratch;
        struct bytes value;
        bool found = hash_get(entry, name_of(i, name), NOW, &scratch, &value);
        REQUIRE(found == model->there[i] && (!found || bytes_equal(value, bytes_from_cstr(model->value[i]))));
    }
}

static void random_value(struct random *random, char out[400])
{
    uint64_t kind = random_below(random, 10);
    if (kind < 4) {
        snprintf(out, 400, "%lld", (long long)(int64_t)random_next(random) >> random_below(random, 60));
        return;
    }
    size_t len = random_below(random, kind < 9 ? 40 : 390);
    memset(out, 'a' + (int)random_below(random, 26), len);
    out[len] = 0;
}

static void run_model(struct fixture *f, struct random *random, int fields, int steps)
{
    static struct model model;
    memset(&model, 0, sizeof model);
    for (int step = 0; step < steps; step++) {
        char name[300];
        int index = (int)random_below(random, (uint64_t)fields);
        struct bytes field = name_of(index, name);
        if (random_below(random, 100) < (step / 500 % 2 ? 70 : 35)) {
            REQUIRE(drop(f, "h", field) == model.there[index]);
            model.count -= model.there[index];
            model.there[index] = false;
        } else {
            random_value(random, model.value[index]);
            REQUIRE(put(f, "h", field, bytes_from_cstr(model.value[index])) == !model.there[index]);
            model.count += !model.there[index];
            model.there[index] = true;
        }
        if (step % 40 == 0) {
            check_against(f, &model, random);
            check(f);
        }
    }
    keyspace_remove(f->keyspace, f->db, key_of("h"));
}

Test(hash, model)
{
    struct fixture f;
    struct random random;
    fixture_begin(&f);
    random = seed_random(__func__);
    struct store_settings settings = store_settings_default;
    f.keyspace->settings = &settings;
    settings.hash_max_listpack_value = 400;
    run_model(&f, &random, 30, 4000);
    settings.hash_max_listpack_entries = 25;
    run_model(&f, &random, 50, 4000);
    settings.hash_max_listpack_entries = 0;
    run_model(&f, &random, MODEL_FIELDS, 8000);
    while (reclaim_step(f.keyspace->reclaim, 100))
        ;
    fixture_end(&f);
}

Test(hash, memory_is_known_exactly)
{
    struct fixture f;
    struct random random;
    fixture_begin(&f);
    random = seed_random(__func__);
    put_text(&f, "warm", "up", "1"); /* the keyspace's own table */
    size_t before = mem_used();
    for (int i = 0; i < 3000; i++) {
        char name[300], value[400];
        random_value(&random, value);
        struct bytes field = name_of((int)random_below(&random, MODEL_FIELDS), name);
        if (random_below(&random, 3))
            put(&f, "h", field, bytes_from_cstr(value));
        else
            drop(&f, "h", field);
        const struct entry *entry = peek(&f, "h");
#ifdef LARDER_JEMALLOC
        REQUIRE(!entry || entry_memory(entry) == mem_used() - before);
#else
        REQUIRE(!entry || (entry_memory(entry) && mem_used() > before));
#endif
    }
    fixture_end(&f);
}

Test(hash, copies_are_their_own)
{
    struct fixture f;
    fixture_begin(&f);
    for (int count = 5; count <= 1000; count += 995) {
        fill(&f, "h", count);
        keyspace_copy(f.keyspace, f.db, key_of("h"), f.other, key_of("copy"));
        put_text(&f, "h", "field:1", "changed");
        struct entry *copy = keyspace_peek(f.keyspace, f.other, key_of("copy"), NOW);
        REQUIRE(has(copy, "field:1", "7") && has(peek(&f, "h"), "field:1", "changed"));
        REQUIRE(hash_count(copy, NOW) == (size_t)count);
        check(&f);
        keyspace_remove(f.keyspace, f.db, key_of("h"));
        REQUIRE(has(copy, "field:2", "14"));
        keyspace_remove(f.keyspace, f.other, key_of("copy"));
    }
    fixture_end(&f);
}

Test(hash, large_ones_are_freed_in_slices)
{
    struct fixture f;
    fixture_begin(&f);
    fill(&f, "h", 5000);
    size_t full = mem_used();
    keyspace_remove(f.keyspace, f.db, key_of("h"));
    REQUIRE(mem_used() > full - full / 4 && reclaim_pending(f.keyspace->reclaim) >= 5000);
    int steps = 0;
    while (reclaim_step(f.keyspace->reclaim, 100))
        steps++;
    REQUIRE(steps >= 49 && steps < 80);
    fixture_end(&f);
}

/* What stays in the hash from the first call of a scan to the last is visited, whatever happens to the rest. */
static void note_kept(void *context, const struct hash_pair *pair)
{
    bool *seen = context;
    if (pair->field.ptr[0] == 'k')
        seen[atoi(pair->field.ptr + 1)] = true;
}

Test(hash, scan_keeps_its_promise)
{
    struct fixture f;
    struct random random;
    fixture_begin(&f);
    random = seed_random(__func__);
    for (int round = 0; round < 20; round++) {
        bool seen[200] = { 0 };
        char name[24];
        for (int i = 0; i < 200; i++) {
            snprintf(name, sizeof name, "k%d.", i);
            put_text(&f, "h", name, "value");
        }
        bool grows = round % 2;
        if (!grows)
            fill(&f, "h", 3000);
        uint64_t cursor = 0;
        int other = 0;
        do {
            cursor = hash_scan(peek(&f, "h"), cursor, 1 + random_below(&random, 20), NOW, note_kept, seen);
            for (int i = 0; i < 100; i++, other++) {
                snprintf(name, sizeof name, "field:%d", other);
                if (grows)
                    put_text(&f, "h", name, "x");
                else
                    drop(&f, "h", bytes_from_cstr(name));
            }
        } while (cursor);
        for (int i = 0; i < 200; i++)
            REQUIRE(seen[i]);
        keyspace_remove(f.keyspace, f.db, key_of("h"));
    }
    fixture_end(&f);
}

static void tally(void *context, const struct hash_pair *pair)
{
    int *counts = context, index = 0;
    for (size_t i = 6; i < pair->field.len; i++)
        index = index * 10 + pair->field.ptr[i] - '0';
    counts[index]++;
}

/* Chi-square over the fields: above the limit with a probability of at most exp(-25) (Laurent and Massart 2000). */
static void require_uniform(const int *counts, int fields, int total)
{
    double expected = (double)total / fields, chi = 0;
    for (int i = 0; i < fields; i++)
        chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    double limit = fields + 10 * __builtin_sqrt(fields) + 50;
    cr_assert(chi < limit, "chi-square %f of %d fields is above %f", chi, fields, limit);
}

Test(hash, draws_are_uniform)
{
    struct fixture f;
    struct random random;
    fixture_begin(&f);
    random = seed_random(__func__);
    for (int fields = 40; fields <= 640; fields += 600) {
        fill(&f, "h", fields);
        REQUIRE(encoded_as(peek(&f, "h"), fields == 40 ? "listpack" : "hashtable"));
        int many[640] = { 0 }, single[640] = { 0 }, few[640] = { 0 }, most[640] = { 0 };
        hash_draw(peek(&f, "h"), 100000, &random, NOW, tally, many);
        for (int i = 0; i < 20000; i++)
            hash_draw(peek(&f, "h"), 1, &random, NOW, tally, single);
        int rounds = 40000 / fields;
        for (int i = 0; i < rounds; i++) {
            hash_sample(peek(&f, "h"), (size_t)fields / 8, &random, NOW, tally, few);
            hash_sample(peek(&f, "h"), (size_t)fields / 2, &random, NOW, tally, most);
        }
        require_uniform(many, fields, 100000);
        require_uniform(single, fields, 20000);
        require_uniform(few, fields, rounds * (fields / 8));
        require_uniform(most, fields, rounds * (fields / 2));
        keyspace_remove(f.keyspace, f.db, key_of("h"));
    }
    fixture_end(&f);
}

Test(hash, writing_without_memory_changes_nothing)
{
    struct fixture f;
    fixture_begin(&f);
    struct store_settings settings = store_settings_default;
    f.keyspace->settings = &settings;
    int failures = 0;
    static char text[5000];
    memset(text, 't', sizeof text);
    struct bytes values[] = { BYTES("7"), bytes_make(text, 60), bytes_make(text, 5000) };
    for (int i = 0; i < 2 * 2 * 3; i++) {
        settings.hash_max_listpack_entries = i % 2 ? 0 : 100;
        settings.hash_max_listpack_value = 10000;
        struct bytes field = i / 2 % 2 ? BYTES("field:1") : BYTES("new"), value = values[i / 4];
        for (uint64_t nth = 1;; nth++) {
            fill(&f, "h", 20);
            struct hash_writer writer;
            struct hash_place place;
            begin(&f, &writer, "h");
            bool found = hash_find(&writer, field, &place);
            mem_fail_nth(nth);
            bool done = hash_put(&writer, &place, field, value, HASH_EXPIRY_DROP);
            mem_fail_nth(0);
            hash_end(&writer);
            REQUIRE(hash_count(peek(&f, "h"), NOW) == 20u + (done && !found));
            REQUIRE(done || !found || has(peek(&f, "h"), "field:1", "7"));
            check(&f);
            keyspace_remove(f.keyspace, f.db, key_of("h"));
            if (done)
                break;
            failures++;
            REQUIRE(nth < 5);
        }
    }
    REQUIRE(failures >= 6);
    fixture_end(&f);
}

/* --- Expiry --- */

static void expire_at(struct fixture *f, const char *key, struct bytes field, int64_t at_ms)
{
    struct hash_writer writer;
    struct hash_place place;
    begin(f, &writer, key);
    REQUIRE(hash_find(&writer, field, &place) && hash_set_expiry(&writer, &place, at_ms));
    hash_end(&writer);
}

static int64_t expiry_of(const struct entry *entry, struct bytes field, int64_t now_ms)
{
    int64_t at_ms;
    return hash_get_expiry(entry, field, now_ms, &at_ms) ? at_ms : -1;
}

Test(hash, packed_fields_are_ordered_by_expiry)
{
    struct fixture f;
    struct random random;
    fixture_begin(&f);
    random = seed_random(__func__);
    int64_t expected[20];
    char name[24];
    fill(&f, "h", 20);
    for (int i = 0; i < 20; i++)
        expected[i] = EXPIRY_NONE;
    for (int step = 0; step < 2000; step++) {
        int i = (int)random_below(&random, 20);
        expected[i] = random_below(&random, 4) ? NOW + (int64_t)random_below(&random, 30) : EXPIRY_NONE;
        snprintf(name, sizeof name, "field:%d", i);
        expire_at(&f, "h", bytes_from_cstr(name), expected[i]);
        check(&f); /* looks at the order, and at the counts of what can expire */
        for (int j = 0; j < 20 && step % 50 == 0; j++) {
            snprintf(name, sizeof name, "field:%d", j);
            REQUIRE(expiry_of(peek(&f, "h"), bytes_from_cstr(name), NOW) == expected[j]);
        }
    }
    REQUIRE(encoded_as(peek(&f, "h"), "listpackex"));
    fixture_end(&f);
}

static struct entry *peek_at(struct fixture *f, const char *key, int64_t now_ms)
{
    return keyspace_peek(f->keyspace, f->db, key_of(key), now_ms);
}

Test(hash, look_ups_remove_the_expired_fields_of_small_hashes)
{
    struct fixture f;
    fixture_begin(&f);
    struct store_settings settings = store_settings_default;
    f.keyspace->settings = &settings;
    for (int entries = 0; entries <= 100; entries += 100) {
        settings.hash_max_listpack_entries = entries;
        fill(&f, "h", 10);
        REQUIRE(f.db->parts_expire == 0);
        expire_at(&f, "h", BYTES("field:3"), NOW + 5);
        expire_at(&f, "h", BYTES("field:4"), NOW + 10);
        REQUIRE(f.db->parts_expire == 1 && f.db->expires == 0);
        REQUIRE(hash_count(peek_at(&f, "h", NOW + 5), NOW + 5) == 10);
        uint64_t dirty = f.keyspace->stats.dirty;
        REQUIRE(hash_count(peek_at(&f, "h", NOW + 6), NOW + 6) == 9 && f.db->parts_expire == 1);
        check(&f);
        REQUIRE(hash_count(peek_at(&f, "h", NOW + 11), NOW + 11) == 8 && f.db->parts_expire == 0);
        REQUIRE(f.keyspace->stats.dirty == dirty && f.keyspace->stats.expired_parts == (entries ? 4 : 2));
        keyspace_remove(f.keyspace, f.db, key_of("h"));
        put_text(&f, "h", "a", "1");
        expire_at(&f, "h", BYTES("a"), NOW + 5);
        REQUIRE(!peek_at(&f, "h", NOW + 6) && keyspace_size(f.db) == 0 && f.db->parts_expire == 0);
        f.keyspace->stats.expired_parts = 2;
    }
    fixture_end(&f);
}

/* Steps of the walk until a round has ended; returns how many. */
static int walk_round(struct fixture *f, size_t buckets, int64_t now_ms, size_t *removed)
{
    int steps = 0;
    *removed = 0;
    for (size_t rounds = 0; !rounds; steps++) {
        size_t before = f->keyspace->stats.expired_parts;
        *removed += keyspace_expire_step(f->keyspace, f->db, buckets, now_ms, &rounds);
        REQUIRE(f->keyspace->stats.expired_parts - before < buckets * 5 + 400 && steps < 100000);
    }
    return steps;
}

Test(hash, the_walk_goes_through_large_hashes_in_slices)
{
    struct fixture f;
    fixture_begin(&f);
    char name[24];
    size_t removed;
    const char *keys[] = { "one", "two", "three" };
    for (int k = 0; k < 3; k++) {
        fill(&f, keys[k], 5000);
        for (int i = 0; i < 4000; i++) {
            snprintf(name, sizeof name, "field:%d", i);
            expire_at(&f, keys[k], bytes_from_cstr(name), NOW + 100 + i % 2 * 1000);
        }
    }
    fill(&f, "packed", 10);
    expire_at(&f, "packed", BYTES("field:2"), NOW + 100);
    REQUIRE(walk_round(&f, 64, NOW + 100, &removed) == 1 && removed == 0);
    REQUIRE(walk_round(&f, 64, NOW + 101, &removed) > 20 && removed == 6001);
    check(&f);
    REQUIRE(hash_count(peek_at(&f, "one", NOW + 101), NOW + 101) == 3000 && f.db->parts_expire == 3);
    REQUIRE(walk_round(&f, 64, NOW + 1000, &removed) == 1 && removed == 0);
    REQUIRE(walk_round(&f, 1, NOW + 1101, &removed) > 20 && removed == 6000);
    REQUIRE(f.db->parts_expire == 0 && keyspace_size(f.db) == 4);
    check(&f);
    fixture_end(&f);
}

Test(hash, the_walk_removes_hashes_that_become_empty)
{
    struct fixture f;
    fixture_begin(&f);
    char name[24];
    size_t removed;
    fill(&f, "large", 3000);
    fill(&f, "small", 3);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "field:%d", i);
        expire_at(&f, "large", bytes_from_cstr(name), NOW + 100);
        if (i < 3)
            expire_at(&f, "small", bytes_from_cstr(name), NOW + 100);
    }
    set_until(&f, "string", "x", NOW + 100);
    walk_round(&f, 64, NOW + 101, &removed);
    REQUIRE(removed == 3004 && keyspace_size(f.db) == 0 && f.db->parts_expire == 0 && f.db->expires == 0);
    fixture_end(&f);
}

/* A hash whose fields expire all the time must not keep the walk from the others. */
Test(hash, the_walk_ends_its_rounds)
{
    struct fixture f;
    fixture_begin(&f);
    char name[24];
    size_t rounds = 0;
    for (int k = 0; k < 2; k++) {
        fill(&f, k ? "one" : "two", 3000);
        for (int i = 0; i < 3000; i++) {
            snprintf(name, sizeof name, "field:%d", i);
            expire_at(&f, k ? "one" : "two", bytes_from_cstr(name), NOW + i);
        }
    }
    for (int64_t at_ms = NOW; at_ms < NOW + 1500; at_ms++)
        keyspace_expire_step(f.keyspace, f.db, 64, at_ms, &rounds);
    REQUIRE(rounds >= 30);
    check(&f);
    fixture_end(&f);
}
