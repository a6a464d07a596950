/*
 * The sketch and the window of W-TinyLFU; the models are in evict_model.c.
 *
 * The sketch is a count-min sketch with conservative update: a hash chooses a line of 64 bytes, and in each half of it
 * one counter of four bits; the lesser one is the answer. So a use costs one cache line. (Where most keys are asked for
 * once there are several times as many keys as counters in a period, and then two counters a key are wrong less often
 * than four.) All counters are halved once in a period of twenty uses a key, a line at a time as uses come, so that
 * nobody waits for it: long enough that what barely deserves its place is told from what does not. When the cache
 * has outgrown the sketch, a larger, empty one takes its place and the old one goes on answering, as it stands, for
 * a period; neither is ever copied.
 */
#include "store/evict_tinylfu.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/random.h"
#include "evict_model_priv.h"
#include "evict_reach_priv.h"
#include "store/evict_ghost.h"

enum {
    LINE_BYTES = 64,
    COUNTER_MAX = 15,
    ROWS = 2,
    ROW_NIBBLES = 64,
    KEYS_PER_LINE = 64, /* at most: two counters a key, and more until the next power of two */
    LINES_MIN = 1024,
    USES_PER_KEY = 20,    /* in a period ... */
    PERIOD_KEYS_MIN = 64, /* ... of so many keys, at least */
    CHUNK_HASHES = 1022,
    GHOSTS_PER_KEY = 2, /* one who passes by between two uses of another must not make the other forgotten */
    GHOST_BYTES = 3,
    GHOST_LIMIT_SHARE = 32, /* so small a part of the limit of memory is taken by ghosts */
};

struct sketch {
    uint8_t *lines; /* owned; NULL if there is none */
    size_t count;   /* of lines, a power of two */
};

struct window_chunk {
    struct window_chunk *next; /* owned */
    uint32_t hashes[CHUNK_HASHES];
};

struct tinylfu {
    struct sketch now, old;
    size_t uses;     /* in the period */
    size_t aging_at; /* the next line to be halved */
    uint64_t aging;  /* what is due of it: uses times lines, in units of a period */
    bool full;
    size_t ghosts_most; /* by the limit of memory */
    struct evict_ghosts ghosts;
    struct evict_reach reach;
    struct model_set *models;          /* owned */
    struct window_chunk *first, *last; /* owned queue */
    size_t head, tail;                 /* places in the first and the last chunk */
    size_t window_len;
};

/* --- Sketch --- */

static struct sketch sketch_create(size_t lines)
{
    struct sketch sketch = { mem_zalloc(lines * LINE_BYTES), lines };
    return sketch;
}

static void sketch_fini(struct sketch *sketch)
{
    mem_free(sketch->lines);
    *sketch = (struct sketch){ 0 };
}

/* The table uses the lowest bits for its buckets and the models the highest for their sample: this mixes all. */
static inline uint64_t mix(uint64_t hash)
{
    hash *= 0x9fb21c651e98df25ull;
    return hash ^ hash >> 32;
}

static inline uint8_t *line_of(const struct sketch *sketch, uint64_t mixed)
{
    return sketch->lines + (mixed >> 20 & (sketch->count - 1)) * LINE_BYTES;
}

/* Nibble of half `i`: six bits choose it. */
static inline unsigned nibble_at(uint64_t mixed, unsigned i)
{
    return i * ROW_NIBBLES + (unsigned)(mixed >> 6 * i & (ROW_NIBBLES - 1));
}

static inline unsigned nibble_get(const uint8_t *line, unsigned nibble)
{
    return line[nibble / 2] >> nibble % 2 * 4 & 15;
}

static unsigned sketch_get(const struct sketch *sketch, uint64_t mixed)
{
    const uint8_t *line = line_of(sketch, mixed);
    unsigned least = COUNTER_MAX;
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned value = nibble_get(line, nibble_at(mixed, i));
        least = value < least ? value : least;
    }
    return least;
}

static void sketch_add(const struct sketch *sketch, uint64_t mixed)
{
    unsigned least = sketch_get(sketch, mixed);
    uint8_t *line = line_of(sketch, mixed);
    if (least == COUNTER_MAX)
        return;
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned nibble = nibble_at(mixed, i);
        if (nibble_get(line, nibble) == least)
            line[nibble / 2] += (uint8_t)(1u << nibble % 2 * 4);
    }
}

static void line_halve(uint8_t *line)
{
    for (size_t i = 0; i < LINE_BYTES; i += 8) {
        uint64_t word;
        memcpy(&word, line + i, 8);
        word = word >> 1 & 0x7777777777777777ull;
        memcpy(line + i, &word, 8);
    }
}

unsigned tinylfu_frequency(const struct tinylfu *tinylfu, uint64_t hash)
{
    uint64_t mixed = mix(hash);
    unsigned value = sketch_get(&tinylfu->now, mixed);
    if (tinylfu->old.lines)
        value += sketch_get(&tinylfu->old, mixed);
    return value < COUNTER_MAX ? value : COUNTER_MAX;
}

/* Halves as many lines as one use is worth. */
static void age(struct tinylfu *tinylfu, size_t keys)
{
    size_t period = (keys > PERIOD_KEYS_MIN ? keys : PERIOD_KEYS_MIN) * USES_PER_KEY;
    tinylfu->aging += tinylfu->now.count;
    while (tinylfu->aging >= period) {
        tinylfu->aging -= period;
        line_halve(tinylfu->now.lines + tinylfu->aging_at * LINE_BYTES);
        tinylfu->aging_at = (tinylfu->aging_at + 1) & (tinylfu->now.count - 1);
    }
    if (++tinylfu->uses < period)
        return;
    tinylfu->uses = 0;
    sketch_fini(&tinylfu->old);
}

