/*
 * Listeners: TCP addresses and Unix sockets, and accepting.
 *
 * A storm of connections must not hold up those that are there: few are accepted per listener and turn. When the
 * process has no file descriptor left, accepting would fail again at once, for ever: it rests for a while instead.
 */
#include "listen_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "net_priv.h"

enum {
    ACCEPT_MAX = 64,       /* per listener and turn; each costs about 10 us */
    ACCEPT_REST_MS = 100,  /* when descriptors are out */
    ACCEPT_WARN_MS = 1000, /* between two warnings of that */
};

void address_from_sockaddr(struct address *address, const struct sockaddr_storage *storage)
{
    if (storage->ss_family == AF_INET) {
        address->family = AF_INET;
        const struct sockaddr_in *in = (const struct sockaddr_in *)storage;
        memcpy(address->ip, &in->sin_addr, sizeof(in->sin_addr));
        address->port = ntohs(in->sin_port);
    } else if (storage->ss_family == AF_INET6) {
        address->family = AF_INET6;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)storage;
        memcpy(address->ip, &in6->sin6_addr, sizeof(in6->sin6_addr));
        address->port = ntohs(in6->sin6_port);
    }
}

void address_format(const struct address *address, const char *path, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (address->family == AF_UNIX) {
        snprintf(out, size, "%s:0", path);
        return;
    }
    inet_ntop(address->family, address->ip, ip, sizeof(ip));
    snprintf(out, size, address->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, address->port);
}

void socket_close_gently(int fd)
{
    char sink[16 * 1024];
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 16 && recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0; i++)
        ;
    close(fd);
}

void listener_unref(struct listener *listener)
{
    if (--listener->refs > 0)
        return;
    mem_free(listener->path);
    mem_free(listener);
}

static void socket_set_options(int fd, uint32_t keepalive_s)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (keepalive_s == 0)
        return;
    /* A peer that does not answer is given up after about twice the interval. */
    int interval_s = keepalive_s >= 3 ? (int)(keepalive_s / 3) : 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ (int)keepalive_s }, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){ 3 }, sizeof(int));
}

static void client_admit(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    static const char refusal[] = "-ERR max number of clients reached\r\n";
    struct net *net = listener->net;
    if (net->all.count - net->closing.count >= net->settings->clients_max) {
        net->stats.connections_rejected++;
        if (!listener->is_tls)
            send(fd, refusal, sizeof(refusal) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        socket_close_gently(fd);
        return;
    }
    struct address address = { .family = AF_UNIX };
    address_from_sockaddr(&address, peer);
    if (address.family != AF_UNIX)
        socket_set_options(fd, net->settings->keepalive_s);
    connection_open(listener, fd, &address);
}

static void accept_rest(struct net *net)
{
    if (net->now_ms - net->accept_warned_ms >= ACCEPT_WARN_MS || net->accept_warned_ms == 0) {
        log_write(LOG_WARNING, "Accepting client connection: accept: %s", strerror(errno));
        net->accept_warned_ms = net->now_ms;
    }
    for (size_t i = 0; i < net->listener_count; i++)
        ev_io_stop(net->loop, &net->listeners[i]->io);
    ev_timer_stop(net->loop, &net->accept_again);
    ev_timer_set(&net->accept_again, ACCEPT_REST_MS / 1000.0, 0);
    ev_timer_start(net->loop, &net->accept_again);
}

void listener_accept_again(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)timer, (void)events;
    struct net *net = ev_userdata(loop);
    for (size_t i = 0; i < net->listener_count; i++)
        ev_io_start(loop, &net->listeners[i]->io);
}

