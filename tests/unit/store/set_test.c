/*
 * Tests of sets: each encoding and the way to it, a model that every change is compared with, copies, slices, chance,
 * memory that runs out.
 */
#include "store/set.h"

#include "fixture.h"
#include "store/settings.h"
#include "store/value.h"

enum { MEMBERS_MAX = 400 };

static struct set_edit edit_key(struct fixture *fixture, const char *key)
{
    struct entry *entry = keyspace_write(fixture->keyspace, fixture->db, key_of(key), NOW);
    return set_edit_begin(fixture->keyspace, fixture->db, key_of(key), entry);
}

static bool add_member(struct fixture *fixture, const char *key, const char *member)
{
    struct set_edit edit = edit_key(fixture, key);
    bool added = set_edit_add(&edit, bytes_from_cstr(member)) == SET_ADDED;
    set_edit_end(&edit, NOW);
    return added;
}

static bool remove_member(struct fixture *fixture, const char *key, const char *member)
{
    struct set_edit edit = edit_key(fixture, key);
    bool removed = set_edit_remove(&edit, bytes_from_cstr(member));
    set_edit_end(&edit, NOW);
    return removed;
}

static struct set set_at(struct fixture *fixture, const char *key)
{
    return set_of(peek(fixture, key));
}

static bool is_kept_as(struct fixture *fixture, const char *key, const char *encoding)
{
    return strcmp(entry_encoding_name(peek(fixture, key)), encoding) == 0;
}

/* Adds members "<prefix>0" to "<prefix><count - 1>". */
static void fill(struct fixture *fixture, const char *key, const char *prefix, int count)
{
    char member[600];
    for (int i = 0; i < count; i++) {
        snprintf(member, sizeof member, "%s%d", prefix, i);
        REQUIRE(add_member(fixture, key, member));
    }
}

Test(set, begins_as_what_its_first_member_is)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    REQUIRE(add_member(&fixture, "numbers", "12") && is_kept_as(&fixture, "numbers", "intset"));
    REQUIRE(add_member(&fixture, "text", "a") && is_kept_as(&fixture, "text", "listpack"));
    REQUIRE(!add_member(&fixture, "numbers", "12") && !add_member(&fixture, "text", "a"));
    REQUIRE(set_has(set_at(&fixture, "numbers"), BYTES("12")) && !set_has(set_at(&fixture, "numbers"), BYTES("012")));
    REQUIRE(set_count(set_at(&fixture, "numbers")) == 1 && set_count(set_at(&fixture, "none")) == 0);
    REQUIRE(!set_has(set_at(&fixture, "none"), BYTES("a")));
    fixture_end(&fixture);
}

Test(set, text_makes_a_listpack_of_a_small_intset_and_a_table_of_a_large_one)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    fill(&fixture, "small", "", 127);
    REQUIRE(add_member(&fixture, "small", "text") && is_kept_as(&fixture, "small", "listpack"));
    REQUIRE(add_member(&fixture, "small", "more") && is_kept_as(&fixture, "small", "hashtable"));
    fill(&fixture, "large", "", 128);
    REQUIRE(is_kept_as(&fixture, "large", "intset"));
    REQUIRE(add_member(&fixture, "large", "text") && is_kept_as(&fixture, "large", "hashtable"));
    fill(&fixture, "full", "", 512);
    REQUIRE(is_kept_as(&fixture, "full", "intset"));
    REQUIRE(add_member(&fixture, "full", "512") && is_kept_as(&fixture, "full", "hashtable"));
    REQUIRE(set_count(set_at(&fixture, "full")) == 513 && set_has(set_at(&fixture, "full"), BYTES("0")));
    fixture_end(&fixture);
}

Test(set, a_long_member_makes_a_table)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    char text[70];
    memset(text, 'x', sizeof text);
    text[64] = 0;
    REQUIRE(add_member(&fixture, "s", text) && is_kept_as(&fixture, "s", "listpack"));
    text[64] = 'x';
    text[65] = 0;
    REQUIRE(add_member(&fixture, "s", text) && is_kept_as(&fixture, "s", "hashtable"));
    REQUIRE(set_count(set_at(&fixture, "s")) == 2);
    fixture_end(&fixture);
}

Test(set, members_of_every_length)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    char text[600];
    memset(text, 'y', sizeof text);
    for (int round = 0; round < 2; round++)
        for (size_t len = 0; len < sizeof text; len++) {
            struct set_edit edit = edit_key(&fixture, "s");
            REQUIRE(set_edit_add(&edit, bytes_make(text, len)) == (round ? SET_PRESENT : SET_ADDED));
            set_edit_end(&edit, NOW);
        }
    REQUIRE(set_count(set_at(&fixture, "s")) == sizeof text);
    check(&fixture);
    for (size_t len = sizeof text; len-- > 0;) {
        struct set_edit edit = edit_key(&fixture, "s");
        REQUIRE(set_edit_remove(&edit, bytes_make(text, len)) && !set_edit_remove(&edit, bytes_make(text, len)));
        set_edit_end(&edit, NOW);
    }
    REQUIRE(!peek(&fixture, "s"));
    fixture_end(&fixture);
}

