/*
 * Session: what the engine knows of one client.
 *
 * It is created when a client connects and lives until the connection is gone. What few clients need hangs off
 * pointers, so that ten thousand idle ones cost little.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "resp/reply.h"

struct acl_user;
struct command_info;
struct db;
struct early;
struct engine;
struct session;
struct subscriber;
struct tracking;
struct task_link;
struct transaction;
struct watch;
struct waiter;

/* What the engine asks of whatever carries a session's bytes. */
struct transport {
    void (*wake)(void *connection);   /* output was appended outside of the session's own turn */
    void (*pause)(void *connection);  /* offer no more requests ... */
    void (*resume)(void *connection); /* ... until now */
    void (*close)(void *connection, bool after_output);
    void (*authenticated)(void *connection, bool yes);
    void (*set_class)(void *connection, int limit_class);
    void (*patient)(void *connection, bool yes); /* its client waits: silence is no reason to close */
    /* Closes it and returns true if so much output beside what waits is above its limit; NULL: there is none. */
    bool (*flooded)(void *connection, size_t more);
    void (*peer)(void *connection, char *out, size_t size); /* writes its address, terminated: "127.0.0.1:6379" */
    /* The request under way becomes the caller's, who frees both, if it has memory of its own; NULL: it never has. */
    bool (*take_request)(void *connection, const struct bytes *argv, struct bytes **own_argv, char **own_bytes);
};

/* Of a session without a client: whatever is asked of it, nothing happens; its address is "". */
extern const struct transport session_no_transport;

enum session_flag {
    SESSION_AUTHENTICATED = 1 << 0,
    SESSION_CLOSING = 1 << 1,   /* executes nothing more */
    SESSION_SUSPENDED = 1 << 2, /* a task or a wait is under way */
    SESSION_REPLY_OFF = 1 << 3,
    SESSION_REPLY_SKIP = 1 << 4,      /* the command under way is not answered */
    SESSION_REPLY_SKIP_NEXT = 1 << 5, /* the next one will not be */
    SESSION_NO_EVICT = 1 << 6,
    SESSION_NO_TOUCH = 1 << 7,
    SESSION_UNIX = 1 << 8,
    SESSION_POSTPONED = 1 << 9,   /* waits for the end of CLIENT PAUSE */
    SESSION_PRIVILEGED = 1 << 10, /* the peer is local: what is allowed to `local` only is allowed */
    SESSION_TOUCHED = 1 << 11,    /* a key that it watches was changed */
    SESSION_HELD_BACK = 1 << 12,  /* waits until a key is no longer held (engine/aside.h) */

    SESSION_PUBLISHES = 1 << 13, /* waits until fewer messages are being handed out (engine/pubsub.h) */

    /* Executes nothing now. */
    SESSION_WAITS = SESSION_SUSPENDED | SESSION_POSTPONED | SESSION_HELD_BACK | SESSION_PUBLISHES,

    SESSION_HIDDEN = 1 << 17,  /* has no client (session_hide) */
    SESSION_MONITOR = 1 << 16, /* sees every command (engine/monitor.h) */
    SESSION_LIMITED = 1 << 14, /* its user may not do everything */
};

struct session {
    struct engine *engine; /* borrowed */
    uint64_t id;
    uint32_t flags; /* enum session_flag */
    uint32_t watch_count;
    uint32_t watch_series;   /* counts up when it watches nothing any more */
    bool watches_parts;      /* something of which parts can expire */
    int64_t watch_expiry_ms; /* the first of what it watches, when it began to; 0: none */
    size_t watch_bytes;      /* of kept_bytes */
    struct reply reply;
    struct output *out;                  /* borrowed: the connection's; what is pushed goes here, even in silence */
    struct acl_user *user;               /* borrowed: whoever it speaks for (engine/acl.h) */
    struct db *db;                       /* borrowed: the selected database */
    const struct transport *transport;   /* borrowed: static */
    void *connection;                    /* borrowed: the transport's */
    struct session *prev, *next;         /* the engine's list, in order of creation */
    struct transaction *transaction;     /* owned; NULL outside of one */
    struct watch *watches;               /* owned list: the keys that it watches */
    struct subscriber *subscriber;       /* owned: what it has subscribed to; NULL if nothing */
    struct tracking *tracking;           /* owned: what it caches (engine/tracking.h); NULL if it does not say */
    struct tracking *sources;            /* borrowed list: of those whose messages of what changed go to it */
    struct task_link *task;              /* owned: the task that works for it; NULL otherwise */
    struct waiter *wait;                 /* owned: what it waits for; NULL otherwise */
    struct early *early;                 /* owned: what is done about a request that is arriving; NULL: nothing */
    char *name, *lib_name, *lib_version; /* owned; NULL if not set */
    struct command_info *last_command;   /* borrowed */
    int64_t created_ms, last_ms;         /* since 1970 */
    uint64_t commands;                   /* executed */
    uint64_t group;                      /* the last one whose changes are made durable together; 0: none */
    size_t kept_bytes;                   /* for its watched keys, subscriptions and prefixes, names included */
};

/* A new session that writes to `out`; proto is 2. Authenticated at once if no password is set. */
struct session *session_create(
    struct engine *engine, struct output *out, const struct transport *transport, void *connection);

/* No list of clients names it from now on: it is the server's own. */
void session_hide(struct session *session);

/* Ends it and whatever it waits for. To be called once its connection is gone. */
void session_destroy(struct session *session);

/*
 * Where a push to the session goes: to its connection, or, while the session executes a command, behind its reply. To
 * be called for each push.
 */
struct output *session_push(struct session *session);

/* Where what is sent to it between commands goes: to its output, or behind a reply under way that it must follow. */
struct output *session_outlet(struct session *session);

/* Its client is gone: whatever it waits for is given to others, and nothing more is executed. */
void session_stop_waiting(struct session *session);

/* Asks the transport to close; nothing more is executed. */
void session_close(struct session *session, bool after_output);

/* Opens the door to the session, or shuts it. */
void session_set_authenticated(struct session *session, bool yes);

/* Back to the state of a new session (RESET). */
void session_reset(struct session *session);

/* The session of that ID, or NULL. O(1). */
struct session *session_find(const struct engine *engine, uint64_t id);
