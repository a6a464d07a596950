/*
 * Engine: executes requests against a keyspace.
 *
 * It owns the command registry, the sessions, the tasks that run in slices, slow log and statistics; it is handed the
 * keyspace, the settings and the time. It knows neither sockets nor configuration files: the server layer joins it to
 * both.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/random.h"
#include "engine/memory.h"
#include "engine/shared_reply.h"
#include "resp/output.h"

struct acl;
struct asides;
struct blames;
struct command_info;
struct command_registry;
struct error_stats;
struct fills;
struct hotkeys;
struct insight;
struct json_lengths;
struct json_path_cache;
struct keyspace;
struct latency;
struct monitors;
struct propagation;
struct pubsub;
struct request;
struct session;
struct slowlog;
struct table;
struct task_link;
struct trackers;
struct waits;
struct watches;

/* What the server may change while it runs. Owned by the server; the engine reads it whenever it matters. */
struct engine_settings {
    int64_t slowlog_log_slower_than_us; /* negative: off; 0: everything */
    uint64_t slowlog_max_len;
    bool latency_tracking;
    int64_t latency_threshold_ms; /* of events that are remembered (engine/latency.h); 0: none are */
    size_t bulk_max;              /* longest string, bytes */
    bool lazyfree_lazy_user_del, lazyfree_lazy_user_flush;
    int enable_debug_command, enable_module_command; /* 0 no, 1 yes, 2 local connections only */
    uint32_t notify_events;                          /* enum notify_class */
    struct memory_settings memory;
};

struct engine_stats {
    uint64_t commands; /* executed */
    uint64_t sessions_opened;
    uint64_t errors;        /* error replies */
    uint64_t slow_commands; /* ever logged in the slow log */
};

/*
 * Calls of one command by one session, one behind the other, that were not yet added to what is counted of both. They
 * are at the end of each window of a batch, and before any command that could tell of it.
 */
struct tally {
    struct command_info *command; /* borrowed, as is the session; NULL: there are none */
    struct session *session;
    uint64_t calls, ticks;
    uint64_t starts; /* the sum of the moments, in ticks, at which they began; wraps around */
};

