/*
 * Choosing what goes.
 *
 * A step gathers the entries of a few random buckets and offers them to the pool, which keeps the best POOL of all that
 * were ever offered, by score; then the best one that is still there goes, unless it has been used meanwhile: then it
 * gets a new score and the next is tried. A pool's entry is a pointer and a hash, and the pointer is only followed once
 * it was found in the bucket that the hash names. Keys that do not expire are passed over by the slot's mark under a
 * volatile policy, so that searching for few among many reads buckets only.
 */
#include "store/evict.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/random.h"
#include "evict_lfu_priv.h"
#include "evict_priv.h"
#include "keyspace_priv.h"
#include "store/evict_clock.h"
#include "store/evict_tinylfu.h"

enum {
    POOL = 32,
    GATHERED_MAX = 256,
    BUCKETS_MAX = 48,          /* read in one step at random ... */
    SEARCH_BUCKETS = 512,      /* ... and then in order, where what may go is rare */
    TICKS_PER_TURNOVER = 2048, /* how finely uses are told apart: so many ticks while all keys are used once */
    TIME_SAMPLES = 4,          /* entries looked at for each of maxmemory-samples, by policies that order by time */
    WINDOW_TURNS = 16,         /* keys that go round the window once more in one step, at most */
    WINDOW_EXCESS = 8,         /* keys that leave a window that is too large, in one step; */
    WINDOW_STEPS = 64,         /* it is, if it was for so many steps */
    MAIN_SAMPLES = 6,
    REUSE_SAMPLES = 12,
    ADMIT_BY_CHANCE = 128,
    ADMIT_FREQUENCY = 6,
    TINY_WINDOW = 1 << 23,
    TINY_USE = 1 << 21,
    TINY_USES = 3 * TINY_USE,
    TINY_MASK = TINY_USE - 1,
};

struct candidate {
    struct entry *entry; /* borrowed: valid if it is found in the table */
    uint64_t hash, score;
    uint64_t used_at; /* under W-TinyLFU: what the score follows from */
    unsigned uses;
    int db;
};

struct evict {
    struct evict_settings settings;
    size_t keys;                 /* in all databases, as of the last second, or arrival under W-TinyLFU */
    bool fine;                   /* ticks follow the uses */
    struct candidate pool[POOL]; /* by score, best last */
    size_t pooled;
    struct random random;
    struct evict_clock clock;
    uint64_t ticks; /* as keyspace->clock, not cut to an entry's bits */
    int64_t ticked_ms;
    struct tinylfu *tinylfu;       /* owned; NULL under other policies */
    const struct tinylfu_way *way; /* that the pool's scores were made for */
    /* How many keys the window had at least, in how many steps, and how many too many it had. */
    size_t window_least, window_steps, window_excess;
    struct evict_lfu lfu;
    uint64_t search_cursor;
    int search_db;
    int settle_db; /* marks of the window are being taken off in this database; -1 if not */
    uint64_t settle_cursor;
};

struct evict *evict_create(void)
{
    struct evict *evict = mem_zalloc(sizeof *evict);
    evict->settings.samples = 5;
    evict->settle_db = -1;
    random_init_secret(&evict->random);
    return evict;
}

void evict_destroy(struct evict *evict)
{
    if (!evict)
        return;
    tinylfu_destroy(evict->tinylfu);
    evict_lfu_fini(&evict->lfu);
    mem_free(evict);
}

static enum evict_kind kind_of(const struct evict *evict)
{
    return (enum evict_kind)(evict->settings.policy & ~EVICT_VOLATILE);
}

static enum tinylfu_rule rule_of(const struct evict *evict)
{
    return tinylfu_way(evict->tinylfu)->rule;
}

static bool is_volatile(const struct evict *evict)
{
    return evict->settings.policy & EVICT_VOLATILE;
}

static size_t key_count(const struct keyspace *keyspace)
{
    size_t count = 0;
    for (int i = 0; i < keyspace->db_count; i++)
        count += keyspace_size(keyspace->dbs[i]);
    return count;
}

/* --- Settings and time --- */

