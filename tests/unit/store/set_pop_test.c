/*
 * Tests of taking many members of a set out at random: that whoever looks in between finds either all of them or none
 * of those that went, however the work is cut into slices; that the choice is uniform; that all memory comes back.
 */
#include "base/fiber.h"
#include "fixture.h"
#include "store/set.h"
#include "store/value.h"

enum { MEMBERS = 5000 };

struct popping {
    struct fixture base;
    struct random random;
    size_t members, count;
    bool popped[MEMBERS]; /* as they were visited */
    size_t visited;
    bool published, done;
    struct set_edit edit;
};

static struct bytes name_of(size_t i)
{
    static char name[300];
    return bytes_make(name, (size_t)snprintf(name, sizeof name, i % 500 ? "m%zu" : "m%0290zu", i));
}

static size_t number_of(struct set_member member)
{
    int64_t number;
    size_t skip = 1;
    while (skip + 1 < member.len && member.text[skip] == '0')
        skip++;
    REQUIRE(num_parse_i64(bytes_make(member.text + skip, member.len - skip), &number) && number < MEMBERS);
    return (size_t)number;
}

static void note_popped(void *context, struct set_member member)
{
    struct popping *popping = context;
    bool *popped = &popping->popped[number_of(member)];
    REQUIRE(!*popped);
    *popped = true;
    popping->visited++;
}

static void note_again(void *context, struct set_member member)
{
    struct popping *popping = context;
    REQUIRE(popping->popped[number_of(member)]);
    popping->visited++;
}

static void begin(struct popping *popping, size_t members)
{
    memset(popping->popped, 0, sizeof popping->popped);
    popping->members = members;
    popping->visited = 0;
    popping->published = popping->done = false;
    struct fixture *f = &popping->base;
    struct set_edit edit = set_edit_begin(f->keyspace, f->db, key_of("s"), NULL);
    for (size_t i = 0; i < members; i++)
        REQUIRE(set_edit_add(&edit, name_of(i)) == SET_ADDED);
    set_edit_end(&edit, NOW);
}

/* What the command does, with the same breaths. */
static void pop(void *context)
{
    struct popping *popping = context;
    struct fixture *f = &popping->base;
    uint64_t dirty = f->keyspace->stats.dirty;
    popping->edit = set_edit_begin(f->keyspace, f->db, key_of("s"), peek(f, "s"));
    set_edit_pop(&popping->edit, popping->count, &popping->random, note_popped, popping);
    REQUIRE(popping->visited == popping->count);
    set_edit_end(&popping->edit, NOW);
    REQUIRE(fiber_running || f->keyspace->stats.dirty == dirty + popping->count); /* others change things, too */
    popping->published = true;
    REQUIRE(set_edit_visit_popped(&popping->edit, note_again, popping));
    REQUIRE(popping->visited == 2 * popping->count);
    set_edit_give_back(&popping->edit);
    popping->done = true;
}

static bool is_there(const struct popping *popping, size_t i)
{
    return i < popping->members && !(popping->published && popping->popped[i]);
}

static void note_seen(void *context, struct set_member member)
{
    bool *seen = context;
    seen[number_of(member)] = true;
}

static void require_all_seen(const struct popping *popping, const bool *seen)
{
    for (size_t i = 0; i < MEMBERS; i++)
        REQUIRE(seen[i] == is_there(popping, i));
}

/* Whoever looks now, in whatever way. */
static void look(struct popping *popping)
{
    struct set set = set_of(peek(&popping->base, "s"));
    REQUIRE(set_count(set) == popping->members - (popping->published ? popping->count : 0));
    bool walked[MEMBERS] = { 0 }, scanned[MEMBERS] = { 0 };
    size_t count = 0;
    struct set_walk walk = set_walk_begin(set);
    for (struct set_batch batch; set_walk_next(&walk, &batch); count += batch.count)
        for (unsigned i = 0; i < batch.count; i++)
            note_seen(walked, batch.members[i]);
    REQUIRE(count == set_count(set));
    require_all_seen(popping, walked);
    uint64_t cursor = 0;
    do
        cursor = set_scan(set, cursor, note_seen, scanned);
    while (cursor);
    require_all_seen(popping, scanned);
    for (size_t i = 0; i < popping->members; i++)
        REQUIRE(set_has(set, name_of(i)) == is_there(popping, i));
    for (int i = 0; i < 20; i++)
        REQUIRE(is_there(popping, number_of(set_random(set, &popping->random))));
    size_t part = set_count(set) / 20;
    bool sampled[MEMBERS] = { 0 };
    REQUIRE(set_sample(set, part, &popping->random, note_seen, sampled));
    for (size_t i = 0; i < MEMBERS; i++) {
        REQUIRE(!sampled[i] || is_there(popping, i));
        part -= sampled[i];
    }
    REQUIRE(part == 0);
    keyspace_copy(popping->base.keyspace, popping->base.db, key_of("s"), popping->base.db, key_of("copy"));
    REQUIRE(set_count(set_of(peek(&popping->base, "copy"))) == set_count(set));
    check(&popping->base);
}

