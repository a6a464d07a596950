/*
 * What the sources of the parser share: its state, and strings and numbers.
 */
#pragma once

#include "json/edit.h"
#include "json/parse.h"

#include "tree_priv.h"

enum {
    CACHE_KEYS = 384,        /* with as many a parser is just small enough for the allocator's cache */
    KEY_PATTERN = 16,        /* bytes of a key, in quotes and with its colon, that are compared at once */
    LONG_STRING = 64 * 1024, /* bytes from which on a string is read in parts */
};

/*
 * A key that this text has used: its references are given in one go. What the text has where the key comes next is
 * `pattern` under `mask`: quotes, key and colon, or the first of them. Escaped in JSON it would not be the same: then,
 * and in a place that is not used, nothing matches. One line of the processor's cache.
 */
struct cached_key {
    uint64_t pattern[2], mask[2];
    uint64_t pending;        /* references that members have and that are not counted yet */
    const char *text;        /* borrowed: the key's, of which one reference is held */
    struct cached_key *next; /* borrowed: the key that followed it last time */
    uint32_t len;
    json_key key;
};

#define KEY_PATTERN_NONE 1 /* under a mask of 0 */

/* A string of which the end has not been seen, or that is being copied. */
struct string_scan {
    const char *begin, *at; /* borrowed: of the text; behind the opening quote */
    size_t decoded;         /* bytes it has after decoding, up to `at` */
};

/* An open container: what it has so far is on the stacks from `base` on, and before that in `tree`. */
struct parse_frame {
    size_t base, most;      /* it goes to the tree when it comes up to `most` */
    struct json_value tree; /* owned, or none */
    bool is_object;
    uint64_t seen; /* a bit for the keys that are on the stack: one whose bit is not set has no namesake there */
    struct cached_key **guess; /* borrowed: where the key that is likely to come next is noted */
};

enum parse_state { STATE_VALUE, STATE_ELEMENT_OR_END, STATE_KEY, STATE_KEY_OR_END, STATE_COLON, STATE_AFTER };
enum parse_string_state { STRING_NONE, STRING_SCAN, STRING_COPY };

struct json_parser {
    const char *begin, *at, *end; /* borrowed; `end` is that of what has arrived */
    const char *pause;            /* where this slice ends */
    const char *token;            /* where the machine began to read a key or value last */
    size_t missing;               /* bytes behind `end` that have not arrived */
    bool waits;                   /* for all of them, to find out what is wrong */
    bool is_sliced;               /* it does, before the end */
    enum parse_state state;
    enum json_parse_error error;
    const char *error_text;
    struct json_trash trash;
    enum parse_string_state in_string;
    struct string_scan scan;
    struct json_text *copy; /* owned: the string being copied */
    size_t copied;          /* bytes of it that are there */

    /* The values of all open containers, each with the place that its container will take below it. */
    struct json_value *values; /* owned */
    json_key *keys;            /* owned: of the same */
    size_t top, room;
    unsigned depth, deepest;

    /* From here on nothing has a value before it is first used: that would take longer than to read a short text. */
    uint64_t used[CACHE_KEYS / 64]; /* a bit for each place of the cache */
    struct parse_frame frames[JSON_MAX_DEPTH];
    struct cached_key *first_keys[JSON_MAX_DEPTH]; /* guesses for the first key of an object, by depth */
    struct cached_key cache[CACHE_KEYS];           /* the first place is the guess where there is none */
};

/* Notes what is wrong and where; false. */
bool parse_fail(struct json_parser *parser, enum json_parse_error error, const char *text, const char *at);

/* parse_run.c: goes on in the innermost container, as far as the text is plain. The machine takes the next step, from
 * wherever it stopped. */
void parse_run(struct json_parser *parser);

/* The frame of a container that begins, deeper than the others. */
static inline struct parse_frame *parse_frame_open(struct json_parser *parser, size_t base, bool is_object)
{
    unsigned depth = parser->depth++;
    struct parse_frame *frame = &parser->frames[depth];

    if (depth == parser->deepest) {
        parser->deepest++;
        parser->first_keys[depth] = parser->cache;
    }
    frame->base = base;
    frame->most = base + (is_object ? OBJECT_LEAF_MAX : ARRAY_LEAF_MAX);
    frame->tree = JSON_VALUE_NONE;
    frame->is_object = is_object;
    frame->seen = 0;
    frame->guess = &parser->first_keys[depth];
    return frame;
}

/* parse.c: at its bracket, opens or closes a container. */
bool parse_container_open(struct json_parser *parser, bool is_object);
bool parse_container_close(struct json_parser *parser);

/* True if the key has no namesake for sure among the members that are on the stack; it is noted. */
static inline bool parse_key_is_new(struct parse_frame *frame, json_key key)
{
    uint64_t bit = (uint64_t)1 << (key & 63);

    if ((frame->seen & bit) != 0)
        return false;
    frame->seen |= bit;
    return true;
}

/* The member that was just completed may have a namesake, whose place it then takes. */
void parse_member_unify(struct json_parser *parser, const struct parse_frame *frame);

/* What is no blank, or `limit`. Indentation is passed in words. */
static inline const char *parse_skip_blanks(const char *at, const char *limit)
{
    for (uint64_t word; limit - at >= (ptrdiff_t)sizeof(word); at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        if (word != UINT64_C(0x2020202020202020))
            break;
    }
    while (at < limit && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* parse_key.c: reads the key at parser->at, an opening quote, and goes behind it. The key has one reference, counted or
 * pending. 0: failed. */
json_key parse_key(struct json_parser *parser, struct parse_frame *frame);

/* True if the text goes on with this key, from its first quote to its colon. Most keys are so short that one look
 * decides. There are KEY_PATTERN bytes. */
static inline bool parse_key_is_next(const struct cached_key *cached, const char *at, const char *end)
{
    uint64_t words[2];

    memcpy(words, at, sizeof(words));
    if ((((words[0] & cached->mask[0]) ^ cached->pattern[0]) | ((words[1] & cached->mask[1]) ^ cached->pattern[1])) !=
        0)
        return false;
    if (cached->len <= KEY_PATTERN - 3)
        return true;
    return (size_t)(end - at) > (size_t)cached->len + 2 && memcmp(at + 1, cached->text, cached->len) == 0 &&
           at[cached->len + 1] == '"' && at[cached->len + 2] == ':';
}

/* Counts references that are pending, of one key and of all; gives the cache's own back too. */
void parse_keys_settle(struct json_parser *parser);
void parse_keys_forget(struct json_parser *parser);

/* parse_string.c: goes on to the closing quote, at most to `limit`. True: scan->at is behind the quote. False: not yet,
 * or, if parser->error is set, never. */
bool string_scan(struct json_parser *parser, struct string_scan *scan, const char *limit);

/* Decodes what was scanned without error; goes on from *from until `limit` bytes are written. Returns how many. */
size_t string_decode(char *out, const char **from, const char *end, size_t limit);

/* parse_number.c: reads a number at parser->at and goes behind it. */
bool parse_number(struct json_parser *parser, struct json_value *value);