/* Uses that make a tick. */
static void set_pace(struct keyspace *keyspace)
{
    struct evict *evict = keyspace->evict;
    evict->keys = key_count(keyspace);
    size_t uses = evict->keys / TICKS_PER_TURNOVER;
    keyspace->uses_per_tick = !evict->fine        ? UINT32_MAX
                              : uses < 1          ? 1
                              : uses < UINT32_MAX ? (uint32_t)uses
                                                  : UINT32_MAX;
}

void evict_configure(struct keyspace *keyspace, const struct evict_settings *settings, size_t limit)
{
    static const uint8_t access_of[] = {
        [EVICT_LRM] = ACCESS_CHANGE,
        [EVICT_LFU] = ACCESS_LFU,
        [EVICT_WTINYLFU] = ACCESS_TINYLFU,
    };
    struct evict *evict = keyspace->evict;
    enum evict_kind before = kind_of(evict);
    evict->settings = *settings;
    enum evict_kind kind = kind_of(evict);
    evict->fine = limit && (kind == EVICT_LRU || kind == EVICT_LRM || kind == EVICT_WTINYLFU);
    evict->pooled = 0;
    evict->lfu.log_factor = settings->lfu_log_factor;
    evict->lfu.decay_minutes = settings->lfu_decay_time;
    evict->lfu.full_keys = 0;
    keyspace->access = kind < sizeof access_of ? (enum evict_access)access_of[kind] : ACCESS_TIME;
    if (kind == EVICT_WTINYLFU && before != kind) {
        evict->tinylfu = tinylfu_create();
        evict->settle_db = 0;
        evict->settle_cursor = 0;
    } else if (kind != EVICT_WTINYLFU) {
        tinylfu_destroy(evict->tinylfu);
        evict->tinylfu = NULL;
        evict->settle_db = -1;
    }
    if (evict->tinylfu)
        tinylfu_set_limit(evict->tinylfu, limit);
    if (kind != EVICT_LFU)
        evict_lfu_fini(&evict->lfu);
    set_pace(keyspace);
}

/* Takes what the uses have added to the keyspace's clock over into the long count. */
static void follow(struct keyspace *keyspace)
{
    struct evict *evict = keyspace->evict;
    evict->ticks += (keyspace->clock - (uint32_t)evict->ticks) & ENTRY_CLOCK_MASK;
}

void evict_tick(struct keyspace *keyspace, int64_t now_ms)
{
    struct evict *evict = keyspace->evict;
    if (now_ms / 1000 == evict->ticked_ms / 1000 && evict->ticked_ms)
        return;
    if (!evict->ticked_ms) /* before there were ticks, a tick was a second */
        keyspace->clock = (uint32_t)(now_ms / 1000) & ENTRY_CLOCK_MASK;
    if (!evict->ticks)
        evict->ticks = (UINT64_C(1) << 32) + (keyspace->clock & ENTRY_CLOCK_MASK);
    int64_t seconds = evict->ticked_ms ? now_ms / 1000 - evict->ticked_ms / 1000 : 1;
    follow(keyspace);
    keyspace->clock += (uint32_t)(seconds > 0 ? seconds : 1);
    follow(keyspace);
    evict->ticked_ms = now_ms;
    evict_clock_note(&evict->clock, evict->ticks, now_ms);
    set_pace(keyspace);
}

/* --- What a clock says --- */

static unsigned lfu_counter(const struct keyspace *keyspace, const struct entry *entry)
{
    return evict_lfu_counter(&keyspace->evict->lfu, entry->clock, keyspace->evict->ticked_ms);
}

static uint32_t time_mask(const struct keyspace *keyspace)
{
    return keyspace->access == ACCESS_TINYLFU ? TINY_MASK : ENTRY_CLOCK_MASK;
}

static uint32_t age_of(const struct keyspace *keyspace, const struct entry *entry)
{
    return (keyspace->clock - entry->clock) & time_mask(keyspace);
}

bool evict_counts_frequency(const struct keyspace *keyspace)
{
    return keyspace->access == ACCESS_LFU;
}

