/*
 * Payload: what DUMP answers, in pieces that the reply, or whoever sends them elsewhere, refers to: nothing large is
 * moved or copied as a whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "persist/sink.h"
#include "store/keyspace.h"

struct blob;
struct reply;

struct payload {
    struct sink sink;     /* for rdb_dump_to */
    struct blob **pieces; /* owned references */
    size_t count, room;
};

/* An empty one for a value of so many items (payload_items). */
void payload_init(struct payload *payload, size_t items);
void payload_fini(struct payload *payload);

/* Answers the whole as one bulk string. */
void payload_reply(struct reply *reply, const struct payload *payload);

/* How much work it is to write the value, in items of a collection; for call_aside. O(1). */
size_t payload_items(const struct entry *entry, int64_t now_ms);