struct engine {
    struct memory_state memory;             /* of the limit */
    struct keyspace *keyspace;              /* borrowed */
    const struct engine_settings *settings; /* borrowed */
    void *host;                             /* borrowed: the server, for its own handlers */
    void (*describe_client)(
        const struct session *session, struct buf *out); /* of the server: as CLIENT INFO; or NULL */
    struct acl *acl;                                     /* owned */
    struct command_registry *registry;                   /* owned */
    struct session *sessions, *last_session;             /* owned list, oldest first */
    struct table *sessions_by_id;                        /* owned */
    struct watches *watches;                             /* owned: watched keys */
    struct pubsub *pubsub;                               /* owned: channels and their subscribers */
    size_t session_count;
    size_t queued_memory; /* of all transactions' queues */
    size_t kept_memory;   /* kept_bytes of all sessions */
    size_t watchers;      /* sessions that watch keys */
    uint64_t next_session_id;
    struct task_link *tasks;         /* owned ring of what runs in slices; the one to run next */
    size_t task_count, orphan_count; /* all, and those whose client has left */
    uint64_t task_steps;             /* that they may still make; UINT64_MAX: any number (DEBUG TASK-STEPS) */
    struct asides *asides;           /* owned: handlers that run in slices, and the keys they hold */
    struct trackers *trackers;       /* owned: keys that clients have cached (engine/tracking.h) */
    bool told_of_flush;              /* in the command under way: all trackers know that everything changed */
    struct fills *fills;             /* owned: leases of missing keys (engine/fill.h) */
    struct waits *waits;             /* owned: who waits for which key */
    bool loading;                    /* data are read from a file: only commands with CMD_LOADING are executed */
    bool flushed_all;                /* every database was emptied: what is being saved of them is not wanted */
    const char *refusal;             /* the error that commands which write get; NULL: they are executed. Borrowed */
    bool is_well;                    /* that is nothing to tell those who ask for this server's health (PING) */
    bool trusts_payloads;            /* RESTORE does not test checksums; for tests */
    bool is_strict;                  /* commands are restrained or watched: by a limit, a pause, a monitor, ... */
    bool is_telling;                 /* some clients are still to be told that a key has changed (engine/tracking.h) */
    bool keys_ready;                 /* somebody waits for a key that has changed */
    struct monitors *monitors;       /* owned: who sees every command; NULL if nobody does */
    struct error_stats *errors;      /* owned: counts by code word */
    struct slowlog *slowlog;         /* owned */
    struct insight *insight;         /* owned: what is hot (engine/insight.h) */
    struct hotkeys *hotkeys;         /* owned: a tracking session (engine/hotkeys.h); NULL if there is none */
    uint32_t insight_in;             /* so many commands until insight looks at one */
    struct tally tally;              /* of calls that are to be added to what is counted */
    struct latency *latency;         /* owned: what took long (engine/latency.h) */
    struct blames *blames;           /* owned: who made others wait (engine/blame.h) */
    struct shared_reply shared_reply;
    struct propagation *propagation;         /* owned; NULL while nobody wants to know of changes */
    const struct request *batch, *batch_end; /* borrowed: what is being executed */
    uint32_t executing;                      /* depth of commands, retries and steps of tasks under way */
    struct session *current;                 /* borrowed: whose command is executed; NULL between commands */
    struct session *stepping;                /* borrowed: whose task has a step under way; NULL: none, or he has left */
    bool finished_others;                    /* a command had tasks of other clients carried out */
    struct output late;                      /* what was pushed to it meanwhile, to be sent behind its reply, ... */
    bool has_late;                           /* ... if anything was */
    struct arena arena;                      /* of the command under way */
    struct json_path_cache *paths;           /* owned: JSON paths, compiled */
    struct json_lengths *lengths;            /* owned: of documents that were answered whole */
    struct buf text;                         /* for JSON text on its way to a reply; empty between commands */
    struct random random;
    struct engine_stats stats;
    int64_t now_ms;         /* since 1970, as of this batch or tick */
    int64_t pause_until_ms; /* CLIENT PAUSE; 0 if none */
    bool pause_all;         /* else only what writes */
    bool is_jammed;         /* what writes waits for those who write it down */
    int64_t slow_us;        /* the slow log's threshold that slow_ticks was computed from */
    uint64_t slow_ticks;
    int64_t notable_ms;     /* latency_threshold_ms that notable_ticks was computed from */
    uint64_t notable_ticks; /* after a command this slow somebody may want to know of it */
    uint64_t blame_ticks;   /* BLAME_US */
    uint64_t held_ticks;    /* taken by notable commands, ever */
    uint64_t read_ticks;    /* when the batch that comes was read; 0: it came from nowhere */
    uint64_t refresh_ticks; /* after a command this slow the wall clock is read again */
};

struct engine *engine_create(struct keyspace *keyspace, const struct engine_settings *settings, void *host);

/* Ends all sessions (without their transports), then everything else. NULL is nothing. */
void engine_destroy(struct engine *engine);

/* To be called whenever the setting notify_events has changed, after engine_create. */
void engine_refresh_notifications(struct engine *engine);

/*
 * Executes a batch of requests whose owners are sessions, in order; sets `done` as net/net.h wants it. All requests are
 * planned first: command looked up, first key hashed, bucket and then entry prefetched. `now_ms` is read once per batch
 * and again after anything slow.
 */
void engine_execute(struct engine *engine, struct request *requests, size_t count);

/* Runs tasks for about `budget_ns`; true while some are left. */
bool engine_run_tasks(struct engine *engine, uint64_t budget_ns);

/* Tasks that are under way; answering a crowd that waited for the same key counts as one. */
size_t engine_task_count(const struct engine *engine);

/* To be called some ten times a second: ends pauses that are over. */
void engine_tick(struct engine *engine, int64_t now_ms);

/*
 * Stops clients from executing (all commands, or those that write) until a moment; CLIENT PAUSE and UNPAUSE. What
 * expires meanwhile is not seen, but stays: nothing changes.
 */
void engine_pause(struct engine *engine, int64_t until_ms, bool all);
void engine_unpause(struct engine *engine);

/* Commands that write wait until this is called again with false: what they would change cannot be written down as
 * fast. O(clients) in the end. */
void engine_jam(struct engine *engine, bool jammed);

/* How many clients wait for the end of a pause. O(clients) while there is one. */
size_t engine_paused(const struct engine *engine);
