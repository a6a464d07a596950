/*
 * Five caches of hashes. Each has at most MODEL_KEYS slots, a chained index over them, and a ring of the slots that are
 * in its window. They do what evict.c does with real keys: the window is a queue that the used go round, or leave for
 * good by the rule of reuse; victims are sought among random slots. The sketch they ask is the real one, the ghosts are
 * their own.
 *
 * The models are there from the first key on, and fill as the cache does, so that they know what it knows when it is
 * full. One key of a power of two is followed, as many as fit; when the cache outgrows that, half of what the models
 * hold is dropped, and the rest is what they would hold if they had always followed so few.
 *
 * Hits are counted in rounds; the score is a running sum in which the past fades. Another model is chosen only if it is
 * ahead by more than noise.
 */
#include "evict_model_priv.h"

#include "base/mem.h"
#include "base/random.h"
#include "store/evict_ghost.h"
#include "store/evict_tinylfu.h"

enum {
    MODELS = 5,
    MODEL_KEYS = 2048,
    INDEX = 4096,
    NONE = UINT16_MAX,
    MAIN_SAMPLES = 6,
    LRU_SAMPLES = 20,
    REUSE_SAMPLES = 12,
    TRIES = 24,
    THIN_OUT_PERCENT = 94, /* of MODEL_KEYS: a cache whose sample is larger is sampled half as densely ... */
    RESTART_SHARE = 3,     /* ... and one whose sample is smaller than this part, twice as densely */
    WINDOW_EXCESS = 8,     /* more keys leave a window that is too large, each time */
    ROUND_MIN = 64,        /* uses of a round, at least ... */
    ROUND_SHARE = 8,       /* ... and this part of the capacity; */
    ROUND_FILLING = 16,    /* while nothing had to go yet there is nothing to tell the models apart by */
    ADMIT_BY_CHANCE = 128,
    ADMIT_FREQUENCY = 6,
    FIRST_MODEL = 2,
};

static const struct {
    enum tinylfu_rule rule;
    unsigned permille; /* of the window */
} kind_of[MODELS] = {
    { TINYLFU_FREQUENCY, 10 },
    { TINYLFU_FREQUENCY, 120 },
    { TINYLFU_FREQUENCY, 400 },
    { TINYLFU_REUSE, 100 },
    { TINYLFU_RECENCY, 1000 },
};

struct model_slot {
    uint64_t hash;
    uint32_t used_at; /* by the models' clock, cut: only differences count */
    uint16_t next;    /* of the index's chain */
    bool in_window;
    uint8_t uses; /* since it came, or went round the window, or left it: at most 3 */
};

struct model {
    struct model_slot slots[MODEL_KEYS];
    uint16_t index[INDEX];
    uint16_t window[MODEL_KEYS]; /* ring of slots */
    uint32_t window_head, window_len;
    uint32_t count; /* slots in use are the first ones */
    uint64_t hits;  /* in the round */
    struct evict_ghosts ghosts;
    double score;
};

struct model_set {
    struct model models[MODELS];
    size_t capacity; /* keys that each model may hold now */
    unsigned shift;  /* one key of 2^shift is followed */
    bool full;       /* the cache had to remove something */
    uint64_t clock;  /* uses that were followed */
    uint64_t round_end;
    double weight; /* of the scores: the uses in them, faded */
    int chosen;
};

struct model_set *model_set_create(void)
{
    struct model_set *models = mem_zalloc(sizeof *models);
    for (int m = 0; m < MODELS; m++)
        for (int i = 0; i < INDEX; i++)
            models->models[m].index[i] = NONE;
    models->chosen = FIRST_MODEL;
    return models;
}

void model_set_destroy(struct model_set *models)
{
    if (!models)
        return;
    for (int m = 0; m < MODELS; m++)
        evict_ghosts_fini(&models->models[m].ghosts);
    mem_free(models);
}

static bool is_sampled(uint64_t hash, unsigned shift)
{
    return hash * 0xd6e8feb86659fd93ull <= UINT64_MAX >> shift;
}

/* --- One model --- */

static uint16_t *bucket_of(struct model *model, uint64_t hash)
{
    return &model->index[hash >> 17 & (INDEX - 1)];
}

static uint16_t find(struct model *model, uint64_t hash)
{
    uint16_t slot = *bucket_of(model, hash);
    while (slot != NONE && model->slots[slot].hash != hash)
        slot = model->slots[slot].next;
    return slot;
}

static void unlink_slot(struct model *model, uint16_t slot)
{
    uint16_t *place = bucket_of(model, model->slots[slot].hash);
    while (*place != slot)
        place = &model->slots[*place].next;
    *place = model->slots[slot].next;
}

static void window_push(struct model *model, uint16_t slot)
{
    model->window[(model->window_head + model->window_len++) % MODEL_KEYS] = slot;
}

static uint16_t window_pop(struct model *model)
{
    uint16_t slot = model->window[model->window_head];
    model->window_head = (model->window_head + 1) % MODEL_KEYS;
    model->window_len--;
    return slot;
}

