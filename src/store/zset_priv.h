/*
 * What the files of the sorted set share: a member, the tree form, and the packed form's score.
 *
 *   member     score : double | length : u8, 255 = it follows | [length : u64] | bytes
 *
 * A member is one allocation, to which both the tree and the table point: 32 bytes for a member of 16.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "ds/btree.h"
#include "ds/listpack.h"
#include "ds/table.h"
#include "store/zset.h"

enum { ZSET_MEMBER_WIDE = UINT8_MAX };

struct zset_member {
    double score;
    uint8_t len; /* ZSET_MEMBER_WIDE: 8 bytes of length stand before the text */
    char text[];
};

struct zset {
    struct btree order;   /* of members, owned */
    struct table members; /* the same ones */
    size_t member_bytes;  /* of their allocations */
    uint64_t stamp;       /* of this state; 0: it was given none, or was changed since */
};

static inline struct bytes zset_member_text(const struct zset_member *member)
{
    if (__builtin_expect(member->len < ZSET_MEMBER_WIDE, 1))
        return (struct bytes){ member->text, member->len };
    uint64_t len;
    memcpy(&len, member->text, sizeof len);
    return (struct bytes){ member->text + sizeof len, len };
}

static inline size_t zset_member_size(size_t len)
{
    return offsetof(struct zset_member, text) + len + (len < ZSET_MEMBER_WIDE ? 0 : sizeof(uint64_t));
}

/* As memcmp, and the prefix first. Inlined: where many scores tie, this is what an insert consists of. */
static inline int zset_compare_text(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline struct zset *zset_of(const struct entry *entry)
{
    return entry_pointer(entry);
}

/* A score that is kept as text, for it is not whole. */
double zset_packed_text_score(struct listpack_value value);

/* The score in the entry of a listpack at `at`. */
static inline double zset_packed_score(const unsigned char *pack, uint32_t at)
{
    struct listpack_value value = listpack_get(pack, at);
    return value.text ? zset_packed_text_score(value) : (double)value.number;
}

/* Appends member and score to a listpack, or puts them in front of what is at `at`. False when there is no room. */
bool zset_pack_insert(unsigned char **pack, uint32_t at, struct bytes member, double score);

/* Makes a member; NULL when memory is out. */
struct zset_member *zset_member_create(struct zset *zset, struct bytes text, double score);
void zset_member_destroy(struct zset *zset, struct zset_member *member);

/* The slot of a member, or NULL. */
uint64_t *zset_find_slot(const struct zset *zset, struct bytes text, uint64_t hash);
