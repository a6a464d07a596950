/*
 * Tests of the command registry: finding, renaming, key positions, categories, arity, histograms.
 */
#include "engine/registry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static void run_nothing(struct call *call)
{
    (void)call;
}

static int find_evens(const struct bytes *argv, uint32_t argc, struct key_position *out, int max)
{
    (void)argv;
    int count = 0;
    for (uint32_t i = 2; i < argc; i += 2, count++)
        if (count < max)
            out[count] = (struct key_position){ i, KEY_RO };
    return argc > 10 ? -1 : count;
}

#define TEXTS .since = "1.0.0", .complexity = "O(1)", .brief = "Is tested."
#define ROW(n) .name = (n), .run = run_nothing, .argc = AT_LEAST(1), TEXTS

static const struct command subcommands[] = {
    { .name = "OPEN", TEXTS, .run = run_nothing, .argc = EXACTLY(2) },
    { .name = "SHUT", TEXTS, .run = run_nothing, .argc = { .min = 3, .max = 5 }, .keys = { KEY_AT(2, KEY_RO) } },
    { 0 },
};

static const struct command rows[] = {
    { ROW("GET"), .keys = { KEY_AT(1, KEY_READ_ACCESS) } },
    { ROW("MGET"), .keys = { KEY_RANGE(1, -1, 1, KEY_RO) } },
    { ROW("MSET"), .keys = { KEY_RANGE(1, -1, 2, KEY_OW) } },
    { ROW("BLPOP"), .keys = { KEY_RANGE(1, -2, 1, KEY_RW) } },
    { ROW("RENAME"), .keys = { KEY_AT(1, KEY_RW), KEY_AT(2, KEY_OW) } },
    { ROW("PAIR"), .keys = { KEY_RANGE(1, 1, 1, KEY_RW) } },
    { ROW("LMPOP"), .keys = { KEY_NUMBERED(1, KEY_RW) } },
    { ROW("ZSTORE"), .keys = { KEY_AT(1, KEY_OW), KEY_NUMBERED(2, KEY_RO) } },
    { ROW("XREAD"), .keys = { KEY_AFTER("STREAMS", 1, -1, 1, 2, KEY_RO) } },
    { ROW("MIGRATE"), .keys = { KEY_AFTER("KEYS", -2, -1, 1, 0, KEY_RW) } },
    { ROW("STORE"), .keys = { KEY_AT(1, KEY_RO), KEY_AFTER("STORE", 2, 0, 1, 0, KEY_OW) } },
    { ROW("PUBLISH"), .keys = { KEY_AT(1, KEY_NOT_KEY) } },
    { ROW("EVENS"), .find_keys = find_evens },
    { ROW("PLAIN") },
    { .name = "BOX", TEXTS, .argc = AT_LEAST(2), .subcommands = subcommands },
    { 0 },
};

static struct command_registry *registry;

static void begin(void)
{
    mem_thread_register();
    registry = command_registry_create();
    command_registry_add(registry, rows);
}

static void end(void)
{
    command_registry_destroy(registry);
}

TestSuite(command, .init = begin, .fini = end);

static struct command_info *find(const char *name)
{
    return command_find(registry, bytes_from_cstr(name));
}