static void on_acceptable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct listener *listener = (struct listener *)watcher;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct sockaddr_storage peer = { 0 };
        socklen_t len = sizeof(peer);
        int fd = accept4(watcher->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            client_admit(listener, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            accept_rest(listener->net);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static struct listener *listener_add(struct net *net, int fd, const char *path)
{
    struct listener *listener = mem_zalloc(sizeof(*listener));
    listener->net = net;
    listener->refs = 1;
    listener->path = path == NULL ? NULL : mem_strdup(path);
    ev_io_init(&listener->io, on_acceptable, fd, EV_READ);
    ev_io_start(net->loop, &listener->io);
    net->listeners = mem_realloc(net->listeners, (net->listener_count + 1) * sizeof(struct listener *));
    net->listeners[net->listener_count++] = listener;
    return listener;
}

/* Writes "what: why"; closes fd unless it is -1. Always false, with errno kept. */
static bool listen_fail(int fd, const char *what, char *error, size_t error_size)
{
    int saved = errno;
    snprintf(error, error_size, "%s: %s", what, strerror(saved));
    if (fd >= 0)
        close(fd);
    errno = saved;
    return false;
}

/* The socket, or -1. */
static int listen_at(
    const struct net *net, const struct addrinfo *info, struct address *bound, char *error, size_t error_size)
{
    static const char *const steps[] = { "socket", "setsockopt", "setsockopt SO_REUSEADDR", "bind", "listen" };
    const char *failed = NULL;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        failed = steps[0];
    else if (info->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int)) != 0)
        failed = steps[1];
    else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) != 0)
        failed = steps[2];
    else if (bind(fd, info->ai_addr, info->ai_addrlen) != 0)
        failed = steps[3];
    else if (listen(fd, net->settings->backlog) != 0)
        failed = steps[4];
    if (failed != NULL) {
        listen_fail(fd, failed, error, error_size);
        return -1;
    }
    struct sockaddr_storage storage = { 0 };
    socklen_t len = sizeof(storage);
    if (getsockname(fd, (struct sockaddr *)&storage, &len) == 0)
        address_from_sockaddr(bound, &storage);
    return fd;
}

int socket_listen(
    const struct net *net, const char *name, uint16_t port, struct address *bound, char *error, size_t error_size)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *info;
    const char *node = name;
    hints.ai_family = strchr(name, ':') != NULL ? AF_INET6 : AF_INET;
    if (strcmp(name, "*") == 0 || strcmp(name, "::*") == 0)
        node = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    int failed = getaddrinfo(node, service, &hints, &info);
    if (failed != 0) {
        snprintf(error, error_size, "%s", gai_strerror(failed));
        errno = failed == EAI_SYSTEM ? errno : failed == EAI_ADDRFAMILY ? EAFNOSUPPORT : EADDRNOTAVAIL;
        return -1;
    }
    int fd = listen_at(net, info, bound, error, error_size);
    int saved = errno;
    freeaddrinfo(info);
    errno = saved;
    return fd;
}

static bool listen_internet(
    struct net *net, const char *name, uint16_t port, bool is_tls, char *error, size_t error_size)
{
    struct address bound = { 0 };
    int fd = socket_listen(net, name, port, &bound, error, error_size);
    if (fd < 0)
        return false;
    struct listener *listener = listener_add(net, fd, NULL);
    listener->port = bound.port;
    listener->is_tls = is_tls;
    return true;
}

bool net_listen_tcp(struct net *net, const char *address, uint16_t port, char *error, size_t error_size)
{
    return listen_internet(net, address, port, false, error, error_size);
}

bool net_listen_tls(struct net *net, const char *address, uint16_t port, char *error, size_t error_size)
{
    ASSERT(net->tls != NULL);
    return listen_internet(net, address, port, true, error, error_size);
}

bool net_listen_unix(struct net *net, const char *path, uint32_t mode, char *error, size_t error_size)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return listen_fail(-1, "bind", error, error_size);
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return listen_fail(fd, "socket", error, error_size);
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return listen_fail(fd, "bind", error, error_size);
    if (mode != 0 && chmod(path, (mode_t)mode) != 0)
        return listen_fail(fd, "chmod", error, error_size);
    if (listen(fd, net->settings->backlog) != 0)
        return listen_fail(fd, "listen", error, error_size);
    listener_add(net, fd, path);
    return true;
}

void net_unlisten(struct net *net)
{
    ev_timer_stop(net->loop, &net->accept_again);
    for (size_t i = 0; i < net->listener_count; i++) {
        struct listener *listener = net->listeners[i];
        ev_io_stop(net->loop, &listener->io);
        close(listener->io.fd);
        if (listener->path != NULL)
            unlink(listener->path);
        listener_unref(listener);
    }
    net->listener_count = 0;
}

uint16_t net_port(const struct net *net)
{
    for (size_t i = 0; i < net->listener_count; i++) {
        const struct listener *listener = net->listeners[i];
        if (listener->path == NULL && !listener->is_tls)
            return listener->port;
    }
    return 0;
}
