/*
 * Configuration: one table of directives, from which everything follows.
 *
 * A row says a directive's name, type, where it is kept, default, limits, help text, and whether it may change while
 * the server runs. The file reader, the command line, CONFIG GET, SET and REWRITE, the commented configuration file and
 * the manual page all read these rows.
 *
 * Settings that another layer reads live in that layer's own struct; the rest is here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "engine/engine.h"
#include "net/net.h"
#include "net/tls.h"
#include "store/settings.h"

struct server;

enum config_oom { OOM_LEFT_ALONE, OOM_RELATIVE, OOM_ABSOLUTE };
enum config_supervised { SUPERVISED_NO, SUPERVISED_SYSTEMD, SUPERVISED_UPSTART, SUPERVISED_AUTO };

enum config_appendfsync { APPENDFSYNC_EVERYSEC, APPENDFSYNC_ALWAYS, APPENDFSYNC_NO };

/* A rename-command line. */
struct config_rename {
    struct config_rename *next; /* owned */
    char *from, *to;            /* owned; to is "" for a command that is switched off */
};

enum { SAVE_POINTS_MAX = 64 };

/* When to save: if at least `changes` were made and `seconds` have passed. */
struct save_points {
    size_t count;
    struct save_point {
        int64_t seconds, changes;
    } points[SAVE_POINTS_MAX];
};

struct config {
    struct net_settings net;
    struct engine_settings engine;
    struct store_settings store;

    char *bind; /* owned: addresses separated by spaces; "-" before one means that it may be missing; "*" is all IPv4,
                   "::*" all IPv6 */
    int64_t port, tls_port;
    struct tls_settings tls;
    int64_t metrics_port;
    char *metrics_bind;      /* owned: as bind */
    char *unixsocket;        /* owned; "" is none */
    int64_t unixsocket_perm; /* 0: as the umask has it */
    bool protected_mode;
    char *users;   /* owned: the lines "user NAME rule ..." that were read; "" if none. CONFIG REWRITE writes them */
    char *aclfile; /* owned; "": users are in the configuration file */
    int acl_pubsub_default; /* what a new user may listen to: 0 all channels, 1 none */
    int64_t acllog_max_len;
    int64_t tracking_table_max_keys;
    struct buf requirepass; /* empty: the user default needs no password, unless an ACL says otherwise */

    bool daemonize;
    char *pidfile;  /* owned; "" is none, but a daemon then writes its default */
    int supervised; /* enum config_supervised */
    char *dir;      /* owned: the working directory */
    int loglevel;   /* enum log_level */
    char *logfile;  /* owned; "" is standard output */
    bool syslog_enabled;
    char *syslog_ident, *syslog_facility; /* owned */
    bool crash_log_enabled, use_exit_on_panic;
    int64_t watchdog_period_ms;
    bool set_proc_title;
    char *proc_title_template;
    bool always_show_logo;
    int64_t loop_nice; /* of the loop's thread; 0 leaves it alone */
    int oom_score_adj; /* enum config_oom */
    int oom_values[3]; /* of the server, of a replica, of children that save */

    char *dbfilename; /* owned */
    bool rdbcompression, rdbchecksum, rdb_save_incremental_fsync, stop_writes_on_bgsave_error;
    struct save_points save_points;
    int64_t min_replicas_to_write, min_replicas_max_lag; /* 0 for either: writing needs none */
    char *shutdown_on_sigint, *shutdown_on_sigterm;      /* owned: words */
    int64_t key_load_delay_us, rdb_key_save_delay_us;    /* below zero: so many keys for a microsecond */

    bool appendonly;
    char *appendfilename, *appenddirname; /* owned */
    int appendfsync;                      /* enum config_appendfsync */
    bool no_appendfsync_on_rewrite, aof_load_truncated, aof_use_rdb_preamble, aof_timestamp_enabled;
    bool aof_rewrite_incremental_fsync, aof_disable_auto_gc;
    int64_t auto_aof_rewrite_percentage, auto_aof_rewrite_min_size;

    int clients_percent;    /* maxmemory-clients as a percentage of maxmemory; 0 if it is in bytes */
    uint64_t clients_bytes; /* maxmemory-clients in bytes; 0 with neither: no limit */

    int64_t databases;
    int64_t hz;
    int64_t active_expire_effort;
    bool jemalloc_bg_thread;
    bool activedefrag;
    int64_t defrag_ignore_bytes, defrag_threshold_lower, defrag_threshold_upper;
    int64_t defrag_cycle_min, defrag_cycle_max;
    int enable_protected_configs;   /* 0 no, 1 yes, 2 local connections only */
    double latency_percentiles[16]; /* latency-tracking-info-percentiles */
    size_t latency_percentile_count;

    struct config_rename *renames; /* owned list */
    char *file;                    /* owned: the absolute path it was read from; NULL if none */
    char **texts;                  /* owned: by row, the values that are kept as text only; NULL for the others */
};

/* All defaults. Enters the working directory in the sense that `dir` then says where that is. */
void config_init(struct config *config);
void config_fini(struct config *config);

/*
 * Reads directives from text such as a configuration file has. Files named by `include` (globs allowed) are read in
 * place; `dir` enters the directory at once. On the first bad line nothing more is read, `error` gets a text that names
 * the line and what is wrong, and false is returned.
 */
bool config_read_text(struct config *config, struct bytes text, struct buf *error);

/*
 * Reads a command line's arguments (without the program's name) as redis-server does: [file | -] [--directive value
 * ...] ...; settings on the command line override the file. --help, --version and the like are not handled here.
 */
bool config_read_arguments(struct config *config, int argc, char **argv, struct buf *error);

/* Names, one line each in the log, the directives of Redis that were set to something and have no effect here. To be
 * called once the log is open. */
void config_log_ineffective(const struct config *config);

/* Calls `each` for each directive, aliases included, whose name fits one of the globs; once per name. A pattern
 * that is a name, in any case, is shown as it stands; only so a hidden directive shows. */
void config_each(const struct config *config, const struct bytes *patterns, size_t pattern_count,
    void (*each)(void *context, struct bytes name, struct bytes value), void *context);

/*
 * Changes several directives of the running server, all or none: if one is refused, by its limits or when it is applied
 * (a port that is taken), those applied before are put back. `pairs` holds `count` names and values in turn. `local`
 * says that the client is on this machine, which may set what is protected. On failure `error` holds the error reply.
 */
bool config_set(struct server *server, const struct bytes *pairs, size_t count, bool local, struct buf *error);

/*
 * Writes the configuration back to its file: lines and comments that are there stay, values that changed are replaced,
 * new ones appended, with `all` those too that have their default. The file is replaced as a whole: a crash leaves the
 * old or the new one. On failure `error` says why.
 */
bool config_rewrite(const struct config *config, bool all, struct buf *error);

/* Replaces a file: written beside it, fsynced, renamed over it, its directory fsynced. False, with the system's reason
 * in `error`, and then the old one is still there. */
bool config_replace_file(const char *path, struct bytes content, struct buf *error);

/* The whole file appended to `out`; false with errno set. */
bool config_load_file(const char *path, struct buf *out);

/* Whether commands may write only while replicas follow, of which there are none yet. */
static inline bool config_needs_replicas(const struct config *config)
{
    return config->min_replicas_to_write > 0 && config->min_replicas_max_lag > 0;
}

/* Expands proc-title-template. `title` is what {title} stands for. */
void config_format_title(const struct config *config, const char *title, struct buf *out);

/* The manual page of the configuration file (troff), and the commented default configuration, made from the rows. */
void config_print_manual(struct buf *out);
void config_print_default(struct buf *out);
