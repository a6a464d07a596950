/*
 * What the tests of the engine share: an engine with four databases and a few commands of the test's own, clients
 * with a transport that only takes notes, batches of requests written as text.
 */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "resp/request.h"
#include "store/keyspace.h"
#include "store/string.h"

enum { ARGS_MAX = 64 };

/* What a row must have and these tests do not look at. */
#define ROW(n) .name = (n), .since = "1.0.0", .complexity = "O(1)", .brief = "Is tested."

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
    bool paused, closed, authenticated, patient;
    struct buf seen; /* of the last client_take */
};

static inline void fake_wake(void *connection)
{
    ((struct client *)connection)->wakes++;
}

static inline void fake_pause(void *connection)
{
    struct client *client = connection;
    client->pauses++;
    client->paused = true;
}

static inline void fake_resume(void *connection)
{
    struct client *client = connection;
    client->resumes++;
    client->paused = false;
}

static inline void fake_close(void *connection, bool after_output)
{
    (void)after_output;
    ((struct client *)connection)->closed = true;
}

static inline void fake_authenticated(void *connection, bool yes)
{
    ((struct client *)connection)->authenticated = yes;
}

static inline void fake_set_class(void *connection, int limit_class)
{
    (void)connection;
    (void)limit_class;
}

static inline void fake_peer(void *connection, char *out, size_t size)
{
    (void)connection;
    snprintf(out, size, "test:1");
}

static inline const struct transport *fake_transport(void)
{
    static const struct transport transport = {
        .wake = fake_wake,
        .pause = fake_pause,
        .resume = fake_resume,
        .close = fake_close,
        .authenticated = fake_authenticated,
        .set_class = fake_set_class,
        .peer = fake_peer,
    };
    return &transport;
}

static inline void fixture_begin(struct fixture *fixture, const struct command *rows)
{
    mem_thread_register();
    hash_init_seeded(0x5eed);
    clock_init();
    *fixture = (struct fixture){ .used_before = mem_used() };
    fixture->settings = (struct engine_settings){
        .slowlog_log_slower_than_us = -1,
        .slowlog_max_len = 8,
        .latency_tracking = true,
    };
    fixture->keyspace = keyspace_create(4);
    fixture->engine = engine_create(fixture->keyspace, &fixture->settings, NULL);
    command_registry_add(fixture->engine->registry, rows);
}

/* Takes everything down; nothing may be left. */
static inline void fixture_end(struct fixture *fixture)
{
    engine_destroy(fixture->engine);
    keyspace_destroy(fixture->keyspace);
    cr_assert_eq(mem_used(), fixture->used_before);
}

static inline void client_open(struct fixture *fixture, struct client *client)
{
    *client = (struct client){ 0 };
    output_init(&client->out);
    client->session = session_create(fixture->engine, &client->out, fake_transport(), client);
}

static inline void client_gone(struct client *client)
{
    session_destroy(client->session);
    output_fini(&client->out);
    buf_fini(&client->seen);
    client->session = NULL;
}

/* Everything that waits to be sent, taken away; line ends are spelt as one '.' to be easily read. Good until the next
 * call for this client. */
static inline const char *client_take(struct client *client)
{
    buf_clear(&client->seen);
    while (output_len(&client->out)) {
        struct iovec vectors[16];
        size_t len;
        int count = output_gather(&client->out, vectors, 16, &len);
        for (int i = 0; i < count; i++)
            for (size_t j = 0; j < vectors[i].iov_len; j++) {
                char c = ((const char *)vectors[i].iov_base)[j];
                if (c != '\r')
                    buf_append_char(&client->seen, (char)(c == '\n' ? '.' : c));
            }
        output_consume(&client->out, len);
    }
    return buf_cstr(&client->seen);
}

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

static inline void batch_add(struct batch *batch, struct client *client, const char *text)
{
    size_t at = batch->count++;
    char *copy = batch->texts[at] = mem_strdup(text);
    uint32_t argc = 0;
    for (char *word; (word = strsep(&copy, " "));)
        batch->argv[at][argc++] = bytes_from_cstr(word);
    batch->requests[at] = (struct request){ .owner = client->session, .argv = batch->argv[at], .argc = argc };
}

/* Executes what was added; what was not done stays in the batch, to be offered again. Returns how many were done. */
static inline size_t batch_run(struct fixture *fixture, struct batch *batch)
{
    engine_execute(fixture->engine, batch->requests, batch->count);
    size_t kept = 0, count = batch->count;
    for (size_t i = 0; i < count; i++) {
        if (batch->requests[i].done) {
            mem_free(batch->texts[i]);
            continue;
        }
        memcpy(batch->argv[kept], batch->argv[i], sizeof batch->argv[i]);
        batch->requests[kept] = batch->requests[i];
        batch->requests[kept].argv = batch->argv[kept];
        batch->texts[kept++] = batch->texts[i];
    }
    batch->count = kept;
    return count - kept;
}

/* One request on its own, which is done. */
static inline void client_send(struct fixture *fixture, struct client *client, const char *text)
{
    static struct batch batch;
    batch.count = 0;
    batch_add(&batch, client, text);
    cr_assert_eq(batch_run(fixture, &batch), 1);
}

/* The same, and what it answered. */
#define ANSWERS(fixture, client, text, expected) \
    do {                                         \
        client_send(fixture, client, text);      \
        TAKES(client, expected);                 \
    } while (0)

static inline struct command_info *command_of(const struct fixture *fixture, const char *name)
{
    return command_find(fixture->engine->registry, bytes_from_cstr(name));
}
