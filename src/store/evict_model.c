/*
 * A few caches of hashes. Each has slots, a chained index over them, and two lists through them: the window in order
 * of arrival, and the main region in order of use. They do what evict.c does with real keys: the window is a queue that
 * the used go round, or leave for good by the rule of reuse; victims are sought among random slots, or where only the
 * order of use counts taken from the list's end, which is what a large sample finds. The sketch they ask is the real
 * one, the ghosts are their own.
 *
 * The models are there from the first key on, and fill as the cache does, so that they know what it knows when it is
 * full; they take memory as they fill. One key of a power of two is followed, as many as fit; when the cache outgrows
 * that, half of what the models hold is dropped, and the rest is what they would hold if they had always followed so
 * few.
 *
 * Hits are counted in rounds; the score is a running sum in which the past fades. Another model is chosen only if it is
 * ahead by more than noise; and as a change costs hits, for the cache does not hold what the model holds, by so much
 * more as there were changes of late, so that a load that goes to and fro does not take the cache along. LRU must lead
 * by more than others, and is left for less: after it the others lack what it did not keep, and where it is ahead by
 * little the large window by reuse nearly is, too.
 *
 * Which models there are: for each there is a kind of load that it serves better than all others. By frequency, with a
 * small window: many keys, each asked for as likely as ever; with a middling and a large one: the same where many come
 * again soon as well. By reuse, with a small window: loops, and what is popular for a while; by uses: the same where
 * some are popular for long; with a large window: what is new is popular, and little of it stays. LRU: what is recent.
 * The first choice is by frequency with a large window: it keeps what was used before the cache was full, however long
 * a scan is, and is seldom far behind LRU. By reuse, a scan would drive out all of it.
 */
#include "evict_model_priv.h"

#include "base/mem.h"
#include "base/random.h"
#include "evict_reach_priv.h"
#include "store/evict_ghost.h"
#include "store/evict_tinylfu.h"

enum {
    MODELS = 7,
    MODEL_KEYS = 1024,
    MODEL_KEYS_MIN = 256,
    KEY_BYTES = 28,   /* that a key of a model costs, at most */
    LIMIT_SHARE = 32, /* so small a part of the limit of memory is taken by all models */
    ROOM_MIN = 64,    /* slots, to begin with */
    NONE = UINT16_MAX,
    MAIN_SAMPLES = 6,
    REUSE_SAMPLES = 12,
    TRIES = 24,
    THIN_OUT_PERCENT = 94, /* of the most keys: a cache whose sample is larger is sampled half as densely ... */
    RESTART_SHARE = 3,     /* ... and one whose sample is smaller than this part, twice as densely */
    WINDOW_EXCESS = 8,     /* more keys leave a window that is too large, each time */
    ROUND_MIN = 64,        /* uses of a round, at least ... */
    ROUND_SHARE = 8,       /* ... and this part of the capacity; */
    ROUND_FILLING = 16,    /* while nothing had to go yet there is nothing to tell the models apart by */
    ADMIT_BY_CHANCE = 128,
    ADMIT_FREQUENCY = 6,
    FIRST_MODEL = 2,
};

static const struct tinylfu_way way_of[MODELS] = {
    { .rule = TINYLFU_FREQUENCY, .permille = 10 },
    { .rule = TINYLFU_FREQUENCY, .permille = 120 },
    { .rule = TINYLFU_FREQUENCY, .permille = 400 },
    { .rule = TINYLFU_REUSE, .permille = 20 },
    { .rule = TINYLFU_REUSE, .permille = 100, .by_uses = true },
    { .rule = TINYLFU_REUSE, .permille = 400 },
    { .rule = TINYLFU_RECENCY, .permille = 1000 },
};

enum region { WINDOW, MAIN };

struct model_slot {
    uint32_t low, high;    /* of the hash */
    uint32_t used_at;      /* by the models' clock, cut: only differences count */
    uint16_t next;         /* of the index's chain */
    uint16_t older, newer; /* of the region's list */
    uint8_t region;        /* enum region */
    uint8_t uses;          /* since it came, or went round the window, or left it: at most 3 */
};

struct model_list {
    uint16_t oldest, newest;
    uint16_t len;
};

struct model {
    struct model_slot *slots;   /* owned; the first `count` of them are in use */
    uint16_t *index;            /* owned; as many as slots */
    struct model_list lists[2]; /* by region */
    uint32_t room, count;       /* room is a power of two, or 0 */
    uint64_t hits;              /* in the round */
    struct evict_ghosts ghosts;
    struct evict_reach reach;
    double score;
};

