/*
 * The queues behind waiting.
 *
 *   key (db, name) -> line (kind, number) -> line -> ...
 *                       place <-> place <-> place          a waiter's place in one key's line, oldest first
 *
 * A waiter holds its places and copied arguments in one allocation; where it waits for very many keys the arguments are
 * apart. Its places are in their lines a little before it waits and a little after: they count only while it has a
 * session. While a key is being served neither it nor its lines are freed, so that whoever serves can go on from any of
 * them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ds/table.h"
#include "engine/wait.h"
#include "store/reclaim.h"

struct call;
struct command_info;
struct db;
struct keyspace;
struct wait_key;
struct waiter;

struct wait_line {
    struct wait_key *key;         /* borrowed: whose it is */
    const struct wait_kind *kind; /* borrowed: static */
    uint64_t number;
    struct wait_place *first, *last; /* borrowed from their waiters */
    struct wait_place *cursor;       /* while served: whose turn is next */
    struct wait_line *prev, *next;   /* the key's */
    struct wait_line *prev_slow, *next_slow;
    bool slow;    /* in the list of those that are served in slices; the cursor stays */
    bool changed; /* the key did, since that began: begin again */
};

struct wait_place {
    struct waiter *waiter; /* borrowed: whose it is */
    struct wait_line *line;
    struct wait_place *prev, *next; /* the line's */
    uint32_t arg;                   /* that names the key */
};

/* Keys that changed since they were served, oldest first. */
struct wait_ready {
    struct wait_key *first, *last;
};

struct wait_key {
    struct db *db;
    uint64_t hash;                /* of the name */
    struct wait_line *lines;      /* owned */
    struct wait_key *prev, *next; /* the database's */
    struct wait_key *prev_ready, *next_ready;
    struct wait_ready *ready; /* the list of those to be served in which it is; or NULL */
    bool served;              /* being served: not to be freed, nor put on the list again */
    uint32_t gone_lines;
    size_t size; /* of the allocation */
    size_t len;
    char name[];
};

struct waits {
    struct keyspace *keyspace; /* borrowed */
    struct table keys;         /* of struct wait_key, owned */
    struct wait_keys {
        struct wait_key *first;
        size_t count;
    } * dbs;                            /* owned: the keys by database */
    struct wait_ready ready;            /* those whose turn it is */
    struct wait_line *slow, *last_slow; /* served in slices, in turn */
    struct waiter **heap;               /* owned: by deadline, the earliest first */
    size_t timed, heap_size;
    size_t sessions, gone_keys;
    struct waiter *ended;       /* owned list: waits for very many keys that are over, ... */
    struct reclaim_chore chore; /* ... which takes them out of their lines */
};

struct waiter {
    struct session *session;      /* borrowed; NULL: it does not wait yet, or no more */
    struct command_info *command; /* borrowed */
    const struct wait_kind *kind; /* borrowed: static */
    struct bytes *argv;           /* in this allocation, like their bytes, ... */
    struct bytes *words;          /* owned: ... or this, in one with their bytes; or NULL */
    struct wait_place *places;    /* in this allocation */
    struct waiter *next_ended;
    uint64_t ticks;      /* spent so far */
    int64_t deadline_ms; /* 0: none */
    size_t heap_index;
    uint32_t argc, place_count;
    bool silent; /* the client wants no answer */
    bool again;  /* the retry under way came to nothing */
};

/* The same as call_take_arguments for one that is executed again and goes aside: `argv` is one allocation with all. */
bool wait_take_arguments(struct call *call, struct bytes **argv);

extern const struct table_type wait_key_table_type;

/* Puts the waiter behind all others in the line for that key. False, with nothing changed, when memory is out. */
bool wait_queue_enter(struct waits *waits, struct waiter *waiter, struct db *db, uint32_t arg, uint64_t number);

/* Takes it out of its lines, `most` of them at most. Returns out of how many. */
size_t wait_queue_leave(struct waits *waits, struct waiter *waiter, size_t most);

/* The observer's news: somebody may wait for that key, or for any of that database. */
void wait_queue_touched(struct waits *waits, struct db *db, struct bytes name);
void wait_queue_replaced(struct waits *waits, struct db *db);

/* Takes the first key off the ready list, to be served; NULL if there is none. Then: nobody serves it any more. */
struct wait_key *wait_queue_serve(struct waits *waits);
void wait_queue_served(struct waits *waits, struct wait_key *key);

/* Goes on with the line in slices from its cursor; or no more. */
void wait_queue_slow(struct waits *waits, struct wait_line *line);
void wait_queue_not_slow(struct waits *waits, struct wait_line *line);

/* Puts all keys of one list behind those of another. O(keys moved). */
void wait_queue_move_ready(struct wait_ready *from, struct wait_ready *to);

/* Forgets what became ready after `last` (NULL: everything). */
void wait_queue_forget_after(struct waits *waits, struct wait_key *last);

/* The heap of deadlines. */
void wait_heap_add(struct waits *waits, struct waiter *waiter);
void wait_heap_remove(struct waits *waits, struct waiter *waiter);
