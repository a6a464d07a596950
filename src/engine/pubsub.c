/*
 * Names with their subscribers, and sessions with their subscriptions.
 *
 *   topic  --first--> subscription --next_of_topic-->   subscription --> ...   in the order of subscribing
 *   session's subscriber --first--> subscription --next_of_session--> ...      likewise, for each kind
 *
 * A subscription is in both lists, and in one table of all subscriptions, in which a session and a topic find what
 * joins them; so no session needs a table of its own, whether it subscribes to one name or to a million. A topic lives
 * while it has subscribers, a subscriber (what a session has of all this) while it has subscriptions: 64 bytes and a
 * place in the table for each, and 112 for a session.
 *
 * Who leaves very many names at once has left them when pubsub_leave returns, but its subscriptions are taken down by a
 * chore (store/reclaim.h). Until then whoever meets one finds that it does not count.
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

enum {
    CLASS_NORMAL = 0, /* of output limits, see struct transport */
    CLASS_PUBSUB = 2,
    LEFT_AT_ONCE = 1000, /* subscriptions; more are left to the chore */
};

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
    const struct subscriber *subscriber;
    const struct topic *topic;
};

static uint64_t pair_hash(const struct pair *pair)
{
    return hash_bytes(pair, sizeof *pair);
}

static uint64_t subscription_hash(const void *item)
{
    const struct subscription *subscription = item;
    return pair_hash(&(struct pair){ subscription->subscriber, subscription->topic });
}

static bool subscription_joins(const void *item, const void *other)
{
    const struct subscription *subscription = item;
    const struct pair *pair = other;
    return subscription->subscriber == pair->subscriber && subscription->topic == pair->topic;
}

static const struct table_type topic_table_type = { .hash = topic_hash };
static const struct table_type subscription_table_type = { .hash = subscription_hash };

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

struct subscription *subscription_join(
    const struct pubsub *pubsub, const struct subscriber *subscriber, const struct topic *topic)
{
    struct pair pair = { subscriber, topic };
    uint64_t *slot = table_find(&pubsub->subscriptions, pair_hash(&pair), subscription_joins, &pair);
    return slot ? table_slot_item(slot) : NULL;
}

size_t topic_listeners(const struct pubsub *pubsub, const struct topic *topic)
{
    size_t gone = 0;
    if (topic->count < pubsub->ended_count)
        for (const struct subscription *at = topic->first; at; at = at->next_of_topic)
            gone += at->subscriber->ended;
    else
        for (const struct subscriber *ended = pubsub->ended; ended; ended = ended->next_ended)
            gone += subscription_join(pubsub, ended, topic) != NULL;
    return topic->count - gone;
}

static struct subscription *subscription_find(const struct session *session, enum pubsub_kind kind, struct bytes name)
{
    const struct topic *topic = session->subscriber ? topic_find(session->engine->pubsub, kind, name) : NULL;
    return topic ? subscription_join(session->engine->pubsub, session->subscriber, topic) : NULL;
}

static void subscriber_begin(struct session *session)
{
    session->subscriber = mem_zalloc(sizeof *session->subscriber);
    session->engine->pubsub->sessions++;
    session->transport->set_class(session->connection, CLASS_PUBSUB);
    session->transport->patient(session->connection, true);
}

