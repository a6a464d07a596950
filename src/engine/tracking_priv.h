/*
 * What remembering keys (tracking.c) and telling very many readers of one (tracking_notice.c) share.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"

struct engine;
struct notice;
struct session;
struct tracking;

/* What not all readers have been told of yet. */
struct notices {
    struct notice *first, *last; /* owned list, by age */
    size_t count;
    uint64_t numbers; /* given to notices so far */
    size_t told;      /* at once, since notices_hand_out was called */
};

/*
 * Tells the readers of a key, `ids` in ascending order (owned, taken), that it changed: `keys` is the array of its name
 * as it goes out (taken). `by` changed it; NULL: nobody. Few are told at once, many in slices.
 */
void notices_add(struct engine *engine, struct notices *notices, struct buf keys, uint64_t *ids, uint32_t count,
    const struct session *by);

/* Goes on telling, for about `budget_ns`; true while more is left. */
bool notices_hand_out(struct engine *engine, struct notices *notices, uint64_t budget_ns);

/* The reader is told now of all that it was not told yet. *heard is the number of the last that it knows of. */
void notices_catch_up(struct notices *notices, struct session *reader, uint64_t *heard);

/* Drops all. */
void notices_drop(struct notices *notices);

/* Sends keys, encoded as an array, to whom the messages of that reader go, unless it wants none; `by` as above. */
void tracking_tell(struct session *reader, struct bytes keys, uint64_t by);