int64_t evict_idle_s(const struct keyspace *keyspace, const struct entry *entry, int64_t now_ms)
{
    const struct evict *evict = keyspace->evict;
    if (keyspace->access == ACCESS_LFU)
        return 0;
    uint64_t ticks = evict->ticks + ((keyspace->clock - (uint32_t)evict->ticks) & ENTRY_CLOCK_MASK);
    int64_t idle_ms = now_ms - evict_clock_time_of(&evict->clock, ticks - age_of(keyspace, entry), now_ms);
    return idle_ms > 0 ? idle_ms / 1000 : 0;
}

static uint64_t hash_of(const struct entry *entry)
{
    struct bytes key = entry_key(entry);
    return hash_bytes(key.ptr, key.len);
}

unsigned evict_frequency(const struct keyspace *keyspace, const struct entry *entry)
{
    if (keyspace->access == ACCESS_TINYLFU)
        return tinylfu_frequency(keyspace->evict->tinylfu, hash_of(entry));
    return keyspace->access == ACCESS_LFU ? lfu_counter(keyspace, entry) : 0;
}

void evict_set_idle(struct keyspace *keyspace, struct entry *entry, int64_t idle_s, int64_t now_ms)
{
    if (keyspace->access == ACCESS_LFU)
        return;
    follow(keyspace);
    int64_t age = (int64_t)keyspace->evict->ticks - evict_clock_tick_at(&keyspace->evict->clock,
                                                        now_ms - (idle_s < INT32_MAX ? idle_s : INT32_MAX) * 1000);
    uint32_t mask = time_mask(keyspace);
    uint32_t cut = age < 0 ? 0 : age > mask ? mask : (uint32_t)age;
    entry->clock = ((entry->clock & ~mask) | ((keyspace->clock - cut) & mask)) & ENTRY_CLOCK_MASK;
}

void evict_set_frequency(struct keyspace *keyspace, struct entry *entry, unsigned frequency)
{
    struct evict *evict = keyspace->evict;
    unsigned counter = frequency < EVICT_LFU_MAX ? frequency : EVICT_LFU_MAX;
    if (keyspace->access == ACCESS_LFU)
        entry->clock = evict_lfu_clock(&evict->lfu, counter, evict->ticked_ms) & ENTRY_CLOCK_MASK;
}

/* The present, in ticks as evict counts them. */
static uint64_t now_of(const struct keyspace *keyspace)
{
    const struct evict *evict = keyspace->evict;
    return evict->ticks + ((keyspace->clock - (uint32_t)evict->ticks) & ENTRY_CLOCK_MASK);
}

/* --- Uses and arrivals --- */

void evict_touch(struct keyspace *keyspace, struct entry *entry)
{
    struct evict *evict = keyspace->evict;
    if (keyspace->access == ACCESS_LFU) {
        entry->clock = evict_lfu_use(&evict->lfu, &evict->random, entry->clock, evict->ticked_ms) & ENTRY_CLOCK_MASK;
    } else if (keyspace->access == ACCESS_TINYLFU) {
        uint32_t flags = entry->clock & (TINY_WINDOW | TINY_USES);
        flags += (flags & TINY_USES) == TINY_USES ? 0 : TINY_USE;
        entry->clock = (flags | (keyspace->clock & TINY_MASK)) & ENTRY_CLOCK_MASK;
        tinylfu_use(evict->tinylfu, &evict->random, hash_of(entry), evict->keys);
    }
}

/* The entry that a hash of the window stands for, NULL if it is gone or has left the window. */
static struct entry *find_in_window(const struct keyspace *keyspace, uint32_t cut, struct candidate *out)
{
    for (int i = 0; i < keyspace->db_count; i++) {
        const struct table *table = &keyspace->dbs[i]->table;
        if (!table->buckets)
            continue;
        for (struct table_bucket *bucket = table_bucket_of(table, cut); bucket; bucket = bucket->next)
            for (int s = 0; s < TABLE_SLOTS && bucket->slot[s]; s++) {
                struct entry *entry = table_slot_item(&bucket->slot[s]);
                uint64_t hash = 0;
                if (!(entry->clock & TINY_WINDOW) || (uint32_t)(hash = hash_of(entry)) != cut)
                    continue;
                *out = (struct candidate){ .entry = entry, .hash = hash, .db = i };
                return entry;
            }
    }
    return NULL;
}

