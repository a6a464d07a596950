/*
 * Sorted sets as values: members with scores, in the order of score, then of the member's bytes.
 *
 * Small ones are a listpack, larger ones a counted B+tree and a table over the same members; which one it is stays in
 * here. Everything that goes by a place in the order goes by rank: a range of scores or of bytes is first made a span
 * of ranks (O(log n)), and then walked, counted or removed.
 *
 * What changes a sorted set goes through a `struct zset_edit`, which tells the keyspace before the first change, makes
 * the key when there is something to put into it, and removes it when nothing is left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/num.h"
#include "ds/btree.h"
#include "store/keyspace.h"

/* How a sorted set is kept. */
enum zset_encoding {
    ZSET_PACKED, /* a listpack of member, score, member, score, ... */
    ZSET_TREE,
};

/* A set that is being made, or was taken from nobody's key: see the last section. */
struct zset;

/* --- Reading. An entry of NULL is an empty set. --- */

size_t zset_count(const struct entry *entry);

/* True and *score set if there is that member. O(1), packed O(n). */
bool zset_score(const struct entry *entry, struct bytes member, double *score);

/* The same with the member's rank, from 0, counted from the other end if `reverse`. O(log n), packed O(n). */
bool zset_rank(const struct entry *entry, struct bytes member, bool reverse, size_t *rank, double *score);

/* Ranks from `first` on. */
struct zset_span {
    size_t first, count;
};

struct zset_scores {
    double min, max;         /* no NaN */
    bool min_open, max_open; /* leave out what equals it */
};

struct zset_text_bound {
    struct bytes text;
    bool open;     /* leaves out what equals it */
    int8_t beyond; /* -1: before everything, 1: behind everything; 0: at the text */
};

struct zset_texts {
    struct zset_text_bound min, max;
};

/* From rank `start` to rank `end`, both included; negative ones count from the end. O(1). */
struct zset_span zset_span_ranks(const struct entry *entry, int64_t start, int64_t end);

/* The members whose scores lie in the range. O(log n), packed O(n). */
struct zset_span zset_span_scores(const struct entry *entry, const struct zset_scores *range);

/* The members whose bytes lie in the range. Of use where all scores are equal; otherwise some span. The same cost. */
struct zset_span zset_span_texts(const struct entry *entry, const struct zset_texts *range);

/* A place in the order, not to be copied. An edit of the set makes it void. */
struct zset_iter {
    struct bytes member; /* at the place; borrowed from the set, or from `digits` */
    double score;
    const unsigned char *pack; /* borrowed; NULL in a tree */
    uint32_t at;
    struct btree_iter place;
    bool reverse;
    char digits[NUM_I64_MAX_LEN];
};

/*
 * To the member at `rank`, counted from the beginning whatever the direction; false if there is none. Then each next is
 * one further, in descending order if `reverse`; false at the end.
 */
bool zset_iter_begin(struct zset_iter *iter, const struct entry *entry, size_t rank, bool reverse);
bool zset_iter_next(struct zset_iter *iter);

typedef void (*zset_visit_fn)(void *context, struct bytes member, double score);

/*
 * One step of a walk with a cursor; 0 begins and 0 ends. Visits a few members, but a packed set whole, whatever the
 * cursor. A member that is there from the first call to the last is visited, whatever happens between, a conversion
 * included.
 */
uint64_t zset_scan(const struct entry *entry, uint64_t cursor, zset_visit_fn visit, void *context);

/* --- Changing --- */

/* A sorted set that is changed, or will be there. All is borrowed. */
struct zset_edit {
    struct keyspace *keyspace;
    struct db *db;
    struct key key;
    struct entry *entry; /* the set, or NULL: there is none yet */
    int64_t now_ms;
    bool begun; /* the keyspace knows */
};

enum zset_how {
    ZSET_NX = 1,   /* only new members */
    ZSET_XX = 2,   /* only present members */
    ZSET_GT = 4,   /* present members only to a greater score */
    ZSET_LT = 8,   /* present members only to a less score */
    ZSET_INCR = 16 /* the score is added to what is there */
};

enum zset_added {
    ZSET_ADDED,
    ZSET_UPDATED,
    ZSET_SAME,         /* the score is what it was */
    ZSET_LEFT,         /* a condition was not met; nothing changed */
    ZSET_NOT_A_NUMBER, /* the sum is none; nothing changed */
    ZSET_NO_MEMORY,    /* nothing changed */
};

/*
 * Adds a member or changes its score, as `how` says. *result is the score that it has now, unless it was left as it
 * was. The member must not lie in the set. O(log n), packed O(n).
 */
enum zset_added zset_add(struct zset_edit *edit, struct bytes member, double score, unsigned how, double *result);

/* Takes a member out; false if it is none. The same cost. */
bool zset_remove(struct zset_edit *edit, struct bytes member);

/*
 * Takes a span out: O(log n), O(1) if it is everything, and the memory follows in slices. Only where much was taken out
 * just before, which has not been given back yet, zset_removal_work members have to be freed first; that breathes.
 */
void zset_remove_span(struct zset_edit *edit, struct zset_span span);
size_t zset_removal_work(const struct entry *entry, struct zset_span span);

/* To be called after the last change: removes the key if nothing is left under it. */
void zset_edit_end(struct zset_edit *edit);

/* --- Making a set --- */

/* An empty set without a key. */
struct zset *zset_create(void);

/* Frees what was not stored; NULL is nothing. O(n), and breathes (base/fiber.h). */
void zset_destroy(struct zset *zset);

size_t zset_made_count(const struct zset *zset);

/*
 * The score of a member, which is put in first if it is not there, as *is_new then says. NULL when memory is out. The
 * score may be written until zset_make_order. O(1).
 */
double *zset_make_member(struct zset *zset, struct bytes member, bool *is_new);

/* Asks for the place of a member that zset_make_member will soon be called with. */
void zset_make_prefetch(const struct zset *zset, struct bytes member);

/* Puts the members into order: none may come after that. False when memory is out. O(n log n). */
bool zset_make_order(struct zset *zset);

/* Makes room for so many members in a set that has none. O(n). */
void zset_make_reserve(struct zset *zset, size_t count);

/*
 * As zset_make_order for members, all that there are, whose scores came in descending order, as files have them. False,
 * and nothing was done, if they did not. O(n).
 */
bool zset_make_order_as(struct zset *zset, double *const *scores, size_t count);

/* As zset_iter_begin, once the set is ordered. */
bool zset_made_iter_begin(struct zset_iter *iter, const struct zset *zset, size_t rank, bool reverse);

/*
 * Stores the set, ordered and not empty, under the key, replacing whatever is there, expiry too; takes it over. Packs
 * it if it is small.
 */
void keyspace_set_zset_take(
    struct keyspace *keyspace, struct db *db, struct key key, struct zset *zset, int64_t now_ms);
