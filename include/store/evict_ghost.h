/*
 * Ghosts: which keys went lately. A key that comes again while it is remembered left too early.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evict_ghosts {
    struct ghost_line *lines;  /* owned; NULL if nobody is remembered */
    struct ghost_dates *dates; /* owned; NULL until somebody was remembered with a date */
    size_t count;              /* of lines */
};

void evict_ghosts_fini(struct evict_ghosts *ghosts);

/*
 * Remembers a key, and forgets another: about as many are remembered as the cache holds (`keys`). When that has changed
 * by much all are forgotten. O(1).
 */
void evict_ghosts_add(struct evict_ghosts *ghosts, uint64_t hash, size_t keys);

/* The same with a date, the caller's: for all that are added to these ghosts, or for none. */
void evict_ghosts_add_dated(struct evict_ghosts *ghosts, uint64_t hash, size_t keys, uint8_t date);

/* True if the key is remembered, or one of 2000 others by mistake; it is forgotten then. O(1). */
bool evict_ghosts_take(struct evict_ghosts *ghosts, uint64_t hash);
bool evict_ghosts_take_dated(struct evict_ghosts *ghosts, uint64_t hash, uint8_t *date);

size_t evict_ghosts_memory(const struct evict_ghosts *ghosts);
