/*
 * Changing documents: finding the places that a path names, working on them, publishing what came of it.
 *
 * A change looks before it leaps: a command finds its places, looks at what stands there (json_change_at) and decides
 * whether it can do all of it; then it opens the document (json_change_open) and works on place after place. So either
 * all of it is done or nothing.
 *
 * At once the document is changed in place. Aside, the key is held for the command: it works on a version of its own,
 * which shares all that does not change, and puts that in place of the old one at the end, while others read the old
 * one. Costs: for each place O(depth), and what the edit costs (json/edit.h).
 */
#pragma once

#include "json_priv.h"
#include "store/document.h"
#include "json/edit.h"

struct json_change {
    struct call *call;
    uint32_t key_arg;
    struct entry *entry;       /* borrowed; NULL if there is no such key. Valid until the handler breathes */
    bool apart;                /* `doc` is a version of its own */
    bool replaces;             /* `own` is a new document: an expiry goes */
    bool opened;               /* something was, or will be, changed */
    struct json_doc *doc;      /* borrowed: what is looked at and worked on, `own` or that of `edit` */
    struct json_doc own;       /* owned reference if apart, else none of ours */
    struct document_edit edit; /* at once, once opened */
    struct json_trash *trash;  /* borrowed: for what edits cut off */
    struct json_trash own_trash;
    size_t count; /* places */
    bool one;     /* the place is `steps`; else they are `matches` */
    size_t depth;
    uint32_t steps[JSON_MAX_DEPTH + 1];
    struct json_matches matches;
};

/* Begins with a key. `apart` asks for a version of its own even at once. False: it holds something else (answered). */
bool json_change_begin(struct json_change *change, struct call *call, uint32_t key_arg, bool apart);

/* Begins with a version (taken) that was worked on before, of the key that an argument names. */
void json_change_begin_with(struct json_change *change, struct call *call, uint32_t key_arg, struct json_value root);

/* What to do with places that are named more than once, or lie within others. */
enum json_overlap {
    JSON_OVERLAP_UNIQUE,    /* each place once */
    JSON_OVERLAP_OUTERMOST, /* those alone that lie in no other, in an order in which they can be deleted */
};

/* Finds the places that a path names. False: answered, or gone aside; the handler calls json_change_end and returns. */
bool json_change_find(struct json_change *change, const struct json_path *path, enum json_overlap overlap);

/* The steps to place `at`. */
const uint32_t *json_change_steps(const struct json_change *change, size_t at, size_t *depth);

/* What stands at a place, for reading. */
const struct json_value *json_change_at(const struct json_change *change, size_t at);

/* To be called before the first edit. */
void json_change_open(struct json_change *change);

/* The slot of a place, for edits; NULL if an earlier edit took it away. The second form takes steps. */
struct json_value *json_change_slot(struct json_change *change, size_t at);
struct json_value *json_change_slot_of(struct json_change *change, const uint32_t *steps, size_t depth);

/* Publishes what was opened; nothing may be changed after it. `event` tells of it, unless NULL. */
void json_change_publish(struct json_change *change, const char *event);

/* Puts a value (taken) in the place of a document that is there; its expiry stays. What the old one had goes to the
 * trash. */
void json_replace_root(
    struct call *call, struct key key, struct entry *entry, struct json_value root, struct json_trash *trash);

/*
 * Gives memory back, after the command was answered in full. Aside that is done in slices, before anything else is done
 * for the client: whoever changes large documents again and again waits for it, and never needs room for more than two
 * versions; an answer does not.
 */
void json_drain(struct call *call, struct json_trash *trash);

/* Lets go of everything, once the command was answered (json_drain); what was opened apart and not published is
 * forgotten. */
void json_change_end(struct json_change *change);

/*
 * What a command does with each of its places: it looks at all of them first, and then changes all, the last one first,
 * so that what lies within others comes before them. Its answers stand in the order of the places.
 */
struct json_work {
    /* Looks at what stands at a place; sets *answer to anything but JSON_NONE (owned) if it is to be changed. */
    void (*look)(struct json_work *work, const struct json_value *found, struct json_value *answer);
    /* Changes it, and may set *answer anew; false when memory is out. */
    bool (*change)(struct json_work *work, struct json_value *slot, struct json_value *answer);
    const char *event;
    const char *otherwise;  /* what an old path should lead to: " or not an array" */
    const char *refusal;    /* set by `look`: nothing is done, this is the error; or NULL */
    size_t weight;          /* set by `look`: bytes of text that will be answered, or what takes as long */
    const void *context;    /* borrowed: the command's own */
    struct json_path *path; /* as json_call_path gives it */
    struct json_change place;
    size_t depth;               /* for `look`: containers that the place lies in */
    struct json_trash *trash;   /* borrowed, for `change` */
    struct json_value *answers; /* owned: one for each place, JSON_NONE where nothing was changed; or `few` */
    struct json_value few[4];
    size_t looked;  /* places that were looked at, and so have one */
    size_t changed; /* places that have an answer, ... */
    size_t idle;    /* ... and of those, counted by `look`, the ones that have it because there is nothing to change */
    struct json_value last; /* borrowed: the answer of the last place that was changed */
};

/*
 * Carries it out, on the document that argument 1 names and the path that an argument says (or the root, if there is no
 * such argument). False: it was answered or goes on aside. To be ended in either case.
 */
bool json_work_run(struct json_work *work, struct call *call, uint32_t path_arg);
void json_work_end(struct json_work *work);

/* The same with an answer of integers: one for each place, or of an old path the last one. */
void json_work_answer_ints(struct json_work *work, struct call *call, uint32_t path_arg);

/* False, and an error was answered, if a value that is nested so deep has no room at a place. */
bool json_change_fits(const struct json_change *change, size_t depth, unsigned value_depth);

/* --- Putting a value where a path leads, which JSON.SET, MERGE and MSET do --- */

enum json_put {
    JSON_PUT_DONE,
    JSON_PUT_NOTHING, /* there is no place for it, or a condition does not hold: the answer is null */
    JSON_PUT_FAILED,  /* answered, or gone aside */
};

enum { JSON_PUT_NX = 1, JSON_PUT_XX = 2 };

/* The value gets one more holder, or is merged into what is there. */
typedef bool (*json_place_fn)(struct json_value *slot, struct json_value value, struct json_trash *trash);

bool json_place_set(struct json_value *slot, struct json_value value, struct json_trash *trash);

/* What is put, and how. */
struct json_putting {
    struct json_value value; /* borrowed */
    unsigned value_depth;
    uint32_t flags;
    json_place_fn place;
    bool removes; /* null removes: it is merged */
};

/* Below or at the root of a document that is there. */
enum json_put json_put(struct json_change *change, const struct json_path *path, const struct json_putting *putting);
