/*
 * Tests of the output: the contract case by case, then random appends, references, gaps, rewinds and sends against a
 * flat string, which print their seed; LARDER_TEST_SEED repeats one.
 */
#include "resp/output.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "../base/check.h"
#include "../base/seed.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"

/* What waits is `expected`, gathered whole and, to see that a short array of vectors is respected, in part. */
static void check_content(const struct output *output, struct bytes expected)
{
    static struct iovec vectors[4096];
    size_t len = 0, at = 0;
    REQUIRE(output_len(output) == expected.len);
    int count = output_gather(output, vectors, 4096, &len);
    REQUIRE(count < 4096 && len == expected.len);
    for (int i = 0; i < count; i++) {
        REQUIRE(vectors[i].iov_len > 0);
        REQUIRE(memcmp(expected.ptr + at, vectors[i].iov_base, vectors[i].iov_len) == 0);
        at += vectors[i].iov_len;
    }
    REQUIRE(at == expected.len);
    if (count > 1) {
        size_t part = 0, part_expected = 0;
        REQUIRE(output_gather(output, vectors, count - 1, &part) == count - 1);
        for (int i = 0; i < count - 1; i++)
            part_expected += vectors[i].iov_len;
        REQUIRE(part == part_expected && part < len);
    }
}

static void check_empty(const struct output *output)
{
    size_t len = 1;
    struct iovec vector;
    cr_assert_eq(output_len(output), 0);
    cr_assert_eq(output_memory(output), 0);
    cr_assert_eq(output_gather(output, &vector, 1, &len), 0);
    cr_assert_eq(len, 0);
    cr_assert_null(output->first);
}

static struct blob *blob_of(size_t len, char fill)
{
    struct blob *blob = blob_create(len);
    memset(blob->data, fill, len);
    blob->len = len;
    return blob;
}

Test(output, appends_and_sends)
{
    struct output output;
    output_init(&output);
    check_empty(&output);
    output_append(&output, BYTES("hello "));
    output_append(&output, BYTES(""));
    char *at = output_reserve(&output, 100);
    memcpy(at, "world", 5);
    output_commit(&output, at + 5);
    check_content(&output, BYTES("hello world"));
    cr_assert_eq(output_memory(&output), OUTPUT_CHUNK_FIRST);
    output_consume(&output, 0);
    output_consume(&output, 4);
    check_content(&output, BYTES("o world"));
    output_append(&output, BYTES("!"));
    check_content(&output, BYTES("o world!"));
    output_consume(&output, 8);
    check_empty(&output);
    output_fini(&output);
}

/* A place that was reserved and not used leaves nothing behind. */
Test(output, an_empty_reservation_is_harmless)
{
    struct output output;
    struct iovec vector;
    size_t len;
    output_init(&output);
    output_reserve(&output, 10);
    cr_assert_eq(output_len(&output), 0);
    cr_assert_eq(output_gather(&output, &vector, 1, &len), 0);
    output_reserve(&output, 5000);
    output_append(&output, BYTES("x"));
    check_content(&output, BYTES("x"));
    output_consume(&output, 1);
    check_empty(&output);
    output_reserve(&output, 10);
    output_consume(&output, 0);
    check_empty(&output);
}

Test(output, long_content_is_spread_over_chunks)
{
    struct output output;
    output_init(&output);
    size_t len = 3 * OUTPUT_CHUNK_MAX;
    char *content = mem_alloc(len);
    for (size_t i = 0; i < len; i++)
        content[i] = (char)(i * 31 >> 3);
    output_append(&output, BYTES("$786432\r\n"));
    output_append(&output, bytes_make(content, len));
    cr_assert_eq(output_len(&output), len + 9);
    output_consume(&output, 9);
    check_content(&output, bytes_make(content, len));
    cr_assert(output_memory(&output) < len + 2 * OUTPUT_CHUNK);
    output_consume(&output, len - 1);
    check_content(&output, bytes_make(content + len - 1, 1));
    cr_assert(output_memory(&output) <= OUTPUT_CHUNK_MAX, "what was sent is freed");
    output_fini(&output);
    mem_free(content);
}

