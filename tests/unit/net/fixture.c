#include "fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/num.h"

enum { PATIENCE_TURNS = 20000 };

uint64_t sum_of(const struct bytes *args, size_t count)
{
    uint64_t sum = count;
    for (size_t i = 0; i < count; i++) {
        sum = crc64(sum, &args[i].len, sizeof(args[i].len));
        sum = crc64(sum, args[i].ptr, args[i].len);
    }
    return sum >> 1;
}

void request_append(struct buf *buf, const struct bytes *args, size_t count)
{
    buf_printf(buf, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        buf_printf(buf, "$%zu\r\n", args[i].len);
        buf_append(buf, args[i]);
        buf_append(buf, BYTES("\r\n"));
    }
}

static void answer_bytes(struct owner *owner, struct bytes count, bool by_reference)
{
    int64_t len = 0;
    cr_assert(num_parse_i64(count, &len));
    struct blob *blob = blob_create((size_t)len);
    memset(blob->data, 'x', (size_t)len);
    blob->len = (size_t)len;
    if (by_reference)
        reply_bulk_blob(&owner->reply, blob, blob_bytes(blob));
    else
        reply_bulk(&owner->reply, blob_bytes(blob));
    blob_unref(blob);
}

static void pause_owner(struct owner *owner)
{
    owner->blocked = true;
    connection_pause(owner->connection);
}

static void close_others(struct world *world, const struct owner *owner)
{
    for (size_t i = 0; i < world->owner_count; i++) {
        struct owner *other = world->owners[i];
        if (other == NULL || other == owner)
            continue;
        other->closing = true;
        connection_close(other->connection);
    }
}

static void take(struct world *world, struct request *request, struct reply *reply)
{
    cr_assert_eq(request->argc, 2);
    size_t len = request->argv[1].len;
    if (request->blob_count == 1) {
        cr_assert_eq(request->blobs[0].index, 1);
        struct blob *blob = request->blobs[0].blob;
        request->blobs[0].blob = NULL;
        cr_assert_eq(blob->len, len);
        cr_assert_eq(blob->data, request->argv[1].ptr);
        blob_unref(blob);
        world->blobs_seen++;
    }
    reply_int(reply, (int64_t)len);
}

/* True if the request is done. */
static bool run_pausing(struct owner *owner, struct bytes name)
{
    if (bytes_is(name, "BLOCK")) {
        pause_owner(owner);
        return true;
    }
    if (!owner->refused) {
        owner->refused = true;
        if (bytes_is(name, "LATER"))
            pause_owner(owner);
        return false;
    }
    owner->refused = false;
    reply_status(&owner->reply, name);
    return true;
}

/* Of an even number of arguments, those that can be are taken over first. */
static void sum(struct world *world, struct owner *owner, const struct request *request)
{
    struct bytes *own = NULL;
    char *bytes = NULL;
    bool taken = request->argc % 2 == 0 && connection_take_request(owner->connection, request->argv, &own, &bytes);
    cr_assert(!taken || own == request->argv);
    world->taken += taken;
    reply_int(&owner->reply, (int64_t)sum_of(request->argv, request->argc));
    if (taken)
        memset(own, 0xff, request->argc * sizeof(*own)); /* nobody else looks at it any more */
    mem_free(own);
    mem_free(bytes);
}

static bool run(struct world *world, struct owner *owner, struct request *request)
{
    struct bytes name = request->argv[0];
    struct reply *reply = &owner->reply;
    if (bytes_is(name, "PING")) {
        reply_status(reply, BYTES("PONG"));
    } else if (bytes_is(name, "ECHO")) {
        reply_bulk(reply, request->argv[1]);
    } else if (bytes_is(name, "SUM")) {
        sum(world, owner, request);
    } else if (bytes_is(name, "TAKE")) {
        take(world, request, reply);
    } else if (bytes_is(name, "GIVE") || bytes_is(name, "FILL")) {
        answer_bytes(owner, request->argv[1], bytes_is(name, "GIVE"));
    } else if (bytes_is(name, "AUTH")) {
        connection_set_authenticated(owner->connection, true);
        reply_ok(reply);
    } else if (bytes_is(name, "CLOSE")) {
        owner->closing = true;
        connection_close(owner->connection);
    } else if (bytes_is(name, "QUIT")) {
        reply_ok(reply);
        owner->closing = true;
        connection_close_after_output(owner->connection);
    } else if (bytes_is(name, "CLOSEALL")) {
        close_others(world, owner);
        reply_ok(reply);
    } else {
        return run_pausing(owner, name);
    }
    return true;
}

static void execute(void *context, struct request *requests, size_t count)
{
    struct world *world = context;
    world->batches++;
    if (count > world->batch_max)
        world->batch_max = count;
    const struct owner *held[WORLD_OWNERS_MAX];
    size_t held_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct owner *owner = requests[i].owner;
        bool skip = owner->blocked;
        for (size_t j = 0; j < held_count; j++)
            skip |= held[j] == owner;
        if (skip)
            continue;
        cr_assert_geq(requests[i].argc, 1);
        world->executed += !owner->closing;
        requests[i].done = owner->closing || run(world, owner, &requests[i]);
        if (!requests[i].done)
            held[held_count++] = owner;
    }
}

