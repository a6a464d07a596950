/*
 * The listpack against a model: random edits, with values at every border of the encodings, must leave what an array
 * of byte strings holds. And against hostile bytes: whatever listpack_validate accepts can be walked and edited.
 * Random tests print their seed; LARDER_TEST_SEED repeats one.
 */
#include "base/mem.h"
#include "base/random.h"
#include "ds/listpack.h"
#include "packed_fixture.h"

enum { MODEL_MAX = 300, TEXT_MAX = 70000 };

struct model {
    unsigned char *pack;
    struct bytes items[MODEL_MAX]; /* owned */
    size_t count;
    struct random random;
    char text[TEXT_MAX]; /* the last value drawn */
};

static size_t below(struct model *model, size_t bound)
{
    return (size_t)random_below(&model->random, bound);
}

static int64_t draw_number(struct model *model)
{
    static const int64_t borders[] = { 0, 127, -1, 4095, -4096, INT16_MAX, INT16_MIN, 8388607, -8388608, INT32_MAX,
        INT32_MIN, INT64_MAX - 2, INT64_MIN + 2 };
    if (below(model, 2))
        return borders[below(model, LEN(borders))] + ((int64_t)below(model, 5) - 2);
    return (int64_t)random_next(&model->random) >> below(model, 64);
}

static struct bytes draw(struct model *model)
{
    static const size_t lens[] = { 0, 1, 62, 63, 64, 65, 124, 125, 126, 127, 128, 4094, 4095, 4096, 4097, 16376, 16377,
        16378, 16379, 16383, 65535 };
    size_t len;
    switch (below(model, 8)) {
    case 0:
    case 1:
    case 2:
        return bytes_make(model->text, num_format_i64(model->text, draw_number(model)));
    case 3: /* a digit too many, or a sign: almost a number */
        len = num_format_i64(model->text + 1, draw_number(model));
        model->text[0] = "0+- "[below(model, 4)];
        return bytes_make(model->text, len + 1);
    case 4:
        len = lens[below(model, below(model, 8) ? 11 : LEN(lens))];
        break;
    default:
        len = below(model, 24);
    }
    memset(model->text, (char)random_next(&model->random), len);
    for (size_t i = 0; i < len && i < 32; i++)
        model->text[below(model, len)] = (char)random_next(&model->random);
    return bytes_make(model->text, len);
}

static void model_put(struct model *model, size_t index, struct bytes text)
{
    memmove(model->items + index + 1, model->items + index, (model->count++ - index) * sizeof *model->items);
    model->items[index] = bytes_make(mem_dup(text.ptr, text.len), text.len);
}

static void model_cut(struct model *model, size_t index, size_t count)
{
    for (size_t i = index; i < index + count; i++)
        mem_free((void *)(uintptr_t)model->items[i].ptr);
    model->count -= count;
    memmove(model->items + index, model->items + index + count, (model->count - index) * sizeof *model->items);
}

static void model_check(struct model *model)
{
    const unsigned char *pack = model->pack;
    char scratch[NUM_I64_MAX_LEN];
    struct listpack_value value;
    uint32_t at = LISTPACK_HEADER, at2 = listpack_first(pack), before = 0;
    REQUIRE(listpack_count(pack) == model->count);
    REQUIRE(listpack_validate(pack, listpack_bytes(pack), NULL, NULL));
    for (size_t i = 0; i < model->count; i++) {
        REQUIRE(at == at2 && listpack_prev(pack, at) == before);
        before = at;
        REQUIRE(listpack_read(pack, &at, &value));
        REQUIRE(bytes_equal(listpack_value_bytes(value, scratch), model->items[i]));
        REQUIRE(listpack_find(pack, at2, model->items[i], 0) == at2);
        at2 = listpack_next(pack, at2);
    }
    REQUIRE(!listpack_read(pack, &at, &value) && at2 == 0 && at == listpack_end(pack));
    REQUIRE(listpack_last(pack) == before);
}

static uint32_t place_of(const struct model *model, size_t index)
{
    return index == model->count ? listpack_end(model->pack) : listpack_seek(model->pack, (int64_t)index);
}

static void step_insert(struct model *model)
{
    size_t index = below(model, model->count + 1);
    uint32_t at = place_of(model, index);
    int64_t number;
    struct bytes text = draw(model);
    bool numeric = num_parse_i64(text, &number) && below(model, 2);
    if (index == model->count && below(model, 2))
        REQUIRE((numeric ? listpack_append_i64(&model->pack, number) : listpack_append(&model->pack, text)) == at);
    else
        REQUIRE(listpack_insert(&model->pack, at, text) == at);
    model_put(model, index, text);
}

