/*
 * Publishing: a message is encoded once for each protocol and name, and handed to every subscriber.
 *
 * A few subscribers get it at once. To append it to the outputs of ten thousand takes some 30 ms, so a message to many
 * becomes a publication: the encoded message, and the place in the topic's list of subscriptions up to which it was
 * handed out. Publications are a queue, worked off in slices; while there are any, every message goes through it. So
 * each subscriber hears messages in the order in which they were published.
 *
 * A subscriber that asks for something meanwhile is first given what it has not heard, wherever the slices are: what is
 * published before it leaves a topic reaches it, and before the confirmation. Its subscription notes the number of the
 * last message that it heard, so that none comes twice; one that begins later has heard everything.
 *
 * The queue is bounded: publishers wait while it is long. Who cannot wait (a transaction, an event of the keyspace)
 * hands out the oldest publication to its end once it is very long.
 */
#include <string.h>

#include "base/blob.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/num.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "engine_priv.h"
#include "pubsub_priv.h"

enum {
    AT_ONCE = 256,       /* subscribers that get their messages at once, a turn */
    STEP_RECEIVERS = 32, /* between two looks at the clock */
    LONG_QUEUE = 64,
    LONG_QUEUE_BYTES = 16 << 20, /* publishers wait above these */
    LONGEST_QUEUE = 4096,
    LONGEST_QUEUE_BYTES = 256 << 20, /* nothing is added above these */
};

/* A message and its parts: "message", channel, payload; or "pmessage", pattern, channel, payload. */
struct message {
    struct bytes parts[4];
    int count;
    struct blob *encoded[2]; /* owned: for RESP2 and RESP3, as soon as somebody needs it */
    bool failed;             /* memory was out */
};

static void append(struct blob *blob, struct bytes content)
{
    if (content.len)
        memcpy(&blob->data[blob->len], content.ptr, content.len);
    blob->len += content.len;
}

static struct blob *encode(const struct message *message, uint8_t proto)
{
    size_t size = 4; /* ">3\r\n" */
    for (int i = 0; i < message->count; i++)
        size += 1 + NUM_I64_MAX_LEN + 2 + message->parts[i].len + 2;
    struct blob *blob = blob_try_create(size);
    if (!blob)
        return NULL;
    char head[4] = { proto == 3 ? '>' : '*', (char)('0' + message->count), '\r', '\n' };
    append(blob, bytes_make(head, sizeof head));
    for (int i = 0; i < message->count; i++) {
        char digits[NUM_I64_MAX_LEN];
        append(blob, BYTES("$"));
        append(blob, bytes_make(digits, num_format_u64(digits, message->parts[i].len)));
        append(blob, BYTES("\r\n"));
        append(blob, message->parts[i]);
        append(blob, BYTES("\r\n"));
    }
    return blob;
}

static void drop_encoded(struct blob *encoded[2])
{
    blob_unref(encoded[0]);
    blob_unref(encoded[1]);
}

static void hand(struct session *session, struct output *out, struct blob *blob)
{
    if (__builtin_expect(session->engine->is_telling, 0))
        trackers_catch_up(session);
    output_append_blob(out, blob, blob_bytes(blob));
    session->transport->wake(session->connection);
}

/* Hands the message to all who subscribe to the topic. */
static void deliver(const struct pubsub *pubsub, const struct topic *topic, struct message *message)
{
    for (const struct subscription *at = topic->first; at; at = at->next_of_topic) {
        struct session *session = at->session;
        if (at->next_of_topic)
            __builtin_prefetch(at->next_of_topic->session);
        if (!subscription_counts(pubsub, at))
            continue;
        struct blob **encoded = &message->encoded[session->reply.proto == 3];
        if (!*encoded)
            *encoded = encode(message, session->reply.proto);
        if (!*encoded) {
            message->failed = true;
            break;
        }
        hand(session, session_push(session), *encoded);
    }
    drop_encoded(message->encoded);
}

/* --- The queue --- */

static size_t publication_bytes(const struct publication *publication)
{
    return blob_bytes(publication->encoded[0]).len + blob_bytes(publication->encoded[1]).len;
}

static void pop(struct pubsub *pubsub)
{
    struct publication *publication = pubsub->first;
    pubsub->first = publication->next;
    if (!pubsub->first)
        pubsub->last = NULL;
    pubsub->publications--;
    pubsub->waiting_bytes -= publication_bytes(publication);
    drop_encoded(publication->encoded);
    mem_free(publication);
}

/* Hands the oldest publication to some more, at most `count`. */
static void advance(struct pubsub *pubsub, size_t count)
{
    struct publication *publication = pubsub->first;
    struct subscription *at = publication->next_to_hear;
    for (; at && count; at = at->next_of_topic, count--) {
        if (at->next_of_topic)
            __builtin_prefetch(at->next_of_topic->session);
        if (at->heard >= publication->number || !subscription_counts(pubsub, at))
            continue;
        at->heard = publication->number;
        hand(at->session, session_push(at->session), publication->encoded[at->session->reply.proto == 3]);
    }
    publication->next_to_hear = at;
    if (!at)
        pop(pubsub);
}

