/*
 * TLS on connections.
 *
 * Handshakes are steps like any others: each is taken when the socket is ready, and once those of a turn have taken
 * NET_HANDSHAKE_NS the rest is left to the next one (the loop is told of readiness again). One that has not begun owns
 * nothing of OpenSSL's; one that is not over in NET_HANDSHAKE_MS is closed.
 *
 * Either direction may need the socket in the other one: a read that must answer something first waits until it can be
 * written, and the reverse. While it waits for that, the watcher is not asked for what would only come again and again.
 *
 * OpenSSL reads ahead, so bytes may lie there of which the socket knows nothing any more. Whenever reading stopped for
 * want of room, and not because nothing was left, the connection goes to net->unread and is read again next turn.
 *
 * Output goes out in records of up to 16 KB. Several small chunks are gathered for one in a buffer that all connections
 * share. After "try again" OpenSSL wants the same bytes again, at least as many: they stay at the front of the output
 * until they were taken, no share of a turn is smaller than a record, and what a held connection may send only grows.
 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net_priv.h"

enum { TLS_RECORD = 16 * 1024, TLS_VECTORS = 64 };

_Static_assert((int)NET_SEND_MIN >= (int)TLS_RECORD, "what was tried once must fit in the next share");

void tls_begin(struct connection *connection)
{
    connection->tls = mem_zalloc(sizeof(*connection->tls));
    connection->tls->handshaking = true;
    connection->net->handshakes++;
}

static void end_handshake(struct connection *connection)
{
    connection->tls->handshaking = false;
    connection->net->handshakes--;
}

void tls_end(struct connection *connection)
{
    struct tls_link *tls = connection->tls;
    ERR_clear_error();
    if (tls->handshaking)
        end_handshake(connection);
    else if (!tls->failed)
        SSL_shutdown(tls->ssl);
    SSL_free(tls->ssl);
    ERR_clear_error();
    mem_free(tls);
    connection->tls = NULL;
}

static void log_failure(struct connection *connection, const char *reason)
{
    char peer[128];
    if (log_get_level() > LOG_VERBOSE)
        return;
    address_format(&connection->peer, NULL, peer, sizeof(peer));
    log_write(LOG_VERBOSE, "Error accepting a client connection: %s (addr=%s)", reason, peer);
}

/* The reason must be read from the queue before anything else is done. */
static void fail_handshake(struct connection *connection, int kind)
{
    char reason[256] = "the connection ended";
    if (kind == SSL_ERROR_SSL)
        ERR_error_string_n(ERR_peek_error(), reason, sizeof(reason));
    ERR_clear_error();
    log_failure(connection, reason);
    connection->net->stats.tls_failed++;
    connection->tls->failed = true;
    connection_close(connection);
}

void tls_check_deadline(struct connection *connection)
{
    if (connection->closing || connection->net->now_ms - connection->active_ms <= NET_HANDSHAKE_MS)
        return;
    log_failure(connection, "the handshake took too long");
    connection->net->stats.tls_failed++;
    connection_close(connection);
}

/* One step; true when it was the last one. */
static bool step_handshake(struct connection *connection)
{
    struct net *net = connection->net;
    struct tls_link *tls = connection->tls;
    if (tls->ssl == NULL)
        tls->ssl = tls_context_open(net->tls, connection->io.fd);
    if (tls->ssl == NULL) {
        fail_handshake(connection, SSL_ERROR_SSL);
        return false;
    }
    ERR_clear_error();
    int done = SSL_do_handshake(tls->ssl);
    int kind = done == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, done);
    tls->reading_wants_write = kind == SSL_ERROR_WANT_WRITE;
    if (kind == SSL_ERROR_NONE) {
        net->stats.tls_handshakes++;
        net->stats.tls_resumed += SSL_session_reused(tls->ssl) == 1;
        end_handshake(connection);
        return true;
    }
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        connection_watch(connection);
    else
        fail_handshake(connection, kind);
    return false;
}

static bool go_on_with_handshake(struct connection *connection)
{
    struct net *net = connection->net;
    if (connection->closing || net->handshake_ns >= NET_HANDSHAKE_NS)
        return false;
    uint64_t before = clock_mono_ns();
    bool done = step_handshake(connection);
    net->handshake_ns += clock_mono_ns() - before;
    return done;
}

bool tls_on_event(struct connection *connection, int *events)
{
    struct tls_link *tls = connection->tls;
    if (tls->handshaking) {
        if (!go_on_with_handshake(connection))
            return false;
        connection_watch(connection);
        connection_admit(connection);
        *events = connection->closing || connection->finishing ? 0 : EV_READ; /* it may have been read ahead */
        return true;
    }
    int happened = *events;
    if (!connection->is_stuck)
        *events &= ~EV_WRITE;
    if (happened & EV_WRITE && tls->reading_wants_write) {
        tls->reading_wants_write = false;
        *events |= EV_READ;
    }
    if (happened & EV_READ && tls->writing_wants_read) {
        tls->writing_wants_read = false;
        *events |= EV_WRITE;
    }
    if (connection->eof || connection->finishing)
        *events &= ~EV_READ;
    return true;
}

