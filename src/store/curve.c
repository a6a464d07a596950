/*
 * Followed keys have positions in the order of their last use, and a bit for each position tells whether its key is
 * stored. A stack distance is the number of bits behind a position: they are counted by word and by block of words, so
 * that few are looked at, and moving a key costs two bits. When the positions are used up, the keys are numbered anew,
 * in one pass over them; few keys use few positions, which then stay in the nearest cache.
 *
 * When there are too many keys, what lies too deep is forgotten and, if there still are too many, the threshold falls.
 * Either way they move to new memory. All that there is room for is allocated from the start, as a limit may be just
 * above what is in use then.
 *
 * Distances are counted in buckets of 1/32 of a power of two.
 */
#include "store/curve.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum {
    SAMPLES_MAX = 8192,
    SAMPLES_LEAST = 512, /* that there is room for, however small the limit of memory is */
    SAMPLE_BYTES = 19,   /* that each of them costs, about */
    LIMIT_SHARE = 32,    /* where memory has a limit, so small a part of it is taken */
    SAMPLE_POSITIONS = 3,
    POSITIONS_MIN = 1024,
    NAME_SHIFT = 16,
    WORD_BITS = 64,
    BLOCK_WORDS = 8, /* their counts are one word */
    STEP_BITS = 5,
    STEPS = 1 << STEP_BITS, /* buckets of a power of two */
    OCTAVES = 36,
    BUCKETS = STEPS * OCTAVES,
    SAMPLES_MIN = 2048, /* the time that following takes is no reason to go below ... */
    BUDGET_PER_S = 10 * 1000,
    IDLE_SAMPLES_MIN = 512, /* ... unless there is no limit of memory, and a rough answer will do */
    IDLE_BUDGET_PER_S = 2000,
    DEEPEST = 6, /* times the keys in memory: what is deeper is forgotten */
    NONE = UINT16_MAX,
};

struct sample {
    uint64_t stored : 1;
    uint64_t position : 15; /* from 1; 0: none */
    uint64_t name : 48;     /* the upper bits of the hash */
};

/* One allocation. Of what depends on the room, the lengths are behind it. */
struct curve_samples {
    struct sample *samples; /* cap */
    uint64_t *bits;         /* words_of(cap): positions of stored samples */
    uint16_t *index;        /* 2 * cap: by name, linear probing */
    uint16_t *at;           /* cap * SAMPLE_POSITIONS: which sample has the position */
    uint16_t *block_bits;   /* how many bits there are in a block of words, */
    uint8_t *word_bits;     /* and in a word */
    uint32_t cap, count;
    uint32_t last, stored; /* last: the newest position; stored: samples that are */
    uint32_t limit;        /* position at which all are numbered anew */
    float counts[BUCKETS];
};

static uint32_t words_of(uint32_t cap)
{
    return cap * SAMPLE_POSITIONS / WORD_BITS;
}

/* All empty; counts too. `cap` is a power of two. */
static struct curve_samples *samples_create(uint32_t cap)
{
    uint32_t words = words_of(cap), blocks = words / BLOCK_WORDS, positions = cap * SAMPLE_POSITIONS;
    size_t wide = cap * sizeof(struct sample) + words * sizeof(uint64_t);
    size_t narrow = (2 * cap + positions + blocks) * sizeof(uint16_t);
    struct curve_samples *all = mem_zalloc(sizeof *all + wide + narrow + words);
    char *at = (char *)(all + 1);
    all->samples = (struct sample *)(void *)at;
    all->bits = (uint64_t *)(void *)(at + cap * sizeof(struct sample));
    all->index = (uint16_t *)(void *)(at + wide);
    all->at = all->index + (size_t)2 * cap;
    all->block_bits = all->at + positions;
    all->word_bits = (uint8_t *)(at + wide + narrow);
    all->cap = cap;
    memset(all->index, 0xff, (2 * cap + positions) * sizeof(uint16_t));
    return all;
}

static void set_threshold(struct curve *curve, uint64_t threshold)
{
    curve->share = threshold;
    curve->threshold = curve->is_paused ? 0 : threshold;
    curve->rate = (double)threshold / 0x1p64;
}

/* Room for as many uses again as there are samples, and more. */
static void set_limit(struct curve_samples *all)
{
    uint32_t limit = POSITIONS_MIN + SAMPLE_POSITIONS * all->count, last = all->cap * SAMPLE_POSITIONS - 1;
    all->limit = limit < last ? limit : last;
}

