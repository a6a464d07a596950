/*
 * Connections: from accepting to freeing, and what the layers above may ask of them.
 *
 * Closing only marks. A marked connection is not watched any more, but stays valid until the end of the turn, because
 * requests in the batch, the lists of the turn and callers up the stack may refer to it.
 *
 * Each has one watcher, whose events follow from the state (connection_watch); in the steady state they never change,
 * so that the kernel is told once.
 */
#include "net/connection.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "net_priv.h"
#include "resp/reply.h"

enum { FLOOD_PIPELINE = 4 }; /* as many requests at once, on the average, make a flood */

/* Much was gathered already, from clients that were not known to send much. */
static bool is_flooded(const struct batch *batch)
{
    return batch->count >= NET_HEAVY_REQUESTS && batch->count >= FLOOD_PIPELINE * batch->offer_count;
}

static void on_event(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    (void)loop;
    struct connection *connection = (struct connection *)watcher;
    if (__builtin_expect(connection->tls != NULL, 0) && !tls_on_event(connection, &events))
        return;
    if (events & EV_WRITE) {
        connection->is_writable = true;
        connection_push_writer(connection);
    }
    if (!(events & EV_READ))
        return;
    if (connection->tls == NULL && (connection->is_heavy || is_flooded(&connection->net->batch)))
        connection_push_heavy(connection);
    else
        input_read(connection);
}

/* The family is filled in only for TCP: a Unix socket's ends are named by the listener's path. */
static struct address address_of(int fd, const struct address *peer)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    struct address address = *peer;
    if (peer->family == AF_UNIX || getsockname(fd, (struct sockaddr *)&storage, &len) != 0)
        return address;
    address_from_sockaddr(&address, &storage);
    return address;
}

void connection_open(struct listener *listener, int fd, const struct address *peer)
{
    struct net *net = listener->net;
    struct connection *connection = mem_zalloc(sizeof(*connection));
    connection->net = net;
    connection->listener = listener;
    listener->refs++;
    connection->peer = *peer;
    connection->local = address_of(fd, peer);
    connection->active_ms = net->now_ms;
    output_init_pooled(&connection->out, &net->output_pool);
    connection->index = (uint32_t)net->all.count;
    connections_push(&net->all, connection);
    net->stats.connections_received++;
    ev_io_init(&connection->io, on_event, fd, EV_READ);
    ev_io_start(net->loop, &connection->io);
    if (listener->is_tls)
        tls_begin(connection);
    else
        connection_admit(connection);
}

void connection_admit(struct connection *connection)
{
    struct net *net = connection->net;
    connection->owner = net->receiver.opened(net->receiver.context, connection, &connection->out);
    if (connection->owner == NULL)
        connection_close_after_output(connection);
    else if (output_len(&connection->out) > 0)
        connection_push_writer(connection);
}

static void connection_free(struct connection *connection)
{
    struct net *net = connection->net;
    if (connection->owner != NULL)
        net->receiver.closed(net->receiver.context, connection->owner);
    struct connection *last = net->all.ptr[--net->all.count];
    send_forget_woken(connection);
    net->all.ptr[connection->index] = last;
    last->index = connection->index;
    input_drop(connection);
    send_drop(connection);
    if (connection->soft_since_s != 0)
        net->soft_count--;
    net->deaf_count -= connection->is_deaf;
    if (connection->tls != NULL)
        tls_end(connection);
    if (connection->finishing && !connection->eof)
        socket_close_gently(connection->io.fd);
    else
        close(connection->io.fd);
    listener_unref(connection->listener);
    mem_free_sized(connection, sizeof(*connection));
}

static void connections_remove_closing(struct connections *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!list->ptr[i]->closing)
            list->ptr[kept++] = list->ptr[i];
    }
    list->count = kept;
}

