/*
 * Transactions: MULTI queues a session's commands, EXEC runs them as one unit; WATCH makes that depend on keys that
 * nobody touched.
 *
 * Queued commands are copied (large arguments are taken over as they are), so they outlive the read buffer. A watched
 * key costs one node in the key's list of watchers and in the session's; a change marks its watchers, and takes no
 * other notice of them.
 *
 * EXEC of what is quickly done runs all of it at once. Otherwise it goes on in slices, as a task (engine/task.h), and
 * is one unit all the same: the keys that its commands name are held from then on; nobody else changes one of them, and
 * nobody sees one that it has changed before it is over. Who wants to waits until then. What it changed is propagated,
 * and who waits for it served, in the end. Its time stands still. If its client leaves it is carried out.
 *
 * At once is run whatever is queued with a command that concerns its connection or the server (CLIENT, SUBSCRIBE,
 * CONFIG and the like: CMD_ADMIN, or CMD_NO_SCRIPT of what neither reads nor writes), and what would have to wait
 * itself for something that others hold.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/keyspace.h"

struct call;
struct engine;
struct command_info;
struct session;

/* MULTI: begins to queue. False if the session does so already. */
bool transaction_begin(struct session *session);

/* Ends it without running anything, and stops watching; nothing if there is none. */
void transaction_discard(struct session *session);

/* EXEC: runs what was queued and answers with an array, with null if a watched key was touched, or with EXECABORT. */
void transaction_run(struct call *call);

/* Adds the call's command to the queue. */
void transaction_queue(struct call *call);

/* A command was refused while queueing: EXEC will refuse to run. */
void transaction_taint(struct session *session);

/* Commands queued, or -1 outside of a transaction; bytes that the queue holds; keys watched. For CLIENT LIST. */
int64_t transaction_len(const struct session *session);
size_t transaction_memory(const struct session *session);
size_t transaction_watched(const struct session *session);

/* Sessions that watch keys, and different keys that are watched. O(1). */
struct watch_stats {
    size_t sessions, keys;
};
void transaction_watch_stats(const struct engine *engine, struct watch_stats *stats);

/* The flags of all commands queued so far, put together. */
uint32_t transaction_flags(const struct session *session);

/* So many that they are neither looked through nor run at once. */
bool transaction_is_large(const struct session *session);

/* True if the test holds for one of the queued commands. O(commands). */
bool transaction_any(const struct session *session,
    bool (*test)(void *context, const struct command_info *command, const struct bytes *argv, uint32_t argc),
    void *context);

/* WATCH, all arguments being keys, answered; the same for one key; and UNWATCH: O(1) where very many are watched. */
void watch_keys(struct call *call);
void watch_key(struct session *session, struct db *db, struct key key, int64_t now_ms);
void watch_none(struct session *session);
