/*
 * The parser: a machine with a stack of its own, so that it can stop anywhere.
 *
 * The values of all open containers lie on one stack, with a place for each container below what is in it. When a
 * container closes, what is above its place is copied into a node of just the right size. When more gathers than a
 * node holds, it goes into a tree at once: so the stack stays small and closing a container never costs more than one
 * node.
 *
 * Members on the stack hold references to their keys, though perhaps ones that the cache of keys still has to give.
 */
#include "json/parse.h"

#include "leaf_priv.h"
#include "parse_priv.h"
#include "scan_priv.h"

enum {
    FIRST_ROOM = 64,
    CUT_CHARACTER = 16, /* more than any character of a string is long */
    CUT_TOKEN = 4096,   /* longer ones that seem to be cut off are not tried again and again */
};

bool parse_fail(struct json_parser *parser, enum json_parse_error error, const char *text, const char *at)
{
    parser->error = error;
    parser->error_text = text;
    parser->at = at;
    return false;
}

static bool fail_memory(struct json_parser *parser)
{
    return parse_fail(parser, JSON_ERROR_MEMORY, "out of memory", parser->at);
}

static bool stack_grow(struct json_parser *parser)
{
    size_t room = parser->room == 0 ? FIRST_ROOM : parser->room * 2;
    struct json_value *values = mem_try_realloc(parser->values, room * sizeof(*values));

    if (values == NULL)
        return fail_memory(parser);
    parser->values = values;
    json_key *keys = mem_try_realloc(parser->keys, room * sizeof(*keys));
    if (keys == NULL)
        return fail_memory(parser);
    parser->keys = keys;
    parser->room = room;
    return true;
}

/* A place on the stack for the value that begins now. */
static inline bool stack_push(struct json_parser *parser, json_key key)
{
    if (parser->top == parser->room && !stack_grow(parser))
        return false;
    parser->values[parser->top] = JSON_VALUE_NONE;
    parser->keys[parser->top++] = key;
    return true;
}

/* A leaf of what the innermost container has on the stack. */
static bool leaf_make(struct json_parser *parser, const struct parse_frame *frame, struct json_value *value)
{
    size_t base = frame->base, count = parser->top - base;

    if (!leaf_try_make(frame->is_object, &parser->values[base], &parser->keys[base], count, value))
        return fail_memory(parser);
    parser->top = base;
    return true;
}

/* Moves what the innermost container has on the stack into its tree. */
static bool frame_flush(struct json_parser *parser, struct parse_frame *frame)
{
    struct json_value leaf;

    frame->seen = 0;
    if (frame->tree.bits == 0)
        return leaf_make(parser, frame, &frame->tree);
    if (json_len(frame->tree) > UINT32_MAX - JSON_NODE_BYTES)
        return parse_fail(parser, JSON_ERROR_SIZE, "too many elements", parser->at);
    if (!frame->is_object) {
        if (!leaf_make(parser, frame, &leaf))
            return false;
        tree_append_leaf(&frame->tree, leaf, &parser->trash);
        return true;
    }
    parse_keys_settle(parser);
    for (size_t i = frame->base; i < parser->top; i++) {
        json_object_set(&frame->tree, parser->keys[i], parser->values[i], &parser->trash);
        json_key_unref(parser->keys[i]);
    }
    parser->top = frame->base;
    return true;
}

void parse_member_unify(struct json_parser *parser, const struct parse_frame *frame)
{
    size_t last = parser->top - 1;
    const json_key *keys = parser->keys;
    json_key key = keys[last];
    unsigned found = 0;

    for (size_t i = frame->base; i < last; i++)
        found |= keys[i] == key;
    if (found == 0)
        return;
    size_t at = frame->base;
    while (keys[at] != key)
        at++;
    /* What is released here may hold keys whose references are pending. */
    parse_keys_settle(parser);
    json_set(&parser->values[at], parser->values[last], &parser->trash);
    json_key_unref(key);
    parser->top--;
}

