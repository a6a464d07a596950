/*
 * Going through a hash: all fields, a part by cursor, fields at random.
 *
 * Fields of a table are gathered in small batches and prefetched before any is looked at: that hides most of the cache
 * misses that such a walk consists of. Expired fields are passed over, not removed.
 */
#include "base/fiber.h"
#include "base/random.h"
#include "hash_priv.h"

enum {
    BATCH = 32,
    BUCKETS_PER_FIELD = 10, /* a scan gives up after so many buckets for each field it should visit */
    LEN_EXACT_MAX = 4096,   /* fields that can expire up to which hash_len looks at each */
    DRAW_TRIES = 128,       /* draws that may meet expired fields before the hash is gone through */
    BATCH_COST = 100,       /* for fiber_breathe */
    DRAW_COST = 10,
};

struct batch {
    hash_visit_fn visit;
    void *context;
    int64_t now_ms;
    size_t met, count;
    const void *fields[BATCH];
};

static void batch_flush(struct batch *batch)
{
    fiber_breathe(BATCH_COST);
    for (size_t i = 0; i < batch->count; i++)
        if (!field_is_expired(batch->fields[i], batch->now_ms)) {
            struct hash_pair pair = field_pair(batch->fields[i]);
            batch->visit(batch->context, &pair);
        }
    batch->count = 0;
}

static void batch_add(void *context, uint64_t *slot)
{
    struct batch *batch = context;
    const void *field = table_slot_item(slot);
    __builtin_prefetch(field);
    batch->met++;
    batch->fields[batch->count++] = field;
    if (batch->count == BATCH)
        batch_flush(batch);
}

static void pack_each(const struct entry *entry, int64_t now_ms, hash_visit_fn visit, void *context)
{
    struct hash_scratch scratch;
    struct hash_pair pair;
    const unsigned char *pack = entry_pointer(entry);
    for (uint32_t at = LISTPACK_HEADER; hash_pack_read(pack, entry->encoding, &at, &scratch, &pair);)
        if (!hash_pair_is_expired(&pair, now_ms))
            visit(context, &pair);
}

void hash_each(const struct entry *entry, int64_t now_ms, hash_visit_fn visit, void *context)
{
    hash_scan(entry, 0, SIZE_MAX, now_ms, visit, context);
}

uint64_t hash_scan(
    const struct entry *entry, uint64_t cursor, size_t count, int64_t now_ms, hash_visit_fn visit, void *context)
{
    if (entry->encoding != HASH_TABLE) {
        pack_each(entry, now_ms, visit, context);
        return 0;
    }
    const struct hash_table *hash = entry_pointer(entry);
    struct batch batch = { .visit = visit, .context = context, .now_ms = now_ms };
    size_t buckets = count < SIZE_MAX / BUCKETS_PER_FIELD ? count * BUCKETS_PER_FIELD : SIZE_MAX;
    do
        cursor = table_scan_once(&hash->table, cursor, batch_add, &batch);
    while (cursor && batch.met < count && --buckets);
    batch_flush(&batch);
    return cursor;
}

/* --- Counting --- */

static inline bool may_have_expired(const struct entry *entry, int64_t now_ms)
{
    return now_ms > hash_next_ms(entry->encoding, entry_pointer(entry));
}

struct expired_count {
    int64_t now_ms;
    size_t count;
};

static void count_if_expired(void *context, uint64_t *slot)
{
    struct expired_count *expired = context;
    expired->count += field_is_expired(table_slot_item(slot), expired->now_ms);
}

/* Fields in front of a listpack that have expired. */
static size_t pack_expired(const unsigned char *pack, int64_t now_ms)
{
    struct hash_scratch scratch;
    struct hash_pair pair;
    size_t count = 0;
    for (uint32_t at = LISTPACK_HEADER; hash_pack_read(pack, HASH_LISTPACK_EX, &at, &scratch, &pair); count++)
        if (!hash_pair_is_expired(&pair, now_ms))
            break;
    return count;
}

static size_t expired_count(const struct entry *entry, int64_t now_ms)
{
    if (!may_have_expired(entry, now_ms))
        return 0;
    if (entry->encoding == HASH_LISTPACK_EX)
        return pack_expired(entry_pointer(entry), now_ms);
    const struct hash_table *hash = entry_pointer(entry);
    struct expired_count expired = { .now_ms = now_ms };
    uint64_t cursor = 0;
    do
        cursor = table_scan_marked(&hash->table, cursor, count_if_expired, &expired);
    while (cursor);
    return expired.count;
}

size_t hash_count(const struct entry *entry, int64_t now_ms)
{
    return hash_total(entry->encoding, entry_pointer(entry)) - expired_count(entry, now_ms);
}

size_t hash_len(const struct entry *entry, int64_t now_ms)
{
    const struct hash_table *hash = entry_pointer(entry);
    if (entry->encoding == HASH_TABLE && hash->volatile_count > LEN_EXACT_MAX)
        return table_count(&hash->table);
    return hash_count(entry, now_ms);
}

/* --- At random --- */

