/*
 * Parse: JSON text to a value.
 *
 * Strictly RFC 8259: UTF-8 is checked (the whole text, as strings may hold nothing else), escapes and surrogates must
 * be whole, at most JSON_MAX_DEPTH containers deep, numbers that no double can hold are refused. Of a key that occurs
 * twice the last value is kept, in the place of the first. Integers stay integers up to UINT64_MAX, larger ones become
 * doubles; -0 is a double. Doubles are correctly rounded.
 *
 * A parser reads a text in slices: it can be paused everywhere, in the middle of a long string too. It can begin while
 * the text is still arriving. It owns what it has built; it may run on any thread.
 */
#pragma once

#include <stddef.h>

#include "json/doc.h"

enum json_parse_status {
    JSON_PARSE_DONE,
    JSON_PARSE_MORE,   /* call again */
    JSON_PARSE_BAD,    /* see json_parse_error */
    JSON_PARSE_HUNGRY, /* call again when more of the text is there */
};

enum json_parse_error {
    JSON_ERROR_NONE,
    JSON_ERROR_SYNTAX,
    JSON_ERROR_UTF8,
    JSON_ERROR_DEPTH,
    JSON_ERROR_RANGE, /* a number that is out of range */
    JSON_ERROR_MEMORY,
    JSON_ERROR_SIZE, /* a string or container of more than 2^32 - 1 */
};

struct json_parser;

/* A parser for `text`, which must stay where it is until it is destroyed. NULL when memory is out. */
struct json_parser *json_parser_create(struct bytes text);

/*
 * The same where nothing of the text is there yet. json_parser_extend says how many of its bytes are, no fewer than
 * before, and only these are read; when all are there the parser is like any other. What it then answers does not
 * depend on when it was told of which bytes. A text that is wrong may be found out early, or only when it is whole.
 */
struct json_parser *json_parser_create_early(struct bytes text);
void json_parser_extend(struct json_parser *parser, size_t len);

/* NULL is nothing. What was built so far and not taken goes to the trash. */
void json_parser_destroy(struct json_parser *parser, struct json_trash *trash);

/* Goes on for about `budget` bytes of text (SIZE_MAX: to the end). */
enum json_parse_status json_parser_step(struct json_parser *parser, size_t budget);

/* The value, once, after JSON_PARSE_DONE; the caller owns it. */
struct json_value json_parser_take(struct json_parser *parser);

/* Containers that were nested in what was read so far. O(1): at least the json_depth of the value (a duplicate that was
 * dropped may have been deeper). */
unsigned json_parser_depth(const struct json_parser *parser);

/* What was wrong after JSON_PARSE_BAD, where (bytes from the beginning), and a text for it without the place:
 * "expected value", "recursion limit exceeded". */
enum json_parse_error json_parser_error(const struct json_parser *parser);
size_t json_parser_error_at(const struct json_parser *parser);
const char *json_parser_error_text(const struct json_parser *parser);

/* For small texts, at once: the value, or an error. *text and *at are set when it answers one. */
enum json_parse_error json_parse(struct bytes text, struct json_value *value, const char **error_text, size_t *at);