bool parse_container_open(struct json_parser *parser, bool is_object)
{
    if (parser->depth == JSON_MAX_DEPTH)
        return parse_fail(parser, JSON_ERROR_DEPTH, "recursion limit exceeded", parser->at);
    parse_frame_open(parser, parser->top, is_object);
    parser->at++;
    parser->state = is_object ? STATE_KEY_OR_END : STATE_ELEMENT_OR_END;
    return true;
}

bool parse_container_close(struct json_parser *parser)
{
    struct parse_frame *frame = &parser->frames[parser->depth - 1];
    struct json_value value = frame->tree;

    if (value.bits == 0) {
        if (!leaf_make(parser, frame, &value))
            return false;
    } else {
        if (parser->top != frame->base && !frame_flush(parser, frame))
            return false;
        value = frame->tree;
    }
    parser->values[parser->top - 1] = value;
    parser->depth--;
    parser->at++;
    parser->state = STATE_AFTER;
    return true;
}

/* The string between scan.begin and its closing quote becomes the value, or begins to be copied. */
static bool string_finish(struct json_parser *parser)
{
    struct string_scan *scan = &parser->scan;
    struct json_value *value = &parser->values[parser->top - 1];
    char room[JSON_SHORT_STRING];

    parser->in_string = STRING_NONE;
    if (scan->decoded <= JSON_SHORT_STRING) {
        size_t len = string_decode(room, &scan->begin, scan->at - 1, scan->decoded);
        parser->at = scan->at;
        parser->state = STATE_AFTER;
        return json_try_make_string(bytes_make(room, len), value);
    }
    if (scan->decoded > JSON_TEXT_MAX)
        return parse_fail(parser, JSON_ERROR_SIZE, "string too long", scan->begin);
    struct json_text *text = text_try_create(scan->decoded);
    if (text == NULL)
        return fail_memory(parser);
    *value = value_of(text, JSON_TAG_STRING);
    if (scan->decoded > LONG_STRING) {
        parser->copy = text;
        parser->copied = 0;
        parser->in_string = STRING_COPY;
        return true;
    }
    string_decode(text->data, &scan->begin, scan->at - 1, scan->decoded);
    parser->at = scan->at;
    parser->state = STATE_AFTER;
    return true;
}

/* Bytes of a string, from there on, that can be looked at: not the last ones if the next may belong to them. */
static size_t string_rest(const struct json_parser *parser, const char *at)
{
    size_t rest = (size_t)(parser->end - at);

    if (parser->missing == 0)
        return rest;
    return rest > CUT_CHARACTER ? rest - CUT_CHARACTER : 0;
}

/* Goes on with a string that is long; false if it is not done with this slice. */
static bool string_resume(struct json_parser *parser)
{
    struct string_scan *scan = &parser->scan;
    size_t budget = (size_t)(parser->pause - parser->at);

    if (parser->in_string == STRING_SCAN) {
        size_t rest = string_rest(parser, scan->at);
        const char *limit = scan->at + (budget < rest ? budget : rest);
        if (!string_scan(parser, scan, limit) || !string_finish(parser) || parser->in_string == STRING_NONE)
            return parser->error == JSON_ERROR_NONE && parser->in_string == STRING_NONE;
    }
    parser->copied +=
        string_decode(parser->copy->data + parser->copied, &scan->begin, scan->at - 1, budget < 64 ? 64 : budget);
    if (scan->begin != scan->at - 1)
        return false;
    parser->in_string = STRING_NONE;
    parser->copy = NULL;
    parser->at = scan->at;
    parser->state = STATE_AFTER;
    return true;
}

static bool parse_string(struct json_parser *parser)
{
    const char *begin = parser->at + 1;

#ifdef SCAN_SSE2
    if (parser->end - begin >= 16) {
        unsigned special = scan_block(_mm_loadu_si128((const __m128i *)(const void *)begin));
        unsigned len = special == 0 ? 16 : (unsigned)__builtin_ctz(special);
        if (len <= JSON_SHORT_STRING && begin[len] == '"') {
            uint64_t word;
            memcpy(&word, begin, sizeof(word));
            word = len == 0 ? 0 : word << (64 - 8 * len) >> (56 - 8 * len);
            parser->values[parser->top - 1].bits = word | len << 4 | JSON_TAG_SHORT;
            parser->at = begin + len + 1;
            parser->state = STATE_AFTER;
            return true;
        }
    }
#endif
    parser->scan = (struct string_scan){ begin, begin, 0 };
    const char *limit = begin + string_rest(parser, begin);
    if (limit - begin > LONG_STRING && parser->pause < limit)
        limit = parser->pause > begin + LONG_STRING ? parser->pause : begin + LONG_STRING;
    if (string_scan(parser, &parser->scan, limit))
        return string_finish(parser);
    if (parser->error == JSON_ERROR_NONE)
        parser->in_string = STRING_SCAN;
    return parser->error == JSON_ERROR_NONE;
}

