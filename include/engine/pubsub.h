/*
 * Publish and subscribe: who listens to what, and handing messages to them.
 *
 * A session subscribes to channels, to patterns that channels match, and to shard channels, which are names of their
 * own. A name exists while somebody subscribes to it. Subscribing to a name, leaving it and asking for it cost O(1)
 * each, however many names and subscribers there are. A message is encoded once per protocol version and name, and
 * appended to the output of every subscriber, outside of whatever that one's own replies are collected in; a few at a
 * time if they are many.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct engine;
struct pubsub;
struct session;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KINDS };

struct pubsub *pubsub_create(void);

/* All subscribers have left. NULL is nothing. */
void pubsub_destroy(struct pubsub *pubsub);

/*
 * The session listens to that name, if it did not already. Its connection is then patient, and has the output limits of
 * subscribers. False, with nothing changed, when memory is out.
 */
bool pubsub_subscribe(struct session *session, enum pubsub_kind kind, struct bytes name);

/* The session stops listening to that name, if it did. With the last one it is as any other. */
void pubsub_unsubscribe(struct session *session, enum pubsub_kind kind, struct bytes name);

/* It stops listening to everything. O(1) for each name; of very many, in slices after this has returned. */
void pubsub_leave(struct session *session);

/* How many names of a kind the session listens to; the first of them in the order of subscribing, which must exist,
 * borrowed until it is left. */
size_t pubsub_count(const struct session *session, enum pubsub_kind kind);
struct bytes pubsub_first(const struct session *session, enum pubsub_kind kind);

/* Visits all names of a kind that the session listens to, in the order of subscribing. It may not change them. */
typedef void (*pubsub_visit_fn)(void *context, struct bytes name);
void pubsub_visit(const struct session *session, enum pubsub_kind kind, pubsub_visit_fn visit, void *context);

/*
 * Hands a message to all who listen to the channel (PUBSUB_CHANNEL: patterns that match it included; or PUBSUB_SHARD):
 * those of the channel first, then those of each pattern in the patterns' order of age, each in the order in which they
 * subscribed. *receivers counts them, one that listens twice twice. False when memory was out for a message: then some
 * may have got it. O(receivers + patterns) for few receivers; for many, the message is handed out by pubsub_hand_out.
 */
bool pubsub_publish(
    struct engine *engine, enum pubsub_kind kind, struct bytes channel, struct bytes message, size_t *receivers);

/*
 * Hands out what was published to many, for about `budget_ns`; true while more is left. To be called once a turn of the
 * loop, before anything is sent.
 */
bool pubsub_hand_out(struct engine *engine, uint64_t budget_ns);

/*
 * Names of a kind that exist, or did until somebody left very many of them; who subscribes to one; sessions that
 * subscribe to anything. O(1).
 */
size_t pubsub_names(const struct engine *engine, enum pubsub_kind kind);
size_t pubsub_subscribers(const struct engine *engine, enum pubsub_kind kind, struct bytes name);
size_t pubsub_sessions(const struct engine *engine);

/* Visits a few of the names and returns the next cursor; 0 begins and ends. As table_scan_once promises it. */
uint64_t pubsub_scan(
    const struct engine *engine, enum pubsub_kind kind, uint64_t cursor, pubsub_visit_fn visit, void *context);
