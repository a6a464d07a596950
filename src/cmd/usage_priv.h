/*
 * Usage: the tree of arguments that a row's usage text describes, for COMMAND DOCS.
 *
 * The text is in the documentation's syntax: a word with a lower-case letter stands for a value, any other word for
 * itself; [a] may be left out; <a | b> is a choice, and so are alternatives in brackets; "a [a ...]" is one or more.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct arena;
struct command;

enum usage_type {
    USAGE_STRING,
    USAGE_INTEGER,
    USAGE_DOUBLE,
    USAGE_KEY,
    USAGE_PATTERN,
    USAGE_UNIX_TIME,
    USAGE_PURE_TOKEN,
    USAGE_ONEOF,
    USAGE_BLOCK,
};

struct usage_arg {
    struct bytes name;
    enum usage_type type;
    struct bytes token; /* the word itself, or one that stands before the value; ptr NULL if there is none */
    int key_spec;       /* of a key: which of the row's specifications finds it; of a pattern: 0 if none does */
    bool optional, multiple;
    bool multiple_token;        /* the token is repeated with the value */
    struct usage_arg *children; /* of ONEOF and BLOCK */
    struct usage_arg *next;
};

/*
 * The arguments of a row's usage text, in order; NULL if it has none, or cannot be read. Everything lies in the arena,
 * or in the row's text.
 */
struct usage_arg *usage_parse(struct arena *arena, const struct command *row);

/* "string", "pure-token", ... */
const char *usage_type_name(enum usage_type type);
