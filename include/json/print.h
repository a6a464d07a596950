/*
 * Print: a value to JSON text, in slices.
 *
 * Compact unless told otherwise: before every element of a container, and before its end, comes `newline` and then
 * `indent` once a level; after the colon comes `space`. Empty containers are [] and {} whatever the layout. Strings
 * are escaped where JSON demands it and nowhere else (\" \\ \b \f \n \r \t, other control characters as \u001f, lower
 * case); doubles are the shortest text that reads back, always with a point or an exponent (1.0, 1e16, 0.00001, 1e-6).
 *
 * A printer holds only borrowed pointers: the value must not change until it is done, so pin it (json_value_ref).
 */
#pragma once

#include "base/buf.h"
#include "json/value.h"

enum {
    JSON_NUMBER_MAX_LEN = 48,
    JSON_PRINTER_KEYS = 32,    /* keys whose text a printer keeps as it is written, ... */
    JSON_PRINTER_KEY_MAX = 32, /* ... if that takes at most so many bytes, ... */
};

struct json_layout {
    struct bytes indent, newline, space; /* borrowed */
};

struct json_printer {
    struct json_layout layout;
    bool compact;
    bool began;
    unsigned depth;                 /* containers open */
    unsigned base_depth;            /* levels of indentation that the surroundings have */
    const struct json_value *value; /* borrowed: the root; after the beginning the long string that is in hand */
    size_t string_at;               /* bytes of that string that are written */
    bool in_string;
    json_key keys[JSON_PRINTER_KEYS]; /* a small cache of what the objects of a document share; 0 is a free place */
    uint8_t key_lens[JSON_PRINTER_KEYS];
    char key_texts[JSON_PRINTER_KEYS]
                  [JSON_PRINTER_KEY_MAX]; /* ... with a separator before it, quotes, escapes and the colon */
    struct json_iter stack[JSON_MAX_DEPTH + 1];
};

/* Begins. `layout` may be NULL for compact; its bytes stay borrowed. `base_depth` is for a value that is printed as
 * part of something larger: 0 at the top. */
void json_printer_init(struct json_printer *printer, const struct json_value *value, const struct json_layout *layout,
    unsigned base_depth);

/* Appends about `budget` bytes (SIZE_MAX: the rest) to `out`; true when all is written. A string longer than that is
 * written in parts. */
bool json_printer_step(struct json_printer *printer, struct buf *out, size_t budget);

/* A whole value, compact. O(n). */
void json_print(const struct json_value *value, struct buf *out);

/* A string in quotes with its escapes; a number. The second writes at most JSON_NUMBER_MAX_LEN bytes, and returns how
 * many. */
void json_print_string(struct bytes text, struct buf *out);
size_t json_format_number(char *out, struct json_value number);