/* Samples that may be followed under a limit of memory; 0 is none. */
static uint32_t samples_most(size_t limit)
{
    uint32_t most = SAMPLES_MAX;
    while (limit && most > SAMPLES_LEAST && most * (size_t)SAMPLE_BYTES > limit / LIMIT_SHARE)
        most /= 2;
    return most;
}

void curve_init(struct curve *curve)
{
    *curve = (struct curve){ .budget = UINT64_MAX, .is_limited = true, .samples = samples_create(SAMPLES_MAX) };
    set_limit(curve->samples);
    set_threshold(curve, UINT64_MAX);
}

void curve_fini(struct curve *curve)
{
    mem_free(curve->samples);
}

double curve_rate(const struct curve *curve)
{
    return curve->rate;
}

/* --- The bits --- */

static inline void bit_set(struct curve_samples *all, uint32_t position)
{
    uint32_t word = position / WORD_BITS;
    all->bits[word] |= 1ull << position % WORD_BITS;
    all->word_bits[word]++;
    all->block_bits[word / BLOCK_WORDS]++;
}

static inline void bit_clear(struct curve_samples *all, uint32_t position)
{
    uint32_t word = position / WORD_BITS;
    all->bits[word] &= ~(1ull << position % WORD_BITS);
    all->word_bits[word]--;
    all->block_bits[word / BLOCK_WORDS]--;
}

/* Stored samples that were used later than the one at `position`. */
static inline uint32_t count_above(const struct curve_samples *all, uint32_t position)
{
    uint32_t word = position / WORD_BITS, block = word / BLOCK_WORDS, last = all->last / (WORD_BITS * BLOCK_WORDS);
    uint32_t sum = (uint32_t)__builtin_popcountll(all->bits[word] >> 1 >> position % WORD_BITS);
    for (word++; word % BLOCK_WORDS; word++)
        sum += all->word_bits[word];
    for (block++; block <= last; block++)
        sum += all->block_bits[block];
    return sum;
}

/* --- The index --- */

/* Where in the index the sample is, or is to be. */
static inline uint32_t seek(const struct curve_samples *all, uint64_t name)
{
    uint32_t mask = 2 * all->cap - 1, at = (uint32_t)(name * 0x9e3779b97f4a7c15u >> 40) & mask;
    while (all->index[at] != NONE && all->samples[all->index[at]].name != name)
        at = (at + 1) & mask;
    return at;
}

static inline struct sample *find(struct curve_samples *all, uint64_t hash)
{
    uint16_t number = all->index[seek(all, hash >> NAME_SHIFT)];
    return number == NONE ? NULL : &all->samples[number];
}

/* --- Order --- */

/* Gives the sample the position behind the last. It has none. */
static inline void put_last(struct curve_samples *all, uint32_t number)
{
    struct sample *sample = &all->samples[number];
    uint32_t position = ++all->last;
    sample->position = position & 0x7fff;
    all->at[position] = (uint16_t)number;
    if (sample->stored)
        bit_set(all, position);
}

/* Numbers the samples anew from 1, oldest first. O(positions in use), which is a few for each call between two. */
static __attribute__((noinline)) void renumber(struct curve_samples *all)
{
    uint32_t last = all->last;
    uint32_t words = last / WORD_BITS + 1, blocks = last / (WORD_BITS * BLOCK_WORDS) + 1;
    memset(all->bits, 0, words * sizeof *all->bits);
    memset(all->word_bits, 0, words * sizeof *all->word_bits);
    memset(all->block_bits, 0, blocks * sizeof *all->block_bits);
    all->last = 0;
    for (uint32_t position = 1; position <= last; position++) {
        uint16_t number = all->at[position];
        all->at[position] = NONE;
        if (number != NONE) /* it never goes up, so nothing is overwritten that is still to come */
            put_last(all, number);
    }
    set_limit(all);
}

static void append(struct curve_samples *all, struct sample sample)
{
    uint32_t number = all->count++;
    all->index[seek(all, sample.name)] = (uint16_t)number;
    all->samples[number] = sample;
    all->stored += sample.stored;
    put_last(all, number);
}

/*
 * Moves to room for `cap` samples, which is enough, without the `skipped` oldest and those above the threshold.
 * O(samples): some tens of microseconds.
 */
