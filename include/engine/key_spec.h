/*
 * Key specifications: where the keys stand among a command's arguments, and what the command does with them.
 *
 * COMMAND tells them to clients; COMMAND GETKEYS, the ACL and looking ahead find keys by them.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"

/* What a command does with a key: the flags of COMMAND's key specifications. */
enum key_flag {
    KEY_RO = 1 << 0, /* exactly one of RO, RW, OW, RM */
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4, /* any of these */
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
    KEY_READ_ACCESS = KEY_RO | KEY_ACCESS,
};

/* Where keys stand. `first` counts from the command's name = 0. */
struct key_spec {
    enum { KEY_SPEC_NONE, KEY_SPEC_INDEX, KEY_SPEC_KEYWORD, KEY_SPEC_UNKNOWN } begin;
    enum { KEY_FIND_RANGE, KEY_FIND_NUMBER } find;
    uint32_t flags; /* enum key_flag */
    int16_t first;  /* index, or where the search for the keyword starts (negative: from the end) */
    int16_t last;   /* range: relative to first; negative: from the end, -1 the last argument */
    int16_t step;   /* distance between keys */
    int16_t limit;  /* range with last -1: 0 or 1 all, 2 the first half of what is left, ... */
    const char *keyword;
};
#define KEY_AT(n, f)                                                              \
    {                                                                             \
        .begin = KEY_SPEC_INDEX, .first = (n), .last = 0, .step = 1, .flags = (f) \
    }
#define KEY_RANGE(n, l, s, f)                                                         \
    {                                                                                 \
        .begin = KEY_SPEC_INDEX, .first = (n), .last = (l), .step = (s), .flags = (f) \
    }
/* The argument at n says how many keys follow it. */
#define KEY_NUMBERED(n, f)                                                                                 \
    {                                                                                                      \
        .begin = KEY_SPEC_INDEX, .find = KEY_FIND_NUMBER, .first = (n), .last = 1, .step = 1, .flags = (f) \
    }
#define KEY_AFTER(word, start, l, s, lim, f)                                                                      \
    {                                                                                                             \
        .begin = KEY_SPEC_KEYWORD, .keyword = (word), .first = (start), .last = (l), .step = (s), .limit = (lim), \
        .flags = (f)                                                                                              \
    }
/* Keys that no specification can find; a row's find_keys knows those that the arguments name. */
#define KEY_SOMEWHERE(f)                        \
    {                                           \
        .begin = KEY_SPEC_UNKNOWN, .flags = (f) \
    }

enum { COMMAND_KEY_SPECS = 3 };

/* One key among the arguments. */
struct key_position {
    uint32_t index; /* into argv */
    uint32_t flags; /* enum key_flag */
};

/* For what key specifications cannot say: writes at most `max` positions, returns how many there are, or -1 if the
 * arguments make no sense. */
typedef int (*command_keys_fn)(const struct bytes *argv, uint32_t argc, struct key_position *out, int max);