static void pack_draw(
    const struct entry *entry, size_t count, struct random *random, int64_t now_ms, hash_visit_fn visit, void *context)
{
    const unsigned char *pack = entry_pointer(entry);
    unsigned stride = hash_stride(entry->encoding);
    size_t expired = expired_count(entry, now_ms), total = listpack_count(pack) / stride;
    if (expired == total)
        return;
    uint32_t *places = NULL;
    if (count > 1) {
        places = mem_alloc(total * sizeof *places);
        uint32_t at = LISTPACK_HEADER;
        for (size_t i = 0; i < total; i++) {
            places[i] = at;
            for (unsigned j = 0; j < stride; j++)
                at = listpack_after(pack, at);
        }
    }
    struct hash_scratch scratch;
    struct hash_pair pair;
    while (count--) {
        size_t index = expired + random_below(random, total - expired);
        uint32_t at = places ? places[index] : listpack_seek(pack, (int64_t)(index * stride));
        hash_pack_read(pack, entry->encoding, &at, &scratch, &pair);
        visit(context, &pair);
    }
    mem_free(places);
}

struct reservoir {
    struct random *random;
    size_t need, left; /* fields still to be chosen, and to be met */
    hash_visit_fn visit;
    void *context;
};

/* Selection sampling (Knuth 3.4.2, algorithm S): a field is taken with the share that is still needed of the rest. */
static void choose(void *context, const struct hash_pair *pair)
{
    struct reservoir *reservoir = context;
    if (reservoir->need && random_below(reservoir->random, reservoir->left) < reservoir->need) {
        reservoir->need--;
        reservoir->visit(reservoir->context, pair);
    }
    reservoir->left--;
}

static void sample_walking(
    const struct entry *entry, size_t count, struct random *random, int64_t now_ms, hash_visit_fn visit, void *context)
{
    struct reservoir reservoir = { random, count, hash_count(entry, now_ms), visit, context };
    hash_each(entry, now_ms, choose, &reservoir);
}

/* A field that has not expired, drawn uniformly; NULL if there is hardly any. */
static const void *draw_alive(const struct hash_table *hash, struct random *random, int64_t now_ms)
{
    for (int tries = 0; tries < DRAW_TRIES; tries++) {
        fiber_breathe(DRAW_COST);
        const void *field = table_slot_item(table_random(&hash->table, random));
        if (!field_is_expired(field, now_ms))
            return field;
    }
    return NULL;
}

void hash_draw(
    const struct entry *entry, size_t count, struct random *random, int64_t now_ms, hash_visit_fn visit, void *context)
{
    if (entry->encoding != HASH_TABLE) {
        pack_draw(entry, count, random, now_ms, visit, context);
        return;
    }
    const struct hash_table *hash = entry_pointer(entry);
    while (count--) {
        const void *field = draw_alive(hash, random, now_ms);
        if (field) {
            struct hash_pair pair = field_pair(field);
            visit(context, &pair);
        } else {
            sample_walking(entry, 1, random, now_ms, visit, context);
        }
    }
}

/* Adds to a set of pointers, open-addressed, of a power of two of places, which is never full. True if it is new. */
static bool pointer_set_add(const void **set, size_t mask, const void *pointer)
{
    size_t at = (size_t)(((uint64_t)(uintptr_t)pointer * 0x9e3779b97f4a7c15) >> 20) & mask;
    for (; set[at]; at = (at + 1) & mask)
        if (set[at] == pointer)
            return false;
    set[at] = pointer;
    return true;
}

/* Draws until there are `count` different fields. Returns false, having visited none, when too many have expired. */
static bool sample_drawing(
    const struct hash_table *hash, const void **set, size_t mask, size_t count, struct random *random, int64_t now_ms)
{
    for (size_t got = 0; got < count;) {
        const void *field = draw_alive(hash, random, now_ms);
        if (!field)
            return false;
        got += pointer_set_add(set, mask, field);
    }
    return true;
}

bool hash_sample(
    const struct entry *entry, size_t count, struct random *random, int64_t now_ms, hash_visit_fn visit, void *context)
{
    size_t total = hash_total(entry->encoding, entry_pointer(entry));
    bool dense = count > total / 3;
    if (entry->encoding != HASH_TABLE || dense || count == 0) {
        sample_walking(entry, count, random, now_ms, visit, context);
        return true;
    }
    const struct hash_table *hash = entry_pointer(entry);
    size_t room = 16;
    while (room < 2 * count)
        room *= 2;
    const void **set = mem_try_alloc(room * sizeof *set);
    if (!set)
        return false;
    memset(set, 0, room * sizeof *set);
    if (sample_drawing(hash, set, room - 1, count, random, now_ms)) {
        for (size_t i = 0; i < room; i++)
            if (set[i]) {
                fiber_breathe(DRAW_COST);
                struct hash_pair pair = field_pair(set[i]);
                visit(context, &pair);
            }
    } else {
        sample_walking(entry, count, random, now_ms, visit, context);
    }
    mem_free(set);
    return true;
}