static void leave_window(struct entry *entry)
{
    entry->clock &= TINY_MASK;
}

void evict_arrive(struct keyspace *keyspace, const struct key *key, struct entry *entry)
{
    struct evict *evict = keyspace->evict;
    entry->clock = keyspace->clock & ENTRY_CLOCK_MASK;
    if (keyspace->access == ACCESS_LFU)
        entry->clock = evict_lfu_arrive(&evict->lfu, key->hash, evict->ticked_ms) & ENTRY_CLOCK_MASK;
    if (keyspace->access != ACCESS_TINYLFU)
        return;
    size_t keys = evict->keys = key_count(keyspace) + 1;
    entry->clock = keyspace->clock & TINY_MASK;
    tinylfu_use(evict->tinylfu, &evict->random, key->hash, keys);
    if (tinylfu_returns(evict->tinylfu, key->hash, now_of(keyspace)))
        return;
    entry->clock |= TINY_WINDOW;
    tinylfu_window_push(evict->tinylfu, key->hash);
    /* While nothing has to go the window does not grow past what it may ever be. */
    struct candidate oldest;
    for (int i = 0; i < 2 && tinylfu_window_len(evict->tinylfu) > keys / 5 * 2 + 16; i++)
        if (find_in_window(keyspace, tinylfu_window_pop(evict->tinylfu), &oldest))
            leave_window(oldest.entry);
}

void evict_adopt(struct keyspace *keyspace, struct entry *entry)
{
    if (keyspace->access == ACCESS_TINYLFU)
        leave_window(entry);
}

/* --- Gathering --- */

static bool may_go(const struct keyspace *keyspace, const struct entry *entry)
{
    return (!is_volatile(keyspace->evict) || entry->flags & ENTRY_EXPIRES) && !keyspace_holds(keyspace, entry);
}

static size_t weight_of(const struct evict *evict, const struct db *db)
{
    return is_volatile(evict) ? db->expires : keyspace_size(db);
}

/* A database by the number of its keys that may go; NULL if there are none at all. */
static struct db *choose_db(struct keyspace *keyspace)
{
    struct evict *evict = keyspace->evict;
    size_t total = 0;
    for (int i = 0; i < keyspace->db_count; i++)
        total += weight_of(evict, keyspace->dbs[i]);
    if (!total)
        return NULL;
    size_t at = random_below(&evict->random, total);
    for (int i = 0;; i++) {
        size_t weight = weight_of(evict, keyspace->dbs[i]);
        if (at < weight)
            return keyspace->dbs[i];
        at -= weight;
    }
}

struct gathered {
    const struct evict *evict;
    struct entry *entries[GATHERED_MAX]; /* borrowed */
    size_t count;
};

static void gather_slot(void *context, uint64_t *slot)
{
    struct gathered *gathered = context;
    if ((is_volatile(gathered->evict) && !table_slot_marked(slot)) || gathered->count == GATHERED_MAX)
        return;
    gathered->entries[gathered->count] = table_slot_item(slot);
    __builtin_prefetch(gathered->entries[gathered->count++]);
}

/* Keeps only what may go. */
static void sift(const struct keyspace *keyspace, struct gathered *gathered)
{
    size_t kept = 0;
    for (size_t i = 0; i < gathered->count; i++)
        if (may_go(keyspace, gathered->entries[i]))
            gathered->entries[kept++] = gathered->entries[i];
    gathered->count = kept;
}

