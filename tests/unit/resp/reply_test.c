/*
 * Tests of the reply writer: the spelling of every answer in both versions of the protocol, then errors, long content,
 * and what nests.
 */
#include "resp/reply.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <sys/uio.h>

#include "base/buf.h"

static struct output output;
static struct reply reply;

static void begin(uint8_t proto)
{
    output_init(&output);
    reply_init(&reply, &output, proto);
    reply_begin(&reply);
}

/* What was written is `expected`; it is dropped. */
static void check(const char *expected)
{
    struct iovec vectors[64];
    size_t len;
    struct buf written = BUF_EMPTY;
    int count = output_gather(&output, vectors, 64, &len);
    for (int i = 0; i < count; i++)
        buf_append(&written, bytes_make(vectors[i].iov_base, vectors[i].iov_len));
    if (!bytes_equal(buf_bytes(&written), bytes_from_cstr(expected)))
        cr_assert_fail("%.200s\ninstead of\n%.200s", buf_cstr(&written), expected);
    buf_fini(&written);
    output_consume(&output, len);
}

#define CHECK2(call, expected) \
    do {                       \
        begin(2);              \
        call;                  \
        check(expected);       \
    } while (0)
#define CHECK3(call, expected) \
    do {                       \
        begin(3);              \
        call;                  \
        check(expected);       \
    } while (0)
#define CHECK_BOTH(call, expected) \
    do {                           \
        CHECK2(call, expected);    \
        CHECK3(call, expected);    \
    } while (0)

Test(reply, status_and_integers)
{
    CHECK_BOTH(reply_ok(&reply), "+OK\r\n");
    CHECK_BOTH(reply_status(&reply, BYTES("QUEUED")), "+QUEUED\r\n");
    CHECK_BOTH(reply_status(&reply, BYTES("")), "+\r\n");
    CHECK_BOTH(reply_int(&reply, 0), ":0\r\n");
    CHECK_BOTH(reply_int(&reply, 9), ":9\r\n");
    CHECK_BOTH(reply_int(&reply, 10), ":10\r\n");
    CHECK_BOTH(reply_int(&reply, 99), ":99\r\n");
    CHECK_BOTH(reply_int(&reply, 100), ":100\r\n");
    CHECK_BOTH(reply_int(&reply, -1), ":-1\r\n");
    CHECK_BOTH(reply_int(&reply, INT64_MAX), ":9223372036854775807\r\n");
    CHECK_BOTH(reply_int(&reply, INT64_MIN), ":-9223372036854775808\r\n");
}

Test(reply, bulk_strings)
{
    CHECK_BOTH(reply_bulk(&reply, BYTES("")), "$0\r\n\r\n");
    CHECK_BOTH(reply_bulk(&reply, ((struct bytes){ NULL, 0 })), "$0\r\n\r\n");
    CHECK_BOTH(reply_bulk(&reply, BYTES("hello")), "$5\r\nhello\r\n");
    CHECK_BOTH(reply_bulk(&reply, BYTES("a\r\nb")), "$4\r\na\r\nb\r\n");
    CHECK_BOTH(reply_bulk_cstr(&reply, "0123456789"), "$10\r\n0123456789\r\n");
    CHECK_BOTH(reply_bulk_int(&reply, -12), "$3\r\n-12\r\n");
    CHECK_BOTH(reply_bulk_int(&reply, INT64_MIN), "$20\r\n-9223372036854775808\r\n");
    CHECK_BOTH(reply_bulk_printf(&reply, "%s=%d", "a", 7), "$3\r\na=7\r\n");
}

Test(reply, null)
{
    CHECK2(reply_null(&reply), "$-1\r\n");
    CHECK3(reply_null(&reply), "_\r\n");
    CHECK2(reply_null_array(&reply), "*-1\r\n");
    CHECK3(reply_null_array(&reply), "_\r\n");
}

