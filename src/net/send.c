/*
 * Sending: once per turn, to each connection that has output, in one system call of a bounded size, or in one that is
 * shared with others who get little (send_ring_priv.h).
 *
 * The bound is what connections with much output share: more of them make a turn no longer, as each gets less. How many
 * there are is known from the turn before.
 *
 * Short answers go first, so that nobody waits for the copying of somebody else's megabytes.
 *
 * What the socket does not take waits until libev finds it writable again; such a connection is "stuck" and left alone
 * until then, so that a client that does not read costs nothing. The output limits are looked at before sending: what a
 * client has let pile up counts, not what the socket might still take.
 *
 * Who is answered comes before who was woken: one message may wake ten thousand subscribers, and a system call for each
 * would keep everybody else waiting. The woken are sent to in their order, for a bounded time a turn; between two turns
 * requests are read and answered. One that is answered meanwhile gets all that waits for it with the answer.
 */
#include "net_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "socket_priv.h"

enum {
    SEND_VECTORS = 64,
    WOKEN_AT_ONCE = 16, /* sent to between two looks at the clock: some 100 us */
};

/* What waited on a connection that was closed, too much to be freed at once. */
struct doomed {
    struct output out;
    struct doomed *next; /* owned */
};

static void send_account(struct net *net, struct connection *connection)
{
    size_t held = output_memory(&connection->out);
    if (held != connection->output_accounted) {
        net->stats.output_memory += held - connection->output_accounted;
        connection->output_accounted = held;
    }
}

void send_drop(struct connection *connection)
{
    struct net *net = connection->net;
    net->stats.output_memory -= connection->output_accounted;
    connection->output_accounted = 0;
    if (output_len(&connection->out) <= NET_FREE_MAX) {
        output_fini(&connection->out);
        return;
    }
    struct doomed *doomed = mem_alloc(sizeof(*doomed));
    output_init(&doomed->out);
    output_append_output(&doomed->out, &connection->out);
    doomed->next = net->doomed;
    net->doomed = doomed;
}

void send_free_doomed(struct net *net)
{
    struct doomed *doomed = net->doomed;
    size_t len = output_len(&doomed->out);
    if (len > NET_FREE_MAX) {
        output_consume(&doomed->out, NET_FREE_MAX);
        return;
    }
    output_fini(&doomed->out);
    net->doomed = doomed->next;
    mem_free(doomed);
}

/*
 * Above the hard limit, or above the soft one for too long? Notes since when it is above the soft one. As in Redis
 * limits do not count small answers: a client with room for 16 KB of them always has that.
 */
static bool send_is_over_limit(struct net *net, struct connection *connection)
{
    const struct net_output_limit *limit = &net->settings->output_limits[connection->limit_class];
    size_t held = output_len(&connection->out) > OUTPUT_CHUNK ? output_memory(&connection->out) : 0;
    if (limit->hard_bytes != 0 && held > limit->hard_bytes)
        return true;
    if (!connection->authenticated && held > NET_UNKNOWN_OUTPUT_MAX)
        return true;
    if (limit->soft_bytes == 0 || held <= limit->soft_bytes) {
        if (connection->soft_since_s != 0)
            net->soft_count--;
        connection->soft_since_s = 0;
        return false;
    }
    uint32_t now_s = (uint32_t)(net->now_ms / 1000) + 1;
    if (connection->soft_since_s == 0) {
        connection->soft_since_s = now_s;
        net->soft_count++;
    }
    return now_s - connection->soft_since_s > limit->soft_s;
}

/* Closes a connection whose output takes so many bytes. */
static void close_over_limit(struct connection *connection, size_t held)
{
    char peer[sizeof((struct connection_facts){ 0 }.peer)];
    address_format(&connection->peer, connection->listener->path, peer, sizeof(peer));
    log_write(LOG_WARNING,
        "Client addr=%s fd=%d omem=%zu scheduled to be closed ASAP for overcoming of output buffer limits.", peer,
        connection->io.fd, held);
    connection->net->stats.output_limit_closed++;
    connection_close(connection);
}