int tls_wanted(const struct connection *connection, int wanted)
{
    const struct tls_link *tls = connection->tls;
    if (connection->closing)
        return 0;
    if (tls->reading_wants_write)
        return (wanted & ~EV_READ) | EV_WRITE;
    if (tls->writing_wants_read)
        return (wanted & ~EV_WRITE) | EV_READ;
    return wanted;
}

void tls_push_unread(struct connection *connection)
{
    struct tls_link *tls = connection->tls;
    if (!tls->has_pending || tls->is_listed || connection->closing)
        return;
    tls->is_listed = true;
    connections_push(&connection->net->unread, connection);
    net_hurry(connection->net);
}

/* One whose watcher does not want to read now comes back when it does (connection_watch). */
void tls_feed(struct net *net)
{
    for (size_t i = 0; i < net->unread.count; i++) {
        struct connection *connection = net->unread.ptr[i];
        connection->tls->is_listed = false;
        if (ev_is_active(&connection->io) && connection->io.events & EV_READ)
            ev_feed_event(net->loop, &connection->io, EV_READ);
    }
    net->unread.count = 0;
}

/* What a system call would have said instead of `kind`, -1 with errno; 0 for the end. */
static ssize_t as_errno(struct connection *connection, int kind)
{
    struct tls_link *tls = connection->tls;
    if (kind == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    if (kind == SSL_ERROR_SSL)
        connection->net->stats.tls_broken++;
    tls->failed = true;
    ERR_clear_error();
    errno = ECONNRESET;
    return -1;
}

ssize_t tls_receive(struct connection *connection, char *out, size_t room)
{
    struct tls_link *tls = connection->tls;
    size_t total = 0;
    int kind = SSL_ERROR_NONE;
    tls->has_pending = false;
    ERR_clear_error();
    while (total < room) {
        int got = SSL_read(tls->ssl, out + total, (int)(room - total));
        if (got <= 0) {
            kind = SSL_get_error(tls->ssl, got);
            break;
        }
        total += (size_t)got;
    }
    if (kind == SSL_ERROR_WANT_WRITE) {
        tls->reading_wants_write = true;
        connection_watch(connection);
    }
    if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE) {
        /* Room was short, or an end or an error came behind what is told of now: that is told next time. */
        tls->has_pending = total > 0 && (kind != SSL_ERROR_NONE || SSL_has_pending(tls->ssl));
        tls_push_unread(connection);
    }
    return total > 0 ? (ssize_t)total : as_errno(connection, kind);
}

/* Up to a record from the vectors, of which `skip` bytes were sent: where they are, if together, else gathered. */
static const char *gather(struct net *net, const struct iovec *vectors, int count, size_t skip, size_t *len)
{
    int i = 0;
    while (skip >= vectors[i].iov_len)
        skip -= vectors[i++].iov_len;
    const char *first = (const char *)vectors[i].iov_base + skip;
    size_t have = vectors[i].iov_len - skip;
    if (have >= *len || i + 1 == count) {
        *len = have < *len ? have : *len;
        return first;
    }
    if (net->tls_record == NULL)
        net->tls_record = mem_alloc(TLS_RECORD);
    memcpy(net->tls_record, first, have);
    for (i++; i < count && have < *len; i++) {
        size_t part = vectors[i].iov_len < *len - have ? vectors[i].iov_len : *len - have;
        memcpy(net->tls_record + have, vectors[i].iov_base, part);
        have += part;
    }
    *len = have;
    return net->tls_record;
}

ssize_t tls_send(struct connection *connection, size_t share)
{
    struct tls_link *tls = connection->tls;
    struct iovec vectors[TLS_VECTORS];
    size_t waiting, sent = 0;
    int count = output_gather(&connection->out, vectors, TLS_VECTORS, &waiting), kind = SSL_ERROR_NONE;
    ERR_clear_error();
    size_t most = waiting < share ? waiting : share;
    while (sent < most) {
        size_t len = most - sent < TLS_RECORD ? most - sent : TLS_RECORD;
        const char *record = gather(connection->net, vectors, count, sent, &len);
        int put = SSL_write(tls->ssl, record, (int)len);
        if (put <= 0) {
            kind = SSL_get_error(tls->ssl, put);
            break;
        }
        sent += (size_t)put;
    }
    tls->writing_wants_read = kind == SSL_ERROR_WANT_READ;
    if (sent > 0 || kind == SSL_ERROR_NONE)
        return (ssize_t)sent;
    ssize_t failed = as_errno(connection, kind);
    if (failed < 0)
        return failed;
    errno = EPIPE;
    return -1;
}
