/*
 * Streams as values: entries of field-value pairs, ordered by ID.
 *
 * Entries lie in blocks, listpacks in which field names are written once; blocks stand in a counted B+tree by ID. The
 * length, the IDs that matter and the counters are kept, so that no question about the whole walks anything. A stream
 * may be empty: only DEL and its like remove the key. Consumer groups: store/stream_group.h; trimming:
 * store/stream_trim.h; blocks and rebuilding, for files and copies: store/stream_block.h.
 *
 * What changes entries goes through a `struct stream_edit`, which tells the keyspace (keyspace_edit) before the first
 * change, and makes the key when there is something to put into it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/num.h"
#include "ds/btree.h"
#include "store/keyspace.h"

struct stream;

/* --- IDs --- */

struct stream_id {
    uint64_t ms, seq;
};

#define STREAM_ID_MIN ((struct stream_id){ 0, 0 })
#define STREAM_ID_MAX ((struct stream_id){ UINT64_MAX, UINT64_MAX })

/* As strcmp. */
static inline int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}

static inline bool stream_id_equal(struct stream_id a, struct stream_id b)
{
    return a.ms == b.ms && a.seq == b.seq;
}

static inline bool stream_id_is_zero(struct stream_id id)
{
    return (id.ms | id.seq) == 0;
}

/* To the ID behind, or before; false, and nothing changed, if there is none. */
static inline bool stream_id_next(struct stream_id *id)
{
    if (id->seq == UINT64_MAX && id->ms == UINT64_MAX)
        return false;
    id->seq++;
    id->ms += id->seq == 0;
    return true;
}

static inline bool stream_id_prev(struct stream_id *id)
{
    if (stream_id_is_zero(*id))
        return false;
    id->ms -= id->seq == 0;
    id->seq--;
    return true;
}

/* --- Reading --- */

/* What XINFO tells of a stream. */
struct stream_meta {
    uint64_t length;                 /* entries that are there */
    uint64_t entries_added;          /* ever, as XADD counted or XSETID said */
    struct stream_id first_id;       /* of the first entry that is there; 0-0 if there is none */
    struct stream_id last_id;        /* the greatest ever generated; XADD goes on from here */
    struct stream_id max_deleted_id; /* the greatest that XDEL removed; 0-0: none */
};

/* The stream of an entry of that type; borrowed, stays where it is while the value is the same. */
static inline struct stream *stream_of(const struct entry *entry)
{
    return entry_pointer(entry);
}

/* Borrowed, always up to date. O(1). */
static inline const struct stream_meta *stream_meta(const struct stream *stream)
{
    return (const struct stream_meta *)(const void *)stream; /* its first member */
}

/* True if there is an entry with this ID. O(log n + block). */
bool stream_has(const struct stream *stream, struct stream_id id);

/*
 * A walk over a range of IDs, which an edit of the stream's entries makes void: whoever goes on later begins anew
 * behind the last ID that he got. The strings that it gives are borrowed from the stream, or (numbers) from the
 * iterator.
 */
struct stream_iter {
    struct stream_id id;  /* of the entry at hand */
    uint32_t field_count; /* pairs in it */
    /* The rest is the walk's own, and borrowed from the stream. */
    const struct stream *stream;
    struct btree_iter place;
    const unsigned char *pack;
    struct stream_id block_id, until;
    uint32_t at;                      /* of the entry at hand, or the place to go on from */
    uint32_t value_at;                /* of the next value, or pair */
    uint32_t name_at;                 /* of the next of the shared names; 0: the entry has its own */
    uint32_t pairs_left;              /* of the entry at hand, not read yet */
    uint32_t shared_at, shared_count; /* of the block's names */
    uint32_t entries_begin;           /* where the block's first entry begins */
    bool reverse, begun;
    char digits[2][NUM_I64_MAX_LEN];
};

/*
 * Begins a walk over the entries from `from` to `to`, both included, ascending; descending if `reverse`, and `from` is
 * then the greater. Then each next gives one, until it answers false. O(log n + block) to begin, O(entry) a step.
 */
void stream_iter_begin(
    struct stream_iter *iter, const struct stream *stream, struct stream_id from, struct stream_id to, bool reverse);
bool stream_iter_next(struct stream_iter *iter);

/* The next pair of the entry at hand, in order; false after the last. Pairs need not be read. */
bool stream_iter_pair(struct stream_iter *iter, struct bytes *field, struct bytes *value);

/* The ID of the last entry that is there (last_id may be one that was deleted); false if there is none. O(block). */
bool stream_last_entry_id(const struct stream *stream, struct stream_id *id);

/* How many blocks there are (XINFO's radix-tree-keys), and nodes above them (radix-tree-nodes, as near as may be). */
size_t stream_block_count(const struct stream *stream);
size_t stream_node_count(const struct stream *stream);

/* --- Changing --- */

/* A stream that is changed, or will be there. All is borrowed. */
struct stream_edit {
    struct keyspace *keyspace;
    struct db *db;
    struct key key;
    struct entry *entry; /* the stream, as keyspace_write found it; NULL: there is none yet */
    int64_t now_ms;
    bool begun; /* the keyspace knows */
};

enum stream_added {
    STREAM_ADDED,
    STREAM_TOO_LARGE, /* the pairs do not fit into one block, of less than 1 GB; nothing changed */
    STREAM_NO_MEMORY, /* nothing changed */
};

/*
 * Appends an entry of `count` / 2 pairs: field, value, field, value, ... (argv as it stands). The caller has seen that
 * the ID is greater than last_id, and not 0-0. Makes the key. O(entry), amortised.
 */
enum stream_added stream_add(struct stream_edit *edit, struct stream_id id, const struct bytes *texts, size_t count);

/* Makes the key with an empty stream, if there is none yet. Counts as a change only then. */
void stream_edit_create(struct stream_edit *edit);

/* Takes an entry out, and notes it in max_deleted_id; false if there is none. It stays pending. O(log n + block). */
bool stream_delete(struct stream_edit *edit, struct stream_id id);

/*
 * XSETID: the stream is there. The caller has seen that last_id is not less than that of the last entry that is there,
 * that max_deleted_id is not greater, and that entries_added is not less than the length.
 */
void stream_set_meta(
    struct stream_edit *edit, struct stream_id last_id, struct stream_id max_deleted_id, uint64_t entries_added);
