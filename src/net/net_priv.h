/*
 * What the files of net share: the loop, a connection, what it holds of its input, and the batch being gathered.
 *
 * A turn has phases, and each list here is drained in one of them:
 *
 *   libev's callbacks   readable connections are read and cut into the batch (input.c, batch.c)
 *   heavy               then those that sent much when last read, as many as the turn has time for
 *   execute             the batch goes to the receiver; what is left over is kept with its connection
 *   ready               connections resumed since then offer what they kept, once more
 *   background, before_send
 *   writers, woken      what waits is sent (send.c)
 *   closing             connections are freed: nowhere else, so that no pointer dangles within a turn (connection.c)
 *
 * A connection is in each list at most once (its flags tell), and idle it owns nothing but its struct. All lists but
 * `writers` may be left with something at the end of a turn; then another turn follows at once.
 */
#pragma once

#include <ev.h>

#include "batch_priv.h"
#include "listen_priv.h"
#include "net/connection.h"
#include "net/net.h"
#include "send_ring_priv.h"
#include "tls_priv.h"

enum {
    NET_AREA_MIN = 64 * 1024,           /* the input buffer that connections share, */
    NET_AREA_MAX = 256 * 1024,          /* which is as large as it has to be */
    NET_READ_MAX = 64 * 1024,           /* bytes read from a connection in one turn */
    NET_READ_MIN = 16 * 1024,           /* room below which the batch gathered so far is executed first */
    NET_LARGE_READ_MAX = 256 * 1024,    /* bytes of a large argument read in one turn: about 50 us of copying */
    NET_LIGHT_READ = 512,               /* who sent more at once when last read has to let others go first */
    NET_HEAVY_REQUESTS = 256,           /* of theirs are executed at once */
    NET_SEND_MAX = 256 * 1024,          /* bytes sent to a connection in one turn, ... */
    NET_SEND_TURN = 512 * 1024,         /* ... about that many to all that have much to get, ... */
    NET_SEND_MIN = 16 * 1024,           /* ... and each of them at least so many */
    NET_WOKEN_NS = 500 * 1000,          /* time in one turn for those that others woke, if there are very many */
    NET_FREE_MAX = 4 * 1024 * 1024,     /* bytes of output of a closed connection that are freed in one turn */
    NET_UNKNOWN_OUTPUT_MAX = 64 * 1024, /* bytes that may wait for a client that has not authenticated */
    NET_PAUSED_INPUT_MAX = 64 * 1024,   /* a paused connection that holds more is not read from */
    NET_BATCH_REQUESTS = 1024,          /* requests in one call of execute */
    NET_BATCH_CONNECTIONS = 256,        /* in one batch: more are answered before others are read */
    NET_SWEEP_MS = 100,                 /* between two looks at a tenth of the connections */
};

/* A growing list of connections, each borrowed. */
struct connections {
    struct connection **ptr; /* owned */
    size_t count, cap;
};

struct connection {
    struct ev_io io; /* first: libev's callbacks are handed this */
    struct net *net; /* borrowed */
    void *owner;     /* borrowed: the receiver's */
    struct output out;
    struct input *input;       /* owned; NULL while nothing waits */
    struct listener *listener; /* a reference */
    struct tls_link *tls;      /* owned; NULL without TLS */
    uint64_t input_bytes, output_bytes;
    uint64_t sendable;       /* while held: of all output ever, what may be sent */
    uint64_t active_ms;      /* when bytes last moved */
    size_t output_accounted; /* bytes that net's output_memory counts for it */
    uint32_t index;          /* in net's connections */
    uint32_t woken_index;    /* in net->woken, while is_woken */
    uint32_t soft_since_s;   /* since when its output is above the soft limit; 0: it is not */
    struct address peer, local;
    uint8_t limit_class;
    bool authenticated : 1, patient : 1, is_held : 1, paused : 1;
    bool is_deaf : 1;     /* paused, and nothing is read from it: it holds much, or sends no more */
    bool eof : 1;         /* the client sends no more */
    bool finishing : 1;   /* to be closed once its output was sent; reads and executes no more */
    bool closing : 1;     /* in net->closing */
    bool is_ready : 1;    /* in net->ready */
    bool is_heavy : 1;    /* much came when it was last read; */
    bool is_queued : 1;   /* in net->heavy */
    bool is_writer : 1;   /* in net->writers */
    bool is_woken : 1;    /* in net->woken */
    bool is_stuck : 1;    /* the socket takes no more: waits to be writable, */
    bool is_writable : 1; /* which it became in this turn */
};

struct net_timer {
    struct ev_timer timer;
    bool is_firing;
    void (*fire)(void *context);
    void *context;
};

