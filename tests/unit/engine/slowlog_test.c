/*
 * Tests of the slow log: what is kept of a command, and how many.
 */
#include "engine/slowlog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static void add(struct slowlog *slowlog, size_t max_len, const char *word)
{
    struct bytes argv[1] = { bytes_from_cstr(word) };
    slowlog_add(slowlog, max_len, 7, 9, argv, 1, "peer", "name");
}

static bool is_arg(const struct slowlog_item *item, uint32_t index, const char *text)
{
    return bytes_equal(item->argv[index], bytes_from_cstr(text));
}

Test(slowlog, keeps_newest_first)
{
    struct slowlog *slowlog = slowlog_create();
    cr_assert_null(slowlog_newest(slowlog));
    add(slowlog, 3, "a");
    add(slowlog, 3, "b");
    cr_assert_eq(slowlog_len(slowlog), 2);
    const struct slowlog_item *item = slowlog_newest(slowlog);
    cr_assert(is_arg(item, 0, "b"));
    cr_assert_eq(item->id, 1);
    cr_assert_eq(item->time_s, 7);
    cr_assert_eq(item->duration_us, 9);
    cr_assert_str_eq(item->peer, "peer");
    cr_assert_str_eq(item->name, "name");
    cr_assert(is_arg(item->older, 0, "a"));
    cr_assert_null(item->older->older);
    slowlog_destroy(slowlog);
}

Test(slowlog, drops_the_oldest)
{
    mem_thread_register();
    size_t before = mem_used();
    struct slowlog *slowlog = slowlog_create();
    for (int i = 0; i < 10; i++)
        add(slowlog, 3, i % 2 ? "odd" : "even");
    cr_assert_eq(slowlog_len(slowlog), 3);
    cr_assert_eq(slowlog_newest(slowlog)->id, 9);
    slowlog_trim(slowlog, 1);
    cr_assert_eq(slowlog_len(slowlog), 1);
    cr_assert_null(slowlog_newest(slowlog)->older);
    slowlog_trim(slowlog, 5);
    cr_assert_eq(slowlog_len(slowlog), 1);
    slowlog_clear(slowlog);
    cr_assert_null(slowlog_newest(slowlog));
    add(slowlog, 3, "again"); /* numbers go on */
    cr_assert_eq(slowlog_newest(slowlog)->id, 10);
    add(slowlog, 0, "nothing is kept");
    cr_assert_eq(slowlog_len(slowlog), 0);
    slowlog_destroy(slowlog);
    slowlog_destroy(NULL);
    cr_assert_eq(mem_used(), before);
}

Test(slowlog, cuts_long_arguments)
{
    struct slowlog *slowlog = slowlog_create();
    char text[300];
    memset(text, 'x', sizeof text);
    struct bytes argv[4] = {
        bytes_make(text, SLOWLOG_ARG_LEN_MAX),
        bytes_make(text, SLOWLOG_ARG_LEN_MAX + 1),
        bytes_make(text, sizeof text),
        bytes_make(NULL, 0),
    };
    slowlog_add(slowlog, 3, 0, 0, argv, 4, "", "");
    const struct slowlog_item *item = slowlog_newest(slowlog);
    cr_assert_eq(item->argc, 4);
    cr_assert_eq(item->argv[0].len, SLOWLOG_ARG_LEN_MAX);
    cr_assert(bytes_equal(bytes_make(item->argv[1].ptr + SLOWLOG_ARG_LEN_MAX, item->argv[1].len - SLOWLOG_ARG_LEN_MAX),
        BYTES("... (1 more bytes)")));
    cr_assert(bytes_equal(bytes_make(item->argv[2].ptr + SLOWLOG_ARG_LEN_MAX, item->argv[2].len - SLOWLOG_ARG_LEN_MAX),
        BYTES("... (172 more bytes)")));
    cr_assert_eq(item->argv[3].len, 0);
    slowlog_destroy(slowlog);
}

Test(slowlog, leaves_arguments_out)
{
    struct slowlog *slowlog = slowlog_create();
    struct bytes argv[40];
    for (int i = 0; i < 40; i++)
        argv[i] = BYTES("arg");
    slowlog_add(slowlog, 3, 0, 0, argv, SLOWLOG_ARGS_MAX, "", "");
    cr_assert_eq(slowlog_newest(slowlog)->argc, SLOWLOG_ARGS_MAX);
    cr_assert(is_arg(slowlog_newest(slowlog), SLOWLOG_ARGS_MAX - 1, "arg"));
    slowlog_add(slowlog, 3, 0, 0, argv, SLOWLOG_ARGS_MAX + 1, "", "");
    cr_assert_eq(slowlog_newest(slowlog)->argc, SLOWLOG_ARGS_MAX);
    cr_assert(is_arg(slowlog_newest(slowlog), SLOWLOG_ARGS_MAX - 2, "arg"));
    cr_assert(is_arg(slowlog_newest(slowlog), SLOWLOG_ARGS_MAX - 1, "... (2 more arguments)"));
    slowlog_add(slowlog, 3, 0, 0, argv, 40, "", "");
    cr_assert(is_arg(slowlog_newest(slowlog), SLOWLOG_ARGS_MAX - 1, "... (9 more arguments)"));
    slowlog_destroy(slowlog);
}
