/*
 * What the JSON commands share: reaching a document, finding what a path names in it, reading values from arguments,
 * writing text into a reply.
 *
 * Nothing here stalls. A handler begins at once and is given little: so many steps of a query, so many bytes of text.
 * When that is spent it runs aside, from its beginning, in slices (engine/aside.h). What reads pins the version that it
 * begins with (json_reader), so that writers go on and are not seen; what writes holds the key, works on a version of
 * its own and publishes that at one moment (json_edit_priv.h). Where nobody can wait, in a transaction, it goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/call.h"
#include "json/doc.h"
#include "json/matches.h"
#include "json/path.h"
#include "json/print.h"

struct early_type;
struct json_parser;
struct output_gap;

enum {
    JSON_STEPS_AT_ONCE = 2000,     /* of a query, before it goes aside: about 40 us */
    JSON_STEPS_SLICE = 1000,       /* of a query between two breaths */
    JSON_TEXT_AT_ONCE = 32 * 1024, /* bytes that are read or written without going aside */
    JSON_TEXT_SLICE = 8 * 1024,    /* bytes between two breaths */
    JSON_VALUES_AT_ONCE = 1000,    /* values that are looked at, answered or changed without going aside */
    JSON_BREATH = 1500,            /* what such a slice costs, in tens of ns, ... */
    JSON_COST_VALUE = 6,           /* ... what a value that is looked at or answered, ... */
    JSON_COST_PLACE = 25,          /* ... a place that is changed, or a text of a few bytes that is read, ... */
    JSON_COST_KEY = 80,            /* ... a key that is looked up, or stored under */
};

/* --- Errors --- */

void json_fail_missing_key(struct call *call);
void json_fail_root(struct call *call); /* new objects must be created at the root */
void json_fail_static(struct call *call);
void json_fail_memory(struct call *call);

/* "ERR Path '$.a' does not exist" and what else the path should have led to (" or not an array"), or "". */
void json_fail_path(struct call *call, const struct json_path *path, const char *otherwise);

/* "WRONGTYPE wrong type of path value - expected string but found integer". */
void json_fail_type(struct call *call, const char *expected, struct json_value found);

/* "integer", "object": as JSON.TYPE answers. */
const char *json_type_name(struct json_value value);

/* --- Arguments --- */

/* The path that a text says; NULL: an error was answered. It is borrowed until the next call of this, or aside, where
 * others compile paths in between, a reference: json_path_drop ends either. */
struct json_path *json_call_path(struct call *call, struct bytes text);
void json_path_drop(struct json_path *path); /* NULL is nothing */

/* The same of an argument; the root in the old form if there is no such argument. */
struct json_path *json_call_path_arg(struct call *call, uint32_t index);

/*
 * Reads arguments as JSON values, `count` of them, each owned by the caller then, and how deep the deepest is nested. A
 * large text is read in slices if the handler runs aside. False: an error was answered, and nothing is owned.
 */
bool json_call_values(struct call *call, uint32_t index, uint32_t count, struct json_value *values, unsigned *depth);

/* Gives such values back. Breathes. */
void json_release_values(struct call *call, const struct json_value *values, uint32_t count);

/* A parser of an argument that is whole, perhaps one that has read most of it already (engine/early.h); NULL when
 * memory is out. And the type of such work, for the rows of commands that take values. */
struct json_parser *json_call_parser(struct call *call, uint32_t index);
extern const struct early_type json_early_type;

/* True if the arguments are so long that reading them has to go aside, and that took the call over. */
bool json_call_is_long(struct call *call);

/* An index among the arguments, any 64-bit integer; false: an error was answered. */
bool json_call_index(struct call *call, uint32_t index, int64_t *value);

/* The entry of a key, NULL if there is none; false: it is no document, which was answered. */
bool json_call_entry(struct call *call, uint32_t key_arg, bool writes, struct entry **entry);

/* --- Reading --- */