static bool parse_word(struct json_parser *parser, const char *word, struct json_value value)
{
    size_t len = strlen(word);

    if ((size_t)(parser->end - parser->at) < len || memcmp(parser->at, word, len) != 0)
        return parse_fail(parser, JSON_ERROR_SYNTAX, "expected value", parser->at);
    parser->values[parser->top - 1] = value;
    parser->at += len;
    parser->state = STATE_AFTER;
    return true;
}

/* Of a number that ends with what has arrived there may be more. */
static bool parse_whole_number(struct json_parser *parser)
{
    struct json_value *value = &parser->values[parser->top - 1];

    if (!parse_number(parser, value))
        return false;
    if (parser->missing != 0 && parser->at == parser->end) {
        json_value_release(*value, &parser->trash);
        *value = JSON_VALUE_NONE;
        return parse_fail(parser, JSON_ERROR_SYNTAX, "EOF while parsing a value", parser->end);
    }
    parser->state = STATE_AFTER;
    return true;
}

/* The value at parser->at, whose place on the stack is there. */
static inline bool parse_value(struct json_parser *parser)
{
    parser->state = STATE_VALUE;
    parser->token = parser->at;
    switch (*parser->at) {
    case '"':
        return parse_string(parser);
    case '{':
        return parse_container_open(parser, true);
    case '[':
        return parse_container_open(parser, false);
    case 't':
        return parse_word(parser, "true", JSON_VALUE_TRUE);
    case 'f':
        return parse_word(parser, "false", JSON_VALUE_FALSE);
    case 'n':
        return parse_word(parser, "null", JSON_VALUE_NULL);
    default:
        if (*parser->at != '-' && (unsigned)(unsigned char)*parser->at - '0' > 9)
            return parse_fail(parser, JSON_ERROR_SYNTAX, "expected value", parser->at);
        return parse_whole_number(parser);
    }
}

/* True if there is a byte and it is no white space. */
static inline bool is_at_token(const struct json_parser *parser)
{
    return parser->at < parser->end && (unsigned char)*parser->at > ' ';
}

/* A key, and mostly its value at once: a step for each would cost more than finding out. */
static inline bool parse_member(struct json_parser *parser)
{
    struct parse_frame *frame = &parser->frames[parser->depth - 1];

    parser->token = parser->at;
    if (*parser->at != '"')
        return parse_fail(parser, JSON_ERROR_SYNTAX, "expected a key in quotes", parser->at);
    if (parser->top == parser->room && !stack_grow(parser))
        return false;
    json_key key = parse_key(parser, frame);
    if (key == 0 || !stack_push(parser, key))
        return false;
    parser->state = STATE_COLON;
    /* Nearly always right here. */
    if (parser->at < parser->end && *parser->at == ':') {
        parser->at++;
        parser->state = STATE_VALUE;
        if (is_at_token(parser))
            return parse_value(parser);
    }
    return true;
}

/* What follows a value: a comma, or the end of its container. */
static inline bool parse_after(struct json_parser *parser)
{
    if (parser->depth == 0)
        return parse_fail(parser, JSON_ERROR_SYNTAX, "trailing characters", parser->at);
    struct parse_frame *frame = &parser->frames[parser->depth - 1];
    char c = *parser->at;
    if (c != ',' && c != (frame->is_object ? '}' : ']'))
        return parse_fail(
            parser, JSON_ERROR_SYNTAX, frame->is_object ? "expected `,` or `}`" : "expected `,` or `]`", parser->at);
    if (frame->is_object && !parse_key_is_new(frame, parser->keys[parser->top - 1]))
        parse_member_unify(parser, frame);
    if (c != ',')
        return parse_container_close(parser);
    if (parser->top == frame->most && !frame_flush(parser, frame))
        return false;
    parser->at++;
    bool goes_on = is_at_token(parser);
    if (frame->is_object) {
        parser->state = STATE_KEY;
        return !goes_on || parse_member(parser);
    }
    parser->state = STATE_VALUE;
    return stack_push(parser, 0) && (!goes_on || parse_value(parser));
}