static void *opened(void *context, struct connection *connection, struct output *out)
{
    struct world *world = context;
    if (world->drop_new) {
        output_append(out, BYTES("-DENIED go away\r\n"));
        return NULL;
    }
    struct owner *owner = mem_zalloc(sizeof(*owner));
    owner->connection = connection;
    owner->index = world->owner_count;
    reply_init(&owner->reply, out, 2);
    connection_set_authenticated(connection, !world->unauthenticated);
    cr_assert_lt(world->owner_count, WORLD_OWNERS_MAX);
    world->owners[world->owner_count++] = owner;
    world->open_count++;
    return owner;
}

static void leaving(void *context, void *opaque)
{
    struct world *world = context;
    struct net_stats stats;
    net_stats_read(world->net, &stats);
    world->sent_when_one_left = stats.output_bytes;
    if (world->goes_with != NULL && world->goes_with != opaque)
        connection_close_after_output(world->goes_with->connection);
}

static void closed(void *context, void *opaque)
{
    struct world *world = context;
    struct owner *owner = opaque;
    cr_assert_eq(world->owners[owner->index], owner);
    world->owners[owner->index] = NULL;
    world->open_count--;
    world->closed_count++;
    mem_free(owner);
}

void world_init(struct world *world)
{
    mem_thread_register();
    *world = (struct world){ 0 };
    world->settings = (struct net_settings){
        .bulk_max = 512 * 1024 * 1024,
        .query_buffer_max = 1024 * 1024 * 1024,
        .clients_max = WORLD_OWNERS_MAX,
        .keepalive_s = 300,
        .backlog = 511,
        .io_uring = getenv("NET_TEST_WITHOUT_RING") == NULL,
    };
    const struct net_receiver receiver = {
        .opened = opened, .execute = execute, .closed = closed, .context = world, .leaving = leaving
    };
    world->net = net_create(&world->settings, &receiver);
    char error[256] = "";
    cr_assert(net_listen_tcp(world->net, "127.0.0.1", 0, error, sizeof(error)), "%s", error);
    cr_assert_neq(net_port(world->net), 0);
}

void world_fini(struct world *world)
{
    net_destroy(world->net);
    cr_assert_eq(world->open_count, 0);
    cr_assert_eq(world->closed_count, world->owner_count);
}

void world_wake(struct owner *owner)
{
    cr_assert(owner->blocked);
    owner->blocked = false;
    if (!owner->refused) {
        reply_status(&owner->reply, BYTES("WOKEN"));
        connection_wake(owner->connection);
    }
    connection_resume(owner->connection);
}

void world_settle(struct world *world)
{
    for (int i = 0; i < 20; i++)
        net_turn(world->net);
}

void client_init(struct client *client, struct world *world)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(net_port(world->net)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    size_t before = world->owner_count;
    *client = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    cr_assert_geq(client->fd, 0);
    cr_assert_eq(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0, "%s", strerror(errno));
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    for (int i = 0; i < PATIENCE_TURNS && world->owner_count == before && !world->drop_new; i++)
        net_turn(world->net);
}

void client_fini(struct client *client)
{
    close(client->fd);
    buf_fini(&client->to_send);
    buf_fini(&client->got);
}

void client_queue(struct client *client, struct bytes bytes)
{
    buf_append(&client->to_send, bytes);
}

void client_step(struct client *client, size_t max)
{
    char chunk[64 * 1024];
    size_t left = client->to_send.len - client->sent;
    if (left > max)
        left = max;
    if (left > 0) {
        ssize_t sent = send(client->fd, client->to_send.ptr + client->sent, left, MSG_NOSIGNAL);
        if (sent > 0)
            client->sent += (size_t)sent;
    }
    ssize_t got;
    while ((got = recv(client->fd, chunk, sizeof(chunk), 0)) > 0)
        buf_append(&client->got, bytes_make(chunk, (size_t)got));
    if (got == 0 || errno == ECONNRESET)
        client->eof = true;
}

void client_await(struct client *client, struct world *world, size_t len)
{
    for (int i = 0; i < PATIENCE_TURNS && client->got.len < len && !client->eof; i++) {
        client_step(client, SIZE_MAX);
        net_turn(world->net);
    }
    client_step(client, SIZE_MAX);
}

void client_await_eof(struct client *client, struct world *world)
{
    client_await(client, world, SIZE_MAX);
    cr_assert(client->eof, "the connection was not closed");
}

void client_expect(struct client *client, struct world *world, const char *request, const char *expected)
{
    buf_clear(&client->got);
    client_queue(client, bytes_from_cstr(request));
    client_await(client, world, strlen(expected));
    cr_assert_str_eq(buf_cstr(&client->got), expected);
}
