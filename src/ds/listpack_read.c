/*
 * Looking into a listpack: counting, seeking, comparing, finding, picking at random.
 *
 * Nothing here allocates or changes the listpack. Every walk goes through the inlined steps of ds/listpack_read.h, so a
 * listpack that came from outside and passed listpack_validate is as safe as one of ours, also where its entries are
 * not in the shortest form (a short text with a long head, an integer kept as text): comparisons look at values.
 */
#include "ds/listpack_read.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/random.h"
#include "listpack_priv.h"

const uint8_t listpack_int_sizes[4] = { 2, 3, 4, 8 };

size_t listpack_count_walking(const unsigned char *pack)
{
    size_t count = 0;
    for (uint32_t at = LISTPACK_HEADER; pack[at] != LISTPACK_END; at = listpack_after(pack, at))
        count++;
    return count;
}

uint32_t listpack_seek(const unsigned char *pack, int64_t index)
{
    unsigned count = listpack_stated_count(pack);
    if (count != LISTPACK_COUNT_UNKNOWN) {
        if (index < 0)
            index += count;
        if (index < 0 || index >= count)
            return 0;
        if (index > count / 2)
            index -= count;
    }
    uint32_t at;
    if (index >= 0)
        for (at = listpack_first(pack); at && index > 0; index--)
            at = listpack_next(pack, at);
    else
        for (at = listpack_end(pack); at && index < 0; index++)
            at = listpack_prev(pack, at);
    return at;
}

/* Text that an entry is compared with, made ready once. */
struct needle {
    struct bytes text;
    int64_t number;
    bool is_number;
};

static inline struct needle needle_make(struct bytes text)
{
    struct needle needle = { .text = text };
    needle.is_number = listpack_text_is_number(text, &needle.number);
    return needle;
}

static inline bool needle_matches(const struct needle *needle, struct listpack_value value)
{
    if (!value.text)
        return needle->is_number && value.number == needle->number;
    size_t len = needle->text.len;
    if (value.len != len)
        return false;
    /* The fields of a hash often have a length and a beginning in common, but seldom the last byte. */
    return len == 0 ||
           (value.text[len - 1] == needle->text.ptr[len - 1] && memcmp(value.text, needle->text.ptr, len) == 0);
}

uint32_t listpack_find(const unsigned char *pack, uint32_t at, struct bytes text, unsigned skip)
{
    if (!at)
        return 0;
    struct needle needle = needle_make(text);
    while (pack[at] != LISTPACK_END) {
        if (needle_matches(&needle, listpack_get(pack, at)))
            return at;
        at = listpack_after(pack, at);
        for (unsigned i = 0; i < skip && pack[at] != LISTPACK_END; i++)
            at = listpack_after(pack, at);
    }
    return 0;
}

static size_t count_groups(const unsigned char *pack, unsigned stride)
{
    size_t count = listpack_count(pack);
    ASSERT(count > 0 && stride > 0 && count % stride == 0);
    return count / stride;
}

uint32_t listpack_random(const unsigned char *pack, unsigned stride, struct random *random)
{
    return listpack_seek(pack, (int64_t)(random_below(random, count_groups(pack, stride)) * stride));
}

/* Selection sampling: Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S. */
size_t listpack_sample(
    const unsigned char *pack, unsigned stride, struct random *random, uint32_t *places, size_t count)
{
    size_t left = count_groups(pack, stride), taken = 0;
    if (count > left)
        count = left;
    for (uint32_t at = LISTPACK_HEADER; taken < count; left--) {
        if (random_below(random, left) < count - taken)
            places[taken++] = at;
        for (unsigned j = 0; j < stride; j++)
            at = listpack_after(pack, at);
    }
    return taken;
}
