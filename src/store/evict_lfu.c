/*
 * What LFU notes and looks at.
 *
 * A counter grows with a probability that falls as it grows (Morris, "Counting large numbers of events in small
 * registers", CACM 1978), and decays by one in lfu-decay-time, or when every key was used LFU_USES_PER_KEY times, which
 * comes first: a load that replaces its favourites in seconds does not wait for minutes. Who went lately is remembered,
 * a byte a key: who returns soon begins one higher.
 *
 * Among equals - and there are many, as all begin with the same counter - it matters who goes; see evict_lfu_choose.
 */
#include "evict_lfu_priv.h"

#include "base/random.h"

enum {
    INITIAL = 5,
    USES_PER_KEY = 128,
    KEYS_PER_GHOST = 2,
    NEWS_PER_USED = 10,
    RANDOM_LOOKS = 4, /* one look of so many is always at random */
    NEWS_MIN = 32,
};

void evict_lfu_fini(struct evict_lfu *lfu)
{
    evict_ghosts_fini(&lfu->ghosts);
}

/* Steps by which counters have decayed so far. */
static uint32_t era_of(const struct evict_lfu *lfu, int64_t now_ms)
{
    int64_t period = lfu->decay_minutes;
    return period ? (uint32_t)(now_ms / (60000 * period) + lfu->turnovers) & 0xffff : 0;
}

unsigned evict_lfu_counter(const struct evict_lfu *lfu, uint32_t clock, int64_t now_ms)
{
    unsigned counter = clock & EVICT_LFU_MAX;
    if (!lfu->decay_minutes)
        return counter;
    uint32_t lost = (era_of(lfu, now_ms) - (clock >> 8)) & 0xffff;
    return lost > counter ? 0 : counter - lost;
}

uint32_t evict_lfu_clock(const struct evict_lfu *lfu, unsigned counter, int64_t now_ms)
{
    return era_of(lfu, now_ms) << 8 | counter;
}

/* Counts uses towards the next step of decay. */
static void count_use(struct evict_lfu *lfu)
{
    if (!lfu->full_keys || ++lfu->uses < lfu->full_keys * USES_PER_KEY)
        return;
    lfu->uses = 0;
    lfu->turnovers++;
}

static unsigned grown(const struct evict_lfu *lfu, struct random *random, unsigned counter)
{
    if (counter == EVICT_LFU_MAX)
        return counter;
    double above = counter > INITIAL ? counter - INITIAL : 0;
    return counter + (random_double(random) < 1.0 / (above * (double)lfu->log_factor + 1));
}

uint32_t evict_lfu_use(struct evict_lfu *lfu, struct random *random, uint32_t clock, int64_t now_ms)
{
    count_use(lfu);
    unsigned counter = evict_lfu_counter(lfu, clock, now_ms);
    lfu->used += counter <= INITIAL;
    return evict_lfu_clock(lfu, grown(lfu, random, counter), now_ms);
}

/* Counts who comes; what was counted fades as the keys are replaced. */
static void count_news(struct evict_lfu *lfu)
{
    bool fades = ++lfu->news > 2 * (lfu->full_keys + NEWS_MIN);
    lfu->news >>= fades;
    lfu->used >>= fades;
}

uint32_t evict_lfu_arrive(struct evict_lfu *lfu, uint64_t hash, int64_t now_ms)
{
    count_use(lfu);
    /* Who went a short while ago is more likely to come a third time than who comes for the first. */
    bool returns = evict_ghosts_take(&lfu->ghosts, hash);
    if (!returns)
        count_news(lfu);
    return evict_lfu_clock(lfu, INITIAL + returns, now_ms);
}

void evict_lfu_forgo(struct evict_lfu *lfu, uint64_t hash, size_t keys)
{
    evict_ghosts_add(&lfu->ghosts, hash, keys / KEYS_PER_GHOST);
}

/*
 * While hardly anybody new is used again - not one in NEWS_PER_USED - keeping the new serves nobody, and of equals the
 * newest should go: so the others may stay until they come round again, as in a loop. Otherwise that would keep the old
 * too long. It must not be so without exception, or who came first would stay for ever, needed or not: if only one look
 * in so many is at random, those who are not asked for any more are replaced after so many times as many arrivals, and
 * in a loop somebody survives so many times as long. With 8 loops gain half a point of hit ratio, and lose it where
 * what is popular moves.
 */
size_t evict_lfu_choose(const struct evict_lfu *lfu, struct random *random, size_t look, size_t count)
{
    bool in_vain = lfu->used * NEWS_PER_USED < lfu->news;
    bool newest = in_vain && random_below(random, RANDOM_LOOKS) != 0;
    size_t left = count - look;
    return newest ? left - 1 : look + random_below(random, left);
}
