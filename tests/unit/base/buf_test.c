/*
 * Growing text: termination, growth, formats longer than the stack buffer, quoting.
 */
#include "base/buf.h"

#include <criterion/criterion.h>

Test(buf, starts_empty)
{
    struct buf buf = BUF_EMPTY;

    cr_assert_str_empty(buf_cstr(&buf));
    buf_clear(&buf);
    buf_fini(&buf);
    cr_assert_str_empty(buf_cstr(&buf));
}

Test(buf, appends_and_terminates)
{
    struct buf buf = BUF_EMPTY;

    buf_append(&buf, BYTES("ab"));
    buf_append(&buf, bytes_make(NULL, 0));
    buf_append_cstr(&buf, "cd");
    buf_append_char(&buf, 'e');
    memcpy(buf_extend(&buf, 2), "fg", 2);
    buf_printf(&buf, "%d-%s", 42, "x");
    cr_assert_str_eq(buf_cstr(&buf), "abcdefg42-x");
    cr_assert_eq(buf.len, 11);
    buf_clear(&buf);
    cr_assert_str_empty(buf_cstr(&buf));
    buf_append_char(&buf, 'z');
    cr_assert(bytes_equal(buf_bytes(&buf), BYTES("z")));
    buf_fini(&buf);
}

Test(buf, grows_byte_by_byte)
{
    struct buf buf = BUF_EMPTY;

    for (int i = 0; i < 100000; i++) {
        buf_append_char(&buf, (char)('a' + i % 26));
        cr_assert(buf.cap > buf.len && buf.ptr[buf.len] == '\0');
    }
    for (int i = 0; i < 100000; i++)
        cr_assert_eq(buf.ptr[i], 'a' + i % 26);
    buf_fini(&buf);
}

Test(buf, printf_around_the_size_of_its_stack_buffer)
{
    char text[600];

    for (size_t len = 250; len < 520; len++) {
        struct buf buf = BUF_EMPTY;
        memset(text, 'x', len);
        text[len] = '\0';
        buf_printf(&buf, "<%s>", text);
        cr_assert(buf.len == len + 2 && buf.ptr[0] == '<' && buf.ptr[len] == 'x' && buf.ptr[len + 1] == '>');
        cr_assert_eq(buf.ptr[len + 2], '\0');
        buf_fini(&buf);
    }
}

Test(buf, quotes_as_redis_cli_does)
{
    struct buf buf = BUF_EMPTY;

    buf_append_quoted(&buf, BYTES("a\n\r\t\a\b\"\\\x01\x7f\xff\0z~ "));
    cr_assert_str_eq(buf_cstr(&buf), "\"a\\n\\r\\t\\a\\b\\\"\\\\\\x01\\x7f\\xff\\x00z~ \"");
    buf_clear(&buf);
    buf_append_quoted(&buf, bytes_make(NULL, 0));
    cr_assert_str_eq(buf_cstr(&buf), "\"\"");
    buf_fini(&buf);
}