static void grow(struct tinylfu *tinylfu, size_t keys)
{
    size_t lines = tinylfu->now.count;
    while (lines * KEYS_PER_LINE < keys)
        lines *= 2;
    sketch_fini(&tinylfu->old);
    tinylfu->old = tinylfu->now;
    tinylfu->now = sketch_create(lines);
    tinylfu->aging_at = tinylfu->uses = 0;
}

/* --- Life and use --- */

/* Ghosts that are remembered by a cache of so many keys. */
static size_t ghosts_for(const struct tinylfu *tinylfu, size_t keys)
{
    return keys * GHOSTS_PER_KEY < tinylfu->ghosts_most ? keys * GHOSTS_PER_KEY : tinylfu->ghosts_most;
}

struct tinylfu *tinylfu_create(void)
{
    struct tinylfu *tinylfu = mem_zalloc(sizeof *tinylfu);
    tinylfu->now = sketch_create(LINES_MIN);
    tinylfu->models = model_set_create();
    tinylfu->ghosts_most = SIZE_MAX;
    return tinylfu;
}

void tinylfu_destroy(struct tinylfu *tinylfu)
{
    if (!tinylfu)
        return;
    for (struct window_chunk *chunk = tinylfu->first, *next; chunk; chunk = next) {
        next = chunk->next;
        mem_free(chunk);
    }
    sketch_fini(&tinylfu->now);
    sketch_fini(&tinylfu->old);
    evict_ghosts_fini(&tinylfu->ghosts);
    model_set_destroy(tinylfu->models);
    mem_free(tinylfu);
}

void tinylfu_set_limit(struct tinylfu *tinylfu, size_t limit)
{
    tinylfu->ghosts_most = limit ? limit / GHOST_LIMIT_SHARE / GHOST_BYTES : SIZE_MAX;
    model_set_limit(tinylfu->models, limit);
}

void tinylfu_use(struct tinylfu *tinylfu, struct random *random, uint64_t hash, size_t keys)
{
    if (__builtin_expect(keys > tinylfu->now.count * KEYS_PER_LINE, 0))
        grow(tinylfu, keys);
    sketch_add(&tinylfu->now, mix(hash));
    age(tinylfu, keys);
    if (model_set_samples(tinylfu->models, hash, keys, ghosts_for(tinylfu, keys)))
        model_set_use(tinylfu->models, tinylfu, random, hash);
}

void tinylfu_set_full(struct tinylfu *tinylfu)
{
    if (!tinylfu->full)
        model_set_full(tinylfu->models);
    tinylfu->full = true;
}

const struct tinylfu_way *tinylfu_way(const struct tinylfu *tinylfu)
{
    return model_set_way(tinylfu->models);
}

size_t tinylfu_window_target(const struct tinylfu *tinylfu, size_t keys)
{
    unsigned permille = tinylfu_way(tinylfu)->permille;
    size_t target = keys / 1000 * permille + keys % 1000 * permille / 1000;
    return target ? target : 1;
}

void tinylfu_forgo(struct tinylfu *tinylfu, uint64_t hash, size_t keys, uint64_t used_at)
{
    uint8_t date = evict_reach_date(&tinylfu->reach, used_at);
    evict_ghosts_add_dated(&tinylfu->ghosts, hash, ghosts_for(tinylfu, keys), date);
}

void tinylfu_set_reach(struct tinylfu *tinylfu, uint64_t ticks)
{
    evict_reach_set(&tinylfu->reach, ticks);
}

bool tinylfu_returns(struct tinylfu *tinylfu, uint64_t hash, uint64_t now)
{
    uint8_t date;
    return tinylfu_way(tinylfu)->rule == TINYLFU_REUSE && evict_ghosts_take_dated(&tinylfu->ghosts, hash, &date) &&
           evict_reach_is_within(&tinylfu->reach, date, now);
}

/* --- Window --- */

size_t tinylfu_window_len(const struct tinylfu *tinylfu)
{
    return tinylfu->window_len;
}

void tinylfu_window_push(struct tinylfu *tinylfu, uint64_t hash)
{
    if (!tinylfu->last || tinylfu->tail == CHUNK_HASHES) {
        struct window_chunk *chunk = mem_alloc(sizeof *chunk);
        chunk->next = NULL;
        if (tinylfu->last)
            tinylfu->last->next = chunk;
        else
            tinylfu->first = chunk;
        tinylfu->last = chunk;
        tinylfu->tail = 0;
    }
    tinylfu->last->hashes[tinylfu->tail++] = (uint32_t)hash;
    tinylfu->window_len++;
}

uint32_t tinylfu_window_pop(struct tinylfu *tinylfu)
{
    ASSERT(tinylfu->window_len);
    struct window_chunk *chunk = tinylfu->first;
    uint32_t hash = chunk->hashes[tinylfu->head++];
    tinylfu->window_len--;
    if (tinylfu->head == CHUNK_HASHES) {
        tinylfu->first = chunk->next;
        if (!tinylfu->first)
            tinylfu->last = NULL;
        tinylfu->head = 0;
        mem_free(chunk);
    }
    return hash;
}

size_t tinylfu_memory(const struct tinylfu *tinylfu)
{
    size_t chunks = tinylfu->window_len / CHUNK_HASHES + 1;
    return mem_good_size(sizeof *tinylfu) + (tinylfu->now.count + tinylfu->old.count) * LINE_BYTES +
           chunks * mem_good_size(sizeof(struct window_chunk)) + evict_ghosts_memory(&tinylfu->ghosts) +
           model_set_memory(tinylfu->models);
}
