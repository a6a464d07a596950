/*
 * Tests of the queue of memory to be given back.
 */
#include "store/reclaim.h"

#include "fixture.h"

static void fill(struct fixture *f, struct db *db, int count, size_t len)
{
    static char text[2000];
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        keyspace_set_string(f->keyspace, db, key_of(key), bytes_make(text, len), EXPIRY_NONE, NOW);
    }
}

Test(reclaim, nothing_queued)
{
    struct fixture f;
    fixture_begin(&f);
    struct reclaim *reclaim = f.keyspace->reclaim;
    REQUIRE(!reclaim_step(reclaim, 10) && reclaim_pending(reclaim) == 0 && reclaim_freed(reclaim) == 0);
    REQUIRE(reclaim_is_done(reclaim, reclaim_ticket(reclaim)));
    keyspace_flush(f.keyspace, f.db);
    REQUIRE(!reclaim_step(reclaim, 10) && reclaim_is_done(reclaim, reclaim_ticket(reclaim)));
    reclaim_destroy(NULL);
    fixture_end(&f);
}

Test(reclaim, tables_in_slices_and_in_order)
{
    struct fixture f;
    fixture_begin(&f);
    struct reclaim *reclaim = f.keyspace->reclaim;
    /* The first key brings along what is kept of all. */
    fill(&f, f.db, 1, 64);
    keyspace_flush(f.keyspace, f.db);
    REQUIRE(!reclaim_step(reclaim, 10));
    size_t used_empty = mem_used();
    uint64_t freed = reclaim_freed(reclaim);
    fill(&f, f.db, 1000, 64);
    keyspace_flush(f.keyspace, f.db);
    uint64_t first = reclaim_ticket(reclaim);
    fill(&f, f.other, 500, 1500);
    keyspace_flush(f.keyspace, f.other);
    uint64_t second = reclaim_ticket(reclaim);
    REQUIRE(second > first && reclaim_pending(reclaim) == 1500);

    REQUIRE(reclaim_step(reclaim, 100));
    REQUIRE(reclaim_freed(reclaim) - freed == 100 && reclaim_pending(reclaim) == 1400);
    REQUIRE(!reclaim_is_done(reclaim, first) && !reclaim_is_done(reclaim, second));
    size_t used = mem_used();
    REQUIRE(reclaim_step(reclaim, 1));
    REQUIRE(reclaim_freed(reclaim) - freed == 101 && mem_used() < used);
    REQUIRE(reclaim_step(reclaim, 900));
    REQUIRE(reclaim_is_done(reclaim, first) && !reclaim_is_done(reclaim, second));
    REQUIRE(reclaim_pending(reclaim) == 499);
    REQUIRE(!reclaim_step(reclaim, 1000));
    REQUIRE(
        reclaim_is_done(reclaim, second) && reclaim_freed(reclaim) - freed == 1500 && reclaim_pending(reclaim) == 0);
    REQUIRE(mem_used() == used_empty);
    fixture_end(&f);
}

Test(reclaim, a_flushed_table_is_ready_for_use)
{
    struct fixture f;
    fixture_begin(&f);
    fill(&f, f.db, 1000, 64);
    keyspace_flush(f.keyspace, f.db);
    fill(&f, f.db, 100, 2000);
    REQUIRE(keyspace_size(f.db) == 100 && peek(&f, "key:99") && !peek(&f, "key:100"));
    reclaim_step(f.keyspace->reclaim, 300);
    check(&f);
    /* The rest goes with the keyspace. */
    fixture_end(&f);
}

struct work {
    struct reclaim_chore chore;
    size_t todo, steps;
};

static void do_some(struct reclaim_chore *chore, size_t items)
{
    struct work *work = (struct work *)chore;
    work->steps++;
    work->todo -= items < work->todo ? items : work->todo;
    if (!work->todo)
        reclaim_chore_end(chore);
}

static void add_work(struct reclaim *reclaim, struct work *work, size_t items)
{
    work->todo += items;
    reclaim_chore_add(reclaim, &work->chore, items);
}

Test(reclaim, chores_take_turns_and_what_waits_is_counted)
{
    enum { MUCH = 100000 };
    struct reclaim *reclaim = reclaim_create();
    struct work works[3] = { { .chore.step = do_some }, { .chore.step = do_some }, { .chore.step = do_some } };
    size_t left = 3 * MUCH;
    for (int i = 0; i < 3; i++)
        add_work(reclaim, &works[i], MUCH);
    while (left > MUCH) {
        size_t fewest = SIZE_MAX, most = 0;
        cr_assert_eq(reclaim_pending(reclaim), left);
        cr_assert(reclaim_step(reclaim, 3000));
        for (int i = 0; i < 3; i++) {
            fewest = works[i].steps < fewest ? works[i].steps : fewest;
            most = works[i].steps > most ? works[i].steps : most;
        }
        cr_assert(most - fewest <= 1, "%zu and %zu steps", fewest, most);
        left -= 3000;
    }
    add_work(reclaim, &works[1], MUCH); /* of one that is queued */
    cr_assert_eq(reclaim_pending(reclaim), left + MUCH);
    reclaim_chore_end(&works[0].chore);
    reclaim_chore_end(&works[0].chore);
    cr_assert_eq(reclaim_pending(reclaim), works[1].todo + works[2].todo);
    while (reclaim_step(reclaim, 5000))
        cr_assert_eq(reclaim_pending(reclaim), works[1].todo + works[2].todo);
    cr_assert(!works[1].todo && !works[2].todo && works[0].todo && reclaim_pending(reclaim) == 0);
    add_work(reclaim, &works[0], 1);
    cr_assert_eq(reclaim_pending(reclaim), 1);
    cr_assert_not(reclaim_step(reclaim, MUCH + 1));
    cr_assert(reclaim_pending(reclaim) == 0 && !works[0].chore.reclaim);
    reclaim_destroy(reclaim);
}
