/*
 * Tests of the reader: each case is parsed whole, cut in two at every byte, and byte by byte; then limits, large
 * arguments, inputs that end against a guard page, memory that is refused, and random pipelines cut at random. Random
 * tests print their seed; LARDER_TEST_SEED repeats one.
 */
#include "resp/reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/seed.h"
#include "base/mem.h"
#include "stream.h"

static const struct reader_limits limits = { .bulk_max = 512 * 1024 * 1024, .authenticated = true };
static const struct reader_limits stranger = { .bulk_max = 512 * 1024 * 1024, .authenticated = false };

#define PING "*1\r\n$4\r\nPING\r\n"

struct example {
    struct bytes input;
    const char *record;
};

#define EXAMPLE(text, expected)              \
    {                                        \
        { text, sizeof(text) - 1 }, expected \
    }

static void check_record(
    struct bytes input, const struct reader_limits *with, const struct stream_split *split, const char *expected)
{
    struct buf record = BUF_EMPTY;
    stream_record(input, with, split, &record);
    if (!bytes_equal(buf_bytes(&record), bytes_from_cstr(expected))) {
        struct buf shown = BUF_EMPTY;
        buf_append_quoted(&shown, bytes_make(input.ptr, input.len < 200 ? input.len : 200));
        cr_assert_fail("%s gives\n%.2000s\ninstead of\n%.2000s", buf_cstr(&shown), buf_cstr(&record), expected);
    }
    buf_fini(&record);
}

/* In two pieces, cut at `cut`. */
static void check_cut(struct bytes input, const struct reader_limits *with, size_t cut)
{
    struct argv argv;
    struct reader reader;
    argv_init(&argv);
    reader_init(&reader, 0);
    char *bytes = mem_dup(input.ptr, input.len);
    enum reader_status status = reader_parse(&reader, with, bytes, cut, &argv);
    size_t at = reader.at;
    if (status == READER_PARTIAL || status == READER_BLOB) {
        status = reader_parse(&reader, with, bytes, input.len, &argv);
        cr_assert(reader.at >= at);
    }
    struct argv whole_argv;
    struct reader whole;
    argv_init(&whole_argv);
    reader_init(&whole, 0);
    char *again = mem_dup(input.ptr, input.len);
    cr_assert_eq(reader_parse(&whole, with, again, input.len, &whole_argv), status);
    cr_assert_eq(whole.argc, reader.argc);
    cr_assert_eq(whole.error, reader.error);
    for (uint32_t i = 0; i < whole.argc; i++)
        cr_assert(bytes_equal(argv.ptr[i], whole_argv.ptr[i]));
    argv_fini(&argv);
    argv_fini(&whole_argv);
    mem_free(bytes);
    mem_free(again);
}

static void check_examples(const struct example *examples, size_t count, const struct reader_limits *with)
{
    struct random random;
    random_init(&random, 1);
    struct stream_split byte_by_byte = { .random = &random, .piece_max = 1 };
    for (size_t i = 0; i < count; i++) {
        struct bytes input = examples[i].input;
        check_record(input, with, NULL, examples[i].record);
        check_record(input, with, &byte_by_byte, examples[i].record);
        for (size_t cut = 0; cut < input.len; cut++)
            check_cut(input, with, cut);
    }
}

#define CHECK(examples, with) check_examples(examples, sizeof(examples) / sizeof((examples)[0]), with)

Test(reader, multibulk)
{
    static const struct example examples[] = {
        EXAMPLE("", "open\n"),
        EXAMPLE(PING, "4:PING @14\nopen\n"),
        EXAMPLE(PING PING, "4:PING @14\n4:PING @28\nopen\n"),
        EXAMPLE("*2\r\n$3\r\nGET\r\n$5\r\nhe\r\no\r\n", "3:GET 5:he\r\no @24\nopen\n"),
        EXAMPLE("*2\r\n$0\r\n\r\n$1\r\nx\r\n", "0: 1:x @17\nopen\n"),
        EXAMPLE("*12\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n$"
                "1\r\ni\r\n$1\r\nj\r\n"
                "$1\r\nk\r\n$1\r\nl\r\n",
            "1:a 1:b 1:c 1:d 1:e 1:f 1:g 1:h 1:i 1:j 1:k 1:l @89\nopen\n"),
        EXAMPLE("*1\r\n$12\r\nabcdefghijkl\r\n", "12:abcdefghijkl @23\nopen\n"),
        EXAMPLE("*2147483647\r\n", "open\n"),
        EXAMPLE("*1\r\n$536870912\r\n", "open\n"),
    };
    CHECK(examples, &limits);
}

