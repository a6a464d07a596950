/*
 * A net with a receiver that understands a few words, and clients on loopback, all in one thread: a test steps the loop
 * itself (net_turn), so that what happens in which turn is its choice.
 *
 *   PING            +PONG
 *   ECHO x          x
 *   SUM x...        an integer that depends on all arguments and their bounds; takes them over if it can, now and then
 *   TAKE x          takes the blob if x is one; its length
 *   GIVE n          n bytes, referenced from a blob
 *   FILL n          n bytes, copied
 *   AUTH            +OK, and no more unauthenticated limits
 *   BLOCK           pauses; answered (+WOKEN) by world_wake
 *   LATER           pauses without being done; executed when offered again
 *   REFUSE          is not done the first time, without a pause
 *   CLOSE, QUIT     closes at once; after +OK
 *   CLOSEALL        closes every other client
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "net/connection.h"
#include "net/net.h"
#include "resp/reply.h"

enum { WORLD_OWNERS_MAX = 4096 };

struct owner {
    struct connection *connection;
    struct reply reply;
    size_t index;
    bool blocked, refused, closing;
};

struct world {
    struct net *net;
    struct net_settings settings;
    struct owner *owners[WORLD_OWNERS_MAX]; /* in the order of connecting; NULL once closed */
    size_t owner_count, open_count, closed_count;
    size_t executed, batches, batch_max, blobs_seen, taken;
    size_t sent_when_one_left; /* bytes of output, to all, when a connection was last closed */
    struct owner *goes_with;   /* whose connection is closed after its output when another's client has left */
    bool drop_new;             /* refuse new connections with an error */
    bool unauthenticated;
};

void world_init(struct world *world);
void world_fini(struct world *world);

/* Goes on with a client that BLOCK or LATER paused. */
void world_wake(struct owner *owner);

struct client {
    int fd;
    struct buf to_send, got;
    size_t sent;
    bool eof, shut;
};

/* Connects to the world's port and waits until it was accepted. */
void client_init(struct client *client, struct world *world);
void client_fini(struct client *client);

void client_queue(struct client *client, struct bytes bytes);

/* Sends at most `max` of what is queued, and receives what is there. */
void client_step(struct client *client, size_t max);

/* Queues, and turns the loop until exactly `expected` was received; fails the test after a while. */
void client_expect(struct client *client, struct world *world, const char *request, const char *expected);

/* Turns the loop until `len` bytes were received in all, or the connection's end. */
void client_await(struct client *client, struct world *world, size_t len);
void client_await_eof(struct client *client, struct world *world);

/* A few turns: whatever was to happen has happened. */
void world_settle(struct world *world);

/* What SUM answers. */
uint64_t sum_of(const struct bytes *args, size_t count);

/* Appends a multibulk request. */
void request_append(struct buf *buf, const struct bytes *args, size_t count);
