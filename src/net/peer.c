/*
 * A socket that does not block, and poll in front of every operation.
 */
#include "net/peer.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* True once the socket is ready, or broken, which the operation will tell. */
static bool is_ready(int fd, short events, int timeout_ms)
{
    struct pollfd wanted = { .fd = fd, .events = events };
    int n;
    do
        n = poll(&wanted, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

static enum peer_status try_address(struct peer *peer, const struct addrinfo *info)
{
    peer->fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
    if (peer->fd < 0)
        return PEER_UNREACHABLE;
    enum peer_status status = PEER_OK;
    if (connect(peer->fd, info->ai_addr, info->ai_addrlen) != 0) {
        int error = errno;
        socklen_t len = sizeof error;
        if (error != EINPROGRESS)
            status = error == ECONNREFUSED ? PEER_REFUSED : PEER_UNREACHABLE;
        else if (!is_ready(peer->fd, POLLOUT, peer->timeout_ms))
            status = PEER_UNREACHABLE;
        else if (getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error)
            status = error == ECONNREFUSED ? PEER_REFUSED : PEER_UNREACHABLE;
    }
    if (status == PEER_OK)
        setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    else
        close(peer->fd);
    return status;
}

enum peer_status peer_connect(struct peer *peer, const char *host, int port, int timeout_ms)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC }, *info;
    char service[16];
    *peer = (struct peer){ .fd = -1, .timeout_ms = timeout_ms };
    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &info) != 0)
        return PEER_UNREACHABLE;
    enum peer_status status = PEER_UNREACHABLE;
    for (const struct addrinfo *at = info; at && status != PEER_OK; at = at->ai_next)
        status = try_address(peer, at);
    freeaddrinfo(info);
    return status;
}

void peer_close(struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
}

bool peer_write(struct peer *peer, struct bytes content)
{
    while (content.len) {
        ssize_t n = send(peer->fd, content.ptr, content.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n < 0 && !is_ready(peer->fd, POLLOUT, peer->timeout_ms))
            return false;
        if (n > 0) {
            content.ptr += n;
            content.len -= (size_t)n;
        }
    }
    return true;
}

/* Fetches more into the empty buffer. */
static bool fill(struct peer *peer)
{
    for (;;) {
        ssize_t n = recv(peer->fd, peer->buffer, sizeof peer->buffer, 0);
        if (n > 0) {
            peer->len = (size_t)n;
            peer->at = 0;
            return true;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR) || !is_ready(peer->fd, POLLIN, peer->timeout_ms))
            return false;
    }
}

bool peer_read_line(struct peer *peer, char *out, size_t size)
{
    size_t len = 0;
    for (;;) {
        if (peer->at == peer->len && !fill(peer))
            return false;
        char byte = peer->buffer[peer->at++];
        if (byte == '\n')
            break;
        if (len + 1 < size)
            out[len++] = byte;
    }
    if (len && out[len - 1] == '\r')
        len--;
    out[len] = '\0';
    return true;
}