/* The words of a request, and the key positions as "1 3", or "bad". */
static const char *keys_of(const char *text)
{
    static char out[256];
    static char words[256];
    struct bytes argv[32];
    uint32_t argc = 0;
    snprintf(words, sizeof words, "%s", text);
    for (char *rest = words, *word; (word = strsep(&rest, " "));)
        argv[argc++] = bytes_from_cstr(word);
    struct command_info *command = command_resolve(registry, argv, argc);
    cr_assert(command);
    struct key_position found[32];
    int count = command_keys(command, argv, argc, found, 32);
    /* Room for none changes nothing of the count. */
    cr_assert_eq(command_keys(command, argv, argc, NULL, 0), count);
    if (count < 0)
        return "bad";
    out[0] = '\0';
    for (int i = 0; i < count; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%u", i ? " " : "", found[i].index);
    return out;
}

Test(command, is_found_in_any_case)
{
    cr_assert_str_eq(find("GET")->full_name, "get");
    cr_assert_eq(find("get"), find("gEt"));
    cr_assert_null(find("GE"));
    cr_assert_null(find("GETT"));
    cr_assert_null(find(""));
    cr_assert_null(find("BOX|OPEN"));
    cr_assert_null(find("7%4")); /* differs from letters in the bit that folds them, or in none at all */
    cr_assert_null(command_find(registry, bytes_make("GET\0", 4)));
    char text[300];
    memset(text, 'x', sizeof text);
    cr_assert_null(command_find(registry, bytes_make(text, sizeof text)));
    cr_assert_eq(command_at(registry, 0), find("GET"));
    cr_assert_eq(command_at(registry, 14), find("BOX"));
    cr_assert_null(command_at(registry, 15));
}

Test(command, folds_letters_only)
{
    static const struct command odd[] = { { ROW("A@B") }, { 0 } };
    command_registry_add(registry, odd);
    cr_assert(find("a@b"));
    cr_assert_null(find("a`b"));
}

Test(command, has_subcommands)
{
    struct command_info *box = find("box");
    struct command_info *open = command_find_sub(box, BYTES("oPen"));
    cr_assert_str_eq(open->full_name, "box|open");
    cr_assert_eq(open->parent, box);
    cr_assert_neq(open->id, box->id);
    cr_assert_null(command_find_sub(box, BYTES("ajar")));
    cr_assert_null(command_find_sub(find("get"), BYTES("open")));
    cr_assert(command_is_called(box, BYTES("bOx")));
    cr_assert_not(command_is_called(open, BYTES("open")));
    cr_assert_not(command_is_called(open, BYTES("")));
    struct bytes argv[] = { BYTES("box"), BYTES("shut"), BYTES("key") };
    cr_assert_str_eq(command_resolve(registry, argv, 3)->full_name, "box|shut");
    cr_assert_eq(command_resolve(registry, argv, 1), box);
    argv[1] = BYTES("ajar");
    cr_assert_null(command_resolve(registry, argv, 3));
    cr_assert_null(command_resolve(registry, argv, 0));
}

Test(command, is_renamed)
{
    struct command_info *get = find("get");
    cr_assert(command_rename(registry, BYTES("get"), BYTES("Fetch")));
    cr_assert_null(find("get"));
    cr_assert_eq(find("FETCH"), get);
    cr_assert_str_eq(get->full_name, "get");
    cr_assert_str_eq(get->called, "fetch");
    cr_assert_not(command_rename(registry, BYTES("get"), BYTES("other")));
    cr_assert_not(command_rename(registry, BYTES("fetch"), BYTES("mget")));
    cr_assert(command_rename(registry, BYTES("mget"), BYTES("")));
    cr_assert_null(find("mget"));
    cr_assert_null(find(""));
    cr_assert_eq(command_at(registry, 1), find("mset"));
    cr_assert(command_rename(registry, BYTES("fetch"), BYTES("mget")));
    cr_assert_eq(find("mget"), get);
    cr_assert(command_rename(registry, BYTES("box"), BYTES("crate")));
    cr_assert_str_eq(command_find_sub(find("crate"), BYTES("open"))->full_name, "box|open");
}

Test(command, registry_grows)
{
    enum { MANY = 2000 };
    struct command *many = mem_zalloc((MANY + 1) * sizeof *many);
    char(*names)[16] = mem_alloc(MANY * sizeof *names);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "N%d", i);
        many[i] = (struct command){ ROW(names[i]) };
    }
    command_registry_add(registry, many);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(find(names[i])->row, &many[i]);
    cr_assert(find("get"));
    command_registry_destroy(registry);
    registry = command_registry_create();
    mem_free(many);
    mem_free(names);
}

