/*
 * Tracking: what clients keep in caches of their own, and telling them when it is no longer true.
 *
 * By default the server remembers which keys a client has read, and tells it once when one of them changes, expires or
 * is evicted. In broadcasting mode it remembers nothing, and tells of every change of a key that begins with one of the
 * client's prefixes; such news are gathered and sent once a turn of the loop. Messages go to the client itself (RESP3)
 * or to another one that it names (REDIRECT).
 *
 * A key is remembered whatever its database. What a client read stays remembered after it has left, until the key
 * changes or the table is full: then the oldest keys are told of as if they had changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct call;
struct engine;
struct session;

enum tracking_flag {
    TRACKING_BROADCAST = 1 << 0,
    TRACKING_OPT_IN = 1 << 1,  /* only what is read after CLIENT CACHING YES */
    TRACKING_OPT_OUT = 1 << 2, /* all but what is read after CLIENT CACHING NO */
    TRACKING_NO_LOOP = 1 << 3, /* not what it changes itself */
    TRACKING_BROKEN = 1 << 4,  /* the client that messages go to has left */
    TRACKING_CACHING = 1 << 5, /* CLIENT CACHING was called, with what fits the mode; holds for one command */
};

/*
 * Switches tracking on, or changes how it is done. `redirect` is the ID of the client that messages go to, 0 for
 * itself; `prefixes` are added to those that the client has (none at all: everything), and overlap with none of them.
 */
void tracking_begin(
    struct session *session, uint32_t flags, uint64_t redirect, const struct bytes *prefixes, size_t count);

/* Switches it off; nothing if it is off. */
void tracking_end(struct session *session);

/* Of a session that tracks: its flags, where messages go, its prefixes ("" stands for everything). */
uint32_t tracking_flags(const struct session *session);
uint64_t tracking_redirect(const struct session *session);
size_t tracking_prefixes(const struct session *session);
struct bytes tracking_prefix(const struct session *session, size_t index);

/* CLIENT CACHING, of a session that tracks: holds for the next command that is not CLIENT, or the next transaction. */
void tracking_set_caching(struct call *call);

/* How many keys are remembered at most; those above are told of soon. 0: as many as there are. */
void tracking_limit(struct engine *engine, size_t max_keys);

/*
 * Takes down some of what a flush forgot or the limit has no room for, at most `keys` of them. False if nothing is left
 * to do.
 */
bool tracking_step(struct engine *engine, size_t keys);

/*
 * Goes on telling what concerns very many clients (a key that they have read or broadcast, a flush), for about
 * `budget_ns`; true while more is left. To be called once a turn of the loop, before anything is sent and behind
 * tracking_broadcast. What a client sees is as if all had been told at once: whoever is answered or sent anything else
 * is told first.
 */
bool tracking_hand_out(struct engine *engine, uint64_t budget_ns);

/* Sends what was gathered for broadcasting. To be called before anything is sent, once a turn. */
void tracking_broadcast(struct engine *engine);

struct tracking_stats {
    size_t clients;  /* that track */
    size_t keys;     /* remembered */
    size_t items;    /* pairs of key and client */
    size_t prefixes; /* different ones */
};
void tracking_stats_read(const struct engine *engine, struct tracking_stats *stats);