Test(reply, aggregates)
{
    CHECK_BOTH(reply_array(&reply, 0), "*0\r\n");
    CHECK_BOTH(reply_array(&reply, 1234567890123), "*1234567890123\r\n");
    CHECK2(reply_map(&reply, 3), "*6\r\n");
    CHECK3(reply_map(&reply, 3), "%3\r\n");
    CHECK2(reply_set(&reply, 3), "*3\r\n");
    CHECK3(reply_set(&reply, 3), "~3\r\n");
    CHECK2(reply_push(&reply, 3), "*3\r\n");
    CHECK3(reply_push(&reply, 3), ">3\r\n");
    CHECK3(reply_attribute(&reply, 1), "|1\r\n");
}

Test(reply, doubles)
{
    CHECK2(reply_double(&reply, 3), "$1\r\n3\r\n");
    CHECK3(reply_double(&reply, 3), ",3\r\n");
    CHECK2(reply_double(&reply, 0.1), "$3\r\n0.1\r\n");
    CHECK3(reply_double(&reply, -1.5), ",-1.5\r\n");
    CHECK2(reply_double(&reply, INFINITY), "$3\r\ninf\r\n");
    CHECK3(reply_double(&reply, INFINITY), ",inf\r\n");
    CHECK2(reply_double(&reply, -INFINITY), "$4\r\n-inf\r\n");
    CHECK3(reply_double(&reply, -INFINITY), ",-inf\r\n");
    CHECK3(reply_double(&reply, NAN), ",nan\r\n");
    CHECK3(reply_double(&reply, 1e100), ",1e+100\r\n");
}

Test(reply, booleans_big_numbers_verbatim)
{
    CHECK2(reply_bool(&reply, true), ":1\r\n");
    CHECK2(reply_bool(&reply, false), ":0\r\n");
    CHECK3(reply_bool(&reply, true), "#t\r\n");
    CHECK3(reply_bool(&reply, false), "#f\r\n");
    CHECK2(reply_bignum(&reply, BYTES("1234567999999999999999999999999999999")),
        "$37\r\n1234567999999999999999999999999999999\r\n");
    CHECK3(reply_bignum(&reply, BYTES("1234567999999999999999999999999999999")),
        "(1234567999999999999999999999999999999\r\n");
    CHECK2(reply_verbatim(&reply, "txt", BYTES("some\nstring")), "$11\r\nsome\nstring\r\n");
    CHECK3(reply_verbatim(&reply, "txt", BYTES("some\nstring")), "=15\r\ntxt:some\nstring\r\n");
    CHECK3(reply_verbatim(&reply, "mkd", BYTES("")), "=4\r\nmkd:\r\n");
}

static void nested(void)
{
    struct output_gap *outer = reply_deferred(&reply);
    reply_int(&reply, 1);
    struct output_gap *inner = reply_deferred(&reply);
    reply_bulk_cstr(&reply, "k");
    reply_double(&reply, 0.5);
    reply_deferred_end(&reply, inner, REPLY_MAP, 1);
    struct output_gap *empty = reply_deferred(&reply);
    reply_deferred_end(&reply, empty, REPLY_SET, 0);
    reply_deferred_end(&reply, outer, REPLY_ARRAY, 3);
    reply_ok(&reply);
}

Test(reply, deferred_aggregates)
{
    CHECK2(nested(), "*3\r\n:1\r\n*2\r\n$1\r\nk\r\n$3\r\n0.5\r\n*0\r\n+OK\r\n");
    CHECK3(nested(), "*3\r\n:1\r\n%1\r\n$1\r\nk\r\n,0.5\r\n~0\r\n+OK\r\n");
    begin(2);
    struct output_gap *head = reply_deferred(&reply);
    reply_deferred_end(&reply, head, REPLY_MAP, SIZE_MAX / 2);
    check("*18446744073709551614\r\n");
}

