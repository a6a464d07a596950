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

enum {
    ZSET_MEMBER_WIDE = UINT8_MAX,
    ZSET_BATCH = 32, /* members taken out together */
};

struct reclaim;
struct zset_cuts;

struct zset_member {
    double score;
    uint8_t len; /* ZSET_MEMBER_WIDE: 8 bytes of length stand before the text */
    char text[];
};

struct zset {
    struct btree order;     /* of members, owned */
    struct table members;   /* the same ones */
    size_t member_bytes;    /* of their allocations */
    struct zset_cuts *cuts; /* owned; what was cut from the order and is in the table still, or NULL */
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

/* Takes members that are in no tree any more out of the table, and frees them; at most ZSET_BATCH. */
void zset_members_remove(struct zset *zset, void *const *members, size_t n);

/*
 * zset_cut.c: a span that is cut out of the order is gone at once. Its members stay in the table until they are taken
 * out in the background; whoever finds one there has found nothing.
 */
bool zset_is_cut_off(const struct zset *zset, const struct zset_member *member);

static inline bool zset_has_lost(const struct zset *zset, const struct zset_member *member)
{
    return __builtin_expect(zset->cuts != NULL, 0) && zset_is_cut_off(zset, member);
}

/* Cuts the span, not all that there is, out of the order; zset_cut_prepare came right before. O(log n). */
void zset_cut(struct zset *zset, struct reclaim *reclaim, struct zset_span span);

/* Makes sure that one more span can be cut out: takes zset_cut_work members out of the table, and breathes. */
void zset_cut_prepare(struct zset *zset);
size_t zset_cut_work(const struct zset *zset);

/* Takes the member of that name out of the table if it was cut off: another is to come in. */
void zset_bury(struct zset *zset, struct bytes text, uint64_t hash);

/* For taking the whole set down: up to `max` members that were cut off, which stay in the table; 0: none are left. */
size_t zset_cuts_drain(struct zset *zset, void **members, size_t max);
void zset_cuts_destroy(struct zset *zset);

/* What is wrong with them, or NULL; adds their number to *count, their bytes to *bytes. */
const char *zset_cuts_check(const struct zset *zset, size_t *count, size_t *bytes);

/* What is wrong with members that are in a tree: the table lacks one. Adds up their bytes. */
const char *zset_members_check(const struct zset *zset, const struct btree *tree, size_t *bytes);

/* The slot of a member, or NULL. */
uint64_t *zset_find_slot(const struct zset *zset, struct bytes text, uint64_t hash);
