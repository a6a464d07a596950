/*
 * Tests of waiting in crowds: ten thousand at one key or at as many. Anything that grew with the square of the crowd
 * would take a hundred times as long as these tests allow.
 */
#include "engine/wait.h"

#include <time.h>

#include "../base/scale.h"
#include "fixture.h"
#include "letters.h"
#include "store/reclaim.h"

enum { CROWD = 10000 };

static struct fixture f;
static struct client pusher, lone[2];

static void begin(void)
{
    fixture_begin(&f, letters_commands);
    client_open(&f, &pusher);
    client_open(&f, &lone[0]);
    client_open(&f, &lone[1]);
}

static struct wait_stats stats(void)
{
    struct wait_stats now;
    engine_wait_stats(f.engine, &now);
    return now;
}

static void end(void)
{
    client_gone(&pusher);
    client_gone(&lone[0]);
    client_gone(&lone[1]);
    cr_assert_eq(stats().keys + stats().sessions, 0);
    fixture_end(&f);
}

TestSuite(crowd, .init = begin, .fini = end);

/* The pusher's answers are not looked at. */
static void push(const char *text)
{
    client_send(&f, &pusher, text);
    client_take(&pusher);
}

/* Of the processor: others may have it meanwhile. */
static double seconds_since(clock_t start)
{
    return (double)(clock() - start) / CLOCKS_PER_SEC / SCALE_DOWN;
}

static struct client *crowd_open(const char *format)
{
    struct client *crowd = mem_alloc(CROWD * sizeof *crowd);
    char text[64];
    for (int i = 0; i < CROWD; i++) {
        client_open(&f, &crowd[i]);
        snprintf(text, sizeof text, format, i, i);
        client_send(&f, &crowd[i], text);
    }
    cr_assert_eq(stats().sessions, CROWD);
    return crowd;
}

static void crowd_gone(struct client *crowd)
{
    for (int i = 0; i < CROWD; i++)
        client_gone(&crowd[i]);
    mem_free(crowd);
}

Test(crowd, at_one_key)
{
    clock_t start = clock();
    struct client *crowd = crowd_open("POP k 100000");
    for (int i = 0; i < CROWD / 2; i++)
        push("PUSH k a");
    cr_assert_eq(letters_retries, CROWD / 2); /* none in vain */
    cr_assert_eq(stats().sessions, CROWD / 2);
    for (int i = 0; i < CROWD / 2; i++)
        TAKES(&crowd[i], "*2.$1.k.$1.a.");
    TAKES(&crowd[CROWD / 2], "");
    crowd_gone(crowd);
    cr_assert_lt(seconds_since(start), 2);
}

Test(crowd, at_as_many_keys)
{
    clock_t start = clock();
    struct client *crowd = crowd_open("POP k%d all 100000");
    cr_assert_eq(stats().keys, CROWD + 1);
    push("SWAP"); /* makes all of them ready */
    for (int i = 0; i < CROWD; i += 2) {
        char text[64];
        snprintf(text, sizeof text, "PUSH k%d a", i);
        push(text);
    }
    cr_assert_eq(stats().sessions, CROWD / 2);
    while (engine_next_deadline_ms(f.engine) != INT64_MAX)
        engine_run_deadlines(f.engine, INT64_MAX - 1);
    cr_assert_eq(stats().sessions, 0);
    crowd_gone(crowd);
    cr_assert_lt(seconds_since(start), 2);
}

Test(crowd, one_at_very_many_keys)
{
    enum { KEYS = 10000 };
    clock_t start = clock();
    struct bytes *argv = mem_alloc((KEYS + 2) * sizeof *argv);
    char(*names)[16] = mem_alloc(KEYS * sizeof *names);
    argv[0] = BYTES("POP");
    for (int i = 0; i < KEYS; i++)
        argv[i + 1] = bytes_make(names[i], (size_t)snprintf(names[i], sizeof names[i], "k%d", i));
    argv[KEYS + 1] = BYTES("0");
    struct request request = { .owner = lone[0].session, .argv = argv, .argc = KEYS + 2 };
    engine_execute(f.engine, &request, 1);
    cr_assert_eq(stats().keys, KEYS);
    client_send(&f, &lone[1], "POP k5000 0");
    push("SELECT 1");
    push("PUSH k9999 x");
    push("SWAP"); /* all are ready, and most of them idle once the first is served */
    TAKES(&lone[0], "*2.$5.k9999.$1.x.");
    cr_assert_eq(stats().sessions, 1);
    push("PUSH k7 yz"); /* nobody waits for it, though the server has not forgotten who did */
    push("SWAP");
    TAKES(&lone[0], "");
    while (reclaim_step(f.keyspace->reclaim, 100))
        ;
    cr_assert_eq(stats().keys, 1);
    mem_free(argv);
    mem_free(names);
    cr_assert_lt(seconds_since(start), 1);
}

static size_t served(struct client *crowd, const char *expected)
{
    size_t count = 0;
    for (int i = 0; i < CROWD; i++)
        if (output_len(&crowd[i].out)) {
            TAKES(&crowd[i], expected);
            count++;
        }
    return count;
}

Test(crowd, readers_are_served_in_slices)
{
    struct client *crowd = crowd_open("READ k 0 0");
    push("PUSH k a");
    size_t at_once = served(crowd, "$1.a.");
    cr_assert(at_once > 0 && at_once < 1000);
    cr_assert_eq(engine_task_count(f.engine), 1);
    cr_assert(engine_run_tasks(f.engine, 0));
    cr_assert_lt(served(crowd, "$1.a."), 1000);
    client_send(&f, &lone[0], "POP k 0"); /* takes it away from those who were not served yet */
    TAKES(&lone[0], "*2.$1.k.$1.a.");
    while (engine_run_tasks(f.engine, 0))
        ;
    cr_assert_eq(served(crowd, ""), 0);
    cr_assert_gt(stats().sessions, CROWD - 2000);
    push("PUSH k b");
    while (engine_run_tasks(f.engine, 0))
        ;
    cr_assert_eq(stats().sessions, 0);
    cr_assert_eq(engine_task_count(f.engine), 0);
    cr_assert_gt(served(crowd, "$1.b."), CROWD - 2000);
    crowd_gone(crowd);
}

Test(crowd, changes_while_readers_are_served)
{
    struct client *crowd = crowd_open("READ k 2 0");
    push("PUSH k a"); /* for nobody, but all are asked */
    push("PUSH k b");
    push("PUSH k c");
    cr_assert_eq(served(crowd, ""), 0);
    while (engine_run_tasks(f.engine, 0))
        ;
    cr_assert_eq(served(crowd, "$3.abc."), CROWD);
    crowd_gone(crowd);
}

Test(crowd, leaves_while_it_is_served)
{
    struct client *crowd = crowd_open("READ k 2 0");
    push("PUSH k a");
    engine_run_tasks(f.engine, 0);
    cr_assert_eq(stats().sessions, CROWD);
    crowd_gone(crowd);
    cr_assert_eq(stats().keys, 0);
    cr_assert_eq(engine_task_count(f.engine), 0);
}

Test(crowd, hears_that_a_key_is_gone)
{
    push("PUSH k xyz");
    struct client *crowd = crowd_open("GROUP k a 0");
    push("DEL k");
    cr_assert_lt(served(crowd, "-UNBLOCKED gone."), 1000);
    while (engine_run_tasks(f.engine, 0))
        ;
    cr_assert_eq(stats().sessions, 0);
    crowd_gone(crowd);
}