Test(command, keys_at_fixed_places)
{
    cr_assert_str_eq(keys_of("GET a"), "1");
    cr_assert_str_eq(keys_of("GET a b"), "1");
    cr_assert_str_eq(keys_of("PLAIN a"), "");
    cr_assert_str_eq(keys_of("PUBLISH a"), "");
    cr_assert_str_eq(keys_of("RENAME a b"), "1 2");
    cr_assert_str_eq(keys_of("PAIR a b c"), "1 2");
    cr_assert_str_eq(keys_of("PAIR a"), "bad");
    cr_assert_str_eq(keys_of("BOX SHUT k"), "2");
    cr_assert_str_eq(keys_of("BOX OPEN k"), "");
    cr_assert_eq(find("get")->first_key, 1);
    cr_assert_eq(find("lmpop")->first_key, 0);
    cr_assert_eq(find("publish")->first_key, 0);
    cr_assert_eq(command_find_sub(find("box"), BYTES("shut"))->first_key, 2);
}

Test(command, keys_in_ranges)
{
    cr_assert_str_eq(keys_of("MGET a b c"), "1 2 3");
    cr_assert_str_eq(keys_of("MGET"), "");
    cr_assert_str_eq(keys_of("MSET a 1 b 2"), "1 3");
    cr_assert_str_eq(keys_of("BLPOP a b 0"), "1 2");
    cr_assert_str_eq(keys_of("BLPOP 0"), "");
}

Test(command, keys_that_are_counted)
{
    cr_assert_str_eq(keys_of("LMPOP 2 a b LEFT"), "2 3");
    cr_assert_str_eq(keys_of("LMPOP 1 a"), "2");
    cr_assert_str_eq(keys_of("LMPOP 0 LEFT"), "bad"); /* at least one */
    cr_assert_str_eq(keys_of("LMPOP 0"), "bad");
    cr_assert_str_eq(keys_of("LMPOP 3 a b"), "bad");
    cr_assert_str_eq(keys_of("LMPOP 999999999 a b"), "bad");
    cr_assert_str_eq(keys_of("LMPOP 99999999999999999999 a b"), "bad");
    cr_assert_str_eq(keys_of("LMPOP -1 a b"), "bad");
    cr_assert_str_eq(keys_of("LMPOP x a b"), "bad");
    cr_assert_str_eq(keys_of("LMPOP"), "bad");
    cr_assert_str_eq(keys_of("ZSTORE d 2 a b"), "1 3 4");
    cr_assert_str_eq(keys_of("ZSTORE d 3 a b"), "bad");
}

Test(command, keys_after_a_word)
{
    cr_assert_str_eq(keys_of("XREAD COUNT 2 streams a b 0 0"), "4 5");
    cr_assert_str_eq(keys_of("XREAD STREAMS a 0"), "2");
    cr_assert_str_eq(keys_of("XREAD COUNT 2"), "");
    cr_assert_str_eq(keys_of("XREAD STREAMS"), "");
    cr_assert_str_eq(keys_of("MIGRATE h p x KEYS a b"), "5 6");
    cr_assert_str_eq(keys_of("MIGRATE KEYS p x KEYS a b"), "5 6"); /* the last such word */
    cr_assert_str_eq(keys_of("MIGRATE h p x y"), "");
    cr_assert_str_eq(keys_of("STORE a b STORE c"), "1 4");
    cr_assert_str_eq(keys_of("STORE a b STORE"), "1");
    cr_assert_str_eq(keys_of("STORE STORE c"), "1"); /* the search begins behind */
}

Test(command, keys_by_function)
{
    cr_assert_str_eq(keys_of("EVENS a b c d e"), "2 4");
    cr_assert_str_eq(keys_of("EVENS 1 2 3 4 5 6 7 8 9 10"), "bad");
}

Test(command, keys_beyond_the_room_are_counted)
{
    struct bytes argv[] = { BYTES("MGET"), BYTES("a"), BYTES("b"), BYTES("c") };
    struct key_position found[3] = { { 0 }, { 0 }, { 77, 77 } };
    cr_assert_eq(command_keys(find("mget"), argv, 4, found, 2), 3);
    cr_assert_eq(found[1].index, 2);
    cr_assert_eq(found[1].flags, KEY_RO);
    cr_assert_eq(found[2].index, 77);
}