Test(reader, nothing_is_a_request)
{
    static const struct example examples[] = {
        EXAMPLE("*0\r\n" PING, "- @4\n4:PING @18\nopen\n"),
        EXAMPLE("*-1\r\n" PING, "- @5\n4:PING @19\nopen\n"),
        EXAMPLE("*-5\r\n" PING, "- @5\n4:PING @19\nopen\n"),
        EXAMPLE("\r\n\n" PING, "- @2\n- @3\n4:PING @17\nopen\n"),
        EXAMPLE("  \t \r\n" PING, "- @6\n4:PING @20\nopen\n"),
    };
    CHECK(examples, &limits);
    CHECK(examples, &stranger);
}

/* What reader_take takes is what reader_parse finds. True if it took something. */
static bool take_agrees(const char *text, size_t len, const struct reader_limits *with, size_t room)
{
    char input[64];
    struct bytes taken[16] = { 0 };
    struct argv argv;
    struct reader reader;
    uint32_t argc = 0;
    memcpy(input, text, len);
    size_t size = reader_take(with, input, len, taken, taken + room, &argc);
    if (size == 0)
        return false;
    argv_init(&argv);
    reader_init(&reader, 0);
    cr_assert_eq(reader_parse(&reader, with, input, len, &argv), READER_DONE);
    cr_assert_eq(reader.at, size);
    cr_assert_eq(reader.argc, argc);
    for (uint32_t i = 0; i < argc; i++) {
        cr_assert_eq(taken[i].ptr, argv.ptr[i].ptr);
        cr_assert_eq(taken[i].len, argv.ptr[i].len);
    }
    argv_fini(&argv);
    return true;
}

Test(reader, the_quick_way_takes_what_the_other_finds)
{
    static const char *const texts[] = { "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "*1\r\n$9\r\nabcdefghi\r\n", PING PING,
        "*2\r\n$0\r\n\r\n$12\r\nabcdefghijkl\r\n",
        "*11\r\n$1\r\na\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t len = strlen(texts[i]);
        char text[64];
        cr_assert_leq(len, sizeof text);
        bool is_whole = take_agrees(texts[i], len, &limits, 16);
        cr_assert_eq(is_whole, i < 4, "text %zu", i);
        cr_assert_not(take_agrees(texts[i], len, &limits, 0));
        for (size_t cut = 0; cut < len; cut++)
            take_agrees(texts[i], cut, &limits, 16);
        for (size_t at = 0; at < len; at++)
            for (int byte = 0; byte < 256; byte++) {
                memcpy(text, texts[i], len);
                text[at] = (char)byte;
                take_agrees(text, len, &limits, 16);
                take_agrees(text, len, &stranger, 16);
            }
    }
}

/* Only the carriage return of a line end is looked at, and nothing of the one behind an argument. */
Test(reader, line_ends_are_taken_as_redis_takes_them)
{
    static const struct example examples[] = {
        EXAMPLE("*1\rx$4\r\nPING\r\n", "4:PING @14\nopen\n"),
        EXAMPLE("*1\r\r$4\r\rPING\r\n", "4:PING @14\nopen\n"),
        EXAMPLE("*1\r\n$4\r\nPINGxx" PING, "4:PING @14\n4:PING @28\nopen\n"),
        EXAMPLE("*1\r$4\r\nPING\r\n", "Protocol error: expected '$', got '4'\n"),
        EXAMPLE("*1\n$4\r\nPING\r\n", "Protocol error: invalid multibulk length\n"),
        EXAMPLE("*1\r\n$4\nPING\r\n", "Protocol error: invalid bulk length\n"),
        EXAMPLE("*1\r", "open\n"),
        EXAMPLE("*1\r\nx", "open\n"),
        EXAMPLE("*1\r\nx\r", "open\n"),
    };
    CHECK(examples, &limits);
}

