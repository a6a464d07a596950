/*
 * Tests of sorted sets: contract cases in both encodings, random edits against an ordered array, refused memory, and
 * taking large ones down.
 */
#include "store/zset.h"

#include <math.h>

#include "fixture.h"
#include "store/settings.h"

enum { MODEL_MEMBERS = 400, MODEL_STEPS = 30000 };

/* --- Helpers --- */

struct zset_fixture {
    struct fixture base;
    struct store_settings settings;
};

static void begin(struct zset_fixture *f, int64_t entries, int64_t value)
{
    fixture_begin(&f->base);
    f->settings = store_settings_default;
    f->settings.zset_max_listpack_entries = entries;
    f->settings.zset_max_listpack_value = value;
    f->base.keyspace->settings = &f->settings;
}

static struct zset_edit open(struct zset_fixture *f, const char *name)
{
    struct key key = key_of(name);
    struct entry *entry = keyspace_write(f->base.keyspace, f->base.db, key, NOW);
    return (
        struct zset_edit){ .keyspace = f->base.keyspace, .db = f->base.db, .key = key, .entry = entry, .now_ms = NOW };
}

static enum zset_added add_how(
    struct zset_fixture *f, const char *name, const char *member, double score, unsigned how, double *result)
{
    struct zset_edit edit = open(f, name);
    enum zset_added added = zset_add(&edit, bytes_from_cstr(member), score, how, result);
    zset_edit_end(&edit);
    return added;
}

static enum zset_added add(struct zset_fixture *f, const char *name, const char *member, double score)
{
    double ignored;
    return add_how(f, name, member, score, 0, &ignored);
}

static bool removes(struct zset_fixture *f, const char *name, const char *member)
{
    struct zset_edit edit = open(f, name);
    bool removed = zset_remove(&edit, bytes_from_cstr(member));
    zset_edit_end(&edit);
    return removed;
}

static bool encoded_as(const struct entry *entry, const char *name)
{
    return strcmp(entry_encoding_name(entry), name) == 0;
}

/* The members in order, "a b c". */
static const char *listed(const struct entry *entry, bool reverse)
{
    static char text[4096];
    size_t len = 0, count = zset_count(entry);
    struct zset_iter iter;
    text[0] = 0;
    if (!count)
        return text;
    for (bool more = zset_iter_begin(&iter, entry, reverse ? count - 1 : 0, reverse); more;
         more = zset_iter_next(&iter))
        len += (size_t)snprintf(
            text + len, sizeof text - len, "%s%.*s", len ? " " : "", (int)iter.member.len, iter.member.ptr);
    return text;
}

#define REQUIRE_LIST(entry, expected) REQUIRE(strcmp(listed(entry, false), expected) == 0)

/* Entries up to which a set stays packed: always, never. */
static const int64_t LIMITS[] = { 1000, 0 };

/* --- Contract --- */

Test(zset, adding_and_order)
{
    for (int i = 0; i < 2; i++) {
        struct zset_fixture f;
        begin(&f, LIMITS[i], 64);
        REQUIRE(add(&f, "z", "b", 2) == ZSET_ADDED && add(&f, "z", "a", 2) == ZSET_ADDED);
        REQUIRE(add(&f, "z", "c", 1) == ZSET_ADDED && add(&f, "z", "12", 2) == ZSET_ADDED);
        REQUIRE(add(&f, "z", "", 2) == ZSET_ADDED && add(&f, "z", "low", -INFINITY) == ZSET_ADDED);
        struct entry *entry = peek(&f.base, "z");
        REQUIRE(encoded_as(entry, i ? "skiplist" : "listpack") && zset_count(entry) == 6);
        REQUIRE_LIST(entry, "low c  12 a b");
        REQUIRE(strcmp(listed(entry, true), "b a 12  c low") == 0);
        REQUIRE(add(&f, "z", "c", 2.5) == ZSET_UPDATED && add(&f, "z", "c", 2.5) == ZSET_SAME);
        REQUIRE_LIST(peek(&f.base, "z"), "low  12 a b c");
        double score;
        REQUIRE(zset_score(entry, BYTES("c"), &score) && score == 2.5);
        REQUIRE(zset_score(entry, BYTES("low"), &score) && score == -INFINITY);
        REQUIRE(!zset_score(entry, BYTES("none"), &score) && !zset_score(NULL, BYTES("c"), &score));
        fixture_end(&f.base);
    }
}

