/*
 * Equality, order and copies of bytes, with zero bytes and beyond ASCII.
 */
#include "base/bytes.h"

#include <criterion/criterion.h>

#include "base/mem.h"

#include "guard.h"

Test(bytes, literals_and_strings)
{
    cr_assert_eq(BYTES("a\0b").len, 3);
    cr_assert(bytes_equal(BYTES("abc"), bytes_from_cstr("abc")));
    cr_assert(bytes_equal(BYTES(""), bytes_make(NULL, 0)));
    cr_assert(!bytes_equal(BYTES("abc"), BYTES("abd")) && !bytes_equal(BYTES("ab"), BYTES("abc")));
}

Test(bytes, equal_nocase_folds_ascii_letters_only)
{
    cr_assert(bytes_equal_nocase(BYTES("GeT"), BYTES("gEt")) && !bytes_equal_nocase(BYTES("get"), BYTES("getx")));
    cr_assert(!bytes_equal_nocase(BYTES("@[`{"), BYTES("`{@[")));
    cr_assert(!bytes_equal_nocase(BYTES("\xc4"), BYTES("\xe4")));
    cr_assert(bytes_equal_nocase(BYTES("a\0B"), BYTES("A\0b")) && !bytes_equal_nocase(BYTES("a\0b"), BYTES("a\0c")));
}

Test(bytes, is_a_word)
{
    cr_assert(bytes_is(BYTES("EX"), "ex") && bytes_is(BYTES(""), ""));
    cr_assert(!bytes_is(BYTES("EX"), "exa") && !bytes_is(BYTES("EXA"), "ex") && !bytes_is(BYTES("ex\0"), "ex"));
}

Test(bytes, is_reads_nothing_behind_the_end)
{
    struct guard guard = guard_create();

    cr_assert(bytes_is(guard_place(&guard, BYTES("match")), "MATCH"));
    cr_assert_not(bytes_is(guard_place(&guard, BYTES("matc")), "MATCH"));
    guard_destroy(&guard);
}

Test(bytes, order_is_that_of_unsigned_bytes)
{
    cr_assert(bytes_compare(BYTES("a"), BYTES("b")) < 0 && bytes_compare(BYTES("b"), BYTES("a")) > 0);
    cr_assert(bytes_compare(BYTES("ab"), BYTES("abc")) < 0 && bytes_compare(BYTES("abc"), BYTES("ab")) > 0);
    cr_assert(bytes_compare(BYTES("a"), BYTES("\xff")) < 0 && bytes_compare(BYTES("x"), BYTES("x")) == 0);
    cr_assert(bytes_compare(bytes_make(NULL, 0), BYTES("")) == 0 && bytes_compare(BYTES(""), BYTES("\0")) < 0);
}

Test(bytes, copies_are_terminated)
{
    char *copy = bytes_dup_cstr(BYTES("a\0b"));

    cr_assert_arr_eq(copy, "a\0b", 4);
    mem_free(copy);
    copy = bytes_dup_cstr(bytes_make(NULL, 0));
    cr_assert_str_empty(copy);
    mem_free(copy);
}

Test(bytes, single_letters)
{
    for (int c = 0; c < 128; c++) {
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        cr_assert_eq(ascii_lower((char)c), letter ? c | 32 : c);
        cr_assert_eq(ascii_upper((char)c), letter ? c & ~32 : c);
    }
}

Test(bytes, escapes)
{
    const struct {
        struct bytes text;
        char c;
        size_t used;
    } cases[] = { { BYTES("n"), '\n', 1 }, { BYTES("r"), '\r', 1 }, { BYTES("t"), '\t', 1 }, { BYTES("b"), '\b', 1 },
        { BYTES("a"), '\a', 1 }, { BYTES("\""), '"', 1 }, { BYTES("\\n"), '\\', 1 }, { BYTES("\0n"), '\0', 1 },
        { BYTES("x4aB"), 'J', 3 }, { BYTES("xFf"), '\xff', 3 }, { BYTES("x09"), '\t', 3 }, { BYTES("x4"), 'x', 1 },
        { BYTES("x"), 'x', 1 }, { BYTES("xg0"), 'x', 1 }, { BYTES("x0g"), 'x', 1 }, { BYTES("X4a"), 'X', 1 } };
    struct guard guard = guard_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t used;
        cr_expect_eq(bytes_unescape(guard_place(&guard, cases[i].text), &used), cases[i].c, "%zu", i);
        cr_expect_eq(used, cases[i].used, "%zu", i);
    }
    guard_destroy(&guard);
}