void send_check_limit(struct connection *connection)
{
    if (send_is_over_limit(connection->net, connection))
        close_over_limit(connection, output_memory(&connection->out));
}

bool connection_close_if_flooded(struct connection *connection, size_t more)
{
    size_t limit = connection->net->settings->output_limits[connection->limit_class].hard_bytes;
    size_t held = output_memory(&connection->out);
    if (connection->closing || limit == 0 || (held <= limit && more <= limit - held))
        return connection->closing;
    close_over_limit(connection, held + more);
    return true;
}

/* Bytes that one connection gets at most in this turn. */
static size_t send_share(const struct net *net)
{
    size_t share = NET_SEND_TURN / (net->bulk_senders + 1);
    if (share > NET_SEND_MAX)
        return NET_SEND_MAX;
    return share < NET_SEND_MIN ? NET_SEND_MIN : share;
}

/* Sends at most `share` bytes from the front of the output. Returns what was sent, or -1 with errno. */
static ssize_t send_front(struct connection *connection, size_t share)
{
    if (__builtin_expect(connection->tls != NULL, 0))
        return tls_send(connection, share);
    struct iovec vectors[SEND_VECTORS];
    size_t len;
    int count = output_gather(&connection->out, vectors, SEND_VECTORS, &len);
    if (count == 1) {
        len = len > share ? share : len;
        return socket_send(connection->io.fd, vectors[0].iov_base, len, MSG_NOSIGNAL);
    }
    while (len > share) {
        struct iovec *last = &vectors[count - 1];
        size_t over = len - share;
        size_t cut = over < last->iov_len ? over : last->iov_len;
        last->iov_len -= cut;
        len -= cut;
        count -= last->iov_len == 0;
    }
    struct msghdr message = { .msg_iov = vectors, .msg_iovlen = (size_t)count };
    return sendmsg(connection->io.fd, &message, MSG_NOSIGNAL);
}

/* What it gets at most now. */
static size_t share_of(const struct net *net, const struct connection *connection)
{
    if (__builtin_expect(!connection->is_held, 1))
        return net->send_share;
    uint64_t allowed = connection->sendable - connection->output_bytes;
    return allowed < net->send_share ? (size_t)allowed : net->send_share;
}

/* `sent` bytes left, or none, as an errno below zero says: what is next for the connection? */
static void send_settle(struct net *net, struct connection *connection, ssize_t sent)
{
    if (connection->closing)
        return;
    if (sent < 0 && sent != -EAGAIN && sent != -EINTR) {
        connection_close(connection);
        return;
    }
    if (sent > 0) {
        output_consume(&connection->out, (size_t)sent);
        connection->output_bytes += (size_t)sent;
        connection->active_ms = net->now_ms;
        net->stats.output_bytes += (size_t)sent;
        net->stats.writes++;
        net->bulk_senders += sent >= NET_SEND_MIN;
    }
    bool was_stuck = connection->is_stuck;
    bool is_through = output_len(&connection->out) == 0;
    connection->is_stuck = !is_through && share_of(net, connection) > 0;
    send_account(net, connection);
    if (connection->is_stuck || was_stuck)
        connection_watch(connection);
    if (is_through && connection->finishing)
        connection_close(connection);
}

static void send_plainly(struct ring_send *sends, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ssize_t sent = socket_send(sends[i].fd, sends[i].bytes, sends[i].len, MSG_NOSIGNAL);
        sends[i].sent = sent < 0 ? -errno : sent;
    }
}

void send_gathered(struct net *net)
{
    unsigned count = net->gathered_count;
    if (count == 0)
        return;
    net->gathered_count = 0;
    bool is_sound = true;
    if (count >= SEND_RING_MIN)
        is_sound = send_ring_run(net->ring, net->gathered, count);
    else
        send_plainly(net->gathered, count);
    for (unsigned i = 0; i < count; i++)
        send_settle(net, net->gathered[i].context, net->gathered[i].sent);
    if (!is_sound) {
        send_ring_destroy(net->ring);
        net->ring = NULL;
    }
}