Test(reader, malformed_heads)
{
#define MULTIBULK "Protocol error: invalid multibulk length\n"
#define BULK "Protocol error: invalid bulk length\n"
    static const struct example examples[] = {
        EXAMPLE("*\r\n", MULTIBULK),
        EXAMPLE("*a\r\n", MULTIBULK),
        EXAMPLE("*+1\r\n", MULTIBULK),
        EXAMPLE("*01\r\n$4\r\nPING\r\n", MULTIBULK),
        EXAMPLE("*1 \r\n$4\r\nPING\r\n", MULTIBULK),
        EXAMPLE("* 1\r\n$4\r\nPING\r\n", MULTIBULK),
        EXAMPLE("*1a\r\n$4\r\nPING\r\n", MULTIBULK),
        EXAMPLE("*-0\r\n", MULTIBULK),
        EXAMPLE("*2147483648\r\n", MULTIBULK),
        EXAMPLE("*-9999999999999999999\r\n", MULTIBULK),
        EXAMPLE("*1\r\n$\r\nPING\r\n", BULK),
        EXAMPLE("*1\r\n$-1\r\nPING\r\n", BULK),
        EXAMPLE("*1\r\n$04\r\nPING\r\n", BULK),
        EXAMPLE("*1\r\n$00\r\nPING\r\n", BULK),
        EXAMPLE("*1\r\n$4 \r\nPING\r\n", BULK),
        EXAMPLE("*1\r\n$4x\r\nPING\r\n", BULK),
        EXAMPLE("*1\r\n$536870913\r\n", BULK),
        EXAMPLE("*1\r\n$4294967296\r\n", BULK),
        EXAMPLE("*1\r\n$99999999999999999999\r\n", BULK),
        EXAMPLE(PING "*x\r\n", "4:PING @14\n" MULTIBULK),
        EXAMPLE("*2\r\n$4\r\nPING\r\n:4\r\n", "Protocol error: expected '$', got ':'\n"),
        EXAMPLE("*1\r\n\r\n", "Protocol error: expected '$', got ' '\n"),
        EXAMPLE("*1\r\n\1\r\n", "Protocol error: expected '$', got '\1'\n"),
        EXAMPLE("*1\r\n\xff\r\n", "Protocol error: expected '$', got '\xff'\n"),
        EXAMPLE("*1\r\n'\r\n", "Protocol error: expected '$', got '''\n"),
        EXAMPLE("*1\r\n\0\r\n", "Protocol error: expected '$', got ' '\n"),
    };
    CHECK(examples, &limits);
}

Test(reader, inline_words)
{
    static const struct example examples[] = {
        EXAMPLE("PING\r\n", "4:PING @6\nopen\n"),
        EXAMPLE("PING\n", "4:PING @5\nopen\n"),
        EXAMPLE("PING\r\r\n", "4:PING @7\nopen\n"),
        EXAMPLE("  GET \t k  \r\nPING\n", "3:GET 1:k @13\n4:PING @18\nopen\n"),
        EXAMPLE("\v\fPING\f\n", "5:PING\f @8\nopen\n"),
        EXAMPLE("ECHO a\vb\r\n", "4:ECHO 3:a\vb @10\nopen\n"),
        EXAMPLE("ECHO\r PING\r\n", "4:ECHO 4:PING @12\nopen\n"),
        EXAMPLE("ECHO a\\n\r\n", "4:ECHO 3:a\\n @10\nopen\n"),
        EXAMPLE("ECHO \xff\xfe\r\n", "4:ECHO 2:\xff\xfe @9\nopen\n"),
        EXAMPLE("PING", "open\n"),
    };
    CHECK(examples, &limits);
    CHECK(examples, &stranger);
}

