/*
 * Fuzz target: listpacks and intsets from outside.
 *
 * Whatever listpack_validate accepts must be the same forward and backward, must be found by its own values, and must
 * stay whole under edits; the first two bytes choose those, the rest is the listpack. The same bytes are offered to
 * intset_validate, and what it accepts must find its own members. A sanitizer sees to the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "ds/intset.h"
#include "ds/listpack.h"
#include "fuzz.h"

enum { HEAD_LEN = 2, EDITS = 8 };

static void check(const unsigned char *pack)
{
    ASSERT(listpack_validate(pack, listpack_bytes(pack), NULL, NULL));
    struct listpack_value value;
    uint32_t at = LISTPACK_HEADER, before = 0;
    size_t count = 0;
    for (uint32_t here = at; listpack_read(pack, &at, &value); here = at, count++) {
        char scratch[NUM_I64_MAX_LEN];
        struct bytes text = listpack_value_bytes(value, scratch);
        ASSERT(listpack_find(pack, here, text, 0) == here);
        ASSERT(listpack_find(pack, here, text, count % 3) == here);
        ASSERT(listpack_prev(pack, here) == before);
        before = here;
    }
    ASSERT(count == listpack_count(pack) && listpack_last(pack) == before && listpack_end(pack) == at);
}

/* A value of one of the encodings, in `room` of 200 bytes. */
static struct bytes draw(struct random *random, char *room)
{
    if (random_below(random, 2))
        return bytes_make(room, num_format_i64(room, (int64_t)random_next(random) >> random_below(random, 64)));
    size_t len = (size_t)random_below(random, random_below(random, 2) ? 8 : 200);
    memset(room, 'f', len);
    return bytes_make(room, len);
}

static void edit(unsigned char **pack, struct random *random)
{
    char room[200];
    struct bytes texts[2] = { draw(random, room), BYTES("-129") };
    size_t count = listpack_count(*pack), index = (size_t)random_below(random, count + 1);
    uint32_t at = index == count ? listpack_end(*pack) : listpack_seek(*pack, (int64_t)index);
    switch (random_below(random, index == count ? 4 : 7)) {
    case 0:
        ASSERT(listpack_insert(pack, at, texts[0]) == at && listpack_find(*pack, at, texts[0], 0) == at);
        break;
    case 1:
        ASSERT(listpack_insert_batch(pack, at, texts, 2) == at);
        break;
    case 2:
        ASSERT(listpack_append(pack, texts[0]));
        break;
    case 3: {
        unsigned char *rest = listpack_split(pack, index);
        check(*pack);
        ASSERT(listpack_concat(&rest, *pack) && listpack_count(rest) == count);
        listpack_destroy(*pack);
        *pack = rest;
        break;
    }
    case 4:
        ASSERT(listpack_replace(pack, at, texts[0]) && listpack_find(*pack, at, texts[0], 0) == at);
        break;
    case 5:
        listpack_delete(pack, at);
        break;
    case 6:
        listpack_delete_range(pack, at, (size_t)random_below(random, 4));
        break;
    }
    check(*pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < HEAD_LEN)
        return 0;
    struct random random;
    random_init(&random, data[0] | (uint64_t)data[1] << 8);
    data += HEAD_LEN;
    len -= HEAD_LEN;
    if (intset_validate(data, len))
        for (uint32_t i = 0, index; i < intset_count(data); i++)
            ASSERT(intset_find(data, intset_get(data, i), &index) && index == i);
    if (!listpack_validate(data, len, NULL, NULL))
        return 0;
    check(data);
    unsigned char *pack = listpack_copy(data);
    for (int i = 0; i < EDITS; i++)
        edit(&pack, &random);
    listpack_destroy(pack);
    return 0;
}
