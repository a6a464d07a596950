/*
 * Ghosts: which keys went lately. A key that comes again while it is remembered left too early.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVICT_GHOST_PARTS = 8 };

struct evict_ghosts {
    struct ghost_line *lines[EVICT_GHOST_PARTS];  /* owned; NULL if nobody is remembered there */
    struct ghost_dates *dates[EVICT_GHOST_PARTS]; /* owned; NULL until somebody was remembered there with a date */
    size_t count;                                 /* of lines, in all parts; 0: there are none yet */
    size_t adds;                                  /* since a part was allocated */
};

void evict_ghosts_fini(struct evict_ghosts *ghosts);

/*
 * Remembers a key, and forgets another: about as many are remembered as the cache holds (`keys`). When that has changed
 * by much all are forgotten. A large table comes part by part, while others go to make room for it; who belongs to a
 * part that is not there yet is not remembered. O(1).
 */
void evict_ghosts_add(struct evict_ghosts *ghosts, uint64_t hash, size_t keys);

/* The same with a date, the caller's: for all that are added to these ghosts, or for none. */
void evict_ghosts_add_dated(struct evict_ghosts *ghosts, uint64_t hash, size_t keys, uint8_t date);

/* True if the key is remembered, or one of 2000 others by mistake; it is forgotten then. O(1). */
bool evict_ghosts_take(struct evict_ghosts *ghosts, uint64_t hash);
bool evict_ghosts_take_dated(struct evict_ghosts *ghosts, uint64_t hash, uint8_t *date);

size_t evict_ghosts_memory(const struct evict_ghosts *ghosts);
