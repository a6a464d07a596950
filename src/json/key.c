/*
 * Keys: a table from text to entry, and a directory from number to entry.
 *
 * The table (linear hashing, so it never pauses) is used under a mutex; the directory is read without one: whoever
 * holds a key has seen the entry made, and an entry stays where it is while it is held. Its pages of 4096 pointers are
 * made when needed (the first is there) and never go away; free numbers are linked through it.
 *
 * A count goes from one to none, and a key that is found gets its reference, only under the mutex: so a key cannot die
 * while it is being found. All other counting is a lone atomic operation.
 *
 * The mutex is taken around a fork, as a child might release what it read.
 */
#include "json/key.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ds/table.h"

enum { PAGE_BITS = 12, PAGE_KEYS = 1 << PAGE_BITS, PAGES = 1 << (32 - PAGE_BITS) };

struct key_entry {
    uint64_t hash;
    _Atomic uint64_t refs;
    json_key key;
    uint32_t len;
    char text[];
};

/* A place in the directory: an entry, or, while the number is free, the next free number doubled plus one. */
static uintptr_t first_page[PAGE_KEYS];
static uintptr_t *pages[PAGES] = { first_page }; /* owned, but for the first */
static struct table table;
static uint32_t numbers_used = 1; /* numbers ever given out, 0 included */
static uint32_t first_free;       /* 0: none */
static size_t entry_bytes;        /* of entries and pages */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint64_t entry_hash(const void *item)
{
    return ((const struct key_entry *)item)->hash;
}

static const struct table_type entry_table = { .hash = entry_hash };

static bool entry_matches(const void *item, const void *sought)
{
    const struct key_entry *entry = item;
    const struct bytes *text = sought;

    return bytes_equal(bytes_make(entry->text, entry->len), *text);
}

static void lock_take(void)
{
    pthread_mutex_lock(&lock);
}

static void lock_give(void)
{
    pthread_mutex_unlock(&lock);
}

static void prepare(void)
{
    table_init(&table, &entry_table);
    int error = pthread_atfork(lock_take, lock_give, lock_give);
    ASSERT(error == 0);
}

static inline uintptr_t *directory_place(json_key key)
{
    return &pages[key >> PAGE_BITS][key & (PAGE_KEYS - 1)];
}

static inline struct key_entry *entry_of(json_key key)
{
    return (struct key_entry *)*directory_place(key);
}

/* A number for a new entry, or 0. */
static json_key number_take(void)
{
    json_key key = first_free;

    if (key != 0) {
        first_free = (uint32_t)(*directory_place(key) >> 1);
        return key;
    }
    if (numbers_used == UINT32_MAX)
        return 0;
    key = numbers_used;
    if (pages[key >> PAGE_BITS] == NULL) {
        pages[key >> PAGE_BITS] = mem_try_alloc(PAGE_KEYS * sizeof(uintptr_t));
        if (pages[key >> PAGE_BITS] == NULL)
            return 0;
        entry_bytes += PAGE_KEYS * sizeof(uintptr_t);
    }
    numbers_used++;
    return key;
}

static void number_give(json_key key)
{
    *directory_place(key) = (uintptr_t)first_free << 1 | 1;
    first_free = key;
}

/* Under the lock. */
static json_key entry_create(struct bytes text, uint64_t hash)
{
    if (text.len > UINT32_MAX - sizeof(struct key_entry))
        return 0;
    struct key_entry *entry = mem_try_alloc(sizeof(*entry) + text.len);
    if (entry == NULL)
        return 0;
    json_key key = number_take();
    if (key == 0) {
        mem_free(entry);
        return 0;
    }
    entry->hash = hash;
    atomic_init(&entry->refs, 1);
    entry->key = key;
    entry->len = (uint32_t)text.len;
    if (text.len != 0)
        memcpy(entry->text, text.ptr, text.len);
    *directory_place(key) = (uintptr_t)entry;
    table_insert(&table, hash, entry);
    entry_bytes += mem_usable_size(entry);
    return key;
}

json_key json_key_intern(struct bytes text)
{
    uint64_t hash = hash_bytes(text.ptr, text.len);
    json_key key;

    pthread_once(&once, prepare);
    lock_take();
    uint64_t *slot = table_find(&table, hash, entry_matches, &text);
    if (slot != NULL) {
        struct key_entry *entry = table_slot_item(slot);
        atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
        key = entry->key;
    } else {
        key = entry_create(text, hash);
    }
    lock_give();
    return key;
}

json_key json_key_find(struct bytes text)
{
    uint64_t hash = hash_bytes(text.ptr, text.len);

    pthread_once(&once, prepare);
    lock_take();
    uint64_t *slot = table_find(&table, hash, entry_matches, &text);
    json_key key = slot == NULL ? 0 : ((struct key_entry *)table_slot_item(slot))->key;
    lock_give();
    return key;
}

void json_key_ref(json_key key, uint64_t count)
{
    atomic_fetch_add_explicit(&entry_of(key)->refs, count, memory_order_relaxed);
}

/* The last references, perhaps: under the lock nobody can find the key and take another. */
static bool entry_unref_last(struct key_entry *entry, uint64_t count)
{
    lock_take();
    bool dead = atomic_fetch_sub_explicit(&entry->refs, count, memory_order_acq_rel) == count;
    if (dead) {
        struct bytes text = bytes_make(entry->text, entry->len);
        table_remove(&table, entry->hash, table_find(&table, entry->hash, entry_matches, &text));
        number_give(entry->key);
        entry_bytes -= mem_usable_size(entry);
    }
    lock_give();
    if (dead)
        mem_free(entry);
    return dead;
}

bool json_key_unref_many(json_key key, uint64_t count)
{
    struct key_entry *entry = entry_of(key);
    uint64_t refs = atomic_load_explicit(&entry->refs, memory_order_relaxed);

    while (refs > count) {
        if (atomic_compare_exchange_weak_explicit(
                &entry->refs, &refs, refs - count, memory_order_release, memory_order_relaxed))
            return false;
    }
    return entry_unref_last(entry, count);
}

bool json_key_unref(json_key key)
{
    return json_key_unref_many(key, 1);
}

struct bytes json_key_text(json_key key)
{
    const struct key_entry *entry = entry_of(key);

    return bytes_make(entry->text, entry->len);
}

size_t json_key_count(void)
{
    pthread_once(&once, prepare);
    lock_take();
    size_t count = table_count(&table);
    lock_give();
    return count;
}

size_t json_key_bytes(void)
{
    pthread_once(&once, prepare);
    lock_take();
    size_t bytes = entry_bytes + table_overhead_bytes(&table);
    lock_give();
    return bytes;
}