static void step_insert_batch(struct model *model)
{
    struct bytes texts[8];
    size_t count = below(model, LEN(texts) + 1), index = below(model, model->count + 1);
    for (size_t i = 0; i < count; i++) {
        struct bytes text = draw(model);
        texts[i] = bytes_make(mem_dup(text.ptr, text.len), text.len);
    }
    uint32_t at = place_of(model, index);
    REQUIRE(listpack_insert_batch(&model->pack, at, texts, count) == at);
    for (size_t i = 0; i < count; i++) {
        model_put(model, index + i, texts[i]);
        mem_free((void *)(uintptr_t)texts[i].ptr);
    }
}

static void step_replace(struct model *model)
{
    if (model->count == 0)
        return;
    size_t index = below(model, model->count);
    struct bytes text = draw(model);
    int64_t number;
    if (num_parse_i64(text, &number) && below(model, 2))
        REQUIRE(listpack_replace_i64(&model->pack, place_of(model, index), number));
    else
        REQUIRE(listpack_replace(&model->pack, place_of(model, index), text));
    model_cut(model, index, 1);
    model_put(model, index, text);
}

static void step_delete(struct model *model)
{
    if (model->count == 0)
        return;
    size_t index = below(model, model->count), left = model->count - index;
    uint32_t at = place_of(model, index);
    if (below(model, 2)) {
        REQUIRE(listpack_delete(&model->pack, at) == (left > 1 ? at : 0));
        model_cut(model, index, 1);
        return;
    }
    size_t count = below(model, 6);
    REQUIRE(listpack_delete_range(&model->pack, at, count) == (count < left ? count : left));
    model_cut(model, index, count < left ? count : left);
}

static void step_delete_batch(struct model *model)
{
    uint32_t places[MODEL_MAX];
    size_t count = 0, kept = 0, all = model->count;
    for (size_t i = 0; i < all; i++) {
        if (below(model, 8) == 0) {
            places[count++] = listpack_seek(model->pack, (int64_t)i);
            mem_free((void *)(uintptr_t)model->items[i].ptr);
        } else {
            model->items[kept++] = model->items[i];
        }
    }
    model->count = kept;
    listpack_delete_batch(&model->pack, places, count);
}

/* Split, and joined the other way round. */
static void step_rotate(struct model *model)
{
    size_t index = below(model, model->count + 1), left = model->count - index;
    unsigned char *rest = listpack_split(&model->pack, index);
    REQUIRE(listpack_count(model->pack) == index && listpack_count(rest) == left);
    REQUIRE(listpack_validate(model->pack, listpack_bytes(model->pack), NULL, NULL));
    REQUIRE(listpack_concat(&rest, model->pack));
    listpack_destroy(model->pack);
    model->pack = rest;
    struct bytes rotated[MODEL_MAX];
    memcpy(rotated, model->items + index, left * sizeof *rotated);
    memcpy(rotated + left, model->items, index * sizeof *rotated);
    memcpy(model->items, rotated, model->count * sizeof *rotated);
}

static void step_find(struct model *model)
{
    size_t start = below(model, model->count + 1), skip = below(model, 3), i = start;
    struct bytes text = model->count && below(model, 3) ? model->items[below(model, model->count)] : draw(model);
    while (i < model->count && !bytes_equal(model->items[i], text))
        i += 1 + skip;
    uint32_t found = listpack_find(model->pack, place_of(model, start), text, (unsigned)skip);
    REQUIRE(found == (i < model->count ? place_of(model, i) : 0));
}

static void step(struct model *model)
{
    size_t dice = below(model, 100);
    if (model->count > MODEL_MAX - 20 || listpack_bytes(model->pack) > 200000)
        dice = 99;
    if (dice < 40)
        step_insert(model);
    else if (dice < 45)
        step_insert_batch(model);
    else if (dice < 60)
        step_replace(model);
    else if (dice < 78)
        step_delete(model);
    else if (dice < 80)
        step_delete_batch(model);
    else if (dice < 84)
        step_rotate(model);
    else if (dice < 98)
        step_find(model);
    else if (dice < 99)
        listpack_trim(&model->pack);
    else if (model->count > 0)
        model_cut(model, model->count / 8, listpack_delete_range(&model->pack, place_of(model, model->count / 8), 200));
}

