/*
 * What the sources of the parser share: its state, and strings and numbers.
 */
#pragma once

#include "json/edit.h"
#include "json/parse.h"

#include "tree_priv.h"

enum {
    CACHE_KEYS = 512,
    LONG_STRING = 64 * 1024, /* bytes from which on a string is read in parts */
};

/* A key that this text has used: its references are given in one go. */
struct cached_key {
    const char *text; /* borrowed: the key's, of which one reference is held; NULL in a free place */
    uint32_t len;
    json_key key;
    uint32_t pending; /* references that members have and that are not counted yet */
    uint16_t next;    /* the place of the key that followed it last time */
    bool is_plain;    /* without anything that is escaped in JSON */
    uint8_t compared; /* bytes of `word`, or 0 */
    uint64_t word;    /* a short plain key with the quote that ends it */
};

/* A string of which the end has not been seen, or that is being copied. */
struct string_scan {
    const char *begin, *at; /* borrowed: of the text; behind the opening quote */
    size_t decoded;         /* bytes it has after decoding, up to `at` */
};

/* An open container: what it has so far is on the stacks from `base` on, and before that in `tree`. */
struct parse_frame {
    size_t base;
    struct json_value tree; /* owned, or none */
    bool is_object;
    uint64_t seen;   /* a bit for the keys that are on the stack: one whose bit is not set has no namesake there */
    uint16_t *guess; /* borrowed: in the cache; the place of the key that is likely to come next */
};

enum parse_state { STATE_VALUE, STATE_ELEMENT_OR_END, STATE_KEY, STATE_KEY_OR_END, STATE_COLON, STATE_AFTER };
enum parse_string_state { STRING_NONE, STRING_SCAN, STRING_COPY };

struct json_parser {
    const char *begin, *at, *end; /* borrowed */
    const char *pause;            /* where this slice ends */
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
    struct parse_frame frames[JSON_MAX_DEPTH];

    uint16_t first_keys[JSON_MAX_DEPTH]; /* guesses for the first key of an object, by depth */
    struct cached_key cache[CACHE_KEYS];
};

/* Notes what is wrong and where; false. */
bool parse_fail(struct json_parser *parser, enum json_parse_error error, const char *text, const char *at);

/* parse_key.c: reads the key at parser->at, an opening quote, and goes behind it. The key has one reference, counted or
 * pending. 0: failed. */
json_key parse_key(struct json_parser *parser, struct parse_frame *frame);

/* Counts references that are pending; gives the cache's own back too. */
void parse_keys_settle(struct json_parser *parser);
void parse_keys_forget(struct json_parser *parser);

/* parse_string.c: goes on to the closing quote, at most to `limit`. True: scan->at is behind the quote. False: not yet,
 * or, if parser->error is set, never. */
bool string_scan(struct json_parser *parser, struct string_scan *scan, const char *limit);

/* Decodes what was scanned without error; goes on from *from until `limit` bytes are written. Returns how many. */
size_t string_decode(char *out, const char **from, const char *end, size_t limit);

/* parse_number.c: reads a number at parser->at and goes behind it. */
bool parse_number(struct json_parser *parser, struct json_value *value);
