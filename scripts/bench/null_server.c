/*
 * The floor under every measurement: a server that reads RESP requests whole and keeps nothing.
 *
 * It uses the event library and the system calls that Larder uses, one loop, one read and one write per turn and
 * connection. A request whose command begins with G gets a bulk string of three bytes, any other gets OK. What this
 * costs per request is the share of the kernel, of libev and of parsing; a real server can only come near to it.
 *
 *     cc -O2 null_server.c -o null_server -lev && ./null_server PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_BYTES (64 * 1024)
#define VALUE_REPLY "$3\r\nxxx\r\n"
#define OK_REPLY "+OK\r\n"
/* No request is shorter than three bytes, no reply longer than nine. */
#define OUTPUT_BYTES (3 * INPUT_BYTES)

enum parse { PARSE_PARTIAL, PARSE_DONE, PARSE_BAD };

struct peer {
    struct ev_io watcher;
    size_t held; /* bytes of an unfinished request at the start of input */
    char input[INPUT_BYTES];
};

/* One buffer for all: replies leave in the turn in which they are made. */
static char output[OUTPUT_BYTES];

/* A line of a type byte and a decimal number. Moves *cursor behind it when it is there in full. */
static enum parse parse_header(const char **cursor, const char *end, char type, size_t *number)
{
    const char *at = *cursor;
    size_t value = 0;
    if (at == end)
        return PARSE_PARTIAL;
    if (*at++ != type)
        return PARSE_BAD;
    for (; at < end && *at != '\r'; at++) {
        unsigned digit = (unsigned)*at - '0';
        if (digit > 9 || value > INPUT_BYTES)
            return PARSE_BAD;
        value = value * 10 + digit;
    }
    if (end - at < 2)
        return PARSE_PARTIAL;
    *number = value;
    *cursor = at + 2;
    return PARSE_DONE;
}

/* One request. Moves *cursor behind it and stores the first letter of its command. */
static enum parse parse_request(const char **cursor, const char *end, char *letter)
{
    const char *at = *cursor;
    size_t argc, len;
    enum parse result = parse_header(&at, end, '*', &argc);
    *letter = 0;
    for (size_t i = 0; result == PARSE_DONE && i < argc; i++) {
        result = parse_header(&at, end, '$', &len);
        if (result != PARSE_DONE)
            break;
        if ((size_t)(end - at) < len + 2)
            return PARSE_PARTIAL;
        if (i == 0)
            *letter = *at;
        at += len + 2;
    }
    if (result == PARSE_DONE)
        *cursor = at;
    return result;
}

static void peer_destroy(struct ev_loop *loop, struct peer *peer)
{
    ev_io_stop(loop, &peer->watcher);
    close(peer->watcher.fd);
    free(peer);
}

static size_t answer(char *to, char letter)
{
    if (letter == 'G' || letter == 'g') {
        memcpy(to, VALUE_REPLY, sizeof VALUE_REPLY - 1);
        return sizeof VALUE_REPLY - 1;
    }
    memcpy(to, OK_REPLY, sizeof OK_REPLY - 1);
    return sizeof OK_REPLY - 1;
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    struct peer *peer = (struct peer *)watcher;
    ssize_t got = recv(watcher->fd, peer->input + peer->held, INPUT_BYTES - peer->held, 0);
    (void)events;
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            peer_destroy(loop, peer);
        return;
    }

    const char *cursor = peer->input, *end = peer->input + peer->held + (size_t)got;
    enum parse result;
    size_t len = 0;
    char letter;
    while ((result = parse_request(&cursor, end, &letter)) == PARSE_DONE)
        len += answer(output + len, letter);
    peer->held = (size_t)(end - cursor);
    memmove(peer->input, cursor, peer->held);

    ssize_t sent = len ? send(watcher->fd, output, len, MSG_NOSIGNAL) : 0;
    if (result == PARSE_BAD || sent != (ssize_t)len || peer->held == INPUT_BYTES)
        peer_destroy(loop, peer);
}

static void on_connection(struct ev_loop *loop, struct ev_io *listener, int events)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    (void)events;
    if (fd < 0)
        return;
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ev_io_init(&peer->watcher, on_readable, fd, EV_READ);
    ev_io_start(loop, &peer->watcher);
}

static int listen_on_loopback(unsigned short port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1024) == 0)
        return fd;
    perror("null_server");
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: null_server PORT\n");
        return 1;
    }
    struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
    struct ev_io listener;
    ev_io_init(&listener, on_connection, listen_on_loopback((unsigned short)atoi(argv[1])), EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
