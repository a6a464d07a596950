/*
 * The append-only file: every change, as commands, in the files that a manifest names (persist/aof_manifest.h).
 *
 * The engine's sink appends units to a buffer; once a turn, before the replies leave, the buffer is written. What is
 * long is not copied, and written by a thread of its own (persist/aof_log.h). A worker synchronises; under `always` the
 * replies to those whose changes that covers wait for it: one write and one fsync for all clients that came while the
 * disk was busy with those before. Replies to what is long, and to changes that come behind it, wait for the writer
 * under the other policies, too. A rewrite goes through three steps: a new increment
 * is opened and named in the manifest; a child writes a new base while changes go to that increment; the base takes the
 * place of what it replaces. Steps that wait for the disk run on a worker; a crash between any two of them finds a
 * complete set of files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "persist/aof_log.h"
#include "persist/aof_manifest.h"
#include "server/aof_pace.h"

struct aof_step;
struct server;
struct worker;

enum aof_state {
    AOF_OFF,
    AOF_ON,
    AOF_WAITS, /* switched on: changes are collected aside until the first base is written */
};

enum aof_rewrite_stage {
    REWRITE_NONE,
    REWRITE_PREPARING, /* the worker opens the new increment */
    REWRITE_FORKED,    /* a child writes the base */
    REWRITE_FINISHING, /* the worker puts it in place */
};

/* Clients whose changes become safe together. */
struct aof_member {
    uint64_t id;      /* of the session */
    uint64_t written; /* bytes to it, up to and with what that synchronisation covers */
};

struct aof_crew {
    struct aof_member *members; /* owned, each client once */
    size_t count, room;
    uint64_t began_ns; /* when the first of them came; 0: nobody has */
    bool others;       /* and some whom nobody can name */
};

/* Who must not hear of his changes before they are on the disk (aof_group.c). */
struct aof_group {
    struct aof_crew gathers; /* whose changes are in the buffer */
    struct aof_crew flies;   /* whose changes are being written, or in the file that is being synchronised */
    uint64_t number;         /* of the group that gathers; never 0 */
    uint64_t joined_ns;      /* when somebody joined it last */
    uint64_t left_ns;        /* when the one that flies took off; 0: none does */
    bool syncs;              /* that waits until the worker has synchronised, no longer for the writer */
    uint64_t landed_ns;      /* when the last one landed */
    uint64_t census;         /* number of the group with which counting different clients began */
    size_t counted;          /* of them, since */
    size_t crowd;            /* of them, when they were last counted to the end */
    struct aof_pace pace;
};

struct aof {
    enum aof_state state;
    struct aof_manifest manifest;
    struct aof_log log;
    struct worker *worker; /* owned: synchronises */
    struct worker *filer;  /* owned: opens, renames and deletes for rewrites, which nobody's answer waits for */
    int selected_db;       /* in the file; -1: none was selected yet */
    int64_t stamp_s;       /* the last annotation */
    uint64_t base_size;    /* of all files after the last rewrite, or at start */
    uint64_t other_size;   /* of all files but the one that is written to */
    struct aof_group group;

    int failure;           /* errno of the last write, if it failed; 0 otherwise */
    bool distrusted;       /* something that was written may be lost: only a new base heals that */
    bool healing;          /* the rewrite under way does */
    bool drains;           /* a rewrite waits until nothing is left for the writer */
    char refusal[160];     /* what commands that write are answered meanwhile */
    uint64_t tried_ns;     /* when writing was tried last */
    uint64_t logged_ns;    /* when the log heard of a failure last */
    uint64_t postponed_ns; /* since when a write has been waiting for the disk; 0: none is */
    uint64_t synced_ns;    /* when a synchronisation was begun last */
    uint64_t delayed;      /* writes that could wait no longer */
    uint32_t dawdle_us;    /* each write is that much slower; for tests */

    enum aof_rewrite_stage stage;
    struct aof_step *step; /* owned: what the worker does for the rewrite */
    bool scheduled;        /* begins when the other child has ended */
    bool within;           /* what switches it on is a command of a transaction */
    int64_t started_s, last_took_s;
    bool rewrite_failed;
    uint64_t rewrites, failures_in_a_row, last_cow_bytes;
    int64_t next_try_s;   /* no automatic rewrite before */
    uint64_t rewrite_seq; /* the increment that begins where the new base ends; 0 if there is none */
};

/* The directory's manifest is read. False, with the reason logged, if it cannot be used. */
bool aof_begin(struct server *server);
void aof_fini(struct server *server);

/* Waits for the worker, which tells the net nothing from now on: that goes before the rest does. */
void aof_settle(struct server *server);

/* Loads all files at start; false, with the reason logged. *found: there was something. */
bool aof_load(struct server *server, bool *found);

/* Opens the file to append to, with a base before it, and takes changes from now on. False, with the reason logged. */
bool aof_open(struct server *server);

/* Switches the file on or off while the server runs. False, with the reason logged. */
bool aof_switch(struct server *server, bool on);

/* Once a turn, before replies leave. */
void aof_before_send(struct server *server);

/* Deletes what rewrites have replaced, if that is to be, and was not for a while (aof-disable-auto-gc). */
void aof_collect_history(struct server *server);

/* Some times a second. */
void aof_tick(struct server *server);

/* Takes over whether writes are refused. */
void aof_judge(struct server *server);

/* Begins a rewrite; false, with the reason logged. */
bool aof_rewrite_in_background(struct server *server);

/* Ends a rewrite under way, and removes what it has written. */
void aof_rewrite_abandon(struct server *server);

/* Writes and synchronises everything, before the end; false if that failed, which is logged. */
bool aof_finish(struct server *server);

/* INFO's lines. */
void aof_print_info(struct server *server, struct buf *out);

/* Reads everything again in place of what is in memory (DEBUG LOADAOF). */
bool aof_reload(struct server *server);

/* Says what is in a file, or in all that a manifest names; the process's exit code. For --check-aof. */
int aof_check_file(const char *path, bool fix);