/* Leaves the output, if it is in one piece and not large, to the system call that sends for many. */
static bool send_gather(struct net *net, struct connection *connection, size_t share)
{
    struct iovec vector[2];
    size_t len;
    if (connection->tls != NULL || output_gather(&connection->out, vector, 2, &len) != 1 || len > share)
        return false;
    net->gathered[net->gathered_count++] = (struct ring_send){
        .context = connection,
        .fd = connection->io.fd,
        .bytes = vector[0].iov_base,
        .len = len,
    };
    if (net->gathered_count == SEND_RING_MAX)
        send_gathered(net);
    return true;
}

static void send_one(struct net *net, struct connection *connection, bool gathers)
{
    size_t share = share_of(net, connection);
    if (output_len(&connection->out) == 0 || share == 0) {
        send_settle(net, connection, 0);
        return;
    }
    if (gathers && net->ring != NULL && send_gather(net, connection, share))
        return;
    ssize_t sent = send_front(connection, share);
    send_settle(net, connection, sent < 0 ? -errno : sent);
}

/* `gathers`: send_gathered follows, before anything changes the output. */
static void send_turn(struct net *net, struct connection *connection, bool gathers)
{
    if (connection->closing)
        return;
    send_check_limit(connection);
    if (connection->closing)
        return;
    if (connection->is_stuck && !connection->is_writable)
        send_account(net, connection);
    else
        send_one(net, connection, gathers);
    connection->is_writable = false;
}

void send_forget_woken(struct connection *connection)
{
    if (connection->is_woken)
        connection->net->woken.ptr[connection->woken_index] = NULL;
    connection->is_woken = false;
}

/* Makes room at the front once half of the list is behind us. */
static void compact_woken(struct net *net)
{
    struct connections *woken = &net->woken;
    if (net->woken_at * 2 < woken->count)
        return;
    woken->count -= net->woken_at;
    for (size_t i = 0; i < woken->count; i++) {
        woken->ptr[i] = woken->ptr[net->woken_at + i];
        if (woken->ptr[i])
            woken->ptr[i]->woken_index = (uint32_t)i;
    }
    net->woken_at = 0;
}

static void send_woken(struct net *net)
{
    uint64_t end_ns = 0;
    for (uint32_t sent = 0; net->woken_at < net->woken.count; sent++) {
        if (sent % WOKEN_AT_ONCE == 0) {
            send_gathered(net);
            uint64_t now_ns = clock_mono_ns();
            if (sent == 0)
                end_ns = now_ns + NET_WOKEN_NS;
            else if (now_ns >= end_ns)
                break;
        }
        struct connection *connection = net->woken.ptr[net->woken_at++];
        if (!connection)
            continue;
        connection->is_woken = false;
        send_turn(net, connection, true);
    }
    send_gathered(net);
    compact_woken(net);
}

/* The setting changed, at the latest when it was first looked at. */
static void ring_change(struct net *net)
{
    send_ring_destroy(net->ring);
    net->wants_ring = net->settings->io_uring;
    net->ring = net->wants_ring ? send_ring_create() : NULL;
}

void send_all(struct net *net)
{
    net->send_share = send_share(net);
    net->bulk_senders = 0;
    bool gathers = net->writers.count >= SEND_RING_MIN;
    if (net->settings->io_uring != net->wants_ring)
        ring_change(net);
    size_t bulk = 0, seen = 0;
    for (; seen < net->writers.count; seen++) {
        struct connection *connection = net->writers.ptr[seen];
        if (output_len(&connection->out) > NET_SEND_MIN) {
            net->writers.ptr[bulk++] = connection;
            continue;
        }
        connection->is_writer = false;
        send_turn(net, connection, gathers);
    }
    send_gathered(net);
    for (; seen < net->writers.count; seen++) /* that somebody's end concerned, which the last sends told of */
        net->writers.ptr[bulk++] = net->writers.ptr[seen];
    net->writers.count = bulk; /* more may come */
    for (size_t i = 0; i < net->writers.count; i++) {
        struct connection *connection = net->writers.ptr[i];
        connection->is_writer = false;
        send_turn(net, connection, false);
    }
    net->writers.count = 0;
    if (net->woken.count > 0)
        send_woken(net);
}
