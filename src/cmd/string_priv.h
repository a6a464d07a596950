/*
 * What the families that work on strings share: a string as a reply, the limit of its length, keys looked ahead.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/fiber.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "store/string.h"
#include "words_priv.h"

enum {
    STRING_BATCH = 16,       /* keys that are looked ahead together, ... */
    STRING_BATCH_COST = 100, /* ... and what doing something with them costs, for fiber_breathe */
    STRING_LARGE = 1 << 20,  /* bytes that are not copied or filled in one go */
};

/* Answers the whole string; a large one is referenced, not copied. */
static inline void string_reply(struct call *call, const struct entry *entry)
{
    struct string_scratch scratch;
    struct blob *blob = string_blob(entry);
    if (blob)
        reply_bulk_blob(call->reply, blob, blob_bytes(blob));
    else
        reply_bulk(call->reply, string_view(entry, &scratch));
}

/* True if a string may reach from 0 to `offset` + `len`; otherwise answers that it would be too long. */
static inline bool string_may_reach(struct call *call, uint64_t offset, uint64_t len)
{
    uint64_t end;
    if (!__builtin_add_overflow(offset, len, &end) && end <= call->engine->settings->bulk_max)
        return true;
    reply_fail(call->reply, ERROR_STRING_TOO_LONG);
    return false;
}

/* string_open for large ones. */
char *string_open_large(struct call *call, struct key key, struct entry *entry, size_t len, size_t written);

/*
 * Opens an entry's string (or a missing one) for editing, or answers that memory is out; see keyspace_edit_string.
 * `written`: how many bytes the caller will write, by string_write if they may be many. NULL: the handler returns,
 * since an error was answered or it runs aside, where it comes here again.
 */
static inline char *string_open(struct call *call, struct key key, struct entry *entry, size_t len, size_t written)
{
    if (__builtin_expect(len >= STRING_LARGE, 0))
        return string_open_large(call, key, entry, len, written);
    char *at = keyspace_edit_string(call->keyspace, call->db, key, entry, len);
    if (!at)
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    return at;
}

/* Writes to a string that is open. */
static inline void string_write(char *to, struct bytes part)
{
    enum { PIECE = 64 * 1024, PIECE_COST = 1500 };
    for (; part.len > PIECE; to += PIECE, part = bytes_make(part.ptr + PIECE, part.len - PIECE)) {
        memcpy(to, part.ptr, PIECE);
        fiber_breathe(PIECE_COST);
    }
    if (part.len)
        memcpy(to, part.ptr, part.len);
}

/*
 * Stores an argument as a string, replacing whatever is there. One that was read straight into a blob is taken over: it
 * may be taken once.
 */
static inline void string_store(struct call *call, struct key key, uint32_t value_arg, int64_t at_ms)
{
    struct bytes value = call->argv[value_arg];
    struct blob *blob = value.len > ENTRY_EMBED_MAX ? call_take_blob(call, value_arg) : NULL;
    if (blob)
        keyspace_set_string_take(call->keyspace, call->db, key, blob, at_ms, call->now_ms);
    else
        keyspace_set_string(call->keyspace, call->db, key, value, at_ms, call->now_ms);
}

/* The same, with the events that it has. */
static inline void string_set(struct call *call, struct key key, uint32_t value_arg, int64_t at_ms)
{
    string_store(call, key, value_arg, at_ms);
    call_notify(call, NOTIFY_STRING, "set", key_bytes(key));
    if (is_moment(at_ms))
        call_notify(call, NOTIFY_GENERIC, "expire", key_bytes(key));
}

/* Tells of a string that was stored as a SET that depends on nothing. */
void string_propagate_set(struct call *call, struct bytes key, struct bytes value, int64_t at_ms);

/* The keys at every `step`th argument from `first`, at most STRING_BATCH, with what their look-ups will need on its way
 * to the cache. */
static inline uint32_t string_look_ahead(
    const struct call *call, uint32_t first, uint32_t step, uint32_t end, struct key *keys)
{
    uint32_t count = 0;
    for (uint32_t i = first; i < end && count < STRING_BATCH; i += step) {
        keys[count] = call_key(call, i);
        keyspace_prefetch_bucket(call->db, keys[count++].hash);
    }
    for (uint32_t i = 0; i < count; i++)
        keyspace_prefetch_entry(call->db, keys[i].hash);
    return count;
}
