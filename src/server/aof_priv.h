/* What the files about the append-only file share among themselves. */
#pragma once

#include "server/aof.h"
#include "server_priv.h"

/* Appends "<appenddirname>/<name>". */
void aof_path(const struct server *server, const char *name, struct buf *out);

/* The size of a file of the directory; 0 if it is not there. */
uint64_t aof_file_size(const struct server *server, const char *name);

/* Writes what is in the buffer and synchronises as is due; with `force`, both at once. False if something is not. */
bool aof_flush(struct server *server, bool force);

/* Writes everything, and under `always` synchronises it. False if something is not written. */
bool aof_write_all(struct server *server);

/* Tells the engine's changes to the file, or no longer. */
void aof_listen(struct server *server, bool on);

/* aof_rewrite.c: looks whether the worker is through with a step, and begins rewrites that are due. */
void aof_rewrite_poll(struct server *server);
void aof_rewrite_tick(struct server *server);

/* Writes everything into a file in the format that is configured; false, with the reason in `error`. */
bool aof_write_base(
    struct server *server, const char *path, void (*progress)(void *, uint64_t), void *context, struct buf *error);

/* The name that a child writes aside; appended. */
void aof_temporary_name(int pid, struct buf *out);

extern const char aof_temporary_increment[];

/*
 * aof_group.c: the client whose command, or task, is executed joins the group that gathers; nothing is sent to it from
 * now on.
 */
void aof_group_init(struct aof_group *group);
void aof_group_fini(struct aof_group *group);
void aof_group_add(struct aof_group *group, struct engine *engine);

/* What the group that gathers has changed is being synchronised, and another one gathers. None flies. */
void aof_group_take_off(struct aof_group *group, const struct engine *engine);

/* That is done: its clients are answered. */
void aof_group_land(struct aof_group *group, const struct engine *engine);

/* The clients of the group that gathers are answered; what they changed is durable, or need not be. None flies. */
void aof_group_release(struct aof_group *group, const struct engine *engine);

/* Until when (of clock_mono_ns) it is worth waiting for more to join; 0, or in the past: it is not. */
uint64_t aof_group_wait_until(const struct aof_group *group);

/* The clients of the group that gathers get no answer; or those of both. */
void aof_group_drop(struct aof_group *group, struct engine *engine);
void aof_group_crash(struct aof_group *group, struct engine *engine);
