/*
 * Names with their subscribers, and sessions with their subscriptions.
 *
 *   topic  --first--> subscription --next_of_topic-->   subscription --> ...   in the order of subscribing
 *   session's subscriber --first--> subscription --next_of_session--> ...      likewise, for each kind
 *
 * A subscription is in both lists, and in one table of all subscriptions, in which a session and a topic find what
 * joins them; so no session needs a table of its own, whether it subscribes to one name or to a million. A topic lives
 * while it has subscribers, a subscriber (what a session has of all this) while it has subscriptions: 56 bytes and a
 * place in the table for each, and 80 for a session.
 *
 * Nothing here fails halfway: what is as large as a client chose (a name, a message) is allocated before anything
 * changes.
 */
#include "engine/pubsub.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "engine_priv.h"
#include "pubsub_priv.h"

enum { CLASS_NORMAL = 0, CLASS_PUBSUB = 2 }; /* of output limits, see struct transport */

/* --- Tables --- */

static uint64_t topic_hash(const void *item)
{
    const struct topic *topic = item;
    return topic->hash;
}

static bool topic_has_name(const void *item, const void *name)
{
    return bytes_equal(topic_name(item), *(const struct bytes *)name);
}

/* What joins two is found by both addresses, neither of which changes. */
struct pair {
    const struct session *session;
    const struct topic *topic;
};

static uint64_t pair_hash(const struct pair *pair)
{
    return hash_bytes(pair, sizeof *pair);
}

static uint64_t subscription_hash(const void *item)
{
    const struct subscription *subscription = item;
    return pair_hash(&(struct pair){ subscription->session, subscription->topic });
}

static bool subscription_joins(const void *item, const void *other)
{
    const struct subscription *subscription = item;
    const struct pair *pair = other;
    return subscription->session == pair->session && subscription->topic == pair->topic;
}

static const struct table_type topic_table_type = { .hash = topic_hash };
static const struct table_type subscription_table_type = { .hash = subscription_hash };

struct pubsub *pubsub_create(void)
{
    struct pubsub *pubsub = mem_zalloc(sizeof *pubsub);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        table_init(&pubsub->kinds[kind].table, &topic_table_type);
    table_init(&pubsub->subscriptions, &subscription_table_type);
    return pubsub;
}

void pubsub_destroy(struct pubsub *pubsub)
{
    if (!pubsub)
        return;
    ASSERT(pubsub->sessions == 0 && table_count(&pubsub->subscriptions) == 0);
    publications_destroy(pubsub);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        table_fini(&pubsub->kinds[kind].table);
    table_fini(&pubsub->subscriptions);
    mem_free(pubsub);
}

/* --- Topics --- */

struct topic *topic_find(const struct pubsub *pubsub, enum pubsub_kind kind, struct bytes name)
{
    uint64_t *slot = table_find(&pubsub->kinds[kind].table, hash_bytes(name.ptr, name.len), topic_has_name, &name);
    return slot ? table_slot_item(slot) : NULL;
}

/* NULL when memory is out. */
static struct topic *topic_add(struct pubsub *pubsub, enum pubsub_kind kind, struct bytes name)
{
    struct topic *topic = mem_try_alloc(sizeof *topic + name.len);
    if (!topic)
        return NULL;
    struct topics *topics = &pubsub->kinds[kind];
    *topic =
        (struct topic){ .hash = hash_bytes(name.ptr, name.len), .len = name.len, .kind = kind, .prev = topics->last };
    if (name.len)
        memcpy(topic->name, name.ptr, name.len);
    *(topics->last ? &topics->last->next : &topics->first) = topic;
    topics->last = topic;
    table_insert(&topics->table, topic->hash, topic);
    return topic;
}

static void topic_remove(struct pubsub *pubsub, struct topic *topic)
{
    struct topics *topics = &pubsub->kinds[topic->kind];
    struct bytes name = topic_name(topic);
    *(topic->prev ? &topic->prev->next : &topics->first) = topic->next;
    *(topic->next ? &topic->next->prev : &topics->last) = topic->prev;
    table_remove(&topics->table, topic->hash, table_find(&topics->table, topic->hash, topic_has_name, &name));
    mem_free(topic);
}

/* --- Subscriptions --- */

struct subscription *subscription_join(const struct session *session, const struct topic *topic)
{
    struct pair pair = { session, topic };
    uint64_t *slot = table_find(&session->engine->pubsub->subscriptions, pair_hash(&pair), subscription_joins, &pair);
    return slot ? table_slot_item(slot) : NULL;
}

static struct subscription *subscription_find(const struct session *session, enum pubsub_kind kind, struct bytes name)
{
    const struct topic *topic = session->subscriber ? topic_find(session->engine->pubsub, kind, name) : NULL;
    return topic ? subscription_join(session, topic) : NULL;
}

static void subscriber_begin(struct session *session)
{
    session->subscriber = mem_zalloc(sizeof *session->subscriber);
    session->engine->pubsub->sessions++;
    session->transport->set_class(session->connection, CLASS_PUBSUB);
    session->transport->patient(session->connection, true);
}

static void subscriber_end(struct session *session)
{
    mem_free(session->subscriber);
    session->subscriber = NULL;
    session->engine->pubsub->sessions--;
    session->transport->set_class(session->connection, CLASS_NORMAL);
    session->transport->patient(session->connection, session->wait != NULL);
}

