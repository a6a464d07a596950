/*
 * Keyspace notifications: what happened to a key, published to whoever subscribed to hear of it.
 *
 * Two channels tell of one event: __keyspace@<db>__:<key> says the event's name, __keyevent@<db>__:<event> says the
 * key. Which classes of events are told is the setting notify-keyspace-events; with none, an event costs one test.
 * A handler tells of what it did after the change and before it answers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "engine/call.h"
#include "engine/engine.h"

struct db;

/* Classes of events, with their letters in notify-keyspace-events. */
enum notify_class {
    NOTIFY_KEYSPACE = 1 << 0,  /* K: the channels __keyspace@ */
    NOTIFY_KEYEVENT = 1 << 1,  /* E: the channels __keyevent@ */
    NOTIFY_GENERIC = 1 << 2,   /* g: del, expire, rename, ... */
    NOTIFY_STRING = 1 << 3,    /* $ */
    NOTIFY_LIST = 1 << 4,      /* l */
    NOTIFY_SET = 1 << 5,       /* s */
    NOTIFY_HASH = 1 << 6,      /* h */
    NOTIFY_ZSET = 1 << 7,      /* z */
    NOTIFY_EXPIRED = 1 << 8,   /* x */
    NOTIFY_EVICTED = 1 << 9,   /* e */
    NOTIFY_STREAM = 1 << 10,   /* t */
    NOTIFY_KEY_MISS = 1 << 11, /* m: somebody looked for a key that is not there; not part of A */
    NOTIFY_MODULE = 1 << 12,   /* d: events of JSON documents, which are a module's elsewhere */
    NOTIFY_NEW = 1 << 13,      /* n: a key that was not there before; not part of A */
    NOTIFY_ALL = NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH | NOTIFY_ZSET |
                 NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_STREAM | NOTIFY_MODULE, /* A */
};

/* Publishes an event of a class that is on; use engine_notify. */
void notify_publish(
    struct engine *engine, enum notify_class class, const char *event, const struct db *db, struct bytes key);

/* An event outside of a command: expiry, eviction. `event` is a literal such as "expired". O(subscribers, patterns). */
static inline void engine_notify(
    struct engine *engine, enum notify_class class, const char *event, const struct db *db, struct bytes key)
{
    if (__builtin_expect(engine->settings->notify_events & class, 0))
        notify_publish(engine, class, event, db, key);
}

/* An event of a command, about a key of the session's database. */
static inline void call_notify(const struct call *call, enum notify_class class, const char *event, struct bytes key)
{
    engine_notify(call->engine, class, event, call->db, key);
}

enum { NOTIFY_LETTERS_MAX = 32 };

/*
 * The setting as text and back: letters in any order, A for NOTIFY_ALL. Parsing answers false for a letter that does
 * not exist; printing gives the order that CONFIG GET has in Redis, which loses the n behind an A.
 */
bool notify_parse(struct bytes letters, uint32_t *classes);
void notify_print(uint32_t classes, char out[NOTIFY_LETTERS_MAX]);
