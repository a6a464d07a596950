/*
 * The cache of compiled paths: a chained hash table of fixed size and a ring of its entries in order of use.
 *
 * Applications use few different paths, again and again; where each request has a path of its own (a filter with an
 * identifier in it) every miss puts the least recently used one out, so that the cost is that of compiling and no more.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "path_priv.h"

enum { LONGEST_KEPT = 1024 };

struct entry {
    struct json_path *path; /* owned: one reference */
    uint64_t hash;
    struct entry *chain;         /* the next in its bucket */
    struct entry *older, *newer; /* the ring; its head is in the cache */
};

struct json_path_cache {
    struct entry ring;        /* ring.older is the newest, ring.newer the oldest */
    struct json_path *single; /* owned: the last one that was too long to keep */
    size_t count, capacity, memory;
    size_t mask;
    struct entry *buckets[];
};

struct json_path_cache *json_path_cache_create(size_t capacity)
{
    ASSERT(capacity > 0);
    size_t buckets = 1;
    while (buckets < capacity)
        buckets *= 2;
    struct json_path_cache *cache = mem_zalloc(sizeof(*cache) + buckets * sizeof(struct entry *));
    cache->ring.older = cache->ring.newer = &cache->ring;
    cache->capacity = capacity;
    cache->mask = buckets - 1;
    cache->memory = sizeof(*cache) + buckets * sizeof(struct entry *);
    return cache;
}

static void unlink_from_ring(struct entry *entry)
{
    entry->older->newer = entry->newer;
    entry->newer->older = entry->older;
}

static void link_newest(struct json_path_cache *cache, struct entry *entry)
{
    entry->newer = &cache->ring;
    entry->older = cache->ring.older;
    entry->older->newer = entry;
    cache->ring.older = entry;
}

static void evict(struct json_path_cache *cache, struct entry *entry)
{
    struct entry **at = &cache->buckets[entry->hash & cache->mask];
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    unlink_from_ring(entry);
    cache->count--;
    cache->memory -= sizeof(*entry) + path_memory(entry->path);
    json_path_unref(entry->path);
    mem_free(entry);
}

void json_path_cache_destroy(struct json_path_cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->count > 0)
        evict(cache, cache->ring.newer);
    json_path_unref(cache->single);
    mem_free(cache);
}

static struct json_path *add(struct json_path_cache *cache, struct json_path *path, uint64_t hash)
{
    if (cache->count == cache->capacity)
        evict(cache, cache->ring.newer);
    struct entry *entry = mem_alloc(sizeof(*entry));
    entry->path = path;
    entry->hash = hash;
    entry->chain = cache->buckets[hash & cache->mask];
    cache->buckets[hash & cache->mask] = entry;
    link_newest(cache, entry);
    cache->count++;
    cache->memory += sizeof(*entry) + path_memory(path);
    return path;
}

struct json_path *json_path_cache_get(struct json_path_cache *cache, struct bytes text, struct json_path_error *error)
{
    uint64_t hash = hash_bytes(text.ptr, text.len);
    for (struct entry *entry = cache->buckets[hash & cache->mask]; entry != NULL; entry = entry->chain) {
        if (entry->hash != hash || !bytes_equal(entry->path->text, text))
            continue;
        unlink_from_ring(entry);
        link_newest(cache, entry);
        return entry->path;
    }
    struct json_path *path = json_path_compile(text, error);
    if (path == NULL)
        return NULL;
    if (text.len <= LONGEST_KEPT)
        return add(cache, path, hash);
    json_path_unref(cache->single);
    cache->single = path;
    return path;
}

size_t json_path_cache_count(const struct json_path_cache *cache)
{
    return cache->count;
}

size_t json_path_cache_memory(const struct json_path_cache *cache)
{
    return cache->memory;
}