static void enqueue(struct pubsub *pubsub, struct topic *topic, struct message *message)
{
    while (pubsub->publications >= LONGEST_QUEUE || pubsub->waiting_bytes >= LONGEST_QUEUE_BYTES)
        advance(pubsub, SIZE_MAX);
    for (int i = 0; i < 2; i++)
        if (!message->failed)
            message->failed = !(message->encoded[i] = encode(message, i ? 3 : 2));
    if (message->failed) {
        drop_encoded(message->encoded);
        return;
    }
    struct publication *publication = mem_alloc(sizeof *publication);
    *publication = (struct publication){
        .topic = topic,
        .next_to_hear = topic->first,
        .number = ++pubsub->numbers,
        .encoded = { message->encoded[0], message->encoded[1] },
    };
    *(pubsub->last ? &pubsub->last->next : &pubsub->first) = publication;
    pubsub->last = publication;
    pubsub->publications++;
    pubsub->waiting_bytes += publication_bytes(publication);
}

void publications_forget(struct pubsub *pubsub, struct subscription *subscription)
{
    const struct topic *topic = subscription->topic;
    for (struct publication *at = pubsub->first; at; at = at->next) {
        if (at->next_to_hear == subscription)
            at->next_to_hear = subscription->next_of_topic;
        if (at->topic == topic && topic->count == 1)
            at->topic = NULL;
    }
}

void publications_destroy(struct pubsub *pubsub)
{
    while (pubsub->first)
        pop(pubsub);
    mem_free(pubsub->publishers);
}

/* --- Publishing --- */

static void publish(struct pubsub *pubsub, struct topic *topic, struct message *message)
{
    if (pubsub->first || topic->count > AT_ONCE || pubsub->handed_out + topic->count > AT_ONCE) {
        enqueue(pubsub, topic, message);
    } else {
        pubsub->handed_out += topic->count;
        deliver(pubsub, topic, message);
    }
}

bool pubsub_publish(
    struct engine *engine, enum pubsub_kind kind, struct bytes channel, struct bytes payload, size_t *receivers)
{
    struct pubsub *pubsub = engine->pubsub;
    size_t count = 0;
    bool failed = false;
    struct topic *topic = topic_find(pubsub, kind, channel);
    if (topic) {
        struct bytes word = kind == PUBSUB_SHARD ? BYTES("smessage") : BYTES("message");
        struct message message = { .parts = { word, channel, payload }, .count = 3 };
        count += topic_listeners(pubsub, topic);
        publish(pubsub, topic, &message);
        failed |= message.failed;
    }
    struct topic *pattern = kind == PUBSUB_CHANNEL ? pubsub->kinds[PUBSUB_PATTERN].first : NULL;
    for (; pattern && !failed; pattern = pattern->next) {
        if (!glob_match(topic_name(pattern), channel))
            continue;
        struct message message = { .parts = { BYTES("pmessage"), topic_name(pattern), channel, payload }, .count = 4 };
        count += topic_listeners(pubsub, pattern);
        publish(pubsub, pattern, &message);
        failed |= message.failed;
    }
    if (!failed)
        *receivers = count;
    return !failed;
}

/* --- Slices --- */

bool pubsub_is_behind(const struct engine *engine)
{
    return engine->pubsub->publications >= LONG_QUEUE || engine->pubsub->waiting_bytes >= LONG_QUEUE_BYTES;
}

void pubsub_postpone(struct session *session)
{
    struct pubsub *pubsub = session->engine->pubsub;
    if (pubsub->publisher_count == pubsub->publisher_room) {
        pubsub->publisher_room = pubsub->publisher_room ? pubsub->publisher_room * 2 : 16;
        pubsub->publishers = mem_realloc(pubsub->publishers, pubsub->publisher_room * sizeof *pubsub->publishers);
    }
    pubsub->publishers[pubsub->publisher_count++] = session->id;
    session->flags |= SESSION_PUBLISHES;
    session->transport->pause(session->connection);
}

static void resume_publishers(struct engine *engine)
{
    struct pubsub *pubsub = engine->pubsub;
    size_t count = pubsub->publisher_count;
    pubsub->publisher_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct session *session = session_find(engine, pubsub->publishers[i]);
        if (session && session->flags & SESSION_PUBLISHES)
            session_resume(session, SESSION_PUBLISHES);
    }
}

bool pubsub_hand_out(struct engine *engine, uint64_t budget_ns)
{
    struct pubsub *pubsub = engine->pubsub;
    pubsub->handed_out = 0;
    if (!pubsub->first)
        return false;
    uint64_t end_ns = clock_mono_ns() + budget_ns;
    do
        advance(pubsub, STEP_RECEIVERS);
    while (pubsub->first && clock_mono_ns() < end_ns);
    if (pubsub->publisher_count && !pubsub_is_behind(engine))
        resume_publishers(engine);
    return pubsub->first;
}

void publications_catch_up(struct session *session)
{
    const struct pubsub *pubsub = session->engine->pubsub;
    for (struct publication *at = pubsub->first; at; at = at->next) {
        struct subscription *subscription =
            at->topic ? subscription_join(pubsub, session->subscriber, at->topic) : NULL;
        if (!subscription || subscription->heard >= at->number)
            continue;
        subscription->heard = at->number;
        hand(session, session_outlet(session), at->encoded[session->reply.proto == 3]);
    }
}
