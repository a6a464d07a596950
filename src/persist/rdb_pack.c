/*
 * Reading packed values: ziplists and zipmaps element by element, listpacks as they are once they were validated.
 */
#include "rdb_pack_priv.h"

#include <endian.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "rdb_priv.h"

/* --- Listpacks --- */

bool rdb_get_pack(struct rdb_reader *reader, const char *what, unsigned char **pack)
{
    size_t len;
    unsigned char *ptr;
    if (!rdb_get_heap(reader, 0, &ptr, &len))
        return false;
    if (!listpack_validate(ptr, len, NULL, NULL)) {
        mem_free(ptr);
        return rdb_fail(reader, "Listpack integrity check failed: that of a %s", what);
    }
    *pack = ptr;
    return true;
}

bool rdb_listpack_each(const unsigned char *pack, rdb_element_fn visit, void *context)
{
    char digits[NUM_I64_MAX_LEN];
    struct listpack_value value;
    for (uint32_t at = LISTPACK_HEADER; listpack_read(pack, &at, &value);)
        if (!visit(context, listpack_value_bytes(value, digits)))
            return false;
    return true;
}

/* --- No text twice --- */

bool rdb_seen_init(struct rdb_seen *seen, size_t count)
{
    size_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    seen->mask = slots - 1;
    seen->heap = NULL;
    if (slots > RDB_SEEN_SMALL && !(seen->heap = mem_try_alloc(slots * sizeof *seen->heap)))
        return false;
    memset(seen->heap ? seen->heap : seen->small, 0, slots * sizeof *seen->heap);
    return true;
}

void rdb_seen_fini(struct rdb_seen *seen)
{
    mem_free(seen->heap);
}

/* Texts whose 64-bit hashes, keyed by the process's secret, agree are taken to be the same. */
bool rdb_seen_add(struct rdb_seen *seen, struct bytes text)
{
    uint64_t *slots = seen->heap ? seen->heap : seen->small;
    uint64_t hash = hash_bytes(text.ptr, text.len) | 1;
    for (size_t i = hash >> 1 & seen->mask;; i = (i + 1) & seen->mask) {
        if (slots[i] == hash)
            return false;
        if (slots[i] == 0) {
            slots[i] = hash;
            return true;
        }
    }
}

enum twins { TWINS_NONE, TWINS_FOUND, TWINS_UNKNOWN /* memory is out */ };

static enum twins look_for_twins(const unsigned char *pack, size_t groups, unsigned stride)
{
    struct rdb_seen seen;
    if (!rdb_seen_init(&seen, groups))
        return TWINS_UNKNOWN;
    char digits[NUM_I64_MAX_LEN];
    bool good = true;
    for (uint32_t at = LISTPACK_HEADER; good && pack[at] != LISTPACK_END;) {
        good = rdb_seen_add(&seen, listpack_get_bytes(pack, at, digits));
        for (unsigned i = 0; i < stride; i++)
            at = listpack_after(pack, at);
    }
    rdb_seen_fini(&seen);
    return good ? TWINS_NONE : TWINS_FOUND;
}

bool rdb_pack_has_no_twins(const unsigned char *pack, unsigned stride)
{
    size_t count = listpack_count(pack);
    return count && count % stride == 0 && look_for_twins(pack, count / stride, stride) == TWINS_NONE;
}

/* Notes an error if it is not. */
static bool is_unique(struct rdb_reader *reader, const char *what, const unsigned char *pack, unsigned stride)
{
    size_t count = listpack_count(pack);
    if (count % stride)
        return rdb_fail(reader, "Listpack integrity check failed: that of a %s holds %zu elements", what, count);
    enum twins twins = look_for_twins(pack, count / stride, stride);
    if (twins == TWINS_UNKNOWN)
        return rdb_fail(reader, "Out of memory");
    return twins == TWINS_NONE ||
           rdb_fail(reader, "Listpack integrity check failed: a %s has the same member twice", what);
}

bool rdb_get_unique_pack(struct rdb_reader *reader, const char *what, unsigned stride, unsigned char **pack)
{
    unsigned char *ptr;
    if (!rdb_get_pack(reader, what, &ptr))
        return false;
    bool good = is_unique(reader, what, ptr, stride), empty = listpack_count(ptr) == 0;
    if (!good || empty)
        listpack_destroy(ptr);
    if (good)
        *pack = empty ? NULL : ptr;
    return good;
}

/* --- Ziplists --- */

enum { ZIPLIST_HEADER = 10, ZIP_END = 0xff, ZIP_LONG = 0xfe, ZIPLIST_COUNT_UNKNOWN = 65535 };

/* What is left of the bytes. */
struct cut {
    const unsigned char *at, *end;
};

