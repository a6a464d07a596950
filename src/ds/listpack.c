/*
 * Making and editing listpacks.
 *
 * Every edit is a splice: bytes at a place are exchanged for a gap of another size, the rest moves once, and entries
 * are written into the gap. A value is first turned into a `struct listpack_code`, which knows its size, so that
 * nothing is touched before it is known to fit and memory is there.
 *
 * Growing asks the allocator what it really reserved. Its size classes are at most a fourth apart, so appends move the
 * listpack every so often only, in proportion to its size. An edit that leaves less than half of the allocation in use
 * gives the rest back.
 */
#include "ds/listpack.h"

#include "base/assert.h"
#include "base/mem.h"
#include "listpack_priv.h"

enum { KEEP_BYTES = 64 }; /* allocations up to this size are not made smaller */

static inline void set_bytes(unsigned char *pack, uint32_t total)
{
    total = htole32(total);
    memcpy(pack, &total, sizeof total);
}

static inline void set_count(unsigned char *pack, size_t count)
{
    if (count > LISTPACK_COUNT_UNKNOWN)
        count = LISTPACK_COUNT_UNKNOWN;
    pack[4] = (unsigned char)count;
    pack[5] = (unsigned char)(count >> 8);
}

/* A count that is not known stays so. */
static inline void count_add(unsigned char *pack, size_t more)
{
    set_count(pack, listpack_stated_count(pack) + more);
}

static void count_subtract(unsigned char *pack, size_t less)
{
    unsigned count = listpack_stated_count(pack);
    if (listpack_is_empty(pack))
        set_count(pack, 0);
    else if (count != LISTPACK_COUNT_UNKNOWN)
        set_count(pack, count - less);
}

/* Makes the allocation hold `total` bytes, more than there are; content kept. */
static inline bool make_room(unsigned char **pack, size_t total)
{
    if (total >= LISTPACK_MAX_BYTES)
        return false;
    if (mem_same_class(listpack_bytes(*pack), total) || total <= mem_usable_size(*pack))
        return true;
    unsigned char *moved = mem_try_realloc(*pack, total);
    if (!moved)
        return false;
    *pack = moved;
    return true;
}

static void shrink(unsigned char **pack)
{
    unsigned char *moved = mem_try_realloc(*pack, listpack_bytes(*pack));
    if (moved)
        *pack = moved;
}

static void shrink_if_loose(unsigned char **pack)
{
    size_t usable = mem_usable_size(*pack);
    if (usable > KEEP_BYTES && listpack_bytes(*pack) < usable / 2)
        shrink(pack);
}

/* Exchanges `old_size` bytes at `at` for `new_size` that the caller then writes. Growing can fail; nothing changed. */
static bool splice(unsigned char **pack, uint32_t at, size_t old_size, size_t new_size)
{
    size_t total = listpack_bytes(*pack), new_total = total - old_size + new_size;
    if (new_size > old_size && !make_room(pack, new_total))
        return false;
    if (new_size != old_size)
        memmove(*pack + at + new_size, *pack + at + old_size, total - at - old_size);
    set_bytes(*pack, (uint32_t)new_total);
    return true;
}

/* Bytes at `at` go; `count` entries were in them. */
static void cut(unsigned char **pack, uint32_t at, size_t size, size_t count)
{
    splice(pack, at, size, 0);
    count_subtract(*pack, count);
    shrink_if_loose(pack);
}

static void init(unsigned char *pack)
{
    set_bytes(pack, LISTPACK_HEADER + 1);
    set_count(pack, 0);
    pack[LISTPACK_HEADER] = LISTPACK_END;
}

unsigned char *listpack_create(size_t capacity)
{
    unsigned char *pack = mem_alloc(capacity > LISTPACK_HEADER + 1 ? capacity : LISTPACK_HEADER + 1);
    init(pack);
    return pack;
}

void listpack_destroy(unsigned char *pack)
{
    mem_free(pack);
}

unsigned char *listpack_copy(const unsigned char *pack)
{
    unsigned char *copy = mem_try_alloc(listpack_bytes(pack));
    if (copy)
        memcpy(copy, pack, listpack_bytes(pack));
    return copy;
}

size_t listpack_memory(const unsigned char *pack)
{
    return mem_usable_size(pack);
}

void listpack_trim(unsigned char **pack)
{
    if (mem_good_size(listpack_bytes(*pack)) < mem_usable_size(*pack))
        shrink(pack);
}

/* A splice of which nothing goes. */
static inline uint32_t insert(unsigned char **pack, uint32_t at, const struct listpack_code *code)
{
    size_t total = listpack_bytes(*pack), size = code->size;
    if (!make_room(pack, total + size))
        return 0;
    unsigned char *moved = *pack;
    memmove(moved + at + size, moved + at, total - at);
    listpack_code_write(code, moved + at);
    set_bytes(moved, (uint32_t)(total + size));
    count_add(moved, 1);
    return at;
}

