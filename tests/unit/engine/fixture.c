/*
 * The fixture of the engine's tests; see fixture.h.
 */
#include "fixture.h"

#include <openssl/sha.h>
#include <sys/uio.h>

#include "engine/pubsub.h"

static void fake_wake(void *connection)
{
    ((struct client *)connection)->wakes++;
}

static void fake_pause(void *connection)
{
    struct client *client = connection;
    client->pauses++;
    client->paused = true;
}

static void fake_resume(void *connection)
{
    struct client *client = connection;
    client->resumes++;
    client->paused = false;
}

static void fake_close(void *connection, bool after_output)
{
    (void)after_output;
    ((struct client *)connection)->closed = true;
}

static void fake_authenticated(void *connection, bool yes)
{
    ((struct client *)connection)->authenticated = yes;
}

static void fake_set_class(void *connection, int limit_class)
{
    ((struct client *)connection)->limit_class = limit_class;
}

static void fake_patient(void *connection, bool yes)
{
    ((struct client *)connection)->patient = yes;
}

static bool fake_take_request(void *connection, const struct bytes *argv, struct bytes **own_argv, char **own_bytes)
{
    struct client *client = connection;
    if (!client->own_argv || client->own_argv != argv)
        return false;
    *own_argv = client->own_argv;
    *own_bytes = client->own_bytes;
    client->own_argv = NULL;
    client->own_bytes = NULL;
    return true;
}

static void fake_peer(void *connection, char *out, size_t size)
{
    (void)connection;
    snprintf(out, size, "test:1");
}

static const struct transport *fake_transport(void)
{
    static const struct transport transport = {
        .wake = fake_wake,
        .pause = fake_pause,
        .resume = fake_resume,
        .close = fake_close,
        .authenticated = fake_authenticated,
        .set_class = fake_set_class,
        .patient = fake_patient,
        .peer = fake_peer,
        .take_request = fake_take_request,
    };
    return &transport;
}

void fixture_begin(struct fixture *fixture, const struct command *rows)
{
    mem_thread_register();
    hash_init_seeded(0x5eed);
    clock_init();
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)"", 0, digest); /* the library allocates once, and keeps it */
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

void fixture_end(struct fixture *fixture)
{
    engine_destroy(fixture->engine);
    keyspace_destroy(fixture->keyspace);
    cr_assert_eq(mem_used(), fixture->used_before);
}

void client_open(struct fixture *fixture, struct client *client)
{
    *client = (struct client){ 0 };
    output_init(&client->out);
    client->session = session_create(fixture->engine, &client->out, fake_transport(), client);
}

void client_gone(struct client *client)
{
    session_destroy(client->session);
    output_fini(&client->out);
    buf_fini(&client->seen);
    mem_free(client->own_argv);
    mem_free(client->own_bytes);
    client->session = NULL;
}

const char *client_take(struct client *client)
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

void batch_add(struct batch *batch, struct client *client, const char *text)
{
    size_t at = batch->count++;
    char *copy = batch->texts[at] = mem_strdup(text);
    uint32_t argc = 0;
    for (char *word; (word = strsep(&copy, " "));)
        batch->argv[at][argc++] = bytes_from_cstr(word);
    batch->requests[at] = (struct request){ .owner = client->session, .argv = batch->argv[at], .argc = argc };
}

size_t batch_run(struct fixture *fixture, struct batch *batch)
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

void client_send(struct fixture *fixture, struct client *client, const char *text)
{
    static struct batch batch;
    batch.count = 0;
    batch_add(&batch, client, text);
    cr_assert_eq(batch_run(fixture, &batch), 1);
}

struct command_info *command_of(const struct fixture *fixture, const char *name)
{
    return command_find(fixture->engine->registry, bytes_from_cstr(name));
}

void fixture_run_shout(struct call *call)
{
    size_t receivers;
    cr_assert(pubsub_publish(call->engine, PUBSUB_CHANNEL, call->argv[1], call->argv[2], &receivers));
    reply_int(call->reply, (int64_t)receivers);
}

void fixture_run_hush(struct call *call)
{
    reply_ok(call->reply);
}