Test(zset, conditions)
{
    for (int i = 0; i < 2; i++) {
        struct zset_fixture f;
        begin(&f, LIMITS[i], 64);
        double score = 77;
        REQUIRE(add_how(&f, "z", "a", 1, ZSET_XX, &score) == ZSET_LEFT && !peek(&f.base, "z") && score == 77);
        REQUIRE(add_how(&f, "z", "a", 1, ZSET_GT | ZSET_INCR, &score) == ZSET_ADDED && score == 1);
        REQUIRE(add_how(&f, "z", "a", 5, ZSET_NX, &score) == ZSET_LEFT && score == 1);
        REQUIRE(add_how(&f, "z", "a", 0, ZSET_GT, &score) == ZSET_LEFT);
        REQUIRE(add_how(&f, "z", "a", 1, ZSET_GT, &score) == ZSET_LEFT);
        REQUIRE(add_how(&f, "z", "a", 3, ZSET_GT, &score) == ZSET_UPDATED && score == 3);
        REQUIRE(add_how(&f, "z", "a", 4, ZSET_LT, &score) == ZSET_LEFT);
        REQUIRE(add_how(&f, "z", "a", -1, ZSET_LT | ZSET_INCR, &score) == ZSET_UPDATED && score == 2);
        REQUIRE(add_how(&f, "z", "a", 0, ZSET_XX | ZSET_INCR, &score) == ZSET_SAME && score == 2);
        REQUIRE(add(&f, "z", "a", INFINITY) == ZSET_UPDATED);
        REQUIRE(add_how(&f, "z", "a", -INFINITY, ZSET_INCR, &score) == ZSET_NOT_A_NUMBER && score == 2);
        REQUIRE(zset_score(peek(&f.base, "z"), BYTES("a"), &score) && score == INFINITY);
        fixture_end(&f.base);
    }
}

Test(zset, what_changes_nothing_tells_nobody)
{
    struct zset_fixture f;
    begin(&f, 10, 64);
    double score;
    add(&f, "z", "a", 1);
    int touched = f.base.touched;
    uint64_t dirty = f.base.keyspace->stats.dirty;
    add(&f, "z", "a", 1);
    add_how(&f, "z", "a", 9, ZSET_NX, &score);
    removes(&f, "z", "b");
    removes(&f, "none", "b");
    REQUIRE(f.base.touched == touched && f.base.keyspace->stats.dirty == dirty);
    REQUIRE(removes(&f, "z", "a") && f.base.touched > touched && !peek(&f.base, "z"));
    fixture_end(&f.base);
}

Test(zset, conversion_by_number_and_by_length)
{
    struct zset_fixture f;
    begin(&f, 3, 5);
    for (const char *const *name = (const char *const[]){ "a", "b", "12345", NULL }; *name; name++)
        add(&f, "z", *name, 1);
    struct entry *entry = peek(&f.base, "z");
    REQUIRE(encoded_as(entry, "listpack"));
    add(&f, "z", "a", 7);
    REQUIRE(encoded_as(entry, "listpack"));
    add(&f, "z", "d", 2);
    REQUIRE(encoded_as(entry, "skiplist"));
    REQUIRE_LIST(entry, "12345 b d a");
    add(&f, "y", "a", 1);
    add(&f, "y", "123456", 0.5);
    REQUIRE(encoded_as(peek(&f.base, "y"), "skiplist"));
    REQUIRE_LIST(peek(&f.base, "y"), "123456 a");
    removes(&f, "y", "123456");
    REQUIRE(encoded_as(peek(&f.base, "y"), "skiplist"));
    fixture_end(&f.base);
}