Test(command, arity)
{
    const struct command_info *box = find("box");
    const struct command_info *open = command_find_sub(box, BYTES("open")),
                              *shut = command_find_sub(box, BYTES("shut"));
    cr_assert_eq(command_arity(open->row), 2);
    cr_assert_eq(command_arity(shut->row), -3);
    cr_assert_eq(command_arity(box->row), -2);
    cr_assert(command_argc_fits(open, 2));
    cr_assert_not(command_argc_fits(open, 1));
    cr_assert_not(command_argc_fits(open, 3));
    cr_assert(command_argc_fits(shut, 5));
    cr_assert_not(command_argc_fits(shut, 6));
    cr_assert(command_argc_fits(box, 1000000));
    cr_assert_not(command_argc_fits(box, 1));
}

Test(command, categories)
{
    struct command row = { ROW("X"), .group = GROUP_STRING, .flags = CMD_WRITE | CMD_FAST };
    cr_assert_eq(command_categories(&row), CATEGORY_STRING | CATEGORY_WRITE | CATEGORY_FAST);
    row = (struct command){ ROW("X"), .group = GROUP_LIST, .flags = CMD_WRITE | CMD_BLOCKING };
    cr_assert_eq(command_categories(&row), CATEGORY_LIST | CATEGORY_WRITE | CATEGORY_SLOW | CATEGORY_BLOCKING);
    row = (struct command){ ROW("X"), .group = GROUP_SERVER, .flags = CMD_ADMIN };
    cr_assert_eq(command_categories(&row), CATEGORY_ADMIN | CATEGORY_DANGEROUS | CATEGORY_SLOW);
    row = (struct command){ ROW("X"), .group = GROUP_GENERIC, .flags = CMD_READ, .categories = CATEGORY_DANGEROUS };
    cr_assert_eq(command_categories(&row), CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW | CATEGORY_DANGEROUS);
    row = (struct command){ ROW("X"), .group = GROUP_SCRIPTING, .flags = CMD_READ };
    cr_assert_eq(command_categories(&row), CATEGORY_SCRIPTING | CATEGORY_SLOW);
    row = (struct command){ ROW("X"), .group = GROUP_PUBSUB, .flags = CMD_PUBSUB | CMD_FAST };
    cr_assert_eq(command_categories(&row), CATEGORY_PUBSUB | CATEGORY_FAST);
}

Test(command, statistics_have_quantiles)
{
    struct command_stats stats = { 0 };
    cr_assert_eq(command_stats_quantile(&stats, 0.5), 0);
    command_stats_add(&stats, 1000, false);
    cr_assert_eq(command_stats_quantile(&stats, 0.5), 0); /* not tracked */
    cr_assert_eq(stats.calls, 1);
    for (int i = 0; i < 98; i++)
        command_stats_add(&stats, 1000, true);
    command_stats_add(&stats, 1000000, true);
    command_stats_add(&stats, UINT64_MAX / 4, true);
    cr_assert_eq(stats.calls, 101);
    /* The upper end of a bucket: at least the value, and at most a quarter above it. */
    for (double quantile = 0; quantile < 0.985; quantile += 0.1) {
        uint64_t ns = command_stats_quantile(&stats, quantile);
        cr_assert(ns >= clock_ticks_to_ns(1000) && ns <= clock_ticks_to_ns(1251));
    }
    uint64_t ns = command_stats_quantile(&stats, 0.99);
    cr_assert(ns >= clock_ticks_to_ns(1000000) && ns <= clock_ticks_to_ns(1250001));
    cr_assert_gt(command_stats_quantile(&stats, 1), clock_ticks_to_ns(UINT64_C(1) << 37));
    command_stats_reset(&stats);
    cr_assert_eq(stats.calls, 0);
    cr_assert_null(stats.latency);
}

Test(command, histogram_fits_every_duration)
{
    for (unsigned shift = 0; shift < 38; shift++)
        for (uint64_t delta = 0; delta < 8; delta++) {
            uint64_t ticks = (UINT64_C(1) << shift) + (delta << shift) / 8;
            struct command_stats stats = { 0 };
            command_stats_add(&stats, ticks, true);
            uint64_t ns = command_stats_quantile(&stats, 0.5);
            cr_assert_geq(ns, clock_ticks_to_ns(ticks));
            cr_assert_leq(ns, clock_ticks_to_ns(ticks + ticks / 4 + 81));
            command_stats_reset(&stats);
        }
}
