/*
 * Tests of sorted sets from which long spans are cut: that whoever looks finds them without those members at once,
 * whatever the background has got to; that members of the same names come back; and that nothing is lost or freed twice
 * where the set is copied, moved, emptied or removed meanwhile.
 */
#include <math.h>

#include "fixture.h"
#include "store/settings.h"
#include "store/zset.h"

enum { NAMES = 6000, STEPS = 600 };

struct zset_fixture {
    struct fixture base;
    struct store_settings settings;
    struct random random;
    bool present[NAMES];
    double score[NAMES];
    size_t count;
};

static void begin(struct zset_fixture *f)
{
    memset(f->present, 0, sizeof f->present);
    f->count = 0;
    fixture_begin(&f->base);
    f->settings = store_settings_default;
    f->settings.zset_max_listpack_entries = 0;
    f->base.keyspace->settings = &f->settings;
    f->random = seed_random(__func__);
}

static struct zset_edit open(struct zset_fixture *f, const char *name)
{
    struct key key = key_of(name);
    struct entry *entry = keyspace_write(f->base.keyspace, f->base.db, key, NOW);
    return (
        struct zset_edit){ .keyspace = f->base.keyspace, .db = f->base.db, .key = key, .entry = entry, .now_ms = NOW };
}

static struct bytes name_of(unsigned i)
{
    static char name[32];
    return bytes_make(name, (size_t)snprintf(name, sizeof name, "member-%u", i));
}

static void add(struct zset_fixture *f, unsigned i, double score)
{
    struct zset_edit edit = open(f, "z");
    double result;
    enum zset_added added = zset_add(&edit, name_of(i), score, 0, &result);
    zset_edit_end(&edit);
    REQUIRE(added == (!f->present[i] ? ZSET_ADDED : f->score[i] == score ? ZSET_SAME : ZSET_UPDATED));
    f->count += !f->present[i];
    f->present[i] = true;
    f->score[i] = score;
}

static void fill(struct zset_fixture *f, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        add(f, i, (double)random_below(&f->random, 500));
}

static unsigned number_of(struct bytes member)
{
    int64_t number;
    REQUIRE(num_parse_i64(bytes_make(member.ptr + 7, member.len - 7), &number) && number >= 0 && number < NAMES);
    return (unsigned)number;
}

/* Takes the span out of the set, and those members out of the model. */
static void remove_span(struct zset_fixture *f, size_t first, size_t count)
{
    struct zset_edit edit = open(f, "z");
    struct zset_iter iter;
    struct zset_span span = { first, count };
    bool more = zset_iter_begin(&iter, edit.entry, first, false);
    for (size_t i = 0; i < count; i++, more = zset_iter_next(&iter)) {
        REQUIRE(more && f->present[number_of(iter.member)]);
        f->present[number_of(iter.member)] = false;
    }
    f->count -= count;
    zset_remove_span(&edit, span);
    zset_edit_end(&edit);
}

static void tick(void *context, struct bytes member, double score)
{
    const struct zset_fixture *f = ((void **)context)[0];
    bool *seen = ((void **)context)[1];
    REQUIRE(f->present[number_of(member)] && f->score[number_of(member)] == score);
    seen[number_of(member)] = true;
}

/* Walks along the order, asks for every name, and scans. */
static void compare(struct zset_fixture *f, const char *key)
{
    static bool seen[NAMES];
    const struct entry *entry = peek(&f->base, key);
    struct zset_iter iter;
    size_t count = 0;
    double before = -INFINITY, score;
    REQUIRE(zset_count(entry) == f->count);
    for (bool more = zset_iter_begin(&iter, entry, 0, false); more; more = zset_iter_next(&iter), count++) {
        REQUIRE(f->present[number_of(iter.member)] && f->score[number_of(iter.member)] == iter.score);
        REQUIRE(iter.score >= before);
        before = iter.score;
    }
    REQUIRE(count == f->count);
    for (unsigned i = 0; i < NAMES; i++)
        REQUIRE(zset_score(entry, name_of(i), &score) == f->present[i]);
    memset(seen, 0, sizeof seen);
    void *context[] = { f, seen };
    uint64_t cursor = 0;
    do
        cursor = entry ? zset_scan(entry, cursor, tick, context) : 0;
    while (cursor);
    REQUIRE(memcmp(seen, f->present, sizeof seen) == 0);
    check(&f->base);
}

