/*
 * Tests of HyperLogLog: the bytes, raises against plain registers, the estimate, what a client may have broken.
 */
#include "ds/hll.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "packed_fixture.h"

enum { ROOM = HLL_HEADER + 2 * HLL_REGISTERS + 3 };

static struct hll_buffer create(void)
{
    struct hll_buffer buffer = { mem_alloc(ROOM), 0, ROOM };
    hll_init(&buffer);
    return buffer;
}

static struct bytes view(const struct hll_buffer *buffer)
{
    return (struct bytes){ buffer->ptr, buffer->len };
}

static struct hll_place place_of(uint64_t number)
{
    char text[NUM_I64_MAX_LEN];
    return hll_place((struct bytes){ text, num_format_u64(text, number) });
}

Test(hll, an_empty_one)
{
    struct hll_buffer buffer = create();
    uint64_t count = 1;
    REQUIRE(buffer.len == HLL_EMPTY_BYTES && hll_is_valid(view(&buffer)) && !hll_is_dense(view(&buffer)));
    REQUIRE(memcmp(buffer.ptr, "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", HLL_EMPTY_BYTES) == 0);
    REQUIRE(hll_count(view(&buffer), &count) && count == 0);
    mem_free(buffer.ptr);
}

Test(hll, known_bytes)
{
    /* What redis-server has after PFADD key a, less the mark of a stale count. */
    struct hll_buffer buffer = create();
    REQUIRE(hll_raise(&buffer, hll_place(BYTES("a")), 3000) == HLL_RAISED);
    REQUIRE(buffer.len == 21 && memcmp(buffer.ptr + HLL_HEADER, "q\xa6\x84NW", 5) == 0);
    REQUIRE(hll_raise(&buffer, hll_place(BYTES("a")), 3000) == HLL_SAME);
    mem_free(buffer.ptr);
}

Test(hll, the_cached_count)
{
    struct hll_buffer buffer = create();
    uint64_t count = 7;
    REQUIRE(hll_cached(view(&buffer), &count) && count == 0);
    hll_set_cached(buffer.ptr, 0x0102030405060708);
    REQUIRE(memcmp(buffer.ptr + 8, "\x08\x07\x06\x05\x04\x03\x02\x01", 8) == 0);
    REQUIRE(hll_cached(view(&buffer), &count) && count == 0x0102030405060708);
    hll_set_stale(buffer.ptr);
    REQUIRE(!hll_cached(view(&buffer), &count) && (unsigned char)buffer.ptr[15] == 0x81);
    mem_free(buffer.ptr);
}

/* All registers, read run by run or one by one. */
static void read_registers(const struct hll_buffer *buffer, uint8_t *registers)
{
    struct bytes hll = view(buffer);
    uint32_t index = 0;
    if (hll_is_dense(hll)) {
        for (; index < HLL_REGISTERS; index++)
            registers[index] = (uint8_t)hll_dense_register(hll, index);
        return;
    }
    size_t at = HLL_HEADER;
    for (struct hll_run run; hll_read_run(hll, at, &run); at += run.size)
        for (uint32_t i = 0; i < run.len; i++)
            registers[index++] = run.value;
    REQUIRE(index == HLL_REGISTERS && at == hll.len);
}

Test(hll, raises_against_plain_registers)
{
    struct random random = seed_random(__func__);
    for (int round = 0; round < 12; round++) {
        struct hll_buffer buffer = create();
        uint8_t model[HLL_REGISTERS] = { 0 }, registers[HLL_REGISTERS], merged[HLL_REGISTERS] = { 0 };
        size_t sparse_max = random_below(&random, 6000);
        uint64_t range = round % 2 ? HLL_REGISTERS : 64; /* close together, runs are joined and split */
        uint64_t value_max = round % 3 ? 3 : HLL_REGISTER_MAX;
        for (int i = 0; i < 4000; i++) {
            uint32_t index = (uint32_t)(HLL_REGISTERS - 1 - random_below(&random, range));
            uint8_t value = (uint8_t)(1 + random_below(&random, value_max));
            enum hll_raised raised = hll_raise(&buffer, (struct hll_place){ index, value }, sparse_max);
            REQUIRE(raised == (value > model[index] ? HLL_RAISED : HLL_SAME));
            model[index] = value > model[index] ? value : model[index];
            REQUIRE(hll_is_valid(view(&buffer)));
            REQUIRE(hll_is_dense(view(&buffer)) || buffer.len <= sparse_max || buffer.len <= HLL_EMPTY_BYTES);
        }
        read_registers(&buffer, registers);
        REQUIRE(memcmp(registers, model, sizeof model) == 0);
        REQUIRE(hll_merge_into(merged, view(&buffer)) && memcmp(merged, model, sizeof model) == 0);
        uint64_t count, again;
        REQUIRE(hll_count(view(&buffer), &count) && count == hll_count_registers(model));
        if (!hll_is_dense(view(&buffer)))
            REQUIRE(hll_make_dense(&buffer) && hll_count(view(&buffer), &again) && again == count);
        read_registers(&buffer, registers);
        REQUIRE(memcmp(registers, model, sizeof model) == 0);
        mem_free(buffer.ptr);
    }
}