/* One step of the machine, at a byte that is there and no white space. */
static inline bool parse_one(struct json_parser *parser)
{
    switch (parser->state) {
    case STATE_VALUE:
        return parse_value(parser);
    case STATE_ELEMENT_OR_END:
        if (*parser->at == ']')
            return parse_container_close(parser);
        return stack_push(parser, 0) && parse_value(parser);
    case STATE_KEY:
        return parse_member(parser);
    case STATE_KEY_OR_END:
        return *parser->at == '}' ? parse_container_close(parser) : parse_member(parser);
    case STATE_COLON:
        if (*parser->at != ':')
            return parse_fail(parser, JSON_ERROR_SYNTAX, "expected `:`", parser->at);
        parser->at++;
        parser->state = STATE_VALUE;
        return true;
    case STATE_AFTER:
        return parse_after(parser);
    }
    UNREACHABLE();
}

static enum json_parse_status parse_end(struct json_parser *parser)
{
    static const char *const missing[] = { [STATE_VALUE] = "EOF while parsing a value",
        [STATE_ELEMENT_OR_END] = "EOF while parsing a list",
        [STATE_KEY] = "EOF while parsing an object",
        [STATE_KEY_OR_END] = "EOF while parsing an object",
        [STATE_COLON] = "EOF while parsing an object",
        [STATE_AFTER] = "EOF while parsing a container" };

    if (parser->state == STATE_AFTER && parser->depth == 0)
        return JSON_PARSE_DONE;
    parse_fail(parser, JSON_ERROR_SYNTAX, missing[parser->state], parser->end);
    return JSON_PARSE_BAD;
}

/* Goes on with the next slice, or when more has arrived. */
static enum json_parse_status parse_later(const struct json_parser *parser)
{
    bool is_scanned = parser->in_string == STRING_SCAN && string_rest(parser, parser->scan.at) == 0;

    return parser->missing != 0 && is_scanned ? JSON_PARSE_HUNGRY : JSON_PARSE_MORE;
}

/*
 * Something is wrong. While there is more to come that may only be because a key or a value is cut off: then it is read
 * once more from its beginning. What is wrong at a single byte stays so.
 */
static enum json_parse_status parse_stop(struct json_parser *parser)
{
    bool is_token = parser->state == STATE_VALUE || parser->state == STATE_KEY || parser->state == STATE_KEY_OR_END;

    if (parser->missing == 0 || !is_token || parser->error == JSON_ERROR_MEMORY)
        return JSON_PARSE_BAD;
    parser->error = JSON_ERROR_NONE;
    parser->in_string = STRING_NONE;
    parser->at = parser->token;
    parser->waits = parser->end - parser->at > CUT_TOKEN;
    return JSON_PARSE_HUNGRY;
}

enum json_parse_status json_parser_step(struct json_parser *parser, size_t budget)
{
    if (parser->error != JSON_ERROR_NONE)
        return JSON_PARSE_BAD;
    if (parser->waits)
        return JSON_PARSE_HUNGRY;
    size_t rest = (size_t)(parser->end - parser->at);
    parser->pause = parser->at + (budget < rest ? budget : rest);
    parser->is_sliced = budget != SIZE_MAX;
    if (parser->in_string != STRING_NONE && !string_resume(parser))
        return parser->error == JSON_ERROR_NONE ? parse_later(parser) : parse_stop(parser);
    for (;;) {
        if (parser->depth != 0)
            parse_run(parser);
        if (parser->error != JSON_ERROR_NONE)
            return parse_stop(parser);
        if (parser->at < parser->end && *parser->at <= ' ')
            parser->at = parse_skip_blanks(parser->at, parser->pause);
        if (parser->at >= parser->pause) {
            if (parser->at >= parser->end)
                return parser->missing != 0 ? JSON_PARSE_HUNGRY : parse_end(parser);
            return JSON_PARSE_MORE;
        }
        if (!parse_one(parser))
            return parse_stop(parser);
        if (parser->in_string != STRING_NONE && (parser->pause != parser->end || !string_resume(parser)))
            return parser->error == JSON_ERROR_NONE ? parse_later(parser) : parse_stop(parser);
    }
}