static const unsigned char *cut_take(struct cut *cut, size_t len)
{
    if ((size_t)(cut->end - cut->at) < len)
        return NULL;
    cut->at += len;
    return cut->at - len;
}

static uint32_t read_le32(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return le32toh(word);
}

/* A little-endian integer of `size` bytes, with its sign. */
static int64_t read_integer(const unsigned char *at, unsigned size)
{
    uint64_t word = 0;
    memcpy(&word, at, size);
    return (int64_t)(le64toh(word) << (64 - 8 * size)) >> (64 - 8 * size);
}

/* Reads an entry's head and content. */
static bool ziplist_content(struct cut *cut, char *digits, struct bytes *text)
{
    const unsigned char *head = cut_take(cut, 1), *more;
    if (!head)
        return false;
    size_t len = *head & 63;
    unsigned size = 0;
    switch (*head >> 6) {
    case 0:
        break;
    case 1:
        if (!(more = cut_take(cut, 1)))
            return false;
        len = len << 8 | *more;
        break;
    case 2:
        if (!(more = cut_take(cut, 4)))
            return false;
        len = (size_t)more[0] << 24 | (size_t)more[1] << 16 | (size_t)more[2] << 8 | more[3];
        break;
    default:
        if (*head >= 0xf1 && *head <= 0xfd) {
            *text = bytes_make(digits, num_format_i64(digits, (*head & 15) - 1));
            return true;
        }
        size = *head == 0xc0 ? 2 : *head == 0xd0 ? 4 : *head == 0xe0 ? 8 : *head == 0xf0 ? 3 : *head == 0xfe ? 1 : 0;
        if (!size || !(more = cut_take(cut, size)))
            return false;
        *text = bytes_make(digits, num_format_i64(digits, read_integer(more, size)));
        return true;
    }
    const unsigned char *content = cut_take(cut, len);
    *text = bytes_make(content, len);
    return content != NULL;
}

/* The length that an entry gives for the one before it. */
static bool ziplist_before(struct cut *cut, uint32_t *before)
{
    const unsigned char *at = cut_take(cut, 1);
    if (!at)
        return false;
    *before = *at;
    if (*at == ZIP_LONG) {
        if (!(at = cut_take(cut, 4)))
            return false;
        *before = read_le32(at);
    }
    return true;
}

bool rdb_ziplist_each(struct bytes ziplist, rdb_element_fn visit, void *context)
{
    const unsigned char *start = (const unsigned char *)ziplist.ptr;
    if (ziplist.len <= ZIPLIST_HEADER || read_le32(start) != ziplist.len || start[ziplist.len - 1] != ZIP_END)
        return false;
    struct cut cut = { start + ZIPLIST_HEADER, start + ziplist.len - 1 };
    size_t count = 0, said = start[8] | (size_t)start[9] << 8;
    const unsigned char *last = cut.at;
    for (uint32_t before, expected = 0; cut.at < cut.end; count++) {
        char digits[NUM_I64_MAX_LEN];
        struct bytes text;
        last = cut.at;
        if (!ziplist_before(&cut, &before) || before != expected || !ziplist_content(&cut, digits, &text) ||
            !visit(context, text))
            return false;
        expected = (uint32_t)(cut.at - last);
    }
    return (said == ZIPLIST_COUNT_UNKNOWN || said == count) && read_le32(start + 4) == (size_t)(last - start);
}

/* --- Zipmaps --- */

static bool zipmap_len(struct cut *cut, uint32_t *len)
{
    const unsigned char *at = cut_take(cut, 1);
    if (!at || *at == ZIP_END)
        return false;
    *len = *at;
    if (*at == ZIP_LONG) {
        if (!(at = cut_take(cut, 4)))
            return false;
        *len = read_le32(at);
    }
    return true;
}

static bool zipmap_pair(struct cut *cut, rdb_element_fn visit, void *context)
{
    uint32_t name_len, value_len;
    const unsigned char *name, *unused, *value;
    if (!zipmap_len(cut, &name_len) || !(name = cut_take(cut, name_len)) || !zipmap_len(cut, &value_len) ||
        !(unused = cut_take(cut, 1)) || !(value = cut_take(cut, value_len)) || !cut_take(cut, *unused))
        return false;
    return visit(context, bytes_make(name, name_len)) && visit(context, bytes_make(value, value_len));
}

bool rdb_zipmap_each(struct bytes zipmap, rdb_element_fn visit, void *context)
{
    const unsigned char *start = (const unsigned char *)zipmap.ptr;
    if (zipmap.len < 2 || start[zipmap.len - 1] != ZIP_END)
        return false;
    struct cut cut = { start + 1, start + zipmap.len - 1 };
    size_t count = 0;
    for (; cut.at < cut.end; count++)
        if (!zipmap_pair(&cut, visit, context))
            return false;
    return start[0] >= ZIP_LONG || start[0] == count;
}