Test(set, an_expected_number_of_members_decides_where_it_begins)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    static const struct {
        const char *first, *encoding;
        size_t count;
    } cases[] = { { "1", "intset", 512 }, { "1", "hashtable", 513 }, { "a", "listpack", 128 },
        { "a", "hashtable", 129 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct set_edit edit = edit_key(&fixture, "s");
        set_edit_expect(&edit, bytes_from_cstr(cases[i].first), cases[i].count);
        set_edit_add(&edit, bytes_from_cstr(cases[i].first));
        set_edit_end(&edit, NOW);
        REQUIRE(is_kept_as(&fixture, "s", cases[i].encoding));
        REQUIRE(remove_member(&fixture, "s", cases[i].first));
    }
    struct set_edit edit = edit_key(&fixture, "s");
    set_edit_expect(&edit, BYTES("1"), 1);
    set_edit_end(&edit, NOW);
    REQUIRE(!peek(&fixture, "s"));
    fixture_end(&fixture);
}

Test(set, changes_are_told_once_and_counted_each)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    struct keyspace *keyspace = fixture.keyspace;
    static const char *const prefixes[] = { "", "m",
        "a member much too long for any listpack, as they are by default, " };
    for (int i = 0; i < 3; i++) {
        uint64_t dirty = keyspace->stats.dirty;
        fill(&fixture, "s", prefixes[i], 3);
        REQUIRE(keyspace->stats.dirty == dirty + 3);
        char member[100];
        snprintf(member, sizeof member, "%s1", prefixes[i]);
        fixture.touched = 0;
        REQUIRE(!add_member(&fixture, "s", member) && !remove_member(&fixture, "s", "none"));
        REQUIRE(fixture.touched == 0 && keyspace->stats.dirty == dirty + 3);
        struct set_edit edit = edit_key(&fixture, "s");
        set_edit_add(&edit, BYTES("100"));
        set_edit_add(&edit, BYTES("200"));
        set_edit_remove(&edit, BYTES("100"));
        set_edit_end(&edit, NOW);
        REQUIRE(fixture.touched == 1 && keyspace->stats.dirty == dirty + 6);
        keyspace_remove(keyspace, fixture.db, key_of("s"));
    }
    fixture_end(&fixture);
}

/* --- A model --- */

struct model {
    bool has[MEMBERS_MAX];
    size_t count;
};

static struct bytes model_member(int number, char *out, size_t room)
{
    int len = number % 3 == 0   ? snprintf(out, room, "%d", number - MEMBERS_MAX / 2)
              : number % 3 == 1 ? snprintf(out, room, "m%d", number)
                                : snprintf(out, room, "%0*d", number % 90 + 4, number);
    return bytes_make(out, (size_t)len);
}

static void compare(struct fixture *fixture, const struct model *model)
{
    struct set set = set_at(fixture, "s");
    REQUIRE(set_count(set) == model->count);
    size_t walked = 0;
    struct set_walk walk = set_walk_begin(set);
    for (struct set_batch batch; set_walk_next(&walk, &batch); walked += batch.count) {
        unsigned count = batch.count;
        set_batch_filter(&batch, set, true);
        REQUIRE(batch.count == count);
    }
    REQUIRE(walked == model->count);
    for (int i = 0; i < MEMBERS_MAX; i++) {
        char text[100];
        REQUIRE(set_has(set, model_member(i, text, sizeof text)) == model->has[i]);
    }
    check(fixture);
}

static void change(struct fixture *fixture, struct model *model, struct random *random, int range)
{
    struct set_edit edit = edit_key(fixture, "s");
    size_t changes = random_below(random, 12) + 1;
    bool adding = random_below(random, 100) < 60;
    while (changes--) {
        char text[100];
        int number = (int)random_below(random, (uint64_t)range);
        struct bytes member = model_member(number, text, sizeof text);
        bool changed = adding ? set_edit_add(&edit, member) == SET_ADDED : set_edit_remove(&edit, member);
        REQUIRE(changed == (model->has[number] != adding));
        model->has[number] = adding;
        model->count += changed ? (adding ? 1 : (size_t)-1) : 0;
    }
    set_edit_end(&edit, NOW);
}

