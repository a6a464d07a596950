/*
 * The seam between connections and TLS.
 *
 * A connection without TLS has no link, and what it is asked costs one test. With one, bytes go through tls_receive and
 * tls_send, which stand for recv and sendmsg, and what its watcher waits for is asked of tls_wanted. Until the
 * handshake is over the receiver above knows nothing of the connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct connection;
struct net;
struct ssl_st;
struct tls_context;

enum {
    NET_HANDSHAKE_NS = 500 * 1000, /* time in one turn for handshakes, or one step of one */
    NET_HANDSHAKE_MS = 10 * 1000,  /* from accepting to the end of the handshake */
};

struct tls_link {
    struct ssl_st *ssl; /* owned; NULL until the client has sent something */
    bool handshaking;
    bool reading_wants_write, writing_wants_read;
    bool has_pending; /* more was decrypted, or could be, than was asked for: the socket does not tell of it */
    bool is_listed;   /* in net->unread */
    bool failed;      /* nothing more may be said */
};

/* A new connection on a TLS port: waits for the client to begin. */
void tls_begin(struct connection *connection);

/* Says goodbye, if that is possible at once, and frees the link. */
void tls_end(struct connection *connection);

/*
 * Something happened on the socket. True if the connection is open for what is in *events afterwards (EV_READ,
 * EV_WRITE), which may be more or less than before; false while the handshake goes on or when it failed.
 */
bool tls_on_event(struct connection *connection, int *events);

/* What the watcher must wait for, if the connection wants `wanted`. */
int tls_wanted(const struct connection *connection, int wanted);

/* As recv: bytes, 0 at the end, -1 with errno EAGAIN or another. Fills `room` as far as there is something. */
ssize_t tls_receive(struct connection *connection, char *out, size_t room);

/* Sends at most about `share` bytes of the connection's output, without consuming them; as sendmsg. */
ssize_t tls_send(struct connection *connection, size_t share);

/* To be read again in the next turn, if something is pending that the socket will not tell of. */
void tls_push_unread(struct connection *connection);

/* At the beginning of a turn: calls for reading where something is pending. */
void tls_feed(struct net *net);

/* Closes a connection whose handshake takes too long. */
void tls_check_deadline(struct connection *connection);

/* A new conversation of the server's side; NULL when memory is out. */
struct ssl_st *tls_context_open(struct tls_context *context, int fd);