static size_t kept_bytes(const struct topic *topic)
{
    return sizeof(struct subscription) + sizeof *topic + topic->len;
}

static void subscription_add(struct session *session, struct topic *topic)
{
    session_keeps(session, kept_bytes(topic));
    struct subscriber *subscriber = session->subscriber;
    struct subscription **last = &subscriber->kinds[topic->kind].last;
    struct subscription *subscription = mem_alloc(sizeof *subscription);
    *subscription = (struct subscription){
        .session = session,
        .topic = topic,
        .prev_of_topic = topic->last,
        .prev_of_session = *last,
        .heard = session->engine->pubsub->numbers,
    };
    *(topic->last ? &topic->last->next_of_topic : &topic->first) = subscription;
    topic->last = subscription;
    *(*last ? &(*last)->next_of_session : &subscriber->kinds[topic->kind].first) = subscription;
    *last = subscription;
    topic->count++;
    subscriber->kinds[topic->kind].count++;
    subscriber->count++;
    table_insert(&session->engine->pubsub->subscriptions, subscription_hash(subscription), subscription);
}

/* The topic goes with its last subscription; the subscriber stays. */
static void subscription_remove(struct subscription *subscription)
{
    publications_forget(subscription);
    session_drops(subscription->session, kept_bytes(subscription->topic));
    struct session *session = subscription->session;
    struct pubsub *pubsub = session->engine->pubsub;
    struct subscriber *subscriber = session->subscriber;
    struct topic *topic = subscription->topic;
    struct pair pair = { session, topic };
    uint64_t hash = pair_hash(&pair);
    table_remove(&pubsub->subscriptions, hash, table_find(&pubsub->subscriptions, hash, subscription_joins, &pair));
    struct subscription *prev = subscription->prev_of_topic, *next = subscription->next_of_topic;
    *(prev ? &prev->next_of_topic : &topic->first) = next;
    *(next ? &next->prev_of_topic : &topic->last) = prev;
    prev = subscription->prev_of_session;
    next = subscription->next_of_session;
    *(prev ? &prev->next_of_session : &subscriber->kinds[topic->kind].first) = next;
    *(next ? &next->prev_of_session : &subscriber->kinds[topic->kind].last) = prev;
    subscriber->kinds[topic->kind].count--;
    subscriber->count--;
    if (--topic->count == 0)
        topic_remove(pubsub, topic);
    mem_free(subscription);
}

bool pubsub_subscribe(struct session *session, enum pubsub_kind kind, struct bytes name)
{
    struct pubsub *pubsub = session->engine->pubsub;
    if (subscription_find(session, kind, name))
        return true;
    struct topic *topic = topic_find(pubsub, kind, name);
    if (!topic)
        topic = topic_add(pubsub, kind, name);
    if (!topic)
        return false;
    if (!session->subscriber)
        subscriber_begin(session);
    subscription_add(session, topic);
    return true;
}

void pubsub_unsubscribe(struct session *session, enum pubsub_kind kind, struct bytes name)
{
    struct subscription *subscription = subscription_find(session, kind, name);
    if (!subscription)
        return;
    subscription_remove(subscription);
    if (session->subscriber->count == 0)
        subscriber_end(session);
}

void pubsub_leave(struct session *session)
{
    struct subscriber *subscriber = session->subscriber;
    if (!subscriber)
        return;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        while (subscriber->kinds[kind].first)
            subscription_remove(subscriber->kinds[kind].first);
    subscriber_end(session);
}

/* --- Asking --- */

size_t pubsub_count(const struct session *session, enum pubsub_kind kind)
{
    return session->subscriber ? session->subscriber->kinds[kind].count : 0;
}

struct bytes pubsub_first(const struct session *session, enum pubsub_kind kind)
{
    return topic_name(session->subscriber->kinds[kind].first->topic);
}

void pubsub_visit(const struct session *session, enum pubsub_kind kind, pubsub_visit_fn visit, void *context)
{
    if (!session->subscriber)
        return;
    const struct subscription *subscription = session->subscriber->kinds[kind].first;
    for (; subscription; subscription = subscription->next_of_session)
        visit(context, topic_name(subscription->topic));
}

size_t pubsub_names(const struct engine *engine, enum pubsub_kind kind)
{
    return table_count(&engine->pubsub->kinds[kind].table);
}

size_t pubsub_subscribers(const struct engine *engine, enum pubsub_kind kind, struct bytes name)
{
    const struct topic *topic = topic_find(engine->pubsub, kind, name);
    return topic ? topic->count : 0;
}

size_t pubsub_sessions(const struct engine *engine)
{
    return engine->pubsub->sessions;
}

struct visitor {
    pubsub_visit_fn visit;
    void *context;
};

static void visit_slot(void *context, uint64_t *slot)
{
    const struct visitor *visitor = context;
    visitor->visit(visitor->context, topic_name(table_slot_item(slot)));
}

uint64_t pubsub_scan(
    const struct engine *engine, enum pubsub_kind kind, uint64_t cursor, pubsub_visit_fn visit, void *context)
{
    struct visitor visitor = { visit, context };
    return table_scan_once(&engine->pubsub->kinds[kind].table, cursor, visit_slot, &visitor);
}