Test(zset, a_packed_zero_has_no_sign)
{
    double score;
    struct zset_fixture f;
    begin(&f, 1, 64);
    add(&f, "z", "a", -0.0);
    REQUIRE(zset_score(peek(&f.base, "z"), BYTES("a"), &score) && !signbit(score));
    add(&f, "z", "b", -0.0);
    REQUIRE(zset_score(peek(&f.base, "z"), BYTES("b"), &score) && signbit(score));
    REQUIRE(add(&f, "z", "b", 0) == ZSET_SAME);
    REQUIRE_LIST(peek(&f.base, "z"), "a b");
    fixture_end(&f.base);
}

Test(zset, long_members)
{
    struct zset_fixture f;
    begin(&f, 0, 0);
    static char text[5][2000];
    static const size_t lengths[] = { 1, 254, 255, 256, 1999 };
    for (int i = 0; i < 5; i++) {
        memset(text[i], 'a' + i, lengths[i]);
        REQUIRE(add(&f, "z", text[i], i) == ZSET_ADDED);
    }
    struct zset_iter iter;
    REQUIRE(zset_iter_begin(&iter, peek(&f.base, "z"), 0, false));
    for (int i = 0; i < 5; i++, zset_iter_next(&iter))
        REQUIRE(bytes_equal(iter.member, bytes_make(text[i], lengths[i])) && iter.score == i);
    check(&f.base);
    for (int i = 0; i < 5; i++)
        REQUIRE(removes(&f, "z", text[i]));
    REQUIRE(!peek(&f.base, "z"));
    fixture_end(&f.base);
}

Test(zset, spans)
{
    for (int i = 0; i < 2; i++) {
        struct zset_fixture f;
        begin(&f, LIMITS[i], 64);
        for (int n = 0; n < 20; n++)
            add(&f, "z", (char[]){ (char)('a' + n), 0 }, n / 2);
        const struct entry *entry = peek(&f.base, "z");
        struct zset_span span = zset_span_scores(entry, &(struct zset_scores){ .min = 2, .max = 4 });
        REQUIRE(span.first == 4 && span.count == 6);
        span = zset_span_scores(entry, &(struct zset_scores){ .min = 2, .max = 4, .min_open = true });
        REQUIRE(span.first == 6 && span.count == 4);
        span = zset_span_scores(entry, &(struct zset_scores){ .min = 2, .max = 4, .max_open = true });
        REQUIRE(span.first == 4 && span.count == 4);
        REQUIRE(!zset_span_scores(entry, &(struct zset_scores){ .min = 4, .max = 2 }).count);
        REQUIRE(zset_span_scores(entry, &(struct zset_scores){ .min = -INFINITY, .max = INFINITY }).count == 20);
        REQUIRE(!zset_span_scores(NULL, &(struct zset_scores){ .min = 0, .max = 2 }).count);
        span = zset_span_ranks(entry, -3, INT64_MAX);
        REQUIRE(span.first == 17 && span.count == 3);
        REQUIRE(zset_span_ranks(entry, INT64_MIN, INT64_MAX).count == 20);
        REQUIRE(!zset_span_ranks(entry, 20, 30).count && !zset_span_ranks(entry, 5, 4).count);
        REQUIRE(!zset_span_ranks(entry, 0, INT64_MIN).count && !zset_span_ranks(NULL, 0, -1).count);
        size_t rank;
        double score;
        REQUIRE(zset_rank(entry, BYTES("c"), false, &rank, &score) && rank == 2 && score == 1);
        REQUIRE(zset_rank(entry, BYTES("c"), true, &rank, &score) && rank == 17);
        REQUIRE(!zset_rank(entry, BYTES("zz"), true, &rank, &score));
        struct zset_edit edit = open(&f, "z");
        zset_remove_span(&edit, (struct zset_span){ 1, 17 });
        REQUIRE_LIST(edit.entry, "a s t");
        zset_remove_span(&edit, (struct zset_span){ 0, 3 });
        zset_edit_end(&edit);
        REQUIRE(!peek(&f.base, "z"));
        fixture_end(&f.base);
    }
}

