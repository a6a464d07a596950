/*
 * Propagation of what goes on in slices (aside.c, exec_slices.c).
 */
#pragma once

#include <stddef.h>

#include "base/pieces.h"

struct call;
struct engine;

/* In a fiber, at the end of a handler that changed something: if its words are very many they are encoded in slices. */
void propagate_call_in_slices(struct call *call);

/*
 * The commands of a unit that is not whole yet. propagate_exchange puts another in the place of the one under way,
 * which is the caller's then.
 */
struct propagate_unit {
    struct pieces text;             /* encoded */
    struct propagate_place *places; /* owned, grows */
    size_t count, room;
};
void propagate_exchange(struct engine *engine, struct propagate_unit *unit);
void propagate_unit_fini(struct propagate_unit *unit);