/* In slices of a breath each; others look after some of them. */
static void pop_in_slices(struct popping *popping, size_t count, unsigned every)
{
    popping->count = count;
    struct fiber *fiber = fiber_create(pop, popping);
    unsigned slices = 0, seen_before = 0, seen_after = 0;
    while (!fiber_resume(fiber, 0))
        if (slices++ % every == 0) {
            look(popping);
            seen_before += !popping->published;
            seen_after += popping->published;
        }
    fiber_destroy(fiber);
    REQUIRE(popping->done && seen_before && seen_after);
    look(popping);
    keyspace_remove(popping->base.keyspace, popping->base.db, key_of("copy"));
    keyspace_remove(popping->base.keyspace, popping->base.db, key_of("s"));
}

Test(set_pop, others_find_all_or_what_is_left)
{
    struct popping popping;
    fixture_begin(&popping.base);
    popping.random = seed_random(__func__);
    /* Drawn; selected; selected with what stays put apart; nearly all. */
    static const size_t counts[] = { 300, 2000, 2600, MEMBERS - 1 };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        begin(&popping, MEMBERS);
        pop_in_slices(&popping, counts[i], i == 0 ? 1 : 5);
    }
    fixture_end(&popping.base);
}

Test(set_pop, without_memory_for_a_list_it_selects)
{
    struct popping popping;
    fixture_begin(&popping.base);
    popping.random = seed_random(__func__);
    for (uint64_t nth = 1; nth < 4; nth++) {
        begin(&popping, MEMBERS);
        popping.count = 300;
        mem_fail_nth(nth);
        pop(&popping);
        mem_fail_nth(0);
        look(&popping);
        keyspace_remove(popping.base.keyspace, popping.base.db, key_of("copy"));
        keyspace_remove(popping.base.keyspace, popping.base.db, key_of("s"));
    }
    fixture_end(&popping.base);
}

Test(set_pop, again_and_again_until_nothing_is_left)
{
    struct popping popping;
    fixture_begin(&popping.base);
    popping.random = seed_random(__func__);
    begin(&popping, MEMBERS);
    for (size_t left = MEMBERS; left > 1;) {
        struct set_edit edit =
            set_edit_begin(popping.base.keyspace, popping.base.db, key_of("s"), peek(&popping.base, "s"));
        size_t count = 1 + random_below(&popping.random, left - 1);
        popping.visited = 0;
        set_edit_pop(&edit, count, &popping.random, note_popped, &popping);
        set_edit_end(&edit, NOW);
        set_edit_give_back(&edit);
        left -= count;
        REQUIRE(popping.visited == count && set_count(set_of(peek(&popping.base, "s"))) == left);
        check(&popping.base);
    }
    fixture_end(&popping.base);
}

/* Equally likely outcomes are above the limit with a probability of at most exp(-25) (Laurent and Massart 2000). */
static void require_uniform(const unsigned *times, size_t n, double expected)
{
    double statistic = 0, freedom = (double)n - 1;
    for (size_t i = 0; i < n; i++)
        statistic += (times[i] - expected) * (times[i] - expected) / expected;
    fprintf(stderr, "%zu outcomes: %.1f\n", n, statistic);
    REQUIRE(statistic < freedom + 10 * __builtin_sqrt(freedom) + 50);
}

Test(set_pop, choices_are_uniform)
{
    static const struct {
        size_t members, count;
    } cases[] = { { 2400, 280 }, { 700, 300 }, { 700, 400 } };
    struct popping popping;
    fixture_begin(&popping.base);
    popping.random = seed_random(__func__);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static unsigned gone[MEMBERS];
        size_t members = cases[i].members, rounds = 60000 / members * 10;
        memset(gone, 0, sizeof gone);
        for (size_t round = 0; round < rounds; round++) {
            begin(&popping, members);
            popping.count = cases[i].count;
            pop(&popping);
            for (size_t j = 0; j < members; j++)
                gone[j] += popping.popped[j];
            keyspace_remove(popping.base.keyspace, popping.base.db, key_of("s"));
        }
        require_uniform(gone, members, (double)rounds * (double)cases[i].count / (double)members);
    }
    fixture_end(&popping.base);
}
