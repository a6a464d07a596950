/*
 * What the tests of the engine share: an engine with four databases and a few commands of the test's own, clients
 * with a transport that only takes notes, batches of requests written as text.
 */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "resp/request.h"
#include "store/keyspace.h"
#include "store/string.h"

enum { ARGS_MAX = 64 };

/* What a row must have and these tests do not look at. */
#define ROW(n) .name = (n), .since = "1.0.0", .complexity = "O(1)", .brief = "Is tested."

/* Commands of more than one test: SHOUT channel message publishes, HUSH is what a subscriber may send. */
void fixture_run_shout(struct call *call);
void fixture_run_hush(struct call *call);

#define SHOUT_ROW                                                                          \
    {                                                                                      \
        ROW("SHOUT"), .run = fixture_run_shout, .argc = EXACTLY(3), .group = GROUP_PUBSUB, \
                      .flags = CMD_PUBSUB | CMD_MAY_REPLICATE                              \
    }
#define HUSH_ROW                                                                                                  \
    {                                                                                                             \
        ROW("HUSH"), .run = fixture_run_hush, .argc = EXACTLY(1), .group = GROUP_GENERIC, .flags = CMD_SUBSCRIBER \
    }

struct fixture {
    struct keyspace *keyspace; /* owned */
    struct engine *engine;     /* owned */
    struct engine_settings settings;
    size_t used_before;
};

struct client {
    struct session *session; /* owned */
    struct output out;
    int wakes, pauses, resumes;
    int limit_class;
    bool paused, closed, authenticated, patient;
    struct bytes *own_argv; /* owned, with their bytes: a request that may be taken over; or NULL */
    char *own_bytes;
    struct buf seen; /* of the last client_take */
};

/* An engine with those commands and four databases. */
void fixture_begin(struct fixture *fixture, const struct command *rows);

/* Takes everything down; nothing may be left. */
void fixture_end(struct fixture *fixture);

/* A client connects; and it is gone. */
void client_open(struct fixture *fixture, struct client *client);
void client_gone(struct client *client);

/* Everything that waits to be sent, taken away; line ends are spelt as one '.' to be easily read. Good until the next
 * call for this client. */
const char *client_take(struct client *client);

#define TAKES(client, expected)                                                                        \
    do {                                                                                               \
        const char *taken_ = client_take(client);                                                      \
        if (strcmp(taken_, (expected)) != 0)                                                           \
            cr_assert_fail("line %d: \"%.300s\" instead of \"%.300s\"", __LINE__, taken_, (expected)); \
    } while (0)

/* A batch under construction: requests are text, words between spaces. */
struct batch {
    struct request requests[256];
    struct bytes argv[256][ARGS_MAX];
    char *texts[256]; /* owned */
    size_t count;
};

/* Adds a request, words between single spaces. */
void batch_add(struct batch *batch, struct client *client, const char *text);

/* Executes what was added; what was not done stays in the batch, to be offered again. Returns how many were done. */
size_t batch_run(struct fixture *fixture, struct batch *batch);

/* One request on its own, which is done. */
void client_send(struct fixture *fixture, struct client *client, const char *text);

/* The same, and what it answered. */
#define ANSWERS(fixture, client, text, expected) \
    do {                                         \
        client_send(fixture, client, text);      \
        TAKES(client, expected);                 \
    } while (0)

struct command_info *command_of(const struct fixture *fixture, const char *name);