struct net_signal {
    struct ev_signal signal;
    struct net_signal *next; /* owned */
    void (*fire)(void *context, int signal);
    void *context;
};

struct net {
    struct ev_loop *loop;
    const struct net_settings *settings; /* borrowed: the server's */
    struct net_receiver receiver;
    uint64_t now_ms;                       /* of this turn, monotonic */
    char *area;                            /* owned: area_cap bytes */
    size_t area_cap, area_used, area_most; /* the latter since the last trim */
    struct batch batch;
    struct output_pool output_pool; /* of all connections */
    struct connections all, ready, writers, closing;
    struct connections heavy;      /* readable, and to be read after those that send little, in order of arrival */
    struct connections unread;     /* by TLS: there is more than their sockets tell of */
    struct connections woken;      /* by others than their own requests; NULL where one left the list */
    size_t woken_at;               /* index in `woken` of the next to be sent to */
    struct doomed *doomed;         /* owned chain, send.c's */
    size_t sweep_at, sweeps;       /* index in `all`; sweeps since the last trim */
    uint64_t swept_ms, awake_ms;   /* when connections were last gone through; when that last came late */
    size_t soft_count, deaf_count; /* connections above their soft limit; and deaf ones */
    size_t bulk_senders;           /* connections that got NET_SEND_MIN and more when last was sent */
    size_t send_share;             /* bytes that each connection may get this turn */
    struct send_ring *ring;        /* owned: sends for many at once; NULL where there is none */
    struct ring_send gathered[SEND_RING_MAX];
    unsigned gathered_count;     /* of these, for the ring */
    bool wants_ring;             /* as the settings were when last looked at */
    struct tls_context *tls;     /* owned: for new connections; NULL if there are none of TLS */
    char *tls_record;            /* owned: in which small chunks are gathered */
    size_t handshakes;           /* under way */
    uint64_t handshake_ns;       /* spent on them in this turn */
    struct listener **listeners; /* owned */
    size_t listener_count;
    struct ev_timer accept_again, sweep;
    uint64_t accept_warned_ms;
    struct ev_idle again; /* active while the next turn must not wait */
    struct ev_async notify;
    void (*notify_fire)(void *context);
    void *notify_context;
    struct net_timer timers[NET_TIMERS];
    struct net_signal *signals; /* owned chain */
    bool (*background)(void *context);
    void *background_context;
    bool background_wanted, in_background, in_turn;
    bool naps;           /* the background work is content with the timer */
    uint64_t nap_end_ns; /* for when the timer is set; 0: it is not */
    struct ev_io nap;    /* of a timer descriptor: finer than libev's timers, which last a millisecond at least */
    void (*before_send)(void *context), (*after_send)(void *context);
    void *before_send_context, *after_send_context;
    uint64_t turn_began; /* by the processor's counter */
    struct net_stats stats;
};

/* net.c */
/* The next turn is not to wait. */
void net_hurry(struct net *net);

/* Sends what waits, after the receiver had its chance to make durable what that acknowledges. */
void net_send(struct net *net);

void connections_push(struct connections *list, struct connection *connection);

/* connection.c */
/* Takes over the socket and a reference to the listener, and tells the receiver, or does so after the handshake. */
void connection_open(struct listener *listener, int fd, const struct address *peer);

/* Tells the receiver of a connection that can be talked to. */
void connection_admit(struct connection *connection);

/* Frees those in net->closing, `most` of them at most. True if some are left. */
bool connection_free_closing(struct net *net, size_t most);

/* Closes what is idle or too long above a soft limit, among the next tenth of the connections. */
void connection_sweep(struct net *net);

/* Watches for what the state of the connection calls for. */
void connection_watch(struct connection *connection);

/* Puts it into net->ready, net->writers or net->woken, unless it is there. */
void connection_push_ready(struct connection *connection);
void connection_push_heavy(struct connection *connection);
void connection_push_writer(struct connection *connection);
void connection_push_woken(struct connection *connection);

/* Writes an error reply, and closes after it: for what is wrong before a request can be made of it. */
void connection_fail(struct connection *connection, struct bytes text);

/* send.c */
/* Sends to all writers, and to as many of the woken as a turn has time for. */
void send_all(struct net *net);

/* Sends what was gathered for the ring: before outputs change. */
void send_gathered(struct net *net);

/* Takes it out of net->woken, if it is there. */
void send_forget_woken(struct connection *connection);

/* Frees the output of a closed connection: now if that is quick, otherwise in slices. */
void send_drop(struct connection *connection);

/* Frees another slice of what send_drop left; there is some. */
void send_free_doomed(struct net *net);

/* Closes the connection if its output is above a limit of its class. */
void send_check_limit(struct connection *connection);
