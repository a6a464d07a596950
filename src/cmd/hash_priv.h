/*
 * What the families that work on hashes share: look-ups that check the type, a writer of a call's key.
 */
#pragma once

#include <stdbool.h>

#include "engine/call.h"
#include "store/hash.h"
#include "words_priv.h"

/* Finds the hash at argument 1 for reading, NULL if there is none; false if that answered an error. */
static inline bool hash_call_read(struct call *call, const struct entry **entry)
{
    *entry = call_read(call, 1);
    return call_expect_type(call, *entry, ENTRY_HASH);
}

/* Opens the hash at argument 1, or a missing key, for writing; false if that answered an error. */
static inline bool hash_call_begin(struct call *call, struct hash_writer *writer)
{
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    if (!call_expect_type(call, entry, ENTRY_HASH))
        return false;
    hash_begin(writer, call->keyspace, call->db, key, entry, call->now_ms);
    return true;
}

/*
 * The same as hash_call_read for a command that asks for the fields from argument 2 to before `end`. Where expired
 * fields stay until somebody does that, which is so only for tests, they are removed.
 */
static inline bool hash_call_read_fields(struct call *call, uint32_t end, const struct entry **entry)
{
    if (!hash_call_read(call, entry))
        return false;
    if (__builtin_expect(!call->keyspace->keeps_parts, 1) || !*entry)
        return true;
    struct hash_writer writer;
    struct hash_place place;
    hash_call_begin(call, &writer);
    for (uint32_t i = 2; i < end && writer.value; i++)
        hash_find(&writer, call->argv[i], &place);
    hash_end(&writer);
    *entry = keyspace_glance(call->db, call_key(call, 1));
    return true;
}

/* The moment by which fields have expired, for what Redis does without asking for it. */
static inline int64_t hash_call_now(const struct call *call)
{
    return call->keyspace->keeps_parts ? INT64_MIN : call->now_ms;
}

/* Ends a writer; answers an error, and returns false, if not all was done for want of memory. */
static inline bool hash_call_end(struct call *call, struct hash_writer *writer, bool done)
{
    hash_end(writer);
    if (!done)
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    return done;
}

/* Tells what was done to the hash at argument 1, after the writer's end. */
static inline void hash_notify(const struct call *call, const char *event)
{
    call_notify(call, NOTIFY_HASH, event, call->argv[1]);
}

/* The same of fields that were removed: if none is left, the key is gone. */
static inline void hash_notify_removal(const struct call *call, const char *event)
{
    hash_notify(call, event);
    if (call->engine->settings->notify_events & NOTIFY_GENERIC && !keyspace_glance(call->db, call_key(call, 1)))
        call_notify(call, NOTIFY_GENERIC, "del", call->argv[1]);
}

/* What becomes of dirty: a writer counts one change, however many fields it changed. */
static inline void hash_call_dirty(struct call *call, size_t changes)
{
    if (changes > 1)
        call->keyspace->stats.dirty += changes - 1;
}
