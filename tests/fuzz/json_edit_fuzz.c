/*
 * Fuzz target: random sequences of edits.
 *
 * The input is a program: each byte an operation, the next ones where and how much. Three documents go through it: one
 * that is changed in place, one of which the version before is always pinned, and one that is built anew of its text
 * before every edit. All must print the same, and the pinned version must print what it did before.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "fuzz.h"
#include "json/edit.h"
#include "json/parse.h"
#include "json/print.h"

enum { MOST_EDITS = 24, MOST_STEPS = 12, MOST_TEXT = 8000 };

struct program {
    const uint8_t *at, *end;
};

static unsigned next(struct program *program)
{
    return program->at < program->end ? *program->at++ : 0;
}

/* A key of a few hundred, so that objects become large and keys meet again. */
static struct bytes draw_key(struct program *program, char room[16])
{
    unsigned number = next(program);

    number |= next(program) % 4 << 8;
    room[0] = 'k';
    room[1] = (char)('a' + number % 16);
    room[2] = (char)('a' + number / 16 % 16);
    room[3] = (char)('a' + number / 256);
    memset(room + 4, 'x', 12);
    return bytes_make(room, number % 3 == 0 ? 4 : 12);
}

static struct json_value draw(struct program *program)
{
    struct json_value value = JSON_VALUE_NULL;
    unsigned kind = next(program);

    switch (kind % 8) {
    case 0:
        return json_make_bool(kind > 127);
    case 1:
        return json_make_int((int64_t)(next(program) * UINT64_C(0x0101010101010101)));
    case 2:
        return json_make_double(next(program) / 8.0 - 3);
    case 3:
        return json_make_double(next(program) * 1e-300);
    case 4:
        ASSERT(json_try_make_string(bytes_make("0123456789abcdefghij", kind % 21), &value));
        return value;
    case 5:
        return json_make_object();
    case 6:
        return json_make_array();
    default:
        return value;
    }
}

static void edit_array(struct program *program, struct json_value *slot, struct json_trash *trash)
{
    struct json_value values[1024];
    uint32_t len = json_array_len(*slot), at = next(program) * 257 % (len + 1), count = next(program);

    switch (next(program) % 4) {
    case 0:
    case 1:
        count = count > 250 ? 700 : count % 8;
        for (uint32_t i = 0; i < count; i++)
            values[i] = i < 8 ? draw(program) : json_make_int(i);
        ASSERT(json_array_insert(slot, at, values, count, trash));
        break;
    case 2:
        count = count * 3 < len - at ? count * 3 : len - at;
        json_array_remove(slot, at, count, trash);
        break;
    default:
        if (at < len)
            json_value_release(json_array_take(slot, at, trash), trash);
    }
}

static void edit_object(struct program *program, struct json_value *slot, struct json_trash *trash)
{
    char room[16];
    unsigned kind = next(program);
    struct bytes text = draw_key(program, room);

    if (kind % 4 == 0) {
        json_key key = json_key_find(text);
        if (key != 0)
            json_object_remove(slot, key, trash);
    } else if (kind == 255) {
        for (unsigned i = 0; i < 400; i++) {
            room[1] = (char)('a' + i % 16);
            room[2] = (char)('a' + i / 16);
            ASSERT(json_object_put(slot, text, json_make_int(i), trash));
        }
    } else {
        ASSERT(json_object_put(slot, text, draw(program), trash));
    }
}

static void edit_leaf(struct program *program, struct json_value *slot, struct json_trash *trash)
{
    if (json_kind(*slot) == JSON_STRING)
        ASSERT(json_string_append(slot, bytes_make("abcdefghijklmnop", next(program) % 17), trash));
    else
        json_set(slot, draw(program), trash);
}

/* One edit, the same in every document that is the same. */
static void edit(struct program *program, struct json_doc *doc, struct json_trash *trash)
{
    uint32_t steps[MOST_STEPS];
    size_t depth = 0;

    for (unsigned turns = next(program) % MOST_STEPS; turns > 0; turns--) {
        struct json_value here = *json_doc_at(doc, steps, depth);
        if (!json_is_container(here) || json_len(here) == 0)
            break;
        uint32_t at = next(program) * 257 % json_len(here);
        steps[depth] = at;
        if (json_kind(here) == JSON_OBJECT)
            json_object_at(here, at, &steps[depth]);
        depth++;
    }
    struct json_value *slot = json_doc_open(doc, steps, depth, trash);
    ASSERT(slot != NULL);
    if (next(program) == 77)
        json_set(slot, draw(program), trash);
    else if (json_kind(*slot) == JSON_ARRAY)
        edit_array(program, slot, trash);
    else if (json_kind(*slot) == JSON_OBJECT)
        edit_object(program, slot, trash);
    else
        edit_leaf(program, slot, trash);
}

static void expect_text(const struct json_value *value, const struct buf *text)
{
    struct buf out = BUF_EMPTY;

    json_print(value, &out);
    ASSERT(bytes_equal(buf_bytes(&out), buf_bytes(text)));
    buf_fini(&out);
}

/* Keys are hashed; the same way in each run. */
__attribute__((constructor)) static void hash_prepare(void)
{
    hash_init_seeded(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct program program = { data, data + len };
    struct json_trash trash = { JSON_VALUE_NONE };
    struct json_doc own = { json_make_object() }, shared = { json_make_object() };
    struct buf before = BUF_EMPTY, after = BUF_EMPTY;
    const char *why;
    size_t at;

    json_print(&own.root, &before);
    for (int i = 0; i < MOST_EDITS && program.at < program.end && before.len < MOST_TEXT; i++) {
        struct program again = program, third = program;
        struct json_doc fresh;
        struct json_value pinned = json_value_ref(shared.root);
        ASSERT(json_parse(buf_bytes(&before), &fresh.root, &why, &at) == JSON_ERROR_NONE);
        edit(&program, &own, &trash);
        edit(&again, &shared, &trash);
        edit(&third, &fresh, &trash);
        buf_clear(&after);
        json_print(&own.root, &after);
        expect_text(&shared.root, &after);
        expect_text(&fresh.root, &after);
        expect_text(&pinned, &before);
        ASSERT(json_equal(&own.root, &shared.root, true) && json_equal(&fresh.root, &own.root, true));
        json_value_release(pinned, &trash);
        json_value_release(fresh.root, &trash);
        json_trash_drain(&trash, i % 2 == 0 ? 10 : SIZE_MAX);
        struct buf swap = before;
        before = after;
        after = swap;
    }
    json_value_release(own.root, &trash);
    json_value_release(shared.root, &trash);
    json_trash_drain(&trash, SIZE_MAX);
    ASSERT(json_key_count() == 0);
    buf_fini(&before);
    buf_fini(&after);
    return 0;
}