Test(reader, inline_quotes)
{
#define UNBALANCED "Protocol error: unbalanced quotes in request\n"
    static const struct example examples[] = {
        EXAMPLE("E \"\"\r\n", "1:E 0: @6\nopen\n"),
        EXAMPLE("E ''\r\n", "1:E 0: @6\nopen\n"),
        EXAMPLE("E \"a b\" 'c d'\r\n", "1:E 3:a b 3:c d @15\nopen\n"),
        EXAMPLE("E a\"b c\" d\r\n", "1:E 4:ab c 1:d @12\nopen\n"),
        EXAMPLE("E a'b c'\r\n", "1:E 4:ab c @10\nopen\n"),
        EXAMPLE("E \"\\x41\\n\\r\\t\\b\\a\\q\\xZZ\\x4\"\r\n", "1:E 12:A\n\r\t\b\aqxZZx4 @29\nopen\n"),
        EXAMPLE("E \"\\xaF\\xAf\\xg1\"\r\n", "1:E 5:\xaf\xafxg1 @18\nopen\n"),
        EXAMPLE("E \"a\\\"b\"\r\n", "1:E 3:a\"b @10\nopen\n"),
        EXAMPLE("E 'a\\'b'\r\n", "1:E 3:a'b @10\nopen\n"),
        EXAMPLE("E '\\n\\\\.'\r\n", "1:E 5:\\n\\\\. @11\nopen\n"),
        EXAMPLE("E \"a\"\v\r\n", "1:E 1:a @8\nopen\n"),
        EXAMPLE("E \"a\"\tb\r\n", "1:E 1:a 1:b @9\nopen\n"),
        EXAMPLE("E \"a\r\n", UNBALANCED),
        EXAMPLE("E 'a\r\n", UNBALANCED),
        EXAMPLE("E \"a\n", UNBALANCED),
        EXAMPLE("\"PING\r\n", UNBALANCED),
        EXAMPLE("E \"\\\"\r\n", UNBALANCED),
        EXAMPLE("E '\\'\r\n", UNBALANCED),
        EXAMPLE("E \"\\\n", UNBALANCED),
        EXAMPLE("E \"a\"b\r\n", UNBALANCED),
        EXAMPLE("E 'a'b\r\n", UNBALANCED),
        EXAMPLE("E \"a\"\"b\"\r\n", UNBALANCED),
        EXAMPLE("E a\"b\r\n", UNBALANCED),
        EXAMPLE(PING "E \"\r\n", "4:PING @14\n" UNBALANCED),
        EXAMPLE("E \"a\\", "open\n"),
    };
    CHECK(examples, &limits);
}

Test(reader, strangers_have_lower_limits)
{
    static const struct example examples[] = {
        EXAMPLE("*10\r\n", "open\n"),
        EXAMPLE("*11\r\n", "Protocol error: unauthenticated multibulk length\n"),
        EXAMPLE("*99\r\n$1\r\n", "Protocol error: unauthenticated multibulk length\n"),
        EXAMPLE("*2147483648\r\n", "Protocol error: invalid multibulk length\n"),
        EXAMPLE("*1\r\n$16384\r\n", "open\n"),
        EXAMPLE("*1\r\n$16385\r\n", "Protocol error: unauthenticated bulk length\n"),
        EXAMPLE("*1\r\n$99999999999999\r\n", "Protocol error: invalid bulk length\n"),
        EXAMPLE("a b c d e f g h i j k l\r\n", "1:a 1:b 1:c 1:d 1:e 1:f 1:g 1:h 1:i 1:j 1:k 1:l @25\nopen\n"),
    };
    CHECK(examples, &stranger);
    const struct reader_limits tiny = { .bulk_max = 5, .authenticated = true };
    check_record(BYTES("*1\r\n$5\r\nhello\r\n"), &tiny, NULL, "5:hello @15\nopen\n");
    check_record(BYTES("*1\r\n$6\r\nhello!\r\n"), &tiny, NULL, "Protocol error: invalid bulk length\n");
}

/* `head`, then `count` times `fill`, then `tail`. */
static void check_long(const char *head, char fill, size_t count, const char *tail, const char *expected)
{
    struct random random;
    random_init(&random, count);
    struct stream_split split = { .random = &random, .piece_max = 9000 };
    struct buf input = BUF_EMPTY;
    buf_append_cstr(&input, head);
    memset(buf_extend(&input, count), fill, count);
    buf_append_cstr(&input, tail);
    check_record(buf_bytes(&input), &limits, NULL, expected);
    check_record(buf_bytes(&input), &limits, &split, expected);
    buf_fini(&input);
}