Test(output, large_blobs_are_referenced)
{
    struct output output;
    output_init(&output);
    struct blob *blob = blob_of(OUTPUT_REFERENCE_MIN + 10, 'b');
    output_append(&output, BYTES("<"));
    output_append_blob(&output, blob, bytes_make(blob->data + 10, OUTPUT_REFERENCE_MIN));
    output_append(&output, BYTES(">"));
    cr_assert(blob_is_shared(blob));
    cr_assert_eq(output_len(&output), OUTPUT_REFERENCE_MIN + 2);
    cr_assert_eq(output_memory(&output), OUTPUT_REFERENCE_MIN + 2 * OUTPUT_CHUNK_FIRST);
    struct iovec vectors[4];
    size_t len;
    cr_assert_eq(output_gather(&output, vectors, 4, &len), 3);
    cr_assert_eq(vectors[1].iov_base, blob->data + 10);
    output_consume(&output, 5);
    cr_assert_eq(output_gather(&output, vectors, 4, &len), 2);
    cr_assert_eq(vectors[0].iov_base, blob->data + 14);
    output_consume(&output, OUTPUT_REFERENCE_MIN - 4);
    cr_assert(!blob_is_shared(blob));
    check_content(&output, BYTES(">"));
    output_fini(&output);
    blob_unref(blob);
}

Test(output, a_blob_outlives_its_owner)
{
    struct output output;
    output_init(&output);
    struct blob *blob = blob_of(OUTPUT_REFERENCE_MIN, 'b');
    output_append_blob(&output, blob, blob_bytes(blob));
    output_append_blob(&output, blob, blob_bytes(blob));
    blob_unref(blob);
    char *expected = mem_alloc(2 * OUTPUT_REFERENCE_MIN);
    memset(expected, 'b', 2 * OUTPUT_REFERENCE_MIN);
    check_content(&output, bytes_make(expected, 2 * OUTPUT_REFERENCE_MIN));
    output_consume(&output, 2 * OUTPUT_REFERENCE_MIN);
    check_empty(&output);
    mem_free(expected);
}

Test(output, small_blobs_are_copied)
{
    struct output output;
    output_init(&output);
    struct blob *blob = blob_of(OUTPUT_REFERENCE_MIN, 'b');
    output_append_blob(&output, blob, bytes_make(blob->data, 3));
    cr_assert(!blob_is_shared(blob));
    blob_unref(blob);
    check_content(&output, BYTES("bbb"));
    output_fini(&output);
}

Test(output, one_output_goes_behind_another)
{
    struct output output, other;
    output_init(&output);
    output_init(&other);
    output_append_output(&output, &other);
    check_empty(&output);
    output_append(&other, BYTES("one "));
    output_append_output(&output, &other);
    check_empty(&other);
    output_append(&other, BYTES("--two"));
    output_consume(&other, 2);
    output_append(&output, BYTES("and "));
    output_append_output(&output, &other);
    check_empty(&other);
    output_append(&output, BYTES(" and three"));
    check_content(&output, BYTES("one and two and three"));
    output_fini(&output);
    check_empty(&output);
}

Test(output, rewinds)
{
    struct output output;
    output_init(&output);
    struct output_mark start = output_mark(&output);
    output_append(&output, BYTES("dropped"));
    output_rewind(&output, start);
    check_empty(&output);
    output_append(&output, BYTES("kept"));
    struct output_mark mark = output_mark(&output);
    output_rewind(&output, mark);
    check_content(&output, BYTES("kept"));
    size_t memory = output_memory(&output);
    struct blob *blob = blob_of(OUTPUT_CHUNK_MAX, 'b');
    output_append(&output, BYTES("dropped"));
    output_append(&output, blob_bytes(blob));
    output_append_blob(&output, blob, blob_bytes(blob));
    struct output_mark late = output_mark(&output);
    output_append(&output, BYTES("dropped"));
    output_rewind(&output, late);
    cr_assert_eq(output_len(&output), 4 + 7 + 2 * OUTPUT_CHUNK_MAX);
    output_rewind(&output, mark);
    cr_assert(!blob_is_shared(blob));
    cr_assert_eq(output_memory(&output), memory);
    output_append(&output, BYTES(" more"));
    check_content(&output, BYTES("kept more"));
    output_fini(&output);
    blob_unref(blob);
}

Test(output, gaps_are_filled_later)
{
    struct output output;
    output_init(&output);
    output_append(&output, BYTES("a"));
    struct output_gap *outer = output_gap(&output);
    output_append(&output, BYTES("b"));
    struct output_gap *inner = output_gap(&output);
    output_append(&output, BYTES("c"));
    output_fill(&output, inner, BYTES("[inner]"));
    struct output_gap *empty = output_gap(&output);
    output_fill(&output, empty, BYTES(""));
    struct output_gap *full = output_gap(&output);
    output_fill(&output, full, BYTES("0123456789abcdef0123456789abcdef"));
    output_fill(&output, outer, BYTES("[outer]"));
    check_content(&output, BYTES("a[outer]b[inner]c0123456789abcdef0123456789abcdef"));
    output_fini(&output);
}

