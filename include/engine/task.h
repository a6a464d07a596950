/*
 * Task: a command that takes longer than a moment and goes on in slices, while others are served between them.
 *
 * A handler that finds much to do (KEYS over a large database, waiting for memory to be given back) makes a task and
 * hands it to call_defer. The session executes nothing more until the task has answered; every other session goes on.
 * Where that cannot be (inside a transaction) the task runs to its end at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bytes;
struct call;
struct engine;
struct output;
struct task;
struct task_link;

struct task_type {
    /*
     * Does a small piece of work, some 20 to 50 us; true when it is finished. It answers through call->reply, which
     * collects apart from the session's output, but counts against its client's limit: whoever asked for too much is
     * closed between two steps, and a task that does not last ends with that. call->argv is empty: the task copied what
     * it needs. call->now_ms is current, and so is call->db.
     */
    bool (*step)(struct task *task, struct call *call);
    /* Frees the task; also when its client left before it was finished, unless it lasts. */
    void (*destroy)(struct task *task);
};

/* To be embedded at the start of a task's own struct. */
struct task {
    const struct task_type *type; /* borrowed: static */
    struct task_link *link;       /* borrowed: the engine's; NULL before call_defer */
    const struct bytes *argv;     /* borrowed from the task: for the slow log; or NULL */
    uint32_t argc;
    bool asleep; /* has nothing to do until engine_wake_tasks; set by its step, which may be called all the same */
    bool holds;  /* others wait for it (engine/aside.h): who cannot carries it out */
    bool lasts;  /* goes on to its end when its client has left; call->session is NULL then */
    bool alone;  /* what is pushed to its client meanwhile comes behind its end */
    /* Of one that lasts, or NULL: its session's client has left, and the session is the task's to free from now on. */
    void (*adopt)(struct task *task);
};

/* Wakes all tasks that are asleep; each looks for itself whether it was meant. O(tasks). */
void engine_wake_tasks(struct engine *engine);

/* Carries out all tasks that last to their ends, at once, waiting for whatever they wait for. */
void engine_finish_tasks(struct engine *engine);

/*
 * For whoever is about to look at the whole keyspace, to save it, say: true if something is under way that must not be
 * seen in part, as a transaction in slices (engine/transaction.h), and then no other such thing begins before it is
 * over. The second carries it out to its end, at once.
 */
bool engine_is_changing(struct engine *engine);
void engine_finish_changes(struct engine *engine);

/*
 * For a handler that runs aside: the part of its reply that it has written leaves, the rest follows. It cannot fail any
 * more, and leaves no gap open. What is pushed to its client meanwhile comes behind the reply. Nothing elsewhere: a
 * reply that is part of another waits until it is whole.
 */
void call_send(struct call *call);

/* Where pushes go while such a reply is on its way; NULL: none is. */
struct output *task_late(struct task_link *link);

/* Takes the task over. The handler must not have answered and returns right after this. */
void call_defer(struct call *call, struct task *task);
