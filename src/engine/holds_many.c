/*
 * The keys of a work that names very many of them: held by what their hashes have in common, not one by one.
 *
 * Four bits of one word stand for a name (a blocked Bloom filter: Putze, Sanders, Singler, "Cache-, hash- and
 * space-efficient Bloom filters", 2007), and there are 32 to 64 bits for each. So holding a key costs a hash and a
 * store, and letting go of all of them one free; two to nine in ten thousand of the others are taken for a key that is
 * held, and who wants to change one waits without need. What is read and what is stored have words of their own.
 */
#include "holds_priv.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { KEYS_A_WORD = 2 };

struct held_many {
    struct held_many *prev, *next; /* of all such works */
    uint64_t *words[2];            /* owned: of what is read, and of what is stored; NULL if there is no such key */
    unsigned shift;                /* of a hash, to the number of its word */
    bool wanted, closed;           /* as of a key: one speaks for all */
};

static uint64_t bits_of(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63) | UINT64_C(1) << (hash >> 6 & 63) | UINT64_C(1) << (hash >> 12 & 63) |
           UINT64_C(1) << (hash >> 18 & 63);
}

static bool may_hold(const struct held_many *many, bool stores, uint64_t hash)
{
    const uint64_t *words = many->words[stores];
    uint64_t bits = bits_of(hash);
    return words && (words[hash >> many->shift] & bits) == bits;
}

static bool add(struct held_many *many, bool stores, struct bytes name)
{
    uint64_t **words = &many->words[stores];
    if (!*words) {
        size_t size = (UINT64_C(1) << (64 - many->shift)) * sizeof **words;
        *words = mem_try_alloc(size);
        if (!*words)
            return false;
        memset(*words, 0, size);
    }
    uint64_t hash = hash_bytes(name.ptr, name.len);
    (*words)[hash >> many->shift] |= bits_of(hash);
    return true;
}

static void destroy(struct held_many *many)
{
    mem_free(many->words[0]);
    mem_free(many->words[1]);
    mem_free(many);
}

struct held_many *holds_add_many(
    struct asides *asides, const struct bytes *argv, const struct key_position *keys, size_t count)
{
    struct held_many *many = mem_zalloc(sizeof *many);
    many->shift = 64 - 2;
    while (((uint64_t)KEYS_A_WORD << (64 - many->shift)) < count)
        many->shift--;
    for (size_t i = 0; i < count; i++)
        if (!add(many, keys[i].flags & KEY_CHANGES, argv[keys[i].index])) {
            destroy(many);
            return NULL;
        }
    many->next = asides->many;
    if (many->next)
        many->next->prev = many;
    asides->many = many;
    return many;
}

void holds_release_many(struct asides *asides, struct held_many *many)
{
    if (many->prev)
        many->prev->next = many->next;
    else
        asides->many = many->next;
    if (many->next)
        many->next->prev = many->prev;
    destroy(many);
}

void holds_close_many(struct held_many *many)
{
    many->closed = true;
}

bool holds_many_hold(const struct asides *asides, struct bytes name, bool only_reads)
{
    uint64_t hash = hash_bytes(name.ptr, name.len);
    for (const struct held_many *many = asides->many; many; many = many->next)
        if (may_hold(many, false, hash) || (!only_reads && may_hold(many, true, hash)))
            return true;
    return false;
}

bool holds_many_conflict(struct asides *asides, struct bytes name, bool changes)
{
    uint64_t hash = hash_bytes(name.ptr, name.len);
    for (struct held_many *many = asides->many; many; many = many->next)
        if ((changes && may_hold(many, false, hash)) || ((changes || many->closed) && may_hold(many, true, hash))) {
            many->wanted = true;
            return true;
        }
    return false;
}

bool holds_many_out_of_turn(const struct asides *asides, struct bytes name)
{
    uint64_t hash = hash_bytes(name.ptr, name.len);
    for (const struct held_many *many = asides->many; many; many = many->next)
        if (may_hold(many, true, hash) || (many->wanted && may_hold(many, false, hash)))
            return true;
    return false;
}
