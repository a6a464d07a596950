/*
 * Listeners and addresses: what the files of net know of where connections come from.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;
struct sockaddr_storage;

/* One end of a socket, in a third of the space of sockaddr_in6. The family is AF_INET, AF_INET6 or AF_UNIX. */
struct address {
    uint8_t ip[16];
    uint16_t port;
    uint16_t family;
};

struct listener {
    struct ev_io io; /* first: libev's callbacks are handed this */
    struct net *net; /* borrowed */
    char *path;      /* owned; of a Unix socket, else NULL */
    uint32_t refs;   /* the list of listeners, and each connection that came by it */
    uint16_t port;
    bool is_tls;
};

/* listen.c */
/* A listening socket at an address as net_listen_tcp has it; -1, a text in `error` and errno if that cannot be. */
int socket_listen(
    const struct net *net, const char *name, uint16_t port, struct address *bound, char *error, size_t error_size);

/* Reads away what a peer has sent and closes: unread bytes would make the kernel reset, and drop the last reply. */
void socket_close_gently(int fd);

void listener_unref(struct listener *listener);
void listener_accept_again(struct ev_loop *loop, struct ev_timer *timer, int events);

struct sockaddr_storage;
/* Left alone unless it is an Internet address. */
void address_from_sockaddr(struct address *address, const struct sockaddr_storage *storage);

/* "127.0.0.1:6379", "[::1]:6379" or "path:0". */
void address_format(const struct address *address, const char *path, char *out, size_t size);