Test(output, discards)
{
    struct output output, other;
    output_init(&output);
    output_init(&other);
    output_append(&output, BYTES("a"));
    struct output_mark mark = output_mark(&output);
    struct output_gap *gap = output_gap(&output);
    struct blob *blob = blob_of(3 * OUTPUT_CHUNK, 'b');
    output_append_blob(&output, blob, blob_bytes(blob));
    output_discard(&output);
    check_empty(&output);
    for (int i = 0; i < 100; i++) {
        struct output_gap *inner = output_gap(&output);
        output_append(&output, blob_bytes(blob));
        output_append_blob(&output, blob, blob_bytes(blob));
        for (size_t len = 1; len < OUTPUT_CHUNK * 2; len *= 2) {
            char *at = output_reserve(&output, len);
            memset(at, 'x', len);
            output_commit(&output, at + len);
        }
        output_append(&other, BYTES("other"));
        output_append_output(&output, &other);
        check_empty(&other);
        output_fill(&output, inner, BYTES("inner"));
        cr_assert_leq(output_memory(&output), 3 * OUTPUT_CHUNK);
    }
    output_fill(&output, gap, BYTES("gap"));
    output_move_after(&output, mark, &other);
    check_empty(&other);
    output_rewind(&output, mark);
    cr_assert_not(blob_is_shared(blob));
    output_fini(&output);
    output_append(&output, BYTES("kept again"));
    check_content(&output, BYTES("kept again"));
    output_fini(&output);
    blob_unref(blob);
}

Test(output, gaps_in_chunks_that_are_no_longer_last)
{
    struct output output;
    output_init(&output);
    struct output_gap *outer = output_gap(&output);
    struct blob *blob = blob_of(OUTPUT_CHUNK, 'b');
    output_append_blob(&output, blob, blob_bytes(blob));
    struct output_gap *inner = output_gap(&output);
    output_append(&output, blob_bytes(blob));
    output_append(&output, BYTES("end"));
    output_fill(&output, inner, BYTES("in"));
    output_fill(&output, outer, BYTES("out"));
    struct buf expected = BUF_EMPTY;
    buf_append_cstr(&expected, "out");
    buf_append(&expected, blob_bytes(blob));
    buf_append_cstr(&expected, "in");
    buf_append(&expected, blob_bytes(blob));
    buf_append_cstr(&expected, "end");
    check_content(&output, buf_bytes(&expected));
    output_consume(&output, expected.len);
    check_empty(&output);
    buf_fini(&expected);
    blob_unref(blob);
}

enum { GAPS_MAX = 8 };

/* An output beside the flat bytes that it must hold, and the gaps that are open in both. */
struct model {
    struct output output;
    struct buf flat;
    struct {
        struct output_gap *gap;
        size_t at; /* in flat, where the filling will go */
    } gaps[GAPS_MAX];
    int gap_count;
};

static struct bytes random_content(struct random *random, struct blob *blob)
{
    static const size_t max[] = { 10, 100, 3000, 40000, 400000 };
    size_t len = (size_t)random_below(random, max[random_below(random, random_below(random, 20) == 0 ? 5 : 3)]);
    size_t at = (size_t)random_below(random, blob->len - len);
    return bytes_make(blob->data + at, len);
}

static void flat_insert(struct buf *flat, size_t at, struct bytes content)
{
    size_t tail = flat->len - at;
    buf_extend(flat, content.len);
    memmove(flat->ptr + at + content.len, flat->ptr + at, tail);
    memcpy(flat->ptr + at, content.ptr, content.len);
}

static void model_append(struct model *model, struct random *random, struct blob *blob)
{
    struct bytes content = random_content(random, blob);
    if (content.len <= 300 && random_below(random, 2) == 0) {
        char *at = output_reserve(&model->output, content.len + 20);
        memcpy(at, content.ptr, content.len);
        output_commit(&model->output, at + content.len);
    } else if (random_below(random, 3) == 0) {
        output_append_blob(&model->output, blob, content);
    } else {
        output_append(&model->output, content);
    }
    buf_append(&model->flat, content);
}