static void move_to(struct curve *curve, uint32_t cap, uint32_t skipped)
{
    struct curve_samples *from = curve->samples, *to = samples_create(cap);
    uint64_t end = (curve->share >> NAME_SHIFT) + 1;
    for (uint32_t position = 1; position <= from->last; position++) {
        if (from->at[position] == NONE)
            continue;
        struct sample sample = from->samples[from->at[position]];
        if (skipped)
            skipped--;
        else if (sample.name < end)
            append(to, sample);
    }
    memcpy(to->counts, from->counts, sizeof to->counts);
    set_limit(to);
    mem_free(from);
    curve->samples = to;
}

/* What luck would have given us so far, of all reads that were watched. */
static inline void catch_up(struct curve *curve, uint64_t reads)
{
    if (reads > curve->reads && !curve->is_paused)
        curve->expected += (double)(int64_t)(reads - curve->reads) * curve->rate;
    curve->reads = reads;
}

static void scale_counts(struct curve *curve, double factor)
{
    curve->expected *= factor;
    curve->cold *= factor;
    for (int i = 0; i < BUCKETS; i++)
        curve->samples->counts[i] *= (float)factor;
}

static void lower_threshold(struct curve *curve, double factor)
{
    set_threshold(curve, (uint64_t)((double)curve->share * factor));
    scale_counts(curve, factor);
    move_to(curve, curve->samples->cap, 0);
}

/* Makes room for one more sample. The caller has caught up. */
static void make_room(struct curve *curve)
{
    enum { WORTH_WHILE = 8, SPARE = 4 }; /* parts of all */
    uint32_t cap = curve->samples->cap, count = curve->samples->count;
    double depth = ((double)curve->keys * DEEPEST + cap / SPARE) * curve->rate;
    if (depth < count - cap / WORTH_WHILE)
        move_to(curve, cap, count - (uint32_t)depth);
    else
        lower_threshold(curve, 0.875);
}

/* The limit of memory is known, or another. The caller has caught up. */
static void set_room(struct curve *curve, size_t limit)
{
    uint32_t most = samples_most(limit);
    while (curve->samples->count > most)
        lower_threshold(curve, 0.875);
    if (curve->samples->cap != most)
        move_to(curve, most, 0);
}

/* Nobody is followed until the next tick, or all again whose hash is below the threshold. */
static void set_paused(struct curve *curve, bool paused)
{
    curve->is_paused = paused;
    set_threshold(curve, curve->share);
}

/*
 * Following takes more time than it may: half as many are enough. If they are few already, and a rough answer will do,
 * we look away for a while: what is seen before and after is taken for one stream. The caller has caught up.
 */
static __attribute__((noinline)) void slow_down(struct curve *curve)
{
    uint32_t least = curve->is_limited ? SAMPLES_MIN : IDLE_SAMPLES_MIN;
    if (curve->samples->count / 2 >= least)
        lower_threshold(curve, 0.5);
    else if (!curve->is_limited)
        set_paused(curve, true);
    curve->processed = 0;
}

/* The sample becomes the one that was used last. */
static inline void bring_forward(struct curve *curve, struct sample *sample, bool stored)
{
    struct curve_samples *all = curve->samples;
    if (sample->position && sample->position == all->last && sample->stored == stored)
        return;
    if (sample->position) {
        all->at[sample->position] = NONE;
        if (sample->stored)
            bit_clear(all, sample->position);
    }
    all->stored += (uint32_t)stored - (uint32_t)sample->stored;
    sample->stored = stored & 1;
    put_last(all, (uint32_t)(sample - all->samples));
    if (__builtin_expect(all->last == all->limit, 0))
        renumber(all);
}

static __attribute__((noinline)) void follow(struct curve *curve, uint64_t hash, bool stored)
{
    if (curve->samples->count == curve->samples->cap)
        make_room(curve);
    if (hash >= curve->share)
        return;
    struct curve_samples *all = curve->samples;
    append(all, (struct sample){ .name = hash >> NAME_SHIFT, .stored = stored & 1 });
    if (__builtin_expect(all->last == all->limit, 0))
        renumber(all);
}

/* --- Events --- */

/* A distance from 1 on is its exponent and the first bits of its fraction, as a double has them. */
static uint32_t bucket_of(double distance)
{
    enum { FRACTION_BITS = 52, BIAS = 1023 };
    if (distance < 1)
        return 0;
    uint64_t bits;
    memcpy(&bits, &distance, sizeof bits);
    uint64_t bucket = (bits >> (FRACTION_BITS - STEP_BITS)) - ((uint64_t)BIAS << STEP_BITS);
    return bucket < BUCKETS ? (uint32_t)bucket : BUCKETS - 1;
}