Test(reply, errors)
{
    CHECK_BOTH(reply_error(&reply, BYTES("ERR nothing")), "-ERR nothing\r\n");
    cr_assert(reply.failed);
    cr_assert_str_eq(reply.code, "ERR");
    CHECK_BOTH(reply_error(&reply, BYTES("ERR a\r\nb\nc\r\n")), "-ERR a  b c\r\n");
    CHECK_BOTH(reply_error(&reply, BYTES("ERR expected '\r'")), "-ERR expected ' '\r\n");
    CHECK_BOTH(reply_error_printf(&reply, "NOSCRIPT no %s", "such"), "-NOSCRIPT no such\r\n");
    cr_assert_str_eq(reply.code, "NOSCRIPT");
    CHECK_BOTH(reply_error(&reply, BYTES("LONELY")), "-LONELY\r\n");
    cr_assert_str_eq(reply.code, "ERR");
    CHECK_BOTH(reply_error(&reply, BYTES("")), "-\r\n");
    cr_assert_str_eq(reply.code, "ERR");
    CHECK_BOTH(reply_error(&reply, BYTES("ANEXCEEDINGLYLONGCODEWORDOFMANYLETTERS x")),
        "-ANEXCEEDINGLYLONGCODEWORDOFMANYLETTERS x\r\n");
    cr_assert_str_eq(reply.code, "ERR");
    CHECK_BOTH(
        reply_error(&reply, BYTES("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDE x")), "-ABCDEFGHIJKLMNOPQRSTUVWXYZABCDE x\r\n");
    cr_assert_str_eq(reply.code, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDE");
    reply_begin(&reply);
    cr_assert(!reply.failed);
    cr_assert_str_eq(reply.code, "");
}

Test(reply, shared_errors)
{
    CHECK_BOTH(
        reply_fail(&reply, ERROR_WRONG_TYPE), "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    cr_assert(reply.failed);
    cr_assert_str_eq(reply.code, "WRONGTYPE");
    CHECK_BOTH(reply_fail(&reply, ERROR_OUT_OF_MEMORY), "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    cr_assert_str_eq(reply.code, "OOM");
    for (int error = 0; error < ERROR_COUNT; error++) {
        struct bytes text = error_text((enum error)error);
        cr_assert_gt(text.len, 8, "error %d", error);
        cr_assert_not_null(memchr(text.ptr, ' ', 10), "error %d has a code word", error);
    }
}

/* Content of every length around the places where the way of writing changes. */
Test(reply, long_content)
{
    static const size_t lengths[] = { 511, 512, 513, 2000, OUTPUT_CHUNK_FIRST, OUTPUT_CHUNK, OUTPUT_CHUNK_MAX, 600000 };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct buf text = BUF_EMPTY, expected = BUF_EMPTY;
        memset(buf_extend(&text, lengths[i]), 'x', lengths[i]);
        begin(3);
        reply_bulk(&reply, buf_bytes(&text));
        reply_bulk_printf(&reply, "%s", buf_cstr(&text));
        reply_verbatim(&reply, "txt", buf_bytes(&text));
        reply_status(&reply, buf_bytes(&text));
        reply_error_printf(&reply, "ERR %s", buf_cstr(&text));
        const char *x = buf_cstr(&text);
        buf_printf(&expected, "$%zu\r\n%s\r\n$%zu\r\n%s\r\n=%zu\r\ntxt:%s\r\n+%s\r\n-ERR %s\r\n", text.len, x, text.len,
            x, text.len + 4, x, x, x);
        check(buf_cstr(&expected));
        buf_fini(&text);
        buf_fini(&expected);
    }
}

Test(reply, blobs)
{
    begin(2);
    struct blob *blob = blob_create(OUTPUT_REFERENCE_MIN);
    memset(blob->data, 'b', OUTPUT_REFERENCE_MIN);
    blob->len = OUTPUT_REFERENCE_MIN;
    reply_bulk_blob(&reply, blob, bytes_make(blob->data, 3));
    check("$3\r\nbbb\r\n");
    cr_assert(!blob_is_shared(blob));
    reply_bulk_blob(&reply, blob, blob_bytes(blob));
    cr_assert(blob_is_shared(blob));
    struct buf expected = BUF_EMPTY;
    buf_append_cstr(&expected, "$16384\r\n");
    buf_append(&expected, blob_bytes(blob));
    buf_append_cstr(&expected, "\r\n");
    check(buf_cstr(&expected));
    cr_assert(!blob_is_shared(blob));
    buf_fini(&expected);
    blob_unref(blob);
}
