/* Looking at a key without leaving a trace in its access time. */
#pragma once

#include "engine/call.h"

#include "engine/engine.h"

/* As call_read, hit or miss counted, but the entry does not count as used. */
static inline struct entry *call_inspect(struct call *call, uint32_t index)
{
    struct keyspace *keyspace = call->keyspace;
    bool touch = keyspace->touch;
    keyspace->touch = false;
    struct entry *entry = call_read(call, index);
    keyspace->touch = touch;
    return entry;
}

/* The same without an event if the key is missing. */
static inline struct entry *call_inspect_silently(struct call *call, uint32_t index)
{
    call->keyspace->tells_misses = false;
    struct entry *entry = call_inspect(call, index);
    engine_refresh_notifications(call->engine);
    return entry;
}