Test(listpack_model, random_edits_agree_with_an_array, .timeout = 60)
{
    struct model *model = mem_zalloc(sizeof *model);
    model->random = seed_random(__func__);
    for (int round = 0; round < 80; round++) {
        model->pack = listpack_create(below(model, 2) ? 0 : below(model, 10000));
        for (int i = 0; i < 250; i++) {
            step(model);
            model_check(model);
        }
        model_cut(model, 0, model->count);
        listpack_destroy(model->pack);
    }
    mem_free(model);
}

/* Hostile bytes. */

static const struct damaged refused[] = {
    DAMAGED("nothing", ""),
    DAMAGED("no end", "\x06\x00\x00\x00\x00\x00"),
    DAMAGED("the end in the header", "\x06\x00\x00\x00\xff\xff"),
    DAMAGED("total too small", "\x06\x00\x00\x00\x00\x00\xff"),
    DAMAGED("total too large", "\x08\x00\x00\x00\x00\x00\xff"),
    DAMAGED("bytes behind the end", "\x08\x00\x00\x00\x00\x00\xff\xff"),
    DAMAGED("another last byte", "\x07\x00\x00\x00\x00\x00\xfe"),
    DAMAGED("count of an empty one", "\x07\x00\x00\x00\x01\x00\xff"),
    DAMAGED("count too small", "\x09\x00\x00\x00\x00\x00\x01\x01\xff"),
    DAMAGED("count too large", "\x09\x00\x00\x00\x02\x00\x01\x01\xff"),
    DAMAGED("no backlen", "\x08\x00\x00\x00\x01\x00\x01\xff"),
    DAMAGED("wrong backlen", "\x09\x00\x00\x00\x01\x00\x01\x02\xff"),
    DAMAGED("backlen with bit 7 in front", "\x09\x00\x00\x00\x01\x00\x01\x81\xff"),
    DAMAGED("unknown head f5", "\x0a\x00\x00\x00\x01\x00\xf5\x00\x02\xff"),
    DAMAGED("unknown head fe", "\x09\x00\x00\x00\x01\x00\xfe\x01\xff"),
    DAMAGED("end in the middle", "\x0a\x00\x00\x00\x01\x00\x01\x01\xff\xff"),
    DAMAGED("head cut off", "\x08\x00\x00\x00\x01\x00\xc0\xff"),
    DAMAGED("head of 32 bits cut off", "\x0a\x00\x00\x00\x01\x00\xf0\x00\x00\xff"),
    DAMAGED("integer cut off", "\x0b\x00\x00\x00\x01\x00\xf4\x00\x00\x00\xff"),
    DAMAGED("text over the end", "\x09\x00\x00\x00\x01\x00\x85\x61\xff"),
    DAMAGED("text of 12 bits over the end", "\x0b\x00\x00\x00\x01\x00\xef\xff\x61\x03\xff"),
    DAMAGED("text of 4 GB", "\x0e\x00\x00\x00\x01\x00\xf0\xff\xff\xff\xff\x61\x06\xff"),
    DAMAGED("text up to the end", "\x0a\x00\x00\x00\x01\x00\x82\x61\x62\xff"),
};

static uint64_t walk(const unsigned char *pack)
{
    uint64_t sum = 0;
    size_t count = 0;
    struct listpack_value value;
    for (uint32_t at = LISTPACK_HEADER; listpack_read(pack, &at, &value); count++)
        for (size_t i = 0; i < (value.text ? value.len : 1); i++)
            sum = sum * 31 + (value.text ? (uint64_t)(unsigned char)value.text[i] : (uint64_t)value.number);
    for (uint32_t at = listpack_last(pack); at; at = listpack_prev(pack, at))
        count--;
    REQUIRE(count == 0);
    return sum + listpack_find(pack, LISTPACK_HEADER, BYTES("77"), 1);
}

static void edit(const unsigned char *pack, struct random *random)
{
    unsigned char *copy = listpack_copy(pack);
    for (int i = 0; i < 6; i++) {
        size_t count = listpack_count(copy), index = (size_t)random_below(random, count + 1);
        uint32_t at = index == count ? listpack_end(copy) : listpack_seek(copy, (int64_t)index);
        if (index < count && random_below(random, 2))
            listpack_delete(&copy, at);
        else
            REQUIRE(listpack_insert(&copy, at, BYTES("inserted")));
        REQUIRE(listpack_validate(copy, listpack_bytes(copy), NULL, NULL));
    }
    listpack_destroy(copy);
}