struct model_set {
    struct model models[MODELS];
    size_t most;     /* keys that each model may ever hold, */
    size_t capacity; /* keys that each model may hold now, */
    size_t ghosts;   /* and ghosts that it remembers */
    unsigned shift;  /* one key of 2^shift is followed */
    bool full;       /* the cache had to remove something */
    uint64_t clock;  /* uses that were followed */
    uint64_t round_end;
    double weight;  /* of the scores: the uses in them, faded */
    double caution; /* added to the lead that another model must have */
    int chosen;
};

struct model_set *model_set_create(void)
{
    struct model_set *models = mem_zalloc(sizeof *models);
    models->most = MODEL_KEYS;
    models->chosen = FIRST_MODEL;
    return models;
}

void model_set_limit(struct model_set *models, size_t limit)
{
    models->most = MODEL_KEYS;
    while (limit && models->most > MODEL_KEYS_MIN && models->most * KEY_BYTES * MODELS > limit / LIMIT_SHARE)
        models->most /= 2;
}

/* Gives back all that the model holds. */
static void release(struct model *model)
{
    mem_free(model->slots);
    mem_free(model->index);
    model->slots = NULL;
    model->index = NULL;
    model->room = model->count = 0;
}

void model_set_destroy(struct model_set *models)
{
    if (!models)
        return;
    for (int m = 0; m < MODELS; m++) {
        release(&models->models[m]);
        evict_ghosts_fini(&models->models[m].ghosts);
    }
    mem_free(models);
}

static bool is_sampled(uint64_t hash, unsigned shift)
{
    return hash * 0xd6e8feb86659fd93ull <= UINT64_MAX >> shift;
}

/* --- One model: index and lists --- */

static uint64_t hash_of(const struct model_slot *slot)
{
    return (uint64_t)slot->high << 32 | slot->low;
}

static uint16_t *bucket_of(struct model *model, uint64_t hash)
{
    return &model->index[hash >> 17 & (model->room - 1)];
}

static uint16_t find(struct model *model, uint64_t hash)
{
    uint16_t slot = model->room ? *bucket_of(model, hash) : NONE;
    while (slot != NONE && hash_of(&model->slots[slot]) != hash)
        slot = model->slots[slot].next;
    return slot;
}

static void link_slot(struct model *model, uint16_t slot)
{
    uint16_t *bucket = bucket_of(model, hash_of(&model->slots[slot]));
    model->slots[slot].next = *bucket;
    *bucket = slot;
}

static void unlink_slot(struct model *model, uint16_t slot)
{
    uint16_t *place = bucket_of(model, hash_of(&model->slots[slot]));
    while (*place != slot)
        place = &model->slots[*place].next;
    *place = model->slots[slot].next;
}

static void push(struct model *model, uint16_t slot, enum region region)
{
    struct model_list *list = &model->lists[region];
    struct model_slot *s = &model->slots[slot];
    s->region = (uint8_t)region;
    s->newer = NONE;
    s->older = list->newest;
    *(list->newest == NONE ? &list->oldest : &model->slots[list->newest].newer) = slot;
    list->newest = slot;
    list->len++;
}

static void take_out(struct model *model, uint16_t slot)
{
    struct model_slot *s = &model->slots[slot];
    struct model_list *list = &model->lists[s->region];
    *(s->older == NONE ? &list->oldest : &model->slots[s->older].newer) = s->newer;
    *(s->newer == NONE ? &list->newest : &model->slots[s->newer].older) = s->older;
    list->len--;
}

static void move(struct model *model, uint16_t slot, enum region region)
{
    take_out(model, slot);
    push(model, slot, region);
}

/* Makes room for one more slot. */
static void grow(struct model *model)
{
    if (model->count < model->room)
        return;
    for (int r = WINDOW; r <= MAIN && !model->room; r++)
        model->lists[r] = (struct model_list){ .oldest = NONE, .newest = NONE };
    model->room = model->room ? model->room * 2 : ROOM_MIN;
    model->slots = mem_realloc(model->slots, model->room * sizeof *model->slots);
    model->index = mem_realloc(model->index, model->room * sizeof *model->index);
    for (uint32_t i = 0; i < model->room; i++)
        model->index[i] = NONE;
    for (uint32_t i = 0; i < model->count; i++)
        link_slot(model, (uint16_t)i);
}

/* --- Who goes --- */

/* Who rests longest for its uses in the main region; NONE if none was met. */
static uint16_t idlest_of_main(const struct model *model, int m, struct random *random, uint32_t now)
{
    uint16_t best = NONE;
    uint64_t longest = 0;
    for (int i = 0; i < REUSE_SAMPLES; i++) {
        uint16_t slot = (uint16_t)random_below(random, model->count);
        const struct model_slot *candidate = &model->slots[slot];
        uint64_t rest = tinylfu_rest(&way_of[m], (uint32_t)(now - candidate->used_at), candidate->uses);
        if (candidate->region != MAIN || (best != NONE && rest <= longest))
            continue;
        best = slot;
        longest = rest;
    }
    return best;
}

