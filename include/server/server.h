/*
 * Server: joins configuration, network, engine and keyspace, and runs the clockwork.
 *
 * There is one struct server, created by main and handed down; it is no global. Handlers of the server layer reach it
 * through their call's engine (server_of).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/engine.h"
#include "engine/propagate.h"
#include "server/aof.h"
#include "server/child.h"
#include "server/config.h"
#include "server/defrag_pace.h"
#include "server/save.h"
#include "server/waitaof.h"
#include "store/defrag.h"

struct census;
struct http;
struct keyspace;
struct net;

/* Rates over the last few seconds: a ring of samples of a growing counter. */
enum { SERVER_RATE_SAMPLES = 16 };
struct server_rate {
    uint64_t last;
    int64_t last_ms;
    uint64_t samples[SERVER_RATE_SAMPLES]; /* per second */
    int next;
};

/* Where the loop's time goes, for INFO debug; in ticks of base/clock.h, since the last CONFIG RESETSTAT. */
struct server_work {
    uint64_t log_ticks, cron_ticks; /* writing the append-only file within turns; the clockwork */
    uint64_t turn_began;            /* of the turn that `commands` counts */
    uint64_t commands, commands_max;
};

/* The background walk over what expires. */
struct server_expiry {
    bool is_timed;           /* its timer is set, since something can expire */
    bool active;             /* DEBUG SET-ACTIVE-EXPIRE */
    int db;                  /* the database it is in */
    uint64_t resume_ns;      /* sleeps until then */
    uint64_t round_start_ns; /* of the round over all databases */
    uint64_t found_in_round; /* keys removed in it */
    uint64_t spent_ns;       /* in all */
    uint64_t cap_reached;    /* slices that ended with more to do */
};

/* Active defragmentation. */
struct server_defrag {
    bool running;
    int db;                  /* being walked */
    struct defrag_walk walk; /* in it */
    struct defrag_pace pace;
    uint64_t begun_ns, resume_ns;
    size_t most_used;                  /* bytes, that were ever seen */
    uint64_t run_ns;                   /* that walks took, rests included, without this one */
    struct defrag_stats stats, before; /* before: at the beginning of the walk */
};

/* What is always watched: when its clockwork ran last. */
struct server_insight {
    int64_t ticked_ms, faded_ms;
    uint64_t cpu_ns; /* of the loop's thread, when it last ticked */
};

struct server {
    struct config config;
    struct keyspace *keyspace; /* owned */
    struct engine *engine;     /* owned */
    struct net *net;           /* owned */
    struct http *http;         /* owned: for monitoring; NULL until it is switched on */
    struct census *census;     /* owned: sizes of keys */
    struct server_insight insight;
    struct child child;  /* the forked one, if there is one */
    struct saves *saves; /* owned */
    struct aof *aof;     /* owned */
    struct waitaof waitaof;
    struct propagation_sink aof_sink;
    atomic_uint errands; /* threads that work for a command (errand.c) */
    char run_id[41];
    char *executable;   /* owned: absolute path */
    int64_t started_ms; /* since 1970 */
    uint64_t started_ns;
    size_t memory_at_start, memory_peak; /* bytes */
    size_t watching_at_start;            /* memory_of_watching then */
    int64_t memory_peak_ms;
    bool tls_loaded; /* there are certificates */
    uint64_t cron_ticks;
    uint64_t slice_end_ns, slice_spent_ns; /* of background work: when the last slice ended, and how long it took */
    bool background_pending;               /* the last slice left work */
    bool only_defrag_pending;              /* and nothing but that */
    bool busy_since_slice;                 /* requests were executed since, */
    bool busy_before_slice;                /* and between it and the one before */
    struct server_rate commands_rate, input_rate, output_rate, turns_rate, turn_ns_rate;
    struct server_work work;
    struct server_arrivals { /* of large arguments: the last turn that had some, what was executed before, time left */
        uint64_t turn_began, commands, left_ns;
    } arrivals;
    struct server_expiry expiry;
    struct server_defrag defrag;
    int oom_base; /* the score that the process was started with, while oom-score-adj is on */
    bool oom_is_set;
    uint64_t evicted_clients; /* disconnected because clients held too much memory */
    int shutdown_signal;      /* the signal that asked for the end; 0 if none */
    bool shutting_down;
    bool cron_paused;    /* DEBUG PAUSE-CRON */
    bool shutdown_waits; /* until the clockwork goes on */
    int64_t deadline_ms; /* for which the timer of waits is set; 0 if it is not */
    bool watched;        /* the watchdog's timer is set */
    int64_t logged_ms;   /* when the statistics went to the log last */
};

/* The server behind a call. */
static inline struct server *server_of(const struct call *call)
{
    return call->engine->host;
}

/* Creates everything from an initialised configuration, which the server takes over, and listens. NULL, with the reason
 * logged, on failure. */
struct server *server_create(struct config *config);

/* Runs until it is told to stop; returns the process's exit code. */
int server_run(struct server *server);

/* Frees everything. */
void server_destroy(struct server *server);

enum shutdown_save { SHUTDOWN_AS_CONFIGURED, SHUTDOWN_SAVE, SHUTDOWN_NOSAVE };

/*
 * SHUTDOWN, SIGTERM: saves if there are save points or it is asked to, and ends the loop. False, with the reason
 * logged, if the save failed, unless by `force`; the server then goes on.
 */
bool server_shutdown(struct server *server, enum shutdown_save save, bool force);

/* The same for the signal in `shutdown_signal`, as its directive says. */
void server_shutdown_on_signal(struct server *server);

/* Opens the listening sockets that the configuration names; false, with the reason in `error`, if one that must work
 * does not. */
bool server_listen(struct server *server, struct buf *error);

/* Reads certificates and keys for new connections of TLS; false, with the reason logged, and those before stay. */
bool server_load_tls(struct server *server);

/* Opens the port for monitoring, or closes it; false, with the reason in `error`. (metrics.c) */
bool server_serve_metrics(struct server *server, struct buf *error);

/* Values that depend on configuration are set anew: after start and after CONFIG SET. */
void server_apply_settings(struct server *server);

/* --- cron.c: the clockwork --- */

/* Starts timers and background work. */
void cron_start(struct server *server);

/* Takes over how often the clockwork ticks (hz). */
void cron_set_hz(struct server *server);

/* A rate per second, averaged over the samples. */
uint64_t server_rate_value(const struct server_rate *rate);

/* Forgets statistics (CONFIG RESETSTAT). */
void server_reset_stats(struct server *server);

/* --- Families of commands that the server layer adds --- */
extern const struct command acl_commands[];
extern const struct command admin_commands[];
extern const struct command aof_commands[];
extern const struct command client_commands[];
extern const struct command config_commands[];
extern const struct command debug_commands[];
extern const struct command hotkeys_commands[];
extern const struct command info_commands[];
extern const struct command latency_commands[];
extern const struct command memory_commands[];
extern const struct command migrate_commands[];
extern const struct command save_commands[];
extern const struct command script_commands[];
extern const struct command slowlog_commands[];
extern const struct command waitaof_commands[];
