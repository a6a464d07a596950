/*
 * The error texts that more than one place answers: one table, so that a text exists once.
 */
#pragma once

#include "base/bytes.h"

enum error {
    ERROR_WRONG_TYPE,
    ERROR_SYNTAX,
    ERROR_NOT_INTEGER,
    ERROR_NOT_FLOAT,
    ERROR_NO_SUCH_KEY,
    ERROR_OVERFLOW,     /* increment or decrement would overflow */
    ERROR_NAN_INFINITY, /* increment would produce NaN or Infinity */
    ERROR_OUT_OF_RANGE, /* index out of range */
    ERROR_POSITIVE,     /* value is out of range, must be positive */
    ERROR_STRING_TOO_LONG,
    ERROR_DB_INDEX,      /* DB index is out of range */
    ERROR_INVALID_DB,    /* invalid DB index */
    ERROR_SAME_OBJECT,   /* source and destination objects are the same */
    ERROR_CURSOR,        /* invalid cursor */
    ERROR_OUT_OF_MEMORY, /* maxmemory */
    ERROR_NO_AUTH,
    ERROR_WRONG_PASS,
    ERROR_NO_PROTO,
    ERROR_NESTED,         /* what is not allowed from here */
    ERROR_MEMORY_REQUEST, /* an allocation for this request was refused by the system */
    ERROR_COUNT
};

/* The full text with its code word, without line end. */
struct bytes error_text(enum error error);