Test(zset_cut, a_cut_span_is_gone_at_once)
{
    struct zset_fixture f;
    begin(&f);
    fill(&f, 0, NAMES);
    size_t pending = reclaim_pending(f.base.keyspace->reclaim);
    remove_span(&f, 1000, 3000);
    REQUIRE(reclaim_pending(f.base.keyspace->reclaim) == pending + 3000); /* it was cut, not taken apart */
    compare(&f, "z");
    fill(&f, 0, NAMES / 2); /* the same names, some of them with the same scores */
    compare(&f, "z");
    while (reclaim_step(f.base.keyspace->reclaim, 100))
        ;
    REQUIRE(reclaim_pending(f.base.keyspace->reclaim) == 0);
    compare(&f, "z");
    fixture_end(&f.base);
}

Test(zset_cut, memory_comes_back)
{
    if (strncmp(mem_allocator_name(), "jemalloc", 8) != 0)
        cr_skip_test("only jemalloc says how large an allocation will be");
    struct zset_fixture f;
    begin(&f);
    fill(&f, 0, NAMES);
    size_t used = mem_used(), before = entry_memory(peek(&f.base, "z"));
    remove_span(&f, 0, NAMES - 10);
    while (reclaim_step(f.base.keyspace->reclaim, 100))
        ;
    REQUIRE(before - entry_memory(peek(&f.base, "z")) == used - mem_used());
    fixture_end(&f.base);
}

/* More spans than are kept apart: the smallest ones are taken out of the table to make room. */
Test(zset_cut, cut_after_cut_without_a_pause)
{
    struct zset_fixture f;
    begin(&f);
    fill(&f, 0, NAMES);
    bool worked = false;
    for (int i = 0; f.count > 600; i++) {
        struct zset_span span = { random_below(&f.random, f.count - 300), 300 };
        size_t work = zset_removal_work(peek(&f.base, "z"), span);
        REQUIRE(work == 0 || work == 300);
        worked |= work > 0;
        remove_span(&f, span.first, span.count);
        compare(&f, "z");
    }
    REQUIRE(worked);
    fixture_end(&f.base);
}

Test(zset_cut, removed_copied_and_moved_meanwhile)
{
    for (unsigned steps = 0; steps < 60; steps += 7) {
        struct zset_fixture f;
        begin(&f);
        fill(&f, 0, NAMES);
        remove_span(&f, 500, 2000);
        remove_span(&f, 1500, 500);
        reclaim_step(f.base.keyspace->reclaim, 50 * steps);
        keyspace_copy(f.base.keyspace, f.base.db, key_of("z"), f.base.db, key_of("copy"));
        keyspace_move(f.base.keyspace, f.base.db, key_of("z"), f.base.db, key_of("moved"));
        compare(&f, "copy");
        compare(&f, "moved");
        reclaim_step(f.base.keyspace->reclaim, 10 * steps);
        keyspace_remove(f.base.keyspace, f.base.db, key_of("moved"));
        reclaim_step(f.base.keyspace->reclaim, 10 * steps);
        compare(&f, "copy");
        if (steps % 2)
            while (reclaim_step(f.base.keyspace->reclaim, 10))
                ;
        fixture_end(&f.base);
    }
}

static void step(struct zset_fixture *f)
{
    uint64_t dice = random_below(&f->random, 100);
    unsigned i = (unsigned)random_below(&f->random, NAMES);
    if (dice < 25 && f->count > 300) {
        size_t first = random_below(&f->random, f->count), most = f->count - first;
        remove_span(f, first, 1 + random_below(&f->random, most < 2500 ? most : 2500));
    } else if (dice < 50) {
        for (unsigned n = 0; n < 100; n++) /* one by one, often what was cut off just now */
            add(f, (i + n) % NAMES, (double)random_below(&f->random, 500));
    } else if (dice < 60) {
        fill(f, i, i + 1000 < NAMES ? i + 1000 : NAMES);
    } else if (dice < 70) {
        struct zset_edit edit = open(f, "z");
        bool removed = zset_remove(&edit, name_of(i));
        zset_edit_end(&edit);
        REQUIRE(removed == f->present[i]);
        f->count -= removed;
        f->present[i] = false;
    } else {
        reclaim_step(f->base.keyspace->reclaim, random_below(&f->random, 400));
    }
}

Test(zset_cut, model)
{
    struct zset_fixture f;
    begin(&f);
    for (int i = 0; i < STEPS; i++) {
        step(&f);
        if (i % 10 == 0)
            compare(&f, "z");
    }
    fixture_end(&f.base);
}
