/*
 * Followed keys have positions in the order of their last use; a Fenwick tree (1994) over the positions counts those
 * that are stored, so that a stack distance is two prefix sums. When the positions are used up, the keys are numbered
 * anew, in one pass over them; that is also when what lies too deep is forgotten and, if there still are too many, the
 * threshold falls.
 *
 * Distances are counted in buckets of 1/32 of a power of two.
 */
#include "store/curve.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum {
    SAMPLES = 8192, /* at most */
    POSITIONS = 4 * SAMPLES,
    INDEX = 2 * SAMPLES,
    STEPS = 32, /* buckets of a power of two */
    OCTAVES = 40,
    BUCKETS = STEPS * OCTAVES,
    SAMPLES_MIN = 1024, /* the time that following takes is no reason to go below ... */
    BUDGET_PER_S = 10 * 1000,
    IDLE_SAMPLES_MIN = 128, /* ... unless there is no limit of memory, and a rough answer will do */
    IDLE_BUDGET_PER_S = 1000,
    DEEPEST = 6, /* times the keys in memory: what is deeper is forgotten */
    NONE = UINT16_MAX,
};

struct sample {
    uint64_t hash;
    uint32_t position; /* from 1 */
    bool stored;
};

struct curve_samples {
    struct sample samples[SAMPLES];
    uint16_t index[INDEX];       /* by hash, linear probing */
    uint16_t at[POSITIONS + 1];  /* which sample has the position */
    int32_t tree[POSITIONS + 1]; /* of stored samples */
    double counts[BUCKETS];
    uint32_t count, last, stored; /* last: the newest position */
};

void curve_init(struct curve *curve)
{
    *curve = (struct curve){ .threshold = UINT64_MAX, .is_limited = true };
}

void curve_fini(struct curve *curve)
{
    mem_free(curve->samples);
}

static void samples_clear(struct curve_samples *all)
{
    memset(all->index, 0xff, sizeof all->index);
    memset(all->at, 0xff, sizeof all->at);
    memset(all->tree, 0, sizeof all->tree);
    all->count = all->last = all->stored = 0;
}

static struct curve_samples *samples_of(struct curve *curve)
{
    if (!curve->samples) {
        curve->samples = mem_zalloc(sizeof *curve->samples);
        samples_clear(curve->samples);
    }
    return curve->samples;
}

double curve_rate(const struct curve *curve)
{
    return (double)curve->threshold / 0x1p64;
}

/* --- The tree --- */

static void tree_add(struct curve_samples *all, uint32_t position, int32_t value)
{
    for (; position <= POSITIONS; position += position & -position)
        all->tree[position] += value;
}

static uint32_t tree_sum(const struct curve_samples *all, uint32_t position)
{
    int32_t sum = 0;
    for (; position; position -= position & -position)
        sum += all->tree[position];
    return (uint32_t)sum;
}

/* --- The index --- */

static uint32_t home_of(uint64_t hash)
{
    return (uint32_t)(hash * 0x9e3779b97f4a7c15u >> 40) % INDEX;
}

static uint32_t seek(const struct curve_samples *all, uint64_t hash)
{
    uint32_t at = home_of(hash);
    while (all->index[at] != NONE && all->samples[all->index[at]].hash != hash)
        at = (at + 1) % INDEX;
    return at;
}

static struct sample *find(struct curve_samples *all, uint64_t hash)
{
    uint16_t number = all->index[seek(all, hash)];
    return number == NONE ? NULL : &all->samples[number];
}

/* --- Order --- */

/*
 * Numbers the samples anew from 1, oldest first, without the `skipped` oldest and those above the threshold.
 * O(POSITIONS): some tens of microseconds, once in SAMPLES / 8 calls at most.
 */
static void renumber(struct curve_samples *all, uint64_t threshold, uint32_t skipped)
{
    static const struct sample none;
    struct sample *ordered = mem_alloc(SAMPLES * sizeof *ordered);
    uint32_t kept = 0;
    for (uint32_t position = 1; position <= all->last; position++) {
        if (all->at[position] == NONE)
            continue;
        const struct sample *sample = &all->samples[all->at[position]];
        if (skipped) {
            skipped--;
            continue;
        }
        if (sample->hash < threshold)
            ordered[kept++] = *sample;
    }
    samples_clear(all);
    for (uint32_t i = 0; i < kept; i++) {
        ordered[i].position = i + 1;
        all->samples[i] = ordered[i];
        all->index[seek(all, ordered[i].hash)] = (uint16_t)i;
        all->at[i + 1] = (uint16_t)i;
        all->stored += ordered[i].stored;
        all->tree[i + 1] = ordered[i].stored;
    }
    for (uint32_t i = kept; i < SAMPLES; i++)
        all->samples[i] = none;
    for (uint32_t i = 1; i <= POSITIONS; i++) {
        uint32_t above = i + (i & -i);
        if (above <= POSITIONS)
            all->tree[above] += all->tree[i];
    }
    all->count = all->last = kept;
    mem_free(ordered);
}

/* What luck would have given us so far, of all reads. */
static void catch_up(struct curve *curve, uint64_t reads)
{
    if (reads > curve->reads)
        curve->expected += (double)(reads - curve->reads) * curve_rate(curve);
    curve->reads = reads;
}

static void scale_counts(struct curve *curve, double factor)
{
    curve->expected *= factor;
    curve->cold *= factor;
    for (int i = 0; curve->samples && i < BUCKETS; i++)
        curve->samples->counts[i] *= factor;
}

