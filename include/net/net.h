/*
 * Net: the event loop, the listeners, and the loop's turns.
 *
 * The only user of libev and of sockets. It knows bytes and requests, not commands: above it is one receiver with three
 * functions.
 *
 * A turn of the loop: read from every readable connection, into a buffer that all share while they have no partial
 * request, and cut what came into requests; hand all requests over in one batch (in several, if they are very many);
 * run the receiver's background work for a slice; send what waits on each connection; sleep. A client that sends or
 * receives much gets a bounded share of each turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "net/turns.h"
#include "resp/output.h"
#include "resp/request.h"

struct blob;
struct connection;
struct net;
struct tls_context;

/* What net calls. All run on the loop's thread. */
struct net_receiver {
    /*
     * A client connected. Returns the owner that its requests will carry, or NULL to drop the connection after what
     * `out` holds was sent. `out` belongs to the connection: what is appended to it outside of an execution of this
     * owner's requests is announced by connection_wake.
     */
    void *(*opened)(void *context, struct connection *connection, struct output *out);
    /*
     * Executes a batch, in order; sets `done` in each request that need not be offered again. A connection's requests
     * follow one another; after one that is not done (connection_pause) none of the same owner may be done. What is not
     * done of a connection that is not paused is offered again soon. Must not call net_turn.
     */
    void (*execute)(void *context, struct request *requests, size_t count);
    /* The connection is gone; the owner is not used again. Called once, between batches. */
    void (*closed)(void *context, void *owner);
    void *context;
    /*
     * Nothing will reach the connection's client any more, and nothing more of what it sends is read: it has left, or
     * is made to. May come in the midst of a batch; `closed` follows. NULL: that is early enough.
     */
    void (*leaving)(void *context, void *owner);
    /*
     * A large argument has come a little further: the request's arguments before it, and the blob in which it is being
     * read and will have `len` bytes. Called at most once a turn for each connection, and only if the request will be
     * the next that is executed. What is done about it comes out of the turn. NULL: nothing is.
     */
    void (*arriving)(
        void *context, void *owner, const struct bytes *argv, uint32_t argc, struct blob *blob, size_t len);
};

/* What the server may change while it runs; net reads it whenever it matters. Owned by the server. */
struct net_settings {
    size_t bulk_max;          /* proto-max-bulk-len */
    size_t query_buffer_max;  /* client-query-buffer-limit */
    uint32_t clients_max;     /* maxclients */
    uint32_t idle_timeout_s;  /* timeout; 0 is never */
    uint32_t keepalive_s;     /* tcp-keepalive; 0 is off */
    int backlog;              /* tcp-backlog */
    bool io_uring;            /* io-uring: many small answers in one system call, where the kernel can */
    struct net_output_limit { /* client-output-buffer-limit, by class; 0 is unlimited */
        uint64_t hard_bytes, soft_bytes;
        uint32_t soft_s;
    } output_limits[3]; /* normal, replica, pubsub */
};

struct net_stats {
    uint64_t connections_received, connections_rejected;
    uint64_t input_bytes, output_bytes;
    uint64_t reads, writes; /* system calls that moved bytes */
    uint64_t turns;         /* of the loop, */
    struct turns spans;     /* and how long they took */
    uint64_t query_limit_closed, output_limit_closed;
    uint64_t tls_handshakes, tls_resumed, tls_failed; /* completed; of these, by a ticket or the cache; given up */
    uint64_t tls_broken;                              /* connections that broke the protocol later on */
    size_t connections;                               /* open now */
    size_t input_memory, output_memory;               /* bytes that connections hold */
};

struct net *net_create(const struct net_settings *settings, const struct net_receiver *receiver);

/* Closes everything, calling `closed` for every owner. NULL is nothing. */
void net_destroy(struct net *net);

/*
 * Listens on an address ("127.0.0.1", "::1", "*", "::*" as `bind` has them, or a host name) and port (0 lets the system
 * choose), or on a Unix socket with these permissions (0 keeps the umask's), replacing what is at the path. False and a
 * text in `error` on failure, with errno set.
 */
bool net_listen_tcp(struct net *net, const char *address, uint16_t port, char *error, size_t error_size);
/* The same for TLS; net_set_tls comes first. */
bool net_listen_tls(struct net *net, const char *address, uint16_t port, char *error, size_t error_size);
bool net_listen_unix(struct net *net, const char *path, uint32_t mode, char *error, size_t error_size);

/* Takes the context over, for connections accepted from now on. */
void net_set_tls(struct net *net, struct tls_context *context);

/* Stops listening everywhere (open connections stay); unlinks Unix sockets. */
void net_unlisten(struct net *net);

/* The TCP port that the first listener without TLS has, 0 if there is none: for who asked for port 0, as tests do. */
uint16_t net_port(const struct net *net);

/* Runs until net_stop. */
void net_run(struct net *net);
void net_stop(struct net *net);

/*
 * Goes on accepting, reading, executing and sending without blocking, for one turn: for long work that must let others
 * live. To be called from timers, signals, notifications and background work, or before net_run; never while a batch is
 * executed. The timer or background work that calls it is not called again from within.
 */
void net_turn(struct net *net);

/* Calls `fire` every `interval_ms`, the first time perhaps earlier; 0 ends it. One timer a slot. */
enum { NET_TIMERS = 3 };
void net_set_timer(struct net *net, int slot, uint32_t interval_ms, void (*fire)(void *context), void *context);

/* Calls `fire` on the loop when the signal arrives; once per signal number. */
void net_set_signal(struct net *net, int signal, void (*fire)(void *context, int signal), void *context);

/* Calls `fire` on the loop soon after any thread called net_notify (several calls may become one). */
void net_set_notify(struct net *net, void (*fire)(void *context), void *context);
void net_notify(struct net *net);

/*
 * Background work: `run` is called once a turn, between executing and sending, and answers whether it has more to do;
 * while it has, the loop does not sleep. net_wake_background calls for it again after it answered false.
 */
void net_set_background(struct net *net, bool (*run)(void *context), void *context);
void net_wake_background(struct net *net);

/*
 * To be called by that function only, when it answers that it has more to do: the loop need not stay awake for it
 * before `moment_ns` (of clock_mono_ns). It is still called in every turn that there is for other reasons. A thread
 * that sleeps between its slices is scheduled at once when somebody asks for something; one that is always busy queues.
 */
void net_nap_background(struct net *net, uint64_t moment_ns);

/*
 * Called before anything is sent, at least once a turn and more often when very many clients are active: the moment to
 * make durable what the replies acknowledge.
 */
void net_set_before_send(struct net *net, void (*run)(void *context), void *context);

/* The loop takes a turn at that moment (of clock_mono_ns) at the latest. The earliest of several moments holds. */
void net_turn_at(struct net *net, uint64_t moment_ns);

/* Called after what waited was offered to the sockets. */
void net_set_after_send(struct net *net, void (*run)(void *context), void *context);

/* When the turn under way began, in ticks (base/clock.h): the loop has known since then of what is read in it. */
uint64_t net_turn_began(const struct net *net);

/* The counters since creation or the last reset; what is held now is not reset. */
void net_stats_read(const struct net *net, struct net_stats *stats);
void net_stats_reset(struct net *net);