/* The subscriber is not the session's any more, but the caller's. */
static void subscriber_end(struct session *session)
{
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
    struct subscriber *subscriber = session->subscriber;
    session_keeps(session, kept_bytes(topic));
    subscriber->bytes += kept_bytes(topic);
    struct subscription **last = &subscriber->kinds[topic->kind].last;
    struct subscription *subscription = mem_alloc(sizeof *subscription);
    *subscription = (struct subscription){
        .session = session,
        .subscriber = subscriber,
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
static void subscription_remove(struct pubsub *pubsub, struct subscription *subscription)
{
    publications_forget(pubsub, subscription);
    struct subscriber *subscriber = subscription->subscriber;
    struct topic *topic = subscription->topic;
    struct pair pair = { subscriber, topic };
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
    struct subscriber *subscriber = session->subscriber;
    struct subscription *subscription = subscription_find(session, kind, name);
    if (!subscription)
        return;
    size_t bytes = kept_bytes(subscription->topic);
    session_drops(session, bytes);
    subscriber->bytes -= bytes;
    subscription_remove(session->engine->pubsub, subscription);
    if (subscriber->count)
        return;
    subscriber_end(session);
    mem_free(subscriber);
}

/* Removes subscriptions, `most` of them at most. Returns how many. */
static size_t remove_some(struct pubsub *pubsub, struct subscriber *subscriber, size_t most)
{
    size_t count = 0;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        for (; count < most && subscriber->kinds[kind].first; count++)
            subscription_remove(pubsub, subscriber->kinds[kind].first);
    return count;
}

void pubsub_leave(struct session *session)
{
    struct subscriber *subscriber = session->subscriber;
    struct pubsub *pubsub = session->engine->pubsub;
    if (!subscriber)
        return;
    session_drops(session, subscriber->bytes);
    subscriber_end(session);
    if (subscriber->count <= LEFT_AT_ONCE) {
        remove_some(pubsub, subscriber, SIZE_MAX);
        mem_free(subscriber);
        return;
    }
    subscriber->ended = true;
    subscriber->next_ended = pubsub->ended;
    pubsub->ended = subscriber;
    pubsub->ended_count++;
    reclaim_chore_add(session->engine->keyspace->reclaim, &pubsub->chore, subscriber->count);
}

static void take_down(struct pubsub *pubsub, size_t most)
{
    for (struct subscriber *subscriber; (subscriber = pubsub->ended) && most;) {
        most -= remove_some(pubsub, subscriber, most);
        if (subscriber->count)
            return;
        pubsub->ended = subscriber->next_ended;
        pubsub->ended_count--;
        mem_free(subscriber);
    }
}

static void chore_step(struct reclaim_chore *chore, size_t items)
{
    struct pubsub *pubsub = (struct pubsub *)((char *)chore - offsetof(struct pubsub, chore));
    take_down(pubsub, items);
    if (!pubsub->ended)
        reclaim_chore_end(chore);
}

/* --- All of it --- */

struct pubsub *pubsub_create(void)
{
    struct pubsub *pubsub = mem_zalloc(sizeof *pubsub);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        table_init(&pubsub->kinds[kind].table, &topic_table_type);
    table_init(&pubsub->subscriptions, &subscription_table_type);
    pubsub->chore.step = chore_step;
    return pubsub;
}

void pubsub_destroy(struct pubsub *pubsub)
{
    if (!pubsub)
        return;
    take_down(pubsub, SIZE_MAX);
    reclaim_chore_end(&pubsub->chore);
    ASSERT(pubsub->sessions == 0 && table_count(&pubsub->subscriptions) == 0);
    publications_destroy(pubsub);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        table_fini(&pubsub->kinds[kind].table);
    table_fini(&pubsub->subscriptions);
    mem_free(pubsub);
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
    return topic ? topic_listeners(engine->pubsub, topic) : 0;
}

size_t pubsub_sessions(const struct engine *engine)
{
    return engine->pubsub->sessions;
}

struct visitor {
    const struct pubsub *pubsub;
    pubsub_visit_fn visit;
    void *context;
};

static void visit_slot(void *context, uint64_t *slot)
{
    const struct visitor *visitor = context;
    const struct topic *topic = table_slot_item(slot);
    if (topic_listeners(visitor->pubsub, topic))
        visitor->visit(visitor->context, topic_name(topic));
}

uint64_t pubsub_scan(
    const struct engine *engine, enum pubsub_kind kind, uint64_t cursor, pubsub_visit_fn visit, void *context)
{
    struct visitor visitor = { engine->pubsub, visit, context };
    return table_scan_once(&engine->pubsub->kinds[kind].table, cursor, visit_slot, &visitor);
}