/* From anything sparse on: the same bytes, whether registers are sought from the beginning or from where one was. */
Test(hll, raises_in_ascending_order)
{
    struct random random = seed_random(__func__);
    for (int round = 0; round < 60; round++) {
        struct hll_buffer one = create(), other = create();
        struct hll_cursor cursor = HLL_CURSOR_FIRST;
        size_t sparse_max = round % 3 ? ROOM : 1000 + random_below(&random, 6000);
        uint64_t step_max = 1 + random_below(&random, round % 2 ? 6 : 300), value_max = 1 + random_below(&random, 4);
        for (int i = 0; i < 2000; i++)
            hll_raise(&one,
                (struct hll_place){ (uint32_t)random_below(&random, HLL_REGISTERS / (uint32_t)(1 + round % 5)),
                    (uint8_t)(1 + random_below(&random, value_max)) },
                sparse_max);
        memcpy(other.ptr, one.ptr, other.len = one.len);
        for (uint64_t at = random_below(&random, step_max); at < HLL_REGISTERS;
             at += 1 + random_below(&random, step_max)) {
            struct hll_place place = { (uint32_t)at, (uint8_t)(1 + random_below(&random, value_max)) };
            enum hll_raised expected = hll_raise(&one, place, sparse_max);
            REQUIRE(hll_raise_next(&other, &cursor, place, sparse_max) == expected);
            REQUIRE(one.len == other.len && memcmp(one.ptr, other.ptr, one.len) == 0);
        }
        mem_free(one.ptr);
        mem_free(other.ptr);
    }
}

Test(hll, high_values_and_long_ones_make_it_dense)
{
    struct hll_buffer buffer = create();
    REQUIRE(hll_raise(&buffer, (struct hll_place){ 5, 32 }, 3000) == HLL_RAISED && !hll_is_dense(view(&buffer)));
    REQUIRE(hll_raise(&buffer, (struct hll_place){ 5, 33 }, 3000) == HLL_RAISED && hll_is_dense(view(&buffer)));
    REQUIRE(buffer.len == HLL_DENSE_BYTES && hll_dense_register(view(&buffer), 5) == 33);
    hll_init(&buffer);
    REQUIRE(hll_raise(&buffer, (struct hll_place){ 5, 1 }, 18) == HLL_RAISED && hll_is_dense(view(&buffer)));
    mem_free(buffer.ptr);
}

/* Over many independent sets of elements the relative error has the deviation that 2^14 registers give, and no bias. */
Test(hll, the_estimate_is_as_good_as_it_should_be)
{
    enum { SETS = 60 };
    static const uint64_t sizes[] = { 1, 10, 100, 1000, 10000, 50000, 200000 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double sum = 0, squares = 0;
        for (uint64_t set = 0; set < SETS; set++) {
            struct hll_buffer buffer = create();
            for (uint64_t n = 0; n < sizes[i]; n++)
                hll_raise(&buffer, place_of(set << 32 | n), 100);
            uint64_t count;
            REQUIRE(hll_count(view(&buffer), &count));
            double error = ((double)count - (double)sizes[i]) / (double)sizes[i];
            sum += error;
            squares += error * error;
            mem_free(buffer.ptr);
        }
        double bias = sum / SETS, deviation = sqrt(squares / SETS);
        fprintf(stderr, "%" PRIu64 " elements: bias %.5f, deviation %.5f\n", sizes[i], bias, deviation);
        REQUIRE(deviation < 0.0125 && fabs(bias) < 0.005);
    }
}

Test(hll, what_a_client_may_have_broken)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "HYLL\1\0\0\0\0\0\0\0\0\0\0\0", 16 },                 /* no runs */
        { "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f", 17 },             /* cut off */
        { "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xf0", 18 },         /* too few registers */
        { "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff\x00", 19 },     /* too many */
        { "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff\xff", 19 },     /* the same with values */
        { "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff\x7f\xff", 20 }, /* twice as many */
        { "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff\x40", 19 },     /* more, and cut off */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes hll = { cases[i].bytes, cases[i].len };
        uint8_t registers[HLL_REGISTERS] = { 0 };
        uint64_t count;
        REQUIRE(hll_is_valid(hll) && !hll_count(hll, &count) && !hll_merge_into(registers, hll));
        struct hll_buffer buffer = create();
        memcpy(buffer.ptr, hll.ptr, hll.len);
        buffer.len = hll.len;
        REQUIRE(!hll_make_dense(&buffer) && buffer.len == hll.len);
        REQUIRE(hll_raise(&buffer, (struct hll_place){ 3, 40 }, 3000) == HLL_CORRUPT);
        mem_free(buffer.ptr);
    }
    REQUIRE(!hll_is_valid(BYTES("")) && !hll_is_valid(BYTES("HYLL")) && !hll_is_valid(BYTES("a string, no sketch")));
    REQUIRE(!hll_is_valid(bytes_make("HYLL\2\0\0\0\0\0\0\0\0\0\0\0", 16)));
    REQUIRE(!hll_is_valid(bytes_make("HYLL\0\0\0\0\0\0\0\0\0\0\0\0", 16)));
}

/* Any bytes behind the header: nothing is read or written outside, whatever the answer. */
Test(hll, random_bytes)
{
    struct random random = seed_random(__func__);
    for (int round = 0; round < 3000; round++) {
        size_t len = random_below(&random, 400);
        struct hll_buffer buffer = { mem_alloc(HLL_DENSE_BYTES + 3 * 20), 0, HLL_DENSE_BYTES + 3 * 20 };
        hll_init(&buffer);
        for (size_t i = 0; i < len; i++)
            buffer.ptr[HLL_HEADER + i] = (char)random_next(&random);
        buffer.len = HLL_HEADER + len;
        for (int i = 0; i < 20; i++)
            hll_raise(&buffer, place_of(random_next(&random)), 3000);
        uint64_t count;
        uint8_t registers[HLL_REGISTERS] = { 0 };
        if (hll_count(view(&buffer), &count))
            REQUIRE(hll_merge_into(registers, view(&buffer)));
        mem_free(buffer.ptr);
    }
}