Test(listpack_validate, each_kind_of_damage_is_refused)
{
    struct guard guard = guard_create();
    for (size_t i = 0; i < LEN(refused); i++) {
        const unsigned char *at = guard_place(&guard, refused[i].bytes, refused[i].len, true);
        cr_assert(!listpack_validate(at, refused[i].len, NULL, NULL), "%s", refused[i].why);
        at = guard_place(&guard, refused[i].bytes, refused[i].len, false);
        cr_assert(!listpack_validate(at, refused[i].len, NULL, NULL), "%s", refused[i].why);
    }
}

static bool visit_until(void *context, struct listpack_value value)
{
    size_t *left = context;
    return (value.text || value.number != 42) && (*left)-- > 0;
}

Test(listpack_validate, the_visitor_may_refuse)
{
    unsigned char *pack = listpack_create(0);
    REQUIRE(listpack_append(&pack, BYTES("42x")) && listpack_append_i64(&pack, 7));
    size_t left = 2;
    REQUIRE(listpack_validate(pack, listpack_bytes(pack), visit_until, &left) && left == 0);
    left = 1;
    REQUIRE(!listpack_validate(pack, listpack_bytes(pack), visit_until, &left));
    REQUIRE(listpack_append_i64(&pack, 42));
    left = 9;
    REQUIRE(!listpack_validate(pack, listpack_bytes(pack), visit_until, &left) && left == 7);
    listpack_destroy(pack);
}

/*
 * One of each kind, and every other one twice, as those that are alike are passed over together. The last is up to the
 * caller, as what stands before the end and the guard is what matters.
 */
static unsigned char *one_of_each(struct model *model, size_t last)
{
    char text12[91] = "", text12_wide[141] = ""; /* with backlens of one byte and of two */
    memset(text12, 't', sizeof text12 - 1);
    memset(text12_wide, 'w', sizeof text12_wide - 1);
    const char *const texts[] = { "5", "text", "-300", "12345", "-1234567", "123456789", "1234567890123", text12,
        text12_wide };
    unsigned char *pack = listpack_create(0);
    for (size_t i = 0; i < LEN(texts); i++)
        for (size_t times = i % 2; times < 2; times++)
            REQUIRE(listpack_append(&pack, bytes_from_cstr(texts[(last + 1 + i) % LEN(texts)])));
    if (model && below(model, 2))
        REQUIRE(listpack_append(&pack, draw(model)));
    return pack;
}

Test(listpack_validate, every_truncation_and_every_changed_byte_is_safe)
{
    struct guard guard = guard_create();
    struct random random = seed_random(__func__);
    for (size_t last = 0; last < 9; last++) {
        unsigned char *pack = one_of_each(NULL, last);
        uint32_t len = listpack_bytes(pack);
        walk(guard_place(&guard, pack, len, true));
        for (uint32_t cut = 0; cut < len; cut++) {
            unsigned char *at = guard_place(&guard, pack, cut, true);
            REQUIRE(!listpack_validate(at, cut, NULL, NULL));
            if (cut < 7)
                continue;
            at[0] = (unsigned char)cut;
            at[1] = (unsigned char)(cut >> 8);
            if (listpack_validate(at, cut, NULL, NULL))
                walk(at);
        }
        for (uint32_t i = 0; i < len; i++)
            for (unsigned byte = 0; byte < 256; byte++) {
                unsigned char *at = guard_place(&guard, pack, len, true);
                at[i] = (unsigned char)byte;
                if (!listpack_validate(at, len, NULL, NULL))
                    continue;
                walk(at);
                if (byte % 16 == 0)
                    edit(at, &random);
            }
        listpack_destroy(pack);
    }
}

Test(listpack_validate, what_is_accepted_after_random_changes_is_safe, .timeout = 60)
{
    struct guard guard = guard_create();
    struct model *model = mem_zalloc(sizeof *model);
    model->random = seed_random(__func__);
    size_t accepted = 0;
    for (int i = 0; i < 60000; i++) {
        unsigned char *pack = one_of_each(model, below(model, 9));
        uint32_t len = listpack_bytes(pack);
        if (len <= guard.size) {
            unsigned char *at = guard_place(&guard, pack, len, below(model, 2));
            for (size_t changes = 1 + below(model, 3); changes > 0; changes--)
                at[below(model, 2) ? below(model, len) : 4 + below(model, 20)] = (unsigned char)below(model, 256);
            if (listpack_validate(at, len, NULL, NULL)) {
                accepted++;
                walk(at);
                edit(at, &model->random);
            }
        }
        listpack_destroy(pack);
    }
    /* Else the mutations would test nothing but refusals. */
    REQUIRE(accepted > 1000);
    mem_free(model);
}
