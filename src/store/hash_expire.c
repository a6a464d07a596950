/*
 * Fields that expire.
 */
#include "base/assert.h"
#include "hash_priv.h"

/* --- Packed --- */

/* The place in the order of expiry for `at_ms`, behind those of the same moment. */
static uint32_t place_for(const unsigned char *pack, int64_t at_ms)
{
    uint32_t end = listpack_end(pack);
    if (at_ms == EXPIRY_NONE)
        return end;
    struct hash_scratch scratch;
    struct hash_pair pair;
    for (uint32_t at = LISTPACK_HEADER, next = at; hash_pack_read(pack, HASH_LISTPACK_EX, &next, &scratch, &pair);
         at = next)
        if (pair.at_ms == EXPIRY_NONE || pair.at_ms > at_ms)
            return at;
    return end;
}

bool hash_pack_set_expiry(unsigned char **pack, uint32_t at, int64_t at_ms)
{
    struct hash_scratch scratch;
    struct hash_pair pair;
    uint32_t next = at, target = place_for(*pack, at_ms);
    hash_pack_read(*pack, HASH_LISTPACK_EX, &next, &scratch, &pair);
    uint32_t expiry_at = listpack_after(*pack, listpack_after(*pack, at));
    if (target == at || target == next)
        return listpack_replace_i64(pack, expiry_at, at_ms == EXPIRY_NONE ? 0 : at_ms);

    /* It is written once more at its new place before it goes from the old one, so that nothing is lost. */
    char digits[NUM_I64_MAX_LEN];
    size_t text_len = pair.field.len + pair.value.len;
    char *text = mem_try_alloc(text_len);
    if (!text)
        return false;
    memcpy(text, pair.field.ptr, pair.field.len);
    memcpy(text + pair.field.len, pair.value.ptr, pair.value.len);
    struct bytes texts[] = { bytes_make(text, pair.field.len), bytes_make(text + pair.field.len, pair.value.len),
        bytes_make(digits, num_format_i64(digits, at_ms == EXPIRY_NONE ? 0 : at_ms)) };
    uint32_t bytes_before = listpack_bytes(*pack);
    bool done = listpack_insert_batch(pack, target, texts, 3) != 0;
    mem_free(text);
    if (done)
        listpack_delete_range(pack, target < at ? at + listpack_bytes(*pack) - bytes_before : at, 3);
    return done;
}