/* The least distance that counts in the bucket. */
static double bucket_begin(uint32_t bucket)
{
    return ldexp(1 + (double)(bucket % STEPS) / STEPS, (int)(bucket / STEPS));
}

void curve_read(struct curve *curve, uint64_t hash, bool hit, uint64_t reads)
{
    struct curve_samples *all = curve->samples;
    struct sample *sample = find(all, hash);
    catch_up(curve, reads);
    if (!sample) {
        if (hit) /* stored before anybody watched: its distance is unknown */
            curve->expected -= 1;
        else
            curve->cold += 1;
        follow(curve, hash, hit);
    } else {
        /* Without a limit nobody is evicted: what misses was deleted, perhaps while nobody watched. */
        bool stored = sample->stored && (hit || curve->is_limited);
        if (stored)
            all->counts[bucket_of((double)(count_above(all, sample->position) + 1) / curve->rate)] += 1;
        else
            curve->cold += 1;
        /* What was evicted here would still be there in a larger cache: its owner will store it again. */
        bring_forward(curve, sample, stored || hit);
    }
    if (__builtin_expect(++curve->processed > curve->budget, 0))
        slow_down(curve);
}

void curve_write(struct curve *curve, uint64_t hash, uint64_t reads)
{
    struct sample *sample = find(curve->samples, hash);
    catch_up(curve, reads);
    if (sample)
        bring_forward(curve, sample, true);
    else
        follow(curve, hash, true);
    if (__builtin_expect(++curve->processed > curve->budget, 0))
        slow_down(curve);
}

void curve_remove(struct curve *curve, uint64_t hash)
{
    struct sample *sample = find(curve->samples, hash);
    if (!sample || !sample->stored)
        return;
    bit_clear(curve->samples, sample->position);
    sample->stored = false;
    curve->samples->stored--;
}

/* --- Time --- */

void curve_tick(struct curve *curve, size_t keys, uint64_t reads, uint64_t spare_ms, size_t limit)
{
    bool is_limited = limit != 0;
    catch_up(curve, reads);
    curve->keys = keys;
    set_room(curve, limit);
    uint64_t budget = (is_limited ? BUDGET_PER_S : IDLE_BUDGET_PER_S) * (spare_ms < 1000 ? spare_ms : 1000) / 1000;
    bool was_limited = curve->is_limited;
    curve->is_limited = is_limited;
    if (curve->processed > budget)
        slow_down(curve);
    curve->processed = 0;
    curve->budget = is_limited ? UINT64_MAX : budget;
    set_paused(curve, false);
    if (is_limited && !was_limited)
        curve_forget(curve, reads);
}

void curve_set_limited(struct curve *curve, uint64_t reads, size_t limit)
{
    catch_up(curve, reads);
    set_room(curve, limit);
    if (curve->is_limited)
        return;
    curve->is_limited = true;
    curve->budget = UINT64_MAX;
    curve->is_paused = false;
    curve_forget(curve, reads);
}

void curve_fade(struct curve *curve, uint64_t reads)
{
    catch_up(curve, reads);
    scale_counts(curve, 0.5);
}

void curve_reset(struct curve *curve, uint64_t reads)
{
    scale_counts(curve, 0);
    curve->reads = reads;
}

void curve_forget(struct curve *curve, uint64_t reads)
{
    curve_reset(curve, reads);
    set_threshold(curve, UINT64_MAX);
    uint32_t cap = curve->samples->cap;
    mem_free(curve->samples);
    curve->samples = samples_create(cap);
    set_limit(curve->samples);
}

/* --- Answers --- */

double curve_hit_ratio(struct curve *curve, double keys, uint64_t reads)
{
    catch_up(curve, reads);
    if (keys < 1 || curve->expected < 1)
        return 0;
    double missed = curve->cold;
    uint32_t bucket = bucket_of(keys);
    double begin = bucket_begin(bucket), width = bucket_begin(bucket + 1) - begin;
    double share = width > 1 ? (keys - begin) / width : 1;
    missed += curve->samples->counts[bucket++] * (1 - share);
    while (bucket < BUCKETS)
        missed += curve->samples->counts[bucket++];
    double ratio = 1 - missed / curve->expected;
    return ratio < 0 ? 0 : ratio > 1 ? 1 : ratio;
}

size_t curve_followed(const struct curve *curve)
{
    return curve->samples->count;
}

double curve_weight(struct curve *curve, uint64_t reads)
{
    catch_up(curve, reads);
    return curve->expected;
}

size_t curve_memory(const struct curve *curve)
{
    return mem_usable_size(curve->samples);
}
