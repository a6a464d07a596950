/*
 * Telling a listpack from bytes that are none.
 *
 * What a client restores or a file holds may be hostile. Everything that reads listpacks trusts their lengths, so all
 * of them are checked here once: then every step forward lands on an entry or on the end, and every step back on the
 * entry before. That needs the backlens to be what the format prescribes, byte for byte, since the way forward derives
 * their size and the way back decodes them.
 */
#include "ds/listpack.h"

#include "listpack_priv.h"

/* Bytes of the head alone; 0 where there is no such head. */
static uint32_t head_size(unsigned head)
{
    if (head < 0xc0)
        return 1;
    if (head < LISTPACK_STRING_32)
        return 2;
    if (head == LISTPACK_STRING_32)
        return 5;
    return head < LISTPACK_INT_16 + sizeof listpack_int_sizes ? 1u + listpack_int_sizes[head - LISTPACK_INT_16] : 0;
}

static bool backlen_is(const unsigned char *backlen, uint32_t backlen_size, uint32_t size)
{
    for (uint32_t i = backlen_size; i-- > 0; size >>= 7)
        if (backlen[i] != ((size & 127) | (i > 0 ? 128 : 0)))
            return false;
    return true;
}

uint32_t listpack_check_wide(const unsigned char *pack, uint32_t at, uint32_t end)
{
    /* Integers of any size have a backlen of one byte, too. */
    uint32_t head = head_size(pack[at]), narrow = pack[at] < 0xe0 ? 2 : pack[at] >= LISTPACK_INT_16 ? head : 0;
    if (narrow)
        return narrow < end - at && pack[at + narrow] == narrow ? narrow + 1 : 0;
    if (head == 0 || head > end - at)
        return 0;
    struct listpack_value value = listpack_get(pack, at);
    size_t size = head + (value.text ? value.len : 0);
    if (size >= end - at)
        return 0;
    uint32_t backlen_size = listpack_backlen_size((uint32_t)size);
    if (size + backlen_size > end - at || !backlen_is(pack + at + size, backlen_size, (uint32_t)size))
        return 0;
    return (uint32_t)size + backlen_size;
}

/* Bytes of an entry without the backlen, if its head tells, and which bits of it do; else 0. */
static inline uint32_t alike_size(unsigned head, unsigned *mask)
{
    *mask = 0xff;
    if (head < 0x80) {
        *mask = 0x80;
        return 1;
    }
    if (head < 0xc0)
        return (head & 63) + 1u;
    if (head < 0xe0) {
        *mask = 0xe0;
        return 2;
    }
    return head >= LISTPACK_INT_16 ? head_size(head) : 0;
}

/*
 * Passes over strings of one length, or integers of one width. They follow at the same distance, so that the processor
 * looks at the next ones while it waits for this one. Returns what follows; adds up how many there were.
 */
static inline uint32_t pass_alike(const unsigned char *pack, uint32_t at, uint32_t end, size_t *count)
{
    unsigned mask, head;
    uint32_t size = alike_size(pack[at], &mask), from = at;
    if (!size)
        return at;
    head = pack[at] & mask;
    while (size < end - at && (pack[at] & mask) == head && pack[at + size] == size)
        at += size + 1;
    *count += (at - from) / (size + 1);
    return at;
}

bool listpack_validate(const void *data, size_t len, listpack_visit_fn visit, void *context)
{
    const unsigned char *pack = data;
    if (len <= LISTPACK_HEADER || len >= LISTPACK_MAX_BYTES || listpack_bytes(pack) != len)
        return false;
    uint32_t end = (uint32_t)len - 1;
    size_t count = 0;
    for (uint32_t at = LISTPACK_HEADER; at < end; count++) {
        if (!visit && (at = pass_alike(pack, at, end, &count)) == end)
            break;
        uint32_t size = listpack_check(pack, at, end);
        if (size == 0 || (visit && !visit(context, listpack_get(pack, at))))
            return false;
        at += size;
    }
    unsigned stated = listpack_stated_count(pack);
    return pack[end] == LISTPACK_END && (stated == LISTPACK_COUNT_UNKNOWN || stated == count);
}
