/*
 * Tests of the intset: golden bytes (those that DUMP of redis-server 7.0.15 shows), the contract case by case, a model
 * of a sorted array that random edits must agree with, and hostile bytes against intset_validate. Random tests print
 * their seed; LARDER_TEST_SEED repeats one.
 */
#include "ds/intset.h"

#include "base/mem.h"
#include "base/random.h"
#include "packed_fixture.h"

static bool holds(const unsigned char *set, const void *bytes, size_t len)
{
    return intset_bytes(set) == len && memcmp(set, bytes, len) == 0;
}

Test(intset, an_empty_one_has_no_members)
{
    unsigned char *set = intset_create();
    uint32_t index = 7;
    REQUIRE(holds(set, "\x02\x00\x00\x00\x00\x00\x00\x00", 8) && intset_count(set) == 0);
    REQUIRE(!intset_find(set, 0, &index) && index == 0 && !intset_remove(&set, 0));
    REQUIRE(!intset_validate(set, 8));
    intset_destroy(set);
    intset_destroy(NULL);
}

Test(intset, bytes_are_those_of_the_format_at_each_width)
{
    unsigned char *set = intset_create();
    REQUIRE(intset_add(&set, 5) == INTSET_ADDED && intset_add(&set, -1) == INTSET_ADDED);
    REQUIRE(intset_add(&set, 5) == INTSET_PRESENT && intset_add(&set, 32767) == INTSET_ADDED);
    REQUIRE(holds(set, "\x02\x00\x00\x00\x03\x00\x00\x00\xff\xff\x05\x00\xff\x7f", 14));
    REQUIRE(intset_add(&set, -32769) == INTSET_ADDED);
    REQUIRE(holds(
        set, "\x04\x00\x00\x00\x04\x00\x00\x00\xff\x7f\xff\xff\xff\xff\xff\xff\x05\x00\x00\x00\xff\x7f\x00\x00", 24));
    REQUIRE(intset_remove(&set, -1) && intset_remove(&set, 32767) && !intset_remove(&set, 32767));
    REQUIRE(intset_add(&set, INT64_C(2147483648)) == INTSET_ADDED && intset_width(set) == 8);
    REQUIRE(holds(set,
        "\x08\x00\x00\x00\x03\x00\x00\x00\xff\x7f\xff\xff\xff\xff\xff\xff\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x80"
        "\x00\x00\x00\x00",
        32));
    REQUIRE(intset_min(set) == -32769 && intset_max(set) == INT64_C(2147483648));
    REQUIRE(intset_remove(&set, INT64_C(2147483648)) && intset_width(set) == 8 && intset_validate(set, 24));
    intset_destroy(set);
}

Test(intset, borders_of_the_widths)
{
    static const struct {
        int64_t number;
        unsigned width;
    } cases[] = { { INT16_MAX, 2 }, { INT16_MIN, 2 }, { INT16_MAX + 1, 4 }, { INT16_MIN - 1, 4 }, { INT32_MAX, 4 },
        { INT32_MIN, 4 }, { INT32_MAX + 1ll, 8 }, { INT32_MIN - 1ll, 8 }, { INT64_MAX, 8 }, { INT64_MIN, 8 } };
    for (size_t i = 0; i < LEN(cases); i++) {
        unsigned char *set = intset_create();
        REQUIRE(intset_add(&set, 0) == INTSET_ADDED && intset_add(&set, cases[i].number) == INTSET_ADDED);
        REQUIRE(intset_width(set) == cases[i].width && intset_find(set, 0, NULL));
        REQUIRE(intset_find(set, cases[i].number, NULL) && intset_get(set, cases[i].number > 0) == cases[i].number);
        REQUIRE(!intset_find(set, INT64_MAX / 2, NULL) && !intset_find(set, INT64_MIN / 2, NULL));
        intset_destroy(set);
    }
}

Test(intset, nothing_changes_when_memory_is_out)
{
    unsigned char *set = intset_create();
    for (int i = 0; i < 28; i++)
        REQUIRE(intset_add(&set, i) == INTSET_ADDED);
    unsigned char *copy = intset_copy(set);
    mem_fail_nth(1);
    REQUIRE(intset_add(&set, INT64_MAX) == INTSET_NO_MEMORY && holds(set, copy, intset_bytes(copy)));
    mem_fail_nth(1);
    REQUIRE(!intset_copy(set));
    mem_fail_nth(0);
    REQUIRE(intset_memory(set) >= intset_bytes(set));
    intset_destroy(copy);
    intset_destroy(set);
}

Test(intset, random_members_are_uniform)
{
    struct random random = seed_random(__func__);
    unsigned char *set = intset_create();
    int seen[10] = { 0 };
    for (int i = 0; i < 10; i++)
        REQUIRE(intset_add(&set, i * 1000) == INTSET_ADDED);
    for (int i = 0; i < 20000; i++)
        seen[intset_random(set, &random) / 1000]++;
    /* Seven standard deviations are 297. */
    for (int i = 0; i < 10; i++)
        REQUIRE(abs(seen[i] - 2000) < 300);
    intset_destroy(set);
}