/* Who rests longest outside the window; NONE if none was met. */
static uint16_t idlest_of_main(const struct model *model, struct random *random, uint32_t now)
{
    uint16_t best = NONE;
    uint64_t longest = 0;
    for (int i = 0; i < REUSE_SAMPLES; i++) {
        uint16_t slot = (uint16_t)random_below(random, model->count);
        const struct model_slot *candidate = &model->slots[slot];
        uint64_t rest = tinylfu_rest((uint32_t)(now - candidate->used_at), candidate->uses);
        if (candidate->in_window || (best != NONE && rest <= longest))
            continue;
        best = slot;
        longest = rest;
    }
    return best;
}

static uint16_t oldest_of_sample(const struct model *model, struct random *random, uint32_t now)
{
    uint16_t best = (uint16_t)random_below(random, model->count);
    for (int i = 1; i < LRU_SAMPLES; i++) {
        uint16_t slot = (uint16_t)random_below(random, model->count);
        if (now - model->slots[slot].used_at > now - model->slots[best].used_at)
            best = slot;
    }
    return best;
}

/* The least frequent outside the window, the last used of equals; NONE if none was met. */
static uint16_t victim_of_main(
    const struct model *model, const struct tinylfu *tinylfu, struct random *random, uint32_t now, unsigned *frequency)
{
    uint16_t best = NONE;
    for (int i = 0, found = 0; i < TRIES && found < MAIN_SAMPLES; i++) {
        uint16_t slot = (uint16_t)random_below(random, model->count);
        if (model->slots[slot].in_window)
            continue;
        found++;
        unsigned value = tinylfu_frequency(tinylfu, model->slots[slot].hash);
        if (best == NONE || value < *frequency ||
            (value == *frequency && now - model->slots[slot].used_at < now - model->slots[best].used_at)) {
            best = slot;
            *frequency = value;
        }
    }
    return best;
}

/* What a window has too much goes to the main region without a contest: while the cache filled, all were in it. */
static void shrink_window(struct model *model, size_t target)
{
    for (int i = 0; i < WINDOW_EXCESS && model->window_len > target; i++)
        model->slots[window_pop(model)].in_window = false;
}

/* Who leaves the window next; who was used there goes round again, or is let in. NONE if the window is not full. */
static uint16_t leave_window(struct model *model, enum tinylfu_rule rule, size_t target)
{
    for (uint32_t turns = model->window_len; turns && model->window_len >= target; turns--) {
        uint16_t slot = window_pop(model);
        if (!model->slots[slot].uses)
            return slot;
        model->slots[slot].uses = 0;
        if (rule == TINYLFU_REUSE)
            model->slots[slot].in_window = false;
        else
            window_push(model, slot);
    }
    return model->window_len >= target ? window_pop(model) : NONE;
}

/* Who leaves the window against who would go for it: the loser. */
static uint16_t contest(
    struct model *model, uint16_t leaver, const struct tinylfu *tinylfu, struct random *random, uint32_t now)
{
    unsigned weight = 0;
    uint16_t victim = victim_of_main(model, tinylfu, random, now, &weight);
    if (leaver == NONE || victim == NONE)
        return leaver == NONE ? victim : leaver;
    unsigned own = tinylfu_frequency(tinylfu, model->slots[leaver].hash);
    bool lucky = own >= ADMIT_FREQUENCY && random_below(random, ADMIT_BY_CHANCE) == 0;
    if (own <= weight && !lucky)
        return leaver;
    model->slots[leaver].in_window = false;
    return victim;
}

/* The slot to be used for the next key; it is out of the window's ring and of the index. */
static uint16_t make_room(struct model_set *models, int m, const struct tinylfu *tinylfu, struct random *random)
{
    struct model *model = &models->models[m];
    enum tinylfu_rule rule = kind_of[m].rule;
    uint32_t now = (uint32_t)models->clock;
    uint16_t slot;
    if (rule == TINYLFU_RECENCY) {
        slot = oldest_of_sample(model, random, now);
    } else {
        size_t target = models->capacity * kind_of[m].permille / 1000;
        target = target ? target : 1;
        shrink_window(model, target);
        slot = leave_window(model, rule, target);
        if (rule == TINYLFU_FREQUENCY)
            slot = contest(model, slot, tinylfu, random, now);
        else if (slot != NONE)
            evict_ghosts_add(&model->ghosts, model->slots[slot].hash, models->capacity);
        else
            slot = idlest_of_main(model, random, now);
        if (slot == NONE)
            slot = window_pop(model);
    }
    unlink_slot(model, slot);
    return slot;
}