/* Whole buckets at random, until there are `want` entries; where they are too rare for that, buckets in order. */
static void gather(struct keyspace *keyspace, struct db *db, size_t want, struct gathered *gathered)
{
    struct evict *evict = keyspace->evict;
    gathered->evict = evict;
    gathered->count = 0;
    for (int i = 0; i < BUCKETS_MAX && gathered->count < want; i++) {
        size_t number = random_below(&evict->random, db->table.buckets);
        struct table_bucket *bucket =
            &db->table.segments[number / TABLE_SEGMENT_BUCKETS][number % TABLE_SEGMENT_BUCKETS];
        for (; bucket; bucket = bucket->next)
            for (int s = 0; s < TABLE_SLOTS && bucket->slot[s]; s++)
                gather_slot(gathered, &bucket->slot[s]);
    }
    sift(keyspace, gathered);
    if (gathered->count)
        return;
    if (evict->search_db != db->index)
        evict->search_cursor = 0;
    evict->search_db = db->index;
    for (int i = 0; i < SEARCH_BUCKETS && !gathered->count; i++) {
        evict->search_cursor = table_scan(&db->table, evict->search_cursor, gather_slot, gathered);
        sift(keyspace, gathered);
    }
}

/* --- The pool --- */

static uint64_t used_at(const struct keyspace *keyspace, const struct entry *entry)
{
    return now_of(keyspace) - age_of(keyspace, entry);
}

static unsigned uses_of(const struct entry *entry)
{
    return (entry->clock & TINY_USES) / TINY_USE;
}

/* The higher, the sooner it goes. It stays what it is while the key is not used, however long the pool keeps it. */
static uint64_t score_of(const struct keyspace *keyspace, const struct entry *entry, uint64_t hash)
{
    enum { TIME_BITS = 48 };
    const struct evict *evict = keyspace->evict;
    const struct tinylfu_way *way;
    switch (kind_of(evict)) {
    case EVICT_LFU:
        return EVICT_LFU_MAX - lfu_counter(keyspace, entry);
    case EVICT_TTL:
        return UINT64_MAX / 2 - (uint64_t)entry_expiry(entry);
    case EVICT_WTINYLFU:
        way = tinylfu_way(evict->tinylfu);
        if (way->rule == TINYLFU_RECENCY)
            return UINT64_MAX - used_at(keyspace, entry);
        if (way->rule == TINYLFU_REUSE)
            return tinylfu_rest(way, age_of(keyspace, entry), uses_of(entry));
        return (uint64_t)(15 - tinylfu_frequency(evict->tinylfu, hash)) << TIME_BITS | used_at(keyspace, entry);
    default:
        return UINT64_MAX - used_at(keyspace, entry);
    }
}

/* What the key's own clock says now. */
static void rate(const struct keyspace *keyspace, struct candidate *candidate)
{
    candidate->score = score_of(keyspace, candidate->entry, candidate->hash);
    candidate->used_at = used_at(keyspace, candidate->entry);
    candidate->uses = uses_of(candidate->entry);
}

static size_t pool_size(const struct evict *evict)
{
    enum kind_size { BY_FREQUENCY = 16, BY_REUSE = 16, TINY = 8 };
    enum evict_kind kind = kind_of(evict);
    if (kind == EVICT_WTINYLFU)
        return rule_of(evict) == TINYLFU_RECENCY ? POOL : rule_of(evict) == TINYLFU_REUSE ? BY_REUSE : TINY;
    return kind == EVICT_LFU ? BY_FREQUENCY : POOL;
}

static void pool_add(struct evict *evict, struct candidate candidate)
{
    size_t size = pool_size(evict), at = 0;
    for (size_t i = 0; i < evict->pooled; i++)
        if (evict->pool[i].entry == candidate.entry && evict->pool[i].db == candidate.db)
            return;
    while (at < evict->pooled && evict->pool[at].score < candidate.score)
        at++;
    if (evict->pooled >= size) {
        if (at == 0)
            return;
        for (size_t i = 0; i + 1 < at; i++)
            evict->pool[i] = evict->pool[i + 1];
        evict->pool[at - 1] = candidate;
        return;
    }
    for (size_t i = evict->pooled++; i > at; i--)
        evict->pool[i] = evict->pool[i - 1];
    evict->pool[at] = candidate;
}

/* Those with few uses overtake the others as time goes by. */
static void pool_rank(const struct keyspace *keyspace)
{
    struct evict *evict = keyspace->evict;
    const struct tinylfu_way *way = tinylfu_way(evict->tinylfu);
    uint64_t now = now_of(keyspace);
    for (size_t i = 0; i < evict->pooled; i++) {
        struct candidate candidate = evict->pool[i];
        candidate.score = tinylfu_rest(way, now - candidate.used_at, candidate.uses);
        size_t at = i;
        for (; at && evict->pool[at - 1].score > candidate.score; at--)
            evict->pool[at] = evict->pool[at - 1];
        evict->pool[at] = candidate;
    }
}