Test(zset, spans_of_texts)
{
    for (int i = 0; i < 2; i++) {
        struct zset_fixture f;
        begin(&f, LIMITS[i], 64);
        for (int n = 0; n < 10; n++)
            add(&f, "z", (char[]){ (char)('a' + n), 0 }, 3);
        const struct entry *entry = peek(&f.base, "z");
        struct zset_texts range = { { .text = BYTES("c") }, { .text = BYTES("e") } };
        struct zset_span span = zset_span_texts(entry, &range);
        REQUIRE(span.first == 2 && span.count == 3);
        range.min.open = range.max.open = true;
        span = zset_span_texts(entry, &range);
        REQUIRE(span.first == 3 && span.count == 1);
        range.max.text = BYTES("cc");
        REQUIRE(!zset_span_texts(entry, &range).count);
        range.min.text = range.max.text;
        REQUIRE(!zset_span_texts(entry, &range).count);
        range = (struct zset_texts){ { .beyond = -1 }, { .beyond = 1 } };
        REQUIRE(zset_span_texts(entry, &range).count == 10);
        range = (struct zset_texts){ { .beyond = 1 }, { .beyond = -1 } };
        REQUIRE(!zset_span_texts(entry, &range).count);
        range = (struct zset_texts){ { .text = BYTES("h") }, { .beyond = 1 } };
        REQUIRE(zset_span_texts(entry, &range).count == 3);
        fixture_end(&f.base);
    }
}

/* The listpack that DUMP of redis-server 7.0.15 shows for these. */
Test(zset, packed_bytes_are_those_of_the_format)
{
    static const unsigned char golden[] = "\x3a\x00\x00\x00\x0c\x00\xdf\xfb\x02\xf2\x90\xee\xfe\x04\x81\x61\x02\x01\x01"
                                          "\x82\x62\x62\x03\x83\x32\x2e\x35\x04"
                                          "\x0c\x01\x03\x01\x83\x62\x69\x67\x04\xf4\x00\x00\x8a\x5d\x78\x45\x63\x01\x09"
                                          "\x83\x74\x6f\x70\x04\x83\x69\x6e\x66\x04"
                                          "\xff";
    struct zset_fixture f;
    begin(&f, 128, 64);
    add(&f, "z", "top", INFINITY);
    add(&f, "z", "12", 1);
    add(&f, "z", "big", 1e17);
    add(&f, "z", "-5", -70000);
    add(&f, "z", "a", 1);
    add(&f, "z", "bb", 2.5);
    add(&f, "z", "12", 3);
    REQUIRE(memcmp(entry_pointer(peek(&f.base, "z")), golden, sizeof golden - 1) == 0);
    fixture_end(&f.base);
}

Test(zset, made_as_a_whole)
{
    struct zset_fixture f;
    begin(&f, 3, 64);
    for (int count = 3; count <= 4; count++) {
        struct zset *zset = zset_create();
        bool is_new;
        for (int i = 0; i < count; i++) {
            double *score = zset_make_member(zset, bytes_make(&"wxyz"[i], 1), &is_new);
            REQUIRE(is_new);
            *score = -i;
        }
        *zset_make_member(zset, BYTES("w"), &is_new) = 8;
        REQUIRE(!is_new && zset_made_count(zset) == (size_t)count);
        mem_fail_nth(1);
        REQUIRE(!zset_make_order(zset));
        mem_fail_nth(0);
        REQUIRE(zset_make_order(zset));
        keyspace_set_zset_take(f.base.keyspace, f.base.db, key_of("z"), zset, NOW);
        struct entry *entry = peek(&f.base, "z");
        REQUIRE(encoded_as(entry, count == 3 ? "listpack" : "skiplist"));
        REQUIRE_LIST(entry, count == 3 ? "y x w" : "z y x w");
    }
    zset_destroy(zset_create());
    zset_destroy(NULL);
    fixture_end(&f.base);
}