/* A line of READER_INLINE_MAX bytes may still end; one more, and it is refused, wherever its end may be. */
Test(reader, lines_that_never_end)
{
    static const char count[] = "Protocol error: too big mbulk count string\n";
    static const char length[] = "Protocol error: too big bulk count string\n";
    static const char line[] = "Protocol error: too big inline request\n";
    check_long("*", '1', READER_INLINE_MAX - 1, "", "open\n");
    check_long("*", '1', READER_INLINE_MAX, "", count);
    check_long("*", '1', 2 * READER_INLINE_MAX, "\r\n", count);
    check_long("*", '1', READER_INLINE_MAX - 1, "\r\n", MULTIBULK);
    check_long("*1\r\n$", '1', READER_INLINE_MAX - 1, "", "open\n");
    check_long("*1\r\n$", '1', READER_INLINE_MAX, "", length);
    check_long("*1\r\n", 'x', READER_INLINE_MAX + 1, "\r\n", length);
    check_long("", 'x', READER_INLINE_MAX, "", "open\n");
    check_long("", 'x', READER_INLINE_MAX + 1, "", line);
    check_long("", 'x', 2 * READER_INLINE_MAX, "\n", line);
    check_long("", ' ', READER_INLINE_MAX, "\n", "- @65537\nopen\n");
}

/* A byte at a time through the longest line: quadratic work would take minutes. */
Test(reader, a_line_is_searched_once, .timeout = 10)
{
    char *input = mem_alloc(READER_INLINE_MAX);
    memset(input, 'x', READER_INLINE_MAX);
    struct argv argv;
    struct reader reader;
    argv_init(&argv);
    for (int round = 0; round < 50; round++) {
        reader_init(&reader, 0);
        for (size_t len = 1; len <= READER_INLINE_MAX; len++)
            cr_assert_eq(reader_parse(&reader, &limits, input, len, &argv), READER_PARTIAL);
    }
    argv_fini(&argv);
    mem_free(input);
}

/* *3 SET key and an argument of `len` bytes, "0123..."; returns the offset of its first byte. */
static size_t build_set(struct buf *input, size_t len)
{
    buf_printf(input, "*3\r\n$3\r\nSET\r\n$%zu\r\n", len);
    size_t at = input->len;
    char *content = buf_extend(input, len);
    for (size_t i = 0; i < len; i++)
        content[i] = (char)('0' + i % 10);
    buf_append_cstr(input, "\r\n$1\r\nk\r\n");
    return at;
}

Test(reader, large_arguments_are_announced)
{
    struct buf input = BUF_EMPTY;
    size_t content = build_set(&input, READER_BLOB_MIN);
    struct argv argv;
    struct reader reader;
    argv_init(&argv);
    reader_init(&reader, 0);
    cr_assert_eq(reader_parse(&reader, &limits, input.ptr, content - 1, &argv), READER_PARTIAL);
    for (size_t len = content; len < content + READER_BLOB_MIN; len += 997) {
        cr_assert_eq(reader_parse(&reader, &limits, input.ptr, len, &argv), READER_BLOB);
        cr_assert_eq(reader.at, content);
        cr_assert_eq(reader.bulk_len, READER_BLOB_MIN);
        cr_assert_eq(reader.argc, 1);
    }
    cr_assert_eq(reader_parse(&reader, &limits, input.ptr, content + READER_BLOB_MIN, &argv), READER_PARTIAL,
        "what has arrived whole is not announced");
    cr_assert_eq(reader_parse(&reader, &limits, input.ptr, input.len, &argv), READER_DONE);
    cr_assert_eq(reader.at, input.len);
    cr_assert_eq(argv.ptr[1].ptr, input.ptr + content);
    cr_assert_eq(argv.ptr[1].len, READER_BLOB_MIN);
    cr_assert_eq(reader.blob_count, 0);
    argv_fini(&argv);
    buf_fini(&input);
}

Test(reader, smaller_ones_are_not)
{
    struct buf input = BUF_EMPTY;
    size_t content = build_set(&input, READER_BLOB_MIN - 1);
    struct argv argv;
    struct reader reader;
    argv_init(&argv);
    reader_init(&reader, 0);
    cr_assert_eq(reader_parse(&reader, &limits, input.ptr, content + 10, &argv), READER_PARTIAL);
    argv_fini(&argv);
    buf_fini(&input);
}