static bool is_same_item(const void *item, const void *sought)
{
    return item == sought;
}

/* The best candidate that is what it was when it came; out of the pool. False if none is left. */
static bool pool_take(struct keyspace *keyspace, struct candidate *out)
{
    struct evict *evict = keyspace->evict;
    for (int tries = 2 * POOL; evict->pooled && tries; tries--) {
        struct candidate best = evict->pool[--evict->pooled];
        const struct table *table = &keyspace->dbs[best.db]->table;
        if (!table_find(table, best.hash, is_same_item, best.entry) || !may_go(keyspace, best.entry))
            continue;
        if (keyspace->access == ACCESS_TINYLFU && best.entry->clock & TINY_WINDOW && rule_of(evict) != TINYLFU_RECENCY)
            continue;
        rate(keyspace, &best);
        if (tries > 1 && evict->pooled && best.score < evict->pool[evict->pooled - 1].score) {
            pool_add(evict, best);
            continue;
        }
        *out = best;
        return true;
    }
    return false;
}

/* --- Removing --- */

static void remove_candidate(struct keyspace *keyspace, const struct candidate *candidate)
{
    struct db *db = keyspace->dbs[candidate->db];
    uint64_t *slot = table_find(&db->table, candidate->hash, is_same_item, candidate->entry);
    ASSERT(slot);
    keyspace_evict(keyspace, db, candidate->hash, slot);
}

/* An expired entry among those gathered goes before all others. */
static bool remove_expired(struct keyspace *keyspace, struct db *db, const struct gathered *gathered, int64_t now_ms)
{
    for (size_t i = 0; i < gathered->count; i++) {
        struct entry *entry = gathered->entries[i];
        if (!entry_is_expired(entry, now_ms))
            continue;
        uint64_t hash = hash_of(entry);
        uint64_t *slot = table_find(&db->table, hash, is_same_item, entry);
        ASSERT(slot);
        keyspace_expire(keyspace, db, hash, slot);
        return true;
    }
    return false;
}

static size_t samples_wanted(const struct evict *evict)
{
    enum evict_kind kind = kind_of(evict);
    int64_t samples = evict->settings.samples < GATHERED_MAX ? evict->settings.samples : GATHERED_MAX;
    if (kind == EVICT_LFU || kind == EVICT_RANDOM)
        return (size_t)samples;
    if (kind == EVICT_WTINYLFU && rule_of(evict) != TINYLFU_RECENCY) {
        int64_t least = rule_of(evict) == TINYLFU_REUSE ? REUSE_SAMPLES : MAIN_SAMPLES;
        return (size_t)(samples > least ? samples : least);
    }
    return (size_t)(samples * TIME_SAMPLES < GATHERED_MAX ? samples * TIME_SAMPLES : GATHERED_MAX);
}

/* Looks at some keys; true if one was expired and went. What was seen is in `gathered`, and in the pool. */
static bool look_around(struct keyspace *keyspace, struct db *db, struct gathered *gathered, int64_t now_ms)
{
    struct evict *evict = keyspace->evict;
    gather(keyspace, db, samples_wanted(evict), gathered);
    if (remove_expired(keyspace, db, gathered, now_ms))
        return true;
    if (kind_of(evict) == EVICT_RANDOM)
        return false;
    bool skip_window = keyspace->access == ACCESS_TINYLFU && rule_of(evict) != TINYLFU_RECENCY;
    size_t count = gathered->count;
    bool by_looks = kind_of(evict) == EVICT_LFU;
    if (by_looks && count > samples_wanted(evict))
        count = samples_wanted(evict);
    for (size_t i = 0; i < count; i++) {
        size_t at = by_looks ? evict_lfu_choose(&evict->lfu, &evict->random, i, gathered->count) : i;
        struct entry *entry = gathered->entries[at];
        if (skip_window && entry->clock & TINY_WINDOW)
            continue;
        struct candidate candidate = { .entry = entry, .db = db->index };
        candidate.hash = hash_of(entry);
        rate(keyspace, &candidate);
        pool_add(evict, candidate);
    }
    return false;
}

