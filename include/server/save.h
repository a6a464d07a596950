/*
 * Saves: the keyspace into dump.rdb, at once or by a child, on command or when the save points say so; and back at
 * start.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "persist/rdb.h"

struct server;

struct saves {
    int64_t last_s, last_try_s; /* since 1970: when a save succeeded last, when one was begun last */
    bool failed;                /* the last one in the background did */
    bool given_up;              /* the child is about to end, and that is no failure */
    int64_t last_took_s;        /* -1: there was none yet */
    uint64_t saves;             /* that succeeded since start */
    uint64_t last_cow_bytes;
    uint64_t dirty_before; /* changes that the save under way takes along */
    bool scheduled;        /* a save waits for another child to end, or for a transaction */
    bool flushed;          /* everything was removed since the last save that succeeded */
    struct rdb_extras extras;

    bool loading;
    int64_t load_started_ms;
    uint64_t load_bytes, load_size; /* so far, of so many */
    uint64_t load_memory;           /* used-mem of who saved */
    uint64_t load_delayed;          /* keys that were waited for (key-load-delay) */
    uint64_t loaded_keys, loaded_expired;
    uint64_t load_progress_ns; /* when progress was told last */
};

void saves_init(struct server *server);
void saves_fini(struct server *server);

/*
 * Loads the file at start, if there is one, while clients are answered LOADING. False, with the reason logged, if it
 * cannot be used: the server must not start then, or it would write over it.
 */
bool saves_load(struct server *server);

/*
 * Begins and ends a time of loading from whatever file; in between, saves_load_progress tells the world how far it is
 * and lets clients be answered. It answers false when the server was told to end.
 */
void saves_load_begin(struct server *server, uint64_t size);
bool saves_load_progress(struct server *server, uint64_t bytes);
void saves_load_end(struct server *server);

/* What to save with, for whoever writes a file in this format. */
struct rdb_save saves_options(struct server *server);

/* Saves now, while everybody waits. False, with the reason logged. */
bool saves_now(struct server *server);

/*
 * Reads the file into the keyspace while everybody waits (DEBUG RELOAD): over what is there, or after emptying all
 * databases if `flush`. Nothing is propagated. False, with the reason logged; what was read up to there stays.
 */
bool saves_reload(struct server *server, bool flush);

/* Forks a child that saves. False, with the reason logged. */
bool saves_in_background(struct server *server);

/* Takes over whether writes are refused, for want of saves or of replicas: after a save, and after a change of the
 * configuration. */
void saves_judge(struct server *server);

/* Starts what is due. Called some times a second. */
void saves_tick(struct server *server);

/* Ends the child that saves, if there is one, and removes what it has written. That does not count as a failure. */
void saves_abandon(struct server *server);

/*
 * To be called when everything was removed: what a child saves is given up, for it must not come back, and where there
 * are save points a file with nothing in it takes the place of the last one soon.
 */
void saves_flushed(struct server *server);

/* INFO's lines about loading and saving. */
void saves_print_info(struct server *server, struct buf *out);

/* Says what is in a file and whether it is whole; the process's exit code. For --check-rdb. */
int saves_check_file(const char *path);