Test(reader, a_blob_is_handed_over)
{
    struct buf input = BUF_EMPTY;
    size_t content = build_set(&input, READER_BLOB_MIN + 7);
    struct argv argv;
    struct reader reader;
    argv_init(&argv);
    reader_init(&reader, 0);
    cr_assert_eq(reader_parse(&reader, &limits, input.ptr, content + 5, &argv), READER_BLOB);
    struct blob *blob = blob_from_bytes(bytes_make(input.ptr + content, reader.bulk_len));
    reader_add_blob(&reader, &argv, blob);
    cr_assert_eq(reader.argc, 2);

    /* The window moves, and the blob's bytes are cut out of it. */
    struct buf window = BUF_EMPTY;
    buf_append(&window, bytes_make(input.ptr, content));
    reader_move_slices(argv.ptr, argv.len, input.ptr, content, window.ptr);
    cr_assert_eq(reader_parse(&reader, &limits, window.ptr, window.len, &argv), READER_PARTIAL);
    const char *from = window.ptr;
    size_t from_len = window.len;
    buf_append(&window, bytes_make(input.ptr + content + blob->len, input.len - content - blob->len));
    reader_move_slices(argv.ptr, argv.len, from, from_len, window.ptr);
    cr_assert_eq(reader_parse(&reader, &limits, window.ptr, content + 1, &argv), READER_PARTIAL);
    cr_assert_eq(reader_parse(&reader, &limits, window.ptr, window.len, &argv), READER_DONE);
    cr_assert_eq(reader.at, window.len);
    cr_assert(bytes_equal(argv.ptr[0], BYTES("SET")));
    cr_assert_eq(argv.ptr[1].ptr, blob->data);
    cr_assert_eq(argv.ptr[1].len, blob->len);
    cr_assert(bytes_equal(argv.ptr[2], BYTES("k")));
    cr_assert_eq(reader.blob_count, 1);
    cr_assert_eq(reader.blobs[0].index, 1);
    cr_assert_eq(reader.blobs[0].blob, blob);

    /* Who takes it leaves NULL; reader_fini frees the rest. */
    reader.blobs[0].blob = NULL;
    reader_fini(&reader);
    cr_assert(!blob_is_shared(blob));
    blob_unref(blob);
    argv_fini(&argv);
    buf_fini(&window);
    buf_fini(&input);
}

Test(reader, refused_memory_is_an_error)
{
    struct argv argv;
    struct reader reader;
    char text[READER_ERROR_MAX], input[] = PING, words[] = "a b\n";
    argv_init(&argv);
    reader_init(&reader, 0);
    mem_fail_nth(1);
    cr_assert_eq(reader_parse(&reader, &limits, input, strlen(input), &argv), READER_BAD);
    reader_error(&reader, text);
    cr_assert_str_eq(text, "Protocol error: out of memory for the request");
    cr_assert_eq(argv.len, 0);
    reader_init(&reader, 0);
    mem_fail_nth(1);
    cr_assert_eq(reader_parse(&reader, &limits, words, strlen(words), &argv), READER_BAD);
    mem_fail_nth(0);
    argv_fini(&argv);
}

/* The vector grows with what arrived, not with what was announced. */
Test(reader, announcing_costs_nothing)
{
    struct argv argv;
    struct reader reader;
    char input[] = "*2000000000\r\n$1\r\na\r\n";
    argv_init(&argv);
    reader_init(&reader, 0);
    cr_assert_eq(reader_parse(&reader, &limits, input, strlen(input), &argv), READER_PARTIAL);
    cr_assert(argv.cap < 100);
    cr_assert_eq(argv.len, 1);
    argv_fini(&argv);
}

/* `len` bytes whose end is the end of what may be read. */
static char *guarded(size_t len, char **mapping, size_t *mapping_len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (len + page - 1) / page * page;
    *mapping_len = room + page;
    *mapping = mmap(NULL, *mapping_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(*mapping != MAP_FAILED);
    cr_assert_eq(mprotect(*mapping + room, page, PROT_NONE), 0);
    return *mapping + room - len;
}

Test(reader, nothing_behind_the_input_is_read)
{
    static const char *const inputs[] = { PING, "*12\r\n$123\r\n", "*2\r\n$12\r\nabcdefghijkl\r\n$3\r\nabc\r\n",
        "GET \"a\\x41\\n\" 'b\\''\r\n", "*1\r\n$123456789\r\n", "*99999999999999999999\r\n" };
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        for (size_t len = 1; len <= strlen(inputs[i]); len++) {
            char *mapping;
            size_t mapping_len;
            char *input = guarded(len, &mapping, &mapping_len);
            memcpy(input, inputs[i], len);
            struct argv argv;
            struct reader reader;
            argv_init(&argv);
            reader_init(&reader, 0);
            reader_parse(&reader, &limits, input, len, &argv);
            argv_fini(&argv);
            munmap(mapping, mapping_len);
        }
    }
}

