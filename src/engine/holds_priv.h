/*
 * Which keys are held by work that goes on in slices (aside.c, exec.c), and who has to wait for it.
 *
 * A held key is known by its name, whatever the database: that is a little too careful for who moves keys between
 * databases, and simple. Each counts those who read it and those who will store under it. Neither can be changed by
 * others; a key that will be stored cannot begin to be read in slices, since it would change in between. It is closed
 * once it has changed and may change again: nobody else sees it then.
 *
 * Sessions that have to wait are offered their request again whenever such work has ended. Somebody who waits to change
 * a key keeps new work from holding it, so that readers cannot keep him out for ever.
 *
 * Costs: nothing while nothing is held; then one look-up for each key of a command that changes something, and for
 * each key of any command while something is closed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ds/table.h"
#include "engine/key_spec.h"

struct arena;
struct call;
struct command_info;
struct engine;
struct held_many;
struct session;

enum {
    HOLDS_FEW_KEYS = 32,   /* found without memory of their own */
    HOLDS_MANY_KEYS = 256, /* from here on they are held together (holds_many.c) */
    KEY_CHANGES = KEY_RW | KEY_OW | KEY_RM,
};

struct asides {
    struct table held;
    struct held_many *many; /* borrowed from the works: those that hold very many keys */
    size_t count;           /* works under way, ... */
    size_t everywhere;      /* ... those of them that may read any key, ... */
    size_t storing;         /* ... that will store something, ... */
    size_t anything;        /* ... that may change any key, or whose keys are not held yet, ... */
    size_t changed;         /* ... that have changed something and go on, ... */
    size_t closed_all;      /* ... something that is not a key's */
    bool all_wanted;        /* somebody waits to change any key at all, or to see all of them at rest */
    bool inside;            /* a transaction runs just now, whose own keys are as free as ever to it ... */
    bool inside_all;        /* ... and may be any */
    uint64_t *waiting;      /* owned: IDs of the sessions that wait, in order of arrival */
    size_t waiting_count, waiting_room;
};

/* Where the command's keys stand, in `few` (HOLDS_FEW_KEYS) or in the arena; -1 if the arguments make no sense. */
int holds_find_keys(struct arena *arena, const struct command_info *command, const struct bytes *argv, uint32_t argc,
    struct key_position *few, struct key_position **keys);

/* True if the command sees keys that its arguments do not name. */
bool holds_sees_any(const struct command_info *command);

/* A key is read, or will be stored under; and no more. */
void holds_add(struct asides *asides, struct bytes name, bool stores);
void holds_release(struct asides *asides, struct bytes name, bool stores);

/* Nobody else sees a key that is held until it is released. */
void holds_close(struct asides *asides, struct bytes name);

/*
 * The same for very many keys at once: NULL, with nothing held, when memory is out. Now and then a name is taken for
 * one of them that is not. The three questions that follow are those of holds.c about one name.
 */
struct held_many *holds_add_many(
    struct asides *asides, const struct bytes *argv, const struct key_position *keys, size_t count);
void holds_release_many(struct asides *asides, struct held_many *many);
void holds_close_many(struct held_many *many);
bool holds_many_hold(const struct asides *asides, struct bytes name, bool only_reads);
bool holds_many_conflict(struct asides *asides, struct bytes name, bool changes);
bool holds_many_out_of_turn(const struct asides *asides, struct bytes name);

/* True if somebody waits for what this would hold, or will store under it: then it is not this one's turn. */
bool holds_out_of_turn(
    const struct asides *asides, const struct bytes *argv, const struct key_position *keys, int count, bool everywhere);

/* Counts a work in, or out: then those who wait are asked again. */
void holds_enter(struct engine *engine);
void holds_leave(struct engine *engine);
void holds_resume_waiting(struct engine *engine);

/* aside.c: whether a call runs aside; and then the session that it works for, NULL if that has no client any more. */
bool aside_is(const struct call *call);
struct session *aside_client(const struct call *call);