/* A version of a document. */
struct json_reader {
    struct call *call;
    struct json_value root; /* JSON_NONE if there is no such key */
    bool pinned;            /* `root` is a reference, since the handler breathes */
};

/* False: the key holds something else, which was answered. */
bool json_reader_begin(struct json_reader *reader, struct call *call, uint32_t key_arg);
void json_reader_end(struct json_reader *reader);

static inline bool json_reader_found(const struct json_reader *reader)
{
    return reader->root.bits != 0;
}

/* Values that a path named. All zero is none. */
struct json_found {
    size_t count;
    const struct json_value *single; /* borrowed from the document, if the path names one place */
    struct json_matches matches;     /* otherwise */
};

static inline const struct json_value *json_found_at(const struct json_found *found, size_t at)
{
    return found->single ? found->single : json_matches_value(&found->matches, at);
}

/*
 * What a path names, in order, without the first `skip` and `limit` at most; of an old path the first. O(segments)
 * for a path that names one place. False: it was answered or goes on aside; the handler returns.
 */
bool json_find(
    struct json_reader *reader, const struct json_path *path, size_t skip, size_t limit, struct json_found *found);

/* The same with all that an old path names. */
bool json_find_all(
    struct json_reader *reader, const struct json_path *path, size_t skip, size_t limit, struct json_found *found);

void json_found_fini(struct json_found *found);

/* True if a command that is to look at so many values has to go aside, and that took the call over. */
bool json_call_aside(struct call *call, size_t values);

/* Values in a value, itself included, counted up to `enough`. O(enough). */
size_t json_weigh(struct json_value value, size_t enough);

/* The same with the bytes of strings: about as long as its text. O(enough). */
size_t json_weigh_text(const struct json_value *value, size_t enough);

/* The bytes that a document takes behind its entry, measured in slices if there are many. False: it goes on aside. The
 * entry may be gone afterwards. */
bool json_call_memory(struct call *call, const struct entry *entry, size_t *bytes);

/* --- Text --- */

/*
 * Text on its way to a reply as one bulk string. What is short is gathered and answered at once; what is long goes to
 * the reply piece by piece, so that there is no second copy of it, and its length is filled in at the end.
 */
struct json_text {
    struct call *call;
    struct buf *buf; /* borrowed: the engine's, or `own` where others run in between */
    struct buf own;
    struct output_gap *gap; /* where the length will stand, once the first piece has gone */
    size_t sent;            /* bytes that have gone */
    size_t whole;           /* how long it will be, if that was said; then it leaves while it is written */
    size_t unsent;          /* bytes that have gone to the reply, and not left */
    bool is_piece;          /* `buf` will be a blob */
    bool stays;             /* the call cannot go aside any more */
};

void json_text_begin(struct json_text *text, struct call *call);

/* The text is known to be so long: where the handler runs aside, its parts leave as they are written. Before anything
 * is appended. */
void json_text_say(struct json_text *text, size_t len);

/* Appends; false: the call goes on aside, nothing was answered, the handler returns after json_text_drop. */
bool json_text_value(
    struct json_text *text, const struct json_value *value, const struct json_layout *layout, unsigned depth);

/* Appends something short. */
void json_text_append(struct json_text *text, struct bytes content);

/* Answers. Returns how long the text is. */
size_t json_text_end(struct json_text *text);

/* Forgets what was gathered and not answered. */
void json_text_drop(struct json_text *text);

/* One value as a bulk string, in slices if the handler runs aside, else at once. */
void json_reply_text(struct call *call, const struct json_value *value);

/* A value as data of the protocol, containers as arrays and maps: RESP3 only. Breathes. */
void json_reply_expanded(struct call *call, const struct json_value *value);

/* How values are answered: the argument of FORMAT. */
enum json_format { JSON_FORMAT_STRING, JSON_FORMAT_EXPAND, JSON_FORMAT_EXPAND1 };

/* Reads that argument; false: an error was answered. */
bool json_call_format(struct call *call, uint32_t index, enum json_format *format);