/* --- W-TinyLFU --- */

/*
 * A window that is too large gives what it has too much to the main region, without a contest. Arrivals and evictions
 * come in bursts, so it is only too large if it was all the time.
 */
static void shed_window(struct keyspace *keyspace, size_t target)
{
    struct evict *evict = keyspace->evict;
    size_t len = tinylfu_window_len(evict->tinylfu);
    evict->window_least = len < evict->window_least ? len : evict->window_least;
    if (++evict->window_steps >= WINDOW_STEPS) {
        evict->window_excess = evict->window_least > target ? evict->window_least - target : 0;
        evict->window_least = len;
        evict->window_steps = 0;
    }
    struct candidate oldest;
    for (int i = 0; i < WINDOW_EXCESS && evict->window_excess && tinylfu_window_len(evict->tinylfu) > target; i++) {
        evict->window_excess--;
        if (find_in_window(keyspace, tinylfu_window_pop(evict->tinylfu), &oldest))
            leave_window(oldest.entry);
    }
}

/* Who leaves the window next: out of its queue, its mark still on. False if the window is not too large. */
static bool next_leaver(struct keyspace *keyspace, size_t target, struct candidate *out)
{
    struct tinylfu *tinylfu = keyspace->evict->tinylfu;
    shed_window(keyspace, target);
    for (int turns = 0; tinylfu_window_len(tinylfu) >= target && tinylfu_window_len(tinylfu);) {
        struct entry *entry = find_in_window(keyspace, tinylfu_window_pop(tinylfu), out);
        if (!entry)
            continue;
        if (keyspace_holds(keyspace, entry)) {
            leave_window(entry);
            continue;
        }
        if (!(entry->clock & TINY_USES) || turns++ == WINDOW_TURNS)
            return true;
        entry->clock &= ~(uint32_t)TINY_USES & ENTRY_CLOCK_MASK;
        if (rule_of(keyspace->evict) == TINYLFU_REUSE)
            leave_window(entry);
        else
            tinylfu_window_push(tinylfu, out->hash);
    }
    return false;
}

static void remove_leaver(struct keyspace *keyspace, const struct candidate *leaver)
{
    struct evict *evict = keyspace->evict;
    tinylfu_forgo(evict->tinylfu, leaver->hash, evict->keys, used_at(keyspace, leaver->entry));
    remove_candidate(keyspace, leaver);
}

static void admit(struct keyspace *keyspace, const struct candidate *leaver, const struct candidate *victim)
{
    struct evict *evict = keyspace->evict;
    unsigned own = tinylfu_frequency(evict->tinylfu, leaver->hash);
    unsigned other = tinylfu_frequency(evict->tinylfu, victim->hash);
    bool lucky = own >= ADMIT_FREQUENCY && random_below(&evict->random, ADMIT_BY_CHANCE) == 0;
    leave_window(leaver->entry);
    if (own > other || lucky) {
        remove_candidate(keyspace, victim);
    } else {
        pool_add(evict, *victim);
        remove_leaver(keyspace, leaver);
    }
}