static void model_append_output(struct model *model, struct random *random, struct blob *blob)
{
    struct model other = { 0 };
    output_init(&other.output);
    for (uint64_t i = random_below(random, 4); i > 0; i--)
        model_append(&other, random, blob);
    size_t sent = (size_t)random_below(random, other.flat.len + 1);
    output_consume(&other.output, sent);
    if (other.flat.len > 0)
        buf_append(&model->flat, bytes_make(other.flat.ptr + sent, other.flat.len - sent));
    output_append_output(&model->output, &other.output);
    check_empty(&other.output);
    buf_fini(&other.flat);
}

static void model_gap(struct model *model, struct random *random)
{
    if (model->gap_count < GAPS_MAX && random_below(random, 2) == 0) {
        model->gaps[model->gap_count].gap = output_gap(&model->output);
        model->gaps[model->gap_count++].at = model->flat.len;
    } else if (model->gap_count > 0) {
        model->gap_count--;
        struct bytes content = bytes_make("*1234567890123456789012345678901", (size_t)random_below(random, 33));
        output_fill(&model->output, model->gaps[model->gap_count].gap, content);
        flat_insert(&model->flat, model->gaps[model->gap_count].at, content);
    }
}

/* Appends something, gaps opened and filled among it, and takes all back. */
static void model_rewind(struct model *model, struct random *random, struct blob *blob)
{
    struct output_mark mark = output_mark(&model->output);
    size_t len = model->flat.len;
    size_t waiting = output_len(&model->output);
    for (uint64_t i = random_below(random, 5); i > 0; i--) {
        struct output_gap *gap = output_gap(&model->output);
        model_append(model, random, blob);
        if (random_below(random, 2) == 0)
            output_fill(&model->output, gap, BYTES("*7\r\n"));
    }
    output_rewind(&model->output, mark);
    model->flat.len = len;
    REQUIRE(output_len(&model->output) == waiting);
}

/* Appends, takes that away again, and puts it back: then all is as if it had just been appended. */
static void model_move(struct model *model, struct random *random, struct blob *blob)
{
    struct output_mark mark = output_mark(&model->output);
    size_t len = model->flat.len;
    for (uint64_t i = random_below(random, 5); i > 0; i--)
        model_append(model, random, blob);
    struct output moved;
    output_init(&moved);
    if (random_below(random, 2))
        output_append(&moved, BYTES("before"));
    size_t before = output_len(&moved);
    output_move_after(&model->output, mark, &moved);
    REQUIRE(output_memory(&moved) >= output_len(&moved));
    REQUIRE(output_len(&moved) == before + model->flat.len - len);
    REQUIRE(output_len(&model->output) == len);
    check_content(&model->output, bytes_make(model->flat.ptr, len));
    if (output_len(&moved))
        output_consume(&moved, before);
    check_content(&moved, bytes_make(model->flat.ptr + len, model->flat.len - len));
    output_append_output(&model->output, &moved);
}

static void model_consume(struct model *model, struct random *random)
{
    size_t len =
        (size_t)random_below(random, random_below(random, 3) == 0 ? model->flat.len + 1 : model->flat.len / 8 + 1);
    output_consume(&model->output, len);
    memmove(model->flat.ptr, model->flat.ptr + len, model->flat.len - len);
    model->flat.len -= len;
}

Test(output, agrees_with_a_flat_string, .timeout = 60)
{
    struct random random;
    random = seed_random(__func__);
    struct blob *blob = blob_of(500000, 0);
    for (size_t i = 0; i < blob->len; i++)
        blob->data[i] = (char)random_next(&random);
    struct model model = { 0 };
    output_init(&model.output);
    for (int step = 0; step < 20000; step++) {
        uint64_t choice = random_below(&random, 13);
        if (choice < 5)
            model_append(&model, &random, blob);
        else if (choice < 6)
            model_append_output(&model, &random, blob);
        else if (choice < 9)
            model_gap(&model, &random);
        else if (choice < 10)
            model_rewind(&model, &random, blob);
        else if (choice < 11 && model.gap_count == 0)
            model_move(&model, &random, blob);
        else if (model.gap_count == 0 && model.flat.len > 0)
            model_consume(&model, &random);
        if (model.gap_count == 0) {
            REQUIRE(output_len(&model.output) == model.flat.len);
            if (step % 16 == 0 || model.flat.len < 5000)
                check_content(&model.output, buf_bytes(&model.flat));
        }
        REQUIRE(output_memory(&model.output) >= output_len(&model.output));
    }
    output_fini(&model.output);
    check_empty(&model.output);
    cr_assert(!blob_is_shared(blob));
    buf_fini(&model.flat);
    blob_unref(blob);
}