Test(set, model)
{
    struct random random;
    random = seed_random(__func__);
    for (int round = 0; round < 40; round++) {
        struct fixture fixture;
        struct store_settings settings = store_settings_default;
        settings.set_max_intset_entries = (int64_t)random_below(&random, 80);
        settings.set_max_listpack_entries = (int64_t)random_below(&random, 150);
        settings.set_max_listpack_value = (int64_t)random_below(&random, 100);
        fixture_begin(&fixture);
        fixture.keyspace->settings = &settings;
        struct model model = { 0 };
        int range = 1 + (int)random_below(&random, MEMBERS_MAX);
        for (int step = 0; step < 120; step++) {
            change(&fixture, &model, &random, range);
            if (step % 10 == 0)
                compare(&fixture, &model);
        }
        compare(&fixture, &model);
        fixture_end(&fixture);
    }
}

/* --- As a value --- */

Test(set, copies_are_their_own)
{
    static const char *const prefixes[] = { "", "m",
        "a member much too long for any listpack, as they are by default, " };
    for (int i = 0; i < 3; i++) {
        struct fixture fixture;
        fixture_begin(&fixture);
        fill(&fixture, "s", prefixes[i], 100);
        keyspace_copy(fixture.keyspace, fixture.db, key_of("s"), fixture.db, key_of("t"));
        REQUIRE(entry_memory(peek(&fixture, "t")) <= entry_memory(peek(&fixture, "s")));
        REQUIRE(keyspace_remove(fixture.keyspace, fixture.db, key_of("s")));
        REQUIRE(set_count(set_at(&fixture, "t")) == 100 && add_member(&fixture, "t", "101010"));
        fixture_end(&fixture);
    }
}

Test(set, memory_is_what_the_allocator_says)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    REQUIRE(add_member(&fixture, "s", "first"));
    size_t used = mem_used(), memory = entry_memory(peek(&fixture, "s"));
    fill(&fixture, "s", "a member of middling length ", 3000);
    REQUIRE(is_kept_as(&fixture, "s", "hashtable"));
    size_t more = mem_used() - used, says = entry_memory(peek(&fixture, "s")) - memory;
    /* Some allocators round what is aligned in ways of their own. */
    REQUIRE(says <= more + more / 10 && more <= says + says / 10);
    fixture_end(&fixture);
}

Test(set, a_large_one_is_given_back_in_slices)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    fill(&fixture, "s", "m", 5000);
    size_t used = mem_used();
    REQUIRE(keyspace_remove(fixture.keyspace, fixture.db, key_of("s")));
    REQUIRE(reclaim_pending(fixture.keyspace->reclaim) == 5000 && mem_used() > used - 1000);
    int steps = 0;
    while (reclaim_step(fixture.keyspace->reclaim, 100))
        steps++;
    REQUIRE(steps >= 49 && steps <= 51);
    fixture_end(&fixture);
}

Test(set, without_memory_nothing_is_added)
{
    struct fixture fixture;
    fixture_begin(&fixture);
    fill(&fixture, "s", "m", 200);
    static char large[10000];
    for (int i = 0; i < 2; i++) {
        struct set_edit edit = edit_key(&fixture, i ? "t" : "s");
        set_edit_expect(&edit, BYTES("m"), 1000);
        mem_fail_nth(1);
        REQUIRE(set_edit_add(&edit, bytes_make(large, sizeof large)) == SET_NO_MEMORY);
        mem_fail_nth(0);
        set_edit_end(&edit, NOW);
    }
    REQUIRE(set_count(set_at(&fixture, "s")) == 200 && !peek(&fixture, "t"));
    fixture_end(&fixture);
}

/* --- Scanning --- */

struct seen {
    int times[MEMBERS_MAX];
};

static void note_seen(void *context, struct set_member member)
{
    struct seen *seen = context;
    struct set_scratch scratch;
    struct bytes text = set_member_bytes(member, &scratch);
    size_t prefix = text.ptr[0] == 'm';
    int64_t number;
    REQUIRE(num_parse_i64(bytes_make(text.ptr + prefix, text.len - prefix), &number));
    if (number < MEMBERS_MAX)
        seen->times[number]++;
}

Test(set, scan_sees_what_stays_while_the_set_grows_shrinks_and_converts)
{
    for (int start = 10; start <= 300; start += 145) {
        struct fixture fixture;
        fixture_begin(&fixture);
        fill(&fixture, "s", "m", start);
        struct seen seen = { 0 };
        uint64_t cursor = 0;
        int step = 0;
        do {
            cursor = set_scan(set_at(&fixture, "s"), cursor, note_seen, &seen);
            char member[32];
            for (int i = 0; i < 60; i++) {
                snprintf(member, sizeof member, "m%d", 1000 + step % 40 * 60 + i);
                if (step % 40 < 20)
                    add_member(&fixture, "s", member);
                else
                    remove_member(&fixture, "s", member);
            }
            step++;
        } while (cursor);
        for (int i = 0; i < start; i++)
            REQUIRE(seen.times[i] >= 1);
        fixture_end(&fixture);
    }
}

