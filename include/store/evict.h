/*
 * Eviction: which key goes when memory is short, and what is noted of every use so that this can be known.
 *
 * Nothing is kept in order: candidates are whole buckets of the table, chosen at random, and the best of them are
 * remembered in a small pool, so that each step adds to what the steps before have seen. What a policy knows of a key
 * is in the 24 bits of its entry's clock:
 *
 *   time (lru, lrm, ttl, random, none)   tick : 24
 *   lfu                                  step of decay, when it was counted : 16 | logarithmic counter : 8
 *   wtinylfu                             in the window : 1 | uses, at most 3 : 2 | tick : 21
 *
 * A tick is not a second: under a policy that orders by time and with a limit set, the clock also advances with every
 * few uses, so finely that the keys in memory are told apart however fast they come; store/evict_clock.h turns ticks
 * back into seconds. LFU remembers a byte a key of who went (store/evict_ghost.h): who returns soon begins one higher.
 * W-TinyLFU (Einziger, Friedman, Manes, ACM ToS 2017) is in store/evict_tinylfu.h.
 *
 * Time and memory are arguments or somebody else's: one call removes one key, and who calls decides how often.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct entry;
struct evict;
struct keyspace;

/* What is evicted first. A policy is one of these, or of these with EVICT_VOLATILE. */
enum evict_kind {
    EVICT_NOTHING_EVER,
    EVICT_LRU, /* the least recently used */
    EVICT_LRM, /* the least recently modified */
    EVICT_LFU, /* the least frequently used */
    EVICT_RANDOM,
    EVICT_TTL,           /* what expires first */
    EVICT_WTINYLFU,      /* what W-TinyLFU would not admit, or not keep */
    EVICT_VOLATILE = 16, /* only keys that expire */
};

/* How uses are noted: what keyspace_touch does. */
enum evict_access { ACCESS_TIME, ACCESS_CHANGE, ACCESS_LFU, ACCESS_TINYLFU };

struct evict_settings {
    int policy;             /* enum evict_kind, possibly with EVICT_VOLATILE */
    int64_t samples;        /* maxmemory-samples */
    int64_t lfu_log_factor; /* the counter grows the slower, the larger this is */
    int64_t lfu_decay_time; /* minutes until the counter loses one; 0: never */
};

enum evict_result {
    EVICT_REMOVED,   /* a key is gone */
    EVICT_SEARCHING, /* none was found in a short search; there may be some */
    EVICT_IMPOSSIBLE /* no key may be evicted */
};

struct evict *evict_create(void);
void evict_destroy(struct evict *evict);

/*
 * Takes the settings over: after a change of theirs, or of the limit of memory (0: none; the clock need not tell uses
 * apart then). A change of policy leaves what the old one noted: it takes a while until the keys are told apart again.
 */
void evict_configure(struct keyspace *keyspace, const struct evict_settings *settings, size_t limit);

/*
 * To be called some times a second: the clock ticks at least once a second. `now_ms` is since 1970.
 */
void evict_tick(struct keyspace *keyspace, int64_t now_ms);

/* Removes one key of all databases, by the policy; O(samples). Expired keys that are met go first. */
enum evict_result evict_one(struct keyspace *keyspace, int64_t now_ms);

/*
 * Work that a change of policy left, a little of it: true while there is more. O(buckets).
 */
bool evict_settle(struct keyspace *keyspace, size_t buckets);

/* --- What is known of a key --- */

/* True if the policy in force counts uses by frequency (OBJECT FREQ), or by time (OBJECT IDLETIME). */
bool evict_counts_frequency(const struct keyspace *keyspace);

/* Seconds since the last use; 0 under a policy that does not note the time. */
int64_t evict_idle_s(const struct keyspace *keyspace, const struct entry *entry, int64_t now_ms);

/* The counter, decayed: 0 to 255. Under W-TinyLFU what its sketch says: 0 to 15. */
unsigned evict_frequency(const struct keyspace *keyspace, const struct entry *entry);

/* Makes it look as if the key was last used that long ago, to the second that evict_idle_s tells where ticks are not
 * coarser, or used that often (RESTORE, and keys of a file). What the policy does not note is passed over. */
void evict_set_idle(struct keyspace *keyspace, struct entry *entry, int64_t idle_s, int64_t now_ms);
void evict_set_frequency(struct keyspace *keyspace, struct entry *entry, unsigned frequency);

/* Bytes that the policy's own tables take. */
size_t evict_memory(const struct keyspace *keyspace);

/* The name of the policy, as maxmemory-policy has it. */
const char *evict_policy_name(int policy);

/* W-TinyLFU's window in permille of the keys; 1000: it works as LRU; 0 under other policies. */
unsigned evict_window_permille(const struct keyspace *keyspace);