/* The receiver's `closed` may close others: they come behind in the list, and their turn comes too. */
bool connection_free_closing(struct net *net, size_t most)
{
    if (net->closing.count == 0)
        return false;
    connections_remove_closing(&net->ready);
    connections_remove_closing(&net->heavy);
    connections_remove_closing(&net->writers);
    connections_remove_closing(&net->unread);
    size_t count = net->closing.count < most ? net->closing.count : most;
    for (size_t i = 0; i < count; i++)
        connection_free(net->closing.ptr[i]);
    struct connections *left = &net->closing;
    left->count -= count;
    memmove(left->ptr, left->ptr + count, left->count * sizeof(*left->ptr));
    if (left->count > 0)
        return true;
    mem_free(left->ptr);
    *left = (struct connections){ 0 };
    return false;
}

void connection_watch(struct connection *connection)
{
    int wanted = 0;
    if (!connection->closing) {
        const struct input *input = connection->input;
        bool is_full = connection->paused && input != NULL && input->len - input->start >= NET_PAUSED_INPUT_MAX;
        if (!connection->eof && !connection->finishing && !is_full)
            wanted |= EV_READ;
        bool is_deaf = connection->paused && (is_full || connection->eof);
        connection->net->deaf_count += (size_t)is_deaf - connection->is_deaf;
        connection->is_deaf = is_deaf;
        if (connection->is_stuck)
            wanted |= EV_WRITE;
    }
    if (connection->tls != NULL)
        wanted = tls_wanted(connection, wanted);
    struct ev_io *io = &connection->io;
    int present = ev_is_active(io) ? io->events & (EV_READ | EV_WRITE) : 0;
    if (wanted == present)
        return;
    ev_io_stop(connection->net->loop, io);
    ev_io_modify(io, wanted);
    if (wanted != 0)
        ev_io_start(connection->net->loop, io);
    if (connection->tls != NULL && wanted & EV_READ)
        tls_push_unread(connection);
}

void connection_push_ready(struct connection *connection)
{
    if (connection->is_ready || connection->closing)
        return;
    connection->is_ready = true;
    connections_push(&connection->net->ready, connection);
    net_hurry(connection->net);
}

void connection_push_heavy(struct connection *connection)
{
    if (connection->is_queued)
        return;
    connection->is_queued = true;
    connections_push(&connection->net->heavy, connection);
}

void connection_push_writer(struct connection *connection)
{
    if (connection->is_writer || connection->closing)
        return;
    connection->is_writer = true;
    connections_push(&connection->net->writers, connection);
    net_hurry(connection->net);
}

void connection_push_woken(struct connection *connection)
{
    struct net *net = connection->net;
    if (connection->is_woken || connection->is_writer || connection->closing)
        return;
    connection->is_woken = true;
    connection->woken_index = (uint32_t)net->woken.count;
    connections_push(&net->woken, connection);
    net_hurry(net);
}

void connection_wake(struct connection *connection)
{
    connection_push_woken(connection);
}

void connection_pause(struct connection *connection)
{
    connection->paused = true;
}

void connection_resume(struct connection *connection)
{
    if (!connection->paused)
        return;
    connection->paused = false;
    if (connection->input != NULL || connection->eof)
        connection_push_ready(connection);
    connection_watch(connection);
}

void connection_hold(struct connection *connection)
{
    if (connection->is_held)
        return;
    connection->is_held = true;
    connection->sendable = connection->output_bytes;
}

void connection_release(struct connection *connection, uint64_t written)
{
    connection->is_held = written != UINT64_MAX;
    connection->sendable = written;
    if (output_len(&connection->out) > 0 || connection->finishing)
        connection_push_writer(connection);
}

uint64_t connection_written(const struct connection *connection)
{
    return connection->output_bytes + output_len(&connection->out);
}

void connection_close(struct connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    send_gathered(connection->net); /* the receiver may write to others */
    const struct net_receiver *receiver = &connection->net->receiver;
    if (connection->owner != NULL && receiver->leaving != NULL)
        receiver->leaving(receiver->context, connection->owner);
    connection_watch(connection);
    connections_push(&connection->net->closing, connection);
    net_hurry(connection->net);
}

void connection_close_after_output(struct connection *connection)
{
    if (connection->finishing || connection->closing)
        return;
    connection->finishing = true;
    connection_watch(connection);
    connection_push_writer(connection);
}

