/*
 * The greatest of many: which keys have the most of something, in bounded memory.
 *
 * Two ways of being fed. topk_add counts: Space-Saving (Metwally, Agrawal, El Abbadi, ICDT 2005) with weights. A key
 * that has no slot takes that of the least, and its count with it, which is then the most that the new count may be too
 * high by. A key with more than total / slots is never missing, and no count is too low. topk_put knows the value: it
 * keeps the largest values that were put and forgets the others.
 *
 * topk_fade halves everything, so that what is counted is the recent past. Keys are told apart by hash (64 bits) and
 * database; of a long key only the beginning is kept.
 *
 * A slot is found by an open-addressed index; a heap over the slots has the least on top. O(1) for a key that has a
 * slot, O(log slots) amortised for one that gets it; 80 bytes and the key a slot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { TOPK_KEY_MAX = 1024 }; /* bytes kept of a key */

struct topk;

struct topk_item {
    struct bytes key; /* borrowed until the next change */
    uint64_t hash;
    int db;
    bool cut;              /* the key is longer than what is kept of it */
    uint64_t count, error; /* the true count is in count - error to count */
};

struct topk *topk_create(size_t slots);
void topk_destroy(struct topk *topk);

/* Keeps at most so many from now on: the greatest of those that it has. O(slots log slots). */
void topk_set_slots(struct topk *topk, size_t slots);

/* The key has `weight` more. `hash` is the key's. */
void topk_add(struct topk *topk, uint64_t hash, int db, struct bytes key, uint64_t weight);

/* The key has `value` now, however much it had before; 0 takes it out. */
void topk_put(struct topk *topk, uint64_t hash, int db, struct bytes key, uint64_t value);

/* What topk_put does not need to be called for: it is not more than the least of a full set. 0 until it is full. */
uint64_t topk_least(struct topk *topk);

/* Halves all counts, and the total. O(slots). */
void topk_fade(struct topk *topk);

/* Sum of all weights that were added, faded like them. */
uint64_t topk_total(const struct topk *topk);

/* Writes the greatest, in falling order, `max` at most; returns how many. O(slots log slots). */
size_t topk_best(const struct topk *topk, struct topk_item *out, size_t max);

void topk_clear(struct topk *topk);
size_t topk_memory(const struct topk *topk);