/* The least frequent of the main region, the last used of equals; NONE if none was met. */
static uint16_t victim_of_main(
    const struct model *model, const struct tinylfu *tinylfu, struct random *random, uint32_t now, unsigned *frequency)
{
    uint16_t best = NONE;
    for (int i = 0, found = 0; i < TRIES && found < MAIN_SAMPLES; i++) {
        uint16_t slot = (uint16_t)random_below(random, model->count);
        if (model->slots[slot].region != MAIN)
            continue;
        found++;
        unsigned value = tinylfu_frequency(tinylfu, hash_of(&model->slots[slot]));
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
    for (int i = 0; i < WINDOW_EXCESS && model->lists[WINDOW].len > target; i++)
        move(model, model->lists[WINDOW].oldest, MAIN);
}

/* Who leaves the window next; who was used there goes round again, or is let in. NONE if the window is not full. */
static uint16_t leave_window(struct model *model, enum tinylfu_rule rule, size_t target)
{
    struct model_list *window = &model->lists[WINDOW];
    for (unsigned turns = window->len; turns && window->len >= target; turns--) {
        uint16_t slot = window->oldest;
        if (!model->slots[slot].uses)
            return slot;
        model->slots[slot].uses = 0;
        move(model, slot, rule == TINYLFU_REUSE ? MAIN : WINDOW);
    }
    return window->len >= target ? window->oldest : NONE;
}

/* Who leaves the window against who would go for it: the loser. */
static uint16_t contest(
    struct model *model, uint16_t leaver, const struct tinylfu *tinylfu, struct random *random, uint32_t now)
{
    unsigned weight = 0;
    uint16_t victim = victim_of_main(model, tinylfu, random, now, &weight);
    if (leaver == NONE || victim == NONE)
        return leaver == NONE ? victim : leaver;
    unsigned own = tinylfu_frequency(tinylfu, hash_of(&model->slots[leaver]));
    bool lucky = own >= ADMIT_FREQUENCY && random_below(random, ADMIT_BY_CHANCE) == 0;
    if (own <= weight && !lucky)
        return leaver;
    move(model, leaver, MAIN);
    return victim;
}

/* Who goes by the rule of reuse; a leaver of the window becomes a ghost. */
static uint16_t reuse_victim(
    struct model *model, int m, uint16_t leaver, size_t ghosts, struct random *random, uint32_t now)
{
    uint16_t oldest = model->lists[MAIN].oldest;
    if (oldest != NONE)
        evict_reach_set(&model->reach, (uint32_t)(now - model->slots[oldest].used_at));
    if (leaver == NONE)
        return way_of[m].by_uses ? idlest_of_main(model, m, random, now) : oldest;
    uint8_t date = evict_reach_date(&model->reach, model->slots[leaver].used_at);
    evict_ghosts_add_dated(&model->ghosts, hash_of(&model->slots[leaver]), ghosts, date);
    return leaver;
}

static size_t window_target(const struct model_set *models, int m)
{
    size_t target = models->capacity * way_of[m].permille / 1000;
    return target ? target : 1;
}

/* The slot to be used for the next key; it is out of its list and of the index. */
static uint16_t make_room(struct model_set *models, int m, const struct tinylfu *tinylfu, struct random *random)
{
    struct model *model = &models->models[m];
    enum tinylfu_rule rule = way_of[m].rule;
    uint32_t now = (uint32_t)models->clock;
    uint16_t slot = model->lists[MAIN].oldest;
    if (rule != TINYLFU_RECENCY) {
        size_t target = window_target(models, m);
        shrink_window(model, target);
        slot = leave_window(model, rule, target);
        slot = rule == TINYLFU_FREQUENCY ? contest(model, slot, tinylfu, random, now)
                                         : reuse_victim(model, m, slot, models->ghosts, random, now);
        if (slot == NONE)
            slot = model->lists[model->lists[WINDOW].len ? WINDOW : MAIN].oldest;
    }
    take_out(model, slot);
    unlink_slot(model, slot);
    return slot;
}

/* True if a key that comes was here lately, and passes the window by. */
static bool returns(struct model *model, uint64_t hash, uint32_t now)
{
    uint8_t date;
    return evict_ghosts_take_dated(&model->ghosts, hash, &date) && evict_reach_is_within(&model->reach, date, now);
}

static void take_in(
    struct model_set *models, int m, const struct tinylfu *tinylfu, struct random *random, uint64_t hash)
{
    struct model *model = &models->models[m];
    bool filling = model->count < models->capacity;
    uint16_t slot;
    if (filling) {
        grow(model);
        slot = (uint16_t)model->count++;
    } else {
        slot = make_room(models, m, tinylfu, random);
    }
    model->slots[slot] = (struct model_slot){
        .low = (uint32_t)hash, .high = (uint32_t)(hash >> 32), .used_at = (uint32_t)models->clock
    };
    link_slot(model, slot);
    if (way_of[m].rule == TINYLFU_RECENCY || returns(model, hash, (uint32_t)models->clock)) {
        push(model, slot, MAIN);
        return;
    }
    push(model, slot, WINDOW);
    /* While it fills, what leaves the window meets no contest. */
    while (filling && model->lists[WINDOW].len > model->count * way_of[m].permille / 1000 + 1)
        move(model, model->lists[WINDOW].oldest, MAIN);
}

/* --- All of them --- */

/* The cache shrank, so that there are slots that it would not have: the models begin anew, and the choice stays. */
static void restart(struct model_set *models)
{
    for (int m = 0; m < MODELS; m++)
        release(&models->models[m]);
}

/* Keeps what a smaller sample would have. */
static void thin_out(struct model *model, unsigned shift)
{
    struct model_slot old[MODEL_KEYS];
    struct model_list lists[2] = { model->lists[WINDOW], model->lists[MAIN] };
    for (uint32_t i = 0; i < model->count; i++)
        old[i] = model->slots[i];
    release(model);
    for (int r = WINDOW; r <= MAIN; r++)
        for (uint16_t at = lists[r].oldest; at != NONE; at = old[at].newer) {
            if (!is_sampled(hash_of(&old[at]), shift))
                continue;
            grow(model);
            uint16_t slot = (uint16_t)model->count++;
            model->slots[slot] = old[at];
            link_slot(model, slot);
            push(model, slot, (enum region)r);
        }
}

bool model_set_samples(struct model_set *models, uint64_t hash, size_t keys, size_t ghosts)
{
    if (__builtin_expect(keys >> models->shift > models->most * THIN_OUT_PERCENT / 100, 0)) {
        models->shift++;
        for (int m = 0; m < MODELS; m++)
            if (models->models[m].count)
                thin_out(&models->models[m], models->shift);
    } else if (__builtin_expect(models->shift && keys >> models->shift < models->most / RESTART_SHARE, 0)) {
        models->shift--;
        restart(models);
    }
    size_t sampled = (keys >> models->shift) + 1;
    models->capacity = !models->full || sampled > models->most ? models->most : sampled;
    models->ghosts = (ghosts >> models->shift) + 1;
    return is_sampled(hash, models->shift);
}

void model_set_full(struct model_set *models)
{
    models->full = true;
}

/* What the model's hits are worth to the choice. */
static double worth(const struct model_set *models, int m)
{
    const double handicap = 0.0035;
    return models->models[m].score - (way_of[m].rule == TINYLFU_RECENCY ? handicap * models->weight : 0);
}

static void end_round(struct model_set *models)
{
    const double fade = 0.99, margin = 0.004 + models->caution, cost = 0.003;
    size_t part = models->capacity / ROUND_SHARE;
    double uses = (double)(!models->full ? ROUND_FILLING : part > ROUND_MIN ? part : ROUND_MIN);
    models->weight = models->weight * fade + uses;
    models->round_end = models->clock + (uint64_t)uses;
    for (int m = 0; m < MODELS; m++) {
        struct model *model = &models->models[m];
        model->score = model->score * fade + (double)model->hits;
        model->hits = 0;
    }
    int best = models->chosen;
    double most = worth(models, best) + margin * models->weight;
    for (int m = 0; m < MODELS; m++) {
        if (m == models->chosen || worth(models, m) <= most)
            continue;
        best = m;
        most = worth(models, m);
    }
    models->caution = models->caution * fade + (best != models->chosen ? cost : 0);
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
        if (model->slots[slot].region == MAIN && way_of[m].rule != TINYLFU_FREQUENCY)
            move(model, slot, MAIN);
    }
    if (models->clock >= models->round_end)
        end_round(models);
}

const struct tinylfu_way *model_set_way(const struct model_set *models)
{
    return &way_of[models->chosen];
}

size_t model_set_memory(const struct model_set *models)
{
    size_t memory = mem_good_size(sizeof *models);
    for (int m = 0; m < MODELS; m++) {
        const struct model *model = &models->models[m];
        memory += evict_ghosts_memory(&model->ghosts);
        if (model->room)
            memory +=
                mem_good_size(model->room * sizeof *model->slots) + mem_good_size(model->room * sizeof *model->index);
    }
    return memory;
}