void connection_fail(struct connection *connection, struct bytes text)
{
    struct reply reply;
    reply_init(&reply, &connection->out, 2);
    reply_error(&reply, text);
    connection_close_after_output(connection);
}

void connection_set_authenticated(struct connection *connection, bool authenticated)
{
    connection->authenticated = authenticated;
}

void connection_set_class(struct connection *connection, int limit_class)
{
    ASSERT(limit_class >= 0 && limit_class < 3);
    connection->limit_class = (uint8_t)limit_class;
}

void connection_set_patient(struct connection *connection, bool patient)
{
    connection->patient = patient;
}

/*
 * Its client waits for something and has left: before the request that waits was executed, or behind so much else that
 * the end is not read.
 */
static bool is_deserted(const struct connection *connection)
{
    struct pollfd end = { .fd = connection->io.fd, .events = POLLRDHUP };
    return connection->is_deaf && connection->patient && (connection->eof || poll(&end, 1, 0) == 1);
}

void connection_sweep(struct net *net)
{
    uint64_t idle_max_ms = (uint64_t)net->settings->idle_timeout_s * 1000;
    /* After a standstill of the process all seem idle: first what they have sent meanwhile is read. */
    if (net->now_ms - net->swept_ms > 5 * NET_SWEEP_MS)
        net->awake_ms = net->now_ms;
    net->swept_ms = net->now_ms;
    bool may_close = idle_max_ms != 0 && net->now_ms - net->awake_ms > 5 * NET_SWEEP_MS;
    if (idle_max_ms == 0 && net->soft_count == 0 && net->handshakes == 0 && net->deaf_count == 0)
        return;
    for (size_t left = (net->all.count + 9) / 10; left > 0; left--) {
        if (net->sweep_at >= net->all.count)
            net->sweep_at = 0;
        struct connection *connection = net->all.ptr[net->sweep_at++];
        if (connection->soft_since_s != 0)
            send_check_limit(connection);
        if (connection->tls != NULL && connection->tls->handshaking)
            tls_check_deadline(connection);
        if (may_close && !connection->patient && net->now_ms - connection->active_ms > idle_max_ms) {
            log_write(LOG_VERBOSE, "Closing idle client");
            connection_close(connection);
        }
        if (is_deserted(connection))
            connection_close(connection);
    }
}

static bool address_is_loopback(const struct address *address)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    if (address->family == AF_INET)
        return address->ip[0] == 127;
    if (address->family == AF_INET6 && memcmp(address->ip, mapped, sizeof(mapped)) == 0)
        return address->ip[12] == 127;
    return address->family == AF_UNIX || memcmp(address->ip, &in6addr_loopback, sizeof(in6addr_loopback)) == 0;
}

/* Bytes that wait for more: of a large argument that is arriving, its own, as the request up to it was taken apart. */
static size_t pending_len(const struct input *input)
{
    if (input->blob != NULL)
        return input->blob->len;
    return input->reader.stage == READER_AT_BULK_END ? input->reader.bulk_len : input->len - input->start;
}

void connection_describe(const struct connection *connection, struct connection_facts *facts)
{
    const struct input *input = connection->input;
    const char *path = connection->listener->path;
    *facts = (struct connection_facts){
        .fd = connection->io.fd,
        .is_unix = connection->peer.family == AF_UNIX,
        .is_loopback = address_is_loopback(&connection->peer),
        .output_len = output_len(&connection->out),
        .output_memory = output_memory(&connection->out),
        .input_bytes = connection->input_bytes,
        .output_bytes = connection->output_bytes,
        .idle_ms = connection->net->now_ms - connection->active_ms,
    };
    if (input != NULL) {
        facts->input_len = pending_len(input);
        facts->input_free = input->cap - input->len;
        facts->input_memory = input_memory(input);
    }
    address_format(&connection->peer, path, facts->peer, sizeof(facts->peer));
    address_format(&connection->local, path, facts->local, sizeof(facts->local));
}

size_t connection_memory(const struct connection *connection)
{
    return output_memory(&connection->out) + (connection->input != NULL ? input_memory(connection->input) : 0);
}