static size_t random_argument_len(struct random *random)
{
    switch (random_below(random, 40)) {
    case 0:
        return READER_BLOB_MIN - 2 + (size_t)random_below(random, 5);
    case 1:
        return (size_t)random_below(random, 100000);
    case 2:
    case 3:
        return (size_t)random_below(random, 2000);
    default:
        return (size_t)random_below(random, 120);
    }
}

/* One random request and, in `record`, what must be read; both are appended. */
static void random_request(struct random *random, struct buf *input, struct buf *record)
{
    uint64_t argc = random_below(random, 8) == 0 ? random_below(random, 130) : random_below(random, 5);
    if (argc == 0)
        buf_append_cstr(input, random_below(random, 2) != 0 ? "\r\n" : "*0\r\n");
    else
        buf_printf(input, "*%u\r\n", (unsigned)argc);
    for (uint64_t i = 0; i < argc; i++) {
        size_t len = random_argument_len(random);
        buf_printf(input, "$%zu\r\n", len);
        buf_printf(record, "%zu:", len);
        char *content = buf_extend(input, len);
        for (size_t k = 0; k < len; k++)
            content[k] =
                random_below(random, 4) != 0 ? "\r\n$*\"' 1"[random_below(random, 8)] : (char)random_next(random);
        buf_append(record, bytes_make(content, len));
        buf_append_char(record, ' ');
        buf_append_cstr(input, "\r\n");
    }
    buf_printf(record, "%s@%zu\n", argc == 0 ? "- " : "", input->len);
}

Test(reader, random_pipelines_cut_at_random, .timeout = 60)
{
    struct random random;
    random = seed_random(__func__);
    for (int round = 0; round < 60; round++) {
        struct buf input = BUF_EMPTY, expected = BUF_EMPTY;
        for (uint64_t i = 1 + random_below(&random, 12); i > 0; i--)
            random_request(&random, &input, &expected);
        buf_append_cstr(&expected, "open\n");
        for (int way = 0; way < 4; way++) {
            static const size_t pieces[] = { 50, 1000, 20000, 90000 };
            struct stream_split split = { .random = &random, .piece_max = pieces[way], .blobs = way != 1 };
            struct buf record = BUF_EMPTY;
            stream_record(buf_bytes(&input), &limits, input.len > 400000 && way == 0 ? NULL : &split, &record);
            cr_assert(bytes_equal(buf_bytes(&record), buf_bytes(&expected)), "round %d, way %d", round, way);
            buf_fini(&record);
        }
        buf_fini(&input);
        buf_fini(&expected);
    }
}

/* Requests with bytes changed, dropped and doubled: whatever they mean, they mean it however they are cut. */
Test(reader, damaged_pipelines_mean_the_same_however_cut, .timeout = 60)
{
    struct random random;
    random = seed_random(__func__);
    static const char *const seeds[] = { PING PING, "*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n" PING,
        "SET \"a\\x41\" 'b'\r\n" PING, "*-1\r\n\r\n*10\r\n$1\r\na\r\n$0\r\n\r\n" };
    for (int round = 0; round < 20000; round++) {
        char input[128];
        size_t len = strlen(seeds[round % 4]);
        memcpy(input, seeds[round % 4], len);
        for (uint64_t i = 1 + random_below(&random, 3); i > 0; i--) {
            size_t at = (size_t)random_below(&random, len);
            if (random_below(&random, 3) == 0) {
                memmove(input + at, input + at + 1, len - at - 1);
                len--;
            } else {
                input[at] = "\r\n$*\"'\\ 01239-x\0"[random_below(&random, 16)];
            }
        }
        struct buf whole = BUF_EMPTY, cut = BUF_EMPTY;
        struct stream_split split = { .random = &random, .piece_max = 1 + (size_t)random_below(&random, 8) };
        const struct reader_limits *with = round % 8 < 4 ? &limits : &stranger;
        stream_record(bytes_make(input, len), with, NULL, &whole);
        stream_record(bytes_make(input, len), with, &split, &cut);
        if (!bytes_equal(buf_bytes(&whole), buf_bytes(&cut)))
            cr_assert_fail("round %d: %s\nor\n%s", round, buf_cstr(&whole), buf_cstr(&cut));
        buf_fini(&whole);
        buf_fini(&cut);
    }
}