static enum evict_result evict_by_tinylfu(struct keyspace *keyspace, struct db *db, int64_t now_ms)
{
    struct evict *evict = keyspace->evict;
    struct gathered gathered;
    struct candidate leaver, victim;
    tinylfu_set_full(evict->tinylfu);
    const struct tinylfu_way *way = tinylfu_way(evict->tinylfu);
    if (way != evict->way) /* scores were made in another way */
        evict->pooled = 0;
    evict->way = way;
    size_t target = tinylfu_window_target(evict->tinylfu, key_count(keyspace));
    if (way->rule == TINYLFU_REUSE)
        pool_rank(keyspace);
    if (look_around(keyspace, db, &gathered, now_ms))
        return EVICT_REMOVED;
    bool leaves = way->rule != TINYLFU_RECENCY && next_leaver(keyspace, target, &leaver);
    bool found = pool_take(keyspace, &victim);
    if (found && way->rule == TINYLFU_REUSE)
        tinylfu_set_reach(evict->tinylfu, now_of(keyspace) - victim.used_at);
    if (leaves && way->rule == TINYLFU_REUSE) {
        if (found)
            pool_add(evict, victim);
        remove_leaver(keyspace, &leaver);
        return EVICT_REMOVED;
    }
    if (leaves && found) {
        admit(keyspace, &leaver, &victim);
        return EVICT_REMOVED;
    }
    if (!leaves && !found)
        leaves = tinylfu_window_len(evict->tinylfu) && next_leaver(keyspace, 1, &leaver);
    if (leaves)
        remove_leaver(keyspace, &leaver);
    else if (found)
        remove_candidate(keyspace, &victim);
    return leaves || found ? EVICT_REMOVED : EVICT_SEARCHING;
}

/* --- Doing it --- */

enum evict_result evict_one(struct keyspace *keyspace, int64_t now_ms)
{
    struct evict *evict = keyspace->evict;
    enum evict_kind kind = kind_of(evict);
    if (kind == EVICT_NOTHING_EVER)
        return EVICT_IMPOSSIBLE;
    struct db *db = choose_db(keyspace);
    if (!db)
        return EVICT_IMPOSSIBLE;
    evict->lfu.full_keys = keyspace_size(db);
    if (kind == EVICT_WTINYLFU)
        return evict_by_tinylfu(keyspace, db, now_ms);
    struct gathered gathered;
    struct candidate victim;
    if (look_around(keyspace, db, &gathered, now_ms))
        return EVICT_REMOVED;
    if (kind == EVICT_RANDOM) {
        if (!gathered.count)
            return EVICT_SEARCHING;
        victim.entry = gathered.entries[random_below(&evict->random, gathered.count)];
        victim.hash = hash_of(victim.entry);
        victim.db = db->index;
    } else if (!pool_take(keyspace, &victim)) {
        return EVICT_SEARCHING;
    }
    if (kind == EVICT_LFU)
        evict_lfu_forgo(&evict->lfu, victim.hash, key_count(keyspace));
    remove_candidate(keyspace, &victim);
    return EVICT_REMOVED;
}

static void settle_slot(void *context, uint64_t *slot)
{
    (void)context;
    leave_window(table_slot_item(slot));
}

bool evict_settle(struct keyspace *keyspace, size_t buckets)
{
    struct evict *evict = keyspace->evict;
    for (; buckets && evict->settle_db >= 0; buckets--) {
        struct db *db = keyspace->dbs[evict->settle_db];
        evict->settle_cursor = table_scan(&db->table, evict->settle_cursor, settle_slot, NULL);
        if (!evict->settle_cursor && ++evict->settle_db == keyspace->db_count)
            evict->settle_db = -1;
    }
    return evict->settle_db >= 0;
}

size_t evict_memory(const struct keyspace *keyspace)
{
    const struct evict *evict = keyspace->evict;
    return mem_good_size(sizeof *evict) + evict_ghosts_memory(&evict->lfu.ghosts) +
           (evict->tinylfu ? tinylfu_memory(evict->tinylfu) : 0);
}

unsigned evict_window_permille(const struct keyspace *keyspace)
{
    const struct evict *evict = keyspace->evict;
    return evict->tinylfu ? tinylfu_way(evict->tinylfu)->permille : 0;
}

const char *evict_policy_name(int policy)
{
    static const char *const all[] = { "noeviction", "allkeys-lru", "allkeys-lrm", "allkeys-lfu", "allkeys-random", "",
        "allkeys-wtinylfu" };
    static const char *const some[] = { "", "volatile-lru", "volatile-lrm", "volatile-lfu", "volatile-random",
        "volatile-ttl", "" };
    int kind = policy & ~EVICT_VOLATILE;
    ASSERT(kind >= 0 && kind <= EVICT_WTINYLFU);
    return policy & EVICT_VOLATILE ? some[kind] : all[kind];
}
