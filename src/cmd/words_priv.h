/*
 * What the families share of telling what they did: words for those who will execute it again (engine/propagate.h), and
 * the event of a key that is gone (engine/notify.h).
 *
 * Moments are told as ms since 1970, whatever the client gave. What a newer command did is told in the words of older
 * ones where these can say it, so that a log stays good for servers that do not know it.
 */
#pragma once

#include "base/num.h"
#include "engine/call.h"
#include "engine/notify.h"
#include "engine/propagate.h"

/* A number as a word, good until the handler returns. */
static inline struct bytes call_number(struct call *call, int64_t number)
{
    char *digits = arena_alloc(call->arena, NUM_I64_MAX_LEN);
    return bytes_make(digits, num_format_i64(digits, number));
}

/* True if an expiry is a moment, neither EXPIRY_NONE nor EXPIRY_KEEP. */
static inline bool is_moment(int64_t at_ms)
{
    return at_ms > EXPIRY_KEEP;
}

/* Removes a key that is there, and says so. */
static inline void call_remove(struct call *call, struct key key)
{
    keyspace_remove(call->keyspace, call->db, key);
    call_notify(call, NOTIFY_GENERIC, "del", key_bytes(key));
}