enum { MODEL_MAX = 400 };

struct model {
    int64_t numbers[MODEL_MAX];
    uint32_t count;
};

/* Where the number is, or would go; the naive way. */
static uint32_t model_index(const struct model *model, int64_t number)
{
    uint32_t i = 0;
    while (i < model->count && model->numbers[i] < number)
        i++;
    return i;
}

static void model_step(struct model *model, unsigned char **set, struct random *random, unsigned bits)
{
    int64_t number = (int64_t)random_next(random) >> (64 - bits);
    if (random_below(random, 3) == 0)
        number >>= random_below(random, bits);
    uint32_t at = model_index(model, number), index;
    bool present = at < model->count && model->numbers[at] == number;
    REQUIRE(intset_find(*set, number, &index) == present && index == at);
    if (model->count < MODEL_MAX && random_below(random, 5) > 1) {
        REQUIRE(intset_add(set, number) == (present ? INTSET_PRESENT : INTSET_ADDED));
        if (present)
            return;
        memmove(model->numbers + at + 1, model->numbers + at, (model->count++ - at) * sizeof number);
        model->numbers[at] = number;
        return;
    }
    if (!present && at < model->count && random_below(random, 2)) {
        number = model->numbers[at];
        present = true;
    }
    REQUIRE(intset_remove(set, number) == present);
    if (present)
        memmove(model->numbers + at, model->numbers + at + 1, (--model->count - at) * sizeof number);
}

Test(intset, random_edits_agree_with_an_array, .timeout = 60)
{
    struct random random = seed_random(__func__);
    static const unsigned bits[] = { 4, 10, 16, 17, 32, 33, 64 };
    for (int round = 0; round < 70; round++) {
        struct model model = { .count = 0 };
        unsigned char *set = intset_create();
        for (int i = 0; i < 600; i++) {
            /* Narrow at first, so that widening meets members; later of one width for long. */
            size_t kind = i < 200 ? (size_t)random_below(&random, 1 + (unsigned)i / 40) : (size_t)round % LEN(bits);
            model_step(&model, &set, &random, bits[kind]);
            REQUIRE(intset_count(set) == model.count);
            for (uint32_t j = 0; j < model.count; j++)
                REQUIRE(intset_get(set, j) == model.numbers[j]);
            REQUIRE(intset_validate(set, intset_bytes(set)) == (model.count > 0));
        }
        intset_destroy(set);
    }
}

static const struct damaged refused[] = {
    DAMAGED("nothing", ""),
    DAMAGED("header cut off", "\x02\x00\x00\x00\x01\x00\x00"),
    DAMAGED("no members", "\x02\x00\x00\x00\x00\x00\x00\x00"),
    DAMAGED("width 0", "\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00"),
    DAMAGED("width 3", "\x03\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00"),
    DAMAGED("width of 32 bits", "\x02\x01\x00\x00\x01\x00\x00\x00\x01\x00"),
    DAMAGED("member cut off", "\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02"),
    DAMAGED("bytes behind the end", "\x02\x00\x00\x00\x01\x00\x00\x00\x01\x00\x02"),
    DAMAGED("count of 4G", "\x02\x00\x00\x00\xff\xff\xff\xff\x01\x00"),
    DAMAGED("not sorted", "\x02\x00\x00\x00\x02\x00\x00\x00\x02\x00\x01\x00"),
    DAMAGED("member twice", "\x02\x00\x00\x00\x02\x00\x00\x00\x02\x00\x02\x00"),
    DAMAGED("sign ignored", "\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\xff\xff"),
};

Test(intset_validate, each_kind_of_damage_is_refused_without_a_look_beyond)
{
    struct guard guard = guard_create();
    for (size_t i = 0; i < LEN(refused); i++) {
        unsigned char *at = guard_place(&guard, refused[i].bytes, refused[i].len, true);
        cr_assert(!intset_validate(at, refused[i].len), "%s", refused[i].why);
    }
    struct random random = seed_random(__func__);
    for (int i = 0; i < 20000; i++) {
        static const unsigned char good[] =
            "\x04\x00\x00\x00\x03\x00\x00\x00\xff\xff\xff\xff\x05\x00\x00\x00\x00\x00\x01";
        size_t len = sizeof good; /* with the zero at the end */
        unsigned char *at = guard_place(&guard, good, len, true);
        REQUIRE(intset_validate(at, len));
        at[random_below(&random, len)] ^= (unsigned char)(1 << random_below(&random, 8));
        if (intset_validate(at, len))
            for (uint32_t j = 0; j < intset_count(at); j++)
                REQUIRE(intset_find(at, intset_get(at, j), NULL));
    }
    guard_destroy(&guard);
}