/* --- Against a model --- */

struct model {
    bool present[MODEL_MEMBERS];
    double score[MODEL_MEMBERS];
};

static const char *model_name(int i)
{
    static char name[32];
    snprintf(name, sizeof name, i % 3 ? "member%03d" : "%d", i);
    return name;
}

static int compare_places(const struct model *model, int a, int b)
{
    if (model->score[a] != model->score[b])
        return model->score[a] < model->score[b] ? -1 : 1;
    char name[32];
    strcpy(name, model_name(a));
    return strcmp(name, model_name(b));
}

static void compare_with_model(const struct entry *entry, const struct model *model)
{
    size_t count = 0;
    for (int i = 0; i < MODEL_MEMBERS; i++) {
        double score;
        REQUIRE(zset_score(entry, bytes_from_cstr(model_name(i)), &score) == model->present[i]);
        REQUIRE(!model->present[i] || score == model->score[i]);
        count += model->present[i];
        if (!model->present[i] || i % 16)
            continue;
        size_t below = 0, rank;
        for (int j = 0; j < MODEL_MEMBERS; j++)
            below += model->present[j] && compare_places(model, j, i) < 0;
        REQUIRE(zset_rank(entry, bytes_from_cstr(model_name(i)), false, &rank, &score) && rank == below);
    }
    REQUIRE(zset_count(entry) == count);
}

static void model_step(struct zset_fixture *f, struct model *model, struct random *random, int size)
{
    int i = (int)random_below(random, (uint64_t)size);
    double score = (double)random_below(random, 40) / 4 - 3;
    if (random_below(random, 100) < 55) {
        enum zset_added expected = !model->present[i]         ? ZSET_ADDED
                                   : model->score[i] == score ? ZSET_SAME
                                                              : ZSET_UPDATED;
        REQUIRE(add(f, "z", model_name(i), score) == expected);
        model->present[i] = true;
        model->score[i] = score;
    } else {
        REQUIRE(removes(f, "z", model_name(i)) == model->present[i]);
        model->present[i] = false;
    }
}

static void run_model(int64_t limit, int size)
{
    struct zset_fixture f;
    begin(&f, limit, 64);
    struct random random;
    static struct model model;
    model = (struct model){ 0 };
    random = seed_random(__func__);
    for (int step = 0; step < MODEL_STEPS; step++) {
        model_step(&f, &model, &random, size);
        if (step % 1000 == 0) {
            compare_with_model(peek(&f.base, "z"), &model);
            check(&f.base);
        }
    }
    fixture_end(&f.base);
}

Test(zset, model_packed)
{
    run_model(1000, 40);
}

Test(zset, model_tree)
{
    run_model(0, MODEL_MEMBERS);
}

Test(zset, model_converting)
{
    run_model(6, 12);
}

/* --- Memory --- */

Test(zset, memory_that_runs_out)
{
    for (int i = 0; i < 2; i++) {
        struct zset_fixture f;
        begin(&f, LIMITS[i], 64);
        char name[16];
        for (int n = 0; n < 200; n++) {
            snprintf(name, sizeof name, "m%d", n);
            for (uint64_t nth = 1;; nth++) {
                mem_fail_nth(nth);
                enum zset_added added = add(&f, "z", name, n % 7);
                mem_fail_nth(0);
                if (added == ZSET_ADDED)
                    break;
                REQUIRE(added == ZSET_NO_MEMORY && zset_count(peek(&f.base, "z")) == (size_t)n);
                double score;
                REQUIRE(!zset_score(peek(&f.base, "z"), bytes_from_cstr(name), &score));
            }
        }
        fixture_end(&f.base);
    }
}