struct json_parser *json_parser_create(struct bytes text)
{
    struct json_parser *parser = json_parser_create_early(text);

    if (parser != NULL)
        json_parser_extend(parser, text.len);
    return parser;
}

void json_parser_extend(struct json_parser *parser, size_t len)
{
    size_t whole = (size_t)(parser->end - parser->begin) + parser->missing;

    parser->end = parser->begin + len;
    parser->missing = whole - len;
    parser->waits = parser->waits && parser->missing != 0;
}

struct json_parser *json_parser_create_early(struct bytes text)
{
    struct json_parser *parser = mem_try_alloc(sizeof(*parser));

    if (parser == NULL)
        return NULL;
    memset(parser, 0, offsetof(struct json_parser, frames));
    parser->cache[0] = (struct cached_key){ .pattern = { KEY_PATTERN_NONE }, .next = parser->cache };
    parser->begin = parser->at = text.len == 0 ? "" : text.ptr;
    parser->end = parser->at;
    parser->missing = text.len;
    parser->state = STATE_VALUE;
    if (!stack_push(parser, 0)) {
        mem_free(parser->values);
        mem_free(parser);
        return NULL;
    }
    return parser;
}

/* Gives up what is on the stack: innermost first, so that every value's frame is known. */
static void stack_release(struct json_parser *parser)
{
    for (unsigned depth = parser->depth; depth > 0; depth--) {
        struct parse_frame *frame = &parser->frames[depth - 1];
        while (parser->top > frame->base) {
            parser->top--;
            json_value_release(parser->values[parser->top], &parser->trash);
            if (frame->is_object)
                json_key_unref(parser->keys[parser->top]);
        }
        json_value_release(frame->tree, &parser->trash);
    }
    while (parser->top > 0)
        json_value_release(parser->values[--parser->top], &parser->trash);
}

void json_parser_destroy(struct json_parser *parser, struct json_trash *trash)
{
    if (parser == NULL)
        return;
    parse_keys_settle(parser);
    stack_release(parser);
    parse_keys_forget(parser);
    json_trash_move(trash, &parser->trash);
    mem_free(parser->values);
    mem_free(parser->keys);
    mem_free(parser);
}

struct json_value json_parser_take(struct json_parser *parser)
{
    struct json_value value = parser->values[0];

    ASSERT(parser->depth == 0 && parser->top == 1);
    parse_keys_settle(parser);
    parser->top = 0;
    return value;
}

unsigned json_parser_depth(const struct json_parser *parser)
{
    return parser->deepest;
}

enum json_parse_error json_parser_error(const struct json_parser *parser)
{
    return parser->error;
}

size_t json_parser_error_at(const struct json_parser *parser)
{
    return (size_t)(parser->at - parser->begin);
}

const char *json_parser_error_text(const struct json_parser *parser)
{
    return parser->error_text;
}

enum json_parse_error json_parse(struct bytes text, struct json_value *value, const char **error_text, size_t *at)
{
    struct json_trash trash = { JSON_VALUE_NONE };
    struct json_parser *parser = json_parser_create(text);

    if (parser == NULL) {
        *error_text = "out of memory";
        *at = 0;
        return JSON_ERROR_MEMORY;
    }
    enum json_parse_status status = json_parser_step(parser, SIZE_MAX);
    enum json_parse_error error = json_parser_error(parser);
    if (status == JSON_PARSE_DONE) {
        *value = json_parser_take(parser);
    } else {
        *error_text = json_parser_error_text(parser);
        *at = json_parser_error_at(parser);
    }
    json_parser_destroy(parser, &trash);
    json_trash_drain(&trash, SIZE_MAX);
    return error;
}