/* --- Chance --- */

/*
 * The statistic of `count` equally likely outcomes is above the limit with a probability of at most exp(-25)
 * (Laurent and Massart 2000).
 */
static bool looks_uniform(const struct seen *seen, int count)
{
    double total = 0, statistic = 0;
    for (int i = 0; i < count; i++)
        total += seen->times[i];
    for (int i = 0; i < count; i++) {
        double difference = seen->times[i] - total / count;
        statistic += difference * difference / (total / count);
    }
    double freedom = count - 1;
    fprintf(stderr, "%d outcomes: %.1f\n", count, statistic);
    return statistic < freedom + 10 * __builtin_sqrt(freedom) + 50;
}

static const struct chance {
    const char *prefix;
    int count;
} chances[] = { { "", 100 }, { "m", 100 }, { "m", 390 } };

Test(set, single_draws_are_uniform)
{
    struct random random;
    random = seed_random(__func__);
    for (size_t i = 0; i < 3; i++) {
        struct fixture fixture;
        struct seen seen = { 0 };
        fixture_begin(&fixture);
        fill(&fixture, "s", chances[i].prefix, chances[i].count);
        for (int draw = 0; draw < chances[i].count * 200; draw++)
            note_seen(&seen, set_random(set_at(&fixture, "s"), &random));
        REQUIRE(looks_uniform(&seen, chances[i].count));
        fixture_end(&fixture);
    }
}

Test(set, samples_are_uniform_and_without_repetition)
{
    struct random random;
    random = seed_random(__func__);
    for (size_t i = 0; i < 3; i++)
        for (size_t count = 10; count <= 60; count += 50) { /* of the largest, drawn the first time, then selected */
            struct fixture fixture;
            struct seen all = { 0 };
            fixture_begin(&fixture);
            fill(&fixture, "s", chances[i].prefix, chances[i].count);
            for (int round = 0; round < 3000; round++) {
                struct seen seen = { 0 };
                REQUIRE(set_sample(set_at(&fixture, "s"), count, &random, note_seen, &seen));
                size_t different = 0;
                for (int j = 0; j < chances[i].count; j++) {
                    REQUIRE(seen.times[j] <= 1);
                    different += seen.times[j] == 1;
                    all.times[j] += seen.times[j];
                }
                REQUIRE(different == count);
            }
            REQUIRE(looks_uniform(&all, chances[i].count));
            fixture_end(&fixture);
        }
}

Test(set, popped_members_are_uniform_and_gone)
{
    struct random random;
    random = seed_random(__func__);
    for (size_t i = 0; i < 3; i++)
        for (size_t count = 1; count <= 41; count += 20) {
            struct fixture fixture;
            struct seen all = { 0 };
            fixture_begin(&fixture);
            fill(&fixture, "s", chances[i].prefix, chances[i].count);
            for (int round = 0; round < 1500; round++) {
                struct seen seen = { 0 };
                keyspace_copy(fixture.keyspace, fixture.db, key_of("s"), fixture.db, key_of("t"));
                struct set_edit edit = edit_key(&fixture, "t");
                set_edit_pop(&edit, count, &random, note_seen, &seen);
                set_edit_end(&edit, NOW);
                struct set left = set_at(&fixture, "t");
                REQUIRE(set_count(left) == (size_t)chances[i].count - count);
                for (int j = 0; j < chances[i].count; j++) {
                    char member[32];
                    snprintf(member, sizeof member, "%s%d", chances[i].prefix, j);
                    REQUIRE(set_has(left, bytes_from_cstr(member)) == (seen.times[j] == 0));
                    all.times[j] += seen.times[j];
                }
            }
            check(&fixture);
            REQUIRE(looks_uniform(&all, chances[i].count));
            fixture_end(&fixture);
        }
}

Test(set, popping_all_removes_the_key)
{
    struct random random;
    random = seed_random(__func__);
    for (size_t i = 0; i < 3; i++) {
        struct fixture fixture;
        struct seen seen = { 0 };
        fixture_begin(&fixture);
        fill(&fixture, "s", chances[i].prefix, chances[i].count);
        struct set_edit edit = edit_key(&fixture, "s");
        set_edit_pop(&edit, (size_t)chances[i].count, &random, note_seen, &seen);
        set_edit_end(&edit, NOW);
        REQUIRE(!peek(&fixture, "s"));
        fixture_end(&fixture);
    }
}