Test(zset, memory_is_what_the_allocator_says)
{
    if (strncmp(mem_allocator_name(), "jemalloc", 8) != 0)
        cr_skip_test("only jemalloc says how large an allocation will be");
    struct zset_fixture f;
    begin(&f, 0, 0);
    char name[400];
    for (int n = 0; n < 3000; n++) {
        snprintf(name, sizeof name, "%0*d", 1 + n % 390, n);
        size_t used = mem_used();
        struct entry *entry = peek(&f.base, "z");
        size_t before = entry ? entry_memory(entry) : 0;
        add(&f, "z", name, n * 7 % 100);
        if (entry)
            REQUIRE(entry_memory(entry) - before == mem_used() - used);
    }
    fixture_end(&f.base);
}

Test(zset, a_copy_is_its_own)
{
    for (int i = 0; i < 2; i++) {
        struct zset_fixture f;
        begin(&f, LIMITS[i], 64);
        for (int n = 0; n < 26; n++)
            add(&f, "z", (char[]){ (char)('z' - n), 0 }, n / 3);
        keyspace_copy(f.base.keyspace, f.base.db, key_of("z"), f.base.db, key_of("copy"));
        char before[4096];
        strcpy(before, listed(peek(&f.base, "z"), false));
        removes(&f, "z", "c");
        add(&f, "z", "d", 99);
        REQUIRE_LIST(peek(&f.base, "copy"), before);
        fixture_end(&f.base);
    }
}

Test(zset, large_ones_are_taken_down_in_slices)
{
    struct zset_fixture f;
    begin(&f, 128, 64);
    char name[32];
    for (int n = 0; n < 5000; n++) {
        snprintf(name, sizeof name, "member%d", n * 7919 % 5000);
        add(&f, "z", name, n % 100);
    }
    size_t used = mem_used();
    REQUIRE(keyspace_remove(f.base.keyspace, f.base.db, key_of("z")));
    REQUIRE(mem_used() + 100000 > used && reclaim_pending(f.base.keyspace->reclaim) == 5000);
    size_t steps = 0;
    while (reclaim_step(f.base.keyspace->reclaim, 100))
        steps++;
    REQUIRE(steps >= 45 && steps <= 55 && mem_used() < used - 5000 * 40);
    fixture_end(&f.base);
}

/* --- Scanning --- */

struct seen {
    int times[2000];
};

static void note(void *context, struct bytes member, double score)
{
    struct seen *seen = context;
    char text[16] = { 0 };
    memcpy(text, member.ptr + 1, member.len - 1);
    seen->times[atoi(text)]++;
    REQUIRE(score == atoi(text));
}

Test(zset, a_scan_sees_what_stays)
{
    struct zset_fixture f;
    begin(&f, 128, 64);
    static struct seen seen;
    char name[16];
    for (int n = 0; n < 1000; n++) {
        snprintf(name, sizeof name, "m%d", n);
        add(&f, "z", name, n);
    }
    uint64_t cursor = 0;
    int others = 1000;
    do {
        cursor = zset_scan(peek(&f.base, "z"), cursor, note, &seen);
        for (int i = 0; i < 5 && others < 2000; i++, others++) {
            snprintf(name, sizeof name, "m%d", others);
            add(&f, "z", name, others);
            snprintf(name, sizeof name, "m%d", 2 * (others - 1000) % 1000 + 1);
            removes(&f, "z", name);
        }
    } while (cursor);
    for (int n = 0; n < 1000; n += 2)
        REQUIRE(seen.times[n] == 1);
    fixture_end(&f.base);
}