uint32_t listpack_insert(unsigned char **pack, uint32_t at, struct bytes text)
{
    struct listpack_code code;
    listpack_code_text(&code, text);
    return insert(pack, at, &code);
}

/* As insert at the end, but with nothing to move. */
static inline uint32_t append(unsigned char **pack, const struct listpack_code *code)
{
    size_t total = listpack_bytes(*pack);
    if (!make_room(pack, total + code->size))
        return 0;
    unsigned char *moved = *pack;
    listpack_code_write(code, moved + total - 1);
    moved[total - 1 + code->size] = LISTPACK_END;
    set_bytes(moved, (uint32_t)(total + code->size));
    count_add(moved, 1);
    return (uint32_t)total - 1;
}

uint32_t listpack_append(unsigned char **pack, struct bytes text)
{
    struct listpack_code code;
    listpack_code_text(&code, text);
    return append(pack, &code);
}

uint32_t listpack_append_i64(unsigned char **pack, int64_t number)
{
    struct listpack_code code;
    listpack_code_number(&code, number);
    return append(pack, &code);
}

uint32_t listpack_insert_batch(unsigned char **pack, uint32_t at, const struct bytes *texts, size_t count)
{
    struct listpack_code code;
    size_t size = 0;
    for (size_t i = 0; i < count && size < LISTPACK_MAX_BYTES; i++) {
        listpack_code_text(&code, texts[i]);
        size += code.size;
    }
    if (!splice(pack, at, 0, size))
        return 0;
    unsigned char *out = *pack + at;
    for (size_t i = 0; i < count; i++, out += code.size) {
        listpack_code_text(&code, texts[i]);
        listpack_code_write(&code, out);
    }
    count_add(*pack, count);
    return at;
}

static bool replace(unsigned char **pack, uint32_t at, const struct listpack_code *code)
{
    uint32_t old_size = listpack_entry_size(*pack, at);
    if (!splice(pack, at, old_size, code->size))
        return false;
    listpack_code_write(code, *pack + at);
    if (code->size < old_size)
        shrink_if_loose(pack);
    return true;
}

bool listpack_replace(unsigned char **pack, uint32_t at, struct bytes text)
{
    struct listpack_code code;
    listpack_code_text(&code, text);
    return replace(pack, at, &code);
}

bool listpack_replace_i64(unsigned char **pack, uint32_t at, int64_t number)
{
    struct listpack_code code;
    listpack_code_number(&code, number);
    return replace(pack, at, &code);
}

bool listpack_concat(unsigned char **pack, const unsigned char *other)
{
    ASSERT(other != *pack);
    uint32_t at = listpack_end(*pack);
    size_t size = listpack_end(other) - LISTPACK_HEADER;
    if (!splice(pack, at, 0, size))
        return false;
    memcpy(*pack + at, other + LISTPACK_HEADER, size);
    count_add(*pack, listpack_stated_count(other));
    return true;
}

unsigned char *listpack_split(unsigned char **pack, size_t index)
{
    size_t count = listpack_count(*pack);
    ASSERT(index <= count);
    uint32_t end = listpack_end(*pack), at = index == count ? end : listpack_seek(*pack, (int64_t)index);
    size_t size = end - at;
    unsigned char *rest = mem_try_alloc(LISTPACK_HEADER + size + 1);
    if (!rest)
        return NULL;
    memcpy(rest + LISTPACK_HEADER, *pack + at, size + 1);
    set_bytes(rest, (uint32_t)(LISTPACK_HEADER + size + 1));
    set_count(rest, count - index);
    splice(pack, at, size, 0);
    set_count(*pack, index);
    shrink_if_loose(pack);
    return rest;
}

uint32_t listpack_delete(unsigned char **pack, uint32_t at)
{
    cut(pack, at, listpack_entry_size(*pack, at), 1);
    return (*pack)[at] == LISTPACK_END ? 0 : at;
}

size_t listpack_delete_range(unsigned char **pack, uint32_t at, size_t count)
{
    uint32_t behind = at;
    size_t deleted = 0;
    for (; deleted < count && (*pack)[behind] != LISTPACK_END; deleted++)
        behind = listpack_after(*pack, behind);
    cut(pack, at, behind - at, deleted);
    return deleted;
}

void listpack_delete_batch(unsigned char **pack, const uint32_t *places, size_t count)
{
    if (count == 0)
        return;
    unsigned char *bytes = *pack, *out = bytes + places[0];
    uint32_t total = listpack_bytes(bytes);
    for (size_t i = 0; i < count; i++) {
        uint32_t from = listpack_after(bytes, places[i]), to = i + 1 < count ? places[i + 1] : total;
        ASSERT(from <= to);
        memmove(out, bytes + from, to - from);
        out += to - from;
    }
    set_bytes(bytes, (uint32_t)(out - bytes));
    count_subtract(bytes, count);
    shrink_if_loose(pack);
}
