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

/* parse_run.c: goes on in the innermost container, as far as the text is plain. The machine takes the next step, from
 * wherever it stopped. */
void parse_run(struct json_parser *parser);

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

static inline const char *parse_skip_blanks(const char *at, const char *limit)
{
    while (at < limit && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* parse_key.c: reads the key at parser->at, an opening quote, and goes behind it. The key has one reference, counted or
 * pending. 0: failed. */
json_key parse_key(struct json_parser *parser, struct parse_frame *frame);
void parse_key_settle(struct cached_key *cached);

/* Keys are seldom long: two loads that overlap decide, without a call. */
static inline bool parse_texts_are_equal(const char *a, const char *b, size_t len)
{
    uint64_t first[2], last[2];

    if (len < 8 || len > 16)
        return memcmp(a, b, len) == 0;
    memcpy(&first[0], a, 8);
    memcpy(&first[1], b, 8);
    memcpy(&last[0], a + len - 8, 8);
    memcpy(&last[1], b + len - 8, 8);
    return first[0] == first[1] && last[0] == last[1];
}

/* True if the text goes on with this key and the quote behind it. Most keys are so short that one load decides. */
static inline bool parse_key_is_next(const struct cached_key *cached, const char *at, const char *end)
{
    if (cached->compared != 0 && end - at >= (ptrdiff_t)sizeof(cached->word)) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        return (word ^ cached->word) << (64 - 8 * cached->compared) == 0;
    }
    return cached->text != NULL && cached->is_plain && (size_t)(end - at) > cached->len && at[cached->len] == '"' &&
           parse_texts_are_equal(at, cached->text, cached->len);
}

/* Takes the key at a place of the cache, with a reference that is counted later. */
static inline json_key parse_key_use(struct parse_frame *frame, struct json_parser *parser, unsigned place)
{
    struct cached_key *cached = &parser->cache[place];

    if (__builtin_expect(++cached->pending == UINT32_MAX, 0))
        parse_key_settle(cached);
    *frame->guess = (uint16_t)place;
    frame->guess = &cached->next;
    return cached->key;
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

/* The powers of ten that are doubles. */
enum { PARSE_EXACT_POWER = 22 };
extern const double parse_exact_powers[PARSE_EXACT_POWER + 1];

static inline bool parse_is_digit(char c)
{
    return (unsigned)(unsigned char)c - '0' <= 9;
}

/* Eight digits as a number, three multiplications for all; false if one is none. */
static inline bool parse_eight_digits(const char *at, uint64_t *value)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    if (((word & UINT64_C(0xf0f0f0f0f0f0f0f0)) |
            (((word + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0)) >> 4)) !=
        UINT64_C(0x3333333333333333))
        return false;
    word = (word & UINT64_C(0x0f0f0f0f0f0f0f0f)) * 2561 >> 8;
    word = (word & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
    *value = (word & UINT64_C(0x0000ffff0000ffff)) * UINT64_C(42949672960001) >> 32;
    return true;
}
