/*
 * Sets as values: intset, listpack or table; which one it is stays in here.
 *
 * `struct set` is where a set's value is, passed by value: borrowed from an entry (set_of), until that entry is changed
 * or removed, or owned by whoever builds a result. What the keyspace holds is changed through a struct set_edit only.
 *
 * Small sets are packed in Redis's formats, and are unpacked when Redis would do it: set-max-intset-entries,
 * set-max-listpack-entries, set-max-listpack-value. Nothing packs a set again but storing a new one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/num.h"
#include "store/keyspace.h"

struct random;
struct set_remains;
struct store_settings;
struct table_bucket;

enum set_encoding {
    SET_INTSET,   /* ds/intset.h */
    SET_LISTPACK, /* ds/listpack.h */
    SET_TABLE,    /* a table of members, one allocation each */
};

struct set {
    enum set_encoding encoding;
    void *value; /* borrowed from the entry; NULL: no set, which counts as empty */
};

/* A member as it is kept: text, or an integer that nobody has spelt yet. */
struct set_member {
    const char *text; /* borrowed from the set, until it changes; NULL: an integer */
    union {
        size_t len;     /* of text */
        int64_t number; /* if text is NULL */
    };
};

/* Room to spell an integer. */
struct set_scratch {
    char digits[NUM_I64_MAX_LEN + 4];
};

/* The member's bytes, borrowed from the set or from `scratch`. */
static inline struct bytes set_member_bytes(struct set_member member, struct set_scratch *scratch)
{
    if (member.text)
        return (struct bytes){ member.text, member.len };
    return (struct bytes){ scratch->digits, num_format_i64(scratch->digits, member.number) };
}

static inline struct set_member set_member_from_bytes(struct bytes text)
{
    return (struct set_member){ text.ptr ? text.ptr : "", { text.len } };
}

/* --- Looking --- */

/* The set of an entry of type ENTRY_SET; none if `entry` is NULL. */
struct set set_of(const struct entry *entry);

size_t set_count(struct set set);

/* O(1); O(log n) in an intset, O(bytes) in a listpack. */
bool set_has(struct set set, struct bytes member);

/* Asks for the cache lines that looking a member up will read: step 0 for the bucket, step 1 for the members in it. */
void set_look_ahead(struct set set, struct bytes member, unsigned step);

/* A member chosen uniformly; the set must not be empty. Expected O(1). */
struct set_member set_random(struct set set, struct random *random);

/* Where a walk over all members is. The set must not change meanwhile. */
struct set_walk {
    struct set set;
    uint64_t at;                 /* index, place, or number of the bucket to come */
    struct table_bucket *bucket; /* borrowed: of a table, where in the chain */
    unsigned slot;
};

static inline struct set_walk set_walk_begin(struct set set)
{
    return (struct set_walk){ .set = set };
}

enum { SET_BATCH = 32 };

/* Members that are looked at together, so that their cache misses overlap. */
struct set_batch {
    struct set_member members[SET_BATCH];
    unsigned count;
};

/* The next members, at most SET_BATCH; false, and count 0, at the end. */
bool set_walk_next(struct set_walk *walk, struct set_batch *batch);

/* Keeps those members of the batch that `set` has (if `wanted`), or those that it has not. */
void set_batch_filter(struct set_batch *batch, struct set set, bool wanted);

/* Called with one member; it is borrowed until the function returns. */
typedef void (*set_visit_fn)(void *context, struct set_member member);

/*
 * One step of a scan: visits some members and returns the cursor to go on with, 0 at the end. A packed set is visited
 * whole. What is a member from the first step to the last is visited at least once, whatever changes meanwhile, a
 * conversion included.
 */
uint64_t set_scan(struct set set, uint64_t cursor, set_visit_fn visit, void *context);

/*
 * Visits `count` different members, fewer than the set has, every choice being as likely as any other. O(count) where
 * it is a small part of a table, otherwise O(members). False, with nothing visited, when memory is out.
 */
bool set_sample(struct set set, size_t count, struct random *random, set_visit_fn visit, void *context);

/* --- Changing what the keyspace holds --- */

/* One command's changes of one key. The fields are of the store's own. */
struct set_edit {
    struct keyspace *keyspace; /* borrowed */
    struct db *db;             /* borrowed */
    struct key key;
    struct entry *entry; /* borrowed; NULL if the key is missing */
    struct set set;      /* entry's, or owned until set_edit_end */
    size_t changes;
    struct set_remains *remains; /* owned; what set_edit_pop left, or NULL */
};

enum set_added {
    SET_ADDED,
    SET_PRESENT, /* it was a member already */
    SET_NO_MEMORY,
};

/*
 * Opens the key for changes; `entry` is what keyspace_write found under it: a set, or NULL. Between this and
 * set_edit_end nothing else may change the database.
 */
struct set_edit set_edit_begin(struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry);

/* Says how many members are about to be added, the first of which is `member`: decides where a new set begins. */
void set_edit_expect(struct set_edit *edit, struct bytes member, size_t count);

/* `member` must not lie in the set. */
enum set_added set_edit_add(struct set_edit *edit, struct bytes member);

/* False if it was no member. `member` must not lie in the set. */
bool set_edit_remove(struct set_edit *edit, struct bytes member);

/*
 * Takes out `count` members, at most all, chosen uniformly, visiting each before it goes. O(count) in a table, and
 * breathes while members are chosen; until it returns everybody finds all of them. After set_edit_end,
 * set_edit_give_back is to be called, which breathes too, and is about as much work; meanwhile nobody else may change
 * the set or walk over it in slices.
 */
void set_edit_pop(struct set_edit *edit, size_t count, struct random *random, set_visit_fn visit, void *context);
void set_edit_give_back(struct set_edit *edit);

/* Between these two: visits what was popped once more, at once; false if it was little, and is not known any more. */
bool set_edit_visit_popped(const struct set_edit *edit, set_visit_fn visit, void *context);

/* Closes it: a new set is stored, an empty one is removed. Counts as as many changes as there were. */
void set_edit_end(struct set_edit *edit, int64_t now_ms);

/* --- Building results --- */

/* An empty set, owned by the caller, that takes in what it is given. */
struct set set_create(void);

/* Frees it. O(n), and breathes (base/fiber.h) if it is large. */
void set_destroy(struct set set);

/* Adds a member, copied. The set may move and change its encoding. */
enum set_added set_add(struct set *set, const struct store_settings *settings, struct set_member member);

/* The same of a member that is known not to be there: a listpack is not searched for it. */
enum set_added set_make_append(struct set *set, const struct store_settings *settings, struct bytes member);

/* --- Many members at once, into a set that ends as a table --- */

/* Makes a new set a table with room for so many members: more than the settings allow to be packed. O(count). */
void set_make_reserve(struct set *set, size_t count);

/* The hash of a member, whose place is asked for. */
uint64_t set_make_ahead(const struct set *set, struct bytes member);

/* As set_add, with that hash. */
enum set_added set_make_add(struct set *set, struct bytes member, uint64_t hash);

/* To be called after the last one: the table shrinks again as it always does. */
void set_make_end(struct set *set);