static void take_in(
    struct model_set *models, int m, const struct tinylfu *tinylfu, struct random *random, uint64_t hash)
{
    struct model *model = &models->models[m];
    unsigned permille = kind_of[m].permille;
    uint16_t slot;
    bool filling = model->count < models->capacity;
    if (filling)
        slot = (uint16_t)model->count++;
    else
        slot = make_room(models, m, tinylfu, random);
    model->slots[slot] = (struct model_slot){
        .hash = hash,
        .used_at = (uint32_t)models->clock,
        .next = *bucket_of(model, hash),
        .in_window = kind_of[m].rule != TINYLFU_RECENCY && !evict_ghosts_take(&model->ghosts, hash),
    };
    *bucket_of(model, hash) = slot;
    if (!model->slots[slot].in_window)
        return;
    window_push(model, slot);
    /* While it fills, what leaves the window meets no contest. */
    while (filling && model->window_len > model->count * permille / 1000 + 1)
        model->slots[window_pop(model)].in_window = false;
}

/* --- All of them --- */

/* The cache shrank, so that there are slots that it would not have: the models begin anew, and the choice stays. */
static void restart(struct model_set *models)
{
    for (int m = 0; m < MODELS; m++) {
        struct model *model = &models->models[m];
        for (int i = 0; i < INDEX; i++)
            model->index[i] = NONE;
        model->window_head = model->window_len = model->count = 0;
    }
}

/* Keeps what a smaller sample would have. */
static void thin_out(struct model *model, unsigned shift)
{
    uint16_t place[MODEL_KEYS];
    uint32_t kept = 0, windowed = 0;
    for (int i = 0; i < INDEX; i++)
        model->index[i] = NONE;
    for (uint32_t i = 0; i < model->count; i++) {
        place[i] = NONE;
        if (!is_sampled(model->slots[i].hash, shift))
            continue;
        model->slots[kept] = model->slots[i];
        uint16_t *bucket = bucket_of(model, model->slots[kept].hash);
        model->slots[kept].next = *bucket;
        place[i] = *bucket = (uint16_t)kept++;
    }
    for (uint32_t i = 0; i < model->window_len; i++) {
        uint16_t slot = place[model->window[(model->window_head + i) % MODEL_KEYS]];
        if (slot != NONE)
            model->window[(model->window_head + windowed++) % MODEL_KEYS] = slot;
    }
    model->window_len = windowed;
    model->count = kept;
}

bool model_set_samples(struct model_set *models, uint64_t hash, size_t keys)
{
    if (__builtin_expect(keys >> models->shift > MODEL_KEYS * THIN_OUT_PERCENT / 100, 0)) {
        models->shift++;
        for (int m = 0; m < MODELS; m++)
            thin_out(&models->models[m], models->shift);
    } else if (__builtin_expect(models->shift && keys >> models->shift < MODEL_KEYS / RESTART_SHARE, 0)) {
        models->shift--;
        restart(models);
    }
    size_t sampled = (keys >> models->shift) + 1;
    models->capacity = !models->full ? MODEL_KEYS : sampled < MODEL_KEYS ? sampled : MODEL_KEYS;
    return is_sampled(hash, models->shift);
}

void model_set_full(struct model_set *models)
{
    models->full = true;
}

static void end_round(struct model_set *models)
{
    const double fade = 0.99, margin = 0.004;
    int best = models->chosen;
    size_t part = models->capacity / ROUND_SHARE;
    double uses = (double)(!models->full ? ROUND_FILLING : part > ROUND_MIN ? part : ROUND_MIN);
    models->weight = models->weight * fade + uses;
    models->round_end = models->clock + (uint64_t)uses;
    for (int m = 0; m < MODELS; m++) {
        struct model *model = &models->models[m];
        model->score = model->score * fade + (double)model->hits;
        model->hits = 0;
    }
    for (int m = 0; m < MODELS; m++)
        if (models->models[m].score >
            models->models[best].score + (best == models->chosen ? margin : 0) * models->weight)
            best = m;
    models->chosen = best;
}

void model_set_use(struct model_set *models, const struct tinylfu *tinylfu, struct random *random, uint64_t hash)
{
    models->clock++;
    if (models->models[0].count > models->capacity + models->capacity / 8)
        restart(models);
    for (int m = 0; m < MODELS; m++) {
        struct model *model = &models->models[m];
        uint16_t slot = find(model, hash);
        if (slot == NONE) {
            take_in(models, m, tinylfu, random, hash);
            continue;
        }
        model->hits++;
        model->slots[slot].used_at = (uint32_t)models->clock;
        model->slots[slot].uses += model->slots[slot].uses < 3;
    }
    if (models->clock >= models->round_end)
        end_round(models);
}

unsigned model_set_window_permille(const struct model_set *models)
{
    return kind_of[models->chosen].permille;
}

enum tinylfu_rule model_set_rule(const struct model_set *models)
{
    return kind_of[models->chosen].rule;
}

size_t model_set_memory(const struct model_set *models)
{
    size_t ghosts = 0;
    for (int m = 0; m < MODELS; m++)
        ghosts += evict_ghosts_memory(&models->models[m].ghosts);
    return mem_good_size(sizeof *models) + ghosts;
}
