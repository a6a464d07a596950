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

/* What is told: that a key was changed which the client has read; that keys were which begin with one of its prefixes;
 * or that all are gone. */
enum news { NEWS_READ, NEWS_BROADCAST, NEWS_EVERYTHING };

/* Marks an ID whose client is not, or no longer, to be told. IDs do not come near to it. */
#define NOTICE_TOLD (UINT64_C(1) << 63)

/* What not all readers have been told of yet. */
struct notices {
    struct notice *first, *last; /* owned list, by age */
    size_t count;
    uint64_t numbers; /* given to notices so far */
    size_t told;      /* at once, since notices_hand_out was called */
};

/*
 * Tells clients, `ids` in ascending order (owned, taken) but for the mark NOTICE_TOLD: `keys` is the array of names as
 * it goes out (taken). `by` is the ID of who changed them; 0: it does not matter. Few are told at once, many in slices.
 */
void notices_add(struct engine *engine, struct notices *notices, enum news news, struct buf keys, uint64_t *ids,
    size_t count, uint64_t by);

/* Goes on telling, for about `budget_ns`; true while more is left. */
bool notices_hand_out(struct engine *engine, struct notices *notices, uint64_t budget_ns);

/* The reader is told now of all that it was not told yet. *heard is the number of the last that it knows of. */
void notices_catch_up(struct notices *notices, struct session *reader, uint64_t *heard);

/* Drops all. */
void notices_drop(struct notices *notices);

/* Sends keys, encoded as an array, to whom the messages of that client go, unless it wants none; `by` as above. */
void tracking_tell(struct session *reader, enum news news, struct bytes keys, uint64_t by);
