/*
 * What subscribing (pubsub.c) and publishing (publish.c) share: topics, who subscribes to them, and the messages that
 * are being handed out.
 */
#pragma once

#include "ds/table.h"
#include "engine/pubsub.h"
#include "store/reclaim.h"

struct blob;

struct topic {
    struct subscription *first, *last; /* owned list by next_of_topic */
    struct topic *prev, *next;         /* all of the kind, in order of age */
    uint64_t hash;
    size_t count; /* of subscriptions */
    size_t len;
    enum pubsub_kind kind;
    char name[];
};

static inline struct bytes topic_name(const struct topic *topic)
{
    return bytes_make(topic->name, topic->len);
}

struct subscription {
    struct session *session;       /* borrowed; gone, perhaps, if ... */
    struct subscriber *subscriber; /* borrowed: ... this listens no more (subscription_counts) */
    struct topic *topic;
    struct subscription *prev_of_topic, *next_of_topic;
    struct subscription *prev_of_session, *next_of_session;
    uint64_t heard; /* number of the last message that it has, or that was there before it */
};

struct subscriber {
    struct {
        struct subscription *first, *last; /* by next_of_session */
        size_t count;
    } kinds[PUBSUB_KINDS];
    size_t count; /* of all kinds */
    size_t bytes; /* that are kept for it */
    bool ended;   /* its session has left everything, and it waits to be taken down */
    struct subscriber *next_ended;
};

struct topics {
    struct table table;
    struct topic *first, *last; /* owned list */
};

/* A message that not all subscribers of the topic have yet. */
struct publication {
    struct publication *next;          /* owned */
    struct topic *topic;               /* borrowed; NULL once all have left it */
    struct subscription *next_to_hear; /* borrowed; NULL: all have it */
    uint64_t number;
    struct blob *encoded[2]; /* owned: for RESP2 and RESP3 */
};

struct pubsub {
    struct topics kinds[PUBSUB_KINDS];
    struct table subscriptions;
    size_t sessions;
    struct subscriber *ended; /* owned list: those that are being taken down */
    size_t ended_count;
    struct reclaim_chore chore;       /* takes them down */
    struct publication *first, *last; /* owned list, in the order of publishing */
    size_t publications, waiting_bytes;
    uint64_t numbers;     /* given to publications so far */
    size_t handed_out;    /* to this many at once, since pubsub_hand_out was called */
    uint64_t *publishers; /* owned: IDs of sessions that wait for the list to become shorter */
    size_t publisher_count, publisher_room;
};

/* NULL if nobody subscribes to the name; if the subscriber does not listen to the topic. O(1). */
struct topic *topic_find(const struct pubsub *pubsub, enum pubsub_kind kind, struct bytes name);
struct subscription *subscription_join(
    const struct pubsub *pubsub, const struct subscriber *subscriber, const struct topic *topic);

/* How many listen to the topic. O(1); while some are being taken down, O(the fewer of these and its subscriptions). */
size_t topic_listeners(const struct pubsub *pubsub, const struct topic *topic);

/* False if it is one of those that are being taken down. */
static inline bool subscription_counts(const struct pubsub *pubsub, const struct subscription *subscription)
{
    return __builtin_expect(!pubsub->ended, 1) || !subscription->subscriber->ended;
}

/* The subscription, and with the last one its topic, is about to go. */
void publications_forget(struct pubsub *pubsub, struct subscription *subscription);

/* Drops all publications. */
void publications_destroy(struct pubsub *pubsub);