static void lower_threshold(struct curve *curve, double factor)
{
    curve->threshold = (uint64_t)((double)curve->threshold * factor);
    scale_counts(curve, factor);
    renumber(curve->samples, curve->threshold, 0);
}

/* Makes room for one more sample. The caller has caught up. */
static void make_room(struct curve *curve)
{
    enum { WORTH_WHILE = SAMPLES / 8 };
    struct curve_samples *all = curve->samples;
    double depth = ((double)curve->keys * DEEPEST + SAMPLES / 4) * curve_rate(curve);
    if (depth < all->count - WORTH_WHILE)
        renumber(all, curve->threshold, all->count - (uint32_t)depth);
    else
        lower_threshold(curve, 0.875);
}

/* The sample becomes the one that was used last. */
static void bring_forward(struct curve *curve, struct sample *sample, bool stored)
{
    struct curve_samples *all = curve->samples;
    uint16_t number = (uint16_t)(sample - all->samples);
    if (sample->position && sample->position == all->last && sample->stored == stored)
        return;
    if (sample->position) {
        all->at[sample->position] = NONE;
        if (sample->stored)
            tree_add(all, sample->position, -1);
    }
    all->stored += (uint32_t)stored - (uint32_t)sample->stored;
    sample->stored = stored;
    sample->position = ++all->last;
    all->at[sample->position] = number;
    if (stored)
        tree_add(all, sample->position, 1);
    if (all->last == POSITIONS)
        renumber(all, curve->threshold, 0);
}

static void follow(struct curve *curve, uint64_t hash, bool stored)
{
    struct curve_samples *all = curve->samples;
    if (all->count == SAMPLES)
        make_room(curve);
    if (hash >= curve->threshold)
        return;
    uint32_t number = all->count++;
    all->index[seek(all, hash)] = (uint16_t)number;
    all->samples[number] = (struct sample){ .hash = hash };
    bring_forward(curve, &all->samples[number], stored);
}

/* --- Events --- */

static uint32_t bucket_of(double distance)
{
    if (distance < 1)
        return 0;
    int exponent;
    double fraction = frexp(distance, &exponent); /* 0.5 to 1 */
    uint32_t bucket = (uint32_t)(exponent - 1) * STEPS + (uint32_t)((fraction - 0.5) * 2 * STEPS);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The least distance that counts in the bucket. */
static double bucket_begin(uint32_t bucket)
{
    return ldexp(1 + (double)(bucket % STEPS) / STEPS, (int)(bucket / STEPS));
}

void curve_read(struct curve *curve, uint64_t hash, bool hit, uint64_t reads)
{
    struct curve_samples *all = samples_of(curve);
    struct sample *sample = find(all, hash);
    curve->processed++;
    catch_up(curve, reads);
    if (!sample) {
        if (hit) /* stored before anybody watched: its distance is unknown */
            curve->expected -= 1;
        else
            curve->cold += 1;
        follow(curve, hash, hit);
        return;
    }
    if (sample->stored) {
        uint32_t above = all->stored - tree_sum(all, sample->position);
        all->counts[bucket_of(((double)above + 1) / curve_rate(curve))] += 1;
    } else {
        curve->cold += 1;
    }
    /* What was evicted here would still be there in a larger cache: its owner will store it again. */
    bring_forward(curve, sample, sample->stored || hit);
}

void curve_write(struct curve *curve, uint64_t hash)
{
    struct curve_samples *all = samples_of(curve);
    struct sample *sample = find(all, hash);
    curve->processed++;
    if (sample)
        bring_forward(curve, sample, true);
    else
        follow(curve, hash, true);
}

void curve_remove(struct curve *curve, uint64_t hash)
{
    struct sample *sample = curve->samples ? find(curve->samples, hash) : NULL;
    if (!sample || !sample->stored)
        return;
    tree_add(curve->samples, sample->position, -1);
    sample->stored = false;
    curve->samples->stored--;
}

/* --- Time --- */

void curve_tick(struct curve *curve, size_t keys, uint64_t reads, uint64_t elapsed_ms, bool is_limited)
{
    catch_up(curve, reads);
    curve->keys = keys;
    uint64_t budget = (is_limited ? BUDGET_PER_S : IDLE_BUDGET_PER_S) * (elapsed_ms < 1000 ? elapsed_ms : 1000) / 1000;
    uint32_t least = is_limited ? SAMPLES_MIN : IDLE_SAMPLES_MIN;
    if (curve->processed > budget && curve->samples && curve->samples->count / 2 >= least)
        lower_threshold(curve, 0.5);
    curve->processed = 0;
    if (is_limited && !curve->is_limited) /* from now on it has to be exact */
        curve_forget(curve, reads);
    curve->is_limited = is_limited;
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
    curve->threshold = UINT64_MAX;
    if (curve->samples)
        samples_clear(curve->samples);
}

/* --- Answers --- */

double curve_hit_ratio(struct curve *curve, double keys, uint64_t reads)
{
    catch_up(curve, reads);
    if (keys < 1 || curve->expected < 1 || !curve->samples)
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
    return curve->samples ? curve->samples->count : 0;
}

double curve_weight(struct curve *curve, uint64_t reads)
{
    catch_up(curve, reads);
    return curve->expected;
}

size_t curve_memory(const struct curve *curve)
{
    return curve->samples ? sizeof *curve->samples : 0;
}
