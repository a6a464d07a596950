/*
 * Models: small caches that only count hits, to learn which way serves the load best; see store/evict_tinylfu.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/evict_tinylfu.h"

struct model_set;
struct random;

struct model_set *model_set_create(void);
void model_set_destroy(struct model_set *models);

/* The limit of memory, 0 for none: where that is little, the models hold fewer keys. */
void model_set_limit(struct model_set *models, size_t limit);

/*
 * True if the models follow the key: all keys of a small cache, a share of a large one's. `keys` is how many the cache
 * holds, and `ghosts` how many others it remembers. O(1), and O(keys of the models) when they have doubled.
 */
bool model_set_samples(struct model_set *models, uint64_t hash, size_t keys, size_t ghosts);

/* The key was used: every model has a hit, or takes it in. O(1). */
void model_set_use(struct model_set *models, const struct tinylfu *tinylfu, struct random *random, uint64_t hash);

/* The cache had to remove something: from now on the models hold no more than it does, and are compared. */
void model_set_full(struct model_set *models);

/* What the best model does. */
const struct tinylfu_way *model_set_way(const struct model_set *models);

size_t model_set_memory(const struct model_set *models);
